"""How the models of a side are trained: networks in bulk, or estimators of scikit-learn's kind one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone

from fairbound.empirical.errors import TrainingInputError
from fairbound.empirical.shadows.bulk import BulkTraining, train_in_bulk
from fairbound.empirical.torch_tools import derived_seed, resolve_device


@dataclass(frozen=True, eq=False)
class Draws:
    """What some models are trained on.

    Attributes
    ----------
    X : ndarray of float32, shape (N, d)
        Encoded rows from which the models have theirs.
    label, group : ndarray of int64, shape (N,)
        Class and group codes.
    rows : ndarray of int64, shape (M, n)
        Row numbers of each model.
    seeds : tuple of int, length M
    n_classes : int
    complement : ndarray of int64, shape (M, n), optional
        Row numbers of a second draw of each model, for recipes that ask for it (`Recipe.complementary`).
    """

    X: NDArray[np.float32]
    label: NDArray[np.int64]
    group: NDArray[np.int64]
    rows: NDArray[np.int64]
    seeds: tuple[int, ...]
    n_classes: int
    complement: NDArray[np.int64] | None = None


class TrainedModels(Protocol):
    """M trained models."""

    def scores(self, X: ArrayLike, group: ArrayLike | None = None) -> NDArray[np.float32]:
        """Class probabilities of the rows of `X`, whose group codes some models need to predict; shape (M, n, K)."""

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Parameters of the models, first axis M; empty where they have none that can be stacked."""


class Recipe(Protocol):
    """A way of training models; a defence is one of its own.

    Attributes
    ----------
    complementary : bool
        Whether each model needs a second draw, at the complementary ratio (see `Pools.draw_complement`).
    """

    complementary: ClassVar[bool]

    def settings(self) -> dict[str, Any]:
        """Everything but the draws that the models are a function of; JSON-ready."""

    def fit(self, draws: Draws) -> TrainedModels:
        """Train one model for each set of rows; each is a function of its own rows and seed alone."""


@dataclass(frozen=True)
class MLPRecipe:
    """Networks, or logistic regressions, trained in bulk without a defence.

    Attributes
    ----------
    training : BulkTraining
    device : str
    """

    training: BulkTraining = field(default_factory=BulkTraining)
    device: str = "cpu"
    complementary: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        """Name and training settings.

        Returns
        -------
        dict
            The kind of device is part of it: results on a GPU differ in rounding.
        """
        return {"recipe": "mlp", "device": resolve_device(self.device).type, **asdict(self.training)}

    def fit(self, draws: Draws) -> TrainedModels:
        """Train.

        Parameters
        ----------
        draws : Draws

        Returns
        -------
        StackedMLPs

        Raises
        ------
        TrainingInputError, DivergedError
            As `train_in_bulk` does.
        """
        return train_in_bulk(
            draws.X,
            draws.label,
            draws.rows,
            seeds=draws.seeds,
            n_classes=draws.n_classes,
            settings=self.training,
            device=self.device,
        )


@dataclass(frozen=True, eq=False)
class Estimators:
    """Fitted estimators as `TrainedModels`.

    Attributes
    ----------
    fitted : tuple of estimator
        With `predict_proba`, or `predict` alone.
    n_classes : int
    """

    fitted: tuple[Any, ...]
    n_classes: int

    def scores(self, X: ArrayLike, group: ArrayLike | None = None) -> NDArray[np.float32]:
        """Class probabilities; of an estimator without them, 1 for the predicted class.

        Parameters
        ----------
        X : array-like, shape (n, d)
        group : array-like of int, shape (n,), optional
            Not looked at.

        Returns
        -------
        ndarray of float32, shape (M, n, n_classes)
        """
        rows = np.asarray(X)
        found = np.zeros((len(self.fitted), len(rows), self.n_classes), dtype=np.float32)
        for own, estimator in zip(found, self.fitted, strict=True):
            if hasattr(estimator, "predict_proba"):
                own[:, estimator.classes_] = estimator.predict_proba(rows)
            else:
                own[np.arange(len(rows)), estimator.predict(rows)] = 1.0
        return found

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Nothing: estimators have no common form of parameters.

        Returns
        -------
        dict
        """
        return {}


@dataclass(frozen=True, eq=False)
class EstimatorRecipe:
    """An estimator of scikit-learn's kind, cloned for each model.

    Attributes
    ----------
    estimator : BaseEstimator
        Its `random_state`, if it has one, is set for each model.
    """

    estimator: BaseEstimator
    complementary: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        """Class and parameters.

        Returns
        -------
        dict
        """
        kind = type(self.estimator)
        parameters = {name: repr(value) for name, value in sorted(self.estimator.get_params().items())}
        return {"recipe": "estimator", "class": f"{kind.__module__}.{kind.__qualname__}", "parameters": parameters}

    def fit(self, draws: Draws) -> TrainedModels:
        """Train one after the other.

        Parameters
        ----------
        draws : Draws

        Returns
        -------
        Estimators
        """
        return train_estimators(
            self.estimator, draws.X, draws.label, draws.rows, seeds=draws.seeds, n_classes=draws.n_classes
        )


def train_estimators(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    rows: ArrayLike,
    *,
    seeds: Sequence[int],
    n_classes: int = 2,
    weights: ArrayLike | None = None,
    jobs: int | None = None,
) -> Estimators:
    """Fit a clone of an estimator for each set of rows, by joblib.

    Parameters
    ----------
    estimator : BaseEstimator
        A classifier; its `random_state`, if it has one, is set from the seed.
    X : array-like, shape (N, d)
    y : array-like of int, shape (N,)
        Classes, coded 0, 1, ...
    rows : array-like of int, shape (M, n)
        Row numbers of each model.
    seeds : sequence of int, length M
    n_classes : int, default 2
    weights : array-like of float, shape (M, n), optional
        `sample_weight` of each model's rows.
    jobs : int, optional
        Workers; -1: one for each core. Default: what joblib's `parallel_config` says, else one.

    Returns
    -------
    Estimators

    Raises
    ------
    TrainingInputError
        If there is not one seed (and row of weights) for each model.
    """
    inputs, labels, index = np.asarray(X), np.asarray(y), np.asarray(rows)
    own = [None] * len(index) if weights is None else list(np.asarray(weights, dtype=np.float64))
    if len(seeds) != len(index) or len(own) != len(index):
        raise TrainingInputError(f"{len(index)} models need as many seeds, not {len(seeds)}, and rows of weights.")
    fitted = Parallel(n_jobs=jobs)(
        delayed(_fit_clone)(estimator, inputs[chosen], labels[chosen], seed, weight)
        for chosen, seed, weight in zip(index, seeds, own, strict=True)
    )
    return Estimators(tuple(fitted), n_classes)


def _fit_clone(
    estimator: BaseEstimator, X: NDArray[Any], y: NDArray[Any], seed: int, weight: NDArray[np.float64] | None
) -> Any:
    own: Any = clone(estimator)
    if "random_state" in own.get_params():
        # scikit-learn takes 32 bits.
        own.set_params(random_state=derived_seed(seed) % 2**32)
    return own.fit(X, y) if weight is None else own.fit(X, y, sample_weight=weight)
