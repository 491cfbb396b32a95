"""Processes as sums of products of functions of one independent group of Gaussian variables each.

Every moment is then a sum of products of means over one group, and no rule has to span two groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from wideproof.derive.language.activations import Phi
from wideproof.derive.language.program import Coordinate, Previous
from wideproof.numeric.core.activations import activation_function
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.process.block_cholesky import SINGULAR
from wideproof.numeric.process.layout import CovarianceTerm, Layout, within_step
from wideproof.numeric.process.points import Points


class Part(NamedTuple):
    """weight x product over groups of a function on the points of the group."""

    weight: float
    factors: dict[int, Array]


@dataclass
class Separable:
    """The moments of a process for a few sequences, each independent group of variables by a rule of its own.

    Backward states are zero from the end of their sequence on.
    Shapes: X (N, T, n_x), ends (N,).  Units: those of the recursion.  Error: those of the rules.
    Source: derive.calculus.gaussian_process.
    """

    layout: Layout
    xp: Any
    X: Array
    groups: dict[sp.Symbol, int]
    rule: Callable[[int], Points]
    ends: Array
    rules: dict[int, Points] = field(default_factory=dict)
    known: dict[Any, list[Part]] = field(default_factory=dict)
    forms: dict[Any, Array] = field(default_factory=dict)
    products: dict[tuple[int, ...], tuple[Array, Array, Array]] = field(default_factory=dict)
    means: dict[tuple[int, ...], tuple[float, Array, Array]] = field(default_factory=dict)
    moments: dict[Any, float] = field(default_factory=dict)

    # ---- what `kernel_of` asks for --------------------------------------------------------------------
    def law(self, law: CovarianceTerm, step: int, other: int) -> Array:
        """The value of a law at two steps.  Shapes: (N, N)."""
        size = range(self.X.shape[0])
        return self.xp.asarray([[self._law(law, (step, i), (other, j)) for j in size] for i in size])

    def _law(self, law: CovarianceTerm, first: tuple[int, int], second: tuple[int, int]) -> float:
        (step, i), (other, j) = first, second
        if law.redrawn and step != other:
            return 0.0
        if law.gram:
            return law.weight * float(self.X[i, step, :] @ self.X[j, other, :])
        return law.weight * (1.0 if law.moment is None else self._moment(*law.moment, first, second))

    def _moment(self, u: sp.Expr, v: sp.Expr, first: tuple[int, int], second: tuple[int, int]) -> float:
        key = (u, v, first, second)
        if key not in self.moments:
            left, right = self.value(u, *first), self.value(v, *second)
            found = sum(a.weight * b.weight * self._mean(a.factors, b.factors) for a in left for b in right)
            self.moments[key] = self.moments[v, u, second, first] = found
        return self.moments[key]

    def _mean(self, left: dict[int, Array], right: dict[int, Array]) -> float:
        return math.prod(self._group_mean(g, left.get(g), right.get(g)) for g in sorted({*left, *right}))

    def _group_mean(self, group: int, a: Array, b: Array) -> float:
        key = (group, *sorted((id(a), id(b))))
        if key not in self.means:
            values = b if a is None else a if b is None else a * b
            self.means[key] = self.rules[group].mean(values), a, b
        return self.means[key][0]

    # ---- processes ------------------------------------------------------------------------------------
    def value(self, process: sp.Expr, step: int, sequence: int) -> list[Part]:
        """A process at a step, for one sequence."""
        key = (process, step, sequence)
        if key not in self.known:
            body = self.layout.bodies.get(process)
            end = int(self.ends[sequence]) if self.layout.backward(process) else self.X.shape[1]
            if body is not None and not 0 <= step < end:
                self.known[key] = []
            else:
                expr = self.layout.in_forms(process) if body is None else body
                with within_step(self.layout.program, step):
                    self.known[key] = self._evaluate(expr, step, sequence)
        return self.known[key]

    def _evaluate(self, expr: sp.Expr, step: int, sequence: int) -> list[Part]:
        if isinstance(expr, Coordinate):
            term = self.layout.program.table[expr]
            if isinstance(term, Previous):
                return self.value(self.layout.program.updated[term.state], step + term.state.back, sequence)
            return self.value(expr, step, sequence)
        if expr in self.layout.forms:
            return [Part(1.0, {self.groups[expr]: self._form(expr, step, sequence)})]
        if isinstance(expr, Phi):
            return self._activation(expr, step, sequence)
        if expr.is_Number:
            return [Part(float(expr), {})] if expr != 0 else []
        if expr.is_Pow:
            base = self._evaluate(expr.base, step, sequence)
            return self._product([base] * int(expr.exp))
        parts = [self._evaluate(a, step, sequence) for a in expr.args]
        return self._product(parts) if expr.is_Mul else self._sum(parts)

    def _activation(self, phi: Phi, step: int, sequence: int) -> list[Part]:
        name, order, argument = phi.args
        inner = self._evaluate(argument, step, sequence)
        groups = {g for part in inner for g in part.factors}
        values = sum((part.weight * math.prod(part.factors.values()) for part in inner), start=self.xp.asarray(0.0))
        found = activation_function(str(name), int(order))(self.xp.asarray(values))
        return [Part(1.0, {groups.pop(): found})] if groups else [Part(float(found), {})]

    def _product(self, parts: Sequence[list[Part]]) -> list[Part]:
        total = [Part(1.0, {})]
        for part in parts:
            total = self._joined([self._times(a, b) for a in total for b in part])
        return total

    def _times(self, a: Part, b: Part) -> Part:
        factors = dict(a.factors)
        for group, values in b.factors.items():
            factors[group] = self._pointwise(factors[group], values) if group in factors else values
        return Part(a.weight * b.weight, factors)

    def _pointwise(self, a: Array, b: Array) -> Array:
        key = tuple(sorted((id(a), id(b))))
        if key not in self.products:  # the arrays are kept with their product, so that no identity is given twice
            self.products[key] = (a * b, a, b)
        return self.products[key][0]

    def _sum(self, parts: Sequence[list[Part]]) -> list[Part]:
        return self._joined([part for terms in parts for part in terms])

    def _joined(self, parts: list[Part]) -> list[Part]:
        """Summands that differ in one group only are one summand."""
        found: list[Part] = []
        for part in parts:
            partner = next((i for i, other in enumerate(found) if self._apart(part, other) is not None), None)
            if partner is None:
                found.append(part)
                continue
            other = found.pop(partner)
            group = self._apart(part, other)
            assert group is not None
            here, there = (x.weight * x.factors.get(group, 1.0) for x in (part, other))
            rest = {g: values for g, values in other.factors.items() if g != group}
            joined = Part(1.0, {**rest, group: here + there}) if group != -1 else Part(part.weight + other.weight, rest)
            found.insert(partner, joined)
        return found

    @staticmethod
    def _apart(a: Part, b: Part) -> int | None:
        """The one group in which two parts differ, -1 if there is none, None if there are several."""
        different = [g for g in {*a.factors, *b.factors} if a.factors.get(g) is not b.factors.get(g)]
        return None if len(different) > 1 else different[0] if different else -1

    # ---- Gaussian forms -------------------------------------------------------------------------------
    def _form(self, name: sp.Symbol, step: int, sequence: int) -> Array:
        key = (name, step, sequence)
        if key not in self.forms:
            variance = self._covariance(key, key)
            group = self.groups[name]
            rule = self.rules[group] if group in self.rules else self.rules.setdefault(group, self.rule(group))
            row: list[float] = []
            for other, known in rule.rows:
                left = self._covariance(key, other) - float(np.dot(row, known[: len(row)]))
                row.append(left / known[-1] if known[-1] else 0.0)
            rest = variance - float(np.dot(row, row))
            row.append(math.sqrt(rest) if rest > SINGULAR * variance else 0.0)
            self.forms[key] = self._placed(rule, row, name)
            rule.rows.append((key, row))
        return self.forms[key]

    def _placed(self, rule: Points, row: list[float], name: sp.Symbol) -> Array:
        """mean + sum of coefficient x variable; only forms that bring noise have a variable."""
        noisy = [known[-1] != 0 for _, known in rule.rows] + [row[-1] != 0]
        coefficients = [c for c, keep in zip(row, noisy, strict=True) if keep]
        total = self.xp.asarray(self.layout.forms[name].mean)
        for k, c in enumerate(coefficients):
            total = total + c * rule.variable(k) if c else total
        return total

    def _covariance(self, first: Any, second: Any) -> float:
        forms = self.layout.forms
        with within_step(self.layout.program, max(first[1], second[1])) as finite:
            total = sum(
                a * b * self._law(law, first[1:], second[1:])
                for c, a in forms[first[0]].weights
                for d, b in forms[second[0]].weights
                if (law := self.layout.laws.get((c, d))) is not None
            )
            return float(finite(total))
