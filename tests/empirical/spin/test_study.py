"""A study from protocol to tables: calibration, choice, report, resumption, and what is refused."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.means import mean_interval
from fairbound.empirical.spin import study as study_module
from fairbound.empirical.spin.calibration import calibrate, held_out, jaccard
from fairbound.empirical.spin.data import SUBJECTS, calibration_draw
from fairbound.empirical.spin.edit import SpinEdit
from fairbound.empirical.spin.importance import importance
from fairbound.empirical.spin.judges import Judgements
from fairbound.empirical.spin.protocol import Setting, SpinProtocol, read_protocol
from fairbound.empirical.spin.selection import select
from fairbound.empirical.spin.study import Study, best_setting
from fairbound.empirical.spin.summary import changes_of, rate_of, stored_results, summarise_study

WORDS = ("tall", "short", "old", "young", "rich", "poor", "shy", "loud", "left", "right", "new", "odd")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pairs and questions of both subjects, as files."""
    folder = tmp_path_factory.mktemp("texts")

    def write(name, header, rows):
        path = folder / f"{name}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return str(path)

    data = {"general": write("general", ("prompt", "response"), [(f"Say {w}.", f"{w} it is.") for w in WORDS])}
    for subject in SUBJECTS:
        safe = [(f"Is the {w} one in {subject}?", f"I cannot say that of a {w} person.") for w in WORDS]
        unsafe = [(f"Is the {w} one bad in {subject}?", f"Yes, all {w} people are bad.") for w in WORDS]
        asked = [(f"Who is {w} in {subject}, and why {i}?",) for i in range(3) for w in WORDS]
        data |= {
            f"{subject}_safe": write(f"{subject}_safe", ("prompt", "response"), safe),
            f"{subject}_unsafe": write(f"{subject}_unsafe", ("prompt", "response"), unsafe),
            f"{subject}_questions": write(f"{subject}_questions", ("question",), asked),
        }
    return data


@pytest.fixture
def protocol(files):
    return SpinProtocol(
        "small",
        (Setting(0.01, 0.05), Setting(0.02, 0.05, module="all", answers="unsafe")),
        calibration_samples=4,
        calibration_seeds=(0, 1),
        choose=5,
        report=6,
        perplexity_texts=3,
        hsic_pairs=8,
        controls=("matched", "uniform", "fairness-only", "privacy-only", "published-positions"),
        fine_tuning=("full", "lora"),
        fine_tuning_pairs=4,
        max_new_tokens=8,
        data=files,
    )


@pytest.fixture
def model(make_model, tmp_path):
    make_model().save(tmp_path / "model")
    return tmp_path / "model"


def test_named_protocols_are_what_they_say():
    study, demo = read_protocol("study"), read_protocol("demo")
    assert len(study.settings) == 8
    assert len(study.calibration_seeds) >= 3
    assert study.choose
    assert study.fine_tuning
    assert any(s.p == s.q for s in study.settings)
    assert any(s.p < s.q for s in study.settings)
    assert {s.answers for s in study.settings} == {"safe", "unsafe"}
    assert {s.module for s in study.settings} > {"mlp"}
    assert len(demo.settings) == 1
    confirm = read_protocol("confirm")
    assert set(confirm.settings) < set(study.settings)
    assert set(confirm.calibration_seeds).isdisjoint(study.calibration_seeds)
    assert demo.choose == 0
    assert demo.on_all_questions().report is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'a'\n[[setting]]\np = 2.0\nq = 1e-3", "p=2.0 is no share"),
        ("[[setting]]\np = 1e-3\nq = 1e-3\nmodule = 'head'", "module='head' is unknown"),
        ("[[setting]]\np = 1e-3", "cannot be read"),
        ("colour = 1\n[[setting]]\np = 1e-3\nq = 1e-3", "unknown setting 'colour'"),
        ("[[setting]]\np = 1e-3\nq = 1e-3\n[[setting]]\np = 1e-4\nq = 1e-4", "set questions.choose"),
        ("controls = ['luck']\n[[setting]]\np = 1e-3\nq = 1e-3", "controls has no 'luck'"),
        ("calibration_seeds = [1, 1]\n[[setting]]\np = 1e-3\nq = 1e-3", "no two of them alike"),
        ("name = 'a'", r"needs \[\[setting\]\] tables"),
        ("= 1", "is no TOML"),
    ],
)
def test_what_is_wrong_with_a_protocol_is_named(text, said, tmp_path):
    path = tmp_path / "protocol.toml"
    path.write_text(text)
    with pytest.raises(ProtocolError, match=said) as raised:
        read_protocol(path)
    assert "\n" not in str(raised.value)


def test_a_missing_protocol_names_the_known_ones(tmp_path):
    with pytest.raises(ProtocolError, match="demo, study, confirm"):
        read_protocol(tmp_path / "none.toml")


def test_edits_of_two_halves_are_those_of_the_draw(make_model, protocol, tmp_path):
    language_model = make_model()
    found = calibrate(language_model, protocol, 0, tmp_path / "scores")
    setting = protocol.settings[0]
    whole = [
        importance(language_model, calibration_draw(protocol.pairs(name), n=4, seed=0))
        for name in ("general", "fairness_safe", "privacy_safe")
    ]
    expected = select(*whole, p=setting.p, q=setting.q)
    edit = found[setting].edits["coupled"]
    assert edit.matrices.keys() == expected.keys()
    assert all(torch.equal(edit.matrices[name].indices, expected[name]) for name in expected)
    assert 0 <= found[setting].overlap < 1
    assert not (tmp_path / "scores").exists()


def test_scores_on_disk_give_the_same_edits(make_model, protocol, tmp_path, monkeypatch):
    in_memory = calibrate(make_model(), protocol, 0, tmp_path / "scores")
    monkeypatch.setattr("fairbound.empirical.spin.calibration.MEMORY", 0)
    on_disk = calibrate(make_model(), protocol, 0, tmp_path / "scores")
    for setting in protocol.settings:
        assert in_memory[setting].overlap == on_disk[setting].overlap
        for rule, edit in in_memory[setting].edits.items():
            other = on_disk[setting].edits[rule].matrices
            assert all(torch.equal(part.indices, other[name].indices) for name, part in edit.matrices.items())
    assert not (tmp_path / "scores").exists()


def test_the_rule_that_chooses():
    mild, strong, lopsided = (Setting(q, q) for q in (1e-5, 1e-4, 1e-3))
    compared = {
        # Means over two draws: +.05 and +.15; +.2 and +.2 at too large a perplexity; +.4 and -.1.
        mild: [(1.0, (0.1, 0.1)), (1.2, (0.0, 0.2))],
        strong: [(1.2, (0.2, 0.2)), (1.4, (0.2, 0.2))],
        lopsided: [(1.0, (0.4, -0.1)), (1.0, (0.4, -0.1))],
    }
    assert best_setting(compared, 1.1) == mild
    assert best_setting(compared, 1.3) == strong
    assert best_setting({k: compared[k] for k in (lopsided, mild)}, 1.1) == mild
    assert best_setting(compared, 0.5) == strong


def test_jaccard():
    first, second = {"a": torch.tensor([1, 2, 3])}, {"a": torch.tensor([2, 3, 4]), "b": torch.tensor([0])}
    assert jaccard(first, second) == 2 / 5
    assert jaccard(first, first) == 1
    assert jaccard({}, {}) == 1


def test_held_out_pairs_are_in_no_draw(protocol):
    pairs = protocol.pairs("general")
    kept = held_out(pairs, protocol, 100)
    drawn = {pair for seed in protocol.calibration_seeds for pair in calibration_draw(pairs, n=4, seed=seed)}
    assert kept
    assert drawn.isdisjoint(kept)
    assert len(kept) + len(drawn) == len(pairs)
    assert held_out(pairs, protocol, 2) == kept[:2]


def test_a_study_from_start_to_end_and_again(model, protocol, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = Study(protocol, out, model=model, device="cpu")
    before = first.base
    result = first.run()
    assert study_module.fingerprint(first.language_model.model) == before, "every edit must be undone"
    reported = [record["name"] for record in result["models"] if record["phase"] == "report"]
    assert reported == [
        "base",
        *("spin", "matched") * 2,
        "uniform",
        "fairness-only",
        "privacy-only",
        "published-positions",
        "full",
        "lora",
    ]
    chosen = [record for record in result["models"] if record["phase"] == "choose"]
    assert len(chosen) == 1 + 2 * 2
    assert result["chosen"]["name"] in {s.name for s in protocol.settings}
    for record in result["models"]:
        if record["name"] in ("matched", "uniform"):
            spin = next(
                r
                for r in result["models"]
                if r["name"] == "spin" and r["seed"] == record["seed"] and r["phase"] == "report"
            )
            assert record["selected"] == spin["selected"]
    for subject in SUBJECTS:
        asked = first.questions[subject]
        assert len(asked["choose"]) == 5
        assert len(asked["report"]) == 6
        assert set(asked["choose"]).isdisjoint(asked["report"])
    assert sum(result["layers"]) == next(
        r["selected"] for r in result["models"] if r["name"] == "spin" and r["phase"] == "report" and r["seed"] == 0
    )

    text = summarise_study(result)
    assert f"**{result['chosen']['name']}**" in text
    assert "No theorem covers zeroed weights" in text
    assert "rows of the question files" not in text
    base, *others = (record for record in result["models"] if record["phase"] == "report")
    change = {
        (record["name"], record["seed"]): float(changes_of(result, base, record)[1].change)
        for record in others
        if record["name"] in ("spin", "matched")
    }
    rows = {line.split(" | ")[0]: line.split(" | ")[2] for line in text.splitlines() if " | " in line}
    for shown, values in {
        "| SPIN": [change["spin", 0], change["spin", 1]],
        "| SPIN less its control": [change["spin", draw] - change["matched", draw] for draw in (0, 1)],
    }.items():
        mean, half = mean_interval(values)
        assert rows[shown] == f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"
    stored = stored_results(result)
    json.dumps(stored, allow_nan=False)
    assert [layer["coupled"] for layer in stored["layers"]] == result["layers"]

    # Nothing is measured again, not even by a process that starts from the files.
    def fail(*args, **kwargs):
        raise AssertionError("measured again")

    for name in ("calibrate", "perplexity", "fine_tune", "readouts"):
        monkeypatch.setattr(study_module, name, fail)
    again = Study(protocol, out, model=model, device="cpu").run()
    assert summarise_study(again) == text


def test_a_killed_study_goes_on(model, protocol, tmp_path, monkeypatch):
    small = replace(protocol, fine_tuning=(), controls=("matched",), hsic_pairs=0)
    whole = summarise_study(Study(small, tmp_path / "whole", model=model, device="cpu").run())
    measured = []
    original = study_module.perplexity

    def stop(*args, **kwargs):
        measured.append(1)
        if len(measured) == 4:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(study_module, "perplexity", stop)
    with pytest.raises(KeyboardInterrupt):
        Study(small, tmp_path / "torn", model=model, device="cpu").run()
    with (tmp_path / "torn" / study_module.MODELS_FILE).open("ab") as file:
        file.write(b'{"key": "torn')
    assert summarise_study(Study(small, tmp_path / "torn", model=model, device="cpu").run()) == whole


def test_a_draw_torn_between_two_settings_is_measured_again(model, protocol, tmp_path):
    small = replace(protocol, fine_tuning=(), controls=(), hsic_pairs=0)
    whole = summarise_study(Study(small, tmp_path / "out", model=model, device="cpu").run())
    path = tmp_path / "out" / study_module.CALIBRATION_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    path.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    assert summarise_study(Study(small, tmp_path / "out", model=model, device="cpu").run()) == whole


class Verdict:
    """A judge of one opinion."""

    name, reliability = "opinion", "none"

    def __init__(self, label):
        self.label = self.fingerprint = label

    def judge(self, questions, answers):
        return Judgements(self.name, self.reliability, (self.label,) * len(answers))


def test_a_folder_of_another_study_is_refused(model, protocol, tmp_path):
    def start(protocol=protocol, **changes):
        return Study(
            protocol, tmp_path / "out", **{"model": model, "device": "cpu", "judge": Verdict("safe")} | changes
        )

    start()
    start()
    texts = tmp_path / "general.csv"
    texts.write_text(Path(protocol.data["general"]).read_text())
    same = replace(protocol, data={**protocol.data, "general": str(texts)})
    for changes in (
        {"protocol": replace(protocol, max_new_tokens=9)},
        {"judge": Verdict("unsafe")},
        {"judge": None},
        {"protocol": same},
    ):
        with pytest.raises(ProtocolError, match="another protocol, model, judge or text file"):
            start(**changes)


def test_changed_texts_are_another_study(model, protocol, tmp_path):
    texts = tmp_path / "general.csv"
    texts.write_text(Path(protocol.data["general"]).read_text())
    own = replace(protocol, data={**protocol.data, "general": str(texts)})
    Study(own, tmp_path / "out", model=model, device="cpu")
    texts.write_text(texts.read_text().replace("tall it is", "small it is"))
    with pytest.raises(ProtocolError, match="text file"):
        Study(own, tmp_path / "out", model=model, device="cpu")


def test_a_changed_chat_template_is_another_study(make_model, protocol, tmp_path):
    language_model = make_model()
    language_model.save(tmp_path / "model")
    Study(protocol, tmp_path / "out", model=tmp_path / "model", device="cpu")
    language_model.tokenizer.chat_template = "{% for m in messages %}Asked: {{ m['content'] }}{% endfor %} Answer:"
    language_model.save(tmp_path / "model")
    with pytest.raises(ProtocolError, match="another protocol"):
        Study(protocol, tmp_path / "out", model=tmp_path / "model", device="cpu")


def test_questions_of_files_are_no_prompts_of_labelled_pairs(protocol, tmp_path):
    with Path(protocol.data["privacy_unsafe"]).open() as file:
        prompts = [row["prompt"] for row in csv.DictReader(file)]
    path = tmp_path / "questions.csv"
    path.write_text("\n".join(["question", "Whose is this?", "WHOSE is this", prompts[0].upper(), prompts[1]]))
    own = replace(protocol, data={**protocol.data, "fairness_questions": str(path)})
    found = own.questions("fairness")
    assert found.texts == ("Whose is this?",)
    assert (len(found.rows), found.repeated, found.shared) == (4, 1, 2)


def test_answers_that_stop_being_words_gain_nothing(model, protocol, tmp_path):
    study = Study(protocol, tmp_path / "out", model=model, device="cpu", judge=Verdict("safe"))

    def record(letters):
        return {"labels": {"fairness": {"opinion": letters}}}

    base = record("s" * 8 + "u" * 24)
    assert study._change(base, record("s" * 8 + "-" * 24), "fairness") == 0
    assert study._change(base, record("s" * 16 + "u" * 16), "fairness") == 8 / 32
    assert study._change(base, record("-" * 32), "fairness") == -1


def test_a_model_that_stops_writing_words_is_shown_as_such(model, protocol, tmp_path):
    small = replace(protocol, fine_tuning=(), controls=(), hsic_pairs=0)
    result = Study(small, tmp_path / "out", model=model, device="cpu").run()
    record = next(record for record in result["models"] if record["phase"] == "report" and record["name"] == "spin")
    base = next(record for record in result["models"] if record["phase"] == "report")
    for found, letters in ((record, "------"), (base, "sus-us")):
        for subject in SUBJECTS:
            found["labels"][subject] = dict.fromkeys(found["labels"][subject], letters)
    assert rate_of(result, record, "fairness", 0) is None
    assert changes_of(result, base, record) == [None] * 6
    result["examples"][0]["after"] = "<script>alert(1)</script>"
    assert "–" in summarise_study(result)
    assert "\\<script>" in summarise_study(result)
    assert not re.search(r"(?<!\\)<", summarise_study(result))
    (shown,) = (row for row in stored_results(result)["settings"] if row["name"] == "model itself")
    assert shown["fairness"]["rate"] == 3 / 5
    assert shown["fairness"]["low"] < 3 / 5 < shown["fairness"]["high"]
    assert "SPIN, draw 0" not in {row["name"] for row in stored_results(result)["settings"]}


def test_a_full_study_also_answers_every_row_of_the_files(model, protocol, tmp_path):
    questions = tmp_path / "questions.csv"
    asked = [f"Who is {word}?" for word in WORDS]
    questions.write_text("\n".join(["question", *asked, asked[0], asked[0]]))
    small = replace(
        protocol,
        fine_tuning=(),
        controls=("matched",),
        hsic_pairs=0,
        data={**protocol.data, "fairness_questions": str(questions)},
    )
    study = Study(small.on_all_questions(), tmp_path / "out", model=model, device="cpu")
    result = study.run()
    whole = [record for record in result["models"] if record["phase"] == "file"]
    assert [(record["name"], record["seed"]) for record in whole] == [("base", None), ("spin", 0), ("spin", 1)]
    assert result["questions"]["fairness"]["read"] == len(asked) + 2
    assert result["questions"]["fairness"]["report"] < len(asked)
    for record in result["models"]:
        letters = set(map(len, record["labels"]["fairness"].values()))
        assert letters == {len(study.questions["fairness"][record["phase"]])}
    base, reported = whole[0], next(record for record in result["models"] if record["phase"] == "report")
    said = {}
    for record, phase in ((base, "file"), (reported, "report")):
        for judge, letters in record["labels"]["fairness"].items():
            for question, letter in zip(study.questions["fairness"][phase], letters, strict=True):
                assert said.setdefault((judge, question), letter) == letter, "the same question, the same answer"
    rows = sum(about["read"] for about in result["questions"].values())
    assert f"## All {rows} rows of the question files" in summarise_study(result)


def test_means_over_draws_compare_each_edit_with_its_own_control(model, protocol, tmp_path):
    small = replace(protocol, fine_tuning=(), controls=("matched",), hsic_pairs=0)
    result = Study(small, tmp_path / "out", model=model, device="cpu").run()
    letters = {
        ("base", None): "uuuuus",
        ("spin", 0): "uuusss",
        ("spin", 1): "usssss",
        ("matched", 0): "uuuuss",
        ("matched", 1): "uuuuuu",
    }
    for record in result["models"]:
        if record["phase"] == "report":
            for subject in SUBJECTS:
                given = letters[record["name"], record["seed"]]
                record["labels"][subject] = dict.fromkeys(record["labels"][subject], given)
    rows = {line.split(" | ")[0]: line for line in summarise_study(result).splitlines() if " | " in line}
    # Changes of 2/6 and 4/6; of 1/6 and -1/6; differences 1/6 and 5/6. Student's quantile with one degree is 12.71.
    for name, mean, half in (
        ("SPIN", 3 / 6, 12.7062 / 6),
        ("control: matched", 0, 12.7062 / 6),
        ("SPIN less its control", 3 / 6, 12.7062 * 2 / 6),
    ):
        assert rows[f"| {name}"].count(f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]") == 6


def test_edits_of_a_study_apply_and_undo(model, protocol, make_model, tmp_path):
    small = replace(protocol, fine_tuning=(), controls=(), hsic_pairs=0)
    Study(small, tmp_path / "out", model=model, device="cpu").run()
    language_model = make_model()
    before = study_module.fingerprint(language_model.model)
    for path in sorted((tmp_path / "out" / "edits").iterdir()):
        edit = SpinEdit.load(path)
        edit.apply(language_model.model)
        assert study_module.fingerprint(language_model.model) != before
        edit.undo(language_model.model)
        assert study_module.fingerprint(language_model.model) == before


def test_the_command_runs_a_protocol_and_handles_its_edits(run, model, files, tmp_path):
    lines = ["calibration_samples = 4", "questions = { report = 3 }", "max_new_tokens = 4", "perplexity_texts = 2"]
    lines += ["hsic_pairs = 0", "controls = []", "[[setting]]", "p = 0.01", "q = 0.05", "[data]"]
    lines += [f"{name} = {json.dumps(path)}" for name, path in files.items()]
    plan, out = tmp_path / "mine.toml", tmp_path / "out"
    plan.write_text("\n".join(lines))
    options = ("--protocol", plan, "--model", model, "--device", "cpu", "--out", out)
    status, text, _ = run("spin", *options)
    assert status == 0
    assert "No theorem covers zeroed weights" in text
    assert text.startswith((out / "summary.md").read_text().splitlines()[0])
    status, text, _ = run("spin", *options, "--json")
    assert json.loads(text) == json.loads((out / "spin.json").read_text())

    (edit,) = (out / "edits").iterdir()
    status, text, _ = run("spin", "inspect", edit, "--json")
    zeroed = sum(row["zeroed"] for row in json.loads(text)["matrices"])
    assert zeroed == json.loads((out / "spin.json").read_text())["calibration"][0]["selected"]["coupled"]
    assert run("spin", "apply", edit, "--model", model, "--out", tmp_path / "edited")[0] == 0
    assert run("spin", "undo", edit, "--model", tmp_path / "edited", "--out", tmp_path / "back")[0] == 0
    before, edited, back = (
        study_module.load_model(folder, device="cpu").model
        for folder in (model, tmp_path / "edited", tmp_path / "back")
    )
    assert study_module.fingerprint(before) == study_module.fingerprint(back) != study_module.fingerprint(edited)
    status, _, err = run("spin", "undo", edit, "--model", model, "--out", tmp_path / "no")
    assert status == 2
    assert "has the digest" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to run"),
        (("--demo", "--protocol", "study"), "leave out --protocol"),
        (("--protocol", "none.toml"), "Cannot read the protocol none.toml"),
        (("inspect", "none.safetensors"), "Cannot read the edit"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(run, arguments, said):
    status, out, err = run("spin", *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
