"""At which ratio was a model trained? Worlds on a grid, a posterior, and an interval with stated coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairbound.empirical.attacks.audit import p_value, split_worlds
from fairbound.empirical.attacks.errors import AttackInputError
from fairbound.empirical.attacks.predictions import Floats, Ints, ModelOutputs, Queries

# Strengths of the ridge, relative to the mean squared length of a model's centred answers.
_RIDGES = 10.0 ** np.arange(-6, 2)


@dataclass(frozen=True, eq=False)
class RatioEstimate:
    """
    Ratios of several victims.

    Attributes
    ----------
    grid : array, shape (worlds,)
        Ratios of the shadows' worlds, ascending.
    posterior : array, shape (victims, worlds)
        Chances of the grid's ratios under a uniform prior: normal scores with one variance. A model, not a guarantee.
    estimate : array, shape (victims,)
        Posterior mean.
    lower, upper : array, shape (victims,)
        Ends of the interval.
    confidence : float
        For every ratio of the grid, the interval of a victim trained at it holds it with at least this probability,
        over the draw of shadows and victim. Nothing is promised for ratios off the grid.
    """

    grid: Floats
    posterior: Floats
    estimate: Floats
    lower: Floats
    upper: Floats
    confidence: float


def estimate_ratio(
    queries: Queries,
    shadows: ModelOutputs,
    victims: ModelOutputs,
    grid: Sequence[float],
    *,
    confidence: float = 0.95,
    calibration: float = 0.5,
    seed: int = 0,
) -> RatioEstimate:
    """
    Estimate the ratios at which models were trained, each victim by itself.

    A ridge regression of the ratio on the logits of the answers, its strength chosen by leaving one out, is fitted on a
    part of the shadows. The rest calibrate it: a ratio is in a victim's set if the distance of the victim's regression
    value from the middle of that world's is no more extreme than the world's own are (a split-conformal p-value above
    `1 - confidence`). The interval spans that set; an empty set means the ratio with the largest p-value.

    Parameters
    ----------
    queries : Queries
        From the adversary's test pool, at any two ratios.
    shadows : ModelOutputs
        `world` holds positions in the grid. Each world needs at least `1 / (1 - confidence) - 1` calibrating models.
    victims : ModelOutputs
    grid : sequence of float, shape (worlds,)
        Ratio of each world, ascending.
    confidence : float
        Between 0 and 1.
    calibration : float
        Share of the shadows that calibrate.
    seed : int

    Returns
    -------
    RatioEstimate

    Raises
    ------
    AttackInputError
        If the grid does not fit the shadows, or they are too few for the confidence.
    """
    ratios = np.asarray(grid, dtype=np.float64)
    world = shadows.world
    if len(ratios) < 2 or not (np.diff(ratios) > 0).all() or ratios[0] < 0 or ratios[-1] > 1:
        raise AttackInputError("grid must hold at least two ratios in [0, 1], ascending.")
    if world is None or not np.array_equal(np.unique(world), np.arange(len(ratios))):
        raise AttackInputError(
            f"the shadows' worlds must be the positions 0 to {len(ratios) - 1} of the grid, each used."
        )
    if not 0 < confidence < 1:
        raise AttackInputError(f"a confidence of {confidence} is not between 0 and 1.")
    fitting, held_out = split_worlds(world, calibration, np.random.default_rng(seed))
    fewest = int(np.bincount(world[held_out]).min())
    if (1 - confidence) * (fewest + 1) < 1 - 1e-9:
        raise AttackInputError(
            f"{fewest} calibrating shadows of a world can exclude nothing at confidence {confidence}; have at least "
            f"{int(np.ceil(1 / (1 - confidence) - 1 - 1e-9))}."
        )
    for outputs in (shadows, victims):
        outputs.of_label(queries.labels)
    regression = _Ridge(_logits(shadows.take(fitting)), ratios[world[fitting]])
    values, seen = regression(_logits(shadows.take(held_out))), world[held_out]
    middles = _middles(regression.left_out, world[fitting], len(ratios))
    found = regression(_logits(victims))
    p = np.empty((len(victims), len(ratios)))
    for g, middle in enumerate(middles):
        own = np.abs(values[seen == g] - middle)
        p[:, g] = [p_value(own, abs(value - middle)) for value in found]
    kept = p > 1 - confidence
    kept[~kept.any(axis=1)] = (p == p.max(axis=1, keepdims=True))[~kept.any(axis=1)]
    posterior = _posterior(values, seen, found, len(ratios))
    return RatioEstimate(
        ratios,
        posterior,
        posterior @ ratios,
        np.where(kept, ratios, np.inf).min(axis=1),
        np.where(kept, ratios, -np.inf).max(axis=1),
        confidence,
    )


class _Ridge:
    """Ridge regression in its dual form: models are fewer than queries."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self.centre, self.mean = x.mean(axis=0), float(y.mean())
        self.x = x - self.centre
        values, vectors = np.linalg.eigh(self.x @ self.x.T)
        values = np.maximum(values, 0)
        scale = float(values.mean()) or 1.0
        target = vectors.T @ (y - self.mean)
        best = np.inf
        for ridge in _RIDGES * scale:
            shrunk = values / (values + ridge)
            # Leaving one out in closed form; 1 / n is the mean's own leverage.
            leverage = (vectors**2) @ shrunk + 1 / len(y)
            residual = (y - self.mean - vectors @ (shrunk * target)) / (1 - leverage)
            if (error := float((residual**2).mean())) < best:
                best, self.left_out = error, y - residual
                self.weights = self.x.T @ (vectors @ (target / (values + ridge)))

    def __call__(self, x: Floats) -> Floats:
        return self.mean + ((x - self.centre) * self.weights).sum(axis=1)


def _middles(values: Floats, world: Ints, worlds: int) -> Floats:
    return np.array([np.median(values[world == g]) for g in range(worlds)])


def _posterior(values: Floats, world: Ints, found: Floats, worlds: int) -> Floats:
    means = np.array([values[world == g].mean() for g in range(worlds)])
    variance = ((values - means[world]) ** 2).sum() / (len(values) - worlds)
    exponent = -((found[:, None] - means) ** 2) / (2 * max(variance, np.finfo(float).tiny))
    weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _logits(outputs: ModelOutputs) -> Floats:
    """Logit of each class but the first against all others, one row per model."""
    p = outputs.probabilities()[:, :, 1:]
    return (np.log(p) - np.log1p(-p)).reshape(len(outputs), -1)
