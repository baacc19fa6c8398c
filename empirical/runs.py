"""Many runs of the protocol, written as they come and resumed where they stopped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fairbound.bounds.files import write_atomically
from fairbound.empirical.data import Dataset
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.protocol import ProtocolConfig, ProtocolPlan, ProtocolResult, execute, plan_protocol

RUNS_FILE = "runs.jsonl"
LOGS_FOLDER = "logs"


def run_many(
    dataset: str | Dataset,
    *,
    attribute: str,
    start: str,
    seeds: Iterable[int],
    out: str | os.PathLike[str],
    other: str | None = None,
    rehearsal: float = 0.5,
    include_attribute: bool = True,
    config: ProtocolConfig | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> list[dict[str, Any]]:
    """Run the protocol for several seeds, keeping each result on disk as soon as it is there.

    Each finished run is one line of ``OUT/runs.jsonl``; its prediction logs are
    ``OUT/logs/<dataset>-<attribute>-<start>-r<rehearsal>-seed<seed>-<stage>.csv``. A run whose configuration hash
    and seed are in the file already is not repeated, and a last line torn by a kill is dropped. One process may
    write to a folder at a time.

    Parameters
    ----------
    dataset, attribute, start, other, rehearsal, include_attribute, config
        As in `run_protocol`.
    seeds : iterable of int
    out : path
        Folder, created if need be.
    progress : callable, optional
        Called with the seed and the name of each stage before it runs.

    Returns
    -------
    list of dict
        One record per seed, in the order of `seeds`; "logs" names the log of each stage relative to `out`.

    Raises
    ------
    ProtocolError
        If the folder cannot be written, its run file is damaged, or it holds runs of another configuration whose
        logs would have the same names.
    UnknownDatasetError, UnknownAttributeError, UnknownGroupError
        As in `run_protocol`.
    """
    plan = plan_protocol(
        dataset,
        attribute=attribute,
        start=start,
        other=other,
        rehearsal=rehearsal,
        include_attribute=include_attribute,
        config=config,
    )
    folder = Path(out)
    records = []
    try:
        (folder / LOGS_FOLDER).mkdir(parents=True, exist_ok=True)
        _drop_torn_line(folder / RUNS_FILE)
        for seed in seeds:
            known = _find(read_runs(folder), plan, seed)
            if known is None:
                result = execute(plan, seed, None if progress is None else _for_seed(progress, seed))
                known = _store(result, plan, seed, folder)
            records.append(known)
    except OSError as error:
        raise ProtocolError(f"Cannot write runs to {folder}: {error.strerror}.") from error
    return records


def read_runs(out: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Records of the finished runs in a folder.

    Parameters
    ----------
    out : path
        As given to `run_many`.

    Returns
    -------
    list of dict
        In the order in which they finished; a last line without its end is left out.

    Raises
    ------
    ProtocolError
        If another line is no record.
    """
    path = Path(out) / RUNS_FILE
    if not path.exists():
        return []
    records = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = json.loads(line)
            record["config_hash"], record["seed"]
        except (ValueError, KeyError, TypeError) as error:
            raise ProtocolError(f"Line {number} of {path} is no record of a run; repair or delete it.") from error
        records.append(record)
    return records


def _drop_torn_line(path: Path) -> None:
    """Cut what follows the last line end: a process was killed while writing it."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_atomically(path, whole)


def _find(records: list[dict[str, Any]], plan: ProtocolPlan, seed: int) -> dict[str, Any] | None:
    wanted, stem = plan.config_hash(), _stem(plan, seed)
    for record in records:
        if record["config_hash"] == wanted and record["seed"] == seed:
            return record
        if record.get("log_stem") == stem:
            raise ProtocolError(
                f"The folder holds a run of another configuration whose logs are called {stem} too; "
                "write to another folder."
            )
    return None


def _store(result: ProtocolResult, plan: ProtocolPlan, seed: int, folder: Path) -> dict[str, Any]:
    """Write the logs, then the line that says they are there."""
    stem = _stem(plan, seed)
    names = {stage: f"{LOGS_FOLDER}/{stem}-{stage}.csv" for stage in result.logs}
    for stage, log in result.logs.items():
        write_atomically(folder / names[stage], log.to_csv(index=False, lineterminator="\n").encode())
    record = result.record | {"log_stem": stem, "logs": names}
    line = json.dumps(record, allow_nan=False) + "\n"
    with (folder / RUNS_FILE).open("ab") as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())
    return record


def _stem(plan: ProtocolPlan, seed: int) -> str:
    parts = [plan.dataset.name, plan.attribute, plan.start, f"r{plan.rehearsal:g}", f"seed{seed}"]
    return "-".join(re.sub(r"[^A-Za-z0-9.+-]+", "_", part) for part in parts)


def _for_seed(progress: Callable[[int, str], None], seed: int) -> Callable[[str], None]:
    return lambda stage: progress(seed, stage)
