"""
Many draws: the worst case given the advantage of one draw (T5), and the value for two given distributions.

With n independent draws of one world the adversary sees a word of n views. The **overlap** of two measures is the sum
of the smaller of their masses, and the advantage is 1 less the overlap of the two worlds' words. Views that one world
never shows settle the question, so the overlap lies in words of common views alone, and views of one likelihood ratio
can be counted as one (the ratio is a sufficient statistic). This is the hockey-stick divergence at epsilon 0 of the
n-fold privacy loss distribution (D. Sommer, S. Meiser, E. Mohammadi, PETS 2019).

Short words are counted exactly. Where there are two likelihood ratios, the number of times that one of them occurs says
all, and its two binomial distributions are computed with a stated rounding. For the others, two distributions on a
lattice of losses enclose the value:

- *From above.* A view whose loss `l = ln(p / q)` lies between two lattice points is split into two views with exactly
  those losses, in the only shares that keep p and q. Merging the two gives the old view back, so that splitting lowers
  no advantage (T6): the overlap of the split words, `sum_s min(1, e^s) Q(s)` over their losses s, is at most the true
  one (the "connect the dots" of V. Doroshenko et al., PETS 2022, which is exact in p and q).
- *From below.* Round the loss of every view at random to one of its two lattice points, with its mean kept, and say
  "world 0" if the sum exceeds a threshold. This is a test, so that its advantage is at most that of the best test.

Each errs by about the square of the lattice's step where the losses of words are spread smoothly, and by the step where
they are not. The lattice is made coarser as the words get longer, by the same two operations.

All of it is integer arithmetic. Masses are multiples of 2**-62 rounded down, and products of polynomials are products
of integers, without a floating-point transform. Rounding down only loses mass: from above, the overlap gets smaller and
the advantage larger; from below, what a test is not seen to get right counts as an error. So both values stay valid
whatever was lost.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import accumulate, repeat
from typing import Any

import numpy as np
from flint import fmpz
from numpy.typing import NDArray

from fairbound.bounds.channel import Channel
from fairbound.bounds.composition import CompositionPair
from fairbound.bounds.errors import AlphabetError, NumberError
from fairbound.bounds.games import Game, get_game
from fairbound.bounds.proved_by import proved_by
from fairbound.bounds.rational import decimal_above, decimal_below, float_above, to_fraction

MAX_BITS = 2**22
"""Longest denominator, in bits, of an exact worst case."""
MAX_DRAWS = 10**9
"""Most draws for two given distributions."""
WIDTH = Fraction(1, 10**5)
"""How close the values from below and above are brought by default."""

# Counting is used up to about a second of work, in machine words touched; a comparison first tries less.
_MAX_WORK, _LITTLE_WORK = 2**27, 2**20
_BITS = 62
_UNIT = 1 << _BITS
_MIN_CELLS, _MAX_CELLS = 2**11, 2**17
# Errors of logarithms and exponentials stay far below a unit of 2**-62 even after a division by the smallest step.
_DECIMAL = Context(prec=80)
_SMALLEST_STEP = -64

Atoms = list[tuple[Fraction, Fraction]]
"""Masses (p, q) of the common views, one entry for each likelihood ratio, by rising p / q."""


@proved_by("T5")
def worst_case_after(advantage: Any, draws: int) -> Fraction:
    """
    Largest advantage after n independent draws, given that of one draw: `1 - (1 - a)^n`, exactly (T5).

    It is attained by some channel for every a, and rises with a: at an upper confidence bound of the advantage it is an
    upper bound with the same confidence.

    Parameters
    ----------
    advantage : rational
        Of one draw, in [0, 1].
    draws : int
        At least 0.

    Returns
    -------
    Fraction

    Raises
    ------
    NumberError
        If an argument lies outside its range, or the exact value has more than `MAX_BITS` bits.
    """
    a, n = _in_unit_interval(advantage, "an advantage"), _draws(draws)
    if n * (a.denominator.bit_length() - 1) > MAX_BITS:
        raise NumberError(f"the exact worst case after {n} draws has too many digits; use worst_case_above.")
    return 1 - (1 - a) ** n


@proved_by("T5")
def worst_case_above(advantage: Any, draws: int) -> float:
    """
    `worst_case_after`, rounded up to a float, for any number of draws.

    Parameters
    ----------
    advantage : rational
        Of one draw, in [0, 1].
    draws : int
        At least 0.

    Returns
    -------
    float
        At least the exact value, and above it by no more than one part in 2**50.

    Raises
    ------
    NumberError
        If an argument lies outside its range.
    """
    a, n = _in_unit_interval(advantage, "an advantage"), _draws(draws)
    # The value is at least a (or 0), so that an absolute error below a / 2**64 is a small relative one.
    bits = 64 + n.bit_length() + a.denominator.bit_length() - a.numerator.bit_length()
    return float_above(1 - _power(1 - a, n, bits, up=False)) if n and a else 0.0


@proved_by("T5")
def draws_needed(advantage: Any, target: Any) -> int | None:
    """
    Least number of independent draws that may have an advantage, given that of one draw (T5).

    With fewer draws no adversary has it, whatever the channel; with as many, some channel gives it away.

    Parameters
    ----------
    advantage : rational
        Of one draw, in [0, 1].
    target : rational
        The advantage aimed at, in [0, 1].

    Returns
    -------
    int or None
        The smallest n with `1 - (1 - a)^n >= target`; None if there is none. Logarithms only guess it; integer
        arithmetic settles it.

    Raises
    ------
    NumberError
        If an argument lies outside [0, 1].
    """
    a, t = _in_unit_interval(advantage, "an advantage"), _in_unit_interval(target, "a target")
    if t <= a:
        return int(t > 0)
    if a == 0 or t == 1:
        return None
    keep, rest = 1 - a, 1 - t
    # Digits enough for 1 - a to differ from 1 and for the quotient's integer part.
    context = Context(
        prec=40 + a.denominator.bit_length() - a.numerator.bit_length() + rest.denominator.bit_length() // 3
    )
    n = int(context.divide(_ln(rest, context), _ln(keep, context)))
    while not _power_at_most(keep, n, rest):
        n += 1
    while _power_at_most(keep, n - 1, rest):
        n -= 1
    return n


@dataclass(frozen=True)
class AdvantageAfter:
    """
    The advantage after n independent draws of two given distributions.

    Attributes
    ----------
    draws : int
    lower, upper : Fraction
        The value lies between them; they are equal where it was counted exactly.
    method : str
        How it was computed.
    """

    draws: int
    lower: Fraction
    upper: Fraction
    method: str

    @property
    def width(self) -> Fraction:
        """`upper - lower`."""
        return self.upper - self.lower

    def __str__(self) -> str:
        low, high = decimal_below(self.lower, 6), decimal_above(self.upper, 6)
        return f"after {self.draws} draws: between {low} and {high} ({self.method})"


@proved_by("T6")
def advantage_after(p: Sequence[Any], q: Sequence[Any], draws: int, *, width: Any = WIDTH) -> AdvantageAfter:
    """
    Total variation between the n-fold products of two distributions.

    Parameters
    ----------
    p, q : sequence of rational, shape (Z,)
        Probability mass functions of one draw in the two worlds, on one alphabet.
    draws : int
        At least 0 and at most `MAX_DRAWS`.
    width : rational
        Refine the lattice until the two values are at most this far apart. Where that takes more than 2**17 cells, the
        best pair of values is returned: compare its `width`.

    Returns
    -------
    AdvantageAfter
        Exact where counting is quick (a few thousand draws for two likelihood ratios, about a hundred for four), an
        enclosure elsewhere; see the module.

    Raises
    ------
    AlphabetError
        If p and q differ in length.
    NumberError
        If one is no probability mass function, or an argument lies outside its range.
    """
    n, goal = _draws(draws), to_fraction(width)
    if n > MAX_DRAWS:
        raise NumberError(f"{n} draws are too many; give at most {MAX_DRAWS}.")
    if goal <= 0:
        raise NumberError(f"the width {width} must be positive.")
    atoms = _common(_mass_function(p), _mass_function(q))
    return _counted(atoms, n, _MAX_WORK) or _enclosed(atoms, n, lambda lower, upper: upper - lower <= goal)


@proved_by("T6")
def channel_advantage_after(
    pair: CompositionPair, channel: Channel, game: str | Game, draws: int, *, width: Any = WIDTH
) -> AdvantageAfter:
    """
    Advantage of the best test against one channel after n independent draws.

    Parameters
    ----------
    pair : CompositionPair
    channel : Channel
        Over the same groups and labels.
    game : str or Game
    draws, width
        As in `advantage_after`.

    Returns
    -------
    AdvantageAfter

    Raises
    ------
    AlphabetError, NumberError
        As in `Game.views` and `advantage_after`.
    """
    return advantage_after(*get_game(game).views(pair, channel), draws, width=width)


@proved_by("T5", "T6")
def draws_needed_exactly(p: Sequence[Any], q: Sequence[Any], target: Any) -> int | None:
    """
    Least number of independent draws whose best test has an advantage, for two given distributions.

    The advantage does not fall with the number of draws, so bisection finds it; every step is decided by an exact value
    or by an enclosure that leaves the target out.

    Parameters
    ----------
    p, q : sequence of rational, shape (Z,)
        Probability mass functions of one draw in the two worlds, on one alphabet.
    target : rational
        In [0, 1].

    Returns
    -------
    int or None
        None if no number of draws is enough.

    Raises
    ------
    AlphabetError, NumberError
        As in `advantage_after`; also if more than `MAX_DRAWS` draws are needed, or the finest lattice does not tell on
        which side of the target some value lies.
    """
    atoms = _common(_mass_function(p), _mass_function(q))
    t = _in_unit_interval(target, "a target")
    # T5: with fewer draws than these, no two distributions with this advantage of one draw reach the target.
    high = draws_needed(1 - sum(map(min, atoms), Fraction(0)), t)
    if high is None:
        return None
    low = high - 1
    while not _reaches(atoms, high, t):
        if high == MAX_DRAWS:
            raise NumberError(f"more than {MAX_DRAWS} draws are needed for the advantage {float(t):g}.")
        low, high = high, min(2 * high, MAX_DRAWS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _reaches(atoms, middle, t) else (middle, high)
    return high


def _reaches(atoms: Atoms, n: int, target: Fraction) -> bool:
    """Whether the advantage after n draws is at least the target."""
    if n > MAX_DRAWS:
        raise NumberError(f"more than {MAX_DRAWS} draws are needed for the advantage {float(target):.6g}.")

    def settled(lower: Fraction, upper: Fraction) -> bool:
        return target <= lower or upper < target

    found = _counted(atoms, n, _LITTLE_WORK) or _enclosed(atoms, n, settled)
    if not settled(found.lower, found.upper):
        found = _counted(atoms, n, _MAX_WORK) or found
    if not settled(found.lower, found.upper):
        raise NumberError(
            f"the advantage {float(target):.6g} cannot be told from that after {n} draws, which lies in "
            f"[{decimal_below(found.lower)}, {decimal_above(found.upper, 10)}]; choose another target."
        )
    return target <= found.lower


def _counted(atoms: Atoms, n: int, work: int) -> AdvantageAfter | None:
    """The exact value, if counting the types of words takes at most so many machine words."""
    if n <= 1 or not atoms:
        value = 1 - sum(map(min, atoms), Fraction(0)) if n else Fraction(0)
        return AdvantageAfter(n, value, value, "exact")
    scale = math.lcm(*(mass.denominator for atom in atoms for mass in atom))
    if len(atoms) > 64 or n > work:
        return None
    types = math.comb(n + len(atoms) - 1, len(atoms) - 1)
    if types * (n * scale.bit_length() // 64 + 100) > work:
        return None
    weights = [(int(p * scale), int(q * scale)) for p, q in atoms]
    overlap = _overlap_of_two(weights, n) if len(atoms) == 2 else _overlap_by_types(weights, n)
    value = 1 - Fraction(overlap, scale**n)
    return AdvantageAfter(n, value, value, f"exact, by counting {types} types of words")


def _enclosed(atoms: Atoms, n: int, enough: Callable[[Fraction, Fraction], bool]) -> AdvantageAfter:
    """Values from below and above, refined until they are close enough or the finest lattice is used."""
    if len(atoms) == 1:
        lower, upper = (1 - _power(min(atoms[0]), n, 64 + n.bit_length(), up=up) for up in (True, False))
        return AdvantageAfter(n, max(Fraction(0), lower), upper, "a power, rounded both ways")
    if len(atoms) == 2:
        lower, upper = _from_binomials(atoms, n)
        return AdvantageAfter(n, max(Fraction(0), lower), upper, "two binomial distributions, rounded down")
    lower, upper, cells = Fraction(0), Fraction(1), _MIN_CELLS
    while True:
        lower = max(lower, _from_below(atoms, n, cells))
        upper = min(upper, _from_above(atoms, n, cells))
        if enough(lower, upper) or cells >= _MAX_CELLS:
            return AdvantageAfter(n, lower, upper, f"enclosed, on a lattice of {cells} losses")
        cells *= 4


def _common(p: Sequence[Fraction], q: Sequence[Fraction]) -> Atoms:
    """Views that both worlds show, merged where their likelihood ratios agree."""
    if len(p) != len(q):
        raise AlphabetError(f"the two distributions have {len(p)} and {len(q)} entries; give both over one alphabet.")
    merged: defaultdict[Fraction, list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])
    for a, b in zip(p, q, strict=True):
        if a and b:
            entry = merged[a / b]
            entry[0] += a
            entry[1] += b
    return [(a, b) for _, (a, b) in sorted(merged.items())]


def _overlap_of_two(weights: Sequence[tuple[int, int]], n: int) -> int:
    """Overlap of words over two views: a lower tail of one world's binomial, and an upper tail of the other's."""
    (p_low, q_low), (p_high, q_high) = weights
    # With k draws of the view that speaks for world 0, its product is the larger one from some k on.
    first = bisect_left(range(n + 1), True, key=lambda k: p_high**k * p_low ** (n - k) >= q_high**k * q_low ** (n - k))
    return _tail(p_low, p_high, n, first) + _tail(q_high, q_low, n, n + 1 - first)


def _tail(x: int, y: int, n: int, terms: int) -> int:
    """First terms of the binomial sum of `(x + y)^n`, from `x^n` on."""
    total, term = 0, x**n
    for k in range(terms):
        total += term
        term = term * ((n - k) * y) // ((k + 1) * x)
    return total


def _overlap_by_types(weights: Sequence[tuple[int, int]], n: int) -> int:
    """Overlap of words, by the number of times that each view occurs."""
    powers = [tuple(list(accumulate(repeat(x, n), operator.mul, initial=1)) for x in pair) for pair in weights]

    def extend(view: int, left: int, p: int, q: int) -> int:
        p_power, q_power = powers[view]
        if view == len(powers) - 1:
            return min(p * p_power[left], q * q_power[left])
        total = 0
        for k in range(left + 1):
            ways = math.comb(left, k)
            total += extend(view + 1, left - k, ways * p * p_power[k], ways * q * q_power[k])
        return total

    return extend(0, n, 1, 1)


@dataclass(frozen=True)
class _Cells:
    """Masses on consecutive lattice points, in units of 2**-62 and with sum at most 2**62."""

    first: int
    mass: NDArray[np.uint64]

    @classmethod
    def of(cls, masses: Iterable[tuple[int, int]]) -> _Cells:
        """From (lattice point, mass) entries."""
        entries = [(point, mass) for point, mass in masses if mass]
        if not entries:
            return cls(0, np.zeros(0, np.uint64))
        first = min(point for point, _ in entries)
        cells = np.zeros(max(point for point, _ in entries) - first + 1, np.uint64)
        for point, mass in entries:
            cells[point - first] += np.uint64(mass)
        return cls(first, cells)

    def __mul__(self, other: _Cells) -> _Cells:
        """Convolve, rounding every mass down."""
        mass = _product(self.mass, other.mass)
        held = np.flatnonzero(mass)
        if not len(held):
            return _Cells(0, mass[:0])
        return _Cells(self.first + other.first + int(held[0]), mass[held[0] : held[-1] + 1])

    def coarser(self, down: int, up: int) -> _Cells:
        """Double the step: mass at odd points moves to its two neighbours in these shares (units of 2**-62)."""
        start = self.first - self.first % 2
        size = len(self.mass) + self.first - start + 1
        fine = np.zeros(size + size % 2, np.uint64)
        fine[self.first - start : self.first - start + len(self.mass)] = self.mass
        cells = np.append(fine[0::2], np.uint64(0))
        cells[:-1] += _share(fine[1::2], down)
        cells[1:] += _share(fine[1::2], up)
        return _Cells(start // 2, cells)


def _product(x: NDArray[np.uint64], y: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """
    Product of two polynomials with coefficients in units of 2**-62, each coefficient rounded down.

    Coefficients are the digits, in base 2**128, of two integers. As each factor's coefficients add up to at most 2**62,
    those of the product stay below 2**125, and no digit carries.
    """
    if not len(x) or not len(y):
        return np.zeros(0, np.uint64)

    def packed(mass: NDArray[np.uint64]) -> fmpz:
        digits = np.zeros((len(mass), 2), "<u8")
        digits[:, 0] = mass
        return fmpz(int.from_bytes(digits.tobytes(), "little"))

    size = len(x) + len(y) - 1
    factor = packed(x)
    product = int(factor * (factor if y is x else packed(y))).to_bytes(16 * size, "little")
    digits = np.frombuffer(product, "<u8").reshape(size, 2).astype(np.uint64)
    low, high = digits[:, 0], digits[:, 1]
    return (high << np.uint64(64 - _BITS)) | (low >> np.uint64(_BITS))


def _share(mass: NDArray[np.uint64], share: int) -> NDArray[np.uint64]:
    """Masses times a share in units of 2**-62, rounded down by at most three units."""
    half, low_bits = np.uint64(32), np.uint64(2**32 - 1)
    high, low = mass >> half, mass & low_bits
    share_high, share_low = np.uint64(share >> 32), np.uint64(share) & low_bits
    rest = np.uint64(_BITS - 32)
    shared: NDArray[np.uint64] = (
        (high * share_high << np.uint64(64 - _BITS)) + (high * share_low >> rest) + (low * share_high >> rest)
    )
    return shared


def _power_on_lattice(
    base: Callable[[int], tuple[_Cells, ...]],
    shares: Callable[[int], tuple[int, int]],
    n: int,
    step: int,
    cells: float,
) -> tuple[tuple[_Cells, ...], int]:
    """
    Distributions of sums of n losses, on one lattice that gets coarser where more than `cells` points are in use.

    Parameters
    ----------
    base : callable
        From a step's exponent s (step 2**s) to the distributions of one loss on that lattice.
    shares : callable
        From a step's exponent to how mass at odd points is shared out when the step doubles.
    n : int
        At least 1.
    step : int
        First exponent.
    cells : int or infinity

    Returns
    -------
    sums : tuple of _Cells
    step : int
        Exponent of their lattice.
    """
    sums = base(step)
    for bit in f"{n:b}"[1:]:
        for squaring in (True, False)[: 1 + int(bit)]:
            sums = tuple(x * y for x, y in zip(sums, sums if squaring else base(step), strict=True))
            while max(len(x.mass) for x in sums) > cells:
                sums = tuple(x.coarser(*shares(step)) for x in sums)
                step += 1
    return sums, step


def _first_step(atoms: Atoms, cells: int) -> int:
    """Exponent of the smallest step of which the losses of one draw span at most a quarter of the cells."""
    with localcontext(_DECIMAL):
        span = _ln(atoms[-1][0] / atoms[-1][1], _DECIMAL) - _ln(atoms[0][0] / atoms[0][1], _DECIMAL)
        step = _SMALLEST_STEP
        while span > cells // 4 * Decimal(2) ** step:
            step += 1
    return step


def _lattice_point(atom: tuple[Fraction, Fraction], step: int) -> tuple[int, Decimal]:
    """The lattice point below a loss, and how far the loss lies above it; within a context of enough digits."""
    size = Decimal(2) ** step
    loss = _ln(atom[0] / atom[1], _DECIMAL)
    point = math.floor(loss / size)
    return point, loss - point * size


def _units(share: Decimal) -> int:
    """A share in units of 2**-62, rounded down by one unit more than its floor: this covers the decimals' rounding."""
    return max(0, min(_UNIT, math.floor(share * _UNIT)) - 1)


def _from_above(atoms: Atoms, n: int, cells: int) -> Fraction:
    """The advantage of split words: at least the true one."""

    def base(step: int) -> tuple[_Cells, ...]:
        entries = []
        for atom in atoms:
            point, excess = _lattice_point(atom, step)
            # Between points of ratios r and r e^h, the share of a view of ratio r e^x that goes to the upper one.
            up = (excess.exp() - 1) / ((Decimal(2) ** step).exp() - 1)
            for share, at in ((1 - up, point), (up, point + 1)):
                entries.append((at, atom[1].numerator * _units(share) // atom[1].denominator))
        return (_Cells.of(entries),)

    def shares(step: int) -> tuple[int, int]:
        up = 1 / (1 + (Decimal(2) ** step).exp())
        return _units(1 - up), _units(up)

    with localcontext(_DECIMAL):
        (sums,), step = _power_on_lattice(base, shares, n, _first_step(atoms, cells), cells)
        ratio = _units((-(Decimal(2) ** step)).exp())
    # World 1 has the smaller mass at losses s >= 0; below, world 0 has, e^s times as much.
    end = sums.first + len(sums.mass)
    zero = min(max(0, -sums.first), len(sums.mass))
    overlap = int(sums.mass[zero:].sum()) * _UNIT
    weight = math.floor(_power(Fraction(ratio, _UNIT), 1 + max(0, -end), _BITS, up=False) * _UNIT)
    for mass in reversed(sums.mass[:zero].tolist()):
        overlap += mass * weight
        weight = weight * ratio >> _BITS
    return 1 - Fraction(overlap, _UNIT**2)


def _from_below(atoms: Atoms, n: int, cells: int) -> Fraction:
    """The advantage of a test: at most the best test's."""

    def base(step: int) -> tuple[_Cells, ...]:
        entries: tuple[list[tuple[int, int]], ...] = ([], [])
        for atom in atoms:
            point, excess = _lattice_point(atom, step)
            # Both worlds use one coin, whose exact bias does not matter.
            up = max(0, min(_UNIT, math.floor(excess / Decimal(2) ** step * _UNIT)))
            for mass, of_world in zip(atom, entries, strict=True):
                for share, at in ((_UNIT - up, point), (up, point + 1)):
                    of_world.append((at, mass.numerator * share // mass.denominator))
        return tuple(_Cells.of(of_world) for of_world in entries)

    def shares(step: int) -> tuple[int, int]:
        return _UNIT // 2, _UNIT // 2

    with localcontext(_DECIMAL):
        (p, q), _ = _power_on_lattice(base, shares, n, _first_step(atoms, cells), cells)
    return _best_threshold(atoms, n, p, q)


def _from_binomials(atoms: Atoms, n: int) -> tuple[Fraction, Fraction]:
    """The value from below and above for two likelihood ratios, by how often the larger one occurs."""

    def base(_step: int) -> tuple[_Cells, ...]:
        return tuple(
            _Cells.of((k, mass.numerator * _UNIT // mass.denominator) for k, mass in enumerate(masses))
            for masses in zip(*atoms, strict=True)
        )

    (p, q), _ = _power_on_lattice(base, lambda step: (0, 0), n, 0, math.inf)
    first, end = max(p.first, q.first), min(p.first + len(p.mass), q.first + len(q.mass))
    shared = [x.mass[max(0, first - x.first) : max(0, end - x.first)] for x in (p, q)]
    return _best_threshold(atoms, n, p, q), 1 - Fraction(int(np.minimum(*shared).sum()), _UNIT)


def _best_threshold(atoms: Atoms, n: int, p: _Cells, q: _Cells) -> Fraction:
    """
    The best advantage of a test "world 0 at and above a threshold", from below.

    Parameters
    ----------
    atoms : Atoms
    n : int
    p, q : _Cells
        The statistic's distribution over words of common views in the two worlds, rounded down.
    """
    # Said rightly: the mass of world 0 at and above the threshold, and that of world 1 below it.
    first, end = min(p.first, q.first), max(p.first + len(p.mass), q.first + len(q.mass))
    gain = np.zeros(end - first, np.int64)
    gain[q.first - first :][: len(q.mass)] += q.mass.astype(np.int64)
    gain[p.first - first :][: len(p.mass)] -= p.mass.astype(np.int64)
    right = int(p.mass.sum()) + max(0, int(gain.cumsum().max(initial=0)))
    # All other words of common views count as errors; words with another view settle the question.
    bits = 64 + n.bit_length()
    total = [_power(sum(masses, Fraction(0)), n, bits, up=True) for masses in zip(*atoms, strict=True)]
    return 1 - sum(total, Fraction(0)) + Fraction(right, _UNIT)


def _power(base: Fraction, exponent: int, bits: int, *, up: bool) -> Fraction:
    """Power of a number in [0, 1], rounded up or down: off by at most `2 * exponent` units of 2**-bits."""
    one = 1 << bits

    def rounded(numerator: int, denominator: int) -> int:
        return -(-numerator // denominator) if up else numerator // denominator

    result, square = one, rounded(base.numerator * one, base.denominator)
    while exponent:
        if exponent & 1:
            result = rounded(result * square, one)
        square = rounded(square * square, one)
        exponent >>= 1
    return Fraction(result, one)


def _power_at_most(base: Fraction, exponent: int, limit: Fraction) -> bool:
    """Whether `base**exponent <= limit`, exactly, for numbers in (0, 1)."""
    bits = 64 + exponent.bit_length() + limit.denominator.bit_length() - limit.numerator.bit_length()
    # In lowest terms the two agree only if their denominators do; otherwise some precision tells them apart.
    if exponent * (base.denominator.bit_length() - 1) <= limit.denominator.bit_length():
        return base**exponent <= limit
    while True:
        if _power(base, exponent, bits, up=True) <= limit:
            return True
        if _power(base, exponent, bits, up=False) > limit:
            return False
        bits *= 2


def _ln(value: Fraction, context: Context) -> Decimal:
    """Natural logarithm of a positive number."""
    return context.ln(context.divide(Decimal(value.numerator), Decimal(value.denominator)))


def _in_unit_interval(value: Any, name: str) -> Fraction:
    number = to_fraction(value)
    if not 0 <= number <= 1:
        raise NumberError(f"{name} of {str(value)[:40]} lies outside [0, 1].")
    return number


def _draws(draws: Any) -> int:
    try:
        n = operator.index(draws)
    except TypeError:
        raise NumberError(f"{str(draws)[:40]!r} is no number of draws; give an integer.") from None
    if n < 0:
        raise NumberError(f"{n} draws are impossible; give at least 0.")
    return n


def _mass_function(values: Sequence[Any]) -> tuple[Fraction, ...]:
    masses = tuple(to_fraction(value) for value in values)
    if any(mass < 0 for mass in masses) or sum(masses) != 1:
        raise NumberError(f"the masses {', '.join(map(str, masses))[:80]} are no probability mass function.")
    return masses
