"""Importance scores: layers of each family, the definition, one pass against many, files."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fairbound.empirical.spin.chat import encode_pair, response_loss
from fairbound.empirical.spin.errors import LanguageModelError, SampleError, ScoreFileError
from fairbound.empirical.spin.importance import add_gradients, importance
from fairbound.empirical.spin.layers import blocks, target_layers
from fairbound.empirical.spin.scores import ScoreFile

MLP_LAYERS = {"gpt_neox": 2}
ATTENTION_LAYERS = {"gpt_neox": 2}


def test_linear_layers_of_each_family(make_model, family):
    model = make_model(family).model
    found = {module: target_layers(model, module) for module in ("mlp", "self_attn", "all")}
    mlp, attention = MLP_LAYERS.get(family, 3), ATTENTION_LAYERS.get(family, 4)
    assert [len(layers) for layers in found.values()] == [3 * mlp, 3 * attention, 3 * (mlp + attention)]
    assert found["all"].keys() == found["mlp"].keys() | found["self_attn"].keys()
    for name, layer in found["all"].items():
        assert model.get_parameter(name) is layer.weight
    assert len(blocks(model)) == 3
    assert not any("embed" in name or "lm_head" in name for name in found["all"])


def test_what_has_no_such_layers_is_refused(make_model):
    model = make_model().model
    with pytest.raises(LanguageModelError, match="module='head' is unknown"):
        target_layers(model, "head")
    for block in blocks(model).values():
        block.mlp = nn.Identity()
    with pytest.raises(LanguageModelError, match=r"no torch\.nn\.Linear under 'mlp'"):
        target_layers(model)


def test_a_shared_weight_is_listed_once(make_model):
    model = make_model().model
    first, second = list(blocks(model).values())[:2]
    second.mlp.up_proj.weight = first.mlp.up_proj.weight
    assert len(target_layers(model)) == 8


def definition(language_model, pairs, layers):
    """|W| times the sum of absolute gradients, by the definition, one sample and one layer at a time."""
    scores = {}
    for name, layer in layers.items():
        total = torch.zeros_like(layer.weight)
        for prompt, response in pairs:
            sample = encode_pair(language_model.tokenizer, prompt, response)
            total += torch.autograd.grad(response_loss(language_model.model, sample), layer.weight)[0].abs()
        scores[name] = (layer.weight.abs() * total).detach()
    return scores


@pytest.mark.parametrize("module", ["mlp", "self_attn", "all"])
def test_one_pass_gives_the_definition(make_model, family, pairs, module):
    model = make_model(family)
    expected = definition(model, pairs, target_layers(model.model, module))
    found = importance(model, pairs, module=module)
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-8)
        assert found[name].max() > 0


def test_one_pass_equals_a_pass_for_each_block(make_model, pairs):
    model = make_model()
    samples = [encode_pair(model.tokenizer, *pair) for pair in pairs]
    layers = target_layers(model.model)
    together, apart = ({name: torch.zeros_like(layer.weight) for name, layer in layers.items()} for _ in range(2))
    add_gradients(model.model, samples, layers, together)
    for block in blocks(model.model):
        add_gradients(model.model, samples, {n: v for n, v in layers.items() if n.startswith(f"{block}.")}, apart)
    for name in layers:
        torch.testing.assert_close(together[name], apart[name], rtol=1e-5, atol=1e-9)


def test_absolute_values_are_summed_per_sample(make_model, pairs):
    model = make_model()
    apart = [importance(model, [pair]) for pair in pairs]
    together = importance(model, pairs)
    for name, scores in together.items():
        torch.testing.assert_close(scores, sum(part[name] for part in apart))
    # A batch's gradient is another number: signs of samples cancel in it.
    layers = target_layers(model.model)
    name, layer = next(iter(layers.items()))
    losses = [response_loss(model.model, encode_pair(model.tokenizer, *pair)) for pair in pairs]
    batch = (layer.weight.abs() * torch.autograd.grad(sum(losses), layer.weight)[0].abs()).detach()
    assert float(batch.sum()) < 0.9 * float(together[name].sum())


def test_the_model_is_left_as_it_was_and_no_gradient_stays(make_model, pairs):
    language_model = make_model()
    model = language_model.model
    flags = {}
    for i, (name, parameter) in enumerate(model.named_parameters()):
        flags[name] = parameter.requires_grad = i % 2 == 0
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    layers = target_layers(model, "all")
    alive, told = [], []

    def progress(done, total):
        alive.append(sum(parameter.grad is not None for parameter in model.parameters()))
        told.append((done, total))

    importance(language_model, pairs, module="all", progress=progress)
    assert alive == [0, 0, 0]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert model.training
    assert {name: parameter.requires_grad for name, parameter in model.named_parameters()} == flags
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.zero_grad()
    response_loss(model, encode_pair(language_model.tokenizer, *pairs[0])).backward()
    kept = [layer.weight for layer in layers.values() if layer.weight.requires_grad]
    assert kept
    assert all(weight.grad is not None for weight in kept)


def test_gradients_of_earlier_passes_do_not_count(make_model, pairs):
    model = make_model()
    expected = importance(model, pairs[:1])
    response_loss(model.model, encode_pair(model.tokenizer, *pairs[1])).backward()
    found = importance(model, pairs[:1])
    assert all(torch.equal(found[name], scores) for name, scores in expected.items())


def test_gradients_do_not_pile_up_within_a_pass(make_model, pairs):
    model = make_model()
    most = 0

    layers = target_layers(model.model)
    hooks = []

    def count(weight):
        nonlocal most
        most = max(most, sum(p.grad is not None for p in model.model.parameters()))

    for layer in layers.values():
        layer.weight.requires_grad_(True)
        hooks.append(layer.weight.register_post_accumulate_grad_hook(count))
    sums = {name: torch.zeros_like(layer.weight) for name, layer in layers.items()}
    add_gradients(model.model, [encode_pair(model.tokenizer, *pairs[0])], layers, sums)
    for hook in hooks:
        hook.remove()
    assert most == 1


def test_scores_on_disk_are_those_in_memory(make_model, pairs, tmp_path):
    model = make_model()
    expected = importance(model, pairs)
    path = tmp_path / "scores.safetensors"
    found = importance(model, pairs, path=path)
    assert set(found) == set(expected)
    assert found.details == {"model": "tiny-llama", "module": "mlp", "samples": "3"}
    assert len(found) == len(expected)
    whole = load_file(path)
    for name, scores in expected.items():
        assert torch.equal(found[name], scores)
        assert torch.equal(whole[name], scores)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(KeyError):
        found["absent"]


def test_bad_score_files_and_samples_are_refused(make_model, pairs, tmp_path):
    model = make_model()
    path = tmp_path / "scores.safetensors"
    importance(model, pairs[:1], path=path)
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    with pytest.raises(ScoreFileError, match="Cannot read the scores"):
        ScoreFile(path)
    path.write_bytes(content.replace(b"spin-scores/1", b"spin-scores/9"))
    with pytest.raises(ScoreFileError, match="no scores of the format"):
        ScoreFile(path)
    with pytest.raises(ScoreFileError, match="Cannot write the scores"):
        importance(model, pairs, path=tmp_path / "absent" / "scores")
    with pytest.raises(SampleError, match="at least one"):
        importance(model, [])
    with torch.no_grad():
        model.model.get_input_embeddings().weight[:] = float("nan")
    with pytest.raises(LanguageModelError, match="loss of sample 0 is nan"):
        importance(model, pairs)


def test_bfloat16_models_give_float32_scores_near_those_of_float32(make_model, pairs):
    exact, rough = importance(make_model(), pairs), importance(make_model(dtype=torch.bfloat16), pairs)
    for name in exact:
        assert rough[name].dtype == torch.float32
        correlation = torch.corrcoef(torch.stack([exact[name].reshape(-1), rough[name].reshape(-1)]))[0, 1]
        assert correlation > 0.9
