"""One deployed model: the queries that it is to answer, and what its answers say about the rows that trained it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from fairbound.attack import CONFIDENCE, MODELS_FOLDER, describe_game
from fairbound.bounds.alphabet import printable
from fairbound.bounds.errors import FileFormatError
from fairbound.empirical.attacks import Audit, ModelOutputs, Queries, audit_one, estimate_ratio
from fairbound.empirical.shadows.defences import get_defence
from fairbound.empirical.shadows.experiment import CHUNK
from fairbound.empirical.shadows.plan import DistributionInferencePlan
from fairbound.empirical.shadows.pools import Pools
from fairbound.empirical.shadows.sweep import ShadowOutputs, run_shadows
from fairbound.empirical.sweep import write_parquet
from fairbound.files import write_text
from fairbound.paper_figs.stored import read_table
from fairbound.progress import parts_progress

#: Column of the row number in the data set, by which answers are matched with queries.
ROW = "query_row"
SCORE, PREDICTION = "score", "prediction"


def write_query_file(plan: DistributionInferencePlan, seed: int, path: Path, *, quiet: bool = False) -> dict[str, Any]:
    """
    Write the rows that a deployed model is to answer.

    Parameters
    ----------
    plan : DistributionInferencePlan
        The queries of its first two worlds count; a row that is in both is written once.
    seed : int
    path : Path
        Parquet if its name ends so, else CSV.
    quiet : bool

    Returns
    -------
    dict
        JSON-ready: the file, and the number of rows.

    Raises
    ------
    FairboundError
        If the file cannot be written, or the pool is too small.
    """
    rows = np.unique(_asked(Pools(plan, seed)))
    frame = pd.DataFrame({ROW: rows})
    features = plan.dataset.features
    if isinstance(features, pd.DataFrame):
        if not plan.include_attribute:
            features = features.drop(columns=list(plan.dataset.attribute_columns[plan.attribute]))
        frame = pd.concat([frame, features.iloc[rows].reset_index(drop=True)], axis=1)
    if path.suffix == ".parquet":
        try:
            write_parquet(frame, path)
        except OSError as error:
            raise FileFormatError(f"cannot write {path}: {error.strerror or error}.") from None
    else:
        write_text(path, frame.to_csv(index=False))
    if not quiet:
        classes = plan.dataset.classes
        answer = f"{SCORE!r} with the model's probability of {classes[1]!r}"
        if len(classes) > 2:
            answer = f"{SCORE}_0 to {SCORE}_{len(classes) - 1} with its probability of each class"
        Console(highlight=False, soft_wrap=True).print(
            Text(
                f"{len(frame)} queries: {path}. Add {answer}, or {PREDICTION!r} with the code 0 to {len(classes) - 1} "
                "of the class that it predicts, and hand the file over with --victim-predictions and the same options."
            )
        )
    return {"queries": str(path), "rows": len(frame)}


def run_audit(
    plan: DistributionInferencePlan,
    predictions: Path,
    *,
    out: Path,
    defence: str = "none",
    attack: str = "kl_voting",
    shadows: int = 100,
    seed: int = 0,
    jobs: int = -1,
    quiet: bool = False,
) -> dict[str, Any]:
    """
    Say from a deployed model's answers at which ratio it was trained.

    Parameters
    ----------
    plan : DistributionInferencePlan
        Its first two ratios are told apart; all of them are the grid of the estimate.
    predictions : Path
        The file of `write_query_file` with the answers.
    out : Path
        Folder of the shadow models.
    defence : str
        How the shadow models are trained: as the model in question is thought to be.
    attack : str
        What tells the first two ratios apart; to be chosen before the answers are seen.
    shadows : int
        For each ratio.
    seed : int
        That of the queries.
    jobs : int
    quiet : bool
        Print nothing on standard output.

    Returns
    -------
    dict
        JSON-ready: the game, `Audit` and `RatioEstimate` of the model.

    Raises
    ------
    FileFormatError
        If the file lacks a query or a column, or holds something else.
    FairboundError
        As in `run_shadows`, `audit_one` and `estimate_ratio`.
    """
    pools = Pools(plan, seed)
    asked = _asked(pools)
    answered = _answers(predictions, asked, len(plan.dataset.classes))
    queries = Queries(pools.label[asked], np.repeat([0, 1], plan.queries))
    with parts_progress() as progress:
        outputs = run_shadows(
            plan,
            get_defence(defence).recipe,
            out / MODELS_FOLDER,
            shadows=shadows,
            victims=1,
            seed=seed,
            chunk=CHUNK,
            jobs=jobs,
            progress=progress,
        )
    model, hard = answered
    audit = audit_one(queries, _shadows(outputs, [0, 1], hard=hard), model, attack, seed=seed)
    order = sorted(range(len(plan.ratios)), key=lambda world: plan.ratios[world])
    ratios = [float(plan.ratios[world]) for world in order]
    estimate = estimate_ratio(
        queries, _shadows(outputs, order, hard=hard), model, ratios, confidence=CONFIDENCE, seed=seed
    )
    found = {
        "estimate": float(estimate.estimate[0]),
        "lower": float(estimate.lower[0]),
        "upper": float(estimate.upper[0]),
        "confidence": CONFIDENCE,
        "grid": ratios,
        "posterior": estimate.posterior[0].tolist(),
    }
    if not quiet:
        _print(plan, audit, found, defence)
    return {"game": describe_game(plan, seed), "defence": defence, "audit": audit.to_dict(), "ratio": found}


def _asked(pools: Pools) -> NDArray[np.int64]:
    """Rows of the queries at the first two ratios."""
    return np.concatenate(pools.queries[:2])


def _shadows(outputs: ShadowOutputs, worlds: Sequence[int], *, hard: bool) -> ModelOutputs:
    """What the shadows of some worlds answered to the queries of the first two, worlds numbered as listed."""
    own = [np.flatnonzero(outputs.worlds["shadow"] == world) for world in worlds]
    models, number = np.concatenate(own), np.repeat(np.arange(len(worlds)), [len(each) for each in own])
    scores = outputs.scores["shadow"][models][:, outputs.query_origin < 2]
    found = ModelOutputs(scores.astype(np.float64), number)
    return found.hard() if hard else found


def _answers(path: Path, asked: NDArray[np.int64], classes: int) -> tuple[ModelOutputs, bool]:
    """The model's answers in the order of the queries, and whether they are labels alone."""
    table = read_table(path, [ROW])
    columns = [SCORE] if classes == 2 else [f"{SCORE}_{k}" for k in range(classes)]
    hard = PREDICTION in table[0] and not set(columns) <= set(table[0])
    wanted = [PREDICTION] if hard else columns
    if lacking := [name for name in wanted if name not in table[0]]:
        raise FileFormatError(f"{path} has no column {lacking[0]!r}, nor {PREDICTION!r}.")
    known = {row[ROW]: [row[name] for name in wanted] for row in table}
    if len(known) != len(table) or set(known) != set(asked.tolist()):
        raise FileFormatError(
            f"{path} does not hold each query once; write them with --write-queries and the same other options."
        )
    values = np.array([known[row] for row in asked.tolist()], dtype=object)
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        raise FileFormatError(f"{path}: {', '.join(wanted)} must hold numbers.") from None
    if hard:
        return ModelOutputs.from_labels(numbers[None, :, 0], classes=classes), True
    return ModelOutputs(numbers[None, :, 0] if classes == 2 else numbers[None]), False


def _print(plan: DistributionInferencePlan, audit: Audit, found: dict[str, Any], defence: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    first, second = (f"{float(ratio):g}" for ratio in plan.ratios[:2])
    posterior = ", ".join(f"{ratio:g}: {p:.3f}" for ratio, p in zip(found["grid"], found["posterior"], strict=True))
    for line in (
        f"One model against shadow models ({defence}) of {plan.dataset.name}, {plan.attribute}: share of {plan.group}.",
        f"{audit.attack}: p-value of a share of {first}: {audit.p_world_0:.3f}, of {second}: {audit.p_world_1:.3f} "
        f"(against {audit.calibration[0]} and {audit.calibration[1]} shadow models); chance of {second} rather than "
        f"{first}, if both were as likely before: {audit.posterior_world_1:.3f}.",
        f"Among the grid's shares: {found['lower']:g} to {found['upper']:g} (covers each of them with {CONFIDENCE:.0%} "
        f"confidence), posterior mean {found['estimate']:.3f}; {posterior}.",
        "All of this takes the model for one that was trained as the shadow models were, on rows like theirs.",
    ):
        console.print(Text(printable(line)))
