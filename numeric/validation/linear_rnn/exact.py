"""Exact means at finite width of what is measured of the impulse response and of the tangent kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from wideproof.derive import KernelEntry, Program, moments, ntk_mean, ntk_variance
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Lag
from wideproof.numeric.validation.linear_rnn.features import pairs
from wideproof.numeric.validation.linear_rnn.plan import Plan

ExactMeans = Mapping[tuple[str, Lag], Mapping[int, float]]
"""(quantity, lag) -> width -> mean of the quantity at that width."""
SECOND_LAGS, FOURTH_LAGS = 18, 5
"""Lags to which second and fourth moments are derived, a second in all; beyond, the limit is judged on the ladder."""
KERNEL_LAGS, COUPLED_LAGS = 6, 2
"""Lags to which means of the tangent kernel and of its squares are derived, half a second each."""
FOURTH_ORDER = ("excess-kurtosis", "square-correlation", "kernel-coupling")
"""Quantities of fourth order in L and of second in the kernel, whose mean at narrow widths is that of a long tail."""


def exact_means(program: Program, plan: Plan, values: Mapping[str, float]) -> ExactMeans:
    """Return the exact mean at every width of a plan of each quantity whose moments the engine has.

    Shapes: as `ExactMeans`.  Units: of the quantity.  Error: rounding.
    Source: derive.moments, derive.ntk_mean and derive.ntk_variance.
    """
    n = np.asarray(plan.widths, dtype=np.float64)

    def mean(*lags: int) -> Host:
        return np.broadcast_to(_compiled(program, lags)(n=n, **values), n.shape)

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
    found |= _of_kernel(program, plan.horizon, n, values)
    return {place: dict(zip(plan.widths, map(float, row), strict=True)) for place, row in found.items()}


def _of_kernel(program: Program, horizon: int, n: Host, values: Mapping[str, float]) -> dict[tuple[str, Lag], Host]:
    """Means of the weights of lags; of squares of entries between lags over the weights of both, less 1 if equal."""

    def number(derive: Callable[..., Any], entry: KernelEntry) -> Host:
        found = _kernel_compiled(program, derive, entry)
        read = {name: values[name] for name in found.arguments if name != "n"}
        return np.broadcast_to(np.asarray(found(n=n, **read), dtype=np.float64), n.shape)

    weights = {j: number(ntk_mean, KernelEntry(j, j)) for j in range(min(horizon, KERNEL_LAGS + 1))}
    found: dict[tuple[str, Lag], Host] = {("scale-factor", j): mean for j, mean in weights.items()}
    for j, k in pairs(min(horizon, COUPLED_LAGS + 1), equal=True):
        entry, below = KernelEntry(j, k), weights[j] * weights[k]
        square = number(ntk_variance, entry) + number(ntk_mean, entry) ** 2
        safe = np.where(below > 0, below, 1.0)
        found["kernel-coupling", (j, k)] = np.where(below > 0, square / safe - float(j == k), 0.0)
    return found


@lru_cache(maxsize=1024)
def _kernel_compiled(program: Program, derive: Callable[..., Any], entry: KernelEntry) -> Any:
    """The proved moment of an entry of the kernel, derived once for all runs."""
    return derive(program, entry).formula.compile("numpy")


@lru_cache(maxsize=1024)
def _compiled(program: Program, lags: tuple[int, ...]) -> Callable[..., Any]:
    """The proved moment as a function of n and the variances, derived once for all runs."""
    return moments(program, lags=lags).formula.compile("numpy")
