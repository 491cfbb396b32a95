"""Proposition 2.1(b) in Coq: a convolution of horizon T as a diagonal recursion, by Lagrange's polynomials.

Everything is proved from the standard library: a polynomial with fewer coefficients than zeros has none but zeros, so
powers below the number of nodes are their own interpolants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.certificate.lemmas import Context, Lemma, exports, setting
from wideproof.derive.certificate.terms import Writer, natural, term
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.linear.realization import Lagrange, Node, Target
from wideproof.derive.proof.proof import Step

POLYNOMIALS = r"""
(* Polynomials by their coefficients; coefficient p i is 0 past the end. *)
Definition coefficient (p : list R) (i : nat) : R := nth i p 0.
Fixpoint evaluated (p : list R) (x : R) : R := match p with [] => 0 | a :: r => a + x * evaluated r x end.
Fixpoint added (p q : list R) : list R :=
  match p, q with [], r | r, [] => r | a :: p', b :: q' => a + b :: added p' q' end.
Definition scaled (c : R) (p : list R) : list R := map (Rmult c) p.
Definition times_root (a : R) (p : list R) : list R := added (0 :: p) (scaled (- a) p).
Lemma evaluated_added : forall p q x, evaluated (added p q) x = evaluated p x + evaluated q x.
Proof. induction p as [|a p IH]; intros [|b q] x; simpl; try ring. rewrite IH. ring. Qed.
Lemma evaluated_scaled : forall c p x, evaluated (scaled c p) x = c * evaluated p x.
Proof. intros c p x. unfold scaled. induction p as [|a p IH]; simpl; [ring|]. rewrite IH. ring. Qed.
Lemma evaluated_root : forall a p x, evaluated (times_root a p) x = (x - a) * evaluated p x.
Proof. intros. unfold times_root. rewrite evaluated_added, evaluated_scaled. simpl. ring. Qed.
Lemma coefficient_added : forall p q i, coefficient (added p q) i = coefficient p i + coefficient q i.
Proof.
  unfold coefficient. induction p as [|a p IH]; intros [|b q] [|i]; simpl; try ring. apply IH.
Qed.
Lemma coefficient_scaled : forall c p i, coefficient (scaled c p) i = c * coefficient p i.
Proof.
  unfold coefficient, scaled. induction p as [|a p IH]; intros [|i]; simpl; try ring. apply IH.
Qed.
Lemma length_added : forall p q, length (added p q) = Nat.max (length p) (length q).
Proof. induction p as [|a p IH]; intros [|b q]; simpl; try reflexivity. now rewrite IH. Qed.
Lemma length_root : forall a p, length (times_root a p) = S (length p).
Proof. intros. unfold times_root, scaled. rewrite length_added, map_length. cbn [length]. lia. Qed.

(* Division by x - a: what is left is the value at a. *)
Fixpoint quotient (a : R) (p : list R) : list R :=
  match p with [] => [] | _ :: r => match r with [] => [] | _ => evaluated r a :: quotient a r end end.
Lemma division : forall a p x, evaluated p x = evaluated p a + (x - a) * evaluated (quotient a p) x.
Proof.
  intros a p x. induction p as [|c [|b r] IH]; [simpl; ring | simpl; ring|].
  change (quotient a (c :: b :: r)) with (evaluated (b :: r) a :: quotient a (b :: r)).
  change (evaluated (c :: b :: r) x) with (c + x * evaluated (b :: r) x).
  change (evaluated (c :: b :: r) a) with (c + a * evaluated (b :: r) a).
  change (evaluated (evaluated (b :: r) a :: quotient a (b :: r)) x)
    with (evaluated (b :: r) a + x * evaluated (quotient a (b :: r)) x).
  rewrite IH. ring.
Qed.
Lemma length_quotient : forall a p, length (quotient a p) = Nat.pred (length p).
Proof.
  intros a p. induction p as [|c [|b r] IH]; [reflexivity | reflexivity|].
  change (quotient a (c :: b :: r)) with (evaluated (b :: r) a :: quotient a (b :: r)).
  simpl length in *. now rewrite IH.
Qed.
Lemma no_quotient : forall a p, evaluated p a = 0 ->
  (forall i, coefficient (quotient a p) i = 0) -> forall i, coefficient p i = 0.
Proof.
  intros a p. induction p as [|c [|b r] IH]; intros zero none i.
  - now destruct i.
  - simpl in zero. destruct i as [|[|i]]; unfold coefficient; simpl; lra.
  - change (quotient a (c :: b :: r)) with (evaluated (b :: r) a :: quotient a (b :: r)) in none.
    assert (first : evaluated (b :: r) a = 0) by exact (none O).
    destruct i as [|i].
    + change (evaluated (c :: b :: r) a) with (c + a * evaluated (b :: r) a) in zero. rewrite first in zero.
      unfold coefficient. simpl. lra.
    + change (coefficient (c :: b :: r) (S i)) with (coefficient (b :: r) i).
      apply IH; [assumption|]. intros l. apply (none (S l)).
Qed.
(* A polynomial with at least as many different zeros as coefficients is zero. *)
Lemma too_many_zeros : forall zeros p, NoDup zeros -> (length p <= length zeros)%nat ->
  (forall a, In a zeros -> evaluated p a = 0) -> forall i, coefficient p i = 0.
Proof.
  induction zeros as [|a zeros IH]; intros p different short zero i.
  - destruct p; [now destruct i | simpl in short; lia].
  - inversion_clear different as [|? ? fresh rest].
    apply (no_quotient a); [apply zero; now left|].
    apply IH; [assumption | rewrite length_quotient; simpl in short; lia|].
    intros b inside. pose proof (division a p b) as divided.
    rewrite (zero a), (zero b) in divided by (simpl; auto).
    assert (b - a <> 0) by (intros same; apply fresh; replace a with b by lra; assumption).
    apply (Rmult_eq_reg_l (b - a)); lra.
Qed.

(* Nodes of a horizon; the polynomial that is 1 at node k and 0 at the other nodes below T. *)
Variable node : nat -> R.
Hypothesis nodes_differ : forall i k, node i = node k -> i = k.
Fixpoint lagrange_polynomial (k T : nat) : list R :=
  match T with
  | O => [1]
  | S l => if Nat.eqb l k then lagrange_polynomial k l
           else scaled (/ (node k - node l)) (times_root (node l) (lagrange_polynomial k l))
  end.
Definition lagrange (i k T : nat) : R := coefficient (lagrange_polynomial k T) i.
Lemma nodes_apart : forall i k, i <> k -> node i - node k <> 0.
Proof. intros i k apart same. apply apart, nodes_differ. lra. Qed.
Lemma lagrange_at_own : forall k T, evaluated (lagrange_polynomial k T) (node k) = 1.
Proof.
  intros k T. induction T as [|l IH]; simpl; [ring|].
  destruct (Nat.eqb_spec l k) as [|apart]; [assumption|].
  rewrite evaluated_scaled, evaluated_root, IH. field. apply nodes_apart. auto.
Qed.
Lemma lagrange_at_other : forall k T l, (l < T)%nat -> l <> k -> evaluated (lagrange_polynomial k T) (node l) = 0.
Proof.
  intros k T l. induction T as [|h IH]; intros below apart; [lia|]. simpl.
  destruct (Nat.eqb_spec h k) as [same|other].
  - apply IH; [lia | assumption].
  - rewrite evaluated_scaled, evaluated_root. destruct (Nat.eq_dec l h) as [->|]; [ring|].
    rewrite IH by (assumption || lia). ring.
Qed.
Lemma lagrange_length : forall k T, (length (lagrange_polynomial k T) <= (if Nat.ltb k T then T else S T))%nat.
Proof.
  intros k T. induction T as [|l IH]; simpl; [lia|].
  destruct (Nat.eqb_spec l k) as [->|apart].
  - rewrite Nat.ltb_irrefl in IH. destruct (Nat.ltb_spec k (S k)); lia.
  - unfold scaled. rewrite map_length, length_root.
    destruct (Nat.ltb_spec k l), (Nat.ltb_spec k (S l)); lia.
Qed.
Fixpoint combined (w : nat -> R) (T count : nat) : list R :=
  match count with O => [] | S k => added (combined w T k) (scaled (w k) (lagrange_polynomial k T)) end.
Lemma combined_coefficient : forall w T i count,
  coefficient (combined w T count) i = sum_below (fun k => lagrange i k T * w k) count.
Proof.
  intros w T i count. induction count as [|k IH]; simpl; [now destruct i|].
  rewrite coefficient_added, coefficient_scaled, IH. unfold lagrange. ring.
Qed.
Lemma combined_value : forall w T l count, (l < T)%nat ->
  evaluated (combined w T count) (node l) = if Nat.ltb l count then w l else 0.
Proof.
  intros w T l count below. induction count as [|k IH]; [reflexivity|].
  cbn [combined]. rewrite evaluated_added, evaluated_scaled, IH.
  destruct (Nat.eq_dec l k) as [->|apart].
  - rewrite lagrange_at_own. destruct (Nat.ltb_spec k k), (Nat.ltb_spec k (S k)); try lia. ring.
  - rewrite lagrange_at_other by assumption. destruct (Nat.ltb_spec l k), (Nat.ltb_spec l (S k)); try lia; ring.
Qed.
Lemma combined_length : forall w T count, (count <= T)%nat -> (length (combined w T count) <= T)%nat.
Proof.
  intros w T count. induction count as [|k IH]; intros below; simpl; [lia|].
  unfold scaled. rewrite length_added, map_length. pose proof (lagrange_length k T).
  destruct (Nat.ltb_spec k T); lia.
Qed.
Fixpoint power_polynomial (j : nat) : list R := match j with O => [1] | S i => 0 :: power_polynomial i end.
Lemma power_value : forall j x, evaluated (power_polynomial j) x = x ^ j.
Proof. intros j x. induction j as [|i IH]; simpl; [ring|]. rewrite IH. ring. Qed.
Lemma power_length : forall j, length (power_polynomial j) = S j.
Proof. induction j as [|i IH]; simpl; [reflexivity|]. now rewrite IH. Qed.
Lemma power_coefficient : forall j i, coefficient (power_polynomial j) i = delta i j.
Proof.
  unfold coefficient, delta. induction j as [|j IH]; intros [|i]; simpl; try reflexivity; [now destruct i | apply IH].
Qed.
Lemma sum_below_same : forall f g n, (forall i, (i < n)%nat -> f i = g i) -> sum_below f n = sum_below g n.
Proof. intros f g n same. induction n as [|n IH]; simpl; [reflexivity|]. rewrite IH, same by auto. reflexivity. Qed.
(* A power below the number of nodes is its own interpolant: compare the coefficients. *)
Lemma interpolant : forall T i j, (j < T)%nat ->
  sum_below (fun k => lagrange i k T * node k ^ j) T = delta i j.
Proof.
  intros T i j below. rewrite <- (combined_coefficient (fun k => node k ^ j) T i T).
  pose (rest := added (combined (fun k => node k ^ j) T T) (scaled (- 1) (power_polynomial j))).
  assert (none : coefficient rest i = 0).
  { apply (too_many_zeros (map node (seq 0 T))).
    - apply Injective_map_NoDup; [exact nodes_differ | apply seq_NoDup].
    - unfold rest, scaled. rewrite length_added, !map_length, seq_length, power_length.
      pose proof (combined_length (fun k => node k ^ j) T T). lia.
    - intros a inside. apply in_map_iff in inside. destruct inside as [l [<- inside]]. apply in_seq in inside.
      unfold rest. rewrite evaluated_added, evaluated_scaled, power_value, combined_value by lia.
      destruct (Nat.ltb_spec l T); [ring | lia]. }
  unfold rest in none. rewrite coefficient_added, coefficient_scaled, power_coefficient in none. lra.
Qed.
Lemma sum_below_plus : forall f g n, sum_below (fun i => f i + g i) n = sum_below f n + sum_below g n.
Proof. intros f g n. induction n as [|n IH]; simpl; [ring|]. rewrite IH. ring. Qed.
Lemma sum_below_scale : forall c f n, sum_below (fun i => c * f i) n = c * sum_below f n.
Proof. intros c f n. induction n as [|n IH]; simpl; [ring|]. rewrite IH. ring. Qed.
Lemma sum_below_zero : forall n, sum_below (fun _ => 0) n = 0.
Proof. induction n as [|n IH]; simpl; [reflexivity|]. rewrite IH. ring. Qed.
Lemma sums_exchange : forall f n h,
  sum_below (fun k => sum_below (fun i => f i k) n) h = sum_below (fun i => sum_below (fun k => f i k) h) n.
Proof.
  intros f n h. induction h as [|h IH]; simpl; [now rewrite sum_below_zero|]. now rewrite IH, sum_below_plus.
Qed.
Lemma sum_below_delta : forall f j n, (j < n)%nat -> sum_below (fun i => f i * delta i j) n = f j.
Proof.
  intros f j n below. induction n as [|n IH]; [lia|]. simpl. destruct (Nat.eq_dec n j) as [->|apart].
  - rewrite delta_same, (sum_below_same _ (fun _ => 0)), sum_below_zero by (intros; rewrite delta_apart by lia; ring).
    ring.
  - rewrite IH, delta_apart by lia. ring.
Qed.

(* The impulse response that is to be realised, one entry. *)
Variable target : nat -> R.
""".strip()


@setting("vandermonde", "interpolation")
def nodes(writer: Writer, parameterization: str | None) -> str:
    """Polynomials, and different nodes."""
    return POLYNOMIALS


@term(Node)
def _node(writer: Writer, expr: sp.Expr) -> str:
    return f"(node {natural(expr.args[0])})"


@term(Target)
def _target(writer: Writer, expr: sp.Expr) -> str:
    return f"(target {natural(expr.args[0])})"


@term(Lagrange)
def _lagrange(writer: Writer, expr: sp.Expr) -> str:
    return f"(lagrange {' '.join(map(natural, expr.args))})"


def _horizon(claim: Any) -> sp.Expr:
    """The claim's horizon, which is above the lag by its form."""
    ends = {x.limits[0][2] + 1 for x in claim.left.atoms(sp.Sum)}
    if len(ends) != 1:
        raise NotCertified("sum", "one horizon", claim.left, "The proof has another shape.")
    return ends.pop()


@exports("interpolation")
def interpolation(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """Each power below the number of nodes is its own interpolant, coefficient by coefficient."""
    name = context.name("interpolation")
    context.written["interpolation", claim.left] = name
    yield Lemma(
        name,
        f"forall i j m : nat, {context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        f"intros i j m. rewrite <- (interpolant {natural(_horizon(claim))} i j) by lia.\n  "
        "apply sum_below_same. intros k below. ring.",
    )


@exports("vandermonde")
def vandermonde(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The weights read off Lagrange's polynomials realise every impulse response: exchange the two sums."""
    writer = context.writer
    horizon = natural(_horizon(claim))
    yield Lemma(
        context.name("vandermonde"),
        f"forall j m : nat, {writer.real(claim.left)} = {writer.real(claim.right)}",
        f"intros j m.\n  rewrite (sum_below_same _ (fun k => sum_below "
        f"(fun i => target i * (lagrange i k {horizon} * node k ^ j)) {horizon})).\n  "
        "{ rewrite sums_exchange.\n    "
        f"rewrite (sum_below_same _ (fun i => target i * delta i j)).\n    "
        f"{{ rewrite sum_below_delta by lia. ring. }}\n    "
        "intros i below. rewrite sum_below_scale, interpolant by lia. reflexivity. }\n  "
        "intros k below. try rewrite (Rmult_comm _ (node k ^ j)). rewrite <- sum_below_scale.\n  "
        "apply sum_below_same. intros i inside. ring.",
    )
