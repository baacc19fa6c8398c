"""`fairbound certify --score`, and scores from arrays, frames and files."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest

import fairbound
from fairbound import scores as front
from fairbound.bounds import certify_counts, certify_score_counts
from fairbound.bounds.errors import FileFormatError, MissingValueError, NumberError, UnknownColumnError
from fairbound.scores import count_bins, count_bins_file, count_score_file, count_score_frame

N = 3000
COLUMNS = ("--label", "income", "--group", "sex")


@pytest.fixture(scope="module")
def frame():
    generator = np.random.default_rng(4)
    sex = generator.choice(["F", "M"], N)
    income = (generator.random(N) < np.where(sex == "M", 0.31, 0.19)).astype(int)
    logit = generator.normal(size=N) + 1.5 * income + 0.3 * (sex == "M") - 1
    risk = np.round(1 / (1 + np.exp(-logit)), 3)
    race = generator.choice(["A", "B"], N)
    return pd.DataFrame({"income": income, "risk": risk, "yhat": (risk > 0.5).astype(int), "sex": sex, "race": race})


@pytest.fixture
def log(frame, tmp_path):
    path = tmp_path / "log.csv"
    frame.to_csv(path, index=False)
    return path


def arrays(frame, **options):
    return fairbound.certify_scores(frame["income"], frame["risk"], sensitive_features=frame["sex"], **options)


def recompute(frame):
    """T7 for the two pure groups in the label-balanced game, from the definitions."""
    value = Fraction(0)
    for y in (0, 1):
        rows = {g: sorted(frame["risk"][(frame["sex"] == g) & (frame["income"] == y)]) for g in "FM"}
        steps = {g: np.searchsorted(rows[g], np.unique(frame["risk"]), side="right") for g in "FM"}
        distance = max(
            abs(Fraction(int(a), len(rows["F"])) - Fraction(int(b), len(rows["M"])))
            for a, b in zip(*steps.values(), strict=True)
        )
        share = sum(Fraction(len(rows[g]), int((frame["sex"] == g).sum())) for g in "FM") / 2
        value += share * distance
    return value


def test_the_command_agrees_with_a_recomputation_from_the_rows(run, log, frame):
    status, out, err = run("certify", log, *COLUMNS, "--score", "risk", "--label-balanced", "--json")
    data = json.loads(out)
    assert (status, err) == (0, "")
    assert data["exact"]["advantage"]["point"] == str(recompute(frame))
    assert data["advantage"]["theorem"] == "T7"
    assert data["advantage"]["upper"] > data["advantage"]["point"]
    assert data["rows"] == N
    assert data["hard_predictions"] is None
    assert "says nothing about someone who sees scores" in data["statement"]


def test_arrays_frames_and_files_count_alike(frame, log, tmp_path):
    expected = arrays(frame).scores
    parquet = tmp_path / "log.parquet"
    frame.to_parquet(parquet)
    names = {"label": "income", "score": "risk", "group": "sex"}
    assert count_score_file(log, **names) == expected
    assert count_score_file(parquet, **names) == expected
    assert count_score_frame(frame, **names) == expected
    assert count_score_frame(pl.from_pandas(frame).lazy(), **names) == expected
    halves = [tmp_path / f"part-{i}.csv" for i in (0, 1)]
    for i, half in enumerate(halves):
        frame[i::2].to_csv(half, index=False)
    assert count_score_file(str(tmp_path / "part-*.csv"), **names) == expected
    several = {**names, "group": ["sex", "race"]}
    both = count_score_file(log, **several)
    assert both.counts.groups == ("F & A", "F & B", "M & A", "M & B")
    assert both == count_score_frame(frame, **several)


def test_more_combinations_than_fit_are_counted_in_blocks(log, frame, monkeypatch):
    exact = arrays(frame)
    monkeypatch.setattr(front, "MAX_COMBINATIONS", 100)
    monkeypatch.setattr(front, "_BLOCKS", 200)
    counted = count_score_file(log, label="income", score="risk", group="sex")
    assert counted.merged
    assert counted.counts.cell_rows == exact.counts.cell_rows
    for low, high in zip(exact.distances.per_label, counted.distances().per_label, strict=True):
        assert low <= high <= low + Fraction(1, 50)
    assert exact.upper <= certify_score_counts(counted).upper


def test_what_a_reader_sees(run, log):
    status, out, _ = run("certify", log, *COLUMNS, "--score", "risk", "--prediction", "yhat")
    words = " ".join(out.split())
    assert status == 0
    for phrase in (
        "sees a score and the true label and compares the score with a threshold",
        "tells a population of F only from one of M only",
        "Kolmogorov-Smirnov distance, label 0",
        "Someone who sees the hard prediction instead of the score has an advantage of at most",
        "A test that combines several intervals of scores",
        "shadow models",
        "Label-level fairness (equalized odds of the hard predictions) says nothing about someone who sees scores.",
    ):
        assert phrase in words


def test_both_bounds_stand_beside_each_other(run, log, frame):
    _, out, _ = run("certify", log, *COLUMNS, "--score", "risk", "--prediction", "yhat", "--json")
    data = json.loads(out)
    hard = fairbound.certify(frame["income"], frame["yhat"], sensitive_features=frame["sex"])
    assert data["hard_predictions"]["advantage"]["point"] == float(hard.point)
    assert data["hard_predictions"]["advantage"]["point"] < data["advantage"]["point"] == float(arrays(frame).point)
    status, _, err = run("certify", log, *COLUMNS, "--score", "risk", "--prediction", "guess")
    assert status == 2
    assert "no column 'guess'" in err


def test_the_gate_compares_exactly(run, log, frame):
    upper = arrays(frame).upper
    command = ("certify", log, *COLUMNS, "--score", "risk", "--max-advantage")
    assert run(*command, str(upper))[0] == 0
    status, out, _ = run(*command, str(upper - Fraction(1, 10**15)))
    assert status == 1
    assert "FAILS: the bound" in out
    assert json.loads(run(*command, "0.01", "--json")[1])["max_advantage"] == {"limit": 0.01, "holds": False}


def test_options_reach_the_bound(run, log, frame, tmp_path):
    pair = tmp_path / "pair.json"
    pair.write_text(json.dumps({"world_0": {"F": {"0": 1, "1": 1}}, "world_1": {"M": {"0": 1, "1": 1}}}))
    _, out, _ = run("certify", log, *COLUMNS, "--score", "risk", "--pair", pair, "--confidence", "0.9", "--json")
    data = json.loads(out)
    delta = arrays(frame).distances.per_label
    assert data["exact"]["advantage"]["point"] == str((delta[0] + delta[1]) / 2)
    assert (data["pair"], data["confidence"]) == (None, 0.9)
    _, out, _ = run("certify", log, *COLUMNS, "--score", "risk", "--pure", "M", "F", "--json")
    assert json.loads(out)["pair"] == ["M", "F"]
    status, _, err = run("certify", log, *COLUMNS, "--score", "risk", "--labels", "0,1,2")
    assert status == 2
    assert "no rows with label 2" in err


def test_bins_take_the_ordinary_road(run, log, frame, tmp_path):
    certificate = tmp_path / "c.json"
    command = ("certify", log, *COLUMNS, "--score", "risk", "--bins", "5", "--method", "clopper-pearson")
    status, out, _ = run(*command, "--json", "--out", certificate)
    data = json.loads(out)
    assert status == 0
    counts = count_bins(frame["income"], frame["risk"], sensitive_features=frame["sex"], bins=5)
    assert counts == count_bins_file(log, bins=5, label="income", score="risk", group="sex")
    histogram = np.histogram(frame["risk"][(frame["sex"] == "F") & (frame["income"] == 1)], 5, (0, 1))[0]
    assert counts.table[0][1] == tuple(histogram.tolist())
    assert data["exact"]["advantage"]["point"] == str(certify_counts(counts, method="clopper-pearson").point)
    assert data["score"] == {"column": "risk", "bins": 5, "range": [0.0, 1.0]}
    assert "says nothing" in data["statement"]
    assert "outputs 5 bins of equal width of 'risk' from 0 to 1:" in run("check", certificate)[1]
    assert "Outputs are the bins 0 to 4 of equal width on 0 to 2" in run(*command, "--score-range", 0, 2)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--score", "absent"), "no column 'absent'"),
        (("--score", "absent"), "Name it by --score"),
        (("--score", "income"), "must be three different columns"),
        (("--score", "sex2"), "(did you mean 'sex'?)"),
        (("--score", "race"), "which is no number; name the column of scores"),
        (("--bins", "4"), "name its column by --score"),
        (("--score", "risk", "--score-range", 0, 1), "give their number by --bins"),
        (("--score", "risk", "--bins", "1"), "from 2 to 1000"),
        (("--score", "risk", "--bins", "4", "--score-range", 0, 0.5), "outside the scores' range 0 to 0.5"),
        (("--score", "risk", "--bins", "4", "--game", "correctness"), "no bin of scores is correct"),
        (("--score", "risk", "--bins", "4", "--outputs", "0,1"), "--outputs declares hard predictions"),
        (("--score", "risk", "--game", "unlabelled"), "--game does not go with --score"),
        (("--score", "risk", "--theorem", "T1b"), "--theorem does not go with --score"),
        (("--score", "risk", "--coq", "out.v"), "--coq does not go with --score"),
        (("--score", "risk", "--out", "LOG"), "is what is read"),
        (("--score", "risk", "--confidence", "0.2"), "at least 0.5"),
        (("--prediction", "risk"), "for that one: --score"),
    ],
)
def test_bad_input_is_one_line_and_status_two(run, log, arguments, message):
    status, out, err = run("certify", log, *COLUMNS, *(log if a == "LOG" else a for a in arguments))
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        ("", MissingValueError, "column 'score' holds missing"),
        ("nan", MissingValueError, "column 'score' holds missing"),
        ("inf", NumberError, "column 'score' holds an infinite score"),
        ("high", NumberError, "column 'score' holds 'high'"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_unusable_scores_are_named(cell, error, message, kind, tmp_path):
    path = tmp_path / f"log.{kind}"
    table = pd.DataFrame({"group": ["a", "a", "b", "b"], "label": [0, 1, 0, 1], "score": ["0.1", cell, "0.3", "0.4"]})
    if kind == "csv":
        table.to_csv(path, index=False)
    else:
        if cell != "high":
            table["score"] = table["score"].replace("", None).astype(float)
        table.to_parquet(path)
    with pytest.raises(error, match=message):
        count_score_file(path)


def test_files_that_hold_no_scores(tmp_path, log):
    (tmp_path / "empty.csv").write_text("group,label,score\n")
    with pytest.raises(fairbound.FairboundError, match="no rows"):
        count_score_file(tmp_path / "empty.csv")
    counts = tmp_path / "a.counts.json"
    fairbound.write_counts(counts, log, label="income", prediction="yhat", group="sex")
    with pytest.raises(FileFormatError, match="is a count file"):
        count_score_file(counts)
    frame = pd.read_csv(log)
    frame.to_parquet(tmp_path / "b.parquet")
    with pytest.raises(FileFormatError, match="of one kind"):
        count_score_file([log, tmp_path / "b.parquet"], label="income", score="risk", group="sex")
    with pytest.raises(FileFormatError, match="no data frame"):
        count_score_frame([1, 2, 3])
    with pytest.raises(UnknownColumnError, match="the frame has no column 'score'"):
        count_score_frame(frame, label="income", group="sex")


def test_text_labels_and_integer_scores(tmp_path):
    path = tmp_path / "deciles.csv"
    rows = [(g, y, d) for g in "ab" for y in ("no", "yes") for d in range(1, 11) for _ in range(3 + (g == "a") * d)]
    pd.DataFrame(rows, columns=["group", "label", "score"]).to_csv(path, index=False)
    counted = count_score_file(path)
    assert counted.thresholds == tuple(float(d) for d in range(1, 11))
    assert counted.counts.labels == ("no", "yes")
    bins = count_bins_file(path, bins=5, score_range=(1, 10))
    assert bins.outputs == ("0", "1", "2", "3", "4")
    # Ten values, ten blocks: binned one by one, T1 pays total variation, never less than the distance.
    by_value = count_bins_file(path, bins=10, score_range=(1, 10))
    assert certify_counts(by_value, method="clopper-pearson").point >= certify_score_counts(counted).point


def test_certificates_are_written_and_checked(run, log, tmp_path):
    certificate = tmp_path / "c.json"
    command = ("certify", log, *COLUMNS, "--score", "risk", "--out", certificate)
    status, out, _ = run(*command)
    assert status == 0
    assert "fairbound check" in out
    status, out, _ = run("check", certificate)
    assert status == 0
    assert "compares the score with a threshold" in " ".join(out.split())
    assert json.loads(run(*command, "--json")[1])["certificate"]["digest"] in certificate.read_text()
    data = json.loads(certificate.read_text())
    data["counts"]["table"][0][0][0] += 1
    certificate.write_text(json.dumps(data))
    status, _, err = run("check", certificate)
    assert status == 1
    assert "REFUSED" in err


def test_bins_are_told_from_hard_predictions(run, log):
    command = ("certify", log, *COLUMNS, "--score", "risk", "--bins", "5")
    words = " ".join(run(*command)[1].split())
    assert "sees which of 5 bins of the score (0 to 1) and the true label tells" in words
    assert "An adversary who sees the score more finely than in these bins" in words
    assert "instead of the hard prediction" not in words
    assert "accuracy gap" not in words
    assert "a best test's advantage of" in words
    data = json.loads(run(*command, "--json")[1])
    assert data["measured_gap"] == {"accuracy_raw": None, "accuracy_label_balanced": None}
    assert any("more finely" in line for line in data["not_covered"])
    alone = " ".join(run(*command, "--game", "unlabelled", "--score-range", 0, 2)[1].split())
    assert "sees which of 5 bins of the score (0 to 2) alone tells" in alone
    assert "Default: 0 1" in " ".join(run("certify", "--help")[1].replace("│", " ").split())
