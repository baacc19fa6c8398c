(** C1 (the unqualified bound is false): with label shift, Delta_EO * W is no bound.  For two pure groups with base
    rates p and q of label 1 (W = 1), the constant classifier has Delta_EO = 0, yet its accuracy gap, the advantage in
    the correctness game, is |p - q| = TV_Y.

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
