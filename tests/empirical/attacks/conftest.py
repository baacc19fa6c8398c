"""Models whose answers depend on their ratio: trained ones, and quickly drawn ones for simulations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairbound.empirical.attacks import ModelOutputs, Queries


@pytest.fixture(scope="session")
def oracle():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[3]))
        from benchmarks import attack_oracle

        yield attack_oracle


@pytest.fixture(scope="session")
def equal_worlds(oracle):
    return oracle.experiment(0, 0.5, 0.5)[:3]


@pytest.fixture(scope="session")
def different_worlds(oracle):
    return oracle.experiment(0, 0.5, 0.8)[:3]


def made_up_queries(n=40, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    return Queries(rng.integers(0, classes, 2 * n), np.repeat([0, 1], n))


def made_up_models(rng, ratios, number, *, n=40, classes=2, noise=0.5):
    """Softmax answers whose logits move with the ratio along a fixed direction, plus noise of each model."""
    fixed = np.random.default_rng(99)
    base, direction = fixed.normal(size=(2, 2 * n, classes))
    world = np.repeat(np.arange(len(ratios)), number)
    shared = rng.normal(size=(len(world), 1, 1)) * noise
    own = rng.normal(size=(len(world), 2 * n, classes)) * noise
    logits = base + np.asarray(ratios)[world][:, None, None] * direction + shared * direction + own
    scores = np.exp(logits)
    return ModelOutputs(scores / scores.sum(axis=2, keepdims=True), world)


@pytest.fixture
def draw_queries():
    return made_up_queries


@pytest.fixture
def draw_models():
    return made_up_models
