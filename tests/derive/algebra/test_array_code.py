"""Array code by definition: what is printed for each function against that function in many digits."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from wideproof.derive.algebra.array_code import (
    emitted,
    exp_at_pair,
    perron_gap,
    perron_root,
    perron_slope,
    power_at_pair,
)
from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.algebra.perron_roots import PerronGap, PerronRoot, PerronSlope
from wideproof.derive.expectation.dual_activations import Damped
from wideproof.derive.linear.momentum import ExpAtPair, PowerAtPair

X, Y, Z = sp.symbols("x y z", real=True)
POINTS = [(0.3, -0.7, 0.2), (-1.1, 0.4, 0.9), (0.5, 0.5, -2.0)]
PRINTED = {
    "maximum of two": (sp.Max(X, Y), max),
    "maximum of three": (sp.Max(X, Y, Z), max),
    "minimum of two": (sp.Min(X, Y), min),
    "minimum of three": (sp.Min(X, Y, Z), min),
}
PAIRS = [(0.3, 0.04), (0.3, -0.5), (-0.6, 0.09), (-0.6, -2.0), (0.5, 0.0), (0.9, 0.0001), (-0.2, 1.3)]


def divided_difference(function, node, s, d):
    """Of a function at node, s + sqrt(d), s - sqrt(d), by Cauchy's formula on a circle around them, in 30 digits."""
    with mpmath.workdps(30):
        nodes = [mpmath.mpf(node), s + mpmath.sqrt(d), s - mpmath.sqrt(d)]
        middle = sum(nodes) / 3
        radius = 1 + max(abs(x - middle) for x in nodes)
        count = 220
        points = [middle + radius * mpmath.expjpi(mpmath.mpf(2 * k) / count) for k in range(count)]
        terms = [function(x) * (x - middle) / mpmath.fprod(x - y for y in nodes) for x in points]
        return float(mpmath.re(mpmath.fsum(terms) / count))


@pytest.mark.parametrize("name", PRINTED)
def test_maxima_and_minima_are_those_of_all_arguments(name):
    expr, want = PRINTED[name]
    arguments = sorted(expr.free_symbols, key=str)
    of = emitted(arguments, expr, "numpy")
    for point in POINTS:
        values = point[: len(arguments)]
        for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
            turned = [values[i] for i in order if i < len(values)]
            assert of(*turned) == want(turned)
    assert np.array_equal(of(*np.array(POINTS).T[: len(arguments)]), [want(p[: len(arguments)]) for p in POINTS])


@pytest.mark.parametrize("power", range(8))
def test_powers_at_a_pair_are_divided_differences(power):
    for s, d in PAIRS:
        want = divided_difference(lambda x: x**power, 1, s, d)
        assert power_at_pair(np, power, s, d) == pytest.approx(want, rel=1e-12, abs=1e-12)
    spread = power_at_pair(np, np.array([0, 3, 7])[:, None], *np.array(PAIRS).T)
    for row, exponent in zip(spread, (0, 3, 7), strict=True):
        for value, (s, d) in zip(row, PAIRS, strict=True):
            want = divided_difference(lambda x, k=exponent: x**k, 1, s, d)
            assert value == pytest.approx(want, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("time", [0.0, 0.4, 1.5, 6.0, 11.0])
def test_exponentials_at_a_pair_are_divided_differences(time):
    for s, d in PAIRS:
        want = divided_difference(lambda x: mpmath.exp(time * x), 0, s, d)
        assert exp_at_pair(np, time, s, d) == pytest.approx(want, rel=1e-12, abs=1e-13)


def test_exponentials_of_arrays_are_those_of_their_entries():
    s, d = np.array(PAIRS).T
    together = exp_at_pair(np, np.array([[0.2], [3.0]]), s, d)
    assert together.shape == (2, len(PAIRS))
    for row, time in zip(together, (0.2, 3.0), strict=True):
        assert row == pytest.approx([exp_at_pair(np, time, *pair) for pair in PAIRS], rel=1e-13)
    assert exp_at_pair(np, np.zeros(0), 0.1, 0.2).shape == (0,)


def test_functions_of_a_pair_are_printed_with_their_arguments_in_order():
    power = emitted([X, Y, Z], PowerAtPair(X, Y, Z), "numpy")
    exponential = emitted([X, Y, Z], ExpAtPair(X, Y, Z), "numpy")
    assert power(5, 0.3, -0.5) == power_at_pair(np, 5, 0.3, -0.5)
    assert exponential(1.5, 0.3, -0.5) == exp_at_pair(np, 1.5, 0.3, -0.5)
    assert emitted([X, Y, Z], PowerDD(X, Y, Z), "numpy")(4, 0.5, 0.25) == pytest.approx((0.5**4 - 0.25**4) / 0.25)


ENTRIES = [(0.3, 0.5, 0.4, 0.2), (0.0, 1.0, 0.25, 0.0), (0.7, 0.0, 0.1, 0.2)]


def root_of(a, b, c, d):
    return (a + d + mpmath.sqrt((a - d) ** 2 + 4 * b * c)) / 2


def test_perron_roots_slopes_and_gaps_are_those_of_the_matrix():
    for a, b, c, d in ENTRIES:
        assert perron_root(np, a, b, c, d) == pytest.approx(float(root_of(a, b, c, d)), rel=1e-14)
        for place, order in enumerate(np.eye(4, dtype=int)):
            slope = float(mpmath.diff(root_of, (a, b, c, d), tuple(map(int, order))))
            assert perron_slope(np, place, a, b, c, d) == pytest.approx(slope, rel=1e-9)
    shown = np.array(ENTRIES).T
    letters = sp.symbols("a b c d", nonnegative=True)
    assert emitted(letters, PerronRoot(*letters), "numpy")(*shown) == pytest.approx(perron_root(np, *shown))
    assert emitted(letters, PerronSlope(1, *letters), "numpy")(*shown) == pytest.approx(perron_slope(np, 1, *shown))
    assert emitted(letters, PerronGap(*letters), "numpy")(*shown[:, :2]) == pytest.approx(perron_gap(np, *shown[:, :2]))
    assert perron_gap(np, *shown[:, 0]) < 1e-14
    assert perron_gap(np, 0.3, -0.5, 0.4, 0.2) == np.inf


def test_damped_functions_are_printed_as_they_are_defined():
    for odd, function in ((1, np.sinh), (0, np.cosh)):
        of = emitted([X, Y], Damped(X, Y, odd), "numpy")
        for x, y in ((0.7, 0.3), (0.7, -0.3), (2.0, 2.0), (0.0, 0.0)):
            assert of(x, y) == pytest.approx(np.exp(-x) * function(y), rel=1e-14)


def test_powers_steps_and_deltas_are_printed_as_they_are_defined():
    for expr, want in (
        (sp.sqrt(X), 0.4**0.5), (1 / sp.sqrt(X), 0.4**-0.5), (X**3, 0.4**3), (X**-2, 0.4**-2),
        (X ** sp.Rational(1, 3), 0.4 ** (1 / 3)), (sp.Heaviside(X), 1.0),
        (sp.log(2 * sp.cosh(X)), np.log(2 * np.cosh(0.4))),
        (sp.log(X), np.log(0.4)), (sp.erf(X), float(mpmath.erf(0.4))),
    ):  # fmt: skip
        assert emitted([X], expr, "numpy")(0.4) == pytest.approx(want, rel=1e-14)
    assert emitted([X], sp.Heaviside(X), "numpy")(0.0) == 0.5
    assert emitted([X], sp.Heaviside(X), "numpy")(-0.4) == 0.0
    i, k = sp.symbols("i k", integer=True)
    of = emitted([i, k], sp.KroneckerDelta(i, k), "numpy")
    assert [float(of(2, 2)), float(of(2, 3))] == [1.0, 0.0]


def test_no_text_of_an_expression_is_kept_with_its_function():
    """SymPy writes expressions into docstrings, which takes a third of the time that the code takes."""
    third = sp.Symbol("x") ** 2 / 3
    assert str(third) in str(sp.lambdify([sp.Symbol("x")], third).__doc__)
    assert str(third) not in str(emitted([sp.Symbol("x")], third, "numpy").__doc__)
