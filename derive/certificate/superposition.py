"""Superposition in Coq: the moments of two sequences are sums over lags of those of impulses, by one induction."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND, TIME, Calculus, Moment, heads
from wideproof.derive.calculus.recursion_rules import Response
from wideproof.derive.certificate.lag_lemmas import diagonal_lemma
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, pair_name, taken_apart
from wideproof.derive.certificate.moment_lemmas import depending_first, opening
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import j, p, q, s, t
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import Step
from wideproof.derive.proof.rules import GIVEN, PERTURBATION, Ask, Rule

AT = (t, s, FIRST, SECOND)


@exports("superposition")
def superposition(context: Context, step: Step) -> Iterator[Lemma]:
    """The kernel of two sequences is the sum over lags of the weights, proved by induction on the time."""
    claim: Any = step.claim
    if context.apart:
        raise NotCertified(
            "superposition", "matrices that are drawn once", "one drawn at each step", "Not covered yet."
        )
    read = Calculus(context.program, TIME)
    y, r, r2 = claim.left.args[:3]
    subject = Response(y, r, r2, *AT)
    yield from _readout_in_time(context, subject, read)
    right = read.moment(context.program.output, context.program.output, *AT)
    equations = [Equation(Moment(*pair, *AT), value) for pair, value in read.closure(right, AT).items()]
    for equation in equations:
        yield from _covariance_in_time(context, equation)
    for equation in equations:
        yield from _diagonals(context, equation.left.args[:2])
    yield from _superposed(context, depending_first(equations))
    yield _kernel_sum(context, step, right, heads(right))


def _readout_in_time(context: Context, subject: Response, read: Calculus) -> Iterator[Lemma]:
    """The readout equation at two times, where no step states it."""
    if ("readout", subject) in context.written:
        return
    name = context.name("readout", context.writer.output(subject.args[0]), "in_time")
    right = sp.KroneckerDelta(*subject.args[1:3]) * read.moment(context.program.output, context.program.output, *AT)
    yield Lemma(
        name,
        f"forall s t : nat, forall r r' : nat, {context.writer.real(subject)} = {context.writer.real(right)}",
        f"intros. {opening(context, subject)} expand. ring.",
    )
    context.written["readout", subject] = name


def _covariance_in_time(context: Context, equation: Equation) -> Iterator[Lemma]:
    """A covariance equation at two times, where no step states it."""
    if ("covariance", equation.left) in context.written:
        return
    name = context.name("covariance", *pair_name(context, equation.left), "in_time")
    yield Lemma(
        name,
        f"forall s t : nat, {context.writer.real(equation.left)} = {context.writer.real(equation.right)}",
        f"intros. {opening(context, equation.left)} expand. ring.",
    )
    context.written["covariance", equation.left] = name


def _diagonals(context: Context, pair: Any) -> Iterator[Lemma]:
    """The diagonal of a pair that the steps only read inside another, unless it vanishes there."""
    if _diagonal(context, pair, j + 1) or ("zero", (*pair, "=", (p, q))) in context.written:
        return

    def premise(rule: str, subject: Hashable) -> Claim:
        return next(x.claim for x in context.steps if x.rule == rule and x.claim.subject == subject)

    covariances: list[Any] = [
        x.claim
        for x in context.steps
        if x.rule == "covariance" and x.claim.left.args[4:] == (p, q)  # type: ignore
    ]
    ask = Ask(premise, (PERTURBATION, context.program.parameterization) if context.program.base else (GIVEN, GIVEN))
    for time in (sp.S.Zero, j + 1):
        claim = Rule.registry["diagonal"].apply(Moment(*pair, time, time, p, q), ask)
        yield diagonal_lemma(context, claim, depending_first(covariances))


def _diagonal(context: Context, pair: Any, time: sp.Expr) -> str | None:
    """The lemma about a moment at equal lags; None for a moment that vanishes there."""
    return context.written.get(("diagonal", Moment(*pair, time, time, p, q)))


def _impulse_moment(context: Context, pair: Any) -> str:
    return context.writer.real(Moment(*pair, j, j, p, q))


def _superposed(context: Context, equations: list[Any]) -> Iterator[Lemma]:
    """Each moment of two sequences is the sum over lags of its values for impulses, all by one induction."""
    pairs = [e.left.args[:2] for e in equations][::-1]
    writer = context.writer

    def goal(pair: Any, first: str, second: str) -> str:
        u, v = (writer.state(x) for x in pair)
        left = f"E ({u} x {first}) ({v} x' {second})"
        if _diagonal(context, pair, j + 1) is None:
            return f"{left} = 0"
        return f"{left} = lag_sum (fun j => {_impulse_moment(context, pair)}) (gram x x') {first} {second}"

    def case(first: str, second: str, facts: list[str]) -> str:
        parts = []
        for index, pair in enumerate(pairs):
            known = [f"?{x}" for x in (*facts, *(f"M{i}" for i in range(index)))]
            name = context.written["covariance", Moment(*pair, *AT)]
            use = f"repeat progress (rewrite {', '.join(known)}); " if known else ""
            parts.append(
                f"assert (M{index} : {goal(pair, first, second)}). {{ rewrite ({name} {second} {first}); cbn [before]; "
                f"expand; {use}cbn [lag_sum]; {_unfolded(context, pair, pairs[:index], bool(facts))} ring. }}"
            )
        return "\n    ".join((*parts, "repeat split; assumption."))

    step_facts = [f"I{i}" for i in range(len(pairs))]
    opened = taken_apart("(IH s)", step_facts)
    script = [
        "intros p q. induction t as [|t IH]; intros s.",
        f"{{ {case('0', 's', [])} }}",
        "destruct s as [|s].",
        f"{{ {case('(S t)', '0', [])} }}",
        f"{opened} {case('(S t)', '(S s)', step_facts)}",
    ]
    name = context.name("responses-superpose")
    yield Lemma(
        name, "forall p q t s : nat, " + " /\\ ".join(goal(pair, "t", "s") for pair in pairs), "\n  ".join(script)
    )
    context.superposed[name] = pairs


def _unfolded(context: Context, pair: Any, before: list[Any], stepped: bool) -> str:
    """What the weights of a moment and of those before it are, at the lag 0 and one lag later."""
    script = []
    for x in (*before, pair):
        start = context.written.get(("diagonal", Moment(*x, sp.S.Zero, sp.S.Zero, p, q)))
        if start is None:
            continue
        script.append(f"rewrite ?({start} p q);")
        if stepped:
            later = context.written["diagonal", Moment(*x, j + 1, j + 1, p, q)]
            own = context.writer.real(Moment(*x, j + 1, j + 1, p, q))
            terms = [
                f"{context.writer.real(c)} * {_impulse_moment(context, k)}"
                for k, c in context.diagonal_step(x).items()
                if c != 0
            ]
            script.append(
                f"rewrite ?(lag_sum_ext t s (fun j => {own}) (fun j => {' + '.join(terms) or '0'}) (gram x x')) "
                f"by (intros; rewrite ({later} p q); ring);"
            )
    if stepped:
        script.append("rewrite ?lag_sum_plus, ?lag_sum_scale, ?lag_sum_zero;")
    return " ".join(script)


def _kernel_sum(context: Context, step: Step, right: sp.Expr, pairs: list[Any]) -> Lemma:
    """The covariance of the outputs as a sum over lags."""
    claim: Any = step.claim
    writer = context.writer
    y, r, r2 = claim.left.args[:3]
    coupling = context.premise(step, "no-coupling")
    read = context.written["readout", Response(y, r, r2, *AT)]
    read_at_lag = next(n for (rule, about), n in context.written.items() if rule == "readout" and about.args[5] == p)
    terms = [
        f"{writer.real(right.coeff(Moment(*pair, *AT)))} * {_impulse_moment(context, pair)}"
        for pair in pairs
        if _diagonal(context, pair, j + 1)
    ]
    weights = " + ".join(terms) or "0"
    closed = writer.real(claim.right)
    inside = closed[closed.index("(fun j => ") + len("(fun j => ") : closed.index(") (gram x x')")]
    zeros = [
        f"rewrite ?({context.written['zero', member]} 0%nat 0%nat j) in known."
        for rule, member in context.written
        if rule == "zero" and member[2] == "="
    ]
    weight = context.lemma("no-coupling", coupling.left)
    name = context.name("superposition", writer.output(y))
    all_of, members = next(iter(context.superposed.items()))
    pattern = [f"M{i}" for i in range(len(members))]
    context.written["superposition", claim.left] = name
    return Lemma(
        name,
        f"forall r r' t s : nat, {writer.real(claim.left)} = {closed}",
        "\n  ".join(
            (
                f"intros r r' t s. rewrite ({read} s t r r').",
                taken_apart(f"({all_of} 0%nat 0%nat t s)", pattern),
                f"rewrite {', '.join('?' + x for x in pattern)}.",
                f"rewrite (lag_sum_ext t s (fun j => {inside}) (fun j => {_at_zero(weights)}) (gram x x')).",
                "{ rewrite ?lag_sum_plus, ?lag_sum_scale, ?lag_sum_zero. ring. }",
                f"intros j. pose proof ({weight} 0%nat 0%nat 0%nat 0%nat j j) as known.",
                f"rewrite ({read_at_lag} 0%nat 0%nat j j 0%nat 0%nat), !delta_same in known.",
                *zeros,
                "lra.",
            )
        ),
    )


def _at_zero(text: str) -> str:
    return text.replace("(impulse p)", "(impulse 0)").replace("(impulse q)", "(impulse 0)")
