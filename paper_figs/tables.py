"""Tables as Markdown, LaTeX (booktabs, longtable) and CSV, from one list of rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from fairbound.paper_figs.style import write_csv

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
NOTHING = "\N{EN DASH}"
WIDE = 12
"""Columns above which a table is set on pages turned on their side."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    # A bracket behind a row's end would be read as an amount of space.
    "[": "{[}",
    "]": "{]}",
    PLUS_MINUS: r"$\pm$",
    NOTHING: "--",
}


@dataclass(frozen=True)
class Table:
    """
    What is printed.

    Attributes
    ----------
    header : tuple of str
    rows : tuple of tuple of str
        Cells of the same number as the header.
    words : int
        Leading columns that hold words; the others are set flush right.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int


def latex_escape(text: str) -> str:
    """
    Text that LaTeX (with the T1 font encoding) prints as it is.

    Parameters
    ----------
    text : str
        Control characters and line ends count as spaces.
    """
    return "".join(_LATEX.get(character, character) for character in re.sub(r"[\x00-\x1f\x7f\s]+", " ", text))


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown."""
    aligned = ["---"] * table.words + ["---:"] * (len(table.header) - table.words)
    lines = [table.header, tuple(aligned), *table.rows]
    return "".join(f"| {' | '.join(_cell(cell, line is lines[1]) for cell in line)} |\n" for line in lines)


def _cell(text: str, is_rule: bool) -> str:
    # A bar or a line end would end the cell; angle brackets would be read as HTML.
    if is_rule:
        return text
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def latex(table: Table, caption: str, label: str) -> str:
    r"""
    The table as a longtable, which breaks across pages and repeats its header; a wide one is turned on its side.

    Its preamble needs ``\usepackage[T1]{fontenc}``, ``booktabs``, ``longtable`` and, where it is wide, ``pdflscape``.
    """
    wide = len(table.header) > WIDE
    columns = "l" * table.words + "r" * (len(table.header) - table.words)
    header = f"{' & '.join(map(latex_escape, table.header))} \\\\"
    body = []
    for before, row in zip((None, *table.rows), table.rows, strict=False):
        if before is not None and before[0] != row[0]:
            body.append(r"\addlinespace")
        body.append(f"{' & '.join(map(latex_escape, row))} \\\\")
    lines = [
        rf"% \usepackage[T1]{{fontenc}} \usepackage{{booktabs,longtable{',pdflscape' if wide else ''}}}",
        *([r"\begin{landscape}"] if wide else []),
        rf"\begingroup\{'tiny' if wide else 'scriptsize'}\setlength{{\tabcolsep}}{{2.5pt}}",
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        rf"\caption{{{latex_escape(caption)}}}\label{{tab:{label}}}\\",
        r"\toprule",
        header,
        r"\midrule",
        r"\endfirsthead",
        r"\toprule",
        header,
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endlastfoot",
        *body,
        r"\end{longtable}",
        r"\endgroup",
        *([r"\end{landscape}"] if wide else []),
    ]
    return "\n".join(lines) + "\n"


def make(module: ModuleType, data: Any, folder: Path) -> list[Path]:
    """
    Write a module's table as NAME.md (with its caption), NAME.tex and, with all digits, NAME.csv.

    Parameters
    ----------
    module : module
        Of this room; its name is the table's. It has ``table(data)``, ``layout(data)`` and ``caption(data)``.
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
    page, tex, data_file = (folder / f"{name}.{extension}" for extension in ("md", "tex", "csv"))
    shown, caption = module.layout(data), module.caption(data)
    page.write_text(f"{caption}\n\n{markdown(shown)}", encoding="utf-8")
    tex.write_text(latex(shown, caption, name), encoding="utf-8")
    write_csv(data_file, module.table(data))
    return [page, tex, data_file]


def with_interval(mean: float, half_width: float, digits: int = 3) -> str:
    """A mean with half of its interval; without one where it is NaN."""
    text = f"{mean:.{digits}f}"
    return text if half_width != half_width else f"{text} {PLUS_MINUS} {half_width:.{digits}f}"


def columns_of(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> Table:
    """A table of sequences."""
    return Table(tuple(header), tuple(map(tuple, rows)), words)
