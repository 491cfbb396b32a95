"""Whether a recurrence determines what it says: every quantity it reads has an equation or a start, and is stepped.

The stepper reads moments from the equations alone, so that what comes out is what the equations say, in any order of
evaluation; a moment that no equation states, and one that reads itself, is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import product
from typing import Any, NoReturn

import sympy as sp

from wideproof.derive.alternating.terms import Coefficient, Covariance
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import World
from wideproof.derive.calculus.innovations import Innovation, InnovationsForm, Predictor, ProductCov
from wideproof.derive.calculus.moments import FIRST, SECOND, Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, ROW, ROW2
from wideproof.derive.expectation.truncated_moments import THETA, VARIANCE, Ramp
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import p, q
from wideproof.derive.language.program import Previous, Updated
from wideproof.derive.limits.adjoint import Cotangent, Outer, Pullback
from wideproof.derive.proof.claims import ProcessForm, Recurrence
from wideproof.derive.width_expansion.overlaps import OfOverlaps

DETERMINED = (Coefficient, Covariance, Ramp, Cotangent, Innovation, Predictor, ProductCov)
"""Quantities other than moments that a recurrence must state where it reads them."""
FREE, TURNED = (THETA, VARIANCE), ((SECOND, FIRST), (q, p))
At = Mapping[sp.Symbol, Any]


def check_closed(claim: Recurrence) -> None:
    """Raise ProofError where a side reads a quantity, other than a moment, that no equation states."""
    sides = [e.right for e in claim.equations] + ([] if isinstance(claim.right, sp.Tuple) else [claim.right])
    generic = {*claim.indices, *FREE}
    read = {x for side in sides for x in side.atoms(*DETERMINED)}
    read |= {Cotangent(*x.args) for side in sides for x in side.atoms(Pullback, Outer)}
    for x in sorted(set().union(*map(_overlaps_read, sides)) - {e.left for e in claim.equations}, key=str):
        _refuse(x)
    for x in sorted(read, key=str):
        if OUTPUT not in x.args and not any(_states(e.left, x, generic) for e in claim.equations):
            _refuse(x)


def check_starts_stated(claim: Recurrence) -> None:
    """Raise ProofError where the first steps read a moment before them that no equation states."""
    if isinstance(claim.left, InnovationsForm):
        return
    for u, v, first, second, a, b in _early_reads(claim):
        if any(time < 0 and _is_at_rest(claim, x) for x, time in ((u, first), (v, second))):
            continue
        for label in {b, a if max(first, second) < 0 else b}:  # two sequences may be one
            sides = ((u, v, first, second, a, label), (v, u, second, first, label, a))
            if not any(_binding(e.left, side, claim.indices) is not None for e in claim.equations for side in sides):
                _refuse(Moment(u, v, first, second, a, label))


def _early_reads(claim: Recurrence) -> set[tuple[Any, ...]]:
    """The moments with a time before the first step that right sides read at the first steps."""
    sides = [e.right for e in claim.equations] + [claim.right]
    found = set()
    for x in set().union(*(side.atoms(Moment) for side in sides)):
        for steps in product((0, 1), repeat=len(claim.indices)):
            at = dict(zip(claim.indices, steps, strict=True))
            first, second = (int(time.subs(at)) for time in x.args[2:4])
            if min(first, second) < 0:
                found.add((*x.args[:2], first, second, *x.args[4:]))
    return found


def _overlaps_read(expr: sp.Basic) -> set[sp.Basic]:
    """The quantities of overlaps in an expression, without those that only say which overlaps they are of."""
    if isinstance(expr, OfOverlaps):
        return {expr}
    return set().union(*map(_overlaps_read, expr.args))


def _states(left: sp.Expr, x: sp.Expr, generic: set[sp.Symbol]) -> bool:
    """Whether the left side of an equation is about a quantity, at some value of its free indices."""
    if left.func != x.func or len(left.args) != len(x.args):
        return any(_states(inner, x, generic) for inner in left.atoms(x.func))
    return all(own == other or own.free_symbols & generic for own, other in zip(left.args, x.args, strict=True))


def _refuse(x: Any) -> NoReturn:
    raise ProofError("audit", f"an equation or a start for {x}", "none", "The recurrence does not determine it.")


def check_stepped(claim: Recurrence, world: World) -> None:
    """Raise ProofError unless stepping the equations gives the moments and the kernel of the world."""
    if isinstance(claim.left, InnovationsForm) or not _about_moments(claim):
        return
    stepped = _stepping(claim, world)
    wanted = [e.left for e in claim.equations if e.left.free_symbols & set(claim.indices)]
    last = world.horizon - 1
    for late, turn in product(((last, last), (last, last - 1), (last - 1, last)), _sequences(claim, world)):
        at = {ROW: 0, ROW2: 0, **dict(zip(claim.indices, late, strict=False))}
        sides = [(x, x) for x in wanted] if isinstance(claim.right, sp.Tuple) else [(claim.left, claim.right)]
        for left, right in sides:
            whole, found = world.number(left.xreplace(turn), at), stepped.number(right.xreplace(turn), at)
            if not _equal(whole, found):
                raise ProofError("audit", whole, found, f"Stepped to {late}, the equations give another {left}.")


def _sequences(claim: Recurrence, world: World) -> list[dict[sp.Expr, sp.Expr]]:
    """Two sequences; and one taken twice, where a start may be its own."""
    random = any(state.initial != 0 for state in world.program.states)
    return [{}, {SECOND: FIRST}] if random and len(claim.indices) == 2 else [{}]


def check_starts(claim: ProcessForm, world: World) -> None:
    """Raise ProofError unless a process states how each state starts, and the starts of two states are independent."""
    stated = {e.left for e in claim.starts}
    for (state, u), (_, v), b in product(*[world.program.updated.items()] * 2, (FIRST, SECOND)):
        whole = world.moment(u, v, -1, -1, FIRST, b)
        if whole != 0 and (u != v or Moment(u, v, -1, -1, FIRST, b) not in stated):
            _refuse(Moment(u, v, -1, -1, FIRST, b))
        if u == v and not state.backward and Moment(u, u, -1, -1, FIRST, FIRST) not in stated:
            _refuse(Moment(u, u, -1, -1, FIRST, FIRST))


def _about_moments(claim: Recurrence) -> bool:
    return claim.right.has(Moment) or any(x.has(Moment) for e in claim.equations for x in (e.left, e.right))


def _equal(left: sp.Expr, right: sp.Expr) -> bool:
    gap = left - right
    return bool(gap == 0) or bool(abs(sp.N(gap, 30)) < sp.Float(10) ** -25 * (1 + abs(sp.N(left, 30))))


def _stepping(claim: Recurrence, world: World) -> World:
    """The world with the moments of the equations for its own."""
    stepped = copy.copy(world)
    known: dict[Any, Any] = {}

    def value(_: World, moment: sp.Expr, at: At) -> Any:
        u, v, first, second, a, b = moment.args
        times = world.integer(first, at), world.integer(second, at)
        key = (u, v, *times, a, b)
        if key not in known:
            known[key] = None  # until it is found, it may not be read
            known[key] = _value(claim, stepped, world, key)
        if known[key] is None:
            raise ProofError("audit", "earlier moments", moment, f"{moment} at {times} reads itself.")
        return known[key]

    stepped.meanings = {**MEANINGS, **world.meanings, Moment: value}
    return stepped


def _value(claim: Recurrence, stepped: World, world: World, key: tuple[Any, ...]) -> Any:
    u, v, first, second, a, b = key
    if any(_is_past_the_end(world, x, time) for x, time in ((u, first), (v, second))):
        return sp.S.Zero
    if any(time < 0 and _is_at_rest(claim, x) for x, time in ((u, first), (v, second))):
        return sp.S.Zero
    for equation in claim.equations:
        for sides in [key] + ([(v, u, second, first, b, a)] if (a, b) in TURNED or min(first, second) < 0 else []):
            at = _binding(equation.left, sides, claim.indices)
            if at is not None:
                return stepped.number(equation.right.xreplace(_relabelled(equation.left, sides)), at)
    return _refuse(Moment(u, v, first, second, a, b))


def _binding(left: sp.Expr, sides: tuple[Any, ...], indices: tuple[sp.Symbol, ...]) -> dict[sp.Symbol, int] | None:
    """The values of the indices at which a left side is a moment, or None."""
    if not isinstance(left, Moment) or left.args[:2] != sides[:2]:
        return None
    own, labels = left.args[4:], sides[4:]
    generic = own == (FIRST, SECOND) and left.free_symbols & set(indices)
    if not generic and own != labels and (own[0] == own[1]) != (labels[0] == labels[1]):
        return None  # impulses at one time are not those at two, nor starts of one sequence those of two
    at: dict[sp.Symbol, int] = {}
    for expr, time in zip(left.args[2:4], sides[2:4], strict=True):
        index = next((i for i in indices if expr.has(i)), None)
        if index is None:
            if expr != time:
                return None
        elif at.setdefault(index, int(time - expr.subs(index, 0))) != time - expr.subs(index, 0):
            return None
    return at if all(time >= 0 for time in at.values()) else None


def _relabelled(left: sp.Expr, sides: tuple[Any, ...]) -> dict[sp.Expr, sp.Expr]:
    return dict(zip(left.args[4:], sides[4:], strict=True))


def _is_past_the_end(world: World, u: Any, time: int) -> bool:
    """Whether a process reads backwards, and stands beyond the end of its sequence, where it is zero."""
    term = world.program.table.get(u)
    return isinstance(term, Previous | Updated) and term.state.backward and time >= world.horizon


def _is_at_rest(claim: Recurrence, u: Any) -> bool:
    """Whether an equation says that the start of a state has no variance: then it is zero, and all moments with it."""
    return any(
        isinstance(e.left, Moment)
        and e.left.args[:4] == (u, u, -1, -1)
        and e.left.args[4] == e.left.args[5]
        and e.right == 0
        for e in claim.equations
    )
