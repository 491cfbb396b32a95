"""What a run of kernels is said to decide beforehand is what it decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wideproof.derive import models
from wideproof.numeric import Level, validate
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.validation.kernels import (
    KernelMeasurements,
    KernelPlan,
    Power,
    default_trials,
    kernel_power,
    power,
)
from wideproof.numeric.validation.kernels.claims import judge_kernels
from wideproof.numeric.validation.kernels.experiment import KERNEL_DEFAULTS
from wideproof.numeric.validation.validate import planned

PROGRAM = models.elman("tanh").program()
VALUES = {name: KERNEL_DEFAULTS[name] for name in PROGRAM.symbols}
PLAN = KernelPlan(PROGRAM, VALUES, 128, 200, horizon=2, widths=(16, 32, 64, 128))


def test_what_the_worst_entry_sees_is_foreseen_within_the_stated_factor():
    said = kernel_power(PLAN)
    drawn = [gather(KernelMeasurements, replace(PLAN, seed=seed)) for seed in range(3)]
    seen = [max(c.detectable for c in judge_kernels(found, Kernel(PROGRAM, **VALUES))) for found in drawn]
    assert all(1 / 1.5 < said.sees / size < 1.5 for size in seen), (said.sees, seen)


def test_too_few_networks_are_told_with_the_number_that_decides():
    told = []
    found = validate(models.elman("tanh"), 64, 100, horizon=2, announce=told.append)
    said = next(x for x in told if isinstance(x, Power))
    assert not said.decides
    assert str(said).startswith("cannot decide: 100 networks a width see an entry ")
    assert str(said).endswith(f"asked 0.04: use --trials {said.needed}")
    assert found.verdict == "undecided"
    enough = kernel_power(replace(PLAN, trials=kernel_power(PLAN).needed))
    assert enough.decides
    assert str(enough).startswith("can decide: ")


def test_a_ladder_out_of_reach_is_told_and_no_number_of_networks_helps():
    said = kernel_power(KernelPlan(PROGRAM, VALUES, 16, 200, horizon=3))
    assert (said.decides, said.needed) == (False, 0)
    assert str(said) == "cannot decide: step 2 is outside the theory at these widths: use width >= 72"


def test_the_default_is_what_decides_and_at_least_the_usual_number(monkeypatch):
    assert default_trials(PLAN, Level(effects={"nngp": 0.5, "ntk": 0.5})) == PLAN.trials
    needed = kernel_power(PLAN, Level(effects={"nngp": 0.02, "ntk": 0.02})).needed
    assert needed > PLAN.trials
    assert needed % power.ROUND == 0
    assert default_trials(PLAN, Level(effects={"nngp": 0.02, "ntk": 0.02})) == needed
    relu = planned(models.elman("relu"), 1024, None, 0, "cpu", None, None, "auto", None, "float64", {})
    assert relu.plan.trials > 1500
    assert relu.power().decides


@pytest.mark.parametrize(("trials", "needed", "decides"), [(100, 200, False), (200, 200, True)])
def test_a_run_decides_from_the_needed_number_on(trials, needed, decides):
    assert Power(trials, 0.1, 0.04, 0.9, needed).decides is decides
