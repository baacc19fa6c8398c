"""The training loop of fair fine-tuning, and of its unconstrained control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fairbound.empirical.batches import StratifiedBatches
from fairbound.empirical.cells import CellTable
from fairbound.empirical.checkpoints import load_checkpoint, save_checkpoint
from fairbound.empirical.constraints import Constraint
from fairbound.empirical.errors import DivergedError, TrainingInputError
from fairbound.empirical.torch_tools import Inputs, all_logits, class_logits, derived_seed, row_count, seeded, take


@dataclass(frozen=True)
class Progress:
    """Where a fit stands after an epoch.

    Attributes
    ----------
    epoch, epochs : int
        Epochs done and in all.
    loss : float
        Mean training loss of the epoch, without the constraint's term.
    equalized_odds : float
        Delta_EO of the hard predictions on the training rows when last looked at; NaN without a constraint.
    """

    epoch: int
    epochs: int
    loss: float
    equalized_odds: float


@dataclass(frozen=True)
class TrainingRows:
    """Rows on the device of the module.

    Attributes
    ----------
    inputs : Tensor or dict of str to Tensor, n rows
    targets : Tensor of int64, shape (n,)
    in_loss : Tensor of bool, shape (n,)
        Rows whose loss counts; the others serve the constraint only.
    weights : Tensor of float32, shape (n,)
        What each row's loss is multiplied by.
    table : CellTable
        Cells of the rows.
    """

    inputs: Inputs
    targets: Tensor
    in_loss: Tensor
    weights: Tensor
    table: CellTable


@dataclass(frozen=True)
class LoopSettings:
    """Length and pace of the loop; see `FairFineTuner` for each.

    Attributes
    ----------
    epochs, min_steps, batch_size : int
    cell_balance, learning_rate, weight_decay : float
    dual_interval : int or None
    seed : int
        Batches and dropout are a function of it.
    """

    epochs: int
    min_steps: int
    batch_size: int
    cell_balance: float
    learning_rate: float
    weight_decay: float
    dual_interval: int | None
    seed: int


@dataclass(frozen=True)
class CheckpointFile:
    """Where a loop keeps its state.

    Attributes
    ----------
    path : pathlib.Path
    run : str
        Fingerprint of the run; a file with another one is refused.
    """

    path: Path
    run: str


def run_loop(
    module: nn.Module,
    rows: TrainingRows,
    constraint: Constraint | None,
    settings: LoopSettings,
    *,
    checkpoint: CheckpointFile | None = None,
    callback: Callable[[Progress], None] | None = None,
) -> tuple[int, int]:
    """Train a module in place.

    Parameters
    ----------
    module : torch.nn.Module
    rows : TrainingRows
    constraint : Constraint, optional
    settings : LoopSettings
    checkpoint : CheckpointFile, optional
        Written after each epoch; the loop goes on from it if it exists.
    callback : callable, optional
        Called after each epoch.

    Returns
    -------
    epochs, steps : int
        Made in all, those before a resumption included.

    Raises
    ------
    TrainingInputError
        If a batch cannot hold a row of each cell.
    DivergedError
        If the loss stops being finite.
    CheckpointError
        If the checkpoint is unreadable or belongs to another run.
    """
    n, device = len(rows.targets), rows.targets.device
    batch_size = min(settings.batch_size, n)
    stratum = rows.table.cell * 2 + rows.in_loss
    n_strata = len(torch.unique(stratum))
    if batch_size < n_strata:
        raise TrainingInputError(f"batch_size={settings.batch_size} is less than the {n_strata} cells; raise it.")
    batches = StratifiedBatches(stratum, rows.in_loss, batch_size, settings.cell_balance, settings.seed)
    epochs = max(settings.epochs, -(-settings.min_steps // batches.steps))
    steps = epochs * batches.steps
    # A step costs about three forward passes of its batch, a look at all rows one of n rows: half as much in all.
    interval = settings.dual_interval or max(10, round(n / (1.5 * batch_size)))
    optimizer = torch.optim.AdamW(module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    start, odds = 0, float("nan")
    kept = None if checkpoint is None else load_checkpoint(checkpoint.path, checkpoint.run)
    if kept is not None:
        module.load_state_dict(kept["module"])
        optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        if constraint is not None:
            constraint.restore(kept["constraint"])
        start, odds = kept["epoch"], kept["equalized_odds"]
    for epoch in range(start, epochs):
        module.train()
        total = torch.zeros((), device=device)
        # Seeding each epoch by its number makes a resumed fit equal to an unbroken one.
        with seeded(derived_seed(settings.seed, 2, epoch), device):
            for step, index in enumerate(batches.epoch(epoch).to(device)):
                if constraint is not None and (epoch * batches.steps + step) % interval == 0:
                    predictions = all_logits(module, rows.inputs, device).argmax(dim=1)
                    constraint.update(predictions)
                    odds = rows.table.equalized_odds(predictions)
                logits, backward = logits_and_way_back(module, take(rows.inputs, index))
                losses = nn.functional.cross_entropy(logits, rows.targets[index], reduction="none")
                loss = losses @ (batches.loss_weight[index] * rows.weights[index])
                total += loss.detach()
                if constraint is not None:
                    loss = loss + constraint.term(logits.softmax(dim=1), index, batches.cell_weight[index])
                optimizer.zero_grad(set_to_none=True)
                backward(loss)
                optimizer.step()
                schedule.step()
        if not torch.isfinite(loss):
            raise DivergedError(
                f"The loss left the finite numbers in epoch {epoch + 1}; lower learning_rate or penalty."
            )
        if checkpoint is not None:
            state: dict[str, Any] = {
                "module": module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "constraint": {} if constraint is None else constraint.state(),
                "epoch": epoch + 1,
                "equalized_odds": odds,
            }
            save_checkpoint(checkpoint.path, checkpoint.run, state)
        if callback is not None:
            callback(Progress(epoch + 1, epochs, float(total) / batches.steps, odds))
    return epochs, steps


def logits_and_way_back(module: nn.Module, x: Inputs) -> tuple[Tensor, Callable[[Tensor], None]]:
    """Class logits of a batch, and how to get from a loss of them to the gradients of the weights.

    A gap needs a large batch, and the inner layers of a large network for all of it need more memory than there
    may be. A module that bounds its rows by an attribute ``rows_at_once`` is given them in pieces: first without
    gradients; then, with the loss's gradient by the logits known, each piece again with gradients. The sum is the
    gradient of the whole batch as long as rows do not act on each other (batch statistics would make them), for
    the price of a second forward pass.

    Parameters
    ----------
    module : torch.nn.Module
    x : Tensor or dict of str to Tensor
        On the device of the module.

    Returns
    -------
    logits : Tensor of float32, shape (n, K)
    backward : callable
        Takes a scalar computed from `logits` and adds its gradient to that of each weight.
    """
    n = row_count(x)
    at_once: int = getattr(module, "rows_at_once", n)
    if n <= at_once:
        return class_logits(module, x), Tensor.backward
    pieces = [take(x, slice(i, i + at_once)) for i in range(0, n, at_once)]
    states, parts = [], []
    with torch.no_grad():
        for piece in pieces:
            states.append(_generator_states())
            parts.append(class_logits(module, piece))
    logits = torch.cat(parts).requires_grad_()

    def backward(loss: Tensor) -> None:
        loss.backward()
        assert logits.grad is not None
        for piece, state, gradient in zip(pieces, states, logits.grad.split(at_once), strict=True):
            # The same units are dropped the second time.
            _restore_generators(state)
            class_logits(module, piece).backward(gradient)

    return logits, backward


def _generator_states() -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []


def _restore_generators(states: tuple[Tensor, list[Tensor]]) -> None:
    torch.set_rng_state(states[0])
    if states[1]:
        torch.cuda.set_rng_state_all(states[1])
