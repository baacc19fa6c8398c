"""Sweeps of shadow models: what they keep, killed and resumed, on several processes and on a cluster."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from fairbound.bounds.errors import FileFormatError
from fairbound.empirical.attacks import run_attacks
from fairbound.empirical.errors import ProtocolError
from fairbound.empirical.shadows import (
    BulkTraining,
    EstimatorRecipe,
    MLPRecipe,
    Pools,
    StackedMLPs,
    plan_distribution_inference,
    run_shadows,
    train_estimators,
)

pytestmark = pytest.mark.data

GAME = {"attribute": "sex", "group": "female", "ratios": ["0.2", "0.6"], "rows": 80, "queries": 30}
RECIPE = MLPRecipe(BulkTraining((4,), epochs=2, min_steps=40, batch_size=20))
SWEEP = {"shadows": 6, "victims": 5, "chunk": 2, "seed": 3}
# The same in a process of its own, which is killed with its workers once three chunks are kept.
BROKEN = """
    import os, signal, sys
    from fairbound.empirical.shadows import BulkTraining, MLPRecipe, plan_distribution_inference, run_shadows

    def stop(stage, done, total):
        if done >= 6:
            os.killpg(0, signal.SIGKILL)

    plan = plan_distribution_inference("german", **{game})
    run_shadows(plan, MLPRecipe(BulkTraining{recipe}), sys.argv[1], jobs=2, progress=stop, **{sweep})
"""


@pytest.fixture(scope="module")
def game():
    return plan_distribution_inference("german", **GAME)


@pytest.fixture(scope="module")
def finished(game, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shadows")
    steps = []
    outputs = run_shadows(game, RECIPE, folder, keep_parameters=True, progress=lambda *a: steps.append(a), **SWEEP)
    return outputs, steps, folder


@pytest.fixture(scope="module")
def whole(game, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run_shadows(game, RECIPE, folder, **SWEEP)
    return folder


def chunks(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "chunks").iterdir()}


def same(folder, other):
    return (folder / "results.jsonl").read_bytes() == (other / "results.jsonl").read_bytes() and (
        chunks(folder) == chunks(other)
    )


def test_what_is_kept(game, finished):
    outputs, steps, folder = finished
    # Three chunks for six shadow models and three for five victims, in each of two worlds.
    assert [done for _, done, _ in steps] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 17, 19, 21, 22]
    assert outputs.scores["shadow"].shape == (12, 60)
    assert outputs.scores["victim"].shape == (10, 60)
    assert outputs.worlds["victim"].tolist() == [0] * 5 + [1] * 5
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    for line in lines:
        assert line["sha256"] == hashlib.sha256((folder / line["file"]).read_bytes()).hexdigest()
        # What a digest of the run must cover.
        assert {"plan", "recipe", "seed", "side", "world", "ratio", "first", "models"} <= set(line)
        assert {"data_sha256", "attribute", "group", "rows", "ratios"} <= set(line["plan"])
        assert line["recipe"]["epochs"] == 2
    pools = Pools(game, SWEEP["seed"])
    asked = np.concatenate(pools.queries)
    assert outputs.query_label.tolist() == game.dataset.label[asked].tolist()
    # The kept weights are those that gave the answers.
    models = StackedMLPs.from_arrays(outputs.parameters["victim"])
    X = pools.encode("victim", asked)
    np.testing.assert_allclose(models.scores(X)[:, :, 1], outputs.scores["victim"], atol=1e-6)
    test = pools.parts["evaluation"]
    predicted = models.scores(pools.encode("victim", test)).argmax(axis=2)
    assert (predicted == outputs.evaluation_prediction["victim"]).mean() > 0.999
    assert outputs.evaluation_label.tolist() == pools.label[test].tolist()
    assert outputs.evaluation_group.tolist() == pools.group[test].tolist()


def test_attacks_take_the_outputs(finished):
    outputs, _, _ = finished
    queries, shadows, victims = outputs.two_worlds()
    assert (len(queries), len(shadows), len(victims)) == (60, 12, 10)
    np.testing.assert_allclose(victims.scores, outputs.scores["victim"])
    assert victims.world.tolist() == outputs.worlds["victim"].tolist()
    (result,) = run_attacks(queries, shadows, victims, attacks=["loss_test"])
    # By hand: a model is guessed by the queries of which world it gets more right.
    right = (victims.scores >= 0.5) == (queries.labels == 1)
    gap = right[:, queries.origin == 1].mean(axis=1) - right[:, queries.origin == 0].mean(axis=1)
    assert np.array_equal(result.guess[gap != 0], (gap > 0)[gap != 0].astype(int))
    swapped, _, turned = outputs.two_worlds(1, 0)
    assert (swapped.origin == 1 - queries.origin).all()
    assert (turned.world == 1 - victims.world).all()
    weights = outputs.weights_of("victim")
    assert weights.world.tolist() == victims.world.tolist()
    assert weights.shape[1:] == (4, 2)


def test_finished_models_are_not_trained_again(game, whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    steps = []
    again = run_shadows(game, RECIPE, tmp_path, progress=lambda *a: steps.append(a), **SWEEP)
    assert steps == [("models", 0, 0)]
    assert same(tmp_path, whole)
    # More models of the same game: those that are there serve again.
    steps.clear()
    more = run_shadows(game, RECIPE, tmp_path, progress=lambda *a: steps.append(a), **SWEEP | {"shadows": 8})
    assert steps[0] == ("models", 0, 4)
    np.testing.assert_array_equal(more.scores["victim"], again.scores["victim"])
    np.testing.assert_array_equal(more.scores["shadow"][:6], again.scores["shadow"][:6])


@pytest.mark.parametrize("change", ["ratio", "property", "epochs", "seed", "rows", "class"])
def test_what_differs_is_trained_anew(game, finished, tmp_path, change):
    plans = {
        "ratio": {"ratios": ["0.2", "0.5"]},
        "property": {"group": "male"},
        "rows": {"rows": 81},
    }
    plan = plan_distribution_inference("german", **GAME | plans.get(change, {}))
    recipe = MLPRecipe(BulkTraining((4,), epochs=3, min_steps=40, batch_size=20)) if change == "epochs" else RECIPE
    recipe = EstimatorRecipe(LogisticRegression(max_iter=1000)) if change == "class" else recipe
    small = SWEEP | {"shadows": 1, "victims": 1, "seed": 4 if change == "seed" else 3}
    run_shadows(game, RECIPE, tmp_path, **SWEEP | {"shadows": 1, "victims": 1})
    steps = []
    run_shadows(plan, recipe, tmp_path, progress=lambda *a: steps.append(a), **small)
    assert steps[0] == ("models", 0, 4)


def test_lost_and_damaged_files(game, whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    lost, damaged = sorted((tmp_path / "chunks").iterdir())[:2]
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    steps = []
    run_shadows(game, RECIPE, tmp_path, progress=lambda *a: steps.append(a), **SWEEP)
    assert steps[0][2] in (2, 3, 4)
    assert len(steps) == 3
    assert (tmp_path / "results.jsonl").read_bytes() == (whole / "results.jsonl").read_bytes()
    with (tmp_path / "chunks.jsonl").open("ab") as file:
        file.write(b"[1]\n")
    with pytest.raises(FileFormatError, match="is no object with"):
        run_shadows(game, RECIPE, tmp_path, **SWEEP)


def test_victims_may_have_another_recipe(game, finished, tmp_path):
    defended = EstimatorRecipe(LogisticRegression(C=0.1))
    outputs = run_shadows(game, RECIPE, tmp_path, victim_recipe=defended, **SWEEP)
    np.testing.assert_array_equal(outputs.scores["shadow"], finished[0].scores["shadow"])
    pools = Pools(game, SWEEP["seed"])
    rows = pools.draw("victim", 1, 2)
    with pytest.raises(ProtocolError, match="No weights of the victim models"):
        outputs.weights_of("victim")
    alone = LogisticRegression(C=0.1).fit(pools.encode("victim", rows), pools.label[rows])
    expected = alone.predict_proba(pools.encode("victim", np.concatenate(pools.queries)))[:, 1]
    np.testing.assert_allclose(outputs.scores["victim"][5 + 2], expected, atol=1e-4)


def test_estimators_of_any_kind(rows):
    x, y, _ = rows(120, 0, classes=3)
    index = np.arange(120).reshape(2, 60)
    hard = train_estimators(RidgeClassifier(), x, y, index, seeds=[0, 1], n_classes=3).scores(x)
    assert hard.shape == (2, 120, 3)
    assert set(np.unique(hard)) == {0, 1}
    weights = np.where(y[index] == 0, 0.0, 1.0)
    weighted = train_estimators(LogisticRegression(), x, y, index, seeds=[0, 1], n_classes=3, weights=weights)
    with parallel_config(backend="threading", n_jobs=2):
        plain = train_estimators(LogisticRegression(), x, y, index, seeds=[0, 1], n_classes=3)
    assert weighted.scores(x)[:, :, 0].mean() < 0.05 < plain.scores(x)[:, :, 0].mean()
    with pytest.raises(ValueError, match="2 models need as many seeds"):
        train_estimators(LogisticRegression(), x, y, index, seeds=[0])


def test_bad_numbers_and_folders(game, tmp_path):
    with pytest.raises(ProtocolError, match="at least 1"):
        run_shadows(game, RECIPE, tmp_path, shadows=0)
    (tmp_path / "taken").write_text("")
    with pytest.raises(ProtocolError, match="Cannot write the models"):
        run_shadows(game, RECIPE, tmp_path / "taken", **SWEEP)


@pytest.mark.slow
def test_a_killed_sweep_ends_as_an_unbroken_one(game, whole, tmp_path):
    program = textwrap.dedent(BROKEN).format(game=GAME, recipe=_arguments(RECIPE.training), sweep=SWEEP)
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], start_new_session=True, capture_output=True, timeout=240
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    made = (tmp_path / "chunks.jsonl").read_bytes()
    assert 3 <= made.count(b"\n") < 12
    assert not (tmp_path / "results.jsonl").exists()
    # As if it had been killed while writing a line.
    (tmp_path / "chunks.jsonl").write_bytes(made + b'{"key": "12')
    steps = []
    run_shadows(game, RECIPE, tmp_path, progress=lambda *a: steps.append(a), **SWEEP)
    assert len(steps) - 1 == 12 - made.count(b"\n")
    assert (tmp_path / "chunks.jsonl").read_bytes().startswith(made)
    assert same(tmp_path, whole)


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker(game, whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    killed = []

    def kill_one(stage, done, total):
        if done and not killed:
            killed.append(sorted(client.run(os.getpid).values())[0])
            os.kill(killed[0], signal.SIGKILL)

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path), silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        with parallel_config(backend="dask"):
            run_shadows(game, RECIPE, tmp_path / "out", progress=kill_one, **SWEEP)
        assert killed
        assert killed[0] not in client.run(os.getpid).values()
    lines = (tmp_path / "out" / "chunks.jsonl").read_text().splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == len(lines) == 12
    assert same(tmp_path / "out", whole)


def _arguments(training):
    return f"({training.hidden}, {training.epochs}, {training.min_steps}, {training.batch_size})"
