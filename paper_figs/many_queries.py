"""
Many draws: the worst case given the bound of one draw (T5), and the advantage against a real model's rates.

Theory; with the runs of sweeps/main.toml also a real log.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.bounds import Channel, CompositionPair, Counts, advantage_after, worst_case_advantage
from fairbound.bounds.games import get_game
from fairbound.bounds.queries import worst_case_above
from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row

BOUNDS = (Fraction(1, 100), Fraction(1, 20), Fraction(1, 10), Fraction(1, 5))
DRAWS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10_000)
DATASET, ATTRIBUTE = "adult", "sex"
STAGES = {"base": "base model", "fft": "after FFt"}
THEORY = "any model"


def load(results: Path) -> list[Row]:
    """Worst case for some bounds of one draw, and, where the sweep has run, what a real log's worlds give away."""
    rows = [
        {
            "model": THEORY,
            "one_draw": float(bound),
            "draws": n,
            "worst_case": worst_case_above(bound, n),
            "measured_lower": None,
            "measured_upper": None,
            "about": "",
        }
        for bound in BOUNDS
        for n in DRAWS
    ]
    record = _record(results / "main")
    return rows + ([] if record is None else [row for stage in STAGES for row in _measured(record, stage)])


def _record(folder: Path) -> dict[str, Any] | None:
    """The run of the data set with the most rehearsal and the first seed."""
    from fairbound.empirical.runs import read_runs

    runs = [
        run
        for run in read_runs(folder)
        if (run["dataset"].partition(":")[0], run["attribute"]) == (DATASET, ATTRIBUTE)
        and set(STAGES) <= set(run["stages"])
    ]
    return min(runs, key=lambda run: (-run["rehearsal"], run["seed"], run["start"]), default=None)


def _measured(record: dict[str, Any], stage: str) -> list[Row]:
    """One model in the label-balanced labelled game."""
    classes = tuple(range(len(record["classes"])))
    groups = (record["start"], record["other"])
    table = record["stages"][stage]["table"]
    counts = Counts(groups, classes, classes, tuple(tuple(map(tuple, plane)) for plane in table))
    pair, channel = CompositionPair.pure(counts, *groups).label_balanced(), Channel.from_counts(counts)
    value = worst_case_advantage(pair, channel.disparities().per_label).value
    p, q = get_game("labelled").views(pair, channel)
    about = f"{record['dataset']}, {record['attribute']}, from {record['start']}, rehearsal {record['rehearsal']:g}, "
    about += f"seed {record['seed']}, {counts.rows} certification rows"
    rows = []
    for n in DRAWS:
        found = advantage_after(p, q, n)
        rows.append(
            {
                "model": stage,
                "one_draw": float(value),
                "draws": n,
                "worst_case": worst_case_above(value, n),
                "measured_lower": float(found.lower),
                "measured_upper": float(found.upper),
                "about": about,
            }
        )
    return rows


def table(data: list[Row]) -> list[Row]:
    """The plotted numbers."""
    return data


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    measured = [row for row in data if row["model"] != THEORY]
    figure = style.new_figure(7.2 if measured else 4.2, 4.2)
    with rc_context(style.SETTINGS):
        axes = figure.subplots(1, 2 if measured else 1, sharey=True, squeeze=False)[0]
        for bound, colour, marker in zip(BOUNDS, style.SERIES, style.MARKERS, strict=False):
            shown = [row for row in data if row["model"] == THEORY and row["one_draw"] == float(bound)]
            y = [row["worst_case"] for row in shown]
            axes[0].plot(DRAWS, y, color=colour, marker=marker, markersize=4, label=f"one draw: {float(bound):g}")
        axes[0].set_title("Worst case over all models (T5)", fontsize=10, loc="left")
        for (stage, name), colour, marker in zip(STAGES.items(), style.SERIES, style.MARKERS, strict=False):
            if shown := [row for row in measured if row["model"] == stage]:
                axes[1].plot(
                    DRAWS, [row["worst_case"] for row in shown], color=colour, label=f"{name}: worst case (T5)"
                )
                axes[1].plot(
                    DRAWS,
                    [row["measured_upper"] for row in shown],
                    color=colour,
                    linestyle="--",
                    marker=marker,
                    markersize=4,
                    label=f"{name}: best test at its rates",
                )
        if measured:
            axes[1].set_title(f"{DATASET}, {ATTRIBUTE}, label-balanced", fontsize=10, loc="left")
        for axis in axes:
            axis.set_xscale("log")
            axis.set_xlabel("independent draws")
            axis.set_ylim(0, 1.02)
            axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2 if axis is axes[0] else 1)
        axes[0].set_ylabel("advantage")
    return figure


def caption(data: list[Row]) -> str:
    """What the figure shows, with sizes."""
    text = (
        "Largest advantage (total variation, 0 to 1) after n independent draws, 1 - (1 - a)^n for a bound a of one "
        "draw, attained by some model for every n (T5)."
    )
    about = next((row["about"] for row in data if row["about"]), None)
    if about is None:
        return text
    return (
        f"{text} Right: {about}, label-balanced labelled game; solid: worst case from T1's exact value of one draw; "
        "dashed: advantage of the best test against this model's measured rates (a point estimate, without sampling "
        "error), from above; the enclosure is narrower than the line."
    )
