"""Self-contained HTML pages that an auditor can file: no scripts, no network, escaped input, the same bytes again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fairbound import __version__
from fairbound.bounds.alphabet import printable
from fairbound.files import write_text
from fairbound.svg import Chart, draw


@dataclass(frozen=True)
class Statement:
    """
    A result in plain language.

    Attributes
    ----------
    text : str
    holds : bool or None
        Whether a limit is kept; None where none was set.
    """

    text: str
    holds: bool | None = None
    kind: ClassVar[str] = "statement"


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    lines: Sequence[str]
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Code:
    """Lines to be typed or compared."""

    lines: Sequence[str]
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Table:
    """
    A table.

    Attributes
    ----------
    header : sequence of str
    rows : sequence of sequence of str
    caption : str
    text_columns : int
        Columns from the left that hold text; the others hold numbers.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    text_columns: int = 1
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Figure:
    """A chart with its caption."""

    chart: Chart
    caption: str
    kind: ClassVar[str] = "figure"


Block = Statement | Paragraph | Bullets | Code | Table | Figure


@dataclass(frozen=True)
class Section:
    """A titled part of a page."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """
    A report.

    Attributes
    ----------
    title : str
    summary : sequence of Block
        On top, before any table: the result, and what it does not cover.
    sections : sequence of Section
    """

    title: str
    summary: Sequence[Block]
    sections: Sequence[Section]


def render(page: Page, *, date: str | None = None) -> str:
    """
    Lay a page out.

    Parameters
    ----------
    page : Page
        All of its text is escaped.
    date : str, optional
        Shown as given. Without it the result depends on the page and the version alone.

    Returns
    -------
    str
        HTML.
    """
    environment = Environment(
        loader=PackageLoader("fairbound"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    numbers = count(1)
    return environment.get_template("report.html").render(
        page=page,
        date=date,
        version=__version__,
        number=lambda: next(numbers),
        # The one place that trusts markup: a chart's text is escaped when it is drawn.
        picture=lambda chart, key: Markup(draw(chart, key)),
    )


def write_report(path: Path, page: Page, *, date: str | None = None) -> Path:
    """
    Write a page as one file.

    Parameters
    ----------
    path : Path
    page : Page
    date : str, optional
        As for `render`.

    Returns
    -------
    Path
        As given.

    Raises
    ------
    FairboundError
        If it cannot be written.
    """
    write_text(path, render(page, date=date))
    return path


def _shown(value: Any) -> Any:
    """Control characters and marks of direction as escapes; autoescaping does the rest."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
