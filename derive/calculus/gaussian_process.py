"""States whose law is not Gaussian: the limit as a process of jointly Gaussian products that drive the states.

Where a gate multiplies a state, two-time moments do not close. What holds at any horizon is the master theorem for
polynomially bounded maps (E11 puts them beyond Lemma C.1): coordinates of all products W @ v are jointly Gaussian
with Cov((W v)_t, (W v')_s) = nu_W E[v_t v'_s], and the states are functions of them, coordinate by coordinate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import combinations_with_replacement
from typing import Any

import sympy as sp

from wideproof.derive.calculus.lags import CONCENTRATES, OUTPUTS_CONVERGE, EmpiricalKernel
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, Moment
from wideproof.derive.calculus.recursion_rules import (
    ROW,
    ROW2,
    Response,
    StateMoments,
    ask_body,
    kind,
    state_pairs,
    theorem,
    time_root,
)
from wideproof.derive.calculus.starts import of_two
from wideproof.derive.language.activations import Phi, RealFunction
from wideproof.derive.language.notation import s, t
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
)
from wideproof.derive.proof.claims import Claim, Equation, Limit, ProcessForm, Vanishing
from wideproof.derive.proof.rules import Ask, rule

AT = (t, s, FIRST, SECOND)
Pair = tuple[Coordinate, Coordinate]


class Cov(RealFunction):
    """Cov(u_t, v_s) in the limit of infinite width; arguments u, v, t, s and the two sequence labels."""

    nargs = (6,)

    def _sympystr(self, printer: Any) -> str:
        u, v, first, second, a, b = map(printer._print, self.args)
        return f"Cov[{u}_({first}), {v}_({second}); {a}, {b}]"


# ---- the Gaussian coordinates and their groups ------------------------------------------------------------
def gaussians(program: Program) -> tuple[Coordinate, ...]:
    """The products and biases that the updates and the vectors of readouts read, also inside other products."""
    found: set[Coordinate] = set()
    read = [term.vector for c in coordinates_of(program.output) if isinstance(term := program.table[c], MatVec)]
    todo = [c for body in (*program.bodies.values(), *read) for c in coordinates_of(body)]
    while todo:
        term = program.table[c := todo.pop()]
        if c not in found and isinstance(term, MatVec | Bias):
            found.add(c)
            todo += coordinates_of(term.vector) if isinstance(term, MatVec) else []
    return tuple(c for c, _ in program.terms if c in found)


def parameter_of(program: Program, c: Coordinate) -> Parameter:
    """The matrix or bias of a Gaussian coordinate."""
    term = program.table[c]
    assert isinstance(term, MatVec | Bias)
    return term.parameter if isinstance(term, Bias) else term.matrix


def sharing(program: Program, coordinates: Iterable[Coordinate]) -> list[Pair]:
    """The pairs of coordinates made by one and the same parameter; all others are independent."""
    return [
        (c, d)
        for c, d in combinations_with_replacement(tuple(coordinates), 2)
        if parameter_of(program, c) == parameter_of(program, d)
    ]


def independent_groups(program: Program, zeros: Iterable[Pair]) -> list[frozenset[Coordinate]]:
    """The Gaussian coordinates in groups without correlation between them, given the pairs that have none."""
    gone, groups = set(zeros), [frozenset({c}) for c in gaussians(program)]
    for pair in sharing(program, gaussians(program)):
        if pair not in gone:
            linked = [g for g in groups if g & set(pair)]
            groups = [g for g in groups if g not in linked] + [frozenset().union(*linked)]
    return groups


class _Signs:
    """Which independent groups of Gaussian coordinates may change sign together, and what then changes sign.

    Each group and each state has an unknown bit: whether it changes sign. A sign is a set of unknowns, their sum
    modulo 2; `rules` are the sums that must be even: summands agree, and arguments of activations stay.
    """

    def __init__(self, program: Program, groups: list[frozenset[Coordinate]]) -> None:
        self.program, self.groups = program, groups
        self.rules: list[frozenset[Any]] = []
        self.seen: set[Coordinate] = set()

    def odd(self, first: sp.Expr, second: sp.Expr) -> bool:
        """Whether some change of signs that all maps respect turns the product of two processes to its negative."""
        target = self.of(first) ^ self.of(second)
        pivots: dict[Any, frozenset[Any]] = {}

        def reduced(row: frozenset[Any]) -> frozenset[Any]:
            while row and (top := min(row, key=str)) in pivots:
                row ^= pivots[top]
            return row

        for given in self.rules:
            if row := reduced(given):
                pivots[min(row, key=str)] = row
        return bool(reduced(target))

    def of(self, expr: sp.Expr) -> frozenset[Any]:
        """The sign of an expression; what it takes for it to have one is added to the rules."""
        if isinstance(expr, Coordinate):
            return self._coordinate(expr)
        if isinstance(expr, Phi):
            self.rules.append(self.of(expr.args[2]))
            return frozenset()
        if not expr.has(Coordinate):
            return frozenset()
        signs = [self.of(a) for a in expr.args if a != 0]
        if expr.is_Add:
            self.rules += [signs[0] ^ other for other in signs[1:]]
            return signs[0]
        if expr.is_Pow:
            return signs[0] if int(expr.exp) % 2 else frozenset()
        return reduce(frozenset.symmetric_difference, signs)

    def _coordinate(self, c: Coordinate) -> frozenset[Any]:
        match self.program.table[c]:
            case Previous(state):
                return self._state(self.program.updated[state], state)
            case Updated(state):
                return self._state(c, state)
            case Bias(parameter) if parameter.mean != 0:
                return frozenset()
        return frozenset({next(g for g in self.groups if c in g)})

    def _state(self, c: Coordinate, state: State) -> frozenset[Any]:
        own = frozenset({c})
        if c not in self.seen:
            self.seen.add(c)
            body = self.program.bodies[c]  # zero has either sign
            self.rules += [own ^ self.of(body)] if body != 0 else []
            self.rules += [own] if state.initial != 0 else []
        return own


def uncorrelated(program: Program) -> set[Pair]:
    """The largest set of products of one matrix whose covariances vanish if those of the whole set do before."""
    zeros = {pair for pair in sharing(program, gaussians(program)) if _is_product(program, pair[0])}
    while True:
        groups = independent_groups(program, zeros)
        bad = {(c, d) for c, d in zeros if not _Signs(program, groups).odd(_vector(program, c), _vector(program, d))}
        if not bad:
            return zeros
        zeros -= bad


def _is_product(program: Program, c: Coordinate) -> bool:
    term = program.table[c]
    return isinstance(term, MatVec) and term.matrix.role == "matrix"


def _vector(program: Program, c: Coordinate) -> sp.Expr:
    term = program.table[c]
    assert isinstance(term, MatVec)
    return term.vector


# ---- rules --------------------------------------------------------------------------------------------
@rule(
    "product-covariance",
    source="yang2020tensor2, master theorem; emami2021implicit, Lemma C.1",
    rank=110,
    says="products with one matrix have the covariance of their arguments times its variance,",
)
def product_covariance(subject: Cov, ask: Ask) -> Claim:
    """Products of one matrix correlate as its variance times the moment of their arguments; at one step if redrawn."""
    program = ask.program
    first, second, *at = subject.args
    ask(theorem(program), theorem(program))
    parameter, other = parameter_of(program, first), parameter_of(program, second)
    if parameter != other:
        return Equation(subject, sp.S.Zero)
    weight = parameter.variance * (1 if parameter.tied else sp.KroneckerDelta(*at[:2]))
    if parameter.role == "bias":
        return Equation(subject, weight)
    if parameter.role == "input_map":
        return Equation(subject, weight * Gram(*at))
    return Equation(subject, weight * Moment(_vector(program, first), _vector(program, second), *at))


@rule(
    "independence",
    source="induction on the step; independent centred Gaussian variables may change sign",
    rank=120,
    says=(
        "an independent group of Gaussian products enters each of the following an odd number of times and "
        "may change its sign without a change of law. By induction on the step these covariances vanish: "
    ),
)
def independence(subject: Any, ask: Ask) -> Claim:
    """The products of one matrix that never correlate: an independent group enters their moment an odd number of times.

    Before the first product all covariances of the set are zero. If they are zero up to some step, the groups are
    independent up to it, so one may change the sign of a group, and the moment that gives the next covariance is
    minus itself.
    """
    program = ask.program
    ask(theorem(program), theorem(program))
    for c, _ in program.updates:
        ask_body(program, ask, c)
    zeros = uncorrelated(program)
    for pair in sharing(program, gaussians(program)):
        ask("product-covariance", Cov(*pair, *AT))
    return Vanishing(subject, tuple(sorted(((*pair, "any", (FIRST, SECOND)) for pair in zeros), key=str)))


@rule(
    "process-readout",
    source="emami2021implicit, (1); yang2020tensor2: rows of a Gaussian matrix are independent",
    rank=130,
    says="different rows of the readout are independent, and within one row",
)
def process_readout(subject: Response, ask: Ask) -> Claim:
    """The covariance of two outputs: zero between different rows, else a moment of the states at the two times."""
    program = ask.program
    body = ask_body(program, ask, subject.output)
    weights: Mapping[Coordinate, sp.Expr] = {c: sp.diff(body, c) for c in coordinates_of(body)}
    total = sp.S.Zero
    for c, d in sharing(program, weights):
        for first, second in {(c, d), (d, c)}:
            claim = ask.equation("product-covariance", Cov(first, second, *subject.times, *subject.labels))
            total += weights[first] * weights[second] * claim.right
    return Equation(subject, sp.KroneckerDelta(*subject.rows) * sp.expand(total))


@rule(
    "process",
    source="yang2020tensor2, master theorem; emami2021implicit, Lemma C.1",
    rank=140,
    says=(
        "states multiply, so no recursion over two times closes. The limit is an expectation over the "
        "states that jointly Gaussian products drive, those of different parameters being independent:"
    ),
)
def process(subject: Any, ask: Ask) -> Claim:
    """Outputs or state moments as expectations over the states that the Gaussian products drive."""
    program = ask.program
    claim = ask.vanishing("independence", subject)
    zeros = {member[:2] for member in claim.members}
    covariances = tuple(
        ask("product-covariance", Cov(*pair, *AT)) for pair in sharing(program, gaussians(program)) if pair not in zeros
    )
    paths = tuple(Equation(c, ask_body(program, ask, c)) for c, _ in program.updates)
    if isinstance(subject, StateMoments):
        right: sp.Expr = sp.Tuple(*(Moment(u, v, *AT) for u, v in state_pairs(program)))
    else:
        readout = ask.equation("process-readout", subject)
        right = readout.right
    return ProcessForm(subject, right, covariances, paths, _starts(program, ask), (t, s))


def _starts(program: Program, ask: Ask) -> tuple[Equation, ...]:
    """How each forward state starts: within one sequence and, where it is not zero, between two."""
    found: list[Equation] = []
    for state, u in program.updated.items():
        if not state.backward:
            within, between = (of_two(u, u, FIRST, label) for label in (FIRST, SECOND))
            found.append(ask.equation("start", within))
            found += [ask.equation("start", between)] if found[-1].right != 0 else []
    return tuple(found)


@rule(
    "kernel-process",
    source="emami2021implicit, (15) and Lemma B.1; yang2020tensor2",
    rank=150,
    says=CONCENTRATES,
    status="cited",
    of_outputs=OUTPUTS_CONVERGE,
)
def kernel_process(subject: EmpiricalKernel, ask: Ask) -> Claim:
    """The kernel at finite width concentrates on the expectation over the limiting process."""
    form = ask.process("process", time_root(ask.program))
    return Limit(subject, form.right, "in probability", form)


def kernel_subject(program: Program) -> EmpiricalKernel:
    """The kernel of two sequences at two times."""
    return EmpiricalKernel(kind(program), ROW, ROW2, t, s)
