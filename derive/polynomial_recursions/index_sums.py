"""Means of products of entries of Gaussian matrices and vectors, summed over their indices, by pairing entries.

Each index runs from 1 to n, whatever the others are. One integration by parts takes out an entry and each of its
possible partners of the same matrix, whose rows become one index and whose columns another:
    sum_{a b c d} G_ab G_cd f(a, b, c, d) -> sum_{a b} f(a, b, a, b)
An index that no entry is left to hold runs freely and gives n. Products are remembered up to the names of indices.
Source: the entries' covariance and E[G f(G)] = E[df/dG].
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import sympy as sp

from wideproof.derive.language.notation import n
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.rules import Ask, rule

Entry = tuple[int, int, int]
"""The number of a matrix or a vector, row and column; 0 is no index: the one row of a readout, a vector's column."""
Polynomial = tuple[int, ...]
"""Coefficients of 1, n, n^2, ..."""
NAMES = "abcdefghijklmopqrstuvwxyz"
"""What indices are called, n left out."""


class IndexMean(sp.Function):
    """E of a product of entries of standard Gaussian matrices and vectors, summed over its indices: n, the entries."""

    def _latex(self, printer: Any) -> str:
        entries = Counter(tuple(int(x) for x in entry) for entry in self.args[1:])
        indices = sorted({x for _, *places in entries for x in places if x})
        over = rf"\sum_{{{' '.join(map(_name, indices))}}} " if indices else ""
        factors = []
        for (letter, *places), power in sorted(entries.items()):
            at = " ".join(_name(x) for x in places if x)
            raised = rf"\left(G_{{{letter}}}\right)" if at else f"G_{{{letter}}}"
            factors.append(raised + (rf"_{{{at}}}" if at else "") + (f"^{{{power}}}" if power > 1 else ""))
        return rf"\mathbb{{E}}\left[{over}{' '.join(factors)}\right]"


def _name(index: int) -> str:
    """The letter of an index, with a number where letters run out."""
    again, place = divmod(index - 1, len(NAMES))
    return NAMES[place] + (f"_{{{again}}}" if again else "")


def index_mean(entries: Iterable[Entry]) -> IndexMean:
    """The mean of a product of entries, indices named in canonical form."""
    return IndexMean(n, *(sp.Tuple(*entry) for entry in canonical(tuple(entries))))


@rule(
    "index-pairings",
    source="integration by parts: E[G f(G)] = E[df/dG]; stein1981estimation",
    rank=792,
    says="integration by parts removes one entry and its partner in every possible way, which makes their indices one,",
)
def index_pairings(subject: Any, ask: Ask) -> Claim:
    """Remove one entry and its partner in every possible way until no entry is left."""
    entries = tuple(tuple(int(x) for x in entry) for entry in subject.args[1:])
    coefficients = mean_of_entries(canonical(entries))
    return Equation(subject, sp.Add(*(c * n**power for power, c in enumerate(coefficients))))


@lru_cache(maxsize=200_000)
def mean_of_entries(entries: tuple[Entry, ...]) -> Polynomial:
    """E of a product of entries summed over all its indices, as a polynomial in n."""
    if not entries:
        return (1,)
    if any(count % 2 for count in Counter(letter for letter, _, _ in entries).values()):
        return ()
    first = _next(entries)
    rest = list(entries)
    rest.remove(first)
    total: list[int] = []
    for partner, ways in Counter(entry for entry in rest if entry[0] == first[0]).items():
        left, free = _paired(first, partner, rest)
        for power, c in enumerate(mean_of_entries(canonical(left)), free):
            total += [0] * (power + 1 - len(total))
            total[power] += ways * c
    return tuple(total)


def _next(entries: tuple[Entry, ...]) -> Entry:
    """The entry to take out: matrices before vectors, the fewest kinds of partners first, then the busiest row."""
    powers = Counter(entries)
    kinds = Counter(letter for letter, _, _ in powers)
    busy = Counter(x for _, *places in entries for x in places)
    return min(powers, key=lambda entry: (not entry[2], kinds[entry[0]], -busy[entry[1]], -powers[entry], entry))


def _paired(first: Entry, partner: Entry, rest: list[Entry]) -> tuple[tuple[Entry, ...], int]:
    """What is left where two entries have met, and how many of their indices no other entry holds."""
    same: dict[int, int] = {}

    def one(x: int) -> int:
        while x in same:
            x = same[x]
        return x

    for x, y in zip(first[1:], partner[1:], strict=True):
        low, high = sorted((one(x), one(y)))
        if low != high:
            same[high] = low
    left = list(rest)
    left.remove(partner)
    joined = tuple((letter, one(a), one(b)) for letter, a, b in left)
    held = {x for _, *places in joined for x in places}
    return joined, len({one(x) for x in (*first[1:], *partner[1:])} - held - {0})


@lru_cache(maxsize=200_000)
def canonical(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The same product with indices renamed by what they hold, sorted; equal products mostly get equal names.

    Indices are told apart by the entries they stand in and by the neighbours there, again and again; of those that are
    still alike one is singled out. Two products with one form are always equal.
    """
    held: dict[int, list[tuple[int, int, int]]] = {}
    for letter, a, b in entries:
        held.setdefault(a, []).append((letter, 0, b))
        held.setdefault(b, []).append((letter, 1, a))
    held.pop(0, None)
    colour = _refined(held, dict.fromkeys(held, 0))
    while len(set(colour.values())) < len(held):
        alike = Counter(colour.values())
        tied = min(c for c, count in alike.items() if count > 1)
        single = min(x for x in held if colour[x] == tied)
        colour = _refined(held, {x: 2 * c - (x == single) for x, c in colour.items()})
    names = {x: c + 1 for x, c in colour.items()} | {0: 0}
    return tuple(sorted((letter, names[a], names[b]) for letter, a, b in entries))


def _refined(held: dict[int, list[tuple[int, int, int]]], colour: dict[int, int]) -> dict[int, int]:
    """Colours by colour and by neighbours' colours, until no more are told apart; they count from 0."""
    while True:
        looks = {
            x: (colour[x], tuple(sorted((letter, side, colour.get(y, -1), x == y) for letter, side, y in places)))
            for x, places in held.items()
        }
        order = {look: i for i, look in enumerate(sorted(set(looks.values())))}
        finer = {x: order[look] for x, look in looks.items()}
        if len(order) == len(set(colour.values())):
            return finer
        colour = finer


def by_monomials(expr: sp.Expr) -> sp.Expr:
    """The same sum of powers of n, those beside one product of the other symbols together."""
    found: dict[sp.Expr, list[sp.Expr]] = defaultdict(list)
    for term in sp.Add.make_args(sp.expand(expr)):
        power, rest = term.as_independent(*(term.free_symbols - {n}), as_Add=False)
        found[rest].append(power)
    return sp.Add(*(rest * sp.Add(*powers) for rest, powers in found.items()))
