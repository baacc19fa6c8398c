"""Decoding images once, into a cache that is mapped into memory."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairbound.bounds.files import write_atomically
from fairbound.empirical.data.wheels import cache_dir
from fairbound.empirical.errors import DataIntegrityError, DataUnavailableError


def decoded(key: str, images: Iterable[tuple[str, bytes]], count: int, size: int) -> NDArray[np.uint8]:
    """Decode images, or take them from the cache.

    Parameters
    ----------
    key : str
        Digest of the files that the images come from; names the cached array.
    images : iterable of (str, bytes)
        Name and encoded contents of each image; not consumed if the cache holds them.
    count : int
        Number of images.
    size : int
        Height and width; images of another size are resampled (Lanczos).

    Returns
    -------
    ndarray of uint8, shape (count, size, size, 3)
        Red, green, blue; mapped into memory copy-on-write, so that the file stays as it is.

    Raises
    ------
    DataIntegrityError
        If an image cannot be decoded.
    DataUnavailableError
        If the cache cannot be written.
    """
    folder = cache_dir() / "images"
    target, seal = folder / f"{key}-{size}.npy", folder / f"{key}-{size}.sha256"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_whole(target, seal):
            # Under a new name first, so that no reader sees a part of it.
            scratch = folder / f".{target.name}.{secrets.token_hex(6)}"
            try:
                _decode_into(scratch, images, (count, size, size, 3))
                write_atomically(seal, _digest(scratch).encode())
                os.replace(scratch, target)
            finally:
                scratch.unlink(missing_ok=True)
        array: NDArray[np.uint8] = np.load(target, mmap_mode="c", allow_pickle=False)
    except OSError as error:
        raise DataUnavailableError(
            f"Cannot use the cache folder {folder}: {error.strerror or error}. "
            "Set FAIRBOUND_CACHE to a folder that you can write to."
        ) from error
    return array


def _decode_into(path: Path, images: Iterable[tuple[str, bytes]], shape: tuple[int, int, int, int]) -> None:
    from PIL import Image, UnidentifiedImageError

    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    size = shape[1:3]
    for i, (name, content) in enumerate(images):
        try:
            with Image.open(io.BytesIO(content)) as image:
                pixels = image.convert("RGB")
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataIntegrityError(f"{name} cannot be decoded as an image ({type(error).__name__}).") from error
        array[i] = pixels if pixels.size == size else pixels.resize(size, Image.Resampling.LANCZOS)
    array.flush()


def _is_whole(target: Path, seal: Path) -> bool:
    return target.is_file() and seal.is_file() and seal.read_text().strip() == _digest(target)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
