"""The impulse response of a linear recursion at width n: a sum of products of Gaussian matrices, word by word.

Parameters that only ever occur in one and the same sum are one Gaussian matrix, whose variance is that of the sum.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import NamedTuple

import sympy as sp

from wideproof.derive.calculus.linear_reads import is_affine
from wideproof.derive.calculus.tangent import MARK
from wideproof.derive.language.errors import NotClosed, NotLinear
from wideproof.derive.language.program import (
    Bias,
    Coordinate,
    MatVec,
    Parameter,
    Previous,
    Program,
    State,
    Updated,
    coordinates_of,
    refuse_backward,
)
from wideproof.derive.linear.trace_means import Word, transposed

MOST = 50_000
"""Products of words that one mean is a sum of: more are refused before anything is computed."""


@dataclass(frozen=True)
class Ensemble:
    """A Gaussian matrix with i.i.d. entries: one parameter, or several that occur in the same sum only."""

    number: int
    role: str
    variance: sp.Expr
    tied: bool
    perturbed: bool


class Path(NamedTuple):
    """readout, transition matrices, input map: one product in the impulse response, without n^{-1/2}."""

    readout: int
    word: Word
    inputs: int


class End(NamedTuple):
    """A Gaussian vector: one row of a readout, or one column of an input map."""

    letter: int
    number: int


class Strand(NamedTuple):
    """A number: a word of matrices between two Gaussian vectors."""

    left: End
    word: Word
    right: End


class ImpulseWords:
    """The words of the impulse response of one linear program, or of how it moves where that is a tangent.

    `bodies` and `output` are its lines. Letters count the ensembles; one that is redrawn is another letter at each time
    since the impulse.
    Errors: NotLinear; NotClosed for backward states and for readouts or input maps that are redrawn.
    """

    def __init__(self, program: Program, bodies: Mapping[sp.Expr, sp.Expr], output: sp.Expr, where: str) -> None:
        refuse_others(program, where)
        self.program, self.bodies, self.output, self.where = program, bodies, output, where
        self._memo: dict[tuple[Coordinate, int], dict[tuple[int, ...], sp.Expr]] = {}

    @cached_property
    def ensembles(self) -> dict[int, Ensemble]:
        """All ensembles by their numbers."""
        return {x.number: x for x, _ in self._of.values()}

    @cached_property
    def _of(self) -> dict[Parameter, tuple[Ensemble, sp.Expr]]:
        """The ensemble of each parameter, and its factor there: 0 but for one of those that are one matrix."""
        places: dict[Parameter, list[tuple[sp.Expr, sp.Expr, sp.Expr]]] = defaultdict(list)
        for target, body in (*self.bodies.items(), (None, self.output)):
            self._visit(target, body, places)
        groups: dict[tuple[object, ...], list[tuple[Parameter, sp.Expr]]] = defaultdict(list)
        for parameter, found in places.items():
            first = found[0][2]
            shape = tuple((str(at), vector, sp.cancel(c / first)) for at, vector, c in found)
            moved = parameter.name.startswith(MARK)
            groups[parameter.role, parameter.tied, moved, shape].append((parameter, first))
        ordered = sorted(groups.items(), key=lambda kv: (kv[0][0] != "matrix", kv[0][2], kv[1][0][0].name))
        made: dict[Parameter, tuple[Ensemble, sp.Expr]] = {}
        for number, (_, members) in enumerate(ordered, 1):
            lead = members[0][1]
            variance = sp.expand(sp.Add(*(sp.cancel(c / lead) ** 2 * x.variance for x, c in members)))
            one = members[0][0]
            ensemble = Ensemble(number, one.role, variance, one.tied, one.name.startswith(MARK))
            made |= {x: (ensemble, sp.Integer(int(x is members[0][0]))) for x, _ in members}
        return made

    def _visit(self, target: object, expr: sp.Expr, places: dict[Parameter, list[tuple[sp.Expr, ...]]]) -> None:
        """Note where each parameter occurs, products inside vectors too."""
        for c in coordinates_of(expr):
            term = self.program.table[c]
            if isinstance(term, MatVec):
                places[term.matrix].append((target, term.vector, sp.diff(expr, c)))
                if term.matrix.role != "input_map":
                    self._visit(("inside", target, c.name), term.vector, places)

    def response(self, lag: int) -> dict[Path, sp.Expr]:
        """The words of L at a lag, each with its factor.  Errors: NotClosed for more than MOST."""
        found = self._response(self.output, lag)
        return {Path(word[0], word[1:-1], word[-1]): c for word, c in found.items()}

    def _response(self, expr: sp.Expr, time: int) -> dict[tuple[int, ...], sp.Expr]:
        total: dict[tuple[int, ...], sp.Expr] = defaultdict(lambda: sp.S.Zero)
        for c in coordinates_of(expr):
            factor = sp.diff(expr, c)
            for word, more in self._of_coordinate(c, time).items():
                total[word] += sp.expand(factor * more)
            if len(total) > MOST:
                raise NotClosed(self.where, f"at most {MOST:,} products of matrices", "more", "Ask for smaller lags.")
        return {word: c for word, c in total.items() if c != 0}

    def _of_coordinate(self, c: Coordinate, time: int) -> dict[tuple[int, ...], sp.Expr]:
        if (c, time) not in self._memo:
            self._memo[c, time] = self._made(c, time)
        return self._memo[c, time]

    def _made(self, c: Coordinate, time: int) -> dict[tuple[int, ...], sp.Expr]:
        match self.program.table[c]:
            case Previous(state):
                return self._response(self._body(state), time - 1) if time else {}
            case Updated(state):
                return self._response(self._body(state), time)
            case MatVec(matrix, vector):
                ensemble, factor = self._of[matrix]
                letter = ensemble.number + (0 if ensemble.tied else len(self.ensembles) * time)
                if factor == 0:
                    return {}
                if matrix.role == "input_map":
                    return {} if time else {(letter,): sp.S.One}
                return {(letter, *word): c for word, c in self._response(vector, time).items()}
            case Bias():
                return {}  # a bias moves all responses of the inputs alike: it is no part of L
        return {}

    def _body(self, state: State) -> sp.Expr:
        return self.bodies[self.program.updated[state]]

    def ensemble(self, letter: int) -> Ensemble:
        """Of which ensemble a letter is a draw."""
        return self.ensembles[(abs(letter) - 1) % len(self.ensembles) + 1]

    def variance(self, strands: tuple[Strand, ...]) -> sp.Expr:
        """What the variances of all letters contribute to a mean of strands; 0 where a letter has no partner."""
        count: Counter[int] = Counter()
        for strand in strands:
            count.update([strand.left.letter, strand.right.letter, *map(abs, strand.word)])
        if any(times % 2 for times in count.values()):
            return sp.S.Zero
        return prod((self.ensemble(x).variance ** (times // 2) for x, times in count.items()), start=sp.S.One)


def refuse_others(program: Program, where: str) -> None:
    """Raise NotLinear or NotClosed where the impulse response is no sum of products of Gaussian matrices."""
    base = program.base or program
    if not is_affine(base):
        raise NotLinear(where, "a linear recursion", "another", "Products with an activation do not close.")
    refuse_backward(base, where)
    for parameter in base.parameters:
        if not parameter.tied and parameter.role in ("readout", "input_map"):
            hint = "Only matrices between states may be redrawn: tied=True for readouts and input maps."
            raise NotClosed(where, "tied readouts and input maps", parameter.name, hint)


def matchings(ends: list[End]) -> Iterator[dict[int, int]]:
    """All ways to pair equal Gaussian vectors, as a map from the place of each to that of its partner."""
    places: dict[End, list[int]] = defaultdict(list)
    for place, end in enumerate(ends):
        places[end].append(place)
    for chosen in product(*(tuple(pairings(tuple(of))) for of in places.values())):
        yield {a: b for part in chosen for a, b in part.items()}


def pairings(items: tuple[int, ...]) -> Iterator[dict[int, int]]:
    """All ways to pair the items, as a map from each to its partner."""
    if not items:
        yield {}
        return
    first, *rest = items
    for i, other in enumerate(rest):
        for remaining in pairings((*rest[:i], *rest[i + 1 :])):
            yield {first: other, other: first, **remaining}


def closed_loops(strands: tuple[Strand, ...], partner: dict[int, int]) -> list[Word]:
    """Follow a word to its end, go on at the end's partner, until the loop closes; ends are 2k and 2k + 1."""
    unseen, loops = set(range(len(strands))), []
    while unseen:
        start = here = 2 * min(unseen)
        loop: Word = ()
        while True:
            k, from_right = divmod(here, 2)
            unseen.discard(k)
            loop += transposed(strands[k].word) if from_right else strands[k].word
            here = partner[here ^ 1]
            if here == start:
                break
        loops.append(loop)
    return loops


def closures(strands: tuple[Strand, ...]) -> Iterator[list[Word]]:
    """Isserlis' theorem over readouts and input maps: the traces that each way of pairing them leaves."""
    for partner in matchings([end for strand in strands for end in (strand.left, strand.right)]):
        yield closed_loops(strands, partner)
