(** T6 (post-processing, data processing): any further processing of the view by a stochastic kernel K does not raise
    the total variation.  In particular further processing of the output z raises neither a disparity nor the
    advantage in the labelled game (where the processing may depend on the label) and in the unlabelled game, whatever
    the two compositions.  The views of the correctness and the unlabelled game are computed from the labelled game's.

    Source: docs/theory.md, T6. *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
Import ListNotations.
Open Scope R_scope.

(** Each [K v] is a pmf over [ws]. *)
Definition stochastic {V U : Type} (vs : list V) (us : list U) (K : V -> U -> R) : Prop :=
  forall v, In v vs -> pmf us (K v).

(** The distribution of the processed view. *)
Definition push {V U : Type} (vs : list V) (K : V -> U -> R) (p : V -> R) (u : U) : R := Sum vs (fun v => p v * K v u).

Theorem T6 {V U : Type} (vs : list V) (us : list U) (K : V -> U -> R) (p q : V -> R) :
  stochastic vs us K -> TV us (push vs K p) (push vs K q) <= TV vs p q.
Proof.
  intros HK. unfold TV, push. apply Rmult_le_compat_r; [lra|].
  (* |sum_v (p - q) K| <= sum_v |p - q| K, then sum over u first. *)
  apply Rle_trans with (Sum us (fun u => Sum vs (fun v => Rabs (p v - q v) * K v u))).
  - apply Sum_le; intros u Hu. rewrite <- Sum_minus. eapply Rle_trans; [apply Sum_abs|].
    apply Sum_le; intros v Hv. right. rewrite <- (Rabs_right (K v u)) at 3.
    + rewrite <- Rabs_mult. f_equal. ring.
    + apply Rle_ge. now apply (proj1 (HK v Hv)).
  - rewrite Sum_swap. apply Sum_le; intros v Hv. rewrite Sum_scal_l, (proj2 (HK v Hv)). lra.
Qed.

(** The adversary processes the view of any game. *)
Theorem T6_view {Grp Lab Out U : Type} (gs : list Grp) (ls : list Lab) (os : list Out) (g : game Lab Out)
    (us : list U) (K : view g -> U -> R) (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) :
  stochastic (views g) us K ->
  TV us (push (views g) K (view_of gs ls os g Q P0)) (push (views g) K (view_of gs ls os g Q P1))
  <= advantage gs ls os g P0 P1 Q.
Proof. apply T6. Qed.

(** Every game shows a function of (y, z), so none is better than the labelled game. *)
Section Coarser.
Context {Grp Lab Out : Type}.
Variable Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}.
Variable Out_dec : forall z z' : Out, {z = z'} + {z <> z'}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).
Variables (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R).
Hypothesis Hl : NoDup ls.
Hypothesis Ho : NoDup os.

Theorem T6_le_labelled (g : game Lab Out) : proper ls os g ->
  advantage gs ls os g P0 P1 Q <= advantage gs ls os (labelled Lab_dec Out_dec ls os) P0 P1 Q.
Proof.
  intros [N C]. set (K := fun (v : Lab * Out) (w : view g) => ind (view_dec g (sees g (fst v) (snd v)) w)).
  assert (E : forall P w, view_of gs ls os g Q P w
              = push (list_prod ls os) K (view_of gs ls os (labelled Lab_dec Out_dec ls os) Q P) w).
  { intros P w. unfold push. rewrite Sum_list_prod. unfold view_of at 1. rewrite Sum_swap.
    apply Sum_ext; intros y Hy. rewrite Sum_swap. apply Sum_ext; intros z Hz.
    rewrite labelled_view by assumption. now rewrite <- Sum_scal_r. }
  unfold advantage. rewrite (TV_ext (views g) _ _ _ _ (fun w _ => E P0 w) (fun w _ => E P1 w)).
  apply (T6 (list_prod ls os)). intros [y z] H. apply in_prod_iff in H. destruct H as [Hy Hz]. split.
  - intros w _. unfold K, ind. destruct (view_dec g _ w); lra.
  - transitivity (Sum (views g) (fun w => ind (view_dec g (sees g y z) w) * 1)).
    + apply Sum_ext; intros w _. unfold K. simpl. ring.
    + apply (Sum_ind (view_dec g) (views g) (fun _ => 1)); auto.
Qed.

Theorem T6_correctness_le_labelled (correct : Lab -> Out -> bool) :
  advantage gs ls os (correctness_of correct) P0 P1 Q
  <= advantage gs ls os (labelled Lab_dec Out_dec ls os) P0 P1 Q.
Proof. apply T6_le_labelled, correctness_of_proper. Qed.

Theorem T6_unlabelled_le_labelled :
  advantage gs ls os (unlabelled Out_dec os) P0 P1 Q <= advantage gs ls os (labelled Lab_dec Out_dec ls os) P0 P1 Q.
Proof. now apply T6_le_labelled, unlabelled_proper. Qed.

End Coarser.

(** The output is processed before it is shown; in the labelled game the kernel may use the label. *)
Theorem T6_labelled_kernel {Grp Lab Out Out' : Type} (Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'})
    (Out_dec : forall z z' : Out, {z = z'} + {z <> z'}) (Out'_dec : forall z z' : Out', {z = z'} + {z <> z'})
    (gs : list Grp) (ls : list Lab) (os : list Out) (os' : list Out') (P0 P1 : Grp -> Lab -> R)
    (Q : Grp -> Lab -> Out -> R) (K : Lab -> Out -> Out' -> R) :
  (forall y, In y ls -> stochastic os os' (K y)) -> NoDup ls -> NoDup os -> NoDup os' ->
  advantage gs ls os' (labelled Lab_dec Out'_dec ls os') P0 P1 (fun a y => push os (K y) (Q a y))
  <= advantage gs ls os (labelled Lab_dec Out_dec ls os) P0 P1 Q.
Proof.
  intros HK Hl Ho Ho'. unfold advantage, TV. cbn [labelled view views]. rewrite !Sum_list_prod, <- !Sum_div.
  apply Sum_le; intros y Hy.
  eapply Rle_trans; [|eapply Rle_trans; [apply (T6 os os' (K y)
    (fun z => Sum gs (fun a => P0 a y * Q a y z)) (fun z => Sum gs (fun a => P1 a y * Q a y z)) (HK y Hy))|]];
    right; unfold TV; f_equal; apply Sum_ext; intros z Hz.
  - rewrite !labelled_view by assumption.
    assert (E : forall P : Grp -> Lab -> R, Sum gs (fun a => P a y * push os (K y) (Q a y) z)
                = push os (K y) (fun z => Sum gs (fun a => P a y * Q a y z)) z).
    { intros P. unfold push. transitivity (Sum os (fun z' => Sum gs (fun a => P a y * Q a y z' * K y z' z))).
      - rewrite Sum_swap. apply Sum_ext; intros a _. rewrite <- Sum_scal_l.
        apply Sum_ext; intros; ring.
      - apply Sum_ext; intros; apply Sum_scal_r. }
    now rewrite !E.
  - now rewrite !labelled_view.
Qed.

(** A kernel that does not use the label. *)
Section Outputs.
Context {Grp Lab Out Out' : Type}.
Variable Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}.
Variable Out_dec : forall z z' : Out, {z = z'} + {z <> z'}.
Variable Out'_dec : forall z z' : Out', {z = z'} + {z <> z'}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out) (os' : list Out').
Variables (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) (K : Out -> Out' -> R).
Hypothesis HK : stochastic os os' K.

Definition processed (a : Grp) (y : Lab) : Out' -> R := push os K (Q a y).

Theorem T6_channel : channel gs ls os Q -> channel gs ls os' processed.
Proof.
  intros HQ a y Ha Hy. destruct (HQ a y Ha Hy) as [N E]. split.
  - intros u Hu. apply Sum_nonneg; intros z Hz. apply Rmult_le_pos; [now apply N | now apply (proj1 (HK z Hz))].
  - unfold processed, push. rewrite Sum_swap, <- E. apply Sum_ext; intros z Hz.
    rewrite Sum_scal_l, (proj2 (HK z Hz)). ring.
Qed.

Theorem T6_distance (y : Lab) (a a' : Grp) : distance os' processed y a a' <= distance os Q y a a'.
Proof. now apply T6. Qed.

Theorem T6_labelled : NoDup ls -> NoDup os -> NoDup os' ->
  advantage gs ls os' (labelled Lab_dec Out'_dec ls os') P0 P1 processed
  <= advantage gs ls os (labelled Lab_dec Out_dec ls os) P0 P1 Q.
Proof. now apply (T6_labelled_kernel Lab_dec Out_dec Out'_dec gs ls os os' P0 P1 Q (fun _ => K)). Qed.

Theorem T6_unlabelled : NoDup os -> NoDup os' ->
  advantage gs ls os' (unlabelled Out'_dec os') P0 P1 processed
  <= advantage gs ls os (unlabelled Out_dec os) P0 P1 Q.
Proof.
  intros Ho Ho'. unfold advantage. cbn [unlabelled view views].
  eapply Rle_trans; [|eapply Rle_trans; [apply (T6 os os' K
    (fun z => Sum gs (fun a => Sum ls (fun y => P0 a y * Q a y z)))
    (fun z => Sum gs (fun a => Sum ls (fun y => P1 a y * Q a y z))) HK)|]]; right.
  - assert (E : forall P : Grp -> Lab -> R, forall z, Sum gs (fun a => Sum ls (fun y => P a y * processed a y z))
                = push os K (fun z => Sum gs (fun a => Sum ls (fun y => P a y * Q a y z))) z).
    { intros P z. unfold push.
      transitivity (Sum os (fun z' => Sum gs (fun a => Sum ls (fun y => P a y * Q a y z' * K z' z)))).
      - symmetry. rewrite Sum_swap. apply Sum_ext; intros a _. rewrite Sum_swap. apply Sum_ext; intros y _.
        unfold processed, push. rewrite <- Sum_scal_l. apply Sum_ext; intros; ring.
      - apply Sum_ext; intros z' _. rewrite <- Sum_scal_r. apply Sum_ext; intros a _. apply Sum_scal_r. }
    apply TV_ext; intros z Hz; rewrite <- E; now apply unlabelled_view.
  - apply TV_ext; intros z Hz; symmetry; now apply unlabelled_view.
Qed.

End Outputs.
