"""T1: search for violations, of the theorem (there are none) and of wrong bounds close to it (there are)."""

from __future__ import annotations

from itertools import product

import numpy as np

from fairbound.bounds.games import GAMES
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Formula, exact_value, published_form, replay_stored
from fairbound.proofs.t1.grid import Grid
from fairbound.proofs.t1.smt import GameSearch, Solver, label_terms
from fairbound.proofs.t1.symbolic import claimed_value, worst_case

TRUSTED_BASE = "z3's real arithmetic where it finds nothing; numpy's integers; what it finds is replayed exactly"

WRONG: dict[str, tuple[str, Formula]] = {
    "without TV_Y": ("labelled", lambda q: sum(m * d for m, d in zip(q.moved, q.delta, strict=True))),
    "nine tenths of the value": ("correctness", lambda q: 9 * exact_value(q) / 10),
    "half of TV_Y": ("unlabelled", lambda q: exact_value(q) - q.label_shift / 2),
    "smallest disparity for all labels": (
        "labelled",
        lambda q: q.label_shift + sum(q.moved) * q.smallest(q.delta),
    ),
    "W / 2 for every m_y": ("labelled", lambda q: q.label_shift + sum(q.distance / 2 * d for d in q.delta)),
    "Delta_EO * W": ("correctness", published_form),
}
"""Wrong bounds, each with the game in which it is broken."""


def run() -> str:
    """Search with z3 and on a grid."""
    one_label(2)
    one_label(3)
    two_labels()
    for name, (game, wrong) in WRONG.items():
        instance = GameSearch(2, 2).find_broken(name, game, wrong)
        require(not instance.breaks(exact_value), f"{name}: the instance breaks T1 itself")
    kept = replay_stored(__file__, {name: wrong for name, (_, wrong) in WRONG.items()}, exact_value)
    cases, broken = grid()
    return (
        "z3 finds no violation for 2 groups x 2 labels (any event) nor for one label with 2 and 3 groups, and one "
        f"for each of {len(WRONG)} wrong bounds ({kept} stored, replayed exactly); on a grid of {cases} cases the "
        f"value is the exact maximum in all three games, and Delta_EO * W is broken {broken} times"
    )


def one_label(groups: int) -> None:
    """No rates within delta give one label a larger gain than its share of the value."""
    solver = Solver()
    d, rates, shift, moved = label_terms(solver, groups)
    delta = solver.real("delta")
    for a, b in product(rates, repeat=2):
        if a is not b:
            solver.require(a - b <= delta)
    gain = solver.z3.Sum([x * r for x, r in zip(d, rates, strict=True)])
    share = claimed_value(solver.larger(shift, 0), moved, delta)
    solver.refute(gain > share, claim=f"one label, {groups} groups")


def two_labels() -> None:
    """
    No event is likelier in world 0 by more than the value.

    The rates are those of an event, `Q(S_y | a, y)`: a test of the labelled view, hence of every game's, for any number
    of outputs.
    """
    for search in GameSearch.by_signs(2, 2):
        delta = [search.real(f"delta{y}") for y in search.labels]
        rates, d = search.rates[0], search.difference
        for y in search.labels:
            search.require(rates[0][y] - rates[1][y] <= delta[y], rates[1][y] - rates[0][y] <= delta[y])
        gain = search.z3.Sum([d[a][y] * rates[a][y] for a in search.groups for y in search.labels])
        search.refute(gain > worst_case(search.label_shift, search.moved, delta), claim="2 groups, 2 labels")


def grid(masses: int = 4, steps: int = 4) -> tuple[int, int]:
    """
    Compare the value with the largest advantage over all channels on the grid, which holds the maximisers.

    Returns
    -------
    cases, broken : int
        Cases looked at, and how often `Delta_EO * W` is exceeded in the correctness game.
    """
    cube = Grid.build(masses, steps)
    own = cube.values(worst_case, cube.delta)
    limits = np.array(list(product(range(steps + 1), repeat=2)), dtype=np.int64)
    values = cube.values(worst_case, limits)
    published = cube.twice_distance[:, None] * cube.delta.max(axis=1)[None, :]
    broken = 0
    for game in GAMES:
        advantages = cube.advantages(game)
        require(bool(np.all(advantages <= own)), f"a violation on the grid, {game} game")
        for i, limit in enumerate(limits):
            within = np.all(cube.delta <= limit, axis=1)
            attained = advantages[:, within].max(axis=1)
            require(bool(np.array_equal(attained, values[:, i])), f"the value is not attained on the grid, {game} game")
        if game == "correctness":
            broken = int((advantages > published).sum())
    require(broken > 0, "Delta_EO * W holds on the grid")
    return cube.cases, broken
