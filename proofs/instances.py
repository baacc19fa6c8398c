"""Families of random rational instances, each a function of its seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.channel import Channel
from fairbound.bounds.composition import Composition, CompositionPair

_GROUPS: tuple[Symbol, ...] = ("a", "b", "c", "d")


def composition_pairs(number: int, *, seed: int, max_groups: int = 4, max_labels: int = 5) -> Iterator[CompositionPair]:
    """
    Pairs of compositions over 2 to `max_groups` groups and 2 to `max_labels` labels, label shift and zeros included.

    Parameters
    ----------
    number, seed : int
    max_groups, max_labels : int
    """
    source = random.Random(seed)
    for _ in range(number):
        groups, labels = source.randint(2, max_groups), source.randint(2, max_labels)
        yield CompositionPair(*(_composition(source, groups, labels) for _ in range(2)))


def disparities(pair: CompositionPair, *, seed: int) -> tuple[Fraction, ...]:
    """One disparity in [0, 1] per label of a pair."""
    source = random.Random(seed)
    return tuple(Fraction(source.randint(0, 60), 60) for _ in pair.labels)


def channel(pair: CompositionPair, *, seed: int, outputs: int = 2) -> Channel:
    """A channel over a pair's groups and labels, with rates of small denominator."""
    source = random.Random(seed)
    rates = tuple(tuple(_pmf(source, outputs) for _ in pair.labels) for _ in pair.groups)
    return Channel(pair.groups, pair.labels, tuple(range(outputs)), rates)


def _pmf(source: random.Random, size: int) -> tuple[Fraction, ...]:
    weights = [source.randint(0, 9) for _ in range(size)]
    while not any(weights):
        weights = [source.randint(0, 9) for _ in range(size)]
    return tuple(Fraction(w, sum(weights)) for w in weights)


def _composition(source: random.Random, groups: int, labels: int) -> Composition:
    flat = _pmf(source, groups * labels)
    mass = tuple(flat[i * labels : (i + 1) * labels] for i in range(groups))
    return Composition(_GROUPS[:groups], tuple(range(labels)), mass)
