"""Run attacks by name: fit on shadows, guess victims, and say what that shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fairbound.empirical.attacks.base import Attack
from fairbound.empirical.attacks.predictions import Floats, Ints, ModelOutputs, Queries
from fairbound.empirical.attacks.registry import ATTACKS, get_attack
from fairbound.empirical.attacks.statistics import (
    Guesses,
    Interval,
    LowFalsePositives,
    Verdict,
    advantage_interval,
    auc_interval,
    holm,
    true_positives_at,
    verdict,
)


@dataclass(frozen=True, eq=False)
class AttackResult:
    """
    What one attack did to fresh victims.

    Attributes
    ----------
    name : str
    world, guess : array of int, shape (victims,)
    score : array, shape (victims,)
    guesses : Guesses
        Right guesses per world.
    advantage : Interval
        Of the fitted attack over fresh victims (`advantage_interval`).
    auc : Interval
    low_false_positives : LowFalsePositives
        At a false-positive rate of 1 %, or what the victims support.
    p_value : float
        Of the null that guesses have nothing to do with worlds, adjusted over the attacks run together (Holm).
    """

    name: str
    world: Ints
    guess: Ints
    score: Floats
    guesses: Guesses
    advantage: Interval
    auc: Interval
    low_false_positives: LowFalsePositives
    p_value: float

    @property
    def accuracy(self) -> float:
        """Mean of the two worlds' shares of right guesses."""
        return self.guesses.accuracy

    def verdict(self, bound: float | Fraction) -> Verdict:
        """
        Whether this attack respects a bound; for several attacks at once see `joint_verdict`.

        Parameters
        ----------
        bound : float or Fraction
            Of the advantage.

        Returns
        -------
        {"within", "exceeds", "inconclusive"}
        """
        return verdict(self.advantage, bound)

    def to_dict(self) -> dict[str, Any]:
        """Numbers alone, for JSON; guesses and scores are left out."""
        return {
            "attack": self.name,
            "right": list(self.guesses.right),
            "victims": list(self.guesses.models),
            "accuracy": self.accuracy,
            "advantage": vars(self.advantage),
            "auc": vars(self.auc),
            "low_false_positives": vars(self.low_false_positives),
            "p_value": self.p_value,
        }

    def __str__(self) -> str:
        return f"{self.name}: accuracy {self.accuracy:.3f}, advantage {self.advantage}, AUC {self.auc}"


def run_attacks(
    queries: Queries,
    shadows: ModelOutputs,
    victims: ModelOutputs,
    attacks: Iterable[str | Attack] | None = None,
    seed: int = 0,
    *,
    confidence: float | str | Fraction = 0.95,
) -> list[AttackResult]:
    """
    Fit attacks on shadows and let them guess the victims' worlds.

    Parameters
    ----------
    queries : Queries
    shadows, victims : ModelOutputs
        Answers to the queries, models of both worlds.
    attacks : iterable of str or Attack, optional
        Names of `ATTACKS`, or attacks. Default: all.
    seed : int
        An attack's randomness is a function of it and of its name, not of what else is run.
    confidence : rational
        Of each interval, by itself.

    Returns
    -------
    list of AttackResult
        In the order asked for.

    Raises
    ------
    AttackInputError
        If inputs do not fit together or an attack is unknown.
    """
    wanted = ATTACKS if attacks is None else attacks
    chosen = [get_attack(attack) if isinstance(attack, str) else attack for attack in wanted]
    world = victims.two_worlds()
    shadows.two_worlds()
    found = []
    for attack in chosen:
        rng = np.random.default_rng([seed, *attack.name.encode()])
        fitted = attack.fit(queries, shadows, rng)
        guess = fitted.guess(victims)
        found.append((attack.name, guess, fitted.score(victims), Guesses.of(guess, world)))
    adjusted = holm([guesses.p_value() for *_, guesses in found])
    return [
        AttackResult(
            name,
            world,
            guess,
            score,
            guesses,
            advantage_interval(guesses, confidence),
            auc_interval(score, world, confidence),
            true_positives_at(score, world),
            float(p),
        )
        for (name, guess, score, guesses), p in zip(found, adjusted, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class NullCheck:
    """
    Attacks on worlds that do not differ.

    Attributes
    ----------
    results : tuple of AttackResult
    p_value : float
        Chance, at most, that some attack is as far from 50 % as the farthest one, in either direction.
    """

    results: tuple[AttackResult, ...]
    p_value: float


def null_check(
    queries: Queries,
    shadows: ModelOutputs,
    victims: ModelOutputs,
    attacks: Iterable[str | Attack] | None = None,
    seed: int = 0,
) -> NullCheck:
    """
    Check an experiment by attacking worlds of one ratio: accuracies must be 50 % within theory's spread.

    Whatever rule the shadows lead to, if worlds do not differ and every model has its own draw, the victims that it
    takes for world 1 are a random subset of all victims: right guesses in world 1 are hypergeometric given the number
    of guesses of world 1 (R. Fisher). A small p-value means that something other than the ratio tells the worlds apart:
    models of a world that share one draw of rows, say, or a difference in the way they were trained.

    Parameters
    ----------
    queries : Queries
        Both sets at the common ratio.
    shadows, victims : ModelOutputs
        Models "of world 0" and "of world 1", made in the same way.
    attacks, seed
        As for `run_attacks`.

    Returns
    -------
    NullCheck

    Raises
    ------
    AttackInputError
        As for `run_attacks`.
    """
    results = run_attacks(queries, shadows, victims, attacks, seed)
    sides = []
    for result in results:
        mirrored = Guesses.of(1 - result.guess, result.world)
        sides.append(min(1.0, 2 * min(result.guesses.p_value(), mirrored.p_value())))
    return NullCheck(tuple(results), float(holm(sides).min()))
