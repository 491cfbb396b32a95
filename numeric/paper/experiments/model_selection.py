"""One rule for every model: variance, step size and number of steps by validation data alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.paper.experiments.recording_models import (
    MATCHED,
    ZERO,
    Plan,
    TrainingRun,
    path_of,
    place,
    record_steps,
    run_of,
    runs_of,
    solved_models,
    trained_rnn,
)
from wideproof.numeric.paper.experiments.recording_protocol import FULL, Parts, Protocol
from wideproof.numeric.paper.experiments.scale_factors import Scale, scale_of_lags
from wideproof.numeric.paper.experiments.settling import Improving, improving
from wideproof.numeric.runs.tasks import Arrays, Elsewhere, Shared, Tasks, Work

RNN, SCALED, UNSCALED = "linear RNN", "scaled convolution", "unscaled convolution"
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


Unit = tuple[int, int]
"""The index of a training part, and the seed of its network."""
Key = tuple[str, float, float, Unit]
"""Start, variance, step fraction and unit."""
Runs = dict[Key, TrainingRun | None]
"""None where the step diverges."""


class Trainer:
    """Trains every model of one regime at every variance and step size; equal runs are made once and kept.

    The descent of convolutions is solved for, to convergence: one eigenbasis for each part and weights serves both
    starts, all networks and all step sizes. The RNN takes steps until it has settled, or all that there are. The pieces
    are worked on by anyone: all of one model, and the RNN once the descent at infinite width is known that tells when
    it has settled.
    """

    def __init__(
        self, parts: Sequence[Parts], protocol: Protocol, scale: Scale | None, progress: Progress, tasks: Tasks,
        recording: Shared,
    ) -> None:  # fmt: skip
        self.parts, self.protocol, self._scale, self._progress = parts, protocol, scale, progress
        self._tasks, self._recording = tasks, recording
        self.full = parts[0].regime == FULL
        self.units: list[Unit] = (
            [(0, seed) for seed in protocol.seeds] if self.full
            else [(k, protocol.seeds[0] + k) for k in range(len(parts))]
        )  # fmt: skip
        self.steps = record_steps(protocol.steps)
        self._nus, self._fractions = (tuple(dict.fromkeys(grid)) for grid in (protocol.nu_W, protocol.step_fractions))
        self.total = 2 * len(parts) * len(self._nus) + self.networks_trained
        self._done = 0

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

    def select(self) -> dict[tuple[str, str], Selected]:
        """Of every model and start the variance and step size of largest mean validation R², and its runs.

        Errors: ParameterError where every step size diverges; `Elsewhere` in a part of a run, whose share is kept.
        """
        chosen = {}
        for model, runs in self._trained():
            if self._tasks.shard is None:
                starts = dict.fromkeys(key[0] for key in runs)
                chosen.update({(model, start): self._best(model, start, runs) for start in starts})
        if self._tasks.shard is not None:
            raise Elsewhere
        return chosen

    def _trained(self) -> Iterator[tuple[str, Runs]]:
        """The runs of one model after the other; in a part of a run those that are here."""
        runs, paths = self._solved(SCALED)
        yield SCALED, runs
        yield RNN, self._descended(paths)
        yield UNSCALED, self._solved(UNSCALED)[0]

    def _best(self, model: str, start: str, runs: Runs) -> Selected:
        tried: dict[tuple[float, float], list[TrainingRun | None]] = {}
        for nu, unit, fraction in product(self._nus, self.units, self._fractions):
            tried.setdefault((nu, fraction), []).append(runs[start, nu, fraction, unit])
        able = {at: [run for run in found if run is not None] for at, found in tried.items() if None not in found}
        if not able:
            got = f"divergence of the {model} at every one of {self.protocol.step_fractions}"
            raise ParameterError("compare", "a stable step fraction", got, "Add a smaller step fraction.")
        mean = {at: float(np.mean([run.validation_r2 for run in found])) for at, found in able.items()}
        best = max(mean, key=lambda at: mean[at])
        sweep = []
        for nu in self._nus:
            if own := [at for at in mean if at[0] == nu]:
                at = max(own, key=lambda at: mean[at])
                values = np.array([run.validation_r2 for run in able[at]])
                sweep.append(SweepPoint(*at, mean[at], float(values.std(ddof=1) / len(values) ** 0.5)))
        return Selected(model, start, *best, tuple(able[best]), tuple(sweep))

    def _solved(self, model: str) -> tuple[Runs, dict[tuple[float, Unit], list[Any]]]:
        """Every run of a convolution, and the paths from the starts of the networks.

        Without scale factors the basis is that of every variance, and a start at zero is one run for them all.
        """
        places = list(product(range(len(self.parts)), self._nus))
        plans = [self._place(part) | self._solving(model, part, nu) for part, nu in places]
        runs: Runs = {}
        paths = {}
        for k, found in self._pieces(solved_models, plans, self._tasks).items():
            part, nu = places[k]
            own = [unit for unit in self.units if unit[0] == part]
            for (network, unit), (i, fraction) in product(enumerate(own), enumerate(self._fractions)):
                arrays = runs_of(found, MATCHED, network, i)
                runs[MATCHED, nu, fraction, unit] = run_of(arrays)
                if arrays:
                    paths[nu, unit] = path_of(arrays)
                if ZERO in plans[k]["starts"]:
                    at_zero = run_of(runs_of(found, ZERO, 0, i))
                    runs.update(
                        {(ZERO, at, fraction, unit): at_zero for at in ((nu,) if model == SCALED else self._nus)}
                    )
        return runs, paths

    def _solving(self, model: str, part: int, nu: float) -> Plan:
        own = {"nu_W": nu, "nu_F": self.protocol.nu_F, "nu_C": self.protocol.nu_C}
        rho = scale_of_lags(self.parts[0].training.lags, **own, scale=self._scale).tolist() if model == SCALED else None
        starts = [MATCHED, ZERO] if model == SCALED or nu == self._nus[0] else [MATCHED]
        return {"nu": nu, "rho": rho, "starts": starts, "seeds": [seed for k, seed in self.units if k == part]}

    def _descended(self, paths: Mapping[tuple[float, Unit], list[Any]]) -> Runs:
        """Every run of the RNN whose descent at infinite width is here: all of it is this part's."""
        keys = [(MATCHED, nu, fraction, unit) for unit, nu, fraction in product(self.units, self._nus, self._fractions)
                if (nu, unit) in paths]  # fmt: skip
        plans = [self._place(unit[0]) | {"nu": nu, "seed": unit[1], "fraction": fraction, "path": paths[nu, unit]}
                 for _, nu, fraction, unit in keys]  # fmt: skip
        found = self._pieces(trained_rnn, plans, replace(self._tasks, shard=None))
        return {key: run_of(found[k]) for k, key in enumerate(keys)}

    def _place(self, part: int) -> Plan:
        return place(self.protocol, self.parts[0].regime, part)

    def _pieces(self, work: Work, plans: Sequence[Plan], tasks: Tasks) -> dict[int, Arrays]:
        found = tasks.part(work, plans, lambda done, _: self._progress(self._done + done, self.total), self._recording)
        self._done += len(found)
        return found
