"""A kernel at all pairs of times: one array call for a step of the first sequences beside all steps of the second.

Every step of the second sequences is taken for a sequence of its own: a row of moments is then one of many pairs, by
the same equations, and a moment one step earlier is the row before, shifted by a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import sympy as sp

from wideproof.derive.algebra.array_code import namespace
from wideproof.derive.emit.kernel_stepper import (
    ACROSS,
    STILL,
    WITHIN_FIRST,
    WITHIN_SECOND,
    CompiledEquation,
    Equations,
    Index,
    Inputs,
    Key,
    Pair,
    Stepper,
)
from wideproof.derive.expectation import pair_integrals
from wideproof.derive.expectation.gaps import Gaps
from wideproof.derive.language.errors import TooLarge, TooSmall

ROW = 2**40
"""The second time of a row, all times of the second sequences; ROW - 1 and ROW + 1 are the times before and after."""


def by_rows(equations: Equations) -> bool:
    """Whether every moment across sequences reads rows that are known: its own of others, or those beside it."""
    return all(_reads_rows(rule) for pair in (None, *equations.across) for rule in _rules_of(equations, pair))


def _rules_of(equations: Equations, pair: Pair | None) -> list[CompiledEquation]:
    """The rules of a pair at equal times and at others, or those of the kernel."""
    times = ((1, 1), (1, 2))
    return [equations.output(at) if pair is None else equations.of(Key(ACROSS, pair, at)) for at in times]


def _reads_rows(rule: CompiledEquation) -> bool:
    bases = {WITHIN_FIRST: (0, 0), WITHIN_SECOND: (1, 1), ACROSS: (0, 1)}
    reads = [(side, at) for side, _, at in rule.moments]
    if any((i.base, j.base) != bases[side] or max(abs(i.offset), abs(j.offset)) > 1 for side, (i, j) in reads):
        return False
    if any((i.base, j.base) != bases[side] or i.offset or j.offset for side, (i, j) in rule.grams):
        return False
    within_row = any(side == ACROSS and i.offset == 0 != j.offset for side, (i, j) in reads)
    return not within_row and all(i.offset == j.offset for side, (i, j) in reads if side == WITHIN_SECOND)


class RowInputs:
    """Inner products of the inputs at two times, or at one beside all of the second sequences."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self._beside: tuple[int, Inputs] = (-1, inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inputs, name)

    def gram(self, side: int, first: int, second: int) -> Any:
        """x_first . x'_second of a side, second a time or ROW."""
        return self._at(side, first, second)("gram")

    def gram_error(self, side: int, first: int, second: int) -> Any:
        """How far rounding may have moved it."""
        return self._at(side, first, second)("gram_error")

    def gaps(self, first: int, second: int) -> Any:
        """|x_first| |x'_second| less, and plus, their inner product, second a time or ROW."""
        return self.inputs.gaps(first, second) if second < ROW else self.row(first).gaps(0, 0)

    def _at(self, side: int, first: int, second: int) -> Callable[[str], Any]:
        if second < ROW:
            return lambda name: getattr(self.inputs, name)(side, first, second)
        inputs = self.row(0 if side == WITHIN_SECOND else first)
        return lambda name: getattr(inputs, name)(side, 0, 0)

    def row(self, first: int) -> Inputs:
        """One step of the first sequences beside all steps of the second."""
        if self._beside[0] != first:
            beside = self.inputs.beside_all(first)
            assert beside is not None
            self._beside = first, beside
        return self._beside[1]


class RowStepper(Stepper):
    """The moments of one pair of batches, a row at a time, on `RowInputs`.

    Moments with a time before the first step, and at equal times where equations say so, are those of `Stepper`.
    """

    @cached_property
    def xp(self) -> Any:
        """The array module."""
        return namespace(self.equations.backend)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Of a row: first sequences, and second ones at all times."""
        inputs: Any = self.inputs
        beside = inputs.row(0)
        return beside.first.shape[0], beside.second.shape[0]

    @cached_property
    def width(self) -> int:
        """Columns of one time of the second sequences."""
        return self.shape[1] // self.ends[ACROSS][1]

    def rows(self) -> Iterator[Any]:
        """The kernel at each time of the first sequences.  Shapes: (N1, T2 N2), step by step."""
        if self.inputs.wanted >= pair_integrals.MANY:
            self.measure_within()
        for i in range(self.ends[ACROSS][0]):
            for pair in self.equations.across:  # all of a row, so that the next one needs no earlier one
                self.value(Key(ACROSS, pair, (i, ROW)))
            row = self._output_row(i)
            yield self._with_own(i, row, self.output((i, i))) if self._has_own(None, i) else row
            self._forget_rows(i)

    def _output_row(self, i: int) -> Any:
        rule = self.equations.output((i, ROW))
        for key in rule.needs((i, ROW)):
            self.value(key)
        return self._wide(self._named(lambda j: self.output((i, j)), lambda: self._apply(rule, ACROSS, (i, ROW))[0]))

    def _forget_rows(self, i: int) -> None:
        """Drop what later rows do not read: earlier rows, and single columns."""
        for key in [k for k in self.values if k.side == ACROSS and min(k.times) >= 0]:
            if key.times[0] < i or key.times[1] < ROW - 1:
                del self.values[key]
                self.gaps.pop(key, None)
        self.laws.clear()

    def _rules(self, key: Key) -> list[CompiledEquation]:
        if self._is_laid(key):
            return []
        return [self.equations.of(key)] if self._is_row(key) else super()._rules(key)

    def _is_row(self, key: Key) -> bool:
        return key.side == ACROSS and key.times[1] == ROW and 0 <= key.times[0] < self.ends[ACROSS][0]

    def _is_laid(self, key: Key) -> bool:
        """Whether a moment is put together from others: rows of times before and after, and one column of a row."""
        i, j = key.times
        if j >= ROW - 1:
            return not self._is_row(key)
        return key.side == ACROSS and 0 <= i < self.ends[ACROSS][0] and 0 <= j < self.ends[ACROSS][1]

    def _needed(self, key: Key, rules: list[CompiledEquation]) -> list[Key]:
        return self._parts(key) if self._is_laid(key) else super()._needed(key, rules)

    def _parts(self, key: Key) -> list[Key]:
        """The moments from which one is put together."""
        i, j = key.times
        row = Key(ACROSS, key.pair, (i, ROW))
        if j < ROW - 1:
            return [row]
        steps = range(j - ROW, j - ROW + self.ends[ACROSS][1])
        if key.side == WITHIN_SECOND:
            return [Key(key.side, key.pair, (step, step)) for step in steps]
        if not self._is_row(row):
            return [Key(ACROSS, key.pair, (i, step)) for step in steps]
        return [Key(ACROSS, key.pair, (i, -1)), row] if j < ROW else [row, Key(ACROSS, key.pair, (i, steps[-1]))]

    def _value(self, key: Key, rules: list[CompiledEquation]) -> Any:
        if self._is_laid(key):
            if key.side == ACROSS and key.pair in self.equations.carried:
                below = self._laid(key, lambda part: self.gaps[part].below)
                self.gaps[key] = Gaps(below, self._laid(key, lambda part: self.gaps[part].above))
            return self._laid(key, self.values.__getitem__)
        if not self._is_row(key):
            return super()._value(key, rules)
        i, plain = key.times[0], super()._value
        found = self._named(lambda j: self._own(key.pair, (i, j)), lambda: plain(key, rules))
        if not self._has_own(key.pair, i):
            return found
        value = self._own(key.pair, (i, i))
        if key in self.gaps:
            own = zip(self.gaps[key], self.gaps[Key(ACROSS, key.pair, (i, i))], strict=True)
            self.gaps[key] = Gaps(*(self._with_own(i, row, gap) for row, gap in own))
        return self._with_own(i, found, value)

    def _laid(self, key: Key, of: Callable[[Key], Any]) -> Any:
        """A moment put together from others, whatever is known of them."""
        (i, j), w = key.times, self.width
        parts = [of(part) for part in self._parts(key)]
        if j < ROW - 1:
            return self._wide(parts[0])[..., j * w : (j + 1) * w]
        if self._is_row(Key(key.side, key.pair, (i, ROW))):
            kept = slice(None, -w) if j < ROW else slice(w, None)
            found = [self._wide(x)[..., kept] if part.times[1] == ROW else self._wide(x, w)
                     for part, x in zip(self._parts(key), parts, strict=True)]  # fmt: skip
        else:
            shape = (1 if key.side == WITHIN_SECOND else self.shape[0], w)
            found = [self.xp.broadcast_to(self.xp.asarray(x, dtype=self.xp.float64), shape) for x in parts]
        return self.xp.concatenate(found, axis=-1)

    def _wide(self, x: Any, columns: int | None = None) -> Any:
        """An array of a whole row, or of so many columns."""
        shape = (*self.shape[:-1], columns or self.shape[-1])
        return self.xp.broadcast_to(self.xp.asarray(x, dtype=self.xp.float64), shape)

    def _with_own(self, i: int, found: Any, own: Any) -> Any:
        """A row with what it is at equal times put in."""
        found = self.xp.array(self._wide(found))
        found[..., i * self.width : (i + 1) * self.width] = own
        return found

    def _has_own(self, pair: Pair | None, i: int) -> bool:
        """Whether the rule of equal times is another one than that of the row."""
        return i < self.ends[ACROSS][1] and (self.move != STILL or self._own_rule(pair))

    def _own_rule(self, pair: Pair | None) -> bool:
        right = self.equations.recurrence.right if pair is None else self.equations.right[pair]
        return bool(right.has(sp.KroneckerDelta))

    def _own(self, pair: Pair, times: Index) -> Any:
        """A moment at two times by its own rule."""
        key = Key(ACROSS, pair, times)
        rules = [self.equations.of(key)]
        for needed in super()._needed(key, rules):
            self.value(needed)
        return super()._value(key, rules)

    def _named(self, own: Callable[[int], Any], whole: Callable[[], Any]) -> Any:
        """A row; where it is out of range, the first of its times that is names the step."""
        try:
            return whole()
        except (TooLarge, TooSmall):
            for j in range(self.ends[ACROSS][1]):
                own(j)
            raise
