"""§ 5.2 on a recording: RNN, scaled and unscaled convolution, with full and with limited training data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numeric.arrays import Host
from numeric.convolution import matched
from numeric.data import apply_filter
from numeric.experiments.bootstrap import Scores, score
from numeric.experiments.protocol import FULL, LIMITED, Parts, Protocol, prepare
from numeric.experiments.scale import Scale, scale_of_lags
from numeric.krylov import draw_rnn, impulse_response
from numeric.recordings import Recording
from numeric.training import Model, Training, train

RNN, SCALED, UNSCALED = "linear RNN", "scaled convolution", "unscaled convolution"
MATCHED, ZERO = "matched", "zero"
CONTRASTS = ((SCALED, UNSCALED, MATCHED), (SCALED, UNSCALED, ZERO), (RNN, SCALED, MATCHED))
Values = tuple[float, ...]


@dataclass(frozen=True)
class Score:
    """Test R² per output, the mean over seeds, at the steps that validation chose (one count per seed).

    stderr joins the moving-block bootstrap over the test part and, with two seeds or more, the spread over
    seeds; what another training part would have given is not in it. curve_r2[k] is the R² per output after
    curve_steps[k] steps with the first seed (Fig. 4).
    """

    model: str
    start: str
    r2: Values
    stderr: Values
    best_steps: tuple[int, ...]
    step_sizes: Values
    curve_steps: tuple[int, ...]
    curve_r2: tuple[Values, ...]


@dataclass(frozen=True)
class Contrast:
    """R² of `first` minus R² of `second` per output, paired in test blocks and seeds."""

    first: str
    second: str
    start: str
    difference: Values
    stderr: Values


@dataclass(frozen=True)
class Regime:
    """All models on one amount of training data; block is the bootstrap's block length in samples."""

    name: str
    training_samples: int
    test_samples: int
    block: int
    scores: tuple[Score, ...]
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Comparison:
    """The answer of one recording to the paper's question whether the bias helps with little data."""

    recording: str
    citation: str
    samples: int
    rate: float | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    protocol: Protocol
    regimes: tuple[Regime, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class _Run:
    model: str
    start: str
    training: Training
    prediction: Host


def compare(
    recording: Recording,
    protocol: Protocol | None = None,
    *,
    scale: Scale | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Train the three models on full and on limited data, and score them on the same test part.

    Convolutions start twice: matched to the RNN's initial response, whose random draw an undetermined lag
    keeps, and at zero, where early stopping alone can regularise. `seed` is the bootstrap's.
    Errors: ParameterError for parts too short or constant, or a step that diverges.
    Source: emami2021implicit §5.2, Table 1 and Fig. 4.
    """
    protocol = Protocol() if protocol is None else protocol
    began = time.perf_counter()
    rho = scale_of_lags(
        protocol.lags, nu_W=protocol.nu_W, nu_F=protocol.nu_F, nu_C=protocol.nu_C, scale=scale
    )
    regimes = []
    for k, name in enumerate((FULL, LIMITED)):
        parts = prepare(recording, protocol, name)
        regimes.append(_regime(parts, protocol, rho, np.random.default_rng([seed, k])))
        if progress is not None:
            progress(k + 1, 2)
    return Comparison(
        recording.name, recording.citation, recording.samples, recording.rate,
        recording.input_names, recording.output_names, protocol, tuple(regimes), time.perf_counter() - began,
    )  # fmt: skip


def _regime(parts: Parts, protocol: Protocol, rho: Host, rng: np.random.Generator) -> Regime:
    steps = record_steps(protocol.steps)
    runs = [
        _run(model, start, at, parts, protocol.steps, steps)
        for model, start, at in _starting_points(parts, protocol, rho)
    ]
    stacked = np.stack([run.prediction for run in runs])  # (M, N, n_y)
    scores = score(parts.y_test, stacked, rng=rng, replicates=protocol.replicates)
    groups: dict[tuple[str, str], list[int]] = {}
    for k, run in enumerate(runs):
        groups.setdefault((run.model, run.start), []).append(k)
    return Regime(
        parts.regime, parts.samples, len(parts.y_test), scores.block,
        tuple(_score([runs[k] for k in own], scores, own, parts) for own in groups.values()),
        tuple(
            Contrast(a, b, start, *_combine(
                scores.r2[groups[a, start]] - scores.r2[groups[b, start]],
                scores.replicates[:, groups[a, start]] - scores.replicates[:, groups[b, start]],
            ))
            for a, b, start in CONTRASTS
        ),
    )  # fmt: skip


def _starting_points(parts: Parts, protocol: Protocol, rho: Host) -> list[tuple[str, str, Model]]:
    data, points = parts.training, list[tuple[str, str, Model]]()
    for seed in protocol.seeds:
        nu = {"nu_W": protocol.nu_W, "nu_F": protocol.nu_F, "nu_C": protocol.nu_C}
        rnn = draw_rnn(protocol.width, data.n_x, data.n_y, **nu, rng=np.random.default_rng(seed))
        impulse = impulse_response(rnn, protocol.lags)
        points += [
            (RNN, MATCHED, rnn),
            (SCALED, MATCHED, matched(impulse, rho)),
            (UNSCALED, MATCHED, matched(impulse)),
        ]
    zero = np.zeros((protocol.lags, data.n_y, data.n_x))
    return [*points, (SCALED, ZERO, matched(zero, rho)), (UNSCALED, ZERO, matched(zero))]


def _run(name: str, start: str, model: Model, parts: Parts, steps: int, record: tuple[int, ...]) -> _Run:
    result = train(model, parts.training, parts.validation, steps=steps, record=record)
    return _Run(name, start, result, apply_filter(result.best_impulse, parts.x_test))


def _score(runs: list[_Run], scores: Scores, own: list[int], parts: Parts) -> Score:
    r2, stderr = _combine(scores.r2[own], scores.replicates[:, own])
    first, centred = runs[0].training, parts.y_test - parts.y_test.mean(axis=0)
    curve = []
    for impulse in first.impulses:
        error = parts.y_test - apply_filter(impulse, parts.x_test)
        curve.append(_values(1.0 - (error**2).sum(axis=0) / (centred**2).sum(axis=0)))
    return Score(
        runs[0].model, runs[0].start, r2, stderr,
        tuple(run.training.best_step for run in runs), tuple(run.training.step_size for run in runs),
        first.recorded, tuple(curve),
    )  # fmt: skip


def _combine(values: Host, replicates: Host) -> tuple[Values, Values]:
    """The mean over seeds, and its error from test blocks and seeds.  Shapes: (K, n_y), (B, K, n_y)."""
    variance = replicates.mean(axis=1).var(axis=0, ddof=1)  # (n_y,)
    if len(values) > 1:
        variance = variance + values.var(axis=0, ddof=1) / len(values)
    return _values(values.mean(axis=0)), _values(variance**0.5)


def record_steps(steps: int, points: int = 25) -> tuple[int, ...]:
    """About `points` steps from 0 to `steps`, evenly spaced in the logarithm."""
    return tuple(sorted({0, *(int(k) for k in np.round(np.geomspace(1, steps, points)))}))


def _values(array: Host) -> Values:
    return tuple(float(v) for v in array)
