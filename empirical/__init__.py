"""Real data, base models, fair fine-tuning and the biased distribution protocol.

Public names are loaded on first use, so importing this package is cheap: torch, scikit-learn and pandas are
imported by the names that need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairbound.empirical.data import Dataset, list_datasets, load_dataset
    from fairbound.empirical.encoding import TabularEncoder
    from fairbound.empirical.fair_fine_tuning import FairFineTuner
    from fairbound.empirical.models import MLP, TabularClassifier
    from fairbound.empirical.protocol import ProtocolConfig, ProtocolResult, run_protocol
    from fairbound.empirical.runs import run_many

_HOMES = {
    "Dataset": "data",
    "FairFineTuner": "fair_fine_tuning",
    "MLP": "models",
    "ProtocolConfig": "protocol",
    "ProtocolResult": "protocol",
    "TabularClassifier": "models",
    "TabularEncoder": "encoding",
    "list_datasets": "data",
    "load_dataset": "data",
    "run_many": "runs",
    "run_protocol": "protocol",
}

__all__ = [
    "MLP",
    "Dataset",
    "FairFineTuner",
    "ProtocolConfig",
    "ProtocolResult",
    "TabularClassifier",
    "TabularEncoder",
    "list_datasets",
    "load_dataset",
    "run_many",
    "run_protocol",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
