(** C3b: for three groups the necessary condition of T3 fails in the labelled game, without label shift.  Inside each
    label d is proportional to (1, -1/2, -1/2); the rates go from (1, 1/2, 1/2) to (1/2, 0, 1): no pairwise disparity
    shrinks, yet the advantage falls from 1/2 to 0.

    Source: docs/theory.md, C3b; against Theorem 2 of arXiv:2606.01719 read for more than two groups. *)

From Coq Require Import QArith List.
From Fairbound.kernel Require Import Game GameQ.
Import ListNotations.
Open Scope Q_scope.

Inductive group := g0 | g1 | g2.
Definition all : list group := [g0; g1; g2].

(** Both labels have mass 1/2; world 0 is g0 alone, world 1 is half g1, half g2. *)
Definition world_0 (a : group) (y : bool) : Q := match a with g0 => 1#2 | _ => 0 end.
Definition world_1 (a : group) (y : bool) : Q := match a with g0 => 0 | _ => 1#4 end.

Definition M : group -> bool -> bool -> Q := binary (fun a _ => match a with g0 => 1 | _ => 1#2 end).
Definition M' : group -> bool -> bool -> Q := binary (fun a _ => match a with g0 => 1#2 | g1 => 0 | g2 => 1 end).

Definition adv (ch : group -> bool -> bool -> Q) : Q :=
  advantage all bits bits (labelled Bool.bool_dec Bool.bool_dec bits bits) world_0 world_1 ch.

Theorem C3b :
  composition all bits world_0 /\ composition all bits world_1 /\ no_label_shift all bits world_0 world_1 /\
  channel all bits bits M /\ channel all bits bits M' /\
  adv M == 1#2 /\ adv M' == 0.
Proof. compute_facts. Qed.

(** No pairwise disparity shrinks. *)
Theorem C3b_disparities : forall y a a', distance bits M y a a' <= distance bits M' y a a'.
Proof. compute_facts. Qed.
