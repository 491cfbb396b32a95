"""What either sequence contributes alone to a sweep, and the directions of its inputs, as one compiled loop.

All is laid out in lanes, a chunk of sequences together, where columns are vectors and rows are found too. Threads take
some sequences of a chunk each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from wideproof.derive.emit.kernel_stepper import WITHIN_FIRST, WITHIN_SECOND, Equations, Index, Pair, Stepper
from wideproof.derive.emit.sweeps.compiled_text import compiled, out_of_range
from wideproof.derive.emit.sweeps.step_text import SIZE, SIZES, Lines, alone_lines, indented
from wideproof.derive.expectation.swept_means import Slot, Variances
from wideproof.derive.expectation.tables.compiled_sweep import in_parts
from wideproof.derive.expectation.tables.lane_vectors import aligned

Host = NDArray[np.float64]
LANES = 64
"""Columns swept together: the numbers of one step stay in the first cache. Of a chunk on the diagonal, or at the end,
those lanes are swept that matter, a whole number of vectors. Lanes are counted without sign: a place that might be
negative keeps a loop from being one over vectors."""
SEQUENCES = 32
"""Sequences a thread takes at a time."""
SIDE = (WITHIN_FIRST, WITHIN_SECOND)


class Part(NamedTuple):
    """What sequences contribute to a part of a sweep, as rows and as columns alike.

    `exprs` are of `size` and the letters of `moments` within a sequence, each a pair of processes, times ago; `places`
    say for each letter of a row, and of a column, which of them it is, and whether less than zero.
    """

    exprs: list[sp.Expr]
    moments: dict[tuple[Pair, Index], sp.Symbol]
    places: tuple[list[tuple[int, bool]], list[tuple[int, bool]]]

    @classmethod
    def of(cls, lines: Lines) -> Part:
        """The contributions that lines read: what a row and a column read alike, up to its sign, is one."""
        moments: dict[tuple[Pair, Index], sp.Symbol] = {}
        own = {sp.Symbol(x, nonnegative=True): SIZE for x in SIZES}
        for letter, key in lines.within.items():
            name = sp.Symbol(f"w{len(moments)}", nonnegative=True)
            own[letter] = moments.setdefault((key.pair, key.times), name)
        exprs: list[sp.Expr] = []
        places: tuple[list[tuple[int, bool]], list[tuple[int, bool]]] = ([], [])
        for side, found in zip(lines.alone, places, strict=True):
            for expr in side:
                expr = expr.xreplace(own)
                turned = bool(expr.could_extract_minus_sign())
                expr = -expr if turned else expr
                exprs += [] if expr in exprs else [expr]
                found.append((exprs.index(expr), turned))
        return cls(exprs, moments, places)

    def read(self, side: int, where: str) -> list[str]:
        """The letters of a row or of a column as code that finds them."""
        return ["-" * turned + where.format(n) for n, turned in self.places[side]]


class Side(NamedTuple):
    """What one side contributes, at each step and at the last, and the directions of its inputs.

    Shapes: (chunks, steps, K, lanes) each, of `number` sequences.
    """

    moving: Host
    last: Host
    directions: Host
    number: int


@dataclass(frozen=True)
class Alone:
    """Lengths of the inputs of a side, and moments within its sequences, from the time before the first step on.

    Where a loop is still to work them out, `work` does so for sequences start to stop, and says whether numbers are
    out of range, which is then not zero.  Shapes: (T, N), (pairs, T + 1, N).
    """

    lengths: Host
    moments: Host
    work: Callable[[int, int], float] | None = None

    def tell(self, stepper: Stepper, side: int) -> None:
        """Give them to a stepper."""
        stepper.lengths[side] = self.lengths
        pairs = stepper.equations.pairs_within
        stepper.within |= {(SIDE[side], pair): own.T for pair, own in zip(pairs, self.moments, strict=True)}


Begin = Callable[[Stepper, int], Alone | None]
"""What lays out the loop of the moments within the sequences of a side; None where they are known, or array code's."""


class Contributions:
    """The loop for the steps of a sweep, and for its end."""

    def __init__(self, equations: Equations, step: Lines, end: Lines) -> None:
        self.parts = [Part.of(step), Part.of(end)]
        self.text = TEMPLATE.format(
            sequences=SEQUENCES, rows=max(len(part.exprs) for part in self.parts),
            parameters=indented([f"p{n} = parameters[{n}]" for n in range(len(equations.symbols))], 1),
            moving=indented(_lines(equations, self.parts[0], "moving"), 1),
            last=indented(_lines(equations, self.parts[1], "last"), 1),
        )  # fmt: skip

    @functools.cached_property
    def function(self) -> Callable[..., None]:
        """The compiled loop."""
        return compiled(self.text)

    def sides(
        self, stepper: Stepper, spans: list[list[range]], half: bool, lanes: int, begin: Begin | None = None
    ) -> list[Side] | None:
        """What either side contributes in each part, over a span of times of its own, None out of range.

        The sides of a symmetric block are one. Threads that take sequences work out what `begin` lays out on the way,
        and make the looks at inputs that are still to be made.
        """
        if begin is None:
            for look in stepper.inputs.looks():
                look()
        each = (0,) if half else (0, 1)
        alone = [self._read(stepper, n, spans[n]) if begin is None else begin(stepper, n) for n in each]
        every = [x for x in alone if x is not None]
        if len(every) < len(each):
            return None
        laid = [self._laid(stepper, n, own, spans[n], lanes) for n, own in zip(each, every, strict=True)]
        step, looks = min(lanes, SEQUENCES), stepper.inputs.looks()
        starts = [(n, start) for n, (side, _) in enumerate(laid) for start in range(0, side.number, step)]

        def part(k: int) -> float:
            if k < 0:
                looks[k]()
                return 0.0
            (n, start), work = starts[k], every[starts[k][0]].work
            stop = min(start + step, laid[n][0].number)
            beyond = 0.0 if work is None else work(start, stop)
            self.function(start, stop, *laid[n][1])
            return beyond

        if any(in_parts(part, range(-len(looks), len(starts)))):
            return None
        if begin is not None:
            for n, own in zip(each, every, strict=True):
                own.tell(stepper, n)
        return [laid[0][0], laid[-1][0]]

    def _laid(
        self, stepper: Stepper, side: int, alone: Alone, spans: list[range], lanes: int
    ) -> tuple[Side, tuple[Any, ...]]:
        """A side that is still to be filled, and what the loop reads and fills of it."""
        x, (times, end) = np.require(stepper.inputs.sequences(side), requirements=("C", "W")), spans
        chunks, kinds = -(-len(x) // lanes), [len(part.exprs) for part in self.parts]
        made = [
            aligned((chunks, len(span), count, lanes))
            for span, count in zip((times, end, times), (*kinds, x.shape[2]), strict=True)
        ]
        read = times.start, end.start, stepper.numbers, alone.lengths, alone.moments, x
        return Side(made[0], made[1], made[2], len(x)), (*read, *made)

    def _read(self, stepper: Stepper, side: int, spans: list[range]) -> Alone | None:
        """What a stepper knows of the sequences of a side at the times that are read, None out of range."""
        known = stepper.lengths[side] if side in stepper.lengths else stepper.inputs.lengths(side).T
        lengths, pairs = np.ascontiguousarray(known), stepper.equations.pairs_within
        moments = np.zeros((len(pairs), len(lengths) + 1, lengths.shape[1]))
        for part, span in zip(self.parts, spans, strict=True):
            for pair, (ago, _) in part.moments:
                at = range(span.start + ago, span.stop + ago)
                place = moments[pairs.index(pair), at.start + 1 : at.stop + 1]
                place[:] = stepper.within_at(SIDE[side], pair, at, lengths.shape[1]).T
                if (SIDE[side], pair) not in stepper.within and out_of_range(place):
                    return None
        return Alone(lengths, moments)

    def letter(self, side: int, n: int, found: Side, k: int) -> Host:
        """A letter of a side in a part, by sequences.  Shapes: (steps, N)."""
        place, turned = self.parts[n].places[side][k]
        numbers = (found.moving, found.last)[n][:, :, place].swapaxes(0, 1)
        whole = np.ascontiguousarray(numbers.reshape(len(numbers), -1)[:, : found.number])
        return -whole if turned else whole

    def letters(self, side: int, n: int, found: Side) -> Host:
        """All letters of a side in a part.  Shapes: (letters, steps, N)."""
        return np.stack([self.letter(side, n, found, k) for k in range(len(self.parts[n].places[side]))])

    def variances(self, n: int, slots: Sequence[Slot], one: Side, other: Side) -> list[Variances]:
        """Those that expectations in a part read: of the same numbers one array."""
        (rows, columns), found = self.parts[n].places, []
        for slot in slots:
            row = self.letter(0, n, one, slot.row)
            same = one is other and rows[slot.row] == columns[slot.column]
            found.append((row, row if same else self.letter(1, n, other, slot.column)))
        return found


def _lines(equations: Equations, part: Part, name: str) -> list[str]:
    """The lines for what sequences contribute to a part of that name."""
    if not part.exprs:
        return []
    pairs = equations.pairs_within
    read = [f"w[{pairs.index(pair)}, at + np.uint64({1 + ago}), far + j]" for pair, (ago, _) in part.moments]
    letters = [f"{x} = {at}" for x, at in zip(part.moments.values(), read, strict=True)]
    own = alone_lines(part.exprs, equations, "work[{}, j]")
    return PART.format(name=name, count=len(part.exprs), lines=indented([*letters, *own], 2)).splitlines()


def in_lanes(read: Any, lanes: int = LANES) -> Host:
    """Columns in lanes, filled up with the last one.  Shapes: (K, steps, M) -> (chunks, steps, K, lanes)."""
    kinds, steps, count = read.shape
    columns = aligned((-(-count // lanes), steps, kinds, lanes))

    def fill(n: int) -> None:
        part = read[..., n * lanes : (n + 1) * lanes]
        columns[n, ..., : part.shape[2]] = part.swapaxes(0, 1)
        columns[n, ..., part.shape[2] :] = part[..., -1:].swapaxes(0, 1)

    in_parts(fill, range(len(columns)))
    return columns


PART = """for t in range({name}.shape[1]):
    at = np.uint64({name}_begin + t)
    for j in range(width):
        size = lengths[at, far + j]
{lines}
    for n in range({count}):
        for j in range(width):
            {name}[chunk, t, n, lane + j] = work[n, j]
        for j in range(lane + width, end):
            {name}[chunk, t, n, j] = work[n, width - np.uint64(1)]"""

TEMPLATE = """def sweep(start, stop, moving_begin, last_begin, parameters, lengths, w, x, moving, last, directions):
    per_pi = 1.0 / math.pi
    work = np.empty(({rows}, {sequences}))
    lanes, width, far = directions.shape[3], np.uint64(stop - start), np.uint64(start)
    chunk, lane = start // lanes, np.uint64(start % lanes)
    end = np.uint64(lanes) if stop == x.shape[0] else lane + width
{parameters}
{moving}
{last}
    for t in range(directions.shape[1]):
        at = np.uint64(moving_begin + t)
        for n in range(x.shape[2]):
            for j in range(width):
                size = lengths[at, far + j]
                directions[chunk, t, n, lane + j] = x[far + j, at, n] / (size if size > 0.0 else 1.0)
            for j in range(lane + width, end):
                directions[chunk, t, n, j] = directions[chunk, t, n, lane + width - np.uint64(1)]
"""
"""Lanes after the last sequence are as it is."""
