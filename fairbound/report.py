"""A self-contained HTML page that an auditor can file: no scripts, no network, escaped input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fairbound import __version__
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.certify import Certification
from fairbound.bounds.noise import NoiseFloor
from fairbound.describe import (
    above,
    facts_at_measured_rates,
    many_draws,
    not_covered,
    numbers,
    percent,
    shown_point,
    verdict,
)


@dataclass(frozen=True)
class Section:
    """
    One certified log in a report.

    Attributes
    ----------
    title : str
    result : Certification
    floor : NoiseFloor
    certificate : Certificate
    certificate_path : str
        As the reader should type it.
    """

    title: str
    result: Certification
    floor: NoiseFloor
    certificate: Certificate
    certificate_path: str


@dataclass(frozen=True)
class Table:
    """
    A table of a report.

    Attributes
    ----------
    header : sequence of str
    rows : sequence of sequence of str
    caption : str
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str


@dataclass(frozen=True)
class Picture:
    """
    A figure of a report.

    Attributes
    ----------
    svg : str
        Made by this package, never taken from input.
    caption : str
    """

    svg: str
    caption: str


def write_report(
    path: Path,
    *,
    title: str,
    summary: Sequence[str],
    sections: Sequence[Section],
    tables: Sequence[Table] = (),
    pictures: Sequence[Picture] = (),
) -> Path:
    """
    Write the page.

    Parameters
    ----------
    path : Path
    title : str
    summary : sequence of str
        Paragraphs at the top.
    sections : sequence of Section
    tables : sequence of Table
    pictures : sequence of Picture

    Returns
    -------
    Path
    """
    environment = Environment(
        loader=PackageLoader("fairbound"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(
        title=title,
        summary=summary,
        version=__version__,
        tables=tables,
        pictures=[{"svg": Markup(picture.svg), "caption": picture.caption} for picture in pictures],
        sections=[_section(section) for section in sections],
    )
    path.write_text(page, encoding="utf-8")
    return path


def _section(section: Section) -> dict[str, Any]:
    result = section.result
    return {
        "title": section.title,
        "verdict": verdict(result),
        "confidence": percent(result.confidence),
        "rows": [(name, shown_point(point), above(upper)) for name, point, upper in numbers(result)],
        "facts": [
            f"{result.counts.rows} rows; value by {result.theorem}, {result.limits} (T9). {result.uniformity}",
            *facts_at_measured_rates(result, section.floor),
            many_draws(result),
        ],
        "assumptions": list(result.assumptions),
        "not_covered": not_covered(result),
        "digest": section.certificate.digest,
        "path": section.certificate_path,
    }
