"""Runs of the protocol, written as they come and resumed where they stopped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from fairbound.bounds.files import write_atomically
from fairbound.empirical.data import Dataset
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.plan import ProtocolConfig, ProtocolPlan, plan_protocol
from fairbound.empirical.protocol import ProtocolResult, execute

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
    alpha0: float | str | Fraction = 0,
    alpha1: float | str | Fraction = 1,
    include_attribute: bool = True,
    config: ProtocolConfig | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> list[dict[str, Any]]:
    """Run the protocol for several seeds, keeping each result on disk as soon as it is there.

    Each finished run is one line of ``OUT/runs.jsonl``; its prediction logs are
    ``OUT/logs/<dataset>-<attribute>-<start>-r<rehearsal>-<config hash>-seed<seed>-<stage>.csv``. A run whose
    configuration hash and seed are in the file already is not repeated, and a last line torn by a kill is dropped. One
    process may write to a folder at a time.

    Parameters
    ----------
    dataset, attribute, start, other, rehearsal, alpha0, alpha1, include_attribute, config
        As in `run_protocol`.
    seeds : iterable of int
    out : path
        Folder, created if need be.
    progress : callable, optional
        Called with the seed and the name of each stage before it is trained, and while frozen features are computed.

    Returns
    -------
    list of dict
        One record per seed, in the order of `seeds`; "logs" names the log of each stage relative to `out`.

    Raises
    ------
    ProtocolError
        If the folder cannot be written, or its run file is damaged.
    UnknownDatasetError, UnknownAttributeError, UnknownGroupError
        As in `run_protocol`.
    """
    plan = plan_protocol(
        dataset,
        attribute=attribute,
        start=start,
        other=other,
        rehearsal=rehearsal,
        alpha0=alpha0,
        alpha1=alpha1,
        include_attribute=include_attribute,
        config=config,
    )
    folder = Path(out)
    records = []
    wanted = plan.config_hash()
    try:
        (folder / LOGS_FOLDER).mkdir(parents=True, exist_ok=True)
        known = {key(record): record for record in resume(folder)}
        for seed in seeds:
            record = known.get((wanted, seed))
            if record is None:
                result = execute(plan, seed, None if progress is None else _for_seed(progress, seed))
                record = known[wanted, seed] = _store(result, plan, seed, folder)
            records.append(record)
    except OSError as error:
        raise ProtocolError(f"Cannot write runs to {folder}: {error.strerror}.") from error
    return records


def key(record: dict[str, Any]) -> tuple[str, int]:
    """What a run is known by.

    Parameters
    ----------
    record : dict

    Returns
    -------
    (str, int)
        Configuration hash and seed.
    """
    return record["config_hash"], record["seed"]


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
            key(record)
        except (ValueError, KeyError, TypeError) as error:
            raise ProtocolError(f"Line {number} of {path} is no record of a run; repair or delete it.") from error
        records.append(record)
    return records


def resume(folder: Path) -> list[dict[str, Any]]:
    """`read_runs`, after what follows the last line end was cut off: a process was killed while writing it.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    list of dict

    Raises
    ------
    ProtocolError
        If another line is no record.
    """
    path = folder / RUNS_FILE
    if path.exists():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_atomically(path, whole)
    return read_runs(folder)


def append_run(record: dict[str, Any], folder: Path) -> None:
    """Add one line to the runs of a folder, on disk when this returns.

    Parameters
    ----------
    record : dict
    folder : pathlib.Path
    """
    line = json.dumps(record, allow_nan=False) + "\n"
    with (folder / RUNS_FILE).open("ab") as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def _store(result: ProtocolResult, plan: ProtocolPlan, seed: int, folder: Path) -> dict[str, Any]:
    """Write the logs, then the line that says they are there."""
    parts = [plan.dataset.name, plan.attribute, plan.start, f"r{plan.rehearsal:g}", plan.config_hash(), f"seed{seed}"]
    stem = "-".join(re.sub(r"[^A-Za-z0-9.+-]+", "_", part) for part in parts)
    names = {stage: f"{LOGS_FOLDER}/{stem}-{stage}.csv" for stage in result.logs}
    for stage, log in result.logs.items():
        write_atomically(folder / names[stage], log.to_csv(index=False, lineterminator="\n").encode())
    record = result.record | {"logs": names}
    append_run(record, folder)
    return record


def _for_seed(progress: Callable[[int, str], None], seed: int) -> Callable[[str], None]:
    return lambda stage: progress(seed, stage)
