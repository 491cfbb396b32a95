"""Where a function of one variable changes on a scale of its own, read off its definition: spikes that no grid meets.

exp(-(1500 (z - 1/3))^2) is zero on any grid of moderate spacing. What it applies a function to, -(1500 (z - 1/3))^2,
says where it lives: at the root of that argument, and as far from it as the argument takes to change by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import sympy as sp

from wideproof.derive.language.activations import Z, definition

GRADED = (0.0, *(sign * 2.0**k for sign in (-1, 1) for k in range(7)))
"""Where panels end around zero, in units of the argument of a function."""
FAR, SAMPLES, BISECTIONS = 64.0, 4001, 60
"""How far arguments that are no polynomials are looked at, at how many places, and how finely a root is then found."""
MOST = 12
"""Of more places the steepest are kept; an integral over the others settles, or is refused."""
SAME = 1e-3
"""Places closer than this part of their width are one."""
FINEST = 1e-12
"""The least width, relative: rounding tells no closer places apart."""


class Places(NamedTuple):
    """`centres` of a function's changes, and `ends` of panels: graded on both sides of each by its own width."""

    centres: tuple[float, ...]
    ends: tuple[float, ...]

    @property
    def condition(self) -> float:
        """How far an argument that is rounded moves, at most, in parts of the panel it lies in."""
        return max((max(abs(a), abs(b)) / (b - a) for a, b in pairwise(self.ends)), default=1.0)


@cache
def places(name: str, order: int) -> Places:
    """Places between which phi^(order) is smooth on the scale of their distance: around zero, and where it is steep.

    Shapes: (E,), increasing.  Units: of the argument.  Error: misses what no argument in the definition tells.
    """
    steep = steep_places(definition(name, order))
    ends = set(GRADED)
    for centre, width in steep:
        steps = range(-1, max(1, math.ceil(math.log2(FAR * max(1.0, abs(centre)) / width))))
        ends |= {centre, *(centre + sign * width * 2.0**k for sign in (-1, 1) for k in steps)}
    return Places(tuple(sorted({0.0, *(centre for centre, _ in steep)})), _apart(sorted(ends)))


def _apart(ends: list[float]) -> tuple[float, ...]:
    """Increasing places without those that rounding alone tells from the one before."""
    kept = ends[:1]
    for end in ends[1:]:
        if end - kept[-1] > FINEST * max(1.0, abs(end)):
            kept.append(end)
    return tuple(kept)


def steep_places(expr: sp.Expr) -> tuple[tuple[float, float], ...]:
    """(place, width) of all changes of an expression in z that its inner arguments tell, the steepest MOST of them."""
    found: dict[float, float] = {}
    for argument, size in _arguments(expr):
        for centre in _centres(argument):
            width = _width(argument, centre, size)
            if math.isfinite(centre) and width < (1.0 if centre == 0 else FAR):
                found[centre] = min(width, found.get(centre, math.inf))
    steepest: list[tuple[float, float]] = []
    for centre, width in sorted(found.items(), key=lambda place: place[1]):
        if all(abs(centre - other) > SAME * width for other, _ in steepest):
            steepest.append((centre, width))
    return tuple(sorted(steepest[:MOST]))


def _arguments(expr: sp.Expr) -> Iterator[tuple[sp.Expr, bool]]:
    """What functions are applied to; whether the size of the argument, as for powers, is the scale of its change."""
    for part in sp.preorder_traversal(expr):
        if isinstance(part, sp.Max | sp.Min):
            yield from ((a - part.args[0], False) for a in part.args[1:])
        elif isinstance(part, sp.core.relational.Relational):
            yield part.lhs - part.rhs, False
        elif isinstance(part, sp.Function) and len(part.args) == 1 and part.args[0].has(Z):
            yield part.args[0], isinstance(part, sp.log)
        elif part.is_Pow and part.base.has(Z) and not (part.exp.is_Integer and part.exp > 0):
            yield part.base, True
        elif part.is_Pow and part.exp.has(Z):
            yield part.exp * sp.log(part.base), False


def _centres(argument: sp.Expr) -> list[float]:
    """Where an argument vanishes or turns; of complex roots, as those of 1 + z^2, the real part."""
    if argument.is_polynomial(Z):
        polynomials = [sp.Poly(x, Z) for x in (argument, sp.diff(argument, Z))]
        roots = [r for x in polynomials if x.degree() > 0 for r in np.roots([float(c) for c in x.all_coeffs()])]
        return sorted({float(r.real) for r in roots})
    return sorted({x for part in (argument, sp.diff(argument, Z)) for x in _real_roots(part)})


def _real_roots(expr: sp.Expr) -> list[float]:
    """The real roots within FAR that separate places of a fine grid."""
    values = sp.lambdify(Z, expr, ["scipy", "numpy"])

    def at(z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(values(z), dtype=np.float64) + np.zeros_like(z)

    z = FAR * np.linspace(-1, 1, SAMPLES) ** 3
    z = z[np.abs(at(z)) > 0]  # where rounding leaves zero there is no sign
    signs = np.sign(at(z))
    ends = np.flatnonzero(signs[:-1] != signs[1:])
    low, high = z[ends], z[ends + 1]
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        left = np.sign(at(middle)) == signs[ends]
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    return [float(x) if abs(x) > FINEST else 0.0 for x in low]


def _size_at(expr: sp.Expr, z: float) -> float:
    """The size of an expression at a place; infinite where it has no value there, as at a kink."""
    found = sp.N(expr.subs(Z, sp.Float(z)))
    return abs(float(found)) if found.is_Number else math.inf


def _width(argument: sp.Expr, centre: float, relative: bool) -> float:
    """How far from a place an argument goes until it has changed by one, or by its own size if that is less."""
    size = 1.0
    widths = [math.inf]
    for order in range(5):
        value = _size_at(sp.diff(argument, Z, order), centre)
        if order == 0:
            size = value if relative and 0 < value < 1 else 1.0
        elif 0 < value < math.inf:
            widths.append((size * math.factorial(order) / value) ** (1.0 / order))
    return max(min(widths), FINEST * max(1.0, abs(centre)))
