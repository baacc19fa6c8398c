"""A data set in figures: groups, base rates and label shift."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbound.bounds.channel import total_variation
from fairbound.empirical.data.dataset import Dataset

REST = "all others"


def summarise(data: Dataset, attributes: Sequence[str] = ()) -> dict[str, Any]:
    """Groups, base rates and label shift of a data set, beside what is known about it.

    The label shift TV_Y of two groups is the total variation distance of their label marginals, the part of T1's
    bound that no constraint on the model can lower. It is given for the two largest groups and, if there are more,
    for the largest against all others.

    Parameters
    ----------
    data : Dataset
    attributes : sequence of str
        Attributes or intersections; default: every attribute.

    Returns
    -------
    dict
        JSON-ready.

    Raises
    ------
    UnknownAttributeError
        If the data set has no such attribute.
    """
    info = data.info
    return {
        "name": data.name,
        "modality": data.modality,
        "task": info.task,
        "classes": list(data.classes),
        "rows": len(data),
        "label_counts": _label_counts(data, np.ones(len(data), dtype=bool)).tolist(),
        "attributes": {name: _attribute(data, name) for name in (attributes or data.attributes)},
        "options": dict(info.options),
        "known_faults": list(info.known_faults),
        "licence": info.licence,
        "citation": info.citation,
        "source": info.source,
        "sha256": dict(info.sha256),
    }


def _attribute(data: Dataset, name: str) -> dict[str, Any]:
    group = data.groups_of(name)
    counts = {str(g): _label_counts(data, group == g) for g in np.unique(group)}
    largest = sorted(counts, key=lambda g: -int(counts[g].sum()))
    pairs = []
    if len(counts) > 1:
        first, second = largest[:2]
        pairs.append((first, second, counts[second]))
    if len(counts) > 2:
        pairs.append((first, REST, np.sum([counts[g] for g in largest[1:]], axis=0)))
    return {
        "groups": {
            g: {"rows": int(c.sum()), "label_counts": c.tolist(), "label_shares": (c / c.sum()).tolist()}
            for g, c in counts.items()
        },
        "label_shift": [
            {"groups": [a, b], "tv_y": float(total_variation(_shares(counts[a]), _shares(other)))}
            for a, b, other in pairs
        ],
    }


def _label_counts(data: Dataset, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.bincount(data.label[rows], minlength=len(data.classes)).astype(np.int64)


def _shares(counts: NDArray[np.int64]) -> list[Fraction]:
    total = int(counts.sum())
    return [Fraction(int(count), total) for count in counts]
