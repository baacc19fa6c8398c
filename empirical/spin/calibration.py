"""The edits that a protocol compares, from draws of calibration pairs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fairbound.empirical.spin.data import SUBJECTS, calibration_draw
from fairbound.empirical.spin.edit import SpinEdit
from fairbound.empirical.spin.importance import importance
from fairbound.empirical.spin.layers import target_layers
from fairbound.empirical.spin.models import LanguageModel
from fairbound.empirical.spin.protocol import Setting, SpinProtocol
from fairbound.empirical.spin.selection import RULES, Selection, select
from fairbound.empirical.spin.texts import Pair

#: Scores that take more than this together are kept on disk while they are needed.
MEMORY = 8 * 2**30

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Calibration:
    """What one draw of calibration pairs gives for one setting.

    Attributes
    ----------
    edits : dict from str to SpinEdit
        By the rule of selection; "coupled" is the method.
    overlap : float
        Jaccard index of the weights that either half of the draw alone would select: |both| / |either|.
    """

    edits: Mapping[str, SpinEdit]
    overlap: float


class _Sum(Mapping[str, Tensor]):
    """Scores of two halves of a draw added up, for some of the matrices."""

    def __init__(self, halves: tuple[Mapping[str, Tensor], ...], names: Mapping[str, object]) -> None:
        self._halves = halves
        self._names = names

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        total = self._halves[0][name].clone()
        for half in self._halves[1:]:
            total += half[name]
        return total

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def calibrate(
    language_model: LanguageModel,
    protocol: SpinProtocol,
    seed: int,
    scratch: Path,
    told: Told | None = None,
) -> dict[Setting, Calibration]:
    """Edits of every setting from one draw of calibration pairs.

    Each set of pairs is measured once, in two halves whose scores add up to those of the draw; each half alone tells
    how far the selection depends on the draw.

    Parameters
    ----------
    language_model : LanguageModel
        Left as it is.
    protocol : SpinProtocol
    seed : int
        Of the draw.
    scratch : pathlib.Path
        Folder for scores that do not fit into memory; removed at the end.
    told : callable, optional
        Called with what is measured and the numbers of pairs done and in all.

    Returns
    -------
    dict from Setting to Calibration

    Raises
    ------
    FairboundError
        If a set cannot be read or has too few pairs, or a setting selects no weight.
    """
    modules = {setting.module for setting in protocol.settings}
    module = modules.pop() if len(modules) == 1 else "all"
    answers = sorted({setting.answers for setting in protocol.settings})
    names = ["general", *(f"{subject}_{label}" for subject in SUBJECTS for label in answers)]
    layers = target_layers(language_model.model, module)
    size = 2 * len(names) * sum(4 * layer.weight.numel() for layer in layers.values())
    if size > MEMORY:
        scratch.mkdir(parents=True, exist_ok=True)
    try:
        scores = {}
        for name in names:
            drawn = calibration_draw(protocol.pairs(name), n=protocol.calibration_samples, seed=seed)
            middle = len(drawn) // 2
            halves = []
            for i, pairs in enumerate((drawn[:middle], drawn[middle:])):
                path = scratch / f"{name}-{i}.safetensors" if size > MEMORY else None
                tell = _within(told, f"importance, draw {seed}, {name}", i * middle, len(drawn))
                halves.append(importance(language_model, pairs, module=module, path=path, progress=tell))
            scores[name] = tuple(halves)
        return {setting: _calibration(language_model, protocol, setting, scores) for setting in protocol.settings}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def jaccard(first: Selection, second: Selection) -> float:
    """Weights in both selections as a share of those in either.

    Parameters
    ----------
    first, second : Selection

    Returns
    -------
    float
        1 if both are empty.
    """
    both = sum(int(torch.isin(first[name], second[name]).sum()) for name in first.keys() & second.keys())
    either = sum(len(chosen) for part in (first, second) for chosen in part.values()) - both
    return both / either if either else 1.0


def held_out(pairs: list[Pair], protocol: SpinProtocol, n: int) -> list[Pair]:
    """Pairs that no calibration draw of the protocol holds.

    Parameters
    ----------
    pairs : list of Pair
    protocol : SpinProtocol
    n : int
        At most so many are returned.

    Returns
    -------
    list of Pair
        The first ones in the order of `pairs`.
    """
    seen = {
        pair
        for seed in protocol.calibration_seeds
        for pair in calibration_draw(pairs, n=protocol.calibration_samples, seed=seed)
    }
    return [pair for pair in pairs if pair not in seen][:n]


def _calibration(
    language_model: LanguageModel,
    protocol: SpinProtocol,
    setting: Setting,
    scores: Mapping[str, tuple[Mapping[str, Tensor], ...]],
) -> Calibration:
    names = target_layers(language_model.model, setting.module)
    sets = ("general", *(f"{subject}_{setting.answers}" for subject in SUBJECTS))

    def chosen(rule: str, parts: tuple[int, ...]) -> Selection:
        added = (_Sum(tuple(scores[name][i] for i in parts), names) for name in sets)
        return select(*added, p=setting.p, q=setting.q, rule=rule)

    rules = [rule for rule in RULES if rule == "coupled" or rule in protocol.controls]
    edits = {rule: SpinEdit.of(language_model, chosen(rule, (0, 1))) for rule in rules}
    return Calibration(edits, jaccard(chosen("coupled", (0,)), chosen("coupled", (1,))))


def _within(told: Told | None, what: str, before: int, total: int) -> Callable[[int, int], None] | None:
    return None if told is None else lambda done, _: told(what, before + done, total)
