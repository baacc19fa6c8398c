"""`fairbound attack` on real data, start to end."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest

from fairbound import cli
from fairbound.figures import make_figures
from fairbound.paper_figs import attacks

pytestmark = pytest.mark.data

GAME = ["german", "--attribute", "sex", "--rows", "80", "--queries", "20", "--jobs", "1", "--seed", "1"]
FEW = ["--shadows", "8", "--victims", "6", "--attacks", "loss_test,kl_voting"]


def invoke(*arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fairbound", "attack", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as stopped:
            return stopped.code or 0
        return 0


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    out = ["--out", folder / "attacks"]
    report = ["--report", folder / "report.html"]
    assert invoke(*GAME, *FEW, "--ratios", "0.2", "0.6", "--defences", "none,resampled", *out, *report) == 0
    return folder


def test_the_table_is_what_the_figures_read(results, tmp_path):
    table = pd.read_parquet(results / attacks.FILE)
    assert set(attacks.COLUMNS) <= set(table.columns)
    # Two attacks by an adversary who need not know a defence, and by two who do or do not.
    assert table[["defence", "adaptive"]].value_counts().to_dict() == {
        ("none", False): 2,
        ("resampled", False): 2,
        ("resampled", True): 2,
    }
    assert table["group"].unique().tolist() == ["female"]
    assert (table["bound"] > table["bound_mean"]).all()
    files = make_figures(["attacks", "table_defences"], results=results, out=tmp_path).files
    assert {"attacks.csv", "table_defences.md"} <= {path.name for path in files}


def test_summary_and_report_name_the_adversary_that_the_bound_covers(results):
    summary = (results / "attacks" / "summary.md").read_text()
    for text in (summary, (results / "report.html").read_text()):
        assert "one draw from the population that one model serves" in text
        assert "(C8)" in text
    assert summary.count("kl_voting") >= 3


def test_resumes_and_keeps_other_games(results, capsys):
    before = pd.read_parquet(results / attacks.FILE)
    chunks = sorted((results / "attacks" / "models" / "chunks").iterdir())
    out = ["--out", results / "attacks", "--json"]
    assert invoke(*GAME, *FEW, "--ratios", "0.2", "0.6", "--defences", "none,resampled", *out) == 0
    first = json.loads(capsys.readouterr().out)
    assert sorted((results / "attacks" / "models" / "chunks").iterdir()) == chunks
    pd.testing.assert_frame_equal(pd.read_parquet(results / attacks.FILE), before)
    assert [record["advantage"] for record in first["attacks"]] == before["advantage"].tolist()
    assert invoke(*GAME, *FEW, "--ratios", "0.3", "0.6", "--defences", "none", *out) == 0
    after = pd.read_parquet(results / attacks.FILE)
    assert after["ratios"].value_counts().to_dict() == {"0.2 / 0.6": 6, "0.3 / 0.6": 2}
    assert (results / "attacks" / "summary.md").read_text().count("## german") == 2


def test_a_null_run_has_no_bound_and_finds_nothing(tmp_path, capsys):
    game = [*GAME, *FEW, "--ratios", "0.4", "0.9", "--null", "--defences", "none", "--out", tmp_path]
    assert invoke(*game, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["null_holds"] is True
    assert found["game"]["ratios"] == "0.4 / 0.4"
    assert {record["bound"] for record in found["attacks"]} == {None}
    assert invoke(*game) == 0
    assert "no attack is further from 50 %" in capsys.readouterr().out


def test_one_deployed_model(tmp_path, capsys):
    queries, answers = tmp_path / "queries.csv", tmp_path / "answers.csv"
    game = [*GAME, "--shadows", "40", "--ratios", "0.2", "0.6", "--grid", "0.4", "--out", tmp_path / "out"]
    assert invoke(*game, "--write-queries", queries) == 0
    assert "--victim-predictions" in capsys.readouterr().out
    table = pd.read_csv(queries)
    assert table["query_row"].is_unique
    assert len(table.columns) > 10
    table["score"] = 0.5 + 0.4 * (table.index % 2)
    table.to_csv(answers, index=False)
    assert invoke(*game, "--victim-predictions", answers, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ratio"]["grid"] == [0.2, 0.4, 0.6]
    assert 0.2 <= found["ratio"]["lower"] <= found["ratio"]["upper"] <= 0.6
    assert 1 / 21 <= found["audit"]["p_world_0"] <= 1
    # Labels alone, and the sentences.
    table.drop(columns="score").assign(prediction=1).to_csv(answers, index=False)
    assert invoke(*game, "--victim-predictions", answers, "--attacks", "threshold_test") == 0
    assert "p-value of a share of 0.2" in capsys.readouterr().out
    # Not the queries of this game.
    table.iloc[1:].to_csv(answers, index=False)
    assert invoke(*game, "--victim-predictions", answers) == 2
    assert "does not hold each query once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--defences", "none,hope"], "no defence 'hope'"),
        (["--attacks", "luck"], "no attack 'luck'"),
        (["--ratios", "0.5", "1.5"], "must be at least two shares"),
        (["--group", "martian"], "no group 'martian'"),
        (["--rows", "5000"], "at most"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, more, told):
    assert invoke(*GAME, *FEW, "--out", tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.strip().splitlines()) == 1
