"""The moments within each sequence as one compiled loop over its steps, by the lines of the sweep across sequences.

A sequence is paired with itself: no distance lies between its inputs, and every moment is that within it. What sweeps
and array code read of single sequences is then there before them, and is not worked out step by step in Python.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from wideproof.derive.emit.kernel_stepper import Equations, Key, Pair, Stepper
from wideproof.derive.emit.sweeps.compiled_text import compiled, out_of_range
from wideproof.derive.emit.sweeps.fused_sweep import SIDE, Host
from wideproof.derive.emit.sweeps.step_text import BEFORE, LoopCode, Writer, indented, no_text, step_lines, with_text
from wideproof.derive.expectation.tables.compiled_sweep import in_parts

SEQUENCES = 32
"""Sequences a thread takes at a time."""


class AloneCode(LoopCode):
    """Scalar code of what one sequence contributes alone."""

    def _print_atan(self, expr: sp.Expr) -> str:
        return f"math.atan({self._print(expr.args[0])})"


def scalar(expr: sp.Expr, equations: Equations) -> str:
    """An expression of parameters and of what belongs to one sequence, as scalar code."""
    own = {x: sp.Symbol(f"p{n}") for n, x in enumerate(equations.symbols)}
    return str(AloneCode({"fully_qualified_modules": True}).doprint(expr.xreplace(own)))


def know(stepper: Stepper, side: int, pairs: list[Pair], found: Host) -> None:
    """Put moments within the sequences of a side, at equal times, among those of a stepper.

    Shapes: found (N, T + 1, pairs), from the time before the first on.
    """
    for n, pair in enumerate(pairs):
        for time in range(found.shape[1] - 1):
            value = found[:, time + 1, n]
            stepper.values[Key(SIDE[side], pair, (time, time))] = value[:, None] if side == 0 else value[None, :]


class WithinSweep:
    """The loop of a recurrence whose moments read each other at equal times.  Errors: NotClosed without a text."""

    def __init__(self, equations: Equations) -> None:
        across, pairs = equations.across, {pair for _, pair in equations.within}
        if not equations.equal_times or not pairs or not pairs <= {*across}:
            raise no_text("moments at equal times, also across sequences", pairs)
        self.lines, self.equations = step_lines(Writer(equations, True)), equations
        self.pairs = [pair for pair in across if pair in pairs]
        read = self.lines.reads(BEFORE)
        numbers = {pair: 3 if pair in equations.carried else 1 for pair in across}
        self.kept = [(n, i) for n, pair in enumerate(across) if pair in read for i in range(numbers[pair])]
        self.text = self._text()

    def _text(self) -> str:
        lines, kept = self.lines, list(enumerate(self.kept))
        (rows, columns), places = lines.alone, [self.equations.across.index(pair) for pair in self.pairs]
        same = any(max(key.times) >= 0 for key in lines.within.values())
        letters = [
            f"{x} = w[i, t + {1 + key.times[0]}, {self.pairs.index(key.pair)}]" for x, key in lines.within.items()
        ]
        body = [
            *letters,
            *(f"r{n} = {scalar(x, self.equations)}" for n, x in enumerate(rows)),
            *(f"c{n} = {scalar(x, self.equations)}" for n, x in enumerate(columns)),
            *(f"old{n}_{i} = state[{place}]" for place, (n, i) in kept),
            *lines.text,
            *(f"w[i, t + 1, {k}] = new{n}_0" for k, n in enumerate(places)),
        ]
        return TEMPLATE.format(
            states=len(kept), passes=len(self.pairs) if same else 1,
            parameters=indented([f"p{n} = parameters[{n}]" for n in range(len(self.equations.symbols))], 1),
            body=indented(body, 4),
            stores=indented([f"state[{place}] = new{n}_{i}" for place, (n, i) in kept], 3),
        )  # fmt: skip

    def know(self, stepper: Stepper, side: int) -> None:
        """Work out the moments within the sequences of a side; none where numbers leave the range of the loop."""
        sizes, parameters = stepper.inputs.directions(side).sizes, np.array(stepper.parameters, dtype=np.float64)
        if out_of_range(parameters) or out_of_range(sizes**2):
            return
        begun, found = (
            np.empty((len(sizes), len(self.kept))),
            np.zeros((len(sizes), sizes.shape[1] + 1, len(self.pairs))),
        )
        for place, (n, i) in enumerate(self.kept):
            begun[:, place] = (1.0, 0.0, 2.0)[i] * self._start(stepper, side, self.equations.across[n])
        for n, pair in enumerate(self.pairs):
            if pair in self.lines.reads(BEFORE):
                found[:, 0, n] = self._start(stepper, side, pair)
        function, sizes = compiled(self.text), np.ascontiguousarray(sizes)
        in_parts(
            lambda i: function(i, min(i + SEQUENCES, len(sizes)), parameters, sizes, begun, found),
            range(0, len(sizes), SEQUENCES),
        )
        if np.all(np.isfinite(found)) and not out_of_range(found):
            know(stepper, side, self.pairs, found)

    def _start(self, stepper: Stepper, side: int, pair: Pair) -> Host:
        return np.ravel(stepper.value(Key(SIDE[side], pair, (-1, -1))))


TEMPLATE = """def sweep(start, stop, parameters, sizes, begun, w):
    per_pi = 1.0 / math.pi
    state = np.empty({states})
{parameters}
    for i in range(start, stop):
        state[:] = begun[i]
        for t in range(sizes.shape[1]):
            row_size = column_size = sizes[i, t]
            apart = 0.0
            summed = 4.0 if row_size > 0.0 else 0.0
            for again in range({passes}):
{body}
{stores}
"""
"""A step is done again where it reads moments of its own that come of it: each time one more of them is right."""


def within_of(equations: Equations) -> WithinSweep | None:
    """The loop of a recurrence, or None where it has no text or Numba is not installed."""
    return with_text(WithinSweep, equations)
