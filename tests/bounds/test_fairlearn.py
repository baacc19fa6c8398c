"""On binary problems the disparities are fairlearn's."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn.metrics import equalized_odds_difference, false_positive_rate_difference, true_positive_rate_difference
from hypothesis import given, settings

from fairbound.bounds import Counts, Disparities
from fairbound.empirical import load_dataset
from fairbound.testing import counts as tables


def rows(table):
    cells = [(*key, n) for key, n in table.cells()]
    return (np.repeat([cell[axis] for cell in cells], [cell[3] for cell in cells]) for axis in range(3))


def differences(y_true, y_pred, group):
    arguments = {"y_true": y_true, "y_pred": y_pred, "sensitive_features": group}
    return (
        [false_positive_rate_difference(**arguments), true_positive_rate_difference(**arguments)],
        equalized_odds_difference(**arguments),
    )


@settings(max_examples=40)
@given(tables(max_groups=4, max_labels=2, max_rows=12))
def test_disparities_are_those_of_fairlearn(table):
    group, y_true, y_pred = rows(table)
    found = Disparities.from_counts(Counts.from_arrays(y_true, y_pred, sensitive_features=group, labels=(0, 1)))
    per_label, equalized_odds = differences(y_true, y_pred, group)
    assert [float(d) for d in found.per_label] == pytest.approx(per_label, abs=1e-12)
    assert float(found.equalized_odds) == pytest.approx(equalized_odds, abs=1e-12)


@pytest.mark.data
def test_disparities_on_compas_are_those_of_fairlearn():
    """ProPublica's data, predicted by the number of prior offences, for all six groups."""
    compas = load_dataset("compas")
    group = compas.attributes["race"]
    y_pred = (compas.features["priors_count"].to_numpy() > 2).astype(int)
    found = Disparities.from_counts(Counts.from_arrays(compas.label, y_pred, sensitive_features=group))
    per_label, equalized_odds = differences(compas.label, y_pred, group)
    assert [float(d) for d in found.per_label] == pytest.approx(per_label, abs=1e-12)
    assert float(found.equalized_odds) == pytest.approx(equalized_odds, abs=1e-12)
