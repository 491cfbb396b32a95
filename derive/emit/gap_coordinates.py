"""A change of coordinates of a kernel recursion: beside each covariance of two sequences its gaps are carried.

An equation for the covariance of two sequences is a sum of weights times covariances, of which the variances within
either sequence are the same sum. Its gaps are then those of a sum (`derive.expectation.gaps.of_sum`), read off the
equation itself; where it is no such sum, they are what a subtraction leaves.
"""

from __future__ import annotations

from typing import NamedTuple

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, Moment
from wideproof.derive.expectation.gaps import Gaps, of_sum, sees_angle
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.notation import s, t
from wideproof.derive.proof.claims import Recurrence

ATOMS = (Moment, Gram, GaussianMean)
Pair = tuple[sp.Expr, sp.Expr]


class Below(sp.Function):
    """The gap sqrt(ab) - c of a covariance, a letter until numbers are put in."""

    nargs = (1,)


class Above(sp.Function):
    """The gap sqrt(ab) + c of a covariance, a letter until numbers are put in."""

    nargs = (1,)


class Part(NamedTuple):
    """A weight times a covariance, which is 1 for a bias."""

    weight: sp.Expr
    covariance: sp.Expr


def within(expr: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """An expression about two sequences, about either of them alone."""
    return expr.xreplace({s: t, SECOND: FIRST}), expr.xreplace({t: s, FIRST: SECOND})


def parts(covariance: sp.Expr) -> list[Part] | None:
    """A covariance of two sequences as a sum whose variances are the same sum, or None where it has no such form."""
    found: dict[sp.Expr, sp.Expr] = {}
    for summand in sp.Add.make_args(sp.expand(covariance)):
        weight, rest = summand.as_independent(*ATOMS)
        if rest != 1 and not _is_covariance(rest):
            return None
        found[rest] = found.get(rest, sp.S.Zero) + weight
    kept = [Part(sp.factor(weight), rest) for rest, weight in found.items() if weight != 0]
    return kept if all(part.weight.is_nonnegative for part in kept) else None


def _is_covariance(atom: sp.Expr) -> bool:
    """Whether an atom is E[u u'] or x . x', which becomes a variance where the two sequences are one."""
    if isinstance(atom, Moment):
        return bool(atom.args[0] == atom.args[1] and _same_time(*atom.args[2:4]) and atom.args[4] != atom.args[5])
    if isinstance(atom, Gram):
        return bool(_same_time(*atom.args[:2]) and atom.args[2] != atom.args[3])
    return isinstance(atom, GaussianMean) and is_pair(atom) and parts(atom.args[2][1]) is not None


def _same_time(first: sp.Expr, second: sp.Expr) -> bool:
    """Whether both are as far from their index, t of the one and s of the other."""
    return bool(first.xreplace({s: t}) == second.xreplace({s: t}) and first != second)


def is_pair(atom: GaussianMean) -> bool:
    """Whether it is E[phi(u) phi(v)] of one function."""
    functions, means, _ = atom.args
    return bool(len(functions) == 2 and functions[0] == functions[1] and means[0] == means[1])


def law_gaps(mean: GaussianMean) -> Gaps | None:
    """The gaps of the two variables of an expectation in letters, or None where they are left to a subtraction."""
    if len(mean.args[0]) != 2:
        return None
    first, across, second = mean.args[2]
    found = parts(across)
    if found is None or {*map(sp.expand, within(across))} != {sp.expand(first), sp.expand(second)}:
        return None
    return sum_gaps(found)


def sum_gaps(found: list[Part]) -> Gaps:
    """The gaps of a sum in letters."""
    terms = []
    for weight, atom in found:
        gaps = Gaps(sp.S.Zero, sp.Integer(2)) if atom == 1 else Gaps(Below(atom), Above(atom))
        own, other = within(atom)
        terms.append((weight * own, weight * other, Gaps(weight * gaps.below, weight * gaps.above)))
    return of_sum(terms, sp.sqrt) if terms else Gaps(sp.S.Zero, sp.S.Zero)


def carried(recurrence: Recurrence) -> frozenset[Pair]:
    """The pairs (u, u) whose gaps an angle depends on, none where no activation sees one."""
    means = set().union(*(x.atoms(GaussianMean) for x in (recurrence.right, *(e.right for e in recurrence.equations))))
    if not any(sees_angle(str(name)) for mean in means for name, _ in mean.args[0]):
        return frozenset()
    rights = {e.left.args[:2]: e.right for e in recurrence.equations if isinstance(e.left, Moment)}
    todo = [mean.args[2][1] for mean in means if len(mean.args[0]) == 2]
    found: set[Pair] = set()
    while todo:
        for atom in todo.pop().atoms(Moment):
            pair = atom.args[:2]
            if pair[0] == pair[1] and pair not in found:
                found.add(pair)
                todo += [rights[pair]] if pair in rights else []
    return frozenset(found)
