"""Steps about moments in Coq: updates, and covariances with both updates written out once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import Gram, Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, Response
from wideproof.derive.certificate.hypotheses import applied
from wideproof.derive.certificate.lemmas import Context, Lemma, binder, exports, is_impulse, pair_name
from wideproof.derive.certificate.terms import ROWS, SEQUENCES, natural, pieces
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import s, t
from wideproof.derive.language.program import Coordinate
from wideproof.derive.proof.claims import Equation
from wideproof.derive.proof.proof import Step


def tested(context: Context, expr: sp.Expr, row: str, side: str) -> str:
    """E of a combination of coordinates at a time t, times any w; `side` says where the combination stands."""
    writer = context.writer
    terms = [
        ("" if c == 1 else f"{writer.real(c)} * ") + side.format(writer.coordinate(x, "t", "a", row))
        for c, x in pieces(expr)
    ]
    return " + ".join(terms) or "0"


@exports("recursion", "tangent")
def update(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """An update or the output, as E of it times any variable, on either side."""
    is_output = claim.left not in context.program.bodies
    name = context.writer.output(claim.left) if is_output else context.writer.state(claim.left)
    row, rows = ("r", "r ") if is_output else ("0", "")
    lemma = context.name(step.rule, name)
    left, right = (tested(context, claim.right, row, side) for side in ("E {} w", "E w {}"))
    base = context.writer.output(OUTPUT) if is_output else context.writer.state(unperturbed(context, claim.left))
    opened = f"rewrite <- d_{base}, {base}_definition." if step.rule == "tangent" else f"rewrite {name}_definition."
    yield Lemma(
        lemma,
        f"forall {rows}a t w, E ({name} {rows}a t) w = {left}",
        f"intros. {opened}{' autorewrite with tangent.' if step.rule == 'tangent' else ''} expand. ring.",
    )
    yield Lemma(
        f"{lemma}_right",
        f"forall {rows}a t w, E w ({name} {rows}a t) = {right}",
        f"intros. rewrite !(E_symmetric w). apply {lemma}.",
    )
    context.written[step.rule, claim.left] = lemma


def unperturbed(context: Context, updated: sp.Expr) -> Coordinate:
    """The state of which another is the response; a state that is no response itself."""
    program = context.program
    names = [c for c, _ in program.updates]
    return names[names.index(updated) % len(program.base.updates if program.base else names)]


def _opened(context: Context, process: sp.Expr) -> str:
    """The lemma that writes a state or an output out."""
    for rule in ("recursion", "tangent"):
        if (rule, process) in context.written:
            return context.written[rule, process]
    raise NotCertified(f"moment of {process}", "a step that states its update", "none", "The proof has another shape.")


def opening(context: Context, moment: Any) -> str:
    """A script that writes both sides of a moment, or of a covariance of outputs, out once."""
    if isinstance(moment, Response):
        y, row, row2, first, second, a, b = moment.args
        sides = [(y, f"{ROWS[row]} ", first, a), (y, f"{ROWS[row2]} ", second, b)]
    else:
        u, v, first, second, a, b = moment.args
        sides = [(u, "", first, a), (v, "", second, b)]
    script = []
    for (process, row, time, label), suffix, mark in zip(sides, ("", "_right"), ("", "!"), strict=True):
        if (base := _activated(context, process)) is not None:
            at = f"{SEQUENCES[label]} {natural(time)}"
            script.append(f"rewrite <- ?(d_{base} {at}), ({base}_definition {at}). autorewrite with tangent.")
        elif isinstance(moment, Response) or process in context.program.bodies:
            script.append(
                f"rewrite {mark}({_opened(context, process)}{suffix} {row}{SEQUENCES[label]} {natural(time)})."
            )
    return " ".join(script)


def _activated(context: Context, process: sp.Expr) -> str | None:
    """The state of which a process is the response to be written out whole, where activations are differentiated.

    Each factor of Stein's lemma is then one sum, and not one of many summands.
    """
    program = context.program
    if not (context.pair and process in program.bodies):
        return None
    base = unperturbed(context, process)
    return None if base == process else context.writer.state(base)


@exports("covariance", "readout", believes="Lemma C.1: E[(M u)(M v)] = variance E[u v]; independence")
def written_out(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A moment with both updates written out once, by linearity and Lemma C.1."""
    subject = claim.left
    if isinstance(subject, Response):
        about: tuple[str, ...] = (context.writer.output(subject.args[0]), *view_of(subject))
        rows, times = "forall r r' : nat, ", subject.args[3:5]
    else:
        about, rows, times = (*pair_name(context, subject), *view_of(subject)), "", subject.args[2:4]
    name = context.name(step.rule, *about)
    before = binder(context, subject, times).replace("p <> q -> ", "")
    yield Lemma(
        name,
        f"{before}{rows}{context.writer.real(subject)} = {context.writer.real(claim.right)}",
        f"intros. {opening(context, subject)} {calculation(context, claim.right)}",
    )
    context.written[step.rule, subject] = name


def calculation(context: Context, right: sp.Expr) -> str:
    """The script that both sides written out are equal: by linearity, and as means of activations where there are."""
    if applied(context.program):
        _refuse_later(context, right)
        stein = "stein; " if context.program.base else ""
        same = right.has(sp.KroneckerDelta(s, t)) and context.program.base
        end = f"ring{' || (destruct (Nat.eq_dec s t) as [->|]; deltas; ring)' if same else ''}"
        order = _one_order(context, right)
        return (
            f"autorewrite with expand. {stein}gaussian_means. name_covariances. expand. {order}.\n  "
            f"align ltac:(idtac; {order}). {end}."
        )
    if right.has(sp.KroneckerDelta(s, t)):
        return "expand. rewrite ?(delta_symmetric t s). ring."
    return "expand. ring."


def _refuse_later(context: Context, right: sp.Expr) -> None:
    """Raise NotCertified for a moment of a state and a later activation."""
    for moment in sorted(right.atoms(Moment), key=str):
        if any(x != 1 and x not in context.program.bodies for x in moment.args[:2]):
            raise NotCertified(
                "covariance",
                "moments of states, and Gaussian means",
                moment,
                "A state that is carried over beside an activation has no certificate.",
            )


def _one_order(context: Context, right: sp.Expr) -> str:
    """A script that writes each moment that stands in both orders in one, and deltas of times in one."""
    script = []
    for moment in sorted(right.atoms(Moment), key=str):
        u, v, first, second, a, b = moment.args
        sides = [context.writer.at(x, time, SEQUENCES[label]) for x, time, label in ((u, first, a), (v, second, b))]
        if sides[0] != sides[1]:
            script.append(f"rewrite ?(E_symmetric {' '.join(sorted(sides, reverse=True))})")
    if right.has(Gram):
        script.append("rewrite ?(gram_symmetric x' x)")
    if right.has(sp.KroneckerDelta(s, t)):
        script.append("rewrite ?(delta_symmetric t s)")
    return "; ".join(dict.fromkeys(script)) or "idtac"


def view_of(subject: sp.Expr) -> tuple[str, ...]:
    """A word in the name of a lemma about sequences, and not impulses."""
    return () if is_impulse(subject.args[-2:]) else ("in_time",)


def covariance_at(context: Context, claim: Any, first: str, second: str, a: sp.Expr, b: sp.Expr) -> str:
    """A rewriting by the covariance equation of a pair at two times."""
    name = context.lemma("covariance", claim.left)
    if is_impulse((a, b)):
        left, right = (SEQUENCES[x].removeprefix("(impulse ").removesuffix(")") for x in (a, b))
        return f"rewrite ?({name} {left} {right} {first} {second})."
    return f"rewrite ?({name} {context.of_pair}{_ordered(claim.left, first, second)})."


def _ordered(subject: Any, first: str, second: str) -> str:
    """Two times in the alphabetical order of their letters, which is that of the binder."""
    t, s = subject.args[2:4]
    return f"{second} {first}" if str(s) < str(t) else f"{first} {second}"


def ordered_covariances(context: Context, step: Step) -> list[Any]:
    """The covariance equations that a step reads, those that others read at the same time last."""
    claims: list[Any] = [c for c in context.premises(step, "covariance") if isinstance(c, Equation)]
    return depending_first(claims)


def depending_first(claims: list[Any]) -> list[Any]:
    """Equations between moments, each before those whose left side it reads at the same time."""
    left, done = list(claims), []
    while left:
        free = [c for c in left if not any(c.left in other.right.atoms(Moment) for other in left if other is not c)]
        if not free:
            raise NotCertified("covariances", "moments that read each other one way", left, "They form a circle.")
        done += free
        left = [c for c in left if c not in free]
    return done


def same_labels(a: sp.Expr, b: sp.Expr) -> tuple[str, ...]:
    """A word in the name of a lemma about one impulse only."""
    return ("same",) if a == b else ()
