"""Two programs timed by turns in one process: CPU time, so that a busy machine tells the same ratio."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Work = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """The median of the paired ratios rival / ours, their quartiles, and the median seconds of either."""

    ratio: float
    low: float
    high: float
    pairs: int
    ours_s: float
    rival_s: float


def paired(ours: Work, rival: Work, pairs: int, shortest: float = 0.1, clock: Clock = time.process_time) -> Timing:
    """Time the two by turns, who goes first changing with every pair, each turn `shortest` seconds or longer.

    Units: CPU seconds of the whole process, all its threads.  Error: the quartiles of the ratios, and those of
    a program against itself, tell.
    """
    works = (ours, rival)
    counts = [turns(work, shortest, clock) for work in works]
    spent = np.empty((pairs, 2))
    for pair in range(pairs):
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            spent[pair, side] = seconds(works[side], counts[side], clock)
    low, ratio, high = np.quantile(spent[:, 1] / spent[:, 0], (0.25, 0.5, 0.75))
    ours_s, rival_s = np.median(spent, axis=0)
    return Timing(float(ratio), float(low), float(high), pairs, float(ours_s), float(rival_s))


def turns(work: Work, shortest: float, clock: Clock = time.process_time) -> int:
    """Return how many repetitions last `shortest` seconds, after one that warms caches and compilers up."""
    work()
    return max(1, math.ceil(shortest / max(seconds(work, 1, clock), 1e-7)))


def seconds(work: Work, repeats: int, clock: Clock = time.process_time) -> float:
    """Return the clock's seconds of one repetition, the garbage collector held off."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = clock()
        for _ in range(repeats):
            work()
        return max((clock() - start) / repeats, 1e-9)
    finally:
        if collecting:
            gc.enable()
