"""The `fft` command: progress while runs come in, and their table."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from fairbound.describe import NOT_COVERED_IN_SHORT
from fairbound.empirical.protocol import STAGES, plan_protocol
from fairbound.empirical.runs import RUNS_FILE, run_many


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
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """
    Run the biased distribution protocol for several seeds and print the means.

    Parameters
    ----------
    dataset, attribute, start, other, rehearsal, include_attribute
        As in `fairbound.empirical.run_protocol`.
    seeds : sequence of int
        One run each.
    out : Path
        As in `fairbound.empirical.run_many`.
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    list of dict
        One record per seed.
    """
    # Mistakes in the settings are told before a progress bar stands in the way.
    plan_protocol(
        dataset,
        attribute=attribute,
        start=start,
        other=other,
        rehearsal=rehearsal,
        include_attribute=include_attribute,
    )
    told_already: set[str] = set()

    def note(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in told_already:
            told_already.add(str(message))
            sys.stderr.write(f"fairbound: note: {message}\n")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with progress, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        task = progress.add_task("starting", total=len(seeds) * len(STAGES))

        def told(seed: int, stage: str) -> None:
            done = seeds.index(seed) * len(STAGES) + STAGES.index(stage)
            progress.update(task, description=f"seed {seed}, {stage}", completed=done)

        records = run_many(
            dataset,
            attribute=attribute,
            start=start,
            other=other,
            rehearsal=rehearsal,
            include_attribute=include_attribute,
            seeds=seeds,
            out=out,
            progress=told,
        )
    if not quiet:
        _print(records, out)
    return records


def _print(records: list[dict[str, Any]], out: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    first = records[0]
    console.print(
        Text(
            f"{first['dataset']}, {first['attribute']}: {first['start']} -> {first['other']}, rehearsal "
            f"{first['rehearsal']:g}, seed"
            + (f"s {first['seed']}-{records[-1]['seed']}, mean" if len(records) > 1 else f" {first['seed']}")
        )
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    level = f"{100 * first['config']['confidence']:g} %"
    for name in ("model", "acc.", "bal.\nacc.", "Delta\nEO", "gap\nraw", "gap\nbal.", "T1\nraw", "T1\nbal."):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for name in (f"{level}\nraw", f"{level}\nbal.", "CPU\ns"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in STAGES:
        measured = [record["stages"][stage] for record in records]

        def mean(*path: str, measured: list[Any] = measured) -> float:
            values = measured
            for key in path:
                values = [value[key] for value in values]
            return fmean(values)

        table.add_row(
            stage,
            f"{mean('accuracy'):.3f}",
            f"{mean('balanced_accuracy'):.3f}",
            f"{mean('delta_eo'):.3f}",
            f"{mean('accuracy_gap', 'raw'):.3f}",
            f"{mean('accuracy_gap', 'label_balanced'):.3f}",
            f"{mean('advantage', 'raw', 'point'):.3f}",
            f"{mean('advantage', 'label_balanced', 'point'):.3f}",
            f"{mean('advantage', 'raw', 'upper'):.3f}",
            f"{mean('advantage', 'label_balanced', 'upper'):.3f}",
            f"{mean('cpu_seconds'):.1f}",
        )
    console.print(table)
    floors = [record["stages"]["fft"]["noise_floor"] for record in records]
    odds, bound = (fmean(floor[key] for floor in floors) for key in ("delta_eo_mean", "label_balanced_upper"))
    console.print(
        Text(
            "gap: accuracy gap; T1: exact worst case; raw / bal.: with the groups' own label marginals / made equal. "
            f"With the rates of fft pooled, a perfectly fair model would show Delta_EO {odds:.3f} on average at this "
            f"size, and a log without any disparity the label-balanced bound {bound:.3f}."
        )
    )
    console.print(Text(NOT_COVERED_IN_SHORT))
    console.print(Text(f"Runs: {out / RUNS_FILE}; logs that `fairbound certify` reads: {out / 'logs'}"))
