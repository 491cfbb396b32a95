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
SEVERAL = 8
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
    """Orders for all pairs of a column at once, which is a long vector, as long as one in SEVERAL needs them; then alone.

    Orders beyond the second of places are alone in any case.
    """
    steps, rows, most = p.shape[1], p.shape[2], min(p.shape[3], q.shape[2])
    size = steps * rows
    columns, norms = np.empty((min(places[1], most), size)), np.empty((3, size))
    x, square, total, one, near = np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    for r in range(p.shape[0]):
        for s in range(steps):
            for i in range(rows):
                for k in range(columns.shape[0]):
                    columns[k, s * rows + i] = p[r, s, i, k]
                for place in range(3):
                    norms[place, s * rows + i] = after_p[r, s, i, place]
        for j in range(q.shape[1]):
            for s in range(steps):
                for i in range(rows):
                    x[s * rows + i] = correlation[r, s, i, j]
            for m in range(size):
                square[m], near[m], total[m] = x[m] * x[m], 1.0, columns[0, m] * q[r, j, 0]
            place, left, start = 0, size, 0
            while left * SEVERAL > size and place < 2 and start < most:
                end = min(places[place], most)
                for parity in range(2):
                    if even if parity == 0 else odd:
                        one[:] = 0.0
                        for k in range(end - 2 + parity, max(start - 1, 0), -2):
                            own = q[r, j, k]
                            for m in range(size):
                                one[m] = one[m] * square[m] + own * columns[k, m]
                        power = 1 if parity else 2 if start == 0 else 0
                        for m in range(size):
                            total[m] += one[m] * near[m] * (x[m] if power == 1 else square[m] if power else 1.0)
                exponent, near[:], one[:] = end // 2, 1.0, square
                while exponent:
                    if exponent % 2:
                        near *= one
                    one *= one
                    exponent //= 2
                place, start, left = place + 1, end, 0
                beyond, least = after_q[r, j, place], few * after_q[r, j, 0]
                for m in range(size):
                    left += 1 if near[m] * norms[place, m] * beyond > least * norms[0, m] else 0
            for s in range(steps):
                for i in range(rows):
                    m = s * rows + i
                    further, power, found = place, near[m], total[m]
                    while left and further < len(places) and places[further - 1] < most:
                        start, end = places[further - 1], min(places[further], most)
                        beyond = after_p[r, s, i, further] * after_q[r, j, further]
                        if not power * beyond > few * norms[0, m] * after_q[r, j, 0]:
                            break
                        fourth = square[m] * square[m]
                        for parity in range(2):
                            if even if parity == 0 else odd:
                                first = second = 0.0
                                for k in range(end - 4 + parity, start - 1, -4):
                                    first = first * fourth + p[r, s, i, k] * q[r, j, k]
                                    second = second * fourth + p[r, s, i, k + 2] * q[r, j, k + 2]
                                both = power * (first + second * square[m])
                                found += both if parity == 0 else both * x[m]
                        power *= abs(x[m]) ** (end - start)
                        further += 1
                    out[r, s, i, j] = found
