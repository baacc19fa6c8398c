"""What every attack on predictions is: something fitted on shadow models that scores a victim by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fairbound.empirical.attacks.predictions import Floats, Ints, ModelOutputs, Queries


class FittedAttack(ABC):
    """An attack whose every choice has been made on shadow models."""

    cut: float = 0.0
    """Scores from here on are guesses of world 1."""

    @abstractmethod
    def score(self, victims: ModelOutputs) -> Floats:
        """
        Evidence for world 1; a victim's score does not depend on the other victims.

        Parameters
        ----------
        victims : ModelOutputs
            Answers to the queries that the attack was fitted for.

        Returns
        -------
        array, shape (models,)
            Larger means world 1.
        """

    def guess(self, victims: ModelOutputs) -> Ints:
        """
        Guess each victim's world.

        Parameters
        ----------
        victims : ModelOutputs

        Returns
        -------
        array of int, shape (models,)
            0 or 1.
        """
        return (self.score(victims) >= self.cut).astype(np.int64)


class Attack(Protocol):
    """A way to tell two worlds apart."""

    name: str

    def fit(self, queries: Queries, shadows: ModelOutputs, rng: np.random.Generator) -> FittedAttack:
        """Make every choice on shadow models of both worlds, as in the classes that implement this."""


@dataclass(frozen=True)
class _FittedLabelOnly(FittedAttack):
    inner: FittedAttack

    def score(self, victims: ModelOutputs) -> Floats:
        return self.inner.score(victims.hard())

    def guess(self, victims: ModelOutputs) -> Ints:
        return self.inner.guess(victims.hard())


class LabelOnly:
    """
    An attack against victims that show hard labels alone; its shadows are reduced to them too.

    Parameters
    ----------
    attack : Attack
    """

    def __init__(self, attack: Attack) -> None:
        self.attack = attack
        self.name = f"{attack.name}_label_only"

    def fit(self, queries: Queries, shadows: ModelOutputs, rng: np.random.Generator) -> FittedAttack:
        """
        Fit the attack on the shadows' hard labels.

        Parameters
        ----------
        queries : Queries
        shadows : ModelOutputs
        rng : numpy.random.Generator

        Returns
        -------
        FittedAttack
        """
        return _FittedLabelOnly(self.attack.fit(queries, shadows.hard(), rng))


def best_cuts(values: Floats, world: Ints) -> tuple[Floats, Floats, Floats]:
    """
    For each column the threshold and direction that tell two worlds apart best.

    Thresholds are midpoints of sorted values; among equally good ones the lowest is taken. Both worlds count alike,
    whatever their numbers of models.

    Parameters
    ----------
    values : array, shape (models, m)
    world : array of int, shape (models,)
        0 or 1.

    Returns
    -------
    threshold, direction, advantage : arrays, shape (m,)
        World 1 lies above the threshold where the direction is 1, below where it is -1; the direction is 0 where no
        threshold tells anything. The advantage is that on these models.
    """
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    ones = int(world.sum())
    share = np.where(world == 1, 1 / ones, -1 / (len(world) - ones))
    # Share of world 1 less share of world 0 that lies at or below each value; only between different values.
    below = np.cumsum(share[order], axis=0)[:-1]
    below[ordered[1:] <= ordered[:-1]] = 0
    at = np.abs(below).argmax(axis=0)
    columns = np.arange(values.shape[1])
    gap = below[at, columns]
    return (ordered[at, columns] + ordered[at + 1, columns]) / 2, -np.sign(gap), np.abs(gap)
