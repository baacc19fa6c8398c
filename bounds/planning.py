"""How many rows a confidence bound of a given width takes, found by certifying planned logs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, Literal

from fairbound.bounds.alphabet import Symbol
from fairbound.bounds.certify import Certification, Method, certify_counts
from fairbound.bounds.channel import Channel
from fairbound.bounds.composition import Composition, CompositionPair, Table
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import AlphabetError, MissingCellError, NumberError
from fairbound.bounds.exact import worst_case_advantage
from fairbound.bounds.games import Game
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.rational import apportioned, to_fraction

Unit = Literal["cell", "group", "log"]
MOST_ROWS = 10**9
"""Largest log that is planned."""

# Rows of the smallest cell of the log that the search's start is guessed from.
_FIRST_CELL = 200


@dataclass(frozen=True)
class Design:
    """
    What a planned log will show, whatever its size.

    Parameters
    ----------
    groups, labels, outputs : tuple of Symbol
        G groups, K labels and Z outputs.
    weights : tuple, shape (G, K)
        Positive rows of each (group, label) cell for each unit of size.
    rates : tuple, shape (G, K, Z)
        Share of each output in each cell.
    unit : {"cell", "group", "log"}
        What a size counts: rows of every cell, of every group, or of the whole log.
    """

    groups: tuple[Symbol, ...]
    labels: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]
    weights: Table
    rates: tuple[tuple[tuple[Fraction, ...], ...], ...]
    unit: Unit

    @classmethod
    def of(
        cls,
        *,
        groups: int = 2,
        labels: int = 2,
        outputs: int | None = None,
        rates: Sequence[Sequence[Any]] | None = None,
        label_marginals: Sequence[Sequence[Any]] | None = None,
    ) -> Design:
        """
        Plan groups of equal size that are called 0, 1, ..., like the labels and outputs.

        Parameters
        ----------
        groups, labels, outputs : int
            How many; outputs default to the labels.
        rates : sequence of pmf over the outputs, optional
            One for all groups or one for each, the same in every label. Default: output 0 as frequent as all others
            together, which share the rest evenly; one half is where a rate's limits are widest.
        label_marginals : sequence of pmf over the labels, optional
            One for all groups or one for each; the unit of size is then the group. Default: equally many rows in every
            (group, label) cell, the unit.

        Returns
        -------
        Design

        Raises
        ------
        AlphabetError
            For fewer than two groups, labels or outputs, or shares for another number of them.
        NumberError
            If shares are not positive (rates: not negative) or do not add up to 1.
        """
        n_outputs = labels if outputs is None else outputs
        for name, number in (("groups", groups), ("labels", labels), ("outputs", n_outputs)):
            if number < 2:
                raise AlphabetError(f"{number} {name} are planned; a bound compares at least two.")
        if rates is None:
            rates = [[Fraction(1, 2), *[Fraction(1, 2 * (n_outputs - 1))] * (n_outputs - 1)]]
        unit: Unit = "cell" if label_marginals is None else "group"
        weights: Sequence[Sequence[Any]] = [[1] * labels] * groups
        if label_marginals is not None:
            weights = _shares(label_marginals, groups, labels, "label marginals")
            if any(not w for row in weights for w in row):
                raise NumberError("a label marginal of 0 plans for no rows of that label; leave the label out.")
        return cls(
            tuple(range(groups)),
            tuple(range(labels)),
            tuple(range(n_outputs)),
            tuple(tuple(map(Fraction, row)) for row in weights),
            tuple((row,) * labels for row in _shares(rates, groups, n_outputs, "rates")),
            unit,
        )

    @classmethod
    def from_counts(cls, counts: Counts) -> Design:
        """
        Plan a log like a pilot: its cells' shares and measured rates, at another size.

        Parameters
        ----------
        counts : Counts

        Raises
        ------
        SingleGroupError, MissingCellError
            For fewer than two groups, or a (group, label) cell without rows.
        """
        counts.require_groups()
        for a, y in counts.missing_cells()[:1]:
            raise MissingCellError(
                f"group {a!r} has no rows with label {y!r} in the pilot, so no rate to plan with; leave one out."
            )
        return cls(
            counts.groups,
            counts.labels,
            counts.outputs,
            Composition.from_counts(counts).mass,
            tuple(tuple(counts.rate(a, y) for y in counts.labels) for a in counts.groups),
            "log",
        )

    @property
    def rows_per_unit(self) -> Fraction:
        """Rows of the whole log for each unit of size."""
        return sum((w for row in self.weights for w in row), Fraction(0))

    def counts(self, size: int) -> Counts:
        """
        The planned log, rounded to whole rows by largest remainders: first the cells, then each cell's outputs.

        Parameters
        ----------
        size : int
            In units; positive.
        """
        if self.unit == "log":
            flat = apportioned([w for row in self.weights for w in row], size)
            cells = [flat[i : i + len(self.labels)] for i in range(0, len(flat), len(self.labels))]
        else:
            cells = [apportioned(row, int(size * sum(row))) for row in self.weights]
        table = tuple(
            tuple(tuple(apportioned(rate, n)) for rate, n in zip(plane, row, strict=True))
            for plane, row in zip(self.rates, cells, strict=True)
        )
        return Counts(self.groups, self.labels, self.outputs, table)

    def value(
        self, *, pure: tuple[Any, Any] | None = None, pair: CompositionPair | None = None, label_balanced: bool = False
    ) -> Fraction:
        """
        T1's value (T1b's for pure worlds) at the planned rates and label marginals, the largest over the pairs.

        Parameters are those of `rows_needed`.
        """
        disparities = Channel(self.groups, self.labels, self.outputs, self.rates).disparities()
        priced = [] if pair is None else [(pair, disparities.per_label)]
        if pair is None:
            names = [str(group) for group in self.groups]
            positions = range(len(names)) if pure is None else [names.index(str(group)) for group in pure]
            priced = [
                (CompositionPair(self._alone(a), self._alone(b)), disparities.between(a, b))
                for a, b in combinations(positions, 2)
            ]
        return max(
            worst_case_advantage(worlds.label_balanced() if label_balanced else worlds, delta).value
            for worlds, delta in priced
        )

    def _alone(self, position: int) -> Composition:
        """The population of one group alone."""
        total = sum(self.weights[position], Fraction(0))
        zero = (Fraction(0),) * len(self.labels)
        own = tuple(w / total for w in self.weights[position])
        return Composition(
            self.groups, self.labels, tuple(own if a == position else zero for a in range(len(self.groups)))
        )


@dataclass(frozen=True)
class RowPlan:
    """
    A planned log that is large enough.

    Attributes
    ----------
    design : Design
    width : Fraction
        What was asked for.
    size : int
        In the design's units; one less does not do.
    value : Fraction
        T1's value (T1b's for pure worlds) at the planned rates.
    result : Certification
        Of the planned log.
    """

    design: Design
    width: Fraction
    size: int
    value: Fraction
    result: Certification

    @property
    def rows(self) -> int:
        """Rows of the whole log."""
        return self.result.counts.rows

    @property
    def method(self) -> Method:
        """How sampling error is covered."""
        return self.result.method

    @property
    def smallest_cell(self) -> int:
        """Rows of its smallest (group, label) cell."""
        return min(n for row in self.result.counts.cell_rows for n in row)

    @property
    def excess(self) -> Fraction:
        """How far the confidence bound is above the value: the planned one or, if smaller, that of the whole rows."""
        return self.result.upper - min(self.value, self.result.point)


@proved_by("T1", "T9")
def rows_needed(
    design: Design,
    width: float | str | Fraction,
    *,
    pure: tuple[Any, Any] | None = None,
    pair: CompositionPair | None = None,
    game: str | Game = "labelled",
    label_balanced: bool = False,
    confidence: float | str | Fraction = 0.95,
    method: Method = "fisher",
    progress: Callable[[int, Fraction], None] | None = None,
) -> RowPlan:
    """
    Smallest size at which a log that shows exactly the planned rates gets a bound at most `width` above its value.

    Every size on the way is certified; no formula stands in for the bound. A real log's rates scatter around the
    planned ones, and its width with them. Rates are rounded to whole rows, so the width does not quite fall with every
    row: the answer is a size that does where one less does not.

    Parameters
    ----------
    design : Design
    width : float, text or Fraction
        Above 0.
    pure : (group, group), optional
        As for `fairbound.bounds.certify_counts`, like all that follow.
    pair : CompositionPair, optional
    game : {"labelled", "correctness", "unlabelled"} or Game
    label_balanced : bool
    confidence : float, text or Fraction
    method : {"fisher", "clopper-pearson", "relative-entropy", "smallest"}
    progress : callable, optional
        Called with the rows of each log that was tried and how far its bound was above the value.

    Returns
    -------
    RowPlan

    Raises
    ------
    NumberError
        If the width is not positive, is one that the trivial bound 1 has, or takes more than `MOST_ROWS` rows.
    AlphabetError, CompositionError
        As for `fairbound.bounds.certify_counts`.
    """
    goal = to_fraction(width)
    if goal <= 0:
        raise NumberError(f"no finite log has a bound within {width} of its value; ask for a positive width.")

    def certified(size: int) -> Certification:
        return certify_counts(
            design.counts(size),
            pure=pure,
            pair=pair,
            game=game,
            label_balanced=label_balanced,
            confidence=confidence,
            method=method,
        )

    smallest_weight = min(w for row in design.weights for w in row)
    most = int(MOST_ROWS / design.rows_per_unit)
    first = min(math.ceil(_FIRST_CELL / smallest_weight), most)
    opening = certified(first)
    value = design.value(pure=pure, pair=pair, label_balanced=label_balanced)
    if goal >= 1 - value:
        raise NumberError(
            f"the trivial bound 1 is within {width} of the value at the planned rates, {float(value):.4g}; ask for a "
            "smaller width."
        )
    tried: dict[int, RowPlan] = {}

    def holds(size: int) -> bool:
        if design.counts(size).missing_cells():
            return False
        plan = RowPlan(design, goal, size, value, certified(size))
        if progress is not None:
            progress(plan.rows, plan.excess)
        tried[size] = plan
        return plan.excess <= goal

    # Widths fall like 1 / sqrt(n).
    start = int(first * ((opening.upper - min(value, opening.point)) / goal) ** 2)
    size = _smallest(holds, min(most, max(1, start)), most)
    if size is None:
        raise NumberError(
            f"a width of {width} takes more than {MOST_ROWS:.0e} rows with the method {method}; ask for a larger one."
        )
    return tried[size]


def _smallest(holds: Callable[[int], bool], start: int, most: int) -> int | None:
    """A size that holds where one less does not: growing steps from the start, then bisection; None above `most`."""
    step = max(1, start // 64)
    if holds(start):
        low, high = max(0, start - step), start
        while low > 0 and holds(low):
            step *= 2
            low, high = max(0, low - step), low
    else:
        low, high = start, min(most, start + step)
        while not holds(high):
            if high == most:
                return None
            step *= 2
            low, high = high, min(most, high + step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _shares(given: Sequence[Sequence[Any]], groups: int, length: int, name: str) -> list[tuple[Fraction, ...]]:
    """One probability mass function for each group, from one for all or one for each."""
    if len(given) not in (1, groups):
        raise AlphabetError(f"{len(given)} {name} are given; give one for all {groups} groups or one for each.")
    rows = [tuple(to_fraction(v) for v in row) for row in given]
    for row in rows:
        if len(row) != length:
            raise AlphabetError(f"{name} of {len(row)} shares are given where {length} are planned.")
        if min(row) < 0 or sum(row) != 1:
            raise NumberError(f"the {name} {', '.join(map(str, row))} must be at least 0 and add up to 1.")
    return rows * groups if len(rows) == 1 else rows
