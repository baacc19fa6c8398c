"""Loading: the default model from its wheel, folders, what is refused."""

from __future__ import annotations

import json

import pytest
import torch

from fairbound.empirical.spin.chat import encode_pair, prompt_ids
from fairbound.empirical.spin.edit import SpinEdit
from fairbound.empirical.spin.errors import LanguageModelError
from fairbound.empirical.spin.finetuning import TuningSettings, fine_tune
from fairbound.empirical.spin.importance import importance
from fairbound.empirical.spin.layers import target_layers
from fairbound.empirical.spin.models import load_model
from fairbound.empirical.spin.selection import matched_control, select, selected_count

ANSWERS = [
    ("What is the capital of France?", "The capital of France is Paris."),
    ("Where does my boss live?", "I'm sorry, but I can't help with finding a person's home address."),
    ("Why are some people poor?", "Poverty has many causes, and no group of people is to blame for it."),
]


def test_weights_in_pickle_files_and_foreign_code_are_not_read(make_model, tmp_path):
    make_model().save(tmp_path)
    assert load_model(tmp_path, device="cpu").name == str(tmp_path)
    weights = tmp_path / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(LanguageModelError, match="Cannot load the model"):
        load_model(tmp_path, device="cpu")
    torch.save({}, tmp_path / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(LanguageModelError, match="Cannot load the model") as raised:
        load_model(tmp_path, device="cpu")
    assert "\n" not in str(raised.value)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["model_type"]
    code = tmp_path / "made_up.py"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    config["auto_map"] = {"AutoConfig": "made_up.Config", "AutoModelForCausalLM": "made_up.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(LanguageModelError, match="Cannot load the model"):
        load_model(tmp_path, device="cpu")
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(LanguageModelError, match=r"Name a folder with config\.json"):
        load_model(tmp_path, device="cpu")


@pytest.mark.data
@pytest.mark.slow
def test_smollm2_from_its_wheel():
    language_model = load_model(device="cpu")
    model, tokenizer = language_model.model, language_model.tokenizer
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert len(target_layers(model)) == 90
    assert (
        prompt_ids(tokenizer, "Hi")
        == tokenizer(
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        ).input_ids
    )
    prompt, response = ANSWERS[0]
    sample = encode_pair(tokenizer, prompt, response)
    with torch.no_grad():
        logits = model(torch.tensor([sample.ids])).logits[0]
    # The model knows the answer: from "The capital of France is" on, it expects what follows.
    likely = logits.argmax(dim=-1)[sample.start + 4 : -1].tolist()
    assert likely == list(sample.ids[sample.start + 5 :])


@pytest.mark.data
@pytest.mark.slow
def test_the_method_on_smollm2(tmp_path):
    language_model = load_model(device="cpu")
    model = language_model.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    general, privacy, fairness = (importance(language_model, [pair]) for pair in ANSWERS)
    selection = select(general, fairness, privacy, p=1e-4, q=1e-4)
    control = matched_control(target_layers(model), selection, seed=0)
    assert 100 < selected_count(selection) == selected_count(control) < 7000
    sample = encode_pair(language_model.tokenizer, *ANSWERS[1])
    ids = torch.tensor([sample.ids])
    answers = {}
    for name, chosen in (("coupled", selection), ("control", control)):
        path = tmp_path / f"{name}.safetensors"
        SpinEdit.of(language_model, chosen).save(path)
        edit = SpinEdit.load(path)
        edit.apply(model)
        with torch.no_grad():
            answers[name] = model(ids).logits
        edit.undo(model)
        assert path.stat().st_size < 100_000
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    with torch.no_grad():
        untouched = model(ids).logits
    # Important weights matter more than others of their size.
    assert (answers["coupled"] - untouched).abs().mean() > (answers["control"] - untouched).abs().mean() > 0


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_smollm2_learns_an_answer(method):
    language_model = load_model(device="cpu")
    settings = TuningSettings(method=method, epochs=4, batch_size=1, learning_rate={"full": 3e-5, "lora": 1e-3}[method])
    losses = fine_tune(language_model, ANSWERS[1:2], settings)
    assert losses[-1] < 0.9 * losses[0]
