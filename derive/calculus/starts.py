"""What a recursion reads before its first step: which starts, and the equations that state them.

A start is a state at time -1. Everything that is read of it stands in equations: the moment of two starts, within one
sequence and between two, and the moment of a start with a later process. A state whose start has no variance is zero
there, and so is every moment with it; one equation says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND, Moment
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import s, t
from wideproof.derive.proof.claims import Equation, Recurrence

BEFORE = sp.S.NegativeOne
"""The time of a start."""
Stated = Callable[[Moment], sp.Expr | None]
"""The right side of the equation about a moment with a start; None where there is none."""
Pair = tuple[sp.Expr, sp.Expr]


def of_two(u: sp.Expr, v: sp.Expr, a: sp.Expr, b: sp.Expr) -> Moment:
    """The moment of two starts; their order does not matter."""
    return Moment(*sorted((u, v), key=lambda x: (str(x), sp.srepr(x))), BEFORE, BEFORE, a, b)


def with_later(u: sp.Expr, v: sp.Expr) -> Moment:
    """The moment of the start of u, in one sequence, with v at the time s of another."""
    return Moment(u, v, BEFORE, s, FIRST, SECOND)


def turned(expr: sp.Expr) -> sp.Expr:
    """An expression at s with the two sequences exchanged, at t; its moments name the first sequence first."""
    moved = expr.xreplace({s: t, FIRST: SECOND, SECOND: FIRST})
    sides = {x: x.args for x in moved.atoms(Moment) if x.args[4:] == (SECOND, FIRST)}
    return moved.xreplace({x: Moment(v, u, last, first, b, a) for x, (u, v, first, last, a, b) in sides.items()})


@dataclass
class Starts:
    """The moments with a start, as they are stated, seen from the sequence `label`."""

    stated: Stated
    label: sp.Expr = FIRST
    resting: dict[sp.Expr, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, recurrence: Recurrence) -> Starts:
        """Those that a recurrence states."""
        known = {e.left: e.right for e in recurrence.equations}
        labels = [left.args[4] for left in known if isinstance(left, Moment)]
        return cls(known.get, labels[0] if labels else FIRST)

    def at_rest(self, u: sp.Expr) -> bool:
        """Whether a state is stated to be zero before the first step."""
        if u not in self.resting:
            self.resting[u] = self.stated(of_two(u, u, self.label, self.label)) == 0
        return self.resting[u]

    def right(self, pair: Pair, times: tuple[int, int], same: bool) -> sp.Expr:
        """E[u_t v_s] where t or s is before the first step, in t, s, x and x'; `same`: both are one sequence.

        Errors: ProofError where no equation states it.
        """
        early = [time < 0 for time in times]
        if any(is_early and self.at_rest(u) for u, is_early in zip(pair, early, strict=True)):
            return sp.S.Zero
        if all(early):
            return self._known(of_two(*pair, FIRST, FIRST if same else SECOND))
        if early[0]:
            return self._known(with_later(*pair))
        return turned(self._known(with_later(*reversed(pair))))

    def _known(self, left: Moment) -> sp.Expr:
        right = self.stated(left)
        if right is None:
            raise ProofError("recurrence", f"an equation for {left}", "none", "It does not say how the states start.")
        return right


def start_equations(
    rights: Iterable[sp.Expr], stated: Callable[[Moment], sp.Expr], indices: tuple[sp.Symbol, ...], label: sp.Expr
) -> tuple[Equation, ...]:
    """An equation for every start that right sides read at their first steps, and for those that these read."""
    found: dict[Moment, sp.Expr] = {}
    todo = [x for right in rights for x in right.atoms(Moment)]
    while todo:
        for left in _needed(todo.pop(), lambda u: stated(of_two(u, u, label, label)) == 0, frozenset(indices), label):
            if left not in found:
                found[left] = stated(left)
                todo += found[left].atoms(Moment)
    return tuple(Equation(left, found[left]) for left in sorted(found, key=lambda x: (str(x), sp.srepr(x))))


def _needed(
    read: Moment, at_rest: Callable[[sp.Expr], bool], indices: frozenset[sp.Symbol], label: sp.Expr
) -> Iterable[Moment]:
    """The moments with a start that one moment becomes at the first steps."""
    u, v, first, second, *_ = read.args
    sides = ((u, v, first, second), (v, u, second, first))
    early = [x for x, _, time, _ in sides if _reaches_back(time, indices)]
    still = [x for x in early if at_rest(x)]
    yield from (of_two(x, x, label, label) for x in still)
    if len(early) == 2 and not still:
        yield from (of_two(u, v, FIRST, FIRST), of_two(u, v, FIRST, SECOND))
    for x, other, time, later in sides:
        if _reaches_back(time, indices) and x not in still and _outlasts(later, time, indices):
            yield with_later(x, other)


@lru_cache(maxsize=1024)
def _reaches_back(time: sp.Expr, indices: frozenset[sp.Symbol]) -> bool:
    """Whether a time is before the first step when the recurrence is at its first."""
    return bool(time.subs(dict.fromkeys(indices, 0)) < 0)


@lru_cache(maxsize=1024)
def _outlasts(time: sp.Expr, early: sp.Expr, indices: frozenset[sp.Symbol]) -> bool:
    """Whether a time can be at a step while the other is before the first."""
    gap = sp.expand(time - early)
    return bool(gap > 0) if gap.is_number else bool(time.free_symbols & indices)


def differ(recurrence: Recurrence) -> bool:
    """Whether starts within a sequence have other moments than those of two sequences: each has its own draw."""
    starts = {e.left: e.right for e in recurrence.equations if isinstance(e.left, Moment) and e.left.args[3] == BEFORE}
    return any(
        right != starts.get(Moment(*left.args[:4], FIRST, SECOND), right)
        for left, right in starts.items()
        if left.args[4:] == (FIRST, FIRST)
    )
