"""What a perfectly fair model would measure on a log of this size: differences below it are noise."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fairbound.bounds.certify import Certification, certify_counts
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.counts import Counts
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.rational import apportioned


@dataclass(frozen=True)
class NoiseFloor:
    """
    What remains when every group has the pooled rates of its label, at the cell sizes of a log.

    Attributes
    ----------
    equalized_odds_mean, equalized_odds_quantile_95 : float
        Mean and 95 % quantile of the measured `Delta_EO` over simulated logs of that model, whose true value is 0.
    advantage_upper : Fraction
        The confidence bound if the log showed no disparity at all, at the same pooled rates. (A model with rates nearer
        to 0 or 1 can get below it.)
    runs, seed : int
        Of the simulation.
    """

    equalized_odds_mean: float
    equalized_odds_quantile_95: float
    advantage_upper: Fraction
    runs: int
    seed: int


@proved_by("T9")
def noise_floor(result: Certification, *, runs: int = 1000, seed: int = 0) -> NoiseFloor:
    """
    Simulate a perfectly fair model at the cell sizes, label marginals and pooled rates of a certified log.

    Parameters
    ----------
    result : Certification
        Empty (group, label) cells are left out of the simulation, and stay vacuous in the bound.
    runs : int
        Simulated logs.
    seed : int
        The simulation is a function of it and of the log.

    Returns
    -------
    NoiseFloor
    """
    counts = result.counts
    generator = np.random.default_rng(seed)
    table = np.array(counts.table, dtype=np.int64)
    largest = np.zeros(runs)
    for cells in table.transpose(1, 0, 2):
        cells = cells[cells.sum(axis=1) > 0]
        if len(cells) < 2:
            continue
        pooled = cells.sum(axis=0) / cells.sum()
        drawn = np.stack([generator.multinomial(size, pooled, runs) / size for size in cells.sum(axis=1)])
        for a in range(len(drawn)):
            distances = np.abs(drawn[a + 1 :] - drawn[a]).sum(axis=2) / 2
            largest = np.maximum(largest, distances.max(axis=0, initial=0))
    pair: CompositionPair | None = None
    pure = None
    if not result.estimated:
        pair = result.worst.raw_pair
    elif len(result.pairs) == 1:
        pure = result.worst.groups
    fair = certify_counts(
        _perfectly_fair(counts),
        pair=pair,
        pure=pure,
        game=result.game,
        label_balanced=result.label_balanced,
        confidence=result.confidence,
        on_missing=result.on_missing,
        theorem=result.theorem,
        method=result.method,
    )
    return NoiseFloor(float(largest.mean()), float(np.quantile(largest, 0.95)), fair.upper, runs, seed)


def _perfectly_fair(counts: Counts) -> Counts:
    """The same cell sizes with each label's pooled output shares, rounded to whole rows by largest remainders."""
    planes: list[list[tuple[int, ...]]] = [[] for _ in counts.groups]
    for j in range(len(counts.labels)):
        rows = [plane[j] for plane in counts.table]
        pooled = [sum(column) for column in zip(*rows, strict=True)]
        for a, row in enumerate(rows):
            planes[a].append(tuple(apportioned(pooled, sum(row))))
    return Counts(counts.groups, counts.labels, counts.outputs, tuple(map(tuple, planes)))
