"""
Symbolic arithmetic in sign cells: polynomial identities, and inequalities as sums of products.

A sign cell fixes the sign of every quantity whose absolute value, positive part or minimum is taken, so that all of
them are polynomials there. sympy decides identities of polynomials, not inequalities: a quantity is accepted as
non-negative only with a way to write it as a sum of products of quantities already known to be so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sympy import QQ, ring

from fairbound.bounds.games import Game
from fairbound.proofs.failure import require

Poly = Any
"""An element of a sympy polynomial ring over the rationals, or a rational number."""


class Cell:
    """
    Quantities known to be non-negative, and what follows from them.

    Parameters
    ----------
    hypotheses : iterable of Poly
        Non-negative by assumption.
    """

    def __init__(self, hypotheses: Iterable[Poly]) -> None:
        self._known: set[Poly] = set(hypotheses)

    def knows(self, quantity: Poly) -> bool:
        """Whether a quantity is a non-negative number or known to be non-negative."""
        if isinstance(quantity, int):
            return quantity >= 0
        if quantity.is_ground:
            return bool(quantity.LC >= 0)
        return quantity in self._known

    def nonnegative(self, quantity: Poly, terms: Iterable[Sequence[Poly]], step: str) -> Poly:
        """
        Add a quantity that is a sum of products of known ones.

        Parameters
        ----------
        quantity : Poly
        terms : iterable of sequence of Poly
            The factors of each product.
        step : str
            What is being shown.

        Raises
        ------
        ProofFailure
            If a factor is not known to be non-negative, or the sum of the products is another quantity.
        """
        total: Poly = 0
        for factors in terms:
            value: Poly = 1
            for factor in factors:
                require(self.knows(factor), f"{step}: {factor} is not known to be non-negative")
                value = value * factor
            total = total + value
        require(quantity == total, f"{step}: {quantity} is not the sum of products given for it")
        self._known.add(quantity)
        return quantity

    def sign(self, quantity: Poly) -> int:
        """
        Return 1 if a quantity is known to be non-negative and -1 if its negation is.

        Raises
        ------
        ProofFailure
            If the cell fixes neither.
        """
        if self.knows(quantity):
            return 1
        require(self.knows(-quantity), f"the cell does not fix the sign of {quantity}")
        return -1

    def absolute(self, quantity: Poly) -> Poly:
        """Absolute value."""
        return self.sign(quantity) * quantity

    def positive(self, quantity: Poly) -> Poly:
        """Positive part `max(quantity, 0)`."""
        return quantity if self.sign(quantity) > 0 else 0 * quantity

    def smaller(self, first: Poly, second: Poly) -> Poly:
        """Minimum."""
        return second if self.sign(first - second) > 0 else first

    def half_l1(self, differences: Iterable[Poly]) -> Poly:
        """Half the sum of absolute values: total variation, for the differences of two pmfs."""
        return sum(self.absolute(x) for x in differences) / 2


@dataclass(frozen=True)
class SymbolicPair:
    """
    Two compositions with free masses; the last mass of each is 1 minus the others.

    Attributes
    ----------
    masses : tuple of Poly
        Every mass of both worlds, all non-negative by definition.
    difference : tuple, shape (G, K)
        `d(a, y)`.
    others : tuple of Poly
        Further symbols of the same ring.
    """

    masses: tuple[Poly, ...]
    difference: tuple[tuple[Poly, ...], ...]
    others: tuple[Poly, ...]

    @property
    def shift(self) -> tuple[Poly, ...]:
        """`s_y`."""
        return tuple(sum(column) for column in zip(*self.difference, strict=True))

    def moved(self, cell: Cell) -> tuple[Poly, ...]:
        """`m_y` in a cell that fixes the signs of d and s."""
        return tuple(moved_mass(cell, column) for column in zip(*self.difference, strict=True))

    def label_shift(self, cell: Cell) -> Poly:
        """`TV_Y` in a cell that fixes the signs of s."""
        return cell.half_l1(self.shift)

    def distance(self, cell: Cell) -> Poly:
        """`TV(pi_0, pi_1)`, from the definition, in a cell that fixes the signs of d."""
        return cell.half_l1(d for row in self.difference for d in row)


def moved_mass(cell: Cell, column: Sequence[Poly]) -> Poly:
    """`m_y = min(Dp_y, Dm_y)` of one label's differences."""
    return cell.smaller(sum(cell.positive(d) for d in column), sum(cell.positive(-d) for d in column))


def symbolic_pair(
    groups: int, labels: int, others: Sequence[str] = (), *, equal_marginals: bool = False
) -> SymbolicPair:
    """
    Two compositions in a common polynomial ring.

    Parameters
    ----------
    groups, labels : int
    others : sequence of str
        Names of further symbols.
    equal_marginals : bool
        Whether both worlds have the same label marginals: world 1's masses of the last group then follow.
    """
    cells = list(product(range(groups), range(labels)))
    free_0 = cells[:-1]
    free_1 = [(a, y) for a, y in cells if a < groups - 1] if equal_marginals else cells[:-1]
    names = [f"p{a}{y}" for a, y in free_0] + [f"q{a}{y}" for a, y in free_1]
    _, *symbols = ring([*names, *others], QQ)
    world_0: dict[tuple[int, int], Poly] = dict(zip(free_0, symbols, strict=False))
    world_1: dict[tuple[int, int], Poly] = dict(zip(free_1, symbols[len(free_0) :], strict=False))
    world_0[cells[-1]] = 1 - sum(world_0.values())
    if equal_marginals:
        for y in range(labels):
            label = sum(world_0[a, y] for a in range(groups))
            world_1[groups - 1, y] = label - sum(world_1[a, y] for a in range(groups - 1))
    else:
        world_1[cells[-1]] = 1 - sum(world_1.values())
    difference = tuple(tuple(world_0[a, y] - world_1[a, y] for y in range(labels)) for a in range(groups))
    return SymbolicPair((*world_0.values(), *world_1.values()), difference, tuple(symbols[len(names) :]))


def sign_patterns(quantities: Sequence[Poly]) -> Iterator[tuple[Poly, ...]]:
    """For each sign pattern, the quantities with signs changed such that all are non-negative."""
    for signs in product((1, -1), repeat=len(quantities)):
        yield tuple(sign * quantity for sign, quantity in zip(signs, quantities, strict=True))


def view_differences(
    difference: Sequence[Sequence[Poly]], rates: Sequence[Sequence[Mapping[Any, Poly]]], game: Game
) -> dict[Any, Poly]:
    """
    Probability of each view in world 0 minus that in world 1, from the definition of a game.

    Parameters
    ----------
    difference : shape (G, K)
        `d(a, y)`.
    rates : shape (G, K)
        For each (group, label), output -> `Q(z | a, y)`.
    game : Game
    """
    views: defaultdict[Any, Poly] = defaultdict(int)
    for row, plane in zip(difference, rates, strict=True):
        for y, (d, cell) in enumerate(zip(row, plane, strict=True)):
            for z, rate in cell.items():
                views[game.view(y, z)] += d * rate
    return dict(views)
