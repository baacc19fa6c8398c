"""T1a: search for violations, of the theorem (there are none) and of wrong forms of it (there are)."""

from __future__ import annotations

import numpy as np

from fairbound.bounds.games import GAMES
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Formula, exact_value, replay_stored
from fairbound.proofs.t1.found import published_form as published
from fairbound.proofs.t1.grid import Grid
from fairbound.proofs.t1.smt import GameSearch
from fairbound.proofs.t1.symbolic import worst_case
from fairbound.proofs.t1a.symbolic import published_form

TRUSTED_BASE = "z3's real arithmetic where it finds nothing; numpy's integers; what it finds is replayed exactly"

WRONG: dict[str, tuple[str, bool, Formula]] = {
    "label shift allowed": ("correctness", False, published),
    "nine tenths of Delta_EO * W": ("labelled", True, lambda q: 9 * published(q) / 10),
    "smallest disparity times W": ("unlabelled", True, lambda q: q.smallest(q.delta) * q.distance),
    "mean disparity times W": ("labelled", True, lambda q: sum(q.delta) / len(q.delta) * q.distance),
}
"""Wrong bounds, each with a game in which it is broken and whether equal label marginals are kept."""


def run() -> str:
    """Search with z3 and on a grid."""
    two_labels()
    for name, (game, equal, wrong) in WRONG.items():
        instance = GameSearch(2, 2, equal_marginals=equal).find_broken(name, game, wrong)
        require(not equal or instance.pair.label_shift == 0, f"{name}: the instance has label shift")
        require(not instance.breaks(published if equal else exact_value), f"{name}: the instance breaks T1a itself")
    kept = replay_stored(__file__, {name: wrong for name, (_, _, wrong) in WRONG.items()}, exact_value)
    cases = grid()
    return (
        f"z3 finds no violation for 2 groups x 2 labels (any event), and one for each of {len(WRONG)} wrong forms "
        f"({kept} stored, replayed exactly); none among {cases} cases on a grid in the three games, where "
        "Delta_EO * W equals the exact value exactly if every label with m_y > 0 has the largest disparity"
    )


def two_labels() -> None:
    """No event is likelier in world 0 by more than `Delta_EO * W`, if the label marginals agree."""
    for search in GameSearch.by_signs(2, 2, equal_marginals=True):
        largest = search.real("largest")
        rates, d = search.rates[0], search.difference
        for y in search.labels:
            search.require(rates[0][y] - rates[1][y] <= largest, rates[1][y] - rates[0][y] <= largest)
        gain = search.z3.Sum([d[a][y] * rates[a][y] for a in search.groups for y in search.labels])
        bound = published_form(largest, search.quantities().distance)
        search.refute(gain > bound, claim="2 groups, 2 labels, equal label marginals")


def grid(masses: int = 5, steps: int = 4) -> int:
    """Look at all cases of a grid; returns their number."""
    full = Grid.build(masses, steps)
    cube = Grid(masses, steps, full.difference[np.all(full.shift == 0, axis=1)], full.rates)
    largest = cube.delta.max(axis=1)
    bound = published_form(largest[None, :], cube.twice_distance[:, None])
    for game in GAMES:
        require(bool(np.all(cube.advantages(game) <= bound)), f"a violation on the grid, {game} game")
    matters = cube.moved[:, None, :] > 0
    condition = np.all(~matters | (cube.delta == largest[:, None])[None, :, :], axis=2)
    equal = cube.values(worst_case, cube.delta) == bound
    require(bool(np.array_equal(equal, condition)), "the condition for equality is another")
    return cube.cases
