"""Theorem 4.1 in Coq: gradient descent on the scaled convolution, step by step, and the bounds on its movement.

Matrices are abstract, with the algebra of sums and products in sizes that fit; the spectral norm is the least constant
that bounds lengths, so that the contraction is proved and no theorem about eigenvalues is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import sympy as sp

from wideproof.derive.algebra.matrix_symbols import Length, MatrixFunction, MatrixSum, MatrixSymbol, Norm
from wideproof.derive.certificate.exporters.bound_lemmas import domain
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, setting
from wideproof.derive.certificate.terms import Writer, natural, term
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import j
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.linear.gradient_descent import (
    CONTRACTION,
    DATA,
    DATA_J,
    ETA,
    GAINS,
    OUTPUTS,
    SELECT,
    SIGMA,
    STEP,
    LagTaps,
    Residual,
    Taps,
    Theta,
)
from wideproof.derive.proof.claims import Inequality
from wideproof.derive.proof.proof import Step

SYMBOLS = {
    DATA: "toeplitz",
    DATA.transposed: "(tr toeplitz)",
    DATA_J: "(block j)",
    DATA_J.transposed: "(tr (block j))",
    GAINS: "gains",
    OUTPUTS: "targets",
    CONTRACTION: "contraction",
    SELECT: "(select j)",
}
FUNCTIONS = {Theta: "parameters", Residual: "residual", Taps: "taps", LagTaps: "lag_taps"}

ALGEBRA = """
(* Matrices in sizes that fit: sums, multiples, products, transposes; dot A B is the sum of products of entries. *)
Variable matrix : Type.
Variables (mzero mone : matrix) (madd mmul : matrix -> matrix -> matrix) (mscale : R -> matrix -> matrix).
Variables (tr : matrix -> matrix) (mentry : matrix -> nat -> nat -> R) (dot : matrix -> matrix -> R).
Hypothesis mentry_equal : forall A B, (forall i k, mentry A i k = mentry B i k) -> A = B.
Hypothesis mentry_add : forall A B i k, mentry (madd A B) i k = mentry A i k + mentry B i k.
Hypothesis mentry_scale : forall c A i k, mentry (mscale c A) i k = c * mentry A i k.
Hypothesis mentry_zero : forall i k, mentry mzero i k = 0.
Hypothesis mmul_assoc : forall A B C, mmul (mmul A B) C = mmul A (mmul B C).
Hypothesis mmul_add_left : forall A B C, mmul (madd A B) C = madd (mmul A C) (mmul B C).
Hypothesis mmul_add_right : forall A B C, mmul A (madd B C) = madd (mmul A B) (mmul A C).
Hypothesis mmul_scale_left : forall c A B, mmul (mscale c A) B = mscale c (mmul A B).
Hypothesis mmul_scale_right : forall c A B, mmul A (mscale c B) = mscale c (mmul A B).
Hypothesis mmul_one_left : forall A, mmul mone A = A.
Hypothesis mmul_one_right : forall A, mmul A mone = A.
Hypothesis mmul_zero_left : forall A, mmul mzero A = mzero.
Hypothesis mmul_zero_right : forall A, mmul A mzero = mzero.
Hint Rewrite mentry_add mentry_scale mentry_zero mmul_assoc mmul_add_left mmul_add_right mmul_scale_left
  mmul_scale_right mmul_one_left mmul_one_right mmul_zero_left mmul_zero_right : matrices.
Ltac same_matrix := apply mentry_equal; intros; autorewrite with matrices; ring.
Fixpoint mpower (A : matrix) (l : nat) : matrix := match l with O => mone | S i => mmul A (mpower A i) end.
Fixpoint msum (A : matrix) (l : nat) : matrix := match l with O => mzero | S i => madd (msum A i) (mpower A i) end.

(* Lengths, and the spectral norm: the least constant by which a matrix lengthens others. *)
Hypothesis dot_add : forall A B C, dot (madd A B) C = dot A C + dot B C.
Hypothesis dot_scale : forall c A B, dot (mscale c A) B = c * dot A B.
Hypothesis dot_symmetric : forall A B, dot A B = dot B A.
Hypothesis dot_positive : forall A, 0 <= dot A A.
Hypothesis dot_zero : dot mzero mzero = 0.
Hypothesis dot_transposed : forall A B C, dot (mmul A B) C = dot B (mmul (tr A) C).
Hypothesis tr_mul : forall A B, tr (mmul A B) = mmul (tr B) (tr A).
Definition size (A : matrix) : R := sqrt (dot A A).
Hypothesis minkowski : forall A B, size (madd A B) <= size A + size B.
Variable norm : matrix -> R.
Hypothesis norm_positive : forall A, 0 <= norm A.
Hypothesis norm_lengthens : forall A B, dot (mmul A B) (mmul A B) <= norm A ^ 2 * dot B B.
Hypothesis norm_least : forall A c, 0 <= c ->
  (forall B, dot (mmul A B) (mmul A B) <= c ^ 2 * dot B B) -> norm A <= c.
Hypothesis norm_transposed : forall A, norm (tr A) = norm A.
Lemma dot_add_right : forall A B C, dot C (madd A B) = dot C A + dot C B.
Proof. intros A B C. rewrite !(dot_symmetric C). apply dot_add. Qed.
Lemma dot_scale_right : forall c A B, dot B (mscale c A) = c * dot B A.
Proof. intros c A B. rewrite !(dot_symmetric B). apply dot_scale. Qed.
Lemma size_positive : forall A, 0 <= size A.
Proof. intros. apply sqrt_pos. Qed.
Lemma size_scale : forall c A, 0 <= c -> size (mscale c A) = c * size A.
Proof.
  intros c A sign. unfold size. rewrite dot_scale, dot_scale_right, <- Rmult_assoc, sqrt_mult_alt by nra.
  now rewrite sqrt_square.
Qed.
Lemma size_product : forall A B, size (mmul A B) <= norm A * size B.
Proof.
  intros A B. unfold size. rewrite <- (sqrt_pow2 (norm A)) by apply norm_positive.
  rewrite <- sqrt_mult_alt by apply pow2_ge_0. apply sqrt_le_1_alt, norm_lengthens.
Qed.
Lemma norm_product : forall A B, norm (mmul A B) <= norm A * norm B.
Proof.
  intros A B. pose proof (norm_positive A). pose proof (norm_positive B).
  apply norm_least; [now apply Rmult_le_pos|]. intros C. rewrite mmul_assoc.
  apply Rle_trans with (norm A ^ 2 * dot (mmul B C) (mmul B C)); [apply norm_lengthens|].
  replace ((norm A * norm B) ^ 2 * dot C C) with (norm A ^ 2 * (norm B ^ 2 * dot C C)) by ring.
  apply Rmult_le_compat_l; [apply pow2_ge_0 | apply norm_lengthens].
Qed.
Lemma power_size : forall A u l, norm A <= 1 -> size (mmul (mpower A l) u) <= size u.
Proof.
  intros A u l short. induction l as [|l IH]; cbn [mpower]; [rewrite mmul_one_left; lra|].
  rewrite mmul_assoc. apply Rle_trans with (norm A * size (mmul (mpower A l) u)); [apply size_product|].
  pose proof (size_positive (mmul (mpower A l) u)). pose proof (norm_positive A). nra.
Qed.
Lemma sum_size : forall A u l, norm A <= 1 -> size (mmul (msum A l) u) <= INR l * size u.
Proof.
  intros A u l short. induction l as [|l IH]; cbn [msum].
  - rewrite mmul_zero_left. unfold size at 1. rewrite dot_zero, sqrt_0. simpl. lra.
  - rewrite mmul_add_left, S_INR. pose proof (minkowski (mmul (msum A l) u) (mmul (mpower A l) u)).
    pose proof (power_size A u l short). lra.
Qed.
Lemma at_least : forall far u c f l, 0 <= far -> 0 < u -> 0 < f -> 0 <= l -> 0 <= c ->
  far <= u * (c * f) * l -> far / (u * c) / f <= l.
Proof.
  intros far u c f l distance unit power steps sign most. destruct (Req_dec c 0) as [none|some].
  - subst c. replace far with 0 by lra. unfold Rdiv. rewrite !Rmult_0_l. exact steps.
  - assert (0 < u * c * f) by (repeat apply Rmult_lt_0_compat; lra).
    apply Rmult_le_reg_r with (u * c * f); [assumption|].
    replace (far / (u * c) / f * (u * c * f)) with far by (field; lra). lra.
Qed.
(* I - eta P P' does not lengthen where eta |P|^2 <= 2. *)
Lemma shortens : forall P c, 0 <= c -> c * norm P ^ 2 <= 2 ->
  norm (madd mone (mscale (- c) (mmul P (tr P)))) <= 1.
Proof.
  intros P c sign small. apply norm_least; [lra|]. intros B.
  rewrite mmul_add_left, mmul_one_left, mmul_scale_left, mmul_assoc.
  set (Q := mmul (tr P) B).
  rewrite ?dot_add, ?dot_add_right, ?dot_scale, ?dot_scale_right.
  rewrite (dot_symmetric B (mmul P Q)), (dot_transposed P Q B). fold Q.
  pose proof (norm_lengthens P Q) as longer. pose proof (dot_positive Q) as positive.
  assert (first : c * c * dot (mmul P Q) (mmul P Q) <= c * c * (norm P ^ 2 * dot Q Q))
    by (apply Rmult_le_compat_l; nra).
  assert (second : c * (c * norm P ^ 2) * dot Q Q <= c * 2 * dot Q Q)
    by (apply Rmult_le_compat_r; [|apply Rmult_le_compat_l]; assumption).
  nra.
Qed.
""".strip()
DESCENT = """
(* The scaled convolution of T lags: outputs are toeplitz gains theta, gains multiplies lag j by sqrt(rho_j), select j
   picks the rows of lag j, and block j is the block of toeplitz that meets them. *)
Variable T : nat.
Variables (toeplitz gains targets contraction : matrix) (select block : nat -> matrix).
Variables (parameters residual taps : nat -> matrix) (lag_taps : nat -> nat -> matrix).
Variable {eta} : R.
Hypothesis {eta}_sign : 0 <= {eta}.
Hypothesis gains_of_a_lag : forall j, mmul (select j) gains = mscale (sqrt (rho j)) (select j).
Hypothesis gains_symmetric : tr gains = gains.
Hypothesis gains_norm : forall c, (forall j, (S j <= T)%nat -> rho j <= c) -> norm gains ^ 2 <= c.
Hypothesis block_of_a_lag : forall j, mmul (select j) (tr toeplitz) = tr (block j).
""".strip()
NAMES = {Theta: "gradient_descent", Residual: "residual_definition", Taps: "taps_definition"}


# ---- terms ---------------------------------------------------------------------------------------------
def matrix_text(writer: Writer, expr: sp.Expr) -> str:
    """A sum of products of matrices."""
    summands = [_product(writer, x) for x in sp.Add.make_args(sp.expand(expr))]
    return reduce(lambda left, right: f"(madd {left} {right})", summands)


def _product(writer: Writer, summand: sp.Expr) -> str:
    scalars, factors = summand.args_cnc()
    texts = [_factor(writer, x) for factor in factors for x in _repeated(factor)] or ["mone"]
    text = texts[-1]
    for factor in texts[-2::-1]:
        text = f"(mmul {factor} {text})"
    scalar = sp.Mul(*scalars)
    return text if scalar == 1 else f"(mscale {writer.real(scalar)} {text})"


def _repeated(factor: sp.Expr) -> tuple[sp.Expr, ...]:
    base, power = factor.as_base_exp()
    return (base,) * int(power) if power.is_Integer else (factor,)


def _factor(writer: Writer, factor: sp.Expr) -> str:
    match factor:
        case MatrixSymbol() if factor in SYMBOLS:
            return SYMBOLS[factor]
        case sp.Pow(base=base, exp=power):
            return f"(mpower {_factor(writer, base)} {natural(power)})"
        case MatrixSum():
            return f"(msum {_factor(writer, factor.args[0])} {natural(factor.args[1])})"
        case MatrixFunction() if type(factor) in FUNCTIONS:
            return f"({FUNCTIONS[type(factor)]} {' '.join(map(natural, factor.args))})"
        case _:
            raise NotCertified(f"the matrix {factor}", "those of gradient descent", factor, "It is not covered.")


@term(Length)
def _length(writer: Writer, expr: sp.Expr) -> str:
    return f"(size {matrix_text(writer, expr.args[0])})"


@term(Norm)
def _norm(writer: Writer, expr: sp.Expr) -> str:
    return f"(norm {matrix_text(writer, expr.args[0])})"


def _equation(context: Context, claim: Any) -> str:
    """A matrix equation for all steps and lags that it names."""
    names = [
        natural(x)
        for x in (j, STEP)
        if claim.left.has(x) or claim.right.has(x) or (x == j and {SELECT, DATA_J} & claim.left.free_symbols)
    ]
    bound = f"forall {' '.join(names)} : nat, " if names else ""
    return f"{bound}{matrix_text(context.writer, claim.left)} = {matrix_text(context.writer, claim.right)}"


# ---- the trajectory ------------------------------------------------------------------------------------
@exports("definition", believes="gradient descent on half the sum of squares, its residual and its taps: definitions")
def definition(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A definition of gradient descent."""
    if not any(rule == "definition" for rule, _ in context.written):
        eta = context.writer.names(ETA, ETA.name)
        yield Lemma("matrices", f"{ALGEBRA}\n\n{DESCENT.replace('{eta}', eta)}", "", "")
    name = NAMES.get(type(claim.left))
    if name is None:
        name = "contraction_definition" if claim.left == CONTRACTION else "lag_of_taps"
    context.written["definition", claim.left] = name
    yield Lemma(name, _equation(context, claim), "", "Hypothesis")


def _stated(context: Context, step: Step, script: str, name: str = "") -> Lemma:
    found = context.name(name or step.rule)
    claim: Any = step.claim
    context.written[step.rule, claim.left] = found
    return Lemma(found, _equation(context, claim), script)


@exports("residual-step")
def residual_step(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The step put into the residual."""
    yield _stated(
        context,
        step,
        "intros. rewrite (residual_definition (S l)), gradient_descent, !residual_definition. same_matrix.",
    )


@exports("residual")
def residual(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """Every step multiplies the residual by the same matrix."""
    one = context.lemma("residual-step", Residual(STEP + 1))
    yield _stated(
        context,
        step,
        "intros l. induction l as [|l IH]; cbn [mpower]; [now rewrite mmul_one_left|].\n  "
        f"rewrite {one}, IH, contraction_definition. same_matrix.",
        "residual_after",
    )


@exports("taps-step")
def taps_step(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The step in the taps."""
    yield _stated(context, step, "intros. rewrite !taps_definition, gradient_descent. same_matrix.")


@exports("blocks")
def blocks(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The block of one lag, where its scale factor is not negative."""
    known = context.written.get(("scale-factors", Rho(j)))
    sign = f"rewrite {known}; nonneg" if known else "apply rho_sign"
    script = (
        f"intros j. assert (positive : 0 <= rho j) by ({sign}).\n  "
        "rewrite <- (mmul_assoc (select j) gains), gains_of_a_lag, mmul_scale_left.\n  "
        "rewrite <- (mmul_assoc (select j) gains), gains_of_a_lag, mmul_scale_left, block_of_a_lag.\n  "
        "apply mentry_equal. intros. rewrite !mentry_scale, <- Rmult_assoc, sqrt_sqrt by exact positive. ring."
    )
    yield _stated(context, step, script)


@exports("trajectory")
def trajectory(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The taps move by the sum of the residuals."""
    one = context.lemma("taps-step", Taps(STEP + 1))
    after = context.lemma("residual", Residual(STEP))
    yield _stated(
        context,
        step,
        "intros l. induction l as [|l IH]; cbn [msum]; [same_matrix|].\n  "
        "apply mentry_equal. intros i k. apply (f_equal (fun A => mentry A i k)) in IH.\n  "
        f"rewrite {one}, {after}. autorewrite with matrices in *. lra.",
    )


@exports("lag-trajectory")
def lag_trajectory(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The rows of one lag of it."""
    whole = context.lemma("trajectory", Taps(STEP) - Taps(0))
    block = context.lemma("blocks", SELECT * GAINS**2 * DATA.transposed)
    moved = matrix_text(context.writer, Taps(STEP) - Taps(0))
    rest = "(mmul (msum contraction l) (residual 0))"
    yield _stated(
        context,
        step,
        f"intros j l. rewrite <- !lag_of_taps. transitivity (mmul (select j) {moved}); [same_matrix|].\n  "
        f"rewrite {whole}. pose proof (f_equal (fun A => mmul A {rest}) ({block} j)) as met.\n  "
        "cbv beta in met. rewrite !mmul_assoc, mmul_scale_left in met.\n  "
        "apply mentry_equal. intros i k. autorewrite with matrices. rewrite met. autorewrite with matrices. ring.",
    )


@setting("moved-along", "gain")
def along_an_eigenvector(writer: Writer, parameterization: str | None) -> str:
    """Scale factors that are not negative; all else is defined by the steps."""
    names = [writer.names(x, x.name) for x in (SIGMA, ETA)]
    declared = [f"Variable {names[0]} : R."]
    return "\n".join((*declared, "Variable rho : nat -> R.", "Hypothesis rho_sign : forall j, 0 <= rho j."))


@exports("gain")
def gain(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A geometric sum is a divided difference: both start at 0 and grow by the next power."""
    if not any(rule == "definition" for rule, _ in context.written):
        yield Lemma(context.writer.real(ETA), "R", "", "Variable")
    name = context.name("gain")
    context.written["gain", claim.left] = name
    yield Lemma(
        name,
        f"forall l : nat, {context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        "intros l. induction l as [|l IH]; [reflexivity|].\n  "
        "cbn [sum_below]. rewrite IH, PowerDD_step, PowerDD_one. ring.",
    )


@exports("moved-along", believes="a symmetric matrix acts along its eigenvectors as their eigenvalues do")
def moved_along(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """What the trajectory moves by along an eigenvector."""
    total: Any = context.premise(step, "gain")
    yield Lemma(
        context.name("moved-along"),
        f"forall l : nat, {context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        f"intros l. rewrite {context.lemma('gain', total.left)}. ring.",
    )


# ---- bounds --------------------------------------------------------------------------------------------
def _bound(context: Context, step: Step, claim: Inequality, script: str) -> Lemma:
    premises, names = domain(context, claim)
    bound = [natural(x) for x in (j, STEP) if claim.left.has(x) or claim.right.has(x)]
    binder = f"forall {' '.join(bound)} : nat, " if bound else ""
    name = context.name(step.rule)
    context.written[step.rule, claim.left] = name
    return Lemma(
        name,
        f"{binder}{' -> '.join((*premises, ''))}"
        f"{context.writer.real(claim.left)} <= {context.writer.real(claim.right)}",
        f"intros {' '.join((*bound, names))}. {script}",
    )


@exports("contraction")
def contraction(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """The matrix of one step does not lengthen: from the norm alone."""
    eta = context.writer.real(ETA)
    yield _bound(
        context,
        step,
        claim,
        "rewrite contraction_definition.\n  "
        "match goal with |- norm ?M <= 1 => replace M with "
        f"(madd mone (mscale (- {eta}) (mmul (mmul toeplitz gains) (tr (mmul toeplitz gains))))) end.\n  "
        f"{{ apply shortens; [exact {eta}_sign | lra]. }}\n  "
        "rewrite tr_mul, gains_symmetric. same_matrix.",
    )


@exports("step-bound")
def step_bound(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """The norm of a product, and that of the gains."""
    uniform = context.lemma("bound-uniform", Rho(j))
    largest = context.writer.real(context.premise(step, "bound-uniform").right)
    yield _bound(
        context,
        step,
        claim,
        "pose proof (norm_product toeplitz gains) as both. pose proof (norm_positive toeplitz) as first.\n  "
        "pose proof (norm_positive gains) as second. pose proof (norm_positive (mmul toeplitz gains)) as whole.\n  "
        "apply Rle_trans with ((norm toeplitz * norm gains) ^ 2); [nra|].\n  "
        "replace ((norm toeplitz * norm gains) ^ 2) with (norm toeplitz ^ 2 * norm gains ^ 2) by ring.\n  "
        f"apply Rle_trans with (norm toeplitz ^ 2 * {largest}); [|right; ring].\n  "
        f"apply Rmult_le_compat_l; [nra|]. apply gains_norm. intros. apply {uniform}; auto.",
    )


@exports("movement")
def movement(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """No term of the sum is longer than the first residual."""
    eta = context.writer.real(ETA)
    exact = next(name for (rule, _), name in context.written.items() if rule == "lag-trajectory")
    shorter = context.lemma("contraction", Norm(CONTRACTION))
    limit = context.lemma("step-bound", Norm(DATA * GAINS) ** 2)
    scale = context.lemma("scale-factors", Rho(j))
    yield _bound(
        context,
        step,
        claim,
        f"rewrite <- {scale}.\n  assert (positive : 0 <= rho j) by (rewrite {scale}; nonneg).\n  "
        f"assert (short : norm contraction <= 1).\n  {{ apply {shorter}.\n    pose proof ({limit} ltac:(assumption)) "
        f"as known.\n    apply Rmult_le_compat_l with (r := {eta}) in known; [lra | exact {eta}_sign]. }}\n  "
        f"rewrite {exact}. rewrite size_scale by (apply Rmult_le_pos; [exact {eta}_sign | exact positive]).\n  "
        "pose proof (size_product (tr (block j)) (mmul (msum contraction l) (residual 0))) as longer.\n  "
        "rewrite norm_transposed in longer. pose proof (sum_size contraction (residual 0) l short) as summed.\n  "
        "apply Rmult_le_compat_l with (r := norm (block j)) in summed; [|apply norm_positive].\n  "
        f"assert (sign : 0 <= {eta} * rho j) by (apply Rmult_le_pos; [exact {eta}_sign | exact positive]).\n  "
        f"apply Rle_trans with ({eta} * rho j * (norm (block j) * (INR l * size (residual 0)))); [|right; ring].\n  "
        "apply Rmult_le_compat_l; [exact sign | lra].",
    )


@exports("slow-lags")
def slow_lags(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """The movement read the other way round, with the power of the node that bounds the scale factor."""
    eta, scale = context.writer.real(ETA), context.lemma("scale-factors", Rho(j))
    moved = next(name for (rule, _), name in context.written.items() if rule == "movement")
    bound: Any = context.premise(step, "bound-paper")
    largest, power = (context.writer.real(x) for x in bound.right.as_independent(j, as_Add=False))
    length = f"(size {matrix_text(context.writer, LagTaps(j, STEP) - LagTaps(j, 0))})"
    unit = f"({eta} * norm (block j) * size (residual 0))"
    yield _bound(
        context,
        step,
        claim,
        f"pose proof ({moved} j l ltac:(assumption) ltac:(assumption) ltac:(assumption)) as far.\n  "
        f"rewrite <- {scale} in far.\n  "
        f"assert (falls : rho j <= {largest} * {power}).\n  "
        f"{{ apply Rle_trans with {context.writer.real(bound.right)}; [|right; ring].\n    "
        f"apply {context.lemma('bound-paper', Rho(j))}; assumption. }}\n  "
        f"assert (sign : 0 < {unit}) by lra. pose proof (pos_INR l) as steps.\n  "
        f"assert (positive : 0 < {power}).\n  {{ unfold Rdiv. repeat first [apply Rmult_lt_0_compat | apply pow_lt "
        "| apply Rinv_0_lt_compat | lra]. }\n  "
        f"assert (most : {length} <= {unit} * ({largest} * {power}) * INR l).\n  "
        f"{{ apply Rle_trans with ({unit} * rho j * INR l); [lra|].\n    "
        "apply Rmult_le_compat_r; [exact steps | apply Rmult_le_compat_l; lra]. }\n  "
        f"pose proof (at_least _ {unit} {largest} {power} _ (size_positive _) sign positive steps "
        "ltac:(nonneg) most) as found.\n  "
        "eapply Rle_trans; [right | exact found]. unfold Rdiv. rewrite !Rinv_mult, ?Rinv_inv. ring.",
    )
