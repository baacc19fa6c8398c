"""The games: what one draw shows the adversary, and the exact advantage of the best test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from fractions import Fraction

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.channel import Channel
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.errors import AlphabetError

SHARED_CONDITIONALS = (
    "both worlds share one model and one distribution of inputs given group and label; they differ in composition alone"
)
NOT_COVERED = (
    "an adversary who compares models trained in each world (shadow models): equalized odds does not bound it (C8)",
    "an adversary who sees scores, logits or parameters instead of the hard prediction",
    "several draws: n independent draws give up to 1 - (1 - advantage)^n (T5)",
)


@dataclass(frozen=True)
class ScoreBins:
    """
    Bins of equal width, fixed beforehand, that stand for a score: a game's outputs 0, 1, ..., one each.

    Attributes
    ----------
    column : str
        What the score is called.
    low, high : Fraction
        Where the first bin begins and the last one ends.
    """

    column: str
    low: Fraction
    high: Fraction


@dataclass(frozen=True)
class Game:
    """
    A distribution inference game with one draw.

    The adversary guesses which of two worlds a draw came from; the advantage of the best test is the total
    variation distance between the two worlds' views (A. Suri, D. Evans, PETS 2022).

    Attributes
    ----------
    name : str
        ``"labelled"``, ``"correctness"`` or ``"unlabelled"``.
    sees : str
        The view in words.
    view : callable
        From (label, output) to what the adversary sees.
    assumptions : tuple of str
        What has to hold for a bound in this game to say anything.
    not_covered : tuple of str
        Adversaries outside the game.
    bins : ScoreBins or None
        What the outputs are, where they are bins of a score.
    """

    name: str
    sees: str
    view: Callable[[Symbol, Symbol], Hashable]
    assumptions: tuple[str, ...] = (SHARED_CONDITIONALS,)
    not_covered: tuple[str, ...] = NOT_COVERED
    bins: ScoreBins | None = None

    def advantage(self, pair: CompositionPair, channel: Channel) -> Fraction:
        """
        Exact advantage of the best test against one channel, from the definition.

        Parameters
        ----------
        pair : CompositionPair
        channel : Channel
            Over the same groups and labels.

        Returns
        -------
        Fraction
            Total variation between the two worlds' views.

        Raises
        ------
        AlphabetError
            If groups or labels differ.
        """
        p, q = self.views(pair, channel)
        return sum((abs(a - b) for a, b in zip(p, q, strict=True)), Fraction(0)) / 2

    def views(self, pair: CompositionPair, channel: Channel) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """
        What one draw shows in each of the two worlds.

        Parameters
        ----------
        pair : CompositionPair
        channel : Channel
            Over the same groups and labels.

        Returns
        -------
        p, q : tuple of Fraction, shape (V,)
            Probability mass functions over the V views of the game.

        Raises
        ------
        AlphabetError
            If groups or labels differ.
        """
        if (pair.groups, pair.labels) != (channel.groups, channel.labels):
            raise AlphabetError("the composition pair and the channel have different groups or labels.")
        shown: defaultdict[Hashable, list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])
        for a, plane in enumerate(channel.rates):
            for j, (y, row) in enumerate(zip(channel.labels, plane, strict=True)):
                for z, rate in zip(channel.outputs, row, strict=True):
                    for b, world in enumerate((pair.world_0, pair.world_1)):
                        shown[self.view(y, z)][b] += world.mass[a][j] * rate
        p, q = zip(*shown.values(), strict=True)
        return p, q


LABELLED = Game("labelled", "the prediction and the true label", lambda y, z: (y, z))
CORRECTNESS = Game("correctness", "whether the prediction is correct", lambda y, z: y == z)
UNLABELLED = Game("unlabelled", "the prediction alone", lambda y, z: z)
GAMES: dict[str, Game] = {game.name: game for game in (LABELLED, CORRECTNESS, UNLABELLED)}


def get_game(game: str | Game) -> Game:
    """
    Look a game up by name.

    Raises
    ------
    AlphabetError
        For an unknown name.
    """
    if isinstance(game, Game):
        return game
    if not isinstance(game, str) or game not in GAMES:
        raise AlphabetError(f"no game {game!r}; choose one of {', '.join(GAMES)}.")
    return GAMES[game]


def accuracy_gap(pair: CompositionPair, channel: Channel) -> Fraction:
    """
    Difference in accuracy between the two worlds, `|sum d(a, y) Q(y | a, y)|`: the loss test's advantage.

    Parameters
    ----------
    pair : CompositionPair
    channel : Channel
        Over the same groups and labels; outputs that are no label count as wrong.
    """
    return CORRECTNESS.advantage(pair, channel)
