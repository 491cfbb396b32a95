"""The rules of the referee: a formula is the derived one, is still a bound, or has another value at a point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from wideproof.derive.algebra.lag_identities import never_negative, vanishes
from wideproof.derive.emit.derivation import read_off
from wideproof.derive.language.notation import T, j
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.linear.scale_factor_bounds import DECAY, LargestRho
from wideproof.derive.proof.claims import Agreement, Claim, Inequality, Question, Refutation, StillBounded
from wideproof.derive.proof.proof import Proof
from wideproof.derive.proof.rules import Ask, rule
from wideproof.derive.referee.values import Disagreement, NoValue, SamplePoints, differ, points_of, value, value_or_none

LATER = sp.Symbol("m", integer=True, nonnegative=True)
"""T = j + 1 + m, where j < T."""


class NotDecided(Exception):
    """A rule of the referee that neither accepts nor refuses a formula, with the reason."""


def filled(expr: sp.Expr, question: Question) -> sp.Expr:
    """An expression with the numbers of the question for its symbols."""
    return expr.xreplace(dict(question.at))


def derived_of(question: Question, goal: Claim, program: Any) -> sp.Expr:
    """What the goal states about the quantity, in closed form.  Errors: NotDecided where it states none."""
    expr = read_off(question.quantity, Proof(program, goal, ())).expr
    if expr is None:
        raise NotDecided("the derived formula is a recurrence; no closed form is derived")
    return filled(expr, question)


def is_bound(goal: Claim) -> bool:
    """Whether the quantity is the right side of an inequality, so that larger ones are bounds too; no lag is that."""
    return isinstance(goal, Inequality) and not isinstance(goal.right, Rho)


@rule(
    "referee-equality",
    source="powers of the lag as letters; sums over the lag telescope; quotients of polynomials",
    rank=990,
    says="in one normal form, every power of the lag a letter of its own, the formula put forward is the derived one:",
)
def referee_equality(subject: Question, ask: Ask) -> Claim:
    """The difference of formula and derived formula has the normal form zero."""
    derived = derived_of(subject, ask(subject.rule, subject.about), ask.program)
    if not vanishes(filled(subject.formula, subject) - derived):
        raise NotDecided("the normal form of their difference is not zero")
    return Agreement(subject, derived)


@rule(
    "referee-bound",
    source="a quotient of polynomials with non-negative coefficients is not negative",
    rank=1000,
    says="the formula put forward exceeds a bound by a quotient of polynomials without negative coefficients; hence",
)
def referee_bound(subject: Question, ask: Ask) -> Claim:
    """What is at least a bound is a bound."""
    goal = ask(subject.rule, subject.about)
    derived = derived_of(subject, goal, ask.program)
    if not is_bound(goal):
        raise NotDecided("")
    slack = filled(subject.formula, subject) - derived
    if not never_negative(slack.xreplace(_within(_domain(goal)))):
        raise NotDecided("the formula is not seen to be at least the derived bound")
    domain = tuple(x for x in (filled(x, subject) for x in _domain(goal)) if x != sp.true)
    return StillBounded(subject, derived, domain)


@rule(
    "referee-counterexample",
    source="exact values at one point",
    rank=1010,
    says="the formula put forward is refuted by exact numbers:",
)
def referee_counterexample(subject: Question, ask: Ask) -> Claim:
    """The first of the points, in a fixed order, at which the formula has another value than the derived one."""
    goal = ask(subject.rule, subject.about)
    derived = derived_of(subject, goal, ask.program)
    bounds = is_bound(goal)
    if bounds:
        derived = _bounded(subject, goal, ask)
    found = first_difference(subject, derived, _domain(goal), bounds)
    if found is None:
        raise NotDecided(f"no difference at the {compared(subject, derived, _domain(goal))} points that were tried")
    return Refutation(subject, derived, tuple(sorted(found.point.items(), key=str)), "<=" if bounds else "=")


def _bounded(question: Question, goal: Any, ask: Ask) -> sp.Expr:
    """The exact value of what the goal bounds."""
    if not isinstance(goal.left, Rho):
        raise NotDecided("it is a bound that may not be attained, so that a smaller one may be true")
    return filled(ask.equation("scale-factors", goal.left).right, question)


def _within(domain: tuple[sp.Expr, ...]) -> dict[sp.Symbol, sp.Expr]:
    """The letters of a domain in others that are not negative: j < T, and numbers up to 1."""
    found = {T: j + 1 + LATER} if sp.Le(j + 1, T) in domain else {}
    return found | {x.lhs: 1 / (1 + DECAY) for x in domain if x.func is sp.Le and x.rhs == 1 and x.lhs.is_Symbol}


def _domain(goal: Claim) -> tuple[sp.Expr, ...]:
    """The relations between letters where a bound is one; those about matrices are left to the goal."""
    relations = goal.domain if isinstance(goal, Inequality) else ()
    return tuple(x for x in relations if all(y.is_real for y in x.free_symbols))


def tried(question: Question, derived: sp.Expr, domain: tuple[sp.Expr, ...] = ()) -> SamplePoints:
    """The points at which a formula is compared."""
    exprs = (filled(question.formula, question), derived, *(filled(x, question) for x in domain))
    return points_of(set().union(*(x.free_symbols - _labels(x) for x in exprs)))


def _labels(expr: sp.Expr) -> set[sp.Symbol]:
    """The names of the two sequences, which are no numbers."""
    return {x for x in expr.free_symbols if not x.is_real}


def first_difference(
    question: Question,
    derived: sp.Expr,
    domain: tuple[sp.Expr, ...],
    bounds: bool = False,
    at: Mapping[sp.Symbol, sp.Expr] | None = None,
) -> Disagreement | None:
    """The first point of the domain at which the formula has no value, or another; as a bound, a smaller one.

    `at` holds numbers that are not tried but given.
    """
    question = replace(question, at=(*question.at, *(at or {}).items()))
    formula = filled(question.formula, question)
    relations = [filled(x, question) for x in domain]
    points = tried(question, derived, domain)
    for times in points.times:
        rows = [{**times, **row} for row in points.rows]
        seen = list(_values(with_largest(formula, derived, times), derived, rows, relations))
        for found in seen:
            if found.formula is not None and _is_wrong(found, bounds):
                return found
        apart = [x for x in seen if all(number != 0 for key, number in x.point.items() if not key.is_integer)]
        if apart and all(x.formula is None for x in apart):
            return apart[0]
    return None


def with_largest(formula: sp.Expr, rho: sp.Expr, times: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """A bound with the largest scale factor written out, at a horizon that is a number."""
    if not formula.has(LargestRho):
        return formula
    lags = [rho.xreplace({j: sp.Integer(i)}) for i in range(int(times[T]))]
    return formula.xreplace({LargestRho(T): sp.Max(*lags, evaluate=False)})


def compared(question: Question, derived: sp.Expr, domain: tuple[sp.Expr, ...]) -> int:
    """The number of points at which both the formula and the derived one have a value."""
    points, formula = tried(question, derived, domain), filled(question.formula, question)
    rows = [{**times, **row} for times in points.times for row in points.rows]
    found = _values(formula, derived, rows, [filled(x, question) for x in domain])
    return sum(x.formula is not None for x in found)


def _is_wrong(found: Disagreement, bounds: bool) -> bool:
    assert found.formula is not None
    return differ(found.formula, found.derived) and (not bounds or bool(found.derived > found.formula))


def _values(
    formula: sp.Expr, derived: sp.Expr, rows: list[dict[sp.Symbol, sp.Expr]], domain: list[sp.Expr]
) -> Iterator[Disagreement]:
    for at in rows:
        known = value_or_none(derived, at) if all(_holds(x, at) for x in domain) else None
        if known is not None:
            yield Disagreement(at, value_or_none(formula, at), known)


def _holds(relation: sp.Expr, at: Mapping[sp.Symbol, sp.Expr]) -> bool:
    if relation in (sp.true, sp.false):
        return bool(relation)
    try:
        return bool(relation.func(value(relation.lhs, at), value(relation.rhs, at)))
    except NoValue:
        return False
