"""What people see in the terminal."""

from __future__ import annotations

import shlex
import textwrap
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairbound.bounds.alphabet import printable
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.certify import Certification
from fairbound.bounds.noise import NoiseFloor
from fairbound.bounds.rational import decimal_above
from fairbound.bounds.scores import ScoreCertification
from fairbound.describe import (
    above,
    advantages,
    facts_at_measured_rates,
    label_shift,
    label_shift_floor,
    many_draws,
    not_covered,
    numbers,
    percent,
    priced_at,
    shown_point,
    verdict,
)
from fairbound.queries import ASSUMPTION, POINT_ESTIMATE, ManyDraws

_FIXED_SPACE = "\N{NO-BREAK SPACE}"


def wrapped(text: str, width: int) -> str:
    """Lines of at most some width, none of which begins with a percent sign."""
    kept = text.replace(" %", f"{_FIXED_SPACE}%")
    lines = textwrap.wrap(kept, max(width, 1), break_on_hyphens=False)
    return "\n".join(lines).replace(_FIXED_SPACE, " ")


def headline(sentence: str, console: Console | None) -> Console:
    """Print a result in one sentence; returns the console, a new one if none is given."""
    console = console or Console(highlight=False, soft_wrap=False)
    console.print(Text(wrapped(sentence, console.width), style="bold"))
    console.print()
    return console


def bullets(console: Console, title: str, lines: list[str]) -> None:
    """Print a titled list, after an empty line."""
    console.print()
    console.print(Text(title, style="bold"))
    grid = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        grid.add_row(" -", Text(wrapped(line, console.width - len(" - "))))
    console.print(grid)


class NumbersTable(Table):
    """
    Quantities as measured and with confidence.

    Parameters
    ----------
    quantity : str
        Heading of their names.
    confidence : Fraction
    """

    def __init__(self, quantity: str, confidence: Fraction) -> None:
        super().__init__(box=None, pad_edge=False, header_style="bold")
        self.add_column(quantity)
        self.add_column("measured", justify="right")
        self.add_column(f"at most ({percent(confidence)})", justify="right")

    def add(self, name: str, point: Fraction | None, upper: Fraction, style: str = "") -> None:
        """Add a quantity: its measured value to the nearest (a dash if there is none), its upper bound rounded up."""
        self.add_row(Text(printable(name)), shown_point(point), above(upper), style=style)

    def add_advantages(self, result: ScoreCertification) -> None:
        """Add the advantage for every pair of worlds, and the largest of several."""
        self.add_all(advantages(result), bold=len(result.pairs) > 1)

    def add_all(self, rows: list[tuple[str, Fraction | None, Fraction]], *, bold: bool) -> None:
        """Add quantities, the last one in bold if so asked."""
        for number, row in enumerate(rows, 1):
            self.add(*row, "bold" if bold and number == len(rows) else "")


def numbers_table(result: Certification) -> NumbersTable:
    """Disparities and advantage, as measured and with confidence."""
    table = NumbersTable("", result.confidence)
    table.add_all(numbers(result), bold=len(result.pairs) > 1)
    return table


def print_gate(
    console: Console, upper: Fraction, limit: Fraction | None, certificate: tuple[Path, Certificate] | None = None
) -> None:
    """Say after an empty line where the certificate is, and whether a bound is within a limit."""
    if certificate is not None or limit is not None:
        console.print()
    if certificate is not None:
        path, content = certificate
        console.print(Text(f"Certificate: {path} ({content.digest[:23]}...); check it with:"), soft_wrap=True)
        console.print(Text(f"fairbound check {shlex.quote(str(path))}"), soft_wrap=True)
    if limit is not None and upper <= limit:
        bound = decimal_above(upper, 12)
        console.print(Text(f"HOLDS: the bound {bound} is at most {float(limit):g}.", style="green"))
    elif limit is not None:
        console.print(Text(f"FAILS: the bound {above(upper)} is above {float(limit):g}.", style="bold red"))


def print_certification(
    result: Certification,
    *,
    floor: NoiseFloor | None = None,
    hard: bool = True,
    limit: Fraction | None = None,
    certificate: tuple[Path, Certificate] | None = None,
    console: Console | None = None,
) -> None:
    """
    Print a result for a reader: the bound in one sentence, the numbers, and what is not covered.

    Parameters
    ----------
    result : Certification
    floor : NoiseFloor, optional
        What a perfectly fair model would measure at this size.
    hard : bool
        Whether outputs are hard predictions, which can be right or wrong.
    limit : Fraction, optional
        The largest acceptable advantage.
    certificate : (Path, Certificate), optional
        Where the certificate was written.
    console : rich.console.Console, optional
    """
    console = headline(verdict(result), console)
    console.print(numbers_table(result))
    facts = [
        f"{result.counts.rows} rows, {len(result.counts.groups)} groups, {len(result.counts.labels)} labels; value by "
        f"{result.theorem}, {result.limits} (T9). {result.uniformity}",
        label_shift(result),
        *([] if (priced := priced_at(result)) is None else [priced]),
        *facts_at_measured_rates(result, floor),
    ]
    measured: dict[str, Any] = result.measured
    if measured["advantage"] is not None:
        balanced = measured["accuracy_label_balanced"]
        accuracy = f"an accuracy gap of {float(measured['accuracy_raw']):.4f}" + (
            "" if balanced is None else f" ({float(balanced):.4f} label-balanced)"
        )
        facts.append(
            f"The log itself shows for {printable(result.worst.name)} {f'{accuracy} and ' if hard else ''}"
            f"a best test's advantage of {float(measured['advantage']):.4f} in this game."
        )
    bullets(console, "What went in", facts)
    bullets(console, "What the bound means for many draws", [many_draws(result)])
    bullets(console, "Assumptions", list(result.assumptions))
    bullets(console, "Not covered", not_covered(result))
    print_gate(console, result.upper, limit, certificate)
    if limit is not None and result.upper > limit and not result.label_balanced:
        shift = label_shift_floor(result.worst, limit)
        if shift is not None:
            console.print(Text(shift))


def print_many_draws(table: ManyDraws, console: Console | None = None) -> None:
    """
    Print what a bound on one draw means for many.

    Parameters
    ----------
    table : ManyDraws
    console : rich.console.Console, optional
    """
    one = table.one
    level = "" if one.confidence is None else f", confidence {percent(one.confidence)}"
    console = headline(f"Advantage of one draw: at most {above(one.advantage)} ({one.source}{level}).", console)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("draws", "at most"):
        grid.add_column(name, justify="right")
    if one.measured is not None:
        grid.add_column(Text(f"measured channel, {printable(one.measured[0])}"), justify="right")
    for row in table.cells():
        grid.add_row(*(row if one.measured is not None else row[:2]))
    console.print(grid)
    needed = [
        f"The advantage {float(target):g} "
        + (
            "is out of reach for any number of draws."
            if n is None
            else f"takes at least {n} draw{'' if n == 1 else 's'}."
        )
        for target, n in table.needed
    ]
    bullets(console, "Draws needed", needed)
    bullets(console, "What this rests on", [ASSUMPTION, *([POINT_ESTIMATE] if one.measured is not None else [])])
