(** C3a: in the correctness game the necessary condition of T3 fails.  Two pure groups, label mass 1/2 each, so m_y =
    1/2 for both labels.  On the labels 0 and 1, the rates of being correct are (1, 1/2) in group 0 and (1/2, 1/2) in
    group 1 for model M, (1, 1/2) and (1/2, 1) for model M'.  The signed gaps go from (1/2, 0) to (1/2, -1/2): no
    disparity shrinks (1/2, 0 become 1/2, 1/2), yet the accuracy gap falls from 1/4 to 0, as the gaps cancel.

    Source: docs/theory.md, C3a; against Theorem 2 of arXiv:2606.01719 read for this game. *)

From Coq Require Import QArith List.
From Fairbound.kernel Require Import Game GameQ.
Import ListNotations.
Open Scope Q_scope.

(** World 0 is group [false], world 1 is group [true]; labels are [false] and [true]. *)
Definition world_0 (a y : bool) : Q := if a then 0 else 1#2.
Definition world_1 (a y : bool) : Q := if a then 1#2 else 0.

(** Outputs are labels: right with the given rate, else the other label. *)
Definition classifier (right : bool -> bool -> Q) (a y z : bool) : Q :=
  if Bool.eqb z y then right a y else 1 - right a y.

(** Rates of being correct: group 0 on the labels 0 and 1, then group 1. *)
Definition rates (r00 r01 r10 r11 : Q) (a y : bool) : Q :=
  if a then (if y then r11 else r10) else (if y then r01 else r00).

Definition M : bool -> bool -> bool -> Q := classifier (rates 1 (1#2) (1#2) (1#2)).
Definition M' : bool -> bool -> bool -> Q := classifier (rates 1 (1#2) (1#2) 1).

Definition accuracy_gap (ch : bool -> bool -> bool -> Q) : Q :=
  advantage bits bits bits (correctness Bool.bool_dec) world_0 world_1 ch.

Theorem C3a :
  composition bits bits world_0 /\ composition bits bits world_1 /\ no_label_shift bits bits world_0 world_1 /\
  channel bits bits bits M /\ channel bits bits bits M' /\
  m bits world_0 world_1 false == 1#2 /\ m bits world_0 world_1 true == 1#2 /\
  delta bits bits M false == 1#2 /\ delta bits bits M true == 0 /\
  delta bits bits M' false == 1#2 /\ delta bits bits M' true == 1#2 /\
  accuracy_gap M == 1#4 /\ accuracy_gap M' == 0.
Proof. compute_facts. Qed.

(** The advantage falls although no disparity does. *)
Theorem C3a_necessary_fails :
  accuracy_gap M' < accuracy_gap M /\ forall y, In y bits -> delta bits bits M y <= delta bits bits M' y.
Proof. compute_facts. Qed.
