"""The terms that a constraint adds to the loss, and the steps of its multipliers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairbound.empirical import MLP, FairFineTuner
from fairbound.empirical.cells import CellTable
from fairbound.empirical.constraints import AugmentedLagrangian, GapPenalty

# Two groups of ten rows for each of two labels.
LABELS = torch.repeat_interleave(torch.tensor([0, 1]), 20)
GROUPS = torch.repeat_interleave(torch.tensor([0, 1, 0, 1]), 10)
EVERY = torch.arange(40)


def table():
    return CellTable(LABELS, GROUPS, 2, 2)


def predictions(*positives):
    """Hard predictions with so many ones among the ten rows of each cell."""
    return torch.cat([(torch.arange(10) < n).long() for n in positives])


def test_multipliers_follow_the_hard_gaps():
    constraint = AugmentedLagrangian(table(), penalty=2.0, dual_rate=5.0, tolerance=0.1, dual_cap=0.25)
    # Gaps in P(1): label 0: .3 - .1 = .2, of which .1 is tolerated; label 1: .2 - .9 = -.7, of which .25 counts.
    constraint.update(predictions(3, 1, 2, 9))
    expected = torch.tensor([[-0.5, 0.5], [1.25, -1.25]])
    torch.testing.assert_close(constraint.multipliers, expected)
    constraint.update(predictions(4, 4, 5, 4))
    torch.testing.assert_close(constraint.multipliers, expected)


def test_lagrangian_term_is_its_formula():
    constraint = AugmentedLagrangian(table(), penalty=3.0, dual_rate=5.0, tolerance=0.0, dual_cap=1.0)
    constraint.update(predictions(3, 1, 2, 9))
    multiplier = np.array([5 * 0.2, 5 * -0.7])
    positive = torch.rand(40, generator=torch.Generator().manual_seed(0))
    means = positive.reshape(4, 10).mean(dim=1).numpy()
    gaps = np.array([means[0] - means[1], means[2] - means[3]])
    probabilities = torch.stack([1 - positive, positive], dim=1)
    term = constraint.term(probabilities, EVERY, torch.ones(40))
    assert float(term) == pytest.approx((multiplier * gaps + 1.5 * gaps**2).sum(), rel=1e-5)
    penalty = GapPenalty(table(), 3.0).term(probabilities, EVERY, torch.ones(40))
    assert float(penalty) == pytest.approx(3 * np.abs(gaps).sum(), rel=1e-5)


def test_multipliers_alone_close_the_gap(rows, delta_eo):
    x, y, group = rows(6000, 0)
    gaps = []
    for dual_rate in (0.0, 4.0):
        torch.manual_seed(0)
        tuner = FairFineTuner(MLP(5, 2, (16,)), penalty=1.0, dual_rate=dual_rate, learning_rate=5e-3)
        gaps.append(delta_eo(y, tuner.fit(x, y, sensitive_features=group).predict(x), group))
    assert gaps[1] < gaps[0] / 2
