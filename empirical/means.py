"""Means over runs with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.stats import t as student


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Mean and half-width of Student's t-interval.

    Parameters
    ----------
    values : sequence of float
        One per independent run.
    level : float, default 0.95

    Returns
    -------
    mean, half_width : float
        Half-width NaN for fewer than two values.
    """
    mean = fmean(values)
    if len(values) < 2:
        return mean, float("nan")
    return mean, float(student.ppf((1 + level) / 2, len(values) - 1)) * stdev(values) / len(values) ** 0.5
