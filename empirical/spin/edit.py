"""Zeroing weights as a small file that can be applied, undone and inspected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fairbound.bounds.files import write_atomically
from fairbound.empirical.spin.errors import EditFileError
from fairbound.empirical.spin.models import LanguageModel
from fairbound.empirical.spin.selection import Selection

FORMAT = "spin-edit/1"

#: Larger files are refused unread. Twelve bytes a weight at most: 40 million weights.
MAX_BYTES = 2**29

_MAX_MATRICES = 100_000
_MAX_NAME = 500
_INDEX_TYPES = (torch.int32, torch.int64)
_VALUE_TYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class MatrixEdit:
    """Zeroed weights of one matrix.

    Attributes
    ----------
    shape : tuple of int
        Of the matrix.
    indices : Tensor of int64, shape (k,)
        Flat, row by row; ascending.
    values : Tensor, shape (k,)
        What stood there, in the matrix's own number format.
    before, after : str
        Digest of the matrix (`digest`) before and after the edit.
    """

    shape: tuple[int, ...]
    indices: Tensor
    values: Tensor
    before: str
    after: str


@dataclass(frozen=True)
class SpinEdit:
    """Zeroed weights of a model, with their old values.

    Attributes
    ----------
    model : str
        Name of the model that it was made for; the digests decide whether it fits.
    matrices : dict from str to MatrixEdit
        By the name of the weight.
    """

    model: str
    matrices: Mapping[str, MatrixEdit]

    @classmethod
    def of(cls, language_model: LanguageModel, selection: Selection) -> Self:
        """The edit that zeroes selected weights; the model stays as it is.

        Parameters
        ----------
        language_model : LanguageModel
        selection : Selection

        Returns
        -------
        SpinEdit

        Raises
        ------
        EditFileError
            If the model has no such matrix or an index lies outside it, or two names are of one matrix.
        """
        weights = _weights(language_model.model, selection)
        matrices = {}
        for name, chosen in selection.items():
            weight = weights[name]
            indices = torch.unique(chosen.to(torch.int64).cpu())
            if len(indices) == 0 or int(indices[0]) < 0 or int(indices[-1]) >= weight.numel():
                raise EditFileError(f"The selection of {name} is empty or goes beyond its {weight.numel()} weights.")
            old = weight.reshape(-1)[indices.to(weight.device)].cpu().clone()
            edited = _with_values(weight, indices, torch.zeros_like(old))
            matrices[name] = MatrixEdit(tuple(weight.shape), indices, old, digest(weight), digest(edited))
        return cls(language_model.name, matrices)

    def apply(self, model: Any) -> None:
        """Set the weights to zero, all of them or, on an error, none.

        Parameters
        ----------
        model : transformers.PreTrainedModel
            Changed in place.

        Raises
        ------
        EditFileError
            If a matrix is not, bit for bit, the one that the edit was made for, or would not become the recorded one.
        """
        self._write(model, undo=False)

    def undo(self, model: Any) -> None:
        """Put the old weights back, bit for bit, all of them or, on an error, none.

        Parameters
        ----------
        model : transformers.PreTrainedModel
            Changed in place.

        Raises
        ------
        EditFileError
            If a matrix is not, bit for bit, the edited one, or would not become the one before the edit.
        """
        self._write(model, undo=True)

    def _write(self, model: Any, *, undo: bool) -> None:
        weights = _weights(model, self.matrices)
        # Everything is checked before anything is written.
        for name, part in self.matrices.items():
            start, end = (part.after, part.before) if undo else (part.before, part.after)
            weight, found = weights[name], digest(weights[name])
            if tuple(weight.shape) != part.shape or found != start:
                raise EditFileError(
                    f"{name} has the digest {found[:16]}, not {start[:16]} as this edit of {self.model} needs to be "
                    f"{'undone' if undo else 'applied'}; load the very weights, in the same number format."
                )
            if digest(_with_values(weight, part.indices, self._new_values(part, undo))) != end:
                raise EditFileError(
                    f"The edit of {name} does not lead to its recorded digest {end[:16]}; it is damaged."
                )
        with torch.no_grad():
            for name, part in self.matrices.items():
                new = self._new_values(part, undo).to(weights[name])
                weights[name].view(-1)[part.indices.to(new.device)] = new

    @staticmethod
    def _new_values(part: MatrixEdit, undo: bool) -> Tensor:
        return part.values if undo else torch.zeros_like(part.values)

    def summary(self) -> list[dict[str, Any]]:
        """What is zeroed in each matrix.

        Returns
        -------
        list of dict
            Keys "name", "zeroed" (number of weights), "of" (weights of the matrix) and "largest" (absolute old value).
        """
        return [
            {
                "name": name,
                "zeroed": len(part.indices),
                "of": torch.Size(part.shape).numel(),
                "largest": float(part.values.float().abs().max()),
            }
            for name, part in self.matrices.items()
        ]

    def save(self, path: Path | str) -> None:
        """Write the edit as a safetensors file.

        Parameters
        ----------
        path : path

        Raises
        ------
        EditFileError
            If it cannot be written.
        """
        tensors = {}
        for name, part in self.matrices.items():
            small = torch.Size(part.shape).numel() <= torch.iinfo(torch.int32).max
            # Copies: safetensors would refuse, or store whole, tensors that share memory.
            tensors[f"{name}:indices"] = part.indices.to(torch.int32 if small else torch.int64).clone()
            tensors[f"{name}:values"] = part.values.clone()
        details = {name: [list(part.shape), part.before, part.after] for name, part in self.matrices.items()}
        metadata = {"format_version": FORMAT, "model": self.model, "matrices": json.dumps(details)}
        try:
            write_atomically(Path(path), save(tensors, metadata))
        except OSError as error:
            raise EditFileError(f"Cannot write the edit {path}: {error.strerror or error}.") from error

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read an edit file, which may come from anywhere.

        Parameters
        ----------
        path : path

        Returns
        -------
        SpinEdit

        Raises
        ------
        EditFileError
            If it is no edit file, is damaged, or is larger than `MAX_BYTES`.
        """
        try:
            with Path(path).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise EditFileError(f"Cannot read the edit {path}: {error.strerror or error}.") from error
        if len(content) > MAX_BYTES:
            raise EditFileError(f"{path} is larger than {MAX_BYTES} bytes, the limit for edits.")
        try:
            tensors = load(content)
            metadata = _metadata(content)
            if metadata["format_version"] != FORMAT:
                raise EditFileError(f"{path} has the format {metadata['format_version']!r:.40}, not {FORMAT!r}.")
            details = json.loads(metadata["matrices"])
            if len(tensors) != 2 * len(details) or not 0 < len(details) <= _MAX_MATRICES:
                raise ValueError("matrices and arrays do not correspond")
            matrices = {
                name: _checked(name, tensors[f"{name}:indices"], tensors[f"{name}:values"], *detail)
                for name, detail in details.items()
            }
            return cls(metadata["model"], matrices)
        except (SafetensorError, KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
            if isinstance(error, EditFileError):
                raise
            raise EditFileError(f"{path} is no {FORMAT} file: {' '.join(str(error).split())[:200]}.") from error


def digest(weight: Tensor) -> str:
    """SHA-256 of a tensor's number format, shape and bytes.

    Parameters
    ----------
    weight : Tensor

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    flat = weight.detach().cpu().contiguous().reshape(-1)
    found = hashlib.sha256(f"{weight.dtype} {tuple(weight.shape)}\n".encode())
    found.update(flat.view(torch.uint8).numpy().data)
    return found.hexdigest()


def _weights(model: Any, names: Mapping[str, object]) -> dict[str, Tensor]:
    """The named weights of a model."""
    known = dict(model.named_parameters(remove_duplicate=False))
    weights = {}
    for name in names:
        if name not in known:
            raise EditFileError(f"The model has no weight {name}; the edit is of another model.")
        weights[name] = known[name].detach()
        if not weights[name].is_contiguous():
            raise EditFileError(f"{name} is not stored row by row; load the model from its files.")
    if len({weight.data_ptr() for weight in weights.values()}) != len(weights):
        raise EditFileError("Two of the edit's names are of one shared matrix; name it once.")
    return weights


def _with_values(weight: Tensor, indices: Tensor, values: Tensor) -> Tensor:
    """A copy of a weight with other values at some places."""
    copy = weight.detach().cpu().clone().reshape(-1)
    if values.dtype != copy.dtype:
        raise EditFileError(f"The edit holds {values.dtype}, the model {copy.dtype}; load the model in that format.")
    copy[indices] = values
    return copy.reshape(weight.shape)


def _metadata(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file; raises ValueError or KeyError for what is none."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError("the header is cut off")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata


def _checked(name: str, indices: Tensor, values: Tensor, shape: Any, before: Any, after: Any) -> MatrixEdit:
    """One matrix of an untrusted file; raises ValueError for what no edit can be."""
    sizes = tuple(shape)
    if len(name) > _MAX_NAME or len(sizes) != 2 or not all(type(n) is int and 0 < n < 2**31 for n in sizes):
        raise ValueError(f"{name[:60]!r} has no matrix shape")
    if indices.ndim != 1 or indices.shape != values.shape or len(indices) == 0:
        raise ValueError(f"indices and values of {name} do not correspond")
    if indices.dtype not in _INDEX_TYPES or values.dtype not in _VALUE_TYPES:
        raise ValueError(f"indices or values of {name} have the wrong number format")
    places = indices.to(torch.int64)
    if int(places[0]) < 0 or int(places[-1]) >= sizes[0] * sizes[1] or not bool((places[1:] > places[:-1]).all()):
        raise ValueError(f"indices of {name} are not ascending within the matrix")
    for text in (before, after):
        if not isinstance(text, str) or len(text) != 64 or not set(text) <= set("0123456789abcdef"):
            raise ValueError(f"{name} has no digest")
    return MatrixEdit(sizes, places, values, before, after)
