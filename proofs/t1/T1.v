(** T1, upper half: for every composition pair, every channel whose disparities are at most delta_y, and each of the
    labelled, correctness and unlabelled games,
      Adv <= TV_Y + sum_y m_y * delta_y.
    Any number of groups and labels, any finite output alphabet, label shift allowed.  That the value is attained,
    hence that it is the supremum, is T2.

    Source: docs/theory.md, T1; it sharpens Theorem 1 of arXiv:2606.01719 as its abstract states it.

    Proof.  The advantage is the expectation of a function t of (label, output) with values in [-1/2, 1/2].  Inside
    label y the numbers r_a = sum_z Q(z|a,y) t(y,z) lie in [-1/2, 1/2] and differ by at most delta_y.  Bounding
    every r_a between the smallest and the largest of them gives sum_a d(a,y) r_a <= m_y delta_y + |s_y| / 2. *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
Import ListNotations.
Open Scope R_scope.

(** ** The advantage as the expectation of one centred function of (label, output) *)

Lemma advantage_as_test {Grp Lab Out : Type} (gs : list Grp) (ls : list Lab) (os : list Out) (g : game Lab Out)
    (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) :
  NoDup (views g) ->
  exists t : Lab -> Out -> R, (forall y z, - (1/2) <= t y z <= 1/2) /\
    advantage gs ls os g P0 P1 Q =
    Sum ls (fun y => Sum gs (fun a => d P0 P1 a y * Sum os (fun z => Q a y z * t y z))).
Proof.
  intros N.
  set (D := fun v => view_of gs ls os g Q P0 v - view_of gs ls os g Q P1 v).
  set (sg := fun v => if Rle_dec 0 (D v) then 1/2 else - (1/2)).
  exists (fun y z => Sum (views g) (fun v => ind (view_dec g (sees g y z) v) * sg v)). split.
  - intros y z. destruct (in_dec (view_dec g) (sees g y z) (views g)) as [I|I].
    + rewrite (Sum_ind (view_dec g) (views g) sg) by assumption. unfold sg. destruct (Rle_dec 0 _); lra.
    + rewrite (Sum_ind_out (view_dec g) (views g) sg) by assumption. lra.
  - transitivity (Sum (views g) (fun v => D v * sg v)).
    { unfold advantage, TV. rewrite <- Sum_div. apply Sum_ext; intros v _. fold (D v). unfold sg.
      destruct (Rle_dec 0 (D v)); [rewrite Rabs_right | rewrite Rabs_left]; lra. }
    transitivity (Sum (views g) (fun v => Sum ls (fun y => Sum gs (fun a => Sum os (fun z =>
      d P0 P1 a y * Q a y z * (ind (view_dec g (sees g y z) v) * sg v)))))).
    { apply Sum_ext; intros v _. unfold D, view_of. rewrite <- Sum_minus, <- Sum_scal_r, Sum_swap.
      apply Sum_ext; intros a _. rewrite <- Sum_minus, <- Sum_scal_r. apply Sum_ext; intros y _.
      rewrite <- Sum_minus, <- Sum_scal_r. apply Sum_ext; intros z _. unfold d. ring. }
    rewrite Sum_swap. apply Sum_ext; intros y _. rewrite Sum_swap. apply Sum_ext; intros a _.
    rewrite Sum_swap, <- Sum_scal_l. apply Sum_ext; intros z _. rewrite Sum_scal_l. ring.
Qed.

(** Expectations of a centred function under a channel: in [-1/2, 1/2], and close where the rows are close. *)
Lemma rate_range {T : Type} (os : list T) (p t : T -> R) :
  pmf os p -> (forall z, - (1/2) <= t z <= 1/2) -> - (1/2) <= Sum os (fun z => p z * t z) <= 1/2.
Proof.
  intros [Hp E] Ht.
  assert (L : - (1/2) * Sum os p <= Sum os (fun z => p z * t z)).
  { rewrite <- Sum_scal_l. apply Sum_le. intros z Hz. specialize (Hp z Hz). specialize (Ht z).
    pose proof (Rmult_le_compat_l (p z) (- (1/2)) (t z) Hp ltac:(lra)). lra. }
  assert (U : Sum os (fun z => p z * t z) <= 1/2 * Sum os p).
  { rewrite <- Sum_scal_l. apply Sum_le. intros z Hz. specialize (Hp z Hz). specialize (Ht z).
    pose proof (Rmult_le_compat_l (p z) (t z) (1/2) Hp ltac:(lra)). lra. }
  rewrite E in L, U. lra.
Qed.

Lemma rate_gap {T : Type} (os : list T) (p q t : T -> R) :
  (forall z, - (1/2) <= t z <= 1/2) ->
  Sum os (fun z => p z * t z) - Sum os (fun z => q z * t z) <= TV os p q.
Proof.
  intros Ht. rewrite <- Sum_minus. eapply Rle_trans; [|apply (centred_le_TV os p q t); intros; apply Ht].
  right. apply Sum_ext. intros. ring.
Qed.

(** ** One label *)

Lemma label_bound {Grp Lab : Type} (gs : list Grp) (P0 P1 : Grp -> Lab -> R) (y : Lab) (r : Grp -> R) (dl : R) :
  (forall a, In a gs -> - (1/2) <= r a <= 1/2) ->
  (forall a a', In a gs -> In a' gs -> r a - r a' <= dl) ->
  Sum gs (fun a => d P0 P1 a y * r a) <= m gs P0 P1 y * dl + Rabs (s gs P0 P1 y) / 2.
Proof.
  intros Hr Hd. destruct gs as [|a0 l]; [|set (gs := a0 :: l) in *].
  { unfold m, Dp, Dm, s. simpl. rewrite Rmin_left, Rabs_R0; lra. }
  destruct (Max_attained gs r) as [a [Ha EM]]; [easy|].
  destruct (Min_attained gs r) as [b [Hb Em]]; [easy|].
  set (M := Max gs r) in *. set (mn := Min gs r) in *.
  assert (HM : M <= 1/2) by (rewrite EM; now apply Hr).
  assert (Hmn : - (1/2) <= mn) by (rewrite Em; now apply Hr).
  assert (Hgap : M - mn <= dl) by (rewrite EM, Em; now apply Hd).
  (* Groups with d > 0 at the largest rate, groups with d < 0 at the smallest. *)
  assert (B : Sum gs (fun a => d P0 P1 a y * r a) <= Dp gs P0 P1 y * M - Dm gs P0 P1 y * mn).
  { unfold Dp, Dm. rewrite <- !Sum_scal_r, <- Sum_minus. apply Sum_le. intros c Hc.
    pose proof (Max_ub gs r c Hc : r c <= M) as H1. pose proof (Min_lb gs r c Hc : mn <= r c) as H2.
    unfold Rmax. destruct (Rle_dec (d P0 P1 c y) 0), (Rle_dec (- d P0 P1 c y) 0); try lra.
    - assert (d P0 P1 c y = 0) as -> by lra. lra.
    - pose proof (Rmult_le_compat_l (- d P0 P1 c y) mn (r c) ltac:(lra) H2). lra.
    - pose proof (Rmult_le_compat_l (d P0 P1 c y) (r c) M ltac:(lra) H1). lra. }
  eapply Rle_trans; [exact B|]. clear B.
  rewrite s_Dp_Dm. unfold m, Rmin.
  pose proof (Dp_nonneg gs P0 P1 y). pose proof (Dm_nonneg gs P0 P1 y).
  destruct (Rle_dec (Dp gs P0 P1 y) (Dm gs P0 P1 y)) as [L|L].
  - (* s_y <= 0: Dp M - Dm mn = Dp (M - mn) + (Dm - Dp) (- mn) *)
    rewrite Rabs_left1 by lra.
    pose proof (Rmult_le_compat_l (Dp gs P0 P1 y) (M - mn) dl ltac:(lra) Hgap).
    pose proof (Rmult_le_compat_l (Dm gs P0 P1 y - Dp gs P0 P1 y) (- mn) (1/2) ltac:(lra) ltac:(lra)). lra.
  - (* s_y > 0: Dp M - Dm mn = Dm (M - mn) + (Dp - Dm) M *)
    rewrite Rabs_right by lra.
    pose proof (Rmult_le_compat_l (Dm gs P0 P1 y) (M - mn) dl ltac:(lra) Hgap).
    pose proof (Rmult_le_compat_l (Dp gs P0 P1 y - Dm gs P0 P1 y) M (1/2) ltac:(lra) HM). lra.
Qed.

(** ** The theorem, for whatever one draw shows *)

Theorem T1_upper {Grp Lab Out : Type} (gs : list Grp) (ls : list Lab) (os : list Out) (g : game Lab Out)
    (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) (dl : Lab -> R) :
  NoDup (views g) -> channel gs ls os Q -> within gs ls os dl Q ->
  advantage gs ls os g P0 P1 Q <= TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y).
Proof.
  intros N HQ Hd. destruct (advantage_as_test gs ls os g P0 P1 Q N) as [t [Ht ->]].
  unfold TV_Y. rewrite <- Sum_div, <- Sum_plus. apply Sum_le. intros y Hy.
  rewrite Rplus_comm. apply label_bound.
  - intros a Ha. apply rate_range; auto.
  - intros a a' Ha Ha'. eapply Rle_trans; [apply rate_gap; auto | now apply (Hd y)].
Qed.

(** The same, as a bound on every randomised test of what one draw shows. *)
Theorem T1_test {Grp Lab Out : Type} (gs : list Grp) (ls : list Lab) (os : list Out) (g : game Lab Out)
    (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) (dl : Lab -> R) (t : view g -> R) :
  proper ls os g -> composition gs ls P0 -> composition gs ls P1 -> channel gs ls os Q -> within gs ls os dl Q ->
  test t ->
  Rabs (accepts gs ls os g Q P0 t - accepts gs ls os g Q P1 t)
  <= TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y).
Proof.
  intros Hg H0 H1 HQ HD Ht. eapply Rle_trans; [now apply test_le_advantage|].
  apply T1_upper; [apply Hg | exact HQ | exact HD].
Qed.

(** ** The three games; delta_y is the channel's own disparity *)

Section Games.
Context {Grp Lab Out : Type}.
Variable Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}.
Variable Out_dec : forall z z' : Out, {z = z'} + {z <> z'}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).

Theorem T1_labelled (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) :
  NoDup ls -> NoDup os -> channel gs ls os Q ->
  advantage gs ls os (labelled Lab_dec Out_dec ls os) P0 P1 Q
  <= TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * delta gs os Q y).
Proof. intros Hl Ho HQ. apply T1_upper; [now apply labelled_proper | exact HQ | apply within_delta]. Qed.

Theorem T1_unlabelled (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) :
  NoDup os -> channel gs ls os Q ->
  advantage gs ls os (unlabelled Out_dec os) P0 P1 Q
  <= TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * delta gs os Q y).
Proof. intros Ho HQ. apply T1_upper; [exact Ho | exact HQ | apply within_delta]. Qed.

Theorem T1_correctness_of (correct : Lab -> Out -> bool) (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) :
  channel gs ls os Q ->
  advantage gs ls os (correctness_of correct) P0 P1 Q
  <= TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * delta gs os Q y).
Proof.
  intros HQ. apply T1_upper; [|exact HQ | apply within_delta].
  exact (proj1 (correctness_of_proper ls os correct)).
Qed.

(** A classifier: the outputs are labels. *)
Theorem T1_correctness (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Lab -> R) :
  channel gs ls ls Q ->
  advantage gs ls ls (correctness Lab_dec) P0 P1 Q
  <= TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * delta gs ls Q y).
Proof.
  intros HQ. apply T1_upper; [|exact HQ | apply within_delta].
  exact (proj1 (correctness_of_proper ls ls _)).
Qed.

(** Hard binary predictions with rates r(a,y): the disparity is the largest difference of two rates. *)
Theorem T1_binary (g : game Lab bool) (P0 P1 : Grp -> Lab -> R) (r : Grp -> Lab -> R) (dl : Lab -> R) :
  NoDup (views g) ->
  (forall a y, In a gs -> In y ls -> 0 <= r a y <= 1) ->
  (forall a a' y, In a gs -> In a' gs -> In y ls -> Rabs (r a y - r a' y) <= dl y) ->
  advantage gs ls bits g P0 P1 (binary r) <= TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y).
Proof.
  intros N Hr Hd. apply T1_upper; [exact N | now apply binary_channel|].
  intros y Hy a a' Ha Ha'. rewrite binary_distance. now apply Hd.
Qed.

End Games.
