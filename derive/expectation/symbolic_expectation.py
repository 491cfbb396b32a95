"""Gaussian expectation calculus: linearity, independence, Isserlis and Stein; activations stay opaque.

A monomial is a product of centred Gaussian variables and of activations of affine forms in them. Stein's rule
removes the polynomial factors one by one; what is left is one `GaussianMean` node per distinct product.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Self

import sympy as sp

Covariance = Callable[[Hashable, Hashable], sp.Expr]


@dataclass(frozen=True)
class Affine:
    """mean + sum of coefficient x centred Gaussian variable."""

    terms: tuple[tuple[Hashable, sp.Expr], ...]
    mean: sp.Expr = sp.S.Zero


@dataclass(frozen=True)
class Factor:
    """phi^{(order)}(form): one activation in a monomial."""

    name: sp.Symbol
    order: int
    form: Affine


class MeanNode(sp.Expr):
    """A mean over jointly Gaussian variables left as a node: functions, means, upper triangle of cov row by row.

    A display gives the law of several variables one letter where the node is `lettered`, and prints a letter as a law.
    """

    lettered = False

    def __new__(cls, functions: Any, means: Any, cov: Any) -> Self:  # noqa: D102
        return super().__new__(cls, sp.Tuple(*functions), sp.Tuple(*means), sp.Tuple(*cov))

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """Those of the means and covariances; names of activations are not variables."""
        return set().union(*(e.free_symbols for part in self.args[1:] for e in part))

    def _eval_is_real(self) -> bool:
        return True

    def _eval_is_commutative(self) -> bool:
        return True


class GaussianMean(MeanNode):
    """E[prod_i phi_i^{(k_i)}(z_i)], z ~ N(mean, cov), left as a node; its functions are ((name, order), ...)."""

    def _sympystr(self, printer: Any) -> str:
        functions, _, cov = self.args
        product = "*".join(f"{name}{chr(39) * int(order)}(z{i})" for i, (name, order) in enumerate(functions))
        return f"E[{product}; {', '.join(printer._print(c) for c in cov)}]"


def expect(variables: tuple[Hashable, ...], factors: tuple[Factor, ...], cov: Covariance) -> sp.Expr:
    """E[prod variables x prod factors] by Stein's rule, which without factors is Isserlis' theorem.

    Each step removes one centred variable Z: E[Z R] = sum over the other factors of Cov(Z, .) E[d R].
    Source: isserlis1918formula, stein1981estimation (E[Z f(Y)] = Cov(Z, Y) E[f'(Y)] and its product form).
    """
    if not variables:
        return _node(factors, cov)
    first, rest = variables[0], variables[1:]
    total = sp.S.Zero
    for i, other in enumerate(rest):
        weight = cov(first, other)
        if weight != 0:
            total += weight * expect(rest[:i] + rest[i + 1 :], factors, cov)
    for i, factor in enumerate(factors):
        weight = sp.Add(*(c * cov(first, v) for v, c in factor.form.terms))
        if weight != 0:
            raised = Factor(factor.name, factor.order + 1, factor.form)
            total += weight * expect(rest, (*factors[:i], raised, *factors[i + 1 :]), cov)
    return total


def _node(factors: tuple[Factor, ...], cov: Covariance) -> sp.Expr:
    """The mean of a product of activations, split into independent groups by *vanishing* covariances."""
    result = sp.S.One
    for group in _independent(factors, cov):
        upper = [_form_cov(a.form, b.form, cov) for a, b in _upper(group)]
        functions = [sp.Tuple(f.name, sp.Integer(f.order)) for f in group]
        result *= GaussianMean(sp.Tuple(*functions), sp.Tuple(*(f.form.mean for f in group)), sp.Tuple(*upper))
    return result


def _upper(group: tuple[Factor, ...]) -> Iterator[tuple[Factor, Factor]]:
    return ((group[i], group[j]) for i, j in combinations_with_replacement(range(len(group)), 2))


def _form_cov(a: Affine, b: Affine, cov: Covariance) -> sp.Expr:
    return sp.Add(*(c * d * cov(v, w) for v, c in a.terms for w, d in b.terms))


def _independent(factors: tuple[Factor, ...], cov: Covariance) -> list[tuple[Factor, ...]]:
    """Connected components of the factors under non-zero covariance (jointly Gaussian, so independent)."""
    groups: list[tuple[Factor, ...]] = []
    for factor in factors:
        linked = [g for g in groups if any(_form_cov(factor.form, o.form, cov) != 0 for o in g)]
        groups = [g for g in groups if g not in linked]
        groups.append((*(f for g in linked for f in g), factor))
    return [tuple(sorted(group, key=lambda f: (str(f.form), str(f.name), f.order))) for group in groups]
