"""Kernels of gated recursions by randomised quasi-Monte Carlo over paths of the limiting process."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy import special

from wideproof.derive.expectation.mehler_series import ENOUGH
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Array, Host, seed_sequence
from wideproof.numeric.process.factors import Factors, LongSeries
from wideproof.numeric.process.groups import perturbations
from wideproof.numeric.process.layout import SAMPLING, Layout, Numbers
from wideproof.numeric.process.paths import Paths

REPLICATES = 16
MOST = 21201  # scipy.stats.qmc.Sobol.MAXDIM; importing it here would double the start of the command
OF_SIGNS = 1
"""The key of the stream of signs beside that of the net."""
INNER = 1.0 - 2.0**-40
"""Points of a scrambled net may lie on the border; they are moved inside by a part of 2^-41."""
Told = Callable[[], None]
"""Called after each replicate."""


def dimensions(factors: Factors, sequences: int, steps: int) -> int:
    """Return how many normal variables one path takes; perturbations are signs, and not counted."""
    signs = perturbations(factors.layout, factors.groups)
    normal = [form for form, group in factors.groups.items() if form in factors.used and group not in signs]
    return sequences * (steps * len(normal) + factors.layout.random_starts)


def sampled(layout: Layout, xp: Any, X: Array, weights: Array, points: int, seed: int, told: Told) -> Numbers:
    """Estimate sum over steps of weights x kernel x weights for all pairs of sequences.

    Each of REPLICATES scrambled Sobol nets of `points` paths finds its own covariances, so their spread holds the
    error of the covariances too. What a nonlinear use of these adds in the mean is of the order of their variance:
    spread^2 over the size of the kernel, added to the standard error. Perturbations enter linearly, so that only
    their covariance matters: they are driven by signs, which have less spread in their products than normal numbers.
    Shapes: X (N, T, n_x), weights (N, r, T) -> mean and stderr (N, r, N, r).  Units: output^2.
    Error: stderr, with REPLICATES - 1 degrees of freedom.
    Source: owen1997scrambled; hutchinson1990stochastic; yang2020tensor2.
    """
    kernels: list[Array] = []
    factors = Factors(layout)
    while len(kernels) < REPLICATES:
        drivers = Drivers(factors, xp, X, points, seed, len(kernels))
        paths = Paths(layout, factors, xp, X, drivers, points, ends_of(xp, weights))
        try:
            paths.run()
            kernels.append(paths.kernel(weights))
        except LongSeries as found:  # this replicate starts again, with paths
            factors = Factors(layout, factors.inexact | {found.phi})
        else:
            told()
    return replicated(xp, kernels, SAMPLING)


def ends_of(xp: Any, weights: Array) -> Array:
    """Return how many steps each sequence has: it ends with the last step that is read.

    Shapes: weights (N, r, T) -> (N,).  Source: definition.
    """
    steps = xp.arange(1, weights.shape[2] + 1)
    return xp.max(xp.max(xp.where(weights != 0, steps, 0), axis=1), axis=1)


def replicated(xp: Any, kernels: list[Array], method: str) -> Numbers:
    """Return the mean of independent replicates of a kernel and its standard error, bias and short series included.

    Shapes: (N, r, N, r) each.  Units: output^2.  Error: REPLICATES - 1 degrees of freedom.  Source: `sampled`.
    """
    stacked = xp.stack(kernels)
    mean, spread = xp.mean(stacked, axis=0), xp.std(stacked, axis=0, correction=1)
    size = math.prod(mean.shape[:2])
    variances = xp.reshape(mean, (size, size)).diagonal()
    roots = xp.sqrt(xp.where(variances > 0, variances, xp.zeros_like(variances)))
    scale = xp.reshape(roots[:, None] * roots[None, :], mean.shape)
    bias = spread**2 / xp.where(scale > 0, scale, xp.ones_like(scale))
    return Numbers(mean, xp.sqrt(spread**2 / REPLICATES + bias**2 + (ENOUGH * scale) ** 2), method)


def kernel_of(paths: Any, weights: Array) -> Array:
    """Return the kernel that a set of paths, or a quadrature, gives, read out by the weights of the steps.

    Shapes: weights (N, r, T) -> (N, r, N, r).  Units: output^2.  Error: of the paths.
    Source: derive.calculus.gaussian_process.
    """
    steps = range(weights.shape[2])
    total = 0.0
    for law in paths.layout.read:
        for i in steps:
            for j in steps:
                value = paths.law(law, i, j)
                total = total + weights[:, :, i, None, None] * value[:, None, :, None] * weights[None, None, :, :, j]
    return total


class Drivers:
    """What drives the forms of one replicate: normal variables of one net, and signs for perturbations."""

    def __init__(self, factors: Factors, xp: Any, X: Array, points: int, seed: int, replicate: int) -> None:
        linear = perturbations(factors.layout, factors.groups)
        self.linear = {factors.layout.groups[form] for form, group in factors.groups.items() if group in linear}
        self.normals = Normals(xp, dimensions(factors, X.shape[0], X.shape[1]), points, seed, replicate)
        self.signs = Signs(xp, points, seed, replicate)

    def __call__(self, group: int, count: int) -> Array:
        """Return the next `count` variables for a group of forms.  Shapes: (count, points)."""
        return self.signs(count) if group in self.linear else self.normals(count)


class Signs:
    """Random signs of which any two differ on half of the paths: Walsh functions, each with a sign of its own.

    The paths that carry them are in random order (`Normals`), and again when all functions are used up.
    Shapes: (count, points).  Error: none; E[s s^T] is the identity.  Source: hutchinson1990stochastic.
    """

    def __init__(self, xp: Any, points: int, seed: int, *key: int) -> None:
        self.generator = np.random.Generator(np.random.PCG64(seed_sequence(seed, *key, OF_SIGNS)))
        self.xp, self.points = xp, points
        self.low = 2 ** ((points.bit_length() - 1) // 2)
        self.unused: list[int] | None = None
        self.order: Any = None

    def __call__(self, count: int) -> Array:
        """Return the next `count` functions."""
        parts = []
        while count:
            if not self.unused:
                self.order = None if self.unused is None else self.generator.permutation(self.points)
                self.unused = self.generator.permutation(np.arange(min(1, self.points - 1), self.points)).tolist()
            chosen, self.unused = self.unused[:count], self.unused[count:]
            parts.append(self._walsh(np.asarray(chosen)))
            count -= len(chosen)
        return self.xp.asarray(np.concatenate(parts) if len(parts) > 1 else parts[0])

    def _walsh(self, numbers: Any) -> Host:
        high, low = np.divmod(numbers, self.low)
        signs = self.generator.choice([-1.0, 1.0], (numbers.size, 1)) * _hadamard(self.points // self.low)[high]
        values = signs[:, :, None] * _hadamard(self.low)[low][:, None, :]
        found: Host = np.reshape(values, (numbers.size, self.points)).astype(np.float64, copy=False)
        return found if self.order is None else found[:, self.order]


@cache
def _hadamard(order: int) -> Host:
    """Sylvester's matrix.  Shapes: (order, order)."""
    found: Host = np.ones((1, 1))
    while found.shape[0] < order:
        found = np.asarray(np.block([[found, found], [found, -found]]), dtype=np.float64)
    return found


class Normals:
    """Standard normal variables from the coordinates of one scrambled Sobol net in random order, handed out in turn."""

    def __init__(self, xp: Any, dimension: int, points: int, seed: int, *key: int) -> None:
        if dimension > MOST:
            raise ParameterError("gated kernel", f"at most {MOST} Gaussian variables a path", dimension,
                                 "Give fewer or shorter sequences at once.")  # fmt: skip
        generator = np.random.Generator(np.random.PCG64(seed_sequence(seed, *key)))
        with warnings.catch_warnings():  # points is a power of two by construction
            from scipy.stats import qmc

            net = qmc.Sobol(max(1, dimension), scramble=True, rng=generator).random(points)
        self.net = net[generator.permutation(points)]
        self.xp, self.taken = xp, 0

    def __call__(self, count: int) -> Array:
        """Return the next `count` variables.  Shapes: (count, points)."""
        part = np.ascontiguousarray(self.net[:, self.taken : self.taken + count].T)
        self.taken += count
        return self.xp.asarray(special.ndtri(0.5 + INNER * (part - 0.5)))
