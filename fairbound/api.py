"""The main job for arrays, frames and files: count, then certify."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fairbound.bounds.certify import Certification, certify_counts
from fairbound.bounds.counts import Counts
from fairbound.ingest import PathLike, count_files, count_frame


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
    sensitive_features : array-like of shape (n,) or (n, k)
        Group of each row. Several attributes (a data frame, a mapping or list of columns, a two-dimensional array)
        make intersectional groups, called by their values' texts in this order, joined by `` & `` ("F & White").
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
    frame: Any,
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str | Sequence[str] = "group",
    **options: Any,
) -> Certification:
    """
    `certify` for the columns of a data frame (anything narwhals knows, lazy or not).

    Parameters
    ----------
    frame : data frame
    label, prediction, group
        Column names; several for `group` make intersectional groups.
    **options
        `groups`, `labels`, `outputs`, and the options of `fairbound.bounds.certify_counts`.

    Returns
    -------
    Certification

    Raises
    ------
    FairboundError
        One of its subclasses, as `fairbound.count_frame` and `fairbound.bounds.certify_counts` say.
    """
    alphabets = {name: options.pop(name, None) for name in ("groups", "labels", "outputs")}
    counts = count_frame(frame, label=label, prediction=prediction, group=group, **alphabets)
    return certify_counts(counts, **options)


def certify_log(
    paths: PathLike | Iterable[PathLike],
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str | Sequence[str] = "group",
    **options: Any,
) -> Certification:
    """
    `certify` for CSV, Parquet and count files, which may be larger than memory and are taken as one log.

    Parameters
    ----------
    paths : path, or iterable of paths
        A name that does not exist is a pattern (``shards/*.parquet``).
    label, prediction, group
        Column names; several for `group` make intersectional groups.
    **options
        `groups`, `labels`, `outputs`, and the options of `fairbound.bounds.certify_counts`.

    Returns
    -------
    Certification

    Raises
    ------
    FairboundError
        One of its subclasses, as `fairbound.count_files` and `fairbound.bounds.certify_counts` say.
    """
    alphabets = {name: options.pop(name, None) for name in ("groups", "labels", "outputs")}
    counts = count_files(paths, label=label, prediction=prediction, group=group, **alphabets)
    return certify_counts(counts, **options)
