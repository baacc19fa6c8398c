(** T3 (two groups, equal label marginals, labelled game): the advantage is
      Adv(M) = sum_y m_y * delta_y(M).
    Hence the necessary condition (Adv(M') < Adv(M) implies delta_y(M') < delta_y(M) for some y with m_y > 0), the
    sufficient condition (Delta_EO(M') * W < Adv(M) implies Adv(M') < Adv(M)), and the fairness budget
    (Delta_EO(M) <= tau / W implies Adv(M) <= tau).  Any number of labels, any finite output alphabet.

    Source: docs/theory.md, T3; Theorem 2 of arXiv:2606.01719 claims the necessary condition.  It fails in the correctness
    game (C3a) and for three groups (C3b). *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
From Fairbound.t1a Require Import T1a.
Import ListNotations.
Open Scope R_scope.

Section T3.
Context {Grp Lab Out : Type}.
Variable Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}.
Variable Out_dec : forall z z' : Out, {z = z'} + {z <> z'}.
Variables (a0 a1 : Grp) (ls : list Lab) (os : list Out).
Variables P0 P1 : Grp -> Lab -> R.
Hypothesis Hl : NoDup ls.
Hypothesis Ho : NoDup os.
Hypothesis Hs : no_label_shift [a0; a1] ls P0 P1.

Let gs := [a0; a1].
Let Adv (Q : Grp -> Lab -> Out -> R) : R := advantage gs ls os (labelled Lab_dec Out_dec ls os) P0 P1 Q.

Lemma two_groups_d y : In y ls -> d P0 P1 a1 y = - d P0 P1 a0 y.
Proof. intros Hy. pose proof (no_label_shift_s [a0; a1] ls P0 P1 y Hs Hy) as E. unfold s in E. simpl in E. lra. Qed.

Lemma two_groups_m y : In y ls -> m gs P0 P1 y = Rabs (d P0 P1 a0 y).
Proof.
  intros Hy. unfold m, Dp, Dm, gs. simpl. rewrite (two_groups_d y Hy).
  unfold Rmin, Rmax, Rabs. repeat destruct (Rle_dec _ _); destruct (Rcase_abs _); lra.
Qed.

Lemma two_groups_delta (Q : Grp -> Lab -> Out -> R) (y : Lab) : delta gs os Q y = TV os (Q a0 y) (Q a1 y).
Proof.
  apply Rle_antisym.
  - apply Max_le; [apply TV_nonneg|]. intros [a b] H. apply in_prod_iff in H. unfold distance. simpl.
    pose proof (TV_nonneg os (Q a0 y) (Q a1 y)).
    destruct H as [[<-|[<-|[]]] [<-|[<-|[]]]]; rewrite ?TV_refl; try lra. rewrite TV_sym. lra.
  - apply (distance_le_delta gs os Q y a0 a1); simpl; auto.
Qed.

Theorem T3_value (Q : Grp -> Lab -> Out -> R) :
  Adv Q = Sum ls (fun y => m gs P0 P1 y * delta gs os Q y).
Proof.
  unfold Adv, advantage, TV. simpl. rewrite Sum_list_prod, <- Sum_div. apply Sum_ext; intros y Hy.
  rewrite two_groups_m, two_groups_delta by exact Hy. unfold TV.
  transitivity (Sum os (fun z => Rabs (d P0 P1 a0 y) * Rabs (Q a0 y z - Q a1 y z)) / 2).
  - f_equal. apply Sum_ext; intros z Hz. rewrite !labelled_view by assumption. rewrite <- Rabs_mult. f_equal.
    pose proof (two_groups_d y Hy) as E. unfold gs. simpl. unfold d in *.
    replace (P1 a1 y) with (P0 a1 y + (P0 a0 y - P1 a0 y)) by lra. ring.
  - rewrite Sum_scal_l. lra.
Qed.

(** Necessary: no advantage falls without some disparity that matters falling. *)
Theorem T3_necessary (Q Q' : Grp -> Lab -> Out -> R) :
  Adv Q' < Adv Q -> exists y, In y ls /\ 0 < m gs P0 P1 y /\ delta gs os Q' y < delta gs os Q y.
Proof.
  rewrite !T3_value. intros H. apply Sum_lt_exists in H. destruct H as [y [Hy H]]. exists y.
  pose proof (m_nonneg gs P0 P1 y) as M. destruct M as [M|M].
  - split; [exact Hy|]. split; [exact M|]. now apply Rmult_lt_reg_l with (m gs P0 P1 y).
  - rewrite <- M in H. lra.
Qed.

Theorem T3_upper (Q : Grp -> Lab -> Out -> R) : Adv Q <= Delta_EO gs ls os Q * W gs ls P0 P1.
Proof. rewrite T3_value. now apply T1a_sum_le. Qed.

Theorem T3_sufficient (Q Q' : Grp -> Lab -> Out -> R) :
  Delta_EO gs ls os Q' * W gs ls P0 P1 < Adv Q -> Adv Q' < Adv Q.
Proof. intros H. eapply Rle_lt_trans; [apply T3_upper | exact H]. Qed.

Theorem T3_budget (Q : Grp -> Lab -> Out -> R) (tau : R) :
  0 < W gs ls P0 P1 -> Delta_EO gs ls os Q <= tau / W gs ls P0 P1 -> Adv Q <= tau.
Proof.
  intros HW H. eapply Rle_trans; [apply T3_upper|].
  apply Rmult_le_compat_r with (r := W gs ls P0 P1) in H; [|lra].
  replace (tau / W gs ls P0 P1 * W gs ls P0 P1) with tau in H by (field; lra). exact H.
Qed.

End T3.
