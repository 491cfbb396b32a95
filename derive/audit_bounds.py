"""The independent audit of inequalities and counter-examples: exact values at random rational points of the domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from .audit import DIGITS, check
from .bounds import LargestRho
from .claims import Counterexample, Inequality
from .convolution import Rho
from .errors import ProofError
from .meanings import MEANINGS
from .world import World

POINTS, TRIES = 6, 600


def at_point(world: World, values: Mapping[sp.Symbol, Any]) -> World:
    """The same program with other exact values of its symbols."""
    moved = World(world.program, world.random.randrange(2**30), world.meanings)
    moved.parameters |= {x: Fraction(int(v.p), int(v.q)) for x, v in values.items() if x in moved.parameters}
    return moved


def draw(world: World, symbols: list[sp.Symbol]) -> dict[sp.Symbol, sp.Expr]:
    """Small random integers for whole symbols, small random rationals, half of them below 1, for the others."""
    pick = world.random.randint
    return {x: sp.Integer(pick(int(x.is_positive or 0), 5)) if x.is_integer else sp.Rational(pick(1, 9), pick(2, 12))
            for x in symbols}


def holds(world: World, relation: sp.Expr, at: Mapping[sp.Symbol, Any]) -> bool:
    """Whether a relation of the domain holds at a point."""
    if relation in (sp.true, sp.false):
        return bool(relation)
    return bool(relation.func(world.number(relation.lhs, at), world.number(relation.rhs, at)))


def points(world: World, claim: Inequality) -> Iterator[tuple[World, dict[sp.Symbol, Any]]]:
    """Random points of the domain, and worlds that have them."""
    free = sorted(set().union(*(x.free_symbols for x in (claim.left, claim.right, *claim.domain))), key=str)
    found = 0
    for _ in range(TRIES):
        at = draw(world, free)
        moved = at_point(world, at) if found == 0 or set(free) & set(world.parameters) else world
        if all(holds(moved, relation, at) for relation in claim.domain):
            found += 1
            yield moved, at
        if found == POINTS:
            return
    raise ProofError("audit", "points in the domain", claim.domain, "The domain looks empty.")


def exceeds(left: sp.Expr, right: sp.Expr) -> bool:
    """Whether left > right, exactly for rationals, else to many digits."""
    gap = sp.sympify(left) - sp.sympify(right)
    return bool(gap > 0) if gap.is_Rational else bool(sp.N(gap, DIGITS) > sp.Float(10) ** (4 - DIGITS))


@check.register
def _(claim: Inequality, world: World) -> None:
    """left <= right at random points of the domain."""
    for moved, at in points(world, claim):
        left, right = moved.number(claim.left, at), moved.number(claim.right, at)
        if exceeds(left, right):
            raise ProofError("audit", f"at most {right}", left, f"At {at} {claim} is false.")


@check.register
def _(claim: Counterexample, world: World) -> None:
    """left > right at the stated point."""
    at = dict(claim.point)
    moved = at_point(world, at)
    left, right = moved.number(claim.left, at), moved.number(claim.right, at)
    if not exceeds(left, right):
        raise ProofError("audit", f"more than {right}", left, f"{claim} is no counter-example.")


def _largest(world: World, expr: sp.Expr, at: Any) -> Any:
    return sp.Max(*(world.number(Rho(sp.Integer(i)), {}) for i in range(world.integer(expr.args[0], at))))


MEANINGS[LargestRho] = _largest
