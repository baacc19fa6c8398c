"""What users' property tests rest on: the assertion fails when it should, the strategies reach the corners."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import find

from fairbound.bounds import Counts, certify_counts
from fairbound.testing import assert_advantage_below, assert_gap_within_bound, channels, composition_pairs, counts

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
    with pytest.raises(AssertionError, match=r"with an advantage of at most .* The limit is"):
        assert_advantage_below(result, result.upper - Fraction(1, 10**12))


def test_the_strategies_reach_the_corners():
    find(counts(missing=True), lambda table: len(table.missing_cells()) > 0)
    find(counts(), lambda table: any(n == 0 for plane in table.table for row in plane for n in row))
    find(composition_pairs(), lambda pair: pair.label_shift > 0 and any(0 in row for row in pair.world_0.mass))
    find(composition_pairs(label_shift=False), lambda pair: pair.label_shift == 0 and pair.distance > 0)
    find(composition_pairs(max_groups=4), lambda pair: len(pair.groups) == 4)
    find(channels(), lambda channel: channel.disparities().equalized_odds == 1)
