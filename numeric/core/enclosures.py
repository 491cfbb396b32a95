"""A number between two floats that are bounds: what ball arithmetic proves, rounded outward."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from wideproof.derive.algebra.ball_code import flint
from wideproof.derive.language.errors import NotAccurate

BITS = (160, 320)
"""Working precisions that are tried one after the other."""
DIGITS = 40


@dataclass(frozen=True)
class Enclosure:
    """A number that lies between `lower` and `upper`: a bound, where the error of other numbers is an estimate.

    `digits` is the ball itself, as a decimal midpoint and a radius rounded up; `bits` the working precision.
    Shapes: scalar.  Units: of the number.  Error: none, for inputs and variances taken as the exact numbers that the
    given floats are.  Source: johansson2017arb.

    >>> kernel = wp.Kernel(wp.models.elman("erf"), nu_W=0.5, nu_F=1.0, nu_b=0.0, nu_C=1.0)
    >>> bound = kernel.certified("nngp", (0, 0, 0, 0), [[[1.0]]])
    >>> bound.upper - bound.lower < 1e-12
    True
    """

    lower: float
    upper: float
    digits: str
    bits: int

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.lower <= value <= self.upper

    @property
    def midpoint(self) -> float:
        """A float in the middle, within the two."""
        return min(max(0.5 * self.lower + 0.5 * self.upper, self.lower), self.upper)

    @property
    def radius(self) -> float:
        """At least the distance of the midpoint from the number."""
        return math.nextafter(max(self.upper - self.midpoint, self.midpoint - self.lower), math.inf)

    def __str__(self) -> str:
        return self.digits


def enclosure_of(ball: Any, bits: int) -> Enclosure:
    """Return a ball as floats, rounded outward; infinite bounds where it has none.

    Units: kept.  Error: none.  Source: definition.
    """
    if not ball.is_finite():
        return Enclosure(-math.inf, math.inf, str(ball), bits)
    with flint().ctx.workprec(bits):
        return Enclosure(_below(ball.lower()), -_below(-ball.upper()), ball.str(DIGITS), bits)


def _below(exact: Any) -> float:
    """The largest float that is not above an exact number, or the one before it."""
    found = float(exact)
    return found if flint().arb(found) <= exact else math.nextafter(found, -math.inf)


def narrow(where: str, ball: Any, bits: int, tolerance: float) -> Enclosure:
    """Return a ball as floats, where its diameter is at most `tolerance` times the larger of 1 and its modulus.

    Error: NotAccurate where it is wider.  Source: definition.
    """
    with flint().ctx.workprec(bits):
        if is_narrow(ball, tolerance):
            return enclosure_of(ball, bits)
        got = f"one of {ball.str(5)} at {bits} bits"
    raise NotAccurate(
        where,
        f"an enclosure whose width is at most {tolerance:g} of the larger of 1 and the value",
        got,
        "Ask for a larger tolerance; correlations near 1 of steep functions, and many steps of a recursion that "
        "expands, widen an enclosure.",
    )


def is_narrow(ball: Any, tolerance: float) -> bool:
    """Say whether a ball is finite and its diameter at most `tolerance` times the larger of 1 and its modulus.

    Source: definition.
    """
    return bool(ball.is_finite()) and bool(2 * ball.rad() <= tolerance * abs(ball).max(flint().arb(1)))
