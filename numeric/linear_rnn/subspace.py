"""Training a linear RNN by the few directions that gradient descent meets: given whole, or of any width in law.

A given W is multiplied in full only along directions it was not asked about.  In law, A₀ = n^{-1/2} W is a
Gaussian matrix, so its image of such a direction is drawn when it is met (`numeric.sampling.conditioned_matrix`), in a
basis that grows by one vector for each draw until it spans R^n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host, backend
from wideproof.numeric.linear_rnn.compressed import CompressedDescent
from wideproof.numeric.linear_rnn.krylov import LinearRNN
from wideproof.numeric.sampling.conditioned_matrix import Products, RevealedMatrix


@dataclass(frozen=True)
class RandomRNN:
    """A linear RNN of the stated law, known by its seed; its matrices are never formed.

    A direction shorter than `tolerance` is taken as met: the error in L per product is about tolerance √ν_W.
    Units: tolerance is absolute, against states of norm √n that descent moves by O(1).
    """

    width: int
    n_x: int = 1
    n_y: int = 1
    nu_W: float = 0.3
    nu_F: float = 1.0
    nu_C: float = 1.0
    seed: int = 0
    tolerance: float = 1e-7

    def __post_init__(self) -> None:
        if min(self.width, self.n_x, self.n_y) < 1 or min(self.nu_W, self.nu_F, self.nu_C) < 0:
            raise ParameterError("RandomRNN", "sizes ≥ 1 and variances ≥ 0", self, "Change the named number.")
        floor = finest_tolerance(self.width)
        if not floor <= self.tolerance:
            hint = f"At this width, doubles resolve no less than {floor:.1g}: raise the tolerance."
            raise ParameterError("RandomRNN", f"a tolerance of at least {floor:.1g}", self.tolerance, hint)


def finest_tolerance(width: int) -> float:
    """Below this, rounding of vectors of norm √n looks like a new direction.  Units: absolute."""
    return 1e-14 * width**0.5


class LazyGaussian(RevealedMatrix):
    """An n × n matrix of independent N(0, variance) entries, drawn only along the directions it is asked about.

    Vectors are coordinates, (room,), in a basis of R^n of which `size` is in use.  The joint law of all answers
    is that of the dense matrix, at every n ≥ 1.  Source: derive.alternating.conditioning.
    """

    def __init__(self, width: int, variance: float, tolerance: float, rng: np.random.Generator) -> None:
        self.width, self.size, self.room, self.rng = width, 0, min(width, 64), rng
        super().__init__(backend("numpy"), (), self.room, variance**0.5, tolerance, 0.0)

    def pad(self, vector: Host) -> Host:
        """The same vectors in the basis as it is now.  Shapes: (r, …) -> (room, …)."""
        missing = self.room - vector.shape[0]
        return np.pad(vector, [(0, missing)] + [(0, 0)] * (vector.ndim - 1)) if missing else vector

    def reserve(self) -> None:
        """Make room for one more coordinate."""
        if self.size == self.room < self.width:
            extra = min(self.room, self.width - self.room)
            self.room += extra
            self.right.widen(extra)
            self.left.widen(extra)

    def fresh(self) -> Host:
        """A new vector of n independent N(0, 1) entries: normal on the basis, and a chi on one new vector."""
        self.reserve()
        vector = np.zeros(self.room)
        vector[: self.size] = self.rng.standard_normal(self.size)
        if self.size < self.width:
            vector[self.size] = self.rng.chisquare(self.width - self.size) ** 0.5
            self.size += 1
        return vector


class LazyDescent(CompressedDescent):
    """A RandomRNN in training: exact in law up to the tolerance, the matrix drawn along the directions met."""

    def __init__(self, start: RandomRNN, lags: int, tolerance: float | None = None) -> None:
        rng = np.random.default_rng([start.seed, start.width])
        absolute = start.tolerance if tolerance is None else tolerance
        self._lazy = LazyGaussian(start.width, start.nu_W / start.width, absolute, rng)
        F = [start.nu_F**0.5 * self._lazy.fresh() for _ in range(start.n_x)]
        C = [start.nu_C**0.5 * self._lazy.fresh() for _ in range(start.n_y)]
        rows = [np.stack([self._lazy.pad(x) for x in part]) for part in (F, C)]
        super().__init__(self._lazy, rows[0], rows[1], start.width, lags)
        self._law = start

    @property
    def dimension(self) -> int:
        """The number of directions met."""
        return self._lazy.size

    def model(self) -> RandomRNN:
        """The law it started from: the trained matrices are never formed."""
        return self._law


class QueriedMatrix(RevealedMatrix):
    """A given n × n matrix, multiplied in full only along directions it was not asked about before."""

    def __init__(self, matrix: Host, deviation: float, tolerance: float) -> None:
        super().__init__(backend("numpy"), (), matrix.shape[0], deviation, tolerance, 0.0)
        self.matrix = matrix

    def fresh(self) -> Host:
        """Refused: a given matrix draws nothing."""
        raise AssertionError("a given matrix draws nothing")

    def image(self, unit: Host, other: Products) -> Host:
        """deviation · the matrix, or its transpose, times a unit vector, in full: 2 n² flops."""
        matrix = self.matrix if other is self.left else self.matrix.T
        return np.asarray(self.deviation * (matrix @ unit))


class SubspaceDescent(CompressedDescent):
    """A given LinearRNN in training: W is multiplied only along directions that no earlier step has met.

    Error: vectors are swept up to rests of length `tolerance`, absolute, as descent moves F by O(1).
    """

    def __init__(self, start: LinearRNN, lags: int, tolerance: float) -> None:
        matrix = QueriedMatrix(start.W, start.width**-0.5, tolerance)
        super().__init__(matrix, start.F.T, start.C, start.width, lags)
        self._given = start

    def model(self) -> LinearRNN:
        """The trained network, its matrix formed once."""
        S, P = self._first.own.queries, self._second.own.queries  # (l, n), (r, n)
        change = S.T @ (self.change()[: len(S), : len(P)] @ P)
        W = self._given.W + self._given.width**0.5 * (change.T if self._flip else change)
        ends = (
            self._second.start + self._second.moved[:, : len(S)] @ S,
            self._first.start + self._first.moved[:, : len(P)] @ P,
        )
        F, C = ends[::-1] if self._flip else ends
        return LinearRNN(W, F.T, C)
