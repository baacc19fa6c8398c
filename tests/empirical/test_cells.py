"""Gaps on tensors against their definition, and the batches that feed them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fairlearn.metrics import equalized_odds_difference
from hypothesis import given
from hypothesis import strategies as st

from fairbound.empirical.batches import StratifiedBatches
from fairbound.empirical.cells import CellTable, weighted_gaps


def random_log(seed, n, labels, groups):
    rng = np.random.default_rng(seed)
    cells = np.array([(y, g) for y in range(labels) for g in range(groups)])
    extra = np.column_stack([rng.integers(0, labels, n), rng.integers(0, groups, n)])
    y, g = np.concatenate([cells, extra]).T
    return y, g, rng.integers(0, labels, len(y))


@given(st.integers(0, 10_000), st.integers(0, 80), st.integers(2, 4), st.integers(2, 4))
def test_equalized_odds_is_the_largest_total_variation(delta_eo_seed, n, labels, groups):
    y, g, p = random_log(delta_eo_seed, n, labels, groups)
    table = CellTable(torch.from_numpy(y), torch.from_numpy(g), labels, groups)
    rates = np.array(
        [[[(p[(y == k) & (g == a)] == z).mean() for z in range(labels)] for a in range(groups)] for k in range(labels)]
    )
    expected = max(
        abs(rates[k, a] - rates[k, b]).sum() / 2 for k in range(labels) for a in range(groups) for b in range(groups)
    )
    assert table.equalized_odds(torch.from_numpy(p)) == pytest.approx(expected, abs=1e-12)
    if labels == 2:
        fairlearn = equalized_odds_difference(y, p, sensitive_features=g)
        assert table.equalized_odds(torch.from_numpy(p)) == pytest.approx(fairlearn, abs=1e-12)


def test_absent_cells_are_masked_not_divided_by():
    labels, groups = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0])
    table = CellTable(labels, groups, 2, 2)
    assert table.empty_cells() == [(1, 1)]
    assert len(table.left) == 1
    outputs = torch.rand(1, 2, requires_grad=True)
    # A batch that lacks one side of the only pair: no gap, no NaN, no gradient.
    gaps, present = weighted_gaps(outputs, torch.ones(1), table.cell[:1], table.left, table.right, 4)
    assert not present.any()
    assert (gaps == 0).all()
    gaps.square().sum().backward()
    assert (outputs.grad == 0).all()


def strata_of(sizes):
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


def test_batches_hold_every_stratum_and_weigh_back_to_the_mean():
    stratum = strata_of([2000, 300, 40, 7])
    in_loss = stratum != 1
    batches = StratifiedBatches(stratum, in_loss, 64, 0.5, seed=3)
    values = torch.randn(len(stratum), dtype=torch.float64)
    values += stratum
    estimates = []
    for epoch in range(20):
        for index in batches.epoch(epoch):
            assert len(index) == 64
            assert set(stratum[index].tolist()) == {0, 1, 2, 3}
            estimates.append(float(values[index] @ batches.loss_weight[index].double()))
    assert np.mean(estimates) == pytest.approx(float(values[in_loss].mean()), abs=0.02)
    sizes = torch.zeros(4).index_add(0, stratum[index], batches.cell_weight[index])
    assert torch.allclose(sizes, torch.tensor([2000.0, 300.0, 40.0, 7.0]))


def test_every_row_of_a_stratum_comes_before_any_comes_twice():
    stratum = strata_of([100, 100])
    index = StratifiedBatches(stratum, torch.ones(200, dtype=torch.bool), 50, 0.5, seed=0).epoch(0).flatten()
    assert sorted(index.tolist()) == list(range(200))


def test_batches_are_a_function_of_seed_and_epoch():
    stratum = strata_of([90, 30])
    in_loss = torch.ones(120, dtype=torch.bool)
    one, same, other = (StratifiedBatches(stratum, in_loss, 30, 0.5, seed) for seed in (1, 1, 2))
    assert torch.equal(one.epoch(4), same.epoch(4))
    assert not torch.equal(one.epoch(4), one.epoch(5))
    assert not torch.equal(one.epoch(4), other.epoch(4))
