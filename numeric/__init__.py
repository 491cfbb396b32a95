"""Finite width: arrays, sampling, training, statistics and checks."""

from numeric.adjoint import gradients
from numeric.checks import Check, Level
from numeric.empirical import empirical_ntk
from numeric.kernels import Kernel
from numeric.montecarlo import Plan, Validation
from numeric.network_training import train_network
from numeric.predict import Prediction, WideTraining, posterior
from numeric.statistics import Estimate
from numeric.training import train
from numeric.validate import validate

__all__ = [
    "Check",
    "Estimate",
    "Kernel",
    "Level",
    "Plan",
    "Prediction",
    "Validation",
    "WideTraining",
    "empirical_ntk",
    "gradients",
    "posterior",
    "train",
    "train_network",
    "validate",
]
