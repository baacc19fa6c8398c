"""Fair fine-tuning on Adult (attribute sex) against plain fine-tuning and fairlearn, in one run.

Per seed, 30,000 rows to learn from and 15,000 held-out ones, at random. The base model is trained on the mixed rows
(5,000 of the 30,000 choose its number of epochs); then it is fine-tuned on all 30,000 twice, with and without the
constraint, by the same loop. fairlearn's ExponentiatedGradient gets the same 30,000. The held-out rows are predicted
once per model. Settings of `FairFineTuner` are its defaults.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fairlearn.metrics import equalized_odds_difference
from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.machine import describe, write_markdown
from fairbound.bounds import Counts, certify_counts, noise_floor
from fairbound.empirical import FairFineTuner, TabularClassifier, TabularEncoder, load_dataset

TRAIN, VALIDATION, HELD_OUT = 25_000, 5_000, 15_000
ATTRIBUTE = "sex"
EPS = 0.01
TARGET_ODDS, TARGET_ACCURACY, TARGET_RATIO = 0.035, 0.838, 2.0
NAMES = {
    "base": "base model",
    "plain": "fine-tuning without constraint",
    "fft": "fair fine-tuning (`FairFineTuner`)",
    "fairlearn": f"fairlearn ExponentiatedGradient(LogisticRegression, EqualizedOdds, eps={EPS})",
}


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Result and CPU seconds."""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def one_seed(data: Any, seed: int) -> dict[str, dict[str, float]]:
    order = np.random.default_rng(seed).permutation(len(data))
    train, validation, held_out = np.split(order[: TRAIN + VALIDATION + HELD_OUT], [TRAIN, TRAIN + VALIDATION])
    learn = np.concatenate([train, validation])
    X, y, sex = data.features, data.label, data.groups_of(ATTRIBUTE)

    base, base_seconds = timed(
        lambda: TabularClassifier(random_state=seed).fit(
            X.iloc[train], y[train], X_validation=X.iloc[validation], y_validation=y[validation]
        )
    )

    def fine_tune(**settings: Any) -> FairFineTuner:
        tuner = FairFineTuner(base, random_state=seed, **settings)
        return tuner.fit(X.iloc[learn], y[learn], sensitive_features=sex[learn])

    plain, plain_seconds = timed(lambda: fine_tune(constraint=None))
    fft, fft_seconds = timed(fine_tune)
    encoder = TabularEncoder().fit(X.iloc[learn])
    reduction, reduction_seconds = timed(
        lambda: ExponentiatedGradient(LogisticRegression(max_iter=1000), EqualizedOdds(), eps=EPS).fit(
            encoder.transform(X.iloc[learn]), y[learn], sensitive_features=sex[learn]
        )
    )
    test = X.iloc[held_out]
    predictions = {
        "base": (base.predict(test), base_seconds),
        "plain": (plain.predict(test), plain_seconds),
        "fft": (fft.predict(test), fft_seconds),
        "fairlearn": (reduction.predict(encoder.transform(test), random_state=seed), reduction_seconds),
    }
    results = {}
    for name, (prediction, seconds) in predictions.items():
        prediction = np.asarray(prediction).astype(np.int64)
        counts = Counts.from_arrays(y[held_out], prediction, sensitive_features=sex[held_out])
        floor = noise_floor(certify_counts(counts))
        results[name] = {
            "accuracy": float((prediction == y[held_out]).mean()),
            "odds": float(equalized_odds_difference(y[held_out], prediction, sensitive_features=sex[held_out])),
            "floor": floor.equalized_odds_mean,
            "floor_95": floor.equalized_odds_quantile_95,
            "seconds": seconds,
        }
    return results


def spread(values: list[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f} +- {np.std(values, ddof=1):.{digits}f}"


def report(results: list[dict[str, dict[str, float]]], seeds: list[int]) -> list[str]:
    def column(model: str, key: str) -> list[float]:
        return [result[model][key] for result in results]

    lines = [
        f"Adult, attribute {ATTRIBUTE}; seeds {', '.join(map(str, seeds))}; {TRAIN + VALIDATION:,} rows to learn from, "
        f"{HELD_OUT:,} held out. Mean +- standard deviation over the seeds. Delta_EO is fairlearn's "
        "`equalized_odds_difference` on the held-out rows; the noise floor is the mean (95 % quantile) that a "
        "perfectly fair model with these rates measures on these rows. CPU seconds: `time.process_time`, one thread.",
        "",
        describe("torch", "scikit-learn", "fairlearn"),
        "",
        "| model | accuracy | Delta_EO | noise floor | CPU-s |",
        "|---|---|---|---|---|",
    ]
    for model, name in NAMES.items():
        floor = f"{np.mean(column(model, 'floor')):.3f} ({np.mean(column(model, 'floor_95')):.3f})"
        lines.append(
            f"| {name} | {spread(column(model, 'accuracy'), 4)} | {spread(column(model, 'odds'), 4)} | {floor} "
            f"| {spread(column(model, 'seconds'), 2)} |"
        )
    accuracy, odds = np.mean(column("fft", "accuracy")), np.mean(column("fft", "odds"))
    ratio = sum(column("fft", "seconds")) / sum(column("plain", "seconds"))
    met = odds <= TARGET_ODDS and accuracy >= TARGET_ACCURACY and ratio <= TARGET_RATIO
    lines += [
        "",
        "How to read it. The defaults of `FairFineTuner` were chosen among some sixty settings by rows cut from the "
        "learning part of seeds 0 to 4 (and by validation rows of COMPAS). The seeds here are others, but they split "
        "the same data set anew: held-out rows of one seed were learning rows of another, so this is no data never "
        "seen. The CPU seconds of the two fine-tunings come on top of the base model's, whereas fairlearn trains from "
        "scratch; and its models are linear while the base model is a network, which may explain part of the "
        "difference in accuracy (not measured).",
        "",
        f"Fair fine-tuning takes {ratio:.2f} times the CPU seconds of plain fine-tuning of the same length.",
        "",
        f"Target (Delta_EO <= {TARGET_ODDS}, accuracy >= {TARGET_ACCURACY}, ratio <= {TARGET_RATIO:g}): "
        f"{'met' if met else 'missed'}.",
        "",
        "Per seed, accuracy / Delta_EO:",
        "",
        "| seed | base | plain | fft | fairlearn |",
        "|---|---|---|---|---|",
    ]
    for seed, result in zip(seeds, results, strict=True):
        cells = " | ".join(f"{result[model]['accuracy']:.4f} / {result[model]['odds']:.4f}" for model in NAMES)
        lines.append(f"| {seed} | {cells} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102, 103, 104])
    seeds = parser.parse_args().seeds
    data = load_dataset("adult")
    torch.set_num_threads(1)
    with threadpool_limits(1):
        # The first fit of a process also pays for imports that torch defers.
        TabularClassifier(epochs=1).fit(data.features[:2000], data.label[:2000])
        results = []
        for seed in seeds:
            results.append(one_seed(data, seed))
            print(seed, {model: {k: round(v, 4) for k, v in r.items()} for model, r in results[-1].items()}, flush=True)
    command = "python -m benchmarks.fft_adult"
    print(write_markdown("fft_adult", "Fair fine-tuning on Adult", command, report(results, seeds)).read_text())


if __name__ == "__main__":
    main()
