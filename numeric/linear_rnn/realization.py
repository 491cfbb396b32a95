"""Linear RNNs with a given impulse response, in doubles: diagonal, rotating or balanced, each with its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.krylov import LinearRNN, impulse_response

METHODS = ("circle", "chebyshev", "balanced")
LARGEST_CONDITION = 10.0


@dataclass(frozen=True, eq=False)
class Realized:
    """A linear RNN beside the impulse response it should have.

    error is the largest entry of the difference at the lags below T; gain is the largest |y - y'| / |x| over all
    inputs of T steps, the exact worst case; both zero but for rounding.  condition is that of the linear system
    solved for the readout (circle, chebyshev), or of the Hankel matrix kept (balanced).  radius is the spectral
    radius of the transition matrix; below 1 the RNN also forgets after the horizon.
    """

    rnn: LinearRNN
    method: str
    units: int
    error: float
    gain: float
    condition: float
    radius: float


def realize(impulse: Any, method: str = "circle", *, radius: float | None = None, order: int | None = None) -> Realized:
    """A linear RNN whose impulse response agrees with the given one at every lag below T.

    "circle": T n_x n_y units, Vandermonde on T points of a circle in the complex plane, one rotation for each pair;
    its condition number is radius^{1-T}, by default at most 10.  "chebyshev": the paper's real diagonal form,
    condition growing like (1 + sqrt 2)^T.  "balanced": Ho and Kalman's, by the SVD of the Hankel matrix of the
    response followed by zeros, with as few units as its rank, or the `order` largest.
    Shapes: impulse (T, n_y, n_x) or (T,).  Errors: ShapeError; ParameterError for another method, or a radius or
    order outside its range.  Source: emami2021implicit, Proposition 2.1(b), (33)-(35); ho1966effective.
    """
    target = np.asarray(impulse, dtype=np.float64)
    target = target[:, None, None] if target.ndim == 1 else target
    if target.ndim != 3 or 0 in target.shape or not np.all(np.isfinite(target)):
        raise ShapeError("realize", "a finite impulse response (T, n_y, n_x)", target.shape, "One block per lag.")
    if method not in METHODS:
        raise ParameterError("realize: method", ", ".join(METHODS), method, "The circle is well conditioned.")
    if method == "balanced":
        if radius is not None:
            raise ParameterError("realize: radius", "none for balanced", radius, "It has no nodes.")
        rnn, condition = _balanced(target, order)
    else:
        if order is not None:
            raise ParameterError("realize: order", "none but for balanced", order, "Diagonal forms have T n_x n_y.")
        rnn, condition = _diagonal(target, method, radius)
    difference = np.asarray(impulse_response(rnn, target.shape[0])) - target
    rho = float(np.max(np.abs(np.linalg.eigvals(rnn.W)))) / rnn.width**0.5
    return Realized(rnn, method, rnn.width, float(np.max(np.abs(difference))), gain_of(difference), condition, rho)


def gain_of(impulse: Host) -> float:
    """The largest output over input, in root of sums of squares, over all inputs of T steps.

    Shapes: (T, n_y, n_x) -> scalar.  Error: rounding.  Source: the norm of the block-Toeplitz operator.
    """
    lags, n_y, n_x = impulse.shape
    operator = np.zeros((lags, n_y, lags, n_x))
    for j in range(lags):
        for t in range(j, lags):
            operator[t, :, t - j, :] = impulse[j]
    return float(np.linalg.norm(operator.reshape(lags * n_y, lags * n_x), 2))


def default_radius(lags: int) -> float:
    """The radius that makes the condition number of the circle 10: it forgets to a tenth in each T steps."""
    return LARGEST_CONDITION ** (-1.0 / max(1, lags - 1))


def _diagonal(target: Host, method: str, radius: float | None) -> tuple[LinearRNN, float]:
    lags, n_y, n_x = target.shape
    radius = (default_radius(lags) if method == "circle" else 1.0) if radius is None else radius
    if not 0 < radius <= 1:
        raise ParameterError("realize: radius", "0 < radius <= 1", radius, "Above 1 the states would grow.")
    if method == "chebyshev":
        nodes = radius * np.cos((2 * np.arange(lags) + 1) * np.pi / (2 * lags))
        vandermonde = np.vander(nodes, lags, increasing=True)  # V[k, j] = node_k^j
        weights = np.linalg.solve(vandermonde.T, target.reshape(lags, -1))  # (T, n_y n_x)
        blocks, inputs, readouts = nodes[:, None, None], np.ones((lags, 1)), weights[:, None, :]
        return _assembled(list(blocks), list(inputs), list(readouts), n_y, n_x), float(np.linalg.cond(vandermonde))
    spectrum = np.fft.fft(target * radius ** -np.arange(lags)[:, None, None], axis=0).reshape(lags, -1) / lags
    forms = [_rotation(k, lags, radius, spectrum[k]) for k in range(lags // 2 + 1)]
    blocks_, inputs_, readouts_ = (list(part) for part in zip(*forms, strict=True))
    return _assembled(blocks_, inputs_, readouts_, n_y, n_x), radius ** (1 - lags)


def _rotation(k: int, lags: int, radius: float, weight: Host) -> tuple[Host, Host, Host]:
    """The node radius e^{2 pi i k / T} and its conjugate as a real block: a scalar at k = 0 and k = T/2.

    L_j = sum_k weight_k node_k^j; a conjugate pair gives 2 Re(weight node^j), the first entry of a turning vector.
    """
    angle = 2 * np.pi * k / lags
    if k == 0 or 2 * k == lags:
        return np.array([[radius * np.cos(angle)]]), np.ones(1), weight.real[None, :]
    turn = radius * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn, np.array([1.0, 0.0]), 2 * np.stack([weight.real, -weight.imag])


def _assembled(blocks: list[Host], inputs: list[Host], readouts: list[Host], n_y: int, n_x: int) -> LinearRNN:
    """One copy of the blocks for every pair (output, input), in the scaling n^{-1/2} of the paper.

    Shapes: readouts[k] (size of block k, n_y n_x).
    """
    one, entrance = linalg.block_diag(*blocks), np.concatenate(inputs)
    exits = np.concatenate(readouts)  # (T, n_y n_x)
    size = len(entrance)
    n = size * n_y * n_x
    F, C = np.zeros((n, n_x)), np.zeros((n_y, n))
    for r, c in np.ndindex(n_y, n_x):
        part = slice((r * n_x + c) * size, (r * n_x + c + 1) * size)
        F[part, c], C[r, part] = entrance, exits[:, r * n_x + c]
    return LinearRNN(n**0.5 * np.kron(np.eye(n_y * n_x), one), F, n**0.5 * C)


def _balanced(target: Host, order: int | None) -> tuple[LinearRNN, float]:
    """A = U^T H' V scaled by the singular values of the Hankel matrix H, H' shifted by one lag."""
    lags, n_y, n_x = target.shape
    padded = np.concatenate([target, np.zeros((lags + 1, n_y, n_x))])
    index = np.arange(lags)[:, None] + np.arange(lags)
    hankel, shifted = (np.transpose(padded[index + s], (0, 2, 1, 3)).reshape(lags * n_y, lags * n_x) for s in (0, 1))
    left, values, right = linalg.svd(hankel, full_matrices=False)
    rank = max(1, int(np.sum(values > values[0] * len(hankel) * np.finfo(float).eps)))
    size = rank if order is None else order
    if not 1 <= size <= rank:
        raise ParameterError("realize: order", f"between 1 and the rank {rank}", order, "Give no order to be exact.")
    root = np.maximum(values[:size], np.finfo(float).tiny) ** 0.5
    left, right = left[:, :size], right[:size]
    A = (left / root).T @ shifted @ (right.T / root)
    rnn = LinearRNN(size**0.5 * A, (root[:, None] * right)[:, :n_x], size**0.5 * (left * root)[:n_y])
    return rnn, float(values[0] / max(values[size - 1], np.finfo(float).tiny))
