"""
At any time: confidence sequences, and a monitor of T1's value on a stream of rows (T9 (iv)).

T1's value of two pure worlds is here that of a log of their two groups alone (T1b).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, xlog1py, xlogy

from fairbound.bounds.confidence import GRID, upper_advantage_balanced, upper_advantage_pure
from fairbound.bounds.counts import MAX_ROWS
from fairbound.bounds.errors import AlphabetError, CountOverflowError, NumberError
from fairbound.bounds.proved_by import proved_by

MAX_STARTS = 17
"""Starts that a monitor keeps: row 0 and the latest ones."""
MAX_LIMITS = 10_000
"""Confidence sets among which a start may split its error."""

# Jeffreys' prior: its mixture never exceeds the largest likelihood, so that a measured rate lies within its own limits.
_PRIOR = 0.5
# Above this many outputs, distances are bounded by single outputs and not by all events.
_ALL_EVENTS = 4
# Newton steps towards the best multiplier. Every multiplier gives a valid limit; these few give the best to about a
# thousandth of a limit's distance from the measured rate, for rates as near to 0 and 1 as 1e-3.
_STEPS = 10
# Looks that are evaluated in one go.
_BATCH = 512

Floats = NDArray[np.float64]


def _rounding(trials: Floats) -> Floats:
    """What floating point may add to a log-likelihood ratio of so many trials, amply."""
    allowance: Floats = 1e-6 + 1e-13 * trials * np.log(trials + 2)
    return allowance


def _lowest_sums(successes: Floats, trials: Floats, threshold: Floats) -> Floats:
    """
    Lower limits of the sum over the first axis of independent rates, where their joint mixture is below a threshold.

    The set is `{p : sum_i f_i(p_i) <= threshold}` with the convex `f_i(p) = log B(k_i + 1/2, n_i - k_i + 1/2) -
    log B(1/2, 1/2) - k_i log p - (n_i - k_i) log(1 - p)`. For every multiplier s > 0, `min_p [sum_i p_i +
    (sum_i f_i(p_i) - threshold) / s]` is at most the smallest sum over the set (weak duality), so an s that is not the
    best one costs sharpness, never validity.

    Parameters
    ----------
    successes, trials : ndarray of float, shape (m, ...)
        k out of n for each rate.
    threshold : ndarray of float, broadcast to (...)
        Logarithm of 1 / error.
    """
    k, n = successes, trials
    misses = n - k
    log_mixture = (betaln(k + _PRIOR, misses + _PRIOR) - betaln(_PRIOR, _PRIOR)).sum(axis=0)
    measured = k / np.maximum(n, 1)
    at_measured = -(xlogy(k, measured) + xlog1py(misses, -measured)).sum(axis=0)
    room = threshold + _rounding(n.sum(axis=0)) - (log_mixture + at_measured)
    smoothed = (k + 0.5) / (n + 1)
    log_s = np.log(2 * room / (smoothed * (1 - smoothed) / (n + 1)).sum(axis=0)) / 2
    low, high = log_s - 5, log_s + 5
    best: Floats = np.zeros_like(log_s)
    for _ in range(_STEPS):
        s = np.exp(log_s)
        # The minimiser of s p + f(p); this form of the discriminant does not cancel.
        root = np.sqrt((n - s) ** 2 + 4 * s * misses)
        p = np.minimum(2 * k / (n + s + root), 1)
        used = -(xlogy(k, p) + xlog1py(misses, -p)).sum(axis=0) - at_measured
        best = np.maximum(best, p.sum(axis=0) + (used - room) / s)
        # The best s uses all the room. In log(s), `used` is convex: Newton's step from the right never passes the root.
        # From the left it is taken for log(used), which is exact where f is quadratic. Bisection is the rest.
        low, high = np.where(used < room, log_s, low), np.where(used < room, high, log_s)
        used = np.maximum(used, 1e-9 * room)
        growth = np.maximum(s * s * (p * (1 - p) / np.maximum(root, 1e-300)).sum(axis=0), 1e-300)
        step = log_s + np.where(used < room, np.log(room / used) * used, room - used) / growth
        log_s = np.where((step > low) & (step < high), step, (low + high) / 2)
    return best


def _below(value: float) -> Fraction:
    """A rational below a non-negative value: down to a multiple of 1 / GRID, and one further, but not below 0."""
    return Fraction(max(0, math.floor(value * GRID) - 1), GRID)


def _on_grid(values: Floats) -> NDArray[np.object_]:
    """`_below` for each value."""
    return np.array([_below(value) for value in values.ravel().tolist()], dtype=object).reshape(values.shape)


def _limits_of_sums(successes: Floats, trials: Floats, threshold: Floats) -> tuple[Any, Any]:
    """
    Both limits, as rationals on the safe side, of the sum of m independent rates less m - 1.

    With the rates p_a and 1 - p_b (m = 2) that is the difference p_a - p_b. Parameters are those of `_lowest_sums`.
    """
    lower = _on_grid(_lowest_sums(successes, trials, threshold)) - (len(trials) - 1)
    return lower, 1 - _on_grid(_lowest_sums(trials - successes, trials, threshold))


def _log_inverse(error: Fraction) -> float:
    """`log(1 / error)`, rounded up."""
    return (math.log(error.denominator) - math.log(error.numerator)) * (1 + 1e-14) + 1e-12


def _checked_counts(successes: Sequence[int], trials: Sequence[int]) -> tuple[Floats, Floats]:
    k, n = np.asarray(successes, float), np.asarray(trials, float)
    if k.shape != n.shape or k.ndim != 1 or not (np.all(k >= 0) and np.all(k <= n) and np.all(n <= MAX_ROWS)):
        raise NumberError("successes must lie between 0 and the trials, one for one, with at most 2**53 trials.")
    return k, n


def _checked_error(alpha: Fraction) -> Fraction:
    if not 0 < alpha < 1:
        raise NumberError(f"an error probability must lie between 0 and 1, not {alpha}.")
    return alpha


@proved_by("T9")
def confidence_sequence(
    successes: Sequence[int], trials: Sequence[int], alpha: Fraction
) -> tuple[tuple[Fraction, Fraction], ...]:
    """
    Limits of a rate that hold at all times at once: the beta mixture.

    `M_n(p) = B(k + 1/2, n - k + 1/2) / (B(1/2, 1/2) p^k (1 - p)^(n - k))` is a non-negative martingale at the true p
    with mean 1, so it ever reaches `1 / alpha` with probability at most `alpha` (J. Ville, 1939; H. Robbins, 1970;
    S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, 2021). The p at which it is below are an interval around k / n.
    Either end alone is a one-sided limit at the same level.

    Parameters
    ----------
    successes, trials : sequence of int, shape (m,)
        k out of n at each look.
    alpha : Fraction
        Probability that the rate is ever outside.

    Returns
    -------
    tuple of (Fraction, Fraction), shape (m,)
        Lower limits rounded down and upper limits rounded up to multiples of 1e-12.

    Raises
    ------
    NumberError
        For counts that are none, or an `alpha` outside (0, 1).
    """
    k, n = _checked_counts(successes, trials)
    threshold = np.asarray(_log_inverse(_checked_error(alpha)))
    lower, upper = _limits_of_sums(k[None], n[None], threshold)
    return tuple(zip(lower.tolist(), upper.tolist(), strict=True))


@proved_by("T9")
def difference_sequence(
    successes_a: Sequence[int],
    trials_a: Sequence[int],
    successes_b: Sequence[int],
    trials_b: Sequence[int],
    alpha: Fraction,
) -> tuple[tuple[Fraction, Fraction], ...]:
    """
    Limits of a difference of two rates, `p_a - p_b`, that hold at all times at once.

    The product of the two rates' mixtures is a martingale too, as each row belongs to one of them; its set
    `{(p_a, p_b) : M(p_a) M(p_b) < 1 / alpha}` is convex, and the limits are those of the difference over it. They are
    narrower than the difference of two separate limits, since the set has no corners.

    Parameters
    ----------
    successes_a, trials_a, successes_b, trials_b : sequence of int, shape (m,)
        Of each rate at each look; rows of the two may come in any order.
    alpha : Fraction
        Probability that the difference is ever outside.

    Returns
    -------
    tuple of (Fraction, Fraction), shape (m,)
        Lower limits rounded down and upper limits rounded up to multiples of 1e-12.

    Raises
    ------
    NumberError
        As for `confidence_sequence`.
    """
    (k_a, n_a), (k_b, n_b) = _checked_counts(successes_a, trials_a), _checked_counts(successes_b, trials_b)
    threshold = np.asarray(_log_inverse(_checked_error(alpha)))
    lower, upper = _limits_of_sums(np.stack([k_a, n_b - k_b]), np.stack([n_a, n_b]), threshold)
    return tuple(zip(lower.tolist(), upper.tolist(), strict=True))


@proved_by("T9")
def betting_sequence(
    outcomes: ArrayLike, alpha: Fraction, looks: Sequence[int]
) -> tuple[tuple[Fraction, Fraction], ...]:
    """
    Limits of a rate that hold at all times at once: hedged betting, which needs the rows one by one.

    One player bets half the capital that the rate is above m, the other that it is below, with predictable plug-in
    stakes; each m at which neither player's half has reached `1 / alpha` at a look stays (I. Waudby-Smith, A. Ramdas,
    Journal of the Royal Statistical Society B 86, 2024, with truncation 1/2).

    Parameters
    ----------
    outcomes : array-like of {0, 1}, shape (n,)
        In the order in which they came.
    alpha : Fraction
        Probability that the rate is ever outside.
    looks : sequence of int, shape (m,)
        Rows seen at each look, at least 1.

    Returns
    -------
    tuple of (Fraction, Fraction), shape (m,)
        Lower limits rounded down and upper limits rounded up to multiples of 1e-12.

    Raises
    ------
    NumberError
        For outcomes other than 0 and 1, looks outside the rows, or an `alpha` outside (0, 1).
    """
    x = np.asarray(outcomes, float)
    if x.ndim != 1 or not np.isin(x, (0.0, 1.0)).all():
        raise NumberError("betting needs a sequence of outcomes 0 and 1.")
    if any(not 1 <= look <= len(x) for look in looks):
        raise NumberError(f"looks must lie between 1 and the {len(x)} rows.")
    threshold = _log_inverse(_checked_error(alpha) / 2)
    times = np.arange(1, len(x) + 1)
    means = (0.5 + np.cumsum(x)) / (times + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (times + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    stakes = np.sqrt(2 * threshold / (before * times * np.log(times + 1)))

    def lower(rows: Floats, bets: Floats) -> Fraction:
        # The capital falls as m rises: bisection keeps an m at which it is certain to have reached the threshold.
        safe, open_end = 0.0, float(rows.mean())
        needed = threshold + 1e-12 * len(rows) + 1e-9
        for _ in range(45):
            m = (safe + open_end) / 2
            capital = float(np.log1p(np.minimum(bets, 0.5 / m) * (rows - m)).sum()) if m > 0 else -math.inf
            safe, open_end = (m, open_end) if capital >= needed else (safe, m)
        return _below(safe)

    return tuple((lower(x[:look], stakes[:look]), 1 - lower(1 - x[:look], stakes[:look])) for look in looks)


def _largest_common_mass(lower_0: Any, upper_0: Any, lower_1: Any, upper_1: Any, weights: Any) -> Any:
    """
    Upper bound of `sum_y w_y min(p_0(y), p_1(y))` over pmfs within limits; arrays of shape (K, ...), float or Fraction.

    With t_y for the minimum: `t_y <= min(upper_0, upper_1)` and `sum_y (t_y - lower_b(y))^+ <= 1 - sum_y lower_b(y)`,
    for b = 0, 1. Any two prices of these budgets give an upper bound (weak duality), where each t_y is best at one of
    three kinks. The vertices of the dual are prices out of the weights and their differences, so the smallest of these
    upper bounds is the maximum itself.
    """
    highest = np.minimum(upper_0, upper_1)
    kinks = (np.minimum(lower_0, highest), np.minimum(lower_1, highest), highest)
    over_0 = [np.maximum(t - lower_0, 0) for t in kinks]
    over_1 = [np.maximum(t - lower_1, 0) for t in kinks]
    rest_0, rest_1 = 1 - lower_0.sum(axis=0), 1 - lower_1.sum(axis=0)
    costs = [0 * weights[0], *weights]
    prices = [(x, y) for x in costs for y in costs]
    for i, j in combinations(range(len(weights)), 2):
        small, gap = np.minimum(weights[i], weights[j]), abs(weights[i] - weights[j])
        prices += [(small, gap), (gap, small)]
    best = None
    for price_0, price_1 in prices:
        values = [weights * t - price_0 * x - price_1 * y for t, x, y in zip(kinks, over_0, over_1, strict=True)]
        total = np.maximum(np.maximum(values[0], values[1]), values[2]).sum(axis=0)
        total = total + price_0 * rest_0 + price_1 * rest_1
        best = total if best is None else np.minimum(best, total)
    return best


def _least_mean(lower: Any, upper: Any, values: Any) -> Any:
    """Lower bound of `sum_y p(y) values(y)` over pmfs within limits, by duality as above; arrays of shape (K, ...)."""
    best = None
    for level in values:
        gain = np.maximum(values - level, 0) * lower - np.maximum(level - values, 0) * upper
        total = level + gain.sum(axis=0)
        best = total if best is None else np.maximum(best, total)
    return best


def _least_pure(lower_0: Any, upper_0: Any, lower_1: Any, upper_1: Any, disparity: Any) -> Any:
    return 1 - _largest_common_mass(lower_0, upper_0, lower_1, upper_1, 1 - disparity)


def _least_balanced(lower_0: Any, upper_0: Any, lower_1: Any, upper_1: Any, disparity: Any) -> Any:
    return (_least_mean(lower_0, upper_0, disparity) + _least_mean(lower_1, upper_1, disparity)) / 2


def _objects(*vectors: Sequence[Fraction]) -> tuple[NDArray[np.object_], ...]:
    return tuple(np.array(vector, dtype=object) for vector in vectors)


@proved_by("T1", "T9")
def lower_advantage_pure(
    lower_0: Sequence[Fraction],
    upper_0: Sequence[Fraction],
    lower_1: Sequence[Fraction],
    upper_1: Sequence[Fraction],
    disparity: Sequence[Fraction],
) -> Fraction:
    """
    T1's least value for two pure worlds whose label marginals lie within limits.

    Parameters
    ----------
    lower_0, upper_0, lower_1, upper_1 : sequence of Fraction, shape (K,)
        Limits of the two label marginals; some pmf lies within each.
    disparity : sequence of Fraction, shape (K,)
        Lower limits of the disparities, in [0, 1].
    """
    return Fraction(_least_pure(*_objects(lower_0, upper_0, lower_1, upper_1, disparity)))


@proved_by("T1", "T9")
def lower_advantage_balanced(
    lower_0: Sequence[Fraction],
    upper_0: Sequence[Fraction],
    lower_1: Sequence[Fraction],
    upper_1: Sequence[Fraction],
    disparity: Sequence[Fraction],
) -> Fraction:
    """
    T1's least value for two pure worlds in the label-balanced game.

    Parameters are those of `lower_advantage_pure`.
    """
    return Fraction(_least_balanced(*_objects(lower_0, upper_0, lower_1, upper_1, disparity)))


@dataclass(frozen=True)
class MonitorPlan:
    """
    What a monitor watches, fixed before the first row that it counts.

    Parameters
    ----------
    n_groups, n_labels, n_outputs : int
        Sizes of the alphabets; a row's code is its position in a table of this shape.
    max_advantage : Fraction
        The monitor alarms when T1's value (the largest over all pairs of pure groups) is above this.
    confidence : Fraction
        1 minus the probability of ever raising a false alarm.
    window : int
        Rows between starts; a multiple of `every`.
    every : int
        Rows between looks.
    label_balanced : bool
        Whether both worlds get the average of their label marginals.

    Raises
    ------
    AlphabetError
        For fewer than two groups or labels, no output, or more than `MAX_LIMITS` confidence sets.
    NumberError
        For numbers out of range.
    """

    n_groups: int
    n_labels: int
    n_outputs: int
    max_advantage: Fraction
    confidence: Fraction = Fraction(19, 20)
    window: int = 2000
    every: int = 100
    label_balanced: bool = False

    def __post_init__(self) -> None:
        if self.n_groups < 2 or self.n_labels < 2 or self.n_outputs < 1:
            raise AlphabetError("a monitor needs at least two groups, two labels and one output.")
        if self.number > MAX_LIMITS:
            raise AlphabetError(
                f"{self.n_groups} groups, {self.n_labels} labels and {self.n_outputs} outputs need {self.number} "
                f"confidence sets (at most {MAX_LIMITS}); merge groups or outputs."
            )
        if not 0 <= self.max_advantage <= 1:
            raise NumberError(f"the largest advantage {self.max_advantage} lies outside [0, 1].")
        if not Fraction(1, 2) <= self.confidence <= 1 - Fraction(1, 10**50):
            raise NumberError(f"confidence {self.confidence} must be at least 0.5 and below 1.")
        if not 1 <= self.every <= self.window <= 10**12 or self.window % self.every:
            raise NumberError(
                f"the window ({self.window} rows) must be a multiple of the rows between looks ({self.every}), which "
                "are at least 1."
            )

    @property
    def cells(self) -> int:
        """Number of (group, label, output) cells."""
        return self.n_groups * self.n_labels * self.n_outputs

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs of groups, by position."""
        return tuple(combinations(range(self.n_groups), 2))

    @cached_property
    def events(self) -> Floats:
        """Events of outputs whose rates are compared, one of each complementary two; shape (Z, E)."""
        size = self.n_outputs
        if size == 1:
            return np.zeros((1, 1))
        if size > _ALL_EVENTS:
            return np.eye(size)
        masks = np.arange(1, 2 ** (size - 1))
        return ((masks >> np.arange(size)[:, None]) & 1).astype(float)

    @property
    def number(self) -> int:
        """Confidence sets of one start: (pair, label, event), and the label marginals of each group."""
        size = self.n_outputs
        n_events = size if size > _ALL_EVENTS else max(1, 2 ** (size - 1) - 1)
        n_pairs = self.n_groups * (self.n_groups - 1) // 2
        # Two labels have one rate; its limits are the other's.
        return n_pairs * self.n_labels * n_events + self.n_groups * (self.n_labels if self.n_labels > 2 else 1)

    def error(self, start: int) -> Fraction:
        """Error of start j, `alpha / ((j + 1) (j + 2))`; all of them add up to `alpha = 1 - confidence`."""
        return (1 - self.confidence) / ((start + 1) * (start + 2))

    def threshold(self, start: int) -> float:
        """Logarithm at which a confidence set of start j excludes a rate."""
        return _log_inverse(self.error(start) / self.number)

    def kept(self, rows: int) -> list[int]:
        """Numbers of the starts that are kept after so many rows: 0 and the latest ones."""
        latest = rows // self.window
        return [0, *range(max(1, latest - MAX_STARTS + 2), latest + 1)]


@dataclass(frozen=True)
class Alarm:
    """
    The lower confidence limit of T1's value has passed the plan's `max_advantage`.

    Attributes
    ----------
    row : int
        Rows counted when it was noticed.
    start : int
        Number of the start that noticed it, whose rows are those after `since`.
    since : int
        Rows counted before that start.
    pair : tuple of int
        Positions of the two groups.
    lower : Fraction
        The lower limit, above the plan's `max_advantage`.
    """

    row: int
    start: int
    since: int
    pair: tuple[int, int]
    lower: Fraction


@dataclass(frozen=True)
class AdvantageLimits:
    """
    Limits of T1's value at one moment, from the rows since one start.

    Attributes
    ----------
    start, since : int
        Number of the start, and rows counted before it.
    lower, upper : Fraction
        Limits of the largest value over all pairs of groups; with those of all other moments of this start and of all
        other starts they hold jointly at the plan's confidence, each as long as the rates since its start are constant.
    distances_lower, distances_upper : tuple, shape (pairs, K)
        Limits of the total variation between each two groups, per label.
    """

    start: int
    since: int
    lower: Fraction
    upper: Fraction
    distances_lower: tuple[tuple[Fraction, ...], ...]
    distances_upper: tuple[tuple[Fraction, ...], ...]

    @property
    def disparities(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """Lower and upper limit of each label's disparity, the largest distance."""
        lows, highs = zip(*self.distances_lower, strict=True), zip(*self.distances_upper, strict=True)
        return tuple((max(low), max(high)) for low, high in zip(lows, highs, strict=True))


class Monitor:
    """
    Watch T1's value on a stream that may change at any row, and look as often as wanted.

    Confidence sequences start at rows 0, w, 2w, ... (w the plan's window), start j with error
    `alpha / ((j + 1) (j + 2))`; each is computed from the counts since its start. Row 0 and the `MAX_STARTS - 1` latest
    are kept: leaving one out takes looks away, and so never adds an alarm.

    The guarantee (T9 (iv)): with probability at least the plan's confidence, at no look is the lower limit of any
    start above T1's value, as long as label rates given the group and output rates given group and label have been
    constant since that start. So an alarm says, at that confidence, that since its start the value was above
    `max_advantage` or that rates changed. Nothing is assumed about which groups come when, nor about the rows before
    the start.

    Parameters
    ----------
    plan : MonitorPlan
    """

    def __init__(self, plan: MonitorPlan) -> None:
        self.plan = plan
        self.rows = 0
        self.alarm: Alarm | None = None
        self._counts = np.zeros(plan.cells, dtype=np.int64)
        self._starts: dict[int, NDArray[np.int64]] = {0: self._counts}

    def update(self, codes: ArrayLike) -> Alarm | None:
        """
        Count rows, looking after every `every` of them; after an alarm nothing is counted any more.

        Parameters
        ----------
        codes : array-like of int, shape (n,)
            Position of each row's cell in a flattened table of shape (groups, labels, outputs).

        Returns
        -------
        Alarm or None

        Raises
        ------
        AlphabetError
            For a code outside the table.
        CountOverflowError
            Beyond 2**53 rows.
        """
        rows = np.asarray(codes)
        if rows.size and (rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= self.plan.cells):
            raise AlphabetError(f"codes must be integers from 0 to {self.plan.cells - 1}.")
        rows = rows.astype(np.int64, copy=False)
        if self.rows + len(rows) > MAX_ROWS:
            raise CountOverflowError("the stream has more than 2**53 rows; start a new watch.")
        every, position = self.plan.every, 0
        while position < len(rows) and self.alarm is None:
            size = _BATCH * every - self.rows % every
            self._advance(rows[position : position + size])
            position += size
        return self.alarm

    def look(self) -> Alarm | None:
        """Look now, for instance at the end of the stream; costs nothing in confidence."""
        if self.alarm is None:
            self._decide(np.array([self.rows]), self._counts[None])
        return self.alarm

    @proved_by("T1", "T9")
    def limits(self, start: int = 0) -> AdvantageLimits:
        """
        Limits now, from the rows since one of the kept starts.

        Parameters
        ----------
        start : int
            Number of the start.

        Raises
        ------
        NumberError
            If it is not kept.
        """
        if start not in self._starts:
            raise NumberError(f"no start {start}; kept are {', '.join(map(str, self._starts))}.")
        plan = self.plan
        counts = (self._counts - self._starts[start])[None]
        distances, lower, upper = (part[..., 0] for part in self._exact(counts, start))
        lowest = self._values(lower, upper, distances).max()
        farthest = self._farthest(counts, np.array([plan.threshold(start)]))
        rule = upper_advantage_balanced if plan.label_balanced else upper_advantage_pure
        highest = max(
            rule(lower[:, a].tolist(), lower[:, b].tolist(), far)
            for (a, b), far in zip(plan.pairs, farthest, strict=True)
        )
        return AdvantageLimits(
            start, start * plan.window, Fraction(lowest), highest, tuple(map(tuple, distances.T.tolist())), farthest
        )

    def to_dict(self) -> dict[str, Any]:
        """Rows, counts, starts and alarm as JSON-ready values; exact, so that a resumed watch is the same watch."""
        return {
            "rows": self.rows,
            "counts": self._counts.tolist(),
            "starts": [{"number": number, "counts": counts.tolist()} for number, counts in self._starts.items()],
            "alarm": self.alarm is not None,
        }

    @classmethod
    def from_dict(cls, plan: MonitorPlan, data: Any) -> Monitor:
        """
        Resume from what `to_dict` returned, checking that it can be the state of such a monitor.

        Raises
        ------
        NumberError
            If it cannot.
        """
        monitor = cls(plan)
        try:
            rows, counts, alarm = data["rows"], data["counts"], data["alarm"]
            numbers = [entry["number"] for entry in data["starts"]]
            vectors = [*(entry["counts"] for entry in data["starts"]), counts]
            fits = (
                _is_count(rows)
                and isinstance(alarm, bool)
                and numbers == plan.kept(rows)
                and all(isinstance(vector, list) and len(vector) == plan.cells for vector in vectors)
                and all(_is_count(n) for vector in vectors for n in vector)
                and [sum(vector) for vector in vectors] == [*(number * plan.window for number in numbers), rows]
                and all(np.all(np.less_equal(early, late)) for early, late in pairwise(vectors))
            )
        except (KeyError, TypeError):
            fits = False
        if not fits:
            raise NumberError("the state does not describe a watch with these settings; start a new one.")
        monitor.rows = rows
        monitor._counts = np.array(counts, dtype=np.int64)
        monitor._starts = dict(zip(numbers, (np.array(vector, dtype=np.int64) for vector in vectors), strict=False))
        # Counting stops at an alarm, so that looking again shows it again.
        if alarm and monitor.look() is None:
            raise NumberError("the state tells of an alarm that its counts do not show; start a new watch.")
        return monitor

    def _advance(self, codes: NDArray[Any]) -> None:
        """Count at most a batch of looks, and decide at each."""
        plan, every = self.plan, self.plan.every
        first = self.rows // every
        block = (self.rows + np.arange(len(codes))) // every - first
        table = np.bincount(block * plan.cells + codes, minlength=(int(block[-1]) + 1) * plan.cells)
        totals = self._counts + table.reshape(-1, plan.cells).cumsum(axis=0)
        rows = self.rows + len(codes)
        looks = np.arange(first + 1, rows // every + 1) * every
        for look, counts in zip(looks.tolist(), totals, strict=False):
            if look % plan.window == 0:
                self._starts[look // plan.window] = counts
        if len(looks):
            self._decide(looks, totals[: len(looks)])
        if self.alarm is None:
            self.rows, self._counts = rows, totals[-1]
        else:
            self.rows, self._counts = self.alarm.row, totals[self.alarm.row // every - first - 1]
        self._starts = {number: self._starts[number] for number in plan.kept(self.rows)}

    def _decide(self, looks: NDArray[np.int64], totals: NDArray[np.int64]) -> None:
        """Set the alarm of the first of several looks that gives one; of its starts, the one with the highest limit."""
        plan = self.plan
        kept = [(i, start) for i, look in enumerate(looks.tolist()) for start in plan.kept(look)]
        index = np.array([i for i, _ in kept])
        counts = totals[index] - np.stack([self._starts[start] for _, start in kept])
        # A measured value lies within its limits, and floating point only proposes: what it proposes is decided
        # exactly, one look and start at a time, so that where the caller cuts the stream changes no bit.
        limit = float(plan.max_advantage) - 1e-9
        chosen = np.flatnonzero(self._measured(counts) > limit)
        if not len(chosen):
            return
        thresholds = {start: plan.threshold(start) for start in {start for _, start in kept}}
        parts = self._parts(counts[chosen], np.array([thresholds[kept[c][1]] for c in chosen]))
        proposed = chosen[self._values(*parts[1:], parts[0]).max(axis=0) > limit]
        alarms: list[Alarm] = []
        for c in proposed.tolist():
            i, start = kept[c]
            row = int(looks[i])
            if alarms and row > alarms[0].row:
                break
            distances, lower, upper = self._exact(counts[c : c + 1], start)
            values = self._values(lower, upper, distances)[:, 0].tolist()
            worst = max(range(len(values)), key=values.__getitem__)
            if values[worst] > plan.max_advantage:
                alarms.append(Alarm(row, start, start * plan.window, plan.pairs[worst], Fraction(values[worst])))
        if alarms:
            self.alarm = max(alarms, key=lambda alarm: alarm.lower)

    def _tables(self, counts: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        """Rows per event, shape (E, K, G, m); per (label, group), shape (K, G, m); per group, shape (G, m)."""
        plan = self.plan
        table = counts.reshape(-1, plan.n_groups, plan.n_labels, plan.n_outputs).astype(float)
        cells = table.sum(axis=3).transpose(2, 1, 0)
        return (table @ plan.events).transpose(3, 2, 1, 0), cells, cells.sum(axis=0)

    def _oriented(self, hits: Floats, cells: Floats) -> tuple[Floats, Floats]:
        """Successes and trials of the two rates whose sum is 1 + |measured difference|; shape (2, E, K, pairs, m)."""
        a, b = (list(side) for side in zip(*self.plan.pairs, strict=True))
        k_a, k_b = hits[:, :, a], hits[:, :, b]
        n_a, n_b = (np.broadcast_to(cells[:, side], k_a.shape) for side in (a, b))
        more = k_a * n_b >= k_b * n_a
        successes = np.stack([np.where(more, k_a, n_a - k_a), np.where(more, n_b - k_b, k_b)])
        return successes, np.stack([n_a, n_b])

    def _parts(self, counts: NDArray[np.int64], threshold: Floats) -> tuple[Floats, Floats, Floats]:
        """Lower limits of distances, shape (K, pairs, m), and both limits of label marginals, shape (K, G, m)."""
        hits, cells, groups = self._tables(counts)
        sums = _lowest_sums(*self._oriented(hits, cells), threshold).max(axis=0) - 1
        trials = np.broadcast_to(groups, cells.shape)
        lower = _lowest_sums(cells[None], trials[None], threshold)
        upper = 1 - _lowest_sums((trials - cells)[None], trials[None], threshold)
        return np.maximum(sums, 0), lower, upper

    def _exact(self, counts: NDArray[np.int64], start: int) -> tuple[Any, Any, Any]:
        """`_parts` as rationals on the safe side, from one start's counts, shape (1, cells)."""
        distances, lower, upper = self._parts(counts, np.array([self.plan.threshold(start)]))
        return _on_grid(distances), _on_grid(lower), 1 - _on_grid(1 - upper)

    def _values(self, lower: Any, upper: Any, distances: Any) -> Any:
        """T1's least value for each pair of groups, shape (pairs, m)."""
        rule = _least_balanced if self.plan.label_balanced else _least_pure
        return np.stack(
            [
                rule(lower[:, a], upper[:, a], lower[:, b], upper[:, b], distances[:, p])
                for p, (a, b) in enumerate(self.plan.pairs)
            ]
        )

    def _measured(self, counts: NDArray[np.int64]) -> Floats:
        """T1's largest value over pairs at the measured rates, no less than any lower limit; shape (m,)."""
        hits, cells, groups = self._tables(counts)
        successes, trials = self._oriented(hits, cells)
        sums = (successes / np.maximum(trials, 1)).sum(axis=0) - 1
        distances = np.where((trials > 0).all(axis=0), sums, 0).max(axis=0)
        marginals = cells / np.maximum(groups, 1)
        values = [
            (distances[:, p] * (marginals[:, a] + marginals[:, b]) / 2).sum(axis=0)
            if self.plan.label_balanced
            else 1 - ((1 - distances[:, p]) * np.minimum(marginals[:, a], marginals[:, b])).sum(axis=0)
            for p, (a, b) in enumerate(self.plan.pairs)
        ]
        largest: Floats = np.max(values, axis=0)
        return largest

    def _farthest(self, counts: NDArray[np.int64], threshold: Floats) -> tuple[tuple[Fraction, ...], ...]:
        """Upper limits of distances, shape (pairs, K), from one start's counts, shape (1, cells)."""
        hits, cells, _ = self._tables(counts)
        least, most = _limits_of_sums(*self._oriented(hits, cells), threshold)
        # Over all events the largest difference is the distance; over single outputs half of their sum is.
        far = np.maximum(most, -least)[..., 0]
        far = far.sum(axis=0) / 2 if self.plan.n_outputs > _ALL_EVENTS else far.max(axis=0)
        return tuple(tuple(max(Fraction(0), min(Fraction(1), Fraction(v))) for v in row) for row in far.T.tolist())


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_ROWS
