"""All pairs of compositions of 2 groups and 2 labels on a grid, with all binary channels on a grid, in integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """
    Every pair and every channel on the grid.

    Masses are multiples of 1 / `masses` and rates of 1 / `steps`; everything below is an integer, advantages and T1's
    value in units of 1 / (2 masses steps).

    Attributes
    ----------
    masses, steps : int
    difference : ndarray, shape (pairs, 2, 2)
        `d(a, y)`.
    rates : ndarray, shape (channels, 2, 2)
        Rate of output 1.
    """

    masses: int
    steps: int
    difference: Integers
    rates: Integers

    @classmethod
    def build(cls, masses: int, steps: int) -> Grid:
        """All of them."""
        joints = np.array([p for p in product(range(masses + 1), repeat=4) if sum(p) == masses], dtype=np.int64)
        pairs = (joints[:, None, :] - joints[None, :, :]).reshape(-1, 2, 2)
        # Only the differences matter, and many pairs share theirs.
        pairs = np.unique(pairs, axis=0)
        rates = np.array(list(product(range(steps + 1), repeat=4)), dtype=np.int64).reshape(-1, 2, 2)
        return cls(masses, steps, pairs, rates)

    @property
    def cases(self) -> int:
        """Number of (pair, channel) combinations."""
        return len(self.difference) * len(self.rates)

    @property
    def shift(self) -> Integers:
        """`s_y`, shape (pairs, 2)."""
        shift: Integers = self.difference.sum(axis=1)
        return shift

    @property
    def moved(self) -> Integers:
        """`m_y`, shape (pairs, 2)."""
        plus = np.maximum(self.difference, 0).sum(axis=1)
        minus = np.maximum(-self.difference, 0).sum(axis=1)
        moved: Integers = np.minimum(plus, minus)
        return moved

    @property
    def twice_distance(self) -> Integers:
        """Twice `TV(pi_0, pi_1)`, shape (pairs,)."""
        distance: Integers = np.abs(self.difference).sum(axis=(1, 2))
        return distance

    @property
    def delta(self) -> Integers:
        """Disparities, shape (channels, 2)."""
        delta: Integers = np.abs(self.rates[:, 0] - self.rates[:, 1])
        return delta

    def advantages(self, game: str) -> Integers:
        """Advantages in a game, shape (pairs, channels)."""
        shows_one = np.einsum("pay,cay->pcy", self.difference, self.rates)
        shows_zero = np.einsum("pay,cay->pcy", self.difference, self.steps - self.rates)
        if game == "labelled":
            views = [shows_one[..., 0], shows_one[..., 1], shows_zero[..., 0], shows_zero[..., 1]]
        elif game == "unlabelled":
            views = [shows_one.sum(axis=2), shows_zero.sum(axis=2)]
        else:
            views = [shows_zero[..., 0] + shows_one[..., 1], shows_one[..., 0] + shows_zero[..., 1]]
        total: Integers = sum((np.abs(view) for view in views), np.zeros_like(views[0]))
        return total

    def values(self, worst_case: Callable[[Any, Any, Any], Any], delta: Integers) -> Integers:
        """T1's value for every pair and the given disparities, shape (pairs, len(delta))."""
        twice_shift = np.abs(self.shift).sum(axis=1)[:, None] * self.steps
        moved = [2 * self.moved[:, None, y] for y in (0, 1)]
        value: Integers = worst_case(twice_shift, moved, [delta[None, :, y] for y in (0, 1)])
        return value
