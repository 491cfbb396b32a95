"""E[phi(u) psi(v)] of smooth functions that are steep around zero: an integral over v of the mean of phi given v.

At large variances such functions are nearly kinked, and no series of moderate order holds them. Gauss-Legendre panels
end at zero and at powers of two on both sides of it, seen from each of the two integrals, so that they are as short
as the functions are steep; the nodes of all panels are increased until the value stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wideproof.derive.expectation.gauss_legendre import rule, settled
from wideproof.derive.expectation.mehler_series import REACH

NODES, PANELS = (12, 16, 24, 32), 10
"""Nodes of a panel, from first to last attempt, and equal panels over the whole line before any is cut."""
GRADED = (0.0, *(sign * 2.0**k for sign in (-1, 1) for k in range(7)))
"""Where panels end around zero, in units of the argument of a function."""
WIDTHS = (-9.0, -6.0, -3.0, 3.0, 6.0, 9.0)
"""Where they end around a step that is smoothed by a normal density, in deviations."""
Function = Callable[[Any], Any]


def pair(
    xp: Any,
    phi: Function,
    psi: Function,
    means: tuple[Any, Any],
    deviations: tuple[Any, Any],
    correlation: Any,
    rest: Any,
) -> tuple[Any, Any]:
    """E[phi(u) psi(v)] and a bound on its error; shapes broadcast, `rest` is sqrt(1 - correlation^2)."""

    def integral(nodes: int, m: Any, k: Any, p: Any, q: Any, r: Any, rest: Any) -> tuple[Any, Any]:
        slope, spread = (r * p)[:, None], (p * rest)[:, None]
        steps = (xp.asarray(GRADED), spread * xp.asarray(WIDTHS))
        ends = [
            _image(xp, xp.asarray(GRADED) - k[:, None], q[:, None]),
            *(_image(xp, at - m[:, None], slope) for at in steps),
        ]
        y, w = rule(xp, nodes, PANELS, *ends)
        given = m[:, None] + slope * y
        inside, w_inside = rule(xp, nodes, PANELS, _image(xp, xp.asarray(GRADED) - given[..., None], spread[..., None]))
        values = phi(given[..., None] + spread[..., None] * inside) * w_inside
        return _sums(xp, values, psi(k[:, None] + q[:, None] * y) * w)

    return settled(
        xp, integral, (*means, *deviations, correlation, rest), NODES, lambda nodes: 20 * len(GRADED) ** 2 * nodes**2
    )


def mean(xp: Any, phi: Function, centre: Any, deviation: Any) -> tuple[Any, Any]:
    """E[phi(u)] and a bound on its error; shapes broadcast."""

    def integral(nodes: int, m: Any, p: Any) -> tuple[Any, Any]:
        y, w = rule(xp, nodes, PANELS, _image(xp, xp.asarray(GRADED) - m[:, None], p[:, None]))
        return _sums(xp, phi(m[:, None] + p[:, None] * y) * w)

    return settled(xp, integral, (centre, deviation), NODES, lambda nodes: 2 * len(GRADED) * nodes**2)


def _sums(xp: Any, values: Any, outer: Any = None) -> tuple[Any, Any]:
    """The sum, and that of the absolute values, first over the inner nodes."""
    plain, size = xp.sum(values, axis=-1), xp.sum(xp.abs(values), axis=-1)
    return (plain, size) if outer is None else (xp.sum(plain * outer, axis=-1), xp.sum(size * xp.abs(outer), axis=-1))


def _image(xp: Any, at: Any, slope: Any) -> Any:
    """Where slope x reaches these values; the end of the line where it never does."""
    flat = xp.abs(at) >= REACH * xp.abs(slope)
    return xp.where(flat, REACH * xp.where(at < 0, -1.0, 1.0), at / xp.where(flat, 1.0, slope))
