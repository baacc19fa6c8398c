"""Sweeps that survive being killed."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from fairbound.empirical import ProtocolConfig, run_many
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.runs import read_runs

QUICK = ProtocolConfig(model={"epochs": 1, "min_steps": 40}, fine_tuning={"min_steps": 20, "epochs": 1})


@pytest.fixture
def sweep(make_dataset, tmp_path):
    data = make_dataset(n=600)

    def run(seeds, **changes):
        stages = []
        settings = {"attribute": "team", "start": "a", "config": QUICK, "out": tmp_path} | changes
        records = run_many(data, seeds=seeds, progress=lambda seed, stage: stages.append((seed, stage)), **settings)
        return records, sorted({seed for seed, _ in stages})

    return run


def without_times(record):
    stages = {name: {k: v for k, v in stage.items() if k != "cpu_seconds"} for name, stage in record["stages"].items()}
    return record | {"stages": stages}


def test_lines_and_logs_are_written(sweep, tmp_path):
    records, ran = sweep([0, 1])
    assert ran == [0, 1]
    assert read_runs(tmp_path) == records
    assert [record["seed"] for record in records] == [0, 1]
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert len(names) == 8
    assert f"made_up-team-a-r0.5-{records[1]['config_hash']}-seed1-fft.csv" in names
    for stage, name in records[1]["logs"].items():
        log = pd.read_csv(tmp_path / name)
        assert list(log.columns) == ["label", "prediction", "group"]
        assert (log["label"] == log["prediction"]).mean() == pytest.approx(records[1]["stages"][stage]["accuracy"])


def test_finished_runs_are_not_repeated(sweep):
    first, _ = sweep([0, 1])
    again, ran = sweep([1, 0, 2])
    assert ran == [2]
    assert again[:2] == first[::-1]


def test_torn_last_line_is_dropped_and_run_again(sweep, tmp_path):
    records, _ = sweep([0, 1])
    path = tmp_path / "runs.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 40])
    assert len(read_runs(tmp_path)) == 1
    again, ran = sweep([0, 1])
    assert ran == [1]
    assert [without_times(r) for r in again] == [without_times(r) for r in records]
    lines = path.read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [0, 1]


def test_killed_before_the_first_line_end(sweep, tmp_path):
    (tmp_path / "runs.jsonl").write_bytes(b'{"config_hash": "12')
    _, ran = sweep([0])
    assert ran == [0]
    assert len(read_runs(tmp_path)) == 1


def test_damaged_line_is_reported(sweep, tmp_path):
    (tmp_path / "runs.jsonl").write_bytes(b"not a record\n")
    with pytest.raises(ProtocolError, match=r"Line 1 of .* is no record"):
        sweep([0])


def test_configurations_share_a_folder(sweep, tmp_path):
    first, _ = sweep([0])
    for changes in ({"include_attribute": False}, {"rehearsal": 0.25}, {"alpha1": 0.9}, {"start": "b"}):
        records, ran = sweep([0], **changes)
        assert ran == [0]
        assert set(records[0]["logs"].values()).isdisjoint(first[0]["logs"].values())
    again, ran = sweep([0])
    assert (again, ran) == (first, [])
    assert len(list((tmp_path / "logs").iterdir())) == 4 * len(read_runs(tmp_path))


def test_unusable_folder(sweep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProtocolError, match="Cannot write runs"):
        sweep([0], out=tmp_path / "file")
