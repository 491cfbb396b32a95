"""Which groups of forms are integrated given the paths of the others, and how: linear maps have recursive moments.

Where a state is linear in what some groups make of it, as h = z h + (1 - z) n is in n given the gate z, its second
moments given the others follow from its own update, step by step. No path of those groups is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive.emit.sweeps.moment_programs import PathProgram
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.program import Previous
from wideproof.numeric.process.layout import Layout, Pair

Monomial = tuple[sp.Expr, ...]
"""Factors of integrated groups, no two of them of the same one."""
Weighted = tuple[tuple[float, Monomial], ...]
"""Weights and monomials of one step."""


@dataclass(eq=False)
class Combination:
    """A sum of weights times monomials of one step, made once by `Integration.combined`.

    `state` is the updated state that it is, of its own step or `lag` steps before; `parts` are its states one by one,
    whose moments are kept, and the rest of it together.
    """

    terms: Weighted
    number: int
    state: sp.Expr | None
    lag: int
    parts: tuple[tuple[float, Combination], ...]


Terms = tuple[tuple[sp.Expr, Combination], ...]
"""Coefficients, which paths give, and combinations."""


class Inside(NamedTuple):
    """weight x product of moments given the paths, each of a combination with another."""

    weight: float
    pairs: tuple[tuple[Combination, Combination], ...]


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
    made: dict[Weighted, Combination] = field(default_factory=dict)
    integrated: dict[Pair, bool] = field(default_factory=dict)
    plans: dict[tuple[Combination, Combination], Products] = field(default_factory=dict)
    programs: dict[Any, PathProgram] = field(default_factory=dict)
    joined: dict[tuple[int, ...], tuple[PathProgram, tuple[PathProgram, ...]]] = field(default_factory=dict)
    kinds: int = 0

    def __post_init__(self) -> None:
        every, inside = frozenset(self.groups.values()), {self.groups[form] for form in self.layout.inside}
        if self.layout.random_starts or any(self.layout.backward(state) for state in self.layout.bodies):
            self.kept = every
        for phi in self.layout.activations:
            if not self.exact(phi, phi):
                self.kept |= {self.groups[form] for form in self.layout.forms_read(phi)}
        while True:
            self.known, self.made, self.plans, self.integrated = {}, {}, {}, {}
            if not {g for pair in self.pairs for x in pair for g in self._open(x)} & inside:
                self.kept, self.integrated = every, {}
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
        alone = ((sp.S.One, self.combined(((1.0, (process,)),))),)
        return alone if self.state(process) is not None else self.terms(process)

    def _terms(self, expr: sp.Expr) -> Terms:
        found: dict[sp.Expr, dict[Monomial, float]] = {}
        for term in sp.Add.make_args(sp.expand(expr)):
            weight, rest = term.as_coeff_Mul()
            factors = sp.Mul.make_args(rest)
            inside = tuple(sorted((x for x in factors if self.reach(x)), key=str))
            self._check(inside)
            coefficient = sp.Mul(*(x for x in factors if x not in inside))
            found.setdefault(coefficient, {})[inside] = float(weight)
        return tuple((c, self.combined(tuple((w, m) for m, w in inner.items()))) for c, inner in found.items())

    def _check(self, factors: Monomial) -> None:
        for x in factors:
            if self.state(x) is None and x not in self.layout.forms and not isinstance(x, Phi):
                raise NotLinear(self.reach(x))
        for x, y in combinations(factors, 2):
            if self.reach(x) & self.reach(y):
                raise NotLinear(self.reach(x) & self.reach(y))

    def combined(self, terms: Weighted) -> Combination:
        """The combination of these terms, one object each."""
        if terms not in self.made:
            states = [len(m) == 1 and self.state(m[0]) is not None for _, m in terms]
            state = self.state(terms[0][1][0]) if terms[0][0] == 1.0 and len(terms) == 1 and states[0] else None
            lag = int(state is not None and state != terms[0][1][0])
            rest = tuple(term for term, alone in zip(terms, states, strict=True) if not alone)
            parts = [(w, self.combined(((1.0, m),))) for (w, m), alone in zip(terms, states, strict=True)
                     if alone and state is None]  # fmt: skip
            if parts and rest:
                parts.append((1.0, self.combined(rest)))
            self.made[terms] = made = Combination(terms, len(self.made), state, lag, tuple(parts))
            made.parts = made.parts or ((1.0, made),)
        return self.made[terms]

    # ---- moments of combinations --------------------------------------------------------------------------
    def products(self, first: Combination, second: Combination) -> Products:
        """The moment of two combinations, neither of them a state alone, in independent factors."""
        if (first, second) not in self.plans:
            found: dict[tuple[Pair, ...], list[Inside]] = {}
            for a, left in first.terms:
                for b, right in second.terms:
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

    def _linear(self, a: Monomial, b: Monomial) -> tuple[Combination, Combination]:
        """A pair of which one is a state alone, whose update says their moment."""
        first, second = (self.combined(((1.0, x),)) for x in (a, b))
        if first.state is None and second.state is None:
            raise NotLinear({g for x in a + b for g in self.reach(x)})
        return first, second

    def _coefficients(self) -> tuple[sp.Expr, ...]:
        """What paths have to give for all moments that are asked."""
        found, seen = dict[sp.Expr, None](), set[tuple[Combination, Combination]]()
        todo = list[tuple[Combination, Combination]]()
        for pair in self.pairs:
            left, right = (self.read(x) for x in pair)
            found |= dict.fromkeys(c for c, _ in (*left, *right))
            todo += [(a, b) for _, x in left for _, a in x.parts for _, y in right for _, b in y.parts]
        while todo:
            pair = todo.pop()
            if pair in seen:
                continue
            seen |= {pair, pair[::-1]}
            for here, there in (pair, pair[::-1]):
                if here.state is not None:
                    terms = self.terms(here.state)
                    found |= dict.fromkeys(c for c, _ in terms)
                    todo += [(part, there) for _, inner in terms for _, part in inner.parts]
            if pair[0].state is None and pair[1].state is None:
                todo += [x for _, parts in self.products(*pair) for part in parts for x in part.pairs]
        self.kinds = sum(a.state is not None and a.number <= b.number for a, b in seen)
        return tuple(found)

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of processes whose moments are taken given the paths."""
        return [pair for pair in self.sampled if self.integrates(*pair)]

    def integrates(self, u: sp.Expr, v: sp.Expr) -> bool:
        """Whether a moment of these is taken given the paths, and not of paths of both."""
        if (u, v) not in self.integrated:
            self.integrated[u, v] = bool(self._open(u) or self._open(v))
        return self.integrated[u, v]

    def _open(self, process: sp.Expr) -> frozenset[int]:
        return self.reach(process if self.state(process) is not None else self.layout.in_forms(process))
