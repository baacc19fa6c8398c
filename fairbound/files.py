"""Writing text files with one-line errors."""

from __future__ import annotations

from pathlib import Path

from fairbound.bounds.errors import FairboundError
from fairbound.bounds.files import write_atomically


def write_text(path: Path, text: str) -> None:
    """
    Replace a file in one step.

    Raises
    ------
    FairboundError
        If it cannot be written.
    """
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise FairboundError(f"cannot write {path}: {error.strerror or error}.") from None
