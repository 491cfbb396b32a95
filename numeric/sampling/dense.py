"""The definition as a sampler: draw W, F and C, and multiply."""

from __future__ import annotations

import math

from numeric.arrays import Array, Namespace, Stream
from numeric.sampling.setting import Draw, LinearSetting


def dense(setting: LinearSetting, trials: int, stream: Stream, grams: bool = False) -> Draw:
    """Draw the impulse response from whole matrices: exact in law by definition, O(n^2) per trial.

    Shapes: as `Draw`.  Units: as `Draw`.  Error: rounding.  Source: paper, (4), (9), (41).
    """
    n, xp = setting.width, stream.xp
    step = stream.normal(trials, n, n) * math.sqrt(setting.nu_W / n)  # A
    inputs = stream.normal(trials, n, setting.n_x) * math.sqrt(setting.nu_F)  # F
    readout = stream.normal(trials, setting.n_y, n) * math.sqrt(setting.nu_C)  # C
    right = powers(xp, step, inputs, setting.horizon)  # (B, T, n, n_x)
    response = xp.matmul(readout[:, None, :, :], right) / math.sqrt(n)  # (B, T, n_y, n_x)
    if not grams:
        return Draw(response, None, None, "dense")
    left = powers(xp, step.mT, readout.mT, setting.horizon)  # (B, T, n, n_y), the transposes of Q_a
    return Draw(response, gram(xp, right, n), gram(xp, left, n), "dense")


def powers(xp: Namespace, step: Array, block: Array, horizon: int) -> Array:
    """Stack block, A block, ..., A^(T-1) block.

    Shapes: step (B, d, d), block (B, d, m) -> (B, T, d, m).  Units: of block.  Error: rounding.
    Source: paper, (41).
    """
    blocks = [block]
    for _ in range(horizon - 1):
        blocks.append(xp.matmul(step, blocks[-1]))
    return xp.stack(blocks, axis=1)


def gram(xp: Namespace, blocks: Array, width: int) -> Array:
    """Return all inner products of the columns of the blocks, divided by the width.

    Shapes: (B, T, d, m) -> (B, T, m, T, m).  Units: of blocks, squared.  Error: rounding.
    Source: definition.
    """
    trials, horizon, size, count = blocks.shape
    flat = xp.reshape(xp.permute_dims(blocks, (0, 1, 3, 2)), (trials, horizon * count, size))
    return xp.reshape(xp.matmul(flat, flat.mT) / width, (trials, horizon, count, horizon, count))
