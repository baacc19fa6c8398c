"""Bias in Bios: short biographies with a profession (De-Arteaga et al., 2019)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from fairbound.bounds.errors import FileFormatError
from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.professions import TARGET_OPTION, profession_dataset
from fairbound.empirical.data.sources import Source
from fairbound.empirical.data.tables import read_table

_COLUMNS = ("hard_text", "profession", "gender")
#: In the order of their codes in the published Parquet files.
_PROFESSIONS = (
    "accountant",
    "architect",
    "attorney",
    "chiropractor",
    "comedian",
    "composer",
    "dentist",
    "dietitian",
    "dj",
    "filmmaker",
    "interior_designer",
    "journalist",
    "model",
    "nurse",
    "painter",
    "paralegal",
    "pastor",
    "personal_trainer",
    "photographer",
    "physician",
    "poet",
    "professor",
    "psychologist",
    "rapper",
    "software_engineer",
    "surgeon",
    "teacher",
    "yoga_teacher",
)
_GENDERS = ("male", "female")
_PARQUET = b"PAR1"

SOURCE = Source(
    "bias_in_bios",
    {"bias_in_bios_sample.csv": "cd5c8b5b1ab95bfab23ab4db5ea2b7484388879f656a84e52539fc4b9b3283d7"},
    "Hugging Face, LabHC/bias_in_bios (Parquet files)",
    pattern="*.parquet",
)

INFO = DatasetInfo(
    name="bias_in_bios",
    task="Predict a person's profession from a biography without its first sentence.",
    rows=1_278,
    attributes=("gender",),
    licence="MIT by the page of LabHC/bias_in_bios; the sample's repository states none",
    source="a sample of LabHC/bias_in_bios (393,423 biographies)",
    known_faults=(
        "1,278 biographies, 1,008 of them accountants and 10 of each other profession: enough to run the loader and "
        "to tell accountants from others, not to learn 28 professions.",
        "The gender is that of the pronouns in the biography, and two-valued.",
        "The texts are public biographies and still hold first names and gendered pronouns.",
    ),
    sha256=SOURCE.sha256,
    modality="text",
    citation="M. De-Arteaga et al., Bias in Bios: A Case Study of Semantic Representation Bias in a High-Stakes "
    "Setting, FAT* 2019, arXiv:1901.09451.",
    options={"target": TARGET_OPTION},
)


def load(path: Path | None = None, *, target: str = "profession") -> Dataset:
    """Load Bias in Bios: 1,278 biographies of 28 professions.

    Only the text, the profession and the gender are read, whatever else a file holds.

    Parameters
    ----------
    path : pathlib.Path, optional
        A CSV file of these columns, a published Parquet file, or a folder of the latter.
    target : str
        "profession", or one profession to tell from the others, e.g. "accountant".

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
    parts = [
        _parquet(content) if content[:4] == _PARQUET else read_table(content, columns=_COLUMNS)
        for content in files.contents.values()
    ]
    frame = pd.concat(parts, ignore_index=True).rename(columns={"hard_text": "text"})
    frame["gender"] = frame["gender"].str.lower()
    return profession_dataset(INFO, files, frame, target)


def _parquet(content: bytes) -> pd.DataFrame:
    """Read a published file, whose professions and genders are codes."""
    import duckdb

    try:
        with tempfile.TemporaryDirectory(prefix="fairbound-") as scratch:
            copy = Path(scratch) / "bios.parquet"
            copy.write_bytes(content)
            raw = duckdb.connect().read_parquet(str(copy)).select(*_COLUMNS).fetchnumpy()
    except duckdb.Error as error:
        raise FileFormatError(f"This is no Parquet file of Bias in Bios: {str(error).splitlines()[0]}.") from error
    codes = {name: np.asarray(raw[name], dtype=np.int64) for name in ("profession", "gender")}
    if not (np.isin(codes["profession"], range(len(_PROFESSIONS))).all() and np.isin(codes["gender"], (0, 1)).all()):
        raise FileFormatError("Professions and genders of Bias in Bios are codes from 0 to 27 and from 0 to 1.")
    return pd.DataFrame(
        {
            "hard_text": raw["hard_text"],
            "profession": np.array(_PROFESSIONS)[codes["profession"]],
            "gender": np.array(_GENDERS)[codes["gender"]],
        }
    )
