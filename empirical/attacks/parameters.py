"""Weights of many fully connected networks of one shape, for the attack that sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairbound.empirical.attacks.errors import AttackInputError
from fairbound.empirical.attacks.predictions import Ints


@dataclass(frozen=True, eq=False)
class ModelParameters:
    """
    Parameters of fully connected networks, one entry per layer, from the inputs to the outputs.

    Parameters
    ----------
    weights : sequence of array, shapes (models, out, in)
        A layer's `in` is the previous layer's `out`.
    biases : sequence of array, shapes (models, out)
    world : array of int, shape (models,), optional
        0 or 1; None where nobody knows.

    Raises
    ------
    AttackInputError
        If shapes do not chain, or a number is not finite.
    """

    weights: Sequence[NDArray[np.float32]]
    biases: Sequence[NDArray[np.float32]]
    world: Ints | None = None

    def __post_init__(self) -> None:
        weights = tuple(np.asarray(w, dtype=np.float32) for w in self.weights)
        biases = tuple(np.asarray(b, dtype=np.float32) for b in self.biases)
        if not weights or len(weights) != len(biases) or any(w.ndim != 3 for w in weights):
            raise AttackInputError(
                "give one weight array (models, out, in) and one bias array (models, out) per layer."
            )
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            if b.shape != w.shape[:2] or len(w) != len(weights[0]) or (i and w.shape[2] != weights[i - 1].shape[1]):
                raise AttackInputError(
                    f"layer {i}: weights {w.shape} and biases {b.shape} do not fit what is before them."
                )
            if not (np.isfinite(w).all() and np.isfinite(b).all()):
                raise AttackInputError(f"layer {i} holds NaN or infinity.")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)
        if self.world is not None:
            world = np.asarray(self.world)
            if world.shape != (len(weights[0]),) or not np.isin(world, (0, 1)).all():
                raise AttackInputError("world must hold 0 or 1 for each model.")
            object.__setattr__(self, "world", world.astype(np.int64))

    def __len__(self) -> int:
        return len(self.weights[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Widths from the inputs to the outputs."""
        return (self.weights[0].shape[2], *(w.shape[1] for w in self.weights))

    def take(self, models: NDArray[Any]) -> ModelParameters:
        """
        Some of the models.

        Parameters
        ----------
        models : array of int or bool
            Positions, or a mask.

        Returns
        -------
        ModelParameters
        """
        world = None if self.world is None else self.world[models]
        return ModelParameters([w[models] for w in self.weights], [b[models] for b in self.biases], world)

    @classmethod
    def from_stacked(cls, state: Mapping[str, Any], world: ArrayLike | None = None) -> ModelParameters:
        """
        From stacked parameters, as `torch.func.stack_module_state` returns them.

        Parameters
        ----------
        state : mapping from str to array or Tensor
            ``NAME.weight``, shape (models, out, in), and ``NAME.bias``, shape (models, out), layer after layer.
        world : array-like of int, shape (models,), optional

        Returns
        -------
        ModelParameters

        Raises
        ------
        AttackInputError
            If there is anything else in it: such a network is not a chain of linear layers.
        """
        arrays = {name: _array(value) for name, value in state.items()}
        layers = [name.removesuffix("weight") for name in arrays if name.endswith("weight")]
        if set(arrays) != {layer + part for layer in layers for part in ("weight", "bias")}:
            raise AttackInputError(f"parameters {', '.join(arrays)}: only linear layers with biases can be read.")
        return cls([arrays[layer + "weight"] for layer in layers], [arrays[layer + "bias"] for layer in layers], world)

    @classmethod
    def from_modules(cls, modules: Iterable[Any], world: ArrayLike | None = None) -> ModelParameters:
        """
        From torch modules of one shape.

        Parameters
        ----------
        modules : iterable of torch.nn.Module
            Linear layers and elementwise activations.
        world : array-like of int, shape (models,), optional

        Returns
        -------
        ModelParameters

        Raises
        ------
        AttackInputError
            If there are none, their shapes differ, or they hold other parameters than linear layers'.
        """
        states = [{name: _array(value) for name, value in module.state_dict().items()} for module in modules]
        if not states or any(
            {n: v.shape for n, v in s.items()} != {n: v.shape for n, v in states[0].items()} for s in states
        ):
            raise AttackInputError("give at least one module, all of one shape.")
        return cls.from_stacked({name: np.stack([state[name] for state in states]) for name in states[0]}, world)


def _array(value: Any) -> NDArray[Any]:
    """A NumPy array of what may be a Tensor, on any device, without importing torch."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
