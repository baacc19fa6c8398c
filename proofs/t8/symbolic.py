"""T8, derived cell by cell: two models differ on a known (group, label) by at most operating points and disparities."""

from __future__ import annotations

from itertools import product

from sympy import QQ, ring

from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, sign_patterns

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"
GROUPS = (2, 3)


def claimed_limit(centre_gap: Poly, delta_0: Poly, delta_1: Poly) -> Poly:
    """One label's limit: difference of the operating points, and half the sum of the disparities."""
    return centre_gap + (delta_0 + delta_1) / 2


def run() -> str:
    """Derive T8 in every order of the sizes named above."""
    cells = sum(one_label(groups) for groups in GROUPS)
    for cells_asked in (2, 4):
        queries(cells_asked)
    return (
        f"for 2 and 3 groups ({cells} cells: which group has the largest and smallest rate in each model, and the "
        "order of the operating points): |r0 - r1| <= |c0 - c1| + (delta0 + delta1) / 2 for each group; asking about "
        "random (group, label)s has at most the largest |r0 - r1| as advantage"
    )


def one_label(groups: int) -> int:
    """One label; returns the number of cells."""
    members = range(groups)
    _, *symbols = ring([f"{model}{a}" for model in "rt" for a in members], QQ)
    models = symbols[:groups], symbols[groups:]
    cells = 0
    for top_0, low_0, top_1, low_1 in product(members, repeat=4):
        extremes = [(models[0][top_0], models[0][low_0]), (models[1][top_1], models[1][low_1])]
        order = []
        for rates, (top, low) in zip(models, extremes, strict=True):
            order += [side for x in rates for side in (top - x, x - low)]
        centres = [(top + low) / 2 for top, low in extremes]
        delta = [top - low for top, low in extremes]
        for sign in sign_patterns([centres[0] - centres[1]]):
            cell = Cell([*order, *sign])
            gap = cell.absolute(centres[0] - centres[1])
            limit = claimed_limit(gap, *delta)
            for a in members:
                for one, other in ((0, 1), (1, 0)):
                    slack = gap - (centres[one] - centres[other])
                    cell.nonnegative(slack, [] if slack == 0 else [(2, gap)], "an absolute value")
                    terms = [(slack,), (extremes[one][0] - models[one][a],), (models[other][a] - extremes[other][1],)]
                    difference = models[one][a] - models[other][a]
                    cell.nonnegative(limit - difference, terms, "the models differ by more than the limit")
            cells += 1
    return cells


def queries(asked: int) -> None:
    """Asking about one of several (group, label)s with given chances, the same in both worlds."""
    names = [f"{name}{i}" for name in ("r", "t") for i in range(asked)] + [f"c{i}" for i in range(1, asked)]
    _, largest, *symbols = ring(["largest", *names], QQ)
    first, second, rest = symbols[:asked], symbols[asked : 2 * asked], symbols[2 * asked :]
    chances = [1 - sum(rest), *rest]
    gaps = [r - t for r, t in zip(first, second, strict=True)]
    for signs in sign_patterns(gaps):
        cell = Cell([*signs, *chances, *(largest - x for x in signs)])
        views = [c * r - c * t for c, r, t in zip(chances, first, second, strict=True)]
        views += [c * (1 - r) - c * (1 - t) for c, r, t in zip(chances, first, second, strict=True)]
        for c, gap, view, opposite in zip(chances, gaps, views[:asked], views[asked:], strict=True):
            sign = cell.sign(gap)
            cell.nonnegative(sign * view, [(c, sign * gap)], "a view's sign")
            require(opposite == -view, "the views of one query do not cancel")
        terms = [(c, largest - x) for c, x in zip(chances, signs, strict=True)]
        cell.nonnegative(largest - cell.half_l1(views), terms, "random queries do better than the best query")
