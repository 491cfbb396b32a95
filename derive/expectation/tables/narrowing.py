"""A table over the variances that are met: over a part of its range it needs fewer orders, and a smaller rank.

The functions of a table are polynomials in the coordinate of a variance, so values at as many nodes of a part of the
range tell them to rounding; what is left out of the values there, orders and singular values, is chosen anew.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wideproof.derive.expectation.tables.pair_tables import Host, PairTable, Range, Side, chebyshev, roots, variances_at

APART = 1e-9
"""Spans are widened by this part, so that a single variance has one."""


def narrowed(table: PairTable, spans: tuple[Range, Range], tolerance: float) -> PairTable:
    """The same over parts of its ranges, its error larger by the tolerance, which is what values are moved by."""
    alike = table.sides[0] is table.sides[1] and spans[0] == spans[1]
    sides = [_widened(side, span) for side, span in zip(table.sides, spans, strict=True)]
    nodes = [variances_at(side.range, side.softening, roots(side.means.shape[1])) for side in sides]
    at = [side.at(node) for side, node in zip(table.sides, nodes, strict=True)]  # means and bases at the nodes
    values = [np.einsum("kmn,mi,nj->kij", core, at[0][1], at[1][1], optimize=True) for core in table.cores]
    frames = [_frame(values, axis, 0.25 * tolerance) for axis in ((1, 1) if alike else (1, 2))]
    cores = [
        np.ascontiguousarray(np.einsum("kij,im,jn->kmn", _ended(x, 0.25 * tolerance), *frames, optimize=True))
        for x in values
    ]
    first, second = (
        replace(side, means=chebyshev(means, 1), basis=chebyshev(np.ascontiguousarray(frame.T), 1))
        for side, (means, _), frame in zip(sides, at, frames, strict=True)
    )
    sides = [first, first if alike else second]
    return replace(table, sides=(sides[0], sides[1]), cores=(cores[0], cores[1]), error=table.error + tolerance)


def _widened(side: Side, span: Range) -> Side:
    """A side whose range is the span, by a hair larger, within its own."""
    low, high = max(side.range[0], span[0] * (1.0 - APART)), min(side.range[1], span[1] * (1.0 + APART))
    return replace(side, range=(low, high) if low < high else side.range)


def _ended(values: Host, tolerance: float) -> Host:
    """The orders that matter: those after them add up to no more than the tolerance."""
    left = np.cumsum(np.max(np.abs(values), axis=(1, 2), initial=0.0)[::-1])[::-1]
    return values[: int(np.sum(left > tolerance))]


def _frame(values: list[Host], axis: int, tolerance: float) -> Host:
    """Orthonormal vectors that hold the values along an axis but for the tolerance.  Shapes: (nodes, r)."""
    matrix = np.concatenate([np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1) for x in values], axis=1)
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    beyond = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1])
    return np.asarray(left[:, : max(1, int(np.sum(beyond > tolerance)))])
