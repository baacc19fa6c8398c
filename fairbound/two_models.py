"""Two models on one log: how well an adversary tells which of them answers (T8), for arrays and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from fairbound.bounds.alphabet import Symbol, printable
from fairbound.bounds.counting import cross_tabulate, encode
from fairbound.bounds.errors import AlphabetError, LengthMismatchError, ScoresError
from fairbound.bounds.rational import decimal_above
from fairbound.bounds.two_models import (
    EQUALIZED_ODDS_IS_SILENT,
    PairedCounts,
    TwoModelCertification,
    certify_paired_counts,
)
from fairbound.console import NumbersTable, bullets, headline, print_gate
from fairbound.describe import above, empty_cells, percent, percent_above, sentence
from fairbound.logs import no_rows
from fairbound.relations import relation
from fairbound.tally import MAX_COMBINATIONS, Columns, like


@dataclass(frozen=True)
class TwoModelColumns(Columns):
    """The columns of a log of two models; `prediction` is that of model 0."""

    second: str = "prediction_1"

    @property
    def names(self) -> tuple[str, ...]:
        """Sensitive attributes, label, prediction of model 0, prediction of model 1."""
        return (*self.groups, self.label, self.prediction, self.second)

    @property
    def options(self) -> tuple[str, ...]:
        """What names each column on the command line, and in Python."""
        models = ("--model-0 (model_0=)", "--model-1 (model_1=)")
        return (*("--group (group=)" for _ in self.groups), "--label (label=)", *models)

    def __str__(self) -> str:
        groups = ", ".join(map(repr, self.groups))
        models = f"model 0 ({self.prediction!r}), model 1 ({self.second!r})"
        return f"label ({self.label!r}), {models} and group ({groups})"


def certify_two_models(
    y_true: Any,
    y_pred_0: Any,
    y_pred_1: Any,
    *,
    sensitive_features: Any,
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
    **options: Any,
) -> TwoModelCertification:
    """
    Bound what an answer tells about which of two models gave it: one model for each world (shadow models).

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels.
    y_pred_0, y_pred_1 : array-like of shape (n,)
        Hard predictions of the two models on the same rows.
    sensitive_features : array-like of shape (n,)
        Group of each row.
    groups, labels, outputs : sequence, optional
        Declared alphabets; default: what occurs.
    **options
        `confidence`, `on_missing`: see `fairbound.bounds.certify_paired_counts`.

    Returns
    -------
    TwoModelCertification

    Raises
    ------
    FairboundError
        One of its subclasses, whose message names the culprit and the remedy.

    Examples
    --------
    >>> y_true = [0, 1, 0, 1, 0, 1, 0, 1]
    >>> strict = [0, 0, 0, 1, 0, 0, 0, 1]
    >>> lenient = [0, 1, 0, 1, 0, 1, 0, 1]
    >>> sex = ["F", "F", "F", "F", "M", "M", "M", "M"]
    >>> certify_two_models(y_true, strict, lenient, sensitive_features=sex).point
    Fraction(1, 2)
    """
    roles = ("sensitive_features", "y_true", "y_pred_0", "y_pred_1")
    with _categories_only():
        (shown_0, codes_0), (shown_1, codes_1) = encode(y_pred_0, roles[2]), encode(y_pred_1, roles[3])
    if len(codes_0) != len(codes_1):
        raise LengthMismatchError(
            f"arrays of different lengths ({roles[2]} {len(codes_0)}, {roles[3]} {len(codes_1)}); both models predict "
            "the same rows."
        )
    # Both predictions as one column of codes, so that one pass counts all four columns.
    answers = codes_0.astype(np.int64) * len(shown_1) + codes_1
    joint = cross_tabulate(
        {roles[0]: sensitive_features, roles[1]: y_true, f"{roles[2]} and {roles[3]}": answers}, declared_groups=groups
    )
    cells = {
        (a, y, shown_0[int(code) // len(shown_1)], shown_1[int(code) % len(shown_1)]): n
        for (a, y, code), n in joint.items()
    }
    counts = PairedCounts.from_cells(cells, groups=groups, labels=labels, outputs=outputs, roles=roles)
    return certify_paired_counts(counts, **options)


def count_two_models_file(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    model_0: str,
    model_1: str,
    label: str = "label",
    group: str | Sequence[str] = "group",
    groups: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
) -> PairedCounts:
    """
    Count both models' predictions in CSV or Parquet files, out of core (DuckDB).

    Parameters
    ----------
    path : path, or iterable of paths and patterns
    model_0, model_1, label : str
        Column names.
    group : str or sequence of str
        Column of the sensitive attribute; several make intersectional groups.
    groups, labels, outputs : sequence, optional
        Declared alphabets; default: what occurs.

    Raises
    ------
    FileFormatError, UnknownColumnError, EmptyInputError, MissingValueError, ScoresError, MixedTypesError, AlphabetError
        As for `count_file`.
    """
    named = (group,) if isinstance(group, str) else tuple(group)
    columns = TwoModelColumns(named, label, model_0, model_1)
    axes = range(len(columns.names))
    with relation(columns, path) as log:
        shown = ", ".join(f"c{axis}" for axis in axes)
        rows = log.execute(
            f"SELECT {shown}, count(*) FROM {{log}} GROUP BY ALL LIMIT {MAX_COMBINATIONS + 1}"
        ).fetchall()
        if not rows:
            raise no_rows(log.where)
        if len(rows) > MAX_COMBINATIONS:
            raise AlphabetError(f"more than {MAX_COMBINATIONS} combinations of group, label and predictions occur.")
        with _categories_only():
            read = log.symbols([row[:-1] for row in rows], axes)
    cells: dict[tuple[Symbol, Symbol, Symbol, Symbol], int] = {}
    for row in rows:
        a, y, z, w = read[row[:-1]]
        cells[a, y, z, w] = cells.get((a, y, z, w), 0) + row[-1]
    *parts, label_role, role_0, role_1 = columns.roles()
    symbols = [symbol for key in cells for symbol in key[1:]]
    return PairedCounts.from_cells(
        cells,
        groups=like(groups, [key[0] for key in cells]),
        labels=like(labels, symbols),
        outputs=like(outputs, symbols),
        roles=(" and ".join(parts), label_role, role_0, role_1),
    )


@contextmanager
def _categories_only() -> Iterator[None]:
    """Say what to do with a column of scores; unlike one model's scores, those of two are certified nowhere."""
    try:
        yield
    except ScoresError as error:
        what = str(error).split("; threshold")[0]
        raise ScoresError(f"{what}; threshold or bin it first, and name the column of the result.") from None


def _require_labels(counts: PairedCounts, label: str, models: tuple[str, str]) -> None:
    """
    Check that both models show nothing but labels that occur, where neither labels nor outputs are declared.

    Raises
    ------
    AlphabetError
        Naming the model, its column and the symbol.
    """
    present = {y for plane in counts.table for y, cell in zip(counts.labels, plane, strict=True) if any(map(any, cell))}
    for number, column in enumerate(models):
        shown = {z for (_, _, z), n in counts.model(number).cells() if n}
        for z in counts.outputs:
            if z in shown and z not in present:
                raise AlphabetError(
                    f"model {number} ({column!r}) shows {z!r}, which is no label of {label!r}; name its column of hard "
                    f"predictions by --model-{number} (model_{number}=), or declare all predictions by --outputs "
                    "(outputs=)."
                )


def verdict(result: TwoModelCertification) -> str:
    """The bound in one sentence."""
    return (
        f"With confidence {percent(result.confidence)}, an adversary who knows a person's group and label and sees the "
        f"answer of one of the two models tells which of them gave it with an advantage of at most "
        f"{above(result.upper)}: it guesses right at most {percent_above((1 + result.upper) / 2)} of the time, where "
        "50 % is blind guessing."
    )


def print_two_models(
    result: TwoModelCertification, *, limit: Fraction | None = None, console: Console | None = None
) -> None:
    """
    Print a result for a reader.

    Parameters
    ----------
    result : TwoModelCertification
    limit : Fraction, optional
        The largest acceptable advantage.
    console : rich.console.Console, optional
    """
    console = headline(verdict(result), console)
    table = NumbersTable("distance of the two models", result.confidence)
    empty = result.counts.model(0).missing_cells()
    for a, group in enumerate(result.counts.groups):
        for y, label in enumerate(result.counts.labels):
            point = None if (group, label) in empty else result.distances[a][y]
            table.add(f"group {group}, label {label}", point, result.upper_distances[a][y])
    table.add("largest", None if empty else result.point, result.upper, "bold")
    console.print(table)
    facts = [
        f"{result.counts.rows} rows, on which both models predicted; {result.number} Clopper-Pearson limits of the "
        "shares of rows on which only one of them shows an output (T9).",
        empty_cells(result.counts.model(0))
        if empty
        else "Equalized odds differences, as measured: "
        + ", ".join(f"model {b} {float(d):.4f}" for b, d in enumerate(result.equalized_odds))
        + ".",
    ]
    if result.parts is not None and result.form is not None:
        facts += [
            f"Label {printable(str(part.label))}: operating points differ by {float(part.gap):.4f}, disparities "
            f"{float(part.disparities[0]):.4f} and {float(part.disparities[1]):.4f}; together at most "
            f"{decimal_above(part.limit)}."
            for part in result.parts
        ]
        facts.append(
            f"From operating points and disparities alone, the measured distance could be {decimal_above(result.form)} "
            "(T8)."
        )
    bullets(console, "What went in", facts)
    bullets(console, "Assumptions", list(result.assumptions))
    bullets(console, "Not covered", list(map(sentence, result.not_covered)))
    console.print()
    console.print(Text(EQUALIZED_ODDS_IS_SILENT))
    print_gate(console, result.upper, limit)


def run_two_models(
    log: Any, *, columns: dict[str, Any], options: dict[str, Any], limit: Fraction | None, quiet: bool
) -> tuple[dict[str, Any], bool]:
    """
    Certify two models for the command line.

    Parameters
    ----------
    log : path, or iterable of paths
    columns : dict
        Keyword arguments of `count_two_models_file`.
    options : dict
        `confidence`, `on_missing`.
    limit : Fraction or None
        The largest acceptable advantage.
    quiet : bool
        Print nothing.

    Returns
    -------
    dict
        JSON-ready result.
    bool
        Whether the bound is within the limit.
    """
    counts = count_two_models_file(log, **columns)
    if columns.get("labels") is None and columns.get("outputs") is None and options["on_missing"] == "error":
        _require_labels(counts, columns["label"], (columns["model_0"], columns["model_1"]))
    result = certify_paired_counts(counts, **options)
    holds = limit is None or result.upper <= limit
    if not quiet:
        print_two_models(result, limit=limit)
    data = result.to_dict()
    data["max_advantage"] = None if limit is None else {"limit": float(limit), "holds": holds}
    return data, holds
