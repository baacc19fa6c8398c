"""T10, dual leg: both parts found by an exact linear programme, certified, and not to be had for less."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from fairbound.bounds import check
from fairbound.bounds.information import (
    InformationProof,
    Names,
    NotShannonProvableError,
    elementals,
    prove_information_inequality,
)
from fairbound.proofs.failure import ProofFailure, require

TRUSTED_BASE = "Python fractions and the certificate checker (standard library)"
COUPLED = "I(X,Z;Y,Z) - I(X;Y)"
"""(i): what a component Z that both sides hold adds."""
EXCESS = {"H(Z|X,Y)": 1, "I(X;Z|Y)": 1, "I(Y;Z|X)": 1}
PROCESSED = "I(X;Y) - I(F;G)"
"""(ii): what is lost by taking F and G, functions of X and Y, so that both conditions are 0."""
CONDITIONS = ("H(F|X)", "H(G|Y)")
TINY = Fraction(1, 10**12)


def proved(expression: str) -> InformationProof:
    """Prove an expression, and check its certificate."""
    proof = prove_information_inequality(expression)
    check.check(dict(proof.certificate().data))
    return proof


def refused(expression: str) -> bool:
    """Whether an expression is no combination, as a polymatroid shows that satisfies all elemental inequalities."""
    try:
        prove_information_inequality(expression)
    except NotShannonProvableError as error:
        h = error.polymatroid
        for elemental in elementals(error.expression.variables):
            require(_at(elemental.coefficients(), h) >= 0, f"the counterexample to {expression} violates {elemental}")
        return _at(error.expression.coefficients, h) < 0
    return False


def _at(coefficients: Mapping[Names, Fraction], h: Mapping[Names, Fraction]) -> Fraction:
    return sum((c * h[names] for names, c in coefficients.items()), Fraction(0))


def run() -> str:
    """
    Prove both parts, and that less is not enough.

    Returns
    -------
    str

    Raises
    ------
    ProofFailure
        Naming the step that does not hold.
    """
    try:
        terms = {str(elemental): weight for weight, elemental in proved(COUPLED).terms}
        proved(" + ".join((PROCESSED, *CONDITIONS)))
    except NotShannonProvableError as error:
        raise ProofFailure(str(error)) from None
    require(terms == EXCESS, f"the excess of a coupled component is {terms}, not {EXCESS}")
    for elemental in map(str, elementals("XYZ")):
        less = f"{COUPLED} - {TINY} {elemental}"
        require(refused(less) == (elemental not in EXCESS), f"{elemental} and the excess: {less}")
    for condition in CONDITIONS:
        require(refused(f"{PROCESSED} + {condition}"), f"(ii) needs nothing but {condition}")
    return (
        f"{COUPLED} = {' + '.join(EXCESS)} >= 0 and {PROCESSED} >= 0 for functions F, G are combinations of elemental "
        "inequalities, with checked certificates; (i) contains no other elemental inequality, (ii) needs both functions"
    )
