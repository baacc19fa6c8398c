"""The per-point threshold attack (A. Suri, Y. Lu, Y. Chen, D. Evans, SaTML 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbound.empirical.attacks.base import FittedAttack, best_cuts
from fairbound.empirical.attacks.predictions import CLIP, Floats, Ints, ModelOutputs, Queries

FRACTIONS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of a query set, most telling queries first, that are tried."""


@dataclass(frozen=True)
class _PerPoint(FittedAttack):
    labels: Ints
    chosen: Ints
    threshold: Floats
    direction: Floats
    cut: float = 0.5

    def score(self, victims: ModelOutputs) -> Floats:
        return _votes(victims.of_label(self.labels)[:, self.chosen], self.threshold, self.direction).mean(axis=1)


class PerPointThreshold:
    """
    One threshold for each query, and a majority vote.

    Each query gets the threshold and direction that tell the shadows' probabilities of its true label apart best.
    Queries are ordered by how far the two worlds' sums of logits lie apart. The query set and the share of its leading
    queries that vote are those with the highest advantage on the shadows (ties: world 0's set, then the smaller share).
    """

    name = "per_point_threshold"

    def fit(self, queries: Queries, shadows: ModelOutputs, rng: np.random.Generator) -> FittedAttack:
        """
        Choose thresholds, query set and share of queries.

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
            Its score is the share of votes for world 1.

        Raises
        ------
        AttackInputError
            If a world has no shadow models.
        """
        world, values = shadows.two_worlds(), shadows.of_label(queries.labels)
        threshold, direction, _ = best_cuts(values, world)
        kept = np.clip(values, CLIP, 1 - CLIP)
        logits = np.log(kept) - np.log1p(-kept)
        # Means, so that unequal numbers of shadows do not order the queries; for equal numbers it is the order of sums.
        apart = np.abs(logits[world == 0].mean(axis=0) - logits[world == 1].mean(axis=0))
        votes = _votes(values, threshold, direction)
        best, chosen = -1.0, np.arange(0)
        for c in (0, 1):
            rows = np.flatnonzero(queries.origin == c)
            rows = rows[np.argsort(-apart[rows], kind="stable")]
            for fraction in FRACTIONS:
                leading = rows[: max(1, round(fraction * len(rows)))]
                guess = votes[:, leading].mean(axis=1) >= 0.5
                advantage = float(guess[world == 1].mean() - guess[world == 0].mean())
                if advantage > best:
                    best, chosen = advantage, leading
        return _PerPoint(queries.labels, chosen, threshold[chosen], direction[chosen])


def _votes(values: Floats, threshold: Floats, direction: Floats) -> Floats:
    """1 for world 1, 0 for world 0, 1/2 for a value on its threshold or a query that tells nothing."""
    return (1 + np.sign(values - threshold) * direction) / 2
