"""The documentation builds without a warning, its commands run and print what it shows, and it names what there is."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import fairbound.bounds
import fairbound.empirical
import fairbound.testing
from fairbound import cli
from fairbound.proofs import ledger

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
RUN = [DOCS / "tutorial.md", *sorted((DOCS / "howto").glob("*.md"))]
# What trains or waits is parsed, and run by tests of its own.
ONLY_PARSED = ("fairbound fft", "fairbound sweep", "--follow")
ERROR = re.compile(r"^class ([A-Z]\w*)\(\w*(?:Error|Warning)\):", re.MULTILINE)
BLOCK = re.compile(r"^```(python|console|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page):
    return BLOCK.findall(page.read_text())


def commands(text):
    """(command, expected exit status) of each line that calls a program."""
    for line in filter(None, text.splitlines()):
        command, _, comment = line.partition("  # ")
        status = re.fullmatch(r"exit status (\d)", comment)
        yield command, int(status[1]) if status else 0


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The tutorial's log."""
    folder = tmp_path_factory.mktemp("log")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(blocks(DOCS / "tutorial.md")[0][1], "tutorial.md", "exec"), {})
    return folder / "log.csv"


@pytest.fixture
def call(monkeypatch, capsys):
    """Run one command, fairbound's in this process; (exit status, what it printed)."""

    def invoke(command):
        program, *arguments = shlex.split(command)
        if program != "fairbound":
            done = subprocess.run(
                command.replace("python", sys.executable, 1), shell=True, capture_output=True, text=True
            )
            return done.returncode, done.stdout + done.stderr
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        status = 0
        try:
            cli.main()
        except SystemExit as stopped:
            status = stopped.code or 0
        captured = capsys.readouterr()
        return status, captured.out

    return invoke


def stripped(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def assert_shown(shown, printed, where):
    """Each shown line was printed, in this order and without a gap; a line `...` stands for any lines."""
    lines, at, anywhere = stripped(printed), 0, False
    for wanted in stripped(shown):
        if wanted == "...":
            anywhere = True
            continue
        cut = wanted.endswith("...")
        hits = [i for i in range(at, len(lines)) if lines[i] == wanted or (cut and lines[i].startswith(wanted[:-3]))]
        assert hits, f"{where}: not printed: {wanted!r}\n{printed}"
        assert anywhere or hits[0] == at, f"{where}: not printed there: {wanted!r}\n{printed}"
        at, anywhere = hits[0] + 1, False
    assert anywhere or at == len(lines), f"{where}: printed and not shown: {lines[at:]}"


@pytest.mark.data
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_blocks_run_and_print_what_is_shown(page, tmp_path, log, monkeypatch, capsys, call):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "log.csv").write_bytes(log.read_bytes())
    namespace, printed = {}, ""
    for kind, text in blocks(page):
        if kind == "text":
            assert_shown(text, printed, page.name)
        elif kind == "python":
            exec(compile(text, page.name, "exec"), namespace)
            printed = capsys.readouterr().out
        else:
            printed = ""
            for command, expected in commands(text):
                if not any(part in command for part in ONLY_PARSED):
                    status, output = call(command)
                    assert status == expected, f"{page.name}: {command}: exit status {status}\n{output}"
                    printed += output


def test_what_was_not_printed_is_noticed():
    printed = "one\ntwo\nthree\n"
    assert_shown("one\n...\nth...", printed, "here")
    for wrong in ("one\n", "two\nthree", "...\ntwo", "three\n...\none\n...", "...\nfour\n..."):
        with pytest.raises(AssertionError, match="here"):
            assert_shown(wrong, printed, "here")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_one_that_fairbound_takes(page):
    root = typer.main.get_command(cli.app)
    for kind, text in blocks(page):
        for command, _ in commands(text) if kind == "console" else ():
            program, *arguments = shlex.split(command, comments=True)
            if program == "fairbound":
                chosen = root
                # A group may run something itself, by its options.
                while hasattr(chosen, "commands") and not arguments[0].startswith("-"):
                    chosen = chosen.commands[arguments.pop(0)]
                chosen.make_context(command, arguments)


def test_the_faq_names_every_error():
    faq = (DOCS / "faq.md").read_text()
    rooms = [
        path
        for room in ("bounds", "empirical", "fairbound", "paper_figs", "proofs")
        for path in (ROOT / room).rglob("*.py")
    ]
    defined = {name for path in rooms for name in ERROR.findall(path.read_text())}
    assert {"MissingCellError", "NearConstantWarning", "CheckError"} <= defined
    assert not {name for name in defined if f"`{name}`" not in faq}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages."""
    folder = tmp_path_factory.mktemp("docs")
    options = ["--fail-on-warning", "--quiet", "--conf-dir", DOCS, "--doctree-dir", folder / "doctrees"]
    command = [sys.executable, "-m", "sphinx", *options, ROOT, folder / "html"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_the_pages_build_without_a_warning(site):
    assert 'url=docs/index.html"' in (site / "index.html").read_text()
    assert (site / "docs" / "tutorial.html").exists()


@pytest.mark.slow
def test_every_claim_has_a_page_with_its_level_and_its_coq_file(site):
    for claim in ledger.claims().values():
        page = (site / "proofs" / claim.folder.name / "statement.html").read_text()
        assert "level of proof" in page
        for path in claim.folder.glob("*.v"):
            assert f"<h2>{path.name}" in page
            assert "Qed" in page
    t1 = (site / "proofs" / "t1" / "statement.html").read_text()
    assert "<strong>proved</strong>" in t1
    assert 'title="fairbound.bounds.worst_case_advantage"' in t1


@pytest.mark.slow
def test_every_public_name_is_described(site):
    pages = {name: (site / "docs" / "api" / f"{name}.html").read_text() for name in ("bounds", "empirical", "testing")}
    pages["errors"] = (site / "docs" / "api" / "errors.html").read_text()
    for room in (fairbound.bounds, fairbound.empirical, fairbound.testing):
        name = room.__name__.rpartition(".")[2]
        for public in room.__all__:
            full = f"{room.__name__}.{public}"
            assert (
                f'id="{full}"' in pages[name] or f'id="{getattr(room, public).__module__}.{public}"' in pages["errors"]
            )
    front = (site / "docs" / "api" / "fairbound.html").read_text()
    for public in fairbound.__all__:
        assert f">{public}<" in front, public


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site):
    remote = re.compile(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"(?:https?:)?//[^\"]+\"")
    for page in site.rglob("*.html"):
        assert not remote.search(page.read_text()), page
