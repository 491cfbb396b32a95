"""Theorem 4.1 measured: the movement of every lag of RNN and convolution beside the derived bound and trajectory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from wideproof.derive import models, training_bound
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.quadratic_loss import (
    Quadratic,
    largest_stable_step,
    loss,
    to_impulse,
    to_taps,
    weights,
)
from wideproof.numeric.linear_rnn.subspace import RandomRNN
from wideproof.numeric.linear_rnn.training import impulse_of, train
from wideproof.numeric.linear_rnn.training_choice import Announce, choose_network
from wideproof.numeric.paper.experiments.scale_factors import scale_of_lags
from wideproof.numeric.paper.experiments.training_dynamics import Setting, fit_rate, teacher_data
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Arrays, Tasks

Curve = tuple[float, ...]
HALF = 0.5


@dataclass(frozen=True)
class Constants:
    """The norms that the theorem's constants are made of, for one data set and one start.

    Shapes: norm_j (T,).  Units: of the data operator and of the outputs; count turns a step for half the sum of
    squares into one for their mean: times count/2 (E12).
    """

    norm: float
    norm_j: Curve
    residual: float
    targets: float
    count: int


@dataclass(frozen=True)
class Movement:
    """How far each lag moved at each recorded step, of one network, and the most that the theorem allows.

    Shapes: moved and bound (T, k) for k recorded steps.  width 0 is the scaled convolution.
    """

    width: int
    moved: tuple[Curve, ...]
    bound: tuple[Curve, ...]


@dataclass(frozen=True)
class BoundRun:
    """Theorem 4.1 on one data set: ratios of movement to bound, at most 1 for the convolution, in the limit for RNNs.

    Shapes: ratios[width][seed] is the largest ratio over all lags and recorded steps; movements has the convolution
    and then one network per width.  exactness is the largest difference between training and the closed trajectory,
    relative to the largest movement of each lag.  Units: step sizes are for the mean of squares.
    """

    setting: Setting
    seeds: int
    steps: tuple[int, ...]
    widths: tuple[int, ...]
    rho: Curve
    step_size: float
    stable_step: float
    expected_residual: float
    residuals: Curve
    ratios: tuple[Curve, ...]
    convolution_ratio: float
    exactness: float
    movements: tuple[Movement, ...]


@dataclass(frozen=True)
class LearningSteps:
    """Steps until half of each lag's way is made, by the exact trajectory, and the least that the bound allows.

    slope is that of log steps against log 1/rho_j: 1 where steps are inversely proportional to the scale factor.
    Shapes: (T,) each.
    """

    rho: Curve
    steps: tuple[int, ...]
    least: Curve
    slope: float
    slope_stderr: float


@lru_cache(maxsize=1)
def emitted() -> dict[str, Callable[..., Any]]:
    """The formulas of Theorem 4.1 for the linear RNN, as `derive` emits them for NumPy."""
    derived = training_bound(models.linear_rnn())
    formulas = {
        "bound": derived.formula,
        "step_size": derived.step_size,
        "gain": derived.trajectory.formula,
        "start": derived.start.formula,
        "steps": derived.steps.formula,
    }
    return {name: formula.compile("numpy") for name, formula in formulas.items()}


def constants(data: Quadratic, taps: Host) -> Constants:
    """Norms of the data operator, of its blocks, of the outputs and of the error at the start.

    Shapes: taps (T n_x, n_y).  Error: rounding.  Source: emami2021implicit, (62)-(64).
    """
    blocks = np.reshape(np.asarray(data.sxx), (data.lags, data.n_x, data.lags, data.n_x))
    largest = [float(np.linalg.eigvalsh(blocks[j, :, j, :])[-1]) for j in range(data.lags)]
    norm = float(np.linalg.eigvalsh(np.asarray(data.sxx))[-1])
    residual = max(float(loss(data, taps)) * data.count, 0.0)
    return Constants(norm**0.5, tuple(x**0.5 for x in largest), residual**0.5, data.syy**0.5, data.count)


def exact_movement(data: Quadratic, rho: Host, taps: Host, step_size: float, steps: Sequence[int]) -> Host:
    """L^l - L^0 of gradient descent on the scaled convolution, by the derived closed form: no step is taken.

    Shapes: rho (T,), taps (T n_x, n_y) -> (k, T n_x, n_y) for k numbers of steps.
    Units: step_size is for the mean of squares.  Error: rounding.  Source: wideproof.training_bound, trajectory.
    """
    root = np.asarray(weights(data, rho)) ** 0.5  # (P, 1)
    sigma, vectors = np.linalg.eigh(root * np.asarray(data.sxx) * root.T)
    slope = vectors.T @ (root * (np.asarray(data.sxy) - np.asarray(data.sxx) @ taps))  # (P, n_y)
    gain = emitted()["gain"](
        l=np.asarray(steps)[:, None], eta=2.0 * step_size / data.count, sigma=np.maximum(sigma, 0.0)
    )  # (k, P)
    return np.asarray(root * (vectors @ (gain[:, :, None] * slope)))


def movement_bound(data: Quadratic, found: Constants, step_size: float, steps: Sequence[int], **nu: float) -> Host:
    """The most that each lag can move in l steps.  Shapes: -> (T, k).  Source: wideproof.training_bound."""
    lags = np.arange(data.lags)
    return np.asarray(
        emitted()["bound"](
            j=lags[:, None],
            l=np.asarray(steps),
            norm_j=np.asarray(found.norm_j)[:, None],
            residual=found.residual,
            eta=2.0 * step_size / data.count,
            **nu,
        )
    )


def largest_step(data: Quadratic, found: Constants, **nu: float) -> float:
    """B_1 in the units of a mean of squares.  Source: wideproof.training_bound, step_size, and erratum E12."""
    inputs = {name: nu[name] for name in ("nu_C", "nu_F")}
    return float(emitted()["step_size"](T=data.lags, norm=found.norm, **inputs)) * data.count / 2.0


def measure_bound(
    setting: Setting | None = None,
    *,
    widths: Sequence[int] = (10**2, 10**3, 10**4, 10**6),
    seeds: int = 4,
    records: int = 12,
    announce: Announce | None = None,
    progress: Callable[[int, int], None] | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> BoundRun:
    """Train RNNs of several widths and their convolutions at the step size B_1, and compare every lag with the bound.

    Networks are sampled in law; `tasks` keep each pair and say who trains.
    Errors: ParameterError for no width, no seed, or fewer than two records.
    Source: emami2021implicit, Theorem 4.1 and (25), with errata E4, E5, E12.
    """
    setting = Setting(steps=60) if setting is None else setting
    if not widths or seeds < 1 or not 2 <= records <= setting.steps:
        got = (tuple(widths), seeds, records)
        raise ParameterError("measure_bound", "a width, a seed, and 2 <= records <= steps", got, "Ask for more.")
    nu: dict[str, Any] = {"nu_W": setting.nu_W, "nu_F": setting.nu_F, "nu_C": setting.nu_C}
    data, _, _ = teacher_data(setting)
    rho = scale_of_lags(setting.horizon, **nu)
    steps = tuple(int(x) for x in np.unique(np.geomspace(1, setting.steps, records).astype(int)))
    found = constants(data, np.zeros_like(np.asarray(data.sxy)))
    step = largest_step(data, found, **nu)
    if announce is not None:
        announce(choose_network(max(widths), data, steps[-1], method="sampled").times(len(widths) * seeds))
    common = {"setting": asdict(setting), "rho": rho.tolist(), "steps": list(steps), "step": step}
    plans = [common | {"width": width, "seed": seed} for width in widths for seed in range(seeds)]
    pairs = tasks.results(bounded_pair, plans, progress)
    ratios = np.array([pair["ratio"] for pair in pairs]).reshape(len(widths), seeds)
    expected = emitted()["start"](
        T=data.lags,
        n_x=data.n_x,
        n_y=data.n_y,
        norm=found.norm,
        targets=found.targets,
        nu_C=setting.nu_C,
        nu_F=setting.nu_F,
    )
    return BoundRun(
        setting, seeds, steps, tuple(widths), _curve(rho), step, largest_stable_step(data, rho), float(expected),
        tuple(float(pair["residual"]) for pair in pairs), tuple(map(_curve, ratios)),
        max(float(pair["convolution_ratio"]) for pair in pairs), max(float(pair["exactness"]) for pair in pairs),
        (_movement(0, pairs[-seeds], 1),
         *(_movement(width, pair, 0) for width, pair in zip(widths, pairs[::seeds], strict=True))),
    )  # fmt: skip


def learning_steps(setting: Setting | None = None) -> LearningSteps:
    """Count the steps until each lag has made half its way, on white inputs of unit variance without noise.

    The exact trajectory of the convolution is evaluated, from zero, at the step size B_1; no step is taken.
    Source: emami2021implicit, section 4; wideproof.training_bound, steps.
    """
    setting = Setting() if setting is None else setting
    nu: dict[str, Any] = {"nu_W": setting.nu_W, "nu_F": setting.nu_F, "nu_C": setting.nu_C}
    data = _white(setting)
    rho, start = scale_of_lags(setting.horizon, **nu), np.zeros((data.lags * data.n_x, data.n_y))
    found = constants(data, start)
    step = largest_step(data, found, **nu)
    goal = np.linalg.norm(to_impulse(np.asarray(data.sxy) / data.count, data.lags), axis=(1, 2))
    counts = [_halfway(data, rho, start, step, lag, float(goal[lag])) for lag in range(data.lags)]
    lags = np.arange(data.lags)
    least = emitted()["steps"](
        j=lags,
        T=data.lags,
        distance=HALF * goal,
        norm_j=np.asarray(found.norm_j),
        residual=found.residual,
        eta=2.0 * step / data.count,
        **nu,
    )
    slope, stderr, _ = fit_rate(1.0 / rho, np.asarray(counts, dtype=float))
    return LearningSteps(_curve(rho), tuple(counts), _curve(least), slope, stderr)


def _white(setting: Setting) -> Quadratic:
    """Inputs whose Gram is exactly the identity times the count, and targets that need every lag alike."""
    size = setting.horizon * setting.n_x
    taps = np.ones((size, setting.n_y))
    count = size * setting.n_y
    return Quadratic(count * np.eye(size), count * taps, float(count * np.sum(taps * taps)), count, setting.horizon)


def _halfway(data: Quadratic, rho: Host, start: Host, step: float, lag: int, goal: float) -> int:
    """The first number of steps after which a lag has moved half of its way, by bisection."""

    def far(steps: int) -> bool:
        moved = to_impulse(exact_movement(data, rho, start, step, [steps])[0], data.lags)[lag]
        return float(np.linalg.norm(moved)) >= HALF * goal

    high = 1
    while not far(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if far(middle) else (middle, high)
    return high


def bounded_pair(plan: dict[str, Any]) -> Arrays:
    """Return how far each lag of a network and of its convolution moves, and the most that the theorem allows.

    Shapes: moved (2, T, k) of network and convolution at k recorded steps; bound (T, k); residual, ratio,
    convolution_ratio, exactness ().  Units: of the impulse response.  Error: rounding.  Source: `measure_bound`.
    """
    setting, rho, steps, step = Setting(**plan["setting"]), np.asarray(plan["rho"]), plan["steps"], plan["step"]
    nu: dict[str, Any] = {"nu_W": setting.nu_W, "nu_F": setting.nu_F, "nu_C": setting.nu_C}
    data, _, _ = teacher_data(setting)
    network = RandomRNN(plan["width"], setting.n_x, setting.n_y, **nu, seed=plan["seed"])
    start = np.asarray(impulse_of(network, data.lags))
    taps = np.asarray(to_taps(start))
    found = constants(data, taps)
    bound = movement_bound(data, found, step, steps, **nu)
    moved = np.stack([_moved(model, data, start, step, steps) for model in (network, matched(start, rho))])
    exact = exact_movement(data, rho, taps, step, steps)
    closed = np.stack([_lengths(np.asarray(to_impulse(x, data.lags))) for x in exact], axis=1)
    error = np.max(np.abs(closed - moved[1]) / moved[1].max(axis=1, keepdims=True))
    ratio, convolution = (np.max(x / bound) for x in moved)
    return {"moved": moved, "bound": bound, "residual": np.array(found.residual), "ratio": ratio,
            "convolution_ratio": convolution, "exactness": error}  # fmt: skip


def _moved(model: Any, data: Quadratic, start: Host, step: float, steps: Sequence[int]) -> Host:
    """How far each lag is from its start at the recorded steps.  Shapes: -> (T, k)."""
    result = train(model, data, steps=steps[-1], step_size=step, record=steps)
    return np.stack([_lengths(np.asarray(x) - start) for x in result.impulses], axis=1)


def _lengths(impulse: Host) -> Host:
    return np.asarray(np.linalg.norm(impulse, axis=(1, 2)))


def _movement(width: int, pair: Arrays, which: int) -> Movement:
    return Movement(width, tuple(map(_curve, pair["moved"][which])), tuple(map(_curve, pair["bound"])))


def _curve(values: Host) -> Curve:
    return tuple(float(v) for v in values)
