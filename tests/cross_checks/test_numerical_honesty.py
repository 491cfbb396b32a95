"""What has no right value is told at every entrance, with the step and the cause, and without a warning of NumPy."""

from __future__ import annotations

import re

import numpy as np
import pytest

import wideproof as wp
from wideproof.derive.language.errors import DeriveError, TooLarge, TooSmall
from wideproof.numeric.memory_horizon.fixed_points import analyse
from wideproof.numeric.networks.divergence import Diverged
from wideproof.numeric.networks.simulation import simulate

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 6, 2)), np.ones((2, 1))
LINEAR, RELU, GRU = wp.models.linear_rnn(), wp.models.elman("relu", bias=False), wp.models.gru()
NU = {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0}
STEEP = NU | {"nu_W": 1e70}
IMPULSE = np.eye(6, 1)[None]
GATES = dict.fromkeys(GRU.program().symbols, 0.5)


def formula(derived):
    return derived.formula.compile()


def kernel(recursion, **nu):
    return wp.Kernel(recursion, readout="last", **nu)


def trained(step_size, **nu):
    return wp.train_network(RELU, X, Y, 8, steps=50, step_size=step_size, **NU | nu)


TABLE = {
    "eval: overflow": (
        lambda: formula(wp.scale_factors(LINEAR))(j=np.arange(40), **STEEP), TooLarge, "overflow from lag 5 on"),
    "eval: no peak": (
        lambda: formula(wp.scale_factor_peak(LINEAR))(**NU | {"nu_W": 1.0}), wp.ParameterError, "expected nu_W < 1"),
    "eval: a bound that is false there": (
        lambda: formula(wp.scale_factor_bound(LINEAR, "T-free"))(j=1, **STEEP), wp.ParameterError, "nu_W <= 1"),
    "nngp: overflow": (lambda: kernel(LINEAR, **STEEP).nngp(X), TooLarge, "overflow from step 5 on"),
    "ntk: overflow": (lambda: kernel(RELU, **STEEP).ntk(X), TooLarge, "overflow from step"),
    "nngp: underflow": (lambda: kernel(LINEAR, **NU | {"nu_W": 1e-100}).nngp(IMPULSE), TooSmall, "at step 4"),
    "nngp: gates overflow": (lambda: kernel(GRU, **GATES | {"nu_F": 1e308}).nngp(99 * X), TooLarge, "from step 0 on"),
    "nngp: inputs that underflow": (lambda: kernel(GRU, **GATES).nngp(1e-165 * X), wp.ParameterError, "at step 0"),
    "networks: overflow": (lambda: simulate(LINEAR, X, 8, **NU | {"nu_W": 1e150}), TooLarge, "overflow at step"),
    "tangent kernel of networks: overflow": (
        lambda: wp.empirical_ntk(LINEAR, X, 8, readout="all", **STEEP), TooLarge, "overflow from step"),
    "training: diverges": (lambda: trained(1.0), Diverged, "is above 2, where descent diverges"),
    "training: leaves the doubles": (lambda: trained(1e300), Diverged, "the loss is inf at step 1"),
    "training: starts beyond them": (lambda: trained(1e-3, nu_W=1e150), TooLarge, "overflow at step"),
    "training in the limit: diverges": (
        lambda: wp.WideTraining(kernel(RELU, **NU), X, Y).descend(5, 1e3, X), wp.ParameterError, "from the first step"),
    "width: too wide": (
        lambda: wp.width_for(LINEAR, horizon=3, tolerance=1e-9, failure=1e-9, **NU | {"nu_W": 1e5}),
        wp.ParameterError, "a width below"),
}  # fmt: skip
"""Entrance and fault -> the call, the class of the error, and what it says."""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fault", TABLE)
def test_what_has_no_right_value_is_told_with_step_and_cause(fault):
    call, kind, said = TABLE[fault]
    with pytest.raises(DeriveError, match=re.escape(said)) as told:
        call()
    assert type(told.value) is kind
    assert len(str(told.value)) < 700
    assert told.value.hint


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("nu_W", [2.5, 1e10, 1e200])
def test_memory_says_that_the_variance_diverges(nu_W):
    found = analyse(wp.memory(RELU), **NU | {"nu_W": nu_W, "X": 1.0})
    assert found.settled is None
    assert "the variance diverges, by a factor of" in found.note
