"""The Kullback-Leibler attack, as a vote (A. Suri, Y. Lu, Y. Chen, D. Evans, SaTML 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbound.empirical.attacks.base import FittedAttack
from fairbound.empirical.attacks.predictions import Floats, Ints, ModelOutputs, Queries

# Divergences that differ by less are equal: label-only ones take few values, and rounding must not break their ties.
_DECIMALS = 9


@dataclass(frozen=True)
class _KLVoting(FittedAttack):
    queries: Queries
    shadows: Floats
    world: Ints
    cut: float = 0.5

    def score(self, victims: ModelOutputs) -> Floats:
        victims.of_label(self.queries.labels)
        logs = np.log(victims.probabilities())
        share = np.zeros(len(victims))
        for c in (0, 1):
            rows = self.queries.origin == c
            p = self.shadows[:, rows]
            cross = np.tensordot(p, logs[:, rows], axes=([1, 2], [1, 2]))
            divergence = ((p * np.log(p)).sum(axis=(1, 2))[:, None] - cross) / rows.sum()
            share += _share_above(divergence[self.world == 0], divergence[self.world == 1]) / 2
        return share


class KLVoting:
    """
    Whose answers are the victim's nearer to? Every pair of shadows, one of each world, votes.

    On each query set a pair votes for world 1 if the divergence `KL(shadow of world 0 || victim)`, averaged over the
    queries, is larger than that of its shadow of world 1 (equal ones: half a vote). The score is the share of votes,
    averaged over the two sets. Published attacks draw pairs at random; all pairs are what that estimates.
    """

    name = "kl_voting"

    def fit(self, queries: Queries, shadows: ModelOutputs, rng: np.random.Generator) -> FittedAttack:
        """
        Keep the shadows' answers.

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
            If a world has no shadow models, or the outputs do not fit the queries.
        """
        shadows.of_label(queries.labels)
        return _KLVoting(queries, shadows.probabilities(), shadows.two_worlds())


def _share_above(first: Floats, second: Floats) -> Floats:
    """Share of pairs in which `first` is larger, ties by half; shapes (m, victims), (k, victims) -> (victims,)."""
    first, second = np.round(first, _DECIMALS), np.sort(np.round(second, _DECIMALS), axis=0)
    wins = [
        np.searchsorted(b, a, "left").sum() + np.searchsorted(b, a, "right").sum()
        for a, b in zip(first.T, second.T, strict=True)
    ]
    return np.array(wins) / (2 * len(first) * len(second))
