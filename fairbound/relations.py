"""Log files as relations of one DuckDB connection, for queries other than counting hard predictions."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fairbound.bounds.alphabet import Symbol, canonical, from_text, intersections, missing_value
from fairbound.bounds.errors import FileFormatError
from fairbound.logs import beginning, connect, identifier, log_files, log_reader, reading
from fairbound.tally import MAX_SYMBOLS, Columns, distinct, too_many

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class Relation:
    """
    The wanted columns of some files of one kind, as a query.

    Attributes
    ----------
    sql : str
        Subquery whose columns are called c0, c1, ... in the order of `Columns.names`.
    locations : list of str
        Its parameters.
    is_text : bool
        Whether all columns are untyped (CSV).
    where : str
        The files in words.
    """

    def __init__(self, connection: Any, columns: Columns, paths: Paths) -> None:
        self._connection, self.columns = connection, columns
        files = log_files(paths)
        kinds = {}
        for path in files:
            first = beginning(path)
            if first.lstrip().startswith(b"{"):
                raise FileFormatError(
                    f"{path.name} is a count file, of one model's hard predictions; give the log itself."
                )
            kinds[path] = first.startswith(b"PAR1")
        if len(set(kinds.values())) > 1:
            raise FileFormatError("CSV and Parquet files together; give files of one kind.")
        self.is_text = not kinds[files[0]]
        self.where = files[0].name if len(files) == 1 else f"{len(files)} files"
        parts, self.locations = [], []
        for path in files:
            with reading(self.where, is_parquet=not self.is_text):
                reader, location = log_reader(connection, path.absolute(), columns, is_parquet=not self.is_text)
            names = ", ".join(f"{identifier(name)} AS c{i}" for i, name in enumerate(columns.names))
            parts.append(f"SELECT {names} FROM {reader}")
            self.locations.append(location)
        self.sql = "(" + " UNION ALL ".join(parts) + ")"

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """
        Run a query in which ``{log}`` stands for the relation, once.

        Raises
        ------
        FileFormatError
            If a file cannot be read to its end.
        """
        with reading(self.where, is_parquet=not self.is_text):
            given = [*parameters, *(self.locations if "{log}" in query else ())]
            return self._connection.execute(query.replace("{log}", self.sql), given)

    def symbols(
        self, rows: Sequence[tuple[Any, ...]], axes: Sequence[int]
    ) -> dict[tuple[Any, ...], tuple[Symbol, ...]]:
        """
        Read categories: from the values of some columns to group (intersections named by their parts) and the rest.

        Parameters
        ----------
        rows : sequence of tuple
            Values of the columns `axes`, which begin with all sensitive attributes and the label.
        axes : sequence of int
            Positions in `Columns.names`.

        Raises
        ------
        MissingValueError, ScoresError, MixedTypesError, AlphabetError
        """
        roles = [self.columns.roles()[axis] for axis in axes]
        n_groups = len(self.columns.groups)
        maps: list[dict[Any, Symbol]] = []
        for position, role in enumerate(roles):
            values = distinct(rows, position, role)
            if len(values) > MAX_SYMBOLS:
                raise too_many(role)
            if self.is_text:
                if None in values:
                    raise missing_value(role)
                maps.append(from_text(values, role, truth_values=position >= n_groups))
            else:
                maps.append({value: canonical(value, role) for value in values})
        shown = maps[n_groups:]
        if self.is_text and len({type(symbol) for mapping in shown for symbol in mapping.values()}) > 1:
            # One of label and predictions reads as numbers, another does not: all are text.
            maps[n_groups:] = [{value: value.strip() for value in mapping} for mapping in shown]
        read = {row: tuple(mapping[v] for mapping, v in zip(maps, row, strict=True)) for row in rows}
        if n_groups == 1:
            return read
        named = intersections({key[:n_groups]: None for key in read.values()}, roles[:n_groups])
        return {row: (named[key[:n_groups]], *key[n_groups:]) for row, key in read.items()}


@contextmanager
def relation(columns: Columns, paths: Paths) -> Iterator[Relation]:
    """
    Open files for queries that may spill to disk.

    Parameters
    ----------
    columns : Columns
    paths : path, or iterable of paths and patterns

    Raises
    ------
    FileFormatError, UnknownColumnError, EmptyInputError
    """
    with tempfile.TemporaryDirectory(prefix="fairbound-") as spill, connect(spill) as connection:
        yield Relation(connection, columns, paths)
