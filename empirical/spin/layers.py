"""The linear layers of a transformer's blocks."""

from __future__ import annotations

from typing import Any

from torch import nn

from fairbound.empirical.spin.errors import LanguageModelError

#: What the parts of a block are called in the model families of transformers.
_PARTS = {"mlp": {"mlp"}, "self_attn": {"self_attn", "attention", "attn"}}

#: Choices of `target_layers`.
MODULES = (*_PARTS, "all")


def blocks(model: Any) -> dict[str, nn.Module]:
    """The transformer blocks of a causal language model, by name, first to last.

    Parameters
    ----------
    model : transformers.PreTrainedModel

    Returns
    -------
    dict from str to torch.nn.Module

    Raises
    ------
    LanguageModelError
        If the model has no list of blocks.
    """
    for name, module in model.base_model.named_children():
        if isinstance(module, nn.ModuleList) and len(module):
            return {f"{model.base_model_prefix}.{name}.{i}": block for i, block in enumerate(module)}
    raise LanguageModelError(f"{type(model).__name__} has no list of transformer blocks; use a decoder-only model.")


def target_layers(model: Any, module: str = "mlp") -> dict[str, nn.Linear]:
    """Linear layers of one kind in all blocks. Embeddings and the output layer belong to no block.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Llama, Qwen, Mistral, Gemma, GPT-NeoX and other families that are built of `torch.nn.Linear`.
    module : {"mlp", "self_attn", "all"}, default "mlp"

    Returns
    -------
    dict from str to torch.nn.Linear
        By the name of the weight in the model's state, such as ``model.layers.0.mlp.down_proj.weight``. A weight
        that several layers share is listed once, under its first name.

    Raises
    ------
    LanguageModelError
        If `module` is none of the three, or the blocks have no such layers.
    """
    if module not in MODULES:
        raise LanguageModelError(f"module={module!r} is unknown; use one of {', '.join(MODULES)}.")
    found: dict[str, nn.Linear] = {}
    seen: set[int] = set()
    for block_name, block in blocks(model).items():
        for name, layer in block.named_modules():
            wanted = module == "all" or not _PARTS[module].isdisjoint(name.split("."))
            if wanted and isinstance(layer, nn.Linear) and id(layer.weight) not in seen:
                seen.add(id(layer.weight))
                found[f"{block_name}.{name}.weight"] = layer
    if not found:
        raise LanguageModelError(
            f"The blocks of {type(model).__name__} hold no torch.nn.Linear under {module!r}; try module='all', or "
            "load the model without quantisation."
        )
    return found
