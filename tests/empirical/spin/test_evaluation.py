"""Greedy answers, their file, and perplexity, on random models."""

from __future__ import annotations

import json
import math

import pytest
import torch

from fairbound.bounds.errors import EmptyInputError, FileFormatError, NumberError
from fairbound.empirical.errors import TrainingInputError
from fairbound.empirical.spin.chat import encode_pair, prompt_ids
from fairbound.empirical.spin.evaluation import GenerationSettings, fingerprint, generate_answers, perplexity
from fairbound.empirical.spin.texts import Pair

QUESTIONS = ["Why?", "Who lives next to the old mill?", "Name a fruit.", "Is that so, and if it is, since when?", "No?"]
SHORT = GenerationSettings(max_new_tokens=8)


def next_tokens(language_model, ids, limit):
    """Greedy decoding with neither cache nor padding, one whole pass per token."""
    ids, start = list(ids), len(ids)
    for _ in range(limit):
        with torch.no_grad():
            token = int(language_model.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        if token == language_model.tokenizer.eos_token_id:
            return ids[start:], True
        ids.append(token)
    return ids[start:], False


@pytest.mark.parametrize("name", ["llama", "gpt_neox"])
def test_answers_of_every_batch_size_are_the_likeliest_tokens(make_model, name):
    language_model = make_model(name, dtype=torch.float64)
    expected = []
    for question in QUESTIONS:
        tokens, finished = next_tokens(language_model, prompt_ids(language_model.tokenizer, question), 8)
        text = language_model.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        expected.append((question, text, len(tokens), finished))
    for size in (1, 2, 5):
        answers = generate_answers(language_model, QUESTIONS, settings=SHORT, batch_size=size)
        assert [tuple(vars(a).values()) for a in answers] == expected


def test_answer_ends_where_the_model_ends_it(make_model):
    language_model = make_model(dtype=torch.float64)
    free = generate_answers(language_model, QUESTIONS[:1], settings=SHORT)[0]
    tokens, _ = next_tokens(language_model, prompt_ids(language_model.tokenizer, QUESTIONS[0]), 8)
    later = next(token for token in tokens if token != tokens[0])
    language_model.model.generation_config.eos_token_id = [1, later]
    cut = generate_answers(language_model, QUESTIONS, settings=SHORT)[0]
    assert cut.finished
    assert cut.tokens == tokens.index(later) < free.tokens


def test_models_own_sampling_defaults_do_not_matter(make_model):
    language_model = make_model(dtype=torch.float64)
    plain = generate_answers(language_model, QUESTIONS, settings=SHORT)
    language_model.model.generation_config.repetition_penalty = 5.0
    language_model.model.generation_config.do_sample = True
    assert generate_answers(language_model, QUESTIONS, settings=SHORT) == plain


def test_answers_resume_after_a_kill(make_model, tmp_path):
    language_model, path = make_model(dtype=torch.float64), tmp_path / "new" / "answers.jsonl"
    seen = []
    first = generate_answers(
        language_model, QUESTIONS, settings=SHORT, batch_size=2, out=path, progress=lambda *p: seen.append(p)
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    seen.clear()
    again = generate_answers(
        language_model, QUESTIONS, settings=SHORT, batch_size=2, out=path, progress=lambda *p: seen.append(p)
    )
    assert again == first
    assert seen == [(3, 5), (5, 5)]
    assert sorted(path.read_bytes().splitlines()) == sorted(line.rstrip() for line in lines)


def test_answers_are_kept_apart_by_weights_and_settings(make_model, tmp_path):
    path, language_model = tmp_path / "answers.jsonl", make_model(dtype=torch.float64)
    generate_answers(language_model, QUESTIONS, settings=SHORT, out=path)
    other = GenerationSettings(max_new_tokens=8, chat=False)
    generate_answers(language_model, QUESTIONS, settings=other, out=path)
    with torch.no_grad():
        next(language_model.model.parameters())[0, 0] += 1e-3
    generate_answers(language_model, QUESTIONS, settings=SHORT, out=path)
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 15


def test_repeated_question_is_answered_once(make_model):
    answers = generate_answers(make_model(), ["Why?", "Name a fruit.", "Why?"], settings=SHORT)
    assert answers[0] is answers[2]


def test_fingerprint_sees_one_weight(make_model):
    one, same, other = make_model(), make_model(), make_model(seed=1)
    assert fingerprint(one.model) == fingerprint(same.model) != fingerprint(other.model)
    with torch.no_grad():
        next(same.model.parameters())[3, 5] = 0
    assert fingerprint(one.model) != fingerprint(same.model)
    assert fingerprint(make_model(dtype=torch.bfloat16).model) != fingerprint(one.model)


def test_bad_questions_and_files_are_refused(make_model, tmp_path):
    language_model = make_model()
    with pytest.raises(EmptyInputError, match="no questions"):
        generate_answers(language_model, [])
    with pytest.raises(NumberError, match="batch_size=0"):
        generate_answers(language_model, QUESTIONS, batch_size=0)
    with pytest.raises(NumberError, match="max_new_tokens=0"):
        GenerationSettings(max_new_tokens=0)
    with pytest.raises(TrainingInputError, match="not between 1 and 4"):
        generate_answers(language_model, QUESTIONS, settings=GenerationSettings(max_prompt_tokens=4))
    (tmp_path / "a.jsonl").write_text('{"key": "x"}\n')
    with pytest.raises(FileFormatError, match="Line 1 of"):
        generate_answers(language_model, QUESTIONS, out=tmp_path / "a.jsonl")


def test_perplexity_weighs_every_response_token_alike(make_model):
    language_model = make_model(dtype=torch.float64)
    pairs = [Pair("Name a fruit.", "A pear."), Pair("And?", "A plum, a quince, and then some more of them.")]
    total, count = 0.0, 0
    for pair in pairs:
        sample = encode_pair(language_model.tokenizer, *pair)
        with torch.no_grad():
            logits = language_model.model(input_ids=torch.tensor([sample.ids])).logits[0]
        for position in range(sample.start, len(sample.ids)):
            total -= float(logits[position - 1].log_softmax(0)[sample.ids[position]])
            count += 1
    found = perplexity(language_model, pairs)
    assert found.tokens == count
    assert found.value == pytest.approx(math.exp(total / count), rel=1e-5)
    assert str(found).endswith(f"over {count} tokens")


def test_long_texts_are_read_in_pieces(make_model):
    language_model = make_model(dtype=torch.float64)
    text = "A pear, or a plum, or a quince, and then a pear again."
    length = len(language_model.tokenizer(text)["input_ids"])
    assert perplexity(language_model, [text]).tokens == length - 1
    pieces = perplexity(language_model, [text], max_tokens=10)
    assert pieces.tokens == length - -(-length // 10)
    with pytest.raises(EmptyInputError, match="no token"):
        perplexity(language_model, [])
    with pytest.raises(NumberError, match="max_tokens=1"):
        perplexity(language_model, [text], max_tokens=1)


def test_uniform_model_has_the_perplexity_of_its_vocabulary(make_model):
    language_model = make_model()
    with torch.no_grad():
        language_model.model.get_output_embeddings().weight.zero_()
    found = perplexity(language_model, [Pair("Name a fruit.", "A pear.")])
    assert found.value == pytest.approx(len(language_model.tokenizer), rel=1e-5)
