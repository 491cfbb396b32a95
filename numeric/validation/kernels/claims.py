"""From measured kernels to claims and a verdict: every entry beside its limit, as a part of the diagonal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host, to_host
from wideproof.numeric.core.checks import Check, Claim, Level, judge
from wideproof.numeric.core.width_ladder import choose_degree
from wideproof.numeric.kernels.kernel import KernelValue
from wideproof.numeric.validation.judged import Validation, narrow_warnings
from wideproof.numeric.validation.kernels.plan import KernelPlan
from wideproof.numeric.validation.kernels.runner import KernelMeasurements
from wideproof.numeric.validation.ladder import Rungs, at_infinity, out_of_reach

PRECISION = 1.0  # the inverse variance of the kernel of one network grows as this power of n


class Limits(Protocol):
    """What the measurements are compared with: `wideproof.Kernel` is one.  Shapes: (N, T, n_x) -> (N, T, N, T)."""

    def evaluate(self, quantity: str, X1: Host) -> KernelValue: ...  # noqa: D102


def kernel_claims(found: KernelMeasurements, limits: Limits) -> tuple[Claim, ...]:
    """Return one claim for each entry of the NNGP and the tangent kernel; its `lag` is (a, t, b, s).

    Shapes: limits as `Limits`.  Units: output^2.  Error: ParameterError for limits of a wrong shape.
    Source: the limits' own derivation.
    """
    return _claims(found, _evaluated(found, limits))


def _evaluated(found: KernelMeasurements, limits: Limits) -> dict[str, KernelValue]:
    """Both kernels on the inputs of the measurements."""
    return {quantity: limits.evaluate(quantity, found.plan.inputs) for quantity in ("nngp", "ntk")}


def _claims(found: KernelMeasurements, values: dict[str, KernelValue]) -> tuple[Claim, ...]:
    return tuple(claim for quantity, value in values.items() for claim in _entries(found, quantity, value))


def judge_kernels(found: KernelMeasurements, limits: Limits, level: Level | None = None) -> tuple[Check, ...]:
    """Judge measured kernels against their limits.

    Shapes: as `kernel_claims`.  Units: output^2.  Error: false alarms as `judge`.  Source: `judge`.
    """
    return judge(kernel_claims(found, limits), level)


def _entries(found: KernelMeasurements, quantity: str, limit: KernelValue) -> Iterator[Claim]:
    plan = found.plan
    kernel, size = to_host(limit.value), plan.points
    error = to_host(limit.error if limit.stderr is None else limit.stderr)
    shape = (*plan.inputs.shape[:2],) * 2
    if kernel.shape != shape:
        raise ParameterError(quantity, f"a kernel of shape {shape}", kernel.shape, "Use readout='all'.")
    flat = np.reshape(kernel, (size, size))
    errors = np.reshape(error, (size, size))
    last, scales = plan.horizon - 1, entry_scales(np.diagonal(flat))
    measured = [found.moments[quantity, width].feature(0) for width in plan.widths]
    places = zip(*np.triu_indices(size), strict=True)
    for index, (pair, (i, j)) in enumerate(zip(plan.pairs, places, strict=True)):
        rungs = Rungs(
            quantity, pair, plan.widths, found.trials(quantity), np.array([rung.mean[index] for rung in measured]),
            np.array([rung.stderr[index] for rung in measured]), PRECISION,
        ).wide_for(last)  # fmt: skip
        scale = float(scales[i, j])
        degree = entry_degree(rungs, plan, scale)
        yield at_infinity(rungs, float(flat[i, j]), degree, obstacle=out_of_reach(rungs, last, "step"), scale=scale,
                          error=float(errors[i, j]))  # fmt: skip


def entry_scales(diagonal: Host) -> Host:
    """Return the size of every entry: the geometric mean of its two diagonal entries, or the largest where that is 0.

    Shapes: (P,) -> (P, P).  Units: of the diagonal.  Source: definition.
    """
    size = np.sqrt(np.abs(np.outer(diagonal, diagonal)))
    return np.where(size > 0, size, float(np.max(np.abs(diagonal))) or 1.0)


def entry_degree(rungs: Rungs, plan: KernelPlan, scale: float) -> int:
    """Return the degree in 1/n of the fit of an entry.  Source: `choose_degree`."""
    return choose_degree(plan.horizon - 1, rungs.array, float(np.min(rungs.stderrs)) / scale)


def kernel_validation(found: KernelMeasurements, limits: Limits, level: Level | None = None) -> Validation:
    """Compare random networks with a limiting NNGP and tangent kernel, extrapolated over the ladder of widths.

    Shapes: as `Limits`.  Units: output^2.  Error: a true limit is refuted with probability <= level.false_alarm.
    Source: `judge_kernels`.
    """
    values = _evaluated(found, limits)
    how = ", ".join(dict.fromkeys(value.method for value in values.values()))
    method = f"{found.plan.samplers}; limit: {how}"
    warnings = narrow_warnings(found.plan.program, found.plan.values, found.plan)
    return Validation(method, judge(_claims(found, values), level), found, warnings=warnings)
