"""The rules that state a recursion, its limit theorem and its moments; state evolution itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, LAG, SECOND, TIME, Calculus, Moment, heads
from wideproof.derive.calculus.starts import BEFORE, Starts, start_equations
from wideproof.derive.calculus.tangent import MARK, differential_of, tangent
from wideproof.derive.language.activations import Phi, RealFunction, is_bounded, is_lipschitz
from wideproof.derive.language.errors import NotClosed, ProofError
from wideproof.derive.language.notation import j, k, m, p, q, s, t
from wideproof.derive.language.program import (
    Bias,
    Coordinate,
    MatVec,
    Previous,
    Program,
    State,
    Updated,
    coordinates_of,
    instead,
)
from wideproof.derive.proof.claims import Claim, Definition, Equation, Hypothesis, Recurrence, Vanishing
from wideproof.derive.proof.rules import PERTURBATION, Ask, rule

OUTPUT, TANGENT_OUTPUT = sp.Symbol("y"), sp.Symbol(MARK + "y")
ROW, ROW2 = sp.Symbol("r"), sp.Symbol("r'")
Pair = tuple[sp.Expr, sp.Expr]
RELATIONS: Mapping[str, tuple[sp.Expr, sp.Expr]] = {"=": (j, j), "<": (j, j + 1 + m), ">": (j + 1 + m, j)}


class Response(RealFunction):
    """Cov(y^r_t, y^{r'}_s) of the output (or of its tangent): arguments y, r, r', t, s and the two labels."""

    nargs = (7,)

    @property
    def output(self) -> sp.Expr:
        """The output, or that of the tangent."""
        return self.args[0]

    @property
    def rows(self) -> tuple[sp.Expr, sp.Expr]:
        """The rows of the two outputs."""
        r, r2 = self.args[1:3]
        return r, r2

    @property
    def times(self) -> tuple[sp.Expr, sp.Expr]:
        """The time, or lag, of each."""
        first, second = self.args[3:5]
        return first, second

    @property
    def labels(self) -> tuple[sp.Expr, sp.Expr]:
        """The sequence, or impulse, of each."""
        a, b = self.args[5:]
        return a, b


def kind(program: Program) -> sp.Symbol:
    """y for a recursion, its perturbation for a tangent program."""
    return OUTPUT if program.base is None else TANGENT_OUTPUT


def time_root(program: Program) -> Response:
    """The kernel of two sequences at two times, between two outputs."""
    return Response(kind(program), ROW, ROW2, t, s, FIRST, SECOND)


def lag_root(program: Program) -> Response:
    """The same for two unit impulses, at two lags behind them."""
    return Response(kind(program), ROW, ROW2, j, k, p, q)


def offsets(program: Program) -> list[tuple[sp.Symbol, sp.Symbol]]:
    """The pairs of impulse times to tell apart: equal and different ones matter only if a matrix is redrawn."""
    return [(p, q)] if all(parameter.tied for parameter in program.parameters) else [(p, p), (p, q)]


def calculus(program: Program, label: sp.Expr) -> Calculus:
    """The moments in the view that a label belongs to."""
    return Calculus(program, LAG if label in (p, q) else TIME)


def theorem(program: Program) -> str:
    """Lemma C.1 where every map is Lipschitz; beyond it the master theorem for polynomially bounded maps."""
    maps = [*program.bodies.values(), *(x.vector for _, x in program.terms if isinstance(x, MatVec))]
    return "lemma-c1" if all(growth(body) != "polynomially bounded" for body in maps) else "tensor-programs"


def growth(body: sp.Expr) -> str:
    """How a map grows in its coordinates: "affine", "Lipschitz" or "polynomially bounded"."""
    found = {_term_growth(x) for x in sp.Add.make_args(sp.expand(body))}
    return next(g for g in ("polynomially bounded", "Lipschitz", "affine") if g in found | {"affine"})


def _term_growth(term: sp.Expr) -> str:
    _, monomial = term.as_independent(Coordinate, Phi, as_Add=False)
    if monomial == 1 or isinstance(monomial, Coordinate):
        return "affine"
    factors = sp.Mul.make_args(monomial)
    tame = all(
        isinstance(x, Phi)
        and x.args[1] == 0
        and is_lipschitz(str(x.args[0]))
        and growth(x.args[2]) != "polynomially bounded"
        for x in factors
    )
    bounded = len(factors) == 1 or all(is_bounded(str(x.args[0])) for x in factors if isinstance(x, Phi))
    return "Lipschitz" if tame and bounded else "polynomially bounded"


# ---- rules: the model and its theorem -------------------------------------------------------------
@rule(PERTURBATION, source="emami2021implicit, Lemma B.1 and (44)", rank=5, says="")
def perturbation(subject: Any, ask: Ask) -> Claim:
    """The recursion of states and their responses to a random perturbation of all trainable entries."""
    return Definition(subject, tangent(ask.given, subject))


@rule("recursion", source="definition", rank=10, says="the recursion reads")
def recursion(subject: Any, ask: Ask) -> Claim:
    """The update of a state, or the output, as the definition has it."""
    given = ask.given
    return Equation(subject, given.output if subject == OUTPUT else given.bodies[subject])


@rule(
    "tangent",
    source="emami2021implicit, Lemma B.1 and (44)",
    rank=20,
    says=(
        "perturb every trainable entry by an independent standard normal one; by the chain rule, the "
        "response obeys a recursion of the same kind,"
    ),
)
def tangent_rule(subject: Any, ask: Ask) -> Claim:
    """The perturbed update, by the chain rule from the update itself."""
    program = ask.program
    names = dict(zip((c for c, _ in program.updates[len(program.base.updates) :]), program.base.bodies, strict=True))
    original = ask.equation("recursion", OUTPUT if subject == TANGENT_OUTPUT else names[subject])
    return Equation(subject, differential_of(program, original.right))


def ask_body(program: Program, ask: Ask, state: sp.Expr) -> sp.Expr:
    """The right side of an update or of the output, from the step that states it."""
    base = program.base or program
    claim = ask.equation("recursion" if state in base.bodies or state == OUTPUT else "tangent", state)
    return claim.right


def _hypothesis(program: Program, name: str, ask: Ask) -> Hypothesis:
    if theorem(program) != name:
        raise ProofError(name, theorem(program), name, "The maps decide which theorem applies.")
    return Hypothesis(name, tuple((c, body := ask_body(program, ask, c), growth(body)) for c, _ in program.updates))


@rule("lemma-c1", source="emami2021implicit, Lemma C.1; bolthausen2014iterative", rank=30, says="", status="cited")
def lemma_c1(subject: Any, ask: Ask) -> Claim:
    """Every map is affine or Lipschitz, so rows converge to the Gaussian process of state evolution."""
    return _hypothesis(ask.program, "lemma-c1", ask)


@rule("tensor-programs", source="yang2020tensor2, master theorem", rank=40, says="", status="cited")
def tensor_programs(subject: Any, ask: Ask) -> Claim:
    """Some map is only polynomially bounded (E11): the master theorem replaces Lemma C.1."""
    return _hypothesis(ask.program, "tensor-programs", ask)


# ---- rules: moments -------------------------------------------------------------------------------
@rule(
    "covariance",
    source="emami2021implicit, Lemma C.1, covariance form of (72)",
    rank=70,
    says=(
        "write every update out once: products with different matrices are independent, and two products "
        "with one matrix have the covariance of their arguments times its variance, hence"
    ),
)
def covariance(subject: Moment, ask: Ask) -> Claim:
    """One step back: E[u_s v_t] with the updates of u and v written out."""
    program = ask.program
    ask(theorem(program), theorem(program))
    for state in sorted({u for u in subject.pair if u in program.bodies}, key=str):
        ask_body(program, ask, state)
    return Equation(subject, calculus(program, subject.labels[0]).expand(subject))


@rule("start", source="definition", rank=66, says="before the first step, by the declared starts,")
def start(subject: Moment, ask: Ask) -> Claim:
    """The moment of two states at time -1, as they were declared: zero, drawn for each sequence or for all."""
    assert subject.times == (BEFORE, BEFORE)
    return Equation(subject, calculus(ask.program, subject.labels[0]).start(subject))


@rule(
    "start-covariance",
    source="definition; emami2021implicit, Lemma C.1",
    rank=75,
    says="a start is independent of all parameters, so with the update of the later state written out once,",
)
def start_covariance(subject: Moment, ask: Ask) -> Claim:
    """The moment of a state at time -1 with a process at s, one step back."""
    program, (_, later) = ask.program, subject.pair
    assert subject.times[0] == BEFORE
    ask(theorem(program), theorem(program))
    if later in program.bodies:
        ask_body(program, ask, later)
    return Equation(subject, calculus(program, subject.labels[0]).expand(subject))


def ask_start(ask: Ask, left: Moment) -> sp.Expr:
    """The right side of the equation about a moment with a start, from the step that states it."""
    return ask.equation("start" if left.args[3] == BEFORE else "start-covariance", left).right


@rule(
    "readout",
    source="emami2021implicit, (1) and Lemma C.1: rows of a Gaussian matrix are independent",
    rank=60,
    says="different rows of the readout are independent, and within one row the covariance rule gives",
)
def readout(subject: Response, ask: Ask) -> Claim:
    """The covariance of two outputs: zero between different rows, and for one row by the covariance rule."""
    program, times, labels = ask.program, subject.times, subject.labels
    ask(theorem(program), theorem(program))
    body = ask_body(program, ask, subject.output)
    assert all(isinstance(program.table[c], MatVec | Bias) for c in coordinates_of(body))
    by_time = calculus(program, labels[0])
    means = [by_time.moment(sp.S.One, body, x, x, a, a) for x, a in zip(times, labels, strict=True)]
    both = by_time.moment(body, body, *times, *labels)
    return Equation(subject, sp.KroneckerDelta(*subject.rows) * (both - means[0] * means[1]))


class StateMoments(sp.Function):
    """All means and second moments of the states of a recursion; the argument counts states, or unrolled steps."""


def about(program: Program, subject: Any, ask: Ask) -> tuple[sp.Expr, tuple[sp.Expr, ...]]:
    """What the moments of a subject are needed for, and the indices they are stated at."""
    if isinstance(subject, Response):
        return ask.equation("readout", subject).right, (*subject.times, *subject.labels)
    at = (t, s, FIRST, SECOND)
    return sp.Tuple(*(Moment(u, v, *at) for u, v in state_pairs(program))), at


def state_pairs(program: Program) -> list[Pair]:
    """(1, u) for the mean of each updated state u, then all pairs (u, v)."""
    states = list(program.bodies)
    return [(sp.S.One, u) for u in states] + [(u, v) for u in states for v in states]


def system(program: Program, subject: Any, ask: Ask) -> dict[Pair, sp.Expr]:
    """The covariance equations of all moments that a subject depends on, at its own indices."""
    right, at = about(program, subject, ask)
    equations: dict[Pair, sp.Expr] = {}
    todo = heads(right)
    while todo:
        pair = todo.pop()
        if pair not in equations:
            equations[pair] = ask.equation("covariance", Moment(*pair, *at)).right
            todo += heads(equations[pair])
    return dict(sorted(equations.items(), key=lambda item: str(item[0])))


def shifted(expr: sp.Expr, times: tuple[Any, Any], labels: tuple[Any, Any]) -> sp.Expr:
    """An equation in (j, k; p, q) at other lags and impulse times; the impulses p and q are different."""
    moved = expr.xreplace({j: times[0], k: times[1], p: labels[0], q: labels[1]})
    apart = {d: sp.S.Zero for d in moved.atoms(sp.KroneckerDelta) if d.args[0] - d.args[1] in (p - q, q - p)}
    return sp.expand(early_to_zero(moved.xreplace(apart)))


def early_to_zero(expr: sp.Expr) -> sp.Expr:
    """Moments at a negative time vanish: linear recursions start at zero."""
    return expr.xreplace({x: sp.S.Zero for x in expr.atoms(Moment) if any(a.is_negative for a in x.args[2:4])})


def relations(first: sp.Expr, second: sp.Expr) -> set[str]:
    """Which of =, <, > can hold between two lags."""
    gap = sp.expand(second - first)
    possible = {"=": gap.is_zero, "<": gap.is_positive, ">": gap.is_negative}
    if certain := {r for r, yes in possible.items() if yes}:
        return certain
    return {r for r, yes in possible.items() if yes is not False}


@rule("zero-moments", source="induction on the number of steps that both have made", rank=80, says="")
def zero_moments(subject: Any, ask: Ask) -> Claim:
    """The largest set of moments each of which, written out once, vanishes if all of the set do."""
    program = ask.program
    equations = system(program, subject, ask)
    if isinstance(subject, Response) and subject.labels[0] == p:
        cases = {
            (*pair, r, o): shifted(right, RELATIONS[r], o)
            for pair, right in equations.items()
            for r in RELATIONS
            for o in offsets(program)
        }
    else:
        cases = {(*pair, "any", (FIRST, SECOND)): right for pair, right in equations.items()}
    zeros = {key for key in cases if not starts(program, key)}
    while bad := {key for key in zeros if without(cases[key], zeros) != 0}:
        zeros -= bad
    return Vanishing(subject, tuple(sorted(zeros, key=str)))


def starts(program: Program, pair: tuple[Any, ...]) -> bool:
    """Whether both processes of a pair carry one random initial state, so that their moment may start non-zero."""
    return bool(carried(program, pair[0]) & carried(program, pair[1]))


def carried(program: Program, process: sp.Expr) -> set[State]:
    """The random initial states that enter a process coordinate by coordinate, through no matrix."""
    found: set[State] = set()
    todo, seen = coordinates_of(process), set()
    while todo:
        term = program.table[c := todo.pop()]
        if c not in seen and isinstance(term, Previous | Updated):
            found |= {term.state} if term.state.initial != 0 else set()
            todo += coordinates_of(program.bodies[program.updated[term.state]])
        seen.add(c)
    return found


def without(expr: sp.Expr, zeros: set[Any]) -> sp.Expr:
    """An expression with the moments of a zero set replaced by 0."""
    gone = {x: sp.S.Zero for x in expr.atoms(Moment) if _in(x, zeros)}
    return sp.expand(expr.xreplace(gone))


def _in(moment: Moment, zeros: set[Any]) -> bool:
    u, v, first, second, a, b = moment.args
    if a in (p, q):
        return all((u, v, r, (a, b)) in zeros for r in relations(first, second))
    return (u, v, "any", (FIRST, SECOND)) in zeros


@rule(
    "evolution",
    source="emami2021implicit, Lemma C.1, covariance form of (72)",
    rank=90,
    says="what remains is a recursion over both times,",
)
def evolution(subject: Any, ask: Ask) -> Claim:
    """The moments a subject needs as a recursion over both times, proved zeros left out."""
    program = ask.program
    zeros = set(ask.vanishing("zero-moments", subject).members)
    right, at = about(program, subject, ask)
    right = (
        without(right, zeros) if isinstance(subject, Response) else sp.Tuple(*(x for x in right if not _in(x, zeros)))
    )
    equations, todo = {}, heads(right)
    while todo:
        pair = todo.pop()
        if pair not in equations:
            left = Moment(*pair, *at)
            equations[pair] = Equation(left, without(ask.equation("covariance", left).right, zeros))
            todo += heads(equations[pair].right)
    first = start_equations(
        [right, *(e.right for e in equations.values())],
        lambda left: without(ask_start(ask, left), zeros),
        (t, s),
        FIRST,
    )
    return Recurrence(subject, right, (*first, *(equations[pair] for pair in sorted(equations, key=str))), (t, s))


@rule("unrolled", source="substitution, one step after the other", rank=100, says="written out step by step, these are")
def unrolled(subject: StateMoments, ask: Ask) -> Claim:
    """All second moments of the states at the times 0 ... T-1, written out; states first, then times."""
    program = ask.program
    values = values_at(program, ask)
    index = [(u, sp.Integer(time)) for u in program.bodies for time in range(int(subject.args[0]))]
    return Equation(
        subject,
        sp.ImmutableDenseMatrix([[values(Moment(u, v, a, b, FIRST, SECOND)) for v, b in index] for u, a in index]),
    )


def values_at(program: Program, ask: Ask) -> Callable[[sp.Expr], sp.Expr]:
    """A function that writes out every moment of the states at integer times, by the covariance equations."""
    known: dict[sp.Expr, sp.Expr] = {}

    def value(expr: sp.Expr) -> sp.Expr:
        return sp.expand(expr.xreplace({x: one(x) for x in expr.atoms(Moment)}))

    def one(moment: Moment) -> sp.Expr:
        if moment not in known:
            known[moment] = value(
                right(moment).xreplace(dict(zip((t, s, FIRST, SECOND), moment.args[2:], strict=True)))
            )
        return known[moment]

    def right(moment: Moment) -> sp.Expr:
        u, v, first, second, a, b = moment.args
        if first.is_negative or second.is_negative:
            return declared.right((u, v), (int(first), int(second)), a == b)
        return ask.equation("covariance", Moment(u, v, t, s, FIRST, SECOND)).right

    declared = Starts(lambda left: ask_start(ask, left))
    return value


def refuse_products(program: Program) -> None:
    """Raise NotClosed now, naming the update, rather than in the middle of a derivation."""
    for c, body in program.updates:
        try:
            Calculus(program).expand(Moment(c, c, t, s, FIRST, SECOND))
        except NotClosed as error:
            raise NotClosed(f"update of {c.label} = {body}", error.expected, error.got, error.hint) from None


def refuse_functions(program: Program) -> None:
    """Raise NotClosed where a map is more than sums, products and whole powers of coordinates and activations."""
    vectors = [term.vector for _, term in program.terms if isinstance(term, MatVec)]
    for expr in [x for body in (*program.bodies.values(), *vectors) for x in sp.preorder_traversal(body)]:
        whole = expr.is_Pow and expr.exp.is_Integer and expr.exp > 0
        if expr.has(Coordinate) and not (whole or isinstance(expr, Coordinate | Phi | sp.Add | sp.Mul)):
            raise NotClosed(
                f"the map {expr}", "sums, products and whole powers of coordinates and activations", expr, instead(expr)
            )
