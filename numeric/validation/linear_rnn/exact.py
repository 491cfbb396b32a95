"""Exact means at finite width of what is measured of the impulse response and of the tangent kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from wideproof.derive import Program, moments, ntk_mean
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Lag
from wideproof.numeric.validation.linear_rnn.features import pairs
from wideproof.numeric.validation.linear_rnn.plan import Plan

ExactMeans = Mapping[tuple[str, Lag], Mapping[int, float]]
"""(quantity, lag) -> width -> mean of the quantity at that width."""
SECOND_LAGS, FOURTH_LAGS = 18, 5
"""Lags to which second and fourth moments are derived, a second in all; beyond, the limit is judged on the ladder."""
KERNEL_LAGS = 6
"""Lags to which means of the tangent kernel are derived; they are used where its limit is out of reach."""
FOURTH_ORDER = ("excess-kurtosis", "square-correlation")
"""Quantities of fourth order in L, whose mean at narrow widths is that of a long tail."""


def exact_means(program: Program, plan: Plan, values: Mapping[str, float]) -> ExactMeans:
    """Return the exact mean at every width of a plan of each quantity whose moments the engine has.

    Shapes: as `ExactMeans`.  Units: of the quantity.  Error: rounding.
    Source: derive.moments and derive.ntk_mean.
    """
    n = np.asarray(plan.widths, dtype=np.float64)

    def mean(*lags: int) -> Host:
        return np.broadcast_to(_compiled(program, lags)(n=n, **values), n.shape)

    def weight(lag: int) -> Host:
        found = _weight(program, lag)
        read = {name: values[name] for name in found.arguments if name != "n"}
        return np.broadcast_to(np.asarray(found(n=n, **read), dtype=np.float64), n.shape)

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
    return {place: dict(zip(plan.widths, map(float, row), strict=True)) for place, row in found.items()}


@lru_cache(maxsize=1024)
def _weight(program: Program, lag: int) -> Any:
    """The proved mean of the kernel's entry of a lag, derived once for all runs."""
    return ntk_mean(program, lag).formula.compile("numpy")


@lru_cache(maxsize=1024)
def _compiled(program: Program, lags: tuple[int, ...]) -> Callable[..., Any]:
    """The proved moment as a function of n and the variances, derived once for all runs."""
    return moments(program, lags=lags).formula.compile("numpy")
