"""The numbers taken from each trial; means, errors and checks are functions of their moments alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wideproof.numeric.core.arrays import Array, Host, Namespace, namespace, to_host
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.sampling.linear import Draw, diagonal_weights, kernel_weights

REACH = 4  # pairs of lags further apart than this are not correlated
KEPT = 20_000  # single entries kept per lag at the largest width, for the test of the distribution


def pairs(horizon: int, equal: bool) -> tuple[tuple[int, int], ...]:
    """Return the lag pairs (j, k), k <= j <= k + REACH, with the pairs (j, j) if `equal`.

    Shapes: (P, 2).  Units: lags.  Source: definition.
    """
    start = 0 if equal else 1
    return tuple((j, j - gap) for j in range(horizon) for gap in range(start, min(REACH, j) + 1))


def response_moments(draw: Draw) -> dict[str, Moments]:
    """Return the moments of (L^4, L^2) per lag and of L_j L_k, L_j^2 L_k^2, L_j^2, L_k^2 per pair of lags.

    Shapes: features (B, T, 2) and (B, P, 4), each averaged over the n_y n_x entries of a trial.
    Units: powers of L.  Error: rounding.  Source: definition.
    """
    L = draw.response
    xp, (trials, horizon) = namespace(L), L.shape[:2]
    flat = xp.reshape(L, (trials, horizon, -1))  # (B, T, n_y n_x)
    squares = flat * flat
    second, fourth = xp.mean(squares, axis=2), xp.mean(squares * squares, axis=2)
    found = {"lag": Moments.of(xp.stack([fourth, second], axis=2))}
    if horizon > 1:
        first, second_of = _indices(xp, pairs(horizon, equal=False))
        products = xp.mean(xp.take(flat, first, axis=1) * xp.take(flat, second_of, axis=1), axis=2)
        fourths = xp.mean(xp.take(squares, first, axis=1) * xp.take(squares, second_of, axis=1), axis=2)
        ends = xp.take(second, first, axis=1), xp.take(second, second_of, axis=1)
        found["pair"] = Moments.of(xp.stack([products, fourths, *ends], axis=2))
    return found


def _indices(xp: Namespace, found: Sequence[tuple[int, int]]) -> tuple[Array, Array]:
    """The first and the second lags of pairs, as index arrays.  Shapes: (P,), (P,)."""
    first, second = (xp.asarray(lags) for lags in zip(*found, strict=True))
    return first, second


def entries(draw: Draw) -> Host:
    """Return entry (0, 0) of every L_j, one independent number per trial and lag.

    Shapes: (B, T).  Units: of L.  Source: definition.
    """
    return to_host(draw.response[:, :, 0, 0])


def kernel_moments(draw: Draw) -> dict[str, Moments]:
    """Return the moments of the NTK's diagonal weights, and of the squared coupling of lags of entry (0, 0).

    Shapes: features (B, T, 1) and (B, P, 3): coupling squared, the weights of both lags.
    Units: of the kernel's weights and their squares.  Error: rounding.  Source: definition.
    """
    weights = diagonal_weights(draw)
    xp = namespace(weights)
    assert draw.right is not None
    assert draw.left is not None
    corner = replace(draw, right=draw.right[:, :, :1, :, :1], left=draw.left[:, :, :1, :, :1])
    theta = kernel_weights(corner)[:, :, 0, 0, :, 0, 0]  # (B, T, T)
    first, second = _indices(xp, pairs(theta.shape[1], equal=True))
    table = xp.reshape(theta, (theta.shape[0], -1))
    ends = [xp.take(table, lags * (theta.shape[1] + 1), axis=1) for lags in (first, second)]
    stacked = xp.stack([xp.take(table, first * theta.shape[1] + second, axis=1) ** 2, *ends], axis=2)
    return {"lag": Moments.of(xp.stack([weights], axis=2)), "pair": Moments.of(stacked)}
