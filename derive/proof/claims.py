"""Further kinds of claim: inequalities, counter-examples, matrix equations, limiting processes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class ProcessForm:
    """left = right, expectations over states that jointly Gaussian products drive by `paths`.

    `covariances` are those of the products and biases; pairs that are not listed are independent. Each covariance
    is an expectation over strictly earlier products, so the law is found step by step. `indices` are the two times.
    """

    left: sp.Expr
    right: sp.Expr
    covariances: tuple[Any, ...]
    paths: tuple[Any, ...]
    indices: tuple[sp.Symbol, ...]

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.left

    @property
    def equations(self) -> tuple[Any, ...]:
        """The covariances and the paths."""
        return self.covariances + self.paths
