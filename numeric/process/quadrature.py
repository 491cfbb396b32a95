"""Kernels of gated recursions group by group: nested quadrature, or a net of its own for each group.

Products of independent groups are taken exactly; perturbations, which enter linearly, are integrated exactly.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.language.activations import Phi
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.process.layout import Layout, Numbers
from wideproof.numeric.process.points import Points, net, pairs, tensor
from wideproof.numeric.process.quasi_monte_carlo import REPLICATES, Normals, Told, ends_of, kernel_of, replicated
from wideproof.numeric.process.separable import Separable

QUADRATURE = "nested quadrature of the limiting process"
GROUPED = "randomised quasi-Monte Carlo of each independent group of the limiting process"
LEVELS = (17, 25, 33, 41, 49, 65, 97, 129, 193, 257)
"""Nodes of an axis, from level to level."""
GRID = 2**22
GOAL = 1e-10
AXES = 4
"""Horizons whose largest group has more variables are sampled: a fifth axis has too few nodes."""
TERMS = 2**13
"""More products of terms than this, counted by `products_of_terms`, take longer than paths of all groups at once."""


def merged_groups(layout: Layout) -> dict[sp.Symbol, int]:
    """Form -> the number of its group: independent ones that no activation reads together."""
    found = dict(layout.groups)
    reach = _reach(layout)
    for expr in layout.written.values():
        for phi in expr.atoms(Phi):
            together = {found[f] for x in phi.args[2].free_symbols for f in reach.get(x, {x} & set(found))}
            found = {f: min(together) if g in together else g for f, g in found.items()}
    return found


def _reach(layout: Layout) -> dict[sp.Symbol, set[sp.Symbol]]:
    """State, before and after its update -> the forms it depends on."""
    table, updated = layout.program.table, layout.program.updated
    states = {c: updated[term.state] for c, term in table.items() if hasattr(term, "state")}
    found: dict[sp.Symbol, set[sp.Symbol]] = {c: set() for c in states}
    while True:
        new = {
            c: {f for x in layout.bodies[after].free_symbols for f in found.get(x, {x} & set(layout.forms))}
            for c, after in states.items()
        }
        if new == found:
            return found
        found = new


def axes_needed(layout: Layout, sequences: int, steps: int) -> int:
    """Return the largest number of variables of a group that some activation reads."""
    merged = merged_groups(layout)
    groups = {merged[f] for f in layout.inside}
    return sequences * steps * max((sum(g == other for other in merged.values()) for g in groups), default=0)


def products_of_terms(layout: Layout, sequences: int, steps: int) -> int:
    """Return the order of how many means of one group the moments of all states take.

    Error: an order of magnitude.  Source: a gated state is a sum of t terms at step t,
    and moments are taken of all pairs; perturbations have about eight times as many, measured on a GRU.
    """
    return sequences**2 * steps**4 * (1 if layout.program.base is None else 8)


def perturbations(layout: Layout, merged: dict[sp.Symbol, int]) -> set[int]:
    """Return the groups made of perturbations alone, which enter every response linearly.

    Source: emami2021implicit, Lemma B.1.
    """
    base = layout.program.base
    if base is None:
        return set()
    read = {merged[name] for name, form in layout.forms.items() if any(c in base.table for c, _ in form.weights)}
    return set(merged.values()) - read - {merged[name] for name in layout.inside}


def nested(layout: Layout, xp: Any, X: Array, weights: Array) -> Numbers:
    """Return the kernel of a few sequences, finer grids until two of them agree, and that disagreement.

    Shapes: X (N, T, n_x), weights (N, r, T) -> (N, r, N, r) twice.  Units: output^2.
    Error: the difference of the last two levels, which bounds that of the last where the rule converges: for smooth
    maps geometrically, at a kink as the square of the step.  Source: trefethen2014exponentially.
    """
    merged = merged_groups(layout)
    axes = max(1, axes_needed(layout, X.shape[0], X.shape[1]))
    levels = [n for n in LEVELS if n**axes <= GRID] or list(LEVELS[:2])
    smooth, linear = {merged[name] for name in layout.inside}, perturbations(layout, merged)

    def at(level: int) -> Array:
        def rule(group: int) -> Points:
            return pairs(xp, _variables(merged, group, X)) if group in linear else tensor(xp, level, group in smooth)

        return kernel_of(Separable(layout, xp, X, merged, rule, ends_of(xp, weights)), weights)

    before = at(levels[0])
    gap = xp.full(before.shape, xp.inf)
    for level in levels[1:]:
        now = at(level)
        gap, before = xp.abs(now - before), now
        if float(xp.max(gap)) <= GOAL * float(xp.max(xp.abs(now))):
            break
    return Numbers(before, gap, QUADRATURE)


def grouped(layout: Layout, xp: Any, X: Array, weights: Array, points: int, seed: int, told: Told) -> Numbers:
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
            return net(xp, Normals(xp, size, points, seed, replicate, group)(size))

        kernels.append(kernel_of(Separable(layout, xp, X, merged, rule, ends_of(xp, weights)), weights))
        told()
    return replicated(xp, kernels, GROUPED)


def _variables(merged: dict[sp.Symbol, int], group: int, X: Array) -> int:
    """How many normal variables a group may take."""
    return int(X.shape[0] * X.shape[1] * sum(g == group for g in merged.values()))
