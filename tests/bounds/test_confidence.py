"""T9 (i): limits are valid and nearly tight, and the bound covers at its level."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbound.bounds import Channel, Composition, CompositionPair, Counts, certify_counts, worst_case_advantage
from fairbound.bounds.channel import total_variation
from fairbound.bounds.confidence import (
    largest_distance,
    lower_limits,
    parse_confidence,
    upper_advantage_balanced,
    upper_advantage_pure,
)
from fairbound.bounds.errors import NumberError
from fairbound.bounds.rational import decimal_above, decimal_below, float_above
from fairbound.testing import counts as tables
from fairbound.testing import simplex_points

F = Fraction


def exact_tail(k: int, n: int, p: Fraction) -> Fraction:
    return sum((comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1)), F(0))


@given(st.integers(1, 60), st.data(), st.fractions(F(1, 10**4), F(1, 4), max_denominator=10**4))
def test_limits_are_valid_and_nearly_tight(n, data, alpha):
    k = data.draw(st.integers(0, n))
    (limit,) = lower_limits([k], [n], alpha)
    if k == 0:
        assert limit == 0
        return
    assert exact_tail(k, n, limit) <= alpha
    assert exact_tail(k, n, min(F(1), limit + F(1, 10**5))) > alpha


def test_published_limits():
    # Clopper-Pearson 95 %, 10 successes in 20 trials: (0.2720, 0.7280); 0 in 10: upper limit 0.3085.
    assert [round(float(v), 4) for v in lower_limits([10, 10], [20, 10], F(1, 40))] == [0.272, 0.6915]


@st.composite
def lower_vectors(draw, size):
    point = draw(simplex_points(size))
    shrink = draw(st.fractions(0, 1, max_denominator=10))
    return tuple(p * shrink for p in point)


def vertices(lower):
    rest = 1 - sum(lower)
    return [tuple(v + rest * (i == j) for j, v in enumerate(lower)) for i in range(len(lower))]


@given(st.integers(2, 5).flatmap(lambda z: st.tuples(lower_vectors(z), lower_vectors(z))))
def test_largest_distance_is_that_of_the_best_vertices(limits):
    best = max(total_variation(p, q) for p, q in product(vertices(limits[0]), vertices(limits[1])))
    assert largest_distance(*limits) == best


@st.composite
def marginal_limits(draw):
    size = draw(st.integers(2, 4))
    deltas = tuple(draw(st.fractions(0, 1, max_denominator=9)) for _ in range(size))
    return draw(lower_vectors(size)), draw(lower_vectors(size)), deltas


def pure_pair(p, q):
    zero, labels = (F(0),) * len(p), tuple(range(len(p)))
    return CompositionPair(Composition(("a", "b"), labels, (p, zero)), Composition(("a", "b"), labels, (zero, q)))


@given(marginal_limits())
def test_estimated_marginals_are_covered_at_their_worst(instance):
    lower_0, lower_1, delta = instance
    worst = max(
        worst_case_advantage(pure_pair(p, q), delta).value for p, q in product(vertices(lower_0), vertices(lower_1))
    )
    assert upper_advantage_pure(lower_0, lower_1, delta) == worst


@given(marginal_limits(), st.data())
def test_no_marginals_within_the_limits_exceed_the_bound(instance, data):
    lower_0, lower_1, delta = instance
    inside = []
    for lower in (lower_0, lower_1):
        weights = data.draw(simplex_points(len(lower)))
        inside.append(tuple(v + w * (1 - sum(lower)) for v, w in zip(lower, weights, strict=True)))
    pair = pure_pair(*inside)
    assert worst_case_advantage(pair, delta).value <= upper_advantage_pure(lower_0, lower_1, delta)
    common = [(p + q) / 2 for p, q in zip(*inside, strict=True)]
    balanced = sum(c * d for c, d in zip(common, delta, strict=True))
    assert balanced <= upper_advantage_balanced(lower_0, lower_1, delta)


@given(tables(), st.sampled_from(["T1", "T1b"]), st.booleans())
def test_upper_bounds_rise_with_confidence_and_exceed_the_point(table, theorem, balanced):
    options = {"theorem": theorem, "label_balanced": balanced, "method": "clopper-pearson"}
    low = certify_counts(table, confidence="0.9", **options)
    high = certify_counts(table, confidence="0.999", **options)
    assert low.point == high.point < low.upper <= high.upper <= 1 or low.upper == high.upper == 1


@pytest.mark.parametrize("bad", [0, 0.4, 1, 1.5, -1, "many", float("nan")])
def test_impossible_levels_are_refused(bad):
    with pytest.raises(NumberError):
        parse_confidence(bad)


def test_levels_are_read_exactly():
    assert parse_confidence(np.float32(0.95)) == parse_confidence("9.5e-1") == F(19, 20)
    assert parse_confidence(0.95) == parse_confidence("0.95") == parse_confidence(F(19, 20)) == F(19, 20)


# Adversarial settings: rates at and near 0, 1/2 and 1, tiny and unequal cells, equal and opposite groups.
SETTINGS = [
    ((0.0, 0.0), (0.0, 0.0), (0.5, 0.5), (50, 50)),
    ((0.01, 0.01), (0.99, 0.99), (0.5, 0.5), (200, 200)),
    ((0.5, 0.5), (0.5, 0.5), (0.5, 0.5), (30, 30)),
    ((0.05, 0.01), (0.9, 0.95), (0.1, 0.3), (500, 50)),
    ((0.2, 0.2), (0.6, 0.6), (0.02, 0.02), (400, 400)),
    ((1.0, 0.0), (0.5, 0.5), (0.5, 0.4), (40, 400)),
    ((0.5, 0.45), (0.5, 0.55), (0.9, 0.1), (100, 1000)),
    ((0.002, 0.0), (0.998, 1.0), (0.3, 0.31), (2000, 300)),
]
RUNS = 400


def simulate(setting, generator, *, label_balanced, confidence="0.95", runs=RUNS):
    """Share of simulated logs whose bound lies below the population's value."""
    rates_0, rates_1, base_rates, sizes = setting
    exact_rates = tuple(tuple((1 - F(r), F(r)) for r in (F(str(rates_0[a])), F(str(rates_1[a])))) for a in range(2))
    channel = Channel(("a", "b"), (0, 1), (0, 1), exact_rates)
    pair = pure_pair(*[(1 - F(str(b)), F(str(b))) for b in base_rates])
    pair = pair.label_balanced() if label_balanced else pair
    truth = worst_case_advantage(pair, channel.disparities().per_label).value
    exceeded = 0
    for _ in range(runs):
        cells = {}
        for a, (n, base) in enumerate(zip(sizes, base_rates, strict=True)):
            ones = int(generator.binomial(n, base))
            for y, m in ((0, n - ones), (1, ones)):
                fired = int(generator.binomial(m, (rates_0, rates_1)[y][a]))
                cells["ab"[a], y, 0], cells["ab"[a], y, 1] = m - fired, fired
        table = Counts.from_cells(cells, groups="ab", labels=(0, 1), outputs=(0, 1))
        result = certify_counts(
            table,
            label_balanced=label_balanced,
            confidence=confidence,
            on_missing="vacuous",
            method="clopper-pearson",
        )
        exceeded += truth > result.upper
    return exceeded / runs


@pytest.mark.slow
@pytest.mark.parametrize("label_balanced", [False, True])
@pytest.mark.parametrize("setting", SETTINGS)
def test_coverage_at_adversarial_rates(setting, label_balanced):
    missed = simulate(setting, np.random.default_rng(7), label_balanced=label_balanced)
    assert missed <= 0.05 + 3 * sqrt(0.05 * 0.95 / RUNS)


@pytest.mark.slow
def test_the_coverage_test_notices_limits_that_are_not_simultaneous(monkeypatch):
    """The same simulation with the error not split: the shortfall must show."""
    from fairbound.bounds import confidence

    def careless(successes, trials, alpha):
        return lower_limits(successes, trials, min(F(49, 100), alpha * 40))

    monkeypatch.setattr(confidence, "lower_limits", careless)
    setting = ((0.5, 0.0), (0.5, 0.0), (0.5, 0.5), (400, 400))
    missed = simulate(setting, np.random.default_rng(7), label_balanced=True, confidence="0.9")
    assert missed > 0.1 + 3 * sqrt(0.09 / RUNS)


def test_every_rate_and_every_marginal_takes_its_share_of_the_error():
    table = Counts(("a", "b", "c"), (0, 1), (0, 1), (((7, 1), (6, 9)), ((5, 2), (1, 2)), ((6, 2), (1, 2))))
    for options in ({}, {"pure": ("a", "b")}):
        assert certify_counts(table, method="clopper-pearson", **options).limits.alpha_each == F(1, 20) / (
            3 * 2 * 2 + 3 * 2
        )
    given = certify_counts(table, pair=CompositionPair.pure(table, "a", "b"), method="clopper-pearson")
    assert given.limits.alpha_each == F(1, 20) / (3 * 2 * 2)


@given(st.fractions(0, 1), st.integers(1, 12))
def test_numbers_are_shown_rounded_to_the_safe_side(value, places):
    assert value <= F(decimal_above(value, places)) < value + F(1, 10**places)
    assert F(decimal_below(value)) <= value
    assert F(float_above(value)) >= value
    assert float_above(value) == float(value) or F(math.nextafter(float_above(value), 0)) < value


def test_results_show_their_upper_bounds_rounded_up():
    table = Counts(("a", "b"), (0, 1), (0, 1), (((700, 100), (60, 90)), ((500, 120), (100, 250))))
    for options in ({}, {"label_balanced": True}, {"confidence": "0.9"}, {"confidence": "0.99"}):
        result = certify_counts(table, **options)
        data = result.to_dict()
        assert data["advantage"]["upper"] == float_above(result.upper)
        assert F(data["advantage"]["upper"]) >= result.upper
        assert F(data["adversary_accuracy"]) >= (1 + result.upper) / 2
        assert F(data["equalized_odds"]["upper"]) >= result.upper_disparities.equalized_odds
        assert data["exact"]["advantage"]["upper"] == str(result.upper)
        assert F(str(result).split("at most ")[1].split(" ")[0]) >= result.upper
        assert repr(result) == f"<{result}>"


@settings(max_examples=20)
@given(tables(max_groups=2, max_labels=2))
def test_a_given_composition_needs_fewer_limits(table):
    pair = CompositionPair.pure(table, "a", "b")
    given = certify_counts(table, pair=pair, method="clopper-pearson")
    assert given.upper <= certify_counts(table, method="clopper-pearson").upper
