"""What an attack works on: the adversary's query rows, and what models answer to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairbound.empirical.attacks.errors import AttackInputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLIP = 1e-4
"""Probabilities are kept this far from 0 and 1 before a logarithm is taken."""


@dataclass(frozen=True, eq=False)
class Queries:
    """
    The adversary's query rows, drawn from its own test pool: one set at each world's ratio.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        True labels 0, ..., K - 1.
    origin : array-like of int, shape (n,)
        0 or 1: the ratio at which the row's query set was drawn.

    Raises
    ------
    AttackInputError
        If a value lies outside its range, the lengths differ, or a query set is empty.
    """

    labels: Ints
    origin: Ints

    def __post_init__(self) -> None:
        labels, origin = _whole(self.labels, "labels"), _whole(self.origin, "origin")
        if len(labels) != len(origin):
            raise AttackInputError(f"{len(labels)} labels and {len(origin)} origins; give one of each per query.")
        if set(np.unique(origin)) != {0, 1}:
            raise AttackInputError("origin must hold 0 and 1: one query set for each world's ratio.")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "origin", origin)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class ModelOutputs:
    """
    Answers of many models to the same queries.

    Parameters
    ----------
    scores : array-like, shape (models, n) or (models, n, K)
        P(y = 1), or a probability for each class. Hard labels of binary models are probabilities 0 and 1; for
        more classes see `from_labels`. Two columns per query are kept as P(y = 1).
    world : array-like of int, shape (models,), optional
        The world that each model was trained in; None where nobody knows.

    Raises
    ------
    AttackInputError
        If a score is no probability, or the shapes do not fit.
    """

    scores: Floats
    world: Ints | None = None

    def __post_init__(self) -> None:
        scores = np.asarray(self.scores, dtype=np.float64)
        if scores.ndim not in (2, 3) or 0 in scores.shape or scores.shape[2:] == (1,):
            raise AttackInputError(f"scores have shape {scores.shape}; give (models, n) or (models, n, classes).")
        if not ((scores >= 0) & (scores <= 1)).all():
            raise AttackInputError("scores must be probabilities in [0, 1]; apply sigmoid or softmax to logits first.")
        if scores.ndim == 3 and not np.allclose(scores.sum(axis=2), 1, atol=1e-3):
            raise AttackInputError("the probabilities of a query's classes must add up to 1.")
        object.__setattr__(self, "scores", scores[..., 1] if scores.shape[2:] == (2,) else scores)
        if self.world is not None:
            object.__setattr__(self, "world", _worlds(self.world, len(scores)))

    @classmethod
    def from_labels(cls, predicted: ArrayLike, world: ArrayLike | None = None, *, classes: int = 2) -> ModelOutputs:
        """
        Outputs of models that show hard labels alone.

        Parameters
        ----------
        predicted : array-like of int, shape (models, n)
            0, ..., classes - 1.
        world : array-like of int, shape (models,), optional
        classes : int
            At least 2.

        Returns
        -------
        ModelOutputs

        Raises
        ------
        AttackInputError
            If a prediction is no class.
        """
        shown = np.asarray(predicted)
        if not np.isin(shown, np.arange(classes)).all():
            raise AttackInputError(f"predictions must be whole numbers from 0 to {classes - 1}.")
        return cls(np.eye(classes)[shown.astype(np.int64)], world)

    def __len__(self) -> int:
        return len(self.scores)

    def hard(self) -> ModelOutputs:
        """The label-only form: each query's most probable class gets 1 (ties: the first)."""
        if self.scores.ndim == 2:
            return ModelOutputs((self.scores > 0.5).astype(np.float64), self.world)
        return ModelOutputs(np.eye(self.scores.shape[2])[self.scores.argmax(axis=2)], self.world)

    def take(self, models: NDArray[Any]) -> ModelOutputs:
        """
        Some of the models.

        Parameters
        ----------
        models : array of int or bool
            Positions, or a mask.

        Returns
        -------
        ModelOutputs
        """
        return ModelOutputs(self.scores[models], None if self.world is None else self.world[models])

    def probabilities(self) -> Floats:
        """
        Probabilities of all classes, kept `CLIP` away from 0 and 1.

        Returns
        -------
        array, shape (models, n, K)
        """
        scores = self.scores
        full = np.stack([1 - scores, scores], axis=2) if scores.ndim == 2 else scores
        return np.clip(full, CLIP, 1 - CLIP)

    def of_label(self, labels: Ints) -> Floats:
        """
        Probability of each query's true label.

        Parameters
        ----------
        labels : array of int, shape (n,)

        Returns
        -------
        array, shape (models, n)

        Raises
        ------
        AttackInputError
            If the numbers of queries or classes do not fit.
        """
        classes = 2 if self.scores.ndim == 2 else self.scores.shape[2]
        if self.scores.shape[1] != len(labels) or labels.max() >= classes:
            raise AttackInputError(
                f"outputs for {self.scores.shape[1]} queries and {classes} classes do not fit {len(labels)} labels "
                f"up to {labels.max()}."
            )
        if self.scores.ndim == 2:
            return np.where(labels == 1, self.scores, 1 - self.scores)
        return self.scores[:, np.arange(len(labels)), labels]

    def accuracies(self, queries: Queries) -> Floats:
        """
        Accuracy of every model on the two query sets.

        Parameters
        ----------
        queries : Queries

        Returns
        -------
        array, shape (models, 2)
        """
        # The hard form gives the true label 1 exactly where the prediction is right.
        right = self.hard().of_label(queries.labels)
        return np.stack([right[:, queries.origin == c].mean(axis=1) for c in (0, 1)], axis=1)

    def two_worlds(self) -> Ints:
        """
        The models' worlds, where an attack needs models of world 0 and of world 1.

        Returns
        -------
        array of int, shape (models,)

        Raises
        ------
        AttackInputError
            If the worlds are unknown, one is missing, or there are others.
        """
        if self.world is None or set(np.unique(self.world)) != {0, 1}:
            raise AttackInputError("models of world 0 and of world 1, and of no other, are needed.")
        return self.world


def require_disjoint(*pools: Iterable[Any]) -> None:
    """
    Refuse pools that share a row: an adversary that holds victims' rows wins for the wrong reason.

    Parameters
    ----------
    *pools : iterable of hashable
        Row identifiers of each pool.

    Raises
    ------
    AttackInputError
        If two pools share a row.
    """
    seen: set[Any] = set()
    for i, pool in enumerate(pools):
        rows = set(pool)
        if not seen.isdisjoint(rows):
            raise AttackInputError(
                f"pool {i} shares {len(seen & rows)} rows with pools before it; split the rows first."
            )
        seen |= rows


def _whole(values: ArrayLike, name: str) -> Ints:
    array = np.asarray(values)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iub" or array.min() < 0:
        raise AttackInputError(f"{name} must be one row of whole numbers from 0 on.")
    return array.astype(np.int64)


def _worlds(values: ArrayLike, models: int) -> Ints:
    world = _whole(values, "world")
    if len(world) != models:
        raise AttackInputError(f"{len(world)} worlds for {models} models; give one per model.")
    return world
