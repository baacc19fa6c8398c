"""The worst case over all channels, by linear programming from the definition of the game."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from fractions import Fraction
from itertools import combinations

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.exact_lp import Row, maximise
from fairbound.bounds.games import Game, get_game
from fairbound.bounds.proved_by import proved_by


@proved_by("T4")
def worst_case_by_lp(
    pair: CompositionPair,
    disparity: Sequence[Fraction],
    game: str | Game = "labelled",
    *,
    outputs: Sequence[Symbol] | None = None,
) -> Fraction:
    """
    Largest advantage over all channels whose disparities are at most `disparity`, without using T1.

    The advantage is the maximum, over sets S of views, of `P_0(S) - P_1(S)`; each S gives a linear programme in the
    rates, solved exactly. The number of programmes is 2^(views), so this is for small alphabets: it is the
    independent check of the closed form (T1), not the way to compute it.

    Parameters
    ----------
    pair : CompositionPair
    disparity : sequence of Fraction, shape (K,)
        Upper limit on every pairwise total variation, per label.
    game : str or Game
    outputs : sequence of Symbol, optional
        The alphabet shown. Default: the pair's labels.

    Returns
    -------
    Fraction
        The exact optimum.
    """
    game = get_game(game)
    shown = tuple(outputs) if outputs is not None else pair.labels
    index = {
        cell: position
        for position, cell in enumerate(
            (a, y, z) for a in range(len(pair.groups)) for y in range(len(pair.labels)) for z in range(len(shown))
        )
    }
    n_rates = len(index)
    one = Fraction(1)
    rows = [
        Row({index[a, y, z]: one for z in range(len(shown))}, "=", one)
        for a in range(len(pair.groups))
        for y in range(len(pair.labels))
    ]
    n = n_rates
    for y, limit in enumerate(disparity):
        for a, b in combinations(range(len(pair.groups)), 2):
            # excess_z >= Q(z|a,y) - Q(z|b,y), and the excesses add up to at most the disparity.
            excess = list(range(n, n + len(shown)))
            n += len(shown)
            for z, e in enumerate(excess):
                rows.append(Row({index[a, y, z]: one, index[b, y, z]: -one, e: -one}, "<=", Fraction(0)))
            rows.append(Row(dict.fromkeys(excess, one), "<=", Fraction(limit)))
    views: dict[Hashable, list[tuple[int, Fraction]]] = {}
    difference = pair.difference
    for (a, y, z), position in index.items():
        view = game.view(pair.labels[y], shown[z])
        views.setdefault(view, []).append((position, difference[a][y]))
    best = Fraction(0)
    keys = list(views)
    for chosen in range(2 ** len(keys)):
        objective = [Fraction(0)] * n
        for bit, view in enumerate(keys):
            if chosen >> bit & 1:
                for position, d in views[view]:
                    objective[position] += d
        best = max(best, maximise(objective, rows).value)
    return best
