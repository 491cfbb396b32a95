"""The numbers taken from each trial; means, errors and checks are functions of their moments alone."""

from __future__ import annotations

from dataclasses import replace

from numeric.arrays import Array, Host, namespace, to_host
from numeric.sampling import Draw, diagonal_weights, kernel_weights
from numeric.statistics import Moments

REACH = 4  # pairs of lags further apart than this are not correlated
KEPT = 20_000  # single entries kept per lag at the largest width, for the test of the distribution


def pairs(horizon: int, equal: bool) -> tuple[tuple[int, int], ...]:
    """Return the lag pairs (j, k), k <= j <= k + REACH, with the pairs (j, j) if `equal`.

    Shapes: (P, 2).  Units: lags.  Error: none.  Source: definition.
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
        rows = [
            [xp.mean(flat[:, j] * flat[:, k], axis=1), xp.mean(squares[:, j] * squares[:, k], axis=1),
             second[:, j], second[:, k]]
            for j, k in pairs(horizon, equal=False)
        ]  # fmt: skip
        found["pair"] = Moments.of(xp.stack([xp.stack(row, axis=1) for row in rows], axis=1))
    return found


def entries(draw: Draw) -> Host:
    """Return entry (0, 0) of every L_j, one independent number per trial and lag.

    Shapes: (B, T).  Units: of L.  Error: none.  Source: definition.
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
    rows = [[theta[:, j, k] ** 2, theta[:, j, j], theta[:, k, k]] for j, k in pairs(theta.shape[1], equal=True)]
    stacked: Array = xp.stack([xp.stack(row, axis=1) for row in rows], axis=1)
    return {"lag": Moments.of(xp.stack([weights], axis=2)), "pair": Moments.of(stacked)}
