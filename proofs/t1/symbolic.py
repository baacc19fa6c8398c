"""
T1, derived cell by cell: two labels' events, one label's linear programme with its multipliers, the sum over labels.

1. The advantage in the labelled game is the sum over labels y of `sum_a d(a,y) r_a`, where `r_a = Q(S_y | a, y)` for
   an event `S_y` of outputs.
2. Rates of an event lie in [0, 1] and differ by at most the total variation of the rows.
3. Inside a label the linear programme `max sum_a d_a r_a, 0 <= r <= 1, r_a - r_b <= delta` has the optimum
   `max(s, 0) + m delta`: primal and dual solutions in each sign cell.
4. Summed over labels this is `TV_Y + sum_y m_y delta_y`.
5. The other two games show a function of the labelled view, which cannot add to the advantage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sympy import QQ, ring

from fairbound.bounds.games import CORRECTNESS, LABELLED, UNLABELLED
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, moved_mass, sign_patterns, symbolic_pair, view_differences

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"
GROUPS = (2, 3, 4)
LABELS = (2, 3, 4)


def claimed_value(surplus: Poly, moved: Poly, delta: Poly) -> Poly:
    """One label's share of the worst case, with `surplus = max(s_y, 0)`."""
    return surplus + moved * delta


def worst_case(label_shift: Poly, moved: Sequence[Poly], delta: Sequence[Poly]) -> Poly:
    """T1's value."""
    return label_shift + sum(m * d for m, d in zip(moved, delta, strict=True))


def run() -> str:
    """Derive T1 in every sign cell of the sizes named above."""
    events = advantage_as_events()
    for outputs in (2, 3, 4):
        rates_of_events(outputs)
    programmes = sum(label_programme(groups) for groups in GROUPS)
    for labels in LABELS:
        sum_over_labels(labels)
    coarser_games()
    return (
        f"the advantage is a sum of events' differences ({events} sign cells); each label's linear programme has the "
        f"optimum max(s, 0) + m delta with explicit multipliers for 2 to 4 groups ({programmes} sign cells); the sum "
        "over 2 to 4 labels is TV_Y + sum m delta; correctness and unlabelled game are no better than the labelled"
    )


def advantage_as_events() -> int:
    """Step 1, for 2 groups, 2 labels and 3 outputs: half the L1 distance is the sum over labels of an event's gain."""
    groups, labels, outputs = range(2), range(2), range(3)
    names = [f"r{a}{y}{z}" for a in groups for y in labels for z in outputs[1:]]
    pair = symbolic_pair(2, 2, names)
    free = iter(pair.others)
    rates: list[list[dict[Any, Poly]]] = []
    for _ in groups:
        plane = []
        for _ in labels:
            cell_rates = {z: next(free) for z in outputs[1:]}
            plane.append({0: 1 - sum(cell_rates.values()), **cell_rates})
        rates.append(plane)
    views = view_differences(pair.difference, rates, LABELLED)
    cells = 0
    for hypotheses in sign_patterns(list(views.values())):
        cell = Cell(hypotheses)
        gain: Poly = 0
        for y in labels:
            event = [z for z in outputs if cell.sign(views[y, z]) > 0]
            gain += sum(pair.difference[a][y] * sum(rates[a][y][z] for z in event) for a in groups)
        require(cell.half_l1(views.values()) == gain, "the advantage is not the gain of the events {view >= 0}")
        cells += 1
    return cells


def rates_of_events(outputs: int) -> None:
    """Step 2: two rows within total variation delta give every event rates within delta, in [0, 1]."""
    names = [f"{row}{z}" for row in "pq" for z in range(1, outputs)]
    _, delta, *free = ring(["delta", *names], QQ)
    row_a, row_b = free[: outputs - 1], free[outputs - 1 :]
    row_a, row_b = [1 - sum(row_a), *row_a], [1 - sum(row_b), *row_b]
    gaps = [p - q for p, q in zip(row_a, row_b, strict=True)]
    for signs in sign_patterns(gaps):
        cell = Cell([*row_a, *row_b, *signs])
        distance = cell.half_l1(gaps)
        cell = Cell([*row_a, *row_b, *signs, delta - distance])
        for chosen in product((False, True), repeat=outputs):
            inside = [z for z in range(outputs) if chosen[z]]
            outside = [z for z in range(outputs) if not chosen[z]]
            rate_a, rate_b = sum(row_a[z] for z in inside), sum(row_b[z] for z in inside)
            cell.nonnegative(1 - rate_a, [(row_a[z],) for z in outside], "an event's rate is at most 1")
            lost = [(gaps[z],) for z in outside if cell.sign(gaps[z]) > 0]
            lost += [(-gaps[z],) for z in inside if cell.sign(gaps[z]) < 0]
            cell.nonnegative(delta - rate_a + rate_b, [(delta - distance,), *lost], "an event's rates are within delta")


@dataclass(frozen=True)
class Multipliers:
    """
    Dual solution of one label's programme, times a non-negative scale.

    Attributes
    ----------
    scale : Poly
        What the multipliers are multiplied by, so that they are polynomials.
    pairs : dict
        Of the constraints `r_a - r_b <= delta`, by (a, b).
    upper, lower : list of Poly
        Of `r_a <= 1` and of `r_a >= 0`.
    """

    scale: Poly
    pairs: dict[tuple[int, int], Poly]
    upper: list[Poly]
    lower: list[Poly]


def primal_rates(cell: Cell, d: Sequence[Poly], delta: Poly) -> list[Poly]:
    """Primal solution: groups with d > 0 at the high rate, those with d < 0 delta below it (T2)."""
    zero = 0 * delta
    high, low = (1 + zero, 1 - delta) if cell.sign(sum(d)) > 0 else (delta, zero)
    return [high if cell.sign(x) > 0 else low for x in d]


def dual_multipliers(cell: Cell, d: Sequence[Poly]) -> Multipliers:
    """
    Dual solution: ship all of the smaller of Dp, Dm in proportion, pay for the surplus at the bounds of the rates.

    Where both signs occur, the scale is the larger of Dp and Dm. If it is 0, so is every d, and the point lies in the
    (closed) cell in which all d are non-negative, where the scale is 1.
    """
    zero = 0 * d[0]
    plus = [a for a, x in enumerate(d) if cell.sign(x) > 0]
    minus = [a for a, x in enumerate(d) if cell.sign(x) < 0]
    shift = sum(d)
    upper, lower = [zero] * len(d), [zero] * len(d)
    if not plus or not minus:
        for a in plus:
            upper[a] = d[a]
        for a in minus:
            lower[a] = -d[a]
        return Multipliers(1 + zero, {}, upper, lower)
    pairs = {(a, b): d[a] * -d[b] for a in plus for b in minus}
    if cell.sign(shift) > 0:
        scale = sum(d[a] for a in plus)
        for a in plus:
            upper[a] = d[a] * shift
    else:
        scale = -sum(d[b] for b in minus)
        for b in minus:
            lower[b] = d[b] * shift
    return Multipliers(scale, pairs, upper, lower)


def label_programme(groups: int) -> int:
    """Step 3: the optimum of one label's linear programme in every sign cell; returns the number of cells."""
    members = range(groups)
    names = [f"{name}{a}" for name in ("p", "q", "r") for a in members]
    _, delta, *symbols = ring(["delta", *names], QQ)
    d = [symbols[a] - symbols[groups + a] for a in members]
    r = symbols[2 * groups :]
    slack = {(a, b): delta - r[a] + r[b] for a in members for b in members if a != b}
    feasible = [*r, *(1 - x for x in r), *slack.values()]
    cells = 0
    for *of_d, of_s in sign_patterns([*d, sum(d)]):
        if of_s == -sum(of_d):
            continue  # all d of one sign and s of the other, so all are 0: that point lies in the neighbouring cell too
        cell = Cell([*symbols[: 2 * groups], delta, 1 - delta, *of_d, of_s, *feasible])
        claimed = claimed_value(cell.positive(sum(d)), moved_mass(cell, d), delta)
        best = primal_rates(cell, d, delta)
        for a in members:
            require(cell.knows(best[a]) and cell.knows(1 - best[a]), "a primal rate is outside [0, 1]")
        for a, b in slack:
            times = 1 - int(cell.sign(d[a]) > 0) + int(cell.sign(d[b]) > 0)
            cell.nonnegative(delta - best[a] + best[b], [(times, delta)], "the primal rates are within delta")
        value = sum(x * rate for x, rate in zip(d, best, strict=True))
        require(value == claimed, f"the primal value {value} is not the claimed value {claimed}")

        dual = dual_multipliers(cell, d)
        cell.nonnegative(dual.scale, [(dual.scale,)] if dual.scale == 1 else _parts(cell, d), "the dual's scale")
        for (a, b), flow in dual.pairs.items():
            cell.nonnegative(flow, [(d[a], -d[b])], "a flow")
        for a in members:
            cell.nonnegative(dual.upper[a], _factors(cell, dual.upper[a], d[a], sum(d)), "a multiplier of r <= 1")
            cell.nonnegative(dual.lower[a], _factors(cell, dual.lower[a], -d[a], -sum(d)), "a multiplier of r >= 0")
            shipped = sum(flow for (b, _), flow in dual.pairs.items() if b == a)
            received = sum(flow for (_, b), flow in dual.pairs.items() if b == a)
            balance = shipped - received + dual.upper[a] - dual.lower[a]
            require(balance == dual.scale * d[a], "stationarity: the multipliers do not add up to the objective")
            require(dual.upper[a] * (1 - best[a]) == 0 == dual.lower[a] * best[a], "complementary slackness, bounds")
        for (a, b), flow in dual.pairs.items():
            require(flow * (delta - best[a] + best[b]) == 0, "complementary slackness, pairs")
        dual_value = delta * sum(dual.pairs.values()) + sum(dual.upper)
        require(dual_value == dual.scale * claimed, "the dual value is not the claimed value")
        gain = sum(x * rate for x, rate in zip(d, r, strict=True))
        cell.nonnegative(
            dual.scale * (claimed - gain),
            [
                *((flow, slack[pair]) for pair, flow in dual.pairs.items()),
                *((dual.upper[a], 1 - r[a]) for a in members),
                *((dual.lower[a], r[a]) for a in members),
            ],
            "no feasible rates do better",
        )
        cells += 1
    return cells


def _parts(cell: Cell, d: Sequence[Poly]) -> list[tuple[Poly, ...]]:
    """Terms of the larger of Dp and Dm."""
    sign = cell.sign(sum(d))
    return [(sign * x,) for x in d if cell.sign(x) == sign]


def _factors(cell: Cell, multiplier: Poly, alone: Poly, shift: Poly) -> list[tuple[Poly, ...]]:
    """Terms of a multiplier, which is 0, the mass of its group, or that times the surplus."""
    if multiplier == 0:
        return []
    return [(alone,)] if multiplier == alone else [(alone, shift)]


def sum_over_labels(labels: int) -> None:
    """Step 4: the labels' shares add up to T1's value, since the shifts of all labels add up to 0."""
    names = [f"{name}{y}" for name in ("m", "delta") for y in range(labels)]
    _, *symbols = ring([*names, *(f"s{y}" for y in range(labels - 1))], QQ)
    moved, delta, shift = symbols[:labels], symbols[labels : 2 * labels], symbols[2 * labels :]
    shift = [*shift, -sum(shift)]
    for signs in sign_patterns(shift):
        cell = Cell(signs)
        total = sum(claimed_value(cell.positive(s), m, x) for s, m, x in zip(shift, moved, delta, strict=True))
        claimed = worst_case(cell.half_l1(shift), moved, delta)
        require(total == claimed, f"the labels' shares add up to {total}, not to {claimed}")


def coarser_games() -> None:
    """Step 5, for 2 groups, 2 labels and 2 outputs: what the other games show adds nothing to the labelled view."""
    pair = symbolic_pair(2, 2, ["r00", "r01", "r10", "r11"])
    r = pair.others
    rates: list[list[dict[Any, Poly]]] = [[{0: 1 - r[2 * a + y], 1: r[2 * a + y]} for y in (0, 1)] for a in (0, 1)]
    fine = view_differences(pair.difference, rates, LABELLED)
    for game in (CORRECTNESS, UNLABELLED):
        coarse = view_differences(pair.difference, rates, game)
        for signs in sign_patterns([*fine.values(), *coarse.values()]):
            cell = Cell(signs)
            lost = []
            for (y, z), x in fine.items():
                agree = cell.sign(coarse[game.view(y, z)])
                lost += [] if agree == cell.sign(x) else [(cell.absolute(x),)]
            gap = cell.half_l1(fine.values()) - cell.half_l1(coarse.values())
            cell.nonnegative(gap, lost, f"the {game.name} game is no better than the labelled")
