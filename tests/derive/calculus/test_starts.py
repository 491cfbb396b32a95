"""What is read before the first step is what the recurrence states, and what it states is the declared start."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import (
    ProofError,
    Recursion,
    activation,
    impulse_response,
    models,
    nngp,
    ntk,
    state_evolution,
    tanh,
)
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.calculus.moments import FIRST, SECOND, Moment
from wideproof.derive.calculus.starts import BEFORE, Starts, differ, of_two, start_equations, with_later
from wideproof.derive.emit.derivation import formula_is_the_goals
from wideproof.derive.language.notation import j, k, s, t
from wideproof.derive.proof.claims import Equation, ProcessForm, Recurrence
from wideproof.derive.proof.rules import Rule
from wideproof.numeric import Kernel

NU = {"nu_W": 0.7, "nu_F": 0.5, "nu_C": 1.3}
S0, S1 = 0.8, 0.3
T = 3
RNG = np.random.default_rng(11)
X, OTHER = RNG.standard_normal((2, 1, T, 2))
QUANTITIES = (nngp, ntk, state_evolution)


def linear(shared=False, initial="nu_0"):
    """h_t = W h_{t-1} + F x_t from a random start."""
    r = Recursion("linear")
    h = r.state("h", initial=initial, shared=shared)
    r.update(h, r.matrix("W", "nu_W") @ h + r.input_map("F", "nu_F") @ r.x)
    r.output(r.readout("C", "nu_C") @ h)
    return r


def skipping(shared=False):
    """Two states with skips, numbers as variances and a bias with a mean: starts meet later states and each other."""
    r = Recursion("skipping")
    h, g = r.state("h", initial=sp.Rational(1, 2), shared=shared), r.state("g", initial="nu_0", shared=not shared)
    r.update(h, h / 2 + r.matrix("W", "nu_W") @ h + r.input_map("F", "nu_F") @ r.x + r.bias("b", "nu_b", mean="mu"))
    r.update(g, g / 3 + h / 5)
    r.output(r.readout("C", "nu_C") @ g)
    return r


def delayed():
    """h_t = W g_{t-1} + F x_t, g_t = h_{t-1}: h from a start of its own, g from a shared one."""
    r = Recursion("delayed")
    h, g = r.state("h", initial="nu_0"), r.state("g", initial="nu_1", shared=True)
    r.update(h, r.matrix("W", "nu_W") @ g + r.input_map("F", "nu_F") @ r.x)
    r.update(g, h)
    r.output(r.readout("C", "nu_C") @ (h + g))
    return r


def gated(shared=False):
    """A gate: a process, and no recurrence."""
    r = Recursion("gated")
    h = r.state("h", initial="nu_0", shared=shared)
    gate = activation("sigmoid")(r.input_map("F", "nu_F") @ r.x)
    r.update(h, gate * h + (1 - gate) * tanh(r.matrix("U", "nu_U") @ h))
    r.output(r.readout("C", "nu_C") @ h)
    return r


# ---- right values ------------------------------------------------------------------------------------
def closed(gram, start):
    """The kernels of h_t = W h_{t-1} + F x_t as sums over lags; `start` is the covariance of the two starts."""
    w, f, c = NU.values()
    outputs, gradients = np.zeros((2, T, T))
    for a, b in product(range(T), repeat=2):
        for lag in range(min(a, b) + 1):
            outputs[a, b] += c * w**lag * f * gram[a - lag, b - lag]
            own = w**lag * f + c * w**lag + (c * lag * w ** (lag - 1) * f if lag else 0.0)
            gradients[a, b] += own * gram[a - lag, b - lag]
        if a == b:
            outputs[a, a] += c * w ** (a + 1) * start
            gradients[a, a] += (w ** (a + 1) + c * (a + 1) * w**a) * start
    return {"nngp": outputs, "ntk": gradients}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_a_linear_recursion_from_a_random_start(shared, same):
    x = X if same else OTHER
    want = closed((X @ x.swapaxes(1, 2))[0], S0 if shared or same else 0.0)
    rnn, kernel = linear(shared), Kernel(linear(shared), nu_0=S0, **NU)
    grams = [a @ b.swapaxes(1, 2) for a, b in ((X, x), (X, X), (x, x))]
    for quantity in (nngp, ntk):
        name = quantity.__name__
        given = (X,) if same else (X, x)
        np.testing.assert_allclose(getattr(kernel, name)(*given)[0, :, 0], want[name], rtol=0, atol=1e-12)
        function = quantity(rnn).formula.on_sequences()
        found = function(*grams, same=same, nu_0=S0, **NU)
        np.testing.assert_allclose(found[0], want[name], rtol=0, atol=1e-12)
        last = function(*grams, same=same, readout="last", nu_0=S0, **NU)
        np.testing.assert_allclose(last[0], want[name][-1, -1], rtol=0, atol=1e-12)


def test_a_shared_start_needs_no_word_on_which_sequences_are_one():
    want, gram = closed((X @ OTHER.swapaxes(1, 2))[0], S0), X @ OTHER.swapaxes(1, 2)
    for quantity in (nngp, ntk):
        found = quantity(linear(True)).formula.compile()(X=gram, nu_0=S0, **NU)
        np.testing.assert_allclose(found[0], want[quantity.__name__], rtol=0, atol=1e-12)


@pytest.mark.parametrize("same", [True, False])
def test_delayed_reads_of_starts_with_different_laws(same):
    """The start of h comes back at odd steps, that of g at even ones; g holds what h was."""
    w, f, c = NU.values()
    x = X if same else OTHER
    own = S0 if same else 0.0
    held = {-1: own, 0: w * S1, 1: w * own, 2: w**2 * S1}  # what is left of the starts in E[h_t h'_t]
    gram = (X @ x.swapaxes(1, 2))[0]

    def moment(a, b):  # E[h_a h'_b]
        inputs = sum(w**lag * f * gram[a - 2 * lag, b - 2 * lag] for lag in range(min(a, b) // 2 + 1))
        return inputs + (held[a] if a == b else 0.0)

    want = [[c * sum(moment(p, q) for p, q in product((a, a - 1), (b, b - 1))) for b in range(T)] for a in range(T)]
    found = Kernel(delayed(), nu_0=S0, nu_1=S1, **NU).nngp(*((X,) if same else (X, x)))[0, :, 0]
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-12)


def test_unrolled_moments_of_two_sequences_keep_own_starts_apart():
    w = sp.Symbol("nu_W", nonnegative=True)
    start = sp.Symbol("nu_0", nonnegative=True)
    for shared in (True, False):
        made = state_evolution(linear(shared), horizon=T)
        made.verify()
        for a, b in product(range(T), repeat=2):
            part = made.formula.expr[a, b].subs(sp.Symbol("nu_F", nonnegative=True), 0)
            assert sp.expand(part - (w ** (a + 1) * start if shared and a == b else 0)) == 0


# ---- what is stated ----------------------------------------------------------------------------------
def form_of(derivation):
    goal = derivation.proof.goal
    return goal if isinstance(goal, Recurrence) else goal.form


def starts_of(claim):
    return [e for e in claim.equations if isinstance(e.left, Moment) and e.left.args[2] == BEFORE]


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("make", [linear, lambda: linear(True), skipping, lambda: skipping(True), delayed])
def test_every_start_has_a_step_of_its_own(quantity, make):
    made = quantity(make())
    made.verify()
    steps = {step.claim.subject: step for step in made.proof.steps if step.rule.startswith("start")}
    stated = starts_of(form_of(made))
    assert len(stated) > 2
    for e in stated:
        assert e.left in steps
        assert "definition" in steps[e.left].source


def test_a_perturbation_starts_at_zero_by_a_step():
    made = ntk(models.elman("tanh"))
    still = {e.left.args[0].label: e.right for e in starts_of(form_of(made))}
    assert still == {"h'": 0, "δh'": 0}
    assert all(e.left.args == (e.left.args[0],) * 2 + (-1, -1, FIRST, FIRST) for e in starts_of(form_of(made)))


def test_lags_before_an_impulse_are_stated():
    r = Recursion("skip")
    h = r.state("h")
    r.update(h, h / 2 + r.matrix("W", "nu_W") @ h + r.input_map("F", "nu_F") @ r.x)
    r.output(r.readout("C", "nu_C") @ h)
    made = impulse_response(r)
    step = next(x for x in made.proof.steps if x.rule == "lag-recurrence")
    assert step.claim.indices == (j, k)
    assert [e.right for e in starts_of(step.claim)] == [0]
    open_ = replace(step.claim, equations=tuple(e for e in step.claim.equations if e not in starts_of(step.claim)))
    with pytest.raises(ProofError, match="an equation or a start"):
        audit_step(replace(step, claim=open_), worlds(made.program))
    formula = replace(made.covariance, recurrence=open_)
    with pytest.raises(ProofError, match="does not say how the states start"):
        formula.compile()(j=2, k=1, nu_W=0.3, nu_F=1.0, nu_C=1.0)


# ---- mutants by hand -------------------------------------------------------------------------------------
def mutant(monkeypatch, name, change):
    """The rule with a change to what it concludes."""
    known = Rule.registry[name]
    monkeypatch.setitem(Rule.registry, name, replace(known, apply=lambda *a: change(known.apply(*a))))


def doubled(e):
    return Equation(e.left, 2 * e.right)


def off_by_a_thousandth(e):
    return Equation(e.left, sp.Rational(1001, 1000) * e.right)


def none(e):
    return Equation(e.left, sp.S.Zero)


def exchanged(e):
    """Own for shared and shared for own: between two sequences a start that has none, and none where there is one."""
    u, v, *_, label = e.left.args
    if label == FIRST or u != v:
        return e
    return Equation(e.left, sp.Symbol("nu_0", nonnegative=True) if e.right == 0 else sp.S.Zero)


def given_across(e):
    """A cross-sequence start that is none."""
    return Equation(e.left, e.right + sp.Rational(1, 1000)) if e.left.args[5] == SECOND else e


def given_to_all(e):
    """Every state with every other: also what is at rest."""
    return Equation(e.left, sp.Symbol("nu_0", nonnegative=True))


CHANGES = (doubled, off_by_a_thousandth, none, exchanged, given_across, given_to_all)
MODELS = {"own": linear, "shared": lambda: linear(True), "skipping": skipping, "delayed": delayed}


@cache
def derived(quantity, model):
    """What is derived by the rules as they are, once: no test may ask for it while a rule is changed."""
    return quantity(MODELS[model]())


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_start_is_refused(quantity, model, change, monkeypatch):
    """In the rule itself, when it is made and when it is replayed: the audit alone can tell."""
    right = {e.left: e.right for e in starts_of(form_of(derived(quantity, model)))}
    mutant(monkeypatch, "start", change)
    made = quantity(MODELS[model]())
    if {e.left: e.right for e in starts_of(form_of(made))} == right:
        pytest.skip("no start of this model changes")
    with pytest.raises(ProofError, match="audit"):
        made.verify()


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_wrong_moment_of_a_start_with_a_later_state_is_refused(quantity, monkeypatch):
    mutant(monkeypatch, "start-covariance", off_by_a_thousandth)
    with pytest.raises(ProofError, match="audit"):
        quantity(skipping()).verify()


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("model", MODELS)
def test_no_start_may_be_missing(quantity, model):
    made = derived(quantity, model)
    step = next(x for x in made.proof.steps if isinstance(x.claim, Recurrence))
    drawn = worlds(made.program)
    audit_step(step, drawn)
    for lost in starts_of(step.claim):
        open_ = replace(step.claim, equations=tuple(e for e in step.claim.equations if e != lost))
        with pytest.raises(ProofError, match="audit"):
            audit_step(replace(step, claim=open_), drawn)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_rule_that_leaves_the_starts_out_is_refused(quantity, monkeypatch):
    left_out = lambda c: replace(c, equations=tuple(e for e in c.equations if e not in starts_of(c)))  # noqa: E731
    mutant(monkeypatch, "evolution", left_out)
    with pytest.raises(ProofError, match="an equation or a start"):
        quantity(linear()).verify()


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("model", MODELS)
def test_a_formula_with_other_starts_is_refused(quantity, model):
    made = derived(quantity, model)
    for e in starts_of(made.formula.recurrence)[::4]:
        for other in (None, Equation(e.left, 2 * e.right + 1)):
            formula = with_starts(made.formula, lambda x, e=e, other=other: other if x == e else x)
            with pytest.raises(ProofError, match="read off the goal"):
                formula_is_the_goals(replace(made, formula=formula).proof)
    with pytest.raises(ProofError, match="read off the goal"):
        replace(derived(quantity, "own"), formula=with_starts(derived(quantity, "own").formula, doubled)).verify()


# ---- the evaluators read nothing else -------------------------------------------------------------------
def with_starts(formula, change):
    """The formula with other starts in its recurrence."""
    first = {e: change(e) for e in starts_of(formula.recurrence)}
    equations = tuple(x for e in formula.recurrence.equations if (x := first.get(e, e)) is not None)
    return replace(formula, recurrence=replace(formula.recurrence, equations=equations))


@pytest.mark.parametrize("shared", [True, False])
def test_the_evaluators_read_the_starts_of_the_recurrence(shared):
    grams = [a @ b.swapaxes(1, 2) for a, b in ((X, X), (X, X), (X, X))]
    formula = nngp(linear(shared)).formula
    twice = with_starts(formula, doubled).on_sequences()(*grams, same=True, nu_0=S0, **NU)
    np.testing.assert_allclose(twice[0], closed(grams[0][0], 2 * S0)["nngp"], rtol=0, atol=1e-12)
    with pytest.raises(ProofError, match="does not say how the states start"):
        with_starts(formula, lambda e: None).on_sequences()(*grams, same=True, nu_0=S0, **NU)
    if shared:
        twice = with_starts(formula, doubled).compile()(X=grams[0], nu_0=S0, **NU)
        np.testing.assert_allclose(twice[0], closed(grams[0][0], 2 * S0)["nngp"], rtol=0, atol=1e-12)
        with pytest.raises(ProofError, match="does not say how the states start"):
            with_starts(formula, lambda e: None).compile()(X=grams[0], nu_0=S0, **NU)


@pytest.mark.parametrize("make", [linear, skipping, delayed])
def test_starts_that_differ_are_seen_in_the_recurrence(make):
    assert differ(nngp(make()).formula.recurrence)
    assert not differ(nngp(linear(True)).formula.recurrence)
    assert not differ(nngp(models.elman()).formula.recurrence)


def test_a_start_that_is_read_turned_is_the_same():
    u, v = sp.symbols("u v")
    known = {with_later(u, v): 3 * Moment(u, v, -1, s - 1, FIRST, SECOND), of_two(v, u, FIRST, SECOND): sp.S(5)}
    starts = Starts(known.get)
    assert starts.right((v, u), (2, -1), same=False) == 3 * Moment(v, u, t - 1, -1, FIRST, SECOND)
    assert starts.right((v, u), (-1, -1), same=False) == 5
    with pytest.raises(ProofError, match="does not say how the states start"):
        starts.right((v, u), (-1, 0), same=False)


def test_only_what_is_read_is_asked_for():
    u, v = sp.symbols("u v")
    values = {of_two(u, u, FIRST, FIRST): sp.S(2), of_two(v, v, FIRST, FIRST): sp.S.Zero}

    def lefts(*moments):
        return {e.left for e in start_equations(moments, lambda left: values.get(left, sp.S.One), (t, s), FIRST)}

    rest = of_two(v, v, FIRST, FIRST)
    assert lefts(Moment(u, v, t, s, FIRST, SECOND)) == set()
    assert lefts(Moment(v, v, t - 1, s - 1, FIRST, SECOND)) == {rest}
    assert lefts(Moment(u, v, t - 1, s - 1, FIRST, SECOND)) == {rest, with_later(u, v)}
    assert lefts(Moment(u, u, t - 1, t - 1, FIRST, FIRST)) == {of_two(u, u, FIRST, x) for x in (FIRST, SECOND)}
    assert lefts(Moment(u, v, t - 1, t, FIRST, FIRST)) == {with_later(u, v)}


# ---- processes -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("shared", [True, False])
def test_a_process_states_its_starts(shared):
    made = nngp(gated(shared))
    made.verify()
    step = next(x for x in made.proof.steps if isinstance(x.claim, ProcessForm))
    claim, drawn = step.claim, worlds(made.program)
    assert len(claim.starts) == 2
    for i, e in enumerate(claim.starts):
        rest = (*claim.starts[:i], *claim.starts[i + 1 :])
        other = none(e) if e.right != 0 else Equation(e.left, sp.Symbol("nu_0", nonnegative=True))
        for wrong in ((other,), (Equation(e.left, e.right + sp.Rational(1, 1000)),), ()):
            if wrong == () and e.right == 0:
                continue
            with pytest.raises(ProofError):
                audit_step(replace(step, claim=replace(claim, starts=(*rest, *wrong))), drawn)


def test_the_paths_of_a_process_read_them():
    values = {"nu_0": 2.0, "nu_F": 1.0, "nu_U": 0.5, "nu_C": 1.0}
    found = {
        x: Kernel(gated(x), points=256, **values).nngp(np.concatenate([X, OTHER]))[:, 0, :, 0] for x in (True, False)
    }
    assert found[True][0, 1] > 0.3 * found[True][0, 0]
    assert abs(found[False][0, 1]) < 0.2 * found[False][0, 0]
