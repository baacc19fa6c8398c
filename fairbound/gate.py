"""A limit on the certified advantage, and why a model is above it."""

from __future__ import annotations

from fractions import Fraction

from fairbound.bounds.alphabet import shown_names
from fairbound.bounds.certify import Certification, PairResult
from fairbound.bounds.errors import NumberError
from fairbound.bounds.noise import noise_floor
from fairbound.bounds.rational import to_fraction
from fairbound.describe import above, label_shift_floor, percent, t1b_point


def assert_advantage_below(result: Certification, limit: float | str | Fraction) -> None:
    """
    Assert that a certified bound is at most a limit: a gate for a model's tests, like ``--max-advantage``.

    Parameters
    ----------
    result : Certification
    limit : float, text or Fraction
        In [0, 1]; compared exactly.

    Raises
    ------
    AssertionError
        In two lines: which bound is above the limit, what drives it, and what to do.
    NumberError
        If the limit is no number in [0, 1].
    """
    __tracebackhide__ = True
    most = to_fraction(limit)
    if not 0 <= most <= 1:
        raise NumberError(f"the largest advantage allowed is {limit}; it lies between 0 and 1.")
    if result.upper > most:
        raise AssertionError(explanation(result, most))


def explanation(result: Certification, limit: Fraction) -> str:
    """
    Why a bound is above a limit, in two lines.

    Parameters
    ----------
    result : Certification
    limit : Fraction
        Below `result.upper`.

    Returns
    -------
    str
        The bound and what it is about; then the label and groups that drive it, and what to do.
    """
    pair = max(result.pairs, key=lambda each: each.upper)
    balance = "label-balanced " if result.label_balanced else ""
    return (
        f"the advantage is certified to be at most {above(result.upper)} ({percent(result.confidence)} confidence), "
        f"above the limit {float(limit):g}: {balance}{result.game.name} game, {pair.name}, {result.theorem}, "
        f"{result.counts.rows} rows.\n{_driver(result, pair)} {_remedy(result, pair, limit)}"
    )


def _driver(result: Certification, pair: PairResult) -> str:
    """Which label and groups make up most of the measured value."""
    measured, names = result.disparities, result.counts.groups
    pairs = [(a, b) for b in range(len(names)) for a in range(b)]
    parts = []
    for label, matrix, largest, flows in zip(
        measured.labels, measured.pairwise, measured.per_label, pair.plan.flows, strict=True
    ):
        if result.theorem == "T1b":
            priced = [(mass * matrix[a][b], a, b) for a, b, mass in flows]
            cost = sum((price for price, *_ in priced), Fraction(0))
        else:
            # T1 prices all that moves at the label's largest distance, whichever groups that is between.
            priced = [(matrix[a][b], a, b) for a, b in pairs]
            cost = largest * sum((mass for *_, mass in flows), Fraction(0))
        if priced:
            _, a, b = max(priced)
            parts.append((cost, label, matrix[a][b], (names[a], names[b])))
    shift = f"label shift {float(pair.pair.label_shift):.4f}"
    if not parts:
        return f"The {float(pair.point):.4f} at the measured rates is {shift}."
    cost, label, distance, driving = max(parts, key=lambda part: part[0])
    first, second = (shown_names([name]) for name in driving)
    empty = [name for name in driving if (name, label) in result.counts.missing_cells()]
    why = (
        f"group {shown_names(empty)} has no rows there, which counts as disparity 1"
        if empty
        else f"its predictions differ by {float(distance):.4f} between {first} and {second}"
    )
    return (
        f"Of the {float(pair.point):.4f} at the measured rates, label {shown_names([label])} makes up "
        f"{float(cost):.4f} ({why}), {shift}."
    )


def _remedy(result: Certification, pair: PairResult, limit: Fraction) -> str:
    """What to do, by what stands in the way: base rates, empty cells, disparity, or sampling error."""
    if (reason := label_shift_floor(pair, limit)) is not None:
        return reason
    if result.empty_cells(pair):
        return "Cells without rows count as disparity 1: add rows to them, or leave the group or label out."
    if pair.point > limit:
        if result.theorem == "T1":
            own = t1b_point(result)
            if own <= limit:
                return (
                    f"T1 takes the largest disparity of any two groups; at that of the groups that differ between the "
                    f"worlds (T1b, never above T1) the measured value is {float(own):.4f}: certify with theorem T1b."
                )
        return (
            "That alone is above the limit: reduce this disparity (fairbound fft, for example); more rows do not help."
        )
    floor = noise_floor(result, runs=1).advantage_upper
    if floor > limit:
        return (
            f"The log is too small for this limit: without any disparity it would still show {above(floor)}; fairbound "
            "plan tells how many rows it takes."
        )
    return (
        "That is within the limit, but not with its sampling error: use more rows (fairbound plan), or less disparity."
    )
