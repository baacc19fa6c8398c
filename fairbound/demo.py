"""The main job on real data, start to end: a model of one group, fair fine-tuning, certified bounds, a report."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as ConsoleTable
from rich.text import Text

from fairbound.bounds import check
from fairbound.bounds.certify import certify_counts
from fairbound.bounds.noise import noise_floor
from fairbound.bounds.rational import decimal_above
from fairbound.certify_report import (
    HOW_TO_READ,
    CertifiedGame,
    bounds_blocks,
    certificate_blocks,
    disparity_blocks,
    rates_table,
)
from fairbound.describe import NOT_COVERED_IN_SHORT, not_covered, verdict
from fairbound.ingest import count_file
from fairbound.report import Bullets, Page, Paragraph, Section, Statement, write_report

DATASET, ATTRIBUTE, START, OTHER, REHEARSAL, SEED = "compas", "race", "Caucasian", "African-American", 0.5, 0
STAGES = {"base": "base model", "fft": "after FFt"}
_LEGEND = (
    "gap: accuracy gap, which may hide disparity by cancellation; T1: exact worst case over all models with these "
    "disparities; bound: T1 with 95 % confidence; raw / balanced: with the groups' own label marginals / made equal; "
    "tau: the paper's detection threshold, 0.1."
)
GAMES = {"raw": "raw", "label_balanced": "balanced"}


def run_demo(out: Path, *, console: Console) -> dict[str, Any]:
    """
    Train on COMPAS, certify before and after fair fine-tuning, check the certificates, write figure and report.

    Parameters
    ----------
    out : Path
        Folder for all files; runs that are there already are not repeated.
    console : rich.console.Console

    Returns
    -------
    dict
        JSON-ready: the protocol's record, and where report, figure and certificates are.

    Raises
    ------
    DataUnavailableError
        If the data can be neither found nor fetched.
    CertificateError
        If a certificate is refused.
    """
    from fairbound.empirical.runs import run_many
    from fairbound.fft_report import findings
    from fairbound.paper_figs import gap_and_bound, style

    console.print(
        f"COMPAS: a model of {START} defendants alone, fine-tuned on {OTHER} ones under an equalized-odds constraint."
    )
    with console.status("Fetching data and training ...") as status, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told: Callable[[int, str], None] = lambda _, stage: status.update(f"Training: {stage} ...")  # noqa: E731
        records = run_many(
            DATASET,
            attribute=ATTRIBUTE,
            start=START,
            other=OTHER,
            rehearsal=REHEARSAL,
            seeds=[SEED],
            out=out,
            progress=told,
        )
    record = records[0]
    models: dict[str, list[CertifiedGame]] = {}
    for stage, stage_name in STAGES.items():
        counts = count_file(out / record["logs"][stage])
        models[stage_name] = []
        for game, game_name in GAMES.items():
            result = certify_counts(counts, pure=(START, OTHER), label_balanced=game == "label_balanced")
            certificate = result.certificate()
            path = certificate.write(out / f"{stage}-{game_name}.certificate.json")
            check.check(check.load(path.read_bytes()))
            models[stage_name].append(CertifiedGame(result, noise_floor(result), certificate, str(path)))
    certified = [shown for games in models.values() for shown in games]
    last = certified[-1]
    figure = style.make(gap_and_bound, records, out)
    header, rows = _table(record)
    summary = findings(records)
    report = write_report(out / "report.html", _page(records, models))
    _print(console, header, rows, summary)
    console.print(Text(f"Report:       {report}"))
    console.print(Text(f"Figure:       {figure[0]} (also .pdf, data in .csv, caption in .md)"))
    for name, games in models.items():
        for shown in games:
            console.print(Text(f"Certificate:  {shown.path} ({name}, {shown.name} game), checked"))
    console.print(Text(f"Check again:  fairbound check {shlex.quote(str(last.path))}"))
    return {
        "report": str(report),
        "figure": str(figure[0]),
        "certificates": [shown.path for shown in certified],
        "record": record,
    }


def _page(records: list[dict[str, Any]], models: dict[str, list[CertifiedGame]]) -> Page:
    """The report: the runs, and the certified log of each model."""
    from fairbound.fft_report import findings, run_blocks

    last = list(models.values())[-1][-1].result
    return Page(
        "What a model of COMPAS leaks about its population, before and after fair fine-tuning",
        [*map(Statement, [*findings(records), verdict(last)]), Paragraph(NOT_COVERED_IN_SHORT)],
        [
            Section("Before and after", run_blocks(records)),
            *(
                Section(
                    f"{name[0].upper()}{name[1:]}: the certified log",
                    [
                        *bounds_blocks(games),
                        *disparity_blocks(games[-1]),
                        rates_table(games[-1].result),
                        *certificate_blocks(games),
                    ],
                )
                for name, games in models.items()
            ),
            Section("How to read it", [Bullets(HOW_TO_READ)]),
            Section("Assumptions", [Bullets(last.assumptions)]),
            Section("Not covered", [Bullets(not_covered(last))]),
        ],
    )


def _table(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    header = ["model", "accuracy", "Delta_EO", "game", "gap", "T1", "bound", "below tau"]
    rows = []
    for stage, name in STAGES.items():
        measured = record["stages"][stage]
        for game, game_name in GAMES.items():
            advantage = measured["advantage"][game]
            rows.append(
                [
                    name,
                    f"{measured['accuracy']:.3f}",
                    f"{measured['delta_eo']:.3f}",
                    game_name,
                    f"{measured['accuracy_gap'][game]:.3f}",
                    f"{advantage['point']:.3f}",
                    decimal_above(Fraction(advantage["upper"]), 3),
                    "yes" if advantage["below_tau"] else "no",
                ]
            )
    return header, rows


def _print(console: Console, header: list[str], rows: list[list[str]], summary: list[str]) -> None:
    table = ConsoleTable(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(name, justify="left" if name in ("model", "game") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table)
    console.print(Text(_LEGEND, style="dim"))
    console.print()
    for line in (*summary, NOT_COVERED_IN_SHORT):
        console.print(Text(line))
    console.print()
