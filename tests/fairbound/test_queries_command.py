"""`fairbound queries`: its numbers, the sentence in the console and the report, and bad input."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from fairbound.bounds import Channel, CompositionPair, Counts, certify_counts, channel_advantage_after, worst_case_after
from fairbound.console import wrapped
from fairbound.describe import many_draws

F = Fraction
TABLE = Counts(("a", "b"), (0, 1), (0, 1), (((700, 100), (60, 90)), ((500, 120), (100, 250))))
GIVEN = CompositionPair.from_dict(
    {"world_0": {"a": {"0": 1, "1": 2}, "b": {"0": 3}}, "world_1": {"a": {"0": 1}, "b": {"0": 1, "1": 1}}},
    TABLE.groups,
    TABLE.labels,
)


@pytest.mark.parametrize(
    "options",
    [{}, {"label_balanced": True}, {"game": "correctness"}, {"pair": GIVEN}, {"pair": GIVEN, "game": "unlabelled"}],
)
def test_a_certificate_gives_the_worst_case_and_the_measured_channel(run, tmp_path, options):
    result = certify_counts(TABLE, **options)
    path = result.certificate().write(tmp_path / "cert.json")
    status, out, err = run("queries", path, "--draws", 1, "--draws", 7, "--json")
    data = json.loads(out)
    assert (status, err) == (0, "")
    assert data["confidence"] == 0.95
    for row, n in zip(data["draws"], (1, 7), strict=True):
        exact = worst_case_after(result.upper, n)
        assert exact <= F(row["worst_case"]) <= exact * (1 + F(1, 2**50))
        channel = Channel.from_counts(TABLE)
        found = channel_advantage_after(result.worst.pair, channel, result.game, n)
        assert F(row["measured"]["lower"]) <= found.lower == found.upper <= F(row["measured"]["upper"])
        assert row["measured"]["upper"] - row["measured"]["lower"] < 1e-15
    assert data["draws"][0]["measured"]["upper"] == pytest.approx(float(result.measured["advantage"]))


def test_a_given_advantage_and_targets(run):
    status, out, _ = run("queries", "--advantage", "1/2", "--draws", 2, "--target", "3/4", "--target", 1, "--json")
    data = json.loads(out)
    assert status == 0
    assert data["draws"] == [{"draws": 2, "worst_case": 0.75, "measured": None}]
    assert data["draws_needed"] == [{"target": 0.75, "draws": 2}, {"target": 1.0, "draws": None}]


def test_one_draw_is_worth_what_was_given(run):
    status, text, _ = run("queries", "--advantage", "0.1", "--draws", "1")
    assert status == 0
    assert text.count("0.1000") == 2
    assert "0.1001" not in text


def test_the_table_names_assumptions_and_point_estimates(run, tmp_path):
    path = certify_counts(TABLE).certificate().write(tmp_path / "cert.json")
    status, out, _ = run("queries", path)
    text = " ".join(out.split())
    assert status == 0
    assert "confidence 95 %" in text
    assert "measured channel, a / b" in text
    assert "point estimate" in text
    assert "keeps its confidence (T5)" in text
    assert "point estimate" not in run("queries", "--advantage", "0.2")[1]


def test_cells_without_rows_have_no_measured_channel(run, tmp_path):
    lacking = Counts(("a", "b"), (0, 1), (0, 1), (((700, 100), (0, 0)), ((500, 120), (100, 250))))
    path = certify_counts(lacking, on_missing="vacuous").certificate().write(tmp_path / "cert.json")
    data = json.loads(run("queries", path, "--json")[1])
    assert data["measured_pair"] is None
    assert all(row["measured"] is None for row in data["draws"])


def test_a_worst_case_given_facts_counts_by_its_value(run, tmp_path):
    from fairbound.bounds import Knowledge, worst_case_given

    worst = worst_case_given(GIVEN, Knowledge.nothing(GIVEN).equalized_odds(F(1, 10)))
    path = worst.certificate().write(tmp_path / "cert.json")
    data = json.loads(run("queries", path, "--draws", 1, "--json")[1])
    assert data["draws"][0]["worst_case"] == pytest.approx(float(worst.value))
    assert data["confidence"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either a certificate or --advantage"),
        (("cert.json", "--advantage", "0.1"), "either a certificate or --advantage"),
        (("--advantage", "2"), "outside [0, 1]"),
        (("--advantage", "0.1", "--target", "7"), "outside [0, 1]"),
        (("--advantage", "much"), "no rational number"),
        (("absent.json",), "cannot read"),
    ],
)
def test_bad_input_is_one_line(run, arguments, message):
    status, out, err = run("queries", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_changed_certificate_is_refused(run, tmp_path):
    path = certify_counts(TABLE).certificate().write(tmp_path / "cert.json")
    data = json.loads(path.read_text())
    data["advantage"]["upper"] = "1/100"
    path.write_text(json.dumps(data))
    assert run("queries", path)[0] == 2


def test_the_sentence_rounds_up_and_names_the_draws_that_it_takes():
    result = certify_counts(TABLE, label_balanced=True)
    assert result.upper < F(9, 10)
    sentence = many_draws(result)
    shown = F(sentence.split("at most ")[1].split(" after 10")[0])
    assert worst_case_after(result.upper, 10) <= shown <= worst_case_after(result.upper, 10) + F(1, 10**4)
    n = int(sentence.split("at least ")[1].split()[0])
    assert worst_case_after(result.upper, n - 1) < F(9, 10) <= worst_case_after(result.upper, n)


def test_lines_break_between_words_and_end_without_an_empty_one(run, monkeypatch):
    for width in (40, 80, 100):
        monkeypatch.setenv("COLUMNS", str(width))
        out = run("queries", "--advantage", "1", "--target", "0.5")[1]
        assert not out.endswith("\n\n")
        assert "takes at least 1 draw." in " ".join(out.split())


def test_no_line_begins_with_a_percent_sign():
    text = "With confidence 95 % an adversary is right at most 62.66 % of the time."
    for width in range(10, 80):
        lines = wrapped(text, width).splitlines()
        assert " ".join(lines) == text
        assert max(map(len, lines)) <= width
        assert not any(line.startswith("%") for line in lines)
