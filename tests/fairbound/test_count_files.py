"""Count files: shards add up to the log, only counts leave a site, and a changed file is refused by name."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fairbound
from fairbound.bounds import Counts
from fairbound.bounds.check import digest
from fairbound.bounds.errors import (
    AlphabetError,
    CountOverflowError,
    EmptyInputError,
    FairboundError,
    FileFormatError,
    MissingValueError,
    MixedTypesError,
    ScoresError,
)
from fairbound.count_format import read_count_file, write_count_file
from fairbound.tally import Columns, Tally
from fairbound.testing import counts as tables

LOG = "label,prediction,group\n" + "0,0,f\n0,1,f\n1,1,f\n1,0,f\n0,0,m\n0,1,m\n1,1,m\n" * 5


@pytest.fixture
def shard(tmp_path):
    """A count file's path and content."""
    (tmp_path / "log.csv").write_text(LOG)
    fairbound.write_counts(tmp_path / "a.counts.json", tmp_path / "log.csv")
    return tmp_path / "a.counts.json"


def rewrite(path, change, *, seal=True):
    data = json.loads(path.read_text())
    change(data)
    if seal:
        data["digest"] = digest(data)
    path.write_text(json.dumps(data))


def test_a_count_file_holds_counts_and_nothing_else(shard):
    assert json.loads(shard.read_text()) == {
        "schema": "fairbound.counts/1",
        "columns": {"group": ["group"], "label": "label", "prediction": "prediction"},
        "values": "text",
        "groups": ["f", "m"],
        "labels": ["0", "1"],
        "outputs": ["0", "1"],
        "table": [[[5, 5], [5, 5]], [[5, 5], [0, 5]]],
        "rows": 35,
        "digest": digest(json.loads(shard.read_text())),
    }


@given(tables(), st.integers(0, 2**32))
def test_counts_survive_their_dictionary(counts, seed):
    data = json.loads(json.dumps(counts.to_dict()))
    if counts.rows:
        assert Counts.from_dict(data) == counts
    entry = random.Random(seed).choice(sorted(data))
    for broken in ({k: v for k, v in data.items() if k != entry}, data | {entry: None}, data | {entry: []}):
        with pytest.raises(FairboundError):
            Counts.from_dict(broken)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"groups": ["a", "a"]}, AlphabetError, "repeats a symbol"),
        ({"groups": ["a", 1]}, MixedTypesError, "groups mixes"),
        ({"groups": ["a", True]}, AlphabetError, "groups must be a list"),
        ({"groups": ["a", "\ud800"]}, AlphabetError, "groups must be a list"),
        ({"groups": ["a", None]}, AlphabetError, "groups must be a list"),
        ({"labels": [0, 10**18]}, AlphabetError, "labels must be a list"),
        ({"labels": ["0", "1"]}, MixedTypesError, "labels and outputs together"),
        ({"labels": list(range(600)), "outputs": list(range(900))}, AlphabetError, "1080000 cells"),
        ({"table": [[[1, 1], [1, 1]]]}, AlphabetError, "shape 2 x 2 x 2"),
        ({"table": [[[1, 1], [1, 1]], [[1, 1], [1]]]}, AlphabetError, "shape 2 x 2 x 2"),
        ({"table": [[[1, 1], [1, 1]], [[1, 1], [1, -1]]]}, AlphabetError, "non-negative"),
        ({"table": [[[1, 1], [1, 1]], [[1, 1], [1, True]]]}, AlphabetError, "non-negative"),
        ({"table": [[[1, 1], [1, 1]], [[1, 1], [1, 1.0]]]}, AlphabetError, "non-negative"),
        ({"table": [[[1, 1], [1, 1]], [[1, 1], 7]]}, AlphabetError, "lists of lists"),
        ({"table": [[[0, 0], [0, 0]]] * 2}, EmptyInputError, "no rows"),
        ({"table": [[[2**53, 1], [0, 0]]] * 2}, CountOverflowError, "more than 2"),
        ({"rows": 8}, AlphabetError, "exactly the entries"),
    ],
)
def test_dictionaries_that_are_no_counts(change, error, message):
    data = {"groups": ["a", "b"], "labels": [0, 1], "outputs": [0, 1], "table": [[[1, 1], [1, 1]]] * 2}
    assert Counts.from_dict(data).rows == 8
    with pytest.raises(error, match=message):
        Counts.from_dict(data | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema="fairbound.counts/2"), "schema is not 'fairbound.counts/1'"),
        (lambda d: d.update(note="hello"), "exactly the entries"),
        (lambda d: d.pop("columns"), "exactly the entries"),
        (lambda d: d.update(columns={"group": "group", "label": "y", "prediction": "p"}), "columns must be"),
        (lambda d: d["columns"].update(group=[1]), "names must be texts"),
        (lambda d: d["columns"].update(group=[]), "no column of a sensitive attribute"),
        (lambda d: d["columns"].update(label="group"), "three different columns"),
        (lambda d: d["columns"].update(group=["a", "b"]), "one entry for each of the columns"),
        (lambda d: d.update(groups="fm"), "groups must be a list"),
        (lambda d: d.update(groups=["f", "f"]), "repeats a group"),
        (lambda d: d.update(groups=["f", 1]), "mixes text"),
        (lambda d: d.update(groups=["f", ["m"]]), "integers below"),
        (lambda d: d.update(rows=36), "sum of its table"),
        (lambda d: d.update(rows=True), "sum of its table"),
        (lambda d: d["table"].pop(), "shape 2 x 2 x 2"),
        (lambda d: d.update(values="other"), "values must be"),
        (lambda d: d.update(groups=[1, 2]), "values must be"),
        (lambda d: d["table"][0][0].__setitem__(0, -1), "non-negative"),
    ],
)
def test_broken_count_files_are_refused_by_name(shard, change, message):
    rewrite(shard, change)
    with pytest.raises(FileFormatError, match=message) as caught:
        fairbound.count_files(shard)
    assert str(caught.value).startswith("a.counts.json is no valid count file: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("5", "6", "digest does not match"),
        ('"f"', '"F"', "digest does not match"),
        ('"rows": 35', '"rows": 35, "rows": 35', "repeats a key"),
        ('"rows": 35', '"rows": 35.0', "inexact number"),
        ('"rows": 35', '"rows": NaN', "inexact number"),
        ('"rows": 35', '"rows": ' + "1" * 5000, "5000 digits"),
        ("{", "[" * 100_000, "not JSON"),
        ("}", "", "not JSON"),
    ],
)
def test_changed_count_files_are_refused(shard, old, new, message):
    shard.write_text(shard.read_text().replace(old, new, 1))
    with pytest.raises(FileFormatError, match=rf"a\.counts\.json.*{message}"):
        fairbound.count_files(shard)


def test_huge_files_and_other_json_are_refused(tmp_path):
    (tmp_path / "huge.json").write_bytes(b"{" + b" " * 2**25 + b"}")
    with pytest.raises(FileFormatError, match="larger than"):
        fairbound.count_files(tmp_path / "huge.json")
    (tmp_path / "list.json").write_text("[1, 2]")
    result = fairbound.certify([0, 1] * 40, [0, 1, 1, 0] * 20, sensitive_features=["a"] * 40 + ["b"] * 40)
    result.certificate().write(tmp_path / "certificate.json")
    for name in ("list.json", "certificate.json"):
        with pytest.raises(FileFormatError, match=rf"{name} is no valid count file: its schema"):
            fairbound.count_files(tmp_path / name)


def test_names_do_not_hide_what_a_file_is(shard, tmp_path):
    expected = fairbound.count_files(shard)
    other = shard.rename(tmp_path / "shard.txt")
    assert fairbound.count_file(other) == expected


def read(tally):
    """Counts as text, with the types of the symbols, or the class of the error."""
    try:
        return json.dumps(tally.counts().to_dict())
    except FairboundError as error:
        return type(error)


VALUES = st.sampled_from(["0", "1", "1.0", "true", "no", "01", " 1", "0.5"])


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=2, max_size=9), st.integers(1, 8), st.booleans())
def test_parts_are_read_as_the_whole_is(rows, cut, as_groups):
    columns = Columns(("a", "b"), "y", "z") if as_groups else Columns(("a",), "y", "z")
    rows = [(*row, row[-1], 1) if as_groups else (*row, 1) for row in rows]
    whole, merged, kept = Tally(columns), Tally(columns), Tally(columns)
    whole.add_text(rows)
    for part in filter(None, (rows[:cut], rows[cut:])):
        tally = Tally(columns)
        tally.add_text(part)
        merged.merge(tally)
        with tempfile.TemporaryDirectory() as folder:
            try:
                write_count_file(Path(folder) / "part.json", tally)
            except ScoresError:
                # A part whose numbers are scores is kept on its site, even if a text elsewhere would make them names.
                kept.merge(tally)
                continue
            kept.merge(read_count_file(Path(folder) / "part.json"))
    assert read(whole) == read(merged) == read(kept)


def test_a_label_in_one_shard_only_makes_all_of_them_text(tmp_path):
    (tmp_path / "a.csv").write_text("label,prediction,group\n0,0,f\n1,1,m\n")
    (tmp_path / "b.csv").write_text("label,prediction,group\n1,unsure,f\n")
    for name in "ab":
        fairbound.write_counts(tmp_path / f"{name}.json", tmp_path / f"{name}.csv")
    assert fairbound.count_files(tmp_path / "a.json").labels == (0, 1)
    assert fairbound.count_files(tmp_path / "?.json").labels == ("0", "1", "unsure")
    # Integers that a file states as such stay integers.
    pd.read_csv(tmp_path / "a.csv").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(MixedTypesError, match=r"column 'prediction' mixes text \('unsure'\) and numbers"):
        fairbound.count_files([tmp_path / "a.parquet", tmp_path / "b.json"])


def test_shards_of_different_columns_are_not_merged(shard, tmp_path):
    text = LOG.replace("group", "sex", 1)
    (tmp_path / "b.csv").write_text(text)
    fairbound.write_counts(tmp_path / "b.counts.json", tmp_path / "b.csv", group="sex")
    assert fairbound.count_files(tmp_path / "b.counts.json", group="ignored").rows == 35
    for paths, group in (([shard, tmp_path / "b.counts.json"], "group"), ([shard, tmp_path / "b.csv"], "sex")):
        with pytest.raises(FileFormatError, match=r"b.* has .*group \('sex'\), but a.counts.json has .*--group"):
            fairbound.count_files(paths, group=group)


def test_missing_values_stay_on_the_site(tmp_path):
    (tmp_path / "na.csv").write_text(LOG + "0,0,NA\n")
    with pytest.raises(MissingValueError, match="column 'group' holds missing values"):
        fairbound.write_counts(tmp_path / "na.json", tmp_path / "na.csv")
    assert not (tmp_path / "na.json").exists()
    fairbound.write_counts(tmp_path / "na.json", tmp_path / "na.csv", groups=["NA", "f", "m"])
    with pytest.raises(MissingValueError, match="column 'group' holds missing values"):
        fairbound.count_files(tmp_path / "na.json")
    assert fairbound.count_files(tmp_path / "na.json", groups=["f", "m", "NA"]).groups == ("f", "m", "NA")
    with pytest.raises(AlphabetError, match="not among the declared"):
        fairbound.write_counts(tmp_path / "na.json", tmp_path / "na.csv", groups=["NA", "f"])
    (tmp_path / "s.csv").write_text("label,prediction,group\n0,0.5,f\n")
    with pytest.raises(ScoresError, match=r"column 'prediction' holds 0\.5"):
        fairbound.write_counts(tmp_path / "s.json", tmp_path / "s.csv")


def test_frames_and_merged_shards_are_written_too(shard, tmp_path):
    fairbound.write_counts(tmp_path / "frame.json", pd.read_csv(tmp_path / "log.csv"))
    assert json.loads((tmp_path / "frame.json").read_text())["values"] == "typed"
    fairbound.write_counts(tmp_path / "both.json", [shard, tmp_path / "frame.json"])
    one, two = fairbound.count_files(shard), fairbound.count_files(tmp_path / "both.json")
    assert np.array_equal(np.array(two.table), 2 * np.array(one.table))
    assert two == one + one
    assert fairbound.certify_log(tmp_path / "both.json", on_missing="vacuous").counts == two


def test_groups_of_two_columns_that_read_alike_are_refused(tmp_path):
    frame = pd.DataFrame({"label": [0, 1], "prediction": [0, 1], "a": ["x & y", "x"], "b": ["z", "y & z"]})
    frame[:1].to_csv(tmp_path / "0.csv", index=False)
    frame[1:].to_csv(tmp_path / "1.csv", index=False)
    message = "column 'a' and column 'b': the groups .* both read 'x & y & z'"
    for number in "01":
        fairbound.write_counts(tmp_path / f"{number}.json", tmp_path / f"{number}.csv", group=["a", "b"])
    for paths in ("?.csv", "?.json"):
        with pytest.raises(AlphabetError, match=message):
            fairbound.count_files(tmp_path / paths, group=["a", "b"])
    with pytest.raises(AlphabetError, match=message):
        fairbound.count_frame(frame, group=["a", "b"])
    with pytest.raises(AlphabetError, match="both read 'x & y & z'"):
        fairbound.certify([0, 1], [0, 1], sensitive_features=frame[["a", "b"]])


def test_the_command_writes_a_file_and_shows_its_smallest_cell(run, tmp_path):
    (tmp_path / "log.csv").write_text(LOG + "1,0,m\n")
    out = tmp_path / "s.counts.json"
    status, text, err = run("count", tmp_path / "log.csv", "--out", out)
    assert (status, err) == (0, "")
    assert "36 rows, 2 groups, 2 labels, 2 predictions" in text
    assert "Smallest cell with rows: 1 of group m, label 1, prediction 0" in text
    status, text, _ = run("count", tmp_path / "log.csv", "--out", out, "--json")
    data = json.loads(text)
    assert (status, data["rows"], data["labels"]) == (0, 36, [0, 1])
    assert data["smallest_cell"] == {"group": "m", "label": 1, "prediction": 0, "rows": 1}
    certificates = []
    for source in (tmp_path / "log.csv", tmp_path / "s*.json"):
        assert run("certify", source, "--out", tmp_path / "c.json")[0] == 0
        certificates.append((tmp_path / "c.json").read_bytes())
    assert certificates[0] == certificates[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("count", "LOG", "--out", "LOG"), "is what is read"),
        (("count", "LOG", "--out", "."), "cannot write ."),
        (("count", "LOG", "LOG", "--out", "x.json"), "is given twice"),
        (("count", "LOG", "--out", "x.json", "--labels", "0,2"), "not among the declared"),
        (("count", "LOG", "--out", "x.json", "--group", "sex"), "no column 'sex'"),
        (("count", "LOG", "--out", "x.json", "--group", "group", "--group", "label"), "4 different columns"),
        (("certify", "absent*.csv"), "no file matches the pattern 'absent*.csv'"),
        (("certify", "LOG", "LOG"), "is given twice"),
    ],
)
def test_bad_input_to_the_command(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text(LOG)
    status, out, err = run(*("log.csv" if a == "LOG" else a for a in arguments))
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--label", "--prediction", "--group"])
def test_column_options_without_effect_are_refused(run, shard, tmp_path, option):
    for command in (("certify", shard), ("count", shard, "--out", tmp_path / "x.json")):
        status, out, err = run(*command, option, "foo")
        assert (status, out) == (2, "")
        assert f"{option} has no effect" in err
