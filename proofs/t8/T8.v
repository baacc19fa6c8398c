(** T8 (two models): the worlds have two channels Q_0, Q_1 with hard binary predictions at rates r0(a,y), r1(a,y).
    For a query with known (a,y),
      |r0(a,y) - r1(a,y)| <= |c0_y - c1_y| + (delta0_y + delta1_y) / 2,
    where c_y is the operating point, the midpoint of the range of the rates inside label y.  Hence an adversary who
    draws queries from any distribution w(a,y), the same in both worlds, and sees (a, y, z), has advantage
      Adv <= max_(a,y) |r0 - r1| <= max_y ( |c0_y - c1_y| + (delta0_y + delta1_y) / 2 ).
    Any number of groups and labels.  Disparities alone bound nothing here: C8.

    Source: docs/theory.md, T8. *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
Import ListNotations.
Open Scope R_scope.

Section T8.
Context {Grp Lab : Type}.
Variables (gs : list Grp) (ls : list Lab).

(** The operating point of label [y]. *)
Definition midpoint (r : Grp -> Lab -> R) (y : Lab) : R :=
  (Max gs (fun a => r a y) + Min gs (fun a => r a y)) / 2.

(** Every rate is within half the disparity of the operating point. *)
Lemma midpoint_near (r : Grp -> Lab -> R) (a : Grp) (y : Lab) :
  In a gs -> Rabs (r a y - midpoint r y) <= delta gs bits (binary r) y / 2.
Proof.
  intros Ha. assert (N : gs <> []) by (intros E; rewrite E in Ha; destruct Ha).
  destruct (Max_attained gs (fun a => r a y) N) as [b [Hb EM]].
  destruct (Min_attained gs (fun a => r a y) N) as [c [Hc Em]].
  pose proof (Max_ub gs (fun a => r a y) a Ha) as U. pose proof (Min_lb gs (fun a => r a y) a Ha) as L.
  pose proof (distance_le_delta gs bits (binary r) y b c Hb Hc) as D. rewrite binary_distance in D.
  pose proof (Rle_abs (r b y - r c y)). unfold midpoint. simpl in *. apply Rabs_le. lra.
Qed.

Variables r0 r1 : Grp -> Lab -> R.

Definition two_model_bound (y : Lab) : R :=
  Rabs (midpoint r0 y - midpoint r1 y) + (delta gs bits (binary r0) y + delta gs bits (binary r1) y) / 2.

(** What one answer to a query with known (a, y) tells. *)
Theorem T8_query (a : Grp) (y : Lab) :
  In a gs -> TV bits (binary r0 a y) (binary r1 a y) = Rabs (r0 a y - r1 a y) /\
             Rabs (r0 a y - r1 a y) <= two_model_bound y.
Proof.
  intros Ha. split.
  - unfold TV, binary. simpl. replace (1 - r0 a y - (1 - r1 a y)) with (- (r0 a y - r1 a y)) by ring.
    rewrite Rabs_Ropp. lra.
  - pose proof (midpoint_near r0 a y Ha) as N0. pose proof (midpoint_near r1 a y Ha) as N1.
    unfold two_model_bound.
    replace (r0 a y - r1 a y) with
      ((midpoint r0 y - midpoint r1 y) + ((r0 a y - midpoint r0 y) + - (r1 a y - midpoint r1 y))) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. apply Rplus_le_compat_l.
    eapply Rle_trans; [apply Rabs_triang|]. rewrite Rabs_Ropp. lra.
Qed.

(** The view (a, y, z) of a query drawn from [w] and answered by the model with rates [r]. *)
Definition answered (w : Grp -> Lab -> R) (r : Grp -> Lab -> R) (v : (Grp * Lab) * bool) : R :=
  w (fst (fst v)) (snd (fst v)) * binary r (fst (fst v)) (snd (fst v)) (snd v).

Definition two_model_advantage (w : Grp -> Lab -> R) : R :=
  TV (list_prod (list_prod gs ls) bits) (answered w r0) (answered w r1).

Theorem T8_advantage (w : Grp -> Lab -> R) : composition gs ls w ->
  two_model_advantage w <= Max (list_prod gs ls) (fun ay => Rabs (r0 (fst ay) (snd ay) - r1 (fst ay) (snd ay))) /\
  Max (list_prod gs ls) (fun ay => Rabs (r0 (fst ay) (snd ay) - r1 (fst ay) (snd ay))) <= Max ls two_model_bound.
Proof.
  intros [Hw E]. set (gap := fun ay : Grp * Lab => Rabs (r0 (fst ay) (snd ay) - r1 (fst ay) (snd ay))). split.
  - assert (A : two_model_advantage w = Sum (list_prod gs ls) (fun ay => w (fst ay) (snd ay) * gap ay)).
    { unfold two_model_advantage, TV. rewrite Sum_list_prod, <- Sum_div. apply Sum_ext. intros [a y] H.
      apply in_prod_iff in H. destruct H as [Ha Hy]. unfold answered, gap. simpl.
      rewrite <- !Rmult_minus_distr_l, !Rabs_mult, (Rabs_right (w a y)) by (apply Rle_ge; auto).
      replace (1 - r0 a y - (1 - r1 a y)) with (- (r0 a y - r1 a y)) by ring. rewrite Rabs_Ropp. lra. }
    rewrite A. apply Rle_trans with (Sum (list_prod gs ls) (fun ay => w (fst ay) (snd ay) * Max (list_prod gs ls) gap)).
    + apply Sum_le. intros [a y] H. pose proof (Max_ub (list_prod gs ls) gap (a, y) H).
      apply in_prod_iff in H. apply Rmult_le_compat_l; [simpl; now apply Hw | assumption].
    + rewrite Sum_scal_r, (Sum_list_prod gs ls (fun ay => w (fst ay) (snd ay))). simpl.
      right. transitivity (1 * Max (list_prod gs ls) gap); [now f_equal | ring].
  - assert (N : forall y, 0 <= two_model_bound y).
    { intros y. unfold two_model_bound. pose proof (Rabs_pos (midpoint r0 y - midpoint r1 y)).
      pose proof (delta_nonneg gs bits (binary r0) y). pose proof (delta_nonneg gs bits (binary r1) y). lra. }
    apply Max_le; [apply Max_nonneg; auto|]. intros [a y] H. apply in_prod_iff in H. destruct H as [Ha Hy].
    eapply Rle_trans; [exact (proj2 (T8_query a y Ha)) | now apply Max_ub].
Qed.

End T8.
