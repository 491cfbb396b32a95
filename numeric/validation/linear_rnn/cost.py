"""What a plan will need, before it starts: memory of its largest batch, and time from batches like those it makes."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wideproof.numeric.core.arrays import backend, seed_sequence, stream
from wideproof.numeric.core.timing import Work, seconds
from wideproof.numeric.sampling.linear import LinearSetting, draw
from wideproof.numeric.validation.linear_rnn.features import kernel_moments, response_moments
from wideproof.numeric.validation.linear_rnn.plan import GROUPS, Plan

LARGEST = 512
"""Wider whole matrices are timed at this width, and taken to cost n² as much."""
TRIES, ENOUGH_S = 3, 0.2
"""A batch is timed so often, or until that many seconds have gone."""

SEEN_S = 0.05
"""Seconds of work below which nothing can be said of the load."""
BUSY = 1.3
"""Seconds of the clock to those of the processor beyond which both are told."""


@dataclass(frozen=True)
class Cost:
    """An estimate of the memory and time of a run.

    Units: bytes, seconds of processor time (on a GPU, of the clock), and seconds of the clock if the machine stays as
    busy as it was during the estimate.  Error: seconds within a factor of two; an upper bound where the plan has a
    target.  Source: batches like those of the run, timed.
    """

    memory: float
    seconds: float
    elapsed: float = field(compare=False)

    def __str__(self) -> str:
        busy = self.elapsed > BUSY * self.seconds
        wait = f" of processor time, {self.elapsed:.2g} s if the machine stays as busy as it is" if busy else ""
        return f"about {self.memory / 1e6:.3g} MB and {self.seconds:.2g} s{wait}"


def estimate_cost(plan: Plan) -> Cost:
    """Estimate what a plan needs, by making one batch of each kind it has.

    Units: as `Cost`.  Error: as `Cost`.  Source: `batch_seconds`.
    """
    total = 0.0
    with load_of(plan.backend) as load:
        for group in GROUPS:
            for width in plan.widths:
                trials = plan.trials_of(group)
                each = min(trials, plan.batch_size(group, width))
                total += trials / each * _seconds(plan, group, width, each)
    return Cost(plan.memory().bytes, total, total * load())


@contextmanager
def load_of(device: str) -> Iterator[Callable[[], float]]:
    """Measure, while the block runs, how many seconds of the clock one second of processor time takes.

    Units: 1; on a GPU, whose work is timed by the clock, it is 1.  Error: that of the machine's load.
    Source: measured.
    """
    clock, processor = time.perf_counter(), time.process_time()

    def load() -> float:
        spent = time.process_time() - processor
        return (time.perf_counter() - clock) / spent if device == "numpy" and spent > SEEN_S else 1.0

    yield load


def _seconds(plan: Plan, group: str, width: int, trials: int) -> float:
    """The time of one batch: without whole matrices the width plays no part once it is beyond the dimensions."""
    setting = plan.setting(width)
    dense = plan.whole_matrices(group, width)
    most = LARGEST if dense else 2 * plan.horizon * (plan.n_x + plan.n_y)
    alike = plan.setting(min(width, most))
    method = "dense" if dense else "matrix-free"
    found = batch_seconds(alike, trials, group == GROUPS[1], method, plan.dtype, plan.backend)
    return found * (setting.width / alike.width) ** 2 if dense else found


@functools.cache
def batch_seconds(setting: LinearSetting, trials: int, grams: bool, method: str, dtype: str, device: str) -> float:
    """Return the time of drawing one batch and taking its moments, measured.

    Units: seconds, of processor time on the host.  Error: as `Cost`.  Source: `least_seconds`.
    """
    xp, moments = backend(device), kernel_moments if grams else response_moments

    def work() -> object:
        return moments(draw(setting, trials, stream(xp, seed_sequence(0)), grams, method, dtype))

    return least_seconds(work, device)


def least_seconds(work: Work, device: str) -> float:
    """Return the least time of a few runs of a batch.

    Units: seconds, of processor time on the host, of the clock on a GPU.
    Source: measured.
    """
    clock, found = time.process_time if device == "numpy" else time.perf_counter, [math.inf]
    while len(found) <= TRIES and sum(found[1:]) < ENOUGH_S:
        found.append(seconds(work, 1, clock))
    return min(found)
