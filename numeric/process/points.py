"""Points and weights for the standard normal variables of one independent group."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wideproof.numeric.core.arrays import Array

REACH = 8.5
"""Standard deviations that the trapezoidal rule covers: its tail is 1e-17."""


@dataclass
class Points:
    """How a group is integrated: the k-th variable on the points, and the mean over them.

    `rows` are the factors of the forms revealed so far.  Shapes: any that broadcast among the variables.
    Error: of the rule.  Source: definition.
    """

    variable: Callable[[int], Array]
    mean: Callable[[Array], float]
    rows: list[tuple[Any, list[float]]] = field(default_factory=list)


def tensor(xp: Any, level: int, smooth: bool) -> Points:
    """Return a product rule, one axis for each variable: `level` trapezoidal nodes, or Gauss-Hermite for powers.

    Shapes: the k-th variable varies along axis -1 - k.  Error: geometric in the number of nodes.
    Source: trefethen2014exponentially.
    """
    if smooth:
        points = np.linspace(-REACH, REACH, level)
        masses = np.exp(-0.5 * points**2)
    else:
        points, masses = np.polynomial.hermite_e.hermegauss(3 + level // 8)
    nodes, weights = xp.asarray(points), xp.asarray(masses / masses.sum())

    def mean(values: Array) -> float:
        while values.ndim:  # axes that a function does not vary along cost nothing
            values = xp.tensordot(weights, values, axes=([0], [0])) if values.shape[0] > 1 else values[0]
        return float(values)

    return Points(lambda k: xp.reshape(nodes, (-1,) + (1,) * k), mean)


def net(xp: Any, columns: Array) -> Points:
    """Return the equal-weight rule on given points.

    Shapes: columns (points, variables).  Error: that of the points.  Source: definition.
    """
    return Points(lambda k: columns[:, k], lambda values: float(xp.mean(values)))


def pairs(xp: Any, variables: int) -> Points:
    """Return the rule with 2d points +-sqrt(d) e_k, exact for polynomials of degree three in d variables.

    Perturbations enter every response linearly, so every product of two responses is of degree two.
    Shapes: (2 d,).  Error: rounding.  Source: stroud1957remarks.
    """
    points = xp.zeros((variables, 2 * variables))
    for k in range(variables):
        points[k, 2 * k], points[k, 2 * k + 1] = math.sqrt(variables), -math.sqrt(variables)
    return Points(lambda k: points[k, :], lambda values: float(xp.mean(values)))
