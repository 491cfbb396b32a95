"""Moments of integrated processes given the paths of the kept ones, step by step along the updates of the states."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import chain
from typing import Any, NamedTuple, cast

import sympy as sp

from wideproof.derive.emit.sweeps.moment_programs import CONSTANT, KEPT, Operands, PathMoment, PathProgram, joined, run
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.process.integration import Combination, Inside, Integration
from wideproof.numeric.process.layout import Pair

Expectations = Callable[[sp.Expr, sp.Expr, Sequence[int], int], Array]
"""E[a b] of a at several steps and b at one, without paths.  Shapes: (R, S, N, N)."""
Key = tuple[Combination, Combination, int, int]
Known = dict[Key, PathMoment | None]
LIKE = 4
"""Steps from which on, and distances, pairs of steps are worked out alike."""

MOST_JOINED = 256
"""Joined programs that are kept."""
BACK = 3
"""Earlier steps whose moments with what is no state are kept: so far back a program of an MGU reads."""


@dataclass
class Room:
    """Arrays that one batch of replicates leaves to the next: the first touch of memory costs more than a number."""

    xp: Any
    arrays: dict[Any, Array] = field(default_factory=dict)

    def __call__(self, key: Any, shape: tuple[int, ...], kind: Any) -> Array:
        """An array of a shape and a kind of numbers, its entries whatever they are: the beginning of what is there."""
        count, found = math.prod(shape), self.arrays.get((key, kind))
        if found is None or found.shape[0] < count:
            found = self.arrays[key, kind] = self.xp.empty(count, dtype=kind)
        return self.xp.reshape(found[:count], shape)

    def drop(self, key: Any) -> None:
        """Forget the arrays of a key."""
        self.arrays = {place: array for place, array in self.arrays.items() if place[0] != key}

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(int(array.nbytes) for array in self.arrays.values())


@dataclass
class Slots:
    """Arrays of one shape, of which most are in use together; those given back are the first to be taken again."""

    room: Room
    name: str
    shape: tuple[int, ...]
    kind: Any
    most: int
    arrays: Any = None
    free: list[int] = field(default_factory=list)

    def take(self) -> int:
        """A slot that nothing uses."""
        if not self.free:
            old, had = self.arrays, 0 if self.arrays is None else self.arrays.shape[0]
            self.arrays = self.room((self.name, had), (had + self.most, *self.shape), self.kind)
            if had:
                self.arrays[:had, ...] = old
            self.free = list(range(had, had + self.most))[::-1]
        return self.free.pop()


class Waiting(NamedTuple):
    """A program that is not run yet, the slots of what it reads and keeps, and whose means it takes."""

    program: PathProgram
    slots: tuple[list[int], ...]
    means: list[tuple[sp.Expr, sp.Expr, int, int]]


@dataclass
class GivenPaths:
    """E[u_s v_t] given the paths, of one step t and of all s up to it.

    A moment of two states at steps s <= t is made of moments of s and t - 1, those of a state at s with anything else
    of moments of s - 1 and t: the states of the last step, and of three steps more at most, are all that is kept.
    What is worked out for a pair of steps is a program, the same one for all pairs that are alike. Those of one later
    step wait for each other and are run as one, so that a row stays in the cache.
    Shapes: (R, N, N, M); coefficients (R, N, M).  None is zero.
    Units: of the processes.  Error: rounding of the kind of the paths.  Source: `Integration`.
    """

    integration: Integration
    room: Room
    kind: Any
    sizes: tuple[int, int, int, int]
    coefficient: Callable[[sp.Expr, int], Array]
    expectations: Expectations
    rows: dict[int, Known] = field(default_factory=dict)
    chains: dict[int, Known] = field(default_factory=dict)
    slots: dict[Key, int] = field(default_factory=dict)
    constants: dict[tuple[Pair, int], list[int]] = field(default_factory=dict)
    factors: dict[tuple[sp.Expr, int], int] = field(default_factory=dict)
    means: dict[tuple[sp.Expr, sp.Expr, int, int], Array] = field(default_factory=dict)
    new: list[tuple[Key, PathMoment]] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    pinned: frozenset[Key] = frozenset()

    def __post_init__(self) -> None:
        R, N, T, M = self.sizes
        self.xp, kinds = self.room.xp, self.integration.kinds
        most = max(1, kinds * (T + 1)), max(1, 3 * kinds * T), max(1, len(self.integration.coefficients) * T)
        shapes = (R, N, N, M), (R, N, N), (R, N, M)
        self.kept, self.known, self.given = (
            Slots(self.room, name, shape, self.kind, count)
            for name, shape, count in zip(("kept", "known", "given"), shapes, most, strict=True)
        )

    def begin(self, step: int) -> None:
        """Leave behind what steps from `step` on do not read."""
        self._finish()
        self.means.clear()
        self.rows = {at: known for at, known in self.rows.items() if at >= step - 2}
        for known in self.chains.values():
            for key in [key for key in known if key[-1] < step - 2]:
                del known[key]
        for pair, at in [key for key in self.constants if key[-1] < step - 2]:
            self.known.free += self.constants.pop((pair, at))

    def end(self) -> None:
        """Leave all behind: what takes the next paths would wait for the collector of circles otherwise."""
        for known in (self.rows, self.chains, self.constants, self.slots, self.factors, self.means):
            known.clear()

    def moment(self, u: sp.Expr, v: sp.Expr, step: int, at: int) -> Array:
        """The mean over the paths of E[u_step v_at].  Shapes: (R, N, N)."""
        for _ in range(2):
            if (u, v, step, at) not in self.means:
                self._finish()
            if (u, v, step, at) not in self.means:
                self.find([(u, v)], step, at)
        return self.means.pop((u, v, step, at))

    def find(self, pairs: Sequence[Pair], step: int, at: int) -> None:
        """Have the means of several pairs of processes at two steps found when they are asked for."""
        means = [(u, v, step, at) for u, v in pairs]
        like = (tuple(pairs), min(step, LIKE), min(max(at - step, -1), LIKE))
        program = self.integration.programs.get(like)
        if program is None or not self._replayed(program, step, at, means):
            program = self._traced(pairs, step, at)
            if self._is_near(program, step, at):
                self.integration.programs[like] = _with_steps(
                    program, lambda s: (s > step, s - (at if s > step else step))
                )
            self._run(program, means)

    # ---- programs ---------------------------------------------------------------------------------------
    def _traced(self, pairs: Sequence[Pair], step: int, at: int) -> PathProgram:
        """The program for a pair of steps: moments with a state are kept, others are worked out again if asked."""
        outer, self.new, program = self.new, [], PathProgram()
        sums = [self._moment(u, v, step, at) for u, v in pairs]
        for key, moment in self.new:
            known = self._kept(*key[1:])
            if key[0].state is None and key[1].state is None:
                known.pop(key, None)
            else:
                program.store(key, moment)
        for parts in sums:
            program.mean(parts)
        program.compact()
        self.new = outer
        return program

    def _run(self, program: PathProgram, means: list[tuple[sp.Expr, sp.Expr, int, int]]) -> None:
        """Have a program run whose operands are all there, or will be once those that wait are run.

        One that reads other rows is run alone: those before it and after it use the slots row by row.
        """
        self.pinned = pinned = self.pinned | {*program.kept}
        constants = [self._constant_slots(pair, at)[step] for pair, step, at in program.constants]
        factors = [self._factor_slot(*key) for key in program.factors]
        held = {key for known in (*self.rows.values(), *self.chains.values()) for key in known} | pinned
        for key in [key for key in self.slots if key not in held]:
            self.kept.free.append(self.slots.pop(key))
        for key in program.stores:
            if key in self.slots:
                self.kept.free.append(self.slots.pop(key))
        kept = [self.slots[key] for key in program.kept]
        for key in program.stores:
            self.slots[key] = self.kept.take()
            self._kept(*key[1:])[key] = PathMoment(KEPT, key=key)
        stores = [self.slots[key] for key in program.stores]
        self.pinned = frozenset()
        if exchanges := program.exchanges:
            self._finish()
        self.waiting.append(Waiting(program, (kept, constants, factors, stores), means))
        if exchanges:
            self._finish()

    def _finish(self) -> None:
        """Run the programs that wait."""
        if not self.waiting:
            return
        for pool in (self.kept, self.known, self.given):
            if pool.arrays is None:
                pool.free.append(pool.take())
        programs, each, means = zip(*self.waiting, strict=True)
        self.waiting = []
        kept, constants, factors, stores = (list(chain(*slots)) for slots in zip(*each, strict=True))
        operands = Operands(self.kept.arrays, self.known.arrays, self.given.arrays, (kept, constants, factors, stores))
        self.means |= zip(chain(*means), run(self.xp, self._joined(programs), operands), strict=True)

    def _joined(self, programs: tuple[PathProgram, ...]) -> PathProgram:
        """One program of several, that of the last time where their instructions are the same."""
        known, key = self.integration.joined, tuple(id(program.compacted) for program in programs)
        if key not in known:
            if len(known) > MOST_JOINED:
                known.clear()
            known[key] = joined(programs), programs  # which keeps the identities
        return known[key][0]

    def _replayed(self, like: PathProgram, step: int, at: int, means: list[tuple[sp.Expr, sp.Expr, int, int]]) -> bool:
        """Have a program of other steps run for these, if all that it reads is kept."""
        program = _with_steps(like, lambda known: known[1] + (at if known[0] else step))
        if not all(self._known(*key).get(key) is not None and key in self.slots for key in program.kept):
            return False
        self._run(program, means)
        return True

    def _known(self, first: Combination, second: Combination, step: int, at: int) -> Known:
        return (self.rows.get(at) if second.state is not None else self.chains.get(step)) or {}

    def _is_near(self, program: PathProgram, step: int, at: int) -> bool:
        """Whether what is read is of the last steps, so that it is the same of any two steps that are alike."""
        keys = [key[-2:] for key in (*program.kept, *program.stores, *program.constants)]
        return all(s >= step - 2 and t >= at - 2 for s, t in keys)

    def _constant_slots(self, pair: Pair, at: int) -> list[int]:
        """Where E[a_step b_at] of all earlier steps are, found at once."""
        if (pair, at) not in self.constants:
            found = self.xp.astype(self.expectations(*pair, range(at + 1), at), self.kind)
            self.constants[pair, at] = slots = [self.known.take() for _ in range(at + 1)]
            self.known.arrays[self.xp.asarray(slots), ...] = self.xp.moveaxis(found, 1, 0)
        return self.constants[pair, at]

    def _factor_slot(self, coefficient: sp.Expr, step: int) -> int:
        if (coefficient, step) not in self.factors:
            found = self.coefficient(coefficient, step)
            self.factors[coefficient, step] = slot = self.given.take()
            self.given.arrays[slot, ...] = found
        return self.factors[coefficient, step]

    # ---- expressions ------------------------------------------------------------------------------------
    def _moment(self, u: sp.Expr, v: sp.Expr, step: int, at: int) -> list[PathMoment]:
        """The summands of E[u_step v_at] given the paths."""
        found = []
        for left, first in self.integration.read(u):
            for right, second in self.integration.read(v):
                inner = self._sum(first, second, step, at)
                if inner is not None:
                    found.append(self._by(self._by(inner, right, at, 2), left, step, 1))
        return found

    def _by(self, moment: PathMoment, coefficient: sp.Expr, step: int, axis: int) -> PathMoment:
        if coefficient.is_Number:
            return moment.times(float(coefficient))
        return moment.by((coefficient, step), axis)

    def _sum(self, first: Combination, second: Combination, step: int, at: int) -> PathMoment | None:
        """The moment of two combinations, their states one by one."""
        total: PathMoment | None = None
        for a, left in first.parts:
            for b, right in second.parts:
                total = _added(total, self._value(left, right, step, at), a * b)
        return total

    def _value(self, first: Combination, second: Combination, step: int, at: int) -> PathMoment | None:
        """The moment of two combinations, found once; the later one is the second."""
        first, step, second, at = *self._updated(first, step), *self._updated(second, at)
        if step < 0 or at < 0:
            return None
        if step > at or (step == at and first.number > second.number):
            found = self._value(second, first, at, step)
            return None if found is None else found.turned()
        key, known = (first, second, step, at), self._kept(second, step, at)
        if key not in known:
            known[key] = found = self._found(first, second, step, at)
            if found is not None:
                self.new.append((key, found))
        return known[key]

    def _updated(self, combination: Combination, step: int) -> tuple[Combination, int]:
        """A state before its update is the updated one of the step before."""
        if not combination.lag:
            return combination, step
        return self.integration.combined(((1.0, (combination.state,)),)), step - 1

    def _kept(self, second: Combination, step: int, at: int) -> Known:
        """Where a moment is kept: with the row of its later step, or for three more earlier steps only."""
        if second.state is not None:
            return self.rows.setdefault(at, {})
        for old in [s for s in self.chains if s < step - BACK]:
            del self.chains[old]
        return self.chains.setdefault(step, {})

    def _found(self, first: Combination, second: Combination, step: int, at: int) -> PathMoment | None:
        """By the update of a state, the second if it is one; else by independence."""
        if second.state is not None:
            return self._expanded(second.state, at, lambda inner: self._sum(first, inner, step, at), 2)
        if first.state is not None:
            return self._expanded(first.state, step, lambda inner: self._sum(inner, second, step, at), 1)
        total: PathMoment | None = None
        for known, inside in self.integration.products(first, second):
            inner = self._inside(inside, step, at)
            if inner is not None:
                product: PathMoment | float = inner
                for pair in known:
                    product = self._constant(pair, step, at).times(product)
                assert isinstance(product, PathMoment)
                total = _added(total, product, 1.0)
        return total

    def _expanded(self, state: sp.Expr, step: int, found: Callable[[Combination], PathMoment | None],
                  axis: int) -> PathMoment | None:  # fmt: skip
        """Coefficients times moments of what the update of a state reads."""
        total: PathMoment | None = None
        for coefficient, inner in self.integration.terms(state):
            value = found(inner)
            if value is not None:
                total = _added(total, self._by(value, coefficient, step, axis), 1.0)
        return total

    def _inside(self, inside: Sequence[Inside], step: int, at: int) -> PathMoment | float | None:
        """A weighted sum of products of moments given the paths; a number where there are none."""
        number, total = 0.0, cast("PathMoment | None", None)
        for weight, pairs in inside:
            values = [self._value(a, b, step, at) for a, b in pairs]
            found = [value for value in values if value is not None]
            if not values:
                number += weight
            elif len(found) == len(values):
                total = _added(total, reduce(PathMoment.times, found), weight)
        if total is None:
            return number if number else None
        return total

    def _constant(self, pair: Pair, step: int, at: int) -> PathMoment:
        """E[a_step b_at]."""
        if step > at:
            return self._constant(pair[::-1], at, step).turned()
        return PathMoment(CONSTANT, key=(pair, step, at))


def _with_steps(program: PathProgram, told: Callable[[Any], Any]) -> PathProgram:
    """The program for other steps."""
    kept, constants, stores = ([(*key[:-2], told(key[-2]), told(key[-1])) for key in keys]
                               for keys in (program.kept, program.constants, program.stores))  # fmt: skip
    factors = [(coefficient, told(step)) for coefficient, step in program.factors]
    return replace(program, kept=kept, constants=constants, stores=stores, factors=factors)


def _added(total: PathMoment | None, value: PathMoment | None, weight: float) -> PathMoment | None:
    """total + weight x value, where None is zero."""
    if value is None:
        return total
    return value.times(weight) if total is None else total.plus(value, weight)
