"""Many draws: T5's worst case, and exact or enclosed values, against enumeration, SciPy and Google's dp_accounting."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from fairbound.bounds import (
    advantage_after,
    channel_advantage_after,
    draws_needed,
    draws_needed_exactly,
    get_game,
    queries,
    worst_case_above,
    worst_case_after,
)
from fairbound.bounds.channel import total_variation
from fairbound.bounds.errors import AlphabetError, NumberError
from fairbound.bounds.games import GAMES
from fairbound.testing import channels, composition_pairs, simplex_points

F = Fraction
unit = st.fractions(0, 1, max_denominator=40)
FOUR = (
    (F(3, 10), F(2, 10), F(4, 10), F(1, 10)),
    (F(29, 100), F(22, 100), F(395, 1000), F(95, 1000)),
)


@st.composite
def pairs(draw, most=4, *, least=1, max_weight=12):
    size = draw(st.integers(least, most))
    return tuple(draw(simplex_points(size, max_weight=max_weight)) for _ in range(2))


def by_words(p, q, n):
    """From the definition: a sum over all words."""
    words = product(range(len(p)), repeat=n)
    return sum(abs(math.prod(p[z] for z in w) - math.prod(q[z] for z in w)) for w in words) / 2


def enclosure(p, q, n, cells):
    """Both values on one lattice, also where counting or the binomial would be used."""
    atoms = queries._common(p, q)
    return queries._from_below(atoms, n, cells), queries._from_above(atoms, n, cells)


def lattice_applies(p, q):
    return len(queries._common(p, q)) >= 2


# T5: the worst case given one draw.


@given(pairs(), st.integers(0, 5))
def test_no_distributions_exceed_the_worst_case(pair, n):
    p, q = pair
    assert by_words(p, q, n) <= worst_case_after(total_variation(p, q), n)


@given(unit, st.integers(0, 300))
def test_the_worst_case_is_attained_by_the_channel_of_t5(a, n):
    assert advantage_after((1 - a, a), (1, 0), n).upper == worst_case_after(a, n)
    assert advantage_after((1 - a, a), (1, 0), n).lower == worst_case_after(a, n)


def test_a_weaker_worst_case_would_be_exceeded():
    a, n = F(1, 10), 7
    attained = by_words((1 - a, a), (F(1), F(0)), n)
    assert attained == worst_case_after(a, n) > 1 - (1 - a) ** (n - 1)
    assert attained > a
    assert attained > 1 - (1 - a + F(1, 10**9)) ** n


@given(unit, st.integers(0, 10**4))
@example(F(1, 10**12), 10**4)
def test_the_float_is_above_the_exact_worst_case_and_next_to_it(a, n):
    exact, above = worst_case_after(a, n), worst_case_above(a, n)
    assert exact <= F(above) <= exact * (1 + F(1, 2**50))


def test_the_float_is_above_for_numbers_of_draws_beyond_exact_reach():
    n = 10**12
    with pytest.raises(NumberError, match="worst_case_above"):
        worst_case_after("1e-12", n)
    assert worst_case_above("1e-12", n) == pytest.approx(-math.expm1(n * math.log1p(-1e-12)), abs=1e-15)
    assert worst_case_above("1e-300", 10**20) == pytest.approx(1e-280, rel=1e-15)
    assert worst_case_above("1e-300", 10**20) >= 1e-280 * (1 - 1e-16)


@given(unit, unit)
@example(F(1, 2), F(3, 4))
@example(F(1, 2), F(3, 4) + F(1, 10**60))
@example(F(1, 2), F(3, 4) - F(1, 10**60))
@example(F(1, 10**4), 1 - F(1, 10**5))
def test_draws_needed_is_the_smallest_number(a, target):
    n = draws_needed(a, target)
    if n is None:
        assert (a == 0 and target > 0) or (target == 1 and a < 1)
        return
    assert worst_case_after(a, n) >= target
    assert n == 0 or worst_case_after(a, n - 1) < target


@pytest.mark.parametrize("shift", [0, F(1, 10**80), -F(1, 10**80)])
def test_draws_needed_settles_ties_of_tiny_advantages(shift):
    a, n = F(1, 10**12), 5
    assert draws_needed(a, worst_case_after(a, n) + shift) == n + (shift > 0)


def test_draws_needed_of_known_values():
    n = draws_needed("1e-12", 1 - F(1, 10**12))
    assert n == pytest.approx(12 * math.log(10) * 1e12, rel=1e-9)
    assert queries._power_at_most(1 - F(1, 10**12), n, F(1, 10**12))
    assert not queries._power_at_most(1 - F(1, 10**12), n - 1, F(1, 10**12))
    assert [draws_needed(F(1, 2), t) for t in (0, "0.5", "0.51", "0.99")] == [0, 1, 2, 7]
    assert draws_needed(1, 1) == 1


# Two given distributions.


@given(pairs(), st.integers(0, 5))
def test_counting_agrees_with_the_sum_over_all_words(pair, n):
    found = advantage_after(*pair, n)
    assert found.lower == found.upper == by_words(*pair, n)


def test_randomised_response_by_hand():
    p, q = (F(1, 2) + F(1, 10), F(1, 2) - F(1, 10)), (F(1, 2) - F(1, 10), F(1, 2) + F(1, 10))
    # TV_1 = 2e; two draws settle no more than one; TV_3 = 2e (3 - 4 e^2) / 2 = 3e - 4e^3.
    e = F(1, 10)
    assert [advantage_after(p, q, n).lower for n in (1, 2, 3)] == [2 * e, 2 * e, 3 * e - 4 * e**3]


@settings(max_examples=40)
@given(pairs(), st.integers(2, 5), st.sampled_from([8, 32, 256]))
def test_a_lattice_of_any_size_encloses_the_exact_value(pair, n, cells):
    assume(lattice_applies(*pair))
    lower, upper = enclosure(*pair, n, cells)
    assert lower <= by_words(*pair, n) <= upper


@settings(max_examples=25)
@given(pairs(3, least=2, max_weight=50), st.integers(20, 60))
def test_a_fine_lattice_is_close_to_the_exact_value(pair, n):
    assume(lattice_applies(*pair))
    exact = queries._counted(queries._common(*pair), n, queries._MAX_WORK)
    lower, upper = enclosure(*pair, n, 2**13)
    assert lower <= exact.lower <= upper
    assert upper - lower < F(1, 1000)


@settings(max_examples=40)
@given(pairs(2, least=2), st.integers(1, 400))
def test_binomials_enclose_the_exact_value_tightly(pair, n):
    assume(lattice_applies(*pair))
    atoms = queries._common(*pair)
    lower, upper = queries._from_binomials(atoms, n)
    assert lower <= queries._counted(atoms, n, 2**40).lower <= upper
    assert upper - lower < F(1, 10**12)


@pytest.mark.parametrize("n", [999, 1000, 10_000, 1_000_000])
def test_large_numbers_of_draws_agree_with_scipy(n):
    p, q = (F(505, 1000), F(495, 1000)), (F(495, 1000), F(505, 1000))
    k = np.arange(n + 1)
    reference = abs(binom.pmf(k, n, 0.505) - binom.pmf(k, n, 0.495)).sum() / 2
    found = advantage_after(p, q, n)
    assert float(found.lower) - 1e-8 <= reference <= float(found.upper) + 1e-8
    assert found.width < F(1, 10**8)
    lower, upper = enclosure(p, q, n, 2**13)
    assert lower <= found.upper
    assert found.lower <= upper
    assert upper - lower < F(1, 10**4)


def test_rounding_in_the_wrong_direction_would_be_caught():
    """On a coarse lattice each value errs by far more than what would hide a swapped direction."""
    exact = queries._counted(queries._common(*FOUR), 60, queries._MAX_WORK).lower
    lower, upper = enclosure(*FOUR, 60, 64)
    assert exact - lower > F(1, 10**6)
    assert upper - exact > F(1, 10**6)


def test_shares_that_favour_one_world_would_be_caught(monkeypatch):
    """Splitting in shares that do not keep both masses gives values on the wrong side."""
    exact = queries._counted(queries._common(*FOUR), 60, queries._MAX_WORK).lower
    units = queries._units
    monkeypatch.setattr(queries, "_units", lambda share: min(queries._UNIT, units(share) * 51 // 50))
    assert enclosure(*FOUR, 60, 2**11)[1] < exact


@pytest.mark.parametrize("n", [200, 1000, 10_000, 10**7])
def test_the_interval_is_narrow_for_four_views(n):
    found = advantage_after(*FOUR, n)
    assert 0 <= found.lower <= found.upper <= 1
    assert found.width <= queries.WIDTH
    finer = advantage_after(*FOUR, n, width=F(1, 10**7)) if n == 200 else found
    assert found.lower <= finer.lower <= finer.upper <= found.upper


def test_a_width_out_of_reach_is_shown_not_hidden(monkeypatch):
    monkeypatch.setattr(queries, "_MAX_CELLS", 2**11)
    found = advantage_after(*FOUR, 2000, width=F(1, 10**9))
    assert found.width > F(1, 10**9)


def test_a_simulation_of_the_best_test_agrees():
    n, runs, generator = 300, 40_000, np.random.default_rng(5)
    p, q = (np.array([float(x) for x in mass]) for mass in FOUR)
    loss = np.log(p / q)
    won = [(generator.multinomial(n, mass, runs) @ loss > 0).mean() for mass in (p, q)]
    assert abs(won[0] - won[1] - float(advantage_after(*FOUR, n).lower)) < 5 * math.sqrt(0.5 / runs)


@pytest.mark.parametrize("n", [1, 10, 200])
@pytest.mark.parametrize(
    ("p", "q"),
    [
        ((F(51, 100), F(49, 100)), (F(49, 100), F(51, 100))),
        ((F(26, 100), F(25, 100), F(49, 100)), (F(25, 100), F(26, 100), F(49, 100))),
        FOUR,
        ((F(999, 1000), F(1, 1000), F(0)), (F(998, 1000), F(1, 1000), F(1, 1000))),
    ],
)
def test_agreement_with_google_dp_accounting(p, q, n):
    """Its optimistic and pessimistic delta at epsilon 0 enclose the value, and err by at most n times its step."""
    step = 1e-5
    logs = [{z: math.log(x) for z, x in enumerate(mass) if x} for mass in (p, q)]
    theirs = [
        privacy_loss_distribution.from_two_probability_mass_functions(
            *logs, value_discretization_interval=step, symmetric=False, pessimistic_estimate=pessimistic
        )
        .self_compose(n)
        .get_delta_for_epsilon(0.0)
        for pessimistic in (False, True)
    ]
    ours = advantage_after(p, q, n)
    assert theirs[0] - 1e-9 <= float(ours.upper)
    assert float(ours.lower) <= theirs[1] + 1e-9
    assert theirs[1] - n * step - 1e-9 <= float(ours.upper)
    assert float(ours.lower) <= theirs[0] + n * step + 1e-9


@given(pairs(), st.integers(0, 40))
def test_more_draws_never_lower_the_advantage_nor_does_the_order_of_worlds_matter(pair, n):
    p, q = pair
    fewer, more = advantage_after(p, q, n), advantage_after(p, q, n + 1)
    assert fewer.lower <= more.lower
    assert (advantage_after(q, p, n).lower, advantage_after(q, p, n).upper) == (fewer.lower, fewer.upper)


@given(pairs(4, least=3), st.integers(1, 30))
def test_merging_views_never_raises_the_advantage(pair, n):
    p, q = pair
    merged = [(mass[0] + mass[1], *mass[2:]) for mass in (p, q)]
    assert advantage_after(*merged, n).upper <= advantage_after(p, q, n).lower


@settings(max_examples=30)
@given(composition_pairs(max_groups=3, max_labels=2), st.data(), st.sampled_from(sorted(GAMES)))
def test_channels_are_seen_through_the_game(pair, data, game):
    channel = data.draw(channels(groups=pair.groups, labels=pair.labels))
    p, q = get_game(game).views(pair, channel)
    assert sum(p) == sum(q) == 1
    assert total_variation(p, q) == get_game(game).advantage(pair, channel)
    three = channel_advantage_after(pair, channel, game, 3)
    assert three.lower == three.upper == by_words(p, q, 3)


# Draws needed for two given distributions.


@settings(max_examples=40)
@given(pairs(3), st.fractions(0, "9/10", max_denominator=30))
def test_draws_needed_exactly_is_the_smallest_number(pair, target):
    assume(total_variation(*pair) == 0 or total_variation(*pair) > F(1, 10))
    n = draws_needed_exactly(*pair, target)
    if n is None:
        assert pair[0] == pair[1]
        return
    assert advantage_after(*pair, n).lower >= target
    assert n == 0 or advantage_after(*pair, n - 1).upper < target
    assert n >= draws_needed(total_variation(*pair), target)


def test_draws_needed_exactly_decides_ties_by_counting():
    p, q = (F(2, 3), F(1, 3)), (F(1, 3), F(2, 3))
    tie = by_words(p, q, 9)
    assert draws_needed_exactly(p, q, tie) == 9
    assert draws_needed_exactly(p, q, tie + F(1, 10**30)) == 11


def test_draws_needed_exactly_on_the_lattice():
    n = draws_needed_exactly(*FOUR, "0.5")
    assert (
        advantage_after(*FOUR, n, width=F(1, 10**6)).lower
        >= F(1, 2)
        > advantage_after(*FOUR, n - 1, width=F(1, 10**6)).upper
    )


def test_draws_needed_exactly_says_when_it_cannot_tell(monkeypatch):
    monkeypatch.setattr(queries, "_MAX_CELLS", 2**11)
    with pytest.raises(NumberError, match="cannot be told"):
        draws_needed_exactly(*FOUR, "0.9")
    monkeypatch.setattr(queries, "MAX_DRAWS", 10**4)
    with pytest.raises(NumberError, match="more than"):
        draws_needed_exactly((F(1, 2) + F(1, 1000), F(1, 2) - F(1, 1000)), (F(1, 2), F(1, 2)), "0.99")
    assert draws_needed_exactly(*FOUR, 1) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: worst_case_after(2, 1), "outside"),
        (lambda: worst_case_after("0.1", -1), "at least 0"),
        (lambda: worst_case_above("0.1", 1.5), "no number of draws"),
        (lambda: draws_needed("0.1", 3), "target"),
        (lambda: draws_needed("x", "0.5"), "rational"),
        (lambda: advantage_after((1, 1), (1, 0), 1), "no probability mass function"),
        (lambda: advantage_after((2, -1), (1, 0), 1), "no probability mass function"),
        (lambda: advantage_after((1,), (1,), 1, width=0), "positive"),
        (lambda: advantage_after((1,), (1,), queries.MAX_DRAWS + 1), "too many"),
    ],
)
def test_bad_input_is_refused_with_the_reason(call, message):
    with pytest.raises(NumberError, match=message):
        call()


def test_distributions_over_different_alphabets_are_refused():
    with pytest.raises(AlphabetError, match="2 and 1 entries"):
        advantage_after((F(1, 2), F(1, 2)), (1,), 1)


def test_results_are_frozen_and_read_well():
    found = advantage_after(*FOUR, 2)
    assert str(found).startswith("after 2 draws: between 0.0")
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.lower = F(0)
