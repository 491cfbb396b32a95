"""The wide linear RNN and its exact gradient through Krylov vectors, with no pass over the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from scipy.linalg import get_blas_funcs

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, to_impulse
from wideproof.numeric.linear_rnn.thin_products import choose_products


@dataclass(frozen=True, eq=False)
class LinearRNN:
    """h_t = n^{-1/2} W h_{t-1} + F x_t, y_t = n^{-1/2} C h_t, from a zero state.

    Shapes: W (n, n), F (n, n_x), C (n_y, n).  Source: paper (1).
    """

    W: Array
    F: Array
    C: Array

    def __post_init__(self) -> None:
        n = self.W.shape[0]
        if self.W.shape != (n, n) or self.F.shape[0] != n or self.C.shape[1] != n:
            got = f"{self.W.shape}, {self.F.shape}, {self.C.shape}"
            raise ShapeError("LinearRNN", "W (n, n), F (n, n_x), C (n_y, n)", got, "Use one width n.")

    @property
    def width(self) -> int:
        """The number n of hidden units."""
        return int(self.W.shape[0])


def draw_rnn(
    width: int, n_x: int, n_y: int, *, nu_W: float, nu_F: float, nu_C: float, rng: np.random.Generator
) -> LinearRNN:
    """Independent centred Gaussian entries of variances nu_W, nu_F, nu_C.

    Errors: ParameterError for a negative variance or a width below 1.  Source: paper (4).
    """
    if min(nu_W, nu_F, nu_C) < 0 or min(width, n_x, n_y) < 1:
        got = f"nu = {(nu_W, nu_F, nu_C)}, sizes {(width, n_x, n_y)}"
        raise ParameterError("draw_rnn", "variances ≥ 0 and sizes ≥ 1", got, "Change the named number.")
    shapes = (((width, width), nu_W), ((width, n_x), nu_F), ((n_y, width), nu_C))
    return LinearRNN(*(nu**0.5 * rng.standard_normal(shape) for shape, nu in shapes))


def impulse_response(rnn: LinearRNN, lags: int) -> Array:
    """L_j = n^{-(j+1)/2} C W^j F for j < lags, scaled at every step.  Shapes: -> (T, n_y, n_x).

    Source: paper (9).
    """
    descent = KrylovDescent(rnn, lags)
    return to_impulse(descent.taps(), lags)


def rnn_curvature(rnn: LinearRNN, data: Quadratic, tolerance: float = 1e-3, rounds: int = 60) -> float:
    """The largest eigenvalue of the Gauss–Newton Hessian at rnn: the n-wide counterpart of `curvature`.

    Power iteration from a fixed start, with the Jacobian by a central difference of the polynomial L(θ).
    Units: of the loss.  Error: from below; stops when a round adds less than `tolerance`, relative.
    """
    xp = array_namespace(data.sxx)
    probe = data.sxy + xp.ones_like(data.sxy)
    value, last, nudge = 0.0, -1.0, 1e-4
    for _ in range(rounds):
        if abs(value - last) <= tolerance * value:
            break
        probe = probe / xp.sum(probe * probe) ** 0.5
        slope = 2.0 / data.count * (data.sxx @ probe)
        sides = []
        for sign in (nudge, -nudge):
            descent = KrylovDescent(rnn, data.lags)
            descent.taps()
            descent.move(slope, sign)
            sides.append(descent.taps())
        moved = (sides[1] - sides[0]) / (2.0 * nudge)
        last, value, probe = value, float(xp.sum(probe * moved)), moved
    return value


class KrylovDescent:
    """A linear RNN in training: one sweep of W right, one left, one in-place update; its own copy changes.

    The problem is transposed when n_x < n_y, so that the Krylov vectors have m = min(n_x, n_y) rows.
    Cost: 6 (T−1) m n² per step, independent of the number of sequences; with momentum one more n × n array.
    The skinny products of W are compiled where that is faster: `products` says which and why.
    Source: performance note §A.
    """

    def __init__(self, start: LinearRNN, lags: int, kernels: str = "auto") -> None:
        xp = array_namespace(start.W)
        W, F, C = (xp.asarray(a, copy=True) for a in (start.W, start.F, start.C))
        self._flip = F.shape[1] < C.shape[0]
        self._W = W.T if self._flip else W  # a view
        self._left = F.T if self._flip else C  # (m, n)
        self._right = C.T if self._flip else F  # (n, r)
        self._root = start.width**-0.5
        self.products = choose_products(self._W, self._left.shape[0], kernels)
        self._velocity: tuple[Array, Array, Array] | None = None
        self._queries = xp.empty((lags, *self._left.shape), dtype=W.dtype)  # Q_a, (T, m, n)
        self._sums = xp.empty((max(lags - 1, 1), *self._left.shape), dtype=W.dtype)  # S_a, (T−1, m, n)

    def taps(self) -> Array:
        """The taps of L_j = n^{-1/2} Q_j F with Q_{a+1} = n^{-1/2} Q_a W.  Shapes: (T n_x, n_y)."""
        xp, Q = array_namespace(self._W), self._queries
        Q[0, ...] = self._left
        for a in range(Q.shape[0] - 1):
            Q[a + 1, ...] = self._root * self.products.left(Q[a, ...], self._W)
        blocks = self._root * (xp.reshape(Q, (-1, Q.shape[2])) @ self._right)  # (T m, r)
        blocks = xp.reshape(blocks, (Q.shape[0], Q.shape[1], -1))
        blocks = blocks if self._flip else xp.permute_dims(blocks, (0, 2, 1))  # (T, n_x, n_y)
        return xp.reshape(blocks, (-1, blocks.shape[2]))

    def move(self, slope: Array, step: float, momentum: float = 0.0) -> None:
        """Every parameter takes one step v ← μ v + gradient, θ ← θ − η v, after the queries of the last `taps()`.

        Shapes: slope (T n_x, n_y), ∂loss/∂taps.  Horner: S_{a-1} = n^{-1/2} S_a Wᵀ + G_a Fᵀ.
        """
        xp = array_namespace(self._W)
        lags, m, n = self._queries.shape
        G = xp.reshape(slope, (lags, -1, slope.shape[1]))  # (T, n_x, n_y)
        G = xp.reshape(G if self._flip else xp.permute_dims(G, (0, 2, 1)), (lags * m, -1))  # (T m, r)
        terms = xp.reshape(G @ self._right.T, (lags, m, n))  # G_a Fᵀ
        last = self._horner(terms)
        queries = xp.reshape(self._queries, (lags * m, n))
        sums = xp.reshape(self._sums, (-1, n))
        gradients = self._root * last, self._root * (queries.T @ G)
        self._descend(gradients, queries[: (lags - 1) * m, :], sums[: (lags - 1) * m, :], step, momentum)

    def _descend(
        self, gradients: tuple[Array, Array], queries: Array, sums: Array, step: float, momentum: float
    ) -> None:
        """One step along (∂left, ∂right) and ∂W = queriesᵀ sums / n."""
        left, right, scale = *gradients, self._root**2
        if momentum:
            if self._velocity is None:
                self._velocity = tuple(0.0 * x for x in (self._left, self._right, self._W))
            assert self._velocity is not None
            left, right = (momentum * v + g for v, g in zip(self._velocity, (left, right), strict=False))
            transition = self._velocity[2]
            transition *= momentum
            self._velocity = left, right, transition
        self._left -= step * left
        self._right -= step * right
        if not queries.shape[0]:
            return
        if momentum:
            add_product(transition, queries, sums, scale)
            self._W -= step * transition
        else:
            add_product(self._W, queries, sums, -step * scale)

    def model(self) -> LinearRNN:
        """The network as it stands now, as a copy."""
        xp = array_namespace(self._W)
        W, left, right = (xp.asarray(a, copy=True) for a in (self._W, self._left, self._right))
        return LinearRNN(W.T, left.T, right.T) if self._flip else LinearRNN(W, right, left)

    def _horner(self, terms: Array) -> Array:
        """Fill S_{T-2} … S_0 and return S_{-1}."""
        lags = terms.shape[0]
        running = terms[lags - 1, ...]
        for a in range(lags - 2, -1, -1):
            self._sums[a, ...] = running
            running = self._root * self.products.right(self._sums[a, ...], self._W) + terms[a, ...]
        return running


def add_product(target: Array, left: Array, right: Array, factor: float) -> None:
    """target += factor · leftᵀ right, in one in-place BLAS call on NumPy arrays.

    Shapes: target (n, n), left (k, n), right (k, n).
    """
    if not is_numpy_array(target):
        target += factor * (left.T @ right)
        return
    if target.flags.c_contiguous:  # BLAS wants Fortran order: update the transpose
        target, left, right = target.T, right, left
    (gemm,) = get_blas_funcs(("gemm",), (target,))
    gemm(factor, left.T, right.T, beta=1.0, c=target, trans_b=1, overwrite_c=1)
