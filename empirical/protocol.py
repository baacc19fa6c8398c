"""The biased distribution protocol (arXiv:2606.01719).

A base model is trained on a draw of one group, G0, and then fine-tuned on a draw of the other, G1, mixed with a
rehearsal share of G0. Beside fair fine-tuning stand its controls: the base model itself, fine-tuning of the same
length without the constraint, and models trained on both groups in other ways.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from fairbound.bounds import CompositionPair, Counts
from fairbound.empirical.data import Dataset
from fairbound.empirical.errors import NearConstantWarning
from fairbound.empirical.measurement import measure
from fairbound.empirical.plan import STAGES, ProtocolConfig, ProtocolPlan, plan_protocol
from fairbound.empirical.run_rows import take_rows
from fairbound.empirical.stages import FittedStage, NotApplicable, Run, frozen_features, make_classifier
from fairbound.empirical.torch_tools import one_thread


@dataclass(frozen=True, eq=False)
class ProtocolResult:
    """One run of the protocol.

    Attributes
    ----------
    record : dict
        JSON-ready: settings, row counts, under "stages" the measurements of each stage, and under "skipped" why a
        stage was not run.
    logs : dict from str to pandas.DataFrame
        Prediction log of each stage on the certification split: columns label, prediction, group.
    models : dict from str to estimator
        Fitted model of each stage.
    """

    record: dict[str, Any]
    logs: dict[str, pd.DataFrame]
    models: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The record.

        Returns
        -------
        dict
        """
        return self.record


def run_protocol(
    dataset: str | Dataset,
    *,
    attribute: str,
    start: str,
    other: str | None = None,
    rehearsal: float = 0.5,
    alpha0: float | str | Fraction = 0,
    alpha1: float | str | Fraction = 1,
    include_attribute: bool = True,
    seed: int = 0,
    config: ProtocolConfig | None = None,
    progress: Callable[[str], None] | None = None,
) -> ProtocolResult:
    """Run the stages of the biased distribution protocol once.

    The rows of the two groups are split into train, validation and certification parts, stratified by group and
    label. Every choice (epochs, candidates, thresholds) is made on validation rows; every figure of the record but
    "validation" comes from the certification part, which is touched once per stage. Rows of further groups are
    dropped (the record says how many).

    Parameters
    ----------
    dataset : str or Dataset
        A name for `load_dataset`, or a data set of any modality and number of classes.
    attribute : str
        Sensitive attribute, or an intersection such as ``"sex & race"``.
    start : str
        G0, the group on which the base model is trained.
    other : str, optional
        G1, the group to fine-tune on; may be left out if exactly one other group exists. As G0 or G1, "all others" is
        everybody who is not in the other one.
    rehearsal : float, default 0.5
        Rows of the starting world mixed in, as a fraction of the rows of the other. With 0 and pure groups no row of
        G0 counts in the loss; ``config.without_rehearsal`` says how the constraint is stated then.
    alpha0, alpha1 : number, default 0 and 1
        Share of G1 in the two worlds, ``alpha0 < alpha1``. The base model is trained on a draw of world 0 and
        fine-tuned on a draw of world 1, which share no row (see `fairbound.empirical.run_rows.draw_worlds`), and
        the bounds are those of telling these two worlds apart, ``W = alpha1 - alpha0`` in the raw game.
    include_attribute : bool, default True
        Whether the attribute is a model input. A base model of one group never sees it vary, so it does not respond
        to it. Images and texts have no such input.
    seed : int, default 0
        Splits, initial weights and batches are a function of it.
    config : ProtocolConfig, optional
    progress : callable, optional
        Called with the name of each stage before it is trained, and while frozen features are computed.

    Returns
    -------
    ProtocolResult

    Raises
    ------
    UnknownAttributeError
        If the data set has no such attribute.
    UnknownGroupError
        If a group does not exist, or `other` is needed and not given.
    ProtocolError
        If a share or a fraction is out of range.
    MissingCellError
        If a part lacks a label of a group.

    Warns
    -----
    RehearsalCappedWarning
        If the starting world has fewer training rows than the rehearsal asks for.
    NearConstantWarning
        If a stage gives nearly every certification row one label.
    """
    plan = plan_protocol(
        dataset,
        attribute=attribute,
        start=start,
        other=other,
        rehearsal=rehearsal,
        alpha0=alpha0,
        alpha1=alpha1,
        include_attribute=include_attribute,
        config=config,
    )
    return execute(plan, seed, progress)


def execute(plan: ProtocolPlan, seed: int, progress: Callable[[str], None] | None = None) -> ProtocolResult:
    """Run a checked plan with one seed.

    Parameters
    ----------
    plan : ProtocolPlan
    seed : int
    progress : callable, optional
        Called with the name of each stage before it is trained, and while frozen features are computed.

    Returns
    -------
    ProtocolResult

    Raises
    ------
    MissingCellError
        If a part lacks a label of a group.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = _execute(plan, seed, progress)
    for message in dict.fromkeys((str(warning.message), warning.category) for warning in told):
        warnings.warn(message[0], message[1], stacklevel=3)
    result.record["warnings"] = sorted({str(warning.message) for warning in told})
    return result


def prepare_features(plan: ProtocolPlan, progress: Callable[[int, int], None] | None = None) -> None:
    """Compute the frozen features of all rows of the two groups, so that no stage is charged for them.

    Parameters
    ----------
    plan : ProtocolPlan
        Of a table, or with networks that are trained whole: nothing is done.
    progress : callable, optional
        Called with the number of rows done and in all, while there are rows whose features are not kept yet.

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.features.FrozenFeatures.transform`.
    """
    encoder = frozen_features(make_classifier(plan, 0), progress)
    if encoder is not None:
        kept = np.flatnonzero(np.isin(plan.group, plan.worlds.groups))
        encoder.transform(take_rows(plan.dataset.features, kept))


def _execute(plan: ProtocolPlan, seed: int, progress: Callable[[str], None] | None) -> ProtocolResult:
    config = plan.config
    stages: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    logs: dict[str, pd.DataFrame] = {}
    models: dict[str, Any] = {}
    with one_thread(), threadpool_limits(1):
        prepare_features(plan, None if progress is None else lambda done, total: progress(f"features {done}/{total}"))
        run = Run(plan, seed, progress)
        rows = run.rows
        test = rows.parts["certification"]
        for stage in (name for name in STAGES if name in config.stages):
            try:
                fitted = run.stage(stage)
            except NotApplicable as reason:
                skipped[stage] = str(reason)
                continue
            models[stage] = fitted.model
            logs[stage], measured = _certify(run, fitted, seed)
            stages[stage] = {
                **measured,
                "validation": run.on_validation(fitted),
                "notes": fitted.notes,
                "cpu_seconds": run.seconds[stage],
            }
            if measured["near_constant"]:
                share = measured["largest_prediction_share"]
                warnings.warn(
                    f"{stage} gives {share:.2%} of the certification rows one label; a constant predictor has no "
                    "disparity, so a small one is no achievement here.",
                    NearConstantWarning,
                    stacklevel=2,
                )
    record = plan.settings() | {
        "config_hash": plan.config_hash(),
        "seed": seed,
        "versions": _versions(),
        "dropped_rows": rows.dropped,
        "classes": list(plan.dataset.classes),
        "rows": {part: rows.cell_counts(index) for part, index in rows.parts.items()},
        "draws": {name: rows.cell_counts(rows.worlds["train"][i]) for i, name in enumerate(("world_0", "world_1"))},
        "rehearsal_rows": len(rows.rehearsal),
        "rehearsal_capped": rows.capped,
        "reference_rows": len(rows.reference),
        "frozen_rates": rows.frozen,
        **_raw_game(plan, rows.label[test], rows.group[test]),
        "stages": stages,
        "skipped": skipped,
    }
    return ProtocolResult(record, logs, models)


def _certify(run: Run, fitted: FittedStage, seed: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Predict and measure the certification part: the only place that touches it."""
    rows, config = run.rows, run.plan.config
    test = rows.parts["certification"]
    X, label, group = rows.take(test), rows.label[test], rows.group[test]
    prediction = fitted.predict(X, group)
    measured = measure(
        label,
        prediction,
        group,
        worlds=run.plan.worlds,
        n_classes=rows.n_classes,
        confidence=config.confidence,
        tau=config.tau,
        seed=seed,
        scores=fitted.scores(X, group, rows.n_classes),
    )
    return pd.DataFrame({"label": label, "prediction": prediction, "group": group}), measured


def _raw_game(plan: ProtocolPlan, label: Any, group: Any) -> dict[str, Any]:
    """Whether any fairness could bring the raw game under tau."""
    classes = range(len(plan.dataset.classes))
    counts = Counts.from_arrays(
        label, label, sensitive_features=group, groups=plan.worlds.groups, labels=classes, outputs=classes
    )
    pair: CompositionPair = plan.worlds.pair(counts)
    shift, tau = float(pair.label_shift), plan.config.tau
    reason = None
    if shift > tau:
        reason = (
            f"The label shift of {plan.start} and {plan.other} alone is {shift:.4f} on these rows, above tau = "
            f"{tau:g}: no fairness constraint can certify the raw game. The label-balanced game asks what the model "
            "adds."
        )
    return {"label_shift": shift, "raw_certifiable": shift <= tau, "raw_reason": reason}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("fairbound", "fairlearn", "numpy", "opacus", "pandas", "scikit-learn", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
