"""Attacks against their definitions, written out the long way, and against an independent run of the published ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from fairbound.empirical.attacks import ATTACKS, AttackInputError, ModelOutputs, get_attack, null_check, run_attacks
from fairbound.empirical.attacks.base import best_cuts
from fairbound.empirical.attacks.per_point import FRACTIONS

NAMES = list(ATTACKS)


@pytest.fixture
def small(draw_queries, draw_models):
    rng = np.random.default_rng(5)
    return draw_queries(), draw_models(rng, (0, 2), 15), draw_models(rng, (0, 2), 12)


def fitted(name, queries, shadows, seed=1):
    return get_attack(name).fit(queries, shadows, np.random.default_rng(seed))


# Rules that every attack keeps.


@pytest.mark.parametrize("name", NAMES)
def test_a_victim_is_scored_by_itself(name, small):
    queries, shadows, victims = small
    attack = fitted(name, queries, shadows)
    score, guess = attack.score(victims), attack.guess(victims)
    for i in range(len(victims)):
        alone = victims.take(np.array([i]))
        assert attack.score(alone) == pytest.approx(score[i : i + 1], abs=1e-9)
        assert attack.guess(alone) == guess[i]
    unknown = ModelOutputs(victims.scores)
    assert np.array_equal(attack.score(unknown), score)
    assert set(guess) == {0, 1}
    # The labels of these queries are arbitrary, so that accuracies need not tell the worlds apart.
    assert name in ("loss_test", "threshold_test") or (guess == victims.world).mean() > 0.7


@pytest.mark.parametrize("name", NAMES)
def test_more_classes_and_unequal_worlds(name, draw_queries, draw_models):
    rng = np.random.default_rng(6)
    queries = draw_queries(classes=3)
    shadows = draw_models(rng, (0.0, 1.0), 20, classes=3)
    shadows = shadows.take(np.arange(6, 40))
    victims = draw_models(rng, (0.0, 1.0), 20, classes=3)
    guess = fitted(name, queries, shadows).guess(victims)
    assert name in ("loss_test", "threshold_test") or (guess == victims.world).mean() > 0.7


@pytest.mark.parametrize("name", [name for name in NAMES if name != "loss_test"])
def test_one_world_is_refused(name, small):
    queries, shadows, _ = small
    with pytest.raises(AttackInputError, match="world 0"):
        fitted(name, queries, shadows.take(shadows.world == 1))


@pytest.mark.parametrize("name", NAMES)
def test_other_queries_are_refused(name, small):
    queries, shadows, victims = small
    with pytest.raises(AttackInputError, match="do not fit"):
        fitted(name, queries, shadows).score(ModelOutputs(victims.scores[:, :-1]))


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_label_only")])
def test_label_only_attacks_see_labels_alone(name, small):
    queries, shadows, victims = small
    attack = fitted(name, queries, shadows)
    plain = fitted(name.removesuffix("_label_only"), queries, shadows.hard())
    assert np.array_equal(attack.score(victims), plain.score(victims.hard()))
    assert np.array_equal(attack.guess(victims.hard()), attack.guess(victims))


@pytest.mark.parametrize("name", ["loss_test", "threshold_test"])
def test_accuracy_attacks_need_labels_alone(name, small):
    queries, shadows, victims = small
    assert np.array_equal(
        fitted(name, queries, shadows).score(victims), fitted(name, queries, shadows.hard()).score(victims.hard())
    )


def test_results_depend_on_the_seed_and_not_on_company(small):
    queries, shadows, victims = small
    alone = run_attacks(queries, shadows, victims, ["meta_classifier"], seed=3)[0]
    together = {r.name: r for r in run_attacks(queries, shadows, victims, seed=3)}
    other = run_attacks(queries, shadows, victims, ["meta_classifier"], seed=4)[0]
    assert list(together) == NAMES
    assert np.array_equal(alone.score, together["meta_classifier"].score)
    assert not np.array_equal(alone.score, other.score)
    assert run_attacks(queries, shadows, victims, []) == []
    record = alone.to_dict()
    assert record["right"] == list(alone.guesses.right)
    assert record["victims"] == [12, 12]
    assert "meta_classifier: accuracy" in str(alone)
    with pytest.raises(AttackInputError, match="choose from loss_test"):
        run_attacks(queries, shadows, victims, ["absent"])


# Definitions.


def test_the_loss_test_compares_accuracies(small):
    queries, shadows, victims = small
    right = (victims.scores > 0.5) == queries.labels
    expected = [0 if row[queries.origin == 0].mean() > row[queries.origin == 1].mean() else 1 for row in right]
    assert fitted("loss_test", queries, shadows).guess(victims).tolist() == expected


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))
def test_cuts_are_the_best_of_all(seed, zeros, ones, levels):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (zeros + ones, 3)) / 4
    world = rng.permutation(np.repeat([0, 1], [zeros, ones]))
    threshold, direction, advantage = best_cuts(values, world)
    for j in range(3):
        column = values[:, j]
        found = [(column[world == 1] > t).mean() - (column[world == 0] > t).mean() for t in np.append(column - 0.1, 99)]
        assert advantage[j] == pytest.approx(np.abs(found).max(), abs=1e-12)
        if advantage[j] > 1e-9:
            at = (column[world == 1] > threshold[j]).mean() - (column[world == 0] > threshold[j]).mean()
            assert at * direction[j] == pytest.approx(advantage[j], abs=1e-12)
            assert threshold[j] not in column
        else:
            assert direction[j] == 0 or advantage[j] > 0


def test_the_threshold_test_uses_the_best_set(small):
    queries, shadows, victims = small
    best = (-1.0, None)
    accuracies = shadows.accuracies(queries)
    for c in (0, 1):
        ordered = np.unique(accuracies[:, c])
        for t in (ordered[1:] + ordered[:-1]) / 2:
            for direction in (1, -1):
                guess = direction * (accuracies[:, c] - t) > 0
                score = guess[shadows.world == 1].mean() - guess[shadows.world == 0].mean()
                if score > best[0] + 1e-12:
                    best = (score, (c, t, direction))
    c, t, direction = best[1]
    expected = direction * (victims.accuracies(queries)[:, c] - t) > 0
    assert np.array_equal(fitted("threshold_test", queries, shadows).guess(victims), expected)


def test_the_per_point_attack_is_a_vote_of_the_leading_queries(small):
    queries, shadows, victims = small
    s, v, world = shadows.of_label(queries.labels), victims.of_label(queries.labels), shadows.world
    logit = np.log(s.clip(1e-4, 1 - 1e-4) / (1 - s.clip(1e-4, 1 - 1e-4)))
    apart = abs(logit[world == 0].sum(axis=0) - logit[world == 1].sum(axis=0))
    threshold, direction, _ = best_cuts(s, world)
    best, expected = -1.0, None
    for c in (0, 1):
        rows = sorted(np.flatnonzero(queries.origin == c), key=lambda q: -apart[q])
        for fraction in FRACTIONS:
            rule = rows[: int(fraction * len(rows))]
            share = [np.mean([(m[q] - threshold[q]) * direction[q] > 0 for q in rule]) for m in s]
            right = [((np.array(share) >= 0.5) == b)[world == b].mean() for b in (0, 1)]
            if sum(right) > best:
                best = sum(right)
                expected = [np.mean([(m[q] - threshold[q]) * direction[q] > 0 for q in rule]) for m in v]
    attack = fitted("per_point_threshold", queries, shadows)
    assert attack.score(victims) == pytest.approx(expected)
    assert np.array_equal(attack.guess(victims), np.array(expected) >= 0.5)


@pytest.mark.parametrize("hard", [False, True])
def test_kl_voting_counts_pairs(small, hard):
    queries, shadows, victims = small
    shown, seen = (shadows.hard(), victims.hard()) if hard else (shadows, victims)
    p, q = np.clip(shown.scores, 1e-4, 1 - 1e-4), np.clip(seen.scores, 1e-4, 1 - 1e-4)

    def divergence(a, b, c):
        rows = queries.origin == c
        a, b = a[rows], b[rows]
        return (a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))).mean()

    expected = []
    for victim in q:
        votes = []
        for c in (0, 1):
            zeros, ones = ([divergence(m, victim, c) for m in p[shadows.world == b]] for b in (0, 1))
            votes += [0.5 if abs(x - y) < 1e-9 else float(x > y) for x in zeros for y in ones]
        expected.append(np.mean(votes))
    name = "kl_voting_label_only" if hard else "kl_voting"
    assert fitted(name, queries, shadows).score(victims) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["kl_voting", "kl_voting_label_only"])
def test_swapping_the_worlds_swaps_the_votes(name, small):
    queries, shadows, victims = small
    swapped = ModelOutputs(shadows.scores, 1 - shadows.world)
    score = fitted(name, queries, shadows).score(victims)
    assert fitted(name, queries, swapped).score(victims) == pytest.approx(1 - score)


# Against an independent run of the published attacks, and against worlds that do not differ.


def test_accuracies_of_different_worlds_are_those_of_the_oracle(oracle, different_worlds):
    queries, shadows, victims = different_worlds
    for result in run_attacks(queries, shadows, victims, list(oracle.ORACLE)):
        mean, sd = oracle.ORACLE[result.name][oracle.ALPHAS.index(0.8)]
        assert abs(100 * result.accuracy - mean) < 2.5 * sd, result.name
        assert result.name in ("loss_test", "threshold_test") or result.verdict(0.3) == "exceeds"


def test_equal_worlds_are_told_apart_half_of_the_time(oracle, equal_worlds):
    check = null_check(*equal_worlds)
    assert [r.name for r in check.results] == NAMES
    assert check.p_value > 0.01
    for result in check.results:
        assert result.p_value > 0.01
        assert result.advantage.lower < 0 < result.advantage.upper
        assert result.auc.lower < 0.5 < result.auc.upper


def test_the_null_check_notices_a_shared_draw(oracle, equal_worlds):
    """Models of a world that learn from one draw of rows differ by that draw, not by the ratio."""
    rng = np.random.default_rng(8)
    x, y, s = oracle.population(rng)
    rows = oracle.draw(rng, np.arange(10_000), s, 0.5, 2000)
    pools = [oracle.draw(rng, np.arange(10_000, 40_000), s, 0.5, 400) for _ in (0, 1)]

    def models(number):
        chosen = [rng.choice(pool, 300, replace=False) for pool in pools for _ in range(number)]
        scores = [LogisticRegression().fit(x[mine], y[mine]).predict_proba(x[rows])[:, 1] for mine in chosen]
        return ModelOutputs(np.array(scores), np.repeat([0, 1], number))

    queries = equal_worlds[0].__class__(y[rows], np.repeat([0, 1], 1000))
    check = null_check(queries, models(30), models(30), ["kl_voting", "threshold_test"])
    assert check.p_value < 1e-6
