(** T7 (scores): the adversary sees a real-valued score and the label, and compares the score with a threshold, which may
    depend on the label.  If inside each label y the groups' score distributions have Kolmogorov-Smirnov distances at most
    k_y, no such test has an advantage above
      TV_Y + sum_y m_y * k_y,
    whatever the distributions, and some distributions and thresholds attain it.  For two groups and equal label
    marginals every choice of thresholds t_y has a test with advantage sum_y m_y |F_0(t_y) - F_1(t_y)|, so that the value
    at the distances themselves is the supremum.  Any number of groups and labels.

    A distribution of scores on the reals is given by P(S <= t) and P(S < t).

    Source: docs/theory.md, T7. *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
From Fairbound.t1 Require Import T1.
From Fairbound.t2 Require Import T2.
From Fairbound.t3 Require Import T3.
Import ListNotations.
Open Scope R_scope.

(** * Distributions of scores, and threshold tests *)

Record law : Type := Law { cdf : R -> R; below : R -> R }.

(** [cdf] is the distribution function of a probability on the reals, [below] its limit from the left. *)
Definition lawful (L : law) : Prop :=
  (forall t, 0 <= cdf L t <= 1) /\
  (forall t u, t <= u -> cdf L t <= cdf L u) /\
  (forall t eps, 0 < eps -> exists u, t < u /\ forall v, t <= v < u -> Rabs (cdf L v - cdf L t) < eps) /\
  (forall t eps, 0 < eps -> exists u, u < t /\ forall v, u <= v < t -> Rabs (cdf L v - below L t) < eps) /\
  (forall eps, 0 < eps -> exists t, cdf L t < eps) /\
  (forall eps, 0 < eps -> exists t, 1 - eps < cdf L t).

(** The Kolmogorov-Smirnov distance is at most [k]. *)
Definition close (L L' : law) (k : R) : Prop := forall t, Rabs (cdf L t - cdf L' t) <= k.

Inductive halfline : Type :=
  | AtLeast (t : R)
  | Above (t : R)
  | AtMost (t : R)
  | Below (t : R)
  | Always
  | Never.

(** Probability that a score lies in a half-line. *)
Definition chance (L : law) (h : halfline) : R :=
  match h with
  | AtLeast t => 1 - below L t
  | Above t => 1 - cdf L t
  | AtMost t => cdf L t
  | Below t => below L t
  | Always => 1
  | Never => 0
  end.

Lemma below_range (L : law) (t : R) : lawful L -> 0 <= below L t <= 1.
Proof.
  intros (Hr & _ & _ & Hb & _). split; apply Rnot_lt_le; intros C.
  - destruct (Hb t (- below L t) ltac:(lra)) as (u & Hu & H). specialize (H u ltac:(lra)). specialize (Hr u).
    apply Rabs_def2 in H. lra.
  - destruct (Hb t (below L t - 1) ltac:(lra)) as (u & Hu & H). specialize (H u ltac:(lra)). specialize (Hr u).
    apply Rabs_def2 in H. lra.
Qed.

Lemma chance_range (L : law) (h : halfline) : lawful L -> 0 <= chance L h <= 1.
Proof.
  intros H. pose proof (proj1 H) as Hr.
  destruct h as [t|t|t|t| |]; simpl; try (pose proof (below_range L t H)); try (specialize (Hr t)); lra.
Qed.

(** What holds for all thresholds holds for their limits from the left. *)
Lemma below_close (L L' : law) (k : R) : lawful L -> lawful L' -> close L L' k ->
  forall t, Rabs (below L t - below L' t) <= k.
Proof.
  intros (_ & _ & _ & Hb & _) (_ & _ & _ & Hb' & _) Hk t. apply Rnot_lt_le. intros C.
  set (eps := (Rabs (below L t - below L' t) - k) / 2).
  assert (Hp : 0 < eps) by (unfold eps; lra).
  destruct (Hb t eps Hp) as (u & Hu & H). destruct (Hb' t eps Hp) as (u' & Hu' & H').
  assert (M : Rmax u u' < t) by (unfold Rmax; destruct (Rle_dec u u'); lra).
  specialize (H (Rmax u u') (conj (Rmax_l u u') M)). specialize (H' (Rmax u u') (conj (Rmax_r u u') M)).
  specialize (Hk (Rmax u u')). unfold eps in *. clear - H H' Hk.
  unfold Rabs in *. repeat destruct (Rcase_abs _); lra.
Qed.

Lemma chance_close (L L' : law) (k : R) (h : halfline) : 0 <= k -> lawful L -> lawful L' -> close L L' k ->
  chance L h - chance L' h <= k.
Proof.
  intros K H H' C. pose proof (below_close L L' k H H' C) as B. unfold close in C.
  destruct h as [t|t|t|t| |]; simpl; try specialize (B t); try specialize (C t); try lra;
    unfold Rabs in *; repeat destruct (Rcase_abs _); lra.
Qed.

Section T7.
Context {Grp Lab : Type}.
Variables (gs : list Grp) (ls : list Lab).
Variables (P0 P1 : Grp -> Lab -> R).

(** Probability that the test "score in h_y" passes when (a, y) is drawn from [P] and the score from [Q a y]. *)
Definition passes (P : Grp -> Lab -> R) (Q : Grp -> Lab -> law) (h : Lab -> halfline) : R :=
  Sum gs (fun a => Sum ls (fun y => P a y * chance (Q a y) (h y))).

Definition laws (Q : Grp -> Lab -> law) : Prop := forall a y, In a gs -> In y ls -> lawful (Q a y).

Definition within_ks (k : Lab -> R) (Q : Grp -> Lab -> law) : Prop :=
  forall y, In y ls -> forall a a', In a gs -> In a' gs -> close (Q a y) (Q a' y) (k y).

Lemma passes_difference (Q : Grp -> Lab -> law) (h : Lab -> halfline) :
  passes P0 Q h - passes P1 Q h = Sum ls (fun y => Sum gs (fun a => d P0 P1 a y * chance (Q a y) (h y))).
Proof.
  unfold passes. rewrite <- Sum_minus, Sum_swap. apply Sum_ext. intros a _. rewrite <- Sum_minus. apply Sum_ext.
  intros y _. unfold d. ring.
Qed.

Hypothesis H0 : composition gs ls P0.
Hypothesis H1 : composition gs ls P1.

(** Rates of one event for each label, in [0, 1] and close to each other. *)
Lemma event_bound (r : Grp -> Lab -> R) (k : Lab -> R) :
  (forall a y, In a gs -> In y ls -> 0 <= r a y <= 1) ->
  (forall y, In y ls -> forall a a', In a gs -> In a' gs -> r a y - r a' y <= k y) ->
  Sum ls (fun y => Sum gs (fun a => d P0 P1 a y * r a y)) <= worst_case gs ls P0 P1 k.
Proof.
  intros Hr Hk. unfold worst_case, TV_Y.
  apply Rle_trans with (Sum ls (fun y => Sum gs (fun a => d P0 P1 a y * (r a y - 1/2)))).
  - right. pose proof (total_shift gs ls P0 P1 H0 H1) as S0.
    transitivity (Sum ls (fun y => Sum gs (fun a => d P0 P1 a y * (r a y - 1/2))) + Sum ls (s gs P0 P1) / 2); [|lra].
    rewrite <- Sum_div, <- Sum_plus. apply Sum_ext. intros y _. unfold s. rewrite <- Sum_div, <- Sum_plus.
    apply Sum_ext. intros a _. lra.
  - rewrite <- Sum_div, <- Sum_plus. apply Sum_le. intros y Hy. rewrite Rplus_comm.
    apply (label_bound gs P0 P1 y (fun a => r a y - 1/2)).
    + intros a Ha. specialize (Hr a y Ha Hy). lra.
    + intros a a' Ha Ha'. specialize (Hk y Hy a a' Ha Ha'). lra.
Qed.

(** No threshold test does better, for all thresholds at once. *)
Theorem T7_upper (Q : Grp -> Lab -> law) (k : Lab -> R) (h : Lab -> halfline) :
  (forall y, In y ls -> 0 <= k y) -> laws Q -> within_ks k Q ->
  Rabs (passes P0 Q h - passes P1 Q h) <= worst_case gs ls P0 P1 k.
Proof.
  intros K HQ HK. rewrite passes_difference. apply Rabs_le. split.
  - apply Ropp_le_cancel. rewrite Ropp_involutive.
    eapply Rle_trans; [|apply (event_bound (fun a y => 1 - chance (Q a y) (h y)) k)].
    + right. pose proof (total_shift gs ls P0 P1 H0 H1) as S0. rewrite <- (Rplus_0_l (- _)), <- S0.
      transitivity (Sum ls (s gs P0 P1) - Sum ls (fun y => Sum gs (fun a => d P0 P1 a y * chance (Q a y) (h y))));
        [ring|].
      rewrite <- Sum_minus. apply Sum_ext. intros y _. unfold s. rewrite <- Sum_minus. apply Sum_ext. intros a _. ring.
    + intros a y Ha Hy. pose proof (chance_range (Q a y) (h y) (HQ a y Ha Hy)). lra.
    + intros y Hy a a' Ha Ha'.
      pose proof (chance_close (Q a' y) (Q a y) (k y) (h y) (K y Hy) (HQ a' y Ha' Hy) (HQ a y Ha Hy)
        (HK y Hy a' a Ha' Ha)). lra.
  - apply (event_bound (fun a y => chance (Q a y) (h y)) k).
    + intros a y Ha Hy. now apply chance_range, HQ.
    + intros y Hy a a' Ha Ha'. apply chance_close; auto.
Qed.

(** ** The value is attained: scores 0 and 1, threshold 1 *)

Definition two_valued (r : R) : law :=
  {| cdf := fun t => if Rlt_dec t 0 then 0 else if Rlt_dec t 1 then 1 - r else 1;
     below := fun t => if Rle_dec t 0 then 0 else if Rle_dec t 1 then 1 - r else 1 |}.

Lemma two_valued_lawful (r : R) : 0 <= r <= 1 -> lawful (two_valued r).
Proof.
  intros Hr. unfold lawful. simpl. repeat split.
  - destruct (Rlt_dec t 0), (Rlt_dec t 1); lra.
  - destruct (Rlt_dec t 0), (Rlt_dec t 1); lra.
  - intros t u L. destruct (Rlt_dec t 0), (Rlt_dec t 1), (Rlt_dec u 0), (Rlt_dec u 1); lra.
  - intros t eps E. exists (if Rlt_dec t 0 then 0 else if Rlt_dec t 1 then 1 else t + 1).
    destruct (Rlt_dec t 0) as [A|A]; [|destruct (Rlt_dec t 1) as [B|B]]; split; try lra; intros v V;
      destruct (Rlt_dec v 0), (Rlt_dec v 1); try lra; rewrite Rminus_diag_eq, Rabs_R0 by reflexivity; exact E.
  - intros t eps E. exists (if Rle_dec t 0 then t - 1 else if Rle_dec t 1 then 0 else 1).
    destruct (Rle_dec t 0) as [A|A]; [|destruct (Rle_dec t 1) as [B|B]]; split; try lra; intros v V;
      destruct (Rlt_dec v 0), (Rlt_dec v 1); try lra; rewrite Rminus_diag_eq, Rabs_R0 by reflexivity; exact E.
  - intros eps E. exists (-1). destruct (Rlt_dec (-1) 0); lra.
  - intros eps E. exists 1. destruct (Rlt_dec 1 0), (Rlt_dec 1 1); lra.
Qed.

Lemma two_valued_close (r r' : R) : 0 <= Rabs (r - r') -> close (two_valued r) (two_valued r') (Rabs (r - r')).
Proof.
  intros N t. simpl. destruct (Rlt_dec t 0), (Rlt_dec t 1); rewrite ?Rminus_diag_eq, ?Rabs_R0 by reflexivity; try exact N;
    replace (1 - r - (1 - r')) with (- (r - r')) by ring; rewrite Rabs_Ropp; lra.
Qed.

Theorem T7_attained (k : Lab -> R) : (forall y, In y ls -> 0 <= k y <= 1) ->
  exists (Q : Grp -> Lab -> law) (h : Lab -> halfline),
    laws Q /\ within_ks k Q /\ passes P0 Q h - passes P1 Q h = worst_case gs ls P0 P1 k.
Proof.
  intros K. set (r := witness_rate gs P0 P1 k).
  exists (fun a y => two_valued (r a y)), (fun _ => AtLeast 1). split; [|split].
  - intros a y _ Hy. now apply two_valued_lawful, (witness_rate_range gs ls P0 P1 k K).
  - intros y Hy a a' _ _ t. eapply Rle_trans; [apply two_valued_close, Rabs_pos|].
    now apply (witness_rate_gap gs ls P0 P1 k K).
  - rewrite passes_difference. unfold worst_case, TV_Y.
    transitivity (Sum ls (fun y => Rabs (s gs P0 P1 y) / 2 + m gs P0 P1 y * k y) + Sum ls (s gs P0 P1) / 2).
    + rewrite <- Sum_div, <- Sum_plus. apply Sum_ext. intros y _.
      transitivity (Sum gs (fun a => d P0 P1 a y * r a y)).
      * apply Sum_ext. intros a _. simpl. destruct (Rle_dec 1 0); [lra|]. destruct (Rle_dec 1 1); lra.
      * unfold r. rewrite witness_label. lra.
    + rewrite (total_shift gs ls P0 P1 H0 H1), Sum_plus, Sum_div. lra.
Qed.

End T7.

(** * Two groups without label shift: the value belongs to the distributions themselves *)

Theorem T7_two_groups {Grp Lab : Type} (a0 a1 : Grp) (ls : list Lab) (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> law)
    (t : Lab -> R) :
  no_label_shift [a0; a1] ls P0 P1 ->
  exists h : Lab -> halfline, passes [a0; a1] ls P0 Q h - passes [a0; a1] ls P1 Q h
    = Sum ls (fun y => m [a0; a1] P0 P1 y * Rabs (cdf (Q a0 y) (t y) - cdf (Q a1 y) (t y))).
Proof.
  intros Hs. set (g := fun y => d P0 P1 a0 y * (cdf (Q a0 y) (t y) - cdf (Q a1 y) (t y))).
  exists (fun y => if Rle_dec 0 (g y) then AtMost (t y) else Above (t y)).
  rewrite passes_difference. apply Sum_ext. intros y Hy.
  rewrite (two_groups_m a0 a1 ls P0 P1 Hs y Hy), <- Rabs_mult. fold (g y).
  pose proof (two_groups_d a0 a1 ls P0 P1 Hs y Hy) as E. simpl. rewrite E.
  destruct (Rle_dec 0 (g y)) as [L|L]; simpl.
  - rewrite Rabs_right by lra. unfold g. ring.
  - rewrite Rabs_left by lra. unfold g. ring.
Qed.

(** * From bands around two empirical distribution functions to a distance *)

Theorem T7_bands (F F' E E' : law) (e e' k : R) :
  close E F e -> close E' F' e' -> close E E' k -> close F F' (k + e + e').
Proof.
  intros H H' K t. specialize (H t). specialize (H' t). specialize (K t).
  unfold Rabs in *. repeat destruct (Rcase_abs _); lra.
Qed.
