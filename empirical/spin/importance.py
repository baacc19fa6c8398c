"""Importance of single weights for a set of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fairbound.empirical.spin.chat import MAX_TOKENS, Sample, encode_pair, response_loss
from fairbound.empirical.spin.errors import LanguageModelError, SampleError
from fairbound.empirical.spin.layers import target_layers
from fairbound.empirical.spin.models import LanguageModel
from fairbound.empirical.spin.scores import ScoreFile, score_file
from fairbound.empirical.spin.texts import Pair


def importance(
    language_model: LanguageModel,
    pairs: Sequence[Pair],
    *,
    module: str = "mlp",
    max_tokens: int = MAX_TOKENS,
    path: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, Tensor]:
    """``I(W; D) = |W| * sum over the samples of |dL/dW|`` of every weight (SPIN, arXiv:2410.16672).

    L is the mean negative log-likelihood of the tokens of a response given its prompt. One backward pass per sample
    serves all layers.

    Parameters
    ----------
    language_model : LanguageModel
        Its weights are left as they are.
    pairs : sequence of Pair
        Prompts and responses.
    module : {"mlp", "self_attn", "all"}, default "mlp"
        See `fairbound.empirical.spin.layers.target_layers`.
    max_tokens : int, default 512
        Pairs are cut off there.
    path : path, optional
        File in which the scores are added up and kept, for models whose scores do not fit into memory.
    progress : callable, optional
        Called with the number of samples done and of all.

    Returns
    -------
    mapping from str to Tensor of float32
        Scores by the name of the weight, each of the weight's shape: in memory, or a `ScoreFile` if `path` is given.

    Raises
    ------
    LanguageModelError
        See `target_layers`; or if a loss or a score is not finite.
    SampleError
        If there are no pairs, or one has no response within `max_tokens`.
    ScoreFileError
        If `path` cannot be written.
    """
    layers = target_layers(language_model.model, module)
    samples = [
        encode_pair(language_model.tokenizer, prompt, response, max_tokens=max_tokens) for prompt, response in pairs
    ]
    if not samples:
        raise SampleError("Importance needs at least one prompt and response pair.")
    if path is None:
        scores = {name: torch.zeros_like(layer.weight, dtype=torch.float32) for name, layer in layers.items()}
        _measure(language_model.model, samples, layers, scores, progress)
        return {name: score.detach().cpu() for name, score in scores.items()}
    details = {"model": language_model.name, "module": module, "samples": str(len(samples))}
    shapes = {name: tuple(layer.weight.shape) for name, layer in layers.items()}
    with score_file(Path(path), shapes, details) as scores:
        _measure(language_model.model, samples, layers, scores, progress)
    return ScoreFile(path)


def add_gradients(
    model: Any,
    samples: Sequence[Sample],
    layers: Mapping[str, nn.Linear],
    sums: Mapping[str, Tensor],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Add each sample's absolute gradients of the response loss to running sums.

    Besides the sums, no more than one layer's gradient exists at a time.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    samples : sequence of Sample
        Taken one at a time: the sum is over absolute values per sample, which a batch does not give.
    layers : mapping from str to torch.nn.Linear
        Layers whose weights are differentiated; the backward pass ends at the first of them.
    sums : mapping from str to Tensor
        Of the weights' shapes, on any device, changed in place.
    progress : callable, optional
        Called with the number of samples done and of all.

    Raises
    ------
    LanguageModelError
        If a loss is not finite.
    """
    with _only_gradients_of(model, layers, sums):
        for i, sample in enumerate(samples):
            loss = response_loss(model, sample)
            if not bool(torch.isfinite(loss)):
                raise LanguageModelError(f"The loss of sample {i} is {loss.item()}; the model's weights are damaged.")
            loss.backward()
            if progress is not None:
                progress(i + 1, len(samples))


def _measure(
    model: Any,
    samples: Sequence[Sample],
    layers: Mapping[str, nn.Linear],
    scores: Mapping[str, Tensor],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Add up gradients in `scores` and multiply by the absolute weights."""
    add_gradients(model, samples, layers, scores, progress)
    for name, layer in layers.items():
        scores[name].mul_(layer.weight.detach().abs().to(scores[name]))
        if not bool(torch.isfinite(scores[name]).all()):
            raise LanguageModelError(f"Scores of {name} are not finite; load the model in float32.")


@contextmanager
def _only_gradients_of(model: Any, layers: Mapping[str, nn.Linear], sums: Mapping[str, Tensor]) -> Iterator[None]:
    """Differentiate these layers' weights alone, move every gradient into its sum and drop it at once."""
    required = {parameter: parameter.requires_grad for parameter in model.parameters()}
    training = model.training

    def hook(total: Tensor) -> Callable[[Tensor], None]:
        def add(weight: Tensor) -> None:
            if weight.grad is not None:
                total.add_(weight.grad.abs_().to(total))
                weight.grad = None

        return add

    handles = []
    model.eval()
    model.requires_grad_(False)
    try:
        for name, layer in layers.items():
            layer.weight.requires_grad_(True)
            # What an earlier backward pass left there would be counted as this one's.
            layer.weight.grad = None
            handles.append(layer.weight.register_post_accumulate_grad_hook(hook(sums[name])))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for parameter, flag in required.items():
            parameter.requires_grad_(flag)
        model.train(training)
