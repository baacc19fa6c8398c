"""
T10: information identities as rational combinations of elemental inequalities, compared coefficient by coefficient.

Entropies are vectors over the non-empty sets of variables. That the elemental quantities are non-negative is derived
from `log t <= t - 1`, with the polynomial part checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import combinations, product

from sympy import QQ, ring

from fairbound.proofs.failure import require

TRUSTED_BASE = "sympy's polynomial arithmetic over the rationals, exact fractions, and log t <= t - 1"

Names = frozenset[str]
Vector = dict[Names, Fraction]
"""Coefficients of joint entropies."""

IDENTITY: Mapping[str, Fraction] = {"H(Z|XY)": Fraction(1), "I(X;Z|Y)": Fraction(1), "I(Y;Z|X)": Fraction(1)}
"""The combination that the excess of a coupled component is."""
PROCESSING: Mapping[str, Fraction] = {"I(X;Y|FG)": Fraction(1), "I(X;G|F)": Fraction(1), "I(Y;F|G)": Fraction(1)}
"""The combination that the loss by processing both sides is."""


def entropy(names: Iterable[str], scale: int = 1) -> Vector:
    """`scale * H(names)`."""
    chosen = frozenset(names)
    return {chosen: Fraction(scale)} if chosen else {}


def add(*vectors: Vector) -> Vector:
    """Sum of vectors, without zeros."""
    total: Vector = {}
    for vector in vectors:
        for key, value in vector.items():
            total[key] = total.get(key, Fraction(0)) + value
    return {key: value for key, value in total.items() if value}


def mutual(first: str, second: str, given: str = "") -> Vector:
    """`I(first ; second | given) = H(first given) + H(second given) - H(first second given) - H(given)`."""
    return add(entropy(first + given), entropy(second + given), entropy(first + second + given, -1), entropy(given, -1))


def elementals(names: str) -> dict[str, Vector]:
    """
    The elemental inequalities of the variables (R. Yeung, 1997): each vector is non-negative for every distribution.

    `H(v | all others)`, and `I(v ; w | S)` for two variables and a set of others.
    """
    found = {}
    for v in names:
        others = "".join(n for n in names if n != v)
        found[f"H({v}|{others})"] = add(entropy(names), entropy(others, -1))
    for v, w in combinations(names, 2):
        rest = [n for n in names if n not in (v, w)]
        for size in range(len(rest) + 1):
            for given in combinations(rest, size):
                condition = "".join(given)
                found[f"I({v};{w}|{condition})" if condition else f"I({v};{w})"] = mutual(v, w, condition)
    return found


def run() -> str:
    """Check both identities, and what they rest on."""
    coupled_component()
    processing()
    for shape in ((2, 2, 2), (2, 3, 2), (3, 2, 2)):
        elementals_nonnegative(*shape)
    return (
        "I(X,Z;Y,Z) - I(X;Y) is the sum of the elemental H(Z|X,Y), I(X;Z|Y), I(Y;Z|X), coefficient by coefficient; "
        "I(X;Y) - I(f(X);g(Y)) is a sum of three conditional informations once f(X), g(Y) are functions; a conditional "
        "information is non-negative by log t <= t - 1 (2 x 2 x 2 to 3 x 2 x 2 outcomes)"
    )


def combination(parts: Mapping[str, Fraction], known: Mapping[str, Vector]) -> Vector:
    """A non-negative combination of known vectors."""
    for name, weight in parts.items():
        require(name in known, f"{name} is no elemental inequality")
        require(weight >= 0, f"{name} has a negative weight")
    return add(*({key: weight * value for key, value in known[name].items()} for name, weight in parts.items()))


def coupled_component() -> None:
    """(i): what a component Z that both sides hold adds to their information."""
    # The pair ((X,Z), (Y,Z)) carries X, Y, Z: its joint entropy is H(X,Y,Z).
    together = add(entropy("XZ"), entropy("YZ"), entropy("XYZ", -1))
    excess = add(together, {key: -value for key, value in mutual("X", "Y").items()})
    claimed = combination(IDENTITY, elementals("XYZ"))
    require(excess == claimed, f"the excess is {_show(excess)}, the combination {_show(claimed)}")


def processing() -> None:
    """(ii): F = f(X) and G = g(Y) have no more information about each other than X and Y."""

    def without_functions(vector: Vector) -> Vector:
        # H(F, X, ...) = H(X, ...) for a function F of X, and likewise for G.
        def reduced(names: Names) -> Names:
            known = {"F" for _ in names & {"X"}} | {"G" for _ in names & {"Y"}}
            return names - known

        return add(*({reduced(key): value} for key, value in vector.items()))

    loss = add(mutual("X", "Y"), {key: -value for key, value in mutual("F", "G").items()})
    claimed = without_functions(combination(PROCESSING, elementals("XYFG")))
    require(loss == claimed, f"the loss is {_show(loss)}, the combination {_show(claimed)}")


def elementals_nonnegative(first: int, second: int, given: int) -> None:
    """
    `I(A;B|C) >= 0`: with t = p(a,c) p(b,c) / (p(a,b,c) p(c)), `-log t >= 1 - t`, and `sum p(a,b,c) (1 - t) >= 0`.

    That sum is `1 - sum p(a,c) p(b,c) / p(c)` over the support, at least the same over everything, which is 0; here as
    a polynomial identity for each c. The other elementals, `H(A|B) = I(A;A|B)`, are averages of `-log p(a|b) >= 0`.
    """
    keys = list(product(range(first), range(second), range(given)))
    _, *symbols = ring([f"p{a}{b}{c}" for a, b, c in keys], QQ)
    p = dict(zip(keys, symbols, strict=True))
    for c in range(given):
        rows = [sum(p[a, b, c] for b in range(second)) for a in range(first)]
        columns = [sum(p[a, b, c] for a in range(first)) for b in range(second)]
        mass = sum(p[a, b, c] for a in range(first) for b in range(second))
        spread = sum(x * y for x, y in product(rows, columns))
        require(spread == mass * mass, "the product of the marginals has another mass")


def _show(vector: Vector) -> str:
    return " ".join(
        f"{'+' if value > 0 else ''}{value} H({''.join(sorted(key))})" for key, value in sorted(vector.items(), key=str)
    )
