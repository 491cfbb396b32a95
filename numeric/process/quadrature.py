"""Kernels of gated recursions group by group: nested quadrature, or a net of its own for each group.

Products of independent groups are taken exactly; perturbations, which enter linearly, are integrated exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.expectation.mehler_series import UNSEEN
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.process.digital_nets import Nets
from wideproof.numeric.process.groups import axes_needed, merged_groups, perturbations
from wideproof.numeric.process.layout import GROUPED, QUADRATURE, KernelNumbers, Layout
from wideproof.numeric.process.points import Points, net, pairs, tensor
from wideproof.numeric.process.quasi_monte_carlo import REPLICATES, Told, ends_of, kernel_of, replicated, sizes
from wideproof.numeric.process.separable import Separable

LEVELS = (17, 25, 33, 41, 49, 65, 97, 129, 193, 257)
"""Nodes of an axis, from level to level."""
GRID = 2**22
GOAL = 1e-10
ROUNDING = 2.0**-46
"""What sums over a grid may lose, relative."""
AXES = 4
"""Horizons whose largest group has more variables are sampled: a fifth axis has too few nodes."""
TERMS = 2**13
"""More products of terms than this, counted by `products_of_terms`, take longer than paths of all groups at once."""


def products_of_terms(layout: Layout, sequences: int, steps: int) -> int:
    """Return the order of how many means of one group the moments of all states take.

    Error: an order of magnitude.  Source: a gated state is a sum of t terms at step t,
    and moments are taken of all pairs; perturbations have about eight times as many, measured on a GRU.
    """
    return sequences**2 * steps**4 * (1 if layout.program.base is None else 8)


def nested(layout: Layout, xp: Any, X: Array, weights: Array) -> KernelNumbers:
    """Return the kernel of a few sequences on finer and finer grids, until two of them agree.

    Shapes: X (N, T, n_x), weights (N, r, T) -> (N, r, N, r) twice.  Units: output^2.
    Error: an estimate, from the differences of the last three grids, that covers convergence of first order in the
    step; smooth maps converge geometrically, kinks as the square of the step.  Source: trefethen2014exponentially.
    """
    merged = merged_groups(layout)
    axes = max(1, axes_needed(layout, X.shape[0], X.shape[1]))
    levels = [n for n in LEVELS if n**axes <= GRID] or list(LEVELS[:2])
    smooth, linear = {merged[name] for name in layout.inside}, perturbations(layout, merged)

    def at(level: int) -> Array:
        def rule(group: int) -> Points:
            return pairs(xp, _variables(merged, group, X)) if group in linear else tensor(xp, level, group in smooth)

        return kernel_of(Separable(layout, xp, X, merged, rule, ends_of(xp, weights)), weights)

    values = [at(levels[0])]
    for level in levels[1:]:
        values = [*values[-2:], at(level)]
        if float(xp.max(xp.abs(values[-1] - values[-2]))) <= GOAL * float(xp.max(xp.abs(values[-1]))):
            break
    return KernelNumbers(values[-1], _doubt(xp, values, levels[levels.index(level) - 1] / level), QUADRATURE)


def _doubt(xp: Any, values: list[Array], step: float) -> Array:
    """How far the finest of several grids may be off, its step being this part of the step before.

    An error e of first order in the step leaves the last difference e (1/step - 1). An entry may meet two grids of
    accidentally equal error, so what it differed by before counts too, reduced as the whole kernel was.
    """
    last = xp.abs(values[-1] - values[-2])
    if len(values) > 2:
        before = xp.abs(values[-2] - values[-3])
        most = float(xp.max(before))
        last = xp.maximum(last, before * (min(1.0, float(xp.max(last)) / most) if most else 0.0))
    size = sizes(xp, values[-1])
    beyond = UNSEEN * xp.where(size > 0, size, xp.ones_like(size))
    return last / (1.0 / step - 1.0) + ROUNDING * xp.abs(values[-1]) + beyond


def grouped(layout: Layout, xp: Any, X: Array, weights: Array, points: int, seed: int, told: Told) -> KernelNumbers:
    """Estimate the kernel of a few sequences with a scrambled net for each group and exact products between groups.

    Shapes: X (N, T, n_x), weights (N, r, T) -> (N, r, N, r) twice.  Units: output^2.
    Error: as `sampled`; smaller, for no net has more variables than one group.  Source: owen1997scrambled.
    """
    merged = merged_groups(layout)
    linear = perturbations(layout, merged)
    kernels = []
    for replicate in range(REPLICATES):

        def rule(group: int, replicate: int = replicate) -> Points:
            size = _variables(merged, group, X)
            if group in linear:
                return pairs(xp, size)
            drawn = Nets(size, 0, points, seed, [(replicate, group)]).normals(np.empty((1, size, points)))[0]
            return net(xp, xp.asarray(drawn.T))

        kernels.append(kernel_of(Separable(layout, xp, X, merged, rule, ends_of(xp, weights)), weights))
        told()
    return replicated(xp, kernels, GROUPED)


def _variables(merged: dict[sp.Symbol, int], group: int, X: Array) -> int:
    """How many normal variables a group may take."""
    return int(X.shape[0] * X.shape[1] * sum(g == group for g in merged.values()))
