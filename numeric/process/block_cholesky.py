"""Jointly Gaussian blocks revealed one after the other: a block Cholesky factor of a possibly singular covariance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wideproof.derive.expectation.tables.compiled_sweep import loop_of
from wideproof.numeric.core.arrays import Array, Host, namespace

SINGULAR = 1e-13
"""A variable whose variance given the earlier ones is a smaller part of its variance is a function of them."""
UNSURE = 1e-6
"""The same for covariances that are means of products in single precision."""
PANEL = 256
"""Variables of which the inverse of a factor is kept in one piece, at most."""
CLEAR = 1e-4
"""Where every pivot is a larger part of its variance, no variable is near being a function of the others."""


@dataclass
class Revealed:
    """Factors L with block j = sum over m <= j of L[j, m] z_m, z_m standard normal, written block by block of rows.

    What is right of a row's own block is never read.

    Repeated, opposite and zero variables get zero columns: they are the combinations of the earlier ones that the
    covariance says, and bring no noise.  Shapes: L (R, k, k), k = sum of the N_j, one for each of R covariances.
    Error: a part of UNSURE.
    Source: Bolthausen conditioning, emami2021implicit (72); Golub and Van Loan, 4.2.
    """

    factor: Array
    inverses: list[Array] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many variables are revealed."""
        return self.ends[-1] if self.ends else 0

    def append(self, cross: Array, own: Array) -> Array:
        """Add a block by its covariances with the earlier variables and with itself; return its row of L.

        Shapes: cross (R, k, N), own (R, N, N) -> (R, N, k + N).  Units: of the variables.
        Error: see the class.  Source: block forward substitution.
        """
        xp, size, more = namespace(own), self.size, own.shape[-1]
        known = xp.zeros((own.shape[0], size, more), dtype=own.dtype)
        for start, end, inverse in zip([0, *self.ends], self.ends, self.inverses, strict=False):
            left = cross[:, start:end, :] - self.factor[:, start:end, :start] @ known[:, :start, :]
            known[:, start:end, :] = inverse @ left
        row = xp.matrix_transpose(known)
        factor, inverse = semidefinite_cholesky(own - row @ known, xp.linalg.diagonal(own))
        self.factor[:, size : size + more, :size] = row
        self.factor[:, size : size + more, size : size + more] = factor
        self.inverses.append(inverse)
        self.ends.append(size + more)
        self._merge()
        return self.factor[:, size : size + more, : size + more]

    def _merge(self) -> None:
        """Make one inverse of the last two as long as they are of one size and not large: fewer, larger products."""
        while len(self.ends) > 1:
            first, second = self.inverses[-2:]
            size, end = second.shape[-1], self.ends[-1]
            if first.shape[-1] != size or 2 * size > PANEL:
                return
            xp, middle = namespace(first), end - size
            both = xp.zeros((first.shape[0], 2 * size, 2 * size), dtype=first.dtype)
            both[:, :size, :size], both[:, size:, size:] = first, second
            both[:, size:, :size] = -(second @ (self.factor[:, middle:end, middle - size : middle] @ first))
            self.inverses[-2:], self.ends[-2:] = [both], [end]


def semidefinite_cholesky(matrix: Array, scale: Array) -> tuple[Array, Array]:
    """Return L, lower triangular with L L^T = matrix, and the inverse of L on the variables that bring noise.

    A pivot of at most UNSURE x scale has a zero column in L and a zero row in the inverse.
    Shapes: (R, N, N), (R, N) -> (R, N, N), (R, N, N).  Units: root of the matrix, and its inverse.
    Error: drops variances of UNSURE x scale.  Source: Higham 2002, 10.3, without pivoting.
    """
    xp = namespace(matrix)
    loop = loop_of(eliminate) if isinstance(matrix, np.ndarray) else None
    if loop is not None:
        factor, inverse = np.zeros_like(matrix), np.zeros_like(matrix)
        loop(np.array(matrix), scale, UNSURE, factor, inverse)
        return factor, inverse
    if (clear := _definite(xp, matrix, scale)) is not None:
        return clear, xp.linalg.inv(clear)
    left, factor, noisy = xp.asarray(matrix, copy=True), xp.zeros_like(matrix), xp.zeros_like(scale)
    for k in range(matrix.shape[-1]):
        pivot = left[:, k, k]
        keep = pivot > UNSURE * scale[:, k]
        root = xp.sqrt(xp.where(keep, pivot, xp.ones_like(pivot)))
        column = xp.where(keep[:, None], left[:, :, k] / root[:, None], 0.0)
        column[:, :k] = 0.0
        factor[:, :, k] = column
        noisy[:, k] = xp.where(keep, 1.0, 0.0)
        left -= column[:, :, None] * column[:, None, :]
    filled = factor + xp.eye(matrix.shape[-1]) * (1.0 - noisy)[:, None, :]
    return factor, noisy[:, :, None] * xp.linalg.inv(filled)


def _definite(xp: Any, matrix: Array, scale: Array) -> Array | None:
    """The Cholesky factors by the library, where every matrix is far from singular."""
    try:
        factor = xp.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    pivots = xp.linalg.diagonal(factor)
    return factor if bool(xp.all(pivots * pivots > CLEAR * scale)) else None


def eliminate(left: Host, scale: Host, least: float, factor: Host, inverse: Host) -> None:
    """The same, matrix by matrix; `left` is what is left of them, `factor` and `inverse` are zero before."""
    count = left.shape[1]
    column = np.empty(count)
    for r in range(left.shape[0]):
        for k in range(count):
            pivot = left[r, k, k]
            if not pivot > least * scale[r, k]:
                continue
            root = pivot**0.5
            for i in range(k, count):
                column[i] = factor[r, i, k] = left[r, i, k] / root
            for i in range(k + 1, count):
                for j in range(k + 1, count):
                    left[r, i, j] -= column[i] * column[j]
            inverse[r, k, k] = 1.0
            for j in range(k):
                for c in range(j + 1):
                    inverse[r, k, c] -= factor[r, k, j] * inverse[r, j, c]
            for c in range(k + 1):
                inverse[r, k, c] /= root
