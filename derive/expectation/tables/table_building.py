"""Tables of E[phi(u) psi(v)] over ranges of the two variances, built from Mehler's series and checked before use.

At large variances the series needs thousands of orders, but what it adds up to is smooth in the right variables. With
w = c / sqrt((s + a)(s + b)) and q = sqrt(1 - w^2), what is left of E after its orders 0 and 1 is w^2 times a function
of (a, b, q) for the even orders plus w^3 times another for the odd ones. Both are analytic in q up to q = -1 but for a
layer at the least q, where the correlation is one; a Moebius map widens it. Measured for tanh at variances from 1/4 to
64: 10 to 16 Chebyshev terms of rank 7 to 9 in the variances hold 3e-13, where the series takes 64 to 4600 orders.
Source: mehler1866ueber; trefethen2014exponentially.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.mehler_series import REACH
from wideproof.derive.expectation.nested_quadrature import Steep
from wideproof.derive.expectation.tables.compiled_sweep import TINY
from wideproof.derive.expectation.tables.covariance_slopes import ErrorScales, order_weights, with_slope
from wideproof.derive.expectation.tables.narrowing import NEAR, pays, place_of, within
from wideproof.derive.expectation.tables.pair_tables import (
    Host,
    PairTable,
    Range,
    TableSide,
    chebyshev,
    evaluate,
    roots,
    variances_at,
)
from wideproof.derive.expectation.tables.sampled_series import coefficients as sampled_coefficients, transform_of
from wideproof.derive.expectation.tables.series_profiles import Sums, in_the_place, remainder
from wideproof.derive.language.errors import NotClosed

WANTED, ACCEPTED = 1e-12, 2e-11
"""What is left out of a table, and its largest distance from the checks, relative to sqrt(E[phi^2] E[psi^2])."""
CHUNK, MOST, SETTLED = 128, 2e8, 1e-16
"""Orders of a series computed at a time, the most of them times the nodes of the grid, which is seconds, and the part
of E[phi^2] in the last that ends it."""
LONG_SERIES, SAMPLED = 64.0, 1e-12
"""The variance from which a series is long, and the part of E[phi^2] that one by some of its orders may miss."""
STEP, FASTEST = 0.12, 0.6
"""The grid's step in deviations of the widest variable from zero, and how fast orders may oscillate on the grid."""
NODES = (16, 24, 32, 48, 64)
"""Chebyshev nodes in a variance, from first to last attempt."""
FEW, TRIES, SAFER = (10.0, 100.0, 3000.0), 3, (2.0, 0.75)
"""Quotients of softened variances beyond which the first numbers of nodes were too few for all functions tried, how
many tables with enough nodes are refused before it is known that no other will do, and by what the shift and the width
are multiplied before more nodes are tried: errors are largest where the correlation is one, and these resolve it."""
SOFTENINGS, LAYERS = (0.15, 0.6, 0.04, 2.4, 0.01), (0.3, 0.6, 1.2, 0.15, 2.4, 6.0)
"""Shifts s of the variances, and widths of the layer, of which those with the fewest terms are taken."""
NEARBY = (1.0, 0.8, 1.3)
"""Of the forms near the best of those, the best is taken: a term or two fewer."""
INNER, PAIRS, FEWER = np.array([0.5, -0.5]), ((0, 0), (0, 1), (1, 1)), 256.0
"""For that choice, the coordinates of variances, without a shift, from the least, or this part of the largest, on."""
UNITS = 4e-16
"""Rounding of the functions of the pairs, by which the last coefficients may exceed what is wanted: for derivatives at
large variances it is visible, and whether it matters is for the checks to say."""
LEFT_OUT = 3.0
"""By how many times what is wanted the error estimate exceeds the checks: rank, terms and nodes each leave it out."""
DRAWN, ANGLES, PROBED = 5, 24, 3
"""Variances a side, and correlations, at which a table is checked by the series, and pairs by other integrals."""


class Tried(NamedTuple):
    """Whether coefficients have ended with some nodes, and then the table, None where the checks refuse it."""

    settled: bool
    table: PairTable | None = None


class Drawn(NamedTuple):
    """Pairs to check a table at: variances (P,), correlations (P, A), the series there, and the scale of errors."""

    variances: tuple[Host, Host]
    correlation: Host
    values: Host
    size: float


def build(
    phi: Steep, psi: Steep, ranges: tuple[Range, Range], derivatives: tuple[Steep, Steep] | None = None
) -> PairTable | None:
    """The table of two functions, or None where the checks refuse it: for functions that are steep far from zero.

    With the derivatives of the functions, also the derivative by the covariance, E[phi'(u) psi'(v)], is held.
    """
    some = [variances_at((max(low, high / FEWER), high), 0.0, INNER) for low, high in ranges]
    series = _series((phi, psi), some)
    if series is None:
        return None
    softening, layer = _form(series, some, _sizes(series, some, derivatives is not None))
    ratio, refused = max((softening + high) / (softening + low) for low, high in ranges), 0
    more = sum(ratio > most for most in FEW)
    while more < len(NODES) and refused < TRIES:
        tried = _attempt((phi, psi), derivatives, ranges, (softening, layer), NODES[more])
        if tried.table is not None:
            return tried.table
        if tried.settled:
            softening, layer, refused = softening * SAFER[0], layer * SAFER[1], refused + 1
        more += not tried.settled or refused > 1
    return None


def _form(some: tuple[Sums, Sums], variances: Sequence[Host], sizes: ErrorScales) -> tuple[float, float]:
    """The shift and the width with the fewest terms at the worst of some pairs, of those listed, then of those near."""
    softening, layer = _shortest(some, variances, list(product(SOFTENINGS, LAYERS)), sizes)
    near = list(product([softening * x for x in NEARBY], [layer * x for x in NEARBY]))
    return _shortest(some, variances, near, sizes)


def _shortest(
    some: tuple[Sums, Sums], variances: Sequence[Host], forms: list[tuple[float, float]], sizes: ErrorScales
) -> tuple[float, float]:
    """The form of those listed with the fewest terms of both parities, first at the worst of some pairs."""
    pairs = np.array(PAIRS)
    i, j = (np.tile(x, len(forms)) for x in pairs.T)
    a, b = variances[0][i], variances[1][j]
    softening, layer = (np.repeat(x, len(pairs)) for x in np.array(forms).T)
    own = in_the_place(some, (i, j), variances, (softening, layer), sizes.slope is not None)
    own = np.moveaxis(own.reshape(2, len(forms), len(pairs), -1), 3, 0)
    costs = []
    for n, form in enumerate(forms):
        at = slice(n * len(pairs), (n + 1) * len(pairs))
        costs.append(_terms(own[:, :, n], form, (a[at], b[at]), sizes))
    return forms[min(range(len(forms)), key=lambda n: (max(costs[n]), sum(costs[n])))]


def _terms(own: Host, form: tuple[float, float], pair: tuple[Host, Host], sizes: ErrorScales) -> Host:
    """The terms that pairs take, in pieces where these pay.  Shapes: own (K, 2, P), pair (P,) -> (P,)."""

    def counted(terms: Host, piece: Range) -> Host:
        scaled = np.moveaxis(np.abs(terms), 0, 2) * order_weights(form, *pair, len(terms), sizes, piece)
        return np.array([[_length(row, WANTED) for row in rows] for rows in scaled]).sum(axis=0)

    cut, whole = place_of(NEAR, form, [float(np.max(x)) for x in pair]), counted(own, (-1.0, 1.0))
    if not -1.0 < cut < 1.0:
        return whole
    first, second = (counted(within(own[: np.max(whole)], piece), piece) for piece in ((-1.0, cut), (cut, 1.0)))
    return np.where(pays(first, whole), first + second, whole)


def _sizes(sums: tuple[Sums, Sums], variances: Sequence[Host], sloped: bool) -> ErrorScales:
    """By what errors are measured: the largest mean squares, those of the derivatives by the same coefficients.

    Of derivatives at least the part that one is of the largest variance, by which a tangent kernel multiplies them.
    """
    size = max(TINY, math.sqrt(math.prod(float(np.max(x.energy)) for x in sums)))
    if not sloped:
        return ErrorScales(size)
    slopes = (
        np.max(x.coefficients**2 @ (x.orders.orders * x.orders.weights) / at)
        for x, at in zip(sums, variances, strict=True)
    )
    least = min(1.0, 1.0 / max(float(np.max(at)) for at in variances))
    return ErrorScales(size, max(least, math.sqrt(math.prod(map(float, slopes)))))


def _attempt(
    functions: tuple[Steep, Steep], derivatives: tuple[Steep, Steep] | None, ranges: tuple[Range, Range],
    form: tuple[float, float], count: int,
) -> Tried:  # fmt: skip
    """The table with so many nodes in a variance: not settled where they, or the terms, are too few."""
    rng = np.random.default_rng(count)
    nodes = [variances_at(x, form[0], roots(count)) for x in ranges]
    places = np.append(rng.uniform(-1.0, 1.0, DRAWN - 1), 1.0)
    drawn = [variances_at(x, form[0], places) for x in ranges]
    series = _series(functions, [np.concatenate(x) for x in zip(nodes, drawn, strict=True)])
    if series is None:
        return Tried(False)
    inner = _both(series, slice(count))
    outer = _both(series, slice(count, None))
    sizes = _sizes(series, [np.concatenate(x) for x in zip(nodes, drawn, strict=True)], derivatives is not None)
    table = _interpolated(inner, (nodes[0], nodes[1]), ranges, form, sizes)
    if table is None:
        return Tried(False)
    checks = _checks(outer, drawn, rng, sizes.value)
    table = checked(table, functions, checks)
    if table is None or sizes.slope is None:
        return Tried(True, table)
    return Tried(True, _sloped(table, derivatives, drawn, checks, sizes.slope))


def _sloped(
    table: PairTable, derivatives: tuple[Steep, Steep] | None, drawn: Sequence[Host], checks: Drawn, size: float
) -> PairTable | None:
    """The table whose derivative has been checked by the series of the derivatives, and by other integrals."""
    assert derivatives is not None
    series = _series(derivatives, drawn)
    if series is None:
        return None
    values = _summed(series, checks.correlation)
    return with_slope(table, derivatives, (*checks.variances, checks.correlation), values, LEFT_OUT * WANTED, size)


def _both(series: tuple[Sums, Sums], rows: slice) -> tuple[Sums, Sums]:
    """Some rows of both series, one where they are one."""
    first, second = (x._replace(coefficients=x.coefficients[rows], energy=x.energy[rows]) for x in series)
    return first, first if series[0] is series[1] else second


def checked(table: PairTable, functions: tuple[Steep, Steep], drawn: Drawn) -> PairTable | None:
    """The table with the estimate of its error, or None where it is too far from the series or from other integrals."""
    u, v = (x[:, None] for x in drawn.variances)
    apart = float(np.max(np.abs(evaluate(table, (u, v), drawn.correlation * np.sqrt(u * v)) - drawn.values)))
    some = slice(None, None, max(1, len(u) // PROBED))
    r = drawn.correlation[some, 0]
    a, b = u[some, 0], v[some, 0]
    rest = np.sqrt((1.0 - r) * (1.0 + r))
    want, doubt = nested_quadrature.pair(np, *functions, (0.0, 0.0), (np.sqrt(a), np.sqrt(b)), r, rest)
    other = float(np.max(np.abs(evaluate(table, (a, b), r * np.sqrt(a * b)) - want) + doubt))
    error = 2.0 * apart + other + LEFT_OUT * WANTED * drawn.size
    if not error <= ACCEPTED * drawn.size:
        return None
    return replace(table, error=error)


def _series(functions: tuple[Steep, Steep], variances: Sequence[Host]) -> tuple[Sums, Sums] | None:
    """The series of both functions, one where they are one; None where one of them does not end in time."""
    same = functions[0] == functions[1] and np.array_equal(variances[0], variances[1])
    for found in (sampled_sums, hermite_sums)[0 if max(map(np.max, variances)) > LONG_SERIES else 1 :]:
        first = found(functions[0], variances[0])
        second = first if same or first is None else found(functions[1], variances[1])
        if first is not None and second is not None:
            return first, second
    return None


def sampled_sums(function: Steep, variances: Host) -> Sums | None:
    """Hermite coefficients of some orders, or None where E[phi^2] by other integrals is not what they tell of."""
    deviations = np.sqrt(variances)
    try:
        transform = None if function.bent is None else transform_of(function.bent, REACH * float(np.max(deviations)))
    except NotClosed:
        return None
    if transform is None:
        return None
    coefficients, orders = sampled_coefficients(transform, deviations)
    for n, values in enumerate((function.values, lambda z: function.values(z) * z)):
        coefficients[:, n] = nested_quadrature.mean(np, Steep(values, function.places), 0.0, deviations)[0]
    coefficients[:, 1] /= deviations
    squared = Steep(lambda z: function.values(z) ** 2, function.places)
    energy, doubt = nested_quadrature.mean(np, squared, 0.0, deviations)
    missed = np.abs(coefficients**2 @ orders.weights - energy)
    return Sums(coefficients, energy, orders) if np.all(missed <= SAMPLED * energy + doubt) else None


def hermite_sums(function: Steep, variances: Host) -> Sums | None:
    """The Hermite coefficients of phi(sqrt(a) z) that E[phi^2] tells of, or None where they do not end in time.

    The even and the odd part of phi are summed over half a grid each.
    """
    deviations = np.sqrt(variances)
    step = min(0.05, STEP / float(np.max(deviations)))
    z = np.arange(int(REACH / step) + 1) * step
    weights = np.exp(-0.5 * z * z) * (2.0 * step / math.sqrt(2.0 * math.pi))
    weights[0] *= 0.5
    right, left = (function.values(sign * deviations[:, None] * z) for sign in (1.0, -1.0))
    parts = (0.5 * (right + left), 0.5 * (right - left))
    energy = (parts[0] ** 2 + parts[1] ** 2) @ weights
    rows, last, new, order = np.empty((CHUNK, z.size)), np.zeros_like(z), np.empty_like(z), 0
    found: list[Host] = []
    while order < min(MOST / z.size, (FASTEST * math.pi / step) ** 2):
        for row in rows:
            row[:] = weights
            np.multiply(z, weights, out=new)
            new *= 1.0 / math.sqrt(order + 1)
            last *= math.sqrt(order / (order + 1))
            new -= last
            last, weights, new = weights, new, last
            order += 1
        block = np.empty((len(variances), CHUNK))
        for parity, part in enumerate(parts):
            block[:, parity::2] = part @ rows[parity::2].T
        found.append(block)
        if bool(np.all(np.sum(block**2, axis=1) <= SETTLED * energy)):
            return Sums(np.concatenate(found, axis=1), energy)
    return None


def _length(sizes: Host, tolerance: float) -> int:
    """The least length beyond which no more than the tolerance is left."""
    left = np.cumsum(sizes[::-1])[::-1]
    return int(np.sum(left > tolerance))


def _interpolated(
    sums: tuple[Sums, Sums],
    nodes: tuple[Host, Host],
    ranges: tuple[Range, Range],
    form: tuple[float, float],
    sizes: ErrorScales,
) -> PairTable | None:
    """The table that interpolates at the nodes, or None where its coefficients do not end."""
    count, alike = len(nodes[0]), sums[0] is sums[1]
    i, j = np.triu_indices(count) if alike else (x.reshape(-1) for x in np.indices((count, count)))
    own = in_the_place(sums, (i, j), nodes, form, sizes.slope is not None)
    values = np.empty((2, count, count, own.shape[2]))
    values[:, i, j] = own
    if alike:
        values[:, j, i] = own
    places = [np.append(at, span[1]) for at, span in zip(nodes, ranges, strict=True)]
    weights = np.max(order_weights(form, places[0][:, None], places[1], values.shape[3], sizes), axis=(1, 2))
    rounding = UNITS * np.max(np.abs(values)) * np.max(np.where(np.any(values, axis=(1, 2)), weights, 0.0))
    full = chebyshev(chebyshev(values, 1), 2) * weights[:, None, None, :]
    parts = np.abs(full)
    ends = max(np.max(parts[:, -2:]), np.max(parts[:, :, -2:]), np.max(parts[..., -2:]))
    if ends > WANTED + rounding:
        return None
    ends = max(WANTED, ends)
    bases = [_basis(full, axis, ends) for axis in ((1, 1) if alike else (1, 2))]
    core = np.einsum("pijk,mi,nj->pkmn", full, bases[0], bases[1], optimize=True)
    largest = np.max(np.abs(values), axis=(1, 2)) * weights
    lengths = [_length(row, WANTED) for row in largest]
    cores = [np.ascontiguousarray(core[n, :end] / weights[n, :end, None, None]) for n, end in enumerate(lengths)]
    sides = [
        TableSide(span, form[0], chebyshev(_means(found, at), 1), basis)
        for span, found, at, basis in zip(ranges, sums, nodes, bases, strict=True)
    ]
    if alike:
        sides[1] = sides[0]
    return PairTable(*form, (sides[0], sides[1]), (cores[0], cores[1]), math.inf)


def _means(sums: Sums, variances: Host) -> Host:
    """E[phi] and E[phi'], which is the first Hermite coefficient over the deviation."""
    return np.stack([sums.coefficients[:, 0], sums.coefficients[:, 1] / np.sqrt(variances)])


def _basis(full: Host, axis: int, tolerance: float) -> Host:
    """An orthonormal basis of the coefficients along an axis, as long as they need.  Shapes: -> (r, R)."""
    matrix = np.moveaxis(full, axis, 0).reshape(full.shape[axis], -1)
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    return np.ascontiguousarray(left[:, : max(1, _length(sizes, 0.3 * tolerance))].T)


def _checks(outer: tuple[Sums, Sums], drawn: Sequence[Host], rng: np.random.Generator, size: float) -> Drawn:
    """The series at drawn variances and correlations, those near one among them."""
    u, v = (x.reshape(-1) for x in np.meshgrid(*drawn, indexing="ij"))
    correlation = np.cos(np.pi * rng.uniform(0.0, 1.0, (u.size, ANGLES)) ** 3) * rng.choice(
        [-1.0, 1.0], (u.size, ANGLES)
    )
    correlation[:, -1] = 1.0
    return Drawn((u, v), correlation, _summed(outer, correlation), size)


def _summed(sums: tuple[Sums, Sums], correlation: Host) -> Host:
    """The series at all pairs of the drawn variances.  Shapes: (P, A)."""
    i, j = (x.reshape(-1) for x in np.indices((DRAWN, DRAWN)))
    p, q = sums[0].coefficients[i, :2].T, sums[1].coefficients[j, :2].T
    own = (p[0] * q[0])[:, None] + (p[1] * q[1])[:, None] * correlation
    even, odd = remainder(sums, (i, j), np.log(np.abs(correlation)))[0]
    return np.asarray(own + even + odd * np.sign(correlation))
