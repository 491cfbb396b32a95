"""Training against naive gradient descent, and the RNN against the scaled convolution."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.krylov import LinearRNN, draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.quadratic_loss import apply_filter, curvature, loss, quadratic, to_taps
from wideproof.numeric.linear_rnn.training import impulse_of, model_curvature, train
from wideproof.numeric.networks.divergence import Diverged


def example(width=30, n_x=2, n_y=1, length=6, seed=3):
    rng = np.random.default_rng(seed)
    rnn = draw_rnn(width, n_x, n_y, nu_W=0.3, nu_F=1.0, nu_C=1.0, rng=rng)
    parts = [(rng.standard_normal((9, length, n_x)), rng.standard_normal((9, length, n_y))) for _ in range(2)]
    return rnn, parts, [quadratic(x, y) for x, y in parts]


def naive_descent(rnn, x, y, step, steps):
    """Back-propagation through time over every sequence, at every step."""
    W, F, C, root, losses = rnn.W.copy(), rnn.F.copy(), rnn.C.copy(), rnn.width**-0.5, []
    for _ in range(steps + 1):
        h = np.zeros((x.shape[1] + 1, x.shape[0], rnn.width))
        for t in range(x.shape[1]):
            h[t + 1] = root * h[t] @ W.T + x[:, t] @ F.T
        error = root * np.swapaxes(h[1:], 0, 1) @ C.T - y
        losses.append(np.mean(error**2))
        dW, dF, dC, delta = 0.0, 0.0, 0.0, 0.0
        for t in reversed(range(x.shape[1])):
            e = 2.0 / y.size * error[:, t]
            delta = root * e @ C + root * delta @ W if t < x.shape[1] - 1 else root * e @ C
            dW, dF, dC = dW + root * delta.T @ h[t], dF + delta.T @ x[:, t], dC + root * e.T @ h[t + 1]
        W, F, C = W - step * dW, F - step * dF, C - step * dC
    return np.array(losses)


@pytest.mark.parametrize(("n_x", "n_y"), [(1, 1), (2, 1), (1, 3)])
def test_sixty_steps_are_those_of_back_propagation(n_x, n_y):
    rnn, parts, (data, test) = example(n_x=n_x, n_y=n_y)
    result = train(rnn, data, test, steps=60)
    want = naive_descent(rnn, *parts[0], result.step_size, 60)
    assert np.allclose(result.train_loss, want, rtol=1e-12)
    x, y = parts[1]
    last = np.mean((apply_filter(impulse_of(result.final, 6), x) - y) ** 2)
    assert result.test_loss[-1] == pytest.approx(last, rel=1e-12)


def test_what_is_recorded_is_what_was_passed():
    rnn, _, (data, test) = example()
    result = train(rnn, data, test, steps=20, record=(0, 7, 20))
    assert result.recorded == (0, 7, 20)
    assert np.array_equal(result.impulses[0], impulse_response(rnn, 6))
    assert np.array_equal(result.impulses[2], impulse_of(result.final, 6))
    for k, impulse in zip(result.recorded, result.impulses, strict=True):
        assert result.train_loss[k] == pytest.approx(float(loss(data, to_taps(impulse))), rel=1e-12)
    assert result.best_step == int(np.argmin(result.test_loss))
    assert float(loss(test, to_taps(result.best_impulse))) == pytest.approx(result.test_loss.min(), rel=1e-12)
    assert train(rnn, data, steps=3).test_loss.shape == (0,)
    assert train(rnn, data, steps=3).impulses.shape == (0, 6, 1, 2)


def gap(width, rho, seed):
    rnn, _, (data, _) = example(width=width, n_x=1, length=8, seed=seed)
    step = 1.0 / curvature(data, rho)
    start = matched(impulse_response(rnn, 8), rho)
    curves = [train(model, data, steps=50, step_size=step).train_loss for model in (rnn, start)]
    return np.abs(curves[1] / curves[0] - 1).max()


def oracle_rho(lags, nu=0.3):
    """ρ_j of the paper's (21) at nu_F = nu_C = 1, as an oracle."""
    j = np.arange(lags)
    return j * nu ** np.maximum(j - 1, 0) * (j > 0) + 2 * nu**j


def mean_gap(width, rho):
    return np.mean([gap(width, rho, seed) for seed in range(6)])


def test_wide_rnn_follows_the_scaled_convolution_and_no_other():
    """The gap shrinks with the width for the true weights, and stays for weights without the term of W."""
    true, wrong = oracle_rho(8), 2 * 0.3 ** np.arange(8.0)
    assert mean_gap(640, true) < 0.6 * mean_gap(40, true)  # n^{-1/2}: a quarter
    assert mean_gap(640, wrong) > 2 * mean_gap(640, true)


def test_a_large_step_is_refused_with_the_limit():
    rnn, _, (data, _) = example(width=200)
    limit = 2.0 / model_curvature(rnn, data)
    with pytest.raises(ParameterError) as caught:
        train(rnn, data, steps=400, step_size=20 * limit)
    assert caught.value.expected == f"a step size below {limit:.3g}"
    with pytest.raises(ParameterError):
        train(rnn, data, steps=3, step_size=1e200)
    assert train(rnn, data, steps=100, step_size=0.8 * limit).train_loss[-1] < 1.0


def test_divergence_is_told_with_its_step_and_its_cause():
    _, _, (data, _) = example()
    start = matched(np.ones((6, 1, 2)))
    steepest = curvature(data, start.rho)
    with pytest.raises(Diverged) as caught:
        train(start, data, steps=2000, step_size=2.2 / steepest)
    assert "at step" in caught.value.got
    assert f"{steepest:.3g} = 2.2 is above 2" in caught.value.hint
    with pytest.raises(Diverged) as caught:  # it has not blown up when its steps are over
        train(start, data, steps=60, step_size=2.1 / steepest)
    assert "at step 60" in caught.value.got
    assert train(start, data, steps=120, step_size=1.9 / steepest).train_loss[-1] < 1.0
    with pytest.raises(Diverged) as caught:
        train(start, data, steps=2000, step_size=4.4 / steepest, momentum=0.9)
    assert "= 4.4 is above 3.8" in caught.value.hint
    assert train(start, data, steps=300, step_size=3.0 / steepest, momentum=0.9).train_loss[-1] < 1.0


def test_a_network_whose_curvature_grows_is_told_so():
    rnn, _, (data, _) = example(width=4)
    step = 1.7 / model_curvature(rnn, data)
    with pytest.raises(Diverged) as caught:
        train(rnn, quadratic(np.ones((1, 6, 2)), 40.0 * np.ones((1, 6, 1))), steps=400, step_size=step)
    assert "at this network's start" in caught.value.hint


def test_training_may_end_before_its_steps_are_taken():
    rnn, _, (data, test) = example()
    asked = []
    found = train(rnn, data, test, steps=200, record=(0, 150), until=lambda losses: asked.append(len(losses)) or
                  len(losses) > 60)  # fmt: skip
    whole = train(rnn, data, test, steps=200)
    assert (len(found.train_loss), asked) == (65, [1, 17, 33, 49, 65])
    assert np.array_equal(found.test_loss, whole.test_loss[:65])
    assert found.recorded == (0,)
    with pytest.raises(ParameterError, match="exact"):
        train(draw_rnn(300, 1, 1, nu_W=0.3, nu_F=1.0, nu_C=1.0, rng=np.random.default_rng(0)),
              quadratic(np.ones((2, 4, 1)), np.ones((2, 4, 1))), steps=5, accuracy=1e-6, method="subspace",
              until=lambda losses: True)  # fmt: skip


def test_progress_reaches_the_end():
    rnn, _, (data, _) = example()
    seen = []
    train(rnn, data, steps=250, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 250)
    assert seen[-1] == (250, 250)
    assert len(seen) <= 130


def test_errors_name_the_field():
    rnn, _, (data, _) = example()
    with pytest.raises(ShapeError) as caught:
        train(LinearRNN(rnn.W, rnn.F[:, :1], rnn.C), data, steps=2)
    assert caught.value.where == "train"
    with pytest.raises(ParameterError):
        train(rnn, data, steps=2, record=(3,))


def test_training_takes_one_thread_unless_told_otherwise():
    rng = np.random.default_rng(0)
    rnn = draw_rnn(8, 1, 1, nu_W=0.3, nu_F=1.0, nu_C=1.0, rng=rng)
    data = quadratic(rng.standard_normal((3, 4, 1)), rng.standard_normal((3, 4, 1)))

    def seen(threads):
        met = []
        with threadpool_limits(2, "blas"):
            train(rnn, data, steps=1, threads=threads,
                  progress=lambda *_: met.extend(threadpool_info()))  # fmt: skip
        return {pool["num_threads"] for pool in met if pool["user_api"] == "blas"}

    assert seen(1) == {1}
    assert seen(None) == seen(2) == {2}
    with pytest.raises(ParameterError, match="threads"):
        train(rnn, data, steps=1, threads=0)
