"""
Coverage of the confidence bounds, by setting and method, and their width against the number of rows.

Coverage needs the lines of `python -m benchmarks.coverage`; widths are certified here, of logs that show exactly their
expected counts.
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.bounds import Counts, certify_counts
from fairbound.bounds.certify import METHODS
from fairbound.bounds.confidence import lower_limits
from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row, StoredResultsError, by

FILE = "coverage.jsonl"
SIMULATION_ALPHA = Fraction(1, 1000)
# Rows in each of the four (group, label) cells; rates 3/10 and 2/5 for label 0, 7/10 for label 1 in both groups.
CELLS = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000)


def load(results: Path) -> list[Row]:
    """
    Coverage per setting and method, then widths per number of rows and method.

    Raises
    ------
    StoredResultsError
        As `covered` does.
    """
    return covered(results / FILE) + widths()


def covered(path: Path) -> list[Row]:
    """
    Coverage and mean excess per setting and method, over all chunks of runs.

    Raises
    ------
    StoredResultsError
        If the file holds no line of a simulation, or another line.
    """
    chunks = {}
    # An unfinished last line is left out.
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        try:
            entry = json.loads(line)
            chunks[entry["setting"], entry["method"], entry["source"], entry["chunk"]] = entry["outcome"]
        except (ValueError, KeyError, TypeError):
            raise StoredResultsError(f"{path} has a line that benchmarks.coverage did not write.") from None
    if not chunks:
        raise StoredResultsError(f"{path} has no lines.")
    # Of several versions of the code the one that was simulated last.
    latest = {(setting, method): source for setting, method, source, _ in chunks}
    rows = []
    for (setting, method), source in latest.items():
        outcomes = [o for (s, m, of, _), o in chunks.items() if (s, m, of) == (setting, method, source)]
        runs, missed = (sum(outcome[name] for outcome in outcomes) for name in ("runs", "missed"))
        low, miss = lower_limits([runs - missed, missed], [runs] * 2, SIMULATION_ALPHA / 2)
        excess = sum(outcome["excess"] for outcome in outcomes) / runs
        found = {"coverage": 1 - missed / runs, "low": float(low), "high": 1 - float(miss), "mean_excess": excess}
        rows.append(_row("coverage", setting, method, level=float(level(setting)), runs=runs, **found))
    return rows


def _row(panel: str, setting: str, method: str, **values: float) -> Row:
    names = ("level", "runs", "coverage", "low", "high", "mean_excess", "rows", "width")
    return {"panel": panel, "setting": setting, "method": method} | {name: values.get(name) for name in names}


def level(setting: str) -> Fraction:
    """Level at which a setting is certified: 0.95 where its name says no other."""
    found = re.search(r"level ([0-9.]+)", setting)
    return Fraction(found.group(1)) if found else Fraction("0.95")


def widths() -> list[Row]:
    """How far the bound is above the exact value, per game, number of rows and method."""
    rows = []
    for cell in CELLS:
        table = tuple(
            tuple((cell - shown, shown) for shown in (int(rate * cell), int(Fraction(7, 10) * cell)))
            for rate in (Fraction(3, 10), Fraction(2, 5))
        )
        counts = Counts(("A", "B"), (0, 1), (0, 1), table)
        for balanced in (False, True):
            setting = "label-balanced game" if balanced else "raw game"
            for method in METHODS:
                result = certify_counts(counts, label_balanced=balanced, method=method)
                width = float(result.upper - result.point)
                rows.append(_row("width", setting, method, level=0.95, rows=counts.rows, width=width))
    return rows


def table(data: list[Row]) -> list[Row]:
    """The plotted numbers."""
    return data


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    covered = [row for row in data if row["panel"] == "coverage"]
    settings = list(by(covered, lambda row: row["setting"]))
    figure = style.new_figure(7.4, 1.6 + 0.2 * len(settings))
    with rc_context(style.SETTINGS):
        axes = figure.subplot_mosaic(
            [["coverage", "raw game"], ["coverage", "label-balanced game"]], width_ratios=[5, 6]
        )
        axis = axes["coverage"]
        for place, setting in enumerate(settings):
            x = float(level(setting))
            axis.plot([x, x], [place - 0.45, place + 0.45], color=style.BLACK, linewidth=1.5)
        for i, method in enumerate(METHODS):
            shown = [row for row in covered if row["method"] == method]
            look = {"color": style.SERIES[i], "marker": style.MARKERS[i], "label": method}
            axis.errorbar(
                [row["coverage"] for row in shown],
                [settings.index(row["setting"]) + 0.2 * (i - 1.5) for row in shown],
                xerr=[
                    [row["coverage"] - row["low"] for row in shown],
                    [row["high"] - row["coverage"] for row in shown],
                ],
                linestyle="none",
                markersize=3,
                elinewidth=0.7,
                **look,
            )
            for name in ("raw game", "label-balanced game"):
                wide = [row for row in data if row["setting"] == name and row["method"] == method]
                x, y = [row["rows"] for row in wide], [row["width"] for row in wide]
                axes[name].plot(x, y, markersize=4, linestyle=style.LINES[i], **look)
        axis.set_yticks(range(len(settings)), settings, fontsize=7.5)
        axis.set_ylim(len(settings) - 0.5, -0.5)
        axis.set_xlabel("share of logs whose bound covers")
        for name in ("raw game", "label-balanced game"):
            axes[name].set_xscale("log")
            axes[name].set_yscale("log")
            axes[name].set_title(f"Width, {name}", fontsize=10, loc="left")
            axes[name].set_ylabel("bound - exact value")
        axes["label-balanced game"].set_xlabel("rows of the log")
        axes["raw game"].plot([], [], color=style.BLACK, linewidth=1.5, label="level")
        handles, labels = axes["raw game"].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8)
    return figure


def caption(data: list[Row]) -> str:
    """What the figure shows, with sizes."""
    covered = [row for row in data if row["panel"] == "coverage"]
    runs = sorted({row["runs"] for row in covered})
    shown = f"{runs[0]:,}" if len(runs) == 1 else f"{runs[0]:,} to {runs[-1]:,}"
    below = sum(row["high"] < row["level"] for row in covered)
    return (
        f"Left: share of simulated logs whose bound is at least the true value, {shown} logs per setting and method, "
        f"with Clopper-Pearson intervals of the simulation at {100 * (1 - float(SIMULATION_ALPHA)):g} %; upright line: "
        f"level, below which {below} of {len(covered)} certainly are. Right: how far the 95 % bound is above the exact "
        "value (advantage, 0 to 1), for two groups, two labels and cells of equal size, where a log shows exactly its "
        "expected counts at rates .3 and .4 (label 0) and .7 (label 1)."
    )
