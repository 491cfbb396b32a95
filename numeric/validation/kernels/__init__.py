"""Monte Carlo of the NNGP and tangent kernels of any recursion against their derived limits."""

from wideproof.numeric.validation.kernels.claims import Limits, judge_kernels, kernel_claims, kernel_validation
from wideproof.numeric.validation.kernels.corrections import Correction, corrections_beside
from wideproof.numeric.validation.kernels.curves import (
    Curve,
    KernelCurves,
    LimitComparison,
    compare_limits,
    kernel_curves,
    kernel_distance,
)
from wideproof.numeric.validation.kernels.plan import KernelPlan
from wideproof.numeric.validation.kernels.power import Power, default_trials, kernel_power
from wideproof.numeric.validation.kernels.runner import KernelMeasurements, estimate_kernel_cost

__all__ = [
    "Correction",
    "Curve",
    "KernelCurves",
    "KernelMeasurements",
    "KernelPlan",
    "LimitComparison",
    "Limits",
    "Power",
    "compare_limits",
    "corrections_beside",
    "default_trials",
    "estimate_kernel_cost",
    "judge_kernels",
    "kernel_claims",
    "kernel_curves",
    "kernel_distance",
    "kernel_power",
    "kernel_validation",
    "measure",
]
