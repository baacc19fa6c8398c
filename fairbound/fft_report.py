"""The report of fair fine-tuning: what it did to disparity, usefulness and bounds, over the seeds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import Any

from fairbound.bounds.rational import decimal_above
from fairbound.certify_report import HOW_TO_READ
from fairbound.describe import NOT_COVERED_IN_SHORT
from fairbound.empirical.means import mean_interval
from fairbound.report import Block, Bullets, Code, Figure, Page, Paragraph, Section, Statement, Table
from fairbound.svg import Chart, Mark, Reference, Row

GAMES = {"raw": "raw", "label_balanced": "label-balanced"}

Record = Mapping[str, Any]


def fft_page(records: Sequence[Record], out: Path) -> Page:
    """
    The report of runs of the biased distribution protocol.

    Parameters
    ----------
    records : sequence of dict
        As `fairbound.empirical.run_many` returns them, of one configuration but for the direction.
    out : Path
        Folder of the runs.

    Returns
    -------
    Page
    """
    first = records[0]
    directions = [list(runs) for _, runs in groupby(records, key=lambda record: record["start"])]
    summary: list[Block] = []
    sections: list[Section] = []
    for runs in directions:
        name = f"{runs[0]['start']} to {runs[0]['other']}"
        summary += [Statement(f"{name}: {line}" if i == 0 else line) for i, line in enumerate(findings(runs))]
        sections.append(
            Section(f"Base model of {runs[0]['start']}, fine-tuned on {runs[0]['other']}", run_blocks(runs))
        )
    summary.append(Paragraph(NOT_COVERED_IN_SHORT))
    return Page(
        f"Fair fine-tuning on {first['dataset']}, {first['attribute']}",
        summary,
        [
            *sections,
            Section("What went in", [Bullets(_settings(records))]),
            Section("How to read it", [Bullets(HOW_TO_READ)]),
            Section("Certify the models", _commands(records, out)),
        ],
    )


def findings(records: Sequence[Record]) -> list[str]:
    """
    What the runs of one direction found, in sentences.

    Parameters
    ----------
    records : sequence of dict
        One per seed.

    Returns
    -------
    list of str
    """
    first = records[0]
    stages, tau = _stages(records), first["config"]["tau"]
    level = f"{100 * first['config']['confidence']:g} %"
    mean = f" (means of {len(records)} seeds)" if len(records) > 1 else ""
    lines = []
    if "base" in stages and "fft" in stages:
        moves = (
            ("the equalized odds difference", ("delta_eo",)),
            ("the exact worst case (T1) in the label-balanced game", ("advantage", "label_balanced", "point")),
            ("accuracy", ("accuracy",)),
        )
        told = [f"{name} from {_mean(records, 'base', *p):.3f} to {_mean(records, 'fft', *p):.3f}" for name, p in moves]
        lines.append(f"Fair fine-tuning took {told[0]}, {told[1]}, and {told[2]}{mean}.")
    reference = _reference(records)
    if reference is not None:
        upper = _mean(records, reference, "advantage", "label_balanced", "upper")
        floor = _mean(records, reference, "noise_floor", "label_balanced_upper")
        below = sum(record["stages"][reference]["advantage"]["label_balanced"]["below_tau"] for record in records)
        settled = "is below" if below == len(records) else f"is below in {below} of {len(records)} runs, not always"
        if below == 0:
            settled = "cannot be certified below"
        several = len(records) > 1
        average = f"the {level} bounds of {len(records)} runs are on average" if several else f"the {level} bound is"
        lines.append(
            f"On {_rows(first)} certification rows, for {reference} in the label-balanced game, {average} "
            f"{_up(upper)}; a log of this size without any disparity would give {_up(floor)}. The advantage {settled} "
            f"tau = {tau:g}" + (", each run by its own bound." if several else ".")
        )
    return lines + _raw(records)


def _raw(records: Sequence[Record]) -> list[str]:
    """What label shift does to the raw game."""
    reasons = [record["raw_reason"] for record in records if record["raw_reason"] is not None]
    if not reasons:
        return []
    models = [measured for record in records for measured in record["stages"].values()]
    published, exact = (sum(m[f"gap_exceeds_{name}"] for m in models) for name in ("paper_form", "exact"))
    return [
        reasons[0],
        "There the published form Delta_EO * W (as its abstract states it) is no bound; the accuracy gap is above it "
        f"in {published} of {len(models)} models (C1), and above the exact worst case (T1) in {exact}.",
    ]


def run_blocks(records: Sequence[Record]) -> list[Block]:
    """
    Tables, figures and warnings of one direction.

    Parameters
    ----------
    records : sequence of dict
        One per seed.

    Returns
    -------
    list of Block
    """
    first, stages = records[0], _stages(records)
    if not stages:
        return [Bullets(list(_warnings(records)))]
    level = f"{100 * first['config']['confidence']:g} %"
    seeds = "" if len(records) == 1 else f" Mean over {len(records)} seeds, ± half of Student's 95 % interval of it."
    blocks: list[Block] = [Figure(_chart(records, game), _caption(records, game)) for game in GAMES]
    useful = {
        "accuracy": ("accuracy",),
        "balanced accuracy": ("balanced_accuracy",),
        "AUC": ("auc",),
        "Delta_EO": ("delta_eo",),
        "Delta_EO if fair": ("noise_floor", "delta_eo_mean"),
    }
    rows = [[stage, *(_cell(records, stage, path) for path in useful.values())] for stage in stages]
    caption = (
        f"Certification split.{seeds} If fair: what a model with the groups' rates pooled would measure on average."
    )
    blocks.append(Table(["model", *useful], rows, caption))
    rows = []
    for stage in stages:
        for game, name in GAMES.items():
            path = ("advantage", game)
            below = sum(record["stages"][stage]["advantage"][game]["below_tau"] for record in records)
            rows.append(
                [
                    stage,
                    name,
                    _cell(records, stage, ("accuracy_gap", game)),
                    f"{_mean(records, stage, *path, 'measured'):.3f}",
                    _cell(records, stage, (*path, "point")),
                    _cell(records, stage, (*path, "upper"), up=True),
                    _up(_mean(records, stage, "noise_floor", f"{game}_upper")),
                    f"{_mean(records, stage, *path, 'delta_eo_times_W'):.3f}",
                    "yes" if first["stages"][stage]["advantage"][game]["paper_form_applies"] else "no",
                    f"{below} of {len(records)}",
                ]
            )
    header = ["model", "game", "accuracy gap", "best test", "T1", f"{level} bound", "without disparity"]
    header += ["Delta_EO * W", "a bound", f"below tau = {first['config']['tau']:g}"]
    caption = (
        f"Advantages of one draw.{seeds} T1: exact worst case over all models with these disparities; bound: T1 with "
        "sampling error covered; best test: against this model, on this log. The accuracy gap may hide disparity by "
        "cancellation. Bounds are rounded up."
    )
    blocks.append(Table(header, rows, caption, 2))
    lines = list(_warnings(records))
    return [*blocks, Bullets(lines)] if lines else blocks


def _warnings(records: Sequence[Record]) -> Iterator[str]:
    for stage in _stages(records):
        constant = [record for record in records if record["stages"][stage]["near_constant"]]
        if constant:
            share = max(record["stages"][stage]["largest_prediction_share"] for record in constant)
            yield (
                f"{stage} is a nearly constant predictor in {len(constant)} of {len(records)} runs (up to {share:.2%} "
                "of the rows get one label): a small disparity is no achievement there."
            )
    for stage, reason in {stage: reason for record in records for stage, reason in record["skipped"].items()}.items():
        yield f"{stage}: not run, {reason}."
    if any(record["rehearsal_capped"] for record in records):
        yield f"Fewer rows of {records[0]['start']} exist than the rehearsal asks for; all were taken."
    for how in {m["advantage"]["label_balanced"]["compositions"]: None for r in records for m in r["stages"].values()}:
        yield f"Compositions of the label-balanced game: {how}."
    fresh = [measured["fresh"] for record in records for measured in record["stages"].values()]
    halves = [found[game]["exceeded"] for found in fresh if found is not None for game in GAMES]
    if halves:
        yield (
            f"Fresh rows: the bound from one half of the certification rows is exceeded by the accuracy gap on the "
            f"other in {sum(halves)} of {len(halves)} comparisons."
        )


def _chart(records: Sequence[Record], game: str) -> Chart:
    first = records[0]
    level = f"{100 * first['config']['confidence']:g} %"
    rows = []
    for stage in _stages(records):
        gap = _mean(records, stage, "accuracy_gap", game)
        exact, upper = (_mean(records, stage, "advantage", game, name) for name in ("point", "upper"))
        marks = [Mark(exact, high=upper), Mark(gap)]
        rows.append(Row(stage, marks, f"gap {gap:.3f}, T1 {exact:.3f}, bound {_up(upper)}"))
    tau = first["config"]["tau"]
    floor = _mean(records, _reference(records), "noise_floor", f"{game}_upper")
    return Chart(
        f"Before and after fair fine-tuning, {GAMES[game]} game",
        "One row for each model: accuracy gap, exact worst case and its upper confidence bound. The tables below have "
        "the numbers.",
        f"advantage of one draw, {GAMES[game]} game",
        [f"exact worst case (T1), with its {level} bound", "accuracy gap"],
        rows,
        [
            Reference(f"tau = {tau:g}", tau),
            Reference(f"bound without any disparity, at this size: {_up(floor)}", floor, "floor"),
        ],
    )


def _caption(records: Sequence[Record], game: str) -> str:
    first, name = records[0], GAMES[game].capitalize()
    return (
        f"{name} game. {first['dataset']}, {first['attribute']}: {first['start']} (base) and {first['other']}, "
        f"rehearsal {first['rehearsal']:g}, {_rows(first)} certification rows"
        + (f"; means of {len(records)} seeds." if len(records) > 1 else ".")
    )


def _settings(records: Sequence[Record]) -> list[str]:
    first = records[0]
    config = first["config"]
    shares = f"shares {first['alpha0']} and {first['alpha1']} of the second group"
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(record["seed"] for record in records))
    lines = [
        f"Data: {first['dataset']}, attribute {first['attribute']}, classes {', '.join(first['classes'])}; "
        f"{first['dropped_rows']} rows of other groups left out.",
        *(f"SHA-256 of {name}: {digest}" for name, digest in first["data_sha256"].items()),
        f"Worlds: {first['start']} and {first['other']}, {shares}; models {_sees(first)} the attribute.",
        f"Seeds {seeds}; rehearsal {first['rehearsal']:g}; loss {config['loss']}; configurations "
        f"{', '.join(dict.fromkeys(record['config_hash'] for record in records))}.",
        "Versions: " + ", ".join(f"{name} {number}" for name, number in first["versions"].items()) + ".",
    ]
    for part, groups in first["rows"].items():
        cells = "; ".join(
            f"{group}: " + ", ".join(f"{n} of label {first['classes'][int(y)]}" for y, n in labels.items())
            for group, labels in groups.items()
        )
        lines.append(f"Rows, {part} (seed {first['seed']}): {cells}.")
    return lines


def _sees(record: Record) -> str:
    return "see" if record["include_attribute"] else "do not see"


def _commands(records: Sequence[Record], out: Path) -> list[Block]:
    """How to certify and check the models that the page is about."""
    stage = _reference(records)
    if stage is None:
        return [Paragraph("No model was trained.")]
    lines = []
    for record in records:
        log = out / record["logs"][stage]
        certificate = shlex.quote(f"{log.stem}.certificate.json")
        lines.append(f"fairbound certify {shlex.quote(str(log))} --label-balanced --out {certificate}")
        lines.append(f"fairbound check {certificate}")
    text = f"The prediction logs are kept. These commands certify those of {stage} and check the certificates:"
    return [Paragraph(text), Code(lines)]


def _stages(records: Sequence[Record]) -> list[str]:
    """The stages that every run has."""
    return [stage for stage in records[0]["stages"] if all(stage in record["stages"] for record in records)]


def _reference(records: Sequence[Record]) -> str | None:
    """The stage that summaries are about."""
    stages = _stages(records)
    return "fft" if "fft" in stages else next(iter(stages), None)


def _rows(record: Record) -> int:
    return sum(sum(cells.values()) for cells in record["rows"]["certification"].values())


def _values(records: Sequence[Record], stage: str, path: Sequence[str]) -> list[Any]:
    found: list[Any] = [record["stages"][stage] for record in records]
    for key in path:
        found = [value[key] for value in found]
    return found


def _mean(records: Sequence[Record], stage: str | None, *path: str) -> float:
    assert stage is not None
    return fmean(_values(records, stage, path))


def _cell(records: Sequence[Record], stage: str, path: Sequence[str], *, up: bool = False) -> str:
    """Mean over the seeds with half of its interval; a dash where a seed has no value."""
    values = _values(records, stage, path)
    if any(value is None for value in values):
        return "-"
    mean, half = mean_interval(values)
    text = _up(mean) if up else f"{mean:.3f}"
    return text if isnan(half) else f"{text} ± {half:.3f}"


def _up(value: float) -> str:
    return decimal_above(Fraction(value), 3)
