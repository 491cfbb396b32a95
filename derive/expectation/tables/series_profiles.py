"""What tables interpolate: Mehler's series after its orders 0 and 1, over powers of w, as Chebyshev coefficients in y.

Where the derivative by the covariance is asked for, the series is differentiated term by term and its coefficients are
integrated: those of order k divide the rounding of sums by 2 k, where a derivative of coefficients of the values
multiplies it by k^2. For tanh at variances from 1/4 to 16,384 derivatives are 2e-13 off and were 2e-11.
Source: mehler1866ueber; price1958useful.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables.covariance_slopes import Form
from wideproof.derive.expectation.tables.pair_tables import Host, chebyshev, roots
from wideproof.derive.expectation.tables.sampled_series import Orders, summed

LONG, LONGER = 40, 96
"""Chebyshev nodes in the correlation, where variances are small, and where they are large."""
VERY_LAST, ROUNDING, TINIEST = 6, 4.0, 1e-13
"""How many coefficients tell the size of rounding, how many times that is taken for it, and at most what part of the
largest."""
Places = NDArray[np.int64]


class Sums(NamedTuple):
    """Hermite coefficients (N, K) of a function at N variances, and E[phi^2] of each (N,).

    Of orders 0, 1, 2, ..., or of those told, where so many are too many.
    """

    coefficients: Host
    energy: Host
    sampled: Orders | None = None

    @property
    def orders(self) -> Orders:
        """The orders, and how often each counts.  Shapes: (K,)."""
        count = self.coefficients.shape[1]
        return self.sampled or Orders(np.arange(float(count)), np.ones(count))


def remainder(sums: tuple[Sums, Sums], places: tuple[Places, Places], logarithm: Host, turned: bool = False) -> Host:
    """sum p_k q_k |r|^k over the even orders from 2 and over the odd ones from 3, of all pairs at once.

    `turned` adds the same sums with k - 2 and with k - 3 times their terms.
    Shapes: places (P,) in the variances of either side, logarithm of |r| (P, A) -> (1 or 2, 2, P, A).
    """
    last = min(x.coefficients.shape[1] for x in sums)
    found = np.zeros((1 + turned, 2, *logarithm.shape))
    orders, weights = sums[0].orders
    for parity in (0, 1):
        own = slice(parity + 2, last, 2)
        p, q = (x.coefficients[:, own] for x in sums)
        if not (np.any(p) and np.any(q)):
            continue
        times = np.stack([weights[own], weights[own] * (orders[own] - 2.0 - parity)][: len(found)])
        if sums[0].sampled is not None:
            products = (p[places[0]] * q[places[1]])[:, None, :] * times
            found[:, parity] = np.swapaxes(summed(products, orders[own], logarithm), 0, 1)
        else:
            found[:, parity] = _by_horner((p, q), places, times, np.exp(logarithm), 2 + parity)
    return found


def _by_horner(
    terms: tuple[Host, Host], places: tuple[Places, Places], times: Host, correlation: Host, power: int
) -> Host:
    """The sums of every second order.  Shapes: terms (N, K), times (T, K), correlation (P, A) -> (T, P, A)."""
    first, second = (np.ascontiguousarray(x.T) for x in terms)
    square, found = correlation * correlation, np.zeros((len(times), *correlation.shape))
    for k in reversed(range(len(first))):
        product = (first[k][places[0]] * second[k][places[1]])[:, None]
        for total, weight in zip(found, times[:, k], strict=True):
            total *= square
            total += weight * product
    return found * correlation**power


def in_the_place(
    sums: tuple[Sums, Sums], places: tuple[Places, Places], variances: Sequence[Host], form: tuple[Form, Form],
    turned: bool,
) -> Host:  # fmt: skip
    """The two functions of pairs of variances in the place y, told by their derivatives where these are asked for.

    Shapes: places (P,) in the variances of either side -> (2, P, LONG or LONGER).
    """
    softening, layer = form
    a, b = (x[i] for x, i in zip(variances, places, strict=True))
    softened = (softening + a) * (softening + b)
    widest = (a * b / softened)[:, None]
    least = np.sqrt(softening * (softening + a + b) / softened)[:, None]
    layer, y = np.reshape(layer, (-1, 1)), roots(LONG if sums[0].sampled is None else LONGER)
    beyond, rest = layer + 0.5 * (1.0 + y), widest / (1.0 + least)
    x = 0.5 * layer * (1.0 - y) / beyond
    q = least + x * rest
    square = (1.0 - x) * rest * (1.0 + q)
    w = np.sqrt(square)
    rising = 0.5 * np.log1p(-x * (q + least) / (1.0 + least))
    found = remainder(sums, places, rising, turned) / np.stack([square, square * w])
    values = chebyshev(found[0], 2)
    if not turned:
        return _without_rounding(values)
    slopes = chebyshev(found[1] * (0.5 * q * rest * layer * (1.0 + layer) / (beyond * beyond * square)), 2)
    return _without_rounding(_integrated(slopes, values[..., 0]))


def _integrated(slopes: Host, first: Host) -> Host:
    """The coefficients of a function by those of its derivative and the first.  Shapes: (..., K), (...) -> (..., K)."""
    found: Host = np.polynomial.chebyshev.chebint(slopes, axis=-1)[..., :-1].astype(np.float64)
    found[..., 0] = first
    return found


def _without_rounding(coefficients: Host) -> Host:
    """Coefficients without the last ones, where they are rounding: no larger than the very last by much, and tiny.

    What they add up to would be large where errors of derivatives are asked for, and none of it known.  Shapes kept.
    """
    sizes = np.abs(coefficients)
    after = np.flip(np.maximum.accumulate(np.flip(sizes, -1), axis=-1), -1)
    floor = ROUNDING * after[..., -VERY_LAST, None]
    small = (after <= floor) & (floor <= TINIEST * after[..., :1])
    return np.where(small, 0.0, coefficients)
