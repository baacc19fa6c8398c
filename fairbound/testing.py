"""
Hypothesis strategies and checks for property tests of one's own models.

Needs the extra ``fairbound[testing]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.certify import Certification
from fairbound.bounds.channel import Channel
from fairbound.bounds.composition import Composition, CompositionPair
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import EmptyInputError, LengthMismatchError, UnknownColumnError
from fairbound.bounds.rational import apportioned
from fairbound.gate import assert_advantage_below

__all__ = [
    "assert_advantage_below",
    "assert_gap_within_bound",
    "channels",
    "composition_pairs",
    "compositions",
    "counts",
    "disparities",
    "noisy_features",
    "resampled_rows",
    "reweighted_rows",
    "simplex_points",
]

Rows = npt.NDArray[np.intp]

_SEEDS = st.integers(0, 2**32 - 1)
_GROUPS: tuple[Symbol, ...] = ("a", "b", "c", "d", "e", "f")


@st.composite
def simplex_points(draw: st.DrawFn, size: int, *, max_weight: int = 12) -> tuple[Fraction, ...]:
    """
    Exact probability mass functions, zeros and point masses included.

    Parameters
    ----------
    size : int
        Number of categories.
    max_weight : int
        Largest integer weight before normalising.
    """
    weights = draw(st.lists(st.integers(0, max_weight), min_size=size, max_size=size).filter(any))
    return tuple(Fraction(w, sum(weights)) for w in weights)


@st.composite
def compositions(draw: st.DrawFn, *, groups: int = 2, labels: int = 2) -> Composition:
    """Compositions over `groups` groups (``"a"``, ``"b"``, ...) and `labels` labels (0, 1, ...), zeros included."""
    flat = draw(simplex_points(groups * labels))
    mass = tuple(flat[i * labels : (i + 1) * labels] for i in range(groups))
    return Composition(_GROUPS[:groups], tuple(range(labels)), mass)


@st.composite
def composition_pairs(
    draw: st.DrawFn, *, max_groups: int = 3, max_labels: int = 3, label_shift: bool = True
) -> CompositionPair:
    """
    Pairs of compositions.

    Parameters
    ----------
    max_groups, max_labels : int
        At least 2 of each are drawn.
    label_shift : bool
        Whether the two label marginals may differ.
    """
    groups, labels = draw(st.integers(2, max_groups)), draw(st.integers(2, max_labels))
    if label_shift:
        return CompositionPair(*(draw(compositions(groups=groups, labels=labels)) for _ in range(2)))
    marginal = draw(simplex_points(labels))
    worlds = []
    for _ in range(2):
        shares = [draw(simplex_points(groups)) for _ in range(labels)]
        mass = tuple(tuple(marginal[j] * shares[j][i] for j in range(labels)) for i in range(groups))
        worlds.append(Composition(_GROUPS[:groups], tuple(range(labels)), mass))
    return CompositionPair(*worlds)


@st.composite
def channels(
    draw: st.DrawFn,
    *,
    groups: Sequence[Symbol] = ("a", "b"),
    labels: Sequence[Symbol] = (0, 1),
    outputs: Sequence[Symbol] | None = None,
) -> Channel:
    """Channels over given alphabets (`outputs` default: the labels), zeros included."""
    shown = tuple(labels if outputs is None else outputs)
    rates = tuple(tuple(draw(simplex_points(len(shown))) for _ in labels) for _ in groups)
    return Channel(tuple(groups), tuple(labels), shown, rates)


@st.composite
def disparities(draw: st.DrawFn, labels: int) -> tuple[Fraction, ...]:
    """One disparity in [0, 1] per label, both ends included."""
    return tuple(draw(st.fractions(0, 1, max_denominator=12)) for _ in range(labels))


@st.composite
def counts(
    draw: st.DrawFn, *, max_groups: int = 3, max_labels: int = 3, max_rows: int = 40, missing: bool = False
) -> Counts:
    """
    Contingency tables.

    Parameters
    ----------
    max_groups, max_labels : int
        At least 2 of each are drawn; outputs are the labels.
    max_rows : int
        Largest count of one (group, label, output) cell.
    missing : bool
        Whether a (group, label) cell may be empty (no group ever is).
    """
    groups, labels = draw(st.integers(2, max_groups)), draw(st.integers(2, max_labels))
    row = st.lists(st.integers(0, max_rows), min_size=labels, max_size=labels).filter(any)
    table = [[draw(row) for _ in range(labels)] for _ in range(groups)]
    if missing:
        # In one group at least, but never in all its labels.
        for plane in table:
            for label in draw(st.sets(st.integers(0, labels - 1), max_size=labels - 1)):
                plane[label] = [0] * labels
    alphabet: tuple[Symbol, ...] = tuple(range(labels))
    return Counts(_GROUPS[:groups], alphabet, alphabet, tuple(tuple(map(tuple, plane)) for plane in table))


@st.composite
def resampled_rows(draw: st.DrawFn, y_true: Any, sensitive_features: Any) -> Rows:
    """
    Rows of one's own evaluation data, resampled with replacement: as many as there are.

    Parameters
    ----------
    y_true, sensitive_features : array-like of shape (n,)
        Every (group, label) cell keeps a row, so that its rates stay defined.

    Returns
    -------
    strategy of array of int, shape (n,)
        Positions, to index features, labels and groups with.
    """
    cells = _cells(y_true, sensitive_features)
    generator = np.random.default_rng(draw(_SEEDS))
    n = sum(map(len, cells))
    kept = [generator.choice(rows) for rows in cells]
    return np.concatenate([kept, generator.integers(n, size=n - len(kept))]).astype(np.intp)


@st.composite
def reweighted_rows(draw: st.DrawFn, y_true: Any, sensitive_features: Any, *, max_weight: int = 12) -> Rows:
    """
    Rows resampled with replacement inside each (group, label) cell, whose share of the rows is drawn.

    Parameters
    ----------
    y_true, sensitive_features : array-like of shape (n,)
        Every (group, label) cell keeps a row.
    max_weight : int
        Largest integer weight of a cell, before normalising.

    Returns
    -------
    strategy of array of int, shape (n,)
        Positions, to index features, labels and groups with.
    """
    cells = _cells(y_true, sensitive_features)
    weights = draw(st.lists(st.integers(1, max_weight), min_size=len(cells), max_size=len(cells)))
    generator = np.random.default_rng(draw(_SEEDS))
    sizes = apportioned(weights, sum(map(len, cells)) - len(cells))
    return np.concatenate([generator.choice(rows, size + 1) for rows, size in zip(cells, sizes, strict=True)])


@st.composite
def noisy_features(draw: st.DrawFn, X: Any, *, scale: float = 0.1, columns: Iterable[int | str] | None = None) -> Any:
    """
    Features with Gaussian noise; labels and groups keep their meaning, as rows stay where they are.

    Parameters
    ----------
    X : array or pandas data frame of shape (n, d)
        Numeric.
    scale : float
        Largest standard deviation of the noise, in standard deviations of the column; what is drawn is at most that.
    columns : iterable of int or str, optional
        Columns that get noise, by position or (data frame) by name; default: all. Leave out codes of categories.

    Returns
    -------
    strategy of what `X` is
    """
    names = list(getattr(X, "columns", range(X.shape[1])))
    chosen = set(names if columns is None else columns)
    if not chosen <= set(names):
        raise UnknownColumnError(f"the features have no column {next(iter(chosen - set(names)))!r}.")
    deviations = np.asarray(X, dtype=float).std(axis=0) * [name in chosen for name in names]
    strength = draw(st.floats(0, scale))
    return X + strength * deviations * np.random.default_rng(draw(_SEEDS)).normal(size=X.shape)


def _cells(y_true: Any, sensitive_features: Any) -> list[Rows]:
    """Positions of the rows of each (group, label) cell that has any."""
    labels, groups = np.asarray(y_true).tolist(), np.asarray(sensitive_features).tolist()
    if len(labels) != len(groups):
        raise LengthMismatchError(
            f"{len(labels)} labels, but {len(groups)} sensitive features; give one of each per row."
        )
    if not labels:
        raise EmptyInputError("the evaluation data has no rows.")
    found: dict[Any, list[int]] = {}
    for row, cell in enumerate(zip(groups, labels, strict=True)):
        found.setdefault(cell, []).append(row)
    return [np.array(rows, dtype=np.intp) for rows in found.values()]


def assert_gap_within_bound(result: Certification) -> None:
    """
    Assert that no gap that a log shows exceeds the exact bound computed from it.

    It holds for every model, by T1: it tests this package (and the way a log was made), not the model.

    The measured advantage of the best test and the accuracy gap (raw for the raw game, label-balanced for the
    label-balanced one) must not exceed T1's value, nor that its confidence bound. All are compared as fractions.

    Parameters
    ----------
    result : Certification

    Raises
    ------
    AssertionError
        Naming the quantity that exceeds its bound.
    """
    gap = "accuracy_label_balanced" if result.label_balanced else "accuracy_raw"
    for name in ("advantage", gap):
        measured = result.measured[name]
        if measured is not None and measured > result.worst.point:
            raise AssertionError(f"measured {name} {measured} exceeds the exact bound {result.worst.point}")
    for pair in result.pairs:
        if pair.point > pair.upper:
            raise AssertionError(f"{pair.name}: the exact value {pair.point} exceeds its upper bound {pair.upper}")
