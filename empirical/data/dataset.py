"""The one shape in which every data set is handed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbound.empirical.errors import UnknownAttributeError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set before any of its files is opened.

    Attributes
    ----------
    name : str
        The name under which `load_dataset` knows it.
    task : str
        One sentence: what label 1 means and from what it is predicted.
    rows : int
        Rows after cleaning.
    attributes : tuple of str
        Sensitive attributes that can be studied.
    licence : str
        Terms of the data themselves.
    source : str
        Where the data came from and through what they are fetched.
    known_faults : tuple of str
        Defects of the data or of its usual reading that a report should mention.
    sha256 : mapping from str to str
        Digest of each original file, by file name.
    """

    name: str
    task: str
    rows: int
    attributes: tuple[str, ...]
    licence: str
    source: str
    known_faults: tuple[str, ...]
    sha256: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled data set with its sensitive attributes.

    Attributes
    ----------
    info : DatasetInfo
        Name, task, licence, source, known faults and file digests.
    features : pandas.DataFrame, shape (n_rows, n_features)
        Model inputs. Categorical columns have pandas' categorical dtype, whose categories are those of the
        whole data set (a schema, not a statistic of some split); all other columns are float64.
    label : ndarray of int64, shape (n_rows,)
        Class of each row, 0 or 1.
    attributes : mapping from str to ndarray of str, shape (n_rows,)
        Group of each row, by attribute.
    attribute_columns : mapping from str to tuple of str
        For each attribute the feature columns that state it, which are dropped when a model must not see it.
    """

    info: DatasetInfo
    features: pd.DataFrame
    label: NDArray[np.int64]
    attributes: Mapping[str, NDArray[np.str_]]
    attribute_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name under which `load_dataset` knows the data set."""
        return self.info.name

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical feature columns."""
        return tuple(c for c in self.features.columns if self.features[c].dtype == "category")

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric feature columns."""
        return tuple(c for c in self.features.columns if self.features[c].dtype != "category")

    def __len__(self) -> int:
        return len(self.label)

    def groups_of(self, attribute: str) -> NDArray[np.str_]:
        """Group of each row under one attribute.

        Parameters
        ----------
        attribute : str
            One of the keys of `attributes`.

        Returns
        -------
        ndarray of str, shape (n_rows,)

        Raises
        ------
        UnknownAttributeError
            If the data set has no such attribute.
        """
        if attribute not in self.attributes:
            known = ", ".join(self.attributes)
            raise UnknownAttributeError(f"{self.name} has no attribute {attribute!r}; it has: {known}.")
        return self.attributes[attribute]
