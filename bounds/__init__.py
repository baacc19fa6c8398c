"""The mathematics: compositions, disparities, exact values, certificates and confidence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Loaded on first use, so that checking a certificate imports the standard library alone.
_HOMES = {
    "AdvantageAfter": "queries",
    "AdvantageLimits": "sequential",
    "Alarm": "sequential",
    "Bound": "exact",
    "Certificate": "certificate",
    "Certification": "certify",
    "Channel": "channel",
    "Composition": "composition",
    "CompositionPair": "composition",
    "Counts": "counts",
    "Design": "planning",
    "Disparities": "channel",
    "FairboundError": "errors",
    "Game": "games",
    "Information": "information",
    "InformationProof": "information",
    "TransportPlan": "transport",
    "Witness": "exact",
    "PairedCounts": "two_models",
    "RowPlan": "planning",
    "ScoreBins": "games",
    "ScoreCertification": "scores",
    "ScoreCounts": "scores",
    "TwoModelCertification": "two_models",
    "accuracy_gap": "games",
    "certify_counts": "certify",
    "certify_paired_counts": "two_models",
    "certify_score_counts": "scores",
    "Knowledge": "knowledge",
    "Monitor": "sequential",
    "MonitorPlan": "sequential",
    "NoiseFloor": "noise",
    "advantage_after": "queries",
    "channel_advantage_after": "queries",
    "betting_sequence": "sequential",
    "confidence_sequence": "sequential",
    "constant_classifier_counterexample": "exact",
    "difference_sequence": "sequential",
    "draws_needed": "queries",
    "draws_needed_exactly": "queries",
    "get_game": "games",
    "noise_floor": "noise",
    "paper_bound": "exact",
    "prove_information_inequality": "information",
    "rows_needed": "planning",
    "transport_bound": "exact",
    "witness": "exact",
    "worst_case_above": "queries",
    "worst_case_advantage": "exact",
    "worst_case_after": "queries",
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
    from fairbound.bounds.games import ScoreBins as ScoreBins
    from fairbound.bounds.games import accuracy_gap as accuracy_gap
    from fairbound.bounds.games import get_game as get_game
    from fairbound.bounds.information import Information as Information
    from fairbound.bounds.information import InformationProof as InformationProof
    from fairbound.bounds.information import prove_information_inequality as prove_information_inequality
    from fairbound.bounds.knowledge import Knowledge as Knowledge
    from fairbound.bounds.knowledge import worst_case_given as worst_case_given
    from fairbound.bounds.noise import NoiseFloor as NoiseFloor
    from fairbound.bounds.noise import noise_floor as noise_floor
    from fairbound.bounds.planning import Design as Design
    from fairbound.bounds.planning import RowPlan as RowPlan
    from fairbound.bounds.planning import rows_needed as rows_needed
    from fairbound.bounds.queries import AdvantageAfter as AdvantageAfter
    from fairbound.bounds.queries import advantage_after as advantage_after
    from fairbound.bounds.queries import channel_advantage_after as channel_advantage_after
    from fairbound.bounds.queries import draws_needed as draws_needed
    from fairbound.bounds.queries import draws_needed_exactly as draws_needed_exactly
    from fairbound.bounds.queries import worst_case_above as worst_case_above
    from fairbound.bounds.queries import worst_case_after as worst_case_after
    from fairbound.bounds.scores import ScoreCertification as ScoreCertification
    from fairbound.bounds.scores import ScoreCounts as ScoreCounts
    from fairbound.bounds.scores import certify_score_counts as certify_score_counts
    from fairbound.bounds.sequential import AdvantageLimits as AdvantageLimits
    from fairbound.bounds.sequential import Alarm as Alarm
    from fairbound.bounds.sequential import Monitor as Monitor
    from fairbound.bounds.sequential import MonitorPlan as MonitorPlan
    from fairbound.bounds.sequential import betting_sequence as betting_sequence
    from fairbound.bounds.sequential import confidence_sequence as confidence_sequence
    from fairbound.bounds.sequential import difference_sequence as difference_sequence
    from fairbound.bounds.transport import TransportPlan as TransportPlan
    from fairbound.bounds.two_models import PairedCounts as PairedCounts
    from fairbound.bounds.two_models import TwoModelCertification as TwoModelCertification
    from fairbound.bounds.two_models import certify_paired_counts as certify_paired_counts
    from fairbound.bounds.worst_case import worst_case_by_lp as worst_case_by_lp

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
