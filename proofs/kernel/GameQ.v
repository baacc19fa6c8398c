(** GameQ: the definitions of Game over the rationals, where they compute.  The counterexamples are evaluated with
    them.  Same names, same formulas; [game] and the three games are those of Game.

    Source: as Game. *)

From Coq Require Import QArith Qabs List.
From Fairbound.kernel Require Import Game.
Import ListNotations.
Open Scope Q_scope.

Fixpoint Sum {T : Type} (l : list T) (f : T -> Q) : Q :=
  match l with
  | [] => 0
  | x :: r => f x + Sum r f
  end.

Definition larger (x y : Q) : Q := if Qle_bool x y then y else x.
Definition smaller (x y : Q) : Q := if Qle_bool x y then x else y.

Fixpoint Max {T : Type} (l : list T) (f : T -> Q) : Q :=
  match l with
  | [] => 0
  | [x] => f x
  | x :: r => larger (f x) (Max r f)
  end.

Definition ind {P R : Prop} (b : {P} + {R}) : Q := if b then 1 else 0.

Definition TV {T : Type} (l : list T) (p q : T -> Q) : Q := Sum l (fun x => Qabs (p x - q x)) / 2.

Definition pmf {T : Type} (l : list T) (p : T -> Q) : Prop := (forall x, In x l -> 0 <= p x) /\ Sum l p == 1.

Section Setting.
Context {Grp Lab Out : Type}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).

Definition composition (P : Grp -> Lab -> Q) : Prop :=
  (forall a y, In a gs -> In y ls -> 0 <= P a y) /\ Sum gs (fun a => Sum ls (fun y => P a y)) == 1.

Definition channel (ch : Grp -> Lab -> Out -> Q) : Prop :=
  forall a y, In a gs -> In y ls -> pmf os (ch a y).

Section Pair.
Variables P0 P1 : Grp -> Lab -> Q.
Definition d (a : Grp) (y : Lab) : Q := P0 a y - P1 a y.
Definition s (y : Lab) : Q := Sum gs (fun a => d a y).
Definition Dp (y : Lab) : Q := Sum gs (fun a => larger (d a y) 0).
Definition Dm (y : Lab) : Q := Sum gs (fun a => larger (- d a y) 0).
Definition m (y : Lab) : Q := smaller (Dp y) (Dm y).
Definition TV_Y : Q := Sum ls (fun y => Qabs (s y)) / 2.
Definition W : Q := TV (list_prod gs ls) (fun ay => P0 (fst ay) (snd ay)) (fun ay => P1 (fst ay) (snd ay)).
Definition no_label_shift : Prop := forall y, In y ls -> Sum gs (fun a => P0 a y) == Sum gs (fun a => P1 a y).
End Pair.

Definition distance (ch : Grp -> Lab -> Out -> Q) (y : Lab) (a a' : Grp) : Q := TV os (ch a y) (ch a' y).
Definition delta (ch : Grp -> Lab -> Out -> Q) (y : Lab) : Q :=
  Max (list_prod gs gs) (fun aa => distance ch y (fst aa) (snd aa)).
Definition Delta_EO (ch : Grp -> Lab -> Out -> Q) : Q := Max ls (delta ch).

Definition view_of (g : game Lab Out) (ch : Grp -> Lab -> Out -> Q) (P : Grp -> Lab -> Q) (v : view g) : Q :=
  Sum gs (fun a => Sum ls (fun y => Sum os (fun z => P a y * ch a y z * ind (view_dec g (sees g y z) v)))).

Definition advantage (g : game Lab Out) (P0 P1 : Grp -> Lab -> Q) (ch : Grp -> Lab -> Out -> Q) : Q :=
  TV (views g) (view_of g ch P0) (view_of g ch P1).

End Setting.

(** The channel of a binary classifier. *)
Definition binary {Grp Lab : Type} (r : Grp -> Lab -> Q) (a : Grp) (y : Lab) (z : bool) : Q :=
  if z then r a y else 1 - r a y.

(** Decides the facts about concrete numbers that the counterexamples consist of: takes conjunctions apart, runs
    through the elements of enumerated types, and computes. *)
Ltac compute_facts :=
  lazymatch goal with
  | |- _ /\ _ => split; compute_facts
  | |- composition _ _ _ => unfold composition; compute_facts
  | |- channel _ _ _ _ => unfold channel, pmf; compute_facts
  | |- no_label_shift _ _ _ _ => unfold no_label_shift; compute_facts
  | |- In _ _ -> _ => intros _; compute_facts
  | |- forall _, _ => intros []; compute_facts
  | |- _ => vm_compute; first [reflexivity | discriminate]
  end.
