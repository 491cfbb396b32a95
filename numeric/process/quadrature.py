"""Kernels of gated recursions over short horizons by nested quadrature, group by group of independent variables.

A process is a sum of products of functions of one group each; so is every moment a sum of products of means, and no
grid spans two groups. Groups that one activation reads together are one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from derive.activations import Phi
from derive.language import Coordinate, Previous
from numeric.activations import activation_function
from numeric.arrays import Array
from numeric.process.gaussian import SINGULAR
from numeric.process.layout import Law, Layout, Numbers
from numeric.process.sampling import kernel_of

QUADRATURE = "nested quadrature of the limiting process"
LEVELS = (17, 25, 33, 41, 49, 65, 97, 129, 193, 257)
"""Nodes of an axis, from level to level."""
REACH, GRID = 8.5, 2**22
GOAL = 1e-10
AXES = 4
"""Horizons whose largest group has more variables than this are sampled: a fifth axis has too few nodes."""


class Part(NamedTuple):
    """weight x product over groups of a function on the grid of the group."""

    weight: float
    factors: dict[int, Array]


@dataclass
class Grid:
    """The axes of one group, and the normal variables of its forms."""

    nodes: Array
    weights: Array
    axes: int = 0
    rows: list[tuple[Any, list[float]]] = field(default_factory=list)

    def axis(self) -> Array:
        """The nodes along a new axis, in front of the earlier ones."""
        self.axes += 1
        return self.nodes.reshape((-1,) + (1,) * (self.axes - 1))

    def mean(self, xp: Any, values: Array) -> float:
        """The mean of a function on the grid; axes it does not vary along cost nothing."""
        while values.ndim:
            values = xp.tensordot(self.weights, values, axes=([0], [0])) if values.shape[0] > 1 else values[0]
        return float(values)


@dataclass
class Nested:
    """The moments of a process for a few sequences, on grids of a given number of nodes.

    Shapes: X (N, T, n_x).  Units: those of the recursion.  Error: that of the trapezoidal rule, geometric in the
    number of nodes for smooth maps.  Source: trefethen2014exponentially; derive.process.
    """

    layout: Layout
    xp: Any
    X: Array
    level: int
    merged: dict[sp.Symbol, int]
    grids: dict[int, Grid] = field(default_factory=dict)
    known: dict[Any, list[Part]] = field(default_factory=dict)
    forms: dict[Any, Array] = field(default_factory=dict)
    products: dict[tuple[int, ...], tuple[Array, Array, Array]] = field(default_factory=dict)
    means: dict[tuple[int, ...], tuple[float, Array, Array]] = field(default_factory=dict)
    moments: dict[Any, float] = field(default_factory=dict)

    # ---- what `kernel_of` asks for --------------------------------------------------------------------
    def law(self, law: Law, step: int, other: int) -> Array:
        """The value of a law at two steps.  Shapes: (N, N)."""
        size = range(self.X.shape[0])
        return self.xp.asarray([[self._law(law, (step, i), (other, j)) for j in size] for i in size])

    def _law(self, law: Law, first: tuple[int, int], second: tuple[int, int]) -> float:
        (step, i), (other, j) = first, second
        if law.redrawn and step != other:
            return 0.0
        if law.gram:
            return law.weight * float(self.X[i, step, :] @ self.X[j, other, :])
        return law.weight * (1.0 if law.moment is None else self._moment(*law.moment, first, second))

    def _moment(self, u: sp.Expr, v: sp.Expr, first: tuple[int, int], second: tuple[int, int]) -> float:
        key = (u, v, first, second)
        if key not in self.moments:
            left, right = self.value(u, *first), self.value(v, *second)
            found = sum(a.weight * b.weight * self._mean(a.factors, b.factors) for a in left for b in right)
            self.moments[key] = self.moments[v, u, second, first] = found
        return self.moments[key]

    def _mean(self, left: dict[int, Array], right: dict[int, Array]) -> float:
        return math.prod(self._group_mean(g, left.get(g), right.get(g)) for g in sorted({*left, *right}))

    def _group_mean(self, group: int, a: Array, b: Array) -> float:
        key = (group, *sorted((id(a), id(b))))
        if key not in self.means:
            values = b if a is None else a if b is None else a * b
            self.means[key] = self.grids[group].mean(self.xp, values), a, b
        return self.means[key][0]

    # ---- processes ------------------------------------------------------------------------------------
    def value(self, process: sp.Expr, step: int, sequence: int) -> list[Part]:
        """A process at a step, for one sequence."""
        key = (process, step, sequence)
        if key not in self.known:
            body = self.layout.bodies.get(process)
            if body is not None and not 0 <= step < self.X.shape[1]:
                self.known[key] = []
            else:
                expr = self.layout.in_forms(process) if body is None else body
                self.known[key] = self._evaluate(expr, step, sequence)
        return self.known[key]

    def _evaluate(self, expr: sp.Expr, step: int, sequence: int) -> list[Part]:
        if isinstance(expr, Coordinate):
            term = self.layout.program.table[expr]
            if isinstance(term, Previous):
                return self.value(self.layout.program.updated[term.state], step + term.state.back, sequence)
            return self.value(expr, step, sequence)
        if expr in self.layout.forms:
            return [Part(1.0, {self.merged[expr]: self._form(expr, step, sequence)})]
        if isinstance(expr, Phi):
            return self._activation(expr, step, sequence)
        if expr.is_Number:
            return [Part(float(expr), {})] if expr != 0 else []
        if expr.is_Pow:
            base = self._evaluate(expr.base, step, sequence)
            return self._product([base] * int(expr.exp))
        parts = [self._evaluate(a, step, sequence) for a in expr.args]
        return self._product(parts) if expr.is_Mul else self._sum(parts)

    def _activation(self, phi: Phi, step: int, sequence: int) -> list[Part]:
        name, order, argument = phi.args
        inner = self._evaluate(argument, step, sequence)
        groups = {g for part in inner for g in part.factors}
        values = sum((part.weight * math.prod(part.factors.values()) for part in inner), start=self.xp.asarray(0.0))
        found = activation_function(str(name), int(order))(self.xp.asarray(values))
        return [Part(1.0, {groups.pop(): found})] if groups else [Part(float(found), {})]

    def _product(self, parts: Sequence[list[Part]]) -> list[Part]:
        total = [Part(1.0, {})]
        for part in parts:
            total = self._joined([self._times(a, b) for a in total for b in part])
        return total

    def _times(self, a: Part, b: Part) -> Part:
        factors = dict(a.factors)
        for group, values in b.factors.items():
            factors[group] = self._pointwise(factors[group], values) if group in factors else values
        return Part(a.weight * b.weight, factors)

    def _pointwise(self, a: Array, b: Array) -> Array:
        key = tuple(sorted((id(a), id(b))))
        if key not in self.products:  # the arrays are kept with their product, so that no identity is given twice
            self.products[key] = (a * b, a, b)
        return self.products[key][0]

    def _sum(self, parts: Sequence[list[Part]]) -> list[Part]:
        return self._joined([part for terms in parts for part in terms])

    def _joined(self, parts: list[Part]) -> list[Part]:
        """Summands that differ in one group only are one summand."""
        found: list[Part] = []
        for part in parts:
            partner = next((i for i, other in enumerate(found) if self._apart(part, other) is not None), None)
            if partner is None:
                found.append(part)
                continue
            other = found.pop(partner)
            group = self._apart(part, other)
            assert group is not None
            here, there = (x.weight * x.factors.get(group, 1.0) for x in (part, other))
            rest = {g: values for g, values in other.factors.items() if g != group}
            joined = Part(1.0, {**rest, group: here + there}) if group != -1 else Part(part.weight + other.weight, rest)
            found.insert(partner, joined)
        return found

    @staticmethod
    def _apart(a: Part, b: Part) -> int | None:
        """The one group in which two parts differ, -1 if there is none, None if there are several."""
        different = [g for g in {*a.factors, *b.factors} if a.factors.get(g) is not b.factors.get(g)]
        return None if len(different) > 1 else different[0] if different else -1

    # ---- Gaussian forms -------------------------------------------------------------------------------
    def _form(self, name: sp.Symbol, step: int, sequence: int) -> Array:
        key = (name, step, sequence)
        if key not in self.forms:
            variance = self._covariance(key, key)
            group = self.merged[name]
            grid = self.grids.setdefault(group, self._grid(group))
            row: list[float] = []
            for other, known in grid.rows:
                left = self._covariance(key, other) - float(np.dot(row, known[: len(row)]))
                row.append(left / known[-1] if known[-1] else 0.0)
            rest = variance - float(np.dot(row, row))
            row.append(math.sqrt(rest) if rest > SINGULAR * variance else 0.0)
            self.forms[key] = self._placed(grid, row, name)
            grid.rows.append((key, row))
        return self.forms[key]

    def _placed(self, grid: Grid, row: list[float], name: sp.Symbol) -> Array:
        """mean + sum of coefficient x variable, on the axes that the group has."""
        noisy = [known[-1] != 0 for _, known in grid.rows] + [row[-1] != 0]
        if noisy[-1]:
            grid.axis()
        coefficients = [c for c, keep in zip(row, noisy, strict=True) if keep]
        total = self.xp.asarray(self.layout.forms[name].mean)
        for axis, c in enumerate(coefficients):
            if c:
                total = total + c * grid.nodes.reshape((-1,) + (1,) * axis)
        return total

    def _grid(self, group: int) -> Grid:
        if any(self.merged[name] == group for name in self.layout.inside):
            nodes = np.linspace(-REACH, REACH, self.level)
            weights = np.exp(-0.5 * nodes**2)
        else:  # only powers of these variables occur
            nodes, weights = np.polynomial.hermite_e.hermegauss(3 + self.level // 8)
        return Grid(self.xp.asarray(nodes), self.xp.asarray(weights / weights.sum()))

    def _covariance(self, first: Any, second: Any) -> float:
        forms = self.layout.forms
        return sum(
            a * b * self._law(law, first[1:], second[1:])
            for c, a in forms[first[0]].weights
            for d, b in forms[second[0]].weights
            if (law := self.layout.laws.get((c, d))) is not None
        )


# ---- when and how far -------------------------------------------------------------------------------------
def merged_groups(layout: Layout) -> dict[sp.Symbol, int]:
    """Form -> the number of its grid: independent groups that no activation reads together."""
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


def nested(layout: Layout, xp: Any, X: Array, weights: Array) -> Numbers:
    """Return the kernel of a few sequences, finer grids until two of them agree, and that disagreement.

    Shapes: X (N, T, n_x), weights (N, r, T) -> (N, r, N, r) twice.  Units: output^2.
    Error: the difference of the last two levels, which bounds that of the last where the rule converges: for smooth
    maps geometrically, at a kink as the square of the step.  Source: trefethen2014exponentially.
    """
    merged = merged_groups(layout)
    axes = max(1, axes_needed(layout, X.shape[0], X.shape[1]))
    levels = [n for n in LEVELS if n**axes <= GRID] or list(LEVELS[:2])
    before = kernel_of(Nested(layout, xp, X, levels[0], merged), weights)
    gap = xp.full(before.shape, xp.inf)
    for level in levels[1:]:
        now = kernel_of(Nested(layout, xp, X, level, merged), weights)
        gap, before = xp.abs(now - before), now
        if float(xp.max(gap)) <= GOAL * float(xp.max(xp.abs(now))):
            break
    return Numbers(before, gap, QUADRATURE)
