"""Bar passage of law students (Wightman, LSAC National Longitudinal Bar Passage Study, 1998)."""

from __future__ import annotations

from pathlib import Path

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.sources import Source
from fairbound.empirical.data.tables import numbers, read_table, tabular_dataset

_SCORES = ("lsat", "ugpa")
_STANDARDISED = ("zfygpa", "zgpa")
_CATEGORICAL = ("fam_inc", "fulltime", "tier", "sex", "race")
_RACE = {"white": "White", "black": "Black", "hisp": "Hispanic", "asian": "Asian", "other": "Other"}

SOURCE = Source(
    "lsac",
    {"bar_pass_prediction.csv": "14461269477cc8b0572253187cc8e10e9a726fa496153dd160f180e4963bc12e"},
    "the bar_pass_prediction table of the LSAC Bar Passage Study (github.com/wbawakate/fairtorch, examples/inputs)",
)

INFO = DatasetInfo(
    name="lsac",
    task="Predict whether a law graduate who sits the bar examination passes it in the end (label 1).",
    rows=22_811,
    attributes=("race", "sex"),
    licence="research data made public by the Law School Admission Council; redistributed in an MIT repository",
    source="LSAC National Longitudinal Bar Passage Study, law school classes that began in 1991",
    known_faults=(
        "27,478 rows, of which 23,103 have a label: people who left law school or never sat the bar have none, so "
        "the label holds for a selected population.",
        "Of the labelled rows 21 lack sex or race and 271 more an LSAT score or an undergraduate grade; they are "
        "dropped. A missing standardised law-school grade is set to 0, the mean of the school.",
        "95 % pass: a constant predictor is 95 % accurate and perfectly fair.",
        "The column `age` of the file is wrong (values around -60) and, like the year of birth, never read.",
    ),
    sha256=SOURCE.sha256,
    citation="L. F. Wightman, LSAC National Longitudinal Bar Passage Study, LSAC Research Report Series, 1998.",
)


def load(path: Path | None = None) -> Dataset:
    """Load LSAC: 22,811 labelled rows with known sex, race, LSAT score and undergraduate grade.

    Nothing that is known only after the examination, and neither identifier nor year of birth, is read. Family
    income (quintile), school tier and full-time study are categorical; a missing one is the category "unknown".

    Parameters
    ----------
    path : pathlib.Path, optional
        The table, or its folder.

    Returns
    -------
    Dataset

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.sources.Source.read`.
    """
    files = SOURCE.read(path)
    columns = (*_SCORES, *_STANDARDISED, "fam_inc", "fulltime", "tier", "gender", "race1", "pass_bar")
    frame = read_table(files.only, columns=columns).rename(columns={"gender": "sex", "race1": "race"})
    frame = frame[(frame[["pass_bar", "sex", "race", *_SCORES]] != "").all(axis=1)].copy()
    frame["race"] = frame["race"].map(_RACE)
    frame[["fam_inc", "fulltime", "tier"]] = frame[["fam_inc", "fulltime", "tier"]].replace("", "unknown")
    frame[list(_SCORES)] = numbers(frame, _SCORES)
    frame[list(_STANDARDISED)] = numbers(frame, _STANDARDISED).fillna(0.0)
    return tabular_dataset(
        INFO,
        files,
        frame,
        numeric=(*_SCORES, *_STANDARDISED),
        categorical=_CATEGORICAL,
        label=frame["pass_bar"],
        values=("0", "1"),
        classes=("fail", "pass"),
    )
