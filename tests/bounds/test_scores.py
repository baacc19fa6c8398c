"""T7: distances, bands, the value against every threshold test, certificates, and scores in bins."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstwo

from fairbound.bounds import CompositionPair, Counts, Disparities, certify_counts, check, scores, worst_case_advantage
from fairbound.bounds.check import CheckError
from fairbound.bounds.errors import (
    AlphabetError,
    CompositionError,
    LengthMismatchError,
    MissingCellError,
    MissingValueError,
    NumberError,
    SingleGroupError,
)
from fairbound.bounds.scores import (
    ScoreCounts,
    bin_counts,
    bin_positions,
    certify_score_counts,
    kolmogorov_band,
    read_scores,
)

F = Fraction
GENERATOR = np.random.default_rng(5)


def sample(n, *, seed=0, digits=None, groups=("F", "M")):
    generator = np.random.default_rng(seed)
    group = generator.choice(groups, n)
    label = (generator.random(n) < 0.3 + 0.2 * (group == groups[-1])).astype(int)
    score = generator.normal(size=n) + label + 0.4 * (group == groups[-1])
    return group, label, score if digits is None else np.round(score, digits)


def count(group, label, score, **options):
    return ScoreCounts.from_arrays(label, score, sensitive_features=group, **options)


def test_a_value_by_hand():
    # Label 0: F 1/4 each of 1, 2, 2, 3 and M 2, 2, 3, 3: distance 1/4. Label 1: F 1, 1 and M 1, 2: distance 1/2.
    group = ["F"] * 6 + ["M"] * 6
    label = [0, 0, 0, 0, 1, 1] * 2
    score = [1, 2, 2, 3, 1, 1, 2, 2, 3, 3, 1, 2]
    result = certify_score_counts(count(group, label, score))
    assert result.distances.per_label == (F(1, 4), F(1, 2))
    assert result.point == F(2, 3) * F(1, 4) + F(1, 3) * F(1, 2)
    assert result.point < result.upper <= 1
    assert result.number == 8


def half_lines(values):
    cuts = [*values, math.inf]
    rising = [lambda s, t=t: s >= t for t in cuts]
    return rising + [lambda s, t=t: s < t for t in cuts]


def best_threshold_test(pair, group, label, score):
    """Largest advantage over all threshold tests, each label with a half-line of its own, from the rows."""
    rows = list(zip(group, label, score, strict=True))
    labels = sorted(set(label))
    best = {}
    for y in labels:
        gains = []
        for test in half_lines(sorted(set(score))):
            rate = {
                a: F(
                    sum(test(s) for g, u, s in rows if (g, u) == (a, y)),
                    sum((g, u) == (a, y) for g, u, _ in rows),
                )
                for a in pair.groups
            }
            column = [row[pair.labels.index(y)] for row in pair.difference]
            gains.append(sum(d * rate[a] for d, a in zip(column, pair.groups, strict=True)))
        best[y] = max(gains), -min(gains)
    return max(sum(best[y][side] for y in labels) for side in (0, 1))


@st.composite
def tiny_logs(draw):
    cells = list(product("FM", (0, 1)))
    rows = [(*cell, draw(st.integers(0, 4))) for cell in cells for _ in range(draw(st.integers(1, 4)))]
    return [list(column) for column in zip(*rows, strict=True)]


@settings(max_examples=60)
@given(tiny_logs())
def test_no_threshold_test_of_the_log_exceeds_the_value(log):
    counted = count(*log)
    pair = CompositionPair.pure(counted.counts, "F", "M")
    assert best_threshold_test(pair, *log) <= certify_score_counts(counted).point
    balanced = certify_score_counts(counted, label_balanced=True)
    # Two groups without label shift: the distributions themselves attain it.
    assert best_threshold_test(pair.label_balanced(), *log) == balanced.point


@given(tiny_logs())
def test_hard_predictions_as_scores_are_t1(log):
    group, label, score = log
    hard = [int(s > 1) for s in score]
    counts = Counts.from_arrays(label, hard, sensitive_features=group, labels=[0, 1], outputs=[0, 1])
    counted = count(group, label, hard)
    for balanced in (False, True):
        pair = CompositionPair.pure(counts, "F", "M")
        disparities = Disparities.from_counts(counts)
        found = certify_score_counts(counted, label_balanced=balanced)
        used = pair.label_balanced() if balanced else pair
        assert found.point == worst_case_advantage(used, disparities.per_label).value
        assert found.distances == disparities


@pytest.mark.parametrize("digits", [None, 1])
def test_distances_are_those_of_scipy(digits):
    group, label, score = sample(3000, digits=digits)
    found = count(group, label, score).distances().per_label
    for y in (0, 1):
        rows = [score[(group == g) & (label == y)] for g in "FM"]
        assert float(found[y]) == pytest.approx(ks_2samp(*rows).statistic, abs=1e-12)


@pytest.mark.parametrize("transform", [np.exp, lambda s: s**3, lambda s: np.argsort(np.argsort(s)) * 1.0])
def test_a_rising_transform_changes_nothing(transform):
    group, label, score = sample(2000)
    plain, changed = (certify_score_counts(count(group, label, s)) for s in (score, transform(score)))
    assert (plain.point, plain.upper) == (changed.point, changed.upper)
    falling = certify_score_counts(count(group, label, -score))
    assert (falling.point, falling.upper) == (plain.point, plain.upper)


def test_more_groups_and_a_given_pair():
    group, label, score = sample(4000, groups=("A", "B", "C"), digits=2)
    counted = count(group, label, score)
    result = certify_score_counts(counted)
    assert [pair.groups for pair in result.pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert result.point == max(pair.point for pair in result.pairs)
    # Each pair is priced at the distances of its own two groups: as if the log held no other.
    for pair in result.pairs:
        own = np.isin(group, pair.groups)
        alone = certify_score_counts(count(group[own], label[own], score[own]))
        assert pair.point == alone.point
        assert pair.upper >= alone.upper
    assert min(pair.point for pair in result.pairs) < result.point
    pair = CompositionPair.from_dict(
        {"world_0": {"A": {"0": "1/2", "1": "1/4"}, "B": {"0": "1/4"}}, "world_1": {"C": {"0": "3/4", "1": "1/4"}}},
        counted.counts.groups,
        counted.counts.labels,
    )
    given_pair = certify_score_counts(counted, pair=pair)
    delta = given_pair.distances.per_label
    assert given_pair.point == F(3, 4) * delta[0] + F(1, 4) * delta[1]
    assert given_pair.number == 6
    assert (
        given_pair.upper
        == F(3, 4) * given_pair.upper_distances.per_label[0] + F(1, 4) * given_pair.upper_distances.per_label[1]
    )


def test_many_scores_are_merged_without_any_loss():
    group, label, score = sample(30_000)
    counted = count(group, label, score)
    assert len(counted.thresholds) < scores.MAX_THRESHOLDS
    assert counted.merged
    assert counted.counts.rows == 30_000
    for y in (0, 1):
        rows = [score[(group == g) & (label == y)] for g in "FM"]
        assert float(counted.distances().per_label[y]) == pytest.approx(ks_2samp(*rows).statistic, abs=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 12))
def test_merging_never_lowers_a_distance(seed, limit):
    group, label, score = sample(300, seed=seed, digits=1)
    exact = count(group, label, score)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "MAX_THRESHOLDS", limit)
        merged = count(group, label, score)
    assert len(merged.thresholds) <= limit
    assert merged.counts.cell_rows == exact.counts.cell_rows
    for low, high in zip(exact.distances().per_label, merged.distances().per_label, strict=True):
        assert low <= high <= 1


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_blocks_of_equal_weight_never_lower_a_distance(seed):
    group, label, score = sample(400, seed=seed)
    exact = count(group, label, score)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "_MAX_ENTRIES", 4 * 50)
        blocks = count(group, label, score)
    assert len(blocks.thresholds) <= 51
    for low, high in zip(exact.distances().per_label, blocks.distances().per_label, strict=True):
        assert low <= high <= low + F(1, 5)


@pytest.mark.parametrize("n", [1, 2, 10, 100, 256, 257, 5000, 10**9])
@pytest.mark.parametrize("alpha", [F(1, 20), F(1, 1000), F(1, 10**30)])
def test_bands(n, alpha):
    band = kolmogorov_band(n, alpha)
    inequality = math.sqrt(math.log(2 / alpha) / (2 * n))
    assert 0 < band <= 1
    assert float(band) <= min(1, inequality * (1 + 1e-6) + 2e-9)
    if n <= 256:
        # Twice one side's law against the exact two-sided one.
        assert kstwo.sf(float(band), n) <= float(alpha) * (1 + 1e-9)
        assert float(band) < inequality
    else:
        assert float(band) == pytest.approx(inequality, rel=1e-6, abs=2e-9)


def test_published_critical_values():
    # Kolmogorov-Smirnov, two-sided 5 %: 0.409 for 10 draws, 0.294 for 20 (F. Massey, 1951).
    assert [round(float(kolmogorov_band(n, F(1, 20))), 3) for n in (10, 20)] == [0.409, 0.294]


def test_coverage_of_the_joint_bands():
    """Scores of four cells, two of them small: the true distances lie below their limits often enough."""
    generator = np.random.default_rng(3)
    sizes, runs = {("F", 0): 60, ("M", 0): 25, ("F", 1): 8, ("M", 1): 40}, 300
    group = np.repeat([a for a, _ in sizes], list(sizes.values()))
    label = np.repeat([y for _, y in sizes], list(sizes.values()))
    exceeded = 0
    for _ in range(runs):
        # Uniform scores, shifted for one group: the true distances are 0.3 and 0.2.
        score = generator.random(len(group)) + np.where(label == 0, 0.3, 0.2) * (group == "M")
        pair = CompositionPair.pure(count(group, label, score).counts, "F", "M")
        upper = certify_score_counts(count(group, label, score), pair=pair, confidence="0.8").upper_distances.per_label
        exceeded += upper[0] < F(3, 10) or upper[1] < F(2, 10)
    assert exceeded / runs <= 0.2 + 3 * math.sqrt(0.16 / runs)


def test_the_bands_are_needed():
    """Without them, the measured distance of equal distributions is above 0 nearly always."""
    group, label, _ = sample(400)
    alike = np.random.default_rng(1).random(400)
    result = certify_score_counts(count(group, label, alike))
    assert min(result.distances.per_label) > 0
    assert all(
        u - p == min(1 - p, sum(row[y] for row in result.bands))
        for y, (p, u) in enumerate(zip(result.distances.per_label, result.upper_distances.per_label, strict=True))
    )


def test_other_sets_of_scores_are_not_covered():
    """Scores 0 and 2 against 1: distance 1/2, yet "the score is 1" tells the groups apart for certain."""
    group, label, score = ["F", "F", "M", "M"] * 2, [0] * 4 + [1] * 4, [0, 2, 1, 1] * 2
    result = certify_score_counts(count(group, label, score), label_balanced=True)
    assert result.point == F(1, 2)
    hard = Counts.from_arrays(
        label, [int(s == 1) for s in score], sensitive_features=group, labels=[0, 1], outputs=[0, 1]
    )
    assert certify_counts(hard, label_balanced=True).point == 1
    assert "several intervals" in result.not_covered[0]


CASES = {
    "every pure pair": {},
    "one pure pair": {"pure": ("M", "F")},
    "label-balanced": {"label_balanced": True},
    "given": {"pair": {"world_0": {"F": {"0": 1, "1": 1}}, "world_1": {"M": {"0": 2, "1": 1}, "X": {"0": 1}}}},
    "vacuous": {"on_missing": "vacuous"},
}


def body(options, n=500, digits=1):
    group, label, score = sample(n, digits=digits, groups=("F", "X", "M"))
    keep = (group != "X") | (label == 0) if "on_missing" in options else np.full(n, True)
    counted = count(group[keep], label[keep], score[keep])
    if "pair" in options:
        pair = CompositionPair.from_dict(options["pair"], counted.counts.groups, counted.counts.labels)
        options = {**options, "pair": pair}
    result = certify_score_counts(counted, **options)
    return {"schema": check.SCORES_SCHEMA, **json.loads(json.dumps(result.certificate_body())), "digest": "-"}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_certificates_hold_and_no_changed_number_changes_what_is_proved(options, numbers, changed):
    data = body(options)
    verified = check._check_scores(data)
    assert "confidence 0.95" in verified
    # Where the blocks end is not part of the proof.
    paths = [path for path in numbers(data) if path[:2] not in {("counts", "thresholds"), ("counts", "merged")}]
    assert len(paths) > 100
    cells = [path for path in paths if path[0] == "counts"]
    for path in [*(path for path in paths if path[0] != "counts"), *cells[::17]]:
        for step in (1, -1):
            try:
                still = check._check_scores(changed(data, path, step))
            except CheckError:
                continue
            if path == ("claim", "confidence"):
                assert step == -1
                assert "confidence 0.949" in still
                continue
            # A wider band or a lower limit is valid too, and where it does not count the bound stays.
            assert (path[1], step) in {("bands", 1), ("label_marginals", -1)}
            assert still == verified


def test_certificates_of_merged_blocks(changed):
    data = body({}, n=20_000, digits=None)
    assert data["counts"]["merged"]
    assert check._check_scores(data)
    data["counts"]["merged"] = []
    with pytest.raises(CheckError, match="distance"):
        check._check_scores({**data, "distance": changed(data, ("distance", 0, "point"), 1)["distance"]})


@pytest.mark.parametrize("factor", [F(99, 100), F(9999, 10000)])
@pytest.mark.parametrize("n", [500, 3000])
def test_bands_that_are_too_narrow_are_refused(monkeypatch, factor, n):
    def narrow(rows, alpha):
        return F(int(kolmogorov_band(rows, alpha) * factor * 10**9), 10**9)

    monkeypatch.setattr(scores, "kolmogorov_band", narrow)
    with pytest.raises(CheckError, match="is no band for"):
        check._check_scores(body({}, n=n))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("claim", "game"), "labelled", "not about thresholds"),
        (("claim", "label_balanced"), 0, "true or false"),
        (("claim", "confidence"), "1/3", "outside"),
        (("counts", "thresholds"), [], "list of 1 to"),
        (("counts", "thresholds"), ["1"] * 5000, "list of 1 to"),
        (("counts", "thresholds", 0), "100", "do not rise"),
        (("counts", "thresholds", 0), 0.5, "not an exact number"),
        (("counts", "merged"), [True], "list of positions"),
        (("counts", "merged"), [10**6], "list of positions"),
        (("counts", "table", 0, 0), [1], "must have"),
        (("counts", "table", 0, 0, 0), -1, "non-negative"),
        (("counts", "groups"), ["F"], "at least two"),
        (("rows"), 3, "not the sum"),
        (("on_missing"), "ignore", "error or vacuous"),
        (("limits", "method"), "guess", "unknown"),
        (("limits", "number"), 1, "number of limits"),
        (("limits", "bands", 0, 0), "0", "no multiple"),
        (("limits", "bands", 0, 0), "2", "no multiple"),
        (("limits", "bands", 0, 0), "1/3", "no multiple"),
        (("limits", "label_marginals", 0, 0), "1", "no lower limit"),
        (("pairs"), [], "at least one"),
        (("pairs", 0, "groups"), ["F", "F"], "two different"),
        (("pairs", 1, "groups"), ["M", "F"], "two different"),
        (("distance", 0, "label"), 1, "is not 0"),
    ],
)
def test_malformed_certificates_are_refused(path, value, message):
    data = body({})
    node, path = data, (path,) if isinstance(path, str) else path
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(CheckError, match=message):
        check._check_scores(data)


def test_missing_cells():
    group, label, score = ["F", "F", "M"], [0, 1, 0], [0.1, 0.2, 0.3]
    with pytest.raises(MissingCellError, match="no rows with label 1"):
        certify_score_counts(count(group, label, score))
    result = certify_score_counts(count(group, label, score), on_missing="vacuous")
    assert result.distances.per_label[1] == result.upper_distances.per_label[1] == 1
    assert "count as distance 1" in result.assumptions[-1]


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (("FM", [0, 1], [0.1, math.nan]), MissingValueError, "y_score holds missing"),
        (("FM", [0, 1], [0.1, None]), MissingValueError, "y_score holds missing"),
        (("FM", [0, 1], [0.1, math.inf]), NumberError, "y_score holds an infinite score"),
        (("FM", [0, 1], ["0.1", "high"]), NumberError, "y_score holds the text '0.1'"),
        (("FM", [0, 1], [object(), 1]), NumberError, "which is no number"),
        (("FM", [0, 1, 1], [0.1, 0.2]), LengthMismatchError, "y_true 3, y_score 2"),
        (("FF", [0, 1], [0.1, 0.2]), SingleGroupError, "only one group"),
        (("FM", [0, 0], [0.1, 0.2]), AlphabetError, "only the label 0"),
    ],
)
def test_unusable_columns_are_named(columns, error, message):
    group, label, score = columns
    with pytest.raises(error, match=message):
        certify_score_counts(count(list(group), label, score))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"confidence": 2}, NumberError, "at least 0.5"),
        ({"on_missing": "guess"}, AlphabetError, "choose 'error'"),
        ({"pure": ("F", "Q")}, AlphabetError, "no group 'Q'"),
        ({"pure": ("F", "F")}, CompositionError, "two different groups"),
        ({"pure": "FM"}, CompositionError, "names two groups"),
        ({"pair": SimpleNamespace(groups=(), labels=())}, CompositionError, "different groups or labels"),
    ],
)
def test_unusable_options_are_named(options, error, message):
    counted = count(*sample(200, digits=1))
    with pytest.raises(error, match=message):
        certify_score_counts(counted, **options)


def test_scores_are_read_as_numbers_whatever_holds_them():
    for values in ([0, 1, 2], np.array([0, 1, 2], np.int8), [F(0), F(1), F(2)], np.array([0, 1, 2], object)):
        assert read_scores(values, "s").tolist() == [0.0, 1.0, 2.0]
    assert read_scores([True, False], "s").tolist() == [1.0, 0.0]
    group, label, score = sample(300, digits=1)
    assert count(group, label, score) == count(group, label, score + 0.0) == count(group, label, score.astype(object))


def test_intersectional_groups():
    group, label, score = sample(600, digits=1)
    other = np.where(np.arange(600) % 2, "x", "y")
    counted = count({"sex": group, "other": other}, label, score)
    assert counted.counts.groups == ("F & x", "F & y", "M & x", "M & y")


def test_bins():
    group, label, score = sample(2000)
    low, high = -6.0, 6.0
    positions = bin_positions(score, 24, low, high, "score")
    assert np.array_equal(np.bincount(positions, minlength=24), np.histogram(score, 24, (low, high))[0])
    entries = [(str(a), int(y), int(p), 1) for a, y, p in zip(group, label, positions, strict=True)]
    counts = bin_counts(entries, 24)
    assert counts.outputs == tuple(range(24))
    assert certify_counts(counts).point > certify_score_counts(count(group, label, score)).point / 2
    named = bin_counts([(a, "yes" if y else "no", p, n) for a, y, p, n in entries], 24)
    assert named.outputs[:2] == ("0", "1")
    assert bin_positions(np.array([0.0, 0.5, 1.0]), 2, 0.0, 1.0, "score").tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 0.0, 1.0), "outside the scores' range 0 to 1; declare it by --score-range"),
        ((1, -9.0, 9.0), "from 2 to 1000"),
        ((5000, -9.0, 9.0), "from 2 to 1000"),
        ((5, 1.0, 0.0), "no interval"),
        ((5, 0.0, math.inf), "no interval"),
    ],
)
def test_unusable_bins(arguments, message):
    with pytest.raises(NumberError, match=message):
        bin_positions(np.array([-1.0, 2.0]), *arguments, "score")


def test_results_show_upper_bounds_rounded_up():
    result = certify_score_counts(count(*sample(900, digits=1)))
    shown = result.to_dict()
    assert F(shown["advantage"]["upper"]) >= result.upper
    assert shown["exact"]["advantage"]["upper"] == str(result.upper)
    assert "equalized odds" in shown["statement"]
    assert shown["advantage"]["theorem"] == "T7"
    assert "T7, 900 rows" in str(result)
