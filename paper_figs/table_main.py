"""
The main table: every data set, direction and model, with accuracy, gaps, disparities, bounds and costs.

Needs finished sweeps (results.parquet of main, modalities, or both).
"""

from __future__ import annotations

from pathlib import Path

from fairbound.empirical.means import mean_interval
from fairbound.empirical.plan import STAGES
from fairbound.paper_figs.stored import Row, by, pair_names, pair_of, seeds_of, setting_of, sweep_rows
from fairbound.paper_figs.tables import NOTHING, Table, columns_of, with_interval

COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "bal. acc.",
    "accuracy_gap.raw": "raw gap",
    "accuracy_gap.label_balanced": "bal. gap",
    "delta_eo": "Delta_EO",
    "advantage.raw.delta_eo_times_W": "Delta_EO * W",
    "advantage.raw.point": "raw T1",
    "advantage.raw.upper": "raw bound",
    "advantage.label_balanced.point": "bal. T1",
    "advantage.label_balanced.upper": "bal. bound",
}
SHARES = {"advantage.raw.below_tau": "raw < tau", "advantage.label_balanced.below_tau": "bal. < tau"}


def load(results: Path) -> list[Row]:
    """Models of the sweeps."""
    return sweep_rows(results)


def table(data: list[Row]) -> list[Row]:
    """Means over the seeds per data set, direction, model and rehearsal, with halves of Student's intervals."""
    names = pair_names(data)
    rows = []
    for pair, of_pair in by(data, pair_of).items():
        cells = by(of_pair, _cell)
        for (start, stage, rehearsal), found in sorted(cells.items(), key=lambda cell: _order(*cell[0])):
            row = {"data": names[pair], "start": start, "stage": stage, "rehearsal": rehearsal, "seeds": len(found)}
            for column in (*COLUMNS, "cpu_seconds"):
                mean, half = mean_interval([float(model[column]) for model in found])
                row |= {column: mean, f"{column}.half_width": half}
            row |= {column: sum(model[column] for model in found) / len(found) for column in SHARES}
            row["near_constant"] = sum(model["near_constant"] for model in found) / len(found)
            rows.append(row)
    return rows


def _cell(row: Row) -> tuple[str, str, float | None]:
    return row["start"], row["stage"], None if row["stage"] == "base" else row["rehearsal"]


def _order(start: str, stage: str, rehearsal: float | None) -> tuple[object, ...]:
    """Models of one direction first, then those of both groups."""
    return start == "", start, STAGES.index(stage), -1 if rehearsal is None else rehearsal


def layout(data: list[Row]) -> Table:
    """The table as text."""
    header = ["data", "G0", "model", "rehearsal", *COLUMNS.values(), *SHARES.values(), "CPU s", "seeds"]
    rows = []
    for row in table(data):
        rehearsal = NOTHING if row["rehearsal"] is None else f"{row['rehearsal']:g}"
        model = row["stage"].replace("_", " ") + (" (near constant)" if row["near_constant"] else "")
        cells = [with_interval(row[column], row[f"{column}.half_width"]) for column in COLUMNS]
        cells += [f"{row[column]:.2f}" for column in SHARES]
        cells += [with_interval(row["cpu_seconds"], row["cpu_seconds.half_width"], 1), f"{row['seeds']}"]
        rows.append([row["data"], row["start"] or "both", model, rehearsal, *cells])
    return columns_of(header, rows, words=4)


def caption(data: list[Row]) -> str:
    """What the table shows, with sizes."""
    return (
        f"Means over {seeds_of(data)} with Student's 95 % interval, certification rows; a seed splits the same rows "
        "anew, so intervals cover split and training, not the choice of the data set. G0: the group that the base "
        "model is trained on; rehearsal: share of the other group's rows. Gap: accuracy gap; T1: exact worst case at "
        f"the measured rates, labelled game; bound: T1 with confidence {setting_of(data, 'confidence')} "
        "(fisher); bal.: label-balanced game; "
        f"< tau: share of runs whose bound is below tau = {setting_of(data, 'tau')}; "
        "Delta_EO * W is a bound only without label shift (C1). "
        "CPU seconds are of the stage alone."
    )
