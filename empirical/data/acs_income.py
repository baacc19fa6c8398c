"""Income from the American Community Survey (Ding, Hardt, Miller and Schmidt, 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairbound.bounds.errors import UnknownColumnError
from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.sources import Source
from fairbound.empirical.data.tables import read_table, tabular_dataset
from fairbound.empirical.errors import DatasetOptionError

_FEATURES = ("AGEP", "COW", "SCHL", "MAR", "OCCP", "POBP", "RELP", "WKHP", "SEX", "RAC1P")
_WEIGHT = "PWGTP"
_SEX = ("Male", "Female")
_MARITAL = ("married", "not married")
_RACE = ("White", "Black", "Asian", "Native", "Other")
#: Five-way race from the nine codes of the survey.
_RACE_CODES = np.array([0, 1, 2, 4, 4, 4, 3, 5, 5, 5])
#: First code of each major occupation group of the 2018 code list, with the prefix that the list gives the group.
_OCCUPATIONS = {
    "MGR": 0,
    "BUS": 500,
    "FIN": 800,
    "CMM": 1000,
    "ENG": 1300,
    "SCI": 1600,
    "CMS": 2000,
    "LGL": 2100,
    "EDU": 2200,
    "ENT": 2600,
    "MED": 3000,
    "HLS": 3600,
    "PRT": 3700,
    "EAT": 4000,
    "CLN": 4200,
    "PRS": 4300,
    "SAL": 4700,
    "OFF": 5000,
    "FFF": 6000,
    "CON": 6200,
    "EXT": 6800,
    "RPR": 7000,
    "PRD": 7700,
    "TRN": 9000,
    "MIL": 9800,
}
#: First code of each region of birth.
_BIRTHPLACES = {
    "US state": 0,
    "US territory": 60,
    "Europe": 100,
    "Asia": 200,
    "Americas": 300,
    "Africa": 400,
    "Oceania": 500,
}
_THRESHOLD_DOLLARS = 50_000

SOURCE = Source(
    "acs_income",
    {"acsincome_2018_35states.csv.gz": "e5e61fc3c393f78fadb8276730682205954adef1db6b9f6eaca8ae787fbe1a26"},
    "the US Census Bureau (ACS 2018 1-year PUMS person files, which folktables downloads)",
)

INFO = DatasetInfo(
    name="acs_income",
    task="Predict whether a working person's yearly income is over 50,000 US dollars (label 1) from survey answers.",
    rows=898_610,
    attributes=("sex", "race", "marital"),
    licence="public data of the US Census Bureau, to which the GPL-3.0 repository that redistributes it adds no terms",
    source="ACS 2018 1-year PUMS with the ACSIncome filter, 35 states, as FeDa4Fair prepared them",
    known_faults=(
        "35 of the 50 states: California, Florida, New York and Texas are among those left out, so shares are not "
        "those of the United States.",
        "Rows are respondents; survey weights are not used.",
        "The filter keeps people over 16 who worked and earned at least 100 dollars: those without work are absent.",
        "The income is given only as above or below 50,000 dollars, marital status only as married or not, and race "
        "in five classes (Native: American Indian or Alaska Native; Other: Pacific Islander, other, two or more).",
        "`relationship` (code 1: husband or wife) nearly states the marital status; `birthplace` and `occupation` "
        "are informative of race and sex.",
        "22,676 rows are equal to another row in every column.",
    ),
    sha256=SOURCE.sha256,
    citation="F. Ding, M. Hardt, J. Miller and L. Schmidt, Retiring Adult: New Datasets for Fair Machine Learning, "
    "NeurIPS 2021, arXiv:2108.04884.",
    options={
        "states": "postal codes of the states to keep, e.g. CT+SC+AL+RI+NC; default: all 35",
        "detail": "grouped: 25 major occupation groups and 7 regions of birth (default); codes: the survey's codes "
        "of occupation and place of birth, as folktables has them",
    },
)


def load(path: Path | None = None, *, states: str | Sequence[str] | None = None, detail: str = "grouped") -> Dataset:
    """Load ACS Income: 898,610 rows of 35 states.

    Schooling is a number (the survey's code, which rises with the grade), age and weekly hours too; everything else
    is categorical.

    Parameters
    ----------
    path : pathlib.Path, optional
        The table, its folder, or a PUMS person file as the Census Bureau publishes it (CSV, also gzip), to which
        the ACSIncome filter, the threshold and the coarser classes are then applied.
    states : str or sequence of str, optional
        Postal codes, joined with "+" if one text.
    detail : {"grouped", "codes"}
        Grain of occupation and place of birth.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetOptionError
        If a state is not in the file, or `detail` is another word.
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.sources.Source.read`.
    """
    if detail not in ("grouped", "codes"):
        raise DatasetOptionError(f"acs_income has no detail={detail!r}; choose grouped or codes.")
    files = SOURCE.read(path)
    table = read_table(files.only, as_text=False)
    absent = [column for column in (*_FEATURES, "PINCP") if column not in table.columns]
    if absent:
        raise UnknownColumnError(f"The table has no column {absent[0]!r}, which ACS Income consists of.")
    if _WEIGHT in table.columns:
        table = _filtered(table)
    frame = _described(table, detail)
    data = tabular_dataset(
        INFO,
        files,
        frame,
        numeric=("age", "schooling", "hours"),
        categorical=("workclass", "marital", "occupation", "birthplace", "relationship", "sex", "race"),
        label=frame["income"],
        values=(0, 1),
        classes=("<=50K", ">50K"),
        attribute_columns={"sex": ("sex",), "race": ("race",), "marital": ("marital", "relationship")},
        options={} if detail == "grouped" else {"detail": detail},
    )
    if states is None:
        return data
    wanted = sorted({*(states.split("+") if isinstance(states, str) else states)})
    present = sorted(set(table["STATE"])) if "STATE" in table.columns else []
    strangers = [state for state in wanted if state not in present]
    if strangers or not wanted:
        raise DatasetOptionError(
            f"acs_income has no state {', '.join(strangers) or '(none given)'}; "
            f"this file has: {', '.join(present) or 'no column STATE'}."
        )
    return data.select(np.flatnonzero(table["STATE"].isin(wanted)), {"states": "+".join(wanted)})


def _filtered(table: pd.DataFrame) -> pd.DataFrame:
    """Apply the ACSIncome filter of folktables, and the classes of the prepared table, to a PUMS person file."""
    worked = (table["AGEP"] > 16) & (table["PINCP"] > 100) & (table["WKHP"] > 0) & (table[_WEIGHT] >= 1)
    kept = table.loc[worked, [c for c in ("STATE", *_FEATURES, "PINCP") if c in table.columns]].dropna().copy()
    kept["PINCP"] = (kept["PINCP"] > _THRESHOLD_DOLLARS).astype("int64")
    kept["MAR"] = np.where(kept["MAR"] == 1, 1, 2)
    kept["RAC1P"] = _RACE_CODES[kept["RAC1P"].clip(0, 9).to_numpy(dtype=np.int64)]
    return kept


def _described(table: pd.DataFrame, detail: str) -> pd.DataFrame:
    """Columns with readable names; categories are those of the whole file."""
    columns: dict[str, NDArray[np.float64] | pd.Categorical] = {
        "age": table["AGEP"].to_numpy(dtype=np.float64),
        "schooling": table["SCHL"].to_numpy(dtype=np.float64),
        "hours": table["WKHP"].to_numpy(dtype=np.float64),
        "workclass": _codes(table["COW"]),
        "marital": _named(table["MAR"], _MARITAL),
        "relationship": _codes(table["RELP"]),
        "sex": _named(table["SEX"], _SEX),
        "race": _named(table["RAC1P"], _RACE),
    }
    for name, column, starts in (("occupation", "OCCP", _OCCUPATIONS), ("birthplace", "POBP", _BIRTHPLACES)):
        columns[name] = _codes(table[column]) if detail == "codes" else _ranges(table[column], starts)
    return pd.DataFrame(columns, index=table.index).assign(income=table["PINCP"])


def _named(column: pd.Series[int], names: tuple[str, ...]) -> pd.Categorical:
    """Codes from 1 upwards as names; any other code is missing."""
    return pd.Categorical.from_codes(
        np.where(column.between(1, len(names)), column - 1, -1).astype(np.int64), categories=list(names)
    )


def _codes(column: pd.Series[int]) -> pd.Categorical:
    """Numeric codes as categories."""
    values, codes = np.unique(column.to_numpy(dtype=np.int64), return_inverse=True)
    return pd.Categorical.from_codes(codes, categories=[str(value) for value in values])


def _ranges(column: pd.Series[int], starts: dict[str, int]) -> pd.Categorical:
    """Numeric codes by the range that they lie in."""
    codes = np.searchsorted(list(starts.values()), column.to_numpy(), side="right") - 1
    return pd.Categorical.from_codes(codes, categories=list(starts))
