"""Mehler's series by some of its orders: at large variances it has millions, and its terms are smooth in the order.

Of a function whose second derivative g lives near zero, that with Fourier transform G, the coefficient of order k is
that of order n = k - 2 of g, times variance / sqrt(k (k - 1)), and this is the mean of G(S / deviation) under a weight
S^n exp(-S^2 / 2) / sqrt(n!) of width one near S = sqrt(n): a short sum on a grid, for any real order, where recurrences
take all orders before. What a panel of orders adds up to is a sum over Gauss nodes, with weights that are exact for
polynomials on its whole numbers of one parity.
Source: mehler1866ueber; trefethen2014exponentially.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Host = NDArray[np.float64]
SINGLE, PART, NODES = 64, 0.175, 16
"""The orders that are all taken, and the part of those before that a panel after them is half as long as."""
EXACT = 10**5
"""Orders of a panel from which its sum is an integral."""
SEEN, RESOLVED, NOTHING = 1e-18, 3e-13, 1e-14
"""The parts of the largest number beyond which g ends, that G may be at the end of what a grid tells, and where G
ends."""
NEAREST, PLACES, FARTHEST = 0.01, 600, 256.0
"""At how many places from where on it is looked for the end of g, and how far that may be."""
STEPS = (0.12, 0.06, 0.03)
"""Steps of the grid on which g is summed."""
BAND, COARSE, WIDTH = 8.7, 0.4, 9.0
"""What a grid of S resolves besides g itself, its largest step, and how far from its middle a weight is zero."""
STIRLING = 200.0
"""Orders from which a factorial is its asymptotic series."""
TOGETHER, TERMS = 64, 2**21
"""Orders whose weights are worked out together, and the largest array of powers of correlations."""


class Orders(NamedTuple):
    """The orders of some terms, whole numbers or not, and how often each counts: even and odd ones by turns.

    Shapes: (K,) each, the first two 0 and 1.
    """

    orders: Host
    weights: Host


@lru_cache(maxsize=8)
def orders_up_to(most: float) -> Orders:
    """The orders by which a series is summed so far; of two, one begins with the other."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    powers = np.polynomial.legendre.legvander(x, NODES - 1).T
    orders, weights, first = [np.arange(float(SINGLE))], [np.ones(SINGLE)], SINGLE
    while first < most:
        count = max(NODES, int(PART * first) + 1)
        inside = (2.0 * np.arange(min(count, EXACT)) + 1.0 - count) / count
        sums = np.polynomial.legendre.legvander(inside, NODES - 1).sum(axis=0)
        exact = np.linalg.solve(powers, sums) if count < EXACT else 0.5 * count * w
        orders.append((first + count - 1.0 + count * x[:, None] + np.arange(2)).reshape(-1))
        weights.append(np.repeat(exact, 2))
        first += 2 * count
    return Orders(np.concatenate(orders), np.concatenate(weights))


class Transform(NamedTuple):
    """The Fourier transform of g by a grid of half the line: what its even and its odd part weigh there.

    `reach` is where g ends, `end` where its transform does.
    """

    places: Host
    parts: tuple[Host, Host]
    reach: float
    end: float

    def at(self, first: float, step: float, count: int, parity: int) -> Host:
        """The transform of one part at equal steps.  Shapes: (count,)."""
        short = math.isqrt(count) + 1
        begins = first + step * short * np.arange(-(-count // short))
        long = np.exp(1j * np.outer(begins, self.places)) * self.parts[parity]
        whole = long @ np.exp(1j * np.outer(self.places, step * np.arange(short)))
        return np.ascontiguousarray((whole.imag if parity else whole.real).reshape(-1)[:count])


def transform_of(bent: Callable[[Any], Any], farthest: float) -> Transform | None:
    """The transform of a function seen up to some place, None where it does not end, or no grid resolves it."""
    places = np.geomspace(NEAREST, max(farthest, 2.0 * NEAREST), PLACES)
    sizes = _finite(np.maximum(np.abs(bent(places)), np.abs(bent(-places))))
    if not np.max(sizes) > 0.0:
        return None
    reach = float(places[np.flatnonzero(sizes > SEEN * np.max(sizes))[-1]])
    for step in STEPS if reach < FARTHEST else ():
        z: Host = np.arange(float(int(reach / step) + 2)) * step
        right, left = (_finite(bent(sign * z)) for sign in (1.0, -1.0))
        weights = np.where(z > 0.0, step, 0.5 * step)
        found = Transform(z, (weights * (right + left), weights * (right - left)), reach, math.inf)
        seen = max(64, int(8.0 * reach / step))
        size = np.maximum(*(np.abs(found.at(0.0, math.pi / step / seen, seen, parity)) for parity in (0, 1)))
        if np.max(size[-seen // 10 :]) <= RESOLVED * np.max(size):
            last = int(np.flatnonzero(size > NOTHING * np.max(size))[-1])
            return found._replace(end=(last + 1) * math.pi / step / seen)
    return None


def _finite(values: Any) -> Host:
    """What is not finite is far out, where arguments overflow; a sum that lacks something is refused by its energy."""
    return np.nan_to_num(np.asarray(values, dtype=np.float64), posinf=0.0, neginf=0.0)


def coefficients(transform: Transform, deviations: Host) -> tuple[Host, Orders]:
    """The coefficients of orders from 2 on, zeros for 0 and 1, but for signs that are the same for all functions.

    Shapes: (N,) -> (N, K).
    """
    orders = orders_up_to((transform.end * float(np.max(deviations)) + WIDTH) ** 2)
    steps = np.minimum(COARSE, 2.0 * math.pi / (BAND + transform.reach / deviations))
    found = np.zeros((len(deviations), len(orders.orders)))
    for step in np.unique(steps):
        rows = np.flatnonzero(steps == step)
        for parity in (0, 1):
            if np.any(transform.parts[parity]):
                own = _of_one_step(transform, deviations[rows], float(step), orders.orders[2 + parity :: 2], parity)
                found[rows, 2 + parity :: 2] = own
    return found, orders


def _of_one_step(transform: Transform, deviations: Host, step: float, orders: Host, parity: int) -> Host:
    """The coefficients of one parity by sums over one grid of S.  Shapes: (N,), (K,) -> (N, K)."""
    count = int((transform.end * float(np.max(deviations)) + WIDTH) / step) + 1
    seen, lower, found = np.zeros((len(deviations), count)), orders - 2.0, np.zeros((len(deviations), len(orders)))
    for row, deviation in zip(seen, deviations, strict=True):
        own = min(count, int(transform.end * deviation / step) + 1)
        row[:own] = transform.at(0.5 * step / deviation, step / deviation, own, parity)
    grid: Host = (np.arange(float(count)) + 0.5) * step
    used = int(np.sum(np.sqrt(lower) < count * step))
    for start in range(0, used, TOGETHER):
        some = lower[start : min(start + TOGETHER, used)]
        near = slice(max(0, int((math.sqrt(some[0]) - WIDTH) / step)), int((math.sqrt(some[-1]) + WIDTH) / step) + 2)
        found[:, start : start + len(some)] = seen[:, near] @ _weights(some, grid[near]).T
    return found * (step / math.pi * deviations)[:, None] / np.sqrt(orders * (orders - 1.0))


def _weights(orders: Host, places: Host) -> Host:
    """S^n exp(-S^2 / 2) / sqrt(n!), seen from its largest value.  Shapes: (n,), (S,) -> (n, S)."""
    n = np.maximum(orders, 1.0)[:, None]
    away = places / np.sqrt(n) - 1.0
    exponent = n * (np.log1p(away) - away - 0.5 * away * away) - 0.5 * _factorial(n)
    return np.where(orders[:, None] > 0.0, np.exp(exponent), np.exp(-0.5 * places * places))


def _factorial(n: Host) -> Host:
    """log(n! / n^n exp(-n)), which large logarithms would leave few digits of."""
    from scipy.special import gammaln  # a quarter of the time that the whole engine takes to import

    few, many = np.minimum(n, STIRLING), np.maximum(n, STIRLING)
    square = many * many
    series = (1.0 - (1.0 / 30.0 - 1.0 / 105.0 / square) / square) / (12.0 * many)
    return np.where(n < STIRLING, gammaln(few + 1.0) - few * np.log(few) + few,
                    0.5 * np.log(2.0 * math.pi * many) + series)  # fmt: skip


def summed(products: Host, orders: Host, logarithm: Host) -> Host:
    """Sums of products times powers of what has that logarithm.  Shapes: (P, T, K), (K,), (P, A) -> (P, T, A)."""
    found = np.empty((*products.shape[:2], logarithm.shape[1]))
    together = max(1, TERMS // (len(orders) * logarithm.shape[1]))
    for start in range(0, len(products), together):
        rows = slice(start, start + together)
        found[rows] = products[rows] @ np.exp(orders[:, None] * logarithm[rows, None, :])
    return found
