"""Training in bulk is training one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from fairbound.empirical import MLP, TabularClassifier
from fairbound.empirical.errors import DivergedError, TrainingInputError
from fairbound.empirical.shadows import BulkTraining, StackedMLPs, train_in_bulk

FAST = {"epochs": 3, "min_steps": 30, "batch_size": 32}


@pytest.fixture
def draws(rows):
    """Five models' rows: one after the other, and where each has its own."""

    def make(n=200, models=5, classes=2):
        x, y, _ = rows(n * models, 0, classes=classes)
        # The group is constant among the rows of the third model.
        x[2 * n : 3 * n, 4] = 1.0
        return x, y, np.arange(n * models).reshape(models, n)

    return make


def one_by_one(x, y, index, seeds, weights, hidden):
    """Classifiers on the rows of each model, and those rows as their encoders give them."""
    fitted, encoded = [], np.empty_like(x)
    for own, seed, weight in zip(index, seeds, weights, strict=True):
        model = TabularClassifier(hidden, random_state=seed, **FAST)
        frame = pd.DataFrame(x[own].astype(np.float64))
        fitted.append(model.fit(frame, y[own], sample_weight=weight))
        encoded[own] = model.encoder_.transform(frame)
    return fitted, encoded


@pytest.mark.parametrize(("hidden", "classes"), [((16, 8), 2), ((), 2), ((8,), 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_bulk_equals_one_by_one(draws, hidden, classes, weighted):
    x, y, index = draws(classes=classes)
    seeds = [7, 7, 1, 2, 3]
    weights = np.random.default_rng(0).uniform(0, 3, index.shape) if weighted else None
    fitted, encoded = one_by_one(x, y, index, seeds, [None] * 5 if weights is None else weights, hidden)
    bulk = train_in_bulk(
        encoded,
        y,
        index,
        seeds=seeds,
        n_classes=classes,
        settings=BulkTraining(hidden, **FAST),
        weights=weights,
        chunk=2,
    )
    assert fitted[2].constant_columns_ == ["4"]
    scores = bulk.scores(encoded[:100])
    for i, model in enumerate(fitted):
        module = bulk.module(i)
        for name, value in model.module_.state_dict().items():
            torch.testing.assert_close(module.state_dict()[name], value, rtol=1e-4, atol=1e-5)
        alone = model.module_(torch.from_numpy(encoded[:100])).softmax(dim=1).detach().numpy()
        np.testing.assert_allclose(scores[i], alone, atol=1e-5)
    # Rows and seeds each make a difference that is no rounding.
    assert np.abs(scores[0] - scores[1]).max() > 0.01
    assert np.abs(scores[3] - scores[4]).max() > 0.01


def test_rows_may_be_shared(draws):
    x, y, index = draws()
    overlapping = np.stack([index[0], index[0], np.roll(index[0], 50)])
    settings = BulkTraining((8,), **FAST)
    models = train_in_bulk(x, y, overlapping, seeds=[1, 2, 1], settings=settings)
    copied = train_in_bulk(
        x[overlapping.ravel()], y[overlapping.ravel()], index[:3], seeds=[1, 2, 1], settings=settings
    )
    for name, value in models.arrays().items():
        np.testing.assert_allclose(value, copied.arrays()[name], atol=1e-6)


def test_the_global_generator_is_left_as_it_was(draws):
    x, y, index = draws(models=2)
    before = torch.get_rng_state()
    told = []
    train_in_bulk(x, y, index, seeds=[0, 1], settings=BulkTraining(**FAST), chunk=1, progress=lambda *a: told.append(a))
    assert torch.equal(torch.get_rng_state(), before)
    assert told == [("models", 1, 2), ("models", 2, 2)]


def test_stack_and_export(rows):
    x, _, _ = rows(50, 0)
    torch.manual_seed(0)
    modules = [MLP(5, 2, (7, 3)).eval() for _ in range(3)]
    stacked = StackedMLPs.stack(modules)
    shapes = {name: array.shape for name, array in stacked.arrays().items()}
    assert (shapes["weight_0"], shapes["bias_0"], shapes["weight_2"]) == ((3, 7, 5), (3, 7), (3, 2, 3))
    again = StackedMLPs.from_arrays(stacked.arrays())
    with torch.no_grad():
        for i, module in enumerate(modules):
            expected = module(torch.from_numpy(x)).softmax(dim=1).numpy()
            np.testing.assert_allclose(again.scores(x)[i], expected, atol=1e-6)
            for name, value in module.state_dict().items():
                assert torch.equal(again.module(i).state_dict()[name], value)


def test_one_logit_stands_for_two_classes(rows):
    x, y, _ = rows(200, 0)
    settings = BulkTraining((4,), **FAST)
    models = train_in_bulk(x, y, np.arange(200)[None], seeds=[0], n_classes=1, settings=settings)
    with torch.no_grad():
        positive = torch.sigmoid(models.module(0)(torch.from_numpy(x)))[:, 0].numpy()
    np.testing.assert_allclose(models.scores(x)[0], np.column_stack([1 - positive, positive]), atol=1e-6)
    assert (positive > 0.5).astype(int).tolist() != [0] * 200


def test_what_cannot_be_trained_is_named(rows):
    x, y, _ = rows(40, 0)
    index = np.arange(40).reshape(2, 20)
    fast = BulkTraining((4,), epochs=1, min_steps=1)
    for changes, message in (
        ({"seeds": [0]}, "2 networks need 2 seeds"),
        ({"rows": index + 1}, "outside 0 to 39"),
        ({"y": y - 1}, "whole numbers"),
        ({"y": y + 1}, "holds class 2"),
        ({"X": np.where(x > 2, np.nan, x)}, "NaN"),
        ({"X": x[:, 0]}, "shapes"),
        ({"weights": np.ones(20)}, "shape of rows"),
        ({"weights": np.zeros((2, 20))}, "no row of positive weight"),
        ({"chunk": 0}, "chunk at least 1"),
    ):
        given = {"X": x, "y": y, "rows": index, "seeds": [0, 1], "settings": fast} | changes
        with pytest.raises(TrainingInputError, match=message):
            train_in_bulk(given.pop("X"), given.pop("y"), given.pop("rows"), **given)
    with pytest.raises(TrainingInputError, match="at least 1"):
        BulkTraining(epochs=0)
    with pytest.raises(TrainingInputError, match="dropout"):
        StackedMLPs.stack([MLP(3, dropout=0.5)])
    with pytest.raises(TrainingInputError, match="one shape"):
        StackedMLPs.stack([MLP(3), MLP(4)])
    with pytest.raises(TrainingInputError, match="take 3 columns"):
        StackedMLPs.stack([MLP(3)]).scores(x)


def test_divergence_names_the_seed(rows):
    x, y, _ = rows(40, 0)
    # Only the second network's rows overflow.
    x[20:] *= 1e38
    settings = BulkTraining((4,), epochs=1, min_steps=1)
    with pytest.raises(DivergedError, match="1 networks, of seed 9 first"):
        train_in_bulk(x, y, np.arange(40).reshape(2, 20), seeds=[8, 9], settings=settings)
