"""The pytest plugin as users meet it, through their own test files, and what docs/testing.md shows."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from fractions import Fraction
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

from fairbound.bounds import CompositionPair, Counts, certify_counts
from fairbound.bounds.errors import NumberError
from fairbound.gate import assert_advantage_below, explanation

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "testing.md").read_text()
F = Fraction
USER_FILE = next(block for block in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL) if "test_fairness" in block)
UNAWARE = USER_FILE.replace("features = X.columns", 'features = X.columns.drop("sex")')


@pytest.fixture
def run(pytester):
    """Run test files given by their text in a process of their own, as a user would."""

    def run(*arguments, **files):
        pytester.makepyfile(**files)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run


def test_the_plugin_is_found_by_its_entry_point():
    (found,) = (point for point in entry_points(group="pytest11") if point.name == "fairbound")
    assert found.value == "fairbound.pytest_plugin"


def test_loading_it_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "torch", "sklearn", "pandas", "highspy", "flint", "sympy", "cvxpy", "hypothesis"}
    program = f"import fairbound.pytest_plugin, sys; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.slow
def test_the_documented_file_passes_and_an_unfair_model_fails_with_the_documented_message(run):
    assert len(USER_FILE.splitlines()) < 15
    assert UNAWARE != USER_FILE
    result = run("--strict-markers", "-W", "error", test_fair=USER_FILE, test_unaware=UNAWARE)
    result.assert_outcomes(passed=1, failed=1)
    shown = re.search(r"```text\n(.*?)```", DOCS, re.DOTALL).group(1)
    result.stdout.fnmatch_lines(shown.replace("[", "[[]").splitlines(), consecutive=True)
    assert "fairbound/" not in result.stdout.str().split("short test summary")[0].split("FAILURES")[1]


USES = """
import pytest

LOG = [0, 0, 1, 1] * 200, [0, 1, 1, 1, 0, 0, 1, 1] * 100, ["F"] * 400 + ["M"] * 400

def call(fairbound, **options):
    return fairbound(LOG[0], LOG[1], sensitive_features=LOG[2], **options)

@pytest.mark.fairbound(max_advantage=0.2)
class TestDefaults:
    def test_the_class_marker_is_the_default(self, fairbound):
        assert call(fairbound).upper <= 0.2

    @pytest.mark.fairbound(label_balanced=True, confidence="9/10")
    def test_the_nearest_marker_and_the_call_win(self, fairbound):
        result = call(fairbound, game="unlabelled", max_advantage="1/3")
        assert result.label_balanced and result.game.name == "unlabelled" and float(result.confidence) == 0.9

    def test_that_does_not_certify(self):
        pass

@pytest.mark.fairbound(max_advantage=1, pair={"world_0": {"F": {"0": 1, "1": 1}}, "world_1": {"M": {"0": 1, "1": 1}}})
def test_given_compositions(fairbound):
    assert not call(fairbound).estimated

@pytest.mark.xfail(raises=AssertionError, strict=True)
def test_without_a_marker(fairbound):
    call(fairbound, max_advantage=0)

def test_an_error_keeps_its_type(fairbound):
    with pytest.raises(ValueError, match="y_true 3, y_pred 800"):
        fairbound([0, 1, 1], LOG[1], sensitive_features=LOG[2], max_advantage=0.2)
"""
MISUSES = """
import pytest

@pytest.mark.fairbound(max_advantage=0.2)
def test_no_fixture():
    pass

@pytest.mark.fairbound(max_advantage=0.2)
def test_no_call(fairbound):
    pass

@pytest.mark.fairbound(0.2)
def test_positional(fairbound):
    pass

@pytest.mark.fairbound(max_advantages=0.2)
def test_unknown(fairbound):
    pass

@pytest.mark.fairbound(max_advantage=0.2)
def test_unknown_in_the_call(fairbound):
    fairbound([0, 1], [0, 1], sensitive_features=[0, 1], group="sex")

def test_no_limit(fairbound):
    fairbound([0, 1], [0, 1], sensitive_features=[0, 1])

@pytest.mark.fairbound(max_advantage=20)
def test_percent(fairbound):
    fairbound([0, 0, 1, 1], [0, 1, 0, 1], sensitive_features=["F", "M", "F", "M"])

@pytest.mark.fairbound(max_advantage=0.2)
def test_empty_cell(fairbound):
    fairbound([0, 1], [0, 1], sensitive_features=["F", "M"])
"""
MESSAGES = {
    "test_no_fixture": "test_no_fixture is marked fairbound, but certified nothing*",
    "test_no_call": "test_no_call is marked fairbound, but certified nothing*",
    "test_positional": "@pytest.mark.fairbound takes named options only, as in max_advantage=0.2.",
    "test_unknown": "@pytest.mark.fairbound has no option 'max_advantages'; there are max_advantage, *",
    "test_unknown_in_the_call": "the fixture fairbound has no option 'group'; there are *",
    "test_no_limit": "fairbound: no max_advantage; give it to the marker, *",
    "test_percent": "E *NumberError: the largest advantage allowed is 20; it lies between 0 and 1.",
    "test_empty_cell": "E *MissingCellError: group 'F' has no rows with label 1*",
}


@pytest.mark.slow
def test_markers_add_up_and_wrong_use_is_a_clear_error(run):
    result = run("--strict-markers", "-W", "error", test_uses=USES, test_misuses=MISUSES)
    result.assert_outcomes(passed=5, xfailed=1, failed=6, errors=2)
    output = result.stdout.str()
    for test, message in MESSAGES.items():
        (section,) = re.findall(
            rf"^_+ (?:ERROR at setup of )?{test} _+$(.*?)(?=^_+ |^=+ )", output, re.MULTILINE | re.DOTALL
        )
        lines = [line for line in section.splitlines() if line.strip()]
        assert any(re.fullmatch(re.escape(message).replace(r"\*", ".*"), line.strip()) for line in lines), section
        assert "pytest_plugin.py" not in section


def test_users_own_fixture_and_marks_are_left_alone(run):
    conftest = "import pytest\n\n@pytest.fixture\ndef fairbound():\n    return 7\n"
    own = "import pytest\n\n@pytest.mark.fairbound\ndef test_own(fairbound):\n    assert fairbound == 7\n"
    run(conftest=conftest, test_own=own).assert_outcomes(passed=1)


def table(*rows, groups=("F", "M", "N"), labels=(0, 1)):
    return Counts(groups[: len(rows)], labels, (0, 1), rows)


FAIR = ((500, 500), (300, 300))


def test_the_reason_names_what_drives_the_bound():
    three = table(FAIR, ((500, 500), (330, 270)), ((400, 600), (300, 300)))
    result = certify_counts(three, label_balanced=True, theorem="T1")
    text = explanation(result, F(1, 20))
    # T1 prices label 0 at its largest distance, 1/10, whichever two groups are compared.
    assert result.disparities.per_label == (F(1, 10), F(1, 20))
    assert re.search(r"label 0 makes up 0\.06\d\d \(its predictions differ by 0\.1000 between [FM] and N\)", text)
    assert "more rows do not help" in text
    assert text.count("\n") == 1
    pair = certify_counts(three, label_balanced=True, theorem="T1", pure=("F", "M"))
    assert "(T1b, never above T1) the measured value is 0.0187" in explanation(pair, F(1, 25))
    assert "T1b" not in explanation(pair, F(1, 100))
    own = certify_counts(three, label_balanced=True, pure=("F", "M"))
    text = explanation(own, F(1, 100))
    assert f"label 1 makes up {3 / 160:.4f} (its predictions differ by 0.0500 between F and M)" in text


def test_the_reason_says_what_to_do():
    balanced = certify_counts(table(FAIR, FAIR), label_balanced=True)
    assert "too small for this limit: without any disparity" in explanation(balanced, balanced.upper / 2)
    small = certify_counts(table(FAIR, ((510, 490), (300, 300))), label_balanced=True)
    assert "not with its sampling error" in explanation(small, small.upper - F(1, 10**6))
    shifted = certify_counts(table(FAIR, ((100, 100), (700, 700))))
    assert "no fairness constraint can certify this game" in explanation(shifted, F(1, 5))
    # T1 prices label 1 at 1 for F and N too, because M has no rows there.
    options = {"counts": table(FAIR, ((500, 500), (0, 0)), FAIR), "pure": ("F", "N"), "on_missing": "vacuous"}
    empty = certify_counts(theorem="T1", **options)
    assert "(group M has no rows there, which counts as disparity 1)" in explanation(empty, F(1, 100))
    assert "add rows to them" in explanation(empty, F(1, 100))
    # By T1b the pair does not depend on M.
    own = certify_counts(**options)
    assert "too small for this limit" in explanation(own, F(1, 100))
    assert any("Cells without rows" in line for line in empty.assumptions)
    assert not any("Cells without rows" in line for line in own.assumptions)
    assert "cells without rows" in empty.certificate().verified
    assert "cells without rows" not in own.certificate().verified
    assert own.measured["advantage"] == 0
    # Worlds without a common label: nothing moves, and the label says which is which.
    apart = table(((0, 0), (50, 50)), FAIR, ((50, 50), (0, 0)))
    text = explanation(certify_counts(apart, on_missing="vacuous"), F(1, 2))
    assert "The 1.0000 at the measured rates is label shift 1.0000. The label shift of F / N alone" in text
    # The pair with the largest bound, a small group's, is the one that both sentences are about.
    few = table(((4000, 1000), (4000, 1000)), ((2500, 2500), (2500, 2500)), ((7, 8), (7, 8)))
    text = explanation(certify_counts(few, label_balanced=True), F(28, 100))
    assert "label-balanced labelled game, F / N" in text
    assert "That alone is above the limit" in text
    given = CompositionPair.from_dict({"world_0": {"F": {"0": 1}}, "world_1": {"M": {"0": 1}}}, ("F", "M"), (0, 1))
    assert "the given pair" in explanation(certify_counts(table(FAIR, FAIR), pair=given), F(1, 100))


@pytest.mark.parametrize("limit", [1.5, -0.1, "2"])
def test_a_limit_that_is_no_advantage_is_an_error(limit):
    with pytest.raises(NumberError, match="between 0 and 1"):
        assert_advantage_below(certify_counts(table(FAIR, FAIR)), limit)


@pytest.mark.slow
def test_the_documented_properties_hold(run):
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL) if "test_properties" in b)
    run("-p", "no:randomly", test_properties=block).assert_outcomes(passed=2)


def test_the_workflow_parses_and_installs_this_package():
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    steps = yaml.safe_load(text)["jobs"]["fairness"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, extra = re.match(r'pip install "(\w+)\[(\w+)\]"', commands[0]).groups()
    assert name == project["name"]
    assert extra in project["optional-dependencies"]
    assert commands[1] == "pytest test_fairness.py"


def test_the_documented_noise_floors_are_those_of_a_fair_log():
    cells, floors = (
        re.findall(r"[\d.,]+", line.split("|", 2)[2])
        for line in re.findall(r"^\| (?:rows in each|noise floor).*$", DOCS, re.MULTILINE)
    )
    assert len(cells) == 4
    for rows, floor in zip(cells, floors[-4:], strict=True):
        half = Fraction(int(rows.replace(",", "")), 2)
        plane = tuple((int(half), int(half + F(1, 2))) for _ in range(2))
        upper = certify_counts(table(plane, plane), label_balanced=True).upper
        assert float(upper) == pytest.approx(float(floor), abs=0.003)
