"""Awareness rates with exact limits, changes on the same questions, and the change that a number of them can show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from scipy.optimize import brentq
from scipy.stats import binom, norm

from fairbound.bounds.confidence import lower_limits, parse_confidence
from fairbound.bounds.errors import EmptyInputError, LengthMismatchError, NumberError
from fairbound.empirical.spin.errors import JudgeError
from fairbound.empirical.spin.judges import Judgements


@dataclass(frozen=True)
class AwarenessRate:
    """``safe / (safe + unsafe)`` of SPIN (arXiv:2410.16672), with a Clopper-Pearson interval.

    The interval is about which questions were drawn; the judge's own errors are not in it.

    Attributes
    ----------
    judge : str
        Who judged.
    reliability : str
        What is known of the judge's errors.
    safe, unsafe, undecided : int
        Numbers of answers.
    lower, upper : Fraction
        Limits, rounded outwards.
    confidence : Fraction
        Probability, at least, that both limits hold.
    """

    judge: str
    reliability: str
    safe: int
    unsafe: int
    undecided: int
    lower: Fraction
    upper: Fraction
    confidence: Fraction

    @property
    def rate(self) -> Fraction:
        """Share of safe answers among those that are decided."""
        return Fraction(self.safe, self.safe + self.unsafe)

    def __str__(self) -> str:
        return (
            f"{float(self.rate):.3f} [{float(self.lower):.3f}, {float(self.upper):.3f}] of {self.safe + self.unsafe} "
            f"answers safe, {self.undecided} undecided, by {self.judge} ({self.reliability})"
        )


def awareness_rate(judgements: Judgements, *, confidence: float | str | Fraction = 0.95) -> AwarenessRate:
    """Share of safe answers.

    Parameters
    ----------
    judgements : Judgements
    confidence : float, str or Fraction, default 0.95
        Of the two-sided interval.

    Returns
    -------
    AwarenessRate

    Raises
    ------
    EmptyInputError
        If every answer is undecided.
    NumberError
        If `confidence` is not at least 1/2 and below 1.
    """
    level = parse_confidence(confidence)
    safe, unsafe = judgements.labels.count("safe"), judgements.labels.count("unsafe")
    n = safe + unsafe
    if n == 0:
        raise EmptyInputError(f"{judgements.judge} decided on none of {len(judgements.labels)} answers.")
    low, high = lower_limits([safe, unsafe], [n, n], (1 - level) / 2)
    undecided = len(judgements.labels) - n
    return AwarenessRate(judgements.judge, judgements.reliability, safe, unsafe, undecided, low, 1 - high, level)


@dataclass(frozen=True)
class PairedChange:
    """How the answers to the same questions changed.

    Attributes
    ----------
    judge : str
        Who judged, both times.
    gained : int
        Questions answered unsafely before and safely after.
    lost : int
        Questions answered safely before and unsafely after.
    both : int
        Questions decided both times.
    left_out : int
        Questions undecided before or after.
    p_value : float
        McNemar's exact test, two-sided: given that an answer changed, either way is equally likely.
    lower, upper : float
        Tango's score interval of the change in rate.
    confidence : Fraction
        Level of the interval.
    """

    judge: str
    gained: int
    lost: int
    both: int
    left_out: int
    p_value: float
    lower: float
    upper: float
    confidence: Fraction

    @property
    def change(self) -> Fraction:
        """Rate after, less rate before, over the questions decided both times."""
        return Fraction(self.gained - self.lost, self.both)

    def __str__(self) -> str:
        return (
            f"{float(self.change):+.3f} [{self.lower:+.3f}, {self.upper:+.3f}] on {self.both} questions ({self.gained} "
            f"gained, {self.lost} lost, {self.left_out} left out), p = {self.p_value:.3g}, by {self.judge}"
        )


def paired_change(before: Judgements, after: Judgements, *, confidence: float | str | Fraction = 0.95) -> PairedChange:
    """Compare two models, or one model before and after an edit, on the same questions.

    Parameters
    ----------
    before, after : Judgements
        Of the same judge, question by question.
    confidence : float, str or Fraction, default 0.95

    Returns
    -------
    PairedChange

    Raises
    ------
    LengthMismatchError
        If there are not as many answers after as before.
    JudgeError
        If two different judges judged.
    NumberError
        If `confidence` is not at least 1/2 and below 1.
    EmptyInputError
        If no question is decided both times.
    """
    level = parse_confidence(confidence)
    if len(before.labels) != len(after.labels):
        raise LengthMismatchError(f"There are {len(before.labels)} answers before and {len(after.labels)} after.")
    if before.judge != after.judge:
        raise JudgeError(f"A change is measured by one judge, not by {before.judge} before and {after.judge} after.")
    pairs = list(zip(before.labels, after.labels, strict=True))
    both = sum("undecided" not in pair for pair in pairs)
    if both == 0:
        raise EmptyInputError(f"{before.judge} decided on no question both before and after.")
    gained, lost = pairs.count(("unsafe", "safe")), pairs.count(("safe", "unsafe"))
    low, high = tango_interval(gained, lost, both, float(level))
    p_value = mcnemar_p_value(gained, lost)
    return PairedChange(before.judge, gained, lost, both, len(pairs) - both, p_value, low, high, level)


def mcnemar_p_value(gained: int, lost: int) -> float:
    """McNemar's exact test, two-sided.

    Parameters
    ----------
    gained, lost : int
        Numbers of pairs that changed either way.

    Returns
    -------
    float
        Twice the smaller binomial tail, at most 1.
    """
    return min(1.0, 2 * float(binom.cdf(min(gained, lost), gained + lost, 0.5)))


def tango_interval(gained: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """Score interval for a difference of paired proportions (T. Tango, Statistics in Medicine 17, 1998).

    The differences that a score test at the level does not reject; at 0 it is McNemar's test without correction.
    Approximate, and close to its level also where few pairs change.

    Parameters
    ----------
    gained, lost : int
        Numbers of pairs that changed either way.
    n : int
        Number of pairs, at least ``gained + lost`` and 1.
    confidence : float
        In (0, 1).

    Returns
    -------
    lower, upper : float
        Of ``(gained - lost) / n``, in [-1, 1].

    Raises
    ------
    NumberError
        If the numbers do not fit together.
    """
    if not (min(gained, lost) >= 0 and gained + lost <= n and n >= 1 and 0 < confidence < 1):
        raise NumberError(f"gained={gained}, lost={lost}, n={n}, confidence={confidence} do not fit together.")
    z = float(norm.ppf((1 + confidence) / 2))
    estimate = (gained - lost) / n

    def distance(delta: float) -> float:
        return (gained - lost - n * delta) / math.sqrt(n * score_variance(gained, lost, n, delta))

    # The statistic falls as delta grows; next to -1 and 1 the variance vanishes and it is beyond every z, unless all
    # pairs changed one way.
    edge = 1 - 1e-12
    low = -1.0 if distance(-edge) < z else brentq(lambda d: distance(d) - z, -edge, estimate, xtol=1e-12)
    high = 1.0 if distance(edge) > -z else brentq(lambda d: distance(d) + z, estimate, edge, xtol=1e-12)
    return float(low), float(high)


def score_variance(gained: int, lost: int, n: int, delta: float) -> float:
    """Variance of one pair's change, at the likeliest shares under which the mean change is `delta` (Tango 1998).

    With a share q of pairs lost and q + delta gained, the derivative of the likelihood is zero at the larger root of
    ``2 n q^2 + ((2 n - gained + lost) delta - gained - lost) q - lost delta (1 - delta)``; the variance is
    ``2 q + delta (1 - delta)``.

    Parameters
    ----------
    gained, lost, n : int
    delta : float
        In [-1, 1].

    Returns
    -------
    float
        At least 1e-300.
    """
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    q = min(max(q, 0.0, -delta), (1 - delta) / 2)
    return max(2 * q + delta * (1 - delta), 1e-300)


def minimum_detectable_change(n: int, changed: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest change in rate that McNemar's test on n questions finds with the given power.

    Solves ``n = ((z_a sqrt(s) + z_b sqrt(s - d^2)) / d)^2`` for the change d, where s is the share of questions whose
    verdict changes (R. Connor, Biometrics 43, 1987).

    Parameters
    ----------
    n : int
        Questions decided both times.
    changed : float
        Share s of questions whose verdict changes either way, in (0, 1].
    alpha : float, default 0.05
        Level of the two-sided test; divide it by the number of tests.
    power : float, default 0.8

    Returns
    -------
    float
        At most `changed`, which it is where even a change all one way is found less often.

    Raises
    ------
    NumberError
        If a number is out of range.
    """
    if not (n >= 1 and 0 < changed <= 1 and 0 < alpha < 1 and 0.5 <= power < 1):
        raise NumberError(f"n={n}, changed={changed}, alpha={alpha}, power={power}: one is out of range.")
    z_a, z_b = float(norm.ppf(1 - alpha / 2)), float(norm.ppf(power))

    def missing(d: float) -> float:
        return z_a * math.sqrt(changed) + z_b * math.sqrt(max(0.0, changed - d * d)) - d * math.sqrt(n)

    return changed if missing(changed) >= 0 else float(brentq(missing, 0.0, changed, xtol=1e-12))
