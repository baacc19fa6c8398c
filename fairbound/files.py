"""Writing files in one step, with one-line errors."""

from __future__ import annotations

from pathlib import Path

from fairbound.bounds.errors import FairboundError


def write_text(path: Path, text: str) -> None:
    """
    Replace a file in one step.

    Raises
    ------
    FairboundError
        If it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise FairboundError(f"cannot write {path}: {error.strerror or error}.") from None
