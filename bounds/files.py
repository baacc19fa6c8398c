"""Files that readers see whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """
    Write a file so that every reader sees the old contents or the new, never a part.

    Parameters
    ----------
    path : pathlib.Path
        Target; its folder must exist.
    content : bytes

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind.
    """
    if path.is_dir() or not path.name:
        raise IsADirectoryError(21, "Is a directory", str(path))
    # Created like any other file, so that the user's umask decides who may read it.
    scratch = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}")
    try:
        with scratch.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
