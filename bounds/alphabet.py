"""Canonical groups, labels and outputs: what counts as one symbol, whatever array or file it came from."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

from fairbound.bounds.errors import AlphabetError, MissingValueError, MixedTypesError, ScoresError

Symbol = int | str
"""A group, label or output: an integer or a text."""

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,40})(\.0{0,40})?", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
_INFINITY = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)


MISSING_TEXT = frozenset({"", "nan", "nat", "na", "n/a", "#n/a", "<na>", "null", "none"})
"""Texts (in any case) that mean a missing value, unless they are declared as symbols."""

MAX_INTEGER = 10**18
"""Integers from here on are identifiers or overflows, not categories."""

_TEXTUAL = ("datetime", "uuid", "pandas")
"""Modules whose scalars are taken by their text: dates, intervals."""


def reads_as_missing(symbol: Symbol) -> bool:
    """Whether a symbol is a text that commonly stands for a missing value."""
    return isinstance(symbol, str) and symbol.strip().lower() in MISSING_TEXT


def well_formed(symbol: Any) -> bool:
    """Whether an untrusted value is an integer or a text that can be a symbol."""
    if type(symbol) is int:
        return abs(symbol) < MAX_INTEGER
    # A lone surrogate is a valid JSON escape, but no text that can be written anywhere.
    return type(symbol) is str and not any("\ud800" <= c <= "\udfff" for c in symbol)


def missing_value(role: str, shown: str = "NULL, None or NaN") -> MissingValueError:
    """The error for a missing value in the column that plays `role`."""
    return MissingValueError(
        f"{role} holds missing values ({shown}); drop those rows, or give them a name of their own (and declare it, if "
        "it reads like a missing value): a certificate covers exactly the rows it counted."
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
    if isinstance(value, float | Decimal):
        if math.isnan(value):
            raise missing_value(role)
        if math.isinf(value) or value != int(value):
            raise not_integral(value, role)
        value = int(value)
    if isinstance(value, bool | int):
        if abs(value) >= MAX_INTEGER:
            raise AlphabetError(f"{role} holds {str(value)[:24]}, too large for a category; is this an identifier?")
        return int(value)
    if isinstance(value, str):
        return str(value)
    if type(value).__module__.split(".")[0] in _TEXTUAL or isinstance(value, Enum):
        return str(value)
    raise AlphabetError(f"{role} holds values of type {type(value).__name__}; give one integer or text per row.")


def not_integral(value: Any, role: str) -> ScoresError:
    """The error for a number that is no category."""
    return ScoresError(
        f"{role} holds {value}: a score or measurement, not a category; threshold or bin it first "
        "(a bound for hard labels says nothing about an adversary who sees scores; for that one: --score, "
        "certify_scores)."
    )


def from_text(values: Iterable[str], role: str, *, truth_values: bool = True) -> dict[str, Symbol]:
    """
    Read the distinct texts of an untyped column (CSV) as symbols: all integers, all booleans, or text.

    Parameters
    ----------
    values : iterable of str
        The column's distinct values.
    role : str
        What the column is, for error messages.
    truth_values : bool
        Whether a column of ``true`` and ``false`` is read as 1 and 0.

    Returns
    -------
    dict
        From each text to its symbol.

    Raises
    ------
    ScoresError
        If all values are numbers and some are not integral.
    """
    stripped = {value: value.strip() for value in values}
    texts = list(stripped.values())
    if truth_values and texts and all(text.lower() in {"true", "false"} for text in texts):
        return {value: int(text.lower() == "true") for value, text in stripped.items()}
    if all(_INTEGER.fullmatch(text) for text in texts):
        return {value: canonical(int(text.split(".")[0]), role) for value, text in stripped.items()}
    # Codes with leading zeros ("01") are names, and one text makes the whole column text.
    if any(map(_NUMBER.fullmatch, texts)) and all(_NUMBER.fullmatch(t) or _INFINITY.fullmatch(t) for t in texts):
        for text in texts:
            if _INFINITY.fullmatch(text) or Decimal(text) != int(Decimal(text)):
                raise not_integral(text, role)
    return dict(stripped)


def intersections(
    parts: Iterable[tuple[Symbol, ...]], roles: Sequence[str], declared: Collection[Any] | None = None
) -> dict[tuple[Symbol, ...], str]:
    """
    Name the groups of an intersection: the texts of their parts, joined by `` & ``.

    Parameters
    ----------
    parts : iterable of tuple of Symbol
        One part per sensitive attribute.
    roles : sequence of str
        What each attribute is, for error messages.
    declared : collection, optional
        Names that are groups even if a part reads like a missing value.

    Returns
    -------
    dict
        From each tuple to its group.

    Raises
    ------
    MissingValueError
        If a part reads like a missing value.
    AlphabetError
        If two tuples have the same text.
    """
    names: dict[tuple[Symbol, ...], str] = {}
    owners: dict[str, tuple[Symbol, ...]] = {}
    for combination in parts:
        name = " & ".join(map(str, combination))
        for part, role in zip(combination, roles, strict=True):
            if reads_as_missing(part) and name not in (declared or ()):
                raise missing_value(role, repr(part))
        other = owners.setdefault(name, combination)
        if other != combination:
            raise AlphabetError(
                f"{' and '.join(roles)}: the groups {other} and {combination} both read {name!r}; rename one of them."
            )
        names[combination] = name
    return names


def printable(text: str) -> str:
    """Text without control characters, which are shown as escapes: names of a log may reach a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown_names(symbols: Iterable[Symbol]) -> str:
    """Symbols of a log in a sentence, safe to show."""
    return ", ".join(printable(str(symbol)) for symbol in symbols)


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
