"""What a plan will need, before it starts: memory of its largest batch, and time from measured rates."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

import numpy as np

from numeric.methods import machine_rates
from numeric.montecarlo.plan import GROUPS, Batch, Plan

SMALL = 6.0
"""Measured: batched products of small matrices run at about this part of the rate of one large product."""
CALL = 4e-5
"""Measured: seconds of one array call, however small."""


@dataclass(frozen=True)
class Cost:
    """An estimate of the memory and time of a run.

    Units: bytes and seconds.  Error: seconds within a factor of four on an idle machine, for the CPU; an upper
    bound where the plan has a target.  Source: counts of random numbers and flops.
    """

    memory: float
    seconds: float

    def __str__(self) -> str:
        return f"about {self.memory / 1e6:.3g} MB and {self.seconds:.2g} s"


def estimate_cost(plan: Plan) -> Cost:
    """Estimate what a plan needs, without running it.

    Shapes: none.  Units: as `Cost`.  Error: as `Cost`.  Source: `work` of each batch.
    """
    flops, _ = machine_rates()
    memory = seconds = 0.0
    for batch in plan.batches():
        numbers, products, calls, held = work(plan, batch)
        memory = max(memory, 8.0 * held * batch.trials)
        seconds += batch.trials * (numbers * normal_seconds() + products * SMALL / flops) + calls * CALL
    return Cost(memory, seconds)


def work(plan: Plan, batch: Batch) -> tuple[float, float, float, float]:
    """Return random numbers and flops per trial, array calls, and doubles held per trial, of one batch.

    Shapes: none.  Units: counts.  Error: leading orders only.  Source: `dense`, `one_sided`, `two_sided`, features.
    """
    n, T, n_x, n_y = batch.width, plan.horizon, plan.n_x, plan.n_y
    kernel = batch.group == GROUPS[1]
    sides = n_x + n_y if kernel else min(n_x, n_y)
    entries = float(T * n_x * n_y)
    features = 60.0 * entries + (20.0 * (T * (n_x + n_y)) ** 2 if kernel else 0.0)
    if plan.choice(batch.group, n).name == "dense":
        numbers = float(n * n + n * (n_x + n_y))
        flops = 2.0 * T * n * n * (n_x + (n_y if kernel else 0))
        return numbers, flops + features, 40.0 + 12 * T, numbers + T * n * sides + 4 * entries
    size = float(min(n, T * sides))
    flops = 2.0 * T * size**2 * sides + (4.0 * size**3 if kernel else 0.0)
    calls = 60.0 + (14 if kernel else 3) * size + 12 * T
    return size**2, flops + features, calls, 3 * size**2 + 4 * entries * (T if kernel else 1)


@functools.cache
def normal_seconds() -> float:
    """Return the measured time of one standard normal number.

    Shapes: none.  Units: seconds.  Error: a factor of two on a loaded machine.  Source: measured, best of three.
    """
    generator, times = np.random.default_rng(0), []
    for _ in range(3):
        start = time.perf_counter()
        generator.standard_normal(20_000)
        times.append((time.perf_counter() - start) / 20_000)
    return min(times)
