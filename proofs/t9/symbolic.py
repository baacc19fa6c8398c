"""
T9, step by step.

Limits that hold for every n, the union bound, and the vertices at which total variation and T1's value are largest.
For the joint methods: domination of the deviances, their radii, convexity, and the tangents of the dual.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, pairwise, product
from math import comb, prod
from typing import Any

import sympy
from sympy import QQ, ring

from fairbound.bounds.confidence import lower_limits
from fairbound.proofs.failure import require
from fairbound.proofs.t1.cells import Cell, Poly, moved_mass, sign_patterns
from fairbound.proofs.t1.symbolic import worst_case

TRUSTED_BASE = (
    "sympy's polynomial arithmetic over the rationals, and its derivatives and integrals for the joint methods; exact "
    "binomial sums for the limits that are compared"
)


def pure_value(common: Sequence[Poly], delta: Sequence[Poly]) -> Poly:
    """T1's value for two pure worlds, from `min(p_0(y), p_1(y))`."""
    return 1 - sum(c * (1 - x) for c, x in zip(common, delta, strict=True))


def vertices(low_p: Sequence[Poly], low_q: Sequence[Poly], rest_p: Poly, rest_q: Poly) -> tuple[list[Poly], list[Poly]]:
    """Two pmfs at the largest distance, for outcomes in falling order of the differences of the limits."""
    return [low_p[0] + rest_p, *low_p[1:]], [*low_q[:-1], low_q[-1] + rest_q]


def chernoff_point(terms: Any, t: Any) -> Any:
    """Where Chernoff's bound on a sum of `terms` deviances is smallest."""
    return 1 - terms / t


def gamma_tail(terms: int, t: Any) -> Any:
    """Probability that a sum of independent standard exponential variables exceeds t."""
    return sympy.exp(-t) * sum(t**i / sympy.factorial(i) for i in range(terms))


def tangent_bound(ratio: Any, value: Any, x: Any, gains: Any, loses: Any) -> Any:
    """Upper bound on `ratio u - D(u)`, from D and the positive parts of `ratio - D'` and `D' - ratio` at x."""
    return ratio * x - value + gains * (1 - x) + loses * x


def run() -> str:
    """Derive every step."""
    for trials in range(1, 9):
        tail_grows(trials)
    limits = sum(coverage(trials, Fraction(1, one_in)) for trials in range(1, 13) for one_in in (10, 40))
    for events in range(2, 6):
        union_bound(events)
    for outcomes in (2, 3, 4):
        largest_distance(outcomes)
    for labels in (2, 3):
        pure_worlds(labels)
        concave(labels)
        balanced(labels)
    for trials in range(1, 9):
        domination(trials)
    radii()
    convexity()
    tangents()
    return (
        f"binomial tails grow with p (n <= 8), and {limits} limits of fairbound (n <= 12, two levels) miss with "
        "probability at most alpha at every p; the union bound (2 to 5 events); over pmfs with lower limits no event "
        "separates more than the vertices that fairbound takes (2 to 4 outcomes); T1 for pure worlds is "
        "1 - sum min(p, q) (1 - delta), at most its value at a pair of vertices, and the balanced value is linear "
        "(2 and 3 labels); a binomial's tail at its own count is at most u with probability at most u (n <= 8, all p), "
        "so deviances have E exp(s D) <= 1 / (1 - s); the Gamma tail (up to 6 terms) and Chernoff's bound at its "
        "optimum; -ln of a binomial tail is convex, relative entropy jointly; tangents bound the conjugates"
    )


def tail_grows(trials: int) -> None:
    """`d/dp P(X >= k) = k C(n, k) p^(k-1) (1-p)^(n-k) >= 0`."""
    _, p = ring(["p"], QQ)
    cell = Cell([p, 1 - p])
    for k in range(1, trials + 1):
        tail = sum(comb(trials, j) * p**j * (1 - p) ** (trials - j) for j in range(k, trials + 1))
        slope = [(k * comb(trials, k), *[p] * (k - 1), *[1 - p] * (trials - k))]
        cell.nonnegative(tail.diff(p), slope, "a binomial tail does not grow")


def coverage(trials: int, alpha: Fraction) -> int:
    """
    The library's limits miss with probability at most alpha, at every p; returns their number.

    The limits do not fall with the count. So for p just below the limit of k, p lies below the limits of exactly the
    counts >= k: the chance of that grows with p up to the limit, where it must be at most alpha.
    """
    limits = lower_limits(list(range(trials + 1)), [trials] * (trials + 1), alpha)
    require(limits[0] == 0 and all(x < y for x, y in pairwise(limits)), "the limits do not grow")
    for k, limit in enumerate(limits[1:], start=1):
        tail = sum(
            (comb(trials, j) * limit**j * (1 - limit) ** (trials - j) for j in range(k, trials + 1)), Fraction(0)
        )
        require(tail <= alpha, f"the limit for {k} of {trials} misses with probability {float(tail)}")
    return trials


def union_bound(events: int) -> None:
    """`1[no failure] >= 1 - sum 1[failure]`, whose expectation is the union bound."""
    _, *failed = ring([f"b{i}" for i in range(events)], QQ)
    cell = Cell([*failed, *(1 - b for b in failed)])
    terms = [(failed[i], failed[j], *(1 - b for b in failed[:j])) for i in range(events) for j in range(i)]
    none = prod((1 - b for b in failed), start=1 + 0 * failed[0])
    cell.nonnegative(none - 1 + sum(failed), terms, "the union bound fails")


def largest_distance(outcomes: int) -> None:
    """
    No event separates two pmfs with given lower limits by more than the total variation of two vertices.

    Outcomes are named in falling order of the limits' differences, so the vertices put all that is left of the first
    pmf on outcome 0 and of the second on the last one, as `fairbound.bounds.confidence.largest_distance` does.
    """
    every = range(outcomes)
    names = [f"{name}{z}" for name in ("low", "fall", "x", "y", "excess") for z in every]
    _, *symbols = ring(names, QQ)
    low_q, falls, x, y, positive = (symbols[i * outcomes : (i + 1) * outcomes] for i in range(5))
    # Differences e_0 >= e_1 >= ...: the last is free, the others are that plus falls.
    last = falls[-1]
    e = [last + sum(falls[z:-1]) for z in every]
    low_p = [q + gap for q, gap in zip(low_q, e, strict=True)]
    rest_p, rest_q = sum(x), sum(y)
    vertex_p, vertex_q = vertices(low_p, low_q, rest_p, rest_q)
    for low, rest, slack, vertex in ((low_p, rest_p, x, vertex_p), (low_q, rest_q, y, vertex_q)):
        # So each vertex is one of the pmfs in question, and the distance is attained.
        require(sum(vertex) == sum(low) + rest, "a vertex has another mass than a pmf")
        above = Cell(slack)
        for bound, mass in zip(low, vertex, strict=True):
            above.nonnegative(mass - bound, [(part,) for part in slack if mass != bound], "a vertex is below a limit")
    excess = [p - q for p, q in zip(vertex_p, vertex_q, strict=True)]
    # All that is used of a positive part: it is at least 0 and at least the quantity itself.
    cell = Cell([*falls[:-1], *x, *y, *positive, *(part - gap for part, gap in zip(positive, excess, strict=True))])
    value = sum(positive)
    for size in range(1, outcomes):
        for event in combinations(every, size):
            first = range(size)
            kept = cell.nonnegative(
                value - sum(excess[z] for z in first),
                [*((positive[z] - excess[z],) for z in first), *((positive[z],) for z in every if z >= size)],
                "positive parts",
            )
            # The first outcomes have the largest differences; each is some falls above the one it replaces.
            swaps = [(falls[k],) for i, z in zip(first, event, strict=True) for k in range(i, z) if k < outcomes - 1]
            separated = sum(low_p[z] + x[z] - low_q[z] - y[z] for z in event)
            terms = [(kept,), *swaps, *((x[z],) for z in every if z not in event), *((y[z],) for z in event)]
            cell.nonnegative(value - separated, terms, "an event separates more than the vertices")


def pure_worlds(labels: int) -> None:
    """T1's value for two pure worlds, from the definitions."""
    names = [f"{name}{y}" for name in ("p", "q", "delta") for y in range(labels)]
    _, *symbols = ring(names, QQ)
    p = [*symbols[: labels - 1], 1 - sum(symbols[: labels - 1])]
    q = [*symbols[labels : 2 * labels - 1], 1 - sum(symbols[labels : 2 * labels - 1])]
    delta = symbols[2 * labels :]
    for signs in sign_patterns([x - y for x, y in zip(p, q, strict=True)]):
        cell = Cell([*p, *q, *signs])
        moved = [moved_mass(cell, [x, -y]) for x, y in zip(p, q, strict=True)]
        common = [cell.smaller(x, y) for x, y in zip(p, q, strict=True)]
        require(moved == common, "the mass that moves is not the common mass")
        value = worst_case(cell.half_l1(x - y for x, y in zip(p, q, strict=True)), moved, delta)
        require(value == pure_value(common, delta), f"T1 for pure worlds is {value}")


def concave(labels: int) -> None:
    """
    The value at mixtures of vertices is at most the mixture of the values at the vertices, hence at most the largest.

    Each world's marginal is a mixture of its vertices (the lower limits with all that is left on one label); `best` is
    the value at the best pair of vertices.
    """
    every = range(labels)
    names = [f"{name}{y}" for name in ("a", "b", "x", "y", "delta") for y in every]
    pairs = list(product(every, repeat=2))
    _, best, *symbols = ring(["best", *names, *(f"m{i}{j}{z}" for i, j in pairs for z in every)], QQ)
    low_p, low_q, x, y, delta = (symbols[i * labels : (i + 1) * labels] for i in range(5))
    minima = {key: symbols[5 * labels + n] for n, key in enumerate(product(every, repeat=3))}
    # Everything is scaled by rest_p * rest_q, so that the mixing weights x_i / rest_p need no division.
    rest_p, rest_q = sum(x), sum(y)
    for i in every:
        mixed = sum(x[k] * (low_p[i] + (rest_p if k == i else 0)) for k in every)
        require(mixed == rest_p * (low_p[i] + x[i]), "a pmf above its limits is not that mixture of vertices")
    weights = [1 - d for d in delta]
    hypotheses = [*x, *y, *delta, *weights]
    for (i, j), z in product(pairs, every):
        at_p = low_p[z] + (rest_p if z == i else 0)
        at_q = low_q[z] + (rest_q if z == j else 0)
        hypotheses += [at_p - minima[i, j, z], at_q - minima[i, j, z]]
    at_vertices = {(i, j): pure_value([minima[i, j, z] for z in every], delta) for i, j in pairs}
    hypotheses += [best - value for value in at_vertices.values()]
    for chosen in product((0, 1), repeat=labels):
        # chosen[z] says which of p(z), q(z) is the smaller, so this is every possible minimum.
        cell = Cell(hypotheses)
        common = [(low_p[z] + x[z], low_q[z] + y[z])[chosen[z]] for z in every]
        terms: list[tuple[Poly, ...]] = [(x[i], y[j], best - at_vertices[i, j]) for i, j in pairs]
        for (i, j), z in product(pairs, every):
            at = (low_p[z] + (rest_p if z == i else 0), low_q[z] + (rest_q if z == j else 0))[chosen[z]]
            terms.append((x[i], y[j], weights[z], at - minima[i, j, z]))
        cell.nonnegative(rest_p * rest_q * (best - pure_value(common, delta)), terms, "a mixture beats the vertices")


def balanced(labels: int) -> None:
    """`sum_y p(y) delta_y` over averaged marginals above their limits is at most that with the rest on the largest."""
    every = range(labels)
    _, largest, *symbols = ring(["largest", *(f"{n}{y}" for n in ("low", "x", "delta") for y in every)], QQ)
    low, x, delta = (symbols[i * labels : (i + 1) * labels] for i in range(3))
    cell = Cell([*x, *(largest - d for d in delta)])
    value = sum((low[y] + x[y]) * delta[y] for y in every)
    limit = sum(low[y] * delta[y] for y in every) + sum(x) * largest
    cell.nonnegative(limit - value, [(x[y], largest - delta[y]) for y in every], "balanced value")


def domination(trials: int) -> None:
    """
    `P(F(X) <= u) <= u` for the distribution function F of a binomial X, at every p.

    The values F(0) <= F(1) <= ... are the only ones, so `F(X) <= u` says `X <= j` for the last j with `F(j) <= u`, and
    its probability is F(j).
    """
    _, p = ring(["p"], QQ)
    cell = Cell([p, 1 - p])
    below = [0 * p]
    for j in range(trials + 1):
        mass = comb(trials, j) * p**j * (1 - p) ** (trials - j)
        below.append(below[-1] + mass)
        factors = (comb(trials, j), *[p] * j, *[1 - p] * (trials - j))
        cell.nonnegative(below[-1] - below[-2], [factors], "a distribution function falls")
    require(below[-1] == 1, "the masses of a binomial do not add up to 1")


def radii() -> None:
    """The tail of a Gamma variable, the moment generating function under domination, and Chernoff's bound."""
    t, s, x, terms = sympy.symbols("t s x C", positive=True)
    require(gamma_tail(1, t) == sympy.exp(-t), "the tail of one exponential variable")
    for number in range(1, 6):
        # One more variable: it exceeds t alone, or leaves t - x to the others.
        more = sympy.exp(-t) + sympy.integrate(sympy.expand(sympy.exp(-x) * gamma_tail(number, t - x)), (x, 0, t))
        require(sympy.simplify(more - gamma_tail(number + 1, t)) == 0, f"the tail of {number + 1} variables")
    # E exp(s D) = 1 + the integral of s exp(s x) P(D > x), and P(D > x) <= exp(-x); r = 1 - s > 0.
    r = sympy.symbols("r", positive=True)
    moment = 1 + (1 - r) * sympy.integrate(sympy.exp(-r * x), (x, 0, sympy.oo))
    require(sympy.simplify(moment - 1 / r) == 0, "the moment generating function")
    exponent = -s * t - terms * sympy.log(1 - s)
    best = chernoff_point(terms, t)
    require(sympy.simplify(sympy.diff(exponent, s).subs(s, best)) == 0, "Chernoff's bound is not smallest there")
    require(sympy.simplify(sympy.diff(exponent, s, 2) * (1 - s) ** 2 - terms) == 0, "Chernoff's exponent is not convex")
    value = terms - t + terms * sympy.log(t / terms)
    require(sympy.simplify(exponent.subs(s, best) - value) == 0, "Chernoff's bound has another value")


def convexity() -> None:
    """Minus the second derivative of a Beta density's logarithm, and the Hessian of the relative entropy."""
    x, v, k, m = sympy.symbols("x v k m", positive=True)
    curvature = sympy.diff(k * sympy.log(x) + m * sympy.log(1 - x), x, 2)
    require(sympy.simplify(curvature + k / x**2 + m / (1 - x) ** 2) == 0, "a Beta density is not log-concave")
    tail_slope = sympy.diff(x**k * (1 - x) ** m, x)
    require(sympy.simplify(tail_slope - x**k * (1 - x) ** m * (k / x - m / (1 - x))) == 0, "slope of a Beta density")
    entropy = v * sympy.log(v / x) + (1 - v) * sympy.log((1 - v) / (1 - x))
    hessian = sympy.hessian(entropy, (v, x))
    require(sympy.simplify(hessian[0, 0] * v * (1 - v) - 1) == 0, "relative entropy is not convex in the share")
    square = hessian.det() * v * (1 - v) * x**2 * (1 - x) ** 2 - (v - x) ** 2
    require(sympy.simplify(square) == 0, "relative entropy is not jointly convex")
    # The tangent plane at (v, x) has the height ln((1 - v) / (1 - x)) at share 0 and rate x.
    height = entropy - v * sympy.diff(entropy, v)
    require(sympy.simplify(height - sympy.log((1 - v) / (1 - x))) == 0, "height of the tangent plane")


def tangents() -> None:
    """`ratio u - D(u) <= ratio x - D(x) + (ratio - D'(x))^+ (1 - x) + (D'(x) - ratio)^+ x` for rates u."""
    _, ratio, slope, value, u, x, slack, step = ring("ratio slope value u x slack step", QQ)
    deviance = value + slope * (u - x) + slack
    gap = {1: ratio - slope, -1: slope - ratio}
    for sign, part in gap.items():
        cell = Cell([u, 1 - u, x, 1 - x, slack, part])
        bound = tangent_bound(ratio, value, x, part if sign > 0 else 0 * x, part if sign < 0 else 0 * x)
        inside = 1 - u if sign > 0 else u
        cell.nonnegative(bound - (ratio * u - deviance), [(slack,), (part, inside)], "a tangent does not bound")
    # Chords bound a convex function between two upper bounds, and slope 1 beyond the last.
    cell = Cell([u, 1 - u, slack, step, value])
    chord = (1 - u) * x + u * ratio
    convex = (1 - u) * (x - slack) + u * (ratio - step) - value
    cell.nonnegative(chord - convex, [(1 - u, slack), (u, step), (value,)], "a chord does not bound")
