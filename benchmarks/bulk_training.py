"""Training many small networks as one batched job against training them one by one, in one run.

The task: networks 100-32-16-1, 1,000 rows each of their own, 10 epochs of batches of 32, AdamW with a cosine schedule.
"One by one" is a plain loop in torch that starts from the same seeds; every network's predictions must be those of
`fairbound.empirical.shadows.train_in_bulk` up to rounding. All networks are trained in bulk in every round, and one by
one in one of the rounds, a round's share after the bulk job: both sides meet the same state of the machine. A last row
is propinfer's (PyPI), on some of the same rows with the same shapes, epochs and batches, where it is installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.machine import describe, write_markdown
from fairbound.empirical import MLP
from fairbound.empirical.shadows import BulkTraining, train_in_bulk
from fairbound.empirical.torch_tools import derived_seed

MODELS, ROWS, INPUTS, HIDDEN, EPOCHS, BATCH = 200, 1000, 100, (32, 16), 10, 32
RATE, DECAY = 2e-3, 1e-4
SETTINGS = BulkTraining(HIDDEN, EPOCHS, min_steps=1, batch_size=BATCH, learning_rate=RATE, weight_decay=DECAY)
TARGET = 20.0
#: Of a probability, in 95 of 100 networks. In the others rounding has decided about a unit of a hidden layer, after
#: which they part; alone, too, where their first weights are moved by one unit in the last place.
TOLERANCE = 1e-4
NUDGES = 20


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Result and CPU seconds."""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def rows_of_all() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows of a logistic model: shapes (MODELS * ROWS, INPUTS) and (MODELS * ROWS,)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((MODELS * ROWS, INPUTS), dtype=np.float32)
    direction = rng.standard_normal(INPUTS).astype(np.float32) / INPUTS**0.5
    return X, (2 * X @ direction + rng.logistic(size=len(X)) > 0).astype(np.int64)


def train_alone(X: torch.Tensor, y: torch.Tensor, seed: int, fused: bool, nudge: int | None = None) -> MLP:
    torch.manual_seed(derived_seed(seed))
    module = MLP(INPUTS, 1, HIDDEN)
    if nudge is not None:
        signs = torch.Generator().manual_seed(nudge)
        with torch.no_grad():
            for parameter in module.parameters():
                towards = torch.inf * (2.0 * torch.randint(2, parameter.shape, generator=signs) - 1)
                parameter.copy_(torch.nextafter(parameter, towards))
    steps = ROWS // BATCH
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=DECAY, fused=fused or None)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    targets = y.float()
    for _ in range(EPOCHS):
        for index in torch.randperm(ROWS)[: steps * BATCH].split(BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(module(X[index])[:, 0], targets[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return module


def train_with_propinfer(X: NDArray[np.float32], y: NDArray[np.int64]) -> Any:
    import pandas as pd
    import propinfer

    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(INPUTS)]).assign(label=y)
    shape = {"input_size": INPUTS, "n_classes": 2, "layers": list(HIDDEN), "epochs": EPOCHS, "batch_size": BATCH}
    return propinfer.MLP("label", {**shape, "learning_rate": RATE, "weight_decay": DECAY}).fit(frame)


def has_propinfer() -> bool:
    try:
        import propinfer  # noqa: F401
    except ImportError as error:
        print(f"propinfer cannot be imported ({error}); its row is left out.")
        return False
    return True


def measure(rounds: int) -> tuple[dict[str, list[float]], list[float], float]:
    """CPU seconds per network in each round; how far networks trained alone are from those of the bulk job.

    That is the largest difference of a probability, for each network; and last the largest, over `NUDGES`, between the
    network that is farthest off and itself trained alone from weights moved by one unit in the last place.
    """
    X, y = rows_of_all()
    index = np.arange(MODELS * ROWS).reshape(MODELS, ROWS)
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    tested = np.random.default_rng(1).standard_normal((500, INPUTS), dtype=np.float32)
    differences: dict[int, float] = {}
    by_itself: dict[int, NDArray[np.float32]] = {}
    seconds: dict[str, list[float]] = {"bulk": [], "plain": [], "fused": []}
    if has_propinfer():
        seconds["propinfer"] = []
    # The first optimizer of a process also pays for imports that torch defers.
    train_in_bulk(X[:ROWS], y[:ROWS], index[:1], seeds=[0], n_classes=1, settings=SETTINGS)
    train_alone(inputs[:ROWS], labels[:ROWS], 0, False)
    for share in np.array_split(np.arange(MODELS), rounds):
        bulk, spent = timed(lambda: train_in_bulk(X, y, index, seeds=range(MODELS), n_classes=1, settings=SETTINGS))
        seconds["bulk"].append(spent / MODELS)
        scores = bulk.scores(tested)[:, :, 1]
        for name, models in (("plain", share), ("fused", share[:10])):

            def one_by_one(models: NDArray[np.int64] = models, name: str = name) -> list[MLP]:
                own = [
                    (inputs[i * ROWS : (i + 1) * ROWS], labels[i * ROWS : (i + 1) * ROWS], i) for i in map(int, models)
                ]
                return [train_alone(*rows, fused=name == "fused") for rows in own]

            trained, spent = timed(one_by_one)
            seconds[name].append(spent / len(models))
            for i, module in zip(map(int, models), trained, strict=True):
                alone = answers(module, tested)
                if name == "plain":
                    differences[i], by_itself[i] = float(np.abs(scores[i] - alone).max()), alone
        if "propinfer" in seconds:
            few = share[:5]
            _, spent = timed(lambda few=few: [train_with_propinfer(X[index[i]], y[index[i]]) for i in few])
            seconds["propinfer"].append(spent / len(few))
        print({name: f"{1000 * values[-1]:.2f} ms" for name, values in seconds.items()}, flush=True)
    apart = list(differences.values())
    assert np.quantile(apart, 0.95) < TOLERANCE, f"Networks trained alone are not those of the bulk job: {apart}."
    worst = max(differences, key=differences.__getitem__)
    own = slice(worst * ROWS, (worst + 1) * ROWS)
    nudged = [answers(train_alone(inputs[own], labels[own], worst, False, nudge), tested) for nudge in range(NUDGES)]
    return seconds, apart, max(float(np.abs(found - by_itself[worst]).max()) for found in nudged)


def answers(module: MLP, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of class 1."""
    with torch.no_grad():
        return torch.sigmoid(module(torch.from_numpy(X)))[:, 0].numpy()


def report(seconds: dict[str, list[float]], differences: list[float], nudged: float) -> list[str]:
    names = {
        "bulk": "in bulk (`train_in_bulk`)",
        "plain": "one by one, plain torch (AdamW as it comes)",
        "fused": "one by one, AdamW(fused=True)",
        "propinfer": "propinfer's MLP (two logits, Adam, DataLoader)",
    }
    packages = ("torch", "numpy", *(("propinfer",) if "propinfer" in seconds else ()))
    lines = [
        f"{MODELS} networks {'-'.join(map(str, (INPUTS, *HIDDEN, 1)))}, {ROWS:,} rows each, {EPOCHS} epochs, batches "
        f"of {BATCH}; {len(seconds['bulk'])} rounds. CPU seconds (`time.process_time`), one thread. The predictions of "
        f"all {MODELS} networks that were trained one by one are those of the bulk job up to rounding: the largest "
        f"difference of a probability over 500 rows is {np.median(differences):.0e} in the median network, "
        f"{np.quantile(differences, 0.95):.0e} in 95 % of them (at most {TOLERANCE:g} is allowed) and "
        f"{max(differences):.0e} in the worst. That one, trained alone from initial weights moved up or down by one "
        f"unit in the last place ({NUDGES} times, at random), differs from itself by up to {nudged:.0e}. propinfer "
        "takes no seed and is not compared.",
        "",
        describe(*packages),
        "",
        "| training | ms per network: median (min) | times bulk: median (min) |",
        "|---|---|---|",
    ]
    bulk = np.array(seconds["bulk"])
    for name, values in seconds.items():
        own = np.array(values)
        ratio = own / bulk
        cells = "" if name == "bulk" else f"{np.median(ratio):.1f} ({ratio.min():.1f})"
        lines.append(f"| {names[name]} | {1000 * np.median(own):.2f} ({1000 * own.min():.2f}) | {cells} |")
    reached = float(np.median(np.array(seconds["plain"]) / bulk))
    lines += ["", f"Target (plain torch at least {TARGET:g} times): {'met' if reached >= TARGET else 'missed'}."]
    if "propinfer" not in seconds:
        lines += ["", "propinfer was not installed; its row is left out."]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    lines = report(*measure(rounds))
    command = "python -m benchmarks.bulk_training"
    print(write_markdown("bulk_training", "Training in bulk", command, lines).read_text())


if __name__ == "__main__":
    main()
