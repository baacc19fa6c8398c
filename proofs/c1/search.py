"""C1: z3 finds what breaks `Delta_EO * W` in each game, and nothing once the label marginals agree."""

from __future__ import annotations

from fractions import Fraction

from fairbound.bounds.games import GAMES
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Instance, exact_value, published_form, replay_stored, stored
from fairbound.proofs.t1.smt import GameSearch
from fairbound.proofs.t1a.search import two_labels

TRUSTED_BASE = "exact replay of what z3 finds; z3's real arithmetic for equal label marginals"
WRONG = {f"Delta_EO * W in the {game} game": (game, published_form) for game in GAMES}

QUARTER = Fraction(1, 4)


def run() -> str:
    """Search with z3, and replay."""
    for name, (game, wrong) in WRONG.items():
        instance = fair_instance(name, game)
        require(instance.breaks(wrong), f"{name}: not broken when replayed exactly")
    kept = replay_stored(__file__, {name: wrong for name, (_, wrong) in WRONG.items()}, exact_value)
    for instance in stored(__file__):
        delta = instance.channels[0].disparities().equalized_odds
        require(delta == 0 and instance.advantage() >= QUARTER, f"{instance.name}: Delta_EO is {delta}")
    two_labels()
    return (
        f"in each of the {kept} games z3 finds a pair and a model with Delta_EO = 0 and an advantage of at least 1/4 "
        "(stored, replayed exactly); with equal label marginals it finds nothing that breaks Delta_EO W (2 groups x 2 "
        "labels, any event)"
    )


def fair_instance(name: str, game: str) -> Instance:
    """Ask z3 for a perfectly fair model with an advantage of at least 1/4."""
    search = GameSearch(2, 2)
    for y in search.labels:
        search.require(search.rates[0][0][y] == search.rates[0][1][y])
    large = search.advantage(game) >= search.z3.RealVal(1) / 4
    return search.instance(search.find(large, claim=name), name, game)
