"""Theorem 3.3 and its kin on recursions in and outside the gallery: formulas, refusals and numbers."""

import re
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import (
    NotClosed,
    NotDiagonal,
    NotLinear,
    Recursion,
    equivalent_convolution,
    impulse_response,
    nngp,
    ntk,
    relu,
    scale_factors,
    state_evolution,
)
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.notation import j, k

W, V, F, C, U = sp.symbols("nu_W nu_V nu_F nu_C nu_U", nonnegative=True)
a = sp.Symbol("a", real=True)


def same(found, want, **values):
    """Equality at the lags 0 ... 6, as polynomials."""
    return all(sp.expand(found.subs(j, lag).doit() - want(lag)) == 0 for lag in range(7))


def paper_21(lag, nu_w=W, nu_f=F, nu_c=C):
    """(21): nu_C (j nu_F nu_W^{j-1} + nu_W^j) + nu_F nu_W^j."""
    slope = lag * nu_w ** (lag - 1) if lag else 0
    return sp.expand(nu_c * (nu_f * slope + nu_w**lag) + nu_f * nu_w**lag)


def test_scale_factors_are_the_papers(derived):
    assert same(derived("linear_rnn", "scale_factors").formula.expr, paper_21)


def test_scale_factors_of_two_tied_matrices(derived):
    """With W + a V and derivatives by both, each unit of slope weighs 1 + a^2."""
    nu = W + a**2 * V

    def want(lag):
        slope = lag * nu ** (lag - 1) if lag else 0
        return C * ((1 + a**2) * F * slope + nu**lag) + F * nu**lag

    assert same(derived("two_tied", "scale_factors").formula.expr, want)


def test_a_frozen_reservoir_has_no_slope(derived):
    assert same(derived("frozen", "scale_factors").formula.expr, lambda lag: C * W**lag + F * W**lag)


def test_ntk_parameterization_weighs_each_parameter_by_its_variance(build):
    found = scale_factors(build("linear_rnn"), parameterization="ntk").formula.expr
    assert same(found, lambda lag: C * F * ((lag + 2) * W**lag))


def test_stacked_states_against_an_explicit_sum(derived):
    """L_j = C sum_i U^i V W^{j-i} F: the variance is a sum over i of products."""
    want = impulse = lambda lag: C * V * F * sum(U**i * W ** (lag - i) for i in range(lag + 1))
    assert same(derived("stacked", "impulse_response").formula.expr, impulse)
    gradient = lambda lag: sum(sp.diff(want(lag), x) for x in (C, V, F, U, W))  # noqa: E731
    assert same(derived("stacked", "scale_factors").formula.expr, gradient)


@pytest.mark.parametrize("model", ["linear_rnn", "frozen", "stacked", "two_tied"])
def test_scale_factors_are_the_gradient_of_the_variance(model, derived):
    """One oracle for all: E |grad L|^2 = sum over trainable M of c^2 d Var(L_j) / d nu_M for multilinear L."""
    variance = derived(model, "impulse_response").formula.expr
    rates = {"frozen": (C, F), "linear_rnn": (C, F, W), "stacked": (C, F, W, V, U), "two_tied": (C, F, W, V)}[model]
    found = derived(model, "scale_factors").formula.expr
    assert same(found, lambda lag: sum(sp.diff(variance.subs(j, lag).doit(), x) for x in rates))


def test_redrawn_weights_at_equal_and_different_times(derived, not_diagonal):
    expr = derived("redrawn", "ntk").formula.expr
    total = expr.atoms(sp.Sum).pop()
    t, s = derived("redrawn", "ntk").formula.symbols["t"], derived("redrawn", "ntk").formula.symbols["s"]
    weight = total.function.subs({x: 1 for x in total.function.atoms(Gram)})
    for lag in range(6):
        nu = W + V
        slope, apart = (lag * x ** (lag - 1) if lag else 0 for x in (nu, W))
        at = weight.subs(j, lag).doit()
        assert sp.expand(at.subs({t: 9, s: 9}) - (C * (2 * F * slope + nu**lag) + F * nu**lag)) == 0
        assert sp.expand(at.subs({t: 9, s: 8}) - (C * (F * apart + W**lag) + F * W**lag)) == 0
    error = not_diagonal("redrawn")
    assert "equal times" in error.got
    assert "different" in error.got
    assert "redrawn" in error.hint


def test_an_identity_skip_couples_lags(derived, not_diagonal):
    error = not_diagonal("skip")
    assert "couple" in error.got
    assert "covariance" in error.hint
    response = derived("skip", "impulse_response")
    assert response.formula.expr is None
    evaluate = response.covariance.compile()
    values = {"nu_W": 0.4, "nu_F": 0.9, "nu_C": 0.7, "a": -0.6}
    lags = np.arange(6)
    found = evaluate(j=lags[:, None], k=lags, **values)
    want = [[skip_sum(p, q, lambda i: C * F * W**i) for q in lags] for p in lags]
    numbers = [[float(x.subs({W: 0.4, F: 0.9, C: 0.7, a: -0.6})) for x in row] for row in want]
    assert found == pytest.approx(np.array(numbers), rel=1e-12)
    assert response.formula.compile()(j=lags, **values) == pytest.approx(np.diag(numbers), rel=1e-12)


def skip_sum(p, q, rho):
    """Theta(j, k) = sum_i C(j, i) C(k, i) a^{j+k-2i} rho_i."""
    return sp.Add(
        *(
            sp.binomial(int(p), i) * sp.binomial(int(q), i) * a ** int(p + q - 2 * i) * rho(i)
            for i in range(min(p, q) + 1)
        )
    )


def test_the_skip_kernel_is_the_coupled_sum(derived):
    evaluate = derived("skip", "ntk").formula.compile()
    values = {"nu_W": 0.4, "nu_F": 0.9, "nu_C": 0.7, "a": -0.6}
    X = np.random.default_rng(0).standard_normal((4, 3))
    theta = np.array(
        [[float(skip_sum(p, q, paper_21).subs({W: 0.4, F: 0.9, C: 0.7, a: -0.6})) for q in range(4)] for p in range(4)]
    )
    want = [
        [sum(X[t - p, s - q] * theta[p, q] for p in range(t + 1) for q in range(s + 1)) for s in range(3)]
        for t in range(4)
    ]
    assert evaluate(X=X, **values) == pytest.approx(np.array(want), rel=1e-12)


@pytest.mark.parametrize("model", ["linear_rnn", "two_tied", "stacked", "frozen", "redrawn", "untied"])
@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_closed_kernels_are_their_recurrences(model, quantity, derived):
    """The sum over lags, written as a double loop, and the recursion over two times that compile evaluates."""
    formula = derived(model, quantity).formula
    values = dict(zip([x for x in formula.symbols if x not in "ts"], (0.4, 0.9, 0.7, 0.3, 0.8, 0.2), strict=False))
    X = np.random.default_rng(1).standard_normal((4, 3))
    assert formula.compile()(X=X, **values) == pytest.approx(double_loop(formula, values, X), rel=1e-12)
    stack = np.stack([X, 2 * X])
    assert formula.compile()(X=stack, **values)[1] == pytest.approx(2 * formula.compile()(X=X, **values))


def double_loop(formula, values, X):
    total = formula.expr.atoms(sp.Sum).pop()
    outer = sp.cancel(formula.expr / total) if formula.expr != total else sp.S.One
    gram = next(iter(total.function.atoms(Gram)))
    t, s = formula.symbols["t"], formula.symbols["s"]
    numbers = {formula.symbols[name]: sp.Rational(str(v)) for name, v in values.items()}

    def entry(time, other):
        at = {t: time, s: other, **numbers}
        weights = [(total.function / gram * outer).subs(j, lag).doit().subs(at) for lag in range(min(time, other) + 1)]
        return sum(float(w) * X[time - lag, other - lag] for lag, w in enumerate(weights))

    return np.array([[entry(time, other) for other in range(X.shape[1])] for time in range(X.shape[0])])


def test_a_coupled_block_keeps_its_recurrence(derived):
    response, rho = derived("coupled", "impulse_response"), derived("coupled", "scale_factors")
    assert response.formula.expr is None
    assert rho.formula.expr is None
    values = {"nu_W": 0.4, "nu_F": 0.9, "nu_C": 0.7, "nu_V": 0.5}
    found = response.formula.compile()(j=np.arange(6), **values)
    h, g, cross, want = 0.9, 0.0, 0.0, []
    for _ in range(6):
        want.append(0.7 * h)
        h, g, cross = 0.4 * g, 0.5 * (h + g + 2 * cross), 0.0
    assert found == pytest.approx(want, rel=1e-12)
    assert "no closed form" in response.formula.compile().__doc__
    steps = 1e-6
    rates = [
        (
            response.formula.compile()(j=5, **{**values, x: v + steps})
            - response.formula.compile()(j=5, **{**values, x: v - steps})
        )
        / (2 * steps)
        for x, v in values.items()
    ]
    assert float(rho.formula.compile()(j=5, **values)) == pytest.approx(float(sum(rates)), rel=1e-7)
    with pytest.raises(NotClosed) as error:
        equivalent_convolution(coupled_again())
    assert "circle" in error.value.got


def coupled_again():
    r = Recursion("coupled")
    W, V, F, C = r.matrix("W", "nu_W"), r.matrix("V", "nu_V"), r.input_map("F", "nu_F"), r.readout("C", "nu_C")
    h, g = r.state("h"), r.state("g")
    r.update(h, W @ g + F @ r.x)
    r.update(g, V @ (h + g))
    r.output(C @ h)
    return r


def test_the_gain_of_the_convolution_is_the_root_of_the_weight(derived):
    gain = derived("linear_rnn", "equivalent_convolution").formula.expr
    assert sp.expand(gain**2 - derived("linear_rnn", "scale_factors").formula.expr) == 0


def test_what_is_not_linear_is_refused():
    r = Recursion("biased")
    F, C, h = r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, F @ r.x + r.bias("b"))
    r.output(C @ h)
    for quantity in (impulse_response, scale_factors, equivalent_convolution):
        with pytest.raises(NotLinear) as error:
            quantity(r)
        assert "ntk" in error.value.hint


def test_a_gate_closes_only_as_a_process():
    r = Recursion("gated")
    W, U, F, C, h = r.matrix("W"), r.matrix("U"), r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, relu(U @ h) * h + W @ h + F @ r.x)
    r.output(C @ h)
    for quantity in (state_evolution, nngp, ntk):
        formula = quantity(r).formula
        assert formula.process is not None
        assert formula.recurrence is None
        with pytest.raises(NotClosed, match="Kernel"):
            formula.compile()
    with pytest.raises(NotClosed) as error:
        state_evolution(r, horizon=2)
    assert "update of h" in error.value.where


def test_options_are_checked(build):
    with pytest.raises(ParameterError, match="parameterization"):
        ntk(build("linear_rnn"), parameterization="other")
    with pytest.raises(ParameterError, match="form"):
        state_evolution(build("linear_rnn"), form="other")
    for horizon in (0, -1, 1.5):
        with pytest.raises(ParameterError, match="horizon"):
            state_evolution(build("linear_rnn"), horizon=horizon)


# ---- state evolution ---------------------------------------------------------------------------------
def test_unrolled_state_evolution_is_the_recursion(derived):
    expr = derived("linear_rnn", "state_evolution horizon").formula.expr
    gram = lambda t, s: Gram(t, s, FIRST, SECOND)  # noqa: E731
    want = sp.Matrix(3, 3, lambda t, s: F * sum(W**i * gram(t - i, s - i) for i in range(min(t, s) + 1)))
    assert (sp.Matrix(expr) - want).applyfunc(sp.expand) == sp.zeros(3)


def test_innovations_on_a_singular_gram(build):
    """E7: with a = 0 the columns repeat; the pseudo-inverse still rebuilds the covariance form."""
    r = Recursion("constant")
    W, C, h = r.matrix("W", "nu_W"), r.readout("C", "nu_C"), r.state("h", initial="nu_0", shared=True)
    r.update(h, h)
    g = r.state("g")
    r.update(g, W @ h)
    r.output(C @ g)
    derivation = state_evolution(r, form="innovations", horizon=3)
    derivation.proof.verify()
    left = {str(e.left): e.right for e in derivation.proof.goal.equations}
    assert left["Innovation(W, h, h, 1)"] == 0
    assert left["Predictor(W, h, h, 1, 1)"] == 1


def test_beyond_lemma_c1_another_theorem_is_cited(derived):
    rules = {step.rule for step in derived("elman", "ntk").proof.steps}
    assert "tensor-programs" in rules
    assert "lemma-c1" in {step.rule for step in derived("elman", "nngp").proof.steps}
    assert "tensor-programs" in {step.rule for step in derived("quadratic", "ntk").proof.steps}


# ---- nothing is typed in ------------------------------------------------------------------------------
JUDGED = ("derive/linear/errata.py", "derive/certificate/coverage.py", "reports/cli/check.py")
"""Where formulas stand as text that the referee judges: readings of the paper, and examples of its use."""
LITERALS = re.compile(r"nu\w*\s*\*\*\s*\(?\s*(j|lag)\b|nu_C\s*\*\s*nu_F\s*\*\s*nu_W", re.I)


def test_no_room_holds_the_papers_formula():
    root = Path(__file__).parents[3]
    for room in ("derive", "numeric", "reports"):
        for file in {*(root / room).rglob("*.py")} - {root / name for name in JUDGED}:
            code = "\n".join(line for line in file.read_text().splitlines() if not line.lstrip().startswith("#"))
            assert not LITERALS.search(code), (file, LITERALS.search(code))


def test_the_search_for_literals_can_fail():
    for text in ("nu_C*(j*nu_F*nu_W**(j-1)", "j * nu_W**(j - 1)", "nu_F * nu_W**j", "j*nu**(j-1)"):
        assert LITERALS.search(text)


# ---- finite width, and numbers by other means -----------------------------------------------------------
def test_derived_moments_are_those_of_wide_networks(derived):
    """Simulated at n = 600: random start, skip, bias with mean; |z| < 5 at 4 time pairs, by chance once in 10^5."""
    rng, n, trials = np.random.default_rng(3), 600, 40
    values = {"nu_W": 0.6, "nu_F": 0.7, "nu_C": 1.0, "nu_b": 0.3, "mu": 0.4, "nu_0": 0.9, "nu_c": 0.5, "mu_c": 0.2}
    x = rng.standard_normal((2, 2, 2))
    seen = np.empty((trials, 2, 2))
    for trial in range(trials):
        weight = rng.standard_normal((n, n)) * (0.6 / n) ** 0.5
        entry, bias = rng.standard_normal((n, 2)) * 0.7**0.5, 0.4 + rng.standard_normal(n) * 0.3**0.5
        start = rng.standard_normal(n) * 0.9**0.5
        paths = []
        for inputs in x:
            h, path = start, []
            for at in inputs:
                h = h / 2 + weight @ h + entry @ at + bias
                path.append(h)
            paths.append(path)
        seen[trial] = np.einsum("tn,sn->ts", *paths) / n
    want = derived("random_start", "nngp").formula.compile()(X=x[0] @ x[1].T, **values) - values["nu_c"]
    z = (seen.mean(0) - want) / (seen.std(0, ddof=1) / trials**0.5)
    assert np.abs(z).max() < 5


def test_unshared_random_starts_ask_which_sequences_are_one():
    """E[h_t h_t] = nu_W^(t+1) nu_0 for one sequence, 0 for two."""
    r = Recursion("own-start")
    W, C, h = r.matrix("W", "nu_W"), r.readout("C"), r.state("h", initial="nu_0")
    r.update(h, W @ h)
    r.output(C @ h)
    kernel, X, at = nngp(r).formula.compile(), np.zeros((2, 3, 3)), {"nu_W": 0.5, "nu_0": 0.8}
    with pytest.raises(ParameterError, match="same"):
        kernel(X=X, X1=X, X2=X, **at)
    found = kernel(X=X, X1=X, X2=X, same=np.array([1, 0]), **at)
    want = np.diag(0.8 * 0.5 ** np.arange(1, 4))
    np.testing.assert_allclose(found, [want, 0 * want], atol=1e-15)


def test_a_product_of_matrix_products(derived):
    """E[(W h)(V h) ...] = nu_W nu_V m^2 + nu_F x x', stepped by hand."""
    evaluate = derived("quadratic", "nngp").formula.compile()
    X = np.random.default_rng(5).standard_normal((3, 3))
    found = evaluate(X=X, nu_W=0.5, nu_V=0.8, nu_F=0.9, nu_C=1.0)
    m = np.zeros((4, 4))
    for t in range(3):
        for s in range(3):
            m[t + 1, s + 1] = 0.4 * m[t, s] ** 2 + 0.9 * X[t, s]
    assert found == pytest.approx(m[1:, 1:], rel=1e-12)


def test_not_diagonal_is_raised_for_untied_weights_too(not_diagonal):
    assert isinstance(not_diagonal("untied"), NotDiagonal)


def test_lags_of_the_closed_covariance_are_independent(derived):
    covariance = derived("linear_rnn", "impulse_response").covariance.expr
    assert covariance.subs({j: 3, k: 4}) == 0
    assert sp.expand(covariance.subs({j: 3, k: 3}) - C * F * W**3) == 0


@pytest.mark.parametrize(("made", "what"), [
    (lambda r, h, drive: (h, drive + 1), "a constant"),
    (lambda r, h, drive: (h, relu(drive)), "an activation"),
    (lambda r, h, drive: (h, drive + r.bias("b")), "a bias"),
    (lambda r, h, drive: (h, h * drive), "a product of states"),
])  # fmt: skip
def test_what_keeps_a_recursion_from_being_linear_is_named(made, what):
    r = Recursion("offset")
    h = r.state("h")
    r.update(*made(r, h, r.matrix("W") @ h + r.input_map("F") @ r.x))
    r.output(r.readout("C") @ h)
    with pytest.raises(NotLinear) as error:
        scale_factors(r)
    assert error.value.got == what
