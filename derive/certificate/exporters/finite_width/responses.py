"""Moments of the impulse response at finite width, in Coq: Stein's lemma entry by entry, counted by a function there.

Nothing of the loop equations is read from the engine: the file defines how one Gaussian entry meets another, proves
that counting by it gives the mean, and computes each polynomial in the width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.certificate.exporters.finite_width.counting import COUNTING, RESPONSES
from wideproof.derive.certificate.hypotheses import letters
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, setting
from wideproof.derive.certificate.terms import Writer, comment, pieces, term
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import MatVec, Program
from wideproof.derive.linear.finite_width import ResponseMoment
from wideproof.derive.proof.proof import Step

KINDS = {"readout": "readout_variance", "matrix": "transition_variance", "input_map": "input_variance"}


@setting("readout-pairings", stated=("recursion",))
def finite_width(writer: Writer, parameterization: str | None) -> str:
    """The recursion as one product of Gaussian matrices, and how their entries meet."""
    definition, tied = chain_definition(writer)
    word = "repeat (1%nat, false) j" if tied else "map (fun k => (k, false)) (rev (seq 1 j))"
    return f"{definition}\n\n{RESPONSES.replace('{letters}', word)}"


def chain_definition(writer: Writer) -> tuple[str, bool]:
    """Counting, and the recursion as one product of Gaussian matrices; whether the transition is tied."""
    program = writer.program.base or writer.program
    variances, tied = _chain(writer, program)
    definition = [comment(f"The recursion {program.name} as it was written:")]
    definition += [comment(f"  {state} = {body}") for state, body in (*program.updates, ("y", program.output))]
    for role, name in KINDS.items():
        definition.append(f"Variable {name} : R.\nHypothesis {name}_definition : {name} = {variances[role]}.")
    parts = (
        "\n".join(letters(writer, program)),
        "Variable n : nat.\nHypothesis n_sign : (0 < n)%nat.",
        COUNTING,
        "\n".join(definition),
    )
    return "\n\n".join(parts), tied


def _chain(writer: Writer, program: Program) -> tuple[dict[str, str], bool]:
    """The variance of each kind of matrix, those of one kind added, and whether the transition is tied."""
    terms: dict[str, list[str]] = {role: [] for role in KINDS}
    tied = set()
    for body in (program.updates[0][1], program.output):
        for c, coordinate in pieces(body):
            term = program.table.get(coordinate)
            if not isinstance(term, MatVec) or len(program.updates) > 1:
                raise NotCertified(
                    "definition", "one state and products of it and of inputs", coordinate, "Only these."
                )
            terms[term.matrix.role].append(writer.real(c**2 * term.matrix.variance))
            if term.matrix.role == "matrix":
                tied.add(term.matrix.tied)
    return {role: " + ".join(texts) for role, texts in terms.items()}, tied == {True}


@term(ResponseMoment)
def _response(writer: Writer, expr: sp.Expr) -> str:
    return f"(response [{'; '.join(f'{lag}%nat' for lag in expr.args[1:])}])"


@exports("loop-equations", believes="integration by parts: E[G f(G)] = E[df/dG]")
def loop_equations(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The mean of a product of traces is a polynomial in the width, counted in the file."""
    words = "; ".join(f"[{'; '.join(map(_letter, word))}]" for word in claim.left.args[1:])
    about = ("_".join(f"{abs(x)}t" if x < 0 else str(x) for x in word) for word in claim.left.args[1:])
    name = context.name("loop-equations", *about)
    yield Lemma(name, f"mean [] [{words}] = {context.writer.real(claim.right)}", "counted. ring.")


def _letter(letter: sp.Expr) -> str:
    return f"({abs(letter)}%nat, {'true' if letter < 0 else 'false'})"


@exports("readout-pairings", believes="Isserlis' theorem over the entries of readout and input map")
def readout_pairings(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A moment of the impulse response: all pairings, counted in the file, times the variances."""
    lags = [int(x) for x in claim.left.args[1:]]
    listed = "; ".join(f"{lag}%nat" for lag in lags)
    half, steps = len(lags) // 2, sum(lags)
    roots = [("(INR n)", "root"), *((name, name[0]) for name in KINDS.values())]
    scale = (
        f"readout_variance ^ {half} * input_variance ^ {half} * transition_variance ^ {steps // 2} "
        f"/ INR n ^ {(steps + len(lags)) // 2}"
    )
    positive = "\n  ".join(
        f"assert ({name}_sign : 0 <= {name}) by (rewrite {name}_definition; nonneg)." for name in KINDS.values()
    )
    squares = "\n    ".join(
        f"pose proof (sqrt_sqrt {value} ltac:(lra)) as {root}_square; remember (sqrt {value}) as {root}_root; "
        f"rewrite <- ?{root}_square."
        for value, root in roots
    )
    even = (
        f"assert (whole : scales [{listed}] = {scale}).\n  {{ unfold scales, scaled. cbn [fold_right pow].\n    "
        f"{squares}\n    field. intros zero. rewrite zero in *. lra. }}\n  rewrite whole.\n  "
    )
    statement = f"{context.writer.real(claim.left)} = {context.writer.real(claim.right)}"
    script = (
        f"assert (width : 0 < INR n) by now apply lt_0_INR.\n  {positive}\n  "
        f"rewrite emami2021implicit_proposition_2_1a. cbn [map entry repeat seq rev app].\n  "
        f"{'' if steps % 2 else even}unfold entry. cbn [repeat]. counted.\n  "
        f"{' '.join(f'rewrite ?{name}_definition.' for name in KINDS.values()) if not steps % 2 else ''} "
        f"{'ring' if steps % 2 else 'field; lra'}."
    )
    excess = _above_its_limit(context, claim.right, listed)
    context.written["readout-pairings", claim.left] = name = context.name("readout-pairings")
    yield Lemma(
        name,
        statement if not excess else f"{statement} /\\\n  ({excess[0]})",
        script if not excess else f"assert (value : {statement}).\n  {{ {script} }}\n  {excess[1]}",
    )


def _above_its_limit(context: Context, right: sp.Expr, listed: str) -> tuple[str, str] | None:
    """Erratum E2: at every width the moment exceeds its limit, where its corrections are positive."""
    inverse = sp.Dummy("u", positive=True)
    polynomial = sp.expand(right.subs(n, 1 / inverse))
    limit = polynomial.subs(inverse, 0)
    terms = sp.Poly(sp.expand(polynomial / limit) - 1, inverse).terms() if limit != 0 else []
    if not any(c for _, c in terms) or any(c <= 0 for _, c in terms):
        return None
    texts = [f"{context.writer.real(c)} * / INR n ^ {power}" for (power,), c in terms]
    low, more = context.writer.real(limit), f"({' + '.join(texts)})"
    return (
        f"0 < {low} -> {low} < response [{listed}]",
        "split; [exact value|]. intros some. rewrite value. assert (width : 0 < INR n) by now apply lt_0_INR.\n  "
        f"match goal with |- _ < ?moment => replace moment with ({low} * (1 + {more})) by (field; lra) end.\n  "
        f"assert (excess : 0 < {more}) by (repeat first [apply Rplus_lt_0_compat | apply Rmult_lt_0_compat "
        "| apply Rinv_0_lt_compat | apply pow_lt | lra]).\n  "
        f"apply Rle_lt_trans with ({low} * 1); [lra | apply Rmult_lt_compat_l; lra].",
    )
