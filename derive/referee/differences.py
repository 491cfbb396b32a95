"""How a wrong formula is wrong: at which lags, by which factor or shift of the lag, and where it would be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import combinations

import sympy as sp

from wideproof.derive.algebra.lag_identities import is_short, vanishes
from wideproof.derive.algebra.linear_recurrences import textbook
from wideproof.derive.referee.values import differ, points_of, value_or_none

LONGEST, SIMPLE, SHOWN = 120, 10_000, 2
"""Characters of a difference that is shown; the largest denominator of a factor that is
guessed, before it is proved; times that are listed."""


def told(formula: sp.Expr, derived: sp.Expr, point: Mapping[sp.Symbol, sp.Expr], indices: list[sp.Symbol]) -> list[str]:
    """Sentences that were proved about a formula and the derived one, which differ at a point.

    Source: the normal form of lag identities.
    """
    lag = indices[0] if len(indices) == 1 else None
    found = [*_factor(formula, derived, point)]
    if lag is not None:
        found += [*_shift(formula, derived, lag), *_lags(formula, derived, point, lag)]
    return [*found, *_symbols(formula, derived), *_difference(formula, derived)]


def without_value(formula: sp.Expr, derived: sp.Expr) -> Iterator[str]:
    """Where a formula that is right has no value of its own, such as j nu_W^(j - 1) at lag 0 and variance 0."""
    points = points_of({x for x in formula.free_symbols | derived.free_symbols if x.is_real})
    holes = dict[str, list[str]]()
    for row in points.rows:
        edge = ", ".join(f"{x} = 0" for x, number in row.items() if number == 0)
        for times in points.times if edge else []:
            at = {**times, **row}
            if value_or_none(formula, at) is None and value_or_none(derived, at) is not None:
                holes.setdefault(edge, []).append(", ".join(f"{x} = {number}" for x, number in times.items()))
    for edge, at_times in holes.items():
        when = "" if len(at_times) == len(points.times) else f", {'; '.join(at_times[:SHOWN])}"
        more = " and elsewhere" if when and len(at_times) > SHOWN else ""
        yield f"At {edge}{when}{more} the formula has no value of its own: read it as a limit."


def _factor(formula: sp.Expr, derived: sp.Expr, point: Mapping[sp.Symbol, sp.Expr]) -> Iterator[str]:
    own, known = (value_or_none(x, point) for x in (formula, derived))
    if own is not None and known is not None and known != 0:
        ratio = _rational(own / known)
        if ratio != 0 and _is_zero(formula - ratio * derived):
            yield f"The formula is {ratio} times the derived one, everywhere."
            return
    for x in _numbers(formula, derived):
        for power in (1, -1, sp.S.Half, -sp.S.Half):
            if _is_zero(formula - x**power * derived):
                yield f"The formula is {x**power} times the derived one, everywhere."
                return
    if _is_zero(formula - derived**2):
        yield "The formula is the square of the derived one."
    elif _is_zero(formula**2 - derived):
        yield "The formula is a root of the derived one."


def _rational(number: sp.Expr) -> sp.Rational:
    """The number, or a simple one near it."""
    if number.is_Rational:
        return number
    near = Fraction(float(number)).limit_denominator(SIMPLE)
    return sp.Rational(near.numerator, near.denominator)


def _shift(formula: sp.Expr, derived: sp.Expr, lag: sp.Symbol) -> Iterator[str]:
    for steps in (1, 2):
        if _is_zero(formula - derived.xreplace({lag: lag + steps})):
            yield f"The formula at lag {lag} is the derived one at lag {lag + steps}."
        elif _is_zero(formula.xreplace({lag: lag + steps}) - derived):
            yield f"The formula at lag {lag + steps} is the derived one at lag {lag}."


def _lags(formula: sp.Expr, derived: sp.Expr, point: Mapping[sp.Symbol, sp.Expr], lag: sp.Symbol) -> Iterator[str]:
    """Whether the formula is right before the first lag at which it is wrong, and after it."""
    first = int(point[lag])
    gap = formula - derived
    least = int(lag.is_positive or 0)
    if first > least and all(_is_zero(gap.xreplace({lag: sp.Integer(i)})) for i in range(least, first)):
        before = f"at lag {least}" if first == least + 1 else f"at lags {least} to {first - 1}"
        yield f"The two agree {before}."
    if _is_zero(gap.xreplace({lag: lag + first + 1})):
        yield f"The two agree at every lag from {first + 1} on."


def _symbols(formula: sp.Expr, derived: sp.Expr) -> Iterator[str]:
    """The symbols that one side lacks, and what the symbols would have to be."""
    numbers, lacking = _numbers(formula, derived), _numbers(derived) - _numbers(formula)
    for x in sorted(lacking, key=str):
        yield f"The formula does not contain {x}."
    gap = formula - derived
    ranked = sorted(numbers, key=str)
    special = [f"{x} = {number}" for x in ranked for number in (0, 1) if _agree(gap, x, sp.Integer(number))]
    special += [f"{x} = {y}" for x, y in combinations(ranked, 2) if _agree(gap, x, y)]
    if special:
        yield f"The two agree where {' or where '.join(special)}."


def _agree(gap: sp.Expr, x: sp.Symbol, other: sp.Expr) -> bool:
    return _is_zero(gap.xreplace({x: other}))


def _is_zero(gap: sp.Expr) -> bool:
    """Whether an expression is proved zero, if it is at a few points."""
    points = points_of({x for x in gap.free_symbols if x.is_real})
    some = ({**times, **row} for times in points.times[1:3] or points.times for row in points.rows[1:3] or points.rows)
    values = (value_or_none(gap, at) for at in some)
    return all(x is None or not differ(x, sp.S.Zero) for x in values) and vanishes(gap)


def _numbers(*exprs: sp.Expr) -> set[sp.Symbol]:
    return {x for expr in exprs for x in expr.free_symbols if x.is_real and not x.is_integer}


def _difference(formula: sp.Expr, derived: sp.Expr) -> Iterator[str]:
    gap = formula - derived
    if not is_short(gap, LONGEST):
        return
    written = sp.powsimp(sp.expand(textbook(gap)))
    if len(str(written)) <= LONGEST:
        yield f"Formula minus derived: {written}."
