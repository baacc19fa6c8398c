"""What a run of the biased distribution protocol is asked for, checked before anything is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbound.bounds.errors import NumberError
from fairbound.bounds.rational import to_fraction
from fairbound.empirical.data import Dataset, load_dataset
from fairbound.empirical.data.summary import REST
from fairbound.empirical.errors import ProtocolError, UnknownGroupError
from fairbound.empirical.measurement import Worlds

SCHEMA = "fairbound.protocol/2"

#: Stages of the protocol itself, in the order in which they run; the default.
PROTOCOL_STAGES = ("base", "fine_tuned", "fft", "pooled")

#: Controls that learn from the rows of both groups, whatever the direction and the rehearsal.
CONTROL_STAGES = (
    "pooled_fair",
    "resampled",
    "reweighed",
    "exponentiated_gradient",
    "exponentiated_gradient_hidden",
    "postprocessed",
    "dp_sgd",
)

#: Every stage, in the order in which they run.
STAGES = (*PROTOCOL_STAGES, *CONTROL_STAGES)

#: Stages whose results depend neither on the direction nor on the rehearsal.
POOLED_STAGES = ("pooled", *CONTROL_STAGES)

_CHOICES = {
    "without_rehearsal": ("reference", "frozen"),
    "constraint_rows": ("train", "train+validation"),
    "loss": ("plain", "label_balanced"),
}


@dataclass(frozen=True)
class ProtocolConfig:
    """Settings that are not about the data; together with those they make the configuration hash.

    Attributes
    ----------
    stages : tuple of str
        Which of `STAGES` to run; what a stage starts from is trained in any case.
    train, validation : float
        Shares of the rows; the rest is the certification split.
    without_rehearsal : {"reference", "frozen"}
        How the constraint is stated where the rows to fine-tune on hold one group. "reference": `reference_rows` rows
        of the starting world serve the constraint alone. "frozen": the rates of the base model on the starting
        world's validation rows, held fixed; the fine-tuned model's own rates there are not constrained.
    reference_rows : int
    constraint_rows : {"train", "train+validation"}
        Whether validation rows serve the constraint as well (never the loss).
    loss : {"plain", "label_balanced"}
        "label_balanced": every label has the same weight in the loss and in the choice of epochs. It makes a constant
        predictor as bad as a coin where one label is rare.
    candidates : tuple of dict
        Settings of `FairFineTuner` that "fft" and "pooled_fair" are fitted with, each over `fine_tuning`; the one
        to keep is chosen on validation rows by `fairbound.empirical.measurement.choose`.
    slack : float
        Of that rule: how much accuracy may be given up for a smaller advantage.
    full : bool
        Of images and texts: train whole networks, not a head on frozen features.
    confidence : float
        Joint level of the upper bounds.
    tau : float
        Detection threshold of the paper.
    model : dict
        Keyword arguments of the classifier (`TabularClassifier`, `ImageClassifier` or `TextClassifier`).
    fine_tuning : dict
        Keyword arguments of `FairFineTuner` for every stage that uses it.
    reduction_eps : float
        `eps` of fairlearn's ExponentiatedGradient.
    dp_epsilon : float
        Privacy budget of "dp_sgd".
    """

    stages: tuple[str, ...] = PROTOCOL_STAGES
    train: float = 0.5
    validation: float = 0.15
    without_rehearsal: str = "reference"
    reference_rows: int = 512
    constraint_rows: str = "train"
    loss: str = "plain"
    candidates: tuple[dict[str, Any], ...] = ({},)
    slack: float = 0.005
    full: bool = False
    confidence: float = 0.95
    tau: float = 0.1
    model: dict[str, Any] = field(default_factory=dict)
    fine_tuning: dict[str, Any] = field(default_factory=dict)
    reduction_eps: float = 0.01
    dp_epsilon: float = 3.0

    def __post_init__(self) -> None:
        """Check what does not need the data.

        Raises
        ------
        ProtocolError
            If a setting has no such value.
        """
        object.__setattr__(self, "stages", tuple(self.stages))
        object.__setattr__(self, "candidates", tuple(self.candidates))
        unknown = [stage for stage in self.stages if stage not in STAGES]
        if unknown or not self.stages:
            named = unknown[0] if unknown else "none"
            raise ProtocolError(f"There is no stage {named!r}; choose from: {', '.join(STAGES)}.")
        for name, values in _CHOICES.items():
            if getattr(self, name) not in values:
                raise ProtocolError(f"{name}={getattr(self, name)!r}; choose from: {', '.join(values)}.")
        if not (self.train > 0 and self.validation > 0 and self.train + self.validation < 1):
            raise ProtocolError("train and validation must be positive shares that leave rows to certify on.")
        if not self.candidates:
            raise ProtocolError("candidates is empty; give at least one set of settings, {} for the defaults.")
        if len(self.candidates) > 1 and self.constraint_rows != "train":
            raise ProtocolError(
                "Candidates are chosen on validation rows, which constraint_rows='train+validation' trains on; "
                "give one candidate or constraint_rows='train'."
            )
        if min(self.slack, self.reference_rows - 1, self.reduction_eps, self.dp_epsilon) < 0:
            raise ProtocolError("slack, reduction_eps and dp_epsilon may not be negative, reference_rows not below 1.")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> ProtocolConfig:
        """Read a configuration as TOML or JSON holds it.

        Parameters
        ----------
        settings : mapping from str
            Names of attributes and their values.

        Returns
        -------
        ProtocolConfig

        Raises
        ------
        ProtocolError
            If there is no such setting, or it has no such value.
        """
        known = {f.name: f.type for f in fields(cls)}
        for name in settings:
            if name not in known:
                raise ProtocolError(f"The protocol has no setting {name!r}; it has: {', '.join(known)}.")
        try:
            return cls(**settings)
        except TypeError as error:
            raise ProtocolError(f"A setting of the protocol is of the wrong kind: {error}.") from error


@dataclass(frozen=True)
class ProtocolPlan:
    """One configuration of the protocol, checked against its data set; a seed makes it a run.

    Attributes
    ----------
    dataset : Dataset
    attribute, start, other : str
        The sensitive attribute, G0 and G1.
    rehearsal : float
        Rows of the starting world mixed into the fine-tuning, as a fraction of the rows of the other.
    alpha0, alpha1 : Fraction
        Share of G1 in the starting world and in the other; 0 and 1 are the pure groups.
    include_attribute : bool
        Whether models see the attribute; False for images and texts, none of whose columns states it.
    config : ProtocolConfig
    """

    dataset: Dataset
    attribute: str
    start: str
    other: str
    rehearsal: float
    alpha0: Fraction
    alpha1: Fraction
    include_attribute: bool
    config: ProtocolConfig

    @property
    def group(self) -> NDArray[np.str_]:
        """Group of each row of the data set; with `REST` as one of the two, everybody but the other is in it."""
        groups = self.dataset.groups_of(self.attribute)
        if REST not in (self.start, self.other):
            return groups
        named = self.other if self.start == REST else self.start
        return np.where(groups == named, named, REST)

    @property
    def worlds(self) -> Worlds:
        """The two worlds that the adversary tells apart."""
        return Worlds((self.start, self.other), (self.alpha0, self.alpha1))

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
            "content_sha256": self.dataset.content_sha256,
            "attribute": self.attribute,
            "start": self.start,
            "other": self.other,
            "rehearsal": self.rehearsal,
            "alpha0": str(self.alpha0),
            "alpha1": str(self.alpha1),
            "include_attribute": self.include_attribute,
            # As JSON gives it back: a record is the same before and after it was stored.
            "config": json.loads(json.dumps(asdict(self.config))),
        }

    def config_hash(self) -> str:
        """SHA-256 of `settings`, the first 16 hexadecimal digits.

        Returns
        -------
        str
        """
        text = json.dumps(self.settings(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def plan_protocol(
    dataset: str | Dataset,
    *,
    attribute: str,
    start: str,
    other: str | None = None,
    rehearsal: float = 0.5,
    alpha0: float | str | Fraction = 0,
    alpha1: float | str | Fraction = 1,
    include_attribute: bool = True,
    config: ProtocolConfig | None = None,
) -> ProtocolPlan:
    """Check the settings of a protocol against its data set.

    Parameters
    ----------
    dataset, attribute, start, other, rehearsal, alpha0, alpha1, include_attribute, config
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
        if name is not None and name not in (*groups, REST):
            raise UnknownGroupError(f"{attribute} of {data.name} has no group {name!r}; it has: {', '.join(groups)}.")
    rest = [g for g in groups if g != start]
    if other is None:
        if len(rest) != 1:
            raise UnknownGroupError(
                f"{attribute} of {data.name} has {len(groups)} groups; name the one to compare with {start!r} as "
                f"`other`: {', '.join(rest)}, or {REST!r}."
            )
        other = rest[0]
    if other == start:
        raise UnknownGroupError(f"start and other are both {start!r}; the protocol compares two groups.")
    if not 0 <= rehearsal <= 1:
        raise ProtocolError(f"rehearsal={rehearsal} is not a fraction of the rows of {other!r} in [0, 1].")
    try:
        shares = to_fraction(alpha0), to_fraction(alpha1)
    except NumberError as error:
        raise ProtocolError(f"alpha0={alpha0} or alpha1={alpha1} is no number: {error}") from None
    if not 0 <= shares[0] < shares[1] <= 1:
        raise ProtocolError(
            f"alpha0={alpha0} and alpha1={alpha1} are the shares of {other!r} in the two worlds; they need "
            "0 <= alpha0 < alpha1 <= 1."
        )
    if config.full and data.modality == "tabular":
        raise ProtocolError(f"full=True is for images and texts; {data.name} is a table, always trained as a whole.")
    shown = include_attribute and data.modality == "tabular"
    return ProtocolPlan(data, attribute, start, other, float(rehearsal), *shares, shown, config)
