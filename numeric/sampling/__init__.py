"""Exact samplers of the linear recursion at finite width, behind one function `draw`."""

from numeric.sampling.choice import METHODS, Choice, choose, draw
from numeric.sampling.dense import dense
from numeric.sampling.kernel import diagonal_weights, empirical_ntk, kernel_weights
from numeric.sampling.matrix_free import one_sided, two_sided
from numeric.sampling.setting import Draw, LinearSetting

__all__ = [
    "METHODS",
    "Choice",
    "Draw",
    "LinearSetting",
    "choose",
    "dense",
    "diagonal_weights",
    "draw",
    "empirical_ntk",
    "kernel_weights",
    "one_sided",
    "two_sided",
]
