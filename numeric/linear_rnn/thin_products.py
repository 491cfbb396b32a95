"""ThinProducts of a few rows with a large square matrix, read once: compiled with Numba where it is installed.

A BLAS reads the matrix once for one row and is built for many; for two to six rows it costs as many single
products.  The compiled kernels keep the rows in cache and stream the matrix.  Plain array code otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import is_numpy_array

from wideproof.derive.expectation.tables.compiled_sweep import installed, made
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Array

MOST_ROWS = 6
"""Measured: from more rows on a BLAS is as fast."""
KERNELS = ("auto", "compiled", "plain")
RELAXED = {"fastmath": {"reassoc", "contract", "nsz"}}
"""Sums may be reordered, as in a BLAS; infinities and NaN keep their meaning."""


@dataclass(frozen=True)
class ThinProducts:
    """The two products of rows with a matrix: left(Q, W) = Q W and right(S, W) = S Wᵀ, and why they were taken."""

    name: str
    reason: str
    left: Callable[[Array, Array], Array]
    right: Callable[[Array, Array], Array]


def choose_products(matrix: Array, rows: int, kernels: str = "auto") -> ThinProducts:
    """Choose between compiled and plain products of `rows` rows with the matrix.

    Shapes: matrix (n, n); the products are (rows, n).
    Error: both agree to rounding; ParameterError where compiled ones are asked for and cannot be had.
    Source: measured, see the module.
    """
    if kernels not in KERNELS:
        raise ParameterError("kernels", f"one of {', '.join(KERNELS)}", kernels, "auto takes the faster.")
    plain = functools.partial(ThinProducts, "plain", left=_plain_left, right=_plain_right)
    if kernels == "plain":
        return plain("asked for")
    if not is_numpy_array(matrix) or matrix.dtype not in (np.float64, np.float32):
        return _refused(kernels, plain, "the matrix is not a NumPy array of floats", "Use kernels='plain'.")
    if not (matrix.flags.c_contiguous or matrix.flags.f_contiguous):
        return _refused(kernels, plain, "the matrix is a strided view", "Copy it: numpy.ascontiguousarray.")
    if not installed():
        return _refused(kernels, plain, "Numba is not installed", "pip install 'wideproof[fast]'.")
    if kernels == "auto" and not 2 <= rows <= MOST_ROWS:
        return plain(f"{rows} rows: a BLAS is as fast")
    return ThinProducts("compiled", f"{rows} rows in one sweep of the matrix", compiled_left, compiled_right)


def _refused(kernels: str, plain: Callable[[str], ThinProducts], why: str, hint: str) -> ThinProducts:
    if kernels == "compiled":
        raise ParameterError("kernels", "compiled products", why, hint)
    return plain(why)


def _plain_left(rows: Array, matrix: Array) -> Array:
    return rows @ matrix


def _plain_right(rows: Array, matrix: Array) -> Array:
    return rows @ matrix.T


def compiled_left(rows: Array, matrix: Array) -> Array:
    """Return rows · matrix.  Shapes: (m, n), (n, n) -> (m, n)."""
    if not matrix.flags.c_contiguous:
        return compiled_right(rows, matrix.T)
    out = np.zeros(rows.shape, dtype=matrix.dtype)
    _kernels()[0](np.ascontiguousarray(rows), matrix, out)
    return out


def compiled_right(rows: Array, matrix: Array) -> Array:
    """Return rows · matrixᵀ.  Shapes: (m, n), (n, n) -> (m, n)."""
    if not matrix.flags.c_contiguous:
        return compiled_left(rows, matrix.T)
    out = np.empty(rows.shape, dtype=matrix.dtype)
    _kernels()[1](np.ascontiguousarray(rows), matrix, out)
    return out


@functools.cache
def _kernels() -> tuple[Any, Any]:
    """Compile both kernels, kept on disk between runs where that is possible."""
    return made(_left_loop, how=RELAXED), made(_right_loop, how=RELAXED)


def _left_loop(rows: Array, matrix: Array, out: Array) -> None:
    """out += rows · matrix, four rows of the matrix at a time."""
    m, n = rows.shape
    last = n - n % 4
    for i in range(0, last, 4):
        for r in range(m):
            a, b, c, d = rows[r, i], rows[r, i + 1], rows[r, i + 2], rows[r, i + 3]
            for j in range(n):
                out[r, j] += a * matrix[i, j] + b * matrix[i + 1, j] + c * matrix[i + 2, j] + d * matrix[i + 3, j]
    for i in range(last, n):
        for r in range(m):
            a = rows[r, i]
            for j in range(n):
                out[r, j] += a * matrix[i, j]


def _right_loop(rows: Array, matrix: Array, out: Array) -> None:
    """out = rows · matrixᵀ, four rows of the matrix at a time."""
    m, n = rows.shape
    last = n - n % 4
    for i in range(0, last, 4):
        for r in range(m):
            a = b = c = d = 0.0 * rows[r, 0]
            for j in range(n):
                x = rows[r, j]
                a += x * matrix[i, j]
                b += x * matrix[i + 1, j]
                c += x * matrix[i + 2, j]
                d += x * matrix[i + 3, j]
            out[r, i], out[r, i + 1], out[r, i + 2], out[r, i + 3] = a, b, c, d
    for i in range(last, n):
        for r in range(m):
            total = 0.0 * rows[r, 0]
            for j in range(n):
                total += rows[r, j] * matrix[i, j]
            out[r, i] = total
