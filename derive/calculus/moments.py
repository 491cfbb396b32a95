"""The moments of state evolution (Lemma C.1, covariance form): one evaluator of the limit of E[u_s v_t].

Lemma C.1 says that as n grows the coordinates of every W @ v are jointly Gaussian with
Cov((W v)_s, (W v')_t) = nu_W E[v_s v'_t]; different matrices give independent coordinates, and a matrix that is
redrawn correlates only with itself at the same step. Everything below is that rule and linearity.

A *process* is an expression in coordinates read inside the body at time t: a state is h_{t-1}, its primed
coordinate h_t. `Moment(u, v, s, t, a, b)` is E[u_s v_t], u driven by the sequence a and v by the sequence b.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive.expectation.symbolic_expectation import Affine, Factor, expect
from wideproof.derive.language.activations import Phi, RealFunction
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.language.program import Bias, Coordinate, Input, MatVec, Previous, Program, State, Updated

FIRST, SECOND = sp.Symbol("x"), sp.Symbol("x'")


class Moment(RealFunction):
    """E[u_s v_t] in the limit of infinite width; arguments u, v, s, t and the two sequence labels."""

    nargs = (6,)

    def _sympystr(self, printer: Any) -> str:
        u, v, s, t, a, b = map(printer._print, self.args)
        return f"E[{u}_({s}) {v}_({t}); {a}, {b}]"

    @property
    def pair(self) -> tuple[sp.Expr, sp.Expr]:
        """The two processes."""
        u, v = self.args[:2]
        return u, v

    @property
    def times(self) -> tuple[sp.Expr, sp.Expr]:
        """The time, or lag, of each."""
        first, second = self.args[2:4]
        return first, second

    @property
    def labels(self) -> tuple[sp.Expr, sp.Expr]:
        """The sequence of each."""
        a, b = self.args[4:]
        return a, b


class Gram(RealFunction):
    """x_s . x'_t, the inner product of an input of sequence a at s with one of sequence b at t."""

    nargs = (4,)

    @classmethod
    def eval(cls, s: sp.Expr, t: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr | None:
        """Within one sequence the product is symmetric: the times are kept sorted."""
        if a == b and sp.default_sort_key(s) > sp.default_sort_key(t):
            return cls(t, s, a, b)
        return None

    def _sympystr(self, printer: Any) -> str:
        s, t, a, b = map(printer._print, self.args)
        return f"<{a}_({s}), {b}_({t})>"


@dataclass(frozen=True)
class View:
    """What the inputs are, and when two steps are the same step."""

    gram: Callable[[sp.Expr, sp.Expr, sp.Expr, sp.Expr], sp.Expr]
    same_step: Callable[[sp.Expr, sp.Expr, sp.Expr, sp.Expr], sp.Expr]


TIME = View(gram=Gram, same_step=lambda s, t, a, b: sp.KroneckerDelta(s, t))


def _same_absolute(j: sp.Expr, k: sp.Expr, p: sp.Expr, q: sp.Expr) -> sp.Expr:
    if p == q:
        return sp.KroneckerDelta(j, k)
    return sp.S.Zero if j == k else sp.KroneckerDelta(p + j, q + k)


LAG = View(gram=lambda j, k, p, q: sp.KroneckerDelta(j, 0) * sp.KroneckerDelta(k, 0), same_step=_same_absolute)
"""Times are lags behind a unit impulse; the labels p, q are the (distinct) absolute times of the two impulses."""


class Piece(NamedTuple):
    """coefficient x process, at its own time, driven by one sequence."""

    coefficient: sp.Expr
    process: sp.Expr
    time: sp.Expr
    label: sp.Expr

    @property
    def variable(self) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        """The process without its coefficient."""
        return self.process, self.time, self.label


@dataclass(frozen=True)
class Calculus:
    """The moments of one program in one view."""

    program: Program
    view: View = TIME

    def expand(self, moment: Moment) -> sp.Expr:
        """E[u_s v_t] with the updates of u and v written out once; a combination of earlier moments."""
        u, v, s, t, a, b = moment.args
        return self.moment(self._body(u, s), self._body(v, t), s, t, a, b)

    def moment(self, u: sp.Expr, v: sp.Expr, s: sp.Expr, t: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        """E[u_s v_t] for expressions u, v, in moments of states and features."""
        return sp.expand(self._bilinear(self._pieces(u, s, a), self._pieces(v, t, b)))

    # ---- processes ------------------------------------------------------------------------------------
    def _body(self, process: sp.Expr, time: sp.Expr) -> sp.Expr:
        """The update of a state; a feature, and a state before the first step, stand for themselves."""
        return process if _is_initial(time) else self.program.bodies.get(process, process)

    def _pieces(self, expr: sp.Expr, time: sp.Expr, label: sp.Expr) -> list[Piece]:
        """An expression as a sum of coefficient x (state or feature)."""
        pieces = []
        for summand in sp.Add.make_args(sp.expand(expr)):
            coefficient, monomial = _split(summand)
            pieces.append(Piece(coefficient, *self._timed(monomial, time), label))
        return pieces

    def _timed(self, process: sp.Expr, time: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """A bare previous state is the updated one a step earlier, or later where it reads backwards."""
        term = self.program.table.get(process)
        if isinstance(term, Previous):
            return self.program.updated[term.state], time + term.state.back
        return process, time

    def _bilinear(self, left: list[Piece], right: list[Piece]) -> sp.Expr:
        return sp.Add(
            *(
                a.coefficient * b.coefficient * self._pair(a, b)
                for a in left
                for b in right
                if a.coefficient != 0 and b.coefficient != 0
            )
        )

    def _pair(self, a: Piece, b: Piece) -> sp.Expr:
        bodies = self.program.bodies
        if a.process not in bodies and b.process not in bodies:
            return self._features(a, b)
        if self._is_start(a) or self._is_start(b):
            return self._with_start(a, b)
        return Moment(a.process, b.process, a.time, b.time, a.label, b.label)

    def start(self, moment: Moment) -> sp.Expr:
        """E[u_{-1} v_{-1}]: starts are independent of each other, and shared between sequences or drawn for each."""
        u, v, _, _, a, b = moment.args
        first, second = self._state(u), self._state(v)
        return first.initial if first == second and (first.shared or a == b) else sp.S.Zero

    def _with_start(self, a: Piece, b: Piece) -> sp.Expr:
        """A start is independent of every parameter, so of all but the states that it feeds."""
        other = b if self._is_start(a) else a
        if other.process in self.program.bodies:
            return Moment(a.process, b.process, a.time, b.time, a.label, b.label)
        if other.process == 1 or isinstance(self.program.table.get(other.process), MatVec | Bias):
            return sp.S.Zero
        return self._features(a, b)

    def _is_start(self, piece: Piece) -> bool:
        return piece.process in self.program.bodies and _is_initial(piece.time)

    def _state(self, process: sp.Expr) -> State:
        term = self.program.table[process]
        assert isinstance(term, Updated)
        return term.state

    # ---- features: the Gaussian calculus --------------------------------------------------------------
    def _features(self, a: Piece, b: Piece) -> sp.Expr:
        variables, factors = [], []
        for piece in (a, b):
            for base, power in powers(piece.process):
                if isinstance(base, Phi):
                    factors += [self._factor(base, piece)] * power
                else:
                    variables += [(self._gaussian(base, piece), self._mean(base))] * power
        return self._expect(tuple(variables), tuple(factors))

    def _expect(self, variables: tuple[tuple[Any, sp.Expr], ...], factors: tuple[Factor, ...]) -> sp.Expr:
        """E of a monomial in which each variable is a centred one plus its mean."""
        shifted = next((i for i, (_, mean) in enumerate(variables) if mean != 0), None)
        if shifted is None:
            return expect(tuple(v for v, _ in variables), factors, self._covariance)
        variable, mean = variables[shifted]
        rest = (*variables[:shifted], *variables[shifted + 1 :])
        return self._expect(((variable, sp.S.Zero), *rest), factors) + mean * self._expect(rest, factors)

    def _mean(self, process: sp.Expr) -> sp.Expr:
        """The mean of a Gaussian coordinate; states with a mean are refused, products have none."""
        term = self.program.table.get(process)
        return term.parameter.mean if isinstance(term, Bias) else sp.S.Zero

    def _factor(self, phi: Phi, piece: Piece) -> Factor:
        name, order, argument = phi.args
        terms, mean = [], sp.S.Zero
        for part in self._pieces(argument, piece.time, piece.label):
            if part.process == 1:
                mean += part.coefficient
            else:
                self._check_gaussian(part.process, phi, part.time)
                terms.append((part.variable, part.coefficient))
                mean += part.coefficient * self._mean(part.process)
        return Factor(name, int(order), Affine(tuple(terms), mean))

    def _gaussian(self, base: sp.Expr, piece: Piece) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        process, time = self._timed(base, piece.time)
        self._check_gaussian(process, piece.process, time)
        return process, time, piece.label

    def _check_gaussian(self, process: sp.Expr, inside: sp.Expr, time: sp.Expr) -> None:
        if _is_initial(time):
            return
        if process in self.off_centre:
            raise NotClosed(
                f"E of {inside}",
                "states of mean zero inside an activation or a product",
                f"the state {process}, whose mean is not zero",
                "Apply the activation to a product: relu(W @ h + b), and not to a state that holds b.",
            )
        if process not in self.gaussian:
            raise NotClosed(
                f"E of {inside}",
                "Gaussian variables: matrix products, biases and linear states",
                f"the state or product {process}",
                "Its law is not Gaussian, so two-time moments do not close; give it a matrix of its own.",
            )

    @cached_property
    def gaussian(self) -> frozenset[sp.Expr]:
        """Coordinates whose joint law is Gaussian: products, biases, and states that are affine in them."""
        found = {c for c, term in self.program.terms if isinstance(term, MatVec | Bias)}
        candidates = set(self.program.bodies)
        while True:
            bad = {c for c in candidates if not self._is_affine(self.program.bodies[c], found | candidates)}
            if not bad:
                return frozenset(found | candidates)
            candidates -= bad

    @cached_property
    def off_centre(self) -> frozenset[sp.Expr]:
        """Gaussian states whose mean may differ from zero: a constant or the mean of a bias enters them."""
        found: set[sp.Expr] = set()
        while True:
            new = {
                c
                for c in (self.gaussian & set(self.program.bodies)) - found
                if any(
                    (p.process == 1 and p.coefficient != 0) or self._mean(p.process) != 0 or p.process in found
                    for p in self._pieces(self.program.bodies[c], sp.S.Zero, FIRST)
                )
            }
            if not new:
                return frozenset(found)
            found |= new

    def _is_affine(self, body: sp.Expr, gaussian: set[sp.Expr]) -> bool:
        pieces = self._pieces(body, sp.S.Zero, FIRST)
        return all(p.process == 1 or p.process in gaussian for p in pieces)

    def _covariance(self, left: Any, right: Any) -> sp.Expr:
        (u, s, a), (v, t, b) = left, right
        if u in self.program.bodies or v in self.program.bodies:
            return self._pair(Piece(sp.S.One, u, s, a), Piece(sp.S.One, v, t, b))
        first, second = self.program.table[u], self.program.table[v]
        if isinstance(first, MatVec) and isinstance(second, MatVec) and first.matrix == second.matrix:
            return self._shared_matrix(first, second, (s, t, a, b))
        if isinstance(first, Bias) and first == second:
            p = first.parameter
            return p.variance * (1 if p.tied else self.view.same_step(s, t, a, b))
        return sp.S.Zero

    def _shared_matrix(self, first: MatVec, second: MatVec, at: tuple[Any, ...]) -> sp.Expr:
        """Cov((W v)_s, (W v')_t) = nu_W E[v_s v'_t], at equal steps only when W is redrawn."""
        s, t, a, b = at
        matrix = first.matrix
        weight = matrix.variance * (1 if matrix.tied else self.view.same_step(s, t, a, b))
        if weight == 0:
            return sp.S.Zero
        if matrix.role == "input_map":
            return weight * self.view.gram(s, t, a, b)
        return weight * self._second_moment(first, second, at)

    def _second_moment(self, first: MatVec, second: MatVec, at: tuple[Any, ...]) -> sp.Expr:
        """E[v_s v'_t] of the vectors that a shared matrix multiplies."""
        return self.moment(first.vector, second.vector, *at)

    # ---- closed systems -------------------------------------------------------------------------------
    def closure(self, expr: sp.Expr, at: tuple[sp.Expr, ...]) -> dict[tuple[sp.Expr, sp.Expr], sp.Expr]:
        """All pairs (u, v) reached from the moments in `expr`, each with its expansion at the indices `at`."""
        system: dict[tuple[sp.Expr, sp.Expr], sp.Expr] = {}
        todo = heads(expr)
        while todo:
            u, v = pair = todo.pop()
            if pair not in system:
                system[pair] = self.expand(Moment(u, v, *at))
                todo += heads(system[pair])
        return dict(sorted(system.items(), key=lambda item: (str(item[0]), sp.srepr(item[0][0]))))


def heads(expr: sp.Expr) -> list[tuple[sp.Expr, sp.Expr]]:
    """The pairs (u, v) of the moments in an expression, in a fixed order."""
    return sorted({m.args[:2] for m in expr.atoms(Moment)}, key=lambda pair: (str(pair), sp.srepr(pair[0])))


def _is_initial(time: sp.Expr) -> bool:
    return bool(sp.sympify(time, strict=True).is_negative)


def _split(summand: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """coefficient, monomial: the part without coordinates and the part with them."""
    coefficient, monomial = summand.as_independent(Coordinate, Phi, as_Add=False)
    return coefficient, monomial


def powers(monomial: sp.Expr) -> list[tuple[sp.Expr, int]]:
    """The coordinates and activations that a monomial is a product of, each with its power.  Errors: NotClosed."""
    if monomial == 1:
        return []
    pairs = []
    for factor in sp.Mul.make_args(monomial):
        base, power = factor.as_base_exp()
        if not (power.is_Integer and power > 0 and isinstance(base, Coordinate | Phi)):
            raise NotClosed(
                f"E of {monomial}",
                "products and whole powers of coordinates and activations",
                factor,
                "Use an activation, such as wideproof.relu, around other functions.",
            )
        pairs.append((base, int(power)))
    return pairs


def is_linear(program: Program) -> bool:
    """Whether every update and the output are homogeneous of degree one in states and inputs, forwards from zero."""
    calculus = Calculus(program)
    if any(s.initial != 0 or s.backward for s in program.states):
        return False
    if any(isinstance(term, Bias) for _, term in program.terms):
        return False
    exprs = [body for _, body in program.updates] + [program.output]
    exprs += [term.vector for _, term in program.terms if isinstance(term, MatVec)]
    return all(
        isinstance(program.table.get(p.process, None), MatVec | Previous | Updated | Input)
        for e in exprs
        for p in calculus._pieces(e, sp.S.Zero, FIRST)
        if p.coefficient != 0
    )
