"""The white-box attack: blind to the order of hidden units, and right about networks trained on Adult."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from fairbound.empirical import MLP, TabularEncoder, load_dataset
from fairbound.empirical.attacks import (
    AttackInputError,
    Guesses,
    ModelParameters,
    WhiteBoxMetaClassifier,
    require_disjoint,
)

SHAPE = (6, 8, 5, 2)
SEXES = ("Male", "Female")


def random_networks(seed, number, shift=0.0):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(number, out, size)) for size, out in pairwise(SHAPE)]
    weights[1] += shift
    return weights, [rng.normal(size=w.shape[:2]) for w in weights]


def answers(models, x):
    hidden = np.broadcast_to(x, (len(models), *x.shape))
    for i, (w, b) in enumerate(zip(models.weights, models.biases, strict=True)):
        hidden = hidden @ w.transpose(0, 2, 1) + b[:, None]
        hidden = np.maximum(hidden, 0) if i < len(models.weights) - 1 else hidden
    return hidden


def permuted(models, rng, *, consistently=True):
    """Hidden units in another order, in each model by itself."""
    weights, biases = [w.copy() for w in models.weights], [b.copy() for b in models.biases]
    for m in range(len(models)):
        for layer in range(len(weights) - 1):
            order = rng.permutation(weights[layer].shape[1])
            weights[layer][m], biases[layer][m] = weights[layer][m][order], biases[layer][m][order]
            if consistently:
                weights[layer + 1][m] = weights[layer + 1][m][:, order]
    return ModelParameters(weights, biases, models.world)


@pytest.fixture(scope="module")
def shifted():
    """Networks whose second layer tells their world, an attack fitted on half of them, and the other half."""
    first, second = random_networks(0, 60), random_networks(1, 60, shift=0.6)
    weights, biases = (
        [np.concatenate(pair) for pair in zip(*parts, strict=True)] for parts in zip(first, second, strict=True)
    )
    models = ModelParameters(weights, biases, np.repeat([0, 1], 60))
    even = np.arange(120) % 2 == 0
    attack = WhiteBoxMetaClassifier().fit(models.take(even), np.random.default_rng(0))
    return attack, models.take(~even)


def test_permuting_hidden_units_changes_nothing(shifted):
    attack, victims = shifted
    rng = np.random.default_rng(2)
    other = permuted(victims, rng)
    x = rng.normal(size=(50, SHAPE[0]))
    assert not np.array_equal(other.weights[1], victims.weights[1])
    assert answers(other, x) == pytest.approx(answers(victims, x), abs=1e-4)
    score = attack.score(victims)
    assert attack.score(other) == pytest.approx(score, abs=1e-4)
    assert score.std() > 0.1
    # Not because it is blind: an inconsistent permutation is another network.
    assert np.abs(attack.score(permuted(victims, rng, consistently=False)) - score).max() > 0.01


def test_it_reads_the_second_layer_and_scores_each_victim_by_itself(shifted):
    attack, victims = shifted
    assert Guesses.of(attack.guess(victims), victims.world).p_value() < 1e-3
    alone = [attack.score(victims.take(np.array([i])))[0] for i in range(len(victims))]
    assert alone == pytest.approx(attack.score(victims), abs=1e-4)


def test_the_same_seed_gives_the_same_attack(shifted):
    _, victims = shifted
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (
        WhiteBoxMetaClassifier(epochs=5).fit(victims, np.random.default_rng(1)).score(victims) for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())


def test_modules_and_stacked_states_are_the_same():
    modules = [MLP(6, 2, hidden=(8, 5)) for _ in range(3)]
    found = ModelParameters.from_modules(modules, [0, 1, 1])
    assert found.shape == SHAPE
    state = {name: torch.stack([m.state_dict()[name] for m in modules]) for name in modules[0].state_dict()}
    stacked = ModelParameters.from_stacked(state)
    for ours, theirs in zip((*found.weights, *found.biases), (*stacked.weights, *stacked.biases), strict=True):
        assert np.array_equal(ours, theirs)
    x = np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)
    with torch.no_grad():
        expected = np.stack([m(torch.from_numpy(x)).numpy() for m in modules])
    assert answers(found, x) == pytest.approx(expected, abs=1e-5)


def test_what_is_no_chain_of_linear_layers_is_refused(shifted):
    attack, _ = shifted
    weights, biases = random_networks(0, 4)
    for build, said in (
        (lambda: ModelParameters.from_modules([nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))]), "linear layers"),
        (lambda: ModelParameters.from_modules([MLP(6), MLP(7)]), "one shape"),
        (lambda: ModelParameters.from_modules([]), "at least one"),
        (lambda: ModelParameters(weights[::-1], biases[::-1]), "do not fit"),
        (lambda: ModelParameters(weights, biases[:2]), "per layer"),
        (lambda: ModelParameters([weights[0] * np.nan], [biases[0]]), "NaN"),
        (lambda: ModelParameters(weights, biases, [0, 1, 2, 0]), "0 or 1"),
        (lambda: WhiteBoxMetaClassifier().fit(ModelParameters(weights, biases, [0, 0, 1, 1]), None), "at least four"),
        (lambda: attack.score(ModelParameters(weights[:1], biases[:1])), "widths"),
    ):
        with pytest.raises(AttackInputError, match=said):
            build()


def train_together(x, y, hidden, steps, rng):
    """Full-batch Adam on many networks at once; x has shape (models, rows, inputs)."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    sizes = (x.shape[2], hidden, 1)
    parameters = []
    for size, out in pairwise(sizes):
        parameters.append(torch.randn(len(x), out, size, generator=generator) / size**0.5)
        parameters.append(torch.zeros(len(x), out))
    for p in parameters:
        p.requires_grad_()
    optimiser = torch.optim.Adam(parameters, 0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        h = torch.relu(x @ parameters[0].transpose(1, 2) + parameters[1][:, None])
        logits = (h @ parameters[2].transpose(1, 2) + parameters[3][:, None])[..., 0]
        nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none").mean(dim=1).sum().backward()
        optimiser.step()
    return [p.detach().numpy() for p in parameters]


@pytest.mark.data
def test_worlds_of_networks_trained_on_adult():
    """Worlds are the two sexes; the networks do not see the sex."""
    adult = load_dataset("adult")
    rng = np.random.default_rng(0)
    group = adult.attributes["sex"]
    features = adult.features.drop(columns=list(adult.attribute_columns["sex"]))
    x = StandardScaler().fit_transform(TabularEncoder().fit(features).transform(features)).astype(np.float32)
    y = adult.label.astype(np.float32)
    pools = np.array_split(rng.permutation(len(y)), 2)
    require_disjoint(*pools)

    def models(pool, number):
        index = np.array(
            [rng.choice(pool[group[pool] == name], 400, replace=False) for name in SEXES for _ in range(number)]
        )
        first, b0, second, b1 = train_together(torch.from_numpy(x[index]), torch.from_numpy(y[index]), 4, 80, rng)
        return ModelParameters([first, second], [b0, b1], np.repeat([0, 1], number))

    shadows, victims = models(pools[0], 60), models(pools[1], 30)
    attack = WhiteBoxMetaClassifier(epochs=150).fit(shadows, rng)
    guesses = Guesses.of(attack.guess(victims), victims.world)
    assert guesses.accuracy > 0.85
    assert attack.score(permuted(victims, rng)) == pytest.approx(attack.score(victims), abs=1e-3)
