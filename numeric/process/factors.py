"""Moments of processes as sums of products of moments of independent factors, found once for a process.

A gate that multiplies independent of all else, such as the reset gate of a GRU or the output gate of an LSTM, is a
factor by itself: its moments are expectations over two Gaussian variables, and no path of it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import sympy as sp
from array_api_compat import numpy as xp

from wideproof.derive.expectation.mehler_series import truncated
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.program import Previous
from wideproof.numeric.core.activations import activation_function
from wideproof.numeric.process.groups import merged_groups, twins
from wideproof.numeric.process.integration import Integration
from wideproof.numeric.process.layout import CovarianceTerm, Layout, Pair

ONE = sp.S.One
WORTH, FEWEST = 32, 8
"""How many paths one path with moments given it is worth, and so few are always taken; measured on a GRU and an MGU,
where it is 20 (nngp) to 100 (ntk)."""
Term = tuple[float, dict[frozenset[int], sp.Expr]]


class Product(NamedTuple):
    """weight x product over pairs of E[u_t v_s]."""

    weight: float
    pairs: tuple[Pair, ...]


class LongSeries(Exception):
    """An activation of one form, whose expectations are not known by a short series and need paths after all."""

    def __init__(self, phi: Phi) -> None:
        super().__init__(phi)
        self.phi = phi


def factors_of(layout: Layout, inexact: frozenset[sp.Expr] | None = None) -> Factors:
    """The factors of a layout, found once; where nothing is said, what series are long at unit variance is inexact."""
    if inexact not in layout.factored:
        layout.factored[inexact] = Factors(layout, long_series(layout) if inexact is None else inexact)
    found: Factors = layout.factored[inexact]
    return found


def long_series(layout: Layout) -> frozenset[sp.Expr]:
    """The activations of one form each whose series is long at unit variance already, as of all with kinks."""
    alone = sorted((phi for phi in layout.activations if phi.args[2] in layout.forms), key=str)
    return frozenset(phi for phi in alone if _is_long(phi))


def _is_long(phi: Phi) -> bool:
    function = activation_function(str(phi.args[0]), int(phi.args[1]))
    with np.errstate(all="ignore"):
        return truncated(xp, function, np.zeros(1), np.ones(1)) is None


@dataclass
class Factors:
    """The moments of a layout's processes in factors, and the processes of which paths are needed for them.

    `inexact` are activations whose expectations take paths, `orders` the most that series of the others have had.
    Shapes: none.  Error: none; exact by independence.  Source: derive.calculus.gaussian_process, independence.
    """

    layout: Layout
    inexact: frozenset[sp.Expr] = frozenset()
    groups: dict[sp.Symbol, int] = field(init=False)
    known: dict[Pair, tuple[Product, ...] | None] = field(default_factory=dict)
    exactly: dict[Pair, bool] = field(default_factory=dict)
    laws: dict[Pair, tuple[CovarianceTerm, ...]] = field(default_factory=dict)
    expanded: dict[sp.Expr, bool] = field(default_factory=dict)
    integration: Integration = field(init=False)
    used: set[sp.Expr] = field(init=False)
    twins: dict[sp.Symbol, sp.Symbol] = field(init=False)
    orders: dict[sp.Expr, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.groups = merged_groups(self.layout)
        self.integration = Integration(self.layout, self.groups, self.exact, self._sampled_pairs())
        self.used = self._used()
        self.twins = twins(self.layout)

    def split(self, u: sp.Expr, v: sp.Expr) -> tuple[Product, ...] | None:
        """Return E[u_t v_s] in independent factors, None where it has one only."""
        if (u, v) not in self.known:
            self.known[u, v] = self._split(u, v)
        return self.known[u, v]

    def expands(self, process: sp.Expr) -> bool:
        """Whether a process is a state that is read through its update: some group enters it there and nowhere before.

        Only of states that start at zero and read forward.
        """
        if process not in self.expanded:
            self.expanded[process] = self._expands(process)
        return self.expanded[process]

    def updated(self, process: sp.Expr) -> sp.Expr:
        """The state that an expanded process is of its own step or of the one before; others as they are."""
        return self._state(process) if self.expands(process) else process

    def _expands(self, process: sp.Expr) -> bool:
        state = self._state(process)
        if state is None or self.layout.backward(state) or self.layout.start(state)[0] != 0:
            return False
        body = self.layout.bodies[state]
        deep = set().union(*(self._reach(x) for x in body.free_symbols - self.layout.forms.keys()))
        return any(self.groups[f] not in deep for f in body.free_symbols & self.layout.forms.keys())

    def exact(self, a: sp.Expr, b: sp.Expr) -> bool:
        """Whether E[a b] needs no paths: two forms, or activations of one form each, their series short."""
        if (a, b) not in self.exactly:
            self.exactly[a, b] = (
                not {a, b} & self.inexact
                and all(x in self.layout.forms or self.form_of(x) is not None for x in (a, b))
                and ((a in self.layout.forms) == (b in self.layout.forms))
            )
        return self.exactly[a, b]

    def covariance(self, first: sp.Symbol, second: sp.Symbol) -> tuple[CovarianceTerm, ...]:
        """Return the summands of the covariance of two forms."""
        if (first, second) not in self.laws:
            left, right = (self.layout.forms[form].weights for form in (first, second))
            pairs = [(weight * factor, self.layout.laws.get((c, d))) for c, weight in left for d, factor in right]
            self.laws[first, second] = tuple(replace(law, weight=w * law.weight) for w, law in pairs if law)
        return self.laws[first, second]

    def form_of(self, factor: sp.Expr) -> sp.Symbol | None:
        """The form of which a factor is an activation."""
        return factor.args[2] if isinstance(factor, Phi) and factor.args[2] in self.layout.forms else None

    def paths(self, points: int) -> int:
        """Return how many paths take the place of so many without integration: WORTH fewer, but FEWEST."""
        return max(min(points, FEWEST), points // WORTH) if self.integration.coefficients else points

    # ---- splitting ------------------------------------------------------------------------------------
    def _split(self, u: sp.Expr, v: sp.Expr) -> tuple[Product, ...] | None:
        found, several = [], False
        for weight, left in self._terms(u):
            for factor, right in self._terms(v):
                pairs = self._paired(left, right)
                several = several or len(pairs) > 1
                if not any(self._vanishes(a, b) for a, b in pairs):
                    found.append(Product(weight * factor, tuple(pairs)))
        return tuple(found) if several or self.exact(*found[0].pairs[0]) else None

    def _terms(self, process: sp.Expr) -> list[Term]:
        """The summands of a process, each as its factors of independent groups."""
        if self.expands(process):
            expr = self.layout.bodies[self._state(process)]
        else:
            expr = process if self._state(process) is not None else self.layout.in_forms(process)
        terms = [self._factors(term) for term in sp.Add.make_args(sp.expand(expr))]
        whole = frozenset(self._reach(expr))
        return terms if any(len(parts) > 1 for _, parts in terms) or len(terms) == 1 else [(1.0, {whole: expr})]

    def _factors(self, term: sp.Expr) -> Term:
        weight, parts = 1.0, dict[frozenset[int], sp.Expr]()
        for factor in sp.Mul.make_args(term):
            if factor.is_Number:
                weight *= float(factor)
                continue
            reach, product = frozenset(self._reach(factor)), factor
            for other in [key for key in parts if key & reach]:
                reach, product = reach | other, product * parts.pop(other)
            parts[reach] = product
        return weight, parts

    def _paired(self, left: dict[frozenset[int], sp.Expr], right: dict[frozenset[int], sp.Expr]) -> list[Pair]:
        joined: list[tuple[frozenset[int], sp.Expr, sp.Expr]] = []
        for reach, a, b in [*((k, x, ONE) for k, x in left.items()), *((k, ONE, x) for k, x in right.items())]:
            for other in [entry for entry in joined if entry[0] & reach]:
                joined.remove(other)
                reach, a, b = reach | other[0], a * other[1], b * other[2]
            joined.append((reach, a, b))
        return [(a, b) for _, a, b in joined] or [(ONE, ONE)]

    def _vanishes(self, a: sp.Expr, b: sp.Expr) -> bool:
        alone = a if b == ONE else b if a == ONE else None
        return alone in self.layout.forms and self.layout.forms[alone].mean == 0

    def _state(self, process: sp.Expr) -> sp.Expr | None:
        term = self.layout.program.table.get(process)
        after = self.layout.program.updated[term.state] if isinstance(term, Previous) else process
        return after if after in self.layout.bodies else None

    def _reach(self, expr: sp.Expr) -> set[int]:
        reach, groups = self.layout.reach, self.groups
        return {groups[f] for x in expr.free_symbols for f in reach.get(x, {x} & groups.keys())}

    # ---- what paths are for -----------------------------------------------------------------------------
    def _used(self) -> set[sp.Expr]:
        """The states, forms and other processes of which some moment needs paths."""
        layout = self.layout
        found, todo = set[sp.Expr](), list[sp.Expr]()
        for pair in self._sampled_pairs():
            todo += [] if self.integration.integrates(*pair) else [x for x in pair if x != ONE]
        todo += [x for coefficient in self.integration.coefficients for x in coefficient.free_symbols]
        while todo:
            process = todo.pop()
            state = self._state(process)
            key = process if state is None else state
            if key not in found:
                found.add(key)
                body = layout.bodies[key] if key in layout.bodies else layout.in_forms(key)
                todo += [] if key in layout.forms else list(body.free_symbols)
        return found

    @property
    def series(self) -> set[sp.Expr]:
        """The activations whose expectations are sums of series."""
        found = [pair for asked in self._asked() for product in self.split(*asked) or () for pair in product.pairs]
        inside = [pair for plan in self.integration.plans.values() for known, _ in plan for pair in known]
        return {x for pair in (*found, *inside) for x in pair if isinstance(x, Phi) and self.exact(*pair)}

    @property
    def moments(self) -> list[Pair]:
        """The pairs of processes of which some moment is a mean over paths, or is kept for pairs of steps."""
        pairs = [*self._asked(), *self._sampled_pairs()]
        return list(dict.fromkeys((self.updated(u), self.updated(v)) for u, v in pairs))

    @property
    def passing(self) -> bool:
        """Whether moments with a step are asked at the next two only, where no more than the last step is read.

        Laws are of states before their update, and no moment is taken given the paths.
        """
        table, laws = self.layout.program.table, [law.moment for law in self.layout.laws.values() if law.moment]
        before = all(isinstance(table.get(x), Previous) for moment in laws for x in moment)
        forward = not any(self.layout.backward(state) for state in self.layout.bodies)
        return before and forward and not self.integration.pairs

    def _asked(self) -> list[Pair]:
        return [law.moment for law in (*self.layout.read, *self.layout.laws.values()) if law.moment]

    def _sampled_pairs(self) -> list[Pair]:
        """The pairs of processes whose moments take paths."""
        products = [self.split(*pair) or (Product(1.0, (pair,)),) for pair in self._asked()]
        inside = [pair for terms in products for term in terms for pair in term.pairs if not self.exact(*pair)]
        return list(dict.fromkeys(inside))
