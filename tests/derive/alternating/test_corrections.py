"""Products with a matrix and its transpose: corrections derived, proofs that hold, and mutants caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.special import erfc

from tests.gaussian_means import gaussian_mean
from wideproof.derive import models, nngp, state_evolution
from wideproof.derive.alternating import line_limits
from wideproof.derive.alternating.corrections import corrections
from wideproof.derive.alternating.evaluation import errors_of
from wideproof.derive.alternating.line_limits import line_evolution
from wideproof.derive.alternating.terms import (
    Average,
    BlockLaw,
    Blocks,
    Coefficient,
    Covariance,
    GaussianPart,
    Image,
    KnownLaw,
    MeanSquare,
    Query,
)
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.expectation.truncated_moments import THETA, VARIANCE, Ramp
from wideproof.derive.language.activations import activation
from wideproof.derive.language.alternating import Alternating
from wideproof.derive.language.errors import LanguageError, NotClosed, ParameterError, ProofError, ShapeError
from wideproof.derive.proof.claims import Equation
from wideproof.derive.proof.proof import Proof, prove

DELTA = sp.Symbol("delta", nonnegative=True)
NU = sp.Symbol("nu_A", nonnegative=True)


def recursion(name: str = "tanh", rounds: int = 2) -> Alternating:
    """h = phi(A' phi(A h)), again and again with the same A."""
    run = Alternating(f"there and back by {name}")
    A = run.matrix("A", variance="nu_A")
    h, phi = run.source("h", "n", "nu_h"), activation(name)
    for k in range(rounds):
        h = phi(A.T @ phi(A @ h))
        run.keep(f"h_{k}", h)
    return run


def right_sides(proof: Proof) -> dict[sp.Expr, sp.Expr]:
    """What the proof says about each subject."""
    return {step.claim.left: step.claim.right for step in proof.steps if isinstance(step.claim, Equation)}


PROOF = corrections(recursion()).proof


def test_the_corrections_are_expectations_of_derivatives_and_the_proof_verifies():
    found = right_sides(PROOF)
    g = [PROOF.program.gaussian(k) for k in range(4)]
    phi = [sp.Symbol("tanh"), activation("tanh")]
    slope = sp.diff(phi[1](g[0]), g[0])
    assert found[Image(0)] == GaussianPart(0)
    assert found[Image(1)] == GaussianPart(1) + Coefficient(1, 0) * Query(0)
    assert found[Coefficient(1, 0)] == NU * DELTA * Average(slope)
    assert found[Image(3)] == GaussianPart(3) + Coefficient(3, 0) * Query(0) + Coefficient(3, 2) * Query(2)
    PROOF.verify()


SOFT = state_evolution(models.amp(2)).proof


def mutated(step, factor):
    """The step with a right side that is 0.1 % wrong."""
    right = step.claim.right
    if isinstance(right, BlockLaw):
        wrong = BlockLaw(right.args[0] * factor, right.args[1])
    elif isinstance(right, Blocks):
        wrong = Blocks(sp.expand(right.args[0] * factor))
    else:
        wrong = right * factor if right != 0 else factor - 1
    return replace(step, claim=replace(step.claim, right=wrong))


OWN = (
    "known-products",
    "left-regression",
    "gaussian-part",
    "stein-pairing",
    "correction",
    "transposed-product",
    "gaussian-covariance",
    "second-moment",
)


@pytest.mark.parametrize("name", OWN)
def test_a_step_that_is_a_thousandth_wrong_fails_replay_and_the_audit_alone(name):
    index = max(k for k, step in enumerate(PROOF.steps) if step.rule == name)
    step = mutated(PROOF.steps[index], sp.Rational(1001, 1000))
    with pytest.raises(ProofError):
        audit_step(step, worlds(PROOF.program))
    with pytest.raises(ProofError):
        replace(PROOF, steps=(*PROOF.steps[:index], step, *PROOF.steps[index + 1 :])).replay(index)


@pytest.mark.parametrize("name", ["over-components", "ramp-mean", "line-limit"])
def test_a_step_of_the_state_evolution_that_is_a_thousandth_wrong_fails_replay_and_the_audit_alone(name):
    index = max(k for k, step in enumerate(SOFT.steps) if step.rule == name)
    step = mutated(SOFT.steps[index], sp.Rational(1001, 1000))
    with pytest.raises(ProofError):
        audit_step(step, worlds(SOFT.program))
    with pytest.raises(ProofError):
        replace(SOFT, steps=(*SOFT.steps[:index], step, *SOFT.steps[index + 1 :])).replay(index)


def test_a_state_evolution_without_a_term_or_with_other_means_fails_the_audit():
    step = next(step for step in SOFT.steps if step.rule == "line-limit" and step.claim.left == Covariance(3, 3))
    plain = next(step for step in SOFT.steps if step.rule == "line-limit" and step.claim.left == Coefficient(2, 1))
    assert (
        sp.expand(
            step.claim.right
            - sum(
                (w * Covariance(*x) for x, w in {(0, 0): 1, (0, 2): -2, (2, 2): 1}.items()),
                sp.Symbol("nu_w", nonnegative=True),
            )
        )
        == 0
    )
    for wrong in (
        replace(step.claim, right=step.claim.right + 2 * Covariance(0, 2)),
        replace(plain.claim, nodes=plain.claim.nodes * sp.Rational(1001, 1000)),
        replace(plain.claim, right=plain.claim.right.replace(Ramp, lambda p, t, v: Ramp(p, t, v + 1))),
    ):
        with pytest.raises(ProofError):
            audit_step(replace(step, claim=wrong), worlds(SOFT.program))


def test_the_state_evolution_of_amp_verifies():
    state_evolution(models.amp(1)).proof.verify()


def test_the_passage_to_the_limit_is_cited_not_proved_and_its_maps_are_looked_at():
    (step,) = [step for step in PROOF.steps if step.rule == "master-theorem"]
    assert step.status == "cited"
    index = PROOF.steps.index(step)
    assert all(index in other.premises for other in PROOF.steps if other.rule == "transposed-product")
    assert step.claim.maps[0][2] == "affine"
    bent = next(k for k, (*_, growth) in enumerate(step.claim.maps) if growth == "Lipschitz")
    maps = list(step.claim.maps)
    maps[bent] = (*maps[bent][:2], "affine")
    wrong = replace(step.claim, maps=tuple(maps))
    with pytest.raises(ProofError):
        audit_step(replace(step, claim=wrong), worlds(PROOF.program))


def test_without_its_correction_a_product_fails_the_audit():
    index = next(k for k, step in enumerate(PROOF.steps) if step.claim.subject == Image(3))
    right = PROOF.steps[index].claim.right - Coefficient(3, 2) * Query(2)
    with pytest.raises(ProofError):
        audit_step(replace(PROOF.steps[index], claim=Equation(Image(3), right)), worlds(PROOF.program))


@pytest.mark.parametrize("omitted", ["fresh", "left"])
def test_the_law_given_known_products_needs_both_of_its_parts(omitted):
    step = next(step for step in PROOF.steps if isinstance(step.claim.subject, KnownLaw))
    mean, spread = step.claim.right.args
    wrong = BlockLaw(mean, spread.args[0]) if omitted == "fresh" else BlockLaw(mean.args[0], spread)
    with pytest.raises(ProofError):
        audit_step(replace(step, claim=Equation(step.claim.left, wrong)), worlds(PROOF.program))


def test_a_linear_recursion_has_the_moments_of_the_marchenko_pastur_law():
    """lim |(A'A)^k h|^2 / n = sum over non-crossing pairings: Narayana numbers, which no rule here knows."""
    run = Alternating("powers")
    A = run.matrix("A", variance="nu_A")
    h = run.source("h", "n")
    for k in range(1, 4):
        h = A.T @ (A @ h)
        run.keep(f"h_{k}", h)
    derivation = corrections(run)
    values = settled(derivation.proof)
    for k in range(1, 4):
        narayana = sum(
            sp.binomial(2 * k, i) * sp.binomial(2 * k, i - 1) * DELTA**i / (2 * k) for i in range(1, 2 * k + 1)
        )
        assert sp.expand(values[MeanSquare(sp.Symbol(f"h_{k}"))] - NU ** (2 * k) * narayana) == 0
    derivation.proof.verify()


def settled(proof: Proof) -> dict[sp.Expr, sp.Expr]:
    """All quantities of a linear program: averages of two Gaussian parts are covariances, sources have variance 1."""
    found = {e.left: e.right for e in proof.goal.equations}
    place = {proof.program.gaussian(k): k for k in range(len(proof.program.lines))}

    def value(expr):
        def of(average):
            factors = [f for f in sp.Mul.make_args(average.args[0]) for f in [f.as_base_exp()]]
            names = [base for base, power in factors for _ in range(int(power))]
            if any(x not in place for x in names):
                return sp.S.One if len(set(names)) == 1 else sp.S.Zero
            return value(found[Covariance(*sorted(place[x] for x in names))])

        return sp.expand(expr.replace(Average, lambda e: of(Average(e))))

    return {left: value(right) for left, right in found.items()}


@pytest.mark.parametrize("write", [
    lambda run, A, h: A @ (A @ h), lambda run, A, h: A.T @ h, lambda run, A, h: A @ (h + A @ h),
    lambda run, A, h: run.keep("k", h + A @ h),
])  # fmt: skip
def test_vectors_of_two_sizes_do_not_meet(write):
    run = Alternating("sizes")
    with pytest.raises(ShapeError, match="size"):
        write(run, run.matrix("A"), run.source("h", "n"))


def test_what_is_no_alternating_program_is_refused():
    run = Alternating("wrong")
    A = run.matrix("A")
    other = Alternating("other").source("h", "n")
    with pytest.raises(LanguageError):
        run.matrix("B")
    with pytest.raises(LanguageError):
        A @ other
    with pytest.raises(LanguageError, match="sum to 1"):
        run.source("x", "n", ((sp.Rational(1, 2), 1),))
    with pytest.raises(LanguageError):
        Alternating("empty").program()
    with pytest.raises(LanguageError):
        corrections("A @ h")
    with pytest.raises(LanguageError, match="scale_factors"):
        corrections(models.linear_rnn())


def test_rounds_that_follow_do_not_change_what_came_before():
    short, long = (right_sides(corrections(recursion("erf", rounds)).proof) for rounds in (1, 2))
    lines = [x for x in short if isinstance(x, Image | Coefficient)]
    assert lines
    assert all(short[x] == long[x] for x in lines)


def test_the_onsager_terms_of_amp_cancel_and_its_state_evolution_is_the_known_one():
    """tau'^2 = nu_w + E[(eta(x + tau g) - x)^2] / delta, by quadrature: a formula that no rule here holds."""
    derivation = corrections(models.amp(3))
    found = right_sides(derivation.proof)
    assert found[Image(3)] == GaussianPart(3) + Query(0) - Query(2)
    assert found[Coefficient(4, 1)] == 0
    derivation.proof.verify()
    values = {"delta": 0.5, "epsilon": 0.25, "nu_w": 0.2, "theta_0": 0.8, "theta_1": 0.7, "theta_2": 0.6}
    limits = line_evolution(derivation)(**values)
    tau2 = 0.2 + 0.25 / 0.5
    for t, error in enumerate(errors_of(limits).values()):
        exact = mixed_error(0.25, tau2, values[f"theta_{t}"])
        assert error == pytest.approx(exact, rel=1e-9)
        assert error != pytest.approx(1.001 * exact, rel=1e-9)
        tau2 = 0.2 + exact / 0.5
    slopes = [limits[x] for x in limits if x == Coefficient(4, 3)]
    assert slopes
    assert all(x > 0 for x in slopes)


def mixed_error(epsilon, tau2, theta):
    """E[(eta(x + tau g) - x)^2] by integrals over u = x + tau g."""
    total = 0.0
    for weight, variance in ((epsilon, 1.0), (1 - epsilon, 0.0)):
        v, share = variance + tau2, variance / (variance + tau2)

        def loss(u, v=v, share=share):
            eta = np.sign(u) * max(abs(u) - theta, 0.0)
            return ((eta - share * u) ** 2 + share * tau2) * np.exp(-(u**2) / (2 * v)) / np.sqrt(2 * np.pi * v)

        total += weight * sum(
            quad(loss, *ends, epsabs=1e-13)[0] for ends in ((-40, -theta), (-theta, theta), (theta, 40))
        )
    return total


@pytest.mark.parametrize("power", range(4))
def test_truncated_moments_are_derived_and_a_thousandth_is_seen(power):
    proof = prove(SOFT.program, "truncated-moment", Ramp(sp.Integer(power), THETA, VARIANCE))
    proof.verify()
    step = replace(proof.steps[-1], claim=Equation(proof.goal.left, proof.goal.right * sp.Rational(1001, 1000)))
    with pytest.raises(ProofError):
        audit_step(step, worlds(SOFT.program))


def test_what_has_no_closed_form_says_so_and_unknown_symbols_are_told():
    with pytest.raises(NotClosed):
        line_evolution(corrections(recursion()))
    with pytest.raises(ParameterError, match="nu_w"):
        line_evolution(corrections(models.amp(1)))(delta=1.0, epsilon=0.1, theta_0=1.0)


def test_the_soft_threshold_is_an_activation_with_exact_moments():
    """At equal variables E[eta^2] and E[eta'^2] are integrals of one variable; at independent ones odd means vanish."""

    def eta(u):
        return np.sign(u) * max(abs(u) - 0.5, 0.0)

    name, v = "soft_threshold(1/2)", 1.3
    size = 2 * quad(lambda u: eta(u) ** 2 * np.exp(-(u**2) / (2 * v)) / np.sqrt(2 * np.pi * v), 0.5, 30)[0]
    assert gaussian_mean(name, name, (v, v), v)[0] == pytest.approx(size, rel=1e-9)
    assert gaussian_mean(name, name, (v, v), v)[0] != pytest.approx(1.001 * size, rel=1e-9)
    assert gaussian_mean(name, name, (v, v), v, orders=(1, 1))[0] == pytest.approx(erfc(0.5 / np.sqrt(2 * v)), rel=1e-9)
    assert gaussian_mean(name, name, (v, v), 0.0)[0] == pytest.approx(0.0, abs=1e-12)


def test_a_program_that_nests_activations_is_refused_with_a_way_out():
    with pytest.raises(NotClosed, match="corrected"):
        line_evolution(recursion())


def test_state_evolution_takes_alternating_programs_and_the_rest_says_what_there_is():
    assert state_evolution(models.amp(1)).proof == line_limits.state_evolution(models.amp(1)).proof
    with pytest.raises(LanguageError, match="corrections"):
        nngp(models.amp(1))
    with pytest.raises(ParameterError, match="as it is written"):
        state_evolution(models.amp(1), horizon=2)


@pytest.mark.parametrize(
    "made", [corrections(recursion()), state_evolution(models.amp(2))], ids=["corrections", "limits"]
)
def test_a_form_that_leaves_out_an_equation_is_refused(made):
    goal = made.proof.goal
    drawn = worlds(made.program)
    for left in {type(e.left): e.left for e in goal.equations if not isinstance(e.left, Ramp)}.values():
        kept = tuple(e for e in goal.equations if e.left != left)
        less = replace(goal, right=sp.Tuple(*(e.left for e in kept)), equations=kept)
        with pytest.raises(ProofError):
            audit_step(replace(made.proof.steps[-1], claim=less), drawn)


def test_the_same_product_again_is_the_same_line():
    run = Alternating("again")
    A, x = run.matrix("A"), run.source("x", "n")
    assert A @ x == A @ x
    run.keep("twice", A.T @ (A @ x + 2 * (A @ x)))
    assert len(run.program().lines) == 2
    corrections(run).proof.verify()
