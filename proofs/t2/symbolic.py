"""T2, derived cell by cell: the witness is within delta and has T1's value in each of the three games."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairbound.bounds.games import CORRECTNESS, GAMES, Game
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, SymbolicPair, sign_patterns, symbolic_pair, view_differences
from fairbound.proofs.t1.symbolic import worst_case

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"
SIZES = ((2, 2), (3, 2), (2, 3))


def witness_rates(shift_sign: int, delta: Poly) -> tuple[Poly, Poly]:
    """Rates at which the groups with d > 0, and those with d < 0, fire."""
    return (1 + 0 * delta, 1 - delta) if shift_sign > 0 else (delta, 0 * delta)


def run() -> str:
    """Derive T2 in every sign cell of the sizes named above, in the three games."""
    cells = sum(size(groups, labels) for groups, labels in SIZES)
    return (
        f"for 2 x 2, 3 x 2 and 2 x 3 groups x labels ({cells} sign cells), in each of the three games: the witness is "
        "a channel with disparities at most delta and its advantage, from the definition of the game, is "
        "TV_Y + sum m delta"
    )


def size(groups: int, labels: int) -> int:
    """One size; returns the number of sign cells."""
    pair = symbolic_pair(groups, labels, [f"delta{y}" for y in range(labels)])
    delta = pair.others
    cells = 0
    for signs in sign_patterns([*(d for row in pair.difference for d in row), *pair.shift]):
        of_s = signs[groups * labels :]
        if len({s == t for s, t in zip(of_s, pair.shift, strict=True)}) == 1:
            continue  # the shifts add up to 0: all of one sign are all 0, a point of the other closed cells
        cell = Cell([*pair.masses, *signs, *delta, *(1 - x for x in delta)])
        claimed = worst_case(pair.label_shift(cell), pair.moved(cell), delta)
        fires = _firing(cell, pair, delta)
        for game in GAMES.values():
            _advantage(cell, pair, delta, fires, game, claimed)
        cells += 1
    return cells


def _firing(cell: Cell, pair: SymbolicPair, delta: Sequence[Poly]) -> list[list[Poly]]:
    """Rates at which each (group, label) fires, checked to be within delta."""
    labels = range(len(delta))
    levels = [witness_rates(cell.sign(s), x) for s, x in zip(pair.shift, delta, strict=True)]
    for (high, low), x in zip(levels, delta, strict=True):
        require(all(cell.knows(rate) and cell.knows(1 - rate) for rate in (high, low)), "a rate is outside [0, 1]")
        require(cell.absolute(high - low) == x, "the disparity is not delta")
    return [[levels[y][0] if cell.sign(row[y]) > 0 else levels[y][1] for y in labels] for row in pair.difference]


def _advantage(
    cell: Cell, pair: SymbolicPair, delta: Sequence[Poly], fires: Sequence[Sequence[Poly]], game: Game, claimed: Poly
) -> None:
    labels = range(len(delta))

    def shown(y: int) -> tuple[int, int]:
        # "Fires" means: is correct, in the correctness game; shows the last output, in the others.
        return (y, (y + 1) % len(delta)) if game is CORRECTNESS else (len(delta) - 1, 0)

    rates: list[list[dict[Any, Poly]]] = [
        [{shown(y)[0]: row[y], shown(y)[1]: 1 - row[y]} for y in labels] for row in fires
    ]
    views = view_differences(pair.difference, rates, game)
    fired: dict[Any, list[tuple[Poly, ...]]] = {}
    stayed: dict[Any, list[tuple[Poly, ...]]] = {}
    for y in labels:
        column = [row[y] for row in pair.difference]
        plus = [x for x in column if cell.sign(x) > 0]
        minus = [-x for x in column if cell.sign(x) < 0]
        shift = pair.shift[y]
        # Firing gains s + delta Dm (or delta Dp); not firing loses delta Dm (or -s + delta Dp).
        gains = [(shift,), *((delta[y], x) for x in minus)] if cell.sign(shift) > 0 else [(delta[y], x) for x in plus]
        losses = [(delta[y], x) for x in minus] if cell.sign(shift) > 0 else [(-shift,), *((delta[y], x) for x in plus)]
        fired.setdefault(game.view(y, shown(y)[0]), []).extend(gains)
        stayed.setdefault(game.view(y, shown(y)[1]), []).extend(losses)
    for view, terms in fired.items():
        cell.nonnegative(views[view], terms, f"{game.name}: a view that fires is likelier in world 0")
    for view, terms in stayed.items():
        cell.nonnegative(-views[view], terms, f"{game.name}: a view that does not is likelier in world 1")
    advantage = cell.half_l1(views.values())
    require(advantage == claimed, f"{game.name}: the witness has advantage {advantage}, not {claimed}")
