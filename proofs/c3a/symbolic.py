"""C3a: a family from the statement's M to its M', along which a disparity grows and the accuracy gap falls."""

from __future__ import annotations

from typing import Any

from sympy import QQ, ring

from fairbound.bounds.games import CORRECTNESS
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, view_differences

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"


def second_gap(t: Poly) -> Poly:
    """Signed gap of label 1 (group 0's rate of being correct minus group 1's) at point t of the family."""
    return -t


def run() -> str:
    """Derive disparities and advantage along the family."""
    _, t = ring(["t"], QQ)
    zero = 0 * t
    half = zero + QQ(1, 2)
    # Pure worlds of one group each, both labels equally likely in both.
    world_0, world_1 = ((half, half), (zero, zero)), ((zero, zero), (half, half))
    d = tuple(tuple(p - q for p, q in zip(*rows, strict=True)) for rows in zip(world_0, world_1, strict=True))
    # Rates of being correct on the labels 0 and 1: the statement's M at t = 0, its M' at t = 1/2.
    correct = ((2 * half, half), (half, half - second_gap(t)))
    ends = [[[rate.evaluate(t, at) for rate in row] for row in correct] for at in (QQ(0), QQ(1, 2))]
    require(ends == [[[1, QQ(1, 2)], [QQ(1, 2), last]] for last in (QQ(1, 2), 1)], f"the end points are {ends}")
    rates: list[list[dict[Any, Poly]]] = [[{y: rate, 1 - y: 1 - rate} for y, rate in enumerate(row)] for row in correct]
    cell = Cell([t, half - t])
    for row in correct:
        for rate in row:
            cell.nonnegative(rate, _terms(rate, t, half), "a rate is at least 0")
            cell.nonnegative(1 - rate, _terms(1 - rate, t, half), "a rate is at most 1")
    gaps = [p - q for p, q in zip(*correct, strict=True)]
    disparities = [cell.absolute(gap) for gap in gaps]
    require(disparities == [half, t], f"the disparities are {disparities}")
    views = view_differences(d, rates, CORRECTNESS)
    cell.nonnegative(views[True], [(QQ(1, 2) + zero, half - t)], "world 0 is more accurate")
    advantage = cell.half_l1(views.values())
    require(advantage == (half - t) / 2, f"the advantage is {advantage}")
    start, end = (advantage.evaluate(t, value) for value in (QQ(0), QQ(1, 2)))
    require((start, end) == (QQ(1, 4), 0), f"the advantage goes from {start} to {end}")
    return (
        "for rates of being correct (1, 1/2) and (1/2, 1/2 + t), with disparities (1/2, t), the advantage in the "
        "correctness game is (1/2 - t) / 2: as t goes from 0 (M) to 1/2 (M'), no disparity falls, one grows, and the "
        "advantage falls from 1/4 to 0"
    )


def _terms(rate: Poly, t: Poly, half: Poly) -> list[tuple[Poly, ...]]:
    """A rate of the family as a sum of t, 1/2 - t and a number."""
    slope = rate.coeff(t)
    rest = rate - slope * t if slope >= 0 else rate + slope * (half - t)
    return [(0 * t + abs(slope), t if slope >= 0 else half - t), (rest,)]
