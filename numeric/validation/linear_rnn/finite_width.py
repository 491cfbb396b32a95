"""Second moments of L_j, mean and variance of the tangent kernel at narrow widths, judged by what is exact there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wideproof.derive import Program, impulse_response, ntk_mean, ntk_variance, scale_factors
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Check, Claim, judge
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.runs.gathering import Progress, gather
from wideproof.numeric.validation.ladder import Rungs, at_width
from wideproof.numeric.validation.linear_rnn.claims import relative_variance
from wideproof.numeric.validation.linear_rnn.exact import exact_means
from wideproof.numeric.validation.linear_rnn.features import pairs
from wideproof.numeric.validation.linear_rnn.plan import Plan, variances
from wideproof.numeric.validation.linear_rnn.runner import Measurements

WIDTHS, LAGS, TRIALS, SIDES = (8, 12, 16, 32, 64), (2, 3, 4), 30_000, 4
KERNEL_LAGS = (0, 1, 2)
"""Lags of the entries of the tangent kernel."""
QUANTITY, KERNEL_MEAN, KERNEL_VARIANCE = "second-moment", "ntk-mean", "ntk-variance"


@dataclass(frozen=True)
class FiniteWidth:
    """What was measured at each width, judged width by width; a check's `widths` is its one width.

    Second moments of L_j, lag by lag; then mean and variance of the kernel's entry of each of its lags.
    Shapes: checks (quantities x lags x widths,).  Units: of the quantity.  Error: as `judge`.  Source: `finite_width`.
    """

    widths: tuple[int, ...]
    lags: tuple[int, ...]
    checks: tuple[Check, ...]

    def of(self, lag: int, quantity: str = QUANTITY) -> tuple[Check, ...]:
        """The checks of a quantity at a lag, by width."""
        return tuple(check for check in self.checks if check.lag == lag and check.quantity == quantity)


def finite_width(
    program: Program, values: Mapping[str, float], widths: Sequence[int] = WIDTHS, trials: int = TRIALS,
    seed: int = 0, progress: Progress | None = None,
) -> FiniteWidth:  # fmt: skip
    """Compare exact second moments and entries of the kernel with random networks of each width, and their limits.

    Shapes: as `FiniteWidth`.  Units: nu_M is the variance of an entry of M.
    Error: a true value is refuted with probability <= Level().false_alarm.
    Source: derive.moments, derive.ntk_mean, derive.ntk_variance.
    """
    plan = Plan(max(widths), trials, max(*LAGS, *KERNEL_LAGS) + 1, **variances(program, values), n_x=SIDES, n_y=SIDES,
                seed=seed, kernel_trials=trials, widths=tuple(widths))  # fmt: skip
    found, exact = gather(Measurements, plan, progress), exact_means(program, plan, values)
    limits = impulse_response(program).formula.compile("numpy")(j=np.asarray(LAGS), **values)
    claims = [_claim(found, lag, width, exact[QUANTITY, lag][width], float(limit))
              for lag, limit in zip(LAGS, limits, strict=True) for width in widths]  # fmt: skip
    claims += [claim for lag in KERNEL_LAGS for claim in _kernel_claims(found, program, values, lag)]
    return FiniteWidth(tuple(widths), LAGS, judge(claims))


def _claim(found: Measurements, lag: int, width: int, exact: float, limit: float) -> Claim:
    estimate = found.moments["response", width, "lag"].feature(1)
    means: tuple[Host, Host] = np.array([estimate.mean[lag]]), np.array([estimate.stderr[lag]])
    rungs = Rungs(QUANTITY, lag, (width,), estimate.count, *means)
    return at_width(rungs, np.array([exact]), limit, relative_variance(found, "response", width, lag, 1))


def _kernel_claims(found: Measurements, program: Program, values: Mapping[str, float], lag: int) -> Iterator[Claim]:
    """The mean and the variance of the entry of a lag with itself, at each width; the limit of the variance is 0."""
    limit = float(scale_factors(program).formula.compile("numpy")(j=lag, **values))
    made = {KERNEL_MEAN: ntk_mean(program, lag), KERNEL_VARIANCE: ntk_variance(program, lag)}
    place = pairs(found.plan.horizon, equal=True).index((lag, lag))
    for quantity, derivation in made.items():
        formula = derivation.formula.compile("numpy")
        at = {name: values[name] for name in derivation.formula.symbols if name != "n"}
        for width in found.plan.widths:
            exact = float(formula(n=float(width), **at))
            rungs, spread = _kernel_rung(found.moments["kernel", width, "pair"], place, quantity, lag, width)
            yield replace(
                at_width(rungs, np.array([exact]), exact, spread), limit=limit if quantity == KERNEL_MEAN else 0.0
            )


def _kernel_rung(moments: Moments, place: int, quantity: str, lag: int, width: int) -> tuple[Rungs, float]:
    """The mean, or the variance, of an entry at one width; and the relative variance of the entry, or of its square."""
    square, mean = moments.mean[place, 0], moments.mean[place, 1]
    feature = int(quantity == KERNEL_MEAN)
    value, slopes = (mean, (0.0, 1.0, 0.0)) if feature else (square - mean**2, (1.0, -2.0 * mean, 0.0))
    measured = Moments(moments.count, moments.mean[place], moments.comoment[place]).estimate(value, slopes)
    size = moments.mean[place, feature]
    spread = float(moments.comoment[place, feature, feature] / max(moments.count - 1, 1) / size**2) if size else 0.0
    means: tuple[Host, Host] = np.array([float(measured.mean)]), np.array([float(measured.stderr)])
    return Rungs(quantity, lag, (width,), measured.count, *means), spread
