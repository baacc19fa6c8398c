"""Figures and the main table from a real sweep."""

from __future__ import annotations

import csv
from statistics import fmean

import pytest

from fairbound.empirical.means import mean_interval
from fairbound.empirical.sweep import read_sweep, run_sweep
from fairbound.figures import make_figures
from fairbound.paper_figs import every_model, frontier, many_queries, rehearsal, table_main
from fairbound.paper_figs.stored import distinct_models, pair_names, seeds_of, short_name, sweep_rows

pytestmark = pytest.mark.data

FAST = """
name = "fast"
seeds = 2
directions = "first"

[config]
model = { epochs = 1, min_steps = 5 }
fine_tuning = { epochs = 1, min_steps = 10, batch_size = 128 }
"""
ENTRY = """
[[entry]]
dataset = "german"
attribute = "sex"
groups = ["male", "female"]
rehearsals = [1]
stages = ["base", "fft"]
"""


def fixed(strength):
    return f'{ENTRY}config = {{ candidates = [{{ constraint = "penalty", penalty = {strength} }}] }}\n'


SWEEPS = {
    "main": ENTRY.replace("[1]", "[0.5, 1]").replace('"fft"', '"fine_tuned", "fft", "pooled"'),
    "frontier": fixed(0.1) + fixed(10) + ENTRY.replace('"fft"', '"fft", "pooled"'),
}
NAMES = ["every_model", "rehearsal", "frontier", "table_main"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for name, entries in SWEEPS.items():
        path = folder / f"{name}.toml"
        path.write_text(FAST + entries)
        assert not run_sweep(read_sweep(path), folder / name).failures
    return folder


def test_a_model_of_two_rehearsals_is_one_model(results):
    rows = sweep_rows(results)
    again = [row | {"rehearsal": 0.7, "config_hash": "other", "cpu_seconds": 9.0} for row in rows]
    assert distinct_models([*rows, *again]) == every_model.load(results)
    other = rows[0] | {"delta_eo": rows[0]["delta_eo"] + 0.01}
    assert len(distinct_models([*rows, other])) == len(every_model.load(results)) + 1


def test_every_model_is_plotted_once_per_game_and_comparison(results):
    data = sweep_rows(results)
    rows = every_model.table(data)
    assert len(rows) == 4 * len(data)
    assert not any(row["above"] for row in rows if row["comparison"] == every_model.EXACT)
    assert f"{len(data)} trained models" in every_model.caption(data)


def test_a_gap_above_its_bound_is_seen(results):
    data = [row | {"accuracy_gap.raw": row["advantage.raw.point"] + 1e-6} for row in sweep_rows(results)]
    above = [row for row in every_model.table(data) if row["above"]]
    assert len(above) == len(data)
    assert f"({len(data)} do)" in every_model.caption(data)


def test_rehearsal_gives_the_base_model_once(results):
    data = rehearsal.load(results)
    rows = rehearsal.table(data)
    base = [row for row in rows if row["stage"] == "base"]
    assert len(base) == len(rehearsal.MEASURES)
    assert {row["seeds"] for row in rows} == {2}
    (found,) = (
        row for row in rows if (row["stage"], row["rehearsal"], row["measure"]) == ("fft", 1, "accuracy_gap.raw")
    )
    gaps = [row["accuracy_gap.raw"] for row in data if row["stage"] == "fft" and row["rehearsal"] == 1]
    assert (found["mean"], found["half_width"]) == mean_interval(gaps)


def test_frontier_tells_strengths_apart(results):
    rows = frontier.table(frontier.load(results))
    assert [(row["stage"], row["strength"]) for row in rows] == [
        ("base", None),
        ("fft", 0.1),
        ("fft", 10),
        ("fft", frontier.DEFAULT),
        ("pooled", None),
    ]
    assert {row["seeds"] for row in rows} == {2}


def test_main_table_has_each_model_once_with_its_costs(results):
    data = sweep_rows(results)
    rows = table_main.table(data)
    assert [(row["start"], row["stage"], row["rehearsal"]) for row in rows] == [
        ("male", "base", None),
        ("male", "fine_tuned", 0.5),
        ("male", "fine_tuned", 1),
        ("male", "fft", 0.5),
        ("male", "fft", 1),
        ("", "pooled", None),
    ]
    for row in rows:
        assert row["cpu_seconds"] > 0
        assert row["delta_eo"] == row["advantage.raw.delta_eo_times_W"]
        assert row["advantage.label_balanced.point"] <= row["advantage.label_balanced.upper"]
    pooled = [row["accuracy"] for row in data if row["stage"] == "pooled"]
    assert rows[-1]["accuracy"] == pytest.approx(fmean(pooled))
    layout = table_main.layout(data)
    assert {len(row) for row in layout.rows} == {len(layout.header)}


def test_captions_name_the_settings_of_the_runs(results):
    data = sweep_rows(results)
    assert "with confidence 0.95 (fisher)" in table_main.caption(data)
    other = [row | {"tau": 0.25, "confidence": 0.9} for row in data]
    assert "with confidence 0.9 (fisher)" in table_main.caption(other)
    assert "below tau = 0.25;" in table_main.caption(other)
    assert "tau = 0.1, 0.25." in rehearsal.caption(data + other)


def test_a_second_run_changes_no_byte(results, tmp_path):
    first = make_figures(NAMES, results=results, out=tmp_path / "one").files
    second = make_figures(NAMES, results=results, out=tmp_path / "two").files
    assert len(first) == 4 * 3 + 3
    for left, right in zip(first, second, strict=True):
        assert left.read_bytes() == right.read_bytes()
    with next(path for path in first if path.name == "rehearsal.csv").open() as file:
        assert {row["data"] for row in csv.DictReader(file)} == {"german, sex"}


def test_a_real_log_s_advantage_is_below_the_worst_case(results, monkeypatch):
    monkeypatch.setattr(many_queries, "DATASET", "german")
    rows = [row for row in many_queries.load(results) if row["model"] != many_queries.THEORY]
    assert {row["model"] for row in rows} == set(many_queries.STAGES)
    for row in rows:
        assert row["measured_lower"] <= row["measured_upper"]
        assert row["measured_lower"] <= row["worst_case"] + 1e-9
    one = [row for row in rows if row["draws"] == 1]
    # For two groups and one draw the best test at the measured rates attains T1 in the label-balanced game.
    assert all(row["measured_upper"] == pytest.approx(row["one_draw"], abs=1e-9) for row in one)


def test_names():
    pair = {"attribute": "race", "group_pair": "a / b"}
    rows = [
        pair | {"dataset": "compas", "include_attribute": True},
        pair | {"dataset": "compas", "include_attribute": False},
        pair | {"dataset": "acs_income:rows=60000,seed=0,states=AL+CT", "include_attribute": True},
    ]
    assert list(pair_names(rows).values()) == [
        "compas, race",
        "compas, race (no input)",
        "acs_income, race (states=AL+CT)",
    ]
    assert short_name("bug:target=author,rows=9") == "bug (target=author)"
    assert seeds_of([{"seed": seed} for seed in (3, 1, 2, 7)]) == "seeds 1-3, 7"
    assert seeds_of([{"seed": 0}]) == "seed 0"
