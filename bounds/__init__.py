"""The mathematics: compositions, disparities, exact values, certificates and confidence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Loaded on first use, so that checking a certificate imports the standard library alone.
_HOMES = {
    "Bound": "exact",
    "Certificate": "certificate",
    "Certification": "certify",
    "Channel": "channel",
    "Composition": "composition",
    "CompositionPair": "composition",
    "Counts": "counts",
    "Disparities": "channel",
    "FairboundError": "errors",
    "Game": "games",
    "TransportPlan": "transport",
    "Witness": "exact",
    "accuracy_gap": "games",
    "certify_counts": "certify",
    "Knowledge": "knowledge",
    "NoiseFloor": "noise",
    "constant_classifier_counterexample": "exact",
    "get_game": "games",
    "noise_floor": "noise",
    "paper_bound": "exact",
    "transport_bound": "exact",
    "witness": "exact",
    "worst_case_advantage": "exact",
    "worst_case_by_lp": "worst_case",
    "worst_case_given": "knowledge",
}

if TYPE_CHECKING:
    from fairbound.bounds.certificate import Certificate as Certificate
    from fairbound.bounds.certify import Certification as Certification
    from fairbound.bounds.certify import certify_counts as certify_counts
    from fairbound.bounds.channel import Channel as Channel
    from fairbound.bounds.channel import Disparities as Disparities
    from fairbound.bounds.composition import Composition as Composition
    from fairbound.bounds.composition import CompositionPair as CompositionPair
    from fairbound.bounds.counts import Counts as Counts
    from fairbound.bounds.errors import FairboundError as FairboundError
    from fairbound.bounds.exact import Bound as Bound
    from fairbound.bounds.exact import Witness as Witness
    from fairbound.bounds.exact import (
        constant_classifier_counterexample as constant_classifier_counterexample,
    )
    from fairbound.bounds.exact import paper_bound as paper_bound
    from fairbound.bounds.exact import transport_bound as transport_bound
    from fairbound.bounds.exact import witness as witness
    from fairbound.bounds.exact import worst_case_advantage as worst_case_advantage
    from fairbound.bounds.games import Game as Game
    from fairbound.bounds.games import accuracy_gap as accuracy_gap
    from fairbound.bounds.games import get_game as get_game
    from fairbound.bounds.knowledge import Knowledge as Knowledge
    from fairbound.bounds.knowledge import worst_case_given as worst_case_given
    from fairbound.bounds.noise import NoiseFloor as NoiseFloor
    from fairbound.bounds.noise import noise_floor as noise_floor
    from fairbound.bounds.transport import TransportPlan as TransportPlan
    from fairbound.bounds.worst_case import worst_case_by_lp as worst_case_by_lp

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
