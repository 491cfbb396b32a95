"""The moments within each sequence as one compiled loop over its steps, by the lines of the sweep across sequences.

A sequence is paired with itself: no distance lies between its inputs, and every moment is that within it. What sweeps
and array code read of single sequences is then there before them, and is not worked out step by step in Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from wideproof.derive.emit.kernel_stepper import Equations, Key, Pair, Stepper
from wideproof.derive.emit.sweeps.compiled_text import RANGE, compiled, out_of_range
from wideproof.derive.emit.sweeps.contributions import SEQUENCES, SIDE, Alone, Host
from wideproof.derive.emit.sweeps.step_text import (
    BEFORE,
    StepWriter,
    alone_lines,
    indented,
    no_text,
    number_of,
    step_lines,
    tabled_factors,
    with_text,
)
from wideproof.derive.expectation.pair_integrals import Factor
from wideproof.derive.expectation.swept_means import FIRST, FLOOR, HIGH, LOW, ORDERS, SOFTENING, ZERO, squares
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.expectation.tables.compiled_sweep import in_parts
from wideproof.derive.expectation.tables.pair_tables import LEAST

ONE = 1e-12
"""By what part variances and their covariance may differ by rounding where the two variables are one."""


@dataclass
class WithinWriter(StepWriter):
    """The lines of one step of a sequence with itself, where E[phi^2] of smooth functions is a series."""

    factors: list[tuple[Factor, sp.Expr]] = field(default_factory=list)
    """Functions, and the means of their variables."""

    def tabled(self, mean: GaussianMean, gapped: bool) -> None:
        """Write E[phi^2] by its series; not a number where the two variables are not one, or it has no digits."""
        first, second = zip(tabled_factors(mean), mean.args[1], strict=True)
        if first != second:
            raise no_text("the square of one function", mean)
        if first not in self.factors:
            self.factors.append(first)
        own, across, other = map(self.new, mean.args[2])
        self.count += 1
        found, n = f"v{self.count}", self.factors.index(first)
        self.lines += SERIES.format(v=found, n=n, a=own, b=other, c=across).splitlines()
        self.known[mean] = letter = sp.Symbol(found, real=True)
        if gapped:
            self.gaps(mean, [sp.Float(0.0), 2 * letter])


def know(stepper: Stepper, side: int, pairs: list[Pair], found: Host) -> bool:
    """Give moments within the sequences of a side to a stepper, where no number leaves the range of loops.

    Returns whether none does.  Shapes: found (pairs, T + 1, N), from the time before the first on.
    """
    if out_of_range(found):
        return False
    stepper.within |= {(SIDE[side], pair): found[n].T for n, pair in enumerate(pairs)}
    return True


class WithinSweep:
    """The loop of a recurrence whose moments read each other at equal times.  Errors: NotClosed without a text."""

    def __init__(self, equations: Equations) -> None:
        across, pairs = equations.across, equations.pairs_within
        if not equations.equal_times or not pairs or not {*pairs} <= {*across}:
            raise no_text("moments at equal times, also across sequences", pairs)
        writer = WithinWriter(equations, True)
        self.lines, self.equations, self.factors = step_lines(writer), equations, tuple(writer.factors)
        self.pairs = pairs
        self.read = read = self.lines.reads(BEFORE)
        self.rests = equations.rests(read)
        numbers = {pair: 3 if pair in equations.carried else 1 for pair in across}
        self.kept = [(n, i) for n, pair in enumerate(across) if pair in read for i in range(numbers[pair])]
        self.text = self._text()

    def _text(self) -> str:
        lines, kept = self.lines, list(enumerate(self.kept))
        (rows, columns), places = lines.alone, [self.equations.across.index(pair) for pair in self.pairs]
        count, letters = len(self.kept), lines.within.items()
        size, beyond = 2 * count, 2 * count + 1
        first, moments = beyond + 1, beyond + 1 + len(letters)
        body = [
            *(f"{x} = work[{first + n}, j]" for n, (x, _) in enumerate(letters)),
            *alone_lines(rows, self.equations, "r{}"),
            *alone_lines(columns, self.equations, "c{}"),
            *(f"old{n}_{i} = work[{place}, j]" for place, (n, i) in kept),
            *lines.text,
            *(f"work[{count + place}, j] = new{n}_{i}" for place, (n, i) in kept),
            *(f"work[{moments + k}, j] = new{n}_0" for k, n in enumerate(places)),
        ]
        read = [f"w[{self.pairs.index(key.pair)}, t + {1 + key.times[0]}, far + j]" for _, key in letters]
        return TEMPLATE.format(
            states=count, size=size, beyond=beyond, moments=moments, pairs=len(self.pairs),
            rows=moments + len(self.pairs), outside=OUTSIDE.format(x=f"work[{size}, j]"),
            away=" + ".join(OUTSIDE.format(x=f"abs(work[{moments + k}, j])") for k in range(len(places))),
            sequences=SEQUENCES, passes=len(self.pairs) if any(max(key.times) >= 0 for _, key in letters) else 1,
            parameters=indented([f"p{n} = parameters[{n}]" for n in range(len(self.equations.symbols))], 1),
            read=indented([line for n, x in enumerate(read)
                           for line in ("for j in range(width):", f"    work[{first + n}, j] = {x}")], 3),
            body=indented(body, 4),
        )  # fmt: skip

    def know(self, stepper: Stepper, side: int) -> None:
        """Work out the lengths of inputs and the moments within the sequences of a side, where all are in range."""
        alone = self.begin(stepper, side)
        if alone is None or alone.work is None:
            return
        work, count = alone.work, alone.lengths.shape[1]
        if not any(in_parts(lambda i: work(i, min(i + SEQUENCES, count)), range(0, count, SEQUENCES))):
            alone.tell(stepper, side)

    def begin(self, stepper: Stepper, side: int) -> Alone | None:
        """Lay them out, None where they are known, or parameters or starts are out of range."""
        if side in stepper.lengths or out_of_range(stepper.numbers):
            return None
        x = np.require(stepper.inputs.sequences(side), requirements=("C", "W"))
        count, steps = x.shape[:2]
        sizes, begun = np.empty((steps, count)), np.zeros((len(self.kept), count))
        found = np.zeros((len(self.pairs), steps + 1, count))
        if not self.rests:
            for place, (n, i) in enumerate(self.kept):
                begun[place] = (1.0, 0.0, 2.0)[i] * self._start(stepper, side, self.equations.across[n])
            for n, pair in enumerate(self.pairs):
                if pair in self.read:
                    found[n, 0] = self._start(stepper, side, pair)
            if out_of_range(found[:, 0]):
                return None
        arguments = stepper.numbers, squares(self._factors_at(stepper)), x, sizes, begun, found
        function = compiled(self.text)
        return Alone(sizes, found, lambda start, stop: function(start, stop, *arguments))

    def _factors_at(self, stepper: Stepper) -> tuple[tuple[Factor, float], ...]:
        return tuple((factor, number_of(mean, stepper)) for factor, mean in self.factors)

    def _start(self, stepper: Stepper, side: int, pair: Pair) -> Host:
        return np.ravel(stepper.value(Key(SIDE[side], pair, (-1, -1))))


SERIES = f"""place = 0
if {{a}} > {4.0**LEAST!r}:
    place = int(math.ceil(0.5 * math.log2({{a}}))) - {LEAST}
{{v}} = math.nan
if {{a}} == 0.0 and {{b}} == 0.0:
    {{v}} = squares[{{n}}, 0, {ZERO}]
elif 0 <= place < squares.shape[1] and abs({{a}} - {{c}}) + abs({{b}} - {{c}}) <= {ONE!r} * {{a}}:
    series = squares[{{n}}, place]
    low, high = series[{LOW}], series[{HIGH}]
    twice = 2.0 * (2.0 * math.log(series[{SOFTENING}] + {{a}}) - low - high) / (high - low)
    one = two = 0.0
    for order in range({FIRST} + int(series[{ORDERS}]) - 1, {FIRST}, -1):
        one, two = series[order] + twice * one - two, one
    {{v}} = series[{FIRST}] + 0.5 * twice * one - two
    if not {{v}} >= series[{FLOOR}]:
        {{v}} = math.nan"""

OUTSIDE = (
    f"(0.0 if {{x}} < {RANGE!r} else 1.0) + (1.0 if {{x}} <= {1.0 / RANGE!r} else 0.0) - (1.0 if {{x}} == 0.0 else 0.0)"
)
"""One where a size is outside the range of loops, or no number; zero where it is zero."""

TEMPLATE = """def sweep(start, stop, parameters, squares, x, sizes, begun, w):
    per_pi = 1.0 / math.pi
    work = np.empty(({rows}, {sequences}))
    width, far = np.uint64(stop - start), np.uint64(start)
{parameters}
    for n in range({states}):
        for j in range(width):
            work[n, j] = begun[n, far + j]
    for j in range(width):
        work[{beyond}, j] = 0.0
    for t in range(sizes.shape[0]):
        for j in range(width):
            work[{size}, j] = 0.0
        for n in range(x.shape[2]):
            for j in range(width):
                work[{size}, j] += x[far + j, t, n] * x[far + j, t, n]
        for j in range(width):
            work[{beyond}, j] += {outside}
            work[{size}, j] = math.sqrt(work[{size}, j])
        for j in range(width):
            sizes[t, far + j] = work[{size}, j]
        for again in range({passes}):
{read}
            for j in range(width):
                size = work[{size}, j]
                apart, summed = 0.0, 4.0 if size > 0.0 else 0.0
{body}
            for n in range({pairs}):
                for j in range(width):
                    w[n, t + 1, far + j] = work[{moments} + n, j]
        for j in range(width):
            work[{beyond}, j] += {away}
        for n in range({states}):
            for j in range(width):
                work[n, j] = work[{states} + n, j]
    found = 0.0
    for j in range(width):
        found += work[{beyond}, j]
    return found
"""
"""A step is done again where it reads moments of its own that come of it: each time one more of them is right."""


def within_of(equations: Equations) -> WithinSweep | None:
    """The loop of a recurrence, or None where it has no text or Numba is not installed."""
    return with_text(WithinSweep, equations)
