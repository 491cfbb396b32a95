"""Definitions audited in small rational matrices, tangents by differentiating along a perturbation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from wideproof.derive.audit.world import World, derivative
from wideproof.derive.calculus.recursion_rules import OUTPUT, TANGENT_OUTPUT
from wideproof.derive.calculus.tangent import MARK
from wideproof.derive.language.activations import Phi
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
from wideproof.derive.proof.claims import Equation


class SmallMatrices:
    """The recursion and its tangent with real 2 x 2 rational matrices; the tangent by differentiation."""

    def __init__(self, world: World) -> None:
        self.world, self.program = world, world.program
        self.base = world.program.base or world.program
        self.eps = sp.Dummy("eps")
        self.drawn: dict[Any, sp.Matrix] = {}

    def sides(self, claim: Equation) -> tuple[sp.Expr, sp.Expr]:
        """Both sides of a definition: what the recursion does, and what the claim says."""
        left = claim.left
        own = self.base.output if left in (OUTPUT, TANGENT_OUTPUT) else self.base.bodies.get(left)
        if own is None or left == TANGENT_OUTPUT:
            source = self.base.output if left == TANGENT_OUTPUT else self.base.bodies[self._unmarked(left)]
            moved = self._vector(source, perturbed=True)
            does = moved.diff(self.eps).subs(self.eps, 0)
        else:
            does = self._vector(own)
        says = self._vector(claim.right)
        return does.applyfunc(sp.expand), says.applyfunc(sp.expand)

    def _unmarked(self, c: Coordinate) -> Coordinate:
        term = self.program.table[c]
        assert isinstance(term, Updated)
        return next(b for b in self.base.bodies if b.label == c.label.removeprefix(MARK))

    def _draw(self, key: Any, columns: int) -> sp.Matrix:
        if key not in self.drawn:
            self.drawn[key] = sp.Matrix(2, columns, lambda *_: sp.Rational(self.world.rational()))
        return self.drawn[key]

    def _vector(self, expr: sp.Expr, perturbed: bool = False) -> sp.Matrix:
        coordinates = {c: self._term(c, perturbed) for c in coordinates_of(expr)}
        rows = [self._apply(expr, {c: v[i] for c, v in coordinates.items()}) for i in range(2)]
        return sp.Matrix(rows)

    def _apply(self, expr: sp.Expr, values: Mapping[Coordinate, sp.Expr]) -> sp.Expr:
        def phi(name: sp.Symbol, order: sp.Expr, z: sp.Expr) -> sp.Expr:
            c = derivative(self.world.activations[str(name)], int(order))
            return sp.Add(*(sp.Rational(x) * z**i for i, x in enumerate(c)))

        return (
            expr.xreplace(dict(values))
            .replace(Phi, phi)
            .xreplace({x: sp.Rational(v) for x, v in self.world.parameters.items()})
        )

    def _term(self, c: Coordinate, perturbed: bool) -> sp.Matrix:
        term = self.program.table[c]
        move = self.eps if perturbed else sp.S.Zero
        match term:
            case Input():
                return self._draw("x", 1)
            case MatVec(matrix, vector):
                m = self._parameter(matrix, 2, move)
                return m * self._vector(vector, perturbed)
            case Bias(parameter):
                return self._parameter(parameter, 1, move)
            case Previous(state) | Updated(state):
                kind = type(term).__name__
                value = self._draw((kind, state.name), 1)
                if not perturbed:
                    return value
                return value + move * self._draw((kind, MARK + state.name), 1)

    def _parameter(self, parameter: Parameter, columns: int, move: sp.Expr) -> sp.Matrix:
        own = self._draw(parameter.name, columns)
        return own + move * self._draw(MARK + parameter.name, columns) if parameter.trainable else own
