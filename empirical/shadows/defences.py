"""Defences against distribution inference, as recipes of shadow and victim models.

In the game's worlds group and label are independent, so the weights of F. Kamiran and T. Calders (2012), which make
them so, are all 1 there: "reweighed" and "resampled" give every cell the same weight, or number of rows, instead.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression

from fairbound.empirical.controls import PrivateTraining, Score, cell_balanced_rows, quietly, train_privately
from fairbound.empirical.errors import ProtocolError, TrainingInputError
from fairbound.empirical.models import MLP
from fairbound.empirical.shadows.bulk import BulkTraining, train_in_bulk
from fairbound.empirical.shadows.fair import BulkFineTuning, fine_tune_in_bulk
from fairbound.empirical.shadows.recipes import Draws, MLPRecipe, Recipe, TrainedModels
from fairbound.empirical.shadows.stacked import StackedMLPs
from fairbound.empirical.torch_tools import derived_seed, seeded

#: Of small networks for draws of a few thousand rows. After few epochs a network shows its ratio most: with more, what
#: sets single draws apart drowns it, which would be taken for a merit of a defence that trains longer.
TRAINING = BulkTraining(hidden=(32, 16), epochs=5, min_steps=1, batch_size=64)
FINE_TUNING = BulkFineTuning(batch_size=256)


@dataclass(frozen=True)
class FairFineTuningRecipe:
    """Networks trained on their draw, then fine-tuned, under an equalized-odds constraint unless it is left out.

    Attributes
    ----------
    other_rows : bool
        True, the form of arXiv:2606.01719: fine-tuned on the draw of the complementary ratio, with some of their own
        rows mixed in. False: on their own rows alone.
    rehearsal : float
        Own rows mixed in, as a fraction of the draw.
    training : BulkTraining
    fine_tuning : BulkFineTuning
    """

    other_rows: bool = True
    rehearsal: float = 0.5
    training: BulkTraining = TRAINING
    fine_tuning: BulkFineTuning = FINE_TUNING

    @property
    def complementary(self) -> bool:  # type: ignore[override]
        """Whether each model needs a second draw."""
        return self.other_rows

    def settings(self) -> dict[str, Any]:
        """Name and settings; JSON-ready."""
        return {"recipe": "fair_fine_tuning", **asdict(self)}

    def fit(self, draws: Draws) -> TrainedModels:
        """Train and fine-tune.

        Raises
        ------
        TrainingInputError, DivergedError
            As `fine_tune_in_bulk` does.
        """
        rows = draws.rows
        if self.other_rows:
            assert draws.complement is not None
            rows = np.hstack([draws.complement, rows[:, : round(self.rehearsal * rows.shape[1])]])
        return fine_tune_in_bulk(
            _train(draws, draws.rows, self.training),
            draws.X,
            draws.label,
            draws.group,
            rows,
            seeds=_seeds(draws, 1),
            settings=self.fine_tuning,
        )


@dataclass(frozen=True)
class PooledRecipe:
    """Networks trained, without a constraint, on their draw and that of the complementary ratio together.

    All of them see the group's share 1/2, and twice as many rows as the others.
    """

    training: BulkTraining = TRAINING
    complementary: ClassVar[bool] = True

    def settings(self) -> dict[str, Any]:
        """Name and settings; JSON-ready."""
        return {"recipe": "pooled", **asdict(self)}

    def fit(self, draws: Draws) -> TrainedModels:
        """Train."""
        assert draws.complement is not None
        return _train(draws, np.hstack([draws.rows, draws.complement]), self.training)


@dataclass(frozen=True)
class BalancedRecipe:
    """Networks trained on their draw with every cell of group and label made to count alike.

    Attributes
    ----------
    by : {"rows", "weights"}
        As many rows of each cell, drawn from the draw's own, or weights that are inverse to its size.
    training : BulkTraining
    """

    by: str = "rows"
    training: BulkTraining = TRAINING
    complementary: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        """Name and settings; JSON-ready."""
        return {"recipe": "balanced", **asdict(self)}

    def fit(self, draws: Draws) -> TrainedModels:
        """Train."""
        cell = (2 * draws.label + draws.group)[draws.rows]
        if self.by == "weights":
            sizes = np.stack([np.bincount(own)[own] for own in cell])
            return _train(draws, draws.rows, self.training, 1 / sizes)
        chosen = np.stack(
            [
                rows[cell_balanced_rows(own, np.random.default_rng(seed))]
                for rows, own, seed in zip(draws.rows, cell, _seeds(draws, 2), strict=True)
            ]
        )
        return _train(draws, chosen, self.training)


@dataclass(frozen=True)
class DPSGDRecipe:
    """Networks trained one by one by DP-SGD (Opacus), each row being protected.

    What is protected is a row, not the ratio. Delta is the power of ten below 1 / (10 rows).

    Attributes
    ----------
    epsilon : float
    training : BulkTraining
        Its loss weights and schedule apart.
    """

    epsilon: float = 8.0
    training: BulkTraining = TRAINING
    complementary: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        """Name and settings; JSON-ready."""
        return {"recipe": "dp_sgd", **asdict(self)}

    def fit(self, draws: Draws) -> TrainedModels:
        """Train.

        Raises
        ------
        ProtocolError
            If Opacus is not installed.
        """
        if find_spec("opacus") is None:
            raise ProtocolError("The defence dp_sgd needs opacus; install it with: pip install 'fairbound[dp]'")
        n, settings = draws.rows.shape[1], self.training
        private = PrivateTraining(
            settings.batch_size,
            max(settings.epochs, -(-settings.min_steps // max(1, n // settings.batch_size))),
            settings.learning_rate,
            self.epsilon,
            10.0 ** -math.ceil(math.log10(10 * n)),
        )
        modules = []
        for rows, seed in zip(draws.rows, draws.seeds, strict=True):
            with seeded(derived_seed(seed), torch.device("cpu")):
                module = MLP(draws.X.shape[1], draws.n_classes, settings.hidden)
            inputs, targets = torch.from_numpy(draws.X[rows]), torch.from_numpy(draws.label[rows])
            trained, _ = train_privately(module, inputs, targets, torch.ones(n), private, seed)
            modules.append(trained)
        return StackedMLPs.stack(modules)


@dataclass(frozen=True, eq=False)
class _RandomisedLabels:
    """Models that answer with labels alone, drawn anew for each set of rows from a seed of their own."""

    predictors: tuple[Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[Any]], ...]

    def scores(self, X: ArrayLike, group: ArrayLike | None = None) -> NDArray[np.float32]:
        rows, groups = np.asarray(X, dtype=np.float32), np.asarray(group)
        labels = np.stack([predict(rows, groups) for predict in self.predictors]).astype(np.int64)
        return np.eye(2, dtype=np.float32)[labels]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        return {}


@dataclass(frozen=True)
class PostprocessedRecipe:
    """Networks whose score gets thresholds for each group (Hardt et al., 2016; fairlearn), for two classes.

    They predict labels, at random where thresholds are mixed, and need the group to do so.

    Attributes
    ----------
    held_out : float
        Share of the draw on which thresholds are chosen; the rest trains the network.
    training : BulkTraining
    """

    held_out: float = 0.3
    training: BulkTraining = TRAINING
    complementary: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        """Name and settings; JSON-ready."""
        return {"recipe": "postprocessed", **asdict(self)}

    def fit(self, draws: Draws) -> TrainedModels:
        """Train, and choose thresholds.

        Raises
        ------
        ProtocolError
            If there are more than two classes.
        TrainingInputError
            If a group has too few rows to choose thresholds on.
        """
        from fairlearn.postprocessing import ThresholdOptimizer

        _require_two_classes(draws, "postprocessed")
        first = round((1 - self.held_out) * draws.rows.shape[1])
        models = _train(draws, draws.rows[:, :first], self.training)
        predictors = []
        for i, (rows, seed) in enumerate(zip(draws.rows[:, first:], draws.seeds, strict=True)):
            own = models.take(slice(i, i + 1))
            thresholds = ThresholdOptimizer(
                estimator=Score(), constraints="equalized_odds", prefit=True, predict_method="predict"
            )
            scores = own.scores(draws.X[rows])[0, :, 1:].astype(np.float64)
            try:
                with quietly():
                    thresholds.fit(scores, draws.label[rows], sensitive_features=draws.group[rows])
            except ValueError as error:
                raise TrainingInputError(f"Thresholds cannot be chosen on {len(rows)} rows: {error}") from error
            predictors.append(_thresholded(own, thresholds, derived_seed(seed, 3) % 2**32))
        return _RandomisedLabels(tuple(predictors))


@dataclass(frozen=True)
class ReductionRecipe:
    """Logistic regressions under fairlearn's reduction for equalized odds (Agarwal et al., 2018), for two classes.

    They are randomised mixtures, and predict labels.

    Attributes
    ----------
    eps : float
        Violation of the constraint that is allowed.
    """

    eps: float = 0.01
    complementary: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        """Name and settings; JSON-ready."""
        return {"recipe": "reduction", **asdict(self)}

    def fit(self, draws: Draws) -> TrainedModels:
        """Train.

        Raises
        ------
        ProtocolError
            If there are more than two classes.
        """
        from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient

        _require_two_classes(draws, "reduction")
        predictors = []
        for rows, seed in zip(draws.rows, draws.seeds, strict=True):
            model = ExponentiatedGradient(LogisticRegression(max_iter=1000), EqualizedOdds(), eps=self.eps)
            with quietly(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(draws.X[rows], draws.label[rows], sensitive_features=draws.group[rows])
            predictors.append(_mixture(model, derived_seed(seed, 3) % 2**32))
        return _RandomisedLabels(tuple(predictors))


@dataclass(frozen=True)
class Defence:
    """A defence by name.

    Attributes
    ----------
    recipe : Recipe
    about : str
        What it does, as a clause.
    one_by_one : bool
        Whether its models are trained one after the other, so that fewer of them are made unless asked otherwise.
    """

    recipe: Recipe
    about: str
    one_by_one: bool = field(default=False)


DEFENCES: Mapping[str, Defence] = MappingProxyType(
    {
        "none": Defence(MLPRecipe(TRAINING), "a network trained on its draw"),
        "fft": Defence(
            FairFineTuningRecipe(),
            "then fine-tuned for equalized odds on as many rows at the complementary ratio, with half as many own rows",
        ),
        "fine_tuned": Defence(
            FairFineTuningRecipe(fine_tuning=replace(FINE_TUNING, constraint=None)),
            "then fine-tuned on the rows of fft without its constraint: the control of fft",
        ),
        "fft_own": Defence(
            FairFineTuningRecipe(other_rows=False), "then fine-tuned for equalized odds on its own rows alone"
        ),
        "pooled": Defence(PooledRecipe(), "trained on its draw and as many rows at the complementary ratio"),
        "resampled": Defence(BalancedRecipe("rows"), "trained on as many rows of each cell of group and label"),
        "reweighed": Defence(BalancedRecipe("weights"), "trained with the same total weight for each cell"),
        "postprocessed": Defence(PostprocessedRecipe(), "its score cut at thresholds for each group; predicts labels"),
        "reduction": Defence(
            ReductionRecipe(), "a logistic regression under fairlearn's reduction; predicts labels", one_by_one=True
        ),
        "dp_sgd": Defence(DPSGDRecipe(), "a network trained by DP-SGD with epsilon 8", one_by_one=True),
    }
)
"""Defences by name; "dp_sgd" needs the extra dp and minutes of CPU time for each hundred models."""


def get_defence(name: str) -> Defence:
    """A defence by its name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Defence

    Raises
    ------
    ProtocolError
        If there is none of this name.
    """
    if name not in DEFENCES:
        raise ProtocolError(f"There is no defence {name!r}; choose from: {', '.join(DEFENCES)}.")
    return DEFENCES[name]


def _train(
    draws: Draws, rows: NDArray[np.int64], training: BulkTraining, weights: NDArray[np.float64] | None = None
) -> StackedMLPs:
    return train_in_bulk(
        draws.X,
        draws.label,
        rows,
        seeds=draws.seeds,
        n_classes=draws.n_classes,
        settings=training,
        weights=weights,
    )


def _seeds(draws: Draws, use: int) -> tuple[int, ...]:
    """Seeds of another use than the first training."""
    return tuple(derived_seed(seed, use) for seed in draws.seeds)


def _require_two_classes(draws: Draws, name: str) -> None:
    if draws.n_classes != 2:
        raise ProtocolError(f"The defence {name} is for two classes; there are {draws.n_classes}.")


def _thresholded(models: StackedMLPs, thresholds: Any, seed: int) -> Callable[..., NDArray[Any]]:
    def predict(X: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[Any]:
        scores = models.scores(X)[0, :, 1:].astype(np.float64)
        with quietly():
            return np.asarray(thresholds.predict(scores, sensitive_features=group, random_state=seed))

    return predict


def _mixture(model: Any, seed: int) -> Callable[..., NDArray[Any]]:
    def predict(X: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(model.predict(X, random_state=seed))

    return predict
