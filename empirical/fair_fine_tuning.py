"""Fair fine-tuning: move a trained model to new data under an equalized-odds constraint.

The constraint bounds what T1 prices: the disparities ``delta_y`` of the hard predictions.
"""

from __future__ import annotations

import copy
import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from fairbound.empirical.cells import CellTable
from fairbound.empirical.constraints import (
    AugmentedLagrangian,
    Constraint,
    ConstraintFunction,
    FunctionConstraint,
    GapPenalty,
)
from fairbound.empirical.errors import NearConstantWarning, TrainingInputError, UnconstrainedCellWarning
from fairbound.empirical.labels import encode_labels, label_array, row_weights
from fairbound.empirical.loop import CheckpointFile, LoopSettings, Progress, TrainingRows, run_loop
from fairbound.empirical.models import NetworkClassifier
from fairbound.empirical.near_constant import is_near_constant, largest_share
from fairbound.empirical.torch_tools import (
    Inputs,
    all_logits,
    as_inputs,
    derived_seed,
    resolve_device,
    row_count,
    stack,
    take,
    to_device,
)


class FairFineTuner(ClassifierMixin, BaseEstimator):
    """Fine-tune a classifier so that its equalized-odds gap falls.

    Groups are needed to fit and never to predict.

    Parameters
    ----------
    model : torch.nn.Module or NetworkClassifier
        The trained model to start from; it is copied, never changed. A module returns logits of shape (n, K), or
        one logit of class 1; its attribute ``rows_at_once``, if any, bounds the rows it is given at once (see
        `fairbound.empirical.loop.logits_and_way_back`). Of a fitted `TabularClassifier`, `ImageClassifier` or
        `TextClassifier` the encoder is used too, so `fit` and `predict` take data frames, images or texts.
    constraint : {"augmented_lagrangian", "penalty"}, callable or None, default "augmented_lagrangian"
        "augmented_lagrangian": see `fairbound.empirical.constraints.AugmentedLagrangian`. "penalty": a fixed
        multiple of the soft gaps. A callable ``f(probabilities, labels, groups) -> scalar`` gets tensors of
        shapes (n, K), (n,), (n,) with labels and groups coded 0, 1, ... and is added with weight `penalty`; a
        batch over-represents small cells, so a function that averages over several cells needs
        ``cell_balance=0``. None: plain fine-tuning with the same loop, the control.
    classes : sequence, optional
        Label that each output of a module stands for; default: the sorted labels seen by `fit`.
    penalty : float, default 15.0
        Weight of the quadratic term (mu), of the gaps (then about 1 is a good start), or of the callable.
    dual_rate : float, default 4.0
        Step of the multipliers.
    tolerance : float, default 0.0
        Hard gaps up to this are left alone by the multipliers.
    dual_cap : float, default 0.02
        Larger gaps count as this in a step of the multipliers, lest a large gap at the start wind them up.
    epochs : int, default 20
        Passes over the rows, more if they make fewer than `min_steps` steps.
    min_steps : int, default 400
        Least number of gradient steps: twenty epochs of a small set would be twenty steps.
    batch_size : int, default 1024
        Large, because the gap of a perfectly fair model measured on 32 rows is .4 on average. At most the number
        of rows.
    cell_balance : float, default 0.5
        Share of each batch that is spread evenly over the (label, group) cells; importance weights keep the
        loss unbiased.
    learning_rate : float, default 1e-3
        Adam's, falling to zero along a half cosine. A pre-trained network that is tuned as a whole needs less:
        1e-4 suits MobileNetV2 and MiniLM.
    weight_decay : float, default 1e-4
        Decoupled (AdamW).
    dual_interval : int, optional
        Steps between looks at the hard gaps of all rows (one forward pass without gradients). Default: 10, or
        more when the rows are many, so that looking costs no more than half of the training.
    rehearsal_role : {"both", "constraint"}, default "both"
        Whether the rehearsal rows count in the loss and the constraint, or in the constraint alone.
    random_state : int, default 0
        The fit is a function of it and of the inputs; torch's global generator is left as it was.
    device : str, default "cpu"
        "auto": a GPU if there is one. On a GPU forward passes are in bfloat16, and sums of floats may come out in
        another order each time, so that fits repeat there only approximately.
    checkpoint_path : str or path, optional
        File written after each epoch; a fit that finds a file of the same data and settings goes on from it and
        ends as an unbroken one would have.
    callback : callable, optional
        Called with a `Progress` after each epoch.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fine-tuned module, in evaluation mode.
    classes_ : ndarray, shape (K,)
    groups_ : ndarray, shape (G,)
        Groups seen by `fit`.
    n_steps_, n_epochs_ : int
        Gradient steps and epochs made.
    multipliers_ : ndarray, shape (P, K), or None
        Final multipliers of the augmented Lagrangian, one row per compared pair of groups and label.
    training_equalized_odds_ : float
        Delta_EO of the hard predictions on the rows of the constraint; NaN with fewer than two groups.
    near_constant_ : bool
        Whether more than 99.5 % of the rows are given one label.

    Warns
    -----
    NearConstantWarning
        If the fitted predictor gives more than 99.5 % of the rows one label.
    UnconstrainedCellWarning
        If a (label, group) cell has no rows.

    Notes
    -----
    The recipe: soft gaps per label and pair of groups in the primal, a dual step from the hard gaps of all rows
    every few steps, large batches, a cosine schedule.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from fairbound.empirical import FairFineTuner
    >>> rng = np.random.default_rng(0)
    >>> group = rng.integers(0, 2, 4000)
    >>> x = np.column_stack([rng.normal(size=4000), group]).astype("float32")
    >>> y = (x[:, 0] + group + rng.normal(size=4000) > 0.5).astype(int)
    >>> tuner = FairFineTuner(torch.nn.Linear(2, 2), random_state=0)
    >>> predictions = tuner.fit(x, y, sensitive_features=group).predict(x)
    >>> predictions.shape
    (4000,)
    """

    def __init__(
        self,
        model: nn.Module | NetworkClassifier,
        *,
        constraint: str | ConstraintFunction | None = "augmented_lagrangian",
        classes: Sequence[Any] | None = None,
        penalty: float = 15.0,
        dual_rate: float = 4.0,
        tolerance: float = 0.0,
        dual_cap: float = 0.02,
        epochs: int = 20,
        min_steps: int = 400,
        batch_size: int = 1024,
        cell_balance: float = 0.5,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        dual_interval: int | None = None,
        rehearsal_role: str = "both",
        random_state: int = 0,
        device: str = "cpu",
        checkpoint_path: str | os.PathLike[str] | None = None,
        callback: Callable[[Progress], None] | None = None,
    ) -> None:
        self.model = model
        self.constraint = constraint
        self.classes = classes
        self.penalty = penalty
        self.dual_rate = dual_rate
        self.tolerance = tolerance
        self.dual_cap = dual_cap
        self.epochs = epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.cell_balance = cell_balance
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dual_interval = dual_interval
        self.rehearsal_role = rehearsal_role
        self.random_state = random_state
        self.device = device
        self.checkpoint_path = checkpoint_path
        self.callback = callback

    def __sklearn_clone__(self) -> Self:
        """Share the model to start from: scikit-learn's clone would take its fitted state away."""
        return type(self)(**self.get_params(deep=False))

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sensitive_features: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_rehearsal: Any = None,
        y_rehearsal: ArrayLike | None = None,
        sensitive_features_rehearsal: ArrayLike | None = None,
        sample_weight_rehearsal: ArrayLike | None = None,
    ) -> Self:
        """Fine-tune a copy of the model.

        Parameters
        ----------
        X : array-like, Tensor, data frame, or mapping from str to array-like; n rows
            Rows to fine-tune on, of any shape that the module takes (or, where `model` is a classifier, its
            encoder). A mapping is passed to the module as keyword arguments.
        y : array-like, shape (n,)
            Labels.
        sensitive_features : array-like, shape (n,)
            Group of each row.
        sample_weight : array-like, shape (n,), optional
            What each row's loss is multiplied by; only ratios matter. A row of weight 0 serves the constraint alone.
            The constraint knows no weights.
        X_rehearsal, y_rehearsal, sensitive_features_rehearsal, sample_weight_rehearsal : optional
            Rows of the earlier distribution, mixed in (see `rehearsal_role`).

        Returns
        -------
        self

        Raises
        ------
        TrainingInputError
            If inputs or settings do not fit together, or the constraint (unless it is a callable) has no two groups to
            compare.
        DivergedError
            If the loss stops being finite.
        CheckpointError
            If the checkpoint file is unreadable or belongs to another run.
        """
        self._check_settings()
        device = resolve_device(self.device)
        module, self._encoder = self._starting_point()
        inputs = self._encode(X)
        n = row_count(inputs)
        labels = label_array(y, n)
        groups = label_array(sensitive_features, n, "sensitive_features")
        weights = row_weights(sample_weight, n)
        if X_rehearsal is not None:
            if y_rehearsal is None or sensitive_features_rehearsal is None:
                raise TrainingInputError("X_rehearsal needs y_rehearsal and sensitive_features_rehearsal as well.")
            extra = self._encode(X_rehearsal)
            m = row_count(extra)
            inputs = stack(inputs, extra)
            labels = np.concatenate([labels, label_array(y_rehearsal, m, "y_rehearsal")])
            extra_groups = label_array(sensitive_features_rehearsal, m, "sensitive_features_rehearsal")
            groups = np.concatenate([groups, extra_groups])
            extra_weights = row_weights(sample_weight_rehearsal, m, "sample_weight_rehearsal")
            weights = np.concatenate([weights, extra_weights * (self.rehearsal_role == "both")])
        in_loss = weights > 0
        if not in_loss.any():
            raise TrainingInputError("No row has a positive sample_weight; nothing would count in the loss.")
        weights = weights / weights[in_loss].mean()
        self.classes_ = self._class_labels(labels)
        self.groups_ = np.unique(groups)
        targets = torch.from_numpy(encode_labels(labels, self.classes_)).to(device)
        codes = torch.from_numpy(encode_labels(groups, self.groups_, "sensitive_features")).to(device)
        table = CellTable(targets, codes, len(self.classes_), len(self.groups_))
        rows = TrainingRows(
            to_device(inputs, device),
            targets,
            torch.from_numpy(in_loss).to(device),
            torch.from_numpy(weights).to(device),
            table,
        )
        module.to(device)
        outputs = all_logits(module, take(rows.inputs, slice(0, 2)), device).shape[1]
        if outputs != len(self.classes_):
            raise TrainingInputError(
                f"The module has {outputs} outputs and there are {len(self.classes_)} classes "
                f"({self.classes_.tolist()}); pass `classes` with the label of each output."
            )
        constraint = self._make_constraint(table, targets, codes)
        settings = LoopSettings(
            epochs=self.epochs,
            min_steps=self.min_steps,
            batch_size=self.batch_size,
            cell_balance=self.cell_balance,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            dual_interval=self.dual_interval,
            seed=derived_seed(self.random_state),
        )
        checkpoint = None
        if self.checkpoint_path is not None:
            checkpoint = CheckpointFile(Path(self.checkpoint_path), self._fingerprint(module, rows))
        self.n_epochs_, self.n_steps_ = run_loop(
            module, rows, constraint, settings, checkpoint=checkpoint, callback=self.callback
        )
        self._finish(module, rows, constraint)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities, without groups.

        Parameters
        ----------
        X : as in `fit`, n rows

        Returns
        -------
        ndarray of float64, shape (n, K)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self, "module_")
        logits = all_logits(self.module_, self._encode(X), resolve_device(self.device))
        return logits.double().softmax(dim=1).cpu().numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable class of each row, without groups.

        Parameters
        ----------
        X : as in `fit`, n rows

        Returns
        -------
        ndarray, shape (n,)
        """
        predictions: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return predictions

    def _check_settings(self) -> None:
        known = ("augmented_lagrangian", "penalty")
        if not (self.constraint is None or callable(self.constraint) or self.constraint in known):
            raise TrainingInputError(
                f"constraint={self.constraint!r} is unknown; use {known[0]!r}, {known[1]!r}, a callable or None."
            )
        if self.rehearsal_role not in ("both", "constraint"):
            raise TrainingInputError(f"rehearsal_role={self.rehearsal_role!r} is not 'both' or 'constraint'.")
        if min(self.epochs, self.min_steps, self.batch_size) < 1 or not 0 <= self.cell_balance <= 1:
            raise TrainingInputError(
                "epochs, min_steps and batch_size must be at least 1, and cell_balance within [0, 1]."
            )

    def _starting_point(self) -> tuple[nn.Module, Any]:
        """A copy of the module to fine-tune and the encoder of its inputs, if it has one."""
        if isinstance(self.model, nn.Module):
            return copy.deepcopy(self.model), None
        check_is_fitted(self.model)
        return copy.deepcopy(self.model.module_), self.model.encoder_

    def _encode(self, X: Any) -> Inputs:
        return as_inputs(X if self._encoder is None else self._encoder.transform(X))

    def _class_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        if self.classes is not None:
            return np.asarray(self.classes)
        if isinstance(self.model, nn.Module):
            return np.unique(labels)
        return self.model.classes_

    def _make_constraint(self, table: CellTable, labels: Tensor, groups: Tensor) -> Constraint | None:
        if self.constraint is None:
            return None
        if callable(self.constraint):
            return FunctionConstraint(self.constraint, labels, groups, self.penalty)
        if len(table.left) == 0:
            raise TrainingInputError(
                f"The constraint compares groups within a label, and no label has rows of two groups (groups: "
                f"{', '.join(map(str, self.groups_))}); pass rows of another group as X_rehearsal."
            )
        empty = table.empty_cells()
        if empty:
            label, group = empty[0]
            warnings.warn(
                f"{len(empty)} (label, group) cells have no rows, e.g. ({self.classes_[label]}, "
                f"{self.groups_[group]}); equalized odds is not constrained there.",
                UnconstrainedCellWarning,
                stacklevel=3,
            )
        if self.constraint == "penalty":
            return GapPenalty(table, self.penalty)
        return AugmentedLagrangian(table, self.penalty, self.dual_rate, self.tolerance, self.dual_cap)

    def _finish(self, module: nn.Module, rows: TrainingRows, constraint: Constraint | None) -> None:
        """Set what the fit found out, and warn of a predictor that predicts nothing."""
        self.module_ = module.eval()
        predictions = all_logits(module, rows.inputs, rows.targets.device).argmax(dim=1)
        compared = len(rows.table.left) > 0
        self.training_equalized_odds_ = rows.table.equalized_odds(predictions) if compared else float("nan")
        self.multipliers_ = None
        if isinstance(constraint, AugmentedLagrangian):
            self.multipliers_ = constraint.multipliers.cpu().numpy()
        label, share = largest_share(self.classes_[predictions.cpu().numpy()])
        self.near_constant_ = is_near_constant(share)
        if self.near_constant_:
            warnings.warn(
                f"The fine-tuned model predicts {label!r} for {share:.2%} of the rows; a constant predictor has "
                "no disparity, so a small one is no achievement here.",
                NearConstantWarning,
                stacklevel=3,
            )

    def _fingerprint(self, module: nn.Module, rows: TrainingRows) -> str:
        """Digest of what the fit is a function of, taken before training."""
        elsewhere = {"model", "callback", "checkpoint_path", "device", "constraint", "classes"}
        settings = {name: value for name, value in self.get_params(False).items() if name not in elsewhere}
        settings["constraint"] = _definition(self.constraint)
        # Two networks of equal weights may compute different things.
        settings["network"] = repr(module)
        settings["classes"], settings["groups"] = self.classes_.tolist(), self.groups_.tolist()
        digest = hashlib.sha256(repr(sorted(settings.items())).encode())
        inputs = list(rows.inputs.values()) if isinstance(rows.inputs, dict) else [rows.inputs]
        for tensor in (*module.state_dict().values(), *inputs, rows.targets, rows.table.cell, rows.weights):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _definition(constraint: Any) -> str:
    """What a constraint computes, as far as can be told: a function's code, defaults and enclosed values."""
    code = getattr(constraint, "__code__", None)
    if code is None:
        return repr(constraint) if isinstance(constraint, str | None) else f"{type(constraint)} {vars(constraint)}"
    enclosed = [cell.cell_contents for cell in constraint.__closure__ or ()]
    return repr((constraint.__qualname__, _instructions(code), constraint.__defaults__, enclosed))


def _instructions(code: CodeType) -> tuple[Any, ...]:
    """Of a function and of those inside it; the names of code objects themselves hold addresses."""
    constants = [_instructions(value) if isinstance(value, CodeType) else value for value in code.co_consts]
    return code.co_code, code.co_names, constants
