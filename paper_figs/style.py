"""One look for all figures: colour-blind safe, readable in grey, data and caption beside the picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct under the common colour-vision deficiencies. In grey, markers and lines tell.
BLUE, ORANGE, GREEN, RED, BLACK, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#000000", "#7F7F7F"
SKY, PURPLE = "#56B4E9", "#CC79A7"
SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
LINES = ("-", "--", "-.", ":")

SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    # Text stays text.
    "pdf.fonttype": 42,
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that needs no display; sizes in inches."""
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def make(module: ModuleType, data: Any, folder: Path) -> list[Path]:
    """
    Write a module's figure as NAME.png and NAME.pdf, its data as NAME.csv and its caption as NAME.md.

    Parameters
    ----------
    module : module
        Of this room; its name is the figure's. It has ``draw(data)``, ``table(data)`` and ``caption(data)``.
    data : object
        As the module's ``load`` returns it.
    folder : Path
        Created if need be.

    Returns
    -------
    list of Path
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = module.__name__.rpartition(".")[2]
    png, pdf, data_file, caption = (folder / f"{name}.{extension}" for extension in ("png", "pdf", "csv", "md"))
    figure = module.draw(data)
    with rc_context(SETTINGS):
        figure.savefig(png, dpi=200, metadata={"Software": None})
        figure.savefig(pdf, metadata={"CreationDate": None, "Producer": None, "Creator": None})
    write_csv(data_file, module.table(data))
    caption.write_text(module.caption(data) + "\n", encoding="utf-8")
    return [png, pdf, data_file, caption]


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that have the same columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
