"""Distribution inference attacks: guess from a model's answers, or its weights, which world trained it.

All attacks but one work on prediction matrices (models x queries), so models of any framework can be attacked.
Public names are loaded on first use; importing this package needs NumPy and SciPy alone, `MetaClassifier` imports
scikit-learn when it is fitted, and `WhiteBoxMetaClassifier` torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairbound.empirical.attacks.audit import Audit, audit_one
    from fairbound.empirical.attacks.base import Attack, FittedAttack, LabelOnly
    from fairbound.empirical.attacks.draws import n_leaked, n_leaked_exactly
    from fairbound.empirical.attacks.errors import AttackInputError
    from fairbound.empirical.attacks.parameters import ModelParameters
    from fairbound.empirical.attacks.predictions import ModelOutputs, Queries, require_disjoint
    from fairbound.empirical.attacks.ratio import RatioEstimate, estimate_ratio
    from fairbound.empirical.attacks.registry import ATTACKS, get_attack
    from fairbound.empirical.attacks.run import AttackResult, NullCheck, null_check, run_attacks
    from fairbound.empirical.attacks.statistics import (
        Guesses,
        Interval,
        LowFalsePositives,
        advantage_interval,
        auc_interval,
        holm,
        joint_verdict,
        true_positives_at,
        verdict,
        victims_needed,
    )
    from fairbound.empirical.attacks.white_box import FittedWhiteBox, WhiteBoxMetaClassifier

_HOMES = {
    "ATTACKS": "registry",
    "Attack": "base",
    "AttackInputError": "errors",
    "AttackResult": "run",
    "Audit": "audit",
    "FittedAttack": "base",
    "FittedWhiteBox": "white_box",
    "Guesses": "statistics",
    "Interval": "statistics",
    "LabelOnly": "base",
    "LowFalsePositives": "statistics",
    "ModelOutputs": "predictions",
    "ModelParameters": "parameters",
    "NullCheck": "run",
    "Queries": "predictions",
    "RatioEstimate": "ratio",
    "WhiteBoxMetaClassifier": "white_box",
    "advantage_interval": "statistics",
    "auc_interval": "statistics",
    "audit_one": "audit",
    "estimate_ratio": "ratio",
    "get_attack": "registry",
    "holm": "statistics",
    "joint_verdict": "statistics",
    "n_leaked": "draws",
    "n_leaked_exactly": "draws",
    "null_check": "run",
    "require_disjoint": "predictions",
    "run_attacks": "run",
    "true_positives_at": "statistics",
    "verdict": "statistics",
    "victims_needed": "statistics",
}

__all__ = [
    "ATTACKS",
    "Attack",
    "AttackInputError",
    "AttackResult",
    "Audit",
    "FittedAttack",
    "FittedWhiteBox",
    "Guesses",
    "Interval",
    "LabelOnly",
    "LowFalsePositives",
    "ModelOutputs",
    "ModelParameters",
    "NullCheck",
    "Queries",
    "RatioEstimate",
    "WhiteBoxMetaClassifier",
    "advantage_interval",
    "auc_interval",
    "audit_one",
    "estimate_ratio",
    "get_attack",
    "holm",
    "joint_verdict",
    "n_leaked",
    "n_leaked_exactly",
    "null_check",
    "require_disjoint",
    "run_attacks",
    "true_positives_at",
    "verdict",
    "victims_needed",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
