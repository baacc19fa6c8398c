"""
Check a certificate with Python's standard library alone.

The file stands on its own: it imports nothing of NumPy, of a solver or of the rest of this package, so that it can be
read in one sitting, copied elsewhere and run as ``python check.py CERT.json``. It recomputes every number of a
certificate from its counts, and proves what it does not recompute: transport plans are checked flow by flow, confidence
limits by a rigorous upper bound on the binomial tail. Statements and theorem ids (T1, T1a, T1b, T9) are those of the
project's documentation.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from fractions import Fraction
from typing import Any, NoReturn

SCHEMA = "fairbound.certificate/1"
KNOWLEDGE_SCHEMA = "fairbound.knowledge/1"
MAX_BYTES = 32 * 2**20
MAX_DIGITS = 4000
MAX_TERMS = 2**17
MAX_ALL_TERMS = 10**8
MAX_STEPS = 10**8
MAX_BITS = 10**5
GRID = 10**12
_GAMES = ("labelled", "correctness", "unlabelled")
_SHORT = 400
_FRACTION = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(/[1-9][0-9]{{0,{MAX_DIGITS - 1}}})?", re.ASCII)
_PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"


class CheckError(ValueError):
    """The first line of a certificate that does not hold."""


def fail(where: str, why: str) -> NoReturn:
    """Raise `CheckError` for one entry."""
    raise CheckError(f"{where}: {why}")


def load(text: str | bytes) -> dict[str, Any]:
    """
    Parse a certificate as untrusted input: bounded size, no floats, no repeated keys.

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
        data = json.loads(
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
    if not isinstance(data, dict) or data.get("schema") not in (SCHEMA, KNOWLEDGE_SCHEMA):
        fail("schema", f"is not {SCHEMA!r} or {KNOWLEDGE_SCHEMA!r}")
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


def log_factorial(n: int, *, up: bool, context: Context) -> Decimal:
    """Bound on ln(n!) from above or below; Stirling's series errs by less than its first omitted term."""
    if n < 64:
        return context.ln(Decimal(math.factorial(n)))
    with localcontext(context):
        x = Decimal(n)
        value = x * x.ln() - x + (2 * Decimal(_PI) * x).ln() / 2 + 1 / (12 * x) - 1 / (360 * x**3)
        value += 1 / (1260 * x**5) if up else 1 / (1260 * x**5) - 1 / (1680 * x**7)
        return value


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
    near = Context(prec=70)
    log_p = near.ln(near.divide(Decimal(p.numerator), Decimal(p.denominator)))
    q = 1 - p
    log_q = near.ln(near.divide(Decimal(q.numerator), Decimal(q.denominator)))
    if min(k, n - k) <= 256:
        log_choose = near.ln(Decimal(math.comb(n, k)))
    else:
        log_choose = near.subtract(
            near.subtract(log_factorial(n, up=True, context=near), log_factorial(k, up=False, context=near)),
            log_factorial(n - k, up=False, context=near),
        )
    exponent = near.add(near.add(log_choose, near.multiply(Decimal(k), log_p)), near.multiply(Decimal(n - k), log_q))
    # 70 digits leave more than 40 after the point for n up to 2**53; 1e-30 swallows every rounding above.
    up, down = Context(prec=28, rounding=ROUND_CEILING), Context(prec=28, rounding=ROUND_FLOOR)
    term = up.multiply(up.plus(near.exp(exponent)), Decimal("1.000000000000000000000000001"))
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
        return _check_knowledge(data) if data["schema"] == KNOWLEDGE_SCHEMA else _check(data)
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
    if set(claim) != {"game", "label_balanced", "theorem", "confidence", "compositions"}:
        fail("claim", "has other entries than game, label_balanced, theorem, confidence, compositions")
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

    # Confidence limits (T9 (i)): every one is a valid Clopper-Pearson limit at its share of the error.
    limits = data["limits"]
    if set(limits) != {"method", "number", "rates", "label_marginals"} or limits["method"] != "clopper-pearson":
        fail("limits", "has other entries than method (clopper-pearson), number, rates, label_marginals")
    estimated = claim["compositions"] == "estimated"
    worlds: list[tuple[int, int]] = []
    for position, pair in enumerate(data["pairs"]) if estimated else ():
        first, second = (
            _position(groups, name, f"pairs[{position}].groups") for name in _of_length(pair["groups"], 2, "pairs")
        )
        if first == second or (first, second) in worlds or (second, first) in worlds:
            fail(f"pairs[{position}].groups", "must name two different groups, and no pair twice")
        worlds.append((first, second))
    number = n_groups * n_labels * n_outputs + (n_groups * n_labels if estimated else 0)
    if type(limits["number"]) is not int or limits["number"] != number:
        fail("limits.number", f"is not {number}, the number of limits among which the error is split")
    alpha = (1 - confidence) / number
    alpha_below = Context(prec=28, rounding=ROUND_FLOOR).divide(Decimal(alpha.numerator), Decimal(alpha.denominator))

    spent = [0]

    def limit(value: Any, k: int, n: int, where: str) -> Fraction:
        low = fraction(value, where, 30)
        if not 0 <= low <= 1 or GRID % low.denominator:
            fail(where, f"{value} is no multiple of 1/{GRID} in [0, 1]")
        if low > 0 and (k == 0 or tail_upper_bound(k, n, low, spent) > alpha_below):
            fail(where, f"{value} is no lower limit for {k} of {n} at level {alpha_below:.3g}")
        if spent[0] > MAX_ALL_TERMS:
            fail(where, "takes too long to check: too many limits of too large samples")
        return low

    rates = [
        [
            [
                limit(value, table[a][y][z], cells[a][y], f"limits.rates[{a}][{y}][{z}]")
                for z, value in enumerate(_of_length(row, n_outputs, "limits.rates"))
            ]
            for y, row in enumerate(_of_length(plane, n_labels, "limits.rates"))
        ]
        for a, plane in enumerate(_of_length(limits["rates"], n_groups, "limits.rates"))
    ]
    marginals: dict[int, list[Fraction]] = {}
    stored = _of_length(limits["label_marginals"], n_groups if estimated else 0, "limits.label_marginals")
    for a, row in enumerate(stored):
        marginals[a] = [
            limit(value, cells[a][y], per_group[a], f"limits.label_marginals[{a}][{y}]")
            for y, value in enumerate(_of_length(row, n_labels, "limits.label_marginals"))
        ]

    # Disparities: as measured, and their largest values under the limits.
    point = [[[Fraction(0)] * n_groups for _ in groups] for _ in labels]
    upper = [[[Fraction(0)] * n_groups for _ in groups] for _ in labels]
    for y in range(n_labels):
        for a in range(n_groups):
            for b in range(a):
                measured = largest = Fraction(1)
                if cells[a][y] and cells[b][y]:
                    largest = largest_variation(rates[a][y], rates[b][y])
                    measured = variation(
                        [Fraction(k, cells[a][y]) for k in table[a][y]],
                        [Fraction(k, cells[b][y]) for k in table[b][y]],
                    )
                point[y][a][b] = point[y][b][a] = measured
                upper[y][a][b] = upper[y][b][a] = largest
    delta = [max(max(row) for row in matrix) for matrix in point]
    delta_upper = [max(max(row) for row in matrix) for matrix in upper]
    for y, entry in enumerate(_of_length(data["disparity"], n_labels, "disparity")):
        _same(entry, {"label": labels[y]}, {"point": delta[y], "upper": delta_upper[y]}, f"disparity[{y}]")
    _same(data["equalized_odds"], {}, {"point": max(delta), "upper": max(delta_upper)}, "equalized_odds")

    # Each pair of worlds: composition, transport plan, value, and value under the limits.
    points, uppers = [], []
    for number_of_pair, pair in enumerate(data["pairs"]):
        where = f"pairs[{number_of_pair}]"
        if estimated:
            _entries(pair, {"groups", "label_shift", "moved", "distance", "plan", "point", "upper"}, where)
            a, b = worlds[number_of_pair]
            if not per_group[a] or not per_group[b]:
                fail(f"{where}.groups", "names a group without rows")
            world_0, world_1 = (
                [
                    [Fraction(cells[g][y], per_group[g]) if g == own else Fraction(0) for y in range(n_labels)]
                    for g in range(n_groups)
                ]
                for own in (a, b)
            )
        else:
            _entries(
                pair,
                {
                    "world_0",
                    "world_1",
                    "label_shift",
                    "moved",
                    "distance",
                    "plan",
                    "upper_plan",
                    "point",
                    "upper",
                },
                where,
            )
            world_0, world_1 = (
                _world(pair[name], n_groups, n_labels, f"{where}.{name}") for name in ("world_0", "world_1")
            )
        if balanced:
            world_0, world_1 = _balance(world_0, world_1, where)
        difference = [[world_0[g][y] - world_1[g][y] for g in range(n_groups)] for y in range(n_labels)]
        shift = total(abs(total(column)) for column in difference) / 2
        moved = [
            min(
                total(d for d in column if d > 0),
                total(-d for d in column if d < 0),
            )
            for column in difference
        ]
        if fraction(pair["label_shift"], f"{where}.label_shift") != shift:
            fail(f"{where}.label_shift", f"is not {shift}")
        for y, value in enumerate(_of_length(pair["moved"], n_labels, f"{where}.moved")):
            if fraction(value, f"{where}.moved[{y}]") != moved[y]:
                fail(f"{where}.moved[{y}]", f"is not {moved[y]}")
        if fraction(pair["distance"], f"{where}.distance") != shift + total(moved):
            fail(f"{where}.distance", f"is not {shift + total(moved)}")

        def plan_cost(plan: Any, prices: list[list[list[Fraction]]], at: str, difference: Any = difference) -> Fraction:
            return _plan_cost(plan, difference, prices, groups, pairwise, at)

        value = shift + plan_cost(pair["plan"], point, f"{where}.plan")
        if fraction(pair["point"], f"{where}.point") != value:
            fail(f"{where}.point", f"is not {value}, the cost of its transport plan")
        if not estimated:
            value_upper = shift + plan_cost(pair["upper_plan"], upper, f"{where}.upper_plan")
        else:
            prices = [upper[y][a][b] if pairwise else delta_upper[y] for y in range(n_labels)]
            if balanced:
                lower = [(p + q) / 2 for p, q in zip(marginals[a], marginals[b], strict=True)]
                value_upper = max(
                    total(p * d for p, d in zip(vertex, prices, strict=True)) for vertex in extreme_points(lower)
                )
            else:
                value_upper = max(
                    1 - total(min(p, q) * (1 - d) for p, q, d in zip(v, w, prices, strict=True))
                    for v in extreme_points(marginals[a])
                    for w in extreme_points(marginals[b])
                )
        if fraction(pair["upper"], f"{where}.upper") != value_upper:
            fail(f"{where}.upper", f"is not {value_upper}")
        points.append(value)
        uppers.append(value_upper)
    _same(data["advantage"], {}, {"point": max(points), "upper": max(uppers)}, "advantage")

    subject = (
        f"the given pair of populations (total variation {_decimal(total(moved) + shift)}, of which label shift "
        f"{_decimal(shift)})"
    )
    if estimated:
        named = [f"{pair['groups'][0]!r} / {pair['groups'][1]!r}" for pair in data["pairs"]]
        subject = "the pure populations " + ", ".join(named[:6]) + (f" and {len(named) - 6} more" if named[6:] else "")
    return (
        f"{'label-balanced ' if balanced else ''}{claim['game']} game, {claim['theorem']}, {data['rows']} rows, labels "
        f"{_listed(labels)}, outputs {_listed(outputs)}: with confidence {_decimal(confidence)} the advantage of every "
        f"test is at most {_decimal_above(max(uppers))} for {subject} (at the measured rates: {float(max(points)):.6g})"
        + ("; cells without rows count as disparity 1." if data["on_missing"] == "vacuous" else ".")
        + " Not covered: shadow models, scores, several draws."
    )


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


def _world(rows: Any, n_groups: int, n_labels: int, where: str) -> list[list[Fraction]]:
    world = [
        [fraction(value, where, _SHORT) for value in _of_length(row, n_labels, where)]
        for row in _of_length(rows, n_groups, where)
    ]
    if any(mass < 0 for row in world for mass in row) or total(total(row) for row in world) != 1:
        fail(where, "is no probability mass function")
    return world


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
    """Check the named files; exit status 1 if one does not hold, 2 if one cannot be read or none is named."""
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
            print(f"{name}: holds. {check(load(text))}")
        except CheckError as error:
            print(f"{name}: REFUSED. {error}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
