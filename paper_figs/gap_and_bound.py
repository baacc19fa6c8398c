"""
Gap and bound before and after fair fine-tuning, in the raw and the label-balanced game, with tau.

Needs the runs of `fairbound demo`, or of one configuration of `fairbound fft`; with several seeds it shows their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.paper_figs import style
from fairbound.paper_figs.stored import StoredResultsError

STAGE_NAMES = {"base": "base", "fine_tuned": "fine-tuned,\nunconstrained", "fft": "FFt", "pooled": "pooled"}
GAMES = {"raw": "Raw game", "label_balanced": "Label-balanced game"}


def load(results: Path) -> list[dict[str, Any]]:
    """
    Records of the runs in RESULTS/demo, or in a folder that `fairbound fft` wrote.

    Raises
    ------
    StoredResultsError
        If there are none, or of several configurations.
    """
    from fairbound.empirical.runs import RUNS_FILE, read_runs

    folder = results if (results / RUNS_FILE).exists() else results / "demo"
    records = read_runs(folder)
    if not records:
        raise StoredResultsError(f"there are no runs in {folder}.")
    if len({record["config_hash"] for record in records}) > 1:
        raise StoredResultsError(f"{folder} holds runs of several configurations; give a folder of one.")
    return records


def table(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    The plotted numbers: one row per game and stage that all records have, averaged over records.

    Parameters
    ----------
    records : sequence of dict
        Records of one configuration of the protocol.
    """
    rows = []
    for game in GAMES:
        for stage in STAGE_NAMES:
            if any(stage not in record["stages"] for record in records):
                continue
            measured = [record["stages"][stage] for record in records]
            rows.append(
                {
                    "game": game,
                    "stage": stage,
                    "seeds": len(records),
                    "measured": fmean(m["advantage"][game]["measured"] for m in measured),
                    "accuracy_gap": fmean(m["accuracy_gap"][game] for m in measured),
                    "exact": fmean(m["advantage"][game]["point"] for m in measured),
                    "upper": fmean(m["advantage"][game]["upper"] for m in measured),
                    "label_shift": fmean(m["advantage"][game]["label_shift"] for m in measured),
                    "delta_eo_times_W": fmean(m["advantage"][game]["delta_eo_times_W"] for m in measured),
                    "upper_without_disparity": fmean(m["noise_floor"][f"{game}_upper"] for m in measured),
                }
            )
    return rows


def draw(records: Sequence[dict[str, Any]]) -> Figure:
    """
    Draw the figure.

    Parameters
    ----------
    records : sequence of dict
        Records of one configuration of the protocol.
    """
    rows = table(records)
    settings = records[0]["config"]
    tau, confidence = settings["tau"], settings["confidence"]
    figure = style.new_figure(7.2, 3.4)
    with rc_context(style.SETTINGS):
        axes = figure.subplots(1, 2, sharey=True)
        for axis, (game, title) in zip(axes, GAMES.items(), strict=True):
            shown = [row for row in rows if row["game"] == game]
            x = range(len(shown))
            exact = [row["exact"] for row in shown]
            axis.bar(x, exact, width=0.55, color=style.BLUE, alpha=0.85, label="exact worst case (T1)")
            axis.errorbar(
                x,
                exact,
                yerr=[[0] * len(shown), [row["upper"] - row["exact"] for row in shown]],
                fmt="none",
                ecolor=style.BLACK,
                capsize=5,
                label=f"{100 * confidence:g} % bound",
            )
            marks = {"clip_on": False, "linestyle": "none", "markeredgecolor": "black", "zorder": 5}
            axis.plot(x, [row["measured"] for row in shown], "D", color="white", label="best test on this log", **marks)
            axis.plot(x, [row["accuracy_gap"] for row in shown], "o", color=style.ORANGE, label="accuracy gap", **marks)
            floor = fmean(row["upper_without_disparity"] for row in shown)
            axis.axhline(floor, color=style.GREY, linestyle=":", label="bound without any disparity, at this size")
            axis.axhline(tau, color=style.RED, linestyle="--", label=f"tau = {tau:g}")
            axis.set_xticks(list(x), [STAGE_NAMES[row["stage"]] for row in shown])
            axis.tick_params(axis="x", length=0, labelsize=8)
            axis.set_title(title, fontsize=10, loc="left")
            axis.grid(visible=False, axis="x")
            axis.set_ylim(bottom=0)
        axes[0].set_ylabel("advantage of one draw's adversary")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def caption(records: Sequence[dict[str, Any]]) -> str:
    """What the figure shows, with units and sizes."""
    record = records[0]
    rows = sum(sum(cells.values()) for cells in record["rows"]["certification"].values())
    seeds = ", ".join(str(r["seed"]) for r in records)
    return (
        f"{record['dataset']}, {record['attribute']}: {record['start']} (base) and {record['other']}, rehearsal "
        f"{record['rehearsal']:g}, {rows} certification rows, seed {seeds}. Advantage: total variation, 0 to 1. Bars: "
        "exact worst case over all models with the measured disparities (T1); whiskers: its upper confidence bound; "
        "diamonds: the best test against this model on this log; dots: the accuracy gap, which may hide disparity by "
        "cancellation."
    )
