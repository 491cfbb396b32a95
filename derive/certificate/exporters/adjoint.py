"""The adjoint in Coq: what one pass back in time gives is the change of the cost along every perturbation.

The equations of the adjoint define the cotangents and the gradients; the theorem is what they are for. Summed over a
run, the cotangent of the output times its response is the sum of the gradients times the perturbations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.calculus.recursion_rules import OUTPUT, TANGENT_OUTPUT
from wideproof.derive.certificate.hypotheses import (
    BILINEAR,
    applied,
    definition_of,
    differential_of,
    letters,
    parameters_of,
    perturbed_state,
    refuse,
)
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, setting
from wideproof.derive.certificate.terms import Writer, natural
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import t
from wideproof.derive.language.program import Bias, MatVec
from wideproof.derive.limits.adjoint import Cotangent, Local, Outer, Pullback
from wideproof.derive.proof.proof import Step

SPACE = """
(* Vectors of a network of finite width along one run, on the sequence x; E u v is here their inner product. *)
{bilinear}
Definition before (u : nat -> V) (t : nat) : V := match t with O => zero | S i => u i end.
Variable sequence : Type.
Variable x : sequence.
Variable step : sequence -> nat -> nat.
""".strip()
MAPS = """
(* product M i v is n^(-1/2) M v, input M i a t is M x_t, bias M i the bias; back M i v is n^(-1/2) M' v. *)
Variables product back : parameter -> nat -> V -> V.
Variable input : parameter -> nat -> sequence -> nat -> V.
Variable bias : parameter -> nat -> V.
Hypothesis product_plus : forall M i u v, product M i (plus u v) = plus (product M i u) (product M i v).
Hypothesis product_scale : forall M i c v, product M i (scale c v) = scale c (product M i v).
Hypothesis product_zero : forall M i, product M i zero = zero.
Hypothesis back_plus : forall M i u v, back M i (plus u v) = plus (back M i u) (back M i v).
Hypothesis back_scale : forall M i c v, back M i (scale c v) = scale c (back M i v).
Hypothesis back_zero : forall M i, back M i zero = zero.
Hypothesis transposed : forall M i u v, E u (product M i v) = E (back M i u) v.
Hint Rewrite product_plus product_scale product_zero back_plus back_scale back_zero : linear.
Hint Rewrite transposed : expand.
Ltac expand := repeat progress autorewrite with expand linear.
""".strip()
ACTIVATIONS = """
(* act f k u is the k-th derivative of f at each entry of u, times u v the product entry by entry. *)
Inductive activation := {names}.
Variable act : activation -> nat -> V -> V.
Variable times : V -> V -> V.
Hypothesis times_plus : forall u v w, times u (plus v w) = plus (times u v) (times u w).
Hypothesis times_scale : forall c u v, times u (scale c v) = scale c (times u v).
Hypothesis times_zero : forall u, times u zero = zero.
Hypothesis times_moves : forall a u v, E u (times a v) = E (times a u) v.
Hint Rewrite times_plus times_scale times_zero : linear.
Hint Rewrite times_moves : expand.
""".strip()


@setting("adjoint")
def run(writer: Writer, parameterization: str | None) -> str:
    """A network of finite width along one run, and how its vectors respond to a perturbation."""
    program = writer.program.base or writer.program
    refuse(program)
    names = " | ".join(map(writer.activation, applied(program)))
    return "\n\n".join(
        (
            "\n".join(letters(writer, program)),
            SPACE.replace("{bilinear}", BILINEAR),
            parameters_of(writer, program, parameterization),
            MAPS,
            *([ACTIVATIONS.replace("{names}", names)] if names else []),
            "\n".join(definition_of(writer, program)),
            "\n".join(differential_of(writer, program)),
        )
    )


def _cotangent(context: Context, subject: sp.Expr) -> str:
    """The identifier of the cotangent of a coordinate or of the output."""
    label = getattr(subject, "label", subject.name)
    return context.writer.names(("cotangent", subject), f"cot_{label}")


def _draw(context: Context, product: MatVec, time: str) -> str:
    return "0" if product.matrix.role == "readout" or product.matrix.tied else f"(step x {time})"


def _vector(context: Context, expr: sp.Expr) -> str:
    """A combination of cotangents, pulled back or not, as a vector."""
    texts = [_term(context, x) for x in sp.Add.make_args(sp.expand(expr)) if x != 0]
    total = texts[0] if texts else "zero"
    for text in texts[1:]:
        total = f"(plus {total} {text})"
    return total


def _term(context: Context, summand: sp.Expr) -> str:
    number, rest = summand.as_independent(Cotangent, Pullback, Local, as_Add=False)
    factors = sp.Mul.make_args(rest)
    slopes = [x for x in factors if isinstance(x, Local)]
    others = [x for x in factors if not isinstance(x, Local)]
    if len(others) != 1 or not isinstance(others[0], Cotangent | Pullback):
        raise NotCertified("cotangent", "factors times one cotangent", summand, "It is not covered.")
    subject, time = others[0].args[0], natural(others[0].args[1])
    text = f"({_cotangent(context, subject)} {time})"
    if isinstance(others[0], Pullback):
        product: Any = context.program.table[subject]
        text = f"(back {context.writer.parameter(product.matrix)} {_draw(context, product, time)} {text})"
    for factor in slopes:
        text = f"(times {context.writer.vector(factor.args[0], natural(factor.args[1]), 'x')} {text})"
    return text if number == 1 else f"(scale {context.writer.real(number)} {text})"


@exports(
    "cotangent", believes="nothing: the equations of the adjoint are definitions, and the theorem says what they give"
)
def cotangent(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The equation of one cotangent, as its definition."""
    if not any(rule == "cotangent" for rule, _ in context.written):
        claims: list[Any] = [x.claim for x in context.steps if x.rule == "cotangent"]
        for subject in (OUTPUT, *(c.left.args[0] for c in claims)):
            yield Lemma(_cotangent(context, subject), "nat -> V", "", "Variable")
    own = _cotangent(context, claim.left.args[0])
    context.written["cotangent", claim.left] = name = f"{own}_definition"
    yield Lemma(name, f"forall t : nat, {own} t = {_vector(context, claim.right)}", "", "Hypothesis")


@exports("gradient", believes="nothing: a gradient is met with the perturbation of its parameter, by definition")
def gradient(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """What one step contributes to a gradient, times the perturbation of the parameter."""
    texts = []
    for summand in sp.Add.make_args(claim.right):
        number, outer = summand.as_independent(Outer, Cotangent, as_Add=False)
        coordinate = outer.args[0]
        moved = _perturbed(context, coordinate)
        scale = "" if number == 1 else f"{context.writer.real(number)} * "
        texts.append(f"{scale}E ({_cotangent(context, coordinate)} t) {moved}")
    name = context.name("gradient", str(claim.left.args[0]))
    context.written["gradient", claim.left] = name
    yield Lemma(name, f"(t : nat) : R := {' + '.join(texts) or '0'}", "", "Definition")


def _perturbed(context: Context, coordinate: Any) -> str:
    """The product with the perturbed parameter, or its bias, at the time t."""
    term: Any = context.program.table[coordinate]
    own = term.matrix if isinstance(term, MatVec) else term.parameter
    perturbed = next(x for x in context.program.parameters if x.name == f"δ{own.name}")
    moved: Any = Bias(perturbed) if isinstance(term, Bias) else MatVec(perturbed, term.vector)
    found = next(c for c, x in context.program.terms if x == moved)
    return context.writer.coordinate(found, "t", "x")


@exports("adjoint")
def adjoint(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The sum of the gradients along the perturbations is the change of the cost."""
    claims: list[Any] = context.premises(step, "cotangent")
    states = [c for c in claims if c.left.args[0] in context.program.bodies]
    others = [c for c in claims if c not in states]
    carried = {c: _later(c.right) for c in states}
    output, cost = context.writer.output(TANGENT_OUTPUT), _cotangent(context, OUTPUT)
    responses = {c: perturbed_state(context.writer, c.left.args[0]) for c in states}
    change = f"E ({cost} t) ({output} 0 x t)"
    gradients = " + ".join(f"{context.lemma('gradient', x)} t" for x in claim.right)
    carry = _carry(context, carried, responses, "({} x t)")
    carry_before = _carry(context, carried, responses, "(before ({} x) t)", "t")
    unfold = f"unfold {', '.join(context.lemma('gradient', x) for x in claim.right)}"
    facts = [f"pose proof ({context.lemma('tangent', TANGENT_OUTPUT)}_right 0%nat x t ({cost} t)) as A."]
    known = ["A"]
    for i, c in enumerate(states):
        own, response = _cotangent(context, c.left.args[0]), responses[c]
        lemma = next(
            n for (r, about), n in context.written.items() if r == "tangent" and _named(context, about) == response
        )
        facts.append(f"pose proof ({lemma}_right x t ({own} t)) as A{i}.")
        facts.append(
            f"pose proof (f_equal (fun v => E v ({response} x t)) ({context.lemma('cotangent', c.left)} t)) as B{i}. "
            f"cbv beta in B{i}."
        )
        known += [f"A{i}", f"B{i}"]
    rules = ", ".join(f"?({context.lemma('cotangent', c.left)} t)" for c in others)
    zeros = sorted({x.args[0] for v in carried.values() for x in v.atoms(Cotangent, Pullback)}, key=str)
    after = "".join(f"(forall t, (N < t)%nat -> {_cotangent(context, z)} t = zero) -> " for z in zeros)
    names = [f"L{i}" for i in range(len(zeros))]
    vanish = " ".join(f"rewrite ?({name} (S N)) by lia." for name in names)
    yield Lemma(
        context.name("adjoint"),
        f"forall N : nat, {after}\n  sum_below (fun t => {change}) (S N) = sum_below (fun t => {gradients}) (S N)",
        f"intros N {' '.join(names)}.\n  "
        f"assert (each : forall t, {change} = {gradients} + {carry_before} - {carry}).\n  {{ intros t. {unfold}.\n    "
        + "\n    ".join(facts)
        + "\n    "
        f"rewrite {rules}.\n    "
        + "\n    ".join(
            f"rewrite {rules} in {x}. repeat progress autorewrite with expand linear in {x}." for x in known
        )
        + "\n    expand. lra. }\n  "
        f"assert (summed : forall l, sum_below (fun t => {change}) (S l) = "
        f"sum_below (fun t => {gradients}) (S l) - (fun t => {carry}) l).\n  "
        "{ induction l as [|l IH].\n    - cbn [sum_below]. rewrite each. cbn [before]. expand. ring.\n    "
        f"- remember (S l) as k. cbn [sum_below]. rewrite each. subst k. rewrite IH. cbn [before]. ring. }}\n  "
        f"rewrite summed. cbv beta. {vanish} expand. ring.",
    )


def _named(context: Context, about: Any) -> str:
    return context.writer.state(about) if about in context.program.bodies else ""


def _later(expr: sp.Expr) -> sp.Expr:
    """The summands of a cotangent that are read in the next step."""
    return sp.Add(*(x for x in sp.Add.make_args(expr) if any(a.args[1] != t for a in x.atoms(Cotangent, Pullback))))


def _carry(context: Context, carried: Any, responses: Any, side: str, time: str = "(S t)") -> str:
    """What the next step reads of each state, times its response; `side` says how that is written."""
    shift = {t + 1: t} if time == "t" else {}
    texts = [
        f"E {_vector(context, value.subs(shift))} {side.format(responses[c])}"
        for c, value in carried.items()
        if value != 0
    ]
    return f"({' + '.join(texts) or '0'})"
