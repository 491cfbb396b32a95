"""The kernels of any recursion against their derived limits: the experiment, and what is usual in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from wideproof.derive import Program
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import to_host
from wideproof.numeric.core.checks import Judged, Level
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.runs.memory import refuse_too_large
from wideproof.numeric.validation.experiment import PlanOptions, ProgramExperiment
from wideproof.numeric.validation.kernels import KernelMeasurements, KernelPlan, Power, kernel_power, kernel_validation
from wideproof.numeric.validation.kernels.power import default_trials
from wideproof.numeric.validation.kernels.runner import estimate_kernel_cost
from wideproof.numeric.validation.linear_rnn.cost import Cost
from wideproof.numeric.validation.linear_rnn.experiment import DEFAULTS

TRIALS = 1500
DEFAULT_HORIZON = 4
KERNEL_DEFAULTS = DEFAULTS | {"nu_W": 0.8, "nu_U": 0.8, "nu_b": 0.1, "nu_c": 0.1, "alpha": 0.5}
"""Our assumption for the symbols of the gallery where the recursion is not the linear RNN."""


@dataclass(frozen=True)
class KernelExperiment(ProgramExperiment):
    """Both kernels of a recursion on a few sequences; `limits` are derived once, when it is planned or judged."""

    plan: KernelPlan
    level: Level | None = None
    limits: Kernel | None = field(default=None, repr=False, compare=False)
    kind = "kernels"
    measurements = KernelMeasurements

    @classmethod
    def covers(cls, program: Program) -> bool:
        """Whether it is a recursion, of which there are kernels."""
        return type(program) is Program

    @classmethod
    def usual(cls, program: Program) -> Mapping[str, float]:
        """`KERNEL_DEFAULTS`."""
        return KERNEL_DEFAULTS

    @classmethod
    def planned(cls, program: Program, asked: PlanOptions) -> KernelExperiment:
        """As `Experiment.planned`: it takes no dtype.  Error: ParameterError also where the limit is infinite."""
        values = cls.settings(program, asked.nu, asked.options)
        if asked.dtype != "float64":
            hint = "Single precision is offered for whole matrices of the linear RNN: leave dtype out."
            raise ParameterError("validate: dtype", "float64", asked.dtype, hint)
        plan = KernelPlan(
            program, values, asked.width, asked.trials or TRIALS, asked.horizon or DEFAULT_HORIZON, seed=asked.seed,
            sampler=asked.sampler, backend=asked.backend, target=asked.budget,
        )  # fmt: skip
        limits = Kernel(program, **dict[str, Any](values))
        if limits.is_stepped:
            refuse_infinite(limits, plan)
        if asked.trials is None:
            refuse_too_large(f"validate {program.name}", cls(plan, asked.level).memory(), 1, plan.backend)
            plan = replace(plan, trials=default_trials(plan, asked.level))
        return cls(plan, asked.level, limits)

    def announced(self) -> Iterator[Any]:
        """The time of the run, and what it can decide, unless it stops where it is precise enough."""
        yield from super().announced()
        if self.plan.target is None:
            yield self.power()

    def cost(self) -> Cost:
        """As `estimate_kernel_cost`."""
        return estimate_kernel_cost(self.plan)

    def power(self) -> Power:
        """As `kernel_power`."""
        return kernel_power(self.plan, self.level)

    def judged(self, found: KernelMeasurements) -> Judged:
        """The verdict on the derived kernels.  Error: as `judge`.  Source: `Kernel`."""
        limits = self.limits or Kernel(self.plan.program, **dict[str, Any](self.plan.values))
        return kernel_validation(found, limits, self.level)


def refuse_infinite(limits: Kernel, plan: KernelPlan) -> None:
    """Refuse, before networks are drawn, a limit that no network can be measured against.

    Error: ParameterError for an infinite limit, NotClosed where the tangent kernel does
    not exist.  Source: definition.
    """
    for name in ("nngp", "ntk"):
        with np.errstate(over="ignore", invalid="ignore"):
            steps = np.diagonal(np.all(np.isfinite(to_host(getattr(limits, name)(plan.inputs))), axis=(0, 2)))
        if not steps.all():
            where, got = f"validate {plan.program.name}", f"the {name} is beyond {np.finfo(float).max:.0e}"
            hint = "The variance grows without bound here: pass smaller variances, such as nu_W=0.05 and nu_F=0.1."
            raise ParameterError(where, "a limit that is finite", f"{got} from step {int(np.argmin(steps))} on", hint)
