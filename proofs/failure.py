"""How a leg says that it failed."""

from __future__ import annotations


class ProofFailure(Exception):
    """A leg of a proof does not hold; the message says which step."""


def require(condition: object, step: str) -> None:
    """
    Check one step of a leg.

    Raises
    ------
    ProofFailure
        If the condition is false.
    """
    if not condition:
        raise ProofFailure(step)
