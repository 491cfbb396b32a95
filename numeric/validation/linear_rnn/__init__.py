"""Monte Carlo at finite width against a limit: plan, simulate, judge."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from wideproof.derive import models
from wideproof.numeric.core.checks import LIMIT, Claim, Level, judge
from wideproof.numeric.core.width_ladder import WIDE, is_wide
from wideproof.numeric.validation.judged import Validation, narrow_warnings
from wideproof.numeric.validation.ladder import LEAST_WIDTHS
from wideproof.numeric.validation.linear_rnn.claims import judge_linear, last_lag, linear_claims
from wideproof.numeric.validation.linear_rnn.cost import Cost, estimate_cost
from wideproof.numeric.validation.linear_rnn.exact import FOURTH_ORDER, ExactMeans, exact_means
from wideproof.numeric.validation.linear_rnn.finite_width import KERNEL_LAGS, FiniteWidth, finite_width
from wideproof.numeric.validation.linear_rnn.plan import Plan, variances
from wideproof.numeric.validation.linear_rnn.runner import Measurements

__all__ = [
    "KERNEL_LAGS",
    "Cost",
    "ExactMeans",
    "FiniteWidth",
    "Measurements",
    "Plan",
    "estimate_cost",
    "exact_means",
    "finite_width",
    "judge_linear",
    "linear_claims",
    "linear_validation",
    "variances",
]


def linear_validation(
    found: Measurements, second_moment: ArrayLike, scale_factor: ArrayLike, level: Level | None = None,
    exact: ExactMeans | None = None,
) -> Validation:  # fmt: skip
    """Compare the linear recursion at finite width with its predicted limit, extrapolated over the ladder.

    With `exact`, what no exact mean is known of is judged within reach of its limit alone.
    Shapes: second_moment (T,), limiting variance of an entry of L_j; scale_factor (T,), limiting NTK weights.
    Units: as `linear_claims`.  Error: a true prediction is refuted with probability <= level.false_alarm.
    Source: `judge`.
    """
    claims = linear_claims(found, second_moment, scale_factor, exact)
    reach = sum(limit_in_reach(found.plan, lag) for lag in range(found.plan.horizon))
    left = [claim for claim in claims if exact and last_lag(claim.lag) >= reach and not _second_order(claim)]
    judged = judge([claim for claim in claims if claim not in left], level)
    plan = found.plan
    nu = {"nu_W": plan.nu_W, "nu_F": plan.nu_F, "nu_C": plan.nu_C}
    warnings = narrow_warnings(models.linear_rnn().program(), nu, plan)
    return Validation(sampler_text(plan), judged, found, _not_judged(left, plan.horizon), warnings)


def _second_order(claim: Claim) -> bool:
    """Whether it speaks about an exact mean that a number of trials in reach can measure at any width."""
    return claim.prediction_at != LIMIT and claim.quantity not in FOURTH_ORDER


def limit_in_reach(plan: Plan, lag: int) -> bool:
    """Say whether three widths of the ladder are wide for a lag."""
    return sum(is_wide(width, lag) for width in plan.widths) >= LEAST_WIDTHS


def _not_judged(left: Sequence[Claim], horizon: int) -> tuple[str, ...]:
    """For each quantity the first lag that these widths leave out, the reason, and the width that would not."""
    told, need = dict[str, str](), 4 * WIDE * horizon**2
    for claim in left:
        why = "a fourth moment has a long tail" if claim.quantity in FOURTH_ORDER else "only its limit is known"
        text = f"{claim.quantity} from lag {last_lag(claim.lag)} on: {why} at these widths; use width >= {need}"
        told.setdefault(claim.quantity, text)
    return tuple(told.values())


def sampler_text(plan: Plan) -> str:
    """Say which sampler each group of measurements used at the largest width, and why.

    Source: `choose`.
    """
    response, kernel = (plan.choice(group, plan.width) for group in ("response", "kernel"))
    return f"L: {response.name} ({response.reason}); kernel: {kernel.name} ({kernel.reason})"
