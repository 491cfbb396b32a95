"""Bound (22) in all its readings, against scale factors enumerated by hand-written arithmetic."""

import re
from fractions import Fraction

import numpy as np
import pytest

from wideproof.derive import (
    NotClosed,
    NotDiagonal,
    ParameterError,
    Recursion,
    models,
    refuted_bounds,
    scale_factor_bound,
    scale_factor_peak,
    training_bound,
)

FORMS = ("sharp", "T-free", "paper", "uniform")


def rho(j, nu_W, nu_F, nu_C):
    """(21) by hand, as an oracle."""
    first = j * nu_W ** (j - 1) if j else 0 * nu_W
    return nu_C * nu_F * first + (nu_C + nu_F) * nu_W**j


def value(formula, **values):
    return formula.expr.subs({formula.symbols[name]: x for name, x in values.items() if name in formula.symbols})


def points():
    rng = np.random.default_rng(3)
    for _ in range(60):
        horizon = int(rng.integers(1, 9))
        nu = {
            name: Fraction(int(a), int(b))
            for name, a, b in zip(("nu_W", "nu_F", "nu_C"), rng.integers(1, 9, 3), rng.integers(1, 9, 3), strict=True)
        }
        yield horizon, int(rng.integers(0, horizon)), nu | {"nu_W": min(nu["nu_W"], 1 / nu["nu_W"])}


@pytest.mark.parametrize("form", FORMS)
def test_the_bound_holds_at_random_rational_points(form):
    formula = scale_factor_bound(models.linear_rnn(), form).formula
    for horizon, lag, nu in points():
        assert rho(lag, **nu) <= Fraction(str(value(formula, j=lag, T=horizon, **nu))), (horizon, lag, nu)


def test_the_sharp_bound_is_attained_at_the_last_lag_and_its_slack_is_the_one_stated():
    formula = scale_factor_bound(models.linear_rnn(), "sharp").formula
    for horizon, lag, nu in points():
        slack = Fraction(str(value(formula, j=lag, T=horizon, **nu))) - rho(lag, **nu)
        assert slack == nu["nu_C"] * nu["nu_F"] * nu["nu_W"] ** (lag - 1) * (horizon - 1 - lag)


def test_the_papers_bound_is_its_power_times_its_largest_factor():
    """(22) in its true form: the power of lag j - 1 times nu_C + nu_F + T nu_C nu_F, and no sharper."""
    formula = scale_factor_bound(models.linear_rnn(), "paper").formula
    for horizon, lag, nu in points():
        largest = nu["nu_C"] + nu["nu_F"] + horizon * nu["nu_C"] * nu["nu_F"]
        assert Fraction(str(value(formula, j=lag, T=horizon, **nu))) == nu["nu_W"] ** (lag - 1) * largest


def test_false_readings_have_counter_examples_that_hand_arithmetic_confirms():
    refuted = refuted_bounds(models.linear_rnn())
    assert len(refuted) == 3
    for derived in refuted:
        at = {x.name: Fraction(str(v)) for x, v in derived.proof.goal.point}
        horizon, lag = int(at.pop("T")), int(at.pop("j"))
        largest = max(rho(i, **at) for i in range(horizon))
        power = lag - 1 if "shifted" in derived.quantity else lag
        scale = largest if "largest" in derived.quantity else at["nu_C"] * (horizon * at["nu_F"] + 1) + at["nu_F"]
        assert rho(lag, **at) > at["nu_W"] ** power * scale


def test_the_known_counter_example_of_erratum_3():
    derived = refuted_bounds(models.linear_rnn())[0]
    at = {x.name: str(v) for x, v in derived.proof.goal.point}
    assert at == {"T": "2", "j": "1", "nu_C": "1", "nu_F": "1", "nu_W": "3/10"}


def test_the_peak_is_where_the_largest_scale_factor_is():
    peak = scale_factor_peak(models.linear_rnn())
    f, rise = peak.formula.compile(), peak.rise.formula.compile()
    for nu_W, want in ((0.3, 0), (0.7, 1), (0.9, 8), (0.95, 18), (0.99, 98)):
        assert f(nu_W=nu_W, nu_F=1.0, nu_C=1.0) == want
    for _, _, nu in points():
        if nu["nu_W"] < 1:
            values = [rho(j, **nu) for j in range(200)]
            floats = {name: float(x) for name, x in nu.items()}
            assert values[int(f(**floats))] == max(values)
            assert (values[1] > values[0]) == (rise(**floats) > 1e-12)


def test_a_combination_of_matrices_and_a_frozen_transition():
    r = Recursion("two")
    W, V = r.matrix("W", "nu_W"), r.matrix("V", "nu_V", trainable=False)
    F, C, h = r.input_map("F", "nu_F"), r.readout("C", "nu_C"), r.state("h")
    r.update(h, (W + V / 2) @ h + F @ r.x)
    r.output(C @ h)
    bound = scale_factor_bound(r)
    bound.proof.verify()
    training_bound(r).proof.verify()
    f = bound.formula.compile()
    assert f(j=3, T=4, nu_W=0.2, nu_V=0.4, nu_F=1.0, nu_C=2.0) == pytest.approx(rho(3, 0.3, 1.0, 2.0))


def test_a_reservoir_has_no_counter_example_and_no_peak():
    r = Recursion("reservoir")
    W, F, C = r.matrix("W", "nu_W", trainable=False), r.input_map("F", "nu_F"), r.readout("C", "nu_C")
    h = r.state("h")
    r.update(h, W @ h + F @ r.x)
    r.output(C @ h)
    assert refuted_bounds(r) == ()
    bound = scale_factor_bound(r, "T-free")
    bound.proof.verify()
    assert bound.formula.compile()(j=2, nu_W=0.5, nu_F=1.0, nu_C=2.0) == 0.75  # attained: rho_j is one power
    with pytest.raises(NotClosed):
        scale_factor_peak(r)


def test_what_has_no_such_bound_is_refused():
    with pytest.raises(ParameterError) as caught:
        scale_factor_bound(models.linear_rnn(), "power")
    assert "sharp" in caught.value.expected
    r = Recursion("stack")
    W, V, U = (r.matrix(x, f"nu_{x}") for x in "WVU")
    F, C, g, h = r.input_map("F", "nu_F"), r.readout("C", "nu_C"), r.state("g"), r.state("h")
    r.update(g, W @ g + F @ r.x)
    r.update(h, V @ h + U @ g.next)
    r.output(C @ h)
    with pytest.raises(NotClosed):
        scale_factor_bound(r)
    skip = Recursion("skip")
    W, F, C, h = skip.matrix("W"), skip.input_map("F"), skip.readout("C"), skip.state("h")
    skip.update(h, h / 2 + W @ h + F @ skip.x)
    skip.output(C @ h)
    with pytest.raises(NotDiagonal):
        scale_factor_bound(skip)


@pytest.mark.parametrize(
    ("derive", "options", "moved", "relation"),
    [
        (scale_factor_peak, {}, {"nu_W": 1.5}, "nu_W < 1"),  # was 0: the weights grow without end
        (scale_factor_peak, {}, {"nu_W": 1.0}, "nu_W < 1"),  # was inf, after a warning of NumPy
        (scale_factor_peak, {}, {"nu_W": 0.0}, "nu_W > 0"),  # was 0, with rho_1 = 100 > rho_0 = 20
        (scale_factor_bound, {"form": "T-free"}, {"nu_W": 1.5}, "nu_W <= 1"),
        (scale_factor_bound, {"form": "sharp"}, {"j": np.arange(6)}, "j + 1 <= T"),
    ],
)
def test_numbers_outside_the_domain_of_the_proof_are_refused(derive, options, moved, relation):
    formula = derive(models.linear_rnn(), **options).formula
    numbers = {"j": 1, "T": 5, "nu_W": 0.5, "nu_F": 10.0, "nu_C": 10.0}
    inside = {name: x for name, x in numbers.items() if name in formula.symbols}
    assert np.isfinite(formula.compile()(**inside))
    with pytest.raises(ParameterError, match=f"expected {re.escape(relation)}, got .*proved there"):
        formula.compile()(**inside | moved)
