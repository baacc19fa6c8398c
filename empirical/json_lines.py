"""Files of one JSON object a line, written as results come and read again after a kill."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fairbound.bounds.errors import FileFormatError
from fairbound.bounds.files import write_atomically


def resume_lines(path: Path, keys: frozenset[str]) -> list[dict[str, Any]]:
    """Objects of a file, after what follows its last line end was cut off: a process was killed while writing it.

    Parameters
    ----------
    path : pathlib.Path
        Need not exist.
    keys : frozenset of str
        Entries that every object must have.

    Returns
    -------
    list of dict
        In the order of the lines.

    Raises
    ------
    FileFormatError
        If a whole line is no such object.
    OSError
        If the file cannot be read, or the torn line not be cut off.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_atomically(path, whole)
    records = []
    for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not keys <= record.keys():
            raise FileFormatError(f"Line {number} of {path} is no object with {', '.join(sorted(keys))}; delete it.")
        records.append(record)
    return records


def append_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Add objects to a file, on disk when this returns.

    Parameters
    ----------
    path : pathlib.Path
        Created if need be; its folder must exist.
    records : list of dict

    Raises
    ------
    OSError
        If it cannot be written.
    """
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    with path.open("ab") as file:
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())
