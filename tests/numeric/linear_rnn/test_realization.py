"""Realisations in doubles: run them, and know when a system is too ill to solve."""

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.linear_rnn.krylov import impulse_response
from wideproof.numeric.linear_rnn.realization import METHODS, default_radius, gain_of, realize


def target(lags=8, n_y=2, n_x=3, seed=0):
    return np.random.default_rng(seed).standard_normal((lags, n_y, n_x))


def run(rnn, x):
    """The recursion itself."""
    h, y, root = np.zeros(rnn.width), [], rnn.width**-0.5
    for step in x:
        h = root * rnn.W @ h + rnn.F @ step
        y.append(root * rnn.C @ h)
    return np.array(y)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lags", [1, 2, 7, 8])
def test_the_network_has_the_impulse_response(method, lags):
    wanted = target(lags)
    made = realize(wanted, method)
    x = np.random.default_rng(1).standard_normal((lags, 3))
    y = [sum(wanted[j] @ x[t - j] for j in range(t + 1)) for t in range(lags)]
    assert np.abs(run(made.rnn, x) - y).max() <= made.gain * np.linalg.norm(x) + 1e-12
    assert made.error < 1e-10
    assert made.units == made.rnn.width <= lags * 2 * 3
    broken = 1.001 * made.rnn.F
    assert np.abs(impulse_response(type(made.rnn)(made.rnn.W, broken, made.rnn.C), lags) - wanted).max() > 1e-5


def test_units_condition_and_radius_are_as_stated():
    circle, real, balanced = (realize(target(20, 1, 1), method) for method in METHODS)
    assert circle.units == real.units == 20
    assert circle.condition == pytest.approx(10.0)
    assert circle.radius == pytest.approx(default_radius(20))
    assert circle.radius < 1
    points = circle.radius * np.exp(2j * np.pi * np.arange(20) / 20)
    assert np.linalg.cond(np.vander(points, increasing=True)) == pytest.approx(10.0, rel=1e-6)
    assert real.condition > 1e6
    assert real.error > 100 * circle.error
    assert balanced.units <= 20
    assert realize(target(20, 1, 1), radius=1.0).condition == pytest.approx(1.0)


def test_a_decaying_response_needs_few_balanced_units_and_tells_what_is_lost():
    wanted = 0.5 ** np.arange(14)
    full, cut = realize(wanted, "balanced"), realize(wanted, "balanced", order=1)
    assert full.error < 1e-13
    assert cut.units == 1
    assert 1e-10 < cut.error < 1e-4
    assert cut.gain >= cut.error


def test_gain_is_the_worst_case_over_inputs():
    difference = target(5, 2, 2)
    rng, worst = np.random.default_rng(2), 0.0
    for _ in range(200):
        x = rng.standard_normal((5, 2))
        y = np.array([sum(difference[j] @ x[t - j] for j in range(t + 1)) for t in range(5)])
        worst = max(worst, np.linalg.norm(y) / np.linalg.norm(x))
    assert worst <= gain_of(difference) <= 3 * worst


def test_errors_name_the_argument():
    with pytest.raises(ShapeError):
        realize(np.zeros((2, 2)))
    with pytest.raises(ShapeError):
        realize([1.0, np.nan])
    for options in ({"method": "newton"}, {"radius": 1.5}, {"order": 3}, {"method": "balanced", "order": 99}):
        with pytest.raises(ParameterError):
            realize(target(), **options)
