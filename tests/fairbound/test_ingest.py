"""Files and frames: one log, many containers, the same counts; broken ones named."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import pairwise

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairbound
from fairbound.bounds.errors import (
    AlphabetError,
    CompositionError,
    EmptyInputError,
    FairboundError,
    FileFormatError,
    MissingValueError,
    MixedTypesError,
    ScoresError,
    UnknownColumnError,
)
from fairbound.ingest import count_file, count_files, count_frame, read_pair

GENERATOR = np.random.default_rng(5)
N = 3000
LOG = {
    "label": GENERATOR.integers(0, 3, N),
    "prediction": GENERATOR.integers(0, 3, N),
    "group": GENERATOR.choice(["f", "m", 'é "x", y'], N),
}
EXPECTED = fairbound.Counts.from_cells(
    Counter(zip(LOG["group"].tolist(), LOG["label"].tolist(), LOG["prediction"].tolist(), strict=True))
)
FRAME = pd.DataFrame(LOG)


def csv(**options):
    return lambda path: FRAME.to_csv(path, index=False, **options)


WRITERS = {
    "a.csv": csv(),
    "semicolon.csv": csv(sep=";"),
    "tab.tsv": csv(sep="\t"),
    "bom.csv": csv(encoding="utf-8-sig"),
    "a.csv.gz": csv(),
    "[odd] *name?.csv": csv(),
    "floats.csv": lambda path: FRAME.astype({"label": float, "prediction": float}).to_csv(path, index=False),
    "mixed_floats.csv": lambda path: FRAME.astype({"prediction": float}).to_csv(path, index=False),
    "a.parquet": lambda path: FRAME.to_parquet(path),
    "no_extension": lambda path: FRAME.to_parquet(path),
    "floats.parquet": lambda path: FRAME.astype({"prediction": "float32"}).to_parquet(path),
    "categories.parquet": lambda path: FRAME.astype({"group": "category"}).to_parquet(path),
    "many_groups.parquet": lambda path: pq.write_table(pa.table(LOG), path, row_group_size=100),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_file_gives_the_same_counts(name, tmp_path):
    WRITERS[name](tmp_path / name)
    assert count_file(tmp_path / name) == EXPECTED


FRAMES = {
    "pandas": lambda: FRAME,
    "pandas pyarrow": lambda: FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda: pl.DataFrame(LOG),
    "polars lazy": lambda: pl.LazyFrame(LOG),
    "pyarrow": lambda: pa.table(LOG),
    "duckdb": lambda: duckdb.from_arrow(pa.table(LOG)),
    "dictionary": lambda: pl.DataFrame(LOG).with_columns(pl.col("group").cast(pl.Categorical)),
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_every_frame_gives_the_same_counts(make):
    assert count_frame(make()) == EXPECTED


def test_lines_are_never_dropped_or_merged(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_bytes(b'x,label,prediction,group,x\r\n1,0,0,"a, ""b""",2\r\n,1,1,c # d,\r\n,0,1,c # d,\r\n')
    found = count_file(path)
    assert found.groups == ('a, "b"', "c # d")
    assert found.rows == 3


def test_text_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "latin.csv").write_bytes("label,prediction,group\n0,0,Fran\u00e7ais\n".encode("latin-1"))
    with pytest.raises(FileFormatError, match=r"Line: 2.*unicode"):
        count_file(tmp_path / "latin.csv")


def test_booleans_are_labels_zero_and_one(tmp_path):
    frame = pd.DataFrame({"label": [True, False, True], "prediction": [1, 0, 0], "group": ["a", "b", "a"]})
    expected = fairbound.Counts.from_arrays(frame["label"], frame["prediction"], sensitive_features=frame["group"])
    assert expected.labels == (0, 1)
    frame.to_csv(tmp_path / "b.csv", index=False)
    frame.to_parquet(tmp_path / "b.parquet")
    assert count_file(tmp_path / "b.csv") == count_file(tmp_path / "b.parquet") == count_frame(frame) == expected


def test_names_with_leading_zeros_stay_names(tmp_path):
    (tmp_path / "z.csv").write_text("label,prediction,group\n0,0,01\n1,1,1\n")
    assert count_file(tmp_path / "z.csv").groups == ("01", "1")


def test_text_and_numbers_in_one_alphabet_become_text(tmp_path):
    (tmp_path / "t.csv").write_text("label,prediction,group\n0,0,a\n1,unsure,b\n")
    assert count_file(tmp_path / "t.csv").outputs == ("0", "1", "unsure")


def test_column_names_are_quoted(tmp_path):
    odd = 'y"; DROP TABLE x; --'
    FRAME.rename(columns={"label": odd}).to_parquet(tmp_path / "q.parquet")
    assert count_file(tmp_path / "q.parquet", label=odd) == EXPECTED


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", EmptyInputError, "0 bytes"),
        ("label,prediction,group\n", EmptyInputError, "no rows"),
        ("label,pred,group\n0,0,a\n", UnknownColumnError, r"'prediction' \(did you mean 'pred'\?\).*--prediction"),
        ("label,prediction,group\n0,0,a\n1,,b\n", MissingValueError, "'prediction'"),
        ("label,prediction,group\n0,0,a\n1,1,\n", MissingValueError, "'group'"),
        ("label,prediction,group\n0,NaN,a\n1,1,b\n", MissingValueError, "'prediction'"),
        ("label,prediction,group\n0,0.31,a\n1,0.8,b\n", ScoresError, "'prediction' holds 0.[38]"),
        ("label,prediction,group\n0,1e-3,a\n1,1,b\n", ScoresError, "'prediction' holds 1e-3"),
        ("label,prediction,group\nno,0,a\nyes,1,b\n", AlphabetError, "no value in common"),
        ('label,prediction,group\n0,0,a\n0,0,"a\n', FileFormatError, "Line: 3.*unterminated quote"),
        ("label,prediction,group\n0,0,a\n1,1\n", FileFormatError, "Line: 3.*Columns: 3 Found: 2"),
        ("label,prediction,group\n0,0,a\n1,1,b,9\n", FileFormatError, "Line: 3.*Columns: 3 Found: 4"),
        ("label,prediction,group,group\n0,0,a,b\n", FileFormatError, "2 columns called 'group'"),
        ("label,prediction,group\n0,0,a\n\0\1\2\n", FileFormatError, "Line: 3"),
        ("PAR1 this is not parquet", FileFormatError, "cannot be read as Parquet"),
    ],
)
def test_broken_files_are_one_line_errors(text, error, message, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(error, match=message) as caught:
        count_file(path)
    assert "\n" not in str(caught.value)


def test_a_missing_value_beyond_the_sampled_rows_is_found(tmp_path):
    frame = pd.DataFrame({"label": [0, 1] * 30_000, "prediction": [0, 1] * 30_000, "group": ["a", "b"] * 30_000})
    frame.loc[59_999, "group"] = None
    for name, write in (("l.csv", frame.to_csv), ("l.parquet", frame.to_parquet)):
        write(tmp_path / name, index=False)
        with pytest.raises(MissingValueError, match="'group'"):
            count_file(tmp_path / name)


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_folders_called_like_columns_do_not_replace_them(extension, tmp_path):
    for column in ("prediction", "group"):
        folder = tmp_path / f"{column}=1"
        folder.mkdir()
        WRITERS[f"a.{extension}"](folder / f"a.{extension}")
        assert count_file(folder / f"a.{extension}") == EXPECTED


def test_tilde_and_pattern_names_are_taken_literally(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.csv").write_text("label,prediction,group\n0,0,z\n")
    for name in ("~a.csv", "[ab].csv", "?.csv"):
        WRITERS["a.csv"](tmp_path / name)
        assert count_file(name) == EXPECTED


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cr.csv", b"label,prediction,group\r0,0,a\r1,1,b\r", "lone CR"),
        ("long.csv", b"{" + b"x" * 200_000, "first line does not end"),
        (
            "cut.csv.gz",
            gzip.compress(b"label,prediction,group\n0,0,a\n" * 99, mtime=0)[:-30],
            "cut.csv.gz cannot be read",
        ),
        ("bad.csv.gz", b"\x1f\x8b\x08" + b"\0" * 40, "bad.csv.gz cannot be read"),
        ("wide.csv", "label,prediction,group\n0,0,a\n".encode("utf-16"), "no UTF-8"),
        ("big.csv", b"label,prediction,group\n0,0," + b"9" * 5000 + b"\n", None),
    ],
)
def test_unreadable_files_are_one_line_errors(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    if message is None:
        assert len(str(count_file(tmp_path / name, labels=[0, 1]).groups[0])) == 5000
        return
    with pytest.raises(FileFormatError, match=message) as caught:
        count_file(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_columns_of_lists_and_repeated_columns_are_refused(tmp_path):
    listed = pa.table({"label": [0, 1], "prediction": [0, 1], "group": [["a"], ["b"]]})
    pq.write_table(listed, tmp_path / "l.parquet")
    with pytest.raises(AlphabetError, match="'group' holds lists"):
        count_file(tmp_path / "l.parquet")
    twice = pa.table([[0, 1], [0, 1], ["a", "b"], ["c", "d"]], names=["label", "prediction", "group", "group"])
    pq.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(FileFormatError, match="2 columns called 'group'"):
        count_file(tmp_path / "t.parquet")
    with pytest.raises(FileFormatError, match="cannot be read"):
        count_frame(pd.DataFrame([[0, 0, "a", "b"]], columns=["label", "prediction", "group", "group"]))


@pytest.mark.parametrize("text", ["NA", "NULL", "None", "<NA>", "n/a", "nan", "NaN"])
def test_texts_that_mean_missing_are_refused_unless_declared(text, tmp_path):
    path = tmp_path / "na.csv"
    path.write_text(f"label,prediction,group\n0,0,{text}\n1,1,b\n")
    with pytest.raises(MissingValueError, match="'group' holds missing values"):
        count_file(path)
    assert count_file(path, groups=[text, "b"]).groups == (text, "b")
    path.write_text(f"label,prediction,group\n0,0,a\n1,{text},b\n")
    with pytest.raises(MissingValueError, match="'prediction' holds missing values"):
        count_file(path)


def test_declared_alphabets_reach_files_and_frames(tmp_path):
    path = tmp_path / "third.csv"
    path.write_text("label,prediction,group\n0,0,a\n1,1,b\n1,2,b\n0,0,b\n1,1,a\n")
    for found in (
        count_file(path, labels=[0, 1]),
        count_frame(pd.read_csv(path), labels=[0, 1]),
        fairbound.certify_log(path, labels=[0, 1], outputs=[0, 1, 2]).counts,
    ):
        assert (found.labels, found.outputs) == ((0, 1), (0, 1, 2))
        assert found.missing_cells() == ()


def test_truth_values_of_groups_stay_text(tmp_path):
    path = tmp_path / "tf.csv"
    path.write_text("label,prediction,group\ntrue,false,true\nfalse,false,false\n")
    assert count_file(path).groups == ("false", "true")
    assert count_file(path).labels == (0, 1)


def test_absent_files_and_directories(tmp_path):
    with pytest.raises(FileFormatError, match="no file"):
        count_file(tmp_path / "nope.csv")
    with pytest.raises(FileFormatError, match="no file"):
        count_file(tmp_path)


def split(folder, cuts=(0, 700, 701, N), extension="csv"):
    folder.mkdir(exist_ok=True)
    for number, (a, b) in enumerate(pairwise(cuts)):
        part = FRAME.iloc[a:b]
        path = folder / f"part{number}.{extension}"
        part.to_csv(path, index=False) if extension == "csv" else part.to_parquet(path)
    return folder


def test_patterns_and_lists_are_one_log(tmp_path):
    folder = split(tmp_path / "parts")
    split(folder / "more", extension="parquet")
    assert count_files(str(folder / "part*.csv")) == EXPECTED
    assert count_files([folder / "part[01].csv", folder / "part2.csv"]) == EXPECTED
    assert count_files([folder / "part0.csv", folder / "more" / "part[12].*"]) == EXPECTED
    assert count_files(str(tmp_path / "**" / "*.csv")) == EXPECTED
    assert count_files(tmp_path / "**" / "part[0-9].*") == EXPECTED + EXPECTED
    assert fairbound.certify_log(folder / "*.csv").counts == EXPECTED


def test_progress_counts_files(tmp_path):
    told = []
    count_files(split(tmp_path / "parts") / "*", progress=lambda done, n: told.append((done, n)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_files_named_twice_or_not_at_all_are_refused(tmp_path):
    folder = split(tmp_path / "parts")
    (folder / "link.csv").symlink_to(folder / "part0.csv")
    for paths in ([folder / "part0.csv"] * 2, [folder / "part*.csv", folder / "part1.csv"], folder / "*.csv"):
        with pytest.raises(FileFormatError, match=r"is given twice.*count twice"):
            count_files(paths)
    with pytest.raises(FileFormatError, match=r"no file matches the pattern '.*nope\*'"):
        count_files([folder / "part*.csv", folder / "nope*"])
    with pytest.raises(FileFormatError, match="no file is given"):
        count_files([])
    (folder / "sub.csv").mkdir()
    with pytest.raises(FileFormatError, match=r"sub\.csv'; it is a folder"):
        count_files(folder / "sub*")


def test_a_broken_file_among_several_is_named(tmp_path):
    folder = split(tmp_path / "parts")
    header = "label,prediction,group\n"
    for text, error in (
        (header + "0,,f\n", MissingValueError),
        (header + "0,0\n", FileFormatError),
        ("", EmptyInputError),
    ):
        (folder / "part1.csv").write_text(text)
        with pytest.raises(error, match=r"part1\.csv"):
            count_files(folder / "*.csv")
    (folder / "part1.csv").write_text(header)
    assert count_files(folder / "*.csv").rows == N - 1
    with pytest.raises(EmptyInputError):
        count_file(folder / "part1.csv")
    (folder / "part2.csv").write_text(header)
    with pytest.raises(EmptyInputError, match="no rows"):
        count_files(folder / "part[12].csv")


def test_integers_beside_text_are_read_as_in_one_file(tmp_path):
    header = "label,prediction,group\n"
    (tmp_path / "a.csv").write_text(header + "0,0,1\n1,1,2\n")
    (tmp_path / "b.csv").write_text(header + "0,unsure,2\n")
    (tmp_path / "whole").write_text(header + "0,0,1\n1,1,2\n0,unsure,2\n")
    assert count_files(tmp_path / "*.csv") == count_file(tmp_path / "whole")
    assert count_files(tmp_path / "*.csv").labels == ("0", "1", "unsure")
    typed = pd.DataFrame({"label": ["0"], "prediction": ["1"], "group": [1]})
    typed.to_parquet(tmp_path / "text.parquet")
    assert count_files([tmp_path / "text.parquet", tmp_path / "a.csv"]).labels == ("0", "1")
    typed.astype({"label": int, "prediction": int}).to_parquet(tmp_path / "integers.parquet")
    assert count_files([tmp_path / "integers.parquet", tmp_path / "a.csv"]).labels == (0, 1)
    for paths in (("integers.parquet", "b.csv"), ("integers.parquet", "text.parquet")):
        with pytest.raises(MixedTypesError, match=r"'(label|prediction)' mixes text"):
            count_files([tmp_path / path for path in paths])


def test_declared_text_makes_a_csv_column_text(tmp_path):
    (tmp_path / "a.csv").write_text("label,prediction,group\n0,0,1\n1,1,2\n")
    found = count_file(tmp_path / "a.csv", labels=[0, 1, "unsure"], groups=["1", "2", "x"])
    assert (found.labels, found.groups) == (("0", "1", "unsure"), ("1", "2", "x"))


def test_parts_that_are_missing_or_repeated(tmp_path):
    frame = FRAME.assign(race=["a", "NA", "b"] * (N // 3))
    frame.to_csv(tmp_path / "l.csv", index=False)
    for count in (lambda **o: count_file(tmp_path / "l.csv", **o), lambda **o: count_frame(frame, **o)):
        with pytest.raises(MissingValueError, match=r"column 'race' holds missing values \('NA'\)"):
            count(group=["group", "race"])
        names = [f"{a} & {b}" for a in sorted(set(LOG["group"])) for b in ("a", "NA", "b")]
        assert count(group=["group", "race"], groups=names).groups == tuple(names)
        assert count(group=["group"]) == EXPECTED
        with pytest.raises(UnknownColumnError, match="4 different columns"):
            count(group=["group", "group"])
        with pytest.raises(UnknownColumnError, match="--group"):
            count(group=[])
        with pytest.raises(UnknownColumnError, match=r"no column 'rice' \(did you mean 'race'\?\).*--group"):
            count(group=["group", "rice"])
    with pytest.raises(MissingValueError, match=r"sensitive_features\['race'\] holds missing"):
        fairbound.certify(LOG["label"], LOG["prediction"], sensitive_features=frame[["group", "race"]])


FEATURES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "mapping": dict,
    "list of columns": lambda columns: [list(v) for v in columns.values()],
    "list of series": lambda columns: [pd.Series(v) for v in columns.values()],
    "array": lambda columns: np.array(list(columns.values()), dtype=object).T,
}


@pytest.mark.parametrize("make", FEATURES.values(), ids=FEATURES)
def test_every_kind_of_several_sensitive_features(make):
    age = GENERATOR.integers(0, 2, N)
    names = [f"{g} & {a}" for g, a in zip(LOG["group"], age, strict=True)]
    expected = Counter(zip(names, LOG["label"].tolist(), LOG["prediction"].tolist(), strict=True))
    found = fairbound.Counts.from_arrays(
        LOG["label"], LOG["prediction"], sensitive_features=make({"group": LOG["group"], "age": age})
    )
    assert found == fairbound.Counts.from_cells(expected)
    one = make({"group": LOG["group"]})
    assert fairbound.Counts.from_arrays(LOG["label"], LOG["prediction"], sensitive_features=one) == EXPECTED
    with pytest.raises(FairboundError, match=r"different lengths|scalars|one value per row"):
        fairbound.certify(LOG["label"][:-1], LOG["prediction"], sensitive_features=make({"g": age, "h": age}))


def test_identifiers_and_repeated_columns_are_refused(tmp_path):
    path = tmp_path / "ids.csv"
    pd.DataFrame({"label": [0] * 9000, "prediction": [0] * 9000, "group": range(9000)}).to_csv(path, index=False)
    with pytest.raises(AlphabetError, match="really a category"):
        count_file(path)
    with pytest.raises(UnknownColumnError, match="three different columns"):
        count_file(path, label="group")


def test_frames_that_are_none():
    with pytest.raises(FileFormatError, match="no data frame"):
        count_frame([1, 2, 3])
    with pytest.raises(EmptyInputError):
        count_frame(FRAME.head(0))
    with pytest.raises(UnknownColumnError, match="did you mean 'group'"):
        count_frame(FRAME, group="groups")
    with pytest.raises(MixedTypesError):
        count_frame(FRAME.astype({"label": str}).astype({"label": object}))


def test_reading_a_pair_takes_decimals_exactly(tmp_path):
    path = tmp_path / "pair.json"
    cells = {"f": {"0": 0.1, "1": 0.2, "2": 0.3}, "m": {"0": 0.4}}
    path.write_text(json.dumps({"world_0": cells, "world_1": {"m": {"0": 3, "1": 1, "2": 1}}}))
    pair = read_pair(path, EXPECTED)
    assert str(pair.world_0.mass[0][0]) == "1/10"
    assert str(pair.world_1.mass[1][0]) == "3/5"
    repeated = '{"world_0": {"f": {"0": 1, "0": 2}}, "world_1": {"m": {"0": 1}}}'
    unknown = '{"world_0": {"f": {"0": 1}}, "world_1": {"q": {"0": 1}}}'
    for broken in (repeated, unknown, "{", "[]"):
        path.write_text(broken)
        with pytest.raises((FileFormatError, CompositionError)):
            read_pair(path, EXPECTED)


def test_every_error_is_one_of_ours():
    with pytest.raises(FairboundError):
        fairbound.certify([0, 1], [0, 1], sensitive_features=["a", "a"])
