"""Expressions in exact dual numbers, a value and its slope: how a definition moves, by no rule of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

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
    return sum((c * z**k for k, c in enumerate(coefficients)), start=Fraction(0))


@dataclass(frozen=True)
class DualValues:
    """The value of an expression where coordinates, activations (polynomials) and scalars have one."""

    coordinate: Callable[[Coordinate], Dual]
    activation: Callable[[str], Sequence[Fraction]]
    scalar: Callable[[sp.Expr], Fraction]

    def of(self, expr: sp.Expr) -> Dual:
        """Value and slope of sums, products, whole powers and activations of coordinates."""
        if isinstance(expr, Coordinate):
            return self.coordinate(expr)
        if isinstance(expr, Phi):
            return self._activated(*expr.args)
        if not expr.has(Coordinate):
            return self.scalar(expr), Fraction(0)
        parts = [self.of(expr.base)] * int(expr.exp) if expr.is_Pow else [self.of(a) for a in expr.args]
        if expr.is_Add:
            return total(parts)
        result = parts[0]
        for part in parts[1:]:
            result = times(result, part)
        return result

    def _activated(self, name: sp.Basic, order: sp.Expr, argument: sp.Expr) -> Dual:
        coefficients, z = self.activation(str(name)), self.of(argument)
        value, slope = (_at(derivative(coefficients, int(order) + more), z[0]) for more in (0, 1))
        return value, slope * z[1]
