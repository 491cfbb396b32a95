"""Second moments of the impulse response at narrow widths, each width judged by its exact mean, beside the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wideproof.derive import Program, impulse_response
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Check, Claim, Level, judge
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.ladder import Rungs, at_width
from wideproof.numeric.validation.linear_rnn.claims import relative_variance
from wideproof.numeric.validation.linear_rnn.exact import exact_means
from wideproof.numeric.validation.linear_rnn.plan import Plan
from wideproof.numeric.validation.linear_rnn.runner import Measurements, linear_simulate

WIDTHS, LAGS, TRIALS, SIDES = (8, 12, 16, 32, 64), (2, 3, 4), 30_000, 4
QUANTITY = "second-moment"


@dataclass(frozen=True)
class FiniteWidth:
    """Measured second moments, judged width by width; a check's `widths` is its one width.

    Shapes: checks (lags x widths,), lag by lag.  Units: output^2/input^2.  Error: as `judge`.  Source: `finite_width`.
    """

    widths: tuple[int, ...]
    lags: tuple[int, ...]
    checks: tuple[Check, ...]

    def of(self, lag: int) -> tuple[Check, ...]:
        """The checks of a lag, by width."""
        return tuple(check for check in self.checks if check.lag == lag)


def finite_width(
    program: Program, values: Mapping[str, float], widths: Sequence[int] = WIDTHS, lags: Sequence[int] = LAGS,
    trials: int = TRIALS, seed: int = 0, level: Level | None = None, progress: Progress | None = None,
) -> FiniteWidth:  # fmt: skip
    """Compare the exact second moment of L_j with random networks of each width, and the limit taken for it.

    Shapes: as `FiniteWidth`.  Units: nu_M is the variance of an entry of M.
    Error: a true mean is refuted with probability <= level.false_alarm.  Source: derive.moments.
    """
    at = {program.symbols[name]: value for name, value in values.items()}
    nu_W, nu_F, nu_C = (
        float(next(p for p in program.parameters if p.role == role).variance.subs(at))
        for role in ("matrix", "input_map", "readout")
    )
    plan = Plan(max(widths), trials, max(lags) + 1, nu_W, nu_F, nu_C, SIDES, SIDES, seed, kernel_trials=2,
                widths=tuple(widths))  # fmt: skip
    found, exact = linear_simulate(plan, progress), exact_means(program, plan, values)
    limits = impulse_response(program).formula.compile("numpy")(j=np.asarray(lags), **values)
    claims = [_claim(found, lag, width, exact[QUANTITY, lag][width], float(limit))
              for lag, limit in zip(lags, limits, strict=True) for width in widths]  # fmt: skip
    return FiniteWidth(tuple(widths), tuple(lags), judge(claims, level))


def _claim(found: Measurements, lag: int, width: int, exact: float, limit: float) -> Claim:
    estimate = found.moments["response", width, "lag"].feature(1)
    means: tuple[Host, Host] = np.array([estimate.mean[lag]]), np.array([estimate.stderr[lag]])
    rungs = Rungs(QUANTITY, lag, (width,), estimate.count, *means)
    return at_width(rungs, np.array([exact]), limit, relative_variance(found, "response", width, lag, 1))
