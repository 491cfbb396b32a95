"""What the report of an alternating program states, derived and measured once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from wideproof.derive import Derivation
from wideproof.derive.alternating.corrections import alternating_program, corrections
from wideproof.derive.alternating.evaluation import StateEvolution, errors_of
from wideproof.derive.alternating.line_limits import limits
from wideproof.derive.alternating.terms import About
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Check, Verdict, overall
from wideproof.numeric.runs.stages import Stage
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Tasks, later
from wideproof.numeric.validation.alternating import LineMeasurements, draw_parts, line_settings, lines_plan
from wideproof.numeric.validation.validate import validated

PARTS_WIDTH, WITHOUT_TRIALS = 2048, 200


@dataclass(frozen=True)
class LinesRun:
    """Everything the report of an alternating program states.

    `without` are measurements without correction terms; None where the program has no corrected product. `parts` are
    Gaussian parts of one draw in standard deviations, with and without correction terms, by line.
    """

    program: AlternatingProgram
    corrections: Derivation
    evolution: Derivation
    values: dict[str, float]
    limits: dict[About, float]
    error: float
    seed: int
    measured: LineMeasurements
    without: LineMeasurements | None
    checks: tuple[Check, ...]
    parts: dict[int, Host]
    parts_without: dict[int, Host]

    @property
    def nu(self) -> dict[str, float]:
        """The numbers of the symbols."""
        return self.values

    @property
    def verdict(self) -> Verdict:
        """The joint verdict of the checks."""
        return overall(self.checks)

    @property
    def trials(self) -> int:
        """Draws at each width."""
        return self.measured.trials

    @property
    def errors(self) -> dict[str, float]:
        """The limits of the mean squares, by the names of their vectors."""
        return errors_of(self.limits)

    def record(self) -> dict[str, Any]:
        """The numbers of the run as plain data, for run.json."""
        found: dict[str, Any] = {"measured": self.measured.record(), "error_estimate": self.error}
        found["limits"] = {str(x): value for x, value in self.limits.items()}
        found["checks"] = [asdict(check) for check in self.checks]
        return found | ({"without": self.without.record()} if self.without else {})


def run_lines(
    alternating: Alternating | AlternatingProgram, stage: Stage, seed: int = 0, width: int = 1024,
    trials: int | None = None, draws: Mapping[str, Any] | None = None, tasks: Tasks = NOTHING_KEPT, **given: float,
) -> LinesRun:  # fmt: skip
    """Derive and verify, then confirm by draws of the matrix, with and without the correction terms.

    `draws` and `tasks` as `run_linear` takes them.

    Errors: those of the derivations; ParameterError for a missing symbol.
    """
    program = alternating_program(alternating)
    values = line_settings(program, given)
    with stage("derivation and proofs") as progress:
        derived = corrections(program), limits(program)
        for done, derivation in enumerate(derived, 1):
            derivation.proof.verify()
            progress(done, len(derived))
    numbers, error = StateEvolution(derived[1]).evaluate(**values)
    with stage("Monte Carlo over a ladder of widths") as progress:
        drawn = later(partial(validated, program, width, trials, seed, progress, draws or {}, values))
    without, plain = None, {}
    if any(line.corrected for _, line in program.lines):
        with stage("the same without correction terms") as progress:
            plan = lines_plan(program, values, width, trials, seed, "numpy")
            fewer = replace(plan, trials=min(plan.trials, WITHOUT_TRIALS), onsager=0.0, widths=(width,))
            without = later(partial(tasks.gathered, LineMeasurements, fewer, "without-corrections", progress))
    found = drawn()
    if without is not None:
        plain = draw_parts(program, numbers, PARTS_WIDTH, seed, 0.0, **values)
    parts = draw_parts(program, numbers, PARTS_WIDTH, seed, **values)
    return LinesRun(program, *derived, values, numbers, error, seed, found.measurements,
                    None if without is None else without(), found.checks, parts, plain)  # fmt: skip
