"""One rule for every model: variance, step size and number of steps by validation data alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from itertools import product

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.closed_descent import ClosedPath, EigenDescent
from wideproof.numeric.linear_rnn.convolution import Convolution, matched
from wideproof.numeric.linear_rnn.krylov import LinearRNN, draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.training import impulse_of, model_curvature, train
from wideproof.numeric.networks.divergence import Diverged
from wideproof.numeric.paper.experiments.recording_protocol import FULL, Parts, Protocol
from wideproof.numeric.paper.experiments.scale_factors import Scale, scale_of_lags
from wideproof.numeric.paper.experiments.settling import SETTLED, Improving, improving, to_gain
from wideproof.numeric.runs.tasks import Arrays, Tasks

RNN, SCALED, UNSCALED = "linear RNN", "scaled convolution", "unscaled convolution"
MATCHED, ZERO = "matched", "zero"
MODELS = ((RNN, MATCHED), (SCALED, MATCHED), (UNSCALED, MATCHED), (SCALED, ZERO), (UNSCALED, ZERO))
ORDER = ((SCALED, MATCHED), (SCALED, ZERO), (RNN, MATCHED), (UNSCALED, MATCHED), (UNSCALED, ZERO))
"""Runs that are solved for together follow each other, and the RNN follows what tells when it has settled."""
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

    `gain` is the validation R² that more steps than the `steps` taken may bring, 0 for a path known to its end.
    Shapes: impulse (T, n_y, n_x), recorded (k, T, n_y, n_x).
    """

    validation_r2: float
    best_step: int
    steps: int
    gain: float
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

    @property
    def improving(self) -> Improving | None:
        """The runs that have not settled, or None."""
        gains, steps = [run.gain for run in self.runs], [run.steps for run in self.runs]
        return improving(self.model, self.start, gains, steps)


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
Key = tuple[str, str, float, float, Unit]
"""Model, start, variance, step fraction and unit."""


class Trainer:
    """Trains every model of one regime at every variance and step size; equal runs are made once and kept.

    The descent of convolutions is solved for, to convergence: one eigenbasis for each part and weights serves both
    starts, all networks and all step sizes. The RNN takes steps until it has settled, or all that there are.
    """

    def __init__(
        self, parts: Sequence[Parts], protocol: Protocol, scale: Scale | None, progress: Progress, kept: Kept
    ) -> None:
        self.parts, self.protocol, self._scale, self._progress, self._kept = parts, protocol, scale, progress, kept
        full = parts[0].regime == FULL
        self.units: list[Unit] = (
            [(0, seed) for seed in protocol.seeds] if full else [(k, protocol.seeds[0] + k) for k in range(len(parts))]
        )
        self.steps = record_steps(protocol.steps)
        self._nus, self._fractions = (tuple(dict.fromkeys(grid)) for grid in (protocol.nu_W, protocol.step_fractions))
        self._runs: dict[Key, TrainingRun | None] = {}
        self._paths: dict[tuple[float, Unit], ClosedPath] = {}
        self.total = len(MODELS) * self.networks_trained

    @property
    def networks_trained(self) -> int:
        """How many times an RNN is trained: at every variance and step size, once for each part and network."""
        return len(self._nus) * len(self._fractions) * len(self.units)

    @property
    def bases(self) -> int:
        """How many eigenbases are found: for every part one without scale factors, and one for every variance."""
        return len(self.parts) * (1 + len(self._nus))

    @property
    def paths(self) -> int:
        """How many paths are taken in them: from the start of every network in two bases, and from zero in each."""
        return len(self._fractions) * (2 * len(self._nus) * len(self.units) + self.bases)

    def select(self, model: str, start: str) -> Selected:
        """The variance and step size of largest mean validation R², and its runs.

        Errors: ParameterError where every step size diverges.
        """
        tried: dict[tuple[float, float], list[TrainingRun | None]] = {}
        for nu, unit, fraction in product(self._nus, self.units, self._fractions):
            tried.setdefault((nu, fraction), []).append(self._run((model, start, nu, fraction, unit)))
            self._tell(model, start, sum(map(len, tried.values())))
        able = {at: [run for run in runs if run is not None] for at, runs in tried.items() if None not in runs}
        if not able:
            got = f"divergence of the {model} at every one of {self.protocol.step_fractions}"
            raise ParameterError("compare", "a stable step fraction", got, "Add a smaller step fraction.")
        mean = {at: float(np.mean([run.validation_r2 for run in runs])) for at, runs in able.items()}
        best = max(mean, key=lambda at: mean[at])
        sweep = []
        for nu in self._nus:
            if own := [at for at in mean if at[0] == nu]:
                at = max(own, key=lambda at: mean[at])
                values = np.array([run.validation_r2 for run in able[at]])
                sweep.append(SweepPoint(*at, mean[at], float(values.std(ddof=1) / len(values) ** 0.5)))
        for key in [key for key in self._runs if key[:2] == (model, start)]:
            del self._runs[key]  # each holds its filters at every recorded step
        return Selected(model, start, *best, tuple(able[best]), tuple(sweep))

    def _tell(self, model: str, start: str, done: int) -> None:
        self._progress(ORDER.index((model, start)) * self.networks_trained + done, self.total)

    def _run(self, key: Key) -> TrainingRun | None:
        """None where the step diverges."""
        model, _, nu, fraction, unit = key
        if model == RNN:
            if (nu, unit) not in self._paths:
                self._solve(SCALED, nu, unit[0])  # the network's descent at infinite width
            found = self._kept.result((self.parts[0].regime, *key), lambda: self._descended(nu, unit, fraction))
            return _run(found)
        if key not in self._runs:
            self._solve(model, nu, unit[0])
        return self._runs[key]

    def _solve(self, model: str, nu: float, part: int) -> None:
        """Every run of a convolution on one part, from all starts and with all step sizes, in one eigenbasis.

        Without scale factors the basis is that of every variance, and a start at zero is one run for them all.
        """
        parts, nus = self.parts[part], (nu,) if model == SCALED else self._nus
        weights = self._rho(nu) if model == SCALED else None
        ones = np.ones(parts.training.lags)
        basis = cache(lambda: EigenDescent(parts.training, ones if weights is None else weights, parts.validation))
        units = [unit for unit in self.units if unit[0] == part]
        own = nu if model == SCALED else None

        def solved(start: str, first: Callable[[], Convolution], *network: object) -> dict[float, Arrays]:
            key = (parts.regime, model, start, part, *network)
            work = partial(self._solved, basis, first, parts)
            return {at: self._kept.result((*key, at), partial(work, at)) for at in self._fractions}

        zero = np.zeros((parts.training.lags, parts.training.n_y, parts.training.n_x))
        found = solved(ZERO, lambda: matched(zero, weights), own)
        for at, unit, fraction in product(nus, units, found):
            self._runs[model, ZERO, at, fraction, unit] = _run(found[fraction])
        for at, unit in product(nus, units):
            start = cache(partial(self._matched, at, unit, weights))
            for fraction, arrays in solved(MATCHED, start, at, unit[1]).items():
                self._runs[model, MATCHED, at, fraction, unit] = _run(arrays)
                if arrays and model == SCALED:
                    self._paths[at, unit] = _path(arrays)

    def _solved(
        self, made: Callable[[], EigenDescent], first: Callable[[], Convolution], parts: Parts, fraction: float
    ) -> Arrays:
        basis, start = made(), first()
        step_size = fraction / (basis.largest or 1.0)
        try:
            path = basis.descend(start, step_size)
        except Diverged:
            return {}
        *recorded, impulse = basis.impulses(start, step_size, (*self.steps, path.best_step))
        r2 = parts.validation_r2(float(np.min(path.losses)))
        run = TrainingRun(r2, int(path.best_step), int(path.steps[-1]), 0.0, impulse, np.stack(recorded))
        return {**_arrays(run), "step_size": np.array(step_size), "path": np.stack([path.steps, path.losses])}

    def _descended(self, nu: float, unit: Unit, fraction: float) -> Arrays:
        parts, wide, start = self.parts[unit[0]], self._paths[nu, unit], self._network(nu, unit)
        step_size = fraction / (model_curvature(start, parts.training) or 1.0)

        def gain(losses: Host) -> float:
            return to_gain(losses, step_size, wide) / parts.spread

        try:
            found = train(start, parts.training, parts.validation, steps=self.protocol.steps, step_size=step_size,
                          record=self.steps, until=lambda losses: gain(losses) <= SETTLED)  # fmt: skip
        except Diverged:
            return {}
        r2, steps = parts.validation_r2(float(found.test_loss[found.best_step])), len(found.test_loss) - 1
        rest = len(self.steps) - len(found.recorded)  # beyond its end it stays where it is
        last = np.asarray(impulse_of(found.final, parts.training.lags))[None].repeat(rest, axis=0)
        recorded = np.concatenate([np.asarray(found.impulses), last])
        return _arrays(TrainingRun(r2, found.best_step, steps, gain(found.test_loss), np.asarray(found.best_impulse),
                                   recorded))  # fmt: skip

    def _matched(self, nu: float, unit: Unit, weights: Host | None) -> Convolution:
        """The convolution with the impulse response that the network has at its start."""
        return matched(impulse_response(self._network(nu, unit), self.parts[unit[0]].training.lags), weights)

    def _rho(self, nu: float) -> Host:
        own = {"nu_W": nu, "nu_F": self.protocol.nu_F, "nu_C": self.protocol.nu_C}
        return scale_of_lags(self.parts[0].training.lags, **own, scale=self._scale)

    def _network(self, nu: float, unit: Unit) -> LinearRNN:
        """One draw for each unit: its entries scale with the variance, so that variances are compared in pairs."""
        data, protocol = self.parts[unit[0]].training, self.protocol
        return draw_rnn(
            protocol.width, data.n_x, data.n_y, nu_W=nu, nu_F=protocol.nu_F, nu_C=protocol.nu_C,
            rng=np.random.default_rng(unit[1]),
        )  # fmt: skip


def _arrays(run: TrainingRun) -> Arrays:
    """A run as named arrays."""
    return {field.name: np.array(getattr(run, field.name)) for field in fields(run)}


def _run(arrays: Arrays) -> TrainingRun | None:
    """The run whose `_arrays` these are, or None where there are none: its step diverges."""
    if not arrays:
        return None
    r2, gain = (float(arrays[name]) for name in ("validation_r2", "gain"))
    best, steps = (int(arrays[name]) for name in ("best_step", "steps"))
    return TrainingRun(r2, best, steps, gain, arrays["impulse"], arrays["recorded"])


def _path(arrays: Arrays) -> ClosedPath:
    """The whole path that a solved run was taken from."""
    steps, losses = arrays["path"]
    return ClosedPath(arrays["step_size"].item(), steps, losses, float(arrays["best_step"]))


def record_steps(steps: int, points: int = 25) -> tuple[int, ...]:
    """About `points` steps from 0 to `steps`, evenly spaced in the logarithm."""
    return tuple(sorted({0, *(int(k) for k in np.round(np.geomspace(1, steps, points)))}))
