"""What each sequence contributes to tables at every step, as one compiled loop whose threads take sequences."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables.compiled_sweep import in_parts, made
from wideproof.derive.expectation.tables.pair_tables import MEANS, Host, TableSide

SEQUENCES = 64
"""Sequences a thread takes at a time, and the lanes of the loop."""


def contribute(sides: Sequence[TableSide], which: NDArray[np.int64], variance: Host, out: Host) -> None:
    """Write 1 / sqrt(s + a), a / (s + a), E[phi], E[phi'] and, after a place that is left, other means and the basis.

    Of the sides given each step takes one.  Shapes: which (steps,), variance (steps, N), out (7 + r, steps, N).
    """
    spans, series = _together(tuple(sides), len(out) - 3)
    loop, count = _compiled(), variance.shape[1]
    in_parts(
        lambda i: loop(i, min(i + SEQUENCES, count), which, variance, spans, series, out), range(0, count, SEQUENCES)
    )


@functools.lru_cache(maxsize=64)
def _together(sides: tuple[TableSide, ...], count: int) -> tuple[Host, Host]:
    """Softenings and the coordinates of the ends of ranges, and so many series.  Shapes: (sides, 3), (sides, n, R)."""
    spans = np.array([[x.softening, *(math.log(x.softening + end) for end in x.range)] for x in sides])
    series = np.zeros((len(sides), count, max(side.means.shape[1] for side in sides)))
    for side, place in zip(sides, series, strict=True):
        place[: len(side.means), : side.means.shape[1]] = side.means
        place[MEANS : MEANS + len(side.basis), : side.basis.shape[1]] = side.basis
    return spans, series


@functools.cache
def _compiled() -> Callable[..., None]:
    return made(_loop)


def _loop(
    start: int, stop: int, which: NDArray[np.int64], variance: Host, spans: Host, series: Host, out: Host
) -> None:
    """Sequences start to stop: the Chebyshev polynomials of a step, then each sum of them."""
    width, orders = np.uint64(stop - start), series.shape[2]
    terms, value = np.ones((max(orders, 2), SEQUENCES)), np.empty(SEQUENCES)
    for step in range(variance.shape[0]):
        softening, low, high = spans[which[step]]
        for j in range(width):
            a = variance[step, start + j]
            out[0, step, start + j], out[1, step, start + j] = 1.0 / math.sqrt(softening + a), a / (softening + a)
            terms[1, j] = (2.0 * math.log(softening + a) - low - high) / (high - low)
        for k in range(2, orders):
            for j in range(width):
                terms[k, j] = 2.0 * terms[1, j] * terms[k - 1, j] - terms[k - 2, j]
        for m in range(series.shape[1]):
            weights, place = series[which[step], m], m + 2 if m < 2 else m + 3
            for j in range(width):
                value[j] = weights[0]
            for k in range(1, orders):
                for j in range(width):
                    value[j] += weights[k] * terms[k, j]
            for j in range(width):
                out[place, step, start + j] = value[j]
