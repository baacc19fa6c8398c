"""Supervised fine-tuning on prompts and responses: what SPIN is compared with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fairbound.empirical.errors import DivergedError, TrainingInputError
from fairbound.empirical.spin.chat import MAX_TOKENS, Sample, encode_pair, response_loss
from fairbound.empirical.spin.errors import LanguageModelError, SampleError
from fairbound.empirical.spin.layers import target_layers
from fairbound.empirical.spin.models import LanguageModel
from fairbound.empirical.spin.texts import Pair
from fairbound.empirical.torch_tools import mixed_precision, seeded

METHODS = ("full", "lora")


@dataclass(frozen=True)
class TuningSettings:
    """How a model is fine-tuned.

    Attributes
    ----------
    method : {"full", "lora"}
        All weights, or low-rank additions (LoRA, arXiv:2106.09685) to every linear layer of the blocks, which are
        merged into the weights at the end.
    epochs : int
        Passes over the pairs.
    batch_size : int
        Pairs per step; they go through the model one at a time.
    learning_rate : float, optional
        AdamW's, falling to zero along a half cosine. Default: 1e-5 for "full", 2e-4 for "lora".
    weight_decay : float
        Decoupled (AdamW).
    rank : int
        Of LoRA's additions, which are scaled by two.
    max_tokens : int
        Pairs are cut off there.
    random_state : int
        The order of the pairs, dropout and LoRA's initial weights are a function of it.
    """

    method: str = "full"
    epochs: int = 1
    batch_size: int = 4
    learning_rate: float | None = None
    weight_decay: float = 0.0
    rank: int = 8
    max_tokens: int = MAX_TOKENS
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise TrainingInputError(f"method={self.method!r} is unknown; use one of {', '.join(METHODS)}.")
        for name in ("epochs", "batch_size", "rank"):
            if getattr(self, name) < 1:
                raise TrainingInputError(f"{name}={getattr(self, name)} is below 1.")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise TrainingInputError(f"learning_rate={self.learning_rate} is not a positive number.")

    @property
    def rate(self) -> float:
        """The learning rate, or the default of the method."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1e-5 if self.method == "full" else 2e-4


def fine_tune(
    language_model: LanguageModel,
    pairs: Sequence[Pair],
    settings: TuningSettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Train a model on responses; the loss is that of importance, with the token that ends an answer.

    Parameters
    ----------
    language_model : LanguageModel
        Trained in place, and left in evaluation mode and in its number format. Weights are trained in float32.
    pairs : sequence of Pair
    settings : TuningSettings, optional
    progress : callable, optional
        Called with the numbers of steps done and in all.

    Returns
    -------
    list of float
        Mean loss of the pairs of each step.

    Raises
    ------
    SampleError
        If there are no pairs, or one has no response within `max_tokens`.
    LanguageModelError
        If peft, which "lora" needs, is not installed, or the model's blocks hold no linear layers.
    DivergedError
        If a loss is not finite.
    """
    settings = settings or TuningSettings()
    samples = [
        encode_pair(language_model.tokenizer, prompt, response, end=True, max_tokens=settings.max_tokens)
        for prompt, response in pairs
    ]
    if not samples:
        raise SampleError("Fine-tuning needs at least one prompt and response pair.")
    model, dtype = language_model.model, language_model.model.dtype
    # Steps of this size vanish in bfloat16's eight bits.
    model.float()
    try:
        with seeded(settings.random_state, model.device):
            if settings.method == "full":
                return _train(model, samples, settings, progress)
            adapted = _with_lora(model, settings.rank)
            try:
                return _train(adapted, samples, settings, progress)
            finally:
                # Unloading puts the plain layers back into the model.
                adapted.merge_and_unload()
    finally:
        model.to(dtype).requires_grad_(True).eval()


def _train(
    model: Any, samples: list[Sample], settings: TuningSettings, progress: Callable[[int, int], None] | None
) -> list[float]:
    if settings.method == "full":
        model.requires_grad_(True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=settings.weight_decay)
    generator = np.random.default_rng(settings.random_state)
    size = settings.batch_size
    steps = settings.epochs * math.ceil(len(samples) / size)
    losses: list[float] = []
    model.train()
    for _ in range(settings.epochs):
        order = generator.permutation(len(samples))
        for start in range(0, len(samples), size):
            batch = [samples[i] for i in order[start : start + size]]
            for group in optimizer.param_groups:
                group["lr"] = settings.rate * (1 + math.cos(math.pi * len(losses) / steps)) / 2
            total = 0.0
            for sample in batch:
                with mixed_precision(model.device):
                    loss = response_loss(model, sample) / len(batch)
                loss.backward()
                total += loss.item()
            if not math.isfinite(total):
                raise DivergedError(f"The loss of step {len(losses) + 1} is {total}; lower the learning rate.")
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(total)
            if progress is not None:
                progress(len(losses), steps)
    return losses


def _with_lora(model: Any, rank: int) -> Any:
    """The model with low-rank additions to the linear layers of its blocks."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise LanguageModelError("LoRA needs peft; install it with: pip install 'fairbound[llm]'.") from error
    names = [name.removesuffix(".weight") for name in target_layers(model, "all")]
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names, task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        # peft asks transformers for a property under its old name.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        return get_peft_model(model, config)
