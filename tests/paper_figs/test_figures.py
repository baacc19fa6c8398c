"""Figures: their numbers, their files, and that a second run changes no byte of the data."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fairbound.bounds.errors import FairboundError
from fairbound.figures import make_figures
from fairbound.paper_figs import label_shift


def test_published_form_falls_short_wherever_labels_shift():
    rows = label_shift.table()
    assert all(row["witness"] == row["exact"] for row in rows)
    shifted = [row for row in rows if row["label_shift"] > 0]
    assert all(row["exact"] > row["published_form"] for row in shifted if row["disparity"] < 1)
    assert all(row["exact"] == row["published_form"] for row in rows if row["label_shift"] == 0)


def test_theory_figures_are_reproducible(tmp_path):
    first = make_figures(["label_shift"], results=tmp_path, out=tmp_path / "one")
    second = make_figures(["label_shift"], results=tmp_path, out=tmp_path / "two")
    assert {path.suffix for path in first} == {".png", ".pdf", ".csv"}
    for left, right in zip(first, second, strict=True):
        assert left.read_bytes() == right.read_bytes()
    with Path(first[2]).open() as file:
        assert len(list(csv.DictReader(file))) == len(label_shift.table())


def test_figures_say_what_they_need(tmp_path):
    with pytest.raises(FairboundError, match="fairbound demo --out"):
        make_figures(["gap_and_bound"], results=tmp_path, out=tmp_path)
    with pytest.raises(FairboundError, match="no figure 'x'"):
        make_figures(["x"], results=tmp_path, out=tmp_path)
