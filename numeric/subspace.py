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
from numeric.krylov import LinearRNN, add_product
from numeric.sampling.revealed import Products, RevealedMatrix


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


class CoordinateMatrix(RevealedMatrix):
    """A revealed matrix whose vectors are coordinates, (room,), in a basis of R^n of which `size` is in use."""

    def __init__(self, width: int, deviation: float, tolerance: float) -> None:
        self.width, self.size, self.room = width, 0, min(width, 64)
        super().__init__(backend("numpy"), (), self.room, deviation, tolerance, 0.0)

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


class LazyGaussian(CoordinateMatrix):
    """An n × n matrix of independent N(0, variance) entries, drawn only along the directions it is asked about.

    The joint law of all answers is that of the dense matrix, at every n ≥ 1.  Source: derive.conditioning.
    """

    def __init__(self, width: int, variance: float, tolerance: float, rng: np.random.Generator) -> None:
        super().__init__(width, variance**0.5, tolerance)
        self.rng = rng

    def fresh(self) -> Host:
        """A new vector of n independent N(0, 1) entries: normal on the basis, and a chi on one new vector."""
        self.reserve()
        vector = np.zeros(self.room)
        vector[: self.size] = self.rng.standard_normal(self.size)
        if self.size < self.width:
            vector[self.size] = self.rng.chisquare(self.width - self.size) ** 0.5
            self.size += 1
        return vector


class CoordinateDescent:
    """A linear RNN in training, all vectors as coordinates in the directions met; A = A₀ + a change among them.

    Cost per step independent of the width.  Source: performance note §A.
    """

    def __init__(self, matrix: CoordinateMatrix, F: Host, C: Host, width: int, lags: int) -> None:
        self._matrix, self._lags, self._root = matrix, lags, width**-0.5
        self._F, self._C = F.copy(), C.copy()  # (room, n_x), (room, n_y)
        self._change = np.zeros((0, 0))  # A − A₀, (room, room)
        self._velocity = np.zeros_like(F), np.zeros_like(C), np.zeros((0, 0))
        self._queries: list[Host] = []

    @property
    def dimension(self) -> int:
        """The number of directions met: what the cost depends on."""
        return self._matrix.size

    @property
    def dropped(self) -> float:
        """The length of the longest part of a query that was taken as met though it was not."""
        return self._matrix.dropped

    def taps(self) -> Host:
        """The taps of L_j = n^{-1/2} C A^j F.  Shapes: (T n_x, n_y)."""
        self._queries = [self._C]
        for _ in range(self._lags - 1):
            following = self._product(self._queries[-1], transpose=True)  # rewrites the list
            self._queries.append(following)
        self._align()
        blocks = [self._root * (self._F.T @ query) for query in self._queries]  # L_jᵀ
        return np.concatenate(blocks)

    def move(self, slope: Host, step: float, momentum: float = 0.0) -> None:
        """Every parameter takes one step v ← μ v + gradient, θ ← θ − η v, by the Horner rule of KrylovDescent."""
        G = slope.reshape(self._lags, self._F.shape[1], self._C.shape[1])
        sums = [self._F @ G[-1]]  # S_{T-2} first, (room, n_y)
        for j in range(self._lags - 2, -1, -1):
            turned = self._product(sums[-1], transpose=False)
            sums.append(turned + self._matrix.pad(self._F) @ G[j])
        self._align()
        sums = [self._matrix.pad(s) for s in sums]
        F, C, change = self._velocity
        for velocity in self._velocity:
            velocity *= momentum
        F += self._root * sum(query @ g.T for query, g in zip(self._queries, G, strict=True))
        C += self._root * sums[-1]
        self._F = self._F - step * F
        self._C = self._C - step * C  # the queries still hold the old one
        if self._lags > 1:
            left, right = np.vstack([q.T for q in self._queries[:-1]]), np.vstack([s.T for s in sums[-2::-1]])
            target, factor = (change, 1.0) if momentum else (self._change, -step)
            add_product(target, left, right, factor * self._root**3)
            if momentum:
                self._change -= step * change

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
        F, C, change = self._velocity
        self._velocity = pad(F), pad(C), pad(pad(change).T).T


class LazyDescent(CoordinateDescent):
    """A RandomRNN in training: exact in law up to the tolerance, the matrix drawn along the directions met."""

    def __init__(self, start: RandomRNN, lags: int) -> None:
        rng = np.random.default_rng([start.seed, start.width])
        matrix = LazyGaussian(start.width, start.nu_W / start.width, start.tolerance, rng)
        F = [start.nu_F**0.5 * matrix.fresh() for _ in range(start.n_x)]
        C = [start.nu_C**0.5 * matrix.fresh() for _ in range(start.n_y)]
        columns = [np.column_stack([matrix.pad(x) for x in part]) for part in (F, C)]
        super().__init__(matrix, columns[0], columns[1], start.width, lags)
        self._start = start

    def model(self) -> RandomRNN:
        """The law it started from: the trained matrices are never formed."""
        return self._start


class QueriedMatrix(CoordinateMatrix):
    """A given n × n matrix, multiplied in full only along directions it was not asked about before.

    Vectors are coordinates in a growing orthonormal basis of R^n that holds all queries and their images.
    """

    def __init__(self, matrix: Host, tolerance: float) -> None:
        self.matrix = matrix
        super().__init__(matrix.shape[0], 1.0, tolerance)
        self._basis = np.zeros((self.room, matrix.shape[0]))  # row by row

    def embed(self, vector: Host) -> Host:
        """Coordinates of a vector of R^n; the basis grows by what is new in it.  Shapes: (n,) -> (room,)."""
        coordinates, rest = np.zeros(self.size), vector
        for _ in range(2):  # twice is enough
            part = self._basis[: self.size] @ rest
            coordinates += part
            rest = rest - part @ self._basis[: self.size]
        length = float(np.linalg.norm(rest))
        if self.size < self.width and length > 1e-14 * float(np.linalg.norm(vector)):
            self.reserve()
            self._basis[self.size] = rest / length
            coordinates = np.append(coordinates, length)
            self.size += 1
        return np.pad(coordinates, (0, self.room - len(coordinates)))

    def lift(self, vectors: Host) -> Host:
        """The vectors of R^n with these coordinates.  Shapes: (room, …) -> (n, …)."""
        return np.asarray(self._basis.T @ self.pad(vectors))

    def fresh(self) -> Host:
        """Refused: a given matrix draws nothing."""
        raise AssertionError("a given matrix draws nothing")

    def image(self, unit: Host, other: Products) -> Host:
        """The matrix, or its transpose, times a unit vector, in full: 2 n² flops."""
        vector = self.lift(unit)
        return self.embed(self.matrix @ vector if other is self.left else self.matrix.T @ vector)

    def reserve(self) -> None:
        """Make room for one more basis vector."""
        super().reserve()
        missing = self.room - self._basis.shape[0]
        if missing:
            self._basis = np.concatenate([self._basis, np.zeros((missing, self.width))])


class SubspaceDescent(CoordinateDescent):
    """A given LinearRNN in training: W is multiplied only along directions that no earlier step has met.

    Error: queries are answered up to a rest of length `tolerance`, absolute, as descent moves F by O(1).
    """

    def __init__(self, start: LinearRNN, lags: int, tolerance: float) -> None:
        matrix = QueriedMatrix(start.W * start.width**-0.5, tolerance)
        F, C = ([matrix.embed(column) for column in part] for part in (start.F.T, start.C))
        columns = [np.column_stack([matrix.pad(x) for x in part]) for part in (F, C)]
        super().__init__(matrix, columns[0], columns[1], start.width, lags)
        self._start, self._known = start, matrix

    def model(self) -> LinearRNN:
        """The trained network, its matrix formed once."""
        self._align()
        basis = self._known.lift(np.eye(self._known.room))  # (n, room)
        W = self._start.W + self._start.width**0.5 * (basis @ (self._change @ basis.T))
        return LinearRNN(W, basis @ self._F, (basis @ self._C).T)
