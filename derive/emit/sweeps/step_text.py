"""The lines of a step of a kernel recursion for compiled loops: scalar code, printed from the derived equations.

What either sequence contributes alone is a letter of its row or column, worked out before (`contributions`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar

import sympy as sp
from mpmath import mp
from sympy.printing.pycode import PythonCodePrinter

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
from wideproof.derive.expectation.pair_integrals import Factor, is_tabled
from wideproof.derive.expectation.swept_means import SQUARE, Slot
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.expectation.tables.compiled_sweep import installed
from wideproof.derive.expectation.tables.table_loops import WORK
from wideproof.derive.language.errors import NotClosed

NOW, BEFORE = (0, 0), (-1, -1)
TERMS = 23
"""Terms of the arc tangent on [0, 1], to rounding."""
PER_PI = sp.Symbol("per_pi", positive=True)
"""1 / pi, since a quotient takes ten times as long as a product."""

Sweep = TypeVar("Sweep")


class Lines(NamedTuple):
    """A part of the loop: its lines, what it reads of a row and of a column alone, and the moments in these.

    `read` are the moments across sequences that it reads, by the steps of either sequence since.
    """

    lines: list[str | LaneSum]
    alone: tuple[list[sp.Expr], list[sp.Expr]]
    within: dict[sp.Symbol, Key]
    read: dict[Index, set[Pair]]
    slots: list[Slot]

    @property
    def text(self) -> list[str]:
        """Its lines, where tables have no place between them."""
        return [x for x in self.lines if isinstance(x, str)]

    def slots_at(self, stepper: Stepper) -> list[Slot]:
        """Its slots with means that are numbers."""
        numbers = [[number_of(x, stepper) for x in slot.means] for slot in self.slots]
        return [slot._replace(means=(first, second)) for slot, (first, second) in zip(self.slots, numbers, strict=True)]

    def reads(self, *steps: Index) -> set[Pair]:
        """The moments it reads of some steps."""
        return {pair for at in steps for pair in self.read.get(at, ())}


class LaneSum(NamedTuple):
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
class StepWriter:
    """The lines of one step, in order, and what they read.

    `names` begin the letters of moments across sequences, by the steps of either sequence since.
    """

    names: ClassVar[dict[Index, str]] = {NOW: "new", BEFORE: "old"}

    equations: Equations
    equal: bool
    lines: list[str | LaneSum] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    covariances: dict[sp.Expr, sp.Symbol] = field(default_factory=dict)
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

    def part(self, lines: list[str | LaneSum]) -> Lines:
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


@dataclass
class TabledWriter(StepWriter):
    """The same, with expectations that are sums of tables, over all lanes, between lines.

    `shared` says that one table serves an expectation and its derivative by the covariance.
    """

    shared: bool = True
    expectations: int = 0

    def tabled(self, mean: GaussianMean, gapped: bool) -> None:
        """Write an expectation by its tables, and its gaps by a subtraction."""
        slot, covariance = self.slot(mean, gapped)
        n = self.joined(slot) if self.shared else None
        if n is None:
            n = len(self.slots)
            self.slots.append(slot)
            self.lines.append(LaneSum(n, str(covariance)))
        self.known[mean] = self.raw(f"work[{WORK + slot.value}, j]")
        self.expectations += 1
        if gapped:
            size = self.raw(f"row_table[{n}, {SQUARE}] * column_table[{n} * table_width + {SQUARE}, skip + j]")
            self.gaps(mean, [size - self.known[mean], size + self.known[mean]])

    def gram(self, atom: sp.Expr, side: int, steps: Index) -> None:
        """The same, across sequences by the inner product of the directions, which needs no distances."""
        super().gram(atom, side, steps)
        if side == ACROSS:
            self.known[atom] = sp.prod(sp.Symbol(x, nonnegative=True) for x in SIZES) * sp.Symbol("inner", real=True)

    def joined(self, slot: Slot) -> int | None:
        """Where an expectation is summed together with one that is its derivative, or of which it is one."""
        for n, other in enumerate(self.slots):
            both = slot.joined(other)
            if both is not None:
                self.slots[n] = both
                return n
        return None

    def slot(self, mean: GaussianMean, gapped: bool) -> tuple[Slot, sp.Symbol]:
        """What is summed for an expectation over one variable of either sequence, and the letter of its covariance."""
        factors, means = tabled_factors(mean), tuple(mean.args[1])
        first, across, second = mean.args[2]
        own, other = (self.sides(x.xreplace(self.known)) for x in (first, second))
        if own == {1} or other == {0}:
            first, second, own, other, factors, means = second, first, other, own, factors[::-1], means[::-1]
        if not (own <= {0} and other <= {1} and own | other):
            raise no_text("one variable of either sequence", mean)
        row, column = (self.place(x.xreplace(self.known), side) for side, x in enumerate((first, second)))
        slot = Slot(factors, row, column, gapped, self.expectations, None, (means[0], means[1]))
        return slot, self.covariance(mean.args[2], across)

    def covariance(self, law: sp.Expr, across: sp.Expr) -> sp.Symbol:
        """The letter of the covariance of a law."""
        if law not in self.covariances:
            self.covariances[law] = self.new(across)
        return self.covariances[law]

    def place(self, expr: sp.Expr, side: int) -> int:
        """Where a variance is to be found among what a side contributes alone."""
        self.letter(expr, frozenset({side}))
        return list(self.alone[side]).index(expr)


def tabled_factors(mean: GaussianMean) -> tuple[Factor, ...]:
    """The factors of an expectation that comes from tables.  Errors: NotClosed for others."""
    factors = tuple((str(name), int(order)) for name, order in mean.args[0])
    if not is_tabled(factors, all(x == 0 for x in mean.args[1])):
        raise no_text("a row in the table of dual activations, or tables", mean)
    return factors


def number_of(mean: sp.Expr, stepper: Stepper) -> float:
    """A mean at the parameters of a stepper."""
    if mean.is_number:
        return float(mean)
    at = zip(stepper.equations.symbols, stepper.parameters, strict=True)
    return float(mean.xreplace({x: sp.Float(float(value)) for x, value in at}))


SIZES = ("row_size", "column_size")
"""The letters of the lengths of the inputs of either sequence."""
SIZE = sp.Symbol("size", nonnegative=True)
"""That of a sequence which is alone."""


def alone_lines(exprs: list[sp.Expr], equations: Equations, where: str) -> list[str]:
    """Lines that work out what one sequence contributes alone, of `size` and moments within it, each at its place."""
    writer, own = StepWriter(equations, True), {sp.Symbol(x, nonnegative=True): SIZE for x in SIZES}
    for n, x in enumerate(exprs):
        text = writer.printed(x.xreplace(own))
        writer.lines.append(f"{where.format(n)} = {text}")
    return [x for x in writer.lines if isinstance(x, str)]


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


def indented(lines: list[str], depth: int) -> str:
    """Lines as a part of a text, so many levels deep."""
    return "\n".join("    " * depth + line for line in lines)


def with_text(sweep: Callable[..., Sweep], equations: Equations, *others: Any) -> Sweep | None:
    """The sweep of a recurrence, or None where it has no text or Numba is not installed."""
    if equations.backend != "numpy" or not installed():
        return None
    try:
        return sweep(equations, *others)
    except NotClosed:
        return None


@functools.cache
def arctan_terms() -> tuple[float, ...]:
    """Coefficients of atan(x) / x in x^2 on [0, 1], from the highest power on."""
    with mp.workdps(60):
        found = mp.chebyfit(lambda y: mp.atan(mp.sqrt(y)) / mp.sqrt(y) if y > 0 else mp.one, [0, 1], TERMS)
        return tuple(float(x) for x in found)


def step_lines(writer: StepWriter) -> Lines:
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


def output_lines(writer: StepWriter) -> Lines:
    """The lines of the kernel after the last step."""
    (letter,) = writer.equation(writer.equations.recurrence.right, None)
    if {*writer.reads} - {NOW}:
        raise no_text("an output of the last step", "one of the step before")
    return writer.part([*writer.lines, f"ended[j] = {letter}"])
