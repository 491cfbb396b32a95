"""Training a random linear RNN of any width, exact in law: the cost does not grow with n.

Gradient descent meets few directions. A₀ = n^{-1/2} W is a Gaussian matrix, so its image of a direction it
has not met is drawn when it is met (`numeric.sampling.revealed`), in a basis that grows by one vector for each
draw until it spans R^n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derive.errors import ParameterError
from numeric.arrays import Host, backend
from numeric.sampling.revealed import RevealedMatrix


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
        floor = 1e-14 * self.width**0.5  # below this, rounding of vectors of norm √n looks like a new direction
        if not floor <= self.tolerance:
            hint = f"At this width, doubles resolve no less than {floor:.1g}: raise the tolerance."
            raise ParameterError("RandomRNN", f"a tolerance of at least {floor:.1g}", self.tolerance, hint)


class LazyGaussian(RevealedMatrix):
    """An n × n matrix of independent N(0, variance) entries, drawn only along the directions it is asked about.

    Vectors are coordinates in one growing orthonormal basis, (room,), where room may grow with each product; the
    joint law of all answers is that of the dense matrix, at every n ≥ 1.  Source: derive.conditioning.
    """

    def __init__(self, width: int, variance: float, tolerance: float, rng: np.random.Generator) -> None:
        self.width, self.rng, self.size, self.room = width, rng, 0, min(width, 64)
        super().__init__(backend("numpy"), (), self.room, variance**0.5, tolerance, 0.0)

    def fresh(self) -> Host:
        """A new vector of n independent N(0, 1) entries: normal on the basis, and a chi on one new vector."""
        if self.size == self.room < self.width:
            self._grow()
        vector = np.zeros(self.room)
        vector[: self.size] = self.rng.standard_normal(self.size)
        if self.size < self.width:
            vector[self.size] = self.rng.chisquare(self.width - self.size) ** 0.5
            self.size += 1
        return vector

    def pad(self, vector: Host) -> Host:
        """The same vectors in the basis as it is now.  Shapes: (r, …) -> (room, …)."""
        missing = self.room - vector.shape[0]
        return np.pad(vector, [(0, missing)] + [(0, 0)] * (vector.ndim - 1)) if missing else vector

    def _grow(self) -> None:
        extra = min(self.room, self.width - self.room)
        self.room += extra
        self.right.widen(extra)
        self.left.widen(extra)


class LazyDescent:
    """A RandomRNN in training: exact in law up to the tolerance; cost per step independent of the width."""

    def __init__(self, start: RandomRNN, lags: int) -> None:
        self._start, self._lags, self._root = start, lags, start.width**-0.5
        rng = np.random.default_rng([start.seed, start.width])
        self._matrix = LazyGaussian(start.width, start.nu_W / start.width, start.tolerance, rng)
        self._F = self._gaussian(start.n_x, start.nu_F)  # (room, n_x)
        self._C = self._gaussian(start.n_y, start.nu_C)  # (room, n_y)
        self._change = np.zeros((0, 0))  # A − A₀, (room, room)
        self._queries: list[Host] = []

    @property
    def dimension(self) -> int:
        """The number of directions met: what the cost depends on."""
        return self._matrix.size

    def taps(self) -> Host:
        """The taps of L_j = n^{-1/2} C A^j F.  Shapes: (T n_x, n_y)."""
        self._queries = [self._C]
        for _ in range(self._lags - 1):
            following = self._product(self._queries[-1], transpose=True)  # rewrites the list
            self._queries.append(following)
        self._align()
        blocks = [self._root * (self._F.T @ query) for query in self._queries]  # L_jᵀ
        return np.concatenate(blocks)

    def move(self, slope: Host, step: float) -> None:
        """Every parameter takes one gradient step, by the Horner rule of KrylovDescent."""
        G = slope.reshape(self._lags, self._start.n_x, self._start.n_y)
        sums = [self._F @ G[-1]]  # S_{T-2} first, (room, n_y)
        for j in range(self._lags - 2, -1, -1):
            turned = self._product(sums[-1], transpose=False)
            sums.append(turned + self._matrix.pad(self._F) @ G[j])
        self._align()
        sums = [self._matrix.pad(s) for s in sums]
        self._C = self._C - step * self._root * sums[-1]
        pairs = zip(self._queries, G, strict=True)
        self._F = self._F - step * self._root * sum(query @ g.T for query, g in pairs)
        if self._lags > 1:
            left, right = np.column_stack(self._queries[:-1]), np.column_stack(sums[-2::-1])  # (room, (T−1) n_y)
            self._change = self._change - step * self._root**3 * (left @ right.T)

    def model(self) -> RandomRNN:
        """The law it started from: the trained matrices are never formed."""
        return self._start

    def _gaussian(self, columns: int, variance: float) -> Host:
        drawn = [variance**0.5 * self._matrix.fresh() for _ in range(columns)]
        return np.column_stack([self._matrix.pad(column) for column in drawn])

    def _product(self, block: Host, transpose: bool) -> Host:
        apply = self._matrix.apply_transpose if transpose else self._matrix.apply
        images = [apply(column) for column in block.T]
        images = [self._matrix.pad(image) for image in images]
        self._align()
        change = self._change.T if transpose else self._change
        return np.column_stack(images) + change @ self._matrix.pad(block)

    def _align(self) -> None:
        """Write every kept vector in the basis as it is now."""
        pad = self._matrix.pad
        self._F, self._C = pad(self._F), pad(self._C)
        self._queries = [pad(query) for query in self._queries]
        self._change = pad(pad(self._change).T).T
