"""Sentence encoder and text classifier: padding, real weights, many classes, fair fine-tuning."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer
from torch import nn
from transformers import BertConfig, BertModel

from fairbound.empirical import FairFineTuner, SentenceFeatures, TextClassifier
from fairbound.empirical.data.wheels import read_file, wheel_folder
from fairbound.empirical.errors import TrainingInputError
from fairbound.empirical.text import (
    MINILM_WHEEL,
    PADDING,
    SentenceClassifier,
    SentenceEncoder,
    TokenEncoder,
    load_minilm,
    text_list,
)

WORK = {
    "nurse": ["ward", "patients", "hospital", "injections", "shifts"],
    "surgeon": ["operations", "theatre", "hospital", "transplants", "residency"],
    "teacher": ["pupils", "school", "lessons", "classroom", "exams"],
    "painter": ["canvas", "gallery", "portraits", "oils", "exhibition"],
}


def draw_texts(n, seed):
    """Short biographies: words of the work, mixed with those of the neighbouring work by group."""
    rng = np.random.default_rng(seed)
    names = list(WORK)
    label, group = rng.integers(0, 4, n), rng.integers(0, 2, n)
    texts = []
    for y, g in zip(label, group, strict=True):
        # Of nurses and teachers in group f nearly half the words tell of the neighbouring work.
        mixed = rng.random(4) < np.where(g == 1, 0.45 if y in (0, 2) else 0.1, 0.1)
        words = [rng.choice(WORK[names[y ^ 1] if m else names[y]]) for m in mixed]
        texts.append(f"{'She' if g else 'He'} writes about {words[0]} and {words[1]}, {words[2]}, {words[3]}.")
    return texts, np.array(names)[label], np.array(["m", "f"])[group]


def tiny_encoder(seed=0):
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SentenceEncoder(BertModel(config, add_pooling_layer=False)).eval()


def draw_tokens(n, seed):
    """Rows of token ids, packed with their padding: the label is the share of high ids, shifted by group."""
    rng = np.random.default_rng(seed)
    group, length = rng.integers(0, 2, n), rng.integers(6, 13, n)
    share = rng.uniform(0.2, 0.8, n)
    high = rng.random((n, 14)) < share[:, None]
    ids = np.where(high, rng.integers(25, 40, (n, 14)), rng.integers(2, 17, (n, 14))).astype(np.int32)
    ids[:, 0] = group
    ids[np.arange(14) >= length[:, None]] = PADDING
    latent = share + 0.2 * group + 0.05 * rng.normal(size=n)
    return ids, np.digitize(latent, np.quantile(latent, [1 / 3, 2 / 3])), np.array(["a", "b"])[group]


def test_padding_neighbours_and_batches_change_nothing():
    encoder = tiny_encoder()
    ids = torch.from_numpy(draw_tokens(6, 0)[0])
    with torch.no_grad():
        together = encoder(ids)
        wider = encoder(nn.functional.pad(ids, (0, 9), value=PADDING))
        alone = torch.cat([encoder(row[row != PADDING][None]) for row in ids])
        hidden = encoder.transformer(input_ids=ids[:1, : int((ids[0] != PADDING).sum())].long()).last_hidden_state
    assert torch.equal(together, wider)
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(together[0], nn.functional.normalize(hidden[0].mean(dim=0), dim=0))


def test_fair_fine_tuning_of_a_transformer_on_packed_token_ids(delta_eo):
    ids, label, group = draw_tokens(1200, 0)
    new_ids, new_label, new_group = draw_tokens(3000, 1)
    settings = {"batch_size": 256, "epochs": 1, "min_steps": 100, "learning_rate": 5e-3}
    gaps, scores = {}, {}
    for constraint in (None, "augmented_lagrangian"):
        tuner = FairFineTuner(SentenceClassifier(tiny_encoder(), 3), constraint=constraint, **settings)
        tuner.fit(ids, label, sensitive_features=group)
        gaps[constraint] = delta_eo(new_label, tuner.predict(new_ids), new_group)
        scores[constraint] = tuner.score(new_ids, new_label)
    assert gaps[None] > 0.3
    assert gaps["augmented_lagrangian"] < gaps[None] / 2
    assert min(scores.values()) > 0.5


def test_fair_fine_tuning_of_four_professions_on_hashed_words(delta_eo):
    texts, label, group = draw_texts(3000, 0)
    new_texts, new_label, new_group = draw_texts(6000, 1)
    words = HashingVectorizer(n_features=256, alternate_sign=False)
    x, new_x = (words.transform(t).toarray().astype(np.float32) for t in (texts, new_texts))
    gaps, scores = {}, {}
    for constraint in (None, "augmented_lagrangian"):
        tuner = FairFineTuner(nn.Linear(256, 4), constraint=constraint, learning_rate=0.05)
        tuner.fit(x, label, sensitive_features=group)
        assert list(tuner.classes_) == sorted(WORK)
        gaps[constraint] = delta_eo(new_label, tuner.predict(new_x), new_group)
        scores[constraint] = tuner.score(new_x, new_label)
    assert gaps[None] > 0.2
    assert gaps["augmented_lagrangian"] < gaps[None] / 2
    assert min(scores.values()) > 0.6


def test_texts_may_come_in_any_sequence_and_nothing_else_is_a_text():
    texts = ["one", "two"]
    for given in (texts, tuple(texts), np.array(texts), np.array(texts, dtype=object), pd.Series(texts)):
        assert text_list(given) == texts
    with pytest.raises(TrainingInputError, match="entry 1 is float"):
        text_list(["one", float("nan")])
    with pytest.raises(TrainingInputError, match="must be a sequence of str"):
        text_list("one")
    with pytest.raises(TrainingInputError, match="max_tokens=2"):
        TokenEncoder(2).fit()


#: The two sentences of the model card, an empty text, the tokenizer's own padding token as text, and a long text.
SENTENCES = ["This is an example sentence", "Each sentence is converted", "", "He said [PAD] twice.", "word " * 400]


@pytest.mark.data
@pytest.mark.slow
def test_embeddings_are_those_of_the_model_card():
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    for name in MINILM_WHEEL.files:
        read_file(MINILM_WHEEL, name)
    folder = wheel_folder(MINILM_WHEEL)
    logging.disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    finally:
        logging.enable_progress_bar()
    batch = tokenizer(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    encoder = load_minilm()
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"][:, :, None].float()
        expected = nn.functional.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1), dim=1)
        found = encoder(torch.from_numpy(TokenEncoder().fit().transform(SENTENCES)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not encoder.training
    assert sum(p.numel() for p in encoder.parameters()) == 22_565_376


@pytest.mark.data
@pytest.mark.slow
def test_frozen_classifier_on_real_embeddings(tmp_path, monkeypatch, delta_eo):
    for name in MINILM_WHEEL.files:
        read_file(MINILM_WHEEL, name)
    folder = wheel_folder(MINILM_WHEEL)
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path))
    wheel_folder(MINILM_WHEEL).parent.mkdir(parents=True)
    wheel_folder(MINILM_WHEEL).symlink_to(folder)
    # Meaning: a paraphrase is nearer than another topic.
    same, close, far = SentenceFeatures().transform(["A man plays guitar.", "Someone plays music.", "Taxes rose."])
    assert same @ close > same @ far + 0.2
    texts, label, group = draw_texts(500, 0)
    new_texts, new_label, new_group = draw_texts(300, 1)
    base = clone(TextClassifier(random_state=1)).fit(texts, label)
    assert base.score(new_texts, new_label) > 0.6
    tuner = FairFineTuner(base, min_steps=150).fit(texts, label, sensitive_features=group)
    assert tuner.training_equalized_odds_ < delta_eo(label, base.predict(texts), group)
    again = TextClassifier(random_state=1).fit(texts, label)
    np.testing.assert_array_equal(again.predict_proba(new_texts), base.predict_proba(new_texts))
    assert set(tuner.predict(new_texts)) <= set(WORK)
    assert tuner.predict(new_texts).shape == new_group.shape


@pytest.mark.data
@pytest.mark.slow
def test_all_of_minilm_can_be_trained():
    texts, label, _ = draw_texts(120, 0)
    model = TextClassifier(frozen=False, max_tokens=24, epochs=3, min_steps=1, batch_size=16, learning_rate=3e-4)
    model.fit(texts[:96], label[:96])
    assert model.score(texts[96:], label[96:]) > 0.5
    before = load_minilm().transformer.embeddings.LayerNorm.weight
    assert not torch.equal(model.module_.encoder.transformer.embeddings.LayerNorm.weight, before)
