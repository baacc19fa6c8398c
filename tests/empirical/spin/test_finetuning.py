"""Fine-tuning baselines: what they change, that they learn and repeat, what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from fairbound.empirical.errors import DivergedError, TrainingInputError
from fairbound.empirical.spin.chat import encode_pair, response_loss
from fairbound.empirical.spin.errors import SampleError
from fairbound.empirical.spin.finetuning import TuningSettings, fine_tune
from fairbound.empirical.spin.layers import target_layers
from fairbound.empirical.spin.models import load_model

SETTINGS = {"full": {"learning_rate": 3e-3}, "lora": {"learning_rate": 1e-2, "rank": 4}}


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_learns_the_responses_and_is_a_function_of_its_seed(make_model, pairs, method, tmp_path):
    settings = TuningSettings(method=method, epochs=12, batch_size=2, **SETTINGS[method])
    told, states = [], []
    rng = torch.random.get_rng_state()
    for seed in (0, 0, 1):
        model = make_model()
        before = state(model.model)
        chosen = TuningSettings(**{**vars(settings), "random_state": seed})
        losses = fine_tune(model, pairs, chosen, progress=lambda *event: told.append(event))
        states.append(state(model.model))
        assert len(losses) == 24
        assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
        assert not model.model.training
        changed = {name for name, value in before.items() if not torch.equal(value, states[-1][name])}
        assert states[-1].keys() == before.keys()
        linear = target_layers(model.model, "all").keys()
        assert changed == linear if method == "lora" else changed >= linear
    assert torch.equal(torch.random.get_rng_state(), rng)
    assert told[:24] == [(i, 24) for i in range(1, 25)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])
    model.save(tmp_path)
    again = load_model(tmp_path, device="cpu").model
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model.model(ids).logits)


def test_the_loss_is_of_the_response_and_its_end_alone(make_model, pairs):
    model = make_model()
    with torch.no_grad():
        expected = [float(response_loss(model.model, encode_pair(model.tokenizer, *pair, end=True))) for pair in pairs]
    (first,) = fine_tune(model, pairs, TuningSettings(batch_size=3))
    assert first == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_batches_are_means_and_the_rate_falls_to_zero(make_model, pairs):
    # A step at rate zero would change nothing; with one step in all the rate is still the full one.
    model, steps = make_model(), []
    before = state(model.model)
    fine_tune(
        model, pairs, TuningSettings(batch_size=1, learning_rate=1e-3, epochs=4), progress=lambda *e: steps.append(e)
    )
    assert len(steps) == 12
    moved = max(float((value - before[name]).abs().max()) for name, value in model.model.state_dict().items())
    # Adam's steps are about as long as the rate; along a half cosine their rates sum up to half of 12.
    assert 1e-3 < moved < 1e-3 * 12 / 2 * 1.5


def test_bfloat16_models_learn_too_and_keep_their_format(make_model, pairs):
    model = make_model(dtype=torch.bfloat16)
    losses = fine_tune(model, pairs, TuningSettings(epochs=12, batch_size=3, learning_rate=3e-3))
    assert losses[-1] < 0.8 * losses[0]
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.bfloat16}


def test_bad_settings_and_pairs_are_refused(make_model, pairs):
    for change, said in (
        ({"method": "dora"}, "method='dora' is unknown"),
        ({"epochs": 0}, "epochs=0 is below 1"),
        ({"learning_rate": math.inf}, "learning_rate=inf is not a positive number"),
    ):
        with pytest.raises(TrainingInputError, match=said):
            TuningSettings(**change)
    model = make_model()
    with pytest.raises(SampleError, match="at least one"):
        fine_tune(model, [])
    with torch.no_grad():
        model.model.get_input_embeddings().weight[:] = float("inf")
    with pytest.raises(DivergedError, match="loss of step 1 is nan; lower the learning rate"):
        fine_tune(model, pairs, TuningSettings(method="lora"))
    assert not any("lora" in name for name, _ in model.model.named_parameters())
