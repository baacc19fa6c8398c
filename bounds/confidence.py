"""Finite samples: limits that hold for every sample size, and what they say about the advantage (T9 (i))."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.special import betaincinv

from fairbound.bounds.channel import Disparities, distance_matrix
from fairbound.bounds.check import tail_upper_bound
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import NumberError
from fairbound.bounds.exact import worst_case_advantage
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.rational import to_fraction
from fairbound.bounds.transport import TransportPlan

GRID = 10**12
"""Limits are rounded down to multiples of 1 / GRID."""

# SciPy's inverse is accurate to about 1e-13, which large samples magnify; aiming a little below the level leaves room
# for a rigorous tail bound, at the cost of about 1e-5 standard errors.
_MARGIN = 1e-4
# Above this many trials, floating point and the early end of the checker's sum show; each limit is then checked.
_LARGE = 10**9


def parse_confidence(confidence: float | str | Fraction) -> Fraction:
    """
    Read a confidence level exactly (0.95 means 19/20).

    Raises
    ------
    NumberError
        If it is not at least 1/2 and below 1.
    """
    try:
        level = to_fraction(confidence)
    except NumberError:
        raise NumberError(f"confidence {str(confidence)[:40]!r} is no number; write 0.95 or 19/20.") from None
    if not Fraction(1, 2) <= level <= 1 - Fraction(1, 10**50):
        raise NumberError(f"confidence {confidence} must be at least 0.5 and below 1 (by 1e-50), for example 0.95.")
    return level


@proved_by("T9")
def lower_limits(successes: Sequence[int], trials: Sequence[int], alpha: Fraction) -> tuple[Fraction, ...]:
    """
    One-sided Clopper-Pearson limits, rounded down.

    Each satisfies `P(X >= k) <= alpha` for `X ~ Binomial(n, limit)`, so a true probability lies below its limit with
    probability at most `alpha`, for every n (C. Clopper, E. Pearson, 1934).

    Parameters
    ----------
    successes, trials : sequence of int, shape (m,)
        k out of n. A limit for no successes, or no trials, is 0.
    alpha : Fraction
        Error probability of each limit.

    Returns
    -------
    tuple of Fraction, shape (m,)
        Multiples of 1e-12.
    """
    k, n = np.asarray(successes, float), np.asarray(trials, float)
    positive = k > 0
    limits = np.zeros(len(k))
    limits[positive] = betaincinv(k[positive], n[positive] - k[positive] + 1, (1 - _MARGIN) * float(alpha))
    rounded = [max(0, int(limit * GRID) - 1) for limit in limits.tolist()]
    for i, trial in enumerate(trials):
        if trial > _LARGE:
            step = 1 + math.isqrt(GRID * GRID // trial) // 8
            while rounded[i] > 0 and tail_upper_bound(successes[i], trial, Fraction(rounded[i], GRID)) > alpha:
                rounded[i] = max(0, rounded[i] - step)
    return tuple(Fraction(limit, GRID) for limit in rounded)


@proved_by("T9")
def lower_marginals(counts: Counts, alpha_each: Fraction) -> tuple[tuple[Fraction, ...], ...]:
    """
    One-sided Clopper-Pearson limits of the groups' label marginals.

    Parameters
    ----------
    counts : Counts
    alpha_each : Fraction
        Error probability of each of the G K limits.

    Returns
    -------
    tuple, shape (G, K)
    """
    successes = [n for row in counts.cell_rows for n in row]
    trials = [n for n in counts.group_rows for _ in counts.labels]
    flat = iter(lower_limits(successes, trials, alpha_each))
    return tuple(tuple(next(flat) for _ in counts.labels) for _ in counts.groups)


@dataclass(frozen=True)
class SimultaneousLimits:
    """
    Lower limits of several multinomials' probabilities, jointly valid (Bonferroni).

    Parameters
    ----------
    confidence : Fraction
        Joint level: all limits hold at once with at least this probability.
    number : int
        Limits among which the error is split.
    rates : tuple, shape (G, K, Z)
        Lower limits of `Q(z | a, y)`.
    label_marginals : tuple, shape (G, K), or None
        Lower limits of the groups' label marginals; None where compositions are given, not estimated.
    """

    confidence: Fraction
    number: int
    rates: tuple[tuple[tuple[Fraction, ...], ...], ...]
    label_marginals: tuple[tuple[Fraction, ...], ...] | None

    method: ClassVar[Literal["clopper-pearson"]] = "clopper-pearson"

    def __str__(self) -> str:
        return f"limits by Clopper-Pearson over {self.number} rates"

    @property
    def alpha_each(self) -> Fraction:
        """Error probability of one limit."""
        return (1 - self.confidence) / self.number

    @classmethod
    def from_counts(cls, counts: Counts, confidence: Fraction, *, estimated: bool) -> SimultaneousLimits:
        """
        Limits for every output rate, and for the groups' label marginals.

        The error is split among all groups even if only two of them are compared, so that the choice of the two may
        depend on the log.

        Parameters
        ----------
        counts : Counts
        confidence : Fraction
            Joint level.
        estimated : bool
            Whether label marginals were read from the log; not if compositions are given.
        """
        n_groups, n_labels, n_outputs = len(counts.groups), len(counts.labels), len(counts.outputs)
        number = n_groups * n_labels * n_outputs + (n_groups * n_labels if estimated else 0)
        alpha_each = (1 - confidence) / number
        successes = [k for plane in counts.table for row in plane for k in row]
        trials = [n for plane in counts.cell_rows for n in plane for _ in range(n_outputs)]
        flat = iter(lower_limits(successes, trials, alpha_each))
        rates = tuple(
            tuple(tuple(next(flat) for _ in range(n_outputs)) for _ in range(n_labels)) for _ in range(n_groups)
        )
        return cls(confidence, number, rates, lower_marginals(counts, alpha_each) if estimated else None)

    def disparities(self, counts: Counts) -> Disparities:
        """Upper limits of all pairwise distances, holding jointly at the level."""
        pairwise = []
        for j in range(len(counts.labels)):
            rows = [plane[j] for plane in self.rates]
            sizes = [plane[j] for plane in counts.cell_rows]

            def distance(a: int, b: int, rows: Any = rows, sizes: list[int] = sizes) -> Fraction:
                # An empty cell has the trivial distance, as in the measured disparities.
                return largest_distance(rows[a], rows[b]) if sizes[a] and sizes[b] else Fraction(1)

            pairwise.append(distance_matrix(len(rows), distance))
        return Disparities(counts.labels, tuple(pairwise))


@proved_by("T9")
def largest_distance(lower_a: Sequence[Fraction], lower_b: Sequence[Fraction]) -> Fraction:
    """
    Largest total variation between two probability mass functions with given lower limits.

    The distance is convex, so it is largest where each puts all its remaining mass on one output: the one on which
    a's limit exceeds b's most, and the one on which it does least.

    Parameters
    ----------
    lower_a, lower_b : sequence of Fraction, shape (Z,)
        Lower limits with sum at most 1.
    """
    if len(lower_a) == 1:
        return Fraction(0)
    rest_a, rest_b = 1 - sum(lower_a), 1 - sum(lower_b)
    excess = [p - q for p, q in zip(lower_a, lower_b, strict=True)]
    top = max(range(len(excess)), key=excess.__getitem__)
    bottom = min((z for z in range(len(excess)) if z != top), key=excess.__getitem__)
    excess[top] += rest_a
    excess[bottom] -= rest_b
    return sum((e for e in excess if e > 0), Fraction(0))


@proved_by("T1", "T9")
def upper_advantage_pure(
    lower_0: Sequence[Fraction], lower_1: Sequence[Fraction], disparity: Sequence[Fraction]
) -> Fraction:
    """
    T1's largest value for two pure worlds whose label marginals have given lower limits.

    For pure worlds T1 reads `1 - sum_y min(p_0(y), p_1(y)) (1 - delta_y)`, convex in the marginals, so it is largest
    where each marginal puts all its remaining mass on one label.

    Parameters
    ----------
    lower_0, lower_1 : sequence of Fraction, shape (K,)
        Lower limits of the two label marginals.
    disparity : sequence of Fraction, shape (K,)
        Upper limits of the disparities.
    """
    weights = [1 - d for d in disparity]
    rest_0, rest_1 = 1 - sum(lower_0), 1 - sum(lower_1)
    labels = range(len(weights))
    base = [w * min(p, q) for w, p, q in zip(weights, lower_0, lower_1, strict=True)]
    gain_0 = [w * min(p + rest_0, q) for w, p, q in zip(weights, lower_0, lower_1, strict=True)]
    gain_1 = [w * min(p, q + rest_1) for w, p, q in zip(weights, lower_0, lower_1, strict=True)]
    gain_both = [w * min(p + rest_0, q + rest_1) for w, p, q in zip(weights, lower_0, lower_1, strict=True)]
    smallest = min(
        gain_both[i] - base[i] if i == j else gain_0[i] - base[i] + gain_1[j] - base[j] for i in labels for j in labels
    )
    return 1 - sum(base, Fraction(0)) - smallest


@proved_by("T1", "T9")
def upper_advantage_balanced(
    lower_0: Sequence[Fraction], lower_1: Sequence[Fraction], disparity: Sequence[Fraction]
) -> Fraction:
    """
    T1's largest value for two pure worlds in the label-balanced game, `sum_y p(y) delta_y` with averaged marginals.

    Parameters are those of `upper_advantage_pure`.
    """
    lower = [(p + q) / 2 for p, q in zip(lower_0, lower_1, strict=True)]
    known = sum((p * d for p, d in zip(lower, disparity, strict=True)), Fraction(0))
    return known + (1 - sum(lower)) * max(disparity)


@proved_by("T1", "T1b", "T9")
def upper_advantage_given(pair: CompositionPair, disparities: Disparities, plan: TransportPlan | None) -> Fraction:
    """
    T1's value (T1b's, where a plan is given) at upper limits of the disparities, for an exactly known pair.

    Parameters
    ----------
    pair : CompositionPair
    disparities : Disparities
        Upper limits.
    plan : TransportPlan or None
    """
    if plan is not None:
        return plan.cost(disparities, pairwise=True)
    return worst_case_advantage(pair, disparities.per_label).value
