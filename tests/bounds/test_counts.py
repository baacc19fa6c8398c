"""Counting: every kind of array, every error, and the table's algebra."""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbound.bounds import Counts, certify_counts
from fairbound.bounds.counting import _BLOCK
from fairbound.bounds.errors import (
    AlphabetError,
    CountOverflowError,
    EmptyInputError,
    FairboundError,
    LengthMismatchError,
    MissingCellError,
    MissingValueError,
    MixedTypesError,
    ScoresError,
    SingleGroupError,
)
from fairbound.testing import counts as tables

Y = [0, 1, 1, 0, 1, 0, 1, 1, 0]
P = [0, 1, 0, 1, 1, 0, 1, 0, 0]
G = ["m", "f", "f", "m", "m", "f", "m", "f", "m"]
EXPECTED = Counts.from_cells(Counter(zip(G, Y, P, strict=True)))

CONVERSIONS = {
    "list": list,
    "tuple": tuple,
    "numpy": np.array,
    "object": lambda v: np.array(v, dtype=object),
    "pandas": pd.Series,
    "pandas categorical": lambda v: pd.Series(v).astype("category"),
    "pandas nullable": lambda v: pd.Series(v).convert_dtypes(),
    "polars": pl.Series,
    "pyarrow": pa.array,
    "pyarrow chunked": lambda v: pa.chunked_array([v[:4], v[4:]]),
    "column": lambda v: np.array(v)[:, None],
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
def test_every_kind_of_array_gives_the_same_counts(convert):
    assert Counts.from_arrays(convert(Y), convert(P), sensitive_features=convert(G)) == EXPECTED


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "int64", "uint64", "float32", "float64", "O"])
def test_every_number_type_gives_the_same_counts(dtype):
    assert Counts.from_arrays(np.array(Y, dtype), np.array(P, dtype), sensitive_features=G) == EXPECTED


@given(
    st.integers(1, 5),
    st.integers(-300, 300),
    st.sampled_from(["int8", "int16", "int64", "U", "O"]),
    st.integers(0, 2**32 - 1),
)
def test_counting_agrees_with_a_plain_counter(size, offset, kind, seed):
    generator = np.random.default_rng(seed)
    offset = offset % 100 if kind == "int8" else offset
    group, label, output = (generator.integers(0, size, 57) * 7 + offset for _ in range(3))
    convert = (lambda v: v.astype(str)) if kind == "U" else (lambda v: v.astype(kind))
    as_text = str if kind == "U" else int
    expected = Counter(tuple(map(as_text, row)) for row in zip(group, label, output, strict=True))
    found = Counts.from_arrays(
        convert(label),
        convert(output),
        sensitive_features=convert(group),
        labels=sorted(map(as_text, {*label, *output})),
    )
    assert {key: n for key, n in found.cells() if n} == expected


@pytest.mark.parametrize("symbols", [2, 40, 70, 300])
def test_counting_is_right_across_blocks(symbols):
    generator = np.random.default_rng(symbols)
    n = 2 * _BLOCK + 17
    group, label = generator.integers(0, symbols, n), generator.integers(0, 2, n)
    label[-1], group[-1] = 3, symbols + 1000
    expected = Counter(zip(group.tolist(), label.tolist(), label.tolist(), strict=True))
    assert {k: v for k, v in Counts.from_arrays(label, label, sensitive_features=group).cells() if v} == expected
    text = group.astype(str)
    expected = Counter(zip(text.tolist(), label.tolist(), label.tolist(), strict=True))
    assert {k: v for k, v in Counts.from_arrays(label, label, sensitive_features=text).cells() if v} == expected


@pytest.mark.parametrize(
    ("y", "p", "g", "error", "message"),
    [
        ([], [], [], EmptyInputError, "empty"),
        ([0, 1], [0], ["a", "b"], LengthMismatchError, "y_pred 1"),
        ([0, 1], [0, 1], ["a", None], MissingValueError, "sensitive_features holds missing"),
        ([0, float("nan")], [0, 1], ["a", "b"], MissingValueError, "y_true"),
        (np.array([0, np.nan]), [0, 1], ["a", "b"], MissingValueError, "y_true"),
        (pd.array([0, None]), [0, 1], ["a", "b"], MissingValueError, "y_true"),
        ([0, 1], [0.2, 0.9], ["a", "b"], ScoresError, "y_pred holds 0.2"),
        ([0, 1], [Decimal("0.5"), 1], ["a", "b"], ScoresError, "y_pred holds 0.5"),
        ([0, 1], [0.0, np.inf], ["a", "b"], ScoresError, "inf"),
        ([0, 1], [0, "1"], ["a", "b"], MixedTypesError, "y_pred mixes"),
        ([0, 1], ["0", "1"], ["a", "b"], MixedTypesError, "y_true and y_pred together"),
        ([0, 1], [5, 6], ["a", "b"], AlphabetError, "no value in common"),
        ([0, 1], [[0], [1, 2]], ["a", "b"], AlphabetError, "y_pred"),
        ([[0, 1]], [[0, 1]], [["a", "b"]], AlphabetError, "shape"),
        ([0, 1], [0, 1], [b"a", b"b"], AlphabetError, "bytes"),
        ([0, 1], [0, 1], [{}, {}], AlphabetError, "scalars"),
    ],
)
def test_bad_input_names_the_culprit(y, p, g, error, message):
    if message == "y_pred":
        p = np.array(p, dtype=object)
    with pytest.raises(error, match=message):
        Counts.from_arrays(y, p, sensitive_features=g)


def test_values_that_arrays_would_merge_or_hide_are_kept_apart_or_refused():
    def group(values):
        n = len(values)
        return Counts.from_arrays([0, 1] * (n // 2), [0, 1] * (n // 2), sensitive_features=values).groups

    assert group([2**53, 2**53 + 1]) == (2**53, 2**53 + 1)
    assert group([2**53, 2**53 + 1, 2.0, 2.0]) == (2, 2**53, 2**53 + 1)
    assert group(np.array([1e17, 2e17])) == (10**17, 2 * 10**17)
    for huge in ([2**63, 2**63 + 1], np.array([1e20, 2e20]), np.array([2**63, 1], np.uint64), np.array([-(2**63), 1])):
        with pytest.raises(AlphabetError, match="too large for a category"):
            group(huge)
    with pytest.raises(MixedTypesError):
        group(deque([1, "1"]))
    for missing in (
        np.ma.masked_array([1, 2], mask=[False, True]),
        np.array(["2020-01-01", "NaT"], "datetime64[D]"),
        np.array(["a", np.nan]),
        ["a", ""],
        ["a", "NA"],
        pd.Series([pd.Timestamp("2020-01-01"), pd.NaT]),
    ):
        with pytest.raises(MissingValueError, match="sensitive_features holds missing values"):
            group(missing)
    with pytest.raises(AlphabetError, match="type object"):
        group([object(), object()])
    assert group(np.array(["2020-01-01", "2021-01-01"], "datetime64[D]")) == ("2020-01-01", "2021-01-01")


def test_a_name_that_reads_like_a_missing_value_can_be_declared():
    found = Counts.from_arrays([0, 1], [0, 1], sensitive_features=["None", "b"], groups=["None", "b"])
    assert found.groups == ("None", "b")


def test_cells_are_canonical_and_whole():
    cells = {(np.int64(1), True, np.int8(0)): np.int64(2), (1.0, 1, False): 3}
    assert Counts.from_cells(cells, labels=[1, 0]).rate(1, 1) == (Fraction(0), Fraction(1))
    for bad in (2.7, "3", None):
        with pytest.raises(AlphabetError, match="must be integers"):
            Counts.from_cells({("a", 0, 0): bad})
    with pytest.raises(AlphabetError, match="must not be negative"):
        Counts.from_cells({("a", 0, 0): -1})


def test_identifiers_are_refused_as_categories():
    many = np.arange(100_000)
    for column in (many, many.astype(str), many.astype(object)):
        with pytest.raises(AlphabetError, match="really a category"):
            Counts.from_arrays(many % 2, many % 2, sensitive_features=column)


def test_declared_alphabets_are_seen_and_enforced():
    found = Counts.from_arrays([0, 1], [0, 1], sensitive_features=["a", "b"], groups=["b", "a"], labels=[0, 1, 2])
    assert found.groups == ("b", "a")
    assert found.labels == (0, 1, 2)
    with pytest.raises(AlphabetError, match="holds 'b', which is not among"):
        Counts.from_arrays([0, 1], [0, 1], sensitive_features=["a", "b"], groups=["a"])
    with pytest.raises(AlphabetError, match="y_true holds 1"):
        Counts.from_arrays([0, 1], [0, 1], sensitive_features=["a", "b"], labels=[0])
    with pytest.raises(AlphabetError, match="repeats"):
        Counts.from_arrays([0, 1], [0, 1], sensitive_features=["a", "b"], labels=[0, 1, 1])


def test_a_label_that_is_only_predicted_is_a_missing_cell():
    found = Counts.from_arrays([0, 0, 0], [0, 1, 0], sensitive_features=["a", "a", "b"])
    assert found.missing_cells() == (("a", 1), ("b", 1))
    with pytest.raises(MissingCellError, match="group 'a' has no rows with label 1"):
        certify_counts(found)


def test_missing_cells_are_an_error_or_vacuous():
    found = Counts.from_arrays([0, 0, 1, 0], [0, 1, 1, 0], sensitive_features=["M", "M", "M", "F"])
    with pytest.raises(
        MissingCellError, match=r"group 'F' has no rows with label 1 \(counts: \{0: 1, 1: 0\}\).*vacuous"
    ):
        certify_counts(found)
    result = certify_counts(found, on_missing="vacuous")
    assert result.disparities.per_label == (Fraction(1, 2), Fraction(1))
    assert result.point == Fraction(1, 3) + Fraction(2, 3) * Fraction(1, 2)
    assert result.upper_disparities.per_label[1] == 1
    assert result.certificate().verified
    with pytest.raises(MissingCellError):
        found.rate("F", 1)


def test_degenerate_logs_are_refused():
    with pytest.raises(SingleGroupError, match="at least two groups"):
        certify_counts(Counts.from_arrays([0, 1], [0, 1], sensitive_features=["a", "a"]))
    with pytest.raises(AlphabetError, match="only the label 1 occurs"):
        certify_counts(Counts.from_arrays([1, 1], [1, 1], sensitive_features=["a", "b"]))
    one_output = Counts(("a", "b"), (0, 1), (0,), (((1,), (1,)), ((1,), (1,))))
    with pytest.raises(AlphabetError, match="only the output 0"):
        certify_counts(one_output)
    table = Counts.from_arrays([0, 1, 0, 1], [0, 1, 0, 1], sensitive_features=["a", "a", "b", "b"])
    wrongs = ({"pair": {}}, {"pure": 1}, {"pure": "ab"}, {"game": ["labelled"]}, {"theorem": "T2"}, {"on_missing": "?"})
    for wrong in wrongs:
        with pytest.raises(FairboundError):
            certify_counts(table, **wrong)
    with pytest.raises(MissingCellError, match="declared but has no rows"):
        certify_counts(Counts.from_arrays([0, 1], [0, 1], sensitive_features=["a", "b"], groups=["a", "b", "c"]))


def test_more_rows_than_floats_count_are_refused():
    half = Counts.from_cells({("a", 0, 0): 2**52, ("b", 0, 0): 1, ("a", 1, 1): 1, ("b", 1, 1): 1})
    with pytest.raises(CountOverflowError, match=r"2\*\*53"):
        _ = half + half
    largest = Counts.from_cells({("a", 0, 0): 2**51, ("b", 0, 1): 2**51, ("a", 1, 1): 2**51, ("b", 1, 1): 2**50})
    assert certify_counts(largest).certificate().verified


@pytest.mark.parametrize("table", [((1,),), (((1, 2),),), (((-1, 2), (3, 4)),) * 2, (((1.0, 2), (3, 4)),) * 2])
def test_tables_that_are_no_counts_are_refused(table):
    with pytest.raises((AlphabetError, TypeError)):
        Counts(("a", "b"), (0, 1), (0, 1), table)


# Separate limits are quick; joint methods have relations of their own to keep.
separately = partial(certify_counts, method="clopper-pearson")


@given(tables(), st.integers(1, 1000))
def test_scaling_keeps_points_and_narrows_the_bound(table, factor):
    scaled = Counts(
        table.groups,
        table.labels,
        table.outputs,
        tuple(tuple(tuple(n * factor for n in row) for row in plane) for plane in table.table),
    )
    before, after = separately(table), separately(scaled)
    assert after.point == before.point
    assert after.disparities == before.disparities
    assert after.point <= after.upper <= before.upper


@given(tables(), st.randoms(use_true_random=False))
def test_splitting_and_adding_restores_the_table(table, random):
    parts = [{}, {}]
    for key, n in table.cells():
        first = random.randint(0, n)
        parts[0][key], parts[1][key] = first, n - first
    if all(any(part.values()) for part in parts):
        alphabets = {"groups": table.groups, "labels": table.labels, "outputs": table.outputs}
        assert Counts.from_cells(parts[0], **alphabets) + Counts.from_cells(parts[1], **alphabets) == table


@given(tables())
def test_renaming_groups_and_labels_changes_no_number(table):
    renamed = table.relabel(groups=lambda g: f"group {g}", labels=lambda y: f"l{9 - y}", outputs=lambda z: f"l{9 - z}")
    for options in ({}, {"label_balanced": True}, {"theorem": "T1b"}):
        before, after = separately(table, **options), separately(renamed, **options)
        assert (before.point, before.upper) == (after.point, after.upper)


@given(tables())
def test_merging_groups_raises_no_disparity(table):
    merged = table.relabel(groups=lambda g: "b" if g == "a" else g)
    if len(merged.groups) > 1:
        before, after = separately(table), separately(merged)
        assert all(
            new <= old for new, old in zip(after.disparities.per_label, before.disparities.per_label, strict=True)
        )


@given(tables())
def test_merging_outputs_raises_no_disparity(table):
    """T6: post-processing lowers every distance."""
    merged = table.relabel(outputs=lambda z: min(z, 1))
    before, after = separately(table, theorem="T1b"), separately(merged, theorem="T1b")
    assert after.point <= before.point


def test_addition_unites_alphabets():
    left = Counts.from_cells({("a", 0, 0): 1})
    right = Counts.from_cells({("b", 1, 1): 2})
    assert (left + right).table == (((1, 0), (0, 0)), ((0, 0), (0, 2)))
    with pytest.raises(TypeError):
        _ = left + 1
