"""Stored results as rows: sweeps, JSON and tables, with one-line errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from fairbound.bounds.errors import FairboundError

Row = dict[str, Any]

SWEEPS = ("main", "modalities")
PAIR = ("dataset", "attribute", "group_pair", "include_attribute")
"""Columns that say what a model was asked to predict, and about whom."""


class StoredResultsError(FairboundError):
    """Stored results cannot be read, or are not what a figure needs."""


def read_table(path: Path, needed: Iterable[str] = ()) -> list[Row]:
    """
    Rows of a Parquet or CSV file.

    Parameters
    ----------
    path : Path
    needed : iterable of str
        Columns that it must have.

    Raises
    ------
    StoredResultsError
        If it cannot be read, has no rows, or lacks a column.
    """
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    # A folder named like a partition would replace a column of that name.
    try:
        with duckdb.connect(config={"threads": 1}) as connection:
            found = connection.execute(f"SELECT * FROM {reader}(?, hive_partitioning = false)", [str(path)])
            names = [column[0] for column in found.description or ()]
            rows = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    except duckdb.Error as error:
        raise StoredResultsError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
    if lacking := sorted(set(needed) - set(names)):
        raise StoredResultsError(f"{path} has no column {lacking[0]!r}; it has: {', '.join(names)}.")
    if not rows:
        raise StoredResultsError(f"{path} has no rows.")
    return rows


def read_json(path: Path) -> Any:
    """
    Content of a JSON file.

    Raises
    ------
    StoredResultsError
        If it cannot be read.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoredResultsError(f"cannot read {path}: {error}.") from None


def sweep_rows(results: Path) -> list[Row]:
    """
    Every model of the sweeps in a results folder, with its CPU seconds, in a stable order.

    A base model is the same at every rehearsal, and there once, with the smallest.

    Parameters
    ----------
    results : Path
        Holds folders named as in `SWEEPS`; those that are there count.

    Raises
    ------
    StoredResultsError
        If none is there, or one cannot be read.
    """
    rows: list[Row] = []
    for folder in (results / name for name in SWEEPS):
        if not (folder / "results.parquet").exists():
            continue
        seconds = {_model(row): row["cpu_seconds"] for row in read_table(folder / "timings.parquet")}
        bases = set()
        for row in read_table(folder / "results.parquet"):
            if row["stage"] == "base":
                base = (pair_of(row), *(row[name] for name in ("alpha0", "alpha1", "loss", "start", "seed")))
                if base in bases:
                    continue
                bases.add(base)
            rows.append(row | {"cpu_seconds": seconds[_model(row)]})
    if not rows:
        raise StoredResultsError(f"there is no finished sweep in {results}.")
    return rows


def distinct_models(rows: Iterable[Row]) -> list[Row]:
    """Rows without those of a model that is there already: where rehearsal rows run out, two rehearsals make it."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        measured = (
            value for name, value in sorted(row.items()) if name not in ("rehearsal", "config_hash", "cpu_seconds")
        )
        found.setdefault(tuple(measured), row)
    return list(found.values())


def _model(row: Row) -> tuple[Any, ...]:
    return row["config_hash"], row["seed"], row["stage"], row["start"]


def by(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Rows by a key, keys in the order in which they first occur."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def pair_of(row: Row) -> tuple[Any, ...]:
    """What identifies a data set and pair of groups."""
    return tuple(row[name] for name in PAIR)


def pair_names(rows: Iterable[Row]) -> dict[tuple[Any, ...], str]:
    """Short names of the data sets and attributes; whether models see the attribute, where both kinds occur."""
    pairs = list(dict.fromkeys(pair_of(row) for row in rows))
    with_and_without = {pair[:3] for pair in pairs if pair[3]} & {pair[:3] for pair in pairs if not pair[3]}
    names = {}
    for pair in pairs:
        dataset, attribute, _, seen = pair
        base, kept = _without_sizes(dataset)
        told = [*kept, *(["no input"] if pair[:3] in with_and_without and not seen else [])]
        names[pair] = f"{base}, {attribute}" + (f" ({', '.join(told)})" if told else "")
    return names


def short_name(dataset: str) -> str:
    """A data set without the options that only choose how many rows there are."""
    base, kept = _without_sizes(dataset)
    return f"{base} ({', '.join(kept)})" if kept else base


def _without_sizes(dataset: str) -> tuple[str, list[str]]:
    base, _, options = dataset.partition(":")
    return base, [part for part in options.split(",") if part and part.partition("=")[0] not in ("rows", "seed")]


def setting_of(rows: Sequence[Row], name: str) -> str:
    """A setting of the runs in words; several values, if they differ."""
    return ", ".join(f"{value:g}" for value in sorted({row[name] for row in rows}))


def seeds_of(rows: Sequence[Row]) -> str:
    """The seeds in words: ranges where they follow each other."""
    seeds = sorted({row["seed"] for row in rows})
    runs = [[seed for _, seed in group] for _, group in groupby(enumerate(seeds), lambda item: item[1] - item[0])]
    shown = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
    return f"seed{'s' if len(seeds) > 1 else ''} {shown}"
