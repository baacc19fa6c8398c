"""Disparities of a predictor between groups, within each label, as tensors.

A *cell* is a (label, group) pair. The disparity of label y is the largest total variation distance between the
output distributions of two groups within y; Delta_EO is its maximum over labels ("Setting" of the theory; for
two classes it is fairlearn's ``equalized_odds_difference``).
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor


class CellTable:
    """Cells of a set of rows and the pairs of cells that equalized odds compares.

    Parameters
    ----------
    labels, groups : Tensor of int64, shape (n,)
        Codes 0..K-1 and 0..G-1.
    n_labels, n_groups : int
        K and G.

    Attributes
    ----------
    cell : Tensor of int64, shape (n,)
        ``label * n_groups + group``.
    sizes : Tensor of int64, shape (K * G,)
        Rows per cell.
    left, right : Tensor of int64, shape (P,)
        The compared pairs: same label, two groups, both cells with rows.
    """

    def __init__(self, labels: Tensor, groups: Tensor, n_labels: int, n_groups: int) -> None:
        self.n_labels, self.n_groups = n_labels, n_groups
        self.cell = labels * n_groups + groups
        self.sizes = torch.bincount(self.cell, minlength=n_labels * n_groups)
        pairs = [
            (y * n_groups + a, y * n_groups + b) for y in range(n_labels) for a, b in combinations(range(n_groups), 2)
        ]
        every = torch.tensor(pairs, dtype=torch.int64, device=labels.device).reshape(-1, 2)
        present = (self.sizes[every] > 0).all(dim=1)
        self.left, self.right = every[present].unbind(dim=1)

    def empty_cells(self) -> list[tuple[int, int]]:
        """Cells without rows.

        Returns
        -------
        list of (label, group)
        """
        cells = torch.nonzero(self.sizes == 0)[:, 0].tolist()
        return [(cell // self.n_groups, cell % self.n_groups) for cell in cells]

    def gaps(self, outputs: Tensor) -> Tensor:
        """Signed difference of the mean output, for each compared pair.

        Parameters
        ----------
        outputs : Tensor of float, shape (n, K)
            One row per row of the table: probabilities, or one-hot predictions.

        Returns
        -------
        Tensor of float, shape (P, K)
        """
        weights = torch.ones_like(outputs[:, 0])
        gaps, _ = weighted_gaps(outputs, weights, self.cell, self.left, self.right, len(self.sizes))
        return gaps

    def equalized_odds(self, predictions: Tensor) -> float:
        """Delta_EO of hard predictions on the rows of the table.

        Parameters
        ----------
        predictions : Tensor of int64, shape (n,)

        Returns
        -------
        float
            Maximum over the compared pairs; 0 if there are none.
        """
        one_hot = torch.nn.functional.one_hot(predictions, self.n_labels).double()
        gaps = self.gaps(one_hot)
        return float(gaps.abs().sum(dim=1).max() / 2) if len(gaps) else 0.0


def weighted_gaps(
    outputs: Tensor, weights: Tensor, cell: Tensor, left: Tensor, right: Tensor, n_cells: int
) -> tuple[Tensor, Tensor]:
    """Signed differences of weighted mean outputs between cells, never dividing by an empty cell.

    Parameters
    ----------
    outputs : Tensor of float, shape (n, K)
    weights : Tensor of float, shape (n,)
        Non-negative.
    cell : Tensor of int64, shape (n,)
    left, right : Tensor of int64, shape (P,)
    n_cells : int

    Returns
    -------
    gaps : Tensor of float, shape (P, K)
        0 where one of the two cells has no weight.
    present : Tensor of bool, shape (P,)
        Whether both cells have weight.
    """
    mass = weights.new_zeros(n_cells).index_add(0, cell, weights)
    sums = outputs.new_zeros(n_cells, outputs.shape[1]).index_add(0, cell, outputs * weights[:, None])
    filled = mass > 0
    means = sums / torch.where(filled, mass, 1.0)[:, None]
    present = filled[left] & filled[right]
    return (means[left] - means[right]) * present[:, None], present
