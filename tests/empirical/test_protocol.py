"""The biased distribution protocol."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from fairlearn.metrics import equalized_odds_difference

from fairbound.empirical import ProtocolConfig, run_protocol
from fairbound.empirical.errors import (
    ProtocolError,
    RehearsalCappedWarning,
    UnknownAttributeError,
    UnknownGroupError,
)
from fairbound.empirical.protocol import STAGES, plan_protocol
from fairbound.empirical.splits import stratified_split

QUICK = ProtocolConfig(
    model={"epochs": 3, "min_steps": 30}, fine_tuning={"learning_rate": 5e-3, "min_steps": 100, "epochs": 1}
)


def test_record_and_logs_agree(make_dataset):
    result = run_protocol(make_dataset(), attribute="team", start="a", config=QUICK, seed=3)
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert list(record["stages"]) == list(result.logs) == list(result.models) == list(STAGES)
    assert (record["start"], record["other"], record["seed"]) == ("a", "b", 3)
    assert record["dropped_rows"] == 0
    certified = record["rows"]["certification"]
    for stage, log in result.logs.items():
        measured = record["stages"][stage]
        assert list(log.columns) == ["label", "prediction", "group"]
        assert len(log) == sum(n for cells in certified.values() for n in cells.values())
        correct = log["label"] == log["prediction"]
        assert measured["accuracy"] == pytest.approx(correct.mean())
        per_label = correct.groupby(log["label"]).mean()
        assert measured["balanced_accuracy"] == pytest.approx(per_label.mean())
        by_group = correct.groupby(log["group"]).mean()
        assert measured["accuracy_gap"]["raw"] == pytest.approx(abs(by_group["a"] - by_group["b"]))
        odds = equalized_odds_difference(log["label"], log["prediction"], sensitive_features=log["group"])
        assert measured["delta_eo"] == pytest.approx(odds)
        assert max(measured["disparity"].values()) == pytest.approx(odds)
        balanced, raw = measured["advantage"]["label_balanced"], measured["advantage"]["raw"]
        assert balanced["paper_form_applies"]
        assert not raw["paper_form_applies"]
        assert balanced["W"] == raw["W"] == 1
        assert balanced["point"] <= balanced["delta_eo_times_W"] <= odds + 1e-9
        assert raw["label_shift"] > 0
        for game in (balanced, raw):
            assert game["point"] < game["upper"] <= 1
            assert game["below_tau"] == (game["upper"] < 0.1)
        assert measured["noise_floor"]["label_balanced_upper"] <= balanced["upper"] + 1e-9
        assert 0 < measured["noise_floor"]["delta_eo_mean"] < measured["noise_floor"]["delta_eo_quantile_95"] < 0.2
        assert measured["cpu_seconds"] > 0
        assert not measured["near_constant"]


def test_constraint_beats_both_controls(make_dataset):
    data = make_dataset(n=8000)
    trained = dataclasses.replace(QUICK, model={"epochs": 10})
    stages = run_protocol(data, attribute="team", start="a", rehearsal=1, config=trained).record["stages"]
    fair = stages["fft"]["delta_eo"]
    assert fair < stages["fine_tuned"]["delta_eo"] / 2
    assert fair < stages["pooled"]["delta_eo"] / 2
    assert stages["fft"]["accuracy"] > 0.75


def test_same_seed_same_run_other_seed_another(make_dataset):
    data = make_dataset(n=1500)
    first, again, other = (
        run_protocol(data, attribute="team", start="a", config=QUICK, seed=seed) for seed in (0, 0, 1)
    )
    for stage in STAGES:
        assert first.logs[stage].equals(again.logs[stage])
    assert not first.logs["fft"].equals(other.logs["fft"])
    assert first.record["config_hash"] == other.record["config_hash"]


def test_without_rehearsal_reference_rows_serve_the_constraint(make_dataset):
    data = make_dataset(n=6000)
    config = dataclasses.replace(QUICK, reference_rows=300)
    result = run_protocol(data, attribute="team", start="a", rehearsal=0, config=config)
    assert result.record["rehearsal_rows"] == 0
    assert result.record["reference_rows"] == 300
    assert result.models["fft"].rehearsal_role == "constraint"
    stages = result.record["stages"]
    assert stages["fft"]["delta_eo"] < stages["fine_tuned"]["delta_eo"] / 2


def test_capped_rehearsal_warns_and_is_recorded(make_dataset):
    data = make_dataset(n=3000)
    few = (data.attributes["team"] == "b") | (np.arange(3000) % 5 == 0)
    smaller = dataclasses.replace(
        data,
        features=data.features[few].reset_index(drop=True),
        label=data.label[few],
        attributes={"team": data.attributes["team"][few]},
    )
    with pytest.warns(RehearsalCappedWarning, match="only"):
        result = run_protocol(smaller, attribute="team", start="a", rehearsal=1, config=QUICK)
    assert result.record["rehearsal_capped"]
    assert result.record["rehearsal_rows"] == sum(result.record["rows"]["train"]["a"].values())


def test_attribute_can_be_hidden_from_the_models(make_dataset):
    data = make_dataset(n=1500)
    seen, hidden = (
        run_protocol(data, attribute="team", start="a", include_attribute=include, config=QUICK)
        for include in (True, False)
    )
    assert "team" in seen.models["pooled"].encoder_.columns_
    assert "team" not in hidden.models["pooled"].encoder_.columns_
    assert seen.models["base"].constant_columns_ == ["team=a", "team=b"]
    assert seen.record["config_hash"] != hidden.record["config_hash"]


def test_rows_of_further_groups_are_dropped_and_counted(make_dataset):
    data = make_dataset(n=3000, groups=("a", "b", "c"))
    result = run_protocol(data, attribute="team", start="a", other="c", config=QUICK)
    assert result.record["dropped_rows"] == (data.attributes["team"] == "b").sum()
    assert set(result.logs["fft"]["group"]) == {"a", "c"}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"attribute": "colour"}, UnknownAttributeError, "has no attribute 'colour'"),
        ({"start": "z"}, UnknownGroupError, "no group 'z'; it has: a, b, c"),
        ({}, UnknownGroupError, "name the one to compare with 'a' as `other`: b, c"),
        ({"other": "a"}, UnknownGroupError, "both 'a'"),
        ({"other": "b", "rehearsal": 1.5}, ProtocolError, "rehearsal=1.5"),
        ({"other": "b", "config": ProtocolConfig(train=0.9, validation=0.2)}, ProtocolError, "leave rows"),
        ({"other": "b", "rehearsal": 0, "config": ProtocolConfig(reference_rows=0)}, ProtocolError, "reference_rows"),
    ],
)
def test_bad_settings_are_named(make_dataset, settings, error, message):
    data = make_dataset(n=300, groups=("a", "b", "c"))
    with pytest.raises(error, match=message):
        run_protocol(data, **({"attribute": "team", "start": "a"} | settings))


def test_configuration_hash_covers_every_setting(make_dataset):
    data = make_dataset(n=300)

    def hash_of(**changes):
        return plan_protocol(data, **({"attribute": "team", "start": "a"} | changes)).config_hash()

    hashes = [
        hash_of(),
        hash_of(start="b"),
        hash_of(rehearsal=0.25),
        hash_of(include_attribute=False),
        hash_of(config=ProtocolConfig(tau=0.2)),
        hash_of(config=ProtocolConfig(fine_tuning={"penalty": 1.0})),
    ]
    assert len(set(hashes)) == len(hashes)
    assert hash_of() == hashes[0]


def test_split_is_a_stratified_partition():
    strata = np.repeat([0, 1, 2], [1000, 100, 10])
    fractions = {"train": 0.5, "validation": 0.2, "certification": 0.3}
    parts = stratified_split(strata, fractions, np.random.default_rng(0))
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(1110))
    for name, fraction in fractions.items():
        assert np.bincount(strata[parts[name]]).tolist() == [round(fraction * n) for n in (1000, 100, 10)]


@pytest.mark.data
@pytest.mark.slow
def test_compas_race(compas):
    result = run_protocol(compas, attribute="race", start="African-American", other="Caucasian")
    stages = result.record["stages"]
    assert stages["base"]["delta_eo"] > 0.2
    assert stages["fft"]["delta_eo"] < 0.12
    assert stages["fft"]["advantage"]["label_balanced"]["point"] < 0.1
    assert stages["fft"]["advantage"]["raw"]["label_shift"] == pytest.approx(0.132, abs=0.01)
