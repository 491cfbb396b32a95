"""Mehler's series in ball arithmetic: enclosed Hermite coefficients, and a bound on all that follow.

E[phi(u) psi(v)] = sum p_k q_k r^k, r the correlation; what K terms leave out is at most |r|^K times the root of the
product of E[phi^2] - sum p_k^2 and the same of psi. All coefficients of one function come from one set of panels with
Gauss-Legendre nodes. With m nodes on a panel of half-length h the error is at most 8 h M / ((a - 1) a^(2m - 1)), M a
bound on the integrand over the ellipse with foci at the ends and semi-axes (a + 1/a) h/2 and (a - 1/a) h/2: a rule with
positive weights that is exact for polynomials of degree 2m - 1 is off by no more than twice the length of the panel
times the distance from them, and Chebyshev's series is within 2 M / ((a - 1) a^(2m - 1)). Of he_k the bound is Mehler's
kernel, a sum of squares: |he_k(x + iy)|^2 <= t^-k (1 - t^2)^(-1/2) exp(t x^2/(1 + t) + t y^2/(1 - t)), 0 < t < 1.
Source: mehler1866ueber; trefethen2019approximation.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from wideproof.derive.algebra.ball_code import flint
from wideproof.derive.expectation.enclosures.integrals import Mapped, cells, density, reach_of, small

ORDERS = (48, 96, 192, 384)
"""Numbers of coefficients that are tried one after the other."""
NODES, ELLIPSE = 40, 4
DEEPEST = 24
"""Halvings of a panel of length one."""
PANELS = 400


class EnclosedSeries(NamedTuple):
    """Enclosures of p_0, p_1, ..., p_{K-1}, and a number above the sum of the squares of all the others."""

    coefficients: tuple[Any, ...]
    tail: Any


@lru_cache(maxsize=64)
def legendre(count: int, precision: int) -> tuple[tuple[Any, Any], ...]:
    """Nodes and weights of Gauss and Legendre."""
    with flint().ctx.workprec(precision):
        return tuple(flint().arb.legendre_p_root(count, i, weight=True) for i in range(count))


def series(mapped: Mapped, order: int, energy: Any) -> EnclosedSeries | None:
    """The first coefficients of a function, E[phi^2] given; None where its panels become too many.

    Error: none, the truth lies in the balls.
    """
    arb, module = flint().arb, flint()
    reach, beyond = reach_of(mapped)
    plain, hulls = cells((mapped,), reach)
    panels = _panels(mapped, plain, order)
    if panels is None:
        return None
    total = module.arb_mat(order, 1)
    for low, high in panels[0]:
        nodes, table = _table(low, high, order, module.ctx.prec)
        branch = mapped.at((low + high) / 2)
        values = [[branch(mapped.mean + mapped.slope * module.acb(x), False).real] for x in nodes]
        total += table * module.arb_mat(values)
    doubt = arb(0, (beyond + panels[1] + near_edges(mapped, hulls).sqrt()).upper())
    coefficients = tuple(total[k, 0] + doubt for k in range(order))
    kept = sum((x.abs_lower() ** 2 for x in coefficients), arb(0))
    return EnclosedSeries(coefficients, (energy - kept).nonnegative_part().upper())


def near_edges(mapped: Mapped, hulls: list[tuple[Any, Any]]) -> Any:
    """A bound on the part of E[phi^2] where the variable is within rounding of an edge."""
    total = flint().arb(0)
    for low, high in hulls:
        inside = flint().acb(low.union(high))
        value = mapped.phi.whole(mapped.mean + mapped.slope * inside).abs_upper() ** 2
        total += value * density(inside).abs_upper() * (high - low)
    return total


def unit_panels(plain: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Intervals cut at whole numbers."""
    arb = flint().arb
    found = []
    for low, high in plain:
        inner = [arb(i) for i in range(math.ceil(float(low)) - 1, math.floor(float(high)) + 2)]
        ends = [low, *(x for x in inner if low < x < high), high]
        found += list(pairwise(ends))
    return found


def _panels(mapped: Mapped, plain: list[tuple[Any, Any]], order: int) -> tuple[list[tuple[Any, Any]], Any] | None:
    """Panels whose errors together stay below what is asked for, and a bound on that sum."""
    arb = flint().arb
    todo = [(low, high, 0) for low, high in unit_panels(plain)]
    done: list[tuple[Any, Any]] = []
    total = arb(0)
    while todo:
        low, high, depth = todo.pop()
        error = _error(mapped, low, high, order)
        if error < small():
            done.append((low, high))
            total += error
        elif depth == DEEPEST or len(done) + len(todo) > PANELS:
            return None
        else:
            middle = ((low + high) / 2).mid()
            todo += [(low, middle, depth + 1), (middle, high, depth + 1)]
    return done, total.upper()


def _error(mapped: Mapped, low: Any, high: Any, order: int) -> Any:
    """The bound of the rule on one panel, for every coefficient below `order`; infinite where phi is not analytic."""
    arb = flint().arb
    box = ellipse(low, high)
    value = mapped.at((low + high) / 2)(mapped.mean + mapped.slope * box, True)
    if not value.is_finite():
        return arb.pos_inf()
    size = value.abs_upper() * _weight(box.real.abs_lower(), box.imag.abs_upper(), order - 1)
    return (4 * (high - low) * size / ((ELLIPSE - 1) * arb(ELLIPSE) ** (2 * NODES - 1))).upper()


def ellipse(low: Any, high: Any) -> Any:
    """A box around the ellipse with foci at two exact numbers."""
    arb, acb = flint().arb, flint().acb
    centre, half = (low + high) / 2, (high - low) / 2
    wide, tall = (ELLIPSE + arb(1) / ELLIPSE) * half / 2, (ELLIPSE - arb(1) / ELLIPSE) * half / 2
    return acb(arb(centre, wide.upper()), arb(0, tall.upper()))


def _weight(x: Any, y: Any, order: int) -> Any:
    """A bound on |he_k(z)| times the modulus of the normal density, |Re z| >= x, |Im z| <= y, k <= order."""
    arb = flint().arb
    t = arb(_best(float(x), float(y), order))
    exponent = -(x**2) / (2 * (1 + t)) + y**2 / (2 * (1 - t))
    return t ** (-arb(order) / 2) * exponent.exp() / (1 - t**2).root(4) / (2 * arb.pi()).sqrt()


@lru_cache(maxsize=4096)
def _best(x: float, y: float, order: int) -> float:
    """The t of the best bound among some: any is valid."""

    def exponent(t: float) -> float:
        return -0.5 * order * math.log(t) - x * x / (2 + 2 * t) + y * y / (2 - 2 * t) - 0.25 * math.log(1 - t * t)

    return min((1 - 2.0 ** (-0.5 * i) for i in range(1, 30)), key=exponent)


@lru_cache(maxsize=192)
def _cached_table(ends: tuple[Any, Any], order: int, precision: int) -> tuple[Any, Any]:
    """Nodes of a panel, and he_k there times density and weights.

    The recurrence of he_k loses up to exp(|x| sqrt(k)), so that it is run with so many bits more.
    """
    module = flint()
    arb = module.arb
    low, high = (arb(mantissa) * arb(2) ** exponent for mantissa, exponent in ends)
    most = max(abs(float(low)), abs(float(high)))
    extra = math.ceil(3 * most * math.sqrt(order)) + 32
    with module.ctx.workprec(precision + extra):
        centre, half = (low + high) / 2, (high - low) / 2
        rule = legendre(NODES, precision + extra)
        nodes = [centre + half * x for x, _ in rule]
        rows = [[density(x) * half * weight for x, (_, weight) in zip(nodes, rule, strict=True)]]
        rows.append([x * value for x, value in zip(nodes, rows[0], strict=True)])
        roots = [arb(k).sqrt() for k in range(order + 1)]
        for k in range(1, order - 1):
            last = zip(nodes, rows[k], rows[k - 1], strict=True)
            rows.append([(x * value - roots[k] * before) / roots[k + 1] for x, value, before in last])
    rounded = [[value * 1 for value in row] for row in rows]
    return [x * 1 for x in nodes], module.arb_mat(rounded)


def _table(low: Any, high: Any, order: int, precision: int) -> tuple[Any, Any]:
    ends = tuple(tuple(map(int, x.man_exp())) for x in (low, high))
    return _cached_table(ends, order, precision)
