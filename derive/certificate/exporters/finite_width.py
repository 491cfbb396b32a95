"""Moments of the impulse response at finite width, in Coq: Stein's lemma entry by entry, counted by a function there.

Nothing of the loop equations is read from the engine: the file defines how one Gaussian entry meets another, proves
that counting by it gives the mean, and computes each polynomial in the width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.certificate.hypotheses import letters
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, setting
from wideproof.derive.certificate.terms import Writer, comment, pieces, term
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import MatVec, Program
from wideproof.derive.linear.finite_width import ResponseMoment
from wideproof.derive.proof.proof import Step

COUNTING = r"""
(* Means over independent standard Gaussian matrices G_1, G_2, ... (n x n), a readout c, an input column f. A word is
   a product of matrices, (k, true) the transpose of G_k; a strand is a word between vectors, a trace that of one. *)
Definition letter := (nat * bool)%type.
Definition word := list letter.
Inductive tip := readout | input.
Definition strand := (tip * word * tip)%type.
Definition transposed (w : word) : word := map (fun x : letter => (fst x, negb (snd x))) (rev w).
Definition same_tip (a b : tip) : bool := match a, b with readout, readout | input, input => true | _, _ => false end.

(* What is left after the entry at the end a of the strand b ... a has met each equal end, its own other end first. *)
Fixpoint joined (a : tip) (w : word) (b : tip) (before rest : list strand) : list (list strand) :=
  match rest with
  | [] => []
  | (c, v, e) :: after =>
      (if same_tip a c then [before ++ (b, transposed w ++ v, e) :: after] else [])
      ++ (if same_tip a e then [before ++ (b, transposed w ++ transposed v, c) :: after] else [])
      ++ joined a w b (before ++ [(c, v, e)]) after
  end.
(* What is left after the first letter l of a trace has met each of its kind: inside its own trace, or in another. *)
Definition meets (l x : letter) : bool := Nat.eqb (fst l) (fst x).
Definition alike (l x : letter) : bool := Bool.eqb (snd l) (snd x).
Fixpoint inside (l : letter) (before w : word) (others : list word) : list (list word) :=
  match w with
  | [] => []
  | x :: after =>
      (if meets l x then
         [if alike l x then (before ++ transposed after) :: others else before :: after :: others]
       else []) ++ inside l (before ++ [x]) after others
  end.
Fixpoint along (l : letter) (own before w : word) : list word :=
  match w with
  | [] => []
  | x :: after =>
      (if meets l x then
         [own ++ (if alike l x then transposed (after ++ before) else after ++ before)]
       else []) ++ along l own (before ++ [x]) after
  end.
Fixpoint across (l : letter) (own : word) (before others : list word) : list (list word) :=
  match others with
  | [] => []
  | w :: after => map (fun v => v :: before ++ after) (along l own [] w) ++ across l own (before ++ [w]) after
  end.
Fixpoint total (terms : list R) : R := match terms with [] => 0 | x :: rest => x + total rest end.

Variable mean : list strand -> list word -> R.
(* The mean of 1, and the trace of the identity. *)
Hypothesis mean_one : mean [] [] = 1.
Hypothesis mean_identity : forall others, mean [] ([] :: others) = INR n * mean [] others.
(* Isserlis' theorem for the first entry of a readout or an input column, in Stein's form: it meets each equal one. *)
Hypothesis isserlis1918formula : forall a w b rest traces,
  mean ((a, w, b) :: rest) traces =
    (if same_tip a b then mean rest (w :: traces) else 0)
    + total (map (fun left => mean left traces) (joined a w b [] rest)).
(* Integration by parts, E[G f(G)] = E[df/dG], for the first matrix of the first trace. *)
Hypothesis stein1981estimation : forall l w others,
  mean [] ((l :: w) :: others) = total (map (mean []) (inside l [] w others ++ across l w [] others)).

(* Polynomials in the width by their coefficients. *)
Fixpoint added (p q : list Z) : list Z :=
  match p, q with [], r | r, [] => r | a :: p', b :: q' => (a + b)%Z :: added p' q' end.
Fixpoint value (p : list Z) : R := match p with [] => 0 | a :: rest => IZR a + INR n * value rest end.
Lemma value_added : forall p q, value (added p q) = value p + value q.
Proof. induction p; intros [|b q]; simpl; try lra. rewrite plus_IZR, IHp. lra. Qed.
(* The sum of what is counted; None where the count was given up. *)
Fixpoint summed {A : Type} (count : A -> option (list Z)) (terms : list A) : option (list Z) :=
  match terms with
  | [] => Some []
  | x :: rest => match count x, summed count rest with Some p, Some q => Some (added p q) | _, _ => None end
  end.
Lemma summed_correct : forall (A : Type) (count : A -> option (list Z)) (f : A -> R),
  (forall x p, count x = Some p -> f x = value p) ->
  forall terms p, summed count terms = Some p -> total (map f terms) = value p.
Proof.
  intros A count f known. induction terms as [|x rest IH]; simpl; intros p counted.
  - injection counted as <-. reflexivity.
  - destruct (count x) as [q|] eqn:first; [|discriminate]. destruct (summed count rest) as [q'|]; [|discriminate].
    injection counted as <-. rewrite value_added, (known x q first), (IH q' eq_refl). reflexivity.
Qed.
Fixpoint traces_counted (fuel : nat) (traces : list word) : option (list Z) :=
  match fuel, traces with
  | _, [] => Some [1%Z]
  | O, _ => None
  | S more, [] :: others => option_map (cons 0%Z) (traces_counted more others)
  | S more, (l :: w) :: others => summed (traces_counted more) (inside l [] w others ++ across l w [] others)
  end.
Lemma traces_correct : forall fuel traces p, traces_counted fuel traces = Some p -> mean [] traces = value p.
Proof.
  induction fuel as [|fuel IH]; intros [|[|l w] others] p; simpl; intros counted; try discriminate.
  - injection counted as <-. rewrite mean_one. simpl. ring.
  - injection counted as <-. rewrite mean_one. simpl. ring.
  - destruct (traces_counted fuel others) as [q|] eqn:left; [|discriminate]. injection counted as <-.
    rewrite mean_identity, (IH _ _ left). simpl. ring.
  - rewrite stein1981estimation. now apply (summed_correct _ (traces_counted fuel)).
Qed.
Fixpoint strands_counted (fuel : nat) (strands : list strand) (traces : list word) : option (list Z) :=
  match fuel, strands with
  | _, [] => traces_counted 200 traces
  | O, _ => None
  | S more, (a, w, b) :: rest =>
      match (if same_tip a b then strands_counted more rest (w :: traces) else Some []),
        summed (fun left => strands_counted more left traces) (joined a w b [] rest) with
      | Some p, Some q => Some (added p q)
      | _, _ => None
      end
  end.
Lemma strands_correct : forall fuel strands traces p,
  strands_counted fuel strands traces = Some p -> mean strands traces = value p.
Proof.
  induction fuel as [|fuel IH]; intros [|[[a w] b] rest] traces p; cbn [strands_counted]; intros counted;
    try discriminate; try (now apply (traces_correct 200)).
  rewrite isserlis1918formula.
  destruct (if same_tip a b then strands_counted fuel rest (w :: traces) else Some []) as [q|] eqn:own; [|discriminate].
  destruct (summed (fun left => strands_counted fuel left traces) (joined a w b [] rest)) as [q'|] eqn:met;
    [|discriminate].
  injection counted as <-. rewrite value_added. f_equal.
  - destruct (same_tip a b); [now apply IH|]. injection own as <-. reflexivity.
  - apply (summed_correct _ (fun left => strands_counted fuel left traces)); [|assumption]. intros. now apply IH.
Qed.
Ltac counted :=
  match goal with
  | |- context [mean [] ?traces] =>
      let found := eval vm_compute in (traces_counted 200 traces) in
      match found with Some ?p => rewrite (traces_correct 200 traces p) by (vm_compute; reflexivity) end
  | |- context [mean ?strands []] =>
      let found := eval vm_compute in (strands_counted 200 strands []) in
      match found with Some ?p => rewrite (strands_correct 200 strands [] p) by (vm_compute; reflexivity) end
  end; cbn [value].
""".strip()
RESPONSES = """
(* One entry of L_j = n^(-(j+1)/2) C W^j F, by Proposition 2.1(a), in standard Gaussian entries; `response` lags is E of
   its product over lags. Variances of sums of independent Gaussian matrices add. *)
Definition entry (j : nat) : strand := (readout, {letters}, input).
Definition scaled (j : nat) : R :=
  sqrt readout_variance * sqrt input_variance * sqrt transition_variance ^ j / sqrt (INR n) ^ S j.
Definition scales (lags : list nat) : R := fold_right (fun j rest => scaled j * rest) 1 lags.
Variable response : list nat -> R.
Hypothesis emami2021implicit_proposition_2_1a : forall lags,
  response lags = scales lags * mean (map entry lags) [].
""".strip()
KINDS = {"readout": "readout_variance", "matrix": "transition_variance", "input_map": "input_variance"}


@setting("readout-pairings", stated=("recursion",))
def finite_width(writer: Writer, parameterization: str | None) -> str:
    """The recursion as one product of Gaussian matrices, and how their entries meet."""
    program = writer.program
    variances, tied = _chain(writer, program)
    word = "repeat (1%nat, false) j" if tied else "map (fun k => (k, false)) (rev (seq 1 j))"
    definition = [comment(f"The recursion {program.name} as it was written:")]
    definition += [comment(f"  {state} = {body}") for state, body in (*program.updates, ("y", program.output))]
    for role, name in KINDS.items():
        definition.append(f"Variable {name} : R.\nHypothesis {name}_definition : {name} = {variances[role]}.")
    return "\n\n".join(
        (
            "\n".join(letters(writer, program)),
            "Variable n : nat.\nHypothesis n_sign : (0 < n)%nat.",
            COUNTING,
            "\n".join(definition),
            RESPONSES.replace("{letters}", word),
        )
    )


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
def loop_equations(context: Context, step: Step) -> Iterator[Lemma]:
    """The mean of a product of traces is a polynomial in the width, counted in the file."""
    claim: Any = step.claim
    words = "; ".join(f"[{'; '.join(map(_letter, word))}]" for word in claim.left.args[1:])
    about = ("_".join(f"{abs(x)}t" if x < 0 else str(x) for x in word) for word in claim.left.args[1:])
    name = context.name("loop-equations", *about)
    yield Lemma(name, f"mean [] [{words}] = {context.writer.real(claim.right)}", "counted. ring.")


def _letter(letter: sp.Expr) -> str:
    return f"({abs(letter)}%nat, {'true' if letter < 0 else 'false'})"


@exports("readout-pairings", believes="Isserlis' theorem over the entries of readout and input map")
def readout_pairings(context: Context, step: Step) -> Iterator[Lemma]:
    """A moment of the impulse response: all pairings, counted in the file, times the variances."""
    claim: Any = step.claim
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
