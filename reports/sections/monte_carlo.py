"""The Monte Carlo over a ladder of widths, of any kind of models: a run of its own in the folder of the report."""

from __future__ import annotations

from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.judged import Validation
from wideproof.numeric.validation.validate import validated
from wideproof.reports.sections.needs import Making, measured


@measured("Monte Carlo over a ladder of widths", record=lambda found: {"validation": found.checks},
          checks=lambda found: found.checks)  # fmt: skip
def validation(run: Making, progress: Progress) -> Validation:
    """The checks of the limits by random draws, and what was measured."""
    return validated(run.program, run.width, run.trials, run.seed, progress, run.draws, run.nu)
