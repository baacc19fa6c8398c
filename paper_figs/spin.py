"""
SPIN: awareness before and after suppression, coupled weights and dependence by layer.

Needs the file that `fairbound spin` writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairbound.paper_figs import style
from fairbound.paper_figs.stored import Row, StoredResultsError, read_json

FILE = "spin/spin.json"
WHEN = ("before", "after")
MEASURES = {"fairness": "fairness awareness", "privacy": "privacy awareness"}


def load(results: Path) -> dict[str, Any]:
    """
    Settings and layers.

    Returns
    -------
    dict
        "settings": name, fairness and privacy (each rate, low, high), perplexity, selected (weights zeroed);
        "layers": layer, coupled and, where HSIC was measured, hsic_before, hsic_after, p_before, p_after.

    Raises
    ------
    StoredResultsError
        If the file lacks one.
    """
    content = read_json(results / FILE)
    for part in ("settings", "layers"):
        if not (isinstance(content, dict) and content.get(part)):
            raise StoredResultsError(f"{results / FILE} has no {part}.")
    return content


def table(data: dict[str, Any]) -> list[Row]:
    """One row per setting and measure, then one per layer."""
    names = ("kind", "name", "measure", "value", "low", "high", "p")
    rows: list[Row] = []
    for setting in data["settings"]:
        for measure in MEASURES:
            found = setting[measure]
            limits = {"value": found["rate"], "low": found["low"], "high": found["high"]}
            rows.append({"kind": "setting", "name": setting["name"], "measure": measure} | limits)
        about = {"kind": "setting", "name": setting["name"]}
        rows += [about | {"measure": measure, "value": setting[measure]} for measure in ("perplexity", "selected")]
    for layer in data["layers"]:
        rows.append({"kind": "layer", "name": layer["layer"], "measure": "coupled", "value": layer["coupled"]})
        for when in WHEN if measured_dependence(data) else ():
            found = {"measure": f"hsic_{when}", "value": layer[f"hsic_{when}"], "p": layer[f"p_{when}"]}
            rows.append({"kind": "layer", "name": layer["layer"]} | found)
    return [{name: row.get(name) for name in names} for row in rows]


def measured_dependence(data: dict[str, Any]) -> bool:
    """Whether HSIC was measured: a protocol may leave it out."""
    return all(f"hsic_{when}" in layer for layer in data["layers"] for when in WHEN)


def draw(data: dict[str, Any]) -> Figure:
    """Draw the figure."""
    settings, layers, both = data["settings"], data["layers"], measured_dependence(data)
    below_height = 3.2 if both else 1.6
    figure = style.new_figure(7.2, 1.4 + below_height + 0.26 * len(settings))
    with rc_context(style.SETTINGS):
        above, below = figure.subfigures(2, 1, height_ratios=[0.9 + 0.26 * len(settings), below_height])
        axes = above.subplots(1, 2, sharey=True)
        for i, (axis, (measure, title)) in enumerate(zip(axes, MEASURES.items(), strict=True)):
            rates = [setting[measure] for setting in settings]
            axis.errorbar(
                [found["rate"] for found in rates],
                range(len(rates)),
                xerr=[
                    [found["rate"] - found["low"] for found in rates],
                    [found["high"] - found["rate"] for found in rates],
                ],
                linestyle="none",
                marker=style.MARKERS[i],
                color=style.SERIES[i],
                capsize=3,
            )
            axis.axvline(rates[0]["rate"], color=style.GREY, linestyle=":")
            axis.set_xlabel(f"{title}\n(share of answers)")
        names = [f"{s['name']} (perplexity {s['perplexity']:.2f})" for s in settings]
        axes[0].set_yticks(range(len(names)), names, fontsize=8)
        axes[0].set_ylim(len(names) - 0.5, -0.5)
        x = [layer["layer"] for layer in layers]
        panels = below.subplots(2 if both else 1, 1, sharex=True, squeeze=False)[:, 0]
        coupled = panels[0]
        coupled.bar(x, [layer["coupled"] for layer in layers], color=style.BLUE)
        coupled.set_ylabel("coupled weights")
        panels[-1].set_xlabel("layer")
        if not both:
            return figure
        dependence = panels[1]
        for i, when in enumerate(WHEN):
            y = [layer[f"hsic_{when}"] for layer in layers]
            look = {"color": style.SERIES[i], "linestyle": style.LINES[i]}
            dependence.plot(x, y, marker=style.MARKERS[i], markersize=4, label=when, fillstyle="none", **look)
            significant = [(a, b) for a, b, layer in zip(x, y, layers, strict=True) if layer[f"p_{when}"] < 0.05]
            if significant:
                dependence.plot(*zip(*significant, strict=True), style.MARKERS[i], color=style.SERIES[i], markersize=4)
        dependence.set_ylabel("HSIC")
        dependence.set_ylim(top=1.25 * dependence.get_ylim()[1])
        dependence.legend(fontsize=8, loc="upper right", ncols=2)
    return figure


def caption(data: dict[str, Any]) -> str:
    """What the figure shows."""
    text = (
        "Top: share of answers judged aware, with confidence intervals, by setting; dotted: before any edit (the first "
        "setting); in brackets perplexity on held-out text. Below: weights coupled to fairness and privacy, by layer."
    )
    if measured_dependence(data):
        text += (
            " Bottom: dependence (HSIC) between the layer's state at the end of a prompt and its mean state over the "
            "response to it, before and after the edit; filled marks: permutation p-value below .05 for that layer, "
            "without a correction for the number of layers."
        )
    return text
