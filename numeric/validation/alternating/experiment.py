"""Alternating programs against their derived state evolution: the experiment, and what is usual in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wideproof.derive import Program
from wideproof.derive.alternating.evaluation import check_laws
from wideproof.derive.emit.derivation import of_kind
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.checks import Judged, Level
from wideproof.numeric.validation.alternating.claims import lines_plan, lines_validation
from wideproof.numeric.validation.alternating.plan import LinesPlan
from wideproof.numeric.validation.alternating.runner import LineMeasurements
from wideproof.numeric.validation.experiment import PlanOptions, ProgramExperiment

DEFAULTS = {"delta": 0.5, "epsilon": 0.25, "nu_w": 0.2, "theta_0": 0.8}
THRESHOLD = 0.7
"""Our assumption for the symbols of the gallery; thresholds after the first are all alike."""


@dataclass(frozen=True)
class LinesExperiment(ProgramExperiment):
    """The mean squares of the named vectors of an alternating program."""

    plan: LinesPlan
    level: Level | None = None
    kind = "lines"
    measurements = LineMeasurements

    @classmethod
    def covers(cls, program: Program) -> bool:
        """Whether it alternates a matrix and its transpose."""
        return type(program) is AlternatingProgram

    @classmethod
    def usual(cls, program: Program) -> Mapping[str, float]:
        """`DEFAULTS`, and `THRESHOLD` for the others."""
        return dict.fromkeys((name for name in program.symbols if name.startswith("theta_")), THRESHOLD) | DEFAULTS

    @classmethod
    def settings(cls, program: Program, nu: Mapping[str, float], options: tuple[str, ...] = ()) -> dict[str, float]:
        """As `Experiment.settings`.  Error: ParameterError also where the laws mean nothing at these numbers."""
        values = super().settings(program, nu, options)
        check_laws(of_kind(program, AlternatingProgram), values, f"validate {program.name}")
        return values

    @classmethod
    def planned(cls, program: Program, asked: PlanOptions) -> LinesExperiment:
        """As `Experiment.planned`: it takes a width, trials and a seed.

        Error: ParameterError also for a width that has no ladder.  Source: `line_evolution`.
        """
        if (asked.sampler, asked.budget, asked.dtype, asked.horizon) != ("auto", None, "float64", None):
            hint = "Its matrix is drawn whole, in double precision."
            raise ParameterError(f"validate {program.name}", "width, trials, seed, device", "another option", hint)
        values, lines = cls.settings(program, asked.nu, asked.options), of_kind(program, AlternatingProgram)
        return cls(lines_plan(lines, values, asked.width, asked.trials, asked.seed, asked.backend), asked.level)

    def warn(self) -> None:
        """Nothing: the plan has no narrow widths."""

    def cost(self) -> None:
        """Not estimated: the matrix is drawn whole, its cost is n² a trial."""

    def judged(self, found: LineMeasurements) -> Judged:
        """The verdict on the state evolution.  Error: as `judge`.  Source: `lines_validation`."""
        return lines_validation(found, self.level)
