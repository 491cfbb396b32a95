"""What a declared activation may be: real and finite for every real z, with finite Gaussian moments of any variance.

The size of an expression far out is bounded by its structure, as |z|^degree exp(c |z|^order); of order 2 and beyond
no variance is safe. What it is at finite z is looked at on a grid, and exactly where a denominator is a polynomial.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, NoReturn

import sympy as sp
from sympy.core.function import AppliedUndef

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.grammar import is_moderate, shortened

BOUNDED = (sp.tanh, sp.erf, sp.sin, sp.cos, sp.atan, sp.sign, sp.Heaviside)
KNOWN: dict[str, type[sp.Basic]] = {
    **{f.__name__: f for f in (sp.tanh, sp.erf, sp.sin, sp.cos, sp.atan, sp.sign)},
    **{f.__name__: f for f in (sp.exp, sp.log, sp.sinh, sp.cosh)},
    "abs": sp.Abs, "step": sp.Heaviside, "max": sp.Max, "min": sp.Min, "sqrt": sp.sqrt,
}  # fmt: skip
"""Name in a text -> function."""
HEADS = (
    sp.Add,
    sp.Mul,
    sp.Pow,
    sp.Number,
    sp.NumberSymbol,
    sp.Symbol,
    *(f for f in KNOWN.values() if f is not sp.sqrt),
)
DEGREE, NODES = 64, 500
GRID = [sp.Rational(x, 8) * sign for x in (*range(0, 41), 64, 160, 240) for sign in (1, -1)]
FAR = (sp.Integer(10) ** 3, sp.Integer(10) ** 6)
Z = sp.Symbol("z", real=True)
"""The variable of every activation."""


class Size(NamedTuple):
    """|phi(z)| is at most a constant times |z|^degree exp(c |z|^order) for large |z|."""

    degree: sp.Expr
    order: sp.Expr


def check(where: str, expr: sp.Expr) -> None:
    """Do nothing for an expression in z that can be an activation.

    Errors: ParameterError that says what the matter is: a function without rules, no real finite value at some z,
    no finite Gaussian moment.
    """
    for count, part in enumerate(sp.postorder_traversal(expr)):  # parts first: each takes no time after its own
        if not isinstance(part, HEADS) or (part.is_number and not is_moderate(part)) or count == NODES:
            raise ParameterError(
                where,
                f"at most {NODES} real numbers, sums, products, powers and functions among {', '.join(KNOWN)}",
                "more of them" if count == NODES else _unknown(part),
                "The calculus has no rule for anything else; write it by these, or leave it out.",
            )
        size = size_of(part)
        if size.order == sp.oo or size.degree > DEGREE:
            _refuse_growth(where, part, size)
        if isinstance(part, sp.log) or (part.is_Pow and not (part.exp.is_Integer and part.exp.is_positive)):
            _refuse_poles(where, part)
            _refuse_values(where, part)
    if size_of(expr).order >= 2:
        _refuse_growth(where, expr, size_of(expr))
    _refuse_values(where, expr)


def _refuse_growth(where: str, part: sp.Expr, size: Size) -> NoReturn:
    raise ParameterError(
        where,
        f"a function with finite Gaussian moments of every variance: no part beyond z**{DEGREE} and exp(|z|)",
        f"{shortened(str(part))}, which grows like {_described(size)}",
        "E phi(z)^2 would be infinite, or beyond any number, from some variance on: choose one that grows less.",
    )


def _unknown(part: sp.Basic) -> str:
    if isinstance(part, sp.floor | sp.ceiling):
        return f"{part}, which jumps at every whole number"
    if isinstance(part, AppliedUndef):
        return f"the undefined function {part}"
    return shortened(str(part))


def _described(size: Size) -> str:
    if size.order == sp.oo:
        return "an exponential of an exponential"
    return f"exp(|z|**{size.order})" if size.order >= 2 else f"z**{size.degree}"


def _refuse_values(where: str, part: sp.Expr) -> None:
    for x in GRID:
        value = sp.N(part.subs(Z, x), 15)
        if not (value.is_real and value.is_finite):
            raise ParameterError(
                where,
                "a real finite value at every real z",
                f"{shortened(str(value))} for {shortened(str(part))} at z = {x}",
                "Logarithms and roots take what is positive, as in log(1 + z**2).",
            )


def _refuse_poles(where: str, part: sp.Expr) -> None:
    base = part.base if part.is_Pow and part.exp.is_negative else sp.S.One
    if not base.has(Z) or base.is_positive or base.is_negative:
        return
    if (root := _zero_of(base)) is not None:
        raise ParameterError(
            where,
            "a finite value at every real z",
            f"{shortened(str(part))}, which is infinite at z = {root}",
            "A pole has no finite Gaussian moments: keep denominators positive, as in 1/(1 + z**2).",
        )


def _zero_of(base: sp.Expr) -> sp.Expr | None:
    """A real zero of a denominator: exact for rational polynomials, else by a change of sign on the grid."""
    polynomial = sp.Poly(base, Z) if base.is_polynomial(Z) else None
    if polynomial is not None and polynomial.degree() == 1:
        slope, level = polynomial.all_coeffs()
        return sp.N(-level / slope, 6)
    if polynomial is not None and (polynomial.domain.is_ZZ or polynomial.domain.is_QQ):
        return sp.N(min(polynomial.real_roots(), key=abs), 6) if polynomial.count_roots() else None
    values = [(x, sp.N(base.subs(Z, x), 15)) for x in sorted(GRID)]
    for (x, left), (y, right) in pairwise(values):
        if left.is_real and right.is_real and left * right <= 0:
            return y if right == 0 else x
    return None


# ---- growth ---------------------------------------------------------------------------------------
def size_of(expr: sp.Expr) -> Size:
    """A bound on the size of an expression for large |z|, from its structure."""
    if not expr.has(Z) or isinstance(expr, BOUNDED):
        return Size(sp.S.Zero, sp.S.Zero)
    if expr == Z:
        return Size(sp.S.One, sp.S.Zero)
    if isinstance(expr, sp.exp):
        return _exponential(expr.args[0])
    if isinstance(expr, sp.Pow):
        return _power(expr)
    parts = [size_of(x) for x in expr.args]
    order = max(x.order for x in parts)
    if isinstance(expr, sp.sinh | sp.cosh):
        return Size(sp.S.Zero, sp.oo if parts[0].order > 0 else parts[0].degree)
    if isinstance(expr, sp.log):
        return Size(order if order > 0 else sp.S.One, sp.S.Zero)
    total = sum if isinstance(expr, sp.Mul) else max
    return Size(sp.sympify(total(x.degree for x in parts), strict=True), order)


def _power(expr: sp.Pow) -> Size:
    if expr.exp.has(Z):
        return _exponential(expr.exp * sp.log(expr.base))
    base = size_of(expr.base)
    return Size(base.degree * expr.exp if expr.exp > 0 else sp.S.Zero, base.order)


def _exponential(inside: sp.Expr) -> Size:
    """exp of an expression: bounded where that is not positive far out, else of the order of its growth."""
    size = size_of(inside)
    if inside.is_nonpositive or (
        size.order == 0 and all(_falls(inside.subs(Z, sign * x)) for x in FAR for sign in (1, -1))
    ):
        return Size(sp.S.Zero, sp.S.Zero)
    return Size(sp.S.Zero, sp.oo if size.order > 0 else size.degree)


def _falls(value: sp.Expr) -> bool:
    number = sp.N(value, 15)
    return bool(number.is_real and number <= 0)
