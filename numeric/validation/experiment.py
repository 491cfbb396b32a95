"""An experiment: a definition, a plan and a level; measured by anyone, judged from the measurements."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from wideproof.derive import Program, impulse_response, scale_factors
from wideproof.derive.language.errors import StoreError
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Judged, Level
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.runs.memory import Memory
from wideproof.numeric.validation.alternating import LineMeasurements, LinesPlan, lines_validation
from wideproof.numeric.validation.kernels import KernelMeasurements, KernelPlan, Power, kernel_power, kernel_validation
from wideproof.numeric.validation.kernels.runner import estimate_kernel_cost
from wideproof.numeric.validation.linear_rnn import Measurements, Plan, exact_means, linear_validation
from wideproof.numeric.validation.linear_rnn.cost import Cost, estimate_cost
from wideproof.numeric.validation.measurements import LadderMeasurements

EXTENDED = ("trials", "kernel_trials", "width", "widths", "target")
"""Fields of a plan that say how much is drawn; the numbers of a chunk depend on none of them."""


class Experiment(ABC):
    """A plan and a level, and how what is measured is judged; a kind is a frozen dataclass with these fields."""

    program: Program
    values: Mapping[str, float]
    plan: Any
    level: Level | None
    kind: ClassVar[str]
    measurements: ClassVar[type[LadderMeasurements[Any]]]

    def memory(self) -> Memory:
        """The memory of a worker, as `LadderPlan.memory`."""
        found: Memory = self.plan.memory()
        return found

    @abstractmethod
    def cost(self) -> Cost | None:
        """The time of the run; None where it is not estimated."""

    @abstractmethod
    def judged(self, found: Any) -> Judged:
        """The verdict on what was measured.  Error: as `judge`."""

    def data(self) -> dict[str, Any]:
        """Plain data, from which `experiment_of` makes an equal experiment."""
        level = None if self.level is None else asdict(replace(self.level, effects=dict(self.level.effects)))
        return {"kind": self.kind, "plan": self.plan.data(), "level": level}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Return the experiment of plain data.  Errors: those of its parts."""
        level = None if data["level"] is None else Level(**data["level"])
        return cls(**cls.fields(data) | {"level": level})

    @classmethod
    def fields(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """The fields beside the level, from plain data."""
        return {"plan": cls.measurements.plan_class.of(data["plan"])}

    @property
    def setting(self) -> str:
        """All that the numbers of a chunk depend on, as text: equal for runs whose chunks can be put together."""
        data = self.data()
        plan = {key: value for key, value in data["plan"].items() if key not in EXTENDED}
        return json.dumps(data | {"plan": plan, "level": None}, sort_keys=True)

    def extended(self, trials: int | None, width: int | None) -> Self:
        """Return an experiment with more trials or another ladder; its chunks of the same place are the same.

        The lags, inputs and outputs stay those of the run, which are chosen from its first width and trials.
        Errors: those of a plan.
        """
        change: dict[str, Any] = {} if trials is None else {"trials": trials}
        if width is not None:
            change |= {"width": width, "widths": ()}
        return replace(self, plan=replace(self.plan, **self.plan.follows, **change))  # type: ignore[type-var]


@dataclass(frozen=True)
class LinearExperiment(Experiment):
    """The law of the impulse response and the scale factors of a linear RNN."""

    program: Program
    values: Mapping[str, float]
    plan: Plan
    level: Level | None = None
    kind = "linear"
    measurements = Measurements

    def cost(self) -> Cost:
        """As `estimate_cost`."""
        return estimate_cost(self.plan)

    def judged(self, found: Measurements) -> Judged:
        """The verdict on the emitted formulas.  Error: as `judge`.  Source: `predictions`, `exact_means`."""
        values = dict(self.values)
        limits = predictions(self.program, self.plan.horizon, values)
        return linear_validation(found, *limits, self.level, exact_means(self.program, self.plan, values))

    def data(self) -> dict[str, Any]:
        """The plan knows nothing of the program: it stands beside it."""
        return super().data() | {"program": program_data(self.program), "values": dict(self.values)}

    @classmethod
    def fields(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """As in `Experiment`, and the program."""
        return super().fields(data) | {"program": program_of(data["program"]), "values": data["values"]}


class ProgramExperiment(Experiment):
    """An experiment whose plan holds the program and the numbers of its symbols."""

    @property
    def program(self) -> Program:  # type: ignore[override]
        """The program."""
        found: Program = self.plan.program
        return found

    @property
    def values(self) -> Mapping[str, float]:  # type: ignore[override]
        """The numbers of its symbols."""
        found: Mapping[str, float] = self.plan.values
        return found


@dataclass(frozen=True)
class KernelExperiment(ProgramExperiment):
    """Both kernels of a recursion on a few sequences."""

    plan: KernelPlan
    level: Level | None = None
    kind = "kernels"
    measurements = KernelMeasurements

    def cost(self) -> Cost:
        """As `estimate_kernel_cost`."""
        return estimate_kernel_cost(self.plan)

    def power(self) -> Power:
        """As `kernel_power`."""
        return kernel_power(self.plan, self.level)

    def judged(self, found: KernelMeasurements) -> Judged:
        """The verdict on the derived kernels.  Error: as `judge`.  Source: `Kernel`."""
        limits = Kernel(self.plan.program, **dict[str, Any](self.plan.values))
        return kernel_validation(found, limits, self.level)


@dataclass(frozen=True)
class LinesExperiment(ProgramExperiment):
    """The mean squares of the named vectors of an alternating program."""

    plan: LinesPlan
    level: Level | None = None
    kind = "lines"
    measurements = LineMeasurements

    def cost(self) -> None:
        """Not estimated: the matrix is drawn whole, its cost is n² a trial."""

    def judged(self, found: LineMeasurements) -> Judged:
        """The verdict on the state evolution.  Error: as `judge`.  Source: `lines_validation`."""
        return lines_validation(found, self.level)


KINDS: dict[str, type[Experiment]] = {kind.kind: kind for kind in (LinearExperiment, KernelExperiment, LinesExperiment)}


def predictions(program: Program, lags: int, values: dict[str, float]) -> tuple[Host, Host]:
    """The derived variance of an entry of L_j and the derived scale factor, at lags 0 ... lags - 1.

    Shapes: (lags,), (lags,).  Units: (output/input)^2.  Source: the emitted formulas.
    """
    j = np.arange(lags)
    variance = impulse_response(program).formula.compile("numpy")(j=j, **values)
    return variance, scale_factors(program).formula.compile("numpy")(j=j, **values)


def experiment_of(data: Mapping[str, Any]) -> Experiment:
    """Return the experiment of plain data.  Errors: StoreError for what is none; those of its parts."""
    try:
        return KINDS[data["kind"]].of(data)
    except (KeyError, TypeError) as error:
        raise StoreError("experiment", "the plan of a run", f"{type(error).__name__}: {error}",
                         "It is of another version of wideproof.") from error  # fmt: skip
