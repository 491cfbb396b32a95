"""The values of a recurrence on a grid of its indices, each moment after those it needs.

The recurrence is read once into numbers: coefficients, and the offsets of the moments that they multiply.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from wideproof.derive.algebra.array_code import printer
from wideproof.derive.calculus.moments import Gram, Moment
from wideproof.derive.calculus.starts import BEFORE, Starts
from wideproof.derive.emit.on_demand import OnDemand
from wideproof.derive.language.notation import s, t
from wideproof.derive.proof.claims import Recurrence


@dataclass(frozen=True)
class _Term:
    """coefficient x [indices agree] x inputs x moments: one summand of an equation, ready to be evaluated."""

    coefficient: Any
    deltas: tuple[sp.KroneckerDelta, ...]
    grams: tuple[tuple[int, ...], ...]
    moments: tuple[tuple[Any, tuple[int, ...]], ...]


Place = tuple[Any, tuple[int, ...]]
"""A moment: whose, and at which indices."""


class Grid(OnDemand[Place]):
    """The values of a recurrence on a grid of indices, each moment after those it needs."""

    def __init__(self, recurrence: Recurrence, xp: Any, parameters: Mapping[str, Any], gram: Any = None) -> None:
        super().__init__()
        self.indices, self.starts = recurrence.indices, Starts.of(recurrence)
        self.xp, self.parameters, self.gram = xp, parameters, gram
        rights = recurrence.right if isinstance(recurrence.right, sp.Tuple) else [recurrence.right]
        self.outputs = [self._terms(right, self.indices) for right in rights]
        self.base: dict[Any, list[_Term]] = {}
        self.step: dict[Any, list[_Term]] = {}
        self.early: dict[Place, list[_Term]] = {}
        for equation in recurrence.equations:
            times = equation.left.args[2:4][: len(self.indices)]
            rules = self.base if all(time == 0 for time in times) else self.step
            if not any(time.is_negative for time in times):  # those are starts
                rules[equation.left.args[:2]] = self._terms(equation.right, times)

    def table(self, sizes: Any) -> dict[tuple[int, ...], Any]:
        """Index -> value of the recurrence's right side."""
        return {index: self._all(index) for index in itertools.product(*map(range, sizes))}

    def _all(self, index: tuple[int, ...]) -> Any:
        for place in (place for terms in self.outputs for place in self._read(terms, index)):
            self.value(place)
        values = [self._sum(terms, index) for terms in self.outputs]
        return values[0] if len(values) == 1 else self.xp.stack(self.xp.broadcast_arrays(*values))

    def needs(self, key: Place) -> list[Place]:
        """The moments that the equation of one reads."""
        return self._read(self._equation(key), key[1])

    def work_out(self, key: Place) -> Any:
        """The right side of its equation."""
        return self._sum(self._equation(key), key[1])

    def _equation(self, key: Place) -> list[_Term]:
        """The summands of a moment: at its start, at a step, or with a time before the first step."""
        pair, index = key
        if min(index) >= 0:
            start = pair in self.base and index == (0,) * len(index)
            return (self.base if start else self.step)[pair]
        if key not in self.early:
            times = tuple(BEFORE if i < 0 else x for i, x in zip(index, (t, s), strict=True))
            self.early[key] = self._terms(self.starts.right(pair, index, same=False), times)  # type: ignore[arg-type]
        return self.early[key]

    def _read(self, terms: list[_Term], index: tuple[int, ...]) -> list[Place]:
        holding = [term for term in terms if all(self._holds(delta, index) for delta in term.deltas)]
        return [(pair, _moved(index, offset)) for term in holding for pair, offset in term.moments]

    def _terms(self, expr: sp.Expr, times: tuple[sp.Expr, ...]) -> list[_Term]:
        """The summands of an equation for the moments at `times`, read relative to them."""
        terms = []
        for summand in sp.Add.make_args(sp.expand(expr)):
            deltas, grams, moments, rest = [], [], [], sp.S.One
            for factor in _factors(summand):
                if isinstance(factor, Moment):
                    moments.append((factor.args[:2], self._offset(factor.args[2:4], times)))
                elif isinstance(factor, Gram):
                    grams.append(self._offset(factor.args[:2], times))
                elif isinstance(factor, sp.KroneckerDelta):
                    deltas.append(factor)
                else:
                    rest *= factor
            terms.append(_Term(self._number(rest), tuple(deltas), tuple(grams), tuple(moments)))
        return terms

    @staticmethod
    def _offset(at: tuple[sp.Expr, ...], times: tuple[sp.Expr, ...]) -> tuple[int, ...]:
        return tuple(int(sp.expand(a - b)) for a, b in zip(at, times, strict=False))

    def _number(self, coefficient: sp.Expr) -> Any:
        names = sorted(coefficient.free_symbols, key=str)
        emitted = sp.lambdify(names, coefficient, modules=[{"numpy": self.xp}], printer=printer("numpy"))
        return emitted(*(self.parameters[x.name] for x in names))

    def _sum(self, terms: list[_Term], index: tuple[int, ...]) -> Any:
        total = 0.0
        for term in terms:
            if all(self._holds(delta, index) for delta in term.deltas):
                value = term.coefficient
                for offset in term.grams:
                    value = value * self.gram[(..., *_moved(index, offset))]
                for pair, offset in term.moments:
                    value = value * self.values[pair, _moved(index, offset)]
                total = total + value
        return total

    def _holds(self, delta: sp.KroneckerDelta, index: tuple[int, ...]) -> bool:
        at = dict(zip(self.indices, index, strict=True))
        return bool(delta.args[0].subs(at) == delta.args[1].subs(at))


def _moved(index: tuple[int, ...], offset: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(i + o for i, o in zip(index, offset, strict=True))


def _factors(summand: sp.Expr) -> list[sp.Expr]:
    """The factors of a product, whole powers written out."""
    found: list[sp.Expr] = []
    for factor in sp.Mul.make_args(summand):
        base, power = factor.as_base_exp()
        found += [base] * int(power) if power.is_Integer and power > 0 else [factor]
    return found
