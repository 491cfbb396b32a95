"""From measured kernels to claims and a verdict: every entry beside its limit, as a part of the diagonal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host, to_host
from wideproof.numeric.core.checks import Check, Claim, Judged, Level, judge
from wideproof.numeric.core.statistics import normal_quantile, two_sided_p
from wideproof.numeric.core.width_ladder import WIDE, choose_degree, extrapolate, is_wide
from wideproof.numeric.kernels.kernel import KernelValue
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.kernels.plan import KernelPlan
from wideproof.numeric.validation.kernels.runner import KernelMeasurements, measure

PRECISION = 1.0  # the inverse variance of the kernel of one network grows as this power of n
LEAST_WIDTHS = 3
LEAST_TRIALS = 100  # below, a standard error is too rough for the tail of the normal law


class Limits(Protocol):
    """What the measurements are compared with: `wideproof.Kernel` is one.  Shapes: (N, T, n_x) -> (N, T, N, T)."""

    def evaluate(self, quantity: str, X1: Host) -> KernelValue: ...  # noqa: D102


@dataclass(frozen=True)
class KernelClaim(Claim):
    """One entry of a kernel; an effect is relative to `scale`, the geometric mean of the two diagonal entries.

    `prediction_error` is the error of the limit itself, a standard error where it was sampled, counted in the test.
    """

    scale: float = 1.0
    prediction_error: float = 0.0

    def p_value(self) -> float:
        """Return the probability of a larger deviation to the same side in both fits, at most, if true."""
        gaps = [(self.estimate - self.prediction, self.stderr)]
        gaps += [(self.guard[0] - self.prediction, self.guard[1])] if self.guard else []
        spreads = [float(np.hypot(error, self.prediction_error)) for _, error in gaps]
        if min(spreads) <= 1e-12 * self.scale:  # nothing is random
            return 1.0 if abs(gaps[0][0]) <= 1e-12 * self.scale else 0.0
        scores = [gap / spread for (gap, _), spread in zip(gaps, spreads, strict=True)]
        same = all(score * scores[0] > 0 for score in scores)
        return float(two_sided_p(min(map(abs, scores)) if same else 0.0))

    def detectable(self, level: float, power: float) -> float:
        """Return the smallest effect, relative to the scale, that a test at this level refutes with this power."""
        reach = normal_quantile(level / 2) + normal_quantile(1 - power)
        size = reach * float(np.hypot(self.stderr, self.prediction_error))
        if self.guard:
            spread = float(np.hypot(self.guard[1], self.prediction_error))
            size = max(size, reach * spread + abs(self.guard[0] - self.estimate))
        return size / self.scale


def kernel_claims(found: KernelMeasurements, limits: Limits) -> tuple[KernelClaim, ...]:
    """Return one claim for each entry of the NNGP and the tangent kernel; its `lag` is (a, t, b, s).

    Shapes: limits as `Limits`.  Units: output^2.  Error: ParameterError for limits of a wrong shape.
    Source: the limits' own derivation.
    """
    return _claims(found, _evaluated(found, limits))


def _evaluated(found: KernelMeasurements, limits: Limits) -> dict[str, KernelValue]:
    """Both kernels on the inputs of the measurements."""
    return {quantity: limits.evaluate(quantity, found.plan.inputs) for quantity in ("nngp", "ntk")}


def _claims(found: KernelMeasurements, values: dict[str, KernelValue]) -> tuple[KernelClaim, ...]:
    return tuple(claim for quantity, value in values.items() for claim in _entries(found, quantity, value))


def judge_kernels(found: KernelMeasurements, limits: Limits, level: Level | None = None) -> tuple[Check, ...]:
    """Judge measured kernels against their limits.

    Shapes: as `kernel_claims`.  Units: output^2.  Error: false alarms as `judge`.  Source: `judge`.
    """
    return judge(kernel_claims(found, limits), level)


def _entries(found: KernelMeasurements, quantity: str, limit: KernelValue) -> Iterator[KernelClaim]:
    plan = found.plan
    kernel, size = to_host(limit.value), plan.points
    error = to_host(limit.error if limit.stderr is None else limit.stderr)
    shape = (*plan.inputs.shape[:2],) * 2
    if kernel.shape != shape:
        raise ParameterError(quantity, f"a kernel of shape {shape}", kernel.shape, "Use readout='all'.")
    flat = np.reshape(kernel, (size, size))
    errors = np.reshape(error, (size, size))
    diagonal = np.diagonal(flat)
    last = plan.horizon - 1
    wide = [width for width in plan.widths if is_wide(width, last)] or [plan.width]
    rungs = [found.moments[quantity, width].feature(0) for width in wide]
    places = zip(*np.triu_indices(size), strict=True)
    for index, (pair, (i, j)) in enumerate(zip(plan.pairs, places, strict=True)):
        means = np.array([rung.mean[index] for rung in rungs])
        stderrs = np.array([rung.stderr[index] for rung in rungs])
        scale = float(np.sqrt(abs(diagonal[i] * diagonal[j]))) or float(np.max(np.abs(diagonal))) or 1.0
        yield _claim(quantity, pair, wide, found.trials(quantity), last, float(flat[i, j]), means, stderrs, scale,
                     float(errors[i, j]))  # fmt: skip


def _claim(
    quantity: str, pair: tuple[int, ...], wide: Sequence[int], trials: int, last: int, prediction: float,
    means: Host, stderrs: Host, scale: float, prediction_error: float,
) -> KernelClaim:  # fmt: skip
    """Extrapolate one entry to n = infinity; say what stands in the way if it cannot be."""
    widths = np.array(wide, dtype=np.float64)
    degree = choose_degree(last, widths, float(np.min(stderrs)) / scale)
    fit = extrapolate(widths, means, stderrs, degree, PRECISION)
    obstacle = ""
    if trials < LEAST_TRIALS:
        obstacle = f"{trials} trials give no reliable standard error: use {LEAST_TRIALS} or more"
    elif len(wide) < LEAST_WIDTHS:
        obstacle = f"step {last} is outside the theory at these widths: use width >= {4 * WIDE * (last + 1) ** 2}"
    guard = None
    if fit.degree and fit.stderr:
        low = extrapolate(widths[1:], means[1:], stderrs[1:], fit.degree - 1, PRECISION)
        guard = low.mean, low.stderr
    return KernelClaim(
        quantity, pair, tuple(wide), trials, prediction, fit.mean, fit.stderr,
        f"width ladder, degree {fit.degree} in 1/n", obstacle, fit.lack_of_fit, guard, scale, prediction_error,
    )  # fmt: skip


@dataclass(frozen=True, repr=False)
class KernelValidation(Judged):
    """The checks of two kernels, and what was measured.

    Shapes, units, error: as `Judged`.  Source: `monte_carlo_kernels`.
    """

    measurements: KernelMeasurements


def monte_carlo_kernels(
    plan: KernelPlan, limits: Limits, level: Level | None = None, progress: Progress | None = None
) -> KernelValidation:
    """Compare random networks with a limiting NNGP and tangent kernel, extrapolated over the ladder of widths.

    Shapes: as `Limits`.  Units: output^2.  Error: a true limit is refuted with probability <= level.false_alarm.
    Source: `measure` and `judge_kernels`.
    """
    return kernel_validation(measure(plan, progress), limits, level)


def kernel_validation(found: KernelMeasurements, limits: Limits, level: Level | None = None) -> KernelValidation:
    """Judge what was measured.  Shapes, units, error: as `monte_carlo_kernels`.  Source: `judge_kernels`."""
    values = _evaluated(found, limits)
    how = ", ".join(dict.fromkeys(value.method for value in values.values()))
    return KernelValidation(f"{found.plan.samplers}; limit: {how}", judge(_claims(found, values), level), found)
