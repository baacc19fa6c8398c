"""The dual legs: they hold, and notice a wrong closed form, plan or worst case."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from fairbound.proofs.failure import ProofFailure
from fairbound.proofs.t1 import dual as t1
from fairbound.proofs.t1b import dual as t1b
from fairbound.proofs.t4 import dual as t4
from fairbound.proofs.t9 import dual as t9
from fairbound.proofs.t10 import dual as t10

TINY = Fraction(1, 10**12)


@pytest.mark.slow
@pytest.mark.parametrize("module", [t1, t1b, t4, t9], ids=["T1", "T1b", "T4", "T9"])
def test_dual_legs_hold_and_say_what_they_showed(module):
    instances = module.INSTANCES
    assert str(instances if isinstance(instances, int) else len(instances)) in module.run()
    assert module.TRUSTED_BASE


def test_a_closed_form_that_is_too_small_or_too_large_is_noticed(monkeypatch):
    honest = t1.claimed
    for change in (TINY, -TINY):
        monkeypatch.setattr(t1, "claimed", lambda pair, delta, change=change: honest(pair, delta) + change)
        with pytest.raises(ProofFailure, match="closed form"):
            t1.run()


def test_a_witness_that_falls_short_is_noticed(monkeypatch):
    honest = t1.witness

    def blunt(pair, delta):
        return honest(pair, tuple(d / 2 for d in delta))

    monkeypatch.setattr(t1, "witness", blunt)
    with pytest.raises(ProofFailure, match="witness"):
        t1.run()


def test_a_model_of_another_programme_is_noticed(monkeypatch):
    honest = t1.modelled_optimum
    monkeypatch.setattr(t1, "modelled_optimum", lambda d, delta: honest(d, delta / 2))
    with pytest.raises(ProofFailure, match="cvxpy"):
        t1.run()


def test_a_plan_that_is_too_cheap_or_too_dear_is_noticed(monkeypatch):
    honest = t1b.transport_bound

    for change in (TINY, -TINY):

        def wrong(pair, measured, change=change):
            bound, plan = honest(pair, measured)
            return dataclasses.replace(bound, value=bound.value + change), plan

        monkeypatch.setattr(t1b, "transport_bound", wrong)
        with pytest.raises(ProofFailure, match="not the worst case"):
            t1b.run()


def test_a_worst_case_that_is_not_the_closed_form_is_noticed(monkeypatch):
    honest = t4.worst_case_advantage

    def wrong(pair, delta):
        bound = honest(pair, delta)
        return dataclasses.replace(bound, value=bound.value * Fraction(9, 10))

    monkeypatch.setattr(t4, "worst_case_advantage", wrong)
    with pytest.raises(ProofFailure, match="T1 in the"):
        t4.run()


def test_parity_that_bounds_other_games_would_be_noticed():
    pair = t4.constant_classifier_counterexample(Fraction(1, 10), Fraction(3, 10)).pair
    with pytest.raises(ProofFailure, match="does not speak of"):
        t4.parity_statements(pair, Fraction(2, 5))


def test_a_joint_bound_below_the_cone_optimum_is_noticed(monkeypatch):
    honest = t9.modelled_optimum
    monkeypatch.setattr(t9, "modelled_optimum", lambda *arguments: honest(*arguments) + 1e-3)
    with pytest.raises(ProofFailure):
        t9.run()


def test_the_leg_on_information_holds_and_notices_what_is_false_or_not_sharp(monkeypatch):
    assert "with checked certificates" in t10.run()
    for name, wrong, step in (
        ("COUPLED", "I(X,Z;Y,Z) - I(X;Y) - 1/1000 H(Z)", "does not follow"),
        ("COUPLED", "I(X,Z;Y,Z) - I(X;Y) + I(X;Z)", "the excess"),
        ("PROCESSED", "I(X;Y) - 2 I(F;G)", "does not follow"),
        ("PROCESSED", "I(X;Y) + I(F;G)", "needs nothing but"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(t10, name, wrong)
            with pytest.raises(ProofFailure, match=step):
                t10.run()
