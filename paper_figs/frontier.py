"""
Fairness, accuracy and privacy over the strength of the constraint.

Needs the runs of sweeps/frontier.toml: FFt under a fixed multiple of the gaps, one entry per strength, and with the
default constraint.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairbound.empirical.means import mean_interval
from fairbound.empirical.runs import read_runs
from fairbound.empirical.sweep import tidy
from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row, StoredResultsError, by, pair_names, pair_of, seeds_of

MEASURES = {
    "delta_eo": "Delta_EO (fairness)",
    "advantage.label_balanced.point": "T1, label-balanced (privacy)",
}
DEFAULT = "default"
STAGES = ("base", "fft", "pooled")
NAMES = {"base": "base", "fft": "FFt, fixed strength", "pooled": "pooled", DEFAULT: "FFt, default constraint"}


def load(results: Path) -> list[Row]:
    """
    Models with the strength of their constraint: a number, `DEFAULT`, or None where there is no constraint.

    Raises
    ------
    StoredResultsError
        If no run fixes a strength.
    """
    rows = []
    for record in read_runs(results / "frontier"):
        (candidate,) = record["config"]["candidates"]
        strength = candidate.get("penalty") if candidate.get("constraint") == "penalty" else DEFAULT
        models = tidy([record]).to_dict("records")
        rows += [model | {"strength": strength if model["stage"] == "fft" else None} for model in models]
    if not any(isinstance(row["strength"], int | float) for row in rows):
        raise StoredResultsError(f"no run in {results / 'frontier'} has a fixed strength of the constraint.")
    # A base model is the same whatever comes after it.
    return list({(pair_of(row), row["stage"], row["strength"], row["seed"]): row for row in rows}.values())


def table(data: list[Row]) -> list[Row]:
    """Means over the seeds per data set, stage and strength, with halves of Student's intervals."""
    names = pair_names(data)
    rows = []
    for pair, of_pair in by(data, pair_of).items():
        cells = by(of_pair, lambda row: (row["stage"], row["strength"]))
        for (stage, strength), found in sorted(cells.items(), key=lambda cell: (cell[0][0], _order(cell[0][1]))):
            row = {"data": names[pair], "stage": stage, "strength": strength, "seeds": len(found)}
            for measure in ("accuracy", *MEASURES):
                mean, half = mean_interval([model[measure] for model in found])
                row |= {measure: mean, f"{measure}.half_width": half}
            rows.append(row)
    return rows


def _order(strength: float | str | None) -> float:
    return float("inf") if strength == DEFAULT else -1.0 if strength is None else float(strength)


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    panels = by(table(data), lambda row: row["data"])
    figure = style.new_figure(7.4, 0.5 + 2.6 * len(panels))
    with rc_context(style.SETTINGS):
        axes = figure.subplots(len(panels), 3, squeeze=False)
        for (accuracy, gaps, frontier), (name, rows) in zip(axes, panels.items(), strict=True):
            rows = sorted(rows, key=lambda row: (STAGES.index(row["stage"]), _order(row["strength"])))
            _over_strengths(accuracy, rows, "accuracy", 0)
            for i, measure in enumerate(MEASURES):
                _over_strengths(gaps, rows, measure, i)
            for axis in (accuracy, gaps):
                axis.set_xticks(range(len(rows)), [_name(row) for row in rows], rotation=90)
            accuracy.set_title(name, fontsize=10, loc="left")
            accuracy.set_ylabel("accuracy")
            gaps.set_ylabel("gap, 0 to 1")
            gaps.set_ylim(bottom=0)
            for stage, marker, colour in zip(
                STAGES, ("s", "o", "^"), (style.GREY, style.BLUE, style.ORANGE), strict=True
            ):
                shown = [row for row in rows if row["stage"] == stage and row["strength"] != DEFAULT]
                x = [row["advantage.label_balanced.point"] for row in shown]
                frontier.plot(x, [row["accuracy"] for row in shown], color=colour, marker=marker, label=NAMES[stage])
            for row in (row for row in rows if row["strength"] == DEFAULT):
                x, y = row["advantage.label_balanced.point"], row["accuracy"]
                frontier.plot(x, y, "D", color=style.RED, label=NAMES[DEFAULT])
            fixed = [row for row in rows if isinstance(row["strength"], int | float)]
            for row, place in ((fixed[0], (6, -5)), (fixed[-1], (6, 2))):
                at = (row["advantage.label_balanced.point"], row["accuracy"])
                frontier.annotate(_name(row), at, xytext=place, textcoords="offset points", va="center", fontsize=8)
            frontier.set_xlim(left=0)
            frontier.set_xlabel("T1, label-balanced")
            frontier.set_ylabel("accuracy")
        handles, labels = axes[0][1].get_legend_handles_labels()
        more = axes[0][2].get_legend_handles_labels()
        figure.legend(handles + more[0], labels + more[1], loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _over_strengths(axis: Axes, rows: list[Row], measure: str, series: int) -> None:
    """Means with intervals side by side; a line joins the fixed strengths."""
    halves = [row[f"{measure}.half_width"] for row in rows]
    y = [row[measure] for row in rows]
    look = {"color": style.SERIES[series], "marker": style.MARKERS[series], "markersize": 4}
    errors = [0 if half != half else half for half in halves]
    axis.errorbar(
        range(len(rows)), y, yerr=errors, linestyle="none", elinewidth=0.8, label=MEASURES.get(measure), **look
    )
    fixed = [i for i, row in enumerate(rows) if isinstance(row["strength"], int | float)]
    axis.plot(fixed, [y[i] for i in fixed], color=look["color"], linewidth=1)


def _name(row: Row) -> str:
    return (
        row["stage"] if row["strength"] is None else DEFAULT if row["strength"] == DEFAULT else f"{row['strength']:g}"
    )


def caption(data: list[Row]) -> str:
    """What the figure shows, with sizes."""
    return (
        "Fair fine-tuning under a fixed multiple of the soft gaps (the numbers), and under the default constraint, "
        f"whose multipliers adapt; certification rows, rehearsal 1, {seeds_of(data)}. Left and middle: means with "
        "Student's 95 % interval over the seeds: accuracy, Delta_EO (fairness), T1's exact value in the label-balanced "
        "labelled game (privacy). Right: means of accuracy against T1, the weakest and the strongest multiple named."
    )
