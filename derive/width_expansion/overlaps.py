"""Overlaps of the wide vectors that matrices multiply: at infinite width numbers, at width n random with variance 1/n.

Given the overlaps, the products of a Gaussian matrix W with the vectors v, v', ... are jointly Gaussian, independent
from coordinate to coordinate, with the covariances nu_W (v . v')/n. As no transpose enters, this is exact at every
width, also where W is one draw for all steps: the product with a new vector is its regression on the earlier ones and
a fresh Gaussian vector (Bolthausen's conditioning). So a network is n particles that interact by its overlaps alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import combinations_with_replacement, product
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, Calculus, Piece, powers
from wideproof.derive.expectation.symbolic_expectation import Factor
from wideproof.derive.language.activations import Phi, RealFunction
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.language.program import MatVec, Previous, Program, coordinates_of
from wideproof.derive.width_expansion.product_means import as_product_means, expanded, joined, slope


class OfOverlaps(RealFunction):
    """An overlap, or a quantity of overlaps that has an equation of its own."""


class Overlap(OfOverlaps):
    """The limit of (u_s . v_t)/n, the overlap of two vectors of one sequence: u, v, s, t."""

    nargs = (4,)

    @classmethod
    def eval(cls, u: sp.Expr, v: sp.Expr, s: sp.Expr, t: sp.Expr) -> sp.Expr | None:
        """An overlap is symmetric: the later vector comes first."""
        if (int(s), str(u), sp.srepr(u)) < (int(t), str(v), sp.srepr(v)):
            return cls(v, u, t, s)
        return None

    @property
    def vectors(self) -> tuple[tuple[sp.Expr, int], tuple[sp.Expr, int]]:
        """Both vectors, each with its time."""
        u, v, s, t = self.args
        return (u, int(s)), (v, int(t))

    def pair(self, printer: Any) -> str:
        """Both vectors at their times, in LaTeX."""
        texts = []
        for vector, time in self.vectors:
            with printer.at(sp.Integer(time)):
                texts.append(printer._print(vector))
        return ", ".join(texts)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _power(rf"Q\left[{self.pair(printer)}\right]", exp)

    def _sympystr(self, printer: Any) -> str:
        u, v, s, t = map(printer._print, self.args)
        return f"Q[{u}_({s}), {v}_({t})]"


class OverlapShift(OfOverlaps):
    """n times what the mean of an overlap at width n differs from its limit, to leading order: the overlap."""

    nargs = (1,)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _power(rf"Q^{{(1)}}\left[{self.args[0].pair(printer)}\right]", exp)


class _OfTwo(OfOverlaps):
    """A quantity of two overlaps."""

    nargs = (2,)
    letter = ""

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        a, b = self.args
        return _power(rf"{self.letter}\left[{a.pair(printer)};\, {b.pair(printer)}\right]", exp)


class OverlapCovariance(_OfTwo):
    """n times the covariance of two overlaps at width n, to leading order."""

    letter = "V"


class OverlapNoise(_OfTwo):
    """n times their covariance given all overlaps that they depend on: that of one coordinate's products."""

    letter = r"\Gamma"


class OverlapResponse(_OfTwo):
    """How much the first overlap moves, in the limit, when the second is moved: a derivative through all between."""

    letter = "R"


def _power(body: str, exp: str | None) -> str:
    return rf"{{{body}}}^{{{exp}}}" if exp else body


@dataclass(frozen=True)
class OverlapCalculus(Calculus):
    """The moments of products of processes of one sequence at given times, as functions of the overlaps."""

    def product(self, processes: tuple[tuple[sp.Expr, int], ...]) -> sp.Expr:
        """E of a product of processes, each at its time, written out down to the overlaps."""
        total = sp.S.Zero
        for pieces in product(*(list(self._written(expr, sp.Integer(time))) for expr, time in processes)):
            total += sp.Mul(*(piece.coefficient for piece in pieces)) * self._monomial(pieces)
        return as_product_means(expanded(total))

    def _written(self, expr: sp.Expr, time: sp.Expr) -> Iterator[Piece]:
        """A process as a sum of coefficient x feature; states are written out, before the first step they are zero."""
        for piece in self._pieces(expr, time, FIRST):
            if piece.process not in self.program.bodies:
                yield piece
            elif piece.time.is_negative:
                self._refuse_start(piece)
            else:
                for inner in self._written(self.program.bodies[piece.process], piece.time):
                    yield inner._replace(coefficient=piece.coefficient * inner.coefficient)

    def _refuse_start(self, piece: Piece) -> None:
        state = self._state(piece.process)
        if state.initial != 0:
            raise NotClosed(
                f"1/n of {self.program.name}",
                "states that start at zero",
                f"the state {state.name}",
                "Its coefficient of 1/n is measured on a ladder of widths: wideproof validate.",
            )

    @cached_property
    def _known(self) -> dict[Any, Any]:
        """Factors and covariances that were worked out."""
        return {}

    def _factor(self, phi: Phi, piece: Piece) -> Factor:
        key = (phi, piece.time)
        if key not in self._known:
            self._known[key] = super()._factor(phi, piece)
        found: Factor = self._known[key]
        return found

    def _covariance(self, left: Any, right: Any) -> sp.Expr:
        if (left, right) not in self._known:
            self._known[left, right] = super()._covariance(left, right)
        return self._known[left, right]

    def _monomial(self, pieces: tuple[Piece, ...]) -> sp.Expr:
        variables: list[Any] = []
        factors: list[Any] = []
        for piece in pieces:
            for base, power in powers(piece.process):
                if isinstance(base, Phi):
                    factors += [self._factor(base, piece)] * power
                else:
                    variables += [(self._gaussian(base, piece), self._mean(base))] * power
        return self._expect(tuple(variables), joined(tuple(factors)))

    def _pair(self, a: Piece, b: Piece) -> sp.Expr:
        """The covariance of two linear states, written out."""
        return self.product(((a.process, int(a.time)), (b.process, int(b.time))))

    def _second_moment(self, first: MatVec, second: MatVec, at: tuple[Any, ...]) -> sp.Expr:
        """The overlap of the vectors, which stands in the place of their limiting second moment."""
        return self.overlap((first.vector, at[0]), (second.vector, at[1]))

    def overlap(self, first: tuple[sp.Expr, sp.Expr], second: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
        """The overlap of two vectors; zero where one is a state before the first step."""
        sides = [self._timed(expr, sp.sympify(time, strict=True)) for expr, time in (first, second)]
        if any(expr in self.program.bodies and time.is_negative for expr, time in sides):
            for expr, time in sides:
                if expr in self.program.bodies and time.is_negative:
                    self._refuse_start(Piece(sp.S.One, expr, time, FIRST))
            return sp.S.Zero
        (u, s), (v, t) = sides
        return Overlap(u, v, s, t)


class OverlapSystem:
    """Each overlap of a program as a function of earlier ones, and the covariance of two given all earlier ones."""

    def __init__(self, program: Program) -> None:
        self.program, self.calculus = program, OverlapCalculus(program)
        self.limit = cache(self._limit)
        self.noise = cache(self._noise)
        self.causes = cache(self._causes)
        self.rank = cache(self._rank)
        self.is_zero = cache(self._is_zero)
        self.place = cache(self._place)
        self.slopes = cache(self._slopes)

    def _limit(self, a: Overlap) -> sp.Expr:
        """An overlap as a function of those before it."""
        return self.calculus.product(a.vectors)

    def _noise(self, a: Overlap, b: Overlap) -> sp.Expr:
        """The covariance of the two products of one coordinate, as a function of the overlaps."""
        return expanded(self.calculus.product((*a.vectors, *b.vectors)) - self.limit(a) * self.limit(b))

    def _is_zero(self, a: Overlap) -> bool:
        """Whether an overlap vanishes in the limit, since all that it is a function of do."""
        return self.at_limit(self.limit(a)) == 0

    def at_limit(self, expr: sp.Expr) -> sp.Expr:
        """An expression with the overlaps that vanish at zero."""
        return expanded(expr.xreplace({x: sp.S.Zero for x in expr.atoms(Overlap) if self.is_zero(x)}))

    def _causes(self, a: Overlap) -> frozenset[Overlap]:
        """All overlaps that one depends on, itself included."""
        return frozenset({a}).union(*(self.causes(x) for x in self.limit(a).atoms(Overlap)))

    def _rank(self, a: Overlap) -> int:
        """The length of the longest chain of overlaps behind one."""
        return 1 + max((self.rank(x) for x in self.limit(a).atoms(Overlap)), default=-1)

    def ordered(self, *overlaps: Overlap) -> list[Overlap]:
        """Overlaps, later ones first."""
        return sorted(overlaps, key=self.place, reverse=True)

    def _place(self, a: Overlap) -> tuple[int, str, str]:
        """By what overlaps are ordered."""
        return self.rank(a), str(a), sp.srepr(a)

    def _slopes(self, expr: sp.Expr, behind: Overlap | None = None) -> dict[Overlap, sp.Expr]:
        """The derivatives of an expression by its overlaps at the limit, those that are not zero.

        With `behind`, only by those that depend on this one.
        """
        moving = [x for x in in_order(expr) if behind is None or behind in self.causes(x)]
        found = {x: self.at_limit(by(expr, x)) for x in moving}
        return {x: value for x, value in found.items() if value != 0}

    def curvatures(self, a: Overlap) -> dict[tuple[Overlap, Overlap], sp.Expr]:
        """The second derivatives of an overlap by those before it, each pair once, at the limit."""
        expr, found = self.limit(a), {}
        first = {x: by(expr, x) for x in in_order(expr)}
        for x, y in combinations_with_replacement(first, 2):
            if (value := self.at_limit(by(first[x], y))) != 0:
                found[x, y] = value
        return found

    def up_to(self, a: Overlap) -> list[Overlap]:
        """All overlaps, to the time of the later vector of one, that a product of some matrix has."""
        last = max(time for _, time in a.vectors)
        found: dict[Overlap, None] = {}
        for group in self._vectors().values():
            sides = [(v, sp.Integer(time)) for v in group for time in range(last + 1)]
            for first, second in combinations_with_replacement(sides, 2):
                overlap = self.calculus.overlap(first, second)
                if isinstance(overlap, Overlap):
                    found[overlap] = None
        return list(found)

    def _vectors(self) -> dict[Any, list[sp.Expr]]:
        """The vectors that each matrix inside the recursion multiplies; those of a readout feed nothing."""
        found: dict[Any, list[sp.Expr]] = {}
        for _, term in self.program.terms:
            if (
                isinstance(term, MatVec)
                and term.matrix.role == "matrix"
                and term.vector not in found.get(term.matrix, [])
            ):
                found.setdefault(term.matrix, []).append(term.vector)
        return found


@lru_cache(maxsize=64)
def overlap_system(program: Program) -> OverlapSystem:
    """The overlaps of a program; derived once."""
    return OverlapSystem(program)


def in_order(expr: sp.Expr) -> list[Overlap]:
    """The overlaps in an expression, in a fixed order."""
    return sorted(expr.atoms(Overlap), key=sp.default_sort_key)


def by(expr: sp.Expr, overlap: Overlap) -> sp.Expr:
    """The derivative by an overlap."""
    x = sp.Dummy(real=True)
    return slope(expr.xreplace({overlap: x}), x).xreplace({x: overlap})


def is_recurrent(program: Program) -> bool:
    """Whether any update or matrix reads a state of the step before."""
    exprs = [*program.bodies.values(), *(x.vector for _, x in program.terms if isinstance(x, MatVec))]
    return any(isinstance(program.table.get(c), Previous) for e in exprs for c in coordinates_of(e))
