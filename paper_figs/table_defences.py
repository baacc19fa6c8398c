"""
The strongest measured attack against each defence.

Needs the table that `fairbound attack` writes.
"""

from __future__ import annotations

from pathlib import Path

from fairbound.paper_figs import attacks
from fairbound.paper_figs.stored import Row, by
from fairbound.paper_figs.tables import NOTHING, Table, columns_of

ABOUT = (*attacks.GAME, "defence", "adaptive")


def load(results: Path) -> list[Row]:
    """All attacks."""
    return attacks.load(results)


def table(data: list[Row]) -> list[Row]:
    """The attack of the largest advantage on each defence, and how many there were."""
    groups = by(data, lambda row: tuple(row[name] for name in ABOUT)).values()
    return [max(rows, key=lambda row: row["advantage"]) | {"attacks": len(rows)} for rows in groups]


def layout(data: list[Row]) -> Table:
    """The table as text."""
    header = ["game", "defence", "strongest attack", "verdict", "advantage", "bound", "attacks"]
    rows, names = [], attacks.games(data)
    for row in table(data):
        advantage = f"{row['advantage']:.3f} ({row['low']:.3f}, {row['high']:.3f})"
        bound = NOTHING if row["bound"] is None else f"{row['bound']:.3f}"
        game = names[tuple(row[name] for name in attacks.GAME)]
        words = [game, attacks.target(row), row["attack"], row["verdict"]]
        rows.append([*map(str, words), advantage, bound, str(row["attacks"])])
    return columns_of(header, rows, words=4)


def caption(data: list[Row]) -> str:
    """What the table shows."""
    return (
        f"The strongest of the attacks measured on each defence, of {len(data)} in all: advantage (2 accuracy - 1) "
        "with its confidence interval, and the certified bound of one draw from the population that one model serves, "
        "which does not cover it (C8). The strongest is chosen by what is shown, so its advantage leans upwards."
    )
