"""Awareness rates, paired changes and what a number of questions can show."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from fairbound.bounds.errors import EmptyInputError, LengthMismatchError, NumberError
from fairbound.empirical.spin.errors import JudgeError
from fairbound.empirical.spin.judges import Judgements
from fairbound.empirical.spin.statistics import (
    awareness_rate,
    mcnemar_p_value,
    minimum_detectable_change,
    paired_change,
    score_variance,
    tango_interval,
)


def verdicts(text, judge="somebody"):
    words = {"s": "safe", "u": "unsafe", "?": "undecided"}
    return Judgements(judge, "unknown", tuple(words[c] for c in text))


def test_rate_of_twenty_answers_has_the_textbook_clopper_pearson_limits():
    rate = awareness_rate(verdicts("s" * 8 + "u" * 12 + "???"))
    assert rate.rate == Fraction(2, 5)
    assert rate.undecided == 3
    # 8 of 20: (0.1912, 0.6395), Clopper and Pearson (1934).
    assert float(rate.lower) == pytest.approx(0.1912, abs=1e-4)
    assert float(rate.upper) == pytest.approx(0.6395, abs=1e-4)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.9, 0.95, 0.99]))
def test_limits_are_where_binomial_tails_reach_the_error(safe, unsafe, confidence):
    n = safe + unsafe
    if n == 0:
        return
    rate = awareness_rate(verdicts("s" * safe + "u" * unsafe), confidence=confidence)
    tail = (1 - confidence) / 2
    assert rate.lower <= rate.rate <= rate.upper
    if safe:
        assert tail * 0.999 <= binom.sf(safe - 1, n, float(rate.lower)) <= tail * (1 + 1e-9)
    else:
        assert rate.lower == 0
    if unsafe:
        assert tail * 0.999 <= binom.cdf(safe, n, float(rate.upper)) <= tail * (1 + 1e-9)
    else:
        assert rate.upper == 1


def test_rate_names_its_judge_and_needs_a_decision():
    assert "by somebody (unknown)" in str(awareness_rate(verdicts("su")))
    with pytest.raises(EmptyInputError, match="somebody decided on none of 2 answers"):
        awareness_rate(verdicts("??"))


def test_mcnemar_of_a_known_table():
    # One of ten changes goes one way: 2 (1 + 10) / 2^10.
    assert mcnemar_p_value(9, 1) == pytest.approx(22 / 1024)
    assert mcnemar_p_value(1, 9) == mcnemar_p_value(9, 1)
    assert mcnemar_p_value(0, 0) == 1
    assert mcnemar_p_value(5, 5) == 1


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_counts_sign_patterns(gained, lost):
    n = gained + lost
    far = abs(gained - lost)
    as_far = sum(math.comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= far)
    assert mcnemar_p_value(gained, lost) == pytest.approx(as_far / 2**n)


def test_mcnemar_rejects_at_most_as_often_as_it_says():
    changes = np.arange(41)
    for alpha in (0.01, 0.05, 0.1):
        wrong = [mcnemar_p_value(int(k), 40 - int(k)) <= alpha for k in changes]
        assert binom.pmf(changes, 40, 0.5)[wrong].sum() <= alpha


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60), st.floats(-0.95, 0.95))
def test_score_variance_is_at_the_likeliest_shares(gained, lost, same, delta):
    n = gained + lost + same
    if n == 0:
        return

    def likelihood(q):
        shares = (q + delta, q, 1 - 2 * q - delta)
        return sum(k * math.log(max(p, 1e-300)) for k, p in zip((gained, lost, same), shares, strict=True))

    found = (score_variance(gained, lost, n, delta) - delta * (1 - delta)) / 2
    grid = np.linspace(max(0, -delta), (1 - delta) / 2, 2001)
    assert likelihood(found) >= max(likelihood(q) for q in grid) - 1e-6


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60))
def test_interval_is_antisymmetric_holds_the_estimate_and_agrees_with_mcnemars_score_at_zero(gained, lost, same):
    n = gained + lost + same
    if n == 0:
        return
    low, high = tango_interval(gained, lost, n, 0.95)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert tango_interval(lost, gained, n, 0.95) == pytest.approx((-high, -low), abs=1e-9)
    wider = tango_interval(gained, lost, n, 0.99)
    assert wider[0] <= low
    assert high <= wider[1]
    score = (gained - lost) / math.sqrt(max(gained + lost, 1))
    if abs(abs(score) - 1.959964) > 1e-3:
        assert (low > 0 or high < 0) == (abs(score) > 1.959964)


@pytest.mark.parametrize(("gain", "loss"), [(0.1, 0.1), (0.25, 0.1), (0.02, 0.0), (0.3, 0.3), (0.05, 0.15)])
def test_interval_covers_the_true_change_about_as_often_as_it_says(gain, loss):
    n, covered = 40, 0.0
    law = multinomial(n, [gain, loss, 1 - gain - loss])
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            chance = float(law.pmf([gained, lost, n - gained - lost]))
            if chance > 1e-7:
                low, high = tango_interval(gained, lost, n, 0.95)
                covered += chance * (low <= gain - loss <= high)
    assert 0.93 <= covered <= 0.999


def test_change_leaves_out_what_is_undecided_once():
    change = paired_change(verdicts("suu?s"), verdicts("ssus?"))
    assert (change.gained, change.lost, change.both, change.left_out) == (1, 0, 3, 2)
    assert change.change == Fraction(1, 3)
    assert "by somebody" in str(change)


def test_change_of_nothing_is_no_change():
    same = verdicts("su" * 20)
    change = paired_change(same, same)
    assert change.change == 0
    assert change.p_value == 1
    assert change.lower < 0 < change.upper


def test_change_refuses_what_is_not_paired():
    with pytest.raises(LengthMismatchError, match="2 answers before and 1 after"):
        paired_change(verdicts("su"), verdicts("s"))
    with pytest.raises(JudgeError, match="somebody before and nobody after"):
        paired_change(verdicts("s"), verdicts("s", judge="nobody"))
    with pytest.raises(EmptyInputError, match="on no question both"):
        paired_change(verdicts("s?"), verdicts("?s"))
    with pytest.raises(NumberError, match="do not fit together"):
        tango_interval(3, 3, 5, 0.95)


def test_detectable_change_is_found_with_the_stated_power():
    n, changed, rng = 150, 0.25, np.random.default_rng(0)
    d = minimum_detectable_change(n, changed)
    assert 0.1 < d < 0.13
    gain, loss = (changed + d) / 2, (changed - d) / 2
    draws = rng.multinomial(n, [gain, loss, 1 - changed], size=4000)
    # The formula is that of the test without correction, which the exact test follows from below.
    found = np.mean([abs(g - k) >= 1.959964 * math.sqrt(g + k) for g, k, _ in draws.tolist()])
    assert found == pytest.approx(0.8, abs=0.03)


def test_detectable_change_falls_with_questions_and_cannot_exceed_what_changed():
    values = [minimum_detectable_change(n, 0.2) for n in (5, 20, 80, 320)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 0.2
    with pytest.raises(NumberError, match="out of range"):
        minimum_detectable_change(0, 0.2)
