"""Many networks trained as one batched job.

Every network has its own rows, initial weights and batches, which are those of a `TabularClassifier` with the same
`random_state`: training in bulk gives what training one by one gives, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from fairbound.empirical.errors import DivergedError, TrainingInputError
from fairbound.empirical.models import MLP, FitProgress
from fairbound.empirical.shadows.stacked import StackedMLPs
from fairbound.empirical.torch_tools import derived_seed, resolve_device, seeded

#: Networks trained at once unless told otherwise: more save little time on a CPU.
DEFAULT_CHUNK = 200

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class BulkTraining:
    """How each network is trained; see `TabularClassifier`, whose defaults these are.

    Attributes
    ----------
    hidden : tuple of int
        Width of each hidden layer; none: logistic regression.
    epochs, min_steps, batch_size : int
    learning_rate, weight_decay : float
    """

    hidden: tuple[int, ...] = (64, 32)
    epochs: int = 20
    min_steps: int = 600
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if min(self.epochs, self.min_steps, self.batch_size) < 1:
            raise TrainingInputError("epochs, min_steps and batch_size must be at least 1.")


@dataclass(frozen=True)
class OwnRows:
    """The rows of each of M networks, on a device.

    Networks choose their rows from common ones, so that a row that many of them train on is held once.

    Attributes
    ----------
    inputs : Tensor of float32, shape (N, d)
        The common rows.
    index : Tensor of int64, shape (M, n)
        Each network's rows among them.
    targets : Tensor of int64, shape (M * n,)
        Their labels.
    weights : Tensor of float32, shape (M * n,)
        What their losses are multiplied by.
    """

    inputs: Tensor
    index: Tensor
    targets: Tensor
    weights: Tensor

    @classmethod
    def checked(
        cls, X: ArrayLike, y: ArrayLike, rows: ArrayLike, weights: ArrayLike | None, device: torch.device
    ) -> OwnRows:
        """Check and convert what users hand over.

        Parameters
        ----------
        X : array-like of float, shape (N, d)
        y : array-like of int, shape (N,)
        rows : array-like of int, shape (M, n)
        weights : array-like of float, shape (M, n), optional
        device : torch.device

        Returns
        -------
        OwnRows
            With weights as they are.

        Raises
        ------
        TrainingInputError
            If shapes do not fit, or numbers are not finite or out of range.
        """
        inputs = np.array(X, dtype=np.float32)
        labels, index = np.asarray(y), np.asarray(rows)
        if inputs.ndim != 2 or labels.shape != (len(inputs),) or index.ndim != 2 or 0 in index.shape:
            raise TrainingInputError(
                f"X, y and rows have shapes {inputs.shape}, {labels.shape} and {index.shape}; (N, d), (N,) and (M, n) "
                "are needed."
            )
        if {labels.dtype.kind, index.dtype.kind} - set("iu") or labels.min() < 0:
            raise TrainingInputError("y and rows are whole numbers: classes coded 0, 1, ..., and row numbers.")
        if index.min() < 0 or index.max() >= len(inputs):
            raise TrainingInputError(f"rows names a row outside 0 to {len(inputs) - 1}.")
        if not np.isfinite(inputs).all():
            raise TrainingInputError("X holds NaN or infinity; impute or drop those rows.")
        own = np.ones(index.shape, np.float32) if weights is None else np.array(weights, dtype=np.float32)
        if own.shape != index.shape or not (np.isfinite(own).all() and (own >= 0).all()):
            raise TrainingInputError(f"weights must be finite, not negative, and of the shape of rows, {index.shape}.")
        if not own.any(axis=1).all():
            raise TrainingInputError("A network has no row of positive weight; nothing would count in its loss.")
        return cls(
            torch.from_numpy(inputs).to(device),
            torch.from_numpy(index.astype(np.int64)).to(device),
            torch.from_numpy(labels.astype(np.int64)[index].reshape(-1)).to(device),
            torch.from_numpy(own.reshape(-1)).to(device),
        )

    def take(self, models: slice) -> OwnRows:
        """The rows of some of the networks.

        Parameters
        ----------
        models : slice

        Returns
        -------
        OwnRows
        """
        n = self.index.shape[1]
        chosen = slice(models.start * n, models.stop * n)
        return OwnRows(self.inputs, self.index[models], self.targets[chosen], self.weights[chosen])

    def batch(self, places: Tensor) -> Tensor:
        """Inputs of a batch of every network.

        Parameters
        ----------
        places : Tensor of int64, shape (M, b)
            Numbers in 0..M * n - 1: network m's i-th row is ``m * n + i``.

        Returns
        -------
        Tensor, shape (M, b, d)
        """
        chosen = self.index.view(-1).index_select(0, places.reshape(-1))
        return self.inputs.index_select(0, chosen).view(*places.shape, -1)


def train_in_bulk(
    X: ArrayLike,
    y: ArrayLike,
    rows: ArrayLike,
    *,
    seeds: Sequence[int],
    n_classes: int = 2,
    settings: BulkTraining | None = None,
    weights: ArrayLike | None = None,
    device: str = "cpu",
    chunk: int = DEFAULT_CHUNK,
    progress: FitProgress | None = None,
) -> StackedMLPs:
    """Train one network for each set of rows.

    Network m is the module that ``TabularClassifier(random_state=seeds[m])`` trains on its rows, had their encoder
    given `X`, up to rounding: it starts from the same weights and sees the same batches. Columns that are constant
    over a network's rows are zeroed for it, and the network does not respond to them.

    Parameters
    ----------
    X : array-like of float, shape (N, d)
        Encoded rows from which the networks have theirs.
    y : array-like of int, shape (N,)
        Classes, coded 0, 1, ...
    rows : array-like of int, shape (M, n)
        Row numbers of each network.
    seeds : sequence of int, length M
        Initial weights and batches of a network are a function of its seed alone.
    n_classes : int, default 2
        Outputs of each network; 1: the logit of class 1 of two.
    settings : BulkTraining, optional
    weights : array-like of float, shape (M, n), optional
        What the loss of each row is multiplied by; only ratios within a network matter.
    device : str, default "cpu"
        See `fairbound.empirical.torch_tools.resolve_device`. Everything is computed in float32.
    chunk : int, default 200
        Networks trained at once, a bound on memory.
    progress : callable, optional
        Called with "models", the number of those trained and of all, after each chunk.

    Returns
    -------
    StackedMLPs
        On the CPU.

    Raises
    ------
    TrainingInputError
        If inputs do not fit together.
    DivergedError
        If the loss of a network stops being finite.
    """
    settings = settings or BulkTraining()
    place = resolve_device(device)
    own = OwnRows.checked(X, y, rows, weights, place)
    models = len(own.index)
    check_stack(models, seeds, chunk)
    if int(own.targets.max()) >= max(2, n_classes):
        raise TrainingInputError(f"y holds class {int(own.targets.max())}, and there are {max(2, n_classes)}.")
    parts = []
    for start in range(0, models, chunk):
        taken = slice(start, min(models, start + chunk))
        parts.append(_train_chunk(own.take(taken), seeds[taken], n_classes, settings).take(slice(None), _CPU))
        if progress is not None:
            progress("models", taken.stop, models)
    return StackedMLPs.concatenate(parts)


def check_stack(models: int, seeds: Sequence[int], chunk: int) -> None:
    """Check what is asked for beside the rows.

    Parameters
    ----------
    models : int
    seeds : sequence of int
    chunk : int

    Raises
    ------
    TrainingInputError
        If there is not one seed for each model, or a chunk holds none.
    """
    if len(seeds) != models or chunk < 1:
        raise TrainingInputError(f"{models} networks need {models} seeds, not {len(seeds)}, and chunk at least 1.")


def require_finite(losses: Tensor, seeds: Sequence[int], epoch: int, remedy: str) -> None:
    """Stop if the loss of a network has left the finite numbers.

    Parameters
    ----------
    losses : Tensor, shape (M,)
    seeds : sequence of int, length M
    epoch : int
    remedy : str

    Raises
    ------
    DivergedError
    """
    lost = torch.nonzero(~torch.isfinite(losses))[:, 0].tolist()
    if lost:
        raise DivergedError(
            f"The loss of {len(lost)} networks, of seed {seeds[lost[0]]} first, left the finite numbers in epoch "
            f"{epoch}; lower {remedy}."
        )


def _train_chunk(own: OwnRows, seeds: Sequence[int], n_classes: int, settings: BulkTraining) -> StackedMLPs:
    models, n = own.index.shape
    device = own.inputs.device
    started = [_initial(seed, own.inputs.shape[1], n_classes, settings.hidden) for seed in seeds]
    stacked = StackedMLPs.stack([module for module, _ in started]).take(slice(None), device)
    orders = [generator for _, generator in started]
    weights = own.weights.view(models, n)
    weights = (weights / weights.mean(dim=1, keepdim=True)).view(-1)
    constant = _constant_columns(own)
    seen = (~constant)[:, None].float() if bool(constant.any()) else None
    batch = min(settings.batch_size, n)
    steps = n // batch
    epochs = max(settings.epochs, -(-settings.min_steps // steps))
    for parameter in stacked.parameters():
        parameter.requires_grad_()
    optimizer = torch.optim.AdamW(
        stacked.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    offset = torch.arange(models)[:, None] * n
    for epoch in range(1, epochs + 1):
        order = torch.stack([torch.randperm(n, generator=generator) for generator in orders])
        for places in (order + offset)[:, : steps * batch].to(device).split(batch, dim=1):
            x = own.batch(places)
            if seen is not None:
                x = x * seen
            flat = places.reshape(-1)
            losses = _row_losses(stacked.outputs(x).flatten(0, 1), own.targets.index_select(0, flat))
            loss = (losses * weights.index_select(0, flat)).view(models, batch).mean(dim=1)
            optimizer.zero_grad(set_to_none=True)
            # Networks share no weight: the gradient of the sum is each network's own gradient.
            loss.sum().backward()
            optimizer.step()
            schedule.step()
        require_finite(loss, seeds, epoch, f"learning_rate={settings.learning_rate}")
    if seen is not None:
        with torch.no_grad():
            stacked.weights[0] *= seen.transpose(1, 2)
    return stacked


def _row_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each row."""
    if outputs.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], targets.float(), reduction="none")
    return nn.functional.cross_entropy(outputs, targets, reduction="none")


def _initial(seed: int, n_inputs: int, n_classes: int, hidden: Sequence[int]) -> tuple[MLP, torch.Generator]:
    """A network as `NetworkClassifier` starts with it, and the random numbers that its batches come from."""
    generator = torch.Generator()
    with seeded(derived_seed(seed), _CPU):
        module = MLP(n_inputs, n_classes, hidden)
        generator.set_state(torch.get_rng_state())
    return module, generator


def _constant_columns(own: OwnRows) -> Tensor:
    """Which columns are constant over the rows of each network, shape (M, d)."""
    found = []
    for index in own.index:
        # A few rows rule out most columns, often all.
        few = own.inputs[index[:32]]
        constant = (few == few[0]).all(dim=0)
        if bool(constant.any()):
            x = own.inputs[index]
            constant = (x == x[0]).all(dim=0)
        found.append(constant)
    return torch.stack(found)
