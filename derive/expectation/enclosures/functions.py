"""Activations as functions of balls: analytic between edges that are exact, their size bounded on the whole line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache, reduce
from itertools import combinations, pairwise
from typing import Any

import sympy as sp

from wideproof.derive.algebra.ball_code import emitted, flint
from wideproof.derive.expectation.enclosures.growth import Growth, growth_of, largest
from wideproof.derive.expectation.piecewise_linear import Lines, lines_of
from wideproof.derive.language.activations import Z, definition
from wideproof.derive.language.errors import NotClosed

KINKED = (sp.Abs, sp.sign, sp.Heaviside, sp.Max, sp.Min)
SMALL = (0, 1, -1, 2, -2, 3, -3)
"""Where the zero of a monotone function is looked for."""


@dataclass(frozen=True)
class BallFunction:
    """phi^(order) of one activation: `expr` in z, and its `branches`, one more than there are `edges`.

    `expr` is None where it is known by its branches only.
    """

    name: str
    order: int
    expr: sp.Expr | None
    edges: tuple[sp.Expr, ...]
    branches: tuple[sp.Expr, ...]

    @cached_property
    def values(self) -> tuple[Any, ...]:
        """Each branch as a function of a ball and the flag `analytic`; it continues beyond its edges."""
        return tuple(map(_ball_of, self.branches))

    def whole(self, z: Any) -> Any:
        """A ball that holds the function on a real ball, which may hold edges."""
        ends = [exact(edge) for edge in self.edges]
        met = [
            branch(z, False).real
            for i, branch in enumerate(self.values)
            if not (i > 0 and z.real < ends[i - 1]) and not (i < len(ends) and z.real > ends[i])
        ]
        return reduce(lambda x, y: x.union(y), met)

    @cached_property
    def lines(self) -> Lines | None:
        """Edges and lines where it is piecewise linear."""
        return None if self.expr is None else lines_of(self.expr)

    @property
    def derivative(self) -> BallFunction | None:
        """phi^(order + 1), None where phi^(order) jumps."""
        if not definition(self.name, self.order + 1).has(sp.DiracDelta):
            return ball_function(self.name, self.order + 1)
        sides = zip(self.edges, pairwise(self.branches), strict=True)
        if any(x.has(*KINKED) for x in self.branches) or any(sp.simplify((x - y).subs(Z, at)) for at, (x, y) in sides):
            return None
        return BallFunction(self.name, self.order + 1, None, self.edges, tuple(sp.diff(x, Z) for x in self.branches))

    @property
    def growth(self) -> Growth:
        """The bound on its size, at the precision that is set."""
        return _growth(self.branches if self.expr is None else (self.expr,), flint().ctx.prec)


def _ball_of(expr: sp.Expr) -> Any:
    function, acb = emitted([Z], expr), flint().acb
    return lambda z, analytic: acb(function(z, analytic))


@lru_cache(maxsize=256)
def _growth(exprs: tuple[sp.Expr, ...], precision: int) -> Growth:
    return largest([growth_of(expr) for expr in exprs])


def exact(expr: Any) -> Any:
    """An exact number as a ball."""
    return flint().acb(emitted([], expr)(False)).real


@cache
def ball_function(name: str, order: int) -> BallFunction:
    """phi^(order) of an activation by name.  Errors: NotClosed for the derivative of a jump."""
    expr = definition(name, order)
    if expr.has(sp.DiracDelta):
        raise NotClosed(
            f"enclosure of {name}{chr(39) * order}",
            "a function with values",
            "the derivative of a jump",
            "The tangent of a jump does not exist; use a continuous activation, or freeze what feeds it.",
        )
    edges, branches = _split(expr, -sp.oo, sp.oo)
    kept = [i for i, (left, right) in enumerate(pairwise(branches)) if left != right]
    edges, branches = tuple(edges[i] for i in kept), (branches[0], *(branches[i + 1] for i in kept))
    return BallFunction(name, order, expr, edges, branches)


def _split(expr: sp.Expr, low: Any, high: Any) -> tuple[tuple[sp.Expr, ...], tuple[sp.Expr, ...]]:
    """The edges within (low, high) and the branches between them; a kink of unknown place stays in its branch."""
    for kink in sorted(expr.atoms(*KINKED), key=sp.default_sort_key):
        parts = kink.args if isinstance(kink, sp.Max | sp.Min) else kink.args[:1]
        turns = [x - y for x, y in combinations(parts, 2)] or list(parts)
        places = [None if x.has(*KINKED) else _zeros(x) for x in turns]
        if None in places:
            continue
        inside = [root for zeros in places for root in zeros or () if low < root < high]
        if inside:
            root = min(inside)
            left, right = _split(expr, low, root), _split(expr, root, high)
            return (*left[0], root, *right[0]), (*left[1], *right[1])
        return _split(expr.xreplace({kink: _branch(kink, parts, _inside(low, high))}), low, high)
    return (), (expr,)


def _zeros(expr: sp.Expr) -> tuple[sp.Expr, ...] | None:
    """All real zeros of an expression, exact, or None where they are not known.

    Those of a polynomial by radicals; of a function that rises or falls everywhere, a small whole number.
    """
    if not expr.has(Z):
        return ()
    if expr.is_polynomial(Z):
        roots = tuple(dict.fromkeys(sp.Poly(expr, Z).real_roots()))
        return None if any(root.has(sp.CRootOf) for root in roots) else roots
    slope = sp.diff(expr, Z)
    if slope.is_positive or slope.is_negative:
        return next(((sp.Integer(x),) for x in SMALL if expr.subs(Z, x) == 0), None)
    return None


def _inside(low: Any, high: Any) -> sp.Expr:
    if low == -sp.oo:
        return sp.S.Zero if high == sp.oo else high - 1
    return low + 1 if high == sp.oo else (low + high) / 2


def _branch(kink: sp.Expr, parts: Any, at: sp.Expr) -> sp.Expr:
    """What a kink is on an interval that holds `at` and no edge of it."""
    values = [x.subs(Z, at) for x in parts]
    if isinstance(kink, sp.Max | sp.Min):
        chosen = max(values) if isinstance(kink, sp.Max) else min(values)
        return parts[values.index(chosen)]
    if isinstance(kink, sp.Abs):
        return parts[0] if values[0] >= 0 else -parts[0]
    return kink.func(values[0])
