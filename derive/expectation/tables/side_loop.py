"""What each sequence contributes to tables at every step, as one compiled loop whose threads take sequences."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables.compiled_sweep import in_parts, made
from wideproof.derive.expectation.tables.lane_vectors import LANES, functions
from wideproof.derive.expectation.tables.pair_tables import MEANS, Host, TableSide

lanes: Any = None
keep: Any = None
spread: Any = None
share: Any = None
"""The functions of vectors that the loop names: what they are is known when Numba is imported, which is slow."""
SEQUENCES = 64
"""Sequences a thread takes at a time, and the lanes of the loop: those of a chunk, unless there is one of all."""
GIVEN = 4
"""The place of what is given."""


class Contributed(NamedTuple):
    """What sequences contribute to the tables of E expectations, as rows, as columns, or as both; none is empty.

    Of each w = 7 + r numbers: 1 / sqrt(s + a), a / (s + a), E[phi], E[phi'], what is given, other means and the basis.
    Shapes: rows (N, steps, E, w), columns (chunks, steps, E * w, lanes), filled up with the last one.
    """

    rows: Host
    columns: Host


def contribute(
    sides: tuple[TableSide, ...], which: NDArray[np.int64], variance: Host, given: Host, place: tuple[int, int],
    out: Contributed,
) -> None:  # fmt: skip
    """Write what sequences contribute to an expectation, in so many numbers, each step by one of the sides.

    Shapes: which (steps,), variance (steps, N), given the same, or (0, 0) for zeros.
    """
    e, width = place
    spans, series, counts = _together(sides, width - 3)
    loop, count = _compiled(), variance.shape[1]

    def part(start: int) -> None:
        loop(start, min(start + SEQUENCES, count), which, variance, given, e, spans, series, counts, *out)

    in_parts(part, range(0, count, SEQUENCES))


@functools.lru_cache(maxsize=64)
def _together(sides: tuple[TableSide, ...], count: int) -> tuple[Host, Host, NDArray[np.int64]]:
    """Softenings and the coordinates of the ends of ranges, so many series, and how many orders each has.

    Shapes: (sides, 3), (sides, n, R), (sides, n).
    """
    spans = np.array([[x.softening, *(math.log(x.softening + end) for end in x.range)] for x in sides])
    series = np.zeros((len(sides), count, max(side.means.shape[1] for side in sides)))
    for side, place in zip(sides, series, strict=True):
        place[: len(side.means), : side.means.shape[1]] = side.means
        place[MEANS : MEANS + len(side.basis), : side.basis.shape[1]] = side.basis
    return spans, series, np.max((series != 0.0) * np.arange(1, series.shape[2] + 1), axis=2)


@functools.cache
def _compiled() -> Callable[..., None]:
    globals().update(functions(LANES))
    return made(_loop)


def _loop(  # noqa: C901 - one loop nest for the compiler
    start: int, stop: int, which: NDArray[np.int64], variance: Host, given: Host, e: int, spans: Host, series: Host,
    counts: NDArray[np.int64], rows: Host, columns: Host,
) -> None:  # fmt: skip
    """Sequences start to stop: the Chebyshev polynomials of a step, then each sum of them."""
    width, orders, places = np.uint64(stop - start), series.shape[2], series.shape[1] + 3
    terms, value = np.ones((max(orders, 2), SEQUENCES)), np.zeros((places, SEQUENCES))
    for step in range(variance.shape[0]):
        side = np.uint64(which[step])
        softening, low, high = spans[side]
        for j in range(width):
            a = variance[step, start + j]
            value[0, j], value[1, j] = 1.0 / math.sqrt(softening + a), a / (softening + a)
            terms[1, j] = (2.0 * math.log(softening + a) - low - high) / (high - low)
            if given.size:
                value[GIVEN, j] = given[step, start + j]
        for k in range(2, orders):
            for j in range(width):
                terms[k, j] = 2.0 * terms[1, j] * terms[k - 1, j] - terms[k - 2, j]
        for m in range(series.shape[1]):
            place = m + 2 if m + 2 < GIVEN else m + 3
            for j in range(np.uint64(0), width, np.uint64(LANES)):
                total = spread(0.0)
                for k in range(np.uint64(counts[side, m])):
                    total = total + share(series, (side, np.uint64(m), k)) * lanes(terms, (k, j))
                keep(value, (np.uint64(place), j), total)
        if rows.size:
            for j in range(width):
                for place in range(places):
                    rows[start + j, step, e, place] = value[place, j]
        if columns.size:
            chunk, lane = start // columns.shape[3], start % columns.shape[3]
            for place in range(places):
                at = e * places + place
                for j in range(width):
                    columns[chunk, step, at, lane + j] = value[place, j]
                for other in range(lane + width, columns.shape[3] if stop == variance.shape[1] else 0):
                    columns[chunk, step, at, other] = value[place, width - np.uint64(1)]
