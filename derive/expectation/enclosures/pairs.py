"""Enclosures of E[phi(u)] and E[phi(u) psi(v)] of jointly Gaussian u and v, their law known to balls.

The correlation is taken at one exact number, and moved to the whole ball by a bound on its derivative (Price):
d E[phi(u) psi(v)] / dr = sd(u) sd(v) E[phi'(u) psi'(v)], by Cauchy and Schwarz at most what two integrals of one
variable are. There it is enclosed, in this order: as one integral where u and v are one variable; as one integral where
one of the functions is piecewise linear, since its mean given the other variable is closed; by Mehler's series where
both are analytic; else as an integral over both variables. No table of dual activations is believed.
Source: price1958useful; mehler1866ueber; johansson2018numerical.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

from wideproof.derive.algebra.ball_code import flint
from wideproof.derive.expectation.enclosures.functions import BallFunction, ball_function, exact
from wideproof.derive.expectation.enclosures.hermite import ORDERS, EnclosedSeries, series
from wideproof.derive.expectation.enclosures.integrals import Integrand, Mapped, checked, density, mean_of, reach_of
from wideproof.derive.expectation.enclosures.planes import plane_mean
from wideproof.derive.language.errors import NotAccurate, NotClosed

Factor = tuple[str, int]
BITS = 160
"""The working precision of single numbers."""
KNOWN = 10
"""Bits of E[phi^2] that are asked for before anything else is tried."""
KNOWN_FLOAT = 40
"""Bits to which the correlation of floats may be above 1 by rounding."""
NEAR = 64
"""Correlations within 2^-NEAR of 1 or -1 are moved there."""
FINE, ENOUGH = 64, 44
"""Bits of a tail of the series that end it, and that let it stand when there are no more orders."""


class PairLaw(NamedTuple):
    """Means, variances and covariance of (u, v), balls; `same` says that both are known to be one variable."""

    means: tuple[Any, Any]
    variances: tuple[Any, Any]
    covariance: Any
    same: bool = False


def enclosure(factors: tuple[Factor, ...], law: PairLaw) -> Any:
    """A ball that holds E[phi(u)], or E[phi(u) psi(v)], for every law in the balls.

    Shapes: scalars.  Units: of the product.  Error: none, the truth lies in the ball; NotClosed for three factors and
    for derivatives of jumps, NotAccurate where no finite ball is found.
    """
    if len(factors) > 2:
        product = " ".join(name + "'" * order for name, order in factors)
        raise NotClosed("enclosure of a product", "at most two activations", product, "Use Kernel.evaluate.")
    functions = [ball_function(*factor) for factor in factors]
    maps = [_mapped(*each) for each in zip(functions, law.means, law.variances, strict=False)]
    constant = [_constant(x) for x in maps]
    if len(maps) == 1 or None not in constant or any(x is not None for x in constant):
        result = flint().arb(1)
        for x, known in zip(maps, constant, strict=True):
            result = result * (_mean(x) if known is None else known)
        return result
    return mean_of((maps[0], maps[1])) if law.same else _pair(maps[0], maps[1], law.covariance)


@lru_cache(maxsize=4096)
def enclosed_value(factors: tuple[Factor, ...], law: tuple[float, ...]) -> tuple[float, float]:
    """A float, and a bound on its distance from E; `law` is two means, two variances and a covariance, exact.

    Errors: as `enclosure`; ParameterError without python-flint.
    """
    with flint().ctx.workprec(BITS):
        first, second, a, b, c = map(flint().arb, law)
        ball = enclosure(factors, PairLaw((first, second), (a, b), c))
        middle = float(ball.mid())
        return middle, math.nextafter(float((abs(ball - middle)).upper()), math.inf)


def _mapped(phi: BallFunction, mean: Any, variance: Any) -> Mapped:
    return Mapped(phi, flint().arb(mean), _root(flint().arb(variance)))


def _root(variance: Any) -> Any:
    """The deviation; a variance is not negative, whatever rounding leaves."""
    return flint().arb(0) if variance.is_zero() else variance.nonnegative_part().sqrt()


def _constant(x: Mapped) -> Any:
    """The value of a function of a variable that does not vary, else None."""
    if not x.slope.is_zero():
        if not x.slope > 0:
            raise NotAccurate(
                f"enclosure of E of {x.phi.name}",
                "a variance that is zero or can be told from zero",
                f"a deviation in {x.slope.str(5)}",
                "It is a difference of numbers that are equal up to rounding: write the recursion without it.",
            )
        return None
    return x.phi.whole(flint().acb(x.mean))


# ---- one variable ---------------------------------------------------------------------------------------
def _key(x: Any) -> tuple[Any, ...]:
    """What a ball is, exactly."""
    return (*map(int, x.mid().man_exp()), *map(int, x.rad().man_exp()))


def _ball(key: tuple[Any, ...]) -> Any:
    arb = flint().arb
    mantissa, exponent, radius, power = key
    return arb(arb(mantissa) * arb(2) ** exponent, arb(radius) * arb(2) ** power)


def _of(x: Mapped) -> tuple[BallFunction, tuple[Any, ...], tuple[Any, ...], int]:
    return x.phi, _key(x.mean), _key(x.slope), flint().ctx.prec


def _mean(x: Mapped) -> Any:
    return _known_mean(*_of(x))


def _energy(x: Mapped) -> Any:
    return _known_energy(*_of(x))


@lru_cache(maxsize=1024)
def _known_mean(phi: BallFunction, mean: Any, slope: Any, precision: int) -> Any:
    return mean_of((Mapped(phi, _ball(mean), _ball(slope)),))


@lru_cache(maxsize=1024)
def _known_energy(phi: BallFunction, mean: Any, slope: Any, precision: int) -> Any:
    """E[phi^2]; a function is met at many pairs."""
    one = Mapped(phi, _ball(mean), _ball(slope))
    found = mean_of((one, one)).nonnegative_part()
    if found.rad() > (1 + found.mid()) * flint().arb(2) ** -KNOWN:
        raise NotAccurate(
            f"enclosure of E of {phi.name}{chr(39) * phi.order} squared",
            f"{KNOWN} bits",
            found.str(5),
            "The function changes too often for integrals of at most a fixed number of evaluations: take smaller "
            "variances.",
        )
    return found


@lru_cache(maxsize=256)
def _known_series(phi: BallFunction, mean: Any, slope: Any, precision: int, order: int) -> EnclosedSeries | None:
    one = Mapped(phi, _ball(mean), _ball(slope))
    return series(one, order, _known_energy(phi, mean, slope, precision))


# ---- the correlation ------------------------------------------------------------------------------------
def _pair(first: Mapped, second: Mapped, covariance: Any) -> Any:
    arb = flint().arb
    r = _possible(arb(covariance) / (first.slope * second.slope))
    end = arb(1) if r.mid() > 0 else arb(-1)
    try:
        found = _moved(first, second, r, _chosen(r))
    except NotAccurate:
        return checked(_moved(first, second, r, end), (first, second))
    if found.rad() < arb(2) ** -ENOUGH:
        return found
    return checked(found.intersection(_moved(first, second, r, end)), (first, second))


def _possible(r: Any) -> Any:
    """The part of a ball that correlations can be in; a float just beyond 1 or -1 is that."""
    arb = flint().arb
    if abs(r) > 1 and abs(r) < 1 + arb(2) ** -KNOWN_FLOAT:
        return arb(1) if r > 0 else arb(-1)
    return r.intersection(arb(0, 1))


def _moved(first: Mapped, second: Mapped, r: Any, at: Any) -> Any:
    """E at a ball of correlations, from that at one; on the ball itself where its derivative has no bound."""
    if r == at:
        return _at(first, second, at)
    move = _move(first, second, r, at)
    return _at(first, second, at) + flint().arb(0, move.upper()) if move.is_finite() else _at(first, second, r)


def _chosen(r: Any) -> Any:
    """An exact number in [-1, 1] near the ball: an end where that is near."""
    arb = flint().arb
    one = arb(2) ** -NEAR
    if r.mid() > 1 - one:
        return arb(1)
    return arb(-1) if r.mid() < one - 1 else r.mid()


def _move(first: Mapped, second: Mapped, r: Any, at: Any) -> Any:
    """A bound on how far E moves while the correlation goes from `at` to any number of the ball.

    By the derivatives that exist: of both, or two of one, with sum k^2 p_k^2 = s^2 E[phi'^2] + s^4 E[phi''^2].
    """
    arb = flint().arb
    way = abs(r - at).upper()
    if first.phi.lines is not None and second.phi.lines is not None:
        return _move_of_lines(first, second, r, at)
    slopes = [_raised(x) for x in (first, second)]
    if None not in slopes:
        sizes = [_energy(x).sqrt() for x in slopes if x is not None]
        return way * first.slope * second.slope * sizes[0] * sizes[1]
    for x, other, slope in ((first, second, slopes[0]), (second, first, slopes[1])):
        bend = _raised(slope) if slope is not None else None
        if slope is not None and bend is not None:
            sizes = [_energy(each) for each in (slope, bend, other)]
            return way * ((x.slope**2 * sizes[0] + x.slope**4 * sizes[1]) * sizes[2]).sqrt()
    return arb.pos_inf()


def _raised(x: Mapped) -> Mapped | None:
    slope = x.phi.derivative
    return None if slope is None else Mapped(slope, x.mean, x.slope)


def _move_of_lines(first: Mapped, second: Mapped, r: Any, at: Any) -> Any:
    """Jumps J and largest slopes L: s s' L L' and (s L sum|J'| + s' L' sum|J|) / sqrt(2 pi) by the change of r, and of
    two jumps, whose derivative is a normal density of two variables, |J J'| / (2 pi) by that of its angle."""
    arb = flint().arb
    way = abs(r - at).upper()
    (slope, jump), (other, leap) = _sizes(first), _sizes(second)
    smooth = slope * other + (slope * leap + other * jump) / (2 * arb.pi()).sqrt()
    ends = [x.max(arb(-1)).min(arb(1)).acos() for x in (r.lower(), r.upper())]
    angle = max(abs(end - at.acos()).upper() for end in ends)
    return way * smooth + jump * leap * angle / (2 * arb.pi())


def _sizes(x: Mapped) -> tuple[Any, Any]:
    """The largest slope in x, and the sum of the jumps, of a piecewise linear function."""
    arb = flint().arb
    assert x.phi.lines is not None
    edges, lines = x.phi.lines
    slope = max(abs(exact(p)).upper() for p, _ in lines)
    jumps = ((p - q) * at + c - d for at, (q, d), (p, c) in zip(edges, lines, lines[1:], strict=False))
    return arb(slope) * x.slope, sum((abs(exact(jump)) for jump in jumps), arb(0))


# ---- at one correlation ---------------------------------------------------------------------------------
def _at(first: Mapped, second: Mapped, r: Any) -> Any:
    """E at a correlation, best an exact one."""
    if r == 0:
        return _mean(first) * _mean(second)
    if abs(r) == 1:
        return mean_of((first, Mapped(second.phi, second.mean, second.slope * r)))
    for x, other in ((first, second), (second, first)):
        if other.phi.lines is not None:
            reach, _ = reach_of(x)
            beyond = (x.beyond(reach) * _energy(other)).sqrt().upper()
            return mean_of((x,), _given(other, r), (reach, beyond))
    found = _by_series(first, second, r)
    return plane_mean((first, second), (_energy(first), _energy(second)), r) if found is None else found


def _given(x: Mapped, r: Any) -> Integrand:
    """The mean of a piecewise linear function of v given the first variable.

    E[(v - at)_+] = d P + s n(d/s) and P = P(v > at), d = E[v] - at, s the deviation left, n the normal density.
    """
    assert x.phi.lines is not None
    edges, lines = x.phi.lines
    left = x.slope * (1 - r**2).sqrt()
    start, offset = (exact(part) for part in lines[0])
    kinks = [
        (exact(at), exact(p - q), exact((p - q) * at + c - d))
        for at, (q, d), (p, c) in zip(edges, lines, lines[1:], strict=False)
    ]
    half = flint().arb(2).sqrt()

    def given(y: Any, _: bool) -> Any:
        mean = x.mean + x.slope * r * y
        value = offset + start * mean
        for at, bend, jump in kinks:
            d = (mean - at) / left
            above = (-d / half).erfc() / 2
            value = value + jump * above + bend * left * (d * above + density(d))
        return value

    return given


def _by_series(first: Mapped, second: Mapped, r: Any) -> Any:
    """Mehler's series; None where its orders leave too much."""
    arb = flint().arb
    scale = (_energy(first) * _energy(second)).sqrt()
    for order in ORDERS:
        p, q = (_known_series(*_of(x), order) for x in (first, second))
        if p is None or q is None:
            return None
        tail = abs(r) ** order * (p.tail * q.tail).sqrt()
        if tail < scale * arb(2) ** -FINE or order == ORDERS[-1]:
            break
    assert p is not None and q is not None  # noqa: PT018
    if not tail < scale * arb(2) ** -ENOUGH:
        return None
    total = arb(0)
    for x, y in zip(reversed(p.coefficients), reversed(q.coefficients), strict=True):
        total = total * r + x * y
    return total + arb(0, tail.upper())
