"""Training a random linear RNN of any width, exact in law: the cost does not grow with n.

Gradient descent meets few directions. A₀ = n^{-1/2} W is a Gaussian matrix, so its image of a direction it
has not met is drawn when it is met (Bolthausen's conditioning: step (81) of the paper's proof, used as an
algorithm), in a basis that grows by one vector for each draw until it spans R^n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derive.errors import ParameterError
from numeric.arrays import Host


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


class LazyGaussian:
    """An n × n matrix of independent N(0, variance) entries, drawn only along the directions it is asked about.

    Vectors are coordinates in one growing orthonormal basis; the joint law of all answers is that of the
    dense matrix, at every n ≥ 1.  Source: paper (81) with erratum E8.
    """

    def __init__(self, width: int, variance: float, tolerance: float, rng: np.random.Generator) -> None:
        self.width, self.deviation, self.tolerance, self.rng = width, variance**0.5, tolerance, rng
        self.size, room = 0, min(width, 64)
        self.right, self.images = np.zeros((room, 0)), np.zeros((room, 0))  # P, A₀P
        self.left, self.coimages = np.zeros((room, 0)), np.zeros((room, 0))  # S, A₀ᵀS

    @property
    def room(self) -> int:
        """The length of the coordinate vectors; entries past `size` are zero."""
        return int(self.right.shape[0])

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

    def apply(self, v: Host) -> Host:
        """A₀ v, drawing the image of what is new in v.  Shapes: (room,) -> (room,), room may grow."""
        unit, new = self._new(self.right, v)
        if new > self.tolerance:
            image = self._draw(unit, self.left, self.coimages)
            self.right, self.images = self._append(self.right, unit), self._append(self.images, image)
        v = self.pad(v)
        return np.asarray(self.images @ (self.right.T @ v))

    def apply_transpose(self, u: Host) -> Host:
        """A₀ᵀ u, by the same rule with the roles exchanged."""
        unit, new = self._new(self.left, u)
        if new > self.tolerance:
            image = self._draw(unit, self.right, self.images)
            self.left, self.coimages = self._append(self.left, unit), self._append(self.coimages, image)
        u = self.pad(u)
        return np.asarray(self.coimages @ (self.left.T @ u))

    def pad(self, array: Host) -> Host:
        """The same vectors in the basis as it is now.  Shapes: (r, …) -> (room, …)."""
        missing = self.room - array.shape[0]
        return np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1)) if missing else array

    def _new(self, met: Host, v: Host) -> tuple[Host, float]:
        if met.shape[1] >= self.width:
            return v, 0.0
        v = self.pad(v)
        rest = v - met @ (met.T @ v)
        length = float(np.linalg.norm(rest))
        if length <= self.tolerance:
            return rest, length
        rest = rest / length
        rest -= met @ (met.T @ rest)  # twice is enough
        again = float(np.linalg.norm(rest))
        return (rest / again, length) if again > 0.5 else (rest, 0.0)

    def _draw(self, unit: Host, other: Host, known: Host) -> Host:
        """The image of a new unit vector: what the other side's queries say, and fresh noise beyond them."""
        told = known.T @ unit
        noise = self.fresh()
        other = self.pad(other)
        noise = noise - other @ (other.T @ noise)
        return np.asarray(other @ told + self.deviation * noise)

    def _append(self, block: Host, column: Host) -> Host:
        return np.column_stack([self.pad(block), self.pad(column)])

    def _grow(self) -> None:
        extra = min(self.room, self.width - self.room)
        for name in ("right", "images", "left", "coimages"):
            setattr(self, name, np.pad(getattr(self, name), ((0, extra), (0, 0))))


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
