"""Monte Carlo at finite width against a limit: plan, simulate, judge."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from wideproof.numeric.core.checks import Judged, Level
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.linear_rnn.claims import judge_linear, linear_claims
from wideproof.numeric.validation.linear_rnn.cost import Cost, estimate_cost
from wideproof.numeric.validation.linear_rnn.plan import Plan
from wideproof.numeric.validation.linear_rnn.runner import Measurements, linear_simulate

__all__ = [
    "Cost",
    "Measurements",
    "Plan",
    "Validation",
    "estimate_cost",
    "judge_linear",
    "linear_claims",
    "linear_simulate",
    "linear_validation",
    "monte_carlo_linear",
]


@dataclass(frozen=True, repr=False)
class Validation(Judged):
    """The checks of the linear recursion, and what was measured.

    Shapes, units, error: as `Judged`.  Source: `monte_carlo_linear`.

    >>> wp.validate(wp.models.linear_rnn(), width=64, trials=100, seed=1)
    Validation(undecided: 13 checks, 3 holds, 10 undecided)
    """

    measurements: Measurements


def monte_carlo_linear(
    plan: Plan,
    second_moment: ArrayLike,
    scale_factor: ArrayLike,
    level: Level | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Compare the linear recursion at finite width with its predicted limit, extrapolated over the ladder.

    Shapes: second_moment (T,), limiting variance of an entry of L_j; scale_factor (T,), limiting NTK weights.
    Units: as `linear_claims`.  Error: a true prediction is refuted with probability <= level.false_alarm.
    Source: `linear_simulate` and `judge`.
    """
    return linear_validation(linear_simulate(plan, progress), second_moment, scale_factor, level)


def linear_validation(
    found: Measurements, second_moment: ArrayLike, scale_factor: ArrayLike, level: Level | None = None
) -> Validation:
    """Judge what was measured.  Shapes, units, error: as `monte_carlo_linear`.  Source: `judge`."""
    return Validation(sampler_text(found.plan), judge_linear(found, second_moment, scale_factor, level), found)


def sampler_text(plan: Plan) -> str:
    """Say which sampler each group of measurements used at the largest width, and why.

    Source: `choose`.
    """
    response, kernel = (plan.choice(group, plan.width) for group in ("response", "kernel"))
    return f"L: {response.name} ({response.reason}); kernel: {kernel.name} ({kernel.reason})"
