"""The command line, run in this process."""

from __future__ import annotations

import sys

import pytest

from fairbound import cli


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
