"""Where files come from, and every loader on small files in the published formats."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zipfile

import duckdb
import numpy as np
import pytest
from PIL import Image

from fairbound.bounds.errors import FileFormatError, UnknownColumnError
from fairbound.empirical import list_datasets, load_dataset
from fairbound.empirical.data import dataset_source
from fairbound.empirical.data.sources import Source
from fairbound.empirical.errors import DataIntegrityError, DatasetOptionError, DataUnavailableError

IN_NO_WHEEL = [name for name in list_datasets() if dataset_source(name).wheel is None]
CONTENT = b"label,group\n1,a\n"


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAIRBOUND_DATA", raising=False)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A data folder with one file, and the source that pins it."""
    folder = tmp_path / "data" / "made_up"
    folder.mkdir(parents=True)
    (folder / "table.csv").write_bytes(CONTENT)
    monkeypatch.setenv("FAIRBOUND_DATA", str(folder.parent))
    return folder, Source("made_up", {"table.csv": hashlib.sha256(CONTENT).hexdigest()}, "nowhere")


def table(*rows):
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def test_file_of_the_data_folder_is_checked(shelf):
    folder, source = shelf
    assert source.where() == folder
    files = source.read()
    assert files.only == CONTENT
    assert files.pinned
    (folder / "table.csv").write_bytes(CONTENT.replace(b"1", b"0"))
    with pytest.raises(DataIntegrityError, match=r"table\.csv has sha256 .* not the pinned .*; it was refused"):
        source.read()


def test_another_version_is_read_knowingly_and_its_digest_kept(shelf):
    folder, source = shelf
    other = folder / "other.csv"
    other.write_bytes(CONTENT * 2)
    for path in (other, str(other)):
        files = source.read(path)
        assert files.only == CONTENT * 2
        assert files.sha256 == {"other.csv": hashlib.sha256(CONTENT * 2).hexdigest()}
        assert not files.pinned
    assert source.read(folder).pinned


@pytest.mark.parametrize("name", IN_NO_WHEEL)
def test_missing_file_names_the_command_the_variable_and_the_origin(name, tmp_path, monkeypatch):
    for folder, absent in ((None, "FAIRBOUND_DATA is not set"), (tmp_path, "lacks its files")):
        if folder is not None:
            monkeypatch.setenv("FAIRBOUND_DATA", str(folder))
        with pytest.raises(DataUnavailableError) as caught:
            load_dataset(name)
        message = str(caught.value)
        assert "\n" not in message
        for part in (absent, f"fairbound data get {name}", dataset_source(name).origin, "path="):
            assert part in message


@pytest.mark.parametrize("name", IN_NO_WHEEL)
def test_other_file_under_the_pinned_name_is_refused(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    (file,) = dataset_source(name).sha256
    (tmp_path / name / file).write_bytes(b"something else")
    monkeypatch.setenv("FAIRBOUND_DATA", str(tmp_path))
    with pytest.raises(DataIntegrityError, match="not the pinned"):
        load_dataset(name)


def test_data_folder_serves_where_no_index_is(shop, tmp_path, monkeypatch):
    wheel = shop()
    original = b"name,age,city\nAda,36,London\nAlan,41,Wilmslow\n"
    source = Source("people", {"people.csv": wheel.files["people.csv"].sha256}, "nowhere", wheel)
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "people.csv").write_bytes(original)
    monkeypatch.setenv("FAIRBOUND_DATA", str(tmp_path))
    assert source.read().only == original
    monkeypatch.delenv("FAIRBOUND_DATA")
    assert source.where() is None
    assert source.read().only == b"age,city\n36,London\n41,Wilmslow\n"
    assert source.where() is not None


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("lsac", "absent.csv", "Cannot read"),
        ("lsac", ".", "does not hold what lsac is read from: bar_pass_prediction.csv"),
        ("utkface", ".", r"files \*\.jpg"),
        ("adult", "absent", "several files"),
    ],
)
def test_path_without_the_data_is_told(name, path, message, tmp_path):
    with pytest.raises(DataUnavailableError, match=message):
        load_dataset(name, path=tmp_path / path)


@pytest.mark.parametrize("name", ["lsac", "compas", "acs_income", "german", "bug", "bias_in_bios"])
@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x00\xff\x00", b'"a\n', b"\x1f\x8bnot gzip"])
def test_other_content_is_refused_by_name(name, content, tmp_path):
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises((FileFormatError, UnknownColumnError, DataIntegrityError)) as caught:
        load_dataset(name, path=path)
    assert "\n" not in str(caught.value)
    assert "other.csv" in str(caught.value) or name in str(caught.value)


HEADER = ("STATE", "AGEP", "COW", "SCHL", "MAR", "OCCP", "POBP", "RELP", "WKHP", "SEX", "RAC1P", "PINCP")


def test_acs_table_and_census_file_are_one_data_set(tmp_path):
    # The Census Bureau's file: blanks, raw income, nine races, five marital statuses, people outside the filter.
    raw = [
        ("RI", 40, 1, 21, 1, "0440", 44, 0, 40, 1, 1, 90_000, 10),
        ("RI", 30, 2, 16, 5, 4720, 301, 2, 20, 2, 2, 50_000, 3),
        ("CT", 55, 6, 22, 3, 9830, 457, 1, 60, 2, 6, 50_001, 7),
        ("CT", 61, 5, 24, 2, 3255, 72, 12, 35, 1, 3, 101, 1),
        ("CT", 33, 4, 18, 4, 5, 554, 15, 1, 2, 7, 70_000, 9),
        ("CT", 16, 1, 12, 5, 4720, 9, 2, 10, 2, 1, 3_000, 5),
        ("CT", 45, 1, 12, 5, 4720, 9, 2, 40, 2, 1, 100, 5),
        ("CT", 80, "", 12, 2, "", 9, 0, "", 2, 1, 60_000, 5),
    ]
    cooked = [
        ("RI", 40, 1, 21, 1, 440, 44, 0, 40, 1, 1, 1),
        ("RI", 30, 2, 16, 2, 4720, 301, 2, 20, 2, 2, 0),
        ("CT", 55, 6, 22, 2, 9830, 457, 1, 60, 2, 3, 1),
        ("CT", 61, 5, 24, 2, 3255, 72, 12, 35, 1, 4, 0),
        ("CT", 33, 4, 18, 2, 5, 554, 15, 1, 2, 5, 1),
    ]
    (tmp_path / "psam_p.csv").write_bytes(table((*HEADER, "PWGTP"), *raw))
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(table(HEADER, *cooked)))
    census, prepared = (load_dataset("acs_income", path=tmp_path / name) for name in ("psam_p.csv", "table.csv.gz"))
    for data in (census, prepared):
        assert data.label.tolist() == [1, 0, 1, 0, 1]
        assert data.groups_of("race").tolist() == ["White", "Black", "Asian", "Native", "Other"]
        assert data.groups_of("sex & marital").tolist()[:2] == ["Male & married", "Female & not married"]
        assert data.features["occupation"].tolist() == ["MGR", "SAL", "MIL", "MED", "MGR"]
        assert data.features["birthplace"].tolist() == ["US state", "Americas", "Africa", "US territory", "Oceania"]
        assert data.features["hours"].tolist() == [40, 20, 60, 35, 1]
        assert data.row_id.tolist() == [0, 1, 2, 3, 4]
    assert census.features.astype(str).equals(prepared.features.astype(str))
    connecticut = load_dataset("acs_income", path=tmp_path / "psam_p.csv", states=["CT"], detail="codes")
    assert connecticut.name == "acs_income:detail=codes,states=CT"
    assert connecticut.row_id.tolist() == [2, 3, 4]
    assert connecticut.features["occupation"].tolist() == ["9830", "3255", "5"]


@pytest.mark.parametrize(("column", "value"), [("SEX", 3), ("RAC1P", 6), ("MAR", 0), ("PINCP", 2)])
def test_undocumented_codes_are_refused(column, value, tmp_path):
    row = dict(zip(HEADER, ("RI", 40, 1, 21, 1, 440, 44, 0, 40, 1, 1, 1), strict=True)) | {column: value}
    path = tmp_path / "table.csv"
    path.write_bytes(table(HEADER, tuple(row.values())))
    with pytest.raises(FileFormatError, match=r"not documented|neither 0 nor 1"):
        load_dataset("acs_income", path=path)
    without = [name for name in HEADER if name != column]
    path.write_bytes(table(without, [row[name] for name in without]))
    with pytest.raises(UnknownColumnError, match=column):
        load_dataset("acs_income", path=path)


def test_states_need_their_column(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(table(HEADER[1:], (40, 1, 21, 1, 440, 44, 0, 40, 1, 1, 1)))
    assert len(load_dataset("acs_income", path=path)) == 1
    with pytest.raises(DatasetOptionError, match="no column STATE"):
        load_dataset("acs_income", path=path, states="RI")


def test_lsac_drops_what_it_must_and_marks_what_is_missing(tmp_path):
    header = (
        "ID",
        "DOB_yr",
        "lsat",
        "ugpa",
        "zfygpa",
        "zgpa",
        "fam_inc",
        "fulltime",
        "tier",
        "gender",
        "race1",
        "pass_bar",
    )
    rows = [
        (1, 68, 44, 3.5, 1.33, 1.88, 5, 1, 4, "female", "white", 1),
        (2, 69, 30, 3.1, "", "", "", "", "", "male", "hisp", 0),
        (3, 69, 30, 3.1, 0, 0, 3, 1, 2, "male", "black", ""),
        (4, 69, "", 3.1, 0, 0, 3, 1, 2, "male", "black", 1),
        (5, 69, 31, 3.1, 0, 0, 3, 1, 2, "", "black", 1),
        (6, 69, 31, 3.1, 0, 0, 3, 1, 2, "male", "", 1),
    ]
    (tmp_path / "bar_pass_prediction.csv").write_bytes(table(header, *rows))
    data = load_dataset("lsac", path=tmp_path)
    assert data.row_id.tolist() == [0, 1]
    assert data.label.tolist() == [1, 0]
    assert data.groups_of("race").tolist() == ["White", "Hispanic"]
    assert data.features["zgpa"].tolist() == [1.88, 0.0]
    assert data.features["tier"].tolist() == ["4", "unknown"]
    assert not {"ID", "DOB_yr"} & set(data.features.columns)


def test_adult_and_german_files_as_uci_publishes_them(tmp_path):
    person = (
        "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, "
    )
    (tmp_path / "adult.data").write_text(f"{person}United-States, <=50K\n{person}?, >50K\n\n")
    (tmp_path / "adult.test").write_text(f"|1x3 Cross validator\n{person}Cuba, >50K.\n")
    adult = load_dataset("adult", path=tmp_path)
    assert adult.label.tolist() == [0, 1]
    assert adult.row_id.tolist() == [0, 2]
    assert adult.features["age"].tolist() == [39, 39]
    assert "fnlwgt" not in adult.features
    line = "A11 6 A34 A43 1169 A65 A75 4 {} A101 4 A121 {} A143 A152 2 A173 1 A192 A201 {}\n"
    (tmp_path / "german.data").write_text(line.format("A93", 67, 1) + line.format("A92", 22, 2))
    german = load_dataset("german", path=tmp_path)
    assert german.label.tolist() == [1, 0]
    assert german.groups_of(["sex", "age"]).tolist() == ["male & over 25", "female & 25 or under"]


def test_names_dates_and_case_numbers_stay_in_the_file(tmp_path):
    private = {"name": "Ada Quill", "first": "Ada", "last": "Quill", "dob": "1970-01-02", "c_case_number": "13001CF10A"}
    public = {
        "age": 40, "sex": "Female", "race": "Other", "juv_fel_count": 0, "juv_misd_count": 0, "juv_other_count": 0,
        "priors_count": 2, "c_charge_degree": "F", "days_b_screening_arrest": -1, "is_recid": 0, "score_text": "Low",
        "two_year_recid": 0,
    }  # fmt: skip
    rows = [public, public | {"days_b_screening_arrest": 31}, public | {"days_b_screening_arrest": ""}]
    rows += [public | {"is_recid": -1}, public | {"score_text": "N/A"}, public | {"two_year_recid": 1, "is_recid": 1}]
    path = tmp_path / "compas-scores-two-years.csv"
    path.write_bytes(table([*private, *public, "dob"], *([*private.values(), *row.values(), "1970"] for row in rows)))
    compas = load_dataset("compas", path=path)
    assert compas.row_id.tolist() == [0, 5]
    assert compas.label.tolist() == [0, 1]
    bios = tmp_path / "bios.csv"
    bios.write_bytes(table(["name", "hard_text", "profession", "gender"], ["Quill", "She writes.", "poet", "Female"]))
    text = load_dataset("bias_in_bios", path=bios)
    assert text.features == ["She writes."]
    held = compas.features.to_csv() + repr(vars(compas)) + repr(vars(text)) + repr(dict(compas.attributes))
    for value in private.values():
        assert value not in held
    assert not set(private) & set(compas.features.columns)


def test_published_biographies_are_parquet_files_of_codes(tmp_path):
    for split, codes in (("train", "('He draws.', 1, 0), ('She sues.', 2, 1)"), ("dev", "('She flexes.', 27, 1)")):
        duckdb.sql(f"SELECT * FROM (VALUES {codes}) t(hard_text, profession, gender)").write_parquet(
            str(tmp_path / f"{split}.parquet")
        )
    data = load_dataset("bias_in_bios", path=tmp_path)
    assert data.features == ["She flexes.", "He draws.", "She sues."]
    assert data.classes == ("architect", "attorney", "yoga_teacher")
    assert data.label.tolist() == [2, 0, 1]
    assert data.groups_of("gender").tolist() == ["female", "male", "female"]
    assert list(data.info.sha256) == ["*.parquet"]
    duckdb.sql("SELECT 'x' hard_text, 28 profession, 0 gender").write_parquet(str(tmp_path / "bad.parquet"))
    with pytest.raises(FileFormatError, match="from 0 to 27"):
        load_dataset("bias_in_bios", path=tmp_path / "bad.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(FileFormatError, match=r"bad\.parquet is not bias_in_bios"):
        load_dataset("bias_in_bios", path=tmp_path / "bad.parquet")


def test_bug_keeps_professions_with_enough_sentences(tmp_path):
    rows = [
        (f"The {word} number {i} and two {word}s saw {pronoun} friend .", word, gender)
        for word, count in (("poet", 100), ("Judge", 120), ("dean", 99), ("person", 150))
        for i in range(count)
        for pronoun, gender in (("her", "female"), ("his", "male"))
    ]
    path = tmp_path / "BUG.csv"
    path.write_bytes(table(["sentence_text", "profession", "predicted gender"], *rows, rows[0]))
    data = load_dataset("bug", path=path)
    assert data.classes == ("judge", "poet")
    assert np.bincount(data.label).tolist() == [240, 200]
    assert data.features[0] == "The _ number 0 and two _ saw her friend ."
    assert "judge" not in " ".join(data.features).lower()


def picture(colour, size):
    out = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(out, "PNG")
    return out.getvalue()


FACES = {
    "5_0_1_20170110183726390.jpg.chip.jpg": picture((250, 0, 0), 64),
    "30_1_3_20170110183726391.jpg.chip.jpg": picture((0, 250, 0), 200),
    "70_1_0_20170110183726392jpg.chip.jpg": picture((0, 0, 250), 64),
    "61_3_20170109150557335.jpg.chip.jpg": picture((9, 9, 9), 64),
    "readme.txt": b"not an image",
}


@pytest.fixture
def faces(tmp_path):
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FACES.items():
            archive.writestr(f"UTKFace/{name}", content)
            archive.writestr(f"crop_part1/{name}", content)
    return path


def test_faces_from_an_archive_and_from_a_folder(faces, tmp_path):
    folder = tmp_path / "UTKFace"
    folder.mkdir()
    for name, content in FACES.items():
        (folder / name).write_bytes(content)
    for path in (faces, folder):
        data = load_dataset("utkface", path=path)
        assert data.features.shape == (3, 64, 64, 3)
        assert data.features[:, 32, 32].tolist() == [[0, 250, 0], [250, 0, 0], [0, 0, 250]]
        assert data.label.tolist() == [1, 0, 1]
        assert data.groups_of("race").tolist() == ["Indian", "Black", "White"]
        assert data.groups_of("age_band").tolist() == ["30-44", "under 18", "60 and over"]
    assert load_dataset("utkface", path=faces, target="adult").label.tolist() == [1, 0, 1]
    assert load_dataset("utkface", path=faces, rows=2).features.shape == (2, 64, 64, 3)


def test_decoded_images_are_kept_checked_and_repaired(faces, tmp_path):
    first = np.array(load_dataset("utkface", path=faces).features)
    (kept,) = (tmp_path / "cache" / "images").glob("*.npy")
    before = kept.stat().st_mtime_ns
    load_dataset("utkface", path=faces)
    assert kept.stat().st_mtime_ns == before
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert (load_dataset("utkface", path=faces).features == first).all()
    kept.write_bytes(b"torn")
    assert (load_dataset("utkface", path=faces).features == first).all()
    assert len(list(kept.parent.iterdir())) == 2


def test_broken_images_are_refused_by_name_and_leave_nothing(tmp_path):
    name = "5_0_1_20170110183726390.jpg.chip.jpg"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_bytes(FACES[name][:60])
    with pytest.raises(DataIntegrityError, match=f"{name} cannot be decoded"):
        load_dataset("utkface", path=tmp_path / "folder")
    assert list((tmp_path / "cache" / "images").iterdir()) == []
    (tmp_path / "faces.zip").write_bytes(b"no archive")
    with pytest.raises(DataIntegrityError, match=r"faces\.zip is no zip archive"):
        load_dataset("utkface", path=tmp_path / "faces.zip")


def test_unusable_cache_names_the_variable(faces, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataUnavailableError, match="Set FAIRBOUND_CACHE"):
        load_dataset("utkface", path=faces)
