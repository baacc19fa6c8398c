"""What the distribution-inference game is played on: the secret, the worlds and how models' rows are drawn.

The adversary guesses the share of a group among the rows that trained a model (Suri and Evans, arXiv:2109.06024).
All worlds have the same label marginal, and in each of them group and label are independent: what differs is the
secret alone.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbound.bounds import Composition, CompositionPair
from fairbound.bounds.errors import NumberError
from fairbound.bounds.rational import to_fraction
from fairbound.empirical.data import Dataset, load_dataset
from fairbound.empirical.data.summary import REST
from fairbound.empirical.errors import ProtocolError, UnknownGroupError

SCHEMA = "fairbound.shadows/1"


@dataclass(frozen=True)
class DistributionInferencePlan:
    """A distribution-inference game on a data set, checked; a seed makes its pools and draws.

    Attributes
    ----------
    source : str or Dataset
        The data set, or what `load_dataset` loads it by.
    attribute, group, other : str
        The secret is the share of `group` among rows of `group` and `other`.
    ratios : tuple of Fraction
        That share in each world; equal ones make a null run, in which there is nothing to find.
    rows : int
        Rows that each model is trained on.
    queries : int
        Rows with which models are queried, for each world.
    label_shares : tuple of Fraction
        Share of each class among a model's rows and among the queries, the same in every world.
    include_attribute : bool
        Whether models see the attribute.
    evaluation : float
        Share of all rows that are kept for measuring fairness.
    query_pool : float
        Share of the adversary's rows from which queries are drawn.
    """

    source: str | Dataset
    attribute: str
    group: str
    other: str
    ratios: tuple[Fraction, ...]
    rows: int
    queries: int
    label_shares: tuple[Fraction, ...]
    include_attribute: bool
    evaluation: float
    query_pool: float

    @property
    def dataset(self) -> Dataset:
        """The data set."""
        return _load(self.source) if isinstance(self.source, str) else self.source

    @property
    def groups(self) -> tuple[str, str]:
        """The other group and the one whose share is the secret, in the order of their codes 0 and 1."""
        return self.other, self.group

    def codes(self) -> NDArray[np.int64]:
        """Group of each row of the data set.

        Returns
        -------
        ndarray of int64, shape (n_rows,)
            1 for `group`, 0 for `other`, -1 for neither.
        """
        return _codes(self.dataset.groups_of(self.attribute), self.group, self.other)

    def cells(self, world: int, rows: int, *, complement: bool = False) -> NDArray[np.int64]:
        """Rows of each cell in a draw.

        Parameters
        ----------
        world : int
            Position in `ratios`.
        rows : int
            Size of the draw.
        complement : bool, default False
            At the ratio `1 - ratio` instead.

        Returns
        -------
        ndarray of int64, shape (K, 2)
            By label and group code. Rows per label do not depend on the world; the group's share is the ratio up to
            half a row.
        """
        labels = _whole([share * rows for share in self.label_shares], rows)
        ratio = 1 - self.ratios[world] if complement else self.ratios[world]
        inside = _whole([ratio * n for n in labels], round(ratio * rows))
        return np.array([[n - k, k] for n, k in zip(labels, inside, strict=True)], dtype=np.int64)

    def pair(self, first: int, second: int) -> CompositionPair:
        """The populations of two worlds: ``pi_b(a, y) = ratio_b(a) * label_shares(y)``.

        Parameters
        ----------
        first, second : int
            Positions in `ratios`.

        Returns
        -------
        CompositionPair
            Over `groups` and the class codes.
        """
        worlds = []
        for ratio in (self.ratios[first], self.ratios[second]):
            mass = tuple(tuple(share * q for q in self.label_shares) for share in (1 - ratio, ratio))
            worlds.append(Composition(self.groups, tuple(range(len(self.label_shares))), mass))
        return CompositionPair(*worlds)

    def settings(self) -> dict[str, Any]:
        """Everything but the seed that pools and draws are a function of.

        Returns
        -------
        dict
            JSON-ready.
        """
        return {
            "schema": SCHEMA,
            "dataset": self.dataset.name,
            "data_sha256": dict(self.dataset.info.sha256),
            "content_sha256": self.dataset.content_sha256,
            "attribute": self.attribute,
            "group": self.group,
            "other": self.other,
            "ratios": [str(ratio) for ratio in self.ratios],
            "rows": self.rows,
            "queries": self.queries,
            "label_shares": [str(share) for share in self.label_shares],
            "include_attribute": self.include_attribute,
            "evaluation": self.evaluation,
            "query_pool": self.query_pool,
        }


def plan_distribution_inference(
    dataset: str | Dataset,
    *,
    attribute: str,
    group: str,
    ratios: Sequence[float | str | Fraction],
    rows: int,
    other: str | None = None,
    queries: int = 1000,
    label_shares: Sequence[float | str | Fraction] | None = None,
    include_attribute: bool = True,
    evaluation: float = 0.2,
    query_pool: float = 0.25,
) -> DistributionInferencePlan:
    """Check the settings of a distribution-inference game against its data set.

    Parameters
    ----------
    dataset : str or Dataset
        A name for `load_dataset`, options included, or a data set of any modality and number of classes.
    attribute : str
        Sensitive attribute, or an intersection such as ``"sex & race"``.
    group : str
        The group whose share is the secret.
    ratios : sequence of number
        Its share in each world, at least two; more than two make a grid.
    rows : int
        Rows that each model is trained on.
    other : str, optional
        The group that the rest of the rows is from. Default, and "all others": everybody else.
    queries : int, default 1000
        Queries for each world.
    label_shares : sequence of number, optional
        Share of each class, with sum 1. Default: that among all rows of the two groups.
    include_attribute : bool, default True
        Whether models see the attribute. Images and texts have no such input.
    evaluation : float, default 0.2
        Share of all rows that no model is trained on or queried with, for measuring fairness.
    query_pool : float, default 0.25
        Share of the adversary's rows from which queries are drawn; no shadow model is trained on them.

    Returns
    -------
    DistributionInferencePlan

    Raises
    ------
    UnknownAttributeError
        If the data set has no such attribute.
    UnknownGroupError
        If a group does not exist, or the two are one.
    ProtocolError
        If a number is out of range.
    """
    data = _load(dataset) if isinstance(dataset, str) else dataset
    every = data.groups_of(attribute)
    known = [str(g) for g in np.unique(every)]
    other = REST if other is None else other
    for name, allowed in ((group, known), (other, [*known, REST])):
        if name not in allowed:
            raise UnknownGroupError(f"{attribute} of {data.name} has no group {name!r}; it has: {', '.join(known)}.")
    if group == other:
        raise UnknownGroupError(f"group and other are both {group!r}; the secret is the share of one of two groups.")
    shares = _fractions("ratios", ratios)
    if len(shares) < 2 or min(shares) < 0 or max(shares) > 1:
        raise ProtocolError(f"ratios={list(ratios)} must be at least two shares of {group!r} in [0, 1].")
    if rows < 1 or queries < 1 or not (0 < evaluation < 1 and 0 < query_pool < 1):
        raise ProtocolError(
            f"rows={rows} and queries={queries} must be at least 1, evaluation={evaluation} and "
            f"query_pool={query_pool} between 0 and 1."
        )
    if label_shares is None:
        kept = data.label[_codes(every, group, other) >= 0]
        balance = tuple(Fraction(int(n), len(kept)) for n in np.bincount(kept, minlength=len(data.classes)))
    else:
        balance = _fractions("label_shares", label_shares)
    if len(balance) != len(data.classes) or min(balance) < 0 or sum(balance) != 1:
        raise ProtocolError(
            f"label_shares={[float(share) for share in balance]} must be one share for each of the "
            f"{len(data.classes)} classes, with sum exactly 1."
        )
    shown = include_attribute and data.modality == "tabular"
    return DistributionInferencePlan(
        dataset, attribute, group, other, shares, rows, queries, balance, shown, float(evaluation), float(query_pool)
    )


def digest(settings: dict[str, Any]) -> str:
    """SHA-256 of settings, the first 16 hexadecimal digits.

    Parameters
    ----------
    settings : dict
        JSON-ready.

    Returns
    -------
    str
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def largest_feasible(plan: DistributionInferencePlan, available: NDArray[np.int64], at_most: int) -> int:
    """The largest draw that a pool allows in every world.

    Parameters
    ----------
    plan : DistributionInferencePlan
    available : ndarray of int64, shape (K, 2)
        Rows of the pool by label and group code.
    at_most : int

    Returns
    -------
    int
        0 if there is none.
    """

    def too_large(rows: int) -> bool:
        return any(bool((plan.cells(world, rows) > available).any()) for world in range(len(plan.ratios)))

    found = bisect_right(range(at_most + 1), False, key=too_large) - 1
    # Rounding to whole rows may make a smaller draw ask for a row more of a cell.
    while found > 0 and too_large(found):
        found -= 1
    return max(found, 0)


@lru_cache(maxsize=4)
def _load(name: str) -> Dataset:
    return load_dataset(name)


def _codes(groups: NDArray[np.str_], group: str, other: str) -> NDArray[np.int64]:
    inside = groups == group
    outside = ~inside if other == REST else groups == other
    return np.where(inside, 1, np.where(outside, 0, -1)).astype(np.int64)


def _fractions(what: str, values: Sequence[float | str | Fraction]) -> tuple[Fraction, ...]:
    try:
        return tuple(to_fraction(value) for value in values)
    except NumberError as error:
        raise ProtocolError(f"{what}={list(values)} holds what is no number: {error}") from None


def _whole(shares: Sequence[Fraction], total: int) -> list[int]:
    """Whole numbers nearest to the shares (largest remainders) with the given sum, which theirs rounds to."""
    found = [int(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda i: found[i] - shares[i])
    for i in order[: total - sum(found)]:
        found[i] += 1
    return found
