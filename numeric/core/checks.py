"""Checks: a prediction, an estimate with its error, and a verdict with a stated rate of false alarms.

- refuted: the Holm-adjusted p-value is at most the false-alarm level of the whole family of checks;
- holds: not refuted, and an error of the stated effect would have been refuted with the stated power;
- undecided: neither, or the estimate is not one of the limit; the note says what would decide it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from wideproof.numeric.core.inputs import real
from wideproof.numeric.core.shown import counted, judged_html
from wideproof.numeric.core.statistics import holm, normal_quantile, two_sided_p

Verdict = Literal["holds", "refuted", "undecided"]
Lag = int | tuple[int, ...]
LIMIT = "n = infinity"
ROUNDING = 1e-12
"""Part of the scale below which a spread is rounding."""

EFFECTS = MappingProxyType(
    {
        "second-moment": 0.15,  # relative
        "scale-factor": 0.02,  # relative
        "excess-kurtosis": 0.5,  # absolute; a uniform law has -1.2, a Laplace law 3
        "correlation": 0.1,
        "square-correlation": 0.25,
        "kernel-coupling": 0.1,  # mean square, relative to the two weights it couples
        "distribution": 0.25,  # largest distance of two distribution functions
        "nngp": 0.04,  # relative to the geometric mean of the two diagonal entries
        "ntk": 0.04,
        "ntk-mean": 0.05,  # at one width, relative
        "ntk-variance": 0.5,  # the same: a fourth moment with a long tail
    }
)


@dataclass(frozen=True)
class Level:
    """How sure: family-wise false-alarm rate, power, and per quantity the effect that must not go unnoticed.

    Shapes: scalars.  Units: probability; effects relative to the prediction where it is not zero.
    Source: definition.

    >>> wp.Level(false_alarm=0.001).power
    0.9
    """

    false_alarm: float = 0.01
    power: float = 0.9
    effects: Mapping[str, float] = field(default_factory=lambda: EFFECTS)

    def __post_init__(self) -> None:
        for name in ("false_alarm", "power"):
            real(f"Level: {name}", getattr(self, name), 0.0, above=True, below=1.0, hint="It is a probability.")
        for name, effect in self.effects.items():
            real(f"Level: effect of {name}", effect, 0.0, hint="The effect that must not go unnoticed.")


@dataclass(frozen=True)
class Claim:
    """A prediction beside its estimate, not judged yet; an obstacle says why it cannot be.

    The guard is a second estimate, of the next lower degree in 1/n on the wider widths.  What a fit omits
    moves neighbouring degrees to opposite sides, so a refutation needs both estimates on one side.
    `prediction_at` says where the prediction holds: "n = infinity", or the width of an exact mean, whose limit and
    raw mean at that width are `limit` and `raw` (mean, stderr). `prediction_error` is the error of the prediction
    itself, a standard error where it was sampled, counted in the test. `correction` (mean, stderr) is the measured
    coefficient of 1/n. An effect is relative to `scale`, the size of the prediction unless given.
    Shapes: scalars.  Units: of the quantity.  Error: stderr.  Source: `method`.
    """

    quantity: str
    lag: Lag
    widths: tuple[int, ...]
    trials: int
    prediction: float
    estimate: float
    stderr: float
    method: str
    obstacle: str = ""
    lack_of_fit: float = 1.0
    guard: tuple[float, float] | None = None  # mean, stderr
    scale: float = 0.0
    prediction_error: float = 0.0
    prediction_at: str = LIMIT
    limit: float | None = None
    raw: tuple[float, float] | None = None
    correction: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.scale:
            object.__setattr__(self, "scale", abs(self.prediction) or 1.0)

    def p_value(self) -> float:
        """Return the probability of a larger deviation to the same side in both fits, at most, if true."""
        gaps = [(self.estimate - self.prediction, self.stderr)]
        gaps += [(self.guard[0] - self.prediction, self.guard[1])] if self.guard else []
        spreads = [math.hypot(error, self.prediction_error) for _, error in gaps]
        if min(spreads) <= ROUNDING * self.scale:  # nothing is random
            return 1.0 if abs(gaps[0][0]) <= ROUNDING * self.scale else 0.0
        scores = [gap / spread for (gap, _), spread in zip(gaps, spreads, strict=True)]
        same = all(score * scores[0] > 0 for score in scores)
        return float(two_sided_p(min(map(abs, scores)) if same else 0.0))

    def detectable(self, level: float, power: float) -> float:
        """Return the smallest effect, relative to the scale, that a test at this level refutes with this power."""
        reach = normal_quantile(level / 2) + normal_quantile(1 - power)
        size = reach * math.hypot(self.stderr, self.prediction_error)
        if self.guard:
            spread = math.hypot(self.guard[1], self.prediction_error)
            size = max(size, reach * spread + abs(self.guard[0] - self.estimate))
        return size / self.scale

    def limit_verdict(self, level: float) -> str:
        """Say whether the limit, taken for the mean at this width, would be refuted at this level; "" without one."""
        if self.limit is None or self.raw is None:
            return ""
        gap, spread = abs(self.raw[0] - self.limit), self.raw[1]
        if spread <= ROUNDING * self.scale:
            return "refuted" if gap > ROUNDING * self.scale else "not refuted"
        return "refuted" if float(two_sided_p(gap / spread)) <= level else "not refuted"


@dataclass(frozen=True)
class Check:
    """A judged claim: prediction, estimate, standard error, verdict and the false-alarm rate of the verdict.

    The prediction is the limit, or the exact mean at the width that `prediction_at` names; `limit` is then the limit
    beside it, and `limit_verdict` whether it would be refuted as the mean at that width. `correction` is the measured
    coefficient of 1/n.
    Shapes: scalars; width is the largest of the ladder, trials are per width.  Units: of the quantity.
    Error: the family of checks says "refuted" of a true theory with probability at most false_alarm.
    Source: `method`.

    >>> found = wp.validate(wp.models.linear_rnn(), width=64, trials=100, seed=1)
    >>> check = found.checks[0]
    >>> check.quantity, check.lag, check.prediction
    ('second-moment', 0, 1.0)
    """

    quantity: str
    lag: Lag
    width: int
    widths: tuple[int, ...]
    trials: int
    prediction: float
    estimate: float
    stderr: float
    verdict: Verdict
    method: str
    false_alarm: float
    p_value: float
    effect: float
    detectable: float
    note: str = ""
    prediction_at: str = LIMIT
    limit: float | None = None
    limit_verdict: str = ""
    correction: float | None = None
    correction_stderr: float | None = None


def judge(claims: Sequence[Claim], level: Level | None = None) -> tuple[Check, ...]:
    """Give every claim its verdict, counting all of them together against the false-alarm level.

    Shapes: (m,) -> (m,).  Error: wrong refutation of a true theory anywhere <= false_alarm, up
    to the normal approximation of a mean; a good ladder is called ill-fitting at most as often.
    Source: Holm 1979; power at the Bonferroni level, which Holm never undercuts.
    """
    level = level or Level()
    able = [claim for claim in claims if not claim.obstacle]
    adjusted = iter(holm([claim.p_value() for claim in able]))
    fits = iter(holm([claim.lack_of_fit for claim in able]))
    each = level.false_alarm / max(1, len(able))
    checks = []
    for claim in claims:
        p, fit = (1.0, 1.0) if claim.obstacle else (float(next(adjusted)), float(next(fits)))
        checks.append(_judged(claim, p, fit, each, level))
    return tuple(checks)


def _judged(claim: Claim, p: float, fit: float, each: float, level: Level) -> Check:
    """Apply the three definitions in the order: cannot be judged, refuted, too weak, holds."""
    effect = level.effects[claim.quantity]
    reach = claim.detectable(each, level.power)
    verdict: Verdict
    if claim.obstacle:
        verdict, note = "undecided", claim.obstacle
    elif fit <= level.false_alarm:
        verdict, note = "undecided", f"the fit in 1/n leaves too much (p = {fit:.1e}): raise the width"
    elif p <= level.false_alarm:
        verdict, note = "refuted", ""
    elif not reach <= effect:
        more = (reach / effect) ** 2
        verdict, note = "undecided", f"sees {reach:.2g}, asked {effect:.2g}: use {more:.1f} times the trials"
    else:
        verdict, note = "holds", ""
    return Check(
        claim.quantity, claim.lag, max(claim.widths), claim.widths, claim.trials, claim.prediction,
        claim.estimate, claim.stderr, verdict, claim.method, level.false_alarm, p, effect, reach, note,
        claim.prediction_at, claim.limit, claim.limit_verdict(each), *(claim.correction or (None, None)),
    )  # fmt: skip


def overall(checks: Sequence[Check]) -> Verdict:
    """Return refuted if any check is, else undecided if any is or there is none, else holds.

    Shapes: (m,) -> scalar.  Error: that of `judge`.  Source: definition.
    """
    verdicts = {check.verdict for check in checks}
    if "refuted" in verdicts:
        return "refuted"
    return "holds" if verdicts == {"holds"} else "undecided"


@dataclass(frozen=True)
class Judged:
    """The checks of a run and how it was made; the verdict is what they say together.

    Shapes: checks (m,).  Units: of each quantity.  Error: false alarms as stated in the checks.
    Source: `judge`.
    """

    method: str
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The joint verdict, as `overall` says."""
        return overall(self.checks)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.verdict}: {counted(self.checks)})"

    def _repr_html_(self) -> str:
        return judged_html(self.method, self.verdict, self.checks)
