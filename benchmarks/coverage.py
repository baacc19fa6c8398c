"""
Do the confidence bounds cover, and how wide are they? Simulated logs at adversarial settings, every method.

A bound misses where it is below T1's (or T1b's) value at the true rates, compared as fractions. The oracle is a
reference and no method: the normal limit of the plug-in value by someone who knows the pairs of groups, the events and
the smaller label marginals that make up the true value.

Each chunk of runs is a line of results/coverage.jsonl as soon as it is done; what was done with the same settings and
source code is not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import cache
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from scipy.stats import norm

import fairbound.bounds
from benchmarks.machine import describe, write_markdown
from fairbound.bounds import (
    Certification,
    Channel,
    Composition,
    CompositionPair,
    Counts,
    certify_counts,
    transport_bound,
    worst_case_advantage,
)
from fairbound.bounds.certify import METHODS, Method
from fairbound.bounds.confidence import lower_limits
from fairbound.bounds.errors import CompositionError

SEED = 0
RUNS = 10_000
CHUNK = 250
# All intervals of the simulation together, about a hundred, hold with at least 90 %.
SIMULATION_ALPHA = Fraction(1, 1000)
LINES = Path("results") / "coverage.jsonl"

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Setting:
    """
    A population, how much of it is sampled, and what is certified.

    `sizes` are rows per group, `marginals` (G, K) the groups' label marginals, `rates` (K, G, Z) or, for binary
    outputs, (K, G) shares of output 1, as exact texts. `given` holds two compositions (G, K); without, worlds are pure.
    """

    name: str
    sizes: tuple[int, ...]
    marginals: Rows
    rates: tuple[Any, ...]
    given: tuple[Rows, Rows] | None = None
    label_balanced: bool = False
    theorem: str = "T1"
    confidence: str = "0.95"
    runs: int = RUNS
    methods: tuple[Method, ...] = field(default=METHODS)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple("abcdefgh"[: len(self.sizes)])

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(range(len(self.marginals[0])))

    def shares(self) -> list[list[Fraction]]:
        return [[Fraction(p) for p in row] for row in self.marginals]

    def channel(self) -> Channel:
        def pmf(rate: Any) -> tuple[Fraction, ...]:
            return (1 - Fraction(rate), Fraction(rate)) if isinstance(rate, str) else tuple(map(Fraction, rate))

        by_label = [[pmf(rate) for rate in row] for row in self.rates]
        return Channel(self.groups, self.labels, tuple(range(len(by_label[0][0]))), tuple(zip(*by_label, strict=True)))

    def pairs(self) -> list[CompositionPair]:
        """True worlds, as the game uses them."""

        def world(mass: Sequence[Sequence[Any]]) -> Composition:
            return Composition(self.groups, self.labels, tuple(tuple(map(Fraction, row)) for row in mass))

        if self.given is not None:
            raw = [CompositionPair(*map(world, self.given))]
        else:
            alone = [
                world([row if i == a else [0] * len(row) for i in range(len(self.sizes))])
                for a, row in enumerate(self.marginals)
            ]
            raw = [CompositionPair(p, q) for p, q in combinations(alone, 2)]
        return [pair.label_balanced() for pair in raw] if self.label_balanced else raw

    def values(self) -> list[Fraction]:
        """True value of each pair of worlds."""
        disparities = self.channel().disparities()
        if self.theorem == "T1b":
            return [transport_bound(pair, disparities)[0].value for pair in self.pairs()]
        return [worst_case_advantage(pair, disparities.per_label).value for pair in self.pairs()]

    def certify(self, counts: Counts, method: Method) -> Certification:
        return certify_counts(
            counts,
            pair=None if self.given is None else self.pairs_as_given(),
            label_balanced=self.label_balanced,
            confidence=self.confidence,
            on_missing="vacuous",
            theorem=self.theorem,
            method=method,
        )

    def pairs_as_given(self) -> CompositionPair:
        assert self.given is not None
        return Setting(self.name, self.sizes, self.marginals, self.rates, given=self.given).pairs()[0]

    def draw(self, generator: np.random.Generator) -> Counts:
        rates = np.array(self.channel().rates, dtype=float)
        table = []
        for size, marginal, plane in zip(self.sizes, np.array(self.shares(), dtype=float), rates, strict=True):
            cells = generator.multinomial(size, marginal)
            table.append(tuple(tuple(generator.multinomial(n, p).tolist()) for n, p in zip(cells, plane, strict=True)))
        return Counts(self.groups, self.labels, tuple(range(rates.shape[2])), tuple(table))


EVEN = (("1/2", "1/2"), ("1/2", "1/2"))
SHIFT = (("9/10", "1/10"), ("2/5", "3/5"))
PURE = ((("1/2", "1/2"), ("0", "0")), (("0", "0"), ("1/2", "1/2")))
ONE_LABEL = ((("1", "0"), ("0", "0")), (("0", "0"), ("1", "0")))
MIXED = ((("4/10", "2/10"), ("1/10", "3/10")), (("1/10", "1/10"), ("3/10", "5/10")))
THIRDS = (("1/2", "1/2"),) * 3
THREE = (("1/3", "1/3", "1/3"),) * 2
TRIPLES = (
    (("1/2", "3/10", "1/5"), ("3/10", "1/2", "1/5")),
    (("1/5", "3/5", "1/5"), ("2/5", "2/5", "1/5")),
    (("1/5", "1/5", "3/5"), ("1/5", "2/5", "2/5")),
)
EIGHTHS = ("1/8",) * 8
TILTED = ("1/16",) * 4 + ("3/16",) * 4
FAIR_HALF = (("1/2", "1/2"), ("1/2", "1/2"))

SETTINGS = (
    Setting("fair, rates 1/2", (200, 200), EVEN, FAIR_HALF),
    Setting("fair, rates 1/2, balanced", (200, 200), EVEN, FAIR_HALF, label_balanced=True),
    Setting("fair, rates 1/2, given pair", (200, 200), EVEN, FAIR_HALF, given=PURE),
    Setting("fair, rates near 0", (300, 300), EVEN, (("1/100", "1/100"), ("1/50", "1/50"))),
    Setting(
        "fair, rates near 0 and 1, balanced", (300, 300), EVEN, (("1/100",) * 2, ("99/100",) * 2), label_balanced=True
    ),
    Setting("a rate of 0 against 1/2, balanced", (100, 100), EVEN, (("0", "1/2"), ("0", "1/2")), label_balanced=True),
    Setting("cells of about 6", (12, 12), EVEN, FAIR_HALF),
    Setting("cells of about 5, balanced", (10, 10), EVEN, (("1/5", "2/5"), ("7/10", "4/5")), label_balanced=True),
    Setting("cells of about 4, given pair", (8, 8), EVEN, (("1/10", "1/2"), ("1/2", "9/10")), given=PURE),
    Setting("30 rows against 3000", (30, 3000), EVEN, (("1/20", "3/10"), ("3/5", "4/5"))),
    Setting(
        "30 rows against 3000, balanced", (30, 3000), EVEN, (("1/20", "1/20"), ("4/5", "4/5")), label_balanced=True
    ),
    Setting("label shift", (300, 300), SHIFT, (("1/5", "2/5"), ("7/10", "4/5"))),
    Setting("rare label", (400, 400), (("49/50", "1/50"), ("19/20", "1/20")), (("1/10", "1/10"), ("1/2", "1/2"))),
    Setting("label shift, mixed given pair", (300, 300), EVEN, (("1/5", "2/5"), ("7/10", "4/5")), given=MIXED),
    # The fewest deviances there can be, none of them wasted: where Fisher's method has the least to spare.
    Setting("one label moves, given pair", (200, 200), EVEN, (("1/5", "4/5"), ("1/2", "1/2")), given=ONE_LABEL),
    Setting("one label moves, small cells", (16, 24), EVEN, (("1/5", "4/5"), ("1/2", "1/2")), given=ONE_LABEL),
    Setting("one label moves, unequal cells", (60, 900), EVEN, (("2/5", "7/10"), ("1/2", "1/2")), given=ONE_LABEL),
    Setting("three groups, tied", (100,) * 3, THIRDS, (("1/5", "2/5", "3/5"), ("1/2", "7/10", "9/10")), runs=4000),
    Setting(
        "three groups, tied, T1b",
        (100,) * 3,
        THIRDS,
        (("1/5", "2/5", "1/5"), ("1/2", "7/10", "1/2")),
        theorem="T1b",
        runs=4000,
    ),
    Setting(
        "three fair groups, balanced", (100,) * 3, THIRDS, (("3/10",) * 3, ("3/5",) * 3), label_balanced=True, runs=4000
    ),
    Setting(
        "three fair groups, balanced, T1b",
        (100,) * 3,
        THIRDS,
        (("3/10",) * 3, ("3/5",) * 3),
        label_balanced=True,
        theorem="T1b",
        runs=4000,
    ),
    Setting("three labels and outputs", (240, 240), THREE, TRIPLES, runs=2000),
    Setting("three labels and outputs, balanced", (240, 240), THREE, TRIPLES, label_balanced=True, runs=4000),
    Setting(
        "eight outputs, balanced", (400, 400), EVEN, ((EIGHTHS,) * 2, (EIGHTHS, TILTED)), label_balanced=True, runs=2000
    ),
    Setting("eight outputs, given pair", (400, 400), EVEN, ((EIGHTHS, TILTED),) * 2, given=PURE, runs=2000),
    Setting(
        "one label moves, level 0.5",
        (200, 200),
        EVEN,
        (("1/5", "4/5"), ("1/2", "1/2")),
        confidence="0.5",
        given=ONE_LABEL,
    ),
    Setting("fair, level 0.5", (200, 200), EVEN, FAIR_HALF, confidence="0.5"),
    Setting(
        "level 0.5, balanced",
        (200, 200),
        EVEN,
        (("1/5", "3/10"), ("7/10", "4/5")),
        confidence="0.5",
        label_balanced=True,
    ),
    Setting("label shift, level 0.8", (300, 300), SHIFT, (("1/5", "2/5"), ("7/10", "4/5")), confidence="0.8"),
    Setting("given pair, level 0.8", (60, 60), EVEN, (("1/5", "1/5"), ("9/10", "9/10")), confidence="0.8", given=PURE),
)


def oracle(setting: Setting) -> float:
    """
    How far the oracle's limit is above the value on average: a normal quantile times the plug-in's standard error.

    Where several directions make up the value (no disparity, equal marginals), the one with the widest limit counts.
    """
    rates = np.array(setting.channel().rates, dtype=float)
    marginals = np.array(setting.shares(), dtype=float)
    sizes = np.array(setting.sizes, dtype=float)
    values, pairs = setting.values(), setting.pairs()
    worst = values.index(max(values))
    pure = list(combinations(range(len(sizes)), 2))
    variance = 0.0
    # How the value changes with the groups' label marginals, for each choice among equal ones.
    slopes = [np.zeros_like(marginals)]
    for y, moved in enumerate(pairs[worst].moved):
        own = [pure[worst]] if setting.theorem == "T1b" else pure
        p, q, a, b = max(
            ((rates[a, y], rates[b, y], a, b) for a, b in own), key=lambda entry: np.abs(entry[0] - entry[1]).sum()
        )
        differ = p - q if np.abs(p - q).sum() > 1e-12 else np.where(np.arange(len(p)) < len(p) / 2, 1.0, -1.0)
        event = differ > 0
        distance = float((p - q)[event].sum())
        for group, share in ((a, p[event].sum()), (b, q[event].sum())):
            variance += float(moved) ** 2 * share * (1 - share) / (sizes[group] * marginals[group, y])
        if setting.given is not None:
            continue
        both = list(pure[worst])
        if setting.label_balanced:
            slopes[0][both, y] = distance / 2
        else:
            smaller = [g for g in both if marginals[g, y] <= marginals[both, y].min() + 1e-12]
            unit = np.eye(len(sizes))[smaller][:, :, None] * np.eye(marginals.shape[1])[y]
            slopes = [slope - (1 - distance) * part for slope in slopes for part in unit]
    spread = [((marginals * slope**2).sum(axis=1) - (marginals * slope).sum(axis=1) ** 2) / sizes for slope in slopes]
    variance += max(float(groups.sum()) for groups in spread)
    return float(norm.ppf(float(Fraction(setting.confidence))) * np.sqrt(variance))


@dataclass
class Outcome:
    """Runs, how many bounds were below the value, and how far bounds were above it in all."""

    runs: int = 0
    missed: int = 0
    excess: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.runs + other.runs, self.missed + other.missed, self.excess + other.excess)

    def interval(self) -> tuple[float, float]:
        """Two-sided Clopper-Pearson interval of the coverage."""
        covered = self.runs - self.missed
        alpha = SIMULATION_ALPHA / 2
        low, miss = lower_limits([covered, self.missed], [self.runs] * 2, alpha)
        return float(low), 1 - float(miss)

    def below(self, level: str) -> bool:
        """Whether the coverage is certainly less than the level."""
        return self.interval()[1] < float(Fraction(level))


def upper(result: Certification) -> Fraction:
    return result.upper


def simulate(
    setting: Setting,
    method: Method,
    runs: int,
    *,
    seed: Sequence[int],
    bound: Callable[[Certification], Fraction] = upper,
) -> Outcome:
    """Certify simulated logs; every distinct table once."""
    generator = np.random.default_rng(list(seed))
    value = max(setting.values())
    known: dict[Any, Fraction] = {}
    outcome = Outcome(runs)
    for _ in range(runs):
        counts = setting.draw(generator)
        if counts.table not in known:
            try:
                known[counts.table] = bound(setting.certify(counts, method))
            except CompositionError:
                # The label-balanced game needs every label in both groups: nothing is certified.
                known[counts.table] = Fraction(1)
        outcome.missed += known[counts.table] < value
        outcome.excess += float(known[counts.table] - value)
    return outcome


@cache
def source() -> str:
    """Digest of the code that the outcomes depend on."""
    folder = Path(fairbound.bounds.__file__).parent
    names = ("certify", "check", "channel", "composition", "confidence", "deviances", "exact", "transport")
    code = b"".join((folder / f"{name}.py").read_bytes() for name in names)
    return sha256(code).hexdigest()[:16]


def key(setting: Setting, method: Method, chunk: int, size: int) -> dict[str, Any]:
    described = json.dumps(asdict(setting) | {"runs": None}, sort_keys=True)
    return {
        "setting": setting.name,
        "described": sha256(described.encode()).hexdigest()[:16],
        "method": method,
        "chunk": chunk,
        "size": size,
        "seed": SEED,
        "source": source(),
    }


def one_chunk(index: int, method: Method, chunk: int, size: int) -> dict[str, Any]:
    """All methods see the same logs."""
    setting = SETTINGS[index]
    outcome = simulate(setting, method, size, seed=(SEED, crc32(setting.name.encode()), chunk))
    return key(setting, method, chunk, size) | {"outcome": asdict(outcome)}


def read(path: Path) -> dict[str, Outcome]:
    """Outcomes on file, by their keys; an unfinished last line is left out."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[json.dumps({k: v for k, v in entry.items() if k != "outcome"})] = Outcome(**entry["outcome"])
    return found


def run(runs: int, processes: int, path: Path) -> dict[tuple[str, Method], Outcome]:
    """Compute what is not on file, and add all of it up."""
    known = read(path)
    path.parent.mkdir(exist_ok=True)
    tasks = [
        (index, method, chunk, min(CHUNK, wanted - chunk * CHUNK))
        for index, setting in enumerate(SETTINGS)
        for method in setting.methods
        for wanted in (min(runs, setting.runs),)
        for chunk in range(-(-wanted // CHUNK))
    ]
    names = {task: json.dumps(key(SETTINGS[task[0]], *task[1:])) for task in tasks}
    # Every setting's first chunk, then every setting's second: what is on file at any time can be reported.
    todo = sorted((task for task in tasks if names[task] not in known), key=lambda task: task[2])
    start = time.perf_counter()
    with ProcessPoolExecutor(processes) as pool, path.open("a") as file:
        if path.stat().st_size and not path.read_text().endswith("\n"):
            file.write("\n")
        futures = {pool.submit(one_chunk, *task): task for task in todo}
        for done, future in enumerate(as_completed(futures), 1):
            entry = future.result()
            file.write(json.dumps(entry) + "\n")
            file.flush()
            known[names[futures[future]]] = Outcome(**entry["outcome"])
            left = (time.perf_counter() - start) / done * (len(todo) - done)
            sys.stderr.write(f"\r{done} of {len(todo)} chunks, about {left / 60:.0f} minutes left   ")
    outcomes: dict[tuple[str, Method], Outcome] = {}
    for task in tasks:
        name = SETTINGS[task[0]].name, task[1]
        outcomes[name] = outcomes.get(name, Outcome()) + known[names[task]]
    return outcomes


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    header = list(header)
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows)]


def report(outcomes: dict[tuple[str, Method], Outcome]) -> tuple[list[str], list[str]]:
    """Tables, and what is below its level."""
    below = [
        f"{name}, {method}"
        for setting in SETTINGS
        for method in setting.methods
        for name in (setting.name,)
        if outcomes[name, method].below(setting.confidence)
    ]

    def coverage(outcome: Outcome) -> str:
        low, high = outcome.interval()
        return f"{1 - outcome.missed / outcome.runs:.4f} ({low:.3f}, {high:.3f})"

    cover = [
        [
            setting.name,
            f"{float(Fraction(setting.confidence)):g}",
            f"{outcomes[setting.name, setting.methods[0]].runs:,}",
            *(coverage(outcomes[setting.name, method]) for method in METHODS),
        ]
        for setting in SETTINGS
    ]
    width = []
    for setting in SETTINGS:
        reference = oracle(setting)
        excess = {m: outcomes[setting.name, m].excess / outcomes[setting.name, m].runs for m in METHODS}
        width.append(
            [
                setting.name,
                f"{float(max(setting.values())):.3f}",
                f"{reference:.4f}",
                *(f"{excess[method]:.4f}" for method in METHODS),
                f"{excess['fisher'] / reference:.2f}" if reference > 0 else "-",
                f"{excess['clopper-pearson'] / excess['fisher']:.2f}",
            ]
        )
    lines = [
        "## Coverage",
        "",
        f"In brackets a Clopper-Pearson interval of the simulation at {1 - float(SIMULATION_ALPHA):.1%}.",
        "Below its level: " + ("; ".join(below) if below else "none") + ".",
        "",
        *table(["setting", "level", "runs", *METHODS], cover),
        "",
        "## Width",
        "",
        "Mean excess of the bound over the true value. The oracle knows which pairs of groups, events and label",
        "marginals make up the true value, and takes the normal limit of the plug-in value there, a quantile times the",
        "standard error: a reference for the sampling error in that one direction, not a method.",
        "",
        *table(
            ["setting", "value", "oracle", *METHODS, "fisher / oracle", "clopper-pearson / fisher"],
            width,
        ),
    ]
    return lines, below


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, help="logs per setting and method; large ones take fewer")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--lines", type=Path, default=LINES, help="where chunks of runs are kept")
    arguments = parser.parse_args()
    outcomes = run(arguments.runs, arguments.processes, arguments.lines)
    lines, below = report(outcomes)
    total = sum(outcome.runs for outcome in outcomes.values())
    lines = [f"Measured on {describe('numpy', 'scipy')}; seed {SEED}; {total:,} certified logs in all.", "", *lines]
    command = "python -m benchmarks.coverage" + ("" if arguments.runs == RUNS else f" --runs {arguments.runs}")
    path = write_markdown("coverage", "Coverage and width of the confidence bounds", command, lines)
    sys.stdout.write(path.read_text())
    sys.exit(1 if below else 0)


if __name__ == "__main__":
    main()
