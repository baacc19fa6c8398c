"""Encoder, network and base trainer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from fairbound.empirical import TabularClassifier, TabularEncoder
from fairbound.empirical.errors import DivergedError, TrainingInputError


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "age": [20.0, 40.0, 60.0, 40.0],
            "same": [1.0, 1.0, 1.0, 1.0],
            "city": pd.Categorical(["x", "y", "x", "x"], categories=["x", "y", "z"]),
        }
    )


def test_encoder_standardises_and_uses_declared_categories(frame):
    encoder = TabularEncoder().fit(frame)
    matrix = encoder.transform(frame)
    assert list(encoder.get_feature_names_out()) == ["age", "same", "city=x", "city=y", "city=z"]
    assert matrix.dtype == np.float32
    root = 2**0.5
    np.testing.assert_allclose(matrix[:, 0], [-root, 0, root, 0], rtol=1e-6)
    np.testing.assert_array_equal(matrix[:, 1], 0)
    np.testing.assert_array_equal(matrix[:, 2:], [[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]])


def test_encoder_learns_from_training_rows_only(frame):
    encoder = TabularEncoder().fit(frame[:2])
    matrix = encoder.transform(frame[2:])
    np.testing.assert_allclose(matrix[:, 0], [3, 1], rtol=1e-6)
    stranger = frame[:1].assign(city=pd.Categorical(["elsewhere"]))
    np.testing.assert_array_equal(encoder.transform(stranger)[:, 2:], 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(age=[1.0, np.nan, 2.0, 3.0]), "'age' of X misses values"),
        (lambda f: f.assign(city=pd.Categorical(["x", None, "x", "y"])), "'city' of X misses values"),
        (lambda f: f.drop(columns="age"), "lacks the column 'age'"),
        (lambda f: f.assign(age=["1", "2", "3", "4"]), "'age' of X is str"),
    ],
)
def test_encoder_names_the_culprit(frame, change, message):
    encoder = TabularEncoder().fit(frame)
    with pytest.raises(TrainingInputError, match=message):
        encoder.transform(change(frame))


def test_classifier_learns_and_is_a_function_of_its_seed(make_dataset):
    data, test = make_dataset(seed=0), make_dataset(seed=1)
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    models = [
        TabularClassifier(epochs=5, dropout=0.1, random_state=s).fit(data.features, data.label) for s in (0, 0, 1)
    ]
    assert torch.equal(torch.random.get_rng_state(), state)
    first, again, other = (model.predict_proba(test.features) for model in models)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert models[0].score(test.features, test.label) > 0.8
    np.testing.assert_allclose(first.sum(axis=1), 1)


def test_classifier_does_not_respond_to_what_never_varied(make_dataset):
    data = make_dataset()
    one = data.features[data.attributes["team"] == "a"]
    model = TabularClassifier(epochs=3).fit(one, data.label[data.attributes["team"] == "a"])
    assert model.constant_columns_ == ["team=a", "team=b"]
    moved = one.assign(team=pd.Categorical(["b"] * len(one), categories=["a", "b"]))
    np.testing.assert_array_equal(model.predict_proba(one), model.predict_proba(moved))


def test_validation_rows_choose_the_epoch(make_dataset):
    data, held_out = make_dataset(n=150, seed=0), make_dataset(n=2000, seed=1)
    settings = {"epochs": 60, "batch_size": 16, "learning_rate": 5e-3}
    stopped = TabularClassifier(**settings).fit(
        data.features, data.label, X_validation=held_out.features, y_validation=held_out.label
    )
    assert stopped.best_epoch_ < 60

    def loss(model):
        return -np.log(model.predict_proba(held_out.features)[np.arange(2000), held_out.label]).mean()

    assert loss(stopped) < loss(TabularClassifier(**settings).fit(data.features, data.label))


def test_classifier_protocol_and_errors(make_dataset):
    data = make_dataset(n=200)
    model = clone(TabularClassifier(hidden=(8,), epochs=2, random_state=5))
    assert model.get_params()["hidden"] == (8,)
    labels = np.where(data.label == 1, "yes", "no")
    assert set(model.fit(data.features, labels).predict(data.features)) <= {"yes", "no"}
    with pytest.raises(TrainingInputError, match="two classes"):
        model.fit(data.features, np.ones(200))
    with pytest.raises(TrainingInputError, match="200 rows need shape"):
        model.fit(data.features, data.label[:100])
    with pytest.raises(DivergedError, match="lower learning_rate"):
        TabularClassifier(learning_rate=1e30, epochs=2).fit(data.features, data.label)


def test_small_sets_get_a_minimum_number_of_steps(make_dataset):
    data = make_dataset(n=300)
    few, enough = (TabularClassifier(epochs=2, min_steps=steps).fit(data.features, data.label) for steps in (1, 200))
    assert (few.best_epoch_, enough.best_epoch_) == (2, 200)
    assert enough.score(data.features, data.label) > few.score(data.features, data.label)
    assert TabularClassifier().min_steps >= 200


def test_weights_say_which_rows_matter(make_dataset):
    data = make_dataset(n=2000)
    wrong = np.arange(2000) % 2 == 0
    labels = np.where(wrong, 1 - data.label, data.label)
    settings = {"epochs": 3, "min_steps": 100}
    weighted, doubled = (
        TabularClassifier(**settings).fit(data.features, labels, sample_weight=np.where(wrong, 0.125, 1.0) * factor)
        for factor in (1.0, 2.0)
    )
    assert weighted.score(data.features, data.label) > 0.75
    assert np.array_equal(weighted.predict_proba(data.features), doubled.predict_proba(data.features))


def test_weights_of_validation_rows_choose_the_epoch(make_dataset):
    data = make_dataset(n=1500)
    train, held_out = slice(0, 1000), slice(1000, 1500)
    # Half of the validation rows have the wrong label: by those alone, learning only hurts.
    wrong = np.arange(500) % 2 == 0
    labels = np.where(wrong, 1 - data.label[held_out], data.label[held_out])
    best = [
        TabularClassifier(epochs=8, min_steps=8)
        .fit(
            data.features[train],
            data.label[train],
            X_validation=data.features[held_out],
            y_validation=labels,
            sample_weight_validation=weights,
        )
        .best_epoch_
        for weights in (wrong, ~wrong)
    ]
    assert best[0] == 1
    assert best[1] > 3


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(100), np.zeros(100)])
def test_bad_weights_are_refused(make_dataset, weights):
    data = make_dataset(n=100)
    with pytest.raises(TrainingInputError, match="sample_weight"):
        TabularClassifier().fit(data.features, data.label, sample_weight=weights)
