"""T7: the exact law of the empirical distribution's largest deviation, and what the library's bands miss."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import factorial

from fairbound.bounds.check import kolmogorov_upper_bound
from fairbound.bounds.scores import kolmogorov_band
from fairbound.proofs.failure import require

TRUSTED_BASE = "exact fractions, and Steck's determinant for uniform order statistics between two boundaries"
LEVELS = (Fraction(1, 4), Fraction(1, 20), Fraction(1, 160), Fraction(1, 4000))
LAW_UP_TO, BANDS_UP_TO = 6, 8


def run() -> str:
    """Compare law and bands with Steck's determinant."""
    points = sum(one_sided_law(n) for n in range(1, LAW_UP_TO + 1))
    worst = Fraction(0)
    for n in range(1, BANDS_UP_TO + 1):
        for alpha in LEVELS:
            missed = missed_by(n, kolmogorov_band(n, alpha))
            require(missed <= alpha, f"the band for {n} draws misses with probability {float(missed):.4g} > {alpha}")
            worst = max(worst, missed / alpha)
    return (
        f"twice the one-sided law is what the library adds up, for n <= {LAW_UP_TO} and every half-width ({points} "
        f"points, more than the degree on each piece); bands for n <= {BANDS_UP_TO} at {len(LEVELS)} levels miss with "
        f"at most their error, exactly, and at worst with {float(worst):.4f} of it"
    )


def between(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> Fraction:
    """Chance that the ordered uniform draws lie between two rising boundaries (G. Steck, 1971)."""
    n = len(lower)
    matrix = [[Fraction(0)] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            power = j - i + 1
            if power >= 0:
                gap = max(Fraction(0), upper[i] - lower[j])
                matrix[i][j] = gap**power / factorial(power) if power else Fraction(1)
    return factorial(n) * _determinant(matrix)


def _determinant(matrix: list[list[Fraction]]) -> Fraction:
    rows, value = [list(row) for row in matrix], Fraction(1)
    for i in range(len(rows)):
        pivot = next((k for k in range(i, len(rows)) if rows[k][i]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != i:
            rows[i], rows[pivot], value = rows[pivot], rows[i], -value
        value *= rows[i][i]
        for k in range(i + 1, len(rows)):
            factor = rows[k][i] / rows[i][i]
            rows[k] = [x - factor * y for x, y in zip(rows[k], rows[i], strict=True)]
    return value


def missed_by(n: int, width: Fraction, *, two_sided: bool = True) -> Fraction:
    """Chance that the empirical distribution of n uniform draws leaves the band (above, or on either side)."""
    lower = [max(Fraction(0), Fraction(i, n) - width) for i in range(1, n + 1)]
    upper = [min(Fraction(1), Fraction(i - 1, n) + width) if two_sided else Fraction(1) for i in range(1, n + 1)]
    return 1 - between(lower, upper)


def one_sided_law(n: int) -> int:
    """
    Compare the library's sum with the determinant; returns the number of half-widths.

    On each piece [j/n, (j+1)/n] both are polynomials of degree at most n in the half-width, so n + 1 points settle it.
    """
    points = 0
    for piece in range(n):
        for step in range(n + 1):
            width = Fraction(piece, n) + Fraction(2 * step + 1, n * (2 * n + 3))
            exact = missed_by(n, width, two_sided=False)
            require(kolmogorov_upper_bound(n, width) == 2 * exact, f"the one-sided law for n = {n} at {width}")
            require(missed_by(n, width) <= 2 * exact, f"both sides miss more than twice one, n = {n} at {width}")
            points += 1
    return points
