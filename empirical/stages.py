"""The stages of the protocol: what each trains on, from what it starts, and how its settings are chosen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fairbound.empirical.fair_fine_tuning import FairFineTuner
from fairbound.empirical.features import FrozenFeatures
from fairbound.empirical.measurement import choose, quick_measure
from fairbound.empirical.models import NetworkClassifier, TabularClassifier
from fairbound.empirical.plan import ProtocolPlan
from fairbound.empirical.run_rows import Index, RunRows
from fairbound.empirical.torch_tools import derived_seed

#: Weight of the frozen rates' distance in the loss, unless `fine_tuning` names a penalty.
FROZEN_PENALTY = 2.0

#: Learning rate for fine-tuning whole pre-trained networks, unless `fine_tuning` names one.
FULL_LEARNING_RATE = 1e-4


class NotApplicable(Exception):
    """A stage cannot be run on this data or on this machine; its text says why."""


@dataclass(frozen=True, eq=False)
class FittedStage:
    """What a stage trained.

    Attributes
    ----------
    model : estimator
        Without use of the group when predicting, unless a subclass says otherwise.
    notes : dict
        JSON-ready: what was chosen, and how.
    """

    model: Any
    notes: dict[str, Any] = field(default_factory=dict)

    def predict(self, X: Any, group: NDArray[np.str_]) -> NDArray[np.int64]:
        """Predicted label of each row.

        Parameters
        ----------
        X : as `Dataset.features`, n rows
        group : ndarray of str, shape (n,)

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        return np.asarray(self.model.predict(X)).astype(np.int64)

    def scores(self, X: Any, group: NDArray[np.str_], n_classes: int) -> NDArray[np.float64] | None:
        """Probability of each class.

        Parameters
        ----------
        X, group
            As in `predict`.
        n_classes : int

        Returns
        -------
        ndarray of float64, shape (n, n_classes), or None
            None where the model has no such thing.
        """
        scores = np.zeros((len(group), n_classes))
        scores[:, self.model.classes_] = self.model.predict_proba(X)
        return scores


class Run:
    """A plan with a seed: its rows, and its stages as far as they are trained.

    Parameters
    ----------
    plan : ProtocolPlan
    seed : int
    progress : callable, optional
        Called with the name of each stage before it is trained.

    Attributes
    ----------
    plan : ProtocolPlan
    seed : int
    rows : RunRows
    seconds : dict from str to float
        CPU seconds that each trained stage took, without those of the stages that it starts from.
    """

    def __init__(self, plan: ProtocolPlan, seed: int, progress: Callable[[str], None] | None = None) -> None:
        self.plan, self.seed = plan, seed
        self.rows = RunRows(plan, seed)
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._fitted: dict[str, FittedStage] = {}
        self._in_others = 0.0

    def stage(self, name: str) -> FittedStage:
        """A trained stage; those that it starts from are trained first.

        Parameters
        ----------
        name : str

        Returns
        -------
        FittedStage

        Raises
        ------
        NotApplicable
            If it cannot be run here.
        """
        if name not in self._fitted:
            from fairbound.empirical.controls import CONTROLS

            if self._progress is not None:
                self._progress(name)
            began, before = time.process_time(), self._in_others
            self._fitted[name] = (_FIT | CONTROLS)[name](self)
            spent = time.process_time() - began
            self.seconds[name] = spent - (self._in_others - before)
            self._in_others = before + spent
        return self._fitted[name]

    def train_classifier(
        self,
        train: Index,
        validation: Index,
        *,
        weights: NDArray[np.float64] | None = None,
        weights_validation: NDArray[np.float64] | None = None,
    ) -> FittedStage:
        """Train a classifier from scratch; its number of epochs is the best by the loss of validation rows.

        Parameters
        ----------
        train, validation : ndarray of int64
            Rows.
        weights, weights_validation : ndarray of float64, optional
            Default: those of the configured loss.

        Returns
        -------
        FittedStage
        """
        rows, loss = self.rows, self.plan.config.loss
        model = make_classifier(self.plan, self.seed).fit(
            rows.take(train),
            rows.label[train],
            sample_weight=rows.label_weights(train, loss) if weights is None else weights,
            X_validation=rows.take(validation),
            y_validation=rows.label[validation],
            sample_weight_validation=(
                rows.label_weights(validation, loss) if weights_validation is None else weights_validation
            ),
        )
        return FittedStage(model, {"epochs": model.best_epoch_})

    def fine_tune(self, start: str, in_loss: Index, constraint_only: Index, settings: dict[str, Any]) -> FairFineTuner:
        """Go on from a trained stage with `FairFineTuner`.

        Parameters
        ----------
        start : str
            The stage.
        in_loss, constraint_only : ndarray of int64
            Rows that count in the loss, and rows that serve the constraint alone.
        settings : dict
            Of `FairFineTuner`, over the configured ones.

        Returns
        -------
        FairFineTuner
            Fitted.
        """
        rows, config = self.rows, self.plan.config
        every = np.concatenate([in_loss, constraint_only])
        weights = np.zeros(len(every))
        weights[: len(in_loss)] = rows.label_weights(in_loss, config.loss)
        defaults: dict[str, Any] = {"random_state": derived_seed(self.seed, 2)}
        if config.full:
            defaults["learning_rate"] = FULL_LEARNING_RATE
        tuner = FairFineTuner(self.stage(start).model, **defaults | config.fine_tuning | settings)
        return tuner.fit(
            rows.take(every), rows.label[every], sensitive_features=rows.group[every], sample_weight=weights
        )

    def fine_tune_fairly(
        self, start: str, in_loss: Index, constraint_only: Index, settings: dict[str, Any]
    ) -> FittedStage:
        """`fine_tune` with each candidate, and keep the one that `choose` takes by its validation rows.

        Parameters
        ----------
        start, in_loss, constraint_only, settings
            As in `fine_tune`.

        Returns
        -------
        FittedStage
        """
        config = self.plan.config
        fitted = [
            FittedStage(self.fine_tune(start, in_loss, constraint_only, settings | candidate))
            for candidate in config.candidates
        ]
        if len(fitted) == 1:
            return fitted[0]
        measured = [self.on_validation(each) for each in fitted]
        chosen = choose(measured, loss=config.loss, slack=config.slack)
        notes = {"chosen": chosen, "candidates": [dict(c) for c in config.candidates], "validation": measured}
        return FittedStage(fitted[chosen].model, notes)

    def on_validation(self, fitted: FittedStage) -> dict[str, float]:
        """What choices are made by: measures of a trained stage on validation rows.

        Parameters
        ----------
        fitted : FittedStage

        Returns
        -------
        dict from str to float
        """
        rows, index = self.rows, self.rows.parts["validation"]
        return quick_measure(
            rows.label[index],
            fitted.predict(rows.take(index), rows.group[index]),
            rows.group[index],
            worlds=self.plan.worlds,
            n_classes=rows.n_classes,
        )

    def extra_constraint_rows(self) -> Index:
        """Validation rows, if the configuration lets them serve the constraint.

        Returns
        -------
        ndarray of int64
        """
        with_validation = self.plan.config.constraint_rows == "train+validation"
        return self.rows.parts["validation"][: None if with_validation else 0]


def make_classifier(plan: ProtocolPlan, seed: int) -> NetworkClassifier:
    """An untrained classifier for the modality of the data.

    Parameters
    ----------
    plan : ProtocolPlan
    seed : int

    Returns
    -------
    NetworkClassifier
    """
    config, modality = plan.config, plan.dataset.modality
    settings: dict[str, Any] = {"random_state": derived_seed(seed, 1)}
    if modality == "tabular":
        return TabularClassifier(**settings | config.model)
    if modality == "image":
        from fairbound.empirical.vision import ImageClassifier

        network = config.model.get("network", "mobilenet_v2")
        settings |= {"network": network, "frozen": network == "mobilenet_v2" and not config.full}
        return ImageClassifier(**settings | config.model)
    from fairbound.empirical.text import TextClassifier

    return TextClassifier(**settings | {"frozen": not config.full} | config.model)


def frozen_features(
    classifier: NetworkClassifier, progress: Callable[[int, int], None] | None = None
) -> FrozenFeatures | None:
    """What a classifier sees of its rows, if that is the output of a frozen network.

    Parameters
    ----------
    classifier : NetworkClassifier
    progress : callable, optional
        As in `FrozenFeatures`.

    Returns
    -------
    FrozenFeatures or None
    """
    settings = classifier.get_params(deep=False)
    if not settings.get("frozen", False):
        return None
    common: dict[str, Any] = {"device": settings["device"], "progress": progress}
    if "size" in settings:
        from fairbound.empirical.vision import MobileNetFeatures

        size = settings["size"]
        return MobileNetFeatures(**common) if size is None else MobileNetFeatures(size=size, **common)
    from fairbound.empirical.text import SentenceFeatures

    return SentenceFeatures(max_tokens=settings["max_tokens"], **common)


class FrozenRates:
    """Distance of a batch's output rates from fixed ones: a constraint that needs no rows of the other group.

    Parameters
    ----------
    rates : Tensor of float32, shape (K, K)
        Mean probabilities of each class, by label.
    """

    def __init__(self, rates: Tensor) -> None:
        self.rates = rates

    def __call__(self, probabilities: Tensor, labels: Tensor, groups: Tensor) -> Tensor:
        """Sum over the labels of the total variation distance.

        Parameters
        ----------
        probabilities : Tensor, shape (n, K)
        labels, groups : Tensor of int64, shape (n,)

        Returns
        -------
        Tensor, scalar
        """
        distances = [
            (probabilities[labels == y].mean(dim=0) - self.rates[y]).abs().sum() / 2 for y in torch.unique(labels)
        ]
        return torch.stack(distances).sum()


def _fit_base(run: Run) -> FittedStage:
    return run.train_classifier(run.rows.worlds["train"][0], run.rows.worlds["validation"][0])


def _fit_pooled(run: Run) -> FittedStage:
    return run.train_classifier(run.rows.parts["train"], run.rows.parts["validation"])


def _fine_tuning_rows(run: Run) -> tuple[Index, Index]:
    rows = run.rows
    in_loss = np.concatenate([rows.worlds["train"][1], rows.rehearsal])
    # Rows of the starting world would undo what "frozen" means.
    extra = run.extra_constraint_rows()[: 0 if rows.frozen else None]
    return in_loss, np.concatenate([rows.reference, extra])


def _fit_fine_tuned(run: Run) -> FittedStage:
    return FittedStage(run.fine_tune("base", *_fine_tuning_rows(run), {"constraint": None}))


def _fit_fft(run: Run) -> FittedStage:
    rows = run.rows
    if rows.frozen:
        index = rows.worlds["validation"][0]
        scores = run.stage("base").scores(rows.take(index), rows.group[index], rows.n_classes)
        assert scores is not None
        rates = [scores[rows.label[index] == y].mean(axis=0) for y in range(rows.n_classes)]
        constraint = FrozenRates(torch.tensor(np.array(rates), dtype=torch.float32))
        penalty = run.plan.config.fine_tuning.get("penalty", FROZEN_PENALTY)
        settings: dict[str, Any] = {"constraint": constraint, "penalty": penalty}
        stated = "the base model's rates, frozen; the fine-tuned model's own rates there are not constrained"
    else:
        settings = {}
        stated = "reference rows of the starting world" if len(rows.reference) else "rows of both groups"
    fitted = run.fine_tune_fairly("base", *_fine_tuning_rows(run), settings)
    return FittedStage(fitted.model, fitted.notes | {"constraint_stated_by": stated})


_FIT: dict[str, Callable[[Run], FittedStage]] = {
    "base": _fit_base,
    "fine_tuned": _fit_fine_tuned,
    "fft": _fit_fft,
    "pooled": _fit_pooled,
}
