"""T7: every threshold test of scores on a grid, and every distribution of scores against the library's bands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from math import factorial, prod

from fairbound.bounds.scores import kolmogorov_band
from fairbound.proofs.failure import require

TRUSTED_BASE = "exact integers and fractions, on a grid"

SCORES, LAW_STEPS, MASS_STEPS = 3, 2, 2
Row = tuple[int, ...]
Value = Callable[[int, Sequence[int], Sequence[int]], int | Fraction]


def claimed_value(shift: int, moved: Sequence[int], distance: Sequence[int]) -> int:
    """
    T7's value, times `2 * MASS_STEPS * LAW_STEPS`.

    Parameters
    ----------
    shift : int
        `2 TV_Y`, in steps of the masses.
    moved, distance : sequence of int
        `m_y` in steps of the masses and `KS_y` in steps of the distributions.
    """
    return LAW_STEPS * shift + 2 * sum(m * k for m, k in zip(moved, distance, strict=True))


WRONG: dict[str, Value] = {
    "without TV_Y": lambda shift, m, k: claimed_value(0, m, k),
    "nine tenths of the value": lambda shift, m, k: Fraction(9 * claimed_value(shift, m, k), 10),
    "smallest distance for all labels": lambda shift, m, k: claimed_value(shift, m, [min(k)] * len(k)),
    "half of TV_Y": lambda shift, m, k: claimed_value(shift, m, k) - Fraction(LAW_STEPS * shift, 2),
}
"""Wrong values."""


def run() -> str:
    """Search the grid."""
    cases, broken, sets_break = thresholds()
    for name, times in broken.items():
        require(times > 0, f"{name}: no violation on the grid")
    require(sets_break > 0, "sets of scores do no better than thresholds on the grid")
    laws = sum(bands(n, alpha) for n in range(1, 10) for alpha in (Fraction(1, 4), Fraction(1, 20)))
    return (
        f"on a grid of {cases} cases (2 groups, 2 labels, {SCORES} scores) no threshold test exceeds the value, which "
        "is attained for every composition pair and distances, and by the distributions themselves without label "
        f"shift; each of {len(WRONG)} wrong values is broken, and the value is by other sets of scores, {sets_break} "
        f"times; the library's bands miss none of {laws} discrete distributions more often than they may"
    )


def _pmfs(outcomes: int, steps: int) -> list[Row]:
    return [row for row in product(range(steps + 1), repeat=outcomes) if sum(row) == steps]


def _events(*, thresholds_only: bool) -> list[Row]:
    """Sets of scores as indicators: half-lines, or all."""
    if not thresholds_only:
        return list(product((0, 1), repeat=SCORES))
    rising = [tuple(int(s >= t) for s in range(SCORES)) for t in range(SCORES + 1)]
    return rising + [tuple(1 - bit for bit in event) for event in rising]


def _best(difference: Row, laws: tuple[Row, Row], events: list[Row]) -> tuple[int, int]:
    """Largest gain and largest loss of one label over events."""
    gains = [
        sum(
            d * sum(p * bit for p, bit in zip(law, event, strict=True)) for d, law in zip(difference, laws, strict=True)
        )
        for event in events
    ]
    return max(gains), -min(gains)


def _distance(laws: tuple[Row, Row]) -> int:
    return max(abs(sum(laws[0][:t]) - sum(laws[1][:t])) for t in range(SCORES + 1))


def thresholds() -> tuple[int, dict[str, int], int]:
    """
    Try every pair of compositions, distributions and threshold tests.

    Returns
    -------
    cases : int
    broken : dict
        How often each wrong value is exceeded.
    sets_break : int
        How often another set of scores exceeds the value.

    Raises
    ------
    ProofFailure
        If a threshold test exceeds the value, or the value is not attained.
    """
    laws_of_one = _pmfs(SCORES, LAW_STEPS)
    pairs = [(first, second) for first in laws_of_one for second in laws_of_one]
    distance = [_distance(laws) for laws in pairs]
    halves, sets = _events(thresholds_only=True), _events(thresholds_only=False)
    steps = range(-MASS_STEPS, MASS_STEPS + 1)
    best = {d: [_best(d, laws, halves) for laws in pairs] for d in product(steps, repeat=2)}
    best_set = {d: [_best(d, laws, sets) for laws in pairs] for d in best}
    cases = sets_break = 0
    broken = dict.fromkeys(WRONG, 0)
    for first, second in product(_pmfs(4, MASS_STEPS), repeat=2):
        d = [p - q for p, q in zip(first, second, strict=True)]
        columns = [(d[0], d[1]), (d[2], d[3])]
        shift = sum(abs(sum(column)) for column in columns)
        moved = [min(sum(max(x, 0) for x in c), sum(max(-x, 0) for x in c)) for c in columns]
        attained: dict[tuple[int, int], int] = {}
        for i, j in product(range(len(pairs)), repeat=2):
            own = (distance[i], distance[j])
            up, down = (best[columns[0]][i][side] + best[columns[1]][j][side] for side in (0, 1))
            # Gains are in steps of mass times law; the value is scaled by two more.
            advantage = 2 * max(up, down)
            value = claimed_value(shift, moved, own)
            require(
                advantage <= value, f"a threshold test exceeds the value: {first}, {second}, {pairs[i]}, {pairs[j]}"
            )
            if not shift:
                require(advantage == value, f"no shift, but not attained: {first}, {second}, {pairs[i]}, {pairs[j]}")
            attained[own] = max(attained.get(own, 0), advantage)
            for name, wrong in WRONG.items():
                broken[name] += advantage > wrong(shift, moved, own)
            up, down = (best_set[columns[0]][i][side] + best_set[columns[1]][j][side] for side in (0, 1))
            sets_break += 2 * max(up, down) > value
            cases += 1
        for own, advantage in attained.items():
            require(
                advantage == claimed_value(shift, moved, own), f"the value is not attained: {first}, {second}, {own}"
            )
    return cases, broken, sets_break


def _samples(n: int) -> Iterator[tuple[Row, int]]:
    """Counts of n draws of the scores, with their multinomial coefficients."""
    for counts in _pmfs(SCORES, n):
        yield counts, factorial(n) // prod(factorial(k) for k in counts)


def bands(n: int, alpha: Fraction) -> int:
    """Exact chance that the library's band misses, for each distribution on the grid; returns their number."""
    width = kolmogorov_band(n, alpha)
    laws = [tuple(Fraction(k, 4) for k in row) for row in _pmfs(SCORES, 4)]
    for law in laws:
        missed = Fraction(0)
        for counts, ways in _samples(n):
            gap = max(abs(Fraction(sum(counts[:t]), n) - sum(law[:t])) for t in range(SCORES + 1))
            if gap > width:
                missed += ways * prod((p**k for p, k in zip(law, counts, strict=True)), start=Fraction(1))
        require(missed <= alpha, f"the band for {n} draws misses {law} with probability {float(missed):.4g} > {alpha}")
    return len(laws)
