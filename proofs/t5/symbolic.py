"""
T5: the overlap `1 - TV` of a product is at least the product of the overlaps.

Equality holds for a channel that gives one world away with probability a.
"""

from __future__ import annotations

from itertools import product
from math import prod

from sympy import QQ, ring

from fairbound.bounds.games import LABELLED
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, sign_patterns, view_differences

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals"


def claimed_advantage(one: Poly, draws: int) -> Poly:
    """Largest advantage of several draws, given that of one draw."""
    return 1 - (1 - one) ** draws


def run() -> str:
    """Derive both halves of T5."""
    for outcomes in (2, 3, 4):
        overlap(outcomes)
    two_factors()
    for sizes in ((2, 2), (2, 3), (3, 3)):
        product_factorises(*sizes)
    for draws in range(1, 5):
        induction(draws)
        attained(draws)
    return (
        "1 - TV is the sum of minima (2 to 4 outcomes); the minimum of products is at least the product of minima (all "
        "sign cells); sums of products factorise (up to 3 x 3), so Adv_n <= 1 - (1 - Adv_1)^n by induction on n (step "
        "checked to n = 5); a channel that gives one world away with probability a attains it (n = 1 to 4, all words)"
    )


def overlap(outcomes: int) -> None:
    """`1 - TV(P, Q) = sum min(P, Q)`."""
    _, *free = ring([f"{row}{z}" for row in "pq" for z in range(1, outcomes)], QQ)
    first, second = free[: outcomes - 1], free[outcomes - 1 :]
    first, second = [1 - sum(first), *first], [1 - sum(second), *second]
    gaps = [p - q for p, q in zip(first, second, strict=True)]
    for signs in sign_patterns(gaps):
        cell = Cell(signs)
        minima = sum(cell.smaller(p, q) for p, q in zip(first, second, strict=True))
        require(1 - cell.half_l1(gaps) == minima, "1 - TV is not the sum of minima")


def two_factors() -> None:
    """`min(p p', q q') >= min(p, q) min(p', q')`: both products are at least that, in each sign cell."""
    _, p, q, other_p, other_q = ring(["p", "q", "p_", "q_"], QQ)
    for signs in sign_patterns([p - q, other_p - other_q]):
        cell = Cell([p, q, other_p, other_q, *signs])
        low, other_low = cell.smaller(p, q), cell.smaller(other_p, other_q)
        for x, y in ((p, other_p), (q, other_q)):
            # x y - low low' = (x - low) y + low (y - low')
            cell.nonnegative(x * y - low * other_low, [(x - low, y), (low, y - other_low)], "minimum of products")


def product_factorises(first: int, second: int) -> None:
    """The sum over pairs of outcomes of products of minima is the product of the two overlaps."""
    _, *symbols = ring([f"u{i}" for i in range(first)] + [f"v{j}" for j in range(second)], QQ)
    u, v = symbols[:first], symbols[first:]
    require(sum(x * y for x, y in product(u, v)) == sum(u) * sum(v), "the overlap of a product does not factorise")


def induction(draws: int) -> None:
    """If `1 - Adv_n >= (1 - a)^n` and `1 - Adv_(n+1) >= (1 - Adv_n)(1 - a)`, the bound holds for n + 1 draws."""
    _, one, many, more = ring(["a", "many", "more"], QQ)
    room = claimed_advantage(one, draws) - many
    cell = Cell([1 - one, room, (1 - more) - (1 - many) * (1 - one)])
    terms = [((1 - more) - (1 - many) * (1 - one),), (room, 1 - one)]
    cell.nonnegative(claimed_advantage(one, draws + 1) - more, terms, "induction step")


def attained(draws: int) -> None:
    """
    Two pure groups with equal label marginals (p, 1 - p), of which group 0 fires with probability a and group 1 never.

    The words of n views are listed and the advantage is taken from the definition, half the L1 distance.
    """
    _, a, p = ring(["a", "p"], QQ)
    zero = 0 * a
    fires = [[{0: 1 - a, 1: a}] * 2, [{0: 1 + zero, 1: zero}] * 2]
    marginal = (p, 1 - p)
    cell = Cell([a, 1 - a, p, 1 - p])
    worlds = [
        view_differences([marginal if group == world else (zero, zero) for group in (0, 1)], fires, LABELLED)
        for world in (0, 1)
    ]
    differences = []
    for word in product(worlds[0], repeat=draws):
        chances = [prod((world[view] for view in word), start=1 + zero) for world in worlds]
        silent = all(z == 0 for _, z in word)
        masses = [marginal[y] for y, _ in word]
        gap = chances[0] - chances[1]
        if silent:
            # Labels times ((1 - a)^n - 1), and 1 - (1 - a)^n = a sum_k (1 - a)^k.
            cell.nonnegative(-gap, [(*masses, a, *[1 - a] * k) for k in range(draws)], "a silent word")
        else:
            factors = [a if z == 1 else 1 - a for _, z in word]
            cell.nonnegative(gap, [(*masses, *factors)], "a word that gives world 0 away")
        differences.append(gap)
    advantage, claimed = cell.half_l1(differences), claimed_advantage(a, draws)
    require(advantage == claimed, f"{draws} draws have advantage {advantage}, not {claimed}")
    more = claimed_advantage(a, draws + 1) - claimed
    cell.nonnegative(more, [(a, *[1 - a] * draws)], "more draws cannot tell less")
