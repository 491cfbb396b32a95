"""From measurements to claims: every estimate beside the prediction it speaks about."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Check, Claim, Lag, Level, judge
from wideproof.numeric.core.statistics import Estimate, Moments, ratio_of_moments
from wideproof.numeric.core.width_ladder import WIDE, choose_degree, is_wide
from wideproof.numeric.validation.ladder import LEAST_TRIALS, LEAST_WIDTHS, Rungs, at_infinity, at_width, out_of_reach
from wideproof.numeric.validation.linear_rnn.exact import FOURTH_ORDER, ExactMeans
from wideproof.numeric.validation.linear_rnn.features import pairs
from wideproof.numeric.validation.linear_rnn.plan import Plan
from wideproof.numeric.validation.linear_rnn.runner import Measurements

LEAST_SQUARES = 800  # trials for a mean of squares of normal numbers: their skewness is sqrt(8), that of the mean 0.1
LEAST_ENTRIES = 4000  # the same for fourth moments: simulated, the 1e-3 tail is within a factor 2 from here on
PRECISION = {"scale-factor": 1.0, "kernel-coupling": 2.0}  # inverse variance per trial grows as this power of n
DRIFT = 0.1  # sqrt(m) times the finite-width distance from the normal law, in the test of the distribution
KURTOSIS_DISTANCE = 0.0230  # max |H_3(x) phi(x)| / 24: distance of laws per unit of excess kurtosis
KOLMOGOROV_SPREAD = 0.2603  # standard deviation of the Kolmogorov law
Measure = Callable[[Moments], Estimate]


@dataclass(frozen=True)
class DistributionClaim(Claim):
    """A claim about a distribution function: the Kolmogorov-Smirnov distance of `trials` numbers from it."""

    probability: float = 1.0

    def p_value(self) -> float:
        """Return the exact p-value of the Kolmogorov-Smirnov test."""
        return self.probability

    def detectable(self, level: float, power: float) -> float:
        """Return a distance that is refuted with at least this power (Dvoretzky-Kiefer-Wolfowitz, twice)."""
        reach = math.sqrt(math.log(2 / level) / 2) + math.sqrt(math.log(2 / (1 - power)) / 2)
        return reach / math.sqrt(self.trials)


def linear_claims(
    found: Measurements, second_moment: ArrayLike, scale_factor: ArrayLike, exact: ExactMeans | None = None
) -> tuple[Claim, ...]:
    """Return the claims of Theorem 3.3 that the measurements can judge, predictions passed in.

    Where `exact` has the mean at finite width, the claim is about it; elsewhere about the limit.
    Shapes: second_moment (T,), the limiting variance of an entry of L_j; scale_factor (T,), the limiting
    weight of lag j in the NTK.  Units: of L_j squared; of the kernel.
    Error: ParameterError for a wrong shape.  Source: the predictions' own derivation.
    """
    plan = found.plan
    variances = _prediction("second_moment", second_moment, plan)
    weights = _prediction("scale_factor", scale_factor, plan)
    lags, zeros = tuple(range(plan.horizon)), np.zeros
    apart, near = pairs(plan.horizon, equal=False), pairs(plan.horizon, equal=True)
    known = exact or {}
    claims = [
        *_ladder(found, "second-moment", "response", "lag", lags, variances, lambda m: m.feature(1), known),
        *_ladder(found, "scale-factor", "kernel", "lag", lags, weights, lambda m: m.feature(0), known),
        *_ladder(found, "excess-kurtosis", "response", "lag", lags, zeros(plan.horizon), _kurtosis, known),
        *_ladder(found, "correlation", "response", "pair", apart, zeros(len(apart)), _correlation, known),
        *_ladder(found, "square-correlation", "response", "pair", apart, zeros(len(apart)), _squares, known),
        *_ladder(found, "kernel-coupling", "kernel", "pair", near, zeros(len(near)), _coupling(near), known),
        *_distributions(found, variances),
    ]
    return tuple(claims)


def judge_linear(
    found: Measurements, second_moment: ArrayLike, scale_factor: ArrayLike, level: Level | None = None,
    exact: ExactMeans | None = None,
) -> tuple[Check, ...]:  # fmt: skip
    """Judge the measurements of a linear recursion against its exact means where they are given, else its limit.

    Shapes: predictions (T,).  Units: as `linear_claims`.  Error: false alarms as `judge`.  Source: `judge`.
    """
    return judge(linear_claims(found, second_moment, scale_factor, exact), level)


def _prediction(name: str, values: ArrayLike, plan: Plan) -> Host:
    """Return a prediction as an array of one number per lag."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (plan.horizon,):
        raise ParameterError(name, f"{plan.horizon} numbers, one per lag", array.shape, "Evaluate at every lag.")
    return array


def _kurtosis(moments: Moments) -> Estimate:
    """Excess kurtosis about 0 from the features (L^4, L^2)."""
    return ratio_of_moments(moments, (2.0,), -3.0)


def _correlation(moments: Moments) -> Estimate:
    """Correlation from the features (L_j L_k, L_j^2 L_k^2, L_j^2, L_k^2)."""
    return ratio_of_moments(_take(moments, (0, 2, 3)), (0.5, 0.5), 0.0)


def _squares(moments: Moments) -> Estimate:
    """E L_j^2 L_k^2 / (E L_j^2 E L_k^2) - 1 from the same features."""
    return ratio_of_moments(_take(moments, (1, 2, 3)), (1.0, 1.0), -1.0)


def _coupling(near: Sequence[tuple[int, int]]) -> Measure:
    """Mean square of the kernel between two lags over the product of their weights; less 1 for equal lags."""
    offsets = -np.array([float(j == k) for j, k in near])

    def measure(moments: Moments) -> Estimate:
        found = ratio_of_moments(moments, (1.0, 1.0), 0.0)
        return Estimate(found.mean + offsets * (found.mean != 0), found.stderr, found.count)

    return measure


def _take(moments: Moments, features: tuple[int, ...]) -> Moments:
    """Return the moments of some of the features."""
    index = np.array(features)
    return Moments(moments.count, moments.mean[..., index], moments.comoment[..., index[:, None], index])


def _ladder(
    found: Measurements, quantity: str, group: str, kind: str, lags: Sequence[Lag],
    predictions: Host, measure: Measure, known: ExactMeans,
) -> Iterator[Claim]:  # fmt: skip
    """Yield one claim per lag or pair of lags, over the widths that are wide for it."""
    if not lags:
        return
    plan, trials = found.plan, found.trials(group, kind)
    measured = [measure(found.moments[group, width, kind]) for width in plan.widths]
    least = -(-LEAST_ENTRIES // (plan.n_x * plan.n_y)) if quantity == "excess-kurtosis" else LEAST_TRIALS
    for index, lag in enumerate(lags):
        is_known = (quantity, lag) in known
        enough = LEAST_SQUARES if is_known and quantity == "kernel-coupling" else least
        last = last_lag(lag)
        rungs = Rungs(
            quantity, lag, plan.widths, trials, np.array([rung.mean[index] for rung in measured]),
            np.array([rung.stderr[index] for rung in measured]), PRECISION.get(quantity, 0.0), enough,
        ).wide_for(last)  # fmt: skip
        prediction = float(predictions[index])
        if is_known and (quantity != "scale-factor" or len(rungs.widths) < LEAST_WIDTHS):
            exact = np.array([known[quantity, lag][width] for width in rungs.widths])
            yield at_width(rungs, exact, prediction, _spread(found, quantity, group, kind, index, last))
        else:
            yield _limit_claim(rungs, last, prediction)


def _limit_claim(rungs: Rungs, last: int, prediction: float) -> Claim:
    """Extrapolate one quantity to n = infinity; say what stands in the way if it cannot be."""
    scale = abs(rungs.means[-1]) if prediction else 1.0
    error = float(np.min(rungs.stderrs)) / scale if scale else 0.0
    degree = choose_degree(last, rungs.array, error)
    obstacle = out_of_reach(rungs, last, "lag")
    return at_infinity(rungs, prediction, degree, obstacle=f"{obstacle}, or fewer lags" if obstacle else "")


def last_lag(lag: Lag) -> int:
    """The later lag of a pair, or the lag itself."""
    return lag if isinstance(lag, int) else lag[0]


def _spread(found: Measurements, quantity: str, group: str, kind: str, index: int, last: int) -> float:
    """Relative variance of what a trial adds to a mean: of L_j^2, of L_j^4, of an entry of the kernel or its square.

    0 at a wide width, where tails are those of Gaussian entries: `LEAST_TRIALS`, `LEAST_ENTRIES` and `LEAST_SQUARES`
    are enough.
    """
    if is_wide(found.plan.width, last):
        return 0.0
    feature = int(group == "response" and quantity not in FOURTH_ORDER)
    if quantity == "kernel-coupling":
        return relative_variance(found, group, found.plan.width, index, feature, kind)
    return relative_variance(found, group, found.plan.width, last, feature)


def relative_variance(found: Measurements, group: str, width: int, lag: int, feature: int, kind: str = "lag") -> float:
    """Return the variance of a feature of one trial over its squared mean; 0 where the mean is.

    Units: 1.  Error: that of the moments.  Source: definition.
    """
    moments = found.moments[group, width, kind]
    mean = moments.mean[lag, feature]
    spread = moments.comoment[lag, feature, feature] / max(moments.count - 1, 1)
    return float(spread / mean**2) if mean else 0.0


def _distributions(found: Measurements, variances: Host) -> Iterator[Claim]:
    """Yield a Kolmogorov-Smirnov claim per lag, with so few numbers that the finite width is not seen."""
    from scipy.stats import kstest  # slow to import, and seldom needed

    plan = found.plan
    kurtosis = _kurtosis(found.moments["response", plan.width, "lag"])
    bound = np.abs(kurtosis.mean) + 3 * kurtosis.stderr
    for lag, variance in enumerate(variances):
        values = found.kept[:, lag]
        if variance == 0 or not np.any(values):
            continue
        unseen = (DRIFT / (KURTOSIS_DISTANCE * bound[lag])) ** 2
        count = int(max(1, min(len(values), unseen)))
        test = kstest(values[:count] / math.sqrt(variance), "norm", method="exact" if count < 1000 else "auto")
        yield DistributionClaim(
            "distribution", lag, (plan.width,), count, 0.0, float(test.statistic),
            KOLMOGOROV_SPREAD / math.sqrt(count),
            f"Kolmogorov-Smirnov on {count} entries, blind to the finite width (sqrt(m) distance <= {DRIFT})",
            "" if is_wide(plan.width, lag) else f"lag {lag} needs width >= {WIDE * (lag + 1) ** 2}",
            probability=float(test.pvalue),
        )  # fmt: skip
