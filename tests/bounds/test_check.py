"""The checker: accepts what certify wrote, refuses every change, trusts nothing, needs nothing."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from math import comb

import flint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbound.bounds import Certificate, CompositionPair, Counts, ScoreBins, certify_counts, check
from fairbound.bounds.check import CheckError, tail_upper_bound
from fairbound.bounds.confidence import lower_limits
from fairbound.bounds.errors import CertificateError
from fairbound.bounds.games import LABELLED
from fairbound.testing import composition_pairs, simplex_points
from fairbound.testing import counts as tables

F = Fraction
TABLE = Counts(
    ("F", "M", "X"),
    (0, 1),
    (0, 1),
    (((700, 100), (60, 90)), ((500, 120), (100, 250)), ((60, 20), (15, 22))),
)
PAIR = CompositionPair.from_dict(
    {
        "world_0": {"F": {"0": "0.4", "1": "0.1"}, "M": {"0": "0.2", "1": "0.1"}, "X": {"0": "0.1", "1": "0.1"}},
        "world_1": {"F": {"0": "0.1", "1": "0.1"}, "M": {"0": "0.3", "1": "0.2"}, "X": {"0": "0.1", "1": "0.2"}},
    },
    TABLE.groups,
    TABLE.labels,
)
SEPARATE = {"method": "clopper-pearson"}
CASES = {
    "worst pure pair": {"theorem": "T1", **SEPARATE},
    "one pure pair": {"pure": ("F", "M"), **SEPARATE},
    "label-balanced": {"label_balanced": True, "game": "correctness", "theorem": "T1", **SEPARATE},
    "pairwise": {"theorem": "T1b", "game": "unlabelled", **SEPARATE},
    "given": {"pair": PAIR, **SEPARATE},
    "given, pairwise, label-balanced": {"pair": PAIR, "theorem": "T1b", "label_balanced": True},
}
# What the joint methods write is changed number by number in test_deviances.
JOINT = {
    "fisher": {"theorem": "T1"},
    "fisher, T1b": {"theorem": "T1b"},
    "fisher, label-balanced": {"label_balanced": True, "theorem": "T1"},
    "fisher, label-balanced, T1b": {"label_balanced": True},
    "fisher, given": {"pair": PAIR},
    "relative entropy": {"method": "relative-entropy", "theorem": "T1"},
    "relative entropy, T1b": {"method": "relative-entropy"},
    "relative entropy, given": {"method": "relative-entropy", "pair": PAIR},
    "smallest": {"method": "smallest"},
}


def content(**options):
    return json.loads(json.dumps(certify_counts(TABLE, **options).certificate().data))


@pytest.mark.parametrize("options", [*CASES.values(), *JOINT.values()], ids=[*CASES, *JOINT])
def test_what_certify_wrote_is_accepted(options):
    assert "confidence 0.95" in check.check(content(**options))


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_any_one_changed_number_is_refused(options, step, numbers, changed):
    data = content(**options)
    paths = list(numbers(data))
    assert len(paths) > 40
    for path in paths:
        with pytest.raises(CheckError):
            check.check(changed(data, path, step))


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_any_one_changed_number_is_refused_even_with_a_fitting_digest(options, numbers, changed):
    """Limits and the level are only raised here: lowered, they make a weaker claim, which is true; names stay."""
    data = content(**options)
    for path in numbers(data):
        if path[:2] == ("counts", "outputs"):
            continue
        for step in (1,) if path[0] == "limits" or path[-1] == "confidence" else (1, -1):
            forged = changed(data, path, step)
            forged["digest"] = check.digest(forged)
            with pytest.raises(CheckError):
                check.check(forged)


def test_a_lowered_bound_is_refused_however_small_the_step():
    data = content()
    for entry in (data["advantage"], data["pairs"][0]):
        forged = copy.deepcopy(data)
        target = forged["advantage"] if entry is data["advantage"] else forged["pairs"][0]
        target["upper"] = str(F(entry["upper"]) - F(1, 10**12))
        forged["digest"] = check.digest(forged)
        with pytest.raises(CheckError, match="upper"):
            check.check(forged)


def test_limits_that_are_not_jointly_valid_are_refused():
    """Limits at the full error instead of their share of it, everything else recomputed to fit."""
    data = content(pair=PAIR, **SEPARATE)
    data["limits"]["rates"] = [
        [[str(v) for v in lower_limits(row, [sum(row)] * 2, F(1, 20))] for row in plane] for plane in TABLE.table
    ]
    data["digest"] = check.digest(data)
    with pytest.raises(CheckError, match="is no lower limit"):
        check.check(data)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.pop("pairs"), "has the entries"),
        (lambda d: d.update(extra=1), "has the entries"),
        (lambda d: d["claim"].update(game="all"), "unknown game"),
        (lambda d: d["claim"].update(confidence="1/3"), "outside"),
        (lambda d: d["claim"].update(label_balanced=0), "true or false"),
        (lambda d: d["counts"].update(groups=["F", "M"]), "must have 2 entries"),
        (lambda d: d["counts"].update(groups=["F", "F", "X"]), "distinct"),
        (lambda d: d["counts"].update(groups="FMX"), "list of names"),
        (lambda d: d["counts"].update(outputs=["0", "1"]), "different kinds"),
        (lambda d: d["pairs"][0].update(groups="FM"), "must have 2 entries"),
        (lambda d: d["pairs"].append(d["pairs"][0]), "no pair twice"),
        (lambda d: d["limits"]["rates"][0][0].__setitem__(0, "1/3"), "no multiple"),
        (lambda d: d["limits"]["rates"][0][0].__setitem__(0, "9" * 3999), "exact number"),
        (lambda d: d["limits"]["rates"][0][0].__setitem__(0, "-1/1000000000000"), "no multiple"),
        (lambda d: d["limits"]["rates"][0][0].__setitem__(0, "\u0661"), "exact number"),
        (lambda d: d.update(on_missing="error", rows=True), "rows"),
        (lambda d: d["counts"].update(labels=[0, "1"]), "distinct"),
        (lambda d: d["counts"]["table"][0][0].__setitem__(0, True), "non-negative integers"),
        (lambda d: d["counts"]["table"][0][0].__setitem__(0, "700"), "malformed|integers"),
        (lambda d: d["pairs"].clear(), "at least one entry"),
        (lambda d: d["pairs"][0]["plan"][0].clear(), "smaller side"),
        (lambda d: d["pairs"][0]["plan"][0][0].__setitem__(0, "M"), "flow"),
        (lambda d: d["pairs"][0].update(groups=["F", "F"]), "number|two different"),
        (lambda d: d.update(advantage=None), "advantage"),
        (lambda d: d.update(limits=[]), "malformed|limits"),
        (lambda d: d.update(on_missing="maybe"), "error or vacuous"),
    ],
)
def test_malformed_certificates_are_refused_by_name(edit, message):
    data = content(**SEPARATE)
    edit(data)
    data["digest"] = check.digest(data)
    with pytest.raises(CheckError, match=message):
        check.check(data)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema": "fairbound.certificate/2"}',
        b'{"schema": "fairbound.certificate/1", "schema": "fairbound.certificate/1"}',
        b'{"schema": "fairbound.certificate/1", "rows": 1.5}',
        b'{"schema": "fairbound.certificate/1", "rows": NaN}',
        b'{"schema": "fairbound.certificate/1", "rows": ' + b"9" * 5000 + b"}",
        b" " * (check.MAX_BYTES + 1),
    ],
    ids=["empty", "list", "no schema", "no text", "deep", "version", "repeated", "float", "nan", "digits", "large"],
)
def test_hostile_files_are_refused(text, tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(text)
    with pytest.raises(CertificateError):
        Certificate.read(path)


def resealed(data):
    data["digest"] = check.digest(data)
    return data


def test_consistent_forgeries_of_a_given_pair_are_refused():
    """Everything recomputed to fit: only the rule that is broken can tell."""
    honest = content(pair=PAIR, theorem="T1b")
    assert check.check(copy.deepcopy(honest))

    for name in ("world_0", "world_1"):
        halved = copy.deepcopy(honest)
        halved["pairs"][0][name] = [[str(F(m) / 2) for m in row] for row in halved["pairs"][0][name]]
        with pytest.raises(CheckError, match="no probability mass function"):
            check.check(resealed(halved))
        negative = copy.deepcopy(honest)
        rows = negative["pairs"][0][name]
        rows[0][0], rows[0][1] = str(F(rows[0][0]) + 1), str(F(rows[0][1]) - 1)
        with pytest.raises(CheckError, match="no probability mass function"):
            check.check(resealed(negative))

    negative = copy.deepcopy(honest)
    flows = negative["pairs"][0]["plan"][0]
    # A second flow takes back what the first ships too much.
    source, sink, mass = flows[0]
    flows[0] = [source, sink, str(F(mass) + F(1, 100))]
    flows.append([source, sink, "-1/100"])
    with pytest.raises(CheckError, match="surplus to a deficit"):
        check.check(resealed(negative))


def test_overdrawn_plans_are_refused():
    """Shipping more than there is out of a cheap group would lower the cost of T1b."""
    worlds = {
        "world_0": {"a": {"0": "1/4", "1": "1/4"}, "b": {"0": "1/4", "1": "1/4"}},
        "world_1": {"c": {"0": "1/2", "1": "1/2"}},
    }
    table = Counts(("a", "b", "c"), (0, 1), (0, 1), (((90, 10), (10, 90)), ((10, 90), (90, 10)), ((85, 15), (15, 85))))
    pair = CompositionPair.from_dict(worlds, table.groups, table.labels)
    data = json.loads(json.dumps(certify_counts(table, pair=pair, theorem="T1b").certificate().data))
    assert check.check(copy.deepcopy(data))
    for plan in ("plan", "upper_plan"):
        forged = copy.deepcopy(data)
        forged["pairs"][0][plan][0] = [["a", "c", "1/2"]]
        with pytest.raises(CheckError, match="smaller side"):
            check.check(resealed(forged))


def test_label_balance_needs_the_label_in_both_worlds():
    lacking = CompositionPair.from_dict(
        {"world_0": {"F": {"0": 1}}, "world_1": {"M": {"0": 1, "1": 1}}}, TABLE.groups, TABLE.labels
    )
    data = content(pair=lacking)
    data["claim"]["label_balanced"] = True
    with pytest.raises(CheckError, match="no mass in one world"):
        check.check(resealed(data))


def test_an_empty_cell_counts_as_disparity_one():
    table = Counts(("a", "b"), (0, 1), (0, 1), (((7, 1), (0, 0)), ((5, 1), (1, 2))))
    data = json.loads(json.dumps(certify_counts(table, on_missing="vacuous").certificate().data))
    assert [entry["upper"] for entry in data["disparity"]][1] == "1"
    data["disparity"][1]["point"] = "0"
    with pytest.raises(CheckError, match=r"disparity\[1\].point: is not 1"):
        check.check(resealed(data))
    data = json.loads(json.dumps(certify_counts(table, on_missing="vacuous").certificate().data))
    data["on_missing"] = "error"
    with pytest.raises(CheckError, match="without rows"):
        check.check(resealed(data))


def test_the_printed_bound_and_level_are_rounded_to_the_safe_side():
    result = certify_counts(TABLE, confidence="0.94999999")
    sentence = check.check(dict(result.certificate().data))
    shown = F(sentence.split("at most ")[1].split(" ")[0])
    assert result.upper <= shown < result.upper + F(1, 10**6)
    assert "confidence 0.94999999 " in sentence
    assert "confidence 0.9999999999 " in check.check(
        dict(certify_counts(TABLE, confidence=1 - F(1, 10**11)).certificate().data)
    )


@pytest.mark.parametrize("depth", [200, 985, 100_000])
def test_deep_nesting_is_refused(depth, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text('{"schema": "fairbound.certificate/1", "digest": "", "claim": ' + "[" * depth + "]" * depth + "}")
    with pytest.raises(CertificateError):
        Certificate.read(path)


def test_certificates_that_take_too_long_to_check_are_refused(monkeypatch):
    data = content()
    monkeypatch.setattr(check, "MAX_ALL_TERMS", 100)
    with pytest.raises(CheckError, match="too long to check"):
        check.check(data)


def test_numbers_that_grow_without_end_are_refused(monkeypatch):
    data = content()
    monkeypatch.setattr(check, "MAX_BITS", 10)
    with pytest.raises(CheckError, match="too many digits"):
        check.check(data)


def test_a_worst_case_certificate_too_large_to_check_is_refused_before_it_is_built():
    data = {
        "schema": check.KNOWLEDGE_SCHEMA,
        "game": "correctness",
        "groups": list(range(700)),
        "labels": list(range(700)),
        "outputs": list(range(700)),
        "world_0": [],
        "world_1": [],
        "facts": [],
        "multipliers": [],
        "witness": [],
        "value": "0",
    }
    with pytest.raises(CheckError, match="too many cells"):
        check.check(resealed(data))


def test_tables_too_large_to_check_are_refused_quickly():
    data = content()
    data["counts"]["outputs"] = list(range(60_000))
    data["counts"]["table"] = [[[1] * 60_000] * 2] * 3
    data["rows"] = 360_000
    data["digest"] = check.digest(data)
    with pytest.raises(CheckError, match="too many"):
        check.check(data)


def test_the_checker_stands_on_the_standard_library_alone(tmp_path):
    path = certify_counts(TABLE).certificate().write(tmp_path / "c.json")
    program = (
        "import runpy, sys; sys.argv = ['check.py', sys.argv[2]]\n"
        f"try: runpy.run_path({check.__file__!r}, run_name='__main__')\n"
        "finally: print(sorted(m for m in sys.modules if m.split('.')[0] in {'numpy', 'scipy', 'fairbound', 'cvxpy'}))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, "", str(path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "holds. labelled game" in run.stdout
    assert run.stdout.strip().endswith("[]")
    path.write_text(path.read_text().replace("19/20", "99/100"))
    run = subprocess.run([sys.executable, "-I", "-S", check.__file__, str(path)], capture_output=True, text=True)
    assert run.returncode == 1
    assert "REFUSED. digest" in run.stdout


def test_importing_the_checker_through_the_package_loads_no_numpy():
    program = "import sys, fairbound.bounds.check; print('numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@settings(max_examples=60)
@given(tables(max_groups=4, missing=True), st.sampled_from(["T1", "T1b"]), st.booleans())
def test_every_certificate_checks(table, theorem, balanced):
    lacks = [y for j, y in enumerate(table.labels) if any(row[j] == 0 for row in table.cell_rows)]
    result = certify_counts(
        table, theorem=theorem, label_balanced=balanced and not lacks, on_missing="vacuous" if lacks else "error"
    )
    assert result.certificate().verified


@settings(max_examples=40)
@given(st.data(), st.sampled_from(["T1", "T1b"]))
def test_every_certificate_for_a_given_pair_checks(data, theorem):
    pair = data.draw(composition_pairs(max_groups=4))
    rows = st.lists(st.integers(1, 30), min_size=len(pair.labels), max_size=len(pair.labels))
    plane = st.lists(rows, min_size=len(pair.labels), max_size=len(pair.labels))
    table = data.draw(st.lists(plane, min_size=len(pair.groups), max_size=len(pair.groups)))
    counts = Counts(pair.groups, pair.labels, pair.labels, tuple(tuple(map(tuple, p)) for p in table))
    assert certify_counts(counts, pair=pair, theorem=theorem).certificate().verified


@given(st.integers(1, 200), st.data(), st.fractions(F(1, 1000), F(999, 1000), max_denominator=1000))
def test_the_tail_bound_is_an_upper_bound_and_tight(n, data, share):
    k = data.draw(st.integers(1, n))
    p = share * F(k, n)
    exact = sum((comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1)), F(0))
    bound = F(tail_upper_bound(k, n, p))
    assert exact <= bound <= exact * (1 + F(1, 10**9))


@pytest.mark.parametrize("n", [1_000, 10**5, 10**7, 10**9, 10**12, 2**53])
@pytest.mark.parametrize("share", [F(1, 10**3), F(1, 9), F(1, 2), F(97, 100)])
@pytest.mark.parametrize("alpha", [F(1, 40), F(1, 2000)])
def test_the_tail_bound_at_limits_of_large_samples(n, share, alpha):
    """Against arb's ball arithmetic where it converges, and always at most the level it has to certify."""
    k = int(n * share)
    (limit,) = lower_limits([k], [n], alpha)
    bound = F(tail_upper_bound(k, n, limit))
    assert bound <= alpha
    if n <= 10**7:
        flint.ctx.prec = 200
        x = flint.arb(flint.fmpq(limit.numerator, limit.denominator))
        ball = x.beta_lower(k, n - k + 1, regularized=True)
        assert float(bound) == pytest.approx(float(ball), rel=1e-6)
        assert not flint.arb(str(bound.numerator)) / flint.arb(str(bound.denominator)) < ball


def test_the_tail_bound_is_trivial_where_it_does_not_apply():
    assert tail_upper_bound(5, 10, F(1, 2)) == 1
    assert tail_upper_bound(5, 10, F(0)) == 1


def test_the_checker_agrees_with_the_library_on_extreme_points():
    lower = (F(1, 5), F(1, 10), F(0))
    assert check.extreme_points(list(lower)) == [
        [F(9, 10), F(1, 10), 0],
        [F(1, 5), F(4, 5), 0],
        [F(1, 5), F(1, 10), F(7, 10)],
    ]


@given(st.integers(2, 4).flatmap(lambda z: st.tuples(simplex_points(z), simplex_points(z))), st.fractions(0, 1))
def test_both_largest_distances_agree(points, shrink):
    from fairbound.bounds.confidence import largest_distance

    lower = [[v * shrink for v in point] for point in points]
    assert check.largest_variation(*lower) == largest_distance(*lower)


def test_writing_and_reading_keeps_the_certificate(tmp_path):
    written = certify_counts(TABLE).certificate()
    assert Certificate.read(written.write(tmp_path / "c.json")) == written
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(CertificateError, match="cannot read"):
        Certificate.read(tmp_path / "absent.json")


BINS = ScoreBins("risk", F(-1, 3), F(5, 2))


def test_bins_of_a_score_are_told():
    for labels in ((0, 1), ("no", "yes")):
        outputs = (0, 1) if labels == (0, 1) else ("0", "1")
        counts = Counts(("F", "M"), labels, outputs, (((30, 10), (6, 19)), ((20, 12), (10, 35))))
        certificate = certify_counts(counts, game=replace(LABELLED, bins=BINS)).certificate()
        assert "outputs 2 bins of equal width of 'risk' from -0.3333333334 to 2.5: with" in certificate.verified
        assert "scores seen more finely" in certificate.verified


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"claim.bins.column": ""}, "claim.bins.column: must be a text"),
        ({"claim.bins.column": "x" * 1001}, "claim.bins.column: must be a text"),
        ({"claim.bins.column": 3}, "claim.bins.column: must be a text"),
        ({"claim.bins.low": "5/2"}, "claim.bins: from 5/2 to 5/2 is no interval"),
        ({"claim.bins.high": 1.5}, "claim.bins.high"),
        ({"claim.bins": {}}, "claim.bins: must have the entries"),
        ({"claim.bins": None}, "claim.bins: must have the entries"),
        ({"claim.game": "correctness"}, "no bin of scores is correct"),
        ({"counts.outputs": [1, 2]}, "counts.outputs: are not 0 to 1"),
        ({"claim.more": 1}, "claim: has other entries"),
    ],
)
def test_bins_that_are_none_are_refused(changes, message):
    counts = Counts(("F", "M"), (0, 1), (0, 1), (((30, 10), (6, 19)), ((20, 12), (10, 35))))
    data = json.loads(json.dumps(certify_counts(counts, game=replace(LABELLED, bins=BINS)).certificate().data))
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = data
        for name in parents:
            place = place[name]
        place[last] = value
    data["digest"] = check.digest(data)
    with pytest.raises(CheckError, match=re.escape(message)):
        check.check(data)
