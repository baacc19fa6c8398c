"""T3, derived cell by cell: two groups without label shift, where every model's advantage is `sum_y m_y delta_y`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import QQ, ring

from fairbound.bounds.games import LABELLED
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, sign_patterns, symbolic_pair, view_differences

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"
SIZES = ((2, 2), (2, 3), (3, 2))
"""Numbers of labels and of outputs."""


def claimed_advantage(moved: Sequence[Poly], delta: Sequence[Poly]) -> Poly:
    """T3's value."""
    return sum(m * x for m, x in zip(moved, delta, strict=True))


def run() -> str:
    """Derive the value in every sign cell of the sizes named above, and the three conditions from it."""
    cells = sum(value(labels, outputs) for labels, outputs in SIZES)
    for labels in (2, 3, 4):
        conditions(labels)
    return (
        f"for 2 and 3 labels with 2 outputs and 2 labels with 3 ({cells} sign cells): with two groups and no label "
        "shift the labelled advantage is sum m delta, from the definition; the necessary and the sufficient condition "
        "and the budget follow from it as sums of products (2 to 4 labels)"
    )


def value(labels: int, outputs: int) -> int:
    """One size; returns the number of sign cells."""
    names = [f"r{a}{y}{z}" for a in (0, 1) for y in range(labels) for z in range(1, outputs)]
    pair = symbolic_pair(2, labels, names, equal_marginals=True)
    free = iter(pair.others)
    rates: list[list[dict[Any, Poly]]] = []
    for _ in (0, 1):
        plane: list[dict[Any, Poly]] = []
        for _ in range(labels):
            cell_rates: dict[Any, Poly] = {z: next(free) for z in range(1, outputs)}
            plane.append({0: 1 - sum(cell_rates.values()), **cell_rates})
        rates.append(plane)
    d = pair.difference[0]
    require(all(x == -y for x, y in zip(*pair.difference, strict=True)), "the groups' differences are not opposite")
    gaps = {(y, z): rates[0][y][z] - rates[1][y][z] for y in range(labels) for z in range(outputs)}
    views = view_differences(pair.difference, rates, LABELLED)
    cells = 0
    for signs in sign_patterns([*d, *gaps.values()]):
        cell = Cell(signs)
        for (y, z), gap in gaps.items():
            sign = cell.sign(d[y]) * cell.sign(gap)
            cell.nonnegative(sign * views[y, z], [(cell.absolute(d[y]), cell.absolute(gap))], "a view's sign")
        delta = [cell.half_l1(gaps[y, z] for z in range(outputs)) for y in range(labels)]
        advantage, claimed = cell.half_l1(views.values()), claimed_advantage(pair.moved(cell), delta)
        require(advantage == claimed, f"the advantage is {advantage}, not {claimed}")
        cells += 1
    return cells


def conditions(labels: int) -> None:
    """
    What follows from the value, for two models with disparities delta and delta' (`largest` is Delta_EO).

    Necessary: were delta'_y >= delta_y for every y with m_y > 0, then Adv(M') >= Adv(M).
    Sufficient: Delta_EO(M') W < Adv(M) gives Adv(M') < Adv(M). Budget: Delta_EO W <= tau gives Adv <= tau.
    """
    names = [f"{name}{y}" for name in ("m", "old", "new") for y in range(labels)]
    _, largest, tau, *symbols = ring(["largest", "tau", *names], QQ)
    moved, old, new = symbols[:labels], symbols[labels : 2 * labels], symbols[2 * labels :]
    distance = sum(moved)
    before, after = claimed_advantage(moved, old), claimed_advantage(moved, new)

    cell = Cell([*moved, *(x - y for x, y in zip(new, old, strict=True))])
    rises = [(m, x - y) for m, x, y in zip(moved, new, old, strict=True)]
    cell.nonnegative(after - before, rises, "necessary condition")

    cell = Cell([*moved, before - largest * distance, *(largest - x for x in new)])
    room = [(m, largest - x) for m, x in zip(moved, new, strict=True)]
    cell.nonnegative(before - after, [(before - largest * distance,), *room], "sufficient condition")

    cell = Cell([*moved, tau - largest * distance, *(largest - x for x in new)])
    cell.nonnegative(tau - after, [(tau - largest * distance,), *room], "budget")
