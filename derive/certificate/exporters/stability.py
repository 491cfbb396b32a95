"""Stability in Coq: the transition of one step and the variance of its entries are read off the recursion.

The circular law is cited whole: a matrix of independent Gaussian entries has a limiting spectral radius.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.algebra.matrix_symbols import MatrixSymbol
from wideproof.derive.certificate.hypotheses import letters, parameters_of, refuse
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, setting
from wideproof.derive.certificate.terms import Writer, comment, term
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import n
from wideproof.derive.linear.spectral_radius import SpectralRadius
from wideproof.derive.proof.proof import Step

SPACE = """
(* Vectors of a network of one width, by their entries; product M i v is n^(-1/2) M v, input M i a t is M x_t. *)
Definition V := nat -> R.
Definition zero : V := fun _ => 0.
Definition plus (u v : V) : V := fun i => u i + v i.
Definition scale (c : R) (u : V) : V := fun i => c * u i.
Variable sequence : Type.
Variable step : sequence -> nat -> nat.
Variable product : parameter -> nat -> V -> V.
Variable input : parameter -> nat -> sequence -> nat -> V.
Variable bias : parameter -> nat -> V.
Hypothesis product_zero : forall M k i, product M k zero i = 0.
""".strip()
CIRCULAR = """
(* A map stands for one matrix at every width. random_matrix f v: f is n^(-1/2) times a matrix of independent centred
   Gaussian entries of variance v; limiting_radius f is the limit in probability of its spectral radius. *)
Variable random_matrix : (V -> V) -> R -> Prop.
Hypothesis entries : forall M i, random_matrix (product M i) (variance M).
Variable limiting_radius : (V -> V) -> R.
Hypothesis geman1986spectral_circular_law : forall f v, random_matrix f v -> limiting_radius f = sqrt v.
""".strip()


@term(SpectralRadius)
def _radius(writer: Writer, expr: sp.Expr) -> str:
    return "(limiting_radius transition)"


@setting("circular-law", stated=("recursion",))
def one_step(writer: Writer, parameterization: str | None) -> str:
    """One step of the recursion as a map of the state before it, and the circular law."""
    program = writer.program
    refuse(program)
    ((updated, body),) = program.updates
    before = f"(before ({writer.state(updated)} a) t)"
    text = writer.vector(body, "t", "a").replace(before, "u")
    return "\n\n".join(
        (
            "\n".join(letters(writer, program)),
            parameters_of(writer, program, parameterization),
            SPACE,
            f"{comment(f'One step of {program.name} as it was written: {updated} = {body}, from the state u.')}\n"
            f"Definition next (a : sequence) (t : nat) (u : V) : V := {text}.",
            CIRCULAR,
        )
    )


@exports("transition")
def transition(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """Two runs on the same inputs differ after a step by the transition of their difference before it."""
    scaled = sp.expand(sp.sqrt(n) * claim.right)
    if not isinstance(scaled, MatrixSymbol):
        raise NotCertified("transition", "one matrix", claim.right, "Sums of matrices and shifts are not covered yet.")
    own = next(x for x in context.program.parameters if x.name == scaled.name)
    yield Lemma("transition", f"(u : V) : V := product {context.writer.parameter(own)} 0 u", "", "Definition")
    name = context.name("transition", "of_one_step")
    context.written["transition", claim.left] = name
    yield Lemma(
        name,
        "forall a t u i, next a t u i = next a t zero i + transition u i",
        "intros. unfold next, transition, plus, scale. rewrite ?product_zero. ring.",
    )


@exports("transition-variance")
def transition_variance(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The entries of the transition are independent and have this variance."""
    name = context.name("transition-variance")
    context.written["transition-variance", claim.left] = name
    yield Lemma(name, f"random_matrix transition {context.writer.real(claim.right)}", "exact (entries _ _).")


@exports("circular-law", believes="the circular law: the eigenvalues of such a matrix fill the disc")
def circular_law(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The spectral radius tends to the root of that variance, where two runs differ by the transition."""
    variance: Any = context.premise(step, "transition-variance")
    name = context.name("circular-law")
    context.written["circular-law", claim.left] = name
    yield Lemma(
        name,
        f"{context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        f"apply geman1986spectral_circular_law. exact {context.lemma('transition-variance', variance.left)}.",
    )
