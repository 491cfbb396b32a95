"""Sums of truncated Hermite series over pairs as one compiled loop, where Numba is installed.

The array text of `mehler_series.correlated` is the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Host = NDArray[np.float64]
SEVERAL = 8
"""Where fewer than one in so many pairs of a column need further orders, they are summed pair by pair."""
SIGNATURE = (
    "void(float32[:,:,:,:], float64[:,:,:,:], float32[:,:,:], float64[:,:,:], float64[:,:,:,:], "
    "boolean, boolean, int64[:], float64, float64[:,:,:,:])"
)


def loop(  # noqa: C901 - one loop nest for the compiler
    p: Any, after_p: Host, q: Any, after_q: Host, correlation: Host, even: bool, odd: bool, places: Any, few: float,
    out: Host,
) -> None:  # fmt: skip
    """Orders for all pairs of a column at once, a long vector, as long as one in SEVERAL needs them; then alone.

    Orders beyond the second of places are alone in any case; `few` is the part that may be left out.
    Shapes: p (R, S, N, K) and q (R, M, K) in single precision, and their norms beyond the places; correlation and out
    (R, S, N, M); `even` orders are those but 0.
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
                square[m], near[m], total[m] = x[m] * x[m], 1.0, columns[0, m] * float(q[r, j, 0])
            place, left, start = 0, size, 0
            while left * SEVERAL > size and place < 2 and start < most:
                end = min(places[place], most)
                for parity in range(2):
                    if even if parity == 0 else odd:
                        one[:] = 0.0
                        for k in range(end - 2 + parity, max(start - 1, 0), -2):
                            own = float(q[r, j, k])
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
                                    first = first * fourth + float(p[r, s, i, k]) * float(q[r, j, k])
                                    second = second * fourth + float(p[r, s, i, k + 2]) * float(q[r, j, k + 2])
                                both = power * (first + second * square[m])
                                found += both if parity == 0 else both * x[m]
                        power *= abs(x[m]) ** (end - start)
                        further += 1
                    out[r, s, i, j] = found


def develop(
    deviations: Host, which: Any, scales: Host, tables: Host, orders: Any, places: Any, coefficients: Host,
    beyond: Host,
) -> None:  # fmt: skip
    """Chebyshev sums over octaves of the deviation for the orders of each, and the norms of those from places on.

    Shapes: deviations, which table, orders (n,), scales (P,), tables (P, D, K) -> coefficients (n, K), beyond
    (n, places + 1); D is one more than a multiple of three.
    """
    degree = tables.shape[1]
    terms = np.ones(degree)
    for n in range(deviations.shape[0]):
        table, row, count = tables[which[n]], coefficients[n], orders[n]
        terms[1] = deviations[n] * scales[which[n]] - 3.0
        for d in range(2, degree):
            terms[d] = 2.0 * terms[1] * terms[d - 1] - terms[d - 2]
        row[:count], row[count:] = table[0, :count], 0.0
        for d in range(1, degree, 3):
            a, b, c, x, y, z = terms[d], terms[d + 1], terms[d + 2], table[d], table[d + 1], table[d + 2]
            for k in range(count):
                row[k] += a * x[k] + b * y[k] + c * z[k]
        total = 0.0
        for place in range(places.shape[0], -1, -1):
            start = places[place - 1] if place else 0
            end = min(count, places[place]) if place < places.shape[0] else count
            for k in range(start, end):
                total += row[k] * row[k]
            beyond[n, place] = total**0.5 if start < count else 0.0
