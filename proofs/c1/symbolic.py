"""C1: models with no disparity at all, whose advantage is the difference of the base rates, in each game."""

from __future__ import annotations

from sympy import QQ, ring

from fairbound.bounds.games import CORRECTNESS, LABELLED, UNLABELLED
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, sign_patterns, view_differences

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"


def constant_rate(group: int) -> int:
    """Rate at which the constant classifier shows output 1."""
    return 1


def run() -> str:
    """Derive disparities, W and advantages for arbitrary base rates."""
    # Shares of label 1 in the two worlds.
    _, p, q = ring(["p", "q"], QQ)
    zero = 0 * p
    one = zero + 1
    world_0, world_1 = ((1 - p, p), (zero, zero)), ((zero, zero), (1 - q, q))
    d = tuple(tuple(x - y for x, y in zip(*rows, strict=True)) for rows in zip(world_0, world_1, strict=True))
    constant = [[{0: one - constant_rate(a), 1: zero + constant_rate(a)} for _ in (0, 1)] for a in (0, 1)]
    perfect = [[{0: one, 1: zero}, {0: zero, 1: one}] for _ in (0, 1)]
    for order in sign_patterns([p - q]):
        cell = Cell([p, q, 1 - p, 1 - q, *order])
        require(cell.half_l1(x for row in d for x in row) == 1, "two pure groups have another distance than 1")
        for game, rates in (
            (CORRECTNESS, constant),
            (LABELLED, constant),
            (LABELLED, perfect),
            (UNLABELLED, perfect),
        ):
            gaps = [[rates[0][y][z] - rates[1][y][z] for z in (0, 1)] for y in (0, 1)]
            require(all(cell.half_l1(row) == 0 for row in gaps), f"{game.name}: Delta_EO is not 0")
            advantage = cell.half_l1(view_differences(d, rates, game).values())
            require(advantage == order[0], f"{game.name}: the advantage is {advantage}, not |p - q|")
    exact = (p - q).evaluate([(p, QQ(31, 100)), (q, QQ(11, 100))])
    require(exact == QQ(1, 5), f"with base rates 31 % and 11 % the gap is {exact}")
    return (
        "for all base rates p, q of two pure worlds, Delta_EO = 0, W = 1 and the advantage is |p - q|: of a constant "
        "classifier in the correctness and the labelled game, of a perfect one in the labelled and the unlabelled; "
        "31 % against 11 % give 1/5"
    )
