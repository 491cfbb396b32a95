"""The independent audit of finite-width moments: sums over all indices, paired entry by entry (Wick), at any width.

A product of entries of standard Gaussian matrices, summed over its indices, has the mean sum over the pairings of equal
matrices of n to the number of indices that are left free where the entries of each pair are one and the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy as sp

from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import World
from wideproof.derive.calculus.moments import Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, Response
from wideproof.derive.language.notation import p
from wideproof.derive.language.program import MatVec
from wideproof.derive.linear.finite_width import ResponseMoment, TraceMean

Entry = tuple[int, int, int]
"""A matrix, and the indices of one of its entries; matrices of negative number are vectors."""
ONE = 0
"""The index that takes one value only, as the row of a single output does."""


def free_indices(entries: tuple[Entry, ...]) -> tuple[int, ...]:
    """E of a product of entries, summed over its indices, in powers of n: how many pairings leave 0, 1, ... free."""
    return _paired(_renamed(entries))


@lru_cache(maxsize=200_000)
def _paired(entries: tuple[Entry, ...]) -> tuple[int, ...]:
    if not entries:
        return (1,)
    total: list[int] = []
    (matrix, row, column), *rest = entries
    before = _indices(entries)
    for i, (other, row2, column2) in enumerate(rest):
        if other == matrix:
            same = _joined((row, row2), (column, column2))
            left = tuple((name, same(a), same(b)) for name, a, b in (*rest[:i], *rest[i + 1 :]))
            free = len({same(x) for x in before} - _indices(left) - {ONE})
            for power, count in enumerate(_paired(_renamed(left)), free):
                total += [0] * (power + 1 - len(total))
                total[power] += count
    return tuple(total)


def _indices(entries: tuple[Entry, ...]) -> set[int]:
    return {x for _, a, b in entries for x in (a, b)}


def _joined(*pairs: tuple[int, int]) -> Any:
    """A map that takes both indices of each pair to one."""
    place: dict[int, int] = {}

    def same(x: int) -> int:
        while x in place:
            x = place[x]
        return x

    for a, b in pairs:
        low, high = sorted((same(a), same(b)))
        if low != high:
            place[high] = low
    return same


def _renamed(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The same product with its entries walked index by index, so that equal products look alike more often."""
    names, left, walked = {ONE: ONE}, list(entries), []
    while left:
        known = next((e for e in left if e[1] in names or e[2] in names), left[0])
        left.remove(known)
        matrix, *at = known
        for x in at:
            names.setdefault(x, len(names))
        walked.append((matrix, names[at[0]], names[at[1]]))
    return tuple(walked)


def response_mean(width: int, lags: tuple[int, ...], tied: bool) -> int:
    """E prod_i (c W^{j_i} f) with standard entries, W redrawn each step unless tied."""
    entries: list[Entry] = []
    last = ONE
    for lag in lags:
        entries.append((-1, ONE, last + 1))
        entries += [(1 if tied else lag - k, last + 1 + k, last + 2 + k) for k in range(lag)]
        entries.append((-2, last + 1 + lag, ONE))
        last += 1 + lag
    return _at(width, free_indices(tuple(entries)))


def trace_mean(width: int, words: tuple[tuple[int, ...], ...]) -> int:
    """E prod_i tr(word_i): the indices of each word run in a circle."""
    entries: list[Entry] = []
    first = ONE + 1
    for word in words:
        for k, letter in enumerate(word):
            ends = first + k, first + (k + 1) % len(word)
            entries.append((abs(letter), *(ends if letter > 0 else ends[::-1])))
        first += len(word)
    return _at(width, free_indices(tuple(entries))) * width ** sum(not word for word in words)


def _at(width: int, counts: tuple[int, ...]) -> int:
    return sum(count * width**power for power, count in enumerate(counts))


def _is_tied(world: World) -> bool:
    """Whether the matrices between the states are drawn once."""
    return all(x.matrix.tied for _, x in world.program.terms if isinstance(x, MatVec) and x.matrix.role == "matrix")


def _response_moment(world: World, expr: sp.Expr, at: Any) -> Any:
    width, *lags = (world.integer(x, at) for x in expr.args)
    ((state, _),) = world.program.updates
    inputs = world.number(Moment(state, state, 0, 0, p, p), {})
    transition = world.number(Moment(state, state, 1, 1, p, p), {}) / inputs
    readout = world.number(Response(OUTPUT, 0, 0, 0, 0, p, p), {}) / inputs
    half, steps = sp.Rational(len(lags), 2), sum(lags)
    return (
        response_mean(width, tuple(lags), _is_tied(world))
        * (inputs * readout) ** half
        * transition ** sp.Rational(steps, 2)
        / sp.Integer(width) ** (half + sp.Rational(steps, 2))
    )


def _trace_mean(world: World, expr: sp.Expr, at: Any) -> Any:
    words = tuple(tuple(int(x) for x in word) for word in expr.args[1:])
    return trace_mean(world.integer(expr.args[0], at), words)


MEANINGS[ResponseMoment] = _response_moment
MEANINGS[TraceMean] = _trace_mean
