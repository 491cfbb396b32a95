"""The definition as a sampler: draw W, F and C, and multiply."""

from __future__ import annotations

import math

from wideproof.numeric.core.arrays import Array, Namespace, Stream
from wideproof.numeric.sampling.linear.setting import Draw, LinearSetting


def dense(setting: LinearSetting, trials: int, stream: Stream, grams: bool = False, dtype: str = "float64") -> Draw:
    """Draw the impulse response from whole matrices: exact in law by definition, O(n^2) per trial.

    In float32 the matrices are drawn and multiplied in single precision; what is returned is always in float64.
    Shapes: as `Draw`.  Units: as `Draw`.
    Error: rounding; in float32 below T 1e-6 of the typical size of L_j, far below a standard error.
    Source: paper, (4), (9), (41).
    """
    n, xp = setting.width, stream.xp
    W, scale = stream.normal(trials, n, n, dtype=dtype), math.sqrt(setting.nu_W / n)
    inputs = stream.normal(trials, n, setting.n_x, dtype=dtype) * math.sqrt(setting.nu_F)  # F
    readout = stream.normal(trials, setting.n_y, n, dtype=dtype) * math.sqrt(setting.nu_C)  # C
    right = powers(xp, W, inputs, setting.horizon, scale)  # (B, T, n, n_x)
    response = xp.matmul(readout[:, None, :, :], right) / math.sqrt(n)  # (B, T, n_y, n_x)
    double = xp.float64
    if not grams:
        return Draw(xp.astype(response, double), None, None, "dense")
    left = powers(xp, W.mT, readout.mT, setting.horizon, scale)  # (B, T, n, n_y), the transposes of Q_a
    response, right, left = (xp.astype(a, double) for a in (response, gram(xp, right, n), gram(xp, left, n)))
    return Draw(response, right, left, "dense")


def powers(xp: Namespace, W: Array, block: Array, horizon: int, scale: float) -> Array:
    """Stack block, A block, ..., A^(T-1) block with A = scale W; the matrix itself is not scaled.

    Shapes: W (B, d, d), block (B, d, m) -> (B, T, d, m).  Units: of block.  Error: rounding.
    Source: paper, (41).
    """
    blocks = [block]
    for _ in range(horizon - 1):
        blocks.append(xp.matmul(W, blocks[-1]) * scale)
    return xp.stack(blocks, axis=1)


def gram(xp: Namespace, blocks: Array, width: int) -> Array:
    """Return all inner products of the columns of the blocks, divided by the width.

    Shapes: (B, T, d, m) -> (B, T, m, T, m).  Units: of blocks, squared.  Error: rounding.
    Source: definition.
    """
    trials, horizon, size, count = blocks.shape
    flat = xp.reshape(xp.permute_dims(blocks, (0, 1, 3, 2)), (trials, horizon * count, size))
    return xp.reshape(xp.matmul(flat, flat.mT) / width, (trials, horizon, count, horizon, count))
