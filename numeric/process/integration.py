"""Which groups of forms are integrated given the paths of the others, and how: linear maps have recursive moments.

Where a state is linear in what some groups make of it, as h = z h + (1 - z) n is in n given the gate z, its second
moments given the others follow from its own update, step by step. No path of those groups is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import sympy as sp

from wideproof.derive.language.activations import Phi
from wideproof.derive.language.program import Previous
from wideproof.numeric.process.layout import Layout, Pair

Monomial = tuple[sp.Expr, ...]
"""Factors of integrated groups, no two of them of the same one."""
Combination = tuple[tuple[float, Monomial], ...]
"""Weights and monomials of one step."""
Terms = tuple[tuple[sp.Expr, Combination], ...]
"""Coefficients, which paths give, and combinations."""


class Inside(NamedTuple):
    """weight x product of moments given the paths, each of a monomial with another."""

    weight: float
    pairs: tuple[tuple[Monomial, Monomial], ...]


Products = tuple[tuple[tuple[Pair, ...], tuple[Inside, ...]], ...]
"""Expectations that no path changes, and the sum that their product multiplies."""


class NotLinear(Exception):
    """Groups that are not linear in a process, so that paths of them are needed."""

    def __init__(self, groups: Iterable[int]) -> None:
        super().__init__(groups)
        self.groups = frozenset(groups)


@dataclass
class Integration:
    """The groups that paths are drawn of, `kept`, and the moments of all other processes given these.

    `exact` says whether an expectation of two factors takes no paths.
    Shapes: none.  Error: none; exact by independence and linearity.  Source: Rao-Blackwell, casella1996rao.
    """

    layout: Layout
    groups: dict[sp.Symbol, int]
    exact: Callable[[sp.Expr, sp.Expr], bool]
    sampled: list[Pair]
    kept: frozenset[int] = frozenset()
    coefficients: tuple[sp.Expr, ...] = ()
    known: dict[sp.Expr, Terms] = field(default_factory=dict)
    plans: dict[tuple[Combination, Combination], Products] = field(default_factory=dict)

    def __post_init__(self) -> None:
        every = frozenset(self.groups.values())
        if self.layout.random_starts or any(self.layout.backward(state) for state in self.layout.bodies):
            self.kept = every
        for phi in self.layout.activations:
            if not self.exact(phi, phi):
                self.kept |= {self.groups[form] for form in self.layout.forms_read(phi)}
        while True:
            self.known, self.plans = {}, {}
            try:
                self.coefficients = self._coefficients()
            except NotLinear as found:
                self.kept |= found.groups
            else:
                return

    # ---- processes in terms -----------------------------------------------------------------------------
    def reach(self, expr: sp.Expr) -> frozenset[int]:
        """The integrated groups that an expression depends on."""
        reach, groups = self.layout.reach, self.groups
        return frozenset({groups[f] for x in expr.free_symbols for f in reach.get(x, {x} & groups.keys())} - self.kept)

    def state(self, factor: sp.Expr) -> sp.Expr | None:
        """The updated state that a factor is, of its own step or of the one before."""
        term = self.layout.program.table.get(factor)
        after = self.layout.program.updated[term.state] if isinstance(term, Previous) else factor
        return after if after in self.layout.bodies else None

    def terms(self, process: sp.Expr) -> Terms:
        """A process as coefficients times combinations of one step; NotLinear where it is none."""
        if process not in self.known:
            body = self.layout.bodies.get(process)
            self.known[process] = self._terms(self.layout.in_forms(process) if body is None else body)
        return self.known[process]

    def read(self, process: sp.Expr) -> Terms:
        """The same where a moment of it is asked: a state is a combination by itself."""
        return ((sp.S.One, ((1.0, (process,)),)),) if self.state(process) is not None else self.terms(process)

    def _terms(self, expr: sp.Expr) -> Terms:
        found: dict[sp.Expr, dict[Monomial, float]] = {}
        for term in sp.Add.make_args(sp.expand(expr)):
            weight, rest = term.as_coeff_Mul()
            factors = sp.Mul.make_args(rest)
            inside = tuple(sorted((x for x in factors if self.reach(x)), key=str))
            self._check(inside)
            coefficient = sp.Mul(*(x for x in factors if x not in inside))
            found.setdefault(coefficient, {})[inside] = float(weight)
        return tuple((coefficient, tuple((w, m) for m, w in inner.items())) for coefficient, inner in found.items())

    def _check(self, factors: Monomial) -> None:
        for x in factors:
            if self.state(x) is None and x not in self.layout.forms and not isinstance(x, Phi):
                raise NotLinear(self.reach(x))
        for x, y in combinations(factors, 2):
            if self.reach(x) & self.reach(y):
                raise NotLinear(self.reach(x) & self.reach(y))

    def single(self, combination: Combination) -> sp.Expr | None:
        """The state that a combination is, nothing else."""
        (_, first), *others = combination
        return first[0] if not others and len(first) == 1 and self.state(first[0]) is not None else None

    def parts(self, combination: Combination) -> Iterator[tuple[float, Combination]]:
        """A combination as its states one by one, whose moments are kept, and the rest of it together."""
        rest = tuple(part for part in combination if self.single(((1.0, part[1]),)) is None)
        yield from ((w, ((1.0, m),)) for w, m in combination if (w, m) not in rest)
        if rest:
            yield 1.0, rest

    # ---- moments of combinations --------------------------------------------------------------------------
    def products(self, first: Combination, second: Combination) -> Products:
        """The moment of two combinations, neither of them a state alone, in independent factors."""
        if (first, second) not in self.plans:
            found: dict[tuple[Pair, ...], list[Inside]] = {}
            for a, left in first:
                for b, right in second:
                    pairs = self._paired(left, right)
                    if not any(self._vanishes(x, y) for x, y in pairs):
                        known = tuple((x[0], y[0]) for x, y in pairs if self._is_known(x, y))
                        inside = tuple(self._linear(x, y) for x, y in pairs if not self._is_known(x, y))
                        found.setdefault(known, []).append(Inside(a * b, inside))
            self.plans[first, second] = tuple((known, tuple(inside)) for known, inside in found.items())
        return self.plans[first, second]

    def _paired(self, left: Monomial, right: Monomial) -> list[tuple[Monomial, Monomial]]:
        """The factors of two monomials in independent sets."""
        joined: list[tuple[frozenset[int], Monomial, Monomial]] = []
        for a, b in [*(((x,), ()) for x in left), *(((), (x,)) for x in right)]:
            reach = self.reach((a + b)[0])
            for other in [entry for entry in joined if entry[0] & reach]:
                joined.remove(other)
                reach, a, b = reach | other[0], other[1] + a, other[2] + b
            joined.append((reach, a, b))
        return [(a, b) for _, a, b in joined]

    def _vanishes(self, a: Monomial, b: Monomial) -> bool:
        return len(a + b) == 1 and (a + b)[0] in self.layout.forms and self.layout.forms[(a + b)[0]].mean == 0

    def _is_known(self, a: Monomial, b: Monomial) -> bool:
        return len(a) == len(b) == 1 and self.exact(a[0], b[0])

    def _linear(self, a: Monomial, b: Monomial) -> tuple[Monomial, Monomial]:
        """A pair of which one is a state alone, whose update says their moment."""
        if not any(len(x) == 1 and self.state(x[0]) is not None for x in (a, b)):
            raise NotLinear({g for x in a + b for g in self.reach(x)})
        return a, b

    def _coefficients(self) -> tuple[sp.Expr, ...]:
        """What paths have to give for all moments that are asked."""
        found, seen = dict[sp.Expr, None](), set[tuple[Combination, Combination]]()
        todo = list[tuple[Combination, Combination]]()
        for pair in self.pairs:
            left, right = (self.read(x) for x in pair)
            found |= dict.fromkeys(c for c, _ in (*left, *right))
            todo += [(a, b) for _, x in left for _, a in self.parts(x) for _, y in right for _, b in self.parts(y)]
        while todo:
            pair = todo.pop()
            if pair in seen:
                continue
            seen |= {pair, pair[::-1]}
            for here, there in (pair, pair[::-1]):
                if (state := self.single(here)) is not None:
                    terms = self.terms(self.updated(state))
                    found |= dict.fromkeys(c for c, _ in terms)
                    todo += [(part, there) for _, inner in terms for _, part in self.parts(inner)]
            if self.single(pair[0]) is None and self.single(pair[1]) is None:
                inside = [x for _, parts in self.products(*pair) for part in parts for x in part.pairs]
                todo += [(((1.0, a),), ((1.0, b),)) for a, b in inside]
        return tuple(found)

    def updated(self, state: sp.Expr) -> sp.Expr:
        """A state after its update."""
        after = self.state(state)
        assert after is not None
        return after

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of processes whose moments are taken given the paths."""
        return [pair for pair in self.sampled if self.integrates(*pair)]

    def integrates(self, u: sp.Expr, v: sp.Expr) -> bool:
        """Whether a moment of these is taken given the paths, and not of paths of both."""
        return bool(self._open(u) or self._open(v))

    def _open(self, process: sp.Expr) -> frozenset[int]:
        return self.reach(process if self.state(process) is not None else self.layout.in_forms(process))
