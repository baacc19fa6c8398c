"""The notebooks run from start to end."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.py"))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, request, monkeypatch, capsys):
    # A notebook that reads data which no wheel ships says so to its reader; the others run without.
    if "FAIRBOUND_DATA" in path.read_text(encoding="utf-8"):
        request.getfixturevalue("data_folder")
    else:
        monkeypatch.delenv("FAIRBOUND_DATA", raising=False)
    runpy.run_path(str(path))
    assert capsys.readouterr().out.strip()
