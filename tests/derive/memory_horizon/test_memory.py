"""Memory: derived maps of two runs, their slopes, the critical line; proofs verify and altered claims are caught."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import (
    Equation,
    LanguageError,
    NotClosed,
    ProofError,
    Recursion,
    define,
    impulse_response,
    memory,
    models,
    relu,
    sigmoid,
    tanh,
)
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.language.variants import untied
from wideproof.derive.memory_horizon.memory_rules import Centred, EvaluatedMap, FixedAt, OfLetters

MODELS = {
    "linear": models.linear_rnn,
    "relu": lambda: models.elman("relu"),
    "erf": lambda: models.elman("erf"),
    "tanh": lambda: models.elman("tanh"),
    "stacked": lambda: models.stacked(2, "tanh"),
    "leaky": lambda: untied(models.leaky("tanh")),
}
AT = {"alpha": 0.3, "q": 0.4, "nu_W": 1.3, "nu_b": 0.1, "nu_F": 0.5, "X": 0.6}


@cache
def derived(name):
    return memory(MODELS[name]())


def value(derivation, **more):
    at = {**AT, **more}
    return derivation.formula.compile("numpy")(**{name: at[name] for name in derivation.formula.arguments})


@pytest.mark.parametrize("name", MODELS)
def test_every_proof_verifies(name):
    derived(name).proof.verify()


@pytest.mark.parametrize("part", ["variance_slope", "critical gain", "critical drive", "horizon"])
def test_the_proofs_of_the_parts_verify(part):
    derived("erf").parts[part].proof.verify()


def pair(activation=None, turned=False, tied=True):
    """Two states that feed each other, their updates in either order."""
    r = Recursion("pair")
    W, V, U, Z = (r.matrix(x, f"nu_{x}", tied=tied) for x in "WVUZ")
    h, g, phi = r.state("h"), r.state("g"), activation or (lambda z: z)
    lines = [(h, phi(W @ h + V @ g + r.input_map("F") @ r.x)), (g, phi(U @ h + Z @ g))]
    for state, body in lines[::-1] if turned else lines:
        r.update(state, body)
    r.output(r.readout("C") @ h)
    return r


def delayed():
    r = Recursion("delayed")
    W, V, h, g = r.matrix("W", "nu_W"), r.matrix("V", "nu_V"), r.state("h"), r.state("g")
    r.update(g, h)
    r.update(h, W @ h + V @ g + r.input_map("F") @ r.x)
    r.output(r.readout("C") @ h)
    return r


def three():
    """A ring of three linear states with a loop at each."""
    r = Recursion("three")
    states = [r.state(x) for x in "fgh"]
    for i, state in enumerate(states):
        own, other = r.matrix(f"W_{i}", f"nu_{i}"), r.matrix(f"V_{i}", f"mu_{i}")
        r.update(state, own @ state + other @ states[i - 1] + (r.input_map("F") @ r.x if i == 0 else 0))
    r.output(r.readout("C") @ states[0])
    return r


def carried():
    """A state that is carried over beside a tied and a redrawn matrix."""
    r = Recursion("carried")
    W, V, h = r.matrix("W", "nu_W"), r.matrix("V", "nu_V", tied=False), r.state("h")
    r.update(h, sp.Symbol("a_0", real=True) * h + W @ h + V @ h + r.input_map("F") @ r.x)
    r.output(r.readout("C") @ h)
    return r


LINES = {
    "linear": (models.linear_rnn, "nu_W", {}, 1.0),
    "linear elman": (lambda: models.elman("identity"), "nu_W", {}, 1.0),
    "coupled": (pair, "nu_W", {"nu_V": 0.5, "nu_U": 0.5, "nu_Z": 0.3}, 1 - 0.25 / 0.7),
    "coupled, turned": (lambda: pair(turned=True), "nu_V", {"nu_W": 0.3, "nu_U": 0.5, "nu_Z": 0.3}, 0.49 / 0.5),
    "coupled, redrawn": (lambda: pair(tied=False), "nu_U", {"nu_W": 0.3, "nu_V": 0.5, "nu_Z": 0.3}, 0.49 / 0.5),
    "coupled relu": (lambda: pair(relu), "nu_Z", {"nu_W": 0.6, "nu_V": 1.0, "nu_U": 1.0}, 2 - 1 / 1.4),
    "delayed": (delayed, "nu_W", {"nu_V": 0.3}, 0.7),
    "leaky": (lambda: models.leaky("identity"), "nu_W", {"alpha": 1.5}, (0.5 / 1.5) ** 2),
    "leaky, redrawn": (lambda: untied(models.leaky("identity")), "nu_W", {"alpha": 0.3}, 0.51 / 0.09),
    "stacked": (lambda: models.stacked(2, "identity"), "nu_W h_2", {}, 1.0),
    "three": (three, "mu_1", {"nu_0": 0.1, "nu_1": 0.2, "nu_2": 0.3, "mu_0": 0.8, "mu_2": 0.9}, 0.504 / 0.72),
    "carried": (carried, "nu_V", {"a_0": -0.3, "nu_W": 0.2}, (0.71**2 - 0.072) ** 0.5),
}


@pytest.mark.parametrize("name", LINES)
def test_the_critical_variance_of_linear_and_relu_states_makes_the_slope_one(name):
    make, symbol, others, want = LINES[name]
    line = memory(make()).critical_line[symbol]
    assert line.formula.compile("numpy")(**others) == pytest.approx(want, rel=1e-12)
    line.proof.verify()
    step = line.proof.steps[-1]
    drawn = worlds(line.program)
    for wrong in (
        replace(step.claim, right=step.claim.right * sp.Rational(1001, 1000)),
        replace(step.claim, nodes=step.claim.nodes * sp.Rational(1001, 1000)),
        replace(step.claim, moved=sp.Symbol("nu_other", nonnegative=True)),
    ):
        with pytest.raises(ProofError):
            audit_step(replace(step, claim=wrong), drawn)


def test_the_perron_root_is_one_on_the_critical_line_of_three_states():
    """Of the several eigenvalues it is the largest, whichever variance was solved for."""
    given = {"nu_0": 0.1, "nu_1": 0.2, "nu_2": 0.3, "mu_0": 0.8, "mu_1": 0.7, "mu_2": 0.9}
    for symbol, line in memory(three()).critical.items():
        at = {**given, symbol: float(line.formula.compile()(**{k: given[k] for k in line.formula.arguments}))}
        matrix = np.diag([at[f"nu_{i}"] for i in range(3)])
        for i in range(3):
            matrix[i, i - 1] = at[f"mu_{i}"]
        assert max(abs(np.linalg.eigvals(matrix))) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("make", [lambda: pair(tanh), lambda: models.stacked(2, "erf")])
def test_where_the_slope_depends_on_the_variance_there_is_no_formula_and_the_reason_is_told(make):
    found = memory(make())
    assert found.critical == {}
    with pytest.raises(NotClosed, match="depends on q_"):
        _ = found.critical_line


def test_a_symbol_named_as_the_variance_of_the_activation_leaves_the_line():
    r = Recursion("named")
    W, h = r.matrix("W", "a"), r.state("h")
    r.update(h, tanh(W @ h + r.input_map("F", "nu_F") @ r.x))
    r.output(r.readout("C") @ h)
    gain = memory(r).critical_line["gain"]
    assert gain.formula.arguments == ("a_z",)
    plain = derived("tanh").critical["gain"].formula.compile("numpy")
    assert gain.formula.compile("numpy")(a_z=0.7) == pytest.approx(plain(a=0.7))


def altered(claim):
    yield replace(claim, right=claim.right * sp.Rational(1001, 1000))
    yield replace(claim, right=claim.right + sp.Rational(1, 500))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("erf", "critical drive"),
        ("relu", "fixed_point"),
        ("tanh", "horizon"),
        ("tanh", "variance_slope"),
        ("erf", "variance_slope"),
        ("leaky", "chi"),
    ],
)
def test_a_claim_wrong_by_a_thousandth_fails_the_audit_on_its_own(name, part):
    proof = derived(name).parts[part].proof
    drawn = worlds(proof.program)
    ours = [step for step in proof.steps if isinstance(step.claim, OfLetters | EvaluatedMap | FixedAt | Centred)]
    assert ours
    for step in ours:
        for claim in altered(step.claim):
            if claim.right == step.claim.right:
                continue
            with pytest.raises(ProofError):
                audit_step(replace(step, claim=claim), drawn)


def test_linear_horizon_is_the_decay_of_the_impulse_response():
    """-1/log(nu_W): the limiting variance of L_j falls by e in as many lags."""
    steps = derived("linear").formula.compile("numpy")(q=1.0, nu_W=0.6)
    response = impulse_response(models.linear_rnn()).formula.compile("numpy")
    first, later = response(j=np.array([1, 9]), nu_W=0.6, nu_F=1.0, nu_C=1.0)
    assert later / first == pytest.approx(np.exp(-8 / steps), rel=1e-12)


def test_closed_forms():
    nu_W, a = sp.Symbol("nu_W", nonnegative=True), sp.Symbol("a", nonnegative=True)
    assert derived("relu").chi["h"].formula.expr == nu_W / 2
    argument = derived("erf").chi["h"].formula
    drive = sum(sp.prod([argument.symbols[x] for x in term]) for term in (("nu_W", "q"), ("nu_F", "X"), ("nu_b",)))
    assert sp.simplify(argument.expr - 4 * nu_W / (sp.pi * sp.sqrt(1 + 4 * drive))) == 0
    assert sp.simplify(derived("erf").critical["gain"].formula.expr - sp.pi * sp.sqrt(1 + 4 * a) / 4) == 0
    fixed = derived("relu").fixed_point["h"].formula.compile("numpy")
    assert fixed(X=0.6, nu_F=0.5, nu_W=1.3, nu_b=0.1) == pytest.approx((0.5 * 0.6 + 0.1) / (2 - 1.3))


def test_the_critical_line_is_where_both_equations_hold():
    """On the line, q of the pre-activation variance a is a fixed point with chi = 1."""
    for name in ("erf", "tanh"):
        found = derived(name)
        for a in (0.05, 0.7, 3.0):
            gain, drive = (float(value(found.critical[x], a=a)) for x in ("gain", "drive"))
            at = {"nu_W": gain, "nu_b": drive, "nu_F": 0.0, "q": (a - drive) / gain}
            assert float(value(found.variance_map["h"], **at)) == pytest.approx(at["q"], rel=1e-10)
            assert float(value(found.chi["h"], **at)) == pytest.approx(1.0, rel=1e-10)


@pytest.mark.parametrize("name", ["erf", "tanh"])
def test_slopes_are_difference_quotients(name):
    found, h = derived(name), 1e-4
    for map_, slope, letter in (("variance_map", "variance_slope", "q"), ("correlation_map", "slope", "c")):
        start = {"q": 0.4, "c": 0.25}
        ends = [float(value(getattr(found, map_)["h"], **{**start, letter: start[letter] + k * h})) for k in (-1, 1)]
        derivative = float(value(getattr(found, slope)["h"], **start))
        assert (ends[1] - ends[0]) / (2 * h) == pytest.approx(derivative, rel=1e-6)


def test_tied_and_untied_matrices_have_one_map():
    tied, redrawn = derived("erf"), memory(models.elman("erf", tied=False))
    assert {name: part.formula.expr for name, part in tied.parts.items()} == {
        name: part.formula.expr for name, part in redrawn.parts.items()
    }
    assert "tied" in tied.reading


def test_numbers_come_with_bounds_that_hold():
    exact = derived("erf").chi["h"]
    twin = define("memory_erf", sp.erf(sp.Symbol("z")))
    recursion = Recursion("twin")
    W, F, C = recursion.matrix("W", "nu_W"), recursion.input_map("F", "nu_F"), recursion.readout("C", "nu_C")
    h, b = recursion.state("h"), recursion.bias("b", "nu_b")
    recursion.update(h, twin(W @ h + F @ recursion.x + b))
    recursion.output(C @ h)
    found = memory(recursion).chi["h"].formula.compile("numpy")
    number, bound = found.with_error(**{name: AT[name] for name in found.formula.arguments})
    assert abs(float(number) - float(value(exact))) <= float(bound) < 1e-12


def gate():
    r = Recursion("gated")
    W, U, C, h = r.matrix("W"), r.matrix("U"), r.readout("C"), r.state("h")
    r.update(h, sigmoid(U @ h) * h + (1 - sigmoid(U @ h)) * relu(W @ h))
    r.output(C @ h)
    return r


def test_a_redrawn_leaky_state_keeps_its_share_and_says_so():
    """chi = (1 - alpha)^2 + alpha^2 chi of the Elman recursion; the proof rests on independent redraws."""
    found = derived("leaky")
    assert float(value(found.chi["h"])) == pytest.approx(0.7**2 + 0.3**2 * float(value(derived("tanh").chi["h"])))
    assert "redrawn matrices only" in found.reading
    assert {"redrawn", "centred"} <= {step.rule for step in found.proof.steps}


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (lambda: untied(models.leaky("relu")), "a map of its own"),
        (gate, "gated"),
        (models.gru, "gated"),
        (models.lstm, "gated"),
        (models.feed_forward, "tied=False"),
        (models.leaky, "carries itself over"),
        (models.residual, "carries itself over"),
    ],
)
def test_what_has_no_map_is_refused_with_the_reason(model, word):
    with pytest.raises(NotClosed) as error:
        memory(model())
    assert word in error.value.hint


def test_a_parameter_named_as_a_letter_is_refused():
    recursion = Recursion("named")
    for letter in ("q", "c", "X"):
        with pytest.raises(LanguageError, match="These stand for"):
            recursion.matrix("W", letter)
    W, C, h = recursion.matrix("W", "q_h"), recursion.readout("C"), recursion.state("h")
    recursion.update(h, relu(W @ h))
    recursion.output(C @ h)
    with pytest.raises(LanguageError, match="rename"):
        memory(recursion)


def test_a_bias_with_a_mean_is_part_of_the_map():
    recursion = Recursion("shifted")
    W, C, h = recursion.matrix("W", "nu_W"), recursion.readout("C"), recursion.state("h")
    recursion.update(h, tanh(W @ h + recursion.bias("b", "nu_b", mean="mu")))
    recursion.output(C @ h)
    found = memory(recursion)
    found.proof.verify()
    assert "mu" in found.formula.arguments


@pytest.mark.parametrize("name", ["linear", "erf", "leaky"])
def test_no_altered_step_replays(name):
    proof = derived(name).proof
    for index, step in enumerate(proof.steps):
        if not isinstance(step.claim, Equation):
            continue
        changes = [replace(step, claim=claim) for claim in altered(step.claim)] + [replace(step, rule="covariance")]
        changes += [replace(step, premises=step.premises[1:])] if step.premises else []
        for changed in (x for x in changes if x != step):
            steps = (*proof.steps[:index], changed, *proof.steps[index + 1 :])
            with pytest.raises(ProofError):
                replace(proof, steps=steps, goal=steps[-1].claim).verify()
