"""Alternating programs at finite width: mean squares of their vectors against the derived state evolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from wideproof.derive.alternating.evaluation import StateEvolution, errors_of
from wideproof.derive.alternating.line_limits import line_evolution
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.checks import Check, Claim, Level, judge
from wideproof.numeric.validation.alternating.plan import NARROWEST, LinesPlan, coefficients_of
from wideproof.numeric.validation.alternating.runner import LineMeasurements
from wideproof.numeric.validation.judged import Validation
from wideproof.numeric.validation.ladder import Rungs, at_infinity

EFFECT = Level(effects={"mean-square": 0.03})
TRIALS = 1200
LINES_METHOD = "dense: the matrix and the sources drawn in every trial"


def lines_plan(
    program: AlternatingProgram, values: Mapping[str, float], width: int, trials: int | None, seed: int, backend: str
) -> LinesPlan:
    """Return the plan of a confrontation of the derived state evolution with draws of the matrix.

    Shapes, units, error: as `LinesPlan`; ParameterError for a width that has no ladder.  Source: `line_evolution`.
    """
    if width < NARROWEST:
        hint = "The ladder ends at a quarter of it."
        raise ParameterError(f"validate {program.name}: width", f"{NARROWEST} or more", width, hint)
    limits = _evolution(program)(**values)
    return LinesPlan(program, values, width, TRIALS if trials is None else trials, seed=seed, backend=backend,
                     coefficients=coefficients_of(limits))  # fmt: skip


@lru_cache(maxsize=8)
def _evolution(program: AlternatingProgram) -> StateEvolution:
    """The derived state evolution, derived once for the plan and the verdict."""
    return line_evolution(program)


def lines_validation(found: LineMeasurements, level: Level | None) -> Validation:
    """Judge measured mean squares by the derived state evolution.

    Shapes, units, error: as `judge_lines`.  Source: `line_evolution`.
    """
    limits = errors_of(_evolution(found.plan.program)(**found.plan.values))
    return Validation(LINES_METHOD, judge_lines(found, list(limits.values()), level or EFFECT), found)


def judge_lines(found: LineMeasurements, limits: Sequence[float], level: Level = EFFECT) -> tuple[Check, ...]:
    """Return the verdict on the limit of every named vector, from measurements at growing widths.

    Shapes: limits (vectors,).  Units: of the mean squares.  Error: that of `judge`.
    Source: `numeric.core.width_ladder`.
    """
    return judge([_claim(k, limit, found) for k, limit in enumerate(limits)], level)


def _claim(k: int, limit: float, found: LineMeasurements) -> Claim:
    """A quadratic in 1/n over all widths, guarded by a line over all but the narrowest."""
    rungs = Rungs("mean-square", k, found.widths, found.trials, found.means[:, k], found.stderrs[:, k], 1.0, 1)
    return at_infinity(rungs, limit, max(0, min(2, len(found.widths) - 2)))
