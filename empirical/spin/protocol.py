"""What a study of SPIN does, fixed before anything is generated."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.spin.data import (
    LABELLED_SETS,
    SUBJECTS,
    Questions,
    all_reference_pairs,
    reference_pairs,
    reference_questions,
)
from fairbound.empirical.spin.finetuning import METHODS
from fairbound.empirical.spin.layers import MODULES
from fairbound.empirical.spin.texts import Pair, distinct_pairs, read_pairs, read_questions

#: Protocols that come with the package.
NAMED = ("demo", "study", "confirm")

#: What stands beside the chosen setting.
CONTROLS = ("matched", "uniform", "fairness-only", "privacy-only", "published-positions")

#: Largest TOML file that is read.
MAX_BYTES = 2**20

_PAIRS = ("general", *(f"{subject}_{label}" for subject in SUBJECTS for label in ("safe", "unsafe")))
_QUESTIONS = tuple(f"{subject}_questions" for subject in SUBJECTS)


@dataclass(frozen=True)
class Setting:
    """One way to select weights.

    Attributes
    ----------
    p, q : float
        See `fairbound.empirical.spin.selection.select`.
    module : {"mlp", "self_attn", "all"}
    answers : {"safe", "unsafe"}
        Which answers to fairness and privacy questions importance is measured on.
    """

    p: float
    q: float
    module: str = "mlp"
    answers: str = "safe"

    def __post_init__(self) -> None:
        for name, value, known in (("module", self.module, MODULES), ("answers", self.answers, ("safe", "unsafe"))):
            if value not in known:
                raise ProtocolError(f"{name}={value!r} is unknown; use one of {', '.join(known)}.")
        for name in ("p", "q"):
            if not (isinstance(getattr(self, name), float | int) and 0 < getattr(self, name) <= 1):
                raise ProtocolError(f"{name}={getattr(self, name)!r} is no share; use a number such as 1e-4.")

    @property
    def name(self) -> str:
        """As printed: "mlp p=q=0.0001 safe"."""
        ratios = f"p=q={self.p:g}" if self.p == self.q else f"p={self.p:g} q={self.q:g}"
        return f"{self.module} {ratios} {self.answers}"


@dataclass(frozen=True)
class SpinProtocol:
    """Settings, calibration draws, questions, controls and baselines of a study.

    Attributes
    ----------
    name : str
    settings : tuple of Setting
    calibration_samples : int
        Pairs of each set on which importance is measured.
    calibration_seeds : tuple of int
        One draw of pairs, and one edit per setting, for each.
    choose : int
        Questions of each subject on which settings are compared; 0 if there is one setting.
    report : int or None
        Questions of each subject on which results are reported: of the other half, or of all of them if nothing is
        chosen; None for as many as there are. With None, the model itself and each edit also answer every row of the
        files, those included that are left out elsewhere.
    perplexity_texts : int
        Held-out general answers.
    perplexity_limit : float
        A setting that raises the perplexity by a larger factor is chosen only if all do.
    hsic_pairs : int
        Pairs read for HSIC; 0 for none.
    controls : tuple of str
        Of `CONTROLS`.
    fine_tuning : tuple of str
        Of "full" and "lora": supervised fine-tuning on safe privacy answers.
    fine_tuning_pairs : int
    max_new_tokens : int
    data : mapping from str to str
        Files in place of the reference sets: "general", "fairness_safe", "fairness_unsafe", "privacy_safe",
        "privacy_unsafe", "fairness_questions", "privacy_questions".
    """

    name: str
    settings: tuple[Setting, ...]
    calibration_samples: int = 128
    calibration_seeds: tuple[int, ...] = (0,)
    choose: int = 0
    report: int | None = 100
    perplexity_texts: int = 60
    perplexity_limit: float = 1.1
    hsic_pairs: int = 60
    controls: tuple[str, ...] = ("matched",)
    fine_tuning: tuple[str, ...] = ()
    fine_tuning_pairs: int = 200
    max_new_tokens: int = 64
    data: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.settings or len(set(self.settings)) != len(self.settings):
            raise ProtocolError(f"The protocol {self.name} needs [[setting]] tables, no two of them alike.")
        if len(self.settings) > 1 and self.choose < 1:
            raise ProtocolError(f"The protocol {self.name} has {len(self.settings)} settings; set questions.choose.")
        lowest = {"calibration_samples": 2, "perplexity_texts": 1, "fine_tuning_pairs": 1, "max_new_tokens": 1}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise ProtocolError(f"{name}={getattr(self, name)} of the protocol {self.name} is below {least}.")
        if self.report is not None and self.report < 1:
            raise ProtocolError(f"questions.report={self.report} of the protocol {self.name} is below 1.")
        if not self.calibration_seeds or len(set(self.calibration_seeds)) != len(self.calibration_seeds):
            raise ProtocolError(f"The protocol {self.name} needs calibration seeds, no two of them alike.")
        for name, known in (("controls", CONTROLS), ("fine_tuning", METHODS), ("data", (*_PAIRS, *_QUESTIONS))):
            unknown = sorted(set(getattr(self, name)) - set(known))
            if unknown:
                raise ProtocolError(f"{name} has no {unknown[0]!r}; it has: {', '.join(known)}.")

    def on_all_questions(self) -> SpinProtocol:
        """The same protocol, reporting on every question."""
        return replace(self, report=None)

    def settings_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            item.name: getattr(self, item.name) for item in fields(self) if item.name not in ("settings", "data")
        } | {"settings": [vars(setting) for setting in self.settings], "data": dict(self.data)}

    def digests(self) -> dict[str, str]:
        """What the texts say, wherever they are read from.

        Returns
        -------
        dict from str to str
            SHA-256 of each set of pairs and of each subject's questions.

        Raises
        ------
        FairboundError
            As in `pairs` and `questions`.
        """
        texts: dict[str, Any] = {name: self.pairs(name) for name in _PAIRS}
        texts |= {f"{subject}_questions": self.questions(subject).rows for subject in SUBJECTS}
        return {name: hashlib.sha256(json.dumps(content).encode()).hexdigest() for name, content in texts.items()}

    def pairs(self, name: str) -> list[Pair]:
        """One set of pairs, from its file or from the reference sets.

        Parameters
        ----------
        name : str
            "general", or a subject with "_safe" or "_unsafe".

        Returns
        -------
        list of Pair
            Distinct.

        Raises
        ------
        FairboundError
            As in `fairbound.empirical.spin.texts.read_pairs` and `fairbound.empirical.spin.data.reference_pairs`.
        """
        if name in self.data:
            return distinct_pairs(read_pairs(self.data[name]))
        return reference_pairs(name)

    def questions(self, subject: str) -> Questions:
        """Questions of a subject, from a file or SALAD-Bench, without prompts of the labelled pairs.

        Parameters
        ----------
        subject : str

        Returns
        -------
        Questions

        Raises
        ------
        FairboundError
            As in `fairbound.empirical.spin.texts.read_questions` and
            `fairbound.empirical.spin.data.reference_questions`.
        """
        path = self.data.get(f"{subject}_questions")
        rows = reference_questions(subject).rows if path is None else read_questions(path)
        labelled = (pair.prompt for name in LABELLED_SETS for pair in self._labelled(name))
        return Questions.of(subject, rows, labelled)

    def _labelled(self, name: str) -> list[Pair]:
        """Pairs of one set, those included that `pairs` leaves out for contradicting another."""
        return read_pairs(self.data[name]) if name in self.data else all_reference_pairs(name)


def read_protocol(name_or_path: str | os.PathLike[str]) -> SpinProtocol:
    """Read a protocol.

    A TOML file with the attributes of `SpinProtocol`, a table ``[[setting]]`` for each setting, and ``questions = {
    choose = 40, report = 150 }`` (report may be "all").

    Parameters
    ----------
    name_or_path : str or path
        One of `NAMED`, or a file.

    Returns
    -------
    SpinProtocol

    Raises
    ------
    ProtocolError
        If it cannot be read, or a setting is absent, unknown or of the wrong kind.
    """
    named = str(name_or_path) in NAMED
    path = Path(__file__).parent / "protocols" / f"{name_or_path}.toml" if named else Path(name_or_path)
    try:
        with path.open("rb") as file:
            content = tomllib.loads(file.read(MAX_BYTES).decode("utf-8"))
    except OSError as error:
        known = ", ".join(NAMED)
        raise ProtocolError(f"Cannot read the protocol {path}: {error.strerror}. Named ones: {known}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"The protocol {path} is no TOML: {error}.") from error
    settings, questions = content.pop("setting", []), content.pop("questions", {})
    known_names = {item.name for item in fields(SpinProtocol)} - {"settings", "choose", "report"}
    for unknown in sorted((set(content) - known_names) | (set(questions) - {"choose", "report"})):
        raise ProtocolError(f"The protocol {path} has an unknown setting {unknown!r}.")
    if questions.get("report") == "all":
        questions["report"] = None
    for name in ("calibration_seeds", "controls", "fine_tuning"):
        if name in content:
            content[name] = tuple(content[name])
    try:
        content.setdefault("name", path.stem)
        return SpinProtocol(settings=tuple(Setting(**setting) for setting in settings), **content, **questions)
    except TypeError as error:
        raise ProtocolError(f"The protocol {path} cannot be read: {error}.") from error
