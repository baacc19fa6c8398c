"""The `sweep` command: progress while runs come in, and where the tables are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from fairbound.bounds.alphabet import printable
from fairbound.describe import NOT_COVERED_IN_SHORT
from fairbound.empirical.sweep import read_sweep, run_sweep
from fairbound.progress import parts_progress


def run_sweep_command(config: Path, *, out: Path, jobs: int, quiet: bool = False) -> tuple[dict[str, Any], bool]:
    """
    Make the runs of a sweep that are not there yet, and its tables.

    Parameters
    ----------
    config : Path
        As in `fairbound.empirical.sweep.read_sweep`.
    out : Path
    jobs : int
        Workers; -1: one for each core.
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    summary : dict
        JSON-ready: number of runs, what failed, and the files.
    holds : bool
        Whether every run could be made and no accuracy gap is above T1's exact value.

    Raises
    ------
    FairboundError
        As in `fairbound.empirical.sweep.read_sweep` and `run_sweep`.
    """
    sweep = read_sweep(config)
    with parts_progress() as progress:
        result = run_sweep(sweep, out, jobs=jobs, progress=progress)
    above = sum(stage["gap_exceeds_exact"] for record in result.records for stage in record["stages"].values())
    if not quiet:
        console = Console(highlight=False)
        summary_lines = result.files["summary"].read_text(encoding="utf-8").splitlines()
        for line in (*summary_lines, *result.failures, NOT_COVERED_IN_SHORT):
            console.print(Text(printable(line)), soft_wrap=True)
        console.print(Text(f"Tables: {result.files['summary']}, {result.files['results']}"), soft_wrap=True)
    summary = {
        "name": sweep.name,
        "runs": len(result.records),
        "failures": result.failures,
        "gaps_above_exact_value": above,
        "files": {name: str(path) for name, path in result.files.items()},
    }
    return summary, not result.failures and above == 0
