"""From one quantity measured at several widths to a claim: at infinite width, or at the width itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import LIMIT, Claim, Lag
from wideproof.numeric.core.width_ladder import WIDE, extrapolate, first_correction, is_wide

LEAST_TRIALS = 100  # below, a standard error is too rough for the tail of the normal law
LEAST_WIDTHS = 3
SKEWED = 0.1
"""Skewness of a mean up to which the normal law's two-sided tail is right within a factor of four at 1e-4."""


@dataclass(frozen=True)
class Rungs:
    """One quantity at one place, measured at increasing widths; inverse variances grow as n^precision a trial.

    Shapes: means, stderrs (K,).  Units: of the quantity.  Error: stderrs.  Source: definition.
    """

    quantity: str
    lag: Lag
    widths: tuple[int, ...]
    trials: int
    means: Host
    stderrs: Host
    precision: float = 0.0
    least_trials: int = LEAST_TRIALS

    @property
    def array(self) -> Host:
        """The widths as numbers.  Shapes: (K,)."""
        return np.asarray(self.widths, dtype=np.float64)

    def wide_for(self, last: int) -> Rungs:
        """The rungs that are wide for a lag; the widest alone where none is."""
        keep = [k for k, width in enumerate(self.widths) if is_wide(width, last)] or [len(self.widths) - 1]
        return Rungs(self.quantity, self.lag, tuple(self.widths[k] for k in keep), self.trials, self.means[keep],
                     self.stderrs[keep], self.precision, self.least_trials)  # fmt: skip

    @property
    def too_few(self) -> str:
        """Say how many trials a standard error needs; "" where there are enough."""
        if self.trials >= self.least_trials:
            return ""
        return f"{self.trials} trials give no reliable standard error: use {self.least_trials} or more"


def out_of_reach(rungs: Rungs, last: int, place: str) -> str:
    """Say which width brings the limit at a lag within reach; "" where three widths of the ladder are wide for it."""
    if len(rungs.widths) >= LEAST_WIDTHS:
        return ""
    return f"{place} {last} is outside the theory at these widths: use width >= {4 * WIDE * (last + 1) ** 2}"


def at_infinity(
    rungs: Rungs, prediction: float, degree: int, *, obstacle: str = "", scale: float = 0.0, error: float = 0.0
) -> Claim:
    """Return the claim that a limit is what the rungs extrapolate to, guarded by the next lower degree in 1/n.

    Shapes: `Rungs`.  Units: of the quantity; `error` is that of the prediction.  Error: as `extrapolate`.
    Source: `extrapolate`, `first_correction`.
    """
    n, means, stderrs, precision = rungs.array, rungs.means, rungs.stderrs, rungs.precision
    fit = extrapolate(n, means, stderrs, degree, precision)
    guard = None
    if fit.degree and fit.stderr:
        low = extrapolate(n[1:], means[1:], stderrs[1:], fit.degree - 1, precision)
        guard = low.mean, low.stderr
    correction = first_correction(n, means, stderrs, prediction, fit.degree, precision, error)
    return Claim(
        rungs.quantity, rungs.lag, rungs.widths, rungs.trials, prediction, fit.mean, fit.stderr,
        f"width ladder, degree {fit.degree} in 1/n", rungs.too_few or obstacle, fit.lack_of_fit, guard, scale, error,
        LIMIT, correction=None if len(rungs.widths) < LEAST_WIDTHS else correction,
    )  # fmt: skip


def at_width(rungs: Rungs, exact: Host, limit: float, spread: float) -> Claim:
    """Return the claim that the exact mean at each width is what was measured there, read at the largest of them.

    The deviations of all rungs are averaged, as parts of the exact means where the limit is not zero; `spread` is the
    relative variance of one trial at the largest width, from which the trials follow that its tail needs.
    Shapes: exact (K,).  Units: of the quantity.  Error: stderr.  Source: `extrapolate` of degree 0.
    """
    if limit and np.all(exact != 0):
        fit, size = extrapolate(rungs.array, rungs.means / exact, rungs.stderrs / exact, 0, rungs.precision), exact[-1]
        estimate, stderr = size * fit.mean, abs(size) * fit.stderr
    else:
        fit = extrapolate(rungs.array, rungs.means - exact, rungs.stderrs, 0, rungs.precision)
        estimate, stderr = exact[-1] + fit.mean, fit.stderr
    need = trials_for_tail(spread)
    obstacle = "" if rungs.trials >= need else f"the tail is long at n = {rungs.widths[-1]}: use {need} trials or more"
    width = f"n = {rungs.widths[-1]}"
    return Claim(
        rungs.quantity, rungs.lag, rungs.widths, rungs.trials, float(exact[-1]), float(estimate), float(stderr),
        f"exact mean at {width}", rungs.too_few or obstacle, fit.lack_of_fit,
        scale=abs(float(exact[-1])) if limit else 1.0, prediction_at=width, limit=limit,
        raw=(float(rungs.means[-1]), float(rungs.stderrs[-1])),
    )  # fmt: skip


def trials_for_tail(spread: float) -> int:
    """Return how many trials the mean of positive numbers of this relative variance needs for a normal tail.

    Units: trials.  Error: a rule, not a theorem: the skewness is taken as 3 max(√v, v), which is 0.9 to 2 times that
    of the squared entries of L_j at n = 5 to 1024, lags to 5.  Source: measured; Edgeworth's first correction.
    """
    skewness = 3.0 * max(math.sqrt(spread), spread)
    return math.ceil((skewness / SKEWED) ** 2) if math.isfinite(skewness) else LEAST_TRIALS
