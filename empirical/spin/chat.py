"""Prompts and responses as token ids, with the boundary between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fairbound.empirical.spin.errors import SampleError

#: Longest prompt and response together that is read, in tokens.
MAX_TOKENS = 512


@dataclass(frozen=True)
class Sample:
    """One prompt with its response.

    Attributes
    ----------
    ids : tuple of int
        Token ids of the prompt, then of the response.
    start : int
        Number of ids that belong to the prompt; at least one follows.
    """

    ids: tuple[int, ...]
    start: int


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Token ids after which a model answers a prompt.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
        Its chat template is applied, with the marks that open the answer; without a template the bare prompt is
        tokenised.
    prompt : str

    Returns
    -------
    list of int
        Begin with the begin-of-text token once, where the tokenizer or its template has one.
    """
    if not tokenizer.chat_template:
        plain: list[int] = tokenizer(prompt)["input_ids"]
        return plain
    turns = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    # The template writes the special tokens itself.
    templated: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return templated


def encode_pair(
    tokenizer: Any, prompt: str, response: str, *, end: bool = False, max_tokens: int = MAX_TOKENS
) -> Sample:
    """Prompt and response as the model meets them when it answers.

    The two are tokenised apart, as in generation: no token spans the boundary.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
    prompt, response : str
    end : bool, default False
        Append the end-of-text token, which a model in training must learn to give.
    max_tokens : int, default 512
        Ids beyond are cut off the end.

    Returns
    -------
    Sample

    Raises
    ------
    SampleError
        If no token of the response is left, or none precedes it.
    """
    head = prompt_ids(tokenizer, prompt)
    tail = tokenizer(response, add_special_tokens=False)["input_ids"]
    if end and tokenizer.eos_token_id is not None:
        tail = [*tail, tokenizer.eos_token_id]
    ids = (*head, *tail)[:max_tokens]
    if not head or len(ids) <= len(head):
        raise SampleError(
            f"The pair with the prompt {prompt[:40]!r} has {len(head)} prompt and {len(tail)} response tokens; at "
            f"least one of each must lie within max_tokens={max_tokens}."
        )
    return Sample(ids, len(head))


def response_loss(model: Any, sample: Sample) -> Tensor:
    """Mean negative log-likelihood of the response tokens given all before them.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A causal language model.
    sample : Sample

    Returns
    -------
    Tensor, a float32 scalar
    """
    ids = torch.tensor([sample.ids], device=model.device)
    length = len(sample.ids) - sample.start
    # Position t tells token t + 1: the last prompt token's logits are needed, the last token's are not.
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=length + 1).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits.float(), ids[0, sample.start :])
