"""UTKFace: faces with age, gender and race (Zhang, Song and Qi, 2017)."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.images import decoded
from fairbound.empirical.data.sources import Files, Source
from fairbound.empirical.data.tables import expect_rows
from fairbound.empirical.errors import DataIntegrityError, DatasetOptionError

SIZE = 64
_NAME = re.compile(r"\d{1,3}_[01]_[0-4]_\d+\.?jpg(\.chip\.jpg)?")
_GENDER = np.array(["male", "female"])
_RACE = np.array(["White", "Black", "Asian", "Indian", "Other"])
_BANDS = {"under 18": 0, "18-29": 18, "30-44": 30, "45-59": 45, "60 and over": 60}
_ADULT_YEARS = 18
_TASKS = {
    "gender": "Predict the gender given with a face: female is label 1, male label 0.",
    "adult": "Predict whether the age given with a face is 18 or more (label 1).",
    "age_band": "Predict which of five age bands the age given with a face lies in.",
}

SOURCE = Source(
    "utkface",
    {"utkface_64x64_jpg.zip": "6ed54061d1aaee1a270c3d9442934583935368132e259ee4e242c3307a5eb8bc"},
    "susanqq.github.io/UTKFace (aligned and cropped faces)",
    pattern="*.jpg",
)

INFO = DatasetInfo(
    name="utkface",
    task=_TASKS["gender"],
    rows=23_705,
    attributes=("gender", "race", "age_band"),
    licence="non-commercial research only; the copyright of the images stays with their owners",
    source="UTKFace, aligned and cropped faces resampled to 64 x 64 pixels",
    known_faults=(
        "Non-commercial research only: do not put a model trained on it to other use.",
        "Age, gender and race were estimated by a model and checked by people; they are nobody's own statement, and "
        "gender has two values, race five.",
        "Faces were collected from the web: some people occur more than once, so splits by rows share people.",
        "Resampled to 64 x 64 and compressed again (JPEG quality 90); the three files with malformed names are "
        "left out.",
    ),
    sha256=SOURCE.sha256,
    modality="image",
    citation="Z. Zhang, Y. Song and H. Qi, Age Progression/Regression by Conditional Adversarial Autoencoder, "
    "CVPR 2017.",
    options={"target": f"what to predict: {', '.join(_TASKS)} (default: gender)"},
)


def load(path: Path | None = None, *, target: str = "gender") -> Dataset:
    """Load UTKFace: 23,705 faces of 64 x 64 pixels.

    Labels come from the file names (age_gender_race_date); files with other names are left out. Images are decoded
    once, into the cache (about 290 MB), and mapped into memory from there. Rows are in the order of the file names.

    Parameters
    ----------
    path : pathlib.Path, optional
        A zip archive of the images, or a folder of them, of any size; larger images are resampled.
    target : {"gender", "adult", "age_band"}
        The attribute that the target states is no sensitive attribute.

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
    if target not in _TASKS:
        raise DatasetOptionError(f"utkface has no target={target!r}; choose {', '.join(_TASKS)}.")
    files = SOURCE.read(path)
    names, content_of = _members(files)
    labels = np.array([_labels(name) for name in names], dtype=np.int64).reshape(-1, 3)
    expect_rows(INFO, files, len(names))
    key = hashlib.sha256("".join(files.sha256.values()).encode()).hexdigest()
    age, gender, race = labels.T
    band = np.searchsorted(list(_BANDS.values()), age, side="right") - 1
    attributes = {"gender": _GENDER[gender], "race": _RACE[race], "age_band": np.array(list(_BANDS))[band]}
    del attributes["gender" if target == "gender" else "age_band"]
    label, classes = {
        "gender": (gender, ("male", "female")),
        "adult": ((age >= _ADULT_YEARS).astype(np.int64), (f"under {_ADULT_YEARS}", f"{_ADULT_YEARS} or more")),
        "age_band": (band, tuple(_BANDS)),
    }[target]
    return Dataset(
        info=INFO.read_from(files.sha256, task=_TASKS[target], attributes=tuple(attributes)),
        features=decoded(key, _contents(names, content_of), len(names), SIZE),
        label=label,
        attributes=attributes,
        classes=classes,
        options={} if target == "gender" else {"target": target},
    )


def _labels(name: str) -> tuple[int, int, int]:
    """Age in years, gender code and race code."""
    age, gender, race = name.split("_")[:3]
    return int(age), int(gender), int(race)


def _members(files: Files) -> tuple[list[str], Callable[[str], bytes]]:
    """Names of the usable images, sorted, and what gives the contents of one."""
    first = next(iter(files.contents))
    if len(files.contents) == 1 and not _NAME.fullmatch(first):
        try:
            archive = zipfile.ZipFile(io.BytesIO(files.only))
        except zipfile.BadZipFile as error:
            raise DataIntegrityError(f"{first} is no zip archive.") from error
        # Published archives hold some images in two folders.
        members = {name.rsplit("/", 1)[-1]: name for name in sorted(archive.namelist(), reverse=True)}
        return sorted(filter(_NAME.fullmatch, members)), lambda name: archive.read(members[name])
    return sorted(filter(_NAME.fullmatch, files.contents)), lambda name: files.contents[name]


def _contents(names: list[str], content_of: Callable[[str], bytes]) -> Iterator[tuple[str, bytes]]:
    return ((name, content_of(name)) for name in names)
