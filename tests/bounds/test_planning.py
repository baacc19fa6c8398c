"""The planner: its answers are certified, minimal, and move as they must."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbound.bounds import CompositionPair, Counts, Design, certify_counts, rows_needed
from fairbound.bounds.errors import AlphabetError, MissingCellError, NumberError
from fairbound.bounds.planning import MOST_ROWS, _smallest
from fairbound.bounds.rational import apportioned
from fairbound.testing import counts as tables

F = Fraction
PILOT = Counts(("a", "b"), (0, 1), (0, 1), (((700, 100), (60, 90)), ((500, 120), (100, 250))))
METHODS = ("fisher", "clopper-pearson", "relative-entropy", "smallest")


def excess(design, size, **options):
    """The width by its definition, from the counts alone."""
    counts = design.counts(size)
    result = certify_counts(counts, **options)
    return result.upper - min(result.point, design.value(label_balanced=options.get("label_balanced", False)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("design", "options", "width"),
    [
        (Design.of(), {}, F(1, 10)),
        (Design.of(rates=[["0.8", "0.2"], ["0.7", "0.3"]]), {"label_balanced": True}, F(1, 20)),
        (Design.of(label_marginals=[["0.7", "0.3"], ["0.9", "0.1"]]), {"confidence": "0.8"}, F(1, 10)),
        (Design.from_counts(PILOT), {"label_balanced": True}, F(1, 10)),
    ],
)
def test_the_planned_log_is_wide_enough_and_one_unit_less_is_not(method, design, options, width):
    plan = rows_needed(design, width, method=method, **options)
    assert plan.method == method
    assert plan.excess == excess(design, plan.size, method=method, **options) <= width
    assert excess(design, plan.size - 1, method=method, **options) > width
    assert plan.result.counts == design.counts(plan.size)


def test_clopper_pearson_by_hand():
    """The width for a given pair of pure groups with equal rates 1/2 is that of two limits at alpha / 8."""
    from fairbound.bounds.confidence import lower_limits

    design = Design.of()
    pair = CompositionPair.pure(design.counts(10), 0, 1)
    plan = rows_needed(design, "0.1", pair=pair, method="clopper-pearson")

    def width(n):
        # Both labels have the same counts; one group's rate may be as high as it can, the other's as low.
        return 1 - sum(lower_limits(apportioned([1, 1], n), [n, n], F(1, 20) / 8))

    assert width(plan.size) <= F(1, 10) < width(plan.size - 1)


def test_smaller_widths_and_higher_levels_take_more_rows_and_rows_follow_the_inverse_square():
    design = Design.of(rates=[["0.9", "0.1"]])
    sizes = [rows_needed(design, w, label_balanced=True).size for w in ("0.2", "0.1", "0.05", "0.025")]
    assert sizes == sorted(sizes)
    assert 3 < sizes[3] / sizes[2] < 4.2
    surer = rows_needed(design, "0.1", label_balanced=True, confidence="0.99").size
    assert surer > sizes[1]
    # One half is the worst rate for a rate's limits, and the default.
    assert rows_needed(Design.of(), "0.1", label_balanced=True).size > sizes[1]


def test_more_groups_cost_rows_and_the_game_does_not_matter():
    sizes = [
        rows_needed(Design.of(groups=g), "0.1", label_balanced=True, method="clopper-pearson").size for g in (2, 4)
    ]
    assert sizes[0] < sizes[1]
    games = {rows_needed(Design.of(), "0.2", game=game).size for game in ("labelled", "correctness", "unlabelled")}
    assert len(games) == 1
    three = Design.of(groups=3, rates=[["0.9", "0.1"], ["0.8", "0.2"], ["0.5", "0.5"]])
    assert three.value(label_balanced=True) == F(2, 5)
    # A pair is planned at the disparity of its own two groups (T1b).
    assert three.value(pure=("0", 1), label_balanced=True) == F(1, 10)


def test_a_pilot_is_planned_at_its_own_size():
    design = Design.from_counts(PILOT)
    assert design.counts(PILOT.rows) == PILOT
    result = certify_counts(PILOT, method="clopper-pearson")
    assert design.value() == result.point
    # The pilot has its own width; rounding to whole rows leaves the size known to about a per cent.
    rows = rows_needed(design, result.upper - result.point, method="clopper-pearson").rows
    assert abs(rows - PILOT.rows) < 0.01 * PILOT.rows


@given(st.lists(st.fractions(0, 1, max_denominator=20), min_size=1, max_size=6), st.integers(0, 1000))
def test_apportioned_parts_are_within_a_row_of_their_share(weights, total):
    parts = apportioned(weights, total)
    if not any(weights):
        assert not any(parts)
        return
    assert sum(parts) == total
    assert all(abs(part - total * w / sum(weights)) < 1 for part, w in zip(parts, weights, strict=True))


@given(tables(), st.integers(1, 400))
def test_planned_logs_have_the_pilots_shares(pilot, size):
    counts = Design.from_counts(pilot).counts(size)
    assert counts.rows == size
    for planned, measured in zip(counts.cell_rows, pilot.cell_rows, strict=True):
        assert all(abs(n - F(size * m, pilot.rows)) < 1 for n, m in zip(planned, measured, strict=True))


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_the_search_finds_a_step_from_any_start(least, start):
    assert _smallest(lambda size: size >= least, start, 5000) == least
    assert _smallest(lambda size: False, start, 5000) is None


def test_progress_is_told_and_no_formula_stands_in():
    seen = []
    plan = rows_needed(Design.of(), "0.2", progress=lambda rows, width: seen.append((rows, width)))
    assert (plan.rows, plan.excess) in seen
    assert any(width > F(1, 5) for _, width in seen)


@pytest.mark.parametrize(
    ("width", "message"),
    [
        (0, "positive width"),
        ("-1", "positive width"),
        ("1", "trivial bound 1"),
        ("much", "no rational number"),
        ("1e-7", re.escape(f"more than {MOST_ROWS:.0e} rows")),
    ],
)
def test_impossible_widths_are_refused(width, message):
    with pytest.raises(NumberError, match=message):
        rows_needed(Design.of(), width, method="clopper-pearson")


def test_the_trivial_bound_is_no_answer():
    unfair = Design.of(rates=[["0.95", "0.05"], ["0.05", "0.95"]])
    assert unfair.value() == F(9, 10)
    with pytest.raises(NumberError, match=r"value at the planned rates, 0\.9"):
        rows_needed(unfair, "0.15")
    assert rows_needed(unfair, "0.05").result.upper < 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groups": 1}, AlphabetError, "1 groups are planned"),
        ({"labels": 1}, AlphabetError, "1 labels are planned"),
        ({"outputs": 1}, AlphabetError, "1 outputs are planned"),
        ({"rates": [["0.5", "0.4"]]}, NumberError, "add up to 1"),
        ({"rates": [["1.5", "-0.5"]]}, NumberError, "at least 0"),
        ({"rates": [["0.5", "0.3", "0.2"]]}, AlphabetError, "3 shares are given where 2"),
        ({"groups": 3, "rates": [[1, 0]] * 2}, AlphabetError, "one for all 3 groups"),
        ({"label_marginals": [[1, 0]]}, NumberError, "no rows of that label"),
    ],
)
def test_impossible_designs_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Design.of(**options)


def test_a_pilot_without_rows_in_a_cell_is_refused():
    lacking = Counts(("a", "b"), (0, 1), (0, 1), (((7, 1), (0, 0)), ((5, 1), (1, 2))))
    with pytest.raises(MissingCellError, match="'a' has no rows with label 1 in the pilot"):
        Design.from_counts(lacking)
