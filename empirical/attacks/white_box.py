"""A white-box meta-classifier: it reads weights, and cannot see the order of hidden units (needs torch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fairbound.empirical.attacks.errors import AttackInputError
from fairbound.empirical.attacks.parameters import ModelParameters
from fairbound.empirical.attacks.predictions import Floats, Ints
from fairbound.empirical.torch_tools import one_thread, seeded

# Standard deviations are kept above this, for weights that all models share.
_LEAST_SPREAD = 1e-6


class NeuronSets(nn.Module):
    """
    DeepSets over neurons, layer by layer, whose output does not change when hidden units are permuted consistently.

    A unit of the first layer is described by its bias and its weights from the inputs, whose order is fixed. A unit j
    of a later layer is described by its bias and by the mean of `g(w_ji, h_i, w_ji h_i)` over the units i before it,
    with their descriptions h_i: permuting those units permutes the terms of a sum. Reading the row `w_j` as a list, as
    is usual (after K. Ganju et al., CCS 2018), lacks this. Each hidden layer enters the last stage by the mean of its
    descriptions, the output layer, whose order is fixed, unit by unit.

    Parameters
    ----------
    shape : tuple of int
        Widths of the networks that are read, from the inputs to the outputs.
    width : int
        Length of a description.
    """

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        layers = len(shape) - 1
        self.messages = nn.ModuleList(
            nn.Sequential(nn.Linear(1 + 2 * width, width), nn.ReLU()) for _ in range(layers - 1)
        )
        self.units = nn.ModuleList(
            nn.Sequential(nn.Linear(1 + (width if i else shape[0]), width), nn.ReLU()) for i in range(layers)
        )
        pooled = width * (layers - 1 + shape[-1])
        self.head = nn.Sequential(nn.Linear(pooled, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
        """
        Log-odds of world 1.

        Parameters
        ----------
        weights : list of Tensor, shapes (models, out, in)
        biases : list of Tensor, shapes (models, out)

        Returns
        -------
        Tensor, shape (models,)
        """
        described = self.units[0](torch.cat([biases[0][..., None], weights[0]], dim=2))
        pooled = []
        for i, message in enumerate(self.messages, start=1):
            pooled.append(described.mean(dim=1))
            before = described[:, None].expand(-1, weights[i].shape[1], -1, -1)
            w = weights[i][..., None]
            edges = torch.cat([w, before, w * before], dim=3)
            described = self.units[i](torch.cat([biases[i][..., None], message(edges).mean(dim=2)], dim=2))
        pooled.append(described.flatten(1))
        logits: Tensor = self.head(torch.cat(pooled, dim=1))
        return logits[:, 0]


@dataclass(frozen=True, eq=False)
class FittedWhiteBox:
    """
    A white-box meta-classifier whose every choice has been made on shadow models.

    Attributes
    ----------
    network : NeuronSets
    shape : tuple of int
        Widths of the networks that it reads.
    centre, spread : lists of Tensor
        Per array of parameters; what is subtracted and divided by.
    """

    network: NeuronSets
    shape: tuple[int, ...]
    centre: list[Tensor]
    spread: list[Tensor]

    def score(self, victims: ModelParameters) -> Floats:
        """
        Log-odds of world 1, each victim by itself.

        Parameters
        ----------
        victims : ModelParameters

        Returns
        -------
        array, shape (models,)

        Raises
        ------
        AttackInputError
            If the victims' shape is not the shadows'.
        """
        if victims.shape != self.shape:
            raise AttackInputError(f"victims have widths {victims.shape}, the shadows had {self.shape}.")
        with torch.no_grad(), one_thread():
            return self.network(*_scaled(victims, self.centre, self.spread)).double().numpy()

    def guess(self, victims: ModelParameters) -> Ints:
        """
        Guess each victim's world.

        Parameters
        ----------
        victims : ModelParameters

        Returns
        -------
        array of int, shape (models,)
            0 or 1.

        Raises
        ------
        AttackInputError
            If the victims' shape is not the shadows'.
        """
        return (self.score(victims) >= 0).astype(np.int64)


class WhiteBoxMetaClassifier:
    """
    Tell worlds apart by the models' weights.

    Parameters
    ----------
    width : int
        Length of a neuron's description.
    epochs : int
        Full-batch steps of AdamW at most; the step with the smallest loss on held-out shadows is kept.
    learning_rate, weight_decay : float
    held_out : float
        Share of the shadows that choose the step.
    """

    name = "white_box"

    def __init__(
        self,
        *,
        width: int = 16,
        epochs: int = 300,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        held_out: float = 0.2,
    ) -> None:
        self.width, self.epochs, self.held_out = width, epochs, held_out
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def fit(self, shadows: ModelParameters, rng: np.random.Generator) -> FittedWhiteBox:
        """
        Train on shadow models.

        Parameters
        ----------
        shadows : ModelParameters
            Of both worlds, at least four of each.
        rng : numpy.random.Generator

        Returns
        -------
        FittedWhiteBox

        Raises
        ------
        AttackInputError
            If a world has too few shadow models.
        """
        world = shadows.world
        if world is None or min(np.bincount(world, minlength=2)) < 4:
            raise AttackInputError("at least four shadow models of each world are needed.")
        choosing = np.zeros(len(world), dtype=bool)
        for b in (0, 1):
            mine = rng.permutation(np.flatnonzero(world == b))
            choosing[mine[: max(1, round(self.held_out * len(mine)))]] = True
        centre, spread = _scales(shadows.take(~choosing))
        seed = int(rng.integers(2**63 - 1))
        with one_thread(), seeded(seed, torch.device("cpu")):
            network = NeuronSets(shadows.shape, self.width)
            self._train(network, _scaled(shadows, centre, spread), world, choosing)
        return FittedWhiteBox(network.eval(), shadows.shape, centre, spread)

    def _train(
        self, network: NeuronSets, parts: tuple[list[Tensor], list[Tensor]], world: Ints, choosing: NDArray[np.bool_]
    ) -> None:
        target = torch.from_numpy(world).float()
        weight = torch.from_numpy(0.5 / np.bincount(world)[world]).float() * len(world)
        loss_of = nn.BCEWithLogitsLoss(reduction="none")
        kept = [torch.from_numpy(mask) for mask in (~choosing, choosing)]
        learning, checking = [[[part[mask] for part in kind] for kind in parts] for mask in kept]
        optimiser = torch.optim.AdamW(network.parameters(), self.learning_rate, weight_decay=self.weight_decay)
        best, state = np.inf, {}
        for _ in range(self.epochs):
            with torch.no_grad():
                loss = float((loss_of(network(*checking), target[kept[1]]) * weight[kept[1]]).mean())
            if loss < best:
                best, state = loss, {name: value.clone() for name, value in network.state_dict().items()}
            optimiser.zero_grad()
            (loss_of(network(*learning), target[kept[0]]) * weight[kept[0]]).mean().backward()
            optimiser.step()
        network.load_state_dict(state)


def _scales(shadows: ModelParameters) -> tuple[list[Tensor], list[Tensor]]:
    """Mean and spread of each array over everything that may be permuted; those of the inputs' weights per input."""
    centre, spread = [], []
    for i, array in enumerate((*shadows.weights, *shadows.biases)):
        axes = (0, 1) if i == 0 else None
        centre.append(torch.from_numpy(np.asarray(array.mean(axis=axes))))
        spread.append(torch.from_numpy(np.asarray(array.std(axis=axes))).clamp_min(_LEAST_SPREAD))
    return centre, spread


def _scaled(models: ModelParameters, centre: list[Tensor], spread: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    arrays = [torch.from_numpy(np.ascontiguousarray(array)) for array in (*models.weights, *models.biases)]
    scaled = [(array - m) / s for array, m, s in zip(arrays, centre, spread, strict=True)]
    layers = len(models.weights)
    return scaled[:layers], scaled[layers:]
