"""C8: two models without disparity, told apart by their operating points though both worlds are the same."""

from __future__ import annotations

from typing import Any

from fairbound.bounds.games import LABELLED, UNLABELLED
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, sign_patterns, symbolic_pair, view_differences

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"


def rate_above(threshold: Poly) -> Poly:
    """Share of scores above a threshold, for scores uniform on [0, 1] whatever the group and label."""
    return 1 - threshold


def run() -> str:
    """Derive disparities and advantage for two thresholds and any composition."""
    for groups in (2, 3):
        _groups(groups)
    return (
        "for 2 and 3 groups, any composition (the same in both worlds) and scores uniform whatever group and label: "
        "models with thresholds t0 and t1 have Delta_EO = 0 each and are told apart with advantage |t0 - t1|, in the "
        "labelled and the unlabelled game, up to 1 for t0 = 0, t1 = 1"
    )


def _groups(groups: int) -> None:
    pair = symbolic_pair(groups, 2, ["t0", "t1"])
    thresholds = pair.others
    # Only the masses of one world are used: the composition is the same in both.
    masses = pair.masses[: 2 * groups]
    composition = [masses[2 * a : 2 * a + 2] for a in range(groups)]
    models: list[list[list[dict[Any, Poly]]]] = [
        [[{0: 1 - rate_above(t), 1: rate_above(t)} for _ in (0, 1)] for _ in range(groups)] for t in thresholds
    ]
    for rates in models:
        gaps = [rates[a][y][1] - rates[b][y][1] for y in (0, 1) for a in range(groups) for b in range(a)]
        require(all(gap == 0 for gap in gaps), "a model has a disparity")
    for order in sign_patterns([thresholds[0] - thresholds[1]]):
        for game in (LABELLED, UNLABELLED):
            cell = Cell([*masses, *thresholds, *(1 - t for t in thresholds), *order])
            worlds = [view_differences(composition, rates, game) for rates in models]
            views = {view: worlds[0][view] - worlds[1][view] for view in worlds[0]}
            marginal = [sum(column) for column in zip(*composition, strict=True)]
            for y, mass in enumerate(marginal):
                cell.nonnegative(mass, [(row[y],) for row in composition], "a label's mass")
            sign = cell.sign(thresholds[0] - thresholds[1])
            for view, gap in views.items():
                shows = view[1] if isinstance(view, tuple) else view
                mass = marginal[view[0]] if isinstance(view, tuple) else 1
                side = gap if (shows == 0) == (sign > 0) else -gap
                cell.nonnegative(side, [(mass, *order)], "a view's sign")
            advantage = cell.half_l1(views.values())
            require(advantage == order[0], f"{game.name}: the advantage is {advantage}, not |t0 - t1|")
