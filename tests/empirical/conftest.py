"""Made-up data on which the real code runs, and real data where a test asks for it."""

from __future__ import annotations

import hashlib
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from fairbound.empirical import load_dataset
from fairbound.empirical.data import Dataset, DatasetInfo
from fairbound.empirical.data.wheels import Wheel, WheelFile


@pytest.fixture(autouse=True, scope="session")
def _one_torch_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw_rows(n, seed, groups=("a", "b"), classes=2):
    """Rows whose label depends on the group beyond the features, so that an accurate model is unfair."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, len(groups), n)
    x = rng.normal(size=(n, 4))
    score = x[:, 0] + 0.5 * x[:, 1] + 0.8 * group + rng.logistic(size=n) * 0.5
    cuts = np.quantile(score, np.arange(1, classes) / classes)
    features = np.column_stack([x, group]).astype(np.float32)
    return features, np.digitize(score, cuts), np.array(groups)[group]


@pytest.fixture
def rows():
    return draw_rows


def made_up_dataset(n=3000, seed=0, groups=("a", "b"), name="made_up", classes=2):
    x, y, group = draw_rows(n, seed, groups, classes)
    features = pd.DataFrame(x[:, :4], columns=list("pqrs")).astype("float64")
    features["team"] = pd.Categorical(group, categories=list(groups))
    info = DatasetInfo(name, "Predict a made-up label.", n, ("team",), "none", "drawn here", (), {"x": "0" * 64})
    names = tuple(str(k) for k in range(classes))
    return Dataset(info, features, y.astype(np.int64), {"team": group.astype(np.str_)}, {"team": ("team",)}, names)


@pytest.fixture
def make_dataset():
    return made_up_dataset


@pytest.fixture(scope="session")
def compas():
    return load_dataset("compas")


def odds_gap(y, prediction, group):
    """Delta_EO from its definition, the long way round."""
    worst = 0.0
    for label in np.unique(y):
        for a in np.unique(group):
            for b in np.unique(group):
                first = prediction[(y == label) & (group == a)]
                second = prediction[(y == label) & (group == b)]
                tv = sum(abs((first == z).mean() - (second == z).mean()) for z in np.unique(y)) / 2
                worst = max(worst, tv)
    return worst


@pytest.fixture
def delta_eo():
    return odds_gap


TABLE = b"name,age,city\nAda,36,London\nAlan,41,Wilmslow\n"
KEPT = b"age,city\n36,London\n41,Wilmslow\n"


def digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A package index of one wheel, offline, and an empty cache: returns a function that stocks it."""
    shelf = tmp_path / "index"
    shelf.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("FAIRBOUND_CACHE", str(tmp_path / "cache"))

    def stock(content=TABLE):
        path = shelf / "madeup-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("madeup/people.csv", content)
            archive.writestr("madeup-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: madeup\nVersion: 1.0\n")
            wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            archive.writestr("madeup-1.0.dist-info/WHEEL", wheel)
            archive.writestr("madeup-1.0.dist-info/RECORD", "")
        people = WheelFile("madeup/people.csv", digest(TABLE), ("age", "city"), digest(KEPT))
        return Wheel("madeup", "1.0", path.name, digest(path.read_bytes()), {"people.csv": people})

    return stock
