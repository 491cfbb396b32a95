"""A table is right where it says so, and one that is 0.1 % wrong is refused by its own checks."""

from dataclasses import replace

import numpy as np
import pytest

from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.nested_quadrature import Steep
from wideproof.derive.expectation.pair_integrals import steep
from wideproof.derive.expectation.tables import series_profiles, table_building
from wideproof.derive.expectation.tables.covariance_slopes import slope
from wideproof.derive.expectation.tables.pair_tables import evaluate

TANH, SLOPE, SILU = steep("tanh", 0, "numpy"), steep("tanh", 1, "numpy"), steep("silu", 0, "numpy")


def exact(phi, psi, a, b, r):
    """E[phi(u) psi(v)] by the trapezoidal rule in two independent variables, which knows neither series nor panels."""
    z = np.linspace(-10, 10, 401)
    weight = np.exp(-z * z / 2) * 0.05 / np.sqrt(2 * np.pi)
    inner = psi(np.sqrt(b) * (r * z[:, None] + np.sqrt(1 - r * r) * z)) @ weight
    return np.sum(phi(np.sqrt(a) * z) * weight * inner)


@pytest.mark.parametrize(("functions", "plain"), [
    ((TANH, TANH), (np.tanh, np.tanh)),
    ((SILU, SLOPE), (lambda z: z / (1 + np.exp(-z)), lambda z: np.cosh(z) ** -2.0)),
])  # fmt: skip
def test_a_table_agrees_with_other_integrals_within_its_error(functions, plain):
    table = table_building.build(*functions, ((0.25, 1.0), (1.0, 4.0)))
    rng = np.random.default_rng(2)
    assert table.error < 2e-11
    for a, b, r in zip(rng.uniform(0.25, 1, 20), rng.uniform(1, 4, 20), rng.uniform(-1, 1, 20), strict=True):
        found = float(evaluate(table, (np.array(a), np.array(b)), np.array(r * np.sqrt(a * b))))
        assert abs(found - exact(*plain, a, b, r)) <= table.error


def test_at_correlation_one_it_is_the_mean_square():
    table = table_building.build(TANH, TANH, ((16.0, 64.0),) * 2)
    a = np.array([16.0, 30.0, 63.0])
    z = np.linspace(-13, 13, 40001)
    want = [np.sum(np.tanh(np.sqrt(x) * z) ** 2 * np.exp(-z * z / 2)) * (z[1] - z[0]) / np.sqrt(2 * np.pi) for x in a]
    np.testing.assert_allclose(evaluate(table, (a, a), a), want, rtol=0, atol=table.error)
    np.testing.assert_allclose(evaluate(table, (a, a), -a), -np.array(want), rtol=0, atol=table.error)


@pytest.mark.parametrize("wrong", ["core", "means", "one term"])
def test_a_table_a_thousandth_wrong_is_refused(monkeypatch, wrong):
    kept = table_building._interpolated

    def spoilt(*arguments):
        table = kept(*arguments)
        if table is None:
            return None
        if wrong == "means":
            sides = tuple(replace(side, means=1.001 * side.means) for side in table.sides)
            return replace(table, sides=sides)
        factor = np.full((len(table.cores[1]), 1, 1), 1.001)
        factor[1 if wrong == "one term" else len(factor) :] = 1.0
        return replace(table, cores=(table.cores[0], table.cores[1] * factor))

    monkeypatch.setattr(table_building, "_interpolated", spoilt)
    monkeypatch.setattr(table_building, "NODES", table_building.NODES[:1])
    assert table_building.build(TANH, TANH, ((0.25, 1.0),) * 2) is None


def test_what_the_series_share_other_integrals_see(monkeypatch):
    kept = table_building.hermite_sums
    monkeypatch.setattr(table_building, "NODES", table_building.NODES[:1])
    monkeypatch.setattr(table_building, "hermite_sums",
                        lambda f, a: kept(f, a)._replace(coefficients=1.001 * kept(f, a).coefficients))  # fmt: skip
    assert table_building.build(TANH, TANH, ((0.25, 1.0),) * 2) is None


def test_a_function_too_steep_for_the_grid_has_no_table():
    assert table_building.build(*(steep("tanh", 0, "numpy")._replace(values=lambda z: np.sign(z)),) * 2,
                                ((1.0, 4.0),) * 2) is None  # fmt: skip


def off_where_both_are_one(name, span):
    """How far the derivative of a table is from E[phi'^2], where that is hardest, at variances of its range."""
    phi, turned = (steep(name, order, "numpy") for order in (0, 1))
    table = table_building.build(phi, phi, (span, span), (turned, turned))
    if table is None:
        return None
    a = np.geomspace(max(span[0], 0.01), span[1], 24)
    want = nested_quadrature.mean(np, Steep(lambda z: turned.values(z) ** 2, turned.places), 0.0, np.sqrt(a))[0]
    return float(np.max(np.abs(slope(table, (a, a), a) - want))), table.slope_error


@pytest.mark.parametrize(("name", "span"), [
    ("tanh", (0.25, 16384.0)), ("tanh", (0.0, 1.0)), ("silu", (16.0, 4096.0)), ("softplus", (1.0, 16384.0)),
], ids=str)  # fmt: skip
def test_derivatives_are_right_where_both_variables_are_one(name, span):
    off, told = off_where_both_are_one(name, span)
    assert off <= told < 2e-11


def test_a_series_whose_derivative_is_a_thousandth_wrong_makes_no_table(monkeypatch):
    kept = series_profiles._integrated
    monkeypatch.setattr(series_profiles, "_integrated", lambda slopes, values: kept(1.001 * slopes, values))
    assert off_where_both_are_one("tanh", (1.0, 4.0)) is None


@pytest.mark.parametrize("sampled", [False, True], ids=["every order", "some orders"])
def test_what_is_integrated_is_what_is_summed(monkeypatch, sampled):
    a = np.array([0.5, 4.0, 30.0])
    sums = (table_building.sampled_sums if sampled else table_building.hermite_sums)(SILU, a)
    places, form = (np.array([0, 1, 2]), np.array([2, 1, 0])), (0.6, 0.6)
    kept = series_profiles.in_the_place((sums, sums), places, (a, a), form, False)
    found = series_profiles.in_the_place((sums, sums), places, (a, a), form, True)
    assert np.max(np.abs(found - kept)) < 2e-13 * np.max(np.abs(kept))
    integrated = series_profiles._integrated
    monkeypatch.setattr(series_profiles, "_integrated", lambda slopes, values: integrated(1.001 * slopes, values))
    spoilt = series_profiles.in_the_place((sums, sums), places, (a, a), form, True)
    assert np.max(np.abs(spoilt - kept)) > 1e-6 * np.max(np.abs(kept))
