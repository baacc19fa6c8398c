"""The command `sweep`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SMOKE = Path(__file__).parents[2] / "sweeps" / "smoke.toml"


@pytest.mark.data
@pytest.mark.slow
def test_smoke_sweep_then_nothing_to_do(run, tmp_path):
    status, out, err = run("sweep", SMOKE, "--out", tmp_path, "--jobs", 1, "--json")
    assert status == 0
    summary = json.loads(out)
    assert (summary["runs"], summary["failures"], summary["gaps_above_exact_value"]) == (14, [], 0)
    assert {path.name for path in tmp_path.iterdir()} == {Path(name).name for name in summary["files"].values()}
    assert "fairbound: runs, 14 of 14, about 0 min left" in err
    status, out, err = run("sweep", SMOKE, "--out", tmp_path, "--jobs", 1)
    assert (status, err) == (0, "")
    assert "shares 1/5 and 9/10" in " ".join(out.split())
    assert "shadow models" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\n[[entry]]\ndataset = 'titanic'\nattribute = 'a'\ngroups = ['b', 'c']", "titanic"),
        ("name = 'x'\n[[entry]]\nattribute = 'a'", "needs dataset"),
        ("name", "is no TOML"),
    ],
)
def test_errors_are_one_line(run, tmp_path, text, message):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    status, out, err = run("sweep", path, "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
