"""Kernels drawn: against the correlation of two inputs, against the lag of a changed input, and their error in n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wideproof.derive import Program
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.numeric.core.arrays import Host, seed_sequence, to_host
from wideproof.numeric.core.checks import Check
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.networks.empirical_kernels import empirical_ntk
from wideproof.numeric.networks.narrow_width import quiet_widths
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Arrays, Tasks
from wideproof.numeric.validation.convergence import KernelError
from wideproof.numeric.validation.kernels.claims import judge_kernels
from wideproof.numeric.validation.kernels.runner import KernelMeasurements

CORRELATIONS = tuple(np.linspace(-1.0, 1.0, 9))
QUANTITIES = ("nngp", "ntk")
BATCH = 20
HORIZON, TRIALS = 6, 60
"""Steps of the sequences of curves; networks of each width whose distance from the limit is measured."""
"""Networks of one piece of the curves."""


@dataclass(frozen=True)
class Curve:
    """A limit on a grid with measured points on the same grid.

    Shapes: all (P,).  Units: relative.  Error: stderr of the points.  Source: `kernel_curves`.
    """

    x: tuple[float, ...]
    limit: Host
    measured: Host
    stderr: Host


@dataclass(frozen=True)
class KernelCurves:
    """Both kernels of the last output, by quantity, relative to the limit K(x, x).

    `correlation`: K(x, x') for inputs x'_t of the same length with cosine c to x_t at every step; `lag`: the change
    K(x, x) - K(x, x') where only the input that many steps ago is replaced by an orthogonal one.
    Shapes: as `Curve`.  Units: 1.  Error: as `Curve`.  Source: `kernel_curves`.
    """

    width: int
    trials: int
    horizon: int
    correlation: Mapping[str, Curve]
    lag: Mapping[str, Curve]


def kernel_curves(
    program: Program,
    values: Mapping[str, float],
    width: int = 512,
    trials: int = 200,
    seed: int = 0,
    progress: Progress | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> KernelCurves:
    """Evaluate both kernels on two families of sequences, in the limit and on random networks.

    Shapes: `KernelCurves`.  Units: 1.  Error: stderr; the points keep their O(1/width) bias.
    Source: wideproof.nngp, wideproof.ntk; wideproof.adjoint.
    """
    X = families(HORIZON, np.random.default_rng(seed_sequence(seed, 2)))
    kernel = Kernel(program, readout="last", **dict[str, Any](values))
    limits = {name: to_host(getattr(kernel, name)(X[:1], X))[0] for name in QUANTITIES}
    drawn = _rows(program, X, values, width, trials, seed, progress, tasks)
    cut = 1 + len(CORRELATIONS)
    correlation, lag = {}, {}
    for name in QUANTITIES:
        limit, rows = limits[name] / limits[name][0], drawn[name] / limits[name][0]
        correlation[name] = _curve(CORRELATIONS, limit[1:cut], rows[:, 1:cut])
        lag[name] = _curve(range(HORIZON), limit[0] - limit[cut:], rows[:, :1] - rows[:, cut:])
    return KernelCurves(width, trials, HORIZON, correlation, lag)


def families(horizon: int, generator: np.random.Generator) -> Host:
    """Return a sequence of unit vectors, then its correlated copies, then its copies changed at one lag.

    Shapes: -> (1 + correlations + horizon, horizon, 2).  Units: of inputs.  Source: definition.
    """
    angle = generator.uniform(0, 2 * np.pi, horizon)
    x, w = (np.stack([np.cos(a), np.sin(a)], axis=-1) for a in (angle, angle + np.pi / 2))
    turned = [c * x + np.sqrt(max(1 - c * c, 0.0)) * w for c in CORRELATIONS]
    changed = [np.where((np.arange(horizon) == horizon - 1 - lag)[:, None], w, x) for lag in range(horizon)]
    return np.array([x, *turned, *changed])


def _rows(
    program: Program, X: Host, values: Mapping[str, float], width: int, trials: int, seed: int,
    progress: Progress | None, tasks: Tasks,
) -> dict[str, Host]:  # fmt: skip
    """The first row of both kernels, network by network.  Shapes: (trials, N)."""
    common = {"program": program_data(program), "X": X.tolist(), "values": dict(values), "width": width}
    plans = [
        common | {"trials": min(BATCH, trials - done), "seed": int(seed_sequence(seed, 3, done).generate_state(1)[0])}
        for done in range(0, trials, BATCH)
    ]
    parts = tasks.results(kernel_rows, plans, progress)
    return {name: np.concatenate([part[name] for part in parts]) for name in QUANTITIES}


def kernel_rows(plan: dict[str, Any]) -> Arrays:
    """Return the first row of both kernels of the last output, network by network.

    Shapes: nngp, ntk (trials, N).  Units: output^2.  Error: rounding.  Source: wideproof.adjoint.
    """
    program, X, trials = program_of(plan["program"]), np.asarray(plan["X"]), plan["trials"]
    values = plan["values"]
    with quiet_widths():
        made = empirical_ntk(program, X, plan["width"], readout="last", trials=trials, seed=plan["seed"], **values)
    y = to_host(made.outputs)[:, :, -1, 0]
    given = y[:, :1] * y if made.given_states is None else to_host(made.given_states)[:, 0, 0, :, 0]
    return {"nngp": given, "ntk": to_host(made.total)[:, 0, 0, :, 0]}


def _curve(x: Sequence[float], limit: Host, rows: Host) -> Curve:
    stderr = rows.std(axis=0, ddof=1) / len(rows) ** 0.5
    return Curve(tuple(float(at) for at in x), limit, rows.mean(axis=0), stderr)


def kernel_distance(
    program: Program,
    values: Mapping[str, float],
    inputs: Host,
    widths: Sequence[int],
    seed: int = 0,
    progress: Progress | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> KernelError:
    """Measure |K_n - K| / |K| of the tangent kernel of single networks, root mean square, at each width.

    Shapes: inputs (N, T, n_x) -> `KernelError`.  Units: 1.  Error: stderr, by the delta method.  Source: definition.
    """
    limit = to_host(Kernel(program, **dict[str, Any](values)).ntk(inputs))
    common = {"program": program_data(program), "X": np.asarray(inputs).tolist(), "limit": limit.tolist(),
              "values": dict(values), "trials": TRIALS}  # fmt: skip
    plans = [common | {"width": width, "seed": int(seed_sequence(seed, 4, width).generate_state(1)[0])}
             for width in widths]  # fmt: skip
    drawn = [part["squares"] for part in tasks.results(kernel_distances, plans, progress)]
    means = tuple(float(squares.mean() ** 0.5) for squares in drawn)
    errors = tuple(float(x.std(ddof=1) / TRIALS**0.5 / (2 * root)) for x, root in zip(drawn, means, strict=True))
    return KernelError(tuple(widths), means, errors, TRIALS)


def kernel_distances(plan: dict[str, Any]) -> Arrays:
    """Return the squared relative distance of the tangent kernel of every network of one width from its limit.

    Shapes: squares (trials,).  Units: 1.  Error: rounding.  Source: definition.
    """
    program, X, limit = program_of(plan["program"]), np.asarray(plan["X"]), np.asarray(plan["limit"])
    with quiet_widths():
        found = empirical_ntk(program, X, plan["width"], trials=plan["trials"], seed=plan["seed"], **plan["values"])
    gaps = to_host(found.total)[:, :, :, 0, :, :, 0] - limit
    return {"squares": np.sum(gaps**2, axis=(1, 2, 3, 4)) / np.sum(limit**2)}


@dataclass(frozen=True)
class LimitComparison:
    """The tied limit and another one, each judged on the same networks.

    Shapes: checks (m,) each, entry by entry in one order.  Units: output^2.  Error: as `Check`.  Source: `compare`.
    """

    truth: tuple[Check, ...]
    other: tuple[Check, ...]

    def apart(self, tolerance: float = 1e-9) -> tuple[tuple[Check, Check], ...]:
        """Return the entries where the two limits differ by more than a part of the largest entry of the kernel."""
        scale = {q: max(abs(c.prediction) for c in self.truth if c.quantity == q) for q in QUANTITIES}
        pairs = zip(self.truth, self.other, strict=True)
        return tuple((a, b) for a, b in pairs if abs(a.prediction - b.prediction) > tolerance * scale[a.quantity])


def compare_limits(found: KernelMeasurements, truth: tuple[Check, ...], other: Program) -> LimitComparison:
    """Judge the limit of another recursion in the same symbols on networks already measured.

    Shapes: `LimitComparison`.  Units: output^2.  Error: as `judge_kernels`.  Source: `judge_kernels`.
    """
    limits = Kernel(other, **dict[str, Any](found.plan.values))
    return LimitComparison(truth, judge_kernels(found, limits))
