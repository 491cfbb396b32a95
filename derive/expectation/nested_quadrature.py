"""E[phi(u) psi(v)] of smooth functions that are steep somewhere: an integral over v of the mean of phi given v.

At large variances such functions are nearly kinked, and no series of moderate order holds them. Gauss-Legendre panels
end where the definition of a function says that it changes, and at powers of two of its scale on both sides, seen
from each of the two integrals, so that they are as short as the functions are steep; the nodes of all panels are
increased until the value stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from wideproof.derive.expectation.gauss_legendre import rule, settled
from wideproof.derive.expectation.mehler_series import REACH
from wideproof.derive.expectation.steep_places import Places

NODES, PANELS = (12, 16, 24, 32), 10
"""Nodes of a panel, from first to last attempt, and equal panels over the whole line before any is cut."""
WIDTHS = (-9.0, -6.0, -3.0, 3.0, 6.0, 9.0)
"""Where they end around a step that is smoothed by a normal density, in deviations."""


class Steep(NamedTuple):
    """A function as array code, and the places between which it is smooth on the scale of their distance.

    `bent` is its second derivative, where that is known.
    """

    values: Callable[[Any], Any]
    places: Places
    bent: Callable[[Any], Any] | None = None


def shifted(phi: Steep, mean: float) -> Steep:
    """phi(mean + z) as a function of z."""
    if mean == 0.0:
        return phi
    places = Places(*(tuple(at - mean for at in each) for each in phi.places))
    bent = phi.bent
    return Steep(lambda z: phi.values(mean + z), places, None if bent is None else lambda z: bent(mean + z))


def pair(
    xp: Any, phi: Steep, psi: Steep, means: tuple[Any, Any], deviations: tuple[Any, Any], correlation: Any, rest: Any
) -> tuple[Any, Any]:
    """E[phi(u) psi(v)] and an estimate of its error; shapes broadcast, `rest` is sqrt(1 - correlation^2)."""
    own, other, centres = (xp.asarray(x) for x in (phi.places.ends, psi.places.ends, phi.places.centres))
    smoothed = xp.asarray(WIDTHS)[:, None]

    def integral(nodes: int, m: Any, k: Any, p: Any, q: Any, r: Any, rest: Any) -> tuple[Any, Any]:
        slope, spread = (r * p)[:, None], (p * rest)[:, None]
        steps = (own, (centres + spread[..., None] * smoothed).reshape(len(m), -1))
        ends = [image(xp, other - k[:, None], q[:, None]), *(image(xp, at - m[:, None], slope) for at in steps)]
        y, w = rule(xp, nodes, PANELS, *ends)
        given = m[:, None] + slope * y
        inside, w_inside = rule(xp, nodes, PANELS, image(xp, own - given[..., None], spread[..., None]))
        values = phi.values(given[..., None] + spread[..., None] * inside) * w_inside
        return _sums(xp, values, psi.values(k[:, None] + q[:, None] * y) * w)

    inner = len(phi.places.ends) + PANELS
    outer = len(psi.places.ends) + inner + len(WIDTHS) * len(phi.places.centres)
    law = (*means, *deviations, correlation, rest)
    condition = max(phi.places.condition, psi.places.condition)
    return settled(xp, integral, law, NODES, lambda nodes: 2 * inner * outer * nodes**2, condition)


def mean(xp: Any, phi: Steep, centre: Any, deviation: Any) -> tuple[Any, Any]:
    """E[phi(u)] and an estimate of its error; shapes broadcast."""

    def integral(nodes: int, m: Any, p: Any) -> tuple[Any, Any]:
        y, w = rule(xp, nodes, PANELS, image(xp, xp.asarray(phi.places.ends) - m[:, None], p[:, None]))
        return _sums(xp, phi.values(m[:, None] + p[:, None] * y) * w)

    panels = len(phi.places.ends) + PANELS
    return settled(xp, integral, (centre, deviation), NODES, lambda nodes: 2 * panels * nodes, phi.places.condition)


def _sums(xp: Any, values: Any, outer: Any = None) -> tuple[Any, Any]:
    """The sum, and that of the absolute values, first over the inner nodes."""
    plain, size = xp.sum(values, axis=-1), xp.sum(xp.abs(values), axis=-1)
    return (plain, size) if outer is None else (xp.sum(plain * outer, axis=-1), xp.sum(size * xp.abs(outer), axis=-1))


def image(xp: Any, at: Any, slope: Any) -> Any:
    """Where slope x reaches these values; the end of the line where it never does."""
    flat = xp.abs(at) >= REACH * xp.abs(slope)
    return xp.where(flat, REACH * xp.where(at < 0, -1.0, 1.0), at / xp.where(flat, 1.0, slope))
