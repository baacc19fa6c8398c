"""How many direct draws from a world a leak is worth."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from fairbound.bounds import draws_needed_exactly
from fairbound.bounds.rational import to_fraction
from fairbound.empirical.attacks.errors import AttackInputError


def n_leaked(accuracy: float, alpha0: float, alpha1: float, *, models: int | None = None) -> float:
    """
    Number of direct draws from a world that an attack's accuracy is worth (A. Suri, D. Evans, PETS 2022).

    Draws show a group whose share is `alpha0` or `alpha1`. With n of them no test is right more often than
    `(1 + sqrt(1 - r^n)) / 2`, `r = max(min / max, (1 - max) / (1 - min))`; the result is the n at which this is the
    accuracy, a lower bound of `n_leaked_exactly`. If one ratio is 0 and the other 1, r is 0 and any leak is worth less
    than one draw: 0.

    Parameters
    ----------
    accuracy : float
        In [0, 1]; up to 1/2 it is worth no draw.
    alpha0, alpha1 : float
        Different ratios in [0, 1].
    models : int, optional
        Victims behind the accuracy. Their all being guessed right means infinitely many draws by the formula, and is
        capped at the value of the accuracy `1 - 1 / (2 models)`, half a victim wrong.

    Returns
    -------
    float
        Infinity for perfect accuracy, if `models` is not given.

    Raises
    ------
    AttackInputError
        If an argument lies outside its range.
    """
    low, high = _ratios(alpha0, alpha1)
    if not 0 <= accuracy <= 1 or (models is not None and models < 1):
        raise AttackInputError(f"accuracy {accuracy} of {models} models: give a share of at least one model.")
    advantage = max(0.0, 2 * accuracy - 1)
    if models is not None:
        advantage = min(advantage, 1 - 1 / models)
    r = max(low / high, (1 - high) / (1 - low))
    if r == 0:
        return 0.0
    return math.inf if advantage == 1 else math.log1p(-(advantage**2)) / math.log(r)


def n_leaked_exactly(accuracy: float | str | Fraction, alpha0: Any, alpha1: Any) -> int | None:
    """
    Least number of direct draws with which the best test is right as often as an attack.

    It is the smallest n with `(1 + TV(Bin(n, alpha0), Bin(n, alpha1))) / 2 >= accuracy`, in exact arithmetic.

    Parameters
    ----------
    accuracy : rational
        In [0, 1]; up to 1/2 it is worth no draw.
    alpha0, alpha1 : rational
        Different ratios in [0, 1].

    Returns
    -------
    int or None
        None if no number of draws is enough (perfect accuracy).

    Raises
    ------
    AttackInputError
        If the ratios agree or lie outside [0, 1].
    NumberError
        If the accuracy lies outside [0, 1].
    """
    a, b = to_fraction(alpha0), to_fraction(alpha1)
    _ratios(a, b)
    return draws_needed_exactly((1 - a, a), (1 - b, b), max(Fraction(0), 2 * to_fraction(accuracy) - 1))


def _ratios(alpha0: Any, alpha1: Any) -> tuple[Any, Any]:
    low, high = sorted((alpha0, alpha1))
    if not 0 <= low < high <= 1:
        raise AttackInputError(f"ratios {alpha0} and {alpha1}: give two different ones in [0, 1].")
    return low, high
