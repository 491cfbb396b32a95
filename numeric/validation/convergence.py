"""How far random networks are from their limits, width by width: tangent kernels and laws of states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from wideproof.derive import impulse_response, models
from wideproof.numeric.core.arrays import Host, backend, seed_sequence, stream
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.networks.simulation import simulate
from wideproof.numeric.sampling.linear import LinearSetting, draw, linear_empirical_ntk

Progress = Callable[[int, int], None]
ENTRIES = 10**6
"""Coordinates of the networks drawn at once."""


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

    def measure(width: int) -> ArrayLike:
        setting = LinearSetting(width, horizon, n_x, n_y, nu["nu_W"], nu["nu_F"], nu["nu_C"])
        drawn = draw(setting, trials, stream(xp, seed_sequence(seed, 1, width)), grams=True)
        return _squared_errors(linear_empirical_ntk(drawn, X, X), target)

    found = _means(measure, widths, trials, progress)
    roots = np.sqrt(found.error)
    errors = np.array(found.stderr) / (2.0 * roots)
    return KernelError(found.widths, tuple(map(float, roots)), tuple(map(float, errors)), trials)


def _squared_errors(kernels: Host, target: Host) -> Host:
    """Shapes: (B, N, T, n_y, N, T, n_y), (N, T, n_y, N, T, n_y) -> (B,)."""
    gaps = (kernels - target).reshape(len(kernels), -1)
    return (gaps**2).sum(axis=1) / (target**2).sum()


def row_distance(
    nu: dict[str, float],
    widths: Sequence[int],
    trials: int = 100,
    horizon: int = 6,
    seed: int = 0,
    progress: Progress | None = None,
) -> KernelError:
    """Measure the Wasserstein-2 distance of the states' empirical second moments from their limiting Gaussian.

    The rows of (q_0, ..., q_{T-1}), q_t = n^{-t/2} W^t F, have the empirical second moments R_s^T R_t / n; the distance
    is that of two centred Gaussians.  Shapes: `KernelError`.  Units: of a state.  Error: stderr.
    Source: emami2021implicit, (30)-(32) and Lemma C.1; the limit is wideproof.impulse_response at nu_C = 1.
    """
    xp = backend("numpy")
    variance = impulse_response(models.linear_rnn()).formula.compile("numpy")
    limit = np.diag(variance(j=np.arange(horizon), nu_W=nu["nu_W"], nu_F=nu["nu_F"], nu_C=1.0))

    def measure(width: int) -> ArrayLike:
        setting = LinearSetting(width, horizon, 1, 1, nu["nu_W"], nu["nu_F"], 1.0)
        drawn = draw(setting, trials, stream(xp, seed_sequence(seed, 2, width)), grams=True)
        assert drawn.right is not None
        return [gaussian_distance(gram, limit) for gram in np.asarray(drawn.right)[:, :, 0, :, 0]]

    return _means(measure, widths, trials, progress)


def state_distance(
    nu: dict[str, float],
    widths: Sequence[int],
    trials: int = 100,
    horizon: int = 6,
    seed: int = 0,
    progress: Progress | None = None,
) -> KernelError:
    """Measure the Wasserstein-2 distance of the empirical law of the last state's coordinates from its limit.

    The state is q_{T-1}, the answer of the recursion to one unit input, its coordinates those of one network.
    Shapes: `KernelError`.  Units: of a state.  Error: stderr.
    Source: emami2021implicit, (31) and Lemma C.1; the limit is wideproof.impulse_response at nu_C = 1.
    """
    variance = impulse_response(models.linear_rnn()).formula.compile("numpy")
    limit = float(variance(j=np.array(horizon - 1), nu_W=nu["nu_W"], nu_F=nu["nu_F"], nu_C=1.0))
    impulse = np.eye(horizon)[None, :, :1]

    def measure(width: int) -> ArrayLike:
        found: list[float] = []
        for batch in range(0, trials, most := max(1, ENTRIES // width)):
            source = stream(backend("numpy"), seed_sequence(seed, 3, width, batch))
            run = simulate(models.linear_rnn(), impulse, width, trials=min(most, trials - batch), seed=source,
                           states=True, **dict[str, Any](nu))  # fmt: skip
            found += [normal_distance(state, limit) for state in run.states["h"][:, 0, -1, :]]
        return found

    return _means(measure, widths, trials, progress)


def _means(
    measure: Callable[[int], ArrayLike], widths: Sequence[int], trials: int, progress: Progress | None
) -> KernelError:
    """The mean of what every network of a width gives, with its standard error."""
    means, errors = [], []
    for k, width in enumerate(widths):
        found = np.array(measure(width))
        means.append(float(found.mean()))
        errors.append(float(found.std(ddof=1) / trials**0.5))
        if progress is not None:
            progress(k + 1, len(widths))
    return KernelError(tuple(widths), tuple(means), tuple(errors), trials)


def normal_distance(sample: Host, variance: float) -> float:
    """Return the Wasserstein-2 distance of the empirical law of a sample from a centred normal law.

    Shapes: (n,) -> scalar.  Units: of the sample.  Error: rounding.
    Source: bobkov2019onedimensional, section 2: on the line the coupling by order is optimal; its integral is closed.
    """
    n = len(sample)
    heights = np.exp(-0.5 * special.ndtri(np.arange(n + 1) / n) ** 2) / (2.0 * np.pi) ** 0.5
    overlap = float(np.sort(sample) @ (heights[:-1] - heights[1:]))
    square = float(np.mean(sample**2)) + variance - 2.0 * variance**0.5 * overlap
    return max(square, 0.0) ** 0.5


def gaussian_distance(first: Host, second: Host) -> float:
    """Return the Wasserstein-2 distance of two centred Gaussian laws.

    Shapes: (T, T), (T, T) -> scalar.  Units: of the variables.  Error: rounding.  Source: emami2021implicit, (32).
    """
    root = _root(first)
    cross = _root(root @ second @ root)
    return float(max(np.trace(first) + np.trace(second) - 2 * np.trace(cross), 0.0) ** 0.5)


def _root(matrix: Host) -> Host:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
