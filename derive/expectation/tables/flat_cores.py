"""The cores of a table as compiled loops read them: one array of numbers, and where in it are which orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables.pair_tables import Host, PairTable

SERIES, HEAD = 4, 9
"""Even and odd orders of the first piece and of the second, and the numbers of a shape before those of its orders."""
LEAST = 4
"""The least number of a basis that is taken."""


class FlatCores(NamedTuple):
    """The even orders of the first piece, then its odd ones, then those of the second, a row for each of one basis.

    `shape` holds the numbers of the four, made even; how many of the first basis the first piece takes, and both; how
    many numbers an order of either piece has; and how many of these each two orders take, even, and no fewer than
    those of higher orders.
    Shapes: cores (r, L); layer (2,), the width of the layer and the end of the first piece.
    """

    cores: Host
    shape: list[int]
    layer: list[float]


@lru_cache(maxsize=512)
def flat(table: PairTable) -> FlatCores:
    """Those of a table."""
    taken = [_taken(core) for core in table.cores]
    widths = [max([LEAST, *(end for own in taken[n : n + 2] for end in own)]) for n in (0, 2)]
    parts = [_filled(core, 2 * len(own), widths[n // 2])
             for n, (core, own) in enumerate(zip(table.cores, taken, strict=True))]  # fmt: skip
    counts = [2 * len(own) for own in taken] + [0] * (SERIES - len(taken))
    rows = [_rows(table.cores[:2]), _rows(table.cores)]
    shape = [*counts, *rows, *widths, *(end for own in taken for end in own)]
    return FlatCores(np.concatenate(parts, axis=1), shape, [table.layer, table.cut if len(taken) > 2 else math.inf])


def _taken(core: Host) -> list[int]:
    """How many of the second basis each two orders take."""
    ends = np.max(np.any(core != 0, axis=1) * (np.arange(core.shape[2]) + 1), axis=1, initial=LEAST)
    ends = np.append(ends, LEAST) if len(ends) % 2 else ends
    most = np.maximum.accumulate(np.max(ends.reshape(-1, 2), axis=1)[::-1])[::-1]
    return [int(end + end % 2) for end in most]


def _rows(cores: Sequence[Host]) -> int:
    """How many of the first basis cores take."""
    used = [np.any(core != 0, axis=(0, 2)) * (np.arange(core.shape[1]) + 1) for core in cores]
    return max(int(np.max(x, initial=0)) for x in used)


def _filled(core: Host, count: int, width: int) -> Host:
    """Shapes: (K, r, r') -> (r, count * width)."""
    result = np.zeros((core.shape[1], count, width))
    kept = core[..., :width].swapaxes(0, 1)
    result[:, : len(core), : kept.shape[2]] = kept
    return result.reshape(len(result), count * width)


@lru_cache(maxsize=64)
def together(kinds: tuple[tuple[PairTable, ...], ...]) -> tuple[Host, list[NDArray[np.int64]], list[Host]]:
    """The cores of the tables of some expectations E, filled up with zeros, and shapes and layers of each.

    Shapes: cores (E, tables, r, L); each of shapes (tables, HEAD + K / 2), of layers (tables, 2).
    """
    found = [[flat(table) for table in tables] for tables in kinds]
    every = [x for own in found for x in own]
    ranks, length = max(len(x.cores) for x in every), max(x.cores.shape[1] for x in every)
    orders = max(len(x.shape) for x in every)
    cores = np.zeros((len(kinds), max(map(len, kinds)), ranks, length))
    shapes = [np.zeros((len(own), 1 + orders), dtype=np.int64) for own in found]
    for place, own, shape in zip(cores, found, shapes, strict=True):
        for n, x in enumerate(own):
            place[n, : len(x.cores), : x.cores.shape[1]] = x.cores
            shape[n, : 1 + len(x.shape)] = n, *x.shape
    return cores, shapes, [np.array([x.layer for x in own]) for own in found]
