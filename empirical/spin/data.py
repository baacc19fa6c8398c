"""The reference sets of SPIN with their faults removed, and draws from them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairbound.empirical.data.sources import FOLDER_VARIABLE, Source
from fairbound.empirical.errors import DatasetOptionError, DataUnavailableError
from fairbound.empirical.spin.texts import Pair, distinct_pairs, normalised, read_pairs, read_questions

ORIGIN = "https://github.com/ChnQ/SPIN, folder src/data (commit d708d834)"


SUBJECTS = ("fairness", "privacy")


HALVES = ("choose", "report")


#: Words by which safe pairs of the reference sets seem to have been picked: all 378 safe privacy responses hold the
#: word, and 1 in 100 of the unsafe ones. A judge that is trained on them must not see it.
SELECTION_WORDS = {"privacy": ("privacy",)}


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


#: Names of the sets of pairs that `reference_pairs` knows.
PAIR_SETS = tuple(name for name in _FILES if not name.startswith("salad_"))

#: Those of pairs that are labelled safe or unsafe: judges are trained on them.
LABELLED_SETS = tuple(name for name in PAIR_SETS if name != "general")


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

    @classmethod
    def of(cls, subject: str, rows: Sequence[str], labelled: Iterable[str]) -> Questions:
        """Keep what is distinct, and no prompt of a labelled pair, compared by `normalised` text.

        Parameters
        ----------
        subject : str
        rows : sequence of str
            Every question of a file.
        labelled : iterable of str
            Prompts of labelled pairs.

        Returns
        -------
        Questions
        """
        known = {normalised(prompt) for prompt in labelled}
        first: dict[str, str] = {}
        for text in rows:
            first.setdefault(normalised(text), text)
        kept = tuple(text for words, text in first.items() if words not in known)
        return cls(subject, kept, tuple(rows), len(rows) - len(first), len(first) - len(kept))

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


def all_reference_pairs(name: str, *, folder: str | os.PathLike[str] | None = None) -> list[Pair]:
    """Every row of one reference set, repetitions and contradictions included.

    Parameters
    ----------
    name, folder
        As in `reference_pairs`.

    Returns
    -------
    list of Pair

    Raises
    ------
    DatasetOptionError, DataUnavailableError, DataIntegrityError, FileFormatError, UnknownColumnError
        As in `reference_pairs`.
    MissingValueError, EmptyInputError
        As in `read_pairs`.
    """
    if name not in PAIR_SETS:
        raise DatasetOptionError(f"There is no reference set {name!r}; known: {', '.join(PAIR_SETS)}.")
    return read_pairs(_reference_file(name, folder))


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
    pairs = distinct_pairs(all_reference_pairs(name, folder=folder))
    subject, _, label = name.partition("_")
    if subject not in SUBJECTS:
        return pairs
    other = all_reference_pairs(f"{subject}_{'unsafe' if label == 'safe' else 'safe'}", folder=folder)
    contradicted = {pair.words for pair in other}
    return [pair for pair in pairs if pair.words not in contradicted]


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
    labelled = [pair.prompt for name in LABELLED_SETS for pair in all_reference_pairs(name, folder=folder)]
    return Questions.of(subject, read_questions(_reference_file(f"salad_{subject}", folder)), labelled)


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
