"""The main job on real data, start to end: a model of one group, fair fine-tuning, certified bounds, a report."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as ConsoleTable
from rich.text import Text

from fairbound.bounds import check
from fairbound.bounds.certify import certify_counts
from fairbound.bounds.noise import noise_floor
from fairbound.describe import NOT_COVERED_IN_SHORT
from fairbound.ingest import count_file
from fairbound.report import Picture, Section, Table, write_report

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
    sections, certificates = [], []
    for stage, stage_name in STAGES.items():
        counts = count_file(out / record["logs"][stage])
        for game, game_name in GAMES.items():
            result = certify_counts(counts, pure=(START, OTHER), label_balanced=game == "label_balanced")
            certificate = result.certificate()
            path = certificate.write(out / f"{stage}-{game_name}.certificate.json")
            check.check(check.load(path.read_bytes()))
            certificates.append(path)
            long_name = "raw" if game == "raw" else "label-balanced"
            title = f"{stage_name[0].upper()}{stage_name[1:]}, {long_name} game"
            sections.append(Section(title, result, noise_floor(result), certificate, shlex.quote(str(path))))
    figure = gap_and_bound.make(records, out)
    header, rows = _table(record)
    report = write_report(
        out / "report.html",
        title="What a model of COMPAS leaks about its population, before and after fair fine-tuning",
        summary=_summary(record),
        sections=sections,
        tables=[
            Table(
                header,
                rows,
                f"Certification split, seed {SEED}. {_LEGEND}",
            )
        ],
        pictures=[Picture(style.svg(gap_and_bound.draw(records)), gap_and_bound.caption(records))],
    )
    _print(console, header, rows, record)
    console.print(Text(f"Report:       {report}"))
    console.print(Text(f"Figure:       {figure[0]} (also .pdf, data in .csv)"))
    for section in sections:
        console.print(Text(f"Certificate:  {section.certificate_path} ({section.title}), checked"))
    console.print(Text(f"Check again:  fairbound check {sections[-1].certificate_path}"))
    return {
        "report": str(report),
        "figure": str(figure[0]),
        "certificates": [str(path) for path in certificates],
        "record": record,
    }


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
                    f"{advantage['upper']:.3f}",
                    "yes" if advantage["below_tau"] else "no",
                ]
            )
    return header, rows


def _summary(record: dict[str, Any]) -> list[str]:
    base, fft = record["stages"]["base"], record["stages"]["fft"]
    tau, floor = record["config"]["tau"], fft["noise_floor"]
    rows = sum(sum(cells.values()) for cells in record["rows"]["certification"].values())
    balanced, raw = fft["advantage"]["label_balanced"], fft["advantage"]["raw"]
    settled = "is settled: it is" if balanced["below_tau"] else "cannot be certified here: more rows are needed"
    shift = f"In the raw game label shift alone makes up {raw['label_shift']:.3f}"
    if raw["label_shift"] > tau:
        shift += (
            f", above tau = {tau:g}: no fairness constraint can certify it, and the published form Delta_EO * W = "
            f"{raw['delta_eo_times_W']:.3f} (as its abstract states it) is no bound there"
        )
    return [
        f"Fair fine-tuning took the equalized odds difference from {base['delta_eo']:.3f} to {fft['delta_eo']:.3f}, "
        f"the exact worst case (T1) in the label-balanced game from {base['advantage']['label_balanced']['point']:.3f} "
        f"to {balanced['point']:.3f}, and accuracy from {base['accuracy']:.3f} to {fft['accuracy']:.3f}.",
        f"On {rows} certification rows the 95 % bound is {balanced['upper']:.3f}. A log of this size without any "
        f"disparity would give {floor['label_balanced_upper']:.3f}, so whether the advantage is below tau = {tau:g} "
        f"{settled}.",
        f"{shift}.",
    ]


def _print(console: Console, header: list[str], rows: list[list[str]], record: dict[str, Any]) -> None:
    table = ConsoleTable(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(name, justify="left" if name in ("model", "game") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table)
    console.print(Text(_LEGEND, style="dim"))
    console.print()
    for line in (*_summary(record), NOT_COVERED_IN_SHORT):
        console.print(Text(line))
    console.print()
