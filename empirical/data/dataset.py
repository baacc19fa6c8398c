"""The one shape in which every data set is handed on, whatever its modality."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairbound.empirical.errors import UnknownAttributeError

if TYPE_CHECKING:
    import pandas as pd

#: Between the names of attributes, and of groups, in an intersection.
AND = " & "

Modality = Literal["tabular", "image", "text"]
T = TypeVar("T")


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set before any of its files is opened.

    Attributes
    ----------
    name : str
        The name under which `load_dataset` knows it.
    task : str
        One sentence: what is predicted from what and, for two classes, what label 1 means.
    rows : int
        Rows after cleaning, all options at their defaults.
    attributes : tuple of str
        Sensitive attributes that can be studied.
    licence : str
        Terms of the data themselves.
    source : str
        Where the data came from and through what they are fetched.
    known_faults : tuple of str
        Defects of the data or of its usual reading that a report should mention.
    sha256 : mapping from str to str
        Digest of each original file, by file name: the pinned ones, or in a loaded data set those that were read.
    modality : {"tabular", "image", "text"}
    citation : str
        The paper to cite.
    options : mapping from str to str
        What each keyword option of `load_dataset` chooses, by its name; `rows`, `seed` and `path` go with every
        data set.
    """

    name: str
    task: str
    rows: int
    attributes: tuple[str, ...]
    licence: str
    source: str
    known_faults: tuple[str, ...]
    sha256: Mapping[str, str]
    modality: Modality = "tabular"
    citation: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def read_from(self, sha256: Mapping[str, str], **changes: Any) -> DatasetInfo:
        """The same with the digests of the files that were read.

        Parameters
        ----------
        sha256 : mapping from str to str
        **changes
            Further fields to replace.

        Returns
        -------
        DatasetInfo
            With one more known fault if the files are not the pinned ones.
        """
        faults = self.known_faults
        if dict(sha256) != dict(self.sha256):
            faults += ("Read from other files than the documented ones: counts and faults above may not fit.",)
        return dataclasses.replace(self, sha256=dict(sha256), known_faults=faults, **changes)


class PerAttribute(Mapping[str, T]):
    """What belongs to each attribute; intersections are answered on request and not listed.

    Parameters
    ----------
    single : mapping from str
        What belongs to each attribute of the data set.
    join : callable
        Makes of the entries of several attributes that of their intersection.
    """

    def __init__(self, single: Mapping[str, T], join: Callable[[list[T]], T]) -> None:
        self._single = single
        self._join = join

    def __getitem__(self, attribute: str) -> T:
        if attribute in self._single:
            return self._single[attribute]
        parts = [self._single[name.strip()] for name in attribute.split(AND.strip())]
        return self._join(parts) if len(parts) > 1 else parts[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._single)

    def __len__(self) -> int:
        return len(self._single)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled data set with its sensitive attributes.

    An intersection of attributes is named by joining them with " & ", e.g. ``"sex & race"``; it is a key of
    `attributes` and `attribute_columns` like any attribute, and its groups are named in the same way.

    Attributes
    ----------
    info : DatasetInfo
        Name, task, modality, licence, citation, source, known faults and file digests.
    features : pandas.DataFrame, ndarray of uint8, or list of str
        Model inputs, one entry per row. A table has shape (n_rows, n_features); its categorical columns have
        pandas' categorical dtype, whose categories are those of the whole data set (a schema, not a statistic of
        some split), and all other columns are float64. Images have shape (n_rows, height, width, 3), red-green-blue.
    label : ndarray of int64, shape (n_rows,)
        Position of each row's class in `classes`.
    attributes : mapping from str to ndarray of str, shape (n_rows,)
        Group of each row, by attribute.
    attribute_columns : mapping from str to tuple of str
        For each attribute the feature columns that state it, which are dropped when a model must not see it;
        empty for images and text.
    classes : tuple of str
        Names of the classes.
    row_id : ndarray of int64, shape (n_rows,)
        Number of each row in the files, from 0, before any row was dropped or selected. Default: 0, 1, ...
    options : mapping from str to str
        What was chosen among the rows and tasks of the data set, where it is not the default.
    """

    info: DatasetInfo
    features: pd.DataFrame | NDArray[np.uint8] | list[str]
    label: NDArray[np.int64]
    attributes: Mapping[str, NDArray[np.str_]]
    attribute_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: tuple[str, ...] = ("0", "1")
    row_id: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.row_id.size == 0:
            object.__setattr__(self, "row_id", np.arange(len(self.label), dtype=np.int64))
        object.__setattr__(self, "attributes", PerAttribute(self.attributes, _intersect))
        columns = {name: self.attribute_columns.get(name, ()) for name in self.attributes}
        object.__setattr__(self, "attribute_columns", PerAttribute(columns, _unite))

    @property
    def name(self) -> str:
        """Name and options as `load_dataset` takes them: it loads the same rows, from the same files."""
        chosen = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
        return f"{self.info.name}:{chosen}" if chosen else self.info.name

    @property
    def modality(self) -> Modality:
        """One of "tabular", "image" and "text"."""
        return self.info.modality

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical feature columns; empty for images and text."""
        return self._columns(lambda dtype: dtype == "category")

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric feature columns; empty for images and text."""
        return self._columns(lambda dtype: dtype != "category")

    @cached_property
    def content_sha256(self) -> str:
        """SHA-256 of features, labels, groups and class names, whatever the data set is called.

        Results are stored under it: two data sets of one name that a user made are two data sets.
        """
        import pandas as pd

        digest = hashlib.sha256(repr((self.classes, sorted(self.attributes))).encode())
        if self.modality == "tabular":
            frame: Any = self.features
            digest.update(repr([(str(name), str(dtype)) for name, dtype in frame.dtypes.items()]).encode())
            digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        elif self.modality == "image":
            images = np.ascontiguousarray(self.features)
            digest.update(f"{images.dtype}{images.shape}".encode())
            digest.update(images.tobytes())
        else:
            for text in self.features:
                digest.update(hashlib.sha256(str(text).encode("utf-8", "surrogatepass")).digest())
        digest.update(np.asarray(self.label, dtype="<i8").tobytes())
        for name in sorted(self.attributes):
            code, names = pd.factorize(self.attributes[name], sort=True)
            digest.update(repr((name, [str(group) for group in names])).encode())
            digest.update(np.asarray(code, dtype="<i8").tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.label)

    def groups_of(self, attribute: str | Sequence[str]) -> NDArray[np.str_]:
        """Group of each row under one attribute or an intersection.

        Parameters
        ----------
        attribute : str or sequence of str
            One of the keys of `attributes`; several, as a sequence or joined with " & ", mean their intersection.

        Returns
        -------
        ndarray of str, shape (n_rows,)

        Raises
        ------
        UnknownAttributeError
            If the data set has no such attribute.
        """
        name = attribute if isinstance(attribute, str) else AND.join(attribute)
        try:
            return self.attributes[name]
        except KeyError as error:
            known = ", ".join(self.attributes)
            raise UnknownAttributeError(
                f"{self.info.name} has no attribute {error.args[0]!r}; it has: {known}."
            ) from None

    def take(self, index: ArrayLike) -> Dataset:
        """Some of the rows.

        Parameters
        ----------
        index : array-like of int
            Positions of the rows.

        Returns
        -------
        Dataset
            Its name ends in a digest of the rows' numbers: `load_dataset` cannot choose them, and results of
            different choices must not be taken for each other.
        """
        chosen = np.asarray(index, dtype=np.int64)
        digest = hashlib.sha256(self.row_id[chosen].astype("<i8").tobytes()).hexdigest()
        return self.select(chosen, {"rows_sha256": digest[:12]})

    def sample(self, rows: int, seed: int) -> Dataset:
        """Rows drawn uniformly without replacement, in the order of the data set.

        Parameters
        ----------
        rows : int
            At most as many as there are. A larger sample of the same seed holds every smaller one.
        seed : int

        Returns
        -------
        Dataset
            Of rows that were chosen already, its name is that of `take`.
        """
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:rows])
        if {"rows", "rows_sha256"} & set(self.options):
            return self.take(chosen)
        return self.select(chosen, {"rows": str(rows), "seed": str(seed)})

    def select(self, index: NDArray[np.int64], options: Mapping[str, str]) -> Dataset:
        """Rows that options of `load_dataset` choose.

        Parameters
        ----------
        index : ndarray of int64
            Positions of the rows.
        options : mapping from str to str
            Added to `options`, so that the name says which rows these are.

        Returns
        -------
        Dataset
        """
        features: Any = self.features
        if self.modality == "tabular":
            features = features.iloc[index].reset_index(drop=True)
        elif self.modality == "image":
            features = features[index]
        else:
            features = [features[i] for i in index]
        return dataclasses.replace(
            self,
            features=features,
            label=self.label[index],
            attributes={name: groups[index] for name, groups in self.attributes.items()},
            row_id=self.row_id[index],
            options={**self.options, **options},
        )

    def _columns(self, wanted: Callable[[Any], bool]) -> tuple[str, ...]:
        if self.modality != "tabular":
            return ()
        frame: Any = self.features
        return tuple(column for column in frame.columns if wanted(frame[column].dtype))


def _intersect(parts: list[NDArray[np.str_]]) -> NDArray[np.str_]:
    """Group names joined row by row; only the combinations that occur are spelled out."""
    levels = [np.unique(part, return_inverse=True) for part in parts]
    shape = tuple(len(names) for names, _ in levels)
    code = np.ravel_multi_index(tuple(inverse for _, inverse in levels), shape)
    present, inverse = np.unique(code, return_inverse=True)
    spelled = [
        AND.join(str(names[i]) for (names, _), i in zip(levels, positions, strict=True))
        for positions in zip(*np.unravel_index(present, shape), strict=True)
    ]
    joined: NDArray[np.str_] = np.array(spelled, dtype=np.str_)[inverse]
    return joined


def _unite(parts: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for part in parts for column in part))
