"""Selection by sets, its published variant, ratios that select nothing, and controls."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fairbound.empirical.spin.errors import SelectionError
from fairbound.empirical.spin.selection import (
    matched_control,
    select,
    selected_count,
    top_indices,
    uniform_control,
)

NAME = "w"


def ranking(order, size=10):
    """Scores of one matrix whose largest entries are at the given places, in that order."""
    scores = torch.zeros(size)
    scores[torch.tensor(order)] = torch.arange(len(order), 0, -1).float()
    return {NAME: scores.reshape(2, -1)}


def draw_scores(seed, shapes=((8, 12), (5, 30))):
    generator = torch.Generator().manual_seed(seed)
    shared = [torch.rand(shape, generator=generator) for shape in shapes]
    return [
        {f"m{i}": part + torch.rand(part.shape, generator=generator) for i, part in enumerate(shared)} for _ in range(3)
    ]


def top_set(scores, ratio):
    flat = scores.reshape(-1).tolist()
    return set(sorted(range(len(flat)), key=lambda i: (-flat[i], i))[: int(Fraction(str(ratio)) * len(flat))])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_top_indices_take_the_first_of_equal_scores(values, data):
    count = data.draw(st.integers(0, len(values)))
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:count]
    assert top_indices(torch.tensor(values, dtype=torch.float32), count).tolist() == expected


@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.1, 0.25, 0.29]), st.sampled_from([0.05, 0.2, 0.4]))
def test_rules_are_set_differences_and_intersections(seed, p, q):
    general, fairness, privacy = draw_scores(seed)
    wanted = {"coupled": {}, "fairness-only": {}, "privacy-only": {}}
    for name in general:
        g, f, h = top_set(general[name], p), top_set(fairness[name], q), top_set(privacy[name], q)
        wanted["coupled"][name] = (f - g) & (h - g)
        wanted["fairness-only"][name] = (f - g) - (h - g)
        wanted["privacy-only"][name] = (h - g) - (f - g)
    for rule, expected in wanted.items():
        expected = {name: sorted(chosen) for name, chosen in expected.items() if chosen}
        if expected:
            found = select(general, fairness, privacy, p=p, q=q, rule=rule)
            assert {name: indices.tolist() for name, indices in found.items()} == expected
            assert selected_count(found) == sum(map(len, expected.values()))
        else:
            with pytest.raises(SelectionError, match="select no weight"):
                select(general, fairness, privacy, p=p, q=q, rule=rule)


def published_code(general, fairness, privacy, p, q):
    """What the loop of the authors' `suppressing_by_SPIN` zeroes in one matrix."""
    top = [
        torch.topk(s.flatten(), int(r * s.numel())).indices.unique()
        for s, r in ((general, p), (fairness, q), (privacy, q))
    ]
    only_fairness, only_privacy = (~torch.isin(chosen, top[0]) for chosen in top[1:])
    return top[1][only_fairness & only_privacy].tolist()


@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.25]), st.sampled_from([0.1, 0.25, 0.5]))
def test_published_positions_are_what_the_published_code_zeroes(seed, p, q):
    general, fairness, privacy = draw_scores(seed)
    expected = {name: published_code(general[name], fairness[name], privacy[name], p, q) for name in general}
    expected = {name: chosen for name, chosen in expected.items() if chosen}
    if expected:
        found = select(general, fairness, privacy, p=p, q=q, rule="published-positions")
        assert {name: indices.tolist() for name, indices in found.items()} == expected


def test_published_positions_differ_from_the_coupled_weights():
    general, fairness, privacy = ranking([0, 1, 9]), ranking([1, 4, 6]), ranking([4, 8, 9])
    ratios = {"p": 0.3, "q": 0.3}
    # F - G = {4, 6} and P - G = {4, 8} share weight 4. By position, F - G holds places 1 and 2 of (1, 4, 6), P - G
    # places 0 and 1 of (4, 8, 9).
    assert select(general, fairness, privacy, **ratios)[NAME].tolist() == [4]
    assert select(general, fairness, privacy, **ratios, rule="published-positions")[NAME].tolist() == [4]
    # Privacy now needs 3 in place of 4: nothing is shared, and the published code zeroes weights all the same.
    privacy = ranking([3, 8, 9])
    with pytest.raises(SelectionError, match="select no weight"):
        select(general, fairness, privacy, **ratios)
    assert select(general, fairness, privacy, **ratios, rule="published-positions")[NAME].tolist() == [4]
    # And a shared weight is missed, and another one zeroed, where the lists do not run in step.
    general, fairness, privacy = ranking([0, 2, 7]), ranking([4, 5, 7]), ranking([0, 2, 4])
    assert select(general, fairness, privacy, **ratios)[NAME].tolist() == [4]
    with pytest.raises(SelectionError, match="select no weight"):
        select(general, fairness, privacy, **ratios, rule="published-positions")
    general, fairness, privacy = ranking([0, 2, 9]), ranking([0, 1, 5]), ranking([1, 5, 9])
    assert select(general, fairness, privacy, **ratios)[NAME].tolist() == [1, 5]
    assert select(general, fairness, privacy, **ratios, rule="published-positions")[NAME].tolist() == [1]


def test_ratios_that_select_nothing_name_the_smallest_that_does():
    general, fairness, privacy = ranking([0, 1, 2, 3]), ranking([0, 1, 5, 6]), ranking([7, 5, 1, 0])
    with pytest.raises(SelectionError, match=r"the smallest p = q that does is 0\.3\."):
        select(general, fairness, privacy, p=0.05, q=0.05)
    assert select(general, fairness, privacy, p=0.3, q=0.3)[NAME].tolist() == [5]
    with pytest.raises(SelectionError, match="no p = q up to 1 does"):
        select(general, general, general, p=0.1, q=0.1)
    with pytest.raises(SelectionError, match=r"the smallest q that does is 0\.1\."):
        select(general, fairness, privacy, p=0.3, q=0, rule="privacy-only")


@given(st.integers(0, 10_000), st.sampled_from(["coupled", "fairness-only", "published-positions"]))
def test_the_named_ratio_selects_and_no_smaller_one_does(seed, rule):
    scores = draw_scores(seed)
    with pytest.raises(SelectionError) as raised:
        select(*scores, p=0, q=0, rule=rule)
    named = re.search(r"p = q that does is (\S+)\.$", str(raised.value))
    assert named
    ratio = Fraction(named[1])
    assert selected_count(select(*scores, p=float(ratio), q=float(ratio), rule=rule)) > 0
    smaller = {Fraction(k, part.numel()) for part in scores[0].values() for k in range(part.numel())}
    # The largest ratio below it at which a count changes; rounding up keeps it above the step.
    for below in sorted(step for step in smaller if step < ratio * Fraction(9999, 10_000)):
        above = float(below) * (1 + 1e-9)
        with pytest.raises(SelectionError, match="select no weight"):
            select(*scores, p=above, q=above, rule=rule)


def test_counts_do_not_suffer_from_floating_point_products():
    # 0.29 * 100 is 28.999999999999996.
    scores = {NAME: torch.arange(100.0).reshape(10, 10)}
    zero = {NAME: torch.zeros(10, 10)}
    assert selected_count(select(zero, scores, scores, p=0.0, q=0.29)) == 29


@pytest.mark.parametrize(
    ("change", "said"),
    [({"rule": "all"}, "rule='all' is unknown"), ({"p": -0.1}, "p=-0.1 is no share"), ({"q": float("nan")}, "q=nan")],
)
def test_bad_settings_are_refused(change, said):
    scores = draw_scores(0)
    with pytest.raises(SelectionError, match=said):
        select(*scores, **{"p": 0.1, "q": 0.1, **change})


def test_scores_of_different_matrices_are_refused():
    general, fairness, privacy = draw_scores(0)
    with pytest.raises(SelectionError, match="of different matrices"):
        select(general, fairness, {"m0": privacy["m0"]}, p=0.1, q=0.1)
    with pytest.raises(SelectionError, match="different shapes"):
        select(general, fairness, {**privacy, "m1": privacy["m1"].reshape(30, 5)}, p=0.1, q=0.1)


@pytest.fixture
def layers():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {f"m{i}": nn.Linear(100, 80) for i in range(2)}


def test_controls_match_counts_and_share_no_weight(layers):
    # The hundred largest weights of one matrix and some of the smallest of the other.
    sizes = {name: layer.weight.detach().abs().reshape(-1) for name, layer in layers.items()}
    selection = {"m0": top_indices(sizes["m0"], 100).sort().values, "m1": top_indices(-sizes["m1"], 7).sort().values}
    for make in (matched_control, uniform_control):
        control = make(layers, selection, seed=3)
        again, other = make(layers, selection, seed=3), make(layers, selection, seed=4)
        for name, chosen in selection.items():
            assert len(control[name].unique()) == len(chosen)
            assert not torch.isin(control[name], chosen).any()
            assert torch.equal(control[name], control[name].sort().values)
            assert torch.equal(control[name], again[name])
            assert not torch.equal(control[name], other[name])
    matched, uniform = matched_control(layers, selection, seed=0), uniform_control(layers, selection, seed=0)
    for name, chosen in selection.items():
        target = sizes[name][chosen].mean()
        assert (
            (sizes[name][matched[name]].mean() - target).abs()
            < 0.002
            < (sizes[name][uniform[name]].mean() - target).abs()
        )


def test_matched_control_follows_the_whole_distribution(layers):
    sizes = layers["m0"].weight.detach().abs().reshape(-1)
    picks = torch.from_numpy(np.random.default_rng(0).choice(8000, 400, replace=False)).sort().values
    control = matched_control(layers, {"m0": picks}, seed=0)["m0"]
    torch.testing.assert_close(sizes[control].sort().values, sizes[picks].sort().values, atol=1e-3, rtol=0)


def test_half_of_a_matrix_leaves_a_control_and_more_does_not(layers):
    half = {"m0": torch.arange(4000)}
    for make in (matched_control, uniform_control):
        assert torch.equal(make(layers, half, seed=0)["m0"], torch.arange(4000, 8000))
        with pytest.raises(SelectionError, match="More than half of m0"):
            make(layers, {"m0": torch.arange(4001)}, seed=0)
        with pytest.raises(SelectionError, match="no layer absent"):
            make(layers, {"absent": torch.arange(4)}, seed=0)
