"""SPIN (arXiv:2410.16672): weights of a language model that fairness and privacy share, found and set to zero.

Scores come from `fairbound.empirical.spin.importance.importance`.

Public names are loaded on first use: importing this package imports neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairbound.empirical.spin.data import (
        Questions,
        calibration_draw,
        reference_pairs,
        reference_questions,
    )
    from fairbound.empirical.spin.edit import SpinEdit
    from fairbound.empirical.spin.evaluation import Answer, GenerationSettings, generate_answers, perplexity
    from fairbound.empirical.spin.finetuning import TuningSettings, fine_tune
    from fairbound.empirical.spin.hsic import hsic_by_layer, hsic_test, readouts
    from fairbound.empirical.spin.judges import Judge, Judgements, TfidfJudge, TransformersJudge
    from fairbound.empirical.spin.models import LanguageModel, load_model
    from fairbound.empirical.spin.phrases import PhraseJudge
    from fairbound.empirical.spin.protocol import Setting, SpinProtocol, read_protocol
    from fairbound.empirical.spin.selection import matched_control, select, selected_count, uniform_control
    from fairbound.empirical.spin.statistics import (
        AwarenessRate,
        PairedChange,
        awareness_rate,
        minimum_detectable_change,
        paired_change,
    )
    from fairbound.empirical.spin.study import Study
    from fairbound.empirical.spin.texts import Pair, read_pairs, read_questions

_HOMES = {
    "Answer": "evaluation",
    "AwarenessRate": "statistics",
    "GenerationSettings": "evaluation",
    "Judge": "judges",
    "Judgements": "judges",
    "LanguageModel": "models",
    "Pair": "texts",
    "PairedChange": "statistics",
    "PhraseJudge": "phrases",
    "Questions": "data",
    "Setting": "protocol",
    "SpinEdit": "edit",
    "SpinProtocol": "protocol",
    "Study": "study",
    "TfidfJudge": "judges",
    "TransformersJudge": "judges",
    "TuningSettings": "finetuning",
    "awareness_rate": "statistics",
    "calibration_draw": "data",
    "fine_tune": "finetuning",
    "generate_answers": "evaluation",
    "hsic_by_layer": "hsic",
    "hsic_test": "hsic",
    "load_model": "models",
    "matched_control": "selection",
    "minimum_detectable_change": "statistics",
    "paired_change": "statistics",
    "perplexity": "evaluation",
    "read_pairs": "texts",
    "read_protocol": "protocol",
    "read_questions": "texts",
    "readouts": "hsic",
    "reference_pairs": "data",
    "reference_questions": "data",
    "select": "selection",
    "selected_count": "selection",
    "uniform_control": "selection",
}

__all__ = [
    "Answer",
    "AwarenessRate",
    "GenerationSettings",
    "Judge",
    "Judgements",
    "LanguageModel",
    "Pair",
    "PairedChange",
    "PhraseJudge",
    "Questions",
    "Setting",
    "SpinEdit",
    "SpinProtocol",
    "Study",
    "TfidfJudge",
    "TransformersJudge",
    "TuningSettings",
    "awareness_rate",
    "calibration_draw",
    "fine_tune",
    "generate_answers",
    "hsic_by_layer",
    "hsic_test",
    "load_model",
    "matched_control",
    "minimum_detectable_change",
    "paired_change",
    "perplexity",
    "read_pairs",
    "read_protocol",
    "read_questions",
    "readouts",
    "reference_pairs",
    "reference_questions",
    "select",
    "selected_count",
    "uniform_control",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
