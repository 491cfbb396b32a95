"""A kernel recursion at all pairs of times as one compiled sweep: pair by pair of sequences, row by row of times.

Leaky and residual networks carry a state on, so that the moments at two times read those of one step less of either
sequence alone: also the kernel after the last step is one of all pairs of times. Of a pair of sequences one row of
times is kept. Within each sequence the same lines are swept over the times up to the diagonal, row by row, so that each
row finds the variances it reads; equal sequences then have equal moments, to the last bit but for the order of sums.
Smooth functions are summed from a table for each two of a few groups of times, by their variances. Where these come of
the sweep within sequences, that takes the tables of whole ranges, the least that holds what it meets; the sweep across
them takes the same, narrowed.
Array code is the reference, and takes over as it does for `fused_sweep`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import sympy as sp

from wideproof.derive.emit.gap_coordinates import Above, Below, parts
from wideproof.derive.emit.kernel_stepper import (
    ACROSS,
    WITHIN_FIRST,
    WITHIN_SECOND,
    Equations,
    Index,
    Key,
    Pair,
    Stepper,
)
from wideproof.derive.emit.sweeps.compiled_text import compiled
from wideproof.derive.emit.sweeps.contributions import Contributions, Side, in_lanes
from wideproof.derive.emit.sweeps.fused_sweep import (
    NOTHING,
    FusedSweep,
    Host,
    at_step,
    columns,
    first_row,
    in_range,
    loops,
    products,
    rows,
)
from wideproof.derive.emit.sweeps.step_text import (
    BEFORE,
    NOW,
    LaneSum,
    TabledWriter,
    alone_lines,
    indented,
    no_text,
    output_lines,
    step_lines,
    with_text,
)
from wideproof.derive.emit.sweeps.within_sweep import know
from wideproof.derive.expectation.swept_means import across_times, whole
from wideproof.derive.expectation.tables.compiled_sweep import in_parts
from wideproof.derive.expectation.tables.lane_vectors import LANES as VECTOR
from wideproof.derive.expectation.tables.pair_tables import LARGEST, Range
from wideproof.derive.expectation.tables.table_loops import at_time, contracted, room, started

ABOVE, LEFT = (-1, 0), (0, -1)
FEW, MANY = 4, 32
"""Columns swept together, of few sequences and of more: the row of times that is kept stays in the second cache."""
LAST, AVERAGE, ALL = range(3)
READOUTS = {"last": LAST, "average": AVERAGE, "all": ALL}
RANGES = ((0.0, 4.0), (0.0, 16.0), (0.0, 64.0), (0.0, 1024.0), (0.0, 4.0**LARGEST))
"""The ranges of variances that are tried where the sweep itself tells them."""


@dataclass
class GridWriter(TabledWriter):
    """The lines of one pair of times.  Gaps that no equation tells are what a subtraction leaves."""

    names: ClassVar[dict[Index, str]] = {NOW: "new", ABOVE: "above", LEFT: "left", BEFORE: "old"}

    def untold(self, pair: Pair | None) -> None:
        """None: they are subtracted where they are read."""

    def state(self, atom: sp.Expr, pair: Pair, steps: Index) -> None:
        """A moment across sequences, of this pair of times or of one step less."""
        super().state(atom, pair, steps)
        if pair in self.equations.carried and parts(self.equations.right[pair]) is None:
            sides = zip((WITHIN_FIRST, WITHIN_SECOND), steps, strict=True)
            self.subtracted(atom, *(self.new(self.alone_of(Key(side, pair, (step, step)))) for side, step in sides))

    def subtracted(self, atom: sp.Expr, first: sp.Symbol, second: sp.Symbol) -> None:
        """Write the gaps of a moment by the two variances, as `gaps.by_subtraction` finds them."""
        more, less = (self.raw(f"{first} if {first} {sign} {second} else {second}") for sign in "><")
        norm = self.raw(f"{more} * math.sqrt({less} / ({more} if {more} > 0.0 else 1.0))")
        for gap, sign in ((Below, "-"), (Above, "+")):
            value = self.raw(f"{norm} {sign} {self.known[atom]}")
            self.known[gap(atom)] = self.raw(f"{value} if {value} > 0.0 else 0.0")


class GridSweep(FusedSweep):
    """The kernel of a recurrence at all pairs of times by its compiled sweep.

    Errors: NotClosed where the recurrence has no such text.
    """

    def __init__(self, equations: Equations, shared: bool = True) -> None:
        self.equations = equations
        if any(x.has(sp.KroneckerDelta) for x in (equations.recurrence.right, *equations.right.values())):
            raise no_text("equations that are the same at all times", "others")
        self.step, self.end = (
            lines(GridWriter(equations, True, shared=shared)) for lines in (step_lines, output_lines)
        )
        self.kept = self._kept()
        if not all(map(self._rests, self.step.read)):
            raise no_text("states at rest before the first step", "others")
        self.coupled = not equations.equal_times
        if self.coupled:
            self.within = self._within_text()
        self.alone = Contributions(equations, self.step, self.end)

    def _kept(self) -> list[tuple[int, int]]:
        """The moments that are kept, by their place, and which number of each."""
        within = {key.pair for part in (self.step, self.end) for key in part.within.values()}
        read = self.step.reads(ABOVE, LEFT, BEFORE) | self.end.reads(NOW) | within
        across = self.equations.across
        if not read <= {*across}:
            raise no_text("moments within sequences that are also across them", read - {*across})
        return [(across.index(pair), i) for pair in across if pair in read for i in range(self._numbers(pair))]

    def _numbers(self, pair: Pair) -> int:
        """How many numbers of a moment are carried: itself, and its gaps where its equation tells them."""
        told = pair in self.equations.carried and parts(self.equations.right[pair]) is not None
        return 3 if told else 1

    def _rests(self, steps: Index) -> bool:
        """Whether all moments that are read so many steps before are zero where that is before the first step."""
        early = [(min(0, steps[0]), 0), (0, min(0, steps[1])), steps]
        keys = [Key(ACROSS, pair, at) for pair in self.step.reads(steps) for at in early if min(at) < 0]
        return all(self.equations.is_zero(key) for key in keys)

    @functools.cached_property
    def apart(self) -> GridSweep | None:
        """The sweep with a table for each expectation, where some serve two here."""
        joint = any(slot.slope is not None for part in (self.step, self.end) for slot in part.slots)
        return GridSweep(self.equations, False) if joint else None

    @functools.cached_property
    def texts(self) -> dict[int, str]:
        """The sweep by the number of columns that are swept together."""
        return {lanes: self._text(lanes) for lanes in (FEW, MANY)}

    def _text(self, lanes: int) -> str:
        step, end, count = self.step, self.end, len(self.kept)
        kept = list(enumerate(self.kept))
        loads = self._loads("state[s, {place}, j]", "near[{place}, j]", "near[{old}, j]")
        stores: list[str | LaneSum] = [f"near[{count + place}, j] = state[s, {place}, j]" for place, _ in kept]
        stores += [f"near[{place}, j] = state[s, {place}, j] = new{n}_{i}" for place, (n, i) in kept]
        ends = {f"new{n}_{i}": f"near[{place}, j]" for place, (n, i) in kept if self._pair(n) in end.reads(NOW)}
        sums, grams = products("block, t, n, lane", "y, (chunk, s, n, skip + j)", min(lanes, VECTOR), step, end)
        first = first_row(step, end)
        places = [columns(self.alone, n, f"{name}_columns[chunk, s, {{}}, j]") for n, name in enumerate(("of", "last"))]
        moving, held = loops(
            step._replace(lines=[*step.lines, *stores]), loads | grams | places[0], first, min(lanes, VECTOR)
        )
        last, ended = loops(end, ends | grams | places[1], first, min(lanes, VECTOR))
        swept = [
            [*(AT_TIMES.format(p=name).splitlines() if part.slots else ()),
             *at_step(found, name, (f"{name}_row", f"{name}_column", f"{name}_row"))]
            for part, found, name in ((step, moving, "step"), (end, last, "last"))
        ]  # fmt: skip
        terms = [x for part, name in ((step, "step"), (end, "last")) if part.slots for x in all_contracted(name)]
        return GRID.format(
            states=count, twice=2 * count, lanes=lanes, work=max(held, ended), parameters=self._parameters,
            terms=indented(terms, 1), grams=indented(sums, 5),
            rows=indented(rows(self.alone, 0, "of_rows[block, t, {}, lane]"), 5), step=indented(swept[0], 5),
            last_rows=indented(rows(self.alone, 1, "last_rows[block, t, {}, lane]"), 5), last=indented(swept[1], 5),
        )  # fmt: skip

    def _pair(self, place: int) -> Pair:
        return self.equations.across[place]

    @property
    def _parameters(self) -> str:
        return indented([f"p{n} = parameters[{n}]" for n in range(len(self.equations.symbols))], 1)

    def _loads(self, above: str, left: str, old: str) -> dict[str, str]:
        """Where the moments of one step less are read."""
        found = {}
        for steps, where in ((ABOVE, above), (LEFT, left), (BEFORE, old)):
            name, read = GridWriter.names[steps], self.step.reads(steps)
            for place, (n, i) in enumerate(self.kept):
                if self._pair(n) in read:
                    at = where.format(place=place, old=len(self.kept) + place, turned=self._turned(n, i))
                    found[f"{name}{n}_{i}"] = at
        return found

    def _turned(self, n: int, i: int) -> int:
        """The place of a moment with its two processes exchanged: what it is to the other side of the diagonal."""
        pair = self._pair(n)[::-1]
        if pair not in self.equations.across or (self.equations.across.index(pair), i) not in self.kept:
            raise no_text("moments with both orders of their processes", self._pair(n))
        return self.kept.index((self.equations.across.index(pair), i))

    # ---- within a sequence ----------------------------------------------------------------------------------
    @functools.cached_property
    def moments(self) -> list[Pair]:
        """The moments within sequences that are read."""
        pairs = {key.pair for part in (self.step, self.end) for key in part.within.values()}
        return [pair for pair in self.equations.across if pair in pairs]

    def _within_text(self) -> str:
        """The same lines within each sequence, up to the diagonal."""
        lines, kept = self.step, list(enumerate(self.kept))
        if any(max(key.times) >= 0 for key in lines.within.values()):
            raise no_text("moments within a sequence of earlier steps", "of this one")
        if any(slot.gapped for slot in lines.slots):
            raise no_text("tables without gaps where the sweep tells the variances", "gaps")
        loads = self._loads("state[s, {place}] if s < t else near[{turned}]", "near[{place}]", "near[{old}]")
        letters = [
            f"{x} = w[i, t + {1 + key.times[0]}, {self.moments.index(key.pair)}]" for x, key in lines.within.items()
        ]
        count = len(self.kept)
        found = [self.kept.index((self.equations.across.index(pair), 0)) for pair in self.moments]
        stores: list[str | LaneSum] = [
            *(f"near[{count + place}] = state[s, {place}]" for place, _ in kept),
            *(f"near[{place}] = state[s, {place}] = new{n}_{i}" for place, (n, i) in kept),
        ]
        sums, grams = products("i, t, n", "x, (i, s, n)", 1, lines)
        loads |= grams | {f"c{n}": f"other[s, {n}]" for n in range(len(lines.alone[1]))}
        moving, held = loops(lines._replace(lines=[*lines.lines, *stores]), loads, first_row(lines), 1)
        return WITHIN.format(
            states=count, twice=2 * count, work=held, parameters=self._parameters, letters=indented(letters, 3),
            started=indented(started(lines.slots) if lines.slots else [], 1),
            tables=indented(at_time(lines.slots, "own[{}]", "other[t, {}]") if lines.slots else [], 3),
            rows=len(lines.alone[0]), columns=len(lines.alone[1]),
            own=indented(alone_lines(lines.alone[0], self.equations, "own[{}]"), 3),
            other=indented(alone_lines(lines.alone[1], self.equations, "other[t, {}]"), 3),
            row=indented([f"r{n} = own[{n}]" for n in range(len(lines.alone[0]))], 3), grams=indented(sums, 4),
            step=indented([line.replace("column_table, (", "columns, (s, ") for line in moving], 4),
            store=indented([f"w[i, t + 1, {k}] = near[{place}]" for k, place in enumerate(found)], 3),
        )  # fmt: skip

    def _range(self, stepper: Stepper, half: bool, parameters: Host) -> Range | None:
        """The range of the tables by which the moments within sequences are known then, None where there is none."""
        slots = self.step.slots_at(stepper)
        for every in RANGES:
            tables = whole(slots, every)
            if tables is None:
                return None
            if all(self._know_within(stepper, side, parameters, tuple(tables)) for side in ((0,) if half else (0, 1))):
                return every
        return None

    def _know_within(self, stepper: Stepper, side: int, parameters: Host, tables: tuple[Any, ...]) -> bool:
        """Put the moments within the sequences of a side, at equal times, among those of the stepper.

        Returns whether tables, where there are some, and the range of loops hold all variances.
        """
        directions, sizes = stepper.inputs.directions(side)
        found = np.zeros((len(sizes), sizes.shape[1] + 1, len(self.moments)))
        x, function = np.ascontiguousarray(directions), compiled(self.within)
        in_parts(lambda i: function(i, i + 1, parameters, sizes, x, tables, found), range(len(sizes)))
        return know(stepper, side, self.moments, found.T)

    # ---- across sequences -----------------------------------------------------------------------------------
    def grid(self, stepper: Stepper, sizes: tuple[int, int], half: bool, readout: str) -> Host | None:
        """The kernel (N1, N2), or (N1, T1, N2, T2) of all times; None for numbers out of range."""
        if not in_range(stepper, half):
            return None
        parameters, every = stepper.numbers, None
        if self.coupled and not self.step.slots:
            if not all(self._know_within(stepper, side, parameters, ()) for side in ((0,) if half else (0, 1))):
                return None
        elif self.coupled and (every := self._range(stepper, half, parameters)) is None:
            return None if self.apart is None else self.apart.grid(stepper, sizes, half, readout)
        first, second = (len(stepper.inputs.lengths(side)) for side in (0, 1))
        lanes, mode = MANY if second > 2 * FEW else FEW, READOUTS[readout]
        sides = self.alone.sides(stepper, [[range(size)] * 2 for size in sizes], half, lanes)
        if sides is None:
            return None
        one, other = sides
        tables = [self._of_times(stepper, n, one, other, half, every, lanes) for n in (0, 1)]
        if tables[0] is None or tables[1] is None:
            return None if self.apart is None else self.apart.grid(stepper, sizes, half, readout)
        times = sizes if mode == ALL else (1, 1)
        out = np.zeros((first, times[0], second, times[1]))
        arguments = (
            half, mode, parameters, one.moving, other.moving, one.directions, other.directions,
            one.last, other.last, *tables[0], *tables[1], out,
        )  # fmt: skip
        function = compiled(self.texts[lanes])
        in_parts(lambda i: function(i, i + 1, *arguments), range(first))
        if half:
            in_parts(lambda i: _mirror(out, i), range(first))
        with np.errstate(all="ignore"):
            if not np.isfinite(out.sum()):
                return None
        if mode == ALL:
            return out
        return out[:, 0, :, 0] / (sizes[0] * sizes[1] if mode == AVERAGE else 1.0)

    def _of_times(
        self, stepper: Stepper, n: int, one: Side, other: Side, half: bool, every: Range | None, lanes: int
    ) -> tuple[Any, ...] | None:
        """What the loops read of the tables of a part at all times, and the groups of times; None where none serve."""
        slots = (self.step, self.end)[n].slots_at(stepper)
        if not slots:
            return tuple(NOTHING), np.zeros((2, 0), dtype=np.int64)
        letters = [self.alone.letters(side, n, x) for side, x in enumerate((one, other))]
        found = across_times(slots, self.alone.variances(n, slots, one, other), letters, every)
        if found is None:
            return None
        return tuple(found.loaded._replace(columns=in_lanes(found.loaded.columns, lanes))), found.groups


def all_contracted(prefix: str) -> list[str]:
    """Lines that make room for the terms of all pairs of times and contract their first pieces."""
    count, lines = f"{prefix}_shapes.shape[0]", contracted(prefix, "at", "at", 1)
    return [*room(prefix, count), f"for at in range({count}):", *("    " + line for line in lines)]


def _mirror(out: Host, i: int) -> None:
    """Put what stands right of the diagonal in a row of a block, times exchanged, below it.  Shapes: (N, T, N, T)."""
    own = out[i, :, i]
    out[i, :, i] = 0.5 * (own + own.T)
    out[i + 1 :, :, i] = out[i, :, i + 1 :].transpose(1, 2, 0)


AT_TIMES = """{p}_row = {p}_groups[1, s] * steps + t
{p}_column = {p}_groups[0, t] * others + s"""
"""Where the tables of two groups of times have what either side contributes."""

GRID = """def sweep(
    start, stop, half, mode, parameters, of_rows, of_columns, x, y, last_rows, last_columns,
    step_tables, step_groups, last_tables, last_groups, out,
):
    per_pi = 1.0 / math.pi
    steps, others = x.shape[1], y.shape[1]
    state, near = np.empty((others, {states}, {lanes})), np.empty(({twice}, {lanes}))
    grams, ended, work = np.empty((2, {lanes})), np.empty({lanes}), np.empty(({work}, {lanes}))
    width, skip = np.uint64({lanes}), np.uint64(0)
{parameters}
{terms}
    for chunk in range(of_columns.shape[0]):
        place = chunk * {lanes}
        for i in range(start, stop):
            if half and place + {lanes} <= i:
                continue
            block, lane = np.uint64(i) // np.uint64({lanes}), np.uint64(i) % np.uint64({lanes})
            state[:] = 0.0
            for t in range(steps):
                near[:] = 0.0
                for s in range(others):
{grams}
{rows}
{step}
                    if mode == 0 and (t < steps - 1 or s < others - 1):
                        continue
{last_rows}
{last}
                    if mode == 2:
                        for j in range(min({lanes}, out.shape[2] - place)):
                            out[i, t, place + j, s] = ended[j]
                    else:
                        for j in range(min({lanes}, out.shape[2] - place)):
                            out[i, 0, place + j, 0] += ended[j]
"""
WITHIN = """def sweep(start, stop, parameters, sizes, x, tables, w):
    per_pi = 1.0 / math.pi
    steps = x.shape[1]
    state, near = np.empty((steps, {states})), np.empty({twice})
    own, other = np.empty({rows}), np.empty((steps, {columns}))
    grams, work = np.empty((2, 1)), np.empty(({work}, 1))
    width, skip = np.uint64(1), np.uint64(0)
{started}
{parameters}
    for i in range(start, stop):
        state[:] = 0.0
        for t in range(steps):
            size = sizes[i, t]
{letters}
{own}
{other}
{tables}
{row}
            near[:] = 0.0
            for s in range(t + 1):
{grams}
{step}
{store}
"""


def grid_of(equations: Equations) -> GridSweep | None:
    """The sweep of a recurrence over pairs of times, or None where it has no text or Numba is not installed."""
    return with_text(GridSweep, equations)
