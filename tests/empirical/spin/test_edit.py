"""Edits: applied, undone bit for bit, stored, and refused where they do not fit."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load, save
from transformers import AutoModelForCausalLM

from fairbound.empirical.spin import edit as edit_module
from fairbound.empirical.spin.edit import SpinEdit, digest
from fairbound.empirical.spin.errors import EditFileError
from fairbound.empirical.spin.importance import importance
from fairbound.empirical.spin.layers import blocks, target_layers
from fairbound.empirical.spin.models import load_model
from fairbound.empirical.spin.selection import select, selected_count


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name].view(torch.uint8), second[name].view(torch.uint8)) for name in first
    )


def some_weights(model, module="all"):
    return {
        name: torch.arange(3 + i, 200, 7 * i + 5) for i, (name, _) in enumerate(target_layers(model, module).items())
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_undo_restores_every_bit(make_model, family, dtype, tmp_path):
    language_model = make_model(family, dtype=dtype)
    model = language_model.model
    selection = some_weights(model)
    with torch.no_grad():
        # A negative zero is another bit pattern than the zero that replaces it.
        next(iter(target_layers(model).values())).weight.view(-1)[3] = -0.0
    before = state(model)
    path = tmp_path / "edit.safetensors"
    made = SpinEdit.of(language_model, selection)
    assert same(state(model), before)
    made.save(path)
    SpinEdit.load(path).apply(model)
    after = state(model)
    for name, value in after.items():
        changed = torch.nonzero(value.reshape(-1) != before[name].reshape(-1)).reshape(-1)
        assert set(changed.tolist()) <= set(selection.get(name, torch.empty(0)).tolist())
    for name, chosen in selection.items():
        assert not after[name].reshape(-1)[chosen].any()
    assert not same(after, before)
    SpinEdit.load(path).undo(model)
    assert same(state(model), before)


def test_selected_weights_edited_saved_and_reloaded(make_model, pairs, tmp_path):
    language_model = make_model(tie_word_embeddings=True)
    model = language_model.model
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    scores = [importance(language_model, [pair]) for pair in pairs]
    selection = select(scores[2], scores[0], scores[1], p=0.02, q=0.05)
    made = SpinEdit.of(language_model, selection)
    assert sum(row["zeroed"] for row in made.summary()) == selected_count(selection)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        untouched = model(ids).logits
        made.apply(model)
        edited = model(ids).logits
    assert not torch.equal(edited, untouched)
    language_model.save(tmp_path / "edited")
    again = load_model(tmp_path / "edited", device="cpu")
    with torch.no_grad():
        assert torch.equal(again.model(ids).logits, edited)
        made.undo(again.model)
        assert torch.equal(again.model(ids).logits, untouched)
    assert again.tokenizer("A pear.")["input_ids"] == language_model.tokenizer("A pear.")["input_ids"]
    assert again.tokenizer.chat_template == language_model.tokenizer.chat_template


def test_an_edit_fits_only_its_own_weights(make_model, tmp_path):
    language_model = make_model()
    model = language_model.model
    made = SpinEdit.of(language_model, some_weights(model))
    with pytest.raises(EditFileError, match="needs to be undone; load the very weights"):
        made.undo(model)
    other = make_model(seed=1).model
    before = state(other)
    with pytest.raises(EditFileError, match="needs to be applied; load the very weights"):
        made.apply(other)
    assert same(state(other), before)
    with pytest.raises(EditFileError, match="has no weight model"):
        made.apply(make_model("gpt_neox").model)
    with pytest.raises(EditFileError, match="in the same number format"):
        made.apply(make_model(dtype=torch.bfloat16).model)
    # One bit of the last matrix: nothing is written to the first ones either.
    last = list(target_layers(model, "all").values())[-1]
    with torch.no_grad():
        last.weight[0, 0] = torch.nextafter(last.weight[0, 0], torch.tensor(9.0))
    before = state(model)
    with pytest.raises(EditFileError, match=digest(last.weight)[:16]):
        made.apply(model)
    assert same(state(model), before)
    made = SpinEdit.of(language_model, some_weights(model))
    made.apply(model)
    with pytest.raises(EditFileError, match="needs to be applied"):
        made.apply(model)


def test_what_cannot_be_edited_is_refused(make_model):
    language_model = make_model()
    name = next(iter(target_layers(language_model.model)))
    with pytest.raises(EditFileError, match="goes beyond its 1536 weights"):
        SpinEdit.of(language_model, {name: torch.tensor([1536])})
    with pytest.raises(EditFileError, match="is empty"):
        SpinEdit.of(language_model, {name: torch.tensor([], dtype=torch.int64)})
    with pytest.raises(EditFileError, match="no weight absent"):
        SpinEdit.of(language_model, {"absent": torch.tensor([1])})
    first, second = list(blocks(language_model.model).values())[:2]
    second.mlp.up_proj.weight = first.mlp.up_proj.weight
    shared = {f"model.layers.{i}.mlp.up_proj.weight": torch.tensor([1]) for i in (0, 1)}
    with pytest.raises(EditFileError, match="one shared matrix"):
        SpinEdit.of(language_model, shared)


@pytest.fixture
def stored(make_model, tmp_path):
    """Path of a valid edit, its arrays and its metadata, and a model that it fits."""
    language_model = make_model()
    path = tmp_path / "edit.safetensors"
    name = next(iter(target_layers(language_model.model)))
    SpinEdit.of(language_model, {name: torch.tensor([2, 5, 9])}).save(path)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return path, load(content), header["__metadata__"], language_model.model, name


def test_the_file_holds_what_its_format_says(stored):
    path, arrays, metadata, model, name = stored
    assert arrays.keys() == {f"{name}:indices", f"{name}:values"}
    assert arrays[f"{name}:indices"].dtype == torch.int32
    assert arrays[f"{name}:indices"].tolist() == [2, 5, 9]
    assert torch.equal(arrays[f"{name}:values"], model.get_parameter(name).detach().reshape(-1)[[2, 5, 9]])
    assert metadata.keys() == {"format_version", "model", "matrices"}
    assert metadata["format_version"] == "spin-edit/1"
    (shape, before, _after) = json.loads(metadata["matrices"])[name]
    assert shape == [48, 32]
    assert before == digest(model.get_parameter(name))
    (row,) = SpinEdit.load(path).summary()
    assert row == {
        "name": name,
        "zeroed": 3,
        "of": 1536,
        "largest": pytest.approx(float(arrays[f"{name}:values"].abs().max())),
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("indices", torch.tensor([5, 2, 9], dtype=torch.int32)),
        ("indices", torch.tensor([2, 2, 9], dtype=torch.int32)),
        ("indices", torch.tensor([-1, 5, 9], dtype=torch.int32)),
        ("indices", torch.tensor([2, 5, 1536], dtype=torch.int32)),
        ("indices", torch.tensor([2, 5], dtype=torch.int32)),
        ("indices", torch.tensor([2.0, 5.0, 9.0])),
        ("indices", torch.empty(0, dtype=torch.int32)),
        ("values", torch.tensor([[0.1, 0.2, 0.3]])),
        ("values", torch.tensor([1, 2, 3])),
    ],
)
def test_arrays_that_no_edit_has_are_refused(stored, field, value):
    path, arrays, metadata, _, name = stored
    path.write_bytes(save({**arrays, f"{name}:{field}": value}, metadata))
    with pytest.raises(EditFileError, match="is no spin-edit/1 file"):
        SpinEdit.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"matrices": "{"},
        {"matrices": "[]"},
        {"matrices": "{}"},
        {"matrices": "[" * 100_000},
        {"matrices": '{"w": 1}'},
        {"matrices": '{"absent": [[48, 32], "0", "0"]}'},
        {"shape": [48, 10**30]},
        {"shape": [48.0, 32]},
        {"shape": [True, 32]},
        {"shape": 48},
        {"before": "abc"},
        {"before": 7},
        {"after": "g" * 64},
    ],
)
def test_metadata_that_no_edit_has_are_refused(stored, change):
    path, arrays, metadata, _, name = stored
    if "matrices" not in change:
        fields = dict(zip(("shape", "before", "after"), json.loads(metadata["matrices"])[name], strict=True))
        change = {"matrices": json.dumps({name: list({**fields, **change}.values())})}
    path.write_bytes(save(arrays, {**metadata, **change}))
    with pytest.raises(EditFileError, match="is no spin-edit/1 file") as raised:
        SpinEdit.load(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_files_that_are_no_edits_are_refused(stored, tmp_path, monkeypatch):
    path, arrays, metadata, _, _ = stored
    content = path.read_bytes()
    for bad in (b"", b"x" * 200, content[:-3], content[:40], save(arrays)):
        path.write_bytes(bad)
        with pytest.raises(EditFileError, match="is no spin-edit/1 file"):
            SpinEdit.load(path)
    path.write_bytes(save(arrays, {**metadata, "format_version": "spin-edit/2"}))
    with pytest.raises(EditFileError, match="has the format 'spin-edit/2', not 'spin-edit/1'"):
        SpinEdit.load(path)
    path.write_bytes(content)
    monkeypatch.setattr(edit_module, "MAX_BYTES", len(content) - 1)
    with pytest.raises(EditFileError, match="the limit for edits"):
        SpinEdit.load(path)
    with pytest.raises(EditFileError, match="Cannot read the edit"):
        SpinEdit.load(tmp_path / "absent")
    with pytest.raises(EditFileError, match="Cannot write the edit"):
        SpinEdit("none", {}).save(tmp_path / "absent" / "edit")


def test_a_changed_value_is_caught_before_it_is_written(stored):
    path, arrays, metadata, model, name = stored
    SpinEdit.load(path).apply(model)
    arrays[f"{name}:values"][1] += 1e-6
    path.write_bytes(save(arrays, metadata))
    before = state(model)
    with pytest.raises(EditFileError, match=rf"edit of {name} does not lead to its recorded digest .* damaged"):
        SpinEdit.load(path).undo(model)
    assert same(state(model), before)


def test_transformers_reads_an_edited_model_by_itself(make_model, tmp_path):
    language_model = make_model("gpt_neox")
    SpinEdit.of(language_model, some_weights(language_model.model)).apply(language_model.model)
    language_model.save(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    assert same(state(again), state(language_model.model))
