"""
Measured attacks beside the bound, by data set and defence.

Needs the table that `fairbound attack` writes: `COLUMNS`, one row per attack.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row, by, read_table, short_name

FILE = "attacks/attacks.parquet"
#: What makes two rows of different games; the first three are always shown, the others where they differ.
GAME = ("dataset", "attribute", "ratios", "group", "other", "rows", "queries", "include_attribute", "seed")
COLUMNS = (
    *GAME,
    "defence",
    "adaptive",
    "attack",
    "advantage",
    "low",
    "high",
    "bound",
    "verdict",
)


def load(results: Path) -> list[Row]:
    """
    Attacks by game, the undefended model first.

    Parameters
    ----------
    results : Path
        "advantage" is an attack's measured advantage, "low" and "high" its confidence limits, "bound" the certified
        bound of one labelled draw from what it attacks (empty where there is none), all at most 1.
    """
    rows = [{name: row[name] for name in COLUMNS} for row in read_table(results / FILE, COLUMNS)]
    # The undefended model first in its game.
    return sorted(
        rows, key=lambda row: [str(row[name]) for name in GAME] + [row["defence"] != "none", *map(str, row.values())]
    )


def table(data: list[Row]) -> list[Row]:
    """The plotted numbers."""
    return data


def games(data: list[Row]) -> dict[tuple[object, ...], str]:
    """The games, each with a name that tells it from the others."""
    found = list(by(data, lambda row: tuple(row[name] for name in GAME)))
    # Samples of two sizes of one data set are two data sets.
    datasets = {str(game[0]) for game in found}
    named = short_name if len(set(map(short_name, datasets))) == len(datasets) else str
    varying = [i for i in range(3, len(GAME)) if len({game[i] for game in found}) > 1]
    return {
        game: ", ".join(
            [named(str(game[0])), *map(str, game[1:3])] + [f"{GAME[i].replace('_', ' ')} {game[i]}" for i in varying]
        )
        for game in found
    }


def target(row: Row) -> str:
    """What is attacked, in words."""
    name = row["defence"].replace("_", " ")
    return f"{name}, adaptive" if row["adaptive"] else name


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    panels, names = by(data, lambda row: tuple(row[name] for name in GAME)), games(data)
    attacks = list(dict.fromkeys(row["attack"] for row in data))
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    most = max(len(by(rows, target)) for rows in panels.values())
    height = (0.12 + 0.07 * len(attacks)) * most + 0.8
    ends = [row[name] for row in data for name in ("low", "high", "bound") if row[name] is not None]
    figure = style.new_figure(3.7 * columns + (1.0 if columns == 1 else 0), 0.7 + height * lines)
    with rc_context(style.SETTINGS):
        axes = figure.subplots(lines, columns, squeeze=False, sharex=True)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, (game, rows) in zip(axes.flat, panels.items(), strict=False):
            targets = by(rows, target)
            for place, of_target in enumerate(targets.values()):
                bounds = {row["bound"] for row in of_target if row["bound"] is not None}
                for bound in bounds:
                    axis.plot([bound] * 2, [place - 0.42, place + 0.42], color=style.BLACK, linewidth=2)
                for row in of_target:
                    i = attacks.index(row["attack"])
                    axis.errorbar(
                        row["advantage"],
                        place + 0.6 * ((i + 0.5) / len(attacks) - 0.5),
                        xerr=[[max(0, row["advantage"] - row["low"])], [max(0, row["high"] - row["advantage"])]],
                        color=style.SERIES[i % len(style.SERIES)],
                        marker=style.MARKERS[i % len(style.MARKERS)],
                        markersize=4,
                        elinewidth=0.8,
                    )
            axis.set_yticks(range(len(targets)), list(targets))
            axis.set_ylim(len(targets) - 0.5, -0.5)
            axis.set_xlim(min(0, *ends) - 0.01, max(ends) + 0.01)
            axis.tick_params(labelbottom=True)
            axis.set_title(names[game], fontsize=9, loc="left")
            axis.set_xlabel("advantage")
            axis.grid(visible=False, axis="y")
        for i, attack in enumerate(attacks):
            look = {"color": style.SERIES[i % len(style.SERIES)], "marker": style.MARKERS[i % len(style.MARKERS)]}
            axes[0][0].plot([], [], linestyle="none", markersize=5, label=attack, **look)
        axes[0][0].plot([], [], color=style.BLACK, linewidth=2, label="certified bound")
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def caption(data: list[Row]) -> str:
    """What the figure shows, with sizes."""
    verdicts = ", ".join(f"{len(rows)} {verdict}" for verdict, rows in by(data, lambda row: row["verdict"]).items())
    return (
        f"{len(data)} measured attacks beside certified bounds, by data set, attribute, ratios of the two worlds and "
        "defence. Marks: an attack's advantage (2 accuracy - 1) with its confidence interval; upright line: certified "
        "bound of an adversary who makes one draw from the population that one model serves. It does not cover attacks "
        f"that compare models and query them many times (C8). Verdicts: {verdicts}."
    )
