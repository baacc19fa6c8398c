"""Which figures there are, what each needs, and making them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairbound.bounds.errors import FairboundError
from fairbound.paper_figs import gap_and_bound, label_shift

FIGURES = ("label_shift", "gap_and_bound")


def make_figures(names: Sequence[str] | None, *, results: Path, out: Path) -> list[Path]:
    """
    Make figures from theory and stored results.

    Parameters
    ----------
    names : sequence of str, optional
        Default: all.
    results : Path
        Folder with the runs.jsonl of one configuration of the protocol.
    out : Path

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    FairboundError
        For an unknown figure, or results that are not there.
    """
    paths: list[Path] = []
    for name in names or FIGURES:
        if name == "label_shift":
            paths += label_shift.make(out)
        elif name == "gap_and_bound":
            from fairbound.empirical.runs import read_runs

            records = read_runs(results)
            if not records:
                raise FairboundError(
                    f"the figure gap_and_bound needs runs in {results}; make them with: fairbound demo --out {results}"
                )
            if len({record["config_hash"] for record in records}) > 1:
                raise FairboundError(f"{results} holds runs of several configurations; give a folder of one.")
            paths += gap_and_bound.make(records, out)
        else:
            raise FairboundError(f"no figure {name!r}; choose from {', '.join(FIGURES)}.")
    return paths
