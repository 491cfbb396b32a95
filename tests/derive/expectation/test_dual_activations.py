"""Every row of the table of duals against its definition, by Price's theorem, and each against its own mutant."""

import dataclasses as dc
import json
from functools import cache
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp

from tests.gaussian_means import gaussian_mean
from wideproof.derive.expectation import mehler_series
from wideproof.derive.expectation.dual_activations import (
    DERIVED,
    FACTS,
    STRETCHED,
    Damped,
    Dual,
    a,
    b,
    c,
    dual,
    k,
    m,
    polynomial,
    written,
)
from wideproof.derive.expectation.piecewise_linear import broken
from wideproof.derive.language.activations import DEFINITIONS, FAMILIES, Z, activation, define, definition
from wideproof.derive.language.errors import NotClosed, ParameterError

PAIRS = json.loads((Path(__file__).parents[2] / "data" / "gaussian_pairs.json").read_text())["entries"]
CLOSED = (
    "identity",
    "relu",
    "erf",
    "gelu",
    "sin",
    "exp",
    "gaussian",
    "step",
    "cos",
    "abs",
    "sign",
    "leaky_relu(1/5)",
    "abrelu(-3/10, 3/2)",
    "erf_sigmoid",
)
SMOOTH = ("tanh", "sigmoid", "silu", "softplus")
BENT = ("soft_threshold",)
LAWS = ((1.3, 0.7, 0.4), (0.2, 2.0, -0.5), (1.0, 1.0, 0.0))


def test_every_name_has_a_row_or_a_series():
    families = {name.partition("(")[0] for name in CLOSED}
    others = {*DEFINITIONS, *FAMILIES} - families  # one that is given a row joins CLOSED
    assert {*SMOOTH, *BENT} <= others
    assert all(dual(name) is not None for name in CLOSED)
    assert all(dual(name) is None for name in others)
    assert all(broken(definition(name)) is not None for name in BENT)


def quadrature(phi, variance, other, covariance, means=(0.0, 0.0)):
    """E[phi(u) phi(v)], the inner variable given the outer one, split where either has its kink."""
    f = sp.lambdify(Z, phi, [{"Heaviside": lambda x, half=0.5: (np.sign(x) + 1) / 2}, "scipy", "numpy"])
    x, w = np.polynomial.legendre.leggauss(60)
    root, slope = variance**0.5, covariance / variance
    rest = (other - covariance * slope) ** 0.5

    def expectation(g, mean, deviation):
        mean, total = np.asarray(mean)[..., None], 0.0
        kink = np.clip(-mean / deviation, -9, 9)
        for low, high in ((-9.5, kink), (kink, 9.5)):
            for piece in range(4):
                left, width = low + (high - low) * piece / 4, (high - low) / 8
                z = left + width * (x + 1)
                total = total + np.sum(width * w * g(mean + deviation * z) * np.exp(-z * z / 2), axis=-1)
        return total / (2 * np.pi) ** 0.5

    def outer(u):
        return f(u) * expectation(lambda v: f(v) + 0 * v, means[1] + slope * (u - means[0]), rest)

    return expectation(outer, means[0], root)


def check_row(row, law, means=(0.0, 0.0)):
    at = dict(zip((a, b, c, m, k), (*law, *means), strict=True))
    found = float(written(row.pair).subs(at))
    assert found == pytest.approx(quadrature(row.phi, *law, means), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("name", CLOSED)
def test_a_row_is_its_definition(name):
    row = dual(name)
    for law in LAWS[:2]:
        check_row(row, law)
    if row.shifted:
        check_row(row, LAWS[0], (0.6, -0.3))


@pytest.mark.parametrize("name", CLOSED)
def test_a_row_wrong_by_a_thousandth_is_caught(name):
    with pytest.raises(AssertionError):
        check_row(dc.replace(dual(name), pair=dual(name).pair * sp.Rational(1001, 1000)), LAWS[0])


# ---- every row and every coefficient -------------------------------------------------------------------
DEFAULTS = {name: f"{name}({', '.join(map(str, given))})" for name, (given, _) in FAMILIES.items()}
ROWS = [DEFAULTS.get(name, name) for name in (*FACTS, *DERIVED)] + list(CLOSED)
ROWS = list(dict.fromkeys(name for name in ROWS if dual(name) is not None))
"""The whole table: a new row is here as soon as it is there."""
MEANS = (0.6, -0.3)
ORDERS = [(1, 1), (0, 1), (2, 1), (2, 0), (2, 2)]


@cache
def by_definition(name, order=(0, 0)):
    """(law, means) -> the expectation by quadrature of the definition; centred laws only where the row is."""
    row = dual(name)
    found = {}
    for law in LAWS[:2]:
        for means in ((0.0, 0.0), MEANS)[: 1 + row.shifted]:
            f, g = (sp.diff(row.phi, Z, k) for k in order)
            if f.has(sp.DiracDelta) or g.has(sp.DiracDelta):
                return {}
            found[law, means] = on_panels(f, g, law, means)
    return found


def on_panels(f, g, law, means):
    """E[f(u) g(v)] on a fine grid of panels of both variables, cut at the kinks."""
    x, w = np.polynomial.legendre.leggauss(40)
    modules = [{"Heaviside": lambda x, half=0.5: (np.sign(x) + 1) / 2}, "scipy", "numpy"]
    f, g = (sp.lambdify(Z, h, modules) for h in (f, g))

    def panels(mean, deviation):
        kink = np.clip(-mean / deviation, -9, 9)
        ends = np.concatenate([np.linspace(-9.5, kink, 6), np.linspace(kink, 9.5, 6)[1:]])[..., None]
        halves = np.diff(ends, axis=0) / 2
        z, weights = (
            np.moveaxis(y, 0, -2).reshape(*kink.shape, -1) for y in (ends[:-1] + halves * (1 + x), halves * w)
        )
        return mean[..., None] + deviation * z, weights * np.exp(-z * z / 2) / (2 * np.pi) ** 0.5

    u, outer = panels(np.asarray(means[0]), law[0] ** 0.5)
    slope, rest = law[2] / law[0], (law[1] - law[2] ** 2 / law[0]) ** 0.5
    v, inner = panels(means[1] + slope * (u - means[0]), rest)
    return float(np.sum(outer * f(u) * np.sum(inner * (g(v) + 0 * v), axis=-1)))


def agrees(expr, wanted):
    """Whether an expression in a, b, c, m, k has the values of the definition."""
    value = sp.lambdify([a, b, c, m, k], written(expr), "mpmath")
    return all(
        abs(complex(value(*law, *means)) - want) <= 1e-9 * max(abs(want), 1e-2) for (law, means), want in wanted.items()
    )


def parts(expr):
    """Every summand and every number of an expression, wherever it stands but in an exponent."""
    todo, found = [expr], set()
    while todo:
        x = todo.pop()
        if x.is_Add:
            found.update(x.args)
        found.update(y for y in x.args if y.is_Number and not x.is_Pow and y not in (0, 1, -1))
        todo += x.args[:1] if x.is_Pow and x.exp.is_Number else x.args
    return sorted(found, key=sp.default_sort_key)


@pytest.mark.parametrize("name", ROWS)
def test_every_part_of_every_row_matters(name):
    pair, wanted = written(dual(name).pair), by_definition(name)
    assert agrees(pair, wanted)
    assert not agrees(pair * sp.Rational(1001, 1000), wanted)
    for part in parts(pair):
        wrong = pair.xreplace({part: part * sp.Rational(1001, 1000)})
        assert not agrees(wrong, wanted), part


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_every_derivative_of_every_row_is_its_definition(name, order):
    found, wanted = dual(name).derivative(*order), by_definition(name, order)
    if found is None or not wanted:
        return
    assert agrees(found, wanted)
    if any(abs(want) > 1e-6 for want in wanted.values()):
        assert not agrees(found * sp.Rational(1001, 1000), wanted)


def test_the_oracle_covers_the_whole_table():
    assert {name.partition("(")[0] for name in ROWS} >= {*FACTS, *DERIVED}


PRICED = {"relu": "step", "abs": "sign", "sin": "cos", "exp": "exp"}


def certify(row, slope):
    """d pair / dc = E[phi' phi'], and pair at c = 0 is the product of the means: the row follows from its slope."""
    point = {a: sp.Rational(13, 10), b: sp.Rational(7, 10), c: sp.Rational(2, 5), m: 0, k: 0}
    residual = written(sp.diff(row.pair, c) - slope).subs(point)
    assert abs(sp.N(residual, 30)) < sp.Float("1e-25")
    alone = row.mean().subs(m, 0)
    start = written(row.pair).subs({c: 0, m: 0, k: 0}) - alone * alone.subs(a, b)
    assert abs(sp.N(start.subs(point), 30)) < sp.Float("1e-25")


@pytest.mark.parametrize("name", PRICED)
def test_price_certifies_a_row_by_the_row_of_its_derivative(name):
    certify(dual(name), dual(PRICED[name]).pair)
    with pytest.raises(AssertionError):
        certify(dc.replace(dual(name), pair=dual(name).pair * sp.Rational(1001, 1000)), dual(PRICED[name]).pair)


GAUSS = sp.sqrt(1 + 2 * a + 2 * b + 4 * a * b - 4 * c**2)
ROOT = sp.sqrt(1 + a + b + a * b - c**2)
CURVED = {
    "erf": (1, 4 / (sp.pi * GAUSS)),
    "erf_sigmoid": (1, 1 / (sp.pi * GAUSS)),
    "gelu": (2, None),
    "gaussian": (1, None),
    "cos": (1, None),
}


@pytest.mark.parametrize("name", CURVED)
def test_price_certifies_a_curved_row(name):
    """The derivative in c against E[phi^(i) phi^(i)] by quadrature, or in closed form where that is a Gaussian one."""
    order, closed = CURVED[name]
    row = dual(name)
    if closed is not None:
        return certify(row, closed)
    phi = sp.diff(row.phi, Z, order)
    for law in LAWS[:2]:
        found = float(written(row.derivative(order, order)).subs(dict(zip((a, b, c, m, k), (*law, 0, 0), strict=True))))
        assert found == pytest.approx(quadrature(phi, *law), rel=1e-9)
    return None


def test_means_of_every_row_are_the_integral():
    for name in CLOSED:
        row = dual(name)
        for order in (0, 1):
            mean = row.mean(order)
            if mean is None:  # the derivative of a jump
                assert name in ("step", "sign")
                continue
            f = sp.lambdify(Z, sp.diff(row.phi, Z, order), "mpmath")
            want = mpmath.quad(lambda z, f=f: f(1.1 * z) * mpmath.npdf(z), [-12, 0, 12])
            assert float(mean.subs({a: sp.Rational(121, 100), m: 0})) == pytest.approx(float(want), abs=1e-12), name


def test_polynomials_come_from_isserlis():
    assert polynomial(Z**3).pair.subs({m: 0, k: 0}) == 9 * a * b * c + 6 * c**3
    assert polynomial(Z).pair == c + k * m
    check_row(polynomial(1 + Z - Z**2 / 5 + Z**3 / 10), LAWS[0], (0.6, -0.3))
    with pytest.raises(NotClosed):
        polynomial(sp.sin(Z))


# ---- numbers ------------------------------------------------------------------------------------------
NAMES = {"id": "identity", "leaky_relu_0.1": "leaky_relu(1/10)"}


def named(text):
    order = int(text.startswith("d"))
    return NAMES.get(text, text[order:] if order else text), order


@pytest.mark.parametrize("entry", PAIRS, ids=lambda e: f"{e['f']}-{e['g']}-{e['a']}-{e['b']}-{e['c']}-{e['mean_u']}")
def test_numbers_agree_with_22_digits(entry):
    (first, i), (second, j) = named(entry["f"]), named(entry["g"])
    found, bound = gaussian_mean(
        first, second, (entry["a"], entry["b"]), entry["c"], (entry["mean_u"], entry["mean_v"]), (i, j)
    )
    want = float(entry["value"])
    assert abs(float(found) - want) <= float(bound) + 4e-16 * max(1.0, abs(want)) * 4
    if "relu" not in (first, second) or first == second:  # a kink beside another function has a slow series
        assert float(found) == pytest.approx(want, rel=1e-12, abs=1e-13)
        assert float(bound) < 1e-12


def trapezoid(phi, law, h=0.02, reach=11.0):
    """E[phi(u) phi(v)] on a plane grid, the brute-force oracle of smooth functions."""
    x = np.arange(-reach, reach + h / 2, h)
    weight = np.exp(-x * x / 2) * h / (2 * np.pi) ** 0.5
    low = np.linalg.cholesky([[law[0], law[2]], [law[2], law[1]]])
    u, v = low[0, 0] * x[:, None], low[1, 0] * x[:, None] + low[1, 1] * x
    return float(weight @ (phi(u) * phi(v)) @ weight)


@pytest.mark.parametrize("variance", [0.1, 1.0, 10.0])
def test_tanh_reaches_1e12_with_a_true_bound(variance):
    law = (variance, 0.8 * variance, 0.6 * variance)
    for order, phi in ((0, np.tanh), (1, lambda z: 1 / np.cosh(z) ** 2)):
        found, bound = gaussian_mean("tanh", "tanh", law[:2], law[2], orders=(order, order))
        assert float(bound) < 1e-12
        assert abs(float(found) - trapezoid(phi, law)) < 1e-12


def test_an_activation_given_a_coordinate_for_a_parameter_says_where_it_goes():
    with pytest.raises(ParameterError, match=r"activation tanh: expected no parameters.*activation\('tanh'\)\(z\)"):
        activation("tanh", Z)


def test_a_series_cut_too_early_says_so_and_integrals_take_over():
    """Far out the orders run out: the bound of the series holds and is not small, the result is that of integrals."""
    tanh = mehler_series.series(np, np.tanh, np.zeros(1), np.full(1, 1e3))
    series, loose = mehler_series.pair(np, tanh, tanh, np.ones(1))
    found, bound = gaussian_mean("tanh", "tanh", (1e3, 1e3), 1e3)
    with mpmath.workdps(20):
        root, places = mpmath.sqrt(1000), [-9, -1, -0.1, 0, 0.1, 1, 9]
        want = float(mpmath.quad(lambda z: mpmath.tanh(root * z) ** 2 * mpmath.npdf(z), places))
    assert 1e-10 < abs(series[0] - want) < loose[0]
    assert abs(float(found) - want) <= float(bound) < 1e-14


def test_a_kink_between_curved_pieces_is_within_reach_wherever_the_definition_tells_it():
    define("bulge", Z * sp.Max(Z, 0))
    found, error = gaussian_mean("bulge", "bulge", (1.0, 1.0), 1.0)
    assert abs(float(found) - 1.5) <= float(error) < 1e-14
    define("far_bulge", (Z - sp.Rational(1, 3)) * sp.Max(Z - sp.Rational(1, 3), 0))
    found, error = gaussian_mean("far_bulge", "erf", (1.0, 1.0), 0.5)
    third, given = mpmath.mpf(1) / 3, 0.5 / mpmath.sqrt(2.5)  # E[erf(v) | u] = erf(given u)
    want = mpmath.quad(lambda u: (u - third) ** 2 * mpmath.erf(given * u) * mpmath.npdf(u), [third, 3, 13])
    assert abs(float(found) - float(want)) <= float(error) < 1e-12 < abs(1.001 * float(found) - float(want))


def line(f):
    """E[f(z)], z standard normal."""
    return mpmath.quad(lambda z: f(z) * mpmath.npdf(z), [-12, -3, 0, 3, 12])


@pytest.mark.parametrize("name", [n for n in CLOSED if n not in ("step", "sign")] + list(SMOOTH))
@pytest.mark.parametrize("order", [0, 1])
def test_coincident_opposite_and_zero_variables_are_exact(name, order):
    """(u, u), (u, -u) and (0, v) have one-dimensional expectations."""
    f = sp.lambdify(Z, definition(name, order), "mpmath")
    half = {"relu": 0.5, "abs": 0.0, "leaky_relu(1/5)": 0.6, "abrelu(-3/10, 3/2)": 0.6}.get(name) if order else None
    zero = half if half is not None else float(f(mpmath.mpf(0)))
    for variance, sign in ((0.7, 1), (0.7, -1), (2.5, 1)):
        found, _ = gaussian_mean(name, name, (variance, variance), sign * variance, orders=(order, order))
        want = line(lambda z, r=variance**0.5, sign=sign: f(r * z) * f(sign * r * z))
        assert float(found) == pytest.approx(float(want), rel=1e-13, abs=1e-14)
    for variances in ((0.0, 0.0), (0.0, 1.3)):
        found, _ = gaussian_mean(name, name, variances, 0.0, orders=(order, order))
        alone = zero if variances[1] == 0 else line(lambda z: f(mpmath.sqrt(1.3) * z))
        assert float(found) == pytest.approx(zero * float(alone), rel=1e-13, abs=1e-14)


@pytest.mark.parametrize("gap", [1e-4, 1e-8, 1e-12])
def test_nearly_coincident_variables_lose_no_digits(gap):
    """The slope of ReLU falls by sqrt(2 gap) / 2 pi: an epsilon in the angle would hide it."""
    one = 1.0 - gap
    with mpmath.workdps(30):
        rho = mpmath.mpf(one)
        slope = (mpmath.pi - mpmath.acos(rho)) / (2 * mpmath.pi)
        pair = (mpmath.sqrt(1 - rho**2) + rho * (mpmath.pi - mpmath.acos(rho))) / (2 * mpmath.pi)
    for order, want in ((0, pair), (1, slope)):
        found, _ = gaussian_mean("relu", "relu", (1.0, 1.0), one, orders=(order, order))
        assert float(found) == pytest.approx(float(want), rel=1e-15)


def test_large_variances_do_not_overflow():
    for name in ("sin", "cos", "erf", "gaussian", "relu", "gelu"):
        for order in (0, 1):
            found, _ = gaussian_mean(name, name, (1e5, 1e5), 1e5, orders=(order, order))
            assert np.isfinite(found)
    assert float(gaussian_mean("sin", "sin", (1e5, 1e5), 1e5)[0]) == pytest.approx(0.5, rel=1e-12)


def test_arrays_broadcast_and_nonsense_is_refused():
    found, _ = gaussian_mean("relu", "relu", (np.ones((3, 1)), np.ones((1, 4))), np.linspace(-1, 1, 4)[None, :])
    assert found.shape == (3, 4)
    with pytest.raises(NotClosed):
        gaussian_mean("step", "step", (1.0, 1.0), 0.5, orders=(1, 1))


def test_facts_are_few():
    """What must be believed: six rows; a row's tangent factor and means are never typed in."""
    assert set(FACTS) == {"relu", "erf", "gelu", "sin", "exp", "gaussian"}
    assert {f.name for f in dc.fields(Dual)} == {"phi", "pair", "source"}
    assert all(row.source for row in FACTS.values())


SHORT = {"erf": 4 / (sp.pi * sp.sqrt(STRETCHED)), "erf_sigmoid": 1 / (sp.pi * sp.sqrt(STRETCHED))}


@pytest.mark.parametrize("name", SHORT)
def test_the_slope_of_a_row_with_one_root_is_the_short_form(name):
    assert dual(name).slope == SHORT[name]
    assert dual(name).derivative(2, 2) == sp.diff(SHORT[name], c)


@pytest.mark.parametrize("name", ["erf", "erf_sigmoid", "gelu"])
@pytest.mark.parametrize("order", [1, 2])
def test_shortened_derivatives_are_accurate_where_the_variables_coincide_or_oppose_each_other(name, order):
    """Within 16 roundings of E[phi^(k)(u)^2]; powers of two, so that the determinant is exact."""
    exact = sp.lambdify([a, b, c], sp.diff(written(dual(name).pair), c, order), "mpmath")
    for size in (2.0**-20, 1.0, 2.0**20):
        for part in (1.0, 1 - 2.0**-26, 0.25, -1 + 2.0**-26, -1.0):
            found, bound = gaussian_mean(name, name, (size, size), part * size, orders=(order, order))
            with mpmath.workdps(60):
                want, most = (exact(*map(mpmath.mpf, (size, size, x * size))) for x in (part, 1.0))
            assert abs(float(found) - float(want)) <= bound
            assert abs(float(found) - float(want)) <= 16 * np.finfo(float).eps * float(most), (size, part)


@pytest.mark.parametrize("odd", [0, 1])
def test_a_damped_function_has_the_derivatives_of_what_it_stands_for(odd):
    x, y = sp.symbols("x y", positive=True)
    damped = Damped(x, y, odd)
    at = {x: sp.Rational(7, 5), y: sp.Rational(3, 4)}
    for letter in (x, y):
        want = sp.diff(damped.doit(), letter).subs(at)
        assert abs(sp.N(sp.diff(damped, letter).doit().subs(at) - want, 30)) < 1e-25
