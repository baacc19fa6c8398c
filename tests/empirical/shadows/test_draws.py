"""Parts, draws and queries of a distribution-inference game."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from fairbound.empirical.errors import ProtocolError, UnknownAttributeError, UnknownGroupError
from fairbound.empirical.shadows import Pools, plan_distribution_inference

GAME = {"attribute": "team", "group": "b", "ratios": ["0.2", "0.7"], "rows": 101, "queries": 60}


@pytest.fixture
def plan(make_dataset):
    return lambda **changes: plan_distribution_inference(make_dataset(classes=3), **GAME | changes)


def test_parts_are_disjoint_and_cover_the_data(plan):
    pools = Pools(plan(), 0)
    together = np.concatenate(list(pools.parts.values()))
    assert sorted(together) == list(range(3000))
    victim, shadow, query, evaluation = (len(pools.parts[p]) for p in ("victim", "shadow", "query", "evaluation"))
    assert abs(victim - shadow - query) <= 6
    assert evaluation == pytest.approx(600, abs=6)
    # Stratified: every part has nearly the group's share of the data.
    for part in pools.parts.values():
        assert pools.group[part].mean() == pytest.approx(pools.group.mean(), abs=0.01)


def test_overlap_is_the_part_that_two_draws_share(plan):
    game = plan(rows=300)
    pools = Pools(game, 0)
    shared = []
    for side in ("victim", "shadow"):
        for world in (0, 1):
            draws = [pools.draw(side, world, model) for model in range(12)]
            for label in range(3):
                for group in (0, 1):
                    cell = [d[(pools.label[d] == label) & (pools.group[d] == group)] for d in draws]
                    pairs = [np.isin(a, b).mean() for a, b in pairwise(cell)]
                    shared.append(np.mean(pairs))
    assert pools.overlap() == pytest.approx(max(shared), abs=0.05)
    assert pools.overlap(complement=True) > pools.overlap()
    assert Pools(plan(rows=30), 0).overlap() == pytest.approx(pools.overlap() / 10, rel=0.2)


@pytest.mark.parametrize("side", ["victim", "shadow"])
def test_draws_have_the_ratio_and_the_label_shares(plan, side):
    game = plan(label_shares=["0.5", "0.2", "0.3"])
    pools = Pools(game, 3)
    labels = []
    for world, ratio in enumerate(game.ratios):
        rows = pools.draw(side, world, 0)
        assert len(np.unique(rows)) == game.rows
        assert np.isin(rows, pools.parts[side]).all()
        assert abs(pools.group[rows].sum() - ratio * game.rows) <= Fraction(1, 2)
        labels.append(np.bincount(pools.label[rows], minlength=3))
        # Group and label are independent: the ratio holds within each label, up to a row.
        for label, n in enumerate(labels[-1]):
            assert abs(pools.group[rows][pools.label[rows] == label].sum() - ratio * int(n)) < 1
    assert labels[0].tolist() == labels[1].tolist()
    np.testing.assert_allclose(labels[0] / game.rows, [0.5, 0.2, 0.3], atol=0.01)


def test_default_label_shares_are_those_of_the_two_groups(make_dataset):
    data = make_dataset(groups=("a", "b", "c"))
    game = plan_distribution_inference(data, **GAME | {"other": "c"})
    kept = data.label[data.groups_of("team") != "a"]
    assert [float(share) for share in game.label_shares] == pytest.approx([1 - kept.mean(), kept.mean()])
    pools = Pools(game, 0)
    drawn = np.concatenate([pools.draw("victim", 0, i) for i in range(5)])
    assert set(data.groups_of("team")[drawn]) == {"b", "c"}
    everybody = Pools(plan_distribution_inference(data, **GAME), 0)
    assert sum(map(len, everybody.parts.values())) == len(data)


def test_every_model_has_a_draw_of_its_own(plan):
    game = plan(ratios=[0.5, 0.5])
    pools = Pools(game, 0)
    draws = [tuple(pools.draw(s, w, i)) for s in ("victim", "shadow") for w in (0, 1) for i in range(4)]
    assert len(set(draws)) == 16
    seeds = [pools.model_seed(s, w, i) for s in ("victim", "shadow") for w in (0, 1) for i in range(4)]
    assert len(set(seeds)) == 16
    again = Pools(game, 0)
    assert tuple(again.draw("victim", 1, 3)) == tuple(pools.draw("victim", 1, 3))
    assert tuple(Pools(game, 1).draw("victim", 1, 3)) != tuple(pools.draw("victim", 1, 3))
    # A pool of 1,200 rows: two draws share what chance makes them share, not a common base.
    first, second = (set(pools.draw("victim", 0, i)) for i in (0, 1))
    assert len(first & second) < 30


def test_queries_come_from_a_pool_of_their_own(plan):
    game = plan(ratios=[0.2, 0.5, 0.9])
    pools = Pools(game, 0)
    assert len(pools.queries) == 3
    for rows, ratio in zip(pools.queries, game.ratios, strict=True):
        assert len(np.unique(rows)) == game.queries
        assert np.isin(rows, pools.parts["query"]).all()
        assert abs(pools.group[rows].mean() - float(ratio)) <= 1 / game.queries


def test_the_populations_of_two_worlds(plan):
    pair = plan().pair(0, 1)
    assert pair.distance == Fraction(1, 2)
    assert pair.label_shift == 0
    assert pair.world_1.groups == ("all others", "b")
    assert sum(pair.world_1.mass[1]) == Fraction(7, 10)


def test_a_pool_that_is_too_small_names_the_largest_draw(plan):
    game = plan(rows=2000)
    with pytest.raises(ProtocolError, match=r"rows=2000 at ratio 0\.\d needs \d+ rows of .* with label '\d'") as told:
        Pools(game, 0)
    most = int(re.search(r"at most (\d+) are feasible", str(told.value))[1])
    assert most > 100
    assert len(Pools(plan(rows=most), 0).draw("shadow", 0, 0)) == most
    with pytest.raises(ProtocolError, match=f"at most {most} are feasible"):
        Pools(plan(rows=most + 1), 0)
    with pytest.raises(ProtocolError, match=r"queries=900 .* query pool"):
        Pools(plan(queries=900), 0)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"attribute": "sex"}, UnknownAttributeError, "sex"),
        ({"group": "z"}, UnknownGroupError, "no group 'z'"),
        ({"other": "z"}, UnknownGroupError, "no group 'z'"),
        ({"other": "b"}, UnknownGroupError, "both 'b'"),
        ({"ratios": [0.5]}, ProtocolError, "at least two shares"),
        ({"ratios": [0.5, 1.5]}, ProtocolError, "at least two shares"),
        ({"ratios": [0.5, "x"]}, ProtocolError, "no number"),
        ({"rows": 0}, ProtocolError, "rows=0"),
        ({"evaluation": 1.0}, ProtocolError, "evaluation=1.0"),
        ({"label_shares": [0.5, 0.5]}, ProtocolError, "3 classes"),
        ({"label_shares": [0.5, 0.4, 0.2]}, ProtocolError, "sum exactly 1"),
    ],
)
def test_bad_games_are_named(plan, changes, error, message):
    with pytest.raises(error, match=message):
        plan(**changes)


def test_what_models_see(plan, make_dataset):
    data = make_dataset(classes=3)
    rows = np.arange(50)
    seen, blind = (Pools(plan(include_attribute=shown), 0) for shown in (True, False))
    assert seen.encode("victim", rows).shape == (50, 6)
    encoded = blind.encode("victim", rows)
    assert encoded.shape == (50, 4)
    # Scaled by the side's own part.
    own = data.features.loc[blind.parts["victim"], list("pqrs")]
    np.testing.assert_allclose(encoded, (data.features.loc[rows, list("pqrs")] - own.mean()) / own.std(ddof=0), 1e-4)
    assert not np.allclose(encoded, blind.encode("shadow", rows), atol=1e-4)
