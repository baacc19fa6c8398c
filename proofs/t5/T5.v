(** T5 (many queries): for n independent draws,
      Adv_n <= 1 - (1 - Adv_1)^n,
    in every game, and some channel attains it for every n and every value of Adv_1: [T5_attained] in the unlabelled
    game, [T5_attained_labelled] in the labelled game, with two outputs.

    Source: docs/theory.md, T5.

    Proof.  Total variation is one minus the overlap sum_v min(p v, q v); the minimum of two products of non-negative
    numbers is at least the product of the minima; and the products of the minima add up to overlap^n. *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
Import ListNotations.
Open Scope R_scope.

(** All sequences of n elements of a list, and the product distribution on them. *)
Fixpoint sequences {V : Type} (n : nat) (vs : list V) : list (list V) :=
  match n with
  | O => [[]]
  | S k => map (fun vt => fst vt :: snd vt) (list_prod vs (sequences k vs))
  end.

Fixpoint product {V : Type} (p : V -> R) (t : list V) : R :=
  match t with
  | [] => 1
  | v :: r => p v * product p r
  end.

Lemma sum_sequences {V : Type} (n : nat) (vs : list V) (f : list V -> R) :
  Sum (sequences (S n) vs) f = Sum vs (fun v => Sum (sequences n vs) (fun t => f (v :: t))).
Proof. simpl. now rewrite Sum_map, Sum_list_prod. Qed.

Lemma sum_product {V : Type} (n : nat) (vs : list V) (p : V -> R) :
  Sum (sequences n vs) (product p) = Sum vs p ^ n.
Proof.
  induction n as [|n IH]; [simpl; ring|]. rewrite sum_sequences. simpl pow. rewrite <- IH, <- Sum_scal_r.
  apply Sum_ext; intros v _. apply Sum_scal_l.
Qed.

Lemma product_nonneg {V : Type} (n : nat) (vs : list V) (p : V -> R) :
  (forall v, In v vs -> 0 <= p v) -> forall t, In t (sequences n vs) -> 0 <= product p t.
Proof.
  intros H. induction n as [|n IH]; simpl; intros t Ht.
  - destruct Ht as [<-|[]]. simpl. lra.
  - apply in_map_iff in Ht. destruct Ht as [[v r] [<- Hvr]]. apply in_prod_iff in Hvr. destruct Hvr as [Hv Hr].
    simpl. apply Rmult_le_pos; [now apply H | now apply IH].
Qed.

(** The product distribution is one. *)
Lemma product_pmf {V : Type} (n : nat) (vs : list V) (p : V -> R) : pmf vs p -> pmf (sequences n vs) (product p).
Proof. intros [N E]. split; [now apply product_nonneg | rewrite sum_product, E; apply pow1]. Qed.

Lemma min_product {V : Type} (n : nat) (vs : list V) (p q : V -> R) :
  (forall v, In v vs -> 0 <= p v) -> (forall v, In v vs -> 0 <= q v) ->
  forall t, In t (sequences n vs) -> product (fun v => Rmin (p v) (q v)) t <= Rmin (product p t) (product q t).
Proof.
  intros Hp Hq. induction n as [|n IH]; intros t Ht.
  - destruct Ht as [<-|[]]. simpl. rewrite Rmin_left; lra.
  - simpl in Ht. apply in_map_iff in Ht. destruct Ht as [[v r] [<- Hvr]]. apply in_prod_iff in Hvr.
    destruct Hvr as [Hv Hr]. simpl. specialize (IH r Hr).
    assert (N : 0 <= Rmin (p v) (q v)) by (apply Rmin_glb; auto).
    assert (N' : 0 <= product (fun v => Rmin (p v) (q v)) r)
      by (apply (product_nonneg n vs); [intros; apply Rmin_glb; auto | exact Hr]).
    apply Rmin_glb; apply Rmult_le_compat; auto.
    + apply Rmin_l.
    + eapply Rle_trans; [exact IH | apply Rmin_l].
    + apply Rmin_r.
    + eapply Rle_trans; [exact IH | apply Rmin_r].
Qed.

Theorem T5_overlap {V : Type} (n : nat) (vs : list V) (p q : V -> R) :
  (forall v, In v vs -> 0 <= p v) -> (forall v, In v vs -> 0 <= q v) ->
  overlap vs p q ^ n <= overlap (sequences n vs) (product p) (product q).
Proof. intros Hp Hq. unfold overlap. rewrite <- sum_product. apply Sum_le. now apply min_product. Qed.

Theorem T5 {V : Type} (n : nat) (vs : list V) (p q : V -> R) :
  pmf vs p -> pmf vs q ->
  TV (sequences n vs) (product p) (product q) <= 1 - (1 - TV vs p q) ^ n.
Proof.
  intros Hp Hq. destruct (product_pmf n vs p Hp) as [_ Ep], (product_pmf n vs q Hq) as [_ Eq].
  rewrite (TV_overlap (sequences n vs)), (TV_overlap vs) by (assumption || apply Hp || apply Hq).
  replace (1 - (1 - overlap vs p q)) with (overlap vs p q) by ring.
  pose proof (T5_overlap n vs p q (proj1 Hp) (proj1 Hq)). lra.
Qed.

Lemma Rmin_scal (c x y : R) : 0 <= c -> Rmin (c * x) (c * y) = c * Rmin x y.
Proof.
  intros Hc. destruct (Rle_dec x y) as [L|L].
  - rewrite (Rmin_left x y) by exact L. apply Rmin_left. now apply Rmult_le_compat_l.
  - rewrite (Rmin_right x y) by lra. apply Rmin_right. apply Rmult_le_compat_l; lra.
Qed.

(** Equality where every outcome has the same probability in both worlds, or none in one of them. *)
Theorem T5_equality {V : Type} (n : nat) (vs : list V) (p q : V -> R) :
  pmf vs p -> pmf vs q -> (forall v, In v vs -> p v = q v \/ p v = 0 \/ q v = 0) ->
  TV (sequences n vs) (product p) (product q) = 1 - (1 - TV vs p q) ^ n.
Proof.
  intros Hp Hq H. destruct (product_pmf n vs p Hp) as [Np Ep], (product_pmf n vs q Hq) as [Nq Eq].
  rewrite (TV_overlap (sequences n vs)), (TV_overlap vs) by (assumption || apply Hp || apply Hq).
  replace (1 - (1 - overlap vs p q)) with (overlap vs p q) by ring.
  unfold overlap. rewrite <- sum_product. f_equal. apply Sum_ext. clear Ep Eq Np Nq.
  induction n as [|n IH]; intros t Ht.
  - destruct Ht as [<-|[]]. simpl. apply Rmin_left. lra.
  - simpl in Ht. apply in_map_iff in Ht. destruct Ht as [[v r] [<- Hvr]]. apply in_prod_iff in Hvr.
    destruct Hvr as [Hv Hr]. simpl. rewrite <- (IH r Hr).
    pose proof (proj1 Hp v Hv). pose proof (proj1 Hq v Hv).
    pose proof (product_nonneg n vs p (proj1 Hp) r Hr). pose proof (product_nonneg n vs q (proj1 Hq) r Hr).
    destruct (H v Hv) as [E|[E|E]].
    + rewrite E, (Rmin_left (q v) (q v)) by lra. now apply Rmin_scal.
    + rewrite E, Rmult_0_l, !Rmin_left by (try apply Rmult_le_pos; lra). ring.
    + rewrite E, Rmult_0_l, !Rmin_right by (try apply Rmult_le_pos; lra). ring.
Qed.

(** Equality where one world gives at most the other's probability to whatever the other shows at all. *)
Theorem T5_equality_ordered {V : Type} (n : nat) (vs : list V) (p q : V -> R) :
  pmf vs p -> pmf vs q -> (forall v, In v vs -> p v <= q v \/ q v = 0) ->
  TV (sequences n vs) (product p) (product q) = 1 - (1 - TV vs p q) ^ n.
Proof.
  intros Hp Hq H. destruct (product_pmf n vs p Hp) as [_ Ep], (product_pmf n vs q Hq) as [_ Eq].
  rewrite (TV_overlap (sequences n vs)), (TV_overlap vs) by (assumption || apply Hp || apply Hq).
  replace (1 - (1 - overlap vs p q)) with (overlap vs p q) by ring.
  unfold overlap. rewrite <- sum_product. f_equal. apply Sum_ext. clear Ep Eq.
  enough (B : forall t, In t (sequences n vs) ->
    (product p t <= product q t \/ product q t = 0) /\
    Rmin (product p t) (product q t) = product (fun v => Rmin (p v) (q v)) t) by (intros t Ht; now apply B).
  induction n as [|n IH]; intros t Ht.
  - destruct Ht as [<-|[]]. simpl. split; [left; lra | apply Rmin_left; lra].
  - simpl in Ht. apply in_map_iff in Ht. destruct Ht as [[v r] [<- Hvr]]. apply in_prod_iff in Hvr.
    destruct Hvr as [Hv Hr]. simpl. destruct (IH r Hr) as [O <-].
    pose proof (proj1 Hp v Hv). pose proof (proj1 Hq v Hv).
    pose proof (product_nonneg n vs p (proj1 Hp) r Hr). pose proof (product_nonneg n vs q (proj1 Hq) r Hr).
    assert (0 <= p v * product p r) by now apply Rmult_le_pos.
    destruct (H v Hv) as [L|Z]; [destruct O as [L'|Z']|].
    + assert (p v * product p r <= q v * product q r) by now apply Rmult_le_compat.
      split; [now left|]. now rewrite !Rmin_left.
    + rewrite Z', Rmult_0_r, (Rmin_right (product p r) 0), Rmin_right by assumption. split; [now right | ring].
    + rewrite Z, Rmult_0_l, (Rmin_right (p v) 0), Rmin_right by assumption. split; [now right | ring].
Qed.

(** The advantage of n independent draws from the same world. *)
Definition advantage_n {Grp Lab Out : Type} (n : nat) (gs : list Grp) (ls : list Lab) (os : list Out)
    (g : game Lab Out) (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) : R :=
  TV (sequences n (views g)) (product (view_of gs ls os g Q P0)) (product (view_of gs ls os g Q P1)).

Theorem T5_game {Grp Lab Out : Type} (n : nat) (gs : list Grp) (ls : list Lab) (os : list Out)
    (g : game Lab Out) (P0 P1 : Grp -> Lab -> R) (Q : Grp -> Lab -> Out -> R) :
  proper ls os g -> composition gs ls P0 -> composition gs ls P1 -> channel gs ls os Q ->
  advantage_n n gs ls os g P0 P1 Q <= 1 - (1 - advantage gs ls os g P0 P1 Q) ^ n.
Proof. intros Hg H0 H1 HQ. apply T5; now apply view_of_pmf. Qed.

(** A channel that attains it: two pure groups, three outputs; each group shows its own output with probability t,
    else the common one. *)
Inductive output := own_0 | own_1 | common.

Definition output_dec (v w : output) : {v = w} + {v <> w}.
Proof. decide equality. Defined.

Definition outputs : list output := [own_0; own_1; common].

Definition revealing (t : R) (a : bool) (y : bool) (z : output) : R :=
  match z, a with
  | own_0, false | own_1, true => t
  | common, _ => 1 - t
  | _, _ => 0
  end.

(** World [w] consists of group [w] alone; both labels have mass 1/2. *)
Definition pure_world (w a : bool) (y : bool) : R := if Bool.eqb w a then 1/2 else 0.

Theorem T5_attained (t : R) (n : nat) : 0 <= t <= 1 ->
  let g := unlabelled output_dec outputs : game bool output in
  composition bits bits (pure_world false) /\ composition bits bits (pure_world true) /\
  channel bits bits outputs (revealing t) /\
  advantage bits bits outputs g (pure_world false) (pure_world true) (revealing t) = t /\
  advantage_n n bits bits outputs g (pure_world false) (pure_world true) (revealing t) = 1 - (1 - t) ^ n.
Proof.
  intros Ht g.
  assert (C : forall w, composition bits bits (pure_world w)).
  { intros w. split; [intros a y _ _; unfold pure_world; destruct (Bool.eqb w a); lra|].
    destruct w; unfold pure_world; simpl; lra. }
  assert (HQ : channel bits bits outputs (revealing t)).
  { intros [|] y _ _; (split; [intros [| |] _; simpl; lra | simpl; lra]). }
  assert (No : NoDup outputs).
  { repeat constructor; simpl; intuition discriminate. }
  assert (Hg : proper bits outputs g) by now apply unlabelled_proper.
  assert (V : forall w z, In z outputs ->
    view_of bits bits outputs g (revealing t) (pure_world w) z = revealing t w true z).
  { intros w z Hz. unfold g. rewrite unlabelled_view by assumption.
    destruct w, z; unfold pure_world; simpl; lra. }
  assert (A : advantage bits bits outputs g (pure_world false) (pure_world true) (revealing t) = t).
  { transitivity (TV outputs (revealing t false true) (revealing t true true));
      [apply TV_ext; apply V|]. unfold TV. simpl.
    rewrite Rabs_right, Rabs_left1, Rabs_right; lra. }
  repeat (split; [solve [auto]|]).
  unfold advantage_n. rewrite T5_equality.
  - fold (advantage bits bits outputs g (pure_world false) (pure_world true) (revealing t)). now rewrite A.
  - now apply view_of_pmf.
  - now apply view_of_pmf.
  - intros z Hz. rewrite !V by exact Hz. destruct z; simpl; auto.
Qed.

(** In the labelled game: two pure groups, of which one shows output 1 with probability t and the other never. *)
Definition firing (t : R) (a y : bool) : R := if a then 0 else t.

Theorem T5_attained_labelled (t : R) (n : nat) : 0 <= t <= 1 ->
  let g := labelled Bool.bool_dec Bool.bool_dec bits bits in
  composition bits bits (pure_world false) /\ composition bits bits (pure_world true) /\
  no_label_shift bits bits (pure_world false) (pure_world true) /\
  channel bits bits bits (binary (firing t)) /\
  advantage bits bits bits g (pure_world false) (pure_world true) (binary (firing t)) = t /\
  advantage_n n bits bits bits g (pure_world false) (pure_world true) (binary (firing t)) = 1 - (1 - t) ^ n.
Proof.
  intros Ht g.
  assert (C : forall w, composition bits bits (pure_world w)).
  { intros w. split; [intros a y _ _; unfold pure_world; destruct (Bool.eqb w a); lra|].
    destruct w; unfold pure_world; simpl; lra. }
  assert (HQ : channel bits bits bits (binary (firing t))).
  { apply binary_channel. intros [|] y _ _; simpl; lra. }
  assert (No : NoDup bits) by (repeat constructor; simpl; intuition discriminate).
  assert (Hg : proper bits bits g) by now apply labelled_proper.
  assert (V : forall w v, In v (views g) ->
    view_of bits bits bits g (binary (firing t)) (pure_world w) v = binary (firing t) w (fst v) (snd v) / 2).
  { intros w [y z] Hv. apply in_prod_iff in Hv. unfold g. rewrite labelled_view by tauto.
    destruct w, z; unfold pure_world, binary; simpl; lra. }
  assert (A : advantage bits bits bits g (pure_world false) (pure_world true) (binary (firing t)) = t).
  { unfold advantage. rewrite (TV_ext _ _ _ _ _ (V false) (V true)). unfold TV, binary, firing. simpl.
    unfold Rabs. repeat destruct (Rcase_abs _); lra. }
  repeat (split; [solve [auto]|]).
  split; [intros y _; unfold pure_world; simpl; lra|]. repeat (split; [solve [auto]|]).
  unfold advantage_n. rewrite T5_equality_ordered.
  - fold (advantage bits bits bits g (pure_world false) (pure_world true) (binary (firing t))). now rewrite A.
  - now apply view_of_pmf.
  - now apply view_of_pmf.
  - intros [y z] Hv. rewrite !V by exact Hv. destruct z; unfold binary, firing; simpl; [right | left]; lra.
Qed.
