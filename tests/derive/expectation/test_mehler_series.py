"""Every coefficient of Mehler's series against its definition, and the sum against its mutants."""

import mpmath
import numpy as np
import pytest

from wideproof.derive.expectation import mehler_series

FUNCTIONS = {
    "tanh": (np.tanh, mpmath.tanh),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: 1 / (1 + mpmath.exp(-z))),
    "softplus": (lambda z: np.logaddexp(0, z), lambda z: mpmath.log(1 + mpmath.exp(z))),
}
MEAN, VARIANCE, LEAST = 0.3, 1.2, 1e-6
"""Of the variable; and the size from which a coefficient is looked at."""


def hermite(k, z):
    """The orthonormal polynomial, from its definition by derivatives of the density."""
    return mpmath.hermite(k, z / mpmath.sqrt(2)) / mpmath.sqrt(mpmath.mpf(2) ** k * mpmath.factorial(k))


def coefficient(phi, k):
    """E[phi(m + sqrt(a) z) he_k(z)]."""
    root = mpmath.sqrt(VARIANCE)
    places = [-12, -6, -3, -1, 0, 1, 3, 6, 12]
    return float(mpmath.quad(lambda z: phi(MEAN + root * z) * hermite(k, z) * mpmath.npdf(z), places))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_coefficient_is_its_definition_and_a_thousandth_more_is_not(name):
    fast, exact = FUNCTIONS[name]
    found = mehler_series.series(np, fast, np.array([MEAN]), np.array([VARIANCE])).coefficients[0]
    wanted = {k: want for k in range(10) if abs(want := coefficient(exact, k)) > LEAST}
    assert len(wanted) >= 5

    def agrees(values):
        return all(abs(values[k] - want) < 1e-9 * abs(want) for k, want in wanted.items())

    assert agrees(found)
    for k in wanted:
        wrong = found.copy()
        wrong[k] *= 1.001
        assert not agrees(wrong)


def test_the_table_of_polynomials_is_orthonormal_and_each_row_matters():
    """The sums over the grid of he_i he_k times the density are 1 or 0; a row wrong by a thousandth is seen."""
    _, table = mehler_series._grid(4, 12)
    weights = table[:, 0]
    rows = table / weights[:, None]

    def gap(values):
        return np.abs((values * weights[:, None]).T @ values - np.eye(12)).max()

    assert gap(rows) < 1e-12
    for k in range(12):
        wrong = rows.copy()
        wrong[:, k] *= 1.001
        assert gap(wrong) > 1e-4


@pytest.mark.parametrize("correlation", [-0.95, -0.4, 0.0, 0.7, 1.0])
def test_the_sum_is_the_expectation_and_each_term_matters(correlation):
    tanh = mehler_series.series(np, np.tanh, np.array([MEAN]), np.array([VARIANCE]))
    sigmoid = mehler_series.series(np, FUNCTIONS["sigmoid"][0], np.array([-0.2]), np.array([0.8]))
    found, bound = mehler_series.pair(np, tanh, sigmoid, np.array([correlation]))
    x, w = np.polynomial.hermite_e.hermegauss(200)
    u = MEAN + np.sqrt(VARIANCE) * x[:, None]
    v = -0.2 + np.sqrt(0.8) * (correlation * x[:, None] + np.sqrt(1 - correlation**2) * x)
    want = float(np.sum(w[:, None] * w * np.tanh(u) * FUNCTIONS["sigmoid"][0](v)) / (2 * np.pi))
    assert found[0] == pytest.approx(want, abs=1e-10)
    assert bound[0] < 1e-10
    for k in range(6):
        change = 0.001 * tanh.coefficients[0, k] * sigmoid.coefficients[0, k] * correlation**k
        coefficients = tanh.coefficients.copy()
        coefficients[0, k] *= 1.001
        wrong = mehler_series.Series(coefficients, tanh.energy, tanh.tail, tanh.doubt)
        moved = mehler_series.pair(np, wrong, sigmoid, np.array([correlation]))[0][0] - found[0]
        assert moved == pytest.approx(change, abs=1e-13)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_truncated_series_give_the_pairs_of_long_ones(name):
    phi = FUNCTIONS[name][0]
    variance, correlation = np.array([[0.5, 3.0, 9.0]]), np.linspace(-1, 1, 9).reshape(1, 3, 3)
    short = mehler_series.truncated(np, phi, 0.0 * variance, variance)
    found = mehler_series.correlated(np, short, mehler_series.Truncated(*(x[0] for x in short[:2]), short.parities),
                                     correlation)  # fmt: skip
    long = mehler_series.series(np, phi, np.zeros(3), variance[0])
    rows, columns = (mehler_series.Series(*(x[at] for x in long.parts)) for at in ((slice(None), None), (None,)))
    truth = mehler_series.pair(np, rows, columns, correlation[0])[0]
    assert np.abs(found[0] - truth).max() < 1e-7
    shorter = short._replace(coefficients=short.coefficients[..., :12])
    off = mehler_series.correlated(np, shorter, mehler_series.Truncated(*(x[0] for x in shorter[:2]), short.parities),
                                   correlation)  # fmt: skip
    assert np.abs(off[0] - truth).max() > 1e-6
