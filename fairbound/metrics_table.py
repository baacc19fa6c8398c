"""Which fairness metrics bound the leak, by how much, and which do not: every entry certified (T4)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.exact import constant_classifier_counterexample
from fairbound.bounds.games import GAMES
from fairbound.bounds.knowledge import Knowledge, WorstCase, worst_case_given

BASE_RATES = (Fraction(1, 10), Fraction(3, 10))
LIMIT = Fraction(1, 20)
ACCURACY = Fraction(17, 20)
TRUE_POSITIVE_RATE, FALSE_POSITIVE_RATE = Fraction(3, 5), Fraction(1, 10)


@dataclass(frozen=True)
class Entry:
    """
    One cell of the table.

    Attributes
    ----------
    metric, game : str
    label_balanced : bool
    worst : WorstCase
    """

    metric: str
    game: str
    label_balanced: bool
    worst: WorstCase

    @property
    def file_name(self) -> str:
        """Name of its certificate."""
        words = "".join(c if c.isalnum() else "-" for c in self.metric.lower()).strip("-")
        return f"{words}_{self.game}_{'balanced' if self.label_balanced else 'raw'}.json"


def metrics(pair: CompositionPair) -> dict[str, Knowledge]:
    """What each metric tells about a binary classifier, for two pure worlds measured in equal parts."""
    population = Composition.mixture([Fraction(1, 2)] * 2, [pair.world_0, pair.world_1])
    nothing = Knowledge.nothing(pair)
    odds = nothing.equalized_odds(LIMIT)
    point = odds.operating_point(population, 1, 1, TRUE_POSITIVE_RATE)
    return {
        "nothing": nothing,
        "demographic parity": nothing.demographic_parity(population, LIMIT),
        "accuracy parity": nothing.accuracy_parity(population, LIMIT),
        "equal opportunity": nothing.equalized_odds(LIMIT, only=[1]),
        "equalized odds": odds,
        "equalized odds, accuracy known": odds.accuracy(population, ACCURACY),
        "equalized odds, operating point known": point.operating_point(population, 0, 1, FALSE_POSITIVE_RATE),
        "demographic and accuracy parity": (
            nothing.demographic_parity(population, LIMIT).accuracy_parity(population, LIMIT)
        ),
    }


def entries() -> list[Entry]:
    """Every metric in every game, raw and label-balanced."""
    raw = constant_classifier_counterexample(*BASE_RATES).pair
    return [
        Entry(metric, game, balanced, worst_case_given(raw.label_balanced() if balanced else raw, known, game))
        for metric, known in metrics(raw).items()
        for balanced in (False, True)
        for game in GAMES
    ]


CAPTION = (
    "Largest advantage of one draw's adversary, exact, for one instance: two pure worlds with base rates "
    f"{BASE_RATES[0]} and {BASE_RATES[1]}, metrics within {LIMIT} (accuracy {ACCURACY}, true and false positive rate "
    f"{TRUE_POSITIVE_RATE} and {FALSE_POSITIVE_RATE} where known), measured in a population that is half of each. "
    "Balanced: the game has equal label marginals; the metric is still measured in the original population."
)


def markdown(table: list[Entry]) -> str:
    """The table as Markdown."""
    columns = [(balanced, game) for balanced in (False, True) for game in GAMES]
    names = [f"{game}{', balanced' if balanced else ''}" for balanced, game in columns]
    lines = [f"| known | {' | '.join(names)} |", "|---" * (len(columns) + 1) + "|"]
    for metric in dict.fromkeys(entry.metric for entry in table):
        values = {(e.label_balanced, e.game): e.worst.value for e in table if e.metric == metric}
        cells = " | ".join(f"{float(values[column]):.4f}" for column in columns)
        lines.append(f"| {metric} | {cells} |")
    return "\n".join(lines) + "\n"


def write(table: list[Entry], folder: Path) -> list[Path]:
    """Write metrics.md and one certificate per entry into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "metrics.md"
    page.write_text(f"{CAPTION}\n\n{markdown(table)}", encoding="utf-8")
    return [page, *(entry.worst.certificate().write(folder / entry.file_name) for entry in table)]
