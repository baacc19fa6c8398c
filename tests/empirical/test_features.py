"""Features of frozen networks: computed once, found again, repaired, resumed."""

from __future__ import annotations

import hashlib
import io
import pickle
import threading

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from fairbound.empirical.errors import DataUnavailableError, TrainingInputError
from fairbound.empirical.features import FeatureStore, FrozenFeatures, outputs
from fairbound.empirical.torch_tools import resolve_device


class Cosines(FrozenFeatures):
    """A fixed linear map and a cosine, in parts of four rows; counts what it computes."""

    width = 6
    part_rows = 4

    def __init__(self, *, version="1", device="cpu", progress=None):
        super().__init__(device=device, progress=progress)
        self.version = version
        self.computed = []

    def _identity(self):
        return {"name": "cosines", "weights": "0" * 64, "preprocessing": self.version}

    def _rows(self, X):
        return np.asarray(X, dtype=np.float32)

    def _contents(self, row):
        return row.tobytes()

    def _network(self):
        layer = nn.Linear(3, 6)
        nn.init.constant_(layer.bias, float(self.version))
        with torch.no_grad():
            layer.weight.copy_(torch.arange(18).reshape(6, 3) / 7)
        return layer

    def _compute(self, network, rows, device):
        self.computed.append(len(rows))
        return np.cos(outputs(network, np.stack(rows), device))


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


def direct(features, x):
    network = features._network()
    with torch.no_grad():
        return np.cos(network(torch.from_numpy(x)).numpy())


def parts(features):
    return sorted(features.folder().glob("*.npy"))


def test_second_use_computes_nothing_and_gives_the_same_bits(x):
    features = Cosines()
    first = features.transform(x)
    assert first.dtype == np.float32
    np.testing.assert_allclose(first, direct(features, x), rtol=1e-5, atol=1e-6)
    assert features.computed == [4, 4, 2]
    again = Cosines()
    np.testing.assert_array_equal(again.fit_transform(x), first)
    assert again.computed == []


def test_rows_are_found_in_any_order_and_selection(x):
    everything = Cosines().transform(x)
    some = np.array([7, 2, 2, 9])
    features = Cosines()
    np.testing.assert_array_equal(features.transform(x[some]), everything[some])
    assert features.computed == []
    assert features.transform(x[:0]).shape == (0, 6)


def test_only_new_rows_are_computed_and_repeated_rows_once(x):
    Cosines().transform(x[:6])
    features = Cosines()
    features.transform(np.concatenate([x, x[8:], x[:2]]))
    assert features.computed == [4]


def test_another_preprocessing_is_another_folder(x):
    first, second = Cosines(version="1"), Cosines(version="2")
    assert np.abs(first.transform(x) - second.transform(x)).max() > 0.1
    assert second.computed == [4, 4, 2]
    assert first.folder() != second.folder()
    assert first.folder() == clone(first).folder()


class Killed(Exception):
    pass


def test_a_killed_computation_goes_on_and_ends_in_the_same_bits(x, monkeypatch, tmp_path):
    unbroken = Cosines().transform(x)
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path / "second"))
    told = []

    def stop(done, total):
        told.append((done, total))
        if done == 8:
            raise Killed

    with pytest.raises(Killed):
        Cosines(progress=stop).transform(x)
    assert told == [(4, 10), (8, 10)]
    rest = Cosines()
    np.testing.assert_array_equal(rest.transform(x), unbroken)
    assert rest.computed == [2]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_part_is_computed_again(x, damage):
    before = Cosines().transform(x)
    victim = parts(Cosines())[1]
    content = bytearray(victim.read_bytes())
    lost = len(np.load(victim))
    if damage == "flip":
        content[-3] ^= 1
    victim.write_bytes(content if damage == "flip" else content[: 40 * (damage == "cut")])
    features = Cosines()
    np.testing.assert_array_equal(features.transform(x), before)
    assert features.computed == [lost]
    assert len(parts(features)) == 3


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a cached file was unpickled",))


def test_foreign_files_are_dropped_and_never_unpickled(x):
    features = Cosines()
    features.folder().mkdir(parents=True)
    pickled, other = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(pickled, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    pickled.write(pickle.dumps(Bomb()))
    np.save(other, np.zeros((4, 6), dtype=np.float32))
    for content in (pickled.getvalue(), other.getvalue(), b""):
        (features.folder() / f"{hashlib.sha256(content).hexdigest()}.npy").write_bytes(content)
    features.transform(x)
    assert features.computed == [4, 4, 2]
    assert len(parts(features)) == 3


def test_no_scratch_files_stay_and_parts_are_mapped(x, tmp_path):
    Cosines().transform(x)
    files = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sorted(files) == [path.name for path in parts(Cosines())]
    store = FeatureStore(Cosines().folder(), 6)
    assert all(isinstance(part, np.memmap) for part in store._parts)
    assert hashlib.sha256(x[0].tobytes()).digest() in store
    assert hashlib.sha256(b"another row").digest() not in store


def test_two_compute_at_once(x):
    found = []
    workers = [threading.Thread(target=lambda: found.append(Cosines().transform(x))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 2
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(Cosines().transform(x), found[0])


def test_an_unusable_cache_names_the_variable(x, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataUnavailableError, match="Set FAIRBOUND_CACHE"):
        Cosines().transform(x)


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(TrainingInputError, match="use 'auto'"):
        resolve_device("quantum")
    with pytest.raises(TrainingInputError, match="CUDA devices; use 'auto' or 'cpu'"):
        resolve_device(f"cuda:{torch.cuda.device_count()}")
