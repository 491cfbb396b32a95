"""A table over the variances that are met: over a part of its range it needs fewer orders, and a smaller rank.

The functions of a table are polynomials in the coordinate of a variance, so values at as many nodes of a part of the
range tell them to rounding; what is left out of the values there, orders and singular values, is chosen anew.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from wideproof.derive.expectation.tables.covariance_slopes import SLACK, ErrorScales, order_weights
from wideproof.derive.expectation.tables.pair_tables import (
    Host,
    PairTable,
    Range,
    TableSide,
    chebyshev,
    roots,
    variances_at,
)

SINGULAR, ORDERS, STAIRS = 6e-12, 4e-12, 4e-12
"""The singular values of values at nodes, the sum of orders, and that of terms of single orders, that are left out, by
the size of values: of the first, a thirtieth is seen in a value."""
ROUNDING, TINY = 1e-16, 1e-300
"""The part of the largest coefficient of a function below which the last ones are left out."""


def narrowed(table: PairTable, spans: tuple[Range, Range], sizes: ErrorScales) -> PairTable:
    """The same over parts of its ranges, for values of some sizes, its errors larger by what is left out."""
    alike = table.sides[0] is table.sides[1] and spans[0] == spans[1]
    parts = [_part(side, span) for side, span in zip(table.sides, spans, strict=True)]
    if alike:
        parts[1] = parts[0]
    weights = order_weights(
        (table.softening, table.layer), parts[0].nodes[:, None], parts[1].nodes, max(map(len, table.cores)), sizes
    )
    values = [
        _ended(parts, parts[0].shape @ core @ parts[1].shape.T, weight)
        for core, weight in zip(table.cores, weights, strict=True)
    ]
    most = np.max(weights, axis=(1, 2))
    scaled = [core * weight[: len(core), None, None] for core, weight in zip(values, most, strict=True)]
    frames = [_frame(scaled, axis, SINGULAR) for axis in ((1, 1) if alike else (1, 2))]
    cores = [
        _stairs([part.orthonormal @ frame for part, frame in zip(parts, frames, strict=True)],
                np.ascontiguousarray(frames[0].T @ x @ frames[1]), weight, alike)
        for x, weight in zip(values, weights, strict=True)
    ]  # fmt: skip
    sides = [
        _short(part.side, chebyshev(np.ascontiguousarray((part.orthonormal @ frame).T), 1))
        for part, frame in zip(parts, frames, strict=True)
    ]
    if alike:
        sides[1] = sides[0]
    left_out = 0.1 * SINGULAR + ORDERS + STAIRS
    return replace(
        table, sides=(sides[0], sides[1]), cores=(cores[0], cores[1]), error=table.error + left_out * sizes.value,
        slope_error=table.slope_error + left_out * SLACK * (math.inf if sizes.slope is None else sizes.slope),
    )  # fmt: skip


class _Part:
    """A side over a span: the values of its basis at nodes are `orthonormal` (nodes, r) times `shape` (r, r)."""

    def __init__(self, side: TableSide, span: Range) -> None:
        count = side.means.shape[1]
        self.nodes = variances_at(span, side.softening, roots(count))
        means, basis = side.at(self.nodes)
        self.orthonormal, self.shape = np.linalg.qr(basis.T)
        self.side = replace(side, range=span, means=chebyshev(means, 1))


def _short(side: TableSide, basis: Host) -> TableSide:
    """A side with a basis, without the coefficients that are rounding."""
    both = np.concatenate([side.means, basis])
    small = np.max(np.abs(both) / np.max(np.abs(both), axis=1, keepdims=True, initial=TINY), axis=0) < ROUNDING
    count = len(small) - int(np.argmin(small[::-1]))
    return replace(
        side, means=np.ascontiguousarray(side.means[:, :count]), basis=np.ascontiguousarray(basis[:, :count])
    )


def _part(side: TableSide, span: Range) -> _Part:
    return _Part(side, (max(span[0], side.range[0]), min(span[1], side.range[1])))


def _ended(parts: list[_Part], values: Host, weights: Host) -> Host:
    """The orders that matter: those after them add up to no more than the tolerance at any pair of nodes.

    Shapes: values (K, r, r'), weights (nodes, nodes, at least K).
    """
    at_nodes = np.abs(parts[0].orthonormal @ values @ parts[1].orthonormal.T)
    at_nodes *= np.moveaxis(weights[..., : len(values)], -1, 0)
    left = np.cumsum(np.max(at_nodes, axis=(1, 2), initial=0.0)[::-1])[::-1]
    return values[: int(np.sum(left > ORDERS))]


def _stairs(bases: list[Host], core: Host, weights: Host, alike: bool) -> Host:
    """The core without the last terms of each order that do not matter, the more the higher it is; symmetric as before.

    Shapes: bases (nodes, r) of either side, core (K, r, r'), weights (nodes, nodes, at least K).
    """
    for order, weight in zip(core, np.moveaxis(weights, -1, 0), strict=False):
        rows = np.abs(bases[0] @ order)
        terms = np.max(rows[:, None] * np.abs(bases[1]) * weight[..., None], axis=(0, 1))
        left = np.cumsum(terms[::-1])[::-1]
        end = int(np.sum(left > STAIRS / len(core) * (0.5 if alike else 1.0)))
        order[:, end:] = 0.0
        if alike:
            order[end:] = 0.0
    return core


def _frame(values: list[Host], axis: int, tolerance: float) -> Host:
    """Orthonormal vectors that hold the values along an axis but for the tolerance.  Shapes: (nodes, r)."""
    matrix = np.concatenate([np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1) for x in values], axis=1)
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    beyond = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1])
    return np.asarray(left[:, : max(1, int(np.sum(beyond > tolerance)))])
