"""A few orders of a series tell what all of them add up to, at variances where there are millions of them."""

import numpy as np
import pytest

from wideproof.derive import define
from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.pair_integrals import steep
from wideproof.derive.expectation.tables import covariance_slopes, sampled_series, table_building
from wideproof.derive.expectation.tables.pair_tables import evaluate

LAWS = np.array([[5000.0, 9000.0, 0.6], [9000.0, 9000.0, -0.97], [12000.0, 4500.0, 0.999]]).T
"""Two variances and a correlation."""
WANT = {
    "tanh": [0.40960445621424, -0.84343623434595, 0.96980375099039],
    "silu": [2272.1267210007, 6.900027382727, 3670.5626191967],
    "tanh'": [0.00011860338365235, 0.00029051840190759, 0.0018281937829195],
}
"""E[phi(u) phi(v)], by the trapezoidal rule over the joint density at steps of 1/5 to 3/5, to 9 deviations."""


def table_of(name):
    phi, slope = steep(name, 0, "numpy"), steep(name, 1, "numpy")
    return table_building.build(phi, phi, ((4096.0, 16384.0),) * 2, (slope, slope) if name == "tanh" else None)


@pytest.mark.parametrize("name", ["tanh", "silu"])
def test_tables_at_large_variances_are_what_other_integrals_say(name):
    a, b, r = LAWS
    c, table = r * np.sqrt(a * b), table_of(name)
    want = np.array(WANT[name])
    assert np.all(np.abs(evaluate(table, (a, b), c) - want) <= table.error + 1e-12 * np.abs(want))
    assert table.error <= 2e-11 * max(1.0, want.max() * 2)
    if name == "tanh":
        assert np.all(np.abs(covariance_slopes.slope(table, (a, b), c) - WANT["tanh'"]) <= table.slope_error)
        assert table.slope_error <= 4e-11


@pytest.mark.parametrize("name", ["tanh", "silu", "sampled_here"])
def test_coefficients_are_those_of_the_whole_series(name):
    if name == "sampled_here":
        define(name, "z*tanh(log(1 + exp(z)))")
    phi = steep(name, 0, "numpy")
    a = np.array([0.01, 1.0, 20.0])
    found, want = table_building.sampled_sums(phi, a), table_building.hermite_sums(phi, a)
    assert np.all(found.orders.orders[:64] == np.arange(64))
    np.testing.assert_allclose(
        np.abs(found.coefficients[:, :64]), np.abs(want.coefficients[:, :64]), rtol=0, atol=1e-13
    )
    np.testing.assert_allclose(found.energy, want.energy, rtol=1e-12)


def test_weights_of_orders_sum_powers_exactly():
    orders, weights = sampled_series.orders_up_to(5000.0)
    last = orders.max()
    odd = slice(65, None, 2)
    whole = np.arange(65, last + 40, 2.0)
    whole = whole[: round(weights[odd].sum())]
    for power in (0, 1, 5):
        assert np.dot(weights[odd], orders[odd] ** power) == pytest.approx(np.sum(whole**power), rel=1e-12)


@pytest.mark.parametrize("wrong", ["weights", "transform", "second derivative"])
def test_a_thousandth_is_refused(monkeypatch, wrong):
    phi = steep("tanh", 0, "numpy")
    kept, taken = sampled_series.orders_up_to(1e4), sampled_series.coefficients
    if wrong == "weights":
        off = kept._replace(weights=np.where(np.arange(kept.weights.size) < 64, 1.0, 1.001) * kept.weights)
        monkeypatch.setattr(sampled_series, "orders_up_to", lambda most: off)
    elif wrong == "transform":
        monkeypatch.setattr(table_building, "sampled_coefficients",
                            lambda *x: (1.001 * taken(*x)[0], taken(*x)[1]))  # fmt: skip
    else:
        phi = phi._replace(bent=lambda z: 1.001 * steep("tanh", 0, "numpy").bent(z))
    assert table_building.sampled_sums(phi, np.array([9.0])) is None
    assert table_building.sampled_sums(phi, np.array([9.0])) is None


@pytest.mark.parametrize("name", ["elu", "spread"])
def test_functions_whose_second_derivative_has_no_end_are_left_to_the_whole_series(name):
    text = {"elu": "max(z, 0) + exp(min(z, 0)) - 1", "spread": "sin(z) + tanh(z)"}[name]
    define(f"sampled_{name}", text)
    phi = steep(f"sampled_{name}", 0, "numpy")
    assert table_building.sampled_sums(phi, np.array([100.0])) is None


def test_a_shifted_function_is_bent_where_it_is_shifted_to():
    phi = steep("tanh", 0, "numpy")
    np.testing.assert_array_equal(nested_quadrature.shifted(phi, 0.3).bent(np.ones(1)), phi.bent(np.full(1, 1.3)))


def test_values_whose_parts_overflow_far_out_are_found():
    define("sampled_far", "exp(z) / (exp(z) + cosh(z))")
    assert steep("sampled_far", 0, "numpy").values(np.array([-800.0, 800.0])) == pytest.approx([0.0, 2 / 3], abs=1e-15)
