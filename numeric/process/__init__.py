"""The limiting Gaussian process of gated recursions, evaluated: short horizons by quadrature, longer ones by paths."""

from wideproof.numeric.process.cost import Extent, KernelCost
from wideproof.numeric.process.evaluation import Effort, ProcessKernel, padded
from wideproof.numeric.process.layout import KernelNumbers
from wideproof.numeric.process.quadrature import ROUNDING
from wideproof.numeric.process.quasi_monte_carlo import REPLICATES

__all__ = ["REPLICATES", "ROUNDING", "Effort", "Extent", "KernelCost", "KernelNumbers", "ProcessKernel", "padded"]
