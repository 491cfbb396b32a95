"""How far the empirical tangent kernel of random networks is from its limit, width by width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from derive import models
from numeric.arrays import Host, backend, seed_sequence, stream
from numeric.kernels import Kernel
from numeric.sampling import LinearSetting, draw, empirical_ntk

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class KernelError:
    """The relative Frobenius error of the empirical kernel, root mean square over networks, at each width.

    Shapes: widths, error, stderr (K,).  Units: 1.  Error: stderr, by the delta method.  Source: definition.
    """

    widths: tuple[int, ...]
    error: tuple[float, ...]
    stderr: tuple[float, ...]
    trials: int


def kernel_error(
    nu: dict[str, float],
    widths: Sequence[int],
    trials: int = 100,
    horizon: int = 8,
    sequences: int = 3,
    n_x: int = 2,
    n_y: int = 2,
    seed: int = 0,
    progress: Progress | None = None,
) -> KernelError:
    """Measure |K_n - K| / |K| for white input sequences on every output at every time.

    Shapes: `KernelError`.  Units: 1.  Error: stderr.  Source: emami2021implicit, (15) and Theorem 3.3(b).
    """
    xp = backend("numpy")
    X = stream(xp, seed_sequence(seed, 0)).normal(sequences, horizon, n_x)
    limit = Kernel(models.linear_rnn(), "entries", "numpy", **nu).ntk(X, X)  # (N, T, N, T)
    target = np.einsum("atbs,ij->atibsj", limit, np.eye(n_y))
    means, errors = [], []
    for k, width in enumerate(widths):
        setting = LinearSetting(width, horizon, n_x, n_y, nu["nu_W"], nu["nu_F"], nu["nu_C"])
        drawn = draw(setting, trials, stream(xp, seed_sequence(seed, 1, width)), grams=True)
        squares = _squared_errors(empirical_ntk(drawn, X, X), target)
        root = float(squares.mean() ** 0.5)
        means.append(root)
        errors.append(float(squares.std(ddof=1) / trials**0.5 / (2 * root)))
        if progress is not None:
            progress(k + 1, len(widths))
    return KernelError(tuple(widths), tuple(means), tuple(errors), trials)


def _squared_errors(kernels: Host, target: Host) -> Host:
    """Shapes: (B, N, T, n_y, N, T, n_y), (N, T, n_y, N, T, n_y) -> (B,)."""
    gaps = (kernels - target).reshape(len(kernels), -1)
    return (gaps**2).sum(axis=1) / (target**2).sum()
