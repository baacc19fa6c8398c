"""`fairbound plan`: how many rows a bound of a given width takes, method by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table

from fairbound.bounds.alphabet import printable
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.certify import METHODS, Method
from fairbound.bounds.check import SCHEMA
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import CertificateError, NumberError
from fairbound.bounds.noise import NoiseFloor, noise_floor
from fairbound.bounds.planning import Design, RowPlan, rows_needed
from fairbound.bounds.rational import decimal_above, float_above, to_fraction
from fairbound.console import bullets, headline
from fairbound.describe import above, noise_floor_sentence, percent, worlds

_UNITS = {
    "cell": "rows in each (group, label) cell",
    "group": "rows in each group",
    "log": "rows of a log like the pilot",
}

#: Groups, labels or outputs of a planned log: time grows with the square of their number, and is minutes here.
MOST_SYMBOLS = 100


@dataclass(frozen=True)
class PlanTable:
    """
    The size that each method needs.

    Attributes
    ----------
    width : Fraction
        How far the bound may be above the exact worst case.
    plans : tuple of RowPlan
        The asked method first.
    floor : NoiseFloor
        What a perfectly fair model would measure on the asked method's log.
    """

    width: Fraction
    plans: tuple[RowPlan, ...]
    floor: NoiseFloor

    @property
    def asked(self) -> RowPlan:
        """The plan for the method that was asked for."""
        return self.plans[0]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready numbers: upper bounds and widths are rounded up."""
        result = self.asked.result
        return {
            "width": float(self.width),
            "unit": self.asked.design.unit,
            "value": float(self.asked.value),
            "game": result.game.name,
            "label_balanced": result.label_balanced,
            "confidence": float(result.confidence),
            "method": self.asked.method,
            "plans": [
                {
                    "method": plan.method,
                    "size": plan.size,
                    "rows": plan.rows,
                    "smallest_cell": plan.smallest_cell,
                    "upper": float_above(plan.result.upper),
                    "width": float_above(plan.excess),
                }
                for plan in self.plans
            ],
            "noise_floor": {
                "equalized_odds_mean": self.floor.equalized_odds_mean,
                "equalized_odds_quantile_95": self.floor.equalized_odds_quantile_95,
                "advantage_upper": float_above(self.floor.advantage_upper),
            },
            "assumptions": list(self.assumptions),
        }

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the plan rests on, in sentences."""
        seen = "; the pilot's rows are no part of it." if self.asked.design.unit == "log" else "."
        return (
            "The log shows exactly the planned rates, rounded to whole rows; a real log's rates scatter around them, "
            "and its width with them.",
            f"Choose size and method before the log that is certified is seen{seen}",
        )


def pilot(certificate: Any) -> tuple[Counts, dict[str, Any]]:
    """
    Counts of a certificate, to plan from, and what it claims of them.

    Parameters
    ----------
    certificate : path

    Returns
    -------
    counts : Counts
    options : dict
        `game`, `label_balanced`, `confidence`, `method`, and `pure` or `pair` where one was named, as
        `fairbound.bounds.rows_needed` takes them.

    Raises
    ------
    CertificateError
        If it is refused, or holds no counts.
    """
    data = Certificate.read(certificate).data
    if data["schema"] != SCHEMA:
        raise CertificateError(f"a certificate of the form {data['schema']} holds no counts to plan from.")
    counts = Counts.from_dict(data["counts"])
    claim, limits = data["claim"], data["limits"]
    options = {name: claim[name] for name in ("game", "label_balanced", "confidence")}
    # An error split between methods is that of the smallest bound.
    options["method"] = limits["method"] if limits["split"] == 1 else "smallest"
    return counts, options | _worlds(counts, data["pairs"])


def _worlds(counts: Counts, pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The given pair, or the pure one that a certificate of more than two groups is about."""
    first = pairs[0]
    if "groups" not in first:
        worlds = (
            Composition(
                counts.groups, counts.labels, tuple(tuple(Fraction(mass) for mass in row) for row in first[name])
            )
            for name in ("world_0", "world_1")
        )
        return {"pair": CompositionPair(*worlds)}
    return {"pure": tuple(first["groups"])} if len(pairs) == 1 and len(counts.groups) > 2 else {}


def read_number(text: str | None, option: str, default: int | None) -> int | None:
    """
    Read how many symbols an alphabet has.

    Parameters
    ----------
    text : str or None
    option : str
        For error messages.
    default : int or None

    Raises
    ------
    NumberError
        If it is no whole number, or above `MOST_SYMBOLS`.
    """
    if text is None:
        return default
    what = option.removeprefix("--")
    try:
        number = int(text)
    except ValueError:
        raise NumberError(f"{option} {text!r}: plan takes the number of {what}, as in {option} 2.") from None
    if number > MOST_SYMBOLS:
        raise NumberError(
            f"{option} {number}: plan certifies every pair and takes hours; at most {MOST_SYMBOLS} {what}."
        )
    return number


def read_shares(texts: Sequence[str] | None, option: str) -> list[list[Fraction]] | None:
    """
    Read shares from the command line.

    Parameters
    ----------
    texts : sequence of str or None
        Each ``0.2,0.3,0.5``; one number alone is the share of the second of two.
    option : str
        For error messages.

    Raises
    ------
    NumberError
        If one is no number.
    """
    if not texts:
        return None
    read = []
    for text in texts:
        try:
            row = [to_fraction(part) for part in text.split(",")]
        except NumberError:
            raise NumberError(f"{option} {text!r}: write one share (0.3) or all of them (0.2,0.3,0.5).") from None
        read.append([1 - row[0], row[0]] if len(row) == 1 else row)
    return read


def run_plan(design: Design, width: str, *, method: Method, quiet: bool, **options: Any) -> dict[str, Any]:
    """
    Plan for the command line, with the other methods for comparison.

    Parameters
    ----------
    design : Design
    width : str
    method : {"fisher", "clopper-pearson", "relative-entropy", "smallest"}
    quiet : bool
        Print nothing.
    **options
        As for `fairbound.bounds.rows_needed`.

    Returns
    -------
    dict
        JSON-ready result.

    Raises
    ------
    FairboundError
        As `fairbound.bounds.rows_needed` says.
    """
    try:
        goal = to_fraction(width)
    except NumberError:
        raise NumberError(f"--width {width!r} is no rational number; write 0.02 or 1/50.") from None
    plans = []
    with Console(stderr=True, quiet=quiet).status("Planning ...") as status:
        for name in (method, *(other for other in METHODS if other != method)):

            def progress(rows: int, excess: Fraction, name: str = name) -> None:
                status.update(f"Planning ({name}): {rows:,} rows leave {float(excess):.4g}")

            plans.append(rows_needed(design, goal, method=name, progress=progress, **options))
        floor = noise_floor(plans[0].result)
    table = PlanTable(goal, tuple(plans), floor)
    if not quiet:
        print_plan(table)
    return table.to_dict()


def print_plan(table: PlanTable, console: Console | None = None) -> None:
    """
    Print a plan for a reader.

    Parameters
    ----------
    table : PlanTable
    console : rich.console.Console, optional
    """
    asked, result = table.asked, table.asked.result
    unit = _UNITS[asked.design.unit]
    balance = " (label marginals made equal)" if result.label_balanced else ""
    total = "" if asked.design.unit == "log" else f", {asked.rows:,} in all,"
    console = headline(
        f"{asked.size:,} {unit}{total} are enough to certify at most {decimal_above(table.width, 6).rstrip('0')} "
        f"more than the worst-case advantage with confidence {percent(result.confidence)}, for an adversary who "
        f"tells {printable(worlds(result))}{balance} in the {result.game.name} game (method {asked.method}).",
        console,
    )
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("method")
    names = [] if asked.design.unit == "log" else [f"per {asked.design.unit}"]
    for name in (*names, "rows in all", "smallest cell", "bound"):
        grid.add_column(name, justify="right")
    for plan in table.plans:
        sizes = [f"{plan.size:,}"] if names else []
        cells = [*sizes, f"{plan.rows:,}", f"{plan.smallest_cell:,}", above(plan.result.upper)]
        grid.add_row(plan.method, *cells, style="bold" if plan is asked else "")
    console.print(grid)
    facts = [
        f"{asked.result.theorem}'s value at the planned rates is {float(asked.value):.4f}.",
        noise_floor_sentence(table.floor),
        result.uniformity,
    ]
    bullets(console, "What to expect", facts)
    bullets(console, "What the plan rests on", list(table.assumptions))
