"""C3b: a family of pairs of three groups, with two models of which the second has no smaller pairwise disparity."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from sympy import QQ, ring

from fairbound.bounds.games import LABELLED
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, sign_patterns, view_differences

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"


def models(h: Poly) -> tuple[tuple[Poly, Poly, Poly], tuple[Poly, Poly, Poly]]:
    """Rates of the three groups before and after; h = 1/2 gives the statement's."""
    one = 0 * h + 1
    return (one, 1 - h, 1 - h), (1 - h, 1 - 2 * h, one)


def run() -> str:
    """Derive disparities and advantages of the family."""
    _, w, h, p = ring(["w", "h", "p"], QQ)
    zero = 0 * w
    marginal = (p, 1 - p)
    # World 0 is group 0; world 1 is groups 1 and 2 in the proportion w to 1 - w; both have the same label marginal.
    d = [[share * m for m in marginal] for share in (1 + zero, -w, w - 1)]
    require(all(sum(column) == 0 for column in zip(*d, strict=True)), "the label marginals differ")
    before, after = models(h)
    for balance in sign_patterns([2 * w - 1]):
        cell = Cell([w, 1 - w, h, 1 - 2 * h, p, 1 - p, *balance])
        cell.nonnegative(1 - h, [(h,), (1 - 2 * h,)], "h is at most 1")
        cell.nonnegative(2 * h, [(2, h)], "2 h")
        for rate in (*before, *after):
            require(cell.knows(rate) and cell.knows(1 - rate), "a rate is outside [0, 1]")
        for a, b in combinations(range(3), 2):
            old, new = (cell.absolute(rates[a] - rates[b]) for rates in (before, after))
            cell.nonnegative(new - old, [(2, h)] if new != old else [], f"the disparity of groups {a} and {b} falls")
        spread = cell.nonnegative(h * cell.absolute(2 * w - 1), [(h, *balance)], "the advantage after")
        first, second = _advantage(cell, d, before, marginal, h), _advantage(cell, d, after, marginal, h * (2 * w - 1))
        require(first == h, f"the advantage before is {first}")
        require(second == spread, f"the advantage after is {second}")
        smaller = w if cell.sign(2 * w - 1) < 0 else 1 - w
        cell.nonnegative(first - second, [(2, h, smaller)], "the advantage does not fall")
    return (
        "for h in [0, 1/2] and w in [0, 1]: rates (1, 1 - h, 1 - h) -> (1 - h, 1 - 2 h, 1) leave two pairwise "
        "disparities at h and raise the third from 0 to 2 h, while the advantage falls from h to h |2 w - 1|, by "
        "2 h min(w, 1 - w); the statement is h = w = 1/2"
    )


def _advantage(
    cell: Cell, d: Sequence[Sequence[Poly]], rates: Sequence[Poly], marginal: Sequence[Poly], gap: Poly
) -> Poly:
    """Advantage in the labelled game, whose views of label y differ by plus and minus `p(y) gap`."""
    channel: list[list[dict[Any, Poly]]] = [[{0: 1 - rate, 1: rate} for _ in marginal] for rate in rates]
    views = view_differences(d, channel, LABELLED)
    side = cell.sign(gap)
    for y, mass in enumerate(marginal):
        cell.nonnegative(side * views[y, 1], [(mass, side * gap)], "a view's sign")
        cell.nonnegative(-side * views[y, 0], [(mass, side * gap)], "a view's sign")
    return cell.half_l1(views.values())
