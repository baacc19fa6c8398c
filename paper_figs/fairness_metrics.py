"""
Which fairness metrics bound the leak, and by how much (T4).

Needs the table that `fairbound metrics --json` prints.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row, by, read_json

FILE = "metrics.json"


def load(results: Path) -> list[Row]:
    """Exact worst case per metric and game."""
    names = ("known", "game", "label_balanced", "worst_case", "exact")
    return [{name: entry[name] for name in names} for entry in read_json(results / FILE)]


def table(data: list[Row]) -> list[Row]:
    """The plotted numbers."""
    return data


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    rows = by(data, lambda row: row["known"])
    columns = list(
        by(sorted(data, key=lambda row: row["label_balanced"]), lambda row: (row["label_balanced"], row["game"]))
    )
    values = [[_value(of_metric, *column) for column in columns] for of_metric in rows.values()]
    figure = style.new_figure(7.2, 0.9 + 0.36 * len(rows))
    with rc_context(style.SETTINGS | {"axes.grid": False}):
        axis = figure.subplots()
        image = axis.imshow(values, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
        for y, of_metric in enumerate(values):
            for x, value in enumerate(of_metric):
                axis.text(x, y, f"{value:.3f}", ha="center", va="center", color="white" if value > 0.75 else "black")
        image.set_rasterized(True)
        axis.set_yticks(range(len(rows)), list(rows))
        axis.set_xticks(range(len(columns)), [game + ("\nbalanced" if flat else "\nraw") for flat, game in columns])
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        # A gap between the games as they are and with labels balanced.
        axis.axvline(len(columns) / 2 - 0.5, color="white", linewidth=4)
    return figure


def _value(rows: list[Row], balanced: bool, game: str) -> float:
    (row,) = (row for row in rows if (row["label_balanced"], row["game"]) == (balanced, game))
    return float(row["worst_case"])


def caption(data: list[Row]) -> str:
    """What the figure shows."""
    return (
        "Largest advantage of one draw's adversary (0 to 1), exact, by what is known about a binary classifier and "
        "what the adversary sees: `fairbound metrics` states the instance (two pure worlds with base rates 1/10 and "
        "3/10, limits of 1/20). Darker: more leaks. Raw: the groups' own label marginals, whose distance alone is 0.2 "
        "in the labelled game; balanced: equal label marginals in the game (T4; each entry has a certificate)."
    )
