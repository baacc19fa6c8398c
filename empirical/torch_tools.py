"""Small helpers around torch's global state: seeds, threads, devices and batches of any input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairbound.empirical.errors import TrainingInputError

#: What a module is called with: one tensor, or named tensors passed as keyword arguments.
Inputs = Tensor | dict[str, Tensor]

#: Input numbers per block when all rows are gone through, a bound on the memory that takes. A module whose inner
#: layers are far wider than its input sets the number of rows itself, by an attribute ``rows_at_once``.
_BLOCK_NUMBERS = 2**19


def resolve_device(name: str) -> torch.device:
    """The device that a setting names.

    Parameters
    ----------
    name : str
        "cpu", "cuda" (or "cuda:1", ...), or "auto": a CUDA device if there is one, else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    TrainingInputError
        If there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingInputError(f"device={name!r} is no device; use 'auto', 'cpu' or 'cuda'.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TrainingInputError(
            f"device={name!r}, and torch sees {torch.cuda.device_count()} CUDA devices; use 'auto' or 'cpu'."
        )
    return device


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """Forward passes in bfloat16 where it pays, which is on CUDA devices alone.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    context manager
    """
    return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Run a block under its own torch seed and put the global generators back afterwards.

    Parameters
    ----------
    seed : int
    device : torch.device
        Device whose generator is used besides the CPU's.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block on one torch thread, so that sums, and so results, do not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def derived_seed(*parts: int) -> int:
    """A 63-bit seed that is a function of several whole numbers and of their order.

    Parameters
    ----------
    *parts : int
        Non-negative.

    Returns
    -------
    int
    """
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def as_inputs(x: Any) -> Inputs:
    """Turn rows into what a module takes.

    Parameters
    ----------
    x : Tensor, array-like, data frame of numbers, or mapping from str to one of them
        First axis: rows. Floats become float32; whole numbers (token ids, say) stay whole.

    Returns
    -------
    Tensor or dict of str to Tensor

    Raises
    ------
    TrainingInputError
        If the rows are not numbers, or the parts of a mapping have different lengths.
    """
    if isinstance(x, Mapping):
        parts = {str(name): _as_tensor(part) for name, part in x.items()}
        if len({len(part) for part in parts.values()}) != 1:
            raise TrainingInputError("The named parts of X must all have the same, non-zero number of rows.")
        return parts
    return _as_tensor(x)


def _as_tensor(x: Any) -> Tensor:
    tensor: Tensor
    if isinstance(x, Tensor):
        tensor = x
    else:
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise TrainingInputError(
                f"X holds {array.dtype}, not numbers; encode it first (TabularEncoder does for data frames)."
            )
        # A copy: torch shares memory with NumPy and warns about arrays that it may not write to.
        tensor = torch.from_numpy(np.array(array))
    if tensor.is_floating_point():
        tensor = tensor.float()
        if not bool(torch.isfinite(tensor).all()):
            raise TrainingInputError("X holds NaN or infinity; impute or drop those rows.")
    return tensor


def row_count(x: Inputs) -> int:
    """Number of rows of `x`."""
    return len(next(iter(x.values())) if isinstance(x, dict) else x)


def take(x: Inputs, index: Tensor | slice) -> Inputs:
    """Rows of `x`, in the order of `index`."""
    return {name: part[index] for name, part in x.items()} if isinstance(x, dict) else x[index]


def stack(first: Inputs, second: Inputs) -> Inputs:
    """Rows of `first` followed by those of `second`.

    Raises
    ------
    TrainingInputError
        If the two do not have the same form.
    """
    try:
        if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
            return {name: torch.cat([part, second[name]]) for name, part in first.items()}
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            return torch.cat([first, second])
    except RuntimeError:
        pass
    raise TrainingInputError("X and X_rehearsal must have the same columns (or named parts) and shapes.")


def to_device(x: Inputs, device: torch.device) -> Inputs:
    """`x` on a device."""
    return {name: part.to(device) for name, part in x.items()} if isinstance(x, dict) else x.to(device)


def class_logits(module: nn.Module, x: Inputs) -> Tensor:
    """Outputs of a module as one column per class.

    Parameters
    ----------
    module : torch.nn.Module
        Returns logits of shape (n, K), or one logit of class 1 of shape (n,) or (n, 1).
    x : Tensor or dict of str to Tensor
        On the device of the module.

    Returns
    -------
    Tensor of float32, shape (n, K), K >= 2
    """
    first = next(iter(x.values())) if isinstance(x, dict) else x
    with mixed_precision(first.device):
        out = module(**x) if isinstance(x, dict) else module(x)
    # Models of the transformers library return a record that holds the logits.
    out = getattr(out, "logits", out).float()
    if out.ndim == 1:
        out = out[:, None]
    return torch.cat([torch.zeros_like(out), out], dim=1) if out.shape[1] == 1 else out


def all_logits(module: nn.Module, x: Inputs, device: torch.device) -> Tensor:
    """Class logits of every row without gradients, in evaluation mode, a block of rows at a time.

    Parameters
    ----------
    module : torch.nn.Module
        Left in the mode in which it came. Its attribute ``rows_at_once``, if any, is the size of a block.
    x : Tensor or dict of str to Tensor
        On any device.
    device : torch.device
        Where the module is.

    Returns
    -------
    Tensor, shape (n, K)
        On `device`.
    """
    first = take(x, slice(0, 1))
    width = sum(part.numel() for part in first.values()) if isinstance(first, dict) else first.numel()
    block: int = getattr(module, "rows_at_once", max(64, _BLOCK_NUMBERS // max(1, width)))
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            blocks = [
                class_logits(module, to_device(take(x, slice(i, i + block)), device))
                for i in range(0, row_count(x), block)
            ]
    finally:
        module.train(was_training)
    return torch.cat(blocks)
