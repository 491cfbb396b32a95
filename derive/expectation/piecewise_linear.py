"""Piecewise linear activations of Gaussian variables with means: all moments from one probability of an orthant.

Such a function is offset + slope z + sum of bend (z - at)_+ + jump [z > at]. The moments of its parts follow from
P(u > 0, v > 0) by Stein's rule, (z)_+ being z times a step; with h = m / sqrt(a), l = k / sqrt(b) and the angle of
`derive.expectation.dual_activations` they are finite where variables coincide, oppose each other or are constant.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import sympy as sp

from wideproof.derive.algebra.array_code import erf, owens_t
from wideproof.derive.language.activations import Z

FAR = 40.0
"""Standard deviations beyond which the normal density is zero in double precision."""
Line = tuple[sp.Expr, sp.Expr]
Lines = tuple[tuple[sp.Expr, ...], tuple[Line, ...]]
"""Edges in order, and slope and intercept before, between and after them."""
Join = Callable[[Lines, Lines], Lines | None]


@dataclass(frozen=True)
class Broken:
    """offset + slope z + sum over `kinks` (at, bend, jump) of bend (z - at)_+ + jump [z > at]."""

    offset: float
    slope: float
    kinks: tuple[tuple[float, float, float], ...] = ()

    def size(self, z: Any) -> Any:
        """The sum of its parts at |z|, by size: what their rounding is measured by.  Shapes: those of z."""
        bends = sum(abs(bend) * (z + abs(at)) + abs(jump) for at, bend, jump in self.kinks)
        return abs(self.offset) + abs(self.slope) * z + bends

    @property
    def derivative(self) -> Broken | None:
        """The slope, None where the function jumps."""
        if any(jump for _, _, jump in self.kinks):
            return None
        return Broken(self.slope, 0.0, tuple((at, 0.0, bend) for at, bend, _ in self.kinks if bend))


def broken(phi: sp.Expr) -> Broken | None:
    """A piecewise linear expression in z by its parts, None for any other; at a jump, the mean of both sides."""
    found = lines_of(sp.sympify(phi, strict=True))
    if found is None:
        return None
    edges, lines = found
    kinks = [
        (float(at), float(p - q), float((p - q) * at + c - d))
        for at, ((q, d), (p, c)) in zip(edges, pairwise(lines), strict=True)
    ]
    return Broken(float(lines[0][1]), float(lines[0][0]), tuple(kink for kink in kinks if kink[1] or kink[2]))


# ---- expressions as lines -----------------------------------------------------------------------------
def lines_of(expr: sp.Expr) -> Lines | None:
    """The edges and lines of a piecewise linear expression in z, exact, None for any other."""
    if not expr.has(Z):
        return ((), ((sp.S.Zero, expr),)) if expr.is_real else None
    if expr == Z:
        return (), ((sp.S.One, sp.S.Zero),)
    join = next((join for kind, join in JOINED.items() if isinstance(expr, kind)), None)
    many = isinstance(expr, sp.Add | sp.Mul | sp.Max | sp.Min)
    parts = [lines_of(x) for x in expr.args] if many else [lines_of(expr.args[0]), ZERO]
    if join is None:
        return None
    return functools.reduce(lambda total, part: None if total is None or part is None else join(total, part), parts)


def _pieces(first: Lines, second: Lines, crossings: bool) -> Iterator[tuple[Any, Any, Line, Line]]:
    """Left and right end of each interval and the two lines on it, cut also where the lines cross."""
    edges = sorted({*first[0], *second[0]})
    for left, right in pairwise((-sp.oo, *edges, sp.oo)):
        p, q = (lines[sum(bool(at <= left) for at in ends)] for ends, lines in (first, second))
        at = (q[1] - p[1]) / (p[0] - q[0]) if crossings and p[0] != q[0] else left
        for low, high in pairwise((left, at, right) if left < at < right else (left, right)):
            yield low, high, p, q


def _joined(choose: Callable[[Line, Line, Any], Line | None], crossings: bool) -> Join:
    def join(first: Lines, second: Lines) -> Lines | None:
        edges: list[Any] = []
        lines: list[Line] = []
        for low, high, p, q in _pieces(first, second, crossings):
            inside = _inside(low, high)
            if (line := choose(p, q, inside)) is None:
                return None
            if not lines or lines[-1] != line:
                edges += [low] if lines else []
                lines.append(line)
        return tuple(edges), tuple(lines)

    return join


def _inside(low: Any, high: Any) -> Any:
    if low == -sp.oo:
        return sp.S.Zero if high == sp.oo else high - 1
    return low + 1 if high == sp.oo else (low + high) / 2


def _at(line: Line, z: Any) -> Any:
    return line[0] * z + line[1]


def _product(p: Line, q: Line, _: Any) -> Line | None:
    return None if p[0] != 0 and q[0] != 0 else (p[0] * q[1] + p[1] * q[0], p[1] * q[1])


ZERO: Lines = ((), ((sp.S.Zero, sp.S.Zero),))
_SUM = _joined(lambda p, q, z: (p[0] + q[0], p[1] + q[1]), False)
_PRODUCT = _joined(_product, False)
_MAX = _joined(lambda p, q, z: p if _at(p, z) >= _at(q, z) else q, True)
_MIN = _joined(lambda p, q, z: q if _at(p, z) >= _at(q, z) else p, True)
_SIGN = _joined(lambda p, _, z: (sp.S.Zero, sp.sign(_at(p, z))), True)
_STEP = _joined(lambda p, _, z: (sp.S.Zero, (1 + sp.sign(_at(p, z))) / 2), True)
_ABS = _joined(lambda p, _, z: p if _at(p, z) >= 0 else (-p[0], -p[1]), True)
JOINED: dict[type, Join] = {
    sp.Add: _SUM,
    sp.Mul: _PRODUCT,
    sp.Max: _MAX,
    sp.Min: _MIN,
    sp.sign: _SIGN,
    sp.Heaviside: _STEP,
    sp.Abs: _ABS,
}


# ---- moments --------------------------------------------------------------------------------------------
@dataclass
class Standard:
    """(u, v) by means, deviations, means in units of these h and l, the correlation, sqrt(1 - correlation^2)."""

    xp: Any
    means: tuple[Any, Any]
    deviations: tuple[Any, Any]
    h: Any
    ell: Any
    correlation: Any
    rest: Any

    @cached_property
    def gap(self) -> tuple[Any, Any]:
        """(l - r h) / rest and (h - r l) / rest, +-FAR or 0 where rest is 0."""
        return self._gap(self.h, self.ell), self._gap(self.ell, self.h)

    def _gap(self, h: Any, ell: Any) -> Any:
        """Written in 1 - r or 1 + r, which are small where the two variables nearly coincide or oppose."""
        xp, sign = self.xp, self.xp.where(self.correlation < 0, -1.0, 1.0)
        small = self.rest**2 / (1.0 + xp.abs(self.correlation))
        gap = (ell - sign * h) + sign * h * small
        return xp.where(self.rest > 0, gap / xp.where(self.rest > 0, self.rest, 1.0), FAR * xp.sign(gap))

    @cached_property
    def orthant(self) -> Any:
        """P(u > 0, v > 0), a jump of a constant counting half.  Source: owen1956tables, (3.1)."""
        xp, h, ell = self.xp, self.h, self.ell
        both = xp.where((h * ell < 0) | ((h * ell == 0) & (h + ell < 0)), 0.5, 0.0)
        found = 0.5 * (normal(xp, h) + normal(xp, ell)) - both
        for x, gap in ((h, self.gap[0]), (ell, self.gap[1])):
            slope = gap / xp.where(x == 0, 1.0, x)
            found = found - xp.where(x == 0, 0.25 * xp.sign(gap), owens_t(xp, x, slope))
        centred = 0.25 + xp.arctan2(self.correlation, self.rest) / (2 * math.pi)
        found = xp.where((h == 0) & (ell == 0), centred, found)
        same = normal(xp, xp.minimum(h, ell))
        opposite = xp.maximum(normal(xp, h) - normal(xp, -ell), 0.0)
        equal = xp.where(self.correlation > 0, same, opposite)
        return xp.where(self.rest > 0, xp.clip(found, 0.0, 1.0), xp.where((h == 0) & (ell == 0), centred, equal))

    @cached_property
    def edges(self) -> tuple[Any, Any]:
        """sqrt(a) dP/dm and sqrt(b) dP/dk."""
        xp = self.xp
        return density(xp, self.h) * normal(xp, self.gap[0]), density(xp, self.ell) * normal(xp, self.gap[1])

    def product(self, ramps: tuple[bool, bool]) -> Any:
        """E of two ramps, two steps or one of each, by Stein's rule from the orthant."""
        (m, k), (p, q), (first, second), r = self.means, self.deviations, self.edges, self.correlation
        if ramps == (True, True):
            corner = self.rest * density(self.xp, self.h) * density(self.xp, self.gap[0])
            return (m * k + r * p * q) * self.orthant + p * (k * first + q * corner) + m * q * second
        if ramps == (False, True):
            return k * self.orthant + q * (r * first + second)
        return m * self.orthant + p * (r * second + first) if ramps == (True, False) else self.orthant


def mean(xp: Any, phi: Broken, m: Any, deviation: Any) -> Any:
    """E[phi(u)]."""
    total = phi.offset + phi.slope * m
    for at, bend, jump in phi.kinks:
        h = _units(xp, m - at, deviation)
        total = total + bend * deviation * density(xp, h) + (bend * (m - at) + jump) * normal(xp, h)
    return total


def pair_mean(
    xp: Any, phi: Broken, psi: Broken, means: tuple[Any, Any], deviations: tuple[Any, Any], correlation: Any, rest: Any
) -> Any:
    """E[phi(u) psi(v)]; shapes broadcast.  Error: rounding, relative to the moments of the parts."""
    (m, k), (p, q) = means, deviations
    cov = correlation * p * q
    total = (phi.offset + phi.slope * m) * mean(xp, psi, k, q) + phi.slope * cov * _slope_mean(xp, psi, k, q)
    if phi.slope and any(jump for _, _, jump in psi.kinks):
        total = total + phi.slope * correlation * p * _jumps(xp, psi, k, q)
    for at, bend, jump in phi.kinks:
        h = _units(xp, m - at, p)
        level, tilt = bend * (m - at) + jump, bend * p
        alone = level * normal(xp, h) + tilt * density(xp, h)
        total = total + (psi.offset + psi.slope * k) * alone
        total = total + psi.slope * q * correlation * (bend * p * normal(xp, h) + jump * density(xp, h))
        for other, bend2, jump2 in psi.kinks:
            moved = (m - at, k - other)
            law = Standard(xp, moved, deviations, h, _units(xp, moved[1], q), correlation, rest)
            parts = {
                (True, True): bend * bend2,
                (True, False): bend * jump2,
                (False, True): jump * bend2,
                (False, False): jump * jump2,
            }
            total = total + sum(weight * law.product(kind) for kind, weight in parts.items() if weight)
    return total


def _slope_mean(xp: Any, psi: Broken, k: Any, deviation: Any) -> Any:
    """The mean of the slope, jumps left out."""
    return psi.slope + sum(bend * normal(xp, _units(xp, k - at, deviation)) for at, bend, _ in psi.kinks)


def _jumps(xp: Any, psi: Broken, k: Any, deviation: Any) -> Any:
    return sum(jump * density(xp, _units(xp, k - at, deviation)) for at, _, jump in psi.kinks)


def _units(xp: Any, m: Any, deviation: Any) -> Any:
    """m / deviation, +-FAR beyond and for constants."""
    found = m / xp.where(deviation > 0, deviation, 1.0)
    return xp.clip(xp.where(deviation > 0, found, FAR * xp.sign(m)), -FAR, FAR)


def density(xp: Any, h: Any) -> Any:
    """The standard normal density."""
    return xp.exp(-0.5 * h * h) / math.sqrt(2 * math.pi)


def normal(xp: Any, h: Any) -> Any:
    """The standard normal distribution function.  Error: absolute, rounding."""
    return 0.5 * (1.0 + erf(xp, h / math.sqrt(2.0)))
