"""Adversaries who see scores: reading a log's score column, and the bound for tests that threshold it (T7)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from fairbound.bounds.alphabet import missing_value
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.certify import Certification, certify_counts
from fairbound.bounds.counting import cross_tabulate
from fairbound.bounds.counts import Counts
from fairbound.bounds.errors import FairboundError, FileFormatError, NumberError, UnknownColumnError
from fairbound.bounds.games import NOT_COVERED, Game, ScoreBins, get_game
from fairbound.bounds.rational import float_above, to_fraction
from fairbound.bounds.scores import (
    LABELS_SAY_NOTHING,
    ScoreCertification,
    ScoreCounts,
    bin_counts,
    bin_positions,
    certify_score_counts,
    check_bins,
    infinite_score,
    outside_range,
    read_scores,
)
from fairbound.console import NumbersTable, bullets, headline, print_gate
from fairbound.describe import above, empty_cells, label_shift, percent, percent_above, sentence, worlds
from fairbound.ingest import count_files, read_pair
from fairbound.logs import no_rows
from fairbound.relations import Relation, relation
from fairbound.tally import MAX_COMBINATIONS, Columns, like

_BLOCKS = 2**15


@dataclass(frozen=True)
class ScoreColumns(Columns):
    """The columns of a log of scores; `prediction` is the score's."""

    @property
    def options(self) -> tuple[str, ...]:
        """What names each column on the command line, and in Python."""
        return (*("--group (group=)" for _ in self.groups), "--label (label=)", "--score (score=)")

    def __str__(self) -> str:
        groups = ", ".join(map(repr, self.groups))
        return f"label ({self.label!r}), score ({self.prediction!r}) and group ({groups})"


def certify_scores(
    y_true: Any,
    y_score: Any,
    *,
    sensitive_features: Any,
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    **options: Any,
) -> ScoreCertification:
    """
    Bound the leak to an adversary who sees a score and the label, and compares the score with a threshold.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels.
    y_score : array-like of shape (n,)
        Real numbers: probabilities, logits, risk scores.
    sensitive_features : array-like of shape (n,)
        Group of each row.
    groups, labels : sequence, optional
        Declared alphabets; default: what occurs.
    **options
        `pure`, `pair`, `label_balanced`, `confidence`, `on_missing`: see `fairbound.bounds.certify_score_counts`.

    Returns
    -------
    ScoreCertification

    Raises
    ------
    FairboundError
        One of its subclasses, whose message names the culprit and the remedy.

    Examples
    --------
    >>> y_true = [0, 0, 1, 1, 0, 0, 1, 1]
    >>> score = [0.1, 0.4, 0.6, 0.9, 0.2, 0.4, 0.8, 0.9]
    >>> sex = ["F", "F", "F", "F", "M", "M", "M", "M"]
    >>> certify_scores(y_true, score, sensitive_features=sex).point
    Fraction(1, 2)
    """
    scores = ScoreCounts.from_arrays(
        y_true, y_score, sensitive_features=sensitive_features, groups=groups, labels=labels
    )
    return certify_score_counts(scores, **options)


def count_bins(
    y_true: Any,
    y_score: Any,
    *,
    sensitive_features: Any,
    bins: int,
    score_range: tuple[float, float] = (0.0, 1.0),
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
) -> Counts:
    """
    Count scores in bins of equal width, fixed beforehand, as outputs of a model.

    `certify_counts` then bounds every adversary who sees the bin, not only those who threshold.

    Parameters
    ----------
    y_true, y_score, sensitive_features, groups, labels
        As for `certify_scores`.
    bins : int
        Their number; all of them are declared as outputs 0, 1, ...
    score_range : (float, float)
        Where the bins begin and end; must not depend on the log.

    Raises
    ------
    NumberError
        If a score lies outside the range, or there are not 2 to 1000 bins.
    """
    role = "y_score"
    positions = bin_positions(read_scores(y_score, role), bins, *score_range, role)
    columns = {"sensitive_features": sensitive_features, "y_true": y_true, role: positions}
    cells = cross_tabulate(columns, declared_groups=groups)
    entries = [(group, label, int(position), n) for (group, label, position), n in cells.items()]
    return bin_counts(entries, bins, groups=groups, labels=labels, roles=("sensitive_features", "y_true", role))


def count_score_file(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    label: str = "label",
    score: str = "score",
    group: str | Sequence[str] = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
) -> ScoreCounts:
    """
    Count the scores of CSV or Parquet files, out of core (DuckDB).

    Parameters
    ----------
    path : path, or iterable of paths and patterns
    label, score : str
        Column names.
    group : str or sequence of str
        Column of the sensitive attribute; several make intersectional groups.
    groups, labels : sequence, optional
        Declared alphabets; default: what occurs.

    Returns
    -------
    ScoreCounts
        More than a million combinations of group, label and score are counted in blocks of scores.

    Raises
    ------
    FileFormatError, UnknownColumnError, EmptyInputError, MissingValueError, NumberError, AlphabetError
    """
    columns = ScoreColumns.named(label=label, prediction=score, group=group)
    with relation(columns, path) as log:
        blocks = _load(log) > MAX_COMBINATIONS
        rows = _in_blocks(log) if blocks else log.execute("SELECT *, s, s FROM cells").fetchall()
        (group_codes, label_codes), symbols = _categories(log, rows)
    values = np.array([row[-4] for row in rows], np.float64)
    merged = None
    if blocks:
        ends, block = np.unique(values, return_inverse=True)
        low, high = np.full(len(ends), np.inf), np.full(len(ends), -np.inf)
        np.minimum.at(low, block, [row[-2] for row in rows])
        np.maximum.at(high, block, [row[-1] for row in rows])
        merged = (low < high)[block]
    return ScoreCounts.from_columns(
        symbols[0],
        symbols[1],
        group_codes,
        label_codes,
        values,
        np.array([row[-3] for row in rows], np.int64),
        merged=merged,
        groups=like(groups, symbols[0]),
        labels=like(labels, symbols[1]),
        roles=_roles(columns),
    )


def count_bins_file(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    bins: int,
    score_range: tuple[float, float] = (0.0, 1.0),
    label: str = "label",
    score: str = "score",
    group: str | Sequence[str] = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
) -> Counts:
    """
    `count_bins` for CSV or Parquet files, out of core (DuckDB).

    Parameters
    ----------
    path, label, score, group, groups, labels
        As for `count_score_file`.
    bins, score_range
        As for `count_bins`.
    """
    check_bins(bins, *score_range)
    low, high = score_range
    columns = ScoreColumns.named(label=label, prediction=score, group=group)
    roles = _roles(columns)
    with relation(columns, path) as log:
        _load(log)
        outside = log.execute("SELECT s FROM cells WHERE s < ? OR s > ? LIMIT 1", [low, high]).fetchone()
        if outside:
            raise outside_range(outside[0], low, high, roles[2])
        position = f"least(floor((s - ?) / (? - ?) * {bins}), {bins - 1})::BIGINT"
        query = f"SELECT * EXCLUDE (s, n), {position}, sum(n) FROM cells GROUP BY ALL"
        rows = [(*row, None, None) for row in log.execute(query, [low, high, low]).fetchall()]
        (group_codes, label_codes), symbols = _categories(log, rows)
    entries = [
        (symbols[0][a], symbols[1][y], row[-4], int(row[-3]))
        for a, y, row in zip(group_codes, label_codes, rows, strict=True)
    ]
    return bin_counts(entries, bins, groups=like(groups, symbols[0]), labels=like(labels, symbols[1]), roles=roles)


def count_score_frame(
    frame: Any,
    *,
    label: str = "label",
    score: str = "score",
    group: str | Sequence[str] = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
) -> ScoreCounts:
    """
    Count the scores of a data frame (anything narwhals knows, lazy or not).

    Parameters
    ----------
    frame : data frame
    label, score, group, groups, labels
        As for `count_score_file`.

    Raises
    ------
    FileFormatError
        If `frame` is no data frame.
    UnknownColumnError, EmptyInputError, MissingValueError, NumberError, AlphabetError
    """
    import narwhals as nw

    columns = ScoreColumns.named(label=label, prediction=score, group=group)
    try:
        table = nw.from_native(frame)
        columns.require([str(name) for name in table.collect_schema().names()], "the frame")
        selected = table.select(*columns.names)
        if isinstance(selected, nw.LazyFrame):
            selected = selected.collect()
    except (TypeError, nw.exceptions.NarwhalsError) as error:
        raise FileFormatError(f"{type(frame).__name__} is no data frame that can be read ({error}).") from None
    features = {name: selected[name].to_list() for name in columns.groups}
    roles = _roles(columns)
    return ScoreCounts.from_arrays(
        selected[label].to_list(),
        selected[score].to_numpy(),
        sensitive_features=features if len(features) > 1 else features[columns.groups[0]],
        groups=groups,
        labels=labels,
        roles=roles,
    )


def _roles(columns: Columns) -> tuple[str, str, str]:
    *parts, label, score = columns.roles()
    return " and ".join(parts), label, score


def _load(log: Relation) -> int:
    """Group by group, label and score into the table ``cells``; returns the number of its rows."""
    *categories, score = (f"c{i}" for i in range(len(log.columns.names)))
    number = f"TRY_CAST({f'trim({score})' if log.is_text else score} AS DOUBLE)"
    kept = ", ".join(categories)
    log.execute(f"CREATE TABLE cells AS SELECT {kept}, {number} + 0.0 AS s, count(*) AS n FROM {{log}} GROUP BY ALL")
    bad = "s IS NULL OR isnan(s) OR isinf(s)"
    rows, unusable = log.execute(f"SELECT count(*), count(*) FILTER ({bad}) FROM cells").fetchone()
    if not rows:
        raise no_rows(log.where)
    if unusable:
        role = log.columns.roles()[-1]
        found = log.execute(
            f"SELECT {score}, s FROM (SELECT {score}, {number} AS s FROM {{log}}) WHERE {bad} LIMIT 1"
        ).fetchone()
        if found[1] is None and found[0] is not None and str(found[0]).strip():
            raise NumberError(f"{role} holds {str(found[0])[:40]!r}, which is no number; name the column of scores.")
        raise infinite_score(role) if found[1] is not None and found[1] == found[1] else missing_value(role)
    return int(rows)


def _in_blocks(log: Relation) -> list[tuple[Any, ...]]:
    """
    Count blocks of scores that end at approximate quantiles of every (group, label).

    The bands hold for all thresholds at once, so where the blocks end may depend on the scores.
    """
    categories = ", ".join(f"c{i}" for i in range(len(log.columns.names) - 1))
    (cells,) = log.execute(f"SELECT count(*) FROM (SELECT DISTINCT {categories} FROM cells)").fetchone()
    steps = max(2, _BLOCKS // cells)
    shares = ", ".join(str(i / steps) for i in range(1, steps))
    log.execute(
        f"CREATE TABLE cuts AS SELECT unnest(approx_quantile(s, [{shares}])) AS cut FROM cells GROUP BY {categories} "
        "UNION SELECT max(s) FROM cells"
    )
    return list(
        log.execute(
            f"SELECT {categories}, cut, sum(n), min(s), max(s) FROM cells ASOF JOIN cuts ON s <= cut GROUP BY ALL"
        ).fetchall()
    )


def _categories(
    log: Relation, rows: Sequence[tuple[Any, ...]]
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[list[Any], list[Any]]]:
    """Each row's group and label as codes, and the two alphabets."""
    axes = range(len(log.columns.names) - 1)
    keys = list(dict.fromkeys(row[: len(axes)] for row in rows))
    read = log.symbols(keys, axes)
    alphabets: tuple[list[Any], list[Any]] = (
        list(dict.fromkeys(group for group, _ in read.values())),
        list(dict.fromkeys(label for _, label in read.values())),
    )
    places = [{symbol: i for i, symbol in enumerate(alphabet)} for alphabet in alphabets]
    coded = {key: (places[0][group], places[1][label]) for key, (group, label) in read.items()}
    codes = np.array([coded[row[: len(axes)]] for row in rows], np.int64)
    return (codes[:, 0], codes[:, 1]), alphabets


def verdict(result: ScoreCertification) -> str:
    """The bound in one sentence."""
    balance = " (label marginals made equal)" if result.label_balanced else ""
    return (
        f"With confidence {percent(result.confidence)}, an adversary who, for one random person, sees a score and the "
        f"true label and compares the score with a threshold tells {worlds(result)}{balance}, with an advantage of at "
        f"most {above(result.upper)}: it guesses right at most {percent_above((1 + result.upper) / 2)} of the time, "
        "where 50 % is blind guessing."
    )


def side_by_side(result: ScoreCertification, hard: Certification) -> str:
    """The bound for scores beside that for hard predictions, in one sentence."""
    return (
        f"Someone who sees the hard prediction instead of the score has an advantage of at most {above(hard.upper)} "
        f"({hard.game.name} game, {hard.theorem}), someone who thresholds the score {above(result.upper)} (T7); each "
        f"bound holds with confidence {percent(result.confidence)} by itself."
    )


def print_scores(
    result: ScoreCertification,
    *,
    hard: Certification | None = None,
    limit: Fraction | None = None,
    certificate: tuple[Path, Certificate] | None = None,
    console: Console | None = None,
) -> None:
    """
    Print a result for a reader.

    Parameters
    ----------
    result : ScoreCertification
    hard : Certification, optional
        The bound for the log's hard predictions.
    limit : Fraction, optional
        The largest acceptable advantage.
    certificate : (Path, Certificate), optional
        Where the certificate was written.
    console : rich.console.Console, optional
    """
    console = headline(verdict(result), console)
    table = NumbersTable("", result.confidence)
    per_label = zip(result.counts.labels, result.distances.per_label, result.upper_distances.per_label, strict=True)
    empty = {label for _, label in result.counts.missing_cells()}
    for label, point, upper in per_label:
        table.add(f"Kolmogorov-Smirnov distance, label {label}", None if label in empty else point, upper)
    table.add_advantages(result)
    console.print(table)
    merged = len(result.scores.merged)
    facts = [
        f"{result.counts.rows} rows, {len(result.counts.groups)} groups, {len(result.counts.labels)} labels, scores "
        f"cut at {len(result.scores.thresholds)} thresholds"
        + (f" (between some, {merged}, lie several scores; distances are never rounded down)" if merged else "")
        + f"; value by T7, {result.number} bands and limits (Dvoretzky-Kiefer-Wolfowitz-Massart or exact; "
        "Clopper-Pearson).",
        label_shift(result),
        *([_OWN_DISTANCES] if len(result.counts.groups) > 2 and result.pairs[0].groups is not None else []),
        *([empty_cells(result.counts)] if empty else []),
    ]
    if hard is not None:
        facts.append(side_by_side(result, hard))
    bullets(console, "What went in", facts)
    bullets(console, "Assumptions", list(result.assumptions))
    bullets(console, "Not covered", list(map(sentence, result.not_covered)))
    console.print()
    console.print(Text(STATEMENT))
    print_gate(console, result.upper, limit, certificate)


_OWN_DISTANCES = (
    "Each pair is priced at the distances between its own two groups; the table shows each label's largest of any two."
)
STATEMENT = sentence(LABELS_SAY_NOTHING)


def binned_game(game: str, score: str, bins: int, score_range: tuple[float, float]) -> Game:
    """
    A game in which the output is a bin of the score.

    Parameters
    ----------
    game : str
        ``"labelled"`` or ``"unlabelled"``.
    score : str
        Name of the score.
    bins, score_range
        As for `count_bins`.

    Returns
    -------
    Game
        The game of that name, with its view and the adversaries outside it in the words of bins.
    """
    low, high = score_range
    seen = f"which of {bins} bins of the score ({low:g} to {high:g})"
    sees = {"labelled": f"{seen} and the true label", "unlabelled": f"{seen} alone"}
    shadow_models, _, draws = NOT_COVERED
    finer = "an adversary who sees the score more finely than in these bins, or parameters of the model"
    return replace(
        get_game(game),
        sees=sees[game],
        not_covered=(shadow_models, finer, draws),
        bins=ScoreBins(score, to_fraction(low), to_fraction(high)),
    )


def binned(bins: int, score_range: tuple[float, float]) -> str:
    """What the outputs of binned scores are, and what hard predictions do not say, in sentences."""
    low, high = score_range
    return f"Outputs are the bins 0 to {bins - 1} of equal width on {low:g} to {high:g}, fixed beforehand. {STATEMENT}"


def check_options(
    score: str | None,
    bins: int | None,
    score_range: tuple[float, float] | None,
    named: dict[str, bool],
    outputs: str | None,
    game: str,
) -> None:
    """
    Refuse options of the command line that do not go with scores.

    Parameters
    ----------
    score, bins, score_range, outputs, game
        Values of the options.
    named : dict
        Further options, and whether they ask for something else than the default.

    Raises
    ------
    FairboundError
    """
    if score is None:
        raise FairboundError("--bins and --score-range are about a score; name its column by --score.")
    if outputs is not None:
        raise FairboundError("--outputs declares hard predictions; leave it out with --score.")
    if bins is None:
        if score_range is not None:
            raise FairboundError("--score-range says where bins begin and end; give their number by --bins.")
        for option, asked in named.items():
            if asked:
                raise FairboundError(
                    f"{option} does not go with --score, which bounds threshold tests of score and label (T7); leave "
                    "it out, or bin the scores (--bins)."
                )
    elif game == "correctness":
        raise FairboundError("no bin of scores is correct; leave out --game correctness with --bins.")


def run_scores(
    log: Any,
    *,
    score: str,
    columns: dict[str, Any],
    prediction: str,
    pair: Path | None,
    options: dict[str, Any],
    limit: Fraction | None,
    out: Path | None,
    quiet: bool,
) -> tuple[dict[str, Any], bool]:
    """
    Certify a log's scores for the command line.

    Parameters
    ----------
    log : path, or iterable of paths
    score : str
        Column of scores.
    columns : dict
        `label`, `group`, `groups`, `labels`.
    prediction : str
        Column of hard predictions to certify beside the scores; ``"prediction"`` may be absent.
    pair : Path or None
        File of a composition pair.
    options : dict
        `pure`, `label_balanced`, `confidence`, `on_missing`.
    limit : Fraction or None
        The largest acceptable advantage.
    out : Path or None
        Where to write the certificate.
    quiet : bool
        Print nothing.

    Returns
    -------
    dict
        JSON-ready result.
    bool
        Whether the bound is within the limit.
    """
    scores = count_score_file(log, score=score, **columns)
    given = None if pair is None else read_pair(pair, scores.counts)
    result = certify_score_counts(scores, pair=given, **options)
    hard = None
    try:
        counts = count_files(log, prediction=prediction, **columns) if prediction != score else None
    except UnknownColumnError:
        # The option's default names no column of this log.
        if prediction != "prediction":
            raise
        counts = None
    if counts is not None:
        hard = certify_counts(counts, pair=None if pair is None else read_pair(pair, counts), **options)
    certificate = None
    if out is not None:
        certificate = result.certificate()
        certificate.write(out)
    holds = limit is None or result.upper <= limit
    if not quiet:
        written = None if out is None or certificate is None else (out, certificate)
        print_scores(result, hard=hard, limit=limit, certificate=written)
    data = result.to_dict()
    data["hard_predictions"] = None
    if hard is not None:
        data["hard_predictions"] = {
            "column": prediction,
            "game": hard.game.name,
            "advantage": {"point": float(hard.point), "upper": float_above(hard.upper), "theorem": hard.theorem},
        }
    data["max_advantage"] = None if limit is None else {"limit": float(limit), "holds": holds}
    data["certificate"] = None if certificate is None else {"path": str(out), "digest": certificate.digest}
    return data, holds
