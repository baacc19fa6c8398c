"""Fair fine-tuning of many networks as one batched job: what `FairFineTuner` does, M times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from fairbound.empirical.batches import StratifiedBatches
from fairbound.empirical.cells import CellTable
from fairbound.empirical.constraints import AugmentedLagrangian, Constraint, GapPenalty
from fairbound.empirical.errors import TrainingInputError
from fairbound.empirical.models import FitProgress
from fairbound.empirical.shadows.bulk import DEFAULT_CHUNK, OwnRows, check_stack, require_finite
from fairbound.empirical.shadows.stacked import StackedMLPs
from fairbound.empirical.torch_tools import derived_seed, resolve_device

#: Input numbers per block when all rows are gone through.
_BLOCK_NUMBERS = 2**22


@dataclass(frozen=True)
class BulkFineTuning:
    """How each network is fine-tuned; see `FairFineTuner`, whose defaults these are.

    Attributes
    ----------
    constraint : {"augmented_lagrangian", "penalty"} or None
        None: the same loop without a constraint, the control.
    penalty, dual_rate, tolerance, dual_cap : float
    epochs, min_steps, batch_size : int
    cell_balance, learning_rate, weight_decay : float
    dual_interval : int or None
    """

    constraint: str | None = "augmented_lagrangian"
    penalty: float = 15.0
    dual_rate: float = 4.0
    tolerance: float = 0.0
    dual_cap: float = 0.02
    epochs: int = 20
    min_steps: int = 400
    batch_size: int = 1024
    cell_balance: float = 0.5
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    dual_interval: int | None = None

    def __post_init__(self) -> None:
        if self.constraint not in ("augmented_lagrangian", "penalty", None):
            raise TrainingInputError(
                f"constraint={self.constraint!r} is unknown; in bulk it is 'augmented_lagrangian', 'penalty' or None."
            )
        if min(self.epochs, self.min_steps, self.batch_size) < 1 or not 0 <= self.cell_balance <= 1:
            raise TrainingInputError(
                "epochs, min_steps and batch_size must be at least 1, and cell_balance within [0, 1]."
            )


class StackedCells(CellTable):
    """The cells of many networks' rows in one table, so that a constraint compares within each network alone.

    Pairs of cells share a label; giving every network labels of its own keeps the networks apart, and a sum of
    terms over the pairs is a sum over the networks.

    Parameters
    ----------
    labels, groups : Tensor of int64, shape (M * n,)
        Codes of the rows of network 0, of network 1, and so on.
    models, n_labels, n_groups : int
    """

    def __init__(self, labels: Tensor, groups: Tensor, models: int, n_labels: int, n_groups: int) -> None:
        model = torch.arange(models, device=labels.device).repeat_interleave(len(labels) // models)
        super().__init__(model * n_labels + labels, groups, models * n_labels, n_groups)
        # The width of a prediction, which networks share.
        self.n_labels = n_labels
        self.compared = torch.bincount(self.left // (n_labels * n_groups), minlength=models) > 0


def fine_tune_in_bulk(
    models: StackedMLPs,
    X: ArrayLike,
    y: ArrayLike,
    group: ArrayLike,
    rows: ArrayLike,
    *,
    seeds: Sequence[int],
    settings: BulkFineTuning | None = None,
    weights: ArrayLike | None = None,
    device: str = "cpu",
    chunk: int = DEFAULT_CHUNK,
    progress: FitProgress | None = None,
) -> StackedMLPs:
    """Fine-tune each network on its own rows so that its equalized-odds gap falls.

    Network m becomes the module that ``FairFineTuner(models.module(m), random_state=seeds[m])`` trains on its rows, up
    to rounding: it sees the same batches and the same multipliers.

    Parameters
    ----------
    models : StackedMLPs
        M trained networks; they are copied.
    X : array-like of float, shape (N, d)
        Encoded rows from which the networks have theirs.
    y, group : array-like of int, shape (N,)
        Classes and groups, coded 0, 1, ...
    rows : array-like of int, shape (M, n)
        Row numbers of each network.
    seeds : sequence of int, length M
        Batches of a network are a function of its seed alone.
    settings : BulkFineTuning, optional
    weights : array-like of float, shape (M, n), optional
        What the loss of each row is multiplied by; a row of weight 0 serves the constraint alone.
    device, chunk, progress
        As in `fairbound.empirical.shadows.bulk.train_in_bulk`.

    Returns
    -------
    StackedMLPs
        On the CPU.

    Raises
    ------
    TrainingInputError
        If inputs do not fit together, or a network has no label with rows of two groups.
    DivergedError
        If the loss of a network stops being finite.
    """
    settings = settings or BulkFineTuning()
    place = resolve_device(device)
    own = OwnRows.checked(X, y, rows, weights, place)
    count = len(own.index)
    if len(models) != count or own.inputs.shape[1] != models.n_inputs or int(own.targets.max()) >= models.n_classes:
        raise TrainingInputError(
            f"{len(models)} networks of {models.n_inputs} inputs and {models.n_classes} classes do not fit {count} "
            f"draws of {own.inputs.shape[1]} columns and classes up to {int(own.targets.max())}."
        )
    check_stack(count, seeds, chunk)
    codes = np.asarray(group)
    if codes.shape != (len(own.inputs),) or codes.dtype.kind not in "iu" or codes.min() < 0:
        raise TrainingInputError(
            f"group has shape {codes.shape}; codes 0, 1, ... of {len(own.inputs)} rows are needed."
        )
    groups = torch.from_numpy(codes.astype(np.int64)).to(place)
    parts = []
    for start in range(0, count, chunk):
        taken = slice(start, min(count, start + chunk))
        part = models.take(taken, place)
        _fine_tune_chunk(part, own.take(taken), groups, int(codes.max()) + 1, seeds[taken], settings)
        parts.append(part.take(slice(None), torch.device("cpu")))
        if progress is not None:
            progress("models", taken.stop, count)
    return StackedMLPs.concatenate(parts)


def _fine_tune_chunk(
    stacked: StackedMLPs,
    own: OwnRows,
    groups: Tensor,
    n_groups: int,
    seeds: Sequence[int],
    settings: BulkFineTuning,
) -> None:
    """The loop of `fairbound.empirical.loop.run_loop`, for all networks at once; `stacked` is changed."""
    models, n = own.index.shape
    device = own.inputs.device
    table = StackedCells(own.targets, groups[own.index.view(-1)], models, stacked.n_classes, n_groups)
    constraint = _constraint(table, seeds, settings)
    in_loss = own.weights > 0
    # Mean 1 over the rows that count, as a single fit has it.
    mass = (own.weights.view(models, n).sum(dim=1) / in_loss.view(models, n).sum(dim=1)).repeat_interleave(n)
    batches = _batches(table, in_loss, models, n, seeds, settings)
    loss_weight = torch.cat([part.loss_weight for part in batches]) * own.weights / mass
    cell_weight = torch.cat([part.cell_weight for part in batches])
    steps = batches[0].steps
    if any(part.steps != steps for part in batches):
        raise TrainingInputError("Networks that are fine-tuned together need equally many rows of positive weight.")
    batch = min(settings.batch_size, n)
    epochs = max(settings.epochs, -(-settings.min_steps // steps))
    interval = settings.dual_interval or max(10, round(n / (1.5 * batch)))
    for parameter in stacked.parameters():
        parameter.requires_grad_()
    optimizer = torch.optim.AdamW(
        stacked.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    offset = torch.arange(models)[:, None, None] * n
    for epoch in range(epochs):
        order = torch.stack([part.epoch(epoch) for part in batches]) + offset
        for step, places in enumerate(order.to(device).unbind(dim=1)):
            if constraint is not None and (epoch * steps + step) % interval == 0:
                constraint.update(_hard_predictions(stacked, own))
            logits = stacked.logits(own.batch(places)).flatten(0, 1)
            flat = places.reshape(-1)
            losses = nn.functional.cross_entropy(logits, own.targets[flat], reduction="none") * loss_weight[flat]
            loss = losses.sum()
            if constraint is not None:
                loss = loss + constraint.term(logits.softmax(dim=1), flat, cell_weight[flat])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        require_finite(losses.view(models, -1).sum(dim=1), seeds, epoch + 1, "learning_rate or penalty")


def _constraint(table: StackedCells, seeds: Sequence[int], settings: BulkFineTuning) -> Constraint | None:
    if settings.constraint is None:
        return None
    alone = torch.nonzero(~table.compared)[:, 0].tolist()
    if alone:
        raise TrainingInputError(
            f"The constraint compares groups within a label, and {len(alone)} networks, of seed {seeds[alone[0]]} "
            "first, have no label with rows of two groups; give their draws rows of another group."
        )
    if settings.constraint == "penalty":
        return GapPenalty(table, settings.penalty)
    return AugmentedLagrangian(table, settings.penalty, settings.dual_rate, settings.tolerance, settings.dual_cap)


def _batches(
    table: StackedCells, in_loss: Tensor, models: int, n: int, seeds: Sequence[int], settings: BulkFineTuning
) -> list[StratifiedBatches]:
    """The batches of each network, as a single fit has them."""
    strata = (table.cell * 2 + in_loss).view(models, n)
    size = min(settings.batch_size, n)
    widest = max(len(torch.unique(stratum)) for stratum in strata)
    if size < widest:
        raise TrainingInputError(f"A batch of {size} rows cannot hold the {widest} cells; raise batch_size or rows.")
    return [
        StratifiedBatches(stratum, counts, size, settings.cell_balance, derived_seed(seed))
        for stratum, counts, seed in zip(strata, in_loss.view(models, n), seeds, strict=True)
    ]


def _hard_predictions(stacked: StackedMLPs, own: OwnRows) -> Tensor:
    """Predicted class of every row of every network, shape (M * n,)."""
    models, n = own.index.shape
    block = max(1, _BLOCK_NUMBERS // (models * own.inputs.shape[1]))
    places = torch.arange(models * n, device=own.inputs.device).view(models, n)
    with torch.no_grad():
        parts = [stacked.logits(own.batch(piece)).argmax(dim=2) for piece in places.split(block, dim=1)]
    return torch.cat(parts, dim=1).view(-1)
