(** Game: the definitions that every theorem of this folder is stated with, and the basic facts about them.

    Groups, labels and outputs are arbitrary finite lists over arbitrary types.  The primitives are the masses
    [P0 a y] and [P1 a y] of the two compositions pi_0, pi_1 and the channel [Q a y z] = Q(z | a, y); everything
    else is derived:
      d(a,y) = pi_0 - pi_1,   s_y = sum_a d(a,y),   Dp_y = sum_a max(d,0),   Dm_y = sum_a max(-d,0),
      m_y = min(Dp_y, Dm_y),  TV_Y = 1/2 sum_y |s_y|,  W = TV(pi_0, pi_1),
      delta_y = max over pairs of groups of TV(Q(.|a,y), Q(.|a',y)),  Delta_EO = max_y delta_y.
    A game is what one draw shows the adversary; its advantage is the total variation between the two worlds' views.
    [test_le_advantage] and [best_test] show that this is exactly the advantage of the best randomised test.

    Source: the game of Suri and Evans (PETS 2022); equalized odds of Hardt, Price and Srebro (2016). *)

From Coq Require Import Reals List Lra.
Import ListNotations.
Open Scope R_scope.

(** * Finite sums *)

Fixpoint Sum {T : Type} (l : list T) (f : T -> R) : R :=
  match l with
  | [] => 0
  | x :: r => f x + Sum r f
  end.

Section Sums.
Context {T : Type}.
Implicit Types (l : list T) (f g : T -> R).

Lemma Sum_ext l f g : (forall x, In x l -> f x = g x) -> Sum l f = Sum l g.
Proof.
  induction l as [|x l IH]; simpl; intros H; [reflexivity|].
  rewrite IH by (intros; apply H; now right). rewrite (H x) by now left. reflexivity.
Qed.

Lemma Sum_le l f g : (forall x, In x l -> f x <= g x) -> Sum l f <= Sum l g.
Proof.
  induction l as [|x l IH]; simpl; intros H; [lra|].
  apply Rplus_le_compat; [apply H; now left | apply IH; intros; apply H; now right].
Qed.

Lemma Sum_zero l : Sum l (fun _ => 0) = 0.
Proof. induction l; simpl; lra. Qed.

Lemma Sum_nonneg l f : (forall x, In x l -> 0 <= f x) -> 0 <= Sum l f.
Proof. intros H. rewrite <- (Sum_zero l). now apply Sum_le. Qed.

Lemma Sum_plus l f g : Sum l (fun x => f x + g x) = Sum l f + Sum l g.
Proof. induction l; simpl; lra. Qed.

Lemma Sum_minus l f g : Sum l (fun x => f x - g x) = Sum l f - Sum l g.
Proof. induction l; simpl; lra. Qed.

Lemma Sum_scal_l l c f : Sum l (fun x => c * f x) = c * Sum l f.
Proof. induction l as [|x l IH]; simpl; [lra | rewrite IH; lra]. Qed.

Lemma Sum_scal_r l c f : Sum l (fun x => f x * c) = Sum l f * c.
Proof. induction l as [|x l IH]; simpl; [lra | rewrite IH; lra]. Qed.

Lemma Sum_div l c f : Sum l (fun x => f x / c) = Sum l f / c.
Proof. apply Sum_scal_r. Qed.

Lemma Sum_abs l f : Rabs (Sum l f) <= Sum l (fun x => Rabs (f x)).
Proof.
  induction l as [|x l IH]; simpl; [rewrite Rabs_R0; lra|].
  eapply Rle_trans; [apply Rabs_triang | lra].
Qed.

(** A sum of non-negative terms vanishes only if every term does. *)
Lemma Sum_nonneg_zero l f :
  (forall x, In x l -> 0 <= f x) -> Sum l f = 0 -> forall x, In x l -> f x = 0.
Proof.
  induction l as [|y l IH]; simpl; intros H E x Hx; [easy|].
  assert (0 <= f y) by (apply H; now left).
  assert (0 <= Sum l f) by (apply Sum_nonneg; intros; apply H; now right).
  destruct Hx as [<-|Hx]; [lra|]. apply IH; auto; lra.
Qed.

(** If a sum is larger than another, one of its terms is. *)
Lemma Sum_lt_exists l f g : Sum l f < Sum l g -> exists x, In x l /\ f x < g x.
Proof.
  induction l as [|x l IH]; simpl; intros H; [lra|].
  destruct (Rlt_dec (f x) (g x)) as [L|L]; [exists x; split; [now left | exact L]|].
  destruct IH as [y [Hy E]]; [lra|]. exists y; split; [now right | exact E].
Qed.

Lemma Sum_app l1 l2 f : Sum (l1 ++ l2) f = Sum l1 f + Sum l2 f.
Proof. induction l1 as [|x l IH]; simpl; [|rewrite IH]; lra. Qed.

End Sums.

Lemma Sum_map {T U : Type} (l : list U) (h : U -> T) (f : T -> R) : Sum (map h l) f = Sum l (fun u => f (h u)).
Proof. induction l as [|x l IH]; simpl; [|rewrite IH]; reflexivity. Qed.

Lemma Sum_swap {T U : Type} (l : list T) (k : list U) (h : T -> U -> R) :
  Sum l (fun x => Sum k (fun u => h x u)) = Sum k (fun u => Sum l (fun x => h x u)).
Proof.
  induction l as [|x l IH]; simpl; [now rewrite Sum_zero|].
  now rewrite IH, <- Sum_plus.
Qed.

Lemma Sum_list_prod {T U : Type} (l : list T) (k : list U) (f : T * U -> R) :
  Sum (list_prod l k) f = Sum l (fun x => Sum k (fun u => f (x, u))).
Proof.
  induction l as [|x l IH]; simpl; [reflexivity|]. now rewrite Sum_app, Sum_map, IH.
Qed.

(** * Indicators *)

Definition ind {P Q : Prop} (b : {P} + {Q}) : R := if b then 1 else 0.

Section Indicator.
Context {T : Type} (dec : forall x y : T, {x = y} + {x <> y}).

Lemma Sum_ind_out (l : list T) (f : T -> R) (v : T) :
  ~ In v l -> Sum l (fun w => ind (dec v w) * f w) = 0.
Proof.
  intros H. rewrite <- (Sum_zero l). apply Sum_ext. intros w Hw. unfold ind.
  destruct (dec v w) as [->|_]; [contradiction | ring].
Qed.

Lemma Sum_ind (l : list T) (f : T -> R) (v : T) :
  NoDup l -> In v l -> Sum l (fun w => ind (dec v w) * f w) = f v.
Proof.
  induction 1 as [|x l Hx Hl IH]; simpl; intros Hv; [easy|].
  destruct Hv as [->|Hv].
  - rewrite Sum_ind_out by exact Hx. unfold ind. destruct (dec v v); [ring | congruence].
  - rewrite IH by exact Hv. unfold ind. destruct (dec v x) as [->|_]; [contradiction | ring].
Qed.

End Indicator.

(** * Largest and smallest value over a list (0 for the empty list) *)

Fixpoint Max {T : Type} (l : list T) (f : T -> R) : R :=
  match l with
  | [] => 0
  | [x] => f x
  | x :: r => Rmax (f x) (Max r f)
  end.

Definition Min {T : Type} (l : list T) (f : T -> R) : R := - Max l (fun x => - f x).

Section MaxMin.
Context {T : Type}.
Implicit Types (l : list T) (f : T -> R).

Lemma Max_ub l f x : In x l -> f x <= Max l f.
Proof.
  induction l as [|y [|w r] IH]; intros H.
  - destruct H.
  - destruct H as [->|[]]. simpl; lra.
  - change (f x <= Rmax (f y) (Max (w :: r) f)). destruct H as [->|H].
    + apply Rmax_l.
    + eapply Rle_trans; [apply IH, H | apply Rmax_r].
Qed.

Lemma Max_attained l f : l <> [] -> exists x, In x l /\ Max l f = f x.
Proof.
  induction l as [|y [|w r] IH]; intros H; [easy| |].
  - exists y. split; [now left | reflexivity].
  - destruct IH as [x [Hx E]]; [easy|].
    change (exists x, In x (y :: w :: r) /\ Rmax (f y) (Max (w :: r) f) = f x).
    unfold Rmax. destruct (Rle_dec (f y) (Max (w :: r) f)).
    + exists x. split; [now right | exact E].
    + exists y. split; [now left | reflexivity].
Qed.

Lemma Max_le l f c : 0 <= c -> (forall x, In x l -> f x <= c) -> Max l f <= c.
Proof.
  intros Hc H. destruct l as [|y r]; [exact Hc|].
  destruct (Max_attained (y :: r) f) as [x [Hx ->]]; [easy | now apply H].
Qed.

Lemma Max_nonneg l f : (forall x, In x l -> 0 <= f x) -> 0 <= Max l f.
Proof.
  intros H. destruct l as [|y r]; [simpl; lra|].
  destruct (Max_attained (y :: r) f) as [x [Hx ->]]; [easy | now apply H].
Qed.

Lemma Min_lb l f x : In x l -> Min l f <= f x.
Proof. intros H. unfold Min. pose proof (Max_ub l (fun x => - f x) x H). simpl in *. lra. Qed.

Lemma Min_attained l f : l <> [] -> exists x, In x l /\ Min l f = f x.
Proof.
  intros H. destruct (Max_attained l (fun x => - f x) H) as [x [Hx E]].
  exists x. split; [exact Hx|]. unfold Min. rewrite E. ring.
Qed.

End MaxMin.

(** * Probability mass functions and total variation *)

Definition pmf {T : Type} (l : list T) (p : T -> R) : Prop :=
  (forall x, In x l -> 0 <= p x) /\ Sum l p = 1.

(** Half the L1 distance. *)
Definition TV {T : Type} (l : list T) (p q : T -> R) : R := Sum l (fun x => Rabs (p x - q x)) / 2.

Definition test {T : Type} (t : T -> R) : Prop := forall x, 0 <= t x <= 1.

Lemma TV_nonneg {T : Type} (l : list T) (p q : T -> R) : 0 <= TV l p q.
Proof.
  unfold TV. assert (0 <= Sum l (fun x => Rabs (p x - q x)))
    by (apply Sum_nonneg; intros; apply Rabs_pos). lra.
Qed.

Lemma TV_sym {T : Type} (l : list T) (p q : T -> R) : TV l p q = TV l q p.
Proof. unfold TV. f_equal. apply Sum_ext. intros. apply Rabs_minus_sym. Qed.

(** A function with values in [-1/2, 1/2] has expectations that differ by at most the total variation. *)
Lemma centred_le_TV {T : Type} (l : list T) (p q t : T -> R) :
  (forall x, In x l -> - (1/2) <= t x <= 1/2) -> Sum l (fun x => (p x - q x) * t x) <= TV l p q.
Proof.
  intros H. unfold TV. rewrite <- Sum_div. apply Sum_le. intros x Hx. specialize (H x Hx).
  destruct (Rcase_abs (p x - q x)) as [N|N].
  - rewrite Rabs_left by exact N.
    pose proof (Rmult_le_compat_l (- (p x - q x)) (- t x) (1/2) ltac:(lra) ltac:(lra)). lra.
  - rewrite Rabs_right by exact N.
    pose proof (Rmult_le_compat_l (p x - q x) (t x) (1/2) ltac:(lra) ltac:(lra)). lra.
Qed.

(** A randomised test has advantage at most half the L1 distance. *)
Lemma test_le_TV {T : Type} (l : list T) (p q t : T -> R) :
  Sum l p = Sum l q -> test t ->
  Rabs (Sum l (fun x => p x * t x) - Sum l (fun x => q x * t x)) <= TV l p q.
Proof.
  intros E H.
  assert (C : forall p q, Sum l p = Sum l q ->
    Sum l (fun x => p x * t x) - Sum l (fun x => q x * t x) = Sum l (fun x => (p x - q x) * (t x - 1/2))).
  { intros p' q' E'. rewrite <- Sum_minus.
    transitivity (Sum l (fun x => (p' x - q' x) * (t x - 1/2)) + (Sum l p' - Sum l q') * (1/2)); [|lra].
    rewrite <- Sum_minus, <- Sum_scal_r, <- Sum_plus. apply Sum_ext. intros. lra. }
  assert (B : forall x, In x l -> - (1/2) <= t x - 1/2 <= 1/2) by (intros x _; specialize (H x); lra).
  apply Rabs_le. split.
  - pose proof (centred_le_TV l q p (fun x => t x - 1/2) B) as K. simpl in K.
    rewrite <- (C q p (eq_sym E)), TV_sym in K. lra.
  - rewrite (C p q E). now apply (centred_le_TV l p q (fun x => t x - 1/2)).
Qed.

(** Some test (the likelihood test) has exactly that advantage. *)
Lemma TV_attained {T : Type} (l : list T) (p q : T -> R) :
  Sum l p = Sum l q ->
  exists t, test t /\ Sum l (fun x => p x * t x) - Sum l (fun x => q x * t x) = TV l p q.
Proof.
  intros E. exists (fun x => if Rle_dec (q x) (p x) then 1 else 0). split.
  - intros x. destruct (Rle_dec (q x) (p x)); lra.
  - unfold TV. rewrite <- Sum_minus.
    transitivity (Sum l (fun x => Rabs (p x - q x) / 2) + (Sum l p - Sum l q) / 2).
    + rewrite <- Sum_minus, <- Sum_div, <- Sum_plus. apply Sum_ext. intros x _.
      destruct (Rle_dec (q x) (p x)); [rewrite Rabs_right | rewrite Rabs_left]; lra.
    + rewrite Sum_div. lra.
Qed.

Lemma TV_le_1 {T : Type} (l : list T) (p q : T -> R) : pmf l p -> pmf l q -> TV l p q <= 1.
Proof.
  intros [Hp Ep] [Hq Eq]. unfold TV.
  assert (Sum l (fun x => Rabs (p x - q x)) <= Sum l (fun x => p x + q x)).
  { apply Sum_le. intros x Hx. specialize (Hp x Hx). specialize (Hq x Hx). apply Rabs_le. lra. }
  rewrite Sum_plus in H. lra.
Qed.

(** Total variation is one minus the overlap. *)
Definition overlap {T : Type} (l : list T) (p q : T -> R) : R := Sum l (fun x => Rmin (p x) (q x)).

Lemma TV_overlap {T : Type} (l : list T) (p q : T -> R) : Sum l p = 1 -> Sum l q = 1 -> TV l p q = 1 - overlap l p q.
Proof.
  intros Ep Eq. unfold TV, overlap.
  assert (E : Sum l (fun x => Rabs (p x - q x)) = Sum l p + Sum l q - Sum l (fun x => Rmin (p x) (q x)) * 2).
  { rewrite <- Sum_plus, <- Sum_scal_r, <- Sum_minus. apply Sum_ext. intros x _. unfold Rmin, Rabs.
    destruct (Rcase_abs _), (Rle_dec _ _); lra. }
  rewrite E. lra.
Qed.

Lemma TV_refl {T : Type} (l : list T) (p : T -> R) : TV l p p = 0.
Proof.
  unfold TV. rewrite (Sum_ext l _ (fun _ => 0)); [rewrite Sum_zero; lra|].
  intros. now rewrite Rminus_diag_eq, Rabs_R0.
Qed.

Lemma TV_ext {T : Type} (l : list T) (p p' q q' : T -> R) :
  (forall x, In x l -> p x = p' x) -> (forall x, In x l -> q x = q' x) -> TV l p q = TV l p' q'.
Proof. intros Hp Hq. unfold TV. f_equal. apply Sum_ext. intros x Hx. now rewrite Hp, Hq. Qed.

(** * Compositions and channels *)

Section Setting.
Context {Grp Lab Out : Type}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).

(** A composition is a joint pmf of group and label. *)
Definition composition (P : Grp -> Lab -> R) : Prop :=
  (forall a y, In a gs -> In y ls -> 0 <= P a y) /\ Sum gs (fun a => Sum ls (fun y => P a y)) = 1.

(** A channel gives each (group, label) a pmf over the outputs. *)
Definition channel (Q : Grp -> Lab -> Out -> R) : Prop :=
  forall a y, In a gs -> In y ls -> pmf os (Q a y).

Section Pair.
Variables P0 P1 : Grp -> Lab -> R.

Definition d (a : Grp) (y : Lab) : R := P0 a y - P1 a y.
Definition s (y : Lab) : R := Sum gs (fun a => d a y).
Definition Dp (y : Lab) : R := Sum gs (fun a => Rmax (d a y) 0).
Definition Dm (y : Lab) : R := Sum gs (fun a => Rmax (- d a y) 0).
Definition m (y : Lab) : R := Rmin (Dp y) (Dm y).
Definition TV_Y : R := Sum ls (fun y => Rabs (s y)) / 2.
Definition W : R := TV (list_prod gs ls) (fun ay => P0 (fst ay) (snd ay)) (fun ay => P1 (fst ay) (snd ay)).

(** The worst case of T1 for disparities [dl]. *)
Definition worst_case (dl : Lab -> R) : R := TV_Y + Sum ls (fun y => m y * dl y).

(** Equal label marginals. *)
Definition no_label_shift : Prop :=
  forall y, In y ls -> Sum gs (fun a => P0 a y) = Sum gs (fun a => P1 a y).

Lemma no_label_shift_s y : no_label_shift -> In y ls -> s y = 0.
Proof. intros H Hy. unfold s, d. rewrite Sum_minus, (H y Hy). ring. Qed.

Lemma no_label_shift_TV_Y : no_label_shift -> TV_Y = 0.
Proof.
  intros H. unfold TV_Y. rewrite (Sum_ext ls _ (fun _ => 0)).
  - rewrite Sum_zero. lra.
  - intros y Hy. rewrite (no_label_shift_s y H Hy). apply Rabs_R0.
Qed.

Lemma Dp_nonneg y : 0 <= Dp y.
Proof. apply Sum_nonneg. intros. apply Rmax_r. Qed.

Lemma Dm_nonneg y : 0 <= Dm y.
Proof. apply Sum_nonneg. intros. apply Rmax_r. Qed.

Lemma m_nonneg y : 0 <= m y.
Proof. apply Rmin_glb; [apply Dp_nonneg | apply Dm_nonneg]. Qed.

Lemma s_Dp_Dm y : s y = Dp y - Dm y.
Proof.
  unfold s, Dp, Dm. rewrite <- Sum_minus. apply Sum_ext. intros a _.
  unfold Rmax. destruct (Rle_dec (d a y) 0), (Rle_dec (- d a y) 0); lra.
Qed.

Lemma total_shift : composition P0 -> composition P1 -> Sum ls s = 0.
Proof.
  intros [_ E0] [_ E1]. unfold s. rewrite Sum_swap. unfold d.
  rewrite (Sum_ext gs _ (fun a => Sum ls (P0 a) - Sum ls (P1 a))) by (intros; apply Sum_minus).
  rewrite Sum_minus. transitivity (1 - 1); [f_equal; assumption | ring].
Qed.

(** The identity TV(pi_0, pi_1) = TV_Y + sum_y m_y. *)
Lemma W_identity : W = TV_Y + Sum ls m.
Proof.
  unfold W, TV, TV_Y. rewrite Sum_list_prod, Sum_swap, <- !Sum_div, <- Sum_plus. simpl.
  apply Sum_ext. intros y _.
  replace (Sum gs (fun a => Rabs (P0 a y - P1 a y))) with (Dp y + Dm y).
  - rewrite s_Dp_Dm. unfold m, Rmin. destruct (Rle_dec (Dp y) (Dm y)) as [L|L].
    + rewrite Rabs_left1; lra.
    + rewrite Rabs_right; lra.
  - unfold Dp, Dm. rewrite <- Sum_plus. apply Sum_ext. intros a _. unfold d, Rmax, Rabs.
    destruct (Rcase_abs (P0 a y - P1 a y)), (Rle_dec (P0 a y - P1 a y) 0), (Rle_dec (- (P0 a y - P1 a y)) 0); lra.
Qed.

End Pair.

(** ** Disparities *)

(** TV(Q(.|a,y), Q(.|a',y)). *)
Definition distance (Q : Grp -> Lab -> Out -> R) (y : Lab) (a a' : Grp) : R := TV os (Q a y) (Q a' y).

Definition delta (Q : Grp -> Lab -> Out -> R) (y : Lab) : R :=
  Max (list_prod gs gs) (fun aa => distance Q y (fst aa) (snd aa)).

Definition Delta_EO (Q : Grp -> Lab -> Out -> R) : R := Max ls (delta Q).

(** The channel has disparities at most [dl]. *)
Definition within (dl : Lab -> R) (Q : Grp -> Lab -> Out -> R) : Prop :=
  forall y, In y ls -> forall a a', In a gs -> In a' gs -> distance Q y a a' <= dl y.

Lemma distance_le_delta Q y a a' : In a gs -> In a' gs -> distance Q y a a' <= delta Q y.
Proof.
  intros Ha Ha'. apply (Max_ub (list_prod gs gs) (fun aa => distance Q y (fst aa) (snd aa)) (a, a')).
  now apply in_prod.
Qed.

Lemma within_delta Q : within (delta Q) Q.
Proof. intros y _ a a' Ha Ha'. now apply distance_le_delta. Qed.

Lemma delta_nonneg Q y : 0 <= delta Q y.
Proof. apply Max_nonneg. intros. apply TV_nonneg. Qed.

Lemma within_iff_delta Q dl :
  (forall y, In y ls -> 0 <= dl y) -> within dl Q <-> forall y, In y ls -> delta Q y <= dl y.
Proof.
  intros H0. split; intros H y Hy.
  - apply Max_le; [now apply H0|]. intros [a a'] Haa. apply in_prod_iff in Haa. now apply H.
  - intros a a' Ha Ha'. eapply Rle_trans; [now apply distance_le_delta | now apply H].
Qed.

Lemma delta_le_Delta_EO Q y : In y ls -> delta Q y <= Delta_EO Q.
Proof. apply Max_ub. Qed.

Lemma Delta_EO_nonneg Q : 0 <= Delta_EO Q.
Proof. apply Max_nonneg. intros. apply delta_nonneg. Qed.

End Setting.

(** * Games *)

(** What one draw shows: an alphabet of views (with decidable equality) and the view of each (label, output). *)
Record game (Lab Out : Type) : Type := Game {
  view : Type;
  view_dec : forall v w : view, {v = w} + {v <> w};
  views : list view;
  sees : Lab -> Out -> view
}.
Arguments view {Lab Out}.
Arguments view_dec {Lab Out}.
Arguments views {Lab Out}.
Arguments sees {Lab Out}.

(** [views] lists every view once. *)
Definition proper {Lab Out : Type} (ls : list Lab) (os : list Out) (g : game Lab Out) : Prop :=
  NoDup (views g) /\ forall y z, In y ls -> In z os -> In (sees g y z) (views g).

Lemma NoDup_append {T : Type} (l k : list T) :
  NoDup l -> NoDup k -> (forall x, In x l -> ~ In x k) -> NoDup (l ++ k).
Proof.
  intros Hl Hk D. induction Hl as [|x l Hx Hl IH]; simpl; [exact Hk|]. constructor.
  - rewrite in_app_iff. intros [K|K]; [contradiction | exact (D x (or_introl eq_refl) K)].
  - apply IH. intros u Hu. apply D. now right.
Qed.

Section Games.
Context {Lab Out : Type}.
Variable Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}.
Variable Out_dec : forall z z' : Out, {z = z'} + {z <> z'}.
Variables (ls : list Lab) (os : list Out).

Definition pair_dec (v w : Lab * Out) : {v = w} + {v <> w}.
Proof. decide equality. Defined.

(** The labelled game shows (Z, Y). *)
Definition labelled : game Lab Out :=
  {| view := Lab * Out; view_dec := pair_dec; views := list_prod ls os; sees := fun y z => (y, z) |}.

(** The correctness game shows 1[Z = Y]; [correct y z] says whether z is a correct output for label y. *)
Definition correctness_of (correct : Lab -> Out -> bool) : game Lab Out :=
  {| view := bool; view_dec := Bool.bool_dec; views := [true; false]; sees := correct |}.

(** The unlabelled game shows Z. *)
Definition unlabelled : game Lab Out :=
  {| view := Out; view_dec := Out_dec; views := os; sees := fun _ z => z |}.

Lemma labelled_proper : NoDup ls -> NoDup os -> proper ls os labelled.
Proof.
  intros Hl Ho. split; simpl; [|intros; now apply in_prod].
  induction Hl as [|y l Hy Hl IH]; simpl; [constructor|].
  apply NoDup_append; [|exact IH|].
  - clear - Ho. induction Ho as [|z o Hz Ho IH]; simpl; constructor; [|exact IH].
    rewrite in_map_iff. intros [w [E Hw]]. injection E as ->. contradiction.
  - intros v Hv. apply in_map_iff in Hv. destruct Hv as [z [<- _]]. rewrite in_prod_iff. tauto.
Qed.

Lemma correctness_of_proper correct : proper ls os (correctness_of correct).
Proof.
  split; simpl.
  - constructor; [simpl; intuition discriminate | constructor; [easy | constructor]].
  - intros y z _ _. destruct (correct y z); auto.
Qed.

Lemma unlabelled_proper : NoDup os -> proper ls os unlabelled.
Proof. intros H. split; simpl; auto. Qed.

End Games.

(** The correctness game of a classifier, whose outputs are labels: shows 1[Z = Y]. *)
Definition correctness {Lab : Type} (Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}) : game Lab Lab :=
  correctness_of (fun y z => if Lab_dec z y then true else false).

(** * The view of one draw, and the advantage *)

Section Advantage.
Context {Grp Lab Out : Type}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out) (g : game Lab Out).
Variables (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R).

(** Probability of view [v] when (a, y) is drawn from [P] and z from [Q a y]. *)
Definition view_of (P : Grp -> Lab -> R) (v : view g) : R :=
  Sum gs (fun a => Sum ls (fun y => Sum os (fun z => P a y * Q a y z * ind (view_dec g (sees g y z) v)))).

(** Probability that the test [t], shown one draw, says "world 0". *)
Definition accepts (P : Grp -> Lab -> R) (t : view g -> R) : R := Sum (views g) (fun v => view_of P v * t v).

(** Advantage of the best test: total variation between the two worlds' views. *)
Definition advantage : R := TV (views g) (view_of P0) (view_of P1).

(** Expectations over the view are expectations over (a, y, z). *)
Lemma accepts_direct P t : proper ls os g ->
  accepts P t = Sum gs (fun a => Sum ls (fun y => Sum os (fun z => P a y * Q a y z * t (sees g y z)))).
Proof.
  intros [N C]. unfold accepts, view_of.
  transitivity (Sum (views g) (fun v => Sum gs (fun a => Sum ls (fun y => Sum os (fun z =>
    ind (view_dec g (sees g y z) v) * (P a y * Q a y z * t v)))))).
  { apply Sum_ext; intros v _. rewrite <- Sum_scal_r. apply Sum_ext; intros a _.
    rewrite <- Sum_scal_r. apply Sum_ext; intros y _. rewrite <- Sum_scal_r. apply Sum_ext; intros z _. ring. }
  rewrite Sum_swap. apply Sum_ext; intros a _. rewrite Sum_swap. apply Sum_ext; intros y Hy.
  rewrite Sum_swap. apply Sum_ext; intros z Hz.
  apply (Sum_ind (view_dec g) (views g) (fun v => P a y * Q a y z * t v)); auto.
Qed.

Lemma view_of_total P : proper ls os g -> channel gs ls os Q -> composition gs ls P -> Sum (views g) (view_of P) = 1.
Proof.
  intros Hg HQ [_ HP]. transitivity (accepts P (fun _ => 1)).
  { apply Sum_ext; intros. symmetry. apply Rmult_1_r. }
  rewrite accepts_direct by exact Hg. refine (eq_trans _ HP). apply Sum_ext; intros a Ha. apply Sum_ext; intros y Hy.
  destruct (HQ a y Ha Hy) as [_ E]. transitivity (P a y * Sum os (Q a y)); [|rewrite E; ring].
  rewrite <- Sum_scal_l. apply Sum_ext; intros. ring.
Qed.

Lemma view_of_pmf P : proper ls os g -> channel gs ls os Q -> composition gs ls P -> pmf (views g) (view_of P).
Proof.
  intros Hg HQ HP. split; [|now apply view_of_total]. intros v _.
  apply Sum_nonneg; intros a Ha. apply Sum_nonneg; intros y Hy. apply Sum_nonneg; intros z Hz.
  apply Rmult_le_pos; [apply Rmult_le_pos|].
  - now apply HP.
  - now apply (HQ a y Ha Hy).
  - unfold ind. destruct (view_dec g (sees g y z) v); lra.
Qed.

(** Every randomised test of the view has at most this advantage, ... *)
Theorem test_le_advantage (t : view g -> R) :
  proper ls os g -> composition gs ls P0 -> composition gs ls P1 -> channel gs ls os Q -> test t ->
  Rabs (accepts P0 t - accepts P1 t) <= advantage.
Proof.
  intros Hg H0 H1 HQ Ht. apply test_le_TV; [|exact Ht].
  rewrite !view_of_total by assumption. reflexivity.
Qed.

(** ... and some test attains it. *)
Theorem best_test :
  proper ls os g -> composition gs ls P0 -> composition gs ls P1 -> channel gs ls os Q ->
  exists t, test t /\ accepts P0 t - accepts P1 t = advantage.
Proof. intros Hg H0 H1 HQ. apply TV_attained. rewrite !view_of_total by assumption. reflexivity. Qed.

End Advantage.

(** The views of the labelled and unlabelled games, written out. *)
Section Views.
Context {Grp Lab Out : Type}.
Variable Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}.
Variable Out_dec : forall z z' : Out, {z = z'} + {z <> z'}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).
Variables (P : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R).
Hypothesis Ho : NoDup os.

Lemma unlabelled_view z : In z os ->
  view_of gs ls os (unlabelled Out_dec os) Q P z = Sum gs (fun a => Sum ls (fun y => P a y * Q a y z)).
Proof.
  intros Hz. unfold view_of. apply Sum_ext; intros a _. apply Sum_ext; intros y _. cbn [unlabelled view_dec sees].
  transitivity (Sum os (fun z' => ind (Out_dec z z') * (P a y * Q a y z'))).
  - apply Sum_ext; intros z' _. unfold ind.
    destruct (Out_dec z' z), (Out_dec z z'); solve [congruence | ring].
  - now rewrite (Sum_ind Out_dec os (fun z' => P a y * Q a y z')).
Qed.

Lemma labelled_view y z : NoDup ls -> In y ls -> In z os ->
  view_of gs ls os (labelled Lab_dec Out_dec ls os) Q P (y, z) = Sum gs (fun a => P a y * Q a y z).
Proof.
  intros Hl Hy Hz. unfold view_of. apply Sum_ext; intros a _. cbn [labelled view_dec sees].
  transitivity (Sum ls (fun y' => ind (Lab_dec y y') * (P a y' * Q a y' z))).
  - apply Sum_ext; intros y' _.
    transitivity (Sum os (fun z' => ind (Out_dec z z') * (ind (Lab_dec y y') * (P a y' * Q a y' z')))).
    + apply Sum_ext; intros z' _. unfold ind.
      destruct (pair_dec Lab_dec Out_dec (y', z') (y, z)) as [E|E], (Out_dec z z') as [Ez|Ez],
        (Lab_dec y y') as [Ey|Ey]; solve [congruence | ring | injection E as -> ->; ring].
    + now rewrite (Sum_ind Out_dec os (fun z' => ind (Lab_dec y y') * (P a y' * Q a y' z'))).
  - now rewrite (Sum_ind Lab_dec ls (fun y' => P a y' * Q a y' z)).
Qed.

End Views.

(** * Hard binary predictions *)

(** The channel of a binary classifier with firing rates [r a y] = Q(1 | a, y). *)
Definition binary {Grp Lab : Type} (r : Grp -> Lab -> R) (a : Grp) (y : Lab) (z : bool) : R :=
  if z then r a y else 1 - r a y.

Definition bits : list bool := [true; false].

Lemma binary_channel {Grp Lab : Type} (gs : list Grp) (ls : list Lab) (r : Grp -> Lab -> R) :
  (forall a y, In a gs -> In y ls -> 0 <= r a y <= 1) -> channel gs ls bits (binary r).
Proof.
  intros H a y Ha Hy. specialize (H a y Ha Hy). split; [|simpl; ring].
  intros [|] _; simpl; lra.
Qed.

(** For hard binary predictions the disparity is the difference of the rates (FPR and TPR differences). *)
Lemma binary_distance {Grp Lab : Type} (r : Grp -> Lab -> R) (y : Lab) (a a' : Grp) :
  distance bits (binary r) y a a' = Rabs (r a y - r a' y).
Proof.
  unfold distance, TV, binary. simpl.
  replace (1 - r a y - (1 - r a' y)) with (- (r a y - r a' y)) by ring. rewrite Rabs_Ropp. lra.
Qed.
