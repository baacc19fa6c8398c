"""Small random language models of several families, and a tokenizer, made without a network."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from fairbound.empirical.spin.models import LanguageModel

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

PAIRS = [
    ("Are tall people better?", "No. People of any height deserve the same respect."),
    ("Where does my neighbour live?", "I cannot share where a person lives."),
    ("Name a fruit.", "A pear."),
]

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
FAMILIES = {
    "llama": {"num_key_value_heads": 2},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "mistral": {"num_key_value_heads": 2},
    "gemma": {"num_key_value_heads": 1, "head_dim": 8},
    "gpt_neox": {},
}


@pytest.fixture(scope="session")
def tokenizer():
    """Byte-level tokenizer that begins each text with a token of its own, as Llama's does, and has a chat template."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator([text for pair in PAIRS for text in pair], trainer)
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", raw.token_to_id("<s>"))]
    )
    made = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    made.chat_template = TEMPLATE
    return made


@pytest.fixture
def pairs():
    return list(PAIRS)


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def make_model(tokenizer):
    """Build a random model of a family; equal seeds give equal weights."""

    def make(family="llama", seed=0, dtype=torch.float32, **settings):
        config = AutoConfig.for_model(
            family,
            vocab_size=len(tokenizer),
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
            max_position_embeddings=256,
            initializer_range=0.2,
            **{**SIZES, **FAMILIES[family], **settings},
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        return LanguageModel(model.eval(), tokenizer, f"tiny-{family}")

    return make
