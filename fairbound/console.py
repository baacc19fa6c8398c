"""What people see in the terminal."""

from __future__ import annotations

import shlex
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
from fairbound.describe import (
    above,
    label_shift_floor,
    many_draws,
    noise_floor_sentence,
    not_covered,
    percent,
    published_form,
    verdict,
)
from fairbound.queries import ASSUMPTION, POINT_ESTIMATE, ManyDraws


def bullets(console: Console, title: str, lines: list[str]) -> None:
    """Print a titled list."""
    console.print(Text(title, style="bold"))
    grid = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        grid.add_row(" -", Text(line))
    console.print(grid)
    console.print()


def numbers_table(result: Certification) -> Table:
    """Disparities and advantage, as measured and with confidence."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column(f"at most ({percent(result.confidence)})", justify="right")
    per_label = zip(result.counts.labels, result.disparities.per_label, result.upper_disparities.per_label, strict=True)

    def row(name: str, point: Fraction, upper: Fraction, style: str = "") -> None:
        table.add_row(Text(printable(name)), f"{float(point):.4f}", above(upper), style=style)

    for label, point, upper in per_label:
        row(f"disparity of label {label}", point, upper)
    row(
        "equalized odds difference",
        result.disparities.equalized_odds,
        result.upper_disparities.equalized_odds,
    )
    for pair in result.pairs:
        row(f"advantage, {pair.name}", pair.point, pair.upper)
    if len(result.pairs) > 1:
        row("advantage, worst pair", result.point, result.upper, "bold")
    return table


def print_certification(
    result: Certification,
    *,
    floor: NoiseFloor | None = None,
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
    limit : Fraction, optional
        The largest acceptable advantage.
    certificate : (Path, Certificate), optional
        Where the certificate was written.
    console : rich.console.Console, optional
    """
    console = console or Console(highlight=False, soft_wrap=False)
    console.print(Text(verdict(result), style="bold"))
    console.print()
    console.print(numbers_table(result))
    console.print()
    pair = result.worst.pair
    facts = [
        f"{result.counts.rows} rows, {len(result.counts.groups)} groups, {len(result.counts.labels)} labels; value by "
        f"{result.theorem}, {result.limits} (T9). {result.uniformity}"
    ]
    facts.append(
        f"Of the distance {float(pair.distance):.4f} between the worlds ({printable(result.worst.name)}), label shift "
        f"makes up {float(pair.label_shift):.4f}."
    )
    facts.append(published_form(result))
    measured: dict[str, Any] = result.measured
    if measured["advantage"] is not None:
        balanced = measured["accuracy_label_balanced"]
        facts.append(
            f"The log itself shows for {printable(result.worst.name)} an accuracy gap of "
            f"{float(measured['accuracy_raw']):.4f}"
            + ("" if balanced is None else f" ({float(balanced):.4f} label-balanced)")
            + f" and a best test's advantage of {float(measured['advantage']):.4f} in this game."
        )
    if floor is not None:
        facts.append(noise_floor_sentence(floor))
    bullets(console, "What went in", facts)
    bullets(console, "What the bound means for many draws", [many_draws(result)])
    bullets(console, "Assumptions", list(result.assumptions))
    bullets(console, "Not covered", not_covered(result))
    if certificate is not None:
        path, content = certificate
        console.print(Text(f"Certificate: {path} ({content.digest[:23]}...); check it with:"), soft_wrap=True)
        console.print(Text(f"fairbound check {shlex.quote(str(path))}"), soft_wrap=True)
    if limit is not None:
        if result.upper <= limit:
            bound = decimal_above(result.upper, 12)
            console.print(Text(f"HOLDS: the bound {bound} is at most {float(limit):g}.", style="green"))
        else:
            console.print(Text(f"FAILS: the bound {above(result.upper)} is above {float(limit):g}.", style="bold red"))
            shift = None if result.label_balanced else label_shift_floor(result, limit)
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
    console = console or Console(highlight=False, soft_wrap=False)
    one = table.one
    level = "" if one.confidence is None else f", confidence {percent(one.confidence)}"
    console.print(Text(f"Advantage of one draw: at most {above(one.advantage)} ({one.source}{level}).", style="bold"))
    console.print()
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("draws", "at most"):
        grid.add_column(name, justify="right")
    if one.measured is not None:
        grid.add_column(Text(f"measured channel, {printable(one.measured[0])}"), justify="right")
    for row in table.cells():
        grid.add_row(*(row if one.measured is not None else row[:2]))
    console.print(grid)
    console.print()
    needed = [
        f"The advantage {float(target):g} "
        + ("is out of reach for any number of draws." if n is None else f"takes at least {n} draws.")
        for target, n in table.needed
    ]
    bullets(console, "Draws needed", needed)
    bullets(console, "What this rests on", [ASSUMPTION, *([POINT_ESTIMATE] if one.measured is not None else [])])
