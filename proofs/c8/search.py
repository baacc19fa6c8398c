"""C8: z3 finds two perfectly fair models that are told apart, and none once the operating points agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from fractions import Fraction
from typing import Any

from fairbound.bounds.channel import Channel
from fairbound.bounds.composition import Composition
from fairbound.bounds.games import GAMES, Game
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import Instance, stored
from fairbound.proofs.t1.smt import GameSearch

TRUSTED_BASE = "exact replay of what z3 finds; z3's real arithmetic for equal operating points"
NAME = "two fair models, one composition"
HALF = Fraction(1, 2)


def run() -> str:
    """Search with z3, and replay."""
    check(find())
    instances = stored(__file__)
    require([i.name for i in instances] == [NAME], "the stored instance is another")
    check(instances[0])
    told = two_model_advantage(instances[0])
    search, differences = _search()
    search.require(search.rates[0][0][0] == search.rates[1][0][0], search.rates[0][0][1] == search.rates[1][0][1])
    search.refute(search.half_l1(differences) > 0, claim="equal operating points")
    return (
        f"z3 finds two models with Delta_EO = 0 and one composition that are told apart with advantage {told} (stored, "
        "replayed exactly), and none once the operating points agree too"
    )


def _search() -> tuple[GameSearch, list[Any]]:
    """Two models without disparity, each in one of two equal worlds; the search and the differences of the views."""
    search = GameSearch(2, 2, channels=2)
    cells = [(a, y) for a in search.groups for y in search.labels]
    for a, y in cells:
        search.require(search.difference[a][y] == 0)
        search.require(*(rates[a][y] == rates[0][y] for rates in search.rates))
    views: defaultdict[Hashable, list[Any]] = defaultdict(list)
    for a, y in cells:
        mass = search.worlds[0][a][y]
        for z in (0, 1):
            shown = [rates[a][y] if z else 1 - rates[a][y] for rates in search.rates]
            views[GAMES["labelled"].view(y, z)].append(mass * (shown[0] - shown[1]))
    return search, [search.z3.Sum(terms) for terms in views.values()]


def find() -> Instance:
    """Ask z3 for two models."""
    search, differences = _search()
    model = search.find(2 * search.half_l1(differences) >= 1, claim=NAME)
    return search.instance(model, NAME, "labelled")


def views(composition: Composition, channel: Channel, game: Game) -> dict[Hashable, Fraction]:
    """Probabilities of the views of one world, from the definition of a game."""
    found: defaultdict[Hashable, Fraction] = defaultdict(Fraction)
    for row, plane in zip(composition.mass, channel.rates, strict=True):
        for y, mass, cell in zip(channel.labels, row, plane, strict=True):
            for z, rate in zip(channel.outputs, cell, strict=True):
                found[game.view(y, z)] += mass * rate
    return found


def two_model_advantage(instance: Instance) -> Fraction:
    """Total variation between the views of world 0 under the first model and of world 1 under the second."""
    game = GAMES[instance.game]
    first = views(instance.pair.world_0, instance.channels[0], game)
    second = views(instance.pair.world_1, instance.channels[1], game)
    return sum((abs(first[view] - second[view]) for view in first), Fraction(0)) / 2


def check(instance: Instance) -> None:
    """
    Replay an instance exactly.

    Raises
    ------
    ProofFailure
        If it is no counterexample.
    """
    require(instance.pair.world_0 == instance.pair.world_1, "the worlds differ")
    for channel in instance.channels:
        require(channel.disparities().equalized_odds == 0, "a model has a disparity")
    require(two_model_advantage(instance) >= HALF, "the models are not told apart")
