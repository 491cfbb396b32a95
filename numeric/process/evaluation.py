"""The kernel of a gated recursion on sequences: which method, in which blocks, and how sure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from wideproof.derive import Formula
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.core.inputs import callback, whole
from wideproof.numeric.networks.simulation import symbol_values
from wideproof.numeric.process.cost import Extent, KernelCost, PathWork
from wideproof.numeric.process.digital_nets import MOST
from wideproof.numeric.process.groups import axes_needed
from wideproof.numeric.process.layout import KernelNumbers, Layout
from wideproof.numeric.process.quadrature import (
    AXES,
    TERMS,
    grouped,
    grouped_cost,
    nested,
    nested_cost,
    products_of_terms,
)
from wideproof.numeric.process.quasi_monte_carlo import REPLICATES, dimensions, extent_of, sampled

PAIRS = 32
"""More pairs of sequences than this are sampled together, whatever the horizon."""
MORE = 16
"""Where products of terms are few, nets of single groups have up to so many times the points, for the same work."""
SETTLED = 1e-5
"""Quadratures whose error is a larger part of the kernel are compared with sampling."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Effort:
    """How much work goes into a kernel: paths of each replicate, the seed, memory in bytes, whom to tell (done, of).

    Shapes: scalars; points a power of two.  Units: bytes.  Source: definition.
    """

    points: int
    seed: int
    memory: float
    progress: Progress | None = None

    def __post_init__(self) -> None:
        whole("Kernel: seed", self.seed, most=2**128)
        callback("Kernel: progress", self.progress)
        if whole("Kernel: points", self.points, 1, hint="A power of two, such as 4096.").bit_count() != 1:
            raise ParameterError("Kernel: points", "a power of two, such as 4096", self.points,
                                 "The standard error falls faster than one over its root.")  # fmt: skip


@dataclass(frozen=True)
class Sequences:
    """Sequences padded with zeros at their end, and how their outputs are read.

    Shapes: X (N, T, n_x), weights (N, r, T): r = T for all steps, 1 for the last or the average.
    Units: of the inputs.  Error: none; a padded step comes after all that are read.  Source: definition.
    """

    X: Array
    weights: Array

    def __getitem__(self, part: slice) -> Sequences:
        return Sequences(self.X[part], self.weights[part])

    def with_(self, xp: Any, other: Sequences) -> Sequences:
        """Return these and the others, in this order."""
        return Sequences(xp.concat([self.X, other.X]), xp.concat([self.weights, other.weights]))


def padded(xp: Any, groups: list[tuple[list[int], Array]], readout: str, steps: int) -> Sequences:
    """Return sequences of several lengths, grouped as (positions, (N, T, n_x)), as one batch of `steps` steps.

    Shapes: as `Sequences`.  Units: kept.  Source: definition.
    """
    count, n_x = sum(len(rows) for rows, _ in groups), groups[0][1].shape[2]
    X, weights = xp.zeros((count, steps, n_x)), xp.zeros((count, steps if readout == "all" else 1, steps))
    for rows, part in groups:
        T, at = part.shape[1], xp.asarray(rows)
        X[at, :T] = part
        if readout == "all":
            weights[at] = xp.eye(steps)[None]
        elif readout == "last":
            weights[at, 0, T - 1] = 1.0
        else:
            weights[at, 0, :T] = 1.0 / T
    return Sequences(X, weights)


class ProcessKernel:
    """A kernel that is an expectation over the limiting process, evaluated with its error.

    Two sequences whose largest group of variables, read by one activation, has at most AXES of them go to nested
    quadrature (a GRU over two steps, one alone over four), if there are at most PAIRS pairs. Beyond, each group is
    sampled by itself while the products between groups are few (TERMS: two sequences over six steps, their
    tangent kernel over four), and all of them together on paths after that. Where the quadrature leaves more than
    SETTLED of the kernel in doubt, it is sampled too, and the surer of the two is returned.
    Shapes: (N1, r, N2, r).  Units: output^2.  Error: `Numbers.error`.  Source: derive.calculus.gaussian_process.
    """

    def __init__(self, formula: Formula) -> None:
        assert formula.process is not None
        self.formula = formula
        self._last: Layout | None = None

    def on(self, xp: Any, first: Sequences, second: Sequences | None, effort: Effort,
           parameters: Mapping[str, float]) -> KernelNumbers:  # fmt: skip
        """Return the kernel of `first` with `second`, or with itself where that is None.

        Shapes: as the class says.  Units: output^2.  Error: ParameterError for parameters.  Source: see the class.
        """
        layout = self._layout(parameters)
        sizes = (first.X.shape[0], (second or first).X.shape[0])
        if not _is_short(layout, sizes, first.X.shape[1], second is None):
            return _sampled(layout, xp, first, second, effort)
        exact = _in_blocks(lambda X, weights, told: _told_once(nested(layout, xp, X, weights), told),
                           xp, first, second, 1, _Told(effort.progress, 1))  # fmt: skip
        if float(xp.max(exact.error)) <= SETTLED * float(xp.max(xp.abs(exact.mean))):
            return exact
        return min(exact, _sampled(layout, xp, first, second, effort), key=lambda found: float(xp.max(found.error)))

    def _layout(self, parameters: Mapping[str, float]) -> Layout:
        """The layout, that of the last call where the parameters are the same: factors and programs stay with it."""
        assert self.formula.process is not None
        values, found = symbol_values(self.formula.program, parameters), self._last
        if found is None or found.values != values:
            self._last = found = Layout(self.formula.program, self.formula.process, values)
        return found

    def cost(self, sizes: tuple[int, int], symmetric: bool, extent: Extent, effort: Effort,
             parameters: Mapping[str, float]) -> KernelCost | None:  # fmt: skip
        """Return what a kernel takes; None where quadrature or nets of single groups do in less than two seconds.

        Shapes: sizes are the numbers of sequences.  Units: bytes, seconds.  Error: `KernelCost`; the sampling that
        follows a quadrature in doubt is not foreseen.
        Source: `PathWork`; of quadrature and nets of single groups a rehearsal on few points.
        """
        layout, steps = self._layout(parameters), extent.steps
        together = sizes[0] if symmetric else sum(sizes)
        if _is_short(layout, sizes, steps, symmetric):
            pairs = sizes[0] * (sizes[0] + 1) // 2 if symmetric else sizes[0] * sizes[1]
            return nested_cost(layout, min(2, together), pairs, steps)
        if _is_apart(layout, together, steps):
            return grouped_cost(layout, together, steps, _points(layout, together, steps, effort))
        side, work = _side(layout, sizes, extent, together, effort), PathWork.expected(layout, extent, effort.points)
        if side >= max(sizes):
            return work.cost([together], REPLICATES, effort.memory)
        ends = [[min(side, size - i) for i in range(0, size, side)] for size in sizes]
        batches = [a if symmetric and i == j else a + b for i, a in enumerate(ends[0])
                   for j, b in enumerate(ends[1]) if not symmetric or i <= j]  # fmt: skip
        return work.cost(batches, REPLICATES, effort.memory)


def _is_apart(layout: Layout, sequences: int, steps: int) -> bool:
    """Whether each group is sampled by itself, because products between groups are few."""
    return layout.random_starts == 0 and products_of_terms(layout, sequences, steps) <= TERMS


def _points(layout: Layout, sequences: int, steps: int, effort: Effort) -> int:
    """How many points nets of single groups have."""
    more = min(MORE, TERMS // products_of_terms(layout, sequences, steps))
    return effort.points << (more.bit_length() - 1)


def _sampled(layout: Layout, xp: Any, first: Sequences, second: Sequences | None, effort: Effort) -> KernelNumbers:
    """The kernel by quasi-Monte Carlo, of each group by itself while that is less work than paths of all."""
    sizes, steps = (first.X.shape[0], (second or first).X.shape[0]), first.X.shape[1]
    together = sizes[0] if second is None else sum(sizes)
    apart = _is_apart(layout, together, steps)
    points = _points(layout, together, steps, effort) if apart else effort.points
    extent = extent_of(xp, *(part.weights for part in (first, second) if part))
    paths = partial(sampled, memory=effort.memory, extent=extent)
    side, by = (max(sizes), grouped) if apart else (_side(layout, sizes, extent, together, effort), paths)
    told = _Told(effort.progress, REPLICATES)
    return _in_blocks(lambda X, weights, told: by(layout, xp, X, weights, points, effort.seed, told),
                      xp, first, second, side, told)  # fmt: skip


def _in_blocks(evaluate: Callable[[Array, Array, _Told], KernelNumbers], xp: Any, first: Sequences,
               second: Sequences | None, side: int, told: _Told) -> KernelNumbers:  # fmt: skip
    """The kernel in blocks of at most `side` sequences of each of the two; half of them where the two are one."""
    symmetric, other = second is None, second or first
    sizes, rows = (first.X.shape[0], other.X.shape[0]), first.weights.shape[1]
    places = [(i, j) for i in range(0, sizes[0], side) for j in range(0, sizes[1], side) if not symmetric or i <= j]
    told.total *= len(places)
    mean, error = (xp.zeros((sizes[0], rows, sizes[1], rows)) for _ in range(2))
    for i, j in places:
        here, there = slice(i, i + side), slice(j, j + side)
        same = symmetric and i == j
        batch = first[here] if same else first[here].with_(xp, other[there])
        found = evaluate(batch.X, batch.weights, told)
        size = first[here].X.shape[0]
        for target, value in ((mean, found.mean), (error, found.error)):
            block = value[:size, :, 0 if same else size :, :]
            if same:  # sums in two orders differ by their rounding
                block = 0.5 * (block + xp.permute_dims(block, (2, 3, 0, 1)))
            target[here, :, there, :] = block
            if symmetric:
                target[there, :, here, :] = xp.permute_dims(block, (2, 3, 0, 1))
    return KernelNumbers(mean, error, found.method)


def _told_once(found: KernelNumbers, told: _Told) -> KernelNumbers:
    told()
    return found


class _Told:
    """Counts what is done and tells the caller."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _is_short(layout: Layout, sizes: tuple[int, int], steps: int, symmetric: bool) -> bool:
    """Whether every pair of sequences can go to quadrature."""
    at_once = 1 if symmetric and sizes[0] == 1 else 2
    few = axes_needed(layout, at_once, steps) <= AXES and sizes[0] * sizes[1] <= PAIRS
    return few and layout.random_starts == 0


def _side(layout: Layout, sizes: tuple[int, int], extent: Extent, together: int, effort: Effort) -> int:
    """How many sequences of each side are sampled together: all of them, if memory and the net allow it."""
    work, steps = PathWork.expected(layout, extent, effort.points), extent.steps
    needed = int(work.memory(2))
    if needed > effort.memory:
        halves = (effort.points >> k for k in range(1, effort.points.bit_length()))
        fewer = next((p for p in halves if work.with_points(p).memory(2) <= effort.memory), None)
        less = f", or points={fewer}, with a larger error" if fewer else ""
        raise ParameterError("Kernel: memory", f"room for two sequences of {steps} steps and {effort.points} paths, "
                             f"{needed:.3g} bytes", f"{effort.memory:.3g}",
                             f"Give memory={needed}{less}.")  # fmt: skip
    most = min(work.most_within(effort.memory), MOST // max(1, dimensions(work.factors, 1, steps)))
    if most < 2:
        raise ParameterError("Kernel: X", f"at most {MOST // (2 * max(1, dimensions(work.factors, 1, 1)))} steps",
                             steps, "Nets of points have no more dimensions: give shorter sequences.")  # fmt: skip
    return max(sizes) if together <= most else max(1, most // 2)
