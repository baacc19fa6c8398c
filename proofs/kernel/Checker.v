(** Checker: a boolean function over the rationals that checks a transport certificate of an upper bound on the
    advantage, and the proof that it is sound (T1 and T1b, instance by instance, without any axiom).

    A certificate lists, for each label, the masses P0(a,y), P1(a,y) of every group, a transport plan (flows between
    groups) and the prices: delta_y for every pair of groups, or a matrix of pairwise distances.
    [check cert bound = true] implies ([check_sound]): both worlds are probability mass functions, and for every finite
    output alphabet, every channel Q(z|a,y) with rational probabilities whose rows within label y are at total variation
    at most the prices, and every randomised test, with rational probabilities, of what one draw shows (labelled,
    correctness, unlabelled, or any other view of (y, z)),
      | P0(test accepts) - P1(test accepts) | <= bound.
    No price is negative, so there are such channels ([check_nonvacuous]) and the bound is not negative either.
    Channels and tests range over the rationals here; the real-valued statements are T1 and T1b (T1.v and T1b.v), which
    rest on the axioms of Coq's reals.

    The file imports the standard library alone.  To certify numbers, append them to its text as in the example at its
    end, and compile.

    Source: docs/theory.md, T1 and T1b.  The flows need not be optimal, nor even feasible: mass that they leave unmatched
    is paid for at 1/2 per unit, which is |s_y| / 2 for a feasible plan. *)

From Coq Require Import QArith Qabs Qreduction List Lqa Bool Arith Lia.
Import ListNotations.
Open Scope Q_scope.

(** * Certificates *)

(** Masses of one (group, label) cell in world 0 and in world 1. *)
Record cell := Cell { mass_0 : Q; mass_1 : Q }.

(** Ship an amount from one group (with d > 0) to another (with d < 0); groups are numbered from 0. *)
Record flow := Ship { source : nat; target : nat; amount : Q }.

(** One label: a cell per group, the plan, the disparity delta_y, and a matrix of pairwise distances; [disparity] is
    the price of the pairs that the matrix leaves out, so with the matrix [] of all pairs. *)
Record label := Label { cells : list cell; flows : list flow; disparity : Q; pairwise : list (list Q) }.

Record certificate := Certificate { groups : nat; labels : list label }.

(** * Statements *)

Fixpoint sum {T : Type} (l : list T) (f : T -> Q) : Q :=
  match l with
  | [] => 0
  | x :: r => f x + sum r f
  end.

Definition group_list (c : certificate) : list nat := seq 0 (groups c).
Definition label_list (c : certificate) : list nat := seq 0 (length (labels c)).

Definition the_label (c : certificate) (y : nat) : label := nth y (labels c) (Label [] [] 0 []).
Definition the_cell (l : label) (a : nat) : cell := nth a (cells l) (Cell 0 0).

(** The masses P0(a,y) and P1(a,y). *)
Definition P0 (c : certificate) (a y : nat) : Q := mass_0 (the_cell (the_label c y) a).
Definition P1 (c : certificate) (a y : nat) : Q := mass_1 (the_cell (the_label c y) a).

Definition composition (c : certificate) (P : nat -> nat -> Q) : Prop :=
  (forall a y, In a (group_list c) -> In y (label_list c) -> 0 <= P a y) /\
  sum (label_list c) (fun y => sum (group_list c) (fun a => P a y)) == 1.

(** The price of the groups i, j inside a label. *)
Definition price (l : label) (i j : nat) : Q := nth j (nth i (pairwise l) []) (disparity l).

(** Each [ch a y] is a probability mass function over the outputs. *)
Definition channel (c : certificate) {Out : Type} (os : list Out) (ch : nat -> nat -> Out -> Q) : Prop :=
  forall a y, In a (group_list c) -> In y (label_list c) ->
    (forall z, In z os -> 0 <= ch a y z) /\ sum os (ch a y) == 1.

(** Total variation: half the L1 distance. *)
Definition TV {Out : Type} (os : list Out) (p q : Out -> Q) : Q := sum os (fun z => Qabs (p z - q z)) / 2.

(** The channel's disparities are at most those that the certificate names. *)
Definition within (c : certificate) {Out : Type} (os : list Out) (ch : nat -> nat -> Out -> Q) : Prop :=
  forall y i j, In y (label_list c) -> In i (group_list c) -> In j (group_list c) ->
    TV os (ch i y) (ch j y) <= price (the_label c y) i j.

(** Probability that the test [t], shown [sees y z], says "world 0", when (a, y) is drawn from [P]. *)
Definition accepts (c : certificate) (P : nat -> nat -> Q) {Out View : Type} (os : list Out)
    (ch : nat -> nat -> Out -> Q) (sees : nat -> Out -> View) (t : View -> Q) : Q :=
  sum (label_list c) (fun y => sum (group_list c) (fun a => P a y * sum os (fun z => ch a y z * t (sees y z)))).

(** "No test of [sees] has an advantage above [bound] against a channel within the disparities." *)
Definition bounds_advantage (c : certificate) (bound : Q) {Out View : Type} (os : list Out)
    (sees : nat -> Out -> View) : Prop :=
  forall (ch : nat -> nat -> Out -> Q) (t : View -> Q),
    channel c os ch -> within c os ch -> (forall v, 0 <= t v <= 1) ->
    Qabs (accepts c (P0 c) os ch sees t - accepts c (P1 c) os ch sees t) <= bound.

(** * The checker *)

(** The sum in lowest terms.  Neighbours are added first, so that few additions meet large numbers. *)
Fixpoint add_neighbours (l : list Q) : list Q :=
  match l with
  | x :: y :: r => Qred (x + y) :: add_neighbours r
  | _ => l
  end.

Fixpoint total (fuel : nat) (l : list Q) : Q :=
  match l, fuel with
  | [x], _ => x
  | _, S k => total k (add_neighbours l)
  | _, O => sum l (fun x => x)
  end.

Definition fast_sum {T : Type} (l : list T) (f : T -> Q) : Q := total (length l) (map f l).

(** What the plan leaves of d(a,y) = P0 - P1. *)
Definition residual (l : label) (a : nat) : Q :=
  mass_0 (the_cell l a) - mass_1 (the_cell l a)
  - fast_sum (flows l) (fun f => if source f =? a then amount f else 0)
  + fast_sum (flows l) (fun f => if target f =? a then amount f else 0).

Definition label_cost (n : nat) (l : label) : Q :=
  fast_sum (flows l) (fun f => amount f * price l (source f) (target f))
  + fast_sum (seq 0 n) (fun a => Qabs (residual l a)) / 2.

Definition plan_cost (c : certificate) : Q :=
  fast_sum (label_list c) (fun y => label_cost (groups c) (the_label c y)).

Definition flow_ok (n : nat) (f : flow) : bool :=
  (source f <? n) && (target f <? n) && Qle_bool 0 (amount f).

Definition label_ok (n : nat) (l : label) : bool :=
  (length (cells l) =? n)
  && forallb (fun x => Qle_bool 0 (mass_0 x) && Qle_bool 0 (mass_1 x)) (cells l)
  && (Qle_bool 0 (disparity l) && forallb (forallb (Qle_bool 0)) (pairwise l))
  && forallb (flow_ok n) (flows l).

Definition check (c : certificate) (bound : Q) : bool :=
  forallb (label_ok (groups c)) (labels c)
  && Qeq_bool (fast_sum (label_list c) (fun y => fast_sum (group_list c) (fun a => P0 c a y))) 1
  && Qeq_bool (fast_sum (label_list c) (fun y => fast_sum (group_list c) (fun a => P1 c a y))) 1
  && Qle_bool (plan_cost c) bound.

(** * Finite sums of rationals *)

Section Sums.
Context {T : Type}.
Implicit Types (l : list T) (f g : T -> Q).

Lemma sum_ext l f g : (forall x, In x l -> f x == g x) -> sum l f == sum l g.
Proof.
  induction l as [|x l IH]; simpl; intros H; [reflexivity|].
  rewrite IH by (intros; apply H; now right). rewrite (H x) by now left. reflexivity.
Qed.

Lemma sum_le l f g : (forall x, In x l -> f x <= g x) -> sum l f <= sum l g.
Proof.
  induction l as [|x l IH]; simpl; intros H; [lra|].
  apply Qplus_le_compat; [apply H; now left | apply IH; intros; apply H; now right].
Qed.

Lemma sum_zero l : sum l (fun _ => 0) == 0.
Proof. induction l; simpl; lra. Qed.

Lemma sum_plus l f g : sum l (fun x => f x + g x) == sum l f + sum l g.
Proof. induction l; simpl; lra. Qed.

Lemma sum_minus l f g : sum l (fun x => f x - g x) == sum l f - sum l g.
Proof. induction l; simpl; lra. Qed.

Lemma sum_scal l c f : sum l (fun x => c * f x) == c * sum l f.
Proof. induction l as [|x l IH]; simpl; [lra | rewrite IH; lra]. Qed.

Lemma sum_map l f : sum (map f l) (fun x => x) == sum l f.
Proof. induction l as [|x l IH]; simpl; [reflexivity | now rewrite IH]. Qed.

End Sums.

Lemma add_neighbours_sum : forall l, sum (add_neighbours l) (fun x => x) == sum l (fun x => x).
Proof.
  fix IH 1. intros [|x [|y r]]; cbn [add_neighbours sum]; [reflexivity | reflexivity|].
  rewrite Qred_correct, IH. ring.
Qed.

Lemma total_sum (fuel : nat) : forall l, total fuel l == sum l (fun x => x).
Proof.
  induction fuel as [|k IH]; intros [|x [|y r]]; cbn [total]; try reflexivity; try (cbn [sum]; ring);
    now rewrite IH, add_neighbours_sum.
Qed.

Lemma fast_sum_correct {T : Type} (l : list T) (f : T -> Q) : fast_sum l f == sum l f.
Proof. unfold fast_sum. now rewrite total_sum, sum_map. Qed.

(** Exactly one index of [seq m n] equals [i]. *)
Lemma sum_pick (n m i : nat) (x : Q) (r : nat -> Q) :
  (m <= i < m + n)%nat -> sum (seq m n) (fun a => (if i =? a then x else 0) * r a) == x * r i.
Proof.
  revert m. induction n as [|n IH]; simpl; intros m H; [lia|].
  destruct (Nat.eqb_spec i m) as [->|N].
  - rewrite (sum_ext (seq (S m) n) _ (fun _ => 0)); [rewrite sum_zero; lra|].
    intros a Ha. apply in_seq in Ha. destruct (Nat.eqb_spec m a); [lia | lra].
  - rewrite IH by lia. lra.
Qed.

(** * Soundness *)

(** A product with a number in [-1/2, 1/2] is at most half the absolute value. *)
Lemma half_abs (x t : Q) : - (1#2) <= t <= 1#2 -> x * t <= (1#2) * Qabs x.
Proof.
  intros H. apply Qabs_case; intros S.
  - pose proof (Qmult_le_0_compat x ((1#2) - t) S). lra.
  - pose proof (Qmult_le_0_compat (- x) ((1#2) + t)). lra.
Qed.

(** The flows of a plan: sum_a (outflow - inflow) r_a = sum over the flows of amount * (r_source - r_target). *)
Lemma flows_sum (n : nat) (fs : list flow) (r : nat -> Q) :
  forallb (flow_ok n) fs = true ->
  sum (seq 0 n) (fun a => (sum fs (fun f => if source f =? a then amount f else 0)
                          - sum fs (fun f => if target f =? a then amount f else 0)) * r a)
  == sum fs (fun f => amount f * (r (source f) - r (target f))).
Proof.
  induction fs as [|f fs IH]; simpl; intros H.
  - rewrite (sum_ext _ _ (fun _ => 0)); [apply sum_zero | intros; lra].
  - apply andb_true_iff in H. destruct H as [Hf H]. unfold flow_ok in Hf.
    apply andb_true_iff in Hf. destruct Hf as [Hf _]. apply andb_true_iff in Hf. destruct Hf as [Hs Ht].
    apply Nat.ltb_lt in Hs, Ht. rewrite <- IH by exact H.
    setoid_replace (amount f * (r (source f) - r (target f)))
      with (amount f * r (source f) - amount f * r (target f)) by ring.
    rewrite <- (sum_pick n 0 (source f) (amount f) r), <- (sum_pick n 0 (target f) (amount f) r) by lia.
    rewrite <- sum_minus, <- sum_plus. apply sum_ext. intros a _. ring.
Qed.

(** One label: numbers r_a in [-1/2, 1/2] that differ by at most the prices. *)
Lemma label_sound (n : nat) (l : label) (r : nat -> Q) :
  forallb (flow_ok n) (flows l) = true ->
  (forall a, In a (seq 0 n) -> - (1#2) <= r a <= 1#2) ->
  (forall i j, In i (seq 0 n) -> In j (seq 0 n) -> r i - r j <= price l i j) ->
  sum (seq 0 n) (fun a => (mass_0 (the_cell l a) - mass_1 (the_cell l a)) * r a) <= label_cost n l.
Proof.
  intros Hf Hr Hp. unfold label_cost. rewrite !fast_sum_correct.
  rewrite (sum_ext (seq 0 n) _ (fun a =>
    (sum (flows l) (fun f => if source f =? a then amount f else 0)
     - sum (flows l) (fun f => if target f =? a then amount f else 0)) * r a + residual l a * r a)).
  2: { intros a _. unfold residual. rewrite !fast_sum_correct. ring. }
  rewrite sum_plus, (flows_sum n (flows l) r Hf). apply Qplus_le_compat.
  - apply sum_le. intros f Hin. rewrite forallb_forall in Hf. specialize (Hf f Hin). unfold flow_ok in Hf.
    apply andb_true_iff in Hf. destruct Hf as [Hf Ha]. apply andb_true_iff in Hf. destruct Hf as [Hs Ht].
    apply Nat.ltb_lt in Hs, Ht. apply Qle_bool_iff in Ha.
    assert (r (source f) - r (target f) <= price l (source f) (target f)) by (apply Hp; apply in_seq; lia).
    nra.
  - setoid_replace (sum (seq 0 n) (fun a => Qabs (residual l a)) / 2)
      with (sum (seq 0 n) (fun a => (1#2) * Qabs (residual l a))) by (rewrite sum_scal; field).
    apply sum_le. intros a Ha. specialize (Hr a Ha). pose proof (half_abs (residual l a) (r a) Hr). lra.
Qed.

(** The rows of a channel against a function with values in [-1/2, 1/2]. *)
Lemma rate_range {Out : Type} (os : list Out) (p t : Out -> Q) :
  (forall z, In z os -> 0 <= p z) -> sum os p == 1 -> (forall z, - (1#2) <= t z <= 1#2) ->
  - (1#2) <= sum os (fun z => p z * t z) <= 1#2.
Proof.
  intros Hp E Ht. split.
  - setoid_replace (- (1#2)) with (- (1#2) * sum os p) by (rewrite E; ring). rewrite <- sum_scal.
    apply sum_le. intros z Hz. specialize (Hp z Hz). specialize (Ht z). nra.
  - setoid_replace (1#2) with ((1#2) * sum os p) by (rewrite E; ring). rewrite <- sum_scal.
    apply sum_le. intros z Hz. specialize (Hp z Hz). specialize (Ht z). nra.
Qed.

Lemma rate_gap {Out : Type} (os : list Out) (p q t : Out -> Q) :
  (forall z, - (1#2) <= t z <= 1#2) -> sum os (fun z => p z * t z) - sum os (fun z => q z * t z) <= TV os p q.
Proof.
  intros Ht. unfold TV. rewrite <- sum_minus.
  setoid_replace (sum os (fun z => Qabs (p z - q z)) / 2)
    with (sum os (fun z => (1#2) * Qabs (p z - q z))) by (rewrite sum_scal; field).
  apply sum_le. intros z _. pose proof (half_abs (p z - q z) (t z) (Ht z)). lra.
Qed.

(** Expectations of a centred function differ by at most the cost of the plan. *)
Lemma centred_sound (c : certificate) {Out : Type} (os : list Out) (ch : nat -> nat -> Out -> Q)
    (t : nat -> Out -> Q) :
  forallb (label_ok (groups c)) (labels c) = true -> channel c os ch -> within c os ch ->
  (forall y z, - (1#2) <= t y z <= 1#2) ->
  sum (label_list c) (fun y => sum (group_list c) (fun a =>
    (P0 c a y - P1 c a y) * sum os (fun z => ch a y z * t y z))) <= plan_cost c.
Proof.
  intros Hok Hch Hw Ht. unfold plan_cost. rewrite fast_sum_correct. apply sum_le. intros y Hy.
  apply (label_sound (groups c) (the_label c y)).
  - assert (I : In (the_label c y) (labels c)) by (apply nth_In; now apply in_seq in Hy).
    rewrite forallb_forall in Hok. apply Hok in I. apply andb_true_iff in I. apply I.
  - intros a Ha. destruct (Hch a y Ha Hy). apply rate_range; auto.
  - intros i j Hi Hj. eapply Qle_trans; [apply rate_gap; auto | now apply Hw].
Qed.

Lemma composition_sound (c : certificate) (P : nat -> nat -> Q) :
  (forall a y, In a (group_list c) -> In y (label_list c) -> 0 <= P a y) ->
  Qeq_bool (fast_sum (label_list c) (fun y => fast_sum (group_list c) (fun a => P a y))) 1 = true ->
  composition c P.
Proof.
  intros H E. split; [exact H|]. apply Qeq_bool_iff in E. rewrite <- E, fast_sum_correct.
  apply sum_ext. intros. now rewrite fast_sum_correct.
Qed.

Theorem check_sound (c : certificate) (bound : Q) :
  check c bound = true ->
  composition c (P0 c) /\ composition c (P1 c) /\
  forall (Out View : Type) (os : list Out) (sees : nat -> Out -> View), bounds_advantage c bound os sees.
Proof.
  unfold check. intros H. apply andb_true_iff in H. destruct H as [H Hb]. apply andb_true_iff in H.
  destruct H as [H H1]. apply andb_true_iff in H. destruct H as [Hok H0]. apply Qle_bool_iff in Hb.
  assert (N : forall a y, In a (group_list c) -> In y (label_list c) -> 0 <= P0 c a y /\ 0 <= P1 c a y).
  { intros a y Ha Hy. apply in_seq in Ha, Hy. rewrite forallb_forall in Hok.
    assert (I : In (the_label c y) (labels c)) by (apply nth_In; lia).
    specialize (Hok _ I). unfold label_ok in Hok. apply andb_true_iff in Hok. destruct Hok as [Hok _].
    apply andb_true_iff in Hok. destruct Hok as [Hok _].
    apply andb_true_iff in Hok. destruct Hok as [L Hc]. apply Nat.eqb_eq in L. rewrite forallb_forall in Hc.
    assert (J : In (the_cell (the_label c y) a) (cells (the_label c y))) by (apply nth_In; lia).
    specialize (Hc _ J). apply andb_true_iff in Hc. rewrite !Qle_bool_iff in Hc. exact Hc. }
  assert (C0 : composition c (P0 c)) by (apply composition_sound; [apply N | exact H0]).
  assert (C1 : composition c (P1 c)) by (apply composition_sound; [apply N | exact H1]).
  split; [exact C0|]. split; [exact C1|].
  intros Out View os sees ch t Hch Hw Ht.
  (* Centre the test: its advantage is that of t - 1/2, as both worlds have total mass 1. *)
  assert (E : accepts c (P0 c) os ch sees t - accepts c (P1 c) os ch sees t
    == sum (label_list c) (fun y => sum (group_list c) (fun a =>
         (P0 c a y - P1 c a y) * sum os (fun z => ch a y z * (t (sees y z) - (1#2)))))).
  { assert (S : forall P, composition c P -> accepts c P os ch sees t - (1#2)
      == sum (label_list c) (fun y => sum (group_list c) (fun a =>
           P a y * sum os (fun z => ch a y z * (t (sees y z) - (1#2)))))).
    { intros P [_ S]. setoid_replace (1#2) with ((1#2) * 1) at 1 by ring. rewrite <- S at 1.
      unfold accepts. rewrite <- sum_scal, <- sum_minus. apply sum_ext. intros y Hy.
      rewrite <- sum_scal, <- sum_minus. apply sum_ext. intros a Ha. destruct (Hch a y Ha Hy) as [_ E].
      rewrite (sum_ext os (fun z => ch a y z * (t (sees y z) - (1#2)))
        (fun z => ch a y z * t (sees y z) - (1#2) * ch a y z)) by (intros; ring).
      rewrite sum_minus, sum_scal, E. ring. }
    setoid_replace (accepts c (P0 c) os ch sees t - accepts c (P1 c) os ch sees t)
      with ((accepts c (P0 c) os ch sees t - (1#2)) - (accepts c (P1 c) os ch sees t - (1#2))) by ring.
    rewrite !S by assumption. rewrite <- sum_minus. apply sum_ext. intros y _.
    rewrite <- sum_minus. apply sum_ext. intros. ring. }
  rewrite E. eapply Qle_trans; [|exact Hb]. apply Qabs_Qle_condition. split.
  - (* The test 1 - t has the opposite sign. *)
    pose proof (centred_sound c os ch (fun y z => - (t (sees y z) - (1#2))) Hok Hch Hw) as K.
    apply Qopp_le_compat in K; [|intros y z; specialize (Ht (sees y z)); lra].
    eapply Qle_trans; [exact K|]. apply Qle_lteq. right.
    setoid_replace (- sum (label_list c) (fun y => sum (group_list c) (fun a =>
        (P0 c a y - P1 c a y) * sum os (fun z => ch a y z * - (t (sees y z) - (1#2))))))
      with (-(1) * sum (label_list c) (fun y => sum (group_list c) (fun a =>
        (P0 c a y - P1 c a y) * sum os (fun z => ch a y z * - (t (sees y z) - (1#2)))))) by ring.
    rewrite <- sum_scal. apply sum_ext. intros y _. rewrite <- sum_scal. apply sum_ext. intros a _.
    rewrite (sum_ext os (fun z => ch a y z * - (t (sees y z) - (1#2)))
      (fun z => -(1) * (ch a y z * (t (sees y z) - (1#2))))) by (intros; ring).
    rewrite sum_scal. ring.
  - apply (centred_sound c os ch (fun y z => t (sees y z) - (1#2)) Hok Hch Hw).
    intros y z. specialize (Ht (sees y z)). lra.
Qed.

(** The three games: the test is shown (y, z), whether z is correct for y, or z. *)
Theorem check_labelled (c : certificate) (bound : Q) : check c bound = true ->
  forall (Out : Type) (os : list Out), bounds_advantage c bound os (fun y z => (y, z)).
Proof. intros H Out os. now apply check_sound. Qed.

Theorem check_correctness (c : certificate) (bound : Q) : check c bound = true ->
  forall (Out : Type) (os : list Out) (correct : nat -> Out -> bool), bounds_advantage c bound os correct.
Proof. intros H Out os correct. now apply check_sound. Qed.

Theorem check_unlabelled (c : certificate) (bound : Q) : check c bound = true ->
  forall (Out : Type) (os : list Out), bounds_advantage c bound os (fun _ z => z).
Proof. intros H Out os. now apply check_sound. Qed.

(** * The bounds are about something: there are channels within the disparities *)

Lemma price_nonnegative (n : nat) (l : label) (i j : nat) : label_ok n l = true -> 0 <= price l i j.
Proof.
  unfold label_ok. rewrite !andb_true_iff. intros [[_ [D M]] _]. apply Qle_bool_iff in D. unfold price.
  destruct (nth_in_or_default i (pairwise l) []) as [I|E]; [|rewrite E; now destruct j].
  rewrite forallb_forall in M. specialize (M _ I). rewrite forallb_forall in M.
  destruct (nth_in_or_default j (nth i (pairwise l) []) (disparity l)) as [I'|E']; [|now rewrite E'].
  now apply Qle_bool_iff, M.
Qed.

(** A channel that ignores the group and the label. *)
Lemma constant_within (c : certificate) (bound : Q) {Out : Type} (os : list Out) (p : Out -> Q) :
  check c bound = true -> (forall z, In z os -> 0 <= p z) -> sum os p == 1 ->
  channel c os (fun _ _ => p) /\ within c os (fun _ _ => p).
Proof.
  intros H N E. split; [now split|]. intros y i j Hy _ _. apply Qle_trans with 0.
  - unfold TV. rewrite (sum_ext os _ (fun _ => 0)); [rewrite sum_zero; discriminate|].
    intros z _. setoid_replace (p z - p z) with 0 by ring. reflexivity.
  - apply (price_nonnegative (groups c)). unfold check in H. rewrite !andb_true_iff in H. destruct H as [[[H _] _] _].
    rewrite forallb_forall in H. apply H, nth_In. now apply in_seq in Hy.
Qed.

Lemma sum_constant {T : Type} (l : list T) (x : Q) : sum l (fun _ => x) == inject_Z (Z.of_nat (length l)) * x.
Proof.
  induction l as [|y l IH]; [simpl; ring|]. cbn [sum length]. rewrite IH, Nat2Z.inj_succ.
  unfold Z.succ. rewrite inject_Z_plus. ring.
Qed.

(** The uniform distribution, whatever the group and the label, say. *)
Theorem check_nonvacuous (c : certificate) (bound : Q) : check c bound = true ->
  forall (Out : Type) (os : list Out), os <> [] ->
    exists p : Out -> Q, channel c os (fun _ _ => p) /\ within c os (fun _ _ => p).
Proof.
  intros H Out os N. set (k := inject_Z (Z.of_nat (length os))).
  assert (K : 0 < k). { unfold k, Qlt, inject_Z. destruct os; [easy | cbn [length Qnum Qden]; lia]. }
  exists (fun _ => / k). apply (constant_within c bound); [exact H | |].
  - intros z _. apply Qlt_le_weak. now apply Qinv_lt_0_compat.
  - rewrite sum_constant. fold k. apply Qmult_inv_r. intros E. rewrite E in K. discriminate.
Qed.

Theorem check_nonnegative (c : certificate) (bound : Q) : check c bound = true -> 0 <= bound.
Proof.
  intros H. destruct (check_nonvacuous c bound H unit [tt]) as [p [Hc Hw]]; [discriminate|].
  eapply Qle_trans; [apply Qabs_nonneg|].
  apply (check_unlabelled c bound H unit [tt] (fun _ _ => p) (fun _ => 0) Hc Hw). intros _. split; discriminate.
Qed.

(** * Example

    Two groups, two labels; world 0 is group 0, world 1 is group 1, with base rates 1/10 and 3/10 of label 1.
    The labels' marginals differ by TV_Y = 1/5; 7/10 and 1/10 of mass move inside the labels, at disparities 1/20
    and 1/10: the bound is 1/5 + 7/10 * 1/20 + 1/10 * 1/10 = 49/200.

<<
Definition cert : certificate := Certificate 2 [
  Label [Cell (9#10) 0; Cell 0 (7#10)] [Ship 0 1 (7#10)] (1#20) [];
  Label [Cell (1#10) 0; Cell 0 (3#10)] [Ship 0 1 (1#10)] (1#10) []
].

Theorem certified : check cert (49#200) = true.
Proof. vm_compute. reflexivity. Qed.

Corollary certified_bound :
  forall (Out View : Type) (os : list Out) (sees : nat -> Out -> View), bounds_advantage cert (49#200) os sees.
Proof. exact (proj2 (proj2 (check_sound cert (49#200) certified))). Qed.

Print Assumptions certified_bound.
>>
*)
