"""Compositions: which share of a population each (group, label) cell makes up, and pairs of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from fairbound.bounds.alphabet import Symbol, from_text
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import CompositionError, MissingCellError
from fairbound.bounds.rational import to_fraction

Table = tuple[tuple[Fraction, ...], ...]
"""Exact numbers per (group, label), shape (G, K)."""


@dataclass(frozen=True)
class Composition:
    """
    A joint probability mass function `pi(a, y)` of group and label.

    Parameters
    ----------
    groups, labels : tuple of Symbol
        The G groups and K labels.
    mass : tuple of tuple of Fraction, shape (G, K)
        Non-negative, with sum exactly 1.

    Raises
    ------
    CompositionError
        If the masses are negative, have another shape, or do not add up to 1.
    """

    groups: tuple[Symbol, ...]
    labels: tuple[Symbol, ...]
    mass: Table

    def __post_init__(self) -> None:
        if len(self.mass) != len(self.groups) or any(len(row) != len(self.labels) for row in self.mass):
            raise CompositionError(
                f"a composition of {len(self.groups)} groups and {len(self.labels)} labels needs a mass for each "
                "(group, label) cell."
            )
        object.__setattr__(self, "mass", tuple(tuple(Fraction(m) for m in row) for row in self.mass))
        if any(m < 0 for row in self.mass for m in row):
            raise CompositionError("a composition holds a negative mass.")
        total = sum((m for row in self.mass for m in row), Fraction(0))
        if total != 1:
            raise CompositionError(f"the masses of a composition add up to {total}, not to 1.")

    @classmethod
    def from_counts(cls, counts: Counts) -> Composition:
        """Shares of the (group, label) cells of a log."""
        rows = counts.rows
        if rows == 0:
            raise CompositionError("a composition cannot be read from a log without rows.")
        return cls(
            counts.groups,
            counts.labels,
            tuple(tuple(Fraction(n, rows) for n in row) for row in counts.cell_rows),
        )

    @classmethod
    def pure(cls, counts: Counts, group: Any) -> Composition:
        """
        The population that consists of one group alone, with that group's label marginal in the log.

        Raises
        ------
        AlphabetError
            If there is no such group.
        MissingCellError
            If the group has no rows.
        """
        index = counts.group_index(group)
        n = counts.group_rows[index]
        if n == 0:
            raise MissingCellError(f"group {group!r} has no rows, so a population of it alone has no label marginal.")
        zero = (Fraction(0),) * len(counts.labels)
        own = tuple(Fraction(k, n) for k in counts.cell_rows[index])
        return cls(
            counts.groups,
            counts.labels,
            tuple(own if i == index else zero for i in range(len(counts.groups))),
        )

    @classmethod
    def mixture(cls, weights: Sequence[Any], compositions: Sequence[Composition]) -> Composition:
        """
        Mix compositions.

        Parameters
        ----------
        weights : sequence of rational
            Non-negative, with sum exactly 1 (`Fraction`, int or text such as ``"1/3"``; a float means its
            decimal reading).
        compositions : sequence of Composition
            Over the same groups and labels.

        Raises
        ------
        CompositionError
            If the weights are no probabilities or the alphabets differ.
        """
        shares = [to_fraction(w) for w in weights]
        if not compositions or len(shares) != len(compositions):
            raise CompositionError("a mixture needs one weight for each composition, and at least one.")
        first = compositions[0]
        if any((c.groups, c.labels) != (first.groups, first.labels) for c in compositions):
            raise CompositionError("the compositions of a mixture must have the same groups and labels.")
        if any(w < 0 for w in shares) or sum(shares) != 1:
            raise CompositionError(f"the weights of a mixture must be non-negative and add up to 1, not {sum(shares)}.")
        mass = tuple(
            tuple(
                sum((w * c.mass[i][j] for w, c in zip(shares, compositions, strict=True)), Fraction(0))
                for j in range(len(first.labels))
            )
            for i in range(len(first.groups))
        )
        return cls(first.groups, first.labels, mass)

    @property
    def label_marginal(self) -> tuple[Fraction, ...]:
        """`pi(y)`, shape (K,)."""
        return tuple(sum(column, Fraction(0)) for column in zip(*self.mass, strict=True))

    def with_label_marginal(self, marginal: Sequence[Fraction]) -> Composition:
        """
        Keep `pi(a | y)` and replace the label marginal.

        Parameters
        ----------
        marginal : sequence of Fraction, shape (K,)

        Raises
        ------
        CompositionError
            If a label that gets mass has none here, so that `pi(a | y)` is undefined.
        """
        own = self.label_marginal
        for label, old, new in zip(self.labels, own, marginal, strict=True):
            if old == 0 and new > 0:
                raise CompositionError(
                    f"label {label!r} has no mass in one of the worlds, so its group shares, and the label-balanced "
                    "game, are undefined; leave that label out or use the raw game."
                )
        mass = tuple(
            tuple(m * new / old if old else Fraction(0) for m, old, new in zip(row, own, marginal, strict=True))
            for row in self.mass
        )
        return Composition(self.groups, self.labels, mass)

    def to_dict(self) -> dict[str, dict[str, str]]:
        """Masses as exact texts, by group and label."""
        return {
            str(a): {str(y): str(m) for y, m in zip(self.labels, row, strict=True)}
            for a, row in zip(self.groups, self.mass, strict=True)
        }


@dataclass(frozen=True)
class CompositionPair:
    """
    The two worlds that the adversary tells apart.

    Parameters
    ----------
    world_0, world_1 : Composition
        Over the same groups and labels.

    Raises
    ------
    CompositionError
        If the alphabets differ.
    """

    world_0: Composition
    world_1: Composition

    def __post_init__(self) -> None:
        if (self.world_0.groups, self.world_0.labels) != (self.world_1.groups, self.world_1.labels):
            raise CompositionError("both worlds of a pair must have the same groups and labels, in the same order.")

    @classmethod
    def pure(cls, counts: Counts, group_0: Any, group_1: Any) -> CompositionPair:
        """Two populations of one group each, with their label marginals in the log."""
        if counts.group_index(group_0) == counts.group_index(group_1):
            raise CompositionError(f"a pure pair needs two different groups, not {group_0!r} twice.")
        return cls(Composition.pure(counts, group_0), Composition.pure(counts, group_1))

    @classmethod
    def from_dict(
        cls, data: Any, groups: Sequence[Symbol] | None = None, labels: Sequence[Symbol] | None = None
    ) -> CompositionPair:
        """
        Read a pair from ``{"world_0": {group: {label: mass}}, "world_1": {...}}``.

        Parameters
        ----------
        data : mapping
            Masses are integers, exact texts (``"1/3"``, ``"0.25"``) or decimals; a cell left out has mass 0. A world
            whose masses are all integers is read as counts and divided by its total.
        groups, labels : sequence of Symbol, optional
            Alphabets to lay the masses out on (those of a log: `counts.groups`, `counts.labels`). Default: what the
            two worlds name, sorted; names that all read as integers become integers.

        Raises
        ------
        CompositionError
            If the structure is another, a name is unknown, or a world does not add up to 1.
        """
        worlds = []
        for name in ("world_0", "world_1"):
            world = data.get(name) if isinstance(data, Mapping) else None
            if not isinstance(world, Mapping) or not all(isinstance(row, Mapping) for row in world.values()):
                raise CompositionError(
                    'a composition pair reads {"world_0": {group: {label: mass}}, "world_1": {group: {label: mass}}}; '
                    f"{name} is missing or of another form."
                )
            worlds.append(world)
        named_groups = {str(a) for world in worlds for a in world}
        named_labels = {str(y) for world in worlds for row in world.values() for y in row}
        all_groups = _read_names(named_groups, "group") if groups is None else tuple(groups)
        all_labels = _read_names(named_labels, "label") if labels is None else tuple(labels)
        for role, named, known in (("group", named_groups, all_groups), ("label", named_labels, all_labels)):
            unknown = sorted(named - {str(symbol) for symbol in known})
            if unknown:
                raise CompositionError(
                    f"the composition pair names {role} {unknown[0]!r}, which the log does not hold."
                )
        compositions = []
        for world in worlds:
            rows = {str(a): {str(y): m for y, m in row.items()} for a, row in world.items()}
            given = [[rows.get(str(a), {}).get(str(y), 0) for y in all_labels] for a in all_groups]
            mass = [[to_fraction(m) for m in row] for row in given]
            if all(type(m) is int for row in given for m in row):
                total = sum(sum(row, Fraction(0)) for row in mass)
                if total <= 0:
                    raise CompositionError("a world of a composition pair holds no mass.")
                mass = [[m / total for m in row] for row in mass]
            compositions.append(Composition(all_groups, all_labels, tuple(map(tuple, mass))))
        return cls(*compositions)

    @property
    def groups(self) -> tuple[Symbol, ...]:
        """The groups of both worlds."""
        return self.world_0.groups

    @property
    def labels(self) -> tuple[Symbol, ...]:
        """The labels of both worlds."""
        return self.world_0.labels

    @cached_property
    def difference(self) -> Table:
        """`d(a, y) = pi_0(a, y) - pi_1(a, y)`, shape (G, K)."""
        return tuple(
            tuple(p - q for p, q in zip(row_0, row_1, strict=True))
            for row_0, row_1 in zip(self.world_0.mass, self.world_1.mass, strict=True)
        )

    @cached_property
    def shift(self) -> tuple[Fraction, ...]:
        """`s_y = sum_a d(a, y)`: how the labels' masses differ, shape (K,)."""
        return tuple(sum(column, Fraction(0)) for column in zip(*self.difference, strict=True))

    @cached_property
    def label_shift(self) -> Fraction:
        """`TV_Y`, the total variation between the two label marginals."""
        return sum((abs(s) for s in self.shift), Fraction(0)) / 2

    @cached_property
    def moved(self) -> tuple[Fraction, ...]:
        """`m_y`, the mass that moves between groups inside label y, shape (K,)."""
        return tuple(
            min(
                sum((d for d in column if d > 0), Fraction(0)),
                sum((-d for d in column if d < 0), Fraction(0)),
            )
            for column in zip(*self.difference, strict=True)
        )

    @cached_property
    def distance(self) -> Fraction:
        """`TV(pi_0, pi_1) = TV_Y + sum_y m_y`: the paper's `W` where there is no label shift."""
        return self.label_shift + sum(self.moved, Fraction(0))

    @property
    def is_pure(self) -> bool:
        """Whether each world consists of one group, and the two differ."""
        support = [
            [a for a, row in zip(world.groups, world.mass, strict=True) if any(row)]
            for world in (self.world_0, self.world_1)
        ]
        return all(len(groups) == 1 for groups in support) and support[0] != support[1]

    def label_balanced(self, marginal: Sequence[Any] | None = None) -> CompositionPair:
        """
        Give both worlds one common label marginal and keep `pi_b(a | y)`; then `TV_Y = 0`.

        Parameters
        ----------
        marginal : sequence of rational, shape (K,), optional
            The common `p(y)`. Default: the average of the two worlds' marginals.

        Raises
        ------
        CompositionError
            If a label with positive mass has none in one of the worlds.
        """
        if marginal is None:
            pairs = zip(self.world_0.label_marginal, self.world_1.label_marginal, strict=True)
            common = [(p + q) / 2 for p, q in pairs]
        else:
            common = [to_fraction(m) for m in marginal]
        return CompositionPair(self.world_0.with_label_marginal(common), self.world_1.with_label_marginal(common))

    def to_dict(self) -> dict[str, Any]:
        """Both worlds' masses as exact texts; `from_dict` reads it back."""
        return {"world_0": self.world_0.to_dict(), "world_1": self.world_1.to_dict()}


def _read_names(names: set[str], role: str) -> tuple[Symbol, ...]:
    symbols = from_text(names, role, truth_values=False).values()
    return tuple(sorted(symbols))
