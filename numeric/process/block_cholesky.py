"""Jointly Gaussian blocks revealed one after the other: a block Cholesky factor of a possibly singular covariance."""

from __future__ import annotations

from dataclasses import dataclass, field

from wideproof.numeric.core.arrays import Array, namespace

SINGULAR = 1e-13
"""A variable whose variance given the earlier ones is a smaller part of its variance is a function of them."""


@dataclass
class Revealed:
    """Factors L[j][m] with block j = sum over m <= j of L[j][m] z_m, z_m standard normal.

    Repeated, opposite and zero variables get zero columns: they are the combinations of the earlier ones that the
    covariance says, and bring no noise.  Shapes: blocks (N_j, N_m).  Error: rounding over sqrt(SINGULAR), 1e-9.
    Source: Bolthausen conditioning, emami2021implicit (72); Golub and Van Loan, 4.2.
    """

    factors: list[list[Array]] = field(default_factory=list)
    inverses: list[Array] = field(default_factory=list)

    def append(self, cross: list[Array], own: Array) -> list[Array]:
        """Add a block by its covariances with the earlier ones and with itself; return its factors.

        Shapes: cross (N, N_m) for each earlier block, own (N, N).  Units: of the variables.
        Error: see the class.  Source: block forward substitution.
        """
        xp = namespace(own)
        row: list[Array] = []
        for block, covariance in enumerate(cross):
            known = sum((row[m] @ self.factors[block][m].T for m in range(block)), start=xp.zeros_like(covariance))
            row.append((covariance - known) @ self.inverses[block].T)
        left = own - sum((part @ part.T for part in row), start=xp.zeros_like(own))
        factor, inverse = semidefinite_cholesky(left, xp.diagonal(own) if hasattr(xp, "diagonal") else own.diagonal())
        row.append(factor)
        self.factors.append(row)
        self.inverses.append(inverse)
        return row


def semidefinite_cholesky(matrix: Array, scale: Array) -> tuple[Array, Array]:
    """Return L, lower triangular with L L^T = matrix, and the inverse of L on the variables that bring noise.

    A pivot of at most SINGULAR x scale has a zero column in L and a zero row in the inverse.
    Shapes: (N, N), (N,) -> (N, N), (N, N).  Units: root of the matrix, and its inverse.
    Error: drops variances of SINGULAR x scale.  Source: Higham 2002, 10.3, without pivoting.
    """
    xp = namespace(matrix)
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
