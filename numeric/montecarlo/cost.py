"""What a plan will need, before it starts: memory of its largest batch, and time from batches like those it makes."""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass

from numeric.arrays import backend, seed_sequence, stream
from numeric.montecarlo.features import kernel_moments, response_moments
from numeric.montecarlo.plan import GROUPS, Batch, Plan
from numeric.sampling import LinearSetting, draw
from numeric.timing import Work, seconds

LARGEST = 512
"""Wider whole matrices are timed at this width, and taken to cost n² as much."""
TRIES, ENOUGH_S = 3, 0.2
"""A batch is timed so often, or until that many seconds have gone."""


@dataclass(frozen=True)
class Cost:
    """An estimate of the memory and time of a run.

    Units: bytes, and seconds of processor time (on a GPU, of the clock).  Error: seconds within a factor of two; an
    upper bound where the plan has a target.  Source: batches like those of the run, timed.
    """

    memory: float
    seconds: float

    def __str__(self) -> str:
        return f"about {self.memory / 1e6:.3g} MB and {self.seconds:.2g} s"


def estimate_cost(plan: Plan) -> Cost:
    """Estimate what a plan needs, by making one batch of each kind it has.

    Shapes: none.  Units: as `Cost`.  Error: as `Cost`.  Source: `batch_seconds`.
    """
    memory = total = 0.0
    for group in GROUPS:
        for width in plan.widths:
            trials = plan.trials_of(group)
            each = min(trials, plan.batch_size(group, width))
            memory = max(memory, 8.0 * numbers_held(plan, Batch(group, width, 0, each)) * each)
            total += trials / each * _seconds(plan, group, width, each)
    return Cost(memory, total)


def numbers_held(plan: Plan, batch: Batch) -> float:
    """Return the doubles held per trial of one batch.

    Shapes: none.  Units: counts.  Error: leading orders only.  Source: `dense`, `one_sided`, `two_sided`, features.
    """
    n, T, n_x, n_y = batch.width, plan.horizon, plan.n_x, plan.n_y
    kernel = batch.group == GROUPS[1]
    sides, entries = n_x + n_y if kernel else min(n_x, n_y), float(T * n_x * n_y)
    if plan.choice(batch.group, n).name == "dense":
        return n * (n + n_x + n_y) + T * n * sides + 4 * entries
    return 3.0 * min(n, T * sides) ** 2 + 4 * entries * (T if kernel else 1)


def _seconds(plan: Plan, group: str, width: int, trials: int) -> float:
    """The time of one batch: without whole matrices the width plays no part once it is beyond the dimensions."""
    setting = plan.setting(width)
    dense = plan.choice(group, width).name == "dense"
    most = LARGEST if dense else 2 * plan.horizon * (plan.n_x + plan.n_y)
    alike = plan.setting(min(width, most))
    method = "dense" if dense else "matrix-free"
    found = batch_seconds(alike, trials, group == GROUPS[1], method, plan.dtype, plan.backend)
    return found * (setting.width / alike.width) ** 2 if dense else found


@functools.cache
def batch_seconds(setting: LinearSetting, trials: int, grams: bool, method: str, dtype: str, device: str) -> float:
    """Return the time of drawing one batch and taking its moments, measured.

    Shapes: none.  Units: seconds, of processor time on the host.  Error: as `Cost`.  Source: `least_seconds`.
    """
    xp, moments = backend(device), kernel_moments if grams else response_moments

    def work() -> object:
        return moments(draw(setting, trials, stream(xp, seed_sequence(0)), grams, method, dtype))

    return least_seconds(work, device)


def least_seconds(work: Work, device: str) -> float:
    """Return the least time of a few runs of a batch.

    Shapes: none.  Units: seconds, of processor time on the host, of the clock on a GPU.  Error: none.
    Source: measured.
    """
    clock, found = time.process_time if device == "numpy" else time.perf_counter, [math.inf]
    while len(found) <= TRIES and sum(found[1:]) < ENOUGH_S:
        found.append(seconds(work, 1, clock))
    return min(found)
