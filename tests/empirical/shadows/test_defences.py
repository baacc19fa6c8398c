"""Defences, what each is trained on, and experiments that attack them."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.shadows import (
    BulkTraining,
    Draws,
    Pools,
    plan_distribution_inference,
    train_in_bulk,
)
from fairbound.empirical.shadows.bulk import DEFAULT_CHUNK
from fairbound.empirical.shadows.defences import (
    DEFENCES,
    BalancedRecipe,
    FairFineTuningRecipe,
    PooledRecipe,
    get_defence,
)
from fairbound.empirical.shadows.experiment import attack_defences
from fairbound.empirical.shadows.fair import BulkFineTuning

SMALL = BulkTraining((6,), epochs=3, min_steps=60, batch_size=40)
FAST = [name for name in DEFENCES if name not in ("reduction", "dp_sgd")]


@pytest.fixture(scope="module")
def game():
    from tests.empirical.conftest import made_up_dataset

    ratios = ["0.2", "0.9"]
    return plan_distribution_inference(
        made_up_dataset(6000, 1), attribute="team", group="b", ratios=ratios, rows=300, queries=100
    )


@pytest.fixture(scope="module")
def pools(game):
    return Pools(game, 5)


def draws_of(pools, models, world=0):
    numbers = range(models)
    own = np.stack([pools.draw("victim", world, i) for i in numbers])
    other = np.stack([pools.draw_complement("victim", world, i) for i in numbers])
    seeds = tuple(pools.model_seed("victim", world, i) for i in numbers)
    X = pools.encode("victim", np.arange(len(pools.label)))
    return Draws(X, pools.label, pools.group, own, seeds, 2, other)


def gaps(models, pools, rows):
    predicted = models.scores(pools.encode("victim", rows), pools.group[rows]).argmax(axis=2)
    label, group = pools.label[rows], pools.group[rows]
    rate = np.array([[predicted[:, (label == y) & (group == a)].mean(axis=1) for a in (0, 1)] for y in (0, 1)])
    return np.abs(rate[:, 0] - rate[:, 1]).max(axis=0)


def test_the_complementary_draw(game, pools):
    for world, ratio in enumerate(game.ratios):
        own, other = pools.draw("shadow", world, 3), pools.draw_complement("shadow", world, 3)
        assert len(other) == len(np.unique(other)) == game.rows
        assert not np.isin(other, own).any()
        assert np.isin(other, pools.parts["shadow"]).all()
        assert pools.group[other].mean() == pytest.approx(float(1 - ratio), abs=1 / game.rows)
        assert pools.label[other].mean() == pools.label[own].mean()
        # Together they say nothing about the ratio.
        assert pools.group[np.concatenate([own, other])].mean() == 0.5


def test_a_pool_too_small_for_both_draws_is_told(make_dataset):
    plan = plan_distribution_inference(
        make_dataset(1000), attribute="team", group="b", ratios=["0.5", "0.6"], rows=200, queries=20
    )
    pools = Pools(plan, 0)
    pools.draw("shadow", 0, 0)
    with pytest.raises(ProtocolError, match="complementary ratio need"):
        pools.draw_complement("shadow", 0, 0)


@pytest.mark.parametrize("name", FAST)
def test_models_are_functions_of_their_own_draw_and_seed(pools, name):
    draws = draws_of(pools, 3)
    one = Draws(draws.X, draws.label, draws.group, draws.rows[1:2], draws.seeds[1:2], 2, draws.complement[1:2])
    asked = pools.parts["query"][:200]
    X, group = pools.encode("victim", asked), pools.group[asked]
    recipe = get_defence(name).recipe
    together, alone = recipe.fit(draws).scores(X, group), recipe.fit(one).scores(X, group)
    assert together.shape == (3, 200, 2)
    np.testing.assert_allclose(together.sum(axis=2), 1, atol=1e-5)
    assert np.abs(together[1] - alone[0]).mean() < 1e-3
    assert np.abs(together[0] - together[1]).max() > 0.01
    json.dumps(recipe.settings())


def test_settings_tell_defences_apart():
    told = [json.dumps(defence.recipe.settings(), sort_keys=True) for defence in DEFENCES.values()]
    assert len(set(told)) == len(DEFENCES)


def test_an_unknown_defence_is_refused():
    with pytest.raises(ProtocolError, match=r"no defence 'hope'; choose from: none, fft"):
        get_defence("hope")


@pytest.mark.parametrize("other_rows", [True, False])
def test_fair_fine_tuning_lowers_the_gap(pools, other_rows):
    draws = draws_of(pools, 4)
    test = pools.parts["evaluation"]
    settings = BulkFineTuning(batch_size=150, min_steps=200)
    fair = FairFineTuningRecipe(other_rows, training=SMALL, fine_tuning=settings).fit(draws)
    control = BulkFineTuning(constraint=None, batch_size=150, min_steps=200)
    unconstrained = FairFineTuningRecipe(other_rows, training=SMALL, fine_tuning=control).fit(draws)
    assert gaps(fair, pools, test).mean() < 0.75 * gaps(unconstrained, pools, test).mean()


def test_what_the_others_train_on(pools):
    draws = draws_of(pools, 2)
    X = pools.encode("victim", pools.parts["evaluation"])
    same = {"seeds": draws.seeds, "settings": SMALL, "chunk": DEFAULT_CHUNK}
    pooled = train_in_bulk(draws.X, draws.label, np.hstack([draws.rows, draws.complement]), **same)
    np.testing.assert_array_equal(PooledRecipe(SMALL).fit(draws).scores(X), pooled.scores(X))
    # Every cell has the same weight.
    cell = (2 * draws.label + draws.group)[draws.rows]
    weights = np.array([[1 / (own == c).sum() for c in own] for own in cell])
    for own, weight in zip(cell, weights, strict=True):
        np.testing.assert_allclose(np.bincount(own, weight), 1)
    reweighed = train_in_bulk(draws.X, draws.label, draws.rows, weights=weights, **same)
    np.testing.assert_array_equal(BalancedRecipe("weights", SMALL).fit(draws).scores(X), reweighed.scores(X))


@pytest.fixture(scope="module")
def attacked(game, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    steps = []
    found = attack_defences(
        game,
        folder,
        defences=["none", "resampled"],
        attacks=["threshold_test", "meta_classifier", "white_box"],
        shadows=12,
        victims=12,
        seed=2,
        jobs=1,
        progress=lambda *told: steps.append(told),
    )
    return found, folder, steps


def test_adaptive_shadows_are_defended_and_others_are_not(attacked):
    found, folder, steps = attacked
    assert [measured.defence for measured in found] == ["none", "resampled"]
    assert [knows for knows, _ in found[0].attacks] == [False] * 3
    assert [knows for knows, _ in found[1].attacks] == [False] * 3 + [True] * 3
    lines = [json.loads(line) for line in (folder / "chunks.jsonl").read_text().splitlines()]
    trained = [(line["side"], line["recipe"]["recipe"], line["world"]) for line in lines]
    # Undefended shadows serve both games; nothing is trained twice.
    assert sorted(trained) == sorted(
        (side, recipe, world) for side in ("victim", "shadow") for recipe in ("mlp", "balanced") for world in (0, 1)
    )
    assert ("attacks", 3, 3) in steps


def test_measures_are_those_of_the_victims(attacked, game):
    found, folder, _ = attacked
    from fairbound.empirical.shadows import run_shadows

    recipe = DEFENCES["none"].recipe
    outputs = run_shadows(game, recipe, folder, shadows=12, victims=12, seed=2, keep_parameters=True)
    label, group = outputs.evaluation_label, outputs.evaluation_group
    odds, values = [], []
    for predicted in outputs.evaluation_prediction["victim"]:
        rate = [
            [Fraction(int(predicted[m].sum()), int(m.sum())) for a in (0, 1) for m in [(label == y) & (group == a)]]
            for y in (0, 1)
        ]
        gap = [abs(first - second) for first, second in rate]
        odds.append(max(gap))
        # Worlds without label shift: T1 is their distance times the mean disparity.
        values.append(Fraction(7, 10) * sum(p * d for p, d in zip(game.label_shares, gap, strict=True)))
    measured = found[0]
    assert measured.delta_eo == pytest.approx(float(sum(odds) / len(odds)))
    assert measured.bound_mean == sum(values) / len(values)
    assert max(values) < measured.bound < 1
    assert measured.utility == pytest.approx((outputs.evaluation_prediction["victim"] == label).mean())


def test_rows_hold_what_the_attack_attained(attacked, game):
    rows = [row for measured in attacked[0] for row in measured.rows(game)]
    assert len(rows) == 9
    for row in rows:
        assert row["low"] <= row["advantage"] <= row["high"]
        assert row["advantage"] == pytest.approx((row["right_0"] + row["right_1"]) / 12 - 1)
        assert (row["shadows"], row["victims"]) == (12, 12)
        assert row["verdict"] in ("within", "exceeds", "inconclusive")
    json.dumps(rows)


def test_records_name_the_shadows_of_each_adversary(game, tmp_path):
    (found,) = attack_defences(
        game,
        tmp_path,
        defences=["reduction"],
        attacks=["threshold_test"],
        shadows=8,
        victims=6,
        one_by_one=4,
        jobs=1,
    )
    assert [(row["adaptive"], row["shadows"], row["victims"]) for row in found.rows(game)] == [
        (False, 8, 4),
        (True, 4, 4),
    ]
    lines = [json.loads(line) for line in (tmp_path / "chunks.jsonl").read_text().splitlines()]
    assert {(line["side"], line["recipe"]["recipe"], line["models"]) for line in lines} >= {("shadow", "mlp", 8)}


@pytest.mark.data
@pytest.mark.slow
def test_pure_worlds_are_told_apart_and_equal_ones_are_not(tmp_path):
    settings = {"attribute": "sex", "group": "Female", "rows": 1000, "queries": 300}
    pure, equal = (
        plan_distribution_inference("adult", ratios=ratios, **settings) for ratios in (["0", "1"], ["0.5", "0.5"])
    )
    runs = {"defences": ["none"], "attacks": ["per_point_threshold"], "shadows": 15, "victims": 15, "jobs": 1}
    (found,) = attack_defences(pure, tmp_path, **runs)
    result = found.attacks[0][1]
    assert result.p_value < 0.01
    assert result.verdict(found.bound) == "exceeds"
    (null,) = attack_defences(equal, tmp_path, **runs)
    assert null.bound is None
    assert min(result.p_value for _, result in null.attacks) > 0.05
    assert {row["verdict"] for row in null.rows(equal)} == {None}


@pytest.mark.parametrize("nothing", ["defences", "adaptive", "attacks"])
def test_something_has_to_be_asked_for(game, tmp_path, nothing):
    with pytest.raises(ProtocolError, match="at least one"):
        attack_defences(game, tmp_path, **{nothing: []})
