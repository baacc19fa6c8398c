"""Channels: how a model turns (group, label) into what the adversary is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import NumberError

OnMissing = Literal["error", "vacuous"]


@dataclass(frozen=True)
class Channel:
    """
    Conditional probabilities `Q(z | a, y)`.

    Parameters
    ----------
    groups, labels, outputs : tuple of Symbol
        The G groups, K labels and Z outputs.
    rates : tuple, shape (G, K, Z)
        Non-negative fractions; each (group, label) cell adds up to exactly 1.

    Raises
    ------
    NumberError
        If a cell is no probability mass function.
    """

    groups: tuple[Symbol, ...]
    labels: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]
    rates: tuple[tuple[tuple[Fraction, ...], ...], ...]

    def __post_init__(self) -> None:
        for a, plane in zip(self.groups, self.rates, strict=True):
            for y, row in zip(self.labels, plane, strict=True):
                if len(row) != len(self.outputs) or any(r < 0 for r in row) or sum(row) != 1:
                    raise NumberError(f"the rates of group {a!r}, label {y!r} are no probability mass function.")

    @classmethod
    def from_counts(cls, counts: Counts) -> Channel:
        """
        The channel that a log shows.

        Raises
        ------
        MissingCellError
            If a (group, label) cell has no rows.
        """
        counts.require_cells()
        rates = tuple(tuple(counts.rate(a, y) for y in counts.labels) for a in counts.groups)
        return cls(counts.groups, counts.labels, counts.outputs, rates)

    def disparities(self) -> Disparities:
        """Disparity of each label: the largest total variation between two groups' rows."""
        return Disparities(
            self.labels,
            tuple(
                tuple(tuple(total_variation(row_a, row_b) for row_b in column) for row_a in column)
                for column in zip(*self.rates, strict=True)
            ),
        )


@dataclass(frozen=True)
class Disparities:
    """
    Distances between the groups' conditional output distributions, label by label.

    Parameters
    ----------
    labels : tuple of Symbol
        The K labels.
    pairwise : tuple, shape (K, G, G)
        `TV(Q(.|a,y), Q(.|a',y))`, exact or an upper limit of it; symmetric with zero diagonal.
    """

    labels: tuple[Symbol, ...]
    pairwise: tuple[tuple[tuple[Fraction, ...], ...], ...]

    @classmethod
    def from_counts(cls, counts: Counts, *, on_missing: OnMissing = "error") -> Disparities:
        """
        Disparities that a log shows.

        Parameters
        ----------
        counts : Counts
        on_missing : {"error", "vacuous"}
            What an empty (group, label) cell means: an error, or distance 1 (the trivial bound) to every other
            group.

        Raises
        ------
        MissingCellError
            If a cell is empty and `on_missing` is ``"error"``.
        """
        if on_missing == "error":
            counts.require_cells()
        pairwise = []
        for j in range(len(counts.labels)):
            rows = [plane[j] for plane in counts.table]
            totals = [sum(row) for row in rows]

            def distance(a: int, b: int, rows: Any = rows, totals: Any = totals) -> Fraction:
                return _count_distance(rows[a], totals[a], rows[b], totals[b])

            pairwise.append(distance_matrix(len(rows), distance))
        return cls(counts.labels, tuple(pairwise))

    @cached_property
    def per_label(self) -> tuple[Fraction, ...]:
        """`delta_y`, the largest distance between two groups, shape (K,)."""
        return tuple(max((d for row in matrix for d in row), default=Fraction(0)) for matrix in self.pairwise)

    def between(self, first: int, second: int) -> tuple[Fraction, ...]:
        """Distances of two groups, given by their positions, shape (K,)."""
        return tuple(matrix[first][second] for matrix in self.pairwise)

    @cached_property
    def equalized_odds(self) -> Fraction:
        """`Delta_EO = max_y delta_y` (fairlearn's `equalized_odds_difference` on binary problems)."""
        return max(self.per_label)


def total_variation(p: Sequence[Fraction], q: Sequence[Fraction]) -> Fraction:
    """Total variation distance of two probability mass functions on one finite alphabet."""
    return sum((a - b for a, b in zip(p, q, strict=True) if a > b), Fraction(0))


def _count_distance(row_a: Sequence[int], n_a: int, row_b: Sequence[int], n_b: int) -> Fraction:
    if n_a == 0 or n_b == 0:
        return Fraction(1)
    # Over the common denominator the distance is integer arithmetic.
    return Fraction(sum(max(0, p * n_b - q * n_a) for p, q in zip(row_a, row_b, strict=True)), n_a * n_b)


def distance_matrix(n: int, distance: Callable[[int, int], Fraction]) -> tuple[tuple[Fraction, ...], ...]:
    """Symmetric (n, n) matrix with zero diagonal from a function of two positions."""
    upper = {(a, b): distance(a, b) for a in range(n) for b in range(a + 1, n)}
    return tuple(tuple(upper[min(a, b), max(a, b)] if a != b else Fraction(0) for b in range(n)) for a in range(n))
