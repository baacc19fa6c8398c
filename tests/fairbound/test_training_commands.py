"""demo and fft on real data, start to end."""

from __future__ import annotations

import csv
import json
import sys

import pytest

import fairbound
from fairbound import cli
from fairbound.bounds import check
from fairbound.figures import make_figures
from fairbound.testing import assert_gap_within_bound

pytestmark = [pytest.mark.data, pytest.mark.slow]


def invoke(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["fairbound", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as stopped:
        return stopped.code or 0
    return 0


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        assert invoke(patch, "demo", "--out", folder) == 0
    return folder


def test_demo_writes_what_it_names(demo):
    names = {path.name for path in demo.iterdir()}
    assert {"report.html", "gap_and_bound.png", "gap_and_bound.pdf", "gap_and_bound.csv", "runs.jsonl"} <= names
    certificates = sorted(demo.glob("*.certificate.json"))
    assert len(certificates) == 4
    for path in certificates:
        assert "confidence 0.95" in check.check(check.load(path.read_bytes()))
    assert "alert" not in (demo / "report.html").read_text()


def test_demo_is_repeated_from_what_is_there(demo, monkeypatch, capsys):
    before = (demo / "runs.jsonl").read_bytes()
    assert invoke(monkeypatch, "demo", "--out", demo) == 0
    assert (demo / "runs.jsonl").read_bytes() == before
    assert "Check again:" in capsys.readouterr().out


def test_demo_and_figures_speak_json(demo, monkeypatch, capsys, tmp_path):
    assert invoke(monkeypatch, "demo", "--out", demo, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (demo / "report.html").samefile(result["report"])
    assert len(result["certificates"]) == 4
    assert invoke(monkeypatch, "figures", "gap_and_bound", "--results", demo, "--out", tmp_path, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["files"]) == 4


def test_fair_fine_tuning_lowers_the_demo_s_worst_case(demo):
    (line,) = (demo / "runs.jsonl").read_text().splitlines()
    stages = json.loads(line)["stages"]
    before, after = (stages[stage]["advantage"]["label_balanced"] for stage in ("base", "fft"))
    assert after["point"] < before["point"] / 2
    assert after["upper"] < before["upper"]


def test_no_gap_of_a_trained_model_exceeds_its_bound(demo):
    logs = sorted((demo / "logs").glob("*.csv"))
    assert len(logs) == 4
    for log in logs:
        for balanced in (False, True):
            for game in ("labelled", "correctness", "unlabelled"):
                assert_gap_within_bound(fairbound.certify_log(log, label_balanced=balanced, game=game))


def test_the_gap_assertion_notices_a_bound_that_is_too_small(demo):
    log = next((demo / "logs").glob("*base*.csv"))
    result = fairbound.certify_log(log)
    # The best test's advantage replaced by one above the exact value.
    result.measured["advantage"] = result.point + 1
    with pytest.raises(AssertionError, match="exceeds the exact bound"):
        assert_gap_within_bound(result)


def test_fft_writes_runs_and_logs_that_certify_reads(tmp_path, monkeypatch, capsys):
    arguments = ("fft", "german", "--attribute", "sex", "--start", "male", "--rehearsal", "0.5", "--out", tmp_path)
    assert invoke(monkeypatch, *arguments, "--seeds", "1") == 0
    first = (tmp_path / "runs.jsonl").read_text()
    assert "rehearsal 0.5, seed 0" in capsys.readouterr().out
    assert invoke(monkeypatch, *arguments, "--seeds", "2", "--json") == 0
    records = json.loads(capsys.readouterr().out)
    lines = (tmp_path / "runs.jsonl").read_text()
    assert lines.startswith(first)
    assert [record["seed"] for record in records] == [0, 1]
    log = tmp_path / records[1]["logs"]["fft"]
    with log.open() as file:
        assert next(csv.reader(file)) == ["label", "prediction", "group"]
    assert invoke(monkeypatch, "certify", log, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["advantage"]["point"] == records[1]["stages"]["fft"]["advantage"]["raw"]["point"]
    assert make_figures(["gap_and_bound"], results=tmp_path, out=tmp_path / "figures").files


def test_fft_options(tmp_path, monkeypatch, capsys):
    arguments = ("fft", "german", "--attribute", "sex", "--start", "male", "--out", tmp_path, "--both-directions")
    arguments += ("--stages", "base,fft,exponentiated_gradient_hidden", "--strength", "5", "--strength", "15")
    arguments += ("--alpha0", "0.1", "--alpha1", "0.9", "--loss", "label_balanced", "--json")
    assert invoke(monkeypatch, *arguments) == 0
    records = json.loads(capsys.readouterr().out)
    assert [(record["start"], record["other"]) for record in records] == [("male", "female"), ("female", "male")]
    for record in records:
        assert set(record["stages"]) == {"base", "fft", "exponentiated_gradient_hidden"}
        assert (record["alpha0"], record["alpha1"], record["config"]["loss"]) == ("1/10", "9/10", "label_balanced")
        assert record["stages"]["fft"]["notes"]["candidates"] == [{"penalty": 5.0}, {"penalty": 15.0}]


def test_fft_says_when_no_fairness_can_certify_the_raw_game(tmp_path, monkeypatch, capsys):
    arguments = ("fft", "compas", "--attribute", "race", "--start", "Caucasian", "--other", "African-American")
    arguments += ("--stages", "pooled", "--out", tmp_path)
    assert invoke(monkeypatch, *arguments) == 0
    assert "above tau = 0.1: no fairness constraint can certify the raw game" in capsys.readouterr().out
    (line,) = (tmp_path / "runs.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert not record["raw_certifiable"]
    assert f"{record['label_shift']:.4f}" in record["raw_reason"]


def test_fft_errors_are_one_line(tmp_path, monkeypatch, capsys):
    arguments = ("--attribute", "race", "--start", "Caucasian", "--out", tmp_path)
    assert invoke(monkeypatch, "fft", "compas", *arguments) == 2
    error = capsys.readouterr().err
    assert "name the one to compare" in error
    assert error.count("\n") == 1
    assert invoke(monkeypatch, "fft", "titanic", *arguments) == 2
    assert "titanic" in capsys.readouterr().err
