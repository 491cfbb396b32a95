"""Numbers for expectations of products: nested Gauss-Legendre panels that end at kinks.

Derivatives by covariances fall on the density, as Hermite polynomials of the score, so a kinked function needs none.
Source: E[d_i d_j f] = E[f (y_i y_j - P_ij)], y = P z, P the inverse of the covariance (stein1981estimation).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from wideproof.derive.expectation.pair_integrals import steep
from wideproof.derive.language.activations import definition
from wideproof.derive.language.errors import NotAccurate

Host = NDArray[np.float64]
REACH = 9.0
"""Where the density ends, in deviations."""
SINGULAR = 1e-12
"""The least conditional variance, relative, of a variable that is not a function of those before it."""
NODES = {1: (96, 128), 2: (48, 64), 3: (22, 28)}
"""Number of variables -> nodes of a panel, coarse and fine."""


class JointGaussian(NamedTuple):
    """Means and the upper triangle of the covariance of some Gaussian variables."""

    means: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    def covariance(self) -> Host:
        """The whole matrix."""
        size = len(self.means)
        full = np.zeros((size, size))
        full[np.triu_indices(size)] = self.upper
        return np.asarray(full + np.triu(full, 1).T)


class ProductIntegrals:
    """E[prod_i f_i(z_i)] and its derivatives, for one list of functions and one law, at one fineness (0 or 1)."""

    def __init__(self, products: Sequence[sp.Tuple], law: JointGaussian, fineness: int) -> None:
        self.law, self.products = law, products
        size = len(products)
        points, weights, self.singular = _grid(products, law, NODES[size][fineness])
        values = weights
        for product, z in zip(products, points, strict=True):
            values = values * _value(product, z)
        self.weighted = values
        self.polynomials: dict[tuple[int, ...], Any] = {(0,) * size: 1.0}
        self.points = points

    def derivative(self, orders: tuple[int, ...]) -> tuple[float, float]:
        """E[prod_i d^{k_i} f_i(z_i)], and the integral of the absolute value, by which it is rounded."""
        if any(orders) and self.singular:
            raise NotAccurate(
                "1/n correction",
                "products of matrices whose covariance is not singular",
                f"the covariances {self.law.upper}",
                "A variance is zero, or two steps see the same: take positive variances, and inputs that are not zero.",
            )
        values = self.weighted * self._hermite(orders)
        return float(np.sum(values)), float(np.sum(np.abs(values)))

    def _hermite(self, orders: tuple[int, ...]) -> Any:
        """The Hermite polynomial of the density: each derivative multiplies by the score and is taken of it."""
        if orders not in self.polynomials:
            i = next(i for i, k in enumerate(orders) if k)
            lower = tuple(k - (j == i) for j, k in enumerate(orders))
            found = self._score[i] * self._hermite(lower)
            for j, k in enumerate(lower):
                if k:
                    below = tuple(x - (m == j) for m, x in enumerate(lower))
                    found = found - k * self._precision[i, j] * self._hermite(below)
            self.polynomials[orders] = found
        return self.polynomials[orders]

    @cached_property
    def _precision(self) -> Host:
        return np.asarray(np.linalg.inv(self.law.covariance), dtype=np.float64)

    @cached_property
    def _score(self) -> list[Any]:
        centred = np.array([z - m for z, m in zip(self.points, self.law.means, strict=True)])
        return list(self._precision @ centred)


def _grid(products: Sequence[sp.Tuple], law: JointGaussian, nodes: int) -> tuple[list[Host], Host, bool]:
    """Nodes and weights of the density, one variable after the other, each on panels that end at its kinks."""
    covariance, singular = law.covariance, False
    points: list[Host] = []
    weights: Host = np.ones(1)
    for i, product in enumerate(products):
        past = covariance[:i, :i]
        slopes = np.linalg.pinv(past, rcond=SINGULAR, hermitian=True) @ covariance[:i, i] if i else np.zeros(0)
        spread = covariance[i, i] - (slopes @ covariance[:i, i] if i else 0.0)
        centre = np.full_like(weights, law.means[i])
        for slope, z, mean in zip(slopes, points, law.means, strict=False):
            centre = centre + slope * (z - mean)
        if spread <= SINGULAR * max(covariance[i, i], np.finfo(float).tiny):
            singular = True
            points.append(centre)
            continue
        deviation = math.sqrt(spread)
        ends = np.array([x for name, _ in product for x in kinks(str(name))] or [0.0])
        x, w = _panels((ends - centre[:, None]) / deviation, nodes)
        points = [np.broadcast_to(z[:, None], x.shape).reshape(-1) for z in points]
        points.append((centre[:, None] + deviation * x).reshape(-1))
        weights = (weights[:, None] * w).reshape(-1)
    return points, weights, singular


def _panels(ends: Host, nodes: int) -> tuple[Host, Host]:
    """Nodes and weights of the normal density on panels between these places, for each row of them."""
    edge = np.full((len(ends), 1), REACH)
    places = np.sort(np.concatenate([-edge, np.clip(ends, -REACH, REACH), edge], axis=1), axis=1)
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * (places[:, 1:] - places[:, :-1])[..., None]
    y = places[:, :-1, None] + half * (1.0 + x)
    density = np.exp(-0.5 * y * y) / math.sqrt(2.0 * math.pi)
    return y.reshape(len(ends), -1), (half * w * density).reshape(len(ends), -1)


def _value(product: sp.Tuple, z: Host) -> Host:
    found = np.ones_like(z)
    for name, order in product:
        found = found * steep(str(name), int(order), "numpy").values(z)
    return found


@cache
def kinks(name: str) -> tuple[float, ...]:
    """Where the definition of an activation turns, read off its maxima, moduli and signs; zero where it does not."""
    found: set[float] = set()
    for node in definition(name).atoms(sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside):
        first = node.args[0] if len(node.args) == 1 else None
        gaps = [first] if first is not None else [a - b for a in node.args for b in node.args if a != b]
        for gap in gaps:
            if isinstance(gap, sp.Expr) and len(gap.free_symbols) == 1 and gap.is_polynomial():
                found |= {float(x) for x in sp.real_roots(gap)}
    return tuple(sorted(found)) or (0.0,)
