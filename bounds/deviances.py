"""
Finite samples, jointly: how far the advantage can be raised within a total of deviances (T9 (ii), (iii)).

Every rate pays a convex price, its *deviance*, for leaving what the log shows; the prices of all of them together stay
below a *radius* with the stated confidence. The bound is the largest advantage that the radius buys. Weak duality makes
any multiplier an upper bound that falls apart into labels, and any tangent of a deviance a bound on each part. Floating
point only proposes multiplier and tangents; `fairbound.bounds.check` evaluates them in rational arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, betaincinv, betaln, gammainccinv, lambertw

from fairbound.bounds import check
from fairbound.bounds.counts import Counts
from fairbound.bounds.proved_by import proved_by

Floats = NDArray[np.float64]
Method = Literal["fisher", "relative-entropy"]
# Deviances at which a label marginal is tried in the search for a multiplier.
_MARGINAL_DEVIANCES = (0.02, 0.15, 0.4, 0.8, 1.3, 2.0, 3.0, 4.5)
_MOST_KNOTS = 24
_NEWTON_STEPS = 5
# Shares of 0 and 1 are touched this far inside: closer, the checker's grid does not hold the tangent, which is then no
# better than the trivial bound; the price of the distance is its product with the ratio.
_SHARE_MARGIN = 1e-7


@dataclass(frozen=True)
class Knot:
    """
    A ratio r at which the price function of a label is bounded, and the tangents that do it.

    Attributes
    ----------
    ratio : Fraction
    points : list
        As `fairbound.bounds.check.label_price` reads them.
    value : Fraction
        Upper bound on b(r).
    """

    ratio: Fraction
    points: list[Any]
    value: Fraction


@proved_by("T9")
def radius(terms: int, alpha: Fraction, *, exact: bool) -> Fraction:
    """
    Smallest radius (rounded up) that the total deviance exceeds with probability at most alpha.

    Parameters
    ----------
    terms : int
        Number C of deviances, each dominated by a standard exponential variable (a multinomial's relative entropy
        counts as its number of categories less one).
    alpha : Fraction
    exact : bool
        Independent one-sided deviances: the Gamma(C) quantile (R. Fisher's combination of p-values). Otherwise the root
        of `exp(-t) (e t / C)^C = alpha` (R. Agrawal, 2020), which needs no more than a bound on the moment generating
        function.
    """
    if terms == 0:
        return Fraction(0)
    level = float(alpha)
    holds = check.gamma_radius_holds if exact else check.chernoff_radius_holds
    if exact:
        value = float(gammainccinv(terms, level))
    else:
        # t / C - ln(t / C) = 1 - ln(alpha) / C; the larger root.
        value = float(-terms * lambertw(-np.exp(-1 + np.log(level) / terms), -1).real)
    step = Fraction(1, 10**9)
    result = Fraction(int(value * 10**9), 10**9)
    while not holds(result, terms, alpha):
        result += step
        step *= 2
    return result


@dataclass(frozen=True)
class DevianceLimits:
    """
    A radius for the deviances of all rates together, and what it says about single disparities.

    Attributes
    ----------
    method : {"fisher", "relative-entropy"}
    confidence : Fraction
        Level of the bound.
    share : Fraction
        Part of the error spent on separate Clopper-Pearson limits of the label marginals; 0 where there are none.
    terms : int
        Deviances, as `radius` counts them.
    radius, disparity_radius : Fraction
        For the advantage, and for one disparity.
    label_marginals : tuple, shape (G, K), or None
        Lower limits, where a share is spent on them.
    knots : tuple of list of Knot
        Price function of each label, over all pairs of groups.
    multipliers : tuple of Fraction, shape (K,)
        Prove the upper limits of the disparities.
    """

    method: Method
    confidence: Fraction
    share: Fraction
    terms: int
    radius: Fraction
    disparity_radius: Fraction
    label_marginals: tuple[tuple[Fraction, ...], ...] | None
    knots: tuple[list[Knot], ...]
    multipliers: tuple[Fraction, ...]

    def __str__(self) -> str:
        kind = "relative entropies" if self.method == "relative-entropy" else "binomial tails (Fisher)"
        return f"limits by the sum of {self.terms} {kind}"


class Prices:
    """
    The price functions `b_y(r)` of all labels, in floating point.

    Parameters
    ----------
    counts : Counts
    candidates : list of (int, int)
        Pairs of groups whose distance counts.
    by_event : bool
        Whether all events are tried, as for `fairbound.bounds.check.label_price`.
    tails : bool
        Deviances: the binomial tail's -ln P(X <= k) where events are tried, or the relative entropy's.
    """

    def __init__(self, counts: Counts, candidates: list[tuple[int, int]], *, by_event: bool, tails: bool) -> None:
        table = np.array(counts.table, dtype=float)
        self.cells = table.transpose(1, 0, 2)
        self.n_labels, self.n_groups, self.n_outputs = self.cells.shape
        self.candidates = candidates
        self.tails = tails
        self.sizes = self.cells.sum(axis=2)
        self.first = np.array([a for a, _ in candidates])
        self.second = np.array([b for _, b in candidates])
        self.vacuous = ((self.sizes[:, self.first] == 0) | (self.sizes[:, self.second] == 0)).any(axis=1)
        self.by_event = by_event
        if self.by_event:
            events = np.arange(1, 2**self.n_outputs - 1)
            inside = (events[None, :] >> np.arange(self.n_outputs)[:, None] & 1).astype(float)
            self.successes = self.cells @ inside

    def __call__(self, ratios: Floats) -> tuple[Floats, Any]:
        """
        Evaluate every label at its own ratios.

        Parameters
        ----------
        ratios : ndarray, shape (K, R)
            Positive.

        Returns
        -------
        values : ndarray, shape (K, R)
        touches : ndarray
            Where the tangents touch: shape (K, R, G, E), or (K, R, P, 4) with many outputs.
        """
        if self.by_event:
            best, x = self._best_event(ratios)
        else:
            x = np.zeros((self.n_labels, ratios.shape[1], len(self.candidates), 4))
            best = np.zeros_like(ratios)
            for column in range(ratios.shape[1]):
                x[:, column], best[:, column] = self._relaxed(ratios[:, column])
        return np.asarray(np.where(self.vacuous[:, None], ratios, np.clip(best, 0, ratios))), x

    def _best_pairs(self, value: Floats) -> Floats:
        """Largest sum of two groups' values for an event and its complement; shape (K, R, G, E) to (K, R)."""
        other = value[..., ::-1]
        if len(self.candidates) == 1:
            ((a, b),) = self.candidates
            return np.asarray((value[:, :, a] + other[:, :, b]).max(axis=2))
        second, first = np.moveaxis(np.partition(value, -2, axis=2)[:, :, -2:], 2, 0)
        other_second, other_first = second[..., ::-1], first[..., ::-1]
        # Where one group is best on both sides, one side takes its second best.
        same = value.argmax(axis=2) == other.argmax(axis=2)
        apart = np.maximum(first + other_second, second + other_first)
        return np.asarray(np.where(same, apart, first + other_first).max(axis=2))

    def approximately(self, ratios: Floats) -> Floats:
        """
        Values between those of a table, for searches.

        Parameters
        ----------
        ratios : ndarray, shape (K, R)
            Positive.

        Returns
        -------
        ndarray, shape (K, R)
        """
        grid, shares = self._table
        # Beyond the table the slope is taken to be 1, the largest there is.
        inside = np.minimum(ratios, np.exp(grid[-1]))
        place = np.clip((np.log(inside) - grid[0]) / (grid[1] - grid[0]), 1, len(grid) - 2.000001)
        at = place.astype(int)
        w = place - at
        # Catmull and Rom's cubic through the four values around.
        a, b, c, d = (np.take_along_axis(shares, at + shift, 1) for shift in (-1, 0, 1, 2))
        share = b + w / 2 * (c - a + w * (2 * a - 5 * b + 4 * c - d + w * (3 * (b - c) + d - a)))
        return np.asarray(inside * np.where(self.vacuous[:, None], 1, np.clip(share, 0, 1)) + (ratios - inside))

    @cached_property
    def _table(self) -> tuple[Floats, Floats]:
        """
        Logarithms of ratios, and b(r) / r there, which rises slowly from the measured disparity to 1.

        Below 0 it is not cut off, for interpolation would smear the kink, and multipliers are sensitive to it.
        """
        filled = self.sizes[self.sizes > 0]
        low, high = (
            np.log(0.05 * np.sqrt(filled.min())),
            np.log(100 * np.sqrt(filled.max()) + 10 * min(filled.max(), 1e4)),
        )
        grid = np.linspace(low, high, int((high - low) / (0.2 if self.by_event else 0.3)) + 2)
        ratios = np.broadcast_to(np.exp(grid), (self.n_labels, len(grid)))
        if self.by_event:
            return grid, self._best_event(ratios)[0] / ratios
        values = np.stack([self._relaxed(column, finely=False)[1] for column in ratios.T], axis=1)
        return grid, values / ratios

    def _best_event(self, ratios: Floats) -> tuple[Floats, Floats]:
        """Few outputs: every event, not cut off at 0."""
        r = ratios[:, :, None, None]
        k, n = self.successes[:, None], self.sizes[:, None, :, None]
        x, deviance = touching(k, n, r, tails=self.tails)
        value = np.where(k >= n, r, r * x - deviance)
        return self._best_pairs(value) - ratios, x

    def _relaxed(self, ratios: Floats, *, finely: bool = True) -> tuple[Floats, Floats]:
        """Many outputs: the best randomised event lies on the Neyman-Pearson curve of the two measured rows."""
        n_a, n_b = np.maximum(self.sizes[:, self.first], 1), np.maximum(self.sizes[:, self.second], 1)
        p, q = self.cells[:, self.first] / n_a[:, :, None], self.cells[:, self.second] / n_b[:, :, None]
        order = np.argsort(-np.arctan2(p, q), axis=2)
        zero = np.zeros((*p.shape[:2], 1))
        u = np.concatenate([zero, np.cumsum(np.take_along_axis(p, order, 2), axis=2)], axis=2)
        v = 1 - np.concatenate([zero, np.cumsum(np.take_along_axis(q, order, 2), axis=2)], axis=2)
        r = ratios[:, None]

        def at(s: Floats) -> tuple[Floats, Floats]:
            low = np.minimum(s.astype(int), u.shape[2] - 2)
            part = s - low

            def along(curve: Floats) -> Floats:
                here = np.take_along_axis(curve, low, 2)
                beyond = np.take_along_axis(curve, low + 1, 2)
                return np.asarray(np.clip(here + part * (beyond - here), _SHARE_MARGIN, 1 - _SHARE_MARGIN))

            return along(u), along(v)

        def gain(s: Floats) -> Floats:
            share_a, share_b = at(s)
            total: Floats = np.zeros(1)
            for share, n in ((share_a, n_a), (share_b, n_b)):
                x, deviance = touching(share * n[:, :, None], n[:, :, None], r[:, :, None], tails=False)
                total = total + r[:, :, None] * x - deviance
            return total

        parts = 4 if finely else 1
        steps = np.linspace(0, u.shape[2] - 1, parts * (u.shape[2] - 1) + 1)
        tried = gain(np.broadcast_to(steps, (*p.shape[:2], len(steps))).copy())
        middle = steps[tried.argmax(axis=2)]
        low, high = np.maximum(middle - 1 / parts, 0), np.minimum(middle + 1 / parts, u.shape[2] - 1)
        golden = (5**0.5 - 1) / 2
        for _ in range(30 if finely else 5):
            left, right = high - golden * (high - low), low + golden * (high - low)
            value = gain(np.stack([left, right], axis=2))
            better = value[:, :, 0] > value[:, :, 1]
            high, low = np.where(better, right, high), np.where(better, low, left)
        middle = (low + high)[:, :, None] / 2
        best = gain(middle)[:, :, 0].max(axis=1) - ratios
        share_a, share_b = at(middle)
        x_a, _ = touching(share_a * n_a[:, :, None], n_a[:, :, None], r[:, :, None], tails=False)
        x_b, _ = touching(share_b * n_b[:, :, None], n_b[:, :, None], r[:, :, None], tails=False)
        return np.concatenate([share_a, x_a, share_b, x_b], axis=2), best

    def knots(self, wanted: list[Floats]) -> list[list[Knot]]:
        """
        Rigorous values of the price functions.

        Parameters
        ----------
        wanted : list of ndarray, length K
            Ratios at which each label's bound should be tight.

        Returns
        -------
        list of list of Knot
            Increasing ratios; between them the bound is a chord, beyond them of slope 1.
        """
        chosen = [_thinned(ratios) for ratios in wanted]
        width = max((len(ratios) for ratios in chosen), default=0)
        padded = np.ones((self.n_labels, max(width, 1)))
        for y, ratios in enumerate(chosen):
            padded[y, : len(ratios)] = [float(ratio) for ratio in ratios]
        _, touches = self(padded)
        cells = [[[int(k) for k in row] for row in plane] for plane in self.cells.astype(np.int64).tolist()]
        knots: list[list[Knot]] = []
        for y, ratios in enumerate(chosen):
            knots.append([])
            for j, ratio in enumerate(ratios):
                points = [[point_text(x) for x in row] for row in touches[y, j].tolist()]
                value = check.label_price(
                    ratio, cells[y], self.candidates, points, by_event=self.by_event, tails=self.tails
                )
                knots[y].append(Knot(ratio, points, value))
        return knots


def touching(k: Floats, n: Floats, ratio: Floats, *, tails: bool) -> tuple[Floats, Floats]:
    """
    Maximiser of `ratio x - D(x)` over rates, and D there.

    Parameters
    ----------
    k, n, ratio : ndarray
        Successes, trials and slope; broadcast.
    tails : bool
        See `Prices`.
    """
    k, n, ratio = np.broadcast_arrays(k, n, ratio)
    k, n = np.minimum(k, np.maximum(n, 1)), np.maximum(n, 1)
    root = np.sqrt((n - ratio) ** 2 + 4 * ratio * k)
    # The positive root of r x^2 + (n - r) x - k, free of cancellation.
    x = np.where(n > ratio, 2 * k / np.maximum(n - ratio + root, 1e-300), (ratio - n + root) / (2 * ratio))
    x = np.clip(x, 0, 1 - 1e-15)
    inner = (k > 0) & (k < n) & (n <= check.LARGEST_TAIL) if tails else np.zeros(k.shape, bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / n
        deviance = np.where(k > 0, k * np.log(share / np.maximum(x, 1e-300)), 0.0)
        deviance = deviance + np.where(k < n, (n - k) * np.log((1 - share) / (1 - x)), 0.0)
    deviance = np.maximum(deviance, 0)
    if inner.any():
        x, deviance = x.copy(), deviance.copy()
        x[inner], deviance[inner] = _tail_touching(k[inner], n[inner], ratio[inner], x[inner])
    return x, deviance


def _tail_touching(k: Floats, n: Floats, ratio: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Newton's method for `D'(x) = ratio`, in the logit of x and the logarithm of D'."""
    log_scale = -betaln(k + 1, n - k)
    logit = np.log(np.clip(x, 1e-15, None)) - np.log1p(-x)
    log_ratio = np.log(ratio)
    # The relative entropy's maximiser is at most about a standard error away.
    for _ in range(_NEWTON_STEPS):
        logit = np.clip(logit, -34, 34)
        x = 1 / (1 + np.exp(-logit))
        tail = np.maximum(betaincc(k + 1, n - k, x), 1e-300)
        log_slope = log_scale + k * np.log(x) + (n - k - 1) * np.log1p(-x) - np.log(tail)
        slope = np.exp(np.minimum(log_slope, 600))
        growth = k * (1 - x) - (n - k - 1) * x + slope * x * (1 - x)
        spread = 1 / np.sqrt(n * x * (1 - x))
        step = (log_ratio - log_slope) / np.maximum(growth, 1e-300)
        logit = logit + np.clip(step, -3 * spread, 3 * spread)
    x = np.clip(1 / (1 + np.exp(-logit)), 1e-15, 1 - 1e-15)
    return x, -np.log(np.maximum(betaincc(k + 1, n - k, x), 1e-300))


def point_text(x: float) -> str:
    """A rate as an exact text on the checker's grid."""
    grid = check.POINT_GRID
    return str(Fraction(min(max(round(x * grid), 0), grid - 1), grid))


def _thinned(ratios: Floats) -> list[Fraction]:
    """Distinct ratios of 12 digits in increasing order; a geometric grid where there are too many."""
    ratios = np.unique(ratios[ratios > 0])
    if len(ratios) > _MOST_KNOTS:
        ratios = np.geomspace(ratios[0], ratios[-1], _MOST_KNOTS)
    return sorted({short(float(ratio)) for ratio in ratios})


def short(value: float) -> Fraction:
    """A positive float as a fraction of 12 significant digits, not above it."""
    return Fraction(f"{value * (1 - 1e-11):.12g}")


@dataclass(frozen=True)
class WorldBound:
    """
    The bound for one pair of worlds.

    Attributes
    ----------
    upper : Fraction
        Rounded up to a multiple of 1e-12.
    multiplier : Fraction
        Of the radius.
    knots : tuple of list of Knot, or None
        The price functions of the pair's own two groups (T1b); None: those of all groups.
    spans : list of (int, int), or None
        Which of the knots each label uses, where label marginals pay deviances.
    marginal_points : list or None
        Tangents of the marginals' deviances, shape (K, 2, knots used).
    """

    upper: Fraction
    multiplier: Fraction
    knots: tuple[list[Knot], ...] | None = None
    spans: list[tuple[int, int]] | None = None
    marginal_points: list[Any] | None = None


@dataclass(frozen=True)
class World:
    """
    What the bound of one pair of worlds is made of.

    Attributes
    ----------
    groups : (int, int) or None
        Positions of two pure groups; None for a given pair.
    scenarios : list of (Fraction, list of Fraction), or None
        Label shift and moved masses, of which the worst counts; None: two pure groups whose marginals pay deviances.
    """

    groups: tuple[int, int] | None
    scenarios: list[tuple[Fraction, list[Fraction]]] | None


def marginal_share(method: Method, *, estimated: bool, label_balanced: bool) -> Fraction:
    """
    Part of the error spent on separate limits of the label marginals, fixed before any data are seen.

    The combined tails price the marginals too in the raw game of pure worlds; in the label-balanced game marginals
    matter little, and a tenth of the error is enough.
    """
    if not estimated or (method == "fisher" and not label_balanced):
        return Fraction(0)
    return check.LIMITS_SHARE if label_balanced else check.LIMITS_SHARE_RAW


def count_terms(
    method: Method, counts: Counts, *, moved: list[Fraction] | None, label_balanced: bool
) -> tuple[int, bool]:
    """
    Number of deviances, and whether their sum has the exact Gamma tail.

    Parameters
    ----------
    method : {"fisher", "relative-entropy"}
    counts : Counts
    moved : list of Fraction or None
        Moved masses of a given pair; None for pure worlds.
    label_balanced : bool

    Notes
    -----
    "fisher": for the true channel the pair of groups and the event that make up each label's disparity are fixed, and
    so are the directions in which they may err: two deviances a label. In the raw game of pure worlds one more a label,
    for the smaller label marginal. With two labels those two belong to different groups, so all are independent; with
    more, labels of one group are negatively associated, which Chernoff's bound allows for.
    """
    n_labels = len(counts.labels)
    if method == "relative-entropy":
        return (len(counts.outputs) - 1) * sum(n > 0 for plane in counts.cell_rows for n in plane), False
    if moved is not None:
        return 2 * sum(m > 0 for m in moved), True
    if label_balanced:
        return 2 * n_labels, True
    return 3 * n_labels, n_labels == 2


def marginal_scenarios(
    lower_0: Sequence[Fraction], lower_1: Sequence[Fraction], *, label_balanced: bool
) -> list[tuple[Fraction, list[Fraction]]]:
    """
    Label shift and moved masses of two pure worlds whose label marginals have given lower limits.

    In the raw game `1 - sum_y u_y (1 - delta_y)` falls with every smaller marginal u_y, so one scenario has them all at
    their limits. In the label-balanced game the value is linear in the averaged marginal, so it is largest where all
    that is left is on one label.

    Parameters
    ----------
    lower_0, lower_1 : sequence of Fraction, shape (K,)
    label_balanced : bool
    """
    if not label_balanced:
        smaller = [min(p, q) for p, q in zip(lower_0, lower_1, strict=True)]
        return [(1 - sum(smaller, Fraction(0)), smaller)]
    average = [(p + q) / 2 for p, q in zip(lower_0, lower_1, strict=True)]
    rest = 1 - sum(average, Fraction(0))
    return [(Fraction(0), [p + (rest if i == j else 0) for j, p in enumerate(average)]) for i in range(len(average))]


@proved_by("T1", "T1b", "T9")
def bound_worlds(
    counts: Counts,
    worlds: list[World],
    *,
    radius: Fraction,
    disparity_radius: Fraction,
    tails: bool,
    own_prices: bool,
) -> tuple[tuple[list[Knot], ...], list[Fraction], list[Fraction], list[WorldBound]]:
    """
    Bound the disparities and every pair of worlds within a radius.

    Parameters
    ----------
    counts : Counts
    worlds : list of World
    radius, disparity_radius : Fraction
        For the advantage, and for a single disparity.
    tails : bool
        See `Prices`.
    own_prices : bool
        Whether a pure pair pays its own two groups' distance (T1b) instead of the largest.

    Returns
    -------
    knots : tuple of list of Knot
        Price functions over all pairs of groups, one list for each label.
    multipliers, disparities : list of Fraction, length K
        For each label's disparity, and its upper limit.
    bounds : list of WorldBound
    """
    pairs, n_outputs = list(combinations(range(len(counts.groups)), 2)), len(counts.outputs)
    everyone = Prices(counts, pairs, by_event=check.tries_events(len(counts.groups), n_outputs), tails=tails)
    cell_rows = np.array(counts.cell_rows, dtype=float)
    group_rows = cell_rows.sum(axis=1)
    scale = _disparity_multipliers(everyone, float(disparity_radius))
    wanted: list[list[Floats]] = [[np.array([1 / s])] for s in scale]
    plans: list[list[tuple[Prices, Fraction, list[Floats]]]] = []
    for world in worlds:
        candidates = [everyone]
        if own_prices and world.groups is not None and everyone.n_groups > 2:
            two = counts.select(world.groups)
            own = Prices(
                two, [(0, 1)], by_event=check.tries_own_events(len(worlds), two.cell_rows, n_outputs), tails=tails
            )
            # The tails of all groups may do better than two groups' relative entropies; both bound the pair.
            candidates = [own, everyone] if tails and everyone.by_event and not own.by_event else [own]
        plans.append([])
        for prices in candidates:
            if world.scenarios is not None:
                multiplier, ratios = _search_fixed(prices, world.scenarios, float(radius), scale)
            else:
                assert world.groups is not None
                rows = cell_rows[list(world.groups)].T, group_rows[list(world.groups)]
                multiplier, ratios = _search_pure(prices, *rows, float(radius), scale)
            plans[-1].append((prices, multiplier, ratios))
            if prices is everyone:
                for y in range(everyone.n_labels):
                    wanted[y].append(ratios[y])
    knots = tuple(everyone.knots([np.concatenate(parts) for parts in wanted]))
    lines = [[(knot.ratio, knot.value) for knot in label] for label in knots]
    multipliers = [short(s) for s in scale]
    disparities = [
        min(Fraction(1), _grid_above(check.fixed_value(Fraction(0), [Fraction(1)], [line], s, disparity_radius)))
        for line, s in zip(lines, multipliers, strict=True)
    ]
    bounds = []
    for world, plan in zip(worlds, plans, strict=True):
        found = [
            _world_bound(
                counts,
                world,
                knots,
                None if prices is everyone else tuple(prices.knots(list(ratios))),
                multiplier,
                ratios,
                radius,
            )
            for prices, multiplier, ratios in plan
        ]
        bounds.append(min(found, key=lambda bound: bound.upper))
    return knots, multipliers, disparities, bounds


def _world_bound(
    counts: Counts,
    world: World,
    shared: tuple[list[Knot], ...],
    own: tuple[list[Knot], ...] | None,
    multiplier: Fraction,
    ratios: list[Floats],
    radius: Fraction,
) -> WorldBound:
    """The bound of one pair of worlds, by its own price functions or, where it has none, those of all groups."""
    used = [[(knot.ratio, knot.value) for knot in label] for label in (shared if own is None else own)]
    if world.scenarios is not None:
        value = max(check.fixed_value(base, m, used, multiplier, radius) for base, m in world.scenarios)
        return WorldBound(_grid_above(value), multiplier, own)
    assert world.groups is not None
    spans, points, value = [], [], 1 + multiplier * radius
    for y, line in enumerate(used):
        low, high = float(ratios[y].min(initial=np.inf)) * (1 - 1e-9), float(ratios[y].max(initial=0)) * (1 + 1e-9)
        inside = [j for j, knot in enumerate(line) if low <= knot[0] <= high]
        span = (inside[0], inside[-1] + 1) if inside else (0, len(line))
        sides = [(counts.cell_rows[g][y], counts.group_rows[g]) for g in world.groups]
        piece = line[slice(*span)]
        touches = _marginal_touches(piece, float(multiplier), sides)
        spans.append(span)
        points.append(touches)
        value += check.pure_value(piece, multiplier, sides, touches)
    return WorldBound(_grid_above(value), multiplier, own, spans, points)


def _grid_above(value: Fraction) -> Fraction:
    return Fraction(-(-value.numerator * check.GRID // value.denominator), check.GRID)


def _disparity_multipliers(prices: Prices, t: float) -> Floats:
    """Multiplier of each label's own disparity, by golden-section search for all labels at once."""
    smallest = np.maximum(prices.sizes.min(axis=1), 1)
    centre = np.log(0.5 / np.sqrt(smallest * max(t, 1e-3)))
    low, high = centre - 3.5, centre + 1.5

    def value(position: Floats) -> Floats:
        s = np.exp(position)
        return np.asarray(s * (t + prices.approximately((1 / s)[:, None])[:, 0]))

    return np.exp(_golden(value, low, high))


def _golden(value: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Elementwise minimiser of unimodal functions, to about 1e-3 of the range."""
    golden = (5**0.5 - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = value(left), value(right)
    for _ in range(15):
        lower = at_left < at_right
        high, low = np.where(lower, right, high), np.where(lower, low, left)
        left, right = (
            np.where(lower, high - golden * (high - low), right),
            np.where(lower, left, low + golden * (high - low)),
        )
        fresh = value(np.where(lower, left, right))
        at_left, at_right = np.where(lower, fresh, at_right), np.where(lower, at_left, fresh)
    return (low + high) / 2


def _minimiser(value: Callable[[float], float], guess: float) -> Fraction:
    """Multiplier with (nearly) the smallest bound; the bound is convex in it."""
    centre = np.log([guess])
    found = _golden(lambda position: np.array([value(float(np.exp(position[0])))]), centre - 6, centre + 6)
    return short(float(np.exp(found[0])))


def _search_fixed(
    prices: Prices, scenarios: list[tuple[Fraction, list[Fraction]]], t: float, scale: Floats
) -> tuple[Fraction, list[Floats]]:
    """Multiplier for the worst of several (base, moved masses), and the ratios at which prices should be tight."""
    base = np.array([float(b) for b, _ in scenarios])
    moved = np.array([[float(m) for m in masses] for _, masses in scenarios])
    # Scenarios differ in few masses: each label's price is evaluated at its distinct ones alone.
    distinct = [np.unique(column[column > 0]) for column in moved.T]
    width = max(map(len, distinct))
    if width == 0:
        return Fraction(1), [np.zeros(0) for _ in distinct]
    padded = np.ones((len(distinct), width))
    for y, masses in enumerate(distinct):
        padded[y, : len(masses)] = masses
    place = np.array([np.searchsorted(masses, column) for masses, column in zip(distinct, moved.T, strict=True)])
    rows = np.arange(len(distinct))[:, None]

    def value(s: float) -> float:
        parts = prices.approximately(padded / s)
        sums = np.where(moved.T > 0, parts[rows, np.minimum(place, width - 1)], 0).sum(axis=0)
        return float((base + s * (t + sums)).max())

    multiplier = _minimiser(value, float((moved.max(axis=0) * scale).max() * np.sqrt(2 / max(t, 1))))
    return multiplier, [masses / float(multiplier) for masses in distinct]


def _search_pure(
    prices: Prices, label_rows: Floats, group_rows: Floats, t: float, scale: Floats
) -> tuple[Fraction, list[Floats]]:
    """The same where the smaller of two label marginals pays deviances; label_rows has shape (K, 2)."""
    k, n = label_rows[:, :, None], np.broadcast_to(group_rows, label_rows.shape)[:, :, None]

    def masses_at(deviances: Floats) -> Floats:
        """Marginals below the counts' at which the deviance has given values, shape (K, 2, J), falling."""
        with np.errstate(invalid="ignore"):
            masses = betaincinv(np.maximum(k, 1), n - k + 1, np.exp(-deviances))
        return np.where(k > 0, masses, 0.0)

    def value_at(s: float, masses: Floats, deviances: Floats) -> Floats:
        """What each label contributes at each marginal, shape (K, 2, J)."""
        flat = np.maximum(masses.reshape(len(masses), -1), 1e-12)
        parts = prices.approximately(flat / s).reshape(masses.shape)
        return np.asarray(s * parts - masses - s * deviances)

    coarse = np.array([*_MARGINAL_DEVIANCES, t])
    coarse_masses = masses_at(coarse)

    def value(s: float) -> float:
        return float(1 + s * t + value_at(s, coarse_masses, coarse).max(axis=(1, 2)).sum())

    multiplier = _minimiser(value, float((coarse_masses.max(axis=(1, 2)) * scale).max() * np.sqrt(2 / max(t, 1))))
    # Knots around the largest contribution, and at both ends.
    fine = np.geomspace(_MARGINAL_DEVIANCES[0], t, 41)
    fine_masses = masses_at(fine)
    contribution = value_at(float(multiplier), fine_masses, fine)
    best = contribution.argmax(axis=2)
    knots = []
    for y in range(len(best)):
        top = contribution[y].max()
        chosen = {
            float(fine_masses[y, side, j])
            for side in (0, 1)
            if contribution[y, side].max() >= top - float(multiplier)
            for j in (0, *range(max(best[y, side] - 4, 0), min(best[y, side] + 5, 41), 4), 40)
        }
        knots.append(np.array(sorted(chosen - {0.0})) / float(multiplier))
    return multiplier, knots


def _marginal_touches(
    line: list[tuple[Fraction, Fraction]], multiplier: float, sides: list[tuple[int, int]]
) -> list[list[str]]:
    """Where the marginals' tangents should touch, for `fairbound.bounds.check.pure_value`."""
    ratios = np.array([float(r) for r, _ in line])
    values = np.array([float(b) for _, b in line])
    slope = np.diff(values, prepend=0) / np.diff(ratios, prepend=0)
    fall = np.clip(1 - slope, 1e-12, 1)
    touches = []
    for k, n in sides:
        x, _ = touching(np.full(len(fall), float(n - k)), np.full(len(fall), float(n)), fall / multiplier, tails=True)
        touches.append([point_text(value) for value in x])
    return touches
