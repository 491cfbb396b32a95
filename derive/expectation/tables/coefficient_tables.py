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

DEGREE = 18
"""Of the polynomials of an octave."""
SMALL = 1e-5
"""The part of the norm that orders left out may have; the series misses ten times that."""
CHECKED, ALIKE = 5, 1e-10
"""Deviations at which a table is compared with the series itself, and the part of the norm by which they may differ."""


class CoefficientTable(NamedTuple):
    """Chebyshev coefficients, in the deviation over an octave, of Hermite coefficients; and their parities.

    Shapes: coefficients (DEGREE + 1, K).
    """

    coefficients: NDArray[np.float64]
    parities: frozenset[int]


def tabulated(xp: Any, phi: Function, mean: float, variance: Any) -> Truncated | None:
    """The same as `mehler_series.truncated` of one mean, by tables where these are right.

    Shapes: variance (..., N), the coefficients (..., N, K).  Error: that of `truncated`, and ALIKE of the norm.
    """
    deviation = xp.sqrt(xp.reshape(variance, (-1,)))
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
    return CoefficientTable(coefficients, found.parities)


def _chebyshev(xp: Any, x: Any) -> Any:
    """The polynomials at numbers in [-1, 1].  Shapes: (P,) -> (P, DEGREE + 1)."""
    return xp.cos(xp.acos(xp.clip(x, -1.0, 1.0))[:, None] * xp.arange(DEGREE + 1, dtype=xp.float64))
