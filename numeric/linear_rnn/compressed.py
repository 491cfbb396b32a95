"""Gradient descent of a linear RNN among the directions its matrix was asked about: small matrices only.

The Krylov vectors of a step are swept as coordinates along the queries of their side.  Every product that a step
needs is held as a small matrix and moves with the parameters by updates of low rank, so that vectors of R^n are
touched only where a sweep leaves the span of the queries; a sketch tells.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.sampling.conditioned_matrix import Products, RevealedMatrix

SKETCH = 24
"""Directions that measure a rest: twice what they show is exceeded with a chance of 6e-5 (chi-squared law)."""
ROOM = 32


class Sketch:
    """Independent N(0, 1/k) rows Ω: the length of Ω v is that of v within a factor of two, nearly surely."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng([SKETCH, ROOM])  # fixed: it has no part in the law of a network
        self._rows = np.empty((SKETCH, 0))

    def of(self, v: Host) -> Host:
        """Ω v, rows drawn as vectors grow longer.  Shapes: (..., n) -> (..., k)."""
        missing = v.shape[-1] - self._rows.shape[1]
        if missing > 0:
            more = self._rng.standard_normal((missing, SKETCH)).T / SKETCH**0.5
            self._rows = np.concatenate([self._rows, more], axis=1)
        return np.asarray(v @ self._rows[:, : v.shape[-1]].T)


class MatrixSide:
    """What is known of one side of the matrix: B = A where it is on the right, Aᵀ where it is on the left.

    With Q its own queries, O those of the other side, x the block of vectors its sweeps start from, l ≤ room:
    action [Ω; Qᵀ] B Q (k + room, room), overlap [Ω; Qᵀ] O (k + room, room), first xᵀ[Ωᵀ, Q] (columns, k + room),
    shadow Ω Q (k, room); x = x₀ + O movedᵀ, moved (columns, room).  Unused rows and columns are zero.
    """

    def __init__(self, own: Products, other: Products, start: Host, sketch: Sketch, room: int) -> None:
        self.own, self.other, self.start = own, other, start
        tall, columns = SKETCH + room, start.shape[0]
        self.action, self.overlap = np.zeros((tall, room)), np.zeros((tall, room))
        self.first, self.shadow = np.zeros((columns, tall)), np.zeros((SKETCH, room))
        self.moved = np.zeros((columns, room))
        self.first[:, :SKETCH] = sketch.of(start)
        self._fill(sketch)
        self.speeds = [np.zeros_like(a) for a in (self.action, self.first, self.moved)]

    def _fill(self, sketch: Sketch) -> None:
        """Write what earlier queries tell."""
        Q, images, others = self.own.queries, self.own.images, self.other.queries
        rows, across = slice(SKETCH, SKETCH + len(Q)), slice(len(others))
        self.shadow[:, : len(Q)] = sketch.of(Q).T
        self.action[:SKETCH, : len(Q)], self.action[rows, : len(Q)] = sketch.of(images).T, Q @ images.T
        self.overlap[:SKETCH, across], self.overlap[rows, across] = sketch.of(others).T, Q @ others.T
        self.first[:, rows] = widened(self.start, Q.shape[1]) @ Q.T

    def grow(self) -> None:
        """Make room for further queries of either side."""
        self.action, self.overlap, self.speeds[0] = (
            enlarged(a, ROOM, ROOM) for a in (self.action, self.overlap, self.speeds[0])
        )
        self.first, self.moved, self.shadow = (enlarged(a, 0, ROOM) for a in (self.first, self.moved, self.shadow))
        self.speeds[1:] = [enlarged(a, 0, ROOM) for a in self.speeds[1:]]

    def learn(self, change: Host, speed: Host, sketch: Sketch) -> Host:
        """Write what the last query tells, and return its image's inner products with the other side's queries.

        Shapes: change, speed (room, room), of Δ and its velocity with a row for every own query -> (r,).
        """
        i, unit, image = self.own.count - 1, self.own.queries[-1], self.own.images[-1]
        row, across = SKETCH + i, np.zeros(self.shadow.shape[1])
        across[: self.other.count] = self.other.queries @ unit
        self.shadow[:, i] = sketch.of(unit)
        self.action[:SKETCH, i], self.action[SKETCH : row + 1, i] = sketch.of(image), self.own.queries @ image
        self.action[row, :i] = self.own.images[:i] @ unit + change[:i] @ across
        self.overlap[row] = across
        self.first[:, row] = widened(self.start, len(unit)) @ unit + self.moved @ across
        self.speeds[0][row, :i] = speed[:i] @ across
        self.speeds[1][:, row] = self.speeds[2] @ across
        return np.asarray(self.other.queries @ image)

    def met(self, query: Host, sketch: Sketch) -> None:
        """Write that the other side has one more query."""
        i = self.other.count - 1
        self.overlap[:SKETCH, i] = sketch.of(query)
        self.overlap[SKETCH : SKETCH + self.own.count, i] = self.own.queries @ query


def enlarged(array: Host, rows: int, columns: int) -> Host:
    """The array with zero rows and columns after its own.  Shapes: (a, b) -> (a + rows, b + columns)."""
    out = np.zeros((array.shape[0] + rows, array.shape[1] + columns))
    out[: array.shape[0], : array.shape[1]] = array
    return out


def widened(rows: Host, size: int) -> Host:
    """The rows with zeros after them.  Shapes: (k, a) -> (k, size)."""
    return rows if rows.shape[1] == size else enlarged(rows, 0, size - rows.shape[1])


class CompressedDescent:
    """A linear RNN in training; A = A₀ + S Δ Pᵀ in the left queries S and the right queries P.

    The problem is transposed when n_x < n_y, so that sweeps have m = min(n_x, n_y) columns.
    Shapes: F (n_x, ·), C (n_y, ·), as rows.  Cost: O(T m l²) flops per step with l queries a side, at any width.
    Error: vectors are swept up to rests of length `tolerance`.  Source: performance note §A.
    """

    def __init__(self, matrix: RevealedMatrix, F: Host, C: Host, width: int, lags: int) -> None:
        self._matrix, self._start, self._width, self._lags, self._root = matrix, (F, C), width, lags, width**-0.5
        self._flip, self._sketch = F.shape[0] < C.shape[0], Sketch()
        self._begin()

    def again(self, tolerance: float) -> Self:
        """The same network before its first step, at another tolerance; what the matrix was asked is kept."""
        twin = copy.copy(self)
        self._matrix.tolerance = tolerance
        twin._begin()
        return twin

    @property
    def tolerance(self) -> float:
        """The longest rest of a vector that is left out."""
        return self._matrix.tolerance

    def _begin(self) -> None:
        matrix, (F, C) = self._matrix, self._start
        most = max(matrix.left.count, matrix.right.count)
        room = ROOM * (most // ROOM + 1)
        left = MatrixSide(matrix.left, matrix.right, C, self._sketch, room)
        right = MatrixSide(matrix.right, matrix.left, F, self._sketch, room)
        self._first, self._second = (right, left) if self._flip else (left, right)
        self._drawn, self._speed = np.zeros((room, room)), np.zeros((room, room))  # Sᵀ A₀ P
        drawn = self._first.own.images @ self._second.own.queries.T
        self._drawn[: drawn.shape[0], : drawn.shape[1]] = drawn
        self._crossing = self._drawn.copy()  # Sᵀ A P
        self._reading = np.zeros((self._second.start.shape[0], room))  # F₀ᵀ S
        S = self._first.own.queries
        self._reading[:, : len(S)] = widened(self._second.start, S.shape[1]) @ S.T
        self._queries, self.dropped = np.empty((0, 0, 0)), 0.0

    def taps(self) -> Host:
        """The taps of L_j = n^{-1/2} C A^j F.  Shapes: (T n_x, n_y)."""
        columns = self._first.start.shape[0]
        weights = np.zeros((self._lags, columns, columns))
        weights[0] = np.eye(columns)
        self._queries = self._sweep(self._first, weights)
        blocks = self._root * (self._queries[..., SKETCH:] @ (self._reading + self._second.moved).T)  # (T, m, r)
        blocks = blocks if self._flip else np.swapaxes(blocks, 1, 2)  # (T, n_x, n_y)
        return blocks.reshape(-1, blocks.shape[2])

    def move(self, slope: Host, step: float, momentum: float = 0.0) -> None:
        """Every parameter takes one step v ← μ v + gradient, θ ← θ − η v, by the Horner rule of KrylovDescent."""
        first, second = self._first, self._second
        G = slope.reshape(self._lags, -1, slope.shape[1])
        G = G if self._flip else np.swapaxes(G, 1, 2)  # (T, m, r)
        sums = self._sweep(second, G[::-1])[..., SKETCH:]  # S_{T-2}, …, S_{-1}, (T, m, room)
        room = sums.shape[2]
        queries = np.zeros(sums.shape)
        queries[..., : self._queries.shape[2] - SKETCH] = self._queries[..., SKETCH:]
        steer = Steering(step, momentum)
        steer.shift(second, self._root * np.tensordot(G, queries, axes=((0, 1), (0, 1))))
        steer.shift(first, self._root * sums[-1])
        if self._lags > 1:
            left, right = queries[:-1].reshape(-1, room), sums[-2::-1].reshape(-1, room)  # S_0 beside Q_0
            scale = self._root**3
            steer.add(first.action, first.speeds[0], right @ first.overlap.T, left, scale)
            steer.add(second.action, second.speeds[0], left @ second.overlap.T, right, scale)
            steer.add(self._crossing, self._speed, left, right, scale)

    @property
    def queries(self) -> int:
        """The number of directions in which the matrix was asked, both sides together."""
        return self._first.own.count + self._second.own.count

    def change(self) -> Host:
        """Δ, with a row for every query of the first side.  Shapes: (room, room)."""
        return self._crossing - self._drawn

    def _sweep(self, side: MatrixSide, weights: Host) -> Host:
        """v_0 = x w_0, v_{i+1} = B v_i + x w_{i+1}; where a vector leaves the span of the queries, they grow.

        Shapes: weights (T, m, columns) -> rows [Ω v, Qᵀ v], (T, m, k + room).
        """
        begin, passed = 0, 0.0
        vectors = weights @ side.first
        while True:
            for i in range(max(begin, 1), self._lags):
                vectors[i] += vectors[i - 1, :, SKETCH:] @ side.action.T
            rests = 2.0 * np.linalg.norm(vectors[..., :SKETCH] - vectors[..., SKETCH:] @ side.shadow.T, axis=2)
            leaving = np.argwhere(rests > max(self.tolerance, passed))
            if not len(leaving) or side.own.count == self._width:
                self.dropped = max(self.dropped, float(rests.max()) if side.own.count < self._width else 0.0)
                return np.asarray(vectors)
            begin, column = leaving[0]
            if not self._extend(side, self._whole(side, vectors, weights, begin, column)):
                passed = float(rests[begin, column])
                continue
            known, vectors = vectors[:begin], weights @ side.first
            vectors[:begin] = 0.0
            vectors[:begin, :, : known.shape[2]] = known

    def _whole(self, side: MatrixSide, vectors: Host, weights: Host, i: int, column: int) -> Host:
        """The i-th vector of a sweep in R^n.  Shapes: -> (n,)."""
        other = side.other
        start = weights[i, column] @ widened(side.start, other.queries.shape[1])
        along = weights[i, column] @ side.moved
        if not i:
            return np.asarray(start + along[: other.count] @ other.queries)
        last = vectors[i - 1, column, SKETCH:]
        along = along + last @ self._turned(side, self.change())
        return np.asarray(start + along[: other.count] @ other.queries + last[: side.own.count] @ side.own.images)

    def _turned(self, side: MatrixSide, array: Host) -> Host:
        """An array with a row for every query of this side."""
        return array if side is self._first else array.T

    def _extend(self, side: MatrixSide, v: Host) -> bool:
        """Query the direction in which a vector leaves the span of the queries, unless rounding alone makes it."""
        _, rest = side.own.project(v)
        if float(np.linalg.norm(rest)) <= self.tolerance / 8:
            return False
        self._matrix.learn(side.own, side.other, rest, np.asarray(True))
        if side.own.count > self._speed.shape[0]:
            self._grow()
        i, unit = side.own.count - 1, side.own.queries[-1]
        told = side.learn(self._turned(side, self.change()), self._turned(side, self._speed), self._sketch)
        for array in (self._drawn, self._crossing):
            self._turned(side, array)[i, : len(told)] = told
        if side is self._first:
            self._reading[:, i] = widened(self._second.start, len(unit)) @ unit
        (self._second if side is self._first else self._first).met(unit, self._sketch)
        return True

    def _grow(self) -> None:
        self._first.grow()
        self._second.grow()
        self._drawn, self._crossing, self._speed = (
            enlarged(a, ROOM, ROOM) for a in (self._drawn, self._crossing, self._speed)
        )
        self._reading = enlarged(self._reading, 0, ROOM)


@dataclass(frozen=True)
class Steering:
    """v ← μ v + gradient, θ ← θ − η v, in place; without momentum the velocities stay zero."""

    step: float
    momentum: float

    def full(self, target: Host, speed: Host, gradient: Host) -> None:
        """One step along a gradient.  Shapes: all alike."""
        if self.momentum:
            speed *= self.momentum
            speed += gradient
            gradient = speed
        target -= self.step * gradient

    def add(self, target: Host, speed: Host, left: Host, right: Host, scale: float) -> None:
        """One step along scale · leftᵀ right.  Shapes: target (a, b), left (k, a), right (k, b)."""
        self.full(target, speed, (scale * left.T) @ right)

    def shift(self, side: MatrixSide, gradient: Host) -> None:
        """One step of the block that a side's sweeps start from, along the other side's queries.

        Shapes: gradient (columns, room).
        """
        self.full(side.first, side.speeds[1], gradient @ side.overlap.T)
        self.full(side.moved, side.speeds[2], gradient)
