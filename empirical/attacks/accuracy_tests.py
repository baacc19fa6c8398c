"""Attacks that look at accuracies alone, so that hard labels are all they need (A. Suri, D. Evans, PETS 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbound.empirical.attacks.base import FittedAttack, best_cuts
from fairbound.empirical.attacks.predictions import Floats, ModelOutputs, Queries


@dataclass(frozen=True)
class _AccuracyScore(FittedAttack):
    """A weighted sum of the accuracies on the two query sets, plus an offset."""

    queries: Queries
    weights: tuple[float, float]
    offset: float

    def score(self, victims: ModelOutputs) -> Floats:
        accuracies = victims.accuracies(self.queries)
        return accuracies[:, 0] * self.weights[0] + accuracies[:, 1] * self.weights[1] + self.offset


class LossTest:
    """World 0 if the victim is more accurate on world 0's queries than on world 1's, else world 1. Needs no shadows."""

    name = "loss_test"

    def fit(self, queries: Queries, shadows: ModelOutputs, rng: np.random.Generator) -> FittedAttack:
        """
        Nothing is learned from the shadows.

        Parameters
        ----------
        queries : Queries
        shadows : ModelOutputs
        rng : numpy.random.Generator

        Returns
        -------
        FittedAttack
            Its score is the accuracy on world 1's queries less that on world 0's.
        """
        return _AccuracyScore(queries, (-1.0, 1.0), 0.0)


class ThresholdTest:
    """The accuracy on one query set against a threshold; set, threshold and direction are the best on the shadows."""

    name = "threshold_test"

    def fit(self, queries: Queries, shadows: ModelOutputs, rng: np.random.Generator) -> FittedAttack:
        """
        Choose query set, threshold and direction.

        Parameters
        ----------
        queries : Queries
        shadows : ModelOutputs
            Of both worlds.
        rng : numpy.random.Generator
            Not used.

        Returns
        -------
        FittedAttack
            Its score is the distance from the threshold, in units of accuracy.

        Raises
        ------
        AttackInputError
            If a world has no shadow models.
        """
        threshold, direction, advantage = best_cuts(shadows.accuracies(queries), shadows.two_worlds())
        c = int(advantage.argmax())
        weights = (direction[c], 0.0) if c == 0 else (0.0, direction[c])
        return _AccuracyScore(queries, weights, -direction[c] * threshold[c])
