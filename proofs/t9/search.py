"""T9: the library's upper limits against every pmf of a grid that respects the lower limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product

from fairbound.bounds.channel import total_variation
from fairbound.bounds.confidence import largest_distance, upper_advantage_balanced, upper_advantage_pure
from fairbound.bounds.exact import worst_case_advantage
from fairbound.proofs.failure import require
from fairbound.proofs.t1.found import make_pair

TRUSTED_BASE = "exact fractions and fairbound's definitions, on a grid"

STEPS = 4
Row = tuple[Fraction, ...]
Distance = Callable[[Sequence[Fraction], Sequence[Fraction]], Fraction]


def _without_rest(lower_a: Sequence[Fraction], lower_b: Sequence[Fraction]) -> Fraction:
    return sum((max(Fraction(0), p - q) for p, q in zip(lower_a, lower_b, strict=True)), Fraction(0))


def _second_rest_alone(lower_a: Sequence[Fraction], lower_b: Sequence[Fraction]) -> Fraction:
    excess = [p - q for p, q in zip(lower_a, lower_b, strict=True)]
    excess[min(range(len(excess)), key=excess.__getitem__)] -= 1 - sum(lower_b)
    return sum((e for e in excess if e > 0), Fraction(0))


WRONG: dict[str, Distance] = {
    "lower limits taken for the rates": _without_rest,
    "only the second pmf's rest": _second_rest_alone,
}
"""Wrong upper limits of a distance."""


def run() -> str:
    """Search the grid."""
    distances = distance_cases(largest_distance)
    for name, wrong in WRONG.items():
        require(_first_violation(wrong) is not None, f"{name}: no violation on the grid")
    pure, even = advantage_cases()
    return (
        f"among {distances} pairs of pmfs (2 and 3 outcomes, denominators of {STEPS}) above their lower limits none "
        "exceeds the library's largest distance, which some pair attains; the same for T1's value over "
        f"{pure} pairs of label marginals of two pure worlds, and {even} in the label-balanced game; wrong limits of a "
        "distance are exceeded"
    )


def _grid(outcomes: int, total: int) -> Iterator[Row]:
    for row in product(range(total + 1), repeat=outcomes):
        if sum(row) == total:
            yield tuple(Fraction(k, STEPS) for k in row)


def _lower(outcomes: int) -> list[Row]:
    """All lower limits on the grid."""
    return [row for total in range(STEPS + 1) for row in _grid(outcomes, total)]


def _above(lower: Row) -> list[Row]:
    """All pmfs on the grid above lower limits."""
    rest = STEPS - int(STEPS * sum(lower))
    return [tuple(p + q for p, q in zip(lower, more, strict=True)) for more in _grid(len(lower), rest)]


def distance_cases(claimed: Distance) -> int:
    """
    Compare a claimed largest distance with all pairs; returns their number.

    Raises
    ------
    ProofFailure
        If it is exceeded, or not attained.
    """
    cases = 0
    for outcomes in (2, 3):
        rows = {lower: _above(lower) for lower in _lower(outcomes)}
        known = {pair: total_variation(*pair) for pair in product(_grid(outcomes, STEPS), repeat=2)}
        for low_a, low_b in product(rows, repeat=2):
            found = [known[pair] for pair in product(rows[low_a], rows[low_b])]
            require(max(found) == claimed(low_a, low_b), f"largest distance above {low_a} and {low_b}")
            cases += len(found)
    return cases


def _first_violation(claimed: Distance) -> tuple[Row, Row] | None:
    for low_a, low_b in product(_lower(2), repeat=2):
        found = max(total_variation(p, q) for p, q in product(_above(low_a), _above(low_b)))
        if found > claimed(low_a, low_b):
            return low_a, low_b
    return None


def advantage_cases() -> tuple[int, int]:
    """Compare the library's upper limits of T1's value with all label marginals; returns the numbers of cases."""
    pure = even = 0
    for delta in product((Fraction(0), Fraction(1, 2), Fraction(1)), repeat=2):
        for low_0, low_1 in product(_lower(2), repeat=2):
            values, balanced = [], []
            for p, q in product(_above(low_0), _above(low_1)):
                pair = make_pair([p, (0, 0)], [(0, 0), q])
                values.append(worst_case_advantage(pair, delta).value)
                # Labels that only one world has are left out of the balanced game; the grid's others suffice.
                if all(p) and all(q):
                    balanced.append(worst_case_advantage(pair.label_balanced(), delta).value)
            require(max(values) == upper_advantage_pure(low_0, low_1, delta), "T1's value for pure worlds")
            if balanced:
                limit = upper_advantage_balanced(low_0, low_1, delta)
                require(max(balanced) <= limit, "T1's value in the label-balanced game")
            pure, even = pure + len(values), even + len(balanced)
    return pure, even
