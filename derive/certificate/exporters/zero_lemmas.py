"""Moments that vanish, in Coq: all together, by induction on the number of steps that both sides have made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import Moment
from wideproof.derive.calculus.recursion_rules import Response
from wideproof.derive.calculus.starts import BEFORE
from wideproof.derive.certificate.exporters.moment_lemmas import covariance_at, ordered_covariances, view_of
from wideproof.derive.certificate.lemmas import Context, Lemma, binder, exports, is_impulse, pair_name, taken_apart
from wideproof.derive.certificate.terms import SEQUENCES
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import j, k
from wideproof.derive.proof.claims import Vanishing
from wideproof.derive.proof.proof import Step

RELATION_NAMES = {"=": "equal", "<": "earlier", ">": "later", "any": "any"}


def is_start(left: sp.Expr) -> bool:
    """Whether a moment is that of two states before the first step."""
    return isinstance(left, Moment) and left.args[2:4] == (BEFORE, BEFORE)


def start_case(context: Context, left: sp.Expr) -> str:
    """The script of a start among the parts of a recurrence."""
    return f"exact {context.lemma('start', left)}."


@exports("start")
def start(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A state that starts at zero is zero before the first step."""
    name = context.name("start", *pair_name(context, claim.left), *view_of(claim.left))
    yield Lemma(
        name,
        f"{binder(context, claim.left, ())}{context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        "intros. cbn [before]. expand. reflexivity.",
    )
    context.written["start", claim.left] = name


@exports("zero-moments")
def zero_moments(context: Context, step: Step, claim: Vanishing) -> Iterator[Lemma]:
    """All zero moments together, by induction on the number of steps that both have made."""
    if not claim.members:
        return
    name = context.name("zero-moments", *view_of(claim.about))
    context.written["zero-moments", claim.about] = name
    if context.pair:
        yield from _of_all_sequences(context, claim, name, ordered_covariances(context, step))
        return
    covariances = ordered_covariances(context, step)
    members = _by_dependency(claim.members, covariances)
    lag = is_impulse(claim.about.args[-2:]) if isinstance(claim.about, Response) else False
    at_start = [_zero(context, x, "0", lag) for x in members]
    later = [_zero(context, x, "(S i)", lag) for x in members]
    general = [_zero(context, x, "i", lag) for x in members]
    impulses = ("forall p q : nat, " + ("p <> q -> " if context.apart else "")) if lag else ""
    opened = ("intros p q H. " if context.apart else "intros p q. ") if lag else ""
    names = [f"Z{i}" for i in range(len(members))]
    rest = "m" if lag else "k"
    script = [f"{opened}intros i. induction i as [|i IH]; intros {rest}."]
    script += ["{ " + _zero_case(context, members, at_start, covariances, names, "0", lag) + " }"]
    for i, member in enumerate(members):
        is_general = re.search(rf"\b{rest}\b", general[i]) is not None
        general_in = f"fun {rest} => " if is_general else ""
        known = _part(f"(IH {rest if is_general else '0%nat'})", i, len(members))
        script.append(f"pose proof ({general_in}{known}) as I{i}.")
        if member[2] in "<>":
            wider = general[i].replace("(S (i + m))", "(S (S (i + m)))")
            moved = "intros l. replace (S (i + l)) with (i + S l)%nat by lia. apply I"
            script.append(f"assert (J{i} : forall m, {wider}) by ({moved.replace('. ', '; ')}{i}).")
    script += [_zero_case(context, members, later, covariances, names, "(S i)", lag)]
    yield Lemma(name, f"{impulses}forall i {rest} : nat, " + " /\\ ".join(general), "\n  ".join(script))
    for i, member in enumerate(members):
        own = context.name("zero", *_member_name(context, member))
        used = [x for x in ("i", rest) if re.search(rf"\b{x}\b", general[i])]
        introduced = "intros p q H " if lag and context.apart else "intros p q " if lag else "intros "
        impulse = "p q H " if lag and context.apart else "p q " if lag else ""
        arguments = f"({name} {impulse}i {rest if rest in used else '0%nat'})"
        yield Lemma(
            own,
            f"{impulses}forall {' '.join(used)} : nat, {general[i]}",
            f"{introduced}{' '.join(used)}. exact {_part(arguments, i, len(members))}.",
        )
        context.written["zero", member] = own


def _of_all_sequences(context: Context, claim: Vanishing, name: str, covariances: list[Any]) -> Iterator[Lemma]:
    """The zero moments of all pairs of sequences at all times, by induction on the first time."""
    members = _by_dependency(claim.members, covariances)
    if any(relation != "any" or 1 in (u, v) for u, v, relation, _ in members):
        raise NotCertified("zero moments", "moments of two states at all times", claim.members, "Not covered yet.")
    rules = {c.left.args[:2]: context.lemma("covariance", c.left) for c in covariances}

    def goals(time: str) -> list[str]:
        return [
            f"{context.pair}forall k : nat, {_moment_text(context, u, v, time, 'k', at)} = 0" for u, v, _, at in members
        ]

    def case(time: str, known: list[str]) -> str:
        parts = []
        for index, (member, goal) in enumerate(zip(members, goals(time), strict=True)):
            facts = [*known, *(f"Z{i}" for i in range(index))]
            use = f"repeat progress (rewrite {', '.join('?' + x for x in facts)} by assumption); " if facts else ""
            parts.append(
                f"assert (Z{index} : {goal}).\n    {{ intros {context.of_pair}k. "
                f"rewrite ({rules[member[:2]]} {context.of_pair}k {time}). "
                f"destruct k as [|k]; cbn [before]; expand; {use}ring. }}"
            )
        return "\n    ".join((*parts, "repeat split; assumption."))

    known = [f"I{i}" for i in range(len(members))]
    yield Lemma(
        name,
        "forall i : nat, " + " /\\\n  ".join(f"({x})" for x in goals("i")),
        "\n  ".join(
            (
                "intros i. induction i as [|i IH].",
                f"{{ {case('0', [])} }}",
                f"{taken_apart('IH', known)} {case('(S i)', known)}",
            )
        ),
    )
    for index, (member, goal) in enumerate(zip(members, goals("i"), strict=True)):
        own = context.name("zero", *_member_name(context, member))
        context.written["zero", member] = own
        yield Lemma(own, f"forall i : nat, {goal}", f"intros i. exact {_part(f'({name} i)', index, len(members))}.")


def _member_name(context: Context, member: Any) -> tuple[str, ...]:
    u, v, relation, at = member
    same = ("same",) if at[0] == at[1] else ()
    words = pair_name(context, Moment(u, v, j, k, *at))
    return (*words, RELATION_NAMES[relation], *same)


def _part(proof: str, index: int, count: int) -> str:
    """One conjunct of a right-nested conjunction."""
    text = proof if proof.startswith("(") else f"({proof})"
    for _ in range(index):
        text = f"(proj2 {text})"
    return text if index == count - 1 else f"(proj1 {text})"


def _times(member: Any, base: str, lag: bool) -> tuple[str, str]:
    """The two times of a member, of which the earlier counts the steps that both have made."""
    relation = member[2]
    if not lag:
        return ("0", base) if member[0] == 1 else (base, "k")
    later = "(S (i + m))" if base == "i" else "(S m)" if base == "0" else "(S (S (i + m)))"
    return {"=": (base, base), "<": (base, later), ">": (later, base)}[relation]


def _zero(context: Context, member: Any, base: str, lag: bool) -> str:
    u, v, _, at = member
    first, second = _times(member, base, lag)
    return f"{_moment_text(context, u, v, first, second, at)} = 0"


def _moment_text(context: Context, u: Any, v: Any, first: str, second: str, at: Any) -> str:
    writer = context.writer
    sides = []
    for process, time, label in ((u, first, SEQUENCES[at[0]]), (v, second, SEQUENCES[at[1]])):
        if process in context.program.bodies:
            sides.append(f"({writer.state(process)} {label} {time})")
        else:
            sides.append(writer.vector(process, time, label))
    return f"E {sides[0]} {sides[1]}"


def _zero_case(
    context: Context,
    members: list[Any],
    goals: list[str],
    covariances: list[Any],
    names: list[str],
    base: str,
    lag: bool,
) -> str:
    """Each member at one time, by the covariance equations, what is known a step earlier, and the members before it."""
    parts = []
    known = [f"I{i}" for i in range(len(members))] if base != "0" else []
    known += [f"J{i}" for i, member in enumerate(members) if base != "0" and member[2] in "<>"]
    for index, (member, goal) in enumerate(zip(members, goals, strict=True)):
        at = member[3]
        first, second = _times(member, base, lag)
        rewriting = [covariance_at(context, c, first, second, *at) for c in covariances]
        facts = [f"?{x}" for x in known] + [f"?{names[i]}" for i in range(index)]
        inner = "" if lag or member[0] == 1 else " destruct k as [|k];"
        use = f"repeat progress (rewrite {', '.join(facts)}); " if facts else ""
        tail = f"cbn [before]; expand; {use}deltas; ring"
        parts.append(f"assert ({names[index]} : {goal}). {{ {' '.join(rewriting)}{inner} {tail}. }}")
    return "\n    ".join((*parts, "repeat split; assumption."))


def _by_dependency(members: Any, covariances: list[Any]) -> list[Any]:
    """Members whose equation reads others at the same time come after those."""
    order = [c.left.args[:2] for c in reversed(covariances)]
    return sorted(members, key=lambda x: (order.index(x[:2]) if x[:2] in order else -1, str(x)))


def zeros_equal(context: Context, a: sp.Expr, b: sp.Expr, times: tuple[str, ...]) -> str:
    """Rewritings by the moments that vanish at equal lags."""
    script = []
    for rule, member in context.written:
        if rule == "zero" and member[2] == "=" and member[3] == (a, b):
            name = context.written["zero", member]
            arguments = "p (S p) ltac:(lia) {}" if a == b and context.apart else context.given(a, b) + " {}"
            script += [f"rewrite ?({name} {arguments.format(time)})." for time in times]
    return " ".join(script)
