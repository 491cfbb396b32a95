"""E[phi(u) psi(v)] of a piecewise linear phi and a smooth psi: an integral over v of the exact mean of phi given v.

In v = k + sqrt(b) y that mean is smooth but for steps as wide as sqrt(1 - r^2) / |r| around the images of the kinks,
and linear some widths away. Gauss-Legendre panels end there, at the kinks themselves for variables that coincide or
oppose each other, and where psi is steep; all panels are halved until the value stays.
"""

from __future__ import annotations

from typing import Any

from wideproof.derive.expectation import piecewise_linear
from wideproof.derive.expectation.gauss_legendre import rule, settled
from wideproof.derive.expectation.mehler_series import REACH
from wideproof.derive.expectation.nested_quadrature import Steep, image
from wideproof.derive.expectation.piecewise_linear import Broken

NODES, PANELS, PARTS = 24, 13, (1, 2, 4, 8, 16, 32, 64)
"""Nodes of a panel, equal panels over the whole line before any is cut, and into how many parts all are cut at last."""
WIDTHS = (-9.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0)
"""Where panels end around a kink, in widths of its step: beyond nine the normal density is rounding."""


def pair(
    xp: Any, phi: Broken, psi: Steep, means: tuple[Any, Any], deviations: tuple[Any, Any], correlation: Any, rest: Any
) -> tuple[Any, Any]:
    """E[phi(u) psi(v)] and an estimate of its error; shapes broadcast, `rest` is sqrt(1 - correlation^2)."""

    def integral(parts: int, *law: Any) -> tuple[Any, Any]:
        m, k, p, q, r, rest = (x[:, None] for x in law)
        steep = image(xp, xp.asarray(psi.places.ends) - k, q)
        y, w = rule(xp, NODES, PANELS, steep, *_ends(xp, phi, m, p, r, rest), parts=parts)
        values = piecewise_linear.mean(xp, phi, m + r * p * y, p * rest) * psi.values(k + q * y) * w
        return xp.sum(values, axis=-1), xp.sum(xp.abs(values), axis=-1)

    panels = PANELS + len(WIDTHS) * len(phi.kinks) + len(psi.places.ends)
    law = (*means, *deviations, correlation, rest)
    return settled(xp, integral, law, PARTS, lambda parts: 2 * NODES * panels * parts, psi.places.condition)


def _ends(xp: Any, phi: Broken, m: Any, p: Any, r: Any, rest: Any) -> list[Any]:
    """Ends of the panels around the images of the kinks.  Shapes: (N, 1) -> (N, E) each."""
    slope = xp.where(r * p == 0, 1.0, r * p)
    width = xp.where(r == 0, REACH, rest / xp.where(r == 0, 1.0, xp.abs(r)))
    images = [xp.where(r * p == 0, REACH, (at - m) / slope) for at, _, _ in phi.kinks]
    return [xp.clip(place + width * xp.asarray(WIDTHS), -REACH, REACH) for place in images]
