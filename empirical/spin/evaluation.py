"""What a causal language model answers, and how well it predicts held-out text."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairbound.bounds.errors import EmptyInputError, NumberError
from fairbound.empirical.errors import ProtocolError, TrainingInputError
from fairbound.empirical.json_lines import append_lines, resume_lines
from fairbound.empirical.spin.chat import MAX_TOKENS, Sample, encode_pair, prompt_ids, response_loss
from fairbound.empirical.spin.models import LanguageModel
from fairbound.empirical.spin.texts import Pair

_KEYS = frozenset({"key", "question", "answer", "tokens", "finished"})


@dataclass(frozen=True)
class GenerationSettings:
    """How answers are generated; greedily in any case.

    Attributes
    ----------
    max_new_tokens : int
        Length at which an answer is cut off; 64 in SPIN.
    chat : bool
        Ask as in a chat (`fairbound.empirical.spin.chat.prompt_ids`). SPIN's published code gives the bare question.
    max_prompt_tokens : int
        Longer questions are refused.
    """

    max_new_tokens: int = 64
    chat: bool = True
    max_prompt_tokens: int = 1024

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "max_prompt_tokens"):
            if getattr(self, name) < 1:
                raise NumberError(f"{name}={getattr(self, name)} is below 1.")


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes
    ----------
    question, answer : str
    tokens : int
        Generated tokens, without the one that ended the answer.
    finished : bool
        Whether the model ended the answer itself.
    """

    question: str
    answer: str
    tokens: int
    finished: bool


def fingerprint(model: nn.Module) -> str:
    """SHA-256 of a model's weights and buffers, with their names, types and shapes.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    str
        64 hexadecimal digits; the same on every device.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().reshape(-1).cpu().contiguous()
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tokenizer_digest(tokenizer: Any) -> str:
    """SHA-256 of a tokenizer: its vocabulary, merges and rules, special tokens and chat template.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    fast = getattr(tokenizer, "backend_tokenizer", None)
    rules = sorted(tokenizer.get_vocab().items()) if fast is None else fast.to_str()
    about = [rules, {name: str(token) for name, token in tokenizer.special_tokens_map.items()}, tokenizer.chat_template]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def generate_answers(
    language_model: LanguageModel,
    questions: Sequence[str],
    *,
    settings: GenerationSettings | None = None,
    batch_size: int = 32,
    out: str | os.PathLike[str] | None = None,
    model_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Greedy answers of a model.

    Questions of like length are answered together, filled up on the left. A batch rounds floating-point sums in an
    order of its own, so two batch sizes may differ where two tokens are nearly equally likely; they agree otherwise.

    Parameters
    ----------
    language_model : LanguageModel
        Its model is put into evaluation mode.
    questions : sequence of str
    settings : GenerationSettings, optional
    batch_size : int, default 32
    out : path, optional
        File of JSON lines to which each batch is added as it comes. Answers that it holds already, by the same model
        to the same question under the same settings, are not generated again; a last line torn by a kill is dropped.
        One process may write to it at a time.
    model_id : str, optional
        What tells models apart in `out`; default: `fingerprint`.
    progress : callable, optional
        Called with the numbers of questions answered and in all.

    Returns
    -------
    list of Answer
        In the order of `questions`.

    Raises
    ------
    EmptyInputError
        If there are no questions.
    NumberError
        If `batch_size` is below 1.
    TrainingInputError
        If a question is too long, or the tokenizer has no token to fill up or to end with.
    FileFormatError
        If a line of `out` is damaged.
    ProtocolError
        If `out` cannot be written.
    """
    settings = settings or GenerationSettings()
    if not questions:
        raise EmptyInputError("There are no questions to answer.")
    if batch_size < 1:
        raise NumberError(f"batch_size={batch_size} is below 1.")
    path = None if out is None else Path(out)
    stem = ""
    known: dict[str, Answer] = {}
    try:
        if path is not None:
            stem = json.dumps([model_id or fingerprint(language_model.model), vars(settings)], sort_keys=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            known = {record["key"]: _answer(record) for record in resume_lines(path, _KEYS)}
        keys = [_key(stem, question) for question in questions]
        missing = {key: question for key, question in zip(keys, questions, strict=True) if key not in known}
        done = sum(key in known for key in keys)
        if progress is not None and done:
            progress(done, len(keys))
        for batch in _batches(language_model.tokenizer, missing, settings, batch_size):
            answers = _generate(language_model, batch, settings)
            if path is not None:
                append_lines(path, [{"key": key, **vars(answer)} for key, answer in answers.items()])
            known |= answers
            done = sum(key in known for key in keys)
            if progress is not None:
                progress(done, len(keys))
    except OSError as error:
        raise ProtocolError(f"Cannot write answers to {path}: {error.strerror}.") from error
    return [known[key] for key in keys]


@dataclass(frozen=True)
class Perplexity:
    """How well a model predicts text.

    Attributes
    ----------
    nll : float
        Sum over the tokens of minus the natural logarithm of the probability given to each.
    tokens : int
        Number of tokens predicted.
    """

    nll: float
    tokens: int

    @property
    def value(self) -> float:
        """``exp(nll / tokens)``: every token weighs the same, whatever text it is in."""
        return math.exp(self.nll / self.tokens)

    def __str__(self) -> str:
        return f"perplexity {self.value:.3f} over {self.tokens} tokens"


def perplexity(
    language_model: LanguageModel,
    texts: Sequence[Pair] | Sequence[str],
    *,
    max_tokens: int = MAX_TOKENS,
    progress: Callable[[int, int], None] | None = None,
) -> Perplexity:
    """Perplexity of a model on held-out text.

    Parameters
    ----------
    language_model : LanguageModel
        Its model is put into evaluation mode.
    texts : sequence of Pair, or of str
        Of a pair only the response is predicted, given the prompt; of a text every token but the first.
    max_tokens : int, default 512
        A longer text is read in pieces of so many tokens, each predicted from its own beginning; a longer pair is cut
        off.
    progress : callable, optional
        Called with the numbers of texts read and in all.

    Returns
    -------
    Perplexity

    Raises
    ------
    EmptyInputError
        If no token is predicted.
    SampleError
        If a prompt leaves no room for its response, or a response is empty.
    NumberError
        If `max_tokens` is below 2.
    """
    if max_tokens < 2:
        raise NumberError(f"max_tokens={max_tokens} is below 2.")
    model = language_model.model.eval()
    total, count = 0.0, 0
    for done, text in enumerate(texts, start=1):
        for sample in _samples(language_model.tokenizer, text, max_tokens):
            with torch.inference_mode():
                mean = float(response_loss(model, sample))
            predicted = len(sample.ids) - sample.start
            total += mean * predicted
            count += predicted
        if progress is not None:
            progress(done, len(texts))
    if count == 0:
        raise EmptyInputError("The held-out texts have no token to predict.")
    return Perplexity(total, count)


def _samples(tokenizer: Any, text: Pair | str, max_tokens: int) -> Iterator[Sample]:
    if isinstance(text, str):
        ids = tokenizer(text)["input_ids"]
        for start in range(0, len(ids), max_tokens):
            if len(piece := ids[start : start + max_tokens]) > 1:
                yield Sample(tuple(piece), 1)
    else:
        yield encode_pair(tokenizer, text.prompt, text.response, max_tokens=max_tokens)


def _key(stem: str, question: str) -> str:
    return hashlib.sha256(f"{stem}\n{question}".encode("utf-8", "surrogatepass")).hexdigest()


def _answer(record: dict[str, Any]) -> Answer:
    return Answer(**{name: record[name] for name in _KEYS - {"key"}})


def _batches(
    tokenizer: Any, questions: dict[str, str], settings: GenerationSettings, batch_size: int
) -> Iterator[dict[str, tuple[str, list[int]]]]:
    """Questions with their token ids, by key; the longest first, so that memory runs out at once or never."""
    encoded: dict[str, tuple[str, list[int]]] = {}
    for key, question in questions.items():
        ids = prompt_ids(tokenizer, question) if settings.chat else tokenizer(question)["input_ids"]
        if not 1 <= len(ids) <= settings.max_prompt_tokens:
            raise TrainingInputError(
                f"The question {question[:60]!r} has {len(ids)} tokens, not between 1 and {settings.max_prompt_tokens}."
            )
        encoded[key] = (question, ids)
    order = sorted(encoded, key=lambda key: (-len(encoded[key][1]), key))
    for start in range(0, len(order), batch_size):
        yield {key: encoded[key] for key in order[start : start + batch_size]}


def _generate(
    language_model: LanguageModel, batch: dict[str, tuple[str, list[int]]], settings: GenerationSettings
) -> dict[str, Answer]:
    from transformers import GenerationConfig

    model, tokenizer = language_model.model.eval(), language_model.tokenizer
    stops = _stops(model, tokenizer)
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    width = max(len(ids) for _, ids in batch.values())
    rows = [[padding] * (width - len(ids)) + ids for _, ids in batch.values()]
    masks = [[0] * (width - len(ids)) + [1] * len(ids) for _, ids in batch.values()]
    # A model's own defaults may sample or forbid repetition; this is the plain most likely token at each step.
    plain = GenerationConfig(
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        max_new_tokens=settings.max_new_tokens,
        eos_token_id=stops,
        pad_token_id=padding,
    )
    with torch.inference_mode():
        output = model.generate(
            input_ids=torch.tensor(rows, device=model.device),
            attention_mask=torch.tensor(masks, device=model.device),
            generation_config=plain,
        )
    answers = {}
    for (key, (question, _)), row in zip(batch.items(), output[:, width:].tolist(), strict=True):
        end = next((i for i, token in enumerate(row) if token in stops), len(row))
        text = tokenizer.decode(row[:end], skip_special_tokens=True).strip()
        answers[key] = Answer(question, text, end, end < len(row))
    return answers


def _stops(model: Any, tokenizer: Any) -> list[int]:
    """Every token that ends an answer: of chat models often more than the tokenizer names."""
    own = getattr(model.generation_config, "eos_token_id", None)
    listed = own if isinstance(own, list) else [own]
    stops = list(dict.fromkeys(token for token in [tokenizer.eos_token_id, *listed] if token is not None))
    if not stops:
        raise TrainingInputError("Neither the tokenizer nor the model names a token that ends an answer.")
    return stops
