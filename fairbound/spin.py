"""The `spin` command: a protocol run on a language model, its tables, and edits applied or undone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairbound.bounds.alphabet import printable
from fairbound.bounds.files import write_atomically
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.spin.edit import SpinEdit
from fairbound.empirical.spin.judges import TransformersJudge
from fairbound.empirical.spin.models import load_model
from fairbound.empirical.spin.protocol import read_protocol
from fairbound.empirical.spin.study import Study
from fairbound.empirical.spin.summary import stored_results, summarise_study
from fairbound.progress import parts_progress

RESULTS_FILE = "spin.json"
SUMMARY_FILE = "summary.md"


def run_spin(
    protocol: str,
    *,
    out: Path,
    every_question: bool = False,
    model: str | None = None,
    judge: Path | None = None,
    batch_size: int = 32,
    device: str = "auto",
    quiet: bool = False,
) -> dict[str, Any]:
    """
    Run a protocol, or what is left of it in a folder.

    Parameters
    ----------
    protocol : str
        As in `fairbound.empirical.spin.protocol.read_protocol`.
    out : Path
    every_question : bool
        Report on every question, and besides over every row of the files.
    model : str, optional
        Folder or hub id; default: SmolLM2-135M-Instruct.
    judge : Path, optional
        Folder of a language model that judges, in place of the TF-IDF judge.
    batch_size : int
    device : str
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    dict
        See `fairbound.empirical.spin.summary.stored_results`.

    Raises
    ------
    FairboundError
        As in `fairbound.empirical.spin.study.Study`.
    """
    plan = read_protocol(protocol)
    if every_question:
        plan = plan.on_all_questions()
    with parts_progress() as told:
        judging = None if judge is None else TransformersJudge(judge, device=device)
        study = Study(plan, out, model=model, judge=judging, batch_size=batch_size, device=device, told=told).run()
    results, summary = stored_results(study), summarise_study(study)
    try:
        write_atomically(out / RESULTS_FILE, json.dumps(results, allow_nan=False, indent=1).encode())
        write_atomically(out / SUMMARY_FILE, summary.encode())
    except OSError as error:
        raise ProtocolError(f"Cannot write results to {out}: {error.strerror}.") from error
    if not quiet:
        console = Console(highlight=False)
        for line in summary.splitlines():
            console.print(Text(printable(line)), soft_wrap=True)
        console.print(Text(f"Files: {out / SUMMARY_FILE}, {out / RESULTS_FILE}, edits in {out / 'edits'}"))
    return results


def change_model(edit: Path, *, model: str | None, out: Path, undo: bool, device: str = "auto") -> dict[str, Any]:
    """
    Write an edited model, or one whose edit is undone.

    Parameters
    ----------
    edit : Path
        Edit file.
    model : str, optional
        Folder or hub id; default: SmolLM2-135M-Instruct.
    out : Path
        Folder for the model.
    undo : bool
    device : str

    Returns
    -------
    dict
        Number of weights, and the folder.

    Raises
    ------
    EditFileError
        If the edit file is damaged, or does not fit the model.
    LanguageModelError
        If the model cannot be loaded.
    """
    change = SpinEdit.load(edit)
    loaded = load_model(model, device=device)
    (change.undo if undo else change.apply)(loaded.model)
    loaded.save(out)
    return {"weights": sum(row["zeroed"] for row in change.summary()), "undone": undo, "out": str(out)}


def inspect_edit(edit: Path, *, quiet: bool = False) -> dict[str, Any]:
    """
    What an edit file does.

    Parameters
    ----------
    edit : Path
    quiet : bool

    Returns
    -------
    dict
        The model's name and a row for each matrix.

    Raises
    ------
    EditFileError
        If the file is damaged.
    """
    change = SpinEdit.load(edit)
    rows = change.summary()
    if not quiet:
        table = Table("matrix", "zeroed", "of", "largest |weight|", title=f"Edit of {printable(change.model)}")
        for row in rows:
            table.add_row(printable(row["name"]), f"{row['zeroed']:,}", f"{row['of']:,}", f"{row['largest']:.4f}")
        table.add_row("all", f"{sum(row['zeroed'] for row in rows):,}", f"{sum(row['of'] for row in rows):,}", "")
        Console().print(table)
    return {"model": change.model, "matrices": rows}
