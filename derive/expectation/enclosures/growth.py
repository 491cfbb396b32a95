"""How large a function is on the whole real line, from its structure, in constants that hold.

|phi(z)| <= factor (1 + |z|)^degree exp(rate |z|) for every real z: sums, products and compositions of such bounds. With
it, what a Gaussian integral leaves out beyond some number of deviations is at most a number that is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import sympy as sp

from wideproof.derive.algebra.ball_code import emitted, flint
from wideproof.derive.language.activations import Z
from wideproof.derive.language.errors import NotAccurate

UNIT = (sp.tanh, sp.erf, sp.sin, sp.cos, sp.sign, sp.Heaviside)
"""Functions that stay within -1 and 1 on the real line."""
CELLS = 256
"""Parts of an interval over which a polynomial is enclosed."""


@dataclass(frozen=True)
class Growth:
    """|phi(z)| <= factor (1 + |z|)^degree exp(rate |z|) for every real z; numbers are balls, degree a whole number."""

    factor: Any
    degree: int
    rate: Any

    def beyond(self, mean: Any, deviation: Any, reach: Any) -> Any:
        """At least E[phi(mean + deviation x)^2; |x| > reach], x standard normal.

        (1 + |mean| + deviation x)^(2 degree) grows from x = reach on by at most exp(lift (x - reach)), since
        log(1 + y) <= y; what is left is the tail of a shifted normal variable.
        """
        arb = flint().arb
        at = 1 + abs(mean) + deviation * reach
        lift = 2 * self.degree * deviation / at
        tilt = lift + 2 * self.rate * deviation
        tail = ((reach - tilt) / arb(2).sqrt()).erfc() / 2
        size = self.factor**2 * at ** (2 * self.degree) * (2 * self.rate * abs(mean) - lift * reach + tilt**2 / 2).exp()
        return 2 * size * tail


def growth_of(expr: sp.Expr) -> Growth:
    """The bound on an expression in z, from its parts.  Errors: NotAccurate where its structure gives none."""
    arb = flint().arb
    if not expr.has(Z):
        return Growth(abs(_number(expr)), 0, arb(0))
    if expr == Z:
        return Growth(arb(1), 1, arb(0))
    if isinstance(expr, UNIT):
        return Growth(arb(1), 0, arb(0))
    if isinstance(expr, sp.atan):
        return Growth(arb.pi() / 2, 0, arb(0))
    rule = next((rule for kinds, rule in RULES if isinstance(expr, kinds)), None)
    return _unbounded(expr) if rule is None else rule(expr)


def _number(expr: sp.Expr) -> Any:
    return flint().acb(emitted([], expr)(False)).real


def _unbounded(expr: sp.Expr) -> Any:
    raise NotAccurate(
        "enclosure",
        "a function whose size on the real line follows from its structure",
        str(expr),
        "Sums, products, powers and compositions of the functions of define are bounded where denominators and "
        "arguments of logarithms stay above a positive number by their form, as in 1/(1 + z**2).",
    )


# ---- growth of sums, products and functions -------------------------------------------------------------
def largest(parts: list[Growth]) -> Growth:
    """A bound on each of several functions."""
    return _largest(parts, reduce(lambda x, y: x.max(y), (x.factor for x in parts)))


def _largest(parts: list[Growth], factor: Any) -> Growth:
    return Growth(factor, max(x.degree for x in parts), reduce(lambda x, y: x.max(y), (x.rate for x in parts)))


def _sum(expr: sp.Expr) -> Growth:
    parts = [growth_of(x) for x in expr.args]
    return _largest(parts, sum((x.factor for x in parts), flint().arb(0)))


def _extreme(expr: sp.Expr) -> Growth:
    return largest([growth_of(x) for x in expr.args])


def _product(expr: sp.Expr) -> Growth:
    parts = [growth_of(x) for x in expr.args]
    zero, one = flint().arb(0), flint().arb(1)
    factor = reduce(lambda x, y: x * y, (x.factor for x in parts), one)
    return Growth(factor, sum(x.degree for x in parts), sum((x.rate for x in parts), zero))


def _power(expr: sp.Pow) -> Growth:
    if expr.exp.has(Z):
        return _exponential(sp.exp(expr.exp * sp.log(expr.base), evaluate=False))
    power = _number(expr.exp)
    if expr.exp.is_negative:
        least = least_of(expr.base)
        if not least > 0:
            return _unbounded(expr)
        return Growth(least**power, 0, flint().arb(0))
    base = growth_of(expr.base)
    return Growth(base.factor**power, int(sp.ceiling(base.degree * expr.exp)), base.rate * power)


def _exponential(expr: sp.Expr) -> Growth:
    level, slope = ceiling_of(expr.args[0])
    return Growth(level.exp(), 0, slope)


def _hyperbolic(expr: sp.Expr) -> Growth:
    level, slope = _linear(expr.args[0])
    return Growth(level.exp(), 0, slope)


def _logarithm(expr: sp.Expr) -> Growth:
    """log of what lies between least and factor (1 + |z|)^degree exp(rate |z|)."""
    least, most = least_of(expr.args[0]), growth_of(expr.args[0])
    if not least > 0:
        return _unbounded(expr)
    level = abs(least.log()).max(abs(most.factor.log()))
    return Growth(level + most.degree + most.rate, 1, flint().arb(0))


RULES: tuple[tuple[Any, Callable[[sp.Expr], Growth]], ...] = (
    (sp.Add, _sum),
    (sp.Mul, _product),
    (sp.Abs, lambda expr: growth_of(expr.args[0])),
    ((sp.Max, sp.Min), _extreme),
    (sp.exp, _exponential),
    (sp.Pow, _power),
    ((sp.sinh, sp.cosh), _hyperbolic),
    (sp.log, _logarithm),
)


# ---- one-sided bounds -----------------------------------------------------------------------------------
def _linear(expr: sp.Expr) -> tuple[Any, Any]:
    """|expr| <= level + slope |z|."""
    if expr.is_polynomial(Z) and sp.degree(expr, Z) <= 1:
        return abs(_number(expr.subs(Z, 0))), abs(_number(sp.diff(expr, Z)))
    size = growth_of(expr)
    if size.degree > 1 or not bool(size.rate == 0):
        return _unbounded(expr)
    return size.factor, size.factor * size.degree


def ceiling_of(expr: sp.Expr) -> tuple[Any, Any]:
    """(level, slope) with expr <= level + slope |z| for every real z.  Errors: NotAccurate."""
    zero = flint().arb(0)
    if expr.is_nonpositive:
        return zero, zero
    if expr.is_polynomial(Z):
        return _linear(expr) if sp.degree(expr, Z) <= 1 else (-_least_value(sp.Poly(-expr, Z)), zero)
    if isinstance(expr, sp.Add):
        polynomial = sp.Add(*(x for x in expr.args if x.is_polynomial(Z)))
        parts = [ceiling_of(x) for x in (polynomial, *(x for x in expr.args if not x.is_polynomial(Z)))]
        return sum((x for x, _ in parts), zero), sum((x for _, x in parts), zero)
    return _linear(expr)


def least_of(expr: sp.Expr) -> Any:
    """A number below an expression at every real z.  Errors: NotAccurate."""
    arb = flint().arb
    if not expr.has(Z):
        return _number(expr)
    if isinstance(expr, sp.exp | sp.Abs) or (expr.is_Pow and expr.exp.is_even and expr.exp.is_positive):
        return arb(0)
    if isinstance(expr, sp.cosh):
        return arb(1)
    if expr.is_polynomial(Z):
        return _least_value(sp.Poly(expr, Z))
    if isinstance(expr, sp.Add):
        return sum((least_of(x) for x in _gathered(expr)), arb(0))
    if isinstance(expr, UNIT):
        return arb(-1)
    if isinstance(expr, sp.Mul | sp.Pow):
        return _least_product(expr)
    return _unbounded(expr)


def _gathered(expr: sp.Add) -> list[sp.Expr]:
    """The terms of a sum, its polynomial part as one."""
    rest = [x for x in expr.args if not x.is_polynomial(Z)]
    return [sp.Add(*(x for x in expr.args if x.is_polynomial(Z))), *rest]


def _least_product(expr: sp.Expr) -> Any:
    """Of factors that are not negative, and of a power of one."""
    arb = flint().arb
    if expr.is_Pow and not expr.exp.has(Z):
        base = least_of(expr.base)
        return base ** _number(expr.exp) if expr.exp.is_positive and base >= 0 else _sign_only(expr)
    constant, rest = expr.as_independent(Z)
    if constant.is_negative:
        level, slope = ceiling_of(-expr)
        return -level if bool(slope == 0) else _unbounded(expr)
    parts = [least_of(x) for x in rest.args] if rest.is_Mul else [least_of(rest)]
    if not all(x >= 0 for x in parts):
        return _unbounded(expr)
    return _number(constant) * reduce(lambda x, y: x * y, parts, arb(1))


def _sign_only(expr: sp.Expr) -> Any:
    return flint().arb(0) if expr.is_nonnegative else _unbounded(expr)


def _least_value(polynomial: sp.Poly) -> Any:
    """A number below a polynomial on the real line: beyond Cauchy's bound of its roots it is positive."""
    arb = flint().arb
    lead, *rest = polynomial.all_coeffs()
    if polynomial.degree() % 2 or not lead.is_positive:
        return _unbounded(polynomial.as_expr())
    if polynomial.degree() == 2:
        slope, level = rest
        return _number(level - slope**2 / (4 * lead))
    numbers = [_number(x) for x in polynomial.all_coeffs()]
    reach = 1 + reduce(lambda x, y: x.max(y), (abs(x / numbers[0]) for x in numbers[1:]))
    half = (reach / CELLS).upper()
    cells = [arb((2 * i + 1 - CELLS) * half, half) for i in range(CELLS)]
    values = [reduce(lambda total, x: total * cell + x, numbers, arb(0)).lower() for cell in cells]
    return arb(min(0, *values))
