"""The user's own number as a Coq theorem: it compiles, and a lowered bound does not."""

from __future__ import annotations

import re
import shutil
import subprocess
from fractions import Fraction

import pytest

from fairbound.bounds import CompositionPair, Counts, certify_counts
from fairbound.bounds.errors import CertificateError
from fairbound.proofs.export import coq_file

needs_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason="needs Coq (apt-get install coq)")
TABLE = Counts(
    ("a", "b", "c"), (0, 1), (0, 1), (((700, 100), (60, 90)), ((500, 120), (100, 250)), ((60, 20), (15, 22)))
)
GIVEN = CompositionPair.from_dict(
    {
        "world_0": {"a": {"0": "0.4", "1": "0.1"}, "b": {"0": "0.2", "1": "0.1"}, "c": {"0": "0.1", "1": "0.1"}},
        "world_1": {"a": {"0": "0.1", "1": "0.1"}, "b": {"0": "0.3", "1": "0.2"}, "c": {"0": "0.1", "1": "0.2"}},
    },
    TABLE.groups,
    TABLE.labels,
)
CASES = [
    {},
    {"pure": ("a", "c"), "label_balanced": True},
    {"pure": ("a", "b"), "theorem": "T1b"},
    {"pair": GIVEN},
    {"pair": GIVEN, "theorem": "T1b", "label_balanced": True},
]


def compiles(text, folder):
    path = folder / "certified.v"
    path.write_text(text)
    run = subprocess.run(["coqc", path.name], cwd=folder, capture_output=True, text=True, check=False)
    return run.returncode == 0, run.stdout


def with_bound(text, change):
    match = re.search(r"the_bound : Q := \((\d+)#(\d+)\)", text)
    bound = Fraction(int(match[1]), int(match[2])) + change
    return text.replace(match[0], f"the_bound : Q := ({bound.numerator}#{bound.denominator})")


@needs_coq
@pytest.mark.slow
@pytest.mark.parametrize("options", CASES)
def test_the_bound_is_a_theorem_and_any_less_is_not(options, tmp_path):
    text = coq_file(certify_counts(TABLE, method="clopper-pearson", **options))
    holds, output = compiles(text, tmp_path)
    assert holds
    assert "Closed under the global context" in output
    assert not compiles(with_bound(text, -Fraction(1, 10**12)), tmp_path)[0]
    assert compiles(with_bound(text, Fraction(1, 10**12)), tmp_path)[0]


def test_the_file_holds_the_result_s_own_numbers():
    result = certify_counts(TABLE, method="clopper-pearson")
    text = coq_file(result)
    assert f"the_bound : Q := ({result.upper.numerator}#{result.upper.denominator})" in text
    # Three pairs of groups, two labels: four vertices of the marginals each.
    assert len(re.findall(r"^Definition pair_\d_\d : certificate", text, re.MULTILINE)) == 12
    assert "Admitted" not in text
    assert "Axiom" not in text


def test_other_methods_are_refused_with_the_remedy():
    with pytest.raises(CertificateError, match="choose --method clopper-pearson"):
        coq_file(certify_counts(TABLE))
