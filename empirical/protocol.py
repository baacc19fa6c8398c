"""The biased distribution protocol (arXiv:2606.01719).

A base model is trained on a draw of one pure group, G0, and then fine-tuned on a draw of the other, G1, mixed with
a rehearsal share of G0. Beside fair fine-tuning stand its controls: the base model itself, fine-tuning of the same
length without the constraint, and a model trained from scratch on both groups.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairbound.empirical.data import Dataset, load_dataset
from fairbound.empirical.errors import ProtocolError, RehearsalCappedWarning, UnknownGroupError
from fairbound.empirical.fair_fine_tuning import FairFineTuner
from fairbound.empirical.measurement import measure
from fairbound.empirical.models import TabularClassifier
from fairbound.empirical.splits import stratified_split
from fairbound.empirical.torch_tools import derived_seed, one_thread

SCHEMA = "fairbound.protocol/1"

#: Stages in the order in which they run.
STAGES = ("base", "fine_tuned", "fft", "pooled")


@dataclass(frozen=True)
class ProtocolConfig:
    """Settings that are not about the data; together with those they make the configuration hash.

    Attributes
    ----------
    train, validation : float
        Shares of the rows; the rest is the certification split.
    reference_rows : int
        Rows of G0 that serve the constraint alone when `rehearsal` is 0.
    confidence : float
        Joint level of the upper bounds.
    tau : float
        Detection threshold of the paper.
    model : dict
        Keyword arguments of `TabularClassifier` for the base and the pooled model.
    fine_tuning : dict
        Keyword arguments of `FairFineTuner` for the fine-tuned and the fft stage.
    """

    train: float = 0.5
    validation: float = 0.15
    reference_rows: int = 512
    confidence: float = 0.95
    tau: float = 0.1
    model: dict[str, Any] = field(default_factory=dict)
    fine_tuning: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProtocolPlan:
    """One configuration of the protocol, checked against its data set; a seed makes it a run.

    Attributes
    ----------
    dataset : Dataset
    attribute, start, other : str
        The sensitive attribute, G0 and G1.
    rehearsal : float
        Rows of G0 mixed into the fine-tuning, as a fraction of the rows of G1.
    include_attribute : bool
        Whether models see the attribute.
    config : ProtocolConfig
    """

    dataset: Dataset
    attribute: str
    start: str
    other: str
    rehearsal: float
    include_attribute: bool
    config: ProtocolConfig

    def settings(self) -> dict[str, Any]:
        """Everything but the seed that the results are a function of.

        Returns
        -------
        dict
            JSON-ready.
        """
        return {
            "schema": SCHEMA,
            "dataset": self.dataset.name,
            "data_sha256": dict(self.dataset.info.sha256),
            "attribute": self.attribute,
            "start": self.start,
            "other": self.other,
            "rehearsal": self.rehearsal,
            "include_attribute": self.include_attribute,
            "config": asdict(self.config),
        }

    def config_hash(self) -> str:
        """SHA-256 of `settings`, the first 16 hexadecimal digits.

        Returns
        -------
        str
        """
        text = json.dumps(self.settings(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class ProtocolResult:
    """One run of the protocol.

    Attributes
    ----------
    record : dict
        JSON-ready: settings, row counts and, under "stages", the measurements of each stage.
    logs : dict from str to pandas.DataFrame
        Prediction log of each stage on the certification split: columns label, prediction, group.
    models : dict from str to estimator
        Fitted model of each stage.
    """

    record: dict[str, Any]
    logs: dict[str, pd.DataFrame]
    models: dict[str, TabularClassifier | FairFineTuner]

    def to_dict(self) -> dict[str, Any]:
        """The record.

        Returns
        -------
        dict
        """
        return self.record


def plan_protocol(
    dataset: str | Dataset,
    *,
    attribute: str,
    start: str,
    other: str | None = None,
    rehearsal: float = 0.5,
    include_attribute: bool = True,
    config: ProtocolConfig | None = None,
) -> ProtocolPlan:
    """Check the settings of a protocol against its data set.

    Parameters
    ----------
    dataset, attribute, start, other, rehearsal, include_attribute, config
        As in `run_protocol`.

    Returns
    -------
    ProtocolPlan

    Raises
    ------
    UnknownAttributeError, UnknownGroupError, ProtocolError
        As in `run_protocol`.
    """
    data = load_dataset(dataset) if isinstance(dataset, str) else dataset
    config = config or ProtocolConfig()
    groups = [str(g) for g in np.unique(data.groups_of(attribute))]
    for name in (start, other):
        if name is not None and name not in groups:
            raise UnknownGroupError(f"{attribute} of {data.name} has no group {name!r}; it has: {', '.join(groups)}.")
    rest = [g for g in groups if g != start]
    if other is None:
        if len(rest) != 1:
            raise UnknownGroupError(
                f"{attribute} of {data.name} has {len(groups)} groups; name the one to compare with {start!r} as "
                f"`other`: {', '.join(rest)}."
            )
        other = rest[0]
    if other == start:
        raise UnknownGroupError(f"start and other are both {start!r}; the protocol compares two groups.")
    if not 0 <= rehearsal <= 1:
        raise ProtocolError(f"rehearsal={rehearsal} is not a fraction of the rows of {other!r} in [0, 1].")
    if not (config.train > 0 and config.validation > 0 and config.train + config.validation < 1):
        raise ProtocolError("train and validation must be positive shares that leave rows to certify on.")
    if rehearsal == 0 and config.reference_rows < 1:
        raise ProtocolError("Without rehearsal the constraint needs reference_rows >= 1 of the starting group.")
    return ProtocolPlan(data, attribute, start, other, float(rehearsal), include_attribute, config)


def run_protocol(
    dataset: str | Dataset,
    *,
    attribute: str,
    start: str,
    other: str | None = None,
    rehearsal: float = 0.5,
    include_attribute: bool = True,
    seed: int = 0,
    config: ProtocolConfig | None = None,
    progress: Callable[[str], None] | None = None,
) -> ProtocolResult:
    """Run every stage of the biased distribution protocol once.

    The rows of the two groups are split into train, validation and certification parts, stratified by group and
    label. Epochs of the base and the pooled model are chosen on validation rows; every figure of the record comes
    from the certification part, which is touched once per stage. Rows of further groups are dropped (the record
    says how many).

    Parameters
    ----------
    dataset : str or Dataset
        A name for `load_dataset`, or a data set.
    attribute : str
        Sensitive attribute.
    start : str
        G0, the group on which the base model is trained.
    other : str, optional
        G1, the group to fine-tune on; may be left out if exactly one other group exists.
    rehearsal : float, default 0.5
        Rows of G0 mixed in, as a fraction of the rows of G1. With 0 no row of G0 counts in the loss, and
        ``config.reference_rows`` of them serve the constraint alone: a gap cannot be measured on one group.
    include_attribute : bool, default True
        Whether the attribute is a model input. The base model never sees it vary, so it does not respond to it.
    seed : int, default 0
        Splits, initial weights and batches are a function of it.
    config : ProtocolConfig, optional
    progress : callable, optional
        Called with the name of each stage before it runs.

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
        If a group has no certification rows of a label.

    Warns
    -----
    RehearsalCappedWarning
        If G0 has fewer training rows than the rehearsal asks for.
    """
    plan = plan_protocol(
        dataset,
        attribute=attribute,
        start=start,
        other=other,
        rehearsal=rehearsal,
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
        Called with the name of each stage before it runs.

    Returns
    -------
    ProtocolResult

    Raises
    ------
    MissingCellError
        If a group has no certification rows of a label.
    """
    rows = _Rows(plan, seed)
    record = plan.settings() | {
        "config_hash": plan.config_hash(),
        "seed": seed,
        "versions": _versions(),
        "dropped_rows": len(plan.dataset) - int(np.isin(rows.group, (plan.start, plan.other)).sum()),
        "rows": {part: rows.cell_counts(index) for part, index in rows.parts.items()},
        "rehearsal_rows": len(rows.rehearsal),
        "rehearsal_capped": rows.capped,
        "reference_rows": len(rows.reference),
    }
    stages: dict[str, Any] = {}
    logs: dict[str, pd.DataFrame] = {}
    models: dict[str, TabularClassifier | FairFineTuner] = {}
    test = rows.parts["certification"]
    with one_thread():
        for stage in STAGES:
            if progress is not None:
                progress(stage)
            began = time.process_time()
            models[stage] = _fit_stage(stage, plan, rows, seed, models)
            seconds = time.process_time() - began
            prediction = models[stage].predict(rows.features.iloc[test])
            logs[stage] = pd.DataFrame({"label": rows.label[test], "prediction": prediction, "group": rows.group[test]})
            measured = measure(
                rows.label[test],
                prediction,
                rows.group[test],
                pair=(plan.start, plan.other),
                confidence=plan.config.confidence,
                tau=plan.config.tau,
                random_state=seed,
            )
            stages[stage] = measured | {"cpu_seconds": seconds}
    return ProtocolResult(record | {"stages": stages}, logs, models)


class _Rows:
    """The rows of a run and what each is used for."""

    def __init__(self, plan: ProtocolPlan, seed: int) -> None:
        data, config = plan.dataset, plan.config
        hidden = () if plan.include_attribute else data.attribute_columns.get(plan.attribute, ())
        self.features = data.features.drop(columns=list(hidden))
        self.label = data.label
        self.group = data.groups_of(plan.attribute)
        rng = np.random.default_rng(derived_seed(seed, 0))
        kept = np.flatnonzero(np.isin(self.group, (plan.start, plan.other)))
        fractions = {
            "train": config.train,
            "validation": config.validation,
            "certification": 1 - config.train - config.validation,
        }
        strata = 2 * (self.group[kept] == plan.other) + self.label[kept]
        self.parts = {name: kept[index] for name, index in stratified_split(strata, fractions, rng).items()}
        self.start_train = self.of_group("train", plan.start)
        self.other_train = self.of_group("train", plan.other)
        # One shuffled order, so that a larger rehearsal holds every smaller one of the same seed.
        shuffled = rng.permutation(self.start_train)
        wanted = round(plan.rehearsal * len(self.other_train))
        if plan.rehearsal > 0 and wanted == 0:
            raise ProtocolError(f"rehearsal={plan.rehearsal:g} of {len(self.other_train)} rows is no row; raise it.")
        self.capped = wanted > len(shuffled)
        if self.capped:
            warnings.warn(
                f"rehearsal={plan.rehearsal:g} asks for {wanted} rows of {plan.start!r} and only {len(shuffled)} "
                "exist; larger fractions are the same run.",
                RehearsalCappedWarning,
                stacklevel=4,
            )
        self.rehearsal = shuffled[:wanted]
        self.reference = shuffled[: config.reference_rows if plan.rehearsal == 0 else 0]

    def of_group(self, part: str, group: str) -> NDArray[np.int64]:
        """Rows of one part that belong to one group."""
        index = self.parts[part]
        chosen: NDArray[np.int64] = index[self.group[index] == group]
        return chosen

    def cell_counts(self, index: NDArray[np.int64]) -> dict[str, dict[str, int]]:
        """Rows by group and label."""
        return {
            str(g): {str(y): int(((self.group[index] == g) & (self.label[index] == y)).sum()) for y in (0, 1)}
            for g in np.unique(self.group[index])
        }


def _fit_stage(
    stage: str,
    plan: ProtocolPlan,
    rows: _Rows,
    seed: int,
    models: dict[str, Any],
) -> TabularClassifier | FairFineTuner:
    if stage in ("base", "pooled"):
        validation = rows.parts["validation"]
        train = rows.parts["train"]
        if stage == "base":
            train, validation = rows.start_train, rows.of_group("validation", plan.start)
        model = TabularClassifier(**{"random_state": derived_seed(seed, 1), **plan.config.model})
        return model.fit(
            rows.features.iloc[train],
            rows.label[train],
            X_validation=rows.features.iloc[validation],
            y_validation=rows.label[validation],
        )
    settings: dict[str, Any] = {"random_state": derived_seed(seed, 2), **plan.config.fine_tuning}
    if stage == "fine_tuned":
        settings["constraint"] = None
    extra = rows.reference if plan.rehearsal == 0 else rows.rehearsal
    role = "constraint" if plan.rehearsal == 0 else "both"
    tuner = FairFineTuner(models["base"], rehearsal_role=role, **settings)
    return tuner.fit(
        rows.features.iloc[rows.other_train],
        rows.label[rows.other_train],
        sensitive_features=rows.group[rows.other_train],
        X_rehearsal=rows.features.iloc[extra],
        y_rehearsal=rows.label[extra],
        sensitive_features_rehearsal=rows.group[extra],
    )


def _versions() -> dict[str, str]:
    names = ("fairbound", "numpy", "pandas", "scikit-learn", "torch")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
