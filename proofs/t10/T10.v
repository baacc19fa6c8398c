(** T10 (i) (Shannon): for three variables X, Y, Z,
      I(X,Z ; Y,Z) - I(X ; Y) = H(Z|X,Y) + I(X;Z|Y) + I(Y;Z|X) >= 0.
    The identity holds for every function H on the seven non-empty subsets of {X, Y, Z}; the right side is a
    combination, with coefficients 1, of three elemental inequalities, hence non-negative wherever those hold
    ([T10_nonnegative]); and the three do hold for the entropies of every finite joint distribution
    ([T10_distribution]).  The logarithm enters through two properties, log(t u) = log t + log u and log t <= t - 1
    for positive t, u, which characterise the natural logarithm; the library's own [ln] has them, but its
    construction uses a further axiom (classical logic), which these theorems do not need.

    Source: docs/theory.md, T10; the cost of a coupled component Z in SPIN (arXiv:2410.16672). *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
Import ListNotations.
Open Scope R_scope.

(** An entropy function: one number per non-empty subset of {X, Y, Z}. *)
Record entropies := Entropies { hX : R; hY : R; hZ : R; hXY : R; hXZ : R; hYZ : R; hXYZ : R }.

Section Shannon.
Variable h : entropies.

(** I(X;Y) *)
Definition I_X_Y : R := hX h + hY h - hXY h.
(** I(X,Z;Y,Z) = H(X,Z) + H(Y,Z) - H(X,Y,Z) *)
Definition I_XZ_YZ : R := hXZ h + hYZ h - hXYZ h.
(** H(Z|X,Y) *)
Definition H_Z_given_XY : R := hXYZ h - hXY h.
(** I(X;Z|Y) *)
Definition I_X_Z_given_Y : R := hXY h + hYZ h - hY h - hXYZ h.
(** I(Y;Z|X) *)
Definition I_Y_Z_given_X : R := hXY h + hXZ h - hX h - hXYZ h.

(** The elemental inequalities of three variables. *)
Definition elemental : Prop :=
  0 <= hXYZ h - hYZ h /\ 0 <= hXYZ h - hXZ h /\ 0 <= hXYZ h - hXY h /\
  0 <= hX h + hY h - hXY h /\ 0 <= hX h + hZ h - hXZ h /\ 0 <= hY h + hZ h - hYZ h /\
  0 <= hXZ h + hYZ h - hZ h - hXYZ h /\ 0 <= hXY h + hYZ h - hY h - hXYZ h /\
  0 <= hXY h + hXZ h - hX h - hXYZ h.

Theorem T10_identity : I_XZ_YZ - I_X_Y = H_Z_given_XY + I_X_Z_given_Y + I_Y_Z_given_X.
Proof. unfold I_XZ_YZ, I_X_Y, H_Z_given_XY, I_X_Z_given_Y, I_Y_Z_given_X. ring. Qed.

Theorem T10_nonnegative : elemental ->
  0 <= H_Z_given_XY /\ 0 <= I_X_Z_given_Y /\ 0 <= I_Y_Z_given_X /\ I_X_Y <= I_XZ_YZ.
Proof.
  intros E. pose proof T10_identity as I. unfold elemental in E.
  assert (0 <= H_Z_given_XY) by (unfold H_Z_given_XY; tauto).
  assert (0 <= I_X_Z_given_Y) by (unfold I_X_Z_given_Y; tauto).
  assert (0 <= I_Y_Z_given_X) by (unfold I_Y_Z_given_X; tauto).
  repeat split; lra.
Qed.

End Shannon.

(** ** The entropies of a finite joint distribution p(x, y, z), in nats *)

Section Entropy.
Variable log : R -> R.
Hypothesis log_mult : forall t u, 0 < t -> 0 < u -> log (t * u) = log t + log u.
Hypothesis log_le : forall t, 0 < t -> log t <= t - 1.

(** -t log t; zero at t = 0. *)
Definition eta (t : R) : R := - (t * log t).

Section Distribution.
Context {X Y Z : Type}.
Variables (xs : list X) (ys : list Y) (zs : list Z) (p : X -> Y -> Z -> R).

Definition entropies_of : entropies := {|
  hX := Sum xs (fun x => eta (Sum ys (fun y => Sum zs (fun z => p x y z))));
  hY := Sum ys (fun y => eta (Sum xs (fun x => Sum zs (fun z => p x y z))));
  hZ := Sum zs (fun z => eta (Sum xs (fun x => Sum ys (fun y => p x y z))));
  hXY := Sum xs (fun x => Sum ys (fun y => eta (Sum zs (fun z => p x y z))));
  hXZ := Sum xs (fun x => Sum zs (fun z => eta (Sum ys (fun y => p x y z))));
  hYZ := Sum ys (fun y => Sum zs (fun z => eta (Sum xs (fun x => p x y z))));
  hXYZ := Sum xs (fun x => Sum ys (fun y => Sum zs (fun z => eta (p x y z))))
|}.

End Distribution.

(** t log(t / u) >= t - u. *)
Lemma log_term (t u : R) : 0 < t -> 0 < u -> t - u <= t * (log t - log u).
Proof.
  intros Ht Hu. assert (Q : 0 < u / t) by now apply Rdiv_lt_0_compat.
  assert (E : log u = log t + log (u / t)).
  { rewrite <- log_mult by assumption. f_equal. field. lra. }
  pose proof (Rmult_le_compat_l t _ _ (Rlt_le _ _ Ht) (log_le (u / t) Q)) as L.
  replace (t * (u / t - 1)) with (u - t) in L by (field; lra). rewrite E. lra.
Qed.

Lemma log_monotone (t u : R) : 0 < t -> t <= u -> log t <= log u.
Proof.
  intros Ht L. pose proof (log_term u t ltac:(lra) Ht) as E.
  apply Rmult_le_reg_l with u; lra.
Qed.

Lemma term_le_Sum {T : Type} (l : list T) (f : T -> R) (x : T) :
  (forall x, In x l -> 0 <= f x) -> In x l -> f x <= Sum l f.
Proof.
  induction l as [|y l IH]; simpl; intros H Hx; [easy|].
  assert (0 <= f y) by (apply H; now left).
  assert (0 <= Sum l f) by (apply Sum_nonneg; intros; apply H; now right).
  destruct Hx as [->|Hx]; [lra|]. enough (f x <= Sum l f) by lra. apply IH; auto.
Qed.

(** Merging outcomes does not raise the entropy: H(U, V) >= H(U). *)
Lemma eta_Sum {T : Type} (l : list T) (f : T -> R) :
  (forall x, In x l -> 0 <= f x) -> eta (Sum l f) <= Sum l (fun x => eta (f x)).
Proof.
  intros H. unfold eta at 1. rewrite Ropp_mult_distr_r, <- Sum_scal_r. apply Sum_le. intros x Hx. unfold eta.
  pose proof (term_le_Sum l f x H Hx) as L. destruct (H x Hx) as [P|E]; [|rewrite <- E; lra].
  enough (f x * log (f x) <= f x * log (Sum l f)) by lra. apply Rmult_le_compat_l; [lra|].
  now apply log_monotone.
Qed.

(** Mutual information is non-negative, also for masses that do not add up to 1 (the slices of a joint distribution). *)
Lemma mutual_information {T U : Type} (ts : list T) (us : list U) (f : T -> U -> R) :
  (forall t u, In t ts -> In u us -> 0 <= f t u) ->
  eta (Sum ts (fun t => Sum us (fun u => f t u))) + Sum ts (fun t => Sum us (fun u => eta (f t u)))
  <= Sum ts (fun t => eta (Sum us (fun u => f t u))) + Sum us (fun u => eta (Sum ts (fun t => f t u))).
Proof.
  intros H.
  set (a := fun t => Sum us (fun u => f t u)). set (b := fun u => Sum ts (fun t => f t u)).
  assert (Ha : forall t, In t ts -> 0 <= a t) by (intros; apply Sum_nonneg; auto).
  assert (Hb : forall u, In u us -> 0 <= b u) by (intros; apply Sum_nonneg; auto).
  change (Sum ts (fun t => Sum us (fun u => f t u))) with (Sum ts a).
  change (Sum ts (fun t => eta (Sum us (fun u => f t u)))) with (Sum ts (fun t => eta (a t))).
  change (Sum us (fun u => eta (Sum ts (fun t => f t u)))) with (Sum us (fun u => eta (b u))).
  set (c := Sum ts a).
  assert (Ec : Sum us b = c) by (unfold b, c, a; apply Sum_swap).
  assert (Hc : 0 <= c) by now apply Sum_nonneg.
  (* The difference of the sides is sum f (log f + log c - log a - log b), term by term at least f - a b / c. *)
  assert (D : Sum ts (fun t => eta (a t)) + Sum us (fun u => eta (b u)) - eta c
              - Sum ts (fun t => Sum us (fun u => eta (f t u)))
              = Sum ts (fun t => Sum us (fun u => f t u * (log (f t u) + log c - log (a t) - log (b u))))).
  { transitivity (Sum ts (fun t => Sum us (fun u => f t u * - log (a t)))
                  + Sum ts (fun t => Sum us (fun u => f t u * - log (b u)))
                  + Sum ts (fun t => Sum us (fun u => f t u * log c))
                  + Sum ts (fun t => Sum us (fun u => f t u * log (f t u)))).
    - assert (A : Sum ts (fun t => Sum us (fun u => f t u * - log (a t))) = Sum ts (fun t => eta (a t))).
      { apply Sum_ext; intros t _. rewrite Sum_scal_r. change (a t * - log (a t) = eta (a t)). unfold eta. ring. }
      assert (B : Sum ts (fun t => Sum us (fun u => f t u * - log (b u))) = Sum us (fun u => eta (b u))).
      { rewrite Sum_swap. apply Sum_ext; intros u _. rewrite Sum_scal_r.
        change (b u * - log (b u) = eta (b u)). unfold eta. ring. }
      assert (C : Sum ts (fun t => Sum us (fun u => f t u * log c)) = - eta c).
      { transitivity (Sum ts a * log c); [|unfold eta; fold c; ring]. rewrite <- Sum_scal_r.
        apply Sum_ext; intros t _. apply Sum_scal_r. }
      assert (F : Sum ts (fun t => Sum us (fun u => f t u * log (f t u)))
                  = - Sum ts (fun t => Sum us (fun u => eta (f t u)))).
      { replace (- Sum ts (fun t => Sum us (fun u => eta (f t u))))
          with (-1 * Sum ts (fun t => Sum us (fun u => eta (f t u)))) by ring.
        rewrite <- Sum_scal_l. apply Sum_ext; intros t _. rewrite <- Sum_scal_l. apply Sum_ext; intros u _.
        unfold eta. ring. }
      rewrite A, B, C, F. ring.
    - rewrite <- !Sum_plus. apply Sum_ext; intros t _. rewrite <- !Sum_plus. apply Sum_ext; intros u _. ring. }
  enough (0 <= Sum ts (fun t => Sum us (fun u => f t u * (log (f t u) + log c - log (a t) - log (b u))))) by lra.
  apply Rle_trans with (Sum ts (fun t => Sum us (fun u => f t u - a t * b u / c))).
  - right. transitivity (c - c * c / c).
    + destruct Hc as [Hc|Hc]; [field; lra | rewrite <- Hc; unfold Rdiv; ring].
    + assert (AB : Sum ts (fun t => Sum us (fun u => a t * b u / c)) = c * c / c).
      { transitivity (Sum ts (fun t => a t * (c / c))).
        - apply Sum_ext; intros t _. transitivity (Sum us (fun u => b u * (a t / c))).
          + apply Sum_ext; intros u _. unfold Rdiv. ring.
          + rewrite Sum_scal_r. change (Sum us b * (a t / c) = a t * (c / c)). rewrite Ec. unfold Rdiv. ring.
        - rewrite Sum_scal_r. change (c * (c / c) = c * c / c). unfold Rdiv. ring. }
      rewrite <- AB. unfold c at 1, a at 1. rewrite <- Sum_minus. apply Sum_ext; intros t _. now rewrite <- Sum_minus.
  - apply Sum_le; intros t Ht. apply Sum_le; intros u Hu.
    destruct (H t u Ht Hu) as [P|E].
    + assert (At : f t u <= a t) by (apply (term_le_Sum us (f t)); auto).
      assert (Bu : f t u <= b u) by (apply (term_le_Sum ts (fun t => f t u)); auto).
      assert (Ct : a t <= c) by now apply term_le_Sum.
      pose proof (log_term (f t u) (a t * b u / c) P) as L.
      assert (AB : 0 < a t * b u) by (apply Rmult_lt_0_compat; lra).
      assert (R : 0 < a t * b u / c) by (apply Rdiv_lt_0_compat; lra).
      assert (E : log (a t) + log (b u) = log (a t * b u / c) + log c).
      { rewrite <- !log_mult by lra. f_equal. field. lra. }
      specialize (L R).
      replace (log (f t u) + log c - log (a t) - log (b u)) with (log (f t u) - log (a t * b u / c)) by lra. exact L.
    + rewrite <- E. destruct Hc as [Hc|Hc].
      * pose proof (Rmult_le_pos _ _ (Rmult_le_pos _ _ (Ha t Ht) (Hb u Hu)) (Rlt_le _ _ (Rinv_0_lt_compat c Hc))).
        unfold Rdiv. lra.
      * assert (Z : a t = 0).
        { pose proof (term_le_Sum ts a t Ha Ht) as L. fold c in L. pose proof (Ha t Ht). lra. }
        rewrite Z. unfold Rdiv. lra.
Qed.

Theorem T10_distribution {X Y Z : Type} (xs : list X) (ys : list Y) (zs : list Z) (p : X -> Y -> Z -> R) :
  (forall x y z, In x xs -> In y ys -> In z zs -> 0 <= p x y z) ->
  let h := entropies_of xs ys zs p in
  0 <= H_Z_given_XY h /\ 0 <= I_X_Z_given_Y h /\ 0 <= I_Y_Z_given_X h /\ I_X_Y h <= I_XZ_YZ h.
Proof.
  intros H h. pose proof (T10_identity h) as I.
  assert (A : 0 <= H_Z_given_XY h).
  { enough (hXY h <= hXYZ h) by (unfold H_Z_given_XY; lra). simpl.
    apply Sum_le; intros x Hx. apply Sum_le; intros y Hy. apply eta_Sum. auto. }
  assert (B : 0 <= I_X_Z_given_Y h).
  { enough (hY h + hXYZ h <= hXY h + hYZ h) by (unfold I_X_Z_given_Y; lra). simpl.
    rewrite (Sum_swap xs ys (fun x y => Sum zs (fun z => eta (p x y z)))).
    rewrite (Sum_swap xs ys (fun x y => eta (Sum zs (fun z => p x y z)))), <- !Sum_plus.
    apply Sum_le; intros y Hy. apply (mutual_information xs zs (fun x z => p x y z)). auto. }
  assert (C : 0 <= I_Y_Z_given_X h).
  { enough (hX h + hXYZ h <= hXY h + hXZ h) by (unfold I_Y_Z_given_X; lra). simpl. rewrite <- !Sum_plus.
    apply Sum_le; intros x Hx. apply (mutual_information ys zs (fun y z => p x y z)). auto. }
  repeat split; lra.
Qed.

End Entropy.
