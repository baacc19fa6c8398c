"""Two models, one for each world: what an adversary learns who may ask either about a known (group, label) (T8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Any

from fairbound.bounds.alphabet import Symbol, canonical, shown_names
from fairbound.bounds.channel import Disparities, OnMissing, total_variation
from fairbound.bounds.confidence import lower_limits, parse_confidence
from fairbound.bounds.counts import MAX_CELLS, Counts
from fairbound.bounds.errors import AlphabetError
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.rational import decimal_above, decimal_below, float_above

SCHEMA = "fairbound.two-models/1"
EQUALIZED_ODDS_IS_SILENT = (
    "Equalized odds does not bound this: two perfectly fair models with different thresholds have no disparity each, "
    "and are told apart by the difference of their operating points (C8)."
)
NOT_COVERED = (
    "an adversary who sees scores, logits or parameters instead of the hard predictions",
    "queries whose distribution over groups and labels differs between the worlds",
    "several queries: n independent ones give up to 1 - (1 - advantage)^n (T5)",
    "other models of the two worlds than the two in the log; retraining may give others",
)
_MOST_TRIED = 10


@dataclass(frozen=True)
class PairedCounts:
    """
    Rows per (group, label, output of model 0, output of model 1): both models' predictions on the same rows.

    Parameters
    ----------
    groups, labels, outputs : tuple of Symbol
        The G groups, K labels and Z outputs.
    table : tuple
        Nested tuples of non-negative integers, shape (G, K, Z, Z).
    """

    groups: tuple[Symbol, ...]
    labels: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]
    table: tuple[tuple[tuple[tuple[int, ...], ...], ...], ...]

    @classmethod
    def from_cells(
        cls,
        cells: Mapping[tuple[Any, Any, Any, Any], int],
        *,
        groups: Sequence[Any] | None = None,
        labels: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        roles: tuple[str, str, str, str] = ("group", "label", "output of model 0", "output of model 1"),
    ) -> PairedCounts:
        """
        Build the table from its non-empty cells.

        Parameters
        ----------
        cells : mapping
            From (group, label, output of model 0, output of model 1) to the number of rows.
        groups, labels, outputs : sequence, optional
            Declared alphabets; default: what occurs, where outputs are the labels and what either model shows.
        roles : tuple of str
            What the columns are called in error messages.

        Returns
        -------
        PairedCounts

        Raises
        ------
        EmptyInputError, MissingValueError, MixedTypesError, AlphabetError
            As for `Counts.from_cells`.
        """
        exact: dict[tuple[Symbol, ...], int] = {}
        shown: dict[tuple[Symbol, Symbol, Symbol], int] = {}
        for key, rows in cells.items():
            a, y, *answers = (canonical(symbol, role) for symbol, role in zip(key, roles, strict=True))
            exact[a, y, *answers] = exact.get((a, y, *answers), 0) + rows
            for z in answers:
                shown[a, y, z] = shown.get((a, y, z), 0) + rows
        both = (roles[0], roles[1], f"{roles[2]} and {roles[3]}")
        shape = Counts.from_cells(shown, groups=groups, labels=labels, outputs=outputs, roles=both)
        size = len(shape.groups) * len(shape.labels) * len(shape.outputs) ** 2
        if size > MAX_CELLS:
            raise AlphabetError(f"{size} cells of group, label and two outputs (at most {MAX_CELLS}) are too many.")
        table = tuple(
            tuple(
                tuple(tuple(exact.get((a, y, z, w), 0) for w in shape.outputs) for z in shape.outputs)
                for y in shape.labels
            )
            for a in shape.groups
        )
        return cls(shape.groups, shape.labels, shape.outputs, table)

    def model(self, number: int) -> Counts:
        """Counts of one model alone, 0 or 1."""
        table = tuple(
            tuple(tuple(map(sum, cell)) if number == 0 else tuple(map(sum, zip(*cell, strict=True))) for cell in plane)
            for plane in self.table
        )
        return Counts(self.groups, self.labels, self.outputs, table)

    @property
    def rows(self) -> int:
        """Number of rows counted."""
        return self.model(0).rows

    def discordant(self, a: int, y: int) -> tuple[tuple[int, int], ...]:
        """
        For each output, rows on which only model 0 shows it, and rows on which only model 1 does; shape (Z, 2).

        Parameters
        ----------
        a, y : int
            Positions of group and label.
        """
        cell = self.table[a][y]
        columns = list(zip(*cell, strict=True))
        return tuple((sum(cell[z]) - cell[z][z], sum(columns[z]) - cell[z][z]) for z in range(len(self.outputs)))


def largest_net_distance(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> Fraction:
    """
    Upper limit of half the L1 norm of differences that add up to 0 and lie within limits.

    If S holds the positive ones, half the norm is `sum_S x_z <= sum_S upper_z` and `-sum_(not S) x_z <=
    -sum_(not S) lower_z`; the smaller of the two is maximised over all S. Above ten outputs S is chosen for each sum by
    itself, which is never smaller.

    Parameters
    ----------
    lower, upper : sequence of Fraction, shape (Z,)
        Limits of each difference.
    """
    if len(lower) > _MOST_TRIED:
        gain = sum((max(Fraction(0), u) for u in upper), Fraction(0))
        return min(gain, sum((max(Fraction(0), -v) for v in lower), Fraction(0)))
    best = Fraction(0)
    for chosen in product((False, True), repeat=len(lower)):
        if any(chosen) and not all(chosen):
            inside = sum((u for u, taken in zip(upper, chosen, strict=True) if taken), Fraction(0))
            outside = sum((-v for v, taken in zip(lower, chosen, strict=True) if not taken), Fraction(0))
            best = max(best, min(inside, outside))
    return best


@dataclass(frozen=True)
class TwoModelParts:
    """
    What T8's form is made of inside one label, for a binary output.

    Attributes
    ----------
    label : Symbol
    operating_points : tuple of Fraction
        Mid-points of the groups' rates of the last output, `c_0` and `c_1`.
    disparities : tuple of Fraction
        `delta_0` and `delta_1`.
    """

    label: Symbol
    operating_points: tuple[Fraction, Fraction]
    disparities: tuple[Fraction, Fraction]

    @property
    def gap(self) -> Fraction:
        """Difference of the operating points."""
        return abs(self.operating_points[0] - self.operating_points[1])

    @property
    def limit(self) -> Fraction:
        """`|c_0 - c_1| + (delta_0 + delta_1) / 2`."""
        return self.gap + sum(self.disparities, Fraction(0)) / 2


@dataclass(frozen=True, repr=False)
class TwoModelCertification:
    """
    A bound for an adversary who asks one of two models about a known (group, label).

    Attributes
    ----------
    counts : PairedCounts
    confidence : Fraction
        Joint level.
    on_missing : {"error", "vacuous"}
    number : int
        Limits among which the error is split.
    distances, upper_distances : tuple, shape (G, K)
        `TV(Q_0(.|a,y), Q_1(.|a,y))` as measured, and simultaneous upper limits.
    """

    counts: PairedCounts
    confidence: Fraction
    on_missing: OnMissing
    number: int
    distances: tuple[tuple[Fraction, ...], ...]
    upper_distances: tuple[tuple[Fraction, ...], ...]

    @property
    def point(self) -> Fraction:
        """Largest distance between the models' answers, as measured."""
        return max(d for row in self.distances for d in row)

    @property
    def upper(self) -> Fraction:
        """Its upper confidence limit: the advantage of every adversary who asks about known (group, label)s."""
        return max(d for row in self.upper_distances for d in row)

    @property
    def worst(self) -> tuple[Symbol, Symbol]:
        """Group and label in which the models differ most, as measured."""
        cells = product(range(len(self.counts.groups)), range(len(self.counts.labels)))
        a, y = max(cells, key=lambda cell: self.distances[cell[0]][cell[1]])
        return self.counts.groups[a], self.counts.labels[y]

    @cached_property
    def equalized_odds(self) -> tuple[Fraction, Fraction]:
        """`Delta_EO` of the two models, as measured."""
        first, second = (
            Disparities.from_counts(self.counts.model(b), on_missing=self.on_missing).equalized_odds for b in (0, 1)
        )
        return first, second

    @cached_property
    def parts(self) -> tuple[TwoModelParts, ...] | None:
        """T8's parts for each label, as measured; None for more than two outputs, or with an empty cell."""
        models = [self.counts.model(b) for b in (0, 1)]
        if len(self.counts.outputs) != 2 or models[0].missing_cells():
            return None
        found = []
        for label in self.counts.labels:
            rates = [[model.rate(group, label)[1] for group in model.groups] for model in models]
            centres = [(max(r) + min(r)) / 2 for r in rates]
            spread = [max(r) - min(r) for r in rates]
            found.append(TwoModelParts(label, (centres[0], centres[1]), (spread[0], spread[1])))
        return tuple(found)

    @property
    def form(self) -> Fraction | None:
        """T8's form `max_y |c_0 - c_1| + (delta_0 + delta_1) / 2` at the measured rates; None where `parts` is."""
        return None if self.parts is None else max(part.limit for part in self.parts)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the bound rests on, in sentences."""
        lines = [
            "Both models predicted the same rows; world b answers with model b, and the adversary knows group and "
            "label of what it asks about.",
            "The log's rows are independent draws, and none was used to train, tune or select either model.",
            f"There are no labels but {shown_names(self.counts.labels)}, and no outputs but "
            f"{shown_names(self.counts.outputs)}.",
        ]
        missing = self.counts.model(0).missing_cells()
        if missing:
            a, y = missing[0]
            lines.append(
                f"Cells without rows (such as group {shown_names([a])}, label {shown_names([y])}) count as distance 1."
            )
        return tuple(lines)

    @property
    def not_covered(self) -> tuple[str, ...]:
        """Adversaries that the bound says nothing about."""
        return NOT_COVERED

    def to_dict(self) -> dict[str, Any]:
        """
        The result as JSON-ready numbers.

        Points are the nearest floats; upper bounds are rounded up. The entry ``exact`` holds both as exact texts.
        """
        counts = self.counts
        cells = [
            {
                "group": group,
                "label": label,
                "rows": counts.model(0).cell_rows[a][y],
                "point": float(self.distances[a][y]),
                "upper": float_above(self.upper_distances[a][y]),
            }
            for a, group in enumerate(counts.groups)
            for y, label in enumerate(counts.labels)
        ]
        form = None
        if self.parts is not None and self.form is not None:
            form = {
                "value": float(self.form),
                "labels": {
                    str(part.label): {
                        "operating_point_gap": float(part.gap),
                        "operating_points": [float(c) for c in part.operating_points],
                        "disparities": [float(d) for d in part.disparities],
                        "value": float(part.limit),
                    }
                    for part in self.parts
                },
            }
        return {
            "schema": SCHEMA,
            "confidence": float(self.confidence),
            "rows": counts.rows,
            "groups": list(counts.groups),
            "labels": list(counts.labels),
            "outputs": list(counts.outputs),
            "advantage": {"point": float(self.point), "upper": float_above(self.upper), "theorem": "T8"},
            "adversary_accuracy": float_above((1 + self.upper) / 2),
            "worst": dict(zip(("group", "label"), self.worst, strict=True)),
            "cells": cells,
            "form": form,
            "equalized_odds": [float(d) for d in self.equalized_odds],
            "statement": EQUALIZED_ODDS_IS_SILENT,
            "assumptions": list(self.assumptions),
            "not_covered": list(self.not_covered),
            "exact": {
                "confidence": str(self.confidence),
                "advantage": {"point": str(self.point), "upper": str(self.upper)},
                "form": None if self.form is None else str(self.form),
            },
        }

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        return (
            f"two models: advantage of a query with known group and label at most {decimal_above(self.upper)} with "
            f"confidence {decimal_below(self.confidence)} ({float(self.point):.4f} at the measured rates; T8, "
            f"{self.counts.rows} rows)"
        )


@proved_by("T8", "T9")
def certify_paired_counts(
    counts: PairedCounts, *, confidence: float | str | Fraction = 0.95, on_missing: OnMissing = "error"
) -> TwoModelCertification:
    """
    Bound what the answer to a query with known group and label tells about which of two models gave it (T8).

    The advantage is at most `max_{a,y} TV(Q_0(.|a,y), Q_1(.|a,y))`, however queries are drawn, and without shared
    conditionals. Its upper limit uses that both models predicted the same rows: with `p(z)` the chance that only model
    0 shows z, and `q(z)` that only model 1 does, `Q_0(z) - Q_1(z) = p(z) - q(z)`, and each of the two gets a lower and
    an upper Clopper-Pearson limit (for two outputs once, for more for each output). The error is split evenly among all
    of them; that rule is fixed, whatever the log shows.

    Parameters
    ----------
    counts : PairedCounts
    confidence : float, text or Fraction
        Joint level of the upper bound, in [1/2, 1).
    on_missing : {"error", "vacuous"}
        What a (group, label) cell without rows means: an error, or the trivial distance 1.

    Returns
    -------
    TwoModelCertification

    Raises
    ------
    MissingCellError, AlphabetError, NumberError
        As their docstrings say.
    """
    level = parse_confidence(confidence)
    if on_missing not in ("error", "vacuous"):
        raise AlphabetError(f"on_missing is {on_missing!r}; choose 'error' or 'vacuous'.")
    models = counts.model(0), counts.model(1)
    if on_missing == "error":
        models[0].require_cells()
    n_outputs = len(counts.outputs)
    if n_outputs < 2:
        raise AlphabetError(f"only the output {counts.outputs[0]!r} is declared; a model shows at least two.")
    # With two outputs, what only model 0 shows as one is what only model 1 shows as the other.
    limited = [1] if n_outputs == 2 else list(range(n_outputs))
    sizes = models[0].cell_rows
    number = 4 * len(limited) * len(counts.groups) * len(counts.labels)
    successes, trials = [], []
    for a, y in product(range(len(counts.groups)), range(len(counts.labels))):
        found = counts.discordant(a, y)
        for z in limited:
            for k in found[z]:
                successes += [k, sizes[a][y] - k]
                trials += [sizes[a][y]] * 2
    flat = iter(lower_limits(successes, trials, (1 - level) / number))
    measured: list[tuple[Fraction, ...]] = []
    upper: list[tuple[Fraction, ...]] = []
    for a, group in enumerate(counts.groups):
        points, limits = [], []
        for y, label in enumerate(counts.labels):
            intervals = {z: _net_interval(*(next(flat) for _ in range(4))) for z in limited}
            if n_outputs == 2:
                low, high = intervals[1]
                intervals[0] = (-high, -low)
            if not sizes[a][y]:
                points.append(Fraction(1))
                limits.append(Fraction(1))
                continue
            ordered = [intervals[z] for z in range(n_outputs)]
            points.append(total_variation(models[0].rate(group, label), models[1].rate(group, label)))
            limits.append(
                min(Fraction(1), largest_net_distance([low for low, _ in ordered], [high for _, high in ordered]))
            )
        measured.append(tuple(points))
        upper.append(tuple(limits))
    return TwoModelCertification(counts, level, on_missing, number, tuple(measured), tuple(upper))


def _net_interval(
    least_0: Fraction, least_not_0: Fraction, least_1: Fraction, least_not_1: Fraction
) -> tuple[Fraction, Fraction]:
    """Limits of the difference of two chances from lower limits of both and of their complements."""
    return least_0 - (1 - least_not_1), (1 - least_not_0) - least_1
