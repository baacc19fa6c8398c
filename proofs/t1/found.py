"""Instances that break a wrong bound: exact, kept as JSON beside the claim, replayed from the definitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.channel import Channel
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.games import GAMES
from fairbound.proofs.failure import require


@dataclass(frozen=True)
class Quantities:
    """
    What bounds are made of, as exact numbers or as terms of a solver.

    Attributes
    ----------
    label_shift : Any
        `TV_Y`.
    moved : tuple, shape (K,)
        `m_y`.
    distance : Any
        `W = TV(pi_0, pi_1)`.
    delta : tuple, shape (K,)
        Disparities.
    pairwise : tuple, shape (K, G, G)
        Distances between pairs of groups.
    largest, smallest : callable
        Maximum and minimum of a sequence.
    """

    label_shift: Any
    moved: tuple[Any, ...]
    distance: Any
    delta: tuple[Any, ...]
    pairwise: tuple[Any, ...] = ()
    largest: Callable[[Any], Any] = max
    smallest: Callable[[Any], Any] = min


Formula = Callable[[Quantities], Any]


def exact_value(q: Quantities) -> Any:
    """T1's value."""
    return q.label_shift + sum(m * d for m, d in zip(q.moved, q.delta, strict=True))


def published_form(q: Quantities) -> Any:
    """`Delta_EO * W`."""
    return q.largest(q.delta) * q.distance


@dataclass(frozen=True)
class Instance:
    """
    A composition pair with one channel or two, in one game.

    Attributes
    ----------
    name : str
        Which wrong bound it breaks.
    game : str
    pair : CompositionPair
    channels : tuple of Channel
    """

    name: str
    game: str
    pair: CompositionPair
    channels: tuple[Channel, ...]

    def advantage(self, channel: int = 0) -> Fraction:
        """Advantage against one of the channels, from the definition of the game."""
        return GAMES[self.game].advantage(self.pair, self.channels[channel])

    def quantities(self, channel: int = 0) -> Quantities:
        """Exact quantities of one of the channels."""
        own = self.channels[channel].disparities()
        return Quantities(self.pair.label_shift, self.pair.moved, self.pair.distance, own.per_label, own.pairwise)

    def breaks(self, formula: Formula) -> bool:
        """Whether the advantage exceeds a would-be bound."""
        return bool(self.advantage() > formula(self.quantities()))

    def to_dict(self) -> dict[str, Any]:
        """Exact numbers as texts."""
        rates = [[[[str(r) for r in row] for row in plane] for plane in c.rates] for c in self.channels]
        return {"name": self.name, "game": self.game, "pair": self.pair.to_dict(), "channels": rates}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Instance:
        """Read back what `to_dict` wrote."""
        first = data["pair"]["world_0"]
        groups: tuple[Symbol, ...] = tuple(int(a) for a in first)
        labels: tuple[Symbol, ...] = tuple(int(y) for y in first["0"])
        pair = CompositionPair.from_dict(data["pair"], groups, labels)
        channels = tuple(make_channel(rates) for rates in data["channels"])
        return cls(data["name"], data["game"], pair, channels)


def make_pair(world_0: Any, world_1: Any) -> CompositionPair:
    """Composition pair over groups and labels 0, 1, ... from masses of shape (G, K)."""
    groups: tuple[Symbol, ...] = tuple(range(len(world_0)))
    labels: tuple[Symbol, ...] = tuple(range(len(world_0[0])))
    worlds = (tuple(tuple(Fraction(m) for m in row) for row in world) for world in (world_0, world_1))
    return CompositionPair(*(Composition(groups, labels, world) for world in worlds))


def make_channel(rates: Any) -> Channel:
    """Channel over groups, labels and outputs 0, 1, ... from rates of shape (G, K, Z)."""
    exact = tuple(tuple(tuple(Fraction(r) for r in row) for row in plane) for plane in rates)
    groups: tuple[Symbol, ...] = tuple(range(len(exact)))
    labels: tuple[Symbol, ...] = tuple(range(len(exact[0])))
    outputs: tuple[Symbol, ...] = tuple(range(len(exact[0][0])))
    return Channel(groups, labels, outputs, exact)


def binary_channel(rates: Any) -> Channel:
    """Channel with outputs 0 and 1 from the rates of output 1, shape (G, K)."""
    return make_channel([[[1 - Fraction(r), Fraction(r)] for r in row] for row in rates])


def stored(module_file: str) -> list[Instance]:
    """Instances kept in `found.json` beside a module."""
    text = Path(module_file).with_name("found.json").read_text(encoding="utf-8")
    return [Instance.from_dict(data) for data in json.loads(text)]


def replay_stored(module_file: str, wrong: dict[str, Formula], right: Formula) -> int:
    """
    Check that the stored instances break the wrong bounds and not the right one; returns their number.

    Raises
    ------
    ProofFailure
        If one does not, or a wrong bound has no stored instance.
    """
    instances = stored(module_file)
    require({i.name for i in instances} == set(wrong), "the stored instances are not those of the wrong bounds")
    for instance in instances:
        require(instance.breaks(wrong[instance.name]), f"the stored instance does not break: {instance.name}")
        require(not instance.breaks(right), f"the stored instance for '{instance.name}' breaks the theorem itself")
    return len(instances)
