"""The `fft` command: progress while runs come in, and their table."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from fairbound.bounds.alphabet import printable
from fairbound.bounds.rational import decimal_above
from fairbound.describe import NOT_COVERED_IN_SHORT
from fairbound.empirical.plan import ProtocolConfig, plan_protocol
from fairbound.empirical.runs import RUNS_FILE, run_many

#: Longest name of a stage that fits into one line.
_NAME = 12


def run_fft(
    dataset: str,
    *,
    attribute: str,
    start: str,
    other: str | None,
    rehearsal: float,
    seeds: Sequence[int],
    include_attribute: bool,
    out: Path,
    alphas: tuple[str, str] = ("0", "1"),
    both_directions: bool = False,
    config: ProtocolConfig | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """
    Run the biased distribution protocol for several seeds and print the means.

    Parameters
    ----------
    dataset, attribute, start, other, rehearsal, include_attribute, config
        As in `fairbound.empirical.run_protocol`.
    seeds : sequence of int
        One run each.
    out : Path
        As in `fairbound.empirical.run_many`.
    alphas : (text, text)
        Shares of the other group in the two worlds.
    both_directions : bool
        Swap the two groups afterwards, and run again.
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    list of dict
        One record per direction and seed.

    Raises
    ------
    FairboundError
        As in `fairbound.empirical.run_many`.
    """
    settings: dict[str, Any] = {
        "attribute": attribute,
        "rehearsal": rehearsal,
        "alpha0": alphas[0],
        "alpha1": alphas[1],
        "include_attribute": include_attribute,
        "config": config,
    }
    # Mistakes in the settings are told before a progress bar stands in the way.
    plan = plan_protocol(dataset, start=start, other=other, **settings)
    directions = [(plan.start, plan.other), (plan.other, plan.start)][: 1 + both_directions]
    stages = plan.config.stages
    records = []
    with _progress(len(directions) * len(seeds) * len(stages)) as step:
        for first, second in directions:

            def told(seed: int, stage: str, first: str = first) -> None:
                step(f"{first}, seed {seed}, {stage}", stage in stages)

            records += run_many(
                plan.dataset, start=first, other=second, seeds=seeds, out=out, progress=told, **settings
            )
    if not quiet:
        for first, _ in directions:
            _print([record for record in records if record["start"] == first], out)
    return records


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on standard error, and warnings as single lines there."""
    told_already: set[str] = set()

    def note(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in told_already:
            told_already.add(str(message))
            sys.stderr.write(f"fairbound: note: {printable(str(message))}\n")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with progress, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        task = progress.add_task("starting", total=total)
        begun = -1

        def step(description: str, counts: bool) -> None:
            nonlocal begun
            begun += counts
            progress.update(task, description=description, completed=max(0, begun))

        yield step


def _print(records: list[dict[str, Any]], out: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    first = records[0]
    config = first["config"]
    worlds = f"{first['start']} -> {first['other']}"
    if (first["alpha0"], first["alpha1"]) != ("0", "1"):
        worlds += f" (shares of {first['other']}: {first['alpha0']} -> {first['alpha1']})"
    console.print(
        Text(
            f"{first['dataset']}, {first['attribute']}: {worlds}, rehearsal {first['rehearsal']:g}, seed"
            + (f"s {first['seed']}-{records[-1]['seed']}, mean" if len(records) > 1 else f" {first['seed']}")
        )
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    level = f"{100 * config['confidence']:g} %"
    for name in ("model", "acc.", "bal.\nacc.", "Delta\nEO", "gap\nraw", "T1\nraw", "T1\nbal."):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for name in (f"{level}\nraw", f"{level}\nbal.", "CPU\ns"):
        table.add_column(name, justify="right", no_wrap=True)
    columns = (
        (3, "accuracy"),
        (3, "balanced_accuracy"),
        (3, "delta_eo"),
        (3, "accuracy_gap", "raw"),
        (3, "advantage", "raw", "point"),
        (3, "advantage", "label_balanced", "point"),
        (3, "advantage", "raw", "upper"),
        (3, "advantage", "label_balanced", "upper"),
        (1, "cpu_seconds"),
    )
    for stage in first["stages"]:
        measured = [record["stages"][stage] for record in records]
        # Two lines where the name would not leave room for the numbers.
        name = stage.replace("_", "_\n", 1) if len(stage) > _NAME else stage
        table.add_row(name, *(_mean(measured, digits, path) for digits, *path in columns))
    console.print(table)
    for stage, reason in first["skipped"].items():
        console.print(Text(f"{stage}: not run, {reason}."))
    reference = "fft" if "fft" in first["stages"] else next(iter(first["stages"]), None)
    if reference is not None:
        floors = [record["stages"][reference]["noise_floor"] for record in records]
        odds, bound = (fmean(floor[key] for floor in floors) for key in ("delta_eo_mean", "label_balanced_upper"))
        console.print(
            Text(
                "gap: accuracy gap of the two worlds; T1: exact worst case; raw / bal.: with the groups' own label "
                f"marginals / made equal. With the rates of {reference} pooled, a perfectly fair model would show "
                f"Delta_EO {odds:.3f} on average at this size, and a log without any disparity the label-balanced "
                f"bound {decimal_above(Fraction(bound), 3)}."
            )
        )
    reasons = [record["raw_reason"] for record in records if record["raw_reason"] is not None]
    if reasons:
        console.print(Text(reasons[0]))
    console.print(Text(NOT_COVERED_IN_SHORT))
    console.print(Text(f"Runs: {out / RUNS_FILE}; logs that `fairbound certify` reads: {out / 'logs'}"))


def _mean(measured: list[Any], digits: int, path: Sequence[str]) -> str:
    for key in path:
        measured = [value[key] for value in measured]
    mean = fmean(measured)
    return decimal_above(Fraction(mean), digits) if path[-1] == "upper" else f"{mean:.{digits}f}"
