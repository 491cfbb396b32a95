"""What either sequence contributes alone to a sweep, and the directions of its inputs, as one compiled loop.

All is laid out in lanes, a chunk of sequences together, where columns are vectors and rows are found too. Threads take
chunks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from wideproof.derive.emit.kernel_stepper import WITHIN_FIRST, WITHIN_SECOND, Equations, Index, Pair, Stepper
from wideproof.derive.emit.sweeps.compiled_text import compiled, out_of_range
from wideproof.derive.emit.sweeps.step_text import SIZE, SIZES, Lines, alone_lines, indented
from wideproof.derive.expectation.tables.compiled_sweep import in_parts
from wideproof.derive.expectation.tables.lane_vectors import aligned

Host = NDArray[np.float64]
LANES = 64
"""Columns swept together: the numbers of one step stay in the first cache. Of a chunk on the diagonal, or at the end,
those lanes are swept that matter, a whole number of vectors. Lanes are counted without sign: a place that might be
negative keeps a loop from being one over vectors."""
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


class Contributions:
    """The loop for the steps of a sweep, and for its end."""

    def __init__(self, equations: Equations, step: Lines, end: Lines) -> None:
        self.parts = [Part.of(step), Part.of(end)]
        most = max(1 + len(part.moments) for part in self.parts)
        self.text = TEMPLATE.format(
            directions=len(self.parts), lanes=LANES, rows=most + max(len(part.exprs) for part in self.parts),
            parameters=indented([f"p{n} = parameters[{n}]" for n in range(len(equations.symbols))], 1),
            kinds=indented([x for n, part in enumerate(self.parts) for x in _kind(equations, n, part, most)], 2),
        )  # fmt: skip

    @functools.cached_property
    def function(self) -> Callable[..., None]:
        """The compiled loop."""
        return compiled(self.text)

    def sides(self, stepper: Stepper, spans: list[list[range]], half: bool, lanes: int) -> list[Side] | None:
        """What either side contributes in each part, over a span of times of its own, None out of range.

        The sides of a symmetric block are one.
        """
        work: list[tuple[Any, ...]] = []
        found: list[Side] = []
        for side in (0,) if half else (0, 1):
            read: list[Host] = []
            for part, span in zip(self.parts, spans[side], strict=True):
                numbers = self._read(stepper, part, side, span)
                if numbers is None:
                    return None
                read.append(numbers)
            x, (times, end) = np.require(stepper.inputs.sequences(side), requirements=("C", "W")), spans[side]
            chunks, kinds = -(-len(x) // lanes), [len(part.exprs) for part in self.parts]
            made = [
                aligned((chunks, len(span), count, lanes))
                for span, count in zip((times, end, times), (*kinds, x.shape[2]), strict=True)
            ]
            parameters = np.array(stepper.parameters, dtype=np.float64)
            work += [(kind, chunk, times.start, parameters, own, x, made[kind]) for chunk in range(chunks)
                     for kind, own in enumerate((*read, read[0])) if made[kind].size]  # fmt: skip
            found.append(Side(made[0], made[1], made[2], len(x)))
        in_parts(lambda i: self.function(*work[i]), range(len(work)))
        return [found[0], found[-1]]

    def _read(self, stepper: Stepper, part: Part, side: int, times: range) -> Host | None:
        """The lengths and the moments within the sequences of a side that a part reads, None out of range.

        Shapes: (1 + moments, times, N).
        """
        lengths = stepper.lengths[side] if side in stepper.lengths else stepper.inputs.lengths(side).T
        read = np.empty((1 + len(part.moments), len(times), lengths.shape[1]))
        read[0] = lengths[times.start : times.stop]
        for place, (pair, ago) in zip(read[1:], part.moments, strict=True):
            at = range(times.start + ago[0], times.stop + ago[0])
            place[:] = stepper.within_at(SIDE[side], pair, at, lengths.shape[1]).T
            if (SIDE[side], pair) not in stepper.within and out_of_range(place):
                return None
        return read

    def letters(self, side: int, n: int, found: Side) -> Host:
        """The letters of a side in a part, by sequences.  Shapes: (letters, steps, N)."""
        numbers = (found.moving, found.last)[n].transpose(2, 1, 0, 3)
        whole = numbers.reshape(*numbers.shape[:2], -1)[..., : found.number]
        return np.stack([-whole[k] if turned else whole[k] for k, turned in self.parts[n].places[side]])


def _kind(equations: Equations, kind: int, part: Part, most: int) -> list[str]:
    """The lines for what sequences contribute to a part."""
    if not part.exprs:
        return []
    read = [f"{x} = work[{n}, j]" for n, x in enumerate([SIZE, *part.moments.values()])]
    own = alone_lines(part.exprs, equations, f"work[{most} + {{}}, j]")
    return KIND.format(kind=kind, most=most, count=len(part.exprs), lines=indented([*read, *own], 2)).splitlines()


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


KIND = """if kind == {kind}:
    for j in range(width):
{lines}
    for n in range({count}):
        for j in range(width):
            out[chunk, t, n, j] = work[{most} + n, j]"""

TEMPLATE = """def sweep(kind, chunk, begin, parameters, read, x, out):
    per_pi = 1.0 / math.pi
    work = np.empty(({rows}, {lanes}))
    first = chunk * out.shape[3]
    width, far = np.uint64(min(out.shape[3], read.shape[2] - first)), np.uint64(first)
{parameters}
    for t in range(out.shape[1]):
        for n in range(read.shape[0]):
            for j in range(width):
                work[n, j] = read[n, t, far + j]
{kinds}
        if kind == {directions}:
            for n in range(x.shape[2]):
                for j in range(width):
                    size = work[0, j]
                    out[chunk, t, n, j] = x[far + j, begin + t, n] / (size if size > 0.0 else 1.0)
        for n in range(out.shape[2]):
            for j in range(width, np.uint64(out.shape[3])):
                out[chunk, t, n, j] = out[chunk, t, n, width - np.uint64(1)]
"""
"""Kinds are the parts, and the directions."""
