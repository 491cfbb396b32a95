"""A run stops at its target standard error, with bits that depend on the plan alone; its cost is known before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.runs.chunks import ChunkFolder
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.validation.linear_rnn import Measurements, Plan, cost, estimate_cost, linear_validation

NU = {"nu_W": 0.6, "nu_F": 1.2, "nu_C": 0.8}
TARGET = Plan(1024, 60_000, 3, **NU, seed=5, target=0.01)


def worst(found, group, feature):
    estimates = [found.moments[group, width, "lag"].feature(feature) for width in found.plan.widths]
    return max(float(np.max(e.stderr / np.abs(e.mean))) for e in estimates)


def test_a_run_stops_at_its_target_and_not_before():
    found = gather(Measurements, TARGET)
    assert found.trials("response", "lag") < 20_000
    assert worst(found, "response", 1) <= 0.01
    assert worst(found, "kernel", 0) <= 0.01
    batch = TARGET.chunk_size("response", 1024)
    short = gather(Measurements, Plan(1024, found.trials("response", "lag") - batch, 3, **NU, seed=5))
    assert worst(short, "response", 1) > 0.01


def test_up_to_the_stop_the_bits_are_those_of_a_run_without_target():
    stopped = gather(Measurements, TARGET)
    count = stopped.moments["response", 1024, "lag"].count
    plain = gather(Measurements, Plan(1024, count, 3, **NU, seed=5))
    assert np.array_equal(stopped.moments["response", 1024, "lag"].mean, plain.moments["response", 1024, "lag"].mean)


def test_an_interrupted_run_with_a_target_ends_with_the_same_bits(tmp_path):

    def stop(done, total):
        if done == total // 3:
            raise KeyboardInterrupt

    plan = replace(TARGET, trials=10_000, kernel_trials=10_000, target=0.02)
    with pytest.raises(KeyboardInterrupt):
        gather(Measurements, plan, stop, ChunkFolder(tmp_path))
    resumed, whole = (
        gather(Measurements, plan, store=ChunkFolder(tmp_path)).arrays(),
        gather(Measurements, plan).arrays(),
    )
    assert {k: v.tobytes() for k, v in resumed.items()} == {k: v.tobytes() for k, v in whole.items()}


def test_a_true_limit_holds_under_a_target_and_the_trials_reported_are_those_that_ran():
    powers = 0.6 ** np.arange(3)
    weights = 2.0 * powers + np.array([0.0, 0.96, 1.152])
    found = linear_validation(gather(Measurements, TARGET), 0.96 * powers, weights)
    assert found.verdict == "holds"
    checks = [check for check in found.checks if check.quantity == "second-moment"]
    assert all(check.trials == found.measurements.trials("response", "lag") for check in checks)


def test_a_quantity_that_is_zero_does_not_keep_a_run_going():
    found = gather(Measurements, Plan(64, 50_000, 2, nu_W=0.0, nu_F=1.0, nu_C=1.0, target=0.05))
    assert found.trials("response", "lag") < 50_000


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), float("inf")])
def test_a_target_that_means_nothing_is_refused(target):
    with pytest.raises(ParameterError) as caught:
        Plan(64, 100, 2, **NU, target=target)
    assert caught.value.where == "target"


def test_the_cost_before_the_start_is_that_of_the_batches(monkeypatch):
    """Batches are timed as the run makes them: all of a kind once, dense ones beyond a width by its square."""
    asked = []

    def one_second(setting, trials, grams, method, dtype, device):
        asked.append((setting.width, trials, grams, method))
        return 1.0

    monkeypatch.setattr(cost, "batch_seconds", one_second)
    plan = Plan(10**9, 3000, 10, **NU, kernel_trials=600)
    batches = [plan.batch_size(group, plan.width) for group in ("response", "kernel")]
    count = len(plan.widths) * (3000 / batches[0] + 600 / batches[1])
    assert estimate_cost(plan).seconds == pytest.approx(count)
    assert {(grams, method) for _, _, grams, method in asked} == {(False, "matrix-free"), (True, "matrix-free")}
    assert all(width <= 80 for width, *_ in asked)
    dense = Plan(2048, 20, 4, **NU, sampler="dense", widths=(512, 2048))
    assert estimate_cost(dense).seconds == pytest.approx(2 * (20 / 4 + 16 * 20))
    more = len(plan.widths) * 3000 / batches[0]
    assert estimate_cost(replace(plan, trials=6000)).seconds == pytest.approx(count + more)


@pytest.mark.parametrize(
    "plan",
    [Plan(10**9, 3000, 10, **NU), Plan(48, 300, 3, **NU, sampler="dense"), Plan(512, 60, 4, **NU, sampler="dense")],
)
def test_the_cost_is_told_in_bytes_and_seconds(plan):
    found = estimate_cost(plan)
    assert 1e5 < found.memory < 1e9
    assert found.seconds > 0
    assert "MB" in str(found)


def test_on_a_busy_machine_both_times_are_told():
    assert str(cost.Cost(2e8, 30.0, 33.0)) == "about 200 MB and 30 s"
    assert "30 s of processor time, 90 s if the machine stays as busy as it is" in str(cost.Cost(2e8, 30.0, 90.0))
    with cost.load_of("numpy") as load:
        assert load() == 1.0  # nothing was done, so nothing is known


def test_the_estimate_does_not_grow_with_the_width_where_the_cost_does_not():
    costs = [estimate_cost(Plan(n, 3000, 5, **NU, widths=(n // 2, n), kernel_trials=3000)) for n in (10**6, 10**12)]
    assert costs[0] == costs[1]
