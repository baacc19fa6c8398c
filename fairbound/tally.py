"""Rows per combination of values, from any number of tables, and the one policy by which they become symbols."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

from fairbound.bounds.alphabet import (
    Symbol,
    canonical,
    from_text,
    intersections,
    missing_value,
    one_kind,
    reads_as_missing,
)
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import AlphabetError, EmptyInputError, UnknownColumnError

MAX_SYMBOLS = 4096
MAX_COMBINATIONS = 1_000_000

Alphabet = Sequence[Any] | None
"""Declared symbols, or None: what occurs."""


@dataclass(frozen=True)
class Columns:
    """
    The columns of a prediction log.

    Parameters
    ----------
    groups : tuple of str
        Sensitive attributes; several make intersectional groups.
    label, prediction : str

    Raises
    ------
    UnknownColumnError
        If no sensitive attribute is named, or one name stands for two columns.
    """

    groups: tuple[str, ...]
    label: str
    prediction: str

    def __post_init__(self) -> None:
        if not self.groups:
            raise UnknownColumnError("no column of a sensitive attribute is named; name one by --group (group=).")
        if len(set(self.names)) < len(self.names):
            n = {3: "three"}.get(len(self.names), str(len(self.names)))
            raise UnknownColumnError(f"{self} must be {n} different columns.")

    @classmethod
    def named(cls, *, label: str, prediction: str, group: str | Sequence[str]) -> Columns:
        """Columns from the arguments of the public functions."""
        return cls((group,) if isinstance(group, str) else tuple(group), label, prediction)

    @property
    def names(self) -> tuple[str, ...]:
        """Sensitive attributes, label, prediction."""
        return (*self.groups, self.label, self.prediction)

    @property
    def options(self) -> tuple[str, ...]:
        """What names each column on the command line, and in Python."""
        return (*("--group (group=)" for _ in self.groups), "--label (label=)", "--prediction (prediction=)")

    def roles(self, where: str = "") -> tuple[str, ...]:
        """What error messages call the columns, of one file if `where` names it."""
        return tuple(f"column {name!r}" + (f" of {where}" if where else "") for name in self.names)

    def require(self, present: Sequence[str], where: str) -> None:
        """
        Check that a table has the columns.

        Raises
        ------
        UnknownColumnError
            Naming the absent one and the nearest name.
        """
        for name, option in zip(self.names, self.options, strict=True):
            if name not in present:
                close = difflib.get_close_matches(name, present, n=1, cutoff=0.5)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                shown = ", ".join(repr(column) for column in present[:12]) + (", ..." if len(present) > 12 else "")
                raise UnknownColumnError(
                    f"{where} has no column {name!r}{hint}; its columns are {shown}. Name it by {option}."
                )

    def __str__(self) -> str:
        groups = ", ".join(map(repr, self.groups))
        return f"label ({self.label!r}), prediction ({self.prediction!r}) and group ({groups})"


@dataclass
class Tally:
    """
    Rows per combination of values; tables are added one by one, and read as symbols when all are known.

    Values of typed tables are symbols from the start. Those of untyped ones (CSV) stay text: whether a column holds
    integers is decided over all tables together, so that the parts of a log count like the whole.

    Parameters
    ----------
    columns : Columns
    """

    columns: Columns
    typed: dict[tuple[Symbol, ...], int] = field(default_factory=dict)
    text: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add_typed(self, rows: Sequence[tuple[Any, ...]], where: str = "") -> None:
        """
        Add a table whose columns have types.

        Parameters
        ----------
        rows : sequence of tuple
            Values in the order of `Columns.names`, then the number of rows.
        where : str
            File that error messages name.

        Raises
        ------
        MissingValueError, ScoresError, AlphabetError
        """
        maps = []
        for axis, role in enumerate(self.columns.roles(where)):
            values = distinct(rows, axis, role)
            maps.append({value: canonical(value, role) for value in values})
        _bounded(rows)
        for *cell, n in rows:
            key = tuple(mapping[value] for mapping, value in zip(maps, cell, strict=True))
            self.typed[key] = self.typed.get(key, 0) + int(n)

    def add_text(self, rows: Sequence[tuple[Any, ...]], where: str = "") -> None:
        """
        Add a table of texts; parameters as for `add_typed`.

        Raises
        ------
        MissingValueError, AlphabetError
        """
        for axis, role in enumerate(self.columns.roles(where)):
            if None in distinct(rows, axis, role):
                raise missing_value(role)
        _bounded(rows)
        for *cell, n in rows:
            key = tuple(value.strip() for value in cell)
            self.text[key] = self.text.get(key, 0) + int(n)

    def merge(self, other: Tally) -> None:
        """Add the cells of another tally of the same columns."""
        for key, n in other.typed.items():
            self.typed[key] = self.typed.get(key, 0) + n
        for text, n in other.text.items():
            self.text[text] = self.text.get(text, 0) + n

    def cells(
        self, groups: Alphabet = None, labels: Alphabet = None, outputs: Alphabet = None
    ) -> dict[tuple[Symbol, ...], int]:
        """
        Rows per combination of symbols: sensitive attributes, label, prediction.

        A column of text values is read by `from_text`; it stays text if a typed table or the declared alphabet holds
        text there, and so do label and prediction both if one of them is text.

        Parameters
        ----------
        groups, labels, outputs : sequence, optional
            Declared alphabets.

        Raises
        ------
        ScoresError, MixedTypesError, AlphabetError
        """
        roles = self.columns.roles()
        axes = range(len(roles))
        shown = axes[-2:]
        known = [{key[axis] for key in self.typed} for axis in axes]
        texts = [sorted({key[axis] for key in self.text}) for axis in axes]
        # Intersectional groups are declared by joint names, which say nothing about the parts.
        rivals = [known[axis] | set(groups or () if len(axes) == 3 else ()) for axis in axes[:-2]]
        known_shown = known[shown[0]] | known[shown[1]]
        rivals += [known_shown | set(labels or ()) | set(outputs or ())] * 2
        maps: list[Mapping[str, Symbol]] = []
        for axis in axes:
            if any(isinstance(symbol, str) for symbol in rivals[axis]):
                maps.append({value: value for value in texts[axis]})
            else:
                maps.append(from_text(texts[axis], roles[axis], truth_values=axis in shown))
        if not known_shown and len({type(symbol) for axis in shown for symbol in maps[axis].values()}) > 1:
            # One of label and prediction reads as numbers, the other does not: both are text.
            for axis in shown:
                maps[axis] = {value: value for value in texts[axis]}
        for axis in axes:
            symbols = {*known[axis], *maps[axis].values()}
            # The text that an error shows is one that no number explains.
            one_kind(sorted(symbols, key=lambda symbol: (str(symbol).isdigit(), str(symbol))), roles[axis])
            if len(symbols) > MAX_SYMBOLS:
                raise too_many(roles[axis])
        cells = dict(self.typed)
        for texts_of_cell, n in self.text.items():
            key = tuple(mapping[text] for mapping, text in zip(maps, texts_of_cell, strict=True))
            cells[key] = cells.get(key, 0) + n
        _bounded(cells)
        return cells

    def counts(self, *, groups: Alphabet = None, labels: Alphabet = None, outputs: Alphabet = None) -> Counts:
        """
        The contingency table; intersectional groups are named by their parts.

        Parameters
        ----------
        groups, labels, outputs : sequence, optional
            Declared alphabets, as for `Counts.from_cells`.

        Raises
        ------
        EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
        """
        cells = self._triples(groups, labels, outputs)
        return self._counts(cells, groups, labels, outputs)

    def part(self, *, groups: Alphabet = None, labels: Alphabet = None, outputs: Alphabet = None) -> Counts:
        """
        The table of a part of a log, in which labels and predictions need have no value in common.

        Parameters
        ----------
        groups, labels, outputs : sequence, optional
            Declared alphabets; default: what occurs in the column.

        Raises
        ------
        EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
        """
        cells = self._triples(groups, labels, outputs)
        found: list[Alphabet] = []
        for axis, (declared, role) in enumerate(zip((groups, labels, outputs), self._three_roles(), strict=True)):
            seen = sorted({key[axis] for key in cells}, key=str)
            for symbol in seen if declared is None else ():
                if reads_as_missing(symbol):
                    raise missing_value(role, repr(symbol))
            found.append(seen if declared is None else declared)
        return self._counts(cells, *found)

    def _triples(
        self, groups: Alphabet, labels: Alphabet, outputs: Alphabet
    ) -> dict[tuple[Symbol, Symbol, Symbol], int]:
        cells = self.cells(groups, labels, outputs)
        if not cells:
            raise EmptyInputError("there are no rows to count; check the filter or the file that made this log.")
        parts = self.columns.roles()[:-2]
        if len(parts) == 1:
            return {(a, y, z): n for (a, y, z), n in cells.items()}
        names = intersections({key[:-2]: None for key in cells}, parts, groups)
        return {(names[key[:-2]], key[-2], key[-1]): n for key, n in cells.items()}

    def _counts(
        self, cells: dict[tuple[Symbol, Symbol, Symbol], int], groups: Alphabet, labels: Alphabet, outputs: Alphabet
    ) -> Counts:
        found = [{key[axis] for key in cells} for axis in range(3)]
        return Counts.from_cells(
            cells,
            groups=like(groups, found[0]),
            labels=like(labels, found[1] | found[2]),
            outputs=like(outputs, found[1] | found[2]),
            roles=self._three_roles(),
        )

    def _three_roles(self) -> tuple[str, str, str]:
        *parts, label, prediction = self.columns.roles()
        return " and ".join(parts), label, prediction


def like(alphabet: Alphabet, found: Iterable[Symbol]) -> list[Any] | None:
    """A declared alphabet as text where the column is text (declared 0 and 1 fit a column of "0", "1", "unsure")."""
    if alphabet is None:
        return None
    as_text = any(isinstance(symbol, str) for symbol in found)
    return [str(symbol) if as_text else symbol for symbol in alphabet]


def _bounded(cells: Sized) -> None:
    if len(cells) > MAX_COMBINATIONS:
        raise AlphabetError(f"more than {MAX_COMBINATIONS} combinations of group, label and prediction occur.")


def distinct(rows: Iterable[tuple[Any, ...]], axis: int, role: str) -> set[Any]:
    """
    Different values of one column.

    Raises
    ------
    AlphabetError
        If they are lists or structures.
    """
    try:
        return {row[axis] for row in rows}
    except TypeError:
        raise no_scalars(role) from None


def no_scalars(role: str) -> AlphabetError:
    """The error for a column of lists."""
    return AlphabetError(f"{role} holds lists or structures; give one integer or text per row.")


def too_many(role: str) -> AlphabetError:
    """The error for a column that is no category."""
    return AlphabetError(f"{role} takes more than {MAX_SYMBOLS} different values; is it really a category?")
