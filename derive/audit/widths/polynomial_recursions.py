"""The independent audit of polynomial recursions at finite width: partitions of indices, no integration by parts.

Indices of which it is said which are equal run over different values, and entries at different places are independent:
a product has the mean prod (m - 1)!! over the powers m of its entries, none of them odd. With k different values it
stands n (n - 1) ... (n - k + 1) times. Indices that end a product, alike but for their names, are counted together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from math import comb, prod
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive.audit.auditor import CHECKS, COEFFICIENTS, same
from wideproof.derive.audit.world import World
from wideproof.derive.language.activations import Phi, Z, definition_at
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Parameter, Previous, State, Updated
from wideproof.derive.polynomial_recursions.index_sums import IndexMean
from wideproof.derive.polynomial_recursions.output_moments import OutputMoment
from wideproof.derive.proof.claims import Equation

Entry = tuple[int, int, int]
"""A matrix or vector, row and column; 0 is no index."""


class Group(NamedTuple):
    """Indices that end a product, all reached by one entry of a matrix from one value, with the same vectors."""

    letter: int
    parent: int
    vectors: tuple[int, ...]


Alike = tuple[tuple[Group, int], ...]
"""Groups, and how many indices each has."""


def index_counts(entries: tuple[Entry, ...]) -> tuple[int, ...]:
    """E of a product of entries summed over its indices, in powers of n, from all partitions of the indices."""
    ends = _ends(entries)
    inner = sorted({x for _, *places in entries for x in places if x} - set(ends))
    kept = [entry for entry in entries if not {*entry[1:]} & set(ends)]
    free = {letter for end in ends.values() for letter in (end.letter, *end.vectors)}
    by_values: Counter[int] = Counter()
    for value_of in _partitions(inner):
        powers = Counter((letter, value_of[a], value_of[b]) for letter, a, b in kept)
        if any(m % 2 for (letter, _, _), m in powers.items() if letter not in free):
            continue
        groups = Counter(end._replace(parent=value_of[end.parent]) for end in ends.values())
        values = max(value_of.values())
        left = {tuple(sorted(groups.items())): prod(_of_normal(m) for (_, a, b), m in powers.items() if not a + b)}
        for value in range(1, values + 1):
            left = _spread(left, value, powers)
        for alike, ways in left.items():
            for further, more in enumerate(_new_values(alike)):
                by_values[values + further] += ways * more
    return _powers_of(by_values)


def _ends(entries: tuple[Entry, ...]) -> dict[int, Group]:
    """The indices that one entry leads to, from an index that is none of them, and only vectors are read at."""
    into, at = defaultdict(list), defaultdict(list)
    for letter, a, b in entries:
        into[b].append((letter, a))
        at[a].append((letter, b))
    leaves = {x for x in into if x and len(into[x]) == 1 and not any(b for _, b in at[x])}
    kinds = {x: Group(*into[x][0], tuple(sorted(letter for letter, _ in at[x]))) for x in leaves}
    return {x: kind for x, kind in kinds.items() if kind.parent and kind.parent not in leaves}


def _partitions(indices: list[int]) -> Iterator[dict[int, int]]:
    """All ways to say which indices are equal: the values are counted from 1 as they first occur."""
    if not indices:
        yield {0: 0}
        return
    *others, last = indices
    for way in _partitions(others):
        for value in range(1, max(way.values()) + 2):
            yield way | {last: value}


@lru_cache(maxsize=1_000)
def _of_normal(power: int) -> int:
    """E g^power of a standard Gaussian."""
    return 0 if power % 2 else prod(range(1, power, 2))


Left = dict[Alike, int]
"""What is left of the groups -> in how many ways, each with its mean."""


def _spread(left: Left, value: int, powers: Counter[Entry]) -> Left:
    """Give indices of the groups one value that others have."""
    own = {entry: m for entry, m in powers.items() if (entry[2] or entry[1]) == value}
    found: Left = defaultdict(int)
    for alike, ways in left.items():
        for rest, more in _taken(alike, value, own):
            found[rest] += ways * more
    return found


def _taken(alike: Alike, value: int, own: dict[Entry, int]) -> Iterator[tuple[Alike, int]]:
    """All choices of indices of the groups to have a value at which these entries stand: what is left, how often."""
    reached: dict[tuple[int, int], list[tuple[Group, int]]] = defaultdict(list)
    for group, count in alike:
        reached[group.letter, group.parent].append((group, count))
    led = {(letter, parent, value): _chosen(tuple(of), own.get((letter, parent, value), 0))
           for (letter, parent), of in reached.items()}  # fmt: skip
    fixed = prod(_of_normal(m) for entry, m in own.items() if entry not in led and entry[2])
    beside = Counter({letter: m for (letter, _, column), m in own.items() if not column})
    for choices in product(*led.values()) if fixed else ():
        vectors = beside.copy()
        for met, _, _ in choices:
            for letter, m in met:
                vectors[letter] += m
        mean = fixed * prod(map(_of_normal, vectors.values()))
        if mean:
            rest = tuple(sorted(part for _, parts, _ in choices for part in parts))
            yield rest, mean * prod(ways for _, _, ways in choices)


@lru_cache(maxsize=100_000)
def _chosen(alike: Alike, power: int) -> tuple[tuple[tuple[tuple[int, int], ...], Alike, int], ...]:
    """Choices among groups that one entry leads to, of that power before: their vectors, what is left, how often."""
    found = []
    for taken in product(*(range(count + 1) for _, count in alike)):
        mean = _of_normal(power + sum(taken))
        if mean:
            met: Counter[int] = Counter()
            for (group, _), some in zip(alike, taken, strict=True):
                for letter in group.vectors:
                    met[letter] += some
            rest = tuple(
                (group, count - some) for (group, count), some in zip(alike, taken, strict=True) if count > some
            )
            ways = mean * prod(comb(count, some) for (_, count), some in zip(alike, taken, strict=True))
            found.append((tuple(met.items()), rest, ways))
    return tuple(found)


@lru_cache(maxsize=100_000)
def _new_values(alike: Alike) -> tuple[int, ...]:
    """Give all that are left values of their own, in ways by how many values: the first of them, then the others."""
    if not alike:
        return (1,)
    (first, count), *others = alike
    total: Counter[int] = Counter()
    without = tuple(sorted([(first, count - 1), *others] if count > 1 else others))
    own = Counter(
        {(first.letter, first.parent, -1): 1} | {(letter, -1, 0): m for letter, m in Counter(first.vectors).items()}
    )
    for rest, more in _taken(without, -1, own):
        for values, ways in enumerate(_new_values(rest), 1):
            total[values] += more * ways
    return tuple(total[k] for k in range(1 + max(total, default=-1)))


def _powers_of(by_values: Counter[int]) -> tuple[int, ...]:
    """A sum of n (n - 1) ... (n - k + 1) in powers of n."""
    total: Counter[int] = Counter()
    for values, ways in by_values.items():
        falling = [1]
        for k in range(values):
            falling = [up - k * here for up, here in zip([0, *falling], [*falling, 0], strict=True)]
        for power, c in enumerate(falling):
            total[power] += ways * c
    return tuple(total[power] for power in range(1 + max((k for k, c in total.items() if c), default=-1)))


# ---- what the claims are about --------------------------------------------------------------------
Drawn = Parameter | State
Draw = tuple[int, str]
"""When something was drawn, 0 where that is once, and its name."""
Branch = tuple[Draw, "tuple[Branch, ...] | None"]
"""A draw, and what stands at the other index of its entry; None for a vector."""
Sums = dict[tuple[Branch, ...], Any]
"""Products of what stands at one index, each with its coefficient."""


class UnrolledOutputs:
    """The outputs of a program after a unit impulse, activations as the powers of z that they are."""

    def __init__(self, world: World) -> None:
        self.world, self.program = world, world.program.base or world.program
        self.variances: dict[Draw, Any] = {}
        self.scaled: dict[Draw, bool] = {}
        self.known: dict[Any, Sums] = {}

    def of(self, expr: sp.Expr, time: int) -> Sums:
        """An expression at a time, in products of entries."""
        if (expr, time) not in self.known:
            self.known[expr, time] = self._of(expr, time)
        return self.known[expr, time]

    def _of(self, expr: sp.Expr, time: int) -> Sums:
        if isinstance(expr, Coordinate):
            return dict(self._read(expr, time))
        if isinstance(expr, Phi):
            inner = self.of(expr.args[2], time)
            powers = sp.Poly(definition_at(str(expr.args[0]), 0, Z), Z).terms()
            return _added(product_of([inner] * k, self.world.number(c, {})) for (k,), c in powers)
        if expr.is_Add:
            return _added(self.of(x, time) for x in expr.args)
        if expr.is_Mul:
            return product_of([self.of(x, time) for x in expr.args])
        if expr.is_Pow and expr.has(Coordinate):
            return product_of([self.of(expr.base, time)] * int(expr.exp))
        return {(): self.world.number(expr, {})}

    def _read(self, c: Coordinate, time: int) -> Iterator[tuple[tuple[Branch, ...], Any]]:
        match self.program.table[c]:
            case Previous(state) if time == 0:
                yield from self._entry(state, 0, None)
            case Previous(state):
                yield from self.of(self.program.bodies[self.program.updated[state]], time - 1).items()
            case Updated(state):
                yield from self.of(self.program.bodies[c], time).items()
            case MatVec(matrix, _) if matrix.role == "input_map":
                if time == 0:
                    yield from self._entry(matrix, 0, None)
            case MatVec(matrix, vector):
                for inside, x in self.of(vector, time).items():
                    yield from self._entry(matrix, time, inside, x)
            case Bias(parameter):
                yield from self._entry(parameter, time, None)
                yield (), self.world.number(parameter.mean, {})

    def _entry(
        self, drawn: Drawn, time: int, inside: tuple[Branch, ...] | None, c: Any = sp.S.One
    ) -> Iterator[tuple[tuple[Branch, ...], Any]]:
        """One entry and what stands at its other index, nothing where it is always zero."""
        draw = (0 if isinstance(drawn, State) or drawn.tied else time, drawn.name)
        self.variances[draw] = self.world.number(drawn.initial if isinstance(drawn, State) else drawn.variance, {})
        self.scaled[draw] = isinstance(drawn, Parameter) and drawn.role in ("matrix", "readout")
        if self.variances[draw] != 0:
            yield ((draw, inside),), c

    def moment(self, lags: Iterable[int]) -> dict[sp.Rational, Any]:
        """E of the product of outputs at the lags: power of n -> coefficient."""
        found: dict[sp.Rational, Any] = defaultdict(lambda: sp.S.Zero)
        for branches, c in product_of([self.of(self.program.output, lag) for lag in lags]).items():
            times = Counter(_draws(branches))
            if any(m % 2 for m in times.values()):
                continue
            squared = sp.Mul(*(self.variances[draw] ** (m // 2) for draw, m in times.items()))
            power = sp.Rational(sum(m for draw, m in times.items() if self.scaled[draw]), 2)
            for free, ways in enumerate(_known_counts(_numbered(branches))):
                found[free - power] += c * squared * ways
        return found


def _added(sums: Iterable[Sums]) -> Sums:
    total: Sums = defaultdict(lambda: sp.S.Zero)
    for branches, c in (item for one in sums for item in one.items()):
        total[branches] += c
    return dict(total)


def product_of(factors: list[Sums], c: Any = sp.S.One) -> Sums:
    """The product of sums of products, term by term."""
    found: Sums = {(): sp.sympify(c, strict=True)}
    for factor in factors:
        found = _added(
            {tuple(sorted((*a, *b), key=repr)): x * y} for (a, x), (b, y) in product(found.items(), factor.items())
        )
    return found


def _draws(branches: tuple[Branch, ...]) -> Iterator[Draw]:
    for draw, inside in branches:
        yield draw
        yield from _draws(inside or ())


def _numbered(branches: tuple[Branch, ...]) -> tuple[Entry, ...]:
    """Products as entries: draws in their order, indices in the order in which they are met."""
    numbers = {draw: number for number, draw in enumerate(sorted(set(_draws(branches))), 1)}
    entries: list[Entry] = []
    waiting, indices = [(0, branches)], 0
    for place, here in waiting:
        for draw, inside in here:
            indices += inside is not None
            entries.append((numbers[draw], place, 0 if inside is None else indices))
            if inside is not None:
                waiting.append((indices, inside))
    return tuple(entries)


def _branches(entries: tuple[Entry, ...], place: int = 0) -> tuple[Branch, ...]:
    """Entries as products again, each index once; its inverse names indices in one order."""
    found = (((0, f"{letter:06d}"), _branches(entries, b) if b else None) for letter, a, b in entries if a == place)
    return tuple(sorted(found, key=repr))


@lru_cache(maxsize=10_000)
def _known_counts(entries: tuple[Entry, ...]) -> tuple[int, ...]:
    """`index_counts`, and at once none where an entry has no partner."""
    odd = any(times % 2 for times in Counter(letter for letter, _, _ in entries).values())
    return () if odd else index_counts(entries)


def _check_moment(world: World, claim: Equation) -> None:
    """Both sides are the same polynomial in powers of n."""
    key = ("unrolled", claim.left)
    if key not in world.memo:
        world.memo[key] = UnrolledOutputs(world).moment([int(lag) for lag in claim.left.args[1:]])
    known = world.memo[key]
    values = {x: sp.sympify(value, strict=True) for x, value in world.parameters.items()}
    stated: dict[sp.Expr, Any] = defaultdict(lambda: sp.S.Zero)
    for term in sp.Add.make_args(sp.expand(claim.right.xreplace(values))):
        c, power = term.as_coeff_exponent(n)
        stated[power] += c
    for power in {*known, *stated}:
        same(world, claim, known.get(power, sp.S.Zero), stated.get(power, sp.S.Zero))


def _check_activation(world: World, claim: Equation) -> None:
    """What is said of an activation is its definition, at more points than either has degrees."""
    name, order, at = claim.left.args
    if order != 0 or at != Z or not claim.right.is_polynomial(Z):
        raise ProofError("audit", "a polynomial in z for an activation at z", claim, "It is another claim.")
    defined = definition_at(str(name), 0, Z)
    for place in range(2 + max(sp.degree(x, Z) for x in (defined, claim.right) if x.has(Z))):
        same(world, claim, definition_at(str(name), 0, sp.Integer(place)), claim.right.subs(Z, place))


def _coefficients(expr: sp.Expr) -> tuple[int, ...]:
    """Of a mean of entries in powers of n."""
    return _known_counts(_numbered(_branches(tuple((int(x), int(a), int(b)) for x, a, b in expr.args[1:]))))


COEFFICIENTS[IndexMean] = _coefficients
CHECKS[OutputMoment] = _check_moment
CHECKS[Phi] = _check_activation
