"""Finite width: arrays, sampling, training, statistics and checks."""

from numeric.adjoint import empirical_ntk, gradients
from numeric.checks import Check, Level
from numeric.kernels import Kernel
from numeric.montecarlo import Plan, Validation
from numeric.network_training import train_network
from numeric.statistics import Estimate
from numeric.training import train
from numeric.validate import validate

__all__ = [
    "Check",
    "Estimate",
    "Kernel",
    "Level",
    "Plan",
    "Validation",
    "empirical_ntk",
    "gradients",
    "train",
    "train_network",
    "validate",
]
