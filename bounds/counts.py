"""The contingency table group x label x output: the one currency of every bound."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fairbound.bounds.alphabet import Symbol, canonical, missing_value, one_kind, reads_as_missing, well_formed
from fairbound.bounds.errors import (
    AlphabetError,
    CountOverflowError,
    EmptyInputError,
    MissingCellError,
    SingleGroupError,
)

MAX_ROWS = 2**53
MAX_CELLS = 1_000_000


@dataclass(frozen=True)
class Counts:
    """
    Rows per (group, label, output), with declared alphabets so that an absent cell is seen.

    Parameters
    ----------
    groups : tuple of Symbol
        Values of the sensitive attribute, G of them.
    labels : tuple of Symbol
        Values of the true label, K of them.
    outputs : tuple of Symbol
        Values the model may show, Z of them.
    table : tuple
        Nested tuples of non-negative integers, shape (G, K, Z).

    Raises
    ------
    AlphabetError
        For repeated symbols or a table whose shape does not fit the alphabets.
    CountOverflowError
        If the counts add up to more than 2**53 rows.

    Examples
    --------
    >>> counts = Counts.from_arrays([0, 1, 1, 0], [0, 1, 0, 0], sensitive_features=["a", "a", "b", "b"])
    >>> counts.rate("b", 1)
    (Fraction(1, 1), Fraction(0, 1))
    """

    groups: tuple[Symbol, ...]
    labels: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]
    table: tuple[tuple[tuple[int, ...], ...], ...]

    def __post_init__(self) -> None:
        for name in ("groups", "labels", "outputs"):
            alphabet = getattr(self, name)
            one_kind(alphabet, name)
            if len(set(alphabet)) != len(alphabet):
                raise AlphabetError(f"{name} {list(alphabet)} repeats a symbol; name each once.")
        shape_fits = len(self.table) == len(self.groups) and all(
            len(plane) == len(self.labels) and all(len(row) == len(self.outputs) for row in plane)
            for plane in self.table
        )
        if not shape_fits:
            raise AlphabetError(
                f"the table of counts must have shape {len(self.groups)} x {len(self.labels)} x "
                f"{len(self.outputs)} (groups x labels x outputs)."
            )
        if any(type(n) is not int or n < 0 for plane in self.table for row in plane for n in row):
            raise AlphabetError("counts must be non-negative integers.")
        if self.rows > MAX_ROWS:
            raise CountOverflowError(
                f"the counts add up to {self.rows} rows, more than 2**53; split the log and certify its parts."
            )

    @classmethod
    def from_arrays(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        sensitive_features: Any,
        groups: Sequence[Any] | None = None,
        labels: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
    ) -> Counts:
        """
        Count the rows of three parallel arrays.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,)
            True labels and hard predictions: integers, booleans or text.
        sensitive_features : array-like of shape (n,) or (n, k)
            Group of each row. Several attributes (a data frame, a mapping or list of columns, a two-dimensional
            array) make intersectional groups, called by their parts' texts joined by `` & `` ("F & White").
        groups, labels, outputs : sequence, optional
            Declared alphabets. Default: what occurs, where labels and outputs are what occurs in either `y_true`
            or `y_pred`.

        Returns
        -------
        Counts

        Raises
        ------
        LengthMismatchError, EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
            As their docstrings say; the message names the array and the remedy.
        """
        from fairbound.bounds.counting import cross_tabulate

        columns = {"sensitive_features": sensitive_features, "y_true": y_true, "y_pred": y_pred}
        cells = cross_tabulate(columns, declared_groups=groups)
        return cls.from_cells(
            cells,
            groups=groups,
            labels=labels,
            outputs=outputs,
            roles=("sensitive_features", "y_true", "y_pred"),
        )

    @classmethod
    def from_cells(
        cls,
        cells: Mapping[tuple[Any, Any, Any], Any],
        *,
        groups: Sequence[Any] | None = None,
        labels: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        roles: tuple[str, str, str] = ("group", "label", "output"),
    ) -> Counts:
        """
        Build the table from its non-empty cells.

        Parameters
        ----------
        cells : mapping
            From (group, label, output) to the number of rows.
        groups, labels, outputs : sequence, optional
            Declared alphabets; default as in `from_arrays`.
        roles : tuple of str
            What the three columns are called in error messages.

        Returns
        -------
        Counts

        Raises
        ------
        EmptyInputError
            If there are no rows.
        AlphabetError
            For a symbol outside a declared alphabet, predictions none of which is ever a label, or a table of
            more than `MAX_CELLS` cells.
        """
        cells = _exact_cells(cells, roles)
        if not any(cells.values()):
            raise EmptyInputError("there are no rows to count; check the filter or the file that made this log.")
        seen = [sorted_symbols({key[axis] for key in cells}, roles[axis]) for axis in range(3)]
        one_kind((*seen[1], *seen[2]), f"{roles[1]} and {roles[2]} together")
        if labels is None and outputs is None and not set(seen[1]) & set(seen[2]):
            raise AlphabetError(
                f"{roles[1]} ({_few(seen[1])}) and {roles[2]} ({_few(seen[2])}) have no value in common; "
                "map both to the same labels, or declare the outputs if the model truly shows something else."
            )
        for found, declared, role in zip(seen, (groups, labels, outputs), roles, strict=True):
            for symbol in found:
                if reads_as_missing(symbol) and symbol not in (declared or ()):
                    raise missing_value(role, repr(symbol))
        # A value that is only ever predicted is still a label: its absence must be seen, not passed over.
        both = sorted_symbols({*seen[1], *seen[2]}, roles[2])
        alphabets = [
            _declared(groups, seen[0], roles[0]),
            _declared(labels, seen[1] if outputs is not None else both, roles[1], must_hold=seen[1]),
        ]
        alphabets.append(
            _declared(outputs, tuple(dict.fromkeys((*alphabets[1], *seen[2]))), roles[2], must_hold=seen[2])
        )
        size = len(alphabets[0]) * len(alphabets[1]) * len(alphabets[2])
        if size > MAX_CELLS:
            raise AlphabetError(
                f"{len(alphabets[0])} groups x {len(alphabets[1])} labels x {len(alphabets[2])} outputs are "
                f"{size} cells (at most {MAX_CELLS}); are these columns really categories?"
            )
        table = tuple(
            tuple(tuple(int(cells.get((a, y, z), 0)) for z in alphabets[2]) for y in alphabets[1]) for a in alphabets[0]
        )
        return cls(alphabets[0], alphabets[1], alphabets[2], table)

    def __add__(self, other: Counts) -> Counts:
        """Merge two tables (shards of one log); alphabets are united."""
        if not isinstance(other, Counts):
            return NotImplemented
        cells = dict(self.cells())
        for key, n in other.cells():
            cells[key] = cells.get(key, 0) + n
        return Counts.from_cells(
            cells,
            groups=sorted_symbols({*self.groups, *other.groups}, "groups"),
            labels=sorted_symbols({*self.labels, *other.labels}, "labels"),
            outputs=sorted_symbols({*self.outputs, *other.outputs}, "outputs"),
        )

    def cells(self) -> Iterable[tuple[tuple[Symbol, Symbol, Symbol], int]]:
        """Yield ((group, label, output), rows) for every cell, empty ones included."""
        for a, plane in zip(self.groups, self.table, strict=True):
            for y, row in zip(self.labels, plane, strict=True):
                for z, n in zip(self.outputs, row, strict=True):
                    yield (a, y, z), n

    def relabel(
        self,
        *,
        groups: Callable[[Symbol], Hashable] | None = None,
        labels: Callable[[Symbol], Hashable] | None = None,
        outputs: Callable[[Symbol], Hashable] | None = None,
    ) -> Counts:
        """
        Rename or merge symbols; cells that meet are added.

        Parameters
        ----------
        groups, labels, outputs : callable, optional
            From old to new symbol. A map that sends two groups to one merges them; one on `outputs` is
            post-processing (T6).

        Returns
        -------
        Counts
        """
        maps = (groups or _same, labels or _same, outputs or _same)
        cells: dict[tuple[Symbol, Symbol, Symbol], int] = {}
        for key, n in self.cells():
            a, y, z = (canonical(f(symbol), "relabel") for f, symbol in zip(maps, key, strict=True))
            cells[a, y, z] = cells.get((a, y, z), 0) + n
        alphabets = [
            tuple(dict.fromkeys(canonical(f(symbol), "relabel") for symbol in alphabet))
            for f, alphabet in zip(maps, (self.groups, self.labels, self.outputs), strict=True)
        ]
        return Counts.from_cells(cells, groups=alphabets[0], labels=alphabets[1], outputs=alphabets[2])

    @property
    def rows(self) -> int:
        """Number of rows counted."""
        return sum(n for plane in self.table for row in plane for n in row)

    @property
    def cell_rows(self) -> tuple[tuple[int, ...], ...]:
        """Rows per (group, label), shape (G, K)."""
        return tuple(tuple(sum(row) for row in plane) for plane in self.table)

    @property
    def group_rows(self) -> tuple[int, ...]:
        """Rows per group, shape (G,)."""
        return tuple(sum(row) for row in self.cell_rows)

    def group_index(self, group: Any) -> int:
        """
        Position of a group, given as its symbol or its text.

        Raises
        ------
        AlphabetError
            If no group has that name.
        """
        for index, symbol in enumerate(self.groups):
            if symbol == group or str(symbol) == str(group):
                return index
        raise AlphabetError(f"no group {group!r}; the groups are {_few(self.groups)}.")

    def select(self, positions: Sequence[int]) -> Counts:
        """
        The counts of some groups alone, over the same labels and outputs.

        Parameters
        ----------
        positions : sequence of int
            Of the groups, in the order wanted.
        """
        chosen = [(self.groups[a], self.table[a]) for a in positions]
        groups, table = zip(*chosen, strict=True)
        return Counts(groups, self.labels, self.outputs, table)

    def missing_cells(self, groups: Sequence[Symbol] | None = None) -> tuple[tuple[Symbol, Symbol], ...]:
        """(group, label) cells without rows, of some groups alone if they are named."""
        return tuple(
            (a, y)
            for a, plane in zip(self.groups, self.cell_rows, strict=True)
            for y, n in zip(self.labels, plane, strict=True)
            if n == 0 and (groups is None or a in groups)
        )

    def require_cells(self) -> None:
        """
        Check that every (group, label) cell has rows.

        Raises
        ------
        MissingCellError
            Naming the first empty cell, its group's counts and the remedy.
        """
        for a, y in self.missing_cells():
            per_label = dict(zip(self.labels, self.cell_rows[self.groups.index(a)], strict=True))
            raise MissingCellError(
                f"group {a!r} has no rows with label {y!r} (counts: {_few_counts(per_label)}); equalized odds is "
                "undefined there. Pass on_missing='vacuous' (--on-missing vacuous) to use the trivial bound 1."
            )

    def require_groups(self) -> None:
        """
        Check that there are at least two groups and that each has rows.

        Raises
        ------
        SingleGroupError
            If only one group occurs.
        MissingCellError
            If a declared group has no rows at all.
        """
        if len(self.groups) < 2:
            raise SingleGroupError(
                f"only one group ({_few(self.groups)}) occurs; a distribution inference adversary tells two "
                "populations apart, so at least two groups are needed. Is this the right column?"
            )
        for group, n in zip(self.groups, self.group_rows, strict=True):
            if n == 0:
                raise MissingCellError(f"group {group!r} is declared but has no rows; leave it out of the groups.")

    def rate(self, group: Any, label: Symbol) -> tuple[Fraction, ...]:
        """
        Share of each output in one (group, label) cell.

        Returns
        -------
        tuple of Fraction, shape (Z,)

        Raises
        ------
        MissingCellError
            If the cell has no rows.
        """
        i, j = self.group_index(group), self.labels.index(label)
        n = self.cell_rows[i][j]
        if n == 0:
            self.require_cells()
        return tuple(Fraction(k, n) for k in self.table[i][j])

    def to_dict(self) -> dict[str, Any]:
        """Alphabets and table as JSON-ready lists."""
        return {
            "groups": list(self.groups),
            "labels": list(self.labels),
            "outputs": list(self.outputs),
            "table": [[list(row) for row in plane] for plane in self.table],
        }

    @classmethod
    def from_dict(cls, data: Any) -> Counts:
        """
        Read back what `to_dict` gives, as untrusted input.

        Parameters
        ----------
        data : dict
            The entries groups, labels, outputs and table, and no others.

        Returns
        -------
        Counts

        Raises
        ------
        AlphabetError
            If an entry is absent, unknown or ill-formed, or the table has more than `MAX_CELLS` cells.
        MixedTypesError
            If an alphabet, or labels and outputs together, mix text and numbers.
        EmptyInputError
            If there are no rows.
        CountOverflowError
            If the counts add up to more than 2**53 rows.
        """
        names = ("groups", "labels", "outputs")
        if type(data) is not dict or set(data) != {*names, "table"}:
            raise AlphabetError("counts must have exactly the entries groups, labels, outputs and table.")
        size = 1
        for name in names:
            alphabet = data[name]
            if type(alphabet) is not list or not alphabet or not all(map(well_formed, alphabet)):
                raise AlphabetError(f"{name} must be a list of integers below 10**18 or of texts, and not empty.")
            size *= len(alphabet)
        if size > MAX_CELLS:
            raise AlphabetError(f"the table of counts has {size} cells (at most {MAX_CELLS}).")
        one_kind((*data["labels"], *data["outputs"]), "labels and outputs together")
        table = data["table"]
        if type(table) is not list or any(
            type(plane) is not list or any(type(row) is not list for row in plane) for plane in table
        ):
            raise AlphabetError("the table of counts must be lists of lists of lists (groups x labels x outputs).")
        groups, labels, outputs = (tuple(data[name]) for name in names)
        counts = cls(groups, labels, outputs, tuple(tuple(tuple(row) for row in plane) for plane in table))
        if not counts.rows:
            raise EmptyInputError("the counts hold no rows.")
        return counts


def sorted_symbols(symbols: Iterable[Symbol], role: str) -> tuple[Symbol, ...]:
    """Symbols of one kind in their natural order."""
    symbols = tuple(symbols)
    one_kind(symbols, role)
    return tuple(sorted(symbols))


def _exact_cells(
    cells: Mapping[tuple[Any, Any, Any], Any], roles: tuple[str, str, str]
) -> dict[tuple[Symbol, Symbol, Symbol], int]:
    """Cells with canonical symbols and plain integers."""
    exact: dict[tuple[Symbol, Symbol, Symbol], int] = {}
    for key, n in cells.items():
        try:
            rows = operator.index(n)
        except TypeError:
            raise AlphabetError(f"the cell {key} counts {n!r} rows; counts must be integers.") from None
        if rows < 0:
            raise AlphabetError(f"the cell {key} counts {rows} rows; counts must not be negative.")
        a, y, z = (canonical(symbol, role) for symbol, role in zip(key, roles, strict=True))
        exact[a, y, z] = exact.get((a, y, z), 0) + rows
    return exact


def _same(symbol: Symbol) -> Symbol:
    return symbol


def _declared(
    declared: Sequence[Any] | None,
    default: tuple[Symbol, ...],
    role: str,
    must_hold: tuple[Symbol, ...] | None = None,
) -> tuple[Symbol, ...]:
    if declared is None:
        return default
    alphabet = tuple(canonical(symbol, f"the declared alphabet of {role}") for symbol in declared)
    unknown = [symbol for symbol in must_hold or default if symbol not in set(alphabet)]
    if unknown:
        raise AlphabetError(
            f"{role} holds {unknown[0]!r}, which is not among the declared {_few(alphabet)}; declare it or drop it."
        )
    return alphabet


def _few(symbols: Sequence[Symbol]) -> str:
    shown = ", ".join(repr(symbol) for symbol in symbols[:6])
    return shown + (f", ... ({len(symbols)} in all)" if len(symbols) > 6 else "")


def _few_counts(counts: Mapping[Symbol, int]) -> str:
    return "{" + ", ".join(f"{label!r}: {n}" for label, n in list(counts.items())[:6]) + "}"
