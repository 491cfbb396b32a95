"""Linear recursions seen lag by lag: which lags couple, closed forms on the diagonal, superposition."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import sympy as sp

from wideproof.derive.algebra.linear_recurrences import LinearRecurrence
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, Moment, heads
from wideproof.derive.calculus.recursion_rules import (
    RELATIONS,
    ROW,
    ROW2,
    Response,
    ask_start,
    kind,
    lag_root,
    offsets,
    shifted,
    system,
    without,
)
from wideproof.derive.calculus.starts import start_equations
from wideproof.derive.language.errors import NotDiagonal
from wideproof.derive.language.notation import j, k, p, q, s, t
from wideproof.derive.language.program import Program
from wideproof.derive.proof.claims import Claim, Equation, Limit, Recurrence
from wideproof.derive.proof.rules import Ask, rule

CONCENTRATES = (
    "the sum of products of gradients concentrates on its mean over the perturbation, and the kernel of "
    "a network of growing width converges in probability to"
)
OUTPUTS_CONVERGE = "the covariance of the outputs of a network of growing width converges to"
"""What is said of the limit of a kernel: of gradients, and of outputs alone."""


class Entry(sp.Function):
    """Cov((L_j)_{rc}, (L_k)_{r'c'}) at width n: arguments r, c, r', c', j, k."""

    nargs = (6,)


class EmpiricalKernel(sp.Function):
    """The kernel at width n between output r at t of x and output r' at s of x': arguments y, r, r', t, s."""

    nargs = (5,)


def _zeros(program: Program, ask: Ask) -> set[Any]:
    return set(ask.vanishing("zero-moments", lag_root(program)).members)


@rule(
    "diagonal",
    source="the covariance equations at equal lags, zero moments left out",
    rank=180,
    says="at equal lags what remains is the linear recurrence",
)
def diagonal(subject: Moment, ask: Ask) -> Claim:
    """A moment at lags (j+1, j+1) in those at (j, j), or its value at (0, 0)."""
    program = ask.program
    first, labels = subject.times[0], subject.labels
    zeros = _zeros(program, ask)

    def at(pair: tuple[sp.Expr, sp.Expr], lag: sp.Expr) -> sp.Expr:
        equation = ask.equation("covariance", Moment(*pair, *lag_root(program).args[3:])).right
        return without(shifted(equation, (lag, lag), labels), zeros)

    right = at(subject.pair, first)
    while now := [x for x in right.atoms(Moment) if x.times == (first, first)]:
        right = sp.expand(right.subs({x: at(x.pair, first) for x in now}))
    return Equation(subject, right)


def _recurrence(
    program: Program, ask: Ask, start: list[tuple[sp.Expr, sp.Expr]], labels: tuple[Any, Any]
) -> LinearRecurrence:
    """m_{j+1} = A m_j on the diagonal, for the moments that `start` depends on."""
    step: dict[Hashable, dict[Hashable, sp.Expr]] = {}
    base: dict[Hashable, sp.Expr] = {}
    todo = list(start)
    while todo:
        pair = todo.pop()
        if pair not in step:
            right = ask.equation("diagonal", Moment(*pair, j + 1, j + 1, *labels)).right
            base[pair] = ask.equation("diagonal", Moment(*pair, sp.S.Zero, sp.S.Zero, *labels)).right
            step[pair] = {x.args[:2]: right.coeff(x) for x in right.atoms(Moment)}
            todo += heads(right)
    return LinearRecurrence(step, base)


@rule(
    "induction",
    source="induction on the lag; divided differences of x^j",
    rank=190,
    says=(
        "the solution in the lag is as follows, since both sides agree at lag 0 and the right side obeys "
        "the same recurrence from each lag to the next,"
    ),
)
def induction(subject: Moment, ask: Ask) -> Claim:
    """The closed form of a moment in the lag: base and step simplify to zero."""
    assert subject.times == (j, j), "closed forms are stated at the lag j"
    pair = subject.pair
    solved = _recurrence(ask.program, ask, [pair], subject.labels)
    closed = solved.solve(pair)
    if closed is None:
        raise NoClosedForm
    solved.prove(pair)
    return Equation(subject, sp.expand(closed))


class NoClosedForm(Exception):
    """Moments feed each other in a circle: the formula is the recurrence."""


def _diagonal_right(program: Program, ask: Ask, labels: tuple[Any, Any]) -> sp.Expr:
    """The output covariance of one row at equal lags, in moments that do not vanish."""
    _, r, r2, *_ = lag_root(program).args
    right = shifted(ask.equation("readout", lag_root(program)).right, (j, j), labels).subs(r2, r)
    return without(right, _zeros(program, ask))


@rule(
    "weight",
    source="substitution of the closed forms",
    rank=200,
    says="the covariance of one output at equal lags is, by substitution,",
)
def weight(subject: Response, ask: Ask) -> Claim:
    """The output covariance of one row at equal lags in closed form."""
    right = _diagonal_right(ask.program, ask, subject.labels)
    closed = {x: ask.equation("induction", x).right for x in sorted(right.atoms(Moment), key=str)}
    return Equation(subject, sp.expand(right.xreplace(closed)))


@rule(
    "lag-recurrence",
    source="the covariance equations, zero moments left out",
    rank=210,
    says="the covariance has no closed form in the lag and is determined by",
)
def lag_recurrence(subject: Response, ask: Ask) -> Claim:
    """The output covariance of one row as a recurrence: over one lag if lags decouple, else over two."""
    program, labels = ask.program, subject.labels
    if subject.times[0] == subject.times[1]:
        right = _diagonal_right(program, ask, labels)
        solved = _recurrence(program, ask, heads(right), labels)
        equations = tuple(
            Equation(
                Moment(*pair, *at, *labels),  # type: ignore[misc]
                ask.equation("diagonal", Moment(*pair, *at, *labels)).right,  # type: ignore[misc]
            )
            for pair in sorted(solved.step, key=str)
            for at in ((sp.S.Zero, sp.S.Zero), (j + 1, j + 1))
        )
        return Recurrence(subject, right, equations, (j,))
    zeros = _everywhere_zero(_zeros(program, ask))
    right = without_pairs(shifted(ask.equation("readout", lag_root(program)).right, (j, k), labels), zeros)
    pairs = {
        pair: without_pairs(shifted(equation, (j, k), labels), zeros)
        for pair, equation in system(program, lag_root(program), ask).items()
    }
    todo, needed = heads(right), []
    while todo:
        pair = todo.pop()
        if pair not in needed:
            needed.append(pair)
            todo += heads(pairs[pair])
    equations = tuple(Equation(Moment(*pair, j, k, *labels), pairs[pair]) for pair in sorted(needed, key=str))
    starts = start_equations([right, *(e.right for e in equations)], lambda left: ask_start(ask, left), (j, k), p)
    return Recurrence(subject, right.subs(ROW2, ROW), (*starts, *equations), (j, k))


def _everywhere_zero(zeros: set[Any]) -> set[Any]:
    """The pairs that vanish at every relation of the lags and every offset present."""
    pairs = {key[:2] for key in zeros}
    count = {pair: sum(key[:2] == pair for key in zeros) for pair in pairs}
    most = 3 * len({key[3] for key in zeros})
    return {pair for pair in pairs if count[pair] == most}


def without_pairs(expr: sp.Expr, pairs: set[Any]) -> sp.Expr:
    """An expression with the moments of some pairs replaced by 0, at all times."""
    return expr.xreplace({x: sp.S.Zero for x in expr.atoms(Moment) if x.args[:2] in pairs})


def coupling(program: Program, ask: Ask) -> sp.Expr:
    """What the output covariance keeps between different lags; 0 where lags do not couple."""
    zeros, right = _zeros(program, ask), ask.equation("readout", lag_root(program)).right
    kept = [
        without(shifted(right, RELATIONS[relation], labels), zeros) for relation in "<>" for labels in offsets(program)
    ]
    return sp.Add(*kept)


@rule(
    "no-coupling",
    source="zero moments between different lags",
    rank=220,
    says="different lags and different outputs do not mix:",
)
def no_coupling(subject: Response, ask: Ask) -> Claim:
    """The output covariance vanishes between different lags and different rows; what is left has a closed form."""
    program = ask.program
    r, r2 = subject.rows
    if coupling(program, ask) != 0:
        raise NotDiagonal(
            f"{program.name}",
            "moments that vanish between different lags",
            "moments that do not: a state enters its own update without a matrix, so lags couple",
            "Ask ntk(…) or impulse_response(…).covariance for the weights of pairs of lags.",
        )
    closed = ask.equation("weight", Response(subject.output, r, r, j, j, *label_pair(program, *subject.labels))).right
    return Equation(subject, sp.KroneckerDelta(r, r2) * sp.KroneckerDelta(j, k) * closed)


def label_pair(program: Program, a: sp.Expr, b: sp.Expr) -> tuple[Any, Any]:
    """Equal impulse times are told apart from different ones only where some matrix is redrawn."""
    return (a, b) if (a, b) in offsets(program) else (p, q)


@rule(
    "superposition",
    source="linearity in the input sequence; emami2021implicit, (42) and (17)-(20)",
    rank=230,
    says="a linear response to a sequence is the sum of its responses to impulses, so",
)
def superposition(subject: Response, ask: Ask) -> Claim:
    """A linear response is the sum over impulses, so the kernel is the weighted sum of input products by lag."""
    program, (r, r2) = ask.program, subject.rows
    found = {
        labels: ask.equation("no-coupling", Response(subject.output, r, r2, j, k, *labels)).right.subs({k: j, r2: r})
        for labels in offsets(program)
    }
    same, apart = found.get((p, p), found[p, q]), found[p, q]
    weights = (
        same if sp.expand(same - apart) == 0 else sp.KroneckerDelta(t, s) * same + (1 - sp.KroneckerDelta(t, s)) * apart
    )
    return Equation(
        subject, sp.KroneckerDelta(r, r2) * sp.Sum(weights * Gram(t - j, s - j, FIRST, SECOND), (j, 0, sp.Min(t, s)))
    )


@rule(
    "limit-law",
    source="emami2021implicit, Theorem 3.3(a)",
    rank=260,
    says="the entries of the impulse response converge in law, as the width grows, to centred Gaussians with",
    status="cited",
)
def limit_law(subject: Entry, ask: Ask) -> Claim:
    """Entries of the impulse response converge jointly to independent centred Gaussians, lag by lag."""
    program = ask.program
    r, c, r2, c2, *_ = subject.args
    ask("lemma-c1", "lemma-c1")
    right = ask.equation("no-coupling", Response(kind(program), r, r2, j, k, *label_pair(program, p, p))).right
    return Limit(subject, sp.KroneckerDelta(c, c2) * right, "in law, to a centred Gaussian with this covariance")


@rule(
    "limit-kernel",
    source="emami2021implicit, (15), Lemma B.1 and Theorem 3.3(b); yang2020tensor2",
    rank=270,
    says=(
        "the sum of products of gradients concentrates on this mean over the perturbation, and the kernel "
        "of a network of growing width converges to it in probability:"
    ),
    status="cited",
    of_outputs="and this mean is the limit of the covariance of the outputs as the width grows:",
)
def limit_kernel(subject: EmpiricalKernel, ask: Ask) -> Claim:
    """The sum of products of gradients concentrates on its mean over a random perturbation."""
    mean = ask.equation("superposition", Response(*subject.args, FIRST, SECOND))
    return Limit(subject, mean.right, "in probability")


@rule("scale-factors", source="emami2021implicit, (21)", rank=280, says="the weight of a lag is the scale factor")
def scale_factors_rule(subject: Any, ask: Ask) -> Claim:
    """The one weight that the tangent kernel gives to each lag, at all times."""
    program = ask.program
    ask("limit-kernel", EmpiricalKernel(kind(program), ROW, ROW2, t, s))
    found = [
        ask.equation("no-coupling", Response(kind(program), ROW, ROW2, j, k, *labels)).right.subs({k: j, ROW2: ROW})
        for labels in offsets(program)
    ]
    if any(sp.expand(other - found[0]) != 0 for other in found[1:]):
        raise NotDiagonal(
            f"scale factors of {program.name}",
            "one weight for each lag",
            f"{found[0]} at equal times and {found[-1]} at different ones",
            "A matrix is redrawn at each step, so the system varies in time; ntk(…) has both weights.",
        )
    return Equation(subject, found[0])
