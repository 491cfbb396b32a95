"""Theorem 4.1 measured: naive descent as the oracle, and wrong constants that must show."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.linear_rnn.quadratic_loss import largest_stable_step, quadratic, to_impulse
from wideproof.numeric.linear_rnn.training_choice import choose_network
from wideproof.numeric.paper.experiments.scale_factors import scale_of_lags
from wideproof.numeric.paper.experiments.training_dynamics import Setting, teacher_data
from wideproof.numeric.paper.training_bound import (
    constants,
    emitted,
    exact_movement,
    largest_step,
    learning_steps,
    measure_bound,
    movement_bound,
)

NU = {"nu_W": 0.4, "nu_F": 1.5, "nu_C": 0.8}


def example(lags=5, n_x=2, n_y=2, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((7, lags, n_x)), rng.standard_normal((7, lags, n_y))
    return x, y, quadratic(x, y), rng.standard_normal((lags * n_x, n_y)), scale_of_lags(lags, **NU)


def operator(x, lags):
    """The block-Toeplitz matrix itself.  Shapes: (N S, T n_x)."""
    padded = np.concatenate([np.zeros((x.shape[0], lags, x.shape[2])), x], axis=1)
    return np.concatenate([padded[:, lags - j : lags - j + x.shape[1]] for j in range(lags)], axis=2).reshape(
        -1, lags * x.shape[2]
    )


def naive(x, y, rho, taps, step, steps):
    """Descent on the mean of squares in the parameters of the scaled convolution, one step after the other."""
    matrix, root = operator(x, len(rho)), np.repeat(rho, x.shape[2])[:, None] ** 0.5
    theta, target = taps / root, y.reshape(-1, y.shape[2])
    for _ in range(steps):
        theta = theta + step * 2 / y.size * root * (matrix.T @ (target - matrix @ (root * theta)))
    return root * theta - taps


def test_norms_are_those_of_the_operator():
    x, y, data, taps, _ = example()
    found, matrix = constants(data, taps), operator(x, 5)
    assert found.norm == pytest.approx(np.linalg.norm(matrix, 2))
    assert found.norm_j == pytest.approx([np.linalg.norm(matrix[:, 2 * j : 2 * j + 2], 2) for j in range(5)])
    assert found.residual == pytest.approx(np.linalg.norm(y.reshape(-1, 2) - matrix @ taps))
    assert found.targets == pytest.approx(np.linalg.norm(y))


@pytest.mark.parametrize("fraction", [0.1, 0.9])
def test_the_closed_trajectory_is_naive_descent(fraction):
    x, y, data, taps, rho = example()
    step = fraction * largest_stable_step(data, rho)
    found = exact_movement(data, rho, taps, step, [0, 1, 37])
    for k, moved in zip((0, 1, 37), found, strict=True):
        want = naive(x, y, rho, taps, step, k)
        assert np.allclose(moved, want, rtol=1e-10, atol=1e-12)
        assert k == 0 or not np.allclose(moved, naive(x, y, 1.001 * rho, taps, step, k), rtol=1e-6)


def test_every_lag_obeys_the_bound_and_a_thousandth_of_room_is_not_wasted():
    x, y, data, taps, rho = example()
    found = constants(data, taps)
    step = largest_step(data, found, **NU)
    assert step <= largest_stable_step(data, rho) / 2
    steps = (1, 2, 10, 100)
    bound = movement_bound(data, found, step, steps, **NU)
    for i, k in enumerate(steps):
        moved = np.linalg.norm(to_impulse(naive(x, y, rho, taps, step, k), 5), axis=(1, 2))
        assert np.all(moved <= bound[:, i])
    one = np.ones((1, 1, 1))  # one number: the bound is attained after one step
    data, rho = quadratic(one, 3 * one), scale_of_lags(1, **NU)
    found = constants(data, 0 * one[0])
    step = largest_step(data, found, **NU)
    moved = abs(exact_movement(data, rho, 0 * one[0], step, [1])[0, 0, 0])
    assert moved == pytest.approx(movement_bound(data, found, step, [1], **NU)[0, 0], rel=1e-12)


def test_the_start_is_bounded_in_expectation():
    _, _, data, _, _ = example(n_x=1, n_y=1)
    found = constants(data, np.zeros((5, 1)))
    bound = emitted()["start"](T=5, n_x=1, n_y=1, norm=found.norm, targets=found.targets, nu_F=1.5, nu_C=0.8)
    draws = np.random.default_rng(1).standard_normal((500, 5, 1)) * (1.2 * 0.4 ** np.arange(5))[:, None] ** 0.5
    assert np.mean([constants(data, taps).residual for taps in draws]) < bound < 3 * found.targets + 3 * found.norm


def test_rnn_meets_the_bound_as_it_widens_and_the_run_is_json():
    run = measure_bound(Setting(steps=12, horizon=6), widths=(50, 10**7), seeds=2, records=4)
    assert run.convolution_ratio <= 1
    assert run.exactness < 1e-9
    narrow, wide = (max(row) for row in run.ratios)
    assert narrow > wide
    assert wide <= 1.001
    assert len(run.movements) == 3
    assert json.loads(json.dumps(asdict(run)))["widths"] == [50, 10**7]


def test_steps_to_learn_a_lag_are_inverse_to_its_scale_factor():
    found = learning_steps(Setting(horizon=7))
    assert abs(found.slope - 1) < 0.02
    assert all(least <= steps for least, steps in zip(found.least, found.steps, strict=True))
    assert found.steps[6] > 100 * found.steps[0]
    products = np.array(found.steps) * np.array(found.rho)
    assert np.ptp(products[2:]) < 0.1 * products[2:].mean()


def test_too_little_is_refused():
    with pytest.raises(ParameterError):
        measure_bound(widths=())
    with pytest.raises(ParameterError):
        measure_bound(Setting(steps=3), records=5)


def test_the_method_and_the_work_of_all_networks_are_said_before_the_start():
    said = []
    with pytest.raises(StopIteration):
        measure_bound(Setting(steps=12, horizon=6), widths=(50, 10**4), seeds=3, records=4, announce=said.append,
                      progress=lambda done, total: next(iter(())))  # fmt: skip
    one = choose_network(10**4, teacher_data(Setting(horizon=6))[0], 12, method="sampled")
    assert [choice.name for choice in said] == ["sampled"]
    assert said[0].flops == pytest.approx(6 * one.flops)
