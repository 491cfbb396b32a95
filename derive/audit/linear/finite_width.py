"""The independent audit of finite-width moments: sums over all indices, paired entry by entry (Wick), at any width.

A product of entries of standard Gaussian matrices, summed over its indices, has the mean sum over the pairings of equal
matrices of n to the number of indices that are left free where the entries of each pair are one and the same. A
derivative by the entries of a parameter takes out two entries of it and makes their indices one. Each index stands in
two places, so a product is a set of chains between fixed indices and of circles.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import count, product
from typing import Any

import sympy as sp

from wideproof.derive.audit.auditor import COEFFICIENTS
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import World
from wideproof.derive.language.program import Coordinate, MatVec, Parameter, Previous, Program, Updated
from wideproof.derive.linear.finite_width import KernelCovariance, KernelMoment, ResponseMoment
from wideproof.derive.linear.trace_means import TraceMean
from wideproof.derive.linear.width_bound import Deviation, KernelGap

Entry = tuple[int, int, int]
"""A matrix, and the indices of one of its entries; indices of at most 0 are fixed, each another value."""
Step = tuple[int, bool]
"""A matrix as a chain walks through one of its entries, from row to column or back."""
Chain = tuple[int, tuple[Step, ...], int]
"""Two fixed indices and the entries between them; a circle has none, and stands between CIRCLE and CIRCLE."""
CIRCLE = 1
ONE = 0
Factor = tuple[Parameter, int]
"""A parameter, and the time since the impulse at which it was drawn, 0 where it is tied."""


def free_indices(entries: tuple[Entry, ...]) -> tuple[int, ...]:
    """E of a product of entries, summed over its indices, in powers of n: how many pairings leave 0, 1, ... free."""
    return _paired(_chains(entries))


def _chains(entries: tuple[Entry, ...]) -> tuple[Chain, ...]:
    """The product as chains and circles, each from the end and in the direction that come first."""
    at: dict[int, list[int]] = defaultdict(list)
    for i, (_, row, column) in enumerate(entries):
        at[row].append(i)
        at[column].append(i)
    unseen, found = set(range(len(entries))), []
    starts = [(i, x) for i, entry in enumerate(entries) for x in entry[1:] if x <= ONE]
    for i, x in [*starts, *((i, entries[i][1]) for i in range(len(entries)))]:
        if i not in unseen:
            continue
        steps: list[Step] = []
        here, first = x, i
        while first in unseen:
            unseen.discard(first)
            matrix, row, column = entries[first]
            forwards = row == here
            steps.append((matrix, forwards))
            here = column if forwards else row
            first = next((k for k in at[here] if k in unseen), first) if here > ONE else first
        found.append((x, tuple(steps), here) if x <= ONE else (CIRCLE, tuple(steps), CIRCLE))
    return tuple(sorted(map(_first_form, found)))


@lru_cache(maxsize=200_000)
def _first_form(chain: Chain) -> Chain:
    start, steps, end = chain
    back = tuple((matrix, not forwards) for matrix, forwards in reversed(steps))
    if start <= ONE:
        return min((start, steps, end), (end, back, start))
    turns = (x[i:] + x[:i] for x in (steps, back) for i in range(len(x)))
    return (CIRCLE, min(turns), CIRCLE)


def _entries(chains: tuple[Chain, ...]) -> list[Entry]:
    """Chains and circles as entries, with new free indices."""
    names, entries = count(CIRCLE), []
    for start, steps, end in chains:
        inner = [next(names) for _ in range(len(steps) - (start <= ONE))]
        places = [start, *inner, end] if start <= ONE else [*inner, inner[0]]
        for (matrix, forwards), a, b in zip(steps, places, places[1:], strict=False):
            entries.append((matrix, a, b) if forwards else (matrix, b, a))
    return entries


@lru_cache(maxsize=500_000)
def _paired(chains: tuple[Chain, ...]) -> tuple[int, ...]:
    if not chains:
        return (1,)
    (matrix, row, column), *rest = _entries(chains)
    before = {x for entry in ((matrix, row, column), *rest) for x in entry[1:]}
    total: list[int] = []
    for i, (other, row2, column2) in enumerate(rest):
        same = _joined((row, row2), (column, column2)) if other == matrix else None
        if same is None:
            continue
        left = tuple((name, same(a), same(b)) for name, a, b in (*rest[:i], *rest[i + 1 :]))
        free = len({x for x in map(same, before) if x > ONE} - {x for entry in left for x in entry[1:]})
        for power, ways in enumerate(free_indices(left), free):
            total += [0] * (power + 1 - len(total))
            total[power] += ways
    return tuple(total)


def _joined(*pairs: tuple[int, int]) -> Any:
    """A map that takes both indices of each pair to one; None where two fixed ones would have to be the same."""
    place: dict[int, int] = {}

    def same(x: int) -> int:
        while x in place:
            x = place[x]
        return x

    for a, b in pairs:
        low, high = sorted((same(a), same(b)))
        if low != high:
            if high <= ONE:
                return None
            place[high] = low
    return same


# ---- what the claims are about --------------------------------------------------------------------
def trace_counts(words: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """E prod_i tr(word_i) in powers of n: the indices of each word run in a circle."""
    entries: list[Entry] = []
    first = ONE + 1
    for word in words:
        for k, letter in enumerate(word):
            ends = first + k, first + (k + 1) % len(word)
            entries.append((abs(letter), *(ends if letter > 0 else ends[::-1])))
        first += len(word)
    return (0,) * sum(not word for word in words) + free_indices(tuple(entries))


def _at(width: int, counts: tuple[int, ...]) -> int:
    return sum(ways * width**power for power, ways in enumerate(counts))


def walks(program: Program, expr: sp.Expr, time: int) -> Iterator[tuple[sp.Expr, tuple[Factor, ...]]]:
    """How an expression at a time answers to an input at time 0: coefficients and the parameters met, in order."""
    for c in sorted(expr.atoms(Coordinate), key=str):
        factor = sp.diff(expr, c)
        match program.table[c]:
            case Previous(state) if time > 0:
                inner: Any = walks(program, program.bodies[program.updated[state]], time - 1)
            case Updated(state):
                inner = walks(program, program.bodies[program.updated[state]], time)
            case MatVec(matrix, _) if matrix.role == "input_map":
                inner = [(sp.S.One, ((matrix, 0),))] if time == 0 else []
            case MatVec(matrix, vector):
                met = (matrix, 0 if matrix.tied else time)
                inner = ((more, (met, *factors)) for more, factors in walks(program, vector, time))
            case _:
                inner = []
        for more, factors in inner:
            yield sp.expand(factor * more), factors


class _Product:
    """Entries of a product, their matrices by number, with new indices for each response."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.numbers: dict[Factor, int] = {}
        self.names = count(ONE + 1)

    def response(self, factors: tuple[Factor, ...], row: int, column: int) -> list[Entry]:
        """C_{row, i} W_{i, k} ... F_{l, column}; row and column are fixed."""
        inner = [next(self.names) for _ in factors[1:]]
        places = [-2 * row, *inner, -2 * column - 1]
        numbers = [self.numbers.setdefault(x, len(self.numbers) + 1) for x in factors]
        return list(zip(numbers, places, places[1:], strict=False))

    def contract(self, first: list[Entry], a: int, second: list[Entry], b: int) -> bool:
        """Take out an entry of each response, whose indices become one; False where they are fixed and differ."""
        same = _joined((first[a][1], second[b][1]), (first[a][2], second[b][2]))
        if same is not None:
            left = first[:a] + first[a + 1 :] + second[:b] + second[b + 1 :]
            self.entries += [(name, same(x), same(y)) for name, x, y in left]
        return same is not None

    def mean(self, world: World) -> tuple[Any, tuple[int, ...]]:
        """What the variances contribute, and the pairings by powers of n."""
        parameters = {number: parameter for (parameter, _), number in self.numbers.items()}
        value = sp.S.One
        for number, times in Counter(name for name, _, _ in self.entries).items():
            value *= world.number(parameters[number].variance, {}) ** sp.Rational(times, 2)
        return value, free_indices(tuple(self.entries))


Summand = tuple[Any, int, tuple[int, ...]]
"""A number, the power of n^{-1/2} beside it, and pairings by powers of n."""


def _value(world: World, expr: sp.Expr, at: Any, summands: Any) -> Any:
    """A sum of products at a width; what stands beside the powers of n is found once in each world."""
    key = (type(expr), expr.args[1:])
    if key not in world.memo:
        world.memo[key] = list(summands(world, *expr.args[1:]))
    width = world.integer(expr.args[0], at)
    return sp.Add(*(
        value * _at(width, counts) / sp.Integer(width) ** sp.Rational(power, 2)
        for value, power, counts in world.memo[key]
    ))  # fmt: skip


def _of_responses(world: World, *lags: sp.Expr) -> Iterator[Summand]:
    program = world.program.base or world.program
    for chosen in product(*(list(walks(program, program.output, int(lag))) for lag in lags)):
        made = _Product()
        for _, factors in chosen:
            made.entries += made.response(factors, 0, 0)
        value, counts = made.mean(world)
        power = sum(len(factors) - 1 for _, factors in chosen)
        yield value * world.number(sp.prod([c for c, _ in chosen]), {}), power, counts


def _of_kernels(world: World, *entries: sp.Tuple) -> Iterator[Summand]:
    for chosen in product(*(list(_derivatives(world, entry)) for entry in entries)):
        made = _Product()
        met = True
        for entry, (_, pair, places) in zip(entries, chosen, strict=True):
            _, _, row, row2, column, column2 = map(int, entry)
            first, second = made.response(pair[0], row, column), made.response(pair[1], row2, column2)
            met = met and made.contract(first, places[0], second, places[1])
        if met:
            value, counts = made.mean(world)
            power = sum(len(factors) - 1 for _, pair, _ in chosen for factors in pair)
            yield value * sp.prod([c for c, _, _ in chosen]), power, counts


def _derivatives(world: World, entry: sp.Tuple) -> Iterator[Any]:
    """Two walks, and a place in each at which they meet the same draw of a trainable parameter."""
    program = world.program.base or world.program
    first, second = (list(walks(program, program.output, int(lag))) for lag in entry[:2])
    for (c, a), (d, b) in product(first, second):
        for i, k in product(range(len(a)), range(len(b))):
            if a[i] == b[k] and a[i][0].trainable:
                unit = sp.S.One if world.program.parameterization == "entries" else a[i][0].variance
                yield world.number(sp.expand(c * d * unit), {}), (a, b), (i, k)


def _covariance(world: World, expr: sp.Expr, at: Any) -> Any:
    width, first, second = expr.args
    both, a, b = (world.number(KernelMoment(width, *x), at) for x in ((first, second), (first,), (second,)))
    return both - a * b


MEANINGS[ResponseMoment] = lambda world, expr, at: _value(world, expr, at, _of_responses)
MEANINGS[KernelMoment] = lambda world, expr, at: _value(world, expr, at, _of_kernels)
MEANINGS[KernelCovariance] = _covariance
COEFFICIENTS[TraceMean] = lambda expr: trace_counts(tuple(tuple(map(int, word)) for word in expr.args[1:]))


def _gap(world: World, expr: sp.Expr, at: Any) -> Any:
    """E Theta^2 - 2 E Theta lim + lim^2, where the limit of the mean is what stands beside the highest power of n."""
    width, entry = expr.args
    square, mean = (world.number(KernelMoment(width, *x), at) for x in ((entry, entry), (entry,)))
    summands = world.memo[KernelMoment, (entry,)]
    limit = sp.Add(*(value * sum(ways for k, ways in enumerate(counts) if 2 * k == power)
                     for value, power, counts in summands))  # fmt: skip
    return square - 2 * mean * limit + limit**2


def _deviation(world: World, expr: sp.Expr, at: Any) -> Any:
    """The largest probability that a variable with this mean square can have to be further off than epsilon."""
    width, entry, size = expr.args
    return world.number(KernelGap(width, entry), at) / world.number(size, at) ** 2


MEANINGS[KernelGap] = _gap
MEANINGS[Deviation] = _deviation
