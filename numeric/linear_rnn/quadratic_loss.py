"""Data once: the squared error of every causal filter on a data set is one quadratic form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.core.inputs import finite_array, whole


@dataclass(frozen=True, eq=False)
class Quadratic:
    """The loss of the taps V is (⟨V, Sxx V⟩ − 2⟨V, Sxy⟩ + Syy)/count, whatever the number of sequences.

    Shapes: sxx (T n_x, T n_x), sxy (T n_x, n_y), syy scalar; V = [L_0 … L_{T-1}]ᵀ is (T n_x, n_y).
    Units: sums over sequences and times; count = N S n_y, so that the loss is a mean of squares.
    """

    sxx: Array
    sxy: Array
    syy: float
    count: int
    lags: int

    @property
    def n_x(self) -> int:
        """Number of inputs."""
        return int(self.sxx.shape[0]) // self.lags

    @property
    def n_y(self) -> int:
        """Number of outputs."""
        return int(self.sxy.shape[1])

    @property
    def power(self) -> float:
        """The loss of the zero filter: the mean square of the outputs."""
        return self.syy / self.count


def quadratic(x: Array, y: Array, lags: int | None = None) -> Quadratic:
    """Sxx and Sxy sum over the times at which both lagged inputs exist: the state before each start is zero.

    Shapes: x (N, S, n_x), y (N, S, n_y) for N sequences, or (S, n_x), (S, n_y) for one long recording,
    which is then a single sequence zero-padded at its start; lags T ≤ S, by default S.
    Errors: ShapeError where x and y do not pair up; ParameterError where lags are too many.
    Source: performance note §A: windowed by the zero initial state, hence not exactly Toeplitz.
    """
    xp = array_namespace(x, y) if hasattr(x, "shape") and hasattr(y, "shape") else np
    x, y = _sequences(finite_array("quadratic: x", x, (2, 3), xp), finite_array("quadratic: y", y, (2, 3), xp))
    xp = array_namespace(x, y)
    horizon = x.shape[1]
    lags = horizon if lags is None else lags
    lags = whole("quadratic: lags", lags, 1, int(horizon), "Use longer sequences for more lags.")
    sxx = _lag_products(x, lags)
    pairs = [xp.tensordot(x[:, : horizon - j, :], y[:, j:, :], axes=((0, 1), (0, 1))) for j in range(lags)]
    sxy = xp.concat(pairs, axis=0)  # (T n_x, n_y)
    count = y.shape[0] * y.shape[1] * y.shape[2]
    return Quadratic(sxx, sxy, float(xp.sum(y * y)), count, lags)


def loss(data: Quadratic, taps: Array) -> Array:
    """The mean square error of the filter, in one product with Sxx.  Shapes: taps (T n_x, n_y) -> ()."""
    xp = array_namespace(taps)
    return (xp.sum(taps * (data.sxx @ taps - 2.0 * data.sxy)) + data.syy) / data.count


def loss_and_slope(data: Quadratic, taps: Array) -> tuple[Array, Array]:
    """The loss and its gradient 2(Sxx V − Sxy)/count share one product with Sxx.

    Shapes: taps (T n_x, n_y) -> (), (T n_x, n_y).
    """
    xp = array_namespace(taps)
    moved = data.sxx @ taps
    value = (xp.sum(taps * (moved - 2.0 * data.sxy)) + data.syy) / data.count
    return value, (moved - data.sxy) * (2.0 / data.count)


def curvature(data: Quadratic, rho: Array) -> float:
    """The largest eigenvalue of the Hessian of the loss in θ, where L_j = √ρ_j θ_j: 2 σ_max(A √ρ)²/count.

    A is the block-Toeplitz operator of the data, AᵀA = Sxx.  Shapes: rho (T,) -> scalar.
    Units: of the loss, a mean over count squares.
    """
    root = weights(data, rho) ** 0.5  # (T n_x, 1)
    xp = array_namespace(root)
    return 2.0 * float(xp.linalg.eigvalsh(root * data.sxx * root.T)[-1]) / data.count


def largest_stable_step(data: Quadratic, rho: Array) -> float:
    """Gradient descent on θ converges below this step and diverges above it: 2 / curvature.

    Half of it is at least B_1 of Theorem 4.1 in this loss's units.  Source: paper (62), erratum E12.
    """
    steepest = curvature(data, rho)
    return 2.0 / steepest if steepest > 0 else math.inf


def weights(data: Quadratic, rho: Array) -> Array:
    """One weight per tap: ρ_j repeated over the n_x inputs.  Shapes: rho (T,) -> (T n_x, 1).

    Errors: ShapeError for another number of lags; ParameterError for a negative or infinite weight.
    """
    xp = array_namespace(data.sxx)
    rho = xp.asarray(rho, dtype=data.sxx.dtype)
    if rho.shape != (data.lags,):
        raise ShapeError("weights", f"rho of shape ({data.lags},)", rho.shape, "Give one weight per lag.")
    if not bool(xp.all(xp.isfinite(rho))) or bool(xp.any(rho < 0)):
        raise ParameterError("weights", "finite weights ≥ 0", rho, "Check the variances given to rho.")
    return xp.reshape(xp.broadcast_to(rho[:, None], (data.lags, data.n_x)), (-1, 1))


def to_taps(impulse: Array) -> Array:
    """[L_0 … L_{T-1}]ᵀ.  Shapes: (T, n_y, n_x) -> (T n_x, n_y)."""
    xp = array_namespace(impulse)
    return xp.reshape(xp.permute_dims(impulse, (0, 2, 1)), (-1, impulse.shape[1]))


def to_impulse(taps: Array, lags: int) -> Array:
    """The inverse of to_taps.  Shapes: (T n_x, n_y) -> (T, n_y, n_x)."""
    xp = array_namespace(taps)
    return xp.permute_dims(xp.reshape(taps, (lags, -1, taps.shape[1])), (0, 2, 1))


def apply_filter(impulse: Array, x: Array) -> Array:
    """y_t = Σ_j L_j x_{t-j} with zero input before the start.

    Shapes: impulse (T, n_y, n_x), x (N, S, n_x) or (S, n_x) -> y of the same leading shape and n_y columns.
    Source: paper (5).
    """
    xp = array_namespace(impulse, x)
    single = x.ndim == 2
    x = x[None, ...] if single else x
    y = x @ impulse[0, ...].T  # (N, S, n_y)
    for j in range(1, min(impulse.shape[0], x.shape[1])):
        y[:, j:, :] += x[:, :-j, :] @ impulse[j, ...].T
    return xp.squeeze(y, axis=0) if single else y


def _sequences(x: Array, y: Array) -> tuple[Array, Array]:
    if x.ndim == 2 and y.ndim == 2:
        x, y = x[None, ...], y[None, ...]
    if x.ndim != 3 or y.ndim != 3 or x.shape[:2] != y.shape[:2]:
        got = f"{x.shape} and {y.shape}"
        raise ShapeError("quadratic", "x (N, S, n_x) and y (N, S, n_y)", got, "Align sequences and times.")
    return x, y


def _lag_products(x: Array, lags: int) -> Array:
    """Sxx[j, j'] = Σ_i Σ_{t ≥ max(j, j')} x_{t-j} x_{t-j'}ᵀ: running sums along each block diagonal."""
    xp = array_namespace(x)
    _, horizon, n_x = x.shape
    sxx = xp.empty((lags, n_x, lags, n_x), dtype=x.dtype)
    late = horizon - lags + 1  # the lag T−1 pairs with its first `late` inputs
    for d in range(lags):  # j' = j + d
        block = xp.tensordot(x[:, d : d + late, :], x[:, :late, :], axes=((0, 1), (0, 1)))
        for k in range(lags - 1, d - 1, -1):
            if k < lags - 1:
                s = horizon - 1 - k  # the time that lag k sees and lag k + 1 does not
                block = block + x[:, s + d, :].T @ x[:, s, :]
            sxx[k - d, :, k, :] = block
            sxx[k, :, k - d, :] = block.T
    return xp.reshape(sxx, (lags * n_x, lags * n_x))
