"""`fairbound watch`: false alarms, delay until a change is noticed, width of its limits, and speed."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.machine import describe, write_markdown
from fairbound.bounds.confidence import lower_limits
from fairbound.bounds.sequential import (
    Monitor,
    MonitorPlan,
    betting_sequence,
    confidence_sequence,
    difference_sequence,
)
from fairbound.watch import WatchSettings, run_watch

SEED = 0
ALPHA = Fraction(1, 20)
ROWS = 60_000
# Not where any window begins: the starts before it are diluted by fair rows.
CHANGE = 53_700
AFTER = 30_000


def stream(generator, rates, base):
    """
    Codes of rows of two equally frequent groups, two labels and two outputs.

    `rates`, of shape (n, 2, 2), holds each row's chances of output 1 per (group, label), and `base`, of shape (n, 2),
    those of label 1 per group.
    """
    n = len(rates)
    at = np.arange(n)
    a = (generator.random(n) < 0.5).astype(int)
    y = (generator.random(n) < base[at, a]).astype(int)
    z = (generator.random(n) < rates[at, a, y]).astype(int)
    return 4 * a + 2 * y + z


def constant(rates, base, rows):
    return np.broadcast_to(np.array(rates), (rows, 2, 2)), np.broadcast_to(np.array(base), (rows, 2))


def value(rates, base):
    """T1's value for the two pure groups."""
    disparity = abs(rates[..., 0, :] - rates[..., 1, :])
    shares = np.stack([1 - base, base], axis=-1)
    return 1 - (shares.min(axis=-2) * (1 - disparity)).sum(axis=-1)


def drifting(rows):
    """Rates that swing with periods of 12,000 rows, their value at most 1/5 and often close to it."""
    swing = np.sin(np.arange(rows) * 2 * np.pi / 12_000)[:, None]
    first = np.concatenate([0.2 + 0.15 * swing, 0.6 + 0.1 * swing], axis=1)
    gap = 0.15 + 0.05 * swing
    return np.stack([first, first + gap], axis=1), np.broadcast_to([0.3, 0.3], (rows, 2))


def false_alarms(runs):
    # Name, rates and base rates of the rows, and the limit: the value itself, or its largest.
    cases = [
        ("one rate alone decides: all labels 1, rates 0 and 1/2", constant([[0, 0], [0, 0.5]], [1, 1], ROWS)),
        ("rare: all labels 1, rates 0 and 1/50", constant([[0, 0], [0, 0.02]], [1, 1], ROWS)),
        ("both labels and both base rates", constant([[0.1, 0.6], [0.2, 0.75]], [0.2, 0.3], ROWS)),
        ("label shift alone, equal rates", constant([[0.1, 0.6], [0.1, 0.6]], [0.2, 0.5], ROWS)),
        ("drift, value at most the limit at every row", drifting(ROWS)),
    ]
    lines = [
        "| stream | value | limit | streams | with an alarm | share | 95 % upper limit of the share |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (rates, base) in cases:
        values = value(rates, base)
        limit = Fraction(str(round(float(values.max()), 9)))
        low = "" if np.ptp(values) < 1e-9 else f"{values.min():.3f} to "
        generator = np.random.default_rng(SEED)
        alarms = 0
        for _ in range(runs):
            monitor = Monitor(MonitorPlan(2, 2, 2, limit))
            alarms += monitor.update(stream(generator, rates, base)) is not None
        most = 1 - lower_limits([runs - alarms], [runs], Fraction(1, 20))[0]
        lines.append(
            f"| {name} | {low}{values.max():.3f} | {float(limit):.3f} | {runs} | {alarms} | {alarms / runs:.3f} | "
            f"{float(most):.4f} |"
        )
    return lines


def delays(runs):
    before = constant([[0.1, 0.55], [0.15, 0.6]], [0.3, 0.3], CHANGE)
    lines = [
        "| value after | window | noticed | before the change | mean delay | median | 90 % within |",
        "|---|---|---|---|---|---|---|",
    ]
    for gap in (0.15, 0.2, 0.3, 0.4):
        after = constant([[0.1, 0.55], [0.1 + gap, 0.55 + gap]], [0.3, 0.3], AFTER)
        rates, base = (np.concatenate(parts) for parts in zip(before, after, strict=True))
        for window in (1000, 2000, 5000, 10_000, 20_000, 1_000_000):
            generator = np.random.default_rng(SEED)
            rows = []
            for _ in range(runs):
                monitor = Monitor(MonitorPlan(2, 2, 2, Fraction(1, 10), window=window))
                alarm = monitor.update(stream(generator, rates, base))
                rows.append(np.inf if alarm is None else alarm.row - CHANGE)
            delay = np.array(rows)
            late = delay[delay > 0]
            quantiles = [np.median(late), np.sort(late)[int(0.9 * len(late))]]
            shown = " | ".join(f"{q:,.0f}" if np.isfinite(q) else "-" for q in quantiles)
            mean = f"{late.mean():,.0f}" if np.isfinite(late).all() else "-"
            name = "none" if window > CHANGE + AFTER else f"{window:,}"
            noticed = np.isfinite(late).mean()
            lines.append(f"| {gap} | {name} | {noticed:.2f} | {(delay <= 0).sum()} | {mean} | {shown} |")
    return lines


def widths(runs):
    lines = [
        "| rate | rows | one look (Clopper-Pearson) | beta mixture | betting | betting / mixture |",
        "|---|---|---|---|---|---|",
    ]
    looks = [30, 100, 1000, 10_000]
    for rate in (0.005, 0.05, 0.2, 0.5):
        generator = np.random.default_rng(SEED)
        found = []
        for _ in range(runs):
            outcomes = (generator.random(looks[-1]) < rate).astype(int)
            counts = outcomes.cumsum()[np.array(looks) - 1].tolist()
            lower = lower_limits(counts, looks, ALPHA / 2)
            upper = lower_limits([n - k for k, n in zip(counts, looks, strict=True)], looks, ALPHA / 2)
            found.append(
                [
                    [float(1 - u - v) for u, v in zip(lower, upper, strict=True)],
                    [float(v - u) for u, v in confidence_sequence(counts, looks, ALPHA)],
                    [float(v - u) for u, v in betting_sequence(outcomes, ALPHA, looks)],
                ]
            )
        for n, (one, mixture, betting) in zip(looks, np.mean(found, axis=0).T, strict=True):
            lines.append(f"| {rate} | {n:,} | {one:.4f} | {mixture:.4f} | {betting:.4f} | {betting / mixture:.2f} |")
    lines += [
        "",
        "| rates | rows each | two separate mixtures, half the error each | joint mixture | joint / separate |",
        "|---|---|---|---|---|",
    ]
    for p, q in ((0.05, 0.05), (0.5, 0.4)):
        for n in (100, 1000, 10_000):
            k, j = round(p * n), round(q * n)
            (a,), (b,) = (confidence_sequence([count], [n], ALPHA / 2) for count in (k, j))
            (joint,) = difference_sequence([k], [n], [j], [n], ALPHA)
            separate, together = float(a[1] - b[0] - (a[0] - b[1])), float(joint[1] - joint[0])
            lines.append(f"| {p}, {q} | {n:,} | {separate:.4f} | {together:.4f} | {together / separate:.2f} |")
    return lines


def speed():
    lines = ["| job | rows | seconds | rows per second |", "|---|---|---|---|"]
    generator = np.random.default_rng(SEED)
    rates, base = constant([[0.1, 0.55], [0.15, 0.6]], [0.3, 0.3], 1_000_000)
    codes = stream(generator, rates, base)
    start = time.perf_counter()
    Monitor(MonitorPlan(2, 2, 2, Fraction(1, 10))).update(codes)
    seconds = time.perf_counter() - start
    lines.append(f"| monitor, codes in memory | {len(codes):,} | {seconds:.2f} | {len(codes) / seconds:,.0f} |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        text = "\n".join(f"{'ab'[c // 4]},{c // 2 % 2},{c % 2}" for c in codes.tolist())
        path.write_text(f"group,label,prediction\n{text}\n")
        settings = WatchSettings("0.1", groups=("a", "b"), labels=(0, 1))
        for name, state in (("CSV file", None), ("CSV file, keeping a state", Path(folder) / "state.json")):
            start = time.perf_counter()
            result = run_watch(str(path), settings, state=state)
            seconds = time.perf_counter() - start
            assert result.rows == len(codes)
            lines.append(f"| {name} | {len(codes):,} | {seconds:.2f} | {len(codes) / seconds:,.0f} |")
        if state is not None:
            lines += ["", f"The state took {state.stat().st_size:,} bytes."]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000, help="simulated streams per row of false alarms")
    streams = parser.parse_args().streams
    start = time.perf_counter()
    lines = [f"Measured on {describe('numpy', 'scipy')}; seed {SEED}.", ""]
    lines += [
        "Two groups, two labels, two predictions; confidence 0.95, looks every 100 rows, window 2,000 unless stated.",
        "",
        "## False alarms",
        "",
        f"Streams of {ROWS:,} rows, each with a value of at most the limit. At most 0.05 of them may alarm where the",
        "rates are constant; where they drift nothing is promised.",
        "",
        *false_alarms(streams),
        "",
        "## Delay",
        "",
        f"The limit is 0.1. The value is 0.05 up to row {CHANGE:,} and then rises; {max(1, streams // 5)} streams",
        f"each, watched for {AFTER:,} more rows. A window of none is one cumulative confidence sequence.",
        "",
        *delays(max(1, streams // 5)),
        "",
        "## Width of 95 % limits",
        "",
        f"Means over {max(1, streams // 20)} sequences. Clopper-Pearson's limits hold for one planned look, the others",
        "for all looks at once.",
        "",
        *widths(max(1, streams // 20)),
        "",
        "## Speed",
        "",
        *speed(),
        "",
        f"All of this took {time.perf_counter() - start:.0f} seconds on one core.",
    ]
    path = write_markdown("watch", "Watching a stream", "python -m benchmarks.watch", lines)
    sys.stdout.write(path.read_text())


if __name__ == "__main__":
    main()
