"""Sweeps: parallel, killed and resumed, and their tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from joblib import parallel_config

from fairbound.empirical.errors import ProtocolError, UnknownGroupError
from fairbound.empirical.means import mean_interval
from fairbound.empirical.measurement import choose
from fairbound.empirical.plan import POOLED_STAGES
from fairbound.empirical.sweep import (
    KEYS,
    Sweep,
    SweepTask,
    choose_rehearsals,
    read_sweep,
    run_sweep,
    summarise_sweep,
    tidy,
    write_parquet,
)

ROOT = Path(__file__).parents[2]
FAST = """
name = "fast"
seeds = 2
stages = ["base", "fft", "pooled", "reweighed"]
rehearsals = [0.5, 1]
choose_rehearsal = [0.5, 1]

[config]
model = { epochs = 1, min_steps = 5 }
fine_tuning = { epochs = 1, min_steps = 10, batch_size = 128 }

[[entry]]
dataset = "german"
attribute = "sex"
groups = ["male", "female"]
"""


def configuration(folder, text=FAST):
    path = folder / "fast.toml"
    path.write_text(text)
    return path


def test_tasks_of_a_configuration(tmp_path):
    sweep = read_sweep(configuration(tmp_path))
    # Two directions by two rehearsals, and one run for what depends on neither; seed by seed.
    assert len(sweep.tasks) == 2 * (2 * 2 + 1)
    assert [task.seed for task in sweep.tasks] == [0] * 5 + [1] * 5
    wanted = {(task.settings["start"], task.settings["rehearsal"]) for task in sweep.tasks[:4]}
    assert wanted == {("male", 0.5), ("male", 1), ("female", 0.5), ("female", 1)}
    stages = [task.settings["config"].stages for task in sweep.tasks[:5]]
    assert stages[:4] == [("base", "fft")] * 4
    assert stages[4] == ("pooled", "reweighed")


@pytest.mark.parametrize("name", ["main", "modalities", "smoke", "frontier", "constraint_rows"])
def test_committed_sweeps_are_well_formed(name):
    sweep = read_sweep(ROOT / "sweeps" / f"{name}.toml")
    assert sweep.name == name
    assert sweep.tasks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds = 2", "seed = 2"), "no setting 'seed'"),
        (("name =", "# name ="), "needs a name"),
        (("seeds = 2", "seeds = ["), "is no TOML"),
        (('"reweighed"', '"magic"'), "no stage 'magic'"),
        (("[config]", "[config]\nstrength = 1"), "no setting 'strength'"),
        (('["male", "female"]', '["male"]'), "two groups"),
        (("seeds = 2", 'directions = "up"'), "'both' or 'first'"),
    ],
)
def test_bad_configurations_are_named(tmp_path, change, message):
    assert change[0] in FAST
    with pytest.raises(ProtocolError, match=message):
        read_sweep(configuration(tmp_path, FAST.replace(*change, 1)))


def test_absent_configuration(tmp_path):
    with pytest.raises(ProtocolError, match=r"Cannot read the sweep .*nothing.toml"):
        read_sweep(tmp_path / "nothing.toml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    steps = []
    sweep = read_sweep(configuration(folder))
    return sweep, run_sweep(sweep, folder / "out", progress=lambda *done: steps.append(done)), steps, folder / "out"


@pytest.mark.data
def test_a_model_counts_once_whatever_the_rehearsal(finished):
    _, result, _, out = finished
    models = [
        (stage, record["start"], record["seed"], json.dumps({k: v for k, v in measured.items() if "seconds" not in k}))
        for record in result.records
        for stage, measured in record["stages"].items()
    ]
    once = set(models)
    assert sum(stage == "base" for stage, *_ in models) == 8
    assert sum(stage == "base" for stage, *_ in once) == 4
    assert f" of {len(once)} models (C1)" in (out / "summary.md").read_text()


@pytest.mark.data
def test_runs_of_different_configurations_are_not_averaged(finished):
    sweep, result, _, out = finished
    assert "Configuration" not in (out / "summary.md").read_text()
    other = [record | {"config": record["config"] | {"slack": 0.123}} for record in result.records]
    text = summarise_sweep(sweep, [*result.records, *other])
    assert text.count("Configuration: `slack = 0.123`") == text.count("Configuration: `slack = ") / 2 > 0
    before = [line for line in (out / "summary.md").read_text().splitlines() if line.startswith("| ")]
    assert sorted(line for line in text.splitlines() if line.startswith("| ")) == sorted(before * 2)


@pytest.mark.data
def test_lines_tables_and_progress(finished):
    sweep, result, steps, out = finished
    assert steps == [("runs", done, 10) for done in range(11)]
    assert result.failures == []
    lines = [json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines()]
    assert sorted(map(repr, lines)) == sorted(map(repr, result.records))
    for task, record in zip(sweep.tasks, result.records, strict=True):
        assert (record["config_hash"], record["seed"]) == (task.plan().config_hash(), task.seed)
        # What a run can be made again from.
        assert {"dataset", "data_sha256", "versions", "config", "start", "other", "rehearsal"} <= set(record)
    frame = duckdb.sql(f"SELECT * FROM '{out / 'results.parquet'}'").df()
    assert len(frame) == 2 * (2 * 2 * 2 + 2)
    assert not [name for name in frame.columns if "seconds" in name]
    assert frame["advantage.label_balanced.upper"].between(0, 1).all()
    assert (frame["start"] == "").tolist() == frame["stage"].isin(POOLED_STAGES).tolist()
    times = duckdb.sql(f"SELECT * FROM '{out / 'timings.parquet'}'").df()
    assert list(times.columns) == [*KEYS, "cpu_seconds"]
    assert (times["cpu_seconds"] > 0).all()
    means = frame.query("stage == 'fft' and start == 'male' and rehearsal == 1")["accuracy"]
    summary = (out / "summary.md").read_text()
    line = next(line for line in summary.splitlines() if line.startswith("| male | 1 | **fft**"))
    assert line.split(" | ")[3].startswith(f"{means.mean():.3f} +- {mean_interval(list(means))[1]:.3f}")
    assert summary.count("| base") == 2


@pytest.mark.data
def test_rehearsal_is_chosen_on_validation_rows(finished):
    _, result, _, out = finished
    chosen = choose_rehearsals(result.records, (0.5, 1))
    assert len(chosen) == 4
    for record in chosen:
        same = [
            other
            for other in result.records
            if "fft" in other["stages"] and (other["start"], other["seed"]) == (record["start"], record["seed"])
        ]
        same.sort(key=lambda other: other["rehearsal"])
        position = choose([other["stages"]["fft"]["validation"] for other in same], loss="plain", slack=0.005)
        assert record == same[position]
    assert choose_rehearsals(result.records, (0.5, 0.75)) == []
    assert "0.5 or 1, by validation" in (out / "summary.md").read_text()


@pytest.mark.data
def test_finished_runs_are_not_repeated(finished):
    sweep, result, _, out = finished
    steps = []
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = run_sweep(sweep, out, progress=lambda *done: steps.append(done))
    assert steps == [("runs", 0, 0)]
    assert again.records == result.records
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.data
def test_the_order_of_the_runs_makes_no_difference(finished, tmp_path):
    sweep, _, _, out = finished
    run_sweep(Sweep(sweep.name, sweep.tasks[::-1]), tmp_path)
    assert (tmp_path / "results.parquet").read_bytes() == (out / "results.parquet").read_bytes()
    assert (tmp_path / "summary.md").read_text() == (out / "summary.md").read_text()


@pytest.mark.data
def test_what_fails_is_told_and_the_rest_is_made(finished, tmp_path):
    sweep, _, _, _ = finished
    good = sweep.tasks[4]
    # Too few rows for a rehearsal of a thousandth: noticed only when the rows are drawn.
    bad = SweepTask(good.dataset, good.settings | {"rehearsal": 0.001}, 0)
    result = run_sweep(Sweep("half", (bad, good)), tmp_path)
    assert len(result.records) == 1
    assert len(result.failures) == 1
    assert "is no row" in result.failures[0]
    unknown = SweepTask(good.dataset, good.settings | {"other": "nobody"}, 0)
    with pytest.raises(UnknownGroupError, match="nobody"):
        run_sweep(Sweep("bad", (good, unknown)), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_threads_are_refused(tmp_path):
    with parallel_config(backend="threading"), pytest.raises(ProtocolError, match="use processes"):
        run_sweep(Sweep("none", ()), tmp_path, jobs=2)


def test_an_empty_table():
    assert len(tidy([])) == 0


@pytest.mark.data
@pytest.mark.slow
def test_a_killed_sweep_ends_as_an_unbroken_one(finished, tmp_path):
    sweep, _, _, whole = finished
    command = [sys.executable, "-m", "fairbound.cli", "sweep", str(configuration(tmp_path)), "--out", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--jobs", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    runs = tmp_path / "runs.jsonl"
    try:
        deadline = time.monotonic() + 240
        while not (runs.exists() and runs.read_bytes().count(b"\n") >= 2):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    made = runs.read_bytes()
    assert 2 <= made.count(b"\n") < len(sweep.tasks)
    assert not (tmp_path / "results.parquet").exists()
    # As if it had been killed while writing a line.
    runs.write_bytes(made + b'{"config_hash": "12')
    run_sweep(read_sweep(configuration(tmp_path)), tmp_path)
    assert runs.read_bytes().startswith(made)
    assert len(runs.read_text().splitlines()) == len(sweep.tasks)
    for name in ("results.parquet", "summary.md"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_a_table_that_cannot_be_put_in_place_leaves_nothing(tmp_path):
    path = tmp_path / "t.parquet"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_parquet(pd.DataFrame({"a": [1, 2]}), path)
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]
