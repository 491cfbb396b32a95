"""Further kinds of claim: inequalities on a domain, counter-examples, and equations between matrices of any size."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Inequality:
    """left <= right wherever every relation of the domain holds."""

    left: sp.Expr
    right: sp.Expr
    domain: tuple[sp.Expr, ...]

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.left


@dataclass(frozen=True)
class Counterexample:
    """left > right at the exact rational point (symbol, value), ..., although it was believed that left <= right."""

    left: sp.Expr
    right: sp.Expr
    point: tuple[tuple[sp.Symbol, sp.Rational], ...]

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.left


@dataclass(frozen=True)
class MatrixEquation:
    """left = right for matrices of all sizes that fit; products do not commute."""

    left: sp.Expr
    right: sp.Expr

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.left
