"""Fair fine-tuning in bulk is fair fine-tuning one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairbound.bounds import Counts, certify_counts
from fairbound.empirical import FairFineTuner
from fairbound.empirical.errors import DivergedError, TrainingInputError
from fairbound.empirical.shadows import (
    BulkFineTuning,
    BulkTraining,
    Pools,
    StackedMLPs,
    fine_tune_in_bulk,
    plan_distribution_inference,
    train_in_bulk,
)

SHORT = {"epochs": 2, "min_steps": 24, "batch_size": 64, "dual_interval": 5, "learning_rate": 5e-3}


@pytest.fixture
def trained(rows):
    """Three networks of their own rows, with what they were trained on."""

    def make(classes=2, groups=("a", "b")):
        x, y, group = rows(900, 1, groups, classes)
        codes = np.unique(group, return_inverse=True)[1]
        index = np.arange(900).reshape(3, 300)
        settings = BulkTraining((8,), epochs=5, min_steps=50, batch_size=64)
        return train_in_bulk(x, y, index, seeds=[0, 1, 2], n_classes=classes, settings=settings), x, y, codes, index

    return make


@pytest.mark.parametrize(
    ("constraint", "penalty", "classes", "groups"),
    [
        ("augmented_lagrangian", 3.0, 2, ("a", "b")),
        ("augmented_lagrangian", 3.0, 3, ("a", "b", "c")),
        ("penalty", 0.5, 2, ("a", "b")),
        (None, 0.0, 2, ("a", "b")),
    ],
)
def test_bulk_equals_fair_fine_tuner(trained, constraint, penalty, classes, groups):
    models, x, y, group, index = trained(classes, groups)
    weights = np.random.default_rng(0).uniform(0.5, 2, index.shape)
    # Rows that serve the constraint alone, equally many for each network.
    weights[:, :20] = 0
    seeds = [5, 5, 6]
    bulk = fine_tune_in_bulk(
        models,
        x,
        y,
        group,
        index,
        seeds=seeds,
        settings=BulkFineTuning(constraint=constraint, penalty=penalty, **SHORT),
        weights=weights,
    )
    for i, own in enumerate(index):
        tuner = FairFineTuner(models.module(i), constraint=constraint, penalty=penalty, random_state=seeds[i], **SHORT)
        tuner.fit(x[own], y[own], sensitive_features=group[own], sample_weight=weights[i])
        for name, value in tuner.module_.state_dict().items():
            torch.testing.assert_close(bulk.module(i).state_dict()[name], value, rtol=1e-3, atol=2e-4)
        np.testing.assert_allclose(bulk.scores(x[own])[i], tuner.predict_proba(x[own]), atol=2e-4)
        moved = np.abs(bulk.scores(x[own])[i] - models.scores(x[own])[i]).max()
        assert moved > 0.01


def test_networks_do_not_act_on_each_other(trained):
    models, x, y, group, index = trained()
    settings = BulkFineTuning(**SHORT)
    together = fine_tune_in_bulk(models, x, y, group, index, seeds=[0, 1, 2], settings=settings).arrays()
    told = []
    in_chunks = fine_tune_in_bulk(
        models, x, y, group, index, seeds=[0, 1, 2], settings=settings, chunk=2, progress=lambda *a: told.append(a)
    ).arrays()
    alone = fine_tune_in_bulk(models.take(slice(1, 2)), x, y, group, index[1:2], seeds=[1], settings=settings).arrays()
    for name, value in together.items():
        np.testing.assert_allclose(in_chunks[name], value, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(alone[name][0], value[1], rtol=1e-3, atol=1e-4)
    assert told == [("models", 2, 3), ("models", 3, 3)]


def test_the_models_to_start_from_are_left_alone(trained):
    models, x, y, group, index = trained()
    before = {name: value.copy() for name, value in models.arrays().items()}
    fine_tune_in_bulk(models, x, y, group, index, seeds=[0, 1, 2], settings=BulkFineTuning(**SHORT))
    for name, value in models.arrays().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.data
@pytest.mark.slow
def test_disparity_falls_on_held_out_rows_of_adult():
    game = plan_distribution_inference("adult", attribute="sex", group="Female", ratios=[0.3, 0.5], rows=2500)
    pools = Pools(game, 0)
    drawn = np.stack([pools.draw("shadow", i % 2, i) for i in range(4)])
    used, rows = np.unique(drawn, return_inverse=True)
    X, y, group = pools.encode("shadow", used), pools.label[used], pools.group[used]
    rows, seeds = rows.reshape(drawn.shape), range(4)
    settings = BulkTraining((16,), epochs=10, min_steps=200)
    base = train_in_bulk(X, y, rows, seeds=seeds, settings=settings)
    fair, plain = (
        fine_tune_in_bulk(base, X, y, group, rows, seeds=seeds, settings=BulkFineTuning(constraint=constraint))
        for constraint in ("augmented_lagrangian", None)
    )
    test = pools.parts["evaluation"]
    held_out, label, groups = pools.encode("shadow", test), pools.label[test], pools.group[test]

    def odds(models):
        predicted = models.scores(held_out).argmax(axis=2)
        tables = [Counts.from_arrays(label, own, sensitive_features=groups) for own in predicted]
        measured = [float(certify_counts(table).disparities.equalized_odds) for table in tables]
        return np.array(measured), (predicted == label).mean(axis=1)

    (unfair, _), (control, accurate), (low, accuracy) = odds(base), odds(plain), odds(fair)
    print(unfair, control, low, accurate, accuracy)
    assert (low < unfair).all()
    assert low.mean() < 0.6 * min(unfair.mean(), control.mean())
    assert accuracy.mean() > accurate.mean() - 0.03


def test_what_cannot_be_fine_tuned_is_named(trained):
    models, x, y, group, index = trained()
    one_group = np.where(np.arange(900) < 300, 0, group)
    for changes, message in (
        ({"models": models.take(slice(0, 2))}, "2 networks .* do not fit 3 draws"),
        ({"X": x[:, :3]}, "do not fit"),
        ({"group": group[:5]}, "group has shape"),
        ({"group": group - 1}, "codes 0, 1"),
        ({"group": one_group}, "1 networks, of seed 4 first, have no label with rows of two groups"),
        ({"settings": BulkFineTuning(batch_size=3)}, "cannot hold the 4 cells"),
        ({"seeds": [1]}, "3 seeds"),
    ):
        given = {"models": models, "X": x, "y": y, "group": group, "seeds": [4, 5, 6]} | changes
        named = [given.pop(name) for name in ("models", "X", "y", "group")]
        with pytest.raises(TrainingInputError, match=message):
            fine_tune_in_bulk(*named, index, **given)
    uneven = np.ones(index.shape)
    uneven[0, :200] = 0
    with pytest.raises(TrainingInputError, match="equally many rows of positive weight"):
        fine_tune_in_bulk(
            models, x, y, group, index, seeds=[0, 1, 2], weights=uneven, settings=BulkFineTuning(batch_size=64)
        )
    with pytest.raises(TrainingInputError, match="unknown; in bulk"):
        BulkFineTuning(constraint="magic")
    with pytest.raises(TrainingInputError, match="at least 1"):
        BulkFineTuning(cell_balance=2)
    broken = StackedMLPs([w.clone() for w in models.weights], models.biases)
    broken.weights[0][1] = torch.inf
    with pytest.raises(DivergedError, match="of seed 5 first"):
        fine_tune_in_bulk(broken, x, y, group, index, seeds=[4, 5, 6], settings=BulkFineTuning(**SHORT))
