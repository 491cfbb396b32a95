"""§ 5.2 on a recording: RNN, scaled and unscaled convolution, with full and with limited training data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.linear_rnn.training_choice import Announce, MethodChoice, choose_exact, solving
from wideproof.numeric.paper.experiments.bias_verdicts import (
    JudgedDifferences,
    Kind,
    ScoreDifference,
    combine,
    judge_differences,
)
from wideproof.numeric.paper.experiments.bootstrap import Scores, score
from wideproof.numeric.paper.experiments.model_selection import (
    MODELS,
    RNN,
    SCALED,
    UNSCALED,
    Selected,
    SweepPoint,
    Trainer,
    Values,
)
from wideproof.numeric.paper.experiments.recording_models import MATCHED, ZERO, shared_recording
from wideproof.numeric.paper.experiments.recording_protocol import FULL, LIMITED, Parts, Protocol, cut, prepare
from wideproof.numeric.paper.experiments.scale_factors import Scale, emitted_scale
from wideproof.numeric.paper.experiments.settling import Improving
from wideproof.numeric.recordings import Recording
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Tasks, every

NARROW = 200
"""Measured: multiplications in whose time one lag of a filter is added to the outputs at one time."""
CONTRASTS = ((SCALED, UNSCALED, MATCHED), (SCALED, UNSCALED, ZERO), (RNN, SCALED, MATCHED))


@dataclass(frozen=True)
class Score:
    """Test R² per output, the mean over runs, at the variance, step size and steps that validation chose.

    Runs are networks on full data, and segments of the training part with a network each on limited data; stderr
    joins their spread and the moving-block bootstrap over the test part. curve[k] is the mean R² per output after
    curve_steps[k] steps with its standard error over runs (Fig. 4); sweep is the validation R² against nu_W.
    """

    model: str
    start: str
    r2: Values
    stderr: Values
    nu_W: float
    step_fraction: float
    best_steps: tuple[int, ...]
    sweep: tuple[SweepPoint, ...]
    curve_steps: tuple[int, ...]
    curve: tuple[Values, ...]
    curve_stderr: tuple[Values, ...]
    improving: Improving | None


@dataclass(frozen=True)
class Contrast:
    """R² of `first` minus R² of `second` per output, paired in test blocks and runs; `unsettled` says what is not."""

    first: str
    second: str
    start: str
    difference: Values
    stderr: Values
    freedom: Values
    unsettled: str


@dataclass(frozen=True)
class Regime:
    """All models on one amount of training data; block is the bootstrap's block length in samples."""

    name: str
    training_samples: int
    runs: int
    test_samples: int
    block: int
    scores: tuple[Score, ...]
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class RecordingComparison:
    """The answer of one recording to the paper's question whether the bias helps with little data.

    `samples` and `inputs` are those used; `cut` says which part of the recording they are.
    """

    recording: str
    citation: str
    samples: int
    cut: tuple[str, ...]
    rate: float | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    protocol: Protocol
    regimes: tuple[Regime, ...]
    judged: tuple[JudgedDifferences, ...]


def compare(
    recording: Recording,
    protocol: Protocol | None = None,
    *,
    scale: Scale | None = None,
    seed: int = 0,
    method: str = "auto",
    announce: Announce | None = None,
    progress: Callable[[int, int], None] | None = None,
    tasks: Tasks = NOTHING_KEPT,
) -> RecordingComparison:
    """Train the three models on full and on limited data by one rule, score them on one test part, and judge.

    Convolutions start twice: matched to the RNN's initial response, whose random draw an undetermined lag
    keeps, and at zero, where early stopping alone can regularise. `seed` is the bootstrap's; `announce` is told the
    method of the RNNs and the time of all before the start. What has not settled is not judged. Models are trained by
    the crew of `tasks` and kept there, where the same call finds them after a kill and goes on with the same bits.
    Errors: ParameterError for parts too short or constant, where every step size diverges, or for a method that is
    not exact.
    Source: emami2021implicit §5.2, Table 1 and Fig. 4.
    """
    protocol = Protocol() if protocol is None else protocol
    scale = emitted_scale() if scale is None else scale
    recording, left = cut(recording, protocol)
    with blas_threads(1):  # two libraries of linear algebra, NumPy's and SciPy's, would wait for each other
        prepared = [prepare(recording, protocol, name) for name in (FULL, LIMITED)]  # told before the long work
        network = choose_exact(protocol.width, prepared[0][0].training, protocol.steps, method)  # and so is the method
        shared = shared_recording(recording)
        trainers: list[Trainer] = []

        def tell(half: int, done: int, _: int) -> None:
            if progress is not None:
                progress(sum(t.total for t in trainers[:half]) + done, sum(t.total for t in trainers))

        trainers += [
            Trainer(parts, protocol, scale, partial(tell, k), tasks, shared) for k, parts in enumerate(prepared)
        ]
        if announce is not None:
            announce(_cost(network, trainers, left))
        chosen = every(trainer.select for trainer in trainers)
        regimes = [_regime(trainers[k], own, np.random.default_rng([seed, k])) for k, own in enumerate(chosen)]
    if progress is not None:
        progress(1, 1)
    return RecordingComparison(
        recording.name, recording.citation, recording.samples, left, recording.rate,
        recording.input_names, recording.output_names, protocol, tuple(regimes),
        judge_differences(list(_differences(regimes, recording.output_names))),
    )  # fmt: skip


def _cost(network: MethodChoice, trainers: Sequence[Trainer], left: Sequence[str]) -> MethodChoice:
    """What all of it takes: every network at its most steps, and every basis with the paths in it."""
    data, told = trainers[0].parts[0].training, f"at most {trainers[0].protocol.steps} steps, {network.reason}"
    found = network.times(sum(trainer.networks_trained for trainer in trainers))
    bases, paths = (sum(getattr(trainer, name) for trainer in trainers) for name in ("bases", "paths"))
    convolutions = solving(data, bases, paths).plus(_scoring(trainers))
    words = f"{told}; convolutions solved for in {bases} bases of {data.lags * data.n_x} taps"
    return replace(found.plus(convolutions), reason="; ".join((words, *(f"cut to {words}" for words in left))))


def _scoring(trainers: Sequence[Trainer]) -> MethodChoice:
    """What it takes to sum up every part, and to predict the test part at every recorded step of every chosen run."""
    flops = 0.0
    for trainer in trainers:
        first, protocol = trainer.parts[0], trainer.protocol
        data, taps = first.training, first.training.lags * first.training.n_x
        runs = len(MODELS) * len(trainer.units) * (len(trainer.steps) + 1)
        tested = len(first.x_test)
        judged = protocol.validation / (1.0 - protocol.training - protocol.validation) * tested
        flops += 2.0 * len(trainer.parts) * (first.samples + judged) * taps * data.n_x
        flops += 2.0 * tested * runs * data.n_y * (taps + NARROW * data.lags)
    return MethodChoice("scoring", "the test part", 0.0, flops, 0.0)


def _regime(trainer: Trainer, chosen: Mapping[tuple[str, str], Selected], rng: np.random.Generator) -> Regime:
    parts, found = trainer.parts[0], [chosen[model] for model in MODELS]
    size = len(trainer.units)
    stacked = np.stack([
        trainer.parts[unit[0]].predict(run.impulse) for model in found
        for unit, run in zip(trainer.units, model.runs, strict=True)
    ])  # fmt: skip
    scores = score(parts.y_test, stacked, rng=rng, replicates=trainer.protocol.replicates)
    own = {key: slice(k * size, (k + 1) * size) for k, key in enumerate(MODELS)}
    blocks = len(parts.y_test) // scores.block
    return Regime(
        parts.regime,
        parts.samples,
        size,
        len(parts.y_test),
        scores.block,
        tuple(_score(trainer, model, scores, own[model.model, model.start], blocks) for model in found),
        tuple(_contrast(*names, chosen, scores, own, blocks) for names in CONTRASTS),
    )


def _contrast(
    first: str, second: str, start: str, chosen: Mapping[tuple[str, str], Selected], scores: Scores,
    own: Mapping[tuple[str, str], slice], blocks: int,
) -> Contrast:  # fmt: skip
    """The difference of two models, and which of them still improve."""
    a, b = own[first, start], own[second, start]
    found = combine(scores.r2[a] - scores.r2[b], scores.replicates[:, a] - scores.replicates[:, b], blocks)
    difference, stderr, freedom = map(_values, found)
    unsettled = (chosen[name, start].improving for name in (first, second))
    words = "; ".join(map(str, filter(None, unsettled)))
    return Contrast(first, second, start, difference, stderr, freedom, words)


def _score(trainer: Trainer, model: Selected, scores: Scores, own: slice, blocks: int) -> Score:
    r2, stderr, _ = combine(scores.r2[own], scores.replicates[:, own], blocks)
    curves = np.stack([_r2(trainer.parts[unit[0]], run.recorded)
                       for unit, run in zip(trainer.units, model.runs, strict=True)])  # (K, k, n_y)  # fmt: skip
    spread = curves.std(axis=0, ddof=1) / len(curves) ** 0.5
    return Score(
        model.model, model.start, _values(r2), _values(stderr), model.nu_W, model.step_fraction,
        tuple(run.best_step for run in model.runs), model.sweep, trainer.steps,
        tuple(map(_values, curves.mean(axis=0))), tuple(map(_values, spread)), model.improving,
    )  # fmt: skip


def _r2(parts: Parts, impulses: Host) -> Host:
    """R² of several filters, in one pass over the test part.  Shapes: (k, T, n_y, n_x) -> (k, n_y)."""
    error = ((parts.y_test[:, None] - parts.predict_all(impulses)) ** 2).mean(axis=0)
    return np.asarray(1.0 - error / parts.y_test.var(axis=0))


def _differences(regimes: list[Regime], outputs: tuple[str, ...]) -> Iterator[ScoreDifference]:
    """The paper's statement: the bias helps with limited data and not with full, and the RNN has it."""
    for regime in regimes:
        for c in regime.contrasts:
            kind: Kind = "helps" if regime.name == LIMITED and c.first == SCALED else "vanishes"
            for output, difference, stderr, freedom in zip(outputs, c.difference, c.stderr, c.freedom, strict=True):
                yield ScoreDifference(
                    regime.name, c.first, c.second, c.start, output, kind, difference, stderr, freedom, c.unsettled
                )


def _values(array: Host) -> Values:
    return tuple(float(v) for v in array)
