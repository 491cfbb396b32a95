"""Superposition in Coq: the moments of two sequences are sums over lags of those of impulses, by one induction."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND, TIME, Calculus, Moment, heads
from wideproof.derive.calculus.recursion_rules import Response, offsets
from wideproof.derive.certificate.exporters.lag_lemmas import diagonal_lemma
from wideproof.derive.certificate.exporters.moment_lemmas import calculation, depending_first, opening, same_labels
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, pair_name, taken_apart
from wideproof.derive.language.notation import j, p, q, s, t
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import Step
from wideproof.derive.proof.rules import GIVEN, PERTURBATION, Ask, Rule

AT = (t, s, FIRST, SECOND)
Offset = tuple[sp.Symbol, sp.Symbol]


@exports("superposition")
def superposition(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The kernel of two sequences is the sum over lags of the weights, proved by induction on the time."""
    read = Calculus(context.program, TIME)
    y, r, r2 = claim.left.args[:3]
    subject = Response(y, r, r2, *AT)
    yield from _readout_in_time(context, subject, read)
    right = read.moment(context.program.output, context.program.output, *AT)
    equations = [Equation(Moment(*pair, *AT), value) for pair, value in read.closure(right, AT).items()]
    for equation in equations:
        yield from _covariance_in_time(context, equation)
    for at in offsets(context.program):
        for equation in equations:
            yield from _diagonals(context, equation.left.args[:2], at)
        yield _superposed(context, depending_first(equations), at)
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
        f"intros. {opening(context, equation.left)} {calculation(context, equation.right)}",
    )
    context.written["covariance", equation.left] = name


def _diagonals(context: Context, pair: Any, at: Offset) -> Iterator[Lemma]:
    """The diagonal of a pair that the steps only read inside another, unless it vanishes there."""
    if _diagonal(context, pair, at) or ("zero", (*pair, "=", at)) in context.written:
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
        claim = Rule.registry["diagonal"](Moment(*pair, time, time, *at), ask)
        yield diagonal_lemma(context, claim, depending_first(covariances))


def _diagonal(context: Context, pair: Any, at: Offset) -> str | None:
    """The lemma about a moment at equal lags; None for a moment that vanishes there."""
    return context.written.get(("diagonal", Moment(*pair, j + 1, j + 1, *at)))


def _impulse_moment(context: Context, pair: Any, at: Offset) -> str:
    return context.writer.real(Moment(*pair, j, j, *at))


def _condition(context: Context, at: Offset) -> str:
    """Which times a sum over lags is about: equal and different ones are told apart where a matrix is redrawn."""
    return "" if not context.apart else "t = s -> " if at[0] == at[1] else "t <> s -> "


def _superposed(context: Context, equations: list[Any], at: Offset) -> Lemma:
    """Each moment of two sequences is the sum over lags of its values for impulses, all by one induction."""
    pairs = [e.left.args[:2] for e in equations][::-1]
    writer = context.writer

    def goal(pair: Any, first: str, second: str) -> str:
        u, v = (writer.state(x) for x in pair)
        left = f"E ({u} x {first}) ({v} x' {second})"
        if _diagonal(context, pair, at) is None:
            return f"{left} = 0"
        return f"{left} = lag_sum (fun j => {_impulse_moment(context, pair, at)}) (gram x x') {first} {second}"

    def case(first: str, second: str, facts: list[str]) -> str:
        parts = []
        for index, pair in enumerate(pairs):
            known = [f"?{x}" for x in (*facts, *(f"M{i}" for i in range(index)))]
            name = context.written["covariance", Moment(*pair, *AT)]
            use = f"repeat progress (rewrite {', '.join(known)}); " if known else ""
            unfolded = _unfolded(context, (*pairs[:index], pair), at, bool(facts))
            parts.append(
                f"assert (M{index} : {goal(pair, first, second)}). {{ rewrite ({name} {second} {first}); cbn [before]; "
                f"expand; {use}cbn [lag_sum]; {unfolded} deltas; ring. }}"
            )
        return "\n    ".join((*parts, "repeat split; assumption."))

    step_facts = [f"I{i}" for i in range(len(pairs))]
    condition = _condition(context, at)
    opened = taken_apart(f"(IH s{' ltac:(lia)' if condition else ''})", step_facts)
    impulses, premise = context.impulses(*at)
    impossible = at[0] == at[1]  # equal times, one 0 and the other not
    script = [
        f"intros {impulses}{' H' if premise else ''}. induction t as [|t IH]; intros s{' times' if condition else ''}.",
        f"{{ {case('0', 's', [])} }}",
        "destruct s as [|s].",
        "{ exfalso. lia. }" if impossible else f"{{ {case('(S t)', '0', [])} }}",
        f"{opened} {case('(S t)', '(S s)', step_facts)}",
    ]
    name = context.name("responses-superpose", *same_labels(*at))
    context.superposed[at] = name, len(pairs)
    return Lemma(
        name,
        f"forall {impulses} : nat, {premise}forall t s : nat, {condition}"
        + " /\\ ".join(goal(pair, "t", "s") for pair in pairs),
        "\n  ".join(script),
    )


def _unfolded(context: Context, pairs: tuple[Any, ...], at: Offset, stepped: bool) -> str:
    """What the weights of some moments are, at the lag 0 and one lag later."""
    script = []
    given = context.given(*at)
    for x in pairs:
        start = context.written.get(("diagonal", Moment(*x, sp.S.Zero, sp.S.Zero, *at)))
        if start is None:
            continue
        script.append(f"rewrite ?({start} {given});")
        if stepped:
            later = context.written["diagonal", Moment(*x, j + 1, j + 1, *at)]
            own = context.writer.real(Moment(*x, j + 1, j + 1, *at))
            terms = [
                f"{context.writer.real(c)} * {_impulse_moment(context, k, at)}"
                for k, c in context.diagonal_step(x, at).items()
                if c != 0
            ]
            script.append(
                f"rewrite ?(lag_sum_ext t s (fun j => {own}) (fun j => {' + '.join(terms) or '0'}) (gram x x')) "
                f"by (intros; rewrite ({later} {given}); ring);"
            )
    if stepped:
        script.append("rewrite ?lag_sum_plus, ?lag_sum_scale, ?lag_sum_zero;")
    return " ".join(script)


def _kernel_sum(context: Context, step: Step, right: sp.Expr, pairs: list[Any]) -> Lemma:
    """The covariance of the outputs as a sum over lags."""
    claim: Any = step.claim
    writer = context.writer
    y, r, r2 = claim.left.args[:3]
    read = context.written["readout", Response(y, r, r2, *AT)]
    name = context.name("superposition", writer.output(y))
    context.written["superposition", claim.left] = name
    cases = [_summed(context, step, right, pairs, at) for at in offsets(context.program)]
    opened = f"intros r r' t s. rewrite ({read} s t r r')."
    if context.apart:
        opened += " destruct (Nat.eq_dec t s) as [times|times]."
        cases = [f"{{ {text} }}" for text in cases]
    return Lemma(
        name,
        f"forall r r' t s : nat, {writer.real(claim.left)} = {writer.real(claim.right)}",
        "\n  ".join((opened, *cases)),
    )


def _summed(context: Context, step: Step, right: sp.Expr, pairs: list[Any], at: Offset) -> str:
    """The script that the weights of the claim are those of the moments of impulses, at such times."""
    claim: Any = step.claim
    read = next(n for (rule, about), n in context.written.items() if rule == "readout" and about.args[5] == p)
    couplings: list[Any] = context.premises(step, "no-coupling")
    coupling = next(c for c in couplings if c.left.args[5:] == at)
    second = "1" if context.apart and at[0] != at[1] else "0"
    terms = [
        f"{context.writer.real(right.coeff(Moment(*pair, *AT)))} * {_impulse_moment(context, pair, at)}"
        for pair in pairs
        if _diagonal(context, pair, at)
    ]
    weights = (
        (" + ".join(terms) or "0").replace("(impulse p)", "(impulse 0)").replace("(impulse q)", f"(impulse {second})")
    )
    closed = context.writer.real(claim.right)
    inside = closed[closed.index("(fun j => ") + len("(fun j => ") : closed.index(") (gram x x')")]
    given = "0%nat" if at[0] == at[1] else f"0%nat {second}%nat" + " ltac:(lia)" * context.apart
    apart = "0%nat 1%nat ltac:(lia)" if context.apart else "0%nat 0%nat"
    zeros = [
        f"rewrite ?({context.written['zero', member]} {apart} j) in known."
        for rule, member in context.written
        if rule == "zero" and member[2:] == ("=", at)
    ]
    all_of, count = context.superposed[at]
    pattern = [f"M{i}" for i in range(count)]
    times = " times" if context.apart else ""
    return "\n  ".join(
        (
            taken_apart(f"({all_of} {given} t s{times})", pattern),
            f"rewrite {', '.join('?' + x for x in pattern)}.",
            f"rewrite (lag_sum_ext t s (fun j => {inside}) (fun j => {weights}) (gram x x')).",
            "{ rewrite ?lag_sum_plus, ?lag_sum_scale, ?lag_sum_zero. ring. }",
            f"intros j. pose proof ({context.lemma('no-coupling', coupling.left)} {given} 0%nat 0%nat j j) as known.",
            f"rewrite ({read} 0%nat {second}%nat j j 0%nat 0%nat), !delta_same in known. deltas.",
            *zeros,
            "lra.",
        )
    )
