"""What rounding does to a formula: an a-priori estimate by the size of the terms that are summed, and by how much each
function moves when its argument is rounded.

Every node of an expression has its value and its error, to first order: of a sum, those of the terms and one unit for
each partial sum; of a product, relative errors; of a function, the error of its argument times its derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import damped, erf
from wideproof.derive.expectation.dual_activations import Damped
from wideproof.derive.language.errors import NotClosed

EPS = float(np.finfo(float).eps)
LEAST = float(np.finfo(float).tiny)
"""What a number that vanishes may be off."""
FUNCTION = 4 * EPS
"""The relative error of a function of the array libraries."""


class Rounded(NamedTuple):
    """A number and a bound to first order on its error; shapes broadcast."""

    value: Any
    error: Any = 0.0


def rounding(xp: Any, expr: sp.Expr, given: Mapping[sp.Symbol, Rounded]) -> Any:
    """Return the error of an expression evaluated in double precision.

    Shapes: those of the numbers given, broadcast.  Units: of the expression.
    Error: of second order; NotClosed for a function without a rule.  Source: higham2002accuracy, section 3.3.
    """
    known: dict[sp.Expr, Rounded] = dict(given)

    def at(node: sp.Expr) -> Rounded:
        if node not in known:
            known[node] = _number(node) if node.is_number else _rule(node)(xp, node, [at(x) for x in node.args])
        return known[node]

    with np.errstate(all="ignore"):  # terms may overflow where their sum, evaluated otherwise, does not
        return at(expr).error + LEAST


def _number(node: sp.Expr) -> Rounded:
    value = float(node)
    return Rounded(value, 0.0 if sp.Rational(value) == node else EPS * abs(value))


def _rule(node: sp.Expr) -> Callable[..., Rounded]:
    found = RULES.get(node.func)
    if found is None:
        hint = "Give it a rule in wideproof.derive.expectation.rounding."
        raise NotClosed("rounding of a formula", "functions with a rule", node.func.__name__, hint)
    return found


def _add(xp: Any, node: sp.Expr, parts: list[Rounded]) -> Rounded:
    size = sum(xp.abs(x.value) for x in parts)
    return Rounded(sum(x.value for x in parts), sum(x.error for x in parts) + (len(parts) - 1) * EPS * size)


def _mul(xp: Any, node: sp.Expr, parts: list[Rounded]) -> Rounded:
    total = parts[0]
    for x in parts[1:]:
        value = total.value * x.value
        moved = xp.abs(total.value) * x.error + xp.abs(x.value) * total.error
        total = Rounded(value, moved + EPS * xp.abs(value))
    return total


def _pow(xp: Any, node: sp.Expr, parts: list[Rounded]) -> Rounded:
    base, power = parts[0], float(node.exp)
    value = xp.asarray(base.value, dtype=xp.float64) ** power
    own = (abs(power) + 1) * EPS * xp.abs(value)
    if power == 0.5:  # also where the base is within its error of zero
        below = value + xp.sqrt(base.value + base.error)
        return Rounded(value, base.error / xp.where(below > 0, below, 1.0) + own)
    return Rounded(value, abs(power) * xp.abs(value / xp.where(base.value == 0, 1.0, base.value)) * base.error + own)


def _smooth(function: Callable[..., Any], slope: Callable[..., Any]) -> Callable[..., Rounded]:
    """The rule of a function of one number by its derivative."""

    def rule(xp: Any, node: sp.Expr, parts: list[Rounded]) -> Rounded:
        (x,) = parts
        value = function(xp, x.value)
        return Rounded(value, xp.abs(slope(xp, x.value)) * x.error + FUNCTION * xp.abs(value))

    return rule


def _damped(xp: Any, node: sp.Expr, parts: list[Rounded]) -> Rounded:
    """exp(|y| - x) bounds the function and its slope in y; that in x is the function itself."""
    x, y, odd = parts
    value, gap = damped(xp, x.value, y.value, int(odd.value)), xp.abs(y.value) - x.value
    return Rounded(value, xp.exp(gap) * y.error + xp.abs(value) * (x.error + EPS * xp.abs(gap) + FUNCTION))


RULES: dict[Any, Callable[..., Rounded]] = {
    sp.Add: _add,
    sp.Mul: _mul,
    sp.Pow: _pow,
    sp.exp: _smooth(lambda xp, x: xp.exp(x), lambda xp, x: xp.exp(x)),
    sp.sin: _smooth(lambda xp, x: xp.sin(x), lambda xp, x: xp.cos(x)),
    sp.cos: _smooth(lambda xp, x: xp.cos(x), lambda xp, x: xp.sin(x)),
    sp.atan: _smooth(lambda xp, x: xp.arctan(x), lambda xp, x: 1.0 / (1.0 + x * x)),
    sp.erf: _smooth(erf, lambda xp, x: 2.0 / math.sqrt(math.pi) * xp.exp(-x * x)),
    Damped: _damped,
}
