"""Training of infinitely wide networks: another program's numbers, its own steps one by one, and finite networks."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
import sympy as sp

from wideproof.derive import ParameterError, Recursion, erf, models
from wideproof.derive.language.errors import ShapeError
from wideproof.numeric import Indefinite, Kernel, WideTraining, posterior, train_network
from wideproof.numeric.kernels.prediction import spectrum

REFERENCE = json.loads((Path(__file__).parents[2] / "data" / "training_dynamics.json").read_text())
X, X_NEW = (np.array(REFERENCE[name])[:, None, :] for name in ("x_train", "x_test"))
Y = np.array(REFERENCE["y_train"])
GIVEN = {name: np.array(value) for name, value in REFERENCE["K"].items()}
NU = {"nu_F": 1.5**2 / 5, "nu_W": 1.5**2, "nu_C": 1.5**2, "nu_b": 0.09, "nu_c": 0.09}
CASES = {case["id"]: case for case in REFERENCE["cases"]}
CLOSE = {"rtol": 1e-10, "atol": 1e-10}
KERNEL = Kernel(models.feed_forward(2, "erf"), "ntk", readout="last", **NU)


def time_of(row):
    """Their loss is half of ours, so that their clock runs twice as fast."""
    return np.inf if row["t"] is None else row["t"] / 2


@pytest.mark.parametrize("name", ["gd01_zero_init", "gd03_diagreg"])
def test_flow_agrees_with_neural_tangents(name):
    """With a ridge, their outputs on the data obey another equation than elsewhere: ours plus ridge G Y."""
    case, theta = CASES[name], GIVEN["ntk_tt"]
    ridge = case["diag_reg"] * np.trace(theta) / len(theta)
    training = WideTraining(KERNEL, X, Y, ridge=ridge)
    for row in case["rows"]:
        new, old = (training.flow(time_of(row), where).mean for where in (X_NEW, None))
        np.testing.assert_allclose(new, row["test"], **CLOSE)
        np.testing.assert_allclose(old + ridge * training.spectrum.flowed(time_of(row)) @ Y, row["train"], **CLOSE)


def test_the_comparison_sees_a_thousandth():
    row = CASES["gd01_zero_init"]["rows"][2]
    found = WideTraining(KERNEL, X, Y).flow(1.001 * time_of(row), X_NEW).mean
    assert np.abs(found - row["test"]).max() > 1e-6


def test_the_flow_with_momentum_agrees_with_neural_tangents():
    """Their step is 1, so that friction is 1 - momentum; half the loss stretches the clock by the root of two.

    They step an ODE solver whose tolerance is 1.4e-8: their digits end at 2e-7.
    """
    case, training = CASES["momentum_ode"], WideTraining(KERNEL, X, Y)
    time, friction = case["t"] / np.sqrt(2), (1 - 0.9) * np.sqrt(2)
    for where, name in ((X_NEW, "test"), (None, "train")):
        np.testing.assert_allclose(training.flow(time, where, friction=friction).mean, case[name], atol=5e-7, rtol=0)
        mutant = training.flow(time, where, friction=1.001 * friction).mean
        assert np.abs(mutant - np.array(case[name])).max() > 1e-5


@pytest.mark.parametrize("row", CASES["ens_nngp"]["rows"], ids=lambda row: str(row["t"]))
def test_the_ensemble_of_trained_readouts_agrees_with_neural_tangents(row):
    training = WideTraining(KERNEL, X, Y, parameters=("C", "c"))
    for where, part in ((X_NEW, "test"), (None, "train")):
        found = training.flow(time_of(row), where)
        np.testing.assert_allclose(found.mean, row[f"{part}_mean"], **CLOSE)
        np.testing.assert_allclose(found.covariance, row[f"{part}_cov"], **CLOSE)


def test_the_largest_step_agrees_with_neural_tangents():
    found = WideTraining(KERNEL, X, Y).largest_step
    assert 2 * found == pytest.approx(REFERENCE["max_learning_rate_ntk_tt"]["value"], rel=1e-10)


def descended(steps, step, ridge, start, start_new, momentum=0.0):
    """Parameters of a linear model with these kernels, moved one step at a time."""
    joint = np.block([[GIVEN["ntk_tt"], GIVEN["ntk_st"].T], [GIVEN["ntk_st"], GIVEN["ntk_ss"]]])
    values, vectors = np.linalg.eigh(joint)
    features = vectors * np.sqrt(values)  # (9, 9), rows phi(x)
    old, new = features[:6], features[6:]
    moved, speed = np.zeros((2, 9, 2))
    for _ in range(steps):
        speed = momentum * speed - step * 2 / Y.size * (old.T @ (start + old @ moved - Y) + ridge * moved)
        moved = moved + speed
    return start + old @ moved, start_new + new @ moved


@pytest.mark.parametrize("steps", [0, 1, 7, 40])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_descent_is_its_steps_one_by_one(steps, ridge, momentum):
    rng = np.random.default_rng(0)
    start, start_new = rng.standard_normal((6, 2)), rng.standard_normal((3, 2))
    old, new = descended(steps, 0.5, ridge, start, start_new, momentum)
    training = WideTraining(KERNEL, X, Y, ridge=ridge)
    found = [training.descend(steps, 0.5, x, (start, z), momentum).mean for x, z in ((None, start), (X_NEW, start_new))]
    np.testing.assert_allclose(found[0], old, **CLOSE)
    np.testing.assert_allclose(found[1], new, **CLOSE)


def test_with_momentum_many_steps_end_at_the_targets():
    training = WideTraining(KERNEL, X, Y)
    np.testing.assert_allclose(training.descend(10**6, X=X_NEW, momentum=0.9).mean,
                               training.flow(np.inf, X_NEW).mean, rtol=1e-6)  # fmt: skip


def test_small_steps_with_momentum_are_its_flow():
    """At a step eta, momentum 1 - friction sqrt(eta) and time sqrt(eta) a step; the gap is of the order sqrt(eta)."""
    training, time, friction = WideTraining(KERNEL, X, Y), 6.0, 0.8
    want = training.flow(time, X_NEW, friction=friction).mean
    gaps = [np.abs(training.descend(k, (time / k) ** 2, X_NEW, momentum=1 - friction * time / k).mean - want).max()
            for k in (256, 512)]  # fmt: skip
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.05)


def test_small_steps_are_the_flow():
    training = WideTraining(KERNEL, X, Y)
    gaps = [np.abs(training.descend(k, 3 / k, X_NEW).mean - training.flow(3.0, X_NEW).mean).max() for k in (64, 128)]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("time", [0.0, 0.7, 10.0, np.inf])
def test_the_ensemble_is_the_law_of_linearised_networks(time):
    """Mean and covariance of a deterministic map of Gaussian starts, propagated through a root of their covariance."""
    training = WideTraining(KERNEL, X, Y)
    joint = np.block([[GIVEN["nngp_tt"], GIVEN["nngp_st"].T], [GIVEN["nngp_st"], GIVEN["nngp_ss"]]])
    root = np.linalg.cholesky(joint)
    still = np.zeros((3, 2))
    mean = training.flow(time, X_NEW, start=(np.zeros((6, 2)), still)).mean
    moved = [training.flow(time, X_NEW, start=(np.c_[z[:6], z[:6]], np.c_[z[6:], z[6:]])).mean - mean for z in root.T]
    found = training.flow(time, X_NEW)
    want = sum(np.outer(m[:, 0], m[:, 0]) for m in moved)
    np.testing.assert_allclose(found.mean, mean, **CLOSE)
    np.testing.assert_allclose(found.covariance, want, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.std, np.sqrt(np.diagonal(want)), rtol=1e-8)


def test_the_posterior_is_gaussian_conditioning():
    tt, st, ss = GIVEN["nngp_tt"] + 0.05 * np.eye(6), GIVEN["nngp_st"], GIVEN["nngp_ss"]
    found = posterior(KERNEL, X, Y, X_NEW, noise=0.05)
    np.testing.assert_allclose(found.mean, st @ np.linalg.solve(tt, Y), **CLOSE)
    np.testing.assert_allclose(found.covariance, ss - st @ np.linalg.solve(tt, st.T), **CLOSE)
    exact, flow = posterior(KERNEL, X, Y, X_NEW), WideTraining(KERNEL, X, Y, parameters=("C", "c")).flow(np.inf, X_NEW)
    np.testing.assert_allclose(exact.mean, flow.mean, **CLOSE)
    np.testing.assert_allclose(exact.covariance, flow.covariance, **CLOSE)


def test_every_step_of_sequences_may_be_a_target():
    rng = np.random.default_rng(1)
    x, y, new = rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 4)), rng.standard_normal((2, 4, 2))
    training = WideTraining(Kernel(models.elman(), nu_W=0.8, nu_F=1.0, nu_C=1.0, nu_b=0.1), x, y)
    assert training.flow(2.0, new).mean.shape == (2, 4)
    assert training.flow(2.0, new).covariance.shape == (2, 4, 2, 4)
    assert training.flow(2.0, new).std.shape == (2, 4)
    np.testing.assert_allclose(training.flow(np.inf).mean, y, rtol=1e-7)


def test_a_repeated_sequence_leaves_the_numbers_finite():
    """The kernel is singular: both copies learn the mean of their targets."""
    twice, targets = np.concatenate([X, X[:1]]), np.concatenate([Y, -Y[:1]])
    found = WideTraining(KERNEL, twice, targets).flow(np.inf)
    np.testing.assert_allclose(found.mean[[0, 6]], 0, atol=1e-8)
    assert np.isfinite(WideTraining(KERNEL, twice, targets).flow(5.0, X_NEW).covariance).all()


def test_wide_networks_train_so():
    """The difference of the trained outputs from those of the linearised network falls as the root of the width."""
    rnn, nu = models.elman("erf"), {"nu_W": 0.8, "nu_F": 0.5, "nu_C": 1.0, "nu_b": 0.1}
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((3, 3, 1)), rng.standard_normal((3, 1))
    training = WideTraining(Kernel(rnn, readout="last", **nu), x, y)
    step, gaps = training.largest_step / 4, []
    for width in (50, 800):
        found = []
        for seed in range(10):
            run = train_network(rnn, x, y, width, steps=10, step_size=step, seed=seed, **nu)
            found.append(run.last - training.descend(10, step, start=(run.first, run.first)).mean)
        gaps.append(np.sqrt(np.mean(np.square(found))))
    assert 2.2 < gaps[0] / gaps[1] < 7  # 4 if the law holds; 10 networks scatter it by a factor 1.3
    assert gaps[1] < 0.15


# ---- outputs whose prior mean is not zero ------------------------------------------------------------------
MEANS = {"nu_F": 0.5, "nu_C": 1.0, "nu_c": 0.3, "mu": 1.5}
FEW, FEW_Y = np.random.default_rng(4).standard_normal((3, 2, 1)), np.array([[0.5], [-1.0], [2.0]])
FEW_NEW = np.random.default_rng(5).standard_normal((2, 2, 1))


def with_mean():
    """y = C erf(F x + c') + 2 c - 1/2, where c has the mean mu."""
    r = Recursion("with-mean")
    h, c = r.state("h"), r.bias("c", "nu_c", mean="mu")
    r.update(h, erf(r.input_map("F", "nu_F") @ r.x))
    r.output(r.readout("C", "nu_C") @ h + 2 * c - sp.Rational(1, 2))
    return r


def test_training_starts_from_the_mean_of_the_outputs():
    """By hand: y = m + A (Y - m), with the A of a network of the same kernels that has no mean."""
    kernel, centred = (Kernel(with_mean(), readout="last", **MEANS | {"mu": mu}) for mu in (1.5, 0.25))
    mean = 2 * 1.5 - 0.5
    assert kernel.mean == pytest.approx(mean, rel=1e-15)
    assert centred.mean == 0.0
    training, plain = (WideTraining(k, FEW, FEW_Y) for k in (kernel, centred))
    for time in (0.0, 0.7, np.inf):
        for where in (None, FEW_NEW):
            unit = WideTraining(centred, FEW, np.ones_like(FEW_Y)).flow(time, where).mean
            found, want = training.flow(time, where), plain.flow(time, where)
            np.testing.assert_allclose(found.mean, want.mean + mean * (1 - unit), rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(found.covariance, want.covariance, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(training.flow(0.0, FEW_NEW).mean, mean, rtol=1e-15)
    K, cross = kernel.nngp(FEW), kernel.nngp(FEW_NEW, FEW)
    want = mean + cross @ np.linalg.solve(K + 0.1 * np.eye(3), FEW_Y - mean)
    np.testing.assert_allclose(posterior(kernel, FEW, FEW_Y, FEW_NEW, noise=0.1).mean, want, rtol=1e-10)
    assert np.abs(posterior(centred, FEW, FEW_Y, FEW_NEW, noise=0.1).mean - want).max() > 0.1


def test_networks_of_finite_width_learn_from_that_mean():
    """The mean over trained networks is the predicted one, and not that of a prior without a mean."""
    kernel = Kernel(with_mean(), readout="last", **MEANS)
    step, runs = WideTraining(kernel, FEW, FEW_Y).largest_step / 4, []
    for seed in range(60):
        run = train_network(with_mean(), FEW, FEW_Y, 400, steps=4, step_size=step, seed=seed, **MEANS)
        runs.append(run.last)
    found, error = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1) / len(runs) ** 0.5
    want = WideTraining(kernel, FEW, FEW_Y).descend(4, step).mean
    wrong = WideTraining(Kernel(with_mean(), readout="last", **MEANS | {"mu": 0.25}), FEW, FEW_Y).descend(4, step).mean
    assert np.abs((found - want) / error).max() < 4.0
    assert np.abs((found - wrong) / error).max() > 8.0


def test_the_same_text_runs_on_a_strict_array_library():
    xp = array_api_strict
    ours = spectrum(GIVEN["ntk_tt"], 12, 0.1)
    strict = spectrum(xp.asarray(GIVEN["ntk_tt"]), 12, 0.1)
    for name, arguments in (("flowed", (2.0,)), ("flowed", (np.inf,)), ("descended", (5, 0.4))):
        found = getattr(strict, name)(*arguments)
        assert isinstance(found, type(xp.asarray(0.0)))
        np.testing.assert_allclose(np.asarray(found), getattr(ours, name)(*arguments), rtol=1e-11, atol=1e-12)
    assert replace(ours, ridge=0.0).largest_step > ours.largest_step


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        (lambda: WideTraining(KERNEL, X, Y[:4]), ShapeError, "Y"),
        (lambda: WideTraining(KERNEL, X, Y, ridge=-1).flow(1.0), ParameterError, "ridge"),
        (lambda: WideTraining(KERNEL, X, Y).flow(-1.0), ParameterError, "time"),
        (lambda: WideTraining(KERNEL, X, Y).descend(3, 10.0), ParameterError, "diverges above 0.957"),
        (lambda: WideTraining(KERNEL, X, Y).descend(2.5), ParameterError, "whole"),
        (lambda: WideTraining(KERNEL, X, Y).flow(1.0, start=(Y[:2], Y)), ShapeError, "start"),
        (lambda: WideTraining(KERNEL, X, Y).flow(1.0, X_NEW, start=(Y, Y[:2])), ShapeError, "start"),
        (lambda: spectrum(GIVEN["ntk_st"], 6), ShapeError, "square"),
        (lambda: posterior(KERNEL, X, Y[:2], X_NEW), ShapeError, "posterior"),
    ],
)
def test_what_has_no_meaning_is_refused(broken, error, words):
    with pytest.raises(error, match=words):
        broken()


def test_an_eigenvalue_below_zero_by_more_than_rounding_is_told():
    with pytest.warns(Indefinite, match=r"-1e-08 of the largest.*ridge"):
        spectrum(np.diag([1.0, -1e-8]), 2)
    with pytest.warns(Indefinite, match="above zero"):
        spectrum(-np.eye(2), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spectrum(np.diag([1.0, -1e-14, 0.0]), 3)
        spectrum(np.zeros((2, 2)), 2)
