"""Labels and groups as they come from users, checked and coded as whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairbound.empirical.errors import TrainingInputError


def label_array(values: ArrayLike, rows: int, what: str = "y") -> NDArray[Any]:
    """Check a column of labels or groups.

    Parameters
    ----------
    values : array-like, shape (rows,)
    rows : int
        Number of rows it must have.
    what : str
        Name used in messages.

    Returns
    -------
    ndarray, shape (rows,)

    Raises
    ------
    TrainingInputError
        If the shape is wrong or a value is missing.
    """
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) != rows:
        raise TrainingInputError(f"{what} has shape {array.shape}; {rows} rows need shape ({rows},).")
    if rows == 0:
        raise TrainingInputError(f"{what} has no rows.")
    if pd.isna(array).any():
        raise TrainingInputError(f"{what} misses {int(pd.isna(array).sum())} values; drop those rows.")
    return array


def row_weights(values: ArrayLike | None, rows: int, what: str = "sample_weight") -> NDArray[np.float32]:
    """Check the weights of rows.

    Parameters
    ----------
    values : array-like, shape (rows,), optional
        Not negative. Default: 1 each.
    rows : int
        Number of rows they must have.
    what : str
        Name used in messages.

    Returns
    -------
    ndarray of float32, shape (rows,)

    Raises
    ------
    TrainingInputError
        If the shape is wrong, or a weight is negative or not finite.
    """
    weights = np.ones(rows, dtype=np.float32) if values is None else np.asarray(values, dtype=np.float32)
    if weights.shape != (rows,):
        raise TrainingInputError(f"{what} has shape {weights.shape}; {rows} rows need shape ({rows},).")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise TrainingInputError(f"{what} holds a weight that is negative or no number.")
    return weights


def encode_labels(values: NDArray[Any], classes: NDArray[Any], what: str = "y") -> NDArray[np.int64]:
    """Position of each value among the classes.

    Parameters
    ----------
    values : ndarray, shape (n,)
    classes : ndarray, shape (k,)
        Distinct.
    what : str
        Name used in messages.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    TrainingInputError
        If a value is not among the classes.
    """
    codes: NDArray[np.int64] = pd.Index(classes).get_indexer(pd.Index(values)).astype(np.int64)
    if (codes < 0).any():
        stranger = values[codes < 0].tolist()[0]
        raise TrainingInputError(f"{what} holds {stranger!r}, which is not among {classes.tolist()}.")
    return codes
