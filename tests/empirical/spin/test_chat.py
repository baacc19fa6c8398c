"""Prompts, responses and the boundary between them."""

from __future__ import annotations

import copy

import pytest
import torch

from fairbound.empirical.spin.chat import encode_pair, prompt_ids, response_loss
from fairbound.empirical.spin.errors import SampleError


def test_boundary_and_one_begin_token(tokenizer, pairs):
    plain = copy.deepcopy(tokenizer)
    plain.chat_template = None
    for prompt, response in pairs:
        for chosen, head in ((tokenizer, f"<s><|user|>{prompt}<|end|><|assistant|>"), (plain, f"<s>{prompt}")):
            sample = encode_pair(chosen, prompt, response)
            assert chosen.decode(sample.ids[: sample.start]) == head
            assert chosen.decode(sample.ids[sample.start :]) == response
            assert sample.ids.count(chosen.bos_token_id) == 1
            assert sample.ids[0] == chosen.bos_token_id
            assert list(sample.ids[: sample.start]) == prompt_ids(chosen, prompt)
            assert encode_pair(chosen, prompt, response, end=True).ids == (*sample.ids, chosen.eos_token_id)


def test_the_same_ids_as_generation(tokenizer, pairs):
    for prompt, _ in pairs:
        turns = [{"role": "user", "content": prompt}]
        expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        assert prompt_ids(tokenizer, prompt) == expected


def test_no_token_spans_the_boundary(tokenizer):
    plain = copy.deepcopy(tokenizer)
    plain.chat_template = None
    word = max((text for text in plain.get_vocab() if text.isascii() and text.isalpha()), key=len)
    joined = plain(word)["input_ids"]
    sample = encode_pair(plain, word[:1], word[1:])
    assert len(joined) == 2
    assert len(sample.ids) > 2
    assert sample.start == 2


def test_pairs_without_a_response_in_reach_are_refused(tokenizer):
    with pytest.raises(SampleError, match="0 response tokens"):
        encode_pair(tokenizer, "Why?", "")
    head = len(prompt_ids(tokenizer, "Why?"))
    assert len(encode_pair(tokenizer, "Why?", "Because.", max_tokens=head + 1).ids) == head + 1
    with pytest.raises(SampleError, match=f"within max_tokens={head}"):
        encode_pair(tokenizer, "Why?", "Because.", max_tokens=head)


def test_loss_is_the_likelihood_of_the_response_alone(make_model, family, pairs):
    model = make_model(family)
    for prompt, response in pairs:
        sample = encode_pair(model.tokenizer, prompt, response)
        ids = torch.tensor([sample.ids])
        labels = ids.clone()
        labels[0, : sample.start] = -100
        with torch.no_grad():
            expected = model.model(input_ids=ids, labels=labels).loss
            logs = torch.log_softmax(model.model(input_ids=ids).logits[0], dim=-1)
            by_hand = -sum(logs[t - 1, sample.ids[t]] for t in range(sample.start, len(sample.ids)))
            found = response_loss(model.model, sample)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(found, by_hand / (len(sample.ids) - sample.start))
