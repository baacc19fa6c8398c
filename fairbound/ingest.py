"""From files and data frames to counts; nothing downstream ever sees a row."""

from __future__ import annotations

import csv
import difflib
import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fairbound.bounds.alphabet import Symbol, canonical, from_text
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import AlphabetError, EmptyInputError, FileFormatError, UnknownColumnError

_SAMPLE_ROWS = 20_000
_LONGEST_HEADER = 100_000
_MAX_SYMBOLS = 4096
_MAX_COMBINATIONS = 1_000_000


def count_file(
    path: str | os.PathLike[str],
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
) -> Counts:
    """
    Count a prediction log, out of core (DuckDB).

    Parameters
    ----------
    path : path
        CSV (also compressed) with a header line, or Parquet.
    label, prediction, group : str
        Column names.
    groups, labels, outputs : sequence, optional
        Declared alphabets; default: what occurs, as in `Counts.from_arrays`.

    Returns
    -------
    Counts

    Raises
    ------
    FileFormatError
        If the file is absent or cannot be read as CSV or Parquet.
    UnknownColumnError
        If a column is not there.
    EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
        As for `Counts.from_arrays`.
    """
    import duckdb

    # Absolute, so that DuckDB expands no tilde.
    source = Path(path).absolute()
    try:
        if not source.is_file():
            raise FileFormatError(f"no file {str(path)!r}; give a CSV or Parquet prediction log.")
        if source.stat().st_size == 0:
            raise EmptyInputError(f"{source.name} is empty (0 bytes).")
        with source.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        if source.suffix in (".parquet", ".pq") and not is_parquet:
            raise FileFormatError(f"{source.name} is not a Parquet file (it does not begin with PAR1).")
    except OSError as error:
        raise FileFormatError(f"cannot read {str(path)[:200]!r}: {error.strerror or error}.") from None
    wanted = _columns(label=label, prediction=prediction, group=group)
    reader = _parquet_reader() if is_parquet else _csv_reader(source, wanted)
    # A literal path: DuckDB would expand these characters as a pattern.
    location = "".join(f"[{c}]" if c in "*?[" else c for c in str(source))
    with tempfile.TemporaryDirectory(prefix="fairbound-") as spill, duckdb.connect(":memory:") as connection:
        connection.execute("SET temp_directory = ?", [spill])
        connection.execute("SET preserve_insertion_order = false")
        try:
            connection.execute(f"SELECT * FROM {reader} LIMIT 0", [location])
            _require_columns(wanted, [column[0] for column in connection.description or ()], source.name)
            if is_parquet:
                _refuse_repeated(connection, location, wanted, source.name)
            names = ", ".join('"' + name.replace('"', '""') + '"' for name in wanted)
            sample = f"SELECT * FROM (SELECT {names} FROM {reader} LIMIT {_SAMPLE_ROWS})"
            first_rows = connection.execute(sample, [location]).fetchall()
            for axis, name in enumerate(wanted):
                _plausible(_distinct(first_rows, axis, name), f"column {name!r}", is_text=not is_parquet)
            query = f"SELECT {names}, count(*) FROM {reader} GROUP BY ALL LIMIT {_MAX_COMBINATIONS + 1}"
            rows = connection.execute(query, [location]).fetchall()
        except duckdb.Error as error:
            kind = "Parquet" if is_parquet else "CSV"
            raise FileFormatError(f"{source.name} cannot be read as {kind}: {_one_line(str(error))}") from None
    if not rows:
        raise EmptyInputError(f"{source.name} has a header but no rows.")
    return _from_rows(rows, wanted, is_text=not is_parquet, declared=(groups, labels, outputs))


def count_frame(
    frame: Any,
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
) -> Counts:
    """
    Count a data frame where it lives (pandas, polars, pyarrow, DuckDB, and whatever else narwhals knows).

    Parameters
    ----------
    frame : data frame or lazy frame
    label, prediction, group : str
        Column names.
    groups, labels, outputs : sequence, optional
        Declared alphabets; default: what occurs, as in `Counts.from_arrays`.

    Returns
    -------
    Counts

    Raises
    ------
    FileFormatError
        If `frame` is no data frame.
    UnknownColumnError, EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
        As for `count_file`.
    """
    import narwhals as nw

    try:
        table = nw.from_native(frame)
    except TypeError:
        raise FileFormatError(
            f"{type(frame).__name__} is no data frame that narwhals knows; for arrays use Counts.from_arrays."
        ) from None
    except nw.exceptions.NarwhalsError as error:
        raise FileFormatError(f"the frame cannot be read: {' '.join(str(error).split())}") from None
    wanted = _columns(label=label, prediction=prediction, group=group)
    try:
        present = [str(name) for name in table.collect_schema().names()]
    except nw.exceptions.NarwhalsError as error:
        raise FileFormatError(f"the frame cannot be read: {' '.join(str(error).split())}") from None
    _require_columns(wanted, present, "the frame")
    keys = ["group", "label", "prediction"]
    columns = table.select(**{key: nw.col(name) for key, name in zip(keys, wanted, strict=True)})
    try:
        counted = columns.group_by(*keys).agg(nw.len().alias("rows"))
        if isinstance(counted, nw.LazyFrame):
            counted = counted.collect()
    except TypeError as error:
        raise AlphabetError(f"the frame's columns hold values that are no scalars ({error}).") from None
    rows = [tuple(row) for row in counted.rows()]
    if not rows:
        raise EmptyInputError("the frame has no rows.")
    return _from_rows(rows, wanted, is_text=False, declared=(groups, labels, outputs))


def _parquet_reader() -> str:
    """DuckDB's Parquet reader; a folder called ``name=value`` must not pass for a column."""
    return "read_parquet(?, hive_partitioning = false)"


def _refuse_repeated(connection: Any, location: str, wanted: Sequence[str], where: str) -> None:
    """Refuse a Parquet file in which a wanted column occurs twice: DuckDB would take the first."""
    names = [name for (name,) in connection.execute("SELECT name FROM parquet_schema(?)", [location]).fetchall()]
    for name in wanted:
        if names.count(name) > 1:
            raise FileFormatError(f"{where} has {names.count(name)} columns called {name!r}; keep one.")


def _csv_reader(source: Path, wanted: Sequence[str]) -> str:
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
    splits = {delimiter: next(csv.reader([header], delimiter=delimiter), []) for delimiter in ",;\t|"}
    delimiter, names = max(splits.items(), key=lambda item: (set(wanted) <= set(item[1]), len(item[1])))
    _require_columns(wanted, names, source.name)
    for name in wanted:
        if names.count(name) > 1:
            raise FileFormatError(f"{source.name} has {names.count(name)} columns called {name!r}; keep one.")
    # Positions make unused columns' names unique whatever the header calls them.
    columns = ", ".join(
        f"{_quoted(name if name in wanted else f'{position}: {name}')}: 'VARCHAR'"
        for position, name in enumerate(names)
    )
    return (
        f"read_csv(?, auto_detect = false, header = true, delim = {_quoted(delimiter)}, quote = '\"', escape = '\"', "
        f"comment = '', strict_mode = true, hive_partitioning = false, columns = {{{columns}}})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _one_line(error: str) -> str:
    """What and why of a DuckDB error, without its advice on options that do not exist here."""
    lines = [line.strip() for line in error.strip().splitlines()]
    why = [line for line in lines[1:] if line.startswith(("Expected", "Value with", "Invalid unicode", "Maximum"))]
    return "; ".join([lines[0], *why[:1]])


def _columns(*, label: str, prediction: str, group: str) -> tuple[str, str, str]:
    if len({label, prediction, group}) < 3:
        raise UnknownColumnError(
            f"label ({label!r}), prediction ({prediction!r}) and group ({group!r}) must be three different columns."
        )
    return group, label, prediction


def _require_columns(wanted: Iterable[str], present: Sequence[str], where: str) -> None:
    options = ("--group", "--label", "--prediction")
    for name, option in zip(wanted, options, strict=True):
        if name not in present:
            close = difflib.get_close_matches(name, present, n=1, cutoff=0.5)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            shown = ", ".join(repr(column) for column in present[:12]) + (", ..." if len(present) > 12 else "")
            raise UnknownColumnError(
                f"{where} has no column {name!r}{hint}; its columns are {shown}. Name it by {option}."
            )


def _distinct(rows: Sequence[tuple[Any, ...]], axis: int, name: str) -> set[Any]:
    try:
        return {row[axis] for row in rows}
    except TypeError:
        raise AlphabetError(f"column {name!r} holds lists or structures; give one integer or text per row.") from None


def _plausible(values: set[Any], role: str, *, is_text: bool) -> None:
    """Refuse scores and identifiers before a whole file is grouped by them."""
    if is_text and None not in values:
        from_text(values, role)
    else:
        for value in values:
            canonical(value, role)
    if len(values) > _MAX_SYMBOLS:
        raise AlphabetError(f"{role} takes more than {_MAX_SYMBOLS} different values; is it really a category?")


def _from_rows(
    rows: Sequence[tuple[Any, ...]],
    names: tuple[str, str, str],
    *,
    is_text: bool,
    declared: tuple[Sequence[Any] | None, Sequence[Any] | None, Sequence[Any] | None],
) -> Counts:
    if len(rows) > _MAX_COMBINATIONS:
        raise AlphabetError(f"more than {_MAX_COMBINATIONS} combinations of group, label and prediction occur.")
    roles = tuple(f"column {name!r}" for name in names)
    maps: list[dict[Any, Symbol]] = []
    for axis, role in enumerate(roles):
        values = _distinct(rows, axis, names[axis])
        if is_text and None not in values:
            maps.append(from_text(values, role, truth_values=axis > 0))
        else:
            maps.append({value: canonical(value, role) for value in values})
    if is_text and len({type(symbol) for mapping in maps[1:] for symbol in mapping.values()}) > 1:
        # One of label and prediction reads as numbers, the other does not: both are text.
        maps[1:] = [{value: value.strip() for value in mapping} for mapping in maps[1:]]
    cells: dict[tuple[Symbol, Symbol, Symbol], int] = {}
    for *triple, n in rows:
        a, y, z = (mapping[value] for mapping, value in zip(maps, triple, strict=True))
        cells[a, y, z] = cells.get((a, y, z), 0) + int(n)
    groups, labels, outputs = (
        None if alphabet is None else _like(alphabet, maps[min(axis, 1)].values())
        for axis, alphabet in enumerate(declared)
    )
    return Counts.from_cells(cells, groups=groups, labels=labels, outputs=outputs, roles=(roles[0], roles[1], roles[2]))


def _like(alphabet: Sequence[Any], found: Iterable[Symbol]) -> list[Any]:
    """A declared alphabet as text where the column is text (declared 0 and 1 fit a column of "0", "1", "unsure")."""
    as_text = any(isinstance(symbol, str) for symbol in found)
    return [str(symbol) if as_text else symbol for symbol in alphabet]


def _no_repeats(items: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in items]
    if len(set(names)) < len(names):
        raise ValueError(f"a name occurs twice in one object ({', '.join(names[:6])})")
    return dict(items)


def read_pair(path: str | os.PathLike[str], counts: Counts) -> CompositionPair:
    """
    Read a composition pair from JSON, laid out on a log's groups and labels.

    Parameters
    ----------
    path : path
        JSON as `CompositionPair.from_dict` reads it; decimals are taken exactly as written.
    counts : Counts

    Raises
    ------
    FileFormatError
        If the file cannot be read or is no JSON.
    CompositionError
        If it is no composition pair over the log's groups and labels.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        data = json.loads(text, parse_float=str, object_pairs_hook=_no_repeats)
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"cannot read the composition pair {str(path)!r}: {error}") from None
    return CompositionPair.from_dict(data, counts.groups, counts.labels)
