"""T8: search for models that break it (there are none) and limits close to it (there are)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from fairbound.bounds.channel import total_variation
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Instance, binary_channel, make_pair, stored
from fairbound.proofs.t1.smt import Solver
from fairbound.proofs.t8.symbolic import claimed_limit

TRUSTED_BASE = "z3's real arithmetic where it finds nothing; what it finds is replayed exactly"

Limit = Callable[[Any, Any, Any], Any]
WRONG: dict[str, Limit] = {
    "operating points alone": lambda gap, delta_0, delta_1: gap,
    "disparities alone": lambda gap, delta_0, delta_1: (delta_0 + delta_1) / 2,
    "operating points and half of the first disparity": lambda gap, delta_0, delta_1: gap + delta_0 / 2,
    "nine tenths of the limit": lambda gap, delta_0, delta_1: 9 * claimed_limit(gap, delta_0, delta_1) / 10,
}
"""Wrong limits, from the difference of the operating points and the two disparities."""


def run() -> str:
    """Search with z3."""
    for groups in (2, 3):
        _ask(groups, claimed_limit, None)
    for name in WRONG:
        check(find(name))
    instances = stored(__file__)
    require({i.name for i in instances} == set(WRONG), "the stored instances are not those of the wrong limits")
    for instance in instances:
        check(instance)
    return (
        "z3 finds no two models of 2 or 3 groups that break the limit inside a label, and two for each of "
        f"{len(WRONG)} wrong limits ({len(instances)} stored, replayed exactly)"
    )


def _ask(groups: int, limit: Limit, name: str | None) -> list[list[Fraction]]:
    solver = Solver()
    models = [[solver.real(f"r{b}_{a}") for a in range(groups)] for b in (0, 1)]
    tops = [solver.largest(rates) for rates in models]
    lows = [solver.smallest(rates) for rates in models]
    centres = [(top + low) / 2 for top, low in zip(tops, lows, strict=True)]
    delta = [top - low for top, low in zip(tops, lows, strict=True)]
    differ = solver.largest(solver.absolute(x - y) for x, y in zip(*models, strict=True))
    violation = differ > limit(solver.absolute(centres[0] - centres[1]), *delta)
    if name is None:
        solver.refute(violation, claim=f"{groups} groups")
        return []
    model = solver.find(violation, claim=name)
    return [[solver.value(model, rate) for rate in rates] for rates in models]


def find(name: str) -> Instance:
    """Two models of two groups that break a wrong limit; both worlds have the same composition."""
    models = _ask(2, WRONG[name], name)
    world = [["1/4", "1/4"], ["1/4", "1/4"]]
    channels = tuple(binary_channel([[rate, rate] for rate in rates]) for rates in models)
    return Instance(name, "labelled", make_pair(world, world), channels)


def check(instance: Instance) -> None:
    """
    Replay an instance exactly.

    Raises
    ------
    ProofFailure
        If it does not break the wrong limit, or breaks T8.
    """
    models = [channel.rates for channel in instance.channels]
    labels = range(len(instance.pair.labels))
    groups = range(len(instance.pair.groups))
    differ = max(total_variation(models[0][a][y], models[1][a][y]) for a in groups for y in labels)

    def largest_limit(limit: Limit) -> Fraction:
        limits = []
        for y in labels:
            rates = [[plane[y][1] for plane in model] for model in models]
            centres = [(max(r) + min(r)) / 2 for r in rates]
            delta = [channel.disparities().per_label[y] for channel in instance.channels]
            limits.append(Fraction(limit(abs(centres[0] - centres[1]), *delta)))
        return max(limits)

    require(differ > largest_limit(WRONG[instance.name]), f"{instance.name}: not broken when replayed exactly")
    require(differ <= largest_limit(claimed_limit), f"{instance.name}: breaks T8 itself")
