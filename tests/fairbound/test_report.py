"""Reports: what they say, that hostile names stay text, and that a browser shows them without a word of complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from fractions import Fraction
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest

from fairbound.attack_report import AttackedDefence, AttackReport, MeasuredAttack, attack_page
from fairbound.bounds import Composition, CompositionPair, Counts, certify_counts, noise_floor
from fairbound.bounds.errors import FairboundError, NumberError
from fairbound.certify_report import CertifiedGame, certify_page, other_balance, rates_table
from fairbound.describe import published_form, verdict, worlds
from fairbound.empirical.data import Dataset, DatasetInfo
from fairbound.empirical.plan import ProtocolConfig
from fairbound.empirical.runs import run_many
from fairbound.fft_report import fft_page
from fairbound.report import Figure, Page, Section, Statement, Table, render, write_report
from fairbound.svg import Chart, Mark, Reference, Row, draw

HOSTILE = "<script>alert(1)</script>"
LOADING = '<img src="HOST/stolen">'
POLICY = r"<meta http-equiv[^\n]*\n"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Parsed(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.pieces = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.pieces.append(data)

    @property
    def text(self):
        return " ".join(self.pieces)


TABLE = Counts((HOSTILE, LOADING), ("no", "yes"), ("no", "yes"), (((70, 10), (6, 9)), ((50, 12), (10, 25))))


def certified(counts=TABLE, path="c & d.json", limit=Fraction(3, 10), **settings):
    result = certify_counts(counts, **settings)
    game = CertifiedGame(result, noise_floor(result), result.certificate(), path)
    return result, certify_page(game, other_balance(result), sources=[f"{HOSTILE}.csv"], limit=limit)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Runs of the protocol on made-up rows: two seeds, and one of the other direction."""
    rng = np.random.default_rng(5)
    n = 800
    team = np.where(rng.random(n) < 0.5, HOSTILE, LOADING)
    x = rng.normal(size=(n, 3))
    label = (x[:, 0] + 0.9 * (team == HOSTILE) + 0.5 * rng.logistic(size=n) > 0.5).astype(np.int64)
    frame = pd.DataFrame(x, columns=list("pqr")).assign(team=pd.Categorical(team))
    info = DatasetInfo(HOSTILE, "Predict a made-up label.", n, ("team",), "none", "drawn here", (), {HOSTILE: "0" * 64})
    data = Dataset(info, frame, label, {"team": team.astype(np.str_)}, {"team": ("team",)}, ("<b>no</b>", "yes"))
    config = ProtocolConfig.from_dict({"stages": ["base", "fft"], "fine_tuning": {"min_steps": 40}})
    out = tmp_path_factory.mktemp("runs")
    return [
        record
        for start, other, seeds in ((HOSTILE, LOADING, [0, 1]), (LOADING, HOSTILE, [0]))
        for record in run_many(
            data, attribute="team", start=start, other=other, seeds=seeds, out=out, config=config, rehearsal=0.5
        )
    ]


def attacked():
    attacks = [
        MeasuredAttack(HOSTILE, False, 0.08, -0.06, 0.22, 0.4, "inconclusive"),
        MeasuredAttack("KL voting", True, 0.83, 0.75, 0.9, 1e-9, "exceeds"),
        MeasuredAttack(LOADING, False, 0.02, -0.02, 0.04, None, "within"),
    ]
    defences = [
        AttackedDefence(HOSTILE, attacks, [(LOADING, 0.0501), ("label-balanced", 0.03)], 0.74, 0.12),
        AttackedDefence("untested", [], [("labelled game", 0.05)], 0.7, 0.1),
    ]
    return AttackReport(
        f"{HOSTILE} apart", "an adversary who sees one draw", ["shadow models"], 0.95, "accuracy", defences, [LOADING]
    )


@pytest.fixture(scope="module")
def pages(records, tmp_path_factory):
    return {
        "certify": certified()[1],
        "fft": fft_page(records, tmp_path_factory.mktemp("a b")),
        "attack": attack_page(attacked()),
    }


KINDS = pytest.mark.parametrize("kind", ["certify", "fft", "attack"])


@KINDS
def test_hostile_names_appear_as_text_and_nothing_is_loaded(pages, kind):
    parsed = Parsed(render(pages[kind], date=HOSTILE))
    assert not {"script", "img", "link", "iframe", "b"} & set(parsed.tags)
    names = {name for name, _ in parsed.attributes}
    assert not any(name.startswith("on") for name in names)
    assert not {"src", "href", "style"} & names
    assert parsed.text.count(HOSTILE) >= 4
    assert LOADING in parsed.text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in parsed.attributes
    assert {"svg", "title", "desc", "table"} <= set(parsed.tags)


@KINDS
def test_pictures_and_tables_have_names_and_same_input_gives_the_same_bytes(pages, kind):
    page = render(pages[kind])
    attributes = Parsed(page).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = [value for name, value in attributes if name == "aria-labelledby"]
    assert named
    assert set(" ".join(named).split()) <= set(ids)
    assert page == render(pages[kind])
    assert render(pages[kind], date="2026-01-02") == page.replace(". The page loads", ", 2026-01-02. The page loads")


def test_control_characters_and_marks_of_direction_are_escapes():
    page = render(Page("t\u202e", [Statement("a\x1b[0m")], [Section("s", [Table(["h"], [["\u202ex"]], "c")])]))
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "\\u202ex" in page


def test_certify_report_holds_verdict_assumptions_limits_and_digest():
    result, page = certified(limit=Fraction(1, 10))
    text = Parsed(render(page)).text
    for phrase in (
        verdict(result),
        published_form(result),
        result.certificate().digest,
        "fairbound check 'c & d.json'",
        "shadow models",
        "no fairness constraint can certify this game",
        *result.assumptions,
    ):
        assert phrase in text
    assert "FAILS" in text
    assert "HOLDS" in Parsed(render(certified(limit=Fraction(1))[1])).text
    assert not {"FAILS", "HOLDS"} & set(Parsed(render(certified(limit=None)[1])).text.split())


def tables_of(page, title):
    (section,) = [section for section in page.sections if section.title == title]
    return [block for block in section.blocks if isinstance(block, Table)]


@pytest.mark.parametrize("balanced", [False, True])
def test_certify_report_has_both_games_and_every_view(balanced):
    result, page = certified(label_balanced=balanced)
    other = certify_counts(TABLE, label_balanced=not balanced)
    bounds, views = tables_of(page, "Bounds")
    raw, even = (other, result) if balanced else (result, other)
    for row, shown in zip(bounds.rows, (raw, even), strict=True):
        assert row[2] == f"{float(shown.point):.4f}"
        assert shown.upper <= Fraction(row[3]) < shown.upper + Fraction(1, 10**4)
        assert row[-1] == ("yes" if shown is even else "no")
    assert [row[0] for row in views.rows] == ["labelled", "correctness", "unlabelled"]
    for row in views.rows:
        assert Fraction(row[2]) <= Fraction(row[3])
        assert Fraction(row[4]) <= Fraction(row[5])
    assert float(views.rows[0][2]) == pytest.approx(float(raw.measured["advantage"]), abs=5e-5)
    assert float(views.rows[0][4]) == pytest.approx(float(even.measured["advantage"]), abs=5e-5)


@pytest.mark.parametrize("outputs", [("no", "yes"), ("no", "unsure", "yes")])
def test_rates_lie_inside_their_intervals(outputs):
    rng = np.random.default_rng(2)
    cells = rng.integers(1, 60, (3, 2, len(outputs))).tolist()
    counts = Counts(("a", "b", "c"), ("no", "yes"), outputs, tuple(tuple(map(tuple, plane)) for plane in cells))
    table = rates_table(certify_counts(counts))
    assert len(table.rows) == 6 * (1 if len(outputs) == 2 else 3)
    for group, label, output, n, rate, low, high in table.rows:
        cell = counts.table[counts.groups.index(group)][counts.labels.index(label)]
        exact = Fraction(cell[outputs.index(output)], sum(cell))
        assert int(n) == sum(cell)
        assert float(rate) == pytest.approx(float(exact), abs=5e-5)
        assert Fraction(low) < exact < Fraction(high)


def test_certify_report_copes_with_empty_cells_given_pairs_many_labels_and_unkept_certificates():
    empty = Counts(("a", "b"), ("no", "yes"), ("no", "yes"), (((70, 10), (6, 9)), ((50, 12), (0, 0))))
    text = Parsed(render(certified(empty, on_missing="vacuous", path=None)[1])).text
    assert "Without rows: group b, label yes" in text
    assert "not kept" in text
    pair = CompositionPair(Composition.pure(TABLE, HOSTILE), Composition.pure(TABLE, LOADING))
    result, page = certified(pair=pair)
    assert worlds(result) in Parsed(render(page)).text
    names = tuple(f"l{i}" for i in range(30))
    cells = tuple(tuple(tuple(9 * (i == j) + 1 for i in range(30)) for j in range(30)) for _ in range(2))
    _, page = certified(Counts(("a", "b"), names, names, cells), method="clopper-pearson")
    text = Parsed(render(page)).text
    assert "6 labels with smaller limits are left out" in text
    assert "The first 200 of 1800 rows" in text


def test_a_pair_that_cannot_be_balanced_is_shown_alone():
    counts = Counts(("a", "b"), (0, 1), (0, 1), (((70, 10), (6, 9)), ((50, 12), (10, 25))))
    zero, one = Fraction(0), Fraction(1)
    worlds_ = [
        Composition(counts.groups, counts.labels, mass)
        for mass in (((one, zero), (zero, zero)), ((zero, zero), (zero, one)))
    ]
    result = certify_counts(counts, pair=CompositionPair(*worlds_))
    other = other_balance(result)
    page = certify_page(CertifiedGame(result, noise_floor(result), result.certificate()), other, sources=["x.csv"])
    assert other is None
    assert len(tables_of(page, "Bounds")[0].rows) == 1


def test_fft_report_says_what_the_records_say(records, pages):
    text = Parsed(render(pages["fft"])).text
    assert not records[0]["raw_certifiable"]
    assert records[0]["raw_reason"] in text
    assert "no fairness constraint can certify" in text
    assert records[0]["config_hash"] in text
    assert "fairbound check" in text
    assert "shadow models" in text
    runs = records[:2]
    for stage in ("base", "fft"):
        values = [record["stages"][stage]["delta_eo"] for record in runs]
        mean = np.mean(values)
        half = 12.706204736 * np.std(values, ddof=1) / np.sqrt(2)
        assert f"{mean:.3f} ± {half:.3f}" in text
        (useful, games) = tables_of(pages["fft"], f"Base model of {HOSTILE}, fine-tuned on {LOADING}")
        assert [row[0] for row in useful.rows] == ["base", "fft"]
        for row in games.rows:
            if row[0] == stage:
                game = {"raw": "raw", "label-balanced": "label_balanced"}[row[1]]
                upper = np.mean([record["stages"][stage]["advantage"][game]["upper"] for record in runs])
                assert upper <= float(row[5].split()[0]) < upper + 1e-3


def test_fft_report_warns_of_constant_predictors_and_skipped_stages(records, tmp_path):
    constant = records[0]["stages"]["base"] | {"near_constant": True, "largest_prediction_share": 0.999}
    changed = records[0] | {"stages": {"base": constant}, "skipped": {"dp_sgd": f"{HOSTILE} is absent"}}
    text = Parsed(render(fft_page([changed], tmp_path))).text
    assert "base is a nearly constant predictor in 1 of 1 runs (up to 99.90%" in text
    assert f"dp_sgd: not run, {HOSTILE} is absent." in text
    bare = Parsed(render(fft_page([changed | {"stages": {}}], tmp_path))).text
    assert "No model was trained." in bare


def test_attack_report_puts_bounds_beside_advantages_and_names_the_covered_adversary():
    page = attack_page(attacked())
    text = Parsed(render(page)).text
    assert "Within the bound: 1; above it: 1; inconclusive: 1" in text
    assert "The bounds cover an adversary who sees one draw." in text
    (overview,) = tables_of(page, "Defences")
    assert overview.rows[0] == [HOSTILE, "KL voting, adaptive", "exceeds", "0.830", "0.051", "0.740", "0.120"]
    assert overview.rows[1][1:4] == ["-", "-", "-"]
    (figure,) = [block for section in page.sections for block in section.blocks if isinstance(block, Figure)]
    assert [reference.value for reference in figure.chart.references] == [0.0501, 0.03]
    assert [(row.marks[0].low, row.marks[0].high) for row in figure.chart.rows] == [
        (-0.06, 0.22),
        (0.75, 0.9),
        (-0.02, 0.04),
    ]


def test_attacks_that_make_no_sense_are_refused():
    with pytest.raises(NumberError, match="does not hold its advantage"):
        MeasuredAttack("x", True, 0.5, 0.6, 0.7, None, "within")
    with pytest.raises(NumberError, match="no verdict"):
        MeasuredAttack("x", True, 0.5, 0.4, 0.7, None, "safe")
    with pytest.raises(NumberError, match="one to three"):
        AttackedDefence("x", [], [], 0.5, 0.1)


def test_charts_put_values_where_the_axis_says():
    rows = [Row("x" * 200, [Mark(0.25, 0.1, 0.4), Mark(None, high=0.5)], "note"), Row("y", [Mark(0.0), Mark(0.5)])]
    picture = draw(Chart("t", "d", "axis", ["one", "two"], rows, [Reference("limit", 0.5)]), "key")
    limit = re.search(r'class="reference limit" x1="([0-9.]+)"', picture)
    circles = [float(x) for x in re.findall(r'class="mark s0" cx="([0-9.]+)"', picture)]
    assert limit
    assert circles[0] == pytest.approx((circles[1] + float(limit[1])) / 2)
    assert "\N{HORIZONTAL ELLIPSIS}" in picture
    assert draw(Chart("t", "d", "a", ["s"], [Row("r", [Mark(0.0)])]), "k").count('class="grid"') >= 2


def test_reports_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(FairboundError, match="cannot write"):
        write_report(tmp_path / "absent" / "r.html", attack_page(attacked()))


def test_certify_writes_a_report(run, tmp_path):
    log = tmp_path / "<b>.csv"
    rows = ["0,0,F", "1,1,F", "0,1,M", "1,1,M", "1,0,M", "0,0,M"] * 40
    log.write_text("\n".join(["label,prediction,group", *rows]) + "\n")
    report, certificate = tmp_path / "r.html", tmp_path / "c.json"
    assert run("certify", log, "--report", report, "--out", certificate, "--max-advantage", "0.1")[0] == 1
    first = report.read_bytes()
    text = Parsed(first.decode()).text
    assert f"fairbound check '{certificate}'" in text or f"fairbound check {certificate}" in text
    assert str(log) in text
    run("certify", log, "--report", report, "--out", certificate, "--max-advantage", "0.1")
    assert report.read_bytes() == first
    run("certify", log, "--report", report, "--report-date", "1 May 2026", "--json")
    assert "1 May 2026" in report.read_text()
    status, _, error = run("certify", log, "--report", log)
    assert (status, error.count("\n")) == (2, 1)
    status, _, error = run("certify", log, "--score", "prediction", "--report", report)
    assert status == 2
    assert "--report does not go with --score" in error


@pytest.fixture(scope="module")
def all_in_one(pages):
    """Everything that the pages show, as one page."""
    summary = [block for page in pages.values() for block in page.summary]
    return render(Page(HOSTILE, summary, [section for page in pages.values() for section in page.sections]))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install chromium to see the reports in a browser")
class TestInABrowser:
    """Headless Chromium on a server of this test's own, which sees every request."""

    @pytest.fixture
    def browse(self, tmp_path):
        """Serve a page, open it, and return its DOM, what the console said, and the paths asked for."""
        asked, content = [], {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                body = content.get(self.path)
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"

        def open_page(page, width=1100):
            asked.clear()
            content["/report.html"] = page.replace("HOST", host).encode()
            flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
            flags += "disable-component-update disable-sync dump-dom enable-logging=stderr v=0 "
            flags += f"user-data-dir={tmp_path / 'profile'} window-size={width},900"
            command = [CHROMIUM, *(f"--{flag}" for flag in flags.split()), f"{host}/report.html"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
            return Parsed(done.stdout), console, set(asked) - {"/favicon.ico"}

        yield open_page
        server.shutdown()
        server.server_close()

    def test_pages_render_in_silence(self, all_in_one, browse):
        parsed, console, asked = browse(all_in_one)
        assert console == []
        assert asked == {"/report.html"}
        assert not {"script", "img"} & set(parsed.tags)
        assert HOSTILE in parsed.text
        assert "runs no scripts" in parsed.text

    def test_an_unescaped_name_would_be_noticed(self, all_in_one, browse):
        # Headless, an alert waits for ever.
        raw = all_in_one.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"').replace("alert(1)", "0")
        parsed, console, asked = browse(raw)
        assert "script" in parsed.tags
        assert any("Content Security Policy" in line for line in console)
        assert asked == {"/report.html"}
        assert "/stolen" in browse(re.sub(POLICY, "", raw))[2]

    def test_a_narrow_window_shows_every_line(self, all_in_one, browse):
        measure = (
            "<script>document.title = [innerWidth, document.documentElement.scrollWidth].join(' ')</script></body>"
        )
        parsed, _, _ = browse(re.sub(POLICY, "", all_in_one).replace("</body>", measure), 400)
        inner, needed = map(int, re.search(r"(\d+) (\d+)", parsed.text).groups())
        assert needed <= inner <= 500
