"""
How far each claim is proved, and by which legs.

Needs the ledger that `fairbound prove --json` prints.
"""

from __future__ import annotations

from pathlib import Path

from fairbound.paper_figs.stored import Row, read_json
from fairbound.paper_figs.tables import NOTHING, Table, columns_of

FILE = "proofs.json"
LEGS = {"symbolic": "symbolic", "dual": "exact LP", "search": "search", "kernel": "Coq"}


def load(results: Path) -> list[Row]:
    """Claims with their legs' outcomes."""
    rows = []
    for record in read_json(results / FILE):
        outcomes = {leg["leg"]: leg["outcome"] for leg in record["legs"]}
        rows.append(
            {name: record[name] for name in ("claim", "title", "status", "statement_accepted", "statement")}
            | {leg: outcomes.get(leg, "") for leg in LEGS}
        )
    return rows


def table(data: list[Row]) -> list[Row]:
    """The data."""
    return data


def layout(data: list[Row]) -> Table:
    """The table as text."""
    rows = []
    for row in data:
        title = row["title"].removeprefix(f"{row['claim']}: ")
        status = row["status"] if row["statement_accepted"] else f"{row['status']} (statement changed)"
        rows.append([row["claim"], title, status, *(row[leg] or NOTHING for leg in LEGS)])
    return columns_of(["claim", "what", "status", *LEGS.values()], rows, words=3 + len(LEGS))


def caption(data: list[Row]) -> str:
    """What the table shows."""
    return (
        f"The ledger's {len(data)} claims. Proved: Coq accepted the general statement; proved in part: a part that the "
        "statement names; certified: an exact derivation or certificates of the kind that come with every instance; "
        "tested: searched only."
    )
