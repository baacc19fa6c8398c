"""Count files: what a site gives away of a log, rows per cell and nothing else (docs/ingest.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairbound.bounds.alphabet import one_kind, well_formed
from fairbound.bounds.check import MAX_BYTES, CheckError, digest, parse
from fairbound.bounds.counts import MAX_CELLS, Counts
from fairbound.bounds.errors import AlphabetError, FairboundError, FileFormatError
from fairbound.bounds.files import write_atomically
from fairbound.tally import Columns, Tally

SCHEMA = "fairbound.counts/1"
_ENTRIES = {"schema", "columns", "values", "groups", "labels", "outputs", "table", "rows", "digest"}


def is_count_file(path: Path, first: bytes) -> bool:
    """Whether a file is to be read as a count file, by its name or its first bytes."""
    return path.suffix == ".json" or (first.lstrip().startswith(b"{") and SCHEMA.split("/")[0].encode() in first)


def write_count_file(path: Path, tally: Tally) -> dict[str, Any]:
    """
    Write the cells of a tally, replacing the file in one step.

    Parameters
    ----------
    path : pathlib.Path
    tally : Tally

    Returns
    -------
    dict
        What was written.

    Raises
    ------
    AlphabetError
        If the table has more than `MAX_CELLS` cells.
    FileFormatError
        If the file cannot be written.
    """
    read = tally.cells()
    cells: dict[tuple[Any, ...], int] = dict(read if tally.typed else tally.text)
    groups = sorted({key[:-2] for key in cells})
    labels, outputs = (sorted({key[axis] for key in cells}) for axis in (-2, -1))
    if len(groups) * len(labels) * len(outputs) > MAX_CELLS:
        raise AlphabetError(
            f"{len(groups)} groups x {len(labels)} labels x {len(outputs)} outputs are more than {MAX_CELLS} cells; "
            "are these columns really categories?"
        )
    columns = tally.columns
    body = {
        "schema": SCHEMA,
        "columns": {"group": list(columns.groups), "label": columns.label, "prediction": columns.prediction},
        # Whether "1" is a number is decided where all shards are known.
        "values": "typed" if tally.typed else "text",
        "groups": [list(group) if len(group) > 1 else group[0] for group in groups],
        "labels": labels,
        "outputs": outputs,
        "table": [[[cells.get((*a, y, z), 0) for z in outputs] for y in labels] for a in groups],
        "rows": sum(cells.values()),
    }
    body["digest"] = digest(body)
    try:
        write_atomically(path, (json.dumps(body) + "\n").encode())
    except OSError as error:
        raise FileFormatError(f"cannot write {path}: {error.strerror or error}.") from None
    return body


def read_count_file(path: Path) -> Tally:
    """
    Read a count file as untrusted input.

    Raises
    ------
    FileFormatError
        Naming the file, if any line of it does not hold.
    """
    try:
        with path.open("rb") as file:
            return _tally(parse(file.read(MAX_BYTES + 1)))
    except OSError as error:
        raise FileFormatError(f"cannot read {str(path)[:200]!r}: {error.strerror or error}.") from None
    except (CheckError, FairboundError) as error:
        raise FileFormatError(f"{path.name} is no valid count file: {error}") from None


def _tally(data: Any) -> Tally:
    if type(data) is not dict or data.get("schema") != SCHEMA:
        raise FileFormatError(f"its schema is not {SCHEMA!r}.")
    if set(data) != _ENTRIES:
        raise FileFormatError(f"it must have exactly the entries {', '.join(sorted(_ENTRIES))}.")
    if data["digest"] != digest(data):
        raise FileFormatError("its digest does not match its content; it was changed or damaged, ask for it again.")
    tally = Tally(_columns(data["columns"]))
    names = tally.columns.groups
    groups = data["groups"] if len(names) > 1 or type(data["groups"]) is not list else [[a] for a in data["groups"]]
    if type(groups) is not list or any(type(group) is not list or len(group) != len(names) for group in groups):
        raise FileFormatError(f"its groups must be a list, with one entry for each of the columns {list(names)}.")
    if not all(well_formed(part) for group in groups for part in group):
        raise FileFormatError("its groups must be integers below 10**18 or texts.")
    for axis, name in enumerate(names):
        one_kind((group[axis] for group in groups), f"column {name!r}")
    if len(set(map(tuple, groups))) < len(groups):
        raise FileFormatError("it repeats a group.")
    counts = Counts.from_dict(
        {"groups": list(range(len(groups))), **{name: data[name] for name in ("labels", "outputs", "table")}}
    )
    if type(data["rows"]) is not int or data["rows"] != counts.rows:
        raise FileFormatError("its rows are not the sum of its table.")
    rows = [(*groups[index], y, z, n) for (index, y, z), n in counts.cells() if isinstance(index, int)]
    if data["values"] == "typed":
        tally.add_typed(rows)
    elif data["values"] == "text" and all(isinstance(symbol, str) for *cell, _ in rows for symbol in cell):
        tally.add_text(rows)
    else:
        raise FileFormatError("its values must be 'typed', or 'text' and then texts only.")
    return tally


def _columns(data: Any) -> Columns:
    if type(data) is not dict or set(data) != {"group", "label", "prediction"} or type(data["group"]) is not list:
        raise FileFormatError("its columns must be those of group (a list), label and prediction.")
    names = [*data["group"], data["label"], data["prediction"]]
    if not all(type(name) is str and well_formed(name) for name in names):
        raise FileFormatError("its columns' names must be texts.")
    return Columns(tuple(data["group"]), data["label"], data["prediction"])
