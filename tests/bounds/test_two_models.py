"""T8 and C8: two models on one log, told apart by their answers."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from fairbound.bounds import Disparities
from fairbound.bounds.channel import total_variation
from fairbound.bounds.errors import AlphabetError, EmptyInputError, MissingCellError, MixedTypesError, NumberError
from fairbound.bounds.two_models import PairedCounts, certify_paired_counts, largest_net_distance
from fairbound.testing import simplex_points

F = Fraction


def table(cells, **options):
    """Cells (group, label) -> joint counts of the two models' outputs."""
    flat = {
        (a, y, z, w): n
        for (a, y), joint in cells.items()
        for z, row in enumerate(joint)
        for w, n in enumerate(row)
        if n
    }
    return PairedCounts.from_cells(flat, **options)


BY_HAND = {
    ("F", 0): [[6, 1], [1, 2]],
    ("F", 1): [[2, 3], [0, 5]],
    ("M", 0): [[8, 0], [2, 0]],
    ("M", 1): [[1, 1], [3, 5]],
}


def test_values_by_hand():
    result = certify_paired_counts(table(BY_HAND))
    assert result.distances == ((F(0), F(3, 10)), (F(2, 10), F(2, 10)))
    assert result.point == F(3, 10)
    assert result.worst == ("F", 1)
    # Model 0 shows 1 at 3/10, 2/10 (label 0) and 5/10, 8/10 (label 1); model 1 at 3/10, 0 and 8/10, 6/10.
    assert result.equalized_odds == (F(3, 10), F(3, 10))
    zero, one = result.parts
    assert (zero.operating_points, zero.disparities) == ((F(1, 4), F(3, 20)), (F(1, 10), F(3, 10)))
    assert (one.operating_points, one.disparities) == ((F(13, 20), F(7, 10)), (F(3, 10), F(2, 10)))
    assert (zero.limit, one.limit) == (F(1, 10) + F(1, 5), F(1, 20) + F(1, 4))
    assert result.form == F(3, 10)
    assert result.number == 4 * 4


def thresholded(n, first, second, seed=0):
    """Two thresholds on scores that are distributed alike in all groups and labels."""
    generator = np.random.default_rng(seed)
    cells = {}
    for a in "FM":
        for y in (0, 1):
            score = (np.arange(n) + 0.5) / n if seed is None else generator.random(n)
            joint = np.zeros((2, 2), int)
            np.add.at(joint, ((score >= first).astype(int), (score >= second).astype(int)), 1)
            cells[a, y] = joint.tolist()
    return table(cells)


def test_two_fair_models_with_different_thresholds_are_told_apart():
    result = certify_paired_counts(thresholded(1000, 0.5, 0.7, seed=None))
    assert result.equalized_odds == (0, 0)
    assert result.point == F(1, 5)
    assert result.form == F(1, 5)
    assert all(part.disparities == (0, 0) and part.gap == F(1, 5) for part in result.parts)
    assert result.upper > result.point
    assert "C8" in result.to_dict()["statement"]


@st.composite
def joint_tables(draw, max_outputs=3):
    n_groups, n_labels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    n_outputs = max(n_labels, draw(st.integers(2, max_outputs)))
    row = st.lists(st.integers(0, 6), min_size=n_outputs, max_size=n_outputs)
    cell = st.lists(row, min_size=n_outputs, max_size=n_outputs).filter(lambda c: any(map(any, c)))
    cells = {("abc"[a], y): draw(cell) for a in range(n_groups) for y in range(n_labels)}
    return table(cells, labels=range(n_labels), outputs=range(n_outputs))


@given(joint_tables())
def test_the_bound_is_the_largest_distance_and_below_the_form(counts):
    result = certify_paired_counts(counts)
    models = [counts.model(b) for b in (0, 1)]
    assert models[0].cell_rows == models[1].cell_rows
    expected = [
        [total_variation(models[0].rate(a, y), models[1].rate(a, y)) for y in counts.labels] for a in counts.groups
    ]
    assert [list(row) for row in result.distances] == expected
    for row, limits in zip(result.distances, result.upper_distances, strict=True):
        assert all(low <= high <= 1 for low, high in zip(row, limits, strict=True))
    if len(counts.outputs) == 2:
        assert result.point <= result.form
        for b, model in enumerate(models):
            deltas = Disparities.from_counts(model).per_label
            assert [part.disparities[b] for part in result.parts] == list(deltas)
    else:
        assert result.parts is None is result.form


@given(joint_tables())
def test_exchanging_the_models_or_renaming_outputs_changes_nothing(counts):
    swapped = PairedCounts(
        counts.groups,
        counts.labels,
        counts.outputs,
        tuple(tuple(tuple(zip(*cell, strict=True)) for cell in plane) for plane in counts.table),
    )
    reversed_outputs = PairedCounts(
        counts.groups,
        counts.labels,
        counts.outputs,
        tuple(tuple(tuple(row[::-1] for row in cell[::-1]) for cell in plane) for plane in counts.table),
    )
    first = certify_paired_counts(counts)
    for other in map(certify_paired_counts, (swapped, reversed_outputs)):
        assert (first.point, first.upper) == (other.point, other.upper)


def test_limits_are_clopper_pearson_of_the_rows_on_which_the_models_differ():
    result = certify_paired_counts(table(BY_HAND), confidence="0.9")
    level = 1 - 2 * 0.1 / 16
    only_0, only_1 = (binomtest(k, 10).proportion_ci(level, "exact") for k in (0, 3))
    assert float(result.upper_distances[0][1]) == pytest.approx(only_1.high - only_0.low, abs=1e-4)
    # Models that agree on all but a few rows are close, whatever their rates.
    close = certify_paired_counts(table({(a, y): [[500, 5], [3, 492]] for a in "FM" for y in (0, 1)}))
    assert close.upper < F(2, 100)


def test_limits_of_more_outputs():
    counts = table({(a, y): [[40, 3, 1], [2, 50, 0], [5, 1, 60]] for a in "FM" for y in (0, 1, 2)})
    result = certify_paired_counts(counts)
    assert result.number == 4 * 3 * 6
    assert result.point < result.upper < F(2, 5)


@given(st.integers(2, 5).flatmap(lambda z: st.tuples(*[simplex_points(z)] * 4)))
def test_no_differences_within_limits_exceed_the_largest(points):
    """Differences of two pmfs lie within limits made from them and others; half their norm is covered."""
    first, second, third, fourth = points
    within = [[p - q for p, q in zip(*pair, strict=True)] for pair in ((first, second), (third, fourth))]
    lower = [min(pair) for pair in zip(*within, strict=True)]
    upper = [max(pair) for pair in zip(*within, strict=True)]
    limit = largest_net_distance(lower, upper)
    for differences in (*within, [(x + y) / 2 for x, y in zip(*within, strict=True)]):
        assert sum(map(abs, differences)) / 2 <= limit
    # With many outputs the limit is coarser, never smaller.
    assert limit <= largest_net_distance([*lower, *[F(0)] * 10], [*upper, *[F(0)] * 10])
    exact = [[p - q for p, q in zip(first, second, strict=True)]] * 2
    assert largest_net_distance(*exact) == total_variation(first, second)


def test_coverage():
    """Joint answers with a true distance of 0.1 in every cell, small and unequal cells."""
    generator = np.random.default_rng(2)
    joint, runs, exceeded = [0.45, 0.15, 0.05, 0.35], 300, 0
    for _ in range(runs):
        cells = {
            (a, y): generator.multinomial(n, joint).reshape(2, 2).tolist()
            for (a, y), n in {("F", 0): 80, ("F", 1): 20, ("M", 0): 10, ("M", 1): 200}.items()
        }
        result = certify_paired_counts(table(cells, labels=[0, 1], outputs=[0, 1]), confidence="0.8")
        exceeded += any(limit < F(1, 10) for row in result.upper_distances for limit in row)
    assert exceeded / runs <= 0.2 + 3 * sqrt(0.16 / runs)


def test_empty_cells():
    cells = {key: value for key, value in BY_HAND.items() if key != ("M", 1)}
    with pytest.raises(MissingCellError, match="group 'M' has no rows with label 1"):
        certify_paired_counts(table(cells))
    result = certify_paired_counts(table(cells), on_missing="vacuous")
    assert (result.point, result.upper, result.parts) == (1, 1, None)
    assert "count as distance 1" in result.assumptions[-1]


@pytest.mark.parametrize(
    ("cells", "options", "error", "message"),
    [
        ({}, {}, EmptyInputError, "no rows"),
        ({("a", 0, 0, "x"): 1}, {}, MixedTypesError, "mixes text"),
        ({("a", 0, 5, 6): 1}, {}, AlphabetError, "no value in common"),
        ({("a", 0, 0, 2): 1}, {"outputs": [0, 1]}, AlphabetError, "2, which is not among the declared"),
        ({("a", 0, 0, 0): 1}, {}, AlphabetError, "at least two"),
    ],
)
def test_unusable_tables_are_named(cells, options, error, message):
    with pytest.raises(error, match=message):
        certify_paired_counts(PairedCounts.from_cells(cells, **options))


@pytest.mark.parametrize(
    ("options", "error"), [({"confidence": 0.1}, NumberError), ({"on_missing": "no"}, AlphabetError)]
)
def test_unusable_options_are_named(options, error):
    with pytest.raises(error):
        certify_paired_counts(table(BY_HAND), **options)


@settings(max_examples=20)
@given(joint_tables(max_outputs=2))
def test_json_rounds_upper_bounds_up(counts):
    result = certify_paired_counts(counts)
    shown = result.to_dict()
    assert F(shown["advantage"]["upper"]) >= result.upper
    assert max(cell["upper"] for cell in shown["cells"]) == shown["advantage"]["upper"]
