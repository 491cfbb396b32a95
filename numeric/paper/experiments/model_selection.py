"""One rule for every model: variance, step size and number of steps by validation data alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.krylov import LinearRNN, draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.training import Model, model_curvature, train
from wideproof.numeric.paper.experiments.recording_protocol import FULL, Parts, Protocol
from wideproof.numeric.paper.experiments.scale_factors import Scale, scale_of_lags
from wideproof.numeric.runs.tasks import Arrays, Tasks

RNN, SCALED, UNSCALED = "linear RNN", "scaled convolution", "unscaled convolution"
MATCHED, ZERO = "matched", "zero"
MODELS = ((RNN, MATCHED), (SCALED, MATCHED), (UNSCALED, MATCHED), (SCALED, ZERO), (UNSCALED, ZERO))
Values = tuple[float, ...]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SweepPoint:
    """Validation R² of one variance at its best step size: mean and standard error over the runs of a regime."""

    nu_W: float
    step_fraction: float
    mean: float
    stderr: float


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """One trained model: its validation R² at the best number of steps, and its impulse responses.

    Shapes: impulse (T, n_y, n_x), recorded (k, T, n_y, n_x).
    """

    validation_r2: float
    best_step: int
    impulse: Host
    recorded: Host


@dataclass(frozen=True, eq=False)
class Selected:
    """A model at the variance and step size that validation chose, one run for each part, and the whole sweep."""

    model: str
    start: str
    nu_W: float
    step_fraction: float
    runs: tuple[TrainingRun, ...]
    sweep: tuple[SweepPoint, ...]


@dataclass(frozen=True)
class Kept:
    """The trained models of one recording, each kept under everything that its bits depend on."""

    tasks: Tasks
    inputs: Mapping[str, object]

    def result(self, key: tuple[object, ...], work: Callable[[], Arrays]) -> Arrays:
        """Read the model of `key` back with the same bits, or train it.  Shapes, units, errors: as `Tasks.result`."""
        plan = {**self.inputs, "key": list(key)}
        return self.tasks.result("trained_model", plan, work)


Unit = tuple[int, int]
"""The index of a training part, and the seed of its network."""


class Trainer:
    """Trains every model of one regime at every variance and step size; equal runs are made once and kept."""

    def __init__(
        self, parts: Sequence[Parts], protocol: Protocol, scale: Scale | None, progress: Progress, kept: Kept
    ) -> None:
        self.parts, self.protocol, self._scale, self._progress, self._kept = parts, protocol, scale, progress, kept
        full = parts[0].regime == FULL
        self.units: list[Unit] = (
            [(0, seed) for seed in protocol.seeds] if full else [(k, protocol.seeds[0] + k) for k in range(len(parts))]
        )
        self.steps = record_steps(protocol.steps)
        self._runs: dict[tuple[object, ...], TrainingRun | None] = {}
        self._networks: dict[tuple[float, Unit], LinearRNN] = {}
        self._total = len(MODELS) * len(protocol.nu_W) * len(protocol.step_fractions)

    @property
    def networks_trained(self) -> int:
        """How many times an RNN is trained: at every variance and step size, once for each part and network."""
        return len(self.protocol.nu_W) * len(self.protocol.step_fractions) * len(self.units)

    def select(self, model: str, start: str) -> Selected:
        """The variance and step size of largest mean validation R², and its runs.

        Errors: ParameterError where every step size diverges.
        """
        tried = {
            (nu, fraction): [self._run(model, start, nu, fraction, unit) for unit in self.units]
            for nu in self.protocol.nu_W
            for fraction in self.protocol.step_fractions
            if self._tell(model, start, nu, fraction)
        }
        able = {at: [run for run in runs if run is not None] for at, runs in tried.items() if None not in runs}
        if not able:
            got = f"divergence of the {model} at every one of {self.protocol.step_fractions}"
            raise ParameterError("compare", "a stable step fraction", got, "Add a smaller step fraction.")
        mean = {at: float(np.mean([run.validation_r2 for run in runs])) for at, runs in able.items()}
        best = max(mean, key=lambda at: mean[at])
        sweep = []
        for nu in self.protocol.nu_W:
            if own := [at for at in mean if at[0] == nu]:
                at = max(own, key=lambda at: mean[at])
                values = np.array([run.validation_r2 for run in able[at]])
                sweep.append(SweepPoint(*at, mean[at], float(values.std(ddof=1) / len(values) ** 0.5)))
        return Selected(model, start, *best, tuple(able[best]), tuple(sweep))

    def _tell(self, model: str, start: str, nu: float, fraction: float) -> bool:
        names, protocol = MODELS.index((model, start)), self.protocol
        done = (names * len(protocol.nu_W) + protocol.nu_W.index(nu)) * len(protocol.step_fractions)
        self._progress(done + protocol.step_fractions.index(fraction), self._total)
        return True

    def _run(self, model: str, start: str, nu: float, fraction: float, unit: Unit) -> TrainingRun | None:
        """None where the step diverges.  A start at zero has no network, and without scale factors no variance."""
        key = (model, start, fraction, unit[0], unit[1] if start == MATCHED else None,
               nu if (start, model) != (ZERO, UNSCALED) else None)  # fmt: skip
        if key not in self._runs:
            parts = self.parts[unit[0]]

            def work() -> Arrays:
                return _arrays(self._trained(self._start(model, start, nu, unit), parts, fraction))

            self._runs[key] = _run(self._kept.result((parts.regime, *key), work))
        return self._runs[key]

    def _trained(self, start: Model, parts: Parts, fraction: float) -> TrainingRun | None:
        step = fraction / model_curvature(start, parts.training)
        try:
            found = train(start, parts.training, parts.validation, steps=self.protocol.steps, step_size=step,
                          record=self.steps)  # fmt: skip
        except ParameterError as error:
            if error.where == "train" and error.expected.startswith("a step size below"):
                return None
            raise
        return TrainingRun(parts.validation_r2(float(found.test_loss[found.best_step])), found.best_step,
                   np.asarray(found.best_impulse), np.asarray(found.impulses))  # fmt: skip

    def _start(self, model: str, start: str, nu: float, unit: Unit) -> Model:
        data = self.parts[unit[0]].training
        rho = scale_of_lags(data.lags, nu_W=nu, nu_F=self.protocol.nu_F, nu_C=self.protocol.nu_C, scale=self._scale)
        weights = rho if model == SCALED else None
        if start == ZERO:
            return matched(np.zeros((data.lags, data.n_y, data.n_x)), weights)
        network = self._network(nu, unit)
        return network if model == RNN else matched(impulse_response(network, data.lags), weights)

    def _network(self, nu: float, unit: Unit) -> LinearRNN:
        """One draw for each unit: its entries scale with the variance, so that variances are compared in pairs."""
        if (nu, unit) not in self._networks:
            data = self.parts[unit[0]].training
            self._networks[nu, unit] = draw_rnn(
                self.protocol.width, data.n_x, data.n_y, nu_W=nu, nu_F=self.protocol.nu_F, nu_C=self.protocol.nu_C,
                rng=np.random.default_rng(unit[1]),
            )  # fmt: skip
        return self._networks[nu, unit]


def _arrays(run: TrainingRun | None) -> Arrays:
    """A run, or that its step diverges, as named arrays."""
    if run is None:
        return {}
    return {"validation_r2": np.array(run.validation_r2), "best_step": np.array(run.best_step),
            "impulse": run.impulse, "recorded": run.recorded}  # fmt: skip


def _run(arrays: Arrays) -> TrainingRun | None:
    """The run whose `_arrays` these are."""
    if not arrays:
        return None
    return TrainingRun(float(arrays["validation_r2"]), int(arrays["best_step"]), arrays["impulse"], arrays["recorded"])


def record_steps(steps: int, points: int = 25) -> tuple[int, ...]:
    """About `points` steps from 0 to `steps`, evenly spaced in the logarithm."""
    return tuple(sorted({0, *(int(k) for k in np.round(np.geomspace(1, steps, points)))}))
