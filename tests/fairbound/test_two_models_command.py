"""`fairbound two-models`, and two models from arrays and files."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import fairbound
from fairbound.bounds import certify_paired_counts
from fairbound.bounds.errors import LengthMismatchError, MissingValueError, ScoresError
from fairbound.two_models import count_two_models_file

N = 2000
COLUMNS = ("--label", "income", "--group", "sex", "--model-0", "strict", "--model-1", "lenient")


@pytest.fixture(scope="module")
def frame():
    generator = np.random.default_rng(8)
    sex = generator.choice(["F", "M"], N)
    income = (generator.random(N) < 0.4).astype(int)
    score = generator.random(N)
    return pd.DataFrame(
        {"income": income, "sex": sex, "strict": (score > 0.7).astype(int), "lenient": (score > 0.4).astype(int)}
    )


@pytest.fixture
def log(frame, tmp_path):
    path = tmp_path / "log.csv"
    frame.to_csv(path, index=False)
    return path


def arrays(frame, **options):
    return fairbound.certify_two_models(
        frame["income"], frame["strict"], frame["lenient"], sensitive_features=frame["sex"], **options
    )


def test_the_command_agrees_with_a_recomputation_from_the_rows(run, log, frame):
    status, out, err = run("two-models", log, *COLUMNS, "--json")
    data = json.loads(out)
    assert (status, err) == (0, "")
    gaps = {
        (g, y): Fraction(int(rows["lenient"].sum() - rows["strict"].sum()), len(rows))
        for (g, y), rows in frame.groupby(["sex", "income"])
    }
    assert data["exact"]["advantage"]["point"] == str(max(gaps.values()))
    assert {(c["group"], c["label"]): c["point"] for c in data["cells"]} == {k: float(v) for k, v in gaps.items()}
    # The models are nearly fair, and yet far apart: what equalized odds does not see (C8).
    assert max(data["equalized_odds"]) < 0.05
    assert data["advantage"]["point"] > 0.25
    assert data["advantage"]["point"] <= data["form"]["value"]
    assert all(label["operating_point_gap"] > 0.25 for label in data["form"]["labels"].values())
    assert "Equalized odds does not bound this" in data["statement"]


def test_arrays_and_files_count_alike(frame, log, tmp_path):
    names = {"label": "income", "group": "sex", "model_0": "strict", "model_1": "lenient"}
    expected = arrays(frame).counts
    frame.to_parquet(tmp_path / "log.parquet")
    for path in (log, tmp_path / "log.parquet", [log]):
        assert count_two_models_file(path, **names) == expected
    text = frame.replace({"income": {0: "no", 1: "yes"}, "strict": {0: "no", 1: "yes"}, "lenient": {0: "no", 1: "yes"}})
    text.to_csv(tmp_path / "text.csv", index=False)
    named = count_two_models_file(tmp_path / "text.csv", **names)
    assert named.outputs == ("no", "yes")
    assert named.table == expected.table
    assert certify_paired_counts(named).upper == arrays(frame).upper


def test_what_a_reader_sees(run, log):
    status, out, _ = run("two-models", log, *COLUMNS)
    words = " ".join(out.split())
    assert status == 0
    for phrase in (
        "sees the answer of one of the two models tells which of them gave it",
        "group F, label 0",
        "operating points differ by",
        "From operating points and disparities alone",
        "Equalized odds does not bound this: two perfectly fair models with different thresholds",
    ):
        assert phrase in words


def test_the_gate_compares_exactly(run, log, frame):
    upper = arrays(frame).upper
    assert run("two-models", log, *COLUMNS, "--max-advantage", str(upper))[0] == 0
    status, out, _ = run("two-models", log, *COLUMNS, "--max-advantage", str(upper - Fraction(1, 10**15)))
    assert status == 1
    assert "FAILS: the bound" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model-1", "absent"), "no column 'absent'"),
        (("--model-1", "absent"), "Name it by --model-1"),
        (("--model-1", "strict"), "must be 4 different columns"),
        (("--max-advantage", "2"), "outside [0, 1]"),
        (("--confidence", "2"), "below 1"),
        (("--labels", "0,1,2"), "no rows with label 2"),
        (("--outputs", "0,5"), "not among the declared"),
    ],
)
def test_bad_input_is_one_line_and_status_two(run, log, arguments, message):
    status, out, err = run("two-models", log, *COLUMNS, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_missing_cells(run, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("label,group,p,q\n0,F,0,0\n1,M,1,0\n0,M,0,0\n")
    command = ("two-models", path, "--model-0", "p", "--model-1", "q")
    assert "group 'F' has no rows with label 1" in run(*command)[2]
    status, out, _ = run(*command, "--on-missing", "vacuous", "--json")
    assert status == 0
    assert json.loads(out)["advantage"]["upper"] == 1
    assert json.loads(out)["form"] is None


def test_more_outputs(run, tmp_path):
    generator = np.random.default_rng(0)
    label, group = generator.integers(0, 3, 900), generator.choice(["F", "M"], 900)
    second = np.where(generator.random(900) < 0.1, generator.integers(0, 3, 900), label)
    table = pd.DataFrame({"label": label, "group": group, "p": label, "q": second})
    table.to_csv(tmp_path / "k.csv", index=False)
    _, out, _ = run("two-models", tmp_path / "k.csv", "--model-0", "p", "--model-1", "q", "--json")
    data = json.loads(out)
    assert data["form"] is None
    assert 0 < data["advantage"]["point"] < data["advantage"]["upper"] < 0.4


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"strict": np.nan}, MissingValueError, "y_pred_0"),
        ({"lenient": 0.5}, ScoresError, "y_pred_1 holds 0.5"),
    ],
)
def test_unusable_columns_are_named(frame, change, error, message):
    with pytest.raises(error, match=message):
        arrays(frame.assign(**change))


def test_lengths_must_agree(frame):
    with pytest.raises(LengthMismatchError, match="y_pred_0 2000, y_pred_1 1999"):
        fairbound.certify_two_models(
            frame["income"], frame["strict"], frame["lenient"][1:], sensitive_features=frame["sex"]
        )
    with pytest.raises(LengthMismatchError, match="y_true 1999"):
        fairbound.certify_two_models(
            frame["income"][1:], frame["strict"], frame["lenient"], sensitive_features=frame["sex"]
        )


def test_columns_that_are_no_hard_predictions_are_named(run, frame, tmp_path):
    path = tmp_path / "log.csv"
    race = np.where(np.arange(len(frame)) % 3 == 0, "A & P", "B")
    frame.assign(race=race, risk=np.arange(len(frame)) / len(frame)).to_csv(path, index=False)
    command = ("two-models", path, "--label", "income", "--group", "sex", "--model-0", "strict", "--model-1")
    status, _, err = run(*command, "race")
    assert status == 2
    assert "model 1 ('race') shows 'A & P', which is no label of 'income'" in err
    status, _, err = run(*command, "risk")
    assert status == 2
    assert "column 'risk' holds 0." in err
    assert "a score or measurement, not a category; threshold or bin it first" in err
    assert "--score" not in err
