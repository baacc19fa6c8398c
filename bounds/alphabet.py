"""Canonical groups, labels and outputs: what counts as one symbol, whatever array or file it came from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from fairbound.bounds.errors import AlphabetError, MissingValueError, MixedTypesError, ScoresError

Symbol = int | str
"""A group, label or output: an integer or a text."""

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def missing_value(role: str) -> MissingValueError:
    """The error for a NULL, None or NaN in the column that plays `role`."""
    return MissingValueError(
        f"{role} holds missing values (NULL, None or NaN); drop those rows or give them a value of their own, "
        "and say which you did: a certificate covers exactly the rows it counted."
    )


def canonical(value: Any, role: str) -> Symbol:
    """
    Turn one scalar into its symbol.

    Parameters
    ----------
    value : scalar
        Booleans and integral numbers become `int`, text stays text, other scalars (dates, intervals) become
        their text.
    role : str
        What the value is, for error messages (``"y_pred"``, ``"column 'sex'"``).

    Returns
    -------
    int or str

    Raises
    ------
    MissingValueError
        For None, NaN, NaT and pandas' NA.
    ScoresError
        For a number that is not integral.
    AlphabetError
        For values that are not scalars.
    """
    if isinstance(value, str):
        return str(value)
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        raise missing_value(role)
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float | Decimal):
        if math.isnan(value):
            raise missing_value(role)
        if math.isinf(value) or value != int(value):
            raise not_integral(value, role)
        return int(value)
    if isinstance(value, bytes | bytearray | list | tuple | dict | set) or hasattr(value, "__array__"):
        raise AlphabetError(f"{role} holds {type(value).__name__} values; give one integer or text per row.")
    return str(value)


def not_integral(value: Any, role: str) -> ScoresError:
    """The error for a number that is no category."""
    return ScoresError(
        f"{role} holds {value}: a score or measurement, not a category; threshold or bin it first "
        "(a bound for hard labels says nothing about an adversary who sees scores)."
    )


def from_text(values: Iterable[str], role: str) -> dict[str, Symbol]:
    """
    Read the distinct texts of an untyped column (CSV) as symbols: all integers, all booleans, or text.

    Parameters
    ----------
    values : iterable of str
        The column's distinct values.
    role : str
        What the column is, for error messages.

    Returns
    -------
    dict
        From each text to its symbol.

    Raises
    ------
    MissingValueError
        If a value is empty or reads ``nan``.
    ScoresError
        If all values are numbers and some are not integral.
    """
    stripped = {value: value.strip() for value in values}
    texts = list(stripped.values())
    if any(text == "" or text.lower() == "nan" for text in texts):
        raise missing_value(role)
    if texts and all(text.lower() in {"true", "false"} for text in texts):
        return {value: int(text.lower() == "true") for value, text in stripped.items()}
    if all(_INTEGER.fullmatch(text) for text in texts):
        return {value: int(text.split(".")[0]) for value, text in stripped.items()}
    # Codes with leading zeros ("01") are names, and one text makes the whole column text.
    if texts and all(_NUMBER.fullmatch(text) for text in texts):
        for text in texts:
            if not Decimal(text) == int(Decimal(text)):
                raise not_integral(text, role)
    return dict(stripped)


def one_kind(symbols: Iterable[Symbol], role: str) -> None:
    """
    Check that all symbols are integers, or all are text.

    Raises
    ------
    MixedTypesError
        If both kinds occur.
    """
    kinds: dict[type, Symbol] = {}
    for symbol in symbols:
        kinds.setdefault(type(symbol), symbol)
    if len(kinds) > 1:
        raise MixedTypesError(
            f"{role} mixes text ({kinds[str]!r}) and numbers ({kinds[int]!r}); use one kind for all rows."
        )
