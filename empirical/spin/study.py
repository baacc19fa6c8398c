"""Run a protocol: calibrate, choose on one half of the questions, report on the other."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from fairbound.bounds.files import write_atomically
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.json_lines import append_lines, resume_lines
from fairbound.empirical.spin.calibration import Told, calibrate, held_out
from fairbound.empirical.spin.data import SUBJECTS, calibration_draw
from fairbound.empirical.spin.edit import SpinEdit
from fairbound.empirical.spin.evaluation import (
    GenerationSettings,
    fingerprint,
    generate_answers,
    perplexity,
    tokenizer_digest,
)
from fairbound.empirical.spin.finetuning import TuningSettings, fine_tune
from fairbound.empirical.spin.hsic import LayerTests, hsic_by_layer, readouts
from fairbound.empirical.spin.judges import Judge, TfidfJudge
from fairbound.empirical.spin.layers import target_layers
from fairbound.empirical.spin.models import LanguageModel, load_model
from fairbound.empirical.spin.phrases import PhraseJudge
from fairbound.empirical.spin.protocol import Setting, SpinProtocol
from fairbound.empirical.spin.selection import matched_control, uniform_control

ANSWERS_FILE = "answers.jsonl"
MODELS_FILE = "models.jsonl"
CALIBRATION_FILE = "calibration.jsonl"
HSIC_FILE = "hsic.json"
PROTOCOL_FILE = "protocol.json"
EDITS_FOLDER = "edits"

#: Questions of each subject whose answers are shown.
EXAMPLES = 3

_LETTERS = {"safe": "s", "unsafe": "u", "undecided": "-"}
_RANDOM = {"matched": matched_control, "uniform": uniform_control}


class Study:
    """A protocol at work in a folder. Whatever is finished there is not done again.

    Parameters
    ----------
    protocol : SpinProtocol
    out : path
        Folder, created if need be; one study may write to it at a time.
    model : str or path, optional
        See `fairbound.empirical.spin.models.load_model`.
    judge : Judge, optional
        Judges both subjects in place of the TF-IDF judges.
    batch_size : int, default 32
        Questions answered together.
    device : str, default "auto"
    told : callable, optional
        Called with what is being done and the numbers of parts done and in all.

    Raises
    ------
    FairboundError
        If the model or data cannot be read, or the folder holds another study.
    """

    def __init__(
        self,
        protocol: SpinProtocol,
        out: str | os.PathLike[str],
        *,
        model: str | os.PathLike[str] | None = None,
        judge: Judge | None = None,
        batch_size: int = 32,
        device: str = "auto",
        told: Told | None = None,
    ) -> None:
        self.protocol = protocol
        self.folder = Path(out)
        self.batch_size = batch_size
        self.told = told or (lambda what, done, total: None)
        self._load = partial(load_model, None if model is None else str(model), device=device)
        self.language_model: LanguageModel = self._load()
        self.base = fingerprint(self.language_model.model)
        self.questions = {subject: self._questions(subject) for subject in SUBJECTS}
        self.judges = {subject: self._judges(subject, judge) for subject in SUBJECTS}
        self._settings = GenerationSettings(max_new_tokens=protocol.max_new_tokens)
        self._claim_folder()
        self._models = {
            record["key"]: record
            for record in resume_lines(self.folder / MODELS_FILE, frozenset({"key", "labels", "perplexity"}))
        }

    def run(self) -> dict[str, Any]:
        """Do what is left of the protocol.

        Returns
        -------
        dict
            What was measured, for `fairbound.empirical.spin.summary`: "models" (a record for each model and phase, with
            one letter per question and judge), "calibration", "chosen", "judges", "questions", "hsic", "examples".

        Raises
        ------
        FairboundError
            As in the parts; what was finished is kept.
        """
        calibration = self._calibrate()
        first = self.protocol.calibration_seeds[0]
        chosen, comparison = self._choose()
        report = partial(self._measure, phase="report")
        models = [*comparison, report("base", seed=None, setting=None)]
        for seed in self.protocol.calibration_seeds:
            edit = self._edit(chosen, seed, "coupled")
            models.append(report("spin", seed=seed, setting=chosen, change=partial(self._edited, edit), edit=edit))
            if "matched" in self.protocol.controls:
                models.append(self._control("matched", chosen, seed))
        models += [self._control(name, chosen, first) for name in self.protocol.controls if name != "matched"]
        for method in self.protocol.fine_tuning:
            models.append(report(method, seed=0, setting=None, change=partial(self._fine_tuned, method)))
        if self.protocol.report is None:
            models += self._whole_files(chosen)
        return {
            "model": self.language_model.name,
            "fingerprint": self.base,
            "protocol": self.protocol.settings_dict(),
            "questions": {subject: self._about(subject) for subject in SUBJECTS},
            "judges": {
                subject: [{"name": judge.name, "reliability": judge.reliability} for judge in self.judges[subject]]
                for subject in SUBJECTS
            },
            "calibration": calibration,
            "chosen": vars(chosen) | {"name": chosen.name},
            "models": models,
            "hsic": self._hsic(chosen, first),
            "layers": self._layers(chosen, first),
            "examples": self._examples(models, first),
        }

    def _questions(self, subject: str) -> dict[str, tuple[str, ...]]:
        """Questions by phase; of one order, so that a larger number holds every smaller one."""
        found, protocol = self.protocol.questions(subject), self.protocol
        if protocol.choose == 0:
            every = found.draw(len(found.half("report")), "report") + found.draw(len(found.half("choose")), "choose")
            phases = {"report": every if protocol.report is None else every[: protocol.report]}
        else:
            n = len(found.half("report")) if protocol.report is None else protocol.report
            phases = {"choose": found.draw(protocol.choose, "choose"), "report": found.draw(n, "report")}
        return phases if protocol.report is not None else phases | {"file": found.rows}

    def _about(self, subject: str) -> dict[str, int]:
        found = self.protocol.questions(subject)
        about = {"read": len(found.rows), "repeated": found.repeated, "shared": found.shared, "left": len(found.texts)}
        return about | {phase: len(texts) for phase, texts in self.questions[subject].items()}

    def _judges(self, subject: str, judge: Judge | None) -> list[Judge]:
        """The first one is what settings are chosen by."""
        phrases: list[Judge] = [PhraseJudge("inability"), PhraseJudge("caution")]
        if judge is not None:
            return [judge, *phrases]
        safe, unsafe = (self.protocol.pairs(f"{subject}_{label}") for label in ("safe", "unsafe"))
        return [TfidfJudge(subject, safe, unsafe), *phrases]

    def _claim_folder(self) -> None:
        """A folder holds one study: numbers of another protocol, model or judge must not slip in."""
        about = {
            "model": self.base,
            "tokenizer": tokenizer_digest(self.language_model.tokenizer),
            "protocol": self.protocol.settings_dict(),
            "texts": self.protocol.digests(),
            "judges": [[judge.fingerprint for judge in self.judges[subject]] for subject in SUBJECTS],
        }
        mine = json.dumps(about, indent=1, default=list)
        path = self.folder / PROTOCOL_FILE
        try:
            (self.folder / EDITS_FOLDER).mkdir(parents=True, exist_ok=True)
            if path.exists() and path.read_text(encoding="utf-8") != mine:
                raise ProtocolError(
                    f"{self.folder} holds a study of another protocol, model, judge or text file; use another."
                )
            write_atomically(path, mine.encode())
        except OSError as error:
            raise ProtocolError(f"Cannot write to {self.folder}: {error.strerror}.") from error

    def _edit_path(self, setting: Setting, seed: int, rule: str) -> Path:
        slug = setting.name.replace("p=q=", "pq").replace("=", "").replace(" ", "-")
        return self.folder / EDITS_FOLDER / f"{slug}-draw{seed}-{rule}.safetensors"

    def _edit(self, setting: Setting, seed: int, rule: str) -> SpinEdit:
        return SpinEdit.load(self._edit_path(setting, seed, rule))

    def _calibrate(self) -> list[dict[str, Any]]:
        path = self.folder / CALIBRATION_FILE
        lines = resume_lines(path, frozenset({"seed", "setting", "selected", "overlap"}))
        records = {(line["seed"], line["setting"]): line for line in lines}
        for seed in self.protocol.calibration_seeds:
            # A kill between two settings leaves some of a draw, which is then measured again as a whole.
            if all((seed, setting.name) in records for setting in self.protocol.settings):
                continue
            found = calibrate(self.language_model, self.protocol, seed, self.folder / "scores", self.told)
            lines = []
            for setting, part in found.items():
                for rule, edit in part.edits.items():
                    edit.save(self._edit_path(setting, seed, rule))
                selected = {rule: _zeroed(edit) for rule, edit in part.edits.items()}
                lines.append({"seed": seed, "setting": setting.name, "selected": selected, "overlap": part.overlap})
            append_lines(path, lines)
            records |= {(line["seed"], line["setting"]): line for line in lines}
        return list(records.values())

    def _choose(self) -> tuple[Setting, list[dict[str, Any]]]:
        """The setting that the protocol's rule picks, and what was compared."""
        if not self.protocol.choose:
            return self.protocol.settings[0], []
        base = self._measure("base", phase="choose", seed=None, setting=None)
        models, compared = [base], {}
        for setting in self.protocol.settings:
            compared[setting] = []
            for seed in self.protocol.calibration_seeds:
                edit = self._edit(setting, seed, "coupled")
                found = self._measure(
                    "spin", phase="choose", seed=seed, setting=setting, change=partial(self._edited, edit), edit=edit
                )
                models.append(found)
                changes = tuple(self._change(base, found, subject) for subject in SUBJECTS)
                compared[setting].append((found["perplexity"] / base["perplexity"], changes))
        return best_setting(compared, self.protocol.perplexity_limit), models

    def _change(self, before: dict[str, Any], after: dict[str, Any], subject: str) -> float:
        """Paired change of the rate; of answers that stop being words nothing is gained."""
        judge = self.judges[subject][0].name
        pairs = list(zip(before["labels"][subject][judge], after["labels"][subject][judge], strict=True))
        decided = sum("-" not in pair for pair in pairs)
        return (pairs.count(("u", "s")) - pairs.count(("s", "u"))) / decided if decided else -1.0

    def _whole_files(self, chosen: Setting) -> list[dict[str, Any]]:
        """The model itself and each edit on every row of the question files; most answers are there already."""
        models = [self._measure("base", phase="file", seed=None, setting=None)]
        for seed in self.protocol.calibration_seeds:
            edit = self._edit(chosen, seed, "coupled")
            change = partial(self._edited, edit)
            models.append(self._measure("spin", phase="file", seed=seed, setting=chosen, change=change, edit=edit))
        return models

    def _control(self, name: str, chosen: Setting, seed: int) -> dict[str, Any]:
        if name in _RANDOM:
            layers = target_layers(self.language_model.model, chosen.module)
            coupled = self._edit(chosen, seed, "coupled")
            selection = {matrix: part.indices for matrix, part in coupled.matrices.items()}
            edit = SpinEdit.of(self.language_model, _RANDOM[name](layers, selection, seed=seed))
        else:
            edit = self._edit(chosen, seed, name)
        return self._measure(
            name, phase="report", seed=seed, setting=chosen, change=partial(self._edited, edit), edit=edit
        )

    @contextmanager
    def _edited(self, edit: SpinEdit) -> Iterator[LanguageModel]:
        edit.apply(self.language_model.model)
        try:
            yield self.language_model
        finally:
            edit.undo(self.language_model.model)

    @contextmanager
    def _fine_tuned(self, method: str) -> Iterator[LanguageModel]:
        """A fresh copy of the model, trained on safe privacy answers."""
        pairs = self.protocol.pairs("privacy_safe")
        drawn = calibration_draw(pairs, n=min(self.protocol.fine_tuning_pairs, len(pairs)))
        copy = self._load()
        fine_tune(copy, drawn, TuningSettings(method=method), progress=partial(self.told, f"fine-tuning, {method}"))
        yield copy

    def _measure(
        self,
        name: str,
        *,
        phase: str,
        seed: int | None,
        setting: Setting | None,
        change: Callable[[], Any] | None = None,
        edit: SpinEdit | None = None,
    ) -> dict[str, Any]:
        """Answers, verdicts and perplexity of the model that `change` makes, unless they are there."""
        model_id = f"{self.base[:16]} {name} {seed} {'' if setting is None else setting.name}"
        asked_of = {subject: self.questions[subject][phase] for subject in SUBJECTS}
        content = json.dumps([model_id, phase, asked_of], sort_keys=True)
        key = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        if key in self._models:
            return self._models[key]
        what = " ".join(str(part) for part in (name, setting and setting.name, seed) if part is not None)
        with nullcontext(self.language_model) if change is None else change() as model:
            labels: dict[str, dict[str, str]] = {}
            for subject in SUBJECTS:
                asked = asked_of[subject]
                answers = [answer.answer for answer in self._answers(model, asked, model_id, f"{what}: {subject}")]
                labels[subject] = {}
                for judge in self.judges[subject]:
                    verdicts = judge.judge(asked, answers).labels
                    labels[subject][judge.name] = "".join(_LETTERS[verdict] for verdict in verdicts)
            loss = self._perplexity(model, model_id, what)
        record = {
            "key": key,
            "id": model_id,
            "name": name,
            "phase": phase,
            "seed": seed,
            "setting": None if setting is None else setting.name,
            "selected": 0 if edit is None else _zeroed(edit),
            "perplexity": loss,
            "labels": labels,
        }
        append_lines(self.folder / MODELS_FILE, [record])
        self._models[key] = record
        return record

    def _perplexity(self, model: LanguageModel, model_id: str, what: str) -> float:
        """On held-out answers; the same in every phase."""
        known = [record["perplexity"] for record in self._models.values() if record["id"] == model_id]
        if known:
            return known[0]
        texts = held_out(self.protocol.pairs("general"), self.protocol, self.protocol.perplexity_texts)
        return perplexity(model, texts, progress=partial(self.told, f"{what}: perplexity")).value

    def _answers(self, model: LanguageModel, asked: Sequence[str], model_id: str, what: str) -> list[Any]:
        return generate_answers(
            model,
            asked,
            settings=self._settings,
            batch_size=self.batch_size,
            out=self.folder / ANSWERS_FILE,
            model_id=model_id,
            progress=partial(self.told, what),
        )

    def _hsic(self, chosen: Setting, seed: int) -> dict[str, Any] | None:
        """HSIC between readouts of the same held-out pairs, layer by layer, before and after the edit."""
        if not self.protocol.hsic_pairs:
            return None
        path = self.folder / HSIC_FILE
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        share = self.protocol.hsic_pairs // len(SUBJECTS)
        pairs = [
            pair
            for subject in SUBJECTS
            for pair in held_out(self.protocol.pairs(f"{subject}_safe"), self.protocol, share)
        ]
        before = hsic_by_layer(readouts(self.language_model, pairs, progress=partial(self.told, "HSIC before")))
        with self._edited(self._edit(chosen, seed, "coupled")) as model:
            reading = readouts(model, pairs, progress=partial(self.told, "HSIC after"))
        after = hsic_by_layer(reading, before=before)
        found = {"pairs": len(pairs), "before": _tests(before), "after": _tests(after)}
        write_atomically(path, json.dumps(found).encode())
        return found

    def _layers(self, chosen: Setting, seed: int) -> list[int]:
        """Coupled weights by block."""
        number: dict[int, int] = {}
        for row in self._edit(chosen, seed, "coupled").summary():
            block = next(int(part) for part in row["name"].split(".") if part.isdigit())
            number[block] = number.get(block, 0) + row["zeroed"]
        blocks = self.language_model.model.config.num_hidden_layers
        return [number.get(block, 0) for block in range(blocks)]

    def _examples(self, models: list[dict[str, Any]], seed: int) -> list[dict[str, str]]:
        """Answers before and after to the first questions; they are on file."""
        shown = {
            record["name"]: record["id"]
            for record in models
            if record["phase"] == "report" and (record["name"], record["seed"]) in (("base", None), ("spin", seed))
        }
        examples = []
        for subject in SUBJECTS:
            asked = self.questions[subject]["report"][:EXAMPLES]
            answers = {name: self._answers(self.language_model, asked, known, name) for name, known in shown.items()}
            for before, after in zip(answers["base"], answers["spin"], strict=True):
                examples.append(
                    {"subject": subject, "question": before.question, "before": before.answer, "after": after.answer}
                )
        return examples


def best_setting(
    compared: Mapping[Setting, Sequence[tuple[float, Sequence[float]]]], perplexity_limit: float
) -> Setting:
    """The setting whose smaller change of the two rates is the largest, by means over the calibration draws.

    Parameters
    ----------
    compared : mapping from Setting to sequence of (float, sequence of float)
        For each draw the factor by which the perplexity grows, and the change of each rate.
    perplexity_limit : float
        Settings whose mean factor is larger are chosen only if all are.

    Returns
    -------
    Setting
        The first of equal ones.
    """

    def merit(setting: Setting) -> tuple[bool, float]:
        factors = [factor for factor, _ in compared[setting]]
        changes = zip(*(change for _, change in compared[setting]), strict=True)
        return fmean(factors) <= perplexity_limit, min(fmean(of_subject) for of_subject in changes)

    return max(compared, key=merit)


def _zeroed(edit: SpinEdit) -> int:
    return sum(row["zeroed"] for row in edit.summary())


def _tests(found: LayerTests) -> list[dict[str, float]]:
    return [
        {"value": test.value, "p": test.p_value, "adjusted": adjusted}
        for test, adjusted in zip(found.tests, found.adjusted, strict=True)
    ]
