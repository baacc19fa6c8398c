"""What the protocol records about one prediction log."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbound.bounds import Counts, certify_counts, noise_floor
from fairbound.bounds.rational import float_above
from fairbound.empirical.near_constant import is_near_constant, largest_share


def measure(
    label: NDArray[np.int64],
    prediction: NDArray[np.int64],
    group: NDArray[np.str_],
    *,
    pair: tuple[str, str],
    confidence: float,
    tau: float,
    random_state: int,
) -> dict[str, Any]:
    """Accuracy, disparities and bounds of a binary prediction log.

    Parameters
    ----------
    label, prediction : ndarray of int64, shape (n,)
        0 or 1.
    group : ndarray of str, shape (n,)
        One of `pair`.
    pair : (str, str)
        The two pure groups.
    confidence : float
        Joint level of each upper bound.
    tau : float
        Advantage below which an adversary counts as defeated.
    random_state : int
        Of the noise floor's simulation.

    Returns
    -------
    dict
        JSON-ready. "advantage" holds the exact value of T1 (arXiv:2606.01719 and its correction for label shift)
        and its upper bound in the labelled game, raw and label-balanced, with ``W``, ``Delta_EO * W`` and whether
        that paper form is a bound there. "below_tau" compares the upper bound.

    Raises
    ------
    MissingCellError
        If a group has no rows of a label.
    """
    counts = Counts.from_arrays(label, prediction, sensitive_features=group, groups=pair, labels=(0, 1), outputs=(0, 1))
    games = {"raw": False, "label_balanced": True}
    certified = {
        name: certify_counts(counts, pure=pair, game="labelled", label_balanced=balanced, confidence=confidence)
        for name, balanced in games.items()
    }
    results = {name: result.to_dict() for name, result in certified.items()}
    floors = {name: noise_floor(result, seed=random_state) for name, result in certified.items()}
    correct = label == prediction
    _, share = largest_share(prediction)
    raw = results["raw"]
    return {
        "accuracy": float(correct.mean()),
        "balanced_accuracy": float(np.mean([correct[label == y].mean() for y in (0, 1)])),
        "accuracy_gap": {
            "raw": raw["measured_gap"]["accuracy_raw"],
            "label_balanced": raw["measured_gap"]["accuracy_label_balanced"],
        },
        "disparity": {y: cell["point"] for y, cell in raw["disparity"].items()},
        "delta_eo": raw["equalized_odds"]["point"],
        "advantage": {name: _advantage(result, tau) for name, result in results.items()},
        "noise_floor": {
            "delta_eo_mean": floors["raw"].equalized_odds_mean,
            "delta_eo_quantile_95": floors["raw"].equalized_odds_quantile_95,
            "raw_upper": float_above(floors["raw"].advantage_upper),
            "label_balanced_upper": float_above(floors["label_balanced"].advantage_upper),
        },
        "largest_prediction_share": share,
        "near_constant": is_near_constant(share),
    }


def _advantage(result: dict[str, Any], tau: float) -> dict[str, Any]:
    paper = result["paper_form"]
    return {
        "point": result["advantage"]["point"],
        "upper": result["advantage"]["upper"],
        "measured": result["measured_advantage"],
        "below_tau": result["advantage"]["upper"] < tau,
        "label_shift": result["composition"]["label_shift"],
        "W": result["composition"]["distance"],
        "delta_eo_times_W": paper["value"],
        "paper_form_applies": paper["applies"],
    }
