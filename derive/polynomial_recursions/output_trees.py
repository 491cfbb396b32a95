"""The output of a polynomial recursion at width n, some steps after a unit impulse, as a sum of trees of indices.

A coordinate of a state is a sum of products of what stands at its own index: entries of vectors, and entries of
matrices, each with another index and what stands there. Products are taken index by index, so equal trees meet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive.language.activations import Phi, Z
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Previous, Program, State, Updated
from wideproof.derive.polynomial_recursions.index_sums import Entry

Tree = tuple[Any, ...]
"""What stands at one index, sorted: (letter, None) is an entry of a vector, (letter, tree) one of a matrix."""
Trees = dict[Tree, sp.Expr]
"""A polynomial in entries: each product with its coefficient."""


class StandardGaussian(NamedTuple):
    """A standard Gaussian matrix or vector: a parameter or the start of a state, as often as it is drawn."""

    name: str
    variance: sp.Expr
    scaled: bool
    """Whether its products carry n^{-1/2}."""
    time: int
    """When it was drawn; 0 for all that is drawn once."""


class OutputTrees:
    """Outputs of one program after a unit impulse at time 0, from the starts that it declares.

    `letters` has those met so far by their numbers, which follow name and time. `bodies` and `output` are the lines of
    the program, `polynomials` its activations in z; `spend` is told each sum that is made, and may refuse it.
    """

    def __init__(
        self,
        program: Program,
        bodies: Mapping[sp.Expr, sp.Expr],
        output: sp.Expr,
        polynomials: Mapping[str, sp.Expr],
        spend: Callable[[Trees], None],
    ) -> None:
        self.program, self.bodies, self.output = program, bodies, output
        self.polynomials, self.spend = polynomials, spend
        self.letters: dict[int, StandardGaussian] = {}
        self._names = sorted([*(x.name for x in program.parameters), *(x.name for x in program.states)])
        self._memo: dict[tuple[sp.Expr, int], Trees] = {}

    def at(self, lag: int) -> Trees:
        """The output of one row, `lag` steps after the impulse."""
        return self._of(self.output, lag)

    def times(self, a: Trees, b: Trees) -> Trees:
        """The product of two polynomials at one index."""
        total: Trees = defaultdict(lambda: sp.S.Zero)
        for left, c in a.items():
            for right, d in b.items():
                total[tuple(sorted((*left, *right), key=_order))] += c * d
            self.spend(total)
        return self._kept(total)

    def _kept(self, total: Trees) -> Trees:
        self.spend(total)
        return {tree: value for tree, c in total.items() if (value := sp.expand(c)) != 0}

    def _of(self, expr: sp.Expr, time: int) -> Trees:
        if (expr, time) not in self._memo:
            self._memo[expr, time] = self._made(expr, time)
        return self._memo[expr, time]

    def _made(self, expr: sp.Expr, time: int) -> Trees:
        if isinstance(expr, Coordinate):
            return self._coordinate(expr, time)
        if isinstance(expr, Phi):
            return self._polynomial(self.polynomials[str(expr.args[0])], self._of(expr.args[2], time))
        if expr.is_Add:
            total: Trees = defaultdict(lambda: sp.S.Zero)
            for term in expr.args:
                for tree, c in self._of(term, time).items():
                    total[tree] += c
            return self._kept(total)
        if expr.is_Mul:
            beside, functions = expr.as_independent(Coordinate, Phi, as_Add=False)
            found: Trees = {(): beside} if beside != 0 else {}
            for factor in sp.Mul.make_args(functions):
                found = self.times(found, self._of(factor, time)) if factor != 1 else found
            return found
        if expr.is_Pow and expr.has(Coordinate):
            return self._polynomial(Z ** int(expr.exp), self._of(expr.base, time))
        return {(): expr} if expr != 0 else {}

    def _polynomial(self, polynomial: sp.Expr, argument: Trees) -> Trees:
        """A polynomial in z of a sum of products, by Horner's scheme."""
        found: Trees = {}
        for c in sp.Poly(polynomial, Z).all_coeffs():
            found = self.times(found, argument)
            found[()] = found.get((), sp.S.Zero) + c
            found = {tree: x for tree, x in found.items() if x != 0}
        return found

    def _coordinate(self, c: Coordinate, time: int) -> Trees:
        match self.program.table[c]:
            case Previous(state):
                return self._of(self._body(state), time - 1) if time else self._start(state)
            case Updated(state):
                return self._of(self._body(state), time)
            case MatVec(matrix, _) if matrix.role == "input_map":
                own = StandardGaussian(matrix.name, matrix.variance, False, 0)
                return {} if time or matrix.variance == 0 else {((self._number(own), None),): sp.S.One}
            case MatVec(matrix, vector):
                own = StandardGaussian(matrix.name, matrix.variance, True, 0 if matrix.tied else time)
                inner = self._of(vector, time) if matrix.variance != 0 else {}
                return {((self._number(own), tree),): x for tree, x in inner.items()}
            case Bias(parameter):
                own = StandardGaussian(parameter.name, parameter.variance, False, 0 if parameter.tied else time)
                found: Trees = {(): parameter.mean} if parameter.mean != 0 else {}
                return found | ({((self._number(own), None),): sp.S.One} if parameter.variance != 0 else {})
        raise AssertionError(f"{c} is an input outside an input map")

    def _start(self, state: State) -> Trees:
        own = StandardGaussian(state.name, state.initial, False, 0)
        return {((self._number(own), None),): sp.S.One} if state.initial != 0 else {}

    def _body(self, state: State) -> sp.Expr:
        return self.bodies[self.program.updated[state]]

    def _number(self, letter: StandardGaussian) -> int:
        number = 1 + self._names.index(letter.name) + len(self._names) * letter.time
        self.letters[number] = letter
        return number


def _order(factor: tuple[int, Any]) -> tuple[int, str]:
    """One order of the factors at an index."""
    return factor[0], repr(factor[1])


def entries_of(tree: Tree) -> tuple[Entry, ...]:
    """A tree that stands at no index as its entries, indices counted from 1."""
    names = count(1)

    def grown(place: int, factors: Tree) -> Iterator[Entry]:
        for letter, inner in factors:
            index = 0 if inner is None else next(names)
            yield (letter, place, index)
            yield from grown(index, inner) if inner is not None else ()

    return tuple(grown(0, tree))
