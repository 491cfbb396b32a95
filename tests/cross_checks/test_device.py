"""The device path on a stand-in: arrays that refuse to meet those of the host, or to turn into them unasked."""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from types import SimpleNamespace

import array_api_strict as strict
import numpy as np
import pytest
import scipy.special

from wideproof.derive import models
from wideproof.numeric import validate
from wideproof.numeric.core.arrays import backend, seed_sequence, stream, to_host
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.krylov import LinearRNN, draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.quadratic_loss import quadratic
from wideproof.numeric.linear_rnn.training import train
from wideproof.numeric.networks.simulation import simulate
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.sampling.linear import LinearSetting, draw
from wideproof.numeric.validation.kernels import KernelMeasurements, KernelPlan
from wideproof.numeric.validation.linear_rnn import Measurements as run, Plan

CREATORS = ("asarray", "arange", "empty", "eye", "full", "linspace", "ones", "zeros")
NU = {"nu_W": 0.6, "nu_F": 1.2, "nu_C": 0.8}


@pytest.fixture
def device(monkeypatch):
    """A namespace that stands for CuPy's: what it makes lives on a device, and only `get` brings it to the host."""
    place, host = strict.Device("device1"), strict.Device("CPU_DEVICE")

    def get(array):
        return np.asarray(array.to_device(host))

    for name in CREATORS:
        monkeypatch.setattr(strict, name, functools.partial(getattr(strict, name), device=place))
    monkeypatch.setattr(type(strict.zeros(1)), "get", get, raising=False)
    special = SimpleNamespace(erf=lambda z: strict.asarray(scipy.special.erf(z.get())))
    for name, module in (("array_api_compat.cupy", strict), ("cupyx.scipy.special", special)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("wideproof.numeric.core.activations.is_cupy_array", lambda z: hasattr(z, "get"))
    return strict


def test_the_stand_in_refuses_what_a_device_refuses(device):
    with pytest.raises(RuntimeError):
        np.asarray(device.ones(3))
    with pytest.raises((TypeError, ValueError)):
        device.ones(3) + np.ones(3)
    assert np.array_equal(to_host(device.ones(3)), np.ones(3))


@pytest.mark.parametrize("grams", [False, True])
@pytest.mark.parametrize("method", ["dense", "matrix-free"])
def test_draws_are_those_of_the_host(device, grams, method):
    setting = LinearSetting(7, 3, 2, 1, **NU)
    drawn, host = (draw(setting, 4, stream(backend(n), seed_sequence(1)), grams, method) for n in ("cupy", "numpy"))
    for name in ("response", "right", "left"):
        if getattr(host, name) is not None:
            assert np.allclose(to_host(getattr(drawn, name)), getattr(host, name), rtol=1e-12)


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_a_linear_run_stays_on_its_device(device, sampler):
    plans = [Plan(32, 300, 3, **NU, seed=2, sampler=sampler, backend=name) for name in ("cupy", "numpy")]
    found, host = map(run, plans)
    for key, moments in host.moments.items():
        assert np.allclose(found.moments[key].mean, moments.mean, rtol=1e-10), key
    assert np.allclose(found.kept, host.kept)


@pytest.mark.parametrize("method", ["dense", "matrix-free"])
@pytest.mark.parametrize("model", ["elman", "leaky", "residual", "gru", "mgu", "lstm", "stacked", "bidirectional"])
def test_every_recursion_runs_on_its_device(device, model, method):
    recursion = getattr(models, model)()
    values = dict.fromkeys(recursion.program().symbols, 0.5)
    inputs = np.random.default_rng(0).standard_normal((2, 3, 2))
    runs = [simulate(recursion, backend(n).asarray(inputs), 6, trials=2, method=method, device=n, **values)
            for n in ("cupy", "numpy")]  # fmt: skip
    assert np.allclose(to_host(runs[0].outputs), runs[1].outputs, rtol=1e-10)


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_the_kernels_of_random_networks_stay_on_their_device(device, sampler):
    program = models.gru().program()
    values = dict.fromkeys(program.symbols, 0.5)
    plan = KernelPlan(program, values, 8, 6, 2, seed=3, sampler=sampler, widths=(4, 8))
    found, host = (gather(KernelMeasurements, replace(plan, backend=n)) for n in ("cupy", "numpy"))
    for key, moments in host.moments.items():
        assert np.allclose(found.moments[key].mean, moments.mean, rtol=1e-8), key


def test_a_validation_on_the_device_says_what_the_host_says(device):
    found, host = (validate(models.linear_rnn(), 64, 300, horizon=2, device=d) for d in ("cuda", "cpu"))
    assert found.verdict == host.verdict
    assert [c.estimate for c in found.checks] == pytest.approx([c.estimate for c in host.checks], rel=1e-6, abs=1e-9)


def test_training_stays_on_its_device(device):
    rng = np.random.default_rng(5)
    rnn, x, y = draw_rnn(9, 2, 1, **NU, rng=rng), rng.standard_normal((4, 3, 2)), rng.standard_normal((4, 3, 1))
    losses = []
    for xp in (device, backend("numpy")):
        start, data = LinearRNN(*map(xp.asarray, (rnn.W, rnn.F, rnn.C))), quadratic(xp.asarray(x), xp.asarray(y))
        convolution = matched(impulse_response(start, 3), xp.asarray([1.0, 0.5, 0.25]))
        losses.append([train(m, data, data, steps=4, momentum=0.5, record=(2,)) for m in (start, convolution)])
    for found, host in zip(*losses, strict=True):
        assert np.allclose(found.train_loss, host.train_loss, rtol=1e-8)
        assert np.allclose(to_host(found.impulses), host.impulses, rtol=1e-6)
