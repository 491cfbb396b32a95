"""Tables of smooth functions for a sweep over all steps: which steps take which, and what a loop reads of them.

One table over the variances of all steps costs seconds less to build than one a step, and narrowed to the variances
that are met it needs about as few terms; where there is none, steps take their own. Both sides of a block take one
range, so that tables are symmetric, and those of one block serve the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.pair_integrals import ACCURACY, USEFUL, Factor, pair_table, square_table, steep
from wideproof.derive.expectation.tables import mean_squares
from wideproof.derive.expectation.tables.covariance_slopes import ErrorScales
from wideproof.derive.expectation.tables.flat_cores import together
from wideproof.derive.expectation.tables.lane_vectors import aligned
from wideproof.derive.expectation.tables.narrowing import NEAR, narrowed, near
from wideproof.derive.expectation.tables.pair_tables import LARGEST, LEAST, MEANS, Host, PairTable, Range, range_of
from wideproof.derive.expectation.tables.side_loop import GIVEN, Contributed, contribute

GRID, TINY = 4, 1e-9
"""Tables are narrowed to powers of the fourth root of two, which steps and runs share, and to variances above."""
CENTRED = (0.0, 0.0)
"""The means of the two variables."""
APART, GROUPS = 4.0, 4
"""Pairs of times are grouped by powers of this of the variances, and so many groups are told apart."""
SLOPE = 0.1
"""The least size of derivatives that errors are measured by: a tangent kernel multiplies them by large ones."""
BEYOND, APART_BY = 0.1, 1024
"""The part of a power by which tables reach beyond the ends, and more than any two powers are apart."""
SOME, SEEN = 64, 1e-3
"""Sequences by which the spread of variances is told, and the part of the largest that is added to each."""
LOOKED_AT = 9
"""Variances of a step at which mean squares are looked at."""
OWN, SQUARE = 3 + MEANS, GIVEN
"""Numbers of one variable before its basis: 1 / sqrt(s + a), a / (s + a), E[phi], E[phi'], sqrt(E[phi^2]), which
is the place `SQUARE`, and, from tables, E[phi^2] and E[phi'^2]."""


Variances = tuple[Host, Host]
"""Those of the rows and of the columns of an expectation, (steps, N) and (steps, M): one array for the same ones."""


class Slot(NamedTuple):
    """An expectation in the lines of a step: its factors, and where the variances of either side are to be found.

    `gapped` says that sqrt(E[phi^2]) of both sides is read too. `value` counts the expectations of a step, and so does
    `slope` where the derivative by the covariance is one of them too: that of the factors' derivatives. `means`
    are those of the two variables, of all sequences and steps: expressions of parameters until they are numbers.
    """

    factors: tuple[Factor, ...]
    row: int
    column: int
    gapped: bool
    value: int
    slope: int | None = None
    means: tuple[Any, Any] = CENTRED

    @property
    def alike(self) -> bool:
        """Whether either variable contributes the same."""
        return bool(self.factors[0] == self.factors[1] and self.means[0] == self.means[1])

    def joined(self, other: Slot) -> Slot | None:
        """Both as one, where one is the derivative of the other by the covariance and has no gaps."""
        if (self.row, self.column, self.means) != (other.row, other.column, other.means):
            return None
        for one, two in ((self, other), (other, self)):
            plain = one.slope is None and two.slope is None and not two.gapped
            if plain and _derivatives(one.factors) == two.factors:
                return one._replace(slope=two.value)
        return None


SOFTENING, LOW, HIGH, ORDERS, FLOOR, ZERO, FIRST = range(7)
"""Where the numbers of a series of E[phi^2] stand: its coordinate, its length, the least value it tells, phi(0)^2."""


@lru_cache(maxsize=32)
def squares(factors: tuple[tuple[Factor, float], ...]) -> Host:
    """E[phi(u)^2] of factors and the means of u by one series a range, from below 4^LEAST to 4^LARGEST.

    Shapes: (E, LARGEST - LEAST + 1, FIRST + K).  Where there is none, the least value it tells is infinite.
    """
    most = FIRST + max(mean_squares.NODES)
    found = np.zeros((len(factors), LARGEST - LEAST + 1, most))
    for places, (factor, mean) in zip(found, factors, strict=True):
        for n, place in enumerate(places):
            span = (4.0 ** (LEAST + n - 1) if n else 0.0, 4.0 ** (LEAST + n))
            table = square_table(factor, span, mean)
            place[FLOOR] = math.inf
            if table is not None:
                softening, terms = table.softening, table.coefficients
                ends = [math.log(softening + x) for x in span]
                place[:FIRST] = softening, *ends, len(terms), table.error / ACCURACY, 0.0
                place[FIRST : FIRST + len(terms)] = terms
            place[ZERO] = float(steep(*factor, "numpy").values(np.array([mean]))[0]) ** 2
    return found


NONE = np.empty((0, 0, 0, 0))
"""No rows, no columns, or no cores."""


class Loaded(NamedTuple):
    """What a loop reads of the tables of some expectations E at all steps.

    Shapes: rows (N, steps, E, OWN + r), columns (chunks, steps, E * (OWN + r'), lanes), r and r' even; cores (E,
    tables, r, L), shapes (steps, E, HEAD + K / 2), layers (steps, E, 2), as `flat_cores` says, tables first in shapes.
    """

    rows: Host
    columns: Host
    cores: Host
    shapes: NDArray[np.int64]
    layers: Host


class ChosenTables(NamedTuple):
    """The tables of an expectation, which of them each step takes (steps,), and the range of all variances."""

    tables: list[PairTable]
    which: NDArray[np.int64]
    range: Range


class StepVariances(NamedTuple):
    """The least variance of each step, the least positive one, the largest, and powers of two that they lie between.

    Shapes: (steps,), ends (2, steps), in powers of the root of two of order `GRID`.
    """

    least: Host
    positive: Host
    most: Host
    ends: Host

    @classmethod
    def of(cls, variance: Host) -> StepVariances:
        """That of variances (steps, N)."""
        least, most = variance.min(axis=1), variance.max(axis=1)
        positive = least if least.min() > 0.0 else np.where(variance > 0.0, variance, np.inf).min(axis=1)
        low, high = GRID * np.log2(np.maximum((least, most), TINY))
        return cls(least, positive, most, np.array((np.floor(low), np.ceil(high))))


def spread(variance: Host) -> float:
    """The deviation of the logarithms of variances (steps, N) within steps, by some of the sequences."""
    some = variance[:, :: max(1, variance.shape[1] // SOME)]
    least = np.maximum(SEEN * variance.max(axis=1), TINY)[:, None]
    return math.sqrt(np.mean(np.var(np.log(some + least), axis=1)))


Sides = tuple[StepVariances, StepVariances]
"""Those of rows and of columns: one and the same for the same sequences."""


@dataclass(frozen=True)
class StepSizes:
    """The sizes sqrt(E[phi^2] E[psi^2]) of the values of two factors at all steps, from tables over a range."""

    factors: tuple[Factor, ...]
    means: tuple[float, float]
    range: Range
    sides: Sides

    @cached_property
    def least(self) -> float:
        """No more than any of them."""
        spans = [(float(np.minimum(x.positive, x.most).min()), float(x.most.max())) for x in self.sides]
        if min(low for low, _ in spans) <= 0.0:
            return 0.0
        octaves = tuple((math.floor(math.log2(low)), math.ceil(math.log2(high))) for low, high in spans)
        return _least_size(self.factors, self.means, self.range, octaves)

    @cached_property
    def ends(self) -> Host:
        """The least and the largest at each step, no numbers where there is no table of one.

        They are looked for at some variances between the ends of each step.  Shapes: (steps, 2).
        """
        found = np.ones((len(self.sides[0].least), 2))
        each = list(zip(self.factors, self.means, self.sides, strict=True))
        if each[0][:2] == each[1][:2] and self.sides[0] is self.sides[1]:
            del each[1]
        for factor, mean, side in each:
            table = square_table(factor, self.range, mean)
            if table is None:
                return np.full_like(found, np.nan)
            places = np.linspace(np.minimum(side.positive, side.most), side.most, LOOKED_AT, axis=1)
            squares = np.maximum(table.at(places), 0.0)
            found *= np.stack([squares.min(axis=1), squares.max(axis=1)], axis=1)
        return found if len(each) == 1 else np.sqrt(found)

    def show(self, error: float, steps: NDArray[np.bool_]) -> bool:
        """Whether an error is visible at some steps: beside the largest of values, or the least size of one."""
        if error <= ACCURACY and error <= USEFUL * self.least:
            return False
        least, largest = self.ends[steps].T
        return not bool(np.all(error <= ACCURACY * np.maximum(largest, 1.0)) and np.all(error <= USEFUL * least))


@lru_cache(maxsize=512)
def _least_size(
    factors: tuple[Factor, ...], means: tuple[float, float], kind: Range, octaves: tuple[tuple[int, int], ...]
) -> float:
    """No more than sqrt(E[phi^2] E[psi^2]) at variances in octaves; zero where there is no table of one.

    The density of a Gaussian variable of variance s, times sqrt(s), grows with s, and so does sqrt(s) E[phi^2]: within
    an octave E[phi^2] is at least sqrt(1/2) of that at its start. What is left of it is for the errors of tables.
    """
    least = 1.0
    for factor, mean, (low, high) in zip(factors, means, octaves, strict=True):
        table = square_table(factor, kind, mean)
        if table is None:
            return 0.0
        starts = np.exp2(np.arange(low, max(high, low + 1), dtype=np.float64))
        least *= max(0.0, 0.5 * float(table.at(starts).min()) - 2.0 * table.error)
    return math.sqrt(least)


def chosen(
    slot: Slot, variances: Variances, given: Range | None = None, end: float | None = None
) -> ChosenTables | None:
    """Tables for variances at all steps, or None where there are none, or an error would be visible.

    One over all variances, or one a step; an expectation and its derivative that have none in common have one each.
    `given` is a range of all variances, over which there is one table or none; `end` the correlation where first
    pieces end, else as the spread of variances says.
    """
    a, b = variances
    first = StepVariances.of(a)
    sides = (first, first if a is b else StepVariances.of(b))
    both = np.array([min(x.least.min() for x in sides), max(x.most.max() for x in sides)])
    every = given or range_of(both)
    if every is None or not every[0] <= both[0] <= both[1] <= every[1]:
        return None
    kinds = [slot.factors] if slot.slope is None else [slot.factors, _derivatives(slot.factors)]
    sizes = [StepSizes(factors, slot.means, every, sides) for factors in kinds]
    end = near(max(map(spread, (a,) if a is b else (a, b)))) if end is None else end
    found = _of_ranges(slot, [every], np.zeros(len(a), dtype=np.int64), sizes, end)
    if found is None and given is None and slot.slope is None:
        own = [
            range_of(np.array(x)) for x in zip(*(end for side in sides for end in (side.least, side.most)), strict=True)
        ]
        ranges = sorted({x for x in own if x})
        found = _of_ranges(slot, ranges, np.array([ranges.index(x) for x in own if x]), sizes, end)
    return found


def _derivatives(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    return tuple((name, order + 1) for name, order in factors)


def _of_ranges(
    slot: Slot, ranges: list[Range], which: NDArray[np.int64], sizes: list[StepSizes], end: float
) -> ChosenTables | None:
    """The tables of ranges, of which each step takes one, each narrowed to the variances of the step."""
    sloped, sides = len(sizes) > 1, sizes[0].sides
    for n, kind in enumerate(ranges):
        table = pair_table(slot.factors, (kind, kind), slot.means, sloped)
        if table is None:
            return None
        errors = (table.error, table.slope_error)[: len(sizes)]
        if any(size.show(error, which == n) for error, size in zip(errors, sizes, strict=True)):
            return None
    ends = np.concatenate([side.ends for side in sides]).astype(np.int64)
    if slot.alike and sides[0] is not sides[1]:
        ends[::2], ends[1::2] = ends[::2].min(axis=0), ends[1::2].max(axis=0)
    codes = _in_order(which, *ends).tolist()
    distinct = sorted(set(codes))
    place, first = {x: n for n, x in enumerate(distinct)}, [codes.index(x) for x in distinct]
    spans = (2.0 ** ((ends[:, first].T + (-BEYOND, BEYOND) * 2) / GRID)).tolist()
    tables = [
        _narrowed(slot.factors, slot.means, ranges[which[step]], ((a, b), (c, d)), sloped, end)
        for step, (a, b, c, d) in zip(first, spans, strict=True)
    ]
    return ChosenTables(tables, np.array([place[x] for x in codes]), sizes[0].range)


def _in_order(*numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for several at each step, in the order of the first, then of the second, and so on."""
    found = numbers[0]
    for x in numbers[1:]:
        found = found * APART_BY + x
    return found


@lru_cache(maxsize=512)
def _narrowed(
    factors: tuple[Factor, ...], means: tuple[float, float], kind: Range, spans: tuple[Range, Range], sloped: bool,
    end: float,
) -> PairTable:  # fmt: skip
    """A table over parts of its ranges, made once; `end` is the correlation where its first piece ends."""
    table = pair_table(factors, (kind, kind), means, sloped)
    assert table is not None
    slope = max(SLOPE, _size_seen(_derivatives(factors), means, kind, spans)) if sloped else None
    return narrowed(table, spans, ErrorScales(max(1.0, _size_seen(factors, means, kind, spans)), slope), end)


def _size_seen(
    factors: tuple[Factor, ...], means: tuple[float, float], kind: Range, spans: tuple[Range, Range]
) -> float:
    """What errors are measured by: sqrt(E[phi^2] E[psi^2]) at the ends of spans."""
    squares = [square_table(factor, kind, mean) for factor, mean in zip(factors, means, strict=True)]
    sizes = [0.0 if x is None else float(np.max(x.at(np.array(span)))) for x, span in zip(squares, spans, strict=True)]
    return math.sqrt(sizes[0] * sizes[1])


def loaded(
    slots: Sequence[Slot], variances: Sequence[Variances], lanes: int, given: Range | None = None,
    end: float | None = None,
) -> Loaded | None:  # fmt: skip
    """The tables of expectations at the variances of both sides of each, or None where one has none.

    `given` is the range of all variances, `end` where first pieces end, as for `chosen`.
    """
    picked: list[ChosenTables] = []
    for slot, both in zip(slots, variances, strict=True):
        found = chosen(slot, both, given, end)
        if found is None:
            return None
        picked.append(found)
    alike = all(slot.alike and a is b for slot, (a, b) in zip(slots, variances, strict=True))
    kinds = tuple(tuple(found.tables) for found in picked)
    widths = _widths(kinds)
    (steps, count), chunks = variances[0][0].shape, -(-variances[0][1].shape[1] // lanes)
    own = Contributed(np.empty((count, steps, len(slots), widths[0])),
                      aligned((chunks, steps, len(slots) * widths[1], lanes)))  # fmt: skip
    for e, (slot, tables, (a, b)) in enumerate(zip(slots, picked, variances, strict=True)):
        if alike:
            _contribute(slot, tables, a, (0, e, widths[0]), own)
        else:
            _contribute(slot, tables, a, (0, e, widths[0]), own._replace(columns=NONE))
            _contribute(slot, tables, b, (1, e, widths[1]), own._replace(rows=NONE))
    cores, shapes, layers = together(kinds)
    return Loaded(
        *own, cores, np.stack([x[found.which] for x, found in zip(shapes, picked, strict=True)], axis=1),
        np.stack([x[found.which] for x, found in zip(layers, picked, strict=True)], axis=1),
    )  # fmt: skip


@lru_cache(maxsize=64)
def _widths(kinds: tuple[tuple[PairTable, ...], ...]) -> list[int]:
    """How many numbers of one variable either side has for the tables of some expectations."""
    return [OWN + max(_ranks(table)[side] for tables in kinds for table in tables) for side in (0, 1)]


def _contribute(slot: Slot, found: ChosenTables, variance: Host, place: tuple[int, int, int], out: Contributed) -> None:
    """Write what one side contributes alone to an expectation, by their numbers, in so many numbers."""
    roots, (side, e, width) = np.empty((0, 0)), place
    if slot.gapped:
        square = square_table(slot.factors[side], found.range, slot.means[side])
        assert square is not None
        roots = np.sqrt(np.maximum(square.at(variance), 0.0))
    sides = tuple(x.sides[side] for x in found.tables)
    contribute(sides, found.which, variance, roots, (e, width), out)


def _ranks(table: PairTable) -> tuple[int, int]:
    """r and r', made even, at least 4."""
    first, second = (max(4, len(side.basis) + len(side.basis) % 2) for side in table.sides)
    return first, second


class AtTimes(NamedTuple):
    """Tables of pairs of times, by groups of times: of a row in group g and a column in group h, one for each (g, h).

    Shapes: groups (2, T), those of the times of either side, filled up with zeros; of `Loaded` rows (N, h T + t, ...),
    columns (..., g T' + s, M), shapes and layers (h T + t, ...).
    """

    loaded: Loaded
    groups: NDArray[np.int64]


def across_times(
    slots: Sequence[Slot], variances: Sequence[Variances], letters: Sequence[Host], given: Range | None
) -> AtTimes | None:
    """The same for all pairs of times: variances that grow with time have a table for each two of a few ranges.

    `letters` are all that either side contributes, variances among them: one range holds them. Every row asks for
    second pieces, for itself at other times.
    """
    a, b = variances[0]
    first = _groups(a)
    groups = [first, first if a is b else _groups(b)]
    counts = [int(x.max()) + 1 for x in groups]
    every = given or range_of(np.concatenate([x.reshape(-1) for x in letters]))
    blocks: list[list[Loaded]] = []
    for g in range(counts[0]):
        blocks.append([])
        for h in range(counts[1]):
            flat = [_at_groups(both, groups, (g, h)) for both in variances]
            found = loaded(slots, flat, flat[0][1].shape[1], given if counts == [1, 1] else every, NEAR)
            if found is None:
                return None
            blocks[-1].append(found)
    both = np.zeros((2, max(map(len, groups))), dtype=np.int64)
    for place, group in zip(both, groups, strict=True):
        place[: len(group)] = group
    return AtTimes(_joined(blocks, groups, (a.shape[1], b.shape[1])), both)


def _at_groups(variances: Variances, groups: list[NDArray[np.int64]], numbers: tuple[int, int]) -> Variances:
    """Those of two groups of times, as at one step; one array where it is one group of the same ones."""
    one, other = (x[of == n].reshape(1, -1) for x, of, n in zip(variances, groups, numbers, strict=True))
    same = variances[0] is variances[1] and groups[0] is groups[1] and numbers[0] == numbers[1]
    return one, one if same else other


def _groups(variances: Host) -> NDArray[np.int64]:
    """Times by powers of `APART` of their largest variance, the smallest together.  Shapes: (T, N) -> (T,)."""
    size = np.ceil(np.log(np.maximum(variances.max(axis=1), TINY)) / math.log(APART)).astype(np.int64)
    return np.asarray(np.unique(np.maximum(size, size.max() - GROUPS + 1), return_inverse=True)[1].reshape(-1))


def _joined(blocks: list[list[Loaded]], groups: list[NDArray[np.int64]], sizes: tuple[int, int]) -> Loaded:
    """The tables of pairs of groups as one, filled up to the largest ranks and the most orders."""
    every = [x for row in blocks for x in row]
    count = every[0].shapes.shape[1]
    ranks = [max(x.rows.shape[3] for x in every), max(x.columns.shape[2] for x in every) // count]
    orders, length = (max(x.shape[-1] for x in of) for of in ([x.shapes for x in every], [x.cores for x in every]))
    steps, others = map(len, groups)
    rows = np.zeros((sizes[0], len(blocks[0]), steps, count, ranks[0]))
    columns = np.zeros((count, ranks[1], len(blocks), others, sizes[1]))
    cores = np.zeros((count, len(every), ranks[0] - OWN, length))
    shapes = np.zeros((len(blocks[0]), steps, count, orders), dtype=np.int64)
    layers = np.zeros((len(blocks[0]), steps, count, 2))
    for n, (g, h) in enumerate((g, h) for g in range(len(blocks)) for h in range(len(blocks[0]))):
        found, here, there = blocks[g][h], groups[0] == g, groups[1] == h
        read = found.rows.reshape(-1, sizes[0], count, found.rows.shape[3])
        rows[:, h, here, :, : read.shape[3]] = read.swapaxes(0, 1)
        own = found.columns.reshape(count, -1, int(there.sum()), sizes[1])
        columns[:, : own.shape[1], g, there] = own
        core = found.cores[:, 0]
        cores[:, n, : core.shape[1], : core.shape[2]] = core
        shapes[h, here, :, : found.shapes.shape[2]] = found.shapes[0]
        shapes[h, here, :, 0], layers[h, here] = n, found.layers[0]
    return Loaded(
        rows.reshape(sizes[0], -1, count, ranks[0]), columns.reshape(count * ranks[1], -1, sizes[1]),
        cores, shapes.reshape(-1, *shapes.shape[2:]), layers.reshape(-1, count, 2),
    )  # fmt: skip


class Whole(NamedTuple):
    """Tables of E expectations over a whole range, for a loop that meets the variances on its way.

    Shapes: sides (2, E, OWN - 2 + r, R), Chebyshev coefficients of what follows 1 / sqrt(s + a) and a / (s + a) in
    `Loaded`; ends (E, 5), the range, s and the coordinates of its ends; cores (E, r, K * r); shapes and layers of E.
    """

    sides: Host
    ends: Host
    cores: Host
    shapes: NDArray[np.int64]
    layers: Host


def whole(slots: Sequence[Slot], every: Range) -> Whole | None:
    """The tables of expectations over a range, or None where one has none."""
    tables = [pair_table(slot.factors, (every, every), slot.means, slot.slope is not None) for slot in slots]
    found = [table for table in tables if table is not None]
    if len(found) < len(slots):
        return None
    ranks = [max(_ranks(table)[side] for table in found) for side in (0, 1)]
    rank, most = max(ranks), max(side.means.shape[1] for table in found for side in table.sides)
    sides, ends = np.zeros((2, len(found), OWN - 2 + rank, most)), np.empty((len(found), 5))
    for e, table in enumerate(found):
        soft = table.softening
        ends[e] = *every, soft, *(math.log(soft + x) for x in every)
        for place, side in zip(sides[:, e], table.sides, strict=True):
            place[:2, : side.means.shape[1]] = side.means
            place[OWN - 2 : OWN - 2 + len(side.basis), : side.basis.shape[1]] = side.basis
    cores, shapes, layers = together(tuple((table,) for table in found))
    return Whole(sides, ends, cores[:, 0], np.concatenate(shapes), np.concatenate(layers))
