"""The ledger: complete, tied to the code, and broken by every kind of mutation."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fairbound.bounds
from fairbound.bounds.exact import Bound
from fairbound.bounds.proved_by import REGISTRY
from fairbound.proofs import ledger
from fairbound.proofs.kernel import coq

needs_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason="needs Coq (apt-get install coq)")


def all_bounds_modules():
    return [
        importlib.import_module(f"fairbound.bounds.{info.name}")
        for info in pkgutil.iter_modules(fairbound.bounds.__path__)
    ]


def test_every_claim_has_a_statement_of_the_same_shape_and_a_leg():
    found = ledger.claims()
    assert tuple(found) == ledger.IDS
    for claim in found.values():
        assert claim.title.startswith(f"{claim.id}: ")
        assert claim.legs, f"{claim.id} has no leg"
        headings = re.findall(r"^## (.+)$", claim.statement, re.MULTILINE)
        assert headings == ["Claim", "Source", "Derivation", "Legs"], claim.id


def test_no_statement_has_changed_since_its_proof_was_accepted():
    assert ledger.changed_statements() == []
    assert set(ledger.accepted_hashes()) == set(ledger.IDS)


def test_every_function_that_returns_a_bound_names_claims_of_the_ledger():
    all_bounds_modules()
    for name, claims in REGISTRY.items():
        assert claims, name
        assert set(claims) <= set(ledger.IDS), f"{name} names {claims}"
    returning = {
        f"{module.__name__}.{name}"
        for module in all_bounds_modules()
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and any(
            kind in str(inspect.signature(function).return_annotation)
            for kind in (Bound.__name__, "Witness", "Certification", "WorstCase", "TransportPlan", "NoiseFloor")
        )
    }
    assert {"fairbound.bounds.exact.worst_case_advantage", "fairbound.bounds.certify.certify_counts"} <= returning
    assert returning <= set(REGISTRY), returning - set(REGISTRY)


@needs_coq
@pytest.mark.slow
def test_the_kernel_accepts_every_coq_proof_and_nothing_else_is_assumed():
    library = coq.build(ledger.ROOT)
    assert library.errors == {}
    assert library.assumptions == coq.golden_assumptions()
    stated = set().union(*(coq.theorems(path) for path in ledger.ROOT.glob("*/*.v")))
    assert stated == set(library.assumptions), stated ^ set(library.assumptions)
    standard = {"sig_forall_dec", "sig_not_dec", "functional_extensionality_dep"}
    for theorem, axioms in library.assumptions.items():
        names = set() if axioms.startswith("Closed") else {a.rsplit(".", 1)[-1] for a in axioms.split(", ")}
        assert names <= standard, theorem
    for claim in ledger.claims().values():
        if "kernel" in claim.legs:
            assert library.verdict(claim.folder)[0] == "passed", library.verdict(claim.folder)


def test_no_compiled_file_lies_in_the_tree():
    assert list(ledger.ROOT.glob("*/*.v"))
    assert not list(ledger.ROOT.rglob("*.vo*"))


@pytest.fixture
def copy(tmp_path):
    """The Coq side of the proofs, to be broken."""
    for path in ledger.ROOT.glob("*/*.v"):
        target = tmp_path / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    return tmp_path


@needs_coq
@pytest.mark.slow
def test_mutation_a_deleted_line_of_a_proof_is_noticed(copy):
    path = copy / "t1" / "T1.v"
    lines = path.read_text().splitlines()
    ends = [i for i, line in enumerate(lines) if line.strip().endswith("Qed.")]
    path.write_text("\n".join(lines[: ends[-1] - 1] + lines[ends[-1] :]))
    library = coq.build(copy)
    assert "t1/T1.v" in library.errors
    assert library.verdict(copy / "t1")[0] == "failed"


@needs_coq
@pytest.mark.slow
def test_mutation_an_assumed_lemma_is_noticed(copy):
    path = copy / "c1" / "C1.v"
    text = path.read_text()
    last = text.rindex("Proof.")
    path.write_text(text[:last] + "Proof. Admitted." + text[text.index("Qed.", last) + len("Qed.") :])
    outcome, detail, _ = coq.build(copy).verdict(copy / "c1")
    assert outcome == "failed", detail


def test_mutation_a_changed_statement_is_noticed(monkeypatch):
    claim = ledger.get_claim("t1")
    monkeypatch.setattr(ledger.Claim, "statement", property(lambda self: _weaken(self)))
    assert "T1" in ledger.changed_statements([claim])


def _weaken(claim):
    text = (claim.folder / "statement.md").read_text()
    changed = text.replace("TV_Y", "2 TV_Y", 1)
    assert changed != text
    return changed


def test_a_changed_formal_statement_changes_the_hash(copy):
    path = copy / "t1" / "T1.v"
    before = coq.formal_statements(path)
    text = path.read_text()
    theorem = text.index("Theorem T1_upper")
    path.write_text(text[:theorem] + text[theorem:].replace("<=", "<", 1))
    assert coq.formal_statements(path) != before
    path.write_text(re.sub(r"Proof\.", "Proof.  (* another, with a period. *)", text))
    assert coq.formal_statements(path) == before
    assert any(sentence.startswith("Theorem") for sentence in before)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("Closed under the global context\n", ["Closed under the global context"]),
        ("Axioms:\nR.b : forall x,\n  x = x\nA.a :\n  False\n", ["A.a, R.b"]),
        ("Axioms:\ncheat' : False\nR.b : Prop\n", ["R.b, cheat'"]),
        ("Axioms:\nBad.t is assumed to be positive.\nR.b : Prop\n", ["Bad.t is assumed to be positive., R.b"]),
        ("Axioms:\na : Prop\nClosed under the global context\n", ["a", "Closed under the global context"]),
    ],
)
def test_everything_that_coq_prints_as_assumed_is_seen(printed, expected):
    assert list(coq._assumptions(printed)) == expected


@needs_coq
@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("t8/T8.v", "Axioms cheat' : False.\n"),
        ("kernel/Game.v", "Unset Positivity Checking.\nInductive bad : Prop := Bad (_ : bad -> False).\n"),
        ("t8/T8.v", "Theorem unheard_of : True.\nProof. exact I. Qed.\n"),
    ],
)
def test_mutation_additions_that_weaken_the_kernel_are_noticed(copy, target, text):
    library = coq.build(copy, {"t8"})
    assert library.verdict(copy / "t8")[0] == "passed", library.verdict(copy / "t8")
    path = copy / target
    path.write_text(path.read_text() + "\n" + text)
    outcome, detail, _ = coq.build(copy, {"t8"}).verdict(copy / "t8")
    assert outcome == "failed", detail


def test_definitions_that_a_statement_rests_on_are_part_of_its_hash(copy):
    assert {path.name for path in coq.required_files(copy, "t2")} == {"T2.v", "T1.v", "Game.v"}
    game = copy / "kernel" / "Game.v"
    before = coq.formal_statements(game)
    text = game.read_text()
    assert "0 <= t x <= 1" in text
    game.write_text(text.replace("0 <= t x <= 1", "t x = 0 \\/ t x = 1", 1))
    assert coq.formal_statements(game) != before


def test_legs_that_say_nothing_or_break_are_failures(monkeypatch):
    claim = ledger.get_claim("C8")
    module = importlib.import_module("fairbound.proofs.c8.symbolic")

    def missing() -> str:
        raise ModuleNotFoundError("No module named 'sympyy'", name="sympyy")

    for broken in (lambda: None, lambda: "", lambda: 1 / 0, missing):
        monkeypatch.setattr(module, "run", broken)
        assert ledger._python_leg(claim, "symbolic").outcome == "failed"


def test_a_leg_that_is_gone_changes_the_hash(monkeypatch):
    claim = ledger.get_claim("T1")
    fewer = dataclasses.replace(claim, legs=claim.legs[:-1])
    assert fewer.statement_hash != claim.statement_hash
    assert ledger.changed_statements([fewer]) == ["T1"]


def test_the_main_theorem_is_proved_only_with_its_witness():
    """T1's maximum is attained by T2's channel: without T2's file T1 is no longer proved, T1a is."""
    seconds = {f"{path.parent.name}/{path.name}": 0.1 for path in ledger.ROOT.glob("*/*.v")}
    whole = coq.Library("8.16", seconds, {}, coq.golden_assumptions())
    broken = coq.Library("8.16", seconds, {"t2/T2.v": "syntax error"}, coq.golden_assumptions())
    for claim, library, outcome in (("T1", whole, "passed"), ("T1", broken, "failed"), ("T1a", broken, "passed")):
        assert ledger._kernel_leg(library, ledger.get_claim(claim)).outcome == outcome


def test_a_claim_that_coq_proves_in_part_is_not_called_proved():
    results = {claim.id: claim.kernel_covers_all for claim in ledger.claims().values() if "kernel" in claim.legs}
    assert results["T1"] is True
    assert results["T10"] is False


def test_a_missing_coq_is_unavailable_and_never_passed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (result,) = ledger.run(["C8"])
    kernel = next(leg for leg in result.legs if leg.leg == "kernel")
    assert kernel.outcome == "unavailable"
    assert "apt-get install coq" in kernel.detail
    assert result.status != "proved"


def test_a_missing_library_is_unavailable(monkeypatch):
    claim = next(c for c in ledger.claims().values() if "search" in c.legs)
    monkeypatch.setitem(sys.modules, "z3", None)
    leg = ledger._python_leg(claim, "search")
    assert leg.outcome == "unavailable"
    assert "pip install" in leg.detail


def test_unknown_claims_are_errors():
    with pytest.raises(ledger.UnknownClaimError, match="no claim 'T99'"):
        ledger.run(["T99"])


def test_prove_prints_claims_legs_and_base(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "fairbound.cli", "prove", "T4", "--json"], capture_output=True, text=True, check=True
    )
    (record,) = json.loads(run.stdout)
    assert record["claim"] == "T4"
    assert record["status"] == "certified"
    assert record["statement_accepted"] is True
    assert [leg["outcome"] for leg in record["legs"]] == ["passed"]
    assert record["legs"][0]["trusted_base"]


def test_the_docs_list_every_function_with_its_claims():
    all_bounds_modules()
    docs = (Path(__file__).parents[2] / "docs" / "theory.md").read_text()
    listed = dict(re.findall(r"^\| `(bounds\.[\w.]+)` \| (.+) \|$", docs, re.MULTILINE))
    assert listed == {name.removeprefix("fairbound."): ", ".join(claims) for name, claims in REGISTRY.items()}
