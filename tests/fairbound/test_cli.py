"""The command line: values, exit statuses, one-line errors, and what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbound.bounds import check

GENERATOR = np.random.default_rng(11)


@pytest.fixture
def log(tmp_path):
    n = 4000
    sex = GENERATOR.choice(["F", "M"], n)
    income = (GENERATOR.random(n) < np.where(sex == "M", 0.31, 0.11)).astype(int)
    guess = (GENERATOR.random(n) < 0.08 + 0.6 * income + 0.05 * (sex == "M")).astype(int)
    path = tmp_path / "log.csv"
    pd.DataFrame({"income": income, "yhat": guess, "sex": sex}).to_csv(path, index=False)
    return path


COLUMNS = ("--label", "income", "--prediction", "yhat", "--group", "sex")


def recompute(path):
    """T1 for the two pure groups from the definitions, in plain Python over the file's rows."""
    rows = [line.split(",") for line in path.read_text().split()[1:]]

    def share(condition, among):
        chosen = [row for row in rows if among(row)]
        return Fraction(sum(map(condition, chosen)), len(chosen))

    base = {g: share(lambda r: r[0] == "1", lambda r, g=g: r[2] == g) for g in "FM"}
    fired = {
        (g, y): share(lambda r: r[1] == "1", lambda r, g=g, y=y: r[2] == g and r[0] == y) for g in "FM" for y in "01"
    }
    delta = {y: abs(fired["F", y] - fired["M", y]) for y in "01"}
    moved = {"1": min(base.values()), "0": 1 - max(base.values())}
    shift = abs(base["F"] - base["M"])
    return shift, moved, delta, shift + sum(moved[y] * delta[y] for y in "01")


def test_certify_agrees_with_an_exact_recomputation_from_the_rows(run, log):
    status, out, err = run("certify", log, *COLUMNS, "--json")
    data = json.loads(out)
    shift, moved, delta, value = recompute(log)
    assert (status, err) == (0, "")
    assert data["exact"]["advantage"]["point"] == str(value)
    assert data["advantage"]["point"] == float(value)
    assert data["composition"]["label_shift"] == float(shift)
    assert data["composition"]["moved"] == {y: float(m) for y, m in moved.items()}
    assert {y: d["point"] for y, d in data["disparity"].items()} == {y: float(d) for y, d in delta.items()}
    assert data["equalized_odds"]["point"] == float(max(delta.values()))
    assert data["advantage"]["theorem"] == "T1"
    assert data["advantage"]["upper"] > data["advantage"]["point"]
    assert data["paper_form"]["applies"] is False
    assert "constant classifier" in data["paper_form"]["reason"]
    assert data["rows"] == 4000
    assert data["groups"] == ["F", "M"]
    assert data["labels"] == [0, 1]
    assert data["adversary_accuracy"] == pytest.approx((1 + data["advantage"]["upper"]) / 2)


def test_a_constant_classifier_leaks_its_base_rates(run, log):
    frame = pd.read_csv(log).assign(yhat=0)
    frame.to_csv(log, index=False)
    _, out, _ = run("certify", log, *COLUMNS, "--json")
    data = json.loads(out)
    rates = frame.groupby("sex")["income"].agg(["sum", "count"])
    difference = abs(Fraction(*map(int, rates.loc["F"])) - Fraction(*map(int, rates.loc["M"])))
    assert data["equalized_odds"]["point"] == 0
    assert data["paper_form"] == {"value": 0.0, "applies": False, "reason": data["paper_form"]["reason"]}
    assert data["exact"]["advantage"]["point"] == str(difference)
    assert data["measured_gap"]["accuracy_raw"] == float(difference)
    assert data["measured_gap"]["accuracy_label_balanced"] == 0


def test_label_balanced_game_has_no_shift_and_admits_the_published_form(run, log):
    _, out, _ = run("certify", log, *COLUMNS, "--json", "--label-balanced", "--game", "correctness")
    data = json.loads(out)
    assert data["label_balanced"] is True
    assert data["game"] == "correctness"
    assert data["composition"]["label_shift"] == 0
    assert data["paper_form"]["applies"] is True
    assert data["advantage"]["point"] <= data["paper_form"]["value"]


def test_certificates_are_written_and_checked(run, log, tmp_path):
    certificate = tmp_path / "c.json"
    status, out, _ = run("certify", log, *COLUMNS, "--out", certificate)
    assert status == 0
    assert "fairbound check" in out
    status, out, _ = run("check", certificate)
    assert status == 0
    assert "holds" in out
    text = certificate.read_text()
    digit = next(i for i, c in enumerate(text) if c in "12345678" and i > text.index('"upper"'))
    certificate.write_text(text[:digit] + str(int(text[digit]) + 1) + text[digit + 1 :])
    status, out, err = run("check", certificate)
    assert (status, out) == (1, "")
    assert "REFUSED" in err
    status, out, _ = run("check", certificate, "--json")
    assert status == 1
    assert json.loads(out)["holds"] is False


def test_the_gate_fails_above_its_limit_and_says_why_no_fairness_helps(run, log):
    assert run("certify", log, *COLUMNS, "--max-advantage", "0.9")[0] == 0
    status, out, _ = run("certify", log, *COLUMNS, "--max-advantage", "0.1")
    assert status == 1
    assert "FAILS" in out
    assert "no fairness constraint can certify" in " ".join(out.split())
    status, out, _ = run("certify", log, *COLUMNS, "--max-advantage", "0.1", "--json")
    assert status == 1
    assert json.loads(out)["max_advantage"] == {"limit": 0.1, "holds": False}


def test_the_gate_compares_exactly(run, log):
    _, out, _ = run("certify", log, *COLUMNS, "--json")
    upper = Fraction(json.loads(out)["exact"]["advantage"]["upper"])
    assert run("certify", log, *COLUMNS, "--max-advantage", str(upper))[0] == 0
    assert run("certify", log, *COLUMNS, "--max-advantage", str(upper - Fraction(1, 10**15)))[0] == 1


def test_what_a_reader_sees(run, log):
    _, out, _ = run("certify", log, *COLUMNS, "--pure", "M", "F")
    words = " ".join(out.split())
    for phrase in (
        "With confidence 95 %, an adversary who, for one random person, sees the prediction and the true label",
        "tells a population of M only from one of F only",
        "equalized odds difference",
        "Assumptions",
        "Not covered",
        "shadow models",
        "is no bound here",
    ):
        assert phrase in words


def test_a_given_pair(run, log, tmp_path):
    pair = tmp_path / "pair.json"
    half = {"F": {"0": "0.4", "1": "0.1"}, "M": {"0": "0.35", "1": "0.15"}}
    pair.write_text(json.dumps({"world_0": half, "world_1": {"F": {"0": 7, "1": 1}, "M": {"0": 1, "1": 1}}}))
    status, out, _ = run("certify", log, *COLUMNS, "--pair", pair, "--json", "--theorem", "T1b")
    data = json.loads(out)
    assert status == 0
    assert data["pair"] is None
    assert data["composition"]["source"] == "given"
    assert data["advantage"]["theorem"] == "T1b"


def test_missing_cells(run, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("label,prediction,group\n0,0,F\n0,0,M\n1,1,M\n1,0,M\n")
    status, out, err = run("certify", path)
    assert (status, out) == (2, "")
    assert err.startswith("fairbound: error: group 'F' has no rows with label 1 (counts: {0: 1, 1: 0})")
    status, out, _ = run("certify", path, "--on-missing", "vacuous", "--json")
    assert status == 0
    assert json.loads(out)["measured_gap"] == {"accuracy_raw": None, "accuracy_label_balanced": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("certify", "absent.csv"), "no file 'absent.csv'"),
        (("check", "absent.json"), "cannot read absent.json"),
        (("certify", "LOG"), "no column 'group'"),
        (("certify", "LOG", *COLUMNS, "--confidence", "1.2"), "confidence 1.2 must be"),
        (("certify", "LOG", *COLUMNS, "--pure", "F", "Q"), "no group 'Q'"),
        (("certify", "LOG", *COLUMNS, "--pure", "F", "F"), "two different groups"),
        (("certify", "LOG", *COLUMNS, "--pair", "absent.json"), "no file 'absent.json'; give a composition pair"),
        (("certify", "LOG", *COLUMNS, "--pure", "F", "M", "--pair", "LOG"), "is no JSON"),
        (("certify", "LOG", *COLUMNS, "--groups", 'F,"M'), "is no list of names"),
        (("check", "LOG"), "is no certificate (file: is not JSON"),
        (("certify", "LOG", *COLUMNS, "--max-advantage", "little"), "no rational number"),
        (("certify", "LOG", *COLUMNS, "--max-advantage", "20"), "outside [0, 1]"),
        (("certify", "LOG", *COLUMNS, "--max-advantage", "-1"), "outside [0, 1]"),
        (("certify", "LOG", *COLUMNS, "--out", "LOG"), "is what is read"),
        (("certify", "LOG", *COLUMNS, "--coq", "LOG"), "is what is read"),
        (("certify", "LOG", *COLUMNS, "--out", "a.json", "--report", "./a.json"), "name a file for each"),
        (("certify", "LOG", *COLUMNS, "--report-date", "2026-11-22"), "add --report FILE.html"),
        (("certify", "LOG", *COLUMNS, "--out", "."), "cannot write ."),
        (("plan", "--width", "0.1", "--certificate", "LOG"), "log.csv: is no certificate"),
        (("certify", "x" * 5000), "cannot read"),
        (("certify", "LOG", *COLUMNS, "--labels", "0,2"), "not among the declared"),
    ],
)
def test_bad_input_is_one_line_and_status_two(run, log, arguments, message):
    status, out, err = run(*(log if a == "LOG" else a for a in arguments))
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["certify", "check"])
def test_a_reader_who_stops_makes_no_failed_property(run, log, tmp_path, command):
    certificate = tmp_path / "c.json"
    assert run("certify", log, *COLUMNS, "--out", certificate)[0] == 0
    arguments = ["check", str(certificate)] if command == "check" else ["certify", str(log), *COLUMNS]
    read, write = os.pipe()
    os.close(read)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "fairbound.cli", *arguments],
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    finally:
        os.close(write)
    assert ended.returncode not in (0, 1)
    assert b"Traceback" not in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_standalone_checker_on_a_full_disk_refuses_nothing(run, log, tmp_path):
    certificate = tmp_path / "c.json"
    assert run("certify", log, *COLUMNS, "--out", certificate)[0] == 0
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, check.__file__, str(certificate)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr.count(b"\n") == 1


def test_a_third_groups_disparity_is_named(run, tmp_path):
    # Between a and b the rates differ by .1, between a and c by .6.
    path = tmp_path / "three.csv"
    lines = ["label,prediction,group"]
    for group, fired in (("a", 20), ("b", 30), ("c", 80)):
        lines += [f"{y},{int(i < fired)},{group}" for y in (0, 1) for i in range(100)]
    path.write_text("\n".join(lines))
    own = json.loads(run("certify", path, "--pure", "a", "b", "--json")[1])
    assert own["exact"]["advantage"]["point"] == "1/10"
    assert own["advantage"]["theorem"] == "T1b"
    points = [
        json.loads(run("certify", path, "--json", *more)[1])["pairs"][0]["point"] for more in ((), ("--theorem", "T1"))
    ]
    assert points == [0.1, 0.6]
    status, text, _ = run("certify", path, "--pure", "a", "b", "--theorem", "T1")
    assert status == 0
    assert "0.1000 in place of 0.6000 at the measured rates" in " ".join(text.split())
    for more in (("--pure", "a", "b"), ("--pure", "a", "c", "--theorem", "T1")):
        assert "in place of" not in " ".join(run("certify", path, *more)[1].split())


def test_unwritable_certificates_are_errors(run, log, tmp_path):
    status, _, err = run("certify", log, *COLUMNS, "--out", tmp_path / "no" / "c.json")
    assert status == 2
    assert "cannot write" in err


def test_control_characters_never_reach_the_terminal(run, tmp_path):
    path = tmp_path / "esc.csv"
    path.write_text("label,prediction,group\n" + "0,0,\x1b[31ma\n1,1,\x1b[31ma\n0,1,b\n1,0,b\n" * 9)
    status, out, err = run("certify", path, "--out", tmp_path / "c.json")
    assert (status, err) == (0, "")
    assert "\x1b" not in out
    assert "\\x1b[31ma" in out
    assert "\x1b" not in run("check", tmp_path / "c.json")[1]
    assert "\x1b" not in run("certify", path, "--pure", "\x1b[31m", "b")[2]


def test_an_unexpected_error_is_no_failed_property(run, log, monkeypatch):
    monkeypatch.setattr("fairbound.ingest.count_files", lambda *_, **__: 1 / 0)
    status, out, err = run("certify", log, *COLUMNS)
    assert (status, out) == (2, "")
    assert "unexpected ZeroDivisionError" in err


def test_declared_labels_make_an_absent_one_seen(run, log):
    status, _, err = run("certify", log, *COLUMNS, "--labels", "0,1,2")
    assert status == 2
    assert "no rows with label 2" in err
    assert run("certify", log, *COLUMNS, "--labels", "0,1", "--groups", "M,F", "--outputs", "0,1")[0] == 0


def test_version_and_help(run):
    assert run("--version")[1].startswith("fairbound 0.")
    assert "certify" in run("--help")[1]


def test_what_an_empty_cell_leaves_unmeasured_is_a_dash(run, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("label,prediction,group\n" + "0,0,F\n0,0,M\n1,1,M\n1,0,M\n0,1,K\n1,1,K\n" * 5)

    def table(*options):
        status, out, _ = run("certify", path, "--on-missing", "vacuous", *options)
        assert status == 0
        return {line[:26].strip(): line[26:].split()[0] for line in out.splitlines()[:20] if "." in line[26:]}, out

    measured, out = table("--theorem", "T1")
    words = " ".join(out.split())
    assert measured["disparity of label 0"] == "1.0000"
    assert measured["disparity of label 1"] == "-"
    assert measured["equalized odds difference"] == "-"
    # F has no mass in label 1, so nothing unmeasured enters the value of its pairs; K and M are priced at the label's.
    assert measured["advantage, F / M"] != "-"
    assert measured["advantage, K / M"] == "-"
    assert measured["advantage, worst pair"] == "-"
    assert "Without rows: group F, label 1. What depends on them was not measured" in words
    assert "perfectly fair model" not in words
    # By T1b no pair depends on the empty cell.
    own, _ = table()
    assert own["disparity of label 1"] == "-"
    # A disparity that was not measured is not told as one.
    told = {pair: " ".join(table("--pure", *pair)[1].split()) for pair in ("FM", "MK")}
    assert "The disparities between M and K, at which T1b prices them, are" in told["MK"]
    assert "The disparities between" not in told["FM"]
    assert "T1b prices each pair at the disparities between its own two groups" in told["FM"]
    assert not {own[f"advantage, {name}"] for name in ("F / M", "K / M", "worst pair")} & {"-"}


def test_names_with_a_comma_are_declared_in_quotes(run, tmp_path):
    path = tmp_path / "c.csv"
    path.write_text('group,label,prediction\n"a, b",0,0\nc,0,1\n"a, b",1,1\nc,1,0\n')
    status, out, _ = run("certify", path, "--groups", '"a, b", c', "--labels", "0,1", "--json")
    assert status == 0
    assert json.loads(out)["groups"] == ["a, b", "c"]
    assert "not among the declared 'a', 'b', 'c'" in run("certify", path, "--groups", "a, b,c")[2]


def test_what_is_no_certificate_is_bad_input(run, log, tmp_path):
    assert run("count", log, *COLUMNS, "--out", tmp_path / "a.counts.json")[0] == 0
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "list.json").write_text("[1, 2]")
    for name in ("a.counts.json", "empty.json", "list.json"):
        status, out, err = run("check", tmp_path / name, "--json")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "is no certificate" in err
