"""A black-box meta-classifier: a small network that reads predictions (needs scikit-learn)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairbound.empirical.attacks.base import FittedAttack
from fairbound.empirical.attacks.predictions import Floats, ModelOutputs, Queries


@dataclass(frozen=True)
class _Meta(FittedAttack):
    network: Any
    queries: Queries
    centre: Floats
    spread: float
    cut: float = 0.5

    def score(self, victims: ModelOutputs) -> Floats:
        victims.of_label(self.queries.labels)
        return self.network.predict_proba((_flat(victims) - self.centre) / self.spread)[:, 1]


class MetaClassifier:
    """
    A network with one hidden layer on the answers to all queries (after G. Ateniese et al., 2015).

    Answers enter less the shadows' mean answer to the query, over one spread for all queries: as they are, all
    positive, they leave the network untrained for some of its starting points.

    Parameters
    ----------
    hidden : int
        Width of the hidden layer.
    penalty : float
        Weight of the squared norm of the network's weights (scikit-learn's ``alpha``).
    """

    name = "meta_classifier"

    def __init__(self, *, hidden: int = 16, penalty: float = 1e-4) -> None:
        self.hidden, self.penalty = hidden, penalty

    def fit(self, queries: Queries, shadows: ModelOutputs, rng: np.random.Generator) -> FittedAttack:
        """
        Train the network to tell the shadows' worlds apart.

        Parameters
        ----------
        queries : Queries
        shadows : ModelOutputs
            Of both worlds.
        rng : numpy.random.Generator
            Starts the network.

        Returns
        -------
        FittedAttack
            Its score is the network's probability of world 1.

        Raises
        ------
        AttackInputError
            If a world has no shadow models, or the outputs do not fit the queries.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        world = shadows.two_worlds()
        shadows.of_label(queries.labels)
        answers = _flat(shadows)
        centre = answers.mean(axis=0)
        spread = float((answers - centre).std()) or 1.0
        network = MLPClassifier((self.hidden,), alpha=self.penalty, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():
            # What matters is how well the network guesses, not whether its loss has come to rest.
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit((answers - centre) / spread, world)
        return _Meta(network, queries, centre, spread)


def _flat(outputs: ModelOutputs) -> Floats:
    return outputs.scores.reshape(len(outputs), -1)
