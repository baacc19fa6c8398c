"""The data sets: rows, columns, groups, and what they must not hold."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fairbound.empirical import list_datasets, load_dataset
from fairbound.empirical.data import dataset_info, is_fetched
from fairbound.empirical.errors import UnknownAttributeError, UnknownDatasetError

#: rows, share of label 1, groups with their rows
FACTS = {
    "adult": (45_222, 0.2478, {"sex": {"Female": 14_695, "Male": 30_527}}),
    "compas": (6_172, 0.4551, {"race": {"African-American": 3_175, "Caucasian": 2_103, "Hispanic": 509}}),
    "german": (1_000, 0.7, {"sex": {"female": 310, "male": 690}, "age": {"25 or under": 190, "over 25": 810}}),
}
PERSONAL = re.compile(r"name|first|last|dob|birth|date|case|^id$|jail|custody|fnlwgt|score|recid", re.IGNORECASE)


def test_registry_names_every_data_set():
    assert list_datasets() == sorted(FACTS)
    for name in list_datasets():
        info = dataset_info(name)
        assert info.name == name
        assert info.licence
        assert info.known_faults
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in info.sha256.values())


def test_unknown_data_set_lists_the_known():
    with pytest.raises(UnknownDatasetError, match="adult, compas, german"):
        load_dataset("adulte")


@pytest.mark.data
@pytest.mark.parametrize("name", FACTS)
def test_rows_columns_and_groups(name):
    rows, share, groups = FACTS[name]
    data = load_dataset(name)
    assert is_fetched(name)
    assert len(data) == len(data.features) == rows == data.info.rows
    assert data.label.dtype == np.int64
    assert set(np.unique(data.label)) == {0, 1}
    assert data.label.mean() == pytest.approx(share, abs=1e-4)
    assert set(data.attributes) == set(data.info.attributes)
    for attribute, expected in groups.items():
        found = data.groups_of(attribute)
        assert found.dtype.kind == "U"
        assert {group: int((found == group).sum()) for group in expected} == expected
    for attribute, columns in data.attribute_columns.items():
        assert set(columns) <= set(data.features.columns), attribute
    assert not data.features.isna().any().any()
    assert set(data.categorical) | set(data.numeric) == set(data.features.columns)
    assert (data.features[list(data.numeric)].dtypes == "float64").all()


@pytest.mark.data
@pytest.mark.parametrize("name", FACTS)
def test_no_personal_columns_and_no_answers_among_the_features(name):
    assert [column for column in load_dataset(name).features.columns if PERSONAL.search(column)] == []


@pytest.mark.data
def test_label_means_what_the_task_says():
    adult = load_dataset("adult")
    degree = adult.features["education"].isin(["Doctorate", "Prof-school"]).to_numpy()
    assert adult.label[degree].mean() > 0.7 > 0.3 > adult.label[~degree].mean()
    compas = load_dataset("compas")
    many = (compas.features["priors_count"] > 10).to_numpy()
    assert compas.label[many].mean() > 0.7 > 0.45 > compas.label[~many].mean()
    german = load_dataset("german")
    overdrawn = (german.features["status"] == "A11").to_numpy()
    assert german.label[overdrawn].mean() < 0.55 < 0.75 < german.label[~overdrawn].mean()


@pytest.mark.data
def test_unknown_attribute_lists_the_known(compas):
    with pytest.raises(UnknownAttributeError, match="race, sex"):
        compas.groups_of("religion")
