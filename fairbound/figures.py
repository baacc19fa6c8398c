"""Which figures and tables there are, what each needs, and making them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from fairbound.bounds.errors import FairboundError


class UnknownFigureError(FairboundError):
    """No figure or table has that name."""


class NotMadeError(FairboundError):
    """A figure cannot be made: its stored results are missing, or not what it needs."""


@dataclass(frozen=True)
class Need:
    """
    Stored results.

    Attributes
    ----------
    files : tuple of str
        Relative to the results folder; any one of them will do.
    command : str
        What makes them; RESULTS stands for the folder.
    """

    files: tuple[str, ...]
    command: str

    def met(self, results: Path) -> bool:
        """Whether one is there."""
        return any((results / file).exists() for file in self.files)

    def told(self, results: Path) -> str:
        """The command for a folder."""
        return self.command.replace("RESULTS", str(results))


_SWEEPS = Need(
    ("main/results.parquet", "modalities/results.parquet"), "fairbound sweep sweeps/main.toml --out RESULTS/main"
)
_ATTACKS = Need(
    ("attacks/attacks.parquet",), "fairbound attack adult --attribute sex --ratios 0.5 0.8 --out RESULTS/attacks"
)


@dataclass(frozen=True)
class Entry:
    """
    A figure or table: a module of `fairbound.paper_figs`.

    Attributes
    ----------
    name : str
    about : str
    need : Need or None
        None: theory alone.
    """

    name: str
    about: str
    need: Need | None = None

    @property
    def module(self) -> ModuleType:
        """Loaded on first use, because some need torch."""
        return import_module(f"fairbound.paper_figs.{self.name}")

    def missing(self, results: Path) -> str | None:
        """What is missing, and the command that makes it, in one line; None if nothing is."""
        if self.need is None or self.need.met(results):
            return None
        files = " or ".join(str(results / file) for file in self.need.files)
        return f"{self.name} needs {files}; make it with: {self.need.told(results)}"

    def make(self, results: Path, out: Path) -> list[Path]:
        """
        Write it.

        Raises
        ------
        NotMadeError
            If the results are missing.
        FairboundError
            If they are not what it needs.
        """
        if missing := self.missing(results):
            raise NotMadeError(missing)
        kind = "tables" if self.name.startswith("table_") else "style"
        writer = import_module(f"fairbound.paper_figs.{kind}")
        written: list[Path] = writer.make(self.module, self.module.load(results), out)
        return written


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry("worst_case", "exact worst case over W and Delta, attained (T1, T2)"),
        Entry("label_shift", "published form against the exact value as label shift grows (C1)"),
        Entry(
            "gap_and_bound",
            "gap and bound before and after fair fine-tuning, one configuration",
            Need(("runs.jsonl", "demo/runs.jsonl"), "fairbound demo --out RESULTS/demo"),
        ),
        Entry("every_model", "every trained model's gap against its bound", _SWEEPS),
        Entry("rehearsal", "before and after FFt by rehearsal and data set", _SWEEPS),
        Entry(
            "frontier",
            "fairness, accuracy and privacy over the constraint's strength",
            Need(("frontier/runs.jsonl",), "fairbound sweep sweeps/frontier.toml --out RESULTS/frontier"),
        ),
        Entry("many_queries", "worst case after many draws, and a real model's (T5)"),
        Entry("attacks", "measured attacks against the bound", _ATTACKS),
        Entry(
            "coverage",
            "coverage of the confidence bounds, and their width against the number of rows (T9)",
            Need(("coverage.jsonl",), "python -m benchmarks.coverage --runs 2000 --lines RESULTS/coverage.jsonl"),
        ),
        Entry(
            "fairness_metrics",
            "which fairness metrics bound the leak (T4)",
            Need(("metrics.json",), "fairbound metrics --out RESULTS/metrics --json > RESULTS/metrics.json"),
        ),
        Entry(
            "spin",
            "SPIN: awareness, coupled weights and dependence by layer",
            Need(("spin/spin.json",), "fairbound spin --protocol study --out RESULTS/spin"),
        ),
        Entry("table_main", "every data set, direction and model", _SWEEPS),
        Entry("table_defences", "the strongest attack on each defence", _ATTACKS),
        Entry(
            "table_proofs",
            "how far each claim is proved",
            Need(("proofs.json",), "fairbound prove --json > RESULTS/proofs.json"),
        ),
    )
}


@dataclass(frozen=True)
class Made:
    """
    What was made.

    Attributes
    ----------
    files : tuple of Path
    left : tuple of str
        One line for each figure that could not be made: the command that makes its results, or what is wrong with them.
    """

    files: tuple[Path, ...]
    left: tuple[str, ...] = ()


def make_figures(names: Sequence[str] | None, *, results: Path, out: Path) -> Made:
    """
    Make figures and tables from theory and stored results.

    Parameters
    ----------
    names : sequence of str, optional
        Default: all whose results are there.
    results : Path
        Folder of stored results.
    out : Path

    Returns
    -------
    Made

    Raises
    ------
    UnknownFigureError
        For an unknown name; nothing is made then.
    NotMadeError
        If a named one cannot be made; the others are made first.
    """
    chosen = [find(name) for name in names] if names else list(ENTRIES.values())
    files: list[Path] = []
    left = []
    for entry in chosen:
        try:
            files += entry.make(results, out)
        except FairboundError as error:
            left.append(str(error))
    if names and left:
        raise NotMadeError("; ".join(left))
    return Made(tuple(files), tuple(left))


def find(name: str) -> Entry:
    """
    Look a figure or table up.

    Raises
    ------
    UnknownFigureError
        If there is none of that name.
    """
    if name not in ENTRIES:
        raise UnknownFigureError(f"no figure {name!r}; choose from {', '.join(ENTRIES)}.")
    return ENTRIES[name]


def listing(results: Path) -> list[dict[str, Any]]:
    """What there is: name, what it shows, whether its results are there, and the command that makes them."""
    return [
        {
            "name": entry.name,
            "about": entry.about,
            "ready": entry.missing(results) is None,
            "command": None if entry.need is None else entry.need.told(results),
        }
        for entry in ENTRIES.values()
    ]
