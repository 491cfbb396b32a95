"""A kernel recursion after the last step as one compiled sweep: pair by pair over all steps, nothing stored between.

The text is printed from the derived equations that `kernel_stepper` compiles as array code, which stays the reference
and takes over where an equation has no such text: functions that have neither an algebraic row in the
table of dual activations nor tables (with a mean that is not zero, those with a kink), moments at unequal lags, numbers
near the ends of the range of doubles, variances beyond tables. What either sequence contributes alone is worked out
before by a loop of its own, `contributions`; so are the tables of smooth functions (`derive.expectation.swept_means`),
whose sums are loops of their own between those of an equation. Threads take rows of pairs: the bits do not depend on
how many.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.emit.kernel_stepper import ACROSS, Equations, Key, Stepper
from wideproof.derive.emit.sweeps.compiled_text import compiled, out_of_range
from wideproof.derive.emit.sweeps.contributions import LANES, Begin, Contributions, Side
from wideproof.derive.emit.sweeps.step_text import (
    BEFORE,
    NOW,
    LaneSum,
    Lines,
    TabledWriter,
    indented,
    no_text,
    output_lines,
    step_lines,
    with_text,
)
from wideproof.derive.expectation.swept_means import NONE, OWN, Loaded, loaded
from wideproof.derive.expectation.tables.compiled_sweep import ROWS, in_parts
from wideproof.derive.expectation.tables.lane_vectors import LANES as VECTOR, of_lanes
from wideproof.derive.expectation.tables.table_loops import WORK, contracted, room, summed

Host = NDArray[np.float64]
LEAST_WORK = 2**21
"""Pairs of sequences times steps times moments of a step from which a sweep pays: it takes seconds to compile, once."""
TOGETHER = 4
"""Rows whose cores are contracted together."""
COPIES, RANK = 2, 20
"""How often what a sequence contributes to a table is held at once, and the largest rank that is common."""


def states(equations: Equations, step: Lines, end: Lines) -> list[tuple[int, int]]:
    """What is kept from step to step: moments across sequences by their place, and which number of each."""
    return [
        (n, i)
        for n, pair in enumerate(equations.across)
        if pair in step.reads(BEFORE) | end.reads(NOW)
        for i in range(3 if pair in equations.carried else 1)
    ]


PRODUCTS = """for j in range(np.uint64(0), width, np.uint64({lanes})):
    {zeros}
    for n in range(x.shape[2]):
        one, there = spread(x[{row}]), lanes({column})
        {sums}
    {stores}"""
DISTANCES = [f"gram{n} = gram{n} + (one {sign} there) * (one {sign} there)" for n, sign in enumerate("-+")]
"""Lines that sum the squared distances of two directions, as they are and one of them turned."""
LETTER = re.compile(r"\b(?:v\d+|(?:new|old|above|left)\d+_\d+|c\d+|apart|summed|inner)\b")
"""Letters of a lane."""


def products(row: str, column: str, lanes: int, *parts: Lines) -> tuple[list[str], dict[str, str]]:
    """Lines that sum the products of two directions, distances where they are read, and where they are then.

    They are of x[row], n among its places, and of what is found at `column`, where so many lanes are a vector.
    """
    sums, read = ["gram0 = gram0 + one * there"], {"inner": "grams[0, j]"}
    if {"apart", "summed"} & {x for part in parts for x in LETTER.findall("\n".join(part.text))}:
        inner = "0.25 * (grams[1, j] - grams[0, j])"
        sums, read = DISTANCES, {"apart": "grams[0, j]", "summed": "grams[1, j]", "inner": inner}
    text = PRODUCTS.format(
        row=row, column=column, lanes=lanes, sums="\n        ".join(sums),
        zeros=" = ".join(f"gram{n}" for n in range(len(sums))) + " = spread(0.0)",
        stores="\n    ".join(f"keep(grams, ({n}, j), gram{n})" for n in range(len(sums))),
    )  # fmt: skip
    return of_lanes(text, lanes).splitlines(), read


def first_row(*parts: Lines) -> int:
    """The row of `work` after those of the expectations of some lines."""
    return WORK + max((1 + max(x.value, x.slope or 0) for part in parts for x in part.slots), default=0)


def loops(
    lines: Lines, loads: dict[str, str], first: int, lanes: int = VECTOR, diagonal: str | None = None, many: int = 1
) -> tuple[list[str], int]:
    """Loops over the lanes between the sums of tables, and the rows of `work` up to theirs, from `first` on.

    So many lanes are a vector, `diagonal` is the lane of the row itself, and so many rows are contracted together.
    """
    parts = _parts(lines)
    made = [{x.partition("=")[0].strip() for x in part} for part, _ in parts]
    read = [{*LETTER.findall("\n".join(x.partition("=")[2] for x in part))} - own
            for (part, _), own in zip(parts, made, strict=True)]  # fmt: skip
    asked = {table.covariance for _, table in parts if table is not None}.union(*read)
    places = {x: n for n, x in enumerate(sorted(set().union(*made) & asked), first)}
    text: list[str] = []
    for (part, table), own, wanted in zip(parts, made, read, strict=True):
        body = [f"{x} = {loads[x] if x in loads else f'work[{places[x]}, j]'}" for x in sorted(wanted)]
        body += [*part, *(f"work[{places[x]}, j] = {x}" for x in sorted(own) if x in places)]
        text += ["for j in range(width):", *("    " + line for line in body)]
        if table is not None:
            text += summed(table.slot, lines.slots[table.slot], str(places[table.covariance]), lanes, diagonal, many)
    return text, first + len(places)


def _parts(lines: Lines) -> list[tuple[list[str], LaneSum | None]]:
    """The lines before each sum of a table, with that sum, and the lines after the last one."""
    parts: list[tuple[list[str], LaneSum | None]] = []
    begun: list[str] = []
    for line in lines.lines:
        if isinstance(line, LaneSum):
            parts.append((begun, line))
            begun = []
        else:
            begun.append(line)
    return [*parts, (begun, None)]


def source(equations: Equations, step: Lines, end: Lines, alone: Contributions) -> str:
    """The text of the sweep over rows start to stop of a block of pairs."""
    kept, tabled = list(enumerate(states(equations, step, end))), bool(step.slots or end.slots)
    here = "far" if tabled else "skip"
    olds = {f"old{n}_{i}": f"states[i - start, {place}, {here} + j]" for place, (n, i) in kept}
    news = {f"new{n}_{i}": f"states[i - start, {place}, {here} + j]" for place, (n, i) in kept}
    sums, grams = products("block, step, n, lane", "y, (chunk, step, n, skip + j)", VECTOR, step, end)
    stores: list[str | LaneSum] = [f"states[i - start, {place}, {here} + j] = new{n}_{i}" for place, (n, i) in kept]

    first = first_row(step, end)
    moving, held = loops(
        step._replace(lines=[*step.lines, *stores]),
        olds | grams | columns(alone, 0, "of_columns[chunk, step, {}, skip + j]"), first,
        diagonal=DIAGONAL, many=TOGETHER,
    )  # fmt: skip
    ending = news | columns(alone, 1, "last_columns[chunk, 0, {}, skip + j]")
    last, ended = loops(end, ending, first, diagonal=DIAGONAL, many=TOGETHER)
    parts = [(name, at) for part, name, at in ((step, "step", "step"), (end, "last", "0")) if part.slots]
    rooms, terms = [x for name, _ in parts for x in room(name, "1")], []
    for name, at in parts:
        lines = contracted(name, at, "0", TOGETHER)
        terms += lines if at == "step" else ["if step == latest:", *("    " + x for x in lines)]
    return TEMPLATE.format(
        **(BY_STEPS if tabled else BY_CHUNKS), here=here,
        states=len(kept), lanes=LANES, vector=VECTOR, work=max(held, ended),
        parameters=indented([f"p{n} = parameters[{n}]" for n in range(len(equations.symbols))], 1),
        grams=indented(sums, 4), room=indented(rooms, 1), terms=indented(terms, 2),
        rows=indented(rows(alone, 0, "of_rows[block, step, {}, lane]"), 4),
        last_rows=indented(rows(alone, 1, "last_rows[block, 0, {}, lane]"), 5),
        step=indented(at_step(moving, "step", ("step", "step", "0")), 4),
        last=indented(at_step(last, "last", ("0", "0", "0")), 5),
    )  # fmt: skip


def rows(alone: Contributions, part: int, where: str) -> list[str]:
    """Lines that read what a row contributes alone."""
    return [f"r{n} = {x}" for n, x in enumerate(alone.parts[part].read(0, where))]


def columns(alone: Contributions, part: int, where: str) -> dict[str, str]:
    """Where it is read what a column contributes alone."""
    return {f"c{n}": x for n, x in enumerate(alone.parts[part].read(1, where))}


def at_step(lines: list[str], prefix: str, places: tuple[str, str, str]) -> list[str]:
    """Lines that say where the tables of a step of either side are, and what is kept of a row.

    Whole arrays are indexed: of a part of one Numba counts the references in every loop.
    """
    row, column, kept = places
    found = {
        "row_table[": f"{prefix}_rows[i, {row}, ",
        "column_table[": f"{prefix}_columns[chunk, {column}, ",
        "column_table, (": f"{prefix}_columns, (chunk, {column}, ",
        "row_terms, (": f"{prefix}_terms, ({kept}, i - start, ",
        "terms_of, (": f"{prefix}_terms, ({kept}, ",
        "table_of, (": f"{prefix}_rows, (",
        "at_row": row,
        "all_deep[": f"{prefix}_deep[{kept}, ",
        "all_cores, (": f"{prefix}_cores, (",
        "all_shapes[": f"{prefix}_shapes[{row}, ",
        "all_layers[": f"{prefix}_layers[{row}, ",
        "table_width": f"{prefix}_width",
    }
    return [functools.reduce(lambda x, name: x.replace(name, found[name]), found, line) for line in lines]


DIAGONAL = "i - place - begin if half and 0 <= i - place - begin < end - begin else -1"
"""The lane of the row itself."""
STEPS, CHUNKS = "step in range(of_columns.shape[1])", "chunk in range(least_chunk, of_columns.shape[0])"
BY_CHUNKS = {"outer": CHUNKS, "inner": STEPS, "held": "1"}
"""Chunk by chunk, the moments of one are kept in the first cache."""
BY_STEPS = {"outer": STEPS, "inner": CHUNKS, "held": "of_columns.shape[0]"}
"""Step by step, what a row makes of the cores of a step serves all chunks, and these the rows."""
TEMPLATE = """def sweep(
    start, stop, half, parameters, of_rows, of_columns, x, y, init, last_rows, last_columns,
    step_tables, last_tables, out,
):
    per_pi, nothing, latest = 1.0 / math.pi, 0.0, of_columns.shape[1] - 1
    least_chunk = start // {lanes} if half else 0
    states = np.empty((stop - start, {states}, {held} * {lanes}))
    grams, ended, work = np.empty((2, {lanes})), np.empty({lanes}), np.empty(({work}, {lanes}))
{parameters}
{room}
    for {outer}:
{terms}
        for {inner}:
            place = chunk * {lanes}
            end = min({lanes}, -(-(out.shape[1] - place) // {vector}) * {vector})
            for i in range(start, stop):
                begin = max(0, i - place) // {vector} * {vector} if half else 0
                if begin >= end:
                    continue
                width, skip, far = np.uint64(end - begin), np.uint64(begin), np.uint64(place + begin)
                block, lane = np.uint64(i) // np.uint64({lanes}), np.uint64(i) % np.uint64({lanes})
                if step == 0:
                    begun = i if init.shape[1] > 1 else 0
                    for n in range({states}):
                        for j in range(width):
                            states[i - start, n, {here} + j] = init[n, begun, 0]
                        if init.shape[2] > 1:
                            for j in range(width):
                                states[i - start, n, {here} + j] = init[n, begun, far + j]
{grams}
{rows}
{step}
                if step == latest:
{last_rows}
{last}
                    for j in range(max(begin, i - place) if half else 0, min({lanes}, out.shape[1] - place)):
                        out[i, place + j] = ended[j - begin]
                        nothing += 0.0 * ended[j - begin]
    if half:
        for j in range(start, out.shape[1]):
            for i in range(start, min(stop, j)):
                out[j, i] = out[i, j]
    return nothing
"""
"""It returns zero, or no number where one of the kernel is none, or infinite."""


class FusedSweep:
    """The kernel of a recurrence after the last step, for two batches of sequences, by its compiled sweep.

    Errors: NotClosed where the recurrence has no such text.
    """

    def __init__(self, equations: Equations, equal: bool, shared: bool = True) -> None:
        if not equations.equal_times:
            raise no_text("moments at equal lags", "others")
        self.equations, self.equal = equations, equal
        self.step, self.end = (
            lines(TabledWriter(equations, equal, shared=shared)) for lines in (step_lines, output_lines)
        )
        self.alone = Contributions(equations, self.step, self.end)
        self.text = source(equations, self.step, self.end, self.alone)
        begun = self.step.reads(BEFORE)
        self.starts = [(equations.across[n] if equations.across[n] in begun else None, i)
                       for n, i in states(equations, self.step, self.end)]  # fmt: skip
        self.rests = equations.rests(pair for pair, _ in self.starts if pair is not None)

    @property
    def held(self) -> int:
        """About how many numbers the tables of smooth functions hold of a sequence and step."""
        return COPIES * (OWN + RANK) * len(self.step.slots)

    @functools.cached_property
    def function(self) -> Callable[..., Any]:
        """The compiled loop."""
        return compiled(self.text)

    @functools.cached_property
    def apart(self) -> FusedSweep | None:
        """The sweep with a table for each expectation, where some serve two here."""
        joint = any(slot.slope is not None for part in (self.step, self.end) for slot in part.slots)
        return FusedSweep(self.equations, self.equal, False) if joint else None

    def values(self, stepper: Stepper, sizes: tuple[int, int], half: bool, within: Begin | None = None) -> Host | None:
        """The kernel (N1, N2), or None for numbers out of range; a symmetric one is that to the last bit.

        `within` lays out the loop of the moments within sequences, which are those of array code otherwise.
        """
        steps = min(sizes)
        begin = [size - steps for size in sizes]
        spans = [[range(size - steps, size), range(size - 1, size)] for size in sizes]
        sides = within and self.alone.sides(stepper, spans, half, LANES, within)
        if sides is None and in_range(stepper, half):
            sides = self.alone.sides(stepper, spans, half, LANES)
        if sides is None:
            return None
        one, other = sides
        tables = [self._tables(stepper, n, one, other, half) for n in (0, 1)]
        if tables[0] is None or tables[1] is None:
            return None if self.apart is None else self.apart.values(stepper, sizes, half)
        first, second = one.number, other.number
        out, filled = np.empty((first, second)), (first, -(-second // LANES) * LANES)
        arguments = (
            half, stepper.numbers, one.moving, other.moving, one.directions,
            other.directions, self._begun(stepper, begin, filled), one.last, other.last, *tables, out,
        )  # fmt: skip
        nothing = in_parts(lambda i: self.function(i, min(i + ROWS, first), *arguments), range(0, first, ROWS))
        return out if sum(nothing) == 0.0 else None

    def _tables(self, stepper: Stepper, n: int, one: Side, other: Side, half: bool) -> tuple[Any, ...] | None:
        """What the loops read of the tables of a part, or None where there are none for these variances."""
        slots = (self.step, self.end)[n].slots_at(stepper)
        if not slots:
            return tuple(NOTHING)
        found = loaded(slots, self.alone.variances(n, slots, one, other), LANES)
        return None if found is None else tuple(found)

    def _begun(self, stepper: Stepper, begin: list[int], shape: tuple[int, ...]) -> Host:
        """The moments across sequences before the first step.  Shapes: (S, 1, 1) for numbers, else (S, *shape)."""
        if self.rests:
            return np.zeros((len(self.starts), 1, 1))
        found = []
        for pair, i in self.starts:
            if pair is None:  # nothing says how it starts
                found.append(np.asarray(0.0))
                continue
            key = Key(ACROSS, pair, (begin[0] - 1, begin[1] - 1))
            value = stepper.value(key)
            found.append(np.asarray(stepper.gaps[key][i - 1] if i else value, dtype=np.float64))
        if all(x.ndim == 0 for x in found):
            return np.array(found)[:, None, None]
        begun = np.zeros((len(found), *shape))
        for place, x in zip(begun, found, strict=True):
            columns = x.shape[1] if x.ndim == 2 and x.shape[1] > 1 else shape[1]
            place[:, :columns] = x
        return begun


NOTHING = Loaded(NONE, NONE, NONE, np.empty((0, 0, 0), np.int64), np.empty((0, 0, 0)))
"""The tables of a part that has none."""


def in_range(stepper: Stepper, half: bool) -> bool:
    """Whether parameters and the squares of the lengths of inputs are numbers that the loop may take."""
    unknown = [stepper.inputs.lengths(side) for side in ((0,) if half else (0, 1)) if side not in stepper.lengths]
    every = [stepper.numbers, *(x**2 for x in unknown)]
    return not any(map(out_of_range, every))


def sweep_of(equations: Equations, equal: bool) -> FusedSweep | None:
    """The sweep of a recurrence at equal or other times, or None where it has no text or Numba is not installed."""
    return with_text(FusedSweep, equations, equal)
