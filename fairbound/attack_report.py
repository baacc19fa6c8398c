"""The report of attacks: what adversaries attained against each defence, beside what the bound says, and of whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from fairbound.bounds.errors import NumberError
from fairbound.bounds.rational import decimal_above
from fairbound.describe import sentence
from fairbound.report import Block, Bullets, Figure, Page, Paragraph, Section, Statement, Table
from fairbound.svg import Chart, Mark, Reference, Row

Verdict = Literal["within", "exceeds", "inconclusive"]
_VERDICTS = ("within", "exceeds", "inconclusive")

HOW_TO_READ = (
    "Advantage: 2 p - 1 for an adversary that tells the worlds right with probability p; 0 is blind guessing. It is "
    "negative where an attack, chosen without seeing these models, is wrong more often than right.",
    "Within: the whole interval is at most the bound. Exceeds: the whole interval is above it. Inconclusive: neither.",
    "An adaptive adversary knows the defence and trains its own models under it; without one a defence is not tested.",
    "Exceeding does not refute the bound where the adversary is one that the bound does not cover.",
)


@dataclass(frozen=True)
class MeasuredAttack:
    """
    What one adversary attained.

    Attributes
    ----------
    name : str
    adaptive : bool
        Whether its own models were trained under the defence.
    advantage : float
    low, high : float
        Confidence interval, whose unit is the model.
    adjusted_p : float or None
        Of no advantage at all, adjusted for the number of attacks; None where no test was made.
    verdict : {"within", "exceeds", "inconclusive"}
        Of the interval against the defence's first bound.

    Raises
    ------
    NumberError
        If the interval does not hold the advantage, or for another verdict.
    """

    name: str
    adaptive: bool
    advantage: float
    low: float
    high: float
    adjusted_p: float | None
    verdict: Verdict

    def __post_init__(self) -> None:
        if not -1 <= self.low <= self.advantage <= self.high <= 1:
            raise NumberError(
                f"the interval [{self.low}, {self.high}] of the attack {self.name!r} does not hold its advantage "
                f"{self.advantage}, or lies outside [-1, 1]; give low <= advantage <= high."
            )
        if self.verdict not in _VERDICTS:
            raise NumberError(f"no verdict {self.verdict!r}; choose one of {', '.join(_VERDICTS)}.")


@dataclass(frozen=True)
class AttackedDefence:
    """
    A defence, or the undefended model, under attack.

    Attributes
    ----------
    name : str
    attacks : sequence of MeasuredAttack
    bounds : sequence of (str, float)
        Names and values, rounded up, of one to three bounds; verdicts compare with the first.
    utility : float
    delta_eo : float

    Raises
    ------
    NumberError
        If there is no bound, or more than three.
    """

    name: str
    attacks: Sequence[MeasuredAttack]
    bounds: Sequence[tuple[str, float]]
    utility: float
    delta_eo: float

    def __post_init__(self) -> None:
        if not 1 <= len(self.bounds) <= 3:
            raise NumberError(f"{self.name!r} has {len(self.bounds)} bounds; give one to three.")


@dataclass(frozen=True)
class AttackReport:
    """
    Attacks on several defences in one pair of worlds.

    Attributes
    ----------
    worlds : str
        What the adversary tells apart, as the object of "tells".
    covered : str
        The adversary that the bounds cover, as the subject of a sentence.
    not_covered : sequence of str
        Adversaries that they do not cover.
    confidence : float
        Level of the intervals.
    utility_name : str
        What `utility` measures.
    defences : sequence of AttackedDefence
    facts : sequence of str
        Settings, in sentences.
    """

    worlds: str
    covered: str
    not_covered: Sequence[str]
    confidence: float
    utility_name: str
    defences: Sequence[AttackedDefence]
    facts: Sequence[str]


def attack_page(report: AttackReport) -> Page:
    """
    Lay attacks out as a report.

    Parameters
    ----------
    report : AttackReport

    Returns
    -------
    Page
    """
    summary: list[Block] = [
        Statement(_finding(report)),
        Statement(f"The bounds cover {report.covered}. They say nothing about other adversaries."),
    ]
    header = ["defence", "strongest attack", "verdict", "advantage", "bound", report.utility_name, "Delta_EO"]
    rows = []
    for defence in report.defences:
        best = max(defence.attacks, key=lambda attack: attack.advantage, default=None)
        rows.append(
            [
                defence.name,
                *(("-",) * 3 if best is None else (_adversary(best), best.verdict, f"{best.advantage:.3f}")),
                _up(defence.bounds[0][1]),
                f"{defence.utility:.3f}",
                f"{defence.delta_eo:.3f}",
            ]
        )
    overview = Table(header, rows, "Compare defences at equal utility. The bound is the first one of each defence.", 3)
    return Page(
        "What attacks learn about a model's population, beside the bound",
        summary,
        [
            Section("Defences", [overview]),
            *(Section(defence.name, _defence_blocks(report, defence)) for defence in report.defences),
            Section("What went in", [Bullets(report.facts)]),
            Section("How to read it", [Bullets(HOW_TO_READ)]),
            Section("Not covered", [Bullets([sentence(line) for line in report.not_covered])]),
        ],
    )


def _finding(report: AttackReport) -> str:
    attacks = [attack for defence in report.defences for attack in defence.attacks]
    counts = {name: sum(attack.verdict == name for attack in attacks) for name in _VERDICTS}
    return (
        f"Attacks that tried to tell {report.worlds}: {len(attacks)}. Within the bound: {counts['within']}; above it: "
        f"{counts['exceeds']}; inconclusive: {counts['inconclusive']} (intervals of {100 * report.confidence:g} %)."
    )


def _defence_blocks(report: AttackReport, defence: AttackedDefence) -> list[Block]:
    level = f"{100 * report.confidence:g} %"
    bounds = [f"{name}: {_up(value)}" for name, value in defence.bounds]
    chart = Chart(
        f"Measured advantages against {defence.name}, beside the bound",
        "One row for each attack: measured advantage and its confidence interval, with the bounds as vertical lines. "
        "The table below has the numbers.",
        "advantage, -1 to 1",
        [f"measured advantage, with its {level} interval"],
        [
            Row(_adversary(attack), [Mark(attack.advantage, attack.low, attack.high)], _note(attack))
            for attack in defence.attacks
        ],
        [
            Reference(text, value, kind)
            for text, (_, value), kind in zip(bounds, defence.bounds, ("limit", "other", "floor"), strict=False)
        ],
    )
    rows = [
        [
            attack.name,
            "yes" if attack.adaptive else "no",
            attack.verdict,
            f"{attack.advantage:.3f}",
            f"{attack.low:.3f}",
            f"{attack.high:.3f}",
            "-" if attack.adjusted_p is None else _p(attack.adjusted_p),
        ]
        for attack in defence.attacks
    ]
    table = Table(
        ["attack", "adaptive", "verdict", "advantage", "at least", "at most", "adjusted p"],
        rows,
        f"Intervals of {level}, whose unit is the model. Verdicts compare them with {bounds[0]}.",
        3,
    )
    text = (
        f"{report.utility_name}: {defence.utility:.3f}. Delta_EO: {defence.delta_eo:.3f}. Bounds: {'; '.join(bounds)}."
    )
    if not defence.attacks:
        return [Paragraph(text), Paragraph("No attack was run.")]
    return [Paragraph(text), Figure(chart, f"The bounds cover {report.covered}."), table]


def _adversary(attack: MeasuredAttack) -> str:
    return f"{attack.name}, adaptive" if attack.adaptive else attack.name


def _note(attack: MeasuredAttack) -> str:
    return f"{attack.advantage:.3f} [{attack.low:.3f}, {attack.high:.3f}], {attack.verdict}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _up(value: float) -> str:
    return decimal_above(Fraction(value), 3)
