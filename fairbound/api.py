"""The main job for arrays, frames and files: count, then certify."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from fairbound.bounds.certify import Certification, certify_counts
from fairbound.bounds.counts import Counts
from fairbound.ingest import count_file, count_frame


def certify(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
    **options: Any,
) -> Certification:
    """
    Bound the leak of a population's composition from a model's predictions.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True labels and hard predictions (arrays, lists, or columns of any data frame).
    sensitive_features : array-like of shape (n,)
        Group of each row.
    groups, labels, outputs : sequence, optional
        Declared alphabets; default: what occurs. Declare labels and outputs where one may be absent by chance: the
        bound assumes that there are no others.
    **options
        `pure`, `pair`, `game`, `label_balanced`, `confidence`, `on_missing`, `theorem`: see
        `fairbound.bounds.certify_counts`.

    Returns
    -------
    Certification

    Raises
    ------
    FairboundError
        One of its subclasses, whose message names the culprit and the remedy.

    Examples
    --------
    >>> y_true = [0, 0, 1, 1, 0, 0, 1, 1]
    >>> y_pred = [0, 0, 1, 1, 0, 1, 1, 1]
    >>> sex = ["F", "F", "F", "F", "M", "M", "M", "M"]
    >>> certify(y_true, y_pred, sensitive_features=sex).point
    Fraction(1, 4)
    """
    counts = Counts.from_arrays(
        y_true, y_pred, sensitive_features=sensitive_features, groups=groups, labels=labels, outputs=outputs
    )
    return certify_counts(counts, **options)


def certify_frame(
    frame: Any, *, label: str = "label", prediction: str = "prediction", group: str = "group", **options: Any
) -> Certification:
    """
    `certify` for the columns of a data frame (anything narwhals knows, lazy or not).

    Parameters
    ----------
    frame : data frame
    label, prediction, group : str
        Column names.
    **options
        `groups`, `labels`, `outputs`, and the options of `fairbound.bounds.certify_counts`.
    """
    alphabets = {name: options.pop(name, None) for name in ("groups", "labels", "outputs")}
    counts = count_frame(frame, label=label, prediction=prediction, group=group, **alphabets)
    return certify_counts(counts, **options)


def certify_log(
    path: str | os.PathLike[str],
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str = "group",
    **options: Any,
) -> Certification:
    """
    `certify` for a CSV or Parquet file, which may be larger than memory.

    Parameters
    ----------
    path : path
    label, prediction, group : str
        Column names.
    **options
        `groups`, `labels`, `outputs`, and the options of `fairbound.bounds.certify_counts`.
    """
    alphabets = {name: options.pop(name, None) for name in ("groups", "labels", "outputs")}
    counts = count_file(path, label=label, prediction=prediction, group=group, **alphabets)
    return certify_counts(counts, **options)
