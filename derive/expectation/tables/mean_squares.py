"""E[phi(u)^2] of smooth functions at many variances: one Chebyshev series a range, checked against the integrals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.nested_quadrature import Steep
from wideproof.derive.expectation.tables.pair_tables import Host, Range, chebyshev, coordinate, roots, variances_at

SOFTENINGS, NODES = (0.15, 0.6, 0.04, 2.4), (16, 24, 32, 48, 64)
"""Shifts of the variances, and Chebyshev nodes, of which the first pair that settles is taken."""
SETTLED, ACCEPTED, DRAWN = 5e-15, 2e-13, 9
"""The part of the largest value in the last two terms and in the error, and at how many variances that is looked at."""


@dataclass(frozen=True)
class SquareTable:
    """E[phi(u)^2] over a range of variances, with an estimate of its error."""

    range: Range
    softening: float
    coefficients: Host
    error: float

    def at(self, variance: Host) -> Host:
        """The values; shapes kept."""
        x = coordinate(self.range, self.softening, variance)
        return np.asarray(np.polynomial.chebyshev.chebval(x, self.coefficients))


def build(function: Steep, span: Range) -> SquareTable | None:
    """The table of a function over a range, or None where no series settles, or the checks refuse it."""
    squared = Steep(lambda z: function.values(z) ** 2, function.places)
    for count, softening in product(NODES, SOFTENINGS):
        nodes = variances_at(span, softening, roots(count))
        values, doubt = nested_quadrature.mean(np, squared, 0.0, np.sqrt(nodes))
        terms = chebyshev(values, 0)
        size = float(np.max(np.abs(values)))
        if np.all(np.isfinite(terms)) and np.max(np.abs(terms[-2:])) <= SETTLED * size:
            return _checked(SquareTable(span, softening, terms, float(np.max(doubt))), squared, size)
    return None


def _checked(table: SquareTable, squared: Steep, size: float) -> SquareTable | None:
    """The table with the estimate of its error: of the integrals, and twice its largest distance from others."""
    drawn = variances_at(table.range, table.softening, np.random.default_rng(0).uniform(-1.0, 1.0, DRAWN))
    want, doubt = nested_quadrature.mean(np, squared, 0.0, np.sqrt(drawn))
    error = 2.0 * float(np.max(np.abs(table.at(drawn) - want))) + max(float(np.max(doubt)), table.error)
    return SquareTable(table.range, table.softening, table.coefficients, error) if error <= ACCEPTED * size else None
