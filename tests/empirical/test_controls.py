"""Controls beside fair fine-tuning."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import torch
from fairlearn.metrics import equalized_odds_difference
from hypothesis import given
from hypothesis import strategies as st

from fairbound.empirical import ProtocolConfig, run_protocol
from fairbound.empirical.controls import cell_balanced_rows, independence_weights
from fairbound.empirical.plan import CONTROL_STAGES, plan_protocol
from fairbound.empirical.stages import FrozenRates, NotApplicable, Run

QUICK = ProtocolConfig(
    stages=("pooled", *CONTROL_STAGES),
    model={"epochs": 8, "min_steps": 200},
    fine_tuning={"learning_rate": 5e-3, "min_steps": 100, "epochs": 1},
)


@pytest.fixture(scope="module")
def measured():
    from tests.empirical.conftest import made_up_dataset

    return run_protocol(made_up_dataset(n=6000), attribute="team", start="a", config=QUICK, seed=1)


@pytest.fixture
def run(make_dataset):
    return Run(plan_protocol(make_dataset(n=2000), attribute="team", start="a", config=QUICK), 0)


def test_every_control_is_measured(measured):
    record = measured.record
    assert list(record["stages"]) == ["pooled", *CONTROL_STAGES]
    assert record["skipped"] == {}
    for stage, result in record["stages"].items():
        assert result["accuracy"] > 0.7, stage
        assert (result["auc"] is None) == (stage == "postprocessed")
        assert result["cpu_seconds"] > 0
        log = measured.logs[stage]
        odds = equalized_odds_difference(log["label"], log["prediction"], sensitive_features=log["group"])
        assert result["delta_eo"] == pytest.approx(odds)
    assert len({len(log) for log in measured.logs.values()}) == 1


@pytest.mark.parametrize(
    "stage", ["pooled_fair", "exponentiated_gradient", "exponentiated_gradient_hidden", "postprocessed", "resampled"]
)
def test_controls_that_aim_at_equalized_odds_lower_it(measured, stage):
    stages = measured.record["stages"]
    assert stages[stage]["delta_eo"] < stages["pooled"]["delta_eo"] * 0.6


def test_what_a_control_needs_is_recorded(measured):
    notes = {stage: result["notes"] for stage, result in measured.record["stages"].items()}
    assert notes["postprocessed"]["needs_group_to_predict"]
    assert notes["exponentiated_gradient"]["randomised"]
    assert notes["dp_sgd"]["epsilon"] == 3.0
    assert notes["dp_sgd"]["delta"] < 1 / 3000
    assert notes["dp_sgd"]["noise_multiplier"] > 0


def test_less_privacy_budget_means_more_noise(make_dataset):
    data = make_dataset(n=1500)
    noise = {}
    for epsilon in (0.5, 5.0):
        config = dataclasses.replace(QUICK, dp_epsilon=epsilon, model={"epochs": 1, "min_steps": 10})
        run = Run(plan_protocol(data, attribute="team", start="a", config=config), 0)
        noise[epsilon] = run.stage("dp_sgd").notes["noise_multiplier"]
    assert noise[0.5] > 2 * noise[5.0]


def test_private_training_leaves_the_pooled_model_alone(run):
    pooled = run.stage("pooled").model
    before = {name: value.clone() for name, value in pooled.module_.state_dict().items()}
    private = run.stage("dp_sgd").model
    assert all(torch.equal(before[name], value) for name, value in pooled.module_.state_dict().items())
    assert not torch.equal(private.module_.layers[0].weight, pooled.module_.layers[0].weight)


def test_without_opacus_the_reason_is_told(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus", None)
    monkeypatch.setattr("fairbound.empirical.controls.find_spec", lambda name: None)
    with pytest.raises(NotApplicable, match=r"opacus is not installed; .*fairbound\[dp\]"):
        run.stage("dp_sgd")


def test_a_network_without_hidden_layer_has_no_hidden_features(make_dataset):
    config = dataclasses.replace(QUICK, model={"hidden": (), "epochs": 1}, stages=("exponentiated_gradient_hidden",))
    record = run_protocol(make_dataset(n=1000), attribute="team", start="a", config=config).record
    assert record["stages"] == {}
    assert record["skipped"] == {"exponentiated_gradient_hidden": "the network has no hidden layer of its own"}


def test_seconds_do_not_include_what_a_stage_starts_from(run, monkeypatch):
    clock = iter(np.cumsum([0.0, 1.0, 10.0, 100.0]))
    monkeypatch.setattr("fairbound.empirical.stages.time.process_time", lambda: float(next(clock)))
    run.stage("postprocessed")
    # Read at: post-processing begins, pooled begins, pooled ends, post-processing ends.
    assert run.seconds == {"pooled": 10.0, "postprocessed": 101.0}


def test_independence_weights_make_group_and_label_independent():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 500)
    group = (rng.random(500) < 0.2 + 0.3 * (label == 2)).astype(int)
    cell = 3 * group + label
    weights = independence_weights(cell, 3, np.bincount(cell, minlength=6))
    joint = np.bincount(cell, weights, minlength=6).reshape(2, 3) / weights.sum()
    assert np.allclose(joint, joint.sum(axis=1, keepdims=True) * joint.sum(axis=0))
    assert np.allclose(joint.sum(axis=0), np.bincount(label) / 500)
    assert np.allclose(joint.sum(axis=1), np.bincount(group) / 500)


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_cell_balanced_rows(sizes, seed):
    cell = np.repeat(np.arange(len(sizes)), sizes)
    drawn = cell_balanced_rows(cell, np.random.default_rng(seed))
    assert len(drawn) == len(cell)
    counts = np.bincount(cell[drawn], minlength=len(sizes))
    assert counts.max() - counts.min() <= 1
    for value, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        # Every row of a small cell, and no row of a large one twice.
        assert len(np.unique(drawn[cell[drawn] == value])) == min(size, count)


def test_frozen_rates_are_a_total_variation():
    rates = torch.tensor([[0.7, 0.3], [0.2, 0.8]])
    probabilities = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.4, 0.6]])
    labels = torch.tensor([0, 0, 1])
    distance = FrozenRates(rates)(probabilities, labels, torch.zeros(3, dtype=torch.int64))
    assert float(distance) == pytest.approx(0.0 + 0.2)
