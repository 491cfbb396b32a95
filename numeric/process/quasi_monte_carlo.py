"""Kernels of gated recursions by randomised quasi-Monte Carlo over paths of the limiting process."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Array, seed_sequence
from wideproof.numeric.process.layout import SAMPLING, Layout, Numbers, within_step
from wideproof.numeric.process.paths import Paths

REPLICATES = 16
MOST = 21201  # scipy.stats.qmc.Sobol.MAXDIM; importing it here would double the start of the command
INNER = 1.0 - 2.0**-40
"""Points of a scrambled net may lie on the border; they are moved inside by a part of 2^-41."""
Told = Callable[[], None]
"""Called after each replicate."""


def dimensions(layout: Layout, sequences: int, steps: int) -> int:
    """Return how many independent normal variables one path takes."""
    return sequences * (steps * len(layout.forms) + layout.random_starts)


def sampled(layout: Layout, xp: Any, X: Array, weights: Array, points: int, seed: int, told: Told) -> Numbers:
    """Estimate sum over steps of weights x kernel x weights for all pairs of sequences.

    Each of REPLICATES scrambled Sobol nets of `points` paths finds its own covariances, so their spread holds the
    error of the covariances too. What a nonlinear use of these adds in the mean is of the order of their variance:
    spread^2 over the size of the kernel, added to the standard error.
    Shapes: X (N, T, n_x), weights (N, r, T) -> mean and stderr (N, r, N, r).  Units: output^2.
    Error: stderr, with REPLICATES - 1 degrees of freedom.  Source: owen1997scrambled; yang2020tensor2.
    """
    kernels = []
    for replicate in range(REPLICATES):
        normals = Normals(xp, dimensions(layout, X.shape[0], X.shape[1]), points, seed, replicate)
        paths = Paths(layout, xp, X, normals, points, ends_of(xp, weights))
        paths.run()
        kernels.append(kernel_of(paths, weights))
        told()
    return replicated(xp, kernels, SAMPLING)


def ends_of(xp: Any, weights: Array) -> Array:
    """Return how many steps each sequence has: it ends with the last step that is read.

    Shapes: weights (N, r, T) -> (N,).  Source: definition.
    """
    steps = xp.arange(1, weights.shape[2] + 1)
    return xp.max(xp.max(xp.where(weights != 0, steps, 0), axis=1), axis=1)


def replicated(xp: Any, kernels: list[Array], method: str) -> Numbers:
    """Return the mean of independent replicates of a kernel and its standard error, bias included.

    Shapes: (N, r, N, r) each.  Units: output^2.  Error: REPLICATES - 1 degrees of freedom.  Source: `sampled`.
    """
    stacked = xp.stack(kernels)
    mean = xp.sum(stacked / REPLICATES, axis=0)  # a power of two: the sum of large numbers would overflow
    size = sizes(xp, mean)
    unit = xp.where(size > 0, size, xp.ones_like(size))
    spread = xp.std(stacked / unit, axis=0, correction=1)  # of small numbers the squares would underflow
    return Numbers(mean, unit * xp.sqrt(spread**2 / REPLICATES + spread**4), method)


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


class Normals:
    """Standard normal variables from the coordinates of one scrambled Sobol net, handed out in order."""

    def __init__(self, xp: Any, dimension: int, points: int, seed: int, *key: int) -> None:
        if dimension > MOST:
            raise ParameterError("gated kernel", f"at most {MOST} Gaussian variables a path", dimension,
                                 "Give fewer or shorter sequences at once.")  # fmt: skip
        generator = np.random.Generator(np.random.PCG64(seed_sequence(seed, *key)))
        with warnings.catch_warnings():  # points is a power of two by construction
            from scipy.stats import qmc

            self.net = qmc.Sobol(max(1, dimension), scramble=True, rng=generator).random(points)
        self.xp, self.taken = xp, 0

    def __call__(self, count: int) -> Array:
        """Return the next `count` variables.  Shapes: (points, count)."""
        part = self.net[:, self.taken : self.taken + count]
        self.taken += count
        return self.xp.asarray(special.ndtri(0.5 + INNER * (part - 0.5)))
