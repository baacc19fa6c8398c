"""
The published form against the exact worst case as label shift grows (C1).

Theory only: two pure groups with base rates 1/2 -+ shift/2 and one disparity for both labels.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.bounds import constant_classifier_counterexample, witness, worst_case_advantage
from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row

DISPARITIES = (Fraction(0), Fraction(1, 20), Fraction(1, 5))
STEPS = 20


def load(results: Path) -> list[Row]:
    """Published form, exact value and the witness's replayed advantage, per disparity and label shift."""
    rows = []
    for delta in DISPARITIES:
        for step in range(STEPS + 1):
            shift = Fraction(step, STEPS)
            pair = constant_classifier_counterexample((1 - shift) / 2, (1 + shift) / 2).pair
            rows.append(
                {
                    "disparity": float(delta),
                    "label_shift": float(shift),
                    "published_form": float(delta * pair.distance),
                    "exact": float(worst_case_advantage(pair, (delta, delta)).value),
                    "witness": float(witness(pair, (delta, delta), "correctness").replay()),
                }
            )
    return rows


def table(data: list[Row]) -> list[Row]:
    """The plotted numbers."""
    return data


def draw(data: list[Row]) -> Figure:
    """Draw the figure."""
    figure = style.new_figure(4.8, 4.2)
    with rc_context(style.SETTINGS):
        axis = figure.subplots()
        looks = zip(DISPARITIES, style.SERIES, style.MARKERS, strict=False)
        for delta, colour, marker in looks:
            shown = [row for row in data if row["disparity"] == float(delta)]
            x = [row["label_shift"] for row in shown]
            name = f"Delta_EO = {float(delta):g}"
            axis.plot(
                x,
                [row["exact"] for row in shown],
                color=colour,
                marker=marker,
                markevery=4,
                markersize=5,
                label=f"{name}: exact (T1)",
            )
            published = [row["published_form"] for row in shown]
            axis.plot(x, published, color=colour, linestyle=":", linewidth=2, label=f"{name}: Delta_EO * W")
        axis.set_xlabel("label shift (total variation of the label marginals)")
        axis.set_ylabel("advantage")
        axis.set_ylim(-0.02, 1.02)
        handles, labels = axis.get_legend_handles_labels()
        # Exact values in the first column, published forms in the second.
        figure.legend(handles[::2] + handles[1::2], labels[::2] + labels[1::2], loc="outside lower center", ncols=2)
    return figure


def caption(data: list[Row]) -> str:
    """What the figure shows."""
    return (
        "Published form and exact worst case for two pure groups with base rates 1/2 -+ shift/2 and one disparity for "
        "both labels (theory, no sampling). Advantage and label shift: total variation, 0 to 1. Solid: exact worst "
        "case (T1); marks: advantage that the witness channel attains in the correctness game, recomputed from the "
        "game's definition (T2); dotted: Delta_EO * W, which is no bound as soon as labels shift (C1)."
    )
