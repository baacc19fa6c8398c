"""T9 (iv): limits hold at all times at once, and the monitor is not fooled by looking often."""

from __future__ import annotations

import json
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbound.bounds import sequential
from fairbound.bounds.confidence import lower_limits, upper_advantage_balanced, upper_advantage_pure
from fairbound.bounds.errors import AlphabetError, CountOverflowError, NumberError
from fairbound.bounds.sequential import (
    MAX_STARTS,
    Monitor,
    MonitorPlan,
    betting_sequence,
    confidence_sequence,
    difference_sequence,
    lower_advantage_balanced,
    lower_advantage_pure,
)
from fairbound.testing import simplex_points

F = Fraction
ALPHA = F(1, 20)


def log_mixture_ratio(k, n, p):
    """`log M_n(p)` as a ball of 200 bits; p a Fraction strictly inside (0, 1)."""
    ctx.prec = 200
    half, exact = arb(1) / 2, arb(p.numerator) / p.denominator
    log_beta = (arb(k) + half).lgamma() + (arb(n - k) + half).lgamma() - arb(n + 1).lgamma() - arb.pi().log()
    return log_beta - k * exact.log() - (n - k) * (1 - exact).log()


def log_inverse(alpha):
    return (arb(alpha.denominator) / alpha.numerator).log()


rows = st.one_of(st.integers(1, 50), st.integers(51, 10**5), st.integers(10**6, 10**9))


@given(rows, st.floats(0, 1), st.fractions(F(1, 10**8), F(1, 2), max_denominator=10**9))
def test_the_mixture_has_reached_its_level_outside_the_limits(n, share, alpha):
    k = round(share * n)
    ((lower, upper),) = confidence_sequence([k], [n], alpha)
    assert 0 <= lower <= F(k, n) <= upper <= 1
    for limit in (lower, upper):
        if 0 < limit < 1:
            assert log_mixture_ratio(k, n, limit) >= log_inverse(alpha)
    # Nearly tight: a two-hundredth of the width further in, the mixture is below the level.
    width = upper - lower
    for inside in (lower + width / 200, upper - width / 200):
        assert log_mixture_ratio(k, n, inside) < log_inverse(alpha)


def least_ratio(k_a, n_a, k_b, n_b, difference):
    """Smallest `log M(p + difference) + log M(p)` over p, within 1e-9 (the function is convex: golden section)."""
    low, high = max(F(0), -difference), min(F(1), 1 - difference)

    def value(p):
        return float((log_mixture_ratio(k_a, n_a, p + difference) + log_mixture_ratio(k_b, n_b, p)).mid())

    inner = [low + (high - low) * i / 10**6 for i in (1, 10**6 - 1)]
    low, high = inner
    for _ in range(70):
        left, right = low + (high - low) * F(382, 1000), low + (high - low) * F(618, 1000)
        left, right = (F(round(x * 10**25), 10**25) for x in (left, right))
        low, high = (low, right) if value(left) <= value(right) else (left, high)
    return value((low + high) / 2)


@settings(max_examples=25)
@given(rows, rows, st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.sampled_from([F(1, 20), F(1, 10**5)]))
def test_no_two_rates_of_the_joint_set_differ_by_more_than_the_limits(n_a, n_b, share_a, share_b, alpha):
    counts = (round(share_a * n_a), n_a, round(share_b * n_b), n_b)
    ((lower, upper),) = difference_sequence(*([count] for count in counts), alpha)
    assert lower <= F(counts[0], n_a) - F(counts[2], n_b) <= upper
    needed = float(log_inverse(alpha).mid())
    for limit in (lower, upper):
        if abs(limit) < 1:
            assert least_ratio(*counts, limit) >= needed
    if min(n_a, n_b) > 50 and abs(lower) < 1:
        assert least_ratio(*counts, lower + (upper - lower) / 500) < needed


def test_a_limit_at_the_level_of_a_single_look_is_caught(monkeypatch):
    """A log-likelihood ratio of 1.92 is Wilks' 95 % interval for one look: the check above must refuse it."""
    monkeypatch.setattr(sequential, "betaln", lambda a, b: -entropy(a, b))
    monkeypatch.setattr(sequential, "_log_inverse", lambda error: 1.92)
    ((lower, _),) = confidence_sequence([400], [1000], ALPHA)
    assert abs(float(lower) - 0.37) < 0.001
    assert not log_mixture_ratio(400, 1000, lower) >= log_inverse(ALPHA)


def entropy(a, b):
    """Minus the largest log-likelihood of a - 1/2 successes and b - 1/2 misses."""
    k, misses = np.asarray(a) - 0.5, np.asarray(b) - 0.5
    n = np.maximum(k + misses, 1e-9)
    return -(k * np.log(np.maximum(k, 1e-9) / n) + misses * np.log(np.maximum(misses, 1e-9) / n))


def test_differences_are_narrower_than_two_separate_limits():
    (joint,) = difference_sequence([300], [1000], [200], [1000], ALPHA)
    (a,), (b,) = (confidence_sequence([k], [1000], ALPHA / 2) for k in (300, 200))
    assert a[0] - b[1] < joint[0] < joint[1] < a[1] - b[0]


def test_published_mixture():
    # M_2(1/2) after one success in two trials is B(3/2, 3/2) / (B(1/2, 1/2) / 4) = 1/2; and M is a martingale.
    assert abs(float(log_mixture_ratio(1, 2, F(1, 2)).exp().mid()) - 0.5) < 1e-15
    for n in (1, 2, 7, 30):
        for k in range(n + 1):
            p = F(3, 10)
            mean = 0.3 * log_mixture_ratio(k + 1, n + 1, p).exp() + 0.7 * log_mixture_ratio(k, n + 1, p).exp()
            assert abs(float((mean / log_mixture_ratio(k, n, p).exp()).mid()) - 1) < 1e-12


@pytest.mark.parametrize("rate", [0.0, 1.0, 0.001, 0.3, 0.5, 0.97])
def test_ville_no_rate_is_ever_outside_more_often_than_alpha(rate):
    generator, runs, n, alpha = np.random.default_rng(5), 400, 2000, F(1, 10)
    looks = np.unique(np.geomspace(1, n, 150).astype(int))
    outcomes = generator.random((runs, n)) < rate
    counts = outcomes.cumsum(axis=1)[:, looks - 1].ravel().tolist()
    limits = confidence_sequence(counts, np.tile(looks, runs).tolist(), alpha)
    outside = np.array([not lower <= F(str(rate)) <= upper for lower, upper in limits]).reshape(runs, -1)
    assert outside.any(axis=1).mean() <= 0.1 + 3 * sqrt(0.09 / runs)


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.5])
def test_betting_limits_cover_at_all_looks(rate):
    generator, runs, looks = np.random.default_rng(6), 100, [1, 3, 10, 30, 100, 300]
    missed = 0
    for _ in range(runs):
        limits = betting_sequence((generator.random(300) < rate).astype(int), F(1, 10), looks)
        assert all(0 <= lower <= upper <= 1 for lower, upper in limits)
        missed += not all(lower <= F(str(rate)) <= upper for lower, upper in limits)
    assert missed / runs <= 0.1 + 3 * sqrt(0.09 / runs)


def test_betting_limits_are_those_of_the_definition():
    x = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0, 1] * 12)
    ((lower, upper),) = betting_sequence(x, ALPHA, [len(x)])

    def capital(outcomes, m):
        total, mean, variance = 1.0, 0.5, 0.25
        ones, squares = 0.5, 0.25
        for t, outcome in enumerate(outcomes, 1):
            stake = min(sqrt(2 * np.log(40) / (variance * t * np.log(t + 1))), 0.5 / m)
            total *= 1 + stake * (outcome - m)
            ones += outcome
            mean = ones / (t + 1)
            squares += (outcome - mean) ** 2
            variance = squares / (t + 1)
        return total

    assert capital(x, float(lower)) >= 40 > capital(x, float(lower) + 1e-6)
    assert capital(1 - x, 1 - float(upper)) >= 40 > capital(1 - x, 1 - float(upper) + 1e-6)


@st.composite
def marginal_limits(draw):
    """Two pmfs, limits around them, and disparities."""
    size = draw(st.integers(2, 4))
    share = st.fractions(0, 1, max_denominator=6)
    instance = []
    for _ in range(2):
        pmf = draw(simplex_points(size))
        instance += [pmf, tuple(p * draw(share) for p in pmf), tuple(p + (1 - p) * draw(share) for p in pmf)]
    return instance, tuple(draw(share) for _ in range(size))


def pure_value(p, q, disparity):
    return 1 - sum(min(x, y) * (1 - d) for x, y, d in zip(p, q, disparity, strict=True))


def balanced_value(p, q, disparity):
    return sum((x + y) / 2 * d for x, y, d in zip(p, q, disparity, strict=True))


@given(marginal_limits())
def test_no_marginals_within_the_limits_fall_below_the_bound(drawn):
    (p, low_p, high_p, q, low_q, high_q), disparity = drawn
    limits = (low_p, high_p, low_q, high_q, disparity)
    assert lower_advantage_pure(*limits) <= pure_value(p, q, disparity)
    assert lower_advantage_balanced(*limits) <= balanced_value(p, q, disparity)
    assert lower_advantage_pure(p, p, q, q, disparity) == pure_value(p, q, disparity)
    assert lower_advantage_balanced(p, p, q, q, disparity) == balanced_value(p, q, disparity)
    assert upper_advantage_pure(p, q, disparity) == pure_value(p, q, disparity)
    assert upper_advantage_balanced(p, q, disparity) == balanced_value(p, q, disparity)


@settings(max_examples=30)
@given(marginal_limits())
def test_the_least_values_are_attained(drawn):
    """Against linear programmes over both marginals: the bound is the minimum, not only below it."""
    from scipy.optimize import linprog

    (_, low_p, high_p, _, low_q, high_q), disparity = drawn
    size = len(disparity)
    eye, zero, ones = np.eye(size), np.zeros((size, size)), np.ones(size)
    # Variables p, q, t with t <= p and t <= q.
    programme = linprog(
        np.concatenate([0 * ones, 0 * ones, [float(d - 1) for d in disparity]]),
        A_ub=np.block([[-eye, zero, eye], [zero, -eye, eye]]),
        b_ub=np.zeros(2 * size),
        A_eq=np.stack([np.concatenate([ones, 0 * ones, 0 * ones]), np.concatenate([0 * ones, ones, 0 * ones])]),
        b_eq=[1, 1],
        bounds=[(float(a), float(b)) for a, b in zip(low_p + low_q, high_p + high_q, strict=True)] + [(0, 1)] * size,
    )
    limits = (low_p, high_p, low_q, high_q, disparity)
    assert abs(float(lower_advantage_pure(*limits)) - 1 - programme.fun) < 1e-7
    cost = np.array([float(d) / 2 for d in disparity] * 2)
    programme = linprog(
        cost,
        A_eq=np.stack([np.concatenate([ones, 0 * ones]), np.concatenate([0 * ones, ones])]),
        b_eq=[1, 1],
        bounds=[(float(a), float(b)) for a, b in zip(low_p + low_q, high_p + high_q, strict=True)],
    )
    assert abs(float(lower_advantage_balanced(*limits)) - programme.fun) < 1e-7


def stream(generator, n, rates, base, *, share=0.5):
    """Codes of n rows of two groups, two labels, two outputs; `rates[a][y]` is the chance of output 1."""
    a = (generator.random(n) < share).astype(int)
    y = (generator.random(n) < np.array(base)[a]).astype(int)
    z = (generator.random(n) < np.array(rates)[a, y]).astype(int)
    return 4 * a + 2 * y + z


FAIR = [[0.1, 0.6], [0.15, 0.65]]
UNFAIR = [[0.1, 0.6], [0.3, 0.85]]


def watch(codes, **options):
    monitor = Monitor(MonitorPlan(2, 2, 2, **{"max_advantage": F(1, 10), **options}))
    monitor.update(codes)
    return monitor


def test_a_stream_that_turns_unfair_is_noticed_soon():
    generator = np.random.default_rng(1)
    before, after = stream(generator, 50_000, FAIR, (0.3, 0.3)), stream(generator, 20_000, UNFAIR, (0.3, 0.3))
    assert watch(before).alarm is None
    monitor = watch(np.concatenate([before, after]))
    alarm = monitor.alarm
    # The value rises from 0.05 to 0.215; about 2,500 rows tell.
    assert 50_000 < alarm.row <= 55_000
    assert (alarm.since, alarm.pair) == (alarm.start * 2000, (0, 1))
    assert alarm.lower > F(1, 10)
    assert monitor.rows == alarm.row
    assert monitor.update(after) == alarm
    assert monitor.rows == alarm.row
    # Without restarts the fair past hides the change for far longer.
    cumulative = watch(np.concatenate([before, after]), window=100_000).alarm
    assert cumulative is None or cumulative.row > alarm.row + 5000


def test_no_shift_of_labels_alone_is_unfair_when_balanced():
    codes = stream(np.random.default_rng(2), 40_000, [[0.1, 0.6], [0.1, 0.6]], (0.2, 0.5))
    assert watch(codes, label_balanced=True).alarm is None
    assert watch(codes).alarm.lower > F(1, 10)


@pytest.mark.parametrize("label_balanced", [False, True])
def test_streams_at_the_limit_do_not_alarm(label_balanced):
    generator = np.random.default_rng(3)
    # The value is 1 - 0.2 * 0.9 - 0.7 * 0.9 (raw), and 0.1 (balanced).
    rates, base = [[0.1, 0.6], [0.2, 0.7]], (0.2, 0.3)
    limit = F(1, 10) if label_balanced else F(19, 100)
    for _ in range(20):
        codes = stream(generator, 30_000, rates, base)
        assert watch(codes, max_advantage=limit, label_balanced=label_balanced).alarm is None


# One group's rate is 0 and every label is 1, so that T1's value is the other group's rate: the hardest null.
HARDEST = {"rates": [[0.0, 0.0], [0.0, 0.5]], "base": (1.0, 1.0)}
RUNS, ERROR = 60, 0.25


def alarms():
    generator = np.random.default_rng(4)
    options = {"max_advantage": F(1, 2), "window": 10_000, "confidence": 1 - F(ERROR)}
    streams = (stream(generator, 100_000, **HARDEST) for _ in range(RUNS))
    return sum(watch(codes, **options).alarm is not None for codes in streams) / RUNS


def fixed_sample_limits(self, counts, threshold):
    """`Monitor._parts` with limits for one look (Clopper-Pearson), the error split among all of them."""
    hits, cells, groups = self._tables(counts)
    plan, (successes, trials) = self.plan, self._oriented(hits, cells)
    number = plan.n_groups * plan.n_labels * plan.n_outputs + plan.n_groups * plan.n_labels

    def limits(k, n):
        flat = lower_limits(k.ravel().tolist(), n.ravel().tolist(), (1 - plan.confidence) / number)
        return np.array([float(v) for v in flat]).reshape(k.shape)

    totals = np.broadcast_to(groups, cells.shape)
    distances = np.maximum(limits(successes, trials).sum(axis=0).max(axis=0) - 1, 0)
    return distances, limits(cells, totals), 1 - limits(totals - cells, totals)


@pytest.mark.slow
def test_the_hardest_null_raises_few_alarms():
    assert alarms() <= ERROR


@pytest.mark.slow
def test_limits_for_one_look_alarm_far_too_often(monkeypatch):
    """Looking again and again with fixed-sample limits, although these are Bonferroni over all rates."""
    monkeypatch.setattr(Monitor, "_parts", fixed_sample_limits)
    assert alarms() > ERROR + 3 * sqrt(ERROR * (1 - ERROR) / RUNS)


def random_codes(generator, plan, n):
    return generator.choice(plan.cells, size=n, p=generator.dirichlet(np.full(plan.cells, 2.0)))


SHAPES = [(2, 2, 2), (3, 2, 2), (2, 3, 3), (2, 2, 5), (3, 3, 6), (2, 2, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("label_balanced", [False, True])
def test_limits_enclose_the_measured_and_the_true_value(shape, label_balanced):
    generator = np.random.default_rng(8)
    plan = MonitorPlan(*shape, max_advantage=F(1), window=1000, label_balanced=label_balanced)
    probabilities = generator.dirichlet(np.full(plan.cells, 2.0))
    table = probabilities.reshape(shape)
    rates, marginals = table / table.sum(axis=2, keepdims=True), table.sum(axis=2) / table.sum(axis=(1, 2))[:, None]
    distances = {(a, b): abs(rates[a] - rates[b]).sum(axis=1) / 2 for a, b in plan.pairs}
    disparity = np.max(list(distances.values()), axis=0)
    rule = balanced_value if label_balanced else pure_value
    truth = max(rule(marginals[a], marginals[b], distances[a, b]) for a, b in plan.pairs)
    monitor, width = Monitor(plan), []
    for size in (50, 1950, 4000, 60_000):
        monitor.update(generator.choice(plan.cells, size=size, p=probabilities))
        limits = monitor.limits()
        assert 0 <= limits.lower <= truth <= limits.upper <= 1
        assert float(limits.lower) - 1e-9 <= monitor._measured(monitor._counts[None])[0] <= float(limits.upper) + 1e-9
        for pair, lows, highs in zip(plan.pairs, limits.distances_lower, limits.distances_upper, strict=True):
            assert all(low <= d <= high for low, d, high in zip(lows, distances[pair], highs, strict=True))
        assert all(low <= d <= high for (low, high), d in zip(limits.disparities, disparity, strict=True))
        width.append(limits.upper - limits.lower)
    assert width[-1] < width[0]
    assert 0 <= monitor.limits(60).lower <= truth <= monitor.limits(60).upper <= 1


@settings(max_examples=20)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=6), st.integers(0, 2**31))
def test_a_resumed_watch_is_the_same_watch(cuts, seed):
    generator = np.random.default_rng(seed)
    codes = np.concatenate([stream(generator, 6000, FAIR, (0.3, 0.3)), stream(generator, 9000, UNFAIR, (0.3, 0.3))])
    plan = MonitorPlan(2, 2, 2, F(1, 10), window=500)
    whole = Monitor(plan)
    whole.update(codes)
    resumed, position = Monitor(plan), 0
    for cut in [*cuts, len(codes)]:
        resumed = Monitor.from_dict(plan, json.loads(json.dumps(resumed.to_dict())))
        resumed.update(codes[position : position + cut])
        position += cut
    resumed = Monitor.from_dict(plan, resumed.to_dict())
    assert resumed.alarm == whole.alarm
    assert resumed.to_dict() == whole.to_dict()
    assert resumed.limits() == whole.limits()


def test_what_is_kept_stays_small():
    plan = MonitorPlan(2, 2, 2, F(1), window=100)
    monitor = Monitor(plan)
    monitor.update(np.zeros(100_000, dtype=int))
    state = monitor.to_dict()
    assert [start["number"] for start in state["starts"]] == [0, *range(1001 - MAX_STARTS + 1, 1001)]
    assert plan.kept(99) == [0]
    assert plan.kept(250) == [0, 1, 2]


def test_all_errors_together_are_at_most_the_promised_one():
    plan = MonitorPlan(2, 2, 2, F(1, 10))
    assert sum(plan.error(start) for start in range(1000)) == ALPHA * (1 - F(1, 1001))
    # One set per label for the two groups' rates, and one per group for the two labels' shares.
    assert [MonitorPlan(*shape, F(1)).number for shape in SHAPES] == [4, 9, 15, 12, 63, 4]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("rows"),
        lambda state: state.update(rows=True),
        lambda state: state.update(rows=2**60),
        lambda state: state.update(counts=[1] * 7),
        lambda state: state.update(counts="many"),
        lambda state: state["counts"].__setitem__(0, state["counts"][0] + 1),
        lambda state: state["counts"].__setitem__(0, -1),
        lambda state: state["starts"].pop(),
        lambda state: state["starts"][1]["counts"].reverse(),
        lambda state: state["starts"][1].update(number=2),
        lambda state: state.update(starts={}),
        lambda state: state.update(starts=[1, 2]),
        lambda state: state.update(alarm=1),
        lambda state: state.update(alarm=True),
    ],
)
def test_a_state_that_cannot_be_is_refused(spoil):
    monitor = watch(stream(np.random.default_rng(9), 12_345, FAIR, (0.2, 0.3)))
    state = monitor.to_dict()
    assert Monitor.from_dict(monitor.plan, state).to_dict() == state
    spoil(state)
    with pytest.raises(NumberError, match="the state"):
        Monitor.from_dict(monitor.plan, state)
    with pytest.raises(NumberError, match="the state"):
        Monitor.from_dict(monitor.plan, None)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"n_groups": 1}, AlphabetError),
        ({"n_labels": 1}, AlphabetError),
        ({"n_groups": 1000}, AlphabetError),
        ({"max_advantage": F(3, 2)}, NumberError),
        ({"confidence": F(1)}, NumberError),
        ({"window": 250}, NumberError),
        ({"every": 0}, NumberError),
    ],
)
def test_impossible_plans_are_refused(options, error):
    with pytest.raises(error):
        MonitorPlan(**{"n_groups": 2, "n_labels": 2, "n_outputs": 2, "max_advantage": F(1, 10), **options})


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.uint64, list])
def test_codes_of_any_integer_kind_count_the_same(kind):
    codes = stream(np.random.default_rng(10), 1000, FAIR, (0.3, 0.3))
    typed = codes.tolist() if kind is list else codes.astype(kind)
    assert watch(typed).to_dict() == watch(codes).to_dict()


def test_bad_input_is_refused():
    monitor = watch([])
    for codes in ([8], [-1], [0.5], ["a"]):
        with pytest.raises(AlphabetError):
            monitor.update(codes)
    monitor.rows = 2**53
    with pytest.raises(CountOverflowError):
        monitor.update([0])
    with pytest.raises(NumberError):
        monitor.limits(3)
    for bad in ([5], [-1]):
        with pytest.raises(NumberError):
            confidence_sequence(bad, [4], ALPHA)
    for alpha in (F(0), F(1)):
        with pytest.raises(NumberError):
            difference_sequence([1], [2], [1], [2], alpha)
        with pytest.raises(NumberError):
            betting_sequence([0, 1], alpha, [1])
    with pytest.raises(NumberError):
        betting_sequence([0, 2], ALPHA, [1])
    with pytest.raises(NumberError):
        betting_sequence([0, 1], ALPHA, [3])
