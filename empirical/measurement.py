"""What the protocol records about the predictions of one stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from fairbound.bounds import (
    Certification,
    Channel,
    Composition,
    CompositionPair,
    Counts,
    Disparities,
    accuracy_gap,
    certify_counts,
    noise_floor,
    worst_case_advantage,
)
from fairbound.bounds.rational import float_above
from fairbound.empirical.near_constant import is_near_constant, largest_share
from fairbound.empirical.splits import stratified_split

#: Which measure of the validation rows says how useful a model is, by the loss it was trained with.
USEFULNESS = {"plain": "accuracy", "label_balanced": "balanced_accuracy"}


@dataclass(frozen=True)
class Worlds:
    """Two mixtures of two groups, each group with its own label marginal.

    World b has the composition ``pi_b(a, y) = alpha_b(a) p(y | a)``.

    Attributes
    ----------
    groups : (str, str)
        G0 and G1.
    alphas : (Fraction, Fraction)
        Share of G1 in world 0 and in world 1, the first below the second; 0 and 1 are the pure groups.
    """

    groups: tuple[str, str]
    alphas: tuple[Fraction, Fraction] = (Fraction(0), Fraction(1))

    @property
    def distance(self) -> Fraction:
        """The total variation between the two worlds, `alpha_1 - alpha_0`."""
        return self.alphas[1] - self.alphas[0]

    def pair(self, counts: Counts) -> CompositionPair:
        """The worlds with the groups' label marginals of a log.

        Parameters
        ----------
        counts : Counts

        Returns
        -------
        CompositionPair
        """
        pure = [Composition.pure(counts, group) for group in self.groups]
        first, second = (Composition.mixture((1 - alpha, alpha), pure) for alpha in self.alphas)
        return CompositionPair(first, second)

    def certify(self, counts: Counts, *, label_balanced: bool, confidence: float) -> WorldsBound:
        """Bound the advantage of telling the worlds apart, in the labelled game.

        In the raw game the difference of two mixtures is ``alpha_1 - alpha_0`` times that of the pure groups, and T1's
        value is homogeneous in it: the bound is that multiple of the pure groups' one, so the error of the estimated
        label marginals is covered. No such relation holds for label-balanced mixtures; their compositions are those
        of the log, taken as exact.

        Parameters
        ----------
        counts : Counts
        label_balanced : bool
        confidence : float

        Returns
        -------
        WorldsBound
        """
        settings: dict[str, Any] = {"game": "labelled", "label_balanced": label_balanced, "confidence": confidence}
        if label_balanced and self.distance != 1:
            return WorldsBound(certify_counts(counts, pair=self.pair(counts), **settings), Fraction(1))
        return WorldsBound(certify_counts(counts, pure=self.groups, **settings), self.distance)


@dataclass(frozen=True)
class WorldsBound:
    """T1's value and its bound for two worlds.

    Attributes
    ----------
    result : Certification
    scale : Fraction
        By which everything about the advantage in `result` is multiplied (see `Worlds.certify`).
    """

    result: Certification
    scale: Fraction

    @property
    def point(self) -> Fraction:
        """T1's value at the measured rates."""
        return self.scale * self.result.point

    @property
    def upper(self) -> Fraction:
        """Its upper confidence bound."""
        return self.scale * self.result.upper

    @property
    def label_shift(self) -> Fraction:
        """TV_Y of the worlds."""
        return self.scale * self.result.worst.pair.label_shift

    @property
    def distance(self) -> Fraction:
        """W, the total variation between the compositions."""
        return self.scale * self.result.worst.pair.distance

    @property
    def paper_form(self) -> Fraction:
        """`Delta_EO * W` (arXiv:2606.01719, as its abstract states it)."""
        return self.result.disparities.equalized_odds * self.distance

    @property
    def accuracy_gap(self) -> Fraction:
        """Difference in accuracy between the worlds, in the game's own compositions."""
        kind = "accuracy_label_balanced" if self.result.label_balanced else "accuracy_raw"
        gap = self.result.measured[kind]
        assert gap is not None
        return self.scale * gap

    def to_dict(self, tau: float) -> dict[str, Any]:
        """The bound as JSON-ready numbers; upper bounds are rounded up.

        Parameters
        ----------
        tau : float
            The upper bound is compared with it.

        Returns
        -------
        dict
        """
        measured = self.result.measured["advantage"]
        assert measured is not None
        return {
            "point": float(self.point),
            "upper": float_above(self.upper),
            "measured": float(self.scale * measured),
            "below_tau": self.upper < Fraction(str(tau)),
            "label_shift": float(self.label_shift),
            "W": float(self.distance),
            "delta_eo_times_W": float(self.paper_form),
            "paper_form_applies": self.label_shift == 0,
            "method": self.result.method,
            "compositions": "estimated, error covered" if self.result.estimated else "of this split, taken as exact",
        }


def measure(
    label: NDArray[np.int64],
    prediction: NDArray[np.int64],
    group: NDArray[np.str_],
    *,
    worlds: Worlds,
    n_classes: int,
    confidence: float,
    tau: float,
    seed: int,
    scores: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Accuracy, disparities and bounds of a prediction log.

    Parameters
    ----------
    label, prediction : ndarray of int64, shape (n,)
        Codes 0..K-1.
    group : ndarray of str, shape (n,)
        One of the groups of `worlds`.
    worlds : Worlds
    n_classes : int
        K.
    confidence : float
        Joint level of each upper bound.
    tau : float
        Advantage below which an adversary counts as defeated.
    seed : int
        Of the noise floor's simulation and of the halves of "fresh".
    scores : ndarray of float64, shape (n, K), optional
        Class probabilities, for the area under the ROC curve.

    Returns
    -------
    dict
        JSON-ready. "advantage" holds the exact value of T1 (arXiv:2606.01719 and its correction for label shift)
        and its upper bound in the labelled game, raw and label-balanced, with ``W``, ``Delta_EO * W`` and whether
        that paper form is a bound there; "below_tau" compares the upper bound. "gap_exceeds_paper_form" says whether
        the raw accuracy gap is above ``Delta_EO * W`` (C1), "gap_exceeds_exact" whether it is above T1's value, which
        T1 excludes. "fresh" compares the bound from one half of the rows with the accuracy gap on the other.
        "table" counts the rows by group, label and prediction: all of the rest but "auc" and "fresh" follows from it.

    Raises
    ------
    MissingCellError
        If a group has no rows of a label.
    """
    counts = _count(label, prediction, group, worlds, n_classes)
    bounds = {
        name: worlds.certify(counts, label_balanced=balanced, confidence=confidence)
        for name, balanced in (("raw", False), ("label_balanced", True))
    }
    floors = {name: noise_floor(bound.result, seed=seed) for name, bound in bounds.items()}
    raw = bounds["raw"]
    disparities = raw.result.disparities
    correct = label == prediction
    _, share = largest_share(prediction)
    return {
        "accuracy": float(correct.mean()),
        "balanced_accuracy": float(np.mean([correct[label == y].mean() for y in range(n_classes)])),
        "auc": None if scores is None else _auc(label, scores),
        "accuracy_gap": {name: float(bound.accuracy_gap) for name, bound in bounds.items()},
        "disparity": {str(y): float(d) for y, d in zip(counts.labels, disparities.per_label, strict=True)},
        "delta_eo": float(disparities.equalized_odds),
        "advantage": {name: bound.to_dict(tau) for name, bound in bounds.items()},
        "gap_exceeds_paper_form": raw.accuracy_gap > raw.paper_form,
        "gap_exceeds_exact": raw.accuracy_gap > raw.point,
        "fresh": _fresh(label, prediction, group, worlds, n_classes, confidence, seed),
        "noise_floor": {
            "delta_eo_mean": floors["raw"].equalized_odds_mean,
            "delta_eo_quantile_95": floors["raw"].equalized_odds_quantile_95,
            **{f"{name}_upper": float_above(bounds[name].scale * floors[name].advantage_upper) for name in bounds},
        },
        "largest_prediction_share": share,
        "near_constant": is_near_constant(share),
        "table": counts.to_dict()["table"],
    }


def quick_measure(
    label: NDArray[np.int64],
    prediction: NDArray[np.int64],
    group: NDArray[np.str_],
    *,
    worlds: Worlds,
    n_classes: int,
) -> dict[str, float]:
    """What choices on validation rows are made by: no limits, no simulation.

    Parameters
    ----------
    label, prediction, group, worlds, n_classes
        As in `measure`.

    Returns
    -------
    dict from str to float
        "accuracy", "balanced_accuracy", "delta_eo", and as "advantage" T1's value in the label-balanced game.

    Raises
    ------
    MissingCellError
        If a group has no rows of a label.
    """
    counts = _count(label, prediction, group, worlds, n_classes)
    disparities = Disparities.from_counts(counts)
    balanced = worlds.pair(counts).label_balanced()
    correct = label == prediction
    return {
        "accuracy": float(correct.mean()),
        "balanced_accuracy": float(np.mean([correct[label == y].mean() for y in range(n_classes)])),
        "delta_eo": float(disparities.equalized_odds),
        "advantage": float(worst_case_advantage(balanced, disparities.per_label).value),
    }


def choose(measured: Sequence[dict[str, float]], *, loss: str, slack: float) -> int:
    """Choose among models by their validation rows.

    Of the models that are at most `slack` less accurate than the most accurate one, take the one with the smallest
    label-balanced value of T1; of equals the more accurate, of those the first.

    Parameters
    ----------
    measured : sequence of dict
        As `quick_measure` makes them.
    loss : {"plain", "label_balanced"}
        With the latter, balanced accuracy counts in place of accuracy.
    slack : float

    Returns
    -------
    int
        Position of the chosen model.
    """
    useful = [m[USEFULNESS[loss]] for m in measured]
    able = [i for i, value in enumerate(useful) if value >= max(useful) - slack]
    return min(able, key=lambda i: (measured[i]["advantage"], -useful[i], i))


def _count(
    label: NDArray[np.int64],
    prediction: NDArray[np.int64],
    group: NDArray[np.str_],
    worlds: Worlds,
    n_classes: int,
) -> Counts:
    classes = range(n_classes)
    return Counts.from_arrays(
        label, prediction, sensitive_features=group, groups=worlds.groups, labels=classes, outputs=classes
    )


def _auc(label: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Area under the ROC curve; of more than two classes the mean of one against the rest."""
    if scores.shape[1] == 2:
        return float(roc_auc_score(label, scores[:, 1]))
    return float(roc_auc_score(label, scores, multi_class="ovr", average="macro"))


def _fresh(
    label: NDArray[np.int64],
    prediction: NDArray[np.int64],
    group: NDArray[np.str_],
    worlds: Worlds,
    n_classes: int,
    confidence: float,
    seed: int,
) -> dict[str, Any] | None:
    """The bound from one half of the rows against the accuracy gap on the other; None if a half lacks a cell."""
    strata = n_classes * (group == worlds.groups[1]) + label
    halves = stratified_split(strata, {"a": 0.5, "b": 0.5}, np.random.default_rng(seed))
    first, second = (_count(label[i], prediction[i], group[i], worlds, n_classes) for i in halves.values())
    if first.missing_cells() or second.missing_cells():
        return None
    found = {}
    for name, balanced in (("raw", False), ("label_balanced", True)):
        upper = worlds.certify(first, label_balanced=balanced, confidence=confidence).upper
        pair = worlds.pair(second)
        gap = accuracy_gap(pair.label_balanced() if balanced else pair, Channel.from_counts(second))
        found[name] = {"upper_half_a": float_above(upper), "gap_half_b": float(gap), "exceeded": gap > upper}
    return found
