"""From files and data frames to counts; nothing downstream ever sees a row."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import EmptyInputError, FairboundError, FileFormatError
from fairbound.tally import MAX_COMBINATIONS, Columns, Tally, no_scalars

PathLike = str | os.PathLike[str]


def count_file(
    path: PathLike,
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str | Sequence[str] = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
) -> Counts:
    """
    Count a prediction log, out of core (DuckDB), or read a count file.

    Parameters
    ----------
    path : path
        CSV (also compressed) with a header line, Parquet, or what `write_counts` wrote; taken literally.
    label, prediction : str
        Column names.
    group : str or sequence of str
        Column of the sensitive attribute. Several make intersectional groups, called by their values' texts in
        this order, joined by `` & `` ("F & White").
    groups, labels, outputs : sequence, optional
        Declared alphabets; default: what occurs, as in `Counts.from_arrays`.

    Returns
    -------
    Counts

    Raises
    ------
    FileFormatError
        If the file is absent or cannot be read as CSV, Parquet or a count file.
    UnknownColumnError
        If a column is not there.
    EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
        As for `Counts.from_arrays`.
    """
    columns = Columns.named(label=label, prediction=prediction, group=group)
    return _read([Path(path)], columns).counts(groups=groups, labels=labels, outputs=outputs)


def count_files(
    paths: PathLike | Iterable[PathLike],
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str | Sequence[str] = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Counts:
    """
    Count several files as one log: the result is that of the files' concatenation.

    Parameters
    ----------
    paths : path, or iterable of paths
        CSV, Parquet and count files in any mixture; a name that does not exist is a pattern (``logs/*.parquet``).
        A file with a header and no rows adds nothing.
    label, prediction, group, groups, labels, outputs
        As for `count_file`. Count files carry their own column names.
    progress : callable, optional
        Called with the number of files read and of all files.

    Returns
    -------
    Counts

    Raises
    ------
    FileFormatError
        Also if a pattern matches nothing, a file is named twice, or count files disagree on the columns.
    UnknownColumnError, EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
        As for `count_file`.
    """
    from fairbound.logs import log_files

    columns = Columns.named(label=label, prediction=prediction, group=group)
    return _read(log_files(paths), columns, progress).counts(groups=groups, labels=labels, outputs=outputs)


def count_frame(
    frame: Any,
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str | Sequence[str] = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
) -> Counts:
    """
    Count a data frame where it lives (pandas, polars, pyarrow, DuckDB, Dask, ibis, PySpark: what narwhals knows).

    Parameters
    ----------
    frame : data frame or lazy frame
        Of a lazy one, only the counts are collected.
    label, prediction, group, groups, labels, outputs
        As for `count_file`.

    Returns
    -------
    Counts

    Raises
    ------
    FileFormatError
        If `frame` is no data frame, or its back end fails to compute it.
    UnknownColumnError, EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
        As for `count_file`.
    """
    tally = _tally_frame(frame, Columns.named(label=label, prediction=prediction, group=group))
    return tally.counts(groups=groups, labels=labels, outputs=outputs)


def write_counts(
    path: PathLike,
    source: Any,
    *,
    label: str = "label",
    prediction: str = "prediction",
    group: str | Sequence[str] = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Counts:
    """
    Write the counts of a log, and nothing else of it, as a count file that `count_files` reads.

    Parameters
    ----------
    path : path
        Should end in ``.json``.
    source : path, iterable of paths, or data frame
        As for `count_files` or `count_frame`.
    label, prediction, group, progress
        As for `count_files`.
    groups, labels, outputs : sequence, optional
        Declared alphabets: other values are refused, and names that read like a missing value are accepted. They are
        not written; declare them again where the counts are certified.

    Returns
    -------
    Counts
        What was written, without the labels that are only predicted, and the outputs that are only labels.

    Raises
    ------
    FairboundError
        As for `count_files` and `count_frame`; FileFormatError also if `path` is a source or cannot be written.
    """
    from fairbound.count_format import write_count_file
    from fairbound.logs import log_files

    target = Path(path)
    columns = Columns.named(label=label, prediction=prediction, group=group)
    if isinstance(source, str | os.PathLike | list | tuple):
        files = log_files(source)
        refuse_overwriting(target, files)
        tally = _read(files, columns, progress)
    else:
        tally = _tally_frame(source, columns)
    counts = tally.part(groups=groups, labels=labels, outputs=outputs)
    write_count_file(target, tally)
    return counts


def refuse_overwriting(target: Path, sources: Iterable[Path]) -> None:
    """
    Check that a file to be written is not one of those that are read.

    Raises
    ------
    FileFormatError
    """
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise FileFormatError(f"{target} is what is read; write to another file.")


def _read(paths: Sequence[Path], columns: Columns, progress: Callable[[int, int], None] | None = None) -> Tally:
    """Count files of any kind into one tally."""
    from fairbound.count_format import is_count_file, read_count_file
    from fairbound.logs import LogReader, beginning

    tally: Tally | None = None
    named_by = ""
    with LogReader() as reader:
        for number, path in enumerate(paths):
            if is_count_file(path, beginning(path)):
                part = read_count_file(path)
            else:
                part = Tally(columns)
                reader.add(path, part, alone=len(paths) == 1)
            if tally is None:
                tally, named_by = part, path.name
            elif part.columns != tally.columns:
                raise FileFormatError(
                    f"{path.name} has {part.columns}, but {named_by} has {tally.columns}; name the columns of logs by "
                    "--label, --prediction and --group (label=, prediction=, group=), and count all shards from "
                    "columns of the same names."
                )
            else:
                tally.merge(part)
            if progress is not None:
                progress(number + 1, len(paths))
    return tally or Tally(columns)


def _tally_frame(frame: Any, columns: Columns) -> Tally:
    import narwhals as nw

    with warnings.catch_warnings():
        # About packaging, for those who install; nothing that a caller could do differently.
        warnings.filterwarnings("ignore", message="Dask support is moving out of Narwhals")
        try:
            table = nw.from_native(frame)
            schema = table.collect_schema()
        except TypeError:
            raise FileFormatError(
                f"{type(frame).__name__} is no data frame that narwhals knows; for arrays use Counts.from_arrays."
            ) from None
        except nw.exceptions.NarwhalsError as error:
            raise FileFormatError(f"the frame cannot be read: {' '.join(str(error).split())}") from None
        columns.require([str(name) for name in schema], "the frame")
        roles = columns.roles()
        for name, role in zip(columns.names, roles, strict=True):
            if schema[name].is_nested():
                raise no_scalars(role)
        keys = [f"column {axis}" for axis in range(len(roles))]
        wanted = table.select(**{key: nw.col(name) for key, name in zip(keys, columns.names, strict=True)})
        try:
            rows = _grouped(wanted, *keys)
        except Exception as error:
            raise _failed(wanted, keys, roles, error) from error
    if not rows:
        raise EmptyInputError("the frame has no rows.")
    tally = Tally(columns)
    tally.add_typed(rows)
    return tally


def _grouped(table: Any, *keys: str) -> list[tuple[Any, ...]]:
    """Values of some columns and how many rows have them; computed where the table lives."""
    import narwhals as nw

    counted = table.group_by(*keys).agg(nw.len().alias("rows"))
    if isinstance(counted, nw.LazyFrame):
        counted = counted.head(MAX_COMBINATIONS + 1).collect()
    return [tuple(row) for row in counted.rows()]


def _failed(wanted: Any, keys: Sequence[str], roles: Sequence[str], error: Exception) -> FairboundError:
    """What a back end's failure means; each raises errors of its own."""
    if isinstance(error, ImportError):
        return FileFormatError(f"the frame's back end lacks a package ({error}); pip install 'fairbound[backends]'.")
    if isinstance(error, TypeError):
        # Python objects that cannot be compared, such as lists: which column holds them?
        for key, role in zip(keys, roles, strict=True):
            try:
                _grouped(wanted, key)
            except TypeError:
                return no_scalars(role)
    return FileFormatError(f"the frame cannot be computed ({type(error).__name__}): {' '.join(str(error).split())}")


def _no_repeats(items: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in items]
    if len(set(names)) < len(names):
        raise ValueError(f"a name occurs twice in one object ({', '.join(names[:6])})")
    return dict(items)


def read_pair(path: PathLike, counts: Counts) -> CompositionPair:
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
    wanted = 'give a composition pair {"world_0": {group: {label: mass}}, "world_1": ...}'
    try:
        text = Path(path).read_text(encoding="utf-8")
        data = json.loads(text, parse_float=str, object_pairs_hook=_no_repeats)
    except FileNotFoundError:
        raise FileFormatError(f"no file {str(path)[:200]!r}; {wanted} as a JSON file.") from None
    except OSError as error:
        raise FileFormatError(f"cannot read {str(path)[:200]!r}: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{str(path)[:200]!r} is no JSON ({error}); {wanted}.") from None
    return CompositionPair.from_dict(data, counts.groups, counts.labels)
