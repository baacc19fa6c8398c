"""
Gap and exact worst case before and after fair fine-tuning, by rehearsal and data set, with tau.

Needs finished sweeps (results.parquet of main, modalities, or both).
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairbound.empirical.means import mean_interval
from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row, by, pair_names, pair_of, seeds_of, setting_of, sweep_rows

MEASURES = {
    "advantage.label_balanced.point": ("T1, label-balanced", "-", "full"),
    "accuracy_gap.raw": ("accuracy gap, raw", ":", "none"),
}
STAGES = ("base", "fine_tuned", "fft")


def load(results: Path) -> list[Row]:
    """Models of the sweeps that depend on the direction and the rehearsal."""
    return [row for row in sweep_rows(results) if row["stage"] in STAGES]


def table(data: list[Row]) -> list[Row]:
    """Means over the seeds per data set, direction, stage, rehearsal and measure, with half of Student's interval."""
    names = pair_names(data)
    rows = []
    for pair, of_pair in by(data, pair_of).items():
        for start, of_start in by(of_pair, lambda row: row["start"]).items():
            cells = by(of_start, lambda row: (row["stage"], None if row["stage"] == "base" else row["rehearsal"]))
            for (stage, rehearsal), found in sorted(cells.items(), key=lambda c: (STAGES.index(c[0][0]), c[0][1] or 0)):
                for measure in MEASURES:
                    mean, half = mean_interval([row[measure] for row in found])
                    rows.append(
                        {
                            "data": names[pair],
                            "start": start,
                            "stage": stage,
                            "rehearsal": rehearsal,
                            "measure": measure,
                            "mean": mean,
                            "half_width": half,
                            "seeds": len(found),
                        }
                    )
    return rows


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    panels = by([row for row in table(data) if row["stage"] != "fine_tuned"], lambda row: row["data"])
    rehearsals = sorted({row["rehearsal"] for rows in panels.values() for row in rows if row["rehearsal"] is not None})
    taus = sorted({row["tau"] for row in data})
    columns = 3
    lines = -(-len(panels) // columns)
    figure = style.new_figure(7.4, 0.9 + 2.1 * lines)
    with rc_context(style.SETTINGS):
        axes = figure.subplots(lines, columns, squeeze=False)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, (name, rows) in zip(axes.flat, panels.items(), strict=False):
            starts = by(rows, lambda row: row["start"])
            for i, (start, of_start) in enumerate(starts.items()):
                for measure, (_, line, fill) in MEASURES.items():
                    shown = [row for row in of_start if row["measure"] == measure]
                    axis.errorbar(
                        [_place(row, rehearsals) + 0.12 * (i - 0.5) for row in shown],
                        [row["mean"] for row in shown],
                        yerr=[0 if row["half_width"] != row["half_width"] else row["half_width"] for row in shown],
                        color=style.SERIES[i],
                        marker=style.MARKERS[i],
                        markersize=4.5,
                        fillstyle=fill,
                        linestyle=line,
                        linewidth=1.2,
                        elinewidth=0.8,
                        capsize=2,
                        label=f"from {start}" if line == "-" else None,
                    )
            for tau in taus:
                axis.axhline(tau, color=style.BLACK, linestyle="--", linewidth=0.9)
            axis.set_xticks(range(len(rehearsals) + 1), ["base", *(f"{value:g}" for value in rehearsals)])
            axis.set_title(_broken(name), fontsize=8.5, loc="left")
            axis.set_ylim(0, max(1.25 * axis.get_ylim()[1], 1.5 * taus[-1]))
            axis.legend(fontsize=7, loc="upper right", handlelength=1.4, borderaxespad=0.1, labelspacing=0.2)
        for axis in axes[:, 0]:
            axis.set_ylabel("gap, 0 to 1")
        figure.supxlabel("base model, then after FFt by rehearsal", fontsize=9)
        looks = [
            Line2D([], [], color=style.GREY, marker="o", linestyle=line, fillstyle=fill, label=label)
            for label, line, fill in MEASURES.values()
        ]
        looks.append(
            Line2D([], [], color=style.BLACK, linestyle="--", linewidth=0.9, label=f"tau = {setting_of(data, 'tau')}")
        )
        figure.legend(handles=looks, loc="outside upper center", ncols=3)
    return figure


def _place(row: Row, rehearsals: list[float]) -> int:
    return 0 if row["rehearsal"] is None else 1 + rehearsals.index(row["rehearsal"])


def _broken(name: str) -> str:
    """A name with options on a line of their own."""
    return name.replace(" (", "\n(", 1)


def caption(data: list[Row]) -> str:
    """What the figure shows, with sizes."""
    return (
        "Before and after fair fine-tuning, for both directions (the group that the base model is trained on), by "
        f"rehearsal as a share of the other group's rows; certification rows, {seeds_of(data)}. Means with Student's "
        "95 % interval over the seeds; a seed splits the same rows anew. Solid, filled: T1's exact value in the "
        "label-balanced labelled game; dotted, open: raw accuracy gap, which follows base rates. Dashed: tau = "
        f"{setting_of(data, 'tau')}. Vertical scales differ."
    )
