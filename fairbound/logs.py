"""Prediction logs as files: finding them, and grouping their rows out of core (DuckDB)."""

from __future__ import annotations

import csv
import glob
import gzip
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from fairbound.bounds.alphabet import canonical, from_text
from fairbound.bounds.errors import EmptyInputError, FileFormatError
from fairbound.tally import MAX_COMBINATIONS, MAX_SYMBOLS, Columns, Tally, distinct, too_many

_SAMPLE_ROWS = 20_000
_LONGEST_HEADER = 100_000


def log_files(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """
    Files that some paths and patterns name.

    Parameters
    ----------
    paths : path, or iterable of paths
        A name that does not exist is taken as a pattern (``*``, ``?``, ``[...]``, and ``**`` for folders in folders).

    Returns
    -------
    list of pathlib.Path
        Sorted.

    Raises
    ------
    FileFormatError
        If nothing is named, a pattern matches nothing, or one file is named twice.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise FileFormatError("no file is given; give CSV, Parquet or count files.")
    found: dict[str, str] = {}
    for name in [os.fspath(path) for path in given]:
        matches = [name]
        if glob.has_magic(name) and not os.path.lexists(name):
            matches = glob.glob(name, recursive=True)
            if not matches:
                raise FileFormatError(f"no file matches the pattern {name!r}.")
        for match in matches:
            real = os.path.realpath(match)
            if real in found:
                also = "" if found[real] == match else f" (also as {found[real]!r})"
                raise FileFormatError(f"{match!r} is given twice{also}: its rows would count twice; name it once.")
            found[real] = match
    return sorted(map(Path, found.values()))


class LogReader:
    """Groups the rows of CSV and Parquet files; a context manager that holds one connection."""

    def __init__(self) -> None:
        self._spill: tempfile.TemporaryDirectory[str] | None = None
        self._connection: Any = None

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._spill is not None:
            self._spill.cleanup()

    def add(self, path: Path, tally: Tally, *, alone: bool = True) -> None:
        """
        Count a file into a tally.

        Parameters
        ----------
        path : pathlib.Path
            CSV (also compressed) with a header line, or Parquet.
        tally : Tally
            Its columns are read.
        alone : bool
            Whether it is the only file: then it must have rows, and values need no mention of it.

        Raises
        ------
        FileFormatError, UnknownColumnError, EmptyInputError, MissingValueError, ScoresError, AlphabetError
        """
        if self._connection is None:
            self._spill = tempfile.TemporaryDirectory(prefix="fairbound-")
            self._connection = connect(self._spill.name)
        source = path.absolute()
        is_parquet = beginning(path).startswith(b"PAR1")
        where = "" if alone else source.name
        names = ", ".join(map(identifier, tally.columns.names))
        with reading(source.name, is_parquet=is_parquet):
            reader, location = log_reader(self._connection, source, tally.columns, is_parquet=is_parquet)
            sample = f"SELECT * FROM (SELECT {names} FROM {reader} LIMIT {_SAMPLE_ROWS})"
            first_rows = self._connection.execute(sample, [location]).fetchall()
            for axis, role in enumerate(tally.columns.roles(where)):
                _plausible(distinct(first_rows, axis, role), role, is_text=not is_parquet)
            query = f"SELECT {names}, count(*) FROM {reader} GROUP BY ALL LIMIT {MAX_COMBINATIONS + 1}"
            rows = self._connection.execute(query, [location]).fetchall()
        if not rows and alone:
            raise no_rows(source.name)
        (tally.add_typed if is_parquet else tally.add_text)(rows, where)


def connect(spill: str) -> Any:
    """
    Open a DuckDB database in memory, for queries that may spill to a folder.

    Parameters
    ----------
    spill : str
        The folder.

    Returns
    -------
    duckdb.DuckDBPyConnection
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET temp_directory = ?", [spill])
    connection.execute("SET preserve_insertion_order = false")
    return connection


@contextmanager
def reading(where: str, *, is_parquet: bool) -> Iterator[None]:
    """
    Say in one line why DuckDB cannot read a file.

    Parameters
    ----------
    where : str
        The file in words.
    is_parquet : bool

    Raises
    ------
    FileFormatError
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        kind = "Parquet" if is_parquet else "CSV"
        raise FileFormatError(f"{where} cannot be read as {kind}: {_one_line(str(error))}") from None


def no_rows(where: str) -> EmptyInputError:
    """The error for files without rows."""
    return EmptyInputError(f"{where} has a header but no rows.")


def identifier(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def log_reader(connection: Any, source: Path, columns: Columns, *, is_parquet: bool) -> tuple[str, str]:
    """
    DuckDB's reader of one file, and its parameter, after checking that each wanted column is there once.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    source : pathlib.Path
        Absolute, so that DuckDB expands no tilde.
    columns : Columns
    is_parquet : bool

    Returns
    -------
    reader, location : str
        A table function with one parameter, and the path with what DuckDB would take as a pattern escaped.

    Raises
    ------
    FileFormatError, UnknownColumnError
    """
    if source.suffix in (".parquet", ".pq") and not is_parquet:
        raise FileFormatError(f"{source.name} is not a Parquet file (it does not begin with PAR1).")
    location = "".join(f"[{c}]" if c in "*?[" else c for c in str(source))
    # A folder called name=value must not pass for a column.
    reader = "read_parquet(?, hive_partitioning = false)" if is_parquet else _csv_reader(source, columns)
    found = connection.execute(f"SELECT * FROM {reader} LIMIT 0", [location]).description or ()
    columns.require([column[0] for column in found], source.name)
    if is_parquet:
        # DuckDB would take the first of two columns of one name.
        schema = connection.execute("SELECT name FROM parquet_schema(?)", [location]).fetchall()
        _refuse_repeated([name for (name,) in schema], columns.names, source.name)
    return reader, location


def beginning(path: Path) -> bytes:
    """
    First bytes of a file, by which its kind is told.

    Raises
    ------
    FileFormatError
        If there is no such file, or it cannot be read.
    EmptyInputError
        If it has no bytes.
    """
    try:
        if not path.is_file():
            hint = "; it is a folder, name the files in it" if path.is_dir() else ""
            raise FileFormatError(f"no file {str(path)!r}{hint}; give a CSV or Parquet prediction log or a count file.")
        with path.open("rb") as file:
            first = file.read(4096)
    except OSError as error:
        raise FileFormatError(f"cannot read {str(path)[:200]!r}: {error.strerror or error}.") from None
    if not first:
        raise EmptyInputError(f"{path.name} is empty (0 bytes).")
    return first


def _refuse_repeated(present: list[str], wanted: Iterable[str], where: str) -> None:
    for name in wanted:
        if present.count(name) > 1:
            raise FileFormatError(f"{where} has {present.count(name)} columns called {name!r}; keep one.")


def read_header(header: str, columns: Columns, where: str) -> tuple[str, list[str]]:
    """
    Split a CSV header line at the delimiter that shows the wanted columns, or else the most columns.

    Parameters
    ----------
    header : str
    columns : Columns
    where : str
        The file in words.

    Returns
    -------
    delimiter : str
        Comma, semicolon, tab or bar.
    names : list of str
        All columns, in their order.

    Raises
    ------
    FileFormatError
        If a wanted column is there more than once.
    UnknownColumnError
        If it is not there.
    """
    wanted = set(columns.names)
    splits = {delimiter: next(csv.reader([header], delimiter=delimiter), []) for delimiter in ",;\t|"}
    delimiter, names = max(splits.items(), key=lambda item: (wanted <= set(item[1]), len(item[1])))
    columns.require(names, where)
    _refuse_repeated(names, columns.names, where)
    return delimiter, names


def _csv_reader(source: Path, columns: Columns) -> str:
    """
    DuckDB's CSV reader with everything stated: its sniffing may drop or merge lines that do not fit.

    Raises
    ------
    FileFormatError
        If the header line cannot be read or repeats a wanted column.
    UnknownColumnError
        If a wanted column is not in the header.
    """
    opener = gzip.open if source.suffix == ".gz" else open
    try:
        with opener(source, "rb") as file:
            header = file.readline(_LONGEST_HEADER).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileFormatError(f"{source.name} is no UTF-8 text; save it as UTF-8 (gzip-compressed: .csv.gz).") from None
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"{source.name} cannot be read: {error}.") from None
    if len(header) >= _LONGEST_HEADER or "\r" in header.rstrip("\r\n"):
        raise FileFormatError(f"{source.name} is no CSV: its first line does not end, or ends in a lone CR.")
    delimiter, names = read_header(header, columns, source.name)
    # Positions make unused columns' names unique whatever the header calls them.
    typed = ", ".join(
        f"{_quoted(name if name in columns.names else f'{position}: {name}')}: 'VARCHAR'"
        for position, name in enumerate(names)
    )
    return (
        f"read_csv(?, auto_detect = false, header = true, delim = {_quoted(delimiter)}, quote = '\"', escape = '\"', "
        f"comment = '', strict_mode = true, hive_partitioning = false, columns = {{{typed}}})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _one_line(error: str) -> str:
    """What and why of a DuckDB error, without its advice on options that do not exist here."""
    lines = [line.strip() for line in error.strip().splitlines()]
    why = [line for line in lines[1:] if line.startswith(("Expected", "Value with", "Invalid unicode", "Maximum"))]
    return "; ".join([lines[0], *why[:1]])


def _plausible(values: set[Any], role: str, *, is_text: bool) -> None:
    """Refuse scores and identifiers before a whole file is grouped by them."""
    if not is_text:
        for value in values:
            canonical(value, role)
    if len(values) > MAX_SYMBOLS:
        if is_text and None not in values:
            from_text(values, role)
        raise too_many(role)
