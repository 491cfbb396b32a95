"""CPU time, so that a busy machine tells the same: two programs by turns, and the rates of one thread."""

from __future__ import annotations

import gc
import importlib
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

Work = Callable[[], object]
Clock = Callable[[], float]
PROBE_S = 0.02
"""Seconds of one turn of a probe."""


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


def blas_threads(most: int | None) -> AbstractContextManager[Any]:
    """Let NumPy's and SciPy's linear algebra take so many threads for a while, or as many as they like."""
    return _pools().limit(limits=most, user_api="blas")


@cache
def _pools() -> ThreadpoolController:
    importlib.import_module("scipy.linalg")  # brings a pool of its own
    return ThreadpoolController()


def best(work: Work) -> float:
    """Return the least CPU seconds of one repetition over a few turns: what one thread can reach."""
    with blas_threads(1):
        repeats = turns(work, PROBE_S)
        return min(seconds(work, repeats) for _ in range(5))


@cache
def bandwidth(size: float) -> float:
    """Return the bytes per second at which one thread reads an array of `size` bytes, at most 256 MB."""
    array = np.ones(max(int(min(size, 2**28)) // 8, 512))
    return 8.0 * len(array) / best(lambda: array @ array)


@cache
def arithmetic(dtype: str) -> float:
    """Return the flops per second of one thread in a product of two square matrices."""
    square = np.ones((512, 512), dtype=dtype)
    return 2.0 * 512.0**3 / best(lambda: square @ square)


@cache
def root() -> float:
    """Return the seconds of one square root in an array that stays in the first cache, one thread."""
    numbers = np.linspace(1.0, 2.0, 2048)
    room = np.empty_like(numbers)
    return best(lambda: np.sqrt(numbers, out=room)) / len(numbers)


@cache
def drawing() -> float:
    """Return the standard normals per second that one thread draws."""
    rng, room = np.random.default_rng(0), np.empty(10_000)
    return len(room) / best(lambda: rng.standard_normal(out=room))


@cache
def statement() -> float:
    """Return the seconds of one statement on arrays so small that only the calls count."""
    square, rows = np.ones((8, 8)), np.ones((2, 8))
    return best(lambda: 0.5 * (rows @ square.T) + rows)
