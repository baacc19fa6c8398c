"""What users' property tests rest on: the assertion fails when it should, the strategies reach the corners."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import find, given

from fairbound.bounds import Counts, certify_counts
from fairbound.bounds.errors import EmptyInputError, LengthMismatchError, UnknownColumnError
from fairbound.testing import (
    assert_advantage_below,
    assert_gap_within_bound,
    channels,
    composition_pairs,
    counts,
    noisy_features,
    resampled_rows,
    reweighted_rows,
)

TABLE = Counts(("a", "b"), (0, 1), (0, 1), (((700, 100), (60, 90)), ((500, 120), (100, 250))))


@pytest.mark.parametrize("label_balanced", [False, True])
def test_the_assertion_notices_each_kind_of_excess(label_balanced):
    assert_gap_within_bound(certify_counts(TABLE, label_balanced=label_balanced))
    gap = "accuracy_label_balanced" if label_balanced else "accuracy_raw"
    for name in ("advantage", gap):
        result = certify_counts(TABLE, label_balanced=label_balanced)
        result.measured[name] = result.point + Fraction(1, 10**12)
        with pytest.raises(AssertionError, match=f"measured {name}"):
            assert_gap_within_bound(result)
    result = certify_counts(TABLE, label_balanced=label_balanced)
    (pair,) = result.pairs
    weakened = dataclasses.replace(result, pairs=(dataclasses.replace(pair, upper=pair.point - Fraction(1, 10**12)),))
    with pytest.raises(AssertionError, match="exceeds its upper bound"):
        assert_gap_within_bound(weakened)


def test_the_gate_holds_a_model_to_its_limit():
    result = certify_counts(TABLE, label_balanced=True)
    assert_advantage_below(result, result.upper)
    assert_advantage_below(result, 0.9)
    with pytest.raises(AssertionError, match=r"certified to be at most .* above the limit"):
        assert_advantage_below(result, result.upper - Fraction(1, 10**12))


def test_the_strategies_reach_the_corners():
    find(counts(missing=True), lambda table: len(table.missing_cells()) > 0)
    find(counts(), lambda table: any(n == 0 for plane in table.table for row in plane for n in row))
    find(composition_pairs(), lambda pair: pair.label_shift > 0 and any(0 in row for row in pair.world_0.mass))
    find(composition_pairs(label_shift=False), lambda pair: pair.label_shift == 0 and pair.distance > 0)
    find(composition_pairs(max_groups=4), lambda pair: len(pair.groups) == 4)
    find(channels(), lambda channel: channel.disparities().equalized_odds == 1)


LABELS, GROUPS = [0, 1, 1, 0, 1, 1, 1], ["a", "a", "b", "b", "b", "b", "b"]


@pytest.mark.parametrize("strategy", [resampled_rows, reweighted_rows])
def test_resampled_rows_keep_size_and_cells(strategy):
    @given(strategy(LABELS, GROUPS))
    def check(rows):
        assert len(rows) == 7
        assert {(GROUPS[i], LABELS[i]) for i in rows} == set(zip(GROUPS, LABELS, strict=True))

    check()
    find(strategy(LABELS, GROUPS), lambda rows: len(set(rows.tolist())) < 6)
    for wrong, error in (((LABELS, GROUPS[1:]), LengthMismatchError), (([], []), EmptyInputError)):
        with pytest.raises(error):
            find(strategy(*wrong), bool)


def test_reweighting_reaches_lopsided_compositions():
    labels, groups = [0, 1] * 20, ["a"] * 20 + ["b"] * 20
    find(reweighted_rows(labels, groups), lambda rows: sum(i < 20 and i % 2 == 0 for i in rows.tolist()) > 20)


def test_noise_stays_in_its_columns_and_grows_with_them():
    table = np.array([[0.0, 1.0, 10.0], [1.0, 1.0, 20.0], [0.0, 1.0, 30.0]])
    frame = pd.DataFrame(table, columns=["sex", "one", "age"])

    @given(noisy_features(table, columns=[1, 2]), noisy_features(frame, columns=["age"], scale=0.01))
    def check(array, noisy):
        assert (array[:, :2] == table[:, :2]).all(), "a constant column has no scale"
        assert list(noisy.columns) == ["sex", "one", "age"]
        assert (noisy[["sex", "one"]] == frame[["sex", "one"]]).all(axis=None)
        assert abs(noisy["age"] - frame["age"]).max() < 0.5

    check()
    assert (find(noisy_features(table), lambda _: True) == table).all()
    find(noisy_features(table), lambda noisy: (noisy[:, 0] != table[:, 0]).all())
    with pytest.raises(UnknownColumnError, match="no column 'income'"):
        find(noisy_features(frame, columns=["income"]), lambda _: True)
