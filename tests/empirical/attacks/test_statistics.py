"""Intervals by exact enumeration, draws that a leak is worth, and power, against values from the definition."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from fairbound.bounds.errors import NumberError
from fairbound.empirical.attacks import (
    AttackInputError,
    Guesses,
    Interval,
    advantage_interval,
    auc_interval,
    holm,
    joint_verdict,
    n_leaked,
    n_leaked_exactly,
    true_positives_at,
    verdict,
    victims_needed,
)


def coverage(interval, sizes, rates):
    """Chance, by enumeration, that an interval holds the true advantage."""
    truth = sum(rates) - 1
    chances = [binom.pmf(np.arange(n + 1), n, p) for n, p in zip(sizes, rates, strict=True)]
    total = 0.0
    for right in product(*(range(n + 1) for n in sizes)):
        found = interval(Guesses(right, sizes))
        if found.lower - 1e-12 <= truth <= found.upper + 1e-12:
            total += math.prod(chance[k] for chance, k in zip(chances, right, strict=True))
    return total


GRID = [0.0, 0.003, 0.05, 0.2, 0.5, 0.62, 0.8, 0.97, 1.0]


@pytest.mark.parametrize("sizes", [(1, 1), (5, 5), (9, 9), (3, 8)])
def test_advantage_intervals_cover(sizes):
    found = {}

    def interval(guesses):
        return found.setdefault(guesses, advantage_interval(guesses, 0.9))

    for rates in product(GRID, GRID):
        assert coverage(interval, sizes, rates) >= 0.9


def test_the_enumeration_notices_what_does_not_cover():
    def wald(guesses):
        margin = 1.645 * sum(k / n * (1 - k / n) / n for k, n in zip(guesses.right, guesses.models, strict=True)) ** 0.5
        return Interval(guesses.advantage, guesses.advantage - margin, guesses.advantage + margin)

    assert min(coverage(wald, (9, 9), rates) for rates in product(GRID, GRID)) < 0.7


def test_advantage_of_many_victims():
    found = advantage_interval(Guesses((80, 90), (100, 100)))
    assert found.value == pytest.approx(0.7)
    # Clopper-Pearson limits of 170 out of 200, times two less one.
    assert (found.lower, found.upper) == pytest.approx((0.585, 0.793), abs=1e-3)
    lopsided = advantage_interval(Guesses((80, 900), (100, 1000)))
    assert lopsided.lower < 0.7 < lopsided.upper
    # Guesses that are wrong more often are not turned round.
    mirrored = advantage_interval(Guesses((20, 10), (100, 100)))
    assert (mirrored.value, mirrored.lower, mirrored.upper) == pytest.approx((-0.7, -found.upper, -found.lower))
    assert verdict(mirrored, 0) == "within"
    constant = advantage_interval(Guesses((100, 0), (100, 100)))
    assert constant.lower < constant.value == 0 < constant.upper
    with pytest.raises(AttackInputError, match="both worlds"):
        Guesses.of([1, 1], [1, 1])
    with pytest.raises(NumberError):
        advantage_interval(Guesses((1, 1), (2, 2)), 1.5)


def test_verdicts():
    strong, fair = Guesses((95, 95), (100, 100)), Guesses((51, 49), (100, 100))
    weak = Guesses((58, 58), (100, 100))
    assert verdict(advantage_interval(strong), 0.3) == "exceeds"
    assert verdict(advantage_interval(fair), 0.3) == "within"
    assert verdict(advantage_interval(fair), 0.05) == "inconclusive"
    assert verdict(Interval(0.1, 0.1, 0.3), 0.3) == "within"
    assert verdict(Interval(0.3, 0.3, 0.4), 0.3) == "inconclusive"
    assert joint_verdict([fair, strong], 0.3) == "exceeds"
    assert joint_verdict([fair, fair], 0.3) == "within"
    # One attack that is significant by itself is not among ten.
    assert joint_verdict([weak], 0.01) == "exceeds"
    assert joint_verdict([weak] + [fair] * 9, 0.01) == "inconclusive"
    with pytest.raises(AttackInputError, match="no attack"):
        joint_verdict([], 0.3)


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_p_values_are_those_of_fishers_exact_test(n0, n1, data):
    k0, k1 = data.draw(st.integers(0, n0)), data.draw(st.integers(0, n1))
    expected = fisher_exact([[k1, n1 - k1], [n0 - k0, k0]], alternative="greater").pvalue
    assert Guesses((k0, k1), (n0, n1)).p_value() == pytest.approx(expected, abs=1e-9)


def test_holm_adjusts_in_steps():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert len(holm([])) == 0


# AUC and low false-positive rates.


@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(2, 9))
def test_auc_counts_pairs_and_delongs_variance(seed, zeros, ones):
    rng = np.random.default_rng(seed)
    scores, world = rng.integers(0, 6, zeros + ones), np.repeat([0, 1], [zeros, ones])
    wins = (scores[zeros:, None] > scores[None, :zeros]) + (scores[zeros:, None] == scores[None, :zeros]) / 2
    found = auc_interval(scores, world, 0.95)
    assert found.value == pytest.approx(wins.mean())
    assume(0 < wins.mean() < 1)
    sd = math.sqrt(wins.mean(axis=1).var(ddof=1) / ones + wins.mean(axis=0).var(ddof=1) / zeros)
    auc = wins.mean()
    assert math.log(found.upper / (1 - found.upper)) - math.log(auc / (1 - auc)) == pytest.approx(
        1.959964 * sd / (auc * (1 - auc)), abs=1e-5
    )


def test_auc_intervals_cover():
    rng = np.random.default_rng(0)
    world = np.repeat([0, 1], 60)
    truth = 0.760250  # Phi(1 / sqrt 2)
    found = [auc_interval(rng.normal(size=120) + world, world, 0.9) for _ in range(600)]
    assert 0.87 < np.mean([i.lower <= truth <= i.upper for i in found]) < 0.93


def test_perfect_separation_has_an_exact_limit():
    found = auc_interval([0, 1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1, 1], 0.9)
    assert (found.value, found.upper) == (1, 1)
    assert found.lower == pytest.approx(0.05 ** (1 / 3), abs=1e-4)
    mirrored = auc_interval([0, -1, -2, -3, -4, -5, -6], [0, 0, 0, 1, 1, 1, 1], 0.9)
    assert (mirrored.value, mirrored.lower, mirrored.upper) == pytest.approx((0, 0, 1 - found.lower))
    with pytest.raises(AttackInputError, match="two victims"):
        auc_interval([0, 1, 2], [0, 1, 1])


def test_equal_scores_are_no_certainty():
    world = np.repeat([0, 1], 100)
    found = auc_interval(np.zeros(200), world)
    assert found.value == 0.5
    # Hoeffding: sqrt(log(2 / .05) / 200).
    assert (found.lower, found.upper) == pytest.approx((0.5 - 0.1358, 0.5 + 0.1358), abs=1e-4)


def test_low_false_positive_rates():
    scores = np.concatenate([np.arange(100), np.arange(50, 150)])
    world = np.repeat([0, 1], 100)
    assert vars(true_positives_at(scores, world, 0.01)) == {"false_positives": 0.01, "true_positives": 0.51}
    assert true_positives_at(scores, world, 0.29).true_positives == 0.79
    assert true_positives_at(scores, world, 1).true_positives == 1
    # A hundred victims say nothing about one in a thousand.
    assert true_positives_at(scores, world, 0.001).false_positives == 0.01
    tied = true_positives_at([0, 1, 1, 1], [0, 0, 1, 1], 0.5)
    assert vars(tied) == {"false_positives": 0.5, "true_positives": 1}
    with pytest.raises(AttackInputError, match="outside"):
        true_positives_at(scores, world, 2)


# Draws that a leak is worth.


@pytest.mark.parametrize(
    ("accuracy", "a0", "a1", "value"),
    [(0.95, 0.5, 1, 2.396), (0.95, 0.5, 0.52, 42.343), (0.75, 0.5, 0.8, 0.612), (0.75, 0.5, 0.6, 1.578)],
)
def test_known_values_of_the_formula(accuracy, a0, a1, value):
    assert n_leaked(accuracy, a0, a1) == pytest.approx(value, abs=5e-4)
    assert n_leaked(accuracy, a1, a0) == pytest.approx(value, abs=5e-4)
    assert n_leaked(1 - accuracy, a0, a1) == 0
    assert n_leaked_exactly(1 - accuracy, a0, a1) == 0


@pytest.mark.parametrize(
    ("accuracy", "a0", "a1", "n"),
    [
        ("0.75", "0.5", "0.6", 45),
        ("0.90", "0.5", "0.8", 16),
        ("0.95", "0.5", "0.9", 12),
        ("0.95", "0.5", "0.52", 6760),
        ("0.90", "0.1", "0.25", 40),
    ],
)
def test_known_exact_numbers(accuracy, a0, a1, n):
    assert n_leaked_exactly(accuracy, a0, a1) == n
    assert n_leaked_exactly(float(accuracy), float(a1), float(a0)) == n


percent = st.integers(0, 100).map(lambda i: i / 100)


@given(percent, percent, percent)
def test_the_formula_is_a_lower_bound(accuracy, a0, a1):
    assume(a0 != a1 and 0.02 < accuracy < 0.98)
    exact = n_leaked_exactly(accuracy, a0, a1)
    assert n_leaked(accuracy, a0, a1) <= exact + 1e-9
    n = np.arange(exact + 1)
    tv = abs(binom.pmf(n, exact, a0) - binom.pmf(n, exact, a1)).sum() / 2
    assert tv >= 2 * accuracy - 1 - 1e-9


def test_perfect_guesses_are_capped_by_their_number():
    assert n_leaked(1, 0.5, 0.8) == math.inf
    assert n_leaked(1, 0.5, 0.8, models=200) == pytest.approx(n_leaked(1 - 1 / 400, 0.5, 0.8))
    assert n_leaked(0.9, 0.5, 0.8, models=200) == n_leaked(0.9, 0.5, 0.8)
    assert n_leaked_exactly(1, 0.5, 0.8) is None
    assert n_leaked(0.9, 0, 1) == 0
    for wrong in ((0.9, 0.5, 0.5), (0.9, 0.5, 1.2), (1.2, 0.5, 0.6)):
        with pytest.raises((AttackInputError, NumberError)):
            n_leaked(*wrong)
        with pytest.raises((AttackInputError, NumberError)):
            n_leaked_exactly(*wrong)


# Power.


def power(victims, rates, bound, wanted):
    chances = [binom.pmf(np.arange(victims + 1), victims, p) for p in rates]
    total = np.convolve(*chances)
    verdicts = [
        verdict(advantage_interval(Guesses((k // 2, k - k // 2), (victims, victims))), bound)
        for k in range(2 * victims + 1)
    ]
    return total[[v == wanted for v in verdicts]].sum()


@pytest.mark.parametrize(
    ("advantage", "bound", "wanted"), [(0.5, 0.2, "exceeds"), (0.9, 0.6, "exceeds"), (0.1, 0.4, "within")]
)
def test_victims_needed_is_the_smallest_number(advantage, bound, wanted):
    victims = victims_needed(advantage, bound)
    rate = (1 + advantage) / 2
    assert power(victims, (rate, rate), bound, wanted) >= 0.8
    assert power(victims - 1, (rate, rate), bound, wanted) < 0.8
    # Lopsided chances of a right guess only help.
    assert power(victims, (rate - 0.05, rate + 0.05), bound, wanted) >= 0.8
    assert victims_needed(advantage, bound, power=0.95) > victims


def test_power_out_of_reach():
    with pytest.raises(AttackInputError, match="more than 1000"):
        victims_needed(0.101, 0.1, most=1000)
    with pytest.raises(AttackInputError, match="different"):
        victims_needed(0.1, 0.1)
