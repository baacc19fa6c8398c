"""T1b, derived cell by cell: any transport plan inside a label bounds what that label gives away."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from sympy import QQ, ring

from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, moved_mass
from fairbound.proofs.t1.symbolic import claimed_value, sum_over_labels

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"
GROUPS = (2, 3, 4)


def plan_cost(flows: Mapping[tuple[int, int], Poly], prices: Mapping[tuple[int, int], Poly]) -> Poly:
    """Cost of a plan, each pair of groups at its own price."""
    return sum(flow * prices[pair] for pair, flow in flows.items())


def run() -> str:
    """Derive T1b in every sign cell of the sizes named above."""
    cells = sum(one_label(groups, sign) for groups in GROUPS for sign in (1, -1))
    for labels in (2, 3):
        sum_over_labels(labels)
    return (
        f"for 2 to 4 groups ({cells} sign cells), whatever the plan: max(s, 0) + cost - sum d r is a sum of flows "
        "times slacks of the pairwise distances and of surpluses times slacks of 0 <= r <= 1; at one price for all "
        "pairs the cost is m delta, and lower prices cost no more"
    )


def one_label(groups: int, sign: int) -> int:
    """
    One label whose shift has the given sign; returns the number of cells.

    A plan ships all of the smaller side; what is left of the larger side is the surplus. So d is made of flows and
    surpluses, and as they range over the non-negative numbers, all plans of all d are covered.
    """
    members = range(groups)
    cells = 0
    for sides in product((1, -1), repeat=groups):
        plus, minus = ([a for a in members if sides[a] == side] for side in (1, -1))
        pairs = list(product(plus, minus))
        larger = plus if sign > 0 else minus
        names = [f"f{a}{b}" for a, b in pairs] + [f"w{a}{b}" for a, b in pairs]
        _, delta, *symbols = ring(["delta", *names, *(f"u{a}" for a in larger), *(f"r{a}" for a in members)], QQ)
        flows = dict(zip(pairs, symbols, strict=False))
        prices = dict(zip(pairs, symbols[len(pairs) :], strict=False))
        surplus = dict(zip(larger, symbols[2 * len(pairs) :], strict=False))
        r = symbols[-groups:]
        zero = 0 * delta
        d = [sides[a] * sum((flow for pair, flow in flows.items() if a in pair), surplus.get(a, zero)) for a in members]
        slack = {(a, b): prices[a, b] - r[a] + r[b] for a, b in pairs}
        cell = Cell(
            [*flows.values(), *surplus.values(), delta, *r, *(1 - x for x in r), *slack.values()]
            + [delta - price for price in prices.values()]
        )
        for a in members:
            parts = [(flow,) for pair, flow in flows.items() if a in pair] + [
                (u,) for b, u in surplus.items() if a == b
            ]
            cell.nonnegative(sides[a] * d[a], parts, "a group's side")
        cell.nonnegative(sign * sum(d), [(u,) for u in surplus.values()], "the surplus is the shift")

        moved = moved_mass(cell, d)
        require(moved == sum(flows.values()), "the plan does not ship all of the smaller side")
        same = plan_cost(flows, dict.fromkeys(pairs, delta))
        require(claimed_value(0, moved, delta) == same, "at one price the plan costs something else than m delta")
        cost = plan_cost(flows, prices)
        cell.nonnegative(same - cost, [(flow, delta - prices[p]) for p, flow in flows.items()], "T1b is at most T1")

        gain = sum(x * rate for x, rate in zip(d, r, strict=True))
        cell.nonnegative(
            cell.positive(sum(d)) + cost - gain,
            [
                *((flow, slack[pair]) for pair, flow in flows.items()),
                *((u, 1 - r[a] if sign > 0 else r[a]) for a, u in surplus.items()),
            ],
            "no rates within the pairwise distances do better than the plan",
        )
        cells += 1
    return cells
