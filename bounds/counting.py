"""Counting parallel arrays: one pass in blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbound.bounds.alphabet import Symbol, canonical, intersections, missing_value, not_integral, one_kind
from fairbound.bounds.errors import AlphabetError, EmptyInputError, LengthMismatchError

_BLOCK = 1 << 16
_MAX_SYMBOLS = 4096
# Up to this many cells, one comparison per cell beats a histogram.
_MAX_COMPARED_CELLS = 24


def cross_tabulate(
    columns: Mapping[str, Any], declared_groups: Collection[Any] | None = None
) -> dict[tuple[Symbol, Symbol, Symbol], int]:
    """
    Count how often each combination of three columns' values occurs.

    Parameters
    ----------
    columns : mapping of str to array-like of shape (n,)
        Exactly three, by the name that error messages use. The first may hold several columns; its values are then
        their intersections.
    declared_groups : collection, optional
        Values of the first column that are accepted even if a part of them reads like a missing value.

    Returns
    -------
    dict
        From value triples to positive counts.

    Raises
    ------
    LengthMismatchError, EmptyInputError, AlphabetError, MissingValueError, ScoresError, MixedTypesError
    """
    (feature, given), *others = columns.items()
    features = {role: one_dimensional(values, role) for role, values in _feature_columns(given, feature).items()}
    arrays = features | {role: one_dimensional(values, role) for role, values in others}
    lengths = {role: len(array) for role, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        described = ", ".join(f"{role} {n}" for role, n in lengths.items())
        raise LengthMismatchError(f"arrays of different lengths ({described}); each row needs all of them.")
    if not next(iter(lengths.values())):
        raise EmptyInputError("the arrays are empty; there are no rows to count.")
    coded = [_encode_features(features, declared_groups), *(_encode(arrays[role], role) for role, _ in others)]
    alphabets = [alphabet for alphabet, _ in coded]
    histogram = _histogram([codes for _, codes in coded], [len(alphabet) for alphabet in alphabets])
    return {
        (alphabets[0][i], alphabets[1][j], alphabets[2][k]): int(histogram[i, j, k])
        for i, j, k in np.argwhere(histogram)
    }


def _feature_columns(values: Any, role: str) -> dict[str, Any]:
    """Columns of the sensitive attributes by what error messages call them; one array-like is one column."""
    if isinstance(values, Mapping):
        columns = {f"{role}[{name!r}]": column for name, column in values.items()}
    elif isinstance(values, np.ndarray) and values.ndim == 2:
        columns = {f"{role}[{i}]": values[:, i] for i in range(values.shape[1])}
    elif isinstance(values, list | tuple) and _are_columns(values):
        columns = {f"{role}[{i}]": column for i, column in enumerate(values)}
    else:
        # pyarrow's tables hold their columns, not the names, as `columns`.
        names = getattr(values, "column_names", getattr(values, "columns", None))
        columns = {} if names is None else {f"{role}[{name!r}]": values[name] for name in names}
    return columns if len(columns) > 1 else {role: next(iter(columns.values()), values)}


def _are_columns(values: Collection[Any]) -> bool:
    """Whether a list holds columns, rather than scalars or rows of one entry."""
    if any(isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__") for value in values):
        return False
    return len(values) == 1 or any(len(value) != 1 for value in values)


def _encode_features(
    features: Mapping[str, NDArray[Any]], declared: Collection[Any] | None
) -> tuple[list[Symbol], NDArray[Any]]:
    """Alphabet of the intersections of some columns, and each row's position in it."""
    coded = [_encode(array, role) for role, array in features.items()]
    if len(coded) == 1:
        return coded[0]
    parts: list[tuple[Symbol, ...]] = [()]
    codes: NDArray[Any] = np.zeros(len(coded[0][1]), np.int64)
    for alphabet, column in coded:
        # Only what occurs is kept, so the product of the alphabets never grows.
        present, codes = np.unique(codes * len(alphabet) + column, return_inverse=True)
        parts = [(*parts[i // len(alphabet)], alphabet[i % len(alphabet)]) for i in present.tolist()]
        _few_enough(len(parts), " and ".join(features))
    names = intersections(parts, list(features), declared)
    return [names[combination] for combination in parts], codes


def encode(
    values: Any, role: str, *, several: bool = False, declared: Collection[Any] | None = None
) -> tuple[list[Symbol], NDArray[Any]]:
    """
    Read one column of categories, or the intersections of several.

    Parameters
    ----------
    values : array-like of shape (n,), or (n, k) if `several`
    role : str
        What the column is called in error messages.
    several : bool
        Whether `values` may hold several columns, as for `cross_tabulate`'s first.
    declared : collection, optional
        As `declared_groups` of `cross_tabulate`.

    Returns
    -------
    list of Symbol, and array of shape (n,)
        The alphabet, and each row's position in it.

    Raises
    ------
    LengthMismatchError, EmptyInputError, AlphabetError, MissingValueError, ScoresError, MixedTypesError
    """
    columns = _feature_columns(values, role) if several else {role: values}
    arrays = {name: one_dimensional(column, name) for name, column in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        described = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise LengthMismatchError(f"arrays of different lengths ({described}); each row needs all of them.")
    if not next(iter(lengths.values())):
        raise EmptyInputError("the arrays are empty; there are no rows to count.")
    return _encode_features(arrays, declared)


def one_dimensional(values: Any, role: str) -> NDArray[Any]:
    """
    Read a column as an array of shape (n,), numbers beside text kept apart.

    Raises
    ------
    MissingValueError, AlphabetError
    """
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise missing_value(role, "masked entries")
    try:
        array = np.asarray(values)
        # NumPy turns numbers beside text into text, and large integers into floats: look at what was given.
        if not hasattr(values, "__array__") and array.dtype.kind in "Uf":
            array = np.asarray(values, dtype=object)
    except (TypeError, ValueError) as error:
        raise AlphabetError(f"{role} is no array of one value per row ({error}).") from None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise AlphabetError(f"{role} has shape {array.shape}; give one value per row (shape (n,)).")
    return array


def _encode(array: NDArray[Any], role: str) -> tuple[list[Symbol], NDArray[Any]]:
    """Alphabet of a column, and each row's position in it."""
    kind = array.dtype.kind
    if kind == "b":
        return [0, 1], array.view(np.uint8)
    if kind == "f":
        if np.isnan(array).any():
            raise missing_value(role)
        integral = np.isfinite(array)
        integral &= array == np.trunc(array)
        if not integral.all():
            raise not_integral(array[~integral][0], role)
        if np.abs(array).max() >= 2**53:
            return _encode_objects(array.astype(object), role)
        array, kind = array.astype(np.int64), "i"
    if kind in "iu":
        return _encode_integers(array, role)
    if kind == "U":
        return _encode_text(array, role)
    if kind in "Mm":
        if np.isnat(array).any():
            raise missing_value(role, "NaT")
        array = array.astype(str).astype(object)
    return _encode_objects(array.astype(object), role)


def _encode_integers(array: NDArray[Any], role: str) -> tuple[list[Symbol], NDArray[Any]]:
    low, high = int(array.min()), int(array.max())
    canonical(low, role)
    canonical(high, role)
    if high - low > 255:
        values, codes = np.unique(array, return_inverse=True)
        _few_enough(len(values), role)
        return [int(v) for v in values], codes
    if low == 0 and array.dtype.itemsize == 1:
        return list(range(high + 1)), array.view(np.uint8)
    codes = np.empty(len(array), np.uint8)
    for start in range(0, len(array), _BLOCK):
        block = slice(start, start + _BLOCK)
        np.subtract(array[block], low, out=codes[block], casting="unsafe")
    return list(range(low, high + 1)), codes


def _encode_text(array: NDArray[Any], role: str) -> tuple[list[Symbol], NDArray[Any]]:
    """Code fixed-width text by one comparison per symbol and block; fall back to sorting for many symbols."""
    symbols: list[str] = []
    codes = np.empty(len(array), np.uint8)
    for start in range(0, len(array), _BLOCK):
        text, code = array[start : start + _BLOCK], codes[start : start + _BLOCK]
        left = np.ones(len(text), bool)
        position = 0
        while True:
            if position == len(symbols):
                remaining = int(left.argmax())
                if not left[remaining]:
                    break
                if len(symbols) == 64:
                    values, wide = np.unique(array, return_inverse=True)
                    _few_enough(len(values), role)
                    return [str(v) for v in values], wide
                symbols.append(str(text[remaining]))
            same = text == symbols[position]
            code[same] = position
            left &= ~same
            position += 1
    return list(symbols), codes


class _Coder(dict[Any, int]):
    """Assigns the next code to each new value; equal symbols (1, 1.0, True) share one."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role = role
        self.symbols: dict[Symbol, int] = {}

    def __missing__(self, value: Any) -> int:
        symbol = canonical(value, self.role)
        code = self.symbols.setdefault(symbol, len(self.symbols))
        _few_enough(len(self.symbols), self.role)
        self[value] = code
        return code


def _encode_objects(array: NDArray[Any], role: str) -> tuple[list[Symbol], NDArray[Any]]:
    coder = _Coder(role)
    codes = np.empty(len(array), np.uint16)
    try:
        for start in range(0, len(array), _BLOCK):
            block = array[start : start + _BLOCK].tolist()
            codes[start : start + len(block)] = np.fromiter(map(coder.__getitem__, block), np.uint16, len(block))
    except TypeError as error:
        raise AlphabetError(f"{role} holds values that are no scalars ({error}).") from None
    one_kind(coder.symbols, role)
    return list(coder.symbols), codes


def _few_enough(n: int, role: str) -> None:
    if n > _MAX_SYMBOLS:
        raise AlphabetError(
            f"{role} takes more than {_MAX_SYMBOLS} different values; is it really a category? Bin it first."
        )


def _histogram(codes: list[NDArray[Any]], sizes: list[int]) -> NDArray[np.int64]:
    cells = sizes[0] * sizes[1] * sizes[2]
    if cells > 50_000_000:
        raise AlphabetError(f"{sizes[0]} x {sizes[1]} x {sizes[2]} values are too many cells; are these categories?")
    total = np.zeros(cells, np.int64)
    same = np.empty(_BLOCK, bool)
    width: type[np.generic] = np.uint8 if cells <= 256 else np.int64
    for start in range(0, len(codes[0]), _BLOCK):
        block = slice(start, start + _BLOCK)
        code = codes[0][block].astype(width)
        for column, size in zip(codes[1:], sizes[1:], strict=True):
            code *= size
            np.add(code, column[block], out=code, casting="unsafe")
        if cells <= _MAX_COMPARED_CELLS:
            left = len(code)
            for cell in range(cells - 1):
                n = int(np.count_nonzero(np.equal(code, cell, out=same[: len(code)])))
                total[cell] += n
                left -= n
            total[-1] += left
        else:
            total += np.bincount(code, minlength=cells)
    return total.reshape(sizes)
