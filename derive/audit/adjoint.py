"""The independent audit of adjoints: networks of exact rational numbers, run forward once per perturbed number.

dJ/dc is found by adding a dual number to one entry of c at one time and running on; no rule of the engine, no chain
rule over its terms and no pass back in time is used. The width is 4, whose root is rational.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.audit.dual_numbers import Dual, DualValues, scaled, times, total
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.audit.world import HORIZON, World
from wideproof.derive.calculus.recursion_rules import OUTPUT
from wideproof.derive.language.program import (
    Bias,
    Coordinate,
    Input,
    MatVec,
    Parameter,
    Previous,
    Updated,
    coordinates_of,
)
from wideproof.derive.limits.adjoint import Cotangent, Gradient, Local, Outer, Pullback

WIDTH, SIDE = 4, 2
Place = tuple[str, Any, int]
"""What is perturbed: its kind, the coordinate or parameter, and the time."""
NOWHERE: Place = ("none", None, -1)


class UnrolledNetwork:
    """A network with drawn rational parameters, run from the base of a tangent program."""

    def __init__(self, world: World) -> None:
        self.world, self.base = world, world.program.base or world.program
        self.drawn: dict[Any, list[list[Fraction]]] = {}
        self.slopes: dict[Place, Fraction] = {}
        self.read: dict[Any, list[tuple[Any, int]]] = {}
        self.activated: dict[tuple[int, int], dict[Any, Dual]] = {}
        self.quiet = _Pass(self, NOWHERE)

    def numbers(self, key: Any, rows: int, columns: int) -> list[list[Fraction]]:
        """The numbers of a parameter, an input or a cost, drawn at the first call."""
        if key not in self.drawn:
            self.drawn[key] = [[self.world.dyadic() / 4 for _ in range(columns)] for _ in range(rows)]
        return self.drawn[key]

    def reads(self, c: Any, time: int) -> list[tuple[Any, int]]:
        """What a coordinate, or the output, is made of: coordinates, each at its time."""
        if (c, time) not in self.read:
            self.read[c, time] = self._reads(c, time)
        return self.read[c, time]

    def _reads(self, c: Any, time: int) -> list[tuple[Any, int]]:
        if c == OUTPUT:
            return [(x, time) for x in coordinates_of(self.base.output)]
        match self.base.table[c]:
            case Previous(state):
                before = time + state.back
                return [(self.base.updated[state], before)] if 0 <= before < HORIZON else []
            case Updated():
                return [(x, time) for x in coordinates_of(self.base.bodies[c])]
            case MatVec(_, vector):
                return [(x, time) for x in coordinates_of(vector)]
        return []

    def slope(self, place: Place) -> Fraction:
        """dJ/d(the first entry at a place), J a random linear function of all outputs."""
        if place not in self.slopes:
            run = _Pass(self, place)
            outputs = [run.value(OUTPUT, time) for time in range(HORIZON)]
            self.slopes[place] = sum(
                (
                    e[0] * y[1]
                    for time, row in enumerate(outputs)
                    for e, y in zip(self.numbers(("cost", time), SIDE, 1), row, strict=True)
                ),
                start=Fraction(0),
            )
        return self.slopes[place]


class _Pass:
    """One run forward in dual numbers, perturbed at one place; what that does not reach is as it is without."""

    def __init__(self, net: UnrolledNetwork, place: Place) -> None:
        self.net, self.place = net, place
        self.memo: dict[Any, list[Dual]] = {}
        self.reached: dict[Any, bool] = {}

    def reaches(self, c: Any, time: int) -> bool:
        """Whether what is perturbed is read by a coordinate at a time, through others too."""
        if (c, time) not in self.reached:
            self.reached[c, time] = self._begins(c, time) or any(self.reaches(*x) for x in self.net.reads(c, time))
        return self.reached[c, time]

    def _begins(self, c: Any, time: int) -> bool:
        """Whether it is perturbed itself, or a parameter or vector of its own."""
        term = self.net.base.table.get(c)
        own = getattr(term, "matrix", getattr(term, "parameter", None))
        places = (("node", c, time), ("read", c, time), ("by product", c, time), ("by", own and own.name, time))
        return self.place in places

    def value(self, c: Any, time: int) -> list[Dual]:
        """A coordinate, or the output, at a time."""
        if self.place != NOWHERE and not self.reaches(c, time):
            return self.net.quiet.value(c, time)
        if (c, time) not in self.memo:
            found = self.vector(self.net.base.output, time, SIDE) if c == OUTPUT else self._term(c, time)
            self.memo[c, time] = self._moved(found, ("node", c, time))
        return self.memo[c, time]

    def vector(self, expr: sp.Expr, time: int, size: int = WIDTH) -> list[Dual]:
        """An expression in coordinates at a time."""
        return [self.entry(expr, time, i) for i in range(size)]

    def _moved(self, vector: list[Dual], place: Place) -> list[Dual]:
        return [(vector[0][0], vector[0][1] + 1), *vector[1:]] if place == self.place else vector

    def _term(self, c: Coordinate, time: int) -> list[Dual]:
        net = self.net
        match net.base.table[c]:
            case Input():
                return [(row[0], Fraction(0)) for row in net.numbers(("x", time), SIDE, 1)]
            case Previous(state):
                if 0 <= time + state.back < HORIZON:
                    return self.value(net.base.updated[state], time + state.back)
                start = net.numbers(("start", state), WIDTH, 1)
                return [(row[0] if state.initial != 0 else Fraction(0), Fraction(0)) for row in start]
            case Updated():
                return self.vector(net.base.bodies[c], time)
            case Bias(parameter):
                size = SIDE if c in net.base.output.free_symbols else WIDTH
                return [row[0] for row in self._parameter(parameter, time, size, 1, c)]
            case MatVec(matrix, vector):
                return self._product(matrix, vector, time, c)
        raise AssertionError(c)

    def _product(self, matrix: Parameter, vector: sp.Expr, time: int, c: Coordinate) -> list[Dual]:
        inner = self.value(vector, time) if matrix.role == "input_map" else self.vector(vector, time)
        inner = self._moved(inner, ("read", c, time))
        rows = SIDE if matrix.role == "readout" else WIDTH
        scale = Fraction(1) if matrix.role == "input_map" else Fraction(1, 2)
        entries = self._parameter(matrix, time, rows, len(inner), c)
        return [scaled(scale, total(times(m, v) for m, v in zip(row, inner, strict=True))) for row in entries]

    def _parameter(self, parameter: Parameter, time: int, rows: int, columns: int, c: Coordinate) -> list[list[Dual]]:
        key = (parameter.name, -1 if parameter.tied else time)
        found = [[(x, Fraction(0)) for x in row] for row in self.net.numbers(key, rows, columns)]
        if self.place in (("by", parameter.name, time), ("by product", c, time)):
            found[0][-1] = (found[0][-1][0], Fraction(1))
        return found

    def entry(self, expr: sp.Expr, time: int, i: int) -> Dual:
        """One entry of an expression."""
        world, seen = self.net.world, self.net.activated.setdefault((time, i), {})
        read = DualValues(lambda c: self.value(c, time)[i], world.activations.__getitem__, world.fraction, seen)
        return read.of(expr)


def _net(world: World) -> UnrolledNetwork:
    if "unrolled" not in world.memo:
        world.memo["unrolled"] = UnrolledNetwork(world)
    return world.memo["unrolled"]


def _slope(kind: str) -> Any:
    def meaning(world: World, expr: sp.Expr, at: Any) -> Any:
        what, time = expr.args[0], world.integer(expr.args[1], at)
        key = str(what) if kind == "by" else what
        return sp.Rational(_net(world).slope((kind, key, time))) if 0 <= time < HORIZON else sp.S.Zero

    return meaning


def _local(world: World, expr: sp.Expr, at: Any) -> Any:
    time = world.integer(expr.args[1], at)
    return sp.Rational(_net(world).quiet.entry(expr.args[0], time, 0)[0]) if 0 <= time < HORIZON else sp.S.Zero


MEANINGS |= {
    Cotangent: _slope("node"),
    Pullback: _slope("read"),
    Outer: _slope("by product"),
    Gradient: _slope("by"),
    Local: _local,
}
