"""Piecewise linear functions of Gaussian variables with means: against quadrature cut at every kink."""

from __future__ import annotations

import dataclasses as dc
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from tests.gaussian_means import gaussian_mean
from wideproof.derive.expectation import piecewise_linear
from wideproof.derive.expectation.pair_integrals import Variables, expectation
from wideproof.derive.expectation.piecewise_linear import broken
from wideproof.derive.language.activations import Z, define, definition

DEFINED = {
    "hard_tanh": sp.Max(-1, sp.Min(1, Z)),
    "hinge_sum": sp.Max(Z - 1, 0) - sp.Max(-Z - 1, 0),
    "torn": sp.Abs(sp.Abs(Z) - 1) + 3 * Z * sp.Heaviside(Z - 2) + sp.sign(Z),
}
for _name, _phi in DEFINED.items():
    define(_name, _phi)
BREAKS = (-2.0, -1.0, 0.0, 1.0, 2.0)
LAWS = {  # a, c, b, mean of u, mean of v
    "generic": (1.3, 0.4, 0.7, 0.3, -0.5),
    "close": (0.04, 0.15, 1.0, 0.5, -1.0),
    "free": (2.0, 0.0, 0.5, -1.0, 0.0),
    "equal": (0.9, 0.9, 0.9, 0.4, 0.4),
    "opposite": (0.9, -0.9, 0.9, 0.4, -0.4),
    "crossed": (0.9, -0.9, 0.9, 0.4, 0.4),
}
X, W = np.polynomial.legendre.leggauss(24)


def cut(f, mean, deviation, breaks=()):
    """E[f(mean + deviation z)] in pieces between the kinks."""
    inside = [(t - mean) / deviation for t in BREAKS] if deviation else []
    ends = sorted({-11.0, *np.linspace(-9, 9, 13), 11.0, *(e for e in (*inside, *breaks) if abs(e) < 11)})
    z, w = (
        np.concatenate(x)
        for x in zip(*[((p + q) / 2 + (q - p) / 2 * X, (q - p) / 2 * W) for p, q in pairwise(ends)], strict=True)
    )
    return float(np.sum(w * np.exp(-z * z / 2) * f(mean + deviation * z)) / np.sqrt(2 * np.pi))


def quadrature(f, g, law):
    a, c, b, m, k = law
    slope, rest = c / a, max(b - c * c / a, 0.0) ** 0.5

    def outer(u):
        if rest < 1e-8:
            return f(u) * g(k + slope * (u - m))
        return np.array([f(x) * cut(g, k + slope * (x - m), rest) for x in u])

    turned = [(m + (t - k) / slope - m) / a**0.5 for t in BREAKS] if slope else []
    return cut(outer, m, a**0.5, turned)


def function(name, order=0):
    modules = [{"Heaviside": lambda x, half=0.5: np.heaviside(x, 0.5)}, "scipy", "numpy"]
    phi = sp.lambdify(Z, definition(name, order), modules)
    return lambda z: phi(z) + 0.0 * z


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize(
    ("first", "second"),
    [("relu", "relu"), ("torn", "hard_tanh"), ("step", "abs"), ("sign", "hinge_sum"), ("leaky_relu(1/5)", "torn")],
)
def test_moments_are_those_of_the_definition(first, second, law):
    a, c, b, m, k = law
    found, bound = gaussian_mean(first, second, (a, b), c, (m, k))
    assert 0 < bound < 1e-12 * max(1, abs(found))  # rounding of its parts
    assert float(found) == pytest.approx(quadrature(function(first), function(second), law), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize(
    ("bent", "smooth"), [("relu", "tanh"), ("torn", "gelu"), ("sign", "softplus"), ("hinge_sum", "exp")]
)
def test_a_kinked_function_meets_a_smooth_one_within_the_stated_bound(bent, smooth, law):
    a, c, b, m, k = law
    found, bound = gaussian_mean(bent, smooth, (a, b), c, (m, k))
    turned, _ = gaussian_mean(smooth, bent, (b, a), c, (k, m))
    want = quadrature(function(bent), function(smooth), law)
    assert 0 < bound < 1e-13 * (1 + abs(want))
    assert float(found) == float(turned) == pytest.approx(want, rel=1e-12, abs=1e-13)
    wrong, _ = gaussian_mean(bent, smooth, (a, b), c, (m, k + 0.001))
    assert abs(wrong - want) > 1e-5 * max(abs(want), 0.1)


def test_pairs_of_a_kinked_and_a_smooth_function_come_in_batches():
    a, b = np.array([0.0, 0.3, 2.0])[:, None], np.array([0.0, 0.5, 1.0, 4.0])
    c = 0.9 * np.sqrt(a * b)
    found, bound = gaussian_mean("relu", "tanh", (a, b), c, (0.2, 0.1))
    alone = [[float(gaussian_mean("relu", "tanh", (x, y), z, (0.2, 0.1))[0]) for y, z in zip(b, row, strict=True)]
             for x, row in zip(a[:, 0], c, strict=True)]  # fmt: skip
    assert found.shape == bound.shape == (3, 4)
    np.testing.assert_allclose(found, alone, rtol=1e-13)
    np.testing.assert_allclose(found[0, 0], 0.2 * np.tanh(0.1), rtol=1e-14)


def test_slopes_are_those_of_the_definition_and_a_wrong_kink_is_seen():
    law = LAWS["generic"]
    found, _ = gaussian_mean("hard_tanh", "hinge_sum", (law[0], law[2]), law[1], law[3:], (1, 1))
    want = quadrature(lambda z: 1.0 * (abs(z) < 1), lambda z: 1.0 * (abs(z) > 1), law)
    assert float(found) == pytest.approx(want, abs=1e-12)
    phi = piecewise_linear.broken(definition("hard_tanh"))
    (at, bend, jump), *rest = phi.kinks
    wrong = dc.replace(phi, kinks=((at * 1.001, bend, jump), *rest))
    means = [float(piecewise_linear.mean(np, x, 0.3, np.asarray(1.1))) for x in (phi, wrong)]
    want = cut(function("hard_tanh"), 0.3, 1.1)
    assert means[0] == pytest.approx(want, abs=1e-13)
    assert abs(means[1] - want) > 1e-5


@pytest.mark.parametrize("name", ["relu", "abs", "hard_tanh", "torn"])
def test_constants_are_finite_and_exact(name):
    phi = function(name)
    for a, b in ((0.0, 0.0), (0.0, 0.7), (0.7, 0.0)):
        found, _ = gaussian_mean(name, name, (a, b), 0.0, (0.4, -0.3))
        assert float(found) == pytest.approx(cut(phi, 0.4, a**0.5) * cut(phi, -0.3, b**0.5), abs=1e-13)


def test_centred_rows_of_the_table_are_the_same():
    law = Variables("numpy", (np.array(1.3), np.array(0.7)), np.array(0.4))
    for name in ("relu", "abs", "step", "sign", "abrelu(-3/10, 3/2)"):
        phi = piecewise_linear.broken(definition(name))
        assert phi is not None
        rest = np.sqrt(law.det) / law.norm
        found = piecewise_linear.pair_mean(np, phi, phi, law.means, (1.3**0.5, 0.7**0.5), law.correlation, rest)
        np.testing.assert_allclose(found, expectation(((name, 0), (name, 0)), law)[0], rtol=1e-14)


def test_what_is_not_piecewise_linear_is_none():
    for phi in (Z * sp.Max(Z, 0), sp.tanh(Z), sp.Max(sp.sin(Z), 0), Z * sp.Symbol("q")):
        assert piecewise_linear.broken(phi) is None


# ---- each part of the kink code is looked at ----------------------------------------------------------
PAIRS_OF_KINKS = [("relu", "relu"), ("torn", "hard_tanh"), ("step", "abs"), ("sign", "hinge_sum"), ("torn", "torn")]


def everything_agrees():
    """Whether all moments of all pairs are those of the definition."""
    for first, second in PAIRS_OF_KINKS:
        phi, psi = broken(definition(first)), broken(definition(second))
        for law in LAWS.values():
            a, c, b, m, k = law
            r = c / (a * b) ** 0.5
            rest = max(1 - r * r, 0.0) ** 0.5 if abs(abs(r) - 1) > 1e-12 else 0.0
            arrays = [np.asarray(x) for x in (m, k, a**0.5, b**0.5, r, rest)]
            found = piecewise_linear.pair_mean(np, phi, psi, tuple(arrays[:2]), tuple(arrays[2:4]), *arrays[4:])
            if abs(float(found) - WANTED[first, second, law]) > 1e-9:
                return False
    return True


WANTED = {
    (first, second, law): quadrature(function(first), function(second), law)
    for first, second in PAIRS_OF_KINKS
    for law in LAWS.values()
}
PARTS = {
    "mean": piecewise_linear,
    "_slope_mean": piecewise_linear,
    "_jumps": piecewise_linear,
    "density": piecewise_linear,
    "normal": piecewise_linear,
    "product": piecewise_linear.Standard,
}


@pytest.mark.parametrize("name", PARTS)
def test_each_part_wrong_by_a_thousandth_is_caught(name, monkeypatch):
    assert everything_agrees()
    true = getattr(PARTS[name], name)
    monkeypatch.setattr(PARTS[name], name, lambda *args: true(*args) * 1.001)
    assert not everything_agrees()


@pytest.mark.parametrize("kind", [(True, True), (True, False), (False, True), (False, False)])
def test_each_kind_of_product_wrong_by_a_thousandth_is_caught(kind, monkeypatch):
    true = piecewise_linear.Standard.product
    monkeypatch.setattr(
        piecewise_linear.Standard, "product", lambda law, of: true(law, of) * (1.001 if of == kind else 1.0)
    )
    assert not everything_agrees()


@pytest.mark.parametrize("name", ["orthant", "edges", "gap"])
def test_each_property_of_the_law_wrong_by_a_thousandth_is_caught(name, monkeypatch):
    true = getattr(piecewise_linear.Standard, name).func

    def wrong(law):
        value = true(law)
        return tuple(x * 1.001 for x in value) if isinstance(value, tuple) else value * 1.001

    monkeypatch.setattr(piecewise_linear.Standard, name, property(wrong))
    assert not everything_agrees()


@pytest.mark.parametrize("field", range(3))
@pytest.mark.parametrize("name", DEFINED)
def test_each_number_of_a_broken_line_matters(name, field):
    """A kink moved, or its bend or jump changed, by a thousandth gives another function."""
    parts = broken(DEFINED[name])
    z = np.linspace(-3.3, 3.3, 4001)

    def values(phi):
        lines = phi.offset + phi.slope * z
        return lines + sum(bend * np.maximum(z - at, 0) + jump * (z > at) for at, bend, jump in phi.kinks)

    exact = function(name)(z)
    assert np.abs(values(parts) - exact)[[all(abs(x - at) > 1e-6 for at, *_ in parts.kinks) for x in z]].max() < 1e-12
    for i, kink in enumerate(parts.kinks):
        if kink[field]:
            moved = tuple(x * (1.001 if place == field else 1.0) for place, x in enumerate(kink))
            wrong = dc.replace(parts, kinks=(*parts.kinks[:i], moved, *parts.kinks[i + 1 :]))
            assert np.abs(values(wrong) - exact).max() > 5e-4
