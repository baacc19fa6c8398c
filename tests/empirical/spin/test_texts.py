"""Pairs and questions from files, and the reference sets with their faults removed."""

from __future__ import annotations

import csv
import json

import duckdb
import pytest

from fairbound.bounds.errors import EmptyInputError, FileFormatError, MissingValueError, UnknownColumnError
from fairbound.empirical.errors import DataIntegrityError, DatasetOptionError, DataUnavailableError
from fairbound.empirical.spin import texts as texts_module
from fairbound.empirical.spin.data import (
    PAIR_SETS,
    Questions,
    calibration_draw,
    reference_pairs,
    reference_questions,
)
from fairbound.empirical.spin.texts import Pair, distinct_pairs, normalised, read_pairs, read_questions

ROWS = [Pair("Who, then?", 'She said "no",\nand left.'), Pair("Why?", "# 007"), Pair("Où?", "N/A")]


def write_csv(path, rows=ROWS, header=("prompt", "response"), delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def test_every_kind_of_file_gives_the_same_pairs(tmp_path):
    write_csv(tmp_path / "a.csv")
    write_csv(tmp_path / "b.tsv", delimiter="\t")
    lines = [json.dumps({"id": i, "output": r, "instruction": p}) for i, (p, r) in enumerate(ROWS)]
    (tmp_path / "c[1].jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "d.json").write_text(f"[{','.join(lines)}]", encoding="utf-8")
    duckdb.read_json(str(tmp_path / "d.json")).write_parquet(str(tmp_path / "e.parquet"))
    for name in ("a.csv", "b.tsv", "c[1].jsonl", "d.json", "e.parquet"):
        assert read_pairs(tmp_path / name) == ROWS, name


def test_folder_of_the_datasets_library(tmp_path):
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"prompt": [p for p, _ in ROWS], "response": [r for _, r in ROWS]})
    table.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=table, test=table.select([1])).save_to_disk(tmp_path / "two")
    assert read_pairs(tmp_path / "one") == ROWS
    assert read_pairs(tmp_path / "two", split="test") == [ROWS[1]]
    with pytest.raises(DatasetOptionError, match="splits train, test"):
        read_pairs(tmp_path / "two")
    (tmp_path / "none").mkdir()
    with pytest.raises(FileFormatError, match="save_to_disk"):
        read_pairs(tmp_path / "none")


def test_columns_are_given_or_recognised(tmp_path):
    path = write_csv(tmp_path / "a.csv", header=("text", "response"))
    with pytest.raises(UnknownColumnError, match=r"a\.csv has no column for the prompt .*it has text, response"):
        read_pairs(path)
    with pytest.raises(UnknownColumnError, match="no column 'nothing'"):
        read_pairs(path, prompt="nothing")
    assert read_pairs(path, prompt="text") == ROWS
    assert read_questions(path, column="text") == tuple(p for p, _ in ROWS)


def test_faults_are_named_with_row_and_column(tmp_path, monkeypatch):
    with pytest.raises(MissingValueError, match=r"a\.csv has no text in row 2 of column 'response'"):
        read_pairs(write_csv(tmp_path / "a.csv", [ROWS[0], ("Why?", " ")]))
    with pytest.raises(EmptyInputError, match="has no rows"):
        read_pairs(write_csv(tmp_path / "b.csv", []))
    with pytest.raises(DataUnavailableError, match=r"no file .*absent\.csv"):
        read_pairs(tmp_path / "absent.csv")
    with pytest.raises(FileFormatError, match="none of CSV"):
        read_pairs(tmp_path / "a.xlsx")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 or so")
    with pytest.raises(FileFormatError, match=r"c\.parquet cannot be read as parquet"):
        read_pairs(tmp_path / "c.parquet")
    (tmp_path / "d.jsonl").write_text('{"prompt": 5, "response": "five"}\n')
    with pytest.raises(FileFormatError, match="int in row 1 of column 'prompt'"):
        read_pairs(tmp_path / "d.jsonl")
    monkeypatch.setattr(texts_module, "MAX_ROWS", 2)
    with pytest.raises(FileFormatError, match="more than 2 rows"):
        read_pairs(write_csv(tmp_path / "e.csv"))
    monkeypatch.setattr(texts_module, "MAX_CHARACTERS", 10)
    with pytest.raises(FileFormatError, match="24 characters in row 1"):
        read_pairs(write_csv(tmp_path / "f.csv", ROWS[:1]))


def test_texts_are_compared_by_their_words():
    assert normalised(" Ｗhy  ARE\nthey so?!") == "why are they so"
    assert normalised(" ?! ") == "?!"
    first = Pair("Why?", "Because.")
    assert distinct_pairs([first, Pair("why", "BECAUSE"), Pair("Why?", "No.")]) == [first, Pair("Why?", "No.")]


def test_halves_do_not_depend_on_order_or_on_other_questions():
    texts = tuple(f"Question {i}?" for i in range(400))
    questions = Questions("fairness", texts, texts, 0, 0)
    turned = Questions("fairness", texts[:100][::-1], texts[:100], 0, 0)
    choose, report = questions.half("choose"), questions.half("report")
    assert sorted(choose + report) == sorted(texts)
    assert 150 < len(choose) < 250
    assert set(turned.half("choose")) == set(choose) & set(texts[:100])
    assert questions.draw(20, "report", seed=3) == questions.draw(90, "report", seed=3)[:20]
    assert questions.draw(20, "report", seed=4) != questions.draw(20, "report", seed=3)
    with pytest.raises(DatasetOptionError, match="no half 'all'"):
        questions.half("all")
    with pytest.raises(DatasetOptionError, match="a draw of 300"):
        questions.draw(300, "choose")


def test_calibration_draws_are_nested_and_without_replacement():
    pairs = [Pair(str(i), str(i)) for i in range(200)]
    drawn = calibration_draw(pairs, seed=1)
    assert len(set(drawn)) == 128
    assert calibration_draw(pairs, n=32, seed=1) == drawn[:32]
    with pytest.raises(DatasetOptionError, match="a draw of 128"):
        calibration_draw(pairs[:50])


def test_absent_reference_sets_name_the_variable_and_the_origin(monkeypatch, tmp_path):
    monkeypatch.delenv("FAIRBOUND_DATA", raising=False)
    with pytest.raises(DataUnavailableError, match=r"FAIRBOUND_DATA.*spin/salad|spin/beaver.*github\.com/ChnQ/SPIN"):
        reference_questions("privacy")
    with pytest.raises(DatasetOptionError, match="no reference set 'salad_privacy'"):
        reference_pairs("salad_privacy")
    with pytest.raises(DatasetOptionError, match="no subject 'safety'"):
        reference_questions("safety")
    (tmp_path / "spin").mkdir()
    write_csv(tmp_path / "spin" / "alpaca_cleaned_no_safety_train_1k.csv")
    monkeypatch.setenv("FAIRBOUND_DATA", str(tmp_path))
    with pytest.raises(DataIntegrityError, match="not the pinned"):
        reference_pairs("general")
    assert reference_pairs("general", folder=tmp_path / "spin") == ROWS


@pytest.mark.data
def test_reference_sets_without_their_faults(data_folder):
    sizes = {name: len(reference_pairs(name)) for name in PAIR_SETS}
    assert sizes == {
        "general": 1000,
        "fairness_safe": 979,
        "fairness_unsafe": 979,
        "privacy_safe": 378,
        "privacy_unsafe": 992,
    }
    safe, unsafe = reference_pairs("privacy_safe"), reference_pairs("privacy_unsafe")
    assert all("privacy" in pair.response.lower() for pair in safe)
    assert sum("privacy" in pair.response.lower() for pair in unsafe) < 20
    prompts = {normalised(p.prompt) for name in sizes if name != "general" for p in reference_pairs(name)}
    for subject, read, shared in (("fairness", 2165, 285), ("privacy", 657, 23)):
        questions = reference_questions(subject)
        assert (len(questions.rows), questions.repeated, questions.shared) == (read, 0, shared)
        assert not prompts & {normalised(text) for text in questions.texts}
