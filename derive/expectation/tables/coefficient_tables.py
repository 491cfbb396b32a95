"""Truncated Hermite series of a function at many variances, interpolated between those of a table.

sqrt(a) -> E[phi(m + sqrt(a) z) he_k(z)] is analytic off the imaginary axis, so that Chebyshev polynomials over an
octave of sqrt(a) converge as 5.8^-n. A table is built once per function, mean and octave.
Source: trefethen2014exponentially.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.mehler_series import PLACES, Function, Truncated, truncated, with_norms
from wideproof.derive.expectation.tables.compiled_series import develop
from wideproof.derive.expectation.tables.compiled_sweep import loop_of

DEGREE = 18
"""Of the polynomials of an octave."""
SMALL = 1e-4
"""The part of the norm that orders left out may have; the series misses as much."""
PARTS = 4
"""Of an octave, each with orders of its own."""
CHECKED, ALIKE = 5, 1e-10
"""Deviations at which a table is compared with the series itself, and the part of the norm by which they may differ."""


class CoefficientTable(NamedTuple):
    """Chebyshev coefficients, in the deviation over an octave, of Hermite coefficients; and their parities.

    `lengths` are the orders that matter at the end of each of PARTS of the octave.
    Shapes: coefficients (DEGREE + 1, K), lengths (PARTS,).
    """

    coefficients: NDArray[np.float64]
    parities: frozenset[int]
    lengths: NDArray[np.int64]


def tabulated(xp: Any, phi: Function, mean: float, variance: Any) -> Truncated | None:
    """The same as `mehler_series.truncated` of one mean, by tables where these are right.

    Shapes: variance (..., N), the coefficients (..., N, K).  Error: that of `truncated`, and ALIKE of the norm.
    """
    deviation = xp.sqrt(xp.reshape(variance, (-1,)))
    found = _by_loop(phi, mean, deviation) if isinstance(deviation, np.ndarray) else None
    if found is not None:
        coefficients, beyond = (np.reshape(x, (*variance.shape, x.shape[1])) for x in found[:2])
        return Truncated(coefficients, beyond, found.parities)
    octaves = xp.where(deviation > 0, xp.floor(xp.log2(xp.where(deviation > 0, deviation, 1.0))), -math.inf)
    parts: list[tuple[Any, Any, frozenset[int]]] = []
    while int(xp.sum(left := octaves < math.inf)):
        octave = float(xp.min(octaves))
        at = xp.nonzero(left & (octaves == octave))[0]
        table = octave_table(phi, mean, int(octave)) if octave > -math.inf else None
        if table is None:
            found = truncated(xp, phi, mean + 0.0 * deviation[at], deviation[at] ** 2)
            if found is None:
                return None
            parts.append((at, found.coefficients, found.parities))
        else:
            terms = _chebyshev(xp, deviation[at] * 2.0 ** (1 - octave) - 3.0)
            parts.append((at, terms @ xp.asarray(table.coefficients), table.parities))
        octaves[at] = math.inf
    if len(parts) == 1:
        coefficients = parts[0][1]
    else:
        coefficients = xp.zeros((deviation.shape[0], max((x.shape[1] for _, x, _ in parts), default=1)))
        for at, part, _ in parts:
            coefficients[at, : part.shape[1]] = part
    shaped = xp.reshape(coefficients, (*variance.shape, coefficients.shape[1]))
    return _shortened(xp, with_norms(xp, shaped, frozenset[int]().union(*(parities for _, _, parities in parts))))


def _by_loop(phi: Function, mean: float, deviation: NDArray[np.float64]) -> Truncated | None:
    """The same in one compiled loop, where each deviation has a table.  Shapes: (n,)."""
    loop = loop_of(develop)
    if loop is None or not np.all(deviation > 0) or not np.all(deviation < math.inf):
        return None
    parts, octaves = np.frexp(deviation)
    octaves, which = np.unique(octaves - 1, return_inverse=True)
    tables = _together(phi, mean, tuple(octaves.tolist()))
    if tables is None:
        return None
    orders = tables.lengths[which, np.int64(PARTS * (2.0 * parts - 1.0))]
    most = int(orders.max())
    coefficients, beyond = np.empty((len(deviation), most)), np.empty((len(deviation), len(PLACES) + 1))
    loop(deviation, which, 2.0 ** (1.0 - octaves), tables.coefficients, orders, np.array(PLACES), coefficients, beyond)
    return Truncated(coefficients, beyond, tables.parities)


@lru_cache(maxsize=64)
def _together(phi: Function, mean: float, octaves: tuple[int, ...]) -> CoefficientTable | None:
    """The tables of several octaves along a first axis, None where one has none."""
    tables = [table for octave in octaves if (table := octave_table(phi, mean, octave)) is not None]
    if len(tables) < len(octaves):
        return None
    longest = max(table.coefficients.shape[1] for table in tables)
    every = [np.pad(x.coefficients, ((0, 0), (0, longest - x.coefficients.shape[1]))) for x in tables]
    parities = frozenset[int]().union(*(table.parities for table in tables))
    return CoefficientTable(np.stack(every), parities, np.stack([table.lengths for table in tables]))


def _shortened(xp: Any, found: Truncated) -> Truncated:
    """The same without orders that are SMALL for every variable: tables have those of their largest deviations."""
    for place, length in enumerate(PLACES[1:], start=2):
        if not bool(xp.any(found.beyond[..., place] > SMALL * found.beyond[..., 0])):
            kept = xp.arange(found.beyond.shape[-1]) < place  # norms of the others hold what is left out, SMALL of it
            return Truncated(found.coefficients[..., :length], found.beyond * kept, found.parities)
    return found


@lru_cache(maxsize=256)
def octave_table(phi: Function, mean: float, octave: int) -> CoefficientTable | None:
    """The table for deviations from 2^octave to twice that, None where the series is long or the table is off."""
    nodes = np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)
    checked = np.linspace(-1.0, 1.0, CHECKED + 2)[1:-1] + 0.01
    deviations = 2.0 ** (octave - 1) * (3.0 + np.concatenate([nodes, checked]))
    with np.errstate(all="ignore"):
        found = truncated(np, phi, np.full(len(deviations), mean), deviations**2, alike=True)
    if found is None:
        return None
    values, checks = np.split(found.coefficients, [DEGREE + 1])
    coefficients = np.linalg.solve(_chebyshev(np, nodes), values)
    off = np.linalg.norm(_chebyshev(np, checked) @ coefficients - checks, axis=1)
    if not np.all(off <= ALIKE * np.linalg.norm(checks, axis=1)):
        return None
    ends = _chebyshev(np, 2.0 * np.arange(1, PARTS + 1) / PARTS - 1.0) @ coefficients
    lengths = [_shortened(np, with_norms(np, end[None], found.parities)).coefficients.shape[1] for end in ends]
    return CoefficientTable(coefficients, found.parities, np.array(lengths))


def _chebyshev(xp: Any, x: Any) -> Any:
    """The polynomials at numbers in [-1, 1].  Shapes: (P,) -> (P, DEGREE + 1)."""
    return xp.cos(xp.acos(xp.clip(x, -1.0, 1.0))[:, None] * xp.arange(DEGREE + 1, dtype=xp.float64))
