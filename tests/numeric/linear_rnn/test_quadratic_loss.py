"""The quadratic form against the definition: filter every sequence, average the squares."""

import dataclasses as dc

import array_api_strict
import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.linear_rnn.quadratic_loss import (
    Quadratic,
    apply_filter,
    curvature,
    loss,
    loss_and_slope,
    quadratic,
    to_impulse,
    to_taps,
    weights,
)

SIZES = [(1, 1, 1, 1, 1), (5, 7, 7, 1, 1), (3, 9, 4, 2, 3), (1, 40, 6, 3, 2), (4, 6, 6, 2, 1)]


def example(n, s, lags, n_x, n_y, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, s, n_x)), rng.standard_normal((n, s, n_y))
    return x, y, rng.standard_normal((lags, n_y, n_x))


def naive_loss(impulse, x, y):
    total = 0.0
    for i in range(x.shape[0]):
        for t in range(x.shape[1]):
            terms = [impulse[j] @ x[i, t - j] for j in range(min(t + 1, len(impulse)))]
            total += np.sum((y[i, t] - sum(terms)) ** 2)
    return total / y.size


def check_quadratic(data, x, y, impulse):
    assert float(loss(data, to_taps(impulse))) == pytest.approx(naive_loss(impulse, x, y), rel=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_loss_is_the_mean_of_squares(size):
    x, y, impulse = example(*size)
    check_quadratic(quadratic(x, y, size[2]), x, y, impulse)


def test_a_form_that_forgets_the_window_is_caught():
    """A Toeplitz Sxx lets every lag see as many times as lag 0 does."""
    x, y, impulse = example(5, 7, 7, 1, 1)
    data = quadratic(x, y)
    first = data.sxx[0]
    toeplitz = np.array([[first[abs(i - j)] for j in range(7)] for i in range(7)])
    with pytest.raises(AssertionError):
        check_quadratic(dc.replace(data, sxx=toeplitz), x, y, impulse)


@pytest.mark.parametrize("name", ["sxx", "sxy", "syy", "count"])
def test_a_part_wrong_by_a_thousandth_is_caught(name):
    x, y, impulse = example(3, 2000, 4, 2, 3)
    data = quadratic(x[:, :9], y[:, :9], 4)
    with pytest.raises(AssertionError):
        check_quadratic(dc.replace(data, **{name: 1.001 * getattr(data, name)}), x[:, :9], y[:, :9], impulse)


@pytest.mark.parametrize("size", SIZES)
def test_slope_is_the_complex_step_derivative(size):
    x, y, impulse = example(*size)
    data, taps = quadratic(x, y, size[2]), to_taps(impulse)
    value, slope = loss_and_slope(data, taps)
    assert value == loss(data, taps)
    for index in np.ndindex(taps.shape):
        nudged = taps.astype(complex)
        nudged[index] += 1e-30j
        assert loss(data, nudged).imag / 1e-30 == pytest.approx(slope[index], rel=1e-12, abs=1e-14)


def test_one_long_recording_is_one_sequence():
    x, y, impulse = example(1, 40, 6, 3, 2)
    check_quadratic(quadratic(x[0], y[0], 6), x, y, impulse)


def test_filter_is_its_definition_and_taps_round_trip():
    x, _, impulse = example(3, 9, 4, 2, 3)
    assert naive_loss(impulse, x, apply_filter(impulse, x)) < 1e-28
    assert np.array_equal(apply_filter(impulse, x[1]), apply_filter(impulse, x)[1])
    assert np.array_equal(to_impulse(to_taps(impulse), 4), impulse)


def test_curvature_is_the_squared_norm_of_the_data_operator():
    x, y, _ = example(3, 9, 4, 2, 3)
    rho = np.array([2.0, 0.5, 0.0, 0.1])
    design = np.zeros((3, 9, 4, 2))
    for j in range(4):
        design[:, j:, j] = np.sqrt(rho[j]) * x[:, : 9 - j]
    norm = np.linalg.norm(design.reshape(27, 8), 2)
    assert curvature(quadratic(x, y, 4), rho) == pytest.approx(2 * norm**2 / y.size, rel=1e-12)


def test_errors_name_the_field():
    x, y, _ = example(3, 9, 4, 2, 3)
    with pytest.raises(ShapeError) as caught:
        quadratic(x, y[:2])
    assert caught.value.where == "quadratic"
    for lags in (0, 10):
        with pytest.raises(ParameterError) as lagged:
            quadratic(x, y, lags)
        assert lagged.value.got == lags
    data = quadratic(x, y, 4)
    with pytest.raises(ShapeError):
        weights(data, np.ones(3))
    with pytest.raises(ParameterError):
        weights(data, np.array([1.0, 1.0, -1.0, 1.0]))


def test_any_standard_namespace_serves():
    x, y, impulse = example(3, 9, 4, 2, 3)
    xs, ys, ls = (array_api_strict.asarray(a) for a in (x, y, impulse))
    data: Quadratic = quadratic(xs, ys, 4)
    value, slope = loss_and_slope(data, to_taps(ls))
    want = loss_and_slope(quadratic(x, y, 4), to_taps(impulse))
    assert float(value) == pytest.approx(float(want[0]), rel=1e-13)
    assert np.allclose(np.asarray(slope), want[1], rtol=1e-12, atol=1e-14)
    assert curvature(data, np.ones(4)) == pytest.approx(curvature(quadratic(x, y, 4), np.ones(4)))
    assert np.allclose(np.asarray(apply_filter(ls, xs)), apply_filter(impulse, x))
