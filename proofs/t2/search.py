"""T2: search for pairs on which the witness misses the value (there are none) and wrong witnesses do (there are)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from fairbound.bounds.exact import witness, worst_case_advantage
from fairbound.bounds.games import GAMES
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Instance, exact_value, make_pair, stored
from fairbound.proofs.t1.smt import GameSearch
from fairbound.proofs.t1.symbolic import worst_case
from fairbound.proofs.t2.symbolic import witness_rates

TRUSTED_BASE = "z3's real arithmetic where it finds nothing; what it finds is replayed exactly"

WRONG: dict[str, Callable[[int, Any], tuple[Any, Any]]] = {
    "high rate 1 whatever the shift": lambda sign, delta: (1, 1 - delta),
    "low rate 0 whatever the shift": lambda sign, delta: (delta, 0),
    "rates around 1/2": lambda sign, delta: ((1 + delta) / 2, (1 - delta) / 2),
}
"""Wrong witnesses: the rates of the groups with d > 0 and d < 0, given the sign of the shift."""


def run() -> str:
    """Search with z3, and replay the library's witness on a grid."""
    two_labels()
    for name in WRONG:
        check(find_wrong(name))
    instances = stored(__file__)
    require({i.name for i in instances} == set(WRONG), "the stored instances are not those of the wrong witnesses")
    for instance in instances:
        check(instance)
    replayed = grid(2, 2, 3) + grid(3, 2, 2)
    return (
        "z3 finds no pair of 2 groups x 2 labels for which the witness misses the value in the labelled game, and one "
        f"for each of {len(WRONG)} wrong witnesses ({len(instances)} stored, replayed exactly); fairbound's own "
        f"witness has exactly the value in {replayed} cases of a grid, in the three games"
    )


def two_labels() -> None:
    """The witness's advantage in the labelled game is T1's value for every pair and delta."""
    for search in GameSearch.by_signs(2, 2):
        delta = [search.real(f"delta{y}") for y in search.labels]
        require(search.signs is not None, "the signs are not fixed")
        of_d, of_s = search.signs  # type: ignore[misc]
        levels = [witness_rates(sign, x) for sign, x in zip(of_s, delta, strict=True)]
        for a, y in product(search.groups, search.labels):
            search.require(search.rates[0][a][y] == levels[y][0 if of_d[a][y] > 0 else 1])
        claimed = worst_case(search.label_shift, search.moved, delta)
        search.refute(search.advantage("labelled") != claimed, claim="2 groups, 2 labels, labelled game")


def find_wrong(name: str) -> Instance:
    """A pair for which a wrong witness misses the value."""
    search = GameSearch(2, 2)
    z3, rates = search.z3, search.rates[0]
    delta = [search.real(f"delta{y}") for y in search.labels]
    for y in search.labels:
        up, down = WRONG[name](1, delta[y]), WRONG[name](-1, delta[y])
        high, low = (z3.If(search.shift[y] >= 0, one, other) for one, other in zip(up, down, strict=True))
        for a in search.groups:
            search.require(rates[a][y] == z3.If(search.difference[a][y] > 0, high, low))
    q = search.quantities()
    model = search.find(search.advantage("labelled") < worst_case(q.label_shift, q.moved, q.delta), claim=name)
    return search.instance(model, name, "labelled")


def check(instance: Instance) -> None:
    """
    Replay a wrong witness: its advantage is below the value for its own disparities.

    Raises
    ------
    ProofFailure
        If it is not, or the channel is not that witness.
    """
    channel, pair = instance.channels[0], instance.pair
    delta = channel.disparities().per_label
    for row, plane in zip(pair.difference, channel.rates, strict=True):
        for y, d in enumerate(row):
            high, low = WRONG[instance.name](1 if pair.shift[y] >= 0 else -1, delta[y])
            both = len({x[y] > 0 for x in pair.difference}) == 2
            require(not both or plane[y][1] == (high if d > 0 else low), f"{instance.name}: another channel")
    require(instance.advantage() < exact_value(instance.quantities()), f"{instance.name}: attains the value")


def grid(groups: int, labels: int, masses: int) -> int:
    """Replay the library's witness for all pairs on a grid; returns the number of cases."""
    cells = groups * labels
    joints = [
        [[Fraction(m, masses) for m in joint[a * labels : (a + 1) * labels]] for a in range(groups)]
        for joint in product(range(masses + 1), repeat=cells)
        if sum(joint) == masses
    ]
    deltas: Sequence[tuple[Fraction, ...]] = list(product((Fraction(1, 3), Fraction(1)), repeat=labels))
    cases = 0
    seen = set()
    for world_0, world_1 in product(joints, repeat=2):
        pair = make_pair(world_0, world_1)
        if pair.difference in seen:
            continue
        seen.add(pair.difference)
        for delta, game in product(deltas, GAMES):
            found = witness(pair, delta, game)
            own = found.channel.disparities().per_label
            require(all(x <= y for x, y in zip(own, delta, strict=True)), "the witness exceeds its disparities")
            require(found.replay() == worst_case_advantage(pair, delta).value, "the witness misses the value")
            cases += 1
    return cases
