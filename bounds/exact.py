"""Closed forms: the exact worst case (T1), the paper's form (T1a), the transport form (T1b), and who attains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.channel import Channel, Disparities
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.errors import AlphabetError, CompositionError, LabelShiftError, NumberError
from fairbound.bounds.games import SHARED_CONDITIONALS, Game, get_game
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.transport import TransportPlan, cheapest_plan

Trust = Literal["proved", "certified", "tested"]

_MEASURED = "the disparities are those of the population (or upper limits of them)"


@dataclass(frozen=True)
class Bound:
    """
    An upper bound on the advantage, with where it comes from.

    Attributes
    ----------
    value : Fraction
        The bound, exact.
    theorem : str
        Theorem id.
    hypotheses : tuple of str
        What must hold.
    trust : {"proved", "certified", "tested"}
        ``certified``: an exact certificate is checked for each instance.
    """

    value: Fraction
    theorem: str
    hypotheses: tuple[str, ...]
    trust: Trust = "certified"

    def __str__(self) -> str:
        return f"{self.value} = {float(self.value):.6g} ({self.theorem}, {self.trust})"


@dataclass(frozen=True)
class Witness:
    """
    A channel that attains a bound.

    Attributes
    ----------
    pair : CompositionPair
    channel : Channel
    game : Game
    claimed : Fraction
        The advantage that `replay` must find.
    """

    pair: CompositionPair
    channel: Channel
    game: Game
    claimed: Fraction

    def replay(self) -> Fraction:
        """Advantage of the best test against the channel, recomputed from the definition of the game."""
        return self.game.advantage(self.pair, self.channel)


def check_disparity(disparity: Sequence[Fraction], labels: Sequence[Symbol]) -> tuple[Fraction, ...]:
    """
    Check one disparity per label, each in [0, 1].

    Raises
    ------
    NumberError
        If a disparity lies outside [0, 1].
    AlphabetError
        If their number is not the number of labels.
    """
    if len(disparity) != len(labels):
        raise AlphabetError(f"{len(disparity)} disparities for {len(labels)} labels; give one per label.")
    for label, delta in zip(labels, disparity, strict=True):
        if not 0 <= delta <= 1:
            raise NumberError(f"the disparity of label {label!r} is {delta}; disparities lie between 0 and 1.")
    return tuple(Fraction(delta) for delta in disparity)


@proved_by("T1")
def worst_case_advantage(pair: CompositionPair, disparity: Sequence[Fraction]) -> Bound:
    """
    Exact worst case `TV_Y + sum_y m_y * delta_y` over all channels with given disparities (T1).

    Holds, and is attained (T2), in each of the three games.

    Parameters
    ----------
    pair : CompositionPair
    disparity : sequence of Fraction, shape (K,)
        `delta_y` per label, in [0, 1].

    Returns
    -------
    Bound

    Raises
    ------
    NumberError, AlphabetError
        If the disparities are no numbers in [0, 1], one per label.
    """
    deltas = check_disparity(disparity, pair.labels)
    value = pair.label_shift + sum((m * d for m, d in zip(pair.moved, deltas, strict=True)), Fraction(0))
    return Bound(value, "T1", (SHARED_CONDITIONALS, _MEASURED))


def label_shift_reason(pair: CompositionPair) -> str | None:
    """Why `Delta_EO * W` is no bound for this pair (C1); None if it is one."""
    shift = pair.label_shift
    if shift == 0:
        return None
    return (
        f"the worlds' label marginals differ (total variation {float(shift):.4g}): a classifier with Delta_EO = 0 can "
        f"still have the advantage {float(shift):.4g} (C1; in the labelled game a constant classifier does). Use the "
        "exact value (T1), or the label-balanced game."
    )


@proved_by("T1a", "C1")
def paper_bound(pair: CompositionPair, disparity: Sequence[Fraction]) -> Bound:
    """
    The published form `Delta_EO * W` (T1a; arXiv:2606.01719, Theorem 1 as its abstract states it).

    Parameters
    ----------
    pair : CompositionPair
        With equal label marginals.
    disparity : sequence of Fraction, shape (K,)

    Returns
    -------
    Bound
        `max_y delta_y * TV(pi_0, pi_1)`, at least T1's value.

    Raises
    ------
    LabelShiftError
        If the label marginals differ, where the form is no bound (C1). The full text may assume this away; its
        abstract does not.
    NumberError, AlphabetError
        As in `worst_case_advantage`.
    """
    deltas = check_disparity(disparity, pair.labels)
    reason = label_shift_reason(pair)
    if reason is not None:
        raise LabelShiftError(f"Delta_EO * W is no bound here: {reason}")
    hypotheses = (SHARED_CONDITIONALS, _MEASURED, "equal label marginals")
    return Bound(max(deltas) * pair.distance, "T1a", hypotheses)


@proved_by("T1b")
def transport_bound(pair: CompositionPair, disparities: Disparities) -> tuple[Bound, TransportPlan]:
    """
    The optimal-transport form: T1 with each pair of groups at its own distance (T1b).

    Parameters
    ----------
    pair : CompositionPair
    disparities : Disparities

    Returns
    -------
    bound : Bound
        At most T1's value.
    plan : TransportPlan
        The flows that prove it; they say which pairs of groups leak.
    """
    plan = cheapest_plan(pair, disparities)
    bound = Bound(plan.cost(disparities, pairwise=True), "T1b", (SHARED_CONDITIONALS, _MEASURED))
    return bound, plan


@proved_by("T2")
def witness(pair: CompositionPair, disparity: Sequence[Fraction], game: str | Game = "labelled") -> Witness:
    """
    A hard classifier with the given disparities whose advantage is T1's value (T2).

    Parameters
    ----------
    pair : CompositionPair
        With at least two labels.
    disparity : sequence of Fraction, shape (K,)
    game : str or Game

    Returns
    -------
    Witness

    Raises
    ------
    CompositionError
        If the pair has one label only.
    NumberError, AlphabetError
        As in `worst_case_advantage`.
    """
    game = get_game(game)
    bound = worst_case_advantage(pair, disparity)
    if len(pair.labels) < 2:
        raise CompositionError("a witness is a classifier and needs at least two labels.")
    labels = pair.labels
    rates = []
    for row in pair.difference:
        plane = []
        for j, (d, delta, shift) in enumerate(zip(row, disparity, pair.shift, strict=True)):
            low, high = (1 - delta, Fraction(1)) if shift >= 0 else (Fraction(0), Fraction(delta))
            rate = high if d > 0 else low
            # "Fires" means: is correct, in the correctness game; shows the last label, in the others.
            fires, stays = (j, j - 1) if game.name == "correctness" else (len(labels) - 1, 0)
            cell = [Fraction(0)] * len(labels)
            cell[fires], cell[stays] = rate, 1 - rate
            plane.append(tuple(cell))
        rates.append(tuple(plane))
    return Witness(pair, Channel(pair.groups, labels, labels, tuple(rates)), game, bound.value)


@proved_by("C1")
def constant_classifier_counterexample(base_rate_0: Fraction, base_rate_1: Fraction) -> Witness:
    """
    C1: a classifier with `Delta_EO = 0` whose accuracy gap is the difference of the base rates.

    Parameters
    ----------
    base_rate_0, base_rate_1 : Fraction
        Share of label 1 in the two pure worlds.

    Returns
    -------
    Witness
        In the correctness game; `claimed` is `|base_rate_0 - base_rate_1|`, while `Delta_EO * W` is 0.
    """
    p, q = Fraction(base_rate_0), Fraction(base_rate_1)
    groups: tuple[Symbol, ...] = ("group 0", "group 1")
    labels: tuple[Symbol, ...] = (0, 1)
    zero = (Fraction(0), Fraction(0))
    pair = CompositionPair(
        Composition(groups, labels, ((1 - p, p), zero)), Composition(groups, labels, (zero, (1 - q, q)))
    )
    always_one = (Fraction(0), Fraction(1))
    channel = Channel(groups, labels, labels, ((always_one, always_one), (always_one, always_one)))
    return Witness(pair, channel, get_game("correctness"), abs(p - q))
