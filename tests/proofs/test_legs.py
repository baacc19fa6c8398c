"""Every leg runs, and notices when the mathematics is changed."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from fractions import Fraction
from importlib import import_module

import pytest
from sympy import QQ, ring

from fairbound.bounds.check import kolmogorov_upper_bound
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.confidence import lower_limits
from fairbound.bounds.scores import kolmogorov_band
from fairbound.proofs.failure import ProofFailure
from fairbound.proofs.t1 import found
from fairbound.proofs.t1.cells import Cell
from fairbound.proofs.t1.found import exact_value
from fairbound.proofs.t1.smt import GameSearch, Solver

SYMBOLIC = ["t1", "t1a", "t1b", "t2", "t3", "t5", "t6", "t7", "t8", "t9", "t10", "c1", "c3a", "c3b", "c8"]
STORED = ["t1", "t1a", "t1b", "t2", "t3", "t6", "t8", "c1", "c3a", "c3b", "c8"]
SEARCH = [*STORED, "t7", "t9"]
LEGS = [f"{claim}.symbolic" for claim in SYMBOLIC] + [f"{claim}.search" for claim in SEARCH]


def leg(name):
    return import_module(f"fairbound.proofs.{name}")


@pytest.mark.parametrize("name", LEGS)
def test_leg_holds(name):
    if name.endswith("search") and not name.startswith(("t7", "t9")):
        pytest.importorskip("z3")
    module = leg(name)
    start = time.perf_counter()
    established = module.run()
    assert established == established.strip()
    assert "\n" not in established
    assert module.TRUSTED_BASE
    assert time.perf_counter() - start < 30


def matched(moved, delta):
    return sum(m * d for m, d in zip(moved, delta, strict=True))


def gaining(x, kernel):
    return [2 * sum(v * row[w] for v, row in zip(x, kernel, strict=True)) for w in range(len(kernel[0]))]


MUTATIONS = {
    "value of a label without its surplus": ("t1.symbolic", "claimed_value", lambda s, m, x: m * x),
    "value of a label, delta short": ("t1.symbolic", "claimed_value", lambda s, m, x: s + 9 * m * x / 10),
    "value of a label, delta long": ("t1.symbolic", "claimed_value", lambda s, m, x: s + 11 * m * x / 10),
    "sum of labels without TV_Y": ("t1.symbolic", "worst_case", lambda shift, m, d: matched(m, d)),
    "half of TV_Y": ("t1.symbolic", "worst_case", lambda shift, m, d: shift / 2 + matched(m, d)),
    "primal rates at 1 and 1 - delta always": (
        "t1.symbolic",
        "primal_rates",
        lambda cell, d, delta: [1 + 0 * delta if cell.sign(x) > 0 else 1 - delta for x in d],
    ),
    "the larger of Dp and Dm moves, or the wrong one": (
        "t1.symbolic",
        "moved_mass",
        lambda cell, d: sum(cell.positive(x) for x in d),
    ),
    "found by z3: delta short": ("t1.search", "claimed_value", lambda s, m, x: s + 9 * m * x / 10),
    "found on the grid: value short": (
        "t1.search",
        "worst_case",
        lambda shift, m, d: shift + matched(m, d) * 9 / 10,
    ),
    "found on the grid: value long": (
        "t1.search",
        "worst_case",
        lambda shift, m, d: shift + matched(m, d) * 11 / 10,
    ),
    "published form short": ("t1a.symbolic", "published_form", lambda largest, w: largest * w * 9 / 10),
    "published form with the square of W": ("t1a.symbolic", "published_form", lambda largest, w: largest * w * w),
    "published form short, found": ("t1a.search", "published_form", lambda largest, w: largest * w * 9 / 10),
    "a cheaper plan": ("t1b.symbolic", "plan_cost", lambda f, w: sum(f[p] * w[p] for p in f) * 9 / 10),
    "a cheaper plan, found": ("t1b.search", "plan_cost", lambda f, w: sum(f[p] * w[p] for p in f) * 9 / 10),
    "witness at 1 and 1 - delta always": ("t2.symbolic", "witness_rates", lambda sign, x: (1 + 0 * x, 1 - x)),
    "witness with half the disparity": (
        "t2.symbolic",
        "witness_rates",
        lambda sign, x: (1 + 0 * x, 1 - x / 2) if sign > 0 else (x / 2, 0 * x),
    ),
    "witness at 0 and delta always, found": ("t2.search", "witness_rates", lambda sign, x: (x, 0)),
    "another value for the witness": (
        "t2.symbolic",
        "worst_case",
        lambda shift, m, d: shift + matched(m, d) * 11 / 10,
    ),
    "another value with two groups": (
        "t3.symbolic",
        "claimed_advantage",
        lambda m, d: matched(m, d) * 11 / 10,
    ),
    "another value with two groups, found": (
        "t3.search",
        "claimed_advantage",
        lambda m, d: matched(m, d) * 11 / 10,
    ),
    "thresholds: value short": (
        "t7.search",
        "claimed_value",
        lambda shift, m, k: Fraction(9 * (2 * shift + 2 * matched(m, k)), 10),
    ),
    "thresholds: value long": (
        "t7.search",
        "claimed_value",
        lambda shift, m, k: Fraction(11 * (2 * shift + 2 * matched(m, k)), 10),
    ),
    "bands for one side only": ("t7.symbolic", "kolmogorov_band", lambda n, alpha: kolmogorov_band(n, 2 * alpha)),
    "bands a little too narrow": (
        "t7.symbolic",
        "kolmogorov_band",
        lambda n, alpha: kolmogorov_band(n, alpha) * Fraction(999, 1000),
    ),
    "the law of one side alone": (
        "t7.symbolic",
        "kolmogorov_upper_bound",
        lambda n, eps: kolmogorov_upper_bound(n, eps) / 2,
    ),
    "draws do not add up": ("t5.symbolic", "claimed_advantage", lambda one, draws: one),
    "union bound over draws": ("t5.symbolic", "claimed_advantage", lambda one, draws: draws * one),
    "processing that gains": ("t6.symbolic", "processed", lambda x, k: gaining(x, k)),
    "processing that gains, found": ("t6.search", "processed", lambda x, k: gaining(x, k)),
    "disparities alone": ("t8.symbolic", "claimed_limit", lambda gap, x, y: (x + y) / 2),
    "operating points alone": ("t8.symbolic", "claimed_limit", lambda gap, x, y: gap),
    "operating points alone, found": ("t8.search", "claimed_limit", lambda gap, x, y: gap),
    "value of pure worlds": (
        "t9.symbolic",
        "pure_value",
        lambda common, d: 1 - sum(c * (1 - x / 2) for c, x in zip(common, d, strict=True)),
    ),
    "vertices the other way round": (
        "t9.symbolic",
        "vertices",
        lambda p, q, rest_p, rest_q: ([*p[:-1], p[-1] + rest_p], [q[0] + rest_q, *q[1:]]),
    ),
    "vertices without what is left of the second": (
        "t9.symbolic",
        "vertices",
        lambda p, q, rest_p, rest_q: ([p[0] + rest_p, *p[1:]], list(q)),
    ),
    "limits at twice the error": ("t9.symbolic", "lower_limits", lambda k, n, alpha: lower_limits(k, n, 2 * alpha)),
    "limits with an error 1 % too large": (
        "t9.symbolic",
        "lower_limits",
        lambda k, n, alpha: lower_limits(k, n, alpha * Fraction(101, 100)),
    ),
    "distance from lower limits": (
        "t9.search",
        "largest_distance",
        lambda p, q: sum((max(Fraction(0), x - y) for x, y in zip(p, q, strict=True)), Fraction(0)),
    ),
    "advantage of one vertex": (
        "t9.search",
        "upper_advantage_pure",
        lambda p, q, d: 1 - sum(min(x, y) * (1 - z) for x, y, z in zip(p, q, d, strict=True)),
    ),
    "balanced advantage without the rest": (
        "t9.search",
        "upper_advantage_balanced",
        lambda p, q, d: sum((x + y) / 2 * z for x, y, z in zip(p, q, d, strict=True)),
    ),
    "identity without a term": ("t10.symbolic", "IDENTITY", {"H(Z|XY)": Fraction(1), "I(X;Z|Y)": Fraction(1)}),
    "identity with an unconditional term": (
        "t10.symbolic",
        "IDENTITY",
        {"H(Z|XY)": Fraction(1), "I(X;Z|Y)": Fraction(1), "I(Y;Z)": Fraction(1)},
    ),
    "processing without a term": ("t10.symbolic", "PROCESSING", {"I(X;Y|FG)": Fraction(1)}),
    "a classifier that is not constant": ("c1.symbolic", "constant_rate", lambda group: group),
    "gaps of one sign": ("c3a.symbolic", "second_gap", lambda t: t),
    "a disparity that falls": (
        "c3b.symbolic",
        "models",
        lambda h: ((1 + 0 * h, 1 - h, 1 - h), (1 + 0 * h, 1 - h / 2, 1 - h / 2)),
    ),
    "scores of another distribution": ("c8.symbolic", "rate_above", lambda t: 1 - t**2),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_changed_step_is_noticed(mutation, monkeypatch):
    name, attribute, changed = MUTATIONS[mutation]
    if name.endswith("search") and not name.startswith(("t7", "t9")):
        pytest.importorskip("z3")
    module = leg(name)
    monkeypatch.setattr(module, attribute, changed)
    with pytest.raises(ProofFailure):
        (module.grid if "on the grid" in mutation else module.run)()


@pytest.mark.parametrize("claim", STORED)
def test_stored_instances_are_replayed(claim, monkeypatch):
    pytest.importorskip("z3")
    module = leg(f"{claim}.search")
    kept = found.stored(module.__file__)
    half = (Fraction(1, 2),) * 2

    def harmless(channel):
        return replace(channel, rates=tuple(tuple(half for _ in plane) for plane in channel.rates))

    same = CompositionPair(kept[0].pair.world_0, kept[0].pair.world_0)
    changed = [replace(kept[0], pair=same, channels=tuple(map(harmless, kept[0].channels))), *kept[1:]]
    for holder in (found, module):
        monkeypatch.setattr(holder, "stored", lambda _: changed, raising=False)
    with pytest.raises(ProofFailure):
        module.run()


@pytest.mark.parametrize("claim", STORED)
def test_stored_instances_round_trip(claim):
    for instance in found.stored(leg(f"{claim}.search").__file__):
        assert found.Instance.from_dict(instance.to_dict()) == instance


def test_a_right_bound_has_no_instance():
    pytest.importorskip("z3")
    with pytest.raises(ProofFailure):
        GameSearch(2, 1).find_broken("right", "labelled", exact_value)


def test_a_wrong_claim_is_refuted_with_the_instance():
    pytest.importorskip("z3")
    solver = Solver()
    x = solver.real("x")
    with pytest.raises(ProofFailure, match="sat"):
        solver.refute(x > 0, claim="x <= 0")


def test_cells_accept_only_sums_of_products_of_known_quantities():
    _, x, y = ring(["x", "y"], QQ)
    cell = Cell([x, y])
    cell.nonnegative(x * y + 2 * x, [(x, y), (2, x)], "step")
    with pytest.raises(ProofFailure, match="not known"):
        cell.nonnegative(x - y, [(x - y,)], "step")
    with pytest.raises(ProofFailure, match="not the sum"):
        cell.nonnegative(x - y, [(x,)], "step")
    with pytest.raises(ProofFailure, match="not known"):
        cell.nonnegative(-x, [(-1, x)], "step")
    with pytest.raises(ProofFailure, match="sign"):
        cell.absolute(x - y)


@pytest.mark.parametrize("claim", STORED)
def test_a_missing_solver_surfaces_by_name(claim, monkeypatch):
    monkeypatch.setitem(sys.modules, "z3", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        leg(f"{claim}.search").run()
    assert caught.value.name == "z3"
