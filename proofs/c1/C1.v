(** C1 (the unqualified bound is false): with label shift, Delta_EO * W is no bound.  For two pure groups with base
    rates p and q of label 1 (W = 1), the constant classifier has Delta_EO = 0, yet its accuracy gap, the advantage in
    the correctness game, is |p - q| = TV_Y.  So is its advantage in the labelled game ([C1_labelled]), and that of the
    perfect classifier in the labelled and the unlabelled game ([C1_perfect]).

    Source: docs/theory.md, C1.  "Unqualified" is Theorem 1 of arXiv:2606.01719 as its abstract states it; the theorem may
    assume equal label marginals, where T1a proves it. *)

From Coq Require Import Reals List Lra QArith.
From Fairbound.kernel Require Import Game.
From Fairbound.kernel Require GameQ.
From Fairbound.t1a Require Import T1a.
Import ListNotations.

(** ** For all base rates, over the reals *)

Open Scope R_scope.

(** The world that consists of group [w] alone, with base rate [b] of label [true]. *)
Definition pure_world (w : bool) (b : R) (a y : bool) : R :=
  if Bool.eqb w a then (if y then b else 1 - b) else 0.

(** Predicts [true] whatever the group and the label. *)
Definition always_true (a y z : bool) : R := if z then 1 else 0.

(** Predicts the label. *)
Definition perfect (a y z : bool) : R := if Bool.eqb y z then 1 else 0.

Section General.
Variables p q : R.
Hypothesis Hp : 0 <= p <= 1.
Hypothesis Hq : 0 <= q <= 1.

Let P0 := pure_world false p.
Let P1 := pure_world true q.
Let Adv := advantage bits bits bits (correctness Bool.bool_dec) P0 P1 always_true.

Lemma pure_world_composition (w : bool) (b : R) : 0 <= b <= 1 -> composition bits bits (pure_world w b).
Proof.
  intros Hb. split; [|destruct w; unfold pure_world; simpl; lra].
  intros a y _ _. unfold pure_world. destruct (Bool.eqb w a), y; lra.
Qed.

Theorem C1 :
  composition bits bits P0 /\ composition bits bits P1 /\ channel bits bits bits always_true /\
  W bits bits P0 P1 = 1 /\ Delta_EO bits bits bits always_true = 0 /\
  TV_Y bits bits P0 P1 = Rabs (p - q) /\ Adv = Rabs (p - q).
Proof.
  split; [now apply pure_world_composition|]. split; [now apply pure_world_composition|].
  split; [intros a y _ _; split; [intros [|] _; simpl; lra | simpl; lra]|].
  split.
  { apply (T1a_pure bits bits P0 P1 Bool.bool_dec false true);
      [now apply pure_world_composition | now apply pure_world_composition | discriminate | |];
      intros [|] y _ _ N; unfold P0, P1, pure_world; simpl; congruence. }
  split.
  { apply Rle_antisym; [|apply Delta_EO_nonneg]. apply Max_le; [lra|]. intros y _.
    apply Max_le; [lra|]. intros aa _. right. apply TV_refl. }
  split.
  - unfold TV_Y, s, d, P0, P1, pure_world. simpl.
    replace (0 - q + (p - 0 + 0)) with (p - q) by ring.
    replace (0 - (1 - q) + (1 - p - 0 + 0)) with (- (p - q)) by ring. rewrite Rabs_Ropp. lra.
  - unfold Adv, advantage, TV, view_of, P0, P1, pure_world, always_true, ind. simpl.
    match goal with |- (Rabs ?x + (Rabs ?y + 0)) / 2 = _ =>
      replace x with (p - q) by ring; replace y with (- (p - q)) by ring end.
    rewrite Rabs_Ropp. lra.
Qed.

(** Hence the unqualified bound fails whenever the base rates differ. *)
Theorem C1_no_bound : p <> q -> Delta_EO bits bits bits always_true * W bits bits P0 P1 < Adv.
Proof.
  intros N. destruct C1 as (_ & _ & _ & -> & -> & _ & ->).
  pose proof (Rabs_pos_lt (p - q)). lra.
Qed.

Let show_all : game bool bool := labelled Bool.bool_dec Bool.bool_dec bits bits.
Let show_output : game bool bool := unlabelled Bool.bool_dec bits.

Lemma bits_once : NoDup bits.
Proof. repeat constructor; simpl; intuition discriminate. Qed.

Lemma labelled_advantage (ch : bool -> bool -> bool -> R) :
  advantage bits bits bits show_all P0 P1 ch
  = TV (list_prod bits bits) (fun v => Sum bits (fun a => P0 a (fst v) * ch a (fst v) (snd v)))
                             (fun v => Sum bits (fun a => P1 a (fst v) * ch a (fst v) (snd v))).
Proof.
  apply TV_ext; intros [y z] H; apply in_prod_iff in H; destruct H; apply labelled_view; auto using bits_once.
Qed.

Theorem C1_labelled : advantage bits bits bits show_all P0 P1 always_true = Rabs (p - q).
Proof.
  rewrite labelled_advantage. unfold TV, P0, P1, pure_world, always_true. simpl.
  unfold Rabs. repeat destruct (Rcase_abs _); lra.
Qed.

Theorem C1_perfect :
  channel bits bits bits perfect /\ Delta_EO bits bits bits perfect = 0 /\
  advantage bits bits bits show_all P0 P1 perfect = Rabs (p - q) /\
  advantage bits bits bits show_output P0 P1 perfect = Rabs (p - q).
Proof.
  split; [intros a [|] _ _; (split; [intros [|] _; unfold perfect; simpl; lra | unfold perfect; simpl; lra])|].
  split.
  { apply Rle_antisym; [|apply Delta_EO_nonneg]. apply Max_le; [lra|]. intros y _.
    apply Max_le; [lra|]. intros aa _. right. apply TV_refl. }
  split.
  - rewrite labelled_advantage. unfold TV, P0, P1, pure_world, perfect. simpl.
    unfold Rabs. repeat destruct (Rcase_abs _); lra.
  - transitivity (TV bits (fun z => Sum bits (fun a => Sum bits (fun y => P0 a y * perfect a y z)))
                          (fun z => Sum bits (fun a => Sum bits (fun y => P1 a y * perfect a y z)))).
    + apply TV_ext; intros z Hz; apply unlabelled_view; auto using bits_once.
    + unfold TV, P0, P1, pure_world, perfect. simpl. unfold Rabs. repeat destruct (Rcase_abs _); lra.
Qed.

(** The unqualified bound fails in the labelled and the unlabelled game too. *)
Theorem C1_no_bound_games : p <> q ->
  Delta_EO bits bits bits always_true * W bits bits P0 P1 < advantage bits bits bits show_all P0 P1 always_true /\
  Delta_EO bits bits bits perfect * W bits bits P0 P1 < advantage bits bits bits show_all P0 P1 perfect /\
  Delta_EO bits bits bits perfect * W bits bits P0 P1 < advantage bits bits bits show_output P0 P1 perfect.
Proof.
  intros N. rewrite C1_labelled. destruct C1 as (_ & _ & _ & -> & -> & _ & _).
  destruct C1_perfect as (_ & -> & -> & ->). pose proof (Rabs_pos_lt (p - q)). repeat split; lra.
Qed.

End General.

(** ** An instance, computed: base rates 11/100 and 31/100 *)

Open Scope Q_scope.

Definition world_0 (a y : bool) : Q := if a then 0 else if y then 11#100 else 89#100.
Definition world_1 (a y : bool) : Q := if a then (if y then 31#100 else 69#100) else 0.
Definition constant (a y z : bool) : Q := if z then 1 else 0.

Theorem C1_computed :
  GameQ.composition bits bits world_0 /\ GameQ.composition bits bits world_1 /\
  GameQ.channel bits bits bits constant /\
  GameQ.Delta_EO bits bits bits constant * GameQ.W bits bits world_0 world_1 == 0 /\
  GameQ.advantage bits bits bits (correctness Bool.bool_dec) world_0 world_1 constant == 1#5.
Proof. GameQ.compute_facts. Qed.
