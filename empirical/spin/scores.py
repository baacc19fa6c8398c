"""Files of importance scores: safetensors, read and written one matrix at a time."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fairbound.empirical.spin.errors import ScoreFileError

_FORMAT = "spin-scores/1"


class ScoreFile(Mapping[str, Tensor]):
    """Scores in a file, by the name of their weight; each matrix is read when asked for.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    details : dict from str to str
        What was recorded when they were measured.

    Raises
    ------
    ScoreFileError
        If the file cannot be read or holds no scores.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            with safe_open(self.path, framework="pt") as file:
                self.details: dict[str, str] = dict(file.metadata() or {})
                self._names = tuple(file.keys())
        except (OSError, SafetensorError) as error:
            raise ScoreFileError(f"Cannot read the scores {self.path}: {error}.") from error
        if self.details.pop("format_version", None) != _FORMAT:
            raise ScoreFileError(f"{self.path} holds no scores of the format {_FORMAT}; measure them anew.")

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with safe_open(self.path, framework="pt") as file:
            scores: Tensor = file.get_tensor(name)
        return scores

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@contextmanager
def score_file(
    path: Path, shapes: Mapping[str, tuple[int, ...]], details: Mapping[str, str]
) -> Iterator[dict[str, Tensor]]:
    """A new file of float32 scores, zero at first, whose matrices lie on disk while they are added up.

    Parameters
    ----------
    path : pathlib.Path
        Appears when the block ends without an error. Its folder must exist.
    shapes : mapping from str to tuple of int
    details : mapping from str to str
        Recorded with the scores.

    Yields
    ------
    dict from str to Tensor
        Mapped from the file: what is written to them is stored.

    Raises
    ------
    ScoreFileError
        If the file cannot be written.
    """
    # The layout of safetensors: length of the header, header, then the arrays without gaps.
    header: dict[str, object] = {"__metadata__": {**details, "format_version": _FORMAT}}
    offset = 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    scratch = path.with_name(f".{path.name}.partial")
    try:
        with scratch.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + offset)
        data = np.memmap(scratch, dtype="<f4", mode="r+", offset=8 + len(text))
        parts = torch.from_numpy(data).split([math.prod(shape) for shape in shapes.values()])
        yield {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        data.flush()
        scratch.replace(path)
    except OSError as error:
        raise ScoreFileError(f"Cannot write the scores {path}: {error.strerror or error}.") from error
    finally:
        scratch.unlink(missing_ok=True)
