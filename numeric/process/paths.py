"""Sample paths of a derived process: every Gaussian form by conditioning on the earlier ones, every state by its map.

Covariances of products are means over the paths themselves, so the law is found step by step together with them. All
paths, sequences and earlier steps meet in one matrix product a form and step, and one a moment and step. Replicates,
each with paths and covariances of its own, take their steps together: they share nothing but the calls.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Protocol

import numpy as np
import sympy as sp

from wideproof.derive.expectation.mehler_series import PLACES, Truncated, correlated
from wideproof.derive.expectation.tables.coefficient_tables import tabulated
from wideproof.derive.expectation.tables.compiled_sweep import loop_of
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.program import Previous
from wideproof.numeric.core.activations import activation_function
from wideproof.numeric.core.arrays import Array, Host
from wideproof.numeric.process.block_cholesky import Revealed
from wideproof.numeric.process.digital_nets import Walsh, walsh_sums
from wideproof.numeric.process.factors import ONE, Factors, LongSeries
from wideproof.numeric.process.given_paths import GivenPaths, Room
from wideproof.numeric.process.layout import CovarianceTerm, Layout, Pair, by_its_value, evaluate, within_step


class Noise(Protocol):
    """Independent variables of mean 0 and variance 1 for groups of forms; of the linear ones, signs."""

    linear: set[int]

    def __call__(self, group: int, out: Host) -> None:
        """Fill an array with the next variables of a group.  Shapes: (R, count, paths)."""

    def signs(self, count: int) -> Walsh:
        """The next variables, where they are signs.  Shapes: (R, count)."""


class BeyondSingle(Exception):
    """A form whose standard deviation is no number for single precision."""


@dataclass
class Group:
    """The forms of a group revealed so far, as (form, step) in order, and their factor."""

    revealed: Revealed
    order: list[tuple[sp.Symbol, int]] = field(default_factory=list)


@dataclass
class Column:
    """Moments of a process at all steps, from -1 on, with another at one step, and which are known.

    Shapes: values (R, T + 2, N, N).
    """

    values: Array
    done: set[int]
    place: int


@dataclass
class Paths:
    """R sets of M paths of a process for N sequences of T steps, each path driven by the same products.

    Backward states are zero from the end of their sequence on. `passing` says that moments with a step are
    asked at the next two only.
    Shapes: X (N, T, n_x), ends (N,); values (R, N, M).  Units: those of the recursion.
    Error: that of means over M paths, or 1e-6 where these are in single precision.
    Source: yang2020tensor2, master theorem, through derive.calculus.gaussian_process.
    """

    layout: Layout
    factors: Factors
    xp: Any
    X: Array
    noise: Noise
    replicates: int
    count: int
    ends: Array
    passing: bool
    room: Room
    kind: Any
    known: dict[sp.Expr, Array] = field(default_factory=dict)
    done: set[tuple[sp.Expr, int]] = field(default_factory=set)
    groups: dict[int, Group] = field(default_factory=dict)
    lags: dict[sp.Expr, tuple[sp.Expr, int]] = field(default_factory=dict)
    drawn: dict[int, int] = field(default_factory=dict)
    signs: dict[int, Walsh] = field(default_factory=dict)
    now: dict[Any, Array] = field(default_factory=dict)
    in_use: Counter[sp.Symbol] = field(default_factory=Counter)
    variances: dict[tuple[sp.Symbol, int], Array] = field(default_factory=dict)
    inverses: dict[tuple[sp.Symbol, int], Array] = field(default_factory=dict)
    series: dict[Phi, Truncated] = field(default_factory=dict)
    orders: dict[tuple[Phi, int], int] = field(default_factory=dict)
    columns: dict[Any, dict[int, Column]] = field(default_factory=dict)
    coefficients: dict[tuple[sp.Expr, int], Array] = field(default_factory=dict)
    given: GivenPaths = field(init=False)

    def __post_init__(self) -> None:
        sizes = self.replicates, *self.X.shape[:2], self.count
        self.given = GivenPaths(self.factors.integration, self.room, self.kind, sizes, self._coefficient, self._factor)

    def run(self) -> None:
        """Take all steps; what only one step needs goes with it."""
        for step in range(self.X.shape[1]):
            for state in [x for x in self.layout.bodies if x in self.factors.used]:
                self.value(state, self.X.shape[1] - 1 - step if self.layout.backward(state) else step)
            self._integrate(step)
            self.now.clear()
            self.in_use.clear()
            self._pass(step)
        self.given.end()
        self.coefficients.clear()

    def _pass(self, step: int) -> None:
        """Leave behind the moments with steps that the next one does not ask for."""
        for columns in self.columns.values() if self.passing else ():
            for at in [at for at in columns if at < step - 1]:
                del columns[at]

    def _integrate(self, step: int) -> None:
        """The moments given the paths of one step with all up to it, the earlier ones first."""
        integration = self.factors.integration
        for coefficient in integration.coefficients:
            self._coefficient(coefficient, step)
        if not integration.pairs:
            return
        self.given.begin(step)
        pairs = dict.fromkeys((self._updated(u, 0)[0], self._updated(v, 0)[0]) for u, v in integration.pairs)
        with within_step(self.layout.program, step):
            for earlier in range(step + 1):
                self.given.find(list(pairs), earlier, step)
            for u, v in pairs:
                self._given(u, v, range(step + 1), step)

    def _coefficient(self, expr: sp.Expr, step: int) -> Array:
        """What paths give at a step; a number where it is one.  Shapes: (R, N, M)."""
        if expr.is_Number:
            return float(expr)
        if (expr, step) not in self.coefficients:
            self.coefficients[expr, step] = evaluate(
                expr, lambda symbol: self._read(symbol, step), lambda phi, of: self._applied(phi, of, step)
            )
        return self.coefficients[expr, step]

    # ---- processes ------------------------------------------------------------------------------------
    def value(self, process: sp.Expr, step: int) -> Array:
        """A process at a step, as the update of that step reads it.  Shapes: (R, N, M)."""
        process, step = self._updated(process, step)
        steps = self._steps(process)
        if (process, step) not in self.done:
            with within_step(self.layout.program, step):
                steps[:, step + 1, ...] = self._value(process, step)
            self.done.add((process, step))
        return steps[:, step + 1, ...]

    def _updated(self, process: sp.Expr, step: int) -> tuple[sp.Expr, int]:
        """A state before its update is the updated one of another step."""
        if process not in self.lags:
            term = self.layout.program.table.get(process)
            known = (self.layout.program.updated[term.state], term.state.back) if isinstance(term, Previous) else None
            self.lags[process] = known or (process, 0)
        after, lag = self.lags[process]
        return after, step + lag

    def _steps(self, process: sp.Expr) -> Array:
        """Where a process is kept: the start, all steps, and what is beyond the end.  Shapes: (R, T + 2, N, M)."""
        if process not in self.known:
            N, T, _ = self.X.shape
            self.known[process] = self.room(process, (self.replicates, T + 2, N, self.count), self.kind)
            if process in self.layout.bodies:
                outside = T if self.layout.backward(process) else -1
                self.known[process][:, outside + 1, ...] = self._initial(process)
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
            found = by_its_value(phi)
            self.now[phi, step] = found[0](self._applied(found[1], of, step)) if found else of(phi)
        return self.now[phi, step]

    def _initial(self, state: sp.Expr) -> Array:
        within, between = self.layout.start(state)
        N = self.X.shape[0]
        total = self.xp.zeros((self.replicates, N, self.count), dtype=self.kind)
        for variance, draws in ((between, 1), (within - between, N)):
            if variance > 0:
                drawn = np.empty((self.replicates, draws, self.count))
                self.noise(START, drawn)
                total = total + self.xp.astype(variance**0.5 * self.xp.asarray(drawn), self.kind)
        return total

    # ---- Gaussian forms -------------------------------------------------------------------------------
    def _form(self, name: sp.Symbol, step: int) -> Array:
        if (name, step) not in self.now:
            key = "row", self.factors.twins[name], step
            if key not in self.now:
                self.now[key] = self.xp.astype(self._row(*key[1:]), self.kind)
            row, shape = self.now[key], (self.replicates, self.X.shape[0], self.count)
            held = self.room(("form", name, self.in_use[name]), shape, self.kind)
            self.in_use[name] += 1
            value = self._driven(self.layout.groups[name], row, held)
            if mean := self.layout.forms[name].mean:
                value += mean
            self.now[name, step] = value
        return self.now[name, step]

    def _driven(self, number: int, row: Array, out: Array) -> Array:
        """A row of a factor times the variables of its group of forms; where these are signs, by their transform."""
        if not isinstance(out, np.ndarray):
            out[...] = row @ self._noise(number, row.shape[2])
            return out
        loop = loop_of(walsh_sums) if number in self.noise.linear else None
        if loop is None:
            return np.matmul(row, self._noise(number, row.shape[2]), out=out)
        loop(row, *self._signs(number, row.shape[2]), out)
        return out

    def _signs(self, number: int, count: int) -> Walsh:
        """At least `count` variables of a group of forms that signs drive, drawn when first asked for."""
        while number not in self.signs or self.signs[number].functions.shape[1] < count:
            known, more = self.signs.get(number), self.noise.signs(self.X.shape[0])
            self.signs[number] = more if known is None else known.with_(more)
        return self.signs[number]

    def _noise(self, number: int, count: int) -> Array:
        """The first `count` variables of a group of forms, drawn when first asked for.  Shapes: (R, count, M)."""
        values = self.room(("noise", number), (self.replicates, self._most(number), self.count), self.kind)
        have = self.drawn.get(number, 0)
        while have < count:
            end = self.drawn[number] = have + self.X.shape[0]
            part = values[:, have:end, :]
            drawn = part if isinstance(part, np.ndarray) else np.empty(part.shape)
            self.noise(number, drawn)
            if drawn is not part:
                part[...] = self.xp.asarray(drawn)
            have = end
        return values[:, :count, :]

    def _most(self, number: int) -> int:
        """How many variables a group of forms may take."""
        N, T, _ = self.X.shape
        return int(N * T * sum(g == number for g in self.layout.groups.values()))

    def _row(self, name: sp.Symbol, step: int) -> Array:
        """How a form is made of the noise of its group, which grows by N variables the first time."""
        N, number = self.X.shape[0], self.layout.groups[name]
        if number not in self.groups:
            shape = (self.replicates, self._most(number), self._most(number))
            self.groups[number] = Group(Revealed(self.room(("factor", number), shape, self.xp.float64)))
        group = self.groups[number]
        if (name, step) not in group.order:
            own = self._representable(self._variances(name, step, [at for form, at in group.order if form == name]))
            cross = self._cross(group, name, step)
            while cross.shape[1] < group.revealed.size:  # what it reads has revealed forms of this group
                cross = self._cross(group, name, step)
            row = group.revealed.append(cross, own)
            group.order.append((name, step))
            return row
        start = N * group.order.index((name, step))
        return group.revealed.factor[:, start : start + N, : start + N]

    def _representable(self, covariance: Array) -> Array:
        """The same, BeyondSingle where paths are in single precision and its numbers are not."""
        if self.kind != self.xp.float64:
            variances = self.xp.linalg.diagonal(covariance)
            inside = (variances < LARGEST) & ((variances > 1.0 / LARGEST) | (variances <= 0.0))
            if not bool(self.xp.all(inside)):
                raise BeyondSingle
        return covariance

    def _cross(self, group: Group, name: sp.Symbol, step: int) -> Array:
        """Covariances of the revealed forms of a group with another.  Shapes: (R, k, N)."""
        N = self.X.shape[0]
        found = self.xp.empty((self.replicates, len(group.order), N, N))
        for other in {form: None for form, _ in group.order}:
            places = [i for i, (form, _) in enumerate(group.order) if form == other]
            block = self._covariances(other, [group.order[i][1] for i in places], name, step)
            for i, part in zip(places, range(len(places)), strict=True):
                found[:, i, ...] = block[:, part, ...]
        return self.xp.reshape(found, (self.replicates, -1, N))

    def _variances(self, form: sp.Symbol, step: int, earlier: Sequence[int]) -> Array:
        """Covariances of a form at a step with itself; those with earlier steps are found with them, to be kept."""
        steps = [*earlier, step] if earlier and earlier[-1] == step - 1 else [step]
        return self._covariances(form, steps, form, step)[:, -1, ...]

    def _covariances(self, first: sp.Symbol, steps: Sequence[int], second: sp.Symbol, step: int) -> Array:
        """Cov of a form at several steps with one at a step, all pairs of sequences, kept where steps follow on.

        Shapes: (R, S, N, N).
        """
        key = "covariance", self.factors.twins[first], self.factors.twins[second], step
        start, found = self.now.get(key, (0, None))
        if not _follow(steps):
            return self._by_laws(first, steps, second, step)
        if found is None or not start <= steps[0] <= steps[-1] < start + found.shape[1]:
            start, found = self.now[key] = steps[0], self._by_laws(first, steps, second, step)
        return found[:, steps[0] - start : steps[-1] + 1 - start, ...]

    def _by_laws(self, first: sp.Symbol, steps: Sequence[int], second: sp.Symbol, step: int) -> Array:
        fixed, total = 0.0, self.xp.zeros((self.replicates, len(steps), *self.X.shape[:1] * 2))
        with within_step(self.layout.program, max(step, *steps)) as finite:
            for law in self.factors.covariance(first, second):
                if law.redrawn or law.moment:
                    total += self.law(law, steps, step)
                else:
                    fixed = fixed + self.law(law, steps, step)
            total += fixed
            return finite(total)

    def law(self, law: CovarianceTerm, steps: Sequence[int], step: int) -> Array:
        """The value of a law between several steps and one.

        Shapes: (R, S, N, N), or (1, S, N, N) where all replicates have the same.
        """
        xp, N = self.xp, self.X.shape[0]
        if law.redrawn:
            found = xp.zeros((self.replicates, len(steps), N, N))
            for i, other in enumerate(steps):
                if other == step:
                    found[:, i, ...] = self._tied(law, [other], step)[:, 0, ...]
            return found
        return self._tied(law, steps, step)

    def _tied(self, law: CovarianceTerm, steps: Sequence[int], step: int) -> Array:
        xp, N = self.xp, self.X.shape[0]
        if law.gram:
            earlier = xp.stack([self.X[:, other, :] for other in steps])
            return law.weight * (earlier @ self.X[:, step, :].T)[None, ...]
        if law.moment is None:
            return xp.full((1, len(steps), N, N), law.weight)
        return _times(law.weight, self._moments(*law.moment, steps, step))

    # ---- moments --------------------------------------------------------------------------------------
    def _moments(self, u: sp.Expr, v: sp.Expr, steps: Sequence[int], step: int) -> Array:
        """E[u v] of u at several steps and v at one, in independent factors.  Shapes: (R, S, N, N)."""
        products = self.factors.split(u, v)
        if products is None:
            return self._sampled(u, v, steps, step)
        shift, at = self._shift(u), step + self._shift(v)
        pair, zero = (self.factors.updated(u), self.factors.updated(v)), {-1} if at >= 0 else range(-1, self.X.shape[1])
        column = self._column(pair, at, zero)

        def found(missing: Sequence[int]) -> Array:
            terms = (_times(weight, self._product(pairs, missing, at)) for weight, pairs in products)
            return reduce(operator.add, terms) if products else 0.0

        return self._filled(column, [other + shift for other in steps], found)

    def _column(self, key: Any, at: int, zero: Iterable[int] = ()) -> Column:
        """Where E[u v] of all steps with one is kept; zero at some.  Shapes: (R, T + 2, N, N)."""
        columns = self.columns.setdefault(key, {})
        if at not in columns:
            N, T, _ = self.X.shape
            place = min({*range(len(columns) + 1)} - {column.place for column in columns.values()})
            values = self.room((key, place), (self.replicates, T + 2, N, N), self.xp.float64)
            for step in zero:
                values[:, step + 1, ...] = 0.0
            columns[at] = Column(values, set(zero), place)
        return columns[at]

    def _filled(self, column: Column, steps: Sequence[int], found: Callable[[Sequence[int]], Array]) -> Array:
        """The moments of some steps, those that are missing found.  Shapes: (R, S, N, N)."""
        missing = [step for step in steps if step not in column.done]
        if missing:
            values = found(missing)
            if _follow(missing):
                column.values[:, missing[0] + 1 : missing[-1] + 2, ...] = values
            else:
                for i, step in enumerate(missing):
                    column.values[:, step + 1, ...] = values[:, i, ...]
            column.done.update(missing)
        return _at(self.xp, column.values, steps)

    def _shift(self, process: sp.Expr) -> int:
        """By how many steps a process that is read through its update lags behind."""
        return self._updated(process, 0)[1] if self.factors.expands(process) else 0

    def _product(self, pairs: Sequence[Pair], steps: Sequence[int], step: int) -> Array:
        return reduce(operator.mul, (self._factor(a, b, steps, step) for a, b in pairs))

    def _factor(self, a: sp.Expr, b: sp.Expr, steps: Sequence[int], step: int) -> Array:
        """E[a b] of one factor; a number where neither varies."""
        if a == b == ONE:
            return 1.0
        if self.factors.exact(a, b):
            if a in self.layout.forms:
                means = self.layout.forms[a].mean * self.layout.forms[b].mean
                return self._covariances(a, steps, b, step) + means
            key = (a, b, step, steps[0], steps[-1], len(steps))
            if key not in self.now:
                self.now[key] = self._by_series(a, b, steps, step)
            return self.now[key]
        return self._sampled(a, b, steps, step)

    def _by_series(self, a: Phi, b: Phi, steps: Sequence[int], step: int) -> Array:
        """E[a b] of two activations of a form each by Mehler's series; LongSeries where that is too long."""
        left, right = self._coefficients(a, steps), self._coefficients(b, [step])
        forms = [self.factors.twins[x.args[2]] for x in (a, b)]
        key = ("correlation", *forms, step, steps[0], steps[-1], len(steps))
        if key not in self.now:
            self.now[key] = self._correlations(a.args[2], steps, b.args[2], step)
        last = Truncated(right.coefficients[:, 0, ...], right.beyond[:, 0, ...], right.parities)
        return correlated(self.xp, left, last, self.now[key])

    def _correlations(self, first: sp.Symbol, steps: Sequence[int], second: sp.Symbol, step: int) -> Array:
        """Correlations of a form at several steps with one at a step.  Shapes: (R, S, N, N)."""
        inverses = [self._inverse_deviation(first, other)[:, None, :, None] for other in steps]
        scale = self._inverse_deviation(second, step)[:, None, None, :]
        return self._covariances(first, steps, second, step) * self.xp.concat(inverses, axis=1) * scale

    def _inverse_deviation(self, form: sp.Symbol, step: int) -> Array:
        """One over the standard deviation of a form at a step; 1 where that is zero.  Shapes: (R, N)."""
        key = self.factors.twins[form], step
        if key not in self.inverses:
            variance = self._variance(form, step)
            self.inverses[key] = self.xp.where(variance > 0, variance, self.xp.ones_like(variance)) ** -0.5
        return self.inverses[key]

    def _coefficients(self, phi: Phi, steps: Sequence[int]) -> Truncated:
        """The Hermite coefficients of an activation of a form at several steps.  Shapes: (R, S, N, K)."""
        for step in steps:
            if (phi, step) not in self.orders:
                self._develop(phi, step)
        most = max(self.orders[phi, step] for step in steps)
        part = slice(steps[0], steps[-1] + 1) if _follow(steps) else list(steps)
        coefficients, beyond, parities = self.series[phi]
        return Truncated(coefficients[:, part, :, :most], beyond[:, part, ...], parities)

    def _develop(self, phi: Phi, step: int) -> None:
        """Keep the series of an activation of a form at a step, in single precision: sums stay semidefinite."""
        name, order, form = phi.args
        function, mean = activation_function(str(name), int(order)), self.layout.forms[form].mean
        found = tabulated(self.xp, function, mean, self._variance(form, step))
        if found is None:
            raise LongSeries(phi)
        most = found.coefficients.shape[-1]
        coefficients, beyond, parities = self._room_of(phi, most)
        coefficients[:, step, :, :most], coefficients[:, step, :, most:] = found.coefficients, 0.0
        self.orders[phi, step] = most
        beyond[:, step, ...] = found.beyond
        self.series[phi] = Truncated(coefficients, beyond, parities | found.parities)

    def _room_of(self, phi: Phi, orders: int) -> Truncated:
        """Where the series of an activation are kept, for so many orders or more."""
        R, N, T = self.replicates, self.X.shape[0], self.X.shape[1]
        if phi not in self.series:
            kept = self.room((phi, "beyond"), (R, T, N, len(PLACES) + 1), self.xp.float64)
            self.series[phi] = Truncated(self.xp.empty((R, T, N, 0)), kept, frozenset())
        before = self.series[phi].coefficients
        if before.shape[-1] < orders:
            most = self.factors.orders[phi] = max(orders, self.factors.orders.get(phi, 0))
            more = self.room((phi, most), (R, T, N, most), self.xp.float32)
            more[..., : before.shape[-1]], more[..., before.shape[-1] :] = before, 0.0
            self.room.drop((phi, before.shape[-1]))
            self.series[phi] = self.series[phi]._replace(coefficients=more)
        return self.series[phi]

    def _variance(self, form: sp.Symbol, step: int) -> Array:
        form = self.factors.twins[form]
        if (form, step) not in self.variances:
            own = self._variances(form, step, range(step))
            self.variances[form, step] = self.xp.linalg.diagonal(own)
        return self.variances[form, step]

    def _sampled(self, u: sp.Expr, v: sp.Expr, steps: Sequence[int], step: int) -> Array:
        """The means over the paths of u at several steps times v at one.  Shapes: (R, S, N, N)."""
        (u, shift), (v, at) = self._updated(u, 0), self._updated(v, step)
        if self.factors.integration.integrates(u, v):
            return self._given(u, v, [other + shift for other in steps], at)
        N, right = self.X.shape[0], self.value(v, at)

        def product(steps: Sequence[int], kind: Any) -> Array:
            last = self.xp.astype(right, kind, copy=False)
            alone = u == v and steps == [at]
            stacked = last if alone else self.xp.astype(self._stacked(u, steps), kind, copy=False)
            left = self.xp.reshape(stacked, (self.replicates, -1, self.count))
            found = left @ self.xp.matrix_transpose(last)
            return self.xp.reshape(found, (self.replicates, len(steps), N, N)) / self.xp.float64(self.count)

        def found(missing: Sequence[int]) -> Array:
            values = product(missing, self.kind)
            if at in missing and self.kind != self.xp.float64:  # moments of one step: semidefinite to rounding
                values[:, list(missing).index(at), ...] = product([at], self.xp.float64)[:, 0, ...]
            return values

        return self._filled(self._column(("mean", u, v), at), [other + shift for other in steps], found)

    def _given(self, u: sp.Expr, v: sp.Expr, steps: Sequence[int], step: int) -> Array:
        """The same of processes that are integrated given the paths.  Shapes: (R, S, N, N)."""
        xp, N = self.xp, self.X.shape[0]

        def one(other: int) -> Array:
            if other > step:
                return xp.matrix_transpose(self._given(v, u, [step], other)[:, 0, ...])
            return self.given.moment(u, v, other, step)

        def found(missing: Sequence[int]) -> Array:
            return xp.stack([xp.broadcast_to(one(other), (self.replicates, N, N)) for other in missing], axis=1)

        return self._filled(self._column(("mean", u, v), step), steps, found)

    def _stacked(self, process: sp.Expr, steps: Sequence[int]) -> Array:
        """A process at several steps; without a copy where they follow one another."""
        for step in steps:
            self.value(process, step)
        return _at(self.xp, self.known[process], steps)

    # ---- the kernel -----------------------------------------------------------------------------------
    def kernel(self, weights: Array) -> Array:
        """The kernel of each set of paths, read out by the weights of the steps.

        Shapes: weights (N, r, T) -> (R, N, r, N, r).  Units: output^2.  Error: of the paths.
        Source: derive.calculus.gaussian_process.
        """
        N, rows, _ = weights.shape
        total = self.xp.zeros((self.replicates, N * rows, N * rows))
        for law in self.layout.read:
            if law.moment and (self.factors.split(*law.moment) or self.factors.integration.integrates(*law.moment)):
                total = total + self._by_steps(law, weights)
            elif law.redrawn:
                for step in self._read_steps(weights):
                    total = total + self._read_out(law, weights[:, :, step : step + 1], [step])
            else:
                read = self._read_steps(weights)
                total = total + self._read_out(law, weights[:, :, read[0] : read[-1] + 1], range(read[0], read[-1] + 1))
        return self.xp.reshape(total, (self.replicates, N, rows, N, rows))

    def _by_steps(self, law: CovarianceTerm, weights: Array) -> Array:
        """The same of a law in factors, step by step.  Shapes: (R, N r, N r)."""
        xp, steps, total = self.xp, self._read_steps(weights), 0.0
        left = xp.stack([weights[:, :, step] for step in steps], axis=2)
        for step in steps:
            found = left @ xp.permute_dims(self.law(law, steps, step), (0, 2, 1, 3))
            total = total + found[..., None] * weights[None, None, :, :, step]
        return xp.reshape(total, (self.replicates, *(weights.shape[0] * weights.shape[1],) * 2))

    def _read_steps(self, weights: Array) -> list[int]:
        return [i for i in range(weights.shape[2]) if bool(self.xp.any(weights[:, :, i] != 0))]

    def _read_out(self, law: CovarianceTerm, weights: Array, steps: Sequence[int]) -> Array:
        """weights x law x weights over some steps.  Shapes: weights (N, r, S) -> (R, N r, N r), or (1, N r, N r)."""
        if law.gram:
            left = right = self._weighted(weights, self.X[None, :, steps[0] : steps[-1] + 1, :])
        elif law.moment is None:
            left = right = self._weighted(weights, self.xp.ones((1, self.X.shape[0], len(steps), 1)))
        else:
            left, right = (self._weighted(weights, self._in_time(u, steps)) for u in law.moment)
            return law.weight / self.count * (left @ self.xp.matrix_transpose(right))
        return law.weight * (left @ self.xp.matrix_transpose(right))

    def _in_time(self, process: sp.Expr, steps: Sequence[int]) -> Array:
        """A process over steps.  Shapes: (R, N, S, M)."""
        process, shift = self._updated(process, 0)
        return self.xp.permute_dims(self._stacked(process, [step + shift for step in steps]), (0, 2, 1, 3))

    def _weighted(self, weights: Array, values: Array) -> Array:
        """Sums over steps.  Shapes: (N, r, S), (R, N, S, m) -> (R, N r, m)."""
        return self.xp.reshape(weights @ values, (values.shape[0], weights.shape[0] * weights.shape[1], -1))


START = -1
"""The group of the random starts of states."""
LARGEST = 1e24
"""Variances beyond it, or below its reciprocal, are left to double precision: single has squares up to 1e38."""


def _at(xp: Any, values: Array, steps: Sequence[int]) -> Array:
    """What is kept of several steps; without a copy where they follow one another."""
    if _follow(steps):
        return values[:, steps[0] + 1 : steps[-1] + 2, ...]
    return xp.stack([values[:, step + 1, ...] for step in steps], axis=1)


def _times(weight: float, values: Array) -> Array:
    """weight x values, these themselves where it is 1."""
    return values if weight == 1.0 else weight * values


def _follow(steps: Sequence[int]) -> bool:
    """Whether steps follow one another."""
    return list(steps) == [*range(steps[0], steps[0] + len(steps))]
