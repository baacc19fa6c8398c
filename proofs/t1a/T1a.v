(** T1a (the published form): if the label marginals of the two compositions agree, then
      Adv <= sum_y m_y * delta_y <= Delta_EO * W,   W = sum_y m_y = TV(pi_0, pi_1),
    in every game.  The last step is an equality iff every label with m_y > 0 has delta_y = Delta_EO.  W = 1 for pure
    groups; W = 1 in general iff no (group, label) cell has mass in both worlds.

    Source: docs/theory.md, T1a; Theorem 1 of arXiv:2606.01719 as its abstract states it, here with the hypothesis
    (equal label marginals) that it needs: see C1. *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
From Fairbound.t1 Require Import T1.
Import ListNotations.
Open Scope R_scope.

Section T1a.
Context {Grp Lab Out : Type}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).
Variables P0 P1 : Grp -> Lab -> R.

Theorem T1a_W_sum : no_label_shift gs ls P0 P1 -> W gs ls P0 P1 = Sum ls (m gs P0 P1).
Proof. intros H. rewrite W_identity, (no_label_shift_TV_Y gs ls P0 P1 H). ring. Qed.

(** Without label shift T1 reads sum_y m_y delta_y, ... *)
Theorem T1a_advantage (g : game Lab Out) (Q : Grp -> Lab -> Out -> R) (dl : Lab -> R) :
  NoDup (views g) -> no_label_shift gs ls P0 P1 -> channel gs ls os Q -> within gs ls os dl Q ->
  advantage gs ls os g P0 P1 Q <= Sum ls (fun y => m gs P0 P1 y * dl y).
Proof.
  intros N H HQ HD. pose proof (T1_upper gs ls os g P0 P1 Q dl N HQ HD) as B.
  rewrite (no_label_shift_TV_Y gs ls P0 P1 H) in B. lra.
Qed.

(** ... and that is at most Delta_EO W. *)
Theorem T1a_sum_le (Q : Grp -> Lab -> Out -> R) :
  no_label_shift gs ls P0 P1 ->
  Sum ls (fun y => m gs P0 P1 y * delta gs os Q y) <= Delta_EO gs ls os Q * W gs ls P0 P1.
Proof.
  intros H. rewrite (T1a_W_sum H), <- Sum_scal_l. apply Sum_le. intros y Hy.
  pose proof (Rmult_le_compat_l _ _ _ (m_nonneg gs P0 P1 y) (delta_le_Delta_EO gs ls os Q y Hy)). lra.
Qed.

Theorem T1a (g : game Lab Out) (Q : Grp -> Lab -> Out -> R) :
  NoDup (views g) -> no_label_shift gs ls P0 P1 -> channel gs ls os Q ->
  advantage gs ls os g P0 P1 Q <= Delta_EO gs ls os Q * W gs ls P0 P1.
Proof.
  intros N H HQ. eapply Rle_trans; [|exact (T1a_sum_le Q H)].
  apply T1a_advantage; auto. apply within_delta.
Qed.

(** When the last step loses nothing. *)
Theorem T1a_equality (Q : Grp -> Lab -> Out -> R) :
  no_label_shift gs ls P0 P1 ->
  Sum ls (fun y => m gs P0 P1 y * delta gs os Q y) = Delta_EO gs ls os Q * W gs ls P0 P1 <->
  forall y, In y ls -> 0 < m gs P0 P1 y -> delta gs os Q y = Delta_EO gs ls os Q.
Proof.
  intros H. rewrite (T1a_W_sum H), <- Sum_scal_l.
  set (loss := fun y => m gs P0 P1 y * (Delta_EO gs ls os Q - delta gs os Q y)).
  assert (L : Sum ls loss = Sum ls (fun y => Delta_EO gs ls os Q * m gs P0 P1 y)
                            - Sum ls (fun y => m gs P0 P1 y * delta gs os Q y)).
  { rewrite <- Sum_minus. apply Sum_ext. intros. unfold loss. ring. }
  split.
  - intros E y Hy Hm.
    assert (Z : loss y = 0).
    { apply (Sum_nonneg_zero ls); [|lra | exact Hy]. intros x Hx. apply Rmult_le_pos; [apply m_nonneg|].
      pose proof (delta_le_Delta_EO gs ls os Q x Hx). lra. }
    unfold loss in Z. apply Rmult_integral in Z. lra.
  - intros E. assert (Sum ls loss = 0); [|lra]. rewrite <- (Sum_zero ls). apply Sum_ext. intros y Hy. unfold loss.
    destruct (Rle_lt_or_eq_dec 0 _ (m_nonneg gs P0 P1 y)) as [P|Z]; [rewrite (E y Hy P) | rewrite <- Z]; ring.
Qed.

(** W = 1 iff no cell has mass in both worlds. *)
Theorem T1a_W_one : composition gs ls P0 -> composition gs ls P1 ->
  W gs ls P0 P1 = 1 <-> forall a y, In a gs -> In y ls -> P0 a y = 0 \/ P1 a y = 0.
Proof.
  intros [N0 E0] [N1 E1]. set (common := fun ay : Grp * Lab => Rmin (P0 (fst ay) (snd ay)) (P1 (fst ay) (snd ay))).
  assert (I : W gs ls P0 P1 = 1 - Sum (list_prod gs ls) common).
  { apply TV_overlap; rewrite Sum_list_prod; simpl; assumption. }
  assert (N : forall ay, In ay (list_prod gs ls) -> 0 <= common ay).
  { intros [a y] H. apply in_prod_iff in H. destruct H. unfold common. apply Rmin_glb; simpl; auto. }
  rewrite I. split.
  - intros E a y Ha Hy.
    assert (Z : common (a, y) = 0) by (apply (Sum_nonneg_zero (list_prod gs ls)); [exact N | lra | now apply in_prod]).
    revert Z. unfold common, Rmin. simpl. destruct (Rle_dec _ _); auto.
  - intros E. assert (Sum (list_prod gs ls) common = 0); [|lra]. rewrite <- (Sum_zero (list_prod gs ls)).
    apply Sum_ext. intros [a y] H. apply in_prod_iff in H. destruct H as [Ha Hy].
    specialize (E a y Ha Hy). specialize (N0 a y Ha Hy). specialize (N1 a y Ha Hy). unfold common, Rmin. simpl.
    destruct (Rle_dec _ _), E; lra.
Qed.

(** All mass of a composition lies in one group. *)
Definition pure (P : Grp -> Lab -> R) (a : Grp) : Prop :=
  forall b y, In b gs -> In y ls -> b <> a -> P b y = 0.

Theorem T1a_pure (Grp_dec : forall a b : Grp, {a = b} + {a <> b}) (a0 a1 : Grp) :
  composition gs ls P0 -> composition gs ls P1 -> a0 <> a1 -> pure P0 a0 -> pure P1 a1 -> W gs ls P0 P1 = 1.
Proof.
  intros H0 H1 N p0 p1. apply T1a_W_one; auto. intros a y Ha Hy.
  destruct (Grp_dec a a0) as [->|E]; [right; now apply p1 | left; now apply p0].
Qed.

End T1a.
