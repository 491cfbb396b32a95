"""Gradient descent on the convolution against its closed form, and the matching of initial responses."""

import dataclasses as dc

import array_api_strict
import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.linear_rnn import convolution
from wideproof.numeric.linear_rnn.convolution import Convolution, ConvolutionDescent, matched
from wideproof.numeric.linear_rnn.quadratic_loss import (
    curvature,
    largest_stable_step,
    loss,
    quadratic,
    to_impulse,
    to_taps,
    weights,
)
from wideproof.numeric.linear_rnn.training import train

STEPS = 40


def example(seed=2, lags=5, n_x=2, n_y=3):
    rng = np.random.default_rng(seed)
    data = quadratic(rng.standard_normal((6, 8, n_x)), rng.standard_normal((6, 8, n_y)), lags)
    return data, rng.standard_normal((lags, n_y, n_x)), np.array([2.0, 1.0, 0.3, 0.05, 0.0])[:lags]


def closed_form(data, start, step, steps):
    """θ after `steps` steps by the eigenvectors of the Hessian: no loop, no gradient."""
    root = weights(data, start.rho) ** 0.5
    values, vectors = np.linalg.eigh(2.0 / data.count * root * data.sxx * root.T)
    pull = 2.0 / data.count * (vectors.T @ (root * data.sxy))
    decay = (1.0 - step * values) ** steps
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(values > 1e-14, (1.0 - decay) / values, step * steps)
    theta = vectors @ (decay[:, None] * (vectors.T @ to_taps(start.theta)) + gain[:, None] * pull)
    return to_impulse(theta, data.lags)


def start_of(impulse, rho):
    return matched(np.where((rho > 0)[:, None, None], impulse, 0.0), rho)


def check_descent(data, start, step):
    result = train(start, data, steps=STEPS, step_size=step)
    want = closed_form(data, start, step, STEPS)
    assert np.allclose(result.final.theta, want, rtol=1e-10, atol=1e-12)
    root = start.rho[:, None, None] ** 0.5
    assert result.train_loss[-1] == pytest.approx(float(loss(data, to_taps(root * want))), rel=1e-11)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("fraction", [0.1, 1.0, 1.9])
def test_descent_is_its_closed_form(scaled, fraction):
    data, impulse, rho = example()
    start = start_of(impulse, rho) if scaled else matched(impulse)
    check_descent(data, start, fraction / curvature(data, start.rho))


def test_a_scale_on_one_side_only_is_caught(monkeypatch):
    """The mutant moves L, not θ: η ρ_j becomes η √ρ_j."""

    def mutant(self, slope, step, momentum=0.0):
        self._theta -= step * slope

    monkeypatch.setattr(ConvolutionDescent, "move", mutant)
    data, impulse, rho = example()
    with pytest.raises(AssertionError):
        check_descent(data, start_of(impulse, rho), 1.0 / curvature(data, rho))


def test_a_step_wrong_by_a_thousandth_is_caught(monkeypatch):
    true = ConvolutionDescent.move
    monkeypatch.setattr(convolution.ConvolutionDescent, "move", lambda s, g, e, m: true(s, g, 1.001 * e, m))
    data, impulse, rho = example()
    with pytest.raises(AssertionError):
        check_descent(data, start_of(impulse, rho), 1.0 / curvature(data, rho))


def test_matched_convolution_has_the_given_response():
    _, impulse, rho = example()
    start = start_of(impulse, rho)
    assert np.allclose(start.impulse[:-1], impulse[:-1], rtol=1e-14)
    assert np.array_equal(start.theta[-1], np.zeros((3, 2)))
    assert np.array_equal(matched(impulse).theta, impulse)


def test_a_lag_of_weight_zero_cannot_be_matched():
    _, impulse, rho = example()
    with pytest.raises(ParameterError) as caught:
        matched(impulse, rho)
    assert caught.value.expected == "L_j = 0 wherever rho_j = 0"


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_weights_must_be_finite_and_positive(bad):
    _, impulse, rho = example()
    with pytest.raises(ParameterError):
        matched(impulse, np.where(np.arange(5) == 2, bad, rho + 1))
    with pytest.raises(ShapeError):
        matched(impulse, rho[:-1])


def test_below_the_largest_stable_step_it_converges_and_above_it_diverges():
    data, impulse, rho = example()
    start = start_of(impulse, rho)
    limit = largest_stable_step(data, rho)
    calm = train(start, data, steps=2000, step_size=0.99 * limit).train_loss
    assert np.all(np.diff(calm) <= 1e-15)
    with pytest.raises(ParameterError) as caught:
        train(start, data, steps=2000, step_size=1.01 * limit)
    assert caught.value.expected == f"a step size below {limit:.3g}"


def test_strict_namespace_agrees():
    data, impulse, rho = example()
    start = start_of(impulse, rho)
    strict = Convolution(array_api_strict.asarray(rho), array_api_strict.asarray(start.theta))
    parts = {name: array_api_strict.asarray(getattr(data, name)) for name in ("sxx", "sxy")}
    got = train(strict, dc.replace(data, **parts), steps=7, record=(3,))
    want = train(start, data, steps=7, record=(3,))
    assert np.allclose(got.train_loss, want.train_loss, rtol=1e-12)
    assert np.allclose(np.asarray(got.impulses), want.impulses, rtol=1e-12, atol=1e-14)
