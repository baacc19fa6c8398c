(** C8: with one model per world, equalized odds alone bounds nothing.  Two perfectly fair classifiers (every disparity
    is 0) with different thresholds, so with firing rates c0 and c1 for everybody, are told apart by one query with
    known (a,y) with advantage |c0 - c1|, which is 1 for c0 = 1, c1 = 0; the worlds' compositions play no part.  So are
    they by one draw of the labelled or the unlabelled game, with the same composition in both worlds ([C8_games]).

    Source: docs/theory.md, C8. *)

From Coq Require Import Reals List Lra QArith.
From Fairbound.kernel Require Import Game.
From Fairbound.kernel Require GameQ.
From Fairbound.t8 Require Import T8.
Import ListNotations.

(** ** For all thresholds, over the reals: T8's bound is attained with disparities 0 *)

Open Scope R_scope.

(** Everybody is accepted at rate [c]. *)
Definition blind {Grp Lab : Type} (c : R) (a : Grp) (y : Lab) : R := c.

Theorem C8 {Grp Lab : Type} (gs : list Grp) (ls : list Lab) (c0 c1 : R) :
  0 <= c0 <= 1 -> 0 <= c1 <= 1 ->
  channel gs ls bits (binary (blind c0)) /\ channel gs ls bits (binary (blind c1)) /\
  Delta_EO gs ls bits (binary (blind c0)) = 0 /\ Delta_EO gs ls bits (binary (blind c1)) = 0 /\
  (forall (a : Grp) (y : Lab), TV bits (binary (blind c0) a y) (binary (blind c1) a y) = Rabs (c0 - c1)) /\
  (forall w, composition gs ls w -> two_model_advantage gs ls (blind c0) (blind c1) w = Rabs (c0 - c1)).
Proof.
  intros H0 H1.
  assert (Z : forall c, Delta_EO gs ls bits (binary (blind c)) = 0).
  { intros c. apply Rle_antisym; [|apply Delta_EO_nonneg]. apply Max_le; [lra|]. intros y _.
    apply Max_le; [lra|]. intros aa _. right. apply (TV_refl bits (fun z : bool => if z then c else 1 - c)). }
  assert (A : forall x y : R, Rabs (1 - x - (1 - y)) = Rabs (x - y)).
  { intros x y. rewrite <- Rabs_Ropp. f_equal. ring. }
  split; [now apply binary_channel|]. split; [now apply binary_channel|].
  split; [apply Z|]. split; [apply Z|]. split.
  - intros a y. unfold TV, binary, blind. simpl. rewrite A. lra.
  - intros w [Hw E]. unfold two_model_advantage, TV. rewrite Sum_list_prod, <- Sum_div.
    transitivity (Sum (list_prod gs ls) (fun ay => w (fst ay) (snd ay) * Rabs (c0 - c1))).
    + apply Sum_ext. intros [a y] H. apply in_prod_iff in H. destruct H as [Ha Hy].
      unfold answered, binary, blind. simpl.
      rewrite <- !Rmult_minus_distr_l, !Rabs_mult, (Rabs_right (w a y)), A by (apply Rle_ge; auto). lra.
    + rewrite Sum_scal_r, (Sum_list_prod gs ls (fun ay => w (fst ay) (snd ay))). simpl.
      transitivity (1 * Rabs (c0 - c1)); [now f_equal | ring].
Qed.

(** One draw of a game, from the same composition, answered by the one model or by the other. *)
Definition told_apart {Grp Lab : Type} (gs : list Grp) (ls : list Lab) (g : game Lab bool) (P : Grp -> Lab -> R)
    (r0 r1 : Grp -> Lab -> R) : R :=
  TV (views g) (view_of gs ls bits g (binary r0) P) (view_of gs ls bits g (binary r1) P).

Theorem C8_games {Grp Lab : Type} (Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}) (gs : list Grp) (ls : list Lab)
    (P : Grp -> Lab -> R) (c0 c1 : R) :
  NoDup ls -> composition gs ls P ->
  told_apart gs ls (labelled Lab_dec Bool.bool_dec ls bits) P (blind c0) (blind c1) = Rabs (c0 - c1) /\
  told_apart gs ls (unlabelled Bool.bool_dec bits) P (blind c0) (blind c1) = Rabs (c0 - c1).
Proof.
  intros Hl [HP E]. set (shown := fun (c : R) (z : bool) => if z then c else 1 - c).
  assert (No : NoDup bits) by (repeat constructor; simpl; intuition discriminate).
  assert (A : Rabs (1 - c0 - (1 - c1)) = Rabs (c0 - c1)) by (rewrite <- Rabs_Ropp; f_equal; ring).
  assert (T : TV bits (shown c0) (shown c1) = Rabs (c0 - c1)) by (unfold TV, shown; simpl; rewrite A; lra).
  split; unfold told_apart; rewrite <- T.
  - set (pi := fun y => Sum gs (fun a => P a y)).
    rewrite (TV_ext _ _ (fun v => pi (fst v) * shown c0 (snd v)) _ (fun v => pi (fst v) * shown c1 (snd v))).
    2, 3: intros [y z] H; apply in_prod_iff in H; destruct H as [Hy Hz]; rewrite labelled_view by assumption;
      exact (Sum_scal_r gs (shown _ z) (fun a => P a y)).
    unfold TV at 1. cbn [labelled views]. rewrite Sum_list_prod, <- Sum_div.
    transitivity (Sum ls (fun y => pi y * TV bits (shown c0) (shown c1))).
    + apply Sum_ext. intros y Hy. unfold TV, Rdiv. rewrite <- Rmult_assoc. f_equal. rewrite <- Sum_scal_l.
      apply Sum_ext. intros z _. cbn [fst snd]. rewrite <- Rmult_minus_distr_l, Rabs_mult. f_equal.
      apply Rabs_right, Rle_ge, Sum_nonneg. auto.
    + rewrite Sum_scal_r. unfold pi. rewrite Sum_swap. rewrite E. apply Rmult_1_l.
  - assert (U : forall c z, In z bits ->
      view_of gs ls bits (unlabelled Bool.bool_dec bits) (binary (blind c)) P z = shown c z).
    { intros c z Hz. rewrite unlabelled_view by assumption.
      transitivity (Sum gs (fun a => Sum ls (fun y => P a y)) * shown c z); [|rewrite E; apply Rmult_1_l].
      rewrite <- Sum_scal_r. apply Sum_ext; intros a _. exact (Sum_scal_r ls (shown c z) (P a)). }
    apply TV_ext; apply U.
Qed.

(** ** The extreme case, computed: disparities 0, advantage 1 *)

Open Scope Q_scope.

Definition accepts_all (a y : bool) : Q := 1.
Definition accepts_none (a y : bool) : Q := 0.

Theorem C8_computed :
  GameQ.channel bits bits bits (GameQ.binary accepts_all) /\
  GameQ.channel bits bits bits (GameQ.binary accepts_none) /\
  GameQ.Delta_EO bits bits bits (GameQ.binary accepts_all) == 0 /\
  GameQ.Delta_EO bits bits bits (GameQ.binary accepts_none) == 0 /\
  forall a y, GameQ.TV bits (GameQ.binary accepts_all a y) (GameQ.binary accepts_none a y) == 1.
Proof. GameQ.compute_facts. Qed.
