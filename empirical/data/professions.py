"""What the two text data sets share: a profession to predict, and gender as the group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.sources import Files
from fairbound.empirical.data.tables import expect_rows
from fairbound.empirical.errors import DatasetOptionError

TARGET_OPTION = "profession: which one (default); or the name of one profession: whether it is that one (label 1)"


def profession_dataset(info: DatasetInfo, files: Files, frame: pd.DataFrame, target: str) -> Dataset:
    """Make a data set of texts.

    Parameters
    ----------
    info : DatasetInfo
    files : Files
        What the rows were read from.
    frame : pandas.DataFrame
        Columns text, profession and gender, indexed by row numbers in the files.
    target : str
        "profession", or one of the professions.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetOptionError
        If there is no such profession.
    DataIntegrityError
        If the pinned files yield another number of rows than documented.
    """
    expect_rows(info, files, len(frame))
    names, label = np.unique(frame["profession"].to_numpy(dtype=np.str_), return_inverse=True)
    classes = tuple(str(name) for name in names)
    changes: dict[str, Any] = {}
    if target != "profession":
        if target not in classes:
            raise DatasetOptionError(f"{info.name} has no target={target!r}; choose profession, {', '.join(classes)}.")
        label, classes = label == classes.index(target), (f"not {target}", target)
        changes["task"] = f"Predict whether a text is about a person whose profession is {target} (label 1)."
    return Dataset(
        info=info.read_from(files.sha256, **changes),
        features=[str(text) for text in frame["text"]],
        label=label.astype(np.int64),
        attributes={"gender": frame["gender"].to_numpy(dtype=np.str_)},
        classes=classes,
        row_id=frame.index.to_numpy(dtype=np.int64),
        options={} if target == "profession" else {"target": target},
    )
