"""Exact means at finite width of what is measured of the impulse response and of the tangent kernel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from wideproof.derive import KernelEntry, Program, ntk_mean, ntk_variance
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Lag
from wideproof.numeric.networks.narrow_width import moment_at
from wideproof.numeric.validation.linear_rnn.features import pairs
from wideproof.numeric.validation.linear_rnn.plan import Plan

ExactMeans = Mapping[tuple[str, Lag], Mapping[int, float]]
"""(quantity, lag) -> width -> mean of the quantity at that width."""
SECOND_LAGS, FOURTH_LAGS = 18, 5
"""Lags to which second and fourth moments are derived, a second in all; beyond, the limit is judged on the ladder."""
KERNEL_LAGS = 6
"""Lags to which means of the tangent kernel are derived; they are used where its limit is out of reach."""
COUPLING_LAGS = 2
"""Lags to which mean squares of the tangent kernel between lags are derived, three seconds in all."""
FOURTH_ORDER = ("excess-kurtosis", "square-correlation", "kernel-coupling")
"""Quantities of fourth order in L, or in the factors of the kernel: long-tailed at narrow widths."""


def exact_means(program: Program, plan: Plan, values: Mapping[str, float]) -> ExactMeans:
    """Return the exact mean at every width of a plan of each quantity whose moments the engine has.

    Shapes: as `ExactMeans`.  Units: of the quantity.  Error: rounding.
    Source: derive.moments, derive.ntk_mean and derive.ntk_variance.
    """
    n = np.asarray(plan.widths, dtype=np.float64)

    def mean(*lags: int) -> Host:
        return np.broadcast_to(moment_at(program, lags)(n=n, **values), n.shape)

    def weight(lag: int, lag2: int | None = None, moment: str = "mean") -> Host:
        found = _weight(program, KernelEntry(lag, lag if lag2 is None else lag2), moment)
        read = {name: values[name] for name in found.arguments if name != "n"}
        return np.broadcast_to(np.asarray(found(n=n, **read), dtype=np.float64), n.shape)

    def coupling(j: int, k: int) -> Host:
        """E Theta_jk² over the means of Theta_jj and Theta_kk, less 1 for equal lags; 0 where one of them is 0."""
        below = weight(j) * weight(k)
        found = (weight(j, k, "variance") + weight(j, k) ** 2) / np.where(below > 0, below, 1.0)
        return np.where(below > 0, found - (j == k), 0.0)

    def ratio(lags: tuple[int, ...], power: float, less: float) -> Host:
        """E of the product over a power of E L_j² E L_k² of its first and last lag, less a number; 0 where L is 0."""
        below = mean(lags[0], lags[0]) * mean(lags[-1], lags[-1])
        safe = np.where(below > 0, below, 1.0)
        return np.where(below > 0, mean(*lags) / safe**power - less, 0.0)

    lags = min(plan.horizon, SECOND_LAGS + 1)
    found: dict[tuple[str, Lag], Host] = {("second-moment", j): mean(j, j) for j in range(lags)}
    found |= {("correlation", (j, k)): ratio((j, k), 0.5, 0.0) for j, k in pairs(lags, equal=False)}
    fourth = min(plan.horizon, FOURTH_LAGS + 1)
    found |= {("excess-kurtosis", j): ratio((j, j, j, j), 1.0, 3.0) for j in range(fourth)}
    found |= {("square-correlation", (j, k)): ratio((j, j, k, k), 1.0, 1.0) for j, k in pairs(fourth, equal=False)}
    found |= {("scale-factor", j): weight(j) for j in range(min(plan.horizon, KERNEL_LAGS + 1))}
    near = pairs(min(plan.horizon, COUPLING_LAGS + 1), equal=True)
    found |= {("kernel-coupling", (j, k)): coupling(j, k) for j, k in near}
    return {place: dict(zip(plan.widths, map(float, row), strict=True)) for place, row in found.items()}


@lru_cache(maxsize=1024)
def _weight(program: Program, entry: KernelEntry, moment: str) -> Any:
    """The proved mean or variance of an entry of the kernel, derived once for all runs."""
    derive = ntk_mean if moment == "mean" else ntk_variance
    return derive(program, entry).formula.compile("numpy")
