"""Steps about kernels in Coq: superposition over lags, recursions over two times, limits, scale factors, equivalence.

Concentration and convergence are hypotheses with the names of their theorems; that the closed form of a kernel and
its recursion agree is proved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.calculus.lags import Entry
from wideproof.derive.calculus.moments import FIRST, SECOND, Moment
from wideproof.derive.calculus.recursion_rules import Response, time_root
from wideproof.derive.certificate.exporters.zero_lemmas import is_start, start_case
from wideproof.derive.certificate.lemmas import Context, Lemma, binder, exports
from wideproof.derive.language.notation import j, s, t
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.proof.claims import Equation, Limit, Recurrence, Vanishing
from wideproof.derive.proof.proof import Step

AT = (t, s, FIRST, SECOND)


# ---- limits --------------------------------------------------------------------------------------------
def _concentration(context: Context) -> Iterator[Lemma]:
    """The empirical kernel converges in probability to the covariance of outputs in the limit; stated once."""
    if "concentration" in context.writer.names.given:
        return
    context.writer.names("concentration", "emami2021implicit_lemma_B1_concentration")
    root = context.writer.real(time_root(context.program))
    yield Lemma("random", "Type", "", "Variable")
    yield Lemma("tends_to", "random -> R -> Prop", "", "Variable")
    sequences = "sequence -> sequence -> " if context.pair else ""
    yield Lemma("kernel", f"{sequences}nat -> nat -> nat -> nat -> random", "", "Variable")
    yield Lemma(
        "emami2021implicit_lemma_B1_concentration",
        f"{context.pair}forall r r' t s, tends_to ({context.kernel} r r' t s) {root}",
        "",
        "Hypothesis",
    )


@exports("limit-kernel", believes="the sum of products of gradients concentrates on its mean (Lemma B.1)")
def limit_kernel(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The kernel of a network converges in probability to the closed form."""
    yield from _concentration(context)
    known = context.lemma("superposition", context.premise(step, "superposition").left)
    name = context.name("limit-kernel")
    yield Lemma(
        name,
        f"forall r r' t s : nat, tends_to (kernel r r' t s) {context.writer.real(claim.right)}",
        f"intros. rewrite <- {known}. apply emami2021implicit_lemma_B1_concentration.",
    )
    context.written["limit-kernel", claim.left] = name


def _conjunction(context: Context, claim: Recurrence) -> list[str]:
    """A recurrence as the list of its equations, each for all its indices."""
    parts = []
    for side in (Equation(claim.left, claim.right), *claim.equations):
        if not isinstance(side.left, Moment | Response):
            continue
        left: Any = side.left
        rows = "forall r r' : nat, " if isinstance(left, Response) else ""
        times = left.args[3:5] if isinstance(left, Response) else left.args[2:4]
        parts.append(
            f"({rows}{binder(context, left, times)}{context.writer.real(left)} = {context.writer.real(side.right)})"
        )
    return parts


@exports("evolution")
def evolution(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The moments as a recursion over both times: the covariance equations, proved zeros left out."""
    zeros = []
    for vanishing in context.premises(step, "zero-moments"):
        assert isinstance(vanishing, Vanishing)
        known = " by assumption" if context.pair else ""
        zeros += [f"rewrite ?{context.written['zero', member]}{known}." for member in vanishing.members]
    parts = _conjunction(context, claim)
    cases = []
    if isinstance(claim.left, Response):
        cases.append(
            f"intros r r' {context.of_pair}s t. "
            f"rewrite ({context.lemma('readout', claim.left)} {context.of_pair}s t r r'). {' '.join(zeros)} ring."
        )
    for equation in claim.equations:
        if is_start(equation.left):
            cases.append(start_case(context, equation.left))
            continue
        name = context.lemma("covariance", equation.left)
        cases.append(
            f"intros {context.of_pair}s t. rewrite ({name} {context.of_pair}s t).\n    "
            "first [reflexivity | ring | destruct t as [|t], s as [|s]; cbn [before]; "
            f"{_tactics(zeros)} expand; ring]."
        )
    name = context.name("evolution")
    script = "repeat split.\n  " + "\n  ".join(f"- {x}" for x in cases) if len(cases) > 1 else cases[0]
    yield Lemma(name, " /\\\n  ".join(parts), script)
    context.written["evolution", claim.left] = name


def _tactics(sentences: list[str]) -> str:
    return " ".join(x.rstrip(".") + ";" for x in sentences)


@exports("kernel-recursion", believes="the sum of products of gradients concentrates on its mean (Lemma B.1)")
def kernel_recursion(context: Context, step: Step, claim: Limit) -> Iterator[Lemma]:
    """The kernel of a network converges in probability to what the recursion over both times computes."""
    yield from _concentration(context)
    assert isinstance(claim.form, Recurrence)
    known = context.lemma("evolution", claim.form.left)
    name = context.name("kernel-recursion")
    limit = (
        f"({context.pair}forall r r' t s : nat, "
        f"tends_to ({context.kernel} r r' t s) {context.writer.real(claim.right)})"
    )
    yield Lemma(
        name,
        " /\\\n  ".join((limit, *_conjunction(context, claim.form))),
        f"destruct {known} as [root rest]. split; [|exact (conj root rest)].\n  "
        f"intros {context.of_pair}r r' t s. rewrite <- (root r r' {context.of_pair}s t). "
        f"apply emami2021implicit_lemma_B1_concentration{'; assumption' if context.pair else ''}.",
    )
    context.written["kernel-recursion", claim.left] = name


@exports("two-forms")
def two_forms(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The closed form of the kernel is the value of its recursion: no limit is needed, the sum solves the equations."""
    closed, stepped = context.lemma("limit-kernel", claim.left), context.lemma("kernel-recursion", claim.left)
    root = time_root(context.program)
    summed = context.lemma("superposition", root)
    writer = context.writer
    limit = f"(forall r r' t s : nat, tends_to (kernel r r' t s) {writer.real(claim.right)})"
    same = f"(forall r r' t s : nat, {writer.real(claim.form.right)} = {writer.real(claim.right)})"
    yield Lemma(
        context.name("two-forms"),
        " /\\\n  ".join((limit, same, *_conjunction(context, claim.form))),
        f"destruct {stepped} as [_ [root rest]]. split; [exact {closed}|split; [|exact (conj root rest)]].\n  "
        f"intros r r' t s. rewrite <- (root r r' s t). apply {summed}.",
    )


@exports("limit-law", believes="entries of the impulse response converge in law (Theorem 3.3(a))")
def limit_law(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """Entries of the impulse response converge in law to centred Gaussians with the covariance of impulses."""
    assert isinstance(claim.left, Entry)
    coupling: Any = context.premise(step, "no-coupling")
    a, b = coupling.left.args[5:]
    covariance = context.writer.real(coupling.left)
    impulses, premise = context.impulses(a, b)
    right = context.writer.real(claim.right)
    yield Lemma("random", "Type", "", "Variable")
    yield Lemma("entry", "nat -> nat -> nat -> random", "", "Variable")
    yield Lemma("tends_in_law", "random -> random -> R -> Prop", "", "Variable")
    yield Lemma(
        "emami2021implicit_theorem_3_3a",
        f"forall {impulses} r c r' c' j k, {premise}"
        f"tends_in_law (entry r c j) (entry r' c' k) (delta c c' * {covariance})",
        "",
        "Hypothesis",
    )
    known = context.lemma("no-coupling", coupling.left)
    times = "0%nat" if a == b else "0%nat 1%nat"
    distinct = " ltac:(lia)" if premise else ""
    yield Lemma(
        context.name("limit-law"),
        f"forall r c r' c' j k : nat, tends_in_law (entry r c j) (entry r' c' k) {right}",
        f"intros. replace {right} with (delta c c' * {_numbered(covariance, a, b)}).\n  "
        f"{{ now apply (emami2021implicit_theorem_3_3a {times}). }}\n  rewrite ({known} {times}{distinct}). ring.",
    )


def _numbered(text: str, a: sp.Expr, b: sp.Expr) -> str:
    return text.replace("(impulse p)", "(impulse 0)").replace("(impulse q)", "(impulse 1)")


# ---- scale factors ------------------------------------------------------------------------------------
@exports("scale-factors")
def scale_factors(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The weight of a lag in the tangent kernel, (21)."""
    coupling: Any = context.premises(step, "no-coupling")[-1]
    known = context.lemma("no-coupling", coupling.left)
    distinct = " ltac:(lia)" if context.apart else ""
    name = context.name("scale-factors")
    yield Lemma(
        name,
        f"forall j : nat, rho j = {context.writer.real(claim.right)}",
        f"intros j. unfold rho. rewrite ({known} 0%nat 1%nat{distinct} 0%nat 0%nat j j), !delta_same. ring.",
    )
    context.written["scale-factors", Rho(j)] = name
    limit = context.premise(step, "limit-kernel")
    yield Lemma(
        f"{name}_weigh_the_lags",
        "forall r r' t s : nat, tends_to (kernel r r' t s) (delta r r' * lag_sum rho (gram x x') t s)",
        f"intros. replace (delta r r' * lag_sum rho (gram x x') t s) with {context.writer.real(limit.right)}.\n  "
        f"{{ apply {context.lemma('limit-kernel', limit.left)}. }}\n  "
        f"f_equal. apply lag_sum_ext. intros j. rewrite {name}. ring.",
    )


CONVOLUTION = """
(* Theorem 3.2: the scaled convolution y_t = sum_j gain_j theta_j x_(t-j); theta r j a t is row r of theta_j x_t after a
   perturbation of theta by independent entries of variance 1. *)
Definition gain (j : nat) : R := sqrt (rho j).
Variable theta : nat -> nat -> sequence -> nat -> V.
Hypothesis emami2021implicit_theorem_3_2 : forall r r' j k a b t s,
  E (theta r j a t) (theta r' k b s) = delta r r' * delta j k * gram a b t s.
Fixpoint convolved (r j : nat) (a : sequence) (t : nat) : V :=
  match t with
  | O => scale (gain j) (theta r j a t)
  | S i => plus (scale (gain j) (theta r j a t)) (convolved r (S j) a i)
  end.
Lemma other_lags : forall t r r' j k a b i, (j < k)%nat -> E (theta r j a i) (convolved r' k b t) = 0.
Proof.
  induction t as [|t IH]; intros; cbn [convolved]; expand; rewrite emami2021implicit_theorem_3_2.
  - deltas. ring.
  - rewrite IH by lia. deltas. ring.
Qed.
Lemma convolved_kernel : forall t s r r' j a b,
  E (convolved r j a t) (convolved r' j b s) = delta r r' * lag_sum (fun i => gain (j + i) ^ 2) (gram a b) t s.
Proof.
  induction t as [|t IH]; intros [|s] r r' j a b; cbn [convolved lag_sum]; expand;
    rewrite ?(E_symmetric (convolved r (S j) a t) (theta _ _ _ _)), ?other_lags by lia;
    rewrite ?emami2021implicit_theorem_3_2, ?delta_same, ?Nat.add_0_r; try ring.
  rewrite IH.
  rewrite (lag_sum_ext t s (fun i => gain (S j + i) ^ 2) (fun i => gain (j + S i) ^ 2)).
  - ring.
  - intros i. now rewrite Nat.add_succ_r.
Qed.
""".strip()


@exports("convolution", believes="perturbed parameters of the convolution are independent (Theorem 3.2)")
def convolution(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The tangent kernel of the scaled convolution: only equal lags and equal rows correlate."""
    yield Lemma("convolution", CONVOLUTION, "", "")
    name = context.name("convolution-kernel")
    yield Lemma(
        name,
        "(forall j, 0 <= rho j) -> forall r r' t s : nat, "
        f"E (convolved r 0 x t) (convolved r' 0 x' s) = {context.writer.real(claim.right)}",
        "intros positive r r' t s. rewrite convolved_kernel.\n  "
        "rewrite (lag_sum_ext t s (fun i => gain (0 + i) ^ 2) rho).\n  "
        f"{{ replace {context.writer.real(claim.right)} with (delta r r' * lag_sum rho (gram x x') t s).\n    "
        "{ reflexivity. }\n    "
        f"rewrite <- lag_sum_scale. apply lag_sum_ext. intros j. ring. }}\n  "
        "intros i. unfold gain. simpl. rewrite Rmult_1_r. now apply sqrt_sqrt.",
    )
    context.written["convolution", claim.left] = name


@exports("equivalence")
def equivalence(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """With the gain sqrt(rho_j) the convolution has, for all inputs, the tangent kernel of the recursion."""
    convolved = context.lemma("convolution", context.premise(step, "convolution").left)
    scale = context.lemma("scale-factors", Rho(j))
    limit = context.premise(step, "limit-kernel")
    summed = next(name for (rule, about), name in context.written.items() if rule == "superposition")
    writer = context.writer
    root = writer.real(time_root(context.program))
    yield Lemma(
        context.name("equivalence"),
        f"(forall j : nat, gain j = {writer.real(claim.right)}) /\\\n  (forall r r' t s : nat, "
        f"E (convolved r 0 x t) (convolved r' 0 x' s) = {root}) /\\\n  "
        f"(forall r r' t s : nat, tends_to (kernel r r' t s) (E (convolved r 0 x t) (convolved r' 0 x' s)))",
        f"assert (positive : forall j, 0 <= rho j) by (intros j; rewrite {scale}; nonneg).\n  "
        f"assert (same : forall r r' t s, E (convolved r 0 x t) (convolved r' 0 x' s) = {root}).\n  "
        f"{{ intros. rewrite ({convolved} positive), {summed}. rewrite <- ?lag_sum_scale. apply lag_sum_ext. "
        f"intros j. rewrite ?{scale}. ring. }}\n  "
        f"repeat split.\n  - intros j. unfold gain. f_equal. apply {scale}.\n  - exact same.\n  "
        f"- intros. rewrite same, {summed}. apply {context.lemma('limit-kernel', limit.left)}.",
    )
