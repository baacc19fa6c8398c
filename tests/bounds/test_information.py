"""Information inequalities: known ones, those that Shannon's do not give, distributions and forged certificates."""

from __future__ import annotations

import copy
import json
import math
import re
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbound.bounds import check
from fairbound.bounds.certificate import Certificate
from fairbound.bounds.check import CheckError
from fairbound.bounds.information import (
    Information,
    InformationError,
    NotShannonProvableError,
    elementals,
    prove_information_inequality,
    subsets,
)
from fairbound.proofs.t10 import symbolic
from fairbound.testing import simplex_points

F = Fraction
COUPLED = "I(X,Z;Y,Z) - I(X;Y)"
INGLETON = "I(A;B|C) + I(A;B|D) + I(C;D) - I(A;B)"
ZHANG_YEUNG = "I(A;B) + I(A;C,D) + 3 I(C;D|A) + I(C;D|B) - 2 I(C;D)"
PROVABLE = [
    COUPLED,
    "H(A,C) + H(B,C) - H(A,B,C) - H(C)",
    "H(A,B) - H(A)",
    "H(A) + H(B) + H(C) - H(A,B,C)",
    "1/2 H(A,B) + 1/2 H(B,C) + 1/2 H(A,C) - H(A,B,C)",
    "I(A;B,C) - I(A;C) - I(A;B|C)",
    "I(X;Y) - I(F;G) + H(F|X) + H(G|Y)",
    INGLETON + " + I(A;B)",
    "H(A,B,C,D,E,F) - H(A|B) - H(B,C) + H(C)",
]


def value(expression, h):
    return sum(c * h[names] for names, c in expression.coefficients.items())


def added_up(proof):
    total = dict.fromkeys(subsets(proof.expression.variables), F(0))
    for weight, elemental in proof.terms:
        for names, c in elemental.coefficients().items():
            total[names] += weight * c
    return {names: c for names, c in total.items() if c}


def entropies(variables, masses):
    """Joint entropies, in nats, of binary variables with a given joint probability mass function."""
    outcomes = list(product((0, 1), repeat=len(variables)))
    found = {}
    for names in subsets(variables):
        kept = [i for i, v in enumerate(variables) if v in names]
        marginal = {}
        for outcome, p in zip(outcomes, masses, strict=True):
            key = tuple(outcome[i] for i in kept)
            marginal[key] = marginal.get(key, F(0)) + p
        found[names] = -sum(float(p) * math.log(p) for p in marginal.values() if p)
    return found


expressions = st.lists(st.integers(-2, 2), min_size=7, max_size=7).map(
    lambda cs: Information(("A", "B", "C"), dict(zip(subsets("ABC"), map(F, cs), strict=True)))
)


@pytest.mark.parametrize("text", PROVABLE)
def test_known_inequalities_are_combinations_and_their_certificates_check(text):
    proof = prove_information_inequality(text)
    assert added_up(proof) == {names: c for names, c in proof.expression.coefficients.items() if c}
    assert all(weight > 0 for weight, _ in proof.terms)
    assert "for all random variables" in proof.certificate().verified


def test_a_coupled_component_adds_three_elemental_terms():
    proof = prove_information_inequality(COUPLED)
    assert {str(elemental): weight for weight, elemental in proof.terms} == {
        "H(Z|X,Y)": 1,
        "I(X;Z|Y)": 1,
        "I(Y;Z|X)": 1,
    }


@pytest.mark.parametrize(("text", "worst"), [(INGLETON, F(-1, 4)), (ZHANG_YEUNG, F(-1, 4))])
def test_what_takes_more_than_shannon_has_a_polymatroid_against_it(text, worst):
    """Ingleton's (1971) is false for some variables, Zhang and Yeung's (1998) is true."""
    with pytest.raises(NotShannonProvableError, match="if it holds for all random variables, it takes more") as found:
        prove_information_inequality(text)
    h = found.value.polymatroid
    assert value(found.value.expression, h) == found.value.value == worst
    for elemental in elementals("ABCD"):
        assert sum(c * h[names] for names, c in elemental.coefficients().items()) >= 0


def test_the_counterexample_to_conditioning_is_the_exclusive_or():
    with pytest.raises(NotShannonProvableError, match="some random variables violate it") as found:
        prove_information_inequality("I(A;B) - I(A;B|C)")
    h = found.value.polymatroid
    masses = [F(1, 4) if (a + b + c) % 2 == 0 else F(0) for a, b, c in product((0, 1), repeat=3)]
    for names, entropy in entropies("ABC", masses).items():
        assert float(2 * h[names]) == pytest.approx(entropy / math.log(2))


@given(expressions)
def test_every_expression_gets_a_proof_or_a_polymatroid(expression):
    try:
        proof = prove_information_inequality(expression)
    except NotShannonProvableError as error:
        found = error
    else:
        assert added_up(proof) == {names: c for names, c in expression.coefficients.items() if c}
        return
    assert value(expression, found.polymatroid) == found.value < 0
    assert max(found.polymatroid.values()) == 1
    for elemental in elementals("ABC"):
        assert sum(c * found.polymatroid[names] for names, c in elemental.coefficients().items()) >= 0


@settings(max_examples=40)
@given(st.sampled_from(PROVABLE), st.data())
def test_what_is_proved_holds_for_distributions(text, data):
    proof = prove_information_inequality(text)
    variables = proof.expression.variables
    h = entropies(variables, data.draw(simplex_points(2 ** len(variables))))
    assert value(proof.expression, h) >= -1e-12
    parts = (float(w) * sum(c * h[s] for s, c in e.coefficients().items()) for w, e in proof.terms)
    assert value(proof.expression, h) == pytest.approx(sum(parts), abs=1e-12)


@settings(max_examples=30)
@given(st.lists(st.fractions(0, 3, max_denominator=7), min_size=28, max_size=28))
def test_combinations_of_elementals_are_recognised(weights):
    total = {}
    for weight, elemental in zip(weights, elementals("ABCD"), strict=True):
        for names, c in elemental.coefficients().items():
            total[names] = total.get(names, F(0)) + weight * c
    assert prove_information_inequality(Information(tuple("ABCD"), total)).certificate().verified


@pytest.mark.parametrize("variables", ["A", "AB", "ABC", "ABCD", "ABCDEF"])
def test_elementals_are_those_of_the_symbolic_leg(variables):
    n = len(variables)
    own = {str(e).replace(",", ""): e.coefficients() for e in elementals(variables)}
    assert len(own) == n + n * (n - 1) // 2 * 2 ** max(0, n - 2)
    assert own == {name.replace("H(A|)", "H(A)"): c for name, c in symbolic.elementals(variables).items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read ''"),
        ("H(A", "cannot read 'H"),
        ("H(A) H(B)", r"cannot read 'H\(B\)'"),
        ("H(A|A) H(B)", r"cannot read 'H\(B\)'"),
        ("H(A) - I(A;B;C)", "cannot read '-I"),
        ("1/0 H(A)", "cannot read '1/0"),
        ("H(A) +", r"cannot read '\+'"),
        ("H(A,B,C,D,E,F,G)", "1 to 6 different variables, not 7"),
        (f"H({'A' * 41})", "is no name"),
    ],
)
def test_what_is_no_expression_is_an_error(text, message):
    with pytest.raises(InformationError, match=message):
        Information.parse(text)


def test_expressions_are_checked():
    with pytest.raises(InformationError, match="no joint entropy"):
        Information(("A",), {frozenset("B"): F(1)})
    with pytest.raises(InformationError, match="no joint entropy"):
        Information(("A",), {frozenset(): F(1)})
    with pytest.raises(InformationError, match="is no name"):
        Information(("A\ud800",), {})
    assert str(prove_information_inequality("H(A|B) - H(A,B) + H(B)")) == "0 = 0 >= 0"


@pytest.fixture(scope="module")
def forged():
    return json.loads(json.dumps(prove_information_inequality("2 I(X,Z;Y,Z) - 2 I(X;Y)").certificate().data))


def test_every_changed_number_is_refused(forged, numbers, changed):
    paths = [path for path in numbers(forged) if path[0] in ("expression", "terms")]
    assert len(paths) == 6 + 3
    for path in paths:
        for step in (1, -1):
            other = changed(forged, path, step)
            with pytest.raises(CheckError, match="digest"):
                check.check(other)
            other["digest"] = check.digest(other)
            with pytest.raises(CheckError, match="do not add up"):
                check.check(other)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["terms"].pop(), "do not add up"),
        (lambda d: d["expression"].pop(), "do not add up"),
        (lambda d: d["terms"].append(["0", "X", "Y", []]), "no positive weight"),
        (lambda d: d["terms"].append(["-1", "X", "Y", []]), "no positive weight"),
        (lambda d: d["terms"].append(copy.deepcopy(d["terms"][0])), "occurs twice"),
        (lambda d: d["terms"].append(["1", "Z", "X", ["Y"]]), "occurs twice"),
        (lambda d: d["terms"].append(["1", "X", "X", []]), "no elemental"),
        (lambda d: d["terms"].append(["1", "X", "Y", ["X"]]), "no elemental"),
        (lambda d: d["terms"].append(["1", "X", "W", []]), "not in the alphabet"),
        (lambda d: d["terms"].append(["1", "X", "Y", ["Z", "Z"]]), "twice"),
        (lambda d: d["terms"].append(["1", "X", ["Y"], []]), "not in the alphabet"),
        (lambda d: d["terms"].append(["1", "X", "Y"]), "4 entries"),
        (lambda d: d["terms"].append([1, "X", "Y", []]), "exact number"),
        (lambda d: d["expression"].append(copy.deepcopy(d["expression"][0])), "same variables"),
        (lambda d: d["expression"].append(["1", []]), "no variable"),
        (lambda d: d.update(expression=[["1", ["X"]]] * 9), "at most 8"),
        (lambda d: d.update(variables=list("ABCDEFG")), "at most 6"),
        (lambda d: d.update(variables=["X", "Y", "Z,W"]), "names of letters"),
        (lambda d: d.update(variables=[1, 2, 3]), "names of letters"),
        (lambda d: d.update(variables=["X", "Z", "Y"], claim="H(X)"), "must have the entries"),
    ],
)
def test_malformed_certificates_are_refused(forged, edit, message):
    data = copy.deepcopy(forged)
    edit(data)
    data["digest"] = check.digest(data)
    with pytest.raises(CheckError, match=message):
        check.check(data)


def test_the_documented_example_runs_and_its_file_checks(tmp_path, monkeypatch, capsys):
    docs = (Path(__file__).parents[2] / "docs" / "certificates.md").read_text()
    code, shown = re.search(r"```python\n(.*?)```\n+```text\n(.*?)```", docs, re.DOTALL).groups()
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "certificates.md", "exec"), {})
    assert capsys.readouterr().out == shown
    assert Certificate.read("t10.json").data["schema"] == check.INFORMATION_SCHEMA
    assert check.main(["t10.json"]) == 0
    Path("t10.json").write_text(Path("t10.json").read_text().replace('"1"', '"2"', 1))
    assert check.main(["t10.json"]) == 1
