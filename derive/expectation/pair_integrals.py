"""Numbers for Gaussian expectations: by the table of dual activations, else by series and integrals.

A refinement that stops changing is an estimate, and no number is stated without one: that of a closed form is its
rounding.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache, partial
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import emitted, namespace
from wideproof.derive.expectation import (
    kinked_times_smooth,
    mehler_series,
    nested_quadrature,
    piecewise_linear,
)  # fmt: skip
from wideproof.derive.expectation.closed_forms import DET, READ, SPREAD, closed_form
from wideproof.derive.expectation.dual_activations import ANGLE, D, a, b, c, dual, k, m
from wideproof.derive.expectation.gaps import Gaps
from wideproof.derive.expectation.rounding import EPS, Rounded, rounding
from wideproof.derive.expectation.steep_places import places
from wideproof.derive.expectation.tables import mean_squares, pair_tables, table_building
from wideproof.derive.expectation.wedges import wedge_quadrature, wedge_tables
from wideproof.derive.language.activations import Z, definition, is_declared
from wideproof.derive.language.errors import NotAccurate, NotClosed, ParameterError, SlowExpectations

Factor = tuple[str, int]
"""An activation by name, and the order of its derivative."""
ACCURACY = 1e-10
"""The largest error estimate, relative to sqrt(E[phi^2] E[psi^2]), that `value` lets pass."""
PATIENCE = 120.0
"""Seconds for the enclosures of one expectation in all its laws, where estimates are too large: each may take some."""
MISSED = 1e-12
"""A series and panels do not see the same if they differ by more than this part of E[phi^2], and than they say."""
USEFUL = 1e-6
"""The part of the least sqrt(E[phi^2] E[psi^2]) of all pairs that the error of a table, one for all of them, may be."""
UNITS = 16
"""Units of rounding of the size of their parts, by which moments of piecewise linear functions are off."""
MANY, SEVERAL = 2**15, 2**11
"""Expectations from which tables pay at any variance, and from which they do where one takes a millisecond."""
TIMED, SLOW = 8, 5.0
"""Integrals that are timed first, and seconds that all of a kind, of several of a kernel, may take without a word."""
WIDE = 64.0
"""The variance from which series are so long, in units of where a function changes."""
FARTHEST = 1e60
"""The largest variance of wedges: their nodes grow with the square of its logarithm."""
KINKS = (sp.Abs, sp.Max, sp.Min, sp.sign, sp.Heaviside)
"""What gives a function a kink or a jump."""
LARGE = 1e140
"""Beyond it and its reciprocal, sqrt(ab) is taken as the unit of the determinant."""


@dataclass(frozen=True)
class Variables:
    """Two jointly Gaussian variables as arrays: means, variances, covariance; shapes broadcast.

    `rounded` says that the numbers are results of earlier arithmetic: a determinant within their rounding is zero;
    `wanted` is how many expectations are wanted in all, of variances in the range `spread`.
    `known` are sqrt(ab) - c and sqrt(ab) + c where they are known better than by a subtraction
    (`derive.expectation.gaps`).
    """

    backend: str
    variances: tuple[Any, Any]
    covariance: Any
    means: tuple[Any, Any] = (0.0, 0.0)
    rounded: bool = False
    wanted: float = 1.0
    spread: tuple[float, float] | None = None
    known: Gaps | None = None

    @cached_property
    def xp(self) -> Any:
        """The array module."""
        return namespace(self.backend)

    @property
    def many(self) -> bool:
        """Whether so many are wanted that a table of them pays at any variance."""
        return self.wanted >= MANY

    @cached_property
    def norm(self) -> Any:
        """sqrt(ab), exact for a = b, by their quotient: the product may be out of range where they are not."""
        xp = self.xp
        larger = xp.maximum(*self.variances)
        smaller = xp.minimum(*self.variances)
        return larger * xp.sqrt(smaller / xp.where(larger > 0, larger, 1.0))

    @cached_property
    def gaps(self) -> Gaps:
        """sqrt(ab) - c and sqrt(ab) + c."""
        return self.known or Gaps(self.norm - self.covariance, self.norm + self.covariance)

    @cached_property
    def det(self) -> Any:
        """ab - c^2, exact for a = b, never negative."""
        return self.det_in(1.0)

    def det_in(self, unit: Any) -> Any:
        """The determinant over the square of a unit."""
        found = self.gaps.below / unit * (self.gaps.above / unit)
        floor = 2.0**-49 * (self.norm / unit) ** 2 if self.rounded and self.known is None else 0.0
        return self.xp.where(found > floor, found, 0.0)

    @cached_property
    def extreme(self) -> bool:
        """Whether a determinant that is not zero may be out of the range in which all digits are kept."""
        norm = self.xp.asarray(self.norm)
        return bool(self.xp.any((norm > LARGE) | ((norm < 1.0 / LARGE) & (norm > 0))))

    def units(self, least: float) -> Any:
        """A number near sqrt(ab), at least `least`, where the determinant is out of range; elsewhere 1."""
        norm = self.norm
        far = (norm > LARGE) | ((norm < 1.0 / LARGE) & (norm > least))
        return self.xp.where(far, norm, 1.0)

    @cached_property
    def angle(self) -> Any:
        """arccos of the correlation; pi/2 where a variable is constant."""
        xp = self.xp
        if self.known is None:
            found = xp.arctan2(self.rest, self.correlation)
        else:
            found = 2.0 * xp.arctan2(xp.sqrt(self.known.below), xp.sqrt(self.known.above))
        return self.xp.where(self.norm > 0, found, 0.5 * math.pi)

    @cached_property
    def correlation(self) -> Any:
        """c / sqrt(ab), 0 where a variable is constant."""
        found = self.covariance / self.xp.where(self.norm > 0, self.norm, 1.0)
        return self.xp.clip(found, -1.0, 1.0)

    @cached_property
    def rest(self) -> Any:
        """sqrt(1 - correlation^2), exact for a = b, 1 where a variable is constant."""
        norm = self.xp.where(self.norm > 0, self.norm, 1.0)
        found = self.gaps.below / norm * (self.gaps.above / norm)
        floor = 2.0**-49 if self.rounded and self.known is None else 0.0
        kept = self.xp.where(found > floor, found, 0.0)
        return self.xp.where(self.norm > 0, self.xp.sqrt(kept), 1.0)

    @cached_property
    def slack(self) -> Any:
        """By how much the covariance may be off from what `det` and `angle` see.

        The norm is rounded where variances differ, and a determinant within rounding is taken for zero.
        """
        xp, norm = self.xp, self.norm
        if self.known is not None:
            return xp.zeros_like(norm)
        gap = norm - xp.abs(self.covariance)
        taken = xp.where((gap > 0) & (self.det_in(self.units(0.0)) == 0), gap, 0.0)
        return xp.maximum(taken, xp.where(self.variances[0] == self.variances[1], 0.0, 4 * EPS * norm))

    @cached_property
    def moved(self) -> list[Variables]:
        """The same with the covariance at both ends of `slack`; none where there is none."""
        if not bool(self.xp.any(self.slack)):
            return []
        ends = [self.xp.clip(self.covariance + sign * self.slack, -self.norm, self.norm) for sign in (-1, 1)]
        return [replace(self, covariance=end, rounded=False) for end in ends]

    @cached_property
    def one(self) -> bool:
        """Whether the two are one variable, by their numbers."""
        (a, b), c, (m, k) = self.variances, self.xp.asarray(self.covariance), self.means
        if not all(self.xp.asarray(x).shape == c.shape for x in (a, b)):
            return False
        return all(bool(self.xp.all(x == y)) for x, y in ((a, c), (b, c), (m, k)))

    @cached_property
    def centred(self) -> bool:
        """Whether both means are zero."""
        return not any(bool(self.xp.any(self.xp.asarray(x) != 0)) for x in self.means)


def expectation(factors: tuple[Factor, ...], variables: Variables) -> tuple[Any, Any]:
    """E[phi(u) psi(v)], or E[phi(u)] for one factor, and an estimate of its error: of a closed form, its rounding.

    Errors: NotClosed for three factors and more, and for functions that have no values.
    """
    if len(factors) > 2:
        product = " ".join(name + "'" * order for name, order in factors)
        raise NotClosed("E of a product", "at most two activations", product, "Products of gates need more integrals.")
    closed = _closed(factors, variables.centred, variables.backend)
    if closed is not None:
        return closed.value(variables), closed.error(variables)
    mixed = [_broken(factor) is not None for factor in factors]
    if len(factors) == 2 and any(mixed):
        return _cut(factors, variables, mixed.index(True))
    if (
        len(factors) == 2
        and variables.one
        and factors[0] == factors[1]
        and (square := _square(factors[0], variables)) is not None
    ):
        return square
    for way in (_tabled, _by_wedges):
        if (known := way(factors, variables)) is not None:
            return known
    found = [
        _series(factor, mean, variance, variables)
        for factor, mean, variance in zip(factors, variables.means, variables.variances, strict=False)
    ]
    most = max(x.order for x in found)
    if min(x.order for x in found) < most:  # the shorter one ends where the longer one still matters
        found = [
            _series(factor, mean, variance, variables, most)
            for factor, mean, variance in zip(factors, variables.means, variables.variances, strict=False)
        ]
    if len(found) == 1:
        return _steep(factors, variables, found[0].coefficients[..., 0], found[0].doubt)
    return _steep(factors, variables, *mehler_series.pair(variables.xp, found[0], found[1], variables.correlation))


def _square(factor: Factor, v: Variables) -> tuple[Any, Any] | None:
    """E[phi(u)^2] by a table where many are wanted, else by one integral; None where its error is visible."""
    if v.many and v.backend == "numpy" and not _is_kinked(factor):
        span = pair_tables.range_of(v.covariance if v.spread is None else np.append(v.covariance, v.spread))
        mean = _only(v.means[0])
        table = None if span is None or mean is None else square_table(factor, span, mean)
        if table is not None and np.all(table.error <= ACCURACY * (known := table.at(v.covariance))):
            return known, table.error
    phi = steep(*factor, v.backend)
    squared = nested_quadrature.Steep(lambda z: phi.values(z) ** 2, phi.places)
    found, error = nested_quadrature.mean(v.xp, squared, v.means[0], v.xp.sqrt(v.covariance))
    return (found, error) if bool(v.xp.all(error <= ACCURACY * found)) else None


def _tabled(factors: tuple[Factor, ...], v: Variables) -> tuple[Any, float] | None:
    """The same by a table where it pays, there is one for these laws, and its error is not visible."""
    if not (v.many and len(factors) == 2 and v.backend == "numpy") or any(map(_is_kinked, factors)):
        return None
    centres = [_only(x) for x in v.means]
    variances = [np.asarray(x, dtype=np.float64) for x in v.variances]
    ranges = [pair_tables.range_of(x if v.spread is None else np.append(x, v.spread)) for x in variances]
    if centres[0] is None or centres[1] is None or ranges[0] is None or ranges[1] is None:
        return None
    table = pair_table(factors, (ranges[0], ranges[1]), (centres[0], centres[1]), False)
    if table is None:
        return None
    result = pair_tables.evaluate(table, (variances[0], variances[1]), np.asarray(v.covariance))
    own = zip(factors, (centres[0], centres[1]), variances, (ranges[0], ranges[1]), strict=True)
    least = math.prod(_least_size(*x, v) for x in own)
    seen = table.error > ACCURACY * _size(np, result) or table.error > USEFUL * least
    return None if seen else (result, table.error)


def _by_wedges(factors: tuple[Factor, ...], v: Variables) -> tuple[Any, Any] | None:
    """The same by wedges or a table of them, where a function has a kink at zero or its series would be long."""
    functions, kinked = [steep(*factor, v.backend) for factor in factors], any(map(_is_kinked, factors))
    if not _have_wedges(functions, v) or not (kinked or _is_wide(functions, v)):
        return None
    p, q = (v.xp.sqrt(v.xp.asarray(x, dtype=v.xp.float64)) for x in v.variances)
    if v.wanted >= SEVERAL and v.backend == "numpy":
        spans = tuple(wedge_tables.span(x if v.spread is None else np.append(x, v.spread)) for x in v.variances)
        table = wedge_table(factors, spans)
        if table is not None:
            return table.at((p, q), v.xp.asarray(v.angle))
    unknown = v.xp.full(np.broadcast_shapes(p.shape, q.shape, v.xp.asarray(v.angle).shape), math.nan)
    return _steep(factors, v, unknown, unknown) if kinked else None


def _have_wedges(functions: list[nested_quadrature.Steep], v: Variables) -> bool:
    """Whether the two functions change around zero only, and no variance is beyond those of wedges."""
    if len(functions) != 2 or not v.centred or not wedge_quadrature.serves(*functions):
        return False
    return not any(x > FARTHEST for x in _largest(v))


def _is_wide(functions: list[nested_quadrature.Steep], v: Variables) -> bool:
    """Whether the largest variance is so large that a series would be long."""
    return any(x > WIDE * wedge_quadrature.scale(phi) ** 2 for x, phi in zip(_largest(v), functions, strict=True))


def _largest(v: Variables) -> list[float]:
    """The largest variance of either variable."""
    return [float(v.xp.max(v.xp.asarray(x), initial=0.0)) for x in v.variances]


@lru_cache(maxsize=128)
def wedge_table(factors: tuple[Factor, ...], spans: tuple[pair_tables.Range, ...]) -> wedge_tables.WedgeTable | None:
    """The table of two functions that change around zero only, over ranges of their deviations, made once."""
    phi = steep(*factors[0], "numpy")
    psi = phi if factors[0] == factors[1] else steep(*factors[1], "numpy")
    return wedge_tables.build(phi, psi, (spans[0], spans[1]))


@cache
def _is_kinked(factor: Factor) -> bool:
    return bool(definition(*factor).has(*KINKS))


def _only(mean: Any) -> float | None:
    """The one number of some means, None where they differ."""
    first = np.asarray(mean, dtype=np.float64).flat[:1]
    return float(first[0]) if first.size and np.all(mean == first[0]) else None


def _least_size(factor: Factor, mean: float, variances: Any, span: pair_tables.Range, v: Variables) -> float:
    """The root of E[phi^2] at the least of some variances that is not zero."""
    positive = variances[variances > 0]
    if not positive.size:
        return 1.0
    least, table = np.min(positive, keepdims=True), square_table(factor, span, mean)
    energy = _series(factor, mean, least, v).energy if table is None else table.at(least)
    return math.sqrt(max(float(energy[0]), 0.0))


@lru_cache(maxsize=128)
def pair_table(
    factors: tuple[Factor, ...],
    ranges: tuple[pair_tables.Range, pair_tables.Range],
    means: tuple[float, float],
    sloped: bool,
) -> pair_tables.PairTable | None:
    """The table of two factors over ranges of their variances, made once; of exchanged factors it is the transpose.

    `sloped` says that its derivative by the covariance is that of the factors' derivatives.
    """
    first, second = zip(factors, means, ranges, strict=True)
    if second < first:
        found = pair_table(factors[::-1], ranges[::-1], means[::-1], sloped)
        return None if found is None else pair_tables.transposed(found)
    phi = nested_quadrature.shifted(steep(*factors[0], "numpy"), means[0])
    same = first[:2] == second[:2]
    psi = phi if same else nested_quadrature.shifted(steep(*factors[1], "numpy"), means[1])
    if not sloped:
        return table_building.build(phi, psi, ranges)
    slopes = [
        nested_quadrature.shifted(steep(name, order + 1, "numpy"), mean)
        for (name, order), mean in zip(factors, means, strict=True)
    ]
    return table_building.build(phi, psi, ranges, (slopes[0], slopes[0] if same else slopes[1]))


@lru_cache(maxsize=128)
def square_table(factor: Factor, span: pair_tables.Range, mean: float = 0.0) -> mean_squares.SquareTable | None:
    """The table of E[phi(u)^2] over a range of variances, made once."""
    return mean_squares.build(nested_quadrature.shifted(steep(*factor, "numpy"), mean), span)


def is_tabled(factors: tuple[Factor, ...], centred: bool = True) -> bool:
    """Whether expectations of two factors come from tables where they are many: none has a kink or a jump."""
    if len(factors) != 2 or _closed(factors, centred, "numpy") is not None:
        return False
    return not any(map(_is_kinked, factors))


def _steep(factors: tuple[Factor, ...], v: Variables, result: Any, doubt: Any) -> tuple[Any, Any]:
    """The same, by integrals where the series of a function too steep for it leaves a visible error."""
    xp, wedged = v.xp, _have_wedges([steep(*factor, v.backend) for factor in factors], v)
    for by_wedges in (True, False) if wedged else (False,):
        poor = ~(doubt <= ACCURACY * _size(xp, xp.where(xp.isfinite(result), result, 0.0)))
        if not bool(xp.any(poor)):
            break
        result, doubt = xp.array(result), xp.array(xp.broadcast_to(doubt, result.shape))
        result[poor], doubt[poor] = _integrals(factors, v, poor, by_wedges)
    return result, doubt


def _integrals(factors: tuple[Factor, ...], v: Variables, chosen: Any, by_wedges: bool) -> Any:
    """Some of the expectations by integrals, over wedges or nested ones, and estimates of their errors."""
    xp, functions = v.xp, [steep(*factor, v.backend) for factor in factors]
    numbers = (*v.means, *(xp.sqrt(xp.asarray(x)) for x in v.variances), v.correlation, v.rest, v.angle)
    law = [xp.broadcast_to(xp.asarray(x, dtype=xp.float64), chosen.shape)[chosen] for x in numbers]
    if len(functions) == 1:
        return nested_quadrature.mean(xp, functions[0], law[0], law[2])
    if by_wedges:
        return wedge_quadrature.pair(xp, functions[0], functions[1], (law[2], law[3]), law[-1])
    return _nested(factors, v, law[:-1])


def _nested(factors: tuple[Factor, ...], v: Variables, law: list[Any]) -> tuple[Any, Any]:
    """Nested integrals at some laws, after a warning where the first of them take so long that all will."""
    functions, begun = [steep(*factor, v.backend) for factor in factors], time.process_time()

    def integrals(some: slice) -> tuple[Any, Any]:
        m, k, p, q, r, rest = (x[some] for x in law)
        return nested_quadrature.pair(v.xp, functions[0], functions[1], (m, k), (p, q), r, rest)

    first = integrals(slice(0, TIMED))
    timed, wanted = min(TIMED, law[0].shape[0]), max(law[0].shape[0], v.wanted)
    seconds = (time.process_time() - begun) / timed * wanted
    if seconds > SLOW and wanted > timed:
        warnings.warn(_told(factors, wanted, seconds), SlowExpectations, stacklevel=2)
    if timed == law[0].shape[0]:
        return first
    values, errors = (v.xp.concatenate(parts) for parts in zip(first, integrals(slice(TIMED, None)), strict=True))
    return values, errors


def _told(factors: tuple[Factor, ...], wanted: float, seconds: float) -> str:
    """What the warning says, in numbers of one digit, so that steps that are alike say it once."""
    product = " ".join(name + "'" * order for name, order in factors)
    return (
        f"E of {product} takes about {float(f'{seconds:.0e}'):,.0f} s of processor time for {wanted:,.0f} pairs and "
        "steps: it is an integral in two variables each time. Functions that change around zero only, of variables "
        "of mean zero, have tables."
    )


def value(factors: tuple[Factor, ...], variables: Variables, doubted: bool = True) -> tuple[Any, Any]:
    """The same, enclosed in ball arithmetic where the error may be visible, and the estimate of it.

    A closed form is refused nowhere, and its rounding left out where it is not `doubted`: it costs more than the value.
    Errors: NotAccurate where an enclosure is too wide too, or none is to be had, besides those of `expectation`.
    """
    closed = _closed(factors, variables.centred, variables.backend) if len(factors) <= 2 else None
    if closed is not None:
        return closed.value(variables), closed.error(variables) if doubted else 0.0
    result, doubt = expectation(factors, variables)
    xp = variables.xp
    worst = float(xp.max(xp.asarray(doubt))) if xp.asarray(doubt).size else 0.0
    if worst <= ACCURACY * _size(xp, result):
        return result, doubt
    return _by_enclosures(factors, variables, xp.asarray(result), xp.asarray(doubt))


def _by_enclosures(factors: tuple[Factor, ...], v: Variables, result: Any, doubt: Any) -> tuple[Any, Any]:
    """The entries in doubt from their enclosures, whose radius is a bound.  Errors: NotAccurate above the limit."""
    xp = v.xp
    limit = ACCURACY * _size(xp, xp.where(xp.isfinite(result), result, 0.0))
    doubt = xp.array(xp.broadcast_to(doubt, result.shape))
    poor = xp.nonzero(~(doubt <= limit))
    law = [
        xp.broadcast_to(xp.asarray(x, dtype=xp.float64), result.shape)[poor]
        for x in (*v.means, *v.variances, v.covariance)
    ]
    rows, back = xp.unique(xp.stack(law, axis=-1), axis=0, return_inverse=True)
    found: list[tuple[float, float]] = []
    begun = time.monotonic()
    for row in rows.tolist():
        if time.monotonic() - begun > PATIENCE:
            done = f"{len(found)} of {len(rows)} enclosures in {PATIENCE:g} s"
            _refuse(factors, v, f"{done}, and estimates of up to {float(xp.max(doubt)):.1e}")
        found.append(_one_enclosure(factors, v, tuple(row), limit))
    result = xp.array(result)
    result[poor], doubt[poor] = (xp.asarray(x)[back.reshape(-1)] for x in zip(*found, strict=True))
    return result, doubt


def _one_enclosure(factors: tuple[Factor, ...], v: Variables, law: tuple[float, ...], limit: float) -> Any:
    """The middle and the radius of one enclosure.  Errors: NotAccurate above the limit."""
    from wideproof.derive.expectation.enclosures.pairs import enclosed_value  # for few numbers of few runs

    try:
        middle, radius = enclosed_value(factors, law)
    except (NotAccurate, ParameterError) as error:
        _refuse(factors, v, f"an estimate that is larger, and no enclosure, {error.got}")
    if not radius <= limit:
        _refuse(factors, v, f"an enclosure {middle:.6g} +- {radius:.1e}")
    return middle, radius


def _refuse(factors: tuple[Factor, ...], v: Variables, got: str) -> NoReturn:
    largest = max(float(v.xp.max(v.xp.asarray(x))) for x in v.variances)
    raise NotAccurate(
        f"E of {' '.join(name + chr(39) * order for name, order in factors)}",
        f"an error below {ACCURACY:g}",
        got,
        f"Variances up to {largest:.3g}: functions that are smooth on the scale of their distance from zero, "
        "or from a place where an argument in their definition vanishes, and piecewise linear ones are within "
        "reach. Write the function so that its definition tells where it is steep, or take smaller variances.",
    )


def _size(xp: Any, result: Any) -> float:
    """What an error is measured by: the largest value, at least 1."""
    return float(xp.max(xp.abs(result), initial=1.0))


def _series(
    factor: Factor, mean: Any, variance: Any, variables: Variables, least: int = mehler_series.ORDERS[0]
) -> mehler_series.Series:
    xp = variables.xp
    mean, variance = xp.broadcast_arrays(xp.asarray(mean, dtype=xp.float64), variance)
    numbers = [x.get() if hasattr(x, "get") else x for x in (mean, variance)]
    found = _known_series(factor, variables.backend, *(x.tobytes() for x in numbers), least)
    return mehler_series.Series(*(x.reshape((*variance.shape, *x.shape[1:])) for x in found.parts))


@lru_cache(maxsize=64)
def _known_series(factor: Factor, backend: str, mean: bytes, variance: bytes, least: int) -> mehler_series.Series:
    """Coefficients cost more than to look up the numbers they belong to: a variance is met at many pairs of times."""
    xp = namespace(backend)
    means, variances = (xp.asarray(np.frombuffer(x)) for x in (mean, variance))
    found = mehler_series.series(xp, _function(*factor, backend), means, variances, least)
    return _seen(xp, steep(*factor, backend), means, variances, found) if is_declared(factor[0]) else found


def _seen(xp: Any, phi: nested_quadrature.Steep, means: Any, variances: Any,
          found: mehler_series.Series) -> mehler_series.Series:  # fmt: skip
    """A series in doubt where panels at the steep places of a declared function find another E[phi^2]: its grid may
    step over a spike."""
    square = nested_quadrature.Steep(lambda z: phi.values(z) ** 2, phi.places)
    energy, error = nested_quadrature.mean(xp, square, means, xp.sqrt(variances))
    gap = xp.abs(energy - found.energy)
    missed = xp.where(gap > MISSED * xp.maximum(energy, found.energy) + 2 * error, gap, 0.0)
    larger = xp.where(missed > 0, xp.maximum(energy, found.energy), found.energy)
    return mehler_series.Series(found.coefficients, larger, found.tail, found.doubt + xp.sqrt(missed))


@dataclass(frozen=True)
class ClosedCode:
    """A closed form as array code, and its rounding for given determinant and angle."""

    value: Callable[[Variables], Any]
    own: Callable[[Variables], Any]

    def error(self, v: Variables) -> Any:
        """An estimate of its error: rounding by the size of its terms, and the change within `slack`."""
        own = self.own(v)
        if not v.moved:
            return own
        with np.errstate(all="ignore"):  # an end may overflow where the value does not
            middle = self.value(v)
            return sum((v.xp.abs(self.value(end) - middle) for end in v.moved), own)


@cache
def _closed(factors: tuple[Factor, ...], centred: bool, backend: str) -> ClosedCode | None:
    """The emitted closed form, or None where the table has none for these factors."""
    (name, order), (other, second) = factors[0], factors[-1]
    row = dual(name) if name == other else None
    if row is None or not (centred or row.shifted):
        return _by_kinks(factors)
    expr = row.mean(order) if len(factors) == 1 else row.derivative(order, second)
    if expr is None:
        return None
    expr = expr.subs({m: 0, k: 0}) if centred else expr
    plain = expr.subs({D: DET, ANGLE: SPREAD})
    extra = [x for x in READ if plain.has(x)]
    closed = closed_form(expr, backend)

    def own(v: Variables) -> Any:
        given = [v.xp.asarray(x, dtype=v.xp.float64) for x in (*v.variances, v.covariance, *v.means)]
        known = {symbol: Rounded(x) for symbol, x in zip((a, b, c, m, k), given, strict=True)}
        with np.errstate(all="ignore"):  # a determinant may be out of range, and then the error is found otherwise
            found = rounding(v.xp, plain, known | {x: _read(v, READ[x]) for x in extra})
        if not v.extreme:
            return found
        size = UNITS * UNITS * EPS * v.xp.abs(closed(v))  # where parts are out of range, by the size of the value
        return v.xp.where(v.xp.isfinite(found), found, size)

    return ClosedCode(closed, own)


def _read(v: Variables, name: str) -> Rounded:
    """The determinant or the angle with its error: a few units in the last place, of known gaps also of the angle."""
    value = getattr(v, name)
    turned = 0.0 if v.known is None else 1.0 if name == "angle" else 2.0 * v.norm * v.xp.sqrt(value)
    return Rounded(value, 4 * EPS * (value + turned))


@cache
def _broken(factor: Factor) -> piecewise_linear.Broken | None:
    """A factor that is piecewise linear, with its derivative where that is a function."""
    part = piecewise_linear.broken(definition(factor[0])) if factor[1] <= 1 else None
    return part.derivative if part and factor[1] == 1 else part


def _cut(factors: tuple[Factor, ...], v: Variables, kinked: int) -> tuple[Any, Any]:
    """E of a piecewise linear factor, the one at `kinked`, and a smooth one."""
    phi = _broken(factors[kinked])
    assert phi is not None
    turn = slice(None, None, 1 if kinked == 0 else -1)
    deviations = tuple(v.xp.sqrt(v.xp.asarray(x)) for x in v.variances)
    smooth = steep(*factors[1 - kinked], v.backend)
    return kinked_times_smooth.pair(v.xp, phi, smooth, v.means[turn], deviations[turn], v.correlation, v.rest)


def _by_kinks(factors: tuple[Factor, ...]) -> ClosedCode | None:
    """Moments of piecewise linear functions, None where some factor is none."""
    phi, psi = _broken(factors[0]), _broken(factors[-1])
    if phi is None or psi is None:
        return None

    def closed(v: Variables) -> Any:
        xp = v.xp
        deviations = tuple(xp.sqrt(xp.asarray(x)) for x in v.variances)
        if len(factors) == 1:
            return piecewise_linear.mean(xp, phi, v.means[0], deviations[0])
        return piecewise_linear.pair_mean(xp, phi, psi, v.means, deviations, v.correlation, v.rest)

    def own(v: Variables) -> Any:
        sizes = (part.size(v.xp.sqrt(x * x + y)) for part, x, y in zip((phi, psi), v.means, v.variances, strict=True))
        return UNITS * EPS * math.prod(sizes) if len(factors) == 2 else UNITS * EPS * next(sizes)

    return ClosedCode(closed, own)


def steep(name: str, order: int, backend: str) -> nested_quadrature.Steep:
    """phi^{(order)} as array code, with the places where panels over it end, and its second derivative."""
    bent = partial(_second, name, order, backend)
    return nested_quadrature.Steep(_function(name, order, backend), places(name, order), bent)


def _second(name: str, order: int, backend: str, z: Any) -> Any:
    """Its second derivative.  Errors: NotClosed for that of a kink."""
    return _function(name, order + 2, backend)(z)


@cache
def _function(name: str, order: int, backend: str) -> Callable[[Any], Any]:
    """phi^{(order)} as array code, from its definition."""
    expr = definition(name, order)
    if expr.has(sp.DiracDelta):
        raise NotClosed(
            f"E of {name}{chr(39) * order}",
            "a function with values",
            "the derivative of a jump",
            "The tangent of a jump does not exist; use a continuous activation, or freeze what feeds it.",
        )
    function = emitted([Z], expr, backend)
    xp = namespace(backend)

    def values(z: Any) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):  # far out; what is not finite there has no error estimate
            found = xp.asarray(function(z)) + xp.zeros_like(z)
            return found if backend != "numpy" or np.all(np.isfinite(found)) else _far_out(function, z, found)

    return values


def _far_out(function: Callable[[Any], Any], z: Any, found: Any) -> Any:
    """Values of which parts overflow, by the wider range of extended precision, where the machine and the code have it.

    exp(z) / (exp(z) + cosh(z)) is a number at z = 800, and exp(800) none.
    """
    found = np.array(found, dtype=np.float64)
    bad = ~np.isfinite(found)
    with contextlib.suppress(TypeError):  # of a special function
        found[bad] = function(np.asarray(z, dtype=np.longdouble)[bad])
    return found
