"""Mehler's series for E[phi(u) psi(v)] of smooth functions, with an estimate of its error.

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
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables import compiled_series
from wideproof.derive.expectation.tables.compiled_sweep import loop_of

Function = Callable[[Any], Any]
REACH, FAR = 13.0, 38.0
"""The grid covers |z| <= 13, beyond which a standard normal variable lies with probability 1e-38; what a function is
worth from there to 38, where the density ends in double precision, is its least error."""
UNSEEN = 2e-38
"""The error of a number for which no node saw more than zero, as of a function of order one beyond the grid."""
FINEST, ORDERS = 5, (32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
KEPT = (128, 512, 2048)
"""Orders for which the polynomials on the nodes are kept: 170 MB if all are met."""
CLOSE = 0.9
"""Pairs of larger correlation need more orders; where they are few they are summed apart."""
TOLERANCE, NEGLIGIBLE = 1e-14, 1e-15
"""The parts of E[phi^2] beyond which a series is not extended (known by subtraction), and whose effect is left out."""
PLACES = (24, 48, 96, 192, 384, 768)
LENGTHS, FEW, ENOUGH = (48, 96, 192, 384, 768), 1e-8, 1e-6
"""Coefficients of a truncated series, and the parts of E[phi^2] it should and may miss; a product errs by as much."""
ROUNDING = 8 * float(np.finfo(float).eps)


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
    def parts(self) -> tuple[Any, Any, Any, Any]:
        """The four fields."""
        return self.coefficients, self.energy, self.tail, self.doubt

    @property
    def order(self) -> int:
        """K."""
        return int(self.coefficients.shape[-1])


def _grid(fineness: int, order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes z and he_k(z) times the normal density and the step.  Shapes: (J,), (J, order)."""
    z, table = _kept_grid(fineness, next(most for most in KEPT if most >= order))
    return z, table[:, :order]


@lru_cache(maxsize=len(KEPT) * (FINEST + 1))
def _kept_grid(fineness: int, order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same, kept for as many orders as are often wanted together."""
    half = round(REACH * 5 * 2**fineness)
    z = np.arange(-half, half + 1) / (5 * 2**fineness)
    table = np.empty((order, z.size))
    table[0] = np.exp(-0.5 * z * z) / (math.sqrt(2 * math.pi) * 5 * 2**fineness)
    table[1] = z * table[0]
    for k in range(1, order - 1):
        table[k + 1] = (z * table[k] - math.sqrt(k) * table[k - 1]) / math.sqrt(k + 1)
    return z, np.ascontiguousarray(table.T)


def series(xp: Any, phi: Function, mean: Any, variance: Any, least: int = ORDERS[0]) -> Series:
    """The Hermite coefficients of phi(mean + sqrt(variance) z), the grid and the order chosen by their errors.

    Shapes: mean, variance (N,) -> coefficients (N, K), K at least `least`.  Error: `tail` and `doubt` of the result.
    The widest variable is tried alone first: the choice depends on the numbers only, never on earlier calls.
    """
    deviation = xp.sqrt(variance)
    widest = int(xp.argmax(deviation)) if deviation.size else 0
    probe = slice(widest, widest + 1)
    _, fineness, order = _search(xp, phi, mean[probe], deviation[probe], 2, least)
    return _search(xp, phi, mean, deviation, fineness, order)[0]


def _search(xp: Any, phi: Function, mean: Any, deviation: Any, fineness: int, least: int) -> tuple[Series, int, int]:
    """The first series that is known well enough, or the longest on the finest grid; its fineness and order."""
    order = least
    for order in (x for x in ORDERS if x >= least):
        found, fineness = _refined(xp, phi, mean, deviation, order, fineness)
        if not bool(xp.any(found.tail > TOLERANCE * found.energy)):
            break
    return found, fineness, order


def _refined(xp: Any, phi: Function, mean: Any, deviation: Any, order: int, start: int) -> tuple[Series, int]:
    coarse, fineness = _at(xp, phi, mean, deviation, start - 1, order), start
    for fineness in range(start, FINEST + 1):
        fine = _at(xp, phi, mean, deviation, fineness, order)
        doubt = xp.sqrt(xp.sum((fine.coefficients - coarse.coefficients) ** 2, axis=-1))
        coarse = Series(fine.coefficients, fine.energy, fine.tail, doubt + fine.doubt)
        if not bool(xp.any(doubt > TOLERANCE * xp.sqrt(fine.energy))):
            break
    return coarse, fineness


def _at(xp: Any, phi: Function, mean: Any, deviation: Any, fineness: int, order: int) -> Series:
    nodes, table = (xp.asarray(x) for x in _grid(fineness, order))
    values = phi(xp.asarray(mean)[..., None] + xp.asarray(deviation)[..., None] * nodes)
    energy = (values * values) @ table[:, 0]
    coefficients = values @ table
    kept = xp.sum(coefficients**2, axis=-1)
    missed = _missed(xp, phi, mean, deviation) + xp.where((energy == 0) & (deviation > 0), UNSEEN, 0.0)
    return Series(coefficients, energy, xp.abs(energy - kept), missed)


def _missed(xp: Any, phi: Function, mean: Any, deviation: Any) -> Any:
    """The norm of a function beyond the grid."""
    nodes, density = (xp.asarray(x) for x in _beyond_reach())
    values = phi(xp.asarray(mean)[..., None] + xp.asarray(deviation)[..., None] * nodes)
    return xp.sqrt(xp.sum((values * density) ** 2, axis=-1))


@lru_cache(maxsize=1)
def _beyond_reach() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes a whole number apart beyond the grid, and there the root of the normal density."""
    z = np.arange(REACH, FAR + 1)
    both = np.concatenate([-z, z])
    return both, np.exp(-0.25 * both**2) / (2 * math.pi) ** 0.25


def pair(xp: Any, first: Series, second: Series, correlation: Any) -> tuple[Any, Any]:
    """E[phi(u) psi(v)] and an estimate of its error; shapes broadcast."""
    shape = np.broadcast_shapes(first.energy.shape, second.energy.shape, correlation.shape)
    correlation = xp.broadcast_to(correlation, shape)
    close = xp.abs(correlation) > CLOSE
    if not bool(xp.any(close)) or int(xp.sum(close)) > 0.1 * correlation.size:
        return _sum(xp, first, second, correlation)
    total, doubt = _sum(xp, first, second, xp.where(close, 0.0, correlation))
    parts = [
        Series(*(xp.broadcast_to(x, (*shape, *x.shape[len(shape) :]))[close] for x in found.parts))
        for found in (first, second)
    ]
    total[close], doubt[close] = _sum(xp, parts[0], parts[1], correlation[close])
    return total, doubt


class Truncated(NamedTuple):
    """The coefficients (..., N, K) that matter, and the norms (..., N, P) of those from each of PLACES on.

    `parities` are 0, 1 or both: an odd function has every second order only. Order 0 is none of the even ones.
    """

    coefficients: Any
    beyond: Any
    parities: frozenset[int]


def truncated(xp: Any, phi: Function, mean: Any, variance: Any, alike: bool = False) -> Truncated | None:
    """The coefficients of phi(mean + sqrt(variance) z) that matter, None where the most LENGTHS miss more than ENOUGH.

    Each variable has the first of LENGTHS that misses no more than FEW, or the last, and zeros after that; all have
    the longest of these where they shall be `alike`.
    Shapes: (..., N) each; K is one of LENGTHS.
    Error: ENOUGH of E[phi^2] in a product of two; what a halved grid changes counts.
    """
    shape, deviation, mean = variance.shape, xp.sqrt(xp.reshape(variance, (-1,))), xp.reshape(mean, (-1,))
    found, left = xp.zeros((deviation.shape[0], LENGTHS[-1])), xp.arange(deviation.shape[0])
    for length in LENGTHS:
        coarse, fine = (_at(xp, phi, mean[left], deviation[left], fineness, length) for fineness in (1, 2))
        found[left, :length] = fine.coefficients
        moved = xp.sum((fine.coefficients - coarse.coefficients) ** 2, axis=-1)
        missed = xp.maximum(fine.tail, moved) / xp.where(fine.energy > 0, fine.energy, xp.ones_like(fine.energy))
        more = (missed > FEW) | (alike & xp.any(missed > FEW))
        left, missed = left[more], missed[more]
        if left.shape[0] == 0:
            break
    if bool(xp.any(missed > ENOUGH)):
        return None
    found = xp.reshape(found[:, :length], (*shape, length))
    sizes = xp.max(xp.abs(xp.reshape(found, (-1, length))), axis=0)
    parities = (k for k in (0, 1) if bool(xp.any(sizes[2 - k :: 2] > NEGLIGIBLE * xp.max(sizes))))
    return with_norms(xp, found, frozenset(parities))


def with_norms(xp: Any, coefficients: Any, parities: frozenset[int]) -> Truncated:
    """The same coefficients with the norms of those from each of PLACES on.  Shapes: (..., N, K)."""
    length, squares = coefficients.shape[-1], coefficients**2
    ends = [0, *(place for place in PLACES if place < length), length]
    parts = [xp.sum(squares[..., start:end], axis=-1) for start, end in pairwise(ends)]
    parts += [xp.zeros_like(parts[0])] * (len(PLACES) + 1 - len(parts))
    beyond = [part**0.5 for part in accumulate(reversed(parts))][::-1]
    return Truncated(coefficients, xp.stack(beyond, axis=-1), parities)


def correlated(xp: Any, first: Truncated, second: Truncated, correlation: Any) -> Any:
    """E[phi(u) psi(v)] of truncated series: from each of PLACES on for those pairs alone that it matters for.

    Shapes: (..., S, N) variables with (..., N) -> (..., S, N, N), those of the correlation.
    Error: that of the series, and FEW of the root of E[phi^2] E[psi^2] for each of PLACES.
    """
    swept = isinstance(correlation, np.ndarray) and correlation.ndim == 4
    loop = loop_of(compiled_series.loop, compiled_series.SIGNATURE) if swept else None
    if loop is None:
        first, second = (x._replace(coefficients=xp.astype(x.coefficients, xp.float64)) for x in (first, second))
        return _by_arrays(xp, first, second, correlation)
    total, both = np.empty(correlation.shape), first.parities & second.parities
    p, q = (x.coefficients.astype(np.float32, copy=False) for x in (first, second))
    loop(p, first.beyond, q, second.beyond, correlation, 0 in both, 1 in both, np.array(PLACES), FEW, total)
    return total


def _by_arrays(xp: Any, first: Truncated, second: Truncated, correlation: Any) -> Any:
    """The same, the reference of the compiled loop."""
    p, q, square = first.coefficients, second.coefficients, correlation**2
    most, parts = min(p.shape[-1], q.shape[-1]), (first.beyond, second.beyond)
    left, right = parts[0][..., :, None, :], parts[1][..., None, None, :, :]
    near, place = _power(xp.abs(correlation), PLACES[0]), 1
    at = xp.nonzero(near * left[..., 1] * right[..., 1] > FEW * left[..., 0] * right[..., 0])
    total = xp.zeros_like(correlation) + p[..., :, None, 0] * q[..., None, None, :, 0]
    for k in (2 - parity for parity in first.parities & second.parities):
        a, b = p[..., :, None, k : PLACES[0] : 2], q[..., None, None, :, k : PLACES[0] : 2]
        total += _horner(a, b, square) * _power(correlation, k)
    while at[0].size and PLACES[place - 1] < most:
        start, end = PLACES[place - 1 : place + 1]
        left, right, close = (*at[:-2], at[-2]), (*at[:-3], at[-1]), correlation[at]
        for k in (start, start + 1):
            if k % 2 in first.parities & second.parities:
                a, b = p[(*left, slice(k, end, 2))], q[(*right, slice(k, end, 2))]
                total[at] += _power(close, k) * _horner(a, b, close**2)
        place += 1
        if place == len(PLACES):
            break
        a, b = parts[0][left], parts[1][right]
        keep = _power(xp.abs(close), end) * a[:, place] * b[:, place] > FEW * a[:, 0] * b[:, 0]
        at = tuple(x[keep] for x in at)
    return total


def _power(base: Any, exponent: int) -> Any:
    """A whole power by squares: five products are a tenth of the time of the library's power."""
    if exponent < 2:
        return base if exponent else 1.0
    half = _power(base, exponent // 2)
    return half * half * base if exponent % 2 else half * half


def _horner(first: Any, second: Any, power: Any) -> Any:
    """The sum of products of coefficients and whole powers, from 0 on.  Shapes: (..., K) twice, (...) -> (...)."""
    *lower, total = (first[..., k] * second[..., k] for k in range(first.shape[-1]))
    for term in reversed(lower):
        total = total * power + term
    return total


def _sum(xp: Any, first: Series, second: Series, correlation: Any) -> tuple[Any, Any]:
    """The same, by Horner's rule with the orders that the largest correlation needs."""
    both = (first, second)
    tails = [_beyond(xp, first, second), _beyond(xp, second, first)]
    order = _needed(xp, tails, both, correlation)
    p, q = (xp.ascontiguousarray(xp.moveaxis(x.coefficients[..., :order], -1, 0)) for x in both)
    total = xp.zeros(correlation.shape)
    term = xp.empty_like(total)
    for k in range(order - 1, -1, -1):
        total *= correlation
        xp.multiply(p[k], q[k], out=term)
        total += term
    sizes = [xp.sqrt(x.energy) for x in both]
    ends = [xp.sqrt(tail[..., order - 1] + ROUNDING * x.energy) for tail, x in zip(tails, both, strict=True)]
    doubt = xp.abs(correlation) ** order * (ends[0] * ends[1]) + ROUNDING / 2 * (sizes[0] * sizes[1])
    return total, doubt + first.doubt * (sizes[1] + second.doubt) + second.doubt * sizes[0]


def _beyond(xp: Any, found: Series, other: Series) -> Any:
    """The part of E[phi^2] from each of the orders 1, 2, ... up to those of both series."""
    sums = xp.flip(xp.cumsum(xp.flip(found.coefficients**2, (-1,)), axis=-1), (-1,))
    last = min(found.order, other.order)
    after = sums[..., last : last + 1] if last < found.order else xp.zeros_like(sums[..., :1])
    return xp.concatenate([sums[..., 1:last], after], axis=-1) + found.tail[..., None]


def _needed(xp: Any, tails: list[Any], both: tuple[Series, Series], correlation: Any) -> int:
    """The least order whose error is negligible for all, or the largest."""
    largest = float(xp.max(xp.abs(correlation))) if correlation.size else 0.0
    parts = [tail / (x.energy + (x.energy == 0))[..., None] for tail, x in zip(tails, both, strict=True)]
    worst = [xp.max(part.reshape(-1, part.shape[-1]), axis=0) for part in parts]
    relative = xp.sqrt(worst[0] * worst[1])
    small = relative * largest ** xp.arange(1, relative.size + 1) <= NEGLIGIBLE
    return int(xp.argmax(small)) + 1 if bool(xp.any(small)) else int(relative.size)
