"""Scores: adversaries who compare a real-valued score with a threshold (T7), and scores in fixed bins."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import smirnovi

from fairbound.bounds.alphabet import Symbol, missing_value, shown_names
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.channel import Disparities, OnMissing, distance_matrix
from fairbound.bounds.check import (
    MAX_BANDS,
    MAX_EXACT_BAND,
    MAX_THRESHOLDS,
    SCORES_SCHEMA,
    band_holds,
)
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.confidence import (
    lower_marginals,
    parse_confidence,
    upper_advantage_balanced,
    upper_advantage_given,
    upper_advantage_pure,
)
from fairbound.bounds.counting import encode, one_dimensional
from fairbound.bounds.counts import MAX_CELLS, Counts
from fairbound.bounds.errors import AlphabetError, CompositionError, LengthMismatchError, NumberError
from fairbound.bounds.exact import worst_case_advantage
from fairbound.bounds.games import SHARED_CONDITIONALS
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.rational import decimal_above, decimal_below, float_above

RESULT_SCHEMA = "fairbound.scores-result/1"
LABELS_SAY_NOTHING = (
    "label-level fairness (equalized odds of the hard predictions) says nothing about someone who sees scores"
)
NOT_COVERED = (
    "a test that combines several intervals of scores: for it the total variation between the score distributions "
    "counts, which no finite sample bounds: distributions that share no score at all can give samples that look alike",
    "an adversary who compares models trained in each world (shadow models): no disparity bounds it (C8)",
    "an adversary who sees logits of several classes, features or parameters",
    "several draws: n independent draws give up to 1 - (1 - advantage)^n (T5)",
)
MAX_BINS = 1000

_BAND_GRID = 10**9
# Blocks of distinct scores to start from: bounds the memory of a table of all cells.
_MAX_ENTRIES = 2**24


@dataclass(frozen=True)
class ScoreCounts:
    """
    Rows per (group, label) and block of scores: what a log says about its score distributions.

    Parameters
    ----------
    counts : Counts
        Group x label x block; the outputs are the positions 0, 1, ... of the M blocks, in rising order of scores.
    thresholds : tuple of float, shape (M,)
        Largest score of each block.
    merged : frozenset of int
        Blocks that hold several different scores. Distances inside them are rounded up.
    """

    counts: Counts
    thresholds: tuple[float, ...]
    merged: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def from_arrays(
        cls,
        y_true: Any,
        y_score: Any,
        *,
        sensitive_features: Any,
        groups: Sequence[Any] | None = None,
        labels: Sequence[Any] | None = None,
        roles: tuple[str, str, str] = ("sensitive_features", "y_true", "y_score"),
    ) -> ScoreCounts:
        """
        Count the rows of three parallel arrays.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            True labels.
        y_score : array-like of shape (n,)
            Real numbers, read as 64-bit floats.
        sensitive_features : array-like of shape (n,) or (n, k)
            Group of each row; several attributes make intersectional groups, as for `Counts.from_arrays`.
        groups, labels : sequence, optional
            Declared alphabets; default: what occurs.
        roles : tuple of str
            What the columns of groups, labels and scores are called in error messages.

        Returns
        -------
        ScoreCounts

        Raises
        ------
        LengthMismatchError, EmptyInputError, MissingValueError, MixedTypesError, AlphabetError
            As for `Counts.from_arrays`.
        NumberError
            If a score is no finite number.
        """
        scores = read_scores(y_score, roles[2])
        group_symbols, group_codes = encode(sensitive_features, roles[0], several=True, declared=groups)
        label_symbols, label_codes = encode(y_true, roles[1])
        lengths = {roles[0]: len(group_codes), roles[1]: len(label_codes), roles[2]: len(scores)}
        if len(set(lengths.values())) > 1:
            described = ", ".join(f"{role} {n}" for role, n in lengths.items())
            raise LengthMismatchError(f"arrays of different lengths ({described}); each row needs all of them.")
        return cls.from_columns(
            group_symbols,
            label_symbols,
            group_codes,
            label_codes,
            scores,
            np.ones(len(scores), np.int64),
            groups=groups,
            labels=labels,
            roles=roles,
        )

    @classmethod
    def from_columns(
        cls,
        group_symbols: Sequence[Symbol],
        label_symbols: Sequence[Symbol],
        group_codes: NDArray[Any],
        label_codes: NDArray[Any],
        scores: NDArray[np.float64],
        rows: NDArray[np.int64],
        *,
        merged: NDArray[np.bool_] | None = None,
        groups: Sequence[Any] | None = None,
        labels: Sequence[Any] | None = None,
        roles: tuple[str, str, str] = ("group", "label", "score"),
    ) -> ScoreCounts:
        """
        Count columns that are coded already, each entry standing for several rows.

        Scores that are too many for a certificate are merged into blocks, so that no distance grows, if that can be; if
        not, by the least power of two that does (the distances are then rounded up by at most that).

        Parameters
        ----------
        group_symbols, label_symbols : sequence of Symbol
            Alphabets of the codes.
        group_codes, label_codes : array of int, shape (n,)
        scores : array of float, shape (n,)
            Finite. The largest of a block where entries stand for blocks.
        rows : array of int, shape (n,)
        merged : array of bool, shape (n,), optional
            Whether an entry stands for several different scores.
        groups, labels, roles
            As for `from_arrays`.

        Raises
        ------
        EmptyInputError, MissingValueError, MixedTypesError, AlphabetError
            As for `Counts.from_cells`.
        """
        n_labels = len(label_symbols)
        code = np.asarray(group_codes, np.int64) * n_labels + label_codes
        totals = np.zeros(len(group_symbols) * n_labels, np.int64)
        np.add.at(totals, code, rows)
        sizes = {
            (group, label, label): int(totals[i * n_labels + j])
            for i, group in enumerate(group_symbols)
            for j, label in enumerate(label_symbols)
            if totals[i * n_labels + j]
        }
        # The alphabets are those of a log that shows the labels themselves.
        shape = Counts.from_cells(sizes, groups=groups, labels=labels, roles=(roles[0], roles[1], roles[1]))
        n_cells = len(shape.groups) * len(shape.labels)
        if n_cells > MAX_BANDS:
            raise AlphabetError(
                f"{len(shape.groups)} groups x {len(shape.labels)} labels are {n_cells} cells (at most {MAX_BANDS}); "
                "are these columns really categories?"
            )
        place = np.array(
            [
                shape.groups.index(group) * len(shape.labels) + shape.labels.index(label) if totals[position] else 0
                for position, (group, label) in enumerate((g, y) for g in group_symbols for y in label_symbols)
            ],
            np.int64,
        )
        values, block = np.unique(scores + 0.0, return_inverse=True)
        several = np.zeros(len(values), bool)
        if merged is not None:
            np.logical_or.at(several, block, merged)
        if n_cells * len(values) > _MAX_ENTRIES:
            values, block, several = _quantile_blocks(
                values, block, several, rows / totals[code], _MAX_ENTRIES // n_cells
            )
        flat = np.zeros((n_cells, len(values)), np.int64)
        np.add.at(flat, (place[code], block), rows)
        table = flat.reshape(len(shape.groups), len(shape.labels), len(values))
        limit = max(2, min(MAX_THRESHOLDS, MAX_CELLS // n_cells))
        ends = _merge(table, several, limit) if len(values) > limit else np.arange(len(values))
        starts = np.concatenate(([0], ends[:-1] + 1))
        together = np.logical_or.reduceat(several, starts) | (ends > starts)
        counted = Counts(
            shape.groups,
            shape.labels,
            tuple(range(len(ends))),
            tuple(tuple(map(tuple, plane)) for plane in np.add.reduceat(table, starts, axis=2).tolist()),
        )
        return cls(counted, tuple(values[ends].tolist()), frozenset(np.flatnonzero(together).tolist()))

    def distances(self, *, on_missing: OnMissing = "error") -> Disparities:
        """
        Kolmogorov-Smirnov distances between the groups' score distributions, label by label.

        Parameters
        ----------
        on_missing : {"error", "vacuous"}
            What an empty (group, label) cell means: an error, or distance 1.

        Raises
        ------
        MissingCellError
            If a cell is empty and `on_missing` is ``"error"``.
        """
        if on_missing == "error":
            self.counts.require_cells()
        return self._pairwise(lambda a, b, y: self.distance(a, b, y))

    def distance(self, a: int, b: int, y: int) -> Fraction:
        """
        `sup_t |F_a(t) - F_b(t)|` of two groups' empirical distributions in one label, by positions.

        Inside a merged block one distribution function is taken at its end and the other before it, so that the value
        is exact without such blocks and never too small. 1 if a cell is empty.
        """
        row_a, row_b = self.counts.table[a][y], self.counts.table[b][y]
        n_a, n_b = sum(row_a), sum(row_b)
        if not n_a or not n_b:
            return Fraction(1)
        below_a = below_b = best = 0
        for block, (k, m) in enumerate(zip(row_a, row_b, strict=True)):
            if block in self.merged:
                best = max(best, (below_a + k) * n_b - below_b * n_a, (below_b + m) * n_a - below_a * n_b)
            below_a += k
            below_b += m
            best = max(best, abs(below_a * n_b - below_b * n_a))
        return Fraction(best, n_a * n_b)

    def _pairwise(self, distance: Callable[[int, int, int], Fraction]) -> Disparities:
        matrices = []
        for y in range(len(self.counts.labels)):

            def within(a: int, b: int, y: int = y) -> Fraction:
                return distance(a, b, y)

            matrices.append(distance_matrix(len(self.counts.groups), within))
        return Disparities(self.counts.labels, tuple(matrices))


def read_scores(values: Any, role: str) -> NDArray[np.float64]:
    """
    Read scores as 64-bit floats.

    Parameters
    ----------
    values : array-like of shape (n,)
    role : str
        What the column is called in error messages.

    Raises
    ------
    NumberError
        If a value is no finite number.
    MissingValueError, AlphabetError
        As for `Counts.from_arrays`.
    """
    array = one_dimensional(values, role)
    if array.dtype.kind not in "fiub":
        read = []
        for value in array.tolist():
            if value is None or type(value).__name__ in {"NAType", "NaTType"}:
                raise missing_value(role)
            if isinstance(value, str | bytes):
                raise NumberError(f"{role} holds the text {str(value)[:40]!r}; give scores as numbers.")
            try:
                read.append(float(value))
            except (TypeError, ValueError, OverflowError):
                raise NumberError(f"{role} holds {str(value)[:40]!r}, which is no number.") from None
        array = np.array(read)
    scores = array.astype(np.float64)
    if np.isnan(scores).any():
        raise missing_value(role)
    if np.isinf(scores).any():
        raise infinite_score(role)
    return scores


def infinite_score(role: str) -> NumberError:
    """The error for an infinite score in the column that plays `role`."""
    return NumberError(f"{role} holds an infinite score; give finite scores (a probability instead of a logit, say).")


def bin_counts(
    entries: Iterable[tuple[Symbol, Symbol, int, int]],
    bins: int,
    *,
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    roles: tuple[str, str, str] = ("group", "label", "score"),
) -> Counts:
    """
    Count scores in bins as outputs, so that every bound for hard outputs applies to what the bins show.

    Parameters
    ----------
    entries : iterable of (group, label, bin, rows)
        Bins are the positions of `bin_positions`.
    bins : int
        Number of bins, all of them declared as outputs.
    groups, labels, roles
        As for `ScoreCounts.from_arrays`.

    Returns
    -------
    Counts
        Outputs are the bins' positions: integers, or their text where labels are text.
    """
    cells: dict[tuple[Symbol, Symbol, Symbol], int] = {}
    textual = False
    for group, label, position, rows in entries:
        textual = isinstance(label, str)
        key = (group, label, str(position) if textual else position)
        cells[key] = cells.get(key, 0) + rows
    outputs = [str(position) if textual else position for position in range(bins)]
    return Counts.from_cells(cells, groups=groups, labels=labels, outputs=outputs, roles=roles)


def check_bins(bins: int, low: float, high: float) -> None:
    """
    Check a number of bins and the range of the scores.

    Raises
    ------
    NumberError
        If there are not 2 to `MAX_BINS` bins, or the range is no interval.
    """
    if not 2 <= bins <= MAX_BINS:
        raise NumberError(f"{bins} bins; give a number from 2 to {MAX_BINS} (--bins, bins=).")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise NumberError(
            f"the scores' range {low:g} to {high:g} is no interval; give --score-range LOW HIGH (score_range=)."
        )


def outside_range(value: float, low: float, high: float, role: str) -> NumberError:
    """The error for a score outside the declared range."""
    return NumberError(
        f"{role} holds {value:g}, outside the scores' range {low:g} to {high:g}; declare it by --score-range LOW HIGH "
        "(score_range=)."
    )


def bin_positions(scores: NDArray[np.float64], bins: int, low: float, high: float, role: str) -> NDArray[np.int64]:
    """
    Position of each score's bin, for bins of equal width fixed beforehand; the last one holds `high`.

    Parameters
    ----------
    scores : array of float, shape (n,)
    bins : int
    low, high : float
        Range of the scores.
    role : str
        What the column is called in error messages.

    Raises
    ------
    NumberError
        If a score lies outside the range, or the bins are none.
    """
    check_bins(bins, low, high)
    outside = (scores < low) | (scores > high)
    if outside.any():
        raise outside_range(float(scores[outside][0]), low, high, role)
    return np.minimum(np.floor((scores - low) / (high - low) * bins), bins - 1).astype(np.int64)


@proved_by("T7")
def kolmogorov_band(n: int, alpha: Fraction) -> Fraction:
    """
    Half-width of a band that holds a whole distribution function with probability at least `1 - alpha`.

    `sqrt(ln(2 / alpha) / (2 n))` (Dvoretzky, Kiefer and Wolfowitz with Massart's constant), or, for n up to 256, the
    quantile of twice the exact one-sided law (Birnbaum and Tingey), which is smaller. Valid for every distribution,
    ties included. Rounded up to a multiple of 1e-9, and established in exact arithmetic before it is returned.

    Parameters
    ----------
    n : int
        Draws; the band of none is 1.
    alpha : Fraction
        In (0, 1).
    """
    if n == 0:
        return Fraction(1)
    log = math.log(2) + math.log(alpha.denominator) - math.log(alpha.numerator)
    width = math.sqrt(log / (2 * n))
    if n <= MAX_EXACT_BAND:
        width = min(width, float(smirnovi(n, float(alpha / 2))))
    steps = math.ceil(width * _BAND_GRID)
    while steps < _BAND_GRID and not band_holds(n, Fraction(steps, _BAND_GRID), alpha):
        steps += 1 + steps // 10**7
    return Fraction(min(steps, _BAND_GRID), _BAND_GRID)


@dataclass(frozen=True)
class ScorePair:
    """
    The bound for one pair of worlds.

    Attributes
    ----------
    groups : tuple of Symbol or None
        The two pure groups; None for a given pair.
    raw_pair, pair : CompositionPair
        As measured or given, and as used (label-balanced if so asked).
    point, upper : Fraction
        The bound at the measured distances, and the confidence bound.
    """

    groups: tuple[Symbol, Symbol] | None
    raw_pair: CompositionPair
    pair: CompositionPair
    point: Fraction
    upper: Fraction

    @property
    def name(self) -> str:
        """The two worlds in words."""
        return "the given pair" if self.groups is None else f"{self.groups[0]} / {self.groups[1]}"


@dataclass(frozen=True, repr=False)
class ScoreCertification:
    """
    A bound on the advantage of adversaries who threshold a score.

    Attributes
    ----------
    scores : ScoreCounts
    label_balanced : bool
    on_missing : {"error", "vacuous"}
    confidence : Fraction
        Joint level of everything estimated.
    number : int
        Limits among which the error is split.
    bands : tuple, shape (G, K)
        Half-widths of the bands around the empirical distribution functions.
    label_marginals : tuple, shape (G, K), or None
        Lower limits of the groups' label marginals; None where compositions are given.
    distances, upper_distances : Disparities
        Kolmogorov-Smirnov distances as measured, and their simultaneous upper limits.
    pairs : tuple of ScorePair
        Every pair of worlds that the bound covers.
    """

    scores: ScoreCounts
    label_balanced: bool
    on_missing: OnMissing
    confidence: Fraction
    number: int
    bands: tuple[tuple[Fraction, ...], ...]
    label_marginals: tuple[tuple[Fraction, ...], ...] | None
    distances: Disparities
    upper_distances: Disparities
    pairs: tuple[ScorePair, ...]

    @property
    def counts(self) -> Counts:
        """Rows per (group, label, block of scores)."""
        return self.scores.counts

    @cached_property
    def worst(self) -> ScorePair:
        """The pair with the largest bound at the measured distances."""
        return max(self.pairs, key=lambda result: result.point)

    @property
    def point(self) -> Fraction:
        """Largest bound over the pairs, at the measured distances."""
        return self.worst.point

    @cached_property
    def upper(self) -> Fraction:
        """Largest confidence bound over the pairs: holds for all of them at once."""
        return max(result.upper for result in self.pairs)

    @property
    def not_covered(self) -> tuple[str, ...]:
        """Adversaries that the bound says nothing about."""
        return NOT_COVERED

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the bound rests on, in sentences."""
        counts = self.counts
        lines = [
            f"{SHARED_CONDITIONALS[0].upper()}{SHARED_CONDITIONALS[1:]}.",
            "The adversary sees one score and the label, and compares the score with one threshold, which may depend "
            "on the label.",
            "The log's rows are independent draws, and none was used to train, tune or select the model.",
            f"There are no labels but {shown_names(counts.labels)}. Scores are read as 64-bit floats.",
        ]
        if self.label_marginals is None:
            lines.append("The two compositions are given, and taken as exact.")
        else:
            lines.append("The groups' label marginals were estimated from the log; their error is covered.")
        if empty := [cell for pair in self.pairs for cell in self.empty_cells(pair)]:
            a, y = empty[0]
            lines.append(
                f"Cells without rows (such as group {shown_names([a])}, label {shown_names([y])}) count as distance 1."
            )
        return tuple(lines)

    def empty_cells(self, pair: ScorePair) -> tuple[tuple[Symbol, Symbol], ...]:
        """
        (group, label) cells without rows that the bound of a pair may depend on.

        Parameters
        ----------
        pair : ScorePair
            One of `pairs`.
        """
        return self.counts.missing_cells(pair.groups)

    def certificate(self) -> Certificate:
        """
        Everything needed to check the bound again, checked once already.

        Raises
        ------
        CertificateError
            If the independent checker refuses it (too large, or a defect of this library).
        """
        return Certificate.seal(self.certificate_body(), schema=SCORES_SCHEMA)

    def certificate_body(self) -> dict[str, Any]:
        """Content of the certificate, without schema and digest."""
        counts = self.counts
        pairs = []
        for result in self.pairs:
            pair = result.pair
            entry: dict[str, Any] = {
                "label_shift": str(pair.label_shift),
                "moved": [str(m) for m in pair.moved],
                "distance": str(pair.distance),
                "point": str(result.point),
                "upper": str(result.upper),
            }
            if result.groups is not None:
                entry["groups"] = list(result.groups)
            else:
                for name, world in (("world_0", result.raw_pair.world_0), ("world_1", result.raw_pair.world_1)):
                    entry[name] = [[str(m) for m in row] for row in world.mass]
            pairs.append(entry)
        per_label = zip(counts.labels, self.distances.per_label, self.upper_distances.per_label, strict=True)
        return {
            "claim": {
                "game": "thresholds",
                "label_balanced": self.label_balanced,
                "theorem": "T7",
                "confidence": str(self.confidence),
                "compositions": "given" if self.label_marginals is None else "estimated",
            },
            "counts": {
                "groups": list(counts.groups),
                "labels": list(counts.labels),
                "thresholds": [str(Fraction(threshold)) for threshold in self.scores.thresholds],
                "merged": sorted(self.scores.merged),
                "table": [[list(row) for row in plane] for plane in counts.table],
            },
            "rows": counts.rows,
            "on_missing": self.on_missing,
            "limits": {
                "method": "kolmogorov, clopper-pearson",
                "number": self.number,
                "bands": [[str(eps) for eps in row] for row in self.bands],
                "label_marginals": [[str(v) for v in row] for row in self.label_marginals or ()],
            },
            "distance": [{"label": y, "point": str(p), "upper": str(u)} for y, p, u in per_label],
            "pairs": pairs,
            "advantage": {"point": str(self.point), "upper": str(self.upper)},
        }

    def to_dict(self) -> dict[str, Any]:
        """
        The result as JSON-ready numbers.

        Points are the nearest floats; upper bounds are rounded up. The entry ``exact`` holds both as exact texts.
        """
        counts, worst = self.counts, self.worst
        point, upper = self.distances.per_label, self.upper_distances.per_label
        return {
            "schema": RESULT_SCHEMA,
            "game": "thresholds",
            "label_balanced": self.label_balanced,
            "confidence": float(self.confidence),
            "rows": counts.rows,
            "groups": list(counts.groups),
            "labels": list(counts.labels),
            "thresholds": len(self.scores.thresholds),
            "pair": None if worst.groups is None else list(worst.groups),
            "composition": {
                "label_shift": float(worst.pair.label_shift),
                "moved": {str(y): float(m) for y, m in zip(counts.labels, worst.pair.moved, strict=True)},
                "distance": float(worst.pair.distance),
                "source": "given" if self.label_marginals is None else "estimated from the log",
            },
            "kolmogorov_smirnov": {
                str(y): {"point": float(p), "upper": float_above(u)}
                for y, p, u in zip(counts.labels, point, upper, strict=True)
            },
            "advantage": {"point": float(self.point), "upper": float_above(self.upper), "theorem": "T7"},
            "adversary_accuracy": float_above((1 + self.upper) / 2),
            "pairs": [
                {"pair": result.name, "point": float(result.point), "upper": float_above(result.upper)}
                for result in self.pairs
            ],
            "statement": f"{LABELS_SAY_NOTHING[0].upper()}{LABELS_SAY_NOTHING[1:]}.",
            "assumptions": list(self.assumptions),
            "not_covered": list(self.not_covered),
            "exact": {
                "confidence": str(self.confidence),
                "advantage": {"point": str(self.point), "upper": str(self.upper)},
                "kolmogorov_smirnov": {str(y): str(p) for y, p in zip(counts.labels, point, strict=True)},
            },
        }

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        return (
            f"{'label-balanced ' if self.label_balanced else ''}threshold tests of a score, {self.worst.name}: "
            f"advantage at most {decimal_above(self.upper)} with confidence {decimal_below(self.confidence)} "
            f"({float(self.point):.4f} at the measured distances; T7, {self.counts.rows} rows)"
        )


@proved_by("T1", "T7", "T9")
def certify_score_counts(
    scores: ScoreCounts,
    *,
    pure: Sequence[Any] | None = None,
    pair: CompositionPair | None = None,
    label_balanced: bool = False,
    confidence: float | str | Fraction = 0.95,
    on_missing: OnMissing = "error",
) -> ScoreCertification:
    """
    Bound the advantage of every test that compares a score with a threshold, which may depend on the label (T7).

    The error is split evenly among one two-sided band for each (group, label) and, if they are estimated, one lower
    limit for each group's share of each label.

    Parameters
    ----------
    scores : ScoreCounts
    pure : (group, group), optional
        The two worlds consist of one of these groups each, with its label marginal in the log.
    pair : CompositionPair, optional
        The two worlds, given exactly. With neither `pure` nor `pair`: every pair of pure groups.
    label_balanced : bool
        Replace both worlds' label marginals by their average.
    confidence : float, text or Fraction
        Joint level of the upper bound, in [1/2, 1).
    on_missing : {"error", "vacuous"}
        What a (group, label) cell without rows means: an error, or the trivial distance 1.

    Returns
    -------
    ScoreCertification

    Raises
    ------
    SingleGroupError, MissingCellError, AlphabetError, CompositionError, NumberError
        As their docstrings say.
    """
    level = parse_confidence(confidence)
    counts = scores.counts
    if on_missing not in ("error", "vacuous"):
        raise AlphabetError(f"on_missing is {on_missing!r}; choose 'error' or 'vacuous'.")
    if pure is not None and pair is not None:
        raise CompositionError("give either two pure groups or a composition pair, not both.")
    counts.require_groups()
    if len(counts.labels) < 2:
        raise AlphabetError(f"only the label {counts.labels[0]!r} occurs; declare the labels if another is absent.")
    measured = scores.distances(on_missing=on_missing)
    number = len(counts.groups) * len(counts.labels) * (2 if pair is None else 1)
    alpha = (1 - level) / number
    bands = tuple(tuple(kolmogorov_band(n, alpha) for n in row) for row in counts.cell_rows)
    marginals = lower_marginals(counts, alpha) if pair is None else None

    def at_most(a: int, b: int, y: int) -> Fraction:
        return min(Fraction(1), measured.pairwise[y][a][b] + bands[a][y] + bands[b][y])

    upper = scores._pairwise(at_most)

    def result(groups: tuple[Symbol, Symbol] | None, raw: CompositionPair) -> ScorePair:
        used = raw.label_balanced() if label_balanced else raw
        distances = measured.per_label
        if groups is None or marginals is None:
            value = upper_advantage_given(used, upper, None)
        else:
            over_marginals = upper_advantage_balanced if label_balanced else upper_advantage_pure
            first, second = map(counts.group_index, groups)
            value = over_marginals(marginals[first], marginals[second], upper.between(first, second))
            distances = measured.between(first, second)
        return ScorePair(groups, raw, used, worst_case_advantage(used, distances).value, value)

    if pair is not None:
        if (pair.groups, pair.labels) != (counts.groups, counts.labels):
            raise CompositionError(
                "the composition pair and the log have different groups or labels, or in another order; lay the pair "
                "out on the log's: CompositionPair.from_dict(data, counts.groups, counts.labels)."
            )
        results = [result(None, pair)]
    else:
        if pure is not None and (isinstance(pure, str) or not isinstance(pure, Sequence) or len(pure) != 2):
            raise CompositionError(f"a pure pair names two groups, as in pure=('a', 'b'), not {pure!r}.")
        named = [tuple(pure)] if pure is not None else list(combinations(counts.groups, 2))
        chosen = [(counts.groups[counts.group_index(a)], counts.groups[counts.group_index(b)]) for a, b in named]
        results = [result(groups, CompositionPair.pure(counts, *groups)) for groups in chosen]
    return ScoreCertification(
        scores, bool(label_balanced), on_missing, level, number, bands, marginals, measured, upper, tuple(results)
    )


def _quantile_blocks(
    values: NDArray[np.float64],
    block: NDArray[Any],
    several: NDArray[np.bool_],
    weights: NDArray[np.float64],
    number: int,
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.bool_]]:
    """Merge distinct scores into about `number` blocks of equal weight, each (group, label) counting alike."""
    mass = np.zeros(len(values))
    np.add.at(mass, block, weights)
    before = np.concatenate(([0.0], np.cumsum(mass)[:-1]))
    _, coarse = np.unique(np.floor(before * (number / mass.sum())), return_inverse=True)
    size = np.bincount(coarse)
    ends = np.cumsum(size) - 1
    joined = np.logical_or.reduceat(several, ends - size + 1) | (size > 1)
    return values[ends], coarse[block], joined


def _merge(table: NDArray[np.int64], several: NDArray[np.bool_], limit: int) -> NDArray[np.int64]:
    """
    Last positions of at most `limit` runs of blocks, such that merging them raises no label's distance.

    A run may be merged if no difference that the conservative evaluation can find there exceeds the label's distance;
    where that leaves too many runs, the distances may rise by a slack that is doubled until it does not.
    """
    sizes = table.sum(axis=2)
    heights = np.cumsum(table, axis=2) / np.maximum(sizes, 1)[:, :, None]
    n_groups, n_labels, n_blocks = table.shape
    curves = [[heights[a, y] for a in range(n_groups) if sizes[a, y]] for y in range(n_labels)]
    lows = [[np.concatenate(([0.0], curve[:-1])) for curve in label] for label in curves]
    slack = 0.0
    while True:
        allowed = []
        for label, low in zip(curves, lows, strict=True):
            gaps = [
                np.maximum(f - g, np.where(several, f - below, 0)).max()
                for i, f in enumerate(label)
                for j, (g, below) in enumerate(zip(label, low, strict=True))
                if i != j
            ]
            allowed.append(max(gaps, default=1.0) + slack - 1e-12)
        ends: list[int] = []
        while len(ends) <= limit and (not ends or ends[-1] < n_blocks - 1):
            start = ends[-1] + 1 if ends else 0
            last = n_blocks - 1
            for label, low, most in zip(curves, lows, allowed, strict=True):
                for i, curve in enumerate(label):
                    floor = min((below[start] for j, below in enumerate(low) if j != i), default=1.0)
                    last = min(last, int(np.searchsorted(curve, floor + most, side="right")) - 1)
            ends.append(max(start, last))
        if len(ends) <= limit:
            return np.array(ends)
        slack = max(2 * slack, 2.0**-16)
