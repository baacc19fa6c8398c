"""
Information inequalities: an exact combination of elemental Shannon inequalities, or values that violate it.

A linear expression in entropies is non-negative for all random variables if it is a combination, with non-negative
coefficients, of the elemental inequalities `H(V | all others) >= 0` and `I(V ; W | S) >= 0` (R. Yeung, 1997). For up to
three variables there are no other linear inequalities; from four on there are (Z. Zhang, R. Yeung, 1998).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from fairbound.bounds.certificate import Certificate
from fairbound.bounds.check import INFORMATION_SCHEMA, MAX_VARIABLES, is_variable
from fairbound.bounds.errors import FairboundError
from fairbound.bounds.exact_lp import Row, maximise

Names = frozenset[str]
"""A set of random variables."""

_LIST = r"\w+(?:,\w+)*"
_TERM = re.compile(
    rf"(?P<sign>[+-]?)(?:(?P<number>[0-9]{{1,20}}(?:/[1-9][0-9]{{0,19}})?)\*?)?"
    rf"(?:H\((?P<joint>{_LIST})|I\((?P<first>{_LIST});(?P<second>{_LIST}))(?:\|(?P<given>{_LIST}))?\)",
    re.ASCII,
)


class InformationError(FairboundError):
    """An information expression cannot be read, or has too many variables."""


class NotShannonProvableError(InformationError):
    """
    An expression is no combination of elemental inequalities.

    Parameters
    ----------
    expression : Information
    polymatroid : dict of frozenset of str to Fraction
        A value for every joint entropy that satisfies all elemental inequalities and makes the expression negative; the
        largest is 1.
    value : Fraction
        The expression at these values.
    """

    def __init__(self, expression: Information, polymatroid: Mapping[Names, Fraction], value: Fraction) -> None:
        self.expression = expression
        self.polymatroid = dict(polymatroid)
        self.value = value
        shown = ", ".join(f"{_entropy(names)} = {h}" for names, h in self.polymatroid.items())
        verdict = (
            "some random variables violate it"
            if len(expression.variables) <= 3
            else "if it holds for all random variables, it takes more than Shannon's inequalities"
        )
        super().__init__(f"{expression} >= 0 does not follow: it is {value} where {shown}; {verdict}.")


@dataclass(frozen=True)
class Elemental:
    """
    `I(first ; second | given)`, or `H(first | given)` if both are the same variable; given are then all others.

    Attributes
    ----------
    first, second : str
    given : frozenset of str
    """

    first: str
    second: str
    given: Names

    def coefficients(self) -> dict[Names, Fraction]:
        """Coefficients of the joint entropies."""
        return _mutual({self.first}, {self.second}, self.given)

    def __str__(self) -> str:
        given = f"|{','.join(sorted(self.given))}" if self.given else ""
        return f"H({self.first}{given})" if self.first == self.second else f"I({self.first};{self.second}{given})"


@dataclass(frozen=True)
class Information:
    """
    A linear expression in the joint entropies of random variables.

    Parameters
    ----------
    variables : tuple of str
    coefficients : mapping of frozenset of str to Fraction
        Of the joint entropies; sets that are not named have 0.

    Raises
    ------
    InformationError
        If there are no variables or more than `MAX_VARIABLES`, one has no name of letters, digits and underscores, or a
        set is empty or names others.
    """

    variables: tuple[str, ...]
    coefficients: Mapping[Names, Fraction]

    def __post_init__(self) -> None:
        if not 1 <= len(self.variables) <= MAX_VARIABLES or len(set(self.variables)) != len(self.variables):
            raise InformationError(
                f"an information expression has 1 to {MAX_VARIABLES} different variables, not {len(self.variables)}."
            )
        for name in self.variables:
            if not is_variable(name):
                raise InformationError(f"{name!r} is no name of at most 40 letters, digits and underscores.")
        for names in self.coefficients:
            if not names or not names <= set(self.variables):
                raise InformationError(f"{_entropy(names)} is no joint entropy of {', '.join(self.variables)}.")

    @classmethod
    def parse(cls, text: str) -> Information:
        """
        Read a sum such as ``"I(X,Z;Y,Z) - I(X;Y)"`` or ``"2 H(A|B) + 1/2 I(A;B|C,D)"``.

        Parameters
        ----------
        text : str
            Terms `H(A,...)`, `H(A,...|C,...)`, `I(A,...;B,...)`, `I(A,...;B,...|C,...)` with rational coefficients.

        Raises
        ------
        InformationError
            Naming what cannot be read.
        """
        rest = "".join(text.split())
        variables: Names = frozenset()
        coefficients: dict[Names, Fraction] = {}
        while rest or not variables:
            term = _TERM.match(rest)
            if term is None or (variables and not term["sign"]):
                raise InformationError(
                    f"cannot read {rest[:40]!r} in an information expression; write I(X,Z;Y,Z) - 2 H(X|Y), for example."
                )
            factor = Fraction(term["number"] or 1) * (-1 if term["sign"] == "-" else 1)
            first, second = (_names(term[part] or term["joint"]) for part in ("first", "second"))
            given = _names(term["given"])
            for names, value in _mutual(first, second, given).items():
                coefficients[names] = coefficients.get(names, Fraction(0)) + factor * value
            variables |= first | second | given
            rest = rest[term.end() :]
        return cls(tuple(sorted(variables)), coefficients)

    def __str__(self) -> str:
        terms = [
            f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{abs(c)} '}{_entropy(names)}"
            for names in subsets(self.variables)
            if (c := self.coefficients.get(names, Fraction(0)))
        ]
        return " ".join(terms).removeprefix("+ ") or "0"


@dataclass(frozen=True)
class InformationProof:
    """
    An expression as a non-negative combination of elemental inequalities, coefficient by coefficient.

    Attributes
    ----------
    expression : Information
    terms : tuple of (Fraction, Elemental)
        Positive weights.
    """

    expression: Information
    terms: tuple[tuple[Fraction, Elemental], ...]

    def certificate(self) -> Certificate:
        """Everything needed to check the inequality again, checked once already (`fairbound check`)."""
        known = self.expression
        return Certificate.seal(
            {
                "variables": list(known.variables),
                "expression": [
                    [str(known.coefficients[names]), sorted(names)]
                    for names in subsets(known.variables)
                    if known.coefficients.get(names)
                ],
                "terms": [[str(weight), e.first, e.second, sorted(e.given)] for weight, e in self.terms],
            },
            schema=INFORMATION_SCHEMA,
        )

    def __str__(self) -> str:
        terms = (f"{'' if weight == 1 else f'{weight} '}{elemental}" for weight, elemental in self.terms)
        return f"{self.expression} = {' + '.join(terms) or '0'} >= 0"


def subsets(variables: Iterable[str]) -> list[Names]:
    """All non-empty sets of variables, smaller ones first."""
    names = tuple(variables)
    return [frozenset(chosen) for size in range(1, len(names) + 1) for chosen in combinations(names, size)]


def elementals(variables: Iterable[str]) -> list[Elemental]:
    """
    The elemental inequalities of `n` variables: `n + n (n - 1) / 2 * 2^(n - 2)` of them.

    Every Shannon inequality is a combination of these, and none of these is one of the others (Yeung, 1997).
    """
    names = tuple(variables)
    found = [Elemental(v, v, frozenset(names) - {v}) for v in names]
    for v, w in combinations(names, 2):
        rest = [name for name in names if name not in (v, w)]
        found += [Elemental(v, w, given) for given in (frozenset(), *subsets(rest))]
    return found


def prove_information_inequality(expression: Information | str) -> InformationProof:
    """
    Prove `expression >= 0` for all random variables with finitely many values, from Shannon's inequalities.

    An exact linear programme asks for the least t with `expression + t H(all variables)` a combination of elemental
    inequalities. If it is 0 the combination is the proof; otherwise the programme's dual solution is a polymatroid that
    makes the expression -t.

    Parameters
    ----------
    expression : Information or str
        Text is read by `Information.parse`. To take variables as functions of others, or as independent, add these
        conditions with a multiplier: ``"I(X;Y) - I(F;G) + H(F|X) + H(G|Y)"``.

    Returns
    -------
    InformationProof

    Raises
    ------
    NotShannonProvableError
        If there is no such combination; it carries the polymatroid.
    InformationError
        If the expression cannot be read or has more than `MAX_VARIABLES` variables.
    """
    known = Information.parse(expression) if isinstance(expression, str) else expression
    known_elementals = elementals(known.variables)
    sets = subsets(known.variables)
    columns = [elemental.coefficients() for elemental in known_elementals]
    columns.append({sets[-1]: Fraction(-1)})
    rows = [
        Row(
            {j: column[names] for j, column in enumerate(columns) if names in column},
            "=",
            Fraction(known.coefficients.get(names, 0)),
        )
        for names in sets
    ]
    found = maximise([*[Fraction(0)] * len(known_elementals), Fraction(-1)], rows)
    if found.value < 0:
        raise NotShannonProvableError(known, dict(zip(sets, found.dual, strict=True)), found.value)
    terms = zip(found.x[:-1], known_elementals, strict=True)
    return InformationProof(known, tuple((weight, elemental) for weight, elemental in terms if weight))


def _names(text: str | None) -> Names:
    return frozenset(text.split(",")) if text else frozenset()


def _mutual(first: Iterable[str], second: Iterable[str], given: Names) -> dict[Names, Fraction]:
    """`I(first ; second | given)` in joint entropies; of a set with itself it is `H(first | given)`."""
    left, right = given.union(first), given.union(second)
    total: dict[Names, Fraction] = {}
    for names, value in ((left, 1), (right, 1), (left | right, -1), (given, -1)):
        if names:
            total[names] = total.get(names, Fraction(0)) + value
    return total


def _entropy(names: Names) -> str:
    return f"H({','.join(sorted(names))})"
