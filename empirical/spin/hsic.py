"""Dependence between two readouts of the same samples: HSIC with a permutation test, layer by layer.

HSIC (Hilbert-Schmidt independence criterion; Gretton et al., ALT 2005) is zero, with Gaussian kernels, exactly for
independent readouts. It needs a true pairing: row i of both must come from one sample. Arbitrary pairs of a fairness
and a privacy prompt are independent whatever the model does, and an order that both lists share, such as their lengths,
makes them dependent whatever it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from fairbound.bounds.errors import EmptyInputError, LengthMismatchError, NumberError
from fairbound.empirical.attacks.statistics import holm
from fairbound.empirical.spin.chat import MAX_TOKENS, encode_pair
from fairbound.empirical.spin.models import LanguageModel
from fairbound.empirical.spin.texts import Pair


def median_bandwidth(x: NDArray[np.floating]) -> float:
    """Median distance between two different rows, the usual width of a Gaussian kernel.

    Parameters
    ----------
    x : ndarray, shape (n, d), n >= 2

    Returns
    -------
    float
        1 if more than half of the distances are 0.
    """
    distances = np.sqrt(_squared_distances(x)[np.triu_indices(len(x), 1)])
    return float(np.median(distances)) or 1.0


def gaussian_kernel(x: NDArray[np.floating], bandwidth: float) -> NDArray[np.float64]:
    """``exp(-|x_i - x_j|^2 / (2 bandwidth^2))``.

    Parameters
    ----------
    x : ndarray, shape (n, d)
    bandwidth : float
        Above 0.

    Returns
    -------
    ndarray, shape (n, n)
    """
    kernel: NDArray[np.float64] = np.exp(-_squared_distances(x) / (2 * bandwidth**2))
    return kernel


def hsic(k: NDArray[np.floating], m: NDArray[np.floating]) -> float:
    """HSIC of two kernel matrices: ``trace(K H M H) / n^2`` with ``H = 1 - 1/n`` (Gretton et al. 2005; V-statistic).

    Never negative; under independence it is about 1/n too large, which the permutation test accounts for.

    Parameters
    ----------
    k, m : ndarray, shape (n, n), symmetric

    Returns
    -------
    float
    """
    return float((_centred(k) * m).sum()) / len(k) ** 2


def unbiased_hsic(k: NDArray[np.floating], m: NDArray[np.floating]) -> float:
    """Unbiased estimate of HSIC (U-statistic; Song et al., JMLR 13, 2012, equation 5).

    Parameters
    ----------
    k, m : ndarray, shape (n, n), symmetric, n >= 4

    Returns
    -------
    float
        Zero on average under independence, so below zero about half of the time.

    Raises
    ------
    NumberError
        If there are fewer than four samples.
    """
    n = len(k)
    if n < 4:
        raise NumberError(f"The unbiased estimate of HSIC needs 4 samples; there are {n}.")
    k, m = (np.where(np.eye(n, dtype=bool), 0.0, matrix) for matrix in (k, m))
    whole = float(k.sum() * m.sum()) / ((n - 1) * (n - 2))
    rows = 2 * float(k.sum(axis=0) @ m.sum(axis=0)) / (n - 2)
    return (float((k * m).sum()) + whole - rows) / (n * (n - 3))


@dataclass(frozen=True)
class HsicTest:
    """HSIC between two readouts, and whether it is more than chance.

    Attributes
    ----------
    value : float
        V-statistic.
    unbiased : float
        U-statistic.
    p_value : float
        Share of random pairings, the true one included, whose value is at least `value`.
    permutations : int
        Random pairings drawn; the p-value is at least ``1 / (permutations + 1)``.
    bandwidths : (float, float)
        Widths of the two kernels.
    n : int
        Samples.
    """

    value: float
    unbiased: float
    p_value: float
    permutations: int
    bandwidths: tuple[float, float]
    n: int


def hsic_test(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    *,
    permutations: int = 999,
    seed: int = 0,
    bandwidths: tuple[float, float] | None = None,
) -> HsicTest:
    """Test whether two readouts of the same samples are independent.

    Parameters
    ----------
    x : ndarray, shape (n, d_x)
    y : ndarray, shape (n, d_y)
        Row i belongs to the sample of row i of `x`.
    permutations : int, default 999
    seed : int, default 0
        Of the random pairings.
    bandwidths : (float, float), optional
        Widths of the two Gaussian kernels; default: `median_bandwidth` of each. To compare a model before and after an
        edit, give those of before.

    Returns
    -------
    HsicTest

    Raises
    ------
    LengthMismatchError
        If `x` and `y` differ in their number of rows.
    NumberError
        If there are fewer than four samples, values that are not finite, no permutation, or a width not above 0.
    """
    if len(x) != len(y):
        raise LengthMismatchError(f"The readouts have {len(x)} and {len(y)} rows; row i of both must be one sample.")
    if len(x) < 4 or permutations < 1:
        raise NumberError(f"HSIC needs 4 samples and a permutation; there are {len(x)} and {permutations}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NumberError("A readout holds a value that is not finite.")
    widths = (median_bandwidth(x), median_bandwidth(y)) if bandwidths is None else bandwidths
    if not min(widths) > 0:
        raise NumberError(f"A kernel's width must be above 0; given: {widths}.")
    k, m = gaussian_kernel(x, widths[0]), gaussian_kernel(y, widths[1])
    centred, n = _centred(k), len(k)
    value = float((centred * m).sum())
    rng = np.random.default_rng(seed)
    # Sums in another order round otherwise: a pairing that changes nothing must count as a tie.
    least = value - 1e-12 * n * n
    reached = 0
    for _ in range(permutations):
        order = rng.permutation(n)
        reached += float((centred * m[np.ix_(order, order)]).sum()) >= least
    p_value = (1 + reached) / (1 + permutations)
    return HsicTest(value / n**2, unbiased_hsic(k, m), p_value, permutations, widths, n)


@dataclass(frozen=True)
class Readouts:
    """Two readouts of the same samples at every layer.

    Attributes
    ----------
    prompt : ndarray of float32, shape (layers, n, width)
        Hidden state at the last token of the prompt, where the answer begins. The embedding is left out: that token is
        the same for every prompt of a chat.
    response : ndarray of float32, shape (layers, n, width)
        Mean hidden state over the tokens of the response.
    """

    prompt: NDArray[np.float32]
    response: NDArray[np.float32]


def readouts(
    language_model: LanguageModel,
    pairs: Sequence[Pair],
    *,
    max_tokens: int = MAX_TOKENS,
    progress: Callable[[int, int], None] | None = None,
) -> Readouts:
    """Read a model at the end of each prompt and over its response.

    Parameters
    ----------
    language_model : LanguageModel
        Its model is put into evaluation mode.
    pairs : sequence of Pair
    max_tokens : int, default 512
        Pairs are cut off there.
    progress : callable, optional
        Called with the numbers of pairs read and in all.

    Returns
    -------
    Readouts

    Raises
    ------
    EmptyInputError
        If there are no pairs.
    SampleError
        If a pair has no response within `max_tokens`.
    """
    if not pairs:
        raise EmptyInputError("There are no pairs to read.")
    model = language_model.model.eval()
    at_prompt, over_response = [], []
    for done, pair in enumerate(pairs, start=1):
        sample = encode_pair(language_model.tokenizer, pair.prompt, pair.response, max_tokens=max_tokens)
        ids = torch.tensor([sample.ids], device=model.device)
        with torch.inference_mode():
            output = model(input_ids=ids, use_cache=False, output_hidden_states=True, logits_to_keep=1)
        states = torch.stack([layer[0] for layer in output.hidden_states[1:]]).float()
        at_prompt.append(states[:, sample.start - 1].cpu().numpy())
        over_response.append(states[:, sample.start :].mean(dim=1).cpu().numpy())
        if progress is not None:
            progress(done, len(pairs))
    return Readouts(np.stack(at_prompt, axis=1), np.stack(over_response, axis=1))


@dataclass(frozen=True)
class LayerTests:
    """HSIC between the two readouts, layer by layer.

    Attributes
    ----------
    tests : tuple of HsicTest
        One per layer.
    adjusted : tuple of float
        p-values after Holm's correction over the layers.
    """

    tests: tuple[HsicTest, ...]
    adjusted: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        corrected = holm([test.p_value for test in self.tests])
        object.__setattr__(self, "adjusted", tuple(float(p) for p in corrected))


def hsic_by_layer(
    reading: Readouts, *, before: LayerTests | None = None, permutations: int = 999, seed: int = 0
) -> LayerTests:
    """Test at every layer whether what the model read and what it answers are independent.

    Parameters
    ----------
    reading : Readouts
    before : LayerTests, optional
        Tests of the same pairs before an edit, whose kernel widths are used again, so that values can be compared.
    permutations, seed
        As in `hsic_test`.

    Returns
    -------
    LayerTests

    Raises
    ------
    LengthMismatchError
        If `before` has another number of layers.
    NumberError
        As in `hsic_test`.
    """
    layers = len(reading.prompt)
    if before is not None and len(before.tests) != layers:
        raise LengthMismatchError(f"There are {layers} layers, and {len(before.tests)} tests of before.")
    widths = [None] * layers if before is None else [test.bandwidths for test in before.tests]
    return LayerTests(
        tuple(
            hsic_test(x, y, permutations=permutations, seed=seed, bandwidths=width)
            for x, y, width in zip(reading.prompt, reading.response, widths, strict=True)
        )
    )


def _squared_distances(x: NDArray[np.floating]) -> NDArray[np.float64]:
    rows = np.asarray(x, dtype=np.float64)
    rows = rows - rows.mean(axis=0)
    squares = (rows**2).sum(axis=1)
    distances: NDArray[np.float64] = np.maximum(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, 0.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def _centred(k: NDArray[np.floating]) -> NDArray[np.float64]:
    means = k.mean(axis=0)
    centred: NDArray[np.float64] = k - means[:, None] - means[None, :] + means.mean()
    return centred
