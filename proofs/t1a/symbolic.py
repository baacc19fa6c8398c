"""T1a, derived cell by cell: without label shift the exact value is `sum_y m_y delta_y`, at most `Delta_EO * W`."""

from __future__ import annotations

from sympy import QQ, ring

from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, sign_patterns, symbolic_pair
from fairbound.proofs.t1.symbolic import worst_case

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"
SIZES = ((2, 2), (2, 3), (3, 2))


def published_form(largest: Poly, distance: Poly) -> Poly:
    """`Delta_EO * W`."""
    return largest * distance


def run() -> str:
    """Derive T1a in every sign cell of the sizes named above."""
    cells = sum(sizes(groups, labels) for groups, labels in SIZES)
    for labels in (2, 3):
        pure_groups(labels)
    return (
        f"for 2 x 2, 2 x 3 and 3 x 2 groups x labels ({cells} sign cells): with equal label marginals W = sum m, and "
        "Delta_EO W - sum m delta is the sum of the non-negative m_y (Delta_EO - delta_y), so it vanishes exactly if "
        "each of them does; W = 1 for two pure groups"
    )


def sizes(groups: int, labels: int) -> int:
    """One size; returns the number of sign cells."""
    names = [f"delta{y}" for y in range(labels)]
    pair = symbolic_pair(groups, labels, [*names, "largest"], equal_marginals=True)
    *delta, largest = pair.others
    require(all(s == 0 for s in pair.shift), "equal label marginals leave a shift")
    cells = 0
    for signs in sign_patterns([d for row in pair.difference for d in row]):
        cell = Cell([*pair.masses, *signs, *(largest - x for x in delta)])
        moved = pair.moved(cell)
        for y, m in enumerate(moved):
            minus = [-row[y] for row in pair.difference if cell.sign(row[y]) < 0]
            cell.nonnegative(m, [(x,) for x in minus], "the mass that moves")
        distance = pair.distance(cell)
        require(distance == sum(moved), f"W = {distance} is not the mass that moves")
        value = worst_case(pair.label_shift(cell), moved, delta)
        losses = [(m, largest - x) for m, x in zip(moved, delta, strict=True)]
        cell.nonnegative(published_form(largest, distance) - value, losses, "Delta_EO * W is at least the value")
        cells += 1
    return cells


def pure_groups(labels: int) -> None:
    """Two worlds of one group each have distance 1, whatever their label marginals."""
    names = [f"{world}{y}" for world in "pq" for y in range(labels - 1)]
    _, *free = ring(names, QQ)
    world_0, world_1 = ([*half, 1 - sum(half)] for half in (free[: labels - 1], free[labels - 1 :]))
    difference = [*world_0, *(-q for q in world_1)]
    cell = Cell([*world_0, *world_1])
    require(cell.half_l1(difference) == 1, "two pure groups have another distance than 1")
