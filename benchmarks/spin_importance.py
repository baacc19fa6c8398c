"""SPIN's importance scores on SmolLM2-135M-Instruct: one backward pass per sample against one per block, in one run.

The published code repeats the pass for each block, with gradients of that block's layers alone, so that its backward
pass ends there. Here both schedules are one function, called once with all layers, or once per block.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from benchmarks.machine import describe, write_markdown
from fairbound.empirical.spin.chat import Sample, encode_pair
from fairbound.empirical.spin.data import reference_pairs
from fairbound.empirical.spin.importance import add_gradients
from fairbound.empirical.spin.layers import blocks, target_layers
from fairbound.empirical.spin.models import load_model

TARGET_RATIO = 10.0
SETS = ("fairness_safe", "privacy_safe", "general")


def timed(
    model: Any, samples: Sequence[Sample], schedule: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], float, float]:
    """Sums of absolute gradients, CPU seconds and seconds by the clock."""
    sums = {name: torch.zeros_like(layer.weight) for layers in schedule for name, layer in layers.items()}
    cpu, clock = time.process_time(), time.perf_counter()
    for layers in schedule:
        add_gradients(model, samples, layers, sums)
    return sums, time.process_time() - cpu, time.perf_counter() - clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1, help="pairs of each of the three sets")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    language_model = load_model(device="cpu")
    model = language_model.model
    pairs = [pair for name in SETS for pair in reference_pairs(name)[: arguments.samples]]
    samples = [encode_pair(language_model.tokenizer, *pair) for pair in pairs]
    layers = target_layers(model)
    by_block = [
        {name: layer for name, layer in layers.items() if name.startswith(f"{block}.")} for block in blocks(model)
    ]
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        # The first pass of a process is slower.
        timed(model, samples[:1], [layers])
        together, cpu, clock = timed(model, samples, [layers])
        apart, block_cpu, block_clock = timed(model, samples, by_block)
    off = max(float((together[name] - apart[name]).abs().max() / together[name].max()) for name in layers)
    ratio = block_cpu / cpu
    tokens = sum(len(sample.ids) for sample in samples)
    lines = [
        f"SmolLM2-135M-Instruct, float32, {len(layers)} linear layers of the {len(by_block)} blocks' MLPs "
        f"({sum(layer.weight.numel() for layer in layers.values()):,} weights); the first {arguments.samples} pair(s) "
        f"of each of the sets {', '.join(SETS)}, {tokens} tokens in all; {arguments.threads} thread(s). CPU seconds "
        "are `time.process_time`; the clock's also count what else the machine does.",
        "",
        describe("torch", "transformers"),
        "",
        "| schedule | backward passes a sample | CPU-s a sample | s a sample |",
        "|---|---|---|---|",
        f"| all layers in one pass | 1 | {cpu / len(samples):.2f} | {clock / len(samples):.2f} |",
        f"| one pass per block | {len(by_block)} | {block_cpu / len(samples):.2f} | {block_clock / len(samples):.2f} |",
        "",
        f"One pass is {ratio:.1f} times as fast (target: {TARGET_RATIO:g}; "
        f"{'met' if ratio >= TARGET_RATIO else 'missed'}). The largest difference between the two sums, relative to "
        f"the matrix's largest entry, is {off:.1g}.",
    ]
    command = "python -m benchmarks.spin_importance"
    print(write_markdown("spin_importance", "Importance scores in one pass", command, lines).read_text())


if __name__ == "__main__":
    main()
