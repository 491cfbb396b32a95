"""Expressions in exact dual numbers, a value and its slope: how a definition moves, by no rule of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import sympy as sp

from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.program import Coordinate

Dual = tuple[Fraction, Fraction]


def times(a: Dual, b: Dual) -> Dual:
    """The product."""
    return a[0] * b[0], a[0] * b[1] + a[1] * b[0]


def scaled(c: Fraction, a: Dual) -> Dual:
    """A multiple by a number that does not move."""
    return c * a[0], c * a[1]


def total(parts: Iterable[Dual]) -> Dual:
    """The sum."""
    values = list(parts)
    return sum((v for v, _ in values), start=Fraction(0)), sum((d for _, d in values), start=Fraction(0))


def derivative(coefficients: Sequence[Fraction], order: int) -> list[Fraction]:
    """Coefficients of the derivative of a given order of a polynomial."""
    coefficients = list(coefficients)
    for _ in range(order):
        coefficients = [i * c for i, c in enumerate(coefficients)][1:]
    return coefficients


def _at(coefficients: Sequence[Fraction], z: Fraction) -> Fraction:
    value = Fraction(0)
    for c in reversed(coefficients):
        value = value * z + c
    return value


@lru_cache(maxsize=4096)
def _reads(expr: sp.Expr) -> bool:
    """Whether an expression has a coordinate."""
    return bool(expr.has(Coordinate))


@dataclass(frozen=True)
class DualValues:
    """The value of an expression where coordinates, activations (polynomials) and scalars have one.

    `seen` keeps the value and the slope of activations, where their arguments have the same value every time.
    """

    coordinate: Callable[[Coordinate], Dual]
    activation: Callable[[str], Sequence[Fraction]]
    scalar: Callable[[sp.Expr], Fraction]
    seen: dict[Phi, Dual] = field(default_factory=dict)

    def of(self, expr: sp.Expr) -> Dual:
        """Value and slope of sums, products, whole powers and activations of coordinates."""
        if isinstance(expr, Coordinate):
            return self.coordinate(expr)
        if isinstance(expr, Phi):
            return self._activated(expr)
        if not _reads(expr):
            return self.scalar(expr), Fraction(0)
        parts = [self.of(expr.base)] * int(expr.exp) if expr.is_Pow else [self.of(a) for a in expr.args]
        if expr.is_Add:
            return total(parts)
        result = parts[0]
        for part in parts[1:]:
            result = times(result, part)
        return result

    def _activated(self, phi: Phi) -> Dual:
        name, order, argument = phi.args
        z = self.of(argument)
        if phi not in self.seen:
            own = derivative(self.activation(str(name)), int(order))
            self.seen[phi] = _at(own, z[0]), _at(derivative(own, 1), z[0])
        value, slope = self.seen[phi]
        return value, slope * z[1]
