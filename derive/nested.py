"""E[phi(u) psi(v)] of smooth functions that are steep around zero: an integral over v of the mean of phi given v.

At large variances such functions are nearly kinked, and no series of moderate order holds them. Gauss-Legendre panels
end at zero and at powers of two on both sides of it, seen from each of the two integrals, so that they are as short
as the functions are steep; the nodes of all panels are increased until the value stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kinks import density
from .mehler import NEGLIGIBLE, REACH, ROUNDING, TOLERANCE

NODES, PANELS = (12, 16, 24, 32), 10
"""Nodes of a panel, from first to last attempt, and equal panels over the whole line before any is cut."""
GRADED = (0.0, *(sign * 2.0**k for sign in (-1, 1) for k in range(7)))
"""Where panels end around zero, in units of the argument of a function."""
WIDTHS = (-9.0, -6.0, -3.0, 3.0, 6.0, 9.0)
"""Where they end around a step that is smoothed by a normal density, in deviations."""
CHUNK = 2**21
"""Nodes of all pairs evaluated at once."""
Function = Callable[[Any], Any]


@lru_cache(maxsize=len(NODES))
def _legendre(nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.polynomial.legendre.leggauss(nodes)


def pair(xp: Any, phi: Function, psi: Function, means: tuple[Any, Any], deviations: tuple[Any, Any],
         correlation: Any, rest: Any) -> tuple[Any, Any]:
    """E[phi(u) psi(v)] and a bound on its error; shapes broadcast, `rest` is sqrt(1 - correlation^2)."""
    law = [xp.asarray(x, dtype=xp.float64) for x in (*means, *deviations, correlation, rest)]

    def integral(nodes: int, m: Any, k: Any, p: Any, q: Any, r: Any, rest: Any) -> tuple[Any, Any]:
        slope, spread = (r * p)[:, None], (p * rest)[:, None]
        steps = (xp.asarray(GRADED), spread * xp.asarray(WIDTHS))
        ends = [_image(xp, xp.asarray(GRADED) - k[:, None], q[:, None]),
                *(_image(xp, at - m[:, None], slope) for at in steps)]
        y, w = _rule(xp, nodes, *ends)
        given = m[:, None] + slope * y
        inside, w_inside = _rule(xp, nodes, _image(xp, xp.asarray(GRADED) - given[..., None], spread[..., None]))
        values = phi(given[..., None] + spread[..., None] * inside) * w_inside
        return _sums(xp, values, psi(k[:, None] + q[:, None] * y) * w)

    return _settled(xp, integral, law, 20 * len(GRADED) ** 2)


def mean(xp: Any, phi: Function, centre: Any, deviation: Any) -> tuple[Any, Any]:
    """E[phi(u)] and a bound on its error; shapes broadcast."""
    law = [xp.asarray(x, dtype=xp.float64) for x in (centre, deviation)]

    def integral(nodes: int, m: Any, p: Any) -> tuple[Any, Any]:
        y, w = _rule(xp, nodes, _image(xp, xp.asarray(GRADED) - m[:, None], p[:, None]))
        return _sums(xp, phi(m[:, None] + p[:, None] * y) * w)

    return _settled(xp, integral, law, 2 * len(GRADED))


def _sums(xp: Any, values: Any, outer: Any = None) -> tuple[Any, Any]:
    """The sum, and that of the absolute values, first over the inner nodes."""
    plain, size = xp.sum(values, axis=-1), xp.sum(xp.abs(values), axis=-1)
    return (plain, size) if outer is None else (xp.sum(plain * outer, axis=-1), xp.sum(size * xp.abs(outer), axis=-1))


def _settled(xp: Any, integral: Callable[..., tuple[Any, Any]], law: list[Any], panels: int) -> tuple[Any, Any]:
    """The integrals, with more nodes for those that still change."""
    law = xp.broadcast_arrays(*law)
    shape, law = law[0].shape, [x.reshape(-1) for x in law]
    total, size, change = (xp.full(law[0].shape, math.nan) for _ in range(3))
    for nodes in NODES:
        open_ = xp.nonzero(~(change <= TOLERANCE * size))[0]
        step = max(1, CHUNK // (panels * nodes**2))
        for start in range(0, open_.size, step):
            here = open_[start:start + step]
            found, size[here] = integral(nodes, *(x[here] for x in law))
            change[here], total[here] = xp.abs(found - total[here]), found
    return total.reshape(shape), (change + (ROUNDING + NEGLIGIBLE) * size).reshape(shape)


def _image(xp: Any, at: Any, slope: Any) -> Any:
    """Where slope x reaches these values; the end of the line where it never does."""
    flat = xp.abs(at) >= REACH * xp.abs(slope)
    return xp.where(flat, REACH * xp.where(at < 0, -1.0, 1.0), at / xp.where(flat, 1.0, slope))


def _rule(xp: Any, nodes: int, *ends: Any) -> tuple[Any, Any]:
    """Nodes and weights of the normal density on panels that end at these places.  Shapes: (..., E) -> (..., J)."""
    shape = ends[0].shape[:-1]
    equal = xp.broadcast_to(xp.linspace(-REACH, REACH, PANELS + 1), (*shape, PANELS + 1))
    places = xp.sort(xp.concatenate([equal, *ends], axis=-1), axis=-1)
    x, w = (xp.asarray(part) for part in _legendre(nodes))
    half = 0.5 * (places[..., 1:] - places[..., :-1])[..., None]
    y = places[..., :-1, None] + half * (1.0 + x)
    return y.reshape(*shape, -1), (half * w * density(xp, y)).reshape(*shape, -1)
