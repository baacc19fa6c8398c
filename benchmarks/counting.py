"""
Counting and certifying against a floor and against peers, as ratios within one run.

The floor is what NumPy needs to find the eight cells of a 2 x 2 x 2 table from boolean views of int8 arrays: seven
`np.count_nonzero` and four logical ands (the other cells follow by subtraction), without looking at the values.
Peak memory is that of a process of its own, started for the one job.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import fairbound
from benchmarks.machine import describe, write_markdown

SEED = 0
SEPARATELY = "count and certify (clopper-pearson)"
separately = partial(fairbound.certify, method="clopper-pearson")


def best_of(function: Callable[[], object], repeats: int) -> float:
    """Smallest wall time in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def numpy_floor(y: np.ndarray, p: np.ndarray, g: np.ndarray) -> list[int]:
    a, b, c = (v.view(bool) for v in (g, y, p))
    ab = a & b
    parts = (a, b, c, ab, a & c, b & c, ab & c)
    return [int(np.count_nonzero(part)) for part in parts]


def pandas_group_by(y: np.ndarray, p: np.ndarray, g: np.ndarray) -> float:
    """Equalized odds difference by a grouped mean, as group-by toolkits (AIF360) compute it."""
    rates = pd.DataFrame({"g": g, "y": y, "p": p}).groupby(["y", "g"])["p"].mean().unstack()
    return float((rates.max(axis=1) - rates.min(axis=1)).max())


def draw(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(SEED)
    g = generator.integers(0, 2, n, dtype=np.int8)
    y = (generator.random(n) < np.where(g, 0.31, 0.11)).astype(np.int8)
    p = (generator.random(n) < 0.08 + 0.6 * y + 0.04 * g).astype(np.int8)
    return y, p, g


def in_memory(sizes: list[int]) -> list[str]:
    from fairlearn.metrics import equalized_odds_difference

    lines = [
        "| rows | input | job | milliseconds | against the NumPy floor | against fairbound |",
        "|---|---|---|---|---|---|",
    ]
    for n in sizes:
        y, p, g = draw(n)
        text = np.where(g, "male", "female")
        objects = text.astype(object)
        floor = best_of(lambda y=y, p=p, g=g: numpy_floor(y, p, g), 20)
        jobs: list[tuple[str, str, Callable[[], object], int]] = [
            ("int8", "count", lambda y=y, p=p, g=g: fairbound.Counts.from_arrays(y, p, sensitive_features=g), 20),
            ("int8", SEPARATELY, lambda y=y, p=p, g=g: separately(y, p, sensitive_features=g), 20),
            (
                "int8",
                "count and certify (fisher)",
                lambda y=y, p=p, g=g: fairbound.certify(y, p, sensitive_features=g),
                9,
            ),
            ("text", SEPARATELY, lambda y=y, p=p, g=text: separately(y, p, sensitive_features=g), 5),
            ("objects", SEPARATELY, lambda y=y, p=p, g=objects: separately(y, p, sensitive_features=g), 5),
            ("int8", "pandas group-by (AIF360 style)", lambda y=y, p=p, g=g: pandas_group_by(y, p, g), 3),
        ]
        if n <= 10**6:
            jobs.append(
                (
                    "int8",
                    "fairlearn `equalized_odds_difference`",
                    lambda y=y, p=p, g=g: equalized_odds_difference(y, p, sensitive_features=g),
                    1,
                )
            )
        agreed = pandas_group_by(y, p, g)
        ours_value = float(fairbound.certify(y, p, sensitive_features=g).disparities.equalized_odds)
        assert abs(agreed - ours_value) < 1e-12
        times = [(kind, job, best_of(function, repeats)) for kind, job, function, repeats in jobs]
        ours = times[1][2]
        lines.append(f"| {n:,} | int8 | NumPy floor | {1e3 * floor:.2f} | 1.0 | {floor / ours:.2f} |")
        for kind, job, seconds in times:
            lines.append(
                f"| {n:,} | {kind} | {job} | {1e3 * seconds:.2f} | {seconds / floor:.1f} | {seconds / ours:,.1f} |"
            )
    return lines


# A child's getrusage begins at its parent's size; the kernel's own high-water mark begins anew with the program.
REPORT_PEAK = """
import atexit, sys
def report():
    with open("/proc/self/status") as file:
        print("".join(line for line in file if line.startswith("VmHWM")), file=sys.stderr)
atexit.register(report)
"""


def measured_process(program: str, *arguments: str) -> tuple[float, float]:
    """Wall seconds and peak resident MB of a Python process (Linux)."""
    start = time.perf_counter()
    child = subprocess.run(
        [sys.executable, "-c", REPORT_PEAK + program, *arguments], capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - start
    peak = next(line for line in child.stderr.splitlines() if line.startswith("VmHWM"))
    return seconds, int(peak.split()[1]) / 1024


def out_of_core(rows: int) -> list[str]:
    import duckdb

    generate = (
        "COPY (SELECT (random() < 0.2)::TINYINT AS label, (random() < 0.3)::TINYINT AS prediction, "
        f"CASE WHEN random() < 0.4 THEN 'female' ELSE 'male' END AS \"group\" FROM range({rows})) "
        "TO '{}' (FORMAT parquet)"
    )
    group_by = (
        'import duckdb, sys; print(duckdb.execute(\'SELECT "group", label, prediction, count(*) FROM read_parquet(?) '
        "GROUP BY ALL', [sys.argv[1]]).fetchall())"
    )
    certify = "import sys; from fairbound.cli import main; sys.argv[1:1] = ['certify', '--json']; main()"
    lines = [
        f"| job on a Parquet file of {rows:,} rows | seconds | peak MB | against DuckDB's group-by |",
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        connection = duckdb.connect()
        connection.execute(f"SELECT setseed({SEED})")
        connection.execute(generate.format(path))
        connection.close()
        size = path.stat().st_size / 2**20
        duck = min(measured_process(group_by, str(path)) for _ in range(3))
        ours = min(measured_process(certify, str(path)) for _ in range(3))
    lines.append(f"| DuckDB group-by | {duck[0]:.2f} | {duck[1]:.0f} | 1.00 |")
    lines.append(f"| `fairbound certify` | {ours[0]:.2f} | {ours[1]:.0f} | {ours[0] / duck[0]:.2f} |")
    lines += ["", f"The file took {size:.0f} MB; processes are timed from start to end, imports included; best of 3."]
    return lines


def start_up() -> list[str]:
    job = "import sys; sys.argv = ['fairbound', 'certify', '--help']; from fairbound.cli import main; main()"
    bare = min(measured_process("pass") for _ in range(5))
    helped = min(measured_process(job) for _ in range(5))
    return [
        "| process | seconds | peak MB |",
        "|---|---|---|",
        f"| `python -c pass` | {bare[0]:.2f} | {bare[1]:.0f} |",
        f"| `fairbound certify --help` | {helped[0]:.2f} | {helped[1]:.0f} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000, help="rows of the Parquet file")
    rows = parser.parse_args().rows
    warnings.simplefilter("ignore")
    lines = [f"Measured on {describe('numpy', 'pandas', 'duckdb', 'fairlearn')}; seed {SEED}.", ""]
    lines += ["## Arrays in memory", "", *in_memory([10**6, 10**7]), ""]
    lines += [
        "The method fisher, the default, costs what its bound costs, which depends on the table and hardly on the rows",
        "(tails of larger counts take a little longer); clopper-pearson adds next to none. fairlearn is run at one",
        "million rows only; best of 1 to 20 repeats.",
        "",
    ]
    lines += ["## Out of core", "", *out_of_core(rows), "", "## Start", "", *start_up()]
    path = write_markdown("counting", "Counting and certifying", "python -m benchmarks.counting", lines)
    sys.stdout.write(path.read_text())


if __name__ == "__main__":
    main()
