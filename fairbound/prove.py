"""The `prove` command: run the ledger, show what holds, how far, and on what it rests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairbound.proofs import ledger

_STYLES = {"passed": "green", "failed": "bold red", "unavailable": "yellow"}
_STATUS_STYLES = {
    "proved": "green",
    "proved in part": "green",
    "certified": "cyan",
    "tested": "yellow",
    "open": "yellow",
    "failed": "bold red",
}


def run_prove(ids: Sequence[str] | None, *, quiet: bool) -> tuple[list[dict[str, Any]], bool]:
    """
    Run claims and print them.

    Parameters
    ----------
    ids : sequence of str or None
        None: all claims.
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    records : list of dict
        JSON-ready, one per claim.
    holds : bool
        Whether no leg failed and no statement has changed since its proof was accepted.
    """
    with Console(stderr=True).status("Running the ledger ...") as status:
        results = ledger.run(ids or None, progress=lambda claim, leg: status.update(f"{claim}: {leg} ..."))
    changed = ledger.changed_statements([result.claim for result in results])
    records = [
        {
            "claim": result.claim.id,
            "title": result.claim.title,
            "status": result.status,
            "statement": result.claim.statement_hash,
            "statement_accepted": result.claim.id not in changed,
            "legs": [
                {
                    "leg": leg.leg,
                    "outcome": leg.outcome,
                    "detail": leg.detail,
                    "trusted_base": leg.trusted_base,
                    "seconds": round(leg.seconds, 3),
                }
                for leg in result.legs
            ],
        }
        for result in results
    ]
    if not quiet:
        _print(results, changed)
    return records, not changed and all(result.status != "failed" for result in results)


def _print(results: list[ledger.ClaimResult], changed: list[str]) -> None:
    console = Console(highlight=False)
    for result in results:
        console.print(Text.assemble((result.claim.title, "bold"), "  ", (result.status, _STATUS_STYLES[result.status])))
        grid = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(3):
            grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for leg in result.legs:
            detail = Text(leg.detail)
            if leg.outcome == "passed":
                detail.append(f" [{leg.trusted_base}]", style="dim")
            outcome = Text(leg.outcome, style=_STYLES[leg.outcome])
            grid.add_row(f"  {leg.leg}", outcome, f"{leg.seconds:.1f} s", detail)
        console.print(grid)
        console.print()
    for name in changed:
        console.print(Text(f"{name}: the statement is not the one whose proof was accepted.", style="bold red"))
    statuses = [result.status for result in results]
    counts = ", ".join(f"{statuses.count(name)} {name}" for name in ("proved", "proved in part", "certified", "tested"))
    failed = [result.claim.id for result in results if result.status == "failed"]
    seconds = sum(leg.seconds for result in results for leg in result.legs)
    ending = f"; FAILED: {', '.join(failed)}" if failed else ""
    console.print(Text(f"{len(results)} claims: {counts}{ending}; {seconds:.0f} s"))
