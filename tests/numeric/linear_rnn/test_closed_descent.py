"""Descent in closed form against descent step by step, to convergence, and where it must refuse."""

import numpy as np
import pytest

from wideproof.numeric.linear_rnn import closed_descent
from wideproof.numeric.linear_rnn.closed_descent import EigenDescent
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.quadratic_loss import loss, quadratic, to_taps
from wideproof.numeric.linear_rnn.training import train
from wideproof.numeric.networks.divergence import Diverged

RHO = 0.6 ** np.arange(5.0)
STEPS = (0, 1, 7, 40)


def parts(samples, seed=0):
    """Three inputs of which two are nearly one, and two noisy outputs: ill-conditioned where samples are few."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2 * samples, 3))
    x[:, 2] = x[:, 1] + 0.03 * x[:, 2]
    y = x @ rng.standard_normal((3, 2)) + rng.standard_normal((2 * samples, 2))
    return quadratic(x[:samples], y[:samples], 5), quadratic(x[samples:], y[samples:], 5)


def start(rho=None):
    return matched(np.random.default_rng(1).standard_normal((5, 2, 3)), rho)


def check_path(rho, samples):
    data, test = parts(samples)
    basis = EigenDescent(data, np.ones(5) if rho is None else rho, test)
    size = 1.5 / basis.largest
    stepped = train(start(rho), data, test, steps=40, step_size=size, record=STEPS)
    assert np.allclose(basis.impulses(start(rho), size, STEPS), stepped.impulses, rtol=1e-11, atol=1e-11)
    path = basis.descend(start(rho), size)
    early = path.steps <= 40
    assert np.allclose(path.losses[early], stepped.test_loss[path.steps[early].astype(int)], rtol=1e-11)


@pytest.mark.parametrize("samples", [200, 12])
@pytest.mark.parametrize("rho", [None, RHO], ids=["unscaled", "scaled"])
def test_the_closed_path_is_that_of_descent_step_by_step(rho, samples):
    check_path(rho, samples)


def test_a_rate_a_thousandth_too_small_is_seen(monkeypatch):
    gain = closed_descent._gain()
    slower = lambda sigma, **at: gain(sigma=0.999 * sigma, **at)  # noqa: E731
    monkeypatch.setattr(closed_descent, "_gain", lambda: slower)
    with pytest.raises(AssertionError):
        check_path(RHO, 200)


def test_the_end_is_the_least_squares_solution_and_the_best_step_is_the_best_of_all():
    data, test = parts(200)
    basis = EigenDescent(data, RHO, test)
    path = basis.descend(start(RHO), 1.0 / basis.largest)
    last, end = basis.impulses(start(RHO), 1.0 / basis.largest, path.steps[-1] * np.array([1.0, 10.0]))
    exact = to_taps(end)
    assert np.allclose(exact, np.linalg.solve(data.sxx, data.sxy), atol=1e-9)
    assert np.linalg.norm(to_taps(last) - exact) < closed_descent.LEFT * np.linalg.norm(
        to_taps(start(RHO).impulse) - exact
    )
    stepped = train(start(RHO), data, test, steps=3000)
    assert path.losses.min() == pytest.approx(min(stepped.test_loss.min(), float(loss(test, to_taps(end)))), rel=1e-4)
    assert path.still_to_gain(0.0) == pytest.approx(path.losses[0] - path.losses.min())
    assert path.still_to_gain(path.step_size * path.best_step) == 0.0


def test_lags_that_the_data_leave_open_stay_at_their_start():
    data, test = parts(12)  # 15 taps
    basis = EigenDescent(data, np.ones(5), test)
    first = start()
    flat = basis._vectors[:, basis.curvatures == 0]
    assert flat.shape[1] >= 3
    (end,) = basis.impulses(first, 1.0 / basis.largest, (1e15,))
    assert np.allclose(flat.T @ to_taps(end), flat.T @ to_taps(first.impulse), atol=1e-9)


def test_an_unstable_step_is_refused_with_its_cause():
    data, test = parts(50)
    basis = EigenDescent(data, np.ones(5), test)
    with pytest.raises(Diverged) as caught:
        basis.descend(start(), 2.1 / basis.largest)
    assert caught.value.expected == f"a step size below {2.0 / basis.largest:.3g}"
    assert "= 2.1 is above 2" in caught.value.hint
