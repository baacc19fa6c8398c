"""
fairbound: certified bounds on distribution inference from measured fairness.

The public names load on first use; importing the package costs next to nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Certificate": "fairbound.bounds",
    "Certification": "fairbound.bounds",
    "Channel": "fairbound.bounds",
    "Composition": "fairbound.bounds",
    "CompositionPair": "fairbound.bounds",
    "Counts": "fairbound.bounds",
    "FairboundError": "fairbound.bounds",
    "certify": "fairbound.api",
    "certify_counts": "fairbound.bounds",
    "certify_frame": "fairbound.api",
    "certify_log": "fairbound.api",
    "certify_scores": "fairbound.scores",
    "certify_two_models": "fairbound.two_models",
    "count_file": "fairbound.ingest",
    "count_files": "fairbound.ingest",
    "count_frame": "fairbound.ingest",
    "write_counts": "fairbound.ingest",
}

if TYPE_CHECKING:
    from fairbound.api import certify as certify
    from fairbound.api import certify_frame as certify_frame
    from fairbound.api import certify_log as certify_log
    from fairbound.bounds import Certificate as Certificate
    from fairbound.bounds import Certification as Certification
    from fairbound.bounds import Channel as Channel
    from fairbound.bounds import Composition as Composition
    from fairbound.bounds import CompositionPair as CompositionPair
    from fairbound.bounds import Counts as Counts
    from fairbound.bounds import FairboundError as FairboundError
    from fairbound.bounds import certify_counts as certify_counts
    from fairbound.ingest import count_file as count_file
    from fairbound.ingest import count_files as count_files
    from fairbound.ingest import count_frame as count_frame
    from fairbound.ingest import write_counts as write_counts
    from fairbound.scores import certify_scores as certify_scores
    from fairbound.two_models import certify_two_models as certify_two_models

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
