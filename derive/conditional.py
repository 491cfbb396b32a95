"""E[phi(u) psi(v)] of a piecewise linear phi and a smooth psi: an integral over v of the exact mean of phi given v.

In v = k + sqrt(b) y that mean is smooth but for steps as wide as sqrt(1 - r^2) / |r| around the images of the kinks,
and linear some widths away. Gauss-Legendre panels end there, and at the kinks themselves for variables that coincide
or oppose each other; all panels are halved until the value stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import kinks
from .kinks import Broken
from .mehler import NEGLIGIBLE, REACH, ROUNDING, TOLERANCE

NODES, PANELS, FINEST = 24, 13, 6
"""Nodes of a panel, equal panels over the whole line before any is cut, and how often all are halved at most."""
WIDTHS = (-9.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0)
"""Where panels end around a kink, in widths of its step: beyond nine the normal density is rounding."""
CHUNK = 2**20
"""Nodes of all pairs evaluated at once."""


@lru_cache(maxsize=1)
def _legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.polynomial.legendre.leggauss(NODES)


def pair(xp: Any, phi: Broken, psi: Callable[[Any], Any], means: tuple[Any, Any], deviations: tuple[Any, Any],
         correlation: Any, rest: Any) -> tuple[Any, Any]:
    """E[phi(u) psi(v)] and a bound on its error; shapes broadcast, `rest` is sqrt(1 - correlation^2)."""
    law = xp.broadcast_arrays(*(xp.asarray(x, dtype=xp.float64) for x in (*means, *deviations, correlation, rest)))
    shape, law = law[0].shape, [x.reshape(-1) for x in law]
    total, bound = xp.zeros(law[0].shape), xp.zeros(law[0].shape)
    size = max(1, CHUNK // (2 * NODES * (PANELS + len(WIDTHS) * len(phi.kinks))))
    for start in range(0, law[0].size, size):
        here = slice(start, start + size)
        total[here], bound[here] = _settled(xp, phi, psi, [x[here] for x in law])
    return total.reshape(shape), bound.reshape(shape)


def _settled(xp: Any, phi: Broken, psi: Callable[[Any], Any], law: list[Any]) -> tuple[Any, Any]:
    """The integrals, panels halved for those that still change."""
    total, size = _integral(xp, phi, psi, law, 1)
    change = xp.full(total.shape, math.inf)
    for level in range(1, FINEST + 1):
        open_ = xp.nonzero(~(change <= TOLERANCE * size))[0]
        if not open_.size:
            break
        finer, size[open_] = _integral(xp, phi, psi, [x[open_] for x in law], 2**level)
        change[open_] = xp.abs(finer - total[open_])
        total[open_] = finer
    return total, change + (ROUNDING + NEGLIGIBLE) * size


def _integral(xp: Any, phi: Broken, psi: Callable[[Any], Any], law: list[Any], parts: int) -> tuple[Any, Any]:
    """The integral and that of the absolute value, every panel in so many parts.  Shapes: (N,)."""
    m, k, p, q, r, rest = (x[:, None, None] for x in law)
    ends = _ends(xp, phi, law)
    x, w = (xp.asarray(part) for part in _legendre())
    inside, weights = (1.0 + x + 2.0 * xp.arange(parts)[:, None]).reshape(-1), xp.tile(w, parts)
    half = 0.5 / parts * (ends[:, 1:] - ends[:, :-1])[..., None]
    y = ends[:, :-1, None] + half * inside
    values = kinks.mean(xp, phi, m + r * p * y, p * rest) * psi(k + q * y) * (half * weights * kinks.density(xp, y))
    return xp.sum(values, axis=(1, 2)), xp.sum(xp.abs(values), axis=(1, 2))


def _ends(xp: Any, phi: Broken, law: list[Any]) -> Any:
    """Ends of the panels of each pair, in order.  Shapes: (N,) -> (N, E)."""
    m, _, p, _, r, rest = (x[:, None] for x in law)
    slope = xp.where(r * p == 0, 1.0, r * p)
    found = [xp.broadcast_to(xp.linspace(-REACH, REACH, PANELS + 1), (m.shape[0], PANELS + 1))]
    for at, _, _ in phi.kinks:
        image = xp.where(r * p == 0, REACH, (at - m) / slope)
        width = xp.where(r == 0, REACH, rest / xp.where(r == 0, 1.0, xp.abs(r)))
        found.append(xp.clip(image + width * xp.asarray(WIDTHS), -REACH, REACH))
    return xp.sort(xp.concatenate(found, axis=1), axis=1)
