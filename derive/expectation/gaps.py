"""By how much a Gaussian expectation of two variables stays below and above what Cauchy and Schwarz allow.

Of two variables with variances a, b and covariance c these gaps are sqrt(ab) - c and sqrt(ab) + c: 2 sqrt(ab) times the
squares of the sine and the cosine of half their angle. Where two sequences nearly agree the first is lost in the
rounding of c, and with it the angle, in which the means of functions with kinks and jumps are not smooth: an angle of
1e-8 is rounding of c. Gaps are sums of terms that are not negative, so that angles keep an error of rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive.algebra.array_code import emitted, namespace
from wideproof.derive.expectation.dual_activations import ANGLE, D, a, b, c, dual, k, m
from wideproof.derive.language.activations import definition

KINKS = (sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside, sp.Piecewise)
BELOW, ABOVE, NORM, ROOT = sp.symbols("below above norm root", nonnegative=True)
"""The two gaps of the variables, sqrt(ab) and sqrt(ab - c^2)."""
NEAR, FAR = sp.symbols("near far", nonnegative=True)
"""The angle of u and v, and that of u and -v."""
LETTERS = (a, b, c, BELOW, ABOVE, NORM, ROOT, NEAR, FAR)


TINY = 2.0**-1000
"""What keeps the quotient of two zeros from being none."""


class Gaps(NamedTuple):
    """sqrt(ab) - c and sqrt(ab) + c, of numbers or expressions."""

    below: Any
    above: Any


@cache
def sees_angle(name: str) -> bool:
    """Whether means of an activation are computed from the angle or the determinant, which a subtraction would lose."""
    row = dual(name)
    return bool(definition(name).has(*KINKS) or (row is not None and row.pair.has(D, ANGLE)))


def of_sum(terms: list[tuple[Any, Any, Gaps]], root: Callable[[Any], Any]) -> Gaps:
    """The gaps of a sum of terms, each given by its two variances and its gaps, weights multiplied in.

    Those of the terms, and sqrt(ab) - sum_k sqrt(a_k b_k), which is sqrt(ab) times half the squared distance of two
    vectors of length one, with the coordinates sqrt(a_k / a) and sqrt(b_k / b).
    """
    if len(terms) == 1:
        return terms[0][2]
    sizes = [root(sum(term[side] for term in terms)) for side in (0, 1)]
    p, q = ([root(term[side]) / (sizes[side] + TINY) for term in terms] for side in (0, 1))
    apart = sizes[0] * sizes[1] * sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) / 2
    return Gaps(*(sum(gaps[side] for _, _, gaps in terms) + apart for side in (0, 1)))


@cache
def closed_gaps(name: str, order: int) -> Gaps | None:
    """Both gaps of E[phi(u) phi(v)] of a row of the table in `LETTERS`, as pairs of expressions for c >= 0 and c < 0.

    None where there is no row, or the gaps do not vanish term by term where the variables coincide or oppose: then the
    deviation of phi is not that of its argument times a number, and they are not known from the gaps of u and v alone.
    """
    row = dual(name)
    pair = None if row is None else row.derivative(order, order)
    if pair is None:
        return None
    pair = pair.subs({m: 0, k: 0})
    size = _size(pair)
    if size is None:
        return None
    nearly = sp.expand(pair.subs({D: ROOT**2, ANGLE: NEAR}).subs(c, NORM - BELOW))
    opposed = sp.expand(pair.subs({D: ROOT**2, ANGLE: sp.pi - FAR}).subs(c, ABOVE - NORM))
    below = [sp.expand(size - x) for x in (nearly, opposed)]
    above = [sp.expand(size + x) for x in (nearly, opposed)]
    if below[0].subs({BELOW: 0, ROOT: 0, NEAR: 0}) != 0:
        return None
    kept = [side[0] if side[1].subs({ABOVE: 0, ROOT: 0, FAR: 0}) != 0 else side[1] for side in (below, above)]
    return Gaps((below[0], kept[0]), (above[0], kept[1]))


def _size(pair: sp.Expr) -> sp.Expr | None:
    """sqrt(E[phi(u)^2] E[phi(v)^2]) where it is a number times sqrt(ab), or a number."""
    one = pair.subs({D: 0, ANGLE: 0}).subs({b: a, c: a})
    for unit, scale in ((a, NORM), (sp.S.One, sp.S.One)):
        if not _varies(one / unit) and not (share := sp.simplify(one / unit)).free_symbols:
            return share * scale
    return None


def _varies(share: sp.Expr) -> bool:
    """Whether two values of an expression in a differ, so that it is no number however it is written."""
    first, second = (sp.N(share.subs(a, x), 30) for x in (sp.Rational(1, 3), sp.Rational(7, 3)))
    return first.is_Float and second.is_Float and abs(first - second) > 1e-9 * abs(first)


@cache
def _emitted(name: str, order: int, backend: str) -> Callable[..., Any] | None:
    found = closed_gaps(name, order)
    if found is None:
        return None
    agree = sp.Heaviside(c)
    return emitted(
        list(LETTERS),
        [side[0] if side[0] == side[1] else agree * side[0] + (1 - agree) * side[1] for side in found],
        backend,
    )


def gaps_of_mean(name: str, order: int, law: Any, value: Any, own: Callable[[], tuple[Any, Any]]) -> Gaps:
    """The gaps of E[phi(u) phi(v)] = value by the law of u and v (`Variables`); `own` are E[phi(u)^2] and E[phi(v)^2].

    Shapes: broadcast.  Error: of the angle rounding, for functions that are lines but for a bend or a jump at zero;
    elsewhere that of the subtraction: the root of rounding, where two variables nearly coincide.
    """
    xp = namespace(law.backend)
    function = _emitted(name, order, law.backend) if law.centred else None
    if function is None:
        return by_subtraction(xp, value, *own())
    below, above = (xp.sqrt(xp.maximum(gap, 0.0)) for gap in law.gaps)
    far = 2.0 * xp.arctan2(above, below)
    numbers = (*law.variances, law.covariance, *law.gaps, law.norm, below * above, law.angle, far)
    return Gaps(*(xp.maximum(gap, 0.0) for gap in function(*numbers)))


def by_subtraction(xp: Any, value: Any, first: Any, second: Any) -> Gaps:
    """The gaps of a covariance from the two variances.  Error: rounding of the covariance."""
    larger, smaller = xp.maximum(first, second), xp.minimum(first, second)
    norm = larger * xp.sqrt(smaller / xp.where(larger > 0, larger, 1.0))
    return Gaps(xp.maximum(norm - value, 0.0), xp.maximum(norm + value, 0.0))
