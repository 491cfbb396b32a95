"""The derivative of a table by the covariance is E[phi' psi'], and is refused where it is 0.1 % wrong."""

import numpy as np
import pytest

from wideproof.derive.expectation.pair_integrals import steep
from wideproof.derive.expectation.tables import covariance_slopes, table_building
from wideproof.derive.expectation.tables.covariance_slopes import ErrorScales, slope
from wideproof.derive.expectation.tables.narrowing import narrowed

TANH, SLOPE = steep("tanh", 0, "numpy"), steep("tanh", 1, "numpy")
TABLE = table_building.build(TANH, TANH, ((0.25, 1.0),) * 2, (SLOPE, SLOPE))
RNG = np.random.default_rng(3)
A, B = RNG.uniform(0.4, 0.9, (2, 12))
R = np.array([1.0, -1.0, 1.0 - 1e-9, 0.0, *RNG.uniform(-1.0, 1.0, 8)])
C = R * np.sqrt(A * B)


def exact(a, b, r):
    """E[phi'(u) phi'(v)] by the trapezoidal rule in two independent variables."""
    z = np.linspace(-10, 10, 401)
    weight = np.exp(-z * z / 2) * 0.05 / np.sqrt(2 * np.pi)
    inner = np.cosh(np.sqrt(b) * (r * z[:, None] + np.sqrt(1 - r * r) * z)) ** -2.0 @ weight
    return np.sum(np.cosh(np.sqrt(a) * z) ** -2.0 * weight * inner)


WANT = np.array([exact(*x) for x in zip(A, B, R, strict=True)])
SPANS = ((0.4, 0.9),) * 2


def test_it_is_the_mean_of_the_derivatives_within_its_error():
    assert TABLE.slope_error < 4e-11
    assert np.abs(slope(TABLE, (A, B), C) - WANT).max() <= TABLE.slope_error


def test_over_a_part_of_the_range_it_moves_by_no_more_than_it_says():
    table = narrowed(TABLE, SPANS, ErrorScales(1.0, 1.0))
    assert np.abs(slope(table, (A, B), C) - WANT).max() <= table.slope_error < 6e-11
    assert all(x.size < y.size for x, y in zip(table.cores, TABLE.cores, strict=True) if y.size)


def test_orders_that_matter_for_the_value_only_do_not_suffice_and_are_not_said_to():
    table = narrowed(TABLE, SPANS, ErrorScales(1.0))
    assert table.slope_error == np.inf
    assert np.abs(slope(table, (A, B), C) - WANT).max() > TABLE.slope_error


@pytest.mark.parametrize("wrong", ["derivative", "orders"])
def test_a_derivative_a_thousandth_wrong_is_refused(monkeypatch, wrong):
    monkeypatch.setattr(table_building, "NODES", table_building.NODES[:1])
    if wrong == "derivative":
        monkeypatch.setattr(covariance_slopes, "slope", lambda *x: 1.001 * slope(*x))
    else:
        kept = table_building.order_weights
        monkeypatch.setattr(
            table_building, "order_weights", lambda *x: kept(*x[:4], ErrorScales(1e4 * x[4].value), *x[5:])
        )
    assert table_building.build(TANH, TANH, ((0.25, 1.0),) * 2, (SLOPE, SLOPE)) is None
