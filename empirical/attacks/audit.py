"""One deployed model: which world does it come from, with p-values that hold whatever the attack is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from fairbound.empirical.attacks.base import Attack
from fairbound.empirical.attacks.errors import AttackInputError
from fairbound.empirical.attacks.predictions import Floats, Ints, ModelOutputs, Queries
from fairbound.empirical.attacks.registry import get_attack


@dataclass(frozen=True)
class Audit:
    """
    What one model's answers say about the world that trained it.

    Attributes
    ----------
    attack : str
    score : float
        Larger means world 1.
    p_world_0, p_world_1 : float
        p-values of "trained like the shadows of world 0 (1)". If it is true, the chance of a value of at most u is at
        most u, over the draw of shadows and model.
    posterior_world_1 : float
        Calibrated chance of world 1, given the prior. A model of the data, not a guarantee.
    calibration : tuple of two ints
        Shadows of world 0 and 1 that the score was compared with; no p-value can be below `1 / (1 + number)`.
    """

    attack: str
    score: float
    p_world_0: float
    p_world_1: float
    posterior_world_1: float
    calibration: tuple[int, int]

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def audit_one(
    queries: Queries,
    shadows: ModelOutputs,
    model: ModelOutputs,
    attack: str | Attack = "kl_voting",
    *,
    prior: float = 0.5,
    calibration: float = 0.5,
    seed: int = 0,
) -> Audit:
    """
    Audit one deployed model (conformal p-values; V. Vovk, A. Gammerman, G. Shafer, 2005).

    The shadows of each world are split at random: the attack is fitted on one part, and the model's score is ranked
    among those of the other. A model of that world is exchangeable with the latter, so the rank is uniform; ties count
    against small p-values. The posterior is a logistic regression on the second part's scores, with the smoothed
    targets of J. Platt (1999).

    Parameters
    ----------
    queries : Queries
    shadows : ModelOutputs
        Of both worlds, at least four of each.
    model : ModelOutputs
        One model's answers.
    attack : str or Attack
        A name of `ATTACKS`, chosen before the model is looked at, or an attack.
    prior : float
        Chance of world 1 before looking, between 0 and 1.
    calibration : float
        Share of shadows for the ranks, between 0 and 1.
    seed : int
        The result is a function of it and the other arguments.

    Returns
    -------
    Audit

    Raises
    ------
    AttackInputError
        If there is not exactly one model, shadows are too few, the attack is unknown, or an argument lies outside its
        range.
    """
    if len(model) != 1:
        raise AttackInputError(f"{len(model)} models; audit them one at a time.")
    if not 0 < prior < 1:
        raise AttackInputError(f"a prior of {prior} is not between 0 and 1.")
    rng = np.random.default_rng(seed)
    fitting, held_out = split_worlds(shadows.two_worlds(), calibration, rng)
    chosen = get_attack(attack) if isinstance(attack, str) else attack
    fitted = chosen.fit(queries, shadows.take(fitting), rng)
    ranked = shadows.take(held_out)
    scores, world = fitted.score(ranked), ranked.two_worlds()
    score = float(fitted.score(model)[0])
    p_0 = p_value(scores[world == 0], score)
    p_1 = p_value(-scores[world == 1], -score)
    odds = _log_odds(scores, world, score) + logit(prior)
    return Audit(chosen.name, score, p_0, p_1, float(expit(odds)), (int((world == 0).sum()), int((world == 1).sum())))


def split_worlds(world: Ints, calibration: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """
    Split shadows at random, within each world, into models to fit on and models to calibrate on.

    Parameters
    ----------
    world : array of int, shape (models,)
    calibration : float
        Share to calibrate on, between 0 and 1.
    rng : numpy.random.Generator

    Returns
    -------
    fitting, held_out : arrays of int
        Positions.

    Raises
    ------
    AttackInputError
        If a world would have fewer than two models on either side.
    """
    fitting, held_out = [], []
    for b in np.unique(world):
        mine = rng.permutation(np.flatnonzero(world == b))
        kept = round(calibration * len(mine))
        if not 2 <= kept <= len(mine) - 2:
            raise AttackInputError(
                f"world {b} has {len(mine)} shadows, {kept} of them to calibrate on; have at least two to calibrate on "
                "and two to fit on."
            )
        held_out.append(mine[:kept])
        fitting.append(mine[kept:])
    return np.concatenate(fitting), np.concatenate(held_out)


def p_value(calibration: Floats, score: float) -> float:
    """
    Conformal p-value: how extreme a score is among exchangeable ones.

    Parameters
    ----------
    calibration : array, shape (models,)
        Larger is more extreme.
    score : float

    Returns
    -------
    float
        `(1 + number of scores at least as large) / (1 + number of scores)`.
    """
    return (1 + int((calibration >= score).sum())) / (1 + len(calibration))


def _log_odds(scores: Floats, world: Ints, score: float) -> float:
    """Log of the likelihood ratio of world 1 at a score, by logistic regression with Platt's smoothed targets."""
    zeros, ones = int((world == 0).sum()), int((world == 1).sum())
    target = np.where(world == 1, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    # Both worlds weigh the same, so that their numbers of shadows are no prior.
    weight = np.where(world == 1, 0.5 / ones, 0.5 / zeros)
    centre, scale = scores.mean(), scores.std() or 1.0
    x = np.stack([np.ones_like(scores), (scores - centre) / scale], axis=1)
    beta = np.zeros(2)
    # A tiny ridge keeps the Hessian regular where all scores agree. The smoothed targets keep the optimum finite.
    ridge = 1e-8 * np.eye(2)
    for _ in range(100):
        fitted = expit(x @ beta)
        gradient = x.T @ (weight * (fitted - target)) + ridge @ beta
        step = np.linalg.solve((x * (weight * fitted * (1 - fitted))[:, None]).T @ x + ridge, gradient)
        # Full Newton steps can overshoot where the fit saturates.
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        beta -= step
        if np.abs(step).max() < 1e-10:
            break
    return float(beta[0] + beta[1] * (score - centre) / scale)
