"""Finite width: arrays, sampling, training, statistics and checks."""

from numeric.checks import Check, Level
from numeric.kernels import Kernel
from numeric.montecarlo import Plan, Validation
from numeric.statistics import Estimate
from numeric.training import train
from numeric.validate import validate

__all__ = ["Check", "Estimate", "Kernel", "Level", "Plan", "Validation", "train", "validate"]
