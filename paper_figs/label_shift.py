"""
The published form against the exact worst case as label shift grows (C1).

Theory only: two pure groups with base rates 1/2 -+ shift/2 and one disparity for both labels.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.bounds import constant_classifier_counterexample, witness, worst_case_advantage
from fairbound.paper_figs import style

DISPARITIES = (Fraction(0), Fraction(1, 20), Fraction(1, 5))
STEPS = 20


def table() -> list[dict[str, Any]]:
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


def draw() -> Figure:
    """Draw the figure."""
    rows = table()
    figure = style.new_figure(4.6, 3.4)
    with rc_context(style.SETTINGS):
        axis = figure.subplots()
        colours = zip(DISPARITIES, (style.BLUE, style.ORANGE, style.GREEN), ("-", "--", "-."), strict=True)
        for delta, colour, line in colours:
            shown = [row for row in rows if row["disparity"] == float(delta)]
            x = [row["label_shift"] for row in shown]
            name = f"Delta_EO = {float(delta):g}"
            axis.plot(x, [row["exact"] for row in shown], color=colour, linestyle=line, label=f"{name}: exact (T1)")
            axis.plot(x[::4], [row["witness"] for row in shown][::4], "o", color=colour, markersize=4)
            axis.plot(
                x, [row["published_form"] for row in shown], color=colour, linestyle=":", label=f"{name}: Delta_EO * W"
            )
        axis.set_xlabel("label shift (total variation of the label marginals)")
        axis.set_ylabel("advantage")
        axis.set_ylim(-0.02, 1.02)
        axis.legend(fontsize=7.5, loc="upper left")
    return figure


def make(folder: Path) -> list[Path]:
    """Write label_shift.png, .pdf and .csv into a folder."""
    return style.save(draw(), folder, "label_shift", table())
