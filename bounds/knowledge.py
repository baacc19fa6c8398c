"""The worst case given any linear knowledge on a model's cell rates, by exact linear programmes (T4)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, Literal

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.channel import Channel
from fairbound.bounds.check import KNOWLEDGE_SCHEMA
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.errors import AlphabetError, FairboundError
from fairbound.bounds.exact import Witness
from fairbound.bounds.exact_lp import LinearProgramError, Row, Solution, maximise
from fairbound.bounds.games import Game, get_game
from fairbound.bounds.proved_by import proved_by

MAX_VIEWS = 10
Cell = tuple[int, int, int]
"""Positions of group, label and output."""


class KnowledgeError(FairboundError):
    """What is said to be known contradicts itself, or is too large to solve."""


@dataclass(frozen=True)
class Fact:
    """
    One linear fact `sum coefficients * Q(z | a, y)  (<= or =)  limit`.

    Attributes
    ----------
    name : str
        The fact in words.
    coefficients : tuple of ((group, label, output) positions, Fraction)
    sense : {"<=", "="}
    limit : Fraction
    """

    name: str
    coefficients: tuple[tuple[Cell, Fraction], ...]
    sense: Literal["<=", "="]
    limit: Fraction


@dataclass(frozen=True)
class Knowledge:
    """
    Linear facts about a channel over given alphabets; facts add up with ``&``.

    Parameters
    ----------
    groups, labels, outputs : tuple of Symbol
    facts : tuple of Fact
    """

    groups: tuple[Symbol, ...]
    labels: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]
    facts: tuple[Fact, ...] = ()

    @classmethod
    def nothing(cls, pair: CompositionPair, outputs: Sequence[Symbol] | None = None) -> Knowledge:
        """No facts, over a pair's groups and labels; `outputs` default to the labels."""
        return cls(pair.groups, pair.labels, pair.labels if outputs is None else tuple(outputs))

    def __and__(self, other: Knowledge) -> Knowledge:
        if (self.groups, self.labels, self.outputs) != (other.groups, other.labels, other.outputs):
            raise AlphabetError("knowledge over different groups, labels or outputs cannot be joined.")
        return Knowledge(self.groups, self.labels, self.outputs, self.facts + other.facts)

    def equalized_odds(self, limit: Fraction, *, only: Iterable[Symbol] | None = None) -> Knowledge:
        """
        Add: within each label, every two groups' output distributions are within `limit` in total variation.

        Parameters
        ----------
        limit : Fraction
        only : iterable of Symbol, optional
            Labels for which this is known; one favourable label alone is equal opportunity.
        """
        labels = set(self.labels if only is None else only)
        facts = [
            Fact(
                f"disparity of label {self.labels[y]} at most {limit}",
                tuple(((a, y, z), Fraction(1)) for z in event) + tuple(((b, y, z), Fraction(-1)) for z in event),
                "<=",
                Fraction(limit),
            )
            for y, label in enumerate(self.labels)
            if label in labels
            for a, b in self._ordered_pairs()
            for event in _events(len(self.outputs))
        ]
        return self._with(facts)

    def demographic_parity(self, population: Composition, limit: Fraction) -> Knowledge:
        """Add: every two groups' output distributions in a population are within `limit` in total variation."""
        facts = []
        for a, b in self._ordered_pairs():
            for event in _events(len(self.outputs)):
                terms = [
                    ((group, y, z), sign * share)
                    for group, sign in ((a, 1), (b, -1))
                    for y, share in enumerate(_within_group(population, group))
                    for z in event
                ]
                facts.append(Fact(f"demographic parity within {limit}", tuple(terms), "<=", Fraction(limit)))
        return self._with(facts)

    def accuracy_parity(self, population: Composition, limit: Fraction) -> Knowledge:
        """Add: every two groups' accuracies in a population differ by at most `limit`."""
        facts = []
        for a, b in self._ordered_pairs():
            terms = [
                ((group, y, self.outputs.index(label)), sign * share)
                for group, sign in ((a, 1), (b, -1))
                for y, (label, share) in enumerate(zip(self.labels, _within_group(population, group), strict=True))
            ]
            facts.append(Fact(f"accuracy parity within {limit}", tuple(terms), "<=", Fraction(limit)))
        return self._with(facts)

    def accuracy(self, population: Composition, value: Fraction) -> Knowledge:
        """Add: the accuracy in a population is exactly `value`."""
        terms = tuple(
            ((a, y, self.outputs.index(label)), population.mass[a][y])
            for a in range(len(self.groups))
            for y, label in enumerate(self.labels)
        )
        return self._with([Fact(f"accuracy is {value}", terms, "=", Fraction(value))])

    def operating_point(self, population: Composition, label: Symbol, output: Symbol, value: Fraction) -> Knowledge:
        """Add: among rows of one label in a population, the share of one output is exactly `value`."""
        y, z = self.labels.index(label), self.outputs.index(output)
        total = sum((row[y] for row in population.mass), Fraction(0))
        if total == 0:
            raise KnowledgeError(f"label {label!r} has no mass in the population, so it has no operating point.")
        terms = tuple(((a, y, z), population.mass[a][y] / total) for a in range(len(self.groups)))
        return self._with([Fact(f"share of {output} among label {label} is {value}", terms, "=", Fraction(value))])

    def rate_at_most(self, group: Symbol, label: Symbol, output: Symbol, limit: Fraction) -> Knowledge:
        """Add: one cell's rate is at most `limit`."""
        cell = (self.groups.index(group), self.labels.index(label), self.outputs.index(output))
        name = f"rate of {output} for group {group}, label {label} at most {limit}"
        return self._with([Fact(name, ((cell, Fraction(1)),), "<=", Fraction(limit))])

    def rate_at_least(self, group: Symbol, label: Symbol, output: Symbol, limit: Fraction) -> Knowledge:
        """Add: one cell's rate is at least `limit`."""
        cell = (self.groups.index(group), self.labels.index(label), self.outputs.index(output))
        name = f"rate of {output} for group {group}, label {label} at least {limit}"
        return self._with([Fact(name, ((cell, Fraction(-1)),), "<=", -Fraction(limit))])

    def _with(self, facts: Iterable[Fact]) -> Knowledge:
        return Knowledge(self.groups, self.labels, self.outputs, (*self.facts, *facts))

    def _ordered_pairs(self) -> list[tuple[int, int]]:
        n = range(len(self.groups))
        return [(a, b) for a in n for b in n if a != b]


@dataclass(frozen=True)
class WorstCase:
    """
    The largest advantage over all channels with known facts, with its proof.

    Attributes
    ----------
    value : Fraction
        Exact.
    witness : Witness
        A channel with these facts that attains it.
    knowledge : Knowledge
    game : Game
    duals : tuple of tuple of Fraction
        For each set of views, multipliers that bound `P_0(set) - P_1(set)`: first of the G * K normalisations, then of
        the facts.
    """

    value: Fraction
    witness: Witness
    knowledge: Knowledge
    game: Game
    duals: tuple[tuple[Fraction, ...], ...]

    def certificate(self) -> Certificate:
        """Everything needed to check value and witness again, checked once already (`fairbound check`)."""
        pair, known = self.witness.pair, self.knowledge
        return Certificate.seal(
            {
                "game": self.game.name,
                "groups": list(known.groups),
                "labels": list(known.labels),
                "outputs": list(known.outputs),
                "world_0": [[str(m) for m in row] for row in pair.world_0.mass],
                "world_1": [[str(m) for m in row] for row in pair.world_1.mass],
                "facts": [
                    {
                        "name": fact.name,
                        "sense": fact.sense,
                        "limit": str(fact.limit),
                        "coefficients": [[*cell, str(c)] for cell, c in fact.coefficients],
                    }
                    for fact in known.facts
                ],
                "multipliers": [[str(m) for m in dual] for dual in self.duals],
                "witness": [[[str(r) for r in row] for row in plane] for plane in self.witness.channel.rates],
                "value": str(self.value),
            },
            schema=KNOWLEDGE_SCHEMA,
        )


@proved_by("T4")
def worst_case_given(pair: CompositionPair, knowledge: Knowledge, game: str | Game = "labelled") -> WorstCase:
    """
    Exact worst case over all channels that have the known facts (T4).

    The advantage is the maximum over sets of views of `P_0 - P_1`; each set gives a linear programme in the rates,
    solved and certified exactly. At most `MAX_VIEWS` views.

    Parameters
    ----------
    pair : CompositionPair
    knowledge : Knowledge
        Over the pair's groups and labels.
    game : str or Game

    Returns
    -------
    WorstCase

    Raises
    ------
    KnowledgeError
        If no channel has the facts, or there are too many views.
    AlphabetError
        If the alphabets differ.
    """
    game = get_game(game)
    if (pair.groups, pair.labels) != (knowledge.groups, knowledge.labels):
        raise AlphabetError("the pair and the knowledge have different groups or labels.")
    shape = (len(knowledge.groups), len(knowledge.labels), len(knowledge.outputs))
    views = list(dict.fromkeys(game.view(y, z) for y in knowledge.labels for z in knowledge.outputs))
    if len(views) > MAX_VIEWS:
        raise KnowledgeError(
            f"{len(views)} views need 2^{len(views)} linear programmes; at most {MAX_VIEWS} are solved."
        )
    rows = _rows(knowledge, shape)
    best: tuple[Fraction, Solution] | None = None
    duals = []
    for chosen in range(2 ** len(views)):
        shown = {view for bit, view in enumerate(views) if chosen >> bit & 1}
        try:
            solution = maximise(_objective(pair, knowledge, game, shown), rows)
        except LinearProgramError:
            raise KnowledgeError("no model has all of these facts; one of them must be wrong.") from None
        duals.append(solution.dual)
        if best is None or solution.value > best[0]:
            best = solution.value, solution
    assert best is not None
    flat = iter(best[1].x)
    rates = tuple(tuple(tuple(next(flat) for _ in range(shape[2])) for _ in range(shape[1])) for _ in range(shape[0]))
    channel = Channel(knowledge.groups, knowledge.labels, knowledge.outputs, rates)
    return WorstCase(best[0], Witness(pair, channel, game, best[0]), knowledge, game, tuple(duals))


def _rows(knowledge: Knowledge, shape: tuple[int, int, int]) -> list[Row]:
    def position(cell: Cell) -> int:
        return (cell[0] * shape[1] + cell[1]) * shape[2] + cell[2]

    rows = [
        Row({position((a, y, z)): Fraction(1) for z in range(shape[2])}, "=", Fraction(1))
        for a in range(shape[0])
        for y in range(shape[1])
    ]
    for fact in knowledge.facts:
        coefficients: dict[int, Fraction] = {}
        for cell, c in fact.coefficients:
            coefficients[position(cell)] = coefficients.get(position(cell), Fraction(0)) + c
        rows.append(Row(coefficients, fact.sense, fact.limit))
    return rows


def _objective(pair: CompositionPair, knowledge: Knowledge, game: Game, shown: set[Hashable]) -> list[Fraction]:
    return [
        d if game.view(label, output) in shown else Fraction(0)
        for row in pair.difference
        for label, d in zip(knowledge.labels, row, strict=True)
        for output in knowledge.outputs
    ]


def _within_group(population: Composition, group: int) -> list[Fraction]:
    total = sum(population.mass[group], Fraction(0))
    if total == 0:
        raise KnowledgeError(f"group {population.groups[group]!r} has no mass in the population that was measured.")
    return [m / total for m in population.mass[group]]


def _events(n_outputs: int) -> list[tuple[int, ...]]:
    """Events that decide total variation: all but the empty and the full one; for two outputs one of them."""
    if n_outputs > 6:
        raise KnowledgeError(f"total variation over {n_outputs} outputs needs too many linear facts; at most 6.")
    sizes = range(1, n_outputs)
    events: list[Any] = [event for size in sizes for event in combinations(range(n_outputs), size)]
    # An event and its complement give the same fact with the two groups exchanged.
    return [event for event in events if 0 not in event]
