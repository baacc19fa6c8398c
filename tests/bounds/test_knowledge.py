"""T4: exact worst cases given linear knowledge, against closed forms, samples and corrupted certificates."""

from __future__ import annotations

import copy
import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbound.bounds import Composition, CompositionPair, check, constant_classifier_counterexample, get_game
from fairbound.bounds.check import CheckError
from fairbound.bounds.errors import AlphabetError
from fairbound.bounds.exact import worst_case_advantage
from fairbound.bounds.games import GAMES
from fairbound.bounds.knowledge import Knowledge, KnowledgeError, worst_case_given
from fairbound.testing import channels, composition_pairs, disparities

F = Fraction
games = st.sampled_from(sorted(GAMES))
PAIR = constant_classifier_counterexample(F(1, 10), F(3, 10)).pair
POPULATION = Composition.mixture(["1/2", "1/2"], [PAIR.world_0, PAIR.world_1])


@settings(max_examples=25)
@given(composition_pairs(max_labels=2), st.data(), games)
def test_equalized_odds_alone_gives_the_closed_form(pair, data, game):
    delta = data.draw(disparities(2))
    known = Knowledge.nothing(pair)
    for label, limit in zip(pair.labels, delta, strict=True):
        known = known.equalized_odds(limit, only=[label])
    found = worst_case_given(pair, known, game)
    assert found.value == worst_case_advantage(pair, delta).value == found.witness.replay()


@settings(max_examples=10)
@given(composition_pairs(max_groups=2, max_labels=2), st.fractions(0, 1, max_denominator=6))
def test_three_outputs_count_as_total_variation(pair, limit):
    known = Knowledge.nothing(pair, outputs=(0, 1, 2)).equalized_odds(limit)
    found = worst_case_given(pair, known, "unlabelled")
    assert found.value == worst_case_advantage(pair, (limit, limit)).value
    assert found.witness.channel.disparities().equalized_odds <= limit


@settings(max_examples=30)
@given(composition_pairs(max_groups=2, max_labels=2), st.data(), games)
def test_no_channel_with_the_facts_exceeds_the_worst_case(pair, data, game):
    channel = data.draw(channels(groups=pair.groups, labels=pair.labels))
    population = data.draw(st.sampled_from([pair.world_0, pair.world_1]))
    correct = sum(mass * channel.rates[a][y][y] for a, row in enumerate(population.mass) for y, mass in enumerate(row))
    known = Knowledge.nothing(pair).equalized_odds(channel.disparities().equalized_odds).accuracy(population, correct)
    assert get_game(game).advantage(pair, channel) <= worst_case_given(pair, known, game).value


@settings(max_examples=20)
@given(composition_pairs(max_groups=2, max_labels=2), games, st.fractions(0, 1, max_denominator=5))
def test_knowing_more_never_raises_the_worst_case(pair, game, limit):
    nothing = Knowledge.nothing(pair)
    one = nothing.equalized_odds(limit, only=[0])
    two = one & nothing.equalized_odds(limit, only=[1])
    values = [worst_case_given(pair, known, game).value for known in (nothing, one, two)]
    assert values[0] >= values[1] >= values[2]
    assert values[0] == pair.distance


def test_parity_bounds_only_the_game_whose_view_it_speaks_of():
    """Demographic parity is about predictions, accuracy parity about correctness; neither bounds the labelled game."""
    limit = F(1, 20)
    known = Knowledge.nothing(PAIR)
    parity, accuracy = known.demographic_parity(POPULATION, limit), known.accuracy_parity(POPULATION, limit)
    assert worst_case_given(PAIR, parity, "unlabelled").value == limit
    assert worst_case_given(PAIR, accuracy, "correctness").value == limit
    for fact in (parity, accuracy):
        assert worst_case_given(PAIR, fact, "labelled").value > F(2, 5)
    assert worst_case_given(PAIR, parity, "correctness").value > F(2, 5)
    assert worst_case_given(PAIR, accuracy, "unlabelled").value > F(2, 5)


def test_rate_limits_and_operating_points_bite():
    known = Knowledge.nothing(PAIR)
    a, b = PAIR.groups
    silent = known.rate_at_most(a, 0, 1, F(0)).rate_at_most(b, 0, 1, F(0))
    silent = silent.rate_at_least(a, 1, 1, F(1)).rate_at_least(b, 1, 1, F(1))
    assert worst_case_given(PAIR, silent, "unlabelled").value == F(1, 5)
    point = known.operating_point(POPULATION, 1, 1, F(1)).operating_point(POPULATION, 0, 1, F(0))
    assert worst_case_given(PAIR, point, "unlabelled").value == F(1, 5)


@pytest.mark.parametrize("game", sorted(GAMES))
def test_certificates_check_and_every_changed_number_is_refused(game, numbers, changed):
    known = Knowledge.nothing(PAIR).equalized_odds(F(1, 7)).accuracy(POPULATION, F(17, 20))
    data = json.loads(json.dumps(worst_case_given(PAIR, known, game).certificate().data))
    assert "exactly" in check.check(data)
    for lowered in (F(1, 10**12), F(1, 10)):
        forged = copy.deepcopy(data)
        forged["value"] = str(F(data["value"]) - lowered)
        forged["digest"] = check.digest(forged)
        with pytest.raises(CheckError):
            check.check(forged)
    for path in numbers(data):
        for step in (1, -1):
            forged = changed(data, path, step)
            with pytest.raises(CheckError, match="digest"):
                check.check(forged)
            # Facts and names make another claim, and a multiplier may have slack; worlds, witness and value are exact.
            if path[0] in ("world_0", "world_1", "witness", "value"):
                forged["digest"] = check.digest(forged)
                with pytest.raises(CheckError):
                    check.check(forged)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["facts"].pop(), "must have|does not bound"),
        (lambda d: d["multipliers"].pop(), "must have"),
        (lambda d: d["facts"][0].update(sense=">="), "sense"),
        (lambda d: d["witness"][0][0].reverse(), "witness|value"),
        (lambda d: d.update(world_1=d["world_0"]), "value|does not bound"),
        (lambda d: d["facts"][0].update(coefficients=[[9, 0, 0, "1"]]), "malformed"),
        (lambda d: d.update(game="all"), "unknown"),
        (lambda d: d.update(outputs=["0", "1"]), "another kind"),
        (lambda d: d.update(groups="ab"), "list of names"),
    ],
)
def test_malformed_knowledge_certificates_are_refused(edit, message):
    known = Knowledge.nothing(PAIR).equalized_odds(F(1, 7))
    data = json.loads(json.dumps(worst_case_given(PAIR, known).certificate().data))
    edit(data)
    data["digest"] = check.digest(data)
    with pytest.raises(CheckError, match=message):
        check.check(data)


def test_contradictions_and_misfits_are_errors():
    known = Knowledge.nothing(PAIR)
    with pytest.raises(KnowledgeError, match="no model has all"):
        worst_case_given(PAIR, known.accuracy(POPULATION, F(1)).rate_at_most(PAIR.groups[0], 1, 1, F(1, 2)))
    with pytest.raises(AlphabetError):
        _ = known & Knowledge.nothing(PAIR, outputs=(0, 1, 2))
    other = CompositionPair.from_dict({"world_0": {"x": {"0": 1, "1": 1}}, "world_1": {"y": {"0": 1, "1": 1}}})
    with pytest.raises(AlphabetError):
        worst_case_given(other, known)
    with pytest.raises(KnowledgeError, match="no mass"):
        known.demographic_parity(PAIR.world_0, F(0))
    with pytest.raises(KnowledgeError, match="views"):
        worst_case_given(PAIR, Knowledge.nothing(PAIR, outputs=tuple(range(6))))
