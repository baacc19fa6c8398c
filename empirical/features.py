"""Outputs of pre-trained networks, computed once per row and kept on disk.

A row is known by the SHA-256 of its contents, so any selection of rows in any order finds what was computed
before: splits, draws and seeds share one computation. What else the features are a function of (the digest of the
weights, the preprocessing, the kind of device) names the folder. Files are parts of some thousand rows, written
atomically as they come and named after their own digest: a killed computation goes on where it stopped, processes
may compute at the same time, and a damaged part is noticed and computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from torch import nn

from fairbound.bounds.files import write_atomically
from fairbound.empirical.data.wheels import cache_dir
from fairbound.empirical.errors import DataUnavailableError
from fairbound.empirical.torch_tools import all_logits, resolve_device


class FeatureStore:
    """Feature vectors on disk, found by the digest of the row they belong to.

    Parameters
    ----------
    folder : pathlib.Path
        Created if need be. Parts in it that do not have the digest that their name states, or not the expected
        form, are deleted.
    width : int
        Numbers per row.

    Raises
    ------
    DataUnavailableError
        If the folder cannot be read or written.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self._folder = folder
        self._form = np.dtype([("row", np.uint8, (32,)), ("features", np.float32, (width,))])
        self._parts: list[NDArray[Any]] = []
        self._place: dict[bytes, tuple[int, int]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob("*.npy")):
                self._open(path)
        except OSError as error:
            raise _unusable(folder, error) from error

    def __contains__(self, row: bytes) -> bool:
        return row in self._place

    def add(self, rows: Sequence[bytes], features: NDArray[np.float32]) -> None:
        """Keep the features of some rows.

        Parameters
        ----------
        rows : sequence of bytes, each of length 32
            SHA-256 of each row's contents.
        features : ndarray of float32, shape (n_rows, width)

        Raises
        ------
        DataUnavailableError
            If they cannot be written.
        """
        table = np.empty(len(rows), dtype=self._form)
        table["row"] = np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 32)
        table["features"] = features
        buffer = io.BytesIO()
        np.save(buffer, table, allow_pickle=False)
        content = buffer.getvalue()
        path = self._folder / f"{hashlib.sha256(content).hexdigest()}.npy"
        try:
            write_atomically(path, content)
            self._open(path)
        except OSError as error:
            raise _unusable(self._folder, error) from error

    def take(self, rows: Sequence[bytes]) -> NDArray[np.float32]:
        """Features of rows that the store holds.

        Parameters
        ----------
        rows : sequence of bytes

        Returns
        -------
        ndarray of float32, shape (n_rows, width)
        """
        places = np.array([self._place[row] for row in rows], dtype=np.int64).reshape(-1, 2)
        features = np.empty((len(rows), *self._form["features"].shape), dtype=np.float32)
        for number in np.unique(places[:, 0]):
            here = np.flatnonzero(places[:, 0] == number)
            features[here] = self._parts[number]["features"][places[here, 1]]
        return features

    def _open(self, path: Path) -> None:
        """Map a part into memory if it is whole, else delete it."""
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            # Another process has found it damaged and deleted it.
            return
        part: NDArray[Any] | None = None
        if digest == path.stem:
            with suppress(ValueError, EOFError):
                part = np.load(path, mmap_mode="r", allow_pickle=False)
        if part is None or part.dtype != self._form or part.ndim != 1:
            path.unlink(missing_ok=True)
            return
        for i, row in enumerate(np.ascontiguousarray(part["row"])):
            self._place[row.tobytes()] = (len(self._parts), i)
        self._parts.append(part)


class FrozenFeatures(ABC, TransformerMixin, BaseEstimator):
    """Outputs of a pre-trained network whose weights stay as they are, computed once per row.

    A scikit-learn transformer that learns nothing from the rows it is fitted on. Features lie in the user's cache
    folder (``FAIRBOUND_CACHE`` chooses another); the network is loaded only when a row is new. It stays in
    evaluation mode.

    Parameters
    ----------
    device : str, default "cpu"
        See `fairbound.empirical.torch_tools.resolve_device`. Kinds of devices have features of their own: they
        agree to rounding only (to that of bfloat16 on a GPU).
    progress : callable, optional
        Called with the number of rows done and in all, after each part that had to be computed.
    """

    #: Numbers per row.
    width: int

    #: Rows per part: what a kill loses at most.
    part_rows = 1024

    def __init__(self, *, device: str = "cpu", progress: Callable[[int, int], None] | None = None) -> None:
        self.device = device
        self.progress = progress

    @abstractmethod
    def _identity(self) -> dict[str, Any]:
        """What the features are a function of besides the row: "name", digest of the weights, preprocessing."""

    @abstractmethod
    def _rows(self, X: Any) -> Sequence[Any] | NDArray[Any]:
        """The rows, checked."""

    @abstractmethod
    def _contents(self, row: Any) -> bytes:
        """Bytes that differ between any two different rows."""

    @abstractmethod
    def _network(self) -> nn.Module:
        """The network, in evaluation mode."""

    @abstractmethod
    def _compute(self, network: nn.Module, rows: list[Any], device: torch.device) -> NDArray[np.float32]:
        """Features of at most `part_rows` rows."""

    def folder(self) -> Path:
        """Folder in the cache that holds the features of this network.

        Returns
        -------
        pathlib.Path
        """
        identity = self._identity() | {"device": resolve_device(self.device).type}
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return cache_dir() / "features" / f"{identity['name']}-{digest[:16]}"

    def fit(self, X: Any = None, y: object = None) -> Self:
        """Do nothing: the network is trained already.

        Parameters
        ----------
        X, y : ignored

        Returns
        -------
        self
        """
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Features of rows, from the cache as far as it has them.

        Parameters
        ----------
        X : rows of the modality, n_rows

        Returns
        -------
        ndarray of float32, shape (n_rows, width)
            The same bits for a row each time it is asked for.

        Raises
        ------
        TrainingInputError
            If the rows are not of the modality.
        DataUnavailableError
            If the weights are needed and cannot be downloaded, or the cache cannot be written.
        DataIntegrityError
            If the downloaded weights are not the pinned ones.
        """
        rows = self._rows(X)
        keys = [hashlib.sha256(self._contents(row)).digest() for row in rows]
        store = FeatureStore(self.folder(), self.width)
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in store}
        missing = sorted(first.values())
        if missing:
            device = resolve_device(self.device)
            network = self._network().to(device).eval()
            for start in range(0, len(missing), self.part_rows):
                part = missing[start : start + self.part_rows]
                store.add([keys[i] for i in part], self._compute(network, [rows[i] for i in part], device))
                if self.progress is not None:
                    self.progress(start + len(part), len(missing))
        return store.take(keys)


def outputs(network: nn.Module, inputs: NDArray[Any], device: torch.device) -> NDArray[np.float32]:
    """What a network gives for each row, without gradients.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, on `device`.
    inputs : ndarray, n_rows
    device : torch.device

    Returns
    -------
    ndarray of float32, shape (n_rows, width)
    """
    return all_logits(network, torch.from_numpy(inputs), device).cpu().numpy()


def _unusable(folder: Path, error: OSError) -> DataUnavailableError:
    return DataUnavailableError(
        f"Cannot use the cache folder {folder}: {error.strerror}. "
        "Set FAIRBOUND_CACHE to a folder that you can write to."
    )
