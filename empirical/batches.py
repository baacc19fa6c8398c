"""Large batches in which every cell is present."""

from __future__ import annotations

import torch
from torch import Tensor

from fairbound.empirical.torch_tools import derived_seed


class StratifiedBatches:
    """Batches drawn per stratum, small strata more often than in proportion.

    A gap between two cells is estimated as badly as its smaller cell, and a proportional batch of 512 rows may
    hold a handful of rows of one. Here a share of each batch is spread evenly over the strata; importance weights
    undo this in the loss, so that the expected loss is the one of all rows.

    Parameters
    ----------
    stratum : Tensor of int64, shape (n,)
        Stratum of each row; a stratum may not mix rows that count in the loss with rows that do not.
    in_loss : Tensor of bool, shape (n,)
        Rows whose loss counts; the others serve the constraint only.
    batch_size : int
        Rows per batch (at most n).
    balance : float
        Share of the batch that is spread evenly over the strata, in [0, 1].
    seed : int
        Batches are a function of it and of the epoch.

    Attributes
    ----------
    steps : int
        Batches per epoch.
    loss_weight : Tensor of float32, shape (n,)
        Weights whose sum over a batch, times the rows' losses, estimates the mean loss.
    cell_weight : Tensor of float32, shape (n,)
        Rows of the data for which a row of a batch stands.
    """

    def __init__(self, stratum: Tensor, in_loss: Tensor, batch_size: int, balance: float, seed: int) -> None:
        self._seed = seed
        self._rows = [torch.nonzero(stratum == s)[:, 0].cpu() for s in torch.unique(stratum).tolist()]
        sizes = torch.tensor([len(rows) for rows in self._rows], dtype=torch.float64)
        n_loss = int(in_loss.sum())
        self.steps = max(1, n_loss // batch_size)
        share = (1 - balance) * sizes / sizes.sum() + balance / len(sizes)
        self._quota = _largest_remainders(share * batch_size)
        self.loss_weight = torch.zeros(len(stratum), device=stratum.device)
        self.cell_weight = torch.zeros(len(stratum), device=stratum.device)
        for rows, quota in zip(self._rows, self._quota, strict=True):
            if quota:
                self.cell_weight[rows] = len(rows) / quota
                self.loss_weight[rows] = len(rows) / quota / n_loss
        self.loss_weight[~in_loss] = 0.0

    def epoch(self, number: int) -> Tensor:
        """Rows of every batch of an epoch.

        Parameters
        ----------
        number : int
            Epoch, from 0.

        Returns
        -------
        Tensor of int64, shape (steps, batch_size)
            Each stratum is gone through in random order, and again when it is exhausted.
        """
        generator = torch.Generator().manual_seed(derived_seed(self._seed, 1, number))
        columns = []
        for rows, quota in zip(self._rows, self._quota, strict=True):
            wanted = quota * self.steps
            rounds = -(-wanted // len(rows))
            order = torch.cat([torch.randperm(len(rows), generator=generator) for _ in range(max(1, rounds))])
            columns.append(rows[order[:wanted]].reshape(self.steps, quota))
        return torch.cat(columns, dim=1)


def _largest_remainders(shares: Tensor) -> list[int]:
    """Whole numbers close to the shares with the same sum, at least 1 each if the sum allows."""
    quota = shares.floor()
    missing = round(float(shares.sum() - quota.sum()))
    quota[torch.argsort(shares - quota, descending=True, stable=True)[:missing]] += 1
    while bool((quota == 0).any()) and int(quota.max()) > 1:
        quota[int(quota.argmin())] += 1
        quota[int(quota.argmax())] -= 1
    return [int(q) for q in quota]
