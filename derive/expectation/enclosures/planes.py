"""Enclosures of integrals over two correlated normal variables, by rectangles with Gauss-Legendre nodes.

For functions whose series converges too slowly: those with kinks, at large correlations. On a rectangle with half-sides
h and k the error of m x m nodes is at most 32 h k M / ((a - 1) a^(2m - 1)), M a bound on the integrand where each
variable lies in its ellipse (see `hermite`), one variable after the other. Rectangles are cut until that is small.
Source: trefethen2019approximation.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from wideproof.derive.algebra.ball_code import flint
from wideproof.derive.expectation.enclosures.hermite import ELLIPSE, ellipse, legendre, near_edges, unit_panels
from wideproof.derive.expectation.enclosures.integrals import Mapped, cells, reach_of
from wideproof.derive.language.errors import NotAccurate

NODES = 24
FINE = 76
"""Bits of the error of one rectangle."""
MOST = 12000
"""Rectangles that are looked at."""
Panel = tuple[Any, Any]


def plane_mean(maps: tuple[Mapped, Mapped], energies: tuple[Any, Any], r: Any) -> Any:
    """E[phi(u) psi(v)] at a correlation inside (-1, 1), E[phi^2] and E[psi^2] given.

    Error: none, the truth lies in the ball; NotAccurate where too many rectangles would be needed.
    """
    arb = flint().arb
    sides, doubt = [], arb(0)
    for x, other in zip(maps, reversed(energies), strict=True):
        reach, _ = reach_of(x)
        plain, hulls = cells((x,), reach)
        sides.append(_Side(x, unit_panels(plain)))
        doubt += ((x.beyond(reach) + near_edges(x, hulls)) * other).sqrt()
    todo = list(product(*(side.panels for side in sides)))
    total, fine = arb(0), arb(2) ** -FINE
    for _ in range(MOST):
        if not todo:
            return total + arb(0, doubt.upper())
        first, second = todo.pop()
        if (most := _bound(sides, first, second, r, False)) < fine:
            doubt += most
        elif (error := _bound(sides, first, second, r, True)) < fine:
            doubt += error
            total += _sum(sides, first, second, r)
        else:
            todo += list(product(*(_halves(*panel) for panel in (first, second))))
    raise NotAccurate(
        f"enclosure of E of {' '.join(x.phi.name + chr(39) * x.phi.order for x in maps)}",
        f"an integral over at most {MOST} rectangles",
        f"a correlation of {r.str(8, radius=False)}",
        "Functions with kinks that are not piecewise linear, and steep ones, are enclosed at smaller correlations.",
    )


class _Side:
    """One function on panels of its variable: values at nodes and bounds, each found once."""

    def __init__(self, mapped: Mapped, panels: list[Panel]) -> None:
        self.mapped, self.panels = mapped, panels
        self.known: dict[Any, Any] = {}

    def nodes(self, panel: Panel) -> list[tuple[Any, Any]]:
        """(x, phi at x times the weight of the node)."""
        return self._once("nodes", panel, self._nodes)

    def size(self, panel: Panel, wide: bool) -> Any:
        """A bound on phi over the panel, or over its ellipse; infinite where it is not analytic."""
        return self._once(wide, panel, lambda low, high: self._size(low, high, wide))

    def _once(self, what: Any, panel: Panel, found: Any) -> Any:
        key = (what, *(tuple(map(int, x.man_exp())) for x in panel))
        if key not in self.known:
            self.known[key] = found(*panel)
        return self.known[key]

    def _image(self, low: Any, high: Any, x: Any, analytic: bool) -> Any:
        return self.mapped.at((low + high) / 2)(self.mapped.mean + self.mapped.slope * x, analytic)

    def _nodes(self, low: Any, high: Any) -> list[tuple[Any, Any]]:
        half = (high - low) / 2
        rule = [(low + half * (1 + x), half * weight) for x, weight in legendre(NODES, flint().ctx.prec)]
        return [(x, weight * self._image(low, high, flint().acb(x), False).real) for x, weight in rule]

    def _size(self, low: Any, high: Any, wide: bool) -> Any:
        box = ellipse(low, high) if wide else flint().acb(low.union(high))
        value = self._image(low, high, box, wide)
        return value.abs_upper() if value.is_finite() else flint().arb.pos_inf()


def _bound(sides: list[_Side], first: Panel, second: Panel, r: Any, wide: bool) -> Any:
    """A bound on the integral over a rectangle, or on the error of its nodes."""
    arb = flint().arb
    size = sides[0].size(first, wide) * sides[1].size(second, wide)
    area = (first[1] - first[0]) * (second[1] - second[0])
    if not wide:
        x, y = first[0].union(first[1]), second[0].union(second[1])
        return (size * area * abs(_density(x, y, r))).upper()
    x, y = ellipse(*first), ellipse(*second)
    lift = (
        x.imag.abs_upper() ** 2 + y.imag.abs_upper() ** 2 + 2 * abs(r) * x.imag.abs_upper() * y.imag.abs_upper()
    ) / (2 * (1 - r**2))
    most = size * _density(x.real, y.real, r) * lift.exp()
    return (8 * area * most / ((ELLIPSE - 1) * arb(ELLIPSE) ** (2 * NODES - 1))).upper()


def _density(x: Any, y: Any, r: Any) -> Any:
    """The normal density of two variables of correlation r."""
    arb = flint().arb
    rest = 1 - r**2
    return (-((x - r * y) ** 2 / rest + y**2) / 2).exp() / (2 * arb.pi() * rest.sqrt())


def _sum(sides: list[_Side], first: Panel, second: Panel, r: Any) -> Any:
    arb = flint().arb
    rest = 1 - r**2
    rows, columns = sides[0].nodes(first), sides[1].nodes(second)
    total = arb(0)
    for y, psi in columns:
        inner = sum((phi * (-((x - r * y) ** 2) / (2 * rest)).exp() for x, phi in rows), arb(0))
        total += psi * (-y * y / 2).exp() * inner
    return total / (2 * arb.pi() * rest.sqrt())


def _halves(low: Any, high: Any) -> list[Panel]:
    middle = ((low + high) / 2).mid()
    return [(low, middle), (middle, high)]
