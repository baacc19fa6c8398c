"""T3: search for models that break the conditions (there are none) and conditions close to them (there are)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Instance, Quantities, stored
from fairbound.proofs.t1.smt import GameSearch, Solver, label_terms
from fairbound.proofs.t3.symbolic import claimed_advantage

TRUSTED_BASE = "z3's real arithmetic where it finds nothing; what it finds is replayed exactly"

Premise = Callable[[Quantities, Quantities, Any, Any], list[Any]]
"""From both models' quantities and advantages, old model first, to what is assumed."""


def _largest_falls(old: Quantities, new: Quantities, before: Any, after: Any) -> list[Any]:
    return [new.largest(new.delta) < old.largest(old.delta)]


def _smallest_below(old: Quantities, new: Quantities, before: Any, after: Any) -> list[Any]:
    return [new.smallest(new.delta) * new.distance < before]


def _one_falls(old: Quantities, new: Quantities, before: Any, after: Any) -> list[Any]:
    return [new.delta[0] < old.delta[0], old.moved[0] > 0]


WRONG: dict[str, Premise] = {
    "a smaller Delta_EO lowers the advantage": _largest_falls,
    "min delta' * W < Adv suffices": _smallest_below,
    "one smaller disparity that matters suffices": _one_falls,
}
"""Conditions that do not make the advantage fall."""
SHIFTED = "necessary with label shift"


def run() -> str:
    """Search with z3."""
    one_label()
    for name in WRONG:
        check(find_insufficient(name))
    check(find_shifted())
    instances = stored(__file__)
    require({i.name for i in instances} == {*WRONG, SHIFTED}, "the stored instances are not those of the conditions")
    for instance in instances:
        check(instance)
    return (
        "inside a label of two groups without label shift z3 finds no binary output whose advantage differs from m "
        f"delta; it refutes {len(WRONG)} weaker sufficient conditions, and the necessary condition "
        f"with label shift ({len(instances)} stored, replayed exactly)"
    )


def one_label() -> None:
    """Inside a label of two groups without shift, the advantage of a binary output is m delta."""
    solver = Solver()
    d, rates, shift, moved = label_terms(solver, 2)
    solver.require(shift == 0)
    fires = solver.z3.Sum([x * r for x, r in zip(d, rates, strict=True)])
    stays = solver.z3.Sum([x * (1 - r) for x, r in zip(d, rates, strict=True)])
    delta = solver.absolute(rates[0] - rates[1])
    solver.refute(solver.half_l1([fires, stays]) != claimed_advantage([moved], [delta]), claim="one label, two groups")


def find_insufficient(name: str) -> Instance:
    """Two models that meet a condition although the advantage does not fall."""
    search = GameSearch(2, 2, channels=2, equal_marginals=True)
    before, after = search.advantage("labelled", 0), search.advantage("labelled", 1)
    premise = WRONG[name](search.quantities(0), search.quantities(1), before, after)
    return search.instance(search.find(*premise, after >= before, claim=name), name, "labelled")


def find_shifted() -> Instance:
    """Two models on a pair with label shift: the advantage falls and no disparity does."""
    search = GameSearch(2, 2, channels=2)
    no_fall = [new >= old for old, new in zip(search.delta(0), search.delta(1), strict=True)]
    falls = search.advantage("labelled", 1) < search.advantage("labelled", 0)
    return search.instance(search.find(*no_fall, falls, claim=SHIFTED), SHIFTED, "labelled")


def check(instance: Instance) -> None:
    """
    Replay an instance exactly.

    Raises
    ------
    ProofFailure
        If it does not show what its name says.
    """
    old, new = instance.quantities(0), instance.quantities(1)
    before, after = instance.advantage(0), instance.advantage(1)
    if instance.name == SHIFTED:
        require(instance.pair.label_shift > 0, f"{instance.name}: no label shift")
        require(after < before and all(x <= y for x, y in zip(old.delta, new.delta, strict=True)), instance.name)
        return
    require(instance.pair.label_shift == 0, f"{instance.name}: label shift")
    require(all(WRONG[instance.name](old, new, before, after)) and after >= before, instance.name)
    for q, advantage in ((old, before), (new, after)):
        require(advantage == claimed_advantage(q.moved, q.delta), f"{instance.name}: T3's value fails")
