"""The independent audit of the referee's verdicts: both sides evaluated, by none of the rules that joined them."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.audit.auditor import check
from wideproof.derive.audit.inequalities import at_point, draws, exceeds
from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.audit.world import DrawnInputs, World
from wideproof.derive.language.errors import ProofError
from wideproof.derive.proof.claims import Agreement, Inequality, Question, Refutation, StillBounded

POINTS = 12
GENERIC = 3
"""Random points at which both sides are evaluated, and of those the ones that must have a value."""


@check.register
def _(claim: Agreement, world: World) -> None:
    """Formula and derived value agree at random points; few of them may be without value."""
    formula = _filled(claim.question, claim.question.formula)
    free = sorted(_letters(formula, world) | _letters(claim.derived, world), key=str)
    seen = 0
    for at in list(draws(world, free))[:POINTS] if free else [{}]:
        moved = _at(world, claim.question, at)
        left, right = _value(moved, formula, at), _value(moved, claim.derived, at)
        if left is None or right is None:
            continue
        seen += 1
        if exceeds(left, right) or exceeds(right, left):
            raise ProofError("audit", right, left, f"At {at} the formula {formula} is another number.")
    if seen < min(GENERIC, len(free) + 1):
        raise ProofError("audit", "values of the formula", "none", f"{formula} has hardly a value.")


@check.register
def _(claim: StillBounded, world: World) -> None:
    """The derived bound is at most the formula."""
    check(Inequality(claim.derived, _filled(claim.question, claim.question.formula), claim.domain), world)


@check.register
def _(claim: Refutation, world: World) -> None:
    """The formula has no value at the point, or another than the derived one; as a bound, one below it."""
    at = dict(claim.point)
    moved = _at(world, claim.question, at)
    formula = _filled(claim.question, claim.question.formula)
    left, right = _value(moved, formula, at), _value(moved, claim.derived, at)
    if right is None:
        raise ProofError("audit", "a derived value", "none", f"{claim} says nothing.")
    if left is None:
        return
    differs = exceeds(right, left) or (claim.relation == "=" and exceeds(left, right))
    if not differs:
        raise ProofError("audit", f"a number that differs from {right}", left, f"{claim} refutes nothing.")


def _filled(question: Question, expr: sp.Expr) -> sp.Expr:
    return expr.xreplace(dict(question.at))


def _letters(expr: sp.Expr, world: World) -> set[sp.Symbol]:
    """The symbols of an expression that stand for numbers: not the labels of sequences, nor what a sum binds."""
    return {x for x in expr.free_symbols if x.is_real and (x in world.parameters or x not in world.program.table)}


def _at(world: World, question: Question, at: dict[sp.Symbol, Any]) -> World:
    """The world with these numbers, and with the inputs x_t = (1, t) of both sequences."""
    moved = at_point(world, dict(question.at) | at)
    moved.inputs = DrawnInputs(lambda time: [Fraction(1), Fraction(time)])
    return moved


def _value(world: World, expr: sp.Expr, at: dict[sp.Symbol, Any]) -> sp.Expr | None:
    """The real finite value of an expression, or None."""
    try:
        found = sp.sympify(world.number(expr, at), strict=True)
    except (TypeError, ValueError):  # max of what is no number
        return None
    if found.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        return None
    number = found if found.is_Rational else sp.N(found, 40)
    return number if number.is_Rational or number.is_Float else None
