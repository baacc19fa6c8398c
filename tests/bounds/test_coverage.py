"""T9's bounds cover at their level in simulations, by the harness of benchmarks/coverage.py."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NAMES = (
    "cells of about 6",
    "one label moves, level 0.5",
    "30 rows against 3000, balanced",
    "given pair, level 0.8",
)
RUNS = 80


@pytest.fixture(scope="module")
def coverage():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks import coverage

        yield coverage


@pytest.mark.parametrize("method", ["fisher", "clopper-pearson", "relative-entropy", "smallest"])
@pytest.mark.parametrize("name", NAMES)
def test_bounds_cover_at_their_level(coverage, name, method):
    (setting,) = (setting for setting in coverage.SETTINGS if setting.name == name)
    outcome = coverage.simulate(setting, method, RUNS, seed=(1, 2, 3))
    assert not outcome.below(setting.confidence)
    assert outcome.missed <= (1 - float(Fraction(setting.confidence))) * RUNS
    # Better than nothing: the bound is not 1 throughout.
    assert outcome.excess / RUNS < 1 - float(max(setting.values())) - 1e-3


@pytest.mark.parametrize("name", ["cells of about 4, given pair", "label shift", "label shift, mixed given pair"])
def test_the_harness_notices_what_does_not_cover(coverage, name):
    """The value at the measured rates in place of the bound."""
    (setting,) = (setting for setting in coverage.SETTINGS if setting.name == name)

    def point(result):
        return result.point

    assert coverage.simulate(setting, "clopper-pearson", RUNS, seed=(1, 2, 3), bound=point).below(setting.confidence)
    assert not coverage.simulate(setting, "clopper-pearson", RUNS, seed=(1, 2, 3)).below(setting.confidence)


def test_the_harness_notices_a_level_that_is_not_reached(coverage):
    (setting,) = (setting for setting in coverage.SETTINGS if setting.name == "one label moves, level 0.5")
    outcome = coverage.simulate(setting, "fisher", RUNS, seed=(1, 2, 3))
    assert not outcome.below(setting.confidence)
    assert outcome.below("0.95")


def test_the_oracle_is_the_standard_error_of_the_plug_in(coverage):
    """Against the spread of the plug-in value in simulated logs, where its direction is never in doubt."""
    for setting in coverage.SETTINGS:
        if setting.name not in ("label shift", "label shift, mixed given pair", "30 rows against 3000"):
            continue
        large = coverage.Setting(
            setting.name,
            tuple(100 * n for n in setting.sizes),
            (("3/5", "2/5"), ("1/5", "4/5")),
            setting.rates,
            given=setting.given,
        )
        generator = np.random.default_rng(5)
        points = [float(large.certify(large.draw(generator), "clopper-pearson").point) for _ in range(1500)]
        assert np.std(points) * 1.6449 == pytest.approx(coverage.oracle(large), rel=0.08)


def test_settings_are_adversarial_and_cover_every_kind(coverage):
    settings = coverage.SETTINGS
    assert len(settings) >= 20
    assert len({setting.name for setting in settings}) == len(settings)
    tied = [s for s in settings if len(s.sizes) == 3 and sum(v == max(s.values()) for v in s.values()) > 1]
    assert {s.theorem for s in tied} == {"T1", "T1b"}
    assert any(len(s.labels) == 3 for s in settings)
    assert any(len(s.channel().outputs) > 6 for s in settings)
    assert {s.confidence for s in settings} == {"0.5", "0.8", "0.95"}


def test_chunks_are_kept_and_not_computed_again(coverage, tmp_path, monkeypatch):
    setting = next(s for s in coverage.SETTINGS if s.name == "cells of about 4, given pair")
    monkeypatch.setattr(coverage, "SETTINGS", (setting,))
    path = tmp_path / "lines.jsonl"
    first = coverage.run(40, 1, path)
    lines = path.read_text()
    assert len(lines.splitlines()) == len(setting.methods)
    # An unfinished line, as a stopped run leaves it, is done again.
    path.write_text(lines[:-20])
    assert coverage.run(40, 1, path) == first
    assert coverage.run(40, 1, path) == first
    assert len(path.read_text().splitlines()) == len(setting.methods) + 1
    page, below = coverage.report(first)
    assert not below
    assert any(setting.name in line for line in page)
