"""Predictors that give nearly every row one label: fair, and of no use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Share of rows with one predicted label above which a predictor counts as constant.
NEAR_CONSTANT_SHARE = 0.995


def largest_share(predictions: NDArray[Any]) -> tuple[Any, float]:
    """The most frequent prediction and its share of the rows.

    Parameters
    ----------
    predictions : ndarray, shape (n,), n >= 1

    Returns
    -------
    label : scalar
    share : float
        In (0, 1].
    """
    labels, counts = np.unique(predictions, return_counts=True)
    top = int(counts.argmax())
    return labels.tolist()[top], float(counts[top] / counts.sum())


def is_near_constant(share: float) -> bool:
    """Whether a largest share makes a predictor near-constant.

    Parameters
    ----------
    share : float
        As returned by `largest_share`.

    Returns
    -------
    bool
    """
    return share > NEAR_CONSTANT_SHARE
