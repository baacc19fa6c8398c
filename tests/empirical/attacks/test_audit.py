"""One deployed model: p-values and intervals hold in simulations, and shortcuts that do not hold are noticed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from fairbound.empirical.attacks import AttackInputError, audit_one, estimate_ratio, get_attack
from fairbound.empirical.attacks.audit import p_value

RUNS = 200


@pytest.fixture
def world_models(draw_queries, draw_models):
    queries = draw_queries(n=12)

    def draw(rng, ratios, number, **settings):
        return draw_models(rng, ratios, number, n=12, **settings)

    return queries, draw


def rejected(p, level):
    """Whether more p-values lie below a level than chance lets them (one in a thousand)."""
    return (np.asarray(p) <= level).sum() > binom.isf(0.001, len(p), level)


@pytest.mark.parametrize("attack", ["kl_voting", "per_point_threshold", "threshold_test"])
def test_p_values_are_valid(world_models, attack):
    queries, draw = world_models
    p = {0: [], 1: []}
    wrong = []
    for run in range(RUNS):
        rng = np.random.default_rng([run, 1])
        shadows, models = draw(rng, (0.2, 0.8), 14), draw(rng, (0.2, 0.8), 1)
        for b in (0, 1):
            found = audit_one(queries, shadows, models.take(np.array([b])), attack, seed=run)
            p[b].append((found.p_world_0, found.p_world_1)[b])
            wrong.append((found.p_world_1, found.p_world_0)[b])
    for level in (0.125, 0.25, 0.5):
        assert not rejected(p[0], level)
        assert not rejected(p[1], level)
    # They say something: the wrong world is excluded more often than its level.
    assert attack == "threshold_test" or rejected(wrong, 0.125)


def test_ranking_among_the_fitted_shadows_is_not_valid(world_models):
    queries, draw = world_models
    p = []
    for run in range(RUNS):
        rng = np.random.default_rng([run, 2])
        shadows, models = draw(rng, (0.5, 0.5), 8), draw(rng, (0.5, 0.5), 1)
        attack = get_attack("kl_voting").fit(queries, shadows, rng)
        score = attack.score(models.take(np.array([0])))[0]
        p.append(p_value(attack.score(shadows.take(shadows.world == 0)), score))
    assert rejected(p, 1 / 9)


def test_an_audit_on_trained_models(different_worlds):
    queries, shadows, victims = different_worlds
    chosen = range(0, 200, 5)
    audits = [audit_one(queries, shadows, victims.take(np.array([i]))) for i in chosen]
    world = victims.world[list(chosen)]
    p = np.array([(audit.p_world_0, audit.p_world_1) for audit in audits])
    assert {audit.calibration for audit in audits} == {(25, 25)}
    assert p.min() >= 1 / 26
    assert (p[np.arange(40), world] <= 0.1).sum() <= 10
    assert (p[np.arange(40), 1 - world] <= 0.1).sum() >= 20
    assert sum((audit.posterior_world_1 > 0.5) == b for audit, b in zip(audits, world, strict=True)) >= 32
    model = victims.take(np.array([0]))
    assert audit_one(queries, shadows, model, prior=0.9).posterior_world_1 > audits[0].posterior_world_1
    assert audit_one(queries, shadows, model).to_dict() == audits[0].to_dict()


def test_the_posterior_is_calibrated(world_models):
    queries, draw = world_models
    found, truth = [], []
    for run in range(150):
        rng = np.random.default_rng([run, 3])
        shadows, models = draw(rng, (0.2, 0.8), 20), draw(rng, (0.2, 0.8), 1)
        for b in (0, 1):
            found.append(audit_one(queries, shadows, models.take(np.array([b])), seed=run).posterior_world_1)
            truth.append(b)
    found, truth = np.array(found), np.array(truth)
    for low, high in ((0, 0.35), (0.35, 0.65), (0.65, 1)):
        chosen = (found >= low) & (found <= high)
        assert chosen.sum() > 20
        spread = 3.3 * np.sqrt(found[chosen].mean() * (1 - found[chosen].mean()) / chosen.sum())
        assert abs(truth[chosen].mean() - found[chosen].mean()) < spread + 0.07
    assert np.mean((found - truth) ** 2) < 0.24


def test_audit_refuses_what_does_not_fit(world_models):
    queries, draw = world_models
    rng = np.random.default_rng(0)
    shadows, models = draw(rng, (0.2, 0.8), 6), draw(rng, (0.2, 0.8), 1)
    one = models.take(np.array([0]))
    for call, said in (
        (lambda: audit_one(queries, shadows, models), "2 models"),
        (lambda: audit_one(queries, shadows, one, prior=1.0), "prior"),
        (lambda: audit_one(queries, shadows, one, calibration=0.99), "at least two"),
        (lambda: audit_one(queries, shadows, one, "absent"), "no attack 'absent'"),
    ):
        with pytest.raises(AttackInputError, match=said):
            call()


# Ratios.

RATIOS = (0.1, 0.5, 0.9)


def test_intervals_of_ratios_cover_at_every_ratio(world_models):
    queries, draw = world_models
    held, widths = [], []
    for run in range(RUNS // 2):
        rng = np.random.default_rng([run, 4])
        shadows, victims = draw(rng, RATIOS, 18), draw(rng, RATIOS, 1)
        found = estimate_ratio(queries, shadows, victims, RATIOS, confidence=0.8, seed=run)
        held.append((found.lower <= RATIOS) & (found.upper >= RATIOS))
        widths.append(found.upper - found.lower)
        assert found.posterior.sum(axis=1) == pytest.approx(np.ones(3))
        assert found.estimate == pytest.approx(found.posterior @ np.array(RATIOS))
    for covered in np.sum(held, axis=0):
        assert covered >= binom.ppf(0.001, RUNS // 2, 0.8)
    assert np.mean(widths) < 0.7


def test_each_victim_is_estimated_by_itself(world_models):
    queries, draw = world_models
    rng = np.random.default_rng(7)
    shadows, victims = (draw(rng, RATIOS, number, noise=0.15) for number in (40, 30))
    together = estimate_ratio(queries, shadows, victims, RATIOS)
    for i in (0, 40, 80):
        alone = estimate_ratio(queries, shadows, victims.take(np.array([i])), RATIOS)
        assert alone.estimate == pytest.approx(together.estimate[i : i + 1], abs=1e-9)
        assert (alone.lower[0], alone.upper[0]) == (together.lower[i], together.upper[i])
    error = np.abs(together.estimate - np.array(RATIOS)[victims.world]).mean()
    assert error < np.abs(0.5 - np.array(RATIOS)[victims.world]).mean() / 2


def test_ratio_estimation_refuses_what_does_not_fit(world_models):
    queries, draw = world_models
    shadows = draw(np.random.default_rng(0), RATIOS, 10)
    for grid, confidence, said in (
        ((0.1, 0.5), 0.8, "positions 0 to 1"),
        ((0.1, 0.9, 0.5), 0.8, "ascending"),
        (RATIOS, 1.0, "confidence"),
        (RATIOS, 0.95, "at least 19"),
    ):
        with pytest.raises(AttackInputError, match=said):
            estimate_ratio(queries, shadows, shadows, grid, confidence=confidence)
