"""The derivative of a table by the covariance: E[phi'(u) psi'(v)] from the coefficients of E[phi(u) psi(v)].

At fixed variances the derivative of E[phi(u) psi(v)] by the covariance is E[phi'(u) psi'(v)]. A table is a polynomial
in y, and y a function of the covariance in closed form; the derivative of the polynomial takes the same coefficients,
which are the costly part of a sweep. It grows like the square of the order where the correlation is one, by which
orders and ranks are weighed before any are left out.
Source: price1958useful.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.nested_quadrature import Steep
from wideproof.derive.expectation.tables.compiled_sweep import TINY
from wideproof.derive.expectation.tables.pair_tables import Host, PairTable, in_pieces

SLACK = 2.0
"""By how much a derivative may be less accurate than the value, by their sizes."""
ACCEPTED = 4e-11
"""The largest error of a derivative, relative to sqrt(E[phi'^2] E[psi'^2])."""


Form = float | Host
"""The shift of the variances, or the width of the layer, of one table or of several."""


class ErrorScales(NamedTuple):
    """By what errors are measured: of E[phi psi], and of its derivative, None where that is not asked for."""

    value: float
    slope: float | None = None


def order_weights(
    form: tuple[Form, Form], a: Host, b: Host, count: int, sizes: ErrorScales, piece: tuple[float, float] = (-1.0, 1.0)
) -> Host:
    """How much each Chebyshev coefficient of either parity may move what is asked for, by its size.

    The derivative of T_k is largest, k^2, at the end of the piece, where the correlation is closest to one.
    Shapes: form numbers or (...), a, b (...) -> (2, ..., count).
    """
    (s, layer), k = form, np.arange(count)
    least = np.sqrt(1.0 - a / (s + a) * (b / (s + b)))[..., None]
    layer = np.asarray(layer)[..., None]
    end = layer * (1.0 - piece[1]) / (2.0 * (1.0 + layer) - (1.0 - piece[1]))
    q = least + end * (1.0 - least)
    w = np.sqrt(1.0 - q * q)
    found = [w**power / sizes.value for power in (2, 3)]
    if sizes.slope is None:
        return np.stack([np.broadcast_to(x, (*x.shape[:-1], count)) for x in found])
    scale = 1.0 / (np.sqrt((s + a) * (s + b))[..., None] * SLACK * sizes.slope)
    turned = 2.0 * (1.0 + layer) * layer * w / ((end + layer) ** 2 * np.maximum(1.0 - least, TINY) * q)
    turned = turned * 2.0 / (piece[1] - piece[0])
    slopes = [scale * (power * w ** (power - 1) + w**power * k * k * turned) for power in (2, 3)]
    return np.stack([np.hypot(x, y) for x, y in zip(found, slopes, strict=True)])


def slope(table: PairTable, variances: tuple[Host, Host], covariance: Host) -> Host:
    """The derivative by the covariance.  Shapes: (P,) each."""
    (a, b), c, layer = variances, covariance, table.layer
    rate = 1.0 / np.sqrt((table.softening + a) * (table.softening + b))
    w, widest = c * rate, a / (table.softening + a) * (b / (table.softening + b))
    least = np.sqrt(1.0 - widest)
    root, width = np.sqrt(1.0 - np.minimum(w * w, widest)), layer * np.maximum(1.0 - least, TINY)
    y = 1.0 - 2.0 * (1.0 + layer) * (root - least) / (root - least + width)
    beyond = root - least + width
    turned = 2.0 * (1.0 + layer) * (width / beyond) * w / (beyond * root)
    (p, first), (q, second) = (side.at(x) for side, x in zip(table.sides, (a, b), strict=True))
    result = np.array(p[1] * q[1])
    for piece, some, place in in_pieces(table, y):
        for power, core in zip((2, 3), piece.cores, strict=True):
            if len(core):
                terms = np.einsum("kmn,mi,ni->ki", core, first[:, some], second[:, some], optimize=True)
                value = np.polynomial.chebyshev.chebval(place, terms, tensor=False)
                turn = np.polynomial.chebyshev.chebval(place, np.polynomial.chebyshev.chebder(terms), tensor=False)
                turn = turn * turned[some] * 2.0 / (piece.high - piece.low)
                at = w[some]
                result[some] += rate[some] * (power * at ** (power - 1) * value + at**power * turn)
    return result


def with_slope(
    table: PairTable, derivatives: tuple[Steep, Steep], pairs: tuple[Host, Host, Host], series: Host, left_out: float,
    size: float,
) -> PairTable | None:  # fmt: skip
    """The table with the estimate of its derivative's error, or None where it is too far from the series of the two
    derivatives at pairs, or from other integrals at the first correlation of each.

    Shapes: pairs are variances (P,), and correlations (P, A), the values of the series (P, A).
    """
    u, v, r = pairs
    a, b = (np.repeat(x, r.shape[1]) for x in (u, v))
    found = slope(table, (a, b), r.reshape(-1) * np.sqrt(a * b)).reshape(r.shape)
    apart, some = float(np.max(np.abs(found - series))), slice(None, None, max(1, len(u) // PROBED))
    at = r[some, 0]
    want, doubt = nested_quadrature.pair(
        np, *derivatives, (0.0, 0.0), (np.sqrt(u[some]), np.sqrt(v[some])), at, np.sqrt((1.0 - at) * (1.0 + at))
    )
    other = float(np.max(np.abs(found[some, 0] - want) + doubt))
    error = 2.0 * apart + other + left_out * SLACK * size
    return replace(table, slope_error=error) if error <= ACCEPTED * size else None


PROBED = 3
"""At how many pairs other integrals are asked."""
