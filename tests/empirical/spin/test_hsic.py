"""HSIC against its definitions, and its test on pairings that are true, broken or sorted."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from fairbound.bounds.errors import EmptyInputError, LengthMismatchError, NumberError
from fairbound.empirical.spin.chat import encode_pair
from fairbound.empirical.spin.hsic import (
    Readouts,
    gaussian_kernel,
    hsic,
    hsic_by_layer,
    hsic_test,
    median_bandwidth,
    readouts,
    unbiased_hsic,
)
from fairbound.empirical.spin.texts import Pair


def draw(n, seed, strength=1.0, width=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width))
    return x, strength * x[:, ::-1] ** 2 + rng.normal(size=(n, width))


def test_kernel_and_bandwidth_entry_by_entry():
    x, _ = draw(7, 0)
    x += 1e3
    distances = [np.linalg.norm(x[i] - x[j]) for i in range(7) for j in range(i)]
    assert median_bandwidth(x) == pytest.approx(np.median(distances))
    kernel = gaussian_kernel(x, 2.0)
    for i in range(7):
        for j in range(7):
            assert kernel[i, j] == pytest.approx(np.exp(-(np.linalg.norm(x[i] - x[j]) ** 2) / 8), rel=1e-9)


def test_v_statistic_is_the_sum_over_all_quadruples():
    x, y = draw(6, 1)
    k, m = gaussian_kernel(x, 1.0), gaussian_kernel(y, 1.5)
    n = range(6)
    # Gretton et al. 2005: E k m + E k E m - 2 E (E k)(E m), each mean a sum over all indices.
    first = sum(k[i, j] * m[i, j] for i in n for j in n) / 6**2
    second = sum(k[i, j] * m[q, r] for i in n for j in n for q in n for r in n) / 6**4
    third = sum(k[i, j] * m[i, q] for i in n for j in n for q in n) / 6**3
    assert hsic(k, m) == pytest.approx(first + second - 2 * third, rel=1e-12)


def test_u_statistic_is_the_mean_over_distinct_quadruples():
    x, y = draw(7, 2)
    k, m = gaussian_kernel(x, 1.0), gaussian_kernel(y, 1.5)
    terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(7), 4)]
    assert unbiased_hsic(k, m) == pytest.approx(np.mean(terms), rel=1e-10)


def test_v_statistic_of_linear_kernels_is_the_cross_covariance():
    x, y = draw(20, 3)
    covariance = np.cov(x.T, y.T, bias=True)[:3, 3:]
    assert hsic(x @ x.T, y @ y.T) == pytest.approx((covariance**2).sum())


def test_u_statistic_is_zero_on_average_under_independence_and_the_v_statistic_is_not():
    rng = np.random.default_rng(4)
    values = []
    for _ in range(300):
        k, m = (gaussian_kernel(rng.normal(size=(12, 2)), 1.0) for _ in range(2))
        values.append((unbiased_hsic(k, m), hsic(k, m)))
    unbiased, biased = np.array(values).T
    assert abs(unbiased.mean()) < 4 * unbiased.std() / 300**0.5
    assert biased.mean() > 10 * biased.std() / 300**0.5


def test_values_do_not_depend_on_order_shift_or_scale():
    x, y = draw(30, 5)
    test = hsic_test(x, y, permutations=19)
    order = np.random.default_rng(0).permutation(30)
    moved = hsic_test(5 * x[order] - 3, y[order] / 7 + 2, permutations=19)
    assert moved.value == pytest.approx(test.value, rel=1e-9)
    assert moved.unbiased == pytest.approx(test.unbiased, rel=1e-7)


def test_true_pairing_is_found_and_a_broken_one_is_not():
    x, y = draw(60, 6)
    assert hsic_test(x, y, permutations=199).p_value == 1 / 200
    # Dependent without correlation: only a kernel sees it.
    assert np.abs(np.corrcoef(x.T, y.T)[:3, 3:]).max() < 0.5
    broken = [hsic_test(x, np.roll(y, shift, axis=0), permutations=99).p_value for shift in range(1, 21)]
    assert np.mean(np.array(broken) <= 0.05) < 0.25


def test_sorting_two_unrelated_lists_makes_them_dependent():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(40, 1)), rng.normal(size=(40, 1))
    assert hsic_test(x, y, permutations=199).p_value > 0.05
    assert hsic_test(np.sort(x, axis=0), np.sort(y, axis=0), permutations=199).p_value == 1 / 200


def test_p_values_are_uniform_under_independence():
    rng = np.random.default_rng(8)
    p = [
        hsic_test(rng.normal(size=(15, 2)), rng.normal(size=(15, 2)), permutations=39, seed=s).p_value
        for s in range(400)
    ]
    for level in (0.05, 0.25, 0.5):
        assert abs(np.mean(np.array(p) <= level + 1e-12) - level) < 3.5 * (level * (1 - level) / 400) ** 0.5


def test_constant_readout_is_independent_of_everything():
    x, _ = draw(12, 9)
    test = hsic_test(np.ones((12, 4)), x, permutations=49)
    assert test.value == pytest.approx(0, abs=1e-15)
    assert test.p_value == 1


def test_bad_readouts_are_refused():
    x, y = draw(8, 10)
    with pytest.raises(LengthMismatchError, match="8 and 7 rows"):
        hsic_test(x, y[:7])
    with pytest.raises(NumberError, match="needs 4 samples"):
        hsic_test(x[:3], y[:3])
    with pytest.raises(NumberError, match="not finite"):
        hsic_test(np.where(x == x[0, 0], np.nan, x), y)
    with pytest.raises(NumberError, match="above 0"):
        hsic_test(x, y, bandwidths=(0.0, 1.0))


def test_readouts_are_hidden_states_at_the_prompts_end_and_over_the_response(make_model):
    language_model = make_model()
    pair = Pair("Name a fruit.", "A pear, or a plum.")
    reading = readouts(language_model, [pair, Pair("And a tree?", "Oak.")])
    assert reading.prompt.shape == reading.response.shape == (3, 2, 32)
    sample = encode_pair(language_model.tokenizer, *pair)
    caught = {}
    layer = language_model.model.model.layers[1]
    handle = layer.register_forward_hook(lambda *call: caught.update(out=call[2]))
    with torch.no_grad():
        language_model.model(input_ids=torch.tensor([sample.ids]))
    handle.remove()
    states = caught["out"][0] if isinstance(caught["out"], tuple) else caught["out"]
    states = states.reshape(-1, 32).numpy()
    np.testing.assert_allclose(reading.prompt[1, 0], states[sample.start - 1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(reading.response[1, 0], states[sample.start :].mean(axis=0), rtol=1e-4, atol=1e-5)
    with pytest.raises(EmptyInputError, match="no pairs"):
        readouts(language_model, [])


def test_layers_are_tested_with_the_widths_of_before_and_corrected_together(make_model):
    letters = "abcdefghijklmnop"
    pairs = [Pair(f"{c * 5}?", f"{c} {c}.") for c in letters]
    first, other = (readouts(make_model(seed=seed), pairs) for seed in (0, 1))
    before = hsic_by_layer(first, permutations=99)
    after = hsic_by_layer(other, before=before, permutations=99)
    assert [t.bandwidths for t in after.tests] == [t.bandwidths for t in before.tests]
    assert hsic_by_layer(first, before=before, permutations=99) == before
    p = sorted(t.p_value for t in before.tests)
    assert min(before.adjusted) == pytest.approx(min(1, 3 * p[0]))
    fewer = Readouts(first.prompt[:2], first.response[:2])
    with pytest.raises(LengthMismatchError, match="2 layers, and 3 tests"):
        hsic_by_layer(fewer, before=before)
