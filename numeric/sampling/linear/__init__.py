"""Exact samplers of the linear recursion at finite width, behind one function `draw`."""

from wideproof.numeric.sampling.linear.choice import METHODS, Choice, choose, draw
from wideproof.numeric.sampling.linear.dense import dense
from wideproof.numeric.sampling.linear.matrix_free import one_sided, two_sided
from wideproof.numeric.sampling.linear.setting import Draw, LinearSetting
from wideproof.numeric.sampling.linear.tangent_kernel import diagonal_weights, kernel_weights, linear_empirical_ntk

__all__ = [
    "METHODS",
    "Choice",
    "Draw",
    "LinearSetting",
    "choose",
    "dense",
    "diagonal_weights",
    "draw",
    "kernel_weights",
    "linear_empirical_ntk",
    "one_sided",
    "two_sided",
]
