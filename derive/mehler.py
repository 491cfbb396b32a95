"""Mehler's series for E[phi(u) psi(v)] of smooth functions, with a bound on its error.

With phi(m + sqrt(a) z) = sum_k p_k he_k(z) in orthonormal Hermite polynomials, E[phi(u) psi(v)] = sum p_k q_k r^k,
r the correlation. Leaving out k >= K costs at most |r|^K times the square root of the product of the two tails
(Cauchy-Schwarz), and a tail is E[phi^2] minus the squares kept (Parseval). The coefficients are sums over a
uniform grid, which converge exponentially for analytic functions; the grid is halved until that shows.
Source: mehler1866ueber; trefethen2014exponentially.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = Callable[[Any], Any]
REACH = 13.0
"""The grid covers |z| <= 13, beyond which a standard normal variable lies with probability 1e-38."""
FINEST, ORDERS = 7, (64, 128, 256, 512, 1024, 2048)
TOLERANCE, NEGLIGIBLE = 1e-14, 1e-15
"""The parts of E[phi^2] beyond which a series is not extended (known by subtraction), and whose effect is left out."""


@dataclass(frozen=True)
class Series:
    """Hermite coefficients (..., K) of a function of a Gaussian variable, and how well they are known.

    `energy` is E[phi^2], `tail` the part of it beyond K, `doubt` the change of all coefficients (2-norm) when the
    grid was last halved.
    """

    coefficients: Any
    energy: Any
    tail: Any
    doubt: Any

    @property
    def order(self) -> int:
        """K."""
        return int(self.coefficients.shape[-1])


@lru_cache(maxsize=16)
def _grid(fineness: int, order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes z and he_k(z) times the normal density and the step.  Shapes: (J,), (J, order)."""
    half = round(REACH * 5 * 2**fineness)
    z = np.arange(-half, half + 1) / (5 * 2**fineness)
    table = np.empty((order, z.size))
    table[0] = np.exp(-0.5 * z * z) / (math.sqrt(2 * math.pi) * 5 * 2**fineness)
    table[1] = z * table[0]
    for k in range(1, order - 1):
        table[k + 1] = (z * table[k] - math.sqrt(k) * table[k - 1]) / math.sqrt(k + 1)
    return z, np.ascontiguousarray(table.T)


def series(xp: Any, phi: Function, mean: Any, variance: Any) -> Series:
    """The Hermite coefficients of phi(mean + sqrt(variance) z), the grid and the order chosen by their errors.

    Shapes: mean, variance (...) -> coefficients (..., K).  Error: `tail` and `doubt` of the result.
    """
    deviation = xp.sqrt(variance)
    for order in ORDERS:
        found = _refined(xp, phi, mean, deviation, order)
        if not bool(xp.any(found.tail > TOLERANCE * found.energy)):
            break
    return found


def _refined(xp: Any, phi: Function, mean: Any, deviation: Any, order: int) -> Series:
    coarse = _at(xp, phi, mean, deviation, 1, order)
    for fineness in range(2, FINEST):
        fine = _at(xp, phi, mean, deviation, fineness, order)
        doubt = xp.sqrt(xp.sum((fine.coefficients - coarse.coefficients) ** 2, axis=-1))
        coarse = Series(fine.coefficients, fine.energy, fine.tail, doubt + fine.doubt)
        if not bool(xp.any(doubt > TOLERANCE * xp.sqrt(fine.energy))):
            break
    return coarse


def _at(xp: Any, phi: Function, mean: Any, deviation: Any, fineness: int, order: int) -> Series:
    nodes, table = (xp.asarray(x) for x in _grid(fineness, order))
    values = phi(xp.asarray(mean)[..., None] + xp.asarray(deviation)[..., None] * nodes)
    energy = (values * values) @ table[:, 0]
    coefficients = values @ table
    kept = xp.sum(coefficients**2, axis=-1)
    edge = (abs(values[..., 0]) + abs(values[..., -1])) * float(np.exp(-0.5 * REACH**2))
    return Series(coefficients, energy, xp.abs(energy - kept), edge)


def pair(xp: Any, first: Series, second: Series, correlation: Any) -> tuple[Any, Any]:
    """E[phi(u) psi(v)] and a bound on its error; shapes broadcast."""
    size = xp.sqrt(first.energy * second.energy)
    tails = xp.sqrt(_beyond(xp, first, second) * _beyond(xp, second, first))
    order = _needed(xp, tails, size, correlation)
    p, q = (xp.moveaxis(x.coefficients, -1, 0) for x in (first, second))
    total = xp.zeros(np.broadcast_shapes(p.shape[1:], q.shape[1:], xp.shape(correlation)))
    for k in range(order - 1, -1, -1):
        total *= correlation
        total += p[k] * q[k]
    bound = xp.abs(correlation) ** order * tails[..., order - 1] + 4 * np.finfo(float).eps * size
    return total, bound + first.doubt * xp.sqrt(second.energy) + second.doubt * xp.sqrt(first.energy)


def _beyond(xp: Any, found: Series, other: Series) -> Any:
    """The part of E[phi^2] from each of the orders 1, 2, ... up to those of both series."""
    sums = xp.flip(xp.cumsum(xp.flip(found.coefficients**2, (-1,)), axis=-1), (-1,))
    last = min(found.order, other.order)
    after = sums[..., last:last + 1] if last < found.order else xp.zeros_like(sums[..., :1])
    return xp.concatenate([sums[..., 1:last], after], axis=-1) + found.tail[..., None]


def _needed(xp: Any, tails: Any, size: Any, correlation: Any) -> int:
    """The least order whose error is negligible for all, or the largest."""
    largest = float(xp.max(xp.abs(correlation))) if correlation.size else 0.0
    relative = xp.max((tails / (size + (size == 0))[..., None]).reshape(-1, tails.shape[-1]), axis=0)
    small = relative * largest ** xp.arange(1, relative.size + 1) <= NEGLIGIBLE
    return int(xp.argmax(small)) + 1 if bool(xp.any(small)) else int(relative.size)
