"""Ways of adding equalized odds to a training loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from fairbound.empirical.cells import CellTable, weighted_gaps

#: ``f(probabilities (n, K), labels (n,), groups (n,)) -> scalar``, differentiable; 0 when satisfied.
ConstraintFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


class Constraint(Protocol):
    """What the training loop needs of a constraint."""

    def term(self, probabilities: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        """Differentiable addition to the loss of one batch."""

    def update(self, predictions: Tensor) -> None:
        """Look at the hard predictions on all rows."""

    def state(self) -> dict[str, Tensor]:
        """What must be kept to go on later."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over a kept state."""


class AugmentedLagrangian:
    """Augmented Lagrangian on the signed gaps, with soft gaps in the primal and hard gaps in the dual.

    The loss of a batch gets ``sum_p lambda_p g_p + (mu / 2) sum_p g_p^2`` over the compared pairs p, with g the
    gaps of the probabilities; every so often ``lambda_p += rate * g_p`` with g the gaps of the hard predictions
    on all rows: the multipliers answer to the quantity that is certified, not to its smooth stand-in (a proxy
    Lagrangian, Cotter et al., arXiv:1809.04198). For K classes a gap is a vector whose half L1 norm is the total
    variation distance.

    Parameters
    ----------
    table : CellTable
        Of all rows.
    penalty : float
        mu.
    dual_rate : float
        Step of the multipliers.
    tolerance : float
        Gaps (as total variation) up to this are not corrected by the multipliers.
    dual_cap : float
        Larger gaps (less the tolerance) count as this in a dual step, so that a large gap at the start does not
        wind the multipliers up beyond what the end needs.
    """

    def __init__(self, table: CellTable, penalty: float, dual_rate: float, tolerance: float, dual_cap: float) -> None:
        self._table = table
        self._penalty = penalty
        self._dual_rate = dual_rate
        self._tolerance = tolerance
        self._dual_cap = dual_cap
        self.multipliers = torch.zeros(len(table.left), table.n_labels, device=table.cell.device)

    def term(self, probabilities: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        """Lagrangian term of a batch."""
        table = self._table
        gaps, _ = weighted_gaps(probabilities, weights, table.cell[rows], table.left, table.right, len(table.sizes))
        # Half: for two classes the gaps are (-d, d), and d should count once.
        return ((self.multipliers + self._penalty / 2 * gaps) * gaps).sum() / 2

    def update(self, predictions: Tensor) -> None:
        """Dual step from the hard gaps."""
        gaps = self._table.gaps(torch.nn.functional.one_hot(predictions, self._table.n_labels).float())
        size = (gaps.abs().sum(dim=1, keepdim=True) / 2).clamp_min(1e-12)
        step = (size - self._tolerance).clamp(0.0, self._dual_cap)
        self.multipliers += self._dual_rate * step * gaps / size

    def state(self) -> dict[str, Tensor]:
        """The multipliers."""
        return {"multipliers": self.multipliers.cpu().clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over kept multipliers."""
        self.multipliers = state["multipliers"].to(self.multipliers)


class GapPenalty:
    """A fixed multiple of the sum of the soft gaps (as total variation distances).

    Parameters
    ----------
    table : CellTable
        Of all rows.
    penalty : float
        Weight of the sum.
    """

    def __init__(self, table: CellTable, penalty: float) -> None:
        self._table = table
        self._penalty = penalty

    def term(self, probabilities: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        """Weighted sum of the gaps of a batch."""
        table = self._table
        gaps, _ = weighted_gaps(probabilities, weights, table.cell[rows], table.left, table.right, len(table.sizes))
        return self._penalty * gaps.abs().sum() / 2

    def update(self, predictions: Tensor) -> None:
        """Nothing to adapt."""

    def state(self) -> dict[str, Tensor]:
        """Nothing to keep."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Nothing to take over."""


class FunctionConstraint:
    """A user's own differentiable penalty.

    Parameters
    ----------
    function : callable
        ``f(probabilities, labels, groups) -> scalar``.
    labels, groups : Tensor of int64, shape (n,)
        Codes of all rows.
    penalty : float
        Weight.
    """

    def __init__(self, function: ConstraintFunction, labels: Tensor, groups: Tensor, penalty: float) -> None:
        self._function = function
        self._labels = labels
        self._groups = groups
        self._penalty = penalty

    def term(self, probabilities: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        """Weighted value of the function on a batch."""
        return self._penalty * self._function(probabilities, self._labels[rows], self._groups[rows])

    def update(self, predictions: Tensor) -> None:
        """Nothing to adapt."""

    def state(self) -> dict[str, Tensor]:
        """Nothing to keep."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Nothing to take over."""
