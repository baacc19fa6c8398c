"""A small network for tables and the trainer that gives fair fine-tuning a model to start from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from fairbound.empirical.encoding import TabularEncoder
from fairbound.empirical.errors import DivergedError, TrainingInputError
from fairbound.empirical.labels import encode_labels, label_array
from fairbound.empirical.torch_tools import all_logits, derived_seed, seeded


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


class TabularClassifier(ClassifierMixin, BaseEstimator):
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
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        random_state: int = 0,
        device: str = "cpu",
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.device = device

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        X_validation: pd.DataFrame | None = None,
        y_validation: ArrayLike | None = None,
    ) -> Self:
        """Train from scratch.

        Parameters
        ----------
        X : pandas.DataFrame, shape (n_rows, n_columns)
        y : array-like, shape (n_rows,)
        X_validation, y_validation : optional
            Rows by whose mean log loss the number of epochs is chosen.

        Returns
        -------
        self

        Raises
        ------
        TrainingInputError
            If the inputs do not fit together or hold a single class.
        DivergedError
            If the loss stops being finite.
        """
        labels = label_array(y, len(X))
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise TrainingInputError(f"Training needs two classes; y holds only {self.classes_.tolist()}.")
        device = torch.device(self.device)
        self.encoder_ = TabularEncoder().fit(X)
        inputs = torch.from_numpy(self.encoder_.transform(X)).to(device)
        constant = (inputs == inputs[0]).all(dim=0)
        inputs[:, constant] = 0.0
        targets = torch.from_numpy(encode_labels(labels, self.classes_)).to(device)
        held_out = None
        if X_validation is not None:
            if y_validation is None:
                raise TrainingInputError("X_validation was given without y_validation.")
            validation_labels = encode_labels(label_array(y_validation, len(X_validation)), self.classes_)
            validation = torch.from_numpy(self.encoder_.transform(X_validation)).to(device)
            validation[:, constant] = 0.0
            held_out = (validation, torch.from_numpy(validation_labels).to(device))
        with seeded(derived_seed(self.random_state), device):
            module = MLP(inputs.shape[1], len(self.classes_), self.hidden, self.dropout).to(device)
            self.best_epoch_ = self._train(module, inputs, targets, held_out)
        module.forget_inputs(constant)
        names = self.encoder_.get_feature_names_out()
        self.constant_columns_ = [str(name) for name in names[constant.cpu().numpy()]]
        self.module_ = module.eval()
        return self

    def _train(self, module: MLP, inputs: Tensor, targets: Tensor, held_out: tuple[Tensor, Tensor] | None) -> int:
        """Run the loop; returns the epoch whose weights the module is left with."""
        n = len(inputs)
        batch = min(self.batch_size, n)
        steps = n // batch
        epochs = max(self.epochs, -(-self.min_steps // steps))
        optimizer = torch.optim.AdamW(module.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
        best_loss, best_epoch, best_state = float("inf"), epochs, None
        for epoch in range(1, epochs + 1):
            module.train()
            order = torch.randperm(n).to(inputs.device)
            for rows in order[: steps * batch].split(batch):
                loss = nn.functional.cross_entropy(module(inputs[rows]), targets[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
            if not torch.isfinite(loss):
                raise DivergedError(
                    f"The loss left the finite numbers in epoch {epoch}; lower learning_rate={self.learning_rate}."
                )
            if held_out is not None:
                logits = all_logits(module, held_out[0], inputs.device)
                validation_loss = float(nn.functional.cross_entropy(logits, held_out[1]))
                if validation_loss < best_loss:
                    best_loss, best_epoch = validation_loss, epoch
                    best_state = copy.deepcopy(module.state_dict())
        if best_state is not None:
            module.load_state_dict(best_state)
        return best_epoch

    def predict_proba(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Class probabilities.

        Parameters
        ----------
        X : pandas.DataFrame, shape (n_rows, n_columns)

        Returns
        -------
        ndarray of float64, shape (n_rows, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        device = torch.device(self.device)
        logits = all_logits(self.module_, torch.from_numpy(self.encoder_.transform(X)), device)
        return logits.double().softmax(dim=1).cpu().numpy()

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        """Most probable class of each row.

        Parameters
        ----------
        X : pandas.DataFrame, shape (n_rows, n_columns)

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        predictions: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return predictions
