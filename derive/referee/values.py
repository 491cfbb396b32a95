"""Exact values of formulas at whole times and rational variances, in a fixed order: where two of them differ first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

import sympy as sp

from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.calculus.moments import Gram

DIGITS, SAME = 60, 40
"""Digits of irrational values, and of those the ones that must agree."""
LARGEST_EXPONENT, MOST_TERMS = 2000, 400
LAGS, LATE, SMALL, PAIRS = 9, (12, 20, 35, 60), 5, 15
"""Whole values of one letter and later ones, of each of several letters, and how many tuples of them."""
SIZES = [sp.Rational(p, q) for p, q in ((1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2), (1, 4), (5, 2), (3, 4))]
ROWS = 6
At = Mapping[sp.Symbol, sp.Expr]


class NoValue(Exception):
    """A formula that has no finite real value at a point."""


class Disagreement(NamedTuple):
    """The first point at which two values differ, the value of the formula (None: it has none) and the derived one."""

    point: dict[sp.Symbol, sp.Expr]
    formula: sp.Expr | None
    derived: sp.Expr


class SamplePoints(NamedTuple):
    """Whole values of the indices, and rows of numbers for the other symbols."""

    times: list[dict[sp.Symbol, sp.Expr]]
    rows: list[dict[sp.Symbol, sp.Expr]]


def value(expr: sp.Expr, at: At) -> sp.Expr:
    """The value of an expression at a point, exact where it is rational.  Errors: NoValue."""
    found = _value(expr, at)
    if not found.is_Rational:
        found = sp.N(found.doit(), DIGITS, chop=True)
    if not (found.is_Rational or found.is_Float) or not found.is_finite:
        raise NoValue(str(expr))
    return found


def value_or_none(expr: sp.Expr, at: At) -> sp.Expr | None:
    """The value, or None where there is none."""
    try:
        return value(expr, at)
    except NoValue:
        return None


def _value(expr: sp.Expr, at: At) -> sp.Expr:
    if expr.is_Rational or expr.is_NumberSymbol:
        return expr
    if expr.is_Symbol:
        return at[expr]
    if isinstance(expr, sp.Sum):
        return _sum(expr, at)
    parts = [_value(x, at) for x in expr.args if not (isinstance(expr, Gram) and x.is_Symbol and x not in at)]
    if isinstance(expr, Gram):  # x_t = (1, t), x'_s = (1, s), and nothing before time 0
        return 1 + parts[0] * parts[1] if min(parts) >= 0 else sp.S.Zero
    if expr.is_Pow:
        return _power(*parts)
    if isinstance(expr, PowerDD) and not (parts[0].is_Integer and parts[0] <= LARGEST_EXPONENT):
        raise NoValue(str(expr))
    try:
        found = expr.func(*parts)
    except (TypeError, ValueError, ArithmeticError) as error:  # max of what is no number
        raise NoValue(str(expr)) from error
    if found.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise NoValue(str(expr))
    return found


def _power(base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
    size = abs(exponent)
    if base == 0 and not exponent.is_nonnegative:
        raise NoValue("a division by zero")
    if exponent.is_Rational and size > LARGEST_EXPONENT:
        raise NoValue("a large power")
    if base.is_Rational and exponent.is_Integer and size * (base.p.bit_length() + base.q.bit_length()) > 10**5:
        raise NoValue("a large number")
    return base**exponent


def _sum(expr: sp.Sum, at: At) -> sp.Expr:
    *outer, (index, low, high) = expr.limits
    first, last = _value(low, at), _value(high, at)
    if not (first.is_Integer and last.is_Integer) or last - first > MOST_TERMS:
        raise NoValue("a sum without end")
    term = sp.Sum(expr.function, *outer) if outer else expr.function
    return sp.Add(*(_value(term, {**at, index: sp.Integer(i)}) for i in range(int(first), int(last) + 1)))


def differ(a: sp.Expr, b: sp.Expr) -> bool:
    """Whether two values differ, exactly for rationals, else in many digits."""
    if a.is_Rational and b.is_Rational:
        return bool(a != b)
    return bool(abs(a - b) > sp.Float(10) ** -SAME * max(abs(a), abs(b), 1))


def points_of(symbols: set[sp.Symbol]) -> SamplePoints:
    """The points that are tried, the same every time: small times first, all numbers 1, then all different, then 0."""
    whole = sorted((x for x in symbols if x.is_integer), key=str)
    real = sorted((x for x in symbols if not x.is_integer), key=str)
    if len(whole) == 1:
        grid: list[tuple[int, ...]] = [(lag,) for lag in (*range(LAGS), *LATE)]
    else:
        grid = sorted(product(range(SMALL), repeat=len(whole)), key=lambda row: (sum(row), row))[:PAIRS]
    least = [int(x.is_positive or 0) for x in whole]
    times = [{x: sp.Integer(k + low) for x, k, low in zip(whole, row, least, strict=True)} for row in grid]
    return SamplePoints(times, list(_rows(real)))


def _rows(real: list[sp.Symbol]) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    yield dict.fromkeys(real, sp.S.One)
    if not real:
        return
    generic = [
        {x: (-1) ** (row * (not x.is_nonnegative)) * SIZES[(k + 2 * row) % len(SIZES)] for k, x in enumerate(real)}
        for row in range(ROWS)
    ]
    yield from generic
    yield from (generic[0] | {x: sp.S.Zero} for x in real)
