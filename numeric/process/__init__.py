"""The limiting Gaussian process of gated recursions, evaluated: short horizons by quadrature, longer ones by paths."""

from numeric.process.evaluate import Effort, ProcessKernel, padded
from numeric.process.layout import Numbers

__all__ = ["Effort", "Numbers", "ProcessKernel", "padded"]
