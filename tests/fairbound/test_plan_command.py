"""`fairbound plan`: its numbers are those of certify, from options, a pilot log and a certificate."""

from __future__ import annotations

import csv
import json
from fractions import Fraction

import pytest

from fairbound.bounds import Counts, certify_counts

F = Fraction
TABLE = Counts(("a", "b"), (0, 1), (0, 1), (((70, 10), (16, 19)), ((50, 12), (10, 25))))


@pytest.fixture
def pilot(tmp_path):
    path = tmp_path / "pilot.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["group", "label", "prediction"])
        for cell, n in TABLE.cells():
            writer.writerows([cell] * n)
    return path


def test_options_make_the_design_and_every_method_is_compared(run):
    status, out, err = run(
        "plan", "--width", "0.1", "--rate", "0.1", "--rate", "0.2", "--label-balanced", "--confidence", "0.9", "--json"
    )
    data = json.loads(out)
    assert (status, err) == (0, "")
    assert (data["unit"], data["value"], data["confidence"], data["method"]) == ("cell", 0.1, 0.9, "fisher")
    assert [plan["method"] for plan in data["plans"]] == ["fisher", "clopper-pearson", "relative-entropy", "smallest"]
    for plan in data["plans"]:
        n = plan["size"]
        low, high = round(F(1, 10) * n), round(F(1, 5) * n)
        log = Counts((0, 1), (0, 1), (0, 1), (((n - low, low),) * 2, ((n - high, high),) * 2))
        certified = certify_counts(log, label_balanced=True, confidence="0.9", method=plan["method"])
        assert plan["upper"] == pytest.approx(float(certified.upper), abs=1e-9)
        assert (plan["rows"], plan["smallest_cell"]) == (log.rows, n)
        assert 0.1 - 5 / n < plan["width"] <= 0.1


def test_label_marginals_make_the_group_the_unit(run):
    data = json.loads(run("plan", "--width", "0.2", "--label-marginal", "0.3", "--json")[1])
    first = data["plans"][0]
    assert data["unit"] == "group"
    assert first["rows"] == 2 * first["size"]
    assert first["smallest_cell"] == pytest.approx(0.3 * first["size"], abs=1)


def test_a_pilot_log_and_its_certificate_plan_the_same(run, pilot, tmp_path):
    path = certify_counts(TABLE).certificate().write(tmp_path / "cert.json")
    from_log = json.loads(run("plan", "--width", "0.1", "--label-balanced", "--log", pilot, "--json")[1])
    assert from_log == json.loads(run("plan", "--width", "0.1", "--label-balanced", "--certificate", path, "--json")[1])
    assert from_log["unit"] == "log"
    assert from_log["value"] == float(certify_counts(TABLE, label_balanced=True).point)
    assert "pilot's rows" in " ".join(from_log["assumptions"])


def test_a_given_pair_and_three_labels(run, pilot, tmp_path):
    pair = tmp_path / "pair.json"
    pair.write_text('{"world_0": {"a": {"0": 1, "1": 1}}, "world_1": {"b": {"0": 1, "1": 1}}}')
    given = json.loads(run("plan", "--width", "0.1", "--log", pilot, "--pair", pair, "--json")[1])
    pure = json.loads(run("plan", "--width", "0.1", "--log", pilot, "--json")[1])
    assert given["plans"][0]["rows"] < pure["plans"][0]["rows"]
    wide = ("plan", "--width", "0.3", "--labels", 3, "--outputs", 2, "--label-balanced", "--json")
    assert len(json.loads(run(*wide)[1])["plans"]) == 4


def test_the_table_says_what_it_rests_on(run):
    status, out, _ = run("plan", "--width", "0.1", "--label-balanced", "--method", "clopper-pearson")
    text = " ".join(out.split())
    assert status == 0
    assert "rows in each (group, label) cell" in text
    assert "at most 0.1 more than the worst-case advantage with confidence 95 %" in text
    assert "(method clopper-pearson)" in text
    assert "a perfectly fair model would show" in text
    assert "before the log that is certified is seen" in text
    assert text.index("clopper-pearson") < text.index("relative-entropy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--width", "0"), "positive width"),
        (("--width", "wide"), "--width 'wide' is no rational number"),
        (("--width", "1"), "trivial bound 1"),
        (("--width", "0.1", "--rate", "often"), "--rate 'often'"),
        (("--width", "0.1", "--rate", "1.5"), "at least 0"),
        (("--width", "0.1", "--groups", "0"), "0 groups are planned"),
        (("--width", "0.1", "--groups", "1000"), "at most 100 groups"),
        (("--width", "0.1", "--log", "absent.csv"), "absent.csv"),
        (("--width", "0.1", "--log", "x", "--rate", "0.1"), "leave that out"),
        (("--width", "0.1", "--log", "x", "--certificate", "y"), "not both"),
        (("--width", "0.1", "--certificate", "absent.json"), "cannot read"),
        (("--width", "0.1", "--confidence", "2"), "confidence 2"),
        (("--width", "0.1", "--pure", "0", "7"), "no group"),
    ],
)
def test_bad_input_is_one_line(run, arguments, message):
    status, out, err = run("plan", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_certificate_says_what_its_plan_is_about(run, pilot, tmp_path):
    certified = ("--game", "unlabelled", "--label-balanced", "--confidence", "0.9", "--method", "clopper-pearson")
    path = tmp_path / "cert.json"
    assert run("certify", pilot, *certified, "--out", path)[0] == 0
    same = json.loads(run("plan", "--width", "0.1", "--log", pilot, *certified, "--json")[1])
    assert json.loads(run("plan", "--width", "0.1", "--certificate", path, "--json")[1]) == same
    own = ("--game", "labelled", "--no-label-balanced", "--confidence", "0.8", "--method", "fisher")
    other = json.loads(run("plan", "--width", "0.1", "--certificate", path, *own, "--json")[1])
    assert (other["game"], other["label_balanced"], other["confidence"]) == ("labelled", False, 0.8)
    assert other == json.loads(run("plan", "--width", "0.1", "--log", pilot, *own, "--json")[1])


def test_the_worlds_of_a_certificate_are_planned_for(run, pilot, tmp_path):
    three = Counts(("a", "b", "c"), (0, 1), (0, 1), (*TABLE.table, ((5, 40), (30, 9))))
    path = certify_counts(three, pure=("a", "b"), method="smallest").certificate().write(tmp_path / "pure.json")
    found = json.loads(run("plan", "--width", "0.1", "--certificate", path, "--json")[1])
    assert found["method"] == "smallest"
    assert found["value"] == float(certify_counts(three, pure=("a", "b")).point)
    other = json.loads(run("plan", "--width", "0.1", "--certificate", path, "--pure", "a", "c", "--json")[1])
    assert other["value"] == float(certify_counts(three, pure=("a", "c")).point)
    pair = tmp_path / "pair.json"
    pair.write_text('{"world_0": {"a": {"0": 1, "1": 1}}, "world_1": {"b": {"0": 1, "1": 1}}}')
    path = tmp_path / "given.json"
    assert run("certify", pilot, "--pair", pair, "--out", path)[0] == 0
    given = json.loads(run("plan", "--width", "0.1", "--certificate", path, "--json")[1])
    assert given == json.loads(run("plan", "--width", "0.1", "--log", pilot, "--pair", pair, "--json")[1])


def test_numbers_of_symbols_are_no_names(run):
    status, _, err = run("plan", "--width", "0.1", "--groups", "F,M")
    assert status == 2
    assert "--groups 'F,M': plan takes the number of groups" in err
