"""The limiting Gaussian process of gated recursions, evaluated: short horizons by quadrature, longer ones by paths."""

from wideproof.numeric.process.evaluation import Effort, ProcessKernel, padded
from wideproof.numeric.process.layout import Numbers

__all__ = ["Effort", "Numbers", "ProcessKernel", "padded"]
