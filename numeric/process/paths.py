"""Sample paths of a derived process: every Gaussian form by conditioning on the earlier ones, every state by its map.

Covariances of products are means over the paths themselves, so the law is found step by step together with them. All
paths, sequences and earlier steps meet in one matrix product a form and step, and one a moment and step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from wideproof.derive.expectation.mehler_series import correlated, truncated
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.program import Previous
from wideproof.numeric.core.activations import activation_function, slope_from_value
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.process.block_cholesky import Revealed
from wideproof.numeric.process.factors import ONE, Factors, LongSeries
from wideproof.numeric.process.layout import Law, Layout, Pair, evaluate

Noise = Callable[[int, int], Array]
"""Gives the next so many independent variables of mean 0 and variance 1 for a group of forms, (N, paths)."""


@dataclass
class Group:
    """The forms of a group revealed so far, as (form, step) in order, their factor, and the noise that drives them.

    Shapes: noise (N x steps x forms, M).
    """

    noise: Array
    revealed: Revealed = field(default_factory=Revealed)
    order: list[tuple[sp.Symbol, int]] = field(default_factory=list)


@dataclass
class Column:
    """Moments of a process at all steps, from -1 on, with another at one step, and which are known.

    Shapes: values (T + 1, N, N).
    """

    values: Array
    done: set[int]


@dataclass
class Paths:
    """One set of M paths of a process for N sequences of T steps, each path driven by the same products.

    Backward states are zero from the end of their sequence on.
    Shapes: X (N, T, n_x), ends (N,); values (N, M).  Units: those of the recursion.  Error: that of means over M paths.
    Source: yang2020tensor2, master theorem, through derive.calculus.gaussian_process.
    """

    layout: Layout
    factors: Factors
    xp: Any
    X: Array
    noise: Noise
    count: int
    ends: Array
    known: dict[sp.Expr, Array] = field(default_factory=dict)
    done: set[tuple[sp.Expr, int]] = field(default_factory=set)
    groups: dict[int, Group] = field(default_factory=dict)
    now: dict[Any, Array] = field(default_factory=dict)
    variances: dict[tuple[sp.Symbol, int], Array] = field(default_factory=dict)
    series: dict[tuple[Phi, int], Array] = field(default_factory=dict)
    columns: dict[Any, Column] = field(default_factory=dict)

    def run(self) -> None:
        """Take all steps; what only one step needs goes with it."""
        for step in range(self.X.shape[1]):
            for state in [x for x in self.layout.bodies if x in self.factors.used]:
                self.value(state, self.X.shape[1] - 1 - step if self.layout.backward(state) else step)
            self.now.clear()

    # ---- processes ------------------------------------------------------------------------------------
    def value(self, process: sp.Expr, step: int) -> Array:
        """A process at a step, as the update of that step reads it.  Shapes: (N, M)."""
        process, step = self._updated(process, step)
        steps = self._steps(process)
        if (process, step) not in self.done:
            steps[step + 1, ...] = self._value(process, step)
            self.done.add((process, step))
        return steps[step + 1, ...]

    def _updated(self, process: sp.Expr, step: int) -> tuple[sp.Expr, int]:
        """A state before its update is the updated one of another step."""
        term = self.layout.program.table.get(process)
        if isinstance(term, Previous):
            return self.layout.program.updated[term.state], step + term.state.back
        return process, step

    def _steps(self, process: sp.Expr) -> Array:
        """Where a process is kept: the start, all steps, and what is beyond the end.  Shapes: (T + 2, N, M)."""
        if process not in self.known:
            N, T, _ = self.X.shape
            self.known[process] = self.xp.empty((T + 2, N, self.count))
            if process in self.layout.bodies:
                outside = T if self.layout.backward(process) else -1
                self.known[process][outside + 1, ...] = self._initial(process)
                self.done.add((process, outside))
        return self.known[process]

    def _value(self, process: sp.Expr, step: int) -> Array:
        body = self.layout.bodies.get(process)
        expr = self.layout.in_forms(process) if body is None else body
        found = evaluate(expr, lambda symbol: self._read(symbol, step), lambda phi, of: self._applied(phi, of, step))
        return found * (step < self.ends)[:, None] if self.layout.backward(process) else found

    def _read(self, symbol: sp.Symbol, step: int) -> Array:
        return self._form(symbol, step) if symbol in self.layout.forms else self.value(symbol, step)

    def _applied(self, phi: Phi, of: Callable[[Phi], Array], step: int) -> Array:
        """An activation at a step, once; its slope by its value where that is known to give it."""
        if (phi, step) not in self.now:
            name, order, argument = phi.args
            slope = slope_from_value(str(name)) if order == 1 else None
            self.now[phi, step] = slope(self._applied(Phi(name, 0, argument), of, step)) if slope else of(phi)
        return self.now[phi, step]

    def _initial(self, state: sp.Expr) -> Array:
        within, between = self.layout.start(state)
        N = self.X.shape[0]
        total = self.xp.zeros((N, self.count))
        for variance, draws in ((between, 1), (within - between, N)):
            if variance > 0:
                total = total + variance**0.5 * self.noise(START, draws)
        return total

    # ---- Gaussian forms -------------------------------------------------------------------------------
    def _form(self, name: sp.Symbol, step: int) -> Array:
        if (name, step) not in self.now:
            group = self._group(self.layout.groups[name])
            row = self._row(group, name, step)
            self.now[name, step] = self.layout.forms[name].mean + row @ group.noise[: row.shape[1], :]
        return self.now[name, step]

    def _group(self, number: int) -> Group:
        if number not in self.groups:
            N, T, _ = self.X.shape
            forms = sum(g == number for g in self.layout.groups.values())
            self.groups[number] = Group(self.xp.empty((N * T * forms, self.count)))
        return self.groups[number]

    def _row(self, group: Group, name: sp.Symbol, step: int) -> Array:
        """How a form is made of the noise of its group, which grows by N variables the first time."""
        N = self.X.shape[0]
        if (name, step) not in group.order:
            own = self._covariances(name, [step], name, step)[0, ...]
            cross = self._cross(group, name, step)
            while cross.shape[0] < group.revealed.size:  # what it reads has revealed forms of this group
                cross = self._cross(group, name, step)
            row = group.revealed.append(cross, own)
            size = group.revealed.size
            group.noise[size - N : size, :] = self.noise(self.layout.groups[name], N)
            group.order.append((name, step))
            return row
        start = N * group.order.index((name, step))
        return group.revealed.factor[start : start + N, : start + N]

    def _cross(self, group: Group, name: sp.Symbol, step: int) -> Array:
        """Covariances of the revealed forms of a group with another.  Shapes: (k, N)."""
        N = self.X.shape[0]
        found = self.xp.empty((len(group.order), N, N))
        for other in {form: None for form, _ in group.order}:
            places = [i for i, (form, _) in enumerate(group.order) if form == other]
            block = self._covariances(other, [group.order[i][1] for i in places], name, step)
            for i, part in zip(places, range(len(places)), strict=True):
                found[i, ...] = block[part, ...]
        return self.xp.reshape(found, (-1, N))

    def _covariances(self, first: sp.Symbol, steps: Sequence[int], second: sp.Symbol, step: int) -> Array:
        """Cov of a form at several steps with one at a step, all pairs of sequences.  Shapes: (S, N, N)."""
        N = self.X.shape[0]
        total = self.xp.zeros((len(steps), N, N))
        for c, weight in self.layout.forms[first].weights:
            for d, factor in self.layout.forms[second].weights:
                law = self.layout.laws.get((c, d))
                if law is not None:
                    total = total + weight * factor * self.law(law, steps, step)
        return total

    def law(self, law: Law, steps: Sequence[int], step: int) -> Array:
        """The value of a law between several steps and one.  Shapes: (S, N, N)."""
        xp, N = self.xp, self.X.shape[0]
        if law.redrawn:
            found = xp.zeros((len(steps), N, N))
            for i, other in enumerate(steps):
                if other == step:
                    found[i, ...] = self._tied(law, [other], step)[0, ...]
            return found
        return self._tied(law, steps, step)

    def _tied(self, law: Law, steps: Sequence[int], step: int) -> Array:
        xp, N = self.xp, self.X.shape[0]
        if law.gram:
            earlier = xp.stack([self.X[:, other, :] for other in steps])
            return law.weight * (earlier @ self.X[:, step, :].T)
        if law.moment is None:
            return xp.full((len(steps), N, N), law.weight)
        return law.weight * self._moments(*law.moment, steps, step)

    # ---- moments --------------------------------------------------------------------------------------
    def _moments(self, u: sp.Expr, v: sp.Expr, steps: Sequence[int], step: int) -> Array:
        """E[u v] of u at several steps and v at one, in independent factors.  Shapes: (S, N, N)."""
        products = self.factors.split(u, v)
        if products is None:
            return self._sampled(u, v, steps, step)
        shift, at = self._shift(u), step + self._shift(v)
        column = self._column(u, v, at)
        moved = [other + shift for other in steps]
        missing = [other for other in moved if other not in column.done] if at >= 0 else []
        if missing:
            found = sum(weight * self._product(pairs, missing, at) for weight, pairs in products)
            for i, other in enumerate(missing):
                column.values[other + 1, ...] = found[i, ...]
                column.done.add(other)
        return _at(self.xp, column.values, moved)

    def _column(self, u: sp.Expr, v: sp.Expr, at: int) -> Column:
        """Where E[u v] of all steps with one is kept; zero at the start.  Shapes: (T + 1, N, N)."""
        key = (u, v, at)
        if key not in self.columns:
            N, T, _ = self.X.shape
            self.columns[key] = Column(self.xp.zeros((T + 1, N, N)), {-1})
        return self.columns[key]

    def _shift(self, process: sp.Expr) -> int:
        """By how many steps a process that is read through its update lags behind."""
        return self._updated(process, 0)[1] if self.factors.expands(process) else 0

    def _product(self, pairs: Sequence[Pair], steps: Sequence[int], step: int) -> Array:
        total: Any = 1.0
        for a, b in pairs:
            total = total * self._factor(a, b, steps, step)
        return total

    def _factor(self, a: sp.Expr, b: sp.Expr, steps: Sequence[int], step: int) -> Array:
        """E[a b] of one factor; a number where neither varies."""
        if a == b == ONE:
            return 1.0
        if self.factors.exact(a, b):
            if a in self.layout.forms:
                means = self.layout.forms[a].mean * self.layout.forms[b].mean
                return self._covariances(a, steps, b, step) + means
            return self._by_series(a, b, steps, step)
        return self._sampled(a, b, steps, step)

    def _by_series(self, a: Phi, b: Phi, steps: Sequence[int], step: int) -> Array:
        """E[a b] of two activations of a form each by Mehler's series; LongSeries where that is too long."""
        left, right = [self._coefficients(a, other) for other in steps], self._coefficients(b, step)
        xp, (first, second) = self.xp, (a.args[2], b.args[2])
        deviations = xp.stack([self._variance(first, other) for other in steps]) ** 0.5
        scale = deviations[:, :, None] * self._variance(second, step) ** 0.5
        correlation = self._covariances(first, steps, second, step) / xp.where(scale > 0, scale, xp.ones_like(scale))
        return correlated(xp, xp.stack(left), right, correlation)

    def _coefficients(self, phi: Phi, step: int) -> Array:
        """The Hermite coefficients of an activation of a form at a step.  Shapes: (K, N)."""
        if (phi, step) not in self.series:
            name, order, form = phi.args
            function, mean = activation_function(str(name), int(order)), self.layout.forms[form].mean
            variance = self._variance(form, step)
            found = truncated(self.xp, function, mean + 0.0 * variance, variance)
            if found is None:
                raise LongSeries(phi)
            self.series[phi, step] = found
        return self.series[phi, step]

    def _variance(self, form: sp.Symbol, step: int) -> Array:
        if (form, step) not in self.variances:
            own = self._covariances(form, [step], form, step)[0, ...]
            self.variances[form, step] = self.xp.linalg.diagonal(own)
        return self.variances[form, step]

    def _sampled(self, u: sp.Expr, v: sp.Expr, steps: Sequence[int], step: int) -> Array:
        """The means over the paths of u at several steps times v at one.  Shapes: (S, N, N)."""
        (u, shift), (v, at) = self._updated(u, 0), self._updated(v, step)
        key = (u, v, at, tuple(other + shift for other in steps))
        if key not in self.now:
            left, right = self._stacked(u, key[3]), self.value(v, at)
            shape = (len(steps), self.X.shape[0], right.shape[0])
            product = self.xp.reshape(left, (-1, self.count)) @ right.T
            self.now[key] = self.xp.reshape(product, shape) / self.count
        return self.now[key]

    def _stacked(self, process: sp.Expr, steps: Sequence[int]) -> Array:
        """A process at several steps; without a copy where they follow one another."""
        for step in steps:
            self.value(process, step)
        return _at(self.xp, self.known[process], steps)

    # ---- the kernel -----------------------------------------------------------------------------------
    def kernel(self, weights: Array) -> Array:
        """The kernel of these paths, read out by the weights of the steps.

        Shapes: weights (N, r, T) -> (N, r, N, r).  Units: output^2.  Error: of the paths.
        Source: derive.calculus.gaussian_process.
        """
        N, rows, _ = weights.shape
        total = self.xp.zeros((N * rows, N * rows))
        for law in self.layout.read:
            if law.moment and self.factors.split(*law.moment) is not None:
                total = total + self._by_steps(law, weights)
            elif law.redrawn:
                for step in self._read_steps(weights):
                    total = total + self._read_out(law, weights[:, :, step : step + 1], [step])
            else:
                total = total + self._read_out(law, weights, range(weights.shape[2]))
        return self.xp.reshape(total, (N, rows, N, rows))

    def _by_steps(self, law: Law, weights: Array) -> Array:
        """The same of a law in factors, step by step.  Shapes: (N r, N r)."""
        xp, steps, total = self.xp, self._read_steps(weights), 0.0
        left = xp.stack([weights[:, :, step] for step in steps], axis=2)
        for step in steps:
            found = left @ xp.permute_dims(self.law(law, steps, step), (1, 0, 2))
            total = total + found[:, :, :, None] * weights[None, None, :, :, step]
        return xp.reshape(total, (weights.shape[0] * weights.shape[1],) * 2)

    def _read_steps(self, weights: Array) -> list[int]:
        return [i for i in range(weights.shape[2]) if bool(self.xp.any(weights[:, :, i] != 0))]

    def _read_out(self, law: Law, weights: Array, steps: Sequence[int]) -> Array:
        """weights x law x weights over some steps.  Shapes: weights (N, r, S) -> (N r, N r)."""
        if law.gram:
            left = right = self._weighted(weights, self.X[:, steps[0] : steps[-1] + 1, :])
        elif law.moment is None:
            left = right = self._weighted(weights, self.xp.ones((self.X.shape[0], len(steps), 1)))
        else:
            left, right = (self._weighted(weights, self._in_time(u, steps)) for u in law.moment)
            return law.weight / self.count * (left @ right.T)
        return law.weight * (left @ right.T)

    def _in_time(self, process: sp.Expr, steps: Sequence[int]) -> Array:
        """A process over steps.  Shapes: (N, S, M)."""
        process, shift = self._updated(process, 0)
        return self.xp.permute_dims(self._stacked(process, [step + shift for step in steps]), (1, 0, 2))

    def _weighted(self, weights: Array, values: Array) -> Array:
        """Sums over steps.  Shapes: (N, r, S), (N, S, m) -> (N r, m)."""
        return self.xp.reshape(weights @ values, (weights.shape[0] * weights.shape[1], -1))


START = -1
"""The group of the random starts of states."""


def _at(xp: Any, values: Array, steps: Sequence[int]) -> Array:
    """What is kept of several steps; without a copy where they follow one another."""
    if list(steps) == list(range(steps[0], steps[-1] + 1)):
        return values[steps[0] + 1 : steps[-1] + 2, ...]
    return xp.stack([values[step + 1, ...] for step in steps])
