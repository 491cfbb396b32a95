"""A table over the variances that are met: over a part of its range it needs fewer orders, and a smaller rank.

The functions of a table are polynomials in the coordinate of a variance, so values at as many nodes of a part of the
range tell them to rounding; what is left out of the values there, orders and singular values, is chosen anew. They are
polynomials in the place y too, and away from correlations near one they need far fewer terms: where that is so, a table
has two pieces. Terms of the first come first in the bases of both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables.compiled_sweep import TINY
from wideproof.derive.expectation.tables.covariance_slopes import SLACK, ErrorScales, order_weights, slope
from wideproof.derive.expectation.tables.pair_tables import (
    Host,
    PairTable,
    Range,
    TableSide,
    chebyshev,
    evaluate,
    roots,
    variances_at,
)

SINGULAR, ORDERS, STAIRS = 1e-11, 6e-12, 6e-12
"""The singular values of values at nodes, the sum of orders, and that of terms of single orders, that are left out, by
the size of values: of the first, a thirtieth is seen in a value."""
NEAR, WORTH, SAVED = 0.9, 0.9, 4
"""The correlation of the largest variances where a piece ends, and the part of all orders below which that pays, if
so many are saved."""
NEARS = ((0.33, 0.75), (0.39, 0.8), (0.46, 0.85), (0.55, 0.9), (0.68, 0.95), (0.9, 0.98), (1.5, 0.99), (math.inf, 0.75))
"""That correlation by the deviation of the logarithms of variances, up to which each is taken."""
ROUNDING, SHORT = 3e-14, 1e-12
"""The part of the largest coefficient of a mean below which the last ones are left out, and what those of a basis may
leave out of a value."""


def near(deviation: float) -> float:
    """The correlation that few pairs exceed, where logarithms of variances have a deviation over sequences.

    Vectors of d Gaussian numbers have such lengths where it is about sqrt(2 / (d - 1)), and of the cosines between them
    few are beyond. Where many are after all, it is seen in the time only.
    """
    return next(found for most, found in NEARS if deviation <= most)


def pays(first: Host | int, whole: Host | int) -> NDArray[np.bool_] | bool:
    """Whether a first piece of so many orders is worth a second one."""
    return (first <= WORTH * whole) & (first + SAVED <= whole)


def narrowed(table: PairTable, spans: tuple[Range, Range], sizes: ErrorScales, end: float = NEAR) -> PairTable:
    """The same over parts of its ranges, for values of some sizes, its errors larger by what is left out.

    Its first piece ends where the largest variances have the correlation `end`. Sides that are one tell E[phi^2] too,
    and E[phi'^2] where there is a size of derivatives.
    """
    alike = table.sides[0] is table.sides[1] and spans[0] == spans[1]
    parts = [_part(side, span) for side, span in zip(table.sides, spans, strict=True)]
    if alike:
        parts[1] = parts[0]
    pieces, cut = _pieces(table, parts, sizes, end)
    frames = _frames([x.scaled for x in pieces], alike)
    cores = [
        _stairs([part.orthonormal @ frame for part, frame in zip(parts, frames, strict=True)],
                np.ascontiguousarray(frames[0].T @ x @ frames[1]), weight, alike)
        for piece in pieces for x, weight in zip(piece.values, piece.weights, strict=True)
    ]  # fmt: skip
    sides = [
        replace(part.side, basis=chebyshev(np.ascontiguousarray((part.orthonormal @ frame).T), 1))
        for part, frame in zip(parts, frames, strict=True)
    ]
    left_out = 0.1 * SINGULAR + ORDERS + STAIRS + 2.0 * SHORT
    found = replace(
        table, sides=(sides[0], sides[0 if alike else 1]), cores=tuple(cores), cut=cut,
        error=table.error + left_out * sizes.value,
        slope_error=table.slope_error + left_out * SLACK * (math.inf if sizes.slope is None else sizes.slope),
    )  # fmt: skip
    weights = [row for piece in pieces for row in np.max(piece.weights, axis=(1, 2))]
    if alike:
        short = _short(sides[0], _matter(cores, weights, 1))
        return replace(found, sides=(_squared(replace(found, sides=(short, short)), sizes),) * 2)
    first, second = (_short(side, _matter(cores, weights, n)) for n, side in enumerate(sides, 1))
    return replace(found, sides=(first, second))


def _squared(table: PairTable, sizes: ErrorScales) -> TableSide:
    """The side of both variables, with what the table says where they are one.

    Pairs that are almost one differ from these by rounding only, so that kernels stay semidefinite to it.
    """
    side = table.sides[0]
    variances = variances_at(side.range, side.softening, roots(2 * side.means.shape[1]))
    found = [evaluate(table, (variances, variances), variances)]
    if sizes.slope is not None:
        found.append(slope(table, (variances, variances), variances))
    squares = chebyshev(np.stack(found), 1)
    squares = squares[:, : _ending(squares)]
    both = [np.pad(x, [(0, 0), (0, max(0, squares.shape[1] - x.shape[1]))]) for x in (side.means, side.basis)]
    squares = np.pad(squares, [(0, 0), (0, both[0].shape[1] - squares.shape[1])])
    return replace(side, means=np.concatenate([both[0], squares]), basis=both[1])


def _ending(series: Host) -> int:
    """The orders of series without the last ones that are rounding of the largest of each.  Shapes: (m, R)."""
    sizes = np.max(np.abs(series) / np.max(np.abs(series), axis=1, keepdims=True, initial=TINY), axis=0)
    return int(np.max((sizes > ROUNDING) * (np.arange(len(sizes)) + 1), initial=1))


class _Values(NamedTuple):
    """A piece of a table by values at nodes, and the weights of its orders.

    Shapes: of either parity values (K, r, r'), weights (nodes, nodes, at least K).
    """

    values: list[Host]
    weights: Host

    @property
    def scaled(self) -> list[Host]:
        """The values by the most that they may matter."""
        most = np.max(self.weights, axis=(1, 2))
        return [core * weight[: len(core), None, None] for core, weight in zip(self.values, most, strict=True)]


def _pieces(table: PairTable, parts: list[_Part], sizes: ErrorScales, end: float) -> tuple[list[_Values], float]:
    """The pieces that a table is best taken in, and the place between them."""
    whole = _values(table, parts, sizes, (-1.0, 1.0))
    cut = place_of(end, (table.softening, table.layer), [part.side.range[1] for part in parts])
    orders = sum(map(len, whole.values))
    if not (orders and -1.0 < cut < 1.0):
        return [whole], 1.0
    first = _values(table, parts, sizes, (-1.0, cut))
    if not pays(sum(map(len, first.values)), orders):
        return [whole], 1.0
    return [first, _values(table, parts, sizes, (cut, 1.0))], cut


def place_of(correlation: float, form: tuple[float, float], variances: Sequence[float]) -> float:
    """The place of a correlation between two variances; an end where these are too small."""
    softening, layer = form
    widest = math.prod(a / (softening + a) for a in variances)
    least = math.sqrt(1.0 - widest)
    x = (math.sqrt(1.0 - correlation * correlation * widest) - least) / max(1.0 - least, TINY)
    return 1.0 - 2.0 * (1.0 + layer) * x / (x + layer)


def _values(table: PairTable, parts: list[_Part], sizes: ErrorScales, piece: Range) -> _Values:
    """The orders of a piece that matter."""
    weights = order_weights(
        (table.softening, table.layer), parts[0].nodes[:, None], parts[1].nodes, max(map(len, table.cores)), sizes,
        piece,
    )  # fmt: skip
    values = [
        _ended(parts, parts[0].shape @ within(core, piece) @ parts[1].shape.T, weight)
        for core, weight in zip(table.cores, weights, strict=True)
    ]
    return _Values(values, weights)


def within(core: Host, piece: Range) -> Host:
    """The Chebyshev coefficients of a sum over a part of [-1, 1].  Shapes: (K, ...) kept.

    None is told by those of lower orders, whose rounding a derivative would show.
    """
    if not len(core):
        return core
    places = 0.5 * (piece[0] + piece[1]) + 0.5 * (piece[1] - piece[0]) * roots(len(core))
    terms = np.polynomial.chebyshev.chebvander(places, len(core) - 1).astype(np.float64)
    told = np.triu(chebyshev(terms, 0))
    return np.tensordot(told, core, (1, 0))


def _frames(pieces: list[list[Host]], alike: bool) -> list[Host]:
    """Bases of either side that hold the values of all pieces, of the first one by themselves.  Shapes: (nodes, r)."""
    found = []
    for axis in (1, 1) if alike else (1, 2):
        frame = np.empty((pieces[0][0].shape[axis], 0))
        for values in pieces:
            frame = np.linalg.qr(np.concatenate([frame, _frame(values, axis, SINGULAR, frame)], axis=1))[0]
        found.append(frame)
    return found


class _Part:
    """A side over a span: the values of its basis at nodes are `orthonormal` (nodes, r) times `shape` (r, r)."""

    def __init__(self, side: TableSide, span: Range) -> None:
        count = side.means.shape[1]
        self.nodes = variances_at(span, side.softening, roots(count))
        means, basis = side.at(self.nodes)
        self.orthonormal, self.shape = np.linalg.qr(basis.T)
        self.side = replace(side, range=span, means=chebyshev(means, 1))


def _matter(cores: list[Host], weights: list[Host], axis: int) -> Host:
    """How much each of a basis may matter to a value, by what its terms are multiplied by.  Shapes: (r,)."""
    sizes = [
        np.tensordot(weight[: len(core)], np.abs(core), (0, 0)) for core, weight in zip(cores, weights, strict=True)
    ]
    return np.asarray(np.sum(sizes, axis=(0, 3 - axis)))


def _short(side: TableSide, matter: Host) -> TableSide:
    """A side without the last orders, where they are rounding of means, and too small for values."""
    left = np.cumsum((matter @ np.abs(side.basis))[::-1])[::-1]
    count = max(_ending(side.means), int(np.sum(left > SHORT)))
    means, basis = (np.ascontiguousarray(x[:, :count]) for x in (side.means, side.basis))
    return replace(side, means=means, basis=basis)


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


def _frame(values: list[Host], axis: int, tolerance: float, held: Host) -> Host:
    """Orthonormal vectors that hold the values along an axis but for the tolerance, beside those that are held.

    Shapes: (nodes, r).
    """
    matrix = np.concatenate([np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1) for x in values], axis=1)
    left, sizes, _ = np.linalg.svd(matrix - held @ (held.T @ matrix), full_matrices=False)
    beyond = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1])
    found = left[:, : max(0 if held.size else 1, int(np.sum(beyond > tolerance)))]
    return np.asarray(found)
