"""Reading tables: every tabular data set, and the labels of the others, come through here."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairbound.bounds.errors import FileFormatError, UnknownColumnError
from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.sources import Files
from fairbound.empirical.errors import DataIntegrityError

_GZIP = b"\x1f\x8b"


def read_table(
    content: bytes,
    *,
    columns: Sequence[str] = (),
    names: Sequence[str] = (),
    separator: str = ",",
    skip: int = 0,
    as_text: bool = True,
) -> pd.DataFrame:
    """Read delimited text, plain or compressed by gzip.

    Parameters
    ----------
    content : bytes
    columns : sequence of str
        Columns to keep, in this order; columns that are not named here are never parsed. Default: all.
    names : sequence of str
        Names of the columns of a file without a header.
    separator : str
    skip : int
        Lines to skip at the start.
    as_text : bool
        Keep every value as text, and an empty one as the empty text; else infer numbers.

    Returns
    -------
    pandas.DataFrame
        With a fresh index: row numbers of the file, from 0.

    Raises
    ------
    UnknownColumnError
        If a column is absent.
    FileFormatError
        If the content is no such table.
    """
    try:
        frame = pd.read_csv(
            io.BytesIO(content),
            sep=separator,
            header=None if names else 0,
            names=list(names) or None,
            usecols=(lambda column: column in columns) if columns else None,
            skiprows=skip,
            skipinitialspace=True,
            compression="gzip" if content[:2] == _GZIP else None,
            dtype=str if as_text else None,
            keep_default_na=not as_text,
        )
    except (ValueError, OSError, EOFError) as error:
        raise FileFormatError(f"This is no table of delimited text: {' '.join(str(error).split())[:120]}.") from error
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise UnknownColumnError(f"The table has no column {absent[0]!r}.")
    return frame[list(columns)] if columns else frame


def tabular_dataset(
    info: DatasetInfo,
    files: Files,
    frame: pd.DataFrame,
    *,
    numeric: Sequence[str],
    categorical: Sequence[str],
    label: pd.Series[Any],
    values: tuple[Any, Any],
    classes: tuple[str, str],
    groups: Mapping[str, NDArray[np.str_]] | None = None,
    attribute_columns: Mapping[str, tuple[str, ...]] | None = None,
    options: Mapping[str, str] | None = None,
) -> Dataset:
    """Make a data set of cleaned rows.

    Parameters
    ----------
    info : DatasetInfo
    files : Files
        What the rows were read from.
    frame : pandas.DataFrame, shape (n_rows, n_columns)
        Cleaned rows, indexed by their row numbers in the files.
    numeric, categorical : sequence of str
        Columns that become features; every other column is dropped.
    label : pandas.Series, shape (n_rows,)
    values : tuple
        The two values of `label`; the second is class 1.
    classes : tuple of str
        Names of the two classes.
    groups : mapping from str to ndarray of str, optional
        Group of each row, by attribute; default: the columns named like the attributes.
    attribute_columns : mapping from str to tuple of str, optional
        Default: the column named like the attribute.
    options : mapping from str to str, optional
        As in `Dataset`.

    Returns
    -------
    Dataset

    Raises
    ------
    DataIntegrityError
        If the pinned files yield another number of rows than documented.
    FileFormatError
        If a value is missing, or a code or a label is none of the documented ones.
    """
    expect_rows(info, files, len(frame))
    # Columns that are categorical already keep their declared categories.
    text = [column for column in categorical if frame[column].dtype != "category"]
    kinds = dict.fromkeys(numeric, "float64") | dict.fromkeys(text, "category")
    kept = [column for column in frame.columns if column in {*numeric, *categorical}]
    features = frame[kept].astype(kinds).reset_index(drop=True)
    for column in kept:
        if features[column].isna().any():
            raise FileFormatError(f"Column {column!r} misses a value, or holds one that is not documented.")
    if not label.isin(values).all():
        stranger = label[~label.isin(values)].iloc[0]
        raise FileFormatError(f"The label {stranger!r} is neither {values[0]!r} nor {values[1]!r}.")
    return Dataset(
        info=info.read_from(files.sha256),
        features=features,
        label=(label == values[1]).to_numpy(dtype=np.int64),
        attributes=groups or {name: _text(features[name]) for name in info.attributes},
        attribute_columns=attribute_columns or {name: (name,) for name in info.attributes},
        classes=classes,
        row_id=frame.index.to_numpy(dtype=np.int64),
        options=options or {},
    )


def _text(column: pd.Series[Any]) -> NDArray[np.str_]:
    """A categorical column as text, spelling each category once."""
    spelled: NDArray[np.str_] = column.cat.categories.to_numpy(dtype=np.str_)[column.cat.codes.to_numpy()]
    return spelled


def expect_rows(info: DatasetInfo, files: Files, rows: int) -> None:
    """Refuse a number of cleaned rows that is not the documented one.

    Parameters
    ----------
    info : DatasetInfo
    files : Files
        Files that are not the pinned ones may hold any number of rows, but not none.
    rows : int
        Rows found.

    Raises
    ------
    DataIntegrityError
        If `rows` differs from ``info.rows``, or is 0.
    """
    if rows == 0 or (files.pinned and rows != info.rows):
        raise DataIntegrityError(f"{info.name} has {rows} rows after cleaning, not the documented {info.rows}.")


def numbers(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of text as numbers.

    Parameters
    ----------
    frame : pandas.DataFrame
    columns : sequence of str

    Returns
    -------
    pandas.DataFrame
        float64; NaN where the text is empty.

    Raises
    ------
    FileFormatError
        If another text is no number.
    """
    try:
        return frame[list(columns)].replace("", np.nan).astype("float64")
    except ValueError as error:
        raise FileFormatError(f"A numeric column holds text: {error}.") from error
