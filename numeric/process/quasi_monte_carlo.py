"""Kernels of gated recursions by randomised quasi-Monte Carlo over paths of the limiting process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from array_api_compat import is_numpy_namespace

from wideproof.derive.expectation.mehler_series import ENOUGH
from wideproof.derive.language.errors import TooLarge
from wideproof.numeric.core.arrays import Array, Host
from wideproof.numeric.process.block_cholesky import UNSURE
from wideproof.numeric.process.cost import DOUBLE, SINGLE, Extent, PathWork
from wideproof.numeric.process.digital_nets import Nets, Walsh, walsh_values
from wideproof.numeric.process.factors import Factors, LongSeries, factors_of
from wideproof.numeric.process.given_paths import Room
from wideproof.numeric.process.groups import perturbations
from wideproof.numeric.process.layout import SAMPLING, KernelNumbers, Layout, within_step
from wideproof.numeric.process.paths import BeyondSingle, Paths

REPLICATES = 16
RETAINED = 2**28
"""Bytes of arrays that a layout may keep from one call to the next."""
Told = Callable[[], None]
"""Called after each replicate."""


def dimensions(factors: Factors, sequences: int, steps: int) -> int:
    """Return how many normal variables one path takes; perturbations are signs, and not counted."""
    signs = perturbations(factors.layout, factors.groups)
    normal = [form for form, group in factors.groups.items() if form in factors.used and group not in signs]
    return sequences * (steps * len(normal) + factors.layout.random_starts)


def sampled(layout: Layout, xp: Any, X: Array, weights: Array, points: int, seed: int, told: Told,
            memory: float = math.inf, extent: Extent | None = None) -> KernelNumbers:  # fmt: skip
    """Estimate sum over steps of weights x kernel x weights for all pairs of sequences.

    `extent` is that of all batches, by default of this one.
    Each of REPLICATES scrambled Sobol nets of `points` paths, or of the fewer that `Factors.paths` says, finds its own
    covariances, so their spread holds the error of the covariances too. What a nonlinear use of these adds in the mean
    is of the order of their variance:
    spread^2 over the size of the kernel, added to the standard error. Perturbations enter linearly, so that only
    their covariance matters: they are driven by signs, which have less spread in their products than normal numbers.
    Shapes: X (N, T, n_x), weights (N, r, T) -> mean and stderr (N, r, N, r).  Units: output^2.
    Error: stderr, with REPLICATES - 1 degrees of freedom.
    Source: owen1997scrambled; hutchinson1990stochastic; yang2020tensor2.
    """
    kernels: list[Array] = []
    factors, room, kind = factors_of(layout), layout.rooms.pop(xp, None) or Room(xp), xp.float32
    ends, extent = ends_of(xp, weights), extent or extent_of(xp, weights)
    while len(kernels) < REPLICATES:
        width = SINGLE if kind == xp.float32 else DOUBLE
        together = PathWork.of(factors, extent, points).together(X.shape[0], REPLICATES, memory, width)
        batch = range(len(kernels), min(len(kernels) + together, REPLICATES))
        count = factors.paths(points)
        drivers = Drivers(factors, X, count, seed, batch)
        passing = factors.passing and extent.last
        paths = Paths(layout, factors, xp, X, drivers, len(batch), count, ends, passing, room, kind)
        try:
            paths.run()
            kernels += list(paths.kernel(weights))
        except LongSeries as found:  # these replicates start again, with paths
            factors = factors_of(layout, factors.inexact | {found.phi})
        except (BeyondSingle, TooLarge):
            if kind == xp.float64:
                raise
            kind = xp.float64
        else:
            for _ in batch:
                told()
    if room.size <= RETAINED:
        layout.rooms[xp] = room
    return replicated(xp, kernels, SAMPLING, UNSURE)


def ends_of(xp: Any, weights: Array) -> Array:
    """Return how many steps each sequence has: it ends with the last step that is read.

    Shapes: weights (N, r, T) -> (N,).  Source: definition.
    """
    steps = xp.arange(1, weights.shape[2] + 1)
    return xp.max(xp.max(xp.where(weights != 0, steps, 0), axis=1), axis=1)


def extent_of(xp: Any, *weights: Array) -> Extent:
    """Return the steps of one batch or two, and whether their weights read only the last one.

    Shapes: weights (N, r, T) each.  Source: definition.
    """
    last = not any(bool(xp.any(part[:, :, :-1] != 0)) for part in weights)
    return Extent(weights[0].shape[2], last, is_numpy_namespace(xp))


def replicated(xp: Any, kernels: list[Array], method: str, missed: float = ENOUGH) -> KernelNumbers:
    """Return the mean of independent replicates of a kernel and its standard error, bias and what all miss included.

    `missed` is a part of the size of the kernel: short series, or single precision.

    Shapes: (N, r, N, r) each.  Units: output^2.  Error: REPLICATES - 1 degrees of freedom.  Source: `sampled`.
    """
    stacked = xp.stack(kernels)
    mean = xp.sum(stacked / REPLICATES, axis=0)  # a power of two: the sum of large numbers would overflow
    size = sizes(xp, mean)
    unit = xp.where(size > 0, size, xp.ones_like(size))
    spread = xp.std(stacked / unit, axis=0, correction=1)  # of small numbers the squares would underflow
    same = missed**2 * (size > 0)
    return KernelNumbers(mean, unit * xp.sqrt(spread**2 / REPLICATES + spread**4 + same), method)


def sizes(xp: Any, kernel: Array) -> Array:
    """Return the roots of the products of the variances that belong to each entry.

    Shapes: (N, r, N, r), kept.  Units: output^2.  Error: rounding.  Source: Cauchy-Schwarz.
    """
    count = math.prod(kernel.shape[:2])
    variances = xp.reshape(kernel, (count, count)).diagonal()
    roots = xp.sqrt(xp.where(variances > 0, variances, xp.zeros_like(variances)))
    return xp.reshape(roots[:, None] * roots[None, :], kernel.shape)


def kernel_of(paths: Any, weights: Array) -> Array:
    """Return the kernel that a set of paths, or a quadrature, gives, read out by the weights of the steps.

    Shapes: weights (N, r, T) -> (N, r, N, r).  Units: output^2.  Error: of the paths.
    Source: derive.calculus.gaussian_process.
    """
    program, every = paths.layout.program, range(weights.shape[2])
    read = [i for i in every if bool(paths.xp.any(weights[:, :, i] != 0))]
    total = 0.0
    for law in paths.layout.read:
        for i in every:  # step by step, so that variables are handed out in their order
            with within_step(program, i):
                paths.law(law, i, i)
        for i in read:
            for j in read:
                with within_step(program, max(i, j)) as finite:
                    value = finite(paths.law(law, i, j))
                total = total + weights[:, :, i, None, None] * value[:, None, :, None] * weights[None, None, :, :, j]
    return total


class Drivers:
    """What drives the forms of some replicates, a net each: normal variables, and signs for perturbations."""

    def __init__(self, factors: Factors, X: Array, points: int, seed: int, replicates: Iterable[int]) -> None:
        linear = perturbations(factors.layout, factors.groups)
        signs = [form for form, group in factors.groups.items() if form in factors.used and group in linear]
        self.linear = {factors.layout.groups[form] for form in signs}
        normals, signed = dimensions(factors, X.shape[0], X.shape[1]), len(signs) * X.shape[0] * X.shape[1]
        self.nets = Nets(normals, signed, points, seed, [(replicate,) for replicate in replicates])

    def __call__(self, group: int, out: Host) -> None:
        """Fill an array with the next variables of a group of forms.  Shapes: (R, count, points)."""
        if group in self.linear:
            out[...] = walsh_values(self.nets.signs(out.shape[1]), out.shape[2])
        else:
            self.nets.normals(out)

    def signs(self, count: int) -> Walsh:
        """The next variables of a group of forms that signs drive.  Shapes: (R, count)."""
        return self.nets.signs(count)
