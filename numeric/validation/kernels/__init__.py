"""Monte Carlo of the NNGP and tangent kernels of any recursion against their derived limits."""

from numeric.kernel_checks.claims import (
    KernelClaim,
    KernelValidation,
    Limits,
    judge_kernels,
    kernel_claims,
    monte_carlo_kernels,
)
from numeric.kernel_checks.curves import (
    Comparison,
    Curve,
    KernelCurves,
    compare_limits,
    kernel_curves,
    kernel_distance,
)
from numeric.kernel_checks.plan import KernelPlan
from numeric.kernel_checks.runner import KernelMeasurements, estimate_kernel_cost, measure

__all__ = [
    "Comparison",
    "Curve",
    "KernelClaim",
    "KernelCurves",
    "KernelMeasurements",
    "KernelPlan",
    "KernelValidation",
    "Limits",
    "compare_limits",
    "estimate_kernel_cost",
    "judge_kernels",
    "kernel_claims",
    "kernel_curves",
    "kernel_distance",
    "measure",
    "monte_carlo_kernels",
]
