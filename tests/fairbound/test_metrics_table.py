"""T4's table: certified entries, and the docs show what the command prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairbound.bounds import Certificate
from fairbound.metrics_table import entries, markdown, write

DOCS = Path(__file__).parents[2] / "docs" / "theory.md"


@pytest.fixture(scope="module")
def table():
    return entries()


def test_every_entry_has_a_certificate_that_checks(table, tmp_path):
    page, *certificates = write(table, tmp_path)
    assert len(set(certificates)) == len(table) == 48
    for entry, path in zip(table, certificates, strict=True):
        assert str(entry.worst.value) in Certificate.read(path).verified
        assert entry.worst.witness.replay() == entry.worst.value
    assert page.read_text().endswith(markdown(table))


def test_the_docs_show_the_table(table):
    assert markdown(table) in DOCS.read_text()
