"""What files about finite width begin with, in Coq: Gaussian means counted, the empirical kernel, chances."""

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
KERNELS = r"""
(* One product of numbers in an entry of the empirical kernel: how often the variances of readout, input map and
   transition occur in it, those of the perturbed letters left out, and its strands in standard Gaussian entries. *)
Definition part := (nat * nat * nat * list strand)%type.
Definition word_of (j : nat) : word := repeat (1%nat, false) j.
(* Lemma B.1: perturbed letters of the two responses have met. The readouts; the input maps; the a-th transition of one
   response and the b-th of the other. *)
Definition kernel_parts (t j : nat) : list part :=
  (0%nat, 1%nat, (t + j)%nat, [(input, transposed (word_of t) ++ word_of j, input)])
  :: (1%nat, 0%nat, (t + j)%nat, [(readout, word_of t ++ transposed (word_of j), readout)])
  :: flat_map (fun a => map (fun b =>
       (1%nat, 1%nat, (t - 1 + (j - 1))%nat,
        [(readout, word_of a ++ transposed (word_of b), readout);
         (input, transposed (word_of (t - 1 - a)) ++ word_of (j - 1 - b), input)])) (seq 0 j)) (seq 0 t).
Definition both (p q : part) : part :=
  match p, q with (c, f, w, s), (c', f', w', s') => ((c + c')%nat, (f + f')%nat, (w + w')%nat, s ++ s') end.
Fixpoint parts_of (entries : list (nat * nat)) : list part :=
  match entries with
  | [] => [(0%nat, 0%nat, 0%nat, [])]
  | (t, j) :: rest => flat_map (fun p => map (both p) (parts_of rest)) (kernel_parts t j)
  end.
Definition weight (c f w : nat) : R :=
  readout_variance ^ c * input_variance ^ f * transition_variance ^ Nat.div2 w.
Definition part_mean (p : part) : R := match p with (c, f, w, s) => weight c f w * mean s [] end.
Definition halves (entries : list (nat * nat)) : nat :=
  Nat.div2 (fold_right (fun e k => fst e + snd e + 2 + k)%nat 0%nat entries).
(* E of a product of entries of the empirical kernel at width n. *)
Variable kernel_mean : list (nat * nat) -> R.
Hypothesis emami2021implicit_lemma_B1_at_width_n : forall entries,
  kernel_mean entries = total (map part_mean (parts_of entries)) / INR n ^ halves entries.
(* The same sum with equal weights gathered, its means counted. *)
Definition row := (nat * nat * nat * list Z)%type.
Definition row_value (r : row) : R := match r with (c, f, w, p) => weight c f w * value p end.
Fixpoint entered (c f w : nat) (p : list Z) (table : list row) : list row :=
  match table with
  | [] => [(c, f, w, p)]
  | (c', f', w', q) :: rest =>
      if (Nat.eqb c c' && Nat.eqb f f' && Nat.eqb w w')%bool then (c', f', w', added p q) :: rest
      else (c', f', w', q) :: entered c f w p rest
  end.
Lemma entered_correct : forall c f w p table,
  total (map row_value (entered c f w p table)) = weight c f w * value p + total (map row_value table).
Proof.
  intros c f w p. induction table as [|[[[c' f'] w'] q] rest IH]; cbn [entered map total row_value].
  - reflexivity.
  - destruct (Nat.eqb c c' && Nat.eqb f f' && Nat.eqb w w')%bool eqn:same; cbn [map total row_value].
    + apply Bool.andb_true_iff in same. destruct same as [same H3]. apply Bool.andb_true_iff in same.
      destruct same as [H1 H2]. apply Nat.eqb_eq in H1, H2, H3. subst. rewrite value_added. ring.
    + rewrite IH. ring.
Qed.
Fixpoint gathered (parts : list part) : option (list row) :=
  match parts with
  | [] => Some []
  | (c, f, w, s) :: rest =>
      match strands_counted 200 s [], gathered rest with
      | Some p, Some table => Some (entered c f w p table)
      | _, _ => None
      end
  end.
Lemma gathered_correct : forall parts table,
  gathered parts = Some table -> total (map part_mean parts) = total (map row_value table).
Proof.
  induction parts as [|[[[c f] w] s] rest IH]; intros table; cbn [gathered map total part_mean]; intros found.
  - injection found as <-. reflexivity.
  - destruct (strands_counted 200 s []) as [p|] eqn:counted; [|discriminate].
    destruct (gathered rest) as [others|]; [|discriminate]. injection found as <-.
    rewrite entered_correct, (strands_correct 200 s [] p counted), (IH others eq_refl). reflexivity.
Qed.
Lemma kernel_mean_counted : forall entries table,
  gathered (parts_of entries) = Some table ->
  kernel_mean entries = total (map row_value table) / INR n ^ halves entries.
Proof.
  intros entries table found. now rewrite emami2021implicit_lemma_B1_at_width_n, (gathered_correct _ table found).
Qed.
Ltac gathered :=
  match goal with
  | |- context [kernel_mean ?entries] =>
      let found := eval vm_compute in (gathered (parts_of entries)) in
      match found with Some ?table => rewrite (kernel_mean_counted entries table) by (vm_compute; reflexivity) end
  end; cbn [map total row_value value]; unfold weight, halves; cbn [Nat.div2 fold_right fst snd Nat.add].
(* Covariances, and E of the square of an entry less a constant. *)
Definition covariance_of (a b : nat * nat) : R := kernel_mean [a; b] - kernel_mean [a] * kernel_mean [b].
Definition gap_of (e : nat * nat) (c : R) : R := kernel_mean [e; e] - 2 * c * kernel_mean [e] + c ^ 2.
""".strip()
CHANCE = r"""
(* Expectation is positive and linear; no limit theorem is among the hypotheses. *)
Variable Draws : Type.
Variable expect : (Draws -> R) -> R.
Hypothesis expectation_is_monotone : forall f g, (forall o, f o <= g o) -> expect f <= expect g.
Hypothesis expectation_is_linear : forall a b f g, expect (fun o => a * f o + b * g o) = a * expect f + b * expect g.
Hypothesis expectation_of_one : expect (fun _ => 1) = 1.
Variable theta : nat * nat -> Draws -> R.
Hypothesis kernel_mean_of_one : forall e, kernel_mean [e] = expect (theta e).
Hypothesis kernel_mean_of_square : forall e, kernel_mean [e; e] = expect (fun o => theta e o ^ 2).
Definition chance (X : Draws -> R) (c eps : R) : R :=
  expect (fun o => if Rlt_dec eps (Rabs (X o - c)) then 1 else 0).
Lemma expect_equal : forall f g, (forall o, f o = g o) -> expect f = expect g.
Proof. intros f g same. apply Rle_antisym; apply expectation_is_monotone; intros o; rewrite same; lra. Qed.
Lemma chebyshev_inequality : forall X c eps, 0 < eps ->
  chance X c eps <= (expect (fun o => X o ^ 2) - 2 * c * expect X + c ^ 2) / eps ^ 2.
Proof.
  intros X c eps positive. unfold chance.
  assert (square : 0 < eps ^ 2) by now apply pow_lt.
  apply Rle_trans with (expect (fun o => / eps ^ 2 * ((X o - c) ^ 2) + 0 * 1)).
  - apply expectation_is_monotone. intros o. destruct (Rlt_dec eps (Rabs (X o - c))) as [far|_].
    + apply Rmult_le_reg_l with (eps ^ 2); [assumption|]. field_simplify; [|lra].
      assert (eps ^ 2 <= Rabs (X o - c) ^ 2) by (apply pow_incr; lra). rewrite pow2_abs in H. lra.
    + assert (0 <= / eps ^ 2 * (X o - c) ^ 2); [|lra].
      apply Rmult_le_pos; [left; now apply Rinv_0_lt_compat | apply pow2_ge_0].
  - right. rewrite (expectation_is_linear (/ eps ^ 2) 0 (fun o => (X o - c) ^ 2) (fun _ => 1)).
    rewrite (expect_equal (fun o => (X o - c) ^ 2) (fun o => 1 * (1 * X o ^ 2 + - (2 * c) * X o) + c ^ 2 * 1))
      by (intros o; ring).
    rewrite (expectation_is_linear 1 (c ^ 2) (fun o => 1 * X o ^ 2 + - (2 * c) * X o) (fun _ => 1)).
    rewrite (expectation_is_linear 1 (- (2 * c)) (fun o => X o ^ 2) X), expectation_of_one. field. lra.
Qed.
Lemma deviation : forall e c eps, 0 < eps -> chance (theta e) c eps <= gap_of e c / eps ^ 2.
Proof.
  intros e c eps positive. unfold gap_of. rewrite kernel_mean_of_one, kernel_mean_of_square.
  now apply chebyshev_inequality.
Qed.
Lemma power_below : forall m u k, 0 <= m -> 0 < u <= 1 -> m * u ^ S k <= m * u.
Proof.
  intros m u k some [low high]. apply Rmult_le_compat_l; [assumption|]. induction k as [|k IH].
  - simpl. lra.
  - apply Rle_trans with (u * u); [|rewrite <- (Rmult_1_r u) at 3; apply Rmult_le_compat_l; lra].
    change (u ^ S (S k)) with (u * u ^ S k). apply Rmult_le_compat_l; lra.
Qed.
""".strip()
