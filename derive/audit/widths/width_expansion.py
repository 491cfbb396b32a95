"""The independent audit of corrections of order 1/n: overlaps moved by nilpotent amounts, all later ones with them.

An overlap of a network is what the earlier ones give and a noise of its own. Here the noises are sources: moving one
moves every later overlap, in exact arithmetic to second order, with polynomials for activations and sums over pairings
for expectations. A mean is then moved by half its second derivative by two sources times their covariance, and by its
first derivative by a source times the mean of that source's noise, which is the derivative of its covariance with
every other source by that other one. No partial derivative, no chain rule and no rule of the engine is used.
Source: segadlo2022unified, the expansion to one loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations_with_replacement, product
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive.audit.dual_numbers import derivative
from wideproof.derive.audit.meanings import MEANINGS, pair_up
from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.audit.world import Polynomial, World, compose, product_of
from wideproof.derive.calculus.moments import FIRST
from wideproof.derive.language.program import Bias, MatVec, Parameter, Previous
from wideproof.derive.width_expansion.corrections import OutputShift
from wideproof.derive.width_expansion.overlaps import (
    Overlap,
    OverlapCovariance,
    OverlapNoise,
    OverlapResponse,
    OverlapShift,
)
from wideproof.derive.width_expansion.product_means import ProductMean

Vector = tuple[sp.Expr, int]
Pair = tuple[Vector, Vector]
"""Two vectors, each at its time, in a fixed order."""
Moved = tuple[Pair, ...]
"""The overlaps that are moved, at most two."""


class Jet(NamedTuple):
    """A value, its slopes in two nilpotent amounts, and what stands beside their product."""

    value: Fraction
    first: Fraction = Fraction(0)
    second: Fraction = Fraction(0)
    both: Fraction = Fraction(0)

    def plus(self, other: Jet) -> Jet:
        """The sum."""
        return Jet(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, other: Jet) -> Jet:
        """The product."""
        a, b = self, other
        return Jet(
            a.value * b.value,
            a.value * b.first + a.first * b.value,
            a.value * b.second + a.second * b.value,
            a.value * b.both + a.first * b.second + a.second * b.first + a.both * b.value,
        )


def constant(value: Fraction) -> Jet:
    """A value that nothing moves."""
    return Jet(value)


class MovedOverlaps:
    """The overlaps of one world and the means of its coordinates, with up to two sources moved."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.memo: dict[Any, Any] = {}

    # ---- overlaps and means with sources moved --------------------------------------------------------
    def overlap(self, pair: Pair, moved: Moved = ()) -> Jet:
        """An overlap with some sources moved, its own among them."""
        own = Jet(Fraction(0), *(Fraction(pair == x) for x in moved), *[Fraction(0)] * (3 - len(moved)))
        return self.mean(pair, moved).plus(own)

    def mean(self, vectors: Iterable[Vector], moved: Moved = ()) -> Jet:
        """E of a product of one coordinate of some vectors, given the moved overlaps."""
        key = ("mean", tuple(vectors), moved)
        if key not in self.memo:
            total: Polynomial = {(): Fraction(1)}
            for vector, time in key[1]:
                total = product_of(total, self.world.value(vector, time, FIRST))
            self.memo[key] = self._of_polynomial(total, moved)
        found: Jet = self.memo[key]
        return found

    def _of_polynomial(self, polynomial: Polynomial, moved: Moved) -> Jet:
        total = constant(Fraction(0))
        for monomial, coefficient in polynomial.items():
            total = total.plus(constant(coefficient).times(self._paired(monomial, moved)))
        return total

    def _paired(self, variables: tuple[int, ...], moved: Moved) -> Jet:
        if not variables or len(variables) % 2:
            return constant(Fraction(not variables))
        key = ("paired", variables, moved)
        if key not in self.memo:
            first, rest = variables[0], variables[1:]
            total = constant(Fraction(0))
            for i, other in enumerate(rest):
                weight = self._covariance(first, other, moved)
                if any(weight):
                    total = total.plus(weight.times(self._paired(rest[:i] + rest[i + 1 :], moved)))
            self.memo[key] = total
        found: Jet = self.memo[key]
        return found

    def _covariance(self, x: int, y: int, moved: Moved) -> Jet:
        key = ("covariance", x, y, moved)
        if key not in self.memo:
            self.memo[key] = self._of_keys(self.world.keys[x], self.world.keys[y], moved)
        found: Jet = self.memo[key]
        return found

    def _of_keys(self, x: Any, y: Any, moved: Moved) -> Jet:
        if y[0] == "sum":
            x, y = y, x
        if x[0] == "sum":
            total = constant(Fraction(0))
            for monomial, coefficient in x[1]:
                part = self._covariance(monomial[0], self.world.variables[y], moved)
                total = total.plus(constant(coefficient).times(part))
            return total
        (_, c, time, *_), (_, d, other, *_) = x, y
        first, second = self.world.program.table[c], self.world.program.table[d]
        if isinstance(first, MatVec) and isinstance(second, MatVec) and first.matrix.role != "input_map":
            if first.matrix != second.matrix or (not first.matrix.tied and time != other):
                return constant(Fraction(0))
            nu = constant(self.world.fraction(first.matrix.variance))
            return nu.times(self.overlap(self.pair((first.vector, time), (second.vector, other)), moved))
        return constant(self._unmoved(first, second, time, other))

    def _unmoved(self, first: Any, second: Any, time: int, other: int) -> Fraction:
        """The covariance of two biases, or of two products with the input."""
        whose: list[Parameter] = [x.matrix if isinstance(x, MatVec) else x.parameter for x in (first, second)]
        if whose[0] != whose[1] or (not whose[0].tied and time != other):
            return Fraction(0)
        size = Fraction(1) if isinstance(first, Bias) else self.world.gram(time, other, FIRST, FIRST)
        return self.world.fraction(whose[0].variance) * size

    # ---- which overlaps there are -------------------------------------------------------------------
    def pair(self, first: Vector, second: Vector) -> Pair:
        """Two vectors in a fixed order, a state before its update as the one updated a step earlier."""
        a, b = sorted(map(self._placed, (first, second)), key=lambda x: (x[1], sp.srepr(x[0])))
        return a, b

    def _placed(self, vector: Vector) -> Vector:
        expr, time = vector
        term = self.world.program.table.get(expr)
        return (self.world.program.updated[term.state], time - 1) if isinstance(term, Previous) else vector

    def sources(self, last: int) -> list[Pair]:
        """All overlaps of two vectors, up to a time, that some matrix or readout multiplies."""
        if last not in self.memo:
            found: dict[Pair, None] = {}
            terms = [x for _, x in self.world.program.terms if isinstance(x, MatVec) and x.matrix.role != "input_map"]
            for a, b in product(terms, repeat=2):
                for s, t in product(range(last + 2), repeat=2) if a.matrix == b.matrix else ():
                    pair = self.pair((a.vector, s), (b.vector, t))
                    if all(time <= last and self.world.value(v, time, FIRST) for v, time in pair):
                        found[pair] = None
            self.memo[last] = list(found)
        sources: list[Pair] = self.memo[last]
        return sources

    # ---- fluctuations and shifts ---------------------------------------------------------------------
    def noise(self, a: Pair, b: Pair, moved: Moved = ()) -> Jet:
        """The covariance of the products of one coordinate that two overlaps average."""
        both = self.mean((*a, *b), moved)
        apart = self.mean(a, moved).times(self.mean(b, moved))
        return both.plus(constant(Fraction(-1)).times(apart))

    def response(self, a: Pair, b: Pair) -> Fraction:
        """How an overlap moves with a source."""
        return self.overlap(a, (b,)).first

    def covariance(self, a: Pair, b: Pair) -> Fraction:
        """The covariance of two overlaps: of all sources that move them."""
        last = max(time for _, time in (*a, *b))
        of = [{x: r for x in {*self.sources(last), own} if (r := self.response(own, x)) != 0} for own in (a, b)]
        return sum(
            (r * q * self.noise(x, y).value for x, r in of[0].items() for y, q in of[1].items()), start=Fraction(0)
        )

    def drift(self, a: Pair, last: int) -> Fraction:
        """The mean of the noise of an overlap: how its covariance with each source moves with that source."""
        return sum((self.noise(a, b, (b,)).first for b in self.sources(last)), start=Fraction(0))

    def shift(self, vectors: tuple[Vector, ...]) -> Fraction:
        """n times what finite width adds to the mean of a product that is a function of the overlaps."""
        last = max(time for _, time in vectors)
        moving = {b: r for b in self.sources(last) if (r := self.mean(vectors, (b,)).first) != 0}
        total = sum((r * self.drift(b, last) for b, r in moving.items()), start=Fraction(0))
        for b, c in combinations_with_replacement(self.sources(last), 2):
            if curvature := self.mean(vectors, (b, c)).both:
                total += curvature * self.noise(b, c).value / (2 if b == c else 1)
        return total


def _moved(world: World) -> MovedOverlaps:
    if "moved overlaps" not in world.memo:
        world.memo["moved overlaps"] = MovedOverlaps(world)
    found: MovedOverlaps = world.memo["moved overlaps"]
    return found


def _pairs(world: World, expr: sp.Expr) -> tuple[Pair, ...]:
    return tuple(_moved(world).pair(*overlap.vectors) for overlap in expr.args)


def _two(world: World, expr: sp.Expr) -> tuple[Pair, Pair]:
    first, second = _pairs(world, expr)
    return first, second


def _product_mean(world: World, expr: sp.Expr, at: Any) -> Any:
    """By pairings of the derivatives of the products of polynomials."""
    functions, means, upper = expr.args
    law = tuple(world.fraction(x, at) for x in (*means, *upper))
    key = ("product mean", functions, law)
    if key not in world.memo:
        world.memo[key] = _paired_product(world, functions, law[: len(functions)], law[len(functions) :])
    return world.memo[key]


def _paired_product(
    world: World, functions: sp.Tuple, means: tuple[Fraction, ...], upper: tuple[Fraction, ...]
) -> Fraction:
    size, entries = len(functions), iter(upper)
    table = {(a, b): next(entries) for a in range(size) for b in range(a, size)}
    total: Polynomial = {(): Fraction(1)}
    for i, ((factors, order), mean) in enumerate(zip(functions, means, strict=True)):
        whole = [Fraction(1)]
        for name, k in factors:
            whole = _product(whole, derivative(world.activations[str(name)], int(k)))
        total = product_of(total, compose(derivative(whole, int(order)), {(i,): Fraction(1), (): mean}))
    paired: dict[tuple[int, ...], Fraction] = {(): Fraction(1)}
    return sum((c * pair_up(m, table, paired) for m, c in total.items()), start=Fraction(0))


def _product(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    """The coefficients of the product of two polynomials."""
    found = [Fraction(0)] * (len(a) + len(b) - 1)
    for (i, x), (k, y) in product(enumerate(a), enumerate(b)):
        found[i + k] += x * y
    return found


def _output_shift(world: World, expr: sp.Expr, at: Any) -> Any:
    """Of the square of the output at a time."""
    output = (world.program.output, world.integer(expr.args[1], at))
    return _moved(world).shift((output, output))


def _overlap_shift(world: World, expr: sp.Expr, at: Any) -> Any:
    """Of the product of two vectors, and the mean of its own noise."""
    found = _moved(world)
    (pair,) = _pairs(world, expr)
    return found.shift(pair) + found.drift(pair, max(time for _, time in pair))


MEANINGS[ProductMean] = _product_mean
MEANINGS[Overlap] = lambda world, expr, at: _moved(world).overlap(_moved(world).pair(*expr.vectors)).value
MEANINGS[OverlapNoise] = lambda world, expr, at: _moved(world).noise(*_two(world, expr)).value
MEANINGS[OverlapResponse] = lambda world, expr, at: _moved(world).response(*_two(world, expr))
MEANINGS[OverlapCovariance] = lambda world, expr, at: _moved(world).covariance(*_two(world, expr))
MEANINGS[OverlapShift] = _overlap_shift
MEANINGS[OutputShift] = _output_shift
