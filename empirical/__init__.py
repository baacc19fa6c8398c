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
    from fairbound.empirical.models import MLP, NetworkClassifier, TabularClassifier
    from fairbound.empirical.plan import ProtocolConfig
    from fairbound.empirical.protocol import ProtocolResult, run_protocol
    from fairbound.empirical.runs import run_many
    from fairbound.empirical.sweep import Sweep, SweepResult, read_sweep, run_sweep
    from fairbound.empirical.text import SentenceFeatures, TextClassifier
    from fairbound.empirical.vision import ImageClassifier, MobileNetFeatures

_HOMES = {
    "Dataset": "data",
    "FairFineTuner": "fair_fine_tuning",
    "ImageClassifier": "vision",
    "MLP": "models",
    "MobileNetFeatures": "vision",
    "NetworkClassifier": "models",
    "ProtocolConfig": "plan",
    "ProtocolResult": "protocol",
    "SentenceFeatures": "text",
    "Sweep": "sweep",
    "SweepResult": "sweep",
    "TabularClassifier": "models",
    "TabularEncoder": "encoding",
    "TextClassifier": "text",
    "list_datasets": "data",
    "load_dataset": "data",
    "read_sweep": "sweep",
    "run_many": "runs",
    "run_protocol": "protocol",
    "run_sweep": "sweep",
}

__all__ = [
    "MLP",
    "Dataset",
    "FairFineTuner",
    "ImageClassifier",
    "MobileNetFeatures",
    "NetworkClassifier",
    "ProtocolConfig",
    "ProtocolResult",
    "SentenceFeatures",
    "Sweep",
    "SweepResult",
    "TabularClassifier",
    "TabularEncoder",
    "TextClassifier",
    "list_datasets",
    "load_dataset",
    "read_sweep",
    "run_many",
    "run_protocol",
    "run_sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
