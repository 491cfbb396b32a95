"""What several sections on an alternating program need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from wideproof.derive.alternating.corrections import corrections as derive_corrections
from wideproof.derive.alternating.evaluation import errors_of
from wideproof.derive.alternating.line_limits import line_evolution, state_evolution
from wideproof.derive.alternating.terms import About
from wideproof.derive.emit.derivation import of_kind
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.alternating import LineMeasurements, lines_plan
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Making, ReportRun, concluded, derived, measured

WITHOUT_TRIALS = 200

corrections = derived(derive_corrections)
evolution = derived(state_evolution)


def program_of(run: ReportRun) -> AlternatingProgram:
    """The program of a run, which alternates."""
    return of_kind(run.program, AlternatingProgram)


@dataclass(frozen=True)
class EvaluatedLimits:
    """The limits at the numbers used, and the error of the integrals among them."""

    limits: dict[About, float]
    error: float

    @property
    def errors(self) -> dict[str, float]:
        """The limits of the mean squares, by the names of their vectors."""
        return errors_of(self.limits)

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {"limits": {str(x): value for x, value in self.limits.items()}, "error_estimate": self.error}


@concluded(record=EvaluatedLimits.record)
def evaluated(run: Making, progress: Progress) -> EvaluatedLimits:
    """The state evolution at the numbers used."""
    return EvaluatedLimits(*line_evolution(run[evolution]).evaluate(**run.nu))


@measured("", record=lambda found: {"without": found and found.record()})
def without(run: Making, progress: Progress) -> LineMeasurements | None:
    """Measurements without the correction terms; None where no product is corrected."""
    program = program_of(run)
    if not any(line.corrected for _, line in program.lines):
        return None
    plan = lines_plan(program, run.nu, run.width, run.trials, run.seed, "numpy")
    fewer = replace(plan, trials=min(plan.trials, WITHOUT_TRIALS), onsager=0.0, widths=(run.width,))
    with run.stage("the same without correction terms") as shown:
        return run.tasks.gathered(LineMeasurements, fewer, "without-corrections", shown)


@concluded(record=lambda found: {"measured": found.record()})
def measurements(run: Making, progress: Progress) -> LineMeasurements:
    """The mean squares of the draws with the correction terms."""
    found: LineMeasurements = run[validation].measurements
    return found
