"""The independent audit of inequalities and counter-examples: exact values at random rational points of the domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

import sympy as sp

from wideproof.derive.audit.auditor import DIGITS, check
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.audit.world import World, negligible
from wideproof.derive.language.errors import ProofError
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.linear.scale_factor_bounds import LargestRho
from wideproof.derive.proof.claims import Counterexample, Inequality

POINTS, EXTREMES, EDGES, TRIES = 6, 16, 14, 300
TINY, LARGE = sp.Rational(1, 10**9), sp.Integer(7)


def at_point(world: World, values: Mapping[sp.Symbol, Any]) -> World:
    """The same program with other exact values of its symbols."""
    moved = World(world.program, world.random.randrange(2**30), world.meanings, world.order)
    moved.parameters |= {x: Fraction(int(v.p), int(v.q)) for x, v in values.items() if x in moved.parameters}
    return moved


def extremes(world: World, symbols: list[sp.Symbol]) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Points where bounds are attained: whole symbols at their least, others 1 (or 1/2) or nearly 0."""
    real = [x for x in symbols if not x.is_integer]
    least = {x: sp.Integer(int(x.is_positive or 0)) for x in symbols if x.is_integer}
    sizes = [(sp.S.One if x in world.parameters else sp.S.Half, TINY) for x in real]
    for values in islice(product(*sizes), EXTREMES):
        yield {**least, **dict(zip(real, values, strict=True))}


def draws(world: World, symbols: list[sp.Symbol]) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Random points: small integers, and rationals half of which are below 1."""
    pick = world.random.randint
    for _ in range(TRIES):
        yield {
            x: sp.Integer(pick(int(x.is_positive or 0), 5)) if x.is_integer else sp.Rational(pick(1, 9), pick(2, 12))
            for x in symbols
        }


def edges(world: World, symbols: list[sp.Symbol], domain: tuple[sp.Expr, ...]) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Points on the boundary of a domain, and far out where it has none: there it shows whether it is too large."""
    whole = [x for x in symbols if x.is_integer]
    for low, drawn in zip(extremes(world, symbols), draws(world, symbols), strict=False):
        at = low | {x: drawn[x] for x in whole}
        for relation in (x for x in domain if isinstance(x, sp.Le)):
            for x in sorted(relation.lhs.free_symbols - set(whole), key=str):
                yield at | {x: _met(world, relation, at, x)}
        yield from (at | {x: LARGE} for x in symbols if x not in whole)


def _met(world: World, relation: sp.Expr, at: Mapping[sp.Symbol, Any], x: sp.Symbol) -> sp.Expr:
    """The value of a number, in which the left side is linear, at which both sides are equal, or hardly below it."""
    left, right = (_moved(world, at).number(side, at) for side in relation.args)
    if left == 0 or right <= 0:
        return at[x]
    found = sp.sympify(at[x] * right / left, strict=True)
    return found if found.is_Rational else sp.Rational(sp.N(found * (1 - TINY), DIGITS))


def holds(world: World, relation: sp.Expr, at: Mapping[sp.Symbol, Any]) -> bool:
    """Whether a relation of the domain holds at a point."""
    if relation in (sp.true, sp.false):
        return bool(relation)
    return bool(relation.func(world.number(relation.lhs, at), world.number(relation.rhs, at)))


def points(world: World, claim: Inequality) -> Iterator[tuple[World, dict[sp.Symbol, Any]]]:
    """Random points of the domain, and worlds that have them."""
    free = sorted(set().union(*(x.free_symbols for x in (claim.left, claim.right, *claim.domain))), key=str)
    found = 0
    sources = (extremes(world, free), draws(world, free), edges(world, free, claim.domain))
    for source, most in zip(sources, (EXTREMES, POINTS, EDGES), strict=True):
        accepted = (at for at in source if all(holds(_moved(world, at), x, at) for x in claim.domain))
        for at in islice(accepted, most):
            found += 1
            yield _moved(world, at), at
    if found == 0:
        raise ProofError("audit", "points in the domain", claim.domain, "The domain looks empty.")


def _moved(world: World, at: Mapping[sp.Symbol, Any]) -> World:
    """The world at these values: the same one where none of its own symbols is among them."""
    key = ("moved", tuple((x, v) for x, v in at.items() if x in world.parameters))
    if key[1] and key not in world.memo:
        world.memo[key] = at_point(world, at)
    return world.memo[key] if key[1] else world


def exceeds(left: sp.Expr, right: sp.Expr) -> bool:
    """Whether left > right, exactly for rationals, else to many digits."""
    gap = sp.sympify(left, strict=True) - sp.sympify(right, strict=True)
    return (
        bool(gap > 0 and not negligible(gap))
        if gap.is_Rational
        else bool(sp.N(gap, DIGITS) > sp.Float(10) ** (4 - DIGITS))
    )


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
