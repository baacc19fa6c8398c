"""
From counts to a checked certificate, for every method and several sizes, in processor time.

Times are those of one process on one thread, the least of several repeats. Two floors from the same run stand beside
them: the Clopper-Pearson bound of the same table, and `numpy.bincount` over the rows' cells, which no certificate can
do without.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.machine import describe, write_markdown
from fairbound.bounds import Counts, certify_counts
from fairbound.bounds.certify import METHODS
from fairbound.bounds.check import check, load
from fairbound.bounds.errors import CertificateError

SEED = 0
# Groups, labels (as many as outputs), rows, label-balanced or not.
CASES = (
    *(
        (groups, labels, rows, game)
        for groups, labels in ((2, 2), (3, 3), (5, 10))
        for rows in (10_000, 1_000_000)
        for game in (False, True)
    ),
    (10, 28, 1_000_000, False),
)
REPEATS, SECONDS = 10, 1.5
GOAL_MS = 50.0


def least(function: Callable[[], Any]) -> tuple[float, Any]:
    """Smallest processor time in seconds of up to `REPEATS` calls within about `SECONDS`, and the last result."""
    times: list[float] = []
    while not times or (len(times) < REPEATS and sum(times) < SECONDS):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return min(times), result


def draw(groups: int, labels: int, rows: int) -> tuple[Counts, np.ndarray]:
    """A table of unequal groups and labels, a model that is right more often than not, and the cell of each row."""
    generator = np.random.default_rng([SEED, groups, labels])
    shares = generator.dirichlet(np.full(groups * labels, 5.0)).reshape(groups, labels, 1)
    rates = generator.dirichlet(np.full(labels, 2.0), size=(groups, labels))
    joint = shares * (0.4 * rates + 0.6 * np.eye(labels))
    codes = generator.choice(joint.size, size=rows, p=joint.ravel() / joint.sum())
    table = np.bincount(codes, minlength=joint.size).reshape(joint.shape)
    alphabet = tuple(range(labels))
    names = tuple(f"group {a}" for a in range(groups))
    return Counts(names, alphabet, alphabet, tuple(tuple(map(tuple, plane)) for plane in table.tolist())), codes


def measure(counts: Counts, method: str, *, label_balanced: bool) -> tuple[float, float, float, int] | None:
    """Seconds to the bound, to the certificate and to check it again, and its bytes; None if it is too large."""

    def bound() -> Any:
        return certify_counts(counts, method=method, label_balanced=label_balanced, on_missing="vacuous")

    bounded, result = least(bound)
    try:
        sealed, certificate = least(result.certificate)
    except CertificateError:
        return None
    text = json.dumps(certificate.data)
    checked, _ = least(lambda: check(load(text)))
    return bounded, bounded + sealed, checked, len(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many of the cases, from the smallest")
    lines = [
        "| groups x labels x outputs | rows | game | method | bound ms | certificate ms | check ms | certificate kB | "
        "bound / Clopper-Pearson | certificate / counting |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    slowest = 0.0
    cases = parser.parse_args().cases
    for groups, labels, rows, label_balanced in CASES[:cases]:
        counts, codes = draw(groups, labels, rows)
        counting, _ = least(lambda codes=codes, n=groups * labels**2: np.bincount(codes, minlength=n))
        floor = None
        for method in ("clopper-pearson", *(m for m in METHODS if m != "clopper-pearson")):
            sys.stderr.write(f"\r{groups} x {labels} x {labels}, {rows:,} rows, {method}          ")
            found = measure(counts, method, label_balanced=label_balanced)
            game = "balanced" if label_balanced else "raw"
            start = f"| {groups} x {labels} x {labels} | {rows:,} | {game} | {method} |"
            if found is None:
                lines.append(f"{start} - | - | - | above the limit | - | - |")
                continue
            bounded, sealed, checked, size = found
            floor = floor or bounded
            if labels == 2:
                slowest = max(slowest, 1e3 * sealed)
            lines.append(
                f"{start} {1e3 * bounded:.1f} | {1e3 * sealed:.1f} | {1e3 * checked:.1f} | {size / 1e3:.1f} | "
                f"{bounded / floor:.1f} | {sealed / counting:,.1f} |"
            )
    page = [
        f"Measured on {describe('numpy', 'scipy')}; seed {SEED}; one thread, processor time, least of up to {REPEATS}.",
        "",
        "`bound` is `certify_counts`; `certificate` adds the proof, checked once; `check` is what a",
        "reader does, with the standard library alone.",
        "",
        f"Slowest certificate of a 2 x 2 x 2 table: {slowest:.0f} ms (goal: under {GOAL_MS:.0f} ms).",
        "",
        *lines,
    ]
    command = "python -m benchmarks.certify" + ("" if cases == len(CASES) else f" --cases {cases}")
    path = write_markdown("certify", "From counts to a certificate", command, page)
    sys.stdout.write(path.read_text())


if __name__ == "__main__":
    main()
