"""Many networks of one architecture as one set of stacked weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from fairbound.empirical.errors import TrainingInputError
from fairbound.empirical.models import MLP

#: Hidden and input numbers per block of rows when scores are computed, a bound on the memory that takes.
_BLOCK_NUMBERS = 2**24


class StackedMLPs:
    """M fully connected networks of the same shape, evaluated together: what `MLP` is, M times.

    Weights are kept as (M, in, out), the transpose of `torch.nn.Linear`'s, so that a batched product and its
    gradient need no copy.

    Parameters
    ----------
    weights : sequence of Tensor of float32, shapes (M, in, out)
        One per layer; between layers there are ReLU units.
    biases : sequence of Tensor of float32, shapes (M, 1, out)
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        self.weights = list(weights)
        self.biases = list(biases)

    @classmethod
    def stack(cls, modules: Sequence[MLP]) -> Self:
        """Stack networks.

        Parameters
        ----------
        modules : sequence of MLP
            At least one, of one shape and without dropout.

        Returns
        -------
        StackedMLPs
            A copy of their weights.

        Raises
        ------
        TrainingInputError
            If there is none, they differ in shape, or one has dropout.
        """
        if not modules:
            raise TrainingInputError("There is no network to stack.")
        if any(isinstance(layer, nn.Dropout) for module in modules for layer in module.layers):
            raise TrainingInputError("Networks with dropout cannot be stacked; use dropout=0.")
        layers = [[layer for layer in module.layers if isinstance(layer, nn.Linear)] for module in modules]
        if len({tuple(layer.weight.shape for layer in own) for own in layers}) > 1:
            raise TrainingInputError("Only networks of one shape can be stacked.")
        with torch.no_grad():
            weights = [torch.stack([layer.weight.T for layer in same]) for same in zip(*layers, strict=True)]
            biases = [torch.stack([layer.bias[None] for layer in same]) for same in zip(*layers, strict=True)]
        return cls(weights, biases)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """The inverse of `arrays`.

        Parameters
        ----------
        arrays : mapping from str to ndarray

        Returns
        -------
        StackedMLPs
        """
        depth = sum(name.startswith("weight_") for name in arrays)
        weights = [torch.tensor(arrays[f"weight_{i}"]).transpose(1, 2).contiguous() for i in range(depth)]
        biases = [torch.tensor(arrays[f"bias_{i}"])[:, None] for i in range(depth)]
        return cls(weights, biases)

    @classmethod
    def concatenate(cls, parts: Sequence[StackedMLPs]) -> Self:
        """The networks of several stacks, in order.

        Parameters
        ----------
        parts : sequence of StackedMLPs
            At least one, all of one shape.

        Returns
        -------
        StackedMLPs
        """
        return cls(
            [torch.cat(same) for same in zip(*(part.weights for part in parts), strict=True)],
            [torch.cat(same) for same in zip(*(part.biases for part in parts), strict=True)],
        )

    def __len__(self) -> int:
        return len(self.weights[0])

    @property
    def n_inputs(self) -> int:
        """Number of input columns."""
        return self.weights[0].shape[1]

    @property
    def n_classes(self) -> int:
        """Number of classes; a single output is the logit of class 1 of two."""
        return max(2, self.weights[-1].shape[2])

    def parameters(self) -> list[Tensor]:
        """Weights and biases.

        Returns
        -------
        list of Tensor
        """
        return [*self.weights, *self.biases]

    def take(self, models: slice, device: torch.device | None = None) -> Self:
        """A copy of some of the networks.

        Parameters
        ----------
        models : slice
        device : torch.device, optional
            Default: where they are.

        Returns
        -------
        StackedMLPs
        """
        return type(self)(
            [w[models].detach().clone().to(device or w.device) for w in self.weights],
            [b[models].detach().clone().to(device or b.device) for b in self.biases],
        )

    def module(self, model: int) -> MLP:
        """One of the networks.

        Parameters
        ----------
        model : int
            From 0.

        Returns
        -------
        MLP
            In evaluation mode, on the CPU.
        """
        hidden = [bias.shape[2] for bias in self.biases[:-1]]
        network = MLP(self.n_inputs, self.biases[-1].shape[2], hidden)
        linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            for layer, weight, bias in zip(linear, self.weights, self.biases, strict=True):
                layer.weight.copy_(weight[model].T)
                layer.bias.copy_(bias[model, 0])
        return network.eval()

    def outputs(self, x: Tensor) -> Tensor:
        """What the last layer of every network gives.

        Parameters
        ----------
        x : Tensor of float32, shape (M, n, n_inputs)
            Each network's own rows.

        Returns
        -------
        Tensor, shape (M, n, n_outputs)
            One logit for each class, or the logit of class 1 of two.
        """
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = x.relu_()
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Class logits of every network.

        Parameters
        ----------
        x : Tensor of float32, shape (M, n, n_inputs)
            Each network's own rows.

        Returns
        -------
        Tensor, shape (M, n, n_classes)
        """
        x = self.outputs(x)
        return torch.cat([torch.zeros_like(x), x], dim=2) if x.shape[2] == 1 else x

    def scores(self, X: ArrayLike, group: ArrayLike | None = None) -> NDArray[np.float32]:
        """Class probabilities that every network gives the same rows.

        Parameters
        ----------
        X : array-like of float, shape (n, n_inputs)
        group : array-like of int, shape (n,), optional
            Not looked at.

        Returns
        -------
        ndarray of float32, shape (M, n, n_classes)

        Raises
        ------
        TrainingInputError
            If the number of columns is another one.
        """
        rows = torch.from_numpy(np.array(X, dtype=np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.n_inputs:
            raise TrainingInputError(f"X has shape {tuple(rows.shape)}; the networks take {self.n_inputs} columns.")
        width = max(bias.shape[2] for bias in self.biases) + self.n_inputs
        block = max(1, _BLOCK_NUMBERS // (len(self) * width))
        with torch.no_grad():
            parts = [
                self.logits(piece.expand(len(self), -1, -1)).softmax(dim=2).cpu()
                for piece in rows.to(self.weights[0].device).split(block)
            ]
        return torch.cat(parts, dim=1).numpy()

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Weights and biases as `torch.nn.Linear` has them, by name.

        Returns
        -------
        dict from str to ndarray of float32
            "weight_0", shape (M, out, in), "bias_0", shape (M, out), and so on.
        """
        found = {}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            found[f"weight_{i}"] = np.ascontiguousarray(weight.detach().transpose(1, 2).cpu().numpy())
            found[f"bias_{i}"] = bias.detach()[:, 0].cpu().numpy().copy()
        return found
