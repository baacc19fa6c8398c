"""Means over runs with Student's interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fairbound.empirical.means import mean_interval


def test_interval_is_students():
    values = [0.1, 0.3, 0.2, 0.4]
    mean, half = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert math.isnan(mean_interval([0.5])[1])
