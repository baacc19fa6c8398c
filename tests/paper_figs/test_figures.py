"""Figures: their numbers, their files, what they need, and that a second run changes no byte."""

from __future__ import annotations

import csv
import json
import sys
from fractions import Fraction

import pytest

from benchmarks.coverage import SETTINGS
from fairbound import cli
from fairbound.figures import ENTRIES, NotMadeError, UnknownFigureError, find, listing, make_figures
from fairbound.metrics_table import entries
from fairbound.paper_figs import coverage, label_shift, many_queries, worst_case
from fairbound.paper_figs.stored import StoredResultsError

THEORY = [name for name, entry in ENTRIES.items() if entry.need is None]


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["fairbound", "figures", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as stopped:
        return stopped.code or 0
    return 0


def test_published_form_falls_short_wherever_labels_shift(tmp_path):
    rows = label_shift.load(tmp_path)
    assert all(row["witness"] == row["exact"] for row in rows)
    shifted = [row for row in rows if row["label_shift"] > 0]
    assert all(row["exact"] > row["published_form"] for row in shifted if row["disparity"] < 1)
    assert all(row["exact"] == row["published_form"] for row in rows if row["label_shift"] == 0)


def test_witnesses_of_every_game_lie_on_the_worst_case(tmp_path):
    rows = worst_case.load(tmp_path)
    for row in rows:
        assert row["exact"] == pytest.approx(row["disparity"] * row["W"], abs=1e-12)
        assert {row[f"witness_{game}"] for game in ("labelled", "correctness", "unlabelled")} == {row["exact"]}
    assert max(row["exact"] for row in rows) == 1


def test_draws_are_bounded_by_the_worst_case(tmp_path):
    rows = many_queries.load(tmp_path)
    assert {row["model"] for row in rows} == {many_queries.THEORY}
    for row in rows:
        assert row["worst_case"] == pytest.approx(1 - (1 - row["one_draw"]) ** row["draws"])


def test_theory_figures_are_reproducible_to_the_byte(tmp_path):
    first = make_figures(THEORY, results=tmp_path, out=tmp_path / "one").files
    second = make_figures(THEORY, results=tmp_path, out=tmp_path / "two").files
    assert {path.suffix for path in first} == {".png", ".pdf", ".csv", ".md"}
    assert len(first) == 4 * len(THEORY)
    for left, right in zip(first, second, strict=True):
        assert left.read_bytes() == right.read_bytes()


def test_without_names_what_lacks_results_is_listed_with_its_command(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "--results", tmp_path, "--out", tmp_path / "out", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {path.rpartition("/")[2].partition(".")[0] for path in told["files"]} == set(THEORY)
    assert len(told["left"]) == len(ENTRIES) - len(THEORY)
    for line in told["left"]:
        assert "; make it with: " in line
        assert "\n" not in line


def test_a_named_figure_without_results_is_bad_input(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "label_shift", "every_model", "--results", tmp_path, "--out", tmp_path / "out") == 2
    assert f"fairbound sweep sweeps/main.toml --out {tmp_path}/main" in capsys.readouterr().err
    assert (tmp_path / "out" / "label_shift.png").exists()
    assert run(monkeypatch, "x", "--results", tmp_path) == 2
    assert "no figure 'x'" in capsys.readouterr().err


def test_the_list_makes_nothing(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "--list", "--results", tmp_path, "--out", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    for entry in listing(tmp_path):
        assert entry["name"] in shown
        assert entry["ready"] == (entry["name"] in THEORY)
        assert entry["command"] is None or entry["command"] in shown
    assert not (tmp_path / "out").exists()


def test_unknown_figures_and_damaged_results_are_named(tmp_path):
    with pytest.raises(UnknownFigureError, match="no figure 'x'"):
        find("x")
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "results.parquet").write_bytes(b"not a table")
    (tmp_path / "main" / "timings.parquet").write_bytes(b"not a table")
    with pytest.raises(NotMadeError, match=r"cannot read .*\.parquet"):
        make_figures(["table_main"], results=tmp_path, out=tmp_path / "out")
    (tmp_path / "metrics.json").write_text("")
    left = make_figures(None, results=tmp_path, out=tmp_path / "out").left
    assert any("metrics.json" in line for line in left)


def test_fairness_metrics_figure_shows_the_metrics_table(tmp_path):
    stored = [
        {
            "known": entry.metric,
            "game": entry.game,
            "label_balanced": entry.label_balanced,
            "worst_case": float(entry.worst.value),
            "exact": str(entry.worst.value),
            "certificate": entry.file_name,
        }
        for entry in entries()
    ]
    (tmp_path / "metrics.json").write_text(json.dumps(stored))
    *_, data, caption = make_figures(["fairness_metrics"], results=tmp_path, out=tmp_path).files
    with data.open() as file:
        rows = list(csv.DictReader(file))
    odds = {
        (row["game"], row["label_balanced"]): Fraction(row["exact"]) for row in rows if row["known"] == "equalized odds"
    }
    assert odds["labelled", "True"] == Fraction(1, 20)
    assert odds["labelled", "False"] == Fraction(6, 25)
    assert "T4" in caption.read_text()


def test_a_setting_s_name_gives_its_level():
    for setting in SETTINGS:
        assert coverage.level(setting.name) == Fraction(setting.confidence)


def test_coverage_adds_chunks_up_and_drops_an_unfinished_line(tmp_path):
    def line(method, chunk, missed, source="new"):
        outcome = {"runs": 250, "missed": missed, "excess": 25.0}
        named = {
            "setting": "fair, level 0.5",
            "method": method,
            "chunk": chunk,
            "size": 250,
            "seed": 0,
            "source": source,
        }
        return json.dumps(named | {"outcome": outcome}) + "\n"

    path = tmp_path / coverage.FILE
    path.write_text(line("fisher", 0, 250, "old") + line("fisher", 0, 10) + line("fisher", 1, 0) + '{"setting')
    (row,) = coverage.covered(path)
    assert (row["runs"], row["coverage"], row["mean_excess"], row["level"]) == (500, 0.98, 0.1, 0.5)
    assert row["low"] < 0.98 < row["high"]
    path.write_text("{}\n")
    with pytest.raises(StoredResultsError, match="did not write"):
        coverage.covered(path)


def test_widths_shrink_with_rows_and_fisher_is_narrowest():
    wide = coverage.widths()
    for setting in ("raw game", "label-balanced game"):
        by_method = {}
        for row in wide:
            if row["setting"] == setting:
                by_method.setdefault(row["method"], []).append(row["width"])
        for widths in by_method.values():
            assert widths == sorted(widths, reverse=True)
            assert min(widths) > 0
        assert all(a <= b for a, b in zip(by_method["fisher"], by_method["smallest"], strict=True))
