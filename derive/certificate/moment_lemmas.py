"""Steps about moments in Coq: updates, and covariances with both updates written out once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, Response
from wideproof.derive.certificate.lemmas import Context, Lemma, binder, exports, is_impulse, pair_name
from wideproof.derive.certificate.terms import ROWS, SEQUENCES, natural, pieces
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
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
def update(context: Context, step: Step) -> Iterator[Lemma]:
    """An update or the output, as E of it times any variable, on either side."""
    claim: Any = step.claim
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
        if isinstance(moment, Response) or process in context.program.bodies:
            script.append(
                f"rewrite {mark}({_opened(context, process)}{suffix} {row}{SEQUENCES[label]} {natural(time)})."
            )
    return " ".join(script)


@exports("covariance", "readout", believes="Lemma C.1: E[(M u)(M v)] = variance E[u v]; independence")
def written_out(context: Context, step: Step) -> Iterator[Lemma]:
    """A moment with both updates written out once, by linearity and Lemma C.1."""
    claim: Any = step.claim
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
        f"intros. {opening(context, subject)} {calculation(claim.right)}",
    )
    context.written[step.rule, subject] = name


def calculation(right: sp.Expr) -> str:
    """The script that both sides written out are equal: by linearity, or as means of activations."""
    if right.has(GaussianMean):
        if not all(isinstance(x, GaussianMean) for x in sp.Mul.make_args(right)):
            raise NotCertified(
                "means of activations", "one mean, or a product of independent ones", right, "Sums are not covered yet."
            )
        return "first [ gaussian_means | rewrite E_symmetric; gaussian_means ]."
    if right.has(sp.KroneckerDelta(s, t)):
        return "expand. rewrite ?(delta_symmetric t s). ring."
    return "expand. ring."


def view_of(subject: sp.Expr) -> tuple[str, ...]:
    """A word in the name of a lemma about sequences, and not impulses."""
    return () if is_impulse(subject.args[-2:]) else ("in_time",)


def covariance_at(context: Context, claim: Any, first: str, second: str, a: sp.Expr, b: sp.Expr) -> str:
    """A rewriting by the covariance equation of a pair at two times."""
    name = context.lemma("covariance", claim.left)
    if is_impulse((a, b)):
        left, right = (SEQUENCES[x].removeprefix("(impulse ").removesuffix(")") for x in (a, b))
        return f"rewrite ?({name} {left} {right} {first} {second})."
    return f"rewrite ?({name} {_ordered(claim.left, first, second)})."


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
