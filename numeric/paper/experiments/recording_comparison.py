"""§ 5.2 on a recording: RNN, scaled and unscaled convolution, with full and with limited training data."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.training_choice import Announce, choose_exact
from wideproof.numeric.paper.experiments.bias_verdicts import Difference, JudgedDifferences, combine, judge_differences
from wideproof.numeric.paper.experiments.bootstrap import Scores, score
from wideproof.numeric.paper.experiments.model_selection import (
    MATCHED,
    MODELS,
    RNN,
    SCALED,
    UNSCALED,
    ZERO,
    Kept,
    Selected,
    SweepPoint,
    Trainer,
    Values,
)
from wideproof.numeric.paper.experiments.recording_protocol import FULL, LIMITED, Parts, Protocol, prepare
from wideproof.numeric.paper.experiments.scale_factors import Scale, scale_of_lags
from wideproof.numeric.recordings import Recording
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Tasks

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


@dataclass(frozen=True)
class Contrast:
    """R² of `first` minus R² of `second` per output, paired in test blocks and runs."""

    first: str
    second: str
    start: str
    difference: Values
    stderr: Values
    freedom: Values


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
    """The answer of one recording to the paper's question whether the bias helps with little data."""

    recording: str
    citation: str
    samples: int
    rate: float | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    protocol: Protocol
    regimes: tuple[Regime, ...]
    judged: tuple[JudgedDifferences, ...]
    seconds: float


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
    method of the RNNs before the start. Trained models are kept by `tasks`, where the same call finds them after a
    kill and goes on with the same bits.
    Errors: ParameterError for parts too short or constant, where every step size diverges, or for a method that is
    not exact.
    Source: emami2021implicit §5.2, Table 1 and Fig. 4.
    """
    protocol = Protocol() if protocol is None else protocol
    began = time.perf_counter()
    prepared = [prepare(recording, protocol, name) for name in (FULL, LIMITED)]  # told before the long work
    chosen = choose_exact(protocol.width, prepared[0][0].training, protocol.steps, method)
    kept = Kept(tasks, _identity(recording, protocol, scale))
    trainers = [Trainer(parts, protocol, scale, _half(progress, k), kept) for k, parts in enumerate(prepared)]
    if announce is not None:
        announce(chosen.times(sum(trainer.networks_trained for trainer in trainers)))
    regimes = [_regime(trainer, np.random.default_rng([seed, k])) for k, trainer in enumerate(trainers)]
    if progress is not None:
        progress(1, 1)
    return RecordingComparison(
        recording.name, recording.citation, recording.samples, recording.rate,
        recording.input_names, recording.output_names, protocol, tuple(regimes),
        judge_differences(list(_differences(regimes, recording.output_names))), time.perf_counter() - began,
    )  # fmt: skip


def _identity(recording: Recording, protocol: Protocol, scale: Scale | None) -> dict[str, object]:
    """Everything that the bits of a trained run depend on besides its place."""
    rho = scale_of_lags(protocol.lags, nu_W=0.5, nu_F=protocol.nu_F, nu_C=protocol.nu_C, scale=scale)
    data = digest(recording.inputs, recording.outputs)
    return {"recording": data, "protocol": asdict(protocol), "scale": digest(rho)}


def digest(*arrays: Host) -> str:
    """Return one text for equal arrays.  Shapes: any.  Source: SHA-256 of the bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(repr((array.shape, array.dtype.str)).encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _half(progress: Callable[[int, int], None] | None, half: int) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(half * total + done, 2 * total)

    return tell


def _regime(trainer: Trainer, rng: np.random.Generator) -> Regime:
    parts, found = trainer.parts[0], [trainer.select(*model) for model in MODELS]
    size = len(trainer.units)
    stacked = np.stack([
        trainer.parts[unit[0]].predict(run.impulse) for model in found
        for unit, run in zip(trainer.units, model.runs, strict=True)
    ])  # fmt: skip
    scores = score(parts.y_test, stacked, rng=rng, replicates=trainer.protocol.replicates)
    own = {key: slice(k * size, (k + 1) * size) for k, key in enumerate(MODELS)}
    blocks = len(parts.y_test) // scores.block
    return Regime(
        parts.regime, parts.samples, size, len(parts.y_test), scores.block,
        tuple(_score(trainer, model, scores, own[model.model, model.start], blocks) for model in found),
        tuple(
            Contrast(a, b, start, *map(_values, combine(
                scores.r2[own[a, start]] - scores.r2[own[b, start]],
                scores.replicates[:, own[a, start]] - scores.replicates[:, own[b, start]], blocks,
            )))
            for a, b, start in CONTRASTS
        ),
    )  # fmt: skip


def _score(trainer: Trainer, model: Selected, scores: Scores, own: slice, blocks: int) -> Score:
    r2, stderr, _ = combine(scores.r2[own], scores.replicates[:, own], blocks)
    curves = np.stack([
        np.stack([_r2(trainer.parts[unit[0]], impulse) for impulse in run.recorded])
        for unit, run in zip(trainer.units, model.runs, strict=True)
    ])  # (K, k, n_y)  # fmt: skip
    spread = curves.std(axis=0, ddof=1) / len(curves) ** 0.5
    return Score(
        model.model, model.start, _values(r2), _values(stderr), model.nu_W, model.step_fraction,
        tuple(run.best_step for run in model.runs), model.sweep, trainer.steps,
        tuple(map(_values, curves.mean(axis=0))), tuple(map(_values, spread)),
    )  # fmt: skip


def _r2(parts: Parts, impulse: Host) -> Host:
    error = ((parts.y_test - parts.predict(impulse)) ** 2).mean(axis=0)
    return np.asarray(1.0 - error / parts.y_test.var(axis=0))


def _differences(regimes: list[Regime], outputs: tuple[str, ...]) -> Iterator[Difference]:
    """The paper's statement: the bias helps with limited data and not with full, and the RNN has it."""
    for regime in regimes:
        for c in regime.contrasts:
            kind = "helps" if regime.name == LIMITED and c.first == SCALED else "vanishes"
            for output, *numbers in zip(outputs, c.difference, c.stderr, c.freedom, strict=True):
                yield Difference(regime.name, c.first, c.second, c.start, output, kind, *numbers)  # type: ignore[arg-type]


def _values(array: Host) -> Values:
    return tuple(float(v) for v in array)
