"""
Check a certificate with Python's standard library alone.

The file stands on its own: it imports nothing of NumPy, of a solver or of the rest of this package, so that it can be
read in one sitting, copied elsewhere and run as ``python check.py CERT.json``. It recomputes every number of a
certificate from its counts, and proves what it does not recompute: transport plans are checked flow by flow, confidence
limits by rigorous bounds on binomial tails. Statements and theorem ids (T1, T1a, T1b, T7, T9) are those of the
project's documentation.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from fractions import Fraction
from functools import cache, lru_cache
from itertools import combinations, pairwise
from typing import Any, NoReturn

SCHEMA = "fairbound.certificate/1"
KNOWLEDGE_SCHEMA = "fairbound.knowledge/1"
SCORES_SCHEMA = "fairbound.scores/1"
INFORMATION_SCHEMA = "fairbound.information/1"
SCHEMAS = (SCHEMA, KNOWLEDGE_SCHEMA, SCORES_SCHEMA, INFORMATION_SCHEMA)
MAX_BYTES = 32 * 2**20
MAX_DIGITS = 4000
MAX_TERMS = 2**17
MAX_ALL_TERMS = 35 * 10**7
MAX_STEPS = 10**8
MAX_BITS = 10**5
MAX_THRESHOLDS = 4096
MAX_BANDS = 4096
MAX_EXACT_BAND = 256
GRID = 10**12
LARGEST_TAIL = 10**7
POINT_GRID = 10**15
MOST_EVENT_OUTPUTS = 6
MOST_EVENTS = 640
MOST_OWN_STEPS = 2 * 10**7
MAX_VARIABLES = 6
MAX_NAME = 1000
PAIR_ENTRIES = ("label_shift", "moved", "distance", "plan", "point", "upper")
MAX_KNOTS = 64
LIMITS_SHARE, LIMITS_SHARE_RAW = Fraction(1, 10), Fraction(1, 2)
_GAMES = ("labelled", "correctness", "unlabelled")
_SHORT = 400
_DIGITS = 52
_TANGENT_STEPS = 500
# Quotient and logarithm each err by half a unit in the 28th digit.
_NEAR = Context(prec=28)
_LN_SLACK = Fraction(1, 10**22)
_SORT_STEPS = 20
_VARIABLE = re.compile(r"\w{1,40}", re.ASCII)
_FRACTION = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(/[1-9][0-9]{{0,{MAX_DIGITS - 1}}})?", re.ASCII)
_PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"


class CheckError(ValueError):
    """The first line of a certificate that does not hold."""


def fail(where: str, why: str) -> NoReturn:
    """Raise `CheckError` for one entry."""
    raise CheckError(f"{where}: {why}")


def parse(text: str | bytes) -> Any:
    """
    Parse JSON as untrusted input: bounded size, no floats, no repeated keys.

    Parameters
    ----------
    text : str or bytes
        JSON.

    Raises
    ------
    CheckError
        If the text is too large or is no such JSON.
    """
    if len(text) > MAX_BYTES:
        fail("file", f"larger than {MAX_BYTES} bytes")

    def no_float(value: str) -> NoReturn:
        fail("file", f"holds the inexact number {value[:40]}; every number must be an integer or an exact text")

    def no_repeats(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in items}) != len(items):
            fail("file", "repeats a key")
        return dict(items)

    def short_int(digits: str) -> int:
        if len(digits) > 20:
            fail("file", f"holds an integer of {len(digits)} digits")
        return int(digits)

    try:
        return json.loads(
            text,
            parse_float=no_float,
            parse_constant=no_float,
            parse_int=short_int,
            object_pairs_hook=no_repeats,
        )
    except CheckError:
        raise
    except (ValueError, RecursionError) as error:
        fail("file", f"is not JSON ({error})")


def load(text: str | bytes) -> dict[str, Any]:
    """
    Parse a certificate as untrusted input.

    Parameters
    ----------
    text : str or bytes
        JSON.

    Returns
    -------
    dict

    Raises
    ------
    CheckError
        If the text is too large or is not the JSON of a certificate.
    """
    data = parse(text)
    if not isinstance(data, dict) or data.get("schema") not in SCHEMAS:
        fail("schema", f"is none of {', '.join(map(repr, SCHEMAS))}")
    return data


def digest(data: dict[str, Any]) -> str:
    """SHA-256 of a certificate without its own digest, over canonical JSON."""
    body = {key: value for key, value in data.items() if key != "digest"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def fraction(value: Any, where: str, digits: int = 2 * MAX_DIGITS) -> Fraction:
    """Read an exact text such as ``"3/7"``, of limited length."""
    if type(value) is not str or len(value) > digits or not _FRACTION.fullmatch(value):
        fail(where, f"{str(value)[:40]!r} is not an exact number (of at most {digits} characters)")
    return Fraction(value)


def symbols(value: Any, where: str) -> list[Any]:
    """Read an alphabet: a list of distinct integers, or of distinct texts."""
    if type(value) is not list or not value:
        fail(where, "must be a list of names")
    if {type(symbol) for symbol in value} not in ({int}, {str}) or len(set(value)) != len(value):
        fail(where, "must be distinct integers or distinct texts")
    return value


@lru_cache(maxsize=4096)
def log_factorial(n: int, *, up: bool) -> Decimal:
    """Bound on ln(n!) from above or below; Stirling's series errs by less than its first omitted term."""
    with localcontext(Context(prec=_DIGITS)):
        if n < 64:
            return Decimal(math.factorial(n)).ln()
        x = Decimal(n)
        value = x * x.ln() - x + (2 * Decimal(_PI) * x).ln() / 2 + 1 / (12 * x) - 1 / (360 * x**3)
        value += 1 / (1260 * x**5) if up else 1 / (1260 * x**5) - 1 / (1680 * x**7)
        return value


@lru_cache(maxsize=4096)
def log_choose(n: int, k: int) -> Decimal:
    """Upper bound, by less than 1e-17, on the logarithm of a binomial coefficient."""
    near = Context(prec=_DIGITS)
    if min(k, n - k) <= 256:
        return near.ln(Decimal(math.comb(n, k)))
    below = near.add(log_factorial(k, up=False), log_factorial(n - k, up=False))
    return near.subtract(log_factorial(n, up=True), below)


def log_binomial(k: int, n: int, p: Fraction) -> Decimal:
    """Logarithm of P(X = k) for `X ~ Binomial(n, p)`, within 1e-16; 1e-1000 < p < 1, n up to 2**53."""
    # Logarithms below 1e4, times n: at least 17 digits after the point remain.
    near = Context(prec=28 if n <= LARGEST_TAIL else _DIGITS)
    log_p = near.ln(near.divide(Decimal(p.numerator), Decimal(p.denominator)))
    q = 1 - p
    log_q = near.ln(near.divide(Decimal(q.numerator), Decimal(q.denominator)))
    return near.add(near.add(log_choose(n, k), near.multiply(Decimal(k), log_p)), near.multiply(Decimal(n - k), log_q))


def tail_upper_bound(k: int, n: int, p: Fraction, spent: list[int] | None = None) -> Decimal:
    """
    Rigorous upper bound on `P(X >= k)` for `X ~ Binomial(n, p)` with `p < k / n`.

    The first term is bounded through Stirling's series, the rest are added with rounding up until they no longer
    matter, and what is left is bounded by a geometric series (the ratios of successive terms fall).

    Parameters
    ----------
    k, n : int
        0 < k <= n.
    p : Fraction
        In (0, k / n).
    spent : list of int, optional
        Its first entry is raised by the number of terms added.
    """
    if not 0 < p < Fraction(k, n):
        return Decimal(1)
    near = Context(prec=_DIGITS)
    q = 1 - p
    exponent = log_binomial(k, n, p)
    # The exponent errs by less than 1e-16.
    up, down = Context(prec=28, rounding=ROUND_CEILING), Context(prec=28, rounding=ROUND_FLOOR)
    term = up.multiply(up.plus(near.exp(exponent)), Decimal("1.000000000000001"))
    odds = up.divide(up.plus(Decimal(p.numerator * q.denominator)), down.plus(Decimal(p.denominator * q.numerator)))
    tail, j = term, k - 1
    for j in range(k, min(n, k + MAX_TERMS)):
        ratio = up.divide(up.multiply(Decimal(n - j), odds), Decimal(j + 1))
        term = up.multiply(term, ratio)
        tail = up.add(tail, term)
        if term < tail * Decimal("1e-12"):
            break
    if spent is not None:
        spent[0] += j + 1 - k
    if j + 1 < n:
        ratio = up.divide(up.multiply(Decimal(n - j - 1), odds), Decimal(j + 2))
        tail = up.add(tail, up.divide(up.multiply(term, ratio), down.subtract(Decimal(1), ratio)))
    return tail


def ln_between(value: Fraction) -> tuple[Fraction, Fraction]:
    """Rational bounds on a natural logarithm, 2e-22 apart; |ln| must stay below 1e5."""
    logarithm = Fraction(_NEAR.ln(_NEAR.divide(Decimal(value.numerator), Decimal(value.denominator))))
    return logarithm - _LN_SLACK, logarithm + _LN_SLACK


def _ratio_sum(k: int, n: int, odds: Fraction) -> tuple[float, float]:
    """
    Bounds on `P(X >= k) / P(X = k)` for `X ~ Binomial(n, p)`, p / (1 - p) = odds, k not much below n p.

    Summed in binary floating point: fewer than `MAX_TERMS` terms of five roundings each stay within 1e-9.
    """
    factor, term, tail, ratio, j = float(odds), 1.0, 1.0, 0.0, k
    for j in range(k, min(n, k + MAX_TERMS)):
        ratio = (n - j) * factor / (j + 1)
        term *= ratio
        tail += term
        if term < tail * 1e-13 * (1 - ratio):
            break
    rest = 0.0
    if j + 1 < n:
        ratio = (n - j - 1) * factor / (j + 2)
        rest = term * ratio / (1 - ratio) if ratio < 1 else math.inf
    return tail * (1 - 1e-9), (tail + rest) * (1 + 1e-9)


def binomial_deviance(k: int, n: int, x: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """
    Bounds on `D(x) = -ln P(X <= k)` for `X ~ Binomial(n, x)` and its derivative: D from below, D' from both sides.

    Parameters
    ----------
    k, n : int
        0 <= k < n.
    x : Fraction
        At least 1e-15 and below 1. The tail is summed from its larger end, whichever side of k / n it is.
    """
    # P(X = k) is at most P(X <= k).
    steepest = (n - k) / (1 - x)
    if x * n > k:
        low, high = _ratio_sum(n - k, n, (1 - x) / x)
        if high == math.inf:
            return Fraction(0), Fraction(0), steepest
        deviance = -(Fraction(log_binomial(k, n, x)) + Fraction(1, 10**16)) - ln_between(Fraction(high))[1]
        scale = float((n - k) / (1 - x))
        slope = scale / high * (1 - 1e-12), scale / low * (1 + 1e-12)
    else:
        exponent = log_binomial(k + 1, n, x)
        if exponent < -600:
            # Then D and D' are below 1e-200 (x is at least 1e-15, n at most 2**53), and floats below stay normal.
            return Fraction(0), Fraction(0), Fraction(1, 10**200)
        low, high = _ratio_sum(k + 1, n, x / (1 - x))
        top = Fraction(_NEAR.exp(exponent))
        tail = top * (1 - Fraction(1, 10**15)) * Fraction(low)
        deviance = -ln_between(1 - tail)[1]
        scale = float(top * (k + 1) / x)
        upper_tail = float(top) * high * (1 + 1e-12)
        slope = (
            scale / float(1 - tail) * (1 - 1e-12),
            scale / (1 - upper_tail) * (1 + 1e-12) if upper_tail < 1 else math.inf,
        )
    # D grows from 0, so both are at least 0.
    floor = Fraction(deviance.numerator * 10**18 // deviance.denominator, 10**18)
    steepest = min(steepest, Fraction(slope[1])) if slope[1] < math.inf else steepest
    return max(Fraction(0), floor), max(Fraction(0), Fraction(slope[0])), steepest


def entropy_deviance(k: int, n: int, x: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """
    The same for `D(x) = n KL(k/n || x)` above k / n and 0 below: Chernoff's bound on -ln P(X <= k).

    Parameters are those of `binomial_deviance`.
    """
    if x * n <= k:
        return Fraction(0), Fraction(0), Fraction(0)
    above = ln_between(x * n / k)[1] if k else Fraction(0)
    deviance = (n - k) * ln_between(Fraction(n - k, n) / (1 - x))[0] - k * above
    slope = (n - k) / (1 - x) - k / x
    return max(Fraction(0), Fraction(deviance.numerator * 10**18 // deviance.denominator, 10**18)), slope, slope


def conjugate_above(ratio: Fraction, k: int, n: int, x: Fraction, *, tails: bool) -> Fraction:
    """
    Upper bound on `sup_u ratio u - D(u)` over rates u in [0, 1], from the tangent of the convex D at x.

    Parameters
    ----------
    ratio : Fraction
        Not negative.
    k, n : int
        D is that of k successes out of n; it is 0 if k = n, and for n = 0.
    x : Fraction
        In [0, 1); the bound is valid for any, and best at the maximiser.
    tails : bool
        Whether D is the binomial tail's (for n up to `LARGEST_TAIL`), or the relative entropy's.
    """
    if k == n:
        return ratio
    if x <= 0:
        return max(Fraction(0), ratio - n) if k == 0 else ratio
    function = binomial_deviance if tails and n <= LARGEST_TAIL else entropy_deviance
    value, low, high = function(k, n, x)
    return ratio * x - value + max(Fraction(0), ratio - low) * (1 - x) + max(Fraction(0), high - ratio) * x


def _point(value: Any, where: str) -> Fraction:
    """A rate at which a tangent touches: a multiple of 1e-15 in [0, 1)."""
    point = fraction(value, where, 40)
    if not 0 <= point < 1 or POINT_GRID % point.denominator:
        fail(where, f"{str(value)[:40]} is no multiple of 1/{POINT_GRID} in [0, 1)")
    return point


def tries_events(n_groups: int, n_outputs: int) -> bool:
    """Whether prices of all groups are bounded event by event: a rule on the alphabets alone."""
    return n_outputs <= MOST_EVENT_OUTPUTS and (n_outputs == 2 or n_groups * 2**n_outputs <= MOST_EVENTS)


def tries_own_events(n_pairs: int, cells: Sequence[Sequence[int]], n_outputs: int) -> bool:
    """
    The same for the own prices of two groups (T1b), one pair of so many: a rule on what the tails of all would cost.

    It looks at the rows of the two groups' cells, shape (2, K). Either deviance is valid, the tail's is the larger one.
    """
    tangents = sum(_tangent_steps(max(row)) for row in cells)
    each = len(cells[0]) * (2**n_outputs - 2) * tangents
    return n_outputs <= MOST_EVENT_OUTPUTS and n_pairs * each <= MOST_OWN_STEPS


def label_price(
    ratio: Fraction,
    cells: list[list[int]],
    candidates: list[tuple[int, int]],
    points: Any,
    *,
    by_event: bool,
    tails: bool,
    where: str = "points",
) -> Fraction:
    """
    Upper bound on `b(r) = sup over p, q, pairs of groups, events: r (p(S) - q(S)) - D(p(S)) - D'(q(S))` in one label.

    D prices a rate above its count, D' one below (T9 (ii), (iii)). With few outputs all events S are tried. With more,
    a tangent of the jointly convex relative entropy gives a bound that is linear in the measured shares of S, and so is
    largest where each output goes to the side that pays more.

    Parameters
    ----------
    ratio : Fraction
        r, not negative.
    cells : list, shape (G, Z)
        Counts of one label.
    candidates : list of (int, int)
        Pairs of groups.
    points : list
        Where tangents touch, as exact texts: for each group one rate per event (bit z of the event's number, from 1, is
        output z); where events are not tried, for each pair share and rate of both groups.
    by_event : bool
        Whether all events are tried (`tries_events`, `tries_own_events`).
    tails : bool
        Whether D is the binomial tail's; only where events are tried.
    where : str
        Name of the entry in error messages.

    Returns
    -------
    Fraction
        At most r, which is the value where one of the groups has no rows.
    """
    sizes = [sum(row) for row in cells]
    if any(not sizes[a] or not sizes[b] for a, b in candidates):
        return ratio
    best = Fraction(0)
    if by_event:
        best = _best_event(ratio, cells, candidates, points, tails=tails, where=where)
    else:
        for (a, b), texts in zip(candidates, _of_length(points, len(candidates), where), strict=True):
            touches = [_point(text, where) for text in _of_length(texts, 4, where)]
            slope_a, height_a = _entropy_tangent(ratio, sizes[a], *touches[:2])
            slope_b, height_b = _entropy_tangent(ratio, sizes[b], *touches[2:])
            gain_a, gain_b = slope_a / sizes[a], slope_b / sizes[b]
            gains = (max(gain_a * k, gain_b * m) for k, m in zip(cells[a], cells[b], strict=True))
            best = max(best, height_a + height_b + total(gains))
    return min(ratio, max(Fraction(0), _rounded_up(best - ratio)))


def _best_event(
    ratio: Fraction,
    cells: list[list[int]],
    candidates: list[tuple[int, int]],
    points: Any,
    *,
    tails: bool,
    where: str,
) -> Fraction:
    """Largest sum of the two sides' conjugates over pairs and events; tails are summed only where they can matter."""
    n_outputs = len(cells[0])
    n_events = 2**n_outputs - 2
    touches = [
        [_point(text, where) for text in _of_length(texts, n_events, where)]
        for texts in _of_length(points, len(cells), where)
    ]

    sizes = [sum(row) for row in cells]
    full = n_events + 1
    inside = [[sum(row[z] for z in range(n_outputs) if event >> z & 1) for event in range(full + 1)] for row in cells]

    @cache
    def side(group: int, event: int) -> Fraction:
        return conjugate_above(ratio, inside[group][event], sizes[group], touches[group][event - 1], tails=tails)

    @cache
    def quick(group: int, event: int) -> Fraction:
        """By Pinsker's inequality, D(x) is at least `2 n (x - k/n)^2` above k / n."""
        n = sizes[group]
        return min(ratio, (ratio * inside[group][event] + ratio * ratio / 8) / n)

    order = sorted(
        ((quick(a, event) + quick(b, full - event), a, b, event) for a, b in candidates for event in range(1, full)),
        reverse=True,
    )
    best = Fraction(0)
    for limit, a, b, event in order:
        if limit <= best:
            break
        best = max(best, side(a, event) + side(b, full - event))
    return best


def _entropy_tangent(ratio: Fraction, n: int, u: Fraction, x: Fraction) -> tuple[Fraction, Fraction]:
    """Slope and height of a linear function of v above `sup_y ratio y - n KL(v || y)`, from the tangent at (u, x)."""
    if not 0 < u <= x:
        return Fraction(0), ratio
    down, up = ln_between((1 - u) / (1 - x))
    slope = n * (up - ln_between(u / x)[0])
    rest = ratio - n * ((1 - u) / (1 - x) - u / x)
    height = ratio * x - n * down + max(Fraction(0), rest) * (1 - x) + max(Fraction(0), -rest) * x
    return slope, height


def _rounded_up(value: Fraction) -> Fraction:
    return Fraction(-(-value.numerator * POINT_GRID // value.denominator), POINT_GRID)


def interpolated(knots: list[tuple[Fraction, Fraction]], ratio: Fraction) -> Fraction:
    """Upper bound on a convex function with b(0) = 0 and slope at most 1, from upper bounds at increasing knots."""
    before = (Fraction(0), Fraction(0))
    for knot in knots:
        if ratio <= knot[0]:
            share = (ratio - before[0]) / (knot[0] - before[0])
            return before[1] + share * (knot[1] - before[1])
        before = knot
    return before[1] + ratio - before[0]


def fixed_value(
    base: Fraction,
    moved: list[Fraction],
    knots: list[list[tuple[Fraction, Fraction]]],
    multiplier: Fraction,
    radius: Fraction,
) -> Fraction:
    """Upper bound on `base + sum_y m_y delta_y` within a radius, by weak duality (T9 (ii))."""
    parts = total(interpolated(line, m / multiplier) for line, m in zip(knots, moved, strict=True))
    return base + multiplier * (radius + parts)


def pure_value(
    knots: list[tuple[Fraction, Fraction]],
    multiplier: Fraction,
    sides: list[tuple[int, int]],
    points: Any,
    where: str = "marginal_points",
) -> Fraction:
    """
    One label's part of the bound for two pure worlds, where label marginals pay deviances too (T9 (iii)).

    It is the largest value of `-u + u delta - prices` over the smaller marginal u, which is one of the two groups': on
    each piece of the price function a linear function of u less a convex one.

    Parameters
    ----------
    knots : list of (Fraction, Fraction)
        Ratios and bounds of the label's price function.
    multiplier : Fraction
    sides : list of (int, int)
        The two groups' rows with the label, and rows.
    points : list, shape (2, number of knots)
        Where the tangents touch.
    where : str
        Name of the entry in error messages.
    """
    best = multiplier * (knots[-1][1] - knots[-1][0]) if knots else Fraction(0)
    for (k, n), texts in zip(sides, _of_length(points, len(sides), where), strict=True):
        before = (Fraction(0), Fraction(0))
        for knot, text in zip(knots, _of_length(texts, len(knots), where), strict=True):
            slope = (knot[1] - before[1]) / (knot[0] - before[0])
            height = multiplier * (before[1] - slope * before[0])
            fall = 1 - slope
            if fall > 0:
                height -= fall
                height += multiplier * conjugate_above(fall / multiplier, n - k, n, _point(text, where), tails=True)
            best = max(best, height + max(Fraction(0), -fall))
            before = knot
    return best


def gamma_radius_holds(radius: Fraction, terms: int, alpha: Fraction) -> bool:
    """Whether a sum of independent standard exponential variables exceeds the radius with probability at most alpha."""
    if radius < 0:
        return False
    up = Context(prec=_DIGITS, rounding=ROUND_CEILING)
    t = up.divide(Decimal(radius.numerator), Decimal(radius.denominator))
    term = series = Decimal(1)
    for i in range(1, terms):
        term = up.divide(up.multiply(term, t), Decimal(i))
        series = up.add(series, term)
    # In logarithms, so that no radius underflows; their rounding is below 1e-40.
    exponent = Fraction(up.ln(series)) + Fraction(1, 10**35) - radius
    return terms == 0 or exponent <= ln_between(alpha)[0]


def chernoff_radius_holds(radius: Fraction, terms: int, alpha: Fraction) -> bool:
    """Whether `exp(-t) (e t / C)^C <= alpha` for t = radius > C = terms."""
    if terms == 0:
        return radius >= 0
    if radius <= terms:
        return False
    return radius - terms - terms * ln_between(radius / terms)[1] >= -ln_between(alpha)[0]


def total(values: Iterable[Fraction]) -> Fraction:
    """Exact sum."""
    return sum(values, Fraction(0))


def variation(p: list[Fraction], q: list[Fraction]) -> Fraction:
    """Total variation distance."""
    return total(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def extreme_points(lower: list[Fraction]) -> list[list[Fraction]]:
    """Vertices of the probability mass functions that respect lower limits."""
    rest = 1 - total(lower)
    return [[value + rest if i == j else value for j, value in enumerate(lower)] for i in range(len(lower))]


def largest_variation(lower_a: list[Fraction], lower_b: list[Fraction]) -> Fraction:
    """Largest total variation under lower limits: convex, so attained at a pair of vertices; all are tried."""
    # Every vertex pair differs from (lower_a, lower_b) in two places, so each is priced from the common part.
    rest_a, rest_b = 1 - total(lower_a), 1 - total(lower_b)
    positive = [max(Fraction(0), p - q) for p, q in zip(lower_a, lower_b, strict=True)]
    common = total(positive)
    best = Fraction(0)
    for i in range(len(lower_a)):
        for j in range(len(lower_b)):
            value = common
            for z in {i, j}:
                p = lower_a[z] + (rest_a if z == i else 0)
                q = lower_b[z] + (rest_b if z == j else 0)
                value += max(Fraction(0), p - q) - positive[z]
            best = max(best, value)
    return best


def check(data: dict[str, Any]) -> str:
    """
    Check every line of a certificate.

    Parameters
    ----------
    data : dict
        As `load` returns it.

    Returns
    -------
    str
        What has been verified, in one sentence.

    Raises
    ------
    CheckError
        Naming the first line that does not hold.
    """
    try:
        if data["digest"] != digest(data):
            fail("digest", "does not match the certificate's content")
        checks = (_check, _check_knowledge, _check_scores, _check_information)
        return checks[SCHEMAS.index(data["schema"])](data)
    except CheckError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise CheckError(f"certificate: is incomplete or malformed ({type(error).__name__}: {error})") from None


def _check(data: dict[str, Any]) -> str:
    keys = {
        "schema", "claim", "counts", "rows", "on_missing", "limits", "disparity", "equalized_odds", "pairs",
        "advantage", "digest",
    }  # fmt: skip
    if set(data) != keys:
        fail("certificate", f"has the entries {sorted(data)}, not {sorted(keys)}")
    if data["schema"] != SCHEMA:
        fail("schema", f"is not {SCHEMA!r}")

    claim = data["claim"]
    if set(claim) - {"bins"} != {"game", "label_balanced", "theorem", "confidence", "compositions"}:
        fail("claim", "has other entries than game, label_balanced, theorem, confidence, compositions and maybe bins")
    if claim["game"] not in _GAMES or claim["theorem"] not in ("T1", "T1b"):
        fail("claim", "names an unknown game or theorem")
    if type(claim["label_balanced"]) is not bool or claim["compositions"] not in ("estimated", "given"):
        fail("claim", "label_balanced must be true or false, compositions estimated or given")
    confidence = fraction(claim["confidence"], "claim.confidence")
    if not Fraction(1, 2) <= confidence < 1:
        fail("claim.confidence", "lies outside [1/2, 1)")
    pairwise, balanced = claim["theorem"] == "T1b", claim["label_balanced"]

    # Counts.
    _entries(data["counts"], {"groups", "labels", "outputs", "table"}, "counts")
    groups, labels, outputs = (
        symbols(data["counts"][name], f"counts.{name}") for name in ("groups", "labels", "outputs")
    )
    if type(labels[0]) is not type(outputs[0]):
        fail("counts", "has labels and outputs of different kinds")
    shown = f"outputs {_listed(outputs)}" if "bins" not in claim else _binned(claim, outputs)
    table = data["counts"]["table"]
    if len(groups) < 2 or len(labels) < 2 or len(outputs) < 2:
        fail("counts", "needs at least two groups, two labels and two outputs")
    n_groups, n_labels, n_outputs = len(groups), len(labels), len(outputs)
    for plane in _of_length(table, n_groups, "counts.table"):
        for row in _of_length(plane, n_labels, "counts.table"):
            _of_length(row, n_outputs, "counts.table")
    if any(type(k) is not int or k < 0 for plane in table for row in plane for k in row):
        fail("counts.table", "holds something else than non-negative integers")
    if type(data["pairs"]) is not list or not data["pairs"]:
        fail("pairs", "must be a list with at least one entry")
    steps = n_labels * n_groups**2 * n_outputs**2 + len(data["pairs"]) * n_labels * (n_labels**2 + n_groups**2)
    if steps > MAX_STEPS:
        fail("counts", f"has too many groups, labels or outputs to be checked ({steps} steps)")
    cells = [[sum(row) for row in plane] for plane in table]
    per_group = [sum(plane) for plane in cells]
    if type(data["rows"]) is not int or data["rows"] != sum(per_group) or not 0 < data["rows"] <= 2**53:
        fail("rows", f"is not the sum of the counts, {sum(per_group)}")
    if data["on_missing"] not in ("error", "vacuous"):
        fail("on_missing", "must be error or vacuous")
    if data["on_missing"] == "error" and any(n == 0 for plane in cells for n in plane):
        fail("counts.table", "has a (group, label) cell without rows")

    # Confidence limits (T9).
    limits = data["limits"]
    estimated = claim["compositions"] == "estimated"
    worlds: list[tuple[int, int]] = []
    for position, pair in enumerate(data["pairs"]) if estimated else ():
        first, second = (
            _position(groups, name, f"pairs[{position}].groups") for name in _of_length(pair["groups"], 2, "pairs")
        )
        if first == second or (first, second) in worlds or (second, first) in worlds:
            fail(f"pairs[{position}].groups", "must name two different groups, and no pair twice")
        worlds.append((first, second))
    if type(limits) is not dict or limits.get("method") not in ("clopper-pearson", "fisher", "relative-entropy"):
        fail("limits.method", "is not clopper-pearson, fisher or relative-entropy")
    method = limits["method"]
    if type(limits["split"]) is not int or not 1 <= limits["split"] <= 1000:
        fail("limits.split", "is no number of methods")
    alpha = (1 - confidence) / limits["split"]
    spent = [0]

    def lower_limit(value: Any, k: int, n: int, level: Fraction, where: str) -> Fraction:
        return _lower_limit(value, k, n, level, where, spent)

    def marginal_limits(level: Fraction) -> list[list[Fraction]]:
        return [
            [
                lower_limit(value, cells[a][y], per_group[a], level, f"limits.label_marginals[{a}][{y}]")
                for y, value in enumerate(_of_length(row, n_labels, "limits.label_marginals"))
            ]
            for a, row in enumerate(_of_length(limits["label_marginals"], n_groups, "limits.label_marginals"))
        ]

    marginals: list[list[Fraction]] = []
    rates: list[list[list[Fraction]]] = []
    if method == "clopper-pearson":
        _entries(limits, {"method", "split", "number", "rates", "label_marginals"}, "limits")
        number = n_groups * n_labels * n_outputs + (n_groups * n_labels if estimated else 0)
        if type(limits["number"]) is not int or limits["number"] != number:
            fail("limits.number", f"is not {number}, the number of limits among which the error is split")
        rates = [
            [
                [
                    lower_limit(value, table[a][y][z], cells[a][y], alpha / number, f"limits.rates[{a}][{y}][{z}]")
                    for z, value in enumerate(_of_length(row, n_outputs, "limits.rates"))
                ]
                for y, row in enumerate(_of_length(plane, n_labels, "limits.rates"))
            ]
            for a, plane in enumerate(_of_length(limits["rates"], n_groups, "limits.rates"))
        ]
        if estimated:
            marginals = marginal_limits(alpha / number)
    else:
        _entries(
            limits,
            {"method", "split", "share", "radius", "disparity_radius", "label_marginals", "multipliers", "knots"},
            "limits",
        )
        share = fraction(limits["share"], "limits.share", _SHORT)
        pays = estimated and method == "fisher" and not balanced
        if share != (0 if pays or not estimated else LIMITS_SHARE if balanced else LIMITS_SHARE_RAW):
            fail("limits.share", "is not the part of the error that is fixed for limits of the label marginals")
        if share:
            marginals = marginal_limits(alpha * share / (n_groups * n_labels))
    if not marginals and limits["label_marginals"] != []:
        fail("limits.label_marginals", "must be empty here")

    # Disparities: as measured, and their largest values under the limits.
    everyone = [(a, b) for a in range(n_groups) for b in range(a + 1, n_groups)]
    point = [[[Fraction(0)] * n_groups for _ in groups] for _ in labels]
    upper = [[[Fraction(0)] * n_groups for _ in groups] for _ in labels]
    for y in range(n_labels):
        for a, b in everyone:
            measured = largest = Fraction(1)
            if cells[a][y] and cells[b][y]:
                largest = largest_variation(rates[a][y], rates[b][y]) if rates else Fraction(0)
                measured = variation(
                    [Fraction(k, cells[a][y]) for k in table[a][y]],
                    [Fraction(k, cells[b][y]) for k in table[b][y]],
                )
            point[y][a][b] = point[y][b][a] = measured
            upper[y][a][b] = upper[y][b][a] = largest
    delta = [max(max(row) for row in matrix) for matrix in point]
    delta_upper = [max(max(row) for row in matrix) for matrix in upper]
    knots: list[list[tuple[Fraction, Fraction]]] = []
    columns = [[table[a][y] for a in range(n_groups)] for y in range(n_labels)]
    if method != "clopper-pearson":
        few = tries_events(n_groups, len(outputs))
        knots = _read_knots(limits["knots"], columns, everyone, method, few, "limits.knots", spent)
        single = fraction(limits["disparity_radius"], "limits.disparity_radius", _SHORT)
        for y, text in enumerate(_of_length(limits["multipliers"], n_labels, "limits.multipliers")):
            value = fixed_value(
                Fraction(0), [Fraction(1)], [knots[y]], _multiplier(text, f"limits.multipliers[{y}]"), single
            )
            delta_upper[y] = max(delta[y], min(Fraction(1), _above(value)))
    for y, entry in enumerate(_of_length(data["disparity"], n_labels, "disparity")):
        _same(entry, {"label": labels[y]}, {"point": delta[y], "upper": delta_upper[y]}, f"disparity[{y}]")
    _same(data["equalized_odds"], {}, {"point": max(delta), "upper": max(delta_upper)}, "equalized_odds")

    # Each pair of worlds: composition, transport plan, value, and value under the limits.
    points, uppers = [], []
    deviance_entries = set() if rates else {"multiplier"}
    own_knots = False
    if not rates and pairwise:
        if not estimated:
            fail("claim.theorem", "T1b for a given pair goes with the method clopper-pearson")
        own_knots = n_groups > 2
    if not rates and pays:
        deviance_entries |= {"spans", "marginal_points"}
    for number_of_pair, pair in enumerate(data["pairs"]):
        where = f"pairs[{number_of_pair}]"
        if estimated:
            # A pair without knots of its own is bounded by the prices of all groups, which are no smaller.
            optional = {"knots"} & set(pair) if own_knots else set()
            _entries(pair, {"groups", *PAIR_ENTRIES, *deviance_entries, *optional}, where)
            a, b = worlds[number_of_pair]
            if not per_group[a] or not per_group[b]:
                fail(f"{where}.groups", "names a group without rows")
            world_0, world_1 = (_pure_world(cells, own) for own in (a, b))
        else:
            own = deviance_entries or {"upper_plan"}
            _entries(pair, {"world_0", "world_1", *PAIR_ENTRIES, *own}, where)
            world_0, world_1 = (
                _world(pair[name], n_groups, n_labels, f"{where}.{name}") for name in ("world_0", "world_1")
            )
        if balanced:
            world_0, world_1 = _balance(world_0, world_1, where)
        difference, shift, moved = _movement(world_0, world_1)
        _check_movement(pair, shift, moved, where)

        def plan_cost(plan: Any, prices: list[list[list[Fraction]]], at: str, difference: Any = difference) -> Fraction:
            return _plan_cost(plan, difference, prices, groups, pairwise, at)

        value = shift + plan_cost(pair["plan"], point, f"{where}.plan")
        if fraction(pair["point"], f"{where}.point") != value:
            fail(f"{where}.point", f"is not {value}, the cost of its transport plan")
        if not rates:
            used = knots
            if "knots" in pair:
                two = [[column[g] for g in worlds[number_of_pair]] for column in columns]
                few = tries_own_events(len(worlds), [cells[g] for g in worlds[number_of_pair]], len(outputs))
                used = _read_knots(pair["knots"], two, [(0, 1)], method, few, f"{where}.knots", spent)
            multiplier = _multiplier(pair["multiplier"], f"{where}.multiplier")
            radius, terms, exact = _radius(limits, method, columns, moved, estimated=estimated, balanced=balanced)
            holds = gamma_radius_holds if exact else chernoff_radius_holds
            if not holds(radius, terms, alpha * (1 - share)):
                fail("limits.radius", f"{float(radius):g} is too small for {terms} deviances at this level")
            if method == "fisher":
                if not gamma_radius_holds(single, 2, alpha):
                    fail("limits.disparity_radius", "is too small for two deviances at this level")
            elif single < radius:
                fail("limits.disparity_radius", "is smaller than the ball's radius")
            if not estimated:
                value_upper = fixed_value(shift, moved, used, multiplier, radius)
            elif pays:
                value_upper = 1 + multiplier * radius
                for y, (span, touches) in enumerate(
                    zip(
                        _of_length(pair["spans"], n_labels, f"{where}.spans"),
                        _of_length(pair["marginal_points"], n_labels, f"{where}.marginal_points"),
                        strict=True,
                    )
                ):
                    low, high = _of_length(span, 2, f"{where}.spans[{y}]")
                    if type(low) is not int or type(high) is not int or not 0 <= low <= high <= len(used[y]):
                        fail(f"{where}.spans[{y}]", "is no range of knots")
                    spent[0] += (high - low) * sum(_tangent_steps(per_group[g]) for g in (a, b))
                    if spent[0] > MAX_ALL_TERMS:
                        fail(
                            where, "takes too long to check: too many pairs of worlds; name one, or see clopper-pearson"
                        )
                    sides = [(cells[g][y], per_group[g]) for g in (a, b)]
                    at = f"{where}.marginal_points[{y}]"
                    value_upper += pure_value(used[y][low:high], multiplier, sides, touches, at)
            elif balanced:
                average = [(p + q) / 2 for p, q in zip(marginals[a], marginals[b], strict=True)]
                value_upper = max(
                    fixed_value(Fraction(0), vertex, used, multiplier, radius) for vertex in extreme_points(average)
                )
            else:
                smaller = [min(p, q) for p, q in zip(marginals[a], marginals[b], strict=True)]
                value_upper = fixed_value(1 - total(smaller), smaller, used, multiplier, radius)
            value_upper = min(Fraction(1), max(value, _above(value_upper)))
        elif not estimated:
            value_upper = shift + plan_cost(pair["upper_plan"], upper, f"{where}.upper_plan")
        else:
            prices = [upper[y][a][b] if pairwise else delta_upper[y] for y in range(n_labels)]
            value_upper = _largest_over_marginals(marginals[a], marginals[b], prices, balanced=balanced)
        if fraction(pair["upper"], f"{where}.upper") != value_upper:
            fail(f"{where}.upper", f"is not {value_upper}")
        points.append(value)
        uppers.append(value_upper)
    _same(data["advantage"], {}, {"point": max(points), "upper": max(uppers)}, "advantage")

    concerned = {g for world in worlds for g in world} if estimated and pairwise else set(range(n_groups))
    empty = any(not cells[g][y] for g in concerned for y in range(n_labels))
    chosen = "Worlds, method and level" if method == "fisher" else "Method and level"
    subject = (
        f"the given pair of populations (total variation {_decimal(total(moved) + shift)}, of which label shift "
        f"{_decimal(shift)})"
    )
    if estimated:
        named = [f"{pair['groups'][0]!r} / {pair['groups'][1]!r}" for pair in data["pairs"]]
        subject = "the pure populations " + ", ".join(named[:6]) + (f" and {len(named) - 6} more" if named[6:] else "")
    return (
        f"{'label-balanced ' if balanced else ''}{claim['game']} game, {claim['theorem']}, {data['rows']} rows, labels "
        f"{_listed(labels)}, {shown}: with confidence {_decimal(confidence)} the advantage of every "
        f"test is at most {_decimal_above(max(uppers))} for {subject} (at the measured rates: {float(max(points)):.6g})"
        + ("; cells without rows count as disparity 1." if empty else ".")
        + f" {chosen} must have been chosen before the log was seen. Not covered: shadow models, "
        f"{'scores' if 'bins' not in claim else 'scores seen more finely'}, several draws."
    )


def _binned(claim: dict[str, Any], outputs: list[Any]) -> str:
    """What the outputs are, where they are bins of a score."""
    bins = claim["bins"]
    _entries(bins, {"column", "low", "high"}, "claim.bins")
    column, low, high = bins["column"], *(fraction(bins[end], f"claim.bins.{end}", _SHORT) for end in ("low", "high"))
    if type(column) is not str or not 0 < len(column) <= MAX_NAME:
        fail("claim.bins.column", f"must be a text of 1 to {MAX_NAME} characters")
    if low >= high:
        fail("claim.bins", f"from {low} to {high} is no interval")
    if claim["game"] == "correctness":
        fail("claim.game", "is correctness, but no bin of scores is correct")
    if [str(output) for output in outputs] != [str(position) for position in range(len(outputs))]:
        fail("counts.outputs", f"are not 0 to {len(outputs) - 1}, the bins' positions")
    return f"outputs {len(outputs)} bins of equal width of {column!r} from {_decimal(low)} to {_decimal(high)}"


def _read_knots(
    stored: Any,
    columns: list[list[list[int]]],
    candidates: list[tuple[int, int]],
    method: str,
    few: bool,
    where: str,
    spent: list[int],
) -> list[list[tuple[Fraction, Fraction]]]:
    """Knots of every label's price function, with the values that their tangents prove."""
    knots: list[list[tuple[Fraction, Fraction]]] = []
    n_outputs = len(columns[0][0])
    if few:
        # Every pair and event is sorted by its quick bound.
        tangents = len(columns[0]) * _tangent_steps(max(sum(row) for column in columns for row in column))
        steps = (2**n_outputs - 2) * (tangents + len(candidates) * _SORT_STEPS)
    else:
        steps = len(candidates) * (_TANGENT_STEPS + n_outputs)
    for y, entries in enumerate(_of_length(stored, len(columns), where)):
        knots.append([])
        if type(entries) is not list or len(entries) > MAX_KNOTS:
            fail(f"{where}[{y}]", f"must be a list of at most {MAX_KNOTS} knots")
        for j, entry in enumerate(entries):
            at = f"{where}[{y}][{j}]"
            text, points = _of_length(entry, 2, at)
            ratio = fraction(text, at, 60)
            if ratio <= (knots[y][-1][0] if knots[y] else 0):
                fail(at, "must be positive and above the ratio before it")
            spent[0] += steps
            if spent[0] > MAX_ALL_TERMS:
                fail(at, "takes too long to check: too many knots, groups or outputs; clopper-pearson has no knots")
            tails = method == "fisher" and few
            price = label_price(ratio, columns[y], candidates, points, by_event=few, tails=tails, where=at)
            knots[y].append((ratio, price))
    return knots


def _tangent_steps(n: int) -> int:
    """Cost of a tangent to the deviance of n rows: logarithms, and some standard errors of a tail's terms."""
    return _TANGENT_STEPS + 2 * math.isqrt(min(n, LARGEST_TAIL))


def _radius(
    limits: dict[str, Any],
    method: str,
    columns: list[list[list[int]]],
    moved: list[Fraction],
    *,
    estimated: bool,
    balanced: bool,
) -> tuple[Fraction, int, bool]:
    """The stored radius, the number of deviances, and whether their sum is dominated by a Gamma variable."""
    radius = fraction(limits["radius"], "limits.radius", _SHORT)
    n_labels, n_outputs = len(columns), len(columns[0][0])
    if method == "relative-entropy":
        return radius, (n_outputs - 1) * sum(any(row) for column in columns for row in column), False
    if not estimated:
        return radius, 2 * sum(m > 0 for m in moved), True
    if balanced:
        return radius, 2 * n_labels, True
    return radius, 3 * n_labels, n_labels == 2


def _multiplier(text: Any, where: str) -> Fraction:
    value = fraction(text, where, 60)
    if value <= 0:
        fail(where, "must be positive")
    return value


def _above(value: Fraction) -> Fraction:
    """Rounded up to a multiple of 1 / GRID."""
    return Fraction(-(-value.numerator * GRID // value.denominator), GRID)


def _check_knowledge(data: dict[str, Any]) -> str:
    """A worst case given linear facts (T4): multipliers bound every set of views, the witness attains the value."""
    _entries(
        data,
        {
            "schema", "game", "groups", "labels", "outputs", "world_0", "world_1", "facts", "multipliers", "witness",
            "value", "digest",
        },
        "certificate",
    )  # fmt: skip
    if data["game"] not in _GAMES:
        fail("game", "is unknown")
    groups, labels, outputs = (symbols(data[name], name) for name in ("groups", "labels", "outputs"))
    if type(labels[0]) is not type(outputs[0]):
        fail("outputs", "are of another kind than the labels")
    n_views = {"labelled": len(labels) * len(outputs), "correctness": 2, "unlabelled": len(outputs)}[data["game"]]
    n_cells = len(groups) * len(labels) * len(outputs)
    if type(data["facts"]) is not list or n_views > 10:
        fail("certificate", "has too many views, or facts that are no list")
    n_rows = len(groups) * len(labels) + len(data["facts"])
    if 2**n_views * (n_cells + n_rows) * n_rows > MAX_STEPS:
        fail("certificate", "has too many cells or facts to be checked")
    cells = [(a, y, z) for a in range(len(groups)) for y in range(len(labels)) for z in range(len(outputs))]
    index = {cell: position for position, cell in enumerate(cells)}
    world_0, world_1 = (_world(data[name], len(groups), len(labels), name) for name in ("world_0", "world_1"))

    # Constraints: each (group, label) cell adds up to one; then the facts.
    rows: list[tuple[dict[int, Fraction], bool, Fraction]] = [
        ({index[a, y, z]: Fraction(1) for z in range(len(outputs))}, True, Fraction(1))
        for a in range(len(groups))
        for y in range(len(labels))
    ]
    for number, fact in enumerate(data["facts"]):
        where = f"facts[{number}]"
        _entries(fact, {"name", "sense", "limit", "coefficients"}, where)
        if fact["sense"] not in ("<=", "=") or type(fact["name"]) is not str:
            fail(where, "must have a name and the sense <= or =")
        coefficients: dict[int, Fraction] = {}
        if type(fact["coefficients"]) is not list or len(fact["coefficients"]) > n_cells:
            fail(where, "must have at most one coefficient for each cell")
        for entry in fact["coefficients"]:
            *cell, text = _of_length(entry, 4, where)
            if any(type(i) is not int for i in cell):
                fail(where, "names a cell by something else than positions")
            position = index[cell[0], cell[1], cell[2]]
            coefficients[position] = coefficients.get(position, Fraction(0)) + fraction(text, where, _SHORT)
        rows.append((coefficients, fact["sense"] == "=", fraction(fact["limit"], where, _SHORT)))

    def view(y: int, z: int) -> Any:
        seen = {"labelled": (y, z), "correctness": labels[y] == outputs[z], "unlabelled": z}
        return seen[data["game"]]

    views = list(dict.fromkeys(view(y, z) for y in range(len(labels)) for z in range(len(outputs))))
    value = fraction(data["value"], "value")
    objective = [world_0[a][y] - world_1[a][y] for a, y, _ in cells]
    flat = [p - q for row_0, row_1 in zip(world_0, world_1, strict=True) for p, q in zip(row_0, row_1, strict=True)]
    for chosen, texts in enumerate(_of_length(data["multipliers"], 2 ** len(views), "multipliers")):
        where = f"multipliers[{chosen}]"
        multipliers = [fraction(text, where) for text in _of_length(texts, len(rows), where)]
        shown = {v for bit, v in enumerate(views) if chosen >> bit & 1}
        left = [d if view(y, z) in shown else Fraction(0) for d, (_, y, z) in zip(objective, cells, strict=True)]
        bound = Fraction(0)
        for multiplier, (coefficients, equality, limit) in zip(multipliers, rows, strict=True):
            if multiplier < 0 and not equality:
                fail(where, "holds a negative multiplier of an inequality")
            bound += multiplier * limit
            for position, c in coefficients.items():
                left[position] -= multiplier * c
        if any(rest > 0 for rest in left) or bound > value:
            fail(where, f"does not bound its set of views by {value}")

    witness = [
        fraction(text, "witness")
        for plane in _of_length(data["witness"], len(groups), "witness")
        for row in _of_length(plane, len(labels), "witness")
        for text in _of_length(row, len(outputs), "witness")
    ]
    if any(rate < 0 for rate in witness):
        fail("witness", "holds a negative rate")
    for number, (coefficients, equality, limit) in enumerate(rows):
        activity = total(c * witness[position] for position, c in coefficients.items())
        if activity > limit or (equality and activity != limit):
            fail("witness", f"does not satisfy constraint {number}")
    seen: dict[Any, Fraction] = {}
    for rate, d, (_, y, z) in zip(witness, objective, cells, strict=True):
        seen[view(y, z)] = seen.get(view(y, z), Fraction(0)) + d * rate
    if total(abs(v) for v in seen.values()) / 2 != value:
        fail("value", "is not the witness's advantage")
    return (
        f"{data['game']} game, labels {_listed(labels)}, outputs {_listed(outputs)}: for worlds at total variation "
        f"{_decimal(total(map(abs, flat)) / 2)}, given {_facts(data['facts'])}, the largest advantage of a test is "
        f"exactly {value} (about {float(value):.6g}), and the witness attains it."
    )


def _check_information(data: dict[str, Any]) -> str:
    """An information inequality: a combination of elemental inequalities, added up coefficient by coefficient."""
    _entries(data, {"schema", "variables", "expression", "terms", "digest"}, "certificate")
    variables = symbols(data["variables"], "variables")
    if len(variables) > MAX_VARIABLES or not all(is_variable(name) for name in variables):
        fail("variables", f"must be at most {MAX_VARIABLES} names of letters, digits and underscores")

    def members(names: Any, where: str) -> frozenset[int]:
        if type(names) is not list or len(names) > len(variables):
            fail(where, "must be a list of variables")
        positions = frozenset(_position(variables, name, where) for name in names)
        if len(positions) != len(names):
            fail(where, "names a variable twice")
        return positions

    def entropy(joint: frozenset[int]) -> str:
        return f"H({','.join(variables[i] for i in sorted(joint))})"

    claimed: dict[frozenset[int], Fraction] = {}
    for number, entry in enumerate(_at_most(data["expression"], 2 ** len(variables), "expression")):
        where = f"expression[{number}]"
        text, names = _of_length(entry, 2, where)
        joint = members(names, where)
        if not joint or joint in claimed:
            fail(where, "is the entropy of no variable, or of the same variables as another entry")
        claimed[joint] = fraction(text, where, _SHORT)
    left = dict(claimed)
    seen = set()
    everything = frozenset(range(len(variables)))
    for number, entry in enumerate(_at_most(data["terms"], 4**MAX_VARIABLES, "terms")):
        where = f"terms[{number}]"
        text, *pair, given = _of_length(entry, 4, where)
        weight, condition = fraction(text, where, _SHORT), members(given, where)
        first, second = (_position(variables, name, where) for name in pair)
        # Elemental are H(V | all others) and I(V ; W | some others).
        if {first, second} & condition or (first == second and condition | {first} != everything):
            fail(where, "is no elemental inequality")
        if weight <= 0 or (min(first, second), max(first, second), condition) in seen:
            fail(where, "has no positive weight, or occurs twice")
        seen.add((min(first, second), max(first, second), condition))
        for joint, sign in (
            (condition | {first}, 1),
            (condition | {second}, 1),
            (condition | {first, second}, -1),
            (condition, -1),
        ):
            if joint:
                left[joint] = left.get(joint, Fraction(0)) - sign * weight
    for joint, rest in left.items():
        if rest:
            fail("terms", f"do not add up to the expression: the coefficients of {entropy(joint)} differ by {rest}")
    shown = " ".join(
        f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{abs(c)} '}{entropy(joint)}"
        for joint, c in claimed.items()
        if c
    )
    return (
        f"{shown.removeprefix('+ ') or '0'} >= 0 for all random variables with finitely many values: a combination of "
        f"{len(seen)} elemental inequalities, with positive weights."
    )


def is_variable(name: Any) -> bool:
    """Whether a value can name a random variable."""
    return type(name) is str and _VARIABLE.fullmatch(name) is not None


def kolmogorov_upper_bound(n: int, eps: Fraction) -> Fraction:
    """
    Rigorous upper bound on `P(sup_t |F_n(t) - F(t)| > eps)` for the empirical distribution of n draws, whatever F.

    Twice the exact law of the one-sided statistic (Z. Birnbaum, F. Tingey, 1951), a finite sum that is added up in
    integers. The law is that of continuous F; with ties the statistic is stochastically smaller.

    Parameters
    ----------
    n : int
        Positive.
    eps : Fraction
        In (0, 1).
    """
    p, q = eps.numerator, eps.denominator
    whole = q * n
    added = sum(
        math.comb(n, j) * (p * n + j * q) ** (j - 1) * (whole - p * n - j * q) ** (n - j)
        for j in range(1, n + 1)
        if whole >= p * n + j * q
    )
    return 2 * ((1 - eps) ** n + eps * Fraction(added, whole ** (n - 1)))


def band_holds(n: int, eps: Fraction, alpha: Fraction) -> bool:
    """
    Whether `P(sup_t |F_n(t) - F(t)| > eps) <= alpha` is established for every distribution F.

    By the bound `2 exp(-2 n eps^2)` (A. Dvoretzky, J. Kiefer, J. Wolfowitz 1956; constant of P. Massart 1990), with the
    logarithm rounded up; for n up to `MAX_EXACT_BAND` also by `kolmogorov_upper_bound`.
    """
    if eps >= 1:
        return True
    if n == 0 or eps <= 0:
        return False
    if 2 * n * eps**2 >= ln_between(2 / alpha)[1]:
        return True
    return n <= MAX_EXACT_BAND and kolmogorov_upper_bound(n, eps) <= alpha


def _largest_gap(row_a: list[int], row_b: list[int], merged: set[int]) -> Fraction:
    """
    Largest `F_a - F_b` over all thresholds, from counts per block of scores.

    Inside a block of several scores `F_a` is at most its value at the block's end and `F_b` at least its value before
    the block, so the result is exact if there is no such block and never too small.
    """
    n_a, n_b = sum(row_a), sum(row_b)
    below_a = below_b = best = 0
    for block, (k, m) in enumerate(zip(row_a, row_b, strict=True)):
        below_a += k
        if block in merged:
            best = max(best, below_a * n_b - below_b * n_a)
        below_b += m
        best = max(best, below_a * n_b - below_b * n_a)
    return Fraction(best, n_a * n_b)


def _check_scores(data: dict[str, Any]) -> str:
    """A bound for tests that threshold a score (T7), with confidence from bands around distribution functions."""
    _entries(
        data,
        {
            "schema", "claim", "counts", "rows", "on_missing", "limits", "distance", "pairs", "advantage", "digest",
        },
        "certificate",
    )  # fmt: skip
    claim = data["claim"]
    _entries(claim, {"game", "label_balanced", "theorem", "confidence", "compositions"}, "claim")
    if claim["game"] != "thresholds" or claim["theorem"] != "T7":
        fail("claim", "is not about thresholds, by T7")
    if type(claim["label_balanced"]) is not bool or claim["compositions"] not in ("estimated", "given"):
        fail("claim", "label_balanced must be true or false, compositions estimated or given")
    confidence = fraction(claim["confidence"], "claim.confidence")
    if not Fraction(1, 2) <= confidence < 1:
        fail("claim.confidence", "lies outside [1/2, 1)")
    balanced, estimated = claim["label_balanced"], claim["compositions"] == "estimated"

    # Counts per (group, label) and block of scores; a block ends with its threshold.
    _entries(data["counts"], {"groups", "labels", "thresholds", "merged", "table"}, "counts")
    groups, labels = (symbols(data["counts"][name], f"counts.{name}") for name in ("groups", "labels"))
    n_groups, n_labels = len(groups), len(labels)
    if n_groups < 2 or n_labels < 2 or n_groups * n_labels > MAX_BANDS:
        fail("counts", "needs at least two groups and two labels, and not too many")
    texts = data["counts"]["thresholds"]
    if type(texts) is not list or not 0 < len(texts) <= MAX_THRESHOLDS:
        fail("counts.thresholds", f"must be a list of 1 to {MAX_THRESHOLDS} numbers")
    thresholds = [fraction(text, "counts.thresholds") for text in texts]
    if any(low >= high for low, high in pairwise(thresholds)):
        fail("counts.thresholds", "do not rise")
    blocks = data["counts"]["merged"]
    if type(blocks) is not list or any(type(i) is not int or not 0 <= i < len(texts) for i in blocks):
        fail("counts.merged", "must be a list of positions of thresholds")
    merged = set(blocks)
    table = data["counts"]["table"]
    for plane in _of_length(table, n_groups, "counts.table"):
        for row in _of_length(plane, n_labels, "counts.table"):
            _of_length(row, len(texts), "counts.table")
    if any(type(k) is not int or k < 0 for plane in table for row in plane for k in row):
        fail("counts.table", "holds something else than non-negative integers")
    if type(data["pairs"]) is not list or not data["pairs"]:
        fail("pairs", "must be a list with at least one entry")
    steps = n_labels * n_groups**2 * len(texts) + len(data["pairs"]) * n_labels * (n_labels**2 + n_groups)
    if steps > MAX_STEPS:
        fail("counts", f"has too many groups, labels or thresholds to be checked ({steps} steps)")
    cells = [[sum(row) for row in plane] for plane in table]
    per_group = [sum(plane) for plane in cells]
    if type(data["rows"]) is not int or data["rows"] != sum(per_group) or not 0 < data["rows"] <= 2**53:
        fail("rows", f"is not the sum of the counts, {sum(per_group)}")
    if data["on_missing"] not in ("error", "vacuous"):
        fail("on_missing", "must be error or vacuous")
    if data["on_missing"] == "error" and any(n == 0 for plane in cells for n in plane):
        fail("counts.table", "has a (group, label) cell without rows")

    # Bands around the distribution functions, and limits of the label marginals, at equal shares of the error.
    limits = data["limits"]
    _entries(limits, {"method", "number", "bands", "label_marginals"}, "limits")
    if limits["method"] != "kolmogorov, clopper-pearson":
        fail("limits.method", "is unknown")
    number = n_groups * n_labels * (2 if estimated else 1)
    if type(limits["number"]) is not int or limits["number"] != number:
        fail("limits.number", f"is not {number}, the number of limits among which the error is split")
    alpha = (1 - confidence) / number
    known: set[tuple[int, Fraction]] = set()

    def band(value: Any, n: int, where: str) -> Fraction:
        eps = fraction(value, where, 30)
        if not 0 < eps <= 1 or GRID % eps.denominator:
            fail(where, f"{value} is no multiple of 1/{GRID} in (0, 1]")
        if (n, eps) not in known and not band_holds(n, eps, alpha):
            fail(where, f"{value} is no band for {n} rows at level {float(alpha):.3g}")
        known.add((n, eps))
        return eps

    bands = [
        [
            band(value, cells[a][y], f"limits.bands[{a}][{y}]")
            for y, value in enumerate(_of_length(row, n_labels, "limits.bands"))
        ]
        for a, row in enumerate(_of_length(limits["bands"], n_groups, "limits.bands"))
    ]
    spent = [0]

    stored = _of_length(limits["label_marginals"], n_groups if estimated else 0, "limits.label_marginals")
    marginals = [
        [
            _lower_limit(value, cells[a][y], per_group[a], alpha, f"limits.label_marginals[{a}][{y}]", spent)
            for y, value in enumerate(_of_length(row, n_labels, "limits.label_marginals"))
        ]
        for a, row in enumerate(stored)
    ]

    # Kolmogorov-Smirnov distances: as measured, and at most, under the bands.
    between: dict[frozenset[int], tuple[list[Fraction], list[Fraction]]] = {}
    for a, b in combinations(range(n_groups), 2):
        between[frozenset((a, b))] = measured, largest = [Fraction(1)] * n_labels, [Fraction(1)] * n_labels
        for y in range(n_labels):
            if cells[a][y] and cells[b][y]:
                measured[y] = max(_largest_gap(table[i][y], table[j][y], merged) for i, j in ((a, b), (b, a)))
                largest[y] = min(Fraction(1), measured[y] + bands[a][y] + bands[b][y])
    point, upper = ([max(column) for column in zip(*side, strict=True)] for side in zip(*between.values(), strict=True))
    for y, entry in enumerate(_of_length(data["distance"], n_labels, "distance")):
        _same(entry, {"label": labels[y]}, {"point": point[y], "upper": upper[y]}, f"distance[{y}]")

    # Each pair of worlds: composition, value, and value under the limits.
    points, uppers, named = [], [], []
    for index, pair in enumerate(data["pairs"]):
        where = f"pairs[{index}]"
        values = {"label_shift", "moved", "distance", "point", "upper"}
        first = second = 0
        prices = point, upper
        if estimated:
            _entries(pair, values | {"groups"}, where)
            names = _of_length(pair["groups"], 2, f"{where}.groups")
            first, second = (_position(groups, name, f"{where}.groups") for name in names)
            if first == second or {first, second} in named:
                fail(f"{where}.groups", "must name two different groups, and no pair twice")
            named.append({first, second})
            # A pure pair is about its own two groups alone.
            prices = between[frozenset((first, second))]
            if not per_group[first] or not per_group[second]:
                fail(f"{where}.groups", "names a group without rows")
            world_0, world_1 = (_pure_world(cells, own) for own in (first, second))
        else:
            _entries(pair, values | {"world_0", "world_1"}, where)
            world_0, world_1 = (
                _world(pair[name], n_groups, n_labels, f"{where}.{name}") for name in ("world_0", "world_1")
            )
        if balanced:
            world_0, world_1 = _balance(world_0, world_1, where)
        _, shift, moved = _movement(world_0, world_1)
        _check_movement(pair, shift, moved, where)

        def value_at(distance: list[Fraction], shift: Fraction = shift, moved: list[Fraction] = moved) -> Fraction:
            return shift + total(m * d for m, d in zip(moved, distance, strict=True))

        value = value_at(prices[0])
        if not estimated:
            value_upper = value_at(prices[1])
        else:
            value_upper = _largest_over_marginals(marginals[first], marginals[second], prices[1], balanced=balanced)
        for key, found in (("point", value), ("upper", value_upper)):
            if fraction(pair[key], f"{where}.{key}") != found:
                fail(f"{where}.{key}", f"is not {found}")
        points.append(value)
        uppers.append(value_upper)
    _same(data["advantage"], {}, {"point": max(points), "upper": max(uppers)}, "advantage")

    subject = "the given pairs of populations"
    if estimated:
        shown = [f"{pair['groups'][0]!r} / {pair['groups'][1]!r}" for pair in data["pairs"]]
        subject = "the pure populations " + ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if shown[6:] else "")
    return (
        f"{'label-balanced ' if balanced else ''}threshold tests of a score, T7, {data['rows']} rows, labels "
        f"{_listed(labels)}: with confidence {_decimal(confidence)} no test that sees score and label and compares the "
        f"score with a threshold (which may depend on the label) has an advantage above {_decimal_above(max(uppers))} "
        f"for {subject} (at the measured distances: {float(max(points)):.6g})"
        + ("; cells without rows count as distance 1." if data["on_missing"] == "vacuous" else ".")
        + " Not covered: tests that combine several intervals of scores, shadow models, several draws."
    )


def _decimal_above(value: Fraction) -> str:
    """Six digits after the point, rounded up."""
    digits = f"{-(-value.numerator * 10**6 // value.denominator):07d}"
    return f"{digits[:-6]}.{digits[-6:]}"


def _decimal(value: Fraction) -> str:
    """Ten significant digits, rounded down."""
    context = Context(prec=10, rounding=ROUND_FLOOR)
    return f"{context.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(context):f}"


def _listed(names: list[Any]) -> str:
    shown = ", ".join(repr(name) for name in names[:6])
    return "{" + shown + (f", ... {len(names)} in all" if len(names) > 6 else "") + "}"


def _facts(facts: list[dict[str, Any]]) -> str:
    """Facts by the names that the certificate gives them."""
    names = list(dict.fromkeys(fact["name"] for fact in facts))
    if not names:
        return "nothing else"
    more = f" and {len(names) - 4} more" if names[4:] else ""
    return f"{len(facts)} linear facts (called {', '.join(name[:80] for name in names[:4])}{more})"


def _position(alphabet: list[Any], name: Any, where: str) -> int:
    """Position of a name, of the same type too (True is not 1)."""
    for position, known in enumerate(alphabet):
        if type(known) is type(name) and known == name:
            return position
    fail(where, f"names {str(name)[:40]!r}, which is not in the alphabet")


def _of_length(items: Any, n: int, where: str) -> list[Any]:
    if type(items) is not list or len(items) != n:
        fail(where, f"must have {n} entries")
    return items


def _at_most(items: Any, n: int, where: str) -> list[Any]:
    if type(items) is not list or len(items) > n:
        fail(where, f"must be a list of at most {n} entries")
    return items


def _entries(entry: Any, keys: set[str], where: str) -> None:
    if type(entry) is not dict or set(entry) != keys:
        fail(where, f"must have the entries {sorted(keys)}")


def _same(entry: Any, texts: dict[str, Any], numbers: dict[str, Fraction], where: str) -> None:
    _entries(entry, {*texts, *numbers}, where)
    for key, expected in texts.items():
        if type(entry[key]) is not type(expected) or entry[key] != expected:
            fail(f"{where}.{key}", f"is not {expected!r}")
    for key, number in numbers.items():
        if fraction(entry[key], f"{where}.{key}") != number:
            fail(f"{where}.{key}", f"is not {number}")


def _lower_limit(value: Any, k: int, n: int, level: Fraction, where: str, spent: list[int]) -> Fraction:
    """Read a Clopper-Pearson limit, and prove it valid at its level."""
    low = fraction(value, where, 30)
    if not 0 <= low <= 1 or GRID % low.denominator:
        fail(where, f"{value} is no multiple of 1/{GRID} in [0, 1]")
    below = Context(prec=28, rounding=ROUND_FLOOR).divide(Decimal(level.numerator), Decimal(level.denominator))
    if low > 0 and (k == 0 or tail_upper_bound(k, n, low, spent) > below):
        fail(where, f"{value} is no lower limit for {k} of {n} at level {below:.3g}")
    if spent[0] > MAX_ALL_TERMS:
        fail(where, "takes too long to check: too many limits of too large samples")
    return low


def _world(rows: Any, n_groups: int, n_labels: int, where: str) -> list[list[Fraction]]:
    world = [
        [fraction(value, where, _SHORT) for value in _of_length(row, n_labels, where)]
        for row in _of_length(rows, n_groups, where)
    ]
    if any(mass < 0 for row in world for mass in row) or total(total(row) for row in world) != 1:
        fail(where, "is no probability mass function")
    return world


def _pure_world(cells: list[list[int]], own: int) -> list[list[Fraction]]:
    """The composition of one group's rows."""
    rows = sum(cells[own])
    return [[Fraction(n, rows) if g == own else Fraction(0) for n in row] for g, row in enumerate(cells)]


def _movement(
    world_0: list[list[Fraction]], world_1: list[list[Fraction]]
) -> tuple[list[list[Fraction]], Fraction, list[Fraction]]:
    """Differences by label and group, label shift, and the mass that moves between groups inside each label."""
    difference = [
        [p - q for p, q in zip(column_0, column_1, strict=True)]
        for column_0, column_1 in zip(zip(*world_0, strict=True), zip(*world_1, strict=True), strict=True)
    ]
    shift = total(abs(total(column)) for column in difference) / 2
    moved = [min(total(d for d in column if d > 0), total(-d for d in column if d < 0)) for column in difference]
    return difference, shift, moved


def _check_movement(pair: dict[str, Any], shift: Fraction, moved: list[Fraction], where: str) -> None:
    """Compare the entries label_shift, moved and distance of a pair of worlds."""
    if fraction(pair["label_shift"], f"{where}.label_shift") != shift:
        fail(f"{where}.label_shift", f"is not {shift}")
    for y, value in enumerate(_of_length(pair["moved"], len(moved), f"{where}.moved")):
        if fraction(value, f"{where}.moved[{y}]") != moved[y]:
            fail(f"{where}.moved[{y}]", f"is not {moved[y]}")
    if fraction(pair["distance"], f"{where}.distance") != shift + total(moved):
        fail(f"{where}.distance", f"is not {shift + total(moved)}")


def _largest_over_marginals(
    lower_0: list[Fraction], lower_1: list[Fraction], prices: list[Fraction], *, balanced: bool
) -> Fraction:
    """T1's largest value for two pure worlds whose label marginals respect lower limits: convex, so at vertices."""
    if balanced:
        average = [(p + q) / 2 for p, q in zip(lower_0, lower_1, strict=True)]
        return max(total(p * d for p, d in zip(vertex, prices, strict=True)) for vertex in extreme_points(average))
    return max(
        1 - total(min(p, q) * (1 - d) for p, q, d in zip(v, w, prices, strict=True))
        for v in extreme_points(lower_0)
        for w in extreme_points(lower_1)
    )


def _balance(
    world_0: list[list[Fraction]], world_1: list[list[Fraction]], where: str
) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    """Give both worlds the average of their label marginals, keeping the groups' shares within each label."""
    own = [[total(column) for column in zip(*world, strict=True)] for world in (world_0, world_1)]
    balanced = []
    for world, mine in zip((world_0, world_1), own, strict=True):
        rows = [list(row) for row in world]
        for y, (p, q) in enumerate(zip(*own, strict=True)):
            if mine[y] == 0 and p + q > 0:
                fail(
                    where,
                    f"label number {y} has no mass in one world, so the label-balanced game is undefined",
                )
            for row in rows:
                row[y] = row[y] / mine[y] * (p + q) / 2 if mine[y] else Fraction(0)
        balanced.append(rows)
    return balanced[0], balanced[1]


def _plan_cost(
    plan: Any,
    difference: list[list[Fraction]],
    prices: list[list[list[Fraction]]],
    groups: list[Any],
    pairwise: bool,
    where: str,
) -> Fraction:
    """Price a plan after checking that it matches all of the smaller side of each label and no more than there is."""
    cost = Fraction(0)
    for y, flows in enumerate(_of_length(plan, len(difference), where)):
        column, left = difference[y], list(difference[y])
        largest = max(max(row) for row in prices[y])
        if type(flows) is not list or len(flows) > len(groups) ** 2:
            fail(f"{where}[{y}]", "must be a list of at most one flow for each pair of groups")
        for flow in flows:
            source, sink, text = _of_length(flow, 3, f"{where}[{y}]")
            a, b = (_position(groups, name, f"{where}[{y}]") for name in (source, sink))
            mass = fraction(text, f"{where}[{y}]")
            if mass <= 0 or column[a] <= 0 or column[b] >= 0:
                fail(f"{where}[{y}]", f"flow {source!r} -> {sink!r} does not go from a surplus to a deficit")
            left[a] -= mass
            left[b] += mass
            cost += mass * (prices[y][a][b] if pairwise else largest)
            if max(x.denominator for x in (cost, left[a], left[b])).bit_length() > MAX_BITS:
                fail(f"{where}[{y}]", "adds numbers with too many digits")
        surplus = total(d for d, was in zip(left, column, strict=True) if was > 0)
        deficit = total(d for d, was in zip(left, column, strict=True) if was < 0)
        overdrawn = any(d < 0 < was or d > 0 > was for d, was in zip(left, column, strict=True))
        if overdrawn or (surplus != 0 and deficit != 0):
            fail(f"{where}[{y}]", "does not match exactly the smaller side of the label's surplus and deficit")
    return cost


def main(arguments: list[str]) -> int:
    """Check the named files; exit status 1 if one does not hold, 2 if one is no certificate or none is named."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python check.py CERTIFICATE.json ...")
        return 0 if arguments else 2
    status = 0
    for name in arguments:
        try:
            with open(name, "rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            print(f"{name}: cannot be read ({error.strerror or error})")
            return 2
        try:
            data = load(text)
        except CheckError as error:
            print(f"{name}: is no certificate ({error})")
            return 2
        try:
            print(f"{name}: holds. {check(data)}")
        except CheckError as error:
            print(f"{name}: REFUSED. {error}")
            status = 1
    return status


if __name__ == "__main__":
    try:
        _status = main(sys.argv[1:])
        sys.stdout.flush()
    except OSError as _error:
        # Status 1 would say that a certificate does not hold.
        sys.stderr.write(f"the answer cannot be written ({_error.strerror or _error})\n")
        os._exit(2)
    sys.exit(_status)
