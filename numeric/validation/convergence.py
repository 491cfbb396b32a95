"""How far random networks are from their limits, width by width: tangent kernels and laws of states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from wideproof.derive import impulse_response, models
from wideproof.numeric.core.arrays import Host, backend, seed_sequence, stream
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.networks.narrow_width import quiet_widths
from wideproof.numeric.networks.simulation import simulate
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Arrays, Tasks, Work
from wideproof.numeric.sampling.linear import LinearSetting, draw, linear_empirical_ntk

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
    seed: int = 0,
    progress: Progress | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> KernelError:
    """Measure |K_n - K| / |K| for white input sequences on every output at every time.

    Shapes: `KernelError`.  Units: 1.  Error: stderr.  Source: emami2021implicit, (15) and Theorem 3.3(b).
    """
    sizes = {"trials": trials, "horizon": 8, "sequences": 3, "n_x": 2, "n_y": 2}
    found = _means(kernel_errors, sizes | {"nu": dict(nu), "seed": seed}, widths, progress, tasks)
    roots = np.sqrt(found.error)
    errors = np.array(found.stderr) / (2.0 * roots)
    return KernelError(found.widths, tuple(map(float, roots)), tuple(map(float, errors)), trials)


def kernel_errors(plan: dict[str, Any]) -> Arrays:
    """Return the squared relative error of the kernel of every network of one width.

    Shapes: found (trials,).  Units: 1.  Error: rounding.  Source: `kernel_error`.
    """
    xp, nu, seed, width = backend("numpy"), plan["nu"], plan["seed"], plan["width"]
    horizon, n_x, n_y = plan["horizon"], plan["n_x"], plan["n_y"]
    X = stream(xp, seed_sequence(seed, 0)).normal(plan["sequences"], horizon, n_x)
    limit = Kernel(models.linear_rnn(), "entries", "numpy", **nu).ntk(X, X)  # (N, T, N, T)
    setting = LinearSetting(width, horizon, n_x, n_y, nu["nu_W"], nu["nu_F"], nu["nu_C"])
    drawn = draw(setting, plan["trials"], stream(xp, seed_sequence(seed, 1, width)), grams=True)
    target = np.einsum("atbs,ij->atibsj", limit, np.eye(n_y))
    return {"found": _squared_errors(linear_empirical_ntk(drawn, X, X), target)}


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
    tasks: Tasks = NOTHING_KEPT,
) -> KernelError:
    """Measure the Wasserstein-2 distance of the states' empirical second moments from their limiting Gaussian.

    The rows of (q_0, ..., q_{T-1}), q_t = n^{-t/2} W^t F, have the empirical second moments R_s^T R_t / n; the distance
    is that of two centred Gaussians.  Shapes: `KernelError`.  Units: of a state.  Error: stderr.
    Source: emami2021implicit, (30)-(32) and Lemma C.1; the limit is wideproof.impulse_response at nu_C = 1.
    """
    plan = {"nu": dict(nu), "trials": trials, "horizon": horizon, "seed": seed}
    return _means(row_distances, plan, widths, progress, tasks)


def row_distances(plan: dict[str, Any]) -> Arrays:
    """Return the distance of every network of one width.

    Shapes: found (trials,).  Units: of a state.  Error: rounding.  Source: `row_distance`.
    """
    nu, horizon, width = plan["nu"], plan["horizon"], plan["width"]
    variance = impulse_response(models.linear_rnn()).formula.compile("numpy")
    limit = np.diag(variance(j=np.arange(horizon), nu_W=nu["nu_W"], nu_F=nu["nu_F"], nu_C=1.0))
    setting = LinearSetting(width, horizon, 1, 1, nu["nu_W"], nu["nu_F"], 1.0)
    source = stream(backend("numpy"), seed_sequence(plan["seed"], 2, width))
    drawn = draw(setting, plan["trials"], source, grams=True)
    assert drawn.right is not None
    return {"found": np.array([gaussian_distance(x, limit) for x in np.asarray(drawn.right)[:, :, 0, :, 0]])}


def state_distance(
    nu: dict[str, float],
    widths: Sequence[int],
    trials: int = 100,
    horizon: int = 6,
    seed: int = 0,
    progress: Progress | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> KernelError:
    """Measure the Wasserstein-2 distance of the empirical law of the last state's coordinates from its limit.

    The state is q_{T-1}, the answer of the recursion to one unit input, its coordinates those of one network.
    Shapes: `KernelError`.  Units: of a state.  Error: stderr.
    Source: emami2021implicit, (31) and Lemma C.1; the limit is wideproof.impulse_response at nu_C = 1.
    """
    plan = {"nu": dict(nu), "trials": trials, "horizon": horizon, "seed": seed}
    return _means(state_distances, plan, widths, progress, tasks)


def state_distances(plan: dict[str, Any]) -> Arrays:
    """Return the distance of every network of one width.

    Shapes: found (trials,).  Units: of a state.  Error: rounding.  Source: `state_distance`.
    """
    nu, horizon, width, trials = plan["nu"], plan["horizon"], plan["width"], plan["trials"]
    variance = impulse_response(models.linear_rnn()).formula.compile("numpy")
    limit = float(variance(j=np.array(horizon - 1), nu_W=nu["nu_W"], nu_F=nu["nu_F"], nu_C=1.0))
    impulse = np.eye(horizon)[None, :, :1]
    found: list[float] = []
    for batch in range(0, trials, most := max(1, ENTRIES // width)):
        source = stream(backend("numpy"), seed_sequence(plan["seed"], 3, width, batch))
        with quiet_widths():
            run = simulate(models.linear_rnn(), impulse, width, trials=min(most, trials - batch), seed=source,
                           states=True, **nu)  # fmt: skip
        found += [normal_distance(state, limit) for state in run.states["h"][:, 0, -1, :]]
    return {"found": np.array(found)}


def _means(
    work: Work, plan: dict[str, Any], widths: Sequence[int], progress: Progress | None, tasks: Tasks
) -> KernelError:
    """The mean of what every network of a width gives, with its standard error."""
    drawn = [x["found"] for x in tasks.results(work, [plan | {"width": int(n)} for n in widths], progress)]
    means = tuple(float(found.mean()) for found in drawn)
    errors = tuple(float(found.std(ddof=1) / len(found) ** 0.5) for found in drawn)
    return KernelError(tuple(widths), means, errors, plan["trials"])


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
