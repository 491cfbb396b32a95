"""Training of any recursion: naive descent, the linearised law at growing width, resumption, refusals."""

import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from wideproof.derive import ParameterError, ShapeError, models
from wideproof.derive.language.errors import TooLarge
from wideproof.numeric.networks.divergence import Diverged
from wideproof.numeric.networks.empirical_kernels import empirical_ntk
from wideproof.numeric.networks.simulation import simulate
from wideproof.numeric.networks.training import train_network

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3, 4, 2)), RNG.standard_normal((3, 2))
NU = {"nu_W": 0.8, "nu_F": 1.0, "nu_C": 1.0, "nu_b": 0.1}


@pytest.mark.parametrize("readout", ["last", "average", "all"])
@pytest.mark.parametrize("parameterization", ["entries", "ntk"])
def test_two_steps_with_momentum_are_those_of_difference_quotients(readout, parameterization):
    model, targets = models.elman("tanh"), RNG.standard_normal((3, 4, 2)) if readout == "all" else Y
    options = {"step_size": 0.05, "momentum": 0.7, "readout": readout, "parameterization": parameterization, **NU}
    start = train_network(model, X, targets, 3, steps=0, seed=4, **options).weights
    found = train_network(model, X, targets, 3, steps=2, seed=4, **options)

    def loss(weights):
        y = simulate(model, X, 3, n_y=2, weights=weights, **NU).outputs[0]
        y = {"last": y[:, -1], "average": y.mean(axis=1), "all": y}[readout]
        return np.mean((y - targets) ** 2)

    def slope(weights):
        made = {}
        for name, value in weights.items():
            made[name] = np.zeros_like(value)
            scale = NU["nu_" + name] if parameterization == "ntk" else 1.0
            for place in np.ndindex(value.shape):
                step = np.zeros_like(value)
                step[place] = 1e-6
                ends = [loss({**weights, name: value + sign * step}) for sign in (1, -1)]
                made[name][place] = scale * (ends[0] - ends[1]) / 2e-6
        return made

    weights, velocity = start, {name: 0.0 for name in start}
    for k in range(2):
        assert found.loss[k] == pytest.approx(loss(weights), rel=1e-7)
        velocity = {name: 0.7 * velocity[name] + g for name, g in slope(weights).items()}
        weights = {name: weights[name] - 0.05 * velocity[name] for name in weights}
    for name, value in weights.items():
        assert np.allclose(found.weights[name], value, atol=1e-8), name
    assert found.loss[2] == pytest.approx(loss(weights), rel=1e-6)


@pytest.mark.parametrize("name", ["gru", "lstm", "stacked", "untied", "feed_forward"])
def test_every_recursion_learns(name):
    model = models.elman(tied=False) if name == "untied" else getattr(models, name)()
    nu = {key: NU.get(key, 1.0) for key in model.program().symbols}
    found = train_network(model, X, Y, 40, steps=30, seed=1, **nu)
    assert np.all(np.diff(found.loss) < 0)
    assert found.loss[-1] < 0.5 * found.loss[0]
    again = simulate(model, X, 40, n_y=2, weights=found.weights, **nu).outputs[0, :, -1]
    assert np.allclose(again, found.last, rtol=1e-12)


def test_wide_networks_descend_as_their_kernel_says():
    """The outputs follow f - y <- (1 - 2 eta/count K)(f - y), K the kernel at the start, ever closer with the width."""
    gaps = []
    for width in (64, 256, 1024):
        found = train_network(models.elman("tanh"), X, Y, width, steps=20, seed=2, **NU)
        start = train_network(models.elman("tanh"), X, Y, width, steps=0, seed=2, **NU)
        K = empirical_ntk(models.elman("tanh"), X, width, n_y=2, readout="last", weights=start.weights, **NU).total
        K = np.reshape(K, (Y.size, Y.size))
        residual = (found.first - Y).ravel()
        for _ in range(20):
            residual = residual - 2 * found.step_size / Y.size * K @ residual
        gaps.append(float(np.linalg.norm((found.last - Y).ravel() - residual) / np.linalg.norm(found.first - Y)))
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] * 0.7
    assert gaps[2] < 0.01


def test_an_interrupted_training_resumes_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("wideproof.numeric.networks.training.SAVE_EVERY", 0.0)
    options = {"steps": 12, "momentum": 0.5, "seed": 3, **NU}
    whole, path = train_network(models.elman(), X, Y, 16, **options), tmp_path / "run.npz"

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network(models.elman(), X, Y, 16, progress=stop, checkpoint=path, **options)
    told = []
    again = train_network(models.elman(), X, Y, 16, checkpoint=path, progress=lambda *at: told.append(at), **options)
    assert told[0] == (6, 12)
    assert np.array_equal(whole.loss, again.loss)
    assert all(np.array_equal(whole.weights[name], again.weights[name]) for name in whole.weights)
    with pytest.raises(ParameterError):
        train_network(models.elman(), X, Y + 1, 16, checkpoint=path, **options)


def test_a_checkpoint_of_more_steps_is_refused_and_of_fewer_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr("wideproof.numeric.networks.training.SAVE_EVERY", 0.0)
    options = {"seed": 3, "checkpoint": tmp_path / "run.npz", **NU}
    train_network(models.elman(), X, Y, 16, steps=12, **options)
    with pytest.raises(ParameterError, match="a run of at most 5 steps, got 12"):
        train_network(models.elman(), X, Y, 16, steps=5, **options)
    more = train_network(models.elman(), X, Y, 16, steps=20, **options)
    whole = train_network(models.elman(), X, Y, 16, steps=20, seed=3, **NU)
    assert np.array_equal(more.loss, whole.loss)
    with pytest.raises(ParameterError, match="program"):
        train_network(models.elman("tanh"), X, Y, 16, steps=20, step_size=more.step_size, **options)


def test_a_training_that_ends_above_its_start_is_told_with_its_cause():
    """Three steps of eight times the usual size: the loss has not blown up yet, and has risen."""
    usual = train_network(models.elman(), X, Y, 16, steps=0, **NU).step_size  # 1 / curvature
    with pytest.raises(ParameterError) as caught:
        train_network(models.elman(), X, Y, 16, steps=3, step_size=8.0 * usual, **NU)
    assert f"step size below {2.0 * usual:.3g}" in caught.value.expected
    assert "at step 3" in caught.value.got
    assert "= 8 is above 2" in caught.value.hint


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ShapeError):
        train_network(models.elman(), X, Y[:2], 8, steps=1, **NU)
    with pytest.raises(ParameterError) as caught:
        train_network(models.elman(), X, Y, 8, steps=400, step_size=1e3, **NU)
    assert caught.value.where == "train_network: step_size"
    assert "at step" in caught.value.got
    assert "is above 2" in caught.value.hint
    with pytest.raises(ParameterError):
        train_network(models.elman(), X, Y, 8, steps=1, momentum=1.0, **NU)
    with pytest.raises(Diverged, match="loss is inf at step 1"):  # was an overflow of the recursion at its step 0
        train_network(models.elman("relu"), X, Y, 8, steps=5, step_size=1e300, **NU)


@pytest.mark.filterwarnings("ignore::wideproof.NarrowWidth")  # narrow on purpose
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e155, 1e200, 1e307])
def test_what_overflows_in_a_network_is_told_and_nothing_else_is_said(size):
    """NumPy's warnings reached the user, with kernels of infinities; erf of huge sums is their sign."""
    X = np.random.default_rng(0).standard_normal((2, 3, 2))
    nu = {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0}
    with pytest.raises(TooLarge, match="empirical_ntk of linear-rnn"):
        empirical_ntk(models.linear_rnn(), size * X, width=4, seed=1, **nu)
    with pytest.raises(ParameterError, match="underflow at step 0"):
        empirical_ntk(models.linear_rnn(), X / size, width=4, seed=1, **nu)
    with pytest.raises(TooLarge, match="at step 1"):
        empirical_ntk(models.linear_rnn(), size * X, width=4, seed=1, **nu | {"nu_W": 1e308})
    bounded = models.elman("erf", bias=False)
    assert (abs(simulate(bounded, size * X, width=4, seed=1, **nu).outputs) < 10).all()
    with pytest.raises(TooLarge, match=r"squares of outputs and targets: .* at step 0"):
        train_network(bounded, X, np.full((2, 1), size), 4, steps=2, step_size=0.1, readout="last", **nu)


TRAINED = """import sys, numpy as np
from wideproof.derive import models
from wideproof.numeric.networks.training import train_network
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((8, 6, 3)), rng.standard_normal((8, 2))
found = train_network(models.elman("tanh"), X, Y, 300, steps=4, seed=1, nu_W=0.5, nu_F=1.0, nu_b=0.1, nu_C=1.0)
print(found.step_size.hex(), *(x.hex() for x in found.loss), float(found.weights["W"].sum()).hex())
"""


@cache
def _trained(threads, before=""):
    names = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    done = subprocess.run([sys.executable, "-c", before + TRAINED], env=os.environ | names, capture_output=True,
                          text=True, check=True)  # fmt: skip
    return done.stdout


def test_the_bits_are_those_of_one_thread_whatever_the_environment_asks_for():
    """300 wide, where two threads of OpenBLAS share a product and round it otherwise."""
    assert _trained(2) == _trained(1)


OPENBLAS = "openblas" in {pool.internal_api for pool in ThreadpoolController().lib_controllers}


@pytest.mark.skipif((os.cpu_count() or 1) < 2 or not OPENBLAS, reason="what others round is not known")
def test_the_mutant_that_takes_the_threads_it_is_given_differs():
    mutant = """from contextlib import nullcontext
from wideproof.numeric.networks import training
training.blas_threads = nullcontext
"""
    assert _trained(2, mutant) != _trained(1)
