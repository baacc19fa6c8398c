"""Shadow and victim models of a game, trained in parallel, kept on disk as they come and resumed after a kill."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fairbound.bounds.files import write_atomically
from fairbound.empirical.attacks.parameters import ModelParameters
from fairbound.empirical.attacks.predictions import ModelOutputs, Queries
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.json_lines import append_lines, resume_lines
from fairbound.empirical.models import FitProgress
from fairbound.empirical.shadows.plan import DistributionInferencePlan, digest
from fairbound.empirical.shadows.pools import SIDES, Pools
from fairbound.empirical.shadows.recipes import Draws, Recipe
from fairbound.empirical.torch_tools import one_thread

CHUNKS_FILE, RESULTS_FILE, CHUNKS_FOLDER = "chunks.jsonl", "results.jsonl", "chunks"

_KEYS = frozenset({"key", "file", "sha256"})

#: Threads of a worker take turns: they would share torch's random numbers.
_TURN = threading.Lock()


@dataclass(frozen=True, eq=False)
class ShadowOutputs:
    """What the models of a game answered.

    Attributes
    ----------
    query_label, query_origin : ndarray of int64, shape (n_queries,)
        Class of each query, and the world at whose ratio it was drawn.
    scores : dict from str to ndarray of float32, shapes (M, n_queries) or (M, n_queries, K)
        Of "victim" and "shadow": the probability of class 1 of two, or of each class.
    worlds : dict from str to ndarray of int64, shapes (M,)
        World of each model, by side.
    evaluation_label, evaluation_group : ndarray of int64, shape (n_evaluation,)
        Class and group code of the rows that nobody trained on or asked about.
    evaluation_prediction : dict from str to ndarray of int64, shapes (M, n_evaluation)
        Their predicted class, by side.
    parameters : dict from str to dict from str to ndarray
        Stacked weights, by side and name (see `StackedMLPs.arrays`); empty unless they were kept.
    """

    query_label: NDArray[np.int64]
    query_origin: NDArray[np.int64]
    scores: dict[str, NDArray[np.float32]]
    worlds: dict[str, NDArray[np.int64]]
    evaluation_label: NDArray[np.int64]
    evaluation_group: NDArray[np.int64]
    evaluation_prediction: dict[str, NDArray[np.int64]]
    parameters: dict[str, dict[str, NDArray[np.float32]]]

    def two_worlds(self, first: int = 0, second: int = 1) -> tuple[Queries, ModelOutputs, ModelOutputs]:
        """The game of telling two worlds apart, as `run_attacks` takes it.

        Parameters
        ----------
        first, second : int, default 0 and 1
            The worlds that become 0 and 1.

        Returns
        -------
        queries : Queries
        shadows, victims : ModelOutputs
        """
        asked = np.isin(self.query_origin, (first, second))
        queries = Queries(self.query_label[asked], (self.query_origin[asked] == second).astype(np.int64))
        found = []
        for side in ("shadow", "victim"):
            world = self.worlds[side]
            chosen = np.isin(world, (first, second))
            scores = self.scores[side][chosen][:, asked]
            found.append(ModelOutputs(scores.astype(np.float64), (world[chosen] == second).astype(np.int64)))
        return queries, found[0], found[1]

    def weights_of(self, side: str, first: int = 0, second: int = 1) -> ModelParameters:
        """The models' weights, as `WhiteBoxMetaClassifier` takes them.

        Parameters
        ----------
        side : {"victim", "shadow"}
        first, second : int, default 0 and 1
            As in `two_worlds`.

        Returns
        -------
        ModelParameters

        Raises
        ------
        ProtocolError
            If they were not kept, or the models have none that can be stacked.
        """
        kept = self.parameters[side]
        if not kept:
            raise ProtocolError(
                f"No weights of the {side} models are there; networks' are kept by keep_parameters=True."
            )
        world = self.worlds[side]
        chosen = np.isin(world, (first, second))
        layers = range(len(kept) // 2)
        return ModelParameters(
            [kept[f"weight_{i}"][chosen] for i in layers],
            [kept[f"bias_{i}"][chosen] for i in layers],
            (world[chosen] == second).astype(np.int64),
        )


@dataclass(frozen=True)
class _Chunk:
    """Some models of one side and world, trained together by one worker."""

    plan: DistributionInferencePlan
    recipe: Recipe
    seed: int
    side: str
    world: int
    first: int
    models: int
    keep_parameters: bool

    def settings(self) -> dict[str, Any]:
        """Everything that the results are a function of."""
        return {
            "plan": self.plan.settings(),
            "recipe": self.recipe.settings(),
            "seed": self.seed,
            "side": self.side,
            "world": self.world,
            "ratio": str(self.plan.ratios[self.world]),
            "first": self.first,
            "models": self.models,
            "keep_parameters": self.keep_parameters,
        }


def run_shadows(
    plan: DistributionInferencePlan,
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    victim_recipe: Recipe | None = None,
    shadows: int = 100,
    victims: int = 100,
    seed: int = 0,
    chunk: int = 100,
    keep_parameters: bool = False,
    jobs: int | None = None,
    progress: FitProgress | None = None,
) -> ShadowOutputs:
    """Train the models of a game that a folder lacks, and collect the answers of all.

    Workers hand their results to this process, which alone writes: the answers of each chunk of models as
    ``OUT/chunks/<key>.npz``, then one line of ``OUT/chunks.jsonl``, whose key is a digest of data, property, ratio,
    recipe (epochs, defence, ...), seed and chunk. A sweep that was killed goes on from there; games that share a folder
    share the models that they have in common. At the end ``OUT/results.jsonl`` lists the chunks of this game in order,
    with the digests of their files; it is the same for an unbroken run as for a resumed one. One sweep may write to a
    folder at a time.

    Chunks are spread by joblib: ``parallel_config(backend="dask")`` or ``"ray"`` trains them on a cluster, whose
    scheduler gives the chunks of a lost worker to another.

    Parameters
    ----------
    plan : DistributionInferencePlan
    recipe : Recipe
        Of the shadow models and, unless `victim_recipe` is given, of the victims. The same for both is the adaptive
        adversary, who knows the defence.
    out : path
        Folder, created if need be.
    victim_recipe : Recipe, optional
    shadows, victims : int, default 100
        Models for each world.
    seed : int, default 0
        Pools, draws and trainings are a function of it.
    chunk : int, default 100
        Models trained at once by one worker.
    keep_parameters : bool, default False
        Keep the models' weights too, for attacks that see them.
    jobs : int, optional
        Workers; -1: one for each core. Default: what joblib's `parallel_config` says, else one.
    progress : callable, optional
        Called with "models", the number of those trained now and of those to be trained, first before any is.

    Returns
    -------
    ShadowOutputs

    Raises
    ------
    ProtocolError
        If a pool is too small for the draws, or the folder cannot be written.
    FileFormatError
        If the folder's ``chunks.jsonl`` is damaged otherwise than by a kill.
    FairboundError
        If a model cannot be trained; what was trained before is kept.
    """
    if min(shadows, victims, chunk) < 1:
        raise ProtocolError("shadows, victims and chunk must be at least 1.")
    pools = Pools(plan, seed)
    chunks = []
    for side, own, models in (("shadow", recipe, shadows), ("victim", victim_recipe or recipe, victims)):
        for world in range(len(plan.ratios)):
            for first in range(0, models, chunk):
                size = min(chunk, models - first)
                chunks.append(_Chunk(plan, own, seed, side, world, first, size, keep_parameters))
    keys = [digest(part.settings()) for part in chunks]
    folder = Path(out)
    try:
        (folder / CHUNKS_FOLDER).mkdir(parents=True, exist_ok=True)
        lines = {record["key"]: record for record in resume_lines(folder / CHUNKS_FILE, _KEYS)}
        known = {key: lines[key] for key in keys if key in lines and _is_whole(folder, lines[key])}
        todo = [(key, part) for key, part in zip(keys, chunks, strict=True) if key not in known]
        total, done = sum(part.models for _, part in todo), 0
        if progress is not None:
            progress("models", 0, total)
        made = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(
            delayed(_train)(key, part) for key, part in todo
        )
        settings = dict(todo)
        for key, content in made:
            known[key] = _store(folder, key, settings[key], content)
            done += settings[key].models
            if progress is not None:
                progress("models", done, total)
        ordered = [known[key] for key in keys]
        text = "".join(json.dumps(record, sort_keys=True) + "\n" for record in ordered)
        write_atomically(folder / RESULTS_FILE, text.encode())
        return _collect(pools, chunks, [_read(folder / record["file"]) for record in ordered])
    except OSError as error:
        raise ProtocolError(f"Cannot write the models to {folder}: {error.strerror}.") from error


def _train(key: str, chunk: _Chunk) -> tuple[str, dict[str, NDArray[Any]]]:
    """What is kept of the models of a chunk; runs in a worker."""
    with _TURN, one_thread(), threadpool_limits(1):
        pools = _pools(chunk.plan, chunk.seed)
        numbers = range(chunk.first, chunk.first + chunk.models)
        draws = [pools.draw, pools.draw_complement][: 1 + chunk.recipe.complementary]
        drawn = np.stack([np.stack([draw(chunk.side, chunk.world, i) for i in numbers]) for draw in draws])
        used, rows = np.unique(drawn, return_inverse=True)
        rows = rows.reshape(drawn.shape)
        models = chunk.recipe.fit(
            Draws(
                pools.encode(chunk.side, used),
                pools.label[used],
                pools.group[used],
                rows[0],
                tuple(pools.model_seed(chunk.side, chunk.world, i) for i in numbers),
                len(chunk.plan.label_shares),
                rows[1] if chunk.recipe.complementary else None,
            )
        )
        scores, evaluated = (
            models.scores(pools.encode(chunk.side, asked), pools.group[asked])
            for asked in (np.concatenate(pools.queries), pools.parts["evaluation"])
        )
        kept = {
            "scores": scores[:, :, 1] if scores.shape[2] == 2 else scores,
            "evaluation": evaluated.argmax(axis=2).astype(np.int16),
        }
        return key, kept | (models.arrays() if chunk.keep_parameters else {})


@lru_cache(maxsize=2)
def _pools(plan: DistributionInferencePlan, seed: int) -> Pools:
    return Pools(plan, seed)


def _store(folder: Path, key: str, chunk: _Chunk, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Write the arrays, then the line that says they are there."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    name = f"{CHUNKS_FOLDER}/{key}.npz"
    write_atomically(folder / name, content)
    record = {"key": key, "file": name, "sha256": hashlib.sha256(content).hexdigest(), **chunk.settings()}
    append_lines(folder / CHUNKS_FILE, [record])
    return record


def _is_whole(folder: Path, record: dict[str, Any]) -> bool:
    """Whether the file of a line is there as it was written."""
    try:
        return hashlib.sha256((folder / record["file"]).read_bytes()).hexdigest() == record["sha256"]
    except FileNotFoundError:
        return False


def _read(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _collect(pools: Pools, chunks: Sequence[_Chunk], found: Sequence[dict[str, NDArray[Any]]]) -> ShadowOutputs:
    rows = np.concatenate(pools.queries)
    origin = np.repeat(np.arange(len(pools.queries)), [len(own) for own in pools.queries])
    scores, worlds, predictions, parameters = {}, {}, {}, {}
    for side in SIDES:
        own = [(part, arrays) for part, arrays in zip(chunks, found, strict=True) if part.side == side]
        joined = {name: np.concatenate([arrays[name] for _, arrays in own]) for name in own[0][1]}
        scores[side] = joined.pop("scores")
        predictions[side] = joined.pop("evaluation").astype(np.int64)
        parameters[side] = joined
        worlds[side] = np.repeat([part.world for part, _ in own], [part.models for part, _ in own])
    test = pools.parts["evaluation"]
    return ShadowOutputs(
        pools.label[rows],
        origin.astype(np.int64),
        scores,
        worlds,
        pools.label[test],
        pools.group[test],
        predictions,
        parameters,
    )
