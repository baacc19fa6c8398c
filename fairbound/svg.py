"""Charts of measured values, intervals and limits as inline SVG: text stays text, colours come from the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from fairbound.bounds.alphabet import printable

_WIDTH, _MARGIN, _LABEL, _TRACK, _LINE = 480, 14, 18, 20, 19
# Characters of about 13 px that fit beside a row's note.
_LONGEST = 64
# One symbol for each series, so that none is told by its colour alone.
_SHAPES = ("circle", "diamond", "square")


@dataclass(frozen=True)
class Mark:
    """
    One value of a row, with an interval if it has one.

    Attributes
    ----------
    value : float or None
        None where nothing was measured.
    low, high : float, optional
        Ends of the interval; one alone is drawn from the value.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """
    A labelled line of a chart.

    Attributes
    ----------
    label : str
    marks : sequence of Mark
        One for each series of the chart.
    note : str
        The numbers as text.
    """

    label: str
    marks: Sequence[Mark]
    note: str = ""


@dataclass(frozen=True)
class Reference:
    """
    A named vertical line across all rows.

    Attributes
    ----------
    name : str
    value : float
    kind : {"limit", "floor", "other"}
        Its look: what must not be exceeded, what noise alone gives, or another line.
    """

    name: str
    value: float
    kind: Literal["limit", "floor", "other"] = "limit"


@dataclass(frozen=True)
class Chart:
    """
    Rows of values on one axis, with limits across all rows.

    Attributes
    ----------
    title, description : str
        For readers who do not see the picture.
    axis : str
        Quantity and unit.
    series : sequence of str
        Names of the marks of a row; up to three.
    rows : sequence of Row
    references : sequence of Reference
    """

    title: str
    description: str
    axis: str
    series: Sequence[str]
    rows: Sequence[Row]
    references: Sequence[Reference] = ()


def draw(chart: Chart, key: str) -> str:
    """
    Draw a chart.

    Parameters
    ----------
    chart : Chart
    key : str
        Unique in the page: the picture's name refers to it.

    Returns
    -------
    str
        An SVG element 480 units wide. Its classes (``mark``, ``whisker``, ``reference``, ``grid``, ``s0`` to ``s2``
        for the series, the kinds of references) are coloured by the page. Text of the chart is escaped.
    """
    legend = len(chart.series) + len(chart.references)
    bottom = _MARGIN + len(chart.rows) * (_LABEL + _TRACK)
    height = bottom + 2 * _LINE + 6 + legend * _LINE
    svg = ElementTree.Element(
        "svg",
        {
            "viewBox": f"0 0 {_WIDTH} {height}",
            "role": "img",
            "aria-labelledby": f"{key}-title {key}-description",
        },
    )
    ElementTree.SubElement(svg, "title", id=f"{key}-title").text = printable(chart.title)
    ElementTree.SubElement(svg, "desc", id=f"{key}-description").text = printable(chart.description)
    ticks = _ticks(chart)
    begin, end = ticks[0], ticks[-1]

    def x(value: float) -> float:
        return _MARGIN + (value - begin) / (end - begin) * (_WIDTH - 2 * _MARGIN)

    for tick in ticks:
        _line(svg, "grid", x(tick), _MARGIN, x(tick), bottom)
        _text(svg, f"{tick:g}", x(tick), bottom + 16, "middle")
    _text(svg, chart.axis, _WIDTH / 2, bottom + 2 * _LINE, "middle")
    for reference in chart.references:
        _line(svg, f"reference {reference.kind}", x(reference.value), _MARGIN, x(reference.value), bottom)
    for number, row in enumerate(chart.rows):
        top = _MARGIN + number * (_LABEL + _TRACK)
        group = ElementTree.SubElement(svg, "g")
        ElementTree.SubElement(group, "title").text = f"{printable(row.label)}: {row.note}"
        _text(group, _shortened(row.label, _LONGEST - len(row.note)), _MARGIN, top + 14, "start", "label")
        _text(group, row.note, _WIDTH - _MARGIN, top + 14, "end")
        for series, mark in enumerate(row.marks):
            _mark(group, series, mark, x, top + _LABEL + 8)
    _legend(svg, chart, bottom + 3 * _LINE)
    return ElementTree.tostring(svg, encoding="unicode")


def _mark(parent: ElementTree.Element, series: int, mark: Mark, x: Callable[[float], float], y: float) -> None:
    ends = [end for end in (mark.low, mark.high) if end is not None]
    reached = [*ends, *([] if mark.value is None else [mark.value])]
    if ends:
        _line(parent, f"whisker s{series}", x(min(reached)), y, x(max(reached)), y)
    for end in ends:
        _line(parent, f"whisker s{series}", x(end), y - 6, x(end), y + 6)
    if mark.value is not None:
        _symbol(parent, series, x(mark.value), y)


def _legend(svg: ElementTree.Element, chart: Chart, y: float) -> None:
    for number, name in enumerate(chart.series):
        _symbol(svg, number, _MARGIN + 11, y - 4)
        _text(svg, name, _MARGIN + 32, y, "start")
        y += _LINE
    for reference in chart.references:
        _line(svg, f"reference {reference.kind}", _MARGIN, y - 4, _MARGIN + 22, y - 4)
        _text(svg, _shortened(reference.name, _LONGEST), _MARGIN + 32, y, "start")
        y += _LINE


def _symbol(parent: ElementTree.Element, series: int, x: float, y: float) -> None:
    shape, attributes = _SHAPES[series], {"class": f"mark s{series}"}
    if shape == "circle":
        attributes |= {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "4.5"}
        ElementTree.SubElement(parent, "circle", attributes)
        return
    size = 5.5 if shape == "diamond" else 4.2
    corners = [(0, -1), (1, 0), (0, 1), (-1, 0)] if shape == "diamond" else [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    points = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in corners)
    ElementTree.SubElement(parent, "polygon", attributes | {"points": points})


def _line(parent: ElementTree.Element, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    ElementTree.SubElement(parent, "line", {"class": kind} | ends)


def _text(parent: ElementTree.Element, text: str, x: float, y: float, anchor: str, kind: str = "text") -> None:
    attributes = {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    ElementTree.SubElement(parent, "text", attributes).text = printable(text)


def _shortened(text: str, length: int) -> str:
    text = printable(text)
    return text if len(text) <= length else f"{text[: length - 1]}\N{HORIZONTAL ELLIPSIS}"


def _ticks(chart: Chart) -> list[float]:
    """Round values that span everything in the chart, 0 included, at three to seven positions."""
    shown = [0.0, *(reference.value for reference in chart.references)]
    for row in chart.rows:
        for mark in row.marks:
            shown += [value for value in (mark.low, mark.value, mark.high) if value is not None]
    low, high = min(shown), max(shown)
    if high == low:
        high = low + 1
    span = high - low
    power = 10.0 ** math.floor(math.log10(span))
    step = next(s * power for s in (0.2, 0.5, 1.0, 2.0) if span / (s * power) <= 6)
    return [round(i * step, 10) for i in range(math.floor(low / step), math.ceil(high / step - 1e-9) + 1)]
