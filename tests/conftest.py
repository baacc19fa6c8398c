"""Profiles and shared fixtures."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fairbound import cli

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}
settings.register_profile("ci", max_examples=100, derandomize=True, **_COMMON)
settings.register_profile("thorough", max_examples=1000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def data_folder(monkeypatch):
    """Folder of the data that no wheel ships, given to the library as FAIRBOUND_DATA; skips where there is none."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FAIRBOUND_DATA") or beside).resolve()
    if not folder.is_dir():
        pytest.skip(f"no data folder: set FAIRBOUND_DATA or provide {beside}")
    monkeypatch.setenv("FAIRBOUND_DATA", str(folder))
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process; (exit status, standard output, standard error)."""

    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["fairbound", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as stopped:
            status = stopped.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return invoke
