(** T1b (optimal-transport form): let w y a a' bound the pairwise distance TV(Q(.|a,y), Q(.|a',y)).  For every label
    let a transport plan f y a a' >= 0 ship mass from groups with d > 0 to groups with d < 0: at most max(d,0) out of
    a, at most max(-d,0) into a', m_y in all.  Then, in every game and for any output alphabet,
      Adv <= TV_Y + sum_y sum_{a,a'} f y a a' * w y a a'.
    So any feasible plan is a certificate; one exists, and with w y a a' = delta_y it costs T1's value.
    [T1b_residual] needs no feasibility: the mass that a plan leaves unmatched is paid for at 1/2 per unit.

    Source: docs/theory.md, T1b. *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
From Fairbound.t1 Require Import T1.
Import ListNotations.
Open Scope R_scope.

Section T1b.
Context {Grp Lab Out : Type}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).
Variables P0 P1 : Grp -> Lab -> R.

(** Mass shipped out of, and into, group [a] inside one label. *)
Definition outflow (f : Grp -> Grp -> R) (a : Grp) : R := Sum gs (fun b => f a b).
Definition inflow (f : Grp -> Grp -> R) (a : Grp) : R := Sum gs (fun b => f b a).
Definition cost (f w : Grp -> Grp -> R) : R := Sum gs (fun a => Sum gs (fun b => f a b * w a b)).

(** What the plan leaves of d(a,y). *)
Definition residual (f : Grp -> Grp -> R) (a : Grp) (y : Lab) : R := d P0 P1 a y - outflow f a + inflow f a.

Definition feasible (f : Grp -> Grp -> R) (y : Lab) : Prop :=
  (forall a, In a gs -> outflow f a <= Rmax (d P0 P1 a y) 0) /\
  (forall a, In a gs -> inflow f a <= Rmax (- d P0 P1 a y) 0) /\
  Sum gs (outflow f) = m gs P0 P1 y.

Lemma T1b_label (f w : Grp -> Grp -> R) (r : Grp -> R) (y : Lab) :
  (forall a b, In a gs -> In b gs -> 0 <= f a b) ->
  (forall a b, In a gs -> In b gs -> r a - r b <= w a b) ->
  (forall a, In a gs -> - (1/2) <= r a <= 1/2) ->
  Sum gs (fun a => d P0 P1 a y * r a) <= cost f w + Sum gs (fun a => Rabs (residual f a y)) / 2.
Proof.
  intros Hf Hw Hr.
  (* sum d r = sum f (r_a - r_b) + sum residual r *)
  assert (E : Sum gs (fun a => d P0 P1 a y * r a)
              = Sum gs (fun a => Sum gs (fun b => f a b * (r a - r b))) + Sum gs (fun a => residual f a y * r a)).
  { assert (S : Sum gs (fun a => Sum gs (fun b => f a b * (r a - r b)))
                = Sum gs (fun a => outflow f a * r a) - Sum gs (fun a => inflow f a * r a)).
    { unfold inflow, outflow. transitivity (Sum gs (fun a => Sum gs (fun b => f a b * r a))
                                            - Sum gs (fun a => Sum gs (fun b => f a b * r b))).
      - rewrite <- Sum_minus. apply Sum_ext; intros a _. rewrite <- Sum_minus. apply Sum_ext; intros; ring.
      - rewrite (Sum_swap gs gs (fun a b => f a b * r b)).
        f_equal; apply Sum_ext; intros; now rewrite Sum_scal_r. }
    rewrite S, <- Sum_minus, <- Sum_plus. apply Sum_ext; intros a _. unfold residual. ring. }
  rewrite E. apply Rplus_le_compat.
  - apply Sum_le; intros a Ha. apply Sum_le; intros b Hb. apply Rmult_le_compat_l; auto.
  - rewrite <- Sum_div. apply Sum_le; intros a Ha. specialize (Hr a Ha). set (e := residual f a y).
    destruct (Rcase_abs e) as [N|N].
    + rewrite Rabs_left by exact N. pose proof (Rmult_le_compat_l (- e) (- r a) (1/2) ltac:(lra) ltac:(lra)). lra.
    + rewrite Rabs_right by exact N. pose proof (Rmult_le_compat_l e (r a) (1/2) ltac:(lra) ltac:(lra)). lra.
Qed.

Section Bound.
Variables (g : game Lab Out) (Q : Grp -> Lab -> Out -> R).
Variables (f w : Lab -> Grp -> Grp -> R).
Hypothesis N : NoDup (views g).
Hypothesis HQ : channel gs ls os Q.
Hypothesis Hf : forall y a b, In y ls -> In a gs -> In b gs -> 0 <= f y a b.
Hypothesis Hw : forall y a b, In y ls -> In a gs -> In b gs -> distance os Q y a b <= w y a b.

Theorem T1b_residual :
  advantage gs ls os g P0 P1 Q
  <= Sum ls (fun y => cost (f y) (w y) + Sum gs (fun a => Rabs (residual (f y) a y)) / 2).
Proof.
  destruct (advantage_as_test gs ls os g P0 P1 Q N) as [t [Ht ->]].
  apply Sum_le; intros y Hy. apply T1b_label.
  - intros; now apply Hf.
  - intros a b Ha Hb. eapply Rle_trans; [apply rate_gap; auto | now apply Hw].
  - intros a Ha. apply rate_range; auto.
Qed.

(** What a feasible plan leaves has one sign, that of s_y, so it adds up to |s_y|. *)
Lemma feasible_residual (h : Grp -> Grp -> R) (y : Lab) :
  (forall a b, In a gs -> In b gs -> 0 <= h a b) -> feasible h y ->
  Sum gs (fun a => Rabs (residual h a y)) <= Rabs (s gs P0 P1 y).
Proof.
  intros Hh (Fo & Fi & Fm).
  assert (Io : forall a, In a gs -> 0 <= outflow h a) by (intros; apply Sum_nonneg; auto).
  assert (Ii : forall a, In a gs -> 0 <= inflow h a) by (intros; apply Sum_nonneg; auto).
  assert (Fm' : Sum gs (inflow h) = m gs P0 P1 y) by (rewrite <- Fm; unfold inflow, outflow; apply Sum_swap).
  assert (B : Sum gs (fun a => Rabs (residual h a y))
              <= (Dp gs P0 P1 y - m gs P0 P1 y) + (Dm gs P0 P1 y - m gs P0 P1 y)).
  { rewrite <- Fm at 1. rewrite <- Fm'. unfold Dp, Dm. rewrite <- !Sum_minus, <- Sum_plus. apply Sum_le; intros a Ha.
    specialize (Fo a Ha). specialize (Fi a Ha). specialize (Io a Ha). specialize (Ii a Ha). unfold residual.
    unfold Rmax, Rabs in *.
    destruct (Rle_dec (d P0 P1 a y) 0), (Rle_dec (- d P0 P1 a y) 0), (Rcase_abs _); lra. }
  rewrite s_Dp_Dm. revert B. unfold m, Rmin, Rabs. destruct (Rle_dec _ _), (Rcase_abs _); lra.
Qed.

Theorem T1b :
  (forall y, In y ls -> feasible (f y) y) ->
  advantage gs ls os g P0 P1 Q <= TV_Y gs ls P0 P1 + Sum ls (fun y => cost (f y) (w y)).
Proof.
  intros F. eapply Rle_trans; [apply T1b_residual|].
  unfold TV_Y. rewrite <- Sum_div, <- Sum_plus. apply Sum_le; intros y Hy.
  pose proof (feasible_residual (f y) y (fun a b => Hf y a b Hy) (F y Hy)). lra.
Qed.

End Bound.

(** With the label's largest distance as the price, every feasible plan costs m_y delta_y: T1's value. *)
Theorem T1b_gives_T1 (f : Grp -> Grp -> R) (y : Lab) (dl : R) :
  feasible f y -> cost f (fun _ _ => dl) = m gs P0 P1 y * dl.
Proof.
  intros (_ & _ & E). rewrite <- E, <- Sum_scal_r. apply Sum_ext; intros a _. unfold outflow. now rewrite Sum_scal_r.
Qed.

(** A feasible plan exists: ship out of each source in proportion to the sinks, scaled to the smaller side. *)
Theorem T1b_plan_exists (y : Lab) :
  exists f, (forall a b, 0 <= f a b) /\ feasible f y.
Proof.
  set (S := Rmax (Dp gs P0 P1 y) (Dm gs P0 P1 y)).
  pose proof (Dp_nonneg gs P0 P1 y) as Np. pose proof (Dm_nonneg gs P0 P1 y) as Nm.
  assert (Lp : Dp gs P0 P1 y <= S) by apply Rmax_l. assert (Lm : Dm gs P0 P1 y <= S) by apply Rmax_r.
  assert (Pp : forall a, 0 <= Rmax (d P0 P1 a y) 0) by (intros; apply Rmax_r).
  assert (Pm : forall a, 0 <= Rmax (- d P0 P1 a y) 0) by (intros; apply Rmax_r).
  destruct (Rlt_dec 0 S) as [P|Z].
  - exists (fun a b => Rmax (d P0 P1 a y) 0 * (Rmax (- d P0 P1 b y) 0 / S)).
    assert (I : 0 < / S) by now apply Rinv_0_lt_compat.
    assert (Q : forall x, x <= S -> x / S <= 1).
    { intros x L. apply Rmult_le_compat_r with (r := / S) in L; [|lra]. rewrite Rinv_r in L by lra. exact L. }
    assert (Eo : forall a, outflow (fun a b => Rmax (d P0 P1 a y) 0 * (Rmax (- d P0 P1 b y) 0 / S)) a
                           = Rmax (d P0 P1 a y) 0 * (Dm gs P0 P1 y / S)).
    { intros a. unfold outflow. now rewrite Sum_scal_l, Sum_div. }
    assert (Ei : forall b, inflow (fun a b => Rmax (d P0 P1 a y) 0 * (Rmax (- d P0 P1 b y) 0 / S)) b
                           = Rmax (- d P0 P1 b y) 0 * (Dp gs P0 P1 y / S)).
    { intros b. unfold inflow. rewrite Sum_scal_r. fold (Dp gs P0 P1 y). unfold Rdiv. ring. }
    split; [|split; [|split]].
    + intros a b. apply Rmult_le_pos; [auto|]. apply Rmult_le_pos; [auto | lra].
    + intros a _. rewrite Eo. pose proof (Rmult_le_compat_l _ _ _ (Pp a) (Q _ Lm)). lra.
    + intros b _. rewrite Ei. pose proof (Rmult_le_compat_l _ _ _ (Pm b) (Q _ Lp)). lra.
    + rewrite (Sum_ext gs _ _ (fun a _ => Eo a)), Sum_scal_r. fold (Dp gs P0 P1 y).
      unfold m, S, Rmin, Rmax. destruct (Rle_dec (Dp gs P0 P1 y) (Dm gs P0 P1 y)) as [L|L].
      * field. unfold S in P. rewrite Rmax_right in P; lra.
      * field. lra.
  - exists (fun _ _ => 0).
    assert (E : forall a, outflow (fun _ _ => 0) a = 0 /\ inflow (fun _ _ => 0) a = 0).
    { intros a. split; apply Sum_zero. }
    split; [intros; lra|]. split; [|split].
    + intros a _. destruct (E a) as [-> _]. apply Pp.
    + intros a _. destruct (E a) as [_ ->]. apply Pm.
    + rewrite (Sum_ext gs _ (fun _ => 0)) by (intros; apply E). rewrite Sum_zero.
      unfold m. rewrite Rmin_left; lra.
Qed.

End T1b.
