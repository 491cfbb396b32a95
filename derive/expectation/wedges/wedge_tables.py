"""Tables of E[phi(u) psi(v)] of functions that change around zero only, also where they have kinks or slow tails.

By wedges the expectation is analytic in the angle between the two from zero on, whatever kinks there are at zero, and
in both deviations; it changes at angles as small as the part of a deviation within which a function changes, and so is
smooth in the inverse hyperbolic sine of the angle in these units, and in the logarithms of softened deviations. A table
has Chebyshev coefficients in the three, of what is even and what is odd in the correlation, over about the root of
E[phi^2] E[psi^2]. It is checked by other wedges before use.
Source: `wedge_quadrature`; trefethen2014exponentially.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.nested_quadrature import Steep
from wideproof.derive.expectation.tables.pair_tables import (
    Host,
    Range,
    chebyshev,
    clenshaw,
    coordinate,
    roots,
    variances_at,
)
from wideproof.derive.expectation.wedges.wedge_quadrature import grid, pair, scale

NODES, WIDE = (16, 24, 36, 54), (1.8, 3.0)
"""Chebyshev nodes in a deviation, from first to last attempt, and logarithms of the quotient of softened deviations
beyond which the first are too few."""
ANGLES, MORE, MOST, LEVEL = (8.0, 6.0), 4 / 3, 96, 16
"""Nodes in the angle, by its length, by how many times more are taken then, and at most, and the level of wedges."""
RATIO, LEAST = 4.0**4, 4.0**-3
"""Of variances within this factor of the largest a table is of a part of the line; and the least largest one."""
SETTLED, WANTED, ACCEPTED = 1e-12, 1e-13, 2e-11
"""The size of the last coefficients, of what is left out, and of the largest distance from the checks."""
DRAWN, NEAR = 48, 1e-2
"""Laws at which a table is checked, and that deviation, and its square, at which a power is told."""
SIZES = 12
"""Nodes of the size of a function in a deviation: any smooth function near sqrt(E[phi^2]) serves."""
STRIP, ROWS = 1024, 32
"""Single pairs, and rows of a block, at a time: their arrays stay in the cache."""


@dataclass(frozen=True)
class DeviationAxis:
    """One variable of a table: about sqrt(E[phi^2]) as a power times a series, and the basis of the core.

    Shapes: series (n,), basis (r, n), both Chebyshev coefficients in log(scale + deviation).
    """

    scale: float
    span: Range
    power: int
    series: Host
    basis: Host

    def coordinate(self, deviation: Host) -> Host:
        """From -1 at the least to 1 at the largest."""
        return coordinate(self.span, self.scale, deviation)

    def deviations(self, x: Host) -> Host:
        """Those whose coordinate it is."""
        return variances_at(self.span, self.scale, x)

    def at(self, deviation: Host) -> tuple[Host, Host]:
        """The size of the function (N,) and the basis (r, N)."""
        x = self.coordinate(deviation)
        size = np.exp(0.5 * np.polynomial.chebyshev.chebval(x, self.series))
        rooted = deviation / np.hypot(deviation, self.scale)
        return size * rooted**self.power, self.basis @ np.polynomial.chebyshev.chebvander(x, self.basis.shape[1] - 1).T


@dataclass(frozen=True)
class WedgeTable:
    """E[phi(u) psi(v)] for deviations up to some, by their angle; `error` is relative to the sizes.

    Shapes: core (2, K, r, r') of the even and of the odd part.
    """

    axes: tuple[DeviationAxis, DeviationAxis]
    unit: float
    core: Host
    error: float

    def at(self, deviations: tuple[Host, Host], angle: Host) -> tuple[Host, Host]:
        """The values and estimates of their errors: fastest where one deviation is (N, 1) and the other (1, M)."""
        p, q = deviations
        shape = np.broadcast_shapes(p.shape, q.shape, angle.shape)
        if len(shape) == 2 and p.shape[1:] == (1,) and q.shape[:1] == (1,):
            (m, first), (n, second) = self.axes[0].at(p[:, 0]), self.axes[1].at(q[0])
            size, angle = m[:, None] * n, np.broadcast_to(angle, shape)
            rows = [slice(start, start + ROWS) for start in range(0, shape[0], ROWS)]
            whole = np.concatenate([self._block(first[:, x], second, angle[x]) for x in rows] or [angle])
            return size * whole, self.error * size
        p, q, angle = (np.ascontiguousarray(np.broadcast_to(x, shape)).reshape(-1) for x in (p, q, angle))
        (m, first), (n, second) = self.axes[0].at(p), self.axes[1].at(q)
        parts = [slice(start, start + STRIP) for start in range(0, angle.size, STRIP)]
        found = [self._elements(first[:, x], second[:, x], angle[x]) for x in parts] or [angle]
        return (m * n * np.concatenate(found)).reshape(shape), (self.error * m * n).reshape(shape)

    def _block(self, first: Host, second: Host, angle: Host) -> Host:
        left = np.tensordot(self.core, first, (2, 0)).transpose(0, 1, 3, 2)
        return self._sum(angle, lambda part, k: left[part, k] @ second)

    def _elements(self, first: Host, second: Host, angle: Host) -> Host:
        return self._sum(angle, lambda part, k: np.sum(first * (self.core[part, k] @ second), axis=0))

    def _sum(self, angle: Host, term: Any) -> Host:
        """The sums of both parts."""
        y, orders = self.coordinate(np.minimum(angle, math.pi - angle)), range(self.core.shape[1])
        even, odd = (clenshaw((term(part, k) for k in reversed(orders)), y) for part in (0, 1))
        return np.asarray(even + np.cos(angle) * odd)

    def coordinate(self, angle: Host) -> Host:
        """From -1 at zero to 1 at a right angle."""
        return np.asarray(2.0 * np.arcsinh(angle / self.unit) / math.asinh(0.5 * math.pi / self.unit) - 1.0)


class Tried(NamedTuple):
    """Whether coefficients have ended in the angle and in the deviations, and then the table."""

    angles: bool
    deviations: bool
    table: WedgeTable | None = None


def span(variances: Host) -> Range:
    """The range of deviations of the table for some variances, of at most a few kinds for all that are alike."""
    least, most = float(np.min(variances)), max(float(np.max(variances)), LEAST)
    high = 4.0 ** math.ceil(math.log(most, 4.0))
    return (math.sqrt(high / RATIO) if least * RATIO >= high else 0.0), math.sqrt(high)


def build(phi: Steep, psi: Steep, spans: tuple[Range, Range]) -> WedgeTable | None:
    """The table for deviations in two ranges, or None where no nodes are enough, or the checks refuse it."""
    unit = min(1.0, *(scale(f) / high for f, (_, high) in zip((phi, psi), spans, strict=True)))
    same = psi is phi and spans[0] == spans[1]
    axes = [_axis(f, own) for f, own in (((phi, spans[0]),) if same else zip((phi, psi), spans, strict=True))]
    if axes[0] is None or axes[-1] is None:
        return None
    length = max(math.log((x.scale + x.span[1]) / (x.scale + x.span[0])) for x in axes if x is not None)
    counts = list(NODES[sum(length > wide for wide in WIDE) :])
    angles = ANGLES[0] + ANGLES[1] * math.asinh(0.5 * math.pi / unit)
    while counts and angles <= MOST:
        tried = _interpolated(phi, psi, (axes[0], axes[-1]), unit, counts[0], int(angles))
        if tried.table is not None:
            return _checked(tried.table, phi, psi)
        counts = counts if tried.deviations else counts[1:]
        angles *= 1.0 if tried.angles else MORE
    return None


def _axis(phi: Steep, own: Range) -> DeviationAxis | None:
    """The size of a function over a range of deviations; None where it vanishes, or is beyond any number."""
    s = scale(phi)
    squared = Steep(lambda z: phi.values(z) ** 2, phi.places)
    tiny = np.array([NEAR * s, NEAR * NEAR * s])
    axis = DeviationAxis(s, own, 0, np.empty(0), np.empty((0, 1)))
    deviations = axis.deviations(roots(SIZES))
    energy = nested_quadrature.mean(np, squared, 0.0, np.append(tiny, deviations))[0]
    if not np.all((energy > 0.0) & (energy < math.inf)):
        return None
    power = round(0.5 * math.log(energy[0] / energy[1]) / math.log(1.0 / NEAR))
    rooted = deviations / np.hypot(deviations, s)
    return replace(axis, power=power, series=chebyshev(np.log(energy[2:]) - 2 * power * np.log(rooted), 0))


def _interpolated(
    phi: Steep, psi: Steep, axes: tuple[DeviationAxis, DeviationAxis], unit: float, count: int, angles: int
) -> Tried:
    """The table with so many nodes in a deviation and in the angle, where they are enough."""
    p, q = (axis.deviations(roots(count)) for axis in axes)
    at = unit * np.sinh(0.5 * (roots(angles) + 1.0) * math.asinh(0.5 * math.pi / unit))
    values = grid(phi, psi, (p, q), at, LEVEL)
    values /= axes[0].at(p)[0][:, None] * axes[1].at(q)[0]
    both = np.stack([values[0] + values[1], (values[0] - values[1]) / np.cos(at)[:, None, None]]) * 0.5
    core = chebyshev(chebyshev(chebyshev(both, 1), 2), 3)
    parts = np.abs(core)
    ends = [bool(np.max(x) <= SETTLED) for x in (parts[:, -2:], np.append(parts[:, :, -2:], parts[..., -2:]))]
    if not all(ends):
        return Tried(ends[0], ends[1])
    kept = int(np.max(np.flatnonzero(np.max(parts, axis=(0, 2, 3)) > WANTED), initial=0)) + 1
    core = core[:, :kept]
    bases = [_basis(core, axis) for axis in (2, 3)]
    core = np.einsum("pkij,ri,sj->pkrs", core, *bases, optimize=True)
    sides = [replace(axis, basis=basis) for axis, basis in zip(axes, bases, strict=True)]
    return Tried(True, True, WedgeTable((sides[0], sides[1]), unit, core, math.inf))


def _basis(core: Host, axis: int) -> Host:
    """An orthonormal basis of the coefficients along an axis, as long as they need.  Shapes: -> (r, n)."""
    matrix = np.moveaxis(core, axis, 0).reshape(core.shape[axis], -1)
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    return np.ascontiguousarray(left[:, : max(1, int(np.sum(sizes > WANTED)))].T)


def _checked(table: WedgeTable, phi: Steep, psi: Steep) -> WedgeTable | None:
    """The table with the estimate of its error, twice the largest distance from wedges at drawn laws and theirs."""
    rng = np.random.default_rng(0)
    drawn = rng.uniform(0.0, 1.0, (3, DRAWN))
    p, q = (axis.deviations(2.0 * x - 1.0) for axis, x in zip(table.axes, drawn, strict=False))
    angle = np.concatenate([table.unit * np.sinh(drawn[2, ::2] * math.asinh(0.5 * math.pi / table.unit)),
                            math.pi - drawn[2, 1::2] ** 3])  # fmt: skip
    want, doubt = pair(np, phi, psi, (p, q), angle)
    size = table.axes[0].at(p)[0] * table.axes[1].at(q)[0]
    apart = np.max(np.abs(table.at((p, q), angle)[0] - want) / size)
    error = 2.0 * float(apart) + float(np.max(doubt / size)) + WANTED
    return replace(table, error=error) if error <= ACCEPTED else None
