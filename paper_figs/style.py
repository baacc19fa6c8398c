"""One look for all figures: colour-blind safe, readable in grey, data beside the picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct under the common colour-vision deficiencies.
BLUE, ORANGE, GREEN, RED, BLACK, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#000000", "#7F7F7F"

SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    # Text stays text, and files depend on the data alone.
    "svg.fonttype": "none",
    "svg.hashsalt": "fairbound",
    "pdf.fonttype": 42,
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that needs no display; sizes in inches."""
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> list[Path]:
    """
    Write NAME.png and NAME.pdf with the plotted data as NAME.csv.

    Returns
    -------
    list of Path
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{extension}" for extension in ("png", "pdf", "csv")]
    with rc_context(SETTINGS):
        figure.savefig(paths[0], dpi=200, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"CreationDate": None, "Producer": None, "Creator": None})
    with paths[2].open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return paths


def svg(figure: Figure) -> str:
    """The figure as an SVG element, to be put into a page."""
    buffer = io.StringIO()
    with rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
