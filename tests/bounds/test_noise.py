"""The noise floor: what fair models of the same size really measure."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from fairbound.bounds import CompositionPair, Counts, certify_counts, noise_floor
from fairbound.bounds.noise import _perfectly_fair
from fairbound.testing import counts as tables

TABLE = Counts(("a", "b"), (0, 1), (0, 1), (((700, 100), (60, 90)), ((500, 120), (100, 250))))


def test_the_floor_agrees_with_an_independent_simulation():
    floor = noise_floor(certify_counts(TABLE), runs=4000)
    generator = np.random.default_rng(99)
    gaps = []
    for fired, sizes in (((100 + 120) / 1420, (800, 620)), ((90 + 250) / 500, (150, 350))):
        rates = [generator.binomial(n, fired, 4000) / n for n in sizes]
        gaps.append(np.abs(rates[0] - rates[1]))
    worst = np.max(gaps, axis=0)
    assert abs(worst.mean() - floor.equalized_odds_mean) < 4 * worst.std() / np.sqrt(2000)
    assert abs(np.quantile(worst, 0.95) - floor.equalized_odds_quantile_95) < 0.01


def test_the_floor_is_below_the_bound_of_an_unfair_log_and_falls_with_rows():
    small = certify_counts(TABLE, label_balanced=True)
    large = certify_counts(TABLE + TABLE + TABLE + TABLE, label_balanced=True)
    floors = noise_floor(small), noise_floor(large)
    assert floors[0].advantage_upper < small.upper
    assert floors[1].advantage_upper < floors[0].advantage_upper
    assert floors[1].equalized_odds_mean < floors[0].equalized_odds_mean


@given(tables(missing=True, max_rows=7))
def test_the_fair_log_keeps_its_cells_and_its_pooled_outputs_to_a_row(table):
    fair = _perfectly_fair(table)
    assert fair.cell_rows == table.cell_rows
    for j in range(len(table.labels)):
        pooled = [sum(plane[j][z] for plane in table.table) for z in range(len(table.outputs))]
        for plane, sizes in zip(fair.table, fair.cell_rows, strict=True):
            for k, n in zip(plane[j], pooled, strict=True):
                assert abs(k * sum(pooled) - sizes[j] * n) < max(1, sum(pooled))


def test_the_floor_is_a_function_of_its_seed():
    result = certify_counts(TABLE)
    assert noise_floor(result, seed=3) == noise_floor(result, seed=3) != noise_floor(result, seed=4)


@settings(max_examples=25)
@given(tables(missing=True))
def test_the_floor_exists_for_every_log(table):
    lacks = any(n == 0 for row in table.cell_rows for n in row)
    options = {"on_missing": "vacuous"} if lacks else {}
    for result in (
        certify_counts(table, **options),
        certify_counts(table, pure=("a", "b"), theorem="T1b", **options),
        certify_counts(table, pair=CompositionPair.pure(table, "a", "b"), **options),
    ):
        floor = noise_floor(result, runs=5)
        assert 0 <= floor.equalized_odds_mean <= floor.equalized_odds_quantile_95 <= 1
        assert 0 <= floor.advantage_upper <= 1
