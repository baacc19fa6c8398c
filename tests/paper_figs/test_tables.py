"""Tables: escaping in LaTeX and Markdown, and the readers of attacks, SPIN and the ledger."""

from __future__ import annotations

import csv
import json
import re

import duckdb
import pytest

from fairbound.figures import NotMadeError, make_figures
from fairbound.paper_figs import attacks, spin
from fairbound.paper_figs.tables import PLUS_MINUS, Table, latex, latex_escape, markdown, with_interval
from fairbound.proofs import ledger

NASTY = 'a_b & 50 % $x$ #1 {y} ~ ^ \\ <z> | "q" `c` [e]\nf'
GAME = ("adult", "sex", "0.2 / 0.8", "Female", None, 2000, 500, True, 0)
ATTACKS = [
    (*GAME, "none", False, "loss", 0.10, 0.05, 0.15, 0.2, "within"),
    (*GAME, "none", False, "shadow_models", 0.30, 0.25, 0.35, None, "not covered"),
    (*GAME, "fft", True, "loss", 0.02, -0.03, 0.07, 0.04, "inconclusive"),
]


def test_latex_escapes_every_special_character():
    text = latex_escape(NASTY)
    for command in (
        r"\textbackslash{}",
        r"\textasciitilde{}",
        r"\textasciicircum{}",
        r"\_",
        r"\&",
        r"\%",
        r"\$",
        r"\#",
    ):
        assert command in text
    # What is left after commands are taken out holds no character with a meaning of its own.
    plain = re.sub(r"\\[a-z]+\{\}|\\[_&%$#{}]|\{[\[\]]\}", "", text)
    assert not set(plain) & set('\\_&%$#{}~^<>|"`\n')
    assert latex_escape(f"1 {PLUS_MINUS} 2") == r"1 $\pm$ 2"


def test_a_latex_table_has_equal_columns_and_balanced_environments():
    table = Table(("name", "value"), ((NASTY, "0.1"), ("other", "0.2")), words=1)
    text = latex(table, NASTY, "t")
    body = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(body) == 2 * 1 + 2
    for line in body:
        assert len(re.findall(r"(?<!\\)&", line)) == 1
    begun, ended = (re.findall(rf"\\{word}\{{(\w+)\}}", text) for word in ("begin", "end"))
    assert begun == ended[::-1] == ["longtable"]
    unescaped = re.sub(r"\\[{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    wide = Table(tuple("abcdefghijklm"), (tuple("1234567890123"),), words=1)
    assert r"\begin{landscape}" in latex(wide, "", "t")


def test_markdown_cells_stay_in_their_columns():
    text = markdown(Table(("name", "value"), ((NASTY, "0.1"),), words=1))
    header, rule, row = text.splitlines()
    assert rule == "| --- | ---: |"
    assert len(re.findall(r"(?<!\\)\|", row)) == len(re.findall(r"(?<!\\)\|", header)) == 3
    assert "<" not in row


def test_intervals_are_shown_where_there_are_any():
    assert with_interval(0.5, 0.01) == f"0.500 {PLUS_MINUS} 0.010"
    assert with_interval(0.5, float("nan")) == "0.500"


def write_attacks(folder, rows):
    path = folder / attacks.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    types = ["VARCHAR"] * 5 + ["BIGINT"] * 2 + ["BOOLEAN", "BIGINT", "VARCHAR", "BOOLEAN", "VARCHAR"]
    types += ["DOUBLE"] * 4 + ["VARCHAR"]
    with duckdb.connect() as connection:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(attacks.COLUMNS, types, strict=True))
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(types))})", rows)
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    return folder


@pytest.fixture
def attacked(tmp_path):
    return write_attacks(tmp_path, ATTACKS)


def test_games_are_not_mixed(tmp_path):
    other = [(*GAME[:-1], 7, *row[len(GAME) :]) for row in ATTACKS]
    folder = write_attacks(tmp_path / "seed=3", ATTACKS + other)
    rows = attacks.load(folder)
    assert {row["seed"] for row in rows} == {0, 7}, "a folder's name is no column"
    assert sorted(attacks.games(rows).values()) == ["adult, sex, 0.2 / 0.8, seed 0", "adult, sex, 0.2 / 0.8, seed 7"]
    sizes = [row | {"seed": 0, "dataset": f"adult:rows={row['seed']}"} for row in rows]
    assert len(set(attacks.games(sizes).values())) == 2
    files = make_figures(["attacks", "table_defences"], results=folder, out=tmp_path / "out").files
    (table,) = (path for path in files if path.name == "table_defences.csv")
    with table.open() as file:
        found = [(row["seed"], row["defence"], row["attacks"]) for row in csv.DictReader(file)]
    assert sorted(found) == [("0", "fft", "1"), ("0", "none", "2"), ("7", "fft", "1"), ("7", "none", "2")]


def test_attacks_and_the_strongest_on_each_defence(attacked, tmp_path):
    files = {
        path.name: path for path in make_figures(["attacks", "table_defences"], results=attacked, out=tmp_path).files
    }
    with files["attacks.csv"].open() as file:
        assert len(list(csv.DictReader(file))) == len(ATTACKS)
    with files["table_defences.csv"].open() as file:
        rows = {row["defence"]: row for row in csv.DictReader(file)}
    assert (rows["none"]["attack"], rows["none"]["bound"], rows["none"]["attacks"]) == ("shadow_models", "", "2")
    assert rows["fft"]["attack"] == "loss"
    assert "fft, adaptive" in files["table_defences.md"].read_text()
    assert r"shadow\_models" in files["table_defences.tex"].read_text()
    assert "1 not covered" in files["attacks.md"].read_text()


def test_a_table_of_attacks_without_a_column_is_refused(tmp_path):
    path = tmp_path / attacks.FILE
    path.parent.mkdir()
    path.write_text("dataset\nadult\n")
    with pytest.raises(NotMadeError, match="cannot read"):
        make_figures(["attacks"], results=tmp_path, out=tmp_path)


def test_spin_shows_settings_and_layers(tmp_path):
    def rate(value):
        return {"rate": value, "low": value - 0.1, "high": value + 0.1}

    settings = [
        {"name": name, "fairness": rate(f), "privacy": rate(p), "perplexity": 20.0, "selected": n}
        for name, f, p, n in (("before", 0.5, 0.6, 0), ("SPIN 1e-4", 0.55, 0.7, 883))
    ]
    layers = [
        {"layer": i, "coupled": 3 * i, "hsic_before": 0.002, "hsic_after": 0.001, "p_before": 0.01, "p_after": 0.3}
        for i in range(4)
    ]
    path = tmp_path / spin.FILE
    path.parent.mkdir()
    path.write_text(json.dumps({"settings": settings, "layers": layers}))
    *_, data, _ = make_figures(["spin"], results=tmp_path, out=tmp_path).files
    with data.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * len(settings) + 3 * len(layers)
    assert {row["value"] for row in rows if row["measure"] == "selected"} == {"0", "883"}
    # A protocol may leave HSIC out.
    short = [{name: layer[name] for name in ("layer", "coupled")} for layer in layers]
    path.write_text(json.dumps({"settings": settings, "layers": short}))
    *_, data, caption = make_figures(["spin"], results=tmp_path, out=tmp_path).files
    with data.open() as file:
        assert len(list(csv.DictReader(file))) == 4 * len(settings) + len(layers)
    assert "HSIC" not in caption.read_text()
    path.write_text(json.dumps({"settings": settings}))
    with pytest.raises(NotMadeError, match="has no layers"):
        make_figures(["spin"], results=tmp_path, out=tmp_path)


def test_ledger_table_names_every_claim_that_was_run(tmp_path):
    changed = ledger.changed_statements()
    records = [
        {
            "claim": result.claim.id,
            "title": result.claim.title,
            "status": result.status,
            "statement": result.claim.statement_hash,
            "statement_accepted": result.claim.id not in changed,
            "legs": [{"leg": leg.leg, "outcome": leg.outcome} for leg in result.legs],
        }
        for result in (ledger.ClaimResult(claim, ()) for claim in ledger.claims().values())
    ]
    (tmp_path / "proofs.json").write_text(json.dumps(records))
    page, tex, _ = make_figures(["table_proofs"], results=tmp_path, out=tmp_path).files
    for claim in ledger.IDS:
        assert f"| {claim} |" in page.read_text()
        assert f"\n{claim} & " in tex.read_text()
