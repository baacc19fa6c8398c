"""
T9, dual leg: the joint methods' rational bounds against optima that are computed another way.

cvxpy models the ball of relative entropy as an exponential cone, and an interior-point solver maximises T1's value in
it, for every choice of groups and events; the rational dual must be no smaller, and close. For the combined tails every
tangent that a bound rests on is evaluated again by Arb's incomplete beta function: no certified price may be smaller.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product

import cvxpy
import flint
import numpy as np

from fairbound.bounds.certify import Certification, certify_counts
from fairbound.bounds.check import fixed_value
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.counts import Counts
from fairbound.bounds.deviances import DevianceLimits, Knot
from fairbound.proofs.failure import require

TRUSTED_BASE = (
    "cvxpy's model and CLARABEL's optimum to 1e-5, per instance; Arb's ball arithmetic for the binomial tails; Python "
    "fractions"
)
TOLERANCE = 1e-5
# What a label can gain is concave in its share of the radius for one pair of groups, not for the best of several: there
# the dual is the optimum over mixtures of pairs.
DUALITY_GAP = 1e-2
INSTANCES = (
    Counts(("a", "b"), (0, 1), (0, 1), (((700, 100), (60, 190)), ((500, 120), (100, 350)))),
    Counts(("a", "b"), (0, 1), (0, 1), (((21034, 966), (5020, 3003)), ((9420, 88), (1111, 702)))),
    Counts(("a", "b", "c"), (0, 1), (0, 1), (((700, 100), (60, 190)), ((500, 120), (100, 350)), ((30, 12), (0, 9)))),
    Counts(("a", "b"), (0, 1, 2), (0, 1), (((70, 10), (6, 19), (200, 210)), ((50, 12), (10, 35), (331, 90)))),
    Counts(("a", "b"), (0, 1), (0, 1, 2), (((400, 100, 200), (6, 19, 0)), ((200, 120, 310), (100, 250, 70)))),
)
"""Tables with equal and unequal, large and small cells, and rates of 0."""


def worlds(counts: Counts) -> CompositionPair:
    """Two worlds that hold every group and label, in different shares."""
    n_groups = len(counts.groups)
    made = []
    for start, step in ((1, 1), (3 * n_groups, -3)):
        mass = [[Fraction(start + step * a + y) for y in range(len(counts.labels))] for a in range(n_groups)]
        whole = sum(map(sum, mass), Fraction(0))
        made.append(Composition(counts.groups, counts.labels, tuple(tuple(m / whole for m in row) for row in mass)))
    return CompositionPair(*made)


def claimed(counts: Counts, pair: CompositionPair) -> Certification:
    """The library's bound by relative entropy."""
    return certify_counts(counts, pair=pair, method="relative-entropy")


def modelled_optimum(counts: Counts, pair: CompositionPair, radius: float) -> float:
    """Largest `TV_Y + sum_y m_y delta_y` in the ball, as cvxpy reads it, in floating point."""
    cells = np.array(counts.table, dtype=float)
    n_groups, n_labels, n_outputs = cells.shape
    flat = cells.reshape(-1, n_outputs)
    sizes = flat.sum(axis=1, keepdims=True)
    rates = cvxpy.Variable(flat.shape, nonneg=True)
    weight = cvxpy.Parameter(flat.shape)
    spent = cvxpy.sum(cvxpy.multiply(np.repeat(sizes, n_outputs, axis=1), cvxpy.rel_entr(flat / sizes, rates)))
    problem = cvxpy.Problem(
        cvxpy.Maximize(cvxpy.sum(cvxpy.multiply(weight, rates))),
        [spent <= radius, cvxpy.sum(rates, axis=1) == 1],
    )
    events = [(a, b, s) for a, b in combinations(range(n_groups), 2) for s in range(1, 2**n_outputs - 1)]
    best = 0.0
    for chosen in product(events, repeat=n_labels):
        objective = np.zeros(cells.shape)
        for y, (a, b, event) in enumerate(chosen):
            inside = np.array([event >> z & 1 for z in range(n_outputs)]) * float(pair.moved[y])
            objective[a, y] += inside
            objective[b, y] -= inside
        weight.value = objective.reshape(flat.shape)
        best = max(best, float(problem.solve(solver=cvxpy.CLARABEL)))
    return float(pair.label_shift) + best


def _ball(value: Fraction) -> flint.arb:
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def tangent_above(ratio: Fraction, k: int, n: int, x: Fraction) -> flint.arb:
    """Enclosure of the tangent's bound on `ratio u - D(u)`, D = -ln P(Binomial(n, u) <= k)."""
    r, at = _ball(ratio), _ball(x)
    if k == n:
        return r
    if x == 0:
        return max(flint.arb(0), r - n) if k == 0 else r
    below = (1 - at).beta_lower(n - k, k + 1, regularized=True)
    choose = flint.arb(n + 1).lgamma() - flint.arb(k + 1).lgamma() - flint.arb(n - k + 1).lgamma()
    slope = (n - k) / (1 - at) * (choose + k * at.log() + (n - k) * (1 - at).log()).exp() / below
    gap = r - slope
    return r * at + below.log() + (gap * (1 - at) if gap > 0 else -gap * at)


def price_again(knot: Knot, cells: list[tuple[int, ...]]) -> flint.arb:
    """A knot's price over all pairs of groups and events, from its own tangents."""
    n_outputs = len(cells[0])
    full = 2**n_outputs - 1

    def side(group: int, event: int) -> flint.arb:
        row = cells[group]
        k = sum(row[z] for z in range(n_outputs) if event >> z & 1)
        return tangent_above(knot.ratio, k, sum(row), Fraction(knot.points[group][event - 1]))

    best = flint.arb(0)
    for a, b in combinations(range(len(cells)), 2):
        for event in range(1, full):
            value = side(a, event) + side(b, full - event) - _ball(knot.ratio)
            best = value if value > best else best
    return best


def run() -> str:
    """
    Compare the bounds with their other computations on every instance.

    Returns
    -------
    str

    Raises
    ------
    ProofFailure
        Naming the first instance on which they differ.
    """
    flint.ctx.prec = 300
    knots = 0
    widest = 0.0
    for number, counts in enumerate(INSTANCES):
        pair = worlds(counts)
        entropy = claimed(counts, pair)
        limits = entropy.limits
        require(isinstance(limits, DevianceLimits), f"instance {number}: the bound has no radius")
        assert isinstance(limits, DevianceLimits)
        optimum = modelled_optimum(counts, pair, float(limits.radius))
        gap = float(entropy.upper) - optimum
        limit = TOLERANCE if len(counts.groups) == 2 else DUALITY_GAP
        widest = max(widest, abs(gap) if limit == TOLERANCE else 0)
        require(-TOLERANCE / 10 < gap < limit, f"instance {number}: the dual differs from the cone by {gap:.1e}")

        tails = certify_counts(counts, pair=pair, method="fisher")
        limits, proof = tails.limits, tails.pairs[0].deviance
        assert isinstance(limits, DevianceLimits)
        assert proof is not None
        lines = []
        for y, label in enumerate(limits.knots):
            cells = [plane[y] for plane in counts.table]
            for knot in label:
                again = price_again(knot, cells)
                require(again < _ball(knot.value) + flint.arb("1e-15"), f"instance {number}: a price is too small")
                # Slopes are enclosed to a few parts in 1e9.
                slack = (1 + _ball(knot.ratio)) * flint.arb("1e-7")
                require(again > _ball(knot.value) - slack, f"instance {number}: a price is loose")
                knots += 1
            lines.append([(knot.ratio, knot.value) for knot in label])
        value = fixed_value(pair.label_shift, list(pair.moved), lines, proof.multiplier, limits.radius)
        require(value <= tails.upper, f"instance {number}: the bound is below its dual value")
    return (
        f"{len(INSTANCES)} tables (2-3 groups, labels and outputs): the rational dual is within {widest:.1e} of the "
        "optimum over the ball of relative entropy for two groups (exponential cone, every choice of events), "
        f"and between it and {DUALITY_GAP} more for three; "
        f"{knots} prices of binomial tails agree with Arb"
    )
