"""Rationals in and out: exact reading, and rounding with a stated direction."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

from fairbound.bounds.errors import NumberError

_RATIONAL = re.compile(r"\s*[+-]?([0-9]{1,400}(/[0-9]{1,400})?|[0-9]{0,200}\.[0-9]{1,200})\s*")


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
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, float) and math.isfinite(value):
        return Fraction(repr(float(value)))
    if isinstance(value, str) and _RATIONAL.fullmatch(value):
        try:
            return Fraction(value.strip())
        except ZeroDivisionError:
            pass
    raise NumberError(f'{str(value)[:40]!r} is no rational number; write 3, 0.25 or "1/3".')


def float_above(value: Fraction) -> float:
    """Smallest float that is at least `value`."""
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)


def float_below(value: Fraction) -> float:
    """Largest float that is at most `value`."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)
