"""Dual activations: E[phi(u) phi(v)] for jointly Gaussian (u, v), one believed fact per row, all else derived.

u has mean m and variance a, v has mean k and variance b, their covariance is c. A row without m and k is for
centred variables only. Every formula is written in det = a b - c^2 and the angle between u and v, so that it is
finite and well conditioned where the two coincide, oppose each other or vanish; no epsilon enters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

from wideproof.derive.expectation.symbolic_expectation import expect
from wideproof.derive.language.activations import RealFunction, Z, definition, family_of
from wideproof.derive.language.errors import NotClosed

a, b = sp.symbols("a b", nonnegative=True)
c, m, k = sp.symbols("c m k", real=True)


class Det(sp.Function):
    """ab - c^2, the determinant of the covariance; evaluated as (sqrt(ab) - c)(sqrt(ab) + c)."""

    nargs = (3,)

    def _eval_is_nonnegative(self) -> bool:
        return True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """b, a and -2c."""
        x, y, z = self.args
        return (y, x, -2 * z)[argindex - 1]

    def doit(self, **hints: Any) -> sp.Expr:
        """Written out."""
        x, y, z = self.args
        return x * y - z**2


class Angle(RealFunction):
    """The angle between u and v, arccos(c / sqrt(ab)) in [0, pi]; pi/2 where one of them is zero."""

    nargs = (3,)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """c / (2 a sqrt(det)), c / (2 b sqrt(det)) and -1 / sqrt(det)."""
        x, y, z = self.args
        return (z / (2 * x), z / (2 * y), sp.S.NegativeOne)[argindex - 1] / sp.sqrt(Det(x, y, z))

    def doit(self, **hints: Any) -> sp.Expr:
        """Written out."""
        x, y, z = self.args
        return sp.acos(z / sp.sqrt(x * y))


class Damped(RealFunction):
    """exp(-x) sinh(y) where the third argument is 1, exp(-x) cosh(y) where it is 0; |y| <= x does not overflow."""

    nargs = (3,)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """-self, and the other hyperbolic function."""
        x, y, odd = self.args
        return -self if argindex == 1 else Damped(x, y, 1 - odd)

    def doit(self, **hints: Any) -> sp.Expr:
        """Written out."""
        x, y, odd = self.args
        return sp.exp(-x) * (sp.sinh(y) if odd == 1 else sp.cosh(y))


D, ANGLE = Det(a, b, c), Angle(a, b, c)
ATOMS = (Det, Angle, Damped)


@dataclass(frozen=True)
class Dual:
    """E[phi(u) phi(v)]; the factor of the tangent kernel and all means follow from `pair`."""

    phi: sp.Expr
    pair: sp.Expr
    source: str

    @property
    def shifted(self) -> bool:
        """Whether the row holds for means other than zero."""
        return bool(self.pair.has(m, k)) or not self.phi.has(Z)

    def derivative(self, first: int = 0, second: int = 0) -> sp.Expr | None:
        """E[phi^(first)(u) phi^(second)(v)], or None where `pair` does not tell.

        d pair / dc = E[phi' phi'] (price1958useful), d pair / dm = E[phi' phi], and E[phi''] = 2 dE[phi]/da.
        """
        expr = self.pair
        for _ in range(min(first, second)):
            expr = _reduced(sp.diff(expr, c))
        more, variance, mean = (first - second, a, m) if first >= second else (second - first, b, k)
        if more and self.shifted:
            expr = sp.diff(expr, mean, more)
        elif more % 2 == 0:
            expr = 2 ** (more // 2) * sp.diff(expr, variance, more // 2)
        else:
            return None
        return None if _is_singular(expr) else expr

    @property
    def slope(self) -> sp.Expr | None:
        """E[phi'(u) phi'(v)], the factor of the tangent kernel."""
        return self.derivative(1, 1)

    def mean(self, order: int = 0) -> sp.Expr | None:
        """E[phi^(order)(u)]: from the pair of u with a constant, or with an independent copy of itself."""
        if self.shifted:
            at = next(x for x in (sp.S.Zero, sp.pi / 2, sp.S.One) if self.phi.subs(Z, x) != 0)
            alone = written(self.pair).subs({b: 0, c: 0, k: at}) / self.phi.subs(Z, at)
            return sp.simplify(sp.diff(alone, m, order))
        both = self.derivative(order, order)
        if both is None:
            return None
        size = sp.sqrt(sp.simplify(written(both).subs({b: a, c: 0})))
        return _sign(sp.diff(self.phi, Z, order)) * sp.simplify(size)


def written(expr: sp.Expr) -> sp.Expr:
    """An expression in a, b, c, m, k and elementary functions only."""
    return expr.replace(lambda e: isinstance(e, ATOMS), lambda e: e.doit())


def _reduced(expr: sp.Expr) -> sp.Expr:
    """The expression as factored fractions over the one root that it holds, the determinant eliminated by its square.

    Without such a root, expanded only, exponentials left whole: their factors may overflow where they do not.
    The rows' roots are of sums of positive terms, and so is what is left.
    """
    bases = {p.base for p in expr.atoms(sp.Pow) if p.exp.is_Rational and p.exp.q == 2 and p.has(D)} - {D}
    if len(bases) != 1:
        return sp.expand(expr, power_exp=False)
    (base,), root, size = bases, sp.Dummy("root", positive=True), sp.Dummy("det")
    hidden = {f: sp.Dummy() for f in expr.atoms(sp.atan, sp.exp)}
    line = sp.Poly(base.subs(D, size), size)
    assert line.degree() == 1  # the rows' roots are of sums of terms
    found = sp.expand((root**2 - line.nth(0)) / line.nth(1))
    plain = expr.xreplace(hidden).subs(base, root**2).subs(D, found)
    parts = sp.collect(sp.expand(plain), tuple(hidden.values()), evaluate=False)
    factored = sp.Add(*(word * sp.factor(part) for word, part in parts.items())).subs(root, sp.sqrt(base))
    return factored.xreplace({name: f for f, name in hidden.items()})


def _is_singular(expr: sp.Expr) -> bool:
    """Whether a formula divides by what vanishes for coincident or zero variables: there it diverges."""
    return any(p.exp.is_negative and p.base in (D, a, b) for p in expr.atoms(sp.Pow))


def _sign(phi: sp.Expr) -> int:
    """The sign of E[phi(z)], z standard normal."""
    total = sum(
        float(sp.N(phi.subs(Z, x) + phi.subs(Z, -x))) * 2.0 ** -float(x * x)
        for x in (sp.Rational(i, 10) for i in range(1, 60))
    )
    return -1 if total < 0 else 1


# ---- the believed facts -----------------------------------------------------------------------------
STRETCHED = 1 + 2 * a + 2 * b + 4 * D
"""(1 + 2a)(1 + 2b) - 4c^2, as a sum of positive terms."""
_GELU = 1 + a + b + D
"""(1 + a)(1 + b) - c^2, as a sum of positive terms."""
FACTS: dict[str, Dual] = {
    "relu": Dual(sp.Max(Z, 0), (sp.sqrt(D) + c * (sp.pi - ANGLE)) / (2 * sp.pi), "cho2009kernel, arc-cosine n = 1"),
    "erf": Dual(sp.erf(Z), 2 / sp.pi * sp.atan(2 * c / sp.sqrt(STRETCHED)), "williams1997computing, (11)"),
    "gelu": Dual(
        definition("gelu"),
        c / 4
        + c / (2 * sp.pi) * sp.atan(c / sp.sqrt(_GELU))
        + (c**2 + a * b * _GELU) / (2 * sp.pi * (1 + a) * (1 + b) * sp.sqrt(_GELU)),
        "tsuchida2020avoiding",
    ),
    "sin": Dual(
        sp.sin(Z),
        Damped((a + b) / 2, c, 1) * sp.cos(m) * sp.cos(k) + Damped((a + b) / 2, c, 0) * sp.sin(m) * sp.sin(k),
        "characteristic function",
    ),
    "exp": Dual(sp.exp(Z), sp.exp(m + k + (a + b) / 2 + c), "moment generating function"),
    "gaussian": Dual(
        sp.exp(-(Z**2)),
        sp.exp(-((1 + 2 * b) * m**2 - 4 * c * m * k + (1 + 2 * a) * k**2) / STRETCHED) / sp.sqrt(STRETCHED),
        "Gaussian integral",
    ),
}
"""Name -> row. Everything below is derived from these."""


def _step() -> Dual:
    pair = FACTS["relu"].slope
    assert pair is not None
    return Dual(sp.Heaviside(Z), pair, "price1958useful, from relu")


def _combined(left: sp.Expr, right: sp.Expr) -> Dual:
    """left min(z, 0) + right max(z, 0) = right relu(z) - left relu(-z): bilinear in the row of relu."""
    same, opposite = FACTS["relu"].pair, (sp.sqrt(D) - c * ANGLE) / (2 * sp.pi)  # the latter at (a, b, -c)
    pair = sp.expand((left**2 + right**2) * same - 2 * left * right * opposite)
    return Dual(right * sp.Max(Z, 0) + left * sp.Min(Z, 0), pair, "bilinearity, from relu")


def _affine(name: str, phi: sp.Expr, constant: sp.Expr, factor: sp.Expr) -> Dual:
    """constant + factor psi, E[psi] = mean from the row of psi."""
    row = _step() if name == "step" else FACTS[name]
    mean = row.mean()
    assert mean is not None
    pair = constant**2 + constant * factor * (mean + mean.subs({a: b, m: k})) + factor**2 * row.pair
    return Dual(phi, sp.expand(pair), f"bilinearity, from {name}")


def _turned() -> Dual:
    """cos(z) = sin(z + pi/2)."""
    return Dual(
        sp.cos(Z),
        FACTS["sin"].pair.subs({m: m + sp.pi / 2, k: k + sp.pi / 2}, simultaneous=True),
        "shift of the mean, from sin",
    )


DERIVED: dict[str, Callable[..., Dual]] = {
    "step": _step,
    "cos": _turned,
    "abs": lambda: _combined(sp.S.NegativeOne, sp.S.One),
    "leaky_relu": lambda slope: _combined(slope, sp.S.One),
    "abrelu": _combined,
    "sign": lambda: _affine("step", sp.sign(Z), sp.S.NegativeOne, sp.Integer(2)),
    "erf_sigmoid": lambda: _affine("erf", definition("erf_sigmoid"), sp.Rational(1, 2), sp.Rational(1, 2)),
}


def polynomial(phi: sp.Expr) -> Dual:
    """The row of a polynomial in z, by Isserlis' theorem; `polynomial(z)` is the identity.

    Errors: NotClosed where phi is no polynomial.
    """
    if not phi.is_polynomial(Z):
        raise NotClosed("polynomial", "a polynomial in z", phi, "Other functions have rows of their own or a series.")
    cov = {("u", "u"): a, ("v", "v"): b, ("u", "v"): c, ("v", "u"): c}
    shifted = [[(n, w) for (n,), w in sp.Poly(phi.subs(Z, mean + Z), Z).terms()] for mean in (m, k)]
    pair = sp.Add(
        *(
            w * v * expect(("u",) * p + ("v",) * q, (), lambda x, y: cov[str(x), str(y)])
            for p, w in shifted[0]
            for q, v in shifted[1]
        )
    )
    return Dual(phi, sp.expand(pair), "isserlis1918formula")


@cache
def dual(name: str) -> Dual | None:
    """The row of an activation, or None where there is no closed form and the series takes over."""
    family, parameters = family_of(name)
    if family == "identity":
        return polynomial(Z)
    if family in FACTS:
        return FACTS[family]
    if family in DERIVED:
        return DERIVED[family](*parameters)
    phi = definition(name)
    return polynomial(phi) if phi.is_polynomial(Z) else None
