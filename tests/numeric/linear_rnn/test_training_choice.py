"""Momentum, subspace descent with its error, and the choice of a method, against exact descent and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.krylov import KrylovDescent, draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.quadratic_loss import loss_and_slope, quadratic, to_taps
from wideproof.numeric.linear_rnn.subspace import LazyDescent, RandomRNN, SubspaceDescent
from wideproof.numeric.linear_rnn.training import train
from wideproof.numeric.linear_rnn.training_choice import choose_exact, choose_method, choose_network


def example(width=60, n_x=1, n_y=1, lags=5, seed=3):
    rng = np.random.default_rng(seed)
    rnn = draw_rnn(width, n_x, n_y, nu_W=0.4, nu_F=1.0, nu_C=1.0, rng=rng)
    return rnn, quadratic(rng.standard_normal((9, lags, n_x)), rng.standard_normal((9, lags, n_y)))


def heavy_ball(rnn, data, step, momentum, steps):
    """The definition: plain gradients by unit steps of Krylov descent, velocities by hand."""
    parts, velocity, losses = [rnn.W, rnn.F, rnn.C], [0.0, 0.0, 0.0], []
    for _ in range(steps + 1):
        descent = KrylovDescent(type(rnn)(*parts), data.lags, "plain")
        value, slope = loss_and_slope(data, descent.taps())
        losses.append(float(value))
        descent.move(slope, 1.0)
        moved = descent.model()
        gradient = [a - b for a, b in zip(parts, (moved.W, moved.F, moved.C), strict=True)]
        velocity = [momentum * v + g for v, g in zip(velocity, gradient, strict=True)]
        parts = [a - step * v for a, v in zip(parts, velocity, strict=True)]
    return np.array(losses)


@pytest.mark.parametrize(("n_x", "n_y"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("method", ["krylov", "subspace"])
def test_momentum_is_the_heavy_ball(n_x, n_y, method):
    rnn, data = example(80, n_x, n_y)
    found = train(rnn, data, steps=15, step_size=0.05, momentum=0.7, method=method, accuracy=1e-8)
    want = heavy_ball(rnn, data, 0.05, 0.7, 15)
    assert np.allclose(found.train_loss, want, rtol=1e-11 if method == "krylov" else 1e-8)
    assert not np.allclose(want, heavy_ball(rnn, data, 0.05, 0.6, 15), rtol=1e-4)
    assert (found.momentum, found.method) == (0.7, method)


def test_momentum_of_a_convolution_is_the_heavy_ball():
    rnn, data = example()
    start = matched(impulse_response(rnn, 5), np.array([1.0, 0.5, 0.25, 0.1, 0.1]))
    found = train(start, data, steps=12, step_size=0.1, momentum=0.6)
    root, theta, velocity = start.rho[:, None] ** 0.5, to_taps(start.theta), 0.0
    for k in range(13):
        value, slope = loss_and_slope(data, root * theta)
        assert found.train_loss[k] == pytest.approx(float(value), rel=1e-12)
        velocity = 0.6 * velocity + root * slope
        theta = theta - 0.1 * velocity


def test_momentum_in_law_is_that_of_the_matrix_it_has_drawn():
    start = RandomRNN(9, 1, 1, nu_W=0.6, seed=11)
    _, data = example()
    descent = LazyDescent(start, 5)
    (F, C), losses = descent._start, []
    for _ in range(13):
        value, slope = loss_and_slope(data, descent.taps())
        losses.append(float(value))
        descent.move(slope, 0.05, 0.7)
    W = 3.0 * np.column_stack([descent._matrix.apply(unit) for unit in np.eye(9)])
    pad = descent._matrix.pad
    rnn = type(example()[0])(W, pad(F.T), pad(C.T).T)
    assert np.allclose(losses, train(rnn, data, steps=12, step_size=0.05, momentum=0.7).train_loss, rtol=1e-7)


@pytest.mark.parametrize(("n_x", "n_y"), [(1, 1), (2, 3)])
def test_subspace_descent_is_exact_descent_within_the_error_it_reports(n_x, n_y):
    rnn, data = example(300, n_x, n_y, lags=6)
    exact = train(rnn, data, steps=60, step_size=0.05)
    for accuracy in (1e-3, 1e-7):
        found = train(rnn, data, steps=60, step_size=0.05, method="subspace", accuracy=accuracy)
        off = np.abs(found.train_loss / exact.train_loss - 1).max()
        assert off <= max(found.error, 1e-12)
        assert found.error <= accuracy
    for name in ("W", "F", "C"):
        assert np.allclose(getattr(found.final, name), getattr(exact.final, name), atol=1e-6)
    assert np.allclose(found.final.W - rnn.W, exact.final.W - rnn.W, rtol=1e-3, atol=1e-7)


def test_a_rough_tolerance_shows_in_the_dropped_length():
    rnn, data = example(300)
    rough, fine = SubspaceDescent(rnn, 5, 1e-2), SubspaceDescent(rnn, 5, 1e-8)
    for descent in (rough, fine):
        for _ in range(10):
            descent.move(loss_and_slope(data, descent.taps())[1], 0.05)
    assert 1e-8 < rough.dropped <= 1e-2
    assert fine.dropped <= 1e-8
    assert rough.queries < fine.queries < 300


def test_the_choice_is_explained_with_a_floor():
    rnn, data = example(60)
    exact = choose_method(rnn, data, 100)
    assert (exact.name, exact.reason) == ("krylov", "exact, 8 sweeps of W a step")
    assert exact.flops == 6.0 * 4 * 60**2 * 100 + 2.0 * 5**2 * 100  # the sweeps, and the slope's product with Sxx
    assert exact.memory > 2 * 8 * 60**2
    assert 0 < exact.seconds < 10
    assert choose_method(RandomRNN(10**9), data, 5).name == "sampled"
    assert choose_method(RandomRNN(10**9), data, 5).memory == choose_method(RandomRNN(10**12), data, 5).memory
    assert choose_method(matched(impulse_response(rnn, 5)), data, 5).name == "direct"
    assert "nearly fill" in choose_method(draw(8), data, 5, accuracy=1e-6).reason
    wide = draw(1500)
    assert choose_method(wide, data, 4000, accuracy=1e-6).name in ("krylov", "subspace")  # by measured rates
    assert "MB" in str(exact)


def draw(width):
    return draw_rnn(width, 1, 1, nu_W=0.4, nu_F=1.0, nu_C=1.0, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("start", "arguments", "expected"),
    [(RandomRNN(100), {"method": "krylov"}, "sampled"), (RandomRNN(100), {"method": "subspace"}, "sampled"),
     (matched(np.ones((5, 1, 1))), {"method": "subspace"}, "direct"), (draw(60), {"method": "subspace"}, "krylov"),
     (draw(60), {"method": "sampled"}, "krylov or subspace for a given RNN"),
     (draw(12), {"method": "subspace", "accuracy": 1e-6}, "krylov"),
     (draw(60), {"momentum": 1.0}, "a number in [0, 1)"), (draw(60), {"momentum": -0.1}, "a number in [0, 1)"),
     (draw(60), {"method": "adam"}, "one of auto, krylov, subspace, sampled, direct")],
)  # fmt: skip
def test_a_method_that_does_not_apply_is_refused_and_the_one_that_does_is_named(start, arguments, expected):
    with pytest.raises(ParameterError) as caught:
        train(start, example()[1], steps=2, step_size=0.1, **arguments)
    assert caught.value.expected == expected


def test_a_network_to_be_drawn_is_trained_whole_if_narrow_and_in_law_where_it_does_not_fit():
    _, data = example()
    assert choose_network(30, data, 100).name == "krylov"
    wide = choose_network(10**12, data, 100)
    assert (wide.name, wide.memory) == ("sampled", choose_network(10**9, data, 100).memory)
    assert choose_network(300, data, 100, memory=1e6).name == "sampled"  # 1.4 MB of matrices
    assert choose_network(20_000, data, 10**5, memory=1e12).reason.startswith("n = 20000 > 4000; drawn along")
    assert choose_network(20_000, data, 10**5, method="krylov", memory=1e12).name == "krylov"
    assert choose_network(30, data, 100, method="sampled").name == "sampled"


@pytest.mark.parametrize(("method", "expected"), [("krylov", "sampled at n = 1000000"), ("direct", "auto, krylov")])
def test_a_method_that_does_not_fit_is_refused_and_the_one_that_does_is_named(method, expected):
    with pytest.raises(ParameterError) as caught:
        choose_network(10**6, example()[1], 5, method=method)
    assert caught.value.expected.startswith(expected)


@pytest.mark.parametrize(("method", "most"), [("krylov", 4.001), ("subspace", 4.001), ("sampled", 8.0)])
def test_the_work_told_before_the_start_grows_with_the_steps(method, most):
    """In law, more steps also meet more directions."""
    rnn, data = example(500, lags=10)
    start, accuracy = (RandomRNN(10**9), 0.0) if method == "sampled" else (rnn, 1e-6)
    one, more = (choose_method(start, data, n, accuracy=accuracy, method=method) for n in (100, 400))
    growth = [getattr(more, name) / getattr(one, name) for name in ("flops", "traffic", "calls")]
    assert all(1.0 <= ratio < most for ratio in growth)
    assert max(growth) > 1.2
    assert more.seconds > 0


def test_networks_that_validation_compares_are_exact_and_their_work_adds_up():
    _, data = example()
    one = choose_exact(300, data, 100)
    many = one.times(7)
    assert (one.name, many.memory, many.flops, many.traffic) == ("krylov", one.memory, 7 * one.flops, 7 * one.traffic)
    assert many.seconds == pytest.approx(7 * one.seconds)
    with pytest.raises(ParameterError) as caught:
        choose_exact(300, data, 100, "sampled")
    assert caught.value.expected == "auto, krylov"


def test_a_refused_subspace_names_the_accuracy_that_it_needs():
    rnn, data = example(300)
    with pytest.raises(ParameterError) as caught:
        train(rnn, data, steps=2, method="subspace")
    assert caught.value.expected == "krylov"
    assert "accuracy such as 1e-6" in caught.value.hint
    assert train(rnn, data, steps=2, method="subspace", accuracy=1e-6).method == "subspace"
