"""Checks that every data set's loader makes."""

from __future__ import annotations

from fairbound.empirical.data.dataset import DatasetInfo
from fairbound.empirical.errors import DataIntegrityError


def expect_rows(info: DatasetInfo, rows: int) -> None:
    """Refuse a table whose number of cleaned rows is not the documented one.

    Parameters
    ----------
    info : DatasetInfo
    rows : int
        Rows found.

    Raises
    ------
    DataIntegrityError
        If `rows` differs from ``info.rows``.
    """
    if rows != info.rows:
        raise DataIntegrityError(f"{info.name} has {rows} rows after cleaning, not the documented {info.rows}.")
