"""Sums of truncated Hermite series over pairs as one compiled loop, where Numba is installed.

The array text of `mehler_series.correlated` is the reference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables.compiled_sweep import installed, made

Host = NDArray[np.float64]
SIGNATURE = (
    "void(float64[:,:,:,:], float64[:,:,:,:], float64[:,:,:], float64[:,:,:], float64[:,:,:,:], "
    "boolean, boolean, int64[:], float64, float64[:,:,:,:])"
)


@functools.cache
def sums() -> Callable[..., None] | None:
    """The loop, or None without Numba.

    (p (R, S, N, K), its norms beyond the places, q (R, M, K), its norms, correlations (R, S, N, M), even orders, odd
    orders, places, the part that may be left out, out (R, S, N, M)) -> None.
    """
    return made(loop, SIGNATURE) if installed() else None


def loop(  # noqa: C901 - one loop nest for the compiler
    p: Host, after_p: Host, q: Host, after_q: Host, correlation: Host, even: bool, odd: bool, places: Any, few: float,
    out: Host,
) -> None:  # fmt: skip
    """The orders below the first place for a row of pairs at once, the others for the pairs that need them."""
    count, first = q.shape[1], places[0]
    most = min(p.shape[3], q.shape[2])
    square, one, near, columns = np.empty(count), np.empty(count), np.empty(count), np.empty((first, count))
    norms = np.empty((2, count))
    for r in range(p.shape[0]):
        for k in range(first):
            for j in range(count):
                columns[k, j] = q[r, j, k]
        for j in range(count):
            norms[0, j], norms[1, j] = few * after_q[r, j, 0], after_q[r, j, 1]
        for s in range(p.shape[1]):
            for i in range(p.shape[2]):
                for j in range(count):
                    square[j] = correlation[r, s, i, j] * correlation[r, s, i, j]
                    out[r, s, i, j] = 0.0
                for parity in range(2):
                    if not (even if parity == 0 else odd):
                        continue
                    one[:] = 0.0
                    for k in range(first - 2 + parity, -1, -2):
                        own = p[r, s, i, k]
                        for j in range(count):
                            one[j] = one[j] * square[j] + own * columns[k, j]
                    for j in range(count):
                        out[r, s, i, j] += one[j] if parity == 0 else one[j] * correlation[r, s, i, j]
                if first >= most:
                    continue
                exponent, near[:] = first // 2, 1.0
                one[:] = square
                while exponent:
                    if exponent % 2:
                        near *= one
                    one *= one
                    exponent //= 2
                for j in range(count):
                    if not near[j] * after_p[r, s, i, 1] * norms[1, j] > after_p[r, s, i, 0] * norms[0, j]:
                        continue
                    x = correlation[r, s, i, j]
                    size = few * after_p[r, s, i, 0] * after_q[r, j, 0]
                    for place in range(1, len(places)):
                        start, end = places[place - 1], places[place]
                        power = abs(x) ** start
                        if start >= most or not power * after_p[r, s, i, place] * after_q[r, j, place] > size:
                            break
                        for parity in range(2):
                            if even if parity == 0 else odd:
                                total = 0.0
                                for k in range(min(end, most) - 2 + parity, start - 1, -2):
                                    total = total * square[j] + p[r, s, i, k] * q[r, j, k]
                                out[r, s, i, j] += power * total if parity == 0 else power * x * total
