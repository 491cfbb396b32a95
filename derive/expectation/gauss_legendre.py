"""Integrals over normal densities on Gauss-Legendre panels, refined until the value stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.mehler_series import FAR, NEGLIGIBLE, REACH, ROUNDING, TOLERANCE, UNSEEN
from wideproof.derive.expectation.piecewise_linear import density

CHUNK = 2**21
"""Nodes of all pairs evaluated at once."""


@lru_cache(maxsize=8)
def legendre(nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes and weights from -1 to 1."""
    return np.polynomial.legendre.leggauss(nodes)


def rule(xp: Any, nodes: int, equal: int, *ends: Any, parts: int = 1) -> tuple[Any, Any]:
    """Nodes and weights of the normal density on panels that end at these places, every panel in so many parts.

    Besides, so many `equal` panels cover the line as far as REACH, and one on each side what is left of it to FAR.
    Shapes: (..., E) -> (..., J).
    """
    shape = ends[0].shape[:-1]
    whole = xp.concatenate([xp.asarray([-FAR]), xp.linspace(-REACH, REACH, equal + 1), xp.asarray([FAR])])
    places = xp.sort(xp.concatenate([xp.broadcast_to(whole, (*shape, equal + 3)), *ends], axis=-1), axis=-1)
    x, w = (xp.asarray(part) for part in legendre(nodes))
    inside, weights = (1.0 + x + 2.0 * xp.arange(parts)[:, None]).reshape(-1), xp.tile(w, parts)
    half = 0.5 / parts * (places[..., 1:] - places[..., :-1])[..., None]
    y = places[..., :-1, None] + half * inside
    return y.reshape(*shape, -1), (half * weights * density(xp, y)).reshape(*shape, -1)


def settled(
    xp: Any,
    integral: Callable[..., tuple[Any, Any]],
    law: Sequence[Any],
    levels: Sequence[int],
    cost: Callable[[int], int],
    condition: float = 1.0,
    tolerance: float = TOLERANCE,
) -> tuple[Any, Any]:
    """The integrals and estimates of their errors, never zero, at the next level for those that still change.

    `integral(level, *law)` gives the integral and that of the absolute value; `cost` is its nodes for one law.
    `condition` says by how many times more than itself the rounding of an argument changes the function,
    `tolerance` which part of the absolute value may still change.
    Shapes: all broadcast.
    """
    law = xp.broadcast_arrays(*(xp.asarray(x, dtype=xp.float64) for x in law))
    shape, law = law[0].shape, [x.reshape(-1) for x in law]
    total, size, change = (xp.full(law[0].shape, math.nan) for _ in range(3))
    for level in levels:
        open_ = xp.nonzero(~(change <= tolerance * size))[0]
        step = max(1, CHUNK // cost(level))
        for start in range(0, open_.size, step):
            here = open_[start : start + step]
            found, size[here] = integral(level, *(x[here] for x in law))
            change[here], total[here] = xp.abs(found - total[here]), found
    doubt = change + (max(1.0, condition) * ROUNDING + NEGLIGIBLE) * size + xp.where(size == 0, UNSEEN, 0.0)
    return total.reshape(shape), doubt.reshape(shape)
