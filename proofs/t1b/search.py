"""T1b: search for violations, of the theorem (there are none) and of wrong prices for a plan (there are)."""

from __future__ import annotations

from typing import Any

from fairbound.bounds.exact import transport_bound
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Formula, Quantities, exact_value, replay_stored, stored
from fairbound.proofs.t1.smt import GameSearch, Solver
from fairbound.proofs.t1b.symbolic import plan_cost

TRUSTED_BASE = "z3's real arithmetic where it finds nothing; what it finds is replayed exactly"


def _smallest_price(q: Quantities) -> Any:
    tables = q.pairwise
    cheapest = [q.smallest([table[a][b] for a in range(len(table)) for b in range(a)]) for table in tables]
    return q.label_shift + sum(m * w for m, w in zip(q.moved, cheapest, strict=True))


WRONG: dict[str, tuple[str, int, int, Formula]] = {
    "all mass at the smallest distance": ("labelled", 3, 1, _smallest_price),
    "plan without the surplus": ("correctness", 2, 2, lambda q: exact_value(q) - q.label_shift),
    "nine tenths of the largest price": ("labelled", 3, 1, lambda q: 9 * exact_value(q) / 10),
}
"""Wrong bounds, each with a game, a number of groups and one of labels for which it is broken."""


def run() -> str:
    """Search with z3."""
    shapes = 0
    for plus, minus in ((1, 1), (2, 1), (1, 2)):
        for sign in (1, -1):
            one_label(plus, minus, sign)
            shapes += 1
    for name, (game, groups, labels, wrong) in WRONG.items():
        GameSearch(groups, labels).find_broken(name, game, wrong)
    kept = replay_stored(__file__, {name: wrong for name, (*_, wrong) in WRONG.items()}, exact_value)
    for instance in stored(__file__):
        bound, _ = transport_bound(instance.pair, instance.channels[0].disparities())
        require(instance.advantage() <= bound.value <= exact_value(instance.quantities()), "Adv <= T1b <= T1 fails")
    return (
        f"z3 finds no plan, distances and rates that break T1b inside one label with 2 or 3 groups ({shapes} shapes), "
        f"and an instance for each of {len(WRONG)} wrong bounds ({kept} stored, replayed "
        "exactly, and within the transport bound that fairbound computes)"
    )


def one_label(plus: int, minus: int, sign: int) -> None:
    """No rates within the distances of a plan's pairs give a label more than the plan pays for."""
    solver = Solver()
    sources, sinks = [f"a{i}" for i in range(plus)], [f"b{i}" for i in range(minus)]
    rate = {g: solver.real(f"r_{g}") for g in sources + sinks}
    flows = {(i, j): solver.real(f"f_{i}_{j}") for i in range(plus) for j in range(minus)}
    prices = {(i, j): solver.real(f"w_{i}_{j}") for i in range(plus) for j in range(minus)}
    for (i, j), price in prices.items():
        solver.require(rate[sources[i]] - rate[sinks[j]] <= price)
    surplus = [solver.real(f"u_{g}") for g in (sources if sign > 0 else sinks)]
    out = [solver.z3.Sum([flows[i, j] for j in range(minus)]) for i in range(plus)]
    into = [solver.z3.Sum([flows[i, j] for i in range(plus)]) for j in range(minus)]
    if sign > 0:
        out = [x + u for x, u in zip(out, surplus, strict=True)]
    else:
        into = [x + u for x, u in zip(into, surplus, strict=True)]
    gain = solver.z3.Sum(
        [x * rate[g] for x, g in zip(out, sources, strict=True)]
        + [-x * rate[g] for x, g in zip(into, sinks, strict=True)]
    )
    paid = solver.z3.Sum(surplus) if sign > 0 else 0
    solver.refute(gain > paid + plan_cost(flows, prices), claim=f"{plus} against {minus} groups, shift {sign}")
