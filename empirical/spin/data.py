"""Texts for SPIN: (prompt, response) pairs, questions, and the reference sets with their faults removed."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np

from fairbound.bounds.errors import EmptyInputError, FileFormatError, MissingValueError, UnknownColumnError
from fairbound.empirical.data.sources import FOLDER_VARIABLE, Source
from fairbound.empirical.errors import DatasetOptionError, DataUnavailableError

ORIGIN = "https://github.com/ChnQ/SPIN, folder src/data (commit d708d834)"

SUBJECTS = ("fairness", "privacy")
HALVES = ("choose", "report")

#: Names under which a column is recognised, in this order, if none is given.
PROMPT_COLUMNS = ("prompt", "instruction", "question", "questions", "query")
RESPONSE_COLUMNS = ("response", "output", "answer", "completion")

#: Words by which safe pairs of the reference sets seem to have been picked: all 378 safe privacy responses hold the
#: word, and 1 in 100 of the unsafe ones. A judge that is trained on them must not see it.
SELECTION_WORDS = {"privacy": ("privacy",)}

#: A file with more rows, or a text with more characters, is refused: importances read every text as one batch.
MAX_ROWS = 200_000
MAX_CHARACTERS = 50_000

_FILES = {
    "general": (
        "alpaca_cleaned_no_safety_train_1k.csv",
        "1055dd9c020255b4d142159b58bddaa91f1c3458eb2491ff7ce1822982a9ebe4",
    ),
    "fairness_safe": (
        "beaver_train330k_fairness_safe_1k.csv",
        "37b4d9b41e3455cd588163b4885e07dd7462eef87669fb3a27c016f578432d6c",
    ),
    "fairness_unsafe": (
        "beaver_train330k_fairness_unsafe_1k.csv",
        "085e5e1a2c85394f48ebd264692abd7110ff1f2cd61b6afbd07ffadb0cdbae6d",
    ),
    "privacy_safe": (
        "beaver_train330k_privacy_safe_1k.csv",
        "c26c581729197cd4453eb9bbf4a13a7db64235b4c39e1fcb631135084d96966c",
    ),
    "privacy_unsafe": (
        "beaver_train330k_privacy_unsafe_1k.csv",
        "950cecd0763ae5fb468621992ae6ea65ed6ae598d2f2c5341b4d49a0557ddee9",
    ),
    "salad_fairness": ("salad_fairness.csv", "d7b576b990b742e5c33508b7e854541bbb7a81501ac430e7b83afb6bc2dbd0be"),
    "salad_privacy": ("salad_privacy.csv", "3642a92832b5911bcda09dd68c0c3d55442b1afb6afc55cecfce4644beb570f1"),
}

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

#: Names of the sets of pairs that `reference_pairs` knows.
PAIR_SETS = tuple(name for name in _FILES if not name.startswith("salad_"))


class Pair(NamedTuple):
    """A prompt and a response to it.

    Attributes
    ----------
    prompt, response : str
    """

    prompt: str
    response: str


@dataclass(frozen=True)
class Questions:
    """Distinct questions of one subject that no labelled pair shares.

    Attributes
    ----------
    subject : str
    texts : tuple of str
        In the order of the file.
    rows : tuple of str
        Every row of the file.
    repeated : int
        Rows left out because an earlier row asks the same.
    shared : int
        Rows left out because they are also prompts of labelled pairs.
    """

    subject: str
    texts: tuple[str, ...]
    rows: tuple[str, ...]
    repeated: int
    shared: int

    def half(self, name: str) -> tuple[str, ...]:
        """The questions that settings are chosen on, or those that results are reported on.

        The hash of its normalised text decides where a question belongs, so halves do not depend on the order of
        the file, nor on which other questions it holds.

        Parameters
        ----------
        name : str
            "choose" or "report".

        Returns
        -------
        tuple of str

        Raises
        ------
        DatasetOptionError
            If there is no such half.
        """
        if name not in HALVES:
            raise DatasetOptionError(f"There is no half {name!r} of the questions; known: {', '.join(HALVES)}.")
        return tuple(text for text in self.texts if _digest(text)[0] % 2 == HALVES.index(name))

    def draw(self, n: int, half: str, *, seed: int = 0) -> tuple[str, ...]:
        """Some questions of one half; a larger draw of one seed holds every smaller one.

        Parameters
        ----------
        n : int
        half : str
            "choose" or "report".
        seed : int, default 0

        Returns
        -------
        tuple of str

        Raises
        ------
        DatasetOptionError
            If there is no such half, or it has fewer than `n` questions.
        """
        return tuple(_draw(self.half(half), n, seed, f"The half {half!r} of the {self.subject} questions"))


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
        first.setdefault(_words(pair), pair)
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


def reference_pairs(name: str, *, folder: str | os.PathLike[str] | None = None) -> list[Pair]:
    """Distinct pairs of one reference set of SPIN (arXiv:2410.16672).

    The files have 1,000 rows each; repetitions are left out (of the safe privacy pairs only 386 are distinct), and so
    are pairs that the safe and the unsafe file of a subject both hold: their labels contradict each other.

    Parameters
    ----------
    name : str
        One of `PAIR_SETS`.
    folder : path, optional
        Holds the files, of whatever version; default: ``spin`` inside the folder that ``FAIRBOUND_DATA`` names, whose
        files must be the pinned ones.

    Returns
    -------
    list of Pair
        In the order of the file.

    Raises
    ------
    DatasetOptionError
        If there is no such set.
    DataUnavailableError, DataIntegrityError
        If its files are not there, or not the pinned ones.
    FileFormatError, UnknownColumnError, MissingValueError, EmptyInputError
        As in `read_pairs`.
    """
    if name not in PAIR_SETS:
        raise DatasetOptionError(f"There is no reference set {name!r}; known: {', '.join(PAIR_SETS)}.")
    pairs = distinct_pairs(read_pairs(_reference_file(name, folder)))
    subject, _, label = name.partition("_")
    if subject not in SUBJECTS:
        return pairs
    other = read_pairs(_reference_file(f"{subject}_{'unsafe' if label == 'safe' else 'safe'}", folder))
    contradicted = {_words(pair) for pair in other}
    return [pair for pair in pairs if _words(pair) not in contradicted]


def reference_questions(subject: str, *, folder: str | os.PathLike[str] | None = None) -> Questions:
    """Questions of SALAD-Bench (arXiv:2402.05044), without those that are also prompts of the labelled pairs.

    Parameters
    ----------
    subject : str
        "fairness" or "privacy".
    folder : path, optional
        As in `reference_pairs`.

    Returns
    -------
    Questions

    Raises
    ------
    DatasetOptionError
        If there is no such subject.
    DataUnavailableError, DataIntegrityError, FileFormatError, UnknownColumnError, MissingValueError, EmptyInputError
        As in `reference_pairs`.
    """
    if subject not in SUBJECTS:
        raise DatasetOptionError(f"There is no subject {subject!r}; known: {', '.join(SUBJECTS)}.")
    labelled = {
        normalised(pair.prompt)
        for name in PAIR_SETS
        if name != "general"
        for pair in read_pairs(_reference_file(name, folder))
    }
    rows = read_questions(_reference_file(f"salad_{subject}", folder))
    first: dict[str, str] = {}
    for text in rows:
        first.setdefault(normalised(text), text)
    kept = tuple(text for words, text in first.items() if words not in labelled)
    return Questions(subject, kept, rows, len(rows) - len(first), len(first) - len(kept))


def calibration_draw(pairs: Sequence[Pair], *, n: int = 128, seed: int = 0) -> list[Pair]:
    """Pairs on which importances are measured; a larger draw of one seed holds every smaller one.

    Parameters
    ----------
    pairs : sequence of Pair
    n : int, default 128
        The number of SPIN.
    seed : int, default 0

    Returns
    -------
    list of Pair
        Drawn without replacement.

    Raises
    ------
    DatasetOptionError
        If there are fewer than `n` pairs.
    """
    return _draw(pairs, n, seed, "The calibration set")


def _draw(items: Sequence[Any], n: int, seed: int, what: str) -> list[Any]:
    if not 1 <= n <= len(items):
        raise DatasetOptionError(f"{what} has {len(items)} entries; a draw of {n} is not between 1 and that.")
    return [items[i] for i in np.random.default_rng(seed).permutation(len(items))[:n]]


def _words(pair: Pair) -> tuple[str, ...]:
    return normalised(pair.prompt), normalised(pair.response)


def _digest(text: str) -> bytes:
    return hashlib.sha256(normalised(text).encode("utf-8", "surrogatepass")).digest()


def _reference_file(name: str, folder: str | os.PathLike[str] | None) -> Path:
    """A file of the reference sets, checked unless the caller chose the folder."""
    file, sha256 = _FILES[name]
    if folder is not None:
        return Path(folder).expanduser() / file
    source = Source("spin", {file: sha256}, ORIGIN)
    where = source.where()
    if where is None:
        raise DataUnavailableError(
            f"The reference sets of SPIN are not on this machine: set {FOLDER_VARIABLE} to a folder that holds "
            f"spin/{file}; they are published at {ORIGIN}."
        )
    source.read()
    return where / file


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
