"""Prediction matrices: what is accepted, and the forms that attacks read."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fairbound.empirical.attacks as attacks
from fairbound.empirical.attacks import AttackInputError, ModelOutputs, Queries, require_disjoint


def test_two_columns_are_one_score():
    p = np.array([[0.2, 0.9], [0.5, 0.4]])
    both = ModelOutputs(np.stack([1 - p, p], axis=2), [0, 1])
    assert np.array_equal(both.scores, p)
    assert np.array_equal(both.hard().scores, [[0, 1], [0, 0]])
    assert np.array_equal(both.of_label(np.array([0, 1])), [[0.8, 0.9], [0.5, 0.4]])
    assert np.array_equal(both.take(np.array([1])).world, [1])


def test_accuracies_are_counted_on_each_query_set():
    queries = Queries([0, 1, 1, 0, 1], [0, 0, 0, 1, 1])
    outputs = ModelOutputs([[0.1, 0.9, 0.2, 0.3, 0.3], [0.6, 0.6, 0.6, 0.6, 0.6]])
    assert np.allclose(outputs.accuracies(queries), [[2 / 3, 1 / 2], [2 / 3, 1 / 2]])
    classes = ModelOutputs.from_labels([[2, 1, 0, 0, 2]], classes=3)
    assert np.allclose(classes.accuracies(Queries([2, 1, 1, 0, 1], queries.origin)), [[2 / 3, 1 / 2]])


def test_more_classes():
    scores = np.array([[[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]])
    outputs = ModelOutputs(scores)
    assert np.array_equal(outputs.hard().scores, [[[0, 1, 0], [1, 0, 0]]])
    assert np.array_equal(outputs.of_label(np.array([2, 1])), [[0.3, 0.4]])
    assert outputs.probabilities().min() >= 1e-4
    assert np.array_equal(ModelOutputs.from_labels([[1, 0]], classes=3).scores, outputs.hard().scores)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: ModelOutputs([[1.5, -2.0]]), "sigmoid"),
        (lambda: ModelOutputs([[np.nan, 0.5]]), "probabilities"),
        (lambda: ModelOutputs([0.1, 0.5]), "shape"),
        (lambda: ModelOutputs([[[0.5, 0.4, 0.4]]]), "add up to 1"),
        (lambda: ModelOutputs([[0.5]], [0, 1]), "2 worlds for 1 models"),
        (lambda: ModelOutputs([[0.5]], [0.5]), "whole numbers"),
        (lambda: ModelOutputs.from_labels([[3]]), "0 to 1"),
        (lambda: Queries([0, 1], [0, 0]), "origin"),
        (lambda: Queries([0, 1, 1], [0, 1]), "3 labels and 2 origins"),
        (lambda: Queries([0.5, 1], [0, 1]), "labels"),
        (lambda: ModelOutputs([[0.5]], [1]).two_worlds(), "world 0"),
        (lambda: ModelOutputs([[0.5]]).of_label(np.array([0, 1])), "do not fit"),
        (lambda: ModelOutputs([[0.5]]).of_label(np.array([2])), "do not fit"),
        (lambda: require_disjoint([1, 2], [3], [2, 4]), "pool 2 shares 1 rows"),
    ],
)
def test_what_does_not_fit_is_refused(build, said):
    with pytest.raises(AttackInputError, match=said):
        build()


def test_disjoint_pools_pass():
    require_disjoint(range(3), np.arange(3, 6), ["a"])


def test_importing_and_running_needs_numpy_alone():
    program = (
        "import sys, numpy as np, fairbound.empirical.attacks as a\n"
        "p = np.random.default_rng(0).random((40, 10))\n"
        "o = a.ModelOutputs(p, np.arange(40) % 2)\n"
        "names = [n for n in a.ATTACKS if 'meta' not in n]\n"
        "a.run_attacks(a.Queries(np.arange(10) % 2, np.arange(10) // 5), o, o, names)\n"
        "a.audit_one, a.estimate_ratio, a.ModelParameters\n"
        "sys.exit(bool({'torch', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_public_names_resolve():
    for name in attacks.__all__:
        assert getattr(attacks, name) is not None
    with pytest.raises(AttributeError):
        _ = attacks.absent
