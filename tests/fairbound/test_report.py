"""The report: what it says, and that hostile names stay text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from fairbound.bounds import Counts, certify_counts, noise_floor
from fairbound.describe import published_form, verdict, worlds
from fairbound.report import Picture, Section, Table, write_report

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(tmp_path):
    table = Counts((HOSTILE, '" onload="x'), ("no", "yes"), ("no", "yes"), (((70, 10), (6, 9)), ((50, 12), (10, 25))))
    result = certify_counts(table)
    section = Section("A & B", result, noise_floor(result), result.certificate(), "c & d.json")
    path = write_report(
        tmp_path / "r.html",
        title=HOSTILE,
        summary=[HOSTILE],
        sections=[section],
        tables=[Table([HOSTILE], [[HOSTILE]], HOSTILE)],
        pictures=[Picture("<svg></svg>", HOSTILE)],
    )
    return Page(path.read_text()), result


def test_hostile_names_appear_as_text(page):
    parsed, _ = page
    assert "script" not in parsed.tags
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert sum(HOSTILE in text for text in parsed.text) >= 6
    assert "svg" in parsed.tags


def test_the_page_loads_nothing(page):
    parsed, _ = page
    assert not {"src", "href"} & {name for name, _ in parsed.attributes}
    assert any("default-src 'none'" in (value or "") for _, value in parsed.attributes)


def test_the_page_holds_verdict_assumptions_limits_and_digest(page):
    parsed, result = page
    text = " ".join(parsed.text)
    for phrase in (
        verdict(result),
        published_form(result),
        result.certificate().digest,
        "fairbound check c & d.json",
        "shadow models",
    ):
        assert phrase in text


def test_the_bound_is_never_rounded_down():
    table = Counts(("a", "b"), (0, 1), (0, 1), (((700, 100), (60, 90)), ((500, 120), (100, 250))))
    result = certify_counts(table)
    shown = float(verdict(result).split("at most ")[1].split(":")[0])
    assert result.upper <= shown < result.upper + 1e-4 + 1e-12


def test_sentences_fit_what_was_certified():
    cells = (((70, 10), (6, 9)), ((50, 12), (10, 25)), ((50, 12), (10, 25)))
    table = Counts(("a", "b", "c"), (0, 1), (0, 1), cells)
    assert worlds(certify_counts(table)) == "any two populations of one group each (a, b, c) apart"
    assert worlds(certify_counts(table, pure=("c", "a"))) == "a population of c only from one of a only"
    given = certify_counts(table, pair=certify_counts(table).worst.pair)
    assert worlds(given) == "the first given population from the second"
    assert "is no bound here" in published_form(certify_counts(table))
    assert "there it is a bound" in published_form(certify_counts(table, label_balanced=True))


def test_at_most_six_groups_are_named():
    table = ((30, 10), (10, 30))
    counts = Counts(tuple("abcdefgh"), (0, 1), (0, 1), (table,) * 8)
    assert worlds(certify_counts(counts)) == (
        "any two populations of one group each (a, b, c, d, e, f and 2 more) apart"
    )
