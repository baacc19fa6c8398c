"""The report of a certified log: what was bounded, against whom, by how much, and how to check it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fairbound.bounds.alphabet import printable, shown_names
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.certify import Certification, certify_counts
from fairbound.bounds.channel import Channel
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.confidence import SimultaneousLimits
from fairbound.bounds.errors import CompositionError
from fairbound.bounds.exact import label_shift_reason
from fairbound.bounds.games import GAMES
from fairbound.bounds.noise import NoiseFloor, noise_floor
from fairbound.describe import (
    above,
    facts_at_measured_rates,
    label_shift,
    label_shift_floor,
    many_draws,
    not_covered,
    numbers,
    percent,
    priced_at,
    shown_point,
    verdict,
)
from fairbound.report import Block, Bullets, Code, Figure, Page, Paragraph, Section, Statement, Table
from fairbound.svg import Chart, Mark, Reference, Row

#: Most rows of a table, and of a figure; the certificate has them all.
MOST_ROWS, MOST_BARS = 200, 24

HOW_TO_READ = (
    "Advantage: how far an adversary's answers depend on which of two populations it faces, 0 (not at all) to 1 "
    "(always right). It guesses right (1 + advantage) / 2 of the time.",
    "Measured: what this log shows, and the exact worst case over all models with these disparities. At most: the "
    "same with sampling error covered; this is the number to rely on. Printed upper bounds are rounded up.",
    "Raw: each group keeps its own label marginal, so a difference in base rates counts as a leak, whatever the model "
    "does. Label-balanced: both worlds get the average marginal; what remains is the model's.",
    "Without any disparity: what a log of the same size certifies if the groups' rates agree exactly. A bound near it "
    "says that more rows are needed, not that the model leaks.",
)


@dataclass(frozen=True)
class CertifiedGame:
    """
    A certified log in one game.

    Attributes
    ----------
    result : Certification
    floor : NoiseFloor
    certificate : Certificate or None
        None for a game that is shown beside the one asked about.
    path : str or None
        Where the certificate was written.
    """

    result: Certification
    floor: NoiseFloor
    certificate: Certificate | None = None
    path: str | None = None

    @property
    def name(self) -> str:
        """Whose label marginals the worlds have."""
        return "label-balanced" if self.result.label_balanced else "raw"


def other_balance(result: Certification) -> CertifiedGame | None:
    """
    Certify the same counts raw if they were certified label-balanced, and the other way round.

    Returns
    -------
    CertifiedGame or None
        None if a given pair cannot be balanced.
    """
    given: CompositionPair | None = None if result.estimated else result.worst.raw_pair
    try:
        other = certify_counts(
            result.counts,
            pure=result.worst.groups if result.estimated and len(result.pairs) == 1 else None,
            pair=given,
            game=result.game,
            label_balanced=not result.label_balanced,
            confidence=result.confidence,
            on_missing=result.on_missing,
            theorem=result.theorem,
            method=result.method,
        )
    except CompositionError:
        return None
    return CertifiedGame(other, noise_floor(other))


def certify_page(
    asked: CertifiedGame, other: CertifiedGame | None, *, sources: Sequence[str], limit: Fraction | None = None
) -> Page:
    """
    The report of one log.

    Parameters
    ----------
    asked : CertifiedGame
        The game that the certificate is about.
    other : CertifiedGame or None
        As `other_balance` finds it.
    sources : sequence of str
        Names of the log's files.
    limit : Fraction, optional
        The largest acceptable advantage.

    Returns
    -------
    Page
    """
    result = asked.result
    games = [asked] if other is None else sorted((asked, other), key=lambda game: game.result.label_balanced)
    summary: list[Block] = [Statement(verdict(result)), *gate(result, limit)]
    more = f", and {len(sources) - MOST_ROWS} more" if len(sources) > MOST_ROWS else ""
    rows = (
        f"{result.counts.rows} rows, {len(result.counts.groups)} groups, {len(result.counts.labels)} labels, "
        f"{len(result.counts.outputs)} outputs, from {shown_names(sources[:MOST_ROWS])}{more}."
    )
    method = f"Value by {result.theorem}, {result.limits} (T9). {result.uniformity}"
    priced = priced_at(result)
    facts = [
        rows,
        method,
        label_shift(result),
        *([] if priced is None else [priced]),
        *facts_at_measured_rates(result, asked.floor),
        many_draws(result),
    ]
    if other is not None:
        facts.append(
            f"The {other.name} game is shown for comparison; its bound holds at the same level by itself, and the "
            "certificate is not about it."
        )
    return Page(
        "What a model's predictions reveal about its population",
        summary,
        [
            Section("Not covered", [Bullets(not_covered(result))]),
            Section("Assumptions", [Bullets(result.assumptions)]),
            Section("Bounds", bounds_blocks(games)),
            Section("Disparities", disparity_blocks(asked, limit)),
            Section("Rates", [rates_table(result)]),
            Section("What went in", [Bullets(facts)]),
            Section("How to read it", [Bullets(HOW_TO_READ)]),
            Section("Certificate", certificate_blocks([asked])),
        ],
    )


def gate(result: Certification, limit: Fraction | None) -> list[Block]:
    """
    Whether the bound is within a limit, and why not where no fairness could bring it there.

    Parameters
    ----------
    result : Certification
    limit : Fraction or None

    Returns
    -------
    list of Block
        Empty without a limit.
    """
    if limit is None:
        return []
    holds = result.upper <= limit
    relation = "within" if holds else "above"
    blocks: list[Block] = [Statement(f"The bound is {relation} the limit {float(limit):g} that was set.", holds)]
    reason = None if holds or result.label_balanced else label_shift_floor(result.worst, limit)
    return blocks if reason is None else [*blocks, Paragraph(reason)]


def bounds_blocks(games: Sequence[CertifiedGame]) -> list[Block]:
    """
    Bounds in each game, and what the best test attains on the log.

    Parameters
    ----------
    games : sequence of CertifiedGame
        Of one log.

    Returns
    -------
    list of Block
    """
    level = percent(games[0].result.confidence)
    header = ["label marginals", "worst pair", f"{games[0].result.theorem} measured", f"at most ({level})"]
    rows = [
        [
            game.name,
            printable(game.result.worst.name),
            numbers(game.result)[-1][1],
            above(game.result.upper),
            f"{float(game.result.worst.pair.label_shift):.4f}",
            above(game.floor.advantage_upper),
            *_published(game.result),
        ]
        for game in games
    ]
    header += ["label shift", "without any disparity", "Delta_EO * W", "a bound here"]
    bounds = Table(
        header,
        [[shown_point(cell) if not isinstance(cell, str) else cell for cell in row] for row in rows],
        "Advantage of telling the worst pair of worlds apart from one draw. The exact worst case is one value for all "
        "views in the next table. Delta_EO * W is the published form (arXiv:2606.01719, as its abstract states it), "
        "which covers no sampling error and no label shift.",
        2,
    )
    blocks: list[Block] = [bounds]
    if not games[0].result.counts.missing_cells():
        blocks.append(_best_tests(games))
    return blocks


def _published(result: Certification) -> tuple[str, str]:
    if result.counts.missing_cells():
        return "-", "-"
    pair = result.worst.pair
    value = f"{float(result.disparities.equalized_odds * pair.distance):.4f}"
    return value, "yes" if label_shift_reason(pair) is None else "no"


def _best_tests(games: Sequence[CertifiedGame]) -> Table:
    """Advantages of the best tests against this very model, by what they see."""
    game = games[0].result.game
    views = list(GAMES.values()) if game.name in GAMES else [game]
    channel = Channel.from_counts(games[0].result.counts)
    header = ["game", "the adversary sees"]
    for shown in games:
        header += [f"best test, {shown.name}", f"at most, {shown.name}"]
    rows = []
    for view in views:
        row = [printable(view.name), printable(view.sees)]
        for shown in games:
            worst = shown.result.worst.pair
            row += [f"{float(view.advantage(worst, channel)):.4f}", above(shown.result.upper)]
        rows.append(row)
    caption = "Best test against this model at the measured rates, for the worst pair of each game, beside the bound."
    return Table(header, rows, caption, 2)


def disparity_blocks(game: CertifiedGame, limit: Fraction | None = None) -> list[Block]:
    """
    Disparities and advantages with their upper limits, as a figure and a table.

    Parameters
    ----------
    game : CertifiedGame
    limit : Fraction, optional
        Drawn in the figure.

    Returns
    -------
    list of Block
    """
    result, level = game.result, percent(game.result.confidence)
    quantities = numbers(result)
    advantage = (f"advantage, {game.name}", quantities[-1][1], result.upper)
    odds = quantities[len(result.counts.labels)]
    labels = sorted(quantities[: len(result.counts.labels)], key=lambda row: -row[2])
    drawn = [row for row in quantities[: len(result.counts.labels)] if row in labels[:MOST_BARS]]
    floor = game.floor.advantage_upper
    references = [Reference(f"bound without any disparity: {above(floor)}", float(floor), "floor")]
    if limit is not None:
        references.append(Reference(f"limit of the advantage: {float(limit):g}", float(limit)))
    chart = Chart(
        "Disparities and advantage with their upper limits",
        "One row for each label's disparity, the equalized odds difference and the advantage: the measured value and "
        "its upper limit. The table below has the numbers.",
        "total variation, 0 to 1",
        [f"measured, with its upper limit ({level})"],
        [
            Row(name, [Mark(None if point is None else float(point), high=float(upper))], _note(point, upper))
            for name, point, upper in [*drawn, odds, advantage]
        ],
        references,
    )
    left_out = len(labels) - len(drawn)
    caption = "The disparity of a label is the largest distance between two groups' predictions for that true label."
    if left_out:
        caption += f" {left_out} labels with smaller limits are left out."
    blocks: list[Block] = [Figure(chart, caption)]
    blocks.append(
        _cut(
            ["", "measured", f"at most ({level})"],
            [[name, shown_point(point), above(upper)] for name, point, upper in quantities],
            f"Disparities and advantages, {game.name} game. {result.uniformity}",
        )
    )
    return blocks


def _note(point: Fraction | None, upper: Fraction) -> str:
    return f"{shown_point(point)}, at most {above(upper)}"


def rates_table(result: Certification) -> Table:
    """
    Rates of each prediction by group and label, with intervals that hold at once.

    Parameters
    ----------
    result : Certification

    Returns
    -------
    Table
        For two outputs the rate of the second, otherwise of all.
    """
    counts = result.counts
    limits = SimultaneousLimits.from_counts(counts, result.confidence, estimated=False)
    shown = range(1, 2) if len(counts.outputs) == 2 else range(len(counts.outputs))
    rows = [
        [printable(str(group)), printable(str(label)), printable(str(counts.outputs[z])), str(n), *rate]
        for group, plane, sizes, lower in zip(counts.groups, counts.table, counts.cell_rows, limits.rates, strict=True)
        for label, cell, n, low in zip(counts.labels, plane, sizes, lower, strict=True)
        for z, rate in ((z, _rate(cell, low, z)) for z in shown)
    ]
    caption = (
        f"Shares of a prediction among a group's rows with a true label. All intervals hold at once with confidence "
        f"{percent(result.confidence)} (Clopper-Pearson, T9 (i))"
        + ("." if result.limits.method == "clopper-pearson" else f"; the bound itself is by {result.limits.method}.")
    )
    return _cut(["group", "label", "prediction", "rows", "rate", "at least", "at most"], rows, caption, 3)


def _rate(cell: Sequence[int], lower: Sequence[Fraction], z: int) -> tuple[str, str, str]:
    """A measured rate and its limits, rounded outwards; the upper one is what the other outputs' limits leave."""
    n = sum(cell)
    upper = 1 - sum((low for i, low in enumerate(lower) if i != z), Fraction(0))
    return shown_point(Fraction(cell[z], n) if n else None), f"{math.floor(lower[z] * 10**4) / 10**4:.4f}", above(upper)


def certificate_blocks(games: Iterable[CertifiedGame]) -> list[Block]:
    """
    Digests, and the commands that check the certificates.

    Parameters
    ----------
    games : iterable of CertifiedGame
        Those without a certificate are passed over.

    Returns
    -------
    list of Block
    """
    blocks: list[Block] = []
    for game in games:
        if game.certificate is None:
            continue
        blocks.append(Paragraph(f"Digest (SHA-256) of the certificate of the {game.name} game:"))
        blocks.append(Code([game.certificate.digest]))
        if game.path is None:
            blocks.append(
                Paragraph("The certificate was checked and not kept; --out FILE writes one with this digest.")
            )
        else:
            blocks.append(
                Paragraph(
                    "Check it again; the checker itself, fairbound/bounds/check.py, needs the standard library alone:"
                )
            )
            blocks.append(Code([f"fairbound check {shlex.quote(game.path)}"]))
    return blocks


def _cut(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, text_columns: int = 1) -> Table:
    """A table of at most `MOST_ROWS` rows, whose caption says if there are more."""
    if len(rows) > MOST_ROWS:
        caption += f" The first {MOST_ROWS} of {len(rows)} rows; the certificate has what the others follow from."
    return Table(header, rows[:MOST_ROWS], caption, text_columns)
