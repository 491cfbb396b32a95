"""E[phi(u) psi(v)] of centred variables, of functions that change around zero only, also where they have kinks there.

In polar coordinates u = p R sin(W - x) and v = q R sin(x) on the wedge where both are positive, whose width W is pi
less the angle between the two, and the density is R exp(-R^2 / 2) / (2 pi). Kinks at zero are the sides of four such
wedges, and inside each the integrand is smooth on the scale of its distance from them. Gauss-Legendre nodes in the
inverse hyperbolic sines of R and of x, in units of where the functions change, see all scales at once.
Source: cho2009kernel for the coordinates; trefethen2014exponentially.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.gauss_legendre import legendre, settled
from wideproof.derive.expectation.mehler_series import FAR
from wideproof.derive.expectation.nested_quadrature import Steep

Host = NDArray[np.float64]
LEVELS, LENGTH = (10, 12, 15, 20), 3.0
"""Nodes on a stretch of this length of x, from first to last attempt; on one of R, where the normal density falls like
a double exponential, twice as many."""
REACHES, UNSEEN = (9.5, 13.0, 20.0, FAR), 1e-18
"""Where R may end: at the first place from where on the integrand is no more than this part of its largest value."""
SETTLED = 1e-12
"""The part of the mean of |phi psi| that may still change: what the next attempt leaves is far less."""
STRIP, IN_CACHE = 2**13, 64
"""Nodes times deviations at a time, and by how many times fewer pairs than for other integrals are taken at once."""
SIGNS = (1.0, -1.0)


class Points(NamedTuple):
    """u / p and v / q at the nodes of half a wedge, next to the side where the second is zero, and their weights.

    Shapes: (L, R, X) of L laws.
    """

    far: Any
    near: Any
    weights: Any


def serves(*functions: Steep) -> bool:
    """Whether all functions change around zero only."""
    return all(phi.places.centres == (0.0,) for phi in functions)


def scale(phi: Steep) -> float:
    """How far from zero a function changes first."""
    return min((abs(end) for end in phi.places.ends if end), default=1.0)


class Resolution(NamedTuple):
    """How many nodes of R and of x, and where R ends."""

    radii: int
    angles: int
    reach: float


def _resolution(level: int, widest: float, reach: float) -> Resolution:
    """That of functions of deviations which are so many times the scale of their change."""
    length = math.asinh(reach * max(widest, 1.0)) / LENGTH
    return Resolution(math.ceil(2 * level * length), math.ceil(level * length), reach)


def _reach(phi: Steep, psi: Steep, p: float, q: float) -> float:
    """Where R ends for deviations up to these, also of functions that grow exponentially."""
    R = np.linspace(0.0, FAR, 2 * int(FAR) + 1)
    sizes = [np.abs(np.stack([f.values(sign * x * R) for sign in SIGNS])).max(axis=0) for f, x in ((phi, p), (psi, q))]
    seen = sizes[0] * sizes[1] * R * np.exp(-0.5 * R * R)
    return next((end for end in REACHES if not np.any(seen[end <= R] > UNSEEN * np.max(seen))), FAR)


def points(xp: Any, many: Resolution, unit: Any, width: Any) -> Points:
    """Nodes for functions of u and v of which one changes at `unit` of u / p or v / q.  Shapes: (L,) each."""
    (x, w), unit = _half(xp, many.radii), xp.minimum(unit, 1.0)[:, None]
    long = xp.asinh(many.reach / unit)
    R = unit * xp.sinh(long * x)
    mass = long * w * unit * xp.cosh(long * x) * R * xp.exp(-0.5 * R * R) / (2.0 * math.pi)
    own, width, R = xp.minimum(unit / R, 1.0)[..., None], width[:, None, None], R[..., None]
    (x, w), short = _half(xp, many.angles), xp.asinh(0.5 * width / own)
    beside = own * xp.sinh(short * x)
    weights = mass[..., None] * (short * w * own * xp.cosh(short * x))
    return Points(R * xp.sin(width - beside), R * xp.sin(beside), weights)


def _half(xp: Any, count: int) -> tuple[Any, Any]:
    """Nodes and weights from 0 to 1."""
    x, w = (xp.asarray(part) for part in legendre(count))
    return 0.5 * (1.0 + x), 0.5 * w


def pair(xp: Any, phi: Steep, psi: Steep, deviations: tuple[Any, Any], angle: Any) -> tuple[Any, Any]:
    """E[phi(u) psi(v)] and an estimate of its error; shapes broadcast, `angle` is that between the two, in [0, pi]."""
    scales = scale(phi), scale(psi)
    most = [float(xp.max(xp.asarray(x), initial=0.0)) for x in deviations]
    widest, reach = max(x / s for x, s in zip(most, scales, strict=True)), _reach(phi, psi, *most)

    def integral(level: int, p: Any, q: Any, angle: Any) -> tuple[Any, Any]:
        own = [s / xp.maximum(x, 1e-9 * s) for x, s in ((p, scales[0]), (q, scales[1]))]
        total, size, unit = xp.zeros_like(p), xp.zeros_like(p), xp.minimum(*own)
        p, q = p[:, None, None], q[:, None, None]
        for width, sign in ((math.pi - angle, 1.0), (angle, -1.0)):
            for turned in (False, True):
                at = points(xp, _resolution(level, widest, reach), unit, width)
                u, v = (at.near, at.far) if turned else (at.far, at.near)
                for first in SIGNS:
                    values = phi.values(first * p * u) * psi.values(first * sign * q * v)
                    total = total + xp.sum(values * at.weights, axis=(1, 2))
                    size = size + xp.sum(xp.abs(values) * at.weights, axis=(1, 2))
        return total, size

    law = (*deviations, angle)

    def cost(level: int) -> int:
        many = _resolution(level, widest, reach)
        return IN_CACHE * many.radii * many.angles

    return settled(xp, integral, law, LEVELS, cost, tolerance=SETTLED)


def grid(phi: Steep, psi: Steep, deviations: tuple[Host, Host], angles: Host, level: int) -> Host:
    """E[phi(u) psi(v)] for all pairs of deviations, at angles up to pi / 2 and at pi less these.

    Shapes: (n,), (m,), (K,) -> (2, K, n, m).  Error: none is estimated.
    """
    own = [scale(f) / float(np.max(x)) for f, x in zip((phi, psi), deviations, strict=True)]
    most = [float(np.max(x)) for x in deviations]
    many, found = (
        _resolution(level, 1.0 / min(own), _reach(phi, psi, *most)),
        np.zeros((2, len(angles), len(deviations[0]), len(deviations[1]))),
    )
    unit = np.array([min(own)])
    p, q = (x[:, None] for x in deviations)
    for k, turned in product(range(len(angles)), (False, True)):
        for n, width in enumerate((math.pi - angles[k], angles[k])):
            at = points(np, many, unit, np.array([width]))
            both = (at.near, at.far) if turned else (at.far, at.near)
            for u, v, weights in _strips(STRIP // max(len(p), len(q)), *both, at.weights):
                left = [phi.values(sign * p * u) * weights for sign in SIGNS]
                right = [psi.values(sign * q * v).T for sign in SIGNS]
                found[n, k] += left[0] @ right[0] + left[1] @ right[1]
                found[1 - n, k] += left[0] @ right[1] + left[1] @ right[0]
    return found


def _strips(count: int, *arrays: Host) -> Iterator[list[Host]]:
    """So many nodes at a time."""
    flat = [x.reshape(-1) for x in arrays]
    return ([x[start : start + count] for x in flat] for start in range(0, flat[0].size, count))
