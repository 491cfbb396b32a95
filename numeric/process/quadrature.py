"""Kernels of gated recursions group by group: nested quadrature, or a net of its own for each group.

Products of independent groups are taken exactly; perturbations, which enter linearly, are integrated exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.expectation.mehler_series import UNSEEN
from wideproof.numeric.core.arrays import Array, backend
from wideproof.numeric.process.cost import KernelCost
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
LONG = 5.0 / 3.0
"""Seconds that are told beforehand: an estimate may be a third of what is then taken."""
FEW, REHEARSED, MARGIN = 64, 64, 2.0
"""Points, and the part of all of them, on which a kernel is rehearsed; what is alive, in units of what is kept."""
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
    levels = _levels(layout, X)
    values = [kernel_of(_on_grid(layout, xp, X, weights, levels[0]), weights)]
    for level in levels[1:]:
        values = [*values[-2:], kernel_of(_on_grid(layout, xp, X, weights, level), weights)]
        if _agree(xp, *values[-2:]):
            break
    return KernelNumbers(values[-1], _doubt(xp, values, levels[levels.index(level) - 1] / level), QUADRATURE)


def _levels(layout: Layout, X: Array) -> list[int]:
    """The nodes of an axis, grid after grid."""
    axes = max(1, axes_needed(layout, X.shape[0], X.shape[1]))
    return [n for n in LEVELS if n**axes <= GRID] or list(LEVELS[:2])


def _agree(xp: Any, before: Array, value: Array) -> bool:
    return float(xp.max(xp.abs(value - before))) <= GOAL * float(xp.max(xp.abs(value)))


def _on_grid(layout: Layout, xp: Any, X: Array, weights: Array, level: int) -> Separable:
    """The moments on a grid of so many nodes an axis."""
    merged = merged_groups(layout)
    smooth, linear = {merged[name] for name in layout.inside}, perturbations(layout, merged)

    def rule(group: int) -> Points:
        return pairs(xp, _variables(merged, group, X)) if group in linear else tensor(xp, level, group in smooth)

    return Separable(layout, xp, X, merged, rule, ends_of(xp, weights))


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
    kernels = []
    for replicate in range(REPLICATES):
        kernels.append(kernel_of(_on_nets(layout, xp, X, weights, points, seed, replicate), weights))
        told()
    return replicated(xp, kernels, GROUPED)


def _on_nets(
    layout: Layout, xp: Any, X: Array, weights: Array, points: int, seed: int = 0, replicate: int = 0
) -> Separable:
    """The moments of a replicate on nets of so many points."""
    merged = merged_groups(layout)
    linear = perturbations(layout, merged)

    def rule(group: int) -> Points:
        size = _variables(merged, group, X)
        if group in linear:
            return pairs(xp, size)
        drawn = Nets(size, 0, points, seed, [(replicate, group)]).normals(np.empty((1, size, points)))[0]
        return net(xp, xp.asarray(drawn.T))

    return Separable(layout, xp, X, merged, rule, ends_of(xp, weights))


def _variables(merged: dict[sp.Symbol, int], group: int, X: Array) -> int:
    """How many normal variables a group may take."""
    return int(X.shape[0] * X.shape[1] * sum(g == group for g in merged.values()))


# ---- what it takes, told beforehand ---------------------------------------------------------------------------------
def grouped_cost(layout: Layout, sequences: int, steps: int, points: int) -> KernelCost | None:
    """Return what `grouped` takes, None for less than `LONG` seconds, from one replicate on fewer points.

    Error: as `KernelCost`; of other inputs, of which the number of products does not depend.  Source: measured.
    """
    some = max(2 * FEW, points // REHEARSED)
    on = [partial(_on_nets, points=n) for n in (FEW, FEW, some)]  # the first one fills the caches of the layout
    _, (base, _, _), (spent, _, made) = (_rehearsed(layout, sequences, steps, on_points) for on_points in on)
    seconds = REPLICATES * (base + max(0.0, spent - base) * (points - FEW) / (some - FEW))
    drawn = REPLICATES * points * sum(len(rule.rows) for rule in made.rules.values())
    return _cost(made, points / some, seconds, REPLICATES, drawn)


def nested_cost(layout: Layout, sequences: int, pairs: int, steps: int) -> KernelCost | None:
    """Return what `nested` takes for so many pairs, None for less than `LONG` seconds, from its coarse grids.

    Error: as `KernelCost`; if coarse grids do not agree it is that of all grids, of which the finest may not be needed.
    Source: measured.
    """
    base, before, _ = _rehearsed(layout, sequences, steps, partial(_on_grid, level=2))
    levels, total = _levels(layout, np.empty((sequences, steps, 1))), 0.0
    axes = max(1, axes_needed(layout, sequences, steps))
    for level in levels:
        spent, value, made = _rehearsed(layout, sequences, steps, partial(_on_grid, level=level))
        total += spent
        if level**axes > GRID // REHEARSED or _agree(np, before, value):
            break
        before = value
    if not _agree(np, before, value):
        total += sum(max(base, spent * (n / level) ** axes) for n in levels if n > level)
    return _cost(made, (levels[-1] / level) ** axes, pairs * total, pairs * len(levels))


def _rehearsed(
    layout: Layout, sequences: int, steps: int, on: Callable[..., Separable]
) -> tuple[float, Array, Separable]:
    """The seconds of a kernel of inputs by chance, read at all steps, the kernel, and its moments."""
    X = np.random.default_rng(0).standard_normal((sequences, steps, sequences * steps))
    weights = np.broadcast_to(np.eye(steps), (sequences, steps, steps))
    start = process_time()
    made = on(layout, backend("numpy"), X, weights)
    value = kernel_of(made, weights)
    return process_time() - start, value, made


def _cost(made: Separable, larger: float, seconds: float, times: int, draws: float = 0.0) -> KernelCost | None:
    """The cost of moments whose arrays are so many times larger, and are found so many times."""
    if seconds < LONG:
        return None
    kept = [x for known in (made.products, made.means) for found in known.values() for x in found]
    kept += [x for parts in made.known.values() for part in parts for x in part.factors.values()]
    arrays = {id(x): x.nbytes for x in (*kept, *made.forms.values()) if hasattr(x, "nbytes")}
    numbers = larger * sum(arrays.values())
    return KernelCost(MARGIN * numbers, seconds, times * numbers / 8, 0.0, draws)
