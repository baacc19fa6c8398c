"""What guesses and scores show. The unit of every limit is the model: victims are drawn, queries and shadows given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import binom, hypergeom, rankdata

from fairbound.bounds.confidence import lower_limits, parse_confidence
from fairbound.bounds.rational import to_fraction
from fairbound.empirical.attacks.errors import AttackInputError
from fairbound.empirical.attacks.predictions import Floats

Verdict = Literal["within", "exceeds", "inconclusive"]


@dataclass(frozen=True)
class Interval:
    """
    An estimate with confidence limits.

    Attributes
    ----------
    value, lower, upper : float
    """

    value: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.lower:.3f}, {self.upper:.3f}]"


@dataclass(frozen=True)
class Guesses:
    """
    Right guesses per world.

    Parameters
    ----------
    right, models : tuple of two ints
        Victims guessed right, and victims, of world 0 and of world 1.

    Raises
    ------
    AttackInputError
        If a world has no victims, or more are right than there are.
    """

    right: tuple[int, int]
    models: tuple[int, int]

    def __post_init__(self) -> None:
        if any(not 0 <= k <= n or n == 0 for k, n in zip(self.right, self.models, strict=True)):
            raise AttackInputError(f"{self.right} right guesses of {self.models} victims: give victims of both worlds.")

    @classmethod
    def of(cls, guess: ArrayLike, world: ArrayLike) -> Guesses:
        """
        Count.

        Parameters
        ----------
        guess, world : array-like of int, shape (victims,)
            0 or 1.

        Returns
        -------
        Guesses

        Raises
        ------
        AttackInputError
            If a world has no victims.
        """
        guess, world = np.asarray(guess), np.asarray(world)
        masks = (world == 0, world == 1)
        right = tuple(int((guess[mask] == b).sum()) for b, mask in enumerate(masks))
        return cls(right, tuple(int(mask.sum()) for mask in masks))

    @property
    def accuracy(self) -> float:
        """Mean of the two worlds' shares of right guesses."""
        return sum(k / n for k, n in zip(self.right, self.models, strict=True)) / 2

    @property
    def advantage(self) -> float:
        """`2 accuracy - 1`, true- less false-positive rate; negative if the victims' worlds are mistaken more often.

        Not its absolute value: an attack that could turn its guesses round once it has seen which are right would be
        choosing on the victims.
        """
        return 2 * self.accuracy - 1

    def p_value(self) -> float:
        """
        Of "guesses have nothing to do with worlds", against "right more often than not" (R. Fisher's exact test).

        Given the shadows, guesses of victims that do not differ between worlds are exchangeable, however lopsided the
        chosen rule: so the test holds for every choice made on shadows.

        Returns
        -------
        float
        """
        zeros, ones = self.models
        guessed_one = self.right[1] + zeros - self.right[0]
        return float(hypergeom.sf(self.right[1] - 1, zeros + ones, ones, guessed_one))


def advantage_interval(guesses: Guesses, confidence: float | str | Fraction = 0.95) -> Interval:
    """
    Advantage of a fitted attack over fresh victims, with finite-sample limits.

    With as many victims of world 0 as of world 1, the number of right guesses is a sum of independent indicators with
    mean n times the accuracy, although the two worlds' chances of a right guess differ. At a distance of 1 from the
    mean and beyond, its tails are no heavier than the binomial ones (W. Hoeffding, 1956); nearer to it a binomial tail
    is above 1/4 if the mean is above 1 (S. Greenberg, M. Mohri, 2014), so no limit ends there; and the limit for a
    single right guess is that of the union bound. So the Clopper-Pearson limits of the total hold. With unequal numbers
    each world's rate gets two-sided limits at level `sqrt(confidence)`: the two are independent, so both hold at once
    with the stated confidence, and are added up.

    Parameters
    ----------
    guesses : Guesses
    confidence : rational
        At least 1/2 and below 1.

    Returns
    -------
    Interval
        Within [-1, 1].
    """
    level = parse_confidence(confidence)
    (k0, k1), (n0, n1) = guesses.right, guesses.models
    if n0 == n1:
        low, high = _rate_limits(k0 + k1, n0 + n1, (1 - level) / 2, pooled=True)
        least, most = 2 * low - 1, 2 * high - 1
    else:
        each = to_fraction((1 - math.sqrt(level)) / 2)
        limits = [_rate_limits(k, n, each, pooled=False) for k, n in ((k0, n0), (k1, n1))]
        least, most = (a + b - 1 for a, b in zip(*limits, strict=True))
    return Interval(guesses.advantage, float(least), float(most))


def _rate_limits(successes: int, trials: int, alpha: Fraction, *, pooled: bool) -> tuple[Fraction, Fraction]:
    def lower(k: int) -> Fraction:
        limit = lower_limits([k], [trials], alpha)[0]
        return min(limit, alpha / trials) if pooled and k == 1 else limit

    return lower(successes), 1 - lower(trials - successes)


def verdict(interval: Interval, bound: float | Fraction) -> Verdict:
    """
    Whether a measured advantage respects a bound.

    Parameters
    ----------
    interval : Interval
        Of the advantage.
    bound : float or Fraction

    Returns
    -------
    {"within", "exceeds", "inconclusive"}
        "within" if the upper limit is at most the bound, "exceeds" if the lower limit is above it.
    """
    if interval.upper <= bound:
        return "within"
    return "exceeds" if interval.lower > bound else "inconclusive"


def joint_verdict(
    guesses: Sequence[Guesses], bound: float | Fraction, confidence: float | str | Fraction = 0.95
) -> Verdict:
    """
    Whether all of several attacks respect a bound, with the stated confidence in the answer.

    "within" says that every attack is: each interval at the full level decides, for a wrong answer needs one of them to
    miss, whichever attack is the strongest. "exceeds" says that some attack does: the error is split among the attacks
    (Bonferroni).

    Parameters
    ----------
    guesses : sequence of Guesses
        One for each attack, on the same or on other victims.
    bound : float or Fraction
    confidence : rational

    Returns
    -------
    {"within", "exceeds", "inconclusive"}

    Raises
    ------
    AttackInputError
        If there are no attacks.
    """
    if not guesses:
        raise AttackInputError("no attack was given; a bound is respected by those that were tried.")
    if all(verdict(advantage_interval(g, confidence), bound) == "within" for g in guesses):
        return "within"
    split = 1 - (1 - parse_confidence(confidence)) / len(guesses)
    above = any(verdict(advantage_interval(g, split), bound) == "exceeds" for g in guesses)
    return "exceeds" if above else "inconclusive"


def holm(p_values: ArrayLike) -> Floats:
    """
    Adjusted p-values: rejecting those at most alpha errs anywhere with probability at most alpha (S. Holm, 1979).

    Parameters
    ----------
    p_values : array-like, shape (m,)

    Returns
    -------
    array, shape (m,)
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def auc_interval(scores: ArrayLike, world: ArrayLike, confidence: float | str | Fraction = 0.95) -> Interval:
    """
    Chance that a victim of world 1 scores above one of world 0 (ties: half), with its limits.

    Limits are those of E. DeLong et al. (1988) on the logit scale, right for many victims. Where that variance is 0,
    limits from as many disjoint pairs as there are hold instead: exact ones if the worlds separate perfectly, those of
    W. Hoeffding (1963) else, as where every score is the same.

    Parameters
    ----------
    scores : array-like, shape (victims,)
    world : array-like of int, shape (victims,)
    confidence : rational

    Returns
    -------
    Interval

    Raises
    ------
    AttackInputError
        If a world has fewer than two victims.
    """
    zeros, ones = _split(scores, world)
    m, n = len(zeros), len(ones)
    alpha = 1 - parse_confidence(confidence)
    ranks = rankdata(np.concatenate([zeros, ones]))
    # Share of the other world's victims below (for world 1) or above (for world 0) each victim.
    above = 1 - (ranks[:m] - rankdata(zeros)) / n
    below = (ranks[m:] - rankdata(ones)) / m
    auc = float(below.mean())
    variance = above.var(ddof=1) / m + below.var(ddof=1) / n
    if auc in (0.0, 1.0):
        limit = float(lower_limits([min(m, n)], [min(m, n)], alpha / 2)[0])
        return Interval(auc, limit, 1.0) if auc else Interval(auc, 0.0, 1 - limit)
    if variance == 0:
        margin = math.sqrt(math.log(2 / float(alpha)) / (2 * min(m, n)))
        return Interval(auc, max(0.0, auc - margin), min(1.0, auc + margin))
    logit = math.log(auc / (1 - auc))
    margin = float(ndtri(1 - float(alpha) / 2)) * math.sqrt(variance) / (auc * (1 - auc))
    return Interval(auc, *(1 / (1 + math.exp(-x)) for x in (logit - margin, logit + margin)))


@dataclass(frozen=True)
class LowFalsePositives:
    """
    The share of world 1 that is found while few of world 0 are accused.

    Attributes
    ----------
    false_positives : float
        The rate that was allowed: what was asked for, or `1 / victims of world 0` if that is more, for fewer victims
        say nothing about smaller rates.
    true_positives : float
        At the lowest threshold that keeps to it. Both are points of the victims' own ROC curve.
    """

    false_positives: float
    true_positives: float


def true_positives_at(scores: ArrayLike, world: ArrayLike, false_positives: float = 0.01) -> LowFalsePositives:
    """
    True-positive rate at a low false-positive rate.

    Parameters
    ----------
    scores : array-like, shape (victims,)
    world : array-like of int, shape (victims,)
    false_positives : float
        In [0, 1].

    Returns
    -------
    LowFalsePositives

    Raises
    ------
    AttackInputError
        If the rate lies outside [0, 1], or a world has fewer than two victims.
    """
    if not 0 <= false_positives <= 1:
        raise AttackInputError(f"a false-positive rate of {false_positives} is outside [0, 1].")
    zeros, ones = _split(scores, world)
    rate = max(false_positives, 1 / len(zeros))
    # A tolerance, for 0.29 * 100 is below 29 in floating point.
    allowed = math.floor(rate * len(zeros) + 1e-9)
    highest = -np.inf if allowed >= len(zeros) else np.sort(zeros)[len(zeros) - 1 - allowed]
    return LowFalsePositives(rate, float((ones > highest).mean()))


def _split(scores: ArrayLike, world: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    scores, world = np.asarray(scores, dtype=np.float64), np.asarray(world)
    zeros, ones = scores[world == 0], scores[world == 1]
    if min(len(zeros), len(ones)) < 2:
        raise AttackInputError("at least two victims of each world are needed.")
    return zeros, ones


def victims_needed(
    advantage: float, bound: float, *, power: float = 0.8, confidence: float | str | Fraction = 0.95, most: int = 10**6
) -> int:
    """
    Victims per world from which a verdict against a bound is likely.

    If the true advantage is above the bound the verdict is "exceeds", if it is below it is "within". Power is exact
    where both worlds are guessed right equally often, and at least that elsewhere (W. Hoeffding, 1956: equal chances
    spread the number of right guesses most; hence a power above 1/2).

    Parameters
    ----------
    advantage : float
        True advantage of the attack, in [0, 1].
    bound : float
        In [0, 1], not the advantage.
    power : float
        Wanted probability of the verdict, above 1/2 and below 1.
    confidence : rational
        Of `advantage_interval`.
    most : int
        Where the search ends.

    Returns
    -------
    int
        Smallest number with that power. Power is not monotone in it (counts are whole): slightly more victims may have
        slightly less.

    Raises
    ------
    AttackInputError
        If an argument lies outside its range, or more than `most` are needed.
    """
    if not (0 <= advantage <= 1 and 0 <= bound <= 1 and advantage != bound and 0.5 < power < 1):
        raise AttackInputError(
            "advantage and bound must be two different numbers in [0, 1], and the power above 1/2 and below 1."
        )
    tail = float(1 - parse_confidence(confidence)) / 2
    accuracy = (1 + advantage) / 2
    start, step = 1, 1024
    while start <= most:
        victims = np.arange(start, min(start + step, most + 1))
        n = 2 * victims
        if advantage > bound:
            # Least number of right guesses whose lower limit is above the bound.
            enough = binom.isf(tail, n, (1 + bound) / 2) + 1
            reached = binom.sf(enough - 1, n, accuracy)
        else:
            few = binom.ppf(tail, n, (1 + bound) / 2) - 1
            reached = binom.cdf(few, n, accuracy)
        found = victims[reached >= power]
        if len(found):
            return int(found[0])
        start, step = start + step, 2 * step
    raise AttackInputError(f"more than {most} victims per world are needed to tell {advantage} from {bound}.")
