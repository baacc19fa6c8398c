"""Which rows of a run serve what."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairbound.bounds.errors import MissingCellError
from fairbound.empirical.errors import ProtocolError, RehearsalCappedWarning
from fairbound.empirical.plan import ProtocolPlan
from fairbound.empirical.splits import stratified_split
from fairbound.empirical.torch_tools import derived_seed

Index = NDArray[np.int64]


class RunRows:
    """The rows of a run: the split, the draws of the two worlds, and what is mixed into the fine-tuning.

    The split depends on the data, the two groups and the seed, and neither on which of them is G0 nor on the
    rehearsal.

    Parameters
    ----------
    plan : ProtocolPlan
    seed : int

    Attributes
    ----------
    features : as `Dataset.features`
        Without the columns that state the attribute where models may not see it.
    label : ndarray of int64, shape (n,)
    group : ndarray of str, shape (n,)
    n_classes : int
    parts : dict from str to ndarray of int64
        Rows of "train", "validation" and "certification".
    worlds : dict from str to (ndarray of int64, ndarray of int64)
        Draws of world 0 and world 1 from "train" and from "validation".
    rehearsal : ndarray of int64
        Rows of world 0 mixed into the fine-tuning; a larger rehearsal holds every smaller one of the same seed.
    capped : bool
        Whether fewer exist than were asked for.
    reference : ndarray of int64
        Rows of world 0 that serve the constraint alone.
    frozen : bool
        Whether the constraint is stated by the base model's frozen rates instead.

    Raises
    ------
    MissingCellError
        If a part has no rows of a label of a group.
    ProtocolError
        If a draw or a rehearsal has no rows.

    Warns
    -----
    RehearsalCappedWarning
        If the starting world has fewer training rows than the rehearsal asks for.
    """

    def __init__(self, plan: ProtocolPlan, seed: int) -> None:
        data, config = plan.dataset, plan.config
        self.features: Any = data.features
        if data.modality == "tabular" and not plan.include_attribute:
            self.features = self.features.drop(columns=list(data.attribute_columns[plan.attribute]))
        self.label = data.label
        self.group = plan.group
        self.n_classes = len(data.classes)
        rng = np.random.default_rng(derived_seed(seed, 0))
        pair = sorted((plan.start, plan.other))
        kept = np.flatnonzero(np.isin(self.group, pair))
        self.dropped = len(data) - len(kept)
        fractions = {
            "train": config.train,
            "validation": config.validation,
            "certification": 1 - config.train - config.validation,
        }
        strata = self.n_classes * (self.group[kept] == pair[1]) + self.label[kept]
        self.parts = {name: kept[index] for name, index in stratified_split(strata, fractions, rng).items()}
        self._require_cells(plan)
        self.worlds = {
            part: draw_worlds(
                *(rng.permutation(self._of_group(part, name)) for name in (plan.start, plan.other)),
                plan.alpha0,
                plan.alpha1,
            )
            for part in ("train", "validation")
        }
        world_0, world_1 = self.worlds["train"]
        shuffled = rng.permutation(world_0)
        wanted = round(plan.rehearsal * len(world_1))
        if plan.rehearsal > 0 and wanted == 0:
            raise ProtocolError(f"rehearsal={plan.rehearsal:g} of {len(world_1)} rows is no row; raise it.")
        self.capped = wanted > len(shuffled)
        if self.capped:
            warnings.warn(
                f"rehearsal={plan.rehearsal:g} asks for {wanted} rows of {plan.start!r} and only {len(shuffled)} "
                "exist; larger fractions are the same run.",
                RehearsalCappedWarning,
                stacklevel=2,
            )
        self.rehearsal = shuffled[:wanted]
        one_group = plan.rehearsal == 0 and plan.alpha1 == 1
        self.frozen = one_group and config.without_rehearsal == "frozen"
        self.reference = shuffled[: config.reference_rows if one_group and not self.frozen else 0]

    def take(self, index: Index) -> Any:
        """Features of some rows.

        Parameters
        ----------
        index : ndarray of int64

        Returns
        -------
        as `Dataset.features`
        """
        return take_rows(self.features, index)

    def label_weights(self, index: Index, loss: str) -> NDArray[np.float64]:
        """What the loss of each row is multiplied by.

        Parameters
        ----------
        index : ndarray of int64
        loss : {"plain", "label_balanced"}

        Returns
        -------
        ndarray of float64, same length
            1 each, or such that every label has the same sum and the mean is 1.
        """
        if loss == "plain":
            return np.ones(len(index))
        sizes = np.bincount(self.label[index], minlength=self.n_classes)
        weights: NDArray[np.float64] = len(index) / (np.count_nonzero(sizes) * np.maximum(sizes, 1))
        return weights[self.label[index]]

    def cell_counts(self, index: Index) -> dict[str, dict[str, int]]:
        """Rows by group and label.

        Parameters
        ----------
        index : ndarray of int64

        Returns
        -------
        dict from str to dict from str to int
        """
        return {
            str(g): {str(y): int(((self.group[index] == g) & (self.label[index] == y)).sum()) for y in self._labels()}
            for g in np.unique(self.group[index])
        }

    def _of_group(self, part: str, group: str) -> Index:
        index = self.parts[part]
        chosen: Index = index[self.group[index] == group]
        return chosen

    def _labels(self) -> range:
        return range(self.n_classes)

    def _require_cells(self, plan: ProtocolPlan) -> None:
        """Equalized odds compares the groups within every label, in every part."""
        for part in self.parts:
            for group in (plan.start, plan.other):
                sizes = np.bincount(self.label[self._of_group(part, group)], minlength=self.n_classes)
                if (sizes == 0).any():
                    absent = plan.dataset.classes[int(np.flatnonzero(sizes == 0)[0])]
                    raise MissingCellError(
                        f"The {part} part of {plan.dataset.name} has no row of {plan.attribute} {group!r} with label "
                        f"{absent!r}; choose another target, other groups, or more rows."
                    )


def take_rows(features: Any, index: Index) -> Any:
    """Some of the rows of a data set's features.

    Parameters
    ----------
    features : as `Dataset.features`
    index : ndarray of int64

    Returns
    -------
    as `Dataset.features`
    """
    if isinstance(features, pd.DataFrame):
        return features.iloc[index]
    return [features[i] for i in index] if isinstance(features, list) else features[index]


def draw_worlds(first: Index, second: Index, alpha0: Fraction, alpha1: Fraction) -> tuple[Index, Index]:
    """Disjoint draws of two worlds from the rows of two groups.

    The sizes of the draws are in the ratio of the groups' sizes, and as large as the shares let them be (for shares
    0 and 1: all rows). Within a group rows are taken in order, whatever their label.

    Parameters
    ----------
    first, second : ndarray of int64
        Rows of G0 and of G1, shuffled.
    alpha0, alpha1 : Fraction
        Share of G1 in each world.

    Returns
    -------
    world_0, world_1 : ndarray of int64
        Sorted.

    Raises
    ------
    ProtocolError
        If a world has no rows.
    """
    sizes = len(first), len(second)
    needed_second = alpha0 * sizes[0] + alpha1 * sizes[1]
    needed_first = sum(sizes) - needed_second
    scale = min(
        [Fraction(1)]
        + [
            Fraction(size) / needed
            for size, needed in zip(sizes, (needed_first, needed_second), strict=True)
            if needed > 0
        ]
    )
    draws: list[Index] = []
    begin = [0, 0]
    for size, alpha in zip(sizes, (alpha0, alpha1), strict=True):
        taken = [math.floor(scale * size * share) for share in (1 - alpha, alpha)]
        pieces = [
            rows[b : b + count] for rows, b, count in zip((first, second), begin, taken, strict=True) if count > 0
        ]
        if not pieces:
            raise ProtocolError(
                f"With shares {float(alpha0):g} and {float(alpha1):g} a world has no rows; use others or more rows."
            )
        draws.append(np.sort(np.concatenate(pieces)))
        begin = [b + count for b, count in zip(begin, taken, strict=True)]
    return draws[0], draws[1]
