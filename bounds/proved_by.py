"""Tie a function that returns a bound to the claims that it rests on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

REGISTRY: dict[str, tuple[str, ...]] = {}
"""From a function's qualified name to the ids of its claims."""


def proved_by(*claims: str) -> Callable[[_Function], _Function]:
    """
    Name the claims of the ledger (`fairbound.proofs`) that a function's result rests on.

    Parameters
    ----------
    *claims : str
        Ids such as ``"T1"``. A test fails if one is not in the ledger, or if its statement is no longer the one whose
        proof was accepted.
    """

    def mark(function: _Function) -> _Function:
        REGISTRY[f"{function.__module__}.{function.__qualname__}"] = claims
        function.__dict__["__claims__"] = claims
        return function

    return mark
