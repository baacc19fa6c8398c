"""(prompt, response) pairs and questions, read from files and compared by their words."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from fairbound.bounds.errors import EmptyInputError, FileFormatError, MissingValueError, UnknownColumnError
from fairbound.empirical.errors import DatasetOptionError, DataUnavailableError

#: Names under which a column is recognised, in this order, if none is given.
PROMPT_COLUMNS = ("prompt", "instruction", "question", "questions", "query")


RESPONSE_COLUMNS = ("response", "output", "answer", "completion")


#: A file with more rows, or a text with more characters, is refused: importances read every text as one batch.
MAX_ROWS = 200_000


MAX_CHARACTERS = 50_000


# Nothing is left to DuckDB's sniffing, which drops lines that look like comments or notes above a header.
_CSV = (
    "read_csv(?, all_varchar = true, header = true, skip = 0, comment = '', quote = '\"', escape = '\"', delim = '{}')"
)


_LINES = "read_json(?, format = 'newline_delimited')"


_PARQUET = "read_parquet(?, hive_partitioning = false)"


_READERS = {
    ".csv": _CSV.format(","),
    ".tsv": _CSV.format("\t"),
    ".jsonl": _LINES,
    ".ndjson": _LINES,
    ".json": "read_json(?)",
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
}


class Pair(NamedTuple):
    """A prompt and a response to it.

    Attributes
    ----------
    prompt, response : str
    """

    prompt: str
    response: str

    @property
    def words(self) -> tuple[str, str]:
        """Both texts as `normalised` leaves them: pairs of equal words are one pair."""
        return normalised(self.prompt), normalised(self.response)


def normalised(text: str) -> str:
    """A text without what does not change its meaning: case, width of characters, punctuation, spacing.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Words separated by single spaces; a text without any word is only stripped.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", plain)) or plain.strip()


def distinct_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs without repetitions.

    Parameters
    ----------
    pairs : iterable of Pair

    Returns
    -------
    list of Pair
        The first of each, compared by `normalised` text.
    """
    first: dict[tuple[str, ...], Pair] = {}
    for pair in pairs:
        first.setdefault(pair.words, pair)
    return list(first.values())


def read_pairs(
    path: str | os.PathLike[str], *, prompt: str | None = None, response: str | None = None, split: str | None = None
) -> list[Pair]:
    """Read (prompt, response) pairs.

    Parameters
    ----------
    path : path
        CSV (.csv, .tsv, also .gz), JSON lines (.jsonl, .ndjson, .json), Parquet (.parquet, .pq), or a folder that
        ``datasets.Dataset.save_to_disk`` wrote.
    prompt, response : str, optional
        Columns; default: the first of `PROMPT_COLUMNS` and of `RESPONSE_COLUMNS` that is there.
    split : str, optional
        Of a folder that holds several.

    Returns
    -------
    list of Pair
        In the order of the file.

    Raises
    ------
    DataUnavailableError
        If there is no such file, or the library that reads it is not installed.
    FileFormatError
        If it cannot be read, a value is no text, or rows or texts exceed `MAX_ROWS` or `MAX_CHARACTERS`.
    UnknownColumnError
        If a column is not there or none is recognised.
    MissingValueError
        If a text is absent or blank.
    EmptyInputError
        If there are no rows.
    DatasetOptionError
        If a folder has no such split, or several and none is named.
    """
    roles = {"prompt": (prompt, PROMPT_COLUMNS), "response": (response, RESPONSE_COLUMNS)}
    columns = _read_columns(Path(path).expanduser(), roles, split)
    return [Pair(*texts) for texts in zip(*columns, strict=True)]


def read_questions(
    path: str | os.PathLike[str], *, column: str | None = None, split: str | None = None
) -> tuple[str, ...]:
    """Read questions.

    Parameters
    ----------
    path, split
        As in `read_pairs`.
    column : str, optional
        Default: the first of `PROMPT_COLUMNS` that is there.

    Returns
    -------
    tuple of str
        In the order of the file.

    Raises
    ------
    DataUnavailableError, FileFormatError, UnknownColumnError, MissingValueError, EmptyInputError, DatasetOptionError
        As in `read_pairs`.
    """
    return tuple(_read_columns(Path(path).expanduser(), {"question": (column, PROMPT_COLUMNS)}, split)[0])


def _read_columns(
    path: Path, roles: dict[str, tuple[str | None, tuple[str, ...]]], split: str | None
) -> list[list[str]]:
    """The wanted columns of a file, checked."""
    if path.is_dir():
        names, fetch = _open_folder(path, split)
    elif split is not None:
        raise DatasetOptionError(f"{path.name} is one file and has no split {split!r}.")
    else:
        names, fetch = _open_file(path)
    chosen = []
    for role, (given, known) in roles.items():
        wanted = (given,) if given is not None else known
        column = next((name for name in wanted if name in names), None)
        if column is None:
            remedy = f"it has {', '.join(names[:20])}" + ("" if given is not None else f"; name the {role} column")
            sought = repr(given) if given is not None else f"for the {role} ({', '.join(known)})"
            raise UnknownColumnError(f"{path.name} has no column {sought}; {remedy}.")
        chosen.append(column)
    columns = fetch(chosen)
    for column, texts in zip(chosen, columns, strict=True):
        _check(texts, column, path.name)
    return columns


def _check(texts: Sequence[Any], column: str, where: str) -> None:
    if not texts:
        raise EmptyInputError(f"{where} has no rows.")
    if len(texts) > MAX_ROWS:
        raise FileFormatError(f"{where} has more than {MAX_ROWS:,} rows; give a sample of them.")
    for row, text in enumerate(texts, start=1):
        if text is None or (isinstance(text, str) and not text.strip()):
            raise MissingValueError(
                f"{where} has no text in row {row} of column {column!r}; fill it in or drop the row."
            )
        if not isinstance(text, str):
            raise FileFormatError(f"{where} has {type(text).__name__} in row {row} of column {column!r}, not text.")
        if len(text) > MAX_CHARACTERS:
            raise FileFormatError(
                f"{where} has {len(text):,} characters in row {row} of column {column!r}, more than {MAX_CHARACTERS:,}."
            )


def _open_file(path: Path) -> tuple[list[str], Any]:
    """Column names of a file, and a function that reads some of them."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        raise FileFormatError(f"{path.name} is none of CSV, JSON lines and Parquet by its name; rename or convert it.")
    if not path.is_file():
        raise DataUnavailableError(f"There is no file {path}.")
    # DuckDB would take these characters as a pattern.
    location = "".join(f"[{c}]" if c in "*?[" else c for c in str(path.resolve()))

    def query(select: str, limit: int) -> Any:
        try:
            with duckdb.connect(config={"threads": 1}) as connection:
                result = connection.execute(f"SELECT {select} FROM {reader} LIMIT {limit}", [location])
                return [column[0] for column in result.description or ()], result.fetchall()
        except duckdb.Error as error:
            why = str(error).strip().splitlines()[0]
            raise FileFormatError(f"{path.name} cannot be read as {suffix[1:]}: {why[:200]}") from None

    def fetch(columns: Sequence[str]) -> list[list[Any]]:
        quoted = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
        rows = query(quoted, MAX_ROWS + 1)[1]
        return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]

    return query("*", 0)[0], fetch


def _open_folder(path: Path, split: str | None) -> tuple[list[str], Any]:
    """Column names of a folder that the datasets library wrote, and a function that reads some of them."""
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError:
        raise DataUnavailableError(f"{path} is a folder; reading it needs: pip install datasets.") from None
    try:
        data = load_from_disk(str(path))
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path} is no folder that datasets.Dataset.save_to_disk wrote: {why}.") from None
    if isinstance(data, DatasetDict):
        if split is None and len(data) == 1:
            split = next(iter(data))
        if split not in data:
            raise DatasetOptionError(f"{path} has the splits {', '.join(data)}; name one (given: {split!r}).")
        data = data[split]
    elif split is not None:
        raise DatasetOptionError(f"{path} is one table and has no split {split!r}.")
    head = data.select(range(min(len(data), MAX_ROWS + 1)))
    return list(data.column_names), lambda columns: [list(head[column]) for column in columns]
