"""E[phi(u) psi(v)] of smooth functions by tables, for many pairs: at any variance at the price of a closed form.

A table is a core of Chebyshev coefficients between what each variable contributes alone: over a block of rows and
columns of pairs the terms are small matrix products, or one compiled sweep where Numba is installed.
Source: `derive.expectation.tables.table_building`, which builds and checks them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables import compiled_sweep
from wideproof.derive.expectation.tables.compiled_sweep import TINY

Host = NDArray[np.float64]
Some = slice | NDArray[np.int64]
Range = tuple[float, float]
"""The least and the largest variance of a table."""
LEAST, LARGEST = -3, 8
"""Ranges end at powers of four: all below the least is one, and beyond the largest there are no tables."""
STRIP = 64
"""Rows of a block summed at a time: the arrays of a strip stay in the cache."""
ELEMENTS = 4096
"""Single pairs summed at a time."""
MEANS = 4
"""E[phi], E[phi'], E[phi^2] and E[phi'^2]: numbers that a side may tell before its basis."""


@dataclass(frozen=True, eq=False)
class TableSide:
    """One variable of a table: its range, and what it contributes alone, as Chebyshev coefficients in its variance.

    Shapes: means (2 to 4, R), E[phi] and E[phi'], and perhaps E[phi^2] and E[phi'^2]; basis (r, R).
    """

    range: Range
    softening: float
    means: Host
    basis: Host

    def at(self, variance: Host) -> tuple[Host, Host]:
        """The means (2 to 4, N) and the basis (r, N) at variances (N,)."""
        x = coordinate(self.range, self.softening, variance)
        terms = np.polynomial.chebyshev.chebvander(x, self.means.shape[1] - 1).T
        return self.means @ terms, self.basis @ terms


@dataclass(frozen=True, eq=False)
class PairTable:
    """E[phi(u) psi(v)] of centred variables of variances in two ranges, as cores of Chebyshev coefficients.

    `error` is an estimate: what is left out, twice the largest distance from the series, that from other integrals;
    `slope_error` is that of the derivative by the covariance, infinite where nothing has checked it. Chebyshev terms
    are of the place y in [-1, 1] or, where there are four cores, of that in [-1, cut], and then of that in [cut, 1],
    where the correlation is near one.
    Shapes: cores (K, r, r') of the even and of the odd orders, of one piece or of two; K may be 0.
    """

    softening: float
    layer: float
    sides: tuple[TableSide, TableSide]
    cores: tuple[Host, ...]
    error: float
    slope_error: float = math.inf
    cut: float = 1.0

    @property
    def pieces(self) -> list[Piece]:
        """One or two."""
        if len(self.cores) == 2:
            return [Piece(-1.0, 1.0, self.cores)]
        return [Piece(-1.0, self.cut, self.cores[:2]), Piece(self.cut, 1.0, self.cores[2:])]


class Piece(NamedTuple):
    """Between which places y cores serve."""

    low: float
    high: float
    cores: tuple[Host, ...]


class Angles(NamedTuple):
    """c over the root of the softened variances, and the variable in [-1, 1] of the Chebyshev terms."""

    w: Host
    y: Host


def range_of(variance: Host) -> Range | None:
    """The range of the table for some variances, None where there is none."""
    least, largest = float(np.min(variance)), float(np.max(variance))
    if not 0.0 <= least <= largest <= 4.0**LARGEST:
        return None
    high = max(LEAST, math.ceil(math.log(largest, 4.0))) if largest > 0.0 else LEAST
    low = min(math.floor(math.log(least, 4.0)), high - 1) if least > 0.0 else LEAST - 1
    return (4.0**low if low >= LEAST else 0.0), 4.0**high


def variances_at(span: Range, softening: float, x: Host) -> Host:
    """The variances whose coordinate in a range, as in `Side.at`, is x."""
    low, high = (math.log(softening + a) for a in span)
    return np.asarray(np.exp(0.5 * (low + high) + 0.5 * (high - low) * x) - softening)


def coordinate(span: Range, softening: float, variance: Host) -> Host:
    """The coordinate of variances in their range, from -1 to 1."""
    low, high = (math.log(softening + x) for x in span)
    return np.asarray((2.0 * np.log(softening + variance) - low - high) / (high - low))


def roots(count: int) -> Host:
    """The roots of a Chebyshev polynomial."""
    return np.asarray(np.cos(np.pi * (np.arange(count) + 0.5) / count))


def chebyshev(values: Host, axis: int) -> Host:
    """Chebyshev coefficients along an axis of values at the roots."""
    count = values.shape[axis]
    matrix = np.cos(np.pi * np.outer(np.arange(count), np.arange(count) + 0.5) / count) * (2.0 / count)
    matrix[0] *= 0.5
    return np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)


def transposed(table: PairTable) -> PairTable:
    """The table of the exchanged functions and ranges."""
    cores = [np.ascontiguousarray(np.swapaxes(core, 1, 2)) for core in table.cores]
    return replace(table, sides=table.sides[::-1], cores=(cores[0], cores[1]))


def evaluate(table: PairTable, variances: tuple[Host, Host], covariance: Host) -> Host:
    """E[phi(u) psi(v)] by a table.  Shapes broadcast: fastest where one variance is (N, 1) and the other (1, M)."""
    a, b = variances
    if a.shape[:1] == (1,) and b.shape[1:] == (1,):
        table, a, b = transposed(table), b, a
    shape = np.broadcast_shapes(a.shape, b.shape, covariance.shape)
    if len(table.cores) == 2 and len(shape) == 2 and a.shape[1:] == (1,) and b.shape[:1] == (1,) and max(shape) > 1:
        whole = np.ascontiguousarray(np.broadcast_to(covariance, shape))
        return _block(table, np.broadcast_to(a, (shape[0], 1))[:, 0], np.broadcast_to(b, (1, shape[1]))[0], whole)
    u, v, both = (np.broadcast_to(x, shape).reshape(-1) for x in (a, b, covariance))
    parts = [slice(i, i + ELEMENTS) for i in range(0, u.size, ELEMENTS)]
    return np.concatenate([_elements(table, u[x], v[x], both[x]) for x in parts] or [u]).reshape(shape)


def _elements(table: PairTable, a: Host, b: Host, c: Host) -> Host:
    """Pair by pair.  Shapes: (P,)."""
    (means, first), (others, second) = _both(table, a, b)
    w, y = _angles(table, a, b, c)
    result = means[0] * others[0] + means[1] * others[1] * c
    for piece, some, place in in_pieces(table, y):
        for power, core in zip((2, 3), piece.cores, strict=True):
            if len(core):
                rows = np.swapaxes(np.tensordot(core, first[:, some], (1, 0)), 0, 1)
                terms = np.sum(rows * second[:, None, some], axis=0)
                result[some] += _power(w[some], power) * clenshaw(terms[::-1], place)
    return result


def in_pieces(table: PairTable, y: Host) -> Iterator[tuple[Piece, Some, Host]]:
    """The pieces of a table, which of the places y are in each, and where there, from -1 to 1.  Shapes: y (P,)."""
    for piece in table.pieces:
        some = np.flatnonzero((y < table.cut) == (piece.low < table.cut)) if len(table.cores) > 2 else slice(None)
        yield piece, some, (2.0 * y[some] - piece.low - piece.high) / (piece.high - piece.low)


def _block(table: PairTable, a: Host, b: Host, c: Host) -> Host:
    """All pairs of rows and columns, of a symmetric block one half.  Shapes: (N,), (M,), (N, M) -> (N, M)."""
    (means, first), (others, second) = _both(table, a, b)
    terms = [np.ascontiguousarray(np.tensordot(first, core, (0, 1))) for core in table.cores]  # (N, K, r')
    sweep = compiled_sweep.sweep()
    if sweep is not None:
        half = table.sides[0] is table.sides[1] and np.array_equal(a, b) and np.array_equal(c, c.T)
        found = sweep(table.softening, table.layer, a, b, c, means, others, terms, second, half)
        return np.triu(found) + np.triu(found, 1).T if half else found
    result = np.empty_like(c)
    for start in range(0, len(a), STRIP):
        rows = slice(start, start + STRIP)
        w, y = _angles(table, a[rows, None], b[None, :], c[rows])
        result[rows] = means[0, rows, None] * others[0] + means[1, rows, None] * others[1] * c[rows]
        for power, term in zip((2, 3), terms, strict=True):
            if term.shape[1]:
                result[rows] += _power(w, power) * clenshaw(
                    (term[rows, k] @ second for k in range(term.shape[1])[::-1]), y
                )
    return result


def _both(table: PairTable, a: Host, b: Host) -> list[tuple[Host, Host]]:
    """What each of the two variables contributes alone."""
    first = table.sides[0].at(a)
    return [first, first if table.sides[0] is table.sides[1] and np.array_equal(a, b) else table.sides[1].at(b)]


def _angles(table: PairTable, a: Host, b: Host, c: Host) -> Angles:
    s = table.softening
    w = c * (1.0 / np.sqrt(s + a)) * (1.0 / np.sqrt(s + b))
    widest = a / (s + a) * (b / (s + b))
    least = np.sqrt(1.0 - widest)
    q = np.sqrt(1.0 - np.minimum(w * w, widest))
    x = (q - least) / np.maximum(1.0 - least, TINY)
    return Angles(w, 1.0 - 2.0 * (1.0 + table.layer) * x / (x + table.layer))


def clenshaw(terms: Iterable[Host], y: Host) -> Host:
    """sum_k terms[k] T_k(y), the terms given from the last to the first."""
    twice = 2.0 * y
    one, two = np.zeros_like(y), np.zeros_like(y)
    for term in terms:
        one, two = term + twice * one - two, one
    return np.asarray(one - y * two)


def _power(w: Host, power: int) -> Host:
    return w * w if power == 2 else w * w * w
