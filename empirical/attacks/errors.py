"""The error of this package."""

from __future__ import annotations

from fairbound.bounds.errors import FairboundError


class AttackInputError(FairboundError):
    """Queries, predictions, parameters or settings of an attack do not fit together."""
