"""
Every trained model's accuracy gap against T1's exact value and against a confidence bound from other rows.

Needs finished sweeps (results.parquet of main, modalities, or both).
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row, by, distinct_models, pair_names, pair_of, seeds_of, sweep_rows

GAMES = {"raw": "Raw game", "label_balanced": "Label-balanced game"}
EXACT, FRESH = "same rows: gap and exact T1", "fresh rows: gap on one half, 95 % bound from the other"


def load(results: Path) -> list[Row]:
    """Models of the sweeps, each once."""
    return distinct_models(sweep_rows(results))


def table(data: list[Row]) -> list[Row]:
    """One row per model, game and comparison: the gap, its bound, and whether the gap is above."""
    names = pair_names(data)
    rows = []
    for row in data:
        about = {"data": names[pair_of(row)]} | {k: row[k] for k in ("start", "rehearsal", "stage", "seed")}
        for game in GAMES:
            gap = row[f"accuracy_gap.{game}"]
            rows.append(about | {"game": game, "comparison": EXACT} | _compared(gap, row[f"advantage.{game}.point"]))
            if row.get(f"fresh.{game}.gap_half_b") is not None:
                found = _compared(row[f"fresh.{game}.gap_half_b"], row[f"fresh.{game}.upper_half_a"])
                rows.append(about | {"game": game, "comparison": FRESH} | found)
    return rows


def _compared(gap: float, bound: float) -> Row:
    # Both are floats of exact numbers, of which equal ones may differ in the last digit.
    return {"gap": gap, "bound": bound, "above": gap > bound + 1e-12}


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    rows = table(data)
    figure = style.new_figure(7.2, 8.0)
    with rc_context(style.SETTINGS):
        panels = figure.subplots(2, 2)
        for axes, comparison in zip(panels, (EXACT, FRESH), strict=True):
            for axis, (game, title) in zip(axes, GAMES.items(), strict=True):
                shown = [row for row in rows if (row["game"], row["comparison"]) == (game, comparison)]
                for i, (name, found) in enumerate(by(shown, lambda row: row["data"]).items()):
                    axis.plot(
                        [row["bound"] for row in found],
                        [row["gap"] for row in found],
                        linestyle="none",
                        marker=style.MARKERS[i % len(style.MARKERS)],
                        color=style.SERIES[i % len(style.SERIES)],
                        markersize=4.5,
                        markeredgewidth=0.3,
                        markeredgecolor="white",
                        alpha=0.8,
                        label=name,
                        rasterized=True,
                    )
                # Constant predictors have bounds of 0.
                top = max(0.05, 1.04 * max(max(row["bound"], row["gap"]) for row in shown))
                axis.plot([0, top], [0, top], color=style.BLACK, linewidth=1)
                axis.fill_between([0, top], [0, top], top, color=style.GREY, alpha=0.15, linewidth=0)
                above = sum(row["above"] for row in shown)
                axis.text(0.05, 0.93, f"gap above bound: {above} of {len(shown):,}", transform=axis.transAxes)
                axis.set_xlim(0, top)
                axis.set_ylim(0, top)
                axis.set_title(title, fontsize=10, loc="left")
                axis.set_xlabel(
                    "exact worst case (T1)" if comparison == EXACT else "95 % bound, other half of the rows"
                )
            axes[0].set_ylabel("accuracy gap" + (", same rows" if comparison == EXACT else ", one half of the rows"))
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def caption(data: list[Row]) -> str:
    """What the figure shows, with sizes."""
    above = {c: sum(row["above"] for row in table(data) if row["comparison"] == c) for c in (EXACT, FRESH)}
    paper = sum(row["gap_exceeds_paper_form"] for row in data)
    return (
        f"{len(data):,} trained models ({len(pair_names(data))} data sets and pairs of groups; base, fine-tuned, FFt "
        f"and all controls; {seeds_of(data)}), one mark each. Accuracy gap and bounds: 0 to 1. Top: T1's exact value "
        f"at the measured rates, which no gap on the same rows can exceed ({above[EXACT]} do). Bottom: the confidence "
        f"bound (fisher) from one half of the certification rows against the gap on the other half "
        f"({above[FRESH]} exceed; the gap there scatters too, so this is no test of the level). For "
        f"comparison, the raw gap is above the published form Delta_EO * W in {paper:,} models (C1)."
    )
