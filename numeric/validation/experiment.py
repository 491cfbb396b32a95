"""An experiment: a definition, a plan and a level; measured by anyone, judged from the measurements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from wideproof.derive import Program, impulse_response, scale_factors
from wideproof.derive.language.errors import StoreError
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Judged, Level
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.runs.memory import Memory
from wideproof.numeric.validation.alternating import LineMeasurements, lines_memory, lines_validation
from wideproof.numeric.validation.kernels import KernelMeasurements, KernelPlan, Power, kernel_power, kernel_validation
from wideproof.numeric.validation.kernels.runner import estimate_kernel_cost, kernel_memory
from wideproof.numeric.validation.linear_rnn import Measurements, Plan, exact_means, linear_validation
from wideproof.numeric.validation.linear_rnn.cost import Cost, estimate_cost, linear_memory
from wideproof.numeric.validation.lines_plan import LinesPlan

EXTENDED = ("trials", "kernel_trials", "width", "widths", "target")
"""Fields of a plan that say how much is drawn; the numbers of a chunk depend on none of them."""


@dataclass(frozen=True)
class LinearExperiment:
    """The law of the impulse response and the scale factors of a linear RNN."""

    program: Program
    values: Mapping[str, float]
    plan: Plan
    level: Level | None = None
    kind = "linear"
    measurements = Measurements

    def memory(self) -> Memory:
        """As `linear_memory`."""
        return linear_memory(self.plan)

    def cost(self) -> Cost:
        """As `estimate_cost`."""
        return estimate_cost(self.plan)

    def judged(self, found: Measurements) -> Judged:
        """The verdict on the emitted formulas.  Error: as `judge`.  Source: `predictions`, `exact_means`."""
        values = dict(self.values)
        limits = predictions(self.program, self.plan.horizon, values)
        return linear_validation(found, *limits, self.level, exact_means(self.program, self.plan, values))

    def data(self) -> dict[str, Any]:
        """Plain data, from which `experiment_of` makes an equal experiment."""
        own = {"program": program_data(self.program), "values": dict(self.values)}
        return {"kind": self.kind, "plan": self.plan.data(), "level": _level_data(self.level), **own}


@dataclass(frozen=True)
class KernelExperiment:
    """Both kernels of a recursion on a few sequences."""

    plan: KernelPlan
    level: Level | None = None
    kind = "kernels"
    measurements = KernelMeasurements

    @property
    def program(self) -> Program:
        """The recursion."""
        return self.plan.program

    @property
    def values(self) -> Mapping[str, float]:
        """The numbers of its symbols."""
        return self.plan.values

    def memory(self) -> Memory:
        """As `kernel_memory`."""
        return kernel_memory(self.plan)

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

    def data(self) -> dict[str, Any]:
        """Plain data, from which `experiment_of` makes an equal experiment."""
        return {"kind": self.kind, "plan": self.plan.data(), "level": _level_data(self.level)}


@dataclass(frozen=True)
class LinesExperiment:
    """The mean squares of the named vectors of an alternating program."""

    plan: LinesPlan
    level: Level | None = None
    kind = "lines"
    measurements = LineMeasurements

    @property
    def program(self) -> Program:
        """The alternating program."""
        return self.plan.program

    def memory(self) -> Memory:
        """As `lines_memory`."""
        return lines_memory(self.plan)

    def cost(self) -> Cost | None:
        """Not estimated: the matrix is drawn whole, its cost is n² a trial."""
        return None

    def judged(self, found: LineMeasurements) -> Judged:
        """The verdict on the state evolution.  Error: as `judge`.  Source: `lines_validation`."""
        return lines_validation(found, self.level)

    def data(self) -> dict[str, Any]:
        """Plain data, from which `experiment_of` makes an equal experiment."""
        return {"kind": self.kind, "plan": self.plan.data(), "level": _level_data(self.level)}


Experiment = LinearExperiment | KernelExperiment | LinesExperiment


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
        level = None if data["level"] is None else Level(**data["level"])
        if data["kind"] == LinearExperiment.kind:
            plan = Plan.of(data["plan"])
            return LinearExperiment(program_of(data["program"]), data["values"], plan, level)
        if data["kind"] == KernelExperiment.kind:
            return KernelExperiment(KernelPlan.of(data["plan"]), level)
        return LinesExperiment(LinesPlan.of(data["plan"]), level)
    except (KeyError, TypeError) as error:
        raise StoreError("experiment", "the plan of a run", f"{type(error).__name__}: {error}",
                         "It is of another version of wideproof.") from error  # fmt: skip


def _level_data(level: Level | None) -> dict[str, Any] | None:
    return None if level is None else asdict(replace(level, effects=dict(level.effects)))


def setting_of(experiment: Experiment) -> str:
    """Return as text all that the numbers of a chunk depend on: equal for runs whose chunks can be put together."""
    data = experiment.data()
    plan = {key: value for key, value in data["plan"].items() if key not in EXTENDED}
    return json.dumps(data | {"plan": plan, "level": None}, sort_keys=True)


def extended(experiment: Any, trials: int | None, width: int | None) -> Any:
    """Return an experiment with more trials or another ladder of widths, whose chunks of the same place are the same.

    The lags, inputs and outputs stay those of the run, which are chosen from its first width and trials.
    Errors: those of a plan.
    """
    change: dict[str, Any] = {} if trials is None else {"trials": trials}
    if width is not None:
        change |= {"width": width, "widths": ()}
    if isinstance(experiment.plan, Plan):
        change["kernel_trials"] = None
    return replace(experiment, plan=replace(experiment.plan, **change))
