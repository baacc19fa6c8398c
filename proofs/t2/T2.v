(** T2 (tightness, with witness): the value TV_Y + sum_y m_y * delta_y of T1 is attained, in each of the labelled,
    unlabelled and correctness games, for every composition pair and all delta_y in [0, 1].
    With T1 this makes the value the maximum of the advantage over all channels with disparities at most delta_y
    ([T1_exact_labelled], [T1_exact_unlabelled], [T1_exact_correctness]).

    The witness is explicit: inside label y the groups with d > 0 fire at rate u and the others at rate l, with
    u - l = delta_y, and u = 1 if s_y >= 0, else l = 0.  "Firing" means showing one fixed output, or, in the
    correctness game, being correct.

    Source: docs/theory.md, T2; Proposition 1 of arXiv:2606.01719 claims tightness. *)

From Coq Require Import Reals List Lra.
From Fairbound.kernel Require Import Game.
From Fairbound.t1 Require Import T1.
Import ListNotations.
Open Scope R_scope.

Section Witness.
Context {Grp Lab Out : Type}.
Variable Out_dec : forall z z' : Out, {z = z'} + {z <> z'}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).
Variables (P0 P1 : Grp -> Lab -> R) (dl : Lab -> R).

(** The rate at which group a fires inside label y. *)
Definition witness_rate (a : Grp) (y : Lab) : R :=
  if Rle_dec 0 (s gs P0 P1 y)
  then (if Rlt_dec 0 (d P0 P1 a y) then 1 else 1 - dl y)
  else (if Rlt_dec 0 (d P0 P1 a y) then dl y else 0).

(** The classifier: shows [fire y] with that rate, else [stay y]. *)
Definition witness (fire stay : Lab -> Out) (a : Grp) (y : Lab) (z : Out) : R :=
  ind (Out_dec (fire y) z) * witness_rate a y + ind (Out_dec (stay y) z) * (1 - witness_rate a y).

Hypothesis dl_range : forall y, In y ls -> 0 <= dl y <= 1.

Lemma witness_rate_range a y : In y ls -> 0 <= witness_rate a y <= 1.
Proof.
  intros Hy. specialize (dl_range y Hy). unfold witness_rate.
  destruct (Rle_dec 0 _), (Rlt_dec 0 _); lra.
Qed.

Lemma witness_rate_gap a a' y : In y ls -> Rabs (witness_rate a y - witness_rate a' y) <= dl y.
Proof.
  intros Hy. specialize (dl_range y Hy). unfold witness_rate. apply Rabs_le.
  destruct (Rle_dec 0 _), (Rlt_dec 0 (d P0 P1 a y)), (Rlt_dec 0 (d P0 P1 a' y)); lra.
Qed.

(** What the witness earns inside label y: the shift where it is positive, and m_y delta_y. *)
Lemma witness_label y :
  Sum gs (fun a => d P0 P1 a y * witness_rate a y)
  = (Rabs (s gs P0 P1 y) + s gs P0 P1 y) / 2 + m gs P0 P1 y * dl y.
Proof.
  pose proof (s_Dp_Dm gs P0 P1 y) as E. unfold witness_rate. destruct (Rle_dec 0 (s gs P0 P1 y)) as [L|L].
  - transitivity (Dp gs P0 P1 y - Dm gs P0 P1 y * (1 - dl y)).
    + unfold Dp, Dm. rewrite <- Sum_scal_r, <- Sum_minus. apply Sum_ext. intros a _. unfold Rmax.
      destruct (Rlt_dec 0 (d P0 P1 a y)), (Rle_dec (d P0 P1 a y) 0), (Rle_dec (- d P0 P1 a y) 0); try lra.
      assert (d P0 P1 a y = 0) as -> by lra. lra.
    + rewrite Rabs_right by lra. unfold m. rewrite Rmin_right by lra. lra.
  - transitivity (Dp gs P0 P1 y * dl y).
    + unfold Dp. rewrite <- Sum_scal_r. apply Sum_ext. intros a _. unfold Rmax.
      destruct (Rlt_dec 0 (d P0 P1 a y)), (Rle_dec (d P0 P1 a y) 0); lra.
    + rewrite Rabs_left by lra. unfold m. rewrite Rmin_left by lra. lra.
Qed.

(** The witness in any game in which some test tells firing from not firing. *)
Theorem T2_attained (g : game Lab Out) (fire stay : Lab -> Out) (u : view g -> R) :
  proper ls os g -> NoDup os -> composition gs ls P0 -> composition gs ls P1 ->
  (forall y, In y ls -> In (fire y) os /\ In (stay y) os) ->
  test u -> (forall y, In y ls -> u (sees g y (fire y)) = 1 /\ u (sees g y (stay y)) = 0) ->
  channel gs ls os (witness fire stay) /\
  within gs ls os dl (witness fire stay) /\
  advantage gs ls os g P0 P1 (witness fire stay) = TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y).
Proof.
  intros Hg Ho H0 H1 Hz Hu Hfs.
  assert (HQ : channel gs ls os (witness fire stay)).
  { intros a y Ha Hy. destruct (Hz y Hy). pose proof (witness_rate_range a y Hy). split.
    - intros z _. unfold witness, ind. destruct (Out_dec (fire y) z), (Out_dec (stay y) z); lra.
    - unfold witness. rewrite Sum_plus.
      rewrite (Sum_ind Out_dec os (fun _ => witness_rate a y)) by assumption.
      rewrite (Sum_ind Out_dec os (fun _ => 1 - witness_rate a y)) by assumption. lra. }
  assert (HD : within gs ls os dl (witness fire stay)).
  { intros y Hy a a' Ha Ha'. destruct (Hz y Hy). eapply Rle_trans; [|apply (witness_rate_gap a a' y Hy)].
    unfold distance, TV. set (q := Rabs (witness_rate a y - witness_rate a' y)).
    assert (B : Sum os (fun z => Rabs (witness fire stay a y z - witness fire stay a' y z))
                <= Sum os (fun z => ind (Out_dec (fire y) z) * q + ind (Out_dec (stay y) z) * q)).
    { apply Sum_le. intros z _. unfold witness, q, ind.
      destruct (Out_dec (fire y) z), (Out_dec (stay y) z); unfold Rabs;
        repeat destruct (Rcase_abs _); lra. }
    rewrite Sum_plus, (Sum_ind Out_dec os (fun _ => q)), (Sum_ind Out_dec os (fun _ => q)) in B by assumption. lra. }
  split; [exact HQ|]. split; [exact HD|].
  apply Rle_antisym; [now apply T1_upper; [apply Hg| |]|].
  (* The test u earns the whole value. *)
  eapply Rle_trans; [|eapply Rle_trans; [apply Rle_abs | apply (test_le_advantage gs ls os g P0 P1 _ u); assumption]].
  rewrite !accepts_direct, <- Sum_minus by assumption. right.
  transitivity (Sum ls (fun y => Sum gs (fun a => d P0 P1 a y * witness_rate a y))).
  - transitivity (Sum ls (fun y => Rabs (s gs P0 P1 y) / 2 + m gs P0 P1 y * dl y) + Sum ls (s gs P0 P1) / 2).
    + rewrite (total_shift gs ls P0 P1 H0 H1), Sum_plus, Sum_div. unfold TV_Y. lra.
    + rewrite <- Sum_div, <- Sum_plus. apply Sum_ext. intros y _. rewrite witness_label. lra.
  - rewrite Sum_swap. apply Sum_ext. intros a Ha. rewrite <- Sum_minus. apply Sum_ext. intros y Hy.
    destruct (Hz y Hy), (Hfs y Hy) as [U1 U0].
    assert (E : forall P : Grp -> Lab -> R,
      Sum os (fun z => P a y * witness fire stay a y z * u (sees g y z)) = P a y * witness_rate a y).
    { intros P. unfold witness.
      transitivity (Sum os (fun z => ind (Out_dec (fire y) z) * (P a y * witness_rate a y * u (sees g y z))
                                   + ind (Out_dec (stay y) z) * (P a y * (1 - witness_rate a y) * u (sees g y z)))).
      - apply Sum_ext. intros. ring.
      - rewrite Sum_plus.
        rewrite (Sum_ind Out_dec os (fun z => P a y * witness_rate a y * u (sees g y z))) by assumption.
        rewrite (Sum_ind Out_dec os (fun z => P a y * (1 - witness_rate a y) * u (sees g y z))) by assumption.
        rewrite U1, U0. ring. }
    rewrite !E. unfold d. ring.
Qed.

End Witness.

(** ** The three games: the witness, and the exact value *)

Section Games.
Context {Grp Lab Out : Type}.
Variable Lab_dec : forall y y' : Lab, {y = y'} + {y <> y'}.
Variable Out_dec : forall z z' : Out, {z = z'} + {z <> z'}.
Variables (gs : list Grp) (ls : list Lab) (os : list Out).
Variables (P0 P1 : Grp -> Lab -> R) (dl : Lab -> R).

(** "[v] is the largest advantage in game [g] over the channels with disparities at most [dl]." *)
Definition is_worst_case {Out : Type} (os : list Out) (g : game Lab Out) (v : R) : Prop :=
  (forall Q, channel gs ls os Q -> within gs ls os dl Q -> advantage gs ls os g P0 P1 Q <= v) /\
  (exists Q, channel gs ls os Q /\ within gs ls os dl Q /\ advantage gs ls os g P0 P1 Q = v).

Hypothesis Hl : NoDup ls.
Hypothesis Ho : NoDup os.
Hypothesis H0 : composition gs ls P0.
Hypothesis H1 : composition gs ls P1.
Hypothesis dl_range : forall y, In y ls -> 0 <= dl y <= 1.

(** The binary witness shows z1 for "fires" and z0 for "does not". *)
Theorem T2_labelled (z0 z1 : Out) : In z0 os -> In z1 os -> z0 <> z1 ->
  let Q := witness Out_dec gs P0 P1 dl (fun _ => z1) (fun _ => z0) in
  channel gs ls os Q /\ within gs ls os dl Q /\
  advantage gs ls os (labelled Lab_dec Out_dec ls os) P0 P1 Q
  = TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y).
Proof.
  intros I0 I1 N. simpl.
  apply (T2_attained Out_dec gs ls os P0 P1 dl dl_range (labelled Lab_dec Out_dec ls os) _ _
    (fun v => ind (Out_dec (snd v) z1))); auto.
  - now apply labelled_proper.
  - intros v. unfold ind. destruct (Out_dec _ _); lra.
  - intros y _. simpl. unfold ind. destruct (Out_dec z1 z1), (Out_dec z0 z1); try contradiction; auto.
Qed.

Theorem T2_unlabelled (z0 z1 : Out) : In z0 os -> In z1 os -> z0 <> z1 ->
  let Q := witness Out_dec gs P0 P1 dl (fun _ => z1) (fun _ => z0) in
  channel gs ls os Q /\ within gs ls os dl Q /\
  advantage gs ls os (unlabelled Out_dec os) P0 P1 Q
  = TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y).
Proof.
  intros I0 I1 N. simpl.
  apply (T2_attained Out_dec gs ls os P0 P1 dl dl_range (unlabelled Out_dec os) _ _
    (fun v : view (unlabelled Out_dec os) => ind (Out_dec v z1))); auto.
  - now apply unlabelled_proper.
  - intros v. unfold ind. destruct (Out_dec _ _); lra.
  - intros y _. simpl. unfold ind. destruct (Out_dec z1 z1), (Out_dec z0 z1); try contradiction; auto.
Qed.

(** In the correctness game the witness is correct when it fires, else it shows another label. *)
Definition another (l0 l1 y : Lab) : Lab := if Lab_dec y l0 then l1 else l0.

Theorem T2_correctness (l0 l1 : Lab) : In l0 ls -> In l1 ls -> l0 <> l1 ->
  let Q := witness Lab_dec gs P0 P1 dl (fun y => y) (another l0 l1) in
  channel gs ls ls Q /\ within gs ls ls dl Q /\
  advantage gs ls ls (correctness Lab_dec) P0 P1 Q
  = TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y).
Proof.
  intros I0 I1 N. simpl.
  assert (A : forall y, another l0 l1 y <> y) by (intros y; unfold another; destruct (Lab_dec y l0); congruence).
  apply (T2_attained Lab_dec gs ls ls P0 P1 dl dl_range (correctness Lab_dec) _ _
    (fun v : view (correctness Lab_dec) => if v : bool then 1 else 0)); auto.
  - apply correctness_of_proper.
  - intros y Hy. split; [exact Hy|]. unfold another. destruct (Lab_dec y l0); assumption.
  - intros [|]; lra.
  - intros y _. simpl. specialize (A y).
    destruct (Lab_dec y y), (Lab_dec (another l0 l1 y) y); try contradiction; auto.
Qed.

Theorem T1_exact_labelled : (exists z0 z1, In z0 os /\ In z1 os /\ z0 <> z1) ->
  is_worst_case os (labelled Lab_dec Out_dec ls os) (TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y)).
Proof.
  intros (z0 & z1 & I0 & I1 & N). split.
  - intros Q HQ HD. now apply T1_upper; [apply labelled_proper| |].
  - eexists. now apply (T2_labelled z0 z1).
Qed.

Theorem T1_exact_unlabelled : (exists z0 z1, In z0 os /\ In z1 os /\ z0 <> z1) ->
  is_worst_case os (unlabelled Out_dec os) (TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y)).
Proof.
  intros (z0 & z1 & I0 & I1 & N). split.
  - intros Q HQ HD. now apply T1_upper.
  - eexists. now apply (T2_unlabelled z0 z1).
Qed.

Theorem T1_exact_correctness : (exists l0 l1, In l0 ls /\ In l1 ls /\ l0 <> l1) ->
  is_worst_case ls (correctness Lab_dec) (TV_Y gs ls P0 P1 + Sum ls (fun y => m gs P0 P1 y * dl y)).
Proof.
  intros (l0 & l1 & I0 & I1 & N). split.
  - intros Q HQ HD. apply T1_upper; [apply (correctness_of_proper ls ls) | exact HQ | exact HD].
  - eexists. now apply (T2_correctness l0 l1).
Qed.

End Games.
