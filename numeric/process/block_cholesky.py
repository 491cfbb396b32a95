"""Jointly Gaussian blocks revealed one after the other: a block Cholesky factor of a possibly singular covariance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wideproof.numeric.core.arrays import Array, namespace

SINGULAR = 1e-13
"""A variable whose variance given the earlier ones is a smaller part of its variance is a function of them."""
CLEAR = 1e-8
"""Where every pivot is a larger part of its variance, no variable is near being a function of the others."""


@dataclass
class Revealed:
    """A factor L with block j = sum over m <= j of L[j, m] z_m, z_m standard normal, that grows by rows of blocks.

    Repeated, opposite and zero variables get zero columns: they are the combinations of the earlier ones that the
    covariance says, and bring no noise.  Shapes: L (k, k), k = sum of the N_j.
    Error: rounding over sqrt(SINGULAR), 1e-9.
    Source: Bolthausen conditioning, emami2021implicit (72); Golub and Van Loan, 4.2.
    """

    factor: Any = None
    inverses: list[Array] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many variables are revealed."""
        return self.ends[-1] if self.ends else 0

    def append(self, cross: Array, own: Array) -> Array:
        """Add a block by its covariances with the earlier variables and with itself; return its row of L.

        Shapes: cross (k, N), own (N, N) -> (N, k + N).  Units: of the variables.
        Error: see the class.  Source: block forward substitution.
        """
        xp, size, more = namespace(own), self.size, own.shape[0]
        known = xp.zeros((size, more), dtype=own.dtype)
        for start, end, inverse in zip([0, *self.ends], self.ends, self.inverses, strict=False):
            left = cross[start:end, :] - self.factor[start:end, :start] @ known[:start, :]
            known[start:end, :] = inverse @ left
        factor, inverse = semidefinite_cholesky(own - known.T @ known, xp.linalg.diagonal(own))
        self._grow(xp, size + more, own.dtype)
        self.factor[size : size + more, :size] = known.T
        self.factor[size : size + more, size : size + more] = factor
        self.inverses.append(inverse)
        self.ends.append(size + more)
        return self.factor[size : size + more, : size + more]

    def _grow(self, xp: Any, size: int, dtype: Any) -> None:
        have = 0 if self.factor is None else self.factor.shape[0]
        if size > have:
            larger = xp.zeros((max(size, 2 * have),) * 2, dtype=dtype)
            if have:
                larger[:have, :have] = self.factor
            self.factor = larger


def semidefinite_cholesky(matrix: Array, scale: Array) -> tuple[Array, Array]:
    """Return L, lower triangular with L L^T = matrix, and the inverse of L on the variables that bring noise.

    A pivot of at most SINGULAR x scale has a zero column in L and a zero row in the inverse.
    Shapes: (N, N), (N,) -> (N, N), (N, N).  Units: root of the matrix, and its inverse.
    Error: drops variances of SINGULAR x scale.  Source: Higham 2002, 10.3, without pivoting.
    """
    xp = namespace(matrix)
    if (clear := _definite(xp, matrix, scale)) is not None:
        return clear, xp.linalg.inv(clear)
    size = matrix.shape[0]
    left = xp.asarray(matrix, copy=True)
    factor = xp.zeros_like(left)
    noisy = xp.zeros(size, dtype=left.dtype)
    for k in range(size):
        pivot = left[k, k]
        keep = pivot > SINGULAR * scale[k]
        root = xp.sqrt(xp.where(keep, pivot, xp.ones_like(pivot)))
        column = xp.where(keep, left[:, k] / root, xp.zeros_like(left[:, k]))
        column[:k] = 0.0
        factor[:, k] = column
        noisy[k] = xp.where(keep, xp.ones_like(pivot), xp.zeros_like(pivot))
        left = left - column[:, None] * column[None, :]
    filled = factor + xp.eye(size) * (1.0 - noisy)[None, :]
    inverse = noisy[:, None] * xp.linalg.inv(filled)
    return factor, inverse


def _definite(xp: Any, matrix: Array, scale: Array) -> Array | None:
    """The Cholesky factor by the library, where the matrix is far from singular."""
    try:
        factor = xp.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    pivots = xp.linalg.diagonal(factor)
    return factor if bool(xp.all(pivots * pivots > CLEAR * scale)) else None
