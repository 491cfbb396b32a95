"""Enclosures of Gaussian integrals over one variable: ball arithmetic on [-reach, reach], a bound beyond.

`acb.integral` encloses integrals of functions that are analytic near the path; functions with kinks are integrated
between them. The edges of an integral are exact: where a kink is known up to rounding only, the interval that may hold
it is enclosed by its length times the size of the function there.
Source: johansson2018numerical.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wideproof.derive.algebra.ball_code import flint
from wideproof.derive.expectation.enclosures.functions import BallFunction, exact
from wideproof.derive.language.errors import NotAccurate

Integrand = Callable[[Any, bool], Any]
REACHES = (*range(12, 40, 2), *range(40, 201, 10))
"""Deviations at which an integral may be cut off."""
EVALUATIONS = 60000
"""The most evaluations of one integral."""


@dataclass(frozen=True)
class Mapped:
    """phi(mean + slope x), x standard normal; mean and slope are balls, and the slope may be negative."""

    phi: BallFunction
    mean: Any
    slope: Any

    def beyond(self, reach: Any) -> Any:
        """At least the part of E[phi^2] from |x| > reach."""
        return self.phi.growth.beyond(self.mean, abs(self.slope), flint().arb(reach))

    def edges(self) -> list[Any]:
        """Where x meets the edges of phi."""
        return [(exact(edge) - self.mean) / self.slope for edge in self.phi.edges]

    def at(self, x: Any) -> Any:
        """The branch of phi around the image of a point that is no edge.  Errors: NotAccurate where it may be one."""
        z = self.mean + self.slope * x
        above = [bool(z > exact(edge)) for edge in self.phi.edges]
        if not all(known or z < exact(edge) for known, edge in zip(above, self.phi.edges, strict=True)):
            raise NotAccurate(
                f"enclosure of E of {self.phi.name}",
                "variances and means that tell the edges of a function apart",
                f"a mean {self.mean.str(5)} and a deviation {self.slope.str(5)}",
                "They are known too little: take fewer steps, or a recursion that expands less.",
            )
        return self.phi.values[sum(above)]


def goal() -> int:
    """Bits to which integrals are asked for: enough below the working precision for what is lost on the way."""
    return int(flint().ctx.prec * 5 // 8)


def small() -> Any:
    """2^-goal."""
    return flint().arb(2) ** -goal()


def reach_of(*maps: Mapped) -> tuple[int, Any]:
    """A number of deviations, and a bound on the part of E of the product beyond it.  Errors: NotAccurate."""
    for reach in REACHES:
        parts = [each.beyond(reach) for each in maps]
        bound = (parts[0] * parts[-1]).sqrt() if len(parts) == 2 else parts[0].sqrt()
        if bound < small():
            return reach, bound.upper()
    raise NotAccurate(
        f"enclosure of E of {' '.join(x.phi.name for x in maps)}",
        f"functions that are small against the normal density within {REACHES[-1]} deviations",
        f"deviations {', '.join(str(abs(x.slope).str(5, radius=False)) for x in maps)}",
        "Take smaller variances.",
    )


def density(x: Any) -> Any:
    """The standard normal density."""
    arb = flint().arb
    return (-x * x / 2).exp() / (2 * arb.pi()).sqrt()


def integral(function: Integrand, low: Any, high: Any, evaluations: int = EVALUATIONS, bits: int = 0) -> Any:
    """The integral between two exact numbers, a complex ball."""
    acb, arb = flint().acb, flint().arb
    tolerance = arb(2) ** -(bits or goal())
    return acb.integral(function, acb(low), acb(high), rel_tol=tolerance, abs_tol=tolerance, eval_limit=evaluations)


def cells(maps: tuple[Mapped, ...], reach: int) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
    """[-reach, reach] as intervals without edges, and short ones that may hold them; all ends exact."""
    arb = flint().arb
    low, high = arb(-reach), arb(reach)
    found = [(x.lower(), x.upper()) for each in maps for x in each.edges() if not (x < low or x > high)]
    hulls: list[tuple[Any, Any]] = []
    for left, right in sorted(found, key=lambda hull: float(hull[0].mid())):
        left, right = left.max(low), right.min(high)
        if hulls and not hulls[-1][1] < left:
            left, right = hulls[-1][0].min(left), hulls.pop()[1].max(right)
        hulls.append((left, right))
    ends = [low, *(x for hull in hulls for x in hull), high]
    plain = [(ends[i], ends[i + 1]) for i in range(0, len(ends), 2)]
    return [(x, y) for x, y in plain if x < y], hulls


def mean_of(maps: tuple[Mapped, ...], weight: Integrand | None = None, beyond: Any = None) -> Any:
    """E of the product of one function of x or two, of both signs of slope, times a bounded analytic weight.

    `beyond` bounds what is left outside where a weight is given: (reach, bound).
    """
    arb, acb = flint().arb, flint().acb
    reach, left = beyond or reach_of(*maps)
    plain, hulls = cells(maps, reach)
    total = arb(0, left)
    for low, high in plain:
        middle = (low + high) / 2
        parts = [(x.at(middle), x.mean, x.slope) for x in maps]
        total += integral(_product(parts, weight), low, high).real
    for low, high in hulls:
        inside = acb(low.union(high))
        value = density(inside)
        for x in maps:
            value = value * x.phi.whole(x.mean + x.slope * inside)
        value = value if weight is None else value * weight(inside, False)
        total += value.real * (high - low)
    return checked(total, maps)


def _product(parts: list[tuple[Any, Any, Any]], weight: Integrand | None) -> Integrand:
    def integrand(x: Any, analytic: bool) -> Any:
        value = density(x)
        for function, mean, slope in parts:
            value = value * function(mean + slope * x, analytic)
        return value if weight is None else value * weight(x, analytic)

    return integrand


def checked(total: Any, maps: tuple[Mapped, ...]) -> Any:
    """A finite enclosure.  Errors: NotAccurate."""
    if not total.is_finite():
        raise NotAccurate(
            f"enclosure of E of {' '.join(x.phi.name + chr(39) * x.phi.order for x in maps)}",
            "a finite enclosure",
            str(total),
            "The integrand could not be enclosed: take smaller variances, or write the function so that arguments of "
            "roots and logarithms stay positive by their form.",
        )
    return total
