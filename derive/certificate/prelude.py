"""The part of every certificate that is about no recursion: lags, divided differences, sums over lags, in Coq."""

from __future__ import annotations

PRELUDE = r"""
From Coq Require Import Reals Lra Lia Arith List ZArith FinFun.
Import ListNotations.
Open Scope R_scope.

(* ---- general facts: nothing here is assumed ---- *)

(* Kronecker's delta of two whole numbers. *)
Definition delta (i k : nat) : R := if Nat.eqb i k then 1 else 0.
Lemma delta_same : forall i, delta i i = 1.
Proof. intros i. unfold delta. now rewrite Nat.eqb_refl. Qed.
Lemma delta_apart : forall i k, i <> k -> delta i k = 0.
Proof. intros i k H. unfold delta. now rewrite (proj2 (Nat.eqb_neq i k) H). Qed.
Lemma delta_symmetric : forall i k, delta i k = delta k i.
Proof. intros. unfold delta. now rewrite Nat.eqb_sym. Qed.

(* Each delta of lags that are certainly equal or certainly different becomes 1 or 0. *)
Ltac deltas :=
  repeat match goal with
  | |- context [delta ?i ?k] =>
      first [ rewrite (delta_apart i k) by lia
            | replace (delta i k) with 1 by (replace i with k by lia; now rewrite delta_same) ]
  end.

(* The divided difference of x^j at the nodes l_0, ..., l_k, by its recurrence in j. *)
Fixpoint PowerDD (nodes : list R) (j : nat) {struct j} : R :=
  match nodes, j with
  | [], _ => 0
  | [l], _ => l ^ j
  | _ :: _, O => 0
  | l :: rest, S i => l * PowerDD nodes i + PowerDD rest i
  end.
Lemma PowerDD_start : forall a b r, PowerDD (a :: b :: r) 0 = 0.
Proof. reflexivity. Qed.
Lemma PowerDD_step : forall a b r j, PowerDD (a :: b :: r) (S j) = a * PowerDD (a :: b :: r) j + PowerDD (b :: r) j.
Proof. reflexivity. Qed.
Lemma PowerDD_one : forall a j, PowerDD [a] j = a ^ j.
Proof. intros a [|j]; reflexivity. Qed.
Lemma PowerDD_difference : forall r a b j,
  (a - b) * PowerDD (a :: b :: r) j = PowerDD (a :: r) j - PowerDD (b :: r) j.
Proof.
  intros r a b. induction j as [|j IH].
  - destruct r; simpl; ring.
  - rewrite PowerDD_step. destruct r as [|c r].
    + rewrite !PowerDD_one in IH. rewrite !PowerDD_one. simpl pow.
      replace ((a - b) * (a * PowerDD [a; b] j + b ^ j))
        with (a * ((a - b) * PowerDD [a; b] j) + (a - b) * b ^ j) by ring.
      rewrite IH. ring.
    + rewrite (PowerDD_step a c), (PowerDD_step b c).
      replace ((a - b) * (a * PowerDD (a :: b :: c :: r) j + PowerDD (b :: c :: r) j))
        with (a * ((a - b) * PowerDD (a :: b :: c :: r) j) + (a - b) * PowerDD (b :: c :: r) j) by ring.
      rewrite IH. ring.
Qed.
Lemma PowerDD_swap : forall r a b j, PowerDD (a :: b :: r) j = PowerDD (b :: a :: r) j.
Proof.
  intros r a b j. destruct (Req_dec a b) as [->|H]; [reflexivity|].
  apply (Rmult_eq_reg_l (a - b)); [|lra].
  rewrite PowerDD_difference. pose proof (PowerDD_difference r b a j). lra.
Qed.
Lemma PowerDD_tail : forall a r s, length r = length s -> (forall j, PowerDD r j = PowerDD s j) ->
  forall j, PowerDD (a :: r) j = PowerDD (a :: s) j.
Proof.
  intros a [|b r] [|c s] L H; try discriminate; [reflexivity|].
  induction j as [|j IH]; [reflexivity|]. rewrite !PowerDD_step, IH, H. reflexivity.
Qed.
Lemma PowerDD_take : forall before_it a after_it j,
  PowerDD (before_it ++ a :: after_it) j = PowerDD (a :: before_it ++ after_it) j.
Proof.
  induction before_it as [|b l IH]; intros a after_it j; [reflexivity|]. simpl app.
  rewrite (PowerDD_tail b (l ++ a :: after_it) (a :: l ++ after_it)).
  - apply PowerDD_swap.
  - rewrite app_length. simpl. rewrite app_length. lia.
  - intros i. apply IH.
Qed.
Lemma PowerDD_twice : forall l j, l * PowerDD [l; l] j = INR j * l ^ j.
Proof.
  intros l. induction j as [|j IH]; [simpl; ring|].
  rewrite PowerDD_step, PowerDD_one, S_INR. simpl pow.
  replace (l * (l * PowerDD [l; l] j + l ^ j)) with (l * (l * PowerDD [l; l] j) + l * l ^ j) by ring.
  rewrite IH. ring.
Qed.
Lemma PowerDD_nonneg : forall nodes, (forall l, In l nodes -> 0 <= l) -> forall j, 0 <= PowerDD nodes j.
Proof.
  induction nodes as [|a r IHr]; intros H j; [destruct j; simpl; lra|].
  destruct r as [|b r].
  - rewrite PowerDD_one. apply pow_le, H. now left.
  - induction j as [|j IHj]; [simpl; lra|]. rewrite PowerDD_step.
    assert (0 <= a) by (apply H; now left).
    assert (0 <= PowerDD (b :: r) j) by (apply IHr; intros l Hl; apply H; now right).
    pose proof (Rmult_le_pos _ _ H0 IHj). lra.
Qed.

Lemma Rminus_le_0_compat : forall a b, 0 <= b - a -> a <= b.
Proof. intros. lra. Qed.

(* A sequence that rises up to P and falls after it is largest at P; the largest of f 0, ..., f n. *)
Lemma unimodal : forall f P, (forall i, (S i <= P)%nat -> f i <= f (S i)) ->
  (forall i, (P <= i)%nat -> f (S i) <= f i) -> forall j, f j <= f P.
Proof.
  intros f P rising falling j. destruct (Nat.le_ge_cases j P) as [less|more].
  - assert (up : forall d i, (i + d = P)%nat -> f i <= f P).
    { induction d as [|d IH]; intros i total.
      - replace i with P by lia. lra.
      - apply Rle_trans with (f (S i)); [apply rising | apply IH]; lia. }
    apply (up (P - j)%nat). lia.
  - induction more as [|i more IH]; [lra|]. apply Rle_trans with (f i); [apply falling|]; assumption.
Qed.
Fixpoint largest (f : nat -> R) (n : nat) : R := match n with O => f O | S i => Rmax (largest f i) (f n) end.


(* The sum of f 0, ..., f (n - 1). *)
Fixpoint sum_below (f : nat -> R) (n : nat) : R := match n with O => 0 | S i => sum_below f i + f i end.

(* Powers of a number between 0 and 1, and their divided difference at two equal nodes. *)
Lemma pow_at_most_1 : forall l j, 0 <= l <= 1 -> 0 <= l ^ j <= 1.
Proof. intros l j H. induction j as [|j IH]; simpl; [lra|]. split; nra. Qed.
Lemma PowerDD_at_most_lag : forall l j, 0 <= l <= 1 -> 0 <= PowerDD [l; l] j <= INR j.
Proof.
  intros l j H. induction j as [|j IH]; [simpl; lra|].
  rewrite PowerDD_step, PowerDD_one, S_INR. pose proof (pow_at_most_1 l j H). split; nra.
Qed.

(* Equal by the axioms of a ring, or because their parts are. *)
Ltac alike := first [ reflexivity | ring | progress f_equal; alike ].
(* Sums, products and powers of what is not negative. *)
Ltac nonneg :=
  repeat first
    [ assumption | apply Rplus_le_le_0_compat | apply pow2_ge_0 | apply Rmult_le_pos | apply pow_le | apply sqrt_pos
    | apply pos_INR | apply PowerDD_nonneg; simpl; intros ? ?; intuition subst | lra ].
(* Factors of what is positive are not zero. *)
Ltac nonzero := repeat split; first [ lra | intro; nra ].

(* The sum over lags j = 0, ..., min(t, s) of weight_j gram(t - j, s - j). *)
Fixpoint lag_sum (weight : nat -> R) (gram : nat -> nat -> R) (t s : nat) {struct t} : R :=
  match t, s with
  | S t', S s' => weight O * gram t s + lag_sum (fun j => weight (S j)) gram t' s'
  | _, _ => weight O * gram t s
  end.
Lemma lag_sum_ext : forall t s f g gram, (forall j, f j = g j) -> lag_sum f gram t s = lag_sum g gram t s.
Proof.
  induction t; intros [|s] f g gram H; simpl; rewrite ?H; try reflexivity.
  now rewrite (IHt s (fun j => f (S j)) (fun j => g (S j))) by auto.
Qed.
Lemma lag_sum_plus : forall t s f g gram,
  lag_sum (fun j => f j + g j) gram t s = lag_sum f gram t s + lag_sum g gram t s.
Proof. induction t; intros [|s] f g gram; simpl; try rewrite IHt; ring. Qed.
Lemma lag_sum_scale : forall t s c f gram, lag_sum (fun j => c * f j) gram t s = c * lag_sum f gram t s.
Proof. induction t; intros [|s] c f gram; simpl; try rewrite IHt; ring. Qed.
Lemma lag_sum_zero : forall t s gram, lag_sum (fun _ => 0) gram t s = 0.
Proof. induction t; intros [|s] gram; simpl; try rewrite IHt; ring. Qed.
Lemma lag_sum_is_sum : forall t s f gram,
  lag_sum f gram t s = sum_f_R0 (fun j => f j * gram (t - j)%nat (s - j)%nat) (Nat.min t s).
Proof.
  induction t; intros [|s] f gram; try (simpl; ring).
  change (Nat.min (S t) (S s)) with (S (Nat.min t s)).
  rewrite decomp_sum by lia. simpl. rewrite IHt. reflexivity.
Qed.
""".strip()
"""Definitions and lemmas of Coq's standard library only; every lemma is proved."""
