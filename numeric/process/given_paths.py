"""Moments of integrated processes given the paths of the kept ones, step by step along the updates of the states."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from wideproof.numeric.core.arrays import Array
from wideproof.numeric.process.integration import Combination, Inside, Integration
from wideproof.numeric.process.layout import Pair

Expectations = Callable[[sp.Expr, sp.Expr, Sequence[int], int], Array]
"""E[a b] of a at several steps and b at one, without paths.  Shapes: (R, S, N, N)."""
Known = dict[tuple[Combination, Combination, int, int], Any]


@dataclass
class GivenPaths:
    """E[u_s v_t] given the paths, of one step t and of all s up to it.

    A moment of two states at steps s <= t is made of moments of s and t - 1, those of a state at s with anything else
    of moments of s - 1 and t: the states of the last step, and of one step more at most, are all that is kept.
    Shapes: (R, N, N, M), or (R, N, N, 1) of what no path changes; coefficients (R, N, M).  None is zero.
    Units: of the processes.  Error: rounding of the kind of the paths.  Source: `Integration`.
    """

    integration: Integration
    xp: Any
    kind: Any
    coefficient: Callable[[sp.Expr, int], Array]
    expectations: Expectations
    rows: dict[int, Known] = field(default_factory=dict)
    chains: dict[int, Known] = field(default_factory=dict)
    constants: dict[tuple[Pair, int], Array] = field(default_factory=dict)

    def begin(self, step: int) -> None:
        """Leave behind what steps from `step` on do not read."""
        self.rows = {at: known for at, known in self.rows.items() if at >= step - 2}
        for chain in self.chains.values():
            for key in [key for key in chain if key[-1] < step - 1]:
                del chain[key]
        self.constants = {key: known for key, known in self.constants.items() if key[-1] >= step - 2}

    def end(self) -> None:
        """Leave all behind: what takes the next paths would wait for the collector of circles otherwise."""
        for known in (self.rows, self.chains, self.constants):
            known.clear()

    def moment(self, u: sp.Expr, v: sp.Expr, step: int, at: int) -> Array | None:
        """The mean over the paths of E[u_step v_at].  Shapes: (R, N, N)."""
        total: Any = None
        for left, first in self.integration.read(u):
            for right, second in self.integration.read(v):
                inner = self._sum(first, second, step, at)
                if inner is not None:
                    found = self._mean(self.coefficient(left, step), inner, self.coefficient(right, at))
                    total = found if total is None else total + found
        return total

    def _mean(self, left: Any, inner: Array, right: Any) -> Array:
        """The mean of left x inner x right over the paths; a coefficient that is 1 is a number."""
        xp = self.xp
        if not isinstance(right, float):
            inner = inner * right[:, None, :, :]
        elif right != 1.0:
            inner = inner * right
        count = inner.shape[-1]
        if isinstance(left, float):
            found = inner @ xp.full((count, 1), left, dtype=self.kind)
        else:
            count = left.shape[-1]
            inner = xp.broadcast_to(inner, (*inner.shape[:-1], count))
            found = inner @ left[..., None]
        return xp.astype(found[..., 0], xp.float64) / count

    def _sum(self, first: Combination, second: Combination, step: int, at: int) -> Array | None:
        """The moment of two combinations, their states one by one."""
        total: Any = None
        for a, left in first.parts:
            for b, right in second.parts:
                total = _added(total, self._value(left, right, step, at), a * b)
        return total

    def _value(self, first: Combination, second: Combination, step: int, at: int) -> Array | None:
        """The moment of two combinations, found once; the later one is the second."""
        first, step, second, at = *self._updated(first, step), *self._updated(second, at)
        if step < 0 or at < 0:
            return None
        if step > at or (step == at and first.number > second.number):
            found = self._value(second, first, at, step)
            return None if found is None else self.xp.permute_dims(found, (0, 2, 1, 3))
        known = self._kept(second, step, at)
        if (first, second, step, at) not in known:
            known[first, second, step, at] = self._found(first, second, step, at)
        return known[first, second, step, at]

    def _updated(self, combination: Combination, step: int) -> tuple[Combination, int]:
        """A state before its update is the updated one of the step before."""
        if not combination.lag:
            return combination, step
        return self.integration.combined(((1.0, (combination.state,)),)), step - 1

    def _kept(self, second: Combination, step: int, at: int) -> Known:
        """Where a moment is kept: with the row of its later step, or for one more earlier step only."""
        if second.state is not None:
            return self.rows.setdefault(at, {})
        for old in [s for s in self.chains if s < step - 1]:
            del self.chains[old]
        return self.chains.setdefault(step, {})

    def _found(self, first: Combination, second: Combination, step: int, at: int) -> Array | None:
        """By the update of a state, the second if it is one; else by independence."""
        if second.state is not None:
            return self._expanded(second.state, at, lambda inner: self._sum(first, inner, step, at), 1)
        if first.state is not None:
            return self._expanded(first.state, step, lambda inner: self._sum(inner, second, step, at), 2)
        total: Any = None
        for known, inside in self.integration.products(first, second):
            inner = self._inside(inside, step, at)
            if inner is not None:
                total = _added(total, math.prod((self._constant(pair, step, at) for pair in known), start=inner), 1.0)
        return total

    def _expanded(self, state: sp.Expr, step: int, found: Callable[[Combination], Array | None], axis: int) -> Any:
        """Coefficients times moments of what the update of a state reads."""
        total: Any = None
        for coefficient, inner in self.integration.terms(state):
            value = found(inner)
            if value is not None:
                factor = self.coefficient(coefficient, step)
                if isinstance(factor, float):
                    total = _added(total, value, factor)
                    continue
                product = value * self.xp.expand_dims(factor, axis=axis)
                if total is not None:
                    product += total
                total = product
        return total

    def _inside(self, inside: Sequence[Inside], step: int, at: int) -> Any:
        """A weighted sum of products of moments given the paths; a number where there are none."""
        total: Any = None
        for weight, pairs in inside:
            values: list[Any] = [self._value(a, b, step, at) for a, b in pairs]
            if not any(value is None for value in values):
                total = _added(total, math.prod(values[1:], start=values[0]) if values else 1.0, weight)
        return total

    def _constant(self, pair: Pair, step: int, at: int) -> Array:
        """E[a_step b_at], all earlier steps found at once.  Shapes: (R, N, N, 1)."""
        if step > at:
            return self.xp.permute_dims(self._constant(pair[::-1], at, step), (0, 2, 1, 3))
        if (pair, at) not in self.constants:
            found = self.expectations(*pair, range(at + 1), at)
            self.constants[pair, at] = self.xp.astype(found, self.kind)[..., None]
        return self.constants[pair, at][:, step, ...]


def _added(total: Any, value: Any, weight: float) -> Any:
    """total + weight x value, where None is zero."""
    if value is None:
        return total
    if total is None:
        return value if weight == 1.0 else weight * value
    return total + value if weight == 1.0 else total - value if weight == -1.0 else total + weight * value
