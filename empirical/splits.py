"""Stratified splits and draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def stratified_split(
    strata: NDArray[Any], fractions: Mapping[str, float], rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Split rows so that every part has nearly the same share of every stratum.

    Parameters
    ----------
    strata : ndarray, shape (n,)
        Stratum of each row.
    fractions : mapping from str to float
        Share of each part; the last part takes what is left of each stratum.
    rng : numpy.random.Generator

    Returns
    -------
    dict from str to ndarray of int64
        Sorted row numbers of each part; together they are all rows, each once.
    """
    parts: dict[str, list[NDArray[np.int64]]] = {name: [] for name in fractions}
    inner = np.cumsum(list(fractions.values()))[:-1]
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        cuts = np.rint(inner * len(rows)).astype(np.int64)
        for name, piece in zip(parts, np.split(rows, cuts), strict=True):
            parts[name].append(piece)
    return {name: np.sort(np.concatenate(pieces)) for name, pieces in parts.items()}
