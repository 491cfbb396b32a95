"""A kernel recursion after the last step as one compiled sweep: pair by pair over all steps, nothing stored between.

The text is printed from the derived equations that `kernel_stepper` compiles as array code, which stays the reference
and takes over where an equation has no such text: means that are not zero, functions that have neither an algebraic row
in the table of dual activations nor tables, moments at unequal lags, numbers near the ends of the range of doubles,
variances beyond tables. What either sequence contributes alone is worked out before, as array code; so are the tables
of smooth functions (`derive.expectation.swept_means`), whose sums are loops of their own between those of an equation.
Threads take rows of pairs: the bits do not depend on how many.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import sympy as sp
from mpmath import mp
from numpy.typing import NDArray
from sympy.printing.pycode import PythonCodePrinter

from wideproof.derive.algebra.array_code import emitted
from wideproof.derive.calculus.moments import Gram, Moment
from wideproof.derive.emit.gap_coordinates import Above, Below, law_gaps, parts, sum_gaps
from wideproof.derive.emit.kernel_stepper import (
    ACROSS,
    WITHIN_FIRST,
    WITHIN_SECOND,
    Equations,
    Index,
    Key,
    Pair,
    Stepper,
    levels,
    placed,
    settled,
)
from wideproof.derive.expectation.dual_activations import ANGLE, D, a, b, c, dual, k, m
from wideproof.derive.expectation.gaps import ABOVE, BELOW, FAR, NEAR, NORM, ROOT, Gaps, closed_gaps
from wideproof.derive.expectation.pair_integrals import is_tabled
from wideproof.derive.expectation.swept_means import OWN, Loaded, Slot, loaded
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.expectation.tables.compiled_sweep import HOW, ROWS, in_parts
from wideproof.derive.expectation.tables.table_loops import contracted, summed
from wideproof.derive.language.errors import NotClosed

Host = NDArray[np.float64]
LANES, VECTOR = 64, 16
"""Columns swept together: the numbers of one step stay in the first cache. Of a chunk on the diagonal, or at the end,
those lanes are swept that matter, a whole number of vectors. Lanes are counted without sign: a place that might be
negative keeps a loop from being one over vectors."""
LEAST_WORK = 2**21
"""Pairs of sequences times steps times moments of a step from which a sweep pays: it takes seconds to compile, once."""
COPIES, RANK = 3, 16
"""How often what a sequence contributes to a table is held at once, and the largest rank that is common."""
RANGE = 1e100
"""Sizes beyond it and below its reciprocal are left to the array code, which knows of overflow and underflow."""
NOW, BEFORE = (0, 0), (-1, -1)
MIRRORED = 64
"""Rows whose upper half is mirrored at once: their blocks stay in the cache."""
TERMS = 23
"""Terms of the arc tangent on [0, 1], to rounding."""


PER_PI = sp.Symbol("per_pi", positive=True)
"""1 / pi, since a quotient takes ten times as long as a product."""


class Lines(NamedTuple):
    """A part of the loop: its lines, what it reads of a row and of a column alone, and the moments in these.

    `read` are the moments across sequences that it reads, by the steps of either sequence since.
    """

    lines: list[str | Table]
    alone: tuple[list[sp.Expr], list[sp.Expr]]
    within: dict[sp.Symbol, Key]
    read: dict[Index, set[Pair]]
    slots: list[Slot]

    @property
    def text(self) -> list[str]:
        """Its lines, where tables have no place between them."""
        return [x for x in self.lines if isinstance(x, str)]

    def reads(self, *steps: Index) -> set[Pair]:
        """The moments it reads of some steps."""
        return {pair for at in steps for pair in self.read.get(at, ())}


class Table(NamedTuple):
    """A place between lines where an expectation is summed over all lanes, at the covariances of a letter."""

    slot: int
    covariance: str


class LoopCode(PythonCodePrinter):
    """Scalar code without calls but for square roots; refuses other functions."""

    def _print_Pow(self, expr: sp.Expr, **settings: Any) -> str:
        base, power = self._print(expr.base), expr.exp
        if not (2 * power).is_Integer:
            return self._print_not_supported(expr)
        root, whole = (base, abs(power)) if power.is_Integer else (f"math.sqrt({base})", abs(2 * power))
        return f"({root})**{whole}" if power > 0 else f"(1.0/({root})**{whole})"

    def _print_Heaviside(self, expr: sp.Expr) -> str:
        return f"(1.0 if {self._print(expr.args[0])} >= 0.0 else 0.0)"

    def _print_not_supported(self, expr: Any) -> str:
        raise NotClosed("a sweep", "sums, products and roots", type(expr).__name__, "Array code takes over.")

    _print_Function = _print_not_supported


@dataclass
class Writer:
    """The lines of one step, in order, and what they read.

    `names` begin the letters of moments across sequences, by the steps of either sequence since.
    """

    names: ClassVar[dict[Index, str]] = {NOW: "new", BEFORE: "old"}

    equations: Equations
    equal: bool
    lines: list[str | Table] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    covariances: dict[sp.Expr, tuple[int, sp.Symbol]] = field(default_factory=dict)
    known: dict[sp.Expr, sp.Symbol] = field(default_factory=dict)
    within: dict[sp.Symbol, Key] = field(default_factory=dict)
    alone: tuple[dict[sp.Expr, sp.Symbol], dict[sp.Expr, sp.Symbol]] = field(default_factory=lambda: ({}, {}))
    laws: dict[sp.Expr, dict[sp.Expr, Any]] = field(default_factory=dict)
    reads: dict[Index, set[Pair]] = field(default_factory=dict)
    count: int = 0

    def new(self, expr: sp.Expr, atom: sp.Expr | None = None) -> sp.Symbol:
        """A letter for the value of an expression, whose line is written."""
        self.count += 1
        letter = sp.Symbol(f"v{self.count}", real=True)
        self.lines.append(f"{letter} = {self.printed(expr)}")
        if atom is not None:
            self.known[atom] = letter
        return letter

    def printed(self, expr: sp.Expr) -> str:
        """An expression as code, of what is known; arc tangents become lines before it."""
        expr = self.split(expr.xreplace(self.known))
        own = {x: sp.Symbol(f"p{n}") for n, x in enumerate(self.equations.symbols)}  # no name of a user's enters a text
        turned = {node: self.arctan(node.args[0]) for node in expr.atoms(sp.atan)}
        return LoopCode({"fully_qualified_modules": True}).doprint(expr.xreplace(turned | own | {1 / sp.pi: PER_PI}))

    def split(self, expr: sp.Expr) -> sp.Expr:
        """An expression with all that one of the two sequences alone determines as a letter."""
        if not expr.args or not expr.free_symbols:
            sides = self.sides(expr)
            return self.letter(expr, sides) if len(sides) == 1 else expr
        sides = self.sides(expr)
        if len(sides) == 1:
            return self.letter(expr, sides)
        if isinstance(expr, sp.Add | sp.Mul):
            groups: dict[frozenset[int], list[sp.Expr]] = {}
            for arg in expr.args:
                groups.setdefault(self.sides(arg), []).append(arg)
            ends = [frozenset({side}) for side in (0, 1)]
            whole = [self.letter(expr.func(*groups[end]), end) for end in ends if end in groups]
            rest = [self.split(arg) for key, args in groups.items() if key not in ends for arg in args]
            return expr.func(*whole, *rest)
        return expr.func(*map(self.split, expr.args))

    def sides(self, expr: sp.Expr) -> frozenset[int]:
        """Which sequences an expression reads: 0 and 1; a letter of the loop reads both; parameters none."""
        found: set[int] = set()
        for x in expr.free_symbols:
            if x in self.within:
                found.add(0 if self.within[x].side == WITHIN_FIRST else 1)
            elif str(x) in SIZES:
                found.add(SIZES.index(str(x)))
            elif x not in self.equations.symbols and x != PER_PI:
                return frozenset({0, 1, 2})
        return frozenset(found)

    def letter(self, expr: sp.Expr, sides: frozenset[int]) -> sp.Symbol:
        """The letter of what a row or a column determines."""
        (side,) = sides
        place = self.alone[side]
        return place.setdefault(expr, sp.Symbol(f"{'rc'[side]}{len(place)}", real=True))

    def arctan(self, x: sp.Expr) -> sp.Symbol:
        """The arc tangent of any number: of its size or one over that, whichever is smaller."""
        z = self.new(x)
        size, turned = self.raw(f"abs({z})"), None
        small = self.raw(f"{size} if {size} <= 1.0 else 1.0 / {size}")
        found = self.raw(self.polynomial(small))
        turned = self.raw(f"{found} if {size} <= 1.0 else {math.pi / 2!r} - {found}")
        return self.raw(f"{turned} if {z} >= 0.0 else -{turned}")

    def angle(self, gaps: Gaps) -> sp.Symbol:
        """Twice the arc tangent of the root of a quotient of gaps; a right angle where both vanish."""
        low, high = (self.new(x) for x in gaps)
        less = self.raw(f"{low} if {low} < {high} else {high}")
        more = self.raw(f"{high} if {low} < {high} else {low}")
        x = self.raw(f"math.sqrt({less} / ({more} if {more} > 0.0 else 1.0))")
        half = self.raw(self.polynomial(x))
        turned = self.raw(f"2.0 * {half} if {low} <= {high} else {math.pi!r} - 2.0 * {half}")
        return self.raw(f"{turned} if {more} > 0.0 else {math.pi / 2!r}")

    def polynomial(self, x: sp.Symbol) -> str:
        """The arc tangent of a number between zero and one."""
        y = self.raw(f"{x} * {x}")
        first, *rest = map(repr, arctan_terms())
        return f"{x} * " + functools.reduce(lambda text, term: f"({text} * {y} + {term})", rest, first)

    def raw(self, text: str) -> sp.Symbol:
        """A letter for a line of code."""
        self.count += 1
        self.lines.append(f"v{self.count} = {text}")
        return sp.Symbol(f"v{self.count}", real=True)

    def part(self, lines: list[str | Table]) -> Lines:
        """Some lines with what has been read until now."""
        return Lines(lines, (list(self.alone[0]), list(self.alone[1])), self.within, self.reads, self.slots)

    # ---- equations ------------------------------------------------------------------------------------------
    def equation(self, expr: sp.Expr, pair: Pair | None) -> list[sp.Symbol]:
        """Write the value of an equation, and its gaps where they are carried."""
        expr = settled(expr, (1, 1) if self.equal else (1, 2))
        gapped = pair in self.equations.carried
        whole = self.equal or not expr.has(sp.KroneckerDelta)
        own = parts(expr) if gapped and whole else None
        if gapped and own is None:
            self.untold(pair)
        wanted = [expr, *(sum_gaps(own) if own else ())]
        self.read(wanted)
        for level in levels(wanted):
            for mean in level:
                self.mean(mean, any(x.has(Below(mean)) for x in wanted))
        return [self.new(x) for x in wanted]

    def read(self, exprs: Iterable[sp.Expr]) -> None:
        """Letters for the moments and inner products that are read."""
        for atom in sorted(set().union(*(x.atoms(Moment, Gram) for x in exprs)), key=sp.default_sort_key):
            if atom in self.known:
                continue
            labels, times = (
                (atom.args[4:], atom.args[2:4]) if isinstance(atom, Moment) else (atom.args[2:], atom.args[:2])
            )
            side, at, turned = placed(labels, times)
            base = {WITHIN_FIRST: (0, 0), WITHIN_SECOND: (1, 1), ACROSS: (0, 1)}[side]
            steps = at[0].offset, at[1].offset
            if (at[0].base, at[1].base) != base or not (side == ACROSS or steps[0] == steps[1]):
                raise no_text("moments at equal lags", atom)
            if isinstance(atom, Gram):
                self.gram(atom, side, steps)
                continue
            pair = (atom.args[1], atom.args[0]) if turned else atom.args[:2]
            if side == ACROSS:
                self.state(atom, pair, steps)
            else:
                self.known[atom] = self.alone_of(Key(side, pair, steps))

    def untold(self, pair: Pair | None) -> None:
        """What an equation that does not tell the gaps of its left side comes to.  Errors: NotClosed."""
        raise no_text("gaps that an equation tells", pair)

    def alone_of(self, key: Key) -> sp.Symbol:
        """A letter for a moment within a sequence."""
        self.count += 1
        letter = sp.Symbol(f"w{self.count}", nonnegative=True)
        self.within[letter] = key
        return letter

    def gram(self, atom: sp.Expr, side: int, steps: Index) -> None:
        """An inner product of inputs, by the distances of their directions."""
        if steps != (0, 0):
            raise no_text("inputs of this step", atom)
        p, q = (sp.Symbol(x, nonnegative=True) for x in SIZES)
        apart, summed = sp.symbols("apart summed", nonnegative=True)
        if side != ACROSS:
            self.known[atom] = (p if side == WITHIN_FIRST else q) ** 2
            return
        self.known[atom] = p * q * (summed - apart) / 4
        self.known[Below(atom)], self.known[Above(atom)] = p * q * apart / 2, p * q * summed / 2

    def state(self, atom: sp.Expr, pair: Pair, steps: Index) -> None:
        """A moment across sequences, of this step or the one before."""
        if steps not in self.names:
            raise no_text("moments of this step or the last", atom)
        self.reads.setdefault(steps, set()).add(pair)
        names, place = self.names[steps], self.equations.across.index(pair)
        self.known[atom] = sp.Symbol(f"{names}{place}_0", real=True)
        for i, gap in enumerate((Below, Above), 1):
            self.known[gap(atom)] = sp.Symbol(f"{names}{place}_{i}", nonnegative=True)

    def mean(self, mean: GaussianMean, gapped: bool) -> None:
        """Write a Gaussian expectation by its row in the table, and its gaps."""
        if mean in self.known and (not gapped or Below(mean) in self.known):
            return
        functions, means, law = mean.args
        (name, first), (other, second) = (functions[0], functions[-1])
        centred = name == other and len(functions) == 2 and all(x == 0 for x in means)
        pair = _in_gaps(str(name), int(first), int(second)) if centred else None
        if pair is None:
            self.tabled(mean, gapped)
            return
        if len({*law}) == 1:  # one sequence alone: no line of the loop
            self.known[mean] = _coincident(pair, law[0].xreplace(self.known))
            return
        at = self.law(mean)
        self.new(self.at(pair, at), mean)
        if not gapped:
            return
        closed = closed_gaps(str(name), int(first))
        if closed is not None:
            forms = [x if x == y else sp.Heaviside(c) * x + (1 - sp.Heaviside(c)) * y for x, y in closed]
            found = [self.at(x, at) for x in forms]
        else:
            size = sp.sqrt(_coincident(pair, at[a])) * sp.sqrt(_coincident(pair, at[b]))
            found = [size - self.known[mean], size + self.known[mean]]
        self.gaps(mean, found)

    def gaps(self, mean: GaussianMean, found: list[sp.Expr]) -> None:
        """Write the gaps of an expectation, which are not negative."""
        for gap, expr in zip((Below, Above), found, strict=True):
            value = self.new(expr)
            self.known[gap(mean)] = self.raw(f"{value} if {value} > 0.0 else 0.0")

    def tabled(self, mean: GaussianMean, gapped: bool) -> None:
        """Refused: an expectation without a row in the table of dual activations."""
        raise no_text("a row in the table of dual activations", mean)

    def law(self, mean: GaussianMean) -> dict[sp.Expr, sp.Expr]:
        """Letters for the variances, the covariance and the gaps of the two variables of an expectation."""
        law = mean.args[2]
        if law in self.laws:
            return self.laws[law]
        at = {x: expr.xreplace(self.known) for x, expr in zip((a, c, b), law, strict=True)}
        if self.sides(at[a]) != {0}:
            at[a], at[b] = at[b], at[a]
        at[NORM] = sp.sqrt(at[a]) * sp.sqrt(at[b])
        at[c] = self.new(at[c])
        gaps = law_gaps(mean) or Gaps(at[NORM] - at[c], at[NORM] + at[c])
        at[BELOW], at[ABOVE] = (self.new(x) for x in gaps)
        self.laws[law] = at
        return at

    def at(self, expr: sp.Expr, at: dict[sp.Expr, Any]) -> sp.Expr:
        """An expression in the letters of a row at a law, whose root and angles are written where they are read."""
        if expr.has(ROOT) and ROOT not in at:
            at[ROOT] = self.new(sp.sqrt(at[BELOW] * at[ABOVE]))
        if expr.has(NEAR, FAR) and NEAR not in at:
            at[NEAR] = self.angle(Gaps(at[BELOW], at[ABOVE]))
        if expr.has(FAR) and FAR not in at:
            at[FAR] = self.new(sp.pi - at[NEAR])
        return expr.xreplace(at)


class TabledWriter(Writer):
    """The same, with expectations that are sums of tables, over all lanes, between lines."""

    def tabled(self, mean: GaussianMean, gapped: bool) -> None:
        """Write an expectation by its tables, and its gaps by a subtraction."""
        slot, covariance = self.slot(mean, gapped)
        n = len(self.slots)
        self.slots.append(slot)
        self.lines.append(Table(n, str(covariance)))
        self.known[mean] = self.raw(f"found[{n}, j]")
        if gapped:
            size = self.raw(f"row_table[{n}, {OWN - 1}] * column_table[{n} * table_width + {OWN - 1}, skip + j]")
            self.gaps(mean, [size - self.known[mean], size + self.known[mean]])

    def slot(self, mean: GaussianMean, gapped: bool) -> tuple[Slot, sp.Symbol]:
        """What is summed for an expectation over one variable of either sequence, and the letter of its covariance."""
        factors = tuple((str(name), int(order)) for name, order in mean.args[0])
        if any(x != 0 for x in mean.args[1]) or not is_tabled(factors):
            raise no_text("a row in the table of dual activations, or tables", mean)
        first, across, second = mean.args[2]
        own, other = (self.sides(x.xreplace(self.known)) for x in (first, second))
        if own == {1} or other == {0}:
            first, second, own, other, factors = second, first, other, own, factors[::-1]
        if not (own <= {0} and other <= {1} and own | other):
            raise no_text("one variable of either sequence", mean)
        law, covariance = self.covariance(mean.args[2], across)
        row, column = (self.place(x.xreplace(self.known), side) for side, x in enumerate((first, second)))
        return Slot(factors, row, column, law, gapped), covariance

    def covariance(self, law: sp.Expr, across: sp.Expr) -> tuple[int, sp.Symbol]:
        """The count of a law among those of tables, and the letter of its covariance."""
        if law not in self.covariances:
            self.covariances[law] = len(self.covariances), self.new(across)
        return self.covariances[law]

    def place(self, expr: sp.Expr, side: int) -> int:
        """Where a variance is to be found among what a side contributes alone."""
        self.letter(expr, frozenset({side}))
        return list(self.alone[side]).index(expr)


SIZES = ("row_size", "column_size")
"""The letters of the lengths of the inputs of either sequence."""


@functools.cache
def _in_gaps(name: str, first: int, second: int) -> sp.Expr | None:
    """E[phi^(first)(u) phi^(second)(v)] by its row in the table, of means zero, written in gaps."""
    row = dual(name)
    pair = None if row is None else row.derivative(first, second)
    return pair and pair.subs({m: 0, k: 0}).subs(sp.sqrt(D), ROOT).subs({D: BELOW * ABOVE, ANGLE: NEAR})


def _coincident(pair: sp.Expr, own: sp.Expr) -> sp.Expr:
    """E[phi(u)^2] of a row written in gaps."""
    one = {a: own, b: own, c: own, BELOW: sp.S.Zero, ABOVE: 2 * own, ROOT: sp.S.Zero, NEAR: sp.S.Zero}
    return pair.xreplace(one)


def no_text(what: str, got: Any) -> NotClosed:
    """The refusal of what is not written as a loop."""
    return NotClosed("a sweep", what, got, "Array code takes over.")


@functools.cache
def arctan_terms() -> tuple[float, ...]:
    """Coefficients of atan(x) / x in x^2 on [0, 1], from the highest power on."""
    with mp.workdps(60):
        found = mp.chebyfit(lambda y: mp.atan(mp.sqrt(y)) / mp.sqrt(y) if y > 0 else mp.one, [0, 1], TERMS)
        return tuple(float(x) for x in found)


def step_lines(writer: Writer) -> Lines:
    """The lines of one step: each moment across sequences after those of the same step that it reads."""
    equations, left = writer.equations, list(writer.equations.across)
    while left:
        ready = [pair for pair in left if not any(_reads(equations, pair, other) for other in left if other != pair)]
        if not ready:
            raise no_text("moments in an order", left)
        for pair in ready:
            place = equations.across.index(pair)
            found = writer.equation(equations.right[pair], pair)
            writer.lines += [f"new{place}_{i} = {letter}" for i, letter in enumerate(found)]
        left = [pair for pair in left if pair not in ready]
    return writer.part(writer.lines)


def _reads(equations: Equations, pair: Pair, other: Pair) -> bool:
    """Whether a moment across sequences reads another one of the same step."""
    rule = equations.of(Key(ACROSS, pair, (1, 1)))
    return any(side == ACROSS and read == other and i.offset == j.offset == 0 for side, read, (i, j) in rule.moments)


def output_lines(writer: Writer) -> Lines:
    """The lines of the kernel after the last step."""
    (letter,) = writer.equation(writer.equations.recurrence.right, None)
    if {*writer.reads} - {NOW}:
        raise no_text("an output of the last step", "one of the step before")
    return writer.part([*writer.lines, f"ended[j] = {letter}"])


def states(equations: Equations, step: Lines, end: Lines) -> list[tuple[int, int]]:
    """What is kept from step to step: moments across sequences by their place, and which number of each."""
    return [
        (n, i)
        for n, pair in enumerate(equations.across)
        if pair in step.reads(BEFORE) | end.reads(NOW)
        for i in range(3 if pair in equations.carried else 1)
    ]


LETTER = re.compile(r"\b(?:v\d+|(?:new|old)\d+_\d+|c\d+|apart|summed)\b")
"""Letters of a lane."""


def loops(lines: Lines, loads: dict[str, str]) -> tuple[list[str], int]:
    """Loops over the lanes between the sums of tables, and how many letters are kept from one to a later one."""
    parts = _parts(lines)
    made = [{x.partition("=")[0].strip() for x in part} for part, _ in parts]
    read = [{*LETTER.findall("\n".join(x.partition("=")[2] for x in part))} - own
            for (part, _), own in zip(parts, made, strict=True)]  # fmt: skip
    asked = {table.covariance for _, table in parts if table is not None}.union(*read)
    places = {x: n for n, x in enumerate(sorted(set().union(*made) & asked))}
    text: list[str] = []
    for (part, table), own, wanted in zip(parts, made, read, strict=True):
        body = [f"{x} = {loads[x] if x in loads else f'kept[{places[x]}, j]'}" for x in sorted(wanted)]
        body += [*part, *(f"kept[{places[x]}, j] = {x}" for x in sorted(own) if x in places)]
        text += ["for j in range(width):", *("    " + line for line in body)]
        if table is not None:
            text += summed(table.slot, lines.slots[table.slot].law, str(places[table.covariance]))
    return text, len(places)


def _parts(lines: Lines) -> list[tuple[list[str], Table | None]]:
    """The lines before each sum of a table, with that sum, and the lines after the last one."""
    parts: list[tuple[list[str], Table | None]] = []
    begun: list[str] = []
    for line in lines.lines:
        if isinstance(line, Table):
            parts.append((begun, line))
            begun = []
        else:
            begun.append(line)
    return [*parts, (begun, None)]


def source(equations: Equations, step: Lines, end: Lines) -> str:
    """The text of the sweep over rows start to stop of a block of pairs."""
    kept = list(enumerate(states(equations, step, end)))
    olds = {f"old{n}_{i}": f"state[{place}, j]" for place, (n, i) in kept}
    news = {f"new{n}_{i}": f"state[{place}, j]" for place, (n, i) in kept}
    grams = {"apart": "grams[0, j]", "summed": "grams[1, j]"}
    stores: list[str | Table] = [f"state[{place}, j] = new{n}_{i}" for place, (n, i) in kept]

    def columns(lines: Lines, array: str) -> dict[str, str]:
        return {f"c{n}": f"{array}[{n}, skip + j]" for n in range(len(lines.alone[1]))}

    def rows(lines: Lines, array: str) -> list[str]:
        return [f"r{n} = {array}[{n}]" for n in range(len(lines.alone[0]))]

    def indented(lines: list[str], depth: int) -> str:
        return "\n".join("    " * depth + line for line in lines)

    moving, held = loops(step._replace(lines=[*step.lines, *stores]), olds | grams | columns(step, "other"))
    last, ended = loops(end, news | columns(end, "last_other"))
    named = [at_step(name, at) if part.slots else [] for part, name, at in ((step, "step", "step"), (end, "last", "0"))]
    terms = [contracted(name) if part.slots else [] for part, name in ((step, "step"), (end, "last"))]
    return TEMPLATE.format(
        states=len(kept), lanes=LANES, vector=VECTOR, held=max(held, ended), most=max(len(step.slots), len(end.slots)),
        laws=max((slot.law + 1 for part in (step, end) for slot in part.slots), default=0),
        parameters=indented([f"p{n} = parameters[{n}]" for n in range(len(equations.symbols))], 1),
        terms=indented([*terms[0], *terms[1]], 1),
        rows=indented([*rows(step, "own"), *named[0]], 4), step=indented(moving, 4),
        last_rows=indented([*rows(end, "last_own"), *named[1]], 3), last=indented(last, 3),
    )  # fmt: skip


def at_step(prefix: str, at: str) -> list[str]:
    """Lines that name what the sums of tables read at a step."""
    return [
        f"row_table, column_table = {prefix}_rows[i, {at}], {prefix}_columns[chunk, {at}]",
        f"all_terms, all_shapes = {prefix}_terms[i - start, {at}], {prefix}_shapes[{at}]",
        f"all_layers = {prefix}_layers[{at}]",
        "table_width = column_table.shape[0] // all_shapes.shape[0]",
    ]


TEMPLATE = """def sweep(
    start, stop, half, parameters, of_rows, of_columns, x, y, init, last_rows, last_columns,
    step_tables, last_tables, out,
):
    per_pi = 1.0 / math.pi
    state, grams, ended = np.empty(({states}, {lanes})), np.empty((2, {lanes})), np.empty({lanes})
    kept, angles, found = np.empty(({held}, {lanes})), np.empty(({laws}, 2, {lanes})), np.empty(({most}, {lanes}))
    one, two, high, low = np.empty({lanes}), np.empty({lanes}), np.empty({lanes}), np.empty({lanes})
{parameters}
{terms}
    for chunk in range(of_columns.shape[0]):
        place = chunk * {lanes}
        for i in range(start, stop):
            begin = max(0, i - place) // {vector} * {vector} if half else 0
            end = min({lanes}, -(-(out.shape[1] - place) // {vector}) * {vector})
            if begin >= end:
                continue
            width, skip, far = np.uint64(end - begin), np.uint64(begin), np.uint64(place + begin)
            begun = init[:, i if init.shape[1] > 1 else 0]
            for n in range({states}):
                for j in range(width):
                    state[n, j] = begun[n, 0]
                if begun.shape[1] > 1:
                    for j in range(width):
                        state[n, j] = begun[n, far + j]
            for step in range(of_columns.shape[1]):
                for j in range(width):
                    grams[0, j] = 0.0
                    grams[1, j] = 0.0
                for n in range(x.shape[2]):
                    near, there = x[i, step, n], y[chunk, step, n]
                    for j in range(width):
                        grams[0, j] += (near - there[skip + j]) * (near - there[skip + j])
                        grams[1, j] += (near + there[skip + j]) * (near + there[skip + j])
                own, other = of_rows[i, step], of_columns[chunk, step]
{rows}
{step}
            last_own, last_other = last_rows[i], last_columns[chunk]
{last_rows}
{last}
            for j in range(begin, min({lanes}, out.shape[1] - place)):
                out[i, place + j] = ended[j - begin]
"""


class FusedSweep:
    """The kernel of a recurrence after the last step, for two batches of sequences, by its compiled sweep.

    Errors: NotClosed where the recurrence has no such text.
    """

    def __init__(self, equations: Equations, equal: bool) -> None:
        if not equations.equal_times:
            raise no_text("moments at equal lags", "others")
        self.equations = equations
        self.step, self.end = (lines(TabledWriter(equations, equal)) for lines in (step_lines, output_lines))
        self.text = source(equations, self.step, self.end)
        self.alone = [[self._alone(part, side) for side in (0, 1)] for part in (self.step, self.end)]

    @property
    def held(self) -> int:
        """About how many numbers the tables of smooth functions hold of a sequence and step."""
        return COPIES * (OWN + RANK) * len(self.step.slots)

    @functools.cached_property
    def function(self) -> Callable[..., None]:
        """The compiled loop."""
        return compiled(self.text)

    def _alone(self, lines: Lines, side: int) -> Callable[..., Any]:
        """What a row or a column contributes, as array code."""
        letters = [x for x, key in lines.within.items() if key.side == SIDE[side]]
        return emitted(
            [*self.equations.symbols, sp.Symbol(SIZES[side], nonnegative=True), *letters], lines.alone[side], "numpy"
        )

    def values(self, stepper: Stepper, sizes: tuple[int, int], half: bool) -> Host | None:
        """The kernel (N1, N2), or None for numbers out of range; a symmetric one is that to the last bit."""
        steps = min(sizes)
        begin, end = [size - steps for size in sizes], [size - 1 for size in sizes]
        inputs = [stepper.inputs.directions(side) for side in (0, 1)]
        parameters = np.array(stepper.parameters, dtype=np.float64)
        moving = [self._read(stepper, 0, side, begin[side], steps, inputs[side].sizes, half) for side in (0, 1)]
        last = [self._read(stepper, 1, side, end[side], 1, inputs[side].sizes, half) for side in (0, 1)]
        if any(x is None for x in (*moving, *last)) or out_of_range(parameters):
            return None
        x, y = (inputs[side].directions[:, begin[side] :] for side in (0, 1))
        tables = [self._tables(*x, half) for x in ((self.step, moving), (self.end, last))]
        if tables[0] is None or tables[1] is None:
            return None
        out, filled = np.empty((len(x), len(y))), (len(x), -(-len(y) // LANES) * LANES)
        arguments = (
            half, parameters, in_rows(moving[0]), in_lanes(moving[1]), np.ascontiguousarray(x),
            in_lanes(np.moveaxis(y, 0, -1).swapaxes(0, 1)), self._begun(stepper, begin, filled),
            in_rows(last[0])[:, 0], in_lanes(last[1])[:, 0], *tables, out,
        )  # fmt: skip
        in_parts(lambda i: self.function(i, min(i + ROWS, len(x)), *arguments), range(0, len(x), ROWS))
        if half:
            in_parts(lambda i: _mirror(out, i), range(0, len(x), MIRRORED))
        with np.errstate(all="ignore"):
            return out if np.isfinite(out.sum()) else None

    def _tables(self, part: Lines, alone: list[Any], half: bool) -> tuple[Any, ...] | None:
        """What the loops read of tables, or None where there are none for these variances."""
        if not part.slots:
            return tuple(NOTHING)
        found = loaded(part.slots, alone[0], alone[1], half)
        return None if found is None else tuple(found._replace(columns=in_lanes(found.columns)))

    def _read(
        self, stepper: Stepper, part: int, side: int, begin: int, steps: int, sizes: Host, half: bool
    ) -> Host | None:
        """What a side contributes at some steps, None out of range.  Shapes: sizes (N, T) -> (K, steps, N).

        The moments within the sequences of a symmetric block are those of its first side.
        """
        count, whose = len(sizes), SIDE[0 if half else side]
        lines, read = (self.step, self.end)[part], [sizes[:, begin : begin + steps].T]
        for key in lines.within.values():
            if key.side == SIDE[side]:
                times = (begin + n + key.times[0] for n in range(steps))
                moments = [stepper.value(Key(whose, key.pair, (time, time))) for time in times]
                read.append(np.stack([np.broadcast_to(np.ravel(x), count) for x in moments]))
        if out_of_range(read[0] ** 2) or any(map(out_of_range, read)):
            return None
        found = self.alone[part][side](*stepper.parameters, *read)
        return np.stack([np.broadcast_to(x, (steps, count)) for x in found]) if found else np.empty((0, steps, count))

    def _begun(self, stepper: Stepper, begin: list[int], shape: tuple[int, ...]) -> Host:
        """The moments across sequences before the first step.  Shapes: (S, 1, 1) for numbers, else (S, *shape)."""
        found = []
        for n, i in states(self.equations, self.step, self.end):
            key = Key(ACROSS, self.equations.across[n], (begin[0] - 1, begin[1] - 1))
            if key.pair not in self.step.reads(BEFORE):  # nothing says how it starts
                found.append(np.asarray(0.0))
                continue
            value = stepper.value(key)
            found.append(np.asarray(stepper.gaps[key][i - 1] if i else value, dtype=np.float64))
        if all(x.ndim == 0 for x in found):
            return np.array(found)[:, None, None]
        begun = np.zeros((len(found), *shape))
        for place, x in zip(begun, found, strict=True):
            columns = x.shape[1] if x.ndim == 2 and x.shape[1] > 1 else shape[1]
            place[:, :columns] = x
        return begun


@functools.lru_cache(maxsize=64)
def compiled(text: str) -> Callable[..., None]:
    """The function of a text, which differs neither by variances nor by inputs; kept on disk where there is a place."""
    njit: Any = importlib.import_module("numba").njit
    path = _kept(text)
    if path is not None:
        try:
            found: Callable[..., None] = njit(**HOW, cache=True)(_function(text, str(path)))
            return found
        except RuntimeError:  # no writable place for what is compiled
            pass
    found = njit(**HOW)(_function(text, "<sweep>"))
    return found


def _function(text: str, path: str) -> Callable[..., None]:
    scope: dict[str, Any] = {"np": np, "math": math, "__name__": __name__}
    exec(compile(text, path, "exec"), scope)  # our own text, of printed expressions
    function: Callable[..., None] = scope["sweep"]
    return function


def _kept(text: str) -> Path | None:
    """The file of a text among those of the user's cache, written once, by its digest; None where that fails."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wideproof" / "sweeps"
        path = home / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.py"
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_text(text)
            part.replace(path)
        return path if path.read_text() == text else None
    except (OSError, RuntimeError):
        return None


SIDE = (WITHIN_FIRST, WITHIN_SECOND)
NOTHING = Loaded(
    np.empty((0, 0, 0, 0)), np.empty((0, 0, 0, 0)), np.empty((0,) * 4), np.empty((0, 0, 0), np.int64), np.empty((0, 0))
)
"""The tables of a part that has none."""


def _mirror(found: Host, i: int) -> None:
    """Put what stands above the diagonal, in some rows from i on, below it."""
    own = found[i : i + MIRRORED, i : i + MIRRORED]
    own[:] = np.triu(own) + np.triu(own, 1).T
    found[i + MIRRORED :, i : i + MIRRORED] = found[i : i + MIRRORED, i + MIRRORED :].T


def out_of_range(x: Host) -> bool:
    """Whether a number that is not zero is larger, or smaller, than the loop may take."""
    size = np.abs(x)
    return bool(np.any((size > 0) & ~((size < RANGE) & (size > 1.0 / RANGE))))


def in_rows(read: Any) -> Host:
    """Shapes: (K, steps, N) -> (N, steps, K)."""
    return np.ascontiguousarray(np.moveaxis(read, -1, 0).swapaxes(1, 2))


def in_lanes(read: Any, lanes: int = LANES) -> Host:
    """Columns in lanes, filled up with zeros.  Shapes: (K, steps, M) -> (chunks, steps, K, lanes)."""
    kinds, steps, count = read.shape
    chunks = -(-count // lanes)
    padded = np.zeros((kinds, steps, chunks * lanes))
    padded[..., :count] = read
    return np.ascontiguousarray(padded.reshape(kinds, steps, chunks, lanes).transpose(2, 1, 0, 3))


def sweep_of(equations: Equations, equal: bool) -> FusedSweep | None:
    """The sweep of a recurrence at equal or other times, or None where it has no text or Numba is not installed."""
    if equations.backend != "numpy" or importlib.util.find_spec("numba") is None:
        return None
    try:
        return FusedSweep(equations, equal)
    except NotClosed:
        return None
