"""T1, T1a, T1b, T2 and C1 as properties over exact random instances."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fairbound.bounds import (
    Channel,
    Composition,
    CompositionPair,
    Disparities,
    accuracy_gap,
    constant_classifier_counterexample,
    get_game,
    paper_bound,
    transport_bound,
    witness,
    worst_case_advantage,
    worst_case_by_lp,
)
from fairbound.bounds.errors import AlphabetError, CompositionError, LabelShiftError, NumberError
from fairbound.bounds.games import GAMES
from fairbound.bounds.transport import cheapest_plan
from fairbound.testing import channels, composition_pairs, disparities

games = st.sampled_from(sorted(GAMES))
F = Fraction


@st.composite
def pairs_with_disparities(draw, **options):
    pair = draw(composition_pairs(**options))
    return pair, draw(disparities(len(pair.labels)))


@st.composite
def pairs_with_channels(draw, **options):
    pair = draw(composition_pairs(**options))
    return pair, draw(channels(groups=pair.groups, labels=pair.labels))


@settings(max_examples=30)
@given(pairs_with_disparities(max_labels=2), games)
def test_closed_form_is_the_exact_optimum_of_the_linear_programme(instance, game):
    pair, delta = instance
    assert worst_case_advantage(pair, delta).value == worst_case_by_lp(pair, delta, game)


@settings(max_examples=8)
@given(pairs_with_disparities(max_groups=3, max_labels=2), games)
def test_a_third_output_does_not_help_the_worst_case(instance, game):
    pair, delta = instance
    assert worst_case_by_lp(pair, delta, game, outputs=(0, 1, 2)) == worst_case_advantage(pair, delta).value


@given(pairs_with_channels(max_groups=4, max_labels=4), games)
def test_no_channel_exceeds_the_closed_form(instance, game):
    pair, channel = instance
    advantage = get_game(game).advantage(pair, channel)
    measured = channel.disparities()
    transport, _ = transport_bound(pair, measured)
    assert advantage <= transport.value <= worst_case_advantage(pair, measured.per_label).value


@given(pairs_with_disparities(max_groups=4, max_labels=4), games)
def test_the_witness_attains_the_closed_form_within_its_disparities(instance, game):
    pair, delta = instance
    found = witness(pair, delta, game)
    assert found.replay() == found.claimed == worst_case_advantage(pair, delta).value
    assert all(d <= limit for d, limit in zip(found.channel.disparities().per_label, delta, strict=True))


@pytest.mark.parametrize("shortfall", [F(1, 10**12), F(1, 100)])
def test_a_weakened_bound_is_caught_by_its_witness(shortfall):
    pair = CompositionPair.from_dict({"world_0": {"a": {"0": 3, "1": 1}}, "world_1": {"b": {"0": 2, "1": 2}}})
    delta = (F(1, 5), F(1, 3))
    weakened = worst_case_advantage(pair, delta).value - shortfall
    assert witness(pair, delta).replay() > weakened


def test_dropping_the_label_shift_term_is_caught():
    pair = CompositionPair.from_dict({"world_0": {"a": {"0": 3, "1": 1}}, "world_1": {"b": {"0": 2, "1": 2}}})
    delta = (F(1, 5), F(1, 3))
    without_shift = sum(m * d for m, d in zip(pair.moved, delta, strict=True))
    assert witness(pair, delta, "correctness").replay() > without_shift


@given(composition_pairs(max_groups=4, max_labels=4))
def test_distance_splits_into_label_shift_and_moved_mass(pair):
    direct = sum(abs(d) for row in pair.difference for d in row) / 2
    assert pair.distance == direct == pair.label_shift + sum(pair.moved)


@given(pairs_with_disparities(label_shift=False))
def test_published_form_bounds_the_exact_value_without_label_shift(instance):
    pair, delta = instance
    exact, published = worst_case_advantage(pair, delta).value, paper_bound(pair, delta).value
    assert exact <= published
    attained = all(d == max(delta) for m, d in zip(pair.moved, delta, strict=True) if m)
    assert (exact == published) == attained


@given(pairs_with_disparities())
def test_published_form_is_refused_exactly_under_label_shift(instance):
    pair, delta = instance
    if pair.label_shift == 0:
        paper_bound(pair, delta)
    else:
        with pytest.raises(LabelShiftError, match="constant classifier"):
            paper_bound(pair, delta)


@given(st.fractions(0, 1, max_denominator=50), st.fractions(0, 1, max_denominator=50))
def test_constant_classifier_breaks_the_unqualified_form(p, q):
    example = constant_classifier_counterexample(p, q)
    assert example.channel.disparities().equalized_odds == 0
    assert example.replay() == example.claimed == abs(p - q) == accuracy_gap(example.pair, example.channel)
    assert example.claimed == worst_case_advantage(example.pair, (F(0), F(0))).value


@given(pairs_with_channels(max_labels=2), st.randoms(use_true_random=False))
def test_bounds_do_not_depend_on_the_order_of_groups_and_labels(instance, random):
    pair, channel = instance
    group_order = random.sample(range(len(pair.groups)), len(pair.groups))
    label_order = random.sample(range(len(pair.labels)), len(pair.labels))

    def reorder(table):
        return tuple(tuple(table[i][j] for j in label_order) for i in group_order)

    groups = tuple(pair.groups[i] for i in group_order)
    labels = tuple(pair.labels[j] for j in label_order)
    moved_pair = CompositionPair(
        *(Composition(groups, labels, reorder(world.mass)) for world in (pair.world_0, pair.world_1))
    )
    moved_channel = Channel(groups, labels, channel.outputs, reorder(channel.rates))
    before, after = channel.disparities(), moved_channel.disparities()
    assert worst_case_advantage(pair, before.per_label) == worst_case_advantage(moved_pair, after.per_label)
    assert transport_bound(pair, before)[0] == transport_bound(moved_pair, after)[0]
    for game in GAMES.values():
        assert game.advantage(pair, channel) == game.advantage(moved_pair, moved_channel)


@given(pairs_with_channels(max_labels=2))
def test_swapping_the_worlds_changes_nothing(instance):
    pair, channel = instance
    swapped = CompositionPair(pair.world_1, pair.world_0)
    measured = channel.disparities()
    assert transport_bound(pair, measured)[0] == transport_bound(swapped, measured)[0]
    assert worst_case_advantage(pair, measured.per_label) == worst_case_advantage(swapped, measured.per_label)


@given(pairs_with_channels(max_groups=4, max_labels=2))
def test_transport_plans_are_feasible_and_priced_right(instance):
    pair, channel = instance
    measured = channel.disparities()
    plan = cheapest_plan(pair, measured)
    for column, moved, flows in zip(zip(*pair.difference, strict=True), pair.moved, plan.flows, strict=True):
        assert sum(mass for *_, mass in flows) == moved
        for a, d in enumerate(column):
            out = sum(mass for source, _, mass in flows if source == a)
            into = sum(mass for _, sink, mass in flows if sink == a)
            assert out <= max(d, 0)
            assert into <= max(-d, 0)
    assert plan.cost(measured, pairwise=False) == worst_case_advantage(pair, measured.per_label).value


def test_transport_form_finds_the_cheapest_matching():
    # Two groups with surplus, two with deficit; distances make the crossed matching four times dearer.
    worlds = {"world_0": {"a": {"0": 1}, "b": {"0": 1}}, "world_1": {"c": {"0": 1}, "d": {"0": 1}}}
    pair = CompositionPair.from_dict(worlds, ("a", "b", "c", "d"), (0,))
    near, far = F(1, 10), F(4, 10)
    matrix = ((0, near, near, far), (near, 0, far, near), (near, far, 0, near), (far, near, near, 0))
    bound, plan = transport_bound(pair, Disparities((0,), (tuple(tuple(map(F, row)) for row in matrix),)))
    assert bound.value == near
    assert set(plan.flows[0]) == {(0, 2, F(1, 2)), (1, 3, F(1, 2))}


@pytest.mark.parametrize("order", list(permutations(range(3)))[:3])
def test_pure_pairs_have_distance_one(order):
    rows = {("a", "b", "c")[i]: {"0": i + 1, "1": 2} for i in order}
    names = list(rows)
    pair = CompositionPair.from_dict(
        {"world_0": {names[0]: rows[names[0]]}, "world_1": {names[1]: rows[names[1]]}}, ("a", "b", "c"), (0, 1)
    )
    assert pair.is_pure
    assert pair.distance == 1
    assert not CompositionPair(pair.world_0, pair.world_0).is_pure


@given(composition_pairs())
def test_label_balancing_removes_the_shift_and_keeps_the_group_shares(pair):
    marginals = zip(pair.world_0.label_marginal, pair.world_1.label_marginal, strict=True)
    assume(all((p == 0) == (q == 0) for p, q in marginals))
    balanced = pair.label_balanced()
    assert balanced.label_shift == 0
    for before, after in ((pair.world_0, balanced.world_0), (pair.world_1, balanced.world_1)):
        for j, (p, q) in enumerate(zip(before.label_marginal, after.label_marginal, strict=True)):
            for old, new in zip(before.mass, after.mass, strict=True):
                assert old[j] * q == new[j] * p


def test_label_balancing_refuses_a_label_that_one_world_lacks():
    pair = CompositionPair.from_dict({"world_0": {"a": {"0": 1}}, "world_1": {"b": {"0": 1, "1": 1}}})
    with pytest.raises(CompositionError, match="no mass in one of the worlds"):
        pair.label_balanced()


@pytest.mark.parametrize(
    ("delta", "error", "message"),
    [
        ((F(1, 2),), AlphabetError, "1 disparities for 2 labels"),
        ((F(1, 2), F(3, 2)), NumberError, "between 0 and 1"),
        ((F(-1, 2), F(0)), NumberError, "between 0 and 1"),
    ],
)
def test_impossible_disparities_are_refused(delta, error, message):
    pair = CompositionPair.from_dict({"world_0": {"a": {"0": 1, "1": 1}}, "world_1": {"b": {"0": 1, "1": 1}}})
    with pytest.raises(error, match=message):
        worst_case_advantage(pair, delta)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "world_0 is missing"),
        ({"world_0": {"a": 1}, "world_1": {}}, "of another form"),
        ({"world_0": {"a": {"0": "1/2"}}, "world_1": {"b": {"0": 1}}}, "add up to 1/2"),
        ({"world_0": {"a": {"0": "0.1", "1": "0.9"}}, "world_1": {"z": {"0": 1}}}, "group 'z'"),
        ({"world_0": {"a": {"0": "1/0"}}, "world_1": {"b": {"0": 1}}}, "no rational number"),
        ({"world_0": {"a": {"0": -1, "1": 2}}, "world_1": {"b": {"0": 1}}}, "negative"),
        ({"world_0": {"a": {"0": 0}}, "world_1": {"b": {"0": 1}}}, "no mass"),
        ({"world_0": {"a": {"0": True}}, "world_1": {"b": {"0": 1}}}, "no rational number"),
    ],
)
def test_malformed_pairs_are_refused(data, message):
    with pytest.raises((CompositionError, NumberError), match=message):
        CompositionPair.from_dict(data, ("a", "b"), (0, 1))


@given(composition_pairs())
def test_pairs_survive_the_round_trip_through_text(pair):
    assert CompositionPair.from_dict(pair.to_dict(), pair.groups, pair.labels) == pair


def test_mixtures_are_exact():
    one = Composition(("a", "b"), (0, 1), ((F(1, 2), F(1, 2)), (F(0), F(0))))
    two = Composition(("a", "b"), (0, 1), ((F(0), F(0)), (F(1, 4), F(3, 4))))
    mixed = Composition.mixture(["1/3", "2/3"], [one, two])
    assert mixed.mass == ((F(1, 6), F(1, 6)), (F(1, 6), F(1, 2)))
    assert Composition.mixture([0.1, 0.9], [one, two]).mass[0] == (F(1, 20), F(1, 20))
    with pytest.raises(CompositionError, match="add up to 1"):
        Composition.mixture(["1/3", "1/3"], [one, two])
