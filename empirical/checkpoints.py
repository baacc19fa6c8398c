"""Checkpoint files of a training run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from fairbound.bounds.files import write_atomically
from fairbound.empirical.errors import CheckpointError


def save_checkpoint(path: Path, run: str, state: dict[str, Any]) -> None:
    """Replace a checkpoint file atomically.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is created if need be.
    run : str
        Fingerprint of the run (data and settings).
    state : dict
        Tensors, numbers and strings in dicts and lists.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"run": run, "state": state}, buffer)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise CheckpointError(f"Cannot write the checkpoint {path}: {error.strerror}.") from error


def load_checkpoint(path: Path, run: str) -> dict[str, Any] | None:
    """Read a checkpoint, if there is one.

    Parameters
    ----------
    path : pathlib.Path
    run : str
        Fingerprint that the checkpoint must carry.

    Returns
    -------
    dict or None
        None if the file does not exist.

    Raises
    ------
    CheckpointError
        If the file is unreadable or belongs to a run with other data or settings.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"Cannot read the checkpoint {path}: {error.strerror}.") from error
    try:
        # weights_only: a checkpoint from elsewhere must not be able to run code.
        kept = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        owner, state = kept["run"], kept["state"]
    except Exception as error:
        # Whatever a damaged or foreign file makes the reader raise.
        raise CheckpointError(f"{path} is no readable checkpoint; delete it to start afresh.") from error
    if owner != run:
        raise CheckpointError(
            f"{path} belongs to a run with other data or settings; delete it or name another checkpoint file."
        )
    restored: dict[str, Any] = state
    return restored
