"""Fair fine-tuning: what it achieves, that it repeats, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from fairbound.empirical import MLP, FairFineTuner, TabularClassifier
from fairbound.empirical.errors import (
    CheckpointError,
    NearConstantWarning,
    TrainingInputError,
    UnconstrainedCellWarning,
)
from fairbound.empirical.loop import logits_and_way_back

QUICK = {"epochs": 1, "min_steps": 60, "batch_size": 512}


def network(n_classes=2, seed=0, dropout=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MLP(5, n_classes, (16,), dropout)


@pytest.mark.parametrize("constraint", ["augmented_lagrangian", "penalty"])
def test_the_held_out_gap_falls(rows, delta_eo, constraint):
    x, y, group = rows(6000, 0)
    new_x, new_y, new_group = rows(20_000, 1)
    settings = {"learning_rate": 5e-3, "random_state": 0}
    plain = FairFineTuner(network(), constraint=None, **settings).fit(x, y, sensitive_features=group)
    penalty = {"penalty": 3.0} if constraint == "penalty" else {}
    fair = FairFineTuner(network(), constraint=constraint, **penalty, **settings).fit(x, y, sensitive_features=group)
    before = delta_eo(new_y, plain.predict(new_x), new_group)
    after = delta_eo(new_y, fair.predict(new_x), new_group)
    assert before > 0.12
    assert after < 0.05
    assert fair.score(new_x, new_y) > 0.75
    assert fair.training_equalized_odds_ == pytest.approx(delta_eo(y, fair.predict(x), group), abs=1e-9)


def test_callable_constraint(rows, delta_eo):
    x, y, group = rows(6000, 0)

    def difference_of_rates(probabilities, labels, groups):
        return sum(
            (
                probabilities[(labels == k) & (groups == 0), 1].mean()
                - probabilities[(labels == k) & (groups == 1), 1].mean()
            )
            ** 2
            for k in (0, 1)
        )

    settings = {"learning_rate": 5e-3, "min_steps": 200}
    weak = FairFineTuner(network(), constraint=difference_of_rates, penalty=0.0, **settings)
    strong = FairFineTuner(network(), constraint=difference_of_rates, penalty=30.0, **settings)
    gaps = [delta_eo(y, t.fit(x, y, sensitive_features=group).predict(x), group) for t in (weak, strong)]
    assert gaps[1] < gaps[0] / 2


def test_three_classes_and_three_groups(rows, delta_eo):
    x, y, group = rows(9000, 0, groups=("a", "b", "c"), classes=3)
    new_x, new_y, new_group = rows(20_000, 1, groups=("a", "b", "c"), classes=3)
    names = np.array(["low", "middle", "top"])
    settings = {"learning_rate": 5e-3, "epochs": 40, "random_state": 1}
    plain, fair = (
        FairFineTuner(network(3), constraint=constraint, **settings).fit(x, names[y], sensitive_features=group)
        for constraint in (None, "augmented_lagrangian")
    )
    assert fair.predict_proba(new_x).shape == (20_000, 3)
    assert list(fair.classes_) == ["low", "middle", "top"]
    assert fair.multipliers_.shape == (9, 3)
    before = delta_eo(names[new_y], plain.predict(new_x), new_group)
    after = delta_eo(names[new_y], fair.predict(new_x), new_group)
    assert before > 0.4
    assert after < 0.4 * before
    assert fair.score(new_x, names[new_y]) > 0.5


@pytest.mark.data
@pytest.mark.slow
def test_compas_held_out_gap_falls_against_plain_fine_tuning(compas, delta_eo):
    race = compas.groups_of("race")
    kept = np.flatnonzero(np.isin(race, ["African-American", "Caucasian"]))
    order = np.random.default_rng(0).permutation(kept)
    train, test = order[:3000], order[3000:]
    base = TabularClassifier(epochs=8).fit(compas.features.iloc[train], compas.label[train])
    gaps, scores = {}, {}
    for constraint in (None, "augmented_lagrangian"):
        tuner = FairFineTuner(base, constraint=constraint)
        tuner.fit(compas.features.iloc[train], compas.label[train], sensitive_features=race[train])
        gaps[constraint] = delta_eo(compas.label[test], tuner.predict(compas.features.iloc[test]), race[test])
        scores[constraint] = tuner.score(compas.features.iloc[test], compas.label[test])
    assert gaps["augmented_lagrangian"] < gaps[None] / 2
    assert scores["augmented_lagrangian"] > scores[None] - 0.06


def test_same_seed_same_model_other_seed_another(rows):
    x, y, group = rows(2000, 0)
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    first, again, other = (
        FairFineTuner(network(dropout=0.2), random_state=seed, **QUICK)
        .fit(x, y, sensitive_features=group)
        .predict_proba(x)
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_the_given_model_is_not_changed_and_predict_needs_no_group(rows):
    x, y, group = rows(2000, 0)
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tuner = FairFineTuner(module, **QUICK).fit(x, y, sensitive_features=group)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    np.testing.assert_array_equal(tuner.predict(x), tuner.predict(torch.from_numpy(x)))


def test_labels_and_groups_may_be_python_objects(rows):
    x, y, group = rows(1000, 0)
    names = np.array(["no", "yes"])[y]
    plain, objects = (
        FairFineTuner(network(), **QUICK).fit(x, names.astype(kind), sensitive_features=group.astype(kind)).predict(x)
        for kind in (str, object)
    )
    assert plain.tolist() == objects.tolist()


def test_minimum_number_of_steps(rows):
    x, y, group = rows(700, 0)
    tuner = FairFineTuner(network(), epochs=2, min_steps=50, batch_size=512).fit(x, y, sensitive_features=group)
    assert tuner.n_steps_ == tuner.n_epochs_ == 50
    assert FairFineTuner(network()).min_steps >= 200


def test_scikit_learn_protocol(make_dataset, rows):
    data = make_dataset(n=600)
    base = TabularClassifier(epochs=2).fit(data.features, data.label)
    tuner = FairFineTuner(base, tolerance=0.01, random_state=4, **QUICK)
    copy = clone(tuner)
    assert copy is not tuner
    assert copy.get_params(deep=False) == tuner.get_params(deep=False)
    assert copy.model.module_ is base.module_
    copy.set_params(tolerance=0.02)
    assert tuner.tolerance == 0.01
    copy.fit(data.features, data.label, sensitive_features=data.attributes["team"])
    assert copy.score(data.features, data.label) > 0.6


class OneLogit(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 1)

    def forward(self, x):
        return self.layer(x).squeeze(1)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.layer = nn.Embedding(3, 4), nn.Linear(9, 2)

    def forward(self, values, tokens):
        return self.layer(torch.cat([values, self.embedding(tokens).mean(dim=1)], dim=1))


def test_any_module_one_logit_or_named_inputs(rows):
    x, y, group = rows(2000, 0)
    single = FairFineTuner(OneLogit(), learning_rate=0.05, **QUICK).fit(x, y, sensitive_features=group)
    assert single.predict_proba(x).shape == (2000, 2)
    assert single.score(x, y) > 0.6
    tokens = np.random.default_rng(0).integers(0, 3, (2000, 6))
    named = FairFineTuner(Named(), learning_rate=0.05, **QUICK)
    named.fit({"values": x, "tokens": tokens}, y, sensitive_features=group)
    assert named.score({"values": x, "tokens": tokens}, y) > 0.6


def test_pieces_of_a_batch_give_the_gradient_of_the_whole(rows):
    x = torch.from_numpy(rows(70, 0)[0])
    module = network(3, dropout=0.5)

    def gradients(logits, backward):
        # Not a mean over rows: what one row gets depends on all.
        backward((logits.softmax(dim=1).mean(dim=0) ** 2).sum())
        found = [p.grad.clone() for p in module.parameters()]
        module.zero_grad()
        return found

    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = torch.cat([module(part) for part in x.split(32)])
        after = torch.random.get_rng_state()
        expected = gradients(parts, torch.Tensor.backward)
        torch.manual_seed(0)
        module.rows_at_once = 32
        logits, backward = logits_and_way_back(module, x)
        assert torch.equal(logits, parts)
        found = gradients(logits, backward)
        assert torch.equal(torch.random.get_rng_state(), after)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert max(float(g.abs().max()) for g in found) > 1e-4


def test_a_bound_on_the_rows_at_once_changes_rounding_only(rows):
    x, y, group = rows(1500, 0)
    bounded = network()
    bounded.rows_at_once = 100
    whole, pieces = (
        FairFineTuner(module, **QUICK).fit(x, y, sensitive_features=group) for module in (network(), bounded)
    )
    np.testing.assert_allclose(pieces.predict_proba(x), whole.predict_proba(x), atol=1e-3)
    assert (
        np.abs(
            whole.predict_proba(x)
            - FairFineTuner(network(seed=1), **QUICK).fit(x, y, sensitive_features=group).predict_proba(x)
        ).max()
        > 1e-2
    )


def test_rehearsal_for_the_constraint_alone_does_not_teach_labels(rows):
    x, y, group = rows(4000, 0)
    first = group == "a"
    extra = {"X_rehearsal": x[first][:512], "sensitive_features_rehearsal": group[first][:512]}
    flipped = 1 - y[first][:512]

    def accuracy_on_first(role):
        settings = {"constraint": None, "rehearsal_role": role, "min_steps": 300, "learning_rate": 5e-3}
        tuner = FairFineTuner(network(), epochs=1, **settings)
        tuner.fit(x[~first], y[~first], sensitive_features=group[~first], y_rehearsal=flipped, **extra)
        return tuner.score(x[first], y[first])

    # Wrong labels do harm only where they count in the loss.
    assert accuracy_on_first("constraint") > accuracy_on_first("both") + 0.1


def test_reference_rows_make_the_constraint_bind(rows, delta_eo):
    x, y, group = rows(6000, 0)
    first = group == "a"
    reference = np.flatnonzero(first)[:512]
    gaps = {}
    for constraint in (None, "augmented_lagrangian"):
        tuner = FairFineTuner(network(), constraint=constraint, rehearsal_role="constraint", learning_rate=5e-3)
        tuner.fit(
            x[~first],
            y[~first],
            sensitive_features=group[~first],
            X_rehearsal=x[reference],
            y_rehearsal=y[reference],
            sensitive_features_rehearsal=group[reference],
        )
        gaps[constraint] = delta_eo(y, tuner.predict(x), group)
    assert gaps[None] > 0.1
    assert gaps["augmented_lagrangian"] < gaps[None] / 2


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("constraint", ["augmented_lagrangian", None])
def test_resumed_fit_equals_an_unbroken_one(rows, tmp_path, constraint):
    x, y, group = rows(2000, 0)
    settings = {"constraint": constraint, "epochs": 6, "min_steps": 1, "batch_size": 512}
    seen = []
    unbroken = FairFineTuner(network(dropout=0.3), callback=seen.append, **settings).fit(x, y, sensitive_features=group)
    assert [(p.epoch, p.epochs) for p in seen] == [(i, 6) for i in range(1, 7)]
    path = tmp_path / "deep" / "run.pt"

    def stop(progress):
        if progress.epoch == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        FairFineTuner(network(dropout=0.3), checkpoint_path=path, callback=stop, **settings).fit(
            x, y, sensitive_features=group
        )
    later = []
    resumed = FairFineTuner(network(dropout=0.3), checkpoint_path=path, callback=later.append, **settings)
    resumed.fit(x, y, sensitive_features=group)
    assert [p.epoch for p in later] == [4, 5, 6]
    np.testing.assert_array_equal(resumed.predict_proba(x), unbroken.predict_proba(x))
    assert later[-1].loss == seen[-1].loss


def test_foreign_and_broken_checkpoints_are_refused(rows, tmp_path):
    x, y, group = rows(1000, 0)
    path = tmp_path / "run.pt"
    FairFineTuner(network(), checkpoint_path=path, **QUICK).fit(x, y, sensitive_features=group)
    with pytest.raises(CheckpointError, match="other data or settings"):
        FairFineTuner(network(), checkpoint_path=path, **QUICK).fit(x, 1 - y, sensitive_features=group)
    with pytest.raises(CheckpointError, match="other data or settings"):
        FairFineTuner(network(seed=1), checkpoint_path=path, **QUICK).fit(x, y, sensitive_features=group)
    # Equal weights, another function of them.
    layers = nn.Linear(5, 8), nn.Linear(8, 2)
    bend = tmp_path / "bend.pt"
    FairFineTuner(nn.Sequential(layers[0], nn.ReLU(), layers[1]), checkpoint_path=bend, **QUICK).fit(
        x, y, sensitive_features=group
    )
    with pytest.raises(CheckpointError, match="other data or settings"):
        FairFineTuner(nn.Sequential(layers[0], nn.Tanh(), layers[1]), checkpoint_path=bend, **QUICK).fit(
            x, y, sensitive_features=group
        )
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        FairFineTuner(network(), checkpoint_path=path, **QUICK).fit(x, y, sensitive_features=group)


def test_a_checkpoint_belongs_to_one_constraint_function(rows, tmp_path):
    x, y, group = rows(1000, 0)

    def weighted(weight):
        # With code inside the code, as a comprehension is.
        return lambda p, label, group: weight * sum([p[group == a, 1].mean() for a in (0, 1)])

    def fit(constraint):
        tuner = FairFineTuner(network(), constraint=constraint, checkpoint_path=tmp_path / "run.pt", **QUICK)
        return tuner.fit(x, y, sensitive_features=group)

    first = fit(weighted(1.0))
    np.testing.assert_array_equal(fit(weighted(1.0)).predict_proba(x), first.predict_proba(x))
    for other in (weighted(0.0), lambda p, label, group: p[:, 0].mean(), "penalty", None):
        with pytest.raises(CheckpointError, match="other data or settings"):
            fit(other)


def test_near_constant_predictor_warns(rows):
    x, _, group = rows(2000, 0)
    y = (np.arange(2000) % 500 == 0).astype(int) + np.zeros(2000, dtype=int)
    y[np.flatnonzero(group == "a")[0]] = y[np.flatnonzero(group == "b")[0]] = 1
    with pytest.warns(NearConstantWarning, match="predicts 0 for"):
        tuner = FairFineTuner(network(), learning_rate=1e-2, **QUICK).fit(x, y, sensitive_features=group)
    assert tuner.near_constant_


def test_cell_without_rows_warns(rows):
    x, y, group = rows(2000, 0, groups=("a", "b", "c"))
    kept = ~((group == "c") & (y == 1))
    with pytest.warns(UnconstrainedCellWarning, match=r"\(1, c\)"):
        tuner = FairFineTuner(network(), **QUICK).fit(x[kept], y[kept], sensitive_features=group[kept])
    assert len(tuner.multipliers_) == 4
    assert np.isfinite(tuner.predict_proba(x)).all()


def test_bad_input_is_named(rows):
    x, y, group = rows(500, 0)

    def fit(x=x, y=y, group=group, model=None, **settings):
        extra = {k: settings.pop(k) for k in list(settings) if k.endswith("_rehearsal")}
        FairFineTuner(model or network(), **settings).fit(x, y, sensitive_features=group, **extra)

    cases = [
        ({"constraint": "lagrange"}, "'lagrange' is unknown"),
        ({"rehearsal_role": "loss"}, "rehearsal_role='loss'"),
        ({"batch_size": 0}, "at least 1"),
        ({"batch_size": 2}, "less than the 4 cells"),
        ({"group": np.repeat("a", 500)}, "no label has rows of two groups"),
        ({"group": group[:10]}, "sensitive_features has shape"),
        ({"y": np.where(y == 0, np.nan, y)}, "y misses"),
        ({"x": np.full_like(x, np.nan)}, "NaN or infinity"),
        ({"x": np.full((500, 5), "text")}, "not numbers"),
        ({"model": network(3)}, "3 outputs and there are 2 classes"),
        ({"X_rehearsal": x}, "needs y_rehearsal"),
        ({"classes": [0, 2]}, "holds 1, which is not among"),
        (
            {"X_rehearsal": x[:, :3], "y_rehearsal": y, "sensitive_features_rehearsal": group},
            "same columns",
        ),
    ]
    for settings, message in cases:
        with pytest.raises(TrainingInputError, match=message):
            fit(**settings)


def test_rows_of_weight_zero_serve_the_constraint_alone(rows):
    x, y, group = rows(2000, 0)
    inside, outside = slice(0, 1500), slice(1500, 2000)
    apart = FairFineTuner(network(), rehearsal_role="constraint", **QUICK).fit(
        x[inside],
        y[inside],
        sensitive_features=group[inside],
        X_rehearsal=x[outside],
        y_rehearsal=y[outside],
        sensitive_features_rehearsal=group[outside],
    )
    weights = np.r_[np.full(1500, 2.0), np.zeros(500)]
    together = FairFineTuner(network(), **QUICK).fit(x, y, sensitive_features=group, sample_weight=weights)
    assert np.array_equal(apart.predict_proba(x), together.predict_proba(x))
    without = FairFineTuner(network(), **QUICK).fit(x[inside], y[inside], sensitive_features=group[inside])
    assert not np.array_equal(apart.predict_proba(x), without.predict_proba(x))


def test_weights_say_which_rows_matter(rows):
    x, y, group = rows(3000, 0)
    wrong = np.arange(3000) % 2 == 0
    labels = np.where(wrong, 1 - y, y)
    settings = {"constraint": None, "learning_rate": 5e-3, **QUICK}
    weighted = FairFineTuner(network(), **settings).fit(
        x, labels, sensitive_features=group, sample_weight=np.where(wrong, 0.1, 1.0)
    )
    assert weighted.score(x, y) > 0.75


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"sample_weight has shape \(3,\)"),
        (-np.ones(200), "negative or no number"),
        (np.full(200, np.nan), "negative or no number"),
        (np.zeros(200), "nothing would count in the loss"),
    ],
)
def test_bad_weights_are_named(rows, weights, message):
    x, y, group = rows(200, 0)
    with pytest.raises(TrainingInputError, match=message):
        FairFineTuner(network(), **QUICK).fit(x, y, sensitive_features=group, sample_weight=weights)


def test_a_callable_decides_itself_what_it_compares(rows):
    x, y, _ = rows(1000, 0)

    def rate_of_ones(probabilities, labels, groups):
        return probabilities[:, 1].mean()

    alone = np.full(1000, "a")
    strong = FairFineTuner(network(), constraint=rate_of_ones, penalty=0.7, learning_rate=5e-3, **QUICK)
    plain = FairFineTuner(network(), constraint=None, learning_rate=5e-3, **QUICK)
    rates = [tuner.fit(x, y, sensitive_features=alone).predict_proba(x)[:, 1].mean() for tuner in (strong, plain)]
    assert rates[0] < rates[1] - 0.1
    with pytest.raises(TrainingInputError, match="no label has rows of two groups"):
        FairFineTuner(network(), **QUICK).fit(x, y, sensitive_features=alone)
