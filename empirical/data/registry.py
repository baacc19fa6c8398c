"""Which data sets there are.

A data set is one module of this package that offers ``INFO`` (a `DatasetInfo`), ``is_fetched()`` and
``load()``; naming it in `_MODULES` is all that registers it.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.errors import UnknownDatasetError

_MODULES = {"adult": "adult", "compas": "compas", "german": "german"}


def list_datasets() -> list[str]:
    """Names of the data sets that `load_dataset` knows.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted(_MODULES)


def load_dataset(name: str) -> Dataset:
    """Load a data set, fetching its files on first use.

    Parameters
    ----------
    name : str
        One of `list_datasets`.

    Returns
    -------
    Dataset

    Raises
    ------
    UnknownDatasetError
        If there is no such data set.
    DataUnavailableError
        If the files are not in the cache and cannot be downloaded.
    DataIntegrityError
        If a downloaded file is not the pinned one.

    Examples
    --------
    >>> from fairbound.empirical import load_dataset
    >>> compas = load_dataset("compas")  # doctest: +SKIP
    >>> len(compas), compas.numeric[:2]  # doctest: +SKIP
    (6172, ('age', 'juv_fel_count'))
    """
    dataset: Dataset = _module(name).load()
    return dataset


def dataset_info(name: str) -> DatasetInfo:
    """What is known about a data set without opening its files.

    Parameters
    ----------
    name : str
        One of `list_datasets`.

    Returns
    -------
    DatasetInfo

    Raises
    ------
    UnknownDatasetError
        If there is no such data set.
    """
    info: DatasetInfo = _module(name).INFO
    return info


def is_fetched(name: str) -> bool:
    """Whether a data set's files lie in the cache already, unchecked.

    Parameters
    ----------
    name : str
        One of `list_datasets`.

    Returns
    -------
    bool

    Raises
    ------
    UnknownDatasetError
        If there is no such data set.
    """
    fetched: bool = _module(name).is_fetched()
    return fetched


def _module(name: str) -> ModuleType:
    if name not in _MODULES:
        raise UnknownDatasetError(f"There is no data set {name!r}; known: {', '.join(list_datasets())}.")
    return import_module(f"fairbound.empirical.data.{_MODULES[name]}")
