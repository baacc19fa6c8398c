"""T9 (ii), (iii): prices, duality and radii against independent computations; the methods cover at their level."""

from __future__ import annotations

import copy
import itertools
import json
import sys
from fractions import Fraction
from functools import cache
from math import comb, exp, inf, log, sqrt

import cvxpy as cp
import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaincinv, gammaincc
from scipy.stats import binom

from fairbound.bounds import (
    Channel,
    Composition,
    CompositionPair,
    Counts,
    certify,
    certify_counts,
    check,
    worst_case_advantage,
)
from fairbound.bounds.check import CheckError
from fairbound.bounds.deviances import (
    Prices,
    World,
    _marginal_touches,
    bound_worlds,
    point_text,
    radius,
    touching,
)
from fairbound.bounds.errors import AlphabetError

F = Fraction
METHODS = ("fisher", "relative-entropy", "smallest")
TABLE = Counts(("a", "b"), (0, 1), (0, 1), (((70, 10), (6, 19)), ((50, 12), (10, 35))))
THREE = Counts(("a", "b", "c"), (0, 1), (0, 1), (((70, 10), (6, 19)), ((50, 12), (10, 35)), ((30, 12), (0, 9))))
WIDE = Counts(("a", "b"), (0, 1, 2), (0, 1), (((70, 10), (6, 19), (20, 20)), ((50, 12), (10, 35), (33, 9))))
OUTPUTS = Counts(("a", "b"), (0, 1), (0, 1, 2), (((40, 10, 20), (6, 19, 0)), ((20, 12, 31), (10, 25, 7))))


def seven_outputs():
    rows = ((30, 9, 0, 4, 12, 20, 8), (11, 2, 6, 17, 0, 5, 9), (22, 18, 3, 3, 9, 25, 1), (3, 9, 11, 20, 4, 5, 6))
    return Counts(("a", "b"), (0, 1), tuple(range(7)), ((rows[0], rows[1]), (rows[2], rows[3])))


def pair_of(table):
    """Two given worlds with all groups and labels in both."""
    masses = [
        [[F(i + j + 1) for j in range(len(table.labels))] for i in range(len(table.groups))],
        [[F(3 * (len(table.groups) - i) + j) for j in range(len(table.labels))] for i in range(len(table.groups))],
    ]
    worlds = []
    for mass in masses:
        whole = sum(map(sum, mass))
        worlds.append(
            Composition(table.groups, table.labels, tuple(tuple(value / whole for value in row) for row in mass))
        )
    return CompositionPair(*worlds)


# Primitives.


def ball(value):
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def exact_deviance(k, n, x):
    """-ln P(X <= k) and its derivative, enclosed; the smaller tail is the one that is computed."""
    x = ball(x)
    mass = (
        flint.arb(n + 1).lgamma() - flint.arb(k + 1).lgamma() - flint.arb(n - k + 1).lgamma()
        + k * x.log() + (n - k) * (1 - x).log()
    ).exp()  # fmt: skip
    if x * n > k:
        below = (1 - x).beta_lower(n - k, k + 1, regularized=True)
        deviance = -below.log()
    else:
        above = x.beta_lower(k + 1, n - k, regularized=True)
        below, deviance = 1 - above, -(-above).log1p()
    return deviance, (n - k) / (1 - x) * mass / below


@st.composite
def tails(draw):
    n = draw(st.one_of(st.integers(1, 60), st.integers(1, 10**7)))
    k = draw(st.one_of(st.integers(0, n - 1), st.integers(0, min(n - 1, 5)), st.integers(max(0, n - 5), n - 1)))
    near = k / n + draw(st.floats(-8, 8)) * sqrt(max(k * (n - k), 1) / n**3)
    power = 10.0 ** draw(st.floats(-15, 0))
    x = draw(st.sampled_from([near, power, 1 - power]))
    return k, n, F(min(max(round(x * check.POINT_GRID), 1), check.POINT_GRID - 1), check.POINT_GRID)


@settings(max_examples=150)
@given(tails())
def test_deviances_are_enclosed(instance):
    flint.ctx.prec = 500
    value, low, high = check.binomial_deviance(*instance)
    deviance, slope = exact_deviance(*instance)
    assert not deviance < ball(value)
    assert not slope < ball(low)
    assert not slope > ball(high)
    if deviance.rel_accuracy_bits() > 60 and slope.rel_accuracy_bits() > 60:
        assert ball(value) >= deviance - flint.arb("1e-8")
        assert float(high) <= float(low) * (1 + 1e-8) + 1e-190
    entropy, *_ = check.entropy_deviance(*instance)
    assert not deviance < ball(entropy)


@given(tails(), st.fractions(0, 30), st.fractions(0, 1), st.booleans())
def test_tangents_lie_below_the_deviance(instance, ratio, rate, exact):
    """`ratio u - D(u)` at any rate is at most the conjugate's bound from any tangent."""
    k, n, x = instance
    bound = check.conjugate_above(ratio, k, n, x, tails=exact)
    share = k / n
    u = float(rate)
    if u in (0.0, 1.0):
        deviance = 0.0 if u == 0 else inf
    elif exact:
        deviance = -float(binom.logcdf(k, n, u))
    else:
        deviance = 0.0 if u <= share else (n - k) * log((1 - share) / (1 - u)) - (k * log(u / share) if k else 0)
    assert float(ratio) * u - deviance <= float(bound) + 1e-6 * (1 + abs(deviance) if deviance < inf else 0)


@pytest.mark.parametrize("exact", [True, False])
def test_touching_points_are_the_best(exact):
    grid = np.concatenate([np.geomspace(1e-9, 0.01, 4000), np.linspace(0.01, 1 - 1e-9, 40001)])
    for k, n, ratio in itertools.product((0, 3, 30, 39), (40,), (0.3, 5.0, 39.0, 60.0)):
        share = k / n
        with np.errstate(divide="ignore", invalid="ignore"):
            price = (n - k) * np.log((1 - share) / (1 - grid)) + (k * np.log(share / grid) if k else 0.0)
        price = -binom.logcdf(k, n, grid) if exact else np.where(grid > share, price, 0.0)
        best = (ratio * grid - price).max()
        x, _ = touching(np.array([float(k)]), np.array([float(n)]), np.array([ratio]), tails=exact)
        bound = check.conjugate_above(F(ratio), k, n, F(point_text(float(x[0]))), tails=exact)
        assert best - 1e-9 <= float(bound) <= best + 1e-3 * ratio


# A model that nearly always shows one of few outputs: the best event has all rows of a group, or none.
CERTAIN = Counts(
    ("a", "b"), (0, 1), (0, 1, 2, 3), (((740, 74, 0, 0), (84, 0, 1, 129)), ((735, 8, 15, 171), (0, 35, 0, 511)))
)


@pytest.mark.parametrize("table", [OUTPUTS, CERTAIN], ids=["spread", "certain"])
def test_few_and_many_outputs_are_priced_alike(table):
    """The tangent form against all events one by one: never smaller than what randomised events give, and close."""
    ratios = [np.array([0.5, 3.0, 12.0, 20.0, 40.0])] * 2
    few, many = (
        [
            [float(knot.value) for knot in label]
            for label in Prices(table, [(0, 1)], by_event=by_event, tails=False).knots(ratios)
        ]
        for by_event in (True, False)
    )
    assert np.all(np.array(many) >= np.array(few) - 1e-9)
    assert np.allclose(many, few, rtol=0.02, atol=2e-3)


# Radii.


@given(st.integers(1, 300), st.fractions(F(1, 10**9), F(1, 2)))
def test_radii_are_quantiles_and_smaller_ones_are_refused(terms, alpha):
    for exact, holds in ((True, check.gamma_radius_holds), (False, check.chernoff_radius_holds)):
        t = radius(terms, alpha, exact=exact)
        assert holds(t, terms, alpha)
        assert not holds(t - F(1, 10**6), terms, alpha)
        assert not holds(-t, terms, alpha)
        chance = gammaincc(terms, float(t)) if exact else exp(-t + terms) * (float(t) / terms) ** terms
        assert chance == pytest.approx(float(alpha), rel=1e-6)
    assert radius(terms, alpha, exact=True) < radius(terms, alpha, exact=False)


def test_radii_against_arb():
    flint.ctx.prec = 200
    for terms, alpha in itertools.product((1, 2, 6, 40), (F(1, 20), F(1, 10**6), F(1, 10**40))):
        t = radius(terms, alpha, exact=True)
        assert ball(t).gamma_upper(terms, regularized=1) <= ball(alpha)
        t = radius(terms, alpha, exact=False)
        assert (terms - ball(t)).exp() * (ball(t) / terms) ** terms <= ball(alpha)


@pytest.mark.parametrize("t", [F(-1), F(-500), -F(10**100)])
def test_no_negative_radius_holds(t):
    for terms in (0, 1, 2, 3, 6):
        assert not check.gamma_radius_holds(t, terms, F(1, 20))
        assert not check.chernoff_radius_holds(t, terms, F(1, 20))


def test_huge_radii_are_checked_at_once():
    for t in (F(10**6), F(2_302_580), F(10**390)):
        assert check.gamma_radius_holds(t, 900, F(1, 10**4000))


# The whole bound against an optimum that is computed another way.


def solver_optimum(table, pair, t):
    """Largest `TV_Y + sum m_y delta_y` in the ball of relative entropy, by an interior-point solver, event by event."""
    cells = np.array(table.table, dtype=float)
    n_groups, n_labels, n_outputs = cells.shape
    rates = cp.Variable((n_groups * n_labels, n_outputs), nonneg=True)
    counts = cells.reshape(-1, n_outputs)
    shares = counts / counts.sum(axis=1, keepdims=True)
    weight = cp.Parameter((n_groups * n_labels, n_outputs))
    spent = cp.sum(cp.multiply(counts.sum(axis=1, keepdims=True) @ np.ones((1, n_outputs)), cp.rel_entr(shares, rates)))
    problem = cp.Problem(cp.Maximize(cp.sum(cp.multiply(weight, rates))), [spent <= t, cp.sum(rates, axis=1) == 1])
    options = [
        (a, b, event) for a, b in itertools.combinations(range(n_groups), 2) for event in range(1, 2**n_outputs - 1)
    ]
    best = 0.0
    for chosen in itertools.product(options, repeat=n_labels):
        value = np.zeros((n_groups, n_labels, n_outputs))
        for y, (a, b, event) in enumerate(chosen):
            inside = np.array([event >> z & 1 for z in range(n_outputs)])
            value[a, y] += float(pair.moved[y]) * inside
            value[b, y] -= float(pair.moved[y]) * inside
        weight.value = value.reshape(-1, n_outputs)
        problem.solve(solver=cp.CLARABEL)
        best = max(best, problem.value)
    return float(pair.label_shift) + best


@pytest.mark.parametrize("table", [TABLE, THREE, WIDE, OUTPUTS], ids=["2x2x2", "3x2x2", "2x3x2", "2x2x3"])
def test_relative_entropy_against_an_interior_point_solver(table):
    pair = pair_of(table)
    result = certify_counts(table, pair=pair, method="relative-entropy")
    optimum = solver_optimum(table, pair, float(result.limits.radius))
    assert optimum - 1e-6 <= float(result.upper) <= optimum + 1e-5


def best_sum(first, second):
    """Largest `first(s) + second(t)` for s + t on the same grid of budgets."""
    steps = np.arange(len(first))
    table = np.where(steps[:, None] >= steps, second[np.maximum(steps[:, None] - steps, 0)] + first[steps], -inf)
    return table.max(axis=1)


def optimum_by_budgets(table, t, *, shift=None, moved=None, steps=240):
    """The same for the binomial tails: what each deviance's share of the radius buys, and the best split of it."""
    budgets = np.linspace(0, t, steps + 1)
    whole = np.zeros(steps + 1)
    for y in range(len(table.labels)):
        cells = [plane[y] for plane in table.table]

        def above(k, n):
            return np.ones(steps + 1) if k == n else 1 - betaincinv(n - k, k + 1, np.exp(-budgets))

        disparity = np.zeros(steps + 1)
        for a, b in itertools.permutations(range(len(cells)), 2):
            for event in range(1, 2 ** len(table.outputs) - 1):
                k, m = (sum(c for z, c in enumerate(cells[g]) if event >> z & 1) for g in (a, b))
                n, rows = sum(cells[a]), sum(cells[b])
                disparity = np.maximum(disparity, best_sum(above(k, n), above(rows - m, rows)) - 1)
        if moved is not None:
            whole = best_sum(whole, float(moved[y]) * disparity)
            continue
        best = np.full(steps + 1, -inf)
        for plane in table.table:
            k, n = sum(plane[y]), sum(map(sum, plane))
            smaller = betaincinv(k, n - k + 1, np.exp(-budgets)) if k else np.zeros(steps + 1)
            for spent in range(steps + 1):
                best[spent:] = np.maximum(best[spent:], smaller[spent] * (disparity[: steps + 1 - spent] - 1))
        whole = best_sum(whole, best)
    return whole[-1] + (float(shift) if shift is not None else 1)


@pytest.mark.parametrize("table", [TABLE, THREE, WIDE, OUTPUTS], ids=["2x2x2", "3x2x2", "2x3x2", "2x2x3"])
def test_combined_tails_against_the_best_split_of_the_radius(table):
    pair = pair_of(table)
    result = certify_counts(table, pair=pair)
    optimum = optimum_by_budgets(table, float(result.limits.radius), shift=pair.label_shift, moved=pair.moved)
    assert optimum - 1e-9 <= float(result.upper) <= optimum + 2e-3


@pytest.mark.parametrize("table", [TABLE, WIDE, OUTPUTS], ids=["2x2x2", "2x3x2", "2x2x3"])
def test_pure_worlds_against_the_best_split_of_the_radius(table):
    result = certify_counts(table, pure=("a", "b"))
    optimum = optimum_by_budgets(table, float(result.limits.radius))
    assert optimum - 1e-9 <= float(result.upper) <= optimum + 4e-3


def test_a_smaller_value_than_the_optimum_would_show():
    """The comparison bites: a radius with one term too few lies below the optimum at the right one."""
    pair = pair_of(TABLE)
    right = certify_counts(TABLE, pair=pair).limits
    optimum = optimum_by_budgets(TABLE, float(right.radius), shift=pair.label_shift, moved=pair.moved)
    small = radius(right.terms - 1, F(1, 20), exact=True)
    world = World(None, [(pair.label_shift, list(pair.moved))])
    *_, (bound,) = bound_worlds(TABLE, [world], radius=small, disparity_radius=small, tails=True, own_prices=False)
    assert bound.upper < optimum


# Coverage.


@cache
def covered_table(table, method, confidence, moved):
    labels = (0, 1)
    counts = Counts(("a", "b"), labels, (0, 1), table)
    world_0 = {"a": {str(y): str(m) for y, m in zip(labels, moved, strict=True)}}
    world_1 = {"b": world_0["a"]}
    pair = CompositionPair.from_dict({"world_0": world_0, "world_1": world_1}, counts.groups, labels)
    return certify_counts(counts, pair=pair, method=method, confidence=confidence).upper


def canonical(table):
    """One of the tables that the bound cannot tell apart: groups and outputs (within a label) may be exchanged."""
    columns = list(zip(*table, strict=True))
    best = []
    for column in columns:
        flipped = tuple(tuple(reversed(row)) for row in column)
        best.append(min(tuple(sorted(column)), tuple(sorted(flipped))))
    first, second = best
    return tuple(zip(first, second, strict=True))


def missed(sizes, rates, method, confidence):
    """Exact probability that the bound of a given pair lies below its value; rates are P(output 1), shape (2, K)."""
    moved = (F(1, 2), F(1, 2))
    truth = sum((m * abs(p - q) for m, p, q in zip(moved, *rates, strict=True)), F(0))
    chance = F(0)
    for ones in itertools.product(range(sizes + 1), repeat=4):
        table = tuple(tuple((sizes - k, k) for k in ones[2 * a : 2 * a + 2]) for a in range(2))
        probability = F(1)
        for k, rate in zip(ones, [r for row in rates for r in row], strict=True):
            probability *= comb(sizes, k) * rate**k * (1 - rate) ** (sizes - k)
        if probability and covered_table(canonical(table), method, confidence, moved) < truth:
            chance += probability
    return chance


RATES = [
    ((F(1, 2), F(1, 2)), (F(1, 2), F(1, 2))),
    ((F(9, 10), F(9, 10)), (F(1, 10), F(1, 10))),
    ((F(1, 5), F(1, 2)), (F(1), F(0))),
    ((F(3, 5), F(0)), (F(0), F(2, 5))),
    ((F(99, 100), F(97, 100)), (F(1, 50), F(1, 20))),
    ((F(9, 10), F(1)), (F(1, 10), F(0))),
]


@pytest.mark.parametrize("confidence", ["0.5", "0.9"])
@pytest.mark.parametrize("method", METHODS)
def test_the_bound_covers_exactly_over_all_tables(method, confidence):
    worst = max(missed(3, rates, method, confidence) for rates in RATES)
    assert worst <= 1 - F(confidence)
    if method == "fisher":
        assert worst > 0


def test_a_radius_with_too_few_terms_undercovers(monkeypatch):
    """The same sum notices the quantile of one term in place of four."""
    monkeypatch.setattr(certify, "radius", lambda terms, alpha, *, exact: radius(1, alpha, exact=exact))
    monkeypatch.setattr(sys.modules[__name__], "covered_table", cache(covered_table.__wrapped__))
    assert max(missed(3, rates, "fisher", "0.9") for rates in RATES) > F(1, 10)


# P(output 1) for label 0 and 1 of both groups, P(label 1) of both groups, rows of both groups.
SETTINGS = [
    ((0.5, 0.5), (0.5, 0.5), (0.5, 0.5), (30, 30)),
    ((0.02, 0.02), (0.98, 0.9), (0.1, 0.3), (300, 40)),
    ((1.0, 0.0), (0.5, 0.5), (0.5, 0.4), (20, 200)),
]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    "options", [{}, {"label_balanced": True}, {"method": "relative-entropy"}, {"method": "smallest"}]
)
def test_coverage_where_rates_agree_are_extreme_or_cells_are_small(options, setting):
    rates_0, rates_1, bases, sizes = setting
    generator = np.random.default_rng(11)
    exact = tuple(tuple((1 - F(str(r[a])), F(str(r[a]))) for r in (rates_0, rates_1)) for a in range(2))
    disparity = Channel(("a", "b"), (0, 1), (0, 1), exact).disparities().per_label
    smaller = [min(1 - F(str(b)) for b in bases), min(F(str(b)) for b in bases)]
    if options.get("label_balanced"):
        truth = sum((1 - F(str(b))) / 2 * disparity[0] + F(str(b)) / 2 * disparity[1] for b in bases)
    else:
        truth = 1 - sum(u * (1 - d) for u, d in zip(smaller, disparity, strict=True))
    runs, below = 40, 0
    for _ in range(runs):
        table = []
        for a in range(2):
            ones = int(generator.binomial(sizes[a], bases[a]))
            rows = ((sizes[a] - ones, rates_0[a]), (ones, rates_1[a]))
            table.append(tuple((n - k, k) for n, k in ((n, int(generator.binomial(n, r))) for n, r in rows)))
        counts = Counts(("a", "b"), (0, 1), (0, 1), tuple(table))
        below += certify_counts(counts, confidence="0.8", on_missing="vacuous", **options).upper < truth
    assert below <= runs * 0.2 + 3 * sqrt(runs * 0.16)


# Certificates.


def everything():
    return {
        "fisher": (TABLE, {}),
        "fisher, three labels": (WIDE, {"pure": ("a", "b")}),
        "fisher, T1": (THREE, {"theorem": "T1"}),
        "fisher, T1b": (THREE, {}),
        "fisher, label-balanced": (TABLE, {"label_balanced": True}),
        "fisher, given": (THREE, {"pair": pair_of(THREE)}),
        "fisher, seven outputs": (seven_outputs(), {}),
        "relative entropy": (TABLE, {"method": "relative-entropy"}),
        "relative entropy, label-balanced, T1b": (
            THREE,
            {"method": "relative-entropy", "label_balanced": True, "theorem": "T1b"},
        ),
        "relative entropy, given, seven outputs": (
            seven_outputs(),
            {"method": "relative-entropy", "pair": pair_of(seven_outputs())},
        ),
        "smallest": (TABLE, {"method": "smallest"}),
    }


@pytest.mark.parametrize("case", everything())
def test_a_changed_number_is_refused_or_proves_no_less(case, numbers, changed):
    """
    Tangents, multipliers and spans may be any: the checker takes what they prove, so the claim stands or is refused.

    Everything else is refused, but weaker claims: a lower level or limit, a larger radius, fewer methods.
    """
    table, options = everything()[case]
    honest = json.loads(json.dumps(certify_counts(table, **options).certificate().data))
    assert check.check(copy.deepcopy(honest))
    proof, rest = [], []
    for path in numbers(honest):
        known = {"knots", "multipliers", "multiplier", "marginal_points", "spans"} & set(map(str, path))
        if path[:2] != ("counts", "outputs"):
            (proof if known else rest).append(path)
    for path in (*rest, *proof[:: max(1, len(proof) // 16)]):
        for step in (1, -1):
            forged = changed(honest, path, step)
            forged["digest"] = check.digest(forged)
            lower = path[-1] in ("confidence", "split") or "label_marginals" in path
            weaker = step < 0 if lower else path == ("limits", "disparity_radius") and step > 0
            try:
                check.check(forged)
            except CheckError:
                continue
            assert path in proof or weaker, path
            assert [forged[name] for name in ("advantage", "disparity")] == [
                honest[name] for name in ("advantage", "disparity")
            ]


def test_proofs_that_are_not_valid_are_refused_by_name():
    honest = json.loads(json.dumps(certify_counts(TABLE).certificate().data))
    small = str(radius(5, F(1, 20), exact=True))

    def lowered(data):
        """Claim the measured values."""
        for entry in (*data["disparity"], data["equalized_odds"], data["advantage"], *data["pairs"]):
            entry["upper"] = entry["point"]

    for edit, message in (
        (lambda d: d["limits"].update(radius=small), "too small for 6"),
        (lambda d: d["limits"].update(radius=str(F(sum(range(3))) / 3)), "too small"),
        (lambda d: (d["limits"].update(radius="-500"), lowered(d)), "upper|too small"),
        (lambda d: (d["limits"].update(radius="-500", disparity_radius="-500"), lowered(d)), "too small"),
        (lambda d: d["limits"].update(split=0), "number of methods"),
        (lambda d: d["limits"].update(split=2), "too small"),
        (lambda d: d["limits"].update(share="1/10"), "share"),
        (lambda d: d["limits"].update(method="mean"), "method"),
        (lambda d: d["limits"]["knots"][0][0].__setitem__(0, "0"), "positive"),
        (lambda d: d["limits"]["knots"][0].reverse(), "above the ratio"),
        (lambda d: d["limits"]["knots"][0].extend([["1", []]] * 65), "at most 64"),
        (lambda d: d["limits"]["knots"][0][0][1][0].__setitem__(0, "1"), "multiple"),
        (lambda d: d["limits"]["multipliers"].__setitem__(0, "0"), "positive"),
        (lambda d: d["pairs"][0].update(multiplier="-1"), "positive"),
        (lambda d: d["pairs"][0]["spans"].__setitem__(0, [0, 99]), "range of knots"),
        (lambda d: d["limits"]["label_marginals"].append([]), "must be empty"),
    ):
        data = copy.deepcopy(honest)
        edit(data)
        data["digest"] = check.digest(data)
        with pytest.raises(CheckError, match=message):
            check.check(data)


def test_the_share_of_the_error_for_marginals_cannot_be_chosen_after_the_fact():
    for options in ({"label_balanced": True}, {"method": "relative-entropy"}):
        data = json.loads(json.dumps(certify_counts(TABLE, **options).certificate().data))
        data["limits"]["share"] = "1/3"
        data["digest"] = check.digest(data)
        with pytest.raises(CheckError, match="share"):
            check.check(data)


def test_knots_that_take_too_long_are_refused():
    stored = [[["1", []]] * 2]
    with pytest.raises(CheckError, match="too long"):
        check._read_knots(stored, [[[1] * 6] * 1000], [(0, 1)] * 499_500, "fisher", True, "knots", [0])


# What the methods promise of each other.


def relabelled(table, groups, labels, outputs):
    rows = [[[table.table[a][y][z] for z in outputs] for y in labels] for a in groups]
    return Counts(table.groups, table.labels, table.outputs, tuple(tuple(map(tuple, plane)) for plane in rows))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [{}, {"label_balanced": True}, {"theorem": "T1b"}])
def test_names_do_not_matter(method, options):
    first = certify_counts(OUTPUTS, method=method, **options).upper
    second = certify_counts(relabelled(OUTPUTS, (1, 0), (1, 0), (2, 0, 1)), method=method, **options).upper
    assert abs(first - second) < F(1, 10**6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("label_balanced", [False, True])
def test_a_pure_pair_is_about_its_own_two_groups(method, label_balanced):
    """T1b for a pure pair is T1 on the log of the two groups alone, and the default where there are more."""
    table = Counts(
        ("a", "b", "c"),
        (0, 1),
        (0, 1, 2),
        (((70, 10, 9), (6, 19, 3)), ((50, 12, 4), (10, 35, 8)), ((3, 12, 40), (30, 9, 1))),
    )
    options = {"method": method, "label_balanced": label_balanced}
    whole = certify_counts(table, pure=("a", "b"), **options)
    assert whole.theorem == "T1b"
    assert certify_counts(table, **options).theorem == "T1b"
    alone = certify_counts(table.select((0, 1)), **options)
    assert alone.theorem == "T1"
    assert whole.point == alone.point
    # Other groups take part in no deviance that this pair pays for, but in separate limits and in the ball they do.
    if method == "fisher" and not label_balanced:
        assert abs(whole.upper - alone.upper) < F(1, 10**4)
    else:
        assert whole.upper >= alone.upper - F(1, 10**4)
    priced = certify_counts(table, pure=("a", "b"), theorem="T1", **options)
    assert priced.point > whole.point
    assert priced.upper > whole.upper
    assert whole.measured == alone.measured


def test_the_default_for_given_worlds_and_for_two_groups_is_t1():
    assert certify_counts(THREE, pair=pair_of(THREE)).theorem == "T1"
    assert certify_counts(TABLE).theorem == "T1"


@pytest.mark.parametrize("label_balanced", [False, True])
def test_pairs_too_many_for_tails_are_priced_by_relative_entropy(monkeypatch, label_balanced):
    tails = certify_counts(THREE, label_balanced=label_balanced)
    monkeypatch.setattr(check, "MOST_OWN_STEPS", 0)
    monkeypatch.setattr(check, "MOST_EVENT_OUTPUTS", 1)
    entropies = certify_counts(THREE, label_balanced=label_balanced)
    assert len(entropies.pairs[0].deviance.knots[0][0].points[0]) == 4
    for one, other in zip(tails.pairs, entropies.pairs, strict=True):
        assert one.upper < other.upper < one.upper + F(1, 8)
    assert entropies.certificate().verified


def unequal(big):
    """Eight groups of which only the first two differ, and one cell of the third of another size."""
    rates = {0: (80, 40, 40, 40), 1: (40, 40, 40, 80)}
    table = [[rates.get(a, (60, 40, 40, 60)) for _ in range(5)] for a in range(8)]
    table[2][0] = tuple(k * big for k in table[2][0])
    return Counts(tuple("abcdefgh"), tuple(range(5)), (0, 1, 2, 3), tuple(map(tuple, table)))


def test_a_large_cell_of_another_group_does_not_raise_the_bound_of_a_pair(monkeypatch):
    monkeypatch.setattr(check, "MOST_OWN_STEPS", 3 * 10**6)
    small, large = (certify_counts(unequal(big), label_balanced=True) for big in (1, 2000))
    assert small.pairs[0].upper == small.upper
    assert abs(large.pairs[0].upper - small.pairs[0].upper) < F(1, 10**6)
    # The pair of the large cell has prices by relative entropy, or those of all groups.
    touches = [pair.deviance.knots for pair in large.pairs if "c" in pair.groups]
    assert all(knots is None or len(knots[0][0].points[0]) == 4 for knots in touches)
    assert large.certificate().verified


def test_the_tails_of_all_groups_are_used_where_they_do_better(monkeypatch):
    """Never above T1 but for the search, whichever deviances the own prices are made of."""
    table = unequal(1)
    monkeypatch.setattr(check, "MOST_OWN_STEPS", 0)
    own = certify_counts(table, label_balanced=True)
    shared = certify_counts(table, label_balanced=True, theorem="T1")
    assert own.pairs[0].deviance.knots is None
    assert own.upper == shared.upper
    assert own.pairs[-1].deviance.knots is not None
    assert all(one.upper <= other.upper for one, other in zip(own.pairs, shared.pairs, strict=True))
    assert own.certificate().verified


def test_t1_is_not_proved_by_own_price_functions():
    own, shared = (
        json.loads(json.dumps(certify_counts(THREE, theorem=theorem).certificate().data)) for theorem in ("T1b", "T1")
    )
    shared["pairs"][0]["knots"] = own["pairs"][0]["knots"]
    shared["digest"] = check.digest(shared)
    with pytest.raises(CheckError, match=r"pairs\[0\]: must have the entries"):
        check.check(shared)


def test_own_price_functions_hold_two_groups():
    data = json.loads(json.dumps(certify_counts(THREE).certificate().data))
    points = data["pairs"][0]["knots"][0][0][1]
    assert len(points) == 2
    points.append(points[-1])
    data["digest"] = check.digest(data)
    with pytest.raises(CheckError, match=r"pairs\[0\]\.knots"):
        check.check(data)


@pytest.mark.parametrize("method", METHODS)
def test_merging_outputs_never_raises_the_bound(method):
    merged = Counts(
        OUTPUTS.groups, OUTPUTS.labels, (0, 1), tuple(tuple((r[0], r[1] + r[2]) for r in p) for p in OUTPUTS.table)
    )
    for options in ({}, {"label_balanced": True}):
        assert certify_counts(merged, method=method, **options).upper <= certify_counts(
            OUTPUTS, method=method, **options
        ).upper + F(1, 10**4)


@pytest.mark.parametrize("method", METHODS)
def test_more_rows_at_the_same_rates_shrink_the_bound(method):
    uppers = []
    for times in (1, 4, 16, 64):
        scaled = tuple(tuple(tuple(times * k for k in row) for row in plane) for plane in TABLE.table)
        result = certify_counts(Counts(TABLE.groups, TABLE.labels, TABLE.outputs, scaled), method=method)
        assert result.upper > result.point
        uppers.append(result.upper)
    assert uppers == sorted(uppers, reverse=True)


def test_joint_methods_beat_separate_limits_where_there_are_many_labels():
    rows = [(60 + 7 * (y % 5), 40 - 3 * (y % 4)) for y in range(20)]
    table = Counts(("a", "b"), tuple(range(20)), (0, 1), (tuple(rows), tuple(reversed(rows))))
    joint = certify_counts(table, label_balanced=True).upper
    separate = certify_counts(table, label_balanced=True, method="clopper-pearson").upper
    assert joint < separate - F(5, 100)


def test_the_smallest_is_the_smaller_of_its_two_at_half_the_error():
    for options in ({}, {"label_balanced": True}, {"pair": pair_of(TABLE)}):
        best = certify_counts(TABLE, method="smallest", **options)
        inner = [certify_counts(TABLE, method=m, confidence="0.975", **options) for m in ("clopper-pearson", "fisher")]
        assert best.upper == min(result.upper for result in inner)
        assert best.confidence == F(19, 20)


def test_extreme_tables_are_bounded():
    for rows in (((1, 0), (0, 1)), ((0, 1), (5, 0)), ((10**7, 1), (0, 3)), ((10**9, 10**9), (1, 10**9))):
        table = Counts(("a", "b"), (0, 1), (0, 1), (rows, tuple(reversed(rows))))
        for method in METHODS:
            result = certify_counts(table, method=method)
            assert result.point <= result.upper <= 1
            assert result.certificate()


def test_cells_without_rows_count_as_disparity_one():
    table = Counts(("a", "b"), (0, 1), (0, 1), (((70, 10), (0, 0)), ((50, 12), (10, 35))))
    for method in METHODS:
        result = certify_counts(table, method=method, on_missing="vacuous")
        assert result.upper_disparities.per_label[1] == 1
        assert result.certificate()


def test_unknown_methods_are_refused():
    with pytest.raises(AlphabetError, match="no method 'mean'"):
        certify_counts(TABLE, method="mean")
    with pytest.raises(AlphabetError, match="clopper-pearson"):
        certify_counts(TABLE, pair=pair_of(TABLE), theorem="T1b", method="fisher")


def test_the_truth_is_what_the_exact_bound_says():
    """`missed` uses T1's value for the pair that it certifies."""
    rates = RATES[2]
    exact = tuple(tuple((1 - r, r) for r in row) for row in rates)
    channel = Channel(("a", "b"), (0, 1), (0, 1), exact)
    half = {"0": "1/2", "1": "1/2"}
    pair = CompositionPair.from_dict({"world_0": {"a": half}, "world_1": {"b": half}}, ("a", "b"), (0, 1))
    value = worst_case_advantage(pair, channel.disparities().per_label).value
    assert value == sum(abs(p - q) / 2 for p, q in zip(*rates, strict=True))


@given(
    st.lists(st.fractions(F(1, 100), 20, max_denominator=100), unique=True, max_size=5),
    st.fractions(0, 60, max_denominator=100),
)
def test_chords_and_the_last_slope_stay_above_a_convex_price(ratios, at):
    # r - ln(1 + r) is convex, 0 at 0, and its slope stays below 1.
    knots = [(r, r - check.ln_between(1 + r)[0]) for r in sorted(ratios)]
    assert check.interpolated(knots, at) >= at - check.ln_between(1 + at)[1]
    for r, value in knots:
        assert check.interpolated(knots, r) == value


@pytest.mark.parametrize("ratios", [(5, 10), (20, 40, 60), (30,)])
def test_a_label_s_part_is_above_its_value_at_every_marginal(ratios):
    multiplier, (k, n) = F(1, 100), (50, 100)
    knots = [(F(r), r - check.ln_between(F(1 + r))[0]) for r in ratios]
    touches = _marginal_touches(knots, float(multiplier), [(k, n), (k, n)])
    bound = float(check.pure_value(knots, multiplier, [(k, n), (k, n)], touches))
    u = np.linspace(0.01, 0.99, 99)
    deviance = -np.log(binom.sf(k - 1, n, u))
    assert (-u + float(multiplier) * (100 * u - np.log1p(100 * u)) - float(multiplier) * deviance).max() <= bound
