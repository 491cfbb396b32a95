"""Certificates as coqc reads them: each kind of step is accepted, and one that is altered is refused.

Certificates of one kind stand in one run of coqc with all their mutants. `make certify` checks every row of the table,
and sets WIDEPROOF_CERTIFY here, for what a default run leaves out.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace

import pytest
import sympy as sp

import wideproof as wp
from tests.derive.certificate.batches import Group, check_batch, right, with_claim
from wideproof.derive import (
    KernelEntry,
    Recursion,
    adjoint,
    impulse_response,
    memory,
    models,
    moments,
    nngp,
    ntk,
    ntk_deviation,
    ntk_mean,
    realization,
    refuted_bounds,
    scale_factor_bound,
    scale_factor_peak,
    scale_factors,
    stability,
    tanh,
    training_bound,
)
from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.calculus import tangent
from wideproof.derive.certificate.certificate import certify
from wideproof.derive.certificate.coqc import check
from wideproof.derive.certificate.coverage import COVERED
from wideproof.derive.certificate.lemmas import Exporter
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import T, j, n, parameter
from wideproof.derive.linear.gradient_descent import ETA
from wideproof.derive.proof.claims import Equation
from wideproof.derive.proof.rules import Rule
from wideproof.derive.referee.readings import judged_readings

NU_W = parameter("nu_W")
ALL = bool(os.environ.get("WIDEPROOF_CERTIFY"))
"""Whether certificates that `make certify` checks are checked in this run too."""
coqc = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed: the file cannot be checked")


def scaled(side):
    """A thousandth more."""
    return side * sp.Rational(1001, 1000)


def less(side):
    """A thousandth less."""
    return side * sp.Rational(999, 1000)


def altered(proof, changes):
    """Mutants of a proof by name, each with one claim changed."""
    return {name: with_claim(proof, *change) for name, change in changes.items()}


def assert_refused(batch, lemmas):
    """Coqc accepts the certificates, and refuses each mutant at a lemma whose name begins so."""
    assert batch.accepted, batch.error
    assert set(batch.refused) == set(lemmas)
    for name, lemma in lemmas.items():
        assert batch.refused[name][0].startswith(lemma.replace("-", "_")), (name, batch.refused[name])


def basic(name):
    rnn = Recursion(name)
    return rnn, rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C"), rnn.state("h")


def letters_that_are_facts():
    """Letters of a user that are names of facts inside proofs."""
    rnn = Recursion("facts")
    W, F, C, h = rnn.matrix("A0", "known"), rnn.input_map("F", "first"), rnn.readout("C", "power"), rnn.state("h")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    return rnn


@coqc
def test_coqc_accepts_what_is_derived_by_lemma_c1_and_the_axioms_of_the_real_numbers(derived, tmp_path):
    cases = [("skip", "impulse_response"), ("two_tied", "impulse_response")]
    if ALL:
        cases += [("untied", "ntk"), ("linear_rnn", "ntk"), ("stacked", "equivalent_convolution")]
    afresh = impulse_response(models.elman("identity", bias=False, tied=False)).proof
    facts = scale_factors(letters_that_are_facts()).proof
    found = check_batch(tmp_path, Group(afresh), Group(facts), *(Group(derived(*case).proof) for case in cases))
    assert found.accepted, found.error
    assert "emami2021implicit_lemma_C1" in found.assumed
    assert {axiom.split(".")[0] for axiom in found.axioms} <= {"ClassicalDedekindReals", "FunctionalExtensionality"}


def at_equal_lags(member):
    return (*member[:2], "=", member[3])


MUTANTS = {
    "coefficient": ("covariance", right(scaled)),
    "index": ("induction", right(lambda side: side.subs(j, j + 1))),
    "sign": ("weight", right(lambda side: side - 2 * side.args[0])),
    "dropped": ("no-coupling", right(lambda side: sp.expand(side) - sp.expand(side).args[0])),
    "node": ("induction", right(lambda side: side.replace(PowerDD, lambda lag, a, b: PowerDD(lag, a, b, a)))),
    "zero": ("zero-moments", lambda claim: replace(claim, members=(*claim.members, at_equal_lags(claim.members[0])))),
    "bound": ("bound-sharp", right(lambda side: side.subs(T, T - 1))),
    "tight": ("bound-sharp", right(less)),
}  # fmt: skip


RHO = "nu_W**(j - 1)*(nu_W*(nu_C + nu_F) + j*nu_C*nu_F)"


def moved(**numbers):
    """The point of a refutation elsewhere."""
    return lambda claim: replace(
        claim, point=tuple((x, sp.sympify(numbers.get(x.name, value))) for x, value in claim.point)
    )


def derived_as(change):
    return lambda claim: replace(claim, derived=change(claim.derived))


def asked(change):
    """Another formula put forward."""
    return lambda claim: replace(claim, question=replace(claim.question, formula=change(claim.question.formula)))


@coqc
def test_bounds_errata_and_formulas_of_the_scale_factors_hold_and_altered_ones_are_refused(tmp_path):
    rnn = models.linear_rnn()
    bound, errata = scale_factor_bound(rnn).proof, [x.proof for x in judged_readings("E3")]
    true = wp.check(rnn, "scale-factors", RHO).proof
    wrong = wp.check(rnn, "scale-factors", RHO.replace("j*nu_C", "(j + 1)*nu_C")).proof
    numbers = wp.check(rnn, "scale-factors", "2*nu_W**j + j*nu_W**(j - 1)", nu_F=1, nu_C=1).proof
    root = wp.check(rnn, "scale-factors", f"sqrt(2)*({RHO})").proof
    others = scale_factor_peak(rnn).proof, refuted_bounds(rnn)[1].proof, *errata, true, wrong, numbers, root
    judged = {
        "E3-value": (errata[0], "referee-counterexample", derived_as(scaled)),
        "E3-point": (errata[0], "referee-counterexample", moved(nu_C=0)),
        "agree": (wrong, "referee-counterexample", moved(nu_C=0)),
        "formula": (true, "referee-equality", asked(scaled)),
        "lag": (true, "referee-equality", asked(lambda side: side.subs(j, j + 1))),
    }
    mutants = altered(bound, MUTANTS) | {name: with_claim(*change) for name, change in judged.items()}
    found = check_batch(tmp_path, Group(bound, mutants, others))
    assert_refused(found, {name: change[-2] for name, change in (MUTANTS | judged).items()})


@coqc
def test_the_radius_moments_at_finite_width_and_their_errata_hold_and_altered_ones_are_refused(tmp_path):
    radius, norm = (x.proof for x in judged_readings("E1"))
    (erratum,) = (x.proof for x in judged_readings("E2"))
    moment, pairs = (moments(models.linear_rnn(), lags=lags).proof for lags in ((2, 2), (0, 1, 1, 2)))
    spectral = wp.check(models.linear_rnn(), "stability", "sqrt(nu_W)").proof
    rule, more = "referee-counterexample", right(lambda side: side + side.subs(n, 1) / 1000)
    of_radius = {
        "E1-value": (rule, derived_as(scaled)),
        "E1-point": (rule, moved(nu_W=1)),
        "law": ("circular-law", right(scaled)),
        "entries": ("transition-variance", right(scaled)),
    }
    of_erratum = {"E2-value": (rule, derived_as(scaled)), "E2-point": (rule, moved(nu_W=0))}
    of_moment = {name: (name, more) for name in ("loop-equations", "readout-pairings")}
    found = check_batch(
        tmp_path,
        Group(radius, altered(radius, of_radius), (norm, spectral)),
        Group(erratum, altered(erratum, of_erratum) | altered(moment, of_moment)),
        Group(pairs),
    )
    assert {"isserlis1918formula", "stein1981estimation"} <= found.assumed
    assert_refused(found, {name: change[0] for name, change in (of_radius | of_erratum | of_moment).items()})


@coqc
def test_the_kernel_at_finite_width_holds_without_a_limit_theorem_and_altered_claims_are_refused(tmp_path):
    proof = ntk_deviation(models.linear_rnn(), 1).proof
    rules = ("loop-equations", "kernel-pairings", "kernel-covariance", "kernel-gap", "chebyshev")
    changes = {rule: (rule, right(lambda side: side - side.subs(n, 1) / 1000)) for rule in rules[:-1]}
    changes["chebyshev"] = ("chebyshev", right(less))
    found = check_batch(tmp_path, Group(proof, altered(proof, changes)))
    assert {"isserlis1918formula", "stein1981estimation", "expectation_is_monotone"} <= found.assumed
    assert not any("limit" in name or "lemma_c1" in name.lower() for name in found.assumed)
    assert_refused(found, {rule: rule.replace("-", "_") for rule in rules})


def redrawn():
    rnn = Recursion("redrawn")
    W, F, C, h = rnn.matrix("W", tied=False), rnn.input_map("F"), rnn.readout("C"), rnn.state("h")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    return rnn


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ntk_mean(models.linear_rnn(), 1, "ntk"), "by their entries"),
        (lambda: ntk_mean(models.linear_rnn(), KernelEntry(1, 1, row2=1)), "the first output"),
        (lambda: ntk_mean(redrawn(), 1), "tied W"),
    ],
)
def test_kernels_at_finite_width_without_a_certificate_say_why(make, why):
    with pytest.raises(NotCertified, match=why):
        certify(make().proof)


@coqc
def test_a_batch_whose_mutant_is_true_is_not_accepted(tmp_path):
    radius, norm = (x.proof for x in judged_readings("E1"))
    found = check_batch(tmp_path, Group(radius, {"true": norm}))
    assert (found.accepted, dict(found.refused)) == (False, {})
    assert "has not failed" in found.error


@pytest.mark.parametrize(
    ("formula", "why"), [("1/j", "a value on both sides"), (f"pi*({RHO})", "rational values or square roots")]
)
def test_formulas_without_a_certificate_say_why(formula, why):
    proof = wp.check(models.linear_rnn(), "scale-factors", formula).proof
    with pytest.raises(NotCertified, match=why):
        certify(proof)


@coqc
def test_activations_hold_and_altered_means_are_refused(tmp_path):
    kernel, tangents = nngp(models.elman("erf")).proof, ntk(models.feed_forward(1, "erf", bias=False)).proof
    rnn, W, F, C, h = basic("sum")
    z = W @ h + F @ rnn.x
    rnn.update(h, z + 2 * tanh(z))
    rnn.output(C @ h)
    mutants = {"means": with_claim(kernel, "covariance", right(lambda side: side.subs(NU_W, scaled(NU_W))))}
    slopes = {"slopes": with_claim(tangents, "covariance", right(lambda side: side - side.args[0] / 1000))}
    found = check_batch(tmp_path, Group(kernel, mutants), Group(tangents, slopes), Group(nngp(rnn).proof))
    assert {"stein1981estimation_twice", "emami2021implicit_lemma_B1_chain"} <= found.assumed
    assert_refused(found, {"means": "covariance_h_h", "slopes": "covariance_δh_1_δh_1"})


@coqc
@pytest.mark.skipif(not ALL, reason="checked by make certify")
def test_an_altered_mean_of_derivatives_beside_a_state_is_refused(tmp_path):
    proof = ntk(models.elman("erf", bias=False)).proof
    mutant = with_claim(proof, "covariance", right(lambda side: side - side.args[0] / 1000), which=1)
    (frozen,) = [row.proof() for row in COVERED if row.model == "elman-erf-frozen"]
    found = check_batch(tmp_path, Group(proof, {"slopes": mutant}), Group(frozen))
    assert_refused(found, {"slopes": "covariance_δh_h"})


TRAINING = {
    "residual-step": right(lambda side: side.subs(ETA, scaled(ETA))),
    "blocks": right(scaled),
    "contraction": right(less),
    "step-bound": right(less),
    "movement": right(less),
    "slow-lags": lambda claim: replace(claim, left=scaled(claim.left)),
}  # fmt: skip


@coqc
def test_the_inequalities_of_gradient_descent_hold_and_altered_ones_are_refused(tmp_path):
    bound = training_bound(models.linear_rnn())
    proof = bound.steps.proof
    known = {step.rule for step in proof.steps}
    mutants = {rule: (rule, change) for rule, change in TRAINING.items() if rule in known}
    others = [Group(bound.trajectory.proof)] if ALL else []
    found = check_batch(tmp_path, Group(proof, altered(proof, mutants)), *others)
    assert_refused(found, dict(zip(mutants, mutants, strict=True)))


@coqc
def test_every_convolution_is_a_recursion_by_the_standard_library_alone(tmp_path):
    proof = realization([1, 2, 3]).proof
    mutants = {rule: (rule, right(scaled)) for rule in ("interpolation", "vandermonde")}
    found = check_batch(tmp_path, Group(proof, altered(proof, mutants)))
    assert found.assumed == {"node", "nodes_differ", "target"}
    assert_refused(found, dict(zip(mutants, mutants, strict=True)))


@coqc
def test_gradients_and_the_maps_of_memory_hold_and_altered_ones_are_refused(tmp_path):
    proof, curved, linear = (
        adjoint(models.elman("erf")).proof,
        memory(models.elman("erf")).proof,
        memory(models.linear_rnn()).proof,
    )
    gradients = {rule: (rule, right(scaled)) for rule in ("cotangent", "gradient")}
    maps = {rule: (rule, right(scaled), 0) for rule in ("correlation-slope", "memory-horizon")}
    found = check_batch(
        tmp_path, Group(proof, altered(proof, gradients)), Group(curved), Group(linear, altered(linear, maps))
    )
    assert {"transposed", "emami2021implicit_lemma_B1_chain", "price1958useful", "dual_activation"} <= found.assumed
    assert_refused(found, dict.fromkeys(gradients, "adjoint") | dict(zip(maps, maps, strict=True)))


@coqc
def test_the_law_of_the_perturbation_is_not_read_from_the_engine(monkeypatch):
    made = tangent._Perturbation._delta
    rnn = Recursion("doubled")
    W, F, C, h = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C"), rnn.state("h")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    monkeypatch.setattr(tangent._Perturbation, "_delta", _doubled(made))
    assert check(certify(scale_factors(rnn).proof)).verdict == "refuted"


def _doubled(made):
    def delta(self, parameter):
        if parameter not in self.parameters:
            plain = made(self, parameter)
            self.parameters[parameter] = replace(plain, variance=2 * plain.variance)
        return self.parameters[parameter]

    return delta


def test_the_text_is_readable_and_complete(derived):
    proof = derived("linear_rnn", "scale_factors").proof
    text = proof.coq()
    assert text == certify(proof).text
    for index, step in enumerate(proof.steps):
        assert (f"(* Step {index}, {step.rule} [" in text) == (step.rule in Exporter.registry), step.rule
    assert not re.search(r"\b(admit|Admitted|Axiom|Parameter)\b", text)
    assert "Print Assumptions" in text


def test_letters_of_a_user_do_not_meet_words_of_coq():
    rnn = Recursion("words")
    W, F, C = rnn.matrix("S", "E"), rnn.input_map("O", "forall"), rnn.readout("delta", "rho")
    h = rnn.state("before")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    text = scale_factors(rnn).proof.coq()
    assert "Variable forall_ : R." in text
    assert "Inductive parameter := S_ | O_ | delta_" in text


def test_a_step_that_is_not_covered_is_named():
    with pytest.raises(NotCertified, match=r"step \d+ \(transition\)"):
        stability(models.leaky("identity")).proof.coq()
    rnn = Recursion("off-centre")
    h = rnn.state("h")
    rnn.update(h, rnn.matrix("W", "nu_W") @ h + rnn.bias("b", "nu_b", mean="mu"))
    rnn.output(rnn.readout("C", "nu_C") @ h)
    proof = nngp(rnn).proof
    with pytest.raises(NotCertified, match="biases of mean zero"):
        proof.coq()


def test_a_claim_of_another_class_than_an_exporter_declares_is_refused_by_name():
    proof = scale_factor_peak(models.linear_rnn()).proof
    with pytest.raises(NotCertified, match="claim of the kind Inequality, got Equation"):
        certify(with_claim(proof, "peak", lambda claim: Equation(claim.left, claim.right)))


def test_every_exporter_is_of_a_rule():
    assert set(Exporter.registry) <= set(Rule.registry)
