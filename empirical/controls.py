"""Controls that stand beside fair fine-tuning: other ways of learning from the rows of both groups.

All of them get the same training rows, and validation rows for their choices.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from fairbound.empirical.models import MLP
from fairbound.empirical.run_rows import Index
from fairbound.empirical.stages import FittedStage, NotApplicable, Run
from fairbound.empirical.torch_tools import all_logits, as_inputs, derived_seed, resolve_device, seeded

_BLOCK = "the gradient of each row is needed, which is done here for heads and tables alone"


def cell_balanced_rows(cell: NDArray[np.int64], rng: np.random.Generator) -> Index:
    """Draw as many rows as there are, the same number from every cell (up to one).

    Parameters
    ----------
    cell : ndarray of int64, shape (n,)
        Cell of each row.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int64, shape (n,)
        Positions, sorted. A cell with fewer rows than its share is drawn from with replacement, after each of its rows
        was taken once.
    """
    cells = np.unique(cell)
    shares = np.diff(np.linspace(0, len(cell), len(cells) + 1).round().astype(np.int64))
    drawn = []
    for value, share in zip(cells, shares, strict=True):
        own = rng.permutation(np.flatnonzero(cell == value))
        drawn += [own[:share], rng.choice(own, max(0, share - len(own)))]
    return np.sort(np.concatenate(drawn))


def independence_weights(cell: NDArray[np.int64], n_labels: int, table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights under which group and label are independent: P(a) P(y) / P(a, y) (F. Kamiran, T. Calders, 2012).

    Parameters
    ----------
    cell : ndarray of int64, shape (n,)
        ``group * n_labels + label``.
    n_labels : int
        K.
    table : ndarray of int64, shape (G * K,)
        Rows of each cell, from which the probabilities are taken.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    joint = table.reshape(-1, n_labels) / table.sum()
    weights: NDArray[np.float64] = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0) / joint
    return weights.ravel()[cell]


@dataclass(frozen=True, eq=False)
class _Reduction(FittedStage):
    """A randomised mixture of linear classifiers on what an encoder makes of the rows."""

    encode: Callable[[Any], NDArray[np.float32]] = np.asarray
    seed: int = 0

    def predict(self, X: Any, group: NDArray[np.str_]) -> NDArray[np.int64]:
        predictions = self.model.predict(self.encode(X), random_state=self.seed)
        return np.asarray(predictions).astype(np.int64)

    def scores(self, X: Any, group: NDArray[np.str_], n_classes: int) -> NDArray[np.float64]:
        features = self.encode(X)
        votes = [
            weight * np.asarray(predictor.predict(features))
            for weight, predictor in zip(self.model.weights_, self.model.predictors_, strict=True)
            if weight > 0
        ]
        positive = np.sum(votes, axis=0)
        return np.column_stack([1 - positive, positive])


class Score(BaseEstimator):
    """An estimator whose prediction is its input: the score that fairlearn's thresholds are put on."""

    def fit(self, X: Any, y: Any = None) -> Score:
        """Nothing to fit."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """The first column."""
        return np.asarray(X)[:, 0]


@dataclass(frozen=True, eq=False)
class _Postprocessed(FittedStage):
    """Thresholds of each group on another stage's scores."""

    scorer: FittedStage | None = None
    seed: int = 0

    def predict(self, X: Any, group: NDArray[np.str_]) -> NDArray[np.int64]:
        assert self.scorer is not None
        scores = self.scorer.scores(X, group, 2)
        assert scores is not None
        predictions = self.model.predict(scores[:, 1:], sensitive_features=group, random_state=self.seed)
        return np.asarray(predictions).astype(np.int64)

    def scores(self, X: Any, group: NDArray[np.str_], n_classes: int) -> None:
        return None


def _cells(run: Run, index: Index) -> NDArray[np.int64]:
    rows = run.rows
    cells: NDArray[np.int64] = rows.n_classes * (rows.group[index] == max(run.plan.worlds.groups)) + rows.label[index]
    return cells


def _fit_pooled_fair(run: Run) -> FittedStage:
    """The pooled model trained on, on its own rows, under the constraint of "fft"."""
    return run.fine_tune_fairly("pooled", run.rows.parts["train"], run.extra_constraint_rows(), {})


def _fit_resampled(run: Run) -> FittedStage:
    """Pooled training on rows drawn so that all (label, group) cells are equally large."""
    rng = np.random.default_rng(derived_seed(run.seed, 3))
    train, validation = (
        index[cell_balanced_rows(_cells(run, index), rng)]
        for index in (run.rows.parts["train"], run.rows.parts["validation"])
    )
    return run.train_classifier(train, validation)


def _fit_reweighed(run: Run) -> FittedStage:
    """Pooled training with the weights of Kamiran and Calders."""
    rows, loss = run.rows, run.plan.config.loss
    table = np.bincount(_cells(run, rows.parts["train"]), minlength=2 * rows.n_classes)
    weights = {
        part: independence_weights(_cells(run, index), rows.n_classes, table) * rows.label_weights(index, loss)
        for part, index in rows.parts.items()
        if part != "certification"
    }
    return run.train_classifier(
        rows.parts["train"],
        rows.parts["validation"],
        weights=weights["train"],
        weights_validation=weights["validation"],
    )


def _fit_exponentiated_gradient(run: Run) -> FittedStage:
    """Logistic regression under fairlearn's reduction (Agarwal et al., 2018) on the inputs of the pooled network."""
    model = _binary(run).model
    if _takes_rows_whole(run):
        raise NotApplicable("a linear model takes features of fixed width, and the whole network is trained here")
    return _reduce(run, model.encoder_.transform)


def _fit_exponentiated_gradient_hidden(run: Run) -> FittedStage:
    """Logistic regression under the same reduction on the last hidden layer of the pooled network."""
    model = _binary(run).model
    module = model.module_
    if not isinstance(module, MLP) or len(module.layers) < 2:
        raise NotApplicable("the network has no hidden layer of its own")

    def encode(X: Any) -> NDArray[np.float32]:
        device = resolve_device(model.device)
        return all_logits(module.layers[:-1], as_inputs(model.encoder_.transform(X)), device).cpu().numpy()

    return _reduce(run, encode)


def _fit_postprocessed(run: Run) -> FittedStage:
    """Thresholds of each group on the pooled model's score (Hardt et al., 2016), chosen on validation rows."""
    from fairlearn.postprocessing import ThresholdOptimizer

    pooled = _binary(run)
    rows, index = run.rows, run.rows.parts["validation"]
    scores = pooled.scores(rows.take(index), rows.group[index], 2)
    assert scores is not None
    objective = "accuracy_score" if run.plan.config.loss == "plain" else "balanced_accuracy_score"
    model = ThresholdOptimizer(
        estimator=Score(), constraints="equalized_odds", objective=objective, prefit=True, predict_method="predict"
    )
    with quietly():
        model.fit(scores[:, 1:], rows.label[index], sensitive_features=rows.group[index])
    notes = {"needs_group_to_predict": True, "randomised": True}
    return _Postprocessed(model, notes, pooled, _small_seed(run))


def _fit_dp_sgd(run: Run) -> FittedStage:
    """Pooled training by DP-SGD (Opacus), of the pooled network's form, on its inputs."""
    if find_spec("opacus") is None:
        raise NotApplicable("opacus is not installed; install it with: pip install 'fairbound[dp]'")
    pooled = run.stage("pooled").model
    if not isinstance(pooled.module_, MLP):
        raise NotApplicable(_BLOCK)
    rows, train = run.rows, run.rows.parts["train"]
    weights = torch.from_numpy(rows.label_weights(train, run.plan.config.loss)).float()
    inputs = as_inputs(pooled.encoder_.transform(rows.take(train)))
    assert isinstance(inputs, Tensor)
    targets = torch.from_numpy(rows.label[train])
    delta = 10.0 ** -math.ceil(math.log10(10 * len(train)))
    batch = min(pooled.batch_size, len(train))
    settings = PrivateTraining(
        batch,
        max(pooled.epochs, -(-pooled.min_steps // (len(train) // batch))),
        pooled.learning_rate or 2e-3,
        run.plan.config.dp_epsilon,
        delta,
    )
    module, noise = train_privately(pooled.module_, inputs, targets, weights, settings, run.seed)
    model = copy.copy(pooled)
    model.module_ = module.to(resolve_device(pooled.device))
    notes = {
        "epsilon": run.plan.config.dp_epsilon,
        "delta": delta,
        "noise_multiplier": noise,
        "unit": "one row; the encoder's means and scales are not private",
    }
    if run.plan.config.loss != "plain":
        notes["loss_weights"] = "the clipping of each row's gradient takes most of them away"
    return FittedStage(model, notes)


@dataclass(frozen=True)
class PrivateTraining:
    """How a network is trained by DP-SGD.

    Attributes
    ----------
    batch_size, epochs : int
    learning_rate : float
    epsilon, delta : float
        Privacy budget.
    """

    batch_size: int
    epochs: int
    learning_rate: float
    epsilon: float
    delta: float


def train_privately(
    like: MLP, inputs: Tensor, targets: Tensor, weights: Tensor, settings: PrivateTraining, seed: int
) -> tuple[MLP, float]:
    """Train a network with noise for a privacy budget (Opacus), on the CPU.

    Parameters
    ----------
    like : MLP
        A network of the wanted form, which is left as it is.
    inputs : Tensor of float32, shape (n, d)
    targets : Tensor of int64, shape (n,)
    weights : Tensor of float32, shape (n,)
        What the losses are multiplied by.
    settings : PrivateTraining
    seed : int

    Returns
    -------
    network : MLP
        Trained from weights of its own.
    noise_multiplier : float
    """
    from opacus import PrivacyEngine

    with seeded(derived_seed(seed, 4), torch.device("cpu")), warnings.catch_warnings():
        # Opacus warns of its own use of torch's hooks and of a random generator that is not cryptographic.
        warnings.simplefilter("ignore")
        module = copy.deepcopy(like).cpu()
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        loader = DataLoader(
            TensorDataset(inputs, targets, weights),
            batch_size=settings.batch_size,
            generator=torch.Generator().manual_seed(derived_seed(seed, 5)),
        )
        private, optimizer, batches = PrivacyEngine(accountant="rdp").make_private_with_epsilon(
            module=module.train(),
            optimizer=torch.optim.Adam(module.parameters(), lr=settings.learning_rate),
            data_loader=loader,
            target_epsilon=settings.epsilon,
            target_delta=settings.delta,
            epochs=settings.epochs,
            max_grad_norm=1.0,
            noise_generator=torch.Generator().manual_seed(derived_seed(seed, 6)),
        )
        for _ in range(settings.epochs):
            for x, y, w in batches:
                # Poisson sampling may draw no row.
                if len(y) == 0:
                    continue
                optimizer.zero_grad()
                losses = nn.functional.cross_entropy(private(x), y, reduction="none")
                (losses * w).mean().backward()
                optimizer.step()
        fresh = copy.deepcopy(like).cpu()
        fresh.load_state_dict({name.removeprefix("_module."): value for name, value in private.state_dict().items()})
    return fresh.eval(), float(optimizer.noise_multiplier)


def _binary(run: Run) -> FittedStage:
    """The pooled stage, if there are two classes."""
    if run.rows.n_classes != 2:
        raise NotApplicable(f"the method is for two classes; there are {run.rows.n_classes}")
    return run.stage("pooled")


def _takes_rows_whole(run: Run) -> bool:
    return not isinstance(run.stage("pooled").model.module_, MLP)


def _reduce(run: Run, encode: Callable[[Any], NDArray[np.float32]]) -> FittedStage:
    from fairlearn.reductions import EqualizedOdds, ErrorRate, ExponentiatedGradient

    rows, config, train = run.rows, run.plan.config, run.rows.parts["train"]
    weights = rows.label_weights(train, config.loss)
    costs = {name: float(weights[rows.label[train] == y].mean()) for name, y in (("fp", 0), ("fn", 1))}
    largest = max(costs.values())
    model = ExponentiatedGradient(
        LogisticRegression(max_iter=1000),
        EqualizedOdds(),
        eps=config.reduction_eps,
        objective=ErrorRate(costs={name: cost / largest for name, cost in costs.items()}),
    )
    with quietly():
        model.fit(encode(rows.take(train)), rows.label[train], sensitive_features=rows.group[train])
    notes = {"eps": config.reduction_eps, "randomised": True, "classifiers": int((model.weights_ > 0).sum())}
    return _Reduction(model, notes, encode, _small_seed(run))


@contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings that fairlearn's use of pandas sets off: they are about code that is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _small_seed(run: Run) -> int:
    """A seed as NumPy's old generators take it."""
    return derived_seed(run.seed, 7) % 2**32


#: What trains each control.
CONTROLS: dict[str, Callable[[Run], FittedStage]] = {
    "pooled_fair": _fit_pooled_fair,
    "resampled": _fit_resampled,
    "reweighed": _fit_reweighed,
    "exponentiated_gradient": _fit_exponentiated_gradient,
    "exponentiated_gradient_hidden": _fit_exponentiated_gradient_hidden,
    "postprocessed": _fit_postprocessed,
    "dp_sgd": _fit_dp_sgd,
}
