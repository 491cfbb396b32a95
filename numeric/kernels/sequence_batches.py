"""Batches of sequences: checked, grouped by length, each distinct one once, and their inner products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from wideproof.derive.emit.kernel_stepper import Directions, Look
from wideproof.derive.expectation.gaps import Gaps
from wideproof.derive.language.errors import ShapeError
from wideproof.numeric.core.arrays import Array, to_host
from wideproof.numeric.core.inputs import input_array, is_plain, squared_lengths

SUMMED = float(np.finfo(float).eps)
"""The part of the sum of the sizes of products by which their sum is rounded."""
GAPS, DIRECTIONS, LENGTHS = 3, 4, 6
"""The places of the last gaps, and of the directions and the lengths of either side, among the last products."""
NARROW = 0.1
"""Directions are subtracted where their cosine is within this of one."""
HALF_UNITS = {"float16": 2.0**-11, "float32": 2.0**-24}
Groups = list[tuple[list[int], Array]]
"""For each length the positions of the sequences among all of them, and the sequences (N, T, n_x)."""


def by_length(xp: Any, X: Any, later: list[Look] | None = None) -> Groups:
    """Return sequences grouped by length.

    Where `later` is given, and what is to be refused need not be known to group them, it gets the look at them.
    Shapes: X (N, T, n_x), or a list of (T_i, n_x).  Units: kept.  Error: ParameterError for what is no finite real
    number, and for inputs that are not zero and whose squares are.  Source: definition.
    """
    if not isinstance(X, Sequence) or isinstance(X, str | bytes):
        look = partial(input_array, "Kernel: X", X, xp)
        if later is None or not is_plain(X):
            array = look()
        else:
            array = X
            later.append(look)
        return [(list(range(array.shape[0] if array.ndim else 0)), array)]
    arrays = [input_array("Kernel: X", x, xp) for x in X]
    shapes = sorted({x.shape for x in arrays})
    members = [[i for i, x in enumerate(arrays) if x.shape == shape] for shape in shapes]
    return [(rows, xp.stack([arrays[i] for i in rows])) for rows in members]


def equal(first: Groups, second: Groups) -> bool:
    """Return whether both are the same sequences in the same order.

    Shapes: as `Groups`.  Source: definition.
    """
    same_rows = [rows for rows, _ in first] == [rows for rows, _ in second]
    pairs = zip(first, second, strict=False)
    return same_rows and all(X.shape == Y.shape and bool((X == Y).all()) for (_, X), (_, Y) in pairs)


def distinct(groups: Groups) -> tuple[Groups, list[int] | None]:
    """Return each sequence once, and for each of the given ones its place among them: None where no two are equal.

    Shapes: as `Groups`; N places.  Units: kept.  Source: definition.
    """
    place: dict[int, int] = {}
    found: Groups = []
    count = 0
    if all(_differ(X) for _, X in groups):
        return groups, None
    for rows, X in groups:
        seen: dict[bytes, int] = {}
        first: list[int] = []
        numbers = (to_host(X) + 0.0).tobytes()  # -0.0 is 0.0
        size = len(numbers) // len(rows)
        for i, row in enumerate(rows):
            place[row] = count + seen.setdefault(numbers[i * size : (i + 1) * size], len(seen))
            first += [i] if len(first) < len(seen) else []
        found.append((list(range(count, count + len(seen))), X[first]))
        count += len(seen)
    if count == len(place):
        return groups, None
    return found, [place[row] for row in range(len(place))]


def _differ(X: Array) -> bool:
    """Whether first numbers, the sums of first inputs, or of sequences, tell that no two are equal."""
    with np.errstate(over="ignore", invalid="ignore"):
        for part in (X[:, :1, :1], X[:, :1], X):
            sums = to_host(part.sum(axis=(1, 2))).tolist()
            if len({*sums}) == len(sums) and math.isfinite(sum(sums)):
                return True
    return False


def check_fit(first: Groups, second: Groups, readout: str) -> None:
    """Refuse what is no sequence, what differs in n_x, and for all steps what differs in length.

    Shapes: as `Groups`.  Error: ShapeError.  Source: definition.
    """
    shapes = list(dict.fromkeys(X.shape for _, X in (*first, *second)))
    fits = first and second and all(len(shape) == 3 and 0 not in shape[:2] for shape in shapes)
    if not fits or len({shape[2] for shape in shapes}) > 1:
        raise _misfit(" and ".join(map(str, shapes)) or "none")
    if readout == "all" and len({shape[1] for shape in shapes}) > 1:
        raise _misfit(" and ".join(map(str, shapes)))


def _misfit(got: object) -> ShapeError:
    return ShapeError(
        "Kernel",
        "arrays of shape (N, T, n_x) with one n_x, T equal for readout='all', or lists of (T_i, n_x)",
        got,
        "One sequence alone is X[None], a single input X[..., None]; lengths that differ take readout='last'.",
    )


def rounding(*batches: Any) -> float:
    """Return how far the numbers of sequences may be from those that were meant, relatively: half a unit in the last
    place of single or half precision; 0 for doubles and integers, which are taken as exact.

    Shapes: each X (N, T, n_x), a list of (T_i, n_x), or None.  Units: 1.  Source: definition of the formats.
    """
    lists = (X if isinstance(X, Sequence) else [X] for X in batches)
    return max(map(_half_unit, {getattr(x, "dtype", None) for X in lists for x in X}))


@cache
def _half_unit(kind: Any) -> float:
    """That of a dtype of any namespace, or of None; its name is found once, which takes longer than a look-up."""
    return HALF_UNITS.get(str(kind).rpartition(".")[2], 0.0)


@dataclass(frozen=True)
class Pairs:
    """Two batches of distinct sequences, and for each of the given ones its place among them, None for its own.

    `symmetric`: the two batches are one. `rounding`: of their numbers, as the function of that name says. `later`:
    the looks at them that are still to be made, before anything is told of them.
    Shapes: as `Groups`; rows (N1,), columns (N2,).
    """

    xp: Any
    first: Groups
    second: Groups
    symmetric: bool
    rounding: float
    rows: list[int] | None = None
    columns: list[int] | None = None
    later: list[Look] = field(default_factory=list)

    def moved(self, alternate: bool) -> Pairs:
        """The same with all inputs larger by their rounding, or every second one smaller."""

        def by_rounding(X: Array) -> Array:
            places = self.xp.arange(X.shape[1])[:, None] + self.xp.arange(X.shape[2])[None, :]
            return X * (1.0 + self.rounding * (1 - 2 * (places % 2) if alternate else 1))

        first, second = ([(rows, by_rounding(X)) for rows, X in groups] for groups in (self.first, self.second))
        return replace(self, first=first, second=second)

    def repeated(self, kernel: Array) -> Array:
        """A kernel of the distinct sequences as that of the given ones.  Shapes: (U1, ..., U2) -> (N1, ..., N2)."""
        kernel = kernel if self.rows is None else kernel[self.xp.asarray(self.rows)]
        at = (slice(None),) * (kernel.ndim // 2)
        return kernel if self.columns is None else kernel[(*at, self.xp.asarray(self.columns))]


@dataclass(frozen=True)
class SequenceBatch:
    """Two batches of sequences whose inner products are computed when a step needs them.

    `wanted` is that of `Inputs`; `swept` says whether so many are wanted in all that a compiled sweep pays; `later` is
    that of `Pairs`.
    """

    xp: Any
    first: Array
    second: Array
    diagonal: bool
    rounding: float = 0.0
    wanted: float = 1.0
    swept: bool = False
    later: list[Look] = field(default_factory=list)
    _last: dict[int, Any] = field(default_factory=dict)

    def looks(self) -> list[Look]:
        """Return the looks at inputs that are still to be made, once."""
        found = [*self.later]
        self.later.clear()
        return found

    @cached_property
    def same(self) -> Array:
        """1 where a pair is one sequence."""
        shape = (self.first.shape[0], self.second.shape[0])
        return self.xp.eye(*shape) if self.diagonal else self.xp.zeros(shape)

    def gram(self, side: int, first: int, second: int) -> Array:
        """Return x_first . x'_second: (N1, 1) and (1, N2) within sequences, (N1, N2) across.

        Equal and opposite inputs, which a matrix product may round apart, have exactly equal and opposite products.
        A step asks for the same products several times: the last ones of each side are kept.
        """
        if self._last.get(side, (None,))[0] != (first, second):
            self._last[side] = (first, second), self._gram(side, first, second)
        return self._last[side][1]

    def beside_all(self, first: int) -> SequenceBatch:
        """Return step `first` of the first sequences beside all steps of the second, as sequences of one step.

        Shapes: (N1, 1, n_x) and (T2 N2, 1, n_x), the sequences of one step after those of the step before.
        """
        rows = self.first[:, first : first + 1, :]
        return SequenceBatch(self.xp, rows, self._every_step, False, self.rounding, self.wanted)

    @cached_property
    def _every_step(self) -> Array:
        steps = self.xp.permute_dims(self.second, (1, 0, 2))
        return self.xp.reshape(steps, (steps.shape[0] * steps.shape[1], 1, steps.shape[2]))

    def gaps(self, first: int, second: int) -> Gaps:
        """Return |x_first| |x'_second| less, and plus, their inner product, by the distances of their directions.

        Shapes: (N1, N2).  Units: input^2.  Error: of the angle between them, rounding.
        """
        if self._last.get(GAPS, (None,))[0] != (first, second):
            self._last[GAPS] = (first, second), self._gaps(first, second)
        found: Gaps = self._last[GAPS][1]
        return found

    def _gaps(self, first: int, second: int) -> Gaps:
        xp = self.xp
        (x, p), (y, q) = ([part[:, time] for part in self.directions(side)] for side, time in ((0, first), (1, second)))
        cosine = xp.clip(x @ y.T, -1.0, 1.0)
        found = []
        for sign in (1.0, -1.0):
            gap = 1.0 - sign * cosine
            rows, columns = xp.nonzero(gap < NARROW)
            gap[rows, columns] = 0.5 * xp.sum((x[rows] - sign * y[columns]) ** 2, axis=-1)
            found.append(p[:, None] * q[None, :] * gap)
        return Gaps(*found)

    def directions(self, side: int) -> Directions:
        """Return the inputs of a side as vectors of length one, or zero, and their lengths.

        Shapes: (N, T, n_x), (N, T).  Units: 1; input.  Source: definition.
        """
        side = 0 if self.diagonal else side
        if DIRECTIONS + side not in self._last:
            size = self.lengths(side)
            x = self.sequences(side) / self.xp.where(size > 0, size, 1.0)[..., None]
            self._last[DIRECTIONS + side] = Directions(x, size)
        found: Directions = self._last[DIRECTIONS + side]
        return found

    def sequences(self, side: int) -> Array:
        """Return the inputs of a side.  Shapes: (N, T, n_x).  Units: input.  Source: definition."""
        return self.second if side and not self.diagonal else self.first

    def lengths(self, side: int) -> Array:
        """Return the lengths of the inputs of a side.  Shapes: (N, T).  Units: input.  Source: definition."""
        side = 0 if self.diagonal else side
        if LENGTHS + side not in self._last:
            self._last[LENGTHS + side] = self.xp.sqrt(squared_lengths(self.xp, self.sequences(side)))
        return self._last[LENGTHS + side]

    def gram_error(self, side: int, first: int, second: int) -> Array:
        """Return how far rounding may move x_first . x'_second: a part of the sum of the sizes of its products."""
        x, y = ((self.first, self.first), (self.second, self.second), (self.first, self.second))[side]
        x, y = self.xp.abs(x[:, first, :]), self.xp.abs(y[:, second, :])
        part = SUMMED + 2.0 * self.rounding
        if side == 2:
            return part * (x @ y.T)
        sizes = part * self.xp.sum(x * y, axis=-1)
        return sizes[:, None] if side == 0 else sizes[None, :]

    def _gram(self, side: int, first: int, second: int) -> Array:
        xp = self.xp
        if side == 0:
            return xp.sum(self.first[:, first, :] * self.first[:, second, :], axis=-1)[:, None]
        if side == 1:
            return xp.sum(self.second[:, first, :] * self.second[:, second, :], axis=-1)[None, :]
        x, y = self.first[:, first, :], self.second[:, second, :]
        product = x @ y.T
        squares = xp.sum(x * x, axis=-1)
        sums = squares[:, None] + xp.sum(y * y, axis=-1)[None, :]
        near = sums - 2.0 * xp.abs(product) <= 1e-9 * sums
        rows, columns = xp.nonzero(near)
        for sign in (1.0, -1.0):
            exact = xp.all(x[rows] == sign * y[columns], axis=-1)
            product[rows[exact], columns[exact]] = sign * squares[rows[exact]]
        return product
