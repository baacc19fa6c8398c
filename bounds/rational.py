"""Rationals in and out: exact reading, and rounding with a stated direction."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import Any

from fairbound.bounds.errors import NumberError

_RATIONAL = re.compile(
    r"[+-]?([0-9]{1,400}/[0-9]{1,400}|([0-9]{1,400}|[0-9]{0,200}\.[0-9]{1,200})([eE][+-]?[0-9]{1,3})?)", re.ASCII
)


def to_fraction(value: Any) -> Fraction:
    """
    Read a number exactly.

    Parameters
    ----------
    value : int, Fraction, float or str
        A float is read as the shortest decimal that denotes it (0.1 means 1/10); text is ``"1/3"`` or ``"0.25"``.

    Returns
    -------
    Fraction

    Raises
    ------
    NumberError
        If the value is no finite number of these forms.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        text = str(value)
    else:
        text = value.strip() if isinstance(value, str) else ""
    if _RATIONAL.fullmatch(text):
        try:
            return Fraction(text)
        except ZeroDivisionError:
            pass
    raise NumberError(f'{str(value)[:40]!r} is no rational number; write 3, 0.25 or "1/3".')


def apportioned(weights: Sequence[int | Fraction], total: int) -> list[int]:
    """
    Share a whole number out in the ratio of weights, by largest remainders (ties: in order).

    Parameters
    ----------
    weights : sequence of int or Fraction
        Not negative. If all are 0, so are the parts.
    total : int
        Not negative.

    Returns
    -------
    list of int
        Each within 1 of its exact share; their sum is `total` unless all weights are 0.
    """
    whole_weight = sum(weights)
    if not whole_weight:
        return [0] * len(weights)
    shares = [divmod(total * weight, whole_weight) for weight in weights]
    parts = [int(quotient) for quotient, _ in shares]
    order = sorted((-remainder, i) for i, (_, remainder) in enumerate(shares))
    for _, i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def decimal_below(value: Fraction, digits: int = 10) -> str:
    """Decimal text of a number, rounded down to a number of significant digits."""
    context = Context(prec=digits, rounding=ROUND_FLOOR)
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return f"{quotient.normalize(context):f}"


def decimal_above(value: Fraction, places: int = 4) -> str:
    """Decimal text of a non-negative number with a number of digits after the point, rounded up."""
    digits = f"{-(-value.numerator * 10**places // value.denominator):0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}"


def float_above(value: Fraction) -> float:
    """Smallest float that is at least `value`."""
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)
