"""Progress of work in parts: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fairbound.bounds.alphabet import printable

#: Where no bar can be drawn, a line is written after every so many parts of the work.
_LINES = 20


@contextmanager
def parts_progress() -> Iterator[Callable[[str, int, int], None]]:
    """
    A bar with the remaining time on standard error, or lines where that is no terminal.

    Yields
    ------
    callable
        To be called with what is being done and the numbers of parts done and in all.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    began = lines = 0.0
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:

        def told(what: str, done: int, total: int) -> None:
            nonlocal began, lines
            if what not in tasks:
                tasks[what] = bar.add_task(printable(what), total=total)
                began, lines = time.monotonic(), 0.0
            bar.update(tasks[what], completed=done)
            if not console.is_terminal and done and done / total * _LINES >= lines + 1:
                lines = done / total * _LINES // 1
                left = (time.monotonic() - began) / done * (total - done) / 60
                sys.stderr.write(f"fairbound: {printable(what)}, {done} of {total}, about {left:.0f} min left\n")

        yield told
